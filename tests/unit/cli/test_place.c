/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker steps which queue of which NIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/place.h"

#define PAIR(x, y) { .a = (x), .b = (y) }

static unsigned int worker[P2P_MAX_NICS * P2P_MAX_QUEUES];

static void test_round_robin(void **state)
{
	unsigned int i;

	place_queues(NULL, 0, 5, 1, 2, worker);
	for (i = 0; i < 5; i++)
		assert_int_equal(worker[i], i % 2);
	place_queues(NULL, 0, 3, 1, 1, worker);
	for (i = 0; i < 3; i++)
		assert_int_equal(worker[i], 0);
}

static void test_pairs_stay_together(void **state)
{
	static const struct drv_pair neighbours[] = { PAIR(0, 1), PAIR(2, 3) }, crossed[] = { PAIR(3, 0), PAIR(2, 1) };

	place_queues(neighbours, 2, 4, 1, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[1], 0);
	assert_int_equal(worker[2], 1);
	assert_int_equal(worker[3], 1);
	place_queues(crossed, 2, 4, 1, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[3], 0);
	assert_int_equal(worker[1], 1);
	assert_int_equal(worker[2], 1);
}

/* 4-2, 2-5 and 0-4 join four NICs; 1 and 3 stand alone. */
static void test_chain(void **state)
{
	static const struct drv_pair chain[] = { PAIR(4, 2), PAIR(2, 5), PAIR(0, 4) };

	place_queues(chain, 3, 6, 1, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[2], 0);
	assert_int_equal(worker[4], 0);
	assert_int_equal(worker[5], 0);
	assert_int_equal(worker[1], 1);
	assert_int_equal(worker[3], 0);
}

static void test_no_core_is_left_without(void **state)
{
	static const struct drv_pair pair[] = { PAIR(0, 1), PAIR(2, 3) };
	unsigned int i;

	place_queues(pair, 1, 2, 1, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[1], 1);
	place_queues(pair, 2, 4, 1, 3, worker);
	for (i = 0; i < 4; i++)
		assert_int_equal(worker[i], i % 3);
}

/* The same queue of both NICs of a pair on one worker, queues of a pair on different ones. */
static void test_queues(void **state)
{
	static const struct drv_pair pair[] = { PAIR(0, 1), PAIR(2, 3) };
	unsigned int i;

	place_queues(pair, 2, 4, 2, 2, worker);
	for (i = 0; i < 8; i++)
		assert_int_equal(worker[i], i % 2);
	place_queues(pair, 2, 4, 2, 4, worker);
	for (i = 0; i < 8; i++)
		assert_int_equal(worker[i], i / 4 * 2 + i % 2);
	place_queues(pair, 1, 2, 2, 4, worker);
	for (i = 0; i < 4; i++)
		assert_int_equal(worker[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_pairs_stay_together),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_no_core_is_left_without),
		cmocka_unit_test(test_queues),
	};

	return cmocka_run_group_tests_name("cli/place", tests, NULL, NULL);
}
