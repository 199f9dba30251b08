/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BAR2: device memory as a row of segments, each a memory object of its own, so
 * that a peer can be given what it may reach and nothing else.
 *
 *   segment                      index                      who may reach it
 *   private                      0                          the NIC; the driver through BAR2
 *   doorbell                     1                          the host writes (bn)
 *   rx(p)     receive buffers    2 + p                      the NIC, p's cable; rd: every peer, reading
 *   ring(i)   see ring.h         2 + P + i                  peer i
 *   buf(p,i)  packet buffers     2 + P + n + p*n + i        peer i, p's cable; p = P: flood, peer i alone
 *
 * A NIC with Q queues has Q contexts and as many planes: the row above Q times
 * over, plane q behind plane q - 1 at p2p_plane_bytes().  Context q works on plane q
 * and writes into plane q of its peers alone, so that contexts share no segment.
 * Segment s of plane q has index q * p2p_seg_count() + s.
 *
 * A NIC that routes has two segments more, behind all planes and for all contexts:
 *
 *   route     tables, next hops         p2p_seg_route()            the NIC; the driver (route.h)
 *   inject    see punt.h                p2p_seg_inject()           the NIC; the driver
 *
 * Where receive or packet buffers of a segment fill 2 MiB pages, the first such
 * segment of a plane begins at one.  Offsets follow from the configuration alone; P2P_SEG_* registers tell them to
 * a driver that does not compile this.  Source: design section 3, "Segments".
 */
#ifndef P2PNIC_LAYOUT_H
#define P2PNIC_LAYOUT_H

#include "punt.h"
#include "ring.h"

#define P2P_SEG_ALIGN 4096u
#define P2P_HUGE_BYTES (2u << 20)
#define P2P_PRIVATE_BYTES (1u << 20)
#define P2P_MAX_QUEUES 8
#define P2P_MAX_SEGMENTS (P2P_MAX_QUEUES * (2 + P2P_MAX_PORTS + P2P_MAX_NICS + (P2P_MAX_PORTS + 1) * P2P_MAX_NICS) + 2)

#define P2P_SEG_KINDS(X) \
	X(PRIVATE, "private", "tables and the NIC's own state") \
	X(DOORBELL, "doorbell", "written by the host (bn)") \
	X(RX, "rx", "receive buffers of one port") \
	X(RING, "ring", "descriptors and lines that one peer writes") \
	X(BUF, "buf", "packet buffers of one port for one peer") \
	X(ROUTE, "route", "tables and next hops, written by the driver") \
	X(INJECT, "inject", "frames that the host sends, and how far it has taken punted ones")

enum p2p_seg_kind {
#define X(name, text, desc) P2P_SEG_##name,
	P2P_SEG_KINDS(X)
#undef X
};

enum p2p_mode { P2P_MODE_WR, P2P_MODE_RD, P2P_MODE_BN, P2P_NUM_MODES };

/* What the sizes follow from. */
struct p2p_shape {
	uint32_t nics, ports;
	uint32_t slots;     /* N, a power of two */
	uint32_t buf_size;  /* bytes of a packet buffer and of a receive buffer */
	uint32_t rx_bufs;   /* receive buffers of each port and queue */
	uint32_t queues;    /* planes; 0 means 1 */
	uint64_t route_bytes; /* of the routing area, a multiple of P2P_SEG_ALIGN; 0: no routing */
};

static inline uint64_t p2p_seg_round(uint64_t bytes)
{
	return P2P_ALIGN_UP(bytes, (uint64_t)P2P_SEG_ALIGN);
}

/* bn: buffers of the host pool that each ingress port owns; the refill rings' size. */
static inline uint32_t p2p_host_bufs(const struct p2p_shape *s)
{
	return s->slots * 2;
}

static inline unsigned int p2p_queues(const struct p2p_shape *s)
{
	return s->queues ? s->queues : 1;
}

/* Of one plane. */
static inline unsigned int p2p_seg_count(const struct p2p_shape *s)
{
	return 2 + s->ports + s->nics + (s->ports + 1) * s->nics;
}

static inline unsigned int p2p_seg_rx(const struct p2p_shape *s, unsigned int port)
{
	return 2 + port;
}

static inline unsigned int p2p_seg_ring(const struct p2p_shape *s, unsigned int peer)
{
	return 2 + s->ports + peer;
}

static inline unsigned int p2p_seg_buf(const struct p2p_shape *s, unsigned int ring, unsigned int peer)
{
	return 2 + s->ports + s->nics + ring * s->nics + peer;
}

/* Only with route_bytes. */
static inline unsigned int p2p_seg_route(const struct p2p_shape *s)
{
	return p2p_queues(s) * p2p_seg_count(s);
}

static inline unsigned int p2p_seg_inject(const struct p2p_shape *s)
{
	return p2p_seg_route(s) + 1;
}

static inline enum p2p_seg_kind p2p_seg_kind(const struct p2p_shape *s, unsigned int seg)
{
	if (seg >= p2p_seg_route(s))
		return seg == p2p_seg_route(s) ? P2P_SEG_ROUTE : P2P_SEG_INJECT;
	seg %= p2p_seg_count(s);
	if (seg < 2)
		return seg == 0 ? P2P_SEG_PRIVATE : P2P_SEG_DOORBELL;
	if (seg < 2 + s->ports)
		return P2P_SEG_RX;
	return seg < 2 + s->ports + s->nics ? P2P_SEG_RING : P2P_SEG_BUF;
}

static inline uint64_t p2p_seg_bytes(const struct p2p_shape *s, enum p2p_seg_kind kind)
{
	switch (kind) {
	case P2P_SEG_PRIVATE:
		return P2P_PRIVATE_BYTES;
	case P2P_SEG_DOORBELL:
		return p2p_seg_round(sizeof(struct p2p_doorbell) + 4ull * s->ports * p2p_host_bufs(s));
	case P2P_SEG_RX:
		return p2p_seg_round((uint64_t)s->rx_bufs * s->buf_size);
	case P2P_SEG_RING:
		return p2p_seg_round(sizeof(struct p2p_ring_head) + 16ull * s->slots * (s->ports + 1));
	case P2P_SEG_BUF:
		return p2p_seg_round((uint64_t)s->slots * s->buf_size);
	case P2P_SEG_ROUTE:
		return p2p_seg_round(s->route_bytes);
	case P2P_SEG_INJECT:
		return p2p_seg_round(sizeof(struct p2p_inject_head) + (uint64_t)P2P_INJECT_SLOTS * P2P_PUNT_STEP);
	}
	return 0;
}

/* Buffers that fill 2 MiB pages begin at one: the first of their kind; the rest follow without gaps. */
static inline uint64_t p2p_seg_align(const struct p2p_shape *s, enum p2p_seg_kind kind)
{
	return p2p_seg_bytes(s, kind) % P2P_HUGE_BYTES ? P2P_SEG_ALIGN : P2P_HUGE_BYTES;
}

/* Where segment seg of a plane begins in it; seg = p2p_seg_count(): where its last one ends. */
static inline uint64_t p2p_plane_offset(const struct p2p_shape *s, unsigned int seg)
{
	uint64_t off = 0;
	unsigned int left = seg, n;

#define P2P_TAKE(count, kind) \
	do { \
		n = left < (count) ? left : (count); \
		off += n * p2p_seg_bytes(s, kind); \
		left -= n; \
	} while (0)
	P2P_TAKE(1u, P2P_SEG_PRIVATE);
	P2P_TAKE(1u, P2P_SEG_DOORBELL);
	if (seg >= p2p_seg_rx(s, 0))
		off = P2P_ALIGN_UP(off, p2p_seg_align(s, P2P_SEG_RX));
	P2P_TAKE(s->ports, P2P_SEG_RX);
	P2P_TAKE(s->nics, P2P_SEG_RING);
	if (seg >= p2p_seg_buf(s, 0, 0))
		off = P2P_ALIGN_UP(off, p2p_seg_align(s, P2P_SEG_BUF));
	P2P_TAKE((s->ports + 1) * s->nics, P2P_SEG_BUF);
#undef P2P_TAKE
	return off;
}

/* From one plane to the next: buffers that begin at 2 MiB in one do so in all. */
static inline uint64_t p2p_plane_bytes(const struct p2p_shape *s)
{
	uint64_t rx = p2p_seg_align(s, P2P_SEG_RX), buf = p2p_seg_align(s, P2P_SEG_BUF);

	return P2P_ALIGN_UP(p2p_plane_offset(s, p2p_seg_count(s)), rx > buf ? rx : buf);
}

/* Segments of all planes, and those for all contexts. */
static inline unsigned int p2p_seg_total(const struct p2p_shape *s)
{
	return p2p_seg_route(s) + (s->route_bytes ? 2 : 0);
}

/* Where the routing area begins, behind all planes: at 2 MiB where it fills such pages. */
static inline uint64_t p2p_route_offset(const struct p2p_shape *s)
{
	uint64_t end = (p2p_queues(s) - 1) * p2p_plane_bytes(s) + p2p_plane_offset(s, p2p_seg_count(s));

	return P2P_ALIGN_UP(end, s->route_bytes % P2P_HUGE_BYTES ? (uint64_t)P2P_SEG_ALIGN : (uint64_t)P2P_HUGE_BYTES);
}

/* Where segment seg begins in BAR2; seg = p2p_seg_total(): all the memory needed. */
static inline uint64_t p2p_seg_offset(const struct p2p_shape *s, unsigned int seg)
{
	unsigned int count = p2p_seg_count(s), plane = seg / count, extra = seg - p2p_seg_route(s);

	if (s->route_bytes && seg >= p2p_seg_route(s))
		return p2p_route_offset(s) + (extra > 0 ? p2p_seg_bytes(s, P2P_SEG_ROUTE) : 0) +
		       (extra > 1 ? p2p_seg_bytes(s, P2P_SEG_INJECT) : 0);
	if (plane == p2p_queues(s))
		plane--;
	return plane * p2p_plane_bytes(s) + p2p_plane_offset(s, seg - plane * count);
}

static inline uint64_t p2p_memory_needed(const struct p2p_shape *s)
{
	return p2p_seg_offset(s, p2p_seg_total(s));
}

/* bn: bytes of one NIC's area in host memory, without the pool. */
static inline uint64_t p2p_host_area_bytes(const struct p2p_shape *s)
{
	return p2p_seg_round(sizeof(struct p2p_host_area) + 16ull * s->slots * (2 * s->ports + 1));
}

/* bn: bytes of the pool that one NIC's receive rings need. */
static inline uint64_t p2p_host_pool_bytes(const struct p2p_shape *s)
{
	return p2p_seg_round((uint64_t)s->ports * p2p_host_bufs(s) * s->buf_size);
}

#endif
