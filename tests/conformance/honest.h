/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three NICs of which b is somebody else's: the honest frames between a.0 and c.0 that must arrive all the same, once, in order and
 * whole, the receive buffers that must come back, and b's words that change in the midst of a step of a.  What goes wrong
 * is the mesh's failure (mesh.h).
 */
#ifndef TESTS_CONFORMANCE_HONEST_H
#define TESTS_CONFORMANCE_HONEST_H

#include "mesh.h"

#define HONEST_NICS 3
#define HONEST_PORTS 2
#define HONEST_A 0u
#define HONEST_B 1u
#define HONEST_C 2u
#define HONEST_MAX 24 /* under way in each direction: fewer than slots, none is dropped */
#define HONEST_LATER_MAX 8

struct honest_later {
	uint32_t calls; /* of a's ports from now on */
	le32 *at;
	uint32_t value;
};

struct honest {
	struct mesh *m;
	uint32_t sent[2], arrived[2]; /* a to c, c to a */
	uint32_t posted[HONEST_NICS][HONEST_PORTS]; /* receive buffers on the cables at first */
	struct honest_later later[HONEST_LATER_MAX];
	unsigned int laters;
};

/* Takes the mesh's frames from here on (mesh.h, out); before it is configured. */
void honest_watch(struct honest *h, struct mesh *m);
/* The mesh is up: counts the cables' buffers, and is called by a's ports. */
void honest_up(struct honest *h);

/* A segment of NIC's device memory. */
void *honest_segment(const struct honest *h, unsigned int nic, unsigned int seg);
/*
 * A word of b's, now or, in the midst of a step of a, `calls` calls of its ports from now.  Of too many later ones the last are
 * left out.
 */
void honest_put(le32 *at, uint32_t v);
void honest_put_later(struct honest *h, uint32_t calls, le32 *at, uint32_t v);

/* Up to n frames of len bytes (64 at least), both ways in turn, as far as there is room for them. */
void honest_send(struct honest *h, unsigned int n, uint32_t len);
/* All have come, and the receive buffers are back (with --placement cut a.1's lie in others' rings). */
bool honest_quiet(const struct honest *h);
/* One more each way, then a second of virtual time at most until all is quiet.  gone, if not NULL, is called after 300 ms of
 * waiting: the driver takes b away. */
void honest_finish(struct honest *h, void (*gone)(struct mesh *m));

#endif
