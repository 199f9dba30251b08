/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

static int bit(const uint8_t *a, unsigned int k)
{
	return a[k / 8] >> (7 - k % 8) & 1;
}

static int covers(const struct lpm_prefix *p, const uint8_t *addr)
{
	unsigned int k;

	for (k = 0; k < p->len; k++)
		if (bit(p->addr, k) != bit(addr, k))
			return 0;
	return 1;
}

static struct oracle_route *list_at(const struct oracle_list *l, const struct lpm_prefix *p)
{
	size_t k;

	for (k = 0; k < l->n; k++)
		if (!memcmp(&l->r[k].p, p, sizeof(*p)))
			return &l->r[k];
	return NULL;
}

void oracle_list_set(struct oracle_list *l, const struct lpm_prefix *p, uint32_t hop)
{
	struct oracle_route *r = list_at(l, p);

	if (!r && l->n == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->r = realloc(l->r, l->room * sizeof(*l->r));
		if (!l->r)
			abort();
	}
	if (!r)
		r = &l->r[l->n++];
	*r = (struct oracle_route){ *p, hop };
}

void oracle_list_del(struct oracle_list *l, const struct lpm_prefix *p)
{
	struct oracle_route *r = list_at(l, p);

	if (r)
		*r = l->r[--l->n];
}

uint32_t oracle_list_find(const struct oracle_list *l, enum p2p_family f, const uint8_t *addr)
{
	const struct oracle_route *best = NULL;
	size_t k;

	for (k = 0; k < l->n; k++)
		if (l->r[k].p.family == f && covers(&l->r[k].p, addr) && (!best || l->r[k].p.len > best->p.len))
			best = &l->r[k];
	return best ? best->hop : ORACLE_NONE;
}

static uint32_t tree_new(struct oracle_tree *t)
{
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 1024;
		t->node = realloc(t->node, t->room * sizeof(*t->node));
		if (!t->node)
			abort();
	}
	t->node[t->n].child[0] = t->node[t->n].child[1] = 0;
	t->node[t->n].hop = ORACLE_NONE;
	return t->n++;
}

void oracle_tree_init(struct oracle_tree *t)
{
	memset(t, 0, sizeof(*t));
	tree_new(t);
}

void oracle_tree_set(struct oracle_tree *t, const struct lpm_prefix *p, uint32_t hop)
{
	uint32_t at = 0, fresh;
	unsigned int k;

	for (k = 0; k < p->len; k++) {
		if (!t->node[at].child[bit(p->addr, k)]) {
			fresh = tree_new(t);
			t->node[at].child[bit(p->addr, k)] = fresh;
		}
		at = t->node[at].child[bit(p->addr, k)];
	}
	t->node[at].hop = hop;
}

uint32_t oracle_tree_get(const struct oracle_tree *t, const struct lpm_prefix *p)
{
	uint32_t at = 0;
	unsigned int k;

	for (k = 0; k < p->len; k++) {
		at = t->node[at].child[bit(p->addr, k)];
		if (!at)
			return ORACLE_NONE;
	}
	return t->node[at].hop;
}

uint32_t oracle_tree_find(const struct oracle_tree *t, const uint8_t *addr, unsigned int bits)
{
	uint32_t at = 0, best = t->node[0].hop;
	unsigned int k;

	for (k = 0; k < bits; k++) {
		at = t->node[at].child[bit(addr, k)];
		if (!at)
			break;
		if (t->node[at].hop != ORACLE_NONE)
			best = t->node[at].hop;
	}
	return best;
}

struct lpm_prefix oracle_prefix(uint64_t *seed, enum p2p_family f, unsigned int len)
{
	struct lpm_prefix p = { .family = (uint8_t)f, .len = (uint8_t)len };
	unsigned int k;

	for (k = 0; k < len; k += 8)
		p.addr[k / 8] = (uint8_t)p2p_random(seed);
	if (len % 8)
		p.addr[len / 8] &= (uint8_t)(0xff00 >> len % 8);
	return p;
}

void oracle_words(const uint8_t *a, uint32_t w[4])
{
	unsigned int k;

	for (k = 0; k < 4; k++, a += 4)
		w[k] = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
}
