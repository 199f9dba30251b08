/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sink of a FIB (fib.h) that is the NICs: prefixes by lpm/, next hops as
 * hop words, entries and groups of <p2pnic/route.h>, the same in every NIC's area.
 *
 *   area_create -> area_adopt -> area_add (each NIC) -> area_begin -> all routes -> area_commit
 *               -> { area_begin; fib calls; area_commit; area_poll } ... -> area_destroy
 *
 * ADOPTION  An area that a former router left stays in force until the
 *   first area_commit(): until then nothing that it leads to is written.  Next hops that come to the same keep index, entry
 *   and buckets, and their counts go on, so that a route that is the same costs no store.
 *
 * ABANDONED  Numbers are the same in all areas and reused when every NIC has let go of them, so one that is dead or stopped would
 *   have them run out for all.  area_abandon() leads all addresses of that NIC to the kernel and writes nothing of its area
 *   again: what it may still be reading stays as it was, whatever has become of it (lpm/lpm.h), and nobody waits for it.  It is for good:
 *   a NIC that comes back gets all of it by the area_add() of another struct area, before it routes by it.
 *
 * OWNERSHIP  Areas are the caller's and outlive this.  area_destroy() leaves them in force.
 * THREADS  one caller at a time.  ERRORS  0 or -errno, with one line in err where there is one.
 *
 * Source: design section 5.
 */
#ifndef ROUTER_AREA_H
#define ROUTER_AREA_H

#include <p2pnic/route.h>

#include "lpm/lpm.h"
#include "router/fib.h"

#define AREA_ERR_MAX 512
#define AREA_MAX_NICS 32
#define AREA_HANG_NS 10000000000ull

struct area;

extern const struct fib_sink area_sink;

int area_create(struct area **out);
void area_destroy(struct area *a);
/* Before the first area_add(): areas that are in force stay so until the first commit. */
void area_adopt(struct area *a);
/* base: the mapped area of a NIC with so many contexts.  *adopted: it was valid, and stays in force. */
int area_add(struct area *a, void *base, uint64_t bytes, unsigned int contexts, bool *adopted, char err[AREA_ERR_MAX]);
/* What is changed in between comes into force at the commit; after area_adopt() the first is begun already. */
void area_begin(struct area *a);
void area_commit(struct area *a);
/* Looks after what waits for the NICs to let go of it. */
void area_poll(struct area *a);
/* Of NIC n, in the order of area_add(); in a batch or not.  rc < 0: why (area_counts.error). */
void area_abandon(struct area *a, unsigned int n, int rc);
/*
 * NIC n has passed no epoch for AREA_HANG_NS, and something was refused for want of room meanwhile.  As seen by calls of this: make
 * them all the time.  CLOCK_MONOTONIC.
 */
bool area_hangs(struct area *a, unsigned int n, uint64_t now_ns);

struct area_counts {
	uint64_t prefixes[2];             /* of IPv4 and IPv6 */
	uint32_t hops, hops_max;          /* hop indexes in use */
	uint32_t buckets, buckets_max;
	uint64_t table_bytes, room_bytes; /* of the first NIC that is not abandoned */
	uint64_t retired;                 /* waiting for the NICs to let go */
	unsigned int abandoned;           /* NICs that are not written any more */
	int error;                        /* of one of them */
};
void area_counts(const struct area *a, struct area_counts *c);
/* Hop index of a sink's number, and packets and bytes that went by it or its ways. */
uint32_t area_hop_index(const struct area *a, uint32_t hop);
void area_hop_packets(const struct area *a, uint32_t hop, uint64_t *packets, uint64_t *bytes);
/* What the table of NIC n says for an address: a hop index. */
int area_lookup(const struct area *a, unsigned int n, unsigned int family, struct router_addr addr, uint32_t *index);

#endif
