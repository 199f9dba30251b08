/* SPDX-License-Identifier: BSD-3-Clause */
/* The reference experiment's figures and table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define WIRE_EXTRA 20u /* preamble and gap */

const unsigned int exp_paper_frames[EXP_PAPER_FRAMES] = { 64, 128, 256, 512, 1024, 1280, 1518 };

double exp_wire_mpps(double gbps, unsigned int frame_bytes)
{
	return gbps * 1e3 / (frame_bytes + WIRE_EXTRA) / 8;
}

static unsigned int methods_of(const struct exp_request *r, unsigned int possible, enum exp_method m[EXP_NUM_METHODS])
{
	unsigned int k, n = 0;

	for (k = 0; k < EXP_NUM_METHODS; k++)
		if ((possible & 1u << k) && (!r->methods || (r->methods & 1u << k)))
			m[n++] = (enum exp_method)k;
	return n;
}

static int no_methods(const struct exp_request *r, const char *which, char err[EXP_ERR_MAX])
{
	snprintf(err, EXP_ERR_MAX, "--method: %s has %s", r->experiment, which);
	return -EINVAL;
}

static const char *const plain_note = "gbps is on the wire, preamble and gap included.";
static const char *const router_note =
	"wr and rd route in the NICs: the address is looked up and the header rewritten; in bn the host forwards and nobody routes.";

/* ---- throughput by frame size ---- */
static const struct exp_col rate_cols[] = {
	{ "method", EXP_TEXT, 0 }, { "frame_bytes", EXP_NUMBER, 0 }, { "mpps", EXP_NUMBER, 3 },
	{ "gbps", EXP_NUMBER, 3 }, { "wire_rate", EXP_BOOL, 0 },
};

static void rate_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_table *t = &rep->rows;
	unsigned int k, n = 0;
	const char *last = "";

	for (k = 0; k < t->rows; k++) {
		const struct exp_cell *c = exp_table_at(t, k, 0);

		if (strcmp(c[0].text, last)) {
			fprintf(f, "%s$m%u << EOD\n", n ? "EOD\n" : "", n);
			n++;
		}
		last = c[0].text;
		fprintf(f, "%.0f %.6f %.6f\n", c[1].v, c[2].v, c[3].v);
	}
	fprintf(f,
		"EOD\nset title '%s'\nset xlabel 'frame size, bytes'\nset ylabel 'Gb/s on the wire'\nset yrange [0:*]\n"
		"set xtics (64, 128, 256, 512, 1024, 1280, 1518)\nset key right bottom\nset grid ytics\nplot ",
		rep->title);
	for (k = n = 0, last = ""; k < t->rows; k++) {
		const struct exp_cell *c = exp_table_at(t, k, 0);

		if (!strcmp(c[0].text, last))
			continue;
		last = c[0].text;
		fprintf(f, "%s$m%u using 1:3 with linespoints lw 2 title '%s'", n ? ", " : "", n, c[0].text);
		n++;
	}
	fputc('\n', f);
}

static int rate_rows(struct exp_grid *g, struct exp_report *rep)
{
	unsigned int k;

	for (k = 0; k < g->n; k++) {
		const struct exp_settings *s = &g->point[k].s;
		const struct exp_result *res = &g->result[k];
		struct exp_cell *c = exp_table_row(&rep->rows);

		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], exp_methods[s->method]);
		exp_cell_number(&c[1], s->frame_bytes);
		exp_cell_number(&c[2], res->mpps);
		exp_cell_number(&c[3], res->gbps);
		exp_cell_number(&c[4], s->load == 100 && res->mpps >= EXP_FULL_RATE * res->offered_mpps);
	}
	return 0;
}

static int rate_figure(const struct exp_request *r, struct exp_report *rep, unsigned int possible, bool routed,
		       const char *which, FILE *to, char err[EXP_ERR_MAX])
{
	const unsigned int *frames = r->num_frames ? r->frames : exp_paper_frames;
	unsigned int num_frames = r->num_frames ? r->num_frames : EXP_PAPER_FRAMES, k, f, n;
	enum exp_method m[EXP_NUM_METHODS];
	struct exp_grid g;
	int rc;

	n = methods_of(r, possible, m);
	if (!n)
		return no_methods(r, which, err);
	rc = exp_grid_init(&g, r, n * num_frames, err);
	if (rc)
		return rc;
	for (k = 0; k < n; k++) {
		for (f = 0; f < num_frames; f++) {
			struct exp_point *p = exp_grid_add(&g, "%s %u B", exp_methods[m[k]], frames[f]);

			p->s.method = m[k];
			p->s.frame_bytes = frames[f];
			if (routed)
				p->s.routed = exp_is_firmware(m[k]);
			exp_point_time(r, p, 400, 600);
		}
	}
	exp_table_init(&rep->rows, rate_cols, sizeof(rate_cols) / sizeof(rate_cols[0]));
	rep->grid = &g;
	rep->plot = rate_plot;
	exp_report_note(rep, plain_note);
	rc = exp_grid_run(&g, err);
	if (!rc)
		rc = rate_rows(&g, rep);
	if (!rc)
		rc = exp_report_emit(r, rep, to, err);
	exp_table_free(&rep->rows);
	exp_grid_free(&g);
	return rc;
}

#define BIT(m) (1u << (m))
#define ROUTED (BIT(EXP_WR) | BIT(EXP_RD) | BIT(EXP_L3FWD))
#define PLAIN (BIT(EXP_WR) | BIT(EXP_RD) | BIT(EXP_BN) | BIT(EXP_TESTPMD))

int exp_fig5(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = "Throughput by frame size, without routing" };

	return rate_figure(r, &rep, PLAIN, false, "wr, rd, bn and testpmd; l3fwd routes and is in fig6", to, err);
}

int exp_fig6(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = "Throughput by frame size, with routing" };

	exp_report_note(&rep, router_note);
	return rate_figure(r, &rep, ROUTED, true, "wr, rd and l3fwd; bn and testpmd don't route", to, err);
}

/* ---- latency ---- */
static const struct latency_case {
	const char *name;
	unsigned int frame_bytes;
	double gbps; /* 0: the port's rate */
	unsigned int methods, arrival;
	double warmup_us, duration_us;
} latency_cases[] = {
	{ "64B-1G", 64, 1, PLAIN, 1, 200, 10000 },
	{ "64B-1G-routed", 64, 1, ROUTED, 1, 200, 10000 },
	{ "1518B-1G", 1518, 1, PLAIN, 1, 200, 40000 },
	{ "1518B-40G", 1518, 0, PLAIN, 0, 1000, 3000 },
};
#define CASE_ROUTED 1
#define NUM_CASES (sizeof(latency_cases) / sizeof(latency_cases[0]))

static const struct exp_col latency_cols[] = {
	{ "case", EXP_TEXT, 0 },     { "method", EXP_TEXT, 0 },	  { "p50_ns", EXP_NUMBER, 0 },
	{ "p90_ns", EXP_NUMBER, 0 }, { "p99_ns", EXP_NUMBER, 0 },
};

static void latency_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_grid *g = rep->arg;
	unsigned int k, q, i;

	for (k = 0; k < g->n; k++) {
		fprintf(f, "$d%u << EOD\n", k);
		for (q = 0; q < EXP_CDF_POINTS; q++)
			fprintf(f, "%.3f %.4f\n", g->result[k].cdf_ns[q] / 1e3, (double)q / (EXP_CDF_POINTS - 1));
		fputs("EOD\n", f);
	}
	fputs("set multiplot layout 2,2\nset xlabel 'latency, us'\nset ylabel 'share of frames'\nset xrange [0:*]\nset "
	      "yrange [0:1]\nset key left bottom\nset grid\n",
	      f);
	for (i = 0; i < NUM_CASES; i++) {
		const char *sep = "";

		for (k = 0; k < g->n && g->point[k].variant != i; k++)
			;
		if (k == g->n)
			continue;
		fprintf(f, "set title '%s'\nplot ", latency_cases[i].name);
		for (; k < g->n; k++) {
			if (g->point[k].variant != i)
				continue;
			fprintf(f, "%s$d%u using 1:2 with lines lw 2 lc %u title '%s'", sep, k,
				(unsigned int)g->point[k].s.method + 1, exp_methods[g->point[k].s.method]);
			sep = ", ";
		}
		fputc('\n', f);
	}
	fputs("unset multiplot\n", f);
}

static int latency_rows(const struct exp_grid *g, struct exp_report *rep)
{
	struct json_object *cdfs = json_object_new_array();
	unsigned int k, q;

	rep->more = json_object_new_object();
	json_object_object_add(rep->more, "cdf", cdfs);
	for (k = 0; k < g->n; k++) {
		const struct exp_result *res = &g->result[k];
		struct exp_cell *c = exp_table_row(&rep->rows);
		struct json_object *o, *ns;

		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], latency_cases[g->point[k].variant].name);
		exp_cell_text(&c[1], exp_methods[g->point[k].s.method]);
		if (!res->latencies)
			continue;
		exp_cell_number(&c[2], res->p50_ns);
		exp_cell_number(&c[3], res->p90_ns);
		exp_cell_number(&c[4], res->p99_ns);
		o = json_object_new_object();
		ns = json_object_new_array();
		json_object_object_add(o, "case", json_object_new_string(c[0].text));
		json_object_object_add(o, "method", json_object_new_string(c[1].text));
		json_object_object_add(o, "frames", exp_json_number(res->latencies, 0));
		for (q = 0; q < EXP_CDF_POINTS; q++)
			json_object_array_add(ns, json_object_new_int64(res->cdf_ns[q]));
		json_object_object_add(o, "quantiles_ns", ns);
		json_object_array_add(cdfs, o);
	}
	return 0;
}

int exp_fig7(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = "Latency, last bit in to last bit out",
				  .plot_width = 1000,
				  .plot_height = 750 };
	enum exp_method m[EXP_NUM_METHODS];
	struct exp_grid g;
	unsigned int i, k, n;
	int rc;

	rc = exp_grid_init(&g, r, NUM_CASES * EXP_NUM_METHODS, err);
	if (rc)
		return rc;
	for (i = 0; i < NUM_CASES; i++) {
		const struct latency_case *c = &latency_cases[i];

		n = methods_of(r, c->methods, m);
		for (k = 0; k < n; k++) {
			struct exp_point *p = exp_grid_add(&g, "%s %s", c->name, exp_methods[m[k]]);

			p->s.method = m[k];
			p->s.frame_bytes = c->frame_bytes;
			p->s.gbps = c->gbps;
			p->s.arrival = c->arrival;
			if (i == CASE_ROUTED)
				p->s.routed = exp_is_firmware(m[k]);
			p->variant = i;
			exp_point_time(r, p, c->warmup_us, c->duration_us);
		}
	}
	exp_table_init(&rep.rows, latency_cols, sizeof(latency_cols) / sizeof(latency_cols[0]));
	rep.grid = &g;
	rep.plot = latency_plot;
	rep.arg = &g;
	exp_report_note(&rep, "Frames arrive at random (Poisson) at 1 Gb/s, evenly at a port's full rate.");
	exp_report_note(&rep, router_note);
	rc = exp_grid_run(&g, err);
	if (!rc)
		rc = latency_rows(&g, &rep);
	if (!rc)
		rc = exp_report_emit(r, &rep, to, err);
	exp_table_free(&rep.rows);
	exp_grid_free(&g);
	return rc;
}

/* ---- table 1 ---- */
static const struct exp_col cost_cols[] = {
	{ "method", EXP_TEXT, 0 },
	{ "cpu_percent", EXP_NUMBER, 1 },
	{ "cpu_pcie_MBps", EXP_NUMBER, 1 },
};

int exp_table1(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = {
		.title = "CPU and bytes through the CPU's PCIe, 1518-byte frames at a port's full rate"
	};
	enum exp_method m[EXP_NUM_METHODS];
	struct exp_grid g;
	unsigned int k, n;
	int rc;

	n = methods_of(r, PLAIN | BIT(EXP_L3FWD), m);
	rc = exp_grid_init(&g, r, n, err);
	if (rc)
		return rc;
	for (k = 0; k < n; k++) {
		struct exp_point *p = exp_grid_add(&g, "%s", exp_methods[m[k]]);

		p->s.method = m[k];
		p->s.frame_bytes = 1518;
		exp_point_time(r, p, 1000, 2000);
	}
	exp_table_init(&rep.rows, cost_cols, sizeof(cost_cols) / sizeof(cost_cols[0]));
	rep.grid = &g;
	exp_report_note(&rep, "cpu_percent is of each forwarding core, polling included; cpu_pcie_MBps are data bytes, "
			      "both directions.");
	rc = exp_grid_run(&g, err);
	for (k = 0; !rc && k < g.n; k++) {
		struct exp_cell *c = exp_table_row(&rep.rows);

		if (!c) {
			rc = -ENOMEM;
			break;
		}
		exp_cell_text(&c[0], exp_methods[g.point[k].s.method]);
		exp_cell_number(&c[1], g.result[k].cpu_percent);
		exp_cell_number(&c[2], g.result[k].cpu_pcie_MBps);
	}
	if (!rc)
		rc = exp_report_emit(r, &rep, to, err);
	exp_table_free(&rep.rows);
	exp_grid_free(&g);
	return rc;
}

/* ---- batches ---- */
static const struct exp_col batch_cols[] = {
	{ "method", EXP_TEXT, 0 },   { "batch", EXP_NUMBER, 0 },  { "frame_bytes", EXP_NUMBER, 0 },
	{ "mpps", EXP_NUMBER, 3 },   { "gbps", EXP_NUMBER, 3 },	  { "wire_rate", EXP_BOOL, 0 },
	{ "p50_ns", EXP_NUMBER, 0 }, { "p99_ns", EXP_NUMBER, 0 },
};
static const unsigned int batches[] = { 1, 2, 4, 8, 16, 32, 64 };
#define NUM_BATCHES (sizeof(batches) / sizeof(batches[0]))

static void batch_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_table *t = &rep->rows;
	unsigned int k, n;

	for (k = 0; k < t->rows; k++) {
		const struct exp_cell *c = exp_table_at(t, k, 0);

		if (k % NUM_BATCHES == 0)
			fprintf(f, "%s$m%u << EOD\n", k ? "EOD\n" : "", (unsigned int)(k / NUM_BATCHES));
		fprintf(f, "%.0f %.6f %.3f\n", c[1].v, c[4].v, c[6].v / 1e3);
	}
	fputs("EOD\nset multiplot layout 1,2\nset xlabel 'batch'\nset logscale x 2\nset yrange [0:*]\nset key right "
	      "bottom\nset grid ytics\n",
	      f);
	for (n = 0; n < 2; n++) {
		fprintf(f, "set ylabel '%s'\nset title '%s'\nplot ", n ? "median latency, us" : "Gb/s on the wire",
			n ? "Latency at 1 Gb/s" : "Throughput");
		for (k = 0; k < t->rows; k += NUM_BATCHES) {
			const struct exp_cell *c = exp_table_at(t, k, 0);

			fprintf(f, "%s$m%u using 1:%u with linespoints lw 2 title '%s %.0f B'", k ? ", " : "",
				(unsigned int)(k / NUM_BATCHES), n ? 3 : 2, c[0].text, c[2].v);
		}
		fputc('\n', f);
	}
	fputs("unset multiplot\n", f);
}

static int batch_rows(const struct exp_grid *g, struct exp_report *rep)
{
	unsigned int k;

	/* Points come in twos: at full rate, at 1 Gb/s. */
	for (k = 0; k + 1 < g->n; k += 2) {
		const struct exp_settings *s = &g->point[k].s;
		const struct exp_result *full = &g->result[k], *idle = &g->result[k + 1];
		struct exp_cell *c = exp_table_row(&rep->rows);

		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], exp_methods[s->method]);
		exp_cell_number(&c[1], s->batch);
		exp_cell_number(&c[2], s->frame_bytes);
		exp_cell_number(&c[3], full->mpps);
		exp_cell_number(&c[4], full->gbps);
		exp_cell_number(&c[5], s->load == 100 && full->mpps >= EXP_FULL_RATE * full->offered_mpps);
		if (!idle->latencies)
			continue;
		exp_cell_number(&c[6], idle->p50_ns);
		exp_cell_number(&c[7], idle->p99_ns);
	}
	return 0;
}

int exp_batch(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	static const unsigned int own[] = { 64, 128 };
	const unsigned int *frames = r->num_frames ? r->frames : own;
	unsigned int num_frames = r->num_frames ? r->num_frames : 2, k, f, b, n;
	struct exp_report rep = { .title = "Throughput and latency by batch size", .plot_width = 1000 };
	enum exp_method m[EXP_NUM_METHODS];
	struct exp_grid g;
	int rc;

	n = methods_of(r, BIT(EXP_WR) | BIT(EXP_RD) | BIT(EXP_BN), m);
	if (!n)
		return no_methods(r, "wr, rd and bn", err);
	rc = exp_grid_init(&g, r, n * num_frames * NUM_BATCHES * 2, err);
	if (rc)
		return rc;
	for (k = 0; k < n * num_frames * NUM_BATCHES * 2; k++) {
		struct exp_point *p;

		b = k / 2 % NUM_BATCHES;
		f = (unsigned int)(k / 2 / NUM_BATCHES % num_frames);
		p = exp_grid_add(&g, "%s %u B batch %u%s", exp_methods[m[k / 2 / NUM_BATCHES / num_frames]], frames[f],
				 batches[b], k % 2 ? " at 1G" : "");
		p->s.method = m[k / 2 / NUM_BATCHES / num_frames];
		p->s.frame_bytes = frames[f];
		p->s.batch = batches[b];
		if (k % 2) {
			p->s.gbps = 1;
			p->s.arrival = 1;
		}
		exp_point_time(r, p, k % 2 ? 200 : 400, k % 2 ? 4000 : 400);
	}
	exp_table_init(&rep.rows, batch_cols, sizeof(batch_cols) / sizeof(batch_cols[0]));
	rep.grid = &g;
	rep.plot = batch_plot;
	exp_report_note(&rep, plain_note);
	exp_report_note(&rep, "Latency is at 1 Gb/s, frames arriving at random (Poisson).");
	rc = exp_grid_run(&g, err);
	if (!rc)
		rc = batch_rows(&g, &rep);
	if (!rc)
		rc = exp_report_emit(r, &rep, to, err);
	exp_table_free(&rep.rows);
	exp_grid_free(&g);
	return rc;
}
