/* SPDX-License-Identifier: BSD-3-Clause */
/* One run of `bench forward`: what is measured, and what came out. */
#ifndef BENCH_FORWARD_BENCH_H
#define BENCH_FORWARD_BENCH_H

#include "stats.h"
#include "subject.h"
#include "tester/tester.h"

/* A row is bound by the generator if that could not have sent a fifth more, or if the forwarder could have taken it. */
#define FWD_BOUND_MARGIN 1.2
#define FWD_COMMON_BPS 1e9 /* the load at which all latencies can be compared */

/* Loads at which latency is measured: X(name, key, percent of its own maximum, 0: the common rate) */
#define FWD_LOADS(X) X(10, "10", 10) X(50, "50", 50) X(90, "90", 90) X(COMMON, "common", 0)
enum fwd_load {
#define X(name, key, percent) FWD_LOAD_##name,
	FWD_LOADS(X)
#undef X
	FWD_NUM_LOADS
};
extern const char *const fwd_load_keys[FWD_NUM_LOADS];

/* An entry at one frame size. One sample a round, NAN where there is none. */
struct fwd_cell {
	struct fwd_setup setup; /* its best, or the one asked for */
	double mpps[FWD_MAX_ROUNDS];
	double cycles[FWD_MAX_ROUNDS];     /* busy, per forwarded frame */
	double busy[FWD_MAX_ROUNDS];       /* share of its time that those are, 0 to 1 */
	double p50[FWD_NUM_LOADS][FWD_MAX_ROUNDS], p99[FWD_NUM_LOADS][FWD_MAX_ROUNDS]; /* ns */
	uint64_t lost;           /* below saturation */
	uint64_t lost_saturated; /* when given more than it can take */
	uint64_t corrupted, reordered, duplicated, foreign;
	uint64_t checked;        /* frames of which every byte was looked at */
	unsigned int repeated;   /* measurements done again since a core was taken away or moved */
	unsigned int disturbed;  /* kept all the same: the last try was no better */
};

/* What is measured beside each other. */
struct fwd_entry {
	const struct fwd_subject *subject; /* NULL: the generator, looped to its sink */
	bool zero_copy;
	bool spread;                /* with many destinations */
	bool against;               /* p2pnic: the request's other build */
	bool by_rate;               /* cycles are the core's whole time, for want of a counter */
	bool gone;                  /* not measured, or no further */
	char why[FWD_ERR_MAX];      /* then */
	struct fwd_cell *cell;      /* one a frame size */
};

struct fwd_bench {
	const struct fwd_request *req;
	struct fwd_env env;
	struct fwd_entry entry[FWD_MAX_ENTRIES];
	unsigned int n;
	unsigned int rounds; /* done */
	unsigned int done, todo; /* measurements, for the progress line */
	unsigned int serial; /* of sockets */
	double distance_ns;  /* of the cores, at their nearest: only then is measured; NAN: it can't be told */
	double pace_ns;      /* the same of their speed: fwd_pace_ns() */
	uint64_t waited_ns;  /* for them to be as near and as fast again */
};

/* forward.c. A run with its entries; *out is left alone on failure. */
int fwd_bench_create(struct fwd_bench **out, const struct fwd_request *req, char err[FWD_ERR_MAX]);
void fwd_bench_destroy(struct fwd_bench *b);
/* Looks for the entry's best setup at every frame size. */
int fwd_bench_tune(struct fwd_bench *b, struct fwd_entry *e, char err[FWD_ERR_MAX]);

const char *fwd_entry_name(const struct fwd_entry *e);
/* With what else tells it apart: "l3fwd zero-copy, many destinations", "p2pnic-wr against". */
#define FWD_LABEL_MAX 64
const char *fwd_entry_label(const struct fwd_entry *e, char label[FWD_LABEL_MAX]);
/* What tables say of it beside its name: "yes" for zero-copy, "other" for the other build, or "". */
const char *fwd_entry_variant(const struct fwd_entry *e);
/* Destinations of its frames. */
unsigned int fwd_entry_destinations(const struct fwd_entry *e);
/* The entry of the same subject, of this build; NULL: there is none. */
const struct fwd_entry *fwd_entry_own(const struct fwd_bench *b, const struct fwd_entry *against);
bool fwd_stopped(const struct fwd_bench *b);
double fwd_common_pps(unsigned int frame_bytes);

/* ---- near.c: the cores' distance, which the hypervisor changes under our eyes ---- */
/* Of the next second or so, or with much patience of the next ten, the least. */
void fwd_near_init(struct fwd_bench *b);
/* Are they as near as they were? */
bool fwd_near(const struct fwd_bench *b);
/* Waits until they are, as long as the run has patience left. */
void fwd_near_wait(struct fwd_bench *b);

/* ---- session.c: a forwarder that runs, between the cables' far ends ---- */
struct fwd_session {
	struct fwd_bench *b;
	struct fwd_entry *e;
	struct tester *tester;
	struct fwd_forwarder f;
	struct quiet_target watch[QUIET_MAX_TARGETS / 2];
	unsigned int watched;
};
/* 0 with both links up, or -errno with err: nothing is left then. sleeps: p2pnic doesn't poll. */
int fwd_session_open(struct fwd_session *s, struct fwd_bench *b, struct fwd_entry *e, const struct fwd_setup *setup,
		     bool sleeps, char err[FWD_ERR_MAX]);
void fwd_session_close(struct fwd_session *s);
/*
 * One run of the tester, done again while a core was taken away or moved further off, `repeats` times at most (0: wherever
 * they are); the least disturbed counts, and cell (NULL: nobody) learns of it. cycles (may be NULL): busy cycles a frame,
 * NAN where the forwarder doesn't count them.
 */
#define FWD_REPEATS 3
int fwd_session_run(struct fwd_session *s, struct tester_load *load, unsigned int repeats, struct tester_result *res,
		    double *cycles, struct fwd_cell *cell, char err[FWD_ERR_MAX]);

/* ---- measure.c: what is done with a session, at one frame size ---- */
/* What all measurements of a session have in common. */
struct tester_load fwd_measure_load(const struct fwd_session *s, unsigned int frame_bytes, double seconds);
/* Throughput, and then latency if wanted, into the round's samples. */
int fwd_measure_round(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX]);
/* A short look at how fast it is. */
int fwd_measure_glance(struct fwd_session *s, unsigned int frame_bytes, double *mpps, char err[FWD_ERR_MAX]);
/* Every frame checked, at a moderate rate and then at what it takes. */
int fwd_measure_check(struct fwd_session *s, unsigned int frame, char err[FWD_ERR_MAX]);

/* ---- raw.c: raw-copy's sample of a round ---- */
int fwd_measure_raw(struct fwd_bench *b, struct fwd_entry *e, unsigned int frame, unsigned int round,
		    char err[FWD_ERR_MAX]);

/* ---- flowgen.c: testpmd drives ---- */
int fwd_flowgen_round(struct fwd_bench *b, struct fwd_entry *e, unsigned int frame, unsigned int round,
		      char err[FWD_ERR_MAX]);

/* ---- rows.c: what came out ---- */
struct fwd_row {
	const struct fwd_entry *e;
	const struct fwd_cell *cell;
	unsigned int frame_bytes;
	struct fwd_spread mpps;
	double cycles; /* median */
	bool generator_bound;
	double p50[FWD_NUM_LOADS], p99[FWD_NUM_LOADS];
};
/* Of entry k at frame f: false if nothing was measured. */
bool fwd_row(const struct fwd_bench *b, unsigned int k, unsigned int f, struct fwd_row *row);
/* Frames lost below saturation, corrupted, reordered, duplicated or foreign, of all rows of this build's. */
bool fwd_clean(const struct fwd_bench *b);

/* ---- goals.c ---- */
struct fwd_goal_result {
	const char *what;
	unsigned int frame_bytes;
	unsigned int destinations;
	const char *by;   /* "mpps", "cycles" where a row is generator-bound, "p50_ns" */
	double value;     /* NAN: something of it was not measured, and then it is left out */
	struct fwd_spread rounds; /* of the rounds' ratios; its median is value */
	double goal;      /* 0: only reported */
	bool at_most;
	bool reached;
};
#define FWD_MAX_GOALS 96
unsigned int fwd_goals(const struct fwd_bench *b, struct fwd_goal_result g[FWD_MAX_GOALS]);

/* ---- report.c, json.c, plot.c ---- */
void fwd_progress(const struct fwd_bench *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void fwd_progress_end(const struct fwd_bench *b);
int fwd_report(const struct fwd_bench *b, FILE *to, char err[FWD_ERR_MAX]);
/* A new object. */
struct json_object *fwd_json(const struct fwd_bench *b);
int fwd_plot(const struct fwd_bench *b, const char *path, char err[FWD_ERR_MAX]);

#endif
