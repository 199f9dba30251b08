/* SPDX-License-Identifier: BSD-3-Clause */
/* Throughput by frame size, one line an entry. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "experiments/report.h"

static void plot_data(const struct fwd_bench *b, unsigned int k, FILE *f)
{
	struct fwd_row r;
	unsigned int i;

	fprintf(f, "$e%u << EOD\n", k);
	for (i = 0; i < b->req->num_frames; i++)
		if (fwd_row(b, k, i, &r) && r.mpps.n)
			fprintf(f, "%u %.4f %.4f %.4f\n", r.frame_bytes, r.mpps.median, r.mpps.min, r.mpps.max);
	fprintf(f, "EOD\n");
}

static bool plot_has(const struct fwd_bench *b, unsigned int k)
{
	struct fwd_row r;
	unsigned int i;

	for (i = 0; i < b->req->num_frames; i++)
		if (fwd_row(b, k, i, &r) && r.mpps.n)
			return true;
	return false;
}

static void plot_script(const struct fwd_bench *b, FILE *f)
{
	unsigned int k, least = FWD_MAX_FRAME, most = FWD_MIN_FRAME;
	char label[FWD_LABEL_MAX];
	bool first = true;

	for (k = 0; k < b->req->num_frames; k++) {
		least = b->req->frames[k] < least ? b->req->frames[k] : least;
		most = b->req->frames[k] > most ? b->req->frames[k] : most;
	}

	for (k = 0; k < b->n; k++)
		if (plot_has(b, k))
			plot_data(b, k, f);
	fprintf(f, "set xlabel 'frame, bytes with FCS'\nset ylabel 'Mpps, one core'\nset logscale xy 2\nset grid\nset key outside right\n");
	fprintf(f, "set xrange [%.1f:%.1f]\nset xtics (", least / 1.2, most * 1.2);
	for (k = 0; k < b->req->num_frames; k++)
		fprintf(f, "%s%u", k ? ", " : "", b->req->frames[k]);
	fprintf(f, ")\nplot ");
	for (k = 0; k < b->n; k++) {
		if (!plot_has(b, k))
			continue;
		fprintf(f, "%s$e%u using 1:2:3:4 with yerrorlines title '%s'", first ? "" : ", ", k,
			fwd_entry_label(&b->entry[k], label));
		first = false;
	}
	fputc('\n', f);
}

int fwd_plot(const struct fwd_bench *b, const char *path, char err[FWD_ERR_MAX])
{
	char *text = NULL;
	size_t size;
	FILE *f;
	int rc;

	if (!b->rounds)
		return 0;
	f = open_memstream(&text, &size);
	if (f)
		plot_script(b, f);
	if (!f || fclose(f)) {
		free(text);
		snprintf(err, FWD_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	rc = exp_plot(path, text, 900, 520, err);
	free(text);
	return rc;
}
