/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/xdp_int.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

#define UMEM_HUGE_BYTES ((size_t)2 << 20)
#define UMEM_BUSY_POLL_US 20
#define UMEM_SEND_BYTES (16 << 20)
#define UMEM_SEND_BUDGET 64 /* frames that one system call sends, of the smallest ring at most */

/* ---- memory ---- */

static bool umem_huge(const struct port_region *r)
{
	struct statfs fs;

	return fstatfs(r->fd, &fs) == 0 && (unsigned long)fs.f_type == HUGETLBFS_MAGIC;
}

/* Regions of huge pages first: they must begin at such a page, and the range may have no holes. */
static int umem_place(struct xdp_range *range, const struct port_memory *mem, bool huge)
{
	unsigned int i;
	void *at;

	for (i = 0; i < mem->n; i++) {
		const struct port_region *r = &mem->region[i];

		if (umem_huge(r) != huge)
			continue;
		at = mmap(range->base + range->size, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0);
		if (at == MAP_FAILED)
			return -errno;
		range->at[i] = range->size;
		range->size += r->size;
	}
	return 0;
}

int xdp_umem_map(struct xdp_range *range, const struct port_memory *mem)
{
	size_t bytes = UMEM_HUGE_BYTES;
	unsigned int i;
	int rc;

	memset(range, 0, sizeof(*range));
	for (i = 0; i < mem->n; i++) {
		if (mem->region[i].fd < 0 || !mem->region[i].size)
			return -EINVAL;
		bytes += mem->region[i].size;
	}
	range->map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range->map == MAP_FAILED) {
		range->map = NULL;
		return -ENOMEM;
	}
	range->map_bytes = bytes;
	range->base = (uint8_t *)P2P_ALIGN_UP((uintptr_t)range->map, (uintptr_t)UMEM_HUGE_BYTES);
	rc = umem_place(range, mem, true);
	if (!rc)
		rc = umem_place(range, mem, false);
	if (rc)
		xdp_umem_unmap(range);
	return rc;
}

void xdp_umem_unmap(struct xdp_range *range)
{
	if (range->map)
		munmap(range->map, range->map_bytes);
	memset(range, 0, sizeof(*range));
}

int xdp_umem_config(uint32_t buf_size, uint32_t ring, struct xsk_umem_config *cfg)
{
	if (buf_size < 2048 || buf_size > XDP_CHUNK_MAX)
		return -EMSGSIZE;
	*cfg = (struct xsk_umem_config){
		.fill_size = ring,
		.comp_size = ring,
		.frame_size = buf_size,
		.flags = buf_size & (buf_size - 1) ? XDP_UMEM_UNALIGNED_CHUNK_FLAG : 0,
	};
	return 0;
}

/* ---- sockets ---- */

static void umem_explain(const struct xdp_port *x, int rc, char err[PORT_ERR_MAX])
{
	if (rc == -ENOBUFS || rc == -ENOMEM)
		snprintf(err, PORT_ERR_MAX,
			 "xdp: the kernel cannot pin %llu MiB of device memory: raise `ulimit -l`, grant CAP_IPC_LOCK or use less --slots",
			 (unsigned long long)x->range.size >> 20);
	else if (rc == -EPERM)
		snprintf(err, PORT_ERR_MAX, "xdp: no right to open an AF_XDP socket: needs CAP_NET_RAW: run as root");
	else if (rc == -EINVAL)
		snprintf(err, PORT_ERR_MAX, "xdp: the kernel takes no buffers of %u bytes: use --buf-size 2048 or 4096",
			 x->mem.buf_size);
	else
		snprintf(err, PORT_ERR_MAX, "xdp: cannot register device memory for AF_XDP: %s%s", strerror(-rc),
			 rc == -EAFNOSUPPORT ? ": the kernel has no CONFIG_XDP_SOCKETS" : "");
}

static void socket_explain(const struct xdp_port *x, const struct xdp_queue *q, int rc, char err[PORT_ERR_MAX])
{
	if (rc == -EBUSY)
		snprintf(err, PORT_ERR_MAX, "xdp: queue %u of '%s' is used by another AF_XDP socket: end that or take another queue",
			 q->id, x->ifname);
	else if (rc == -EINVAL)
		snprintf(err, PORT_ERR_MAX, "xdp: '%s' has no queue %u: see `ethtool -l %s`", x->ifname, q->id, x->ifname);
	else if (rc == -EOPNOTSUPP || rc == -EPROTONOSUPPORT)
		snprintf(err, PORT_ERR_MAX, "xdp: the driver of '%s' has no zero-copy AF_XDP: use zerocopy=auto", x->ifname);
	else
		snprintf(err, PORT_ERR_MAX, "xdp: cannot bind to queue %u of '%s': %s", q->id, x->ifname, strerror(-rc));
}

static uint16_t socket_flags(const struct xdp_port *x, bool sg)
{
	uint16_t flags = XDP_USE_NEED_WAKEUP | (sg ? XDP_USE_SG : 0);

	if (!x->first->native || x->zerocopy == XDP_NO)
		return flags | XDP_COPY;
	return x->zerocopy == XDP_YES ? flags | XDP_ZEROCOPY : flags;
}

static void socket_tune(const struct xdp_port *x, const struct xdp_queue *q)
{
	int one = 1, us = UMEM_BUSY_POLL_US, bytes = UMEM_SEND_BYTES, budget = UMEM_SEND_BUDGET;

	/* Only later kernels know it. */
	setsockopt(q->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget));
	/* In copy mode frames on their way count against the socket's send buffer. */
	setsockopt(q->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	if (!x->busy_poll)
		return;
	setsockopt(q->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &one, sizeof(one));
	setsockopt(q->fd, SOL_SOCKET, SO_BUSY_POLL, &us, sizeof(us));
	setsockopt(q->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &x->busy_poll, sizeof(x->busy_poll));
}

static int queue_open(struct xdp_port *x, unsigned int i)
{
	struct xdp_queue *q = &x->q[i];
	struct xsk_socket_config cfg = { .rx_size = x->ring, .tx_size = x->ring,
					 .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD };
	struct xdp_options opts = { 0 };
	socklen_t len = sizeof(opts);
	int rc;

	cfg.bind_flags = socket_flags(x, x->sg);
	q->id = x->first_queue + x->lane_no + i * x->lanes;
	q->fill_max = x->num_bufs / x->queues;
	if (q->fill_max > x->ring)
		q->fill_max = x->ring;
	rc = xsk_socket__create_shared(&q->xsk, x->ifname, q->id, x->umem, &q->rx, i ? NULL : &q->tx, &q->fill, &q->comp,
				       &cfg);
	if (rc) {
		q->xsk = NULL;
		return rc;
	}
	q->fd = xsk_socket__fd(q->xsk);
	socket_tune(x, q);
	if (getsockopt(q->fd, SOL_XDP, XDP_OPTIONS, &opts, &len) || !(opts.flags & XDP_OPTIONS_ZEROCOPY))
		x->copying = true;
	return 0;
}

static void sockets_delete(struct xdp_port *x)
{
	unsigned int i;

	for (i = 0; i < x->queues; i++) {
		if (x->q[i].xsk)
			xsk_socket__delete(x->q[i].xsk);
		x->q[i].xsk = NULL;
		x->q[i].fd = -1;
	}
	if (x->umem)
		xsk_umem__delete(x->umem);
	x->umem = NULL;
}

static int sockets_try(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	struct xsk_umem_config cfg;
	unsigned int i;
	int rc = xdp_umem_config(x->mem.buf_size, x->ring, &cfg);

	/* The library sets only some of the rings' fields. */
	memset(x->q, 0, sizeof(x->q));
	if (!rc)
		rc = xsk_umem__create(&x->umem, x->range.base, x->range.size, &x->q[0].fill, &x->q[0].comp, &cfg);
	if (rc) {
		x->umem = NULL;
		umem_explain(x, rc, err);
		return rc;
	}
	x->copying = false;
	for (i = 0; i < x->queues && !rc; i++) {
		rc = queue_open(x, i);
		if (rc)
			socket_explain(x, &x->q[i], rc, err);
	}
	if (rc)
		sockets_delete(x);
	return rc;
}

int xdp_sockets_open(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	unsigned int i;
	int rc;

	x->sg = true;
	rc = sockets_try(x, err);
	if (rc == -EINVAL || rc == -EOPNOTSUPP) {
		x->sg = false;
		rc = sockets_try(x, err);
	}
	for (i = 0; i < x->queues && !rc; i++) {
		rc = xdp_prog_redirect(x, &x->q[i]);
		if (rc) {
			snprintf(err, PORT_ERR_MAX, "xdp: cannot direct queue %u of '%s' to its socket: %s", x->q[i].id,
				 x->ifname, strerror(-rc));
			sockets_delete(x);
		}
	}
	if (rc)
		return rc;
	x->bound = true;
	x->bound_gen = x->first->prog_gen;
	xdp_refill(x);
	return 0;
}

void xdp_sockets_close(struct xdp_port *x)
{
	uint64_t lost = 0;
	uint32_t i;

	if (!x->bound)
		return;
	xdp_stats_read(x);
	x->bound = false;
	sockets_delete(x);
	for (i = 0; i < x->num_bufs; i++) {
		if (x->with_kernel[i])
			x->pool[x->pool_n++] = i;
		x->with_kernel[i] = false;
	}
	for (; x->sent_tail != x->sent_head; x->sent_tail++, x->done++)
		lost += x->sent[x->sent_tail & x->sent_mask].addr != XDP_ADDR_NONE &&
			!x->sent[x->sent_tail & x->sent_mask].more;
	x->kick = x->fed = false;
	x->unkicked = 0;
	p2p_count(&x->port.stats.tx_lost, lost);
}
