/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile NIC: three in a mesh, of which b's firmware runs no more once the sessions are up.  All that b may write in a's
 * device memory is the user's, and what a reads from b's.  Next to it the honest NIC c exchanges frames with a, each of
 * which must arrive, once, in order and whole; the ports' contract holds; and when b has fallen silent nothing is held
 * for it any more.  What goes wrong is the mesh's failure (mesh.h).
 */
#ifndef TESTS_CONFORMANCE_HOSTILE_H
#define TESTS_CONFORMANCE_HOSTILE_H

#include "honest.h"

struct hostile {
	struct mesh *m;
	bool pair;
	struct p2p_ring_head *ring;              /* ring(b) of a */
	struct p2p_desc *desc[HONEST_PORTS + 1];
	uint8_t *buf[HONEST_PORTS + 1];         /* of a, for b */
	uint8_t *rx[HONEST_PORTS];              /* of b, which rd reads */
	const struct p2p_ring_head *back;        /* ring(a) of b, which a writes */
	struct p2p_host_area *area;              /* bn: b's in main memory, else NULL */
	const struct p2p_doorbell *door;         /* what the host writes for it */
	uint32_t base, next;                     /* of receive ring 0: its first number, the next */
	uint32_t prod[HONEST_PORTS + 1];
	uint8_t frame[HONEST_PORTS + 1];
	struct honest honest;
};

/* A mesh of HONEST_NICS by HONEST_PORTS: a.0 and c.0 are a pair; a.1 and b.0, if `pair`.  All peers are up, b is dead. */
void hostile_open(struct hostile *w, const struct mesh_ops *ops, const struct mesh_cfg *cfg, bool pair);
void hostile_close(struct hostile *w);

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

/*
 * b is silent from here on: within a second of virtual time nothing of it is left, or the mesh has failed.  Receive buffers
 * that it was lent in rd come back when the driver withdraws it, after a third of that.
 */
void hostile_finish(struct hostile *w);

#endif
