/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "lpm/rib.h"

#define RIB_ROOM 1024u
#define RIB_DEPTH 130

int rib_init(struct rib *r)
{
	*r = (struct rib){ .used = 1, .room = RIB_ROOM };
	r->node = calloc(r->room, sizeof(*r->node));
	return r->node ? 0 : -ENOMEM;
}

void rib_free(struct rib *r)
{
	free(r->node);
	r->node = NULL;
}

/* Room for `need` more nodes, so that what follows can't fail half done. */
static int rib_reserve(struct rib *r, uint32_t need)
{
	struct rib_node *more;

	if (r->used + need <= r->room)
		return 0;
	if (r->room > 1u << 30)
		return -ENOMEM;
	more = realloc(r->node, 2ull * r->room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->node = more;
	r->room *= 2;
	return 0;
}

static uint32_t rib_new(struct rib *r, struct rib_key key, unsigned int len, uint32_t hop)
{
	uint32_t n = r->free;

	if (n)
		r->free = r->node[n].child[0];
	else
		n = r->used++;
	r->node[n] = (struct rib_node){ .key = key, .hop = hop, .len = (uint8_t)len };
	return n;
}

static void rib_drop(struct rib *r, uint32_t n)
{
	r->node[n] = (struct rib_node){ .child = { r->free, 0 }, .hop = RIB_NO_HOP };
	r->free = n;
}

/* How many of the first `max` bits are equal. */
static unsigned int rib_common(struct rib_key a, struct rib_key b, unsigned int max)
{
	const uint64_t hi = a.hi ^ b.hi, lo = a.lo ^ b.lo;
	unsigned int n = hi ? (unsigned int)__builtin_clzll(hi) : lo ? 64 + (unsigned int)__builtin_clzll(lo) : 128;

	return n < max ? n : max;
}

static struct rib_key rib_mask(struct rib_key k, unsigned int len)
{
	if (len <= 64)
		return (struct rib_key){ len ? k.hi & ~0ull << (64 - len) : 0, 0 };
	return (struct rib_key){ k.hi, k.lo & ~0ull << (128 - len) };
}

uint32_t rib_find(const struct rib *r, struct rib_key key, unsigned int len)
{
	uint32_t n = r->root;

	while (n && r->node[n].len < len)
		n = r->node[n].child[rib_bits(key, r->node[n].len, 1)];
	if (!n || r->node[n].len != len || r->node[n].hop == RIB_NO_HOP || !rib_same(r->node[n].key, key, len))
		return 0;
	return n;
}

int rib_add(struct rib *r, struct rib_key key, unsigned int len, uint32_t hop)
{
	uint32_t *at = &r->root, n, fresh, fork;
	unsigned int common;

	if (rib_reserve(r, 2))
		return -ENOMEM;
	while ((n = *at)) {
		const struct rib_node *node = &r->node[n];

		common = rib_common(node->key, key, node->len < len ? node->len : len);
		if (common < node->len)
			break;
		if (node->len == len) {
			r->node[n].hop = hop;
			r->node[n].mark = 0;
			r->routes++;
			return 0;
		}
		at = &r->node[n].child[rib_bits(key, node->len, 1)];
	}
	fresh = rib_new(r, key, len, hop);
	r->routes++;
	if (!n) {
		*at = fresh;
	} else if (common == len) {
		r->node[fresh].child[rib_bits(r->node[n].key, len, 1)] = n;
		*at = fresh;
	} else {
		fork = rib_new(r, rib_mask(key, common), common, RIB_NO_HOP);
		r->node[fork].child[rib_bits(key, common, 1)] = fresh;
		r->node[fork].child[rib_bits(r->node[n].key, common, 1)] = n;
		*at = fork;
	}
	return 0;
}

void rib_del(struct rib *r, struct rib_key key, unsigned int len)
{
	uint32_t *at = &r->root, *up = NULL, n, parent;

	while (r->node[*at].len != len) {
		up = at;
		at = &r->node[*at].child[rib_bits(key, r->node[*at].len, 1)];
	}
	n = *at;
	r->routes--;
	r->node[n].hop = RIB_NO_HOP;
	if (r->node[n].child[0] && r->node[n].child[1])
		return;
	*at = r->node[n].child[0] ? r->node[n].child[0] : r->node[n].child[1];
	rib_drop(r, n);
	if (*at || !up)
		return;
	/* The node above has one child left: it stays only if it is a route itself. */
	parent = *up;
	if (r->node[parent].hop != RIB_NO_HOP)
		return;
	*up = r->node[parent].child[0] ? r->node[parent].child[0] : r->node[parent].child[1];
	rib_drop(r, parent);
}

uint32_t rib_match(const struct rib *r, struct rib_key key)
{
	uint32_t n = r->root, best = 0;

	while (n && rib_same(r->node[n].key, key, r->node[n].len)) {
		if (r->node[n].hop != RIB_NO_HOP)
			best = n;
		if (r->node[n].len == 128)
			break;
		n = r->node[n].child[rib_bits(key, r->node[n].len, 1)];
	}
	return best;
}

int rib_walk(const struct rib *r, int (*fn)(void *arg, struct rib_node *n), void *arg)
{
	uint32_t stack[RIB_DEPTH], n;
	unsigned int top = 0;
	int rc;

	if (r->root)
		stack[top++] = r->root;
	while (top) {
		n = stack[--top];
		if (r->node[n].hop != RIB_NO_HOP) {
			rc = fn(arg, &r->node[n]);
			if (rc)
				return rc;
		}
		if (r->node[n].child[1])
			stack[top++] = r->node[n].child[1];
		if (r->node[n].child[0])
			stack[top++] = r->node[n].child[0];
	}
	return 0;
}
