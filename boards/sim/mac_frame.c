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
 *
 * An IPv4 packet, to be routed: type 0x0800
 *  14     20   header: protocol 253 (experiments, RFC 3692), source 198.18.id, destination net + flow
 *  34      8   sequence number
 *  42      8   last bit on the wire, ps
 *  50      8   key: over id, destination, bytes and the two above
 *  58      -   pattern
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

#define IP_TTL 64u
#define IP_SOURCE 0xc6120000u /* 198.18 */
#define IP_PATTERN 58u

static uint32_t ip_sum(const uint8_t *ip)
{
	uint32_t sum = 0, k;

	for (k = 0; k < 20; k += 2)
		sum += (uint32_t)ip[k] << 8 | ip[k + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static void store_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(P2P_SWAP32(v));
	memcpy(p, &v, sizeof(v));
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t ip_key(const struct sim_frame *f)
{
	const uint64_t word[] = { f->id | (uint64_t)f->len << 32, f->net + f->flow, f->seq, f->stamp_ps };
	uint64_t h = PATTERN_STEP;
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(word); i++) {
		h = (h ^ word[i]) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return h;
}

static void ip_make(uint8_t *data, const struct sim_frame *f)
{
	uint8_t *ip = data + 14;
	uint64_t key = ip_key(f), v;
	uint32_t at, sum;

	data[12] = 0x08;
	data[13] = 0;
	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[2] = (uint8_t)((f->len - 14) >> 8);
	ip[3] = (uint8_t)(f->len - 14);
	ip[8] = IP_TTL;
	ip[9] = 253;
	store_be32(ip + 12, IP_SOURCE | f->id);
	store_be32(ip + 16, f->net + f->flow);
	sum = 0xffff - ip_sum(ip);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
	store64(data + 34, f->seq);
	store64(data + 42, f->stamp_ps);
	store64(data + 50, key);
	for (at = IP_PATTERN; at < f->len; at += 8) {
		v = P2P_SWAP64(pattern(key, at));
		memcpy(data + at, &v, f->len - at < 8 ? f->len - at : 8);
	}
}

static bool ip_check(const uint8_t *data, uint32_t len, struct sim_frame *f)
{
	const uint8_t *ip = data + 14;
	uint32_t at, dst = load_be32(ip + 16);
	uint64_t key, v;

	*f = (struct sim_frame){ .id = (uint16_t)load_be32(ip + 12), .flow = dst & 0xffff, .net = dst & 0xffff0000,
				 .len = ((uint32_t)ip[2] << 8 | ip[3]) + 14, .seq = load64(data + 34), .stamp_ps = load64(data + 42) };
	key = ip_key(f);
	if (ip[0] != 0x45 || ip[8] != IP_TTL - 1 || ip_sum(ip) != 0xffff || data[3] != 3 || f->len != len || load64(data + 50) != key)
		return false;
	for (at = IP_PATTERN; at < len; at += 8) {
		v = P2P_SWAP64(pattern(key, at));
		if (memcmp(data + at, &v, len - at < 8 ? len - at : 8))
			return false;
	}
	return true;
}

void sim_frame_make(uint8_t *data, const uint8_t addr[12], const struct sim_frame *f)
{
	uint64_t key;
	uint32_t at;

	memcpy(data, addr, 12);
	if (f->net) {
		ip_make(data, f);
		return;
	}
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

	if (len < SIM_FRAME_MIN)
		return false;
	if (data[12] == 0x08 && data[13] == 0)
		return ip_check(data, len, f);
	if (data[12] != 0x88 || data[13] != 0xb5)
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
