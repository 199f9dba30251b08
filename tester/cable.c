/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester/cable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int cable_region(struct port_region *r, size_t size)
{
	r->size = P2P_ALIGN_UP(size, (size_t)sysconf(_SC_PAGESIZE));
	r->fd = memfd_create("tester-cable", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)r->size) < 0 ||
	    fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->base == MAP_FAILED) {
		r->base = NULL;
		return -errno;
	}
	return 0;
}

static int cable_start(struct tester_cable *c)
{
	struct port *p = c->port;
	struct p2p_seg seg = { 0 };
	int ret = 0;

	c->mem.n = 2;
	c->mem.buf_size = c->buf_bytes;
	c->mem.rx_bufs = c->bufs;
	for (unsigned int i = 0; i < 2 && !c->server && !ret; i++)
		ret = cable_region(&c->mem.region[i], (size_t)c->bufs * c->buf_stride);
	if (!ret)
		ret = p->ops->start(p, &c->mem);
	for (uint32_t i = 0; i < c->bufs && !c->server && !ret; i++) {
		seg.data = c->mem.region[0].base + (size_t)i * c->buf_stride;
		seg.len = c->buf_bytes;
		ret = p->ops->rx_post(p, &seg, 1) == 1 ? 0 : -EIO;
	}
	return ret;
}

int tester_cable_open(struct tester_cable *c, const struct tester_cable_opts *o, char err[PORT_ERR_MAX])
{
	char spec[256], group[80] = "";
	int ret;

	memset(c, 0, sizeof(*c));
	c->mem.region[0].fd = c->mem.region[1].fd = -1;
	c->server = !o->client;
	c->bufs = 1u << o->ring_log2;
	c->buf_bytes = o->buf_bytes;
	c->buf_stride = o->buf_stride;
	if (strlen(o->path) > 108 || strchr(o->path, ',')) {
		snprintf(err, PORT_ERR_MAX, "memif socket %.40s...: must have at most 107 characters and no comma", o->path);
		return -EINVAL;
	}
	if (o->group && snprintf(group, sizeof(group), ",group=%s", o->group) >= (int)sizeof(group)) {
		snprintf(err, PORT_ERR_MAX, "memif socket %.108s: group=%.40s...: no group has such a name", o->path, o->group);
		return -EINVAL;
	}
	if (o->client)
		snprintf(spec, sizeof(spec), "memif:%s,id=%u,rings=%u%s", o->path, o->id, c->bufs, group);
	else
		snprintf(spec, sizeof(spec), "memif:%s,id=%u,role=server%s", o->path, o->id, group);
	ret = port_open(&c->port, spec, err);
	if (ret)
		return ret;
	ret = cable_start(c);
	if (ret) {
		snprintf(err, PORT_ERR_MAX, "memif:%s: can't set up memory for the cable: %s", o->path, strerror(-ret));
		tester_cable_close(c);
	}
	return ret;
}

void tester_cable_close(struct tester_cable *c)
{
	if (!c->port)
		return;
	c->port->ops->stop(c->port);
	c->port->ops->close(c->port);
	c->port = NULL;
	for (unsigned int i = 0; i < 2; i++) {
		if (c->mem.region[i].base)
			munmap(c->mem.region[i].base, c->mem.region[i].size);
		if (c->mem.region[i].fd >= 0)
			close(c->mem.region[i].fd);
	}
}

bool tester_cable_control(struct tester_cable *c, uint64_t now_ns)
{
	c->port->ops->control(c->port, now_ns);
	port_memif_queues(c->port, &c->nrx, &c->ntx);
	/* As client the port spreads by itself. */
	if (!c->server && c->ntx) {
		c->nrx = c->ntx = 1;
		c->tail += c->port->ops->tx_done(c->port);
	}
	return c->nrx && c->ntx;
}

static unsigned int cable_own(struct tester_cable *c, struct p2p_seg *segs, unsigned int n)
{
	uint32_t free;

	c->tail += c->port->ops->tx_done(c->port);
	free = c->bufs - (c->head - c->tail);
	if (n > free)
		n = free;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t k = (c->head + i) & (c->bufs - 1);

		segs[i] = (struct p2p_seg){ .data = c->mem.region[1].base + (size_t)k * c->buf_stride,
					     .len = c->buf_bytes, .region = 1 };
	}
	return n;
}

unsigned int tester_cable_reserve(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n)
{
	return p2p_likely(c->server) ? port_memif_reserve(c->port, queue, segs, n) : cable_own(c, segs, n);
}

bool tester_cable_commit(struct tester_cable *c, unsigned int queue, const struct p2p_seg *segs, unsigned int n)
{
	unsigned int took;

	if (p2p_likely(c->server))
		return port_memif_commit(c->port, queue, segs, n);
	/* There are no more buffers than slots, so that only a link that is down takes less than all. */
	took = c->port->ops->tx_burst(c->port, segs, n);
	c->head += took;
	return took == n;
}

static unsigned int cable_peek_own(struct tester_cable *c, struct p2p_seg *segs, unsigned int n, bool *alike)
{
	const unsigned int got = c->port->ops->rx_burst(c->port, segs, n);
	uint32_t differ = 0;

	for (unsigned int i = 0; i < got; i++)
		differ |= (segs[i].len ^ segs[0].len) | segs[i].flags;
	*alike = !differ;
	return got;
}

unsigned int tester_cable_peek(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n,
			       bool *alike)
{
	return p2p_likely(c->server) ? port_memif_peek(c->port, queue, segs, n, alike) :
				       cable_peek_own(c, segs, n, alike);
}

bool tester_cable_release(struct tester_cable *c, unsigned int queue, struct p2p_seg *segs, unsigned int n,
			  unsigned int frames, uint64_t bytes)
{
	if (p2p_likely(c->server))
		return port_memif_release(c->port, queue, n, frames, bytes);
	for (unsigned int i = 0; i < n; i++) {
		segs[i].len = c->buf_bytes;
		segs[i].flags = 0;
	}
	return c->port->ops->rx_post(c->port, segs, n) == n;
}
