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
 * all as little-endian words, initial value and final xor ~0.
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

/* What a slot's sampled word of `unit` is overwritten with before sequence number seq is awaited there. */
static inline uint32_t p2p_scrub_word(uint32_t key, uint32_t seq, uint32_t unit)
{
	return p2p_mix((seq ^ key) + unit * 0x9e3779b9u) ^ key;
}

#endif
