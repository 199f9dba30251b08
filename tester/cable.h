/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One of the tester's two cables, in either role: buffers to fill in place and
 * frames to look at in place.  The rules are those of ports/memif.h; as client
 * the buffers are the tester's own.
 */
#ifndef TESTER_CABLE_H
#define TESTER_CABLE_H

#include "ports/memif.h"

#define TESTER_MAX_QUEUES 16

struct tester_cable {
	struct port *port;
	bool server;
	unsigned int nrx, ntx;
	/* client: region 0 receives, region 1 sends */
	uint32_t bufs, buf_bytes, buf_stride;
	uint32_t head, tail; /* send buffers lent to the port */
	struct port_memory mem;
};

struct tester_cable_opts {
	const char *path;
	uint32_t id;
	const char *group; /* memif's group=; NULL: none */
	bool client;
	unsigned int ring_log2;
	uint32_t buf_bytes, buf_stride;
};

int tester_cable_open(struct tester_cable *c, const struct tester_cable_opts *o, char err[PORT_ERR_MAX]);
void tester_cable_close(struct tester_cable *c);
/* Control work; whether the link is up. */
bool tester_cable_control(struct tester_cable *c, uint64_t now_ns);

unsigned int tester_cable_reserve(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n);
bool tester_cable_commit(struct tester_cable *c, unsigned int queue, const struct p2p_seg *segs, unsigned int n);
/* As client what was peeked at must be released, all of it, before the next peek. */
unsigned int tester_cable_peek(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n,
			       bool *alike);
bool tester_cable_release(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n,
			  unsigned int frames, uint64_t bytes);

#endif
