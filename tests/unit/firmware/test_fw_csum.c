/* SPDX-License-Identifier: BSD-3-Clause */
/* csum.h against a CRC32C written from its polynomial, and the properties that scrub relies on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FW_BOARD late
#include <tests/late/late.h>
#include <tests/late/rng.h>

/* Castagnoli, bit by bit, reflected; the whole message at once. */
static uint32_t crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = 0xffffffff;
	size_t i;
	int b;

	for (i = 0; i < len; i++) {
		for (b = 0; b < 8; b++) {
			uint32_t bit = (crc ^ (uint32_t)(p[i] >> b)) & 1;

			crc = crc >> 1 ^ (bit ? 0x82f63b78 : 0);
		}
	}
	return ~crc;
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

/* The definition in csum.h, read word for word. */
static uint32_t defined(const uint8_t *frame, uint32_t len, uint32_t stride, uint32_t w0, uint32_t where, uint32_t seq)
{
	static uint8_t message[P2P_MAX_FRAME + 4096];
	size_t n = 0;
	uint32_t unit, at, i;

	for (unit = 0; unit * stride < len; unit++) {
		at = unit * stride + p2p_sample_offset(p2p_mix(seq), unit, stride);
		for (i = at; i < at + 4; i++)
			message[n++] = i < len ? frame[i] : 0;
	}
	put32(message + n, w0 & 0x07ffffff); /* bn's NIC is left out */
	put32(message + n + 4, where);
	put32(message + n + 8, seq);
	return crc32c(message, n + 12);
}

static void test_crc_check_value(void **state)
{
	assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
}

static void test_crc_plain(void **state)
{
	uint32_t k, crc, v;
	struct rng r;

	assert_int_equal(~p2p_crc32c_plain(~0u, 0), 0x48674bc7); /* of four zero bytes */
	rng_seed(&r, 5);
	for (k = 0; k < 1000; k++) {
		crc = (uint32_t)rng_next(&r);
		v = (uint32_t)rng_next(&r);
		assert_int_equal(p2p_crc32c(crc, v), p2p_crc32c_plain(crc, v));
	}
}

static void test_definition(void **state)
{
	static uint8_t frame[P2P_MAX_FRAME + 256], copy[P2P_MAX_FRAME + 256];
	uint32_t k, len, stride, w0, where, seq, i, sum;
	struct rng r;

	rng_seed(&r, 7);
	for (k = 0; k < 3000; k++) {
		len = rng_below(&r, 4) ? 1 + rng_below(&r, 200) : 1 + rng_below(&r, P2P_MAX_FRAME);
		stride = 4u << rng_below(&r, 7);
		w0 = (uint32_t)rng_next(&r);
		where = (uint32_t)rng_next(&r);
		seq = (uint32_t)rng_next(&r);
		for (i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)rng_next(&r);
		memcpy(copy, frame, sizeof(frame));
		/* late_sum zeroes the tail itself; the definition pads. */
		sum = late_sum(NULL, copy, len, p2p_mix(seq), stride);
		assert_int_equal(late_sum_finish(sum, w0, where, seq), defined(frame, len, stride, w0, where, seq));
		assert_int_equal(late_sum_check(NULL, copy, len, p2p_mix(seq), stride), sum);
		assert_memory_equal(copy, frame, len);
	}
}

static void test_sample_stays_in_unit(void **state)
{
	uint32_t stride, seq, unit, off, seen, n;

	for (stride = P2P_MIN_STRIDE; stride <= P2P_MAX_STRIDE; stride *= 2) {
		for (unit = 0; unit < 20; unit++) {
			uint64_t words = 0;

			for (seq = 0; seq < 4096; seq++) {
				off = p2p_sample_offset(p2p_mix(seq), unit, stride);
				assert_true(off % 4 == 0 && off + 4 <= stride);
				words |= 1ull << off / 4;
			}
			/* Over many frames every word of a unit has its turn. */
			for (seen = 0, n = 0; n < 64; n++)
				seen += words >> n & 1;
			assert_int_equal(seen, stride / 4);
		}
	}
}

/* What a scrub leaves never equals, but by chance, what any other number would have left there. */
static void test_scrub_words_differ(void **state)
{
	uint32_t key, seq, unit, same = 0;
	struct rng r;

	rng_seed(&r, 3);
	for (seq = 0; seq < 20000; seq++) {
		key = (uint32_t)rng_next(&r);
		for (unit = 0; unit < 4; unit++)
			same += p2p_scrub_word(key, seq, unit) == p2p_scrub_word(key, seq + 64, unit) ||
				p2p_scrub_word(key, seq, unit) == p2p_scrub_word(key, seq, unit + 1) ||
				p2p_scrub_word(key, seq, unit) == p2p_scrub_word(key + 1, seq, unit);
	}
	assert_true(same < 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_check_value),
		cmocka_unit_test(test_crc_plain),
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_sample_stays_in_unit),
		cmocka_unit_test(test_scrub_words_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
