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
};

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
	uint8_t *taken[3];       /* by the areas adopted, of each thing; until all NICs are there */
	bool ready;              /* free lists are made */
	bool batch;
	bool loading;      /* the first batch is not committed: it must be whole */
	uint64_t changes;  /* of routes since the last commit */
};

/* area.c */
int area_take_number(struct area *a, enum area_thing thing, unsigned int log2, uint32_t *number);
void area_retire(struct area *a, enum area_thing thing, unsigned int log2, uint32_t number);
void area_write_entry(struct area *a, uint32_t number, const struct p2p_hop_entry *e);
void area_store_word(struct area *a, uint32_t index, uint32_t word);
void area_store_bucket(struct area *a, uint32_t bucket, uint32_t index);
/* Rows that a batch has replaced come free by committing it.  false: there is nothing to commit. */
bool area_make_room(struct area *a);

/* area_hop.c */
void area_hops_free(struct area *a);

#endif
