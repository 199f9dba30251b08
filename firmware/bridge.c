/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The learning bridge's table: which (NIC, port) a station was last heard behind.
 *
 * FW_STATIONS entries in buckets of four, indexed by a hash of the address; a full
 * bucket forgets its least recently heard entry.
 */
#include "nic.h"

#define BRIDGE_WAYS 4
#define NS_PER_S 1000000000ull
#define FLOOD_BURST_NS 10000000ull /* credit that may be saved up */

static struct fw_station *bridge_bucket(struct fw_nic *n, uint64_t mac)
{
	uint32_t h = p2p_mix((uint32_t)mac ^ p2p_mix((uint32_t)(mac >> 32) ^ n->scrub_key));

	return &n->stations[(h % (FW_STATIONS / BRIDGE_WAYS)) * BRIDGE_WAYS];
}

static uint32_t bridge_now_s(const struct fw_nic *n)
{
	return (uint32_t)(n->now_ns / NS_PER_S);
}

bool fw_bridge_learn(struct fw_nic *n, uint64_t mac, unsigned int nic, unsigned int port)
{
	struct fw_station *s = bridge_bucket(n, mac), *use = s, *end = s + BRIDGE_WAYS;
	uint32_t now_s = bridge_now_s(n), age_s = (uint32_t)n->reg[FW_R_AGE_S];
	bool fresh;

	board_charge(n->board, BOARD_STEP_LEARN, 1);
	for (; s < end; s++) {
		if (s->key == mac)
			break;
		if (!s->key || (use->key && s->seen_s < use->seen_s))
			use = s;
	}
	if (s < end && s->nic == nic && s->port == port) {
		s->seen_s = now_s;
		if (nic != n->self || (uint16_t)(now_s - s->announced_s) < age_s / 3 + 1)
			return false;
		s->announced_s = (uint16_t)now_s;
		return true;
	}
	fresh = s == end;
	if (fresh)
		s = use;
	*s = (struct fw_station){ .key = mac, .seen_s = now_s, .nic = (uint8_t)nic, .port = (uint8_t)port,
				  .announced_s = (uint16_t)now_s };
	fw_event(n, P2P_EV_learned, 1);
	return true;
}

int fw_bridge_find(struct fw_nic *n, uint64_t mac, unsigned int *nic, unsigned int *port)
{
	struct fw_station *s = bridge_bucket(n, mac), *end = s + BRIDGE_WAYS;

	board_charge(n->board, BOARD_STEP_LOOKUP, 1);
	for (; s < end; s++) {
		if (s->key != mac)
			continue;
		if (bridge_now_s(n) - s->seen_s > n->reg[FW_R_AGE_S])
			return -FW_ENOENT;
		*nic = s->nic;
		*port = s->port;
		return 0;
	}
	return -FW_ENOENT;
}

void fw_bridge_flush(struct fw_nic *n, unsigned int nic, int port)
{
	struct fw_station *s = n->stations;
	uint64_t gone = 0;

	if (!n->bridge || !s)
		return;
	for (; s < n->stations + FW_STATIONS; s++) {
		if (!s->key || s->nic != nic || (port >= 0 && s->port != port))
			continue;
		s->key = 0;
		gone++;
	}
	fw_event(n, P2P_EV_flushed, gone);
}

void fw_bridge_age(struct fw_nic *n)
{
	struct fw_station *s = n->stations;
	uint32_t now_s = bridge_now_s(n);
	uint64_t gone = 0;

	if (!n->bridge || n->now_ns - n->age_last_ns < NS_PER_S)
		return;
	n->age_last_ns = n->now_ns;
	for (; s < n->stations + FW_STATIONS; s++) {
		if (!s->key || now_s - s->seen_s <= n->reg[FW_R_AGE_S])
			continue;
		s->key = 0;
		gone++;
	}
	fw_event(n, P2P_EV_aged, gone);
}

bool fw_bridge_flood_ok(struct fw_nic *n)
{
	uint64_t pps = n->reg[FW_R_FLOOD_PPS], cost;

	if (!pps)
		return true;
	cost = NS_PER_S / pps;
	n->flood_credit_ns += n->now_ns - n->flood_last_ns;
	n->flood_last_ns = n->now_ns;
	if (n->flood_credit_ns > FLOOD_BURST_NS + cost)
		n->flood_credit_ns = FLOOD_BURST_NS + cost;
	if (n->flood_credit_ns < cost)
		return false;
	n->flood_credit_ns -= cost;
	return true;
}
