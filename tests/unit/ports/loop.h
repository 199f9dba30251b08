/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers for one port, and a port driven by hand as a worker would. */
#ifndef TESTS_UNIT_PORTS_LOOP_H
#define TESTS_UNIT_PORTS_LOOP_H

#include <stdlib.h>
#include <string.h>

#include "ports/port.h"

struct loop {
	struct port_memory mem;
	uint8_t *base;
};

/* n buffers of size bytes each; exactly that many, so that a sanitizer sees what reaches beyond. */
static inline void loop_init(struct loop *l, uint32_t n, uint32_t size)
{
	memset(l, 0, sizeof(*l));
	l->base = malloc((size_t)n * size);
	if (!l->base)
		abort();
	memset(l->base, 0xee, (size_t)n * size);
	l->mem.n = 1;
	l->mem.region[0] = (struct port_region){ .base = l->base, .size = (size_t)n * size, .fd = -1 };
	l->mem.buf_size = size;
	l->mem.rx_bufs = n;
}

static inline void loop_free(struct loop *l)
{
	free(l->base);
}

/* Buffer i, empty. */
static inline struct p2p_seg loop_buf(const struct loop *l, uint32_t i)
{
	return (struct p2p_seg){ .data = l->base + (size_t)i * l->mem.buf_size, .len = l->mem.buf_size, .cookie = i };
}

static inline void loop_post(const struct loop *l, struct port *p)
{
	struct p2p_seg s;
	uint32_t i;

	for (i = 0; i < l->mem.rx_bufs; i++) {
		s = loop_buf(l, i);
		if (p->ops->rx_post(p, &s, 1) != 1)
			abort();
	}
}

/* Gives the buffers of received segments back. */
static inline void loop_repost(const struct loop *l, struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct p2p_seg s;
	unsigned int i;

	for (i = 0; i < n; i++) {
		s = loop_buf(l, segs[i].cookie);
		if (p->ops->rx_post(p, &s, 1) != 1)
			abort();
	}
}

#endif
