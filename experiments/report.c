/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

int exp_grid_init(struct exp_grid *g, const struct exp_request *r, unsigned int points, char err[EXP_ERR_MAX])
{
	*g = (struct exp_grid){ .r = r };
	g->point = calloc(points + 1, sizeof(*g->point));
	g->result = calloc(points + 1, sizeof(*g->result));
	if (g->point && g->result)
		return 0;
	exp_grid_free(g);
	snprintf(err, EXP_ERR_MAX, "out of memory");
	return -ENOMEM;
}

void exp_grid_free(struct exp_grid *g)
{
	unsigned int k;

	for (k = 0; g->result && k < g->n; k++)
		exp_result_free(&g->result[k]);
	free(g->point);
	free(g->result);
	g->point = NULL;
	g->result = NULL;
}

struct exp_point *exp_grid_add(struct exp_grid *g, const char *fmt, ...)
{
	struct exp_point *p = &g->point[g->n++];
	va_list ap;

	p->s = g->r->spec.s;
	va_start(ap, fmt);
	vsnprintf(p->label, sizeof(p->label), fmt, ap);
	va_end(ap);
	return p;
}

void exp_point_time(const struct exp_request *r, struct exp_point *p, double warmup_us, double duration_us)
{
	if (r->time_set)
		return;
	p->s.warmup_us = warmup_us;
	p->s.duration_us = duration_us;
}

int exp_grid_make(void *arg, unsigned int k, struct exp_config *c, char err[EXP_ERR_MAX])
{
	const struct exp_grid *g = arg;
	struct exp_spec *spec = malloc(sizeof(*spec));
	int rc = 0;

	if (!spec) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	*spec = g->r->spec;
	spec->s = g->point[k].s;
	if (g->tune)
		rc = g->tune(spec, &g->point[k], err);
	if (!rc)
		rc = exp_config_make(spec, g->any_lanes, c, err);
	free(spec);
	return rc;
}

int exp_grid_run(struct exp_grid *g, char err[EXP_ERR_MAX])
{
	struct exp_pool pool = { .points = g->n,
				 .jobs = g->r->jobs,
				 .progress = g->r->progress,
				 .make = exp_grid_make,
				 .arg = g,
				 .trace = { g->r->trace, g->r->trace_limit } };

	return exp_pool_run(&pool, g->result, err);
}

/* ---- reports ---- */
void exp_report_note(struct exp_report *rep, const char *text)
{
	if (rep->num_notes < EXP_MAX_NOTES)
		rep->notes[rep->num_notes++] = text;
}

void exp_bottleneck(const struct exp_result *r, char name[64], const char **kind, double *use)
{
	const struct exp_resource *busiest = exp_result_busiest(r);
	bool full = busiest && busiest->use >= EXP_SATURATED;

	snprintf(name, 64, "%s", full ? busiest->name : "none");
	*kind = full ? exp_res_kinds[busiest->kind] : "";
	*use = busiest ? busiest->use : 0;
}

static const struct exp_col bottleneck_cols[] = {
	{ "run", EXP_TEXT, 0 },	      { "bottleneck", EXP_TEXT, 0 },	{ "kind", EXP_TEXT, 0 },
	{ "busiest", EXP_TEXT, 0 },   { "use_percent", EXP_NUMBER, 1 }, { "missed", EXP_NUMBER, 0 },
	{ "dropped", EXP_NUMBER, 0 }, { "corrupted", EXP_NUMBER, 0 },	{ "reordered", EXP_NUMBER, 0 },
};

static int report_bottlenecks(const struct exp_grid *g, struct exp_table *t)
{
	unsigned int k;

	exp_table_init(t, bottleneck_cols, sizeof(bottleneck_cols) / sizeof(bottleneck_cols[0]));
	for (k = 0; k < g->n; k++) {
		const struct exp_resource *busiest = exp_result_busiest(&g->result[k]);
		struct exp_cell *c = exp_table_row(t);
		const char *kind;
		char name[64];
		double use;

		if (!c)
			return -ENOMEM;
		exp_bottleneck(&g->result[k], name, &kind, &use);
		exp_cell_text(&c[0], g->point[k].label);
		exp_cell_text(&c[1], name);
		exp_cell_text(&c[2], kind);
		exp_cell_text(&c[3], busiest ? busiest->name : "");
		exp_cell_number(&c[4], 100 * use);
		exp_cell_number(&c[5], g->result[k].missed);
		exp_cell_number(&c[6], g->result[k].dropped);
		exp_cell_number(&c[7], g->result[k].corrupted);
		exp_cell_number(&c[8], g->result[k].reordered);
	}
	return 0;
}

static struct json_object *report_json(const struct exp_request *r, struct exp_report *rep, const struct exp_table *b)
{
	struct json_object *o = json_object_new_object(), *notes = json_object_new_array();
	unsigned int k;

	json_object_object_add(o, "experiment", json_object_new_string(r->experiment));
	json_object_object_add(o, "seed", json_object_new_int64(r->spec.s.seed));
	if (rep->rows.col)
		json_object_object_add(o, "rows", exp_table_json(&rep->rows));
	if (rep->more) {
		json_object_object_foreach(rep->more, key, v) json_object_object_add(o, key, json_object_get(v));
		json_object_put(rep->more);
		rep->more = NULL;
	}
	if (rep->grid)
		json_object_object_add(o, "bottlenecks", exp_table_json(b));
	for (k = 0; k < rep->num_notes; k++)
		json_object_array_add(notes, json_object_new_string(rep->notes[k]));
	json_object_object_add(o, "notes", notes);
	return o;
}

static int report_csv(const char *path, const struct exp_table *t, char err[EXP_ERR_MAX])
{
	FILE *f = fopen(path, "we");
	int rc;

	if (!f) {
		snprintf(err, EXP_ERR_MAX, "--csv %.300s: %s", path, strerror(errno));
		return -errno;
	}
	rc = exp_table_csv(t, f);
	if (fclose(f) && !rc)
		rc = -errno;
	if (rc)
		snprintf(err, EXP_ERR_MAX, "--csv %.300s: %s; is the disk full?", path, strerror(-rc));
	return rc;
}

static int report_svg(const struct exp_request *r, const struct exp_report *rep, char err[EXP_ERR_MAX])
{
	char *script = NULL;
	size_t len;
	FILE *f;
	int rc;

	if (!rep->plot) {
		snprintf(err, EXP_ERR_MAX, "--svg: %s has no plot", r->experiment);
		return -EINVAL;
	}
	f = open_memstream(&script, &len);
	if (!f)
		return -ENOMEM;
	rep->plot(rep, f);
	rc = fclose(f) ? -ENOMEM : 0;
	if (!rc)
		rc = exp_plot(r->svg, script, rep->plot_width ? rep->plot_width : 800,
			      rep->plot_height ? rep->plot_height : 500, err);
	free(script);
	return rc;
}

int exp_report_emit(const struct exp_request *r, struct exp_report *rep, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_table b = { 0 };
	struct json_object *o;
	unsigned int k;
	int rc = 0;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (rep->grid)
		rc = report_bottlenecks(rep->grid, &b);
	if (!rc && r->csv)
		rc = report_csv(r->csv, &rep->rows, err);
	if (!rc && r->svg)
		rc = report_svg(r, rep, err);
	if (!rc && r->json) {
		o = report_json(r, rep, &b);
		fprintf(to, "%s\n",
			json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else if (!rc && to) {
		fprintf(to, "%s\n\n", rep->title);
		if (rep->rows.col)
			exp_table_print(&rep->rows, to);
		if (rep->grid) {
			fputs("\nWhat held it up:\n\n", to);
			exp_table_print(&b, to);
		}
		for (k = 0; k < rep->num_notes; k++)
			fprintf(to, "%s%s\n", k ? "" : "\n", rep->notes[k]);
	}
	if (rep->more)
		json_object_put(rep->more);
	exp_table_free(&b);
	return rc;
}
