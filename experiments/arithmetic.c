/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arithmetic.h"

/* `ports` of 100G are carried at full rate within the lanes, `more` are not. */
static const struct claim {
	const char *text;
	enum exp_topology topology;
	enum exp_pattern pattern;
	enum exp_method method;
	const char *host;
	unsigned int ports, more;
} claims[] = {
	{ "two 100G ports with two channels of 34.1 GB/s", EXP_TOPO_ROOT, EXP_PATTERN_UNIFORM, EXP_TESTPMD,
	  "server-34g-2ch", 2, 3 },
	{ "five with four channels", EXP_TOPO_ROOT, EXP_PATTERN_UNIFORM, EXP_TESTPMD, "server-34g-4ch", 5, 6 },
	{ "a 96-lane switch: 12x100G", EXP_TOPO_STAR, EXP_PATTERN_UNIFORM, EXP_WR, "server", 12, 13 },
	{ "a 128-lane root complex: 16x100G", EXP_TOPO_ROOT, EXP_PATTERN_UNIFORM, EXP_WR, "server", 16, 17 },
	{ "two switches: twice what stays inside one", EXP_TOPO_TWO_SWITCHES, EXP_PATTERN_LOCAL, EXP_WR, "server", 24,
	  26 },
};
#define CLAIMS (sizeof(claims) / sizeof(claims[0]))

const struct exp_col exp_arithmetic_cols[] = {
	{ "published", EXP_TEXT, 0 },	{ "ports", EXP_NUMBER, 0 },	   { "gbps", EXP_NUMBER, 1 },
	{ "full_rate", EXP_BOOL, 0 },	{ "fits", EXP_BOOL, 0 },	   { "more_ports", EXP_NUMBER, 0 },
	{ "more_gbps", EXP_NUMBER, 1 }, { "more_full_rate", EXP_BOOL, 0 }, { "more_fits", EXP_BOOL, 0 },
	{ "stops_on", EXP_TEXT, 0 },	{ "holds", EXP_BOOL, 0 },
};
const unsigned int exp_num_arithmetic_cols = sizeof(exp_arithmetic_cols) / sizeof(exp_arithmetic_cols[0]);

static int arithmetic_tune(struct exp_spec *spec, const struct exp_point *p, char err[EXP_ERR_MAX])
{
	snprintf(spec->profile[EXP_NIC], EXP_PATH_MAX, "nic-100g");
	snprintf(spec->profile[EXP_SWITCH], EXP_PATH_MAX, "pex88096");
	snprintf(spec->profile[EXP_HOST], EXP_PATH_MAX, "%s", claims[p->variant].host);
	return exp_spec_set(spec, "nic.pcie_width", "8", 0, err);
}

static int arithmetic_row(struct exp_grid *g, unsigned int k, struct exp_config *c, struct exp_cell *cell,
			  char err[EXP_ERR_MAX])
{
	bool full[2], fits[2];
	char name[64] = "", text[EXP_CELL_MAX];
	const char *kind;
	unsigned int i;
	double use;
	int rc;

	for (i = 0; i < 2; i++) {
		const struct exp_result *res = &g->result[2 * k + i];

		rc = exp_grid_make(g, 2 * k + i, c, err);
		if (rc)
			return rc;
		full[i] = res->gbps >= EXP_FULL_RATE * res->offered_gbps;
		fits[i] = !c->lanes_short;
		exp_cell_number(&cell[1 + 4 * i], g->point[2 * k + i].s.ports);
		exp_cell_number(&cell[2 + 4 * i], res->gbps);
		exp_cell_number(&cell[3 + 4 * i], full[i]);
		exp_cell_number(&cell[4 + 4 * i], fits[i]);
	}
	exp_cell_text(&cell[0], claims[k].text);
	if (!fits[1]) {
		snprintf(text, sizeof(text), "%u lanes, %u needed", c->lanes_budget, c->lanes_used);
	} else {
		exp_bottleneck(&g->result[2 * k + 1], name, &kind, &use);
		snprintf(text, sizeof(text), "%s", name);
	}
	exp_cell_text(&cell[9], text);
	exp_cell_number(&cell[10], full[0] && fits[0] && !(full[1] && fits[1]));
	return 0;
}

int exp_arithmetic(const struct exp_request *r, struct exp_table *t, char err[EXP_ERR_MAX])
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_grid g;
	unsigned int k;
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!c)
		return -ENOMEM;
	rc = exp_grid_init(&g, r, 2 * CLAIMS, err);
	if (rc) {
		free(c);
		return rc;
	}
	g.any_lanes = true;
	g.tune = arithmetic_tune;
	for (k = 0; k < 2 * CLAIMS; k++) {
		const struct claim *claim = &claims[k / 2];
		struct exp_point *p = exp_grid_add(&g, "%s", claim->text);

		p->variant = k / 2;
		p->s.topology = claim->topology;
		p->s.pattern = claim->pattern;
		p->s.method = claim->method;
		p->s.ports = k % 2 ? claim->more : claim->ports;
		p->s.ports_per_nic = 1;
		p->s.frame_bytes = 1518;
		p->s.batch = claim->method == EXP_TESTPMD ? 32 : r->spec.s.batch;
		exp_point_time(r, p, 100, 40);
	}
	rc = exp_grid_run(&g, err);
	for (k = 0; !rc && k < CLAIMS; k++) {
		struct exp_cell *cell = exp_table_row(t);

		rc = cell ? arithmetic_row(&g, k, c, cell, err) : -ENOMEM;
	}
	exp_grid_free(&g);
	free(c);
	return rc;
}
