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

void soft_say(const char *fmt, ...)
{
	char line[SOFT_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "p2pnic: %s\n", line);
}

/* --- what firmware asks --- */

uint32_t soft_board_random(struct board_ctx *b)
{
	struct soft_nic *nic = b->nic;

	if (nic->random_seed)
		return (uint32_t)(p2p_random(&nic->random_seed) >> 32);
	if (nic->random_left == 0) {
		if (getrandom(nic->random, sizeof(nic->random), 0) != sizeof(nic->random))
			for (unsigned int i = 0; i < P2P_ARRAY_SIZE(nic->random); i++)
				nic->random[i] = (soft_now_ns() + i) * 0x9e3779b97f4a7c15ull;
		nic->random_left = P2P_ARRAY_SIZE(nic->random);
	}
	return nic->random[--nic->random_left] >> 32;
}

void soft_board_bell(struct board_ctx *b, unsigned int peer)
{
	if (peer < P2P_MAX_NICS)
		soft_event_signal(b->nic->bell_fd[peer]);
}

void soft_board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	struct soft_nic *nic = b->nic;

	if (vector < BOARD_NUM_VECTORS && pci_config_msix_fire(&nic->cfg, vector))
		soft_event_signal(nic->msix_fd[vector]);
}

int soft_board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	struct soft_nic *nic = b->nic;
	int err;

	soft_board_layout_drop(b);
	err = soft_memory_layout(&nic->mem, shape);
	if (err)
		return -ENOMEM;
	b->mem = nic->mem.base;
	b->mem_used = nic->mem.used;
	soft_nic_retranslate(nic);
	return 0;
}

void soft_board_layout_drop(struct board_ctx *b)
{
	soft_board_ports_stop(b);
	b->mem = NULL;
	b->mem_used = 0;
	soft_memory_drop(&b->nic->mem);
	free(b->nic->state);
	b->nic->state = NULL;
	soft_nic_retranslate(b->nic);
}

void *soft_board_segment(struct board_ctx *b, unsigned int seg)
{
	const struct soft_memory *m = &b->nic->mem;

	return seg < m->n ? m->base + m->seg[seg].offset : NULL;
}

void *soft_board_state(struct board_ctx *b, size_t bytes)
{
	size_t room = P2P_ALIGN_UP(bytes, (size_t)P2P_APART_BYTES);

	free(b->nic->state);
	b->nic->state = NULL;
	if (room < bytes)
		return NULL;
	b->nic->state = aligned_alloc(P2P_APART_BYTES, room ? room : P2P_APART_BYTES);
	if (b->nic->state)
		memset(b->nic->state, 0, room);
	return b->nic->state;
}

static void port_memory_fill(const struct soft_nic *nic, unsigned int p, struct port_memory *pm)
{
	const struct soft_memory *m = &nic->mem;

	memset(pm, 0, sizeof(*pm));
	pm->n = 1 + m->shape.nics;
	pm->buf_size = m->shape.buf_size;
	pm->rx_bufs = m->shape.rx_bufs;
	for (unsigned int i = 0; i < pm->n; i++) {
		unsigned int s = i == 0 ? p2p_seg_rx(&m->shape, p) : p2p_seg_buf(&m->shape, p, i - 1);

		pm->region[i] = (struct port_region){ m->base + m->seg[s].offset, m->seg[s].bytes, m->seg[s].fd };
	}
}

int soft_board_ports_start(struct board_ctx *b)
{
	struct soft_nic *nic = b->nic;
	int err;

	if (!nic->mem.n)
		return -EINVAL;
	soft_board_ports_stop(b);
	for (unsigned int p = 0; p < nic->ports; p++) {
		struct port_memory pm;

		port_memory_fill(nic, p, &pm);
		err = b->port[p]->ops->start(b->port[p], &pm);
		if (err) {
			soft_say("%s: port %s: can't start: %s", nic->name, b->port[p]->name, strerror(-err));
			soft_board_ports_stop(b);
			return err;
		}
		nic->port_started[p] = true;
	}
	b->ports_on = true;
	return 0;
}

void soft_board_ports_stop(struct board_ctx *b)
{
	struct soft_nic *nic = b->nic;

	b->ports_on = false;
	for (unsigned int p = 0; p < nic->ports; p++) {
		if (nic->port_started[p])
			b->port[p]->ops->stop(b->port[p]);
		nic->port_started[p] = false;
	}
}

/* --- the worker's side --- */

void soft_nic_retranslate(struct soft_nic *nic)
{
	if (++nic->ctx.gen == 0)
		nic->ctx.gen = 1;
}

uint64_t soft_nic_step(struct soft_nic *nic, uint64_t now_ns)
{
	uint64_t until;

	/* A call since may have seen a later clock; it never goes back. */
	if (now_ns > nic->ctx.now_ns)
		nic->ctx.now_ns = now_ns;
	nic->in_step = true;
	until = fw_step(nic->fw);
	nic->in_step = false;
	if (p2p_likely(!nic->num_posted && !nic->reset_posted))
		return until;
	for (unsigned int i = 0; i < nic->num_posted; i++)
		fw_reg_write(nic->fw, nic->posted[i].off, nic->posted[i].bytes, nic->posted[i].value);
	nic->num_posted = 0;
	if (nic->reset_posted)
		soft_function_reset(nic);
	nic->reset_posted = false;
	return 0;
}

void soft_nic_control(struct soft_nic *nic, uint64_t now_ns)
{
	for (unsigned int p = 0; p < nic->ports; p++)
		if (nic->port_started[p])
			nic->ctx.port[p]->ops->control(nic->ctx.port[p], now_ns);
	if (soft_iommu_check(&nic->iommu)) {
		p2p_count(&nic->ctx.faults, 1);
		soft_nic_retranslate(nic);
	}
	soft_nic_publish(nic);
}

#define PUBLISH(field, v) __atomic_store_n(&nic->pub.field, (v), __ATOMIC_RELAXED)
#define PUBLISHED(field) __atomic_load_n(&nic->pub.field, __ATOMIC_RELAXED)

void soft_nic_publish(struct soft_nic *nic)
{
	const struct p2p_shape *shape = fw_nic_shape(nic->fw);
	unsigned int nics = shape ? shape->nics : 0;

	PUBLISH(running, fw_nic_running(nic->fw));
	PUBLISH(configured, shape != NULL);
	PUBLISH(mode, fw_nic_mode(nic->fw));
	PUBLISH(index, fw_nic_index(nic->fw));
	PUBLISH(nics, nics);
	PUBLISH(slots, shape ? shape->slots : 0);
	PUBLISH(held, fw_nic_held(nic->fw));
	for (unsigned int p = 0; p < nic->ports; p++)
		PUBLISH(link[p], board_link_up(&nic->ctx, p));
	for (unsigned int i = 0; i < P2P_MAX_NICS; i++) {
		struct fw_peer_info info = { .state = P2P_PEER_ABSENT };

		if (i < nics && fw_peer_info(nic->fw, i, &info) != 0)
			info = (struct fw_peer_info){ .state = P2P_PEER_ABSENT };
		PUBLISH(peer_state[i], info.state);
		PUBLISH(peer_sent[i], info.sent_frames);
		PUBLISH(peer_recv[i], info.recv_frames);
		if (i >= nics && !nics)
			break;
	}
}

void soft_nic_stats(struct soft_nic *nic, struct soft_nic_stats *out)
{
	const uint64_t *ev = fw_nic_events(nic->fw), *drops = fw_nic_drops(nic->fw);

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "%s", nic->name);
	out->state = PUBLISHED(running) ? "running" : PUBLISHED(configured) ? "configured" : "reset";
	out->mode = PUBLISHED(mode);
	out->index = PUBLISHED(index);
	out->nics = PUBLISHED(nics);
	out->slots = PUBLISHED(slots);
	out->buf_size = nic->buf_size;
	out->held = PUBLISHED(held);
	out->ports = nic->ports;
	for (unsigned int i = 0; i < P2P_NUM_EVENTS; i++)
		out->events[i] = p2p_count_read(&ev[i]);
	out->events[P2P_EV_dma_faults] = p2p_count_read(&nic->ctx.faults);
	for (unsigned int i = 0; i < P2P_NUM_DROPS; i++)
		out->drops[i] = p2p_count_read(&drops[i]);
	for (unsigned int p = 0; p < nic->ports; p++) {
		struct port *port = nic->ctx.port[p];

		snprintf(out->port[p].name, sizeof(out->port[p].name), "%s", port->name);
		out->port[p].link_up = PUBLISHED(link[p]);
#define X(field, desc) out->port[p].s.field = p2p_count_read(&port->stats.field);
		PORT_COUNTERS(X)
#undef X
	}
	for (unsigned int i = 0; i < out->nics && i < P2P_MAX_NICS; i++) {
		out->peer[i].state = PUBLISHED(peer_state[i]);
		out->peer[i].sent_frames = PUBLISHED(peer_sent[i]);
		out->peer[i].recv_frames = PUBLISHED(peer_recv[i]);
	}
}

/* --- calls --- */

int soft_nic_call_class(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
			enum soft_call_class class)
{
	struct soft_worker *w = __atomic_load_n(&nic->worker, __ATOMIC_ACQUIRE);
	int result;

	for (;;) {
		if (w && soft_worker_is_self(w))
			return fn(nic, arg);
		if (w && soft_worker_call(w, nic, fn, arg, class, &result) == 0)
			return result;
		pthread_mutex_lock(&nic->lock);
		w = __atomic_load_n(&nic->worker, __ATOMIC_ACQUIRE);
		if (!w || !soft_worker_is_running(w))
			break;
		pthread_mutex_unlock(&nic->lock);
	}
	nic->ctx.now_ns = soft_now_ns();
	result = fn(nic, arg);
	soft_nic_publish(nic);
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
	for (unsigned int p = 0; p < o->ports; p++) {
		memcpy(strap->mac[p], o->mac[p], 6);
		if (memcmp(o->mac[p], none, 6) == 0)
			mac_make(o->name, p, strap->mac[p]);
	}
}

int soft_nic_create(struct soft_nic **out, const struct soft_nic_opts *o, char err[SOFT_ERR_MAX])
{
	struct fw_strap strap;
	struct soft_nic *nic;
	int e = opts_check(o, err);

	if (e)
		return e;
	strap_fill(o, &strap);
	e = -ENOMEM;
	nic = aligned_alloc(P2P_APART_BYTES, P2P_ALIGN_UP(sizeof(*nic), (size_t)P2P_APART_BYTES));
	if (!nic)
		goto fail;
	memset(nic, 0, sizeof(*nic));
	snprintf(nic->name, sizeof(nic->name), "%s", o->name);
	nic->ctx.nic = nic;
	nic->ctx.gen = 1;
	nic->ctx.now_ns = soft_now_ns();
	nic->ports = o->ports;
	nic->buf_size = strap.buf_size;
	nic->mem_bytes = strap.mem_bytes;
	for (unsigned int p = 0; p < o->ports; p++)
		nic->ctx.port[p] = o->port[p];
	pthread_mutex_init(&nic->lock, NULL);
	e = soft_function_init(nic);
	if (e)
		goto free_nic;
	e = soft_memory_init(&nic->mem, nic->mem_bytes);
	if (e)
		goto free_config;
	e = -ENOMEM;
	nic->fw = aligned_alloc(P2P_APART_BYTES, P2P_ALIGN_UP(fw_nic_bytes(), (size_t)P2P_APART_BYTES));
	if (!nic->fw)
		goto destroy_memory;
	memset(nic->fw, 0, P2P_ALIGN_UP(fw_nic_bytes(), (size_t)P2P_APART_BYTES));
	e = fw_nic_init(nic->fw, &nic->ctx, &strap);
	if (e)
		goto free_fw;
	soft_nic_publish(nic);
	*out = nic;
	return 0;
free_fw:
	free(nic->fw);
destroy_memory:
	soft_memory_destroy(&nic->mem);
free_config:
	pci_config_free(&nic->cfg);
free_nic:
	pthread_mutex_destroy(&nic->lock);
	free(nic);
fail:
	snprintf(err, SOFT_ERR_MAX, "%s: can't make the NIC: %s", o->name, strerror(-e));
	return e;
}

void soft_nic_destroy(struct soft_nic *nic)
{
	if (!nic)
		return;
	fw_nic_reset(nic->fw, false);
	soft_board_layout_drop(&nic->ctx);
	soft_iommu_clear(&nic->iommu);
	soft_memory_destroy(&nic->mem);
	soft_function_fini(nic);
	pthread_mutex_destroy(&nic->lock);
	free(nic->fw);
	free(nic);
}

const char *soft_nic_name(const struct soft_nic *nic)
{
	return nic->name;
}
