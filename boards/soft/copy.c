/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy.h"

#include <errno.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#ifndef __SSE4_2__
bool soft_cpu_crc;
#endif
uint32_t soft_crc_table[256];

#define UNIT_STEP 0x9e3779b9u /* csum.h: p2p_sample_offset() */
#define ONES16 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
const uint8_t soft_keep_mask[128] = { ONES16, ONES16, ONES16, ONES16 };

static uint32_t sum_table(const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t crc = ~0u, unit = 0;

	for (uint32_t at = 0; at < len; at += stride, unit++)
		crc = soft_crc32_table(crc, soft_load32(mem + at + p2p_sample_offset(h, unit, stride)));
	return crc;
}

static void copy_plain(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

static uint32_t copy_sum_table(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	memcpy(dst, src, len);
	memset(dst + len, 0, moved - len);
	return sum_table(dst, len, h, stride);
}

#ifdef __x86_64__
static inline uint32_t crc_pair(uint32_t crc, uint32_t first, uint32_t second)
{
	uint64_t c = crc, v = first | (uint64_t)second << 32;

	__asm__("crc32q %1, %0" : "+r"(c) : "r"(v));
	return c;
}

/* The word of the unit at p; h has moved on by a unit's worth for each before it (p2p_sample_offset). */
static inline uint32_t sample(const uint8_t *p, uint32_t h, uint32_t stride)
{
	return soft_load32(p + p2p_sample_offset(h, 0, stride));
}

static uint32_t sum_crc(const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t crc = ~0u, at = 0;

	for (; at + stride < len; at += 2 * stride, h += 2 * UNIT_STEP)
		crc = crc_pair(crc, sample(mem + at, h, stride), sample(mem + at + stride, h + UNIT_STEP, stride));
	return at < len ? soft_crc32_insn(crc, sample(mem + at, h, stride)) : crc;
}

static uint32_t copy_sum_crc(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	memcpy(dst, src, len);
	memset(dst + len, 0, moved - len);
	return sum_crc(dst, len, h, stride);
}

__attribute__((target("avx2"))) static inline void line_avx2(uint8_t *dst, const uint8_t *src)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)src);
	__m256i b = _mm256_loadu_si256((const __m256i *)(src + 32));

	_mm256_storeu_si256((__m256i *)dst, a);
	_mm256_storeu_si256((__m256i *)(dst + 32), b);
}

/* The first `keep` bytes of a line (1-64), the rest zero. */
__attribute__((target("avx2"))) static inline void line_tail_avx2(uint8_t *dst, const uint8_t *src, uint32_t keep)
{
	const uint8_t *m = soft_keep_mask + SOFT_LINE - keep;

	for (int i = 0; i < 64; i += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(src + i));
		__m256i k = _mm256_loadu_si256((const __m256i *)(m + i));

		_mm256_storeu_si256((__m256i *)(dst + i), _mm256_and_si256(v, k));
	}
}

/* Stride 64: each line gives its word as it goes by. */
__attribute__((target("avx2"))) static uint32_t copy_sum64_avx2(uint8_t *dst, const uint8_t *src, uint32_t len,
								uint32_t h)
{
	uint32_t crc = ~0u, last = (len - 1) & ~(SOFT_LINE - 1), at;

	for (at = 0; at + SOFT_LINE <= last; at += 2 * SOFT_LINE, h += 2 * UNIT_STEP) {
		line_avx2(dst + at, src + at);
		if (at + SOFT_LINE == last)
			break;
		line_avx2(dst + at + SOFT_LINE, src + at + SOFT_LINE);
		crc = crc_pair(crc, sample(dst + at, h, SOFT_LINE),
			       sample(dst + at + SOFT_LINE, h + UNIT_STEP, SOFT_LINE));
	}
	line_tail_avx2(dst + last, src + last, len - last);
	if (at == last)
		return soft_crc32_insn(crc, sample(dst + last, h, SOFT_LINE));
	return crc_pair(crc, sample(dst + at, h, SOFT_LINE), sample(dst + last, h + UNIT_STEP, SOFT_LINE));
}

__attribute__((target("avx2"))) static uint32_t copy_sum_avx2(uint8_t *dst, uint8_t *src, uint32_t len,
							      uint32_t moved, uint32_t h, uint32_t stride)
{
	uint32_t last = (len - 1) & ~(SOFT_LINE - 1), at;

	if (p2p_unlikely(len == 0)) {
		memset(dst, 0, moved);
		return ~0u;
	}
	if (p2p_likely(stride == SOFT_LINE))
		return copy_sum64_avx2(dst, src, len, h);
	for (at = 0; at < last; at += SOFT_LINE)
		line_avx2(dst + at, src + at);
	line_tail_avx2(dst + at, src + at, len - last);
	if (at + SOFT_LINE < moved)
		memset(dst + at + SOFT_LINE, 0, moved - at - SOFT_LINE);
	return sum_crc(dst, len, h, stride);
}

__attribute__((target("avx2"))) static void copy_avx2(void *dst, const void *src, size_t len)
{
	size_t at = 0;

	for (; at + SOFT_LINE <= len; at += SOFT_LINE)
		line_avx2((uint8_t *)dst + at, (const uint8_t *)src + at);
	if (at < len)
		memcpy((uint8_t *)dst + at, (const uint8_t *)src + at, len - at);
}
#endif

static const struct {
	const char *name;
	struct soft_copy_ops ops;
} paths[SOFT_NUM_COPY_PATHS] = {
	[SOFT_COPY_TABLE] = { "table", { copy_sum_table, sum_table, copy_plain } },
#ifdef __x86_64__
	[SOFT_COPY_CRC] = { "sse4.2", { copy_sum_crc, sum_crc, copy_plain } },
	[SOFT_COPY_AVX2] = { "avx2", { copy_sum_avx2, sum_crc, copy_avx2 } },
#else
	[SOFT_COPY_CRC] = { "sse4.2", { NULL, NULL, NULL } },
	[SOFT_COPY_AVX2] = { "avx2", { NULL, NULL, NULL } },
#endif
};

struct soft_copy_ops soft_copy_ops = { copy_sum_table, sum_table, copy_plain };

const char *soft_copy_path_name(enum soft_copy_path path)
{
	return paths[path].name;
}

enum soft_copy_path soft_copy_best(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("sse4.2"))
		return SOFT_COPY_AVX2;
	if (__builtin_cpu_supports("sse4.2"))
		return SOFT_COPY_CRC;
#endif
	return SOFT_COPY_TABLE;
}

bool soft_copy_wide(void)
{
#ifdef __x86_64__
	return soft_copy_ops.copy_sum == copy_sum_avx2 && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
	       __builtin_cpu_supports("popcnt");
#else
	return false;
#endif
}

int soft_copy_select(enum soft_copy_path path)
{
	if (path >= SOFT_NUM_COPY_PATHS || path > soft_copy_best())
		return -ENOTSUP;
	soft_copy_ops = paths[path].ops;
#ifndef __SSE4_2__
	soft_cpu_crc = path != SOFT_COPY_TABLE;
#endif
	return 0;
}

__attribute__((constructor)) static void soft_copy_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		soft_crc_table[i] = c;
	}
	soft_copy_select(soft_copy_best());
}
