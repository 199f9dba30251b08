/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was aimed at, as ratios of two rows in one run, and what came out: the median of the rounds' ratios.  Where
 * either row is bound by the generator, frames per second say nothing and busy cycles a frame count.
 */
#include <math.h>
#include <string.h>

#include "bench.h"

/* GOAL_SPREAD: GOAL_RATE of rows with many destinations */
enum goal_kind { GOAL_RATE, GOAL_SPREAD, GOAL_BEST, GOAL_LATENCY, GOAL_DRIVEN };

struct goal {
	const char *what;
	enum goal_kind kind;
	const char *num;
	const char *den;
	bool den_zero_copy;
	unsigned int frame_bytes; /* 0: every size */
	double goal;              /* 0: only reported */
};

static const struct goal goals[] = {
	{ "wr / testpmd io", GOAL_RATE, "p2pnic-wr", "testpmd-io", false, 64, 3.44 },
	{ "wr / testpmd io", GOAL_RATE, "p2pnic-wr", "testpmd-io", false, 512, 1.5 },
	{ "wr / testpmd io", GOAL_RATE, "p2pnic-wr", "testpmd-io", false, 1518, 1.5 },
	{ "wr / testpmd io zero-copy", GOAL_RATE, "p2pnic-wr", "testpmd-io", true, 64, 1.7 },
	{ "cut / testpmd io zero-copy", GOAL_RATE, "p2pnic-cut", "testpmd-io", true, 0, 2.0 },
	{ "better of wr, cut / best of testpmd, l3fwd", GOAL_BEST, NULL, NULL, false, 0, 1.0 },
	{ "cycles of testpmd io / of wr, both driven by testpmd", GOAL_DRIVEN, "p2pnic-wr", "testpmd-io", false, 64, 2.5 },
	{ "p50 at 1 Gb/s: wr / testpmd io (first goal)", GOAL_LATENCY, "p2pnic-wr", "testpmd-io", false, 64, 0.64 },
	{ "p50 at 1 Gb/s: wr / testpmd io (then)", GOAL_LATENCY, "p2pnic-wr", "testpmd-io", false, 64, 0.21 },
	{ "wr / raw one-copy limit", GOAL_RATE, "p2pnic-wr", "raw-copy", false, 64, 0.8 },
	{ "wr / raw one-copy limit", GOAL_RATE, "p2pnic-wr", "raw-copy", false, 1518, 0.95 },
	{ "bn / wr", GOAL_RATE, "p2pnic-bn", "p2pnic-wr", false, 64, 0 },
	{ "route / l3fwd", GOAL_RATE, "p2pnic-route", "l3fwd", false, 64, 0 },
	{ "many destinations: route / l3fwd", GOAL_SPREAD, "p2pnic-route", "l3fwd", false, 64, 0 },
	{ "many destinations: route, full table / l3fwd", GOAL_SPREAD, "p2pnic-route-full", "l3fwd", false, 64, 0 },
	{ "many destinations: full table / two routes", GOAL_SPREAD, "p2pnic-route-full", "p2pnic-route", false, 64, 0 },
};

static bool goal_row(const struct fwd_bench *b, const char *name, bool zero_copy, bool spread, unsigned int f, struct fwd_row *r)
{
	unsigned int k;

	for (k = 0; k < b->n; k++)
		if (b->entry[k].subject && !strcmp(b->entry[k].subject->name, name) && b->entry[k].zero_copy == zero_copy &&
		    b->entry[k].spread == spread && !b->entry[k].against)
			return fwd_row(b, k, f, r) && r->mpps.n;
	return false;
}

static void goal_rate(const struct fwd_bench *b, const struct fwd_row *num, const struct fwd_row *den,
		      struct fwd_goal_result *g)
{
	if (num->generator_bound || den->generator_bound) {
		g->by = "cycles";
		fwd_ratio_of(&g->rounds, den->cell->cycles, num->cell->cycles, b->rounds);
	} else {
		g->by = "mpps";
		fwd_ratio_of(&g->rounds, num->cell->mpps, den->cell->mpps, b->rounds);
	}
	g->value = g->rounds.median;
}

/* The faster of two rows: by what can be compared. */
static bool goal_faster(const struct fwd_row *a, const struct fwd_row *best)
{
	if (!best->e)
		return true;
	if (a->generator_bound || best->generator_bound)
		return a->cycles < best->cycles;
	return a->mpps.median > best->mpps.median;
}

static bool goal_best(const struct fwd_bench *b, unsigned int f, struct fwd_goal_result *g)
{
	struct fwd_row ours = { 0 }, theirs = { 0 }, r;
	unsigned int k;

	for (k = 0; k < b->n; k++) {
		const struct fwd_subject *s = b->entry[k].subject;

		if (!s || b->entry[k].spread || b->entry[k].against || !fwd_row(b, k, f, &r) || !r.mpps.n)
			continue;
		if (s->p2pnic && (!strcmp(s->name, "p2pnic-wr") || s->cut) && goal_faster(&r, &ours))
			ours = r;
		if (s->dpdk && goal_faster(&r, &theirs))
			theirs = r;
	}
	if (!ours.e || !theirs.e)
		return false;
	goal_rate(b, &ours, &theirs, g);
	return true;
}

static bool goal_judge(const struct fwd_bench *b, const struct goal *goal, unsigned int f, struct fwd_goal_result *g)
{
	const bool spread = goal->kind == GOAL_SPREAD;
	struct fwd_row num, den;

	*g = (struct fwd_goal_result){ .what = goal->what, .frame_bytes = b->req->frames[f],
					.destinations = spread ? FWD_SPREAD : 1, .goal = goal->goal };
	if ((goal->kind == GOAL_DRIVEN) != b->req->testpmd_drives)
		return false;
	if (goal->kind == GOAL_BEST) {
		if (!goal_best(b, f, g))
			return false;
	} else {
		if (!goal_row(b, goal->num, false, spread, f, &num) ||
		    !goal_row(b, goal->den, goal->den_zero_copy, spread, f, &den))
			return false;
		if (goal->kind == GOAL_LATENCY) {
			g->by = "p50_ns";
			g->at_most = true;
			fwd_ratio_of(&g->rounds, num.cell->p50[FWD_LOAD_COMMON], den.cell->p50[FWD_LOAD_COMMON], b->rounds);
			g->value = g->rounds.median;
		} else {
			goal_rate(b, &num, &den, g);
		}
	}
	g->reached = g->at_most ? g->value <= g->goal : g->value >= g->goal;
	/* "above 1", not 1. */
	if (goal->kind == GOAL_BEST)
		g->reached = g->value > g->goal;
	return !isnan(g->value);
}

/* This build beside the other: by rate, if the generator was not the limit, and by cycles. */
static unsigned int goal_against(const struct fwd_bench *b, const struct fwd_entry *e, unsigned int f, struct fwd_goal_result g[2])
{
	const struct fwd_entry *own = fwd_entry_own(b, e);
	struct fwd_row num, den;
	unsigned int n = 0;

	if (!own || !fwd_row(b, (unsigned int)(own - b->entry), f, &num) || !fwd_row(b, (unsigned int)(e - b->entry), f, &den))
		return 0;
	g[0] = g[1] = (struct fwd_goal_result){ .what = e->subject->against, .destinations = fwd_entry_destinations(e),
						.frame_bytes = b->req->frames[f] };
	if (!num.generator_bound && !den.generator_bound) {
		goal_rate(b, &num, &den, &g[0]);
		n += !isnan(g[0].value);
	}
	num.generator_bound = true;
	goal_rate(b, &num, &den, &g[n]);
	return n + !isnan(g[n].value);
}

unsigned int fwd_goals(const struct fwd_bench *b, struct fwd_goal_result g[FWD_MAX_GOALS])
{
	unsigned int i, f, n = 0;

	for (i = 0; i < sizeof(goals) / sizeof(goals[0]); i++)
		for (f = 0; f < b->req->num_frames && n < FWD_MAX_GOALS; f++)
			if ((!goals[i].frame_bytes || goals[i].frame_bytes == b->req->frames[f]) &&
			    goal_judge(b, &goals[i], f, &g[n]))
				n++;
	for (i = 0; i < b->n; i++)
		for (f = 0; f < b->req->num_frames && b->entry[i].against && n + 2 <= FWD_MAX_GOALS; f++)
			n += goal_against(b, &b->entry[i], f, &g[n]);
	return n;
}
