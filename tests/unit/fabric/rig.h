/* SPDX-License-Identifier: BSD-3-Clause */
/* Fabrics for tests: endpoints with memory, requesters that keep a number of requests in flight. */
#ifndef TESTS_FABRIC_RIG_H
#define TESTS_FABRIC_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fabric/fabric.h>

#define RIG_MAX 64
#define RIG_WINDOW (1ull << 24) /* addresses of an endpoint */

struct rig_ep {
	struct fab_node *node;
	struct rig *rig;
	uint64_t base;
	uint8_t *mem; /* NULL: no bytes are kept */
	uint64_t mem_bytes;
	uint64_t written, reads; /* bytes as target */
	uint64_t first_ps, last_ps; /* of the writes that came */
};

struct rig {
	struct fab_queue *q;
	struct fabric *f;
	struct rig_ep ep[RIG_MAX];
	unsigned int num_eps;
	char err[FAB_ERR_MAX];
};

static inline void rig_ep_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	struct rig_ep *e = arg;

	if (!e->written)
		e->first_ps = fab_now(e->rig->q);
	e->last_ps = fab_now(e->rig->q);
	e->written += len;
	if (e->mem && data) {
		assert_true(addr - e->base + len <= e->mem_bytes);
		memcpy(e->mem + (addr - e->base), data, len);
	}
}

static inline void rig_ep_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	struct rig_ep *e = arg;

	e->reads += len;
	if (e->mem) {
		assert_true(addr - e->base + len <= e->mem_bytes);
		memcpy(data, e->mem + (addr - e->base), len);
	} else {
		memset(data, 0x5a, len);
	}
}

static const struct fab_target_ops rig_ops = { rig_ep_write, rig_ep_read };

static inline void rig_open(struct rig *r, uint64_t seed)
{
	*r = (struct rig){ .q = fab_queue_create() };
	assert_non_null(r->q);
	r->f = fab_create(r->q, seed);
	assert_non_null(r->f);
}

static inline void rig_close(struct rig *r)
{
	fab_destroy(r->f);
	fab_queue_destroy(r->q);
	for (unsigned int k = 0; k < r->num_eps; k++)
		free(r->ep[k].mem);
}

static inline void rig_finish(struct rig *r)
{
	if (fab_finish(r->f, r->err))
		fail_msg("%s", r->err);
}

static inline struct fab_node *rig_switch(struct rig *r, const char *name, struct fab_node *parent,
					  const struct fab_link_cfg *link, uint64_t latency_ps)
{
	struct fab_switch_cfg cfg = { .latency_ps = latency_ps };
	struct fab_node *n = NULL;

	if (fab_add_switch(r->f, name, parent, link, &cfg, &n, r->err))
		fail_msg("%s", r->err);
	return n;
}

static inline struct fab_ep_cfg rig_ep_cfg(void)
{
	return (struct fab_ep_cfg){ .tags = 256, .mrrs = 4096, .rcb = 64 };
}

/* Endpoint k has the addresses from (k + 1) * RIG_WINDOW; mem_bytes of them are kept, 0: none. */
static inline struct rig_ep *rig_endpoint(struct rig *r, struct fab_node *parent, const struct fab_link_cfg *link,
					  const struct fab_ep_cfg *base_cfg, uint64_t mem_bytes)
{
	struct rig_ep *e = &r->ep[r->num_eps++];
	struct fab_ep_cfg cfg = *base_cfg;
	char name[16];

	snprintf(name, sizeof(name), "ep%u", r->num_eps - 1);
	e->rig = r;
	e->base = cfg.base = r->num_eps * RIG_WINDOW;
	cfg.bytes = RIG_WINDOW;
	e->mem_bytes = mem_bytes;
	if (mem_bytes) {
		e->mem = calloc(1, mem_bytes);
		assert_non_null(e->mem);
	}
	if (fab_add_endpoint(r->f, name, parent, link, &cfg, &rig_ops, e, &e->node, r->err))
		fail_msg("%s", r->err);
	return e;
}

/* A root complex with main memory at address 0, without limits. */
static inline struct fab_root_cfg rig_root_cfg(void)
{
	return (struct fab_root_cfg){ .p2p = true, .rcb = 64, .mem_bytes = RIG_WINDOW, .mem = { .channels = 1 } };
}

/* ---- a requester that keeps n requests in flight ---- */
#define RIG_FLIGHT_MAX 512
struct rig_flow {
	struct fab_node *node;
	struct fab_queue *q;
	uint64_t addr, span; /* requests go round in [addr, addr + span) */
	uint32_t len, step; /* step: distance of requests */
	bool read, stop;
	uint64_t offset, done_bytes;
	struct rig_req {
		struct fab_req req;
		struct rig_flow *flow;
	} req[RIG_FLIGHT_MAX];
	unsigned int n;
};

static inline void rig_flow_next(struct rig_req *r)
{
	struct rig_flow *w = r->flow;

	r->req.addr = w->addr + w->offset;
	r->req.len = w->len;
	w->offset = (w->offset + w->step) % w->span;
	if (w->read)
		fab_read(w->node, &r->req);
	else
		fab_write(w->node, &r->req);
}

static inline void rig_flow_done(struct fab_req *req)
{
	struct rig_req *r = (struct rig_req *)req;

	r->flow->done_bytes += req->len;
	if (!r->flow->stop)
		rig_flow_next(r);
}

/* Requests of len bytes, each at a multiple of the power of two that holds them. */
static inline void rig_flow_start(struct rig_flow *w, struct rig *r, struct fab_node *from, uint64_t addr, uint32_t len,
				  bool read, unsigned int n, void *data)
{
	*w = (struct rig_flow){ .node = from, .q = r->q, .addr = addr, .len = len, .step = 4, .read = read, .n = n };
	while (w->step < len)
		w->step *= 2;
	w->span = RIG_WINDOW;
	for (unsigned int k = 0; k < n; k++) {
		w->req[k].flow = w;
		w->req[k].req.data = data;
		w->req[k].req.done = rig_flow_done;
		rig_flow_next(&w->req[k]);
	}
}

static inline void rig_run(struct rig *r, uint64_t ps)
{
	fab_queue_run(r->q, fab_now(r->q) + ps);
}

#endif
