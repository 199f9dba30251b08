/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest-prefix match in the tables of the routing area (<p2pnic/route.h>), for a burst of addresses at a time.
 *
 * All addresses of a burst go through a tier before the first goes through the next (board_jump_few()), so that
 * the waits for memory overlap.  What the tables lead to is clamped: a damaged table gives a wrong hop, never an access
 * behind the node array.  The hop indexes found are not checked against the hops that there are.
 *
 * Nothing of an area may be read outside of an epoch (route.h, EPOCHS): that is the caller's part.
 */
#ifndef FIRMWARE_LPM_H
#define FIRMWARE_LPM_H

#include <p2pnic/route.h>
#include "names.h"

#define FW_LPM_BURST 64 /* looked up side by side */

/* A checked copy of what a head says of the tables. */
struct fw_lpm {
	const le32 *nodes;
	uint32_t last; /* rows begin here at most; P2P_ROUTE_ROW_MAX entries more are there */
	uint32_t root[P2P_NUM_FAMILIES];
	uint8_t tiers[P2P_NUM_FAMILIES]; /* 0: no table, no routes */
	uint8_t stride[P2P_NUM_FAMILIES][P2P_ROUTE_MAX_TIERS];
};

/* From an area of `bytes` in memory, whose head is copied once.  0; -22 (EINVAL): no valid area. */
int fw_lpm_open(struct fw_lpm *t, const void *area, uint64_t bytes);
/* Hop indexes of n addresses, host order. */
void fw_lpm_find4(const struct fw_lpm *t, const uint32_t *addr, uint32_t n, uint32_t *hop);
/* The same; an address is four words, the first bits in the first, each in host order. */
void fw_lpm_find6(const struct fw_lpm *t, const uint32_t (*addr)[4], uint32_t n, uint32_t *hop);

#endif
