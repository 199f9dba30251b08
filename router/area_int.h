/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the sink share. */
#ifndef ROUTER_AREA_INT_H
#define ROUTER_AREA_INT_H

#include "router/area.h"
#include "router/hash.h"

#define AREA_BUCKETS_LOG2_MIN 5
#define AREA_BUCKETS_LOG2_MAX 9
#define AREA_NONE UINT32_MAX

/* One way of groups: a hop index with an entry that never changes. */
struct area_member {
	struct hash_link link;
	struct fib_way way;
	uint32_t index, entry;
	size_t refs;
	uint64_t packets0, bytes0; /* counted at its index before it was made */
};

/* A next hop of the FIB. */
struct area_hop {
	bool used;
	uint32_t index;
	uint32_t entry;   /* its own, AREA_NONE: none */
	uint32_t first;   /* of its buckets, AREA_NONE: no group */
	unsigned int log2;
	unsigned int n;
	struct area_member **member; /* NULL: the share that punts */
	struct fib_way *way;
	uint8_t *owner;   /* of each bucket: which way */
	uint64_t packets0, bytes0; /* counted at its index before it was made */
};

enum area_thing { AREA_INDEX, AREA_ENTRY, AREA_BUCKETS };
struct area_retired {
	enum area_thing thing;
	unsigned int log2;
	uint32_t number;
};
struct area_list {
	struct area_retired *item;
	size_t n, size;
};

struct area_stack {
	uint32_t *item;
	size_t n, size;
};

struct area_nic {
	uint8_t *base;
	struct lpm_table *table;
	const struct p2p_route_head *head;
	uint32_t epoch; /* that `waiting` waits for */
	uint32_t changed; /* words stored */
	bool adopted;        /* with next hops that a table in force may lead to */
	uint32_t watched;    /* an epoch that had begun at watched_ns; 0: none */
	uint64_t watched_ns, watched_refused;
};

/* Not abandoned, and its window has not failed. */
static inline bool area_nic_written(const struct area_nic *nic)
{
	return !lpm_table_error(nic->table);
}

/* A next hop of a former router, found by what it comes to. */
struct area_former {
	struct hash_link link;
	uint32_t index;
};
/* Of a number in the areas adopted. */
#define AREA_TAKEN 1
#define AREA_TAKEN_KEPT 2   /* by a next hop of ours */
#define AREA_TAKEN_MEMBER 4 /* an index in buckets of groups */

struct area {
	struct lpm *lpm;
	struct area_nic nic[AREA_MAX_NICS];
	unsigned int nics;
	struct area_hop *hop;
	size_t hops;
	struct hash members;
	struct area_stack index, entry, buckets[AREA_BUCKETS_LOG2_MAX + 1]; /* free */
	uint32_t next_bucket, max_bucket, max_hops, used_hops, used_buckets;
	struct area_list retired, waiting;
	struct area_list former; /* what an adopted area leads to: free after the first commit */
	uint8_t *taken[3];       /* AREA_TAKEN*, of each thing's numbers; until the first commit */
	struct hash formers;     /* what may be kept; until the first commit */
	struct area_former *former_hop;
	bool ready;              /* free lists are made */
	bool batch;
	bool loading;      /* the first batch is not committed: it must be whole */
	uint64_t changes;  /* of routes since the last commit */
	uint64_t refused;  /* calls, for want of room */
	bool given_up;     /* `waiting` was waited for in vain: not again by every call */
};

/* area.c */
int area_take_number(struct area *a, enum area_thing thing, unsigned int log2, uint32_t *number);
void area_retire(struct area *a, enum area_thing thing, unsigned int log2, uint32_t number);
void area_write_entry(struct area *a, uint32_t number, const struct p2p_hop_entry *e);
void area_store_word(struct area *a, uint32_t index, uint32_t word);
void area_store_bucket(struct area *a, uint32_t bucket, uint32_t index);
/* Rows that a batch has replaced come free by committing it.  false: there is nothing to commit. */
bool area_make_room(struct area *a);

/* area_former.c */
void area_former_find(struct area *a);
void area_former_forget(struct area *a);
bool area_former_kept(const struct area *a, enum area_thing thing, uint32_t number);
/*
 * A former router's next hop that comes to the same and that nobody has taken yet: true, and it is the caller's, with all
 * that it leads to.  Nothing of it is written.
 */
bool area_keep_entry(struct area *a, bool member, const struct p2p_hop_entry *e, uint32_t *index, uint32_t *entry);
bool area_keep_fixed(struct area *a, uint32_t number, uint32_t *index);
struct area_deal {
	unsigned int n;
	uint32_t index[FIB_MAX_HOPS]; /* of ways */
	unsigned int share[FIB_MAX_HOPS];
};
/* owner: of each bucket, as it was. */
bool area_keep_group(struct area *a, unsigned int log2, const struct area_deal *d, uint8_t *owner, uint32_t *index, uint32_t *first);

/* area_hop.c */
void area_hops_free(struct area *a);

#endif
