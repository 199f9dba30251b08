/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frames that `gen` ports send and check.
 *
 * Ethernet, IPv4, UDP to port 9 (discard), then the tag; everything of the tag
 * is little-endian:
 *
 *   offset size
 *    0     14   Ethernet header, type 0x0800
 *   14     20   IPv4 header without options, don't fragment, TTL 64, correct
 *               checksum; 198.18.ID.1 -> 198.19.FLOW.FLOW unless told
 *               otherwise, within 198.18.0.0/15 (RFC 2544)
 *   34      8   UDP; source port 49152 + flow % 16384; checksum 0, which for
 *               IPv4 means "none" (RFC 768): the tag's check and the pattern
 *               cover more, and a sum over 9000 bytes would cost more than
 *               everything else
 *   42      2   magic: GEN_MAGIC, or GEN_MAGIC_ROUTED
 *   44      4   sequence number, per flow, from 0 in every run
 *   48      1   generator id
 *   49      1   run: changes whenever the generator starts its numbers anew
 *   50      2   flow
 *   52      6   time of sending, CLOCK_MONOTONIC ns modulo 2^48
 *   58      2   check: over the first 58 bytes; finds every single-bit error
 *               and all but 2^-16 of the others
 *   60      -   pattern: a fixed table, each 8 bytes XORed with a key that is
 *               different for every (id, run, flow, sequence number)
 *
 * With GEN_MAGIC_ROUTED the check leaves out what a router changes: MAC
 * addresses, TTL and IP header checksum; the latter is then verified by itself.
 *
 * A length here never counts the 4-byte FCS: the smallest frame has 60 bytes.
 */
#ifndef PORTS_GEN_FRAME_H
#define PORTS_GEN_FRAME_H

#include <string.h>

#include <p2pnic/types.h>

#define GEN_HEAD_BYTES 60u
#define GEN_LEN_MAX 9212u /* 9216 with FCS */
#define GEN_MAGIC 0x5032u
#define GEN_MAGIC_ROUTED 0x5033u
#define GEN_TIME_MASK 0xffffffffffffull

#define GEN_HEAD_WORDS 8
/* Odd factors of the check, none with 16 equal bits in a row. */
#define GEN_CHECK_FACTORS \
	{ 0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0xd6e8feb86659fd93u, \
	  0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu, 0x8ebc6af09c88c6e3u, 0x589965cc75374cc3u }

/* One flow of a generator: its next frame but for sequence number, time and check. */
struct gen_flow {
	uint64_t word[GEN_HEAD_WORDS]; /* the first 64 bytes as little-endian words; zeros where frames differ */
	uint64_t sum;                  /* their share of the check */
	uint64_t ident;                /* id, run, flow: the upper 32 bits of the key's origin */
	uint32_t seq;
	uint32_t len;
	uint32_t ip_sum;               /* IPv4 header sum without the total length */
	bool routed;
} __attribute__((aligned(64)));

struct gen_flow_setting {
	uint8_t src[6], dst[6];
	uint8_t id, run;
	uint16_t flow;
	bool routed;
	uint32_t src_ip, dst_ip; /* host order; 0: as above */
};

/* What the tag of an intact head says. */
struct gen_info {
	uint32_t seq;
	uint8_t id, run;
	uint16_t flow;
	uint64_t time_ns; /* modulo 2^48 */
};

enum gen_verdict {
	GEN_INTACT,
	GEN_FOREIGN, /* not a generator's frame */
	GEN_CORRUPT, /* most of its marks are a generator's, but something is wrong */
};

/* Makes the pattern table; once per process, before any other function here (any thread, any number of times). */
void gen_frame_init(void);
void gen_flow_init(struct gen_flow *f, const struct gen_flow_setting *s);
/* Frames of this flow have len bytes from now on; GEN_HEAD_BYTES <= len <= GEN_LEN_MAX. */
void gen_flow_set_len(struct gen_flow *f, uint32_t len);

static inline uint64_t gen_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	return x;
}

static inline uint64_t gen_flow_key(const struct gen_flow *f)
{
	return gen_mix(f->ident | f->seq);
}

/* The key of the pattern behind an intact head. */
static inline uint64_t gen_info_key(const struct gen_info *info)
{
	return gen_mix((uint64_t)info->flow << 48 | (uint64_t)info->run << 40 | (uint64_t)info->id << 32 | info->seq);
}

/*
 * Writes the first 60 bytes of the flow's next frame to dst and goes on to the
 * next sequence number.  The pattern's key is gen_flow_key() before the call.
 */
static inline void gen_flow_write_head(struct gen_flow *f, uint8_t *dst, uint64_t time_ns)
{
	static const uint64_t factor[GEN_HEAD_WORDS] = GEN_CHECK_FACTORS;
	uint64_t w5 = (uint64_t)f->seq << 32, w6 = time_ns << 32, w7 = (time_ns >> 32) & 0xffff;
	uint64_t sum = f->sum + w5 * factor[5] + w6 * factor[6] + w7 * factor[7];
	uint64_t w[GEN_HEAD_WORDS] = {
		P2P_SWAP64(f->word[0]), P2P_SWAP64(f->word[1]), P2P_SWAP64(f->word[2]),
		P2P_SWAP64(f->word[3]), P2P_SWAP64(f->word[4]), P2P_SWAP64(f->word[5] | w5),
		P2P_SWAP64(f->word[6] | w6), P2P_SWAP64(w7 | (sum >> 48) << 16),
	};

	f->seq++;
	memcpy(dst, w, GEN_HEAD_BYTES);
}

/*
 * Judges the first 60 bytes (padded with zeros if the frame is shorter) of a
 * frame of len bytes.  *info is filled unless the frame is foreign; of a
 * corrupt one nothing in it can be relied on.
 */
enum gen_verdict gen_head_check(const uint8_t head[GEN_HEAD_BYTES], uint32_t len, struct gen_info *info);

/*
 * The table that patterns are made from, GEN_LEN_MAX bytes and 64 more.  Byte i of a pattern is byte i of the table
 * XOR byte i % 8, from the lowest, of the key.
 */
const uint8_t *gen_pattern_table(void);
/* The pattern's bytes [at, at + len), at counted from offset 60 of the frame. */
void gen_pattern_write(uint8_t *dst, uint32_t at, uint32_t len, uint64_t key);
bool gen_pattern_check(const uint8_t *src, uint32_t at, uint32_t len, uint64_t key);

#endif
