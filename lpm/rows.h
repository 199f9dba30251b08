/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rows of one area: room for them, their contents in host memory and in the window, who leads to them.
 *
 * A row is named by the number of its first entry.  Rows with equal contents are one: rows_get() finds it or makes it.
 * Room is dealt out in pages of ROWS_PAGE entries, each for rows of one width until the last of them has gone.
 *
 *   ref > 0    in use
 *   waiting    ref fell to 0 after rows_publish(): contents stay until an epoch has passed; rows_get() may take it back
 *   free       ref fell to 0 before anything in the area led to it, or its epoch has passed
 *
 * REFERENCES  A row holds one of each row that its entries lead to, a waiting row none.
 */
#ifndef LPM_ROWS_H
#define LPM_ROWS_H

#include "lpm/lpm.h"

#define ROWS_PAGE_LOG2 12
#define ROWS_PAGE (1u << ROWS_PAGE_LOG2)
#define ROWS_EPOCH_AFTER 256             /* rows that wait before an epoch is begun for them */
#define ROWS_EPOCH_WAIT_NS 20000000ull   /* how long a call waits for one if memory is short */

/* One for each unit of the array, a unit being the narrowest row. */
struct row {
	uint32_t ref, hash;
	uint32_t next;    /* in its chain of the index; or free list of its page: unit + 1 */
	uint32_t born;    /* the batch in which it was made */
	uint32_t waiting; /* where in the queue, with the top bit set; 0: it does not */
};

struct rows_page {
	uint32_t used, carved; /* rows in use or waiting; rows taken from its end so far */
	uint32_t free;         /* unit + 1 */
	uint32_t prev, next;   /* page + 1, of the same width with room */
	uint8_t width;         /* log2 of entries; 0: no rows */
	bool listed;
};

struct rows {
	struct lpm_window w;
	struct p2p_route_head head;
	int err;                 /* the window failed */
	uint32_t *entry;         /* what the window holds, host order */
	uint64_t entries;
	unsigned int unit_log2;
	struct row *row;
	struct rows_page *page;
	uint32_t pages, first_page, next_page; /* next_page: none behind it was used yet */
	uint32_t free_page;      /* page + 1 */
	uint32_t partial[ROWS_PAGE_LOG2 + 1]; /* page + 1, by width */
	uint32_t *index;         /* unit + 1, by hash */
	uint32_t index_mask;
	uint64_t seed;           /* so that nobody outside can choose routes whose rows collide */
	uint32_t batch;
	/* waiting: [head, sealed) for epoch, [sealed, tail) for the next one */
	uint32_t *queue;         /* units */
	uint32_t queue_mask, q_head, q_sealed, q_tail;
	uint32_t epoch, epoch_given_up;
	bool fresh_adopted;      /* what is free may still be read until epoch has passed */
	uint64_t pages_taken, in_use, in_use_bytes, links, waiting, stores, written_bytes, index_bytes;
};

/* Sets up for an area whose head is r->head, window r->w: all pages free, roots not written.  0 or -ENOMEM. */
int rows_init(struct rows *r);
void rows_free(struct rows *r);
/*
 * The row with these 2^width entries, in *out its entry (P2P_NODE_JUMP set), with one reference for the caller.
 * References that the entries hold are taken over, also on failure.  -ENOSPC, -ENOMEM.
 */
int rows_get(struct rows *r, const uint32_t *entries, unsigned int width, uint32_t *out);
/* Of what an entry leads to, if anything. */
void rows_ref(struct rows *r, uint32_t entry);
void rows_unref(struct rows *r, uint32_t entry);
/* All rows made so far may be led to from now on. */
void rows_publish(struct rows *r);
/* Stores a word of the area. */
void rows_store(struct rows *r, uint64_t off, uint32_t v);
void rows_store_node(struct rows *r, uint32_t at, uint32_t entry);
/* Frees rows whose epoch has passed; begins one if enough wait, or if any does and `all`.  True: rows wait. */
bool rows_poll(struct rows *r, bool all);
uint32_t rows_epoch_begin(struct rows *r);
bool rows_epoch_passed(struct rows *r, uint32_t epoch);
/*
 * Adoption: the row at `at` is in use, its contents are in r->entry.  First: 1, another reference: 0;
 * -EBADMSG: no row can be there.
 */
int rows_found(struct rows *r, uint32_t at, unsigned int width);
/* Adoption is through: what was not found is free. */
int rows_found_all(struct rows *r);

static inline uint32_t rows_unit(const struct rows *r, uint32_t at)
{
	return at >> r->unit_log2;
}

#endif
