/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile NIC: three in a mesh, of which b's firmware runs no more once the sessions are up.  All that b may write in a's
 * device memory is the user's, and what a reads from b's.  Next to it the honest NIC c exchanges frames with a, each of
 * which must arrive, once, in order and whole; the ports' contract holds; and when b has fallen silent nothing is held
 * for it any more.  What goes wrong is the mesh's failure (mesh.h).
 */
#ifndef TESTS_CONFORMANCE_HOSTILE_H
#define TESTS_CONFORMANCE_HOSTILE_H

#include "mesh.h"

#define HOSTILE_NICS 3
#define HOSTILE_PORTS 2
#define HOSTILE_A 0u
#define HOSTILE_B 1u
#define HOSTILE_C 2u
#define HOSTILE_HONEST_MAX 24 /* under way in each direction: fewer than slots, none is dropped */
#define HOSTILE_LATER_MAX 8

struct hostile_later {
	uint32_t calls; /* of a's ports from now on */
	le32 *at;
	uint32_t value;
};

struct hostile {
	struct mesh *m;
	bool pair;
	struct p2p_ring_head *ring;              /* ring(b) of a */
	struct p2p_desc *desc[HOSTILE_PORTS + 1];
	uint8_t *buf[HOSTILE_PORTS + 1];         /* of a, for b */
	uint8_t *rx[HOSTILE_PORTS];              /* of b, which rd reads */
	const struct p2p_ring_head *back;        /* ring(a) of b, which a writes */
	struct p2p_host_area *area;              /* bn: b's in main memory, else NULL */
	const struct p2p_doorbell *door;         /* what the host writes for it */
	uint32_t base, next;                     /* of receive ring 0: its first number, the next */
	uint32_t prod[HOSTILE_PORTS + 1];
	uint8_t frame[HOSTILE_PORTS + 1];
	uint32_t sent[2], arrived[2];            /* honest: a to c, c to a */
	uint32_t posted[HOSTILE_NICS][HOSTILE_PORTS]; /* receive buffers on the cables at first */
	struct hostile_later later[HOSTILE_LATER_MAX];
	unsigned int laters;
};

/* A mesh of HOSTILE_NICS by HOSTILE_PORTS: a.0 and c.0 are a pair; a.1 and b.0, if `pair`.  All peers are up, b is dead. */
void hostile_open(struct hostile *w, const struct mesh_ops *ops, const struct mesh_cfg *cfg, bool pair);
void hostile_close(struct hostile *w);

/* b's words.  later: in the midst of a step of a, `calls` calls of its ports from now. */
void hostile_put(le32 *at, uint32_t v);
void hostile_put_later(struct hostile *w, uint32_t calls, le32 *at, uint32_t v);
void hostile_beat(struct hostile *w);
/* As a producer finds them: where a's completion lines in b's memory say. */
void hostile_learn(struct hostile *w);

/* A descriptor as firmware would write it, but for what is said. */
struct hostile_desc {
	uint32_t seq, len, flags, in_port, out_port, place;
	uint8_t frame;
	const uint8_t *payload; /* where the summed bytes are */
};

/* Where the payload of ring r's slot for `seq` lies, and the place of it that a descriptor names (rd: in b's memory). */
uint8_t *hostile_payload(struct hostile *w, unsigned int r, uint32_t seq, uint32_t flags, uint32_t *place);
/* The next of ring r, a frame of its own unless flags say MORE or VOID: takes its number. */
struct hostile_desc hostile_next(struct hostile *w, unsigned int r, uint32_t len, uint32_t flags);
/* Publishes it, with the checksum that is right for all of it. */
struct p2p_desc *hostile_publish(struct hostile *w, unsigned int r, const struct hostile_desc *d);

/* bn: a descriptor in b's receive ring 0, with the buffer that is due, for a port of a NIC. */
struct p2p_desc *hostile_recv(struct hostile *w, uint32_t flags, uint32_t nic, uint32_t port, uint8_t frame);

/* Up to n frames of len bytes between a.0 and c.0, both ways, as far as there is room for them. */
void hostile_honest(struct hostile *w, unsigned int n, uint32_t len);
/* All honest frames have come, and the receive buffers are back. */
bool hostile_quiet(const struct hostile *w);
/*
 * b is silent from here on: within a second of virtual time nothing of it is left, or the mesh has failed.  Receive buffers
 * that it was lent in rd come back when the driver withdraws it, after a third of that.
 */
void hostile_finish(struct hostile *w);

#endif
