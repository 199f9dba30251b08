/* SPDX-License-Identifier: BSD-3-Clause */
/* One run, told whole; and how fast the simulator is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "report.h"

static const struct exp_col port_cols[] = {
	{ "port", EXP_TEXT, 0 },     { "offered_mpps", EXP_NUMBER, 3 }, { "offered_gbps", EXP_NUMBER, 3 },
	{ "missed", EXP_NUMBER, 0 }, { "mpps", EXP_NUMBER, 3 },		{ "gbps", EXP_NUMBER, 3 },
};
static const struct exp_col resource_cols[] = {
	{ "resource", EXP_TEXT, 0 },
	{ "kind", EXP_TEXT, 0 },
	{ "use_percent", EXP_NUMBER, 1 },
};
static const struct exp_col total_cols[] = {
	{ "quantity", EXP_TEXT, 0 },
	{ "value", EXP_NUMBER, 3 },
	{ "what", EXP_TEXT, 0 },
};

static const struct {
	const char *name;
	size_t offset;
	const char *desc;
} totals[] = {
#define X(name, desc) { #name, offsetof(struct exp_result, name), desc },
	EXP_RESULTS(X)
#undef X
};
static const char *const drop_names[P2P_NUM_DROPS] = {
#define X(name, desc) #name,
	P2P_DROPS(X)
#undef X
};

static int single_tables(const struct exp_result *r, struct exp_table *ports, struct exp_table *resources,
			 struct exp_table *total)
{
	struct exp_cell *c;
	unsigned int k;

	for (k = 0; k < r->num_ports; k++) {
		c = exp_table_row(ports);
		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], r->port[k].name);
		exp_cell_number(&c[1], r->port[k].offered_mpps);
		exp_cell_number(&c[2], r->port[k].offered_gbps);
		exp_cell_number(&c[3], r->port[k].missed);
		exp_cell_number(&c[4], r->port[k].mpps);
		exp_cell_number(&c[5], r->port[k].gbps);
	}
	for (k = 0; k < r->num_res; k++) {
		c = exp_table_row(resources);
		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], r->res[k].name);
		exp_cell_text(&c[1], exp_res_kinds[r->res[k].kind]);
		exp_cell_number(&c[2], 100 * r->res[k].use);
	}
	for (k = 0; k < sizeof(totals) / sizeof(totals[0]); k++) {
		c = exp_table_row(total);
		if (!c)
			return -ENOMEM;
		exp_cell_text(&c[0], totals[k].name);
		exp_cell_number(&c[1], *(const double *)((const char *)r + totals[k].offset));
		exp_cell_text(&c[2], totals[k].desc);
	}
	return 0;
}

static struct json_object *single_json(const struct exp_result *r, const struct exp_table *ports,
				       const struct exp_table *resources)
{
	struct json_object *o = json_object_new_object(), *drops = json_object_new_object(),
			   *b = json_object_new_object();
	const char *kind;
	char name[64];
	unsigned int k;
	double use;

	for (k = 0; k < sizeof(totals) / sizeof(totals[0]); k++)
		json_object_object_add(o, totals[k].name,
				       exp_json_number(*(const double *)((const char *)r + totals[k].offset), 3));
	for (k = 0; k < P2P_NUM_DROPS; k++)
		if (r->drops[k] > 0)
			json_object_object_add(drops, drop_names[k], exp_json_number(r->drops[k], 0));
	json_object_object_add(o, "drops", drops);
	exp_bottleneck(r, name, &kind, &use);
	json_object_object_add(b, "name", json_object_new_string(name));
	json_object_object_add(b, "kind", json_object_new_string(kind));
	json_object_object_add(b, "use_percent", exp_json_number(100 * use, 1));
	json_object_object_add(o, "bottleneck", b);
	json_object_object_add(o, "ports", exp_table_json(ports));
	json_object_object_add(o, "resources", exp_table_json(resources));
	return o;
}

static void single_print(const struct exp_result *r, const struct exp_table *ports, const struct exp_table *resources,
			 const struct exp_table *total, FILE *to)
{
	const char *kind;
	char name[64];
	unsigned int k;
	double use;

	exp_table_print(total, to);
	fputc('\n', to);
	exp_table_print(ports, to);
	fputc('\n', to);
	exp_table_print(resources, to);
	fputc('\n', to);
	for (k = 0; k < P2P_NUM_DROPS; k++)
		if (r->drops[k] > 0)
			fprintf(to, "%.0f frames dropped: %s\n", r->drops[k], drop_names[k]);
	exp_bottleneck(r, name, &kind, &use);
	if (*kind)
		fprintf(to, "bottleneck: %s (%s), %.1f%% used\n", name, kind, 100 * use);
	else
		fprintf(to, "bottleneck: none; the busiest resource is %.1f%% used\n", 100 * use);
}

static void single_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_result *r = rep->arg;
	unsigned int k;

	fputs("$u << EOD\n", f);
	for (k = 0; k < r->num_res; k++)
		fprintf(f, "\"%s\" %.3f\n", r->res[k].name, 100 * r->res[k].use);
	fputs("EOD\nset title 'Utilisation'\nset ylabel 'percent'\nset yrange [0:105]\nset style fill solid 0.6\nset "
	      "boxwidth 0.7\n"
	      "set xtics rotate by -60 noenhanced\nset grid ytics\nplot $u using 2:xtic(1) with boxes notitle\n",
	      f);
}

int exp_single(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = "One run", .plot = single_plot };
	struct exp_table resources, total;
	struct exp_grid g;
	int rc;

	if (r->spec.num_axes)
		return snprintf(err, EXP_ERR_MAX,
				"%.200s:%u: key 'sweep': `p2pnic sim run` runs one point; `p2pnic sim sweep` runs them "
				"all",
				r->spec.path, r->spec.axis[0].line),
		       -EINVAL;
	rc = exp_grid_init(&g, r, 1, err);
	if (rc)
		return rc;
	exp_grid_add(&g, "%s", exp_methods[r->spec.s.method]);
	exp_table_init(&rep.rows, port_cols, sizeof(port_cols) / sizeof(port_cols[0]));
	exp_table_init(&resources, resource_cols, sizeof(resource_cols) / sizeof(resource_cols[0]));
	exp_table_init(&total, total_cols, sizeof(total_cols) / sizeof(total_cols[0]));
	rep.arg = &g.result[0];
	rc = exp_grid_run(&g, err);
	if (!rc) {
		rc = single_tables(&g.result[0], &rep.rows, &resources, &total);
		snprintf(err, EXP_ERR_MAX, "out of memory");
	}
	if (!rc && !r->json)
		single_print(&g.result[0], &rep.rows, &resources, &total, to);
	if (!rc && r->json)
		rep.more = single_json(&g.result[0], &rep.rows, &resources);
	if (!rc)
		rc = exp_report_emit(r, &rep, r->json ? to : NULL, err);
	exp_table_free(&rep.rows);
	exp_table_free(&resources);
	exp_table_free(&total);
	exp_grid_free(&g);
	return rc;
}

/* ---- speed ---- */
static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct exp_col speed_cols[] = {
	{ "packets", EXP_NUMBER, 0 }, { "hops", EXP_NUMBER, 0 },       { "events", EXP_NUMBER, 0 },
	{ "wall_s", EXP_NUMBER, 3 },  { "max_rss_kb", EXP_NUMBER, 0 },
};

/* All of it in this process, bring-up and warm-up included in the time but not in the packets: no better than it is. */
int exp_speed(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_spec *spec = malloc(sizeof(*spec));
	struct exp_table t;
	struct exp_result res = { 0 };
	struct json_object *rows;
	struct rusage use;
	struct exp_cell *cell;
	double begin = now_s();
	int rc = -ENOMEM;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	exp_table_init(&t, speed_cols, sizeof(speed_cols) / sizeof(speed_cols[0]));
	if (!c || !spec)
		goto free_all;
	*spec = r->spec;
	if (!r->time_set) {
		spec->s.warmup_us = 100;
		spec->s.duration_us = 50000;
	}
	rc = exp_config_make(spec, false, c, err);
	if (!rc)
		rc = exp_run(c, NULL, &res, err);
	if (rc)
		goto free_all;
	cell = exp_table_row(&t);
	if (!cell) {
		rc = -ENOMEM;
		goto free_all;
	}
	getrusage(RUSAGE_SELF, &use);
	exp_cell_number(&cell[0], res.packets);
	exp_cell_number(&cell[1], res.hops);
	exp_cell_number(&cell[2], res.events);
	exp_cell_number(&cell[3], now_s() - begin);
	exp_cell_number(&cell[4], (double)use.ru_maxrss);
	if (r->json) {
		rows = exp_table_json(&t);
		fprintf(to, "%s\n",
			json_object_to_json_string_ext(json_object_array_get_idx(rows, 0),
						       JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
		json_object_put(rows);
	} else {
		exp_table_print(&t, to);
	}
free_all:
	exp_result_free(&res);
	exp_table_free(&t);
	free(spec);
	free(c);
	return rc;
}
