/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One area's tables: from routes to rows.
 *
 * What a table holds follows from the routes alone: an update makes the same rows as a table made anew would have.
 * So lpm_verify() makes it anew and must find every row there already.
 */
#ifndef LPM_TABLE_H
#define LPM_TABLE_H

#include "lpm/rib.h"
#include "lpm/rows.h"

struct lpm_table {
	struct lpm *owner;
	struct lpm_table *next;
	struct rows rows;
	uint32_t hops;
	/* what the roots shall be at the next commit; what they are until then is in rows.entry */
	uint32_t *root[P2P_NUM_FAMILIES];
	uint8_t *dirty[P2P_NUM_FAMILIES];
	uint32_t *dirty_at; /* family << 31 | root entry, in the order in which they became dirty */
	uint32_t *between;  /* of each of them, during a commit: what it is while the default route changes */
	uint32_t dirty_n;
	uint64_t punts;     /* of those, for want of room to the kernel */
	uint32_t hop_word[P2P_NUM_FAMILIES], hop_next[P2P_NUM_FAMILIES]; /* of the default routes */
	/* an update prepared: new root entries first..first + n of a family, in scratch[family][0] */
	unsigned int family;
	uint32_t first, n;
	uint32_t *scratch[P2P_NUM_FAMILIES][P2P_ROUTE_MAX_TIERS];
};

/* Room for a table over r->head and window.  0, -ENOMEM. */
int table_init(struct lpm_table *t);
void table_free(struct lpm_table *t);
/*
 * Prepares the root entries that change because route key/len was added, changed or deleted (the routes say so
 * already).
 * 0, then table_apply() or table_cancel(); -ENOSPC, -ENOMEM: nothing has changed.
 */
int table_prepare(struct lpm_table *t, enum p2p_family f, const struct rib *rib, struct rib_key key, unsigned int len);
/* All root entries of a family. */
int table_prepare_all(struct lpm_table *t, enum p2p_family f, const struct rib *rib);
void table_apply(struct lpm_table *t);
void table_cancel(struct lpm_table *t);
/* hop RIB_NO_HOP: none. */
void table_set_default(struct lpm_table *t, enum p2p_family f, uint32_t hop);
void table_commit(struct lpm_table *t);
/* The area's tables as they are become r->entry, root[] and the rows in use.  -EBADMSG with a line in err. */
int table_load(struct lpm_table *t, char err[LPM_ERR_MAX]);
int table_verify(struct lpm_table *t, const struct rib rib[P2P_NUM_FAMILIES], char err[LPM_ERR_MAX]);

#endif
