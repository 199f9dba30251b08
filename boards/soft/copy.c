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

/* `rep movsb`: the CPU's own way, fast in its microcode on CPUs with ERMS or FSRM. */
static inline void rep_movsb(void *dst, const void *src, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

static uint32_t copy_sum_rep(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	rep_movsb(dst, src, len);
	memset(dst + len, 0, moved - len);
	return sum_crc(dst, len, h, stride);
}

static void copy_rep(void *dst, const void *src, size_t len)
{
	rep_movsb(dst, src, len);
}

#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline
#define AVX512_INLINE __attribute__((target("avx512f,avx512bw"), always_inline)) static inline

/* How a path moves a line, and the first `keep` bytes (1-64) of one, the rest zero. */
typedef void (*line_fn)(uint8_t *dst, const uint8_t *src);
typedef void (*tail_fn)(uint8_t *dst, const uint8_t *src, uint32_t keep);

AVX2_INLINE void line_avx2(uint8_t *dst, const uint8_t *src)
{
	__m256i a = _mm256_loadu_si256((const __m256i *)src);
	__m256i b = _mm256_loadu_si256((const __m256i *)(src + 32));

	_mm256_storeu_si256((__m256i *)dst, a);
	_mm256_storeu_si256((__m256i *)(dst + 32), b);
}

AVX2_INLINE void tail_avx2(uint8_t *dst, const uint8_t *src, uint32_t keep)
{
	const uint8_t *m = soft_keep_mask + SOFT_LINE - keep;

	for (int i = 0; i < 64; i += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(src + i));
		__m256i k = _mm256_loadu_si256((const __m256i *)(m + i));

		_mm256_storeu_si256((__m256i *)(dst + i), _mm256_and_si256(v, k));
	}
}

AVX512_INLINE void line_avx512(uint8_t *dst, const uint8_t *src)
{
	_mm512_storeu_si512(dst, _mm512_loadu_si512(src));
}

AVX512_INLINE void tail_avx512(uint8_t *dst, const uint8_t *src, uint32_t keep)
{
	_mm512_storeu_si512(dst, _mm512_maskz_loadu_epi8(~0ull >> (SOFT_LINE - keep), src));
}

/*
 * Stride 64: each line gives its word as it goes by, from where it was read: what was just stored can be loaded only when
 * the line is here. A source that changes meanwhile makes a sum that does not fit, and its frame is dropped.
 */
AVX2_INLINE uint32_t copy_sum64(uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t h, line_fn line, tail_fn tail)
{
	uint32_t crc = ~0u, last = (len - 1) & ~(SOFT_LINE - 1), keep = len - last, at, place, word;

	for (at = 0; at + 2 * SOFT_LINE <= last; at += 2 * SOFT_LINE, h += 2 * UNIT_STEP) {
		line(dst + at, src + at);
		line(dst + at + SOFT_LINE, src + at + SOFT_LINE);
		crc = crc_pair(crc, sample(src + at, h, SOFT_LINE),
			       sample(src + at + SOFT_LINE, h + UNIT_STEP, SOFT_LINE));
	}
	tail(dst + last, src + last, keep);
	place = p2p_sample_offset(h, at != last, SOFT_LINE);
	word = soft_load32(src + last + place) & soft_load32(soft_keep_mask + SOFT_LINE - keep + place);
	if (at == last)
		return soft_crc32_insn(crc, word);
	line(dst + at, src + at);
	return crc_pair(crc, sample(src + at, h, SOFT_LINE), word);
}

AVX2_INLINE uint32_t copy_sum_lines(uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t moved, uint32_t h,
				    uint32_t stride, line_fn line, tail_fn tail)
{
	uint32_t last = (len - 1) & ~(SOFT_LINE - 1), at;

	if (p2p_unlikely(len == 0)) {
		memset(dst, 0, moved);
		return ~0u;
	}
	if (p2p_likely(stride == SOFT_LINE))
		return copy_sum64(dst, src, len, h, line, tail);
	for (at = 0; at < last; at += SOFT_LINE)
		line(dst + at, src + at);
	tail(dst + at, src + at, len - last);
	if (at + SOFT_LINE < moved)
		memset(dst + at + SOFT_LINE, 0, moved - at - SOFT_LINE);
	return sum_crc(dst, len, h, stride);
}

AVX2_INLINE void copy_lines(uint8_t *dst, const uint8_t *src, size_t len, line_fn line)
{
	size_t at = 0;

	for (; at + SOFT_LINE <= len; at += SOFT_LINE)
		line(dst + at, src + at);
	if (at < len)
		memcpy(dst + at, src + at, len - at);
}

__attribute__((target("avx2"))) static uint32_t copy_sum_avx2(uint8_t *dst, uint8_t *src, uint32_t len,
							      uint32_t moved, uint32_t h, uint32_t stride)
{
	return copy_sum_lines(dst, src, len, moved, h, stride, line_avx2, tail_avx2);
}

__attribute__((target("avx2"))) static void copy_avx2(void *dst, const void *src, size_t len)
{
	copy_lines(dst, src, len, line_avx2);
}

/* Both ends of a frame come from another core's cache: ask for all its lines before the first is needed. */
__attribute__((target("avx2"))) static uint32_t copy_sum_ahead(uint8_t *dst, uint8_t *src, uint32_t len,
							       uint32_t moved, uint32_t h, uint32_t stride)
{
	for (uint32_t at = SOFT_LINE; at < len; at += SOFT_LINE) {
		__builtin_prefetch(src + at);
		__asm__ volatile("prefetchw %0" : : "m"(dst[at]));
	}
	return copy_sum_lines(dst, src, len, moved, h, stride, line_avx2, tail_avx2);
}

/*
 * Past the caches into memory. What was copied is summed, not what the source has become meanwhile, so each line goes
 * through a bounce buffer as well. Such stores are not ordered with others until the fence.
 */
__attribute__((target("avx2"))) static uint32_t copy_sum_stream(uint8_t *dst, uint8_t *src, uint32_t len,
								uint32_t moved, uint32_t h, uint32_t stride)
{
	_Alignas(SOFT_LINE) uint8_t bounce[SOFT_LINE];
	uint32_t crc = ~0u;

	if (!len || stride != SOFT_LINE || (uintptr_t)dst % 32)
		return copy_sum_avx2(dst, src, len, moved, h, stride);
	for (uint32_t at = 0; at < len; at += SOFT_LINE, h += UNIT_STEP) {
		if (len - at >= SOFT_LINE)
			line_avx2(bounce, src + at);
		else
			tail_avx2(bounce, src + at, len - at);
		for (int i = 0; i < 64; i += 32)
			_mm256_stream_si256((__m256i *)(dst + at + i), _mm256_load_si256((const __m256i *)(bounce + i)));
		crc = soft_crc32_insn(crc, sample(bounce, h, SOFT_LINE));
	}
	_mm_sfence();
	return crc;
}

__attribute__((target("avx512f,avx512bw"))) static uint32_t copy_sum_avx512(uint8_t *dst, uint8_t *src, uint32_t len,
									    uint32_t moved, uint32_t h, uint32_t stride)
{
	return copy_sum_lines(dst, src, len, moved, h, stride, line_avx512, tail_avx512);
}

__attribute__((target("avx512f,avx512bw"))) static void copy_avx512(void *dst, const void *src, size_t len)
{
	copy_lines(dst, src, len, line_avx512);
}
#endif

static bool can_always(void)
{
	return true;
}

#ifdef __x86_64__
/* Whether the operating system keeps the registers is in the answer. */
static bool can_crc(void)
{
	return __builtin_cpu_supports("sse4.2");
}

static bool can_avx2(void)
{
	return can_crc() && __builtin_cpu_supports("avx2");
}

static bool can_avx512(void)
{
	return can_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
#endif

/* can NULL: not on such CPUs. */
static const struct {
	const char *name;
	bool (*can)(void);
	struct soft_copy_ops ops;
} paths[SOFT_NUM_COPY_PATHS] = {
	[SOFT_COPY_TABLE] = { "table", can_always, { copy_sum_table, sum_table, copy_plain } },
#ifdef __x86_64__
	[SOFT_COPY_CRC] = { "sse4.2", can_crc, { copy_sum_crc, sum_crc, copy_plain } },
	[SOFT_COPY_REP] = { "rep-movsb", can_crc, { copy_sum_rep, sum_crc, copy_rep } },
	[SOFT_COPY_AVX2] = { "avx2", can_avx2, { copy_sum_avx2, sum_crc, copy_avx2 } },
	[SOFT_COPY_AHEAD] = { "avx2-ahead", can_avx2, { copy_sum_ahead, sum_crc, copy_avx2 } },
	[SOFT_COPY_STREAM] = { "avx2-stream", can_avx2, { copy_sum_stream, sum_crc, copy_avx2 } },
	[SOFT_COPY_AVX512] = { "avx512", can_avx512, { copy_sum_avx512, sum_crc, copy_avx512 } },
#else
	[SOFT_COPY_CRC] = { "sse4.2" },
	[SOFT_COPY_REP] = { "rep-movsb" },
	[SOFT_COPY_AVX2] = { "avx2" },
	[SOFT_COPY_AHEAD] = { "avx2-ahead" },
	[SOFT_COPY_STREAM] = { "avx2-stream" },
	[SOFT_COPY_AVX512] = { "avx512" },
#endif
};

struct soft_copy_ops soft_copy_ops = { copy_sum_table, sum_table, copy_plain };

const char *soft_copy_path_name(enum soft_copy_path path)
{
	return paths[path].name;
}

const struct soft_copy_ops *soft_copy_path_ops(enum soft_copy_path path)
{
#ifdef __x86_64__
	__builtin_cpu_init();
#endif
	return path < SOFT_NUM_COPY_PATHS && paths[path].can && paths[path].can() ? &paths[path].ops : NULL;
}

enum soft_copy_path soft_copy_best(void)
{
	static const enum soft_copy_path order[] = { SOFT_COPY_AVX2, SOFT_COPY_CRC };

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(order); i++)
		if (soft_copy_path_ops(order[i]))
			return order[i];
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
	const struct soft_copy_ops *ops = soft_copy_path_ops(path);

	if (!ops)
		return -ENOTSUP;
	soft_copy_ops = *ops;
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
