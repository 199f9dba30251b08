/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethernet and IP headers through the firmware's routing, on the soft board (as users run it) and on the late one (whose
 * memory a sanitizer watches), against the decision function that was written from the RFCs (conformance/route_rfc.c):
 * what leaves is what should, byte for byte; all else is dropped or punted for a reason that applies.
 *
 * The meshes are made once and stay: an input begins with empty rings and counters that are looked at by difference.
 *
 *   input   board, then frames: what to mend, where it comes in, its length, how many bytes of it follow, those
 *   a frame that is `held` goes with the next one: several at once
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tests/conformance/route_rig.h>
#include "fuzz.h"

#define NICS 2
#define PORTS 2
#define FRAMES 32 /* under way at a time */
#define FRAMES_ALL 256
#define BIT(k) (1ull << (k))

enum { HOP_A1 = P2P_HOP_FREE, HOP_B0, HOP_B1, HOP_SMALL, HOP_HERE, HOP_GLEAN, HOP_ALIAS };

/* What to mend of a frame, that it come further. */
enum { FIX_MAC = 1, FIX_TYPE = 2, FIX_HEADER = 4, FIX_LENGTH = 8, FIX_ADDR = 16, FIX_SUM = 32, HELD = 64, LONG = 128 };

struct sent {
	struct rig_fate fate;
	uint8_t frame[P2P_MAX_FRAME];
	uint32_t len;
	unsigned int nic;
	bool done;
};

struct world {
	struct rig g;
	struct sent sent[FRAMES];
	unsigned int n;
	uint64_t drops[NICS][P2P_NUM_DROPS];
};

static struct world *worlds[2];

static void frame_out(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	struct world *w = arg;
	unsigned int k;

	for (k = 0; k < w->n; k++) {
		struct sent *s = &w->sent[k];

		if (s->done || s->fate.drops || s->fate.punts || s->fate.nic != nic || s->fate.port != port)
			continue;
		/* Of one egress's frames the order is that of their ingress; these have several. */
		if (s->fate.len == len && !memcmp(s->fate.out, data, len)) {
			s->done = true;
			return;
		}
	}
	fuzz_fail("a frame of %u bytes left %c.%u that should not have, or not so", len, 'a' + nic, port);
}

static struct world *world_make(const struct mesh_ops *ops)
{
	struct world *w = calloc(1, sizeof(*w));
	struct rig *g = &w->g;
	struct mesh_cfg cfg;

	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.slots = 256;
	cfg.rx_bufs = 1024;
	cfg.prompt = true;
	rig_create(g, ops, &cfg);
	g->m->out = frame_out;
	g->m->out_arg = w;
	rig_hop(g, HOP_A1, P2P_HOP_KIND_FORWARD, 0, 1, 1500);
	rig_hop(g, HOP_B0, P2P_HOP_KIND_FORWARD, 1, 0, 1500);
	rig_hop(g, HOP_B1, P2P_HOP_KIND_FORWARD, 1, 1, 0);
	rig_hop(g, HOP_SMALL, P2P_HOP_KIND_FORWARD, 1, 0, 576);
	rig_hop(g, HOP_HERE, P2P_HOP_KIND_FORWARD, 0, 0, 1500);
	rig_hop(g, HOP_GLEAN, P2P_HOP_KIND_GLEAN, 1, 0, 0);
	rig_hop_word(g, HOP_ALIAS, P2P_HOP_WORD(P2P_HOP_ALIAS, 0, HOP_B1));
	rig_add(g, "10.0.0.0/8", HOP_B0);
	rig_add(g, "10.1.0.0/16", HOP_B1);
	rig_add(g, "10.2.0.0/16", P2P_HOP_BLACKHOLE);
	rig_add(g, "10.3.0.0/16", P2P_HOP_UNREACHABLE);
	rig_add(g, "10.4.0.0/16", P2P_HOP_PROHIBIT);
	rig_add(g, "10.5.0.0/16", P2P_HOP_PUNT);
	rig_add(g, "10.6.0.0/16", HOP_ALIAS);
	rig_add(g, "10.7.0.0/16", HOP_SMALL);
	rig_add(g, "10.8.0.0/16", HOP_GLEAN);
	rig_add(g, "10.9.0.0/24", HOP_HERE);
	rig_add(g, "169.254.7.0/24", HOP_B0);
	rig_add(g, "10.1.1.128/25", HOP_A1);
	rig_add(g, "10.9.0.1/32", P2P_HOP_LOCAL);
	rig_add(g, "2001:db8::/32", HOP_B0);
	rig_add(g, "2001:db8:1::/48", HOP_B1);
	rig_add(g, "2001:db8:2::/48", P2P_HOP_BLACKHOLE);
	rig_add(g, "2001:db8:3::/48", P2P_HOP_UNREACHABLE);
	rig_add(g, "2001:db8:4::/48", HOP_SMALL);
	rig_add(g, "2001:db8:9::/64", HOP_HERE);
	rig_add(g, "2001:db8:1:1::80/121", HOP_A1);
	rig_add(g, "2001:db8:9::1/128", P2P_HOP_LOCAL);
	if (mesh_failure(g->m))
		fuzz_fail("the mesh does not come up: %s", mesh_failure(g->m));
	return w;
}

static void fix_addresses(uint8_t *f, bool six)
{
	static const uint8_t net6[] = { 0x20, 1, 0x0d, 0xb8, 0 };

	if (six) {
		memcpy(f + 22, net6, sizeof(net6));
		memcpy(f + 38, net6, sizeof(net6));
	} else {
		f[26] = f[30] = 10;
	}
}

static void mend(uint8_t *f, uint32_t len, unsigned int nic, unsigned int port, uint8_t fix, bool six)
{
	if (fix & FIX_MAC) {
		rig_port_mac(f, nic, port);
		f[6] &= 0xfe;
	}
	if (fix & FIX_TYPE)
		memcpy(f + 12, six ? (uint8_t[]){ 0x86, 0xdd } : (uint8_t[]){ 8, 0 }, 2);
	if (fix & FIX_HEADER)
		f[14] = six ? 0x60 | (f[14] & 15) : 0x45;
	if ((fix & FIX_LENGTH) && len >= 54) {
		f[six ? 18 : 16] = (uint8_t)((len - (six ? 54 : 14)) >> 8);
		f[six ? 19 : 17] = (uint8_t)(len - (six ? 54 : 14));
	}
	if (fix & FIX_ADDR)
		fix_addresses(f, six);
	if (fix & FIX_SUM && !six)
		rig_fix_sum(f);
}

static void send(struct world *w, struct fuzz_in *in, uint8_t fix)
{
	struct sent *s = &w->sent[w->n++];
	uint8_t where = fuzz_u8(in);
	const uint8_t *from;
	size_t n;

	memset(s, 0, sizeof(*s));
	s->nic = where & 1;
	s->len = fuzz_u16(in) % (fix & LONG ? P2P_MAX_FRAME : 192) + 1;
	n = fuzz_u8(in) % 96;
	memset(s->frame, where, sizeof(s->frame));
	from = fuzz_bytes(in, &n);
	memcpy(s->frame, from, n);
	mend(s->frame, s->len, s->nic, where >> 1 & 1, fix, where & 4);
	rig_decide(&w->g, s->nic, where >> 1 & 1, s->frame, s->len, &s->fate);
	mesh_send_raw(w->g.m, s->nic, where >> 1 & 1, s->frame, s->len);
}

static void take_punts(struct world *w)
{
	static struct rig_punt p;
	unsigned int nic, k;

	for (nic = 0; nic < NICS; nic++) {
		while (rig_punt(&w->g, nic, &p)) {
			for (k = 0; k < w->n; k++) {
				struct sent *s = &w->sent[k];

				if (!s->done && !s->fate.drops && s->nic == nic && s->len == p.len &&
				    s->fate.punts & 1u << p.reason && !memcmp(s->frame, p.frame, p.len))
					break;
			}
			if (k == w->n)
				fuzz_fail("NIC %c punted %u bytes for reason %u: no such frame, or not that one", 'a' + nic, p.len,
					  p.reason);
			w->sent[k].done = true;
		}
	}
}

/* Every frame that should be dropped was, for a reason that applies to one of them. */
static void count_drops(struct world *w)
{
	uint64_t may[NICS] = { 0 }, want[NICS] = { 0 }, got, v;
	unsigned int k, d, nic;

	for (k = 0; k < w->n; k++) {
		if (!w->sent[k].fate.drops) {
			if (!w->sent[k].done)
				fuzz_fail("a frame of %u bytes into %c is nowhere", w->sent[k].len, 'a' + w->sent[k].nic);
			continue;
		}
		want[w->sent[k].nic]++;
		may[w->sent[k].nic] |= w->sent[k].fate.drops;
	}
	for (nic = 0; nic < NICS; nic++) {
		for (d = 0, got = 0; d < P2P_NUM_DROPS; d++) {
			v = mesh_drops(w->g.m, (int)nic, d) - w->drops[nic][d];
			w->drops[nic][d] += v;
			got += v;
			if (v && !(may[nic] & BIT(d)))
				fuzz_fail("NIC %c dropped %llu for reason %u, which applies to none", 'a' + nic,
					  (unsigned long long)v, d);
		}
		if (got != want[nic])
			fuzz_fail("NIC %c dropped %llu frames, not %llu", 'a' + nic, (unsigned long long)got,
				  (unsigned long long)want[nic]);
	}
}

static void settle(struct world *w)
{
	if (!mesh_drain(w->g.m, 10000000000ull))
		fuzz_fail("does not drain: %s", mesh_failure(w->g.m) ? mesh_failure(w->g.m) : "frames held");
	mesh_run(w->g.m, 2000);
	take_punts(w);
	count_drops(w);
	if (mesh_failure(w->g.m))
		fuzz_fail("%s", mesh_failure(w->g.m));
	w->n = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	unsigned int late = fuzz_u8(&in) & 1, frames;
	struct world *w = worlds[late];
	uint8_t fix;

	if (!w)
		w = worlds[late] = world_make(late ? &mesh_late : &mesh_soft);
	for (frames = 0; fuzz_left(&in) && frames < FRAMES_ALL; frames++) {
		fix = fuzz_u8(&in);
		send(w, &in, fix);
		if (!(fix & HELD) || w->n == FRAMES)
			settle(w);
	}
	if (w->n)
		settle(w);
	return 0;
}
