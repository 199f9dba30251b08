/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The learning bridge's table: which (NIC, port) a station was last heard behind.
 *
 * FW_STATIONS entries in buckets of four, indexed by a hash of the address; a full
 * bucket forgets its least recently heard entry.
 *
 * Contexts of a NIC share it without a lock.  An entry's place is one word, so learning and
 * moving are one store; the age beside it may be another context's for a moment,
 * which matters no more than the moment.
 */
#include "nic.h"

#define BRIDGE_WAYS 4
#define NS_PER_S 1000000000ull
#define FLOOD_BURST_NS 10000000ull /* credit that may be saved up */

#define LOAD(word) __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define STORE(word, v) __atomic_store_n(&(word), (v), __ATOMIC_RELAXED)
#define WHERE(mac, nic, port) ((mac) | (uint64_t)(nic) << 48 | (uint64_t)(port) << 56)
#define WHERE_MAC(w) ((w) & 0xffffffffffffull)
#define WHERE_NIC(w) ((unsigned int)((w) >> 48) & 0xff)
#define WHERE_PORT(w) ((unsigned int)((w) >> 56))

static struct fw_station *bridge_bucket(struct fw_nic *n, uint64_t mac)
{
	uint32_t h = p2p_mix((uint32_t)mac ^ p2p_mix((uint32_t)(mac >> 32) ^ n->stations->key));

	return &n->stations->s[(h % (FW_STATIONS / BRIDGE_WAYS)) * BRIDGE_WAYS];
}

static uint32_t bridge_now_s(const struct fw_nic *n)
{
	return (uint32_t)(n->now_ns / NS_PER_S);
}

/* Where it was known to be: should peers hear of it again?  Words that others read change only when they must. */
static bool bridge_heard(struct fw_nic *n, struct fw_station *s, unsigned int nic, uint32_t now_s)
{
	uint32_t age_s = (uint32_t)n->reg[FW_R_AGE_S];

	if (LOAD(s->seen_s) != now_s)
		STORE(s->seen_s, now_s);
	if (nic != n->self || now_s - LOAD(s->announced_s) < age_s / 3 + 1)
		return false;
	STORE(s->announced_s, now_s);
	return true;
}

bool fw_bridge_learn(struct fw_nic *n, uint64_t mac, unsigned int nic, unsigned int port)
{
	struct fw_station *s = bridge_bucket(n, mac), *use = s, *end = s + BRIDGE_WAYS;
	uint64_t where = WHERE(mac, nic, port), w = 0;
	uint32_t now_s = bridge_now_s(n);

	board_charge(n->board, BOARD_STEP_LEARN, 1);
	for (; s < end; s++) {
		w = LOAD(s->where);
		if (WHERE_MAC(w) == mac)
			break;
		if (!w || (LOAD(use->where) && LOAD(s->seen_s) < LOAD(use->seen_s)))
			use = s;
	}
	if (s < end && w == where)
		return bridge_heard(n, s, nic, now_s);
	if (s == end)
		s = use;
	STORE(s->seen_s, now_s);
	STORE(s->announced_s, now_s);
	STORE(s->where, where);
	/* Two contexts that learn it at once may have taken two places: the first counts. */
	for (s++; s < end; s++)
		if (WHERE_MAC(LOAD(s->where)) == mac)
			STORE(s->where, 0);
	fw_event(n, P2P_EV_learned, 1);
	return true;
}

int fw_bridge_find(struct fw_nic *n, uint64_t mac, unsigned int *nic, unsigned int *port)
{
	struct fw_station *s = bridge_bucket(n, mac), *end = s + BRIDGE_WAYS;
	uint64_t w;

	board_charge(n->board, BOARD_STEP_LOOKUP, 1);
	for (; s < end; s++) {
		w = LOAD(s->where);
		if (WHERE_MAC(w) != mac)
			continue;
		if ((int32_t)(bridge_now_s(n) - LOAD(s->seen_s)) > (int32_t)n->reg[FW_R_AGE_S])
			return -FW_ENOENT;
		*nic = WHERE_NIC(w);
		*port = WHERE_PORT(w);
		return 0;
	}
	return -FW_ENOENT;
}

/* Unless another context has just learned something else there. */
static uint64_t bridge_forget(struct fw_station *s, uint64_t w)
{
	return __atomic_compare_exchange_n(&s->where, &w, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void fw_bridge_flush(struct fw_nic *n, unsigned int nic, int port)
{
	struct fw_station *s;
	uint64_t gone = 0, w;

	if (!n->bridge || !n->stations)
		return;
	for (s = n->stations->s; s < n->stations->s + FW_STATIONS; s++) {
		w = LOAD(s->where);
		if (w && WHERE_NIC(w) == nic && (port < 0 || WHERE_PORT(w) == (unsigned int)port))
			gone += bridge_forget(s, w);
	}
	fw_event(n, P2P_EV_flushed, gone);
}

void fw_bridge_age(struct fw_nic *n)
{
	uint32_t now_s = bridge_now_s(n);
	struct fw_station *s;
	uint64_t gone = 0, w;

	if (!n->bridge || n->strap.queue || n->now_ns - n->age_last_ns < NS_PER_S)
		return;
	n->age_last_ns = n->now_ns;
	for (s = n->stations->s; s < n->stations->s + FW_STATIONS; s++) {
		w = LOAD(s->where);
		if (w && (int32_t)(now_s - LOAD(s->seen_s)) > (int32_t)n->reg[FW_R_AGE_S])
			gone += bridge_forget(s, w);
	}
	fw_event(n, P2P_EV_aged, gone);
}

bool fw_bridge_flood_ok(struct fw_nic *n)
{
	uint64_t pps = n->reg[FW_R_FLOOD_PPS], cost;

	if (!pps)
		return true;
	/* Each context has its share. */
	cost = NS_PER_S * p2p_queues(&n->shape) / pps;
	n->flood_credit_ns += n->now_ns - n->flood_last_ns;
	n->flood_last_ns = n->now_ns;
	if (n->flood_credit_ns > FLOOD_BURST_NS + cost)
		n->flood_credit_ns = FLOOD_BURST_NS + cost;
	if (n->flood_credit_ns < cost)
		return false;
	n->flood_credit_ns -= cost;
	return true;
}
