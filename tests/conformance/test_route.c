/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP routing on every board, in wr and rd, against a decision function of the test's own (route_rfc.c):
 *   reasons   every way in which a frame is forwarded, given to the host or dropped, one by one
 *   fuzz      frames with seeded mutations: what leaves is what should, byte for byte; all else has a reason that applies
 *   jumbo     frames of several buffers, and what lies behind a packet
 *   ecmp      a flow keeps its way, all ways are used, and a member's going moves its flows alone
 *   updates   routes change under load: nothing lost, nothing sent where neither table sends it
 *   between   a route, then a word change between the reading of a leaf and of its word: never a pair that there was not
 *   punts     rates, full rings, no host, sessions that begin anew; forwarding goes on
 *   inject    frames of the host's, and such as can't be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route_rig.h"

#define NICS 3
#define PORTS 2
#define BIT(k) (1ull << (k))

/* Hops that the tests use. */
enum { HOP_A1 = P2P_HOP_FREE, HOP_B0, HOP_B1, HOP_C0, HOP_GLEAN, HOP_SMALL, HOP_HERE, HOP_GROUP, HOP_ALIAS, HOP_BAD, HOP_X, HOP_Y };

/* What is still expected, in order. */
struct want {
	uint32_t len;
	uint8_t *frame;
	struct want *next;
};

struct test {
	struct rig g;
	struct rng rng;
	struct want *head[NICS][PORTS], **tail[NICS][PORTS]; /* frames out */
	struct want *punt[NICS], **punt_tail[NICS];
	uint64_t sure[NICS][P2P_NUM_DROPS], maybe[NICS][P2P_NUM_DROPS], drops[NICS]; /* by reason; by reason, one of several; all */
	uint64_t punts[NICS][P2P_NUM_PUNTS];
	uint32_t sent, outs;
	bool (*seen)(struct test *t, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len); /* instead of want */
	uint64_t count[NICS][PORTS];
	uint32_t way[256]; /* ecmp: by source port */
};

static void want_add(struct want ***tail, const uint8_t *frame, uint32_t len)
{
	struct want *w = malloc(sizeof(*w));

	if (!w || !(w->frame = malloc(len)))
		abort();
	memcpy(w->frame, frame, len);
	w->len = len;
	w->next = NULL;
	**tail = w;
	*tail = &w->next;
}

static void want_drop(struct want **head, struct want ***tail)
{
	struct want *w = *head;

	*head = w->next;
	if (!*head)
		*tail = head;
	free(w->frame);
	free(w);
}

static void frame_out(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	struct test *t = arg;
	struct want *w = t->head[nic][port];
	uint32_t k;

	t->outs++;
	t->count[nic][port]++;
	if (t->seen) {
		if (!t->seen(t, nic, port, data, len))
			mesh_fail(t->g.m, "a frame of %u bytes left %c.%u that neither table sends there", len, 'a' + nic, port);
		return;
	}
	if (!w) {
		mesh_fail(t->g.m, "a frame of %u bytes left %c.%u, none should", len, 'a' + nic, port);
		return;
	}
	for (k = 0; k < len && k < w->len && data[k] == w->frame[k]; k++)
		;
	if (len != w->len || k < len)
		mesh_fail(t->g.m, "frame %u out of %c.%u: %u bytes, %u expected, different from byte %u on", t->outs, 'a' + nic, port, len,
			  w->len, k);
	want_drop(&t->head[nic][port], &t->tail[nic][port]);
}

/* The routes of all tests: a covers the NICs' ports crosswise. */
static void routes(struct rig *g)
{
	static const uint32_t members[8] = { HOP_A1, HOP_B0, HOP_B1, HOP_A1, HOP_B0, HOP_B1, HOP_A1, HOP_B0 };

	rig_hop(g, HOP_A1, P2P_HOP_KIND_FORWARD, 0, 1, 1500);
	rig_hop(g, HOP_B0, P2P_HOP_KIND_FORWARD, 1, 0, 1500);
	rig_hop(g, HOP_B1, P2P_HOP_KIND_FORWARD, 1, 1, 0);
	rig_hop(g, HOP_C0, P2P_HOP_KIND_FORWARD, 2, 0, 9000);
	rig_hop(g, HOP_GLEAN, P2P_HOP_KIND_GLEAN, 1, 0, 0);
	rig_hop(g, HOP_SMALL, P2P_HOP_KIND_FORWARD, 1, 0, 576);
	rig_hop(g, HOP_HERE, P2P_HOP_KIND_FORWARD, 0, 0, 1500);
	rig_hop(g, HOP_BAD, P2P_HOP_KIND_FORWARD, 31, 0, 0);
	rig_hop(g, HOP_X, P2P_HOP_KIND_FORWARD, 1, 0, 0);
	rig_hop(g, HOP_Y, P2P_HOP_KIND_FORWARD, 2, 1, 0);
	rig_group(g, HOP_GROUP, 16, 3, members);
	rig_hop_word(g, HOP_ALIAS, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, HOP_C0));
	rig_add(g, "10.0.0.0/8", HOP_B0);
	rig_add(g, "172.16.0.0/12", HOP_SMALL);
	rig_add(g, "10.1.0.0/16", HOP_B1);
	rig_add(g, "10.2.0.0/16", P2P_HOP_BLACKHOLE);
	rig_add(g, "10.3.0.0/16", P2P_HOP_UNREACHABLE);
	rig_add(g, "10.4.0.0/16", P2P_HOP_PROHIBIT);
	rig_add(g, "10.5.0.0/16", P2P_HOP_PUNT);
	rig_add(g, "10.6.0.0/16", HOP_ALIAS);
	rig_add(g, "10.1.1.0/24", HOP_C0);
	rig_add(g, "192.0.2.0/24", HOP_HERE);
	rig_add(g, "198.51.100.0/24", HOP_GLEAN);
	rig_add(g, "169.254.7.0/24", HOP_B0);
	rig_add(g, "10.1.1.128/25", HOP_A1);
	rig_add(g, "192.0.2.1/32", P2P_HOP_LOCAL);
	rig_add(g, "169.254.9.9/32", P2P_HOP_LOCAL);
	rig_add(g, "2001:db8::/32", HOP_B0);
	rig_add(g, "2001:db8:1::/48", HOP_B1);
	rig_add(g, "2001:db8:2::/48", P2P_HOP_BLACKHOLE);
	rig_add(g, "2001:db8:3::/48", P2P_HOP_UNREACHABLE);
	rig_add(g, "2001:db8:4::/48", HOP_SMALL);
	rig_add(g, "2001:db8:1:1::/64", HOP_C0);
	rig_add(g, "2001:db8:a::/64", HOP_HERE);
	rig_add(g, "2001:db8:1:1::80/121", HOP_A1);
	rig_add(g, "2001:db8:a::1/128", P2P_HOP_LOCAL);
}

/* In rd every ring has a share of the receive buffers: with many of them it is larger than a ring. */
#define RX_BUFS 4096

static void test_begin(struct test *t, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, uint32_t rx_bufs)
{
	struct mesh_cfg cfg;
	unsigned int i, p;

	memset(t, 0, sizeof(*t));
	rng_seed(&t->rng, seed ^ 0x207e);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.batch = 1u << rng_below(&t->rng, 6);
	cfg.slots = 256;
	cfg.rx_bufs = rx_bufs;
	cfg.sleep = seed % 2 == 0;
	for (i = 0; i < NICS; i++) {
		for (p = 0; p < PORTS; p++)
			t->tail[i][p] = &t->head[i][p];
		t->punt_tail[i] = &t->punt[i];
	}
	rig_create(&t->g, ops, &cfg);
	t->g.m->out = frame_out;
	t->g.m->out_arg = t;
	routes(&t->g);
}

/* Sends a frame and notes what is to become of it. */
static struct rig_fate *send(struct test *t, unsigned int nic, unsigned int port, const uint8_t *frame, uint32_t len)
{
	static struct rig_fate f;
	unsigned int k;

	rig_decide(&t->g, nic, port, frame, len, &f);
	mesh_send_raw(t->g.m, nic, port, frame, len);
	t->sent++;
	if (f.drops) {
		t->drops[nic]++;
		for (k = 0; k < P2P_NUM_DROPS; k++)
			if (f.drops & BIT(k))
				*(f.drops == BIT(k) ? &t->sure[nic][k] : &t->maybe[nic][k]) += 1;
	} else if (f.punts) {
		want_add(&t->punt_tail[nic], frame, len);
		if (f.punts & (f.punts - 1))
			f.punts &= 1u << P2P_PUNT_options | 1u << P2P_PUNT_ttl | 1u << P2P_PUNT_group;
		t->punts[nic][__builtin_ctz(f.punts)]++;
	} else {
		want_add(&t->tail[f.nic][f.port], f.out, f.len);
	}
	return &f;
}

/* Takes what was punted, and compares. */
static void take_punts(struct test *t)
{
	static struct rig_punt p;
	unsigned int i;

	for (i = 0; i < NICS; i++) {
		while (rig_punt(&t->g, i, &p)) {
			struct want *w = t->punt[i];

			if (!w || p.len != w->len || memcmp(p.frame, w->frame, p.len)) {
				mesh_fail(t->g.m, "NIC %c punted %u bytes for reason %u, %s", 'a' + i, p.len, p.reason,
					  w ? "another frame was expected" : "nothing was expected");
				return;
			}
			want_drop(&t->punt[i], &t->punt_tail[i]);
		}
	}
}

/* All that was expected has come, and nothing else was counted. */
static void check(struct test *t)
{
	static const char *const punts[] = {
#define X(name, pps, desc) #name,
		P2P_PUNTS(X)
#undef X
	};
	static const char *const drops[] = {
#define X(name, desc) #name,
		P2P_DROPS(X)
#undef X
	};
	unsigned int i, p, k;
	uint64_t v, all;

	mesh_drain(t->g.m, 10000000000ull);
	mesh_settle(t->g.m, 200000, 1000000000);
	take_punts(t);
	for (i = 0; i < NICS; i++) {
		for (p = 0; p < PORTS; p++)
			if (t->head[i][p])
				mesh_fail(t->g.m, "a frame of %u bytes did not leave %c.%u", t->head[i][p]->len, 'a' + i, p);
		if (t->punt[i])
			mesh_fail(t->g.m, "a frame of %u bytes was not punted by %c", t->punt[i]->len, 'a' + i);
		for (k = 0, all = 0; k < P2P_NUM_DROPS; k++) {
			v = mesh_drops(t->g.m, (int)i, k);
			all += v;
			if (v < t->sure[i][k] || v > t->sure[i][k] + t->maybe[i][k])
				mesh_fail(t->g.m, "NIC %c: %llu dropped for %s, %llu expected and %llu that may be", 'a' + i,
					  (unsigned long long)v, drops[k], (unsigned long long)t->sure[i][k],
					  (unsigned long long)t->maybe[i][k]);
		}
		if (all != t->drops[i])
			mesh_fail(t->g.m, "NIC %c: %llu frames dropped, %llu expected", 'a' + i, (unsigned long long)all,
				  (unsigned long long)t->drops[i]);
		for (k = 0; k < P2P_NUM_PUNTS; k++) {
			v = rig_punts(&t->g, i, k);
			if (v != t->punts[i][k])
				mesh_fail(t->g.m, "NIC %c: %llu punted for %s, %llu expected", 'a' + i, (unsigned long long)v, punts[k],
					  (unsigned long long)t->punts[i][k]);
		}
	}
}

static void test_end(struct test *t, struct bench *b, const char *name)
{
	unsigned int i, p;

	rig_end(&t->g, b, name);
	for (i = 0; i < NICS; i++) {
		for (p = 0; p < PORTS; p++)
			while (t->head[i][p])
				want_drop(&t->head[i][p], &t->tail[i][p]);
		while (t->punt[i])
			want_drop(&t->punt[i], &t->punt_tail[i]);
	}
}

static void reg(struct test *t, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	t->g.m->ops->reg_write(t->g.m->mb, nic, off, bytes, v);
	t->g.m->nic[nic].until_ns = 0;
}

/* ---- reasons ---- */

/* One frame, and what must become of it: a drop, a punt (100 + reason), or 200: sent. */
#define SENT 200
#define PUNT(name) (100 + P2P_PUNT_##name)
#define DROP(name) P2P_DROP_##name
struct one {
	const char *from, *to;
	uint32_t len;
	int fate;
	int at;        /* this byte is changed, < 0: none */
	uint8_t value;
	bool fix;      /* and the IPv4 checksum mended */
};
static const struct one ones[] = {
	{ "192.0.2.9", "10.9.9.9", 60, SENT, -1, 0, false },
	{ "192.0.2.9", "10.1.2.3", 1514, SENT, -1, 0, false },
	{ "192.0.2.9", "10.1.1.1", 61, SENT, -1, 0, false },
	{ "192.0.2.9", "10.1.1.129", 64, SENT, -1, 0, false },
	{ "192.0.2.9", "10.6.1.1", 64, SENT, -1, 0, false },
	{ "192.0.2.9", "192.0.2.77", 64, SENT, -1, 0, false }, /* out where it came in */
	{ "192.0.2.9", "10.9.9.9", 64, SENT, 22, 2, true },    /* TTL 2 */
	{ "192.0.2.9", "10.9.9.9", 64, PUNT(ttl), 22, 1, true },
	{ "192.0.2.9", "10.9.9.9", 64, PUNT(ttl), 22, 0, true },
	{ "192.0.2.9", "192.0.2.1", 64, PUNT(local), 22, 1, true },
	{ "192.0.2.9", "10.2.0.1", 64, DROP(blackhole), -1, 0, false },
	{ "192.0.2.9", "10.3.0.1", 64, PUNT(unreachable), -1, 0, false },
	{ "192.0.2.9", "10.4.0.1", 64, PUNT(prohibit), -1, 0, false },
	{ "192.0.2.9", "10.5.0.1", 64, PUNT(kernel), -1, 0, false },
	{ "192.0.2.9", "198.51.100.5", 64, PUNT(glean), -1, 0, false },
	{ "192.0.2.9", "8.8.8.8", 64, PUNT(no_route), -1, 0, false },
	{ "192.0.2.9", "172.16.0.1", 590, SENT, -1, 0, false },
	{ "192.0.2.9", "172.16.0.1", 591, PUNT(mtu), -1, 0, false },
	{ "192.0.2.9", "10.9.9.9", 64, PUNT(group), 0, 0xff, false },
	{ "192.0.2.9", "10.9.9.9", 64, PUNT(not_ip), 13, 6, false },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(other_mac), 5, 9, false },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(bad_source), 6, 3, false },
	{ "192.0.2.9", "10.9.9.9", 13, DROP(runt), -1, 0, false },
	{ "192.0.2.9", "10.9.9.9", 33, DROP(ip_header), -1, 0, false },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_header), 14, 0x44, true },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_header), 14, 0x4f, false },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_version), 14, 0x55, true },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_length), 17, 51, true },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_length), 17, 19, true },
	{ "192.0.2.9", "10.9.9.9", 64, SENT, 17, 20, true },
	{ "192.0.2.9", "10.9.9.9", 64, DROP(ip_checksum), 24, 1, false },
	{ "192.0.2.9", "10.9.9.9", 80, PUNT(options), 14, 0x46, true },
	{ "127.0.0.1", "10.9.9.9", 64, DROP(ip_source), -1, 0, false },
	{ "0.1.2.3", "10.9.9.9", 64, DROP(ip_source), -1, 0, false },
	{ "224.0.0.1", "10.9.9.9", 64, DROP(ip_source), -1, 0, false },
	{ "255.255.255.255", "10.9.9.9", 64, DROP(ip_source), -1, 0, false },
	{ "192.0.2.9", "127.0.0.1", 64, DROP(ip_dest), -1, 0, false },
	{ "192.0.2.9", "0.0.0.0", 64, DROP(ip_dest), -1, 0, false },
	{ "192.0.2.9", "239.1.1.1", 64, DROP(ip_dest), -1, 0, false },
	{ "192.0.2.9", "240.0.0.1", 64, DROP(ip_dest), -1, 0, false },
	{ "169.254.1.1", "10.9.9.9", 64, DROP(link_local), -1, 0, false },
	{ "192.0.2.9", "169.254.7.1", 64, DROP(link_local), -1, 0, false },
	{ "169.254.1.1", "169.254.9.9", 64, PUNT(local), -1, 0, false },
	{ "2001:db8:a::9", "2001:db8::1", 62, SENT, -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:1::1", 1514, SENT, -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:1:1::1", 80, SENT, -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:1:1::81", 80, SENT, -1, 0, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, SENT, 21, 2, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, PUNT(ttl), 21, 1, false },
	{ "2001:db8:a::9", "2001:db8:a::1", 80, PUNT(local), 21, 0, false },
	{ "2001:db8:a::9", "2001:db8:2::1", 80, DROP(blackhole), -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:3::1", 80, PUNT(unreachable), -1, 0, false },
	{ "2001:db8:a::9", "2002::1", 80, PUNT(no_route), -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:4::1", 590, SENT, -1, 0, false },
	{ "2001:db8:a::9", "2001:db8:4::1", 591, PUNT(mtu), -1, 0, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, PUNT(options), 20, 0, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, DROP(ip_version), 14, 0x45, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, DROP(ip_length), 19, 27, false },
	{ "2001:db8:a::9", "2001:db8::1", 80, SENT, 19, 0, false },
	{ "2001:db8:a::9", "2001:db8::1", 53, DROP(ip_header), -1, 0, false },
	{ "ff02::1", "2001:db8::1", 80, DROP(ip_source), -1, 0, false },
	{ "::", "2001:db8::1", 80, DROP(ip_source), -1, 0, false },
	{ "::1", "2001:db8::1", 80, DROP(ip_source), -1, 0, false },
	{ "2001:db8:a::9", "ff0e::1", 80, DROP(ip_dest), -1, 0, false },
	{ "2001:db8:a::9", "::1", 80, DROP(ip_dest), -1, 0, false },
	{ "2001:db8:a::9", "::", 80, DROP(ip_dest), -1, 0, false },
	{ "fe80::1", "2001:db8::1", 80, DROP(link_local), -1, 0, false },
	{ "fe80::1", "2001:db8:a::1", 80, PUNT(local), -1, 0, false },
	{ "2001:db8:a::9", "fe80::1", 80, PUNT(local), -1, 0, false },
};

static void send_one(struct test *t, const struct one *o)
{
	static uint8_t f[P2P_MAX_FRAME];
	struct rig_fate *fate;
	bool ok;

	rig_frame(f, 0, 0, o->from, o->to, o->len < 60 ? 60 : o->len, 7);
	if (o->at >= 0)
		f[o->at] = o->value;
	if (o->fix)
		rig_fix_sum(f);
	fate = send(t, 0, 0, f, o->len);
	ok = o->fate == SENT ? !fate->drops && !fate->punts :
	     o->fate >= 100 ? !fate->drops && fate->punts & 1u << (o->fate - 100) : !!(fate->drops & BIT(o->fate));
	if (!ok)
		mesh_fail(t->g.m, "the test's own decision on %s -> %s, byte %d, is not what it says", o->from, o->to, o->at);
}

static void reverse_path(struct test *t)
{
	static const struct one back[] = {
		{ "192.0.2.9", "10.9.9.9", 64, SENT, -1, 0, false },
		{ "10.1.2.3", "10.9.9.9", 64, DROP(rpf), -1, 0, false },
		{ "8.8.8.8", "10.9.9.9", 64, DROP(rpf), -1, 0, false },
		{ "198.51.100.5", "192.0.2.1", 64, DROP(rpf), -1, 0, false },
		{ "2001:db8:a::9", "2001:db8::1", 80, SENT, -1, 0, false },
		{ "2001:db8::9", "2001:db8::1", 80, DROP(rpf), -1, 0, false },
		{ "fe80::1", "2001:db8:a::1", 80, PUNT(local), -1, 0, false },
	}, loose[] = {
		{ "10.1.2.3", "10.9.9.9", 64, SENT, -1, 0, false },
		{ "10.5.2.3", "10.9.9.9", 64, SENT, -1, 0, false },
		{ "8.8.8.8", "10.9.9.9", 64, DROP(rpf), -1, 0, false },
		{ "10.2.2.3", "10.9.9.9", 64, DROP(rpf), -1, 0, false },
	};
	unsigned int k;

	mesh_drain(t->g.m, 10000000000ull);
	t->g.rpf[0][0] = P2P_RPF_STRICT;
	reg(t, 0, P2P_PORT_BLOCK + P2P_PORT_RPF, 4, P2P_RPF_STRICT);
	for (k = 0; k < P2P_ARRAY_SIZE(back); k++)
		send_one(t, &back[k]);
	mesh_drain(t->g.m, 10000000000ull);
	t->g.rpf[0][0] = P2P_RPF_LOOSE;
	reg(t, 0, P2P_PORT_BLOCK + P2P_PORT_RPF, 4, P2P_RPF_LOOSE);
	for (k = 0; k < P2P_ARRAY_SIZE(loose); k++)
		send_one(t, &loose[k]);
}

static void reasons(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	unsigned int k;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	for (k = 0; k < P2P_ARRAY_SIZE(ones) && !mesh_failure(t.g.m); k++) {
		send_one(&t, &ones[k]);
		if (k % 8 == seed % 8)
			mesh_run(t.g.m, 3000);
	}
	reverse_path(&t);
	check(&t);
	/* Defaults of their own; a hop that names no NIC; another router address; no table at all. */
	rig_hop_word(&t.g, P2P_HOP_DEFAULT4, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, HOP_C0));
	rig_hop_word(&t.g, P2P_HOP_DEFAULT6, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, HOP_B1));
	send(&t, 1, 0, f, rig_frame(f, 1, 0, "192.0.2.9", "8.8.8.8", 64, 1));
	send(&t, 1, 0, f, rig_frame(f, 1, 0, "2001:db8:a::9", "2002::1", 80, 1));
	check(&t);
	rig_hop_word(&t.g, P2P_HOP_DEFAULT4, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, HOP_BAD));
	mesh_send_raw(t.g.m, 1, 0, f, rig_frame(f, 1, 0, "192.0.2.9", "8.8.8.8", 64, 1));
	t.sure[1][P2P_DROP_bad_hop]++;
	t.drops[1]++;
	check(&t);
	reg(&t, 2, P2P_PORT_BLOCK + P2P_PORT_ROUTER_MAC, 8, 0x010203040506);
	mesh_send_raw(t.g.m, 2, 0, f, rig_frame(f, 2, 0, "192.0.2.9", "10.9.9.9", 64, 1));
	t.sure[2][P2P_DROP_other_mac]++;
	t.drops[2]++;
	reg(&t, 2, P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_RPF, 4, 0);
	check(&t);
	reg(&t, 1, P2P_ROUTE_TABLE, 4, 0);
	rig_frame(f, 1, 0, "192.0.2.9", "10.9.9.9", 64, 1);
	mesh_send_raw(t.g.m, 1, 0, f, 64);
	want_add(&t.punt_tail[1], f, 64);
	t.punts[1][P2P_PUNT_no_route]++;
	check(&t);
	test_end(&t, b, "reasons");
}

/* ---- fuzz ---- */

static uint32_t fuzz_frame(struct test *t, uint8_t *f, unsigned int nic, unsigned int port)
{
	static const char *const to4[] = { "10.1.1.200", "10.1.1.3",   "10.1.7.7",  "10.2.0.1",
					   "10.6.3.3",   "172.16.3.3", "192.0.2.1", "10.200.1.1" };
	static const char *const to6[] = { "2001:db8::5",      "2001:db8:1::5", "2001:db8:1:1::5",
					   "2001:db8:1:1::85", "2001:db8:2::5", "2001:db8:4::5" };
	bool six = rng_below(&t->rng, 3) == 0;
	uint32_t len = rng_below(&t->rng, 4) ? 60 + rng_below(&t->rng, 80) : 60 + rng_below(&t->rng, 1700), n, k, at;

	len = rig_frame(f, nic, port, six ? "2001:db8:a::9" : "192.0.2.9",
			six ? to6[rng_below(&t->rng, P2P_ARRAY_SIZE(to6))] : to4[rng_below(&t->rng, P2P_ARRAY_SIZE(to4))],
			len < 62 ? 62 : len, (uint16_t)rng_next(&t->rng));
	n = rng_below(&t->rng, 4);
	for (k = 0; k < n; k++) {
		/* Mostly the headers, mostly single bits or interesting values. */
		at = rng_below(&t->rng, 8) ? 12 + rng_below(&t->rng, six ? 42 : 22) : rng_below(&t->rng, 60);
		switch (rng_below(&t->rng, 4)) {
		case 0:
			f[at] ^= (uint8_t)(1u << rng_below(&t->rng, 8));
			break;
		case 1:
			f[at] = (uint8_t)rng_next(&t->rng);
			break;
		case 2:
			f[at] = rng_below(&t->rng, 2) ? 0 : 0xff;
			break;
		default:
			f[at] = (uint8_t)(f[at] + 1 - 2 * (int)rng_below(&t->rng, 2));
		}
	}
	if (!six && rng_below(&t->rng, 2) && (f[14] & 15) >= 5)
		rig_fix_sum(f);
	if (rng_below(&t->rng, 16) == 0)
		len = rng_below(&t->rng, len + 1);
	return len ? len : 1;
}

static void fuzz(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int frames)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	unsigned int k, nic, port;
	uint32_t len;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	nic = rng_below(&t.rng, NICS);
	port = rng_below(&t.rng, PORTS);
	for (k = 0; k < frames && !mesh_failure(t.g.m); k++) {
		len = fuzz_frame(&t, f, nic, port);
		send(&t, nic, port, f, len);
		if (k % 64 == 63) {
			mesh_drain(t.g.m, 10000000000ull);
			take_punts(&t);
		}
	}
	check(&t);
	test_end(&t, b, "fuzz");
}

/* ---- jumbo ---- */

static void jumbo(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t len, packet, k;

	/* So few that one lost a frame would be missed. */
	test_begin(&t, ops, mode, seed, 128);
	for (k = 0; k < 240 && !mesh_failure(t.g.m); k++) {
		len = 2000 + rng_below(&t.rng, 7000);
		rig_frame(f, 0, 0, "192.0.2.9", "10.1.1.1", len, (uint16_t)k);
		/* A third with something behind the packet, over one or more buffers. */
		if (k % 3 == 0) {
			packet = 20 + rng_below(&t.rng, len - 34);
			f[16] = (uint8_t)(packet >> 8);
			f[17] = (uint8_t)packet;
			rig_fix_sum(f);
		}
		if (k % 7 == 0)
			memcpy(f + 30, (uint8_t[4]){ 192, 0, 2, 1 }, 4), rig_fix_sum(f);
		send(&t, 0, 0, f, len);
		mesh_run(t.g.m, 20000);
	}
	/* One that the receive buffer just doesn't hold, one that it does. */
	send(&t, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "10.1.1.1", 2048, 1));
	send(&t, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "10.1.1.1", 2049, 1));
	check(&t);
	test_end(&t, b, "jumbo");
}

/* ---- ecmp ---- */

static bool ecmp_seen(struct test *t, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	uint32_t flow = data[35], way = 1 + nic * PORTS + port;

	if (way != 1 + 0 * PORTS + 1 && way != 1 + 1 * PORTS + 0 && way != 1 + 1 * PORTS + 1)
		return false;
	if (t->way[flow] && t->way[flow] != way)
		mesh_fail(t->g.m, "flow %u has gone from way %u to %u", flow, t->way[flow], way);
	t->way[flow] = way;
	return true;
}

static void ecmp_send(struct test *t, const char *to)
{
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t k;

	for (k = 0; k < 256; k++) {
		mesh_send_raw(t->g.m, 2, 1, f, rig_frame(f, 2, 1, "192.0.2.9", to, 64, (uint16_t)k));
		if (k % 32 == 31)
			mesh_run(t->g.m, 20000);
	}
	mesh_drain(t->g.m, 10000000000ull);
}

static void ecmp(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	uint32_t was[256], k, moved = 0, gone = 1 + 1 * PORTS + 1;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	rig_add(&t.g, "203.0.113.0/24", HOP_GROUP);
	t.seen = ecmp_seen;
	ecmp_send(&t, "203.0.113.1");
	ecmp_send(&t, "203.0.113.1");
	for (k = 0; k < 256; k++)
		if (!t.way[k])
			mesh_fail(t.g.m, "flow %u did not arrive", k);
	if (t.outs != 512 || !t.count[0][1] || !t.count[1][0] || !t.count[1][1])
		mesh_fail(t.g.m, "%u of 512 frames arrived, %llu %llu %llu by way", t.outs, (unsigned long long)t.count[0][1],
			  (unsigned long long)t.count[1][0], (unsigned long long)t.count[1][1]);
	/* The member behind b.1 goes: its buckets, 2 and 5, are handed to others. */
	memcpy(was, t.way, sizeof(was));
	memset(t.way, 0, sizeof(t.way));
	rig_bucket(&t.g, 16 + 2, HOP_A1);
	rig_bucket(&t.g, 16 + 5, HOP_B0);
	ecmp_send(&t, "203.0.113.1");
	for (k = 0; k < 256; k++) {
		if (t.way[k] == gone || (was[k] != gone && t.way[k] != was[k]))
			mesh_fail(t.g.m, "flow %u went by way %u, goes by %u now", k, was[k], t.way[k]);
		moved += t.way[k] != was[k];
	}
	if (!moved)
		mesh_fail(t.g.m, "no flow moved");
	test_end(&t, b, "ecmp");
}

/* ---- updates ---- */

static bool updates_seen(struct test *t, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	/* 10.9.*: always b.0.  10.7.0.0/16 changes between X (b.0) and Y (c.1), 10.7.8.0/24 comes and goes on c.1. */
	if (data[31] == 9)
		return nic == 1 && port == 0 && data[5] == HOP_B0;
	return (nic == 1 && port == 0 && data[5] == HOP_X) || (nic == 2 && port == 1 && data[5] == HOP_Y);
}

static void updates(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int rounds)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	static const char *const to[] = { "10.9.1.1", "10.7.1.1", "10.7.8.1", "10.7.9.255" };
	unsigned int k, j;
	uint32_t sent = 0;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	rig_add(&t.g, "10.7.0.0/16", HOP_X);
	rig_add(&t.g, "10.7.8.0/24", HOP_Y);
	t.seen = updates_seen;
	for (k = 0; k < rounds && !mesh_failure(t.g.m); k++) {
		for (j = 0; j < 8; j++, sent++)
			mesh_send_raw(t.g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", to[rng_below(&t.rng, 4)], 64, (uint16_t)sent));
		mesh_run(t.g.m, 5000 + rng_below(&t.rng, 8000));
		rig_change(&t.g, "10.7.8.0/24", rng_below(&t.rng, 2) ? HOP_X : HOP_Y);
		mesh_run(t.g.m, rng_below(&t.rng, 3000));
		/* A hop's word moves to another entry and back. */
		rig_hop_word(&t.g, HOP_X, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, rng_below(&t.rng, 2) ? HOP_X : HOP_Y));
	}
	mesh_drain(t.g.m, 10000000000ull);
	if (t.outs != sent)
		mesh_fail(t.g.m, "%u of %u frames arrived", t.outs, sent);
	test_end(&t, b, "updates");
}

/* ---- between ---- */

/* Where 11/8 leads at first (X) and when all has changed (C0); Y is what its old hop leads to when it has left it. */
struct between {
	struct test *t;
	unsigned int which;
	bool always, flip;
};
static const struct { uint32_t hop; const char *what; } between_cases[] = {
	{ P2P_HOP_DEFAULT4, "the default" }, { HOP_X, "a hop's word" }, { HOP_GROUP, "buckets" },
};

static void between_set(struct between *w, bool after)
{
	struct rig *g = &w->t->g;
	const uint32_t hop = between_cases[w->which].hop, to = after ? HOP_Y : HOP_X;
	uint32_t k;

	if (after)
		rig_change(g, "11.0.0.0/8", HOP_C0);
	if (hop == P2P_HOP_DEFAULT4)
		rig_hop_word(g, hop, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, to));
	else if (hop == HOP_X)
		rig_hop_word(g, hop, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, to));
	for (k = 0; hop == HOP_GROUP && k < 8; k++)
		rig_bucket(g, 16 + k, to);
	if (!after)
		rig_change(g, "11.0.0.0/8", hop);
}

static void between_jump(void *arg)
{
	struct between *w = arg;

	if (!w->always && w->flip)
		return;
	w->flip = !w->flip;
	between_set(w, w->flip);
}

static bool between_seen(struct test *t, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	return (nic == 1 && port == 0 && data[5] == HOP_X) || (nic == 2 && port == 0 && data[5] == HOP_C0);
}

static void between(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	struct between w = { .t = &t };
	uint32_t sent = 0, k, len;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	rig_add(&t.g, "11.0.0.0/8", P2P_HOP_DEFAULT4);
	t.seen = between_seen;
	for (w.which = 0; w.which < P2P_ARRAY_SIZE(between_cases) && !mesh_failure(t.g.m); w.which++) {
		for (k = 0; k < 16; k++, sent++) {
			w.flip = false;
			between_set(&w, false);
			ops->jump_then(between_jump, &w);
			mesh_send_raw(t.g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "11.1.1.1", 64, (uint16_t)k));
			mesh_drain(t.g.m, 10000000000ull);
			ops->jump_then(NULL, NULL);
		}
		if (!w.flip || mesh_failure(t.g.m))
			mesh_fail(t.g.m, "when a route and %s changed", between_cases[w.which].what);
	}
	/* Changes without end: the frame is the kernel's. */
	w.which = 0;
	w.always = true;
	ops->jump_then(between_jump, &w);
	len = rig_frame(f, 0, 0, "192.0.2.9", "11.1.1.1", 64, 1);
	mesh_send_raw(t.g.m, 0, 0, f, len);
	want_add(&t.punt_tail[0], f, len);
	t.punts[0][P2P_PUNT_kernel]++;
	mesh_drain(t.g.m, 10000000000ull);
	ops->jump_then(NULL, NULL);
	if (t.outs != sent)
		mesh_fail(t.g.m, "%u of %u frames arrived", t.outs, sent);
	test_end(&t, b, "between");
}

/* ---- punts, inject ---- */

static void flood_punts(struct test *t, uint32_t frames)
{
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t k;

	for (k = 0; k < frames; k++) {
		mesh_send_raw(t->g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "192.0.2.1", 64, (uint16_t)k));
		if (k % 16 == 15)
			mesh_run(t->g.m, 10000);
	}
	mesh_drain(t->g.m, 10000000000ull);
}

static void expect(struct test *t, const char *what, uint64_t got, uint64_t least, uint64_t most)
{
	if (got < least || got > most)
		mesh_fail(t->g.m, "%s: %llu, expected %llu to %llu", what, (unsigned long long)got, (unsigned long long)least,
			  (unsigned long long)most);
}

static void punts(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	static struct rig_punt p;
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t k;

	test_begin(&t, ops, mode, seed, RX_BUFS);
	/* Nobody takes them: the ring fills, the rest is counted, forwarding goes on. */
	flood_punts(&t, P2P_PUNT_SLOTS + 40);
	expect(&t, "punt_full", mesh_drops(t.g.m, 0, P2P_DROP_punt_full), 40, 40);
	for (k = 0; k < 8; k++)
		send(&t, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "10.9.9.9", 64, (uint16_t)k));
	mesh_drain(t.g.m, 10000000000ull);
	expect(&t, "forwarded beside a full ring", t.outs, 8, 8);
	for (k = 0; rig_punt(&t.g, 0, &p); k++)
		if (p.reason != P2P_PUNT_local || p.port != 0 || p.hop != P2P_HOP_LOCAL || p.len != 64 || p.frame[35] != (uint8_t)k)
			mesh_fail(t.g.m, "punted frame %u: reason %u, port %u, hop %u, %u bytes", k, p.reason, p.port, p.hop, p.len);
	expect(&t, "in the ring", k, P2P_PUNT_SLOTS, P2P_PUNT_SLOTS);
	/* Taken: there is room again. */
	flood_punts(&t, 10);
	for (k = 0; rig_punt(&t.g, 0, &p); k++)
		;
	expect(&t, "after the ring was emptied", k, 10, 10);
	/* Over the rate of one reason; another's goes on. */
	reg(&t, 0, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_local, 4, 20);
	flood_punts(&t, 30);
	rig_frame(f, 0, 0, "192.0.2.9", "8.8.8.8", 64, 1);
	mesh_send_raw(t.g.m, 0, 0, f, 64);
	mesh_drain(t.g.m, 10000000000ull);
	for (k = 0; rig_punt(&t.g, 0, &p); k++)
		;
	expect(&t, "under a rate of 20", k, 2, 8);
	expect(&t, "punt_limited", mesh_drops(t.g.m, 0, P2P_DROP_punt_limited), 30 - 7, 30 - 1);
	if (p.reason != P2P_PUNT_no_route)
		mesh_fail(t.g.m, "the other reason was held back");
	reg(&t, 0, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_local, 4, 0);
	/* A host that says that it has taken what was never there: ignored, counted once. */
	rig_taken(&t.g, 0, t.g.nic[0].cons + (1u << 20));
	flood_punts(&t, P2P_PUNT_SLOTS + 5);
	expect(&t, "bad_line", mesh_event(t.g.m, 0, P2P_EV_bad_line), 1, 1);
	expect(&t, "punt_full", mesh_drops(t.g.m, 0, P2P_DROP_punt_full), 45, 45 + 30); /* it may have looked a while ago */
	/* Nobody is there; then somebody new is. */
	rig_session(&t.g, 0, 0);
	flood_punts(&t, 3);
	expect(&t, "punt_nobody", mesh_drops(t.g.m, 0, P2P_DROP_punt_nobody), 3, 3);
	rig_session(&t.g, 0, 77777);
	flood_punts(&t, 4);
	for (k = 0; rig_punt(&t.g, 0, &p); k++)
		;
	expect(&t, "of a new session", k, 4, 4);
	test_end(&t, b, "punts");
}

static bool inject_seen(struct test *t, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	uint32_t k;

	if (nic != 1 || data[20] != port || data[21] != (uint8_t)t->count[nic][port] - 1)
		return false;
	for (k = 64; k < len; k++)
		if (data[k] != 0x5a)
			return false;
	return len == 100u + 1000u * port;
}

static void inject(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static struct test t;
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t k, port, n[PORTS] = { 0 };

	test_begin(&t, ops, mode, seed, RX_BUFS);
	t.seen = inject_seen;
	for (k = 0; k < 300 && !mesh_failure(t.g.m); k++) {
		port = rng_below(&t.rng, PORTS);
		memset(f, 0x5a, sizeof(f));
		f[20] = (uint8_t)port;
		f[21] = (uint8_t)n[port]++;
		rig_inject(&t.g, 1, port, f, 100 + 1000 * port);
		if (k % 32 == 31)
			mesh_run(t.g.m, 200000);
	}
	mesh_run(t.g.m, 30000000);
	expect(&t, "injected frames out", t.outs, 300, 300);
	/* What can't be sent is counted, and the ring goes on. */
	rig_inject(&t.g, 1, 0, NULL, 13);
	rig_inject(&t.g, 1, 0, NULL, 9729);
	rig_inject(&t.g, 1, PORTS, NULL, 100);
	f[20] = 0;
	f[21] = (uint8_t)n[0];
	rig_inject(&t.g, 1, 0, f, 100);
	mesh_run(t.g.m, 30000000);
	expect(&t, "inject_bad", mesh_drops(t.g.m, 1, P2P_DROP_inject_bad), 3, 3);
	expect(&t, "frames out after bad ones", t.outs, 301, 301);
	/* A producer that says more than the ring holds. */
	t.g.nic[1].prod += 500;
	rig_inject(&t.g, 1, 0, f, 100);
	mesh_run(t.g.m, 30000000);
	expect(&t, "bad_line", mesh_event(t.g.m, 1, P2P_EV_bad_line), 1, 1);
	expect(&t, "frames out after a bad line", t.outs, 301, 301);
	test_end(&t, b, "inject");
}

static void all(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	if (bench_wants(b, "reasons"))
		reasons(b, ops, mode, seed);
	if (bench_wants(b, "fuzz"))
		fuzz(b, ops, mode, seed, b->deep ? 20000 : bench_share(6000));
	if (bench_wants(b, "jumbo"))
		jumbo(b, ops, mode, seed);
	if (bench_wants(b, "ecmp"))
		ecmp(b, ops, mode, seed);
	if (bench_wants(b, "updates"))
		updates(b, ops, mode, seed, b->deep ? 5000 : bench_share(300));
	if (ops->jump_then && bench_wants(b, "between"))
		between(b, ops, mode, seed);
	if (bench_wants(b, "punts"))
		punts(b, ops, mode, seed);
	if (bench_wants(b, "inject"))
		inject(b, ops, mode, seed);
}

int main(int argc, char **argv)
{
	return rig_main(argc, argv, all);
}
