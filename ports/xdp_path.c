/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/xdp_int.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>

#define KICKS_MAX 16 /* in a row: the kernel sends 32 descriptors for each, or what it was told */
/*
 * So many segments are handed over before the kernel is called for them, if more come in every step: it leaves no
 * cache to the steps after it.
 */
#define KICK_AT 128u

/* ---- receiving ---- */

/* Buffers go round by the kernel's ring, so what it fills next is what it was given first. */
static void queue_refill(struct xdp_port *x, struct xdp_queue *q, uint32_t n)
{
	uint32_t at, i, buf;

	n = xsk_ring_prod__reserve(&q->fill, n, &at);
	for (i = 0; i < n; i++) {
		buf = x->pool[--x->pool_n];
		x->with_kernel[buf] = true;
		*xsk_ring_prod__fill_addr(&q->fill, at + i) = x->range.at[0] + (uint64_t)buf * x->mem.buf_size;
	}
	xsk_ring_prod__submit(&q->fill, n);
	q->held += n;
}

void xdp_refill(struct xdp_port *x)
{
	unsigned int i;

	for (i = 0; i < x->queues && x->pool_n; i++) {
		struct xdp_queue *q = &x->q[i];
		uint32_t room = q->fill_max - q->held;

		if (room > x->pool_n)
			room = x->pool_n;
		if (room)
			queue_refill(x, q, room);
	}
}

unsigned int xdp_rx_post(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	struct xdp_port *x = xdp_of(port);
	unsigned int i;

	if (!x->started)
		return 0;
	for (i = 0; i < n && x->pool_n < x->num_bufs; i++) {
		uint64_t off = (uint64_t)(segs[i].data - x->mem.region[0].base);
		uint32_t buf = (uint32_t)(x->chunk_shift ? off >> x->chunk_shift : off / x->mem.buf_size);

		x->cookie[buf] = segs[i].cookie;
		x->pool[x->pool_n++] = buf;
	}
	if (x->bound)
		xdp_refill(x);
	return i;
}

struct p2p_seg xdp_received(struct xdp_port *x, uint64_t addr, uint32_t len, bool more)
{
	uint64_t off = xsk_umem__add_offset_to_addr(addr) - x->range.at[0];
	uint64_t begin = xsk_umem__extract_addr(addr) - x->range.at[0];
	uint32_t buf = (uint32_t)(x->chunk_shift ? begin >> x->chunk_shift : begin / x->mem.buf_size);

	x->with_kernel[buf] = false;
	return (struct p2p_seg){ .data = x->mem.region[0].base + off, .len = len, .cookie = x->cookie[buf],
				 .flags = more ? P2P_SEG_MORE : 0 };
}

/* Descriptors of the frame at `at`, of which `have` are there. */
static uint32_t frame_descs(const struct xdp_queue *q, uint32_t at, uint32_t have)
{
	uint32_t k = 1;

	while (k < have && (xsk_ring_cons__rx_desc(&q->rx, at + k - 1)->options & XDP_PKT_CONTD))
		k++;
	return k;
}

/* Its buffers go back: it has more pieces than a frame may have. */
static void frame_refuse(struct xdp_port *x, struct xdp_queue *q, uint32_t at, uint32_t k)
{
	uint32_t i;

	for (i = 0; i < k; i++) {
		struct p2p_seg s = xdp_received(x, xsk_ring_cons__rx_desc(&q->rx, at + i)->addr, 0, false);
		uint64_t off = (uint64_t)(s.data - x->mem.region[0].base);

		x->pool[x->pool_n++] = (uint32_t)(off / x->mem.buf_size);
	}
	p2p_count(&x->port.stats.rx_refused, 1);
}

static unsigned int queue_rx(struct xdp_port *x, struct xdp_queue *q, struct p2p_seg *segs, unsigned int n)
{
	uint32_t have = xsk_cons_nb_avail(&q->rx, UINT32_MAX), at = q->rx.cached_cons, used = 0, k, i;
	uint64_t frames = 0, bytes = 0;
	unsigned int out = 0;

	while (used < have) {
		k = frame_descs(q, at, have - used);
		if (k > P2P_MAX_SEGS) {
			frame_refuse(x, q, at, k);
		} else {
			if (out + k > n)
				break;
			for (i = 0; i < k; i++, out++) {
				const struct xdp_desc *d = xsk_ring_cons__rx_desc(&q->rx, at + i);

				segs[out] = xdp_received(x, d->addr, d->len, i + 1 < k);
				__builtin_prefetch(segs[out].data);
				bytes += d->len;
			}
			frames++;
		}
		at += k;
		used += k;
	}
	if (!used)
		return 0;
	q->rx.cached_cons = at;
	xsk_ring_cons__release(&q->rx, used);
	q->held -= used;
	p2p_count(&x->port.stats.rx_frames, frames);
	p2p_count(&x->port.stats.rx_bytes, bytes);
	if (x->copying)
		p2p_count(&x->port.stats.copies, frames);
	return out;
}

unsigned int xdp_rx_burst(struct port *port, struct p2p_seg *segs, unsigned int n)
{
	struct xdp_port *x = xdp_of(port);
	unsigned int out = 0, i;

	if (!x->bound)
		return 0;
	for (i = 0; i < x->queues && out < n; i++) {
		struct xdp_queue *q = &x->q[(x->turn + i) % x->queues];
		unsigned int got = queue_rx(x, q, segs + out, n - out);

		out += got;
		if (!got && (x->busy_poll || xsk_ring_prod__needs_wakeup(&q->fill)))
			recvfrom(q->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
	x->turn = x->queues > 1 ? (x->turn + 1) % x->queues : 0;
	return out;
}

/* ---- sending ---- */

static void sent_advance(struct xdp_port *x)
{
	uint32_t from = x->sent_tail;

	while (x->sent_tail != x->sent_head && x->sent[x->sent_tail & x->sent_mask].addr == XDP_ADDR_NONE)
		x->sent_tail++;
	x->done += x->sent_tail - from;
}

void xdp_sent_add(struct xdp_port *x, uint64_t addr, const struct p2p_seg *s)
{
	x->sent[x->sent_head++ & x->sent_mask] = (struct xdp_sent){ addr, s->len, s->flags & P2P_SEG_MORE };
	if (addr == XDP_ADDR_NONE)
		sent_advance(x);
}

void xdp_sent_complete(struct xdp_port *x, uint64_t addr)
{
	uint32_t at = x->sent_tail;
	struct xdp_sent *s;

	while (at != x->sent_head && x->sent[at & x->sent_mask].addr != addr)
		at++;
	if (at == x->sent_head)
		return;
	s = &x->sent[at & x->sent_mask];
	s->addr = XDP_ADDR_NONE;
	p2p_count(&x->port.stats.tx_frames, !s->more);
	p2p_count(&x->port.stats.tx_bytes, s->len);
	sent_advance(x);
}

static void tx_reap(struct xdp_port *x)
{
	struct xdp_queue *q = &x->q[0];
	uint32_t n, at, i;

	n = xsk_ring_cons__peek(&q->comp, UINT32_MAX, &at);
	if (!n)
		return;
	for (i = 0; i < n; i++)
		xdp_sent_complete(x, *xsk_ring_cons__comp_addr(&q->comp, at + i));
	xsk_ring_cons__release(&q->comp, n);
}

void xdp_kick(struct xdp_port *x)
{
	const struct xsk_ring_prod *tx = &x->q[0].tx;
	uint32_t before, after = __atomic_load_n(tx->consumer, __ATOMIC_ACQUIRE);
	unsigned int tries;

	x->unkicked = 0;
	x->kick = after != *tx->producer;
	for (tries = 0; tries < KICKS_MAX && x->kick && xsk_ring_prod__needs_wakeup(tx); tries++) {
		before = after;
		sendto(x->q[0].fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		after = __atomic_load_n(tx->consumer, __ATOMIC_ACQUIRE);
		x->kick = after != *tx->producer;
		if (after == before)
			return;
	}
}

/* Puts the frame of k segments into the tx ring.  False: the kernel takes only frames of one piece. */
static bool tx_put(struct xdp_port *x, uint32_t at, const struct p2p_seg *s, unsigned int k)
{
	struct xsk_ring_prod *tx = &x->q[0].tx;
	unsigned int i;

	if (k > 1 && !x->sg) {
		for (i = 0; i < k; i++)
			xdp_sent_add(x, XDP_ADDR_NONE, &s[i]);
		return false;
	}
	for (i = 0; i < k; i++) {
		struct xdp_desc *d = xsk_ring_prod__tx_desc(tx, at + i);

		d->addr = xdp_addr(x, s[i].region, s[i].data);
		d->len = s[i].len;
		d->options = s[i].flags & P2P_SEG_MORE ? XDP_PKT_CONTD : 0;
		xdp_sent_add(x, d->addr, &s[i]);
	}
	return true;
}

unsigned int xdp_tx_burst(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	struct xdp_port *x = xdp_of(port);
	struct xsk_ring_prod *tx = &x->q[0].tx;
	uint32_t room, at, put = 0, first = 0, i;
	uint64_t frames = 0, errors = 0;

	if (!x->link)
		return 0;
	room = xsk_prod_nb_free(tx, n);
	if (room > x->sent_mask + 1 - (x->sent_head - x->sent_tail))
		room = x->sent_mask + 1 - (x->sent_head - x->sent_tail);
	if (n > room)
		n = room;
	at = tx->cached_prod;
	for (i = 0; i < n; i++) {
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		if (tx_put(x, at + put, segs + first, i + 1 - first)) {
			put += i + 1 - first;
			frames++;
		} else {
			errors++;
		}
		first = i + 1;
	}
	tx->cached_prod += put;
	if (put) {
		xsk_ring_prod__submit(tx, put);
		if (x->copying)
			p2p_count(&port->stats.copies, frames);
	}
	p2p_count(&port->stats.tx_error, errors);
	x->unkicked += put;
	x->fed = put > 0;
	x->kick |= put > 0;
	if (x->unkicked >= KICK_AT)
		xdp_kick(x);
	return first;
}

unsigned int xdp_tx_done(struct port *port)
{
	struct xdp_port *x = xdp_of(port);
	unsigned int n;

	if (x->bound && x->sent_head != x->sent_tail) {
		tx_reap(x);
		if (x->kick && !x->fed)
			xdp_kick(x);
		x->fed = false;
	}
	n = x->done;
	x->done = 0;
	return n;
}

void xdp_stats_read(struct xdp_port *x)
{
	unsigned int i;

	for (i = 0; i < x->queues; i++) {
		struct xdp_queue *q = &x->q[i];
		struct xdp_statistics st;
		socklen_t len = sizeof(st);
		uint64_t refused;

		if (getsockopt(q->fd, SOL_XDP, XDP_STATISTICS, &st, &len) || len < sizeof(st))
			continue;
		refused = st.rx_dropped + st.rx_ring_full;
		p2p_count(&x->port.stats.rx_refused, refused - q->refused);
		q->refused = refused;
	}
}
