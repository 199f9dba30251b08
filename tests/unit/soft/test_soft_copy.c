/* SPDX-License-Identifier: BSD-3-Clause */
/* Copy and checksum, each way there is, against csum.h and CRC32C spelled out bit by bit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_fw.h"

#define MAX_LEN 9728u
#define GUARD 64u
#define AREA (MAX_LEN + 512 + 2 * GUARD)

static uint32_t rng = 12345;

static uint32_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	return rng ^= rng << 5;
}

static uint32_t ref_crc(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* From the definition: units that hold a byte of the frame, the frame padded with zeroes. */
static uint32_t ref_sum(const uint8_t *frame, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t crc = ~0u;

	for (uint32_t unit = 0; unit * stride < len; unit++) {
		uint32_t at = unit * stride + p2p_sample_offset(h, unit, stride);
		uint8_t word[4] = { 0 };

		for (uint32_t i = 0; i < 4; i++)
			word[i] = at + i < len ? frame[at + i] : 0;
		crc = ref_crc(crc, word, 4);
	}
	return crc;
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = rnd() >> 11;
}

struct fixture {
	struct fake_port port;
	struct soft_nic *nic;
	uint8_t *frame, *src;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_port_init(&f->port);
	f->nic = fake_nic_create("nic0", &f->port);
	fake_nic_configure(f->nic, 1, 64, 64);
	f->frame = malloc(AREA);
	f->src = malloc(AREA);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	soft_copy_select(soft_copy_best());
	soft_nic_destroy(f->nic);
	fake_port_fini(&f->port);
	free(f->frame);
	free(f->src);
	free(f);
	return 0;
}

static void one(struct fixture *f, uint32_t len, uint32_t stride)
{
	struct board_ctx *b = &f->nic->context[0].ctx;
	uint32_t h = p2p_mix(rnd()), shift = rnd() % 2 ? rnd() % 64 : 0, sum = 0, want, moved;
	uint64_t at = P2P_PRIVATE_BYTES / 2;
	uint8_t *dst = f->nic->mem.base + at, *src = f->src + shift;
	struct board_win w;

	moved = P2P_ALIGN_UP(len, stride > 64 ? stride : 64u);
	fill(f->frame, len);
	fill(src, AREA - 64);
	memcpy(src, f->frame, len);
	memset(dst - GUARD, 0xa5, AREA);
	board_win_open(b, &w, P2P_BUS_LOCAL | at, MAX_LEN + 512);
	board_write_sum(b, &w, 0, src, len, h, stride, &sum);
	want = ref_sum(f->frame, len, h, stride);
	assert_int_equal(sum, want);
	assert_memory_equal(dst, f->frame, len);
	for (uint32_t i = len; i < moved; i++)
		assert_int_equal(dst[i], 0);
	for (uint32_t i = 0; i < GUARD; i++) {
		assert_int_equal(dst[moved + i], 0xa5);
		assert_int_equal(dst[-1 - (int)i], 0xa5);
	}
	assert_int_equal(board_sum_check(b, dst, len, h, stride), want);
	memcpy(src, f->frame, len);
	assert_int_equal(board_sum(b, src, len, h, stride), want);
	for (uint32_t i = len; i < moved; i++)
		assert_int_equal(src[i], 0);
}

/* Every length up to a full Ethernet frame, then some of each kind up to the longest. */
static void every_length(void **state, enum soft_copy_path path)
{
	struct fixture *f = *state;

	if (soft_copy_select(path) != 0) {
		print_message("%s: this CPU can't\n", soft_copy_path_name(path));
		return;
	}
	for (uint32_t stride = P2P_MIN_STRIDE; stride <= P2P_MAX_STRIDE; stride *= 2) {
		for (uint32_t len = 0; len <= (stride == 64 ? 2200 : 300); len++)
			one(f, len, stride);
		for (uint32_t len = 301; len <= MAX_LEN; len += 1 + rnd() % 97)
			one(f, len, stride);
		one(f, MAX_LEN, stride);
	}
}

#define PATH_TEST(name, path) \
	static void test_##name(void **state) \
	{ \
		every_length(state, path); \
	}
PATH_TEST(table, SOFT_COPY_TABLE)
PATH_TEST(crc, SOFT_COPY_CRC)
PATH_TEST(rep, SOFT_COPY_REP)
PATH_TEST(avx2, SOFT_COPY_AVX2)
PATH_TEST(ahead, SOFT_COPY_AHEAD)
PATH_TEST(stream, SOFT_COPY_STREAM)
PATH_TEST(avx512, SOFT_COPY_AVX512)

/* Without a sum: nothing but the bytes asked for, wherever they begin. */
static void test_copy(void **state)
{
	struct fixture *f = *state;
	uint8_t *dst = malloc(AREA);

	for (int path = 0; path < SOFT_NUM_COPY_PATHS; path++) {
		if (soft_copy_select(path) != 0)
			continue;
		for (uint32_t len = 0; len <= 2200; len++) {
			uint32_t from = rnd() % 64, to = GUARD + rnd() % 64;

			fill(f->src, from + len);
			memset(dst, 0xa5, to + len + GUARD);
			soft_copy_ops.copy(dst + to, f->src + from, len);
			assert_memory_equal(dst + to, f->src + from, len);
			for (uint32_t i = 1; i <= GUARD; i++) {
				assert_int_equal(dst[to - i], 0xa5);
				assert_int_equal(dst[to + len - 1 + i], 0xa5);
			}
		}
	}
	free(dst);
}

/* The default is a path that this CPU has, and none that was only measured. */
static void test_default(void **state)
{
	assert_non_null(soft_copy_path_ops(soft_copy_best()));
	assert_memory_equal(&soft_copy_ops, soft_copy_path_ops(soft_copy_best()), sizeof(soft_copy_ops));
	assert_int_equal(soft_copy_select(SOFT_NUM_COPY_PATHS), -ENOTSUP);
}

static void test_every_length_once(void **state)
{
	for (uint32_t len = 1; len <= MAX_LEN; len++)
		one(*state, len, 64);
}

/* RFC 3720 B.4: 32 bytes of zeroes, of ones, and 0 to 31. */
static void test_vectors(void **state)
{
	for (int path = 0; path < SOFT_NUM_COPY_PATHS; path++) {
		uint32_t zero = ~0u, ones = ~0u, up = ~0u;

		if (soft_copy_select(path) != 0)
			continue;
		for (uint32_t i = 0; i < 8; i++) {
			zero = soft_crc32(zero, 0);
			ones = soft_crc32(ones, ~0u);
			up = soft_crc32(up, 0x03020100 + i * 0x04040404);
		}
		assert_int_equal(~zero, 0x8a9136aa);
		assert_int_equal(~ones, 0x62a8ab43);
		assert_int_equal(~up, 0x46dd794e);
	}
}

static void test_finish(void **state)
{
	uint8_t words[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
	uint32_t want = ~ref_crc(0x12345678, words, 12);

	for (int path = 0; path < SOFT_NUM_COPY_PATHS; path++)
		if (soft_copy_select(path) == 0)
			assert_int_equal(board_sum_finish(0x12345678, 0x04030201, 0x08070605, 0x0c0b0a09), want);
}

static void test_zero_length(void **state)
{
	struct fixture *f = *state;
	struct board_win w;
	uint32_t sum = 0;

	board_win_open(&f->nic->context[0].ctx, &w, P2P_BUS_LOCAL, 4096);
	board_write_sum(&f->nic->context[0].ctx, &w, 0, f->src, 0, 1, 64, &sum);
	assert_int_equal(sum, ~0u);
	assert_int_equal(board_sum_check(&f->nic->context[0].ctx, f->src, 0, 1, 64), ~0u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test_setup_teardown(test_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_avx2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_avx512, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_length_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zero_length, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
