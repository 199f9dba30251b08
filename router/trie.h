/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefixes of one family in order: a binary trie without chains.
 *
 * A node that somebody asked for is `used`; nodes between them have two
 * children and belong to the trie.  Users embed struct trie_node as the first
 * member of their own node; the trie allocates that many bytes, zeroed.
 *
 * OWNERSHIP  nodes are the trie's: trie_drop() frees them, trie_free() all.
 */
#ifndef ROUTER_TRIE_H
#define ROUTER_TRIE_H

#include "router/prefix.h"

struct trie_node {
	struct trie_node *up, *child[2];
	struct router_addr addr;
	uint8_t len;
	bool used;
};

struct trie {
	struct trie_node *root;
	size_t node_bytes;
	size_t used;
};

void trie_init(struct trie *t, size_t node_bytes);
void trie_free(struct trie *t);

/* The node of exactly this prefix, or NULL. */
struct trie_node *trie_find(const struct trie *t, struct router_addr addr, unsigned int len);
/* Likewise, made if need be; NULL: out of memory. */
struct trie_node *trie_get(struct trie *t, struct router_addr addr, unsigned int len);
/* The longest used node that covers addr/len, itself included, or NULL. */
struct trie_node *trie_match(const struct trie *t, struct router_addr addr, unsigned int len);
/* The next shorter used node that covers n, or NULL. */
struct trie_node *trie_above(const struct trie_node *n);
/* n is used no more. */
void trie_drop(struct trie *t, struct trie_node *n);

/*
 * Walks the used nodes that addr/len covers, shortest first:
 *   for (n = trie_first(t, addr, len); n; n = trie_next(n, addr, len))
 * Take the next node before dropping one.
 */
struct trie_node *trie_first(const struct trie *t, struct router_addr addr, unsigned int len);
struct trie_node *trie_next(const struct trie_node *n, struct router_addr addr, unsigned int len);

#endif
