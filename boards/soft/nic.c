/* SPDX-License-Identifier: BSD-3-Clause */
/* One software NIC: its making and end, and what firmware asks of its board beside DMA. */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <ports/guard.h>

void soft_say(const char *fmt, ...)
{
	char line[SOFT_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "p2pnic: %s\n", line);
}

static void *alloc_apart(size_t bytes)
{
	size_t room = P2P_ALIGN_UP(bytes, (size_t)P2P_APART_BYTES);
	void *p = aligned_alloc(P2P_APART_BYTES, room);

	if (p)
		memset(p, 0, room);
	return p;
}

/* --- what firmware asks --- */

uint32_t soft_board_random(struct board_ctx *b)
{
	struct soft_context *c = soft_context_of(b);

	if (c->random_seed)
		return (uint32_t)(p2p_random(&c->random_seed) >> 32);
	if (c->random_left == 0) {
		if (getrandom(c->random, sizeof(c->random), 0) != sizeof(c->random))
			for (unsigned int i = 0; i < P2P_ARRAY_SIZE(c->random); i++)
				c->random[i] = (soft_now_ns() + i) * 0x9e3779b97f4a7c15ull;
		c->random_left = P2P_ARRAY_SIZE(c->random);
	}
	return c->random[--c->random_left] >> 32;
}

void soft_bell_ring(struct soft_context *c, unsigned int peer)
{
	if (peer < P2P_MAX_NICS)
		soft_event_signal(c->bell_fd[peer]);
}

void soft_board_bell(struct board_ctx *b, unsigned int peer)
{
	if (!soft_context_of(b)->fault || !soft_fault_bell(b, peer))
		soft_bell_ring(soft_context_of(b), peer);
}

/* The vectors' state belongs to queue 0's worker. */
void soft_board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	struct soft_context *c = soft_context_of(b);
	struct soft_nic *nic = b->nic;

	if (vector >= BOARD_NUM_VECTORS)
		return;
	if (c->queue)
		__atomic_fetch_or(&c->events_due, 1u << vector, __ATOMIC_RELAXED);
	else if (pci_config_msix_fire(&nic->cfg, vector))
		soft_event_signal(nic->msix_fd[vector]);
}

static void nic_events_due(struct soft_nic *nic)
{
	for (unsigned int q = 1; q < nic->queues; q++) {
		uint32_t *due = &nic->context[q].events_due, vectors;

		if (p2p_likely(!__atomic_load_n(due, __ATOMIC_RELAXED)))
			continue;
		vectors = __atomic_exchange_n(due, 0, __ATOMIC_RELAXED);
		for (; vectors; vectors &= vectors - 1)
			soft_board_event(&nic->context[0].ctx, (unsigned int)__builtin_ctz(vectors), 0);
	}
}

int soft_board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	struct soft_nic *nic = b->nic;
	int err = 0;

	soft_board_layout_drop(b);
	if (soft_fault_memory(soft_context_of(b)))
		return -ENOMEM;
	if (soft_context_of(b)->queue == 0) {
		pthread_rwlock_wrlock(&nic->mem_lock);
		err = soft_memory_layout(&nic->mem, shape);
		pthread_rwlock_unlock(&nic->mem_lock);
	}
	if (err)
		return err;
	if (!nic->mem.n)
		return -ENOMEM;
	b->mem = nic->mem.base;
	b->mem_used = nic->mem.used;
	soft_nic_retranslate(nic);
	return 0;
}

void soft_board_layout_drop(struct board_ctx *b)
{
	struct soft_context *c = soft_context_of(b);

	soft_board_ports_stop(b);
	soft_fault_drop_late(c);
	b->mem = NULL;
	b->mem_used = 0;
	if (c->queue == 0) {
		pthread_rwlock_wrlock(&b->nic->mem_lock);
		soft_memory_drop(&b->nic->mem);
		pthread_rwlock_unlock(&b->nic->mem_lock);
		free(b->nic->shared);
		b->nic->shared = NULL;
	}
	free(c->state);
	c->state = NULL;
	soft_nic_retranslate(b->nic);
}

void *soft_board_segment(struct board_ctx *b, unsigned int seg)
{
	const struct soft_memory *m = &b->nic->mem;
	unsigned int planes = soft_context_of(b)->queue, s = 0;

	if (m->n && seg >= p2p_seg_count(&m->shape)) /* for all contexts */
		planes = p2p_queues(&m->shape) - 1;
	if (m->n)
		s = planes * p2p_seg_count(&m->shape) + seg;
	return s < m->n ? m->base + m->seg[s].offset : NULL;
}

void *soft_board_state(struct board_ctx *b, size_t bytes)
{
	size_t room = P2P_ALIGN_UP(bytes, (size_t)P2P_APART_BYTES);
	struct soft_context *c = soft_context_of(b);

	free(c->state);
	c->state = NULL;
	if (room < bytes || soft_fault_memory(c))
		return NULL;
	c->state = aligned_alloc(P2P_APART_BYTES, room ? room : P2P_APART_BYTES);
	if (c->state)
		memset(c->state, 0, room);
	return c->state;
}

void *soft_board_shared(struct board_ctx *b, size_t bytes)
{
	struct soft_nic *nic = b->nic;

	if (soft_context_of(b)->queue == 0) {
		free(nic->shared);
		nic->shared = alloc_apart(bytes);
	}
	return nic->shared;
}

static void port_memory_fill(const struct soft_context *c, unsigned int p, struct port_memory *pm)
{
	const struct soft_memory *m = &c->ctx.nic->mem;
	unsigned int plane = c->queue * p2p_seg_count(&m->shape);

	memset(pm, 0, sizeof(*pm));
	pm->queues = p2p_queues(&m->shape);
	pm->n = 1 + m->shape.nics;
	pm->buf_size = m->shape.buf_size;
	pm->rx_bufs = m->shape.rx_bufs;
	for (unsigned int i = 0; i < pm->n; i++) {
		unsigned int s = i == 0 ? p2p_seg_rx(&m->shape, p) : p2p_seg_buf(&m->shape, p, i - 1);

		s += plane;
		pm->region[i] = (struct port_region){ m->base + m->seg[s].offset, m->seg[s].bytes, m->seg[s].fd };
	}
	if (c->place[p].size) {
		pm->place = pm->n++;
		pm->region[pm->place] = c->place[p];
	}
}

static int port_start(struct soft_context *c, unsigned int p)
{
	struct port *port = c->ctx.port[p];
	struct port_memory pm;
	int err;

	port_memory_fill(c, p, &pm);
	port->start_err[0] = '\0';
	err = port->ops->start(port, &pm);
	if (err)
		soft_say("%s: port %s: can't start: %s", c->ctx.nic->name, port->name,
			 port->start_err[0] ? port->start_err : strerror(-err));
	c->port_started[p] = !err;
	return err;
}

static void port_stop(struct soft_context *c, unsigned int p)
{
	if (c->port_started[p])
		c->ctx.port[p]->ops->stop(c->ctx.port[p]);
	c->port_started[p] = false;
}

int soft_board_ports_start(struct board_ctx *b)
{
	struct soft_context *c = soft_context_of(b);
	struct soft_nic *nic = b->nic;
	int err;

	if (!nic->mem.n)
		return -EINVAL;
	soft_board_ports_stop(b);
	for (unsigned int p = 0; p < nic->ports; p++) {
		err = port_start(c, p);
		if (err) {
			soft_board_ports_stop(b);
			return err;
		}
	}
	b->ports_on = true;
	return 0;
}

void soft_board_ports_stop(struct board_ctx *b)
{
	struct soft_context *c = soft_context_of(b);

	b->ports_on = false;
	for (unsigned int p = 0; p < b->nic->ports; p++)
		port_stop(c, p);
}

int soft_board_port_restart(struct board_ctx *b, unsigned int port)
{
	port_stop(soft_context_of(b), port);
	return port_start(soft_context_of(b), port);
}

int soft_board_place(struct board_ctx *b, unsigned int port, struct board_win *w, uint64_t bytes, uint8_t **base)
{
	struct soft_context *c = soft_context_of(b);
	struct soft_nic *nic = b->nic;
	const struct port_ops *ops = b->port[port]->ops;
	const struct soft_map *e;

	c->place[port] = (struct port_region){ .fd = -1 };
	if (!w)
		return 0;
	if (!ops->in_order || !ops->in_order(b->port[port]))
		return -EOPNOTSUPP;
	e = soft_iommu_find(&nic->iommu, w->bus);
	if (!e || e->fd < 0 || bytes > e->bytes - (w->bus - e->iova) || w->bytes < bytes || !nic->bus_master ||
	    soft_map_prot(e) != (P2P_DMA_READ | P2P_DMA_WRITE) || c->fault)
		return -ENOENT;
	c->place[port] = (struct port_region){ .base = e->host, .size = e->bytes, .fd = e->fd };
	c->place_bus[port] = e->iova;
	*base = e->host + (w->bus - e->iova);
	return 0;
}

void soft_nic_unplace(struct soft_nic *nic, uint64_t bus, uint64_t bytes)
{
	for (unsigned int q = 0; q < nic->queues; q++)
		for (unsigned int p = 0; p < nic->ports; p++)
			if (nic->context[q].place[p].size && nic->context[q].place_bus[p] - bus < bytes)
				fw_place_lost(nic->fw[q], p);
}

/* --- the worker's side --- */

/* Firmware's step for CPUs that have AVX2 (meson.build); NULL where there is none, as in tests with a firmware of their own. */
extern uint64_t soft_avx2_fw_step(struct fw_nic *nic) __attribute__((weak));

void soft_nic_retranslate(struct soft_nic *nic)
{
	for (unsigned int q = 0; q < nic->queues; q++)
		if (++nic->context[q].ctx.gen == 0)
			nic->context[q].ctx.gen = 1;
}

uint64_t soft_context_run(struct soft_context *c, uint64_t now_ns)
{
	uint64_t until;

	/* A call since may have seen a later clock; it never goes back. */
	if (now_ns > c->ctx.now_ns)
		c->ctx.now_ns = now_ns;
	c->in_step = true;
	until = c->step(c->fw);
	c->in_step = false;
	if (p2p_likely(!c->num_posted && !c->reset_posted && !c->gate_posted))
		return until;
	if (c->gate_posted)
		soft_nic_unplace(c->ctx.nic, 0, UINT64_MAX);
	c->gate_posted = false;
	for (unsigned int i = 0; i < c->num_posted; i++)
		fw_reg_write(c->fw, c->posted[i].off, c->posted[i].bytes, c->posted[i].value);
	c->num_posted = 0;
	if (c->reset_posted)
		soft_function_reset(c->ctx.nic);
	c->reset_posted = false;
	return 0;
}

uint64_t soft_context_step(struct soft_context *c, uint64_t now_ns)
{
	return p2p_likely(!c->fault) ? soft_context_run(c, now_ns) : soft_fault_step(c, now_ns);
}

/* A page of ours that is gone: frames in it are lost, and what is written there now nobody else sees. */
static void context_lost_page(struct soft_context *c, const struct soft_segment *s)
{
	struct soft_memory *m = &c->ctx.nic->mem;

	p2p_count(&c->ctx.faults, 1);
	if (m->told)
		return;
	m->told = true;
	soft_say("%s: who shares segment %u took a 2 MiB page out of it, and no other was free: what lies there is lost"
		 " until the NIC is configured again", c->ctx.nic->name, (unsigned int)(s - m->seg));
}

void soft_context_hit(struct soft_context *c)
{
	struct soft_nic *nic = c->ctx.nic;
	const struct soft_segment *s;
	const struct soft_map *e;

	c->guard_hits = guard_hits();
	if (++c->ctx.gen == 0)
		c->ctx.gen = 1;
	if (c->queue)
		return;
	while ((e = soft_iommu_hit_next(&nic->iommu))) {
		p2p_count(&c->ctx.faults, 1);
		if (nic->queues == 1)
			soft_nic_unplace(nic, e->iova, e->bytes);
	}
	while ((s = soft_memory_hit_next(&nic->mem)))
		context_lost_page(c, s);
}

void soft_context_control(struct soft_context *c, uint64_t now_ns)
{
	struct soft_nic *nic = c->ctx.nic;

	for (unsigned int p = 0; p < nic->ports; p++)
		if (c->port_started[p])
			c->ctx.port[p]->ops->control(c->ctx.port[p], now_ns);
	if (p2p_unlikely(guard_hits() != c->guard_hits))
		soft_context_hit(c);
	if (c->queue == 0)
		nic_events_due(nic);
	soft_context_publish(c);
}

#define PUBLISH(field, v) __atomic_store_n(&c->pub.field, (v), __ATOMIC_RELAXED)
#define PUBLISHED(c, field) __atomic_load_n(&(c)->pub.field, __ATOMIC_RELAXED)

/* Says once what a port that was to cut through does instead. */
static void publish_placement(struct soft_context *c, unsigned int p)
{
	static const char *const why[] = {
#define X(name, text, desc) desc,
		P2P_PLACEMENTS(X)
#undef X
	};
	enum p2p_placement now = fw_nic_placement(c->fw, p);

	if (now == PUBLISHED(c, placement[p]))
		return;
	PUBLISH(placement[p], now);
	if (now > P2P_PLACE_CUT && c->queue == 0)
		soft_say("%s: port %u (%s) copies: %s", c->ctx.nic->name, p, c->ctx.port[p]->name, why[now]);
}

void soft_context_publish(struct soft_context *c)
{
	const struct p2p_shape *shape = fw_nic_shape(c->fw);
	unsigned int nics = shape ? shape->nics : 0;

	PUBLISH(running, fw_nic_running(c->fw));
	PUBLISH(configured, shape != NULL);
	PUBLISH(mode, fw_nic_mode(c->fw));
	PUBLISH(index, fw_nic_index(c->fw));
	PUBLISH(nics, nics);
	PUBLISH(slots, shape ? shape->slots : 0);
	PUBLISH(held, fw_nic_held(c->fw));
	for (unsigned int p = 0; p < c->ctx.nic->ports; p++) {
		PUBLISH(link[p], board_link_up(&c->ctx, p));
		publish_placement(c, p);
	}
	for (unsigned int i = 0; i < P2P_MAX_NICS; i++) {
		struct fw_peer_info info = { .state = P2P_PEER_ABSENT };

		if (i < nics && fw_peer_info(c->fw, i, &info) != 0)
			info = (struct fw_peer_info){ .state = P2P_PEER_ABSENT };
		PUBLISH(peer_state[i], info.state);
		PUBLISH(peer_sent[i], info.sent_frames);
		PUBLISH(peer_recv[i], info.recv_frames);
		if (i >= nics && !nics)
			break;
	}
}

static enum p2p_peer_state peer_state_worse(enum p2p_peer_state a, enum p2p_peer_state b)
{
	static const uint8_t badness[] = { [P2P_PEER_UP] = 0, [P2P_PEER_WAITING] = 1, [P2P_PEER_ABSENT] = 2, [P2P_PEER_DOWN] = 3 };

	return badness[b] > badness[a] ? b : a;
}

/* Adds queue q; what no queue is asked for, or all say alike, is queue 0's. */
static void stats_add(struct soft_nic *nic, unsigned int q, struct soft_nic_stats *out)
{
	const struct soft_context *c = &nic->context[q];
	const uint64_t *ev = fw_nic_events(c->fw), *drops = fw_nic_drops(c->fw), *punts = fw_nic_punts(c->fw);

	out->held += PUBLISHED(c, held);
	out->fault_hits += c->fault ? fault_hits(c->fault->set) : 0;
	for (unsigned int i = 0; i < P2P_NUM_EVENTS; i++)
		out->events[i] += i == P2P_EV_dma_faults ? p2p_count_read(&c->ctx.faults) : p2p_count_read(&ev[i]);
	for (unsigned int i = 0; i < P2P_NUM_DROPS; i++)
		out->drops[i] += p2p_count_read(&drops[i]);
	for (unsigned int i = 0; i < P2P_NUM_PUNTS; i++)
		out->punts[i] += p2p_count_read(&punts[i]);
	for (unsigned int p = 0; p < nic->ports; p++) {
		struct port *port = c->ctx.port[p];

		out->port[p].link_up = PUBLISHED(c, link[p]) && (q == 0 || out->port[p].link_up);
		out->port[p].placement = PUBLISHED(&nic->context[0], placement[p]);
#define X(field, desc) out->port[p].s.field += p2p_count_read(&port->stats.field);
		PORT_COUNTERS(X)
#undef X
	}
	for (unsigned int i = 0; i < out->nics && i < P2P_MAX_NICS; i++) {
		enum p2p_peer_state state = PUBLISHED(c, peer_state[i]);

		out->peer[i].state = q == 0 ? state : peer_state_worse(out->peer[i].state, state);
		out->peer[i].sent_frames += PUBLISHED(c, peer_sent[i]);
		out->peer[i].recv_frames += PUBLISHED(c, peer_recv[i]);
	}
}

void soft_nic_stats(struct soft_nic *nic, struct soft_nic_stats *out)
{
	const struct soft_context *c = nic->context;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", nic->name);
	out->state = PUBLISHED(c, running) ? "running" : PUBLISHED(c, configured) ? "configured" : "reset";
	out->mode = PUBLISHED(c, mode);
	out->index = PUBLISHED(c, index);
	out->nics = PUBLISHED(c, nics);
	out->slots = PUBLISHED(c, slots);
	out->buf_size = nic->buf_size;
	out->ports = nic->ports;
	for (unsigned int p = 0; p < nic->ports; p++)
		snprintf(out->port[p].name, sizeof(out->port[p].name), "%s", c->ctx.port[p]->name);
	for (unsigned int q = 0; q < nic->queues && (q == 0 || PUBLISHED(&nic->context[q], configured)); q++) {
		stats_add(nic, q, out);
		out->core[q] = __atomic_load_n(&nic->context[q].core, __ATOMIC_RELAXED);
		out->queues++;
	}
}

/* --- calls --- */

/* Whoever holds one worker may wait for another: one such at a time in the process, or two would wait for each other. */
static pthread_mutex_t nic_hold_lock = PTHREAD_MUTEX_INITIALIZER;

static int nic_call_holding(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg)
{
	struct soft_worker *held[P2P_MAX_QUEUES];
	unsigned int n = 0, q, k;
	uint64_t now;
	int result;

	for (q = 0; q < nic->queues; q++)
		if (nic->context[q].worker && soft_worker_is_self(nic->context[q].worker))
			return -EDEADLK;
	pthread_mutex_lock(&nic_hold_lock);
	pthread_mutex_lock(&nic->lock); /* a worker that does not run yet can't start */
	for (q = 0; q < nic->queues; q++) {
		struct soft_worker *w = nic->context[q].worker;

		for (k = 0; k < n && held[k] != w; k++)
			;
		if (w && k == n && soft_worker_hold(w) == 0)
			held[n++] = w;
	}
	now = soft_now_ns();
	for (q = 0; q < nic->queues; q++)
		nic->context[q].ctx.now_ns = soft_fault_clock(&nic->context[q], now);
	result = fn(nic, arg);
	for (q = 0; q < nic->queues; q++)
		soft_context_publish(&nic->context[q]);
	while (n)
		soft_worker_release(held[--n]);
	pthread_mutex_unlock(&nic->lock);
	pthread_mutex_unlock(&nic_hold_lock);
	return result;
}

int soft_nic_call_class(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
			enum soft_call_class class)
{
	struct soft_context *c = nic->context;
	struct soft_worker *w;
	int result;

	if (nic->queues > 1)
		return nic_call_holding(nic, fn, arg);
	w = __atomic_load_n(&c->worker, __ATOMIC_ACQUIRE);
	for (;;) {
		if (w && soft_worker_is_self(w))
			return fn(nic, arg);
		if (w && soft_worker_call(w, nic, fn, arg, class, &result) == 0)
			return result;
		pthread_mutex_lock(&nic->lock);
		w = __atomic_load_n(&c->worker, __ATOMIC_ACQUIRE);
		if (!w || !soft_worker_is_running(w))
			break;
		pthread_mutex_unlock(&nic->lock);
	}
	c->ctx.now_ns = soft_now_ns();
	result = fn(nic, arg);
	soft_context_publish(c);
	pthread_mutex_unlock(&nic->lock);
	return result;
}

int soft_nic_call(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg)
{
	return soft_nic_call_class(nic, fn, arg, SOFT_CALL_QUIESCENT);
}

/* --- life --- */

static int opts_check(const struct soft_nic_opts *o, char err[SOFT_ERR_MAX])
{
	uint64_t mem = o->mem_bytes ? o->mem_bytes : SOFT_MEM_DEFAULT;
	uint32_t buf = o->buf_size ? o->buf_size : 2048;

	if (!o->name || !*o->name || strlen(o->name) >= SOFT_NAME_MAX) {
		snprintf(err, SOFT_ERR_MAX, "a NIC's name has 1 to %d characters", SOFT_NAME_MAX - 1);
		return -EINVAL;
	}
	if (mem & (mem - 1) || mem < SOFT_HUGE_BYTES || mem > 1ull << 40) {
		snprintf(err, SOFT_ERR_MAX, "%s: device memory of %llu bytes: give a power of two, 2M to 1024G", o->name,
			 (unsigned long long)mem);
		return -EINVAL;
	}
	if (buf != 2048 && buf != 2112 && buf != 4096 && buf != 9728) {
		snprintf(err, SOFT_ERR_MAX, "%s: buffer size %u: give 2048, 2112, 4096 or 9728", o->name, buf);
		return -EINVAL;
	}
	if (o->ports < 1 || o->ports > P2P_MAX_PORTS) {
		snprintf(err, SOFT_ERR_MAX, "%s: %u ports: give 1 to %d", o->name, o->ports, P2P_MAX_PORTS);
		return -EINVAL;
	}
	if (o->queues > P2P_MAX_QUEUES) {
		snprintf(err, SOFT_ERR_MAX, "%s: %u queues: give 1 to %d", o->name, o->queues, P2P_MAX_QUEUES);
		return -EINVAL;
	}
	return 0;
}

/* Locally administered, the same for the same name and port (FNV-1a). */
static void mac_make(const char *name, unsigned int port, uint8_t mac[6])
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (const char *c = name; *c; c++)
		h = (h ^ (uint8_t)*c) * 0x100000001b3ull;
	h = (h ^ port) * 0x100000001b3ull;
	mac[0] = 0x02;
	for (int i = 1; i < 6; i++)
		mac[i] = h >> (8 * i);
}

static void strap_fill(const struct soft_nic_opts *o, struct fw_strap *strap)
{
	static const uint8_t none[6];

	memset(strap, 0, sizeof(*strap));
	strap->ports = o->ports;
	strap->buf_size = o->buf_size ? o->buf_size : 2048;
	strap->mem_bytes = o->mem_bytes ? o->mem_bytes : SOFT_MEM_DEFAULT;
	strap->max_queues = o->queues ? o->queues : 1;
	strap->rx_burst = o->rx_burst ? o->rx_burst : 64;
	for (unsigned int p = 0; p < o->ports; p++) {
		memcpy(strap->mac[p], o->mac[p], 6);
		if (memcmp(o->mac[p], none, 6) == 0)
			mac_make(o->name, p, strap->mac[p]);
	}
}

static void queues_lack(struct soft_nic *nic, const struct port *port, unsigned int have, char err[SOFT_ERR_MAX])
{
	if (!port->ops->queue)
		snprintf(err, SOFT_ERR_MAX, "%s: port %s has one queue, the NIC %u: leave --queues out, or use memif, xdp or gen ports",
			 nic->name, port->name, nic->queues);
	else
		snprintf(err, SOFT_ERR_MAX, "%s: port %s has %u queue%s, the NIC %u: give the port queues=%u, or the NIC fewer", nic->name,
			 port->name, have, have == 1 ? "" : "s", nic->queues, nic->queues);
}

/* Queue q's own of everything. */
static int context_make(struct soft_nic *nic, unsigned int q, const struct soft_nic_opts *o, const struct fw_strap *strap,
			char err[SOFT_ERR_MAX])
{
	struct soft_context *c = &nic->context[q];
	struct fw_strap own = *strap;

	c->queue = own.queue = q;
	c->core = SOFT_CORE_NONE;
	c->ctx.nic = nic;
	c->ctx.gen = 1;
	c->ctx.now_ns = soft_now_ns();
	for (unsigned int p = 0; p < o->ports; p++) {
		struct port *port = o->port[p];

		if (q)
			port = port->ops->queue ? port->ops->queue(port, q) : NULL;
		if (!port) {
			queues_lack(nic, o->port[p], q, err);
			return -EINVAL;
		}
		c->ctx.port[p] = port;
	}
	c->fw = nic->fw[q] = alloc_apart(fw_nic_bytes());
	if (!c->fw) {
		snprintf(err, SOFT_ERR_MAX, "%s: can't make the NIC: out of memory", nic->name);
		return -ENOMEM;
	}
	if (o->faults && soft_fault_make(c, o->faults, o->fault_seed * P2P_MAX_QUEUES + q)) {
		snprintf(err, SOFT_ERR_MAX, "%s: can't make the NIC: out of memory", nic->name);
		return -ENOMEM;
	}
	c->step = soft_copy_wide() && soft_avx2_fw_step ? soft_avx2_fw_step : fw_step;
	if (fw_nic_init(c->fw, &c->ctx, &own)) {
		snprintf(err, SOFT_ERR_MAX, "%s: the firmware takes no NIC of %u ports, buffers of %u bytes and bursts of %u;"
			 " give bursts of 32 or 64", nic->name, own.ports, own.buf_size, own.rx_burst);
		return -EINVAL;
	}
	return 0;
}

static void contexts_free(struct soft_nic *nic)
{
	for (unsigned int q = 0; q < nic->queues; q++) {
		free(nic->fw[q]);
		soft_fault_free(&nic->context[q]);
	}
	free(nic->context);
}

static int contexts_make(struct soft_nic *nic, const struct soft_nic_opts *o, const struct fw_strap *strap,
			 char err[SOFT_ERR_MAX])
{
	int e;

	for (unsigned int q = 0; q < nic->queues; q++) {
		e = context_make(nic, q, o, strap, err);
		if (e)
			return e;
	}
	for (unsigned int q = 0; q < nic->queues; q++)
		soft_context_publish(&nic->context[q]);
	return 0;
}

int soft_nic_create(struct soft_nic **out, const struct soft_nic_opts *o, char err[SOFT_ERR_MAX])
{
	struct fw_strap strap;
	struct soft_nic *nic;
	int e = opts_check(o, err);

	if (e)
		return e;
	strap_fill(o, &strap);
	snprintf(err, SOFT_ERR_MAX, "%s: can't make the NIC: out of memory", o->name);
	nic = alloc_apart(sizeof(*nic));
	if (!nic)
		return -ENOMEM;
	snprintf(nic->name, sizeof(nic->name), "%s", o->name);
	nic->ports = o->ports;
	nic->buf_size = strap.buf_size;
	nic->mem_bytes = strap.mem_bytes;
	nic->queues = strap.max_queues;
	pthread_mutex_init(&nic->lock, NULL);
	pthread_rwlock_init(&nic->mem_lock, NULL);
	e = -ENOMEM;
	nic->context = alloc_apart(nic->queues * sizeof(*nic->context));
	if (!nic->context)
		goto free_nic;
	e = soft_function_init(nic);
	if (e)
		goto free_contexts;
	e = soft_memory_init(&nic->mem, nic->mem_bytes);
	if (e) {
		snprintf(err, SOFT_ERR_MAX, "%s: no %llu MiB of addresses for device memory: %s; give less with --mem, or raise"
			 " `ulimit -v`", o->name, (unsigned long long)nic->mem_bytes >> 20, strerror(-e));
		goto free_config;
	}
	e = contexts_make(nic, o, &strap, err);
	if (e)
		goto destroy_memory;
	*out = nic;
	return 0;
destroy_memory:
	soft_memory_destroy(&nic->mem);
free_config:
	pci_config_free(&nic->cfg);
free_contexts:
	contexts_free(nic);
free_nic:
	pthread_rwlock_destroy(&nic->mem_lock);
	pthread_mutex_destroy(&nic->lock);
	free(nic);
	return e;
}

void soft_nic_destroy(struct soft_nic *nic)
{
	if (!nic)
		return;
	for (unsigned int q = nic->queues; q-- > 0;) {
		fw_nic_reset(nic->fw[q], false);
		soft_board_layout_drop(&nic->context[q].ctx);
	}
	soft_iommu_clear(&nic->iommu);
	soft_memory_destroy(&nic->mem);
	soft_function_fini(nic);
	pthread_rwlock_destroy(&nic->mem_lock);
	pthread_mutex_destroy(&nic->lock);
	contexts_free(nic);
	free(nic);
}

const char *soft_nic_name(const struct soft_nic *nic)
{
	return nic->name;
}
