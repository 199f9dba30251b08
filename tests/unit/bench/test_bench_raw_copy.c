/* SPDX-License-Identifier: BSD-3-Clause */
/* The raw one-copy limit: it moves frames and counts them, and refuses what can't be measured.  How fast is no matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sched.h>
#include <cmocka.h>

#include "bench/raw_copy.h"

/* Two cores that this process may use, or none. */
static int cores(int core[2])
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int c = 0; c < CPU_SETSIZE && n < 2; c++)
		if (CPU_ISSET(c, &set))
			core[n++] = c;
	return n;
}

static void test_moves(void **state)
{
	struct raw_copy_opts o = { .depth = 64, .seconds = 0.05 };
	struct raw_copy_result r;
	int core[2];

	if (cores(core) < 2)
		skip();
	o.writer_core = core[0];
	o.copier_core = core[1];
	for (o.frame_bytes = 64; o.frame_bytes <= 1518; o.frame_bytes += 1454) {
		assert_int_equal(raw_copy_run(&o, &r), 0);
		assert_true(r.frames >= 32);
		assert_true(r.mpps > 0);
		assert_true(r.cycles_per_packet > 0);
	}
}

static uint32_t calls;

/* Counts itself: it is what copies, and is told what copy_sum is told. */
static uint32_t counting(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	calls += len == 60 && moved == 64 && stride == 64 && dst != src;
	return h;
}

static void test_routine(void **state)
{
	struct raw_copy_opts o = { .frame_bytes = 60, .depth = 64, .seconds = 0.02, .copy_sum = counting };
	struct raw_copy_result r;
	int core[2];

	if (cores(core) < 2)
		skip();
	o.writer_core = core[0];
	o.copier_core = core[1];
	calls = 0;
	assert_int_equal(raw_copy_run(&o, &r), 0);
	assert_true(r.frames >= 32);
	assert_int_equal(calls, (uint32_t)r.frames);
	calls = 0;
	assert_int_equal(raw_copy_own(&o, &r), 0);
	assert_true(r.frames >= 32);
	assert_int_equal(calls, (uint32_t)r.frames);
}

static void test_refuses(void **state)
{
	const struct raw_copy_opts good = { .frame_bytes = 64, .depth = 64, .buf_bytes = 2048, .seconds = 0.01, .copier_core = 1 };
	struct raw_copy_opts bad[8];
	struct raw_copy_result r;

	for (unsigned int k = 0; k < 8; k++)
		bad[k] = good;
	bad[0].frame_bytes = 0;
	bad[1].frame_bytes = 2049;
	bad[2].depth = 16;
	bad[3].depth = 100;
	bad[4].buf_bytes = 2000;
	bad[5].seconds = 0;
	bad[6].copier_core = 0;
	bad[7].writer_core = 100000;
	for (unsigned int k = 0; k < 8; k++)
		assert_int_equal(raw_copy_run(&bad[k], &r), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_moves),
		cmocka_unit_test(test_routine), cmocka_unit_test(test_refuses) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
