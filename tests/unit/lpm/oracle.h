/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest-prefix match as anybody can check it, for tests: the list of routes, looked through (naive), and a plain
 * binary tree with a node for each bit (tree) where millions of lookups are compared.  The trees' answers are held to
 * the list's by test_lpm.
 */
#ifndef TESTS_UNIT_LPM_ORACLE_H
#define TESTS_UNIT_LPM_ORACLE_H

#include "lpm/lpm.h"

#define ORACLE_NONE 0xffffffffu

struct oracle_route {
	struct lpm_prefix p;
	uint32_t hop;
};
struct oracle_list {
	struct oracle_route *r;
	size_t n, room;
};
void oracle_list_set(struct oracle_list *l, const struct lpm_prefix *p, uint32_t hop);
void oracle_list_del(struct oracle_list *l, const struct lpm_prefix *p);
/* ORACLE_NONE: no route. */
uint32_t oracle_list_find(const struct oracle_list *l, enum p2p_family f, const uint8_t *addr);

struct oracle_tree {
	struct { uint32_t child[2], hop; } *node; /* [0] is the root */
	uint32_t n, room;
};
void oracle_tree_init(struct oracle_tree *t);
/* hop ORACLE_NONE: no longer. */
void oracle_tree_set(struct oracle_tree *t, const struct lpm_prefix *p, uint32_t hop);
uint32_t oracle_tree_get(const struct oracle_tree *t, const struct lpm_prefix *p);
uint32_t oracle_tree_find(const struct oracle_tree *t, const uint8_t *addr, unsigned int bits);

/* A prefix of exactly this length from a seed, host bits clear. */
struct lpm_prefix oracle_prefix(uint64_t *seed, enum p2p_family f, unsigned int len);
/* The words that the firmware takes. */
void oracle_words(const uint8_t *addr, uint32_t w[4]);

#endif
