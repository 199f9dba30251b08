/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the FIB makes of a few messages, against a sink that keeps the last word
 * of each prefix.  The kernel as judge over many of them: tests/integration/router_follow.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <p2pnic/types.h>

#include "router/fib_int.h"

#define PORT0 10u /* interface index */
#define PORT1 11u
#define OTHER 12u

struct seen {
	char prefix[ROUTER_PREFIX_TEXT];
	uint32_t hop;
};
struct world {
	struct fib *fib;
	struct seen seen[64];
	unsigned int n, room, calls;
	struct {
		bool set;
		enum fib_kind kind;
		unsigned int ways;
		struct fib_way way[4];
	} hop[64];
	const char *full; /* a prefix that no change is taken of */
	uint64_t hits;
	unsigned int asked;
	char asked_for[ROUTER_ADDR_TEXT];
};

static int sink_hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	struct world *w = ctx;

	assert_true(hop < 64 && out->n <= 4);
	w->hop[hop].set = true;
	w->hop[hop].kind = out->kind;
	w->hop[hop].ways = out->n;
	if (out->n)
		memcpy(w->hop[hop].way, out->way, out->n * sizeof(*out->way));
	w->calls++;
	return 0;
}

static void sink_hop_del(void *ctx, uint32_t hop)
{
	struct world *w = ctx;
	unsigned int i;

	for (i = 0; i < w->n; i++)
		assert_int_not_equal(w->seen[i].hop, hop);
	w->hop[hop].set = false;
	w->calls++;
}

static struct seen *seen_find(struct world *w, const char *prefix)
{
	unsigned int i;

	for (i = 0; i < w->n; i++)
		if (!strcmp(w->seen[i].prefix, prefix))
			return &w->seen[i];
	return NULL;
}

static int sink_route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	struct world *w = ctx;
	char text[ROUTER_PREFIX_TEXT];
	struct seen *s = seen_find(w, router_prefix_text(p, text));

	assert_true(w->hop[hop].set);
	w->calls++;
	if ((!s && w->n == w->room) || (w->full && !strcmp(text, w->full)))
		return -ENOSPC;
	if (!s) {
		s = &w->seen[w->n++];
		memcpy(s->prefix, text, sizeof(text));
	}
	s->hop = hop;
	return 0;
}

static int sink_route_del(void *ctx, const struct router_prefix *p)
{
	struct world *w = ctx;
	char text[ROUTER_PREFIX_TEXT];
	struct seen *s = seen_find(w, router_prefix_text(p, text));

	assert_non_null(s);
	*s = w->seen[--w->n];
	w->calls++;
	return 0;
}

static uint64_t sink_hits(void *ctx, uint32_t hop, unsigned int way)
{
	return ((struct world *)ctx)->hits;
}

static const struct fib_sink sink = { sink_hop_set, sink_hop_del, sink_route_set, sink_route_del, sink_hits };

static void link_is(struct world *w, uint32_t ifindex, bool up)
{
	struct fib_link l = { .ifindex = ifindex, .mtu = 1500, .mac = { 2, 0, 0, 0, 0, (uint8_t)ifindex }, .up = up, .carrier = up };

	assert_int_equal(fib_link_set(w->fib, &l), 0);
	fib_flush(w->fib);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->room = 64;
	assert_int_equal(fib_create(&w->fib, &sink, w), 0);
	assert_int_equal(fib_port(w->fib, PORT0, 0, 3), 0);
	assert_int_equal(fib_port(w->fib, PORT1, 1, 0), 0);
	link_is(w, PORT0, true);
	link_is(w, PORT1, true);
	link_is(w, OTHER, true);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	fib_destroy(((struct world *)*state)->fib);
	free(*state);
	return 0;
}

static void addr(const char *text, struct router_addr *a, uint8_t *family)
{
	unsigned int f;

	assert_true(router_addr_parse(text, &f, a));
	*family = (uint8_t)f;
}

/* hops: "GATEWAY@IFINDEX" or "@IFINDEX", separated by blanks, '!' behind one that is dead. */
static struct fib_route route(const char *prefix, const char *hops, struct fib_hop hop[4])
{
	struct fib_route r = { .table = RT_TABLE_MAIN, .type = RTN_UNICAST, .hop = hop };
	char text[256], *part, *at, *save;

	snprintf(text, sizeof(text), "%s", prefix);
	at = strchr(text, '/');
	*at = '\0';
	addr(text, &r.prefix.addr, &r.prefix.family);
	r.prefix.len = (uint8_t)atoi(at + 1);
	snprintf(text, sizeof(text), "%s", hops);
	for (part = strtok_r(text, " ", &save); part; part = strtok_r(NULL, " ", &save), r.n++) {
		at = strchr(part, '@');
		*at = '\0';
		hop[r.n] = (struct fib_hop){ .ifindex = (uint32_t)atoi(at + 1), .weight = 1 };
		hop[r.n].flags = strchr(at + 1, '!') ? FIB_HOP_DEAD : 0;
		if (*part)
			addr(part, &hop[r.n].gateway, &hop[r.n].family);
	}
	return r;
}

static void add(struct world *w, const char *prefix, const char *hops, uint32_t metric, enum fib_how how)
{
	struct fib_hop hop[4];
	struct fib_route r = route(prefix, hops, hop);

	r.metric = metric;
	assert_int_equal(fib_route_add(w->fib, &r, how), 0);
	fib_flush(w->fib);
}

static void del(struct world *w, const char *prefix, const char *hops, uint32_t metric, bool is_known)
{
	struct fib_hop hop[4];
	struct fib_route r = route(prefix, hops, hop);
	bool known;

	r.metric = metric;
	assert_int_equal(fib_route_del(w->fib, &r, &known), 0);
	assert_int_equal(known, is_known);
	fib_flush(w->fib);
}

static void typed(struct world *w, const char *prefix, uint8_t type, uint32_t table)
{
	struct fib_hop hop[4];
	struct fib_route r = route(prefix, "@1", hop);

	r.type = type;
	r.table = table;
	assert_int_equal(fib_route_add(w->fib, &r, FIB_LAST), 0);
}

static void neigh(struct world *w, const char *a, uint32_t ifindex, uint16_t nud, uint8_t mac)
{
	struct fib_neigh n = { .ifindex = ifindex, .state = nud, .mac = { 2, 0, 0, 0, 1, mac } };

	addr(a, &n.addr, &n.family);
	assert_int_equal(fib_neigh_set(w->fib, &n), 0);
	fib_flush(w->fib);
}

/* The prefix goes this way: "kind [last byte of the MAC address@port]...", "-": it is not there. */
static void goes(struct world *w, const char *prefix, const char *want)
{
	struct seen *s = seen_find(w, prefix);
	char got[256] = "-";
	unsigned int i;

	if (s)
		snprintf(got, sizeof(got), "%s", fib_kind_text(w->hop[s->hop].kind));
	for (i = 0; s && w->hop[s->hop].kind == FIB_FORWARD && i < w->hop[s->hop].ways; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), w->hop[s->hop].way[i].punt ? " punt" : " %u@%u",
			 w->hop[s->hop].way[i].dst_mac[5], w->hop[s->hop].way[i].nic);
	assert_string_equal(got, want);
}

static void test_neighbour(void **state)
{
	struct world *w = *state;
	unsigned int calls;

	add(w, "0.0.0.0/0", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.2.0/24", "10.0.0.2@10", 0, FIB_LAST);
	goes(w, "0.0.0.0/0", "glean");
	calls = w->calls;
	neigh(w, "10.0.0.2", PORT0, NUD_REACHABLE, 7);
	goes(w, "0.0.0.0/0", "forward 7@0");
	goes(w, "192.0.2.0/24", "forward 7@0");
	assert_int_equal(w->calls, calls + 1); /* the next hop, no route */
	neigh(w, "10.0.0.2", PORT0, NUD_STALE, 7);
	assert_int_equal(w->calls, calls + 1);
	neigh(w, "10.0.0.2", PORT0, NUD_STALE, 8);
	goes(w, "0.0.0.0/0", "forward 8@0");
	neigh(w, "10.0.0.2", PORT0, NUD_FAILED, 0);
	goes(w, "0.0.0.0/0", "glean");
	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 9);
	link_is(w, PORT0, false);
	goes(w, "0.0.0.0/0", "punt");
	link_is(w, PORT0, true);
	goes(w, "0.0.0.0/0", "forward 9@0");
	assert_int_equal(w->hop[seen_find(w, "0.0.0.0/0")->hop].way[0].src_mac[5], PORT0);
	assert_int_equal(w->hop[seen_find(w, "0.0.0.0/0")->hop].way[0].port, 3);
}

static void test_metric(void **state)
{
	struct world *w = *state;

	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 2);
	neigh(w, "10.0.0.3", PORT0, NUD_PERMANENT, 3);
	neigh(w, "10.0.1.4", PORT1, NUD_PERMANENT, 4);
	add(w, "192.0.2.0/24", "10.0.0.2@10", 20, FIB_FIRST);
	add(w, "192.0.2.0/24", "10.0.0.3@10", 10, FIB_FIRST);
	goes(w, "192.0.2.0/24", "forward 3@0");
	add(w, "192.0.2.0/24", "10.0.1.4@11", 10, FIB_LAST); /* append: the first stays in force */
	goes(w, "192.0.2.0/24", "forward 3@0");
	add(w, "192.0.2.0/24", "10.0.1.4@11", 20, FIB_FIRST); /* prepend, behind the better metric */
	goes(w, "192.0.2.0/24", "forward 3@0");
	del(w, "192.0.2.0/24", "10.0.0.3@10", 10, true);
	goes(w, "192.0.2.0/24", "forward 4@1");
	del(w, "192.0.2.0/24", "10.0.1.4@11", 10, true);
	goes(w, "192.0.2.0/24", "forward 4@1"); /* metric 20, prepended */
	add(w, "192.0.2.0/24", "10.0.0.3@10", 20, FIB_REPLACE);
	goes(w, "192.0.2.0/24", "forward 3@0");
	del(w, "192.0.2.0/24", "10.0.0.3@10", 20, true);
	goes(w, "192.0.2.0/24", "forward 2@0");
	del(w, "192.0.2.0/24", "10.0.0.2@10", 20, true);
	goes(w, "192.0.2.0/24", "-");
	del(w, "192.0.2.0/24", "10.0.0.2@10", 20, false);
}

static void test_multipath(void **state)
{
	struct world *w = *state;

	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 2);
	add(w, "192.0.2.0/24", "10.0.0.2@10 10.0.1.4@11 10.0.2.1@12", 0, FIB_LAST);
	goes(w, "192.0.2.0/24", "forward 2@0 punt");
	neigh(w, "10.0.1.4", PORT1, NUD_PERMANENT, 4);
	goes(w, "192.0.2.0/24", "forward 2@0 4@1 punt");
	link_is(w, PORT0, false);
	goes(w, "192.0.2.0/24", "forward 4@1 punt");
	add(w, "192.0.2.0/24", "10.0.0.2@10! 10.0.1.4@11", 0, FIB_REPLACE);
	goes(w, "192.0.2.0/24", "forward 4@1");
	add(w, "192.0.2.0/24", "10.0.1.4@11", 9, FIB_LAST);
	add(w, "192.0.2.0/24", "10.0.0.2@10!", 0, FIB_REPLACE); /* dead: the next metric */
	goes(w, "192.0.2.0/24", "forward 4@1");
	/* IPv6: routes of one metric with gateways are one, and are told one by one when they go. */
	neigh(w, "fd00::2", PORT0, NUD_PERMANENT, 2);
	neigh(w, "fd00::3", PORT1, NUD_PERMANENT, 3);
	link_is(w, PORT0, true);
	add(w, "2001:db8::/32", "fd00::2@10", 1024, FIB_LAST);
	add(w, "2001:db8::/32", "fd00::2@10 fd00::3@11", 1024, FIB_LAST);
	goes(w, "2001:db8::/32", "forward 2@0 3@1");
	del(w, "2001:db8::/32", "fd00::2@10", 1024, true);
	goes(w, "2001:db8::/32", "forward 3@1");
	del(w, "2001:db8::/32", "fd00::3@11", 1024, true);
	goes(w, "2001:db8::/32", "-");
}

/* IPv6: a route is put in the place of the first of its kind, with or without gateway; if there is none, of the first. */
static void test_replace6(void **state)
{
	struct world *w = *state;

	neigh(w, "fd00::2", PORT0, NUD_PERMANENT, 2);
	neigh(w, "fd00::3", PORT1, NUD_PERMANENT, 3);
	add(w, "2001:db8::/32", "fd00::2@10", 1024, FIB_LAST);
	add(w, "2001:db8::/32", "@11", 1024, FIB_LAST);
	add(w, "2001:db8::/32", "@12", 1024, FIB_REPLACE); /* that without gateway */
	goes(w, "2001:db8::/32", "forward 2@0");
	del(w, "2001:db8::/32", "fd00::2@10", 1024, true);
	goes(w, "2001:db8::/32", "punt");
	add(w, "2001:db8::/32", "fd00::3@11", 1024, FIB_REPLACE); /* none with gateway */
	goes(w, "2001:db8::/32", "forward 3@1");
	del(w, "2001:db8::/32", "fd00::3@11", 1024, true);
	goes(w, "2001:db8::/32", "-");
	add(w, "2001:db8::/32", "@11", 1024, FIB_LAST);
	add(w, "2001:db8::/32", "@12", 1024, FIB_LAST);
	goes(w, "2001:db8::/32", "glean");
	add(w, "2001:db8::/32", "@12", 1024, FIB_REPLACE); /* the first, though the second says the same */
	goes(w, "2001:db8::/32", "punt");
}

/* IPv6: what goes must have been a part of what is held, else something was missed. */
static void test_siblings(void **state)
{
	struct fib_hop hop[4], many[FIB_MAX_HOPS + 1];
	struct fib_route r = route("2001:db8::/32", "fd00::9@10", hop);
	struct world *w = *state;
	struct fib_counts c;
	unsigned int i;
	bool known;

	neigh(w, "fd00::2", PORT0, NUD_PERMANENT, 2);
	add(w, "2001:db8::/32", "fd00::2@10", 1024, FIB_LAST);
	del(w, "2001:db8::/32", "fd00::3@10", 1024, false);
	goes(w, "2001:db8::/32", "forward 2@0");
	del(w, "2001:db8::/32", "fd00::2@10", 1024, true);
	/* One hop more than is kept: the kernel has such routes.  It was one route before, and is. */
	for (i = 0; i <= FIB_MAX_HOPS; i++) {
		many[i] = hop[0];
		many[i].gateway.lo = 0x100 + i;
	}
	r.metric = 1024;
	r.hop = many;
	r.n = FIB_MAX_HOPS;
	assert_int_equal(fib_route_add(w->fib, &r, FIB_LAST), 0);
	goes(w, "2001:db8::/32", "glean");
	r.n = FIB_MAX_HOPS + 1;
	assert_int_equal(fib_route_add(w->fib, &r, FIB_LAST), 0);
	goes(w, "2001:db8::/32", "punt");
	fib_counts(w->fib, &c);
	assert_int_equal(c.routes[1], 1);
	r.n = 1;
	assert_int_equal(fib_route_del(w->fib, &r, &known), 0);
	assert_false(known); /* which are left must be asked for */
	goes(w, "2001:db8::/32", "punt");
	r.n = FIB_MAX_HOPS + 1;
	assert_int_equal(fib_route_del(w->fib, &r, &known), 0);
	assert_true(known);
	goes(w, "2001:db8::/32", "-");
}

/* The MTU of a route to a network holds for the neighbours in it. */
static void test_mtu(void **state)
{
	struct fib_object one = { .id = 1, .hop = { .ifindex = PORT0, .weight = 1 } };
	struct world *w = *state;
	struct fib_hop hop[4];
	struct fib_route r = route("10.0.0.0/24", "@10", hop);

	neigh(w, "10.0.0.5", PORT0, NUD_REACHABLE, 5);
	r.mtu = 1400;
	assert_int_equal(fib_route_add(w->fib, &r, FIB_LAST), 0);
	goes(w, "10.0.0.5/32", "forward 5@0");
	assert_int_equal(w->hop[seen_find(w, "10.0.0.5/32")->hop].way[0].mtu, 1400);
	neigh(w, "10.0.0.6", PORT0, NUD_REACHABLE, 6);
	assert_int_equal(w->hop[seen_find(w, "10.0.0.6/32")->hop].way[0].mtu, 1400);
	r.mtu = 1300;
	r.object = 1;
	assert_int_equal(fib_object_set(w->fib, &one), 0);
	assert_int_equal(fib_route_add(w->fib, &r, FIB_REPLACE), 0);
	fib_flush(w->fib);
	assert_int_equal(w->hop[seen_find(w, "10.0.0.5/32")->hop].way[0].mtu, 1300);
	add(w, "10.0.0.0/24", "@10", 0, FIB_REPLACE);
	assert_int_equal(w->hop[seen_find(w, "10.0.0.5/32")->hop].way[0].mtu, 1500);
	del(w, "10.0.0.0/24", "@10", 0, true);
	goes(w, "10.0.0.5/32", "-");
	neigh(w, "10.0.0.5", PORT0, NUD_FAILED, 0);
	neigh(w, "10.0.0.6", PORT0, NUD_FAILED, 0);
}

static void test_connected(void **state)
{
	struct world *w = *state;

	add(w, "10.0.0.0/24", "@10", 0, FIB_LAST);
	goes(w, "10.0.0.0/24", "glean");
	neigh(w, "10.0.0.5", PORT0, NUD_REACHABLE, 5);
	goes(w, "10.0.0.5/32", "forward 5@0");
	neigh(w, "10.0.0.6", PORT1, NUD_REACHABLE, 6); /* not there that the route leads */
	goes(w, "10.0.0.6/32", "-");
	add(w, "10.0.0.4/30", "10.0.1.4@11", 0, FIB_LAST); /* a route under it takes the neighbour's away */
	goes(w, "10.0.0.5/32", "-");
	del(w, "10.0.0.4/30", "10.0.1.4@11", 0, true);
	goes(w, "10.0.0.5/32", "forward 5@0");
	neigh(w, "10.0.0.5", PORT0, NUD_FAILED, 0);
	goes(w, "10.0.0.5/32", "-");
	neigh(w, "10.0.0.5", PORT0, NUD_REACHABLE, 5);
	fib_port(w->fib, PORT0, -1, 0);
	fib_flush(w->fib);
	goes(w, "10.0.0.5/32", "-");
	goes(w, "10.0.0.0/24", "punt");
}

static void test_tables(void **state)
{
	struct world *w = *state;

	add(w, "10.1.0.0/16", "10.0.2.1@12", 0, FIB_LAST);
	typed(w, "10.0.0.0/8", RTN_LOCAL, RT_TABLE_LOCAL);
	goes(w, "10.1.0.0/16", "punt"); /* IPv4 searches local and main as one */
	add(w, "fd01::/64", "fd00::9@12", 0, FIB_LAST);
	goes(w, "fd01::/64", "punt");
	typed(w, "fd00::/8", RTN_LOCAL, RT_TABLE_LOCAL);
	goes(w, "fd01::/64", "local"); /* IPv6 local first */
	typed(w, "192.0.2.0/24", RTN_BLACKHOLE, RT_TABLE_DEFAULT);
	goes(w, "192.0.2.0/24", "blackhole");
	typed(w, "192.0.0.0/16", RTN_PROHIBIT, RT_TABLE_MAIN);
	goes(w, "192.0.2.0/24", "prohibit"); /* main's shorter one comes before default's */
	typed(w, "192.0.2.128/25", RTN_THROW, RT_TABLE_MAIN);
	goes(w, "192.0.2.128/25", "blackhole");
	typed(w, "198.51.100.0/24", RTN_THROW, RT_TABLE_MAIN);
	goes(w, "198.51.100.0/24", "unreachable");
	typed(w, "203.0.113.0/24", RTN_UNICAST, 77); /* a table that nobody searches */
	goes(w, "203.0.113.0/24", "-");
}

static void test_objects(void **state)
{
	struct fib_object one = { .id = 1, .hop = { .ifindex = PORT0, .weight = 1, .family = 4 } }, two = one, group = { .id = 3 };
	struct fib_member members[] = { { 1, 2 }, { 2, 1 } }, more[FIB_MAX_HOPS + 1];
	struct world *w = *state;
	struct fib_hop hop[4];
	struct fib_route r = route("192.0.2.0/24", "@10", hop);
	unsigned int calls, i;
	uint8_t family;

	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 2);
	neigh(w, "10.0.1.4", PORT1, NUD_PERMANENT, 4);
	addr("10.0.0.2", &one.hop.gateway, &family);
	two.id = 2;
	two.hop.ifindex = PORT1;
	addr("10.0.1.4", &two.hop.gateway, &family);
	group.n = 2;
	group.member = members;
	r.object = 3;
	assert_int_equal(fib_route_add(w->fib, &r, FIB_LAST), 0);
	goes(w, "192.0.2.0/24", "punt");
	assert_int_equal(fib_object_set(w->fib, &one) | fib_object_set(w->fib, &two) | fib_object_set(w->fib, &group), 0);
	calls = w->calls;
	fib_flush(w->fib);
	goes(w, "192.0.2.0/24", "forward 2@0 4@1");
	assert_int_equal(w->hop[seen_find(w, "192.0.2.0/24")->hop].way[0].weight, 2);
	assert_int_equal(w->calls, calls + 1);
	one.blackhole = true;
	group.n = 1;
	assert_int_equal(fib_object_set(w->fib, &one) | fib_object_set(w->fib, &group), 0);
	fib_flush(w->fib);
	goes(w, "192.0.2.0/24", "blackhole");
	fib_object_del(w->fib, 1);
	fib_flush(w->fib);
	goes(w, "192.0.2.0/24", "punt");
	/* More ways than are kept. */
	for (i = 0; i <= FIB_MAX_HOPS; i++)
		more[i] = (struct fib_member){ 2, 1 };
	group.n = 3;
	group.member = more;
	assert_int_equal(fib_object_set(w->fib, &group), 0);
	fib_flush(w->fib);
	goes(w, "192.0.2.0/24", "forward 4@1 4@1 4@1");
	group.n = FIB_MAX_HOPS + 1;
	assert_int_equal(fib_object_set(w->fib, &group), 0);
	fib_flush(w->fib);
	goes(w, "192.0.2.0/24", "punt");
}

static void test_resync(void **state)
{
	struct world *w = *state;
	struct fib_counts c;
	unsigned int calls;

	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 2);
	add(w, "192.0.2.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.0.3@10", 0, FIB_LAST);
	calls = w->calls;
	fib_begin(w->fib);
	add(w, "192.0.3.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.0.3@10", 0, FIB_LAST);
	fib_sweep(w->fib, false); /* incomplete: nothing goes */
	assert_int_equal(w->calls, calls);
	fib_begin(w->fib);
	link_is(w, PORT0, true);
	neigh(w, "10.0.0.2", PORT0, NUD_PERMANENT, 2);
	add(w, "192.0.3.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.0.3@10", 0, FIB_LAST);
	fib_sweep(w->fib, true);
	goes(w, "192.0.2.0/24", "-");
	goes(w, "192.0.3.0/24", "forward 2@0");
	assert_int_equal(w->calls, calls + 1);
	fib_begin(w->fib);
	fib_sweep(w->fib, true);
	fib_counts(w->fib, &c);
	assert_int_equal(w->n + c.hops + c.routes[0] + c.links + c.neighbours, 0);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	struct fib_counts c;

	w->room = 1;
	add(w, "192.0.2.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.0.3@10", 0, FIB_LAST);
	goes(w, "192.0.3.0/24", "-");
	fib_counts(w->fib, &c);
	assert_int_equal(c.unplaced, 1);
	assert_int_equal(c.unplaced_rc, -ENOSPC);
	assert_int_equal(c.hops, 1); /* no next hop is kept for it */
	w->room = 2;
	fib_begin(w->fib);
	fib_sweep(w->fib, false);
	goes(w, "192.0.3.0/24", "glean");
	fib_counts(w->fib, &c);
	assert_int_equal(c.unplaced, 0);
	w->room = 2;
	add(w, "192.0.5.0/24", "10.0.0.3@10", 0, FIB_LAST);
	goes(w, "192.0.5.0/24", "-");
	w->room = 3;
	fib_retry(w->fib);
	goes(w, "192.0.5.0/24", "glean");
	w->room = 3;
	add(w, "192.0.4.0/24", "10.0.0.3@10", 0, FIB_LAST);
	del(w, "192.0.4.0/24", "10.0.0.3@10", 0, true);
	fib_counts(w->fib, &c);
	assert_int_equal(c.unplaced, 0);
}

/* A change that was refused, and then is none any more: neighbours had followed it, and come back. */
static void test_refused_and_back(void **state)
{
	struct world *w = *state;
	struct fib_counts c;

	add(w, "10.0.0.0/24", "@10", 0, FIB_LAST);
	neigh(w, "10.0.0.5", PORT0, NUD_REACHABLE, 5);
	goes(w, "10.0.0.5/32", "forward 5@0");
	w->full = "10.0.0.0/24";
	add(w, "10.0.0.0/24", "10.0.1.4@11", 0, FIB_REPLACE);
	goes(w, "10.0.0.0/24", "glean");
	goes(w, "10.0.0.5/32", "-");
	add(w, "10.0.0.0/24", "@10", 0, FIB_REPLACE);
	goes(w, "10.0.0.5/32", "forward 5@0");
	fib_counts(w->fib, &c);
	assert_int_equal(c.unplaced, 0);
}

/* A prefix that was refused and goes leaves nothing behind. */
static void test_refused_and_gone(void **state)
{
	struct world *w = *state;
	unsigned int round;

	w->room = 0;
	for (round = 0; round < 2; round++) {
		add(w, "192.0.2.0/24", "10.0.0.2@10", 0, FIB_LAST);
		add(w, "192.0.2.128/25", "10.0.0.2@10", 0, FIB_LAST);
		if (round) { /* by a sweep that hears of neither */
			fib_begin(w->fib);
			fib_sweep(w->fib, true);
		} else {
			del(w, "192.0.2.128/25", "10.0.0.2@10", 0, true);
			del(w, "192.0.2.0/24", "10.0.0.2@10", 0, true);
		}
		assert_int_equal(w->fib->unplaced, 0);
		assert_int_equal(w->fib->fam[0].routes.used, 0);
	}
}

static void on_ask(void *ctx, uint32_t ifindex, unsigned int family, struct router_addr a)
{
	struct world *w = ctx;

	w->asked++;
	router_addr_text(a, family, w->asked_for);
}

static void test_ask(void **state)
{
	struct world *w = *state;

	add(w, "192.0.2.0/24", "10.0.0.2@10", 0, FIB_LAST);
	add(w, "192.0.3.0/24", "10.0.2.2@12", 0, FIB_LAST);
	fib_ask(w->fib, on_ask, w);
	assert_int_equal(w->asked, 1); /* the gateway on a port */
	assert_string_equal(w->asked_for, "10.0.0.2");
	neigh(w, "10.0.0.2", PORT0, NUD_REACHABLE, 2);
	w->hits = 5;
	fib_ask(w->fib, on_ask, w);
	neigh(w, "10.0.0.2", PORT0, NUD_STALE, 2);
	fib_ask(w->fib, on_ask, w);
	assert_int_equal(w->asked, 1); /* stale, and nobody has used it since */
	w->hits = 6;
	fib_ask(w->fib, on_ask, w);
	assert_int_equal(w->asked, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(neighbour), T(metric), T(multipath), T(replace6), T(siblings), T(mtu), T(connected), T(tables), T(objects), T(resync),
		T(refused), T(refused_and_back), T(refused_and_gone), T(ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
