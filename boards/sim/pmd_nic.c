/* SPDX-License-Identifier: BSD-3-Clause */
/* An ordinary NIC: descriptor rings in main memory, doorbells in its BAR, no firmware. */
#include "internal.h"
#include "pmd_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define nic_container(ptr, type, member) ((type *)((uint8_t *)(ptr) - offsetof(type, member)))

/* ---- workers ---- */

static uint64_t nic_now(const struct sim_pmd_nic *nic)
{
	return fab_now(nic->pmd->q);
}

/* The workers spend cycles on a frame: when what they do then happens. */
static uint64_t nic_work(struct sim_pmd_nic *nic, double cycles)
{
	uint64_t now = nic_now(nic), work_ps = (uint64_t)(cycles * nic->ps_per_cycle + 0.5);

	if (nic->work_until_ps < now)
		nic->work_until_ps = now;
	nic->work_until_ps += work_ps;
	nic->work_ps += work_ps;
	return nic->work_until_ps + nic->latency_ps;
}

static uint64_t nic_mac_time(const void *arg)
{
	const struct sim_pmd_nic *nic = arg;
	uint64_t now = nic_now(nic);

	return nic->time_ps > now ? nic->time_ps : now;
}

static void nic_wake(struct sim_pmd_nic *nic, uint64_t at_ps)
{
	if (!fab_event_queued(&nic->event) || at_ps < nic->event.at_ps)
		fab_schedule(nic->pmd->q, &nic->event, at_ps);
}

/* When a MAC will have something for us. */
static uint64_t nic_mac_next(const struct sim_pmd_nic *nic)
{
	uint64_t now_ns = sim_world_ns(sim_host_world(nic->pmd->h)), first = UINT64_MAX, at;
	unsigned int k;

	for (k = 0; k < nic->ports; k++) {
		struct port *mac = nic->port[k]->mac;

		at = mac->ops->next_event ? mac->ops->next_event(mac, now_ns) : UINT64_MAX;
		if (at < first)
			first = at;
	}
	if (first == UINT64_MAX)
		return FAB_NEVER;
	return nic_now(nic) + (first > now_ns ? (first - now_ns) * FAB_PS_PER_NS : 0);
}

static void nic_wake_by_mac(struct sim_pmd_nic *nic)
{
	uint64_t at = nic_mac_next(nic);

	if (at != FAB_NEVER)
		nic_wake(nic, sim_host_poll_at(nic_now(nic), nic->poll_ps, at));
}

static void nic_mac_changed(void *arg)
{
	nic_wake_by_mac(arg);
}

/* ---- DMA of descriptors and lines ---- */

static struct pmd_op *op_get(struct sim_pmd_nic *nic)
{
	struct pmd_op *op = nic->ops_free;

	if (op) {
		nic->ops_free = op->next;
		return op;
	}
	op = calloc(1, sizeof(*op));
	if (!op)
		return NULL;
	op->nic = nic;
	op->made = nic->ops_made;
	nic->ops_made = op;
	return op;
}

static void op_put(struct pmd_op *op)
{
	op->next = op->nic->ops_free;
	op->nic->ops_free = op;
}

static void op_written(struct sim_dma *d)
{
	op_put((struct pmd_op *)d);
}

_Static_assert(offsetof(struct pmd_op, dma) == 0 && offsetof(struct pmd_rxbuf, dma) == 0 &&
	       offsetof(struct pmd_txbuf, dma) == 0, "completions rely on it");

static void op_init(struct sim_pmd_nic *nic, struct pmd_op *op, uint64_t addr, void *data, uint32_t len,
		    sim_dma_fn *done)
{
	op->next = NULL;
	op->done = false;
	op->dma = (struct sim_dma){ .req = { .addr = addr, .data = data, .len = len }, .done = done,
				    .not_before_ps = nic_work(nic, nic->prof.step_dma_issue) };
}

static void txq_wait(struct pmd_port *port, struct pmd_txq *t);
static void tx_issue(struct pmd_port *port);

static void fetch_done(struct sim_dma *d)
{
	struct pmd_op *op = (struct pmd_op *)d;
	struct pmd_fetch *f = op->fetch;
	struct sim_pmd_nic *nic = op->nic;

	if (d->req.lost) {
		op_init(nic, op, d->req.addr, d->req.data, d->req.len, fetch_done);
		sim_engine_read(nic->engine, d);
		return;
	}
	op->done = true;
	while ((op = f->first) && op->done) {
		f->first = op->next;
		f->got += op->count;
		op_put(op);
	}
	if (!f->txq)
		return;
	txq_wait(f->port, f->txq);
	tx_issue(f->port);
}

/* The core has rung: fetches what is new. */
static void fetch_run(struct sim_pmd_nic *nic, struct pmd_fetch *f)
{
	struct sim_pmd *p = nic->pmd;
	struct pmd_op *op;
	uint32_t n, slot;

	while (f->asked != f->bell) {
		n = f->bell - f->asked < p->batch ? f->bell - f->asked : p->batch;
		n = pmd_straight(p, f->asked, n);
		slot = f->asked & pmd_mask(p);
		op = op_get(nic);
		if (!op)
			return;
		op_init(nic, op, f->bus + 16ull * slot, &f->copy[slot], 16 * n, fetch_done);
		op->fetch = f;
		op->count = n;
		if (f->first)
			f->last->next = op;
		else
			f->first = op;
		f->last = op;
		f->asked += n;
		sim_engine_read(nic->engine, &op->dma);
	}
}

static void nic_bell(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	struct sim_pmd_nic *nic = arg;
	struct sim_pmd *p = nic->pmd;
	uint64_t off = addr - nic->bar;
	unsigned int per = off < PMD_FREE_BELLS ? p->num_cores : p->queues, k;
	struct pmd_port *port;
	struct pmd_fetch *f;
	le32 value;

	if (!data || len < sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	k = (unsigned int)(off % PMD_FREE_BELLS) / 8;
	if (k >= nic->ports * per)
		return;
	port = nic->port[k / per];
	f = off < PMD_FREE_BELLS ? &port->txq[k % per].fetch : &port->rxq[k % per].free;
	if (from_le32(value) - f->asked > p->ring)
		return;
	f->bell = from_le32(value);
	fetch_run(nic, f);
}

/* ---- receive ---- */

static void rx_free(struct pmd_port *port, uint32_t buf)
{
	port->free[port->nfree++] = buf;
	if (!port->posted)
		nic_wake(port->nic, sim_host_poll_at(nic_now(port->nic), port->nic->poll_ps, nic_now(port->nic)));
}

static void rx_written(struct sim_dma *d)
{
	struct pmd_rxbuf *b = (struct pmd_rxbuf *)d;

	b->port->nic->writing--;
	rx_free(b->port, (uint32_t)(b - b->port->rx));
}

static void rx_post(struct pmd_port *port)
{
	struct p2p_seg seg[PMD_RX_BURST];
	uint32_t k, n, buf, took;

	while (port->nfree) {
		n = port->nfree < PMD_RX_BURST ? port->nfree : PMD_RX_BURST;
		for (k = 0; k < n; k++) {
			buf = port->free[port->nfree - 1 - k];
			seg[k] = (struct p2p_seg){ .data = port->rx[buf].data, .len = port->nic->pmd->buf_bytes,
						   .cookie = buf };
		}
		took = port->mac->ops->rx_post(port->mac, seg, n);
		port->nfree -= took;
		port->posted += took;
		if (took < n)
			return;
	}
}

/*
 * Receive-side scaling: a simulated frame's source and flow, added.  Flows numbered one after the other are spread
 * evenly, the best case for the cores; a hash does no better.
 */
static unsigned int rx_queue(const struct sim_pmd *p, const uint8_t *frame)
{
	uint16_t source;
	uint32_t flow;

	memcpy(&source, frame + 14, sizeof(source));
	memcpy(&flow, frame + 16, sizeof(flow));
	return (P2P_SWAP16(source) + P2P_SWAP32(flow)) % p->queues;
}

/* Writes the queue's receive descriptors back, a batch at a time. */
static void rx_flush(struct sim_pmd_nic *nic, struct pmd_rxq *r)
{
	struct sim_pmd *p = nic->pmd;
	struct pmd_op *op;
	uint32_t n, slot;

	while (r->told != r->prod) {
		n = r->prod - r->told < p->batch ? r->prod - r->told : p->batch;
		n = pmd_straight(p, r->told, n);
		slot = r->told & pmd_mask(p);
		op = op_get(nic);
		if (!op)
			return;
		op_init(nic, op, r->bus + 16ull * slot, &r->back[slot], 16 * n, op_written);
		r->told += n;
		sim_engine_write(nic->engine, &op->dma);
	}
}

/* dry: nothing more has come in; else only what has waited long enough.  Returns when to look again. */
static uint64_t rx_flush_all(struct sim_pmd_nic *nic, bool dry)
{
	uint64_t now = nic_now(nic), next = FAB_NEVER;
	struct pmd_rxq **d = &nic->dirty, *r;

	dry = dry && nic->writing < PMD_BUSY_WRITES;
	while ((r = *d)) {
		if (r->told != r->prod && (dry || now - r->since_ps >= PMD_FLUSH_PS))
			rx_flush(nic, r);
		if (r->told == r->prod) {
			*d = r->next_dirty;
			r->dirty = false;
			continue;
		}
		if (r->since_ps + PMD_FLUSH_PS < next)
			next = r->since_ps + PMD_FLUSH_PS;
		d = &r->next_dirty;
	}
	return next;
}

static void rx_drop(struct pmd_port *port, uint32_t buf)
{
	port->nic->pmd->drops++;
	port->free[port->nfree++] = buf;
}

static void rx_frame(struct pmd_port *port, const struct p2p_seg *seg)
{
	struct sim_pmd_nic *nic = port->nic;
	struct sim_pmd *p = nic->pmd;
	struct pmd_rxbuf *b = &port->rx[seg->cookie];
	struct pmd_rxq *r;
	uint32_t slot;
	uint64_t addr;

	port->posted--;
	if (port->chain || (seg->flags & P2P_SEG_MORE)) {
		port->chain = seg->flags & P2P_SEG_MORE;
		if (port->chain)
			port->free[port->nfree++] = seg->cookie;
		else
			rx_drop(port, seg->cookie);
		return;
	}
	nic_work(nic, nic->prof.step_rx);
	r = &port->rxq[rx_queue(p, seg->data)];
	if (port->to < 0 || r->used == r->free.got) {
		rx_drop(port, seg->cookie);
		return;
	}
	addr = from_le64(r->free.copy[r->used++ & pmd_mask(p)].addr);
	slot = r->prod & pmd_mask(p);
	r->back[slot] = (struct pmd_desc){ to_le64(addr), to_le32(seg->len), to_le32(r->prod + 1) };
	if (r->prod++ == r->told)
		r->since_ps = nic_now(nic);
	b->dma = (struct sim_dma){ .req = { .addr = addr, .data = seg->data, .len = seg->len }, .done = rx_written,
				   .not_before_ps = nic_work(nic, nic->prof.step_dma_issue) };
	nic->writing++;
	sim_engine_write(nic->engine, &b->dma);
	if (r->prod - r->told >= p->batch) {
		rx_flush(nic, r);
	} else if (!r->dirty) {
		r->dirty = true;
		r->next_dirty = nic->dirty;
		nic->dirty = r;
	}
}

/* False: there may be more. */
static bool rx_port(struct pmd_port *port, bool *some)
{
	struct p2p_seg seg[PMD_RX_BURST];
	unsigned int k, n;

	rx_post(port);
	n = port->mac->ops->rx_burst(port->mac, seg, PMD_RX_BURST);
	for (k = 0; k < n; k++)
		rx_frame(port, &seg[k]);
	*some |= n;
	return n < PMD_RX_BURST && port->posted;
}

/* ---- send ---- */

static void txq_complete(struct sim_pmd_nic *nic, struct pmd_txq *t)
{
	struct pmd_op *op;

	if (t->sent == t->told || (t->sent - t->told < nic->pmd->batch && t->sent != t->fetch.bell))
		return;
	op = op_get(nic);
	if (!op)
		return;
	memset(op->line, 0, sizeof(op->line));
	op->line[0] = to_le32(t->sent);
	op_init(nic, op, t->line_bus, op->line, sizeof(op->line), op_written);
	t->told = t->sent;
	sim_engine_write(nic->engine, &op->dma);
}

static void tx_release(struct pmd_port *port, struct pmd_txbuf *b)
{
	b->next = port->tx_free;
	port->tx_free = b;
}

/* Gives a frame to the MAC; false: it takes no more. */
static bool tx_give(struct pmd_port *port, struct pmd_txbuf *b)
{
	struct p2p_seg seg = { .data = b->data, .len = b->len };
	struct sim_pmd_nic *nic = port->nic;
	uint64_t before = nic->work_until_ps, worked = nic->work_ps;

	nic->time_ps = nic_work(nic, nic->prof.step_tx);
	port->full = !port->mac->ops->tx_burst(port->mac, &seg, 1);
	nic->time_ps = 0;
	if (port->full) {
		nic->work_until_ps = before;
		nic->work_ps = worked;
		nic_wake_by_mac(nic);
		return false;
	}
	b->next = NULL;
	*port->out_last = b;
	port->out_last = &b->next;
	return true;
}

/* Frames that are there leave, in the order of the ring. */
static void txq_send(struct pmd_port *port, struct pmd_txq *t)
{
	struct sim_pmd_nic *nic = port->nic;
	uint32_t mask = pmd_mask(nic->pmd);
	struct pmd_txbuf *b;

	while (t->sent != t->next && (b = t->slot[t->sent & mask])->there) {
		if (b->lost) {
			nic->pmd->drops++;
			tx_release(port, b);
		} else if (port->full || !tx_give(port, b)) {
			break;
		}
		t->sent++;
	}
	txq_complete(nic, t);
}

static void tx_read(struct sim_dma *d)
{
	struct pmd_txbuf *b = (struct pmd_txbuf *)d;
	struct pmd_port *port = b->txq->fetch.port;

	b->there = true;
	b->lost = d->req.lost;
	txq_send(port, b->txq);
}

/* What the MAC has sent is free again. */
static bool tx_reap(struct pmd_port *port)
{
	unsigned int n = port->mac->ops->tx_done(port->mac), k;
	struct pmd_txbuf *b;

	for (k = 0; k < n; k++) {
		b = port->out_first;
		port->out_first = b->next;
		if (!port->out_first)
			port->out_last = &port->out_first;
		tx_release(port, b);
	}
	return n;
}

/* Submits the reads of frames whose descriptors are here, a batch at most. */
static void txq_read(struct pmd_port *port, struct pmd_txq *t)
{
	struct sim_pmd_nic *nic = port->nic;
	uint32_t mask = pmd_mask(nic->pmd), n;
	const struct pmd_desc *d;
	struct pmd_txbuf *b;

	for (n = 0; n < nic->pmd->batch && t->next != t->fetch.got && port->tx_free; n++) {
		b = port->tx_free;
		port->tx_free = b->next;
		d = &t->fetch.copy[t->next & mask];
		b->txq = t;
		b->there = false;
		b->len = from_le32(d->len);
		t->slot[t->next++ & mask] = b;
		b->dma = (struct sim_dma){ .req = { .addr = from_le64(d->addr), .data = b->data, .len = b->len },
					   .done = tx_read,
					   .not_before_ps = nic_work(nic, nic->prof.step_dma_issue) };
		sim_engine_read(nic->engine, &b->dma);
	}
}

static void txq_wait(struct pmd_port *port, struct pmd_txq *t)
{
	if (t->waiting || t->next == t->fetch.got)
		return;
	t->waiting = true;
	t->next_waiting = NULL;
	*port->wait_last = t;
	port->wait_last = &t->next_waiting;
}

/* Queues with descriptors take turns while there are buffers. */
static void tx_issue(struct pmd_port *port)
{
	struct pmd_txq *t;

	if (port->issuing)
		return;
	port->issuing = true;
	while ((port->tx_free || (port->wait_first && tx_reap(port))) && (t = port->wait_first)) {
		port->wait_first = t->next_waiting;
		if (!port->wait_first)
			port->wait_last = &port->wait_first;
		t->waiting = false;
		txq_read(port, t);
		txq_wait(port, t);
	}
	port->issuing = false;
	if (port->wait_first)
		nic_wake_by_mac(port->nic);
}

static bool tx_port(struct pmd_port *port)
{
	bool some = tx_reap(port);
	unsigned int k;

	if (port->full) {
		port->full = false;
		for (k = 0; k < port->nic->pmd->num_cores; k++)
			txq_send(port, &port->txq[k]);
	}
	tx_issue(port);
	return some;
}

/* ---- the NIC looks at its MACs ---- */

static void nic_event(struct fab_event *e)
{
	struct sim_pmd_nic *nic = nic_container(e, struct sim_pmd_nic, event);
	uint64_t now = nic_now(nic), at, flush;
	bool dry = true, some = false;
	unsigned int k;

	for (k = 0; k < nic->ports; k++) {
		some |= tx_port(nic->port[k]);
		dry &= rx_port(nic->port[k], &some);
	}
	flush = rx_flush_all(nic, dry);
	at = nic_mac_next(nic);
	if (flush < at)
		at = flush;
	if (at == FAB_NEVER)
		return;
	/* Looking again in vain at the same instant would never end. */
	if (!some && at <= now)
		at = now + FAB_PS_PER_NS;
	at = sim_host_poll_at(now, nic->poll_ps, at);
	nic_wake(nic, at > nic->work_until_ps ? at : nic->work_until_ps);
}

/* ---- life ---- */

static void nic_cancel(struct sim_pmd_nic *nic, struct sim_dma *d)
{
	fab_cancel(nic->pmd->q, &d->event);
}

static void port_destroy(struct pmd_port *port)
{
	uint32_t k;

	if (!port)
		return;
	for (k = 0; port->rx && k < (uint32_t)port->nic->prof.rx_bufs; k++)
		nic_cancel(port->nic, &port->rx[k].dma);
	for (k = 0; port->tx && k < PMD_TX_BUFS; k++)
		nic_cancel(port->nic, &port->tx[k].dma);
	if (port->mem)
		munmap(port->mem, port->mem_bytes);
	free(port->rx);
	free(port->free);
	free(port->tx);
	free(port);
}

static int port_create(struct sim_pmd_nic *nic, struct port *mac, struct pmd_port **out)
{
	uint32_t bufs = (uint32_t)nic->prof.rx_bufs, bytes = nic->pmd->buf_bytes, k;
	struct pmd_port *port = calloc(1, sizeof(*port));
	void *mem;

	if (!port)
		return -ENOMEM;
	port->nic = nic;
	port->mac = mac;
	port->to = -1;
	port->out_last = &port->out_first;
	port->wait_last = &port->wait_first;
	port->rx = calloc(bufs, sizeof(*port->rx));
	port->free = calloc(bufs, sizeof(*port->free));
	port->tx = calloc(PMD_TX_BUFS, sizeof(*port->tx));
	port->mem_bytes = (uint64_t)(bufs + PMD_TX_BUFS) * bytes;
	mem = mmap(NULL, port->mem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem != MAP_FAILED)
		port->mem = mem;
	if (!port->rx || !port->free || !port->tx || !port->mem) {
		port_destroy(port);
		return -ENOMEM;
	}
	for (k = 0; k < bufs; k++) {
		port->rx[k].port = port;
		port->rx[k].data = port->mem + (size_t)k * bytes;
		port->free[port->nfree++] = bufs - 1 - k;
	}
	for (k = 0; k < PMD_TX_BUFS; k++) {
		port->tx[k].data = port->mem + (size_t)(bufs + k) * bytes;
		tx_release(port, &port->tx[k]);
	}
	*out = port;
	return 0;
}

int pmd_nic_create(struct sim_pmd *p, const char *name, const struct sim_nic_profile *prof, struct fab_node *parent,
		   struct port *const *ports, unsigned int num_ports, struct sim_pmd_nic **out, char err[FAB_ERR_MAX])
{
	static const struct fab_target_ops bells = { .write = nic_bell };
	struct sim_pmd_nic *nic = calloc(1, sizeof(*nic));
	struct fab_link_cfg link;
	struct fab_ep_cfg ep;
	int rc = -ENOMEM;

	snprintf(err, FAB_ERR_MAX, "%s: no memory", name);
	if (!nic)
		return rc;
	nic->pmd = p;
	nic->prof = *prof;
	nic->bar = PMD_BAR_BASE + (uint64_t)p->num_nics * PMD_BAR_BYTES;
	nic->ps_per_cycle = prof->clock_mhz > 0 ? 1e6 / (prof->clock_mhz * prof->workers) : 0;
	nic->poll_ps = sim_ps(prof->poll);
	nic->latency_ps = sim_ps(prof->work_latency);
	fab_event_init(&nic->event, nic_event);
	for (; nic->ports < num_ports; nic->ports++) {
		rc = port_create(nic, ports[nic->ports], &nic->port[nic->ports]);
		if (rc)
			goto destroy_nic;
	}
	sim_profile_endpoint(prof, nic->bar, PMD_BAR_BYTES, &ep);
	sim_profile_link(prof, &link);
	rc = fab_add_endpoint(sim_world_fabric(sim_host_world(p->h)), name, parent, &link, &ep, &bells, nic, &nic->node, err);
	if (rc)
		goto destroy_nic;
	rc = sim_engine_create(p->q, prof, nic->node, &nic->engine);
	if (rc)
		goto destroy_nic;
	*out = nic;
	return 0;

destroy_nic:
	pmd_nic_destroy(nic);
	return rc;
}

void pmd_nic_destroy(struct sim_pmd_nic *nic)
{
	struct pmd_op *op;
	unsigned int k;

	if (!nic)
		return;
	fab_cancel(nic->pmd->q, &nic->event);
	if (nic->engine)
		sim_engine_destroy(nic->engine);
	for (k = 0; k < nic->ports; k++) {
		if (nic->pmd->started)
			nic->port[k]->mac->ops->stop(nic->port[k]->mac);
		port_destroy(nic->port[k]);
	}
	while ((op = nic->ops_made)) {
		nic->ops_made = op->made;
		nic_cancel(nic, &op->dma);
		free(op);
	}
	free(nic);
}

int pmd_nic_start(struct sim_pmd_nic *nic)
{
	unsigned int k;
	int rc;

	for (k = 0; k < nic->ports; k++) {
		struct pmd_port *port = nic->port[k];
		struct port_memory mem = { .n = 1, .buf_size = nic->pmd->buf_bytes, .rx_bufs = port->nfree };

		mem.region[0] = (struct port_region){ .base = port->mem, .size = port->mem_bytes, .fd = -1 };
		sim_mac_attach(port->mac, nic_mac_time, nic);
		sim_mac_waker(port->mac, nic_mac_changed, nic);
		rc = port->mac->ops->start(port->mac, &mem);
		if (rc)
			goto stop_ports;
	}
	nic_wake(nic, nic_now(nic));
	return 0;

stop_ports:
	while (k--)
		nic->port[k]->mac->ops->stop(nic->port[k]->mac);
	return rc;
}
