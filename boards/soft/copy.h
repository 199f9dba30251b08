/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copying payload and summing it (include/p2pnic/csum.h) in one pass.
 *
 * What a CPU can do is found out once, before main().  The routines are chosen
 * by size class: 64-byte frames take the inline path of board_impl.h, all else
 * comes here through one pointer per frame.
 *
 * Source: CRC32C (Castagnoli), reflected polynomial 0x82f63b78, RFC 3720 B.4.
 */
#ifndef BOARDS_SOFT_COPY_H
#define BOARDS_SOFT_COPY_H

#include <string.h>
#include <p2pnic/types.h>
#include <p2pnic/csum.h>

#define SOFT_LINE 64u

/* The ways to do it.  Which are used is in soft_copy_best(); the others are there to be measured beside them. */
enum soft_copy_path {
	SOFT_COPY_TABLE,  /* any CPU: the library's memcpy(), CRC by table */
	SOFT_COPY_CRC,    /* memcpy(), then the sum by the crc32 instruction, as in all below */
	SOFT_COPY_REP,    /* `rep movsb`, then the sum */
	SOFT_COPY_AVX2,   /* line by line in two registers, each line summed as it goes by */
	SOFT_COPY_AHEAD,  /* the same after all lines of source and destination were prefetched */
	SOFT_COPY_STREAM, /* the same with stores past the caches */
	SOFT_COPY_AVX512, /* line by line in one register */
	SOFT_NUM_COPY_PATHS
};

struct soft_copy_ops {
	/*
	 * Moves `moved` bytes (whole 64-byte lines, whole strides), of which the
	 * first len come from src and the rest are zero, and returns the running
	 * CRC32C.  src is readable for `moved` bytes; its tail may be zeroed.
	 */
	uint32_t (*copy_sum)(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride);
	uint32_t (*sum)(const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
	void (*copy)(void *dst, const void *src, size_t len);
};

extern struct soft_copy_ops soft_copy_ops;
extern uint32_t soft_crc_table[256];
#ifdef __SSE4_2__
#define soft_cpu_crc true
#else
extern bool soft_cpu_crc; /* the CPU has the crc32 instruction */
#endif
extern const uint8_t soft_keep_mask[128]; /* 64 times 0xff, 64 times 0 */

/* For tests and measurements: use this path from now on.  -ENOTSUP if the CPU can't. */
int soft_copy_select(enum soft_copy_path path);
const char *soft_copy_path_name(enum soft_copy_path path);
enum soft_copy_path soft_copy_best(void);
/* May code run that was compiled for AVX2, BMI and BMI2 (meson.build)?  Not after a lesser path was selected. */
bool soft_copy_wide(void);
/* NULL: the CPU, or its operating system, can't. */
const struct soft_copy_ops *soft_copy_path_ops(enum soft_copy_path path);

/* What board_write_sum() does with memory that it reaches, as copy_sum. */
uint32_t soft_copy_board(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride);

static inline uint32_t soft_crc32_table(uint32_t crc, uint32_t v)
{
	for (int i = 0; i < 4; i++, v >>= 8)
		crc = soft_crc_table[(crc ^ v) & 0xff] ^ crc >> 8;
	return crc;
}

#ifdef __x86_64__
static inline uint32_t soft_crc32_insn(uint32_t crc, uint32_t v)
{
	__asm__("crc32l %1, %0" : "+r"(crc) : "r"(v));
	return crc;
}
#endif

/* One little-endian word more, given in host order. */
static inline uint32_t soft_crc32(uint32_t crc, uint32_t v)
{
#ifdef __x86_64__
	if (p2p_likely(soft_cpu_crc))
		return soft_crc32_insn(crc, v);
#endif
	return soft_crc32_table(crc, v);
}

/* Two words more, the lower half first: half as many steps in the chain as one by one. */
static inline uint32_t soft_crc64(uint32_t crc, uint64_t v)
{
#ifdef __x86_64__
	if (p2p_likely(soft_cpu_crc)) {
		uint64_t c = crc;

		__asm__("crc32q %1, %0" : "+r"(c) : "r"(v));
		return (uint32_t)c;
	}
#endif
	return soft_crc32_table(soft_crc32_table(crc, (uint32_t)v), (uint32_t)(v >> 32));
}

static inline uint32_t soft_load32(const uint8_t *p)
{
	le32 v;

	memcpy(&v, p, sizeof(v));
	return from_le32(v);
}

/* Bytes that a frame piece of len bytes occupies: whole lines, whole strides. */
static inline uint32_t soft_copy_round(uint32_t len, uint32_t stride)
{
	uint32_t unit = stride > SOFT_LINE ? stride : SOFT_LINE;

	return P2P_ALIGN_UP(len, unit);
}

#endif
