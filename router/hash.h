/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table of things that embed a struct hash_link as their first member.
 * Things are their owner's; the table only finds them.
 */
#ifndef ROUTER_HASH_H
#define ROUTER_HASH_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct hash_link {
	struct hash_link *next;
	uint64_t hash;
};

struct hash {
	struct hash_link **slot;
	size_t mask; /* slots - 1 */
	size_t n;
};

static inline int hash_init(struct hash *h)
{
	h->slot = calloc(64, sizeof(*h->slot));
	h->mask = 63;
	h->n = 0;
	return h->slot ? 0 : -ENOMEM;
}

static inline void hash_free(struct hash *h)
{
	free(h->slot);
	h->slot = NULL;
	h->n = 0;
}

/* All of one hash, and of the slot's others: the caller compares. */
static inline struct hash_link *hash_first(const struct hash *h, uint64_t hash)
{
	return h->slot[hash & h->mask];
}

/* Grows when it is full; if there is no memory for that it only gets slower. */
static inline void hash_grow(struct hash *h)
{
	struct hash_link **slot, *l, *next;
	size_t mask = h->mask * 2 + 1, i;

	slot = calloc(mask + 1, sizeof(*slot));
	if (!slot)
		return;
	for (i = 0; i <= h->mask; i++) {
		for (l = h->slot[i]; l; l = next) {
			next = l->next;
			l->next = slot[l->hash & mask];
			slot[l->hash & mask] = l;
		}
	}
	free(h->slot);
	h->slot = slot;
	h->mask = mask;
}

static inline void hash_add(struct hash *h, struct hash_link *l, uint64_t hash)
{
	if (h->n > h->mask)
		hash_grow(h);
	l->hash = hash;
	l->next = h->slot[hash & h->mask];
	h->slot[hash & h->mask] = l;
	h->n++;
}

static inline void hash_del(struct hash *h, struct hash_link *l)
{
	struct hash_link **at = &h->slot[l->hash & h->mask];

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	h->n--;
}

/*
 * for (l = hash_walk(h, NULL); l; l = next) { next = hash_walk(h, l); ... }
 * visits all, in no order; the one in hand may be deleted, nothing added.
 */
static inline struct hash_link *hash_walk(const struct hash *h, const struct hash_link *l)
{
	size_t i = 0;

	if (l && l->next)
		return l->next;
	if (l)
		i = (l->hash & h->mask) + 1;
	for (; i <= h->mask; i++)
		if (h->slot[i])
			return h->slot[i];
	return NULL;
}

static inline uint64_t hash_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

#endif
