/* SPDX-License-Identifier: BSD-3-Clause */
/* What NICs are told of each other: maps, tables, wake-ups, pairs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "driver/drv_internal.h"

static const char *bus_reason(enum bus_why why)
{
	switch (why) {
	case BUS_UNKNOWN:
		return "the kernel does not say what its IOMMU takes";
	case BUS_UNTAKEN:
		return "its IOMMU does not take that";
	case BUS_OCCUPIED:
		return "something else of the mesh lies there";
	case BUS_TOLD:
		return "NICs that run were told the other";
	default:
		return "it has none";
	}
}

static void bus_note(struct drv *d)
{
	unsigned int i, others = 0;
	struct drv_nic *first = NULL;

	for (i = 0; i < d->n; i++) {
		struct drv_nic *nic = &d->nic[i];

		if (!nic->t->space || nic->why == BUS_OWN)
			continue;
		others += first != NULL;
		first = first ? first : nic;
	}
	if (!first)
		return;
	drv_note(d, "peers reach %s at bus address 0x%" PRIx64 ", not at its BAR's own (0x%" PRIx64 ": %s)", first->name,
		 drv_peer_base(d, first->index), first->t->bar2, bus_reason(first->why));
	if (others)
		drv_note(d, "%u more likewise", others);
	drv_note(d, "by way of the root complex, below one switch too");
}

int drv_bus_place(struct drv *d)
{
	static const char *const lent[] = { "main memory's areas", "main memory's pool", "punt rings" };
	struct bus_item item[DRV_BUS_ITEMS] = { 0 };
	const struct bus_space *space = d->n ? d->nic[0].t->space : NULL; /* all share it, or none do */
	unsigned int i, at;

	for (i = 0; i < d->n; i++)
		item[d->nic[i].index] = (struct bus_item){ .bytes = d->nic[i].mem_bytes, .own = d->nic[i].t->bar2, .base = d->nic[i].told };
	for (i = DRV_BUS_AREA; i < DRV_BUS_ITEMS; i++)
		item[i].bytes = 1ull << d->bus_shift;
	if (bus_place(space, d->bus_shift, item, DRV_BUS_ITEMS, &at))
		return drv_fail(d, -ENOSPC, "its IOMMU and the memory of this machine's PCI functions leave no bus addresses for %s",
				at >= DRV_BUS_AREA ? lent[at - DRV_BUS_AREA] : drv_by_index(d, at)->name);
	for (i = 0; i < DRV_BUS_ITEMS; i++)
		d->bus[i] = item[i].base;
	for (i = 0; i < d->n; i++)
		d->nic[i].why = item[d->nic[i].index].why;
	bus_note(d);
	return 0;
}

static int peer_map_segment(struct drv *d, struct drv_nic *nic, struct drv_nic *peer, unsigned int seg, uint32_t prot)
{
	uint64_t bytes = p2p_seg_bytes(&peer->shape, p2p_seg_kind(&peer->shape, seg));
	uint64_t bus = drv_peer_base(d, peer->index) + p2p_seg_offset(&peer->shape, seg);
	struct p2p_region_info info;
	int rc;

	rc = peer->t->ops->region_info(peer->t, P2P_REGION_SEGMENT + seg, &info);
	if (rc)
		return drv_fail(d, rc, "%s: no region for segment %u: %s", peer->name, seg, drv_why(peer, rc));
	if (info.fd < 0)
		return drv_fail(d, -EACCES, "%s: segment %u can't be shared with other NICs", peer->name, seg);
	if (info.size < bytes)
		rc = drv_fail(d, -EPROTO, "%s: segment %u has %" PRIu64 " bytes, %" PRIu64 " expected", peer->name, seg,
			      info.size, bytes);
	if (!rc) {
		rc = nic->t->ops->dma_map(nic->t, bus, bytes, info.fd, info.fd_offset, prot);
		if (rc)
			drv_fail(d, rc, "%s: mapping segment %u of %s failed: %s", nic->name, seg, peer->name,
				 drv_why(nic, rc));
	}
	close(info.fd);
	return rc;
}

/* plane: index of its first segment. */
static int peer_map_plane(struct drv *d, struct drv_nic *nic, struct drv_nic *peer, unsigned int plane)
{
	const struct p2p_shape *s = &peer->shape;
	unsigned int p;
	int rc;

	rc = peer_map_segment(d, nic, peer, plane + p2p_seg_ring(s, nic->index), P2P_DMA_READ | P2P_DMA_WRITE);
	for (p = 0; !rc && p <= s->ports; p++)
		rc = peer_map_segment(d, nic, peer, plane + p2p_seg_buf(s, p, nic->index), P2P_DMA_READ | P2P_DMA_WRITE);
	for (p = 0; !rc && d->opts.mode == P2P_MODE_RD && p < s->ports; p++)
		rc = peer_map_segment(d, nic, peer, plane + p2p_seg_rx(s, p), P2P_DMA_READ);
	return rc;
}

int drv_peer_map(struct drv *d, struct drv_nic *nic, struct drv_nic *peer)
{
	unsigned int q;
	int rc = 0;

	for (q = 0; !rc && q < p2p_queues(&peer->shape); q++)
		rc = peer_map_plane(d, nic, peer, q * p2p_seg_count(&peer->shape));
	return rc;
}

/* Where a peer's shared segments lie, by its shape or by what a NIC was told. */
struct peer_view {
	uint64_t base, ring, ring_bytes, buf, buf_step, buf_bytes, rx, rx_step, queue_step;
	uint32_t ports, queues;
};

static int peer_unmap(struct drv *d, struct drv_nic *nic, unsigned int peer, uint64_t at, uint64_t bytes)
{
	int rc;

	rc = nic->t->ops->dma_unmap(nic->t, at, bytes);
	if (rc && rc != -ENOENT)
		return drv_fail(d, rc, "%s: unmapping NIC %u failed: %s", nic->name, peer, drv_why(nic, rc));
	return 0;
}

static int peer_unmap_view(struct drv *d, struct drv_nic *nic, unsigned int peer, const struct peer_view *v)
{
	unsigned int p, q;
	uint64_t at;
	int rc = 0;

	for (q = 0; !rc && q < v->queues; q++) {
		at = v->base + q * v->queue_step;
		rc = peer_unmap(d, nic, peer, at + v->ring, v->ring_bytes);
		for (p = 0; !rc && p <= v->ports; p++)
			rc = peer_unmap(d, nic, peer, at + v->buf + p * v->buf_step, v->buf_bytes);
		for (p = 0; !rc && p < v->ports; p++)
			rc = peer_unmap(d, nic, peer, at + v->rx + p * v->rx_step, v->rx_step);
	}
	return rc;
}

int drv_peer_unmap(struct drv *d, struct drv_nic *nic, struct drv_nic *peer)
{
	const struct p2p_shape *s = &peer->shape;
	struct peer_view v = {
		.base = drv_peer_base(d, peer->index),
		.ring = p2p_seg_offset(s, p2p_seg_ring(s, nic->index)),
		.ring_bytes = p2p_seg_bytes(s, P2P_SEG_RING),
		.buf = p2p_seg_offset(s, p2p_seg_buf(s, 0, nic->index)),
		.buf_step = p2p_seg_offset(s, p2p_seg_buf(s, 1, nic->index)) -
			    p2p_seg_offset(s, p2p_seg_buf(s, 0, nic->index)),
		.buf_bytes = p2p_seg_bytes(s, P2P_SEG_BUF),
		.rx = p2p_seg_offset(s, p2p_seg_rx(s, 0)),
		.rx_step = p2p_seg_bytes(s, P2P_SEG_RX),
		.queue_step = p2p_plane_bytes(s),
		.ports = s->ports,
		.queues = p2p_queues(s),
	};

	return peer_unmap_view(d, nic, peer->index, &v);
}

int drv_peer_forget(struct drv *d, struct drv_nic *nic, unsigned int peer)
{
	struct peer_view v = { .queue_step = 0 };
	struct p2p_shape s = { .nics = d->max_nics };
	uint64_t ports, slots, buf_size, rx_bytes;
	int rc;

	rc = drv_reg_write(d, nic, drv_peer_reg(peer, P2P_PEER_CTRL), 4, 0);
	if (!rc)
		rc = drv_reg_await(d, nic, drv_peer_reg(peer, P2P_PEER_CTRL), 1, 0, &ports);
	if (rc == -ETIMEDOUT)
		return drv_fail(d, rc, "%s does not stop using NIC %u", nic->name, peer);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_BAR2), 8, &v.base);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_RING), 8, &v.ring);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_BUF), 8, &v.buf);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_BUF_STEP), 8, &v.buf_step);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_RX), 8, &v.rx);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_RX_BYTES), 8, &rx_bytes);
	if (!rc && drv_has_queues(nic))
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_QUEUE_STEP), 8, &v.queue_step);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_PORTS), 4, &ports);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_SLOTS), 4, &slots);
	if (!rc)
		rc = drv_reg_read(d, nic, drv_peer_reg(peer, P2P_PEER_BUF_SIZE), 4, &buf_size);
	if (rc)
		return rc;
	if (!ports || ports > P2P_MAX_PORTS || !slots || slots > P2P_MAX_SLOTS || !buf_size || buf_size > 16384)
		return 0; /* never introduced */
	s.ports = v.ports = (uint32_t)ports;
	v.queues = d->queues;
	s.slots = (uint32_t)slots;
	s.buf_size = (uint32_t)buf_size;
	v.rx_step = rx_bytes / ports;
	v.ring_bytes = p2p_seg_bytes(&s, P2P_SEG_RING);
	v.buf_bytes = p2p_seg_bytes(&s, P2P_SEG_BUF);
	rc = peer_unmap_view(d, nic, peer, &v);
	/* Not before: by it the next driver finds what this one had yet to unmap. */
	return rc ? rc : drv_reg_write(d, nic, drv_peer_reg(peer, P2P_PEER_PORTS), 4, 0);
}

int drv_peer_describe(struct drv *d, struct drv_nic *nic, struct drv_nic *peer)
{
	const struct p2p_shape *s = &peer->shape;
	uint64_t buf = p2p_seg_offset(s, p2p_seg_buf(s, 0, nic->index));
	struct { uint32_t off, bytes; uint64_t v; } reg[] = {
		{ P2P_PEER_BAR2, 8, peer == nic ? DRV_BUS_LOCAL : drv_peer_base(d, peer->index) },
		{ P2P_PEER_RING, 8, p2p_seg_offset(s, p2p_seg_ring(s, nic->index)) },
		{ P2P_PEER_BUF, 8, buf },
		{ P2P_PEER_BUF_STEP, 8, p2p_seg_offset(s, p2p_seg_buf(s, 1, nic->index)) - buf },
		{ P2P_PEER_RX, 8, p2p_seg_offset(s, p2p_seg_rx(s, 0)) },
		{ P2P_PEER_RX_BYTES, 8, s->ports * p2p_seg_bytes(s, P2P_SEG_RX) },
		{ P2P_PEER_PORTS, 4, s->ports },
		{ P2P_PEER_SLOTS, 4, s->slots },
		{ P2P_PEER_BUF_SIZE, 4, s->buf_size },
	};
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < P2P_ARRAY_SIZE(reg); i++)
		rc = drv_reg_write(d, nic, drv_peer_reg(peer->index, reg[i].off), reg[i].bytes, reg[i].v);
	if (!rc && drv_has_queues(nic))
		rc = drv_reg_write(d, nic, drv_peer_reg(peer->index, P2P_PEER_QUEUE_STEP), 8, p2p_plane_bytes(s));
	return rc;
}

int drv_peer_introduce(struct drv *d, struct drv_nic *nic, struct drv_nic *peer)
{
	uint64_t taken;
	int rc;

	rc = drv_peer_describe(d, nic, peer);
	if (!rc)
		rc = drv_reg_write(d, nic, drv_peer_reg(peer->index, P2P_PEER_CTRL), 4, 1);
	if (!rc)
		rc = drv_reg_await(d, nic, drv_peer_reg(peer->index, P2P_PEER_CTRL), 1, 1, &taken);
	if (rc == -ETIMEDOUT)
		rc = drv_fail(d, -EIO, "%s: refuses %s as a peer; do both have buffers that the stride divides?", nic->name,
			      peer->name);
	return rc;
}

void drv_wake_close(struct drv *d)
{
	unsigned int i, q;

	for (q = 0; q < P2P_MAX_QUEUES; q++) {
		for (i = 0; i < P2P_MAX_NICS; i++) {
			if (d->wake_fd[q][i] >= 0)
				close(d->wake_fd[q][i]);
			d->wake_fd[q][i] = -1;
		}
	}
}

static int wake_set(struct drv *d, struct drv_nic *nic, unsigned int irq, unsigned int vector, int fd)
{
	int rc;

	if (nic->t->flags & TRANSPORT_HELD)
		return 0;
	rc = nic->t->ops->irq_set(nic->t, irq, vector, 1, &fd);
	if (rc)
		return drv_fail(d, rc, "%s: handing over wake-up %u failed: %s", nic->name, vector, strerror(-rc));
	return 0;
}

/*
 * Queue q of NIC j, to it and to the same queue of the others in who (a bit by place).  Whoever does not take it keeps nobody else
 * from it: what NICs that live have fits together.
 */
static int wake_queue(struct drv *d, unsigned int j, unsigned int q, uint32_t who)
{
	unsigned int i, bell = q * P2P_MAX_NICS + d->nic[j].index;
	int fd, err, rc;

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return drv_fail(d, -errno, "no eventfd: %s; raise the limit on open files", strerror(errno));
	d->wake_fd[q][d->nic[j].index] = fd;
	rc = wake_set(d, &d->nic[j], P2P_IRQ_WAKE, q, fd);
	if (rc)
		return rc;
	for (i = 0; i < d->n; i++) {
		if (i == j || !(who & 1u << i))
			continue;
		err = wake_set(d, &d->nic[i], P2P_IRQ_BELL, bell, fd);
		rc = err ? err : rc;
	}
	return rc;
}

int drv_wake_forget(struct drv *d, struct drv_nic *nic, unsigned int peer)
{
	unsigned int q;
	int rc = 0;

	for (q = 0; !rc && q < d->queues; q++)
		rc = wake_set(d, nic, P2P_IRQ_BELL, q * P2P_MAX_NICS + peer, -1);
	return rc;
}

int drv_wake_all(struct drv *d)
{
	unsigned int j, q;
	int rc = 0;

	drv_wake_close(d);
	for (j = 0; j < d->n; j++) {
		for (q = 0; !rc && q < d->queues; q++)
			rc = wake_queue(d, j, q, UINT32_MAX);
		d->bn.nic[d->nic[j].index].wake_fd = d->wake_fd[0][d->nic[j].index];
		if (!rc && d->bn.host_fd >= 0)
			rc = wake_set(d, &d->nic[j], P2P_IRQ_BELL, d->nic[j].index, d->bn.host_fd);
		if (rc)
			return rc;
	}
	return 0;
}

void drv_wake_again(struct drv *d, uint32_t who)
{
	unsigned int j, q;

	drv_wake_close(d);
	for (j = 0; j < d->n; j++)
		for (q = 0; who & 1u << j && q < d->queues; q++)
			wake_queue(d, j, q, who);
}

static bool pair_same(const struct drv_pair *x, const struct drv_pair *y)
{
	return (x->a == y->a && x->a_port == y->a_port) || (x->a == y->b && x->a_port == y->b_port) ||
	       (x->b == y->a && x->b_port == y->a_port) || (x->b == y->b && x->b_port == y->b_port);
}

int drv_pairs_check(struct drv *d, const struct drv_opts *o)
{
	unsigned int k, m;

	for (k = 0; k < o->num_pairs; k++) {
		const struct drv_pair *p = &o->pairs[k];
		const struct { unsigned int nic, port; } end[2] = { { p->a, p->a_port }, { p->b, p->b_port } };

		for (m = 0; m < 2; m++) {
			if (end[m].nic >= d->n)
				return drv_fail(d, -EINVAL, "pair %u names NIC %u, there are %u", k, end[m].nic, d->n);
			if (end[m].port >= d->nic[end[m].nic].ports)
				return drv_fail(d, -EINVAL, "%s has no port %u: its ports are 0 to %u",
						d->nic[end[m].nic].name, end[m].port, d->nic[end[m].nic].ports - 1);
		}
		if (p->a == p->b && p->a_port == p->b_port)
			return drv_fail(d, -EINVAL, "%s port %u is paired with itself", d->nic[p->a].name, p->a_port);
		for (m = 0; m < k; m++)
			if (pair_same(p, &o->pairs[m]))
				return drv_fail(d, -EINVAL, "pairs %u and %u share a port; a port has one pair", m, k);
	}
	return 0;
}

static void pair_wanted(struct drv *d, unsigned int nic, unsigned int port, uint32_t *v)
{
	const struct drv_opts *o = &d->opts;
	unsigned int k;

	*v = 0;
	for (k = 0; k < o->num_pairs; k++) {
		const struct drv_pair *p = &o->pairs[k];

		if (p->a == nic && p->a_port == port)
			*v = P2P_PAIR(d->nic[p->b].index, p->b_port);
		else if (p->b == nic && p->b_port == port)
			*v = P2P_PAIR(d->nic[p->a].index, p->a_port);
	}
}

int drv_pairs_write(struct drv *d)
{
	unsigned int i, p;
	uint32_t want;
	uint64_t have;
	int rc = 0;

	for (i = 0; i < d->n; i++) {
		for (p = 0; p < d->nic[i].ports; p++) {
			pair_wanted(d, i, p, &want);
			rc = drv_reg_read(d, &d->nic[i], drv_port_reg(p, P2P_PORT_PAIR), 4, &have);
			if (!rc && have != want)
				rc = drv_reg_write(d, &d->nic[i], drv_port_reg(p, P2P_PORT_PAIR), 4, want);
			if (rc)
				return rc;
		}
	}
	return 0;
}
