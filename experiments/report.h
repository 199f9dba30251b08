/* SPDX-License-Identifier: BSD-3-Clause */
/* What an experiment has to say, and its forms; and the points that lead there. */
#ifndef EXPERIMENTS_REPORT_H
#define EXPERIMENTS_REPORT_H

#include "exp.h"
#include "pool.h"
#include "table.h"

#define EXP_MAX_NOTES 8
#define EXP_LABEL_MAX 96

/* ---- points ---- */
struct exp_point {
	struct exp_settings s;
	char label[EXP_LABEL_MAX];
	unsigned int variant; /* tune's */
};
struct exp_grid {
	const struct exp_request *r;
	unsigned int n;
	struct exp_point *point;
	struct exp_result *result; /* of the same number */
	bool any_lanes;
	/* More of a point than its settings; NULL: nothing. */
	int (*tune)(struct exp_spec *spec, const struct exp_point *p, char err[EXP_ERR_MAX]);
};
/* Room for at most `points`; -ENOMEM and err. */
int exp_grid_init(struct exp_grid *g, const struct exp_request *r, unsigned int points, char err[EXP_ERR_MAX]);
void exp_grid_free(struct exp_grid *g);
/* Another point: the request's settings, for the caller to change. */
struct exp_point *exp_grid_add(struct exp_grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* exp_pool's make, for a struct exp_grid. */
int exp_grid_make(void *arg, unsigned int k, struct exp_config *c, char err[EXP_ERR_MAX]);
int exp_grid_run(struct exp_grid *g, char err[EXP_ERR_MAX]);
/* How long to measure, unless the user said. */
void exp_point_time(const struct exp_request *r, struct exp_point *p, double warmup_us, double duration_us);

/* ---- reports ---- */
struct exp_report {
	const char *title;
	struct exp_table rows;
	const char *notes[EXP_MAX_NOTES];
	unsigned int num_notes;
	const struct exp_grid *grid; /* whose bottlenecks are told; NULL: none */
	struct json_object *more;    /* members beside rows; taken; NULL: none */
	/* Writes gnuplot commands, output and terminal excepted.  NULL: this experiment has no plot. */
	void (*plot)(const struct exp_report *rep, FILE *script);
	const void *arg;             /* plot's */
	unsigned int plot_width, plot_height; /* 0: 800 x 500 */
};
void exp_report_note(struct exp_report *rep, const char *text);
/* Table (not if `to` is NULL) or JSON to `to`, --csv and --svg to their files. */
int exp_report_emit(const struct exp_request *r, struct exp_report *rep, FILE *to, char err[EXP_ERR_MAX]);

/* A bottleneck's name and kind, or "none" and "": of a run. */
void exp_bottleneck(const struct exp_result *r, char name[64], const char **kind, double *use);

/* plot.c: `script` makes `path` through gnuplot. */
int exp_plot(const char *path, const char *script, unsigned int width, unsigned int height, char err[EXP_ERR_MAX]);

/* ---- experiments ---- */
typedef int exp_fn(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX]);
exp_fn exp_fig5, exp_fig6, exp_fig7, exp_table1, exp_batch, exp_scale, exp_dma, exp_iommu, exp_single, exp_sweep;
exp_fn exp_sensitivity, exp_validate, exp_speed;
extern const unsigned int exp_paper_frames[];
#define EXP_PAPER_FRAMES 7

/* The rate of a port whose frames leave without a pause. */
double exp_wire_mpps(double gbps, unsigned int frame_bytes);

#endif
