/* SPDX-License-Identifier: BSD-3-Clause */
/* What came out, for people: tables, and the goals beside it; CSV. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "bench.h"
#include "experiments/table.h"

void fwd_progress(const struct fwd_bench *b, const char *fmt, ...)
{
	char line[160];
	va_list ap;

	if (!b->req->progress)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "\r%.78s\033[K", line);
}

void fwd_progress_end(const struct fwd_bench *b)
{
	if (b->req->progress)
		fprintf(stderr, "\r\033[K");
}

enum { COL_SUBJECT, COL_ZERO_COPY, COL_AGAINST, COL_DST, COL_BYTES, COL_RING, COL_BUF, COL_MEDIAN, COL_MIN, COL_MAX, COL_CYCLES, COL_BOUND,
       COL_LOST, COL_FULL, COL_CORRUPTED, COL_REORDERED, COL_REPEATED, COL_LATENCY, COL_NUM = COL_LATENCY + 2 * FWD_NUM_LOADS };

static const struct exp_col columns[COL_NUM] = {
	{ "subject", EXP_TEXT, 0 },
	{ "zero_copy", EXP_TEXT, 0 },
	{ "against", EXP_TEXT, 0 },
	{ "destinations", EXP_NUMBER, 0 },
	{ "frame_bytes", EXP_NUMBER, 0 },
	{ "ring", EXP_NUMBER, 0 },
	{ "buf_bytes", EXP_NUMBER, 0 },
	{ "mpps_median", EXP_NUMBER, 3 },
	{ "mpps_min", EXP_NUMBER, 3 },
	{ "mpps_max", EXP_NUMBER, 3 },
	{ "cycles_per_packet", EXP_NUMBER, 1 },
	{ "generator_bound", EXP_TEXT, 0 },
	{ "lost", EXP_NUMBER, 0 },
	{ "lost_saturated", EXP_NUMBER, 0 },
	{ "corrupted", EXP_NUMBER, 0 },
	{ "reordered", EXP_NUMBER, 0 },
	{ "repeated", EXP_NUMBER, 0 },
#define X(name, key, percent) { "p50_ns_" key, EXP_NUMBER, 0 }, { "p99_ns_" key, EXP_NUMBER, 0 },
	FWD_LOADS(X)
#undef X
};

static void report_number(struct exp_cell *c, double v)
{
	if (!isnan(v))
		exp_cell_number(c, v);
}

static int report_row(const struct fwd_row *r, struct exp_table *t)
{
	struct exp_cell *c = exp_table_row(t);
	unsigned int l;

	if (!c)
		return -ENOMEM;
	exp_cell_text(&c[COL_SUBJECT], fwd_entry_name(r->e));
	exp_cell_text(&c[COL_ZERO_COPY], r->e->zero_copy ? "yes" : "no");
	exp_cell_text(&c[COL_AGAINST], r->e->against ? "yes" : "no");
	exp_cell_number(&c[COL_DST], fwd_entry_destinations(r->e));
	exp_cell_number(&c[COL_BYTES], r->frame_bytes);
	exp_cell_number(&c[COL_RING], r->cell->setup.ring);
	if (r->cell->setup.buf_bytes)
		exp_cell_number(&c[COL_BUF], r->cell->setup.buf_bytes);
	report_number(&c[COL_MEDIAN], r->mpps.median);
	report_number(&c[COL_MIN], r->mpps.min);
	report_number(&c[COL_MAX], r->mpps.max);
	report_number(&c[COL_CYCLES], r->cycles);
	exp_cell_text(&c[COL_BOUND], r->generator_bound ? "yes" : "no");
	exp_cell_number(&c[COL_LOST], (double)r->cell->lost);
	exp_cell_number(&c[COL_FULL], (double)r->cell->lost_saturated);
	exp_cell_number(&c[COL_CORRUPTED], (double)r->cell->corrupted);
	exp_cell_number(&c[COL_REORDERED], (double)r->cell->reordered);
	exp_cell_number(&c[COL_REPEATED], r->cell->repeated);
	for (l = 0; l < FWD_NUM_LOADS; l++) {
		report_number(&c[COL_LATENCY + 2 * l], r->p50[l]);
		report_number(&c[COL_LATENCY + 2 * l + 1], r->p99[l]);
	}
	return 0;
}

static int report_csv(const struct fwd_bench *b, const char *path, char err[FWD_ERR_MAX])
{
	struct exp_table t;
	struct fwd_row r;
	unsigned int k, f;
	FILE *file;
	int rc = 0;

	exp_table_init(&t, columns, COL_NUM);
	for (f = 0; f < b->req->num_frames; f++)
		for (k = 0; k < b->n && !rc; k++)
			if (fwd_row(b, k, f, &r))
				rc = report_row(&r, &t);
	file = rc ? NULL : fopen(path, "we");
	if (!rc && !file)
		rc = -errno;
	if (!rc)
		rc = exp_table_csv(&t, file);
	if (file && fclose(file) && !rc)
		rc = -errno;
	if (rc)
		snprintf(err, FWD_ERR_MAX, "--csv %.300s: %s", path, strerror(-rc));
	exp_table_free(&t);
	return rc;
}

static void print_number(FILE *to, int width, int decimals, double v)
{
	if (isnan(v))
		fprintf(to, " %*s", width, "-");
	else
		fprintf(to, " %*.*f", width, decimals, v);
}

static void print_throughput(const struct fwd_bench *b, FILE *to)
{
	struct fwd_row r;
	unsigned int k, f;

	fprintf(to, "%-17s %-5s %6s %5s %10s %17s %7s %8s %6s %6s %9s %9s\n", "subject", "zc", "dst", "bytes", "Mpps", "min - max", "Gb/s",
		"cycles", "ring", "buf", "lost", "bad");
	for (f = 0; f < b->req->num_frames; f++) {
		for (k = 0; k < b->n; k++) {
			if (!fwd_row(b, k, f, &r))
				continue;
			fprintf(to, "%-17s %-5s %6u %5u", fwd_entry_name(r.e), fwd_entry_variant(r.e), fwd_entry_destinations(r.e),
				r.frame_bytes);
			print_number(to, 10, 3, r.mpps.median);
			print_number(to, 8, 3, r.mpps.min);
			print_number(to, 8, 3, r.mpps.max);
			print_number(to, 7, 2, r.mpps.median * (r.frame_bytes + 20) * 8 / 1e3);
			print_number(to, 8, 1, r.cycles);
			fprintf(to, " %6u", r.cell->setup.ring);
			if (r.cell->setup.buf_bytes)
				fprintf(to, " %6u", r.cell->setup.buf_bytes);
			else
				fprintf(to, " %6s", "");
			fprintf(to, " %9" PRIu64 " %9" PRIu64 "%s%s\n", r.cell->lost,
				r.cell->corrupted + r.cell->reordered + r.cell->duplicated + r.cell->foreign,
				r.generator_bound ? "  generator-bound" : "", r.e->by_rate ? "  cycles: all of the core's" : "");
		}
	}
}

static void print_latency(const struct fwd_bench *b, FILE *to)
{
	struct fwd_row r;
	unsigned int k, f, l;

	fprintf(to, "\nlatency, us (p50 p99), at percent of each one's own maximum and at 1 Gb/s\n%-17s %-5s %6s %5s", "subject", "zc",
		"dst", "bytes");
	for (l = 0; l < FWD_NUM_LOADS; l++)
		fprintf(to, " %18s", fwd_load_keys[l]);
	fputc('\n', to);
	for (f = 0; f < b->req->num_frames; f++) {
		for (k = 0; k < b->n; k++) {
			if (!fwd_row(b, k, f, &r) || (r.e->subject && !r.e->subject->p2pnic && !r.e->subject->dpdk))
				continue;
			fprintf(to, "%-17s %-5s %6u %5u", fwd_entry_name(r.e), fwd_entry_variant(r.e), fwd_entry_destinations(r.e),
				r.frame_bytes);
			for (l = 0; l < FWD_NUM_LOADS; l++) {
				print_number(to, 8, 2, r.p50[l] / 1e3);
				print_number(to, 9, 2, r.p99[l] / 1e3);
			}
			fputc('\n', to);
		}
	}
}

static void print_goals(const struct fwd_bench *b, FILE *to)
{
	static struct fwd_goal_result g[FWD_MAX_GOALS];
	unsigned int n = fwd_goals(b, g), i;

	if (!n)
		return;
	fprintf(to, "\n%-56s %6s %5s %7s %7s %17s %7s\n", "ratio (median of the rounds')", "dst", "bytes", "by", "is", "quartiles", "goal");
	for (i = 0; i < n; i++) {
		fprintf(to, "%-56s %6u %5u %7s %7.3f %8.3f %8.3f", g[i].what, g[i].destinations, g[i].frame_bytes, g[i].by, g[i].value,
			g[i].rounds.q1, g[i].rounds.q3);
		if (g[i].goal > 0)
			fprintf(to, " %7.2f %s\n", g[i].goal, g[i].reached ? "reached" : "not reached");
		else
			fprintf(to, " %7s\n", "-");
	}
}

static void print_notes(const struct fwd_bench *b, FILE *to)
{
	unsigned int k, f, repeated = 0, disturbed = 0;
	bool dpdk = false, l3fwd = false;
	char label[FWD_LABEL_MAX];

	for (k = 0; k < b->n; k++) {
		const struct fwd_entry *e = &b->entry[k];

		for (f = 0; f < b->req->num_frames; f++) {
			repeated += e->cell[f].repeated;
			disturbed += e->cell[f].disturbed;
		}
		dpdk |= !e->gone && e->subject && e->subject->dpdk;
		l3fwd |= !e->gone && e->subject && !strcmp(e->subject->name, "l3fwd");
	}
	fprintf(to, "\ngenerator and sink on core %d, forwarder on core %d, memif %s; %u rounds of %g s; busy cycles a frame,"
		" empty polls not counted\n", b->req->cpu_gen, b->req->cpu_fwd, b->req->server ? "server" : "client", b->rounds,
		b->req->seconds);
	if (b->req->against)
		fprintf(to, "other (zc): %s\n", b->req->against);
	if (dpdk)
		fprintf(to, "DPDK %s, %s build, %s pages\n", b->env.dpdk_version, b->env.dpdk_build, b->env.huge ? "2 MiB" : "4 KiB");
	if (l3fwd)
		fprintf(to, "l3fwd: built from Debian's source with its receive offloads masked by the device's; two routes\n");
	if (b->env.dst)
		fprintf(to, "%u destinations (dst): drawn from the IPv4 prefixes of %s, each as likely, the next for each frame;"
			" p2pnic-route-full has its %" PRIu64 " IPv4 and %" PRIu64 " IPv6 routes, other rows of so many 0.0.0.0/1 and 128.0.0.0/1\n", FWD_SPREAD,
			b->env.table, b->env.num_routes[0], b->env.num_routes[1]);
	fprintf(to, "a cache line takes %.0f ns from core to core and back, a thousand dependent additions %.0f ns; %.0f s waited for the "
		"hypervisor to let them be so near and so fast again\n", b->distance_ns, b->pace_ns, (double)b->waited_ns / 1e9);
	fprintf(to, "a core taken away, slowed or moved: %u measurements done again, %u kept though disturbed\n", repeated, disturbed);
	for (k = 0; k < b->n; k++)
		if (b->entry[k].gone)
			fprintf(to, "skipped: %s: %s\n", fwd_entry_label(&b->entry[k], label), b->entry[k].why);
}

int fwd_report(const struct fwd_bench *b, FILE *to, char err[FWD_ERR_MAX])
{
	struct json_object *o;
	int rc = 0;

	if (b->req->json) {
		o = fwd_json(b);
		fprintf(to, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else {
		print_throughput(b, to);
		if (b->req->latency && b->rounds)
			print_latency(b, to);
		print_goals(b, to);
		print_notes(b, to);
	}
	if (b->req->csv)
		rc = report_csv(b, b->req->csv, err);
	if (!rc && b->req->svg)
		rc = fwd_plot(b, b->req->svg, err);
	return rc;
}
