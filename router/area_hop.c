/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops: entries, and groups of members in buckets. */
#include <string.h>

#include "router/area_int.h"

static void entry_of_way(struct p2p_hop_entry *e, enum p2p_hop_kind kind, const struct fib_way *w)
{
	*e = (struct p2p_hop_entry){
		.mtu = to_le16((uint16_t)(w->mtu > 65535 ? 65535 : w->mtu)), .kind = (uint8_t)kind, .nic = w->nic, .port = w->port,
		.family = w->family, .ifindex = to_le32(w->ifindex),
	};
	memcpy(e->dst_mac, w->dst_mac, 6);
	memcpy(e->src_mac, w->src_mac, 6);
	if (w->family)
		router_addr_store(w->gateway, w->family, e->gateway);
}

static int entry_make(struct area *a, enum p2p_hop_kind kind, const struct fib_way *w, uint32_t *number)
{
	struct p2p_hop_entry e;
	int rc = area_take_number(a, AREA_ENTRY, 0, number);

	if (rc)
		return rc;
	entry_of_way(&e, kind, w);
	area_write_entry(a, *number, &e);
	return 0;
}

/* What the NICs have counted at an index, in all contexts, is added. */
static void index_packets(const struct area *a, uint32_t index, uint64_t *packets, uint64_t *bytes)
{
	const struct p2p_route_head *h;
	const struct p2p_hop_count *c;
	unsigned int i, k;

	for (i = 0; i < a->nics; i++) {
		h = a->nic[i].head;
		for (k = 0; k < from_le32(h->contexts); k++) {
			c = (const struct p2p_hop_count *)(a->nic[i].base + from_le32(h->counts_at) +
							   (size_t)k * from_le32(h->counts_step)) + index;
			*packets += P2P_SWAP64(p2p_count_read(&c->packets.raw));
			*bytes += P2P_SWAP64(p2p_count_read(&c->bytes.raw));
		}
	}
}

/* --- members --- */

static bool way_same(const struct fib_way *a, const struct fib_way *b)
{
	return a->nic == b->nic && a->port == b->port && a->mtu == b->mtu && a->ifindex == b->ifindex && a->family == b->family &&
	       router_addr_equal(a->gateway, b->gateway) && !memcmp(a->dst_mac, b->dst_mac, 6) &&
	       !memcmp(a->src_mac, b->src_mac, 6);
}

static int member_get(struct area *a, const struct fib_way *w, struct area_member **out)
{
	uint64_t hash = hash_mix(hash_mix(hash_mix(w->ifindex, w->gateway.hi), w->gateway.lo), w->nic << 8 | w->port);
	struct area_member *m;
	struct p2p_hop_entry e;
	struct hash_link *l;
	int rc;

	for (l = hash_first(&a->members, hash); l; l = l->next) {
		m = (struct area_member *)l;
		if (way_same(&m->way, w)) {
			m->refs++;
			*out = m;
			return 0;
		}
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->way = *w;
	m->refs = 1;
	entry_of_way(&e, P2P_HOP_KIND_FORWARD, w);
	if (area_keep_entry(a, true, &e, &m->index, &m->entry))
		goto add;
	rc = area_take_number(a, AREA_INDEX, 0, &m->index);
	if (rc)
		goto free_member;
	rc = entry_make(a, P2P_HOP_KIND_FORWARD, w, &m->entry);
	if (rc)
		goto free_index;
	area_store_word(a, m->index, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, m->entry));
	index_packets(a, m->index, &m->packets0, &m->bytes0);
add:
	hash_add(&a->members, &m->link, hash);
	*out = m;
	return 0;
free_index:
	area_retire(a, AREA_INDEX, 0, m->index);
free_member:
	free(m);
	return rc;
}

static void member_put(struct area *a, struct area_member *m)
{
	if (!m || --m->refs)
		return;
	hash_del(&a->members, &m->link);
	area_retire(a, AREA_INDEX, 0, m->index);
	area_retire(a, AREA_ENTRY, 0, m->entry);
	free(m);
}

/* --- groups --- */

/* A group in the making, or in force. */
struct group {
	unsigned int n, log2;
	struct area_member **member;
	struct fib_way *way;
	uint8_t *owner;
};

static void group_free(struct area *a, struct group *g)
{
	unsigned int i;

	for (i = 0; i < g->n && g->member; i++)
		member_put(a, g->member[i]);
	free(g->member);
	free(g->way);
	free(g->owner);
}

static int group_make(struct area *a, const struct fib_out *out, struct group *g)
{
	unsigned int i;
	int rc;

	*g = (struct group){ .log2 = AREA_BUCKETS_LOG2_MIN };
	while (g->log2 < AREA_BUCKETS_LOG2_MAX && 1u << g->log2 < 8 * out->n)
		g->log2++;
	g->member = calloc(out->n, sizeof(*g->member));
	g->way = malloc(out->n * sizeof(*g->way));
	g->owner = malloc(1u << g->log2);
	if (!g->member || !g->way || !g->owner) {
		group_free(a, g);
		return -ENOMEM;
	}
	memcpy(g->way, out->way, out->n * sizeof(*g->way));
	for (i = 0; i < out->n; i++) {
		rc = out->way[i].punt ? 0 : member_get(a, &out->way[i], &g->member[i]);
		if (rc) {
			group_free(a, g);
			return rc;
		}
		g->n++;
	}
	return 0;
}

/* How many buckets each way should have, by weight; one at least. */
static void group_shares(const struct group *g, unsigned int *share)
{
	unsigned int total = 0, given = 0, i, buckets = 1u << g->log2;

	for (i = 0; i < g->n; i++)
		total += g->way[i].weight;
	for (i = 0; i < g->n; i++) {
		share[i] = buckets * g->way[i].weight / total;
		share[i] = share[i] ? share[i] : 1;
		given += share[i];
	}
	for (i = 0; given < buckets; i = (i + 1) % g->n, given++)
		share[i]++;
	for (i = 0; given > buckets; i = (i + 1) % g->n) {
		if (share[i] > 1) {
			share[i]--;
			given--;
		}
	}
}

/* Which way of g is the old one's: of the same neighbour. */
static unsigned int group_heir(const struct group *g, const struct fib_way *old)
{
	unsigned int i;

	for (i = 0; i < g->n; i++)
		if (g->way[i].ifindex == old->ifindex && g->way[i].punt == old->punt &&
		    router_addr_equal(g->way[i].gateway, old->gateway))
			return i;
	return UINT8_MAX;
}

/* Owners of g's buckets: as in h as far as shares allow, so that flows stay where they are. */
static void group_deal(const struct area_hop *h, struct group *g)
{
	unsigned int share[FIB_MAX_HOPS], buckets = 1u << g->log2, b, i = 0;
	bool keep = h->first != AREA_NONE && h->log2 == g->log2;

	group_shares(g, share);
	for (b = 0; b < buckets; b++) {
		g->owner[b] = keep ? (uint8_t)group_heir(g, &h->way[h->owner[b]]) : UINT8_MAX;
		if (g->owner[b] != UINT8_MAX && !share[g->owner[b]])
			g->owner[b] = UINT8_MAX;
		if (g->owner[b] != UINT8_MAX)
			share[g->owner[b]]--;
	}
	for (b = 0; b < buckets; b++) {
		if (g->owner[b] != UINT8_MAX)
			continue;
		while (!share[i])
			i++;
		g->owner[b] = (uint8_t)i;
		share[i]--;
	}
}

static uint32_t group_index(const struct group *g, unsigned int bucket)
{
	const struct area_member *m = g->member[g->owner[bucket]];

	return m ? m->index : P2P_HOP_PUNT;
}

/* --- next hops --- */

/* What h had before, to be let go of when something else stands in its word. */
static void hop_leave(struct area *a, struct area_hop *h, bool group, bool buckets)
{
	struct group old = { .n = h->n, .member = h->member, .way = h->way, .owner = h->owner };

	if (h->entry != AREA_NONE)
		area_retire(a, AREA_ENTRY, 0, h->entry);
	h->entry = AREA_NONE;
	if (!group || h->first == AREA_NONE)
		return;
	if (buckets)
		area_retire(a, AREA_BUCKETS, h->log2, h->first);
	group_free(a, &old);
	h->first = AREA_NONE;
	h->n = 0;
	h->member = NULL;
	h->way = NULL;
	h->owner = NULL;
}

/* An index for one that has none. */
static int hop_index(struct area *a, struct area_hop *h)
{
	int rc = h->index == AREA_NONE ? area_take_number(a, AREA_INDEX, 0, &h->index) : 0;

	if (!rc && !h->used)
		index_packets(a, h->index, &h->packets0, &h->bytes0);
	return rc;
}

/* A group of the same ways with the same shares that a former router had. */
static bool group_keep(struct area *a, struct area_hop *h, struct group *g)
{
	struct area_deal d = { .n = g->n };
	unsigned int i;

	if (h->index != AREA_NONE)
		return false;
	group_shares(g, d.share);
	for (i = 0; i < g->n; i++)
		d.index[i] = g->member[i] ? g->member[i]->index : P2P_HOP_PUNT;
	return area_keep_group(a, g->log2, &d, g->owner, &h->index, &h->first);
}

static int hop_group(struct area *a, struct area_hop *h, const struct fib_out *out)
{
	bool in_place;
	struct group g;
	uint32_t first = h->first;
	unsigned int b;
	int rc;

	rc = group_make(a, out, &g);
	if (rc)
		return rc;
	if (group_keep(a, h, &g))
		goto take;
	in_place = first != AREA_NONE && h->log2 == g.log2;
	rc = hop_index(a, h);
	if (!rc && !in_place)
		rc = area_take_number(a, AREA_BUCKETS, g.log2, &first);
	if (rc) {
		group_free(a, &g);
		return rc;
	}
	group_deal(h, &g);
	for (b = 0; b < 1u << g.log2; b++)
		area_store_bucket(a, first + b, group_index(&g, b));
	if (!in_place)
		area_store_word(a, h->index, P2P_HOP_WORD(P2P_HOP_GROUP, g.log2, first));
	hop_leave(a, h, true, !in_place);
	h->first = first;
take:
	h->log2 = g.log2;
	h->n = g.n;
	h->member = g.member;
	h->way = g.way;
	h->owner = g.owner;
	return 0;
}

/* A next hop that a former router had. */
static bool single_keep(struct area *a, struct area_hop *h, bool own, uint32_t fixed, const struct fib_out *out)
{
	struct p2p_hop_entry e;

	if (!own)
		return area_keep_fixed(a, fixed, &h->index);
	entry_of_way(&e, out->kind == FIB_FORWARD ? P2P_HOP_KIND_FORWARD : P2P_HOP_KIND_GLEAN, out->way);
	return area_keep_entry(a, false, &e, &h->index, &h->entry);
}

static int hop_single(struct area *a, struct area_hop *h, const struct fib_out *out)
{
	static const uint32_t fixed[FIB_NUM_KINDS] = {
		[FIB_LOCAL] = P2P_HOP_LOCAL, [FIB_PUNT] = P2P_HOP_PUNT, [FIB_BLACKHOLE] = P2P_HOP_BLACKHOLE,
		[FIB_UNREACHABLE] = P2P_HOP_UNREACHABLE, [FIB_PROHIBIT] = P2P_HOP_PROHIBIT,
	};
	bool own = out->kind == FIB_FORWARD || out->kind == FIB_GLEAN;
	uint32_t entry = fixed[out->kind];
	int rc;

	if (h->index == AREA_NONE && single_keep(a, h, own, fixed[out->kind], out))
		return 0;
	rc = hop_index(a, h);
	if (!rc && own)
		rc = entry_make(a, out->kind == FIB_FORWARD ? P2P_HOP_KIND_FORWARD : P2P_HOP_KIND_GLEAN, out->way, &entry);
	if (rc)
		return rc;
	area_store_word(a, h->index, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, entry));
	hop_leave(a, h, true, true);
	h->entry = own ? entry : AREA_NONE;
	return 0;
}

static struct area_hop *hop_room(struct area *a, uint32_t hop)
{
	size_t size = a->hops ? a->hops : 64;
	struct area_hop *more;

	if (hop < a->hops)
		return &a->hop[hop];
	while (size <= hop)
		size *= 2;
	more = realloc(a->hop, size * sizeof(*more));
	if (!more)
		return NULL;
	memset(more + a->hops, 0, (size - a->hops) * sizeof(*more));
	a->hop = more;
	a->hops = size;
	return &a->hop[hop];
}

static int area_hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	struct area *a = ctx;
	struct area_hop *h = hop_room(a, hop);
	bool fresh;
	int rc;

	if (!h)
		return -ENOMEM;
	fresh = !h->used;
	if (fresh) {
		h->index = h->entry = h->first = AREA_NONE;
		h->packets0 = h->bytes0 = 0;
	}
	rc = out->kind == FIB_FORWARD && out->n > 1 ? hop_group(a, h, out) : hop_single(a, h, out);
	if (rc && fresh && h->index != AREA_NONE)
		area_retire(a, AREA_INDEX, 0, h->index);
	h->used = h->used || !rc;
	return rc;
}

static void area_hop_del(void *ctx, uint32_t hop)
{
	struct area *a = ctx;
	struct area_hop *h = &a->hop[hop];

	h->used = false;
	hop_leave(a, h, true, true);
	area_retire(a, AREA_INDEX, 0, h->index);
}

static void lpm_of(const struct router_prefix *p, struct lpm_prefix *out)
{
	*out = (struct lpm_prefix){ .family = p->family == 4 ? P2P_IP4 : P2P_IP6, .len = p->len };
	router_addr_store(p->addr, p->family, out->addr);
}

static int area_route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	struct area *a = ctx;
	struct lpm_prefix lp;
	int rc;

	lpm_of(p, &lp);
	do
		rc = lpm_set(a->lpm, &lp, a->hop[hop].index);
	while (rc == -ENOSPC && area_make_room(a));
	a->changes += !rc;
	a->refused += rc == -ENOSPC;
	return rc;
}

static int area_route_del(void *ctx, const struct router_prefix *p)
{
	struct area *a = ctx;
	struct lpm_prefix lp;
	int rc;

	lpm_of(p, &lp);
	do
		rc = lpm_del(a->lpm, &lp);
	while (rc == -ENOSPC && area_make_room(a));
	a->changes += !rc;
	a->refused += rc == -ENOSPC;
	return rc;
}

void area_hop_packets(const struct area *a, uint32_t hop, uint64_t *packets, uint64_t *bytes)
{
	const struct area_hop *h = hop < a->hops ? &a->hop[hop] : NULL;
	unsigned int i;

	*packets = *bytes = 0;
	if (!h || !h->used)
		return;
	index_packets(a, h->index, packets, bytes);
	*packets -= h->packets0;
	*bytes -= h->bytes0;
	for (i = 0; i < h->n; i++) {
		if (!h->member[i])
			continue;
		index_packets(a, h->member[i]->index, packets, bytes);
		*packets -= h->member[i]->packets0;
		*bytes -= h->member[i]->bytes0;
	}
}

uint32_t area_hop_index(const struct area *a, uint32_t hop)
{
	return hop < a->hops && a->hop[hop].used ? a->hop[hop].index : P2P_HOP_NO_ROUTE;
}

static uint64_t area_hits(void *ctx, uint32_t hop, unsigned int way)
{
	const struct area *a = ctx;
	const struct area_hop *h = &a->hop[hop];
	uint64_t packets = 0, bytes = 0;

	if (!h->n)
		index_packets(a, h->index, &packets, &bytes);
	else if (way < h->n && h->member[way])
		index_packets(a, h->member[way]->index, &packets, &bytes);
	return packets;
}

const struct fib_sink area_sink = { area_hop_set, area_hop_del, area_route_set, area_route_del, area_hits };

void area_hops_free(struct area *a)
{
	struct hash_link *l, *next;
	size_t i;

	for (i = 0; i < a->hops; i++) {
		free(a->hop[i].member);
		free(a->hop[i].way);
		free(a->hop[i].owner);
	}
	free(a->hop);
	for (l = a->members.slot ? hash_walk(&a->members, NULL) : NULL; l; l = next) {
		next = hash_walk(&a->members, l);
		free(l);
	}
	hash_free(&a->members);
}
