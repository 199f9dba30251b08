/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The representative checksum and the scrub words (design sections 1 and 3).
 *
 * A slot's bytes are cut into units of `stride` bytes.  Each unit that holds at
 * least one byte contributes one 4-byte word; which one depends on the sequence
 * number.  The last unit is padded with zero bytes, physically: whoever moves a
 * frame moves whole units, so that a unit that never arrived shows its scrub
 * word even where the frame ends early.
 *
 *   csum = CRC32C(word of unit 0, word of unit 1, ..., w0 & P2P_D0_SUMMED, where, seq)
 *
 * all as little-endian words, initial value and final xor ~0.  Of a slot with
 * P2P_DF_PLACED, whose payload nobody moved, no unit's word goes in: it covers
 * the descriptor alone.
 */
#ifndef P2PNIC_CSUM_H
#define P2PNIC_CSUM_H

#include "types.h"

#define P2P_MIN_STRIDE 4
#define P2P_MAX_STRIDE 256

/* A well-mixed function of a sequence number (Murmur3's finalizer). */
static inline uint32_t p2p_mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x85ebca6bu;
	x ^= x >> 13;
	x *= 0xc2b2ae35u;
	return x ^ x >> 16;
}

/* Byte offset, within its unit, of the word that unit `unit` contributes; h = p2p_mix(seq). */
static inline uint32_t p2p_sample_offset(uint32_t h, uint32_t unit, uint32_t stride)
{
	return ((h + unit * 0x9e3779b9u) >> 26 << 2) & (stride - 1);
}

/* CRC32C (Castagnoli; RFC 3720, B.4): one little-endian word more, given in host order; by nibbles, on any CPU. */
static inline uint32_t p2p_crc32c_plain(uint32_t crc, uint32_t v)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	crc ^= v;
	for (int i = 0; i < 8; i++)
		crc = crc >> 4 ^ nibble[crc & 15];
	return crc;
}

/* The same, with the CPU's instruction where it has one. */
static inline uint32_t p2p_crc32c(uint32_t crc, uint32_t v)
{
#ifdef __x86_64__
	if (p2p_likely(__builtin_cpu_supports("sse4.2"))) {
		__asm__("crc32l %1, %0" : "+r"(crc) : "r"(v));
		return crc;
	}
#endif
	return p2p_crc32c_plain(crc, v);
}

/* The running CRC over the sampled words of len bytes, whose last unit is padded already. */
static inline uint32_t p2p_csum_words(const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t crc = ~0u, unit, at;
	le32 word;

	for (unit = at = 0; at < len; at += stride, unit++) {
		__builtin_memcpy(&word, mem + at + p2p_sample_offset(h, unit, stride), sizeof(word));
		crc = p2p_crc32c(crc, from_le32(word));
	}
	return crc;
}

/* What a slot's sampled word of `unit` is overwritten with before sequence number seq is awaited there. */
static inline uint32_t p2p_scrub_word(uint32_t key, uint32_t seq, uint32_t unit)
{
	return p2p_mix((seq ^ key) + unit * 0x9e3779b9u) ^ key;
}

#endif
