/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memif beyond port_ops: the server's rings in place.
 *
 * A server's rx_burst and tx_burst copy between the board's buffers and the
 * client's.  Who makes frames himself, or only looks at them, needs no buffers
 * of his own: here he gets the client's.
 *
 *   reserve n empty buffers of the client, fill them, commit
 *   peek at n filled ones, read them, release
 *
 * A queue is used either this way or through port_ops, not both; control(),
 * link_up() and the statistics are as ever (`copies` stays 0).  All of it on
 * the thread that owns the port.
 *
 * TRUST  Descriptors are copied once and checked, as in port_ops: what data
 * and len say lies within the client's regions.  Bytes there are the client's
 * to change at any time: copy once what is checked and then used.  Where the
 * client cuts its memory short, reads give zeros and writes are lost; the next
 * commit or release then fails and control() cuts the link.
 */
#ifndef PORTS_MEMIF_H
#define PORTS_MEMIF_H

#include "ports/memif_proto.h"
#include "ports/port.h"

/* Is p a memif port with role=server? */
bool port_memif_server(const struct port *p);
/* Queues of the link that is up: to the client (tx) and from it (rx); 0 while it is down. */
void port_memif_queues(const struct port *p, unsigned int *rx, unsigned int *tx);
/* Descriptors of tx queue 0's ring; 0 while the link is down.  Either role. */
unsigned int port_memif_ring_size(const struct port *p);
/* Why the link is down, as far as known; "" if not. */
const char *port_memif_reason(const struct port *p);

/* Buffers posted by the client, and frames' buffers filled by it; no more than a look at one index. */
unsigned int port_memif_posted(const struct port *p, unsigned int queue);
unsigned int port_memif_filled(const struct port *p, unsigned int queue);

/*
 * The next buffers that the client has posted, at most n: data, and len as
 * room.  They stay the next ones until they are committed.  Returns how many.
 */
unsigned int port_memif_reserve(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n);
/*
 * Sends the first n of the buffers reserved last; len is now bytes, flags say
 * whether a frame goes on in the next buffer.  The n-th ends a frame.  False:
 * nothing was sent, the link is broken.
 */
bool port_memif_commit(struct port *p, unsigned int queue, const struct p2p_seg *segs, unsigned int n);

/*
 * The oldest frames, at most n segments (n >= P2P_MAX_SEGS), whole frames
 * only.  They stay the oldest until they are released.  Returns how many
 * segments; *alike: each is a frame of its own, and all are as long as the
 * first.  len may be 0.
 */
unsigned int port_memif_peek(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n, bool *alike);
/*
 * Gives back the first n segments peeked at, which were so many frames and
 * bytes.  False: the link is broken, and what was read since the peek may
 * never have been the client's.
 */
bool port_memif_release(struct port *p, unsigned int queue, unsigned int n, unsigned int frames, uint64_t bytes);

/*
 * Messages, for far ends that are no ports.  send: 0 or -errno; fd < 0: none.
 * recv: one message and at most one descriptor (*fd, else -1; the caller's).
 * Returns 1, 0 (nothing there), -ENOTCONN (closed) or -EPROTO (not a message).
 */
int memif_msg_send(int sock, const struct memif_msg *msg, int fd);
int memif_msg_recv(int sock, struct memif_msg *msg, int *fd);

#endif
