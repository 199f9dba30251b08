/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest forwarder: a memif client on two sockets that hands the buffers
 * filled by one server to the other, descriptor by descriptor, without looking
 * at a frame.
 *
 * Both cables have the same size of ring, and what lies in slot i of one
 * server's outgoing ring leaves by slot i of the other's incoming one: when
 * that slot has been taken, its buffer is posted again where it was.
 *
 * One thread, that of the servers' ports, since the two sides are polled in
 * turn.
 */
#ifndef TESTER_LOOP_H
#define TESTER_LOOP_H

#include "ports/memif.h"

struct tester_loop;

struct tester_loop_opts {
	const char *path[2]; /* memif sockets, "@name" for abstract ones */
	unsigned int ring_log2;
	uint32_t buf_bytes, buf_stride;
};

/* Makes the memory.  0 or -errno. */
int tester_loop_create(struct tester_loop **out, const struct tester_loop_opts *o);
/*
 * Connects to both servers, whose ports' control() it calls meanwhile, and
 * posts all buffers.  0 or -errno.
 */
int tester_loop_connect(struct tester_loop *l, struct port *port[2]);
/* Hands over what is there; both directions. */
void tester_loop_step(struct tester_loop *l);
/* Posts again what server `from` has filled, without handing it over; not to be mixed with steps. */
void tester_loop_swallow(struct tester_loop *l, unsigned int from);
void tester_loop_destroy(struct tester_loop *l);

#endif
