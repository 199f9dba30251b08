/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's testpmd and l3fwd: cores that poll receive rings and fill send rings. */
#include "pmd_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PMD_BUF_BYTES 2048u /* RTE_MBUF_DEFAULT_DATAROOM */
#define PMD_BUF_MAX 9728u
#define PMD_TOUCHED 64u /* l3fwd looks at a frame's first cache line */

#define core_container(ptr, type, member) ((type *)((uint8_t *)(ptr) - offsetof(type, member)))

/* ---- a core ---- */

static uint64_t core_now(const struct pmd_core *c)
{
	return fab_now(c->pmd->q);
}

/* A doorbell that is rung when the batch's time has passed. */
static void core_bell(struct pmd_core *c, uint64_t bus, uint32_t value)
{
	le32 data[2] = { to_le32(value), to_le32(0) };
	struct sim_post *p = sim_post_get(c->pmd->h, bus, data, sizeof(data));

	if (!p) /* lost; the next one tells of this batch too */
		return;
	*c->last = p;
	c->last = &p->next;
	c->stats.doorbells++;
}

static uint64_t buf_bus(const struct sim_pmd *p, uint32_t buf)
{
	return p->buf_bus + (uint64_t)buf * p->buf_stride + PMD_MBUF_HEAD;
}

static uint32_t buf_at(const struct sim_pmd *p, uint64_t bus)
{
	return (uint32_t)((bus - p->buf_bus) / p->buf_stride);
}

/* Takes back what the NIC has read of a send ring. */
static void core_reap(struct pmd_core *c, struct pmd_txq *t)
{
	uint32_t cons = le32_load_acquire(&t->line[0]);

	if (cons - t->cons > t->prod - t->cons)
		return;
	for (; t->cons != cons; t->cons++)
		c->bufs[c->nbufs++] = t->buf[t->cons & pmd_mask(c->pmd)];
}

/* One frame from a receive ring to a send ring; false: that is full, the frame is dropped. */
static bool core_send(struct pmd_core *c, struct pmd_txq *t, const struct pmd_desc *d)
{
	uint32_t buf = buf_at(c->pmd, from_le64(d->addr)), slot = t->prod & pmd_mask(c->pmd);

	if (t->prod - t->cons == c->pmd->ring) {
		c->bufs[c->nbufs++] = buf;
		c->pmd->drops++;
		return false;
	}
	t->ring[slot] = (struct pmd_desc){ d->addr, d->len, to_le32(t->prod + 1) };
	t->buf[slot] = buf;
	t->prod++;
	return true;
}

/* Empty buffers for a receive ring; how many. */
static uint32_t core_refill(struct pmd_core *c, struct pmd_rxq *r)
{
	struct sim_pmd *p = c->pmd;
	uint32_t owed = p->ring - (r->free_prod - r->cons), k;

	for (k = 0; k < owed && c->nbufs; k++) {
		uint32_t buf = c->bufs[--c->nbufs];

		r->free_ring[r->free_prod & pmd_mask(p)] = (struct pmd_desc){ to_le64(buf_bus(p, buf)), to_le32(0),
									      to_le32(r->free_prod + 1) };
		r->free_prod++;
	}
	return k;
}

/* Moves what has come, a batch at most.  Returns the frames; *touched: bytes of them that the core looks at. */
static uint32_t core_move(struct pmd_core *c, struct pmd_rxq *r, uint64_t *touched)
{
	struct sim_pmd *p = c->pmd;
	uint32_t n, len;

	for (n = 0; n < p->batch; n++, r->cons++) {
		const struct pmd_desc *d = &r->ring[r->cons & pmd_mask(p)];

		if (le32_load_acquire(&d->seq) != r->cons + 1)
			break;
		if (!n)
			core_reap(c, r->to);
		len = from_le32(d->len);
		if (p->app == SIM_PMD_L3FWD)
			*touched += len < PMD_TOUCHED ? len : PMD_TOUCHED;
		core_send(c, r->to, d);
	}
	return n;
}

/* The cores' traffic to main memory: descriptors read and written, bytes touched. */
static void core_access(struct pmd_core *c, const struct pmd_rxq *r, uint32_t read, uint32_t written)
{
	struct sim_pmd *p = c->pmd;
	struct fab_node *root = sim_host_node(p->h);
	bool cached = sim_host_profile(p->h)->ddio != 0;
	uint64_t at = r->bus + 16ull * (r->cons & pmd_mask(p));

	fab_cpu_access(root, at, read, false, cached);
	if (written)
		fab_cpu_access(root, at, written, true, cached);
}

static double core_batch(struct pmd_core *c, struct pmd_rxq *r)
{
	const struct sim_host_profile *prof = sim_host_profile(c->pmd->h);
	struct pmd_txq *t = r->to;
	uint32_t from = t->prod, n, posted = 0;
	uint64_t touched = 0, bells = c->stats.doorbells;

	n = core_move(c, r, &touched);
	if (!n)
		return 0;
	if (t->prod != from)
		core_bell(c, t->bell_bus, t->prod);
	if (c->pmd->ring - (r->free_prod - r->cons) >= c->pmd->batch)
		posted = core_refill(c, r);
	if (posted)
		core_bell(c, r->free_bell_bus, r->free_prod);
	core_access(c, r, 16 * n + (uint32_t)touched, 16 * (t->prod - from + posted));
	c->stats.packets += n;
	c->stats.batches++;
	return prof->batch_cycles + n * (c->pmd->app == SIM_PMD_L3FWD ? prof->l3fwd_cycles : prof->testpmd_cycles) +
	       (double)touched * prof->byte_cycles + (double)(c->stats.doorbells - bells) * prof->mmio_write;
}

static bool core_has(const struct sim_pmd *p, const struct pmd_rxq *r)
{
	return le32_load_acquire(&r->ring[r->cons & pmd_mask(p)].seq) == r->cons + 1;
}

/* The next queue with frames, in turn; looking at empty ones costs a poll each.  NULL: all are. */
static struct pmd_rxq *core_next(struct pmd_core *c, double *cycles)
{
	struct pmd_rxq *r;
	unsigned int k;

	for (k = 0; k < c->n; k++) {
		r = c->streams[c->at];
		c->at = c->at + 1 == c->n ? 0 : c->at + 1;
		if (core_has(c->pmd, r))
			return r;
		*cycles += sim_host_profile(c->pmd->h)->poll_cycles;
	}
	return NULL;
}

static void core_run(struct pmd_core *c)
{
	double cycles = 0;
	struct pmd_rxq *r = core_next(c, &cycles);

	if (!r) {
		c->busy = false;
		c->idle_ps = core_now(c) + c->poll_ps;
		return;
	}
	cycles += core_batch(c, r);
	c->busy = true;
	c->busy_until_ps = core_now(c) + sim_host_cycles_ps(c->pmd->h, cycles);
	c->stats.busy_ps += c->busy_until_ps - core_now(c);
	fab_schedule(c->pmd->q, &c->event, c->busy_until_ps);
}

static void core_event(struct fab_event *e)
{
	struct pmd_core *c = core_container(e, struct pmd_core, event);
	struct sim_post *p;

	while ((p = c->first)) {
		c->first = p->next;
		sim_post_send(p);
	}
	c->last = &c->first;
	core_run(c);
}

/* A NIC wrote to a receive ring: the core's next poll finds it. */
static void pmd_landed(void *arg, uint64_t off, uint32_t len)
{
	struct sim_pmd *p = arg;
	unsigned int k = (unsigned int)(off / (16ull * p->ring));
	struct pmd_core *c = p->port[k / p->queues]->rxq[k % p->queues].core;

	if (c->busy || fab_event_queued(&c->event))
		return;
	fab_schedule(p->q, &c->event, sim_host_poll_at(c->idle_ps, c->poll_ps, core_now(c)));
}

/* ---- the forwarder ---- */

int sim_pmd_create(struct sim_host *h, enum sim_pmd_app app, struct sim_pmd **out)
{
	const struct sim_host_profile *prof = sim_host_profile(h);
	struct sim_pmd *p = calloc(1, sizeof(*p));
	uint32_t ring = (uint32_t)prof->ring;

	if (!p)
		return -ENOMEM;
	p->h = h;
	p->q = sim_world_queue(sim_host_world(h));
	p->app = app;
	p->queues = (unsigned int)prof->queues;
	p->batch = (unsigned int)prof->batch;
	p->num_cores = (unsigned int)prof->cores;
	for (p->ring = 64; p->ring * 2 <= ring; p->ring *= 2)
		;
	p->buf_bytes = PMD_BUF_BYTES;
	p->core = calloc(p->num_cores, sizeof(*p->core));
	if (!p->core) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

int sim_pmd_buffers(struct sim_pmd *p, uint32_t bytes)
{
	if (bytes < 64 || bytes > PMD_BUF_MAX || p->num_nics)
		return -EINVAL;
	p->buf_bytes = P2P_ALIGN_UP(bytes, 64u);
	return 0;
}

int sim_pmd_add_nic(struct sim_pmd *p, const char *name, const struct sim_nic_profile *prof, struct fab_node *parent,
		    struct port *const *ports, unsigned int num_ports, struct sim_pmd_nic **out, char err[FAB_ERR_MAX])
{
	struct sim_pmd_nic *nic;
	unsigned int k;
	int rc;

	if (p->started || p->num_nics == PMD_MAX_NICS || !num_ports || num_ports > P2P_MAX_PORTS) {
		snprintf(err, FAB_ERR_MAX, "%s: 1 to %u ports, at most %u NICs, before the start", name, P2P_MAX_PORTS,
			 PMD_MAX_NICS);
		return -EINVAL;
	}
	rc = pmd_nic_create(p, name, prof, parent, ports, num_ports, &nic, err);
	if (rc)
		return rc;
	for (k = 0; k < num_ports; k++) {
		nic->port[k]->index = p->num_ports;
		p->port[p->num_ports++] = nic->port[k];
	}
	p->nic[p->num_nics++] = nic;
	if (out)
		*out = nic;
	return 0;
}

static struct pmd_port *pmd_port_of(const struct sim_pmd *p, unsigned int nic, unsigned int port)
{
	return nic < p->num_nics && port < p->nic[nic]->ports ? p->nic[nic]->port[port] : NULL;
}

void sim_pmd_pair(struct sim_pmd *p, unsigned int nic, unsigned int port, unsigned int to_nic, unsigned int to_port)
{
	struct pmd_port *from = pmd_port_of(p, nic, port), *to = pmd_port_of(p, to_nic, to_port);

	if (from && to)
		from->to = (int)to->index;
}

/* A port's queues, but for their places in main memory. */
static int port_queues(struct sim_pmd *p, struct pmd_port *port)
{
	unsigned int k;

	port->rxq = calloc(p->queues, sizeof(*port->rxq));
	port->txq = calloc(p->num_cores, sizeof(*port->txq));
	if (!port->rxq || !port->txq)
		return -ENOMEM;
	for (k = 0; k < p->queues; k++) {
		struct pmd_rxq *r = &port->rxq[k];

		r->core = &p->core[(port->index * p->queues + k) % p->num_cores];
		r->free.port = port;
		r->free.copy = calloc(p->ring, sizeof(*r->free.copy));
		r->back = calloc(p->ring, sizeof(*r->back));
		if (!r->free.copy || !r->back)
			return -ENOMEM;
		r->core->n += port->to >= 0;
	}
	for (k = 0; k < p->num_cores; k++) {
		struct pmd_txq *t = &port->txq[k];

		t->fetch.port = port;
		t->fetch.txq = t;
		t->fetch.copy = calloc(p->ring, sizeof(*t->fetch.copy));
		t->slot = calloc(p->ring, sizeof(struct pmd_txbuf *));
		t->buf = calloc(p->ring, sizeof(*t->buf));
		if (!t->fetch.copy || !t->slot || !t->buf)
			return -ENOMEM;
	}
	return 0;
}

static void port_free_queues(struct sim_pmd *p, struct pmd_port *port)
{
	unsigned int k;

	for (k = 0; port->rxq && k < p->queues; k++) {
		free(port->rxq[k].free.copy);
		free(port->rxq[k].back);
	}
	for (k = 0; port->txq && k < p->num_cores; k++) {
		free(port->txq[k].fetch.copy);
		free(port->txq[k].slot);
		free(port->txq[k].buf);
	}
	free(port->rxq);
	free(port->txq);
	port->rxq = NULL;
	port->txq = NULL;
}

static void port_place(struct sim_pmd *p, struct pmd_port *port)
{
	uint64_t ring = 16ull * p->ring, nrx = p->num_ports * p->queues, ntx = p->num_ports * p->num_cores, at;
	unsigned int local, k;

	for (local = 0; port->nic->port[local] != port; local++)
		;
	for (k = 0; k < p->queues; k++) {
		struct pmd_rxq *r = &port->rxq[k];

		at = ring * (port->index * p->queues + k);
		r->bus = p->bus + at;
		r->ring = (const struct pmd_desc *)(p->mem + at);
		at += ring * nrx;
		r->free.bus = p->bus + at;
		r->free_ring = (struct pmd_desc *)(p->mem + at);
		r->free_bell_bus = port->nic->bar + PMD_FREE_BELLS + 8ull * (local * p->queues + k);
		r->to = port->to < 0 ? NULL : &p->port[port->to]->txq[r->core - p->core];
	}
	for (k = 0; k < p->num_cores; k++) {
		struct pmd_txq *t = &port->txq[k];

		at = ring * (2 * nrx + port->index * p->num_cores + k);
		t->fetch.bus = p->bus + at;
		t->ring = (struct pmd_desc *)(p->mem + at);
		at = ring * (2 * nrx + ntx) + 64ull * (port->index * p->num_cores + k);
		t->line_bus = p->bus + at;
		t->line = (const le32 *)(p->mem + at);
		t->bell_bus = port->nic->bar + 8ull * (local * p->num_cores + k);
	}
}

/* Buffers for full receive and send rings and a batch in hand. */
static int core_create(struct sim_pmd *p, struct pmd_core *c, uint32_t *first)
{
	uint32_t bufs = 2 * p->ring * c->n + p->batch, k;

	c->pmd = p;
	c->last = &c->first;
	fab_event_init(&c->event, core_event);
	c->streams = calloc(c->n ? c->n : 1, sizeof(struct pmd_rxq *));
	c->bufs = calloc(bufs, sizeof(*c->bufs));
	if (!c->streams || !c->bufs)
		return -ENOMEM;
	for (k = 0; k < bufs; k++)
		c->bufs[c->nbufs++] = *first + bufs - 1 - k;
	*first += bufs;
	c->poll_ps = sim_host_cycles_ps(p->h, sim_host_profile(p->h)->poll_cycles * c->n);
	c->n = 0;
	return 0;
}

static int pmd_fail(char err[FAB_ERR_MAX], int rc, const char *what)
{
	snprintf(err, FAB_ERR_MAX, "testpmd/l3fwd: %s", what);
	return rc;
}

static int pmd_memory(struct sim_pmd *p)
{
	uint64_t ring = 16ull * p->ring, nrx = p->num_ports * p->queues, ntx = p->num_ports * p->num_cores, bytes;
	uint32_t bufs = 0;
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < p->num_ports; k++)
		rc = port_queues(p, p->port[k]);
	for (k = 0; !rc && k < p->num_cores; k++)
		rc = core_create(p, &p->core[k], &bufs);
	if (rc)
		return rc;
	bytes = P2P_ALIGN_UP(ring * (2 * nrx + ntx) + 64 * ntx, 4096ull);
	p->buf_stride = p->buf_bytes + PMD_MBUF_HEAD;
	rc = sim_host_alloc(p->h, bytes + (uint64_t)bufs * p->buf_stride, &p->bus, &p->mem);
	p->buf_bus = p->bus + bytes;
	return rc;
}

/* Full receive rings, known to the NIC: what the drivers did before the first frame. */
static void pmd_prime(struct sim_pmd *p, struct pmd_port *port)
{
	unsigned int k;

	for (k = 0; port->to >= 0 && k < p->queues; k++) {
		struct pmd_rxq *r = &port->rxq[k];

		r->core->streams[r->core->n++] = r;
		core_refill(r->core, r);
		memcpy(r->free.copy, r->free_ring, sizeof(*r->free_ring) * p->ring);
		r->free.bell = r->free.asked = r->free.got = r->free_prod;
	}
}

int sim_pmd_start(struct sim_pmd *p, char err[FAB_ERR_MAX])
{
	unsigned int k;
	int rc;

	if (p->started || !p->num_nics)
		return pmd_fail(err, -EINVAL, "started already, or no NIC");
	if (p->num_cores * 8 * P2P_MAX_PORTS > PMD_FREE_BELLS)
		return pmd_fail(err, -EINVAL, "too many cores");
	rc = pmd_memory(p);
	if (rc)
		return pmd_fail(err, rc, "no memory for rings and buffers");
	for (k = 0; k < p->num_ports; k++)
		port_place(p, p->port[k]);
	for (k = 0; k < p->num_ports; k++)
		pmd_prime(p, p->port[k]);
	p->reset_ps = fab_now(p->q);
	for (k = 0; k < p->num_cores; k++)
		p->core[k].idle_ps = p->reset_ps;
	sim_host_watch(p->h, p->bus, 16ull * p->ring * p->num_ports * p->queues, pmd_landed, p);
	p->started = true;
	for (k = 0; k < p->num_nics; k++) {
		rc = pmd_nic_start(p->nic[k]);
		if (rc)
			return pmd_fail(err, rc, "a port did not start");
	}
	return 0;
}

void sim_pmd_destroy(struct sim_pmd *p)
{
	struct sim_post *post;
	unsigned int k;

	if (!p)
		return;
	if (p->mem)
		sim_host_watch(p->h, p->bus, 0, NULL, NULL);
	for (k = 0; k < p->num_ports; k++)
		port_free_queues(p, p->port[k]);
	for (k = 0; k < p->num_nics; k++)
		pmd_nic_destroy(p->nic[k]);
	for (k = 0; k < p->num_cores; k++) {
		struct pmd_core *c = &p->core[k];

		fab_cancel(p->q, &c->event);
		while ((post = c->first)) {
			c->first = post->next;
			sim_post_put(post);
		}
		free(c->streams);
		free(c->bufs);
	}
	free(p->core);
	free(p);
}

static uint64_t core_ahead(const struct pmd_core *c, uint64_t now)
{
	return c->busy_until_ps > now ? c->busy_until_ps - now : 0;
}

void sim_pmd_stats(const struct sim_pmd *p, struct sim_cpu_stats *out)
{
	uint64_t now = fab_now(p->q);
	unsigned int k;

	*out = (struct sim_cpu_stats){ 0 };
	if (!p->started)
		return;
	for (k = 0; k < p->num_cores; k++) {
		const struct pmd_core *c = &p->core[k];

		out->busy_ps += c->stats.busy_ps - core_ahead(c, now);
		out->packets += c->stats.packets;
		out->batches += c->stats.batches;
		out->doorbells += c->stats.doorbells;
	}
	out->poll_ps = (now - p->reset_ps) * p->num_cores - out->busy_ps;
	out->cores_used = p->num_cores;
}

void sim_pmd_stats_reset(struct sim_pmd *p)
{
	uint64_t now = fab_now(p->q);
	unsigned int k;

	for (k = 0; k < p->num_cores; k++)
		p->core[k].stats = (struct sim_cpu_stats){ .busy_ps = core_ahead(&p->core[k], now) };
	for (k = 0; k < p->num_nics; k++) {
		p->nic[k]->work_ps = 0;
		sim_engine_stats_reset(p->nic[k]->engine);
	}
	p->reset_ps = now;
}

void sim_pmd_nic_stats(const struct sim_pmd *p, unsigned int nic, struct sim_nic_stats *out)
{
	struct sim_engine_stats e;

	*out = (struct sim_nic_stats){ 0 };
	if (nic >= p->num_nics)
		return;
	sim_engine_stats(p->nic[nic]->engine, &e);
	out->work_ps = p->nic[nic]->work_ps;
	out->dma_writes = e.writes;
	out->dma_reads = e.reads;
	out->write_wait_ps = e.write_wait_ps;
	out->read_wait_ps = e.read_wait_ps;
	out->engine_write_ps = e.write_busy_ps;
	out->engine_read_ps = e.read_busy_ps;
	out->write_full_ps = e.write_full_ps;
	out->read_full_ps = e.read_full_ps;
	out->writes_max = e.writes_max;
	out->reads_max = e.reads_max;
}

uint64_t sim_pmd_drops(const struct sim_pmd *p)
{
	return p->drops;
}

struct fab_node *sim_pmd_node(const struct sim_pmd *p, unsigned int nic)
{
	return nic < p->num_nics ? p->nic[nic]->node : NULL;
}
