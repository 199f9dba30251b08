/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's side.  Region 0 is a memfd of our own that holds the rings, new
 * for each connection; region 1 + r is the board's region r.
 *
 *   rx queue (S2C)  [tail, head): buffers placed; slot[] says which
 *   tx queue (C2S)  [tail, head): segments under way; meta[] says how long
 */
#include "ports/memif_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- handshake ---- */

static void client_fail(struct memif_port *m, const char *what, int err, uint64_t now_ns)
{
	memif_down(m, "out of resources", now_ns);
	snprintf(m->reason, sizeof(m->reason), "%s: %.60s", what, strerror(err));
}

void memif_client_connect(struct memif_port *m, uint64_t now_ns)
{
	m->retry_at = now_ns + MEMIF_RETRY_NS;
	m->ctl = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (m->ctl < 0) {
		snprintf(m->reason, sizeof(m->reason), "socket: %.60s", strerror(errno));
		return;
	}
	if (connect(m->ctl, (const struct sockaddr *)&m->addr, m->addr_len) < 0 ||
	    memif_watch(m, m->ctl, MEMIF_EV_CTL)) {
		snprintf(m->reason, sizeof(m->reason), "connect: %.60s", strerror(errno));
		close(m->ctl);
		m->ctl = -1;
		return;
	}
	m->deadline = now_ns + MEMIF_HANDSHAKE_NS;
	memif_state_set(m, MEMIF_HELLO);
}

/* m: the lane that the queue belongs to. */
static int client_queue_setup(struct memif_port *m, struct memif_queue *q, unsigned int log2, uint32_t offset, bool rx)
{
	q->log2 = (uint8_t)log2;
	q->size = (uint16_t)(1u << log2);
	q->mask = (uint16_t)(q->size - 1);
	q->offset = offset;
	q->ring = (struct memif_ring *)(m->first->region[0].base + offset);
	q->ring->cookie = MEMIF_COOKIE;
	q->ring->flags = MEMIF_RING_MASK_INT;
	q->evfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->evfd < 0)
		return -errno;
	if (rx) {
		uint32_t share = m->mem.rx_bufs / m->share_rx;

		q->fill_max = share >= q->size ? q->size : (uint16_t)(share ? share : 1);
		q->slot = calloc(q->size, sizeof(*q->slot));
		if (!q->slot)
			return -ENOMEM;
		/* Other lanes see to their own. */
		return m == m->first ? memif_watch(m, q->evfd, MEMIF_EV_QUEUE + (uint64_t)(q - m->rx)) : 0;
	}
	q->meta = calloc(q->size, sizeof(*q->meta));
	return q->meta ? 0 : -ENOMEM;
}

static int client_ring_memory(struct memif_port *m, size_t size)
{
	m->ring_fd = memfd_create("p2pnic-memif-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->ring_fd < 0)
		return -errno;
	if (ftruncate(m->ring_fd, (off_t)size) < 0 ||
	    fcntl(m->ring_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	m->region[0].base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, m->ring_fd, 0);
	if (m->region[0].base == MAP_FAILED) {
		m->region[0].base = NULL;
		return -errno;
	}
	m->region[0].size = size;
	return 0;
}

/* Which queue each segment under way is in, where a lane has several. */
static int client_order_setup(struct memif_port *l, unsigned int log2)
{
	uint32_t order = 1;

	if (l->share_tx == 1)
		return 0;
	while (order < l->share_tx << log2)
		order *= 2;
	l->order = malloc(order);
	l->order_mask = order - 1;
	l->order_head = l->order_tail = 0;
	return l->order ? 0 : -ENOMEM;
}

static int client_rings_setup(struct memif_port *m, unsigned int log2)
{
	size_t ring = P2P_ALIGN_UP(memif_ring_bytes(log2), 64), page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned int region = 1;
	int ret = client_ring_memory(m, P2P_ALIGN_UP(ring * (m->total_rx + m->total_tx), page));

	memif_lanes_deal(m);
	for (unsigned int i = 0; i < m->total_tx && !ret; i++)
		ret = client_queue_setup(memif_lane_of(m, i), memif_lane_queue(m, false, i), log2, (uint32_t)(i * ring), false);
	for (unsigned int i = 0; i < m->total_rx && !ret; i++)
		ret = client_queue_setup(memif_lane_of(m, i), memif_lane_queue(m, true, i), log2,
					 (uint32_t)((m->total_tx + i) * ring), true);
	for (unsigned int k = 0; k < m->lanes && !ret; k++) {
		m->lane[k]->region0 = region;
		region += m->lane[k]->mem.n;
		ret = client_order_setup(m->lane[k], log2);
	}
	return ret;
}

static unsigned int client_regions(const struct memif_port *m)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < m->lanes; k++)
		n += m->lane[k]->mem.n;
	return n;
}

static void client_send(struct memif_port *m, const struct memif_msg *msg, int fd)
{
	if (memif_msg_send(m->ctl, msg, fd))
		memif_violation(m, "the far end does not read its control messages");
}

static void client_hello(struct memif_port *m, const struct memif_hello *h, uint64_t now_ns)
{
	struct memif_msg msg = { .type = MEMIF_MSG_INIT };
	unsigned int log2 = h->max_log2_ring < m->log2_ring ? h->max_log2_ring : m->log2_ring;
	int ret;

	if (h->min_version > MEMIF_VERSION || h->max_version < MEMIF_VERSION) {
		memif_violation(m, "incompatible memif version, 2.0 is spoken here");
		return;
	}
	if (h->max_region < client_regions(m) || !log2) {
		memif_violation(m, "the far end takes too few regions or ring slots");
		return;
	}
	memif_text(m->remote_name, h->name, MEMIF_NAME_LEN);
	m->total_rx = h->max_s2c_ring + 1u < m->cap_rx ? h->max_s2c_ring + 1u : m->cap_rx;
	m->total_tx = h->max_c2s_ring + 1u < m->cap_tx ? h->max_c2s_ring + 1u : m->cap_tx;
	if (m->total_rx < m->lanes || m->total_tx < m->lanes) {
		m->total_rx = m->total_tx = 0;
		m->cap_rx = m->cap_tx = m->queues;
		memif_violation(m, "the far end has fewer queues than this NIC (--queues); give it as many");
		return;
	}
	ret = client_rings_setup(m, log2);
	if (ret) {
		client_fail(m, "memif rings", -ret, now_ns);
		return;
	}
	msg.init.version = MEMIF_VERSION;
	msg.init.id = m->id;
	msg.init.mode = MEMIF_MODE_ETHERNET;
	memcpy(msg.init.secret, m->secret, MEMIF_SECRET_LEN);
	snprintf((char *)msg.init.name, sizeof(msg.init.name), "p2pnic %s", P2PNIC_VERSION);
	memif_state_set(m, MEMIF_INIT);
	client_send(m, &msg, -1);
}

static void client_add_region(struct memif_port *m, unsigned int index)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_REGION };

	const struct port_region *r = NULL;

	for (unsigned int k = 0; k < m->lanes && !r && index; k++)
		if (index - m->lane[k]->region0 < m->lane[k]->mem.n)
			r = &m->lane[k]->mem.region[index - m->lane[k]->region0];
	msg.add_region.index = (uint16_t)index;
	msg.add_region.size = r ? r->size : m->region[0].size;
	client_send(m, &msg, r ? r->fd : m->ring_fd);
}

static void client_add_ring(struct memif_port *m, unsigned int index)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_RING };
	bool c2s = index < m->total_tx;
	const struct memif_queue *q = memif_lane_queue(m, !c2s, c2s ? index : index - m->total_tx);

	msg.add_ring.flags = c2s ? MEMIF_ADD_RING_C2S : 0;
	msg.add_ring.index = (uint16_t)(c2s ? index : index - m->total_tx);
	msg.add_ring.offset = q->offset;
	msg.add_ring.log2_size = q->log2;
	client_send(m, &msg, q->evfd);
}

/* An ACK: the next of regions, rings, CONNECT. */
static void client_step(struct memif_port *m)
{
	struct memif_msg msg = { .type = MEMIF_MSG_CONNECT };

	if (m->state == MEMIF_INIT) {
		m->step = 0;
		memif_state_set(m, MEMIF_REGION);
	} else {
		m->step++;
	}
	if (m->state == MEMIF_REGION && m->step > client_regions(m)) {
		m->step = 0;
		memif_state_set(m, MEMIF_RING);
	}
	if (m->state == MEMIF_REGION) {
		client_add_region(m, m->step);
	} else if (m->step < m->total_tx + m->total_rx) {
		client_add_ring(m, m->step);
	} else {
		snprintf((char *)msg.connect.if_name, sizeof(msg.connect.if_name), "p2pnic/%u", m->id);
		memif_state_set(m, MEMIF_CONNECT);
		client_send(m, &msg, -1);
	}
}

void memif_client_msg(struct memif_port *m, const struct memif_msg *msg, uint64_t now_ns)
{
	if (msg->type == MEMIF_MSG_HELLO && m->state == MEMIF_HELLO) {
		client_hello(m, &msg->hello, now_ns);
	} else if (msg->type == MEMIF_MSG_ACK && m->state >= MEMIF_INIT && m->state <= MEMIF_RING) {
		client_step(m);
	} else if (msg->type == MEMIF_MSG_CONNECTED && m->state == MEMIF_CONNECT) {
		close(m->ring_fd);
		m->ring_fd = -1;
		m->cap_rx = m->cap_tx = m->queues;
		memif_up(m);
	} else if (msg->type == MEMIF_MSG_DISCONNECT) {
		/* Some servers only say so when a ring has a higher index than they have queues. */
		if (m->state == MEMIF_RING && m->step > 0 && m->step < m->total_tx)
			m->cap_tx = m->step;
		else if (m->state == MEMIF_RING && m->step > m->total_tx)
			m->cap_rx = m->step - m->total_tx;
	} else {
		memif_violation(m, "unexpected control message");
	}
}

void memif_client_release(struct memif_port *m)
{
	uint64_t lost = 0;

	for (unsigned int i = 0; i < m->nrx; i++) {
		struct memif_queue *q = &m->rx[i];

		/* Older than what is in the pool: before it, the newest first. */
		while (q->slot && q->tail != q->head) {
			struct p2p_seg s = q->slot[--q->head & q->mask];

			s.pad = 0;
			memif_pool_unget(m, &s);
		}
	}
	if (m->ntx > 1 && m->order)
		m->done += m->order_head - m->order_tail;
	for (unsigned int i = 0; i < m->ntx; i++) {
		struct memif_queue *q = &m->tx[i];
		uint32_t got = m->broken || !q->meta ? 0 : memif_client_reap(m, q);

		if (m->ntx == 1)
			m->done += got + (uint16_t)(q->head - q->tail);
		for (; q->tail != q->head; q->tail++)
			lost += !(q->meta[q->tail & q->mask] & MEMIF_META_MORE);
	}
	p2p_count(&m->port.stats.tx_lost, lost);
	free(m->order);
	m->order = NULL;
	m->order_head = m->order_tail = 0;
}

void memif_client_unmap(struct memif_port *m)
{
	if (m->region[0].base)
		munmap(m->region[0].base, m->region[0].size);
	memset(&m->region[0], 0, sizeof(m->region[0]));
	if (m->ring_fd >= 0)
		close(m->ring_fd);
	m->ring_fd = -1;
}

/* ---- packet path ---- */

static inline void client_place(const struct memif_port *m, struct memif_queue *q, uint16_t at, const struct p2p_seg *s)
{
	const unsigned int k = at & q->mask;
	struct memif_desc d;

	d.flags = 0;
	d.region = (uint16_t)(s->region + m->region0);
	d.length = s->len;
	d.offset = (uint32_t)(s->data - m->mem.region[s->region].base);
	d.metadata = 0;
	q->slot[k] = *s;
	q->slot[k].pad = d.offset;
	memif_desc_store(&q->ring->desc[k], d);
}

unsigned int memif_client_post(struct memif_port *m, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_queue *q = &m->rx[0];
	unsigned int room = q->fill_max - (uint16_t)(q->head - q->tail), k = n < room ? n : room;

	uint16_t head = q->head;

	for (unsigned int i = 0; i < k; i++)
		client_place(m, q, head++, &segs[i]);
	q->head = head;
	memif_index_store(&q->ring->head, head);
	return k;
}

void memif_client_refill(struct memif_port *m)
{
	for (unsigned int i = 0; i < m->nrx && memif_pool_count(m); i++) {
		struct memif_queue *q = &m->rx[i];
		unsigned int room = q->fill_max - (uint16_t)(q->head - q->tail), share = memif_pool_count(m);

		if (share > room)
			share = room;
		if (!share)
			continue;
		for (unsigned int k = 0; k < share; k++)
			client_place(m, q, q->head++, &m->pool[m->pool_tail++ & m->pool_mask]);
		memif_index_store(&q->ring->head, q->head);
	}
}

/* The frame at q->tail is not to be delivered: its buffers go back.  False if its end has not come yet. */
static bool client_skip(struct memif_port *m, struct memif_queue *q, uint16_t tail)
{
	uint16_t t = q->tail;

	while (t != tail) {
		if (memif_desc_load(&q->ring->desc[t++ & q->mask]).flags & MEMIF_DESC_NEXT)
			continue;
		if (m->mem.place)
			q->back = (uint16_t)(t - q->tail);
		while (!m->mem.place && q->tail != t) {
			struct p2p_seg s = q->slot[q->tail++ & q->mask];

			s.pad = 0;
			memif_pool_push(m, &s);
		}
		p2p_count(&m->port.stats.rx_refused, 1);
		return true;
	}
	return false;
}

/* Buffers of refused frames: those of mem.place in their turn, others to the pool. */
static __attribute__((noinline)) unsigned int client_back(struct memif_port *m, struct memif_queue *q,
							  struct p2p_seg *segs, unsigned int n)
{
	unsigned int k = 0;

	for (; k < n && q->back; q->back--) {
		struct p2p_seg s = q->slot[q->tail++ & q->mask];

		s.pad = 0;
		if (s.region != m->mem.place) {
			memif_pool_push(m, &s);
			continue;
		}
		s.flags = P2P_SEG_BACK;
		segs[k++] = s;
	}
	return k;
}

/* Is it anything but a frame of one descriptor as it was placed? */
static inline bool client_desc_odd(const struct memif_desc *d, const struct p2p_seg *s, unsigned int region0)
{
	return ((d->region ^ (s->region + region0)) | (d->offset ^ s->pad) | (d->flags & MEMIF_DESC_NEXT)) ||
	       d->length - 1 >= s->len;
}

/*
 * The frame at q->tail, which is odd, into segs, and q->tail past it.
 * Returns its segments; 0 if it was refused or is a violation, or -1 if its
 * end has not come or n is too small.
 */
static __attribute__((noinline)) int client_rx_odd(struct memif_port *m, struct memif_queue *q, uint16_t tail,
						   struct p2p_seg *segs, unsigned int n, uint64_t *bytes)
{
	const uint16_t left = (uint16_t)(tail - q->tail);
	bool empty = false;
	struct memif_desc d = { .flags = 0 };
	unsigned int k = 0;
	uint64_t sum = 0;

	do {
		const uint16_t t = (uint16_t)(q->tail + k);
		const struct p2p_seg *s = &q->slot[t & q->mask];

		if (k == left || k == P2P_MAX_SEGS)
			break;
		if (k == n)
			return -1;
		d = memif_desc_load(&q->ring->desc[t & q->mask]);
		if (d.region != s->region + m->region0 || d.offset != s->pad || d.length > s->len) {
			memif_violation(m, "S2C descriptor changed beyond length and flags");
			return 0;
		}
		segs[k] = (struct p2p_seg){ .data = s->data, .len = d.length, .region = s->region,
					     .flags = d.flags & MEMIF_DESC_NEXT ? P2P_SEG_MORE : 0,
					     .cookie = s->cookie };
		empty |= !d.length;
		sum += d.length;
		k++;
	} while (d.flags & MEMIF_DESC_NEXT);
	if (!(d.flags & MEMIF_DESC_NEXT) && !empty) {
		q->tail = (uint16_t)(q->tail + k);
		*bytes += sum;
		return (int)k;
	}
	if (client_skip(m, q, tail))
		return 0;
	if (tail == q->head && left >= q->fill_max)
		memif_violation(m, "S2C ring holds no end of a frame");
	return -1;
}

unsigned int memif_client_rx(struct memif_port *m, struct memif_queue *q, struct p2p_seg *segs, unsigned int n)
{
	const uint16_t tail = memif_index_load(&q->ring->tail);
	const struct memif_desc *desc = q->ring->desc;
	const struct p2p_seg *slot = q->slot;
	const unsigned int mask = q->mask;
	const unsigned int region0 = m->region0;
	const bool touched = !m->mem.place; /* cut-through: nobody here looks at the frames */
	uint64_t frames = 0, bytes = 0;
	unsigned int out = 0;
	uint16_t t = q->tail;

	if (p2p_likely(t == tail))
		return 0;
	if (p2p_unlikely(q->back)) {
		out = client_back(m, q, segs, n);
		t = q->tail;
	}
	if (p2p_unlikely((uint16_t)(tail - t) > (uint16_t)(q->head - t))) {
		memif_violation(m, "S2C tail beyond head");
		return 0;
	}
	while (t != tail && out < n) {
		const struct memif_desc d = memif_desc_load(&desc[t & mask]);
		const struct p2p_seg *s = &slot[t & mask];

		if (p2p_unlikely(client_desc_odd(&d, s, region0))) {
			int k;

			q->tail = t;
			k = client_rx_odd(m, q, tail, segs + out, n - out, &bytes);
			t = q->tail;
			if (k < 0 || m->broken)
				break;
			out += (unsigned int)k;
			frames += k > 0;
			if (p2p_unlikely(q->back)) {
				out += client_back(m, q, segs + out, n - out);
				t = q->tail;
			}
			continue;
		}
		if (p2p_likely(touched))
			__builtin_prefetch(s->data);
		__builtin_prefetch(&desc[(t + 8) & mask]);
		segs[out].data = s->data;
		segs[out].len = d.length;
		segs[out].region = s->region;
		segs[out].flags = 0;
		segs[out].cookie = s->cookie;
		segs[out].pad = 0;
		bytes += d.length;
		frames++;
		out++;
		t++;
	}
	q->tail = t;
	p2p_count(&m->port.stats.rx_frames, frames);
	p2p_count(&m->port.stats.rx_bytes, bytes);
	return out;
}

uint32_t memif_client_reap(struct memif_port *m, struct memif_queue *q)
{
	uint64_t frames = 0, bytes = 0;
	uint16_t tail;
	uint32_t n;

	/* With nothing under way the server's line is left alone. */
	if (q->head == q->tail)
		return 0;
	tail = memif_index_load(&q->ring->tail);
	n = (uint16_t)(tail - q->tail);
	if (!n)
		return 0;
	if (p2p_unlikely(n > (uint16_t)(q->head - q->tail))) {
		memif_violation(m, "C2S tail beyond head");
		return 0;
	}
	for (uint16_t t = q->tail; t != tail; t++) {
		uint32_t meta = q->meta[t & q->mask];

		frames += !(meta & MEMIF_META_MORE);
		bytes += meta & ~MEMIF_META_MORE;
	}
	q->tail = tail;
	p2p_count(&m->port.stats.tx_frames, frames);
	p2p_count(&m->port.stats.tx_bytes, bytes);
	return n;
}

unsigned int memif_client_tx(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
			     unsigned int n)
{
	const unsigned int mask = q->mask;
	unsigned int room = q->size - (uint16_t)(q->head - q->tail), i;
	struct memif_desc *desc;
	uint32_t *meta;
	uint16_t h = q->head;

	if (p2p_unlikely(room < n)) {
		uint32_t got = memif_client_reap(m, q);

		if (m->ntx == 1)
			m->done += got;
		else
			q->finished += got;
		room = q->size - (uint16_t)(q->head - q->tail);
		if (n > room)
			n = room;
	}
	while (n && (segs[n - 1].flags & P2P_SEG_MORE))
		n--;
	if (!n || !m->tx_on)
		return 0;
	desc = q->ring->desc;
	meta = q->meta;
	for (i = 0; i < n; i++, h++) {
		const struct p2p_seg *s = &segs[i];
		const unsigned int more = s->flags & P2P_SEG_MORE;
		struct memif_desc d;

		d.flags = more ? MEMIF_DESC_NEXT : 0;
		d.region = (uint16_t)(s->region + m->region0);
		d.length = s->len;
		d.offset = (uint32_t)(s->data - m->mem.region[s->region].base);
		d.metadata = 0;
		meta[h & mask] = s->len | (more ? MEMIF_META_MORE : 0);
		memif_desc_store(&desc[h & mask], d);
	}
	q->head = h;
	memif_index_store(&q->ring->head, h);
	return n;
}
