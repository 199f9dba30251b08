/* SPDX-License-Identifier: BSD-3-Clause */
/* A world, the NICs in it: their life, their address maps, and when they step. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAPS_MAX 16384u
#define STEP_MIN_PS 1000ull       /* from one step to the next, at least */
#define IN_FLIGHT_PS 1000000000ull /* what firmware waits for without a deadline is over by then */
#define UNWANTED_PS 1000000ull    /* what a port has and the NIC does not take: it is asked again so much later */

_Static_assert(SIM_NUM_STEPS >= BOARD_NUM_STEPS, "sim_nic_stats");

/* ---- worlds ---- */

struct sim_world *sim_world_create(uint64_t seed)
{
	struct sim_world *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->seed = seed;
	w->now_ns = SIM_EPOCH_NS;
	w->next_bus = SIM_BUS_BASE;
	w->q = fab_queue_create();
	if (!w->q)
		goto free_world;
	w->fabric = fab_create(w->q, seed);
	if (!w->fabric)
		goto destroy_queue;
	return w;
destroy_queue:
	fab_queue_destroy(w->q);
free_world:
	free(w);
	return NULL;
}

static void nic_free(struct sim_nic *n)
{
	sim_nic_free_dma(n);
	free(n->map);
	free(n->fw);
	free(n);
}

void sim_world_destroy(struct sim_world *w)
{
	struct sim_place *p;
	struct sim_nic *n;

	if (!w)
		return;
	for (n = w->nic; n; n = n->next)
		sim_nic_kill(&n->ctx);
	fab_destroy(w->fabric);
	fab_queue_destroy(w->q); /* first: what is freed below may be in it */
	while ((n = w->nic)) {
		w->nic = n->next;
		nic_free(n);
	}
	while ((p = w->places)) {
		w->places = p->next;
		free(p);
	}
	free(w);
}

struct fab_queue *sim_world_queue(struct sim_world *w)
{
	return w->q;
}

struct fabric *sim_world_fabric(struct sim_world *w)
{
	return w->fabric;
}

uint64_t sim_world_ns(const struct sim_world *w)
{
	return sim_ps_to_ns(fab_now(w->q));
}

const uint64_t *sim_world_clock(const struct sim_world *w)
{
	return &w->now_ns;
}

void sim_world_run(struct sim_world *w, uint64_t until_ps)
{
	fab_queue_run(w->q, until_ps);
	w->now_ns = sim_world_ns(w);
}

uint64_t sim_world_take_bus(struct sim_world *w, uint64_t bytes)
{
	uint64_t size = 4096, at;

	while (size < bytes)
		size *= 2;
	at = P2P_ALIGN_UP(w->next_bus, size);
	w->next_bus = at + size;
	return at;
}

/* ---- steps ---- */

uint64_t sim_nic_time_ps(const struct board_ctx *b)
{
	const struct sim_nic *n = sim_nic_of(b);
	uint64_t now_ps = fab_now(n->q);

	return n->in_step ? now_ps + b->charged_fs / SIM_FS_PER_PS + n->work_ps : now_ps;
}

static uint64_t port_time_ps(const void *arg)
{
	return sim_nic_time_ps(arg);
}

void sim_world_inject(struct sim_world *w, struct fault_set *faults)
{
	w->faults = faults;
}

/* It stands still; its DMA goes on. */
static bool nic_stalls(struct sim_nic *n)
{
	uint64_t now_ns = sim_ps_to_ns(fab_now(n->q)), ns = fault_now(n->w->faults, FAULT_STALL, FAULT_ON_NIC);

	if (ns && n->stall_ns < now_ns + ns)
		n->stall_ns = now_ns + ns;
	n->skew_ns += fault_now(n->w->faults, FAULT_CLOCK, FAULT_ON_NIC);
	return now_ns < n->stall_ns;
}

static uint64_t nic_step(struct sim_nic *n)
{
	unsigned int q;
	uint64_t until_ns;

	n->w->now_ns = sim_ps_to_ns(fab_now(n->q));
	n->ctx.charged_fs = 0;
	n->ctx.acts = 0;
	for (q = 0; q < BOARD_NUM_QUEUES; q++)
		n->ctx.q[q].pinched = false;
	if (p2p_unlikely(n->w->faults && nic_stalls(n)))
		return n->stall_ns;
	n->in_step = true;
	until_ns = fw_step(n->fw);
	n->in_step = false;
	if (p2p_unlikely(n->skew_ns) && until_ns && until_ns != UINT64_MAX)
		until_ns = until_ns > n->skew_ns ? until_ns - n->skew_ns : 1;
	n->work_fs += n->ctx.charged_fs;
	n->steps_charged += n->ctx.charged_fs != 0;
	return until_ns;
}

/* The first look at or after that time. */
static uint64_t nic_poll_ps(const struct sim_nic *n, uint64_t at_ps)
{
	uint64_t since;

	if (at_ps < n->busy_ps)
		at_ps = n->busy_ps;
	if (!n->poll_ps)
		return at_ps;
	since = (at_ps + n->poll_ps - n->phase_ps) % n->poll_ps;
	return since ? at_ps - since + n->poll_ps : at_ps;
}

/* Looks of a NIC that runs dry are in step with nothing: neither another NIC's nor its own before. */
static void nic_idles(struct sim_nic *n)
{
	if (n->poll_ps)
		n->phase_ps = p2p_random(&n->poll_random) % n->poll_ps;
}

/* When something will happen at a port. */
static uint64_t nic_ports_ps(struct sim_nic *n, uint64_t now_ps)
{
	uint64_t at_ps = FAB_NEVER, t, ns;
	unsigned int p;

	for (p = 0; p < n->ports && n->ctx.ports_on; p++) {
		struct port *port = n->ctx.port[p];

		if (!port->ops->next_event)
			continue;
		ns = port->ops->next_event(port, sim_ps_to_ns(now_ps));
		if (ns == UINT64_MAX)
			continue;
		t = sim_ns_to_ps(ns);
		if (t <= now_ps)
			t = now_ps + UNWANTED_PS;
		if (t < at_ps)
			at_ps = t;
	}
	return at_ps;
}

static void on_step(struct fab_event *ev)
{
	struct sim_nic *n = (struct sim_nic *)((char *)ev - offsetof(struct sim_nic, event));
	uint64_t now_ps = fab_now(n->q), until_ns = nic_step(n), at_ps, t;

	t = n->ctx.charged_fs / SIM_FS_PER_PS;
	n->busy_ps = now_ps + (t > STEP_MIN_PS ? t : STEP_MIN_PS);
	if (n->ctx.acts) {
		n->idle = false;
		fab_schedule(n->q, &n->event, n->busy_ps);
		return;
	}
	if (!n->idle)
		nic_idles(n);
	n->idle = true;
	at_ps = nic_ports_ps(n, now_ps);
	t = until_ns == UINT64_MAX ? FAB_NEVER : until_ns ? sim_ns_to_ps(until_ns) : now_ps + IN_FLIGHT_PS;
	if (t < at_ps)
		at_ps = t;
	if (at_ps != FAB_NEVER)
		fab_schedule(n->q, &n->event, nic_poll_ps(n, at_ps));
}

void sim_nic_wake(struct board_ctx *b, uint64_t at_ps)
{
	struct sim_nic *n = sim_nic_of(b);

	/* A NIC that is not idle has its next step before it. */
	if (n->by_hand || n->dead || !n->idle)
		return;
	if (at_ps < fab_now(n->q))
		at_ps = fab_now(n->q);
	at_ps = nic_poll_ps(n, at_ps);
	if (!fab_event_queued(&n->event) || at_ps < n->event.at_ps)
		fab_schedule(n->q, &n->event, at_ps);
}

static void port_changed(void *arg)
{
	struct sim_nic *n = arg;
	uint64_t at_ps = nic_ports_ps(n, fab_now(n->q));

	if (at_ps != FAB_NEVER)
		sim_nic_wake(&n->ctx, at_ps);
}

void sim_nic_auto(struct board_ctx *b, bool on)
{
	struct sim_nic *n = sim_nic_of(b);

	n->by_hand = !on;
	n->idle = true;
	fab_cancel(n->q, &n->event);
	if (on)
		sim_nic_wake(b, fab_now(n->q));
}

uint64_t sim_nic_step(struct board_ctx *b)
{
	return nic_step(sim_nic_of(b));
}

/* ---- what others do to a NIC's memory ---- */

void sim_nic_written(struct sim_nic *n, uint64_t off)
{
	if (off >= n->ring_off && off < n->buf_off)
		n->ctx.news |= 1ull << (off - n->ring_off) / n->ring_bytes;
	else if (off < n->rx_off)
		n->ctx.news |= 1ull << P2P_MAX_NICS;
	else
		return; /* payload is not looked at before its descriptor is there */
	if (n->idle)
		sim_nic_wake(&n->ctx, fab_now(n->q));
}

static void place_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	const struct sim_place *p = arg;
	struct sim_nic *n = p->nic;
	uint64_t off = addr - p->base;

	if (!n || !n->mem || off > n->mem_bytes || len > n->mem_bytes - off)
		return;
	if (data)
		memcpy(n->mem + off, data, len);
	sim_nic_written(n, off);
}

static void place_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	const struct sim_place *p = arg;
	struct sim_nic *n = p->nic;
	uint64_t off = addr - p->base;

	if (!data)
		return;
	if (!n || !n->mem || off > n->mem_bytes || len > n->mem_bytes - off)
		memset(data, 0xff, len);
	else
		memcpy(data, n->mem + off, len);
}

static const struct fab_target_ops place_ops = { .write = place_write, .read = place_read };

/* ---- life ---- */

static void nic_profile(struct sim_nic *n, const struct sim_nic_profile *p)
{
	const double cycles[] = {
#define X(name, unit, min, max, desc) p->name,
		SIM_NIC_STEPS(X)
#undef X
		p->route_cycles,
	};
	double cycle_fs = p->clock_mhz > 0 ? 1e9 / (p->clock_mhz * p->workers) : 0;
	uint32_t writes = (uint32_t)p->dma_writes, reads = (uint32_t)p->dma_reads, hands = (uint32_t)p->workers;
	unsigned int k;

	_Static_assert(P2P_ARRAY_SIZE(cycles) == BOARD_NUM_STEPS, "a cost for every step, in their order");
	for (k = 0; k < BOARD_NUM_STEPS; k++)
		n->ctx.cost_fs[k] = (uint64_t)(cycles[k] * cycle_fs + 0.5);
	/* firmware/board.h: at least so many with nothing in flight */
	n->ctx.q[BOARD_Q_WRITE].room = (writes < 64 ? 64 : writes) + hands;
	n->ctx.q[BOARD_Q_READ].room = (reads < 32 ? 32 : reads) + hands;
	n->work_ps = sim_ps(p->work_latency);
	n->poll_ps = sim_ps(p->poll);
}

static struct sim_nic *nic_new(struct sim_place *place, const struct fw_strap *strap, struct port *const *ports,
			       int *err)
{
	struct sim_world *w = place->w;
	struct sim_nic *n = calloc(1, sizeof(*n));
	unsigned int p, q;

	*err = -ENOMEM;
	if (!n)
		return NULL;
	n->fw = calloc(1, fw_nic_bytes());
	if (!n->fw)
		goto free_nic;
	n->w = w;
	n->q = w->q;
	n->place = place;
	n->gen = 1;
	n->ports = strap->ports;
	n->idle = true;
	fab_event_init(&n->event, on_step);
	for (q = 0; q < BOARD_NUM_QUEUES; q++)
		n->tail[q] = &n->head[q];
	nic_profile(n, &place->prof);
	n->random = w->seed * 0x9e3779b97f4a7c15ull + w->nics;
	n->poll_random = p2p_random(&n->random);
	nic_idles(n);
	n->busy_ps = n->phase_ps;
	*err = fw_nic_init(n->fw, &n->ctx, strap);
	if (*err)
		goto free_fw;
	for (p = 0; p < n->ports; p++)
		n->ctx.port[p] = ports[p];
	w->nics++;
	return n;
free_fw:
	free(n->fw);
free_nic:
	free(n);
	return NULL;
}

/* It lives from now on. */
static void nic_settle(struct sim_nic *n)
{
	unsigned int p;

	for (p = 0; p < n->ports; p++) {
		if (!sim_port_is_mac(n->ctx.port[p]))
			continue;
		sim_mac_attach(n->ctx.port[p], port_time_ps, &n->ctx);
		sim_mac_waker(n->ctx.port[p], port_changed, n);
	}
	n->place->nic = n;
	n->next = n->w->nic;
	n->w->nic = n;
}

int sim_nic_create(struct sim_world *w, const char *name, const struct sim_nic_profile *p, struct fab_node *parent,
		   const struct fw_strap *strap, struct port *const *ports, struct board_ctx **out,
		   char err[FAB_ERR_MAX])
{
	struct sim_place *place = calloc(1, sizeof(*place));
	struct fab_link_cfg link;
	struct fab_ep_cfg ep;
	struct sim_nic *n;
	int e = -ENOMEM;

	if (!place)
		goto fail;
	place->w = w;
	place->prof = *p;
	place->bytes = P2P_ALIGN_UP(strap->mem_bytes, 4096ull);
	n = nic_new(place, strap, ports, &e);
	if (!n)
		goto free_place;
	place->base = sim_world_take_bus(w, place->bytes);
	sim_profile_endpoint(p, place->base, place->bytes, &ep);
	sim_profile_link(p, &link);
	e = fab_add_endpoint(w->fabric, name, parent, parent ? &link : NULL, &ep, &place_ops, place, &place->node, err);
	if (e) {
		free(n->fw);
		free(n);
		free(place);
		return e;
	}
	place->next = w->places;
	w->places = place;
	nic_settle(n);
	*out = &n->ctx;
	return 0;
free_place:
	free(place);
fail:
	snprintf(err, FAB_ERR_MAX, "%s: can't make the NIC: %s", name, strerror(-e));
	return e;
}

void sim_nic_kill(struct board_ctx *b)
{
	struct sim_nic *n = sim_nic_of(b);
	unsigned int q;

	if (n->dead)
		return;
	sim_board_ports_stop(b);
	n->dead = true;
	n->place->nic = NULL;
	fab_cancel(n->q, &n->event);
	if (n->engine)
		sim_engine_drop(n->engine);
	for (q = 0; q < BOARD_NUM_QUEUES; q++)
		b->q[q].finished = b->q[q].submitted;
}

int sim_nic_revive(struct board_ctx *dead, const struct fw_strap *strap, struct port *const *ports,
		   struct board_ctx **out)
{
	struct sim_place *place = sim_nic_of(dead)->place;
	struct sim_nic *n;
	int err;

	if (place->nic || strap->mem_bytes > place->bytes)
		return -EINVAL;
	n = nic_new(place, strap, ports, &err);
	if (!n)
		return err;
	nic_settle(n);
	*out = &n->ctx;
	return 0;
}

struct fw_nic *sim_nic_fw(struct board_ctx *b)
{
	return sim_nic_of(b)->fw;
}

struct fab_node *sim_nic_node(struct board_ctx *b)
{
	return sim_nic_of(b)->place->node;
}

uint64_t sim_nic_bar2(const struct board_ctx *b)
{
	return sim_nic_of(b)->place->base;
}

void *sim_nic_mem(struct board_ctx *b, uint64_t offset)
{
	struct sim_nic *n = sim_nic_of(b);

	return n->mem && offset < n->mem_bytes ? n->mem + offset : NULL;
}

/* ---- the address map ---- */

static void nic_retranslate(struct sim_nic *n)
{
	if (++n->gen == 0)
		n->gen = 1;
}

int sim_nic_map(struct board_ctx *b, uint64_t bus, uint64_t size, uint64_t to, bool read, bool write)
{
	struct sim_nic *n = sim_nic_of(b);
	struct sim_map *more;
	unsigned int k;

	if (!size || bus + size < bus || (bus | (bus + size - 1)) & P2P_BUS_LOCAL)
		return -EINVAL;
	for (k = 0; k < n->maps && n->map[k].bus < bus; k++)
		;
	if ((k && bus - n->map[k - 1].bus < n->map[k - 1].size) || (k < n->maps && n->map[k].bus - bus < size))
		return -EEXIST;
	if (n->maps == MAPS_MAX)
		return -ENOSPC;
	if (!(n->maps & (n->maps - 1))) {
		more = realloc(n->map, (n->maps ? 2ul * n->maps : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		n->map = more;
	}
	memmove(&n->map[k + 1], &n->map[k], (n->maps - k) * sizeof(*n->map));
	n->map[k] = (struct sim_map){ .bus = bus, .size = size, .to = to, .read = read, .write = write };
	n->maps++;
	nic_retranslate(n);
	return 0;
}

void sim_nic_unmap(struct board_ctx *b, uint64_t bus, uint64_t size)
{
	struct sim_nic *n = sim_nic_of(b);
	unsigned int k, left = 0;

	for (k = 0; k < n->maps; k++)
		if (n->map[k].bus < bus || n->map[k].bus - bus >= size || n->map[k].size > size - (n->map[k].bus - bus))
			n->map[left++] = n->map[k];
	n->maps = left;
	nic_retranslate(n);
}

void sim_nic_bus_master(struct board_ctx *b, bool on)
{
	sim_nic_of(b)->bus_master = on;
	nic_retranslate(sim_nic_of(b));
}

uint64_t sim_nic_faults(const struct board_ctx *b)
{
	return b->faults;
}

bool sim_nic_busy(const struct board_ctx *b)
{
	return b->q[BOARD_Q_WRITE].finished != b->q[BOARD_Q_WRITE].submitted ||
	       b->q[BOARD_Q_READ].finished != b->q[BOARD_Q_READ].submitted;
}

bool sim_nic_take_bell(struct board_ctx *b)
{
	bool rung = sim_nic_of(b)->bell;

	sim_nic_of(b)->bell = false;
	return rung;
}

/* ---- what was counted ---- */

void sim_nic_stats(const struct board_ctx *b, struct sim_nic_stats *out)
{
	const struct sim_nic *n = sim_nic_of(b);
	const struct sim_nic_profile *p = &n->place->prof;
	const double cycles[] = {
#define X(name, unit, min, max, desc) p->name,
		SIM_NIC_STEPS(X)
#undef X
		p->route_cycles,
	};
	struct sim_engine_stats e = { 0 };
	unsigned int k;

	if (n->engine)
		sim_engine_stats(n->engine, &e);
	*out = (struct sim_nic_stats){
		.steps = n->steps_charged, .work_ps = n->work_fs / SIM_FS_PER_PS,
		.dma_writes = e.writes, .dma_reads = e.reads,
		.write_wait_ps = e.write_wait_ps, .read_wait_ps = e.read_wait_ps,
		.engine_write_ps = e.write_busy_ps, .engine_read_ps = e.read_busy_ps,
		.write_full_ps = e.write_full_ps, .read_full_ps = e.read_full_ps,
		.writes_max = e.writes_max, .reads_max = e.reads_max,
	};
	for (k = 0; k < BOARD_NUM_STEPS; k++)
		out->cycles[k] = (uint64_t)((double)b->steps[k] * cycles[k] + 0.5);
}

void sim_nic_stats_reset(struct board_ctx *b)
{
	struct sim_nic *n = sim_nic_of(b);

	memset(b->steps, 0, sizeof(b->steps));
	n->steps_charged = n->work_fs = 0;
	if (n->engine)
		sim_engine_stats_reset(n->engine);
}
