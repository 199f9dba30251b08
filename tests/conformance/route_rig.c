/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "route_rig.h"

#define PUNT_BUS(nic) ((66ull << 40) + ((uint64_t)(nic) << 32))
#define BIT(k) (1ull << (k))

static const struct p2p_route_shape rig_shape = {
	.bytes = RIG_ROUTE_BYTES, .hops = RIG_HOPS, .buckets = RIG_BUCKETS, .contexts = 1, .tiers = { 3, 29 },
	.stride = { { 16, 8, 8 }, { 16, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 } },
};

static void reg(struct rig *g, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	g->m->ops->reg_write(g->m->mb, nic, off, bytes, v);
	g->m->nic[nic].until_ns = 0;
}

static void *part(struct rig *g, unsigned int nic, uint64_t at)
{
	return (uint8_t *)g->nic[nic].head + at;
}

/* ---- the area ---- */

void rig_port_mac(uint8_t mac[6], unsigned int nic, unsigned int port)
{
	memcpy(mac, (uint8_t[6]){ 0x02, 0xff, 0, 0, (uint8_t)nic, (uint8_t)port }, 6);
}

void rig_hop_mac(uint8_t mac[6], uint32_t hop)
{
	memcpy(mac, (uint8_t[6]){ 0x02, 0xee, 0, 0, 0, (uint8_t)hop }, 6);
}

static void counted(struct rig *g, unsigned int nic)
{
	le32 *n = &g->nic[nic].head->changed[P2P_ROUTE_CHANGE_HOP];

	le32_store_release(n, le32_load_acquire(n) + 1);
}

void rig_hop_word(struct rig *g, uint32_t hop, uint32_t word)
{
	unsigned int i;

	for (i = 0; i < g->m->cfg.nics; i++) {
		counted(g, i);
		le32_store_release((le32 *)part(g, i, from_le32(g->nic[i].head->hops_at)) + hop, word);
	}
	g->hop[hop].alias = P2P_HOP_FORM(word) == P2P_HOP_ALIAS ? P2P_HOP_NUMBER(word) : 0;
}

void rig_hop(struct rig *g, uint32_t hop, enum p2p_hop_kind kind, unsigned int nic, unsigned int port, uint32_t mtu)
{
	struct p2p_hop_entry e = { .kind = (uint8_t)kind, .nic = (uint8_t)nic, .port = (uint8_t)port, .mtu = to_le16((uint16_t)mtu) };
	unsigned int i;

	rig_hop_mac(e.dst_mac, hop);
	rig_port_mac(e.src_mac, nic, port);
	for (i = 0; i < g->m->cfg.nics; i++)
		memcpy((struct p2p_hop_entry *)part(g, i, from_le32(g->nic[i].head->entries_at)) + hop, &e, sizeof(e));
	g->hop[hop] = (struct rig_hop){ .kind = kind, .nic = nic, .port = port, .mtu = mtu };
	rig_hop_word(g, hop, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, hop));
}

void rig_bucket(struct rig *g, uint32_t bucket, uint32_t hop)
{
	unsigned int i;

	for (i = 0; i < g->m->cfg.nics; i++) {
		counted(g, i);
		le32_store_release((le32 *)part(g, i, from_le32(g->nic[i].head->buckets_at)) + bucket, hop);
	}
}

void rig_group(struct rig *g, uint32_t hop, uint32_t first, unsigned int log2, const uint32_t *members)
{
	uint32_t k;

	for (k = 0; k < 1u << log2; k++)
		rig_bucket(g, first + k, members[k]);
	rig_hop_word(g, hop, P2P_HOP_WORD(P2P_HOP_GROUP, log2, first));
}

static uint32_t bits_at(const uint8_t *addr, unsigned int bit, unsigned int n)
{
	uint32_t v = 0;

	while (n--) {
		v = v << 1 | (addr[bit / 8] >> (7 - bit % 8) & 1);
		bit++;
	}
	return v;
}

/* The route in one table: rows are made on the way down where there are none. */
static void set_leaves(struct rig *g, unsigned int nic, const struct rig_route *r)
{
	struct rig_nic *n = &g->nic[nic];
	le32 *node = part(g, nic, from_le64(n->head->nodes_at));
	const uint8_t *stride = rig_shape.stride[r->family];
	uint32_t row = from_le32(n->head->root[r->family]), bit = 0, at, k, e, next;
	unsigned int t;

	for (t = 0;; bit += stride[t++]) {
		at = row + bits_at(r->addr, bit, stride[t]);
		if (r->len <= bit + stride[t])
			break;
		e = le32_load_acquire(&node[at]);
		if (!(e & P2P_NODE_JUMP)) {
			next = P2P_ALIGN_UP(n->next_node, 1u << stride[t + 1]);
			n->next_node = next + (1u << stride[t + 1]);
			if (n->next_node > from_le32(n->head->nodes))
				abort();
			for (k = 0; k < 1u << stride[t + 1]; k++)
				node[next + k] = to_le32(e);
			le32_store_release(&node[at], P2P_NODE_JUMP | next);
			e = P2P_NODE_JUMP | next;
		}
		row = P2P_NODE_INF(e);
	}
	for (k = 0; k < 1u << (bit + stride[t] - r->len); k++) {
		if (le32_load_acquire(&node[at + k]) & P2P_NODE_JUMP)
			abort(); /* shorter routes come first */
		le32_store_release(&node[at + k], r->hop);
	}
}

static struct rig_route parse(const char *prefix, uint32_t hop)
{
	struct rig_route r = { .hop = hop };
	char addr[64];
	const char *slash = strchr(prefix, '/');

	memcpy(addr, prefix, (size_t)(slash - prefix));
	addr[slash - prefix] = '\0';
	r.family = strchr(addr, ':') ? P2P_IP6 : P2P_IP4;
	r.len = (unsigned int)strtoul(slash + 1, NULL, 10);
	if (inet_pton(r.family == P2P_IP6 ? AF_INET6 : AF_INET, addr, r.addr) != 1)
		abort();
	return r;
}

static bool same(const struct rig_route *a, const struct rig_route *b)
{
	return a->family == b->family && a->len == b->len && !memcmp(a->addr, b->addr, sizeof(a->addr));
}

void rig_change(struct rig *g, const char *prefix, uint32_t hop)
{
	struct rig_route r = parse(prefix, hop);
	unsigned int i, k;

	for (k = 0; k < g->routes; k++)
		if (same(&g->route[k], &r))
			g->route[k].hop = hop;
	for (i = 0; i < g->m->cfg.nics; i++)
		set_leaves(g, i, &r);
}

void rig_add(struct rig *g, const char *prefix, uint32_t hop)
{
	if (g->routes == RIG_MAX_ROUTES)
		abort();
	g->route[g->routes++] = parse(prefix, hop);
	rig_change(g, prefix, hop);
}

static void area_make(struct rig *g, unsigned int nic)
{
	struct rig_nic *n = &g->nic[nic];
	le32 *node;
	uint32_t k;
	unsigned int f;

	n->head = g->m->ops->mem(g->m->mb, nic, p2p_seg_offset(&g->m->shape, p2p_seg_route(&g->m->shape)));
	if (!p2p_route_plan(&rig_shape, n->head))
		abort();
	node = part(g, nic, from_le64(n->head->nodes_at));
	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		for (k = 0; k < 1u << 16; k++)
			node[from_le32(n->head->root[f]) + k] = to_le32(P2P_HOP_DEFAULT(f));
	n->next_node = 2u << 16;
	n->head->generation = n->head->epoch = to_le32(1);
	le32_store_release(&n->head->magic, P2P_ROUTE_MAGIC);
}

/* ---- the host's side ---- */

static struct p2p_inject_head *inject(struct rig *g, unsigned int nic)
{
	return g->m->ops->mem(g->m->mb, nic, p2p_seg_offset(&g->m->shape, p2p_seg_inject(&g->m->shape)));
}

void rig_session(struct rig *g, unsigned int nic, uint32_t session)
{
	struct rig_nic *n = &g->nic[nic];

	reg(g, nic, P2P_PUNT_SESSION, 4, 0);
	n->session = n->cons = n->prod = session;
	le32_store_release(&inject(g, nic)->punt[0].w[P2P_HL_CONS], session);
	le32_store_release(&inject(g, nic)->inject.w[P2P_IL_PROD], session);
	reg(g, nic, P2P_PUNT_RING, 8, PUNT_BUS(nic));
	reg(g, nic, P2P_PUNT_SESSION, 4, session);
}

static void host_make(struct rig *g, unsigned int nic)
{
	struct rig_nic *n = &g->nic[nic];

	n->fd = memfd_create("punt rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (n->fd < 0 || ftruncate(n->fd, P2P_PUNT_BYTES) || fcntl(n->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		abort();
	n->host = mmap(NULL, P2P_PUNT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, n->fd, 0);
	if (n->host == MAP_FAILED)
		abort();
	if (g->m->ops->map_host(g->m->mb, nic, PUNT_BUS(nic), P2P_PUNT_BYTES, n->host, n->fd, 0))
		mesh_fail(g->m, "map of the punt ring failed");
	rig_session(g, nic, 1000 + nic);
}

void rig_taken(struct rig *g, unsigned int nic, uint32_t cons)
{
	le32_store_release(&inject(g, nic)->punt[0].w[P2P_HL_CONS], cons);
}

bool rig_punt(struct rig *g, unsigned int nic, struct rig_punt *p)
{
	struct rig_nic *n = &g->nic[nic];
	struct p2p_punt_slot *s = &((struct p2p_punt_ring *)n->host)->slot[n->cons & (P2P_PUNT_SLOTS - 1)];
	uint32_t what;

	if (le32_load_acquire(&s->line.w[P2P_PS_SEQ]) != n->cons)
		return false;
	what = from_le32(s->line.w[P2P_PS_WHAT]);
	p->len = P2P_PS_LEN(what);
	p->port = P2P_PS_PORT(what);
	p->reason = P2P_PS_REASON(what);
	p->hop = from_le32(s->line.w[P2P_PS_HOP]);
	memcpy(p->frame, s->frame, p->len < P2P_PUNT_ROOM ? p->len : P2P_PUNT_ROOM);
	rig_taken(g, nic, ++n->cons);
	return true;
}

void rig_inject(struct rig *g, unsigned int nic, unsigned int port, const uint8_t *frame, uint32_t len)
{
	struct rig_nic *n = &g->nic[nic];
	struct p2p_punt_slot *s = (struct p2p_punt_slot *)(inject(g, nic) + 1) + (n->prod & (P2P_INJECT_SLOTS - 1));

	if (frame)
		memcpy(s->frame, frame, len);
	le32_store_release(&s->line.w[P2P_PS_WHAT], P2P_PS_WORD(len, port, 0));
	le32_store_release(&s->line.w[P2P_PS_SEQ], n->prod);
	le32_store_release(&inject(g, nic)->inject.w[P2P_IL_PROD], ++n->prod);
	g->m->nic[nic].until_ns = 0;
	if (g->m->ops->late)
		reg(g, nic, P2P_INJECT_BELL, 4, 1);
}

uint64_t rig_punts(struct rig *g, unsigned int nic, enum p2p_punt why)
{
	return g->m->ops->reg_read(g->m->mb, nic, P2P_PUNT_BLOCK + 8 * why, 8);
}

/* ---- life ---- */

void rig_create(struct rig *g, const struct mesh_ops *ops, struct mesh_cfg *cfg)
{
	static const enum p2p_hop_kind kinds[] = {
#define X(name, kind, desc) P2P_HOP_KIND_##kind,
		P2P_HOPS(X)
#undef X
	};
	unsigned int i, k;

	memset(g, 0, sizeof(*g));
	cfg->flags |= P2P_FLAG_ROUTE;
	cfg->route_bytes = RIG_ROUTE_BYTES;
	g->m = mesh_create(ops, cfg);
	if (mesh_configure(g->m))
		return;
	for (i = 0; i < cfg->nics; i++) {
		area_make(g, i);
		host_make(g, i);
	}
	for (k = 0; k < P2P_ARRAY_SIZE(kinds); k++)
		rig_hop(g, k, kinds[k], 0, 0, 0);
	for (i = 0; i < cfg->nics; i++) {
		reg(g, i, P2P_ROUTE_TABLE, 4, 1);
		if (g->m->ops->reg_read(g->m->mb, i, P2P_ROUTE_TABLE, 4) != 1)
			mesh_fail(g->m, "NIC %c does not take its routing area", 'a' + i);
		for (k = 0; k < P2P_NUM_PUNTS; k++)
			reg(g, i, P2P_PUNT_RATE_BLOCK + 4 * k, 4, 0);
	}
	if (!mesh_failure(g->m))
		mesh_up(g->m);
}

void rig_end(struct rig *g, struct bench *b, const char *name)
{
	unsigned int i;

	if (!mesh_failure(g->m)) {
		if (!mesh_drain(g->m, 10000000000ull))
			mesh_fail(g->m, "does not drain: %llu held", (unsigned long long)mesh_held(g->m));
		bench_check_books(g->m);
	}
	bench_end(b, name, g->m);
	for (i = 0; i < P2P_MAX_NICS; i++) {
		if (!g->nic[i].host)
			continue;
		munmap(g->nic[i].host, P2P_PUNT_BYTES);
		close(g->nic[i].fd);
	}
}

int rig_main(int argc, char **argv, rig_fn all)
{
	static const enum p2p_mode modes[] = { P2P_MODE_WR, P2P_MODE_RD };
	struct bench b;
	unsigned int k, m;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++)
		for (m = 0; m < P2P_ARRAY_SIZE(modes); m++)
			for (seed = bench_first_seed(&b); !mesh_boards[k]->cut && bench_wants_mode(&b, mesh_boards[k], modes[m]) &&
			     seed <= bench_last_seed(&b, b.deep ? 10 : 2); seed++)
				all(&b, mesh_boards[k], modes[m], seed);
	return bench_exit(&b);
}
