/* SPDX-License-Identifier: BSD-3-Clause */
/* Which bus addresses device memory and what the host lends get. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "driver/bus.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)
#define SHIFT 40
#define N 4 /* two NICs, two things that the host lends */

/* As an IOMMU of 48 bits on x86: all but the interrupts' window. */
static const struct bus_space wide = {
	.take = { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 } }, .takes = 2,
};

static void items(struct bus_item item[N], uint64_t a, uint64_t b)
{
	memset(item, 0, N * sizeof(*item));
	item[0] = (struct bus_item){ .bytes = 64 * MIB, .own = a };
	item[1] = (struct bus_item){ .bytes = 64 * MIB, .own = b };
	item[2].bytes = item[3].bytes = TIB;
}

static void check(const struct bus_space *s, struct bus_item item[N], unsigned int k, uint64_t base, enum bus_why why)
{
	unsigned int at;

	assert_int_equal(bus_place(s, SHIFT, item, N, &at), 0);
	assert_int_equal(item[k].base, base);
	assert_int_equal(item[k].why, why);
}

static void test_software(void **state)
{
	struct bus_item item[N];
	unsigned int k, at;

	items(item, 0, 0);
	assert_int_equal(bus_place(NULL, SHIFT, item, N, &at), 0);
	for (k = 0; k < N; k++)
		assert_int_equal(item[k].base, (k + 1) * TIB);
	items(item, 0xe4000000, 0);
	check(NULL, item, 0, TIB, BUS_NONE);
}

static void test_own(void **state)
{
	struct bus_item item[N];

	items(item, 0xe4000000, 0x383fc0000000);
	check(&wide, item, 0, 0xe4000000, BUS_OWN);
	assert_int_equal(item[1].base, 0x383fc0000000);
	assert_int_equal(item[1].why, BUS_OWN);
	assert_int_equal(item[2].base, 3 * TIB);
	assert_int_equal(item[3].base, 4 * TIB);
	/* To the last byte of a range. */
	items(item, 0xfee00000 - 64 * MIB, (1ull << 48) - 64 * MIB);
	check(&wide, item, 0, 0xfee00000 - 64 * MIB, BUS_OWN);
	assert_int_equal(item[1].why, BUS_OWN);
}

static void test_not_taken(void **state)
{
	struct bus_space narrow = wide, silent = wide, all = wide;
	struct bus_item item[N];
	unsigned int at;

	narrow.take[1].last = (1ull << 39) - 1;
	silent.takes = 0;
	/* Beyond the width. */
	items(item, 0x383fc0000000, 0);
	assert_int_equal(bus_place(&narrow, 33, item, 2, &at), 0);
	assert_int_equal(item[0].base, 1ull << 33);
	assert_int_equal(item[0].why, BUS_UNTAKEN);
	/* Its end beyond it; into the interrupts' window; over it. */
	items(item, (1ull << 48) - 32 * MIB, 0);
	check(&wide, item, 0, TIB, BUS_UNTAKEN);
	items(item, 0xfee00000 - 32 * MIB, 0xfee10000);
	check(&wide, item, 0, TIB, BUS_UNTAKEN);
	assert_int_equal(item[1].why, BUS_UNTAKEN);
	/* What no BAR can be, or the device interface has no room for. */
	items(item, 0xe4000800, (1ull << 63) - 32 * MIB);
	check(&wide, item, 0, TIB, BUS_UNTAKEN);
	assert_int_equal(item[1].why, BUS_UNTAKEN);
	items(item, UINT64_MAX - 4095, 0);
	check(&wide, item, 0, TIB, BUS_UNTAKEN);
	/* To the last byte that there is, where the IOMMU would take it. */
	all.take[0].last = UINT64_MAX;
	items(item, 0 - 64 * MIB, (1ull << 63) - 64 * MIB);
	check(&all, item, 0, TIB, BUS_UNTAKEN);
	assert_int_equal(item[1].why, BUS_OWN);
	items(item, 0xe4000000, 0);
	check(&silent, item, 0, TIB, BUS_UNKNOWN);
}

static void test_collision(void **state)
{
	/* Functions in the first piece, in that of the first thing lent, and one byte of the second's. */
	struct bus_range pci[] = { { TIB + 5 * GIB, TIB + 6 * GIB - 1 }, { 3 * TIB + 512 * GIB, 3 * TIB + 512 * GIB + MIB - 1 },
				   { 5 * TIB - 1, 5 * TIB - 1 } };
	struct bus_space s = wide;
	struct bus_item item[N];

	s.pci = pci;
	s.pcis = 3;
	/* One address twice. */
	items(item, 0xe4000000, 0xe4000000 + 32 * MIB);
	check(&s, item, 1, 2 * TIB, BUS_OCCUPIED);
	assert_int_equal(item[0].base, 0xe4000000);
	/* What the host lends goes where no function's memory is. */
	assert_int_equal(item[2].base, 5 * TIB);
	assert_int_equal(item[3].base, 6 * TIB);
	/* A piece is only as much as is asked for: 64 MiB of the first are free. */
	items(item, 0, 0);
	check(&s, item, 0, TIB, BUS_NONE);
	pci[0].first = TIB + 64 * MIB - 1;
	items(item, 0, 0);
	check(&s, item, 0, 2 * TIB, BUS_NONE);
	assert_int_equal(item[1].base, 3 * TIB);
	/* A BAR lies in the second thing's piece: it stays, the thing moves. */
	items(item, 4 * TIB, 0);
	s.pcis = 0;
	check(&s, item, 0, 4 * TIB, BUS_OWN);
	assert_int_equal(item[3].base, TIB);
}

static void test_hole_in_piece(void **state)
{
	struct bus_space s = { .take = { { 0, 3 * TIB }, { 3 * TIB + MIB, (1ull << 46) - 1 } }, .takes = 2 };
	struct bus_item item[N];

	items(item, 0, 0);
	check(&s, item, 2, 4 * TIB, BUS_NONE);
	assert_int_equal(item[3].base, 5 * TIB);
}

static void test_told(void **state)
{
	struct bus_item item[N];

	/* NICs that run know the first where it is not at home. */
	items(item, 0xe4000000, 0xe8000000);
	item[0].base = 9 * TIB;
	check(&wide, item, 0, 9 * TIB, BUS_TOLD);
	assert_int_equal(item[1].base, 0xe8000000);
	items(item, 0xe4000000, 0);
	item[0].base = 0xe4000000;
	check(&wide, item, 0, 0xe4000000, BUS_OWN);
	/* A NIC whose home is where another was put. */
	items(item, 0, 9 * TIB + 32 * MIB);
	item[0].base = 9 * TIB;
	check(&wide, item, 1, 2 * TIB, BUS_OCCUPIED);
	assert_int_equal(item[0].base, 9 * TIB);
}

static void test_full(void **state)
{
	struct bus_space s = { .take = { { 0, 0xfedfffff }, { TIB, TIB + 64 * MIB - 1 } }, .takes = 2 };
	struct bus_item item[N];
	unsigned int at = 99;

	items(item, 0, 0xe4000000);
	assert_int_equal(bus_place(&s, SHIFT, item, N, &at), -ENOSPC);
	assert_int_equal(at, 2);
	items(item, 0, 0);
	assert_int_equal(bus_place(&s, SHIFT, item, N, &at), -ENOSPC);
	assert_int_equal(at, 1);
	/* What is not there keeps nobody out. */
	items(item, 0, 0);
	item[1].bytes = item[2].bytes = item[3].bytes = 0;
	assert_int_equal(bus_place(&s, SHIFT, item, N, &at), 0);
	assert_int_equal(item[0].base, TIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_software),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_collision),
		cmocka_unit_test(test_hole_in_piece),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
