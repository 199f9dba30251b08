/* SPDX-License-Identifier: BSD-3-Clause */
/* The sink that is the NICs, over areas in plain memory: what a NIC finds there for an address. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/area.h"

#define NICS 2
#define BYTES (8u << 20)

struct world {
	uint8_t *base[NICS];
	struct area *area;
};

static void areas_add(struct world *w, bool adopted)
{
	char err[AREA_ERR_MAX];
	unsigned int i;
	bool was;

	assert_int_equal(area_create(&w->area), 0);
	area_adopt(w->area);
	for (i = 0; i < NICS; i++) {
		assert_int_equal(area_add(w->area, w->base[i], BYTES, 1, &was, err), 0);
		assert_int_equal(was, adopted);
	}
}

static void areas_open(struct world *w, bool adopted)
{
	areas_add(w, adopted);
	area_begin(w->area);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	unsigned int i;

	for (i = 0; i < NICS; i++) {
		w->base[i] = aligned_alloc(4096, BYTES);
		memset(w->base[i], 0, BYTES);
	}
	areas_open(w, false);
	area_commit(w->area);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	unsigned int i;

	area_destroy(w->area);
	for (i = 0; i < NICS; i++)
		free(w->base[i]);
	free(w);
	return 0;
}

static struct fib_way way(unsigned int n, unsigned int weight)
{
	return (struct fib_way){
		.nic = (uint8_t)(n & 1), .port = (uint8_t)n, .dst_mac = { 2, 0, 0, 0, 0, (uint8_t)n }, .src_mac = { 2, 1 }, .family = 4,
		.weight = (uint16_t)weight, .mtu = 1500, .ifindex = 10 + n, .gateway = { .hi = (uint64_t)(0x0a000000 + n) << 32 },
	};
}

static void hop(struct world *w, uint32_t id, enum fib_kind kind, const struct fib_way *ways, unsigned int n)
{
	const struct fib_out out = { .kind = kind, .n = n, .way = ways };

	assert_int_equal(area_sink.hop_set(w->area, id, &out), 0);
}

static struct router_prefix prefix(uint32_t addr, unsigned int len)
{
	return (struct router_prefix){ .family = 4, .len = (uint8_t)len, .addr = { .hi = (uint64_t)addr << 32 } };
}

static void route(struct world *w, uint32_t addr, unsigned int len, uint32_t id)
{
	struct router_prefix p = prefix(addr, len);

	assert_int_equal(area_sink.route_set(w->area, &p, id), 0);
}

static const void *at(const struct world *w, unsigned int nic, uint32_t offset, uint64_t more)
{
	return w->base[nic] + offset + more;
}

/* The entry that a NIC comes to for an address and a flow, as route.h says. */
static const struct p2p_hop_entry *look(const struct world *w, unsigned int nic, uint32_t addr, uint32_t flow)
{
	const struct p2p_route_head *h = (const struct p2p_route_head *)w->base[nic];
	unsigned int depth;
	uint32_t index, word;

	assert_int_equal(area_lookup(w->area, nic, 4, (struct router_addr){ .hi = (uint64_t)addr << 32 }, &index), 0);
	for (depth = 0; depth < 4; depth++) {
		assert_true(index < from_le32(h->hops));
		word = from_le32(*(const le32 *)at(w, nic, from_le32(h->hops_at), 4ull * index));
		if (P2P_HOP_FORM(word) == P2P_HOP_ENTRY)
			return at(w, nic, from_le32(h->entries_at), P2P_HOP_NUMBER(word) * sizeof(struct p2p_hop_entry));
		index = P2P_HOP_NUMBER(word);
		if (P2P_HOP_FORM(word) == P2P_HOP_GROUP)
			index = from_le32(*(const le32 *)at(w, nic, from_le32(h->buckets_at),
							    4ull * (index + (flow & ((1u << P2P_HOP_LOG2(word)) - 1)))));
	}
	fail_msg("no entry behind %u", index);
	return NULL;
}

static void test_single(void **state)
{
	static const struct { enum fib_kind kind; enum p2p_hop_kind want; } fixed[] = {
		{ FIB_LOCAL, P2P_HOP_KIND_LOCAL }, { FIB_PUNT, P2P_HOP_KIND_PUNT }, { FIB_BLACKHOLE, P2P_HOP_KIND_BLACKHOLE },
		{ FIB_UNREACHABLE, P2P_HOP_KIND_UNREACHABLE }, { FIB_PROHIBIT, P2P_HOP_KIND_PROHIBIT },
	};
	struct fib_way a = way(5, 1), b = way(6, 1);
	const struct p2p_hop_entry *e;
	struct world *w = *state;
	struct router_prefix p;
	unsigned int i;

	assert_int_equal(look(w, 0, 0x01020304, 0)->kind, P2P_HOP_KIND_NO_ROUTE);
	hop(w, 0, FIB_FORWARD, &a, 1);
	route(w, 0x0a000000, 8, 0);
	route(w, 0, 0, 0);
	for (i = 0; i < NICS; i++) {
		e = look(w, i, 0x0a010203, 0);
		assert_int_equal(e->kind, P2P_HOP_KIND_FORWARD);
		assert_int_equal(e->port, 5);
		assert_int_equal(e->dst_mac[5], 5);
		assert_int_equal(from_le16(e->mtu), 1500);
		assert_ptr_equal(look(w, i, 0x01020304, 0), e); /* the default route */
	}
	hop(w, 0, FIB_FORWARD, &b, 1);
	assert_int_equal(look(w, 1, 0x0a010203, 0)->dst_mac[5], 6);
	hop(w, 0, FIB_GLEAN, &b, 1);
	assert_int_equal(look(w, 1, 0x0a010203, 0)->kind, P2P_HOP_KIND_GLEAN);
	assert_int_equal(look(w, 1, 0x0a010203, 0)->port, 6);
	for (i = 0; i < P2P_ARRAY_SIZE(fixed); i++) {
		hop(w, 0, fixed[i].kind, NULL, 0);
		assert_int_equal(look(w, 0, 0x0a010203, 0)->kind, fixed[i].want);
	}
	p = prefix(0x0a000000, 8);
	assert_int_equal(area_sink.route_del(w->area, &p), 0);
	p = prefix(0, 0);
	assert_int_equal(area_sink.route_del(w->area, &p), 0);
	area_sink.hop_del(w->area, 0);
	assert_int_equal(look(w, 0, 0x0a010203, 0)->kind, P2P_HOP_KIND_NO_ROUTE);
}

/* Which way each flow takes: the port, 255: the kernel. */
static void flows(const struct world *w, uint8_t *port, unsigned int n)
{
	const struct p2p_hop_entry *e;
	unsigned int i;

	for (i = 0; i < n; i++) {
		e = look(w, 0, 0x0a010203, i);
		assert_memory_equal(look(w, 1, 0x0a010203, i), e, sizeof(*e));
		port[i] = e->kind == P2P_HOP_KIND_PUNT ? 255 : e->port;
	}
}

static unsigned int count(const uint8_t *port, unsigned int n, uint8_t which)
{
	unsigned int i, sum = 0;

	for (i = 0; i < n; i++)
		sum += port[i] == which;
	return sum;
}

static void test_group(void **state)
{
	struct fib_way ways[4] = { way(1, 1), way(2, 1), way(3, 2), way(4, 1) };
	uint8_t before[32], after[32];
	struct world *w = *state;
	unsigned int i;

	hop(w, 0, FIB_FORWARD, ways, 4);
	route(w, 0x0a000000, 8, 0);
	flows(w, before, 32);
	assert_in_range(count(before, 32, 1), 6, 7);
	assert_in_range(count(before, 32, 3), 12, 13);
	/* A new MAC address of one moves no flow. */
	ways[1].dst_mac[0] = 6;
	hop(w, 0, FIB_FORWARD, ways, 4);
	flows(w, after, 32);
	assert_memory_equal(before, after, 32);
	/* One that goes hands over its flows and no others. */
	ways[1] = ways[3];
	hop(w, 0, FIB_FORWARD, ways, 3);
	flows(w, after, 32);
	for (i = 0; i < 32; i++)
		assert_true(before[i] == 2 ? after[i] != 2 : after[i] == before[i]);
	/* It comes back and takes no more than its share. */
	memcpy(before, after, 32);
	ways[3] = way(2, 1);
	hop(w, 0, FIB_FORWARD, ways, 4);
	flows(w, after, 32);
	assert_in_range(count(after, 32, 2), 6, 7);
	for (i = 0; i < 32; i++)
		assert_true(after[i] == 2 || after[i] == before[i]);
	/* A share that leaves by no port; then only one way is left. */
	ways[3].punt = true;
	hop(w, 0, FIB_FORWARD, ways, 4);
	flows(w, after, 32);
	assert_in_range(count(after, 32, 255), 6, 7);
	hop(w, 0, FIB_FORWARD, ways, 1);
	flows(w, after, 32);
	assert_int_equal(count(after, 32, 1), 32);
}

/* Numbers come back when nothing uses them any more: far more changes than there are. */
static void test_reuse(void **state)
{
	struct fib_way ways[2] = { way(1, 1), way(2, 1) };
	struct world *w = *state;
	struct area_counts c;
	unsigned int i;

	hop(w, 0, FIB_FORWARD, ways, 1);
	route(w, 0x0a000000, 8, 0);
	for (i = 0; i < 30000; i++) {
		ways[0].dst_mac[4] = (uint8_t)i;
		ways[0].dst_mac[3] = (uint8_t)(i >> 8);
		hop(w, 0, FIB_FORWARD, ways, 1 + (i & 1));
		assert_int_equal(look(w, 0, 0x0a010203, 0)->kind, P2P_HOP_KIND_FORWARD);
		area_poll(w->area);
	}
	assert_int_equal(look(w, 0, 0x0a010203, 0)->dst_mac[4], (uint8_t)(i - 1));
	hop(w, 0, FIB_PUNT, NULL, 0);
	area_counts(w->area, &c);
	assert_int_equal(c.hops, 1);
	assert_int_equal(c.buckets, 0);
}

/* A router that comes after one that died: the old table holds until the new one is there. */
static void test_adoption(void **state)
{
	struct fib_way ways[3] = { way(1, 1), way(2, 1), way(3, 1) }, fresh = way(9, 1);
	struct world *w = *state;
	uint8_t before[32], after[32];
	struct area *dead = w->area;
	unsigned int i;

	hop(w, 0, FIB_FORWARD, ways, 3);
	hop(w, 1, FIB_FORWARD, &ways[1], 1);
	route(w, 0x0a000000, 8, 0);
	route(w, 0x14000000, 8, 1);
	flows(w, before, 32);
	areas_open(w, true);
	for (i = 0; i < 200; i++) /* what is written meanwhile touches nothing of it */
		hop(w, i, FIB_FORWARD, i & 1 ? ways : &fresh, i & 1 ? 3 : 1);
	route(w, 0x0a000000, 8, 0);
	flows(w, after, 32);
	assert_memory_equal(before, after, 32);
	assert_int_equal(look(w, 0, 0x14010203, 0)->port, 2);
	area_commit(w->area);
	for (i = 0; i < 32; i++)
		assert_int_equal(look(w, i & 1, 0x0a010203, i)->port, 9);
	assert_int_equal(look(w, 0, 0x14010203, 0)->kind, P2P_HOP_KIND_NO_ROUTE);
	area_destroy(dead);
}

/* Next hops that are the same keep index, buckets and counts; nothing in the areas is written, and no route. */
static void test_adoption_same(void **state)
{
	struct fib_way ways[4] = { way(1, 1), way(2, 3), way(3, 1), way(4, 1) }, other = way(2, 1), mac = way(6, 1);
	const struct p2p_route_head *head;
	struct world *w = *state;
	struct area *dead = w->area;
	uint64_t packets, bytes;
	uint8_t before[32], after[32], *copy[NICS];
	uint32_t index[6];
	unsigned int i, k;

	ways[3].punt = true;
	hop(w, 7, FIB_FORWARD, ways, 2); /* so that flows lie where a new group's would not */
	hop(w, 0, FIB_FORWARD, ways, 3);
	hop(w, 0, FIB_FORWARD, ways, 4);
	hop(w, 1, FIB_FORWARD, &other, 1);
	hop(w, 2, FIB_BLACKHOLE, NULL, 0);
	hop(w, 3, FIB_GLEAN, &other, 1);
	hop(w, 4, FIB_FORWARD, &ways[1], 2);
	hop(w, 5, FIB_FORWARD, &mac, 1);
	area_sink.hop_del(w->area, 7);
	for (i = 0; i < 6; i++) {
		route(w, (10 + i) << 24, 8, i);
		index[i] = area_hop_index(w->area, i);
	}
	flows(w, before, 32);
	for (i = 0; i < NICS; i++) {
		head = (const struct p2p_route_head *)w->base[i];
		*(uint64_t *)(w->base[i] + from_le32(head->counts_at) + 16ull * index[1]) = 5;
		copy[i] = malloc(BYTES);
		memcpy(copy[i], w->base[i], BYTES);
	}
	areas_open(w, true);
	mac.dst_mac[0] = 6; /* another station */
	hop(w, 95, FIB_FORWARD, &mac, 1);
	assert_int_not_equal(area_hop_index(w->area, 95), index[5]);
	for (i = 0; i < 5; i++) { /* under other numbers, in another order */
		static const struct { enum fib_kind kind; unsigned int first, n; } was[5] = {
			{ FIB_FORWARD, 0, 4 }, { FIB_FORWARD, 4, 1 }, { FIB_BLACKHOLE, 0, 0 }, { FIB_GLEAN, 4, 1 }, { FIB_FORWARD, 1, 2 },
		};

		k = 4 - i;
		hop(w, 90 + k, was[k].kind, was[k].first == 4 ? &other : &ways[was[k].first], was[k].n);
		assert_int_equal(area_hop_index(w->area, 90 + k), index[k]);
		route(w, (10 + k) << 24, 8, 90 + k);
	}
	hop(w, 80, FIB_FORWARD, &other, 1); /* the same once more is another */
	assert_int_not_equal(area_hop_index(w->area, 80), index[1]);
	route(w, 15 << 24, 8, 95);
	flows(w, after, 32);
	assert_memory_equal(before, after, 32);
	area_commit(w->area);
	flows(w, after, 32);
	assert_memory_equal(before, after, 32);
	assert_int_equal(look(w, 1, 0x0f010203, 0)->dst_mac[0], 6);
	area_hop_packets(w->area, 91, &packets, &bytes);
	assert_int_equal(packets, NICS * 5);
	for (i = 0; i < NICS; i++) {
		head = (const struct p2p_route_head *)w->base[i];
		for (k = 0; k < 5; k++)
			assert_memory_equal(w->base[i] + from_le32(head->hops_at) + 4 * index[k], copy[i] + from_le32(head->hops_at) +
					    4 * index[k], 4);
		free(copy[i]);
	}
	/* They live on as any other: far more changes than there are numbers. */
	for (i = 0; i < 30000; i++) {
		ways[0].dst_mac[4] = (uint8_t)i;
		hop(w, 90, FIB_FORWARD, ways, 1 + (i & 3));
		area_poll(w->area);
	}
	assert_int_equal(look(w, 0, 0x0b010203, 0)->port, 2);
	area_destroy(dead);
}

/* A context that is at an epoch, and stays there. */
static void stuck(struct world *w, unsigned int nic)
{
	struct p2p_route_head *h = (struct p2p_route_head *)w->base[nic];

	le32_store_release(&h->ctx[0].seen, from_le32(h->epoch));
}

/* Another MAC address n times, each known to NIC 0 before the next; how many were refused. */
static unsigned int changes(struct world *w, uint32_t id, unsigned int n)
{
	struct fib_way ways[2] = { way(1, 1), way(3, 1) };
	const struct fib_out out[2] = { { .kind = FIB_FORWARD, .n = 1, .way = ways }, { .kind = FIB_FORWARD, .n = 2, .way = ways } };
	unsigned int i, refused = 0;

	for (i = 0; i < n; i++) {
		ways[0].dst_mac[4] = ways[1].dst_mac[4] = (uint8_t)i;
		ways[0].dst_mac[3] = ways[1].dst_mac[3] = (uint8_t)(i >> 8);
		if (area_sink.hop_set(w->area, id, &out[i & 1]))
			refused++;
		else
			assert_int_equal(look(w, 0, 0x0a010203, 0)->dst_mac[4], (uint8_t)i);
	}
	area_poll(w->area);
	return refused;
}

/* One NIC is dead: next hops of the others change on, and of its own area nothing is written. */
static void without(struct world *w, uint32_t id)
{
	uint8_t *was = malloc(BYTES);
	struct area_counts c;

	memcpy(was, w->base[1], BYTES);
	assert_int_equal(changes(w, id, 20000), 0);
	assert_memory_equal(was, w->base[1], BYTES);
	assert_int_equal(look(w, 1, 0x0a010203, 0)->kind, P2P_HOP_KIND_PUNT);
	area_counts(w->area, &c);
	assert_int_equal(c.error, -ENOTCONN);
	assert_int_equal(c.abandoned, 1);
	free(was);
}

static void test_dead(void **state)
{
	struct world *w = *state;
	struct area *dead = w->area;
	struct fib_way one = way(5, 1);

	hop(w, 0, FIB_FORWARD, &one, 1);
	route(w, 0x0a000000, 8, 0);
	stuck(w, 1);
	assert_int_not_equal(changes(w, 0, 12000), 0);
	area_abandon(w->area, 1, -ENOTCONN);
	without(w, 0);

	/* A router that comes after, and finds it dead: it was abandoned before the first routes. */
	areas_add(w, true);
	area_abandon(w->area, 1, -ENOTCONN);
	area_begin(w->area);
	hop(w, 9, FIB_FORWARD, &one, 1);
	route(w, 0x0a000000, 8, 9);
	area_commit(w->area);
	without(w, 9);
	area_destroy(dead);

	/* It was stopped only, is taken over, and dies then. */
	dead = w->area;
	le32_store_release(&((struct p2p_route_head *)w->base[1])->ctx[0].seen, 0);
	areas_open(w, true);
	hop(w, 4, FIB_FORWARD, &one, 1);
	route(w, 0x0a000000, 8, 4);
	area_commit(w->area);
	stuck(w, 1);
	assert_int_not_equal(changes(w, 4, 12000), 0);
	area_abandon(w->area, 1, -ENOTCONN);
	without(w, 4);
	area_destroy(dead);
}

/* One that comes back, with its memory or another's, gets all, and leaves all to the kernel until then. */
static void test_back(void **state)
{
	struct fib_way ways[3] = { way(1, 1), way(2, 1), way(3, 1) };
	struct world *w = *state;
	struct area *dead = w->area;
	uint8_t port[32];
	char err[AREA_ERR_MAX];
	unsigned int turn, i;
	bool was;

	hop(w, 0, FIB_FORWARD, ways, 3);
	route(w, 0x0a000000, 8, 0);
	for (turn = 0; turn < 2; turn++) {
		area_abandon(w->area, 1, -ENOTCONN);
		hop(w, 0, FIB_FORWARD, &ways[1], 1 + turn);
		if (turn)
			memset(w->base[1], 0, BYTES);
		area_destroy(dead);
		assert_int_equal(area_create(&w->area), 0);
		area_adopt(w->area);
		for (i = 0; i < NICS; i++) {
			assert_int_equal(area_add(w->area, w->base[i], BYTES, 1, &was, err), 0);
			assert_int_equal(was, !i || !turn);
		}
		area_begin(w->area);
		hop(w, 0, FIB_FORWARD, ways, 2 + turn);
		route(w, 0x0a000000, 8, 0);
		assert_in_range(look(w, 0, 0x0a010203, 0)->port, 2, 3); /* the former's */
		assert_int_equal(look(w, 1, 0x0a010203, 0)->kind, turn ? P2P_HOP_KIND_NO_ROUTE : P2P_HOP_KIND_PUNT);
		area_commit(w->area);
		flows(w, port, 32); /* both have the same */
		assert_in_range(count(port, 32, 1), 10, 16);
		dead = w->area;
	}
}

/* One that hangs: only if it holds others up, and for long enough. */
static void test_hangs(void **state)
{
	const uint64_t s = 1000000000ull;
	struct world *w = *state;
	struct fib_way one = way(5, 1);
	struct p2p_route_head *h;

	hop(w, 0, FIB_FORWARD, &one, 1);
	route(w, 0x0a000000, 8, 0);
	stuck(w, 1);
	assert_int_equal(changes(w, 0, 100), 0);
	assert_false(area_hangs(w->area, 1, 5 * s));
	assert_false(area_hangs(w->area, 1, 16 * s)); /* late, but there is room */
	assert_int_not_equal(changes(w, 0, 12000), 0);
	assert_false(area_hangs(w->area, 0, 16 * s));
	assert_true(area_hangs(w->area, 1, 16 * s));
	assert_false(area_hangs(w->area, 1, 14 * s));
	/* It was slow only. */
	h = (struct p2p_route_head *)w->base[1];
	le32_store_release(&h->ctx[0].seen, 0);
	assert_false(area_hangs(w->area, 1, 17 * s));
	assert_int_equal(changes(w, 0, 100), 0);
	area_abandon(w->area, 1, -ETIMEDOUT);
	assert_false(area_hangs(w->area, 1, 99 * s));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = { T(single), T(group), T(reuse), T(adoption), T(adoption_same), T(dead), T(back), T(hangs) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
