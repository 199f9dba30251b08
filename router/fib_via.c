/* SPDX-License-Identifier: BSD-3-Clause */
/* Next hops: shared, numbered, worked out from links, neighbours and nexthop objects. */
#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>

#include "router/fib_int.h"

static uint64_t via_hash(enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop, unsigned int n)
{
	uint64_t h = hash_mix(kind, (uint64_t)object << 32 | mtu);
	unsigned int i;

	for (i = 0; i < n; i++) {
		h = hash_mix(h, (uint64_t)hop[i].ifindex << 32 | (uint32_t)hop[i].weight << 16 | hop[i].family << 8 |
				hop[i].flags);
		h = hash_mix(hash_mix(h, hop[i].gateway.hi), hop[i].gateway.lo);
	}
	return h;
}

static bool hop_same(const struct fib_hop *a, const struct fib_hop *b, unsigned int but)
{
	return a->ifindex == b->ifindex && a->weight == b->weight && a->family == b->family &&
	       !((a->flags ^ b->flags) & ~but) && router_addr_equal(a->gateway, b->gateway);
}

static bool via_equal(const struct via *v, enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop,
		      unsigned int n, unsigned int but)
{
	unsigned int i;

	if (v->kind != kind || v->object != object || v->mtu != mtu || v->n != n)
		return false;
	for (i = 0; i < n; i++)
		if (!hop_same(&v->hop[i], &hop[i], but))
			return false;
	return true;
}

bool via_same(const struct via *v, enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop,
	      unsigned int n)
{
	return via_equal(v, kind, object, mtu, hop, n, FIB_HOP_DEAD);
}

struct via *via_get(struct fib *r, enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop, unsigned int n)
{
	uint64_t hash = via_hash(kind, object, mtu, hop, n);
	struct hash_link *l;
	struct via *v;
	unsigned int i;

	for (l = hash_first(&r->vias, hash); l; l = l->next) {
		v = (struct via *)l;
		if (l->hash == hash && via_equal(v, kind, object, mtu, hop, n, 0)) {
			v->refs++;
			return v;
		}
	}
	v = calloc(1, sizeof(*v) + n * sizeof(*hop));
	if (!v)
		return NULL;
	v->refs = 1;
	v->kind = kind;
	v->object = object;
	v->mtu = mtu;
	v->n = n;
	v->dead = n > 0;
	for (i = 0; i < n; i++) {
		v->hop[i] = hop[i];
		v->dead = v->dead && hop[i].flags & FIB_HOP_DEAD;
	}
	hash_add(&r->vias, &v->link, hash);
	return v;
}

void via_hold(struct via *v)
{
	v->refs++;
}

void via_put(struct fib *r, struct via *v)
{
	if (--v->refs)
		return;
	hash_del(&r->vias, &v->link);
	free(v->way);
	free(v->hits);
	free(v);
}

/* --- what it comes to --- */

/* Work in progress: ways that forward, and the best of what to do if there are none. */
struct via_work {
	struct fib_way way[FIB_MAX_HOPS];
	unsigned int n, forward; /* of them by a port */
	unsigned int looked;     /* at so many, alive or not */
	bool blackhole;
	bool glean, own;
	struct fib_way asked; /* the first unresolved, or a port's own network */
};

static void work_add(struct via_work *w, const struct fib_way *way)
{
	if (w->n == FIB_MAX_HOPS)
		return;
	w->way[w->n++] = *way;
	w->forward += !way->punt;
}

static void work_hop(const struct fib *r, const struct fib_hop *hop, uint32_t mtu, uint16_t weight, struct via_work *w)
{
	struct link *l = fib_link_find(r, hop->ifindex);
	struct fib_way way = { .family = hop->family, .gateway = hop->gateway, .ifindex = hop->ifindex, .weight = weight };
	struct host *h;

	w->looked++;
	if (hop->flags & FIB_HOP_DEAD || (l && l->known && !l->l.up))
		return;
	if (hop->flags & FIB_HOP_ENCAP || !l || !l->known || l->nic < 0) {
		way.punt = true;
		work_add(w, &way);
		return;
	}
	way.nic = (uint8_t)l->nic;
	way.port = (uint8_t)l->port;
	way.mtu = mtu && mtu < l->l.mtu ? mtu : l->l.mtu;
	memcpy(way.src_mac, l->l.mac, 6);
	if (!hop->family) { /* the destination is the neighbour: another for each */
		w->asked = way;
		w->own = true;
		way.punt = true;
		work_add(w, &way);
		return;
	}
	h = fib_host_find(r, hop->ifindex, hop->family, hop->gateway);
	if (h && h->n.state & FIB_NEIGH_VALID) {
		memcpy(way.dst_mac, h->n.mac, 6);
		work_add(w, &way);
		return;
	}
	if (!w->glean && !w->own)
		w->asked = way;
	w->glean = true;
}

static void work_object(const struct fib *r, uint32_t id, uint32_t mtu, uint16_t weight, unsigned int depth, struct via_work *w)
{
	struct object *o = fib_object_find(r, id);
	unsigned int i;

	if (!o || o->o.alien || depth > 1)
		return;
	if (o->o.blackhole)
		w->blackhole = true;
	else if (!o->o.n)
		work_hop(r, &o->o.hop, mtu, weight, w);
	for (i = 0; i < o->o.n; i++)
		work_object(r, o->o.member[i].id, mtu, o->o.member[i].weight, depth + 1, w);
}

static enum fib_kind via_resolve(const struct fib *r, const struct via *v, struct via_work *w)
{
	static const enum fib_kind fixed[] = {
		[VIA_LOCAL] = FIB_LOCAL, [VIA_PUNT] = FIB_PUNT, [VIA_BLACKHOLE] = FIB_BLACKHOLE,
		[VIA_UNREACHABLE] = FIB_UNREACHABLE, [VIA_PROHIBIT] = FIB_PROHIBIT, [VIA_THROW] = FIB_UNREACHABLE,
	};
	unsigned int i;

	w->n = w->forward = w->looked = 0;
	w->glean = w->own = w->blackhole = false;
	if (v->kind != VIA_HOPS && v->kind != VIA_OBJECT)
		return fixed[v->kind];
	for (i = 0; i < v->n; i++)
		work_hop(r, &v->hop[i], v->mtu, v->hop[i].weight, w);
	if (v->kind == VIA_OBJECT)
		work_object(r, v->object, v->mtu, 1, 0, w);
	if (w->looked > FIB_MAX_HOPS) { /* a group has more */
		w->n = 0;
		return FIB_PUNT;
	}
	if (w->forward)
		return FIB_FORWARD;
	if (w->n == 1 && w->own && !w->glean) {
		w->way[0] = w->asked;
		return FIB_GLEAN;
	}
	if (w->n || (!w->glean && !w->blackhole)) {
		w->n = 0;
		return FIB_PUNT;
	}
	if (w->blackhole)
		return FIB_BLACKHOLE;
	w->way[0] = w->asked;
	w->n = 1;
	return FIB_GLEAN;
}

void via_out(const struct via *v, struct fib_out *out)
{
	out->kind = v->out_kind;
	out->n = v->ways;
	out->way = v->way;
}

static bool way_equal(const struct fib_way *a, const struct fib_way *b)
{
	return a->nic == b->nic && a->port == b->port && a->punt == b->punt && a->family == b->family && a->weight == b->weight &&
	       a->mtu == b->mtu && a->ifindex == b->ifindex && router_addr_equal(a->gateway, b->gateway) &&
	       !memcmp(a->dst_mac, b->dst_mac, 6) && !memcmp(a->src_mac, b->src_mac, 6);
}

/* Takes over what w says.  1: it has changed, 0: not. */
static int via_take(struct via *v, enum fib_kind kind, const struct via_work *w)
{
	struct fib_way *way = NULL;
	uint64_t *hits = NULL;
	unsigned int i;

	for (i = 0; i < w->n && i < v->ways && way_equal(&v->way[i], &w->way[i]); i++)
		;
	if (kind == v->out_kind && w->n == v->ways && i == w->n)
		return 0;
	if (w->n) {
		way = malloc(w->n * sizeof(*way));
		hits = calloc(w->n, sizeof(*hits));
		if (!way || !hits) {
			free(way);
			free(hits);
			return -ENOMEM;
		}
		memcpy(way, w->way, w->n * sizeof(*way));
	}
	free(v->way);
	free(v->hits);
	v->way = way;
	v->hits = hits;
	v->ways = w->n;
	v->out_kind = kind;
	return 1;
}

static int via_tell(struct fib *r, struct via *v)
{
	struct fib_out out;

	via_out(v, &out);
	r->hop_ops++;
	return r->sink->hop_set(r->ctx, v->id, &out);
}

static uint32_t via_number(struct fib *r)
{
	return r->num_free ? r->free_ids[--r->num_free] : r->next_id++;
}

static void via_number_free(struct fib *r, uint32_t id)
{
	uint32_t *ids;

	if (r->num_free == r->free_size) {
		ids = realloc(r->free_ids, (r->free_size * 2 + 64) * sizeof(*ids));
		if (!ids)
			return; /* one number less */
		r->free_ids = ids;
		r->free_size = r->free_size * 2 + 64;
	}
	r->free_ids[r->num_free++] = id;
}

int via_place(struct fib *r, struct via *v)
{
	struct via_work w;
	enum fib_kind kind;
	int rc;

	if (v->placed) {
		v->placed++;
		return 0;
	}
	kind = via_resolve(r, v, &w);
	v->out_kind = FIB_NUM_KINDS; /* whatever it was before, the sink has forgotten it */
	rc = via_take(v, kind, &w);
	if (rc < 0)
		return rc;
	v->id = via_number(r);
	rc = via_tell(r, v);
	if (rc) {
		via_number_free(r, v->id);
		return rc;
	}
	v->placed = 1;
	r->placed_vias++;
	return 0;
}

void via_displace(struct fib *r, struct via *v)
{
	if (--v->placed)
		return;
	r->hop_ops++;
	r->placed_vias--;
	r->sink->hop_del(r->ctx, v->id);
	via_number_free(r, v->id);
}

void via_refresh_all(struct fib *r)
{
	struct hash_link *l, *next;
	struct via_work w;
	enum fib_kind kind;
	struct via *v;
	int rc;

	for (l = hash_walk(&r->vias, NULL); l; l = next) {
		next = hash_walk(&r->vias, l);
		v = (struct via *)l;
		if (!v->placed || (v->kind != VIA_HOPS && v->kind != VIA_OBJECT))
			continue;
		kind = via_resolve(r, v, &w);
		rc = via_take(v, kind, &w);
		if (rc > 0 && via_tell(r, v)) {
			v->out_kind = FIB_NUM_KINDS; /* tried again at the next flush */
			rc = -1;
		}
		r->dirty = r->dirty || rc < 0;
	}
}

static bool object_connected(const struct fib *r, uint32_t id, uint32_t ifindex)
{
	const struct object *o = fib_object_find(r, id);

	return o && !o->o.n && !o->o.blackhole && !o->o.alien && !o->o.hop.family && o->o.hop.ifindex == ifindex;
}

bool via_connected(const struct fib *r, const struct via *v, uint32_t ifindex)
{
	if (v->kind == VIA_OBJECT)
		return object_connected(r, v->object, ifindex);
	return v->kind == VIA_HOPS && v->n == 1 && !v->hop[0].family && v->hop[0].ifindex == ifindex &&
	       !(v->hop[0].flags & (FIB_HOP_DEAD | FIB_HOP_ENCAP));
}

/* A gateway on a port, not resolved and not being asked for. */
static void ask_gateway(const struct fib *r, const struct fib_hop *hop, fib_ask_fn fn, void *ctx)
{
	const struct link *l = hop->family ? fib_link_find(r, hop->ifindex) : NULL;
	const struct host *h;

	if (!l || !l->known || l->nic < 0 || !l->l.up || hop->flags & (FIB_HOP_DEAD | FIB_HOP_ENCAP))
		return;
	h = fib_host_find(r, hop->ifindex, hop->family, hop->gateway);
	if (!h || !(h->n.state & (FIB_NEIGH_VALID | NUD_INCOMPLETE)))
		fn(ctx, hop->ifindex, hop->family, hop->gateway);
}

static void via_note_hits(struct fib *r, struct via *v)
{
	const struct fib_way *w;
	struct host *h;
	unsigned int i;
	uint64_t hits;

	for (i = 0; i < v->ways; i++) {
		w = &v->way[i];
		hits = r->sink->hits(r->ctx, v->id, i);
		h = hits != v->hits[i] && w->family ? fib_host_find(r, w->ifindex, w->family, w->gateway) : NULL;
		v->hits[i] = hits;
		if (h)
			h->used = true;
	}
}

void fib_ask(struct fib *r, fib_ask_fn fn, void *ctx)
{
	struct hash_link *l;
	struct host *h;
	struct via *v;
	unsigned int i;

	for (l = hash_walk(&r->vias, NULL); l; l = hash_walk(&r->vias, l)) {
		v = (struct via *)l;
		if (v->placed && r->sink->hits)
			via_note_hits(r, v);
		for (i = 0; v->placed && i < v->n; i++)
			ask_gateway(r, &v->hop[i], fn, ctx);
	}
	for (l = hash_walk(&r->objects, NULL); l; l = hash_walk(&r->objects, l))
		ask_gateway(r, &((struct object *)l)->o.hop, fn, ctx);
	for (l = hash_walk(&r->hosts, NULL); l; l = hash_walk(&r->hosts, l)) {
		h = (struct host *)l;
		if (h->used && h->n.state & NUD_STALE)
			fn(ctx, h->n.ifindex, h->n.family, h->n.addr);
		h->used = false;
	}
}
