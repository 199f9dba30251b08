/* SPDX-License-Identifier: BSD-3-Clause */
#include "frame.h"

#include <string.h>

#define TTL 64
#define PORT_FROM 40000
#define PORT_TO 40001

static uint64_t frame_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t frame_state(uint32_t id, uint32_t seed, uint64_t number)
{
	return frame_mix(frame_mix(((uint64_t)seed << 32 | id) + 0x9e3779b97f4a7c15u) ^ number);
}

static uint32_t frame_mark(uint32_t seed)
{
	return (uint32_t)frame_mix(seed + 0x70326e6963u);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t frame_head(enum frame_kind kind)
{
	return FRAME_ETH + (kind == FRAME_L2 ? 0 : kind == FRAME_IP4 ? 28 : 48);
}

static uint32_t frame_len(const struct frame_flow *f, uint64_t x)
{
	uint32_t least = frame_head(f->kind) + FRAME_TAG, len, roll = (uint32_t)(x & 15);

	x = frame_mix(x + 1);
	least = least < 60 ? 60 : least;
	if (f->jumbo && !roll)
		len = 1519 + (uint32_t)(x % (f->jumbo - 1518));
	else if (f->max)
		len = f->min + (uint32_t)(x % (f->max - f->min + 1));
	else if (roll < 6)
		len = 60 + (uint32_t)(x % 41);
	else if (roll < 12)
		len = 60 + (uint32_t)(x % 1459);
	else
		len = roll & 1 ? 1518 : 1400 + (uint32_t)(x % 119);
	return len < least ? least : len;
}

static void frame_dst(const struct frame_flow *f, uint64_t x, unsigned int bytes, uint8_t *dst)
{
	memcpy(dst, f->dst, bytes);
	for (unsigned int bit = f->dst_bits; bit < 8 * bytes; bit++) {
		if (x >> (bit & 63) & 1)
			dst[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
}

static void frame_ip(const struct frame_flow *f, uint64_t x, uint8_t *data, uint32_t len, uint8_t ttl)
{
	uint8_t *ip = data + FRAME_ETH, *udp = ip + (f->kind == FRAME_IP4 ? 20 : 40);
	uint32_t sum = 0;

	if (f->kind == FRAME_IP4) {
		put16(data + 12, 0x0800);
		memset(ip, 0, 20);
		ip[0] = 0x45;
		put16(ip + 2, len - FRAME_ETH);
		ip[8] = ttl;
		ip[9] = 17;
		memcpy(ip + 12, f->src, 4);
		frame_dst(f, x, 4, ip + 16);
		for (unsigned int i = 0; i < 20; i += 2)
			sum += get16(ip + i);
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		put16(ip + 10, ~sum & 0xffff);
	} else {
		put16(data + 12, 0x86dd);
		memset(ip, 0, 8);
		ip[0] = 0x60;
		put16(ip + 4, len - FRAME_ETH - 40);
		ip[6] = 17;
		ip[7] = ttl;
		memcpy(ip + 8, f->src, 16);
		frame_dst(f, x, 16, ip + 24);
	}
	put16(udp, PORT_FROM);
	put16(udp + 2, PORT_TO);
	put16(udp + 4, len - (uint32_t)(udp - data));
	/* No router looks at it; IPv6 wants one that is not 0. */
	put16(udp + 6, f->kind == FRAME_IP4 ? 0 : 0xffff);
}

uint32_t frame_make(const struct frame_flow *f, uint32_t seed, uint64_t number, uint8_t *data)
{
	uint64_t x = frame_state(f->id, seed, number), w;
	uint32_t len = frame_len(f, x), at = frame_head(f->kind), mark = frame_mark(seed);

	memcpy(data, f->to, 6);
	memcpy(data + 6, f->from, 6);
	if (f->kind == FRAME_L2)
		put16(data + 12, 0x88b5);
	else
		frame_ip(f, frame_mix(x + 2), data, len, TTL);
	memcpy(data + at, &mark, 4);
	memcpy(data + at + 4, &f->id, 4);
	memcpy(data + at + 8, &number, 8);
	for (at += FRAME_TAG; at < len; at += 8) {
		w = frame_mix(x + at * 0x9e3779b97f4a7c15u);
		memcpy(data + at, &w, len - at < 8 ? len - at : 8);
	}
	return len;
}

static bool frame_foreign(const uint8_t *data, uint32_t len)
{
	uint32_t type = get16(data + 12);

	return type == 0x0806 || data[0] & 1 || (type == 0x86dd && len >= 54 && data[20] != 17);
}

enum frame_is frame_read(const uint8_t *data, uint32_t len, uint32_t seed, uint32_t *flow, uint64_t *number)
{
	uint32_t type = len >= FRAME_ETH ? get16(data + 12) : 0, mark = frame_mark(seed);
	uint32_t at = frame_head(type == 0x0800 ? FRAME_IP4 : type == 0x86dd ? FRAME_IP6 : FRAME_L2);

	if (type && len >= at + FRAME_TAG && !memcmp(data + at, &mark, 4)) {
		memcpy(flow, data + at + 4, 4);
		memcpy(number, data + at + 8, 8);
		return FRAME_OURS;
	}
	return type && frame_foreign(data, len) ? FRAME_FOREIGN : FRAME_UNKNOWN;
}

bool frame_right(const struct frame_flow *f, uint32_t seed, uint64_t number, const uint8_t *data, uint32_t len)
{
	static _Thread_local uint8_t want[FRAME_MAX];

	if (frame_make(f, seed, number, want) != len)
		return false;
	if (f->kind == FRAME_L2)
		return !memcmp(want, data, len);
	frame_ip(f, frame_mix(frame_state(f->id, seed, number) + 2), want, len, TTL - 1);
	return !memcmp(want + 12, data + 12, len - 12) && (!f->check_at || !memcmp(data, f->at, 6));
}
