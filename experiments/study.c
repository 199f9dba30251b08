/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

/* ---- what is varied ---- */
static bool study_has(const struct exp_study *s, enum exp_kind kind, const char *profile)
{
	unsigned int k;

	for (k = 0; k < s->num_varied; k++)
		if (s->varied[k].kind == kind && !strcmp(s->varied[k].profile, profile))
			return true;
	return false;
}

/* Parameters with a range, but those that the user has set. */
static int study_add(struct exp_study *s, const struct exp_node *n, char err[EXP_ERR_MAX])
{
	struct exp_profile *p;
	unsigned int k, num;
	int rc;

	rc = exp_profile_load(n->kind, n->profile, &p, err);
	if (rc)
		return rc;
	exp_params(n->kind, &num);
	for (k = 0; k < num; k++) {
		const struct exp_value *v = &p->v[k];

		if (v->low == v->high || v->value != ((const double *)&n->p)[k])
			continue;
		if (s->num_varied == EXP_MAX_VARIED) {
			snprintf(err, EXP_ERR_MAX, "more than %d parameters have a range", EXP_MAX_VARIED);
			rc = -E2BIG;
			break;
		}
		s->varied[s->num_varied] = (struct exp_varied){
			.kind = n->kind, .param = k, .value = v->value, .low = v->low, .high = v->high
		};
		snprintf(s->varied[s->num_varied++].profile, EXP_PATH_MAX, "%s", n->profile);
	}
	exp_profile_free(p);
	return rc;
}

static int study_collect(struct exp_study *s, char err[EXP_ERR_MAX])
{
	struct exp_config *c = malloc(sizeof(*c));
	unsigned int k;
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!c)
		return -ENOMEM;
	rc = exp_config_make(&s->r->spec, false, c, err);
	for (k = 0; !rc && k < c->num_nodes; k++)
		if (!study_has(s, c->node[k].kind, c->node[k].profile))
			rc = study_add(s, &c->node[k], err);
	free(c);
	return rc;
}

void exp_varied_name(const struct exp_varied *v, char name[EXP_CELL_MAX])
{
	unsigned int n;

	snprintf(name, EXP_CELL_MAX, "%s.%s", exp_kinds[v->kind], exp_params(v->kind, &n)[v->param].name);
}

/* ---- draws ---- */
static uint64_t study_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* What the parameter may be, nearest to v. */
static double study_round(const struct exp_varied *v, double x)
{
	const struct exp_param *p;
	unsigned int n;

	p = &exp_params(v->kind, &n)[v->param];
	if (!strcmp(p->unit, "count") || !strcmp(p->unit, "bool"))
		return round(x);
	if (!strcmp(p->name, "mps") || !strcmp(p->name, "mrrs") || !strcmp(p->name, "rcb"))
		return exp2(round(log2(x)));
	if (!strcmp(p->unit, "lanes") || !strcmp(p->unit, "gen"))
		return x - v->low < v->high - x ? v->low : v->high;
	return x;
}

static int study_draw(struct exp_study *s)
{
	unsigned int k, d, first = 1 + 2 * s->num_varied, *piece;
	uint64_t state = s->r->spec.s.seed;

	s->draws = first + s->samples;
	s->drawn = malloc(sizeof(*s->drawn) * s->draws * (s->num_varied + 1));
	piece = malloc(sizeof(*piece) * (s->samples + 1));
	if (!s->drawn || !piece) {
		free(piece);
		return -ENOMEM;
	}
	for (d = 0; d < first; d++)
		for (k = 0; k < s->num_varied; k++)
			s->drawn[(size_t)d * s->num_varied + k] = d == exp_study_alone(k, false)  ? s->varied[k].low
								  : d == exp_study_alone(k, true) ? s->varied[k].high
												  : s->varied[k].value;
	for (k = 0; k < s->num_varied; k++) {
		const struct exp_varied *v = &s->varied[k];

		for (d = 0; d < s->samples; d++)
			piece[d] = d;
		for (d = s->samples; d-- > 1;) {
			unsigned int other = (unsigned int)(study_random(&state) % (d + 1)), was = piece[d];

			piece[d] = piece[other];
			piece[other] = was;
		}
		for (d = 0; d < s->samples; d++) {
			double in = (double)(study_random(&state) >> 11) * 0x1p-53;
			double x = v->low + (v->high - v->low) * (piece[d] + in) / s->samples;

			s->drawn[(size_t)(first + d) * s->num_varied + k] = study_round(v, x);
		}
	}
	free(piece);
	return 0;
}

static int study_make(void *arg, unsigned int k, struct exp_config *c, char err[EXP_ERR_MAX])
{
	const struct exp_study *s = arg;
	const double *drawn = s->drawn + (size_t)(k / s->runs) * s->num_varied;
	struct exp_spec *spec = malloc(sizeof(*spec));
	unsigned int i, v;
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!spec)
		return -ENOMEM;
	*spec = s->r->spec;
	spec->s = s->run[k % s->runs];
	rc = exp_config_make(spec, false, c, err);
	for (i = 0; !rc && i < c->num_nodes; i++)
		for (v = 0; v < s->num_varied; v++)
			if (s->varied[v].kind == c->node[i].kind && !strcmp(s->varied[v].profile, c->node[i].profile))
				((double *)&c->node[i].p)[s->varied[v].param] = drawn[v];
	free(spec);
	return rc;
}

int exp_study_run(struct exp_study *s, char err[EXP_ERR_MAX])
{
	struct exp_pool pool = {
		.jobs = s->r->jobs, .progress = s->r->progress, .end = s->r->end, .make = study_make, .arg = s
	};
	int rc;

	rc = study_collect(s, err);
	if (rc)
		return rc;
	snprintf(err, EXP_ERR_MAX, "out of memory");
	rc = study_draw(s);
	if (rc)
		return rc;
	pool.points = s->draws * s->runs;
	s->result = calloc(pool.points, sizeof(*s->result));
	if (!s->result)
		return -ENOMEM;
	return exp_pool_run(&pool, s->result, err);
}

void exp_study_free(struct exp_study *s)
{
	unsigned int k;

	for (k = 0; s->result && k < s->draws * s->runs; k++)
		exp_result_free(&s->result[k]);
	free(s->result);
	free(s->drawn);
	s->result = NULL;
	s->drawn = NULL;
}

/* ---- what comes out ---- */
static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct effect {
	unsigned int varied;
	double at_low, at_high, spread;
};

static int compare_effect(const void *a, const void *b)
{
	const struct effect *x = a, *y = b;

	if (x->spread != y->spread)
		return x->spread < y->spread ? 1 : -1;
	return (x->varied > y->varied) - (x->varied < y->varied);
}

struct summary {
	double value, low, high, holds; /* holds: share of samples within what was published */
	struct effect effect[EXP_MAX_VARIED]; /* the largest first */
};

static int study_summary(const struct exp_study *s, const struct exp_figure *f, struct summary *sum)
{
	unsigned int k, first = 1 + 2 * s->num_varied, in = 0, n = s->samples;
	double *v = malloc(sizeof(*v) * (n + 1));

	if (!v)
		return -ENOMEM;
	sum->value = f->of(exp_study_draw(s, 0), f->arg);
	for (k = 0; k < n; k++) {
		v[k] = f->of(exp_study_draw(s, first + k), f->arg);
		in += v[k] >= f->low && v[k] <= f->high;
	}
	qsort(v, n, sizeof(*v), compare_double);
	sum->low = n ? v[(unsigned int)(0.05 * (n - 1) + 0.5)] : sum->value;
	sum->high = n ? v[(unsigned int)(0.95 * (n - 1) + 0.5)] : sum->value;
	if (sum->value < sum->low)
		sum->low = sum->value;
	if (sum->value > sum->high)
		sum->high = sum->value;
	sum->holds = n ? (double)in / n : 0;
	free(v);
	for (k = 0; k < s->num_varied; k++) {
		struct effect *e = &sum->effect[k];
		double least, most;

		e->varied = k;
		e->at_low = f->of(exp_study_draw(s, exp_study_alone(k, false)), f->arg);
		e->at_high = f->of(exp_study_draw(s, exp_study_alone(k, true)), f->arg);
		least = fmin(sum->value, fmin(e->at_low, e->at_high));
		most = fmax(sum->value, fmax(e->at_low, e->at_high));
		e->spread = most - least;
	}
	qsort(sum->effect, s->num_varied, sizeof(sum->effect[0]), compare_effect);
	return 0;
}

#define STUDY_TOP 3 /* parameters named in the table */

static const struct exp_col study_cols[] = {
	{ "figure", EXP_TEXT, 0 },
	{ "published", EXP_TEXT, 0 },
	{ "predicted", EXP_TEXT, 0 },
	{ "low", EXP_TEXT, 0 },
	{ "high", EXP_TEXT, 0 },
	{ "inside", EXP_BOOL, 0 },
	{ "holds_percent", EXP_NUMBER, 0 },
	{ "most_sensitive", EXP_TEXT, 0 },
	{ "second", EXP_TEXT, 0 },
	{ "third", EXP_TEXT, 0 },
};
#define NUM_STUDY_COLS (sizeof(study_cols) / sizeof(study_cols[0]))

static void study_number(struct exp_cell *c, const struct exp_figure *f, double v)
{
	char text[EXP_CELL_MAX];

	snprintf(text, sizeof(text), "%.*f", (int)f->decimals, v);
	exp_cell_text(c, text);
}

static void study_published(struct exp_cell *c, const struct exp_figure *f)
{
	char text[EXP_CELL_MAX];

	if (isinf(f->high))
		snprintf(text, sizeof(text), "above %.*f", (int)f->decimals, f->low);
	else if (f->high - f->low <= pow(10, -(double)f->decimals) * 1.001)
		snprintf(text, sizeof(text), "%.*f", (int)f->decimals, (f->low + f->high) / 2);
	else
		snprintf(text, sizeof(text), "%.*f-%.*f", (int)f->decimals, f->low, (int)f->decimals, f->high);
	exp_cell_text(c, text);
}

static void study_row(const struct exp_study *s, const struct exp_figure *f, const struct summary *sum,
		      struct exp_cell *c)
{
	char name[EXP_CELL_MAX], text[EXP_CELL_MAX];
	unsigned int k;

	exp_cell_text(&c[0], f->name);
	study_number(&c[2], f, sum->value);
	study_number(&c[3], f, sum->low);
	study_number(&c[4], f, sum->high);
	if (f->judge != EXP_UNPUBLISHED) {
		bool by_value = f->judge == EXP_BY_VALUE;
		double low = by_value ? sum->value : sum->low, high = by_value ? sum->value : sum->high;

		study_published(&c[1], f);
		exp_cell_number(&c[5], low <= f->high && high >= f->low);
		exp_cell_number(&c[6], 100 * sum->holds);
	}
	for (k = 0; k < STUDY_TOP && k < s->num_varied; k++) {
		const struct effect *e = &sum->effect[k];

		if (e->spread == 0)
			break;
		exp_varied_name(&s->varied[e->varied], name);
		snprintf(text, sizeof(text), "%.40s %.*f..%.*f", name, (int)f->decimals, e->at_low, (int)f->decimals,
			 e->at_high);
		exp_cell_text(&c[7 + k], text);
	}
}

static struct json_object *study_effects(const struct exp_study *s, const struct exp_figure *f,
					 const struct summary *sum)
{
	struct json_object *all = json_object_new_array(), *o;
	char name[EXP_CELL_MAX];
	unsigned int k;

	for (k = 0; k < s->num_varied && sum->effect[k].spread > 0; k++) {
		const struct effect *e = &sum->effect[k];
		const struct exp_varied *v = &s->varied[e->varied];

		o = json_object_new_object();
		exp_varied_name(v, name);
		json_object_object_add(o, "parameter", json_object_new_string(name));
		json_object_object_add(o, "profile", json_object_new_string(v->profile));
		json_object_object_add(o, "value", exp_json_number(v->value, 4));
		json_object_object_add(o, "low", exp_json_number(v->low, 4));
		json_object_object_add(o, "high", exp_json_number(v->high, 4));
		json_object_object_add(o, "at_low", exp_json_number(e->at_low, f->decimals));
		json_object_object_add(o, "at_high", exp_json_number(e->at_high, f->decimals));
		json_object_array_add(all, o);
	}
	return all;
}

/* A bar for each figure's largest effects. */
static void study_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_table *t = &rep->rows;
	unsigned int k, columns = t->rows < 3 ? t->rows : 3;

	fprintf(f,
		"set multiplot layout %u,%u\nset grid ytics\nset style fill solid 0.5\nunset key\nset xrange "
		"[-1:1]\nunset xtics\n",
		(t->rows + columns - 1) / columns, columns);
	for (k = 0; k < t->rows; k++) {
		const struct exp_cell *c = exp_table_at(t, k, 0);

		fprintf(f, "set title '%s' noenhanced font ',10'\n$d << EOD\n0 %s %s %s\nEOD\n", c[0].text, c[2].text,
			c[3].text, c[4].text);
		fputs("set yrange [*:*]\nplot $d using 1:2:3:4 with yerrorbars lw 2 pt 7\n", f);
	}
	fputs("unset multiplot\n", f);
}

int exp_study_emit(const struct exp_study *s, const struct exp_figure *f, unsigned int n, const char *title, FILE *to,
		   char err[EXP_ERR_MAX])
{
	struct exp_report rep = { .title = title, .plot = study_plot, .plot_width = 1000, .plot_height = 900 };
	struct summary *sum = malloc(sizeof(*sum));
	struct json_object *effects, *figures, *o;
	unsigned int k;
	int rc = sum ? 0 : -ENOMEM;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	exp_table_init(&rep.rows, study_cols, NUM_STUDY_COLS);
	rep.more = json_object_new_object();
	figures = json_object_new_array();
	json_object_object_add(rep.more, "figures", figures);
	json_object_object_add(rep.more, "samples", json_object_new_int64(s->samples));
	json_object_object_add(rep.more, "parameters", json_object_new_int64(s->num_varied));
	for (k = 0; !rc && k < n; k++) {
		struct exp_cell *c = exp_table_row(&rep.rows);

		rc = c ? study_summary(s, &f[k], sum) : -ENOMEM;
		if (rc)
			break;
		study_row(s, &f[k], sum, c);
		effects = study_effects(s, &f[k], sum);
		o = json_object_new_object();
		json_object_object_add(o, "figure", json_object_new_string(f[k].name));
		json_object_object_add(o, "what", json_object_new_string(f[k].what));
		json_object_object_add(o, "effects", effects);
		json_object_array_add(figures, o);
	}
	exp_report_note(&rep,
			"low and high: 5th and 95th percentile of draws of all parameters at once from their ranges.");
	exp_report_note(
		&rep, "A parameter is followed by the figure at its low and its high end, all others at their values.");
	if (!rc)
		rc = exp_report_emit(s->r, &rep, to, err);
	else
		json_object_put(rep.more);
	exp_table_free(&rep.rows);
	free(sum);
	return rc;
}
