/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/gen_frame.h"

#include <pthread.h>

#define GEN_PATTERN_BYTES (GEN_LEN_MAX + 64u)

enum {
	ETH_TYPE_AT = 12,
	IP_AT = 14,
	IP_LEN_AT = 16,
	IP_SUM_AT = 24,
	UDP_AT = 34,
	UDP_LEN_AT = 38,
	MAGIC_AT = 42,
	TAG_AT = 48,
};

/* Which bits of the head the check covers: its own field and what lies behind it never. */
static const uint64_t gen_mask[2][GEN_HEAD_WORDS] = {
	{ ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, 0xffff },
	{ 0, 0xffffffff00000000ull, 0xff00ffffffffffffull, 0xffffffffffff0000ull, ~0ull, ~0ull, ~0ull, 0xffff },
};
static const uint64_t gen_factor[GEN_HEAD_WORDS] = GEN_CHECK_FACTORS;

static uint8_t gen_pattern[GEN_PATTERN_BYTES];
static pthread_once_t gen_pattern_once = PTHREAD_ONCE_INIT;

static void gen_pattern_make(void)
{
	uint64_t x = 0x7032706e69630001u, v;
	unsigned int i;

	for (i = 0; i + 8 <= sizeof(gen_pattern); i += 8) {
		x += 0x9e3779b97f4a7c15u;
		v = P2P_SWAP64(gen_mix(x));
		memcpy(gen_pattern + i, &v, 8);
	}
}

void gen_frame_init(void)
{
	pthread_once(&gen_pattern_once, gen_pattern_make);
}

static inline uint64_t gen_load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return P2P_SWAP64(v);
}

static void gen_store_be16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void gen_store_be32(uint8_t *p, uint32_t v)
{
	gen_store_be16(p, v >> 16);
	gen_store_be16(p + 2, v & 0xffff);
}

static unsigned int gen_load_be16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint32_t gen_ip_sum(const uint8_t *ip)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < 20; i += 2)
		sum += gen_load_be16(ip + i);
	return sum;
}

static unsigned int gen_ip_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint64_t gen_head_sum(const uint64_t w[GEN_HEAD_WORDS], const uint64_t mask[GEN_HEAD_WORDS])
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < GEN_HEAD_WORDS; i++)
		sum += (w[i] & mask[i]) * gen_factor[i];
	return sum;
}

void gen_flow_init(struct gen_flow *f, const struct gen_flow_setting *s)
{
	uint8_t h[64] = { 0 };
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->routed = s->routed;
	memcpy(h, s->dst, 6);
	memcpy(h + 6, s->src, 6);
	gen_store_be16(h + ETH_TYPE_AT, 0x0800);
	memcpy(h + IP_AT, (const uint8_t[20]){ 0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, s->id, 1, 198, 19,
					       (uint8_t)(s->flow >> 8), (uint8_t)s->flow }, 20);
	if (s->src_ip)
		gen_store_be32(h + IP_AT + 12, s->src_ip);
	if (s->dst_ip)
		gen_store_be32(h + IP_AT + 16, s->dst_ip);
	f->ip_sum = gen_ip_sum(h + IP_AT);
	gen_store_be16(h + UDP_AT, 49152u + s->flow % 16384u);
	gen_store_be16(h + UDP_AT + 2, 9);
	h[MAGIC_AT] = (s->routed ? GEN_MAGIC_ROUTED : GEN_MAGIC) & 0xff;
	h[MAGIC_AT + 1] = GEN_MAGIC >> 8;
	h[TAG_AT] = s->id;
	h[TAG_AT + 1] = s->run;
	h[TAG_AT + 2] = (uint8_t)s->flow;
	h[TAG_AT + 3] = (uint8_t)(s->flow >> 8);
	for (i = 0; i < GEN_HEAD_WORDS; i++)
		f->word[i] = gen_load64(h + 8 * i);
	f->ident = f->word[6] << 32;
	gen_flow_set_len(f, GEN_HEAD_BYTES);
}

/* Puts a big-endian 16-bit field into word i at the given bit. */
static void gen_word_be16(uint64_t *w, unsigned int bit, unsigned int v)
{
	*w &= ~(0xffffull << bit);
	*w |= (uint64_t)__builtin_bswap16((uint16_t)v) << bit;
}

void gen_flow_set_len(struct gen_flow *f, uint32_t len)
{
	uint32_t ip_len = len - IP_AT;

	gen_word_be16(&f->word[IP_LEN_AT / 8], 8 * (IP_LEN_AT % 8), ip_len);
	gen_word_be16(&f->word[IP_SUM_AT / 8], 8 * (IP_SUM_AT % 8), 0xffff & ~gen_ip_fold(f->ip_sum + ip_len));
	gen_word_be16(&f->word[UDP_LEN_AT / 8], 8 * (UDP_LEN_AT % 8), len - UDP_AT);
	f->sum = gen_head_sum(f->word, gen_mask[f->routed]);
	f->len = len;
}

/* Whether most of the marks of a generator's frame are there. */
static bool gen_head_familiar(const uint8_t *h)
{
	unsigned int marks = 0;

	marks += gen_load_be16(h + ETH_TYPE_AT) == 0x0800;
	marks += h[IP_AT] == 0x45;
	marks += h[IP_AT + 9] == 17;
	marks += (gen_load_be16(h + IP_AT + 12) | 1) == (198u << 8 | 19);
	marks += (gen_load_be16(h + IP_AT + 16) | 1) == (198u << 8 | 19);
	marks += gen_load_be16(h + UDP_AT + 2) == 9;
	marks += h[MAGIC_AT + 1] == GEN_MAGIC >> 8 && (h[MAGIC_AT] | 1) == (GEN_MAGIC_ROUTED & 0xff);
	return marks >= 5;
}

enum gen_verdict gen_head_check(const uint8_t head[GEN_HEAD_BYTES], uint32_t len, struct gen_info *info)
{
	uint64_t w[GEN_HEAD_WORDS];
	unsigned int magic, i, routed;
	uint32_t last;
	bool good;

	for (i = 0; i < GEN_HEAD_WORDS - 1; i++)
		w[i] = gen_load64(head + 8 * i);
	memcpy(&last, head + 56, 4);
	w[7] = P2P_SWAP32(last);

	magic = (w[5] >> 16) & 0xffff;
	routed = magic & 1;
	info->seq = (uint32_t)(w[5] >> 32);
	info->id = (uint8_t)w[6];
	info->run = (uint8_t)(w[6] >> 8);
	info->flow = (uint16_t)(w[6] >> 16);
	info->time_ns = w[6] >> 32 | (w[7] & 0xffff) << 32;
	good = (magic == GEN_MAGIC || magic == GEN_MAGIC_ROUTED) &&
	       gen_head_sum(w, gen_mask[routed]) >> 48 == (w[7] >> 16) &&
	       __builtin_bswap16((uint16_t)w[2]) + (uint32_t)IP_AT == len;
	if (p2p_likely(good) && p2p_unlikely(routed))
		good = gen_ip_fold(gen_ip_sum(head + IP_AT)) == 0xffff;
	if (p2p_likely(good))
		return GEN_INTACT;
	return gen_head_familiar(head) ? GEN_CORRUPT : GEN_FOREIGN;
}

const uint8_t *gen_pattern_table(void)
{
	return gen_pattern;
}

/* The key as it lies in memory from byte `at` of the pattern on. */
static inline uint64_t gen_pattern_key(uint64_t key, uint32_t at)
{
	unsigned int r = 8 * (at & 7);

	key = r ? key >> r | key << (64 - r) : key;
	return P2P_SWAP64(key);
}

void gen_pattern_write(uint8_t *dst, uint32_t at, uint32_t len, uint64_t key)
{
	const uint8_t *t = gen_pattern + at;
	uint64_t k = gen_pattern_key(key, at), v;
	uint32_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&v, t + i, 8);
		v ^= k;
		memcpy(dst + i, &v, 8);
	}
	if (i < len) {
		memcpy(&v, t + i, 8);
		v ^= k;
		memcpy(dst + i, &v, len - i);
	}
}

bool gen_pattern_check(const uint8_t *src, uint32_t at, uint32_t len, uint64_t key)
{
	const uint8_t *t = gen_pattern + at;
	uint64_t k = gen_pattern_key(key, at), diff = 0, v, have;
	uint32_t i;

	for (i = 0; i + 8 <= len; i += 8) {
		memcpy(&v, t + i, 8);
		memcpy(&have, src + i, 8);
		diff |= v ^ k ^ have;
	}
	if (i < len) {
		memcpy(&v, t + i, 8);
		v ^= k;
		have = v;
		memcpy(&have, src + i, len - i);
		diff |= v ^ have;
	}
	return diff == 0;
}
