/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of numbered flows, every byte of which follows from flow, number and seed: whoever receives one makes it anew
 * and compares.
 *
 * Behind the headers: mark (le32, from the seed), flow (le32), number (le64), then filling.
 */
#ifndef TESTS_SOAK_FRAME_H
#define TESTS_SOAK_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 9728
#define FRAME_ETH 14
#define FRAME_TAG 16

enum frame_kind { FRAME_L2, FRAME_IP4, FRAME_IP6 };

struct frame_flow {
	uint32_t id;
	enum frame_kind kind;
	uint8_t to[6], from[6]; /* Ethernet addresses as sent; to is the router's for IP */
	uint8_t at[6];		/* IP: that of the station that shall get it */
	bool check_at;
	uint8_t src[16], dst[16]; /* IP addresses, the first 4 bytes for IPv4 */
	uint8_t dst_bits;	  /* the destination's remaining bits follow from the number */
	uint32_t min, max;	  /* length without FCS; 0: a mix of 60 to 1518 */
	uint32_t jumbo;		  /* every 16th frame or so is up to so long; 0: none */
};

/* Makes frame `number` into data (FRAME_MAX bytes); returns its length. */
uint32_t frame_make(const struct frame_flow *f, uint32_t seed, uint64_t number, uint8_t *data);

enum frame_is {
	FRAME_OURS,    /* *flow and *number say which; not compared yet */
	FRAME_FOREIGN, /* ARP, ICMPv6, multicast: a kernel's on a routed cable */
	FRAME_UNKNOWN, /* neither */
};
enum frame_is frame_read(const uint8_t *data, uint32_t len, uint32_t seed, uint32_t *flow, uint64_t *number);

/* True if it is frame `number` of f, to the byte; a routed one with what a router changes changed. */
bool frame_right(const struct frame_flow *f, uint32_t seed, uint64_t number, const uint8_t *data, uint32_t len);

#endif
