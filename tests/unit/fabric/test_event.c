/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/event.h"

#define NS FAB_PS_PER_NS

/* An event with a number that notes when it ran, and may do something then. */
struct probe {
	struct fab_event e;
	uint32_t id;
	void (*act)(struct probe *p);
};

static struct fab_queue *q;
static uint32_t ran[4096];
static uint64_t ran_at[4096];
static unsigned int num_ran;

static void probe_run(struct fab_event *e)
{
	struct probe *p = (struct probe *)e;

	assert_false(fab_event_queued(e));
	assert_int_equal(e->at_ps, fab_now(q));
	assert_true(num_ran < 4096);
	ran[num_ran] = p->id;
	ran_at[num_ran++] = fab_now(q);
	if (p->act)
		p->act(p);
}

static void probes_init(struct probe *p, unsigned int n)
{
	unsigned int i;

	memset(p, 0, n * sizeof(*p));
	for (i = 0; i < n; i++) {
		fab_event_init(&p[i].e, probe_run);
		p[i].id = i;
	}
}

static int queue_open(void **state)
{
	q = fab_queue_create();
	num_ran = 0;
	return q ? 0 : -1;
}

static int queue_close(void **state)
{
	fab_queue_destroy(q);
	return 0;
}

static void ran_is(const uint32_t *ids, unsigned int n)
{
	unsigned int i;

	assert_int_equal(num_ran, n);
	for (i = 0; i < n; i++)
		assert_int_equal(ran[i], ids[i]);
}

#define RAN(...) ran_is((const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void test_order_and_ties(void **state)
{
	struct probe p[6];

	probes_init(p, 6);
	fab_schedule(q, &p[0].e, 30 * NS);
	fab_schedule(q, &p[1].e, 10 * NS);
	fab_schedule(q, &p[2].e, 20 * NS);
	fab_schedule(q, &p[3].e, 10 * NS);
	fab_schedule(q, &p[4].e, 10 * NS);
	fab_schedule(q, &p[5].e, 0);
	assert_int_equal(fab_queue_next(q), 0);
	fab_queue_run(q, FAB_NEVER);
	RAN(5, 1, 3, 4, 2, 0);
	assert_int_equal(fab_queue_count(q), 6);
	assert_int_equal(fab_now(q), 30 * NS);
	assert_int_equal(fab_queue_next(q), FAB_NEVER);
}

static void test_move_goes_behind(void **state)
{
	struct probe p[4];

	probes_init(p, 4);
	fab_schedule(q, &p[0].e, 10);
	fab_schedule(q, &p[1].e, 10);
	fab_schedule(q, &p[2].e, 50);
	fab_schedule(q, &p[3].e, 20);
	fab_schedule(q, &p[0].e, 10); /* same time, new turn */
	fab_schedule(q, &p[2].e, 5);  /* earlier */
	fab_schedule(q, &p[3].e, 99); /* later */
	fab_queue_run(q, FAB_NEVER);
	RAN(2, 1, 0, 3);
	assert_int_equal(ran_at[0], 5);
	assert_int_equal(ran_at[3], 99);
}

static void test_cancel(void **state)
{
	struct probe p[5];
	unsigned int i;

	probes_init(p, 5);
	fab_cancel(q, &p[0].e); /* was never in */
	for (i = 0; i < 5; i++)
		fab_schedule(q, &p[i].e, 10 + i);
	fab_cancel(q, &p[0].e); /* the first, one between, the last */
	fab_cancel(q, &p[2].e);
	fab_cancel(q, &p[4].e);
	assert_false(fab_event_queued(&p[0].e));
	assert_true(fab_event_queued(&p[1].e));
	assert_int_equal(fab_queue_next(q), 11);
	fab_schedule(q, &p[2].e, 12);
	fab_queue_run(q, FAB_NEVER);
	RAN(1, 2, 3);
}

static void test_clock_of_run(void **state)
{
	struct probe p[3];

	probes_init(p, 3);
	assert_int_equal(fab_now(q), 0);
	fab_queue_run(q, 5);
	assert_int_equal(fab_now(q), 5);
	fab_schedule(q, &p[0].e, 10);
	fab_schedule(q, &p[1].e, 11);
	fab_schedule(q, &p[2].e, FAB_NEVER);
	fab_queue_run(q, 9);
	assert_int_equal(num_ran, 0);
	assert_int_equal(fab_now(q), 9);
	fab_queue_run(q, 10);
	RAN(0);
	fab_queue_run(q, 100);
	RAN(0, 1);
	assert_int_equal(fab_now(q), 100);
	fab_schedule(q, &p[0].e, 7); /* gone by: now */
	assert_int_equal(p[0].e.at_ps, 100);
	fab_queue_run(q, FAB_NEVER);
	RAN(0, 1, 0);
	assert_int_equal(fab_now(q), 100);
	assert_true(fab_event_queued(&p[2].e));
}

static void act_stop(struct probe *p)
{
	fab_queue_stop(q);
}

static void test_stop(void **state)
{
	struct probe p[3];

	probes_init(p, 3);
	p[1].act = act_stop;
	fab_schedule(q, &p[0].e, 1);
	fab_schedule(q, &p[1].e, 2);
	fab_schedule(q, &p[2].e, 2);
	fab_queue_run(q, 10);
	RAN(0, 1);
	assert_int_equal(fab_now(q), 2);
	fab_queue_stop(q); /* outside of a run: no effect on the next one */
	fab_queue_run(q, 10);
	RAN(0, 1, 2);
	assert_int_equal(fab_now(q), 10);
}

/* ---- what an event may do to others while it runs ---- */
static struct probe *others;

static void act_none_due(struct probe *p)
{
	assert_int_equal(fab_queue_next(q), FAB_NEVER);
}

static void act_meddle(struct probe *p)
{
	assert_int_equal(fab_queue_next(q), fab_now(q));
	fab_cancel(q, &others[1].e);
	assert_int_equal(fab_queue_next(q), fab_now(q) + 30);
	fab_schedule(q, &others[2].e, fab_now(q));
	fab_schedule(q, &others[3].e, fab_now(q));
	fab_schedule(q, &p->e, fab_now(q) + 5); /* itself */
	p->act = act_none_due;
}

static void test_from_within(void **state)
{
	struct probe p[5];

	probes_init(p, 5);
	others = p;
	p[0].act = act_meddle;
	fab_schedule(q, &p[0].e, 10);
	fab_schedule(q, &p[1].e, 10);
	fab_schedule(q, &p[2].e, 40);
	fab_queue_run(q, FAB_NEVER);
	RAN(0, 2, 3, 0);
	assert_int_equal(ran_at[2], 10);
	assert_int_equal(ran_at[3], 15);
	assert_int_equal(fab_queue_count(q), 4);
}

static void act_free(struct probe *p)
{
	free(p);
}

static void test_event_that_ends_itself(void **state)
{
	struct probe *p = malloc(sizeof(*p));

	assert_non_null(p);
	probes_init(p, 1);
	p->act = act_free;
	fab_schedule(q, &p->e, 1);
	fab_queue_run(q, FAB_NEVER);
	assert_int_equal(num_ran, 1);
}

/* ---- at random, against a list that is searched from end to end ---- */
#define EVENTS 700

static struct {
	struct probe p[EVENTS];
	uint64_t at[EVENTS], turn[EVENTS]; /* at FAB_NEVER: not queued */
	uint64_t turns, x, runs, seed;
	unsigned int budget, scale;
} o;

static uint32_t rnd(uint32_t below)
{
	o.x = o.x * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((o.x >> 33) % below);
}

static int oracle_first(void)
{
	int best = -1, i;

	for (i = 0; i < EVENTS; i++) {
		if (o.at[i] == FAB_NEVER)
			continue;
		if (best < 0 || o.at[i] < o.at[best] || (o.at[i] == o.at[best] && o.turn[i] < o.turn[best]))
			best = i;
	}
	return best;
}

static void oracle_change(uint32_t most)
{
	uint32_t i, n = rnd(most + 1);

	for (; n; n--) {
		i = rnd(EVENTS);
		if (rnd(4) == 0) {
			fab_cancel(q, &o.p[i].e);
			o.at[i] = FAB_NEVER;
		} else {
			o.at[i] = fab_now(q) + ((uint64_t)(rnd(3) ? rnd(40) : rnd(100000)) << o.scale);
			o.turn[i] = o.turns++;
			fab_schedule(q, &o.p[i].e, o.at[i]);
		}
		assert_int_equal(fab_event_queued(&o.p[i].e), o.at[i] != FAB_NEVER);
	}
}

static void oracle_act(struct probe *p)
{
	int first = oracle_first();

	if ((int)p->id != first || fab_now(q) != o.at[first])
		fail_msg("seed %llu, run %llu: event %u at %llu, %d is first", (unsigned long long)o.seed,
			 (unsigned long long)o.runs, p->id, (unsigned long long)fab_now(q), first);
	o.at[first] = FAB_NEVER;
	o.runs++;
	num_ran = 0;
	if (o.budget) {
		o.budget--;
		oracle_change(3);
	}
	first = oracle_first();
	if (fab_queue_next(q) != (first < 0 ? FAB_NEVER : o.at[first]))
		fail_msg("seed %llu, run %llu: wrong next", (unsigned long long)o.seed, (unsigned long long)o.runs);
}

static void test_random(void **state)
{
	uint64_t seed;
	unsigned int i, round;

	for (seed = 1; seed <= 6; seed++) {
		memset(&o, 0, sizeof(o));
		o.x = o.seed = seed;
		o.budget = 4000;
		probes_init(o.p, EVENTS);
		for (i = 0; i < EVENTS; i++) {
			o.at[i] = FAB_NEVER;
			o.p[i].act = oracle_act;
		}
		for (round = 0; round < 40; round++) {
			o.scale = rnd(3) ? o.scale : rnd(31);
			oracle_change(rnd(2) * EVENTS);
			fab_queue_run(q, fab_now(q) + ((uint64_t)rnd(20000) << o.scale));
		}
		fab_queue_run(q, FAB_NEVER);
		if (oracle_first() >= 0 || o.runs < 4000)
			fail_msg("seed %llu: %llu events ran, first left %d", (unsigned long long)seed,
				 (unsigned long long)o.runs, oracle_first());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_ties, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_move_goes_behind, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_cancel, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_clock_of_run, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_stop, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_from_within, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_event_that_ends_itself, queue_open, queue_close),
		cmocka_unit_test_setup_teardown(test_random, queue_open, queue_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
