/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing while what it depends on changes under it, on every board, in wr and rd:
 *   once      a hop entry that changes while a frame is dealt with: what was judged is what is done
 *   told      free inject slots are told of until it is heard, also where lines are lost
 *   pair      a port gets a static pair, and loses it, under load: frames go as they were judged
 */
#include <string.h>

#include "route_rig.h"

#define NICS 3
#define PORTS 2
#define HOP_B0 P2P_HOP_FREE
#define HOP_ODD 40u

struct odd {
	struct rig g;
	struct rng rng;
	bool (*right)(unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len);
	uint32_t outs;
};

static void odd_out(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	struct odd *t = arg;

	t->outs++;
	if (!t->right(nic, port, data, len))
		mesh_fail(t->g.m, "a frame of %u bytes left %c.%u that should not have, or not so", len, 'a' + nic, port);
}

static void odd_begin(struct odd *t, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	struct mesh_cfg cfg;

	memset(t, 0, sizeof(*t));
	rng_seed(&t->rng, seed ^ 0x0dd);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.batch = 1u << rng_below(&t->rng, 6);
	cfg.slots = 256;
	cfg.rx_bufs = 4096;
	rig_create(&t->g, ops, &cfg);
	t->g.m->out = odd_out;
	t->g.m->out_arg = t;
	rig_hop(&t->g, HOP_B0, P2P_HOP_KIND_FORWARD, 1, 0, 1500);
	rig_add(&t->g, "10.0.0.0/8", HOP_B0);
}

static void reg(struct odd *t, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	t->g.m->ops->reg_write(t->g.m->mb, nic, off, bytes, v);
	t->g.m->nic[nic].until_ns = 0;
}

static void expect(struct odd *t, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		mesh_fail(t->g.m, "%s: %llu, expected %llu", what, (unsigned long long)got, (unsigned long long)want);
}

/* ---- once ---- */

static bool once_right(unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	uint8_t mac[12];

	rig_hop_mac(mac, HOP_ODD);
	rig_port_mac(mac + 6, 1, 0);
	return nic == 1 && port == 0 && len == 64 && !memcmp(data, mac, sizeof(mac));
}

/*
 * The counts of HOP_ODD lie on its own entry, so that counting changes the entry between its being judged and its being
 * used: the destination's first byte is one more then, or the kind, into which the sum of bytes carries.
 */
static void once(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	struct p2p_route_head *h;
	struct p2p_hop_entry *e;
	static struct odd t;
	static uint8_t f[P2P_MAX_FRAME];

	odd_begin(&t, ops, mode, seed);
	t.right = once_right;
	rig_add(&t.g, "11.0.0.0/8", HOP_ODD);
	h = t.g.nic[0].head;
	e = (struct p2p_hop_entry *)((uint8_t *)h + from_le32(h->entries_at)) + HOP_ODD;
	h->counts_at = to_le32(from_le32(h->entries_at) + HOP_ODD * (uint32_t)(sizeof(*e) - sizeof(struct p2p_hop_count)));
	reg(&t, 0, P2P_ROUTE_TABLE, 4, 1);
	rig_hop(&t.g, HOP_ODD, P2P_HOP_KIND_FORWARD, 1, 0, 0);
	mesh_send_raw(t.g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "11.1.1.1", 64, 1));
	mesh_drain(t.g.m, 10000000000ull);
	expect(&t, "frames out", t.outs, 1);
	rig_hop(&t.g, HOP_ODD, P2P_HOP_KIND_LOCAL, 0, 0, 0xffff);
	memset(e->src_mac, 0xff, sizeof(e->src_mac));
	mesh_send_raw(t.g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "11.1.1.1", 64, 2));
	mesh_drain(t.g.m, 10000000000ull);
	expect(&t, "punted as local", rig_punts(&t.g, 0, P2P_PUNT_local), 1);
	if (e->kind == P2P_HOP_KIND_LOCAL)
		mesh_fail(t.g.m, "the entry has not changed");
	rig_end(&t.g, b, "once");
}

/* ---- told ---- */

static bool told_right(unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	return nic == 1 && port == 0 && len == 100;
}

/* The NIC takes all that fits into the ring; with all slots taken the host has nothing more to make it speak with. */
static void told(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static const uint8_t f[100] = { 2 };
	const struct p2p_punt_ring *ring;
	static struct odd t;
	uint32_t k;

	odd_begin(&t, ops, mode, seed);
	t.right = told_right;
	mesh_run(t.g.m, 1000000);
	ring = (const struct p2p_punt_ring *)t.g.nic[1].host;
	mesh_fault(t.g.m, "drop:control:1");
	for (k = 0; k < P2P_INJECT_SLOTS; k++) {
		rig_inject(&t.g, 1, 0, f, sizeof(f));
		mesh_run(t.g.m, 20000);
	}
	mesh_run(t.g.m, 1000000);
	if (le32_load_acquire(&ring->head.w[P2P_PH_INJECT]) == t.g.nic[1].prod)
		mesh_fail(t.g.m, "no line was lost");
	mesh_fault_none(t.g.m);
	mesh_run(t.g.m, 100000000);
	expect(&t, "slots told", le32_load_acquire(&ring->head.w[P2P_PH_INJECT]), t.g.nic[1].prod);
	rig_end(&t.g, b, "told");
}

/* ---- pair ---- */

/* c.1 is the pair's: frames leave as they came.  All others are rewritten, once. */
static bool pair_right(unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	uint8_t mac[6];

	if (nic == 2 && port == 1)
		rig_port_mac(mac, 0, 0);
	else
		rig_hop_mac(mac, HOP_B0);
	return !memcmp(data, mac, sizeof(mac)) && data[22] == (nic == 2 ? 64 : 63);
}

static void pair(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	static uint8_t f[P2P_MAX_FRAME];
	static struct odd t;
	uint32_t k, j;

	odd_begin(&t, ops, mode, seed);
	t.right = pair_right;
	for (k = 0; k < 400 && !mesh_failure(t.g.m); k++) {
		for (j = 0; j < 16; j++)
			mesh_send_raw(t.g.m, 0, 0, f, rig_frame(f, 0, 0, "192.0.2.9", "10.1.2.3", 64 + rng_below(&t.rng, 1400), 7));
		mesh_run(t.g.m, rng_below(&t.rng, 3000));
		reg(&t, 0, P2P_PORT_BLOCK + P2P_PORT_PAIR, 4, k & 1 ? 0 : P2P_PAIR_VALID | 2 << 8 | 1);
	}
	mesh_drain(t.g.m, 10000000000ull);
	expect(&t, "frames for another station", mesh_drops(t.g.m, 0, P2P_DROP_other_mac), 0);
	rig_end(&t.g, b, "pair");
}

static void all(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	if (bench_wants(b, "once"))
		once(b, ops, mode, seed);
	if (ops == &mesh_late && bench_wants(b, "told"))
		told(b, ops, mode, seed);
	if (bench_wants(b, "pair"))
		pair(b, ops, mode, seed);
}

int main(int argc, char **argv)
{
	return rig_main(argc, argv, all);
}
