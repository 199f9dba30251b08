/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpm/table.h"

/* What the functions below walk over. */
struct build {
	struct lpm_table *t;
	const struct rib *rib;
	enum p2p_family f;
	struct rib_key key; /* the route that changes */
	unsigned int len;
};

int table_init(struct lpm_table *t)
{
	const struct p2p_route_head *h = &t->rows.head;
	uint32_t n = 0;
	unsigned int f, k;

	t->hops = from_le32(h->hops);
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		if (!h->tiers[f])
			continue;
		n += 1u << h->stride[f][0];
		t->root[f] = calloc(1u << h->stride[f][0], sizeof(uint32_t));
		t->dirty[f] = calloc(1u << h->stride[f][0], 1);
		if (!t->root[f] || !t->dirty[f])
			return -ENOMEM;
		for (k = 0; k < h->tiers[f]; k++) {
			t->scratch[f][k] = calloc(1u << h->stride[f][k], sizeof(uint32_t));
			if (!t->scratch[f][k])
				return -ENOMEM;
		}
	}
	t->dirty_at = malloc(4ull * (n + 1));
	t->between = malloc(4ull * (n + 1));
	return t->dirty_at && t->between ? 0 : -ENOMEM;
}

void table_free(struct lpm_table *t)
{
	unsigned int f, k;

	free(t->between);
	free(t->dirty_at);
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		for (k = 0; k < P2P_ROUTE_MAX_TIERS; k++)
			free(t->scratch[f][k]);
		free(t->dirty[f]);
		free(t->root[f]);
	}
}

static const struct rib_node *build_node(const struct build *b, uint32_t n)
{
	return &b->rib->node[n];
}

static void fill(uint32_t *e, uint32_t n, uint32_t v)
{
	while (n--)
		*e++ = v;
}

static void drop(struct rows *r, const uint32_t *e, uint32_t n)
{
	for (; n; n--, e++)
		rows_unref(r, *e);
}

static int build_row(const struct build *b, unsigned int tier, unsigned int depth, uint32_t base, uint32_t node,
		     uint32_t hop);

/* The row in the scratch of a tier becomes an entry; a row of one leaf throughout is that leaf. */
static int build_cons(const struct build *b, unsigned int tier, uint32_t *out)
{
	const unsigned int width = b->t->rows.head.stride[b->f][tier];
	const uint32_t *e = b->t->scratch[b->f][tier];
	uint32_t k;

	if (!(e[0] & P2P_NODE_JUMP)) {
		for (k = 1; k < 1u << width && e[k] == e[0]; k++)
			;
		if (k == 1u << width) {
			*out = e[0];
			return 0;
		}
	}
	return rows_get(&b->t->rows, e, width, out);
}

/*
 * The entry for a region of `depth` bits, tiers before `tier` consumed.  node: the highest of those in the region; hop:
 * of the longest route that is shorter than the region.
 */
static int build_entry(const struct build *b, unsigned int tier, unsigned int depth, uint32_t node, uint32_t hop,
		       uint32_t *out)
{
	const struct rib_node *n = build_node(b, node);
	int rc;

	if (node && n->len == depth && n->hop != RIB_NO_HOP)
		hop = n->hop;
	if (!node || (n->len == depth && !n->child[0] && !n->child[1])) {
		*out = hop;
		return 0;
	}
	rc = build_row(b, tier, depth, 0, node, hop);
	if (rc) {
		drop(&b->t->rows, b->t->scratch[b->f][tier], 1u << b->t->rows.head.stride[b->f][tier]);
		return rc;
	}
	return build_cons(b, tier, out);
}

static unsigned int tier_end(const struct build *b, unsigned int tier)
{
	const uint8_t *stride = b->t->rows.head.stride[b->f];
	unsigned int k, sum = 0;

	for (k = 0; k <= tier; k++)
		sum += stride[k];
	return sum;
}

/*
 * The entries of a tier's scratch from base on that lie in a region of `depth` bits, which is in the row.  On failure
 * they are all valid and hold what references they got.
 */
static int build_row(const struct build *b, unsigned int tier, unsigned int depth, uint32_t base, uint32_t node,
		     uint32_t hop)
{
	const unsigned int end = tier_end(b, tier);
	uint32_t *e = b->t->scratch[b->f][tier];
	const struct rib_node *n = build_node(b, node);
	uint32_t at, out, c;
	int rc;

	fill(&e[base], 1u << (end - depth), hop);
	if (!node)
		return 0;
	if (n->len >= end) {
		at = base + rib_bits(n->key, depth, end - depth);
		rc = build_entry(b, tier + 1, end, node, hop, &out);
		if (!rc)
			e[at] = out;
		return rc;
	}
	at = base + (rib_bits(n->key, depth, n->len - depth) << (end - n->len));
	if (n->hop != RIB_NO_HOP) {
		hop = n->hop;
		fill(&e[at], 1u << (end - n->len), hop);
	}
	for (c = 0; c < 2; c++) {
		if (!n->child[c])
			continue;
		rc = build_row(b, tier, n->len + 1u, at + (c << (end - n->len - 1)), n->child[c], hop);
		if (rc)
			return rc;
	}
	return 0;
}

static int update_entry(const struct build *b, unsigned int tier, unsigned int depth, uint32_t node, uint32_t hop,
			uint32_t old, uint32_t *out);

/*
 * Makes the entries *first .. *first + *n of a tier's scratch that the changed route may change.  old: the row as it
 * is.  On failure they hold no references.
 */
static int update_row(const struct build *b, unsigned int tier, unsigned int depth, uint32_t node, uint32_t hop,
		      const uint32_t *old, uint32_t *first, uint32_t *n)
{
	const unsigned int end = tier_end(b, tier), stop = b->len < end ? b->len : end;
	uint32_t *e = b->t->scratch[b->f][tier], out;
	const struct rib_node *at;
	int rc;

	for (at = build_node(b, node); node && at->len < stop && rib_same(at->key, b->key, at->len);
	     at = build_node(b, node)) {
		if (at->hop != RIB_NO_HOP)
			hop = at->hop;
		node = at->child[rib_bits(b->key, at->len, 1)];
	}
	if (node && (at->len < stop || !rib_same(at->key, b->key, stop)))
		node = 0;
	*first = rib_bits(b->key, depth, stop - depth) << (end - stop);
	*n = 1u << (end - stop);
	if (b->len <= end) {
		rc = build_row(b, tier, stop, *first, node, hop);
		if (rc)
			drop(&b->t->rows, &e[*first], *n);
		return rc;
	}
	rc = update_entry(b, tier + 1, end, node, hop, old[*first], &out);
	if (!rc)
		e[*first] = out;
	return rc;
}

static int update_entry(const struct build *b, unsigned int tier, unsigned int depth, uint32_t node, uint32_t hop,
			uint32_t old, uint32_t *out)
{
	const uint32_t size = 1u << b->t->rows.head.stride[b->f][tier];
	const uint32_t *was = &b->t->rows.entry[P2P_NODE_INF(old)];
	uint32_t *e = b->t->scratch[b->f][tier], first, n, k;
	int rc;

	if (!(old & P2P_NODE_JUMP))
		return build_entry(b, tier, depth, node, hop, out);
	rc = update_row(b, tier, depth, node, hop, was, &first, &n);
	if (rc)
		return rc;
	for (k = 0; k < size; k++) {
		if (k == first)
			k += n;
		if (k >= size)
			break;
		e[k] = was[k];
		rows_ref(&b->t->rows, e[k]);
	}
	return build_cons(b, tier, out);
}

int table_prepare(struct lpm_table *t, enum p2p_family f, const struct rib *rib, struct rib_key key, unsigned int len)
{
	const struct build b = { t, rib, f, key, len };
	int rc;

	t->family = f;
	t->n = 0;
	if (!t->root[f])
		return 0;
	rc = update_row(&b, 0, 0, rib->root, P2P_HOP_DEFAULT(f), t->root[f], &t->first, &t->n);
	if (rc)
		t->n = 0;
	return rc;
}

int table_prepare_all(struct lpm_table *t, enum p2p_family f, const struct rib *rib)
{
	const struct build b = { .t = t, .rib = rib, .f = f };
	int rc;

	t->family = f;
	t->first = t->n = 0;
	if (!t->root[f])
		return 0;
	t->n = 1u << t->rows.head.stride[f][0];
	rc = build_row(&b, 0, 0, 0, rib->root, P2P_HOP_DEFAULT(f));
	if (rc)
		table_cancel(t);
	return rc;
}

void table_cancel(struct lpm_table *t)
{
	if (t->n)
		drop(&t->rows, &t->scratch[t->family][0][t->first], t->n);
	t->n = 0;
}

/* A dirty root entry's reference to what is in force is held until the commit. */
void table_apply(struct lpm_table *t)
{
	const uint32_t base = from_le32(t->rows.head.root[t->family]);
	uint32_t *root = t->root[t->family], k, e;

	for (k = t->first; t->n; t->n--, k++) {
		e = t->scratch[t->family][0][k];
		if (t->dirty[t->family][k]) {
			rows_unref(&t->rows, root[k]);
		} else if (e == t->rows.entry[base + k]) {
			rows_unref(&t->rows, e);
		} else {
			t->dirty[t->family][k] = 1;
			t->dirty_at[t->dirty_n++] = (uint32_t)t->family << 31 | k;
		}
		root[k] = e;
	}
}

void table_set_default(struct lpm_table *t, enum p2p_family f, uint32_t hop)
{
	t->hop_next[f] = P2P_HOP_WORD(P2P_HOP_ALIAS, 0, hop == RIB_NO_HOP ? P2P_HOP_NO_ROUTE : hop);
}

/*
 * What an entry is between the two of its stores, while the default route changes: as it shall be, but where the default
 * shall hold from now on it is still as it was.  So nobody follows a default that he did not and shall not follow.
 */
static int between_entry(const struct build *b, unsigned int tier, uint32_t old, uint32_t shall, uint32_t *out)
{
	const uint32_t def = P2P_HOP_DEFAULT(b->f), *entry = b->t->rows.entry;
	uint32_t *e = b->t->scratch[b->f][tier], k;
	int rc;

	if (old == shall || old == def || !(shall & P2P_NODE_JUMP)) {
		*out = shall == def ? old : shall;
		rows_ref(&b->t->rows, *out);
		return 0;
	}
	for (k = 0; k < 1u << b->t->rows.head.stride[b->f][tier]; k++) {
		rc = between_entry(b, tier + 1, old & P2P_NODE_JUMP ? entry[P2P_NODE_INF(old) + k] : old,
				   entry[P2P_NODE_INF(shall) + k], &e[k]);
		if (rc) {
			drop(&b->t->rows, e, k);
			return rc;
		}
	}
	return build_cons(b, tier, out);
}

/* Root entries between their stores.  Most are as they were or as they shall be, and then that row is found. */
static void commit_between(struct lpm_table *t)
{
	struct build b = { .t = t };
	uint32_t k, at, shall;

	for (k = 0; k < t->dirty_n; k++) {
		b.f = t->dirty_at[k] >> 31;
		at = t->dirty_at[k] & 0x7fffffff;
		shall = t->root[b.f][at];
		if (t->hop_next[b.f] == t->hop_word[b.f]) {
			t->between[k] = shall;
			rows_ref(&t->rows, shall);
		} else if (between_entry(&b, 1, t->rows.entry[from_le32(t->rows.head.root[b.f]) + at], shall, &t->between[k])) {
			t->between[k] = P2P_HOP_PUNT;
			t->punts++;
		}
	}
}

static void commit_default(struct lpm_table *t, enum p2p_family f)
{
	struct rows *r = &t->rows;
	uint32_t n;

	if (t->hop_next[f] == t->hop_word[f])
		return;
	t->hop_word[f] = t->hop_next[f];
	n = from_le32(r->head.changed[P2P_ROUTE_CHANGE_DEFAULT]) + 1;
	r->head.changed[P2P_ROUTE_CHANGE_DEFAULT] = to_le32(n);
	rows_store(r, offsetof(struct p2p_route_head, changed[P2P_ROUTE_CHANGE_DEFAULT]), n);
	rows_store(r, from_le32(r->head.hops_at) + 4ull * P2P_HOP_DEFAULT(f), t->hop_word[f]);
}

/* The entry that is in force gives way to another, whose reference is then the table's. */
static void commit_entry(struct rows *r, uint32_t at, uint32_t entry)
{
	const uint32_t old = r->entry[at];

	if (entry != old)
		rows_store_node(r, at, entry);
	rows_unref(r, old);
}

/*
 * What gets a route of its own leaves the default route before that changes, what loses its own comes to it afterwards: each
 * address goes over once.
 */
void table_commit(struct lpm_table *t)
{
	struct rows *r = &t->rows;
	uint32_t k, at, f;

	commit_between(t);
	rows_publish(r);
	for (k = 0; k < t->dirty_n; k++)
		commit_entry(r, from_le32(r->head.root[t->dirty_at[k] >> 31]) + (t->dirty_at[k] & 0x7fffffff), t->between[k]);
	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		commit_default(t, f);
	for (k = 0; k < t->dirty_n; k++) {
		f = t->dirty_at[k] >> 31;
		at = t->dirty_at[k] & 0x7fffffff;
		t->dirty[f][at] = 0;
		commit_entry(r, from_le32(r->head.root[f]) + at, t->root[f][at]);
	}
	t->dirty_n = 0;
	rows_poll(r, false);
}
