/* SPDX-License-Identifier: BSD-3-Clause */
/* From samples to rows, goals and JSON: a run that is made up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/forward/bench.h"

#define ROUNDS 3

static struct fwd_request req;
static struct fwd_bench bench;

static struct fwd_entry *made_up(const char *name, bool zero_copy, double mpps, double cycles)
{
	struct fwd_entry *e = &bench.entry[bench.n++];
	unsigned int f, r, l;

	*e = (struct fwd_entry){ .subject = name ? &fwd_subjects[fwd_subject_find(name)] : NULL, .zero_copy = zero_copy };
	e->cell = calloc(req.num_frames, sizeof(*e->cell));
	assert_non_null(e->cell);
	for (f = 0; f < req.num_frames; f++) {
		for (r = 0; r < FWD_MAX_ROUNDS; r++) {
			struct fwd_cell *c = &e->cell[f];

			c->mpps[r] = r < ROUNDS ? mpps + r : NAN;
			c->cycles[r] = r < ROUNDS ? cycles : NAN;
			c->busy[r] = r < ROUNDS ? 0.95 : NAN;
			for (l = 0; l < FWD_NUM_LOADS; l++) {
				c->p50[l][r] = r < ROUNDS ? cycles * 10 : NAN;
				c->p99[l][r] = r < ROUNDS ? cycles * 100 : NAN;
			}
		}
		e->cell[f].setup = (struct fwd_setup){ 1024, e->subject && e->subject->p2pnic ? 2112 : 0 };
	}
	return e;
}

static int begin(void **state)
{
	req = (struct fwd_request){ .frames = { 64, 1518 }, .num_frames = 2, .rounds = ROUNDS };
	bench = (struct fwd_bench){ .req = &req, .rounds = ROUNDS };
	bench.env.dpdk_build = "debian";
	return 0;
}

static int end(void **state)
{
	while (bench.n)
		free(bench.entry[--bench.n].cell);
	return 0;
}

static void test_rows(void **state)
{
	struct fwd_row r;

	made_up(NULL, false, 49, NAN);
	made_up("p2pnic-wr", false, 40, 50);
	made_up("testpmd-io", false, 10, 150);
	assert_true(fwd_row(&bench, 1, 0, &r));
	assert_true(r.mpps.median == 41 && r.mpps.min == 40 && r.mpps.max == 42 && r.cycles == 50 && r.p50[FWD_LOAD_10] == 500);
	/* 41 and a fifth more is 49.2, and the loop did 50. */
	assert_false(r.generator_bound);
	bench.entry[0].cell[0].mpps[1] = 49;
	bench.entry[0].cell[0].mpps[2] = 49;
	assert_true(fwd_row(&bench, 1, 0, &r) && r.generator_bound);
	assert_true(fwd_row(&bench, 2, 0, &r) && !r.generator_bound);
	/* The loop is no bound here, but the forwarder had time left. */
	bench.entry[2].cell[0].busy[0] = bench.entry[2].cell[0].busy[1] = 0.8;
	assert_true(fwd_row(&bench, 2, 0, &r) && r.generator_bound);
	bench.rounds = 0;
	assert_false(fwd_row(&bench, 2, 0, &r));
}

static const struct fwd_goal_result *find(const struct fwd_goal_result *g, unsigned int n, const char *what, unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (!strcmp(g[i].what, what) && g[i].frame_bytes == bytes)
			return &g[i];
	return NULL;
}

static void test_goals(void **state)
{
	static struct fwd_goal_result g[FWD_MAX_GOALS];
	const struct fwd_goal_result *r;
	unsigned int n;

	made_up(NULL, false, 100, NAN);
	made_up("p2pnic-wr", false, 40, 50);
	made_up("testpmd-io", false, 10, 150);
	n = fwd_goals(&bench, g);
	r = find(g, n, "wr / testpmd io", 64);
	assert_non_null(r);
	/* 40/10, 41/11, 42/12 */
	assert_true(!strcmp(r->by, "mpps") && fabs(r->value - 41.0 / 11) < 1e-9 && r->goal == 3.44 && r->reached);
	r = find(g, n, "p50 at 1 Gb/s: wr / testpmd io (first goal)", 64);
	assert_true(r && r->at_most && fabs(r->value - 1.0 / 3) < 1e-9 && r->reached);
	r = find(g, n, "p50 at 1 Gb/s: wr / testpmd io (then)", 64);
	assert_true(r && !r->reached);
	r = find(g, n, "better of wr, cut / best of testpmd, l3fwd", 1518);
	assert_true(r && r->reached);
	/* What was not measured is not judged. */
	assert_null(find(g, n, "cut / testpmd io zero-copy", 64));
	assert_null(find(g, n, "cycles of testpmd io / of wr, both driven by testpmd", 64));
	/* Bound by the generator: cycles. */
	bench.entry[1].cell[0].busy[0] = bench.entry[1].cell[0].busy[1] = 0.5;
	n = fwd_goals(&bench, g);
	r = find(g, n, "wr / testpmd io", 64);
	assert_true(r && !strcmp(r->by, "cycles") && r->value == 3 && !r->reached);
}

/* Rows with many destinations are compared among themselves, and with the generator that has as many. */
static void test_spread(void **state)
{
	static struct fwd_goal_result g[FWD_MAX_GOALS];
	const struct fwd_goal_result *r;
	struct fwd_row row;
	unsigned int n;

	made_up(NULL, false, 100, NAN);
	made_up(NULL, false, 30, NAN)->spread = true;
	made_up("p2pnic-route", false, 40, 50);
	made_up("p2pnic-route", false, 20, 80)->spread = true;
	made_up("p2pnic-route-full", false, 10, 100)->spread = true;
	made_up("l3fwd", false, 4, 500);
	made_up("l3fwd", false, 2, 600)->spread = true;
	assert_true(fwd_row(&bench, 2, 0, &row) && !row.generator_bound);
	assert_true(fwd_row(&bench, 3, 0, &row) && !row.generator_bound);
	n = fwd_goals(&bench, g);
	r = find(g, n, "route / l3fwd", 64);
	/* 40/4, 41/5, 42/6; 20/2, 21/3, 22/4; 10/2, 11/3, 12/4; 10/20, 11/21, 12/22 */
	assert_true(r && fabs(r->value - 41.0 / 5) < 1e-9);
	r = find(g, n, "many destinations: route / l3fwd", 64);
	assert_true(r && fabs(r->value - 7) < 1e-9);
	r = find(g, n, "many destinations: route, full table / l3fwd", 64);
	assert_true(r && fabs(r->value - 11.0 / 3) < 1e-9);
	r = find(g, n, "many destinations: full table / two routes", 64);
	assert_true(r && fabs(r->value - 11.0 / 21) < 1e-9);
	bench.entry[1].cell[0].mpps[0] = bench.entry[1].cell[0].mpps[1] = 22;
	assert_true(fwd_row(&bench, 3, 0, &row) && row.generator_bound);
	assert_true(fwd_row(&bench, 2, 0, &row) && !row.generator_bound);
}

/* Two builds: their rows stand apart, by rate and by cycles, and what was aimed at is this one's affair. */
static void test_against(void **state)
{
	static struct fwd_goal_result g[FWD_MAX_GOALS];
	const struct fwd_goal_result *r;
	unsigned int n, k, found = 0;

	made_up(NULL, false, 100, NAN);
	made_up("p2pnic-wr", false, 40, 50);
	made_up("p2pnic-wr", false, 10, 75)->against = true;
	made_up("testpmd-io", false, 20, 100);
	n = fwd_goals(&bench, g);
	r = find(g, n, "wr / testpmd io", 64);
	assert_true(r && fabs(r->value - 41.0 / 21) < 1e-9);
	for (k = 0; k < n; k++) {
		if (strcmp(g[k].what, "p2pnic-wr / the same of --against"))
			continue;
		found++;
		if (!strcmp(g[k].by, "mpps"))
			assert_true(fabs(g[k].value - 41.0 / 11) < 1e-9 && fabs(g[k].rounds.max - 4) < 1e-9);
		else
			assert_true(g[k].value == 1.5);
	}
	assert_int_equal(found, 2 * req.num_frames);
	assert_ptr_equal(fwd_entry_own(&bench, &bench.entry[2]), &bench.entry[1]);
	bench.entry[2].cell[0].lost = 1;
	assert_true(fwd_clean(&bench));
	/* Only cycles tell, where the generator is the limit. */
	bench.entry[1].cell[0].busy[0] = bench.entry[1].cell[0].busy[1] = 0.5;
	n = fwd_goals(&bench, g);
	r = find(g, n, "p2pnic-wr / the same of --against", 64);
	assert_true(r && !strcmp(r->by, "cycles"));
}

static void test_clean(void **state)
{
	struct fwd_entry *wr, *io;

	wr = made_up("p2pnic-wr", false, 40, 50);
	io = made_up("testpmd-io", false, 10, 150);
	wr->cell[1].lost_saturated = 7;
	io->cell[0].corrupted = io->cell[0].lost = 1;
	assert_true(fwd_clean(&bench));
	wr->cell[1].reordered = 1;
	assert_false(fwd_clean(&bench));
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	assert_true(json_object_object_get_ex(o, key, &v));
	return v;
}

static void test_json(void **state)
{
	struct json_object *o, *row, *skipped;

	made_up(NULL, false, 100, NAN);
	made_up("p2pnic-wr", false, 40, 50);
	snprintf(made_up("l3fwd", true, NAN, NAN)->why, FWD_ERR_MAX, "no reason");
	bench.entry[2].gone = true;
	bench.entry[1].cell[0].p50[FWD_LOAD_COMMON][0] = bench.entry[1].cell[0].p50[FWD_LOAD_COMMON][1] = NAN;
	bench.entry[1].cell[0].p50[FWD_LOAD_COMMON][2] = NAN;
	o = fwd_json(&bench);
	assert_int_equal(json_object_array_length(member(o, "rows")), 4);
	row = json_object_array_get_idx(member(o, "rows"), 1);
	assert_string_equal(json_object_get_string(member(row, "subject")), "p2pnic-wr");
	assert_true(json_object_is_type(member(row, "zero_copy"), json_type_boolean));
	assert_int_equal(json_object_get_int(member(row, "frame_bytes")), 64);
	assert_true(json_object_get_double(member(row, "mpps_median")) == 41);
	assert_true(json_object_get_double(member(row, "mpps_min")) == 40);
	assert_true(json_object_get_double(member(row, "mpps_max")) == 42);
	assert_true(json_object_get_double(member(row, "cycles_per_packet")) == 50);
	assert_false(json_object_get_boolean(member(row, "generator_bound")));
	assert_int_equal(json_object_get_int(member(row, "lost")), 0);
	assert_int_equal(json_object_get_int(member(row, "corrupted")), 0);
	assert_int_equal(json_object_get_int(member(member(member(row, "latency"), "50"), "p50_ns")), 500);
	assert_int_equal(json_object_get_int(member(member(member(row, "latency"), "90"), "p99_ns")), 5000);
	assert_false(json_object_object_get_ex(member(row, "latency"), "common", NULL));
	skipped = json_object_array_get_idx(member(o, "skipped"), 0);
	assert_string_equal(json_object_get_string(member(skipped, "subject")), "l3fwd");
	assert_string_equal(json_object_get_string(member(skipped, "reason")), "no reason");
	json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, begin, end),
		cmocka_unit_test_setup_teardown(test_goals, begin, end),
		cmocka_unit_test_setup_teardown(test_spread, begin, end),
		cmocka_unit_test_setup_teardown(test_against, begin, end),
		cmocka_unit_test_setup_teardown(test_clean, begin, end),
		cmocka_unit_test_setup_teardown(test_json, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
