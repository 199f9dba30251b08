/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale: 2 to 48 ports. Where does each architecture stop, and on what?
 *
 * NICs move packets themselves behind one switch or two (wr, rd), or a CPU forwards between NICs at
 * its root ports (testpmd, with 2, 4 and 8 memory channels, every byte through DRAM).  A tree that
 * needs more lanes than its parts have is told so, and simulated as if they had them: what would stop it next?
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"
#include "spec.h"

static const struct rate {
	double gbps;
	const char *nic, *sw;
	unsigned int width; /* of a NIC's link: the narrowest that carries its port */
} rates[] = {
	{ 40, "agilio-lx", "pex88096", 8 },
	{ 100, "nic-100g", "pex88096", 8 },
	{ 400, "nic-400g", "pex89144", 16 },
};
static const struct arch {
	const char *name;
	enum exp_topology topology;
	enum exp_method method;
	const char *host;
	unsigned int channels; /* 0: no matter */
} archs[] = {
	{ "star wr", EXP_TOPO_STAR, EXP_WR, "server", 0 },
	{ "star rd", EXP_TOPO_STAR, EXP_RD, "server", 0 },
	{ "two switches wr", EXP_TOPO_TWO_SWITCHES, EXP_WR, "server", 0 },
	{ "two switches rd", EXP_TOPO_TWO_SWITCHES, EXP_RD, "server", 0 },
	{ "CPU, 2 channels", EXP_TOPO_ROOT, EXP_TESTPMD, "server-34g-2ch", 2 },
	{ "CPU, 4 channels", EXP_TOPO_ROOT, EXP_TESTPMD, "server-34g-4ch", 4 },
	{ "CPU, 8 channels", EXP_TOPO_ROOT, EXP_TESTPMD, "server-34g-8ch", 8 },
};
static const unsigned int port_counts[] = { 2, 4, 8, 12, 16, 24, 32, 48 };
#define RATES (sizeof(rates) / sizeof(rates[0]))
#define ARCHS (sizeof(archs) / sizeof(archs[0]))
#define COUNTS (sizeof(port_counts) / sizeof(port_counts[0]))
#define SCALE_QUEUES 4
#define SCALE_RING 128u /* descriptors of a queue, CPU: enough for a round of the core that serves it */
#define SCALE_RING_FRAMES (SCALE_QUEUES * SCALE_RING)
#define SCALE_CHANNEL_B_PER_US 34100.0

/* The numbers of ports; what the user has set is the only one. */
static unsigned int scale_counts(const struct exp_request *r, unsigned int ports[COUNTS])
{
	if (r->spec.s.ports != 2) {
		ports[0] = r->spec.s.ports;
		return 1;
	}
	memcpy(ports, port_counts, sizeof(port_counts));
	return COUNTS;
}

/* A point's variant: rate, architecture. */
static const struct rate *rate_of(const struct exp_point *p)
{
	return &rates[p->variant / ARCHS];
}

static const struct arch *arch_of(const struct exp_point *p)
{
	return &archs[p->variant % ARCHS];
}

/* A parameter that the user has not set. */
static int scale_set(struct exp_spec *spec, const char *key, double v, char err[EXP_ERR_MAX])
{
	char text[32];
	unsigned int k;

	for (k = 0; k < spec->num_overrides; k++)
		if (!strcmp(spec->override[k].key, key))
			return 0;
	snprintf(text, sizeof(text), "%.17g", v);
	return exp_spec_set(spec, key, text, 0, err);
}

/*
 * Enough for the time that a frame is under way; a mesh of many has that many rings, all of them in memory,
 * and where more comes in than can go out they fill up first.
 */
static unsigned int scale_slots(const struct rate *rate, unsigned int ports)
{
	unsigned int slots = ports > 16 ? 128 : ports > 8 ? 256 : 512;

	return rate->gbps > 100 ? 2 * slots : slots;
}

static int scale_tune(struct exp_spec *spec, const struct exp_point *p, char err[EXP_ERR_MAX])
{
	const struct rate *rate = rate_of(p);
	unsigned int width = rate->width * p->s.ports_per_nic;
	int rc;

	snprintf(spec->profile[EXP_NIC], EXP_PATH_MAX, "%s", rate->nic);
	snprintf(spec->profile[EXP_SWITCH], EXP_PATH_MAX, "%s", rate->sw);
	snprintf(spec->profile[EXP_HOST], EXP_PATH_MAX, "%s", arch_of(p)->host);
	rc = scale_set(spec, "nic.pcie_width", width > 16 ? 16 : width, err);
	if (!rc)
		rc = scale_set(spec, "nic.mac_gbps", rate->gbps, err);
	if (!rc)
		rc = scale_set(spec, "nic.slots", scale_slots(rate, p->s.ports), err);
	if (!rc)
		rc = scale_set(spec, "nic.rx_bufs", 2.0 * scale_slots(rate, p->s.ports), err);
	if (!rc)
		rc = scale_set(spec, "host.queues", SCALE_QUEUES, err);
	if (!rc)
		rc = scale_set(spec, "host.ring", SCALE_RING, err);
	/* A root complex as fast as its NICs' links. */
	if (!rc && rate->gbps == 400)
		rc = scale_set(spec, "host.pcie_gen", 5, err);
	return rc;
}

/* Microseconds in which main memory, at half its rate, fills or empties all receive rings. */
static double scale_fill(const struct arch *a, const struct exp_settings *s)
{
	return 2.0 * s->ports * SCALE_RING_FRAMES * s->frame_bytes / (a->channels * SCALE_CHANNEL_B_PER_US);
}

/*
 * Until what a run gives does not change any more: frames under way; in incast, until the rings of all NICs are full;
 * across two switches, until what waits for the way between them has passed it once; with a CPU, until all receive rings
 * are full.
 */
static double scale_warmup(const struct rate *rate, const struct arch *a, const struct exp_settings *s)
{
	double frame_us = (s->frame_bytes + 20) * 8 / rate->gbps / 1e3, us = 8000 / rate->gbps + 50;

	if (a->channels)
		return us + scale_fill(a, s);
	if (a->topology == EXP_TOPO_TWO_SWITCHES)
		us += 600;
	return s->pattern == EXP_PATTERN_INCAST ? us + 1.5 * s->ports * scale_slots(rate, s->ports) * frame_us : us;
}

static double scale_window(const struct rate *rate, const struct arch *a, const struct exp_settings *s)
{
	if (a->channels)
		return 300 + scale_fill(a, s);
	return a->topology == EXP_TOPO_TWO_SWITCHES ? 300 : 4000 / rate->gbps + 50;
}

static int scale_points(struct exp_grid *g, const struct exp_request *r)
{
	unsigned int ports[COUNTS], counts = scale_counts(r, ports), i, a, n, pattern;

	for (i = 0; i < RATES; i++) {
		for (a = 0; a < ARCHS; a++) {
			if (r->methods && !(r->methods & 1u << archs[a].method))
				continue;
			for (n = 0; n < 2 * counts; n++) {
				struct exp_point *p;

				pattern = n / counts ? EXP_PATTERN_INCAST : EXP_PATTERN_UNIFORM;
				p = exp_grid_add(g, "%s, %u x %.0fG %s", archs[a].name, ports[n % counts],
						 rates[i].gbps, exp_patterns[pattern]);
				p->variant = (unsigned int)(i * ARCHS + a);
				p->s.topology = archs[a].topology;
				p->s.method = archs[a].method;
				p->s.pattern = pattern;
				p->s.ports = ports[n % counts];
				p->s.ports_per_nic = p->s.ports > P2P_MAX_NICS ? 2 : 1;
				p->s.frame_bytes = r->num_frames ? r->frames[0] : 1518;
				p->s.batch = archs[a].method == EXP_TESTPMD ? 32 : r->spec.s.batch;
				exp_point_time(r, p, scale_warmup(&rates[i], &archs[a], &p->s),
					       scale_window(&rates[i], &archs[a], &p->s));
			}
		}
	}
	return g->n ? 0 : -EINVAL;
}

static const struct exp_col scale_cols[] = {
	{ "topology", EXP_TEXT, 0 },	   { "pattern", EXP_TEXT, 0 },	      { "method", EXP_TEXT, 0 },
	{ "channels", EXP_NUMBER, 0 },	   { "port_gbps", EXP_NUMBER, 0 },    { "ports", EXP_NUMBER, 0 },
	{ "frame_bytes", EXP_NUMBER, 0 },  { "offered_gbps", EXP_NUMBER, 1 }, { "gbps", EXP_NUMBER, 1 },
	{ "full_rate", EXP_BOOL, 0 },	   { "fits", EXP_BOOL, 0 },	      { "lanes", EXP_NUMBER, 0 },
	{ "lanes_needed", EXP_NUMBER, 0 }, { "stops_on", EXP_TEXT, 0 },	      { "kind", EXP_TEXT, 0 },
	{ "use_percent", EXP_NUMBER, 1 },
};
#define NUM_SCALE_COLS (sizeof(scale_cols) / sizeof(scale_cols[0]))

/* What of the offered could leave: in incast one port's rate. */
static double could_leave(const struct exp_point *p, const struct exp_result *res)
{
	return p->s.pattern == EXP_PATTERN_INCAST && res->offered_gbps > rate_of(p)->gbps ? rate_of(p)->gbps
											  : res->offered_gbps;
}

static int scale_row(struct exp_grid *g, unsigned int k, struct exp_config *c, struct exp_cell *cell,
		     char err[EXP_ERR_MAX])
{
	const struct exp_point *p = &g->point[k];
	const struct exp_result *res = &g->result[k];
	bool full = res->gbps >= EXP_FULL_RATE * could_leave(p, res);
	const char *kind;
	char name[64];
	double use;
	int rc;

	rc = exp_grid_make(g, k, c, err);
	if (rc)
		return rc;
	exp_cell_text(&cell[0], exp_topologies[p->s.topology]);
	exp_cell_text(&cell[1], exp_patterns[p->s.pattern]);
	exp_cell_text(&cell[2], exp_methods[p->s.method]);
	if (arch_of(p)->channels)
		exp_cell_number(&cell[3], arch_of(p)->channels);
	exp_cell_number(&cell[4], rate_of(p)->gbps);
	exp_cell_number(&cell[5], p->s.ports);
	exp_cell_number(&cell[6], p->s.frame_bytes);
	exp_cell_number(&cell[7], res->offered_gbps);
	exp_cell_number(&cell[8], res->gbps);
	exp_cell_number(&cell[9], full);
	exp_cell_number(&cell[10], !c->lanes_short);
	if (c->lanes_short) {
		exp_cell_number(&cell[11], c->lanes_budget);
		exp_cell_number(&cell[12], c->lanes_used);
	}
	exp_bottleneck(res, name, &kind, &use);
	exp_cell_text(&cell[13], full ? "" : name);
	exp_cell_text(&cell[14], full ? "" : kind);
	exp_cell_number(&cell[15], 100 * use);
	return 0;
}

/* ---- where each stops ---- */
static const struct exp_col stop_cols[] = {
	{ "architecture", EXP_TEXT, 0 }, { "port_gbps", EXP_NUMBER, 0 }, { "lanes_carry", EXP_NUMBER, 0 },
	{ "carries", EXP_NUMBER, 0 },	 { "next", EXP_NUMBER, 0 },	 { "gbps_there", EXP_NUMBER, 1 },
	{ "stops_on", EXP_TEXT, 0 },	 { "kind", EXP_TEXT, 0 },
};
#define NUM_STOP_COLS (sizeof(stop_cols) / sizeof(stop_cols[0]))

/* Uniform traffic: the most ports that the lanes allow, that are carried at full rate, and what stopped the next. */
static int scale_stops(const struct exp_grid *g, const struct exp_table *rows, struct exp_table *t)
{
	unsigned int ports_of[COUNTS], counts = scale_counts(g->r, ports_of), k, j;

	for (k = 0; k < g->n; k += 2 * counts) {
		struct exp_cell *c = exp_table_row(t);
		double lanes = 0, ports = 0;

		if (!c)
			return -ENOMEM;
		for (j = k; j < k + counts && exp_table_at(rows, j, 10)->v != 0; j++)
			lanes = g->point[j].s.ports;
		for (j = k; j < k + counts && exp_table_at(rows, j, 9)->v != 0; j++)
			ports = g->point[j].s.ports;
		exp_cell_text(&c[0], arch_of(&g->point[k])->name);
		exp_cell_number(&c[1], rate_of(&g->point[k])->gbps);
		exp_cell_number(&c[2], lanes);
		exp_cell_number(&c[3], ports);
		if (j == k + counts)
			continue;
		exp_cell_number(&c[4], g->point[j].s.ports);
		exp_cell_number(&c[5], exp_table_at(rows, j, 8)->v);
		exp_cell_text(&c[6], exp_table_at(rows, j, 13)->text);
		exp_cell_text(&c[7], exp_table_at(rows, j, 14)->text);
	}
	return 0;
}

static void scale_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_grid *g = rep->arg;
	unsigned int ports[COUNTS], counts = scale_counts(g->r, ports), k, i;

	for (k = 0; k < g->n; k++) {
		if (k % (2 * counts) == 0)
			fprintf(f, "%s$s%u << EOD\n", k ? "EOD\n" : "", (unsigned int)(k / 2 / counts));
		if (k % (2 * counts) < counts)
			fprintf(f, "%u %.3f\n", g->point[k].s.ports, g->result[k].gbps);
	}
	fputs("EOD\nset multiplot layout 1,3\nset xlabel 'ports'\nset ylabel 'Gb/s on the wire'\nset yrange [0:*]\nset "
	      "key left top\n"
	      "set grid ytics\n",
	      f);
	for (i = 0; i < RATES; i++) {
		const char *sep = "";

		fprintf(f, "set title '%.0fG ports, uniform'\nplot ", rates[i].gbps);
		for (k = 0; k < g->n; k += 2 * counts) {
			if (rate_of(&g->point[k]) != &rates[i])
				continue;
			fprintf(f, "%s$s%u using 1:2 with linespoints lw 2 title '%s'", sep,
				(unsigned int)(k / 2 / counts), arch_of(&g->point[k])->name);
			sep = ", ";
		}
		fputc('\n', f);
	}
	fputs("unset multiplot\n", f);
}

int exp_scale(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = "Every point", .plot = scale_plot, .plot_width = 1500, .plot_height = 600 };
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_table stops, arithmetic;
	struct exp_grid g;
	unsigned int k;
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!c)
		return -ENOMEM;
	rc = exp_grid_init(&g, r, RATES * ARCHS * COUNTS * 2, err);
	if (rc) {
		free(c);
		return rc;
	}
	g.any_lanes = true;
	g.tune = scale_tune;
	exp_table_init(&rep.rows, scale_cols, NUM_SCALE_COLS);
	exp_table_init(&stops, stop_cols, NUM_STOP_COLS);
	exp_table_init(&arithmetic, exp_arithmetic_cols, exp_num_arithmetic_cols);
	rep.arg = &g;
	rc = scale_points(&g, r);
	if (rc)
		snprintf(err, EXP_ERR_MAX, "--method: scale has wr, rd and testpmd");
	if (!rc)
		rc = exp_grid_run(&g, err);
	for (k = 0; !rc && k < g.n; k++) {
		struct exp_cell *cell = exp_table_row(&rep.rows);

		rc = cell ? scale_row(&g, k, c, cell, err) : -ENOMEM;
	}
	if (!rc)
		rc = scale_stops(&g, &rep.rows, &stops);
	if (!rc)
		rc = exp_arithmetic(r, &arithmetic, err);
	if (!rc && r->json) {
		rep.more = json_object_new_object();
		json_object_object_add(rep.more, "stops", exp_table_json(&stops));
		json_object_object_add(rep.more, "arithmetic", exp_table_json(&arithmetic));
	}
	if (!rc && !r->json) {
		fputs("Ports at full rate, uniform traffic, and what stopped the next number of ports\n\n", to);
		exp_table_print(&stops, to);
		fputs("\nThe published arithmetic\n\n", to);
		exp_table_print(&arithmetic, to);
		fputc('\n', to);
	}
	exp_report_note(&rep,
			"fits: within the lanes of the parts; what doesn't fit was simulated without a lane budget.");
	exp_report_note(&rep, "A switch's upstream link has 16 lanes, or the widest that the others leave room for.");
	exp_report_note(&rep, "Above 32 ports NICs have two each: a mesh has at most 32 NICs.");
	if (!rc)
		rc = exp_report_emit(r, &rep, to, err);
	exp_table_free(&rep.rows);
	exp_table_free(&stops);
	exp_table_free(&arithmetic);
	exp_grid_free(&g);
	free(c);
	return rc;
}
