/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each way of copying and summing a frame costs (boards/soft/copy.h), in the copier's own cache and out of what
 * another core has just written (bench/raw_copy.h), the routines in turn, in an order that every round draws anew.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "bench/raw_copy.h"
#include "boards/soft/copy.h"
#include "boards/soft/clock.h"
#include "experiments/table.h"

#define COPY_DEPTH 1024u
#define COPY_REPEATS 20 /* samples are short, so that some are not disturbed on a machine that is not ours alone */
#define COPY_PAUSE_NS 5000000l
#define COPY_MAX_ROUTINES (SOFT_NUM_COPY_PATHS + 1)

struct copy_routine {
	const char *name;
	uint32_t (*copy_sum)(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride);
	bool used;
};

struct copy_cell {
	double own[FWD_MAX_ROUNDS], crossed[FWD_MAX_ROUNDS]; /* ticks a frame; NAN: none undisturbed */
};

struct copy_bench {
	struct fwd_bench b; /* for the cores' distance alone */
	struct copy_routine routine[COPY_MAX_ROUTINES];
	unsigned int routines, far, disturbed; /* samples thrown away */
	struct copy_cell cell[COPY_MAX_ROUTINES * FWD_MAX_FRAMES];
};

static const struct exp_col copy_cols[] = {
	{ "routine", EXP_TEXT, 0 },       { "frame_bytes", EXP_NUMBER, 0 }, { "own_ns", EXP_NUMBER, 2 },
	{ "own_cycles", EXP_NUMBER, 1 },  { "crossed_ns", EXP_NUMBER, 2 },  { "crossed_cycles", EXP_NUMBER, 1 },
	{ "crossed_min", EXP_NUMBER, 1 }, { "crossed_max", EXP_NUMBER, 1 }, { "samples", EXP_NUMBER, 0 },
	{ "used", EXP_BOOL, 0 },
};

static void copy_routines(struct copy_bench *c)
{
	const struct soft_copy_ops *ops;
	int path;

	for (path = 0; path < SOFT_NUM_COPY_PATHS; path++) {
		ops = soft_copy_path_ops(path);
		if (ops)
			c->routine[c->routines++] = (struct copy_routine){ soft_copy_path_name(path), ops->copy_sum, false };
	}
	c->routine[c->routines++] = (struct copy_routine){ "board", soft_copy_board, true };
}

/* One sample of either kind; NAN if there was none without anybody else on the cores, or none that near. */
static int copy_sample(struct copy_bench *c, const struct raw_copy_opts *o, bool own, double *ticks)
{
	struct raw_copy_result r;
	unsigned int tries;
	int rc = 0;

	*ticks = NAN;
	for (tries = 0; tries < COPY_REPEATS && isnan(*ticks) && !fwd_stopped(&c->b); tries++) {
		if (!own && !fwd_near(&c->b)) {
			c->far++;
			nanosleep(&(struct timespec){ 0, COPY_PAUSE_NS }, NULL);
			continue;
		}
		rc = own ? raw_copy_own(o, &r) : raw_copy_run(o, &r);
		if (rc)
			return rc;
		if (!r.frames || r.preempted)
			c->disturbed++;
		else if (!own && !fwd_near(&c->b))
			c->far++;
		else
			*ticks = r.cycles_per_packet;
	}
	return 0;
}

static int copy_samples(struct copy_bench *c, unsigned int k, unsigned int frame, unsigned int round)
{
	const struct fwd_request *req = c->b.req;
	struct copy_cell *cell = &c->cell[k * FWD_MAX_FRAMES + frame];
	const struct raw_copy_opts o = {
		.frame_bytes = req->frames[frame] - 4,
		.depth = COPY_DEPTH,
		.seconds = req->seconds,
		.writer_core = req->cpu_gen,
		.copier_core = req->cpu_fwd,
		.copy_sum = c->routine[k].copy_sum,
	};
	int rc = copy_sample(c, &o, true, &cell->own[round]);

	return rc ? rc : copy_sample(c, &o, false, &cell->crossed[round]);
}

static int copy_rounds(struct copy_bench *c)
{
	const struct fwd_request *req = c->b.req;
	unsigned int order[COPY_MAX_ROUTINES], round, frame, k;
	int rc;

	for (round = 0; round < req->rounds; round++) {
		for (frame = 0; frame < req->num_frames; frame++) {
			fwd_shuffle(order, c->routines, round * FWD_MAX_FRAMES + frame + 1);
			for (k = 0; k < c->routines; k++) {
				if (fwd_stopped(&c->b))
					return -ECANCELED;
				rc = copy_samples(c, order[k], frame, round);
				if (rc)
					return rc;
			}
		}
	}
	return 0;
}

/* Empty if there was no sample. */
static void copy_number(struct exp_cell *c, double v)
{
	if (!isnan(v))
		exp_cell_number(c, v);
}

static int copy_table(struct copy_bench *c, struct exp_table *t)
{
	const struct fwd_request *req = c->b.req;
	double ns = 1e9 / (double)soft_tick_hz();
	unsigned int frame, k;
	struct fwd_spread own, crossed;
	struct exp_cell *row;

	for (frame = 0; frame < req->num_frames; frame++) {
		for (k = 0; k < c->routines; k++) {
			row = exp_table_row(t);
			if (!row)
				return -ENOMEM;
			fwd_spread_of(&own, c->cell[k * FWD_MAX_FRAMES + frame].own, req->rounds);
			fwd_spread_of(&crossed, c->cell[k * FWD_MAX_FRAMES + frame].crossed, req->rounds);
			exp_cell_text(&row[0], c->routine[k].name);
			exp_cell_number(&row[1], req->frames[frame]);
			copy_number(&row[2], own.median * ns);
			copy_number(&row[3], own.median);
			copy_number(&row[4], crossed.median * ns);
			copy_number(&row[5], crossed.median);
			copy_number(&row[6], crossed.min);
			copy_number(&row[7], crossed.max);
			exp_cell_number(&row[8], crossed.n);
			exp_cell_number(&row[9], c->routine[k].used);
		}
	}
	return 0;
}

static int copy_report(struct copy_bench *c, FILE *to)
{
	const char *name = soft_copy_path_name(soft_copy_best());
	struct json_object *o;
	struct exp_table t;
	int rc;

	exp_table_init(&t, copy_cols, sizeof(copy_cols) / sizeof(copy_cols[0]));
	rc = copy_table(c, &t);
	if (!rc && c->b.req->json) {
		o = json_object_new_object();
		json_object_object_add(o, "rows", exp_table_json(&t));
		json_object_object_add(o, "path", json_object_new_string(name));
		json_object_object_add(o, "tick", json_object_new_string(soft_tick_name()));
		json_object_object_add(o, "tick_hz", json_object_new_uint64(soft_tick_hz()));
		json_object_object_add(o, "distance_ns", exp_json_number(c->b.distance_ns, 1));
		json_object_object_add(o, "far_samples", json_object_new_int((int)c->far));
		json_object_object_add(o, "disturbed_samples", json_object_new_int((int)c->disturbed));
		fprintf(to, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
		json_object_put(o);
	} else if (!rc) {
		exp_table_print(&t, to);
		fprintf(to,
			"\nThis CPU's path: %s; `board`: the same, but frames of one line inline. A tick (%s) is %.3f ns. The cores are %.0f ns"
			" apart. Not taken: %u times the cores were further apart, %u times somebody else was on one.\n",
			name, soft_tick_name(), 1e9 / (double)soft_tick_hz(), c->b.distance_ns, c->far, c->disturbed);
	}
	exp_table_free(&t);
	return rc;
}

int fwd_copy(const struct fwd_request *req, FILE *to, char err[FWD_ERR_MAX])
{
	struct copy_bench *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (c) {
		c->b.req = req;
		copy_routines(c);
		fwd_near_init(&c->b);
		rc = copy_rounds(c);
		if (!rc)
			rc = copy_report(c, to);
		free(c);
	}
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s", rc == -ECANCELED ? "interrupted" : strerror(-rc));
	return rc;
}
