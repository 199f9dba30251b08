/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "router/trie.h"

void trie_init(struct trie *t, size_t node_bytes)
{
	*t = (struct trie){ .node_bytes = node_bytes };
}

void trie_free(struct trie *t)
{
	struct trie_node *n = t->root, *up;

	while (n) {
		if (n->child[0]) {
			n = n->child[0];
		} else if (n->child[1]) {
			n = n->child[1];
		} else {
			up = n->up;
			if (up)
				up->child[up->child[0] != n] = NULL;
			free(n);
			n = up;
		}
	}
	t->root = NULL;
	t->used = 0;
}

static bool node_covers(const struct trie_node *n, struct router_addr addr, unsigned int len)
{
	return n->len <= len && router_addr_equal(router_addr_mask(addr, n->len), n->addr);
}

struct trie_node *trie_find(const struct trie *t, struct router_addr addr, unsigned int len)
{
	struct trie_node *n = t->root;

	while (n && n->len < len)
		n = n->child[router_addr_bit(addr, n->len)];
	return n && n->used && n->len == len && router_addr_equal(n->addr, addr) ? n : NULL;
}

static struct trie_node *node_make(const struct trie *t, struct router_addr addr, unsigned int len)
{
	struct trie_node *n = calloc(1, t->node_bytes);

	if (!n)
		return NULL;
	n->addr = router_addr_mask(addr, len);
	n->len = (uint8_t)len;
	return n;
}

static void node_use(struct trie *t, struct trie_node *n)
{
	n->used = true;
	t->used++;
}

/* Puts `n` where `old` hangs, or at the root. */
static void node_hang(struct trie *t, struct trie_node *up, struct trie_node *old, struct trie_node *n)
{
	if (!up)
		t->root = n;
	else
		up->child[old ? up->child[1] == old : router_addr_bit(n->addr, up->len)] = n;
	if (n)
		n->up = up;
}

struct trie_node *trie_get(struct trie *t, struct router_addr addr, unsigned int len)
{
	struct trie_node *n = t->root, *up = NULL, *made, *fork;
	unsigned int common;

	while (n && node_covers(n, addr, len)) {
		if (n->len == len) {
			if (!n->used)
				node_use(t, n);
			return n;
		}
		up = n;
		n = n->child[router_addr_bit(addr, n->len)];
	}
	made = node_make(t, addr, len);
	if (!made)
		return NULL;
	if (!n) {
		node_hang(t, up, NULL, made);
		node_use(t, made);
		return made;
	}
	common = router_addr_common(addr, n->addr);
	if (common >= len) { /* above n */
		node_hang(t, up, n, made);
		made->child[router_addr_bit(n->addr, len)] = n;
		n->up = made;
		node_use(t, made);
		return made;
	}
	fork = node_make(t, addr, common);
	if (!fork) {
		free(made);
		return NULL;
	}
	node_hang(t, up, n, fork);
	fork->child[router_addr_bit(n->addr, common)] = n;
	fork->child[router_addr_bit(addr, common)] = made;
	n->up = made->up = fork;
	node_use(t, made);
	return made;
}

struct trie_node *trie_match(const struct trie *t, struct router_addr addr, unsigned int len)
{
	struct trie_node *n = t->root, *best = NULL;

	while (n && node_covers(n, addr, len)) {
		if (n->used)
			best = n;
		if (n->len == len)
			break;
		n = n->child[router_addr_bit(addr, n->len)];
	}
	return best;
}

struct trie_node *trie_above(const struct trie_node *n)
{
	struct trie_node *up;

	for (up = n->up; up && !up->used; up = up->up)
		;
	return up;
}

void trie_drop(struct trie *t, struct trie_node *n)
{
	struct trie_node *up, *child;

	n->used = false;
	t->used--;
	while (n && !n->used && !(n->child[0] && n->child[1])) {
		up = n->up;
		child = n->child[0] ? n->child[0] : n->child[1];
		node_hang(t, up, n, child);
		free(n);
		n = up;
	}
}

static bool node_within(const struct trie_node *n, struct router_addr addr, unsigned int len)
{
	return n->len >= len && router_addr_equal(router_addr_mask(n->addr, len), addr);
}

static struct trie_node *node_after(const struct trie_node *n, struct router_addr addr, unsigned int len)
{
	struct trie_node *up;

	if (n->child[0])
		return n->child[0];
	if (n->child[1])
		return n->child[1];
	for (up = n->up; up && up->len >= len; n = up, up = up->up)
		if (n == up->child[0] && up->child[1])
			return up->child[1];
	return NULL;
}

struct trie_node *trie_next(const struct trie_node *n, struct router_addr addr, unsigned int len)
{
	struct trie_node *next = node_after(n, addr, len);

	while (next && !next->used)
		next = node_after(next, addr, len);
	return next;
}

struct trie_node *trie_first(const struct trie *t, struct router_addr addr, unsigned int len)
{
	struct trie_node *n = t->root;

	while (n && n->len < len)
		n = n->child[router_addr_bit(addr, n->len)];
	if (!n || !node_within(n, addr, len))
		return NULL;
	return n->used ? n : trie_next(n, addr, len);
}
