/* SPDX-License-Identifier: BSD-3-Clause */
/* Routing areas, punt and inject rings, as the host has them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "driver/drv_internal.h"
#include "driver/route.h"

#define ROUTE_IRQ_MSIX 2
#define ROUTE_VECTOR_PUNT 2 /* BOARD_VEC_PUNT of firmware/board.h, which the driver does not include */
#define ROUTE_TELL 32u      /* slots taken before the NIC is told, while there are more */

struct route_queue {
	struct p2p_punt_ring *ring; /* written by the NIC */
	uint32_t cons, told;
};

struct route_nic {
	struct drv_nic *nic;
	void *area;
	struct p2p_inject_head *inject; /* in device memory, written by us; its slots follow */
	uint8_t *host;                  /* the punt rings of all queues */
	int host_fd, event_fd;
	struct route_queue q[P2P_MAX_QUEUES];
	unsigned int turn; /* the queue that is looked at first */
	uint32_t arm, session;
	uint32_t prod, done; /* inject */
	struct drv_route_stats stats;
};

struct drv_route {
	struct drv *d;
	unsigned int queues;
	struct route_nic nic[P2P_MAX_NICS]; /* by NIC_INDEX */
};

static uint64_t route_host_bytes(const struct drv_route *r)
{
	return (uint64_t)r->queues * P2P_PUNT_BYTES;
}

static uint64_t route_seg_bytes(const struct route_nic *n, enum p2p_seg_kind kind)
{
	return p2p_seg_bytes(&n->nic->shape, kind);
}

/* A register of a call that has no error text. */
static int route_write(struct route_nic *n, uint32_t off, uint32_t v)
{
	le32 raw = to_le32(v);

	return n->nic->t->ops->region_write(n->nic->t, DRV_REGION_BAR0, off, &raw, sizeof(raw));
}

static int route_map(struct drv_route *r, struct route_nic *n)
{
	const struct p2p_shape *s = &n->nic->shape;
	void *p;
	int rc;

	rc = transport_region_mmap(n->nic->t, P2P_REGION_SEGMENT + p2p_seg_route(s), route_seg_bytes(n, P2P_SEG_ROUTE), &n->area);
	if (!rc) {
		rc = transport_region_mmap(n->nic->t, P2P_REGION_SEGMENT + p2p_seg_inject(s), route_seg_bytes(n, P2P_SEG_INJECT), &p);
		n->inject = rc ? NULL : p;
	}
	if (rc)
		return drv_fail(r->d, rc, "%s: mapping its routing area failed: %s", n->nic->name, strerror(-rc));
	return 0;
}

/*
 * Host memory that the NIC writes; what a former driver had mapped there goes: as much as here, since the number of queues changes
 * by a reset alone, which takes all maps.  PUNT_RING names the place before it is mapped: should this driver die, the next one
 * finds it.  The NIC looks there when a session begins.
 */
static int route_map_host(struct drv_route *r, struct route_nic *n)
{
	const struct transport_ops *ops = n->nic->t->ops;
	uint64_t former, base = drv_punt_base(r->d, n->nic->index);
	int rc;

	rc = drv_host_memory(r->d, "p2pnic punt rings", route_host_bytes(r), &n->host_fd, &n->host);
	if (!rc)
		rc = drv_reg_write(r->d, n->nic, P2P_PUNT_SESSION, 4, 0);
	if (!rc)
		rc = drv_reg_read(r->d, n->nic, P2P_PUNT_RING, 8, &former);
	if (rc)
		return rc;
	rc = former ? ops->dma_unmap(n->nic->t, former, route_host_bytes(r)) : 0;
	if (rc && rc != -ENOENT)
		return drv_fail(r->d, rc, "%s: unmapping a former router's memory failed: %s", n->nic->name, drv_why(n->nic, rc));
	rc = drv_reg_write(r->d, n->nic, P2P_PUNT_RING, 8, base);
	if (rc)
		return rc;
	rc = ops->dma_map(n->nic->t, base, route_host_bytes(r), n->host_fd, 0, P2P_DMA_READ | P2P_DMA_WRITE);
	if (rc)
		return drv_fail(r->d, rc, "%s: mapping main memory for punted frames failed: %s", n->nic->name, drv_why(n->nic, rc));
	return 0;
}

static int route_session(struct drv_route *r, struct route_nic *n)
{
	unsigned int q;

	if (getrandom(&n->session, sizeof(n->session), 0) != sizeof(n->session))
		return drv_fail(r->d, -EIO, "no random numbers: %s", strerror(errno));
	n->session = (n->session & 0x3fffffff) + 1;
	n->prod = n->done = n->session;
	for (q = 0; q < r->queues; q++) {
		n->q[q].ring = (struct p2p_punt_ring *)(n->host + (uint64_t)q * P2P_PUNT_BYTES);
		n->q[q].cons = n->q[q].told = n->session;
		le32_store_release(&n->inject->punt[q].w[P2P_HL_ARM], n->arm);
		le32_store_release(&n->inject->punt[q].w[P2P_HL_CONS], n->session);
	}
	le32_store_release(&n->inject->inject.w[P2P_IL_PROD], n->session);
	return drv_reg_write(r->d, n->nic, P2P_PUNT_SESSION, 4, n->session);
}

static int route_open_nic(struct drv_route *r, struct route_nic *n)
{
	int rc;

	if (!n->nic->shape.route_bytes)
		return drv_fail(r->d, -EINVAL, "%s runs without routing; bring it up with --route", n->nic->name);
	n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (n->event_fd < 0)
		return drv_fail(r->d, -errno, "no eventfd: %s; raise the limit on open files", strerror(errno));
	rc = route_map(r, n);
	if (!rc)
		rc = route_map_host(r, n);
	if (rc)
		return rc;
	rc = n->nic->t->ops->irq_set(n->nic->t, ROUTE_IRQ_MSIX, ROUTE_VECTOR_PUNT, 1, &n->event_fd);
	if (rc)
		return drv_fail(r->d, rc, "%s: handing over the punt interrupt failed: %s", n->nic->name, strerror(-rc));
	return route_session(r, n);
}

int drv_route_open(struct drv *d, struct drv_route **out)
{
	struct drv_route *r = calloc(1, sizeof(*r));
	unsigned int i;
	int rc = 0;

	if (!r)
		return drv_fail(d, -ENOMEM, "out of memory");
	r->d = d;
	r->queues = d->queues;
	for (i = 0; i < P2P_MAX_NICS; i++)
		r->nic[i].host_fd = r->nic[i].event_fd = -1;
	for (i = 0; i < d->n; i++)
		r->nic[i].nic = drv_by_index(d, i);
	for (i = 0; !rc && i < d->n; i++)
		rc = route_open_nic(r, &r->nic[i]);
	if (rc) {
		drv_route_close(r);
		return rc;
	}
	*out = r;
	return 0;
}

static void route_close_nic(struct drv_route *r, struct route_nic *n)
{
	const int none = -1;

	if (n->session)
		route_write(n, P2P_PUNT_SESSION, 0);
	if (n->event_fd >= 0) {
		n->nic->t->ops->irq_set(n->nic->t, ROUTE_IRQ_MSIX, ROUTE_VECTOR_PUNT, 1, &none);
		close(n->event_fd);
	}
	if (n->host) {
		n->nic->t->ops->dma_unmap(n->nic->t, drv_punt_base(r->d, n->nic->index), route_host_bytes(r));
		munmap(n->host, route_host_bytes(r));
	}
	if (n->host_fd >= 0)
		close(n->host_fd);
	if (n->inject)
		munmap(n->inject, route_seg_bytes(n, P2P_SEG_INJECT));
	if (n->area)
		munmap(n->area, route_seg_bytes(n, P2P_SEG_ROUTE));
}

void drv_route_close(struct drv_route *r)
{
	unsigned int i;

	if (!r)
		return;
	for (i = 0; i < r->d->n; i++)
		route_close_nic(r, &r->nic[i]);
	free(r);
}

void *drv_route_area(struct drv_route *r, unsigned int nic, uint64_t *bytes)
{
	*bytes = r->nic[nic].nic->shape.route_bytes;
	return r->nic[nic].area;
}

unsigned int drv_route_contexts(const struct drv_route *r)
{
	return r->queues;
}

int drv_route_used(struct drv_route *r, unsigned int nic)
{
	uint64_t v;
	int rc = drv_reg_read(r->d, r->nic[nic].nic, P2P_ROUTE_TABLE, 4, &v);

	return rc ? rc : (int)(v & 1);
}

int drv_route_use(struct drv_route *r, unsigned int nic, bool on)
{
	struct drv_nic *n = r->nic[nic].nic;
	int rc = drv_reg_write(r->d, n, P2P_ROUTE_TABLE, 4, on);
	uint64_t v;

	/* A NIC that says no says so at once, but for one that waits for its DMA. */
	if (!rc && n->t->flags & TRANSPORT_HELD) {
		rc = drv_reg_await(r->d, n, P2P_ROUTE_TABLE, 1, on, &v);
		rc = rc == -ETIMEDOUT ? !on : rc ? rc : on;
	} else if (!rc) {
		rc = drv_route_used(r, nic);
	}
	if (rc < 0 || rc == on)
		return rc < 0 ? rc : 0;
	return drv_fail(r->d, -EBADMSG, "%s does not take its routing area: the head makes no sense", r->nic[nic].nic->name);
}

bool drv_route_lost(struct drv_route *r, unsigned int nic)
{
	uint64_t v;

	return drv_reg_read(r->d, r->nic[nic].nic, P2P_STATUS, 4, &v) == -ENOTCONN;
}

unsigned int drv_route_ports(const struct drv_route *r, unsigned int nic)
{
	return r->nic[nic].nic->ports;
}

int drv_route_port_mac(struct drv_route *r, unsigned int nic, unsigned int port, uint8_t mac[6])
{
	uint64_t v;
	le64 raw;
	int rc;

	rc = drv_reg_read(r->d, r->nic[nic].nic, drv_port_reg(port, P2P_PORT_ROUTER_MAC), 8, &v);
	if (!rc && !v)
		v = r->nic[nic].nic->mac[port];
	raw = to_le64(v);
	memcpy(mac, &raw, 6);
	return rc;
}

int drv_route_set_port_mac(struct drv_route *r, unsigned int nic, unsigned int port, const uint8_t mac[6])
{
	le64 raw = { 0 };

	memcpy(&raw, mac, 6);
	return drv_reg_write(r->d, r->nic[nic].nic, drv_port_reg(port, P2P_PORT_ROUTER_MAC), 8, from_le64(raw));
}

int drv_route_link(struct drv_route *r, unsigned int nic, unsigned int port, bool *up)
{
	uint64_t v;
	int rc = drv_reg_read(r->d, r->nic[nic].nic, drv_port_reg(port, P2P_PORT_LINK), 4, &v);

	*up = !rc && v == 1;
	return rc;
}

int drv_route_set_rpf(struct drv_route *r, unsigned int nic, unsigned int port, enum p2p_rpf rpf)
{
	return drv_reg_write(r->d, r->nic[nic].nic, drv_port_reg(port, P2P_PORT_RPF), 4, rpf);
}

int drv_route_set_rate(struct drv_route *r, unsigned int nic, enum p2p_punt reason, uint32_t per_second)
{
	return drv_reg_write(r->d, r->nic[nic].nic, P2P_PUNT_RATE_BLOCK + 4 * reason, 4, per_second);
}

void drv_route_hop_count(struct drv_route *r, unsigned int nic, uint32_t hop, uint64_t *packets, uint64_t *bytes)
{
	const struct p2p_route_head *h = r->nic[nic].area;
	uint64_t at = from_le32(h->counts_at), step = from_le32(h->counts_step), size = r->nic[nic].nic->shape.route_bytes;
	const struct p2p_hop_count *c;
	unsigned int q;

	*packets = *bytes = 0;
	if (from_le32(h->magic) != P2P_ROUTE_MAGIC || hop >= from_le32(h->hops) ||
	    at + (r->queues - 1) * step + (hop + 1ull) * sizeof(*c) > size)
		return;
	for (q = 0; q < r->queues; q++) {
		c = (const struct p2p_hop_count *)((const uint8_t *)h + at + q * step) + hop;
		*packets += P2P_SWAP64(__atomic_load_n(&c->packets.raw, __ATOMIC_RELAXED));
		*bytes += P2P_SWAP64(__atomic_load_n(&c->bytes.raw, __ATOMIC_RELAXED));
	}
}

/* ---- punts ---- */

static bool punt_valid(const struct route_queue *q)
{
	return le32_load_acquire(&q->ring->slot[q->cons & (P2P_PUNT_SLOTS - 1)].line.w[P2P_PS_SEQ]) == q->cons;
}

static void punt_tell(struct route_nic *n, unsigned int q)
{
	if (n->q[q].told == n->q[q].cons)
		return;
	n->q[q].told = n->q[q].cons;
	le32_store_release(&n->inject->punt[q].w[P2P_HL_CONS], n->q[q].cons);
}

/* The NIC says that it has gone past slots that are still not there: they never will be. */
static bool punt_skip_lost(struct route_nic *n, struct route_queue *q)
{
	uint32_t prod = le32_load_acquire(&q->ring->head.w[P2P_PH_PROD]), ahead = prod - q->cons;

	if (le32_load_acquire(&q->ring->head.w[P2P_PH_SESSION]) != n->session || !ahead || ahead > P2P_PUNT_SLOTS || punt_valid(q))
		return false;
	q->cons++;
	n->stats.lost++;
	return true;
}

static bool punt_take(struct route_nic *n, struct route_queue *q, struct drv_punt *p, uint8_t *buf)
{
	const struct p2p_punt_slot *s = &q->ring->slot[q->cons & (P2P_PUNT_SLOTS - 1)];
	uint32_t what = le32_load_acquire(&s->line.w[P2P_PS_WHAT]);

	p->len = P2P_PS_LEN(what);
	p->port = P2P_PS_PORT(what);
	p->reason = (enum p2p_punt)P2P_PS_REASON(what);
	p->hop = le32_load_acquire(&s->line.w[P2P_PS_HOP]);
	p->queue = (unsigned int)(q - n->q);
	q->cons++;
	if (p->len > P2P_PUNT_ROOM || p->port >= n->nic->ports || P2P_PS_REASON(what) >= P2P_NUM_PUNTS) {
		n->stats.bad++;
		return false;
	}
	memcpy(buf, s->frame, p->len);
	n->stats.punted++;
	return true;
}

int drv_punt_next(struct drv_route *r, unsigned int nic, struct drv_punt *p, uint8_t *buf)
{
	struct route_nic *n = &r->nic[nic];
	unsigned int k, q;

	for (k = 0; k < r->queues; k++) {
		q = (n->turn + k) % r->queues;
		while (punt_valid(&n->q[q]) || punt_skip_lost(n, &n->q[q])) {
			if (!punt_valid(&n->q[q]) || !punt_take(n, &n->q[q], p, buf))
				continue;
			if (n->q[q].cons - n->q[q].told >= ROUTE_TELL)
				punt_tell(n, q);
			n->turn = (q + 1) % r->queues;
			return 1;
		}
		punt_tell(n, q);
	}
	return 0;
}

int drv_punt_fd(struct drv_route *r, unsigned int nic)
{
	return r->nic[nic].event_fd;
}

bool drv_punt_arm(struct drv_route *r, unsigned int nic)
{
	struct route_nic *n = &r->nic[nic];
	unsigned int q;

	n->arm++;
	for (q = 0; q < r->queues; q++)
		le32_store_release(&n->inject->punt[q].w[P2P_HL_ARM], n->arm);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (q = 0; q < r->queues; q++)
		if (punt_valid(&n->q[q]))
			return false;
	return true;
}

/* ---- inject ---- */

static bool inject_room(struct route_nic *n)
{
	const struct p2p_line *head = &n->q[0].ring->head;
	uint32_t done;

	if (n->prod - n->done < P2P_INJECT_SLOTS)
		return true;
	done = le32_load_acquire(&head->w[P2P_PH_INJECT]);
	if (le32_load_acquire(&head->w[P2P_PH_SESSION]) == n->session && done - n->done <= n->prod - n->done)
		n->done = done;
	return n->prod - n->done < P2P_INJECT_SLOTS;
}

int drv_inject(struct drv_route *r, unsigned int nic, unsigned int port, const void *frame, uint32_t len)
{
	struct route_nic *n = &r->nic[nic];
	struct p2p_punt_slot *s = (struct p2p_punt_slot *)(n->inject + 1) + (n->prod & (P2P_INJECT_SLOTS - 1));

	if (len < 14 || len > P2P_MAX_FRAME || port >= n->nic->ports)
		return -EINVAL;
	if (!inject_room(n)) {
		n->stats.inject_full++;
		return -EAGAIN;
	}
	memcpy(s->frame, frame, len);
	le32_store_release(&s->line.w[P2P_PS_WHAT], P2P_PS_WORD(len, port, 0));
	le32_store_release(&s->line.w[P2P_PS_SEQ], n->prod);
	le32_store_release(&n->inject->inject.w[P2P_IL_PROD], ++n->prod);
	n->stats.injected++;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (le32_load_acquire(&n->q[0].ring->head.w[P2P_PH_ASLEEP]))
		return route_write(n, P2P_INJECT_BELL, 1);
	return 0;
}

void drv_route_stats(const struct drv_route *r, unsigned int nic, struct drv_route_stats *st)
{
	*st = r->nic[nic].stats;
}
