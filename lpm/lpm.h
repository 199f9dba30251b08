/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes -> state-jump tables in the routing areas of NICs (<p2pnic/route.h>).
 *
 *   struct lpm          the routes: prefix -> hop index, IPv4 and IPv6
 *   struct lpm_table    one NIC's area, kept equal to them
 *
 *      lpm_create -> lpm_make | lpm_adopt (a table each) -> lpm_set, lpm_del ... -> lpm_destroy
 *
 * TABLES  Each NIC has a table of its own, with its own rows and epochs.  A change is made in all tables or, if one
 *   of them has no room, in none: -ENOSPC, and tables and routes are what they were.  So a NIC that passes no epoch any more,
 *   dead or stopped, comes to refuse changes for all: lpm_abandon() its table.
 *
 * ABANDONED  lpm_abandon() leads every address to P2P_HOP_PUNT by stores of root entries, which are always allowed, then writes
 *   nothing of the area again.  So nothing in it is reused, and nothing needs to be known of the NIC: ended, stopped, slow or
 *   hung, whatever it was reading stays as it was.  (Not to wait for it but to write on would be right only for a NIC that is known
 *   to have ended or to be reset, and a lost connection is no proof of that.)  The caller keeps to the same: it writes no
 *   hop word, entry or bucket of that area any more.
 *   One that goes on leaves everything to the kernel.  A NIC that comes back gets its whole table first: lpm_make() for new
 *   memory, lpm_adopt() for an area that was abandoned, as after any driver before us.
 *
 * HOPS  Hop indexes are the caller's: it writes hop words, entries and buckets of an area (lpm_window), before routes
 *   use them.  But for the words P2P_HOP_DEFAULT4 and _DEFAULT6, which are this room's: route 0.0.0.0/0 or ::/0
 *   with hop h makes that word an alias of h by one store, and touches no row.
 *
 * BATCHES  Between lpm_begin() and lpm_commit() changes are made in routes and in rows that nothing leads to yet;
 *   lpm_commit() publishes them, root entry by root entry: each address goes over from the old to the new at one store, and
 *   at any instant has what it had before the batch or what it has after it.  Not all go over at the same store.
 *   That holds for a change of the default route in the same batch, too: addresses that leave it do so before it
 *   changes, those that come to it come afterwards.  A root entry with addresses of both kinds has a row of its own in
 *   between.  If there is no room for that row its addresses are P2P_HOP_PUNT for the time of the commit (lpm_stats.punts): to
 *   the kernel, but never by a wrong route.
 *   Without a batch each change is published at once.  Refusals are told by the call that was refused, batch or not.
 *
 * ADOPTION  lpm_adopt() takes over the area that a driver before us left: what its tables lead to stays in force,
 *   everything else is free.  Prefixes can't be read back, so do it in a batch that also loads the routes anew:
 *   lpm_begin, lpm_adopt, lpm_set ..., lpm_commit.  Rows with equal contents are found again and kept: if routes are
 *   the same, the commit stores nothing.  Outside of a batch the tables become equal to the routes at once.
 *
 * EPOCHS  Rows that were unlinked are reused when every context of that NIC has passed an epoch.  Looked after on the
 *   way; lpm_poll() does it when there are no changes.  If memory runs short while rows wait, a call waits up to 20 ms.
 *
 * MEMORY  Areas are reached through struct lpm_window: BAR2 or plain memory.  What lies there is also held in host
 *   memory: BAR2 is never read but in lpm_adopt(), lpm_verify(), lpm_table_find() and for epochs.
 *
 * THREADS  one caller at a time for a struct lpm and all its tables.
 * ERRORS  0 or -errno.  A window that fails (-ENOTCONN, ...) makes its table dead, as lpm_abandon() does: lpm_table_error()
 *   says so, no more is written to it, and other tables go on.  lpm_detach() it.
 *
 * Lists of prefixes (plain, `location dump`) are read by lpm/list.h.
 *
 * Source: design section 5.
 */
#ifndef LPM_LPM_H
#define LPM_LPM_H

#include <stdio.h>
#include <p2pnic/route.h>

#define LPM_ERR_MAX 256

struct lpm;
struct lpm_table;

/* len bits of addr, first byte first; the others are 0.  IPv4: addr[0..3]. */
struct lpm_prefix {
	uint8_t family; /* enum p2p_family */
	uint8_t len;
	uint8_t addr[16];
};

/*
 * Access to an area.  off counts from its start; all words are aligned.  0 or -errno.
 *   write    plain, in any order, but before any later store
 *   store    one aligned 32-bit word, little-endian value v, release
 *   barrier  full: earlier stores and writes are visible before later reads
 */
struct lpm_window_ops {
	int (*read)(void *arg, uint64_t off, void *buf, size_t len);
	int (*write)(void *arg, uint64_t off, const void *buf, size_t len);
	int (*store)(void *arg, uint64_t off, uint32_t v);
	void (*barrier)(void *arg);
};
struct lpm_window {
	const struct lpm_window_ops *ops;
	void *arg;
	uint64_t bytes;
};

/* Memory of this process, or a mapped BAR: 4-byte aligned. */
void lpm_window_memory(struct lpm_window *w, void *base, uint64_t bytes);

/*
 * The sizes and widths taken where nothing else is asked for: 4096 hops, 16384 buckets, and for tables
 * 16-3-3-2-4-4 (IPv4) and 16-4-4-... (IPv6).  bytes and contexts are the caller's.
 */
void lpm_shape_default(struct p2p_route_shape *s);

int lpm_create(struct lpm **out);
/* Tables are detached: what is in the areas stays in force. */
void lpm_destroy(struct lpm *l);

/*
 * Makes a new area: head, reserved hops, tables of all routes.  -EINVAL: shape, or a hop that it has not got; -ENOSPC: more than
 * fits; -ENOMEM.
 */
int lpm_make(struct lpm *l, const struct lpm_window *w, const struct p2p_route_shape *s, struct lpm_table **out);
/* -ENOENT: there is no valid area; -EBADMSG: its tables are damaged; -EINVAL: too few hops; err (may be NULL) has one line. */
int lpm_adopt(struct lpm *l, const struct lpm_window *w, struct lpm_table **out, char err[LPM_ERR_MAX]);
/* The area is left as it is. */
void lpm_detach(struct lpm_table *t);
/* The area's head as it was made or found. */
const struct p2p_route_head *lpm_table_head(const struct lpm_table *t);
/* 0, or the -errno of the window that killed the table, or of lpm_abandon(). */
int lpm_table_error(const struct lpm_table *t);
/*
 * Changes neither wait for this table's NIC nor touch its area any more (ABANDONED above); rc < 0: its lpm_table_error() from now on.
 * In a batch or not: what the batch had not published stays unpublished there.
 */
void lpm_abandon(struct lpm_table *t, int rc);
/* What is in force in the area is what lpm_abandon() leaves: nothing leads to a row, and to no hop but P2P_HOP_PUNT. */
bool lpm_table_abandoned(const struct lpm_table *t);

/* Adds or replaces.  -EINVAL: host bits, length, family, or a hop that a table has not got; -ENOSPC; -ENOMEM. */
int lpm_set(struct lpm *l, const struct lpm_prefix *p, uint32_t hop);
/* Adds.  -EEXIST: it is there. */
int lpm_add(struct lpm *l, const struct lpm_prefix *p, uint32_t hop);
/* -ENOENT: it is not there.  -ENOSPC, as deleting a route with many below it takes new rows before old ones go. */
int lpm_del(struct lpm *l, const struct lpm_prefix *p);
void lpm_begin(struct lpm *l);
void lpm_commit(struct lpm *l);

/* The route of exactly this prefix.  -ENOENT. */
int lpm_get(const struct lpm *l, const struct lpm_prefix *p, uint32_t *hop);
/* The longest match of an address, from the routes.  -ENOENT: not even a default.  p may be NULL. */
int lpm_find(const struct lpm *l, enum p2p_family f, const uint8_t *addr, uint32_t *hop, struct lpm_prefix *p);
/* All routes of a family in order of address, then length; until fn returns non-zero, which is returned. */
int lpm_walk(const struct lpm *l, enum p2p_family f, int (*fn)(void *arg, const struct lpm_prefix *p, uint32_t hop),
	     void *arg);
uint64_t lpm_count(const struct lpm *l, enum p2p_family f);

/* Forgets the mark of every route; lpm_set() marks.  lpm_sweep() deletes what is not marked: for resynchronisation. */
void lpm_unmark(struct lpm *l);
/* How many were deleted; or -ENOSPC: those for which there was room, the others are still there and not marked.  -ENOMEM. */
int lpm_sweep(struct lpm *l);

/* The hop index for an address as the tables in the area have it, read through the window. */
int lpm_table_find(const struct lpm_table *t, enum p2p_family f, const uint8_t *addr, uint32_t *hop);

struct lpm_stats {
	uint64_t bytes;       /* of device memory that tables take: roots and pages of rows, those that wait included */
	uint64_t room_bytes;  /* for rows, taken or not */
	uint64_t rows;        /* in use, roots not counted */
	uint64_t row_bytes;
	uint64_t links;       /* entries that lead to rows; links - rows: rows saved by sharing */
	uint64_t waiting;     /* rows unlinked whose epoch has not passed */
	uint64_t host_bytes;  /* host memory of the table; routes not counted */
	uint64_t stores, written_bytes; /* published words; bytes of rows written */
	uint64_t punts;       /* root entries that went to the kernel during a commit, for want of room (BATCHES) */
	uint32_t epoch;
};
void lpm_table_stats(const struct lpm_table *t, struct lpm_stats *st);
/* Host memory of the routes. */
uint64_t lpm_host_bytes(const struct lpm *l);

/* Looks whether epochs have passed.  True: rows still wait. */
bool lpm_poll(struct lpm *l);

/*
 * The area against the routes, every row, count and word: 0, or -EBADMSG with one line in err.  Not in a batch.
 */
int lpm_verify(struct lpm_table *t, char err[LPM_ERR_MAX]);

/*
 * Epochs for what else is reused in an area (hop entries, buckets, hop indexes): lpm_epoch_begin() after
 * unlinking gives a number; when lpm_epoch_passed() is true of it, it may be written again.
 */
uint32_t lpm_epoch_begin(struct lpm_table *t);
bool lpm_epoch_passed(struct lpm_table *t, uint32_t epoch);

/* "192.0.2.0/24", "2001:db8::/32"; an address alone has full length.  -EINVAL; host bits: -EDOM. */
int lpm_prefix_parse(const char *text, struct lpm_prefix *p);
/* At least LPM_PREFIX_TEXT bytes. */
#define LPM_PREFIX_TEXT 48
char *lpm_prefix_format(const struct lpm_prefix *p, char *text);

#endif
