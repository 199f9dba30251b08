/* SPDX-License-Identifier: BSD-3-Clause */
/* The pace in made-up time: nothing here looks at a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ports/pace.h"

static void run(uint64_t rate, uint64_t burst, uint64_t frames)
{
	struct pace p = { 0 };
	uint64_t now = 1000000, sent = 0, due, next;

	pace_init(&p, rate, burst);
	while (sent < frames) {
		due = pace_due(&p, now);
		assert_true(due % burst == 0);
		pace_spend(&p, due);
		sent += due;
		/* Never more than the rate allows, plus the group that starts now. */
		assert_true((double)sent <= (double)(now - 1000000) * (double)rate / 1e9 + (double)burst + 1);
		next = pace_next_ns(&p, now);
		assert_true(due || next > now);
		/* One ns earlier nothing is due, at the time itself a group is. */
		if (next > now) {
			struct pace early = p;

			assert_true(next == now + 1 || pace_due(&early, next - 1) == 0);
			early = p;
			assert_true(pace_due(&early, next) >= burst);
		}
		now = next > now ? next : now + 1;
	}
	assert_true(p.behind == 0);
}

static void test_rates(void **state)
{
	run(1, 1, 20);
	run(1000, 1, 5000);
	run(333, 7, 5000);
	run(14880952, 1, 200000);
	run(1000000, 32, 3200000);
	run(10000000000u, 1, 300000);
}

static void test_debt(void **state)
{
	struct pace p = { 0 };

	pace_init(&p, 1000000, 1);
	assert_true(pace_due(&p, 5000) == 1);
	pace_spend(&p, 1);
	/* A second late: a millisecond's worth is made up for, the rest forgiven and counted. */
	assert_true(pace_due(&p, 1000005000) == 1000);
	assert_true(p.behind == 999000);
	pace_spend(&p, 1000);
	assert_true(pace_due(&p, 1000005000) == 0);
	assert_true(pace_due(&p, 1000006000) == 1);
	pace_init(&p, 0, 1);
	assert_true(pace_due(&p, 7) == UINT64_MAX && pace_next_ns(&p, 7) == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rates), cmocka_unit_test(test_debt) };

	return cmocka_run_group_tests_name("ports_pace", tests, NULL, NULL);
}
