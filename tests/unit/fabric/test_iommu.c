/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/iommu.h"

#define NS FAB_PS_PER_NS
#define PAGE 4096ull
#define MISS (270 * NS)

static struct fab_iommu *m;
static uint64_t seed;

static void iommu_open(uint32_t entries, uint32_t ways, uint32_t walkers)
{
	const struct fab_iommu_cfg cfg = {
		.entries = entries, .ways = ways, .page_bytes = PAGE, .miss_ps = MISS, .walkers = walkers
	};

	fab_iommu_destroy(m);
	m = fab_iommu_create(&cfg);
	assert_non_null(m);
}

static int iommu_close(void **state)
{
	fab_iommu_destroy(m);
	m = NULL;
	return 0;
}

static struct fab_node_stats stats(void)
{
	struct fab_node_stats s = { 0 };

	fab_iommu_stats(m, &s);
	return s;
}

/* Whether a page is there, asked when nothing is under way. */
static bool hit(uint64_t page)
{
	static uint64_t at = FAB_PS_PER_S;
	uint64_t on;

	at += 10 * MISS;
	on = fab_iommu_translate(m, at, page * PAGE + page % 61 * 64, 64);
	assert_true(on == at || on == at + MISS);
	return on == at;
}

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((seed >> 33) % below);
}

static void test_hit_and_miss(void **state)
{
	iommu_open(64, 4, 1);
	assert_int_equal(fab_iommu_translate(m, 5, 0x7000, 64), 5 + MISS);
	assert_int_equal(fab_iommu_translate(m, MISS + 9, 0x7fc0, 64), MISS + 9);
	assert_int_equal(fab_iommu_translate(m, 2 * MISS, 0x8000, 64), 3 * MISS);
	assert_int_equal(stats().iotlb_hits, 1);
	assert_int_equal(stats().iotlb_misses, 2);
	fab_iommu_stats_reset(m);
	assert_int_equal(stats().iotlb_hits + stats().iotlb_misses, 0);
	assert_int_equal(fab_iommu_translate(m, 4 * MISS, 0x8000, 64), 4 * MISS); /* and forgot nothing */
}

static void test_waits_for_the_walk_under_way(void **state)
{
	iommu_open(64, 0, 1);
	assert_int_equal(fab_iommu_translate(m, 0, 0, 64), MISS);
	assert_int_equal(fab_iommu_translate(m, 100, 64, 64), MISS);
	assert_int_equal(fab_iommu_translate(m, MISS + 1, 128, 64), MISS + 1);
	assert_int_equal(stats().iotlb_hits, 2);
	assert_int_equal(stats().iotlb_misses, 1);
}

static void test_walkers(void **state)
{
	unsigned int k;

	iommu_open(64, 0, 3);
	for (k = 0; k < 12; k++)
		assert_int_equal(fab_iommu_translate(m, 0, k * PAGE, 64), (k / 3 + 1) * MISS);
	assert_int_equal(fab_iommu_translate(m, 20 * MISS, 20 * PAGE, 64), 21 * MISS);
	iommu_open(64, 0, 0);
	for (k = 0; k < 12; k++)
		assert_int_equal(fab_iommu_translate(m, 0, k * PAGE, 64), MISS);
}

static void test_lru(void **state)
{
	iommu_open(4, 0, 1);
	assert_false(hit(1));
	assert_false(hit(2));
	assert_false(hit(3));
	assert_false(hit(4));
	assert_true(hit(1)); /* now 2 is the oldest */
	assert_false(hit(5));
	assert_true(hit(1));
	assert_true(hit(3));
	assert_true(hit(4));
	assert_true(hit(5));
	assert_false(hit(2)); /* instead of 1 */
	assert_false(hit(1));
	assert_true(hit(4));
}

/* Pages of one set push each other out, whatever room the others have. */
static void test_ways(void **state)
{
	iommu_open(64, 2, 1); /* 32 sets */
	assert_false(hit(7));
	assert_false(hit(7 + 32));
	assert_true(hit(7));
	assert_false(hit(7 + 64)); /* instead of 39 */
	assert_false(hit(8));
	assert_true(hit(7));
	assert_false(hit(7 + 32));
	assert_true(hit(8));
	iommu_open(6, 2, 1); /* 3 sets */
	assert_false(hit(0));
	assert_false(hit(3));
	assert_false(hit(1));
	assert_true(hit(0));
	assert_false(hit(6));
	assert_false(hit(3));
	assert_true(hit(1));
}

/* Against a list that is searched and sorted by hand. */
static void random_with(uint32_t entries, uint32_t ways, uint32_t pages)
{
	uint64_t lru[64][64]; /* [set][0]: newest */
	uint32_t sets = entries / ways, k, i, n[64] = { 0 };

	iommu_open(entries, ways, 0);
	for (k = 0; k < 30000; k++) {
		uint64_t page = rnd(4) ? rnd(pages) : rnd(pages / 4 + 1), s = page % sets;

		for (i = 0; i < n[s] && lru[s][i] != page; i++)
			;
		if (hit(page) != (i < n[s]))
			fail_msg("%u entries, %u ways, access %u: page %llu", entries, ways, k, (unsigned long long)page);
		if (i == n[s] && n[s] < ways)
			n[s]++;
		else if (i == n[s])
			i--;
		memmove(&lru[s][1], &lru[s][0], i * sizeof(lru[s][0]));
		lru[s][0] = page;
		lru[s][0] = page;
	}
	assert_int_equal(stats().iotlb_hits + stats().iotlb_misses, 30000);
}

static void test_random(void **state)
{
	seed = 11;
	random_with(64, 64, 100);
	random_with(64, 4, 100);
	random_with(64, 1, 100);
	random_with(48, 3, 70);
	random_with(1, 1, 3);
}

/* Share of misses of reads at random places of a window, after a warm-up. */
static double misses(uint64_t window)
{
	uint32_t k, pages = (uint32_t)(window / PAGE);
	uint64_t at = 0;
	struct fab_node_stats s;

	iommu_open(64, 4, 1);
	for (k = 0; k < 60000; k++, at += MISS) {
		if (k == 10000)
			fab_iommu_stats_reset(m);
		fab_iommu_translate(m, at, rnd(pages) * PAGE + rnd(64) * 64, 64);
	}
	s = stats();
	return (double)s.iotlb_misses / 50000;
}

/* 64 entries of 4 KiB reach over 256 KiB: no misses up to there; behind it, what does not fit. */
static void test_reach(void **state)
{
	double share;

	seed = 5;
	assert_true(misses(4096) == 0);
	assert_true(misses(128 << 10) == 0);
	assert_true(misses(256 << 10) == 0);
	share = misses(260 << 10); /* a page more: one set of 16 has 5 pages for 4 ways */
	assert_true(share > 0.01 && share < 0.02);
	share = misses(320 << 10);
	assert_true(share > 0.19 && share < 0.21);
	share = misses(1 << 20);
	assert_true(share > 0.74 && share < 0.76);
	share = misses(64 << 20);
	assert_true(share > 0.99);
}

static void test_large_pages_and_none(void **state)
{
	struct fab_iommu_cfg cfg = { .entries = 2, .ways = 2, .page_bytes = 2 << 20, .miss_ps = MISS, .walkers = 1 };
	struct fab_iommu *none;

	fab_iommu_destroy(m);
	m = fab_iommu_create(&cfg);
	assert_non_null(m);
	assert_int_equal(fab_iommu_translate(m, 0, 0, 64), MISS);
	assert_int_equal(fab_iommu_translate(m, MISS, (2 << 20) - 64, 64), MISS);
	assert_int_equal(fab_iommu_translate(m, MISS, 2 << 20, 64), 2 * MISS);

	none = fab_iommu_create(&(struct fab_iommu_cfg){ 0 });
	assert_non_null(none);
	assert_int_equal(fab_iommu_translate(none, 42, 0x1000, 64), 42);
	fab_iommu_destroy(none);

	cfg.ways = 3;
	assert_null(fab_iommu_create(&cfg));
	cfg.ways = 2;
	cfg.page_bytes = 5000;
	assert_null(fab_iommu_create(&cfg));
	cfg.page_bytes = 2048;
	assert_null(fab_iommu_create(&cfg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hit_and_miss),
		cmocka_unit_test(test_waits_for_the_walk_under_way),
		cmocka_unit_test(test_walkers),
		cmocka_unit_test(test_lru),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_large_pages_and_none),
	};

	return cmocka_run_group_tests(tests, NULL, iommu_close);
}
