/* SPDX-License-Identifier: BSD-3-Clause */
/* The histogram against the sorted samples themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "ports/histogram.h"

#define N 20000

static uint64_t rnd_state = 88172645463325252u;

static uint64_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void assert_near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	if (want < 128)
		assert_true(off == 0);
	else if ((double)off > (double)want * 0.008)
		fail_msg("got %llu, want %llu", (unsigned long long)got, (unsigned long long)want);
}

static void check_against(struct histogram *h, uint64_t *v, unsigned int n)
{
	static const double percent[] = { 0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100 };
	double sum = 0, mean;
	unsigned int i, rank;

	qsort(v, n, sizeof(*v), by_value);
	for (i = 0; i < n; i++)
		sum += (double)v[i];
	assert_true(histogram_count(h) == n);
	mean = histogram_mean(h);
	assert_true(mean >= sum / n * 0.999999 && mean <= sum / n * 1.000001);
	for (i = 0; i < P2P_ARRAY_SIZE(percent); i++) {
		double want = percent[i] / 100.0 * n;

		rank = (unsigned int)want;
		rank += rank < want;
		assert_near(histogram_percentile(h, percent[i]), v[rank ? rank - 1 : 0]);
	}
}

static void test_buckets(void **state)
{
	uint64_t v, step;
	unsigned int i, last = 0;

	for (v = 0; v < 100000; v++) {
		i = histogram_index(v);
		assert_true(i == last || i == last + 1);
		last = i;
		assert_near(histogram_bucket_value(i), v);
	}
	for (i = 17; i < 64; i++) {
		step = 1ull << (i - 8);
		for (v = 1ull << i; v >= 1ull << i && v - (1ull << i) < 1ull << i; v += step) {
			assert_true(histogram_index(v) < HISTOGRAM_BUCKETS);
			assert_near(histogram_bucket_value(histogram_index(v)), v);
		}
	}
	assert_int_equal(histogram_index(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_percentiles(void **state)
{
	struct histogram *h = malloc(sizeof(*h));
	uint64_t *v = malloc(N * sizeof(*v));
	unsigned int i, kind;

	for (kind = 0; kind < 4; kind++) {
		histogram_reset(h);
		for (i = 0; i < N; i++) {
			if (kind == 0)
				v[i] = rnd() % 100;
			else if (kind == 1)
				v[i] = 600 + rnd() % 400;
			else if (kind == 2)
				v[i] = (rnd() & 0xffffffffff) >> (rnd() % 40);
			else
				v[i] = i % 1000 ? 5000 : 900000000;
			histogram_record(h, v[i]);
		}
		check_against(h, v, N);
	}
	free(v);
	free(h);
}

static void test_merge(void **state)
{
	struct histogram *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b)), *c = calloc(1, sizeof(*c));
	uint64_t *v = malloc(N * sizeof(*v));
	unsigned int i;

	for (i = 0; i < N; i++) {
		v[i] = rnd() % 1000000;
		histogram_record(i % 3 ? a : b, v[i]);
	}
	histogram_copy(c, a);
	histogram_merge(c, b);
	check_against(c, v, N);
	histogram_subtract(c, a);
	assert_memory_equal(c, b, sizeof(*c));
	histogram_subtract(c, b);
	assert_true(histogram_count(c) == 0);
	assert_true(histogram_percentile(c, 50) == 0);
	free(v);
	free(a);
	free(b);
	free(c);
}

static void test_edges(void **state)
{
	struct histogram *h = calloc(1, sizeof(*h));

	assert_true(histogram_count(h) == 0 && histogram_percentile(h, 99) == 0 && histogram_mean(h) == 0.0);
	histogram_record(h, 42);
	assert_true(histogram_percentile(h, 0) == 42 && histogram_percentile(h, 100) == 42);
	histogram_record(h, UINT64_MAX);
	assert_near(histogram_percentile(h, 100), UINT64_MAX);
	assert_true(histogram_percentile(h, 50) == 42);
	histogram_reset(h);
	assert_true(histogram_count(h) == 0);
	free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests_name("ports_histogram", tests, NULL, NULL);
}
