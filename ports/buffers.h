/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What several ports need inside: the queue of posted empty buffers, the count
 * of sent segments to report back, and the clock.
 *
 * All of it belongs to the worker that drives the port.
 */
#ifndef PORTS_BUFFERS_H
#define PORTS_BUFFERS_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ports/port.h"

/* Zeroed, in cache lines of its own: what one worker writes is not next to another's. free() takes it; NULL: no memory. */
static inline void *port_alloc(size_t bytes)
{
	size_t room = P2P_ALIGN_UP(bytes, (size_t)P2P_APART_BYTES);
	void *p = aligned_alloc(P2P_APART_BYTES, room);

	if (p)
		memset(p, 0, room);
	return p;
}

/* Posted buffers, oldest first.  The indexes run free; the size is a power of two. */
struct port_buffers {
	struct p2p_seg *seg;
	uint32_t mask;
	uint32_t prod;
	uint32_t cons;
};

/* Room for at least n buffers.  Returns 0 or -ENOMEM. */
static inline int port_buffers_init(struct port_buffers *b, uint32_t n)
{
	uint32_t size = 64;

	while (size < n && size < (1u << 30))
		size <<= 1;
	b->seg = port_alloc(size * sizeof(*b->seg));
	if (!b->seg)
		return -ENOMEM;
	b->mask = size - 1;
	b->prod = b->cons = 0;
	return 0;
}

static inline void port_buffers_free(struct port_buffers *b)
{
	free(b->seg);
	b->seg = NULL;
	b->prod = b->cons = 0;
}

static inline uint32_t port_buffers_count(const struct port_buffers *b)
{
	return b->prod - b->cons;
}

/* The k-th oldest buffer; k < port_buffers_count(). */
static inline struct p2p_seg *port_buffers_at(const struct port_buffers *b, uint32_t k)
{
	return &b->seg[(b->cons + k) & b->mask];
}

/* Takes the first k of n buffers and returns k. */
static inline unsigned int port_buffers_post(struct port_buffers *b, const struct p2p_seg *segs, unsigned int n)
{
	unsigned int i;

	if (!b->seg)
		return 0;
	for (i = 0; i < n && port_buffers_count(b) <= b->mask; i++)
		b->seg[b->prod++ & b->mask] = segs[i];
	return i;
}

/*
 * Hands out the oldest buffers as the segments of one frame of len bytes that
 * was written into them back to back: sets lengths and flags, removes them.
 * Returns how many segments.
 */
static inline unsigned int port_buffers_take(struct port_buffers *b, struct p2p_seg *out, uint32_t len)
{
	unsigned int n = 0;

	do {
		struct p2p_seg s = b->seg[b->cons++ & b->mask];
		bool more = len > s.len;

		if (!more)
			s.len = len;
		s.flags = more ? P2P_SEG_MORE : 0;
		len -= s.len;
		out[n++] = s;
	} while (len);
	return n;
}

/*
 * How many of the oldest buffers a frame of len bytes fills; 0 when it fits
 * neither into max of them nor into those that are posted.
 */
static inline unsigned int port_buffers_needed(const struct port_buffers *b, uint32_t len, unsigned int max)
{
	uint32_t have = port_buffers_count(b), room = 0;
	unsigned int i;

	if (max > P2P_MAX_SEGS)
		max = P2P_MAX_SEGS;
	for (i = 0; i < max && i < have; i++) {
		room += port_buffers_at(b, i)->len;
		if (room >= len)
			return i + 1;
	}
	return 0;
}

/* port_ops.in_order of ports whose buffers pass through such a queue alone. */
static inline bool port_buffers_in_order(struct port *p)
{
	(void)p;
	return true;
}

static inline uint64_t port_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
