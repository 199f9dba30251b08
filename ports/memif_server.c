/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The server's side.  All memory is the far end's: mapped here, copied from
 * and to, never believed.
 *
 *   rx queue (C2S)  [tail, head): filled by the client; tail is ours
 *   tx queue (S2C)  [tail, head): empty buffers of the client; tail is ours
 */
#include "ports/memif_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ports/guard.h"

#define MEMIF_REGION_MAX_BYTES ((uint64_t)1 << 40)

/* ---- handshake ---- */

static void server_ack(struct memif_port *m)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ACK };

	if (memif_msg_send(m->ctl, &msg, -1))
		memif_violation(m, "the far end does not read its control messages");
}

static bool secret_equal(const struct memif_port *m, const uint8_t *secret)
{
	uint8_t own[MEMIF_SECRET_LEN] = { 0 }, diff = 0;

	memcpy(own, m->secret, strlen(m->secret));
	for (unsigned int i = 0; i < MEMIF_SECRET_LEN; i++)
		diff |= (uint8_t)(own[i] ^ secret[i]);
	return !diff;
}

void memif_server_claim(struct memif_port *m, const struct memif_claim *c, uint64_t now_ns)
{
	const char *no = NULL;

	if (m->state != MEMIF_IDLE)
		no = "already connected";
	else if (c->init.version != MEMIF_VERSION)
		no = "incompatible memif version, 2.0 is spoken here";
	else if (c->init.mode != MEMIF_MODE_ETHERNET)
		no = "only Ethernet mode is supported";
	else if (m->secret[0] && !secret_equal(m, c->init.secret))
		no = c->init.secret[0] ? "incorrect secret" : "secret required";
	if (!no && memif_watch(m, c->fd, MEMIF_EV_CTL))
		no = "out of resources";
	if (no) {
		p2p_count(m->state == MEMIF_IDLE ? &m->port.stats.peer_errors : &m->port.stats.peer_refused, 1);
		if (m->state == MEMIF_IDLE)
			snprintf(m->reason, sizeof(m->reason), "%s", no);
		memif_msg_disconnect(c->fd, no);
		close(c->fd);
		return;
	}
	m->ctl = c->fd;
	memif_text(m->remote_name, c->init.name, MEMIF_NAME_LEN);
	m->deadline = now_ns + MEMIF_HANDSHAKE_NS;
	memif_state_set(m, MEMIF_SETUP);
	server_ack(m);
}

/* hugetlbfs maps whole huge pages only; statfs tells how large they are. */
static int server_map(struct memif_port *m, struct memif_region *r, uint64_t size, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat st;
	struct statfs fs;
	bool sealed;
	int ret;

	/* Only files that can have seals are memory; any other's owner could let us wait in each of the calls below. */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return -EINVAL;
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !size || size > MEMIF_REGION_MAX_BYTES || (uint64_t)st.st_size < size)
		return -EINVAL;
	r->mapped = P2P_ALIGN_UP(size, fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : page);
	r->base = mmap(NULL, r->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		return -errno;
	}
	r->size = size;
	ret = guard_needed(fd, &sealed);
	if (ret) {
		ret = ret > 0 ? guard_add(r->base, r->mapped, &m->bus_hit) : ret;
		if (ret) {
			munmap(r->base, r->mapped);
			r->base = NULL;
			return ret;
		}
		r->guarded = true;
		m->unsealed |= !sealed;
	}
	return 0;
}

static void server_add_region(struct memif_port *m, const struct memif_add_region *a, int fd)
{
	int ret;

	if (fd < 0 || a->index != m->nregions || a->index >= MEMIF_MAX_REGIONS) {
		memif_violation(m, fd < 0 ? "ADD_REGION without a descriptor" : "ADD_REGION with a wrong index");
		return;
	}
	ret = server_map(m, &m->region[m->nregions], a->size, fd);
	if (ret) {
		memif_violation(m, ret == -EINVAL ? "region larger than its file, or no memory" : "region can't be mapped");
		return;
	}
	m->nregions++;
	server_ack(m);
}

static bool fd_is_eventfd(int fd)
{
	char link[64], path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = '\0';
	return !strcmp(link, "anon_inode:[eventfd]");
}

/* Takes fd over if it keeps it (*kept). */
static void server_add_ring(struct memif_port *m, const struct memif_add_ring *a, int fd, bool *kept)
{
	bool c2s = a->flags & MEMIF_ADD_RING_C2S;
	unsigned int *count = c2s ? &m->total_rx : &m->total_tx;
	struct memif_queue *q;
	int flags;

	if (a->index != *count || a->index >= m->queues) {
		/* No violation: a client that wants more queues than there are may ask for fewer next time. */
		if (a->index == *count)
			m->refuse = "no more queues";
		else
			memif_violation(m, "ADD_RING with a wrong index");
		return;
	}
	if (fd < 0 || !fd_is_eventfd(fd)) {
		memif_violation(m, "ADD_RING without an eventfd");
		return;
	}
	if (a->log2_size < 1 || a->log2_size > MEMIF_MAX_LOG2_RING) {
		memif_violation(m, "ADD_RING with a ring size out of range");
		return;
	}
	q = memif_lane_queue(m, c2s, a->index);
	q->log2 = a->log2_size;
	q->size = (uint16_t)(1u << a->log2_size);
	q->mask = (uint16_t)(q->size - 1);
	q->region = a->region;
	q->offset = a->offset;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    (c2s && memif_lane_of(m, a->index) == m && memif_watch(m, fd, MEMIF_EV_QUEUE + (uint64_t)(q - m->rx)))) {
		memif_violation(m, "the eventfd of ADD_RING can't be used");
		return;
	}
	q->evfd = fd;
	*kept = true;
	(*count)++;
	server_ack(m);
}

static bool server_queue_attach(struct memif_port *m, struct memif_queue *q)
{
	const struct memif_region *r;

	if (q->region >= m->nregions)
		return false;
	r = &m->region[q->region];
	if ((q->offset & 15) || q->offset > r->size || r->size - q->offset < memif_ring_bytes(q->log2))
		return false;
	q->ring = (struct memif_ring *)(r->base + q->offset);
	q->head = 0;
	q->tail = 0;
	return __atomic_load_n(&q->ring->cookie, __ATOMIC_RELAXED) == MEMIF_COOKIE;
}

static void server_connect(struct memif_port *m, uint64_t now_ns)
{
	bool ok = m->total_rx && m->total_tx;

	if (ok && (m->total_rx < m->lanes || m->total_tx < m->lanes)) {
		m->refuse = "fewer queues than the NIC has here (--queues); ask for as many";
		return;
	}
	for (unsigned int i = 0; i < m->total_rx && ok; i++)
		ok = server_queue_attach(m, memif_lane_queue(m, true, i));
	for (unsigned int i = 0; i < m->total_tx && ok; i++)
		ok = server_queue_attach(m, memif_lane_queue(m, false, i));
	if (!ok) {
		memif_violation(m, "CONNECT without rings, or a ring outside its region, unaligned or without cookie");
		return;
	}
	for (unsigned int i = 0; i < m->total_rx; i++)
		memif_index_store(&memif_lane_queue(m, true, i)->ring->tail, 0);
	for (unsigned int i = 0; i < m->total_tx; i++)
		memif_index_store(&memif_lane_queue(m, false, i)->ring->tail, 0);
	memif_lanes_deal(m);
	m->hold_from = now_ns;
	memif_state_set(m, MEMIF_HELD);
	memif_server_hold(m, now_ns);
}

/*
 * A client that lends its own heap (DPDK with zero-copy=yes) may close the
 * descriptor of that heap when it reads CONNECTED, although another of its
 * interfaces has still to send the same descriptor.  Such memory is never
 * sealed; so whoever brings unsealed memory gets CONNECTED only when no other
 * client of this process is on its way, or after a second, and never within
 * the first tenth of a second, for the sake of interfaces that connect to
 * other processes.
 */
void memif_server_hold(struct memif_port *m, uint64_t now_ns)
{
	struct memif_msg msg = { .type = MEMIF_MSG_CONNECTED };

	if (m->unsealed && now_ns - m->hold_from < MEMIF_HOLD_MAX_NS &&
	    (now_ns - m->hold_from < MEMIF_HOLD_MIN_NS || memif_others_pending(m)))
		return;
	snprintf((char *)msg.connect.if_name, sizeof(msg.connect.if_name), "p2pnic/%u", m->id);
	if (memif_msg_send(m->ctl, &msg, -1))
		memif_violation(m, "the far end does not read its control messages");
	else
		memif_up(m);
}

int memif_server_msg(struct memif_port *m, const struct memif_msg *msg, int fd, uint64_t now_ns)
{
	bool kept = false;

	m->refuse = NULL;
	if (m->state == MEMIF_SETUP && msg->type == MEMIF_MSG_ADD_REGION && !m->total_rx && !m->total_tx)
		server_add_region(m, &msg->add_region, fd);
	else if (m->state == MEMIF_SETUP && msg->type == MEMIF_MSG_ADD_RING)
		server_add_ring(m, &msg->add_ring, fd, &kept);
	else if (m->state == MEMIF_SETUP && msg->type == MEMIF_MSG_CONNECT)
		server_connect(m, now_ns);
	else
		memif_violation(m, "unexpected control message");
	if (m->refuse) {
		p2p_count(&m->port.stats.peer_refused, 1);
		memif_down(m, m->refuse, now_ns);
	}
	return kept ? -1 : fd;
}

void memif_server_release(struct memif_port *m)
{
	for (unsigned int i = 0; i < m->nregions; i++) {
		if (m->region[i].guarded)
			guard_remove(m->region[i].base);
		munmap(m->region[i].base, m->region[i].mapped);
	}
	memset(m->region, 0, sizeof(m->region));
	m->nregions = 0;
}

/* ---- packet path ---- */

static inline void frame_copy(uint8_t *dst, const uint8_t *src, size_t len)
{
	if (p2p_likely(len >= 64 && len <= 128)) {
		/* Two moves of fixed size that overlap. */
		memcpy(dst, src, 64);
		memcpy(dst + len - 64, src + len - 64, 64);
	} else {
		memcpy(dst, src, len);
	}
}

struct server_frame {
	unsigned int descs, segs;
	uint32_t bytes;
	uint32_t room; /* left in the last buffer */
};

enum server_take { SERVER_TAKEN, SERVER_WAIT, SERVER_HALF, SERVER_REFUSE, SERVER_BAD };

/*
 * Copies the frame at ring index t, of at most `avail` descriptors, into the
 * pool's next buffers.  REFUSE: f->descs still says how many descriptors to
 * skip.  HALF: its end is not among them.  WAIT: no room for it now.
 */
static enum server_take server_take(struct memif_port *m, const struct memif_queue *q, uint16_t t, unsigned int avail,
				    struct p2p_seg *segs, unsigned int n, struct server_frame *f)
{
	const unsigned int pool = memif_pool_count(m);
	bool refuse = false;
	struct memif_desc d = memif_desc_load(&q->ring->desc[t & q->mask]);

	*f = (struct server_frame){ 0 };
	if (p2p_likely(pool && !(d.flags & MEMIF_DESC_NEXT))) {
		const struct p2p_seg *b = &m->pool[m->pool_tail & m->pool_mask];
		const uint8_t *src = memif_server_data(m, &d);

		if (p2p_likely(src && d.length - 1 < b->len)) {
			frame_copy(b->data, src, d.length);
			segs[0] = (struct p2p_seg){ .data = b->data, .len = d.length, .region = b->region,
						     .cookie = b->cookie };
			*f = (struct server_frame){ .descs = 1, .segs = 1, .bytes = d.length };
			return SERVER_TAKEN;
		}
	}
	do {
		const uint8_t *src;
		uint32_t len;

		if (f->descs == avail)
			return SERVER_HALF;
		d = memif_desc_load(&q->ring->desc[(uint16_t)(t + f->descs++) & q->mask]);
		src = memif_server_data(m, &d);
		if (p2p_unlikely(!src))
			return SERVER_BAD;
		for (len = d.length; len && !refuse;) {
			struct p2p_seg *s = f->segs ? &segs[f->segs - 1] : NULL;
			uint32_t k;

			if (!s || f->room == 0) {
				if (f->segs == P2P_MAX_SEGS) {
					refuse = true;
					break;
				}
				if (f->segs == n || f->segs == pool)
					return SERVER_WAIT;
				if (s)
					s->flags = P2P_SEG_MORE;
				s = &segs[f->segs];
				*s = m->pool[(m->pool_tail + f->segs++) & m->pool_mask];
				f->room = s->len;
				s->len = 0;
				s->flags = 0;
				s->pad = 0;
			}
			k = len < f->room ? len : f->room;
			frame_copy(s->data + s->len, src, k);
			s->len += k;
			f->room -= k;
			src += k;
			len -= k;
			f->bytes += k;
		}
	} while (d.flags & MEMIF_DESC_NEXT);
	return refuse || !f->bytes ? SERVER_REFUSE : SERVER_TAKEN;
}

static void server_prefetch(const struct memif_port *m, const struct memif_queue *q, uint16_t t)
{
	const struct memif_desc d = memif_desc_load(&q->ring->desc[t & q->mask]);

	if (p2p_likely(d.region < m->nregions))
		__builtin_prefetch((const void *)((uintptr_t)m->region[d.region].base + d.offset));
}

/* A frame has at most so many descriptors; more are not looked at in one go: a ring full of empty ones must not keep the worker. */
static inline unsigned int server_most(const struct memif_queue *q)
{
	return q->size < MEMIF_FRAME_DESCS ? q->size : MEMIF_FRAME_DESCS;
}

/* The frame at q->tail has no end among what is there.  Not looked at again before there is more. */
static __attribute__((noinline)) void server_half(struct memif_port *m, struct memif_queue *q, unsigned int waiting)
{
	if (waiting >= server_most(q))
		memif_violation(m, "C2S frame without an end, or of too many descriptors");
	q->half = (uint16_t)waiting;
}

unsigned int memif_server_rx(struct memif_port *m, struct memif_queue *q, struct p2p_seg *segs, unsigned int n)
{
	const uint16_t head = memif_index_load(&q->ring->head);
	const unsigned int waiting = (uint16_t)(head - q->tail);
	unsigned int avail = waiting, out = 0;
	uint64_t frames = 0, bytes = 0;
	uint16_t t = q->tail;

	if (p2p_likely(!avail))
		return 0;
	if (p2p_unlikely(avail > q->size)) {
		memif_violation(m, "C2S head too far ahead");
		return 0;
	}
	if (p2p_unlikely(avail == q->half))
		return 0;
	q->half = 0;
	avail = avail < server_most(q) ? avail : server_most(q);
	for (unsigned int i = 0; i < 4 && i < avail; i++)
		server_prefetch(m, q, (uint16_t)(t + i));
	while (avail && out < n) {
		struct server_frame f;
		enum server_take took;

		if (avail > 4)
			server_prefetch(m, q, (uint16_t)(t + 4));
		took = server_take(m, q, t, avail, segs + out, n - out, &f);
		if (p2p_unlikely(took == SERVER_BAD)) {
			memif_violation(m, "C2S descriptor outside its region");
			break;
		}
		if (took == SERVER_HALF && t == q->tail)
			server_half(m, q, waiting);
		if (took == SERVER_WAIT || took == SERVER_HALF)
			break;
		t = (uint16_t)(t + f.descs);
		avail -= f.descs;
		if (p2p_unlikely(took == SERVER_REFUSE)) {
			p2p_count(&m->port.stats.rx_refused, 1);
			continue;
		}
		m->pool_tail += f.segs;
		out += f.segs;
		frames++;
		bytes += f.bytes;
	}
	if (p2p_unlikely(memif_server_hit(m))) {
		/* Some of it was never the sender's: none of this burst is delivered. */
		m->pool_tail -= out;
		memif_violation(m, "the far end cut its memory short");
		return 0;
	}
	q->tail = t;
	memif_index_store(&q->ring->tail, t);
	p2p_count(&m->port.stats.rx_frames, frames);
	p2p_count(&m->port.stats.rx_bytes, bytes);
	p2p_count(&m->port.stats.copies, frames);
	return out;
}

/* The frame's bytes and the first descriptor not yet closed. */
struct server_cursor {
	uint8_t *dst;
	uint32_t room, filled;
	unsigned int descs;
};

static inline void server_close_desc(struct memif_queue *q, uint16_t t, uint32_t filled, uint16_t flags)
{
	struct memif_desc *d = &q->ring->desc[t & q->mask];

	__atomic_store_n(&d->length, filled, __ATOMIC_RELAXED);
	__atomic_store_n(&d->flags, flags, __ATOMIC_RELAXED);
}

/* Copies one frame of n segments into the buffers from ring index t on.  False: too few of them, or a violation. */
static bool server_put(struct memif_port *m, struct memif_queue *q, uint16_t t, unsigned int avail,
		       const struct p2p_seg *segs, unsigned int n, struct server_cursor *c)
{
	if (p2p_likely(n == 1 && avail)) {
		const struct memif_desc d = memif_desc_load(&q->ring->desc[t & q->mask]);
		uint8_t *dst = memif_server_data(m, &d);

		if (p2p_likely(dst && segs->len && d.length >= segs->len)) {
			frame_copy(dst, segs->data, segs->len);
			server_close_desc(q, t, segs->len, 0);
			c->descs = 1;
			return true;
		}
	}
	*c = (struct server_cursor){ 0 };
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *src = segs[i].data;
		uint32_t len = segs[i].len;

		while (len) {
			uint32_t k;

			if (c->room == c->filled) {
				struct memif_desc d;

				if (c->descs == avail)
					return false;
				if (c->descs)
					server_close_desc(q, (uint16_t)(t + c->descs - 1), c->filled, MEMIF_DESC_NEXT);
				d = memif_desc_load(&q->ring->desc[(uint16_t)(t + c->descs) & q->mask]);
				c->dst = memif_server_data(m, &d);
				if (p2p_unlikely(!c->dst || !d.length)) {
					memif_violation(m, "S2C buffer empty or outside its region");
					return false;
				}
				c->descs++;
				c->room = d.length;
				c->filled = 0;
			}
			k = c->room - c->filled < len ? c->room - c->filled : len;
			frame_copy(c->dst + c->filled, src, k);
			c->filled += k;
			src += k;
			len -= k;
		}
	}
	if (c->descs)
		server_close_desc(q, (uint16_t)(t + c->descs - 1), c->filled, 0);
	return true;
}

unsigned int memif_server_tx(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
			     unsigned int n)
{
	const uint16_t head = memif_index_load(&q->ring->head);
	unsigned int avail = (uint16_t)(head - q->tail), i = 0;
	uint64_t frames = 0, bytes = 0, errors = 0;
	const unsigned int most = server_most(q);
	uint16_t t = q->tail;

	if (p2p_unlikely(avail > q->size)) {
		memif_violation(m, "S2C head too far ahead");
		return 0;
	}
	while (i < n && avail) {
		unsigned int len = 1;
		uint64_t frame_bytes = segs[i].len;
		struct server_cursor c;

		while (i + len <= n && (segs[i + len - 1].flags & P2P_SEG_MORE)) {
			if (i + len < n)
				frame_bytes += segs[i + len].len;
			len++;
		}
		if (i + len > n)
			break;
		if (avail > 2)
			server_prefetch(m, q, (uint16_t)(t + 2));
		if (p2p_likely(server_put(m, q, t, avail < most ? avail : most, segs + i, len, &c))) {
			t = (uint16_t)(t + c.descs);
			avail -= c.descs;
			frames++;
			bytes += frame_bytes;
		} else if (m->broken || avail < most) {
			break;
		} else {
			errors++; /* no ring, or not as many buffers as a frame may have, hold it */
		}
		i += len;
	}
	if (p2p_unlikely(memif_server_hit(m))) {
		memif_violation(m, "the far end cut its memory short");
		p2p_count(&m->port.stats.tx_lost, frames);
		return i;
	}
	q->tail = t;
	memif_index_store(&q->ring->tail, t);
	p2p_count(&m->port.stats.tx_frames, frames);
	p2p_count(&m->port.stats.tx_bytes, bytes);
	p2p_count(&m->port.stats.copies, frames);
	if (errors)
		p2p_count(&m->port.stats.tx_error, errors);
	return i;
}
