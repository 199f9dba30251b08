/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offset size   (little-endian but for the type)
 *   0     12   destination, source
 *  12      2   0x88b5, the type for local experiments (IEEE 802)
 *  14      2   source's id
 *  16      4   flow
 *  20      4   bytes, without FCS
 *  24      8   sequence number
 *  32      8   last bit on the wire, ps
 *  40      8   key: over all of the above
 *  48      -   pattern, 8 bytes at a time, different for every key
 */
#include <string.h>

#include "internal.h"

#define HEAD_WORDS 5
#define PATTERN 48u
#define PATTERN_STEP 0x9e3779b97f4a7c15ull

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return P2P_SWAP64(v);
}

static void store64(uint8_t *p, uint64_t v)
{
	v = P2P_SWAP64(v);
	memcpy(p, &v, sizeof(v));
}

static uint64_t key_of(const uint8_t *data)
{
	uint64_t h = PATTERN_STEP;
	unsigned int i;

	for (i = 0; i < HEAD_WORDS; i++) {
		h = (h ^ load64(data + 8 * i)) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h;
}

static uint64_t pattern(uint64_t key, uint32_t at)
{
	return key + at * PATTERN_STEP;
}

/* The last 8 bytes of a frame, most of which has been looked at already: `at` is where its last whole word ends. */
static uint64_t pattern_end(uint64_t key, uint32_t at, uint32_t len)
{
	uint32_t bits = 8 * (len - at);

	return bits ? pattern(key, at - 8) >> bits | pattern(key, at) << (64 - bits) : pattern(key, at - 8);
}

void sim_frame_make(uint8_t *data, const uint8_t addr[12], const struct sim_frame *f)
{
	uint64_t key;
	uint32_t at;

	memcpy(data, addr, 12);
	data[12] = 0x88;
	data[13] = 0xb5;
	data[14] = (uint8_t)f->id;
	data[15] = (uint8_t)(f->id >> 8);
	store64(data + 16, f->flow | (uint64_t)f->len << 32);
	store64(data + 24, f->seq);
	store64(data + 32, f->stamp_ps);
	key = key_of(data);
	store64(data + 40, key);
	for (at = PATTERN; at + 8 <= f->len; at += 8)
		store64(data + at, pattern(key, at));
	store64(data + f->len - 8, pattern_end(key, at, f->len));
}

bool sim_frame_check(const uint8_t *data, uint32_t len, struct sim_frame *f)
{
	uint64_t key, w, wrong = 0;
	uint32_t at;

	if (len < SIM_FRAME_MIN || data[12] != 0x88 || data[13] != 0xb5)
		return false;
	key = key_of(data);
	w = load64(data + 16);
	*f = (struct sim_frame){ .id = (uint16_t)(data[14] | data[15] << 8), .flow = (uint32_t)w, .len = (uint32_t)(w >> 32),
				 .seq = load64(data + 24), .stamp_ps = load64(data + 32) };
	if (load64(data + 40) != key || f->len != len)
		return false;
	for (at = PATTERN; at + 8 <= len; at += 8)
		wrong |= load64(data + at) ^ pattern(key, at);
	return !(wrong | (load64(data + len - 8) ^ pattern_end(key, at, len)));
}
