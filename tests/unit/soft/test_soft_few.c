/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts by AVX2 (boards/soft/few.h) beside the same one by one (firmware/board.h), on seeded random runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "firmware/board.h"

#define STEP 2112u
#define ROUNDS 20000
#define FREE P2P_D0(0x3fff, 0, 7, 0, 0)

#ifdef BOARD_FEW
static uint64_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

struct rig {
	struct board_ctx b;
	struct board_win w;
	uint8_t *src, *mem, *mem_each;
	struct p2p_seg segs[BOARD_FEW_MAX];
	struct p2p_desc *d, *d_each;
	struct board_run run;
	uint32_t n;
};

static uint8_t *pages(size_t bytes)
{
	uint8_t *p = aligned_alloc(64, P2P_ALIGN_UP(bytes, (size_t)64));

	assert_non_null(p);
	return p;
}

static int rig_make(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->src = pages(STEP * BOARD_FEW_MAX);
	r->mem = pages(STEP * BOARD_FEW_MAX);
	r->mem_each = pages(STEP * BOARD_FEW_MAX);
	r->d = (struct p2p_desc *)pages(sizeof(*r->d) * BOARD_FEW_MAX);
	r->d_each = (struct p2p_desc *)pages(sizeof(*r->d) * BOARD_FEW_MAX);
	r->b.gen = r->w.gen = 1;
	r->w.span_write = r->w.span_read = r->w.bytes = STEP * BOARD_FEW_MAX;
	*state = r;
	return 0;
}

static int rig_free(void **state)
{
	struct rig *r = *state;

	free(r->src);
	free(r->mem);
	free(r->mem_each);
	free(r->d);
	free(r->d_each);
	free(r);
	return 0;
}

/* A run of frames, most of them short, near the ends of what the numbers can be every now and then. */
static void rig_roll(struct rig *r)
{
	r->n = rnd(BOARD_FEW_MAX + 1);
	r->run = (struct board_run){ .w0 = P2P_D0(0, 0, 0, rnd(9), 0), .seq = rnd(4) ? rnd(1u << 31) : 0u - rnd(40),
				     .frame = (uint8_t)(rnd(2) ? rnd(256) : 240 + rnd(16)), .step = STEP,
				     .stride = rnd(4) ? 64 : 4u << rnd(7) };
	for (uint32_t i = 0; i < STEP * BOARD_FEW_MAX; i += 1 + rnd(2048))
		r->src[i] = (uint8_t)rnd(256);
	for (uint32_t k = 0; k < r->n; k++)
		p2p_seg_set(&r->segs[k], r->src + k * STEP, 1 + rnd(rnd(4) ? 64 : 2048), 0, 0);
	memset(r->mem, 0x5a, STEP * BOARD_FEW_MAX);
	memset(r->mem_each, 0x5a, STEP * BOARD_FEW_MAX);
}

static void test_fill(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < ROUNDS; i++) {
		rig_roll(r);
		r->w.host = r->mem_each;
		board_fill_each(&r->b, &r->w, 0, &r->run, r->segs, 0, r->n, r->d_each);
		r->w.host = r->mem;
		board_fill_few(&r->b, &r->w, 0, &r->run, r->segs, r->n, r->d);
		assert_memory_equal(r->d, r->d_each, sizeof(*r->d) * r->n);
		assert_memory_equal(r->mem, r->mem_each, STEP * BOARD_FEW_MAX);
		board_describe_each(&r->run, r->segs, r->n, r->d_each);
		board_describe_few(&r->run, r->segs, r->n, r->d);
		assert_memory_equal(r->d, r->d_each, sizeof(*r->d) * r->n);
	}
}

/* Breaks one descriptor of the run, or none. */
static void spoil(struct rig *r)
{
	uint32_t k = rnd(r->n + 1), w0;
	struct p2p_desc *d = &r->d[k];

	if (k == r->n)
		return;
	w0 = from_le32(d->w0);
	switch (rnd(8)) {
	case 0:
		d->seq = to_le32(from_le32(d->seq) + 1 + rnd(3));
		break;
	case 1:
		d->where = to_le32(from_le32(d->where) ^ 1u << rnd(32));
		break;
	case 2:
		d->w0 = to_le32(w0 ^ 1u << rnd(32));
		break;
	case 3:
		d->w0 = to_le32(w0 & ~0x3fffu);
		break;
	case 4:
		d->w0 = to_le32((w0 & ~0x3fffu) | (STEP + rnd(3)));
		break;
	case 5:
		d->csum = to_le32(from_le32(d->csum) ^ 1u << rnd(32));
		break;
	default:
		break;
	}
}

static void test_take_and_check(void **state)
{
	struct rig *r = *state;
	uint32_t stopped = 0, bad = 0, all = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct board_few f, each = { .longest = 0 };
		uint32_t n, good;
		const uint8_t *mem;

		rig_roll(r);
		r->w.host = r->mem;
		mem = rnd(4) ? r->mem : NULL;
		if (mem)
			board_fill_few(&r->b, &r->w, 0, &r->run, r->segs, r->n, r->d);
		else
			board_describe_few(&r->run, r->segs, r->n, r->d);
		spoil(r);
		if (r->n && !rnd(8))
			r->mem[rnd(r->n) * STEP + rnd(64)] ^= 0x10;
		n = board_take_few(r->d, &r->run, FREE, r->n, &f);
		assert_int_equal(n, board_take_each(r->d, &r->run, FREE, 0, r->n, &each));
		assert_memory_equal(f.w0, each.w0, n * sizeof(f.w0[0]));
		assert_memory_equal(f.csum, each.csum, n * sizeof(f.csum[0]));
		assert_int_equal(f.longest, each.longest);
		assert_int_equal(f.bytes, each.bytes);
		good = board_check_few(&r->b, mem, &r->run, n, &f);
		assert_int_equal(good, board_check_each(&r->b, mem, &r->run, n, &each));
		stopped += n != r->n;
		bad += good != n;
		all += good == r->n;
	}
	/* The rolls reach what they are meant to. */
	assert_true(stopped > ROUNDS / 10 && bad > ROUNDS / 20 && all > ROUNDS / 4);
}

/* Of a window that leads nowhere (a ring without a base) nothing is asked for, and no address is made of it. */
static void test_no_window(void **state)
{
	struct rig *r = *state;

	r->w = (struct board_win){ .gen = r->b.gen };
	board_prefetch_few(&r->b, &r->w, STEP, STEP, 4);
	r->w.gen++;
	board_prefetch_few(&r->b, &r->w, STEP, STEP, 4);
	assert_null(r->w.host);
}
#endif

int main(void)
{
#ifdef BOARD_FEW
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fill, rig_make, rig_free),
		cmocka_unit_test_setup_teardown(test_take_and_check, rig_make, rig_free),
		cmocka_unit_test_setup_teardown(test_no_window, rig_make, rig_free),
	};

	if (!soft_copy_wide()) {
		printf("skipped: this CPU has no AVX2\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	printf("skipped: built without AVX2, or for ThreadSanitizer\n");
	return 77;
#endif
}
