/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpm/table.h"

struct lpm {
	struct rib rib[P2P_NUM_FAMILIES];
	uint32_t def[P2P_NUM_FAMILIES]; /* hop of the default route, RIB_NO_HOP: none */
	bool def_mark[P2P_NUM_FAMILIES];
	struct lpm_table *tables;
	bool batch;
};

int lpm_create(struct lpm **out)
{
	struct lpm *l = calloc(1, sizeof(*l));
	unsigned int f;

	if (!l)
		return -ENOMEM;
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		l->def[f] = RIB_NO_HOP;
		if (rib_init(&l->rib[f])) {
			lpm_destroy(l);
			return -ENOMEM;
		}
	}
	*out = l;
	return 0;
}

void lpm_destroy(struct lpm *l)
{
	unsigned int f;

	if (!l)
		return;
	while (l->tables)
		lpm_detach(l->tables);
	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		rib_free(&l->rib[f]);
	free(l);
}

/* ---- prefixes ---- */

static struct rib_key key_of(enum p2p_family f, const uint8_t *a)
{
	struct rib_key k = { 0, 0 };
	unsigned int i;

	for (i = 0; i < (f == P2P_IP4 ? 4u : 8u); i++)
		k.hi = k.hi << 8 | a[i];
	if (f == P2P_IP4)
		k.hi <<= 32;
	else
		for (i = 8; i < 16; i++)
			k.lo = k.lo << 8 | a[i];
	return k;
}

static void key_prefix(enum p2p_family f, struct rib_key k, unsigned int len, struct lpm_prefix *p)
{
	unsigned int i;

	*p = (struct lpm_prefix){ .family = (uint8_t)f, .len = (uint8_t)len };
	for (i = 0; i < (f == P2P_IP4 ? 4u : 8u); i++)
		p->addr[i] = (uint8_t)(k.hi >> (56 - 8 * i));
	for (i = 8; i < 16 && f == P2P_IP6; i++)
		p->addr[i] = (uint8_t)(k.lo >> (120 - 8 * i));
}

/* -EINVAL: no prefix. */
static int prefix_key(const struct lpm_prefix *p, struct rib_key *k)
{
	unsigned int len = p->len;

	if (p->family >= P2P_NUM_FAMILIES || len > P2P_FAMILY_BITS(p->family))
		return -EINVAL;
	*k = key_of(p->family, p->addr);
	if (len < 64 && ((k->hi << len) || k->lo))
		return -EINVAL;
	if (len >= 64 && len < 128 && (k->lo << (len - 64)))
		return -EINVAL;
	return 0;
}

/* ---- tables ---- */

static void table_link(struct lpm *l, struct lpm_table *t)
{
	t->owner = l;
	t->next = l->tables;
	l->tables = t;
}

/* A new table becomes what the routes say; in a batch, at its commit. */
static int table_sync(struct lpm *l, struct lpm_table *t)
{
	unsigned int f;
	int rc;

	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		rc = table_prepare_all(t, f, &l->rib[f]);
		if (rc)
			return rc;
		table_apply(t);
		table_set_default(t, f, l->def[f]);
	}
	if (!l->batch)
		table_commit(t);
	return t->rows.err;
}

void lpm_detach(struct lpm_table *t)
{
	struct lpm_table **at = &t->owner->tables;

	while (*at && *at != t)
		at = &(*at)->next;
	if (*at)
		*at = t->next;
	table_free(t);
	rows_free(&t->rows);
	free(t);
}

static int table_new(struct lpm *l, const struct lpm_window *w, const struct p2p_route_head *h, struct lpm_table **out)
{
	struct lpm_table *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return -ENOMEM;
	t->rows.w = *w;
	t->rows.head = *h;
	t->rows.epoch = from_le32(h->epoch);
	rc = rows_init(&t->rows);
	if (rc) {
		free(t);
		return rc;
	}
	t->owner = l;
	rc = table_init(t);
	if (rc)
		lpm_detach(t);
	else
		*out = t;
	return rc;
}

static void area_reserved(struct lpm_table *t)
{
	static const uint8_t kinds[P2P_HOP_FREE] = {
#define X(name, kind, desc) [P2P_HOP_##name] = P2P_HOP_KIND_##kind,
		P2P_HOPS(X)
#undef X
	};
	const struct p2p_route_head *h = &t->rows.head;
	struct p2p_hop_entry e = { .kind = 0 };
	unsigned int k;

	for (k = 0; k < P2P_HOP_FREE && !t->rows.err; k++) {
		e.kind = kinds[k];
		t->rows.err = t->rows.w.ops->write(t->rows.w.arg, from_le32(h->entries_at) + k * sizeof(e), &e, sizeof(e));
		rows_store(&t->rows, from_le32(h->hops_at) + 4 * k, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, k));
	}
	for (; k < t->hops; k++)
		rows_store(&t->rows, from_le32(h->hops_at) + 4 * k, P2P_HOP_WORD(P2P_HOP_ENTRY, 0, P2P_HOP_NO_ROUTE));
}

/* Everything that a reader may see, then the magic. */
static void area_write(struct lpm_table *t, uint32_t magic)
{
	struct rows *r = &t->rows;
	const uint64_t off = offsetof(struct p2p_route_head, version);
	unsigned int f, k;

	rows_store(r, 0, 0);
	r->head.magic = to_le32(0);
	if (!r->err)
		r->err = r->w.ops->write(r->w.arg, off, (uint8_t *)&r->head + off,
					  offsetof(struct p2p_route_head, ctx) - off);
	area_reserved(t);
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		t->hop_next[f] = t->hop_word[f] = P2P_HOP_WORD(P2P_HOP_ALIAS, 0, P2P_HOP_NO_ROUTE);
		rows_store(r, from_le32(r->head.hops_at) + 4 * P2P_HOP_DEFAULT(f), t->hop_word[f]);
		for (k = 0; t->root[f] && k < 1u << r->head.stride[f][0]; k++) {
			t->root[f][k] = P2P_HOP_DEFAULT(f);
			rows_store_node(r, from_le32(r->head.root[f]) + k, P2P_HOP_DEFAULT(f));
		}
	}
	r->head.magic = to_le32(magic);
	rows_store(r, 0, magic);
}

static int hop_above(void *arg, struct rib_node *n)
{
	return n->hop >= *(const uint32_t *)arg;
}

/* Does a table with so many hops have all that the routes name? */
static bool hops_enough(const struct lpm *l, uint32_t hops)
{
	unsigned int f;

	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		if ((l->def[f] != RIB_NO_HOP && l->def[f] >= hops) || rib_walk(&l->rib[f], hop_above, &hops))
			return false;
	return true;
}

int lpm_make(struct lpm *l, const struct lpm_window *w, const struct p2p_route_shape *s, struct lpm_table **out)
{
	struct p2p_route_head h, was;
	struct lpm_table *t;
	int rc;

	memset(&h, 0, sizeof(h));
	if (s->bytes > w->bytes || !p2p_route_plan(s, &h) || !hops_enough(l, s->hops))
		return -EINVAL;
	rc = w->ops->read(w->arg, 0, &was, sizeof(was));
	if (rc)
		return rc;
	/* Contexts may have been at epochs of what was there. */
	h.epoch = to_le32(from_le32(was.epoch) + 1 ? from_le32(was.epoch) + 1 : 1);
	h.generation = to_le32(from_le32(was.generation) + 1);
	rc = table_new(l, w, &h, &t);
	if (rc)
		return rc;
	area_write(t, P2P_ROUTE_MAGIC);
	rc = t->rows.err ? t->rows.err : table_sync(l, t);
	if (rc) {
		rows_store(&t->rows, 0, 0);
		lpm_detach(t);
		return rc;
	}
	table_link(l, t);
	*out = t;
	return 0;
}

/* Is this the head of an area that we can take over?  All of it follows from a few of its numbers. */
static bool head_ok(const struct p2p_route_head *h, uint64_t bytes)
{
	struct p2p_route_shape s = { .bytes = from_le64(h->bytes), .hops = from_le32(h->hops),
				     .buckets = from_le32(h->buckets), .contexts = from_le32(h->contexts) };
	struct p2p_route_head plan;

	memcpy(s.tiers, h->tiers, sizeof(s.tiers));
	memcpy(s.stride, h->stride, sizeof(s.stride));
	memset(&plan, 0, sizeof(plan));
	if (from_le32(h->magic) != P2P_ROUTE_MAGIC || s.bytes > bytes || !from_le32(h->epoch) || !p2p_route_plan(&s, &plan))
		return false;
	plan.magic = h->magic;
	plan.generation = h->generation;
	return !memcmp(&plan, h, offsetof(struct p2p_route_head, pad1));
}

int lpm_adopt(struct lpm *l, const struct lpm_window *w, struct lpm_table **out, char err[LPM_ERR_MAX])
{
	char line[LPM_ERR_MAX];
	struct p2p_route_head h;
	struct lpm_table *t;
	int rc;

	if (!err)
		err = line;
	snprintf(err, LPM_ERR_MAX, "there is no routing area here; make one");
	rc = w->bytes >= sizeof(h) ? w->ops->read(w->arg, 0, &h, sizeof(h)) : -ENOENT;
	if (rc)
		return rc;
	if (!head_ok(&h, w->bytes))
		return -ENOENT;
	if (!hops_enough(l, from_le32(h.hops))) {
		snprintf(err, LPM_ERR_MAX, "the area has %u hops, and routes name higher ones; make the area anew with more",
			 from_le32(h.hops));
		return -EINVAL;
	}
	h.generation = to_le32(from_le32(h.generation) + 1);
	rc = table_new(l, w, &h, &t);
	if (rc) {
		snprintf(err, LPM_ERR_MAX, "out of memory");
		return rc;
	}
	rows_store(&t->rows, offsetof(struct p2p_route_head, generation), from_le32(h.generation));
	rc = table_load(t, err);
	if (!rc) {
		t->rows.fresh_adopted = true;
		rows_epoch_begin(&t->rows);
		rc = table_sync(l, t);
		if (rc)
			snprintf(err, LPM_ERR_MAX, "bringing the area in line with the routes: %s", strerror(-rc));
	}
	if (rc) {
		lpm_detach(t);
		return rc;
	}
	table_link(l, t);
	*out = t;
	return 0;
}

const struct p2p_route_head *lpm_table_head(const struct lpm_table *t)
{
	return &t->rows.head;
}

int lpm_table_error(const struct lpm_table *t)
{
	return t->rows.err;
}

void lpm_abandon(struct lpm_table *t, int rc)
{
	struct rows *r = &t->rows;
	unsigned int f;
	uint32_t k;

	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		for (k = 0; t->root[f] && k < 1u << r->head.stride[f][0]; k++)
			rows_store_node(r, from_le32(r->head.root[f]) + k, P2P_HOP_PUNT);
	r->err = r->err ? r->err : rc;
}

bool lpm_table_abandoned(const struct lpm_table *t)
{
	const struct rows *r = &t->rows;
	unsigned int f;
	uint32_t k;

	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		for (k = 0; t->root[f] && k < 1u << r->head.stride[f][0]; k++)
			if (r->entry[from_le32(r->head.root[f]) + k] != P2P_HOP_PUNT)
				return false;
	return true;
}

/* ---- changes ---- */

/* Live tables take part. */
static struct lpm_table *live(struct lpm_table *t)
{
	while (t && t->rows.err)
		t = t->next;
	return t;
}

/* In all tables or in none. */
static int lpm_change(struct lpm *l, enum p2p_family f, struct rib_key key, unsigned int len)
{
	struct lpm_table *t, *u;
	int rc;

	for (t = live(l->tables); t; t = live(t->next)) {
		rc = table_prepare(t, f, &l->rib[f], key, len);
		/* A table that dies on the way refuses nothing. */
		if (!rc || t->rows.err)
			continue;
		for (u = l->tables; u != t; u = u->next)
			if (!u->rows.err)
				table_cancel(u);
		return rc;
	}
	for (t = live(l->tables); t; t = live(t->next)) {
		table_apply(t);
		if (!l->batch)
			table_commit(t);
	}
	return 0;
}

static void lpm_default(struct lpm *l, enum p2p_family f, uint32_t hop)
{
	struct lpm_table *t;

	l->def[f] = hop;
	l->def_mark[f] = true;
	for (t = live(l->tables); t; t = live(t->next)) {
		table_set_default(t, f, hop);
		if (!l->batch)
			table_commit(t);
	}
}

static bool hop_ok(const struct lpm *l, uint32_t hop)
{
	struct lpm_table *t;

	if (hop == P2P_HOP_DEFAULT4 || hop == P2P_HOP_DEFAULT6 || hop >= P2P_MAX_HOPS)
		return false;
	for (t = live(l->tables); t; t = live(t->next))
		if (hop >= t->hops)
			return false;
	return true;
}

static int lpm_put(struct lpm *l, const struct lpm_prefix *p, uint32_t hop, bool fresh)
{
	struct rib *rib;
	struct rib_key key;
	uint32_t n, was;
	int rc = prefix_key(p, &key);

	if (rc || !hop_ok(l, hop))
		return -EINVAL;
	if (!p->len) {
		if (fresh && l->def[p->family] != RIB_NO_HOP)
			return -EEXIST;
		lpm_default(l, p->family, hop);
		return 0;
	}
	rib = &l->rib[p->family];
	n = rib_find(rib, key, p->len);
	if (n && fresh)
		return -EEXIST;
	if (n) {
		was = rib->node[n].hop;
		rib->node[n].hop = hop;
		rc = was == hop ? 0 : lpm_change(l, p->family, key, p->len);
		if (rc)
			rib->node[n].hop = was;
		else
			rib->node[n].mark = 1;
		return rc;
	}
	rc = rib_add(rib, key, p->len, hop);
	if (rc)
		return rc;
	rib->node[rib_find(rib, key, p->len)].mark = 1;
	rc = lpm_change(l, p->family, key, p->len);
	if (rc)
		rib_del(rib, key, p->len);
	return rc;
}

int lpm_set(struct lpm *l, const struct lpm_prefix *p, uint32_t hop)
{
	return lpm_put(l, p, hop, false);
}

int lpm_add(struct lpm *l, const struct lpm_prefix *p, uint32_t hop)
{
	return lpm_put(l, p, hop, true);
}

int lpm_del(struct lpm *l, const struct lpm_prefix *p)
{
	struct rib *rib;
	struct rib_key key;
	uint32_t n, was;
	int rc = prefix_key(p, &key);

	if (rc)
		return rc;
	rib = &l->rib[p->family];
	if (!p->len) {
		if (l->def[p->family] == RIB_NO_HOP)
			return -ENOENT;
		lpm_default(l, p->family, RIB_NO_HOP);
		return 0;
	}
	n = rib_find(rib, key, p->len);
	if (!n)
		return -ENOENT;
	was = rib->node[n].hop;
	rib->node[n].hop = RIB_NO_HOP;
	rc = lpm_change(l, p->family, key, p->len);
	if (rc)
		rib->node[n].hop = was;
	else
		rib_del(rib, key, p->len);
	return rc;
}

void lpm_begin(struct lpm *l)
{
	l->batch = true;
}

void lpm_commit(struct lpm *l)
{
	struct lpm_table *t;

	l->batch = false;
	for (t = live(l->tables); t; t = live(t->next))
		table_commit(t);
}

bool lpm_poll(struct lpm *l)
{
	struct lpm_table *t;
	bool waits = false;

	for (t = live(l->tables); t; t = live(t->next))
		waits |= rows_poll(&t->rows, true);
	return waits;
}

/* ---- questions ---- */

int lpm_get(const struct lpm *l, const struct lpm_prefix *p, uint32_t *hop)
{
	struct rib_key key;
	uint32_t n;
	int rc = prefix_key(p, &key);

	if (rc)
		return rc;
	if (!p->len) {
		*hop = l->def[p->family];
		return *hop == RIB_NO_HOP ? -ENOENT : 0;
	}
	n = rib_find(&l->rib[p->family], key, p->len);
	if (!n)
		return -ENOENT;
	*hop = l->rib[p->family].node[n].hop;
	return 0;
}

int lpm_find(const struct lpm *l, enum p2p_family f, const uint8_t *addr, uint32_t *hop, struct lpm_prefix *p)
{
	const struct rib *rib = &l->rib[f];
	const uint32_t n = rib_match(rib, key_of(f, addr));

	if (!n && l->def[f] == RIB_NO_HOP)
		return -ENOENT;
	*hop = n ? rib->node[n].hop : l->def[f];
	if (p)
		key_prefix(f, rib->node[n].key, n ? rib->node[n].len : 0, p);
	return 0;
}

struct walk {
	enum p2p_family f;
	int (*fn)(void *arg, const struct lpm_prefix *p, uint32_t hop);
	void *arg;
};

static int walk_node(void *arg, struct rib_node *n)
{
	const struct walk *w = arg;
	struct lpm_prefix p;

	key_prefix(w->f, n->key, n->len, &p);
	return w->fn(w->arg, &p, n->hop);
}

int lpm_walk(const struct lpm *l, enum p2p_family f, int (*fn)(void *arg, const struct lpm_prefix *p, uint32_t hop),
	     void *arg)
{
	struct walk w = { f, fn, arg };
	const struct lpm_prefix none = { .family = (uint8_t)f };
	int rc = l->def[f] != RIB_NO_HOP ? fn(arg, &none, l->def[f]) : 0;

	return rc ? rc : rib_walk(&l->rib[f], walk_node, &w);
}

uint64_t lpm_count(const struct lpm *l, enum p2p_family f)
{
	return l->rib[f].routes + (l->def[f] != RIB_NO_HOP);
}

static int unmark(void *arg, struct rib_node *n)
{
	n->mark = 0;
	return 0;
}

void lpm_unmark(struct lpm *l)
{
	unsigned int f;

	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		l->def_mark[f] = false;
		rib_walk(&l->rib[f], unmark, NULL);
	}
}

struct sweep {
	enum p2p_family f;
	struct lpm_prefix *p;
	uint64_t n;
};

static int sweep_node(void *arg, struct rib_node *n)
{
	struct sweep *s = arg;

	if (!n->mark)
		key_prefix(s->f, n->key, n->len, &s->p[s->n++]);
	return 0;
}

int lpm_sweep(struct lpm *l)
{
	struct sweep s = { 0 };
	int gone = 0, rc = 0, one;
	uint64_t k;

	for (s.f = 0; s.f < P2P_NUM_FAMILIES; s.f++) {
		s.n = 0;
		s.p = malloc((l->rib[s.f].routes + 1) * sizeof(*s.p));
		if (!s.p)
			return -ENOMEM;
		if (l->def[s.f] != RIB_NO_HOP && !l->def_mark[s.f])
			s.p[s.n++] = (struct lpm_prefix){ .family = (uint8_t)s.f };
		rib_walk(&l->rib[s.f], sweep_node, &s);
		/* The most specific first: what is deleted has nothing below it. */
		for (k = s.n; k--; gone += !one) {
			one = lpm_del(l, &s.p[k]);
			rc = rc ? rc : one;
		}
		free(s.p);
	}
	return rc ? rc : gone;
}

int lpm_table_find(const struct lpm_table *t, enum p2p_family f, const uint8_t *addr, uint32_t *hop)
{
	const struct rows *r = &t->rows;
	const struct p2p_route_head *h = &r->head;
	const struct rib_key key = key_of(f, addr);
	uint64_t at = from_le32(h->root[f]);
	unsigned int tier, depth = 0;
	le32 word;
	int rc;

	for (tier = 0; tier < h->tiers[f]; tier++) {
		at += rib_bits(key, depth, h->stride[f][tier]);
		if (at >= r->entries + P2P_ROUTE_ROW_MAX)
			return -EBADMSG;
		rc = r->w.ops->read(r->w.arg, from_le64(h->nodes_at) + 4 * at, &word, sizeof(word));
		if (rc)
			return rc;
		depth += h->stride[f][tier];
		at = P2P_NODE_INF(from_le32(word));
		if (from_le32(word) & P2P_NODE_JUMP)
			continue;
		*hop = (uint32_t)at;
		return 0;
	}
	return -EBADMSG;
}

void lpm_table_stats(const struct lpm_table *t, struct lpm_stats *st)
{
	const struct rows *r = &t->rows;
	uint64_t roots = (uint64_t)r->first_page << ROWS_PAGE_LOG2;

	*st = (struct lpm_stats){
		.bytes = 4 * (roots + (r->pages_taken << ROWS_PAGE_LOG2)),
		.room_bytes = 4ull * (r->pages - r->first_page) << ROWS_PAGE_LOG2,
		.rows = r->in_use,
		.row_bytes = r->in_use_bytes,
		.links = r->links,
		.waiting = r->waiting,
		.stores = r->stores,
		.written_bytes = r->written_bytes,
		.epoch = r->epoch,
		.punts = t->punts,
		.host_bytes = 4 * (roots + (r->pages_taken << ROWS_PAGE_LOG2)) +
			      sizeof(struct row) * ((r->pages_taken << ROWS_PAGE_LOG2) >> r->unit_log2) +
			      4ull * (r->index_mask + r->queue_mask + 2) + 17 * roots + sizeof(struct rows_page) * r->pages,
	};
}

uint64_t lpm_host_bytes(const struct lpm *l)
{
	return ((uint64_t)l->rib[0].used + l->rib[1].used) * sizeof(struct rib_node);
}

int lpm_verify(struct lpm_table *t, char err[LPM_ERR_MAX])
{
	return table_verify(t, t->owner->rib, err);
}

uint32_t lpm_epoch_begin(struct lpm_table *t)
{
	return rows_epoch_begin(&t->rows);
}

bool lpm_epoch_passed(struct lpm_table *t, uint32_t epoch)
{
	return rows_epoch_passed(&t->rows, epoch);
}
