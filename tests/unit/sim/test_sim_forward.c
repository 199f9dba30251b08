/* SPDX-License-Identifier: BSD-3-Clause */
/* Two NICs and more forward in virtual time, wr and rd: nothing is lost below what they can carry, and how much that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "rig.h"

static struct rig rig;

static int teardown(void **state)
{
	if (rig.w)
		rig_down(&rig);
	return 0;
}

static uint64_t sink(unsigned int nic, unsigned int port)
{
	struct sim_sink_stats s;

	sim_mac_sink(rig.mac[nic][port], &s);
	assert_int_equal(s.corrupted, 0);
	assert_int_equal(s.reordered, 0);
	assert_int_equal(s.duplicated, 0);
	return s.frames;
}

static uint64_t drops(void)
{
	uint64_t sum = 0;
	unsigned int i, d;

	for (i = 0; i < rig.nics; i++)
		for (d = 0; d < P2P_NUM_DROPS; d++)
			sum += fw_nic_drops(sim_nic_fw(rig.nic[i]))[d];
	return sum;
}

static void test_everything_arrives(void **state)
{
	static const uint32_t sizes[] = { 64, 65, 128, 777, 1518, 9018 };
	unsigned int k, mode, i, p;
	uint64_t held;

	for (mode = P2P_MODE_WR; mode <= P2P_MODE_RD; mode++) {
		for (k = 0; k < 6; k++) {
			rig_profile(&rig.prof);
			assert_int_equal(rig_up(&rig, 4, 2, mode), 0);
			for (i = 0; i < 4; i++)
				for (p = 0; p < 2; p++)
					rig_source(&rig, i, p, sizes[k], 5 + i, 500 + 10 * i + p);
			rig_run(&rig, 12000000);
			for (i = 0; i < 4; i++)
				for (p = 0; p < 2; p++)
					assert_int_equal(sink(i, p), 500 + 10 * (i ^ 1) + p);
			assert_int_equal(drops(), 0);
			for (i = 0, held = 0; i < 4; i++)
				held += fw_nic_held(sim_nic_fw(rig.nic[i]));
			assert_int_equal(held, 0);
			rig_down(&rig);
		}
	}
}

/* Frames in a millisecond under more than can be carried. */
static uint64_t saturated(enum p2p_mode mode, uint32_t batch, uint32_t bytes)
{
	uint64_t n, lost, offered, missed;

	rig_profile(&rig.prof);
	rig.mesh = (struct sim_mesh_cfg){ .batch = batch, .stride = 64, .slots = 2048, .rx_bufs = 1024 };
	assert_int_equal(rig_up(&rig, 2, 1, mode), 0);
	rig_source(&rig, 0, 0, bytes, 40, 0);
	rig_run(&rig, 200000);
	n = sink(1, 0);
	rig_run(&rig, 1000000);
	n = sink(1, 0) - n;
	/* What came in is out, dropped by name, missed, or still here. */
	sim_mac_offered(rig.mac[0][0], &offered, &missed);
	lost = drops();
	assert_in_range(offered - missed - sink(1, 0) - lost, 1, 5000);
	rig_down(&rig);
	return n;
}

/* An engine that begins a write every 20 ns: a payload each, descriptors by the batch. */
static void test_batches(void **state)
{
	assert_in_range(saturated(P2P_MODE_WR, 1, 64), 24700, 25100);
	assert_in_range(saturated(P2P_MODE_WR, 2, 64), 33000, 33500);
	assert_in_range(saturated(P2P_MODE_WR, 8, 64), 44100, 44600);
	/* 1024 bytes of descriptors keep the engine for 127 ns */
	assert_in_range(saturated(P2P_MODE_WR, 64, 64), 45300, 45600);
}

static double writes_a_frame(double gbps)
{
	struct sim_nic_stats s;
	double writes;

	rig_profile(&rig.prof);
	assert_int_equal(rig_up(&rig, 2, 1, P2P_MODE_WR), 0);
	sim_nic_stats_reset(rig.nic[0]);
	rig_source(&rig, 0, 0, 64, gbps, 4000);
	rig_run(&rig, 4000000);
	assert_int_equal(sink(1, 0), 4000);
	sim_nic_stats(rig.nic[0], &s);
	writes = (double)s.dma_writes / 4000;
	rig_down(&rig);
	return writes;
}

/* Descriptors wait for a batch where one is in flight already, and for nothing where it is not. */
static void test_batches_in_flight(void **state)
{
	assert_true(writes_a_frame(1) > 1.95);
	assert_true(writes_a_frame(20) < 1.15);
}

/* 128 bytes at wire rate are 33.8 M/s: that is beyond an engine of 50 M/s with batches of 1, not of 4. */
static void test_wire_rate(void **state)
{
	assert_in_range(saturated(P2P_MODE_WR, 1, 128), 24700, 25100);
	assert_in_range(saturated(P2P_MODE_WR, 4, 128), 33750, 33850);
	assert_in_range(saturated(P2P_MODE_WR, 8, 512), 9390, 9410);
	assert_in_range(saturated(P2P_MODE_RD, 8, 512), 9390, 9410);
	assert_in_range(saturated(P2P_MODE_RD, 8, 1518), 3245, 3256);
}

/* The path of a lone frame, part by part; looks are up to 50 ns apart, of which there are three (wr) or four (rd). */
static void test_lone_frame(void **state)
{
	static const double want[] = {
		/*        rx   work and engine  link ~ 8 ns a hop  work, engine again        work  tx  last bit out */
		[P2P_MODE_WR] = 200 + 500 + 200 + (3 * 100 + 30) + 500 + 200 - 300 + 500 + 200 + 14,
		[P2P_MODE_RD] = 200 + 500 + 200 + (3 * 100 + 20) + 500 + 200 + (2 * 300 + 40 + 150) + 12 + 500 + 200 + 14,
	};
	unsigned int mode;
	uint32_t ns;

	for (mode = P2P_MODE_WR; mode <= P2P_MODE_RD; mode++) {
		rig_profile(&rig.prof);
		assert_int_equal(rig_up(&rig, 2, 1, mode), 0);
		rig_source(&rig, 0, 0, 64, 10, 1);
		rig_run(&rig, 100000);
		assert_int_equal(sim_mac_latencies(rig.mac[1][0], &ns, 1), 1);
		assert_in_range(ns, (uint32_t)want[mode], (uint32_t)want[mode] + 500);
		rig_down(&rig);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_everything_arrives, teardown),
		cmocka_unit_test_teardown(test_batches, teardown),
		cmocka_unit_test_teardown(test_batches_in_flight, teardown),
		cmocka_unit_test_teardown(test_wire_rate, teardown),
		cmocka_unit_test_teardown(test_lone_frame, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
