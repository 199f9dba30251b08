/* SPDX-License-Identifier: BSD-3-Clause */
/* Medians and ratios of rounds, orders, and what the subjects' counters are read from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <string.h>

#include "bench/forward/bench.h"
#include "bench/forward/distance.h"

static void test_median(void **state)
{
	const double odd[] = { 3, 1, 2 }, even[] = { 4, 1, 3, 2 }, holes[] = { NAN, 5, NAN, 7, 6 };
	struct fwd_spread s;

	assert_true(fwd_median(odd, 3) == 2);
	assert_true(fwd_median(even, 4) == 2.5);
	assert_true(isnan(fwd_median(odd, 0)));
	fwd_spread_of(&s, holes, 5);
	assert_true(s.n == 3 && s.median == 6 && s.min == 5 && s.max == 7 && s.q1 == 5.5 && s.q3 == 6.5);
	fwd_spread_of(&s, even, 4);
	assert_true(s.q1 == 1.75 && s.q3 == 3.25);
	fwd_spread_of(&s, odd, 1);
	assert_true(s.q1 == 3 && s.q3 == 3);
	assert_true(isnan(fwd_median(holes, 1)));
}

/* A ratio is taken round by round: its median is not the medians' ratio. */
static void test_ratio(void **state)
{
	const double a[] = { 10, 20, 90 }, b[] = { 10, 5, 30 }, zero[] = { 0, 5, 30 }, hole[] = { NAN, 5, NAN };
	struct fwd_spread s;

	fwd_ratio_of(&s, a, b, 3);
	assert_true(s.median == 3 && s.min == 1 && s.max == 4);
	fwd_ratio_of(&s, a, zero, 3);
	assert_true(s.median == 3.5 && s.n == 2);
	fwd_ratio_of(&s, a, hole, 3);
	assert_true(s.median == 4);
	fwd_ratio_of(&s, a, hole, 1);
	assert_true(isnan(s.median));
}

static void test_shuffle(void **state)
{
	unsigned int order[12], again[12], seed, k, differ = 0;

	for (seed = 1; seed < 20; seed++) {
		unsigned int seen = 0;

		fwd_shuffle(order, 12, seed);
		fwd_shuffle(again, 12, seed);
		assert_memory_equal(order, again, sizeof(order));
		fwd_shuffle(again, 12, seed + 1);
		differ += memcmp(order, again, sizeof(order)) != 0;
		for (k = 0; k < 12; k++)
			seen |= 1u << order[k];
		assert_int_equal(seen, 0xfff);
	}
	assert_true(differ > 15);
}

static void test_testpmd_read(void **state)
{
	static const char none[] = "  ++++ Accumulated forward statistics for all ports++++\n  RX-packets: 0\n";
	static const char some[] = "Accumulated forward statistics\n"
				   "  CPU cycles/packet=1.00 (total cycles=1 / total io packets=1) at 1 MHz Clock\nagain\n"
				   "  CPU cycles/packet=143.25 (total cycles=286500000123 / total io packets=2000000001) at 2445 MHz\n";
	struct fwd_counts c = { 1, 1 };

	assert_int_equal(fwd_testpmd_read(none, &c), 0);
	assert_true(!c.busy_cycles && !c.frames);
	assert_int_equal(fwd_testpmd_read(some, &c), 0);
	assert_true(c.busy_cycles == 286500000123 && c.frames == 2000000001);
	assert_int_equal(fwd_testpmd_read("Command not found", &c), -EPROTO);
	assert_int_equal(fwd_testpmd_read("CPU cycles/packet=nan", &c), -EPROTO);
}

static void test_p2pnic_read(void **state)
{
	struct json_object *o = json_tokener_parse("{\"workers\":[{\"busy_cycles\":1000},{\"busy_cycles\":7}],"
						   "\"nics\":[{\"ports\":[{\"tx_frames\":5}]},{\"ports\":[{\"tx_frames\":6},{\"tx_frames\":1}]}]}");
	struct fwd_counts c;

	assert_int_equal(fwd_p2pnic_read(o, &c), 0);
	assert_true(c.busy_cycles == 1007 && c.frames == 12);
	json_object_put(o);
	o = json_tokener_parse("{\"nics\":[],\"workers\":7}");
	assert_int_equal(fwd_p2pnic_read(o, &c), -EPROTO);
	json_object_put(o);
}

/* A round trip takes some time, whatever else runs; no time where there is no core. */
static void test_distance(void **state)
{
	cpu_set_t set;
	double ns;
	int a, b;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	for (a = 0; !CPU_ISSET(a, &set); a++)
		;
	for (b = a + 1; b < CPU_SETSIZE && !CPU_ISSET(b, &set); b++)
		;
	assert_true(isnan(fwd_distance_ns(a, CPU_SETSIZE)));
	assert_true(isnan(fwd_distance_ns(CPU_SETSIZE, a)));
	if (b == CPU_SETSIZE)
		skip();
	ns = fwd_distance_ns(a, b);
	assert_true(isnan(ns) || (ns > 0 && ns < 1e9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),	     cmocka_unit_test(test_ratio),	 cmocka_unit_test(test_shuffle),
		cmocka_unit_test(test_testpmd_read), cmocka_unit_test(test_p2pnic_read),
		cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
