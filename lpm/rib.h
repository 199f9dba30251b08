/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routes of one family: a binary trie in which only nodes that are a route or have two children exist.
 *
 * All nodes lie in one array and name each other by number; 0 is none.  A node's prefix is a part of all prefixes
 * below it; child[b] has bit b behind the node's len bits.  The default route (length 0) is not in it: lpm.c has it.
 */
#ifndef LPM_RIB_H
#define LPM_RIB_H

#include <stdint.h>
#include <stdbool.h>

#define RIB_NO_HOP 0xffffffffu

/* An address or prefix, first bit highest in hi; IPv4 fills the upper half of hi.  Bits behind a prefix are 0. */
struct rib_key {
	uint64_t hi, lo;
};

struct rib_node {
	struct rib_key key;
	uint32_t child[2];
	uint32_t hop; /* RIB_NO_HOP: not a route */
	uint8_t len, mark, pad[2];
};
_Static_assert(sizeof(struct rib_node) == 32, "two a cache line");

struct rib {
	struct rib_node *node; /* [0] is none */
	uint32_t root, used, room, free;
	uint64_t routes;
};

/* n bits of a key from bit `at` on, 0 <= n <= 24. */
static inline uint32_t rib_bits(struct rib_key k, unsigned int at, unsigned int n)
{
	uint64_t v;

	if (!n)
		return 0;
	if (at >= 64)
		v = k.lo << (at - 64);
	else if (at == 0 || at + n <= 64)
		v = k.hi << at;
	else
		v = k.hi << at | k.lo >> (64 - at);
	return (uint32_t)(v >> (64 - n));
}

/* Are the first n bits equal? */
static inline bool rib_same(struct rib_key a, struct rib_key b, unsigned int n)
{
	if (n <= 64)
		return !n || !((a.hi ^ b.hi) >> (64 - n));
	return a.hi == b.hi && !((a.lo ^ b.lo) >> (128 - n));
}

/* 0 or -ENOMEM. */
int rib_init(struct rib *r);
void rib_free(struct rib *r);
/* The route's node, or 0. */
uint32_t rib_find(const struct rib *r, struct rib_key key, unsigned int len);
/* Adds a route that is not there, len > 0.  0 or -ENOMEM: nothing has changed. */
int rib_add(struct rib *r, struct rib_key key, unsigned int len, uint32_t hop);
/* Takes a route out that is there. */
void rib_del(struct rib *r, struct rib_key key, unsigned int len);
/* The longest route that covers an address; 0: none. */
uint32_t rib_match(const struct rib *r, struct rib_key key);
/*
 * Routes in order of key, then length, until fn returns non-zero, which is returned.  fn changes nothing but hop and
 * mark.
 */
int rib_walk(const struct rib *r, int (*fn)(void *arg, struct rib_node *n), void *arg);

#endif
