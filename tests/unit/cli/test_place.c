/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker steps which NIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/place.h"

#define PAIR(x, y) { .a = (x), .b = (y) }

static unsigned int worker[P2P_MAX_NICS];

static void test_round_robin(void **state)
{
	unsigned int i;

	place_nics(NULL, 0, 5, 2, worker);
	for (i = 0; i < 5; i++)
		assert_int_equal(worker[i], i % 2);
	place_nics(NULL, 0, 3, 1, worker);
	for (i = 0; i < 3; i++)
		assert_int_equal(worker[i], 0);
}

static void test_pairs_stay_together(void **state)
{
	static const struct drv_pair neighbours[] = { PAIR(0, 1), PAIR(2, 3) }, crossed[] = { PAIR(3, 0), PAIR(2, 1) };

	place_nics(neighbours, 2, 4, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[1], 0);
	assert_int_equal(worker[2], 1);
	assert_int_equal(worker[3], 1);
	place_nics(crossed, 2, 4, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[3], 0);
	assert_int_equal(worker[1], 1);
	assert_int_equal(worker[2], 1);
}

/* 4-2, 2-5 and 0-4 join four NICs; 1 and 3 stand alone. */
static void test_chain(void **state)
{
	static const struct drv_pair chain[] = { PAIR(4, 2), PAIR(2, 5), PAIR(0, 4) };

	place_nics(chain, 3, 6, 2, worker);
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

	place_nics(pair, 1, 2, 2, worker);
	assert_int_equal(worker[0], 0);
	assert_int_equal(worker[1], 1);
	place_nics(pair, 2, 4, 3, worker);
	for (i = 0; i < 4; i++)
		assert_int_equal(worker[i], i % 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_pairs_stay_together),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_no_core_is_left_without),
	};

	return cmocka_run_group_tests_name("cli/place", tests, NULL, NULL);
}
