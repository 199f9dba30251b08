/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A study: how what is predicted depends on what is not known exactly.
 *
 *   draw 0           every parameter at its value
 *   draws 1 ...      each parameter that has a range at its low and at its high end, alone
 *   then `samples`   all of them at once, a Latin hypercube: each range is cut into as many
 *                    equal pieces as there are draws, and each piece is drawn from once
 *
 * Each draw is `runs` runs, from which each figure is one number.  The predicted interval
 * is from the 5th to the 95th percentile of the samples, the value at draw 0 included in it.
 */
#ifndef EXPERIMENTS_STUDY_H
#define EXPERIMENTS_STUDY_H

#include "report.h"

#define EXP_MAX_VARIED 192

struct exp_varied {
	enum exp_kind kind;
	char profile[EXP_PATH_MAX];
	unsigned int param; /* in exp_params(kind) */
	double value, low, high;
};

struct exp_study {
	const struct exp_request *r;
	unsigned int runs;              /* of a draw */
	const struct exp_settings *run;
	unsigned int samples;
	unsigned int num_varied;        /* filled by exp_study_run(), as the rest */
	struct exp_varied varied[EXP_MAX_VARIED];
	unsigned int draws;
	double *drawn;                  /* [draws][num_varied] */
	struct exp_result *result;      /* [draws][runs] */
};

int exp_study_run(struct exp_study *s, char err[EXP_ERR_MAX]);
void exp_study_free(struct exp_study *s);
static inline const struct exp_result *exp_study_draw(const struct exp_study *s, unsigned int draw)
{
	return &s->result[(size_t)draw * s->runs];
}
/* Draws of one parameter alone: at its low, at its high end. */
static inline unsigned int exp_study_alone(unsigned int varied, bool high)
{
	return 1 + 2 * varied + high;
}
/* "nic.workers" */
void exp_varied_name(const struct exp_varied *v, char name[EXP_CELL_MAX]);

/* What makes a prediction right (docs/validation.md): numbers by their interval, orders and thresholds by the value. */
enum exp_judge {
	EXP_UNPUBLISHED = 0,
	EXP_BY_INTERVAL,
	EXP_BY_VALUE
};

/* One number of a draw; arg is the figure's. */
typedef double exp_figure_fn(const struct exp_result *draw, const void *arg);
struct exp_figure {
	const char *name, *what;
	exp_figure_fn *of;
	const void *arg;
	unsigned int decimals;
	enum exp_judge judge; /* low to high was published */
	double low, high;
};
/* Table, effects and notes of a study. */
int exp_study_emit(const struct exp_study *s, const struct exp_figure *f, unsigned int n, const char *title, FILE *to,
		   char err[EXP_ERR_MAX]);

#endif
