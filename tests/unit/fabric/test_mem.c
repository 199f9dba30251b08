/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fabric/mem.h"

#define NS FAB_PS_PER_NS
#define US (1000 * NS)

/* 1 byte takes 100 ps. */
static const struct fab_mem_cfg slow = { .channels = 1,
					 .channel_bytes_per_s = 10e9,
					 .latency_ps = 80 * NS,
					 .cache_latency_ps = 20 * NS };

static struct fab_mem *m;

static void mem_open(uint32_t channels, bool ddio, double evict)
{
	struct fab_mem_cfg cfg = slow;

	fab_mem_destroy(m);
	cfg.channels = channels;
	cfg.ddio = ddio;
	cfg.ddio_evict = evict;
	m = fab_mem_create(&cfg);
	assert_non_null(m);
}

static int mem_close(void **state)
{
	fab_mem_destroy(m);
	m = NULL;
	return 0;
}

static struct fab_node_stats stats(void)
{
	struct fab_node_stats s = { 0 };

	fab_mem_stats(m, &s);
	return s;
}

static void stats_are(uint64_t read, uint64_t written, uint64_t cached, uint64_t busy_ps)
{
	struct fab_node_stats s = stats();

	assert_int_equal(s.mem_read_bytes, read);
	assert_int_equal(s.mem_write_bytes, written);
	assert_int_equal(s.cache_bytes, cached);
	assert_int_equal(s.mem_busy_ps, busy_ps);
}

static void test_latency(void **state)
{
	mem_open(1, false, 0);
	assert_int_equal(fab_mem_device(m, 0, 0x1000, 64, false), 6400 + 80 * NS);
	assert_int_equal(fab_mem_device(m, 1 * US, 0x1000, 64, true), 1 * US + 6400);
	assert_int_equal(fab_mem_cpu(m, 2 * US, 0x1000, 64, false, false), 2 * US + 6400 + 80 * NS);
	assert_int_equal(fab_mem_cpu(m, 3 * US, 0x1000, 64, true, false), 3 * US + 6400);
	stats_are(128, 128, 0, 4 * 6400);
	fab_mem_stats_reset(m);
	stats_are(0, 0, 0, 0);
}

/* What is asked at the same time is served one after the other, whoever asks. */
static void test_one_channel_is_shared(void **state)
{
	uint64_t k;

	mem_open(1, false, 0);
	for (k = 0; k < 100; k++) {
		assert_int_equal(fab_mem_device(m, 0, k * 4096, 64, true), (2 * k + 1) * 6400);
		assert_int_equal(fab_mem_cpu(m, 0, k * 64, 64, true, false), (2 * k + 2) * 6400);
	}
	assert_int_equal(fab_mem_device(m, 10 * US, 0, 64, true), 10 * US + 6400); /* idle again */
}

static void test_interleave(void **state)
{
	mem_open(4, false, 0);
	/* 256 bytes each: four at once, the fifth behind the first */
	assert_int_equal(fab_mem_device(m, 0, 0, 256, true), 25600);
	assert_int_equal(fab_mem_device(m, 0, 256, 256, true), 25600);
	assert_int_equal(fab_mem_device(m, 0, 512, 256, true), 25600);
	assert_int_equal(fab_mem_device(m, 0, 768, 256, true), 25600);
	assert_int_equal(fab_mem_device(m, 0, 1024, 256, true), 51200);
	/* one access over a boundary: 192 bytes here, 64 there */
	assert_int_equal(fab_mem_device(m, 1 * US, 64, 256, true), 1 * US + 19200);
	assert_int_equal(fab_mem_device(m, 1 * US, 256, 64, true), 1 * US + 12800);
	assert_int_equal(fab_mem_device(m, 1 * US, 512, 64, true), 1 * US + 6400);
	/* 2 KiB on four channels: 512 each */
	assert_int_equal(fab_mem_cpu(m, 2 * US, 0, 2048, false, false), 2 * US + 51200 + 80 * NS);
	assert_int_equal(stats().mem_busy_ps, 51200 + 19200 + 51200);
}

/* 3 channels: no power of two.  All get a third. */
static void test_three_channels(void **state)
{
	uint64_t k, end = 0, at;

	mem_open(3, false, 0);
	for (k = 0; k < 3000; k++) {
		at = fab_mem_device(m, 0, k * 256, 256, true);
		end = at > end ? at : end;
	}
	assert_int_equal(end, 1000 * 25600);
	assert_int_equal(stats().mem_busy_ps, 1000 * 25600);
}

/* Fractions of a picosecond add up: 34.1 GB/s for ten million lines. */
static void test_rate_is_exact(void **state)
{
	struct fab_mem_cfg cfg = slow;
	uint64_t k, end = 0;
	double want;

	cfg.channel_bytes_per_s = 34.1e9;
	fab_mem_destroy(m);
	m = fab_mem_create(&cfg);
	for (k = 0; k < 10000000; k++)
		end = fab_mem_device(m, 0, 0, 64, true);
	want = 64e7 / 34.1e9 * 1e12;
	assert_true((double)end > want * (1 - 1e-7) && (double)end < want * (1 + 1e-7));
}

static void test_cached_takes_no_dram(void **state)
{
	unsigned int k;

	mem_open(1, false, 0);
	fab_mem_device(m, 0, 0, 2560, true); /* busy until 256 ns */
	for (k = 0; k < 10; k++) {
		assert_int_equal(fab_mem_cpu(m, 0, 0, 64, k & 1, true), 20 * NS);
		assert_int_equal(fab_mem_cpu(m, 5, 64, 1500, k & 1, true), 20 * NS + 5);
	}
	stats_are(0, 2560, 10 * 1564, 256 * NS);
}

static void test_ddio(void **state)
{
	unsigned int k;

	mem_open(1, true, 0);
	for (k = 0; k < 10; k++) {
		assert_int_equal(fab_mem_device(m, 7, 0, 256, true), 20 * NS + 7);
		assert_int_equal(fab_mem_device(m, 7, 0, 256, false), 20 * NS + 7);
	}
	stats_are(0, 0, 5120, 0);
	/* a core that misses takes DRAM all the same */
	assert_int_equal(fab_mem_cpu(m, 7, 0, 64, false, false), 86407);
	stats_are(64, 0, 5120, 6400);
}

static void test_ddio_evicts_a_share(void **state)
{
	uint64_t k, done;

	mem_open(1, true, 0.25);
	for (k = 0; k < 1000; k++)
		fab_mem_device(m, k * US, k * 64, 64, true);
	for (k = 0; k < 1000; k++) /* reads evict nothing, and less than a line adds up */
		fab_mem_device(m, k * US, k * 64, 64, false);
	stats_are(0, 250 * 64, 128000, 250 * 6400);
	for (k = 0; k < 64; k++)
		fab_mem_device(m, 2000 * US, 0, 16, true);
	stats_are(0, 254 * 64, 129024, 254 * 6400);

	/* Evictions wait for their channel, and the writes for them; the channels take turns. */
	mem_open(2, true, 1);
	assert_int_equal(fab_mem_device(m, 0, 0, 256, true), 20 * NS); /* two lines on each: 12.8 ns */
	assert_int_equal(fab_mem_device(m, 0, 0, 256, true), 25600);
	assert_int_equal(fab_mem_device(m, 0, 0, 64, true), 32000);
	done = fab_mem_device(m, 0, 0, 64, true);
	assert_int_equal(done, 32000);
	stats_are(0, 640, 640, 32000);
}

/* Calls whose times don't ascend take what was left idle, once. */
static void test_order_of_calls(void **state)
{
	mem_open(1, false, 0);
	assert_int_equal(fab_mem_device(m, 100 * NS, 0, 100, true), 110 * NS);
	assert_int_equal(fab_mem_device(m, 0, 0, 100, true), 10 * NS);
	assert_int_equal(fab_mem_device(m, 50 * NS, 0, 100, true), 60 * NS);
	assert_int_equal(fab_mem_device(m, 5 * NS, 0, 300, true), 40 * NS);  /* 10-40 */
	assert_int_equal(fab_mem_device(m, 5 * NS, 0, 200, true), 80 * NS);  /* 40-50 is too short: 60-80 */
	assert_int_equal(fab_mem_device(m, 5 * NS, 0, 100, true), 50 * NS);
	assert_int_equal(fab_mem_device(m, 75 * NS, 0, 200, true), 100 * NS);
	assert_int_equal(fab_mem_device(m, 0, 0, 1, true), 110 * NS + 100);  /* full up to here */
	assert_int_equal(stats().mem_busy_ps, 110 * NS + 100);
}

/* At random, ahead by up to 1 us: no two accesses at the same time, and none before it was asked for. */
static void test_gaps_at_random(void **state)
{
	static struct {
		uint64_t from, to;
	} served[4000];
	uint64_t x = 1, at = 0, end;
	unsigned int i, k, late = 0;
	uint32_t bytes;

	mem_open(1, false, 0);
	for (k = 0; k < 4000; k++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		bytes = 1 + (uint32_t)(x >> 40) % 256;
		at += (x >> 20) % (50 * NS);
		end = fab_mem_device(m, at + (k % 3 ? 0 : (x >> 33) % US), 0, bytes, true);
		served[k].to = end;
		served[k].from = end - bytes * 100;
		assert_true(served[k].from >= at);
		late += k % 3 && served[k].from > at + 300 * NS;
		for (i = 0; i < k; i++)
			if (served[i].from < end && served[i].to > served[k].from)
				fail_msg("access %u overlaps access %u", k, i);
	}
	assert_true(late < 5); /* half idle: those that come from far ahead hold up few */
}

static void test_no_limits(void **state)
{
	struct fab_mem_cfg cfg = { .channels = 2 };
	unsigned int k;

	fab_mem_destroy(m);
	m = fab_mem_create(&cfg);
	for (k = 0; k < 100; k++) {
		assert_int_equal(fab_mem_device(m, 3, k * 64, 4096, true), 3);
		assert_int_equal(fab_mem_cpu(m, 3, k * 64, 4096, false, false), 3);
	}
	stats_are(409600, 409600, 0, 0);
	cfg.channels = 0;
	assert_null(fab_mem_create(&cfg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_one_channel_is_shared),
		cmocka_unit_test(test_interleave),
		cmocka_unit_test(test_three_channels),
		cmocka_unit_test(test_rate_is_exact),
		cmocka_unit_test(test_cached_takes_no_dram),
		cmocka_unit_test(test_ddio),
		cmocka_unit_test(test_ddio_evicts_a_share),
		cmocka_unit_test(test_order_of_calls),
		cmocka_unit_test(test_gaps_at_random),
		cmocka_unit_test(test_no_limits),
	};

	return cmocka_run_group_tests(tests, NULL, mem_close);
}
