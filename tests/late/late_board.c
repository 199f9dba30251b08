/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "late.h"
#include "rng.h"

#define QUEUE_MAX 4096u
#define MAPS_MAX 1024u
#define CTX_MAX 256u

struct request {
	uint64_t carry_ns, finish_ns;
	uint64_t bus;
	uint8_t *mem;       /* source of a write, destination of a read */
	uint32_t len, done; /* bytes; carried out so far */
	uint32_t cut;       /* bytes that go first; 0: all at once */
	struct fault_hit hit;
	bool outside, is_line;
	uint32_t line[4];
};

struct queue {
	struct request req[QUEUE_MAX];
	uint32_t submitted, carried, finished; /* free-running; a request's token: 2 * submitted + 1, once it is */
	uint32_t room;
	uint64_t last_carry_ns, last_finish_ns;
};

struct map {
	uint64_t bus, size, offset;
	struct board_ctx *target;
	uint8_t *host;
	uint32_t prot;
};

struct board_ctx {
	struct late_world *w;
	unsigned int index, ports;
	bool dead, bus_master, bell;
	struct queue q[BOARD_NUM_QUEUES];
	struct map map[MAPS_MAX];
	unsigned int maps;
	uint64_t faults, overruns;
	uint64_t skew_ns, stall_ns; /* its clock is ahead; it stands still until then */
	uint64_t events[BOARD_NUM_VECTORS];
	struct p2p_shape shape;
	unsigned int segs;
	void *seg_raw[P2P_MAX_SEGMENTS];
	uint8_t *seg[P2P_MAX_SEGMENTS];
	uint64_t seg_off[P2P_MAX_SEGMENTS + 1];
	void *state;
	struct script_port *port[P2P_MAX_PORTS];
	bool ports_on;
	struct fw_nic *fw;
	struct rng random;
};

struct late_world {
	struct late_cfg cfg;
	struct rng rng;
	uint64_t now_ns; /* what firmware's clock shows */
	uint64_t dma_ns; /* how far DMA has come: at or past now_ns */
	uint64_t next_ns;
	bool news; /* DMA went on since late_world_next() was last asked */
	struct fault_set faults;
	struct board_ctx *ctx[CTX_MAX];
	unsigned int ctxs;
	struct { struct board_ctx *to; uint64_t at_ns; } bell[1024];
	unsigned int bells;
	void *shared; /* of the one NIC with several contexts that a world may have */
};

struct late_world *late_world_create(const struct late_cfg *cfg)
{
	struct late_world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->cfg = *cfg;
	rng_seed(&w->rng, cfg->seed);
	if (!w->cfg.room_max) {
		w->cfg.room_min = 64;
		w->cfg.room_max = 96;
	}
	if (!w->cfg.carry_ns)
		w->cfg.carry_ns = 50u << rng_below(&w->rng, 6);
	if (!w->cfg.finish_ns)
		w->cfg.finish_ns = 50u << rng_below(&w->rng, 6);
	w->now_ns = w->dma_ns = 1000000000;
	w->next_ns = UINT64_MAX;
	return w;
}

static void drop_segments(struct board_ctx *b)
{
	unsigned int s;

	for (s = 0; s < b->segs; s++)
		free(b->seg_raw[s]);
	b->segs = 0;
}

void late_world_destroy(struct late_world *w)
{
	unsigned int i;

	for (i = 0; i < w->ctxs; i++) {
		drop_segments(w->ctx[i]);
		free(w->ctx[i]->state);
		free(w->ctx[i]->fw);
		free(w->ctx[i]);
	}
	free(w->shared);
	free(w);
}

const uint64_t *late_world_clock(const struct late_world *w)
{
	return &w->now_ns;
}

struct fault_set *late_world_faults(struct late_world *w)
{
	return &w->faults;
}

/* Device memory of one NIC; a range that crosses the end of a segment is a fault. */
static uint8_t *mem_at(struct board_ctx *b, uint64_t off, uint64_t len)
{
	unsigned int lo = 0, hi = b->segs;

	if (!b->segs || off >= b->seg_off[b->segs])
		return NULL;
	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (b->seg_off[mid] <= off)
			lo = mid;
		else
			hi = mid;
	}
	if (off + len > b->seg_off[lo + 1] || off + len < off)
		return NULL;
	return b->seg[lo] + (off - b->seg_off[lo]);
}

static uint8_t *translate(struct board_ctx *b, uint64_t bus, uint64_t len, uint32_t prot)
{
	unsigned int i;

	if (bus & P2P_BUS_LOCAL)
		return mem_at(b, bus & ~P2P_BUS_LOCAL, len);
	if (!b->bus_master)
		return NULL;
	for (i = 0; i < b->maps; i++) {
		struct map *m = &b->map[i];
		uint64_t off = bus - m->bus;

		if (bus < m->bus || off >= m->size || len > m->size - off || (m->prot & prot) != prot)
			continue;
		if (m->host)
			return m->host + m->offset + off;
		return mem_at(m->target, m->offset + off, len);
	}
	return NULL;
}

/* Carry out the next piece of a queue's oldest request; returns true when all of it is. */
static bool carry(struct board_ctx *b, enum board_queue q, struct request *r)
{
	bool read = q == BOARD_Q_READ;
	uint32_t to = r->cut > r->done ? r->cut : r->len;
	uint8_t *far;

	far = r->outside ? NULL : translate(b, r->bus, r->len, read ? LATE_PROT_READ : LATE_PROT_WRITE);
	if (!far) {
		b->faults++;
		if (read)
			memset(r->mem, 0xff, r->len);
		r->done = r->len;
		return true;
	}
	if (read)
		fault_move(&r->hit, r->mem, far, r->done, to);
	else
		fault_move(&r->hit, far, r->is_line ? (uint8_t *)r->line : r->mem, r->done, to);
	r->done = to;
	return to == r->len;
}

static uint64_t delay(struct late_world *w, uint32_t mean_ns)
{
	uint32_t d;

	if (w->cfg.prompt)
		return 0;
	d = rng_below(&w->rng, 2 * mean_ns);
	return rng_below(&w->rng, 64) ? d : 20ull * d;
}

static void run_bells(struct late_world *w)
{
	unsigned int i = 0;

	while (i < w->bells) {
		if (w->bell[i].at_ns > w->dma_ns) {
			i++;
			continue;
		}
		w->bell[i].to->bell = true;
		w->news = true;
		w->bell[i] = w->bell[--w->bells];
	}
}

/* Everything due by dma_ns happens, oldest first. */
static void run_due(struct late_world *w)
{
	while (w->next_ns <= w->dma_ns) {
		struct queue *best = NULL;
		struct board_ctx *who = NULL;
		uint64_t t = UINT64_MAX;
		enum board_queue bq = BOARD_Q_WRITE;
		unsigned int i, k;

		for (i = 0; i < w->ctxs; i++) {
			for (k = 0; k < BOARD_NUM_QUEUES && !w->ctx[i]->dead; k++) {
				struct queue *q = &w->ctx[i]->q[k];

				while (q->finished != q->carried &&
				       q->req[q->finished % QUEUE_MAX].finish_ns <= w->dma_ns) {
					q->finished++;
					w->news = true;
				}
				if (q->finished != q->carried && q->req[q->finished % QUEUE_MAX].finish_ns < t)
					t = q->req[q->finished % QUEUE_MAX].finish_ns, best = NULL;
				if (q->carried == q->submitted || q->req[q->carried % QUEUE_MAX].carry_ns >= t)
					continue;
				t = q->req[q->carried % QUEUE_MAX].carry_ns;
				best = q;
				who = w->ctx[i];
				bq = k;
			}
		}
		w->next_ns = t;
		if (t > w->dma_ns || !best)
			break;
		if (carry(who, bq, &best->req[best->carried % QUEUE_MAX])) {
			best->carried++;
			w->news = true;
		} else {
			struct request *r = &best->req[best->carried % QUEUE_MAX];
			uint64_t later = r->carry_ns + delay(w, w->cfg.carry_ns);

			r->carry_ns = later;
			if (r->finish_ns < later)
				r->finish_ns = later;
			if (best->last_finish_ns < later)
				best->last_finish_ns = later;
		}
	}
	if (w->bells)
		run_bells(w);
}

static void pass(struct late_world *w)
{
	w->dma_ns += rng_below(&w->rng, 48);
	if (w->next_ns <= w->dma_ns || w->bells)
		run_due(w);
}

void late_world_advance(struct late_world *w, uint64_t ns)
{
	w->dma_ns += ns;
	run_due(w);
	w->now_ns = w->dma_ns;
}

uint64_t late_world_next(struct late_world *w)
{
	uint64_t t = w->news ? w->now_ns : w->next_ns;
	unsigned int i;

	w->news = false;

	for (i = 0; i < w->bells; i++)
		if (w->bell[i].at_ns < t)
			t = w->bell[i].at_ns;
	return t;
}

static bool seg_ok(void *arg, const struct p2p_seg *seg, bool rx)
{
	struct board_ctx *b = arg;
	unsigned int p, first, n, s;

	for (p = 0; p < b->shape.ports; p++) {
		first = rx ? p2p_seg_rx(&b->shape, p) : p2p_seg_buf(&b->shape, p, 0);
		n = rx ? 1 : b->shape.nics;
		for (s = first; s < first + n; s++)
			if (seg->data >= b->seg[s] &&
			    seg->data + seg->len <= b->seg[s] + (b->seg_off[s + 1] - b->seg_off[s]))
				return rx ? seg->region == 0 : seg->region == 1 + s - first;
	}
	return false;
}

struct board_ctx *late_nic_create(struct late_world *w, unsigned int index, const struct fw_strap *strap,
				  struct script_port *const *ports)
{
	struct board_ctx *b = calloc(1, sizeof(*b));
	uint32_t range = w->cfg.room_max - w->cfg.room_min + 1;
	unsigned int k;

	if (!b || w->ctxs == CTX_MAX)
		abort();
	b->w = w;
	b->index = index;
	b->ports = strap->ports;
	memcpy(b->port, ports, sizeof(*ports) * strap->ports);
	for (k = 0; k < strap->ports; k++)
		script_port_check(b->port[k], seg_ok, b);
	rng_seed(&b->random, rng_next(&w->rng));
	for (k = 0; k < BOARD_NUM_QUEUES; k++) {
		b->q[k].room = w->cfg.room_min + rng_below(&w->rng, range);
		/* Tokens wrap: begin near the end in most worlds. */
		b->q[k].submitted = rng_below(&w->rng, 4) ? 0u - 64u * rng_below(&w->rng, 100) : 0;
		b->q[k].carried = b->q[k].finished = b->q[k].submitted;
	}
	b->fw = calloc(1, fw_nic_bytes());
	if (!b->fw)
		abort();
	w->ctx[w->ctxs++] = b;
	if (fw_nic_init(b->fw, b, strap)) {
		b->dead = true;
		return NULL;
	}
	return b;
}

void late_nic_kill(struct board_ctx *b)
{
	unsigned int k;

	b->dead = true;
	for (k = 0; k < BOARD_NUM_QUEUES; k++)
		b->q[k].carried = b->q[k].finished = b->q[k].submitted;
}

struct fw_nic *late_nic_fw(struct board_ctx *b)
{
	return b->fw;
}

uint64_t late_nic_step(struct board_ctx *b)
{
	uint64_t now_ns = b->w->now_ns, ns = fault_now(&b->w->faults, FAULT_STALL, FAULT_ON_NIC), until;

	if (ns && b->stall_ns < now_ns + ns)
		b->stall_ns = now_ns + ns;
	b->skew_ns += fault_now(&b->w->faults, FAULT_CLOCK, FAULT_ON_NIC);
	if (now_ns < b->stall_ns)
		return b->stall_ns;
	until = fw_step(b->fw);
	if (until && until != UINT64_MAX)
		until = until > b->skew_ns ? until - b->skew_ns : 1;
	b->w->now_ns = b->w->dma_ns;
	return until;
}

bool late_nic_busy(const struct board_ctx *b)
{
	return b->q[0].finished != b->q[0].submitted || b->q[1].finished != b->q[1].submitted;
}

bool late_nic_take_bell(struct board_ctx *b)
{
	bool rung = b->bell;

	b->bell = false;
	return rung;
}

void late_nic_bus_master(struct board_ctx *b, bool on)
{
	b->bus_master = on;
}

uint64_t late_nic_events(const struct board_ctx *b, enum board_vector v)
{
	return b->events[v];
}

int late_nic_map(struct board_ctx *b, uint64_t bus, uint64_t size, struct board_ctx *target, void *host,
		 uint64_t offset, uint32_t prot)
{
	if (b->maps == MAPS_MAX)
		return -ENOSPC;
	b->map[b->maps++] = (struct map){ .bus = bus, .size = size, .offset = offset, .target = target, .host = host,
					  .prot = prot };
	return 0;
}

void late_nic_unmap(struct board_ctx *b, uint64_t bus, uint64_t size)
{
	unsigned int i = 0, k;

	for (k = 0; k < BOARD_NUM_QUEUES; k++) {
		struct queue *q = &b->q[k];

		while (q->carried != q->submitted)
			if (carry(b, k, &q->req[q->carried % QUEUE_MAX]))
				q->carried++;
	}
	while (i < b->maps) {
		if (b->map[i].bus >= bus && b->map[i].bus - bus < size)
			b->map[i] = b->map[--b->maps];
		else
			i++;
	}
}

uint64_t late_nic_overruns(const struct board_ctx *b)
{
	return b->overruns;
}

uint8_t *late_nic_mem(struct board_ctx *b, uint64_t offset)
{
	return mem_at(b, offset, 1);
}

static uint64_t later(struct late_world *w, uint64_t than_ns, uint64_t mean_ns, uint64_t *last_ns)
{
	uint64_t t = than_ns + delay(w, (uint32_t)mean_ns);

	*last_ns = t > *last_ns ? t : *last_ns;
	return *last_ns;
}

static void enqueue(struct board_ctx *b, enum board_queue k, struct request *r, uint64_t after_ns)
{
	struct late_world *w = b->w;
	struct queue *q = &b->q[k];

	if (q->submitted - q->finished >= QUEUE_MAX)
		abort(); /* there is nowhere to put it */
	r->carry_ns = later(w, w->dma_ns + after_ns, w->cfg.carry_ns, &q->last_carry_ns);
	r->finish_ns = later(w, r->carry_ns, w->cfg.finish_ns, &q->last_finish_ns);
	q->req[q->submitted % QUEUE_MAX] = *r;
	q->submitted++;
	if (r->carry_ns < w->next_ns)
		w->next_ns = r->carry_ns;
}

static uint32_t submit(struct board_ctx *b, enum board_queue k, struct request *r, enum board_kind kind, uint32_t unit,
		       const struct board_win *win, uint64_t off)
{
	struct late_world *w = b->w;
	struct queue *q = &b->q[k];
	struct fault_dma d = { .kind = (enum fault_on)kind, .read = k == BOARD_Q_READ, .len = r->len, .unit = unit };

	pass(w);
	if (!r->is_line && q->submitted - q->finished >= q->room)
		b->overruns++;
	r->bus = win->bus + off;
	r->outside = off > win->bytes || r->len > win->bytes - off || !r->len;
	d.local = r->bus & P2P_BUS_LOCAL;
	d.addr = r->bus & ~P2P_BUS_LOCAL;
	fault_dma(&w->faults, &d, &r->hit);
	if (!w->cfg.prompt && r->len > 4 && rng_below(&w->rng, 4) == 0) {
		r->cut = 4 + 4 * rng_below(&w->rng, (r->len - 1) / 4);
		if (k == BOARD_Q_READ)
			r->cut &= ~63u;
	}
	enqueue(b, k, r, r->hit.delay_ns);
	if (r->hit.dup)
		enqueue(b, k, r, r->hit.delay_ns + r->hit.dup_ns);
	if (w->cfg.prompt)
		run_due(w);
	return 2 * q->submitted + 1;
}

uint32_t late_write(struct board_ctx *b, const struct board_win *w, uint64_t off, const void *src, uint32_t len,
		    enum board_kind kind)
{
	struct request r = { .mem = (uint8_t *)(uintptr_t)src, .len = len };

	return submit(b, BOARD_Q_WRITE, &r, kind, 64, w, off);
}

uint32_t late_write_sum(struct board_ctx *b, const struct board_win *w, uint64_t off, const void *src, uint32_t len,
			uint32_t h, uint32_t stride, uint32_t *sum)
{
	uint32_t unit = stride > 64 ? stride : 64;
	struct request r = { .mem = (uint8_t *)(uintptr_t)src, .len = P2P_ALIGN_UP(len, unit) };

	memset(r.mem + len, 0, r.len - len);
	*sum = late_sum(b, r.mem, len, h, stride);
	return submit(b, BOARD_Q_WRITE, &r, BOARD_KIND_PAYLOAD, unit, w, off);
}

uint32_t late_write_descs(struct board_ctx *b, const struct board_win *w, uint64_t off, const struct p2p_desc *src,
			  uint32_t n)
{
	struct request r = { .mem = (uint8_t *)(uintptr_t)src, .len = n * (uint32_t)sizeof(*src) };

	return submit(b, BOARD_Q_WRITE, &r, BOARD_KIND_DESC, 64, w, off);
}

uint32_t late_write_line(struct board_ctx *b, const struct board_win *w, uint64_t off, const uint32_t words[4],
			 enum board_kind kind)
{
	struct request r = { .len = 16, .is_line = true };
	unsigned int i;

	for (i = 0; i < 4; i++)
		r.line[i] = P2P_SWAP32(words[i]);
	return submit(b, BOARD_Q_WRITE, &r, kind, 0, w, off);
}

uint32_t late_read(struct board_ctx *b, const struct board_win *w, uint64_t off, void *dst, uint32_t len,
		   enum board_kind kind)
{
	struct request r = { .mem = dst, .len = len };

	return submit(b, BOARD_Q_READ, &r, kind, 64, w, off);
}

bool late_done(struct board_ctx *b, enum board_queue q, uint32_t token)
{
	pass(b->w);
	/* 0 is no request's token: nothing to wait for. */
	return !token || (int32_t)(2 * b->q[q].finished + 1 - token) >= 0;
}

uint32_t late_room(struct board_ctx *b, enum board_queue q)
{
	uint32_t under_way;

	pass(b->w);
	under_way = b->q[q].submitted - b->q[q].finished;
	/* Lines go beyond it. */
	return under_way < b->q[q].room ? b->q[q].room - under_way : 0;
}

uint32_t late_sum_check(struct board_ctx *b, const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	return p2p_csum_words(mem, len, h, stride);
}

uint32_t late_sum(struct board_ctx *b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t unit = stride > 64 ? stride : 64;

	memset(mem + len, 0, P2P_ALIGN_UP(len, unit) - len);
	return late_sum_check(b, mem, len, h, stride);
}

uint32_t late_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq)
{
	return ~p2p_crc32c(p2p_crc32c(p2p_crc32c(running, w0 & P2P_D0_SUMMED), where), seq);
}

uint64_t late_now_ns(struct board_ctx *b)
{
	return b->w->now_ns + b->skew_ns;
}

uint32_t late_random(struct board_ctx *b)
{
	return (uint32_t)rng_next(&b->random);
}

static void (*jump_then)(void *arg);
static void *jump_arg;

void late_jump_then(void (*fn)(void *arg), void *arg)
{
	jump_then = fn;
	jump_arg = arg;
}

/* Address by address, then whatever the test has to happen before the hop words are read. */
bool late_jump_few(const le32 *nodes, uint32_t last, const uint32_t *rest, uint32_t *e, uint32_t n, const uint8_t *stride,
		   unsigned int tiers)
{
	uint32_t k, at, any = 0;
	unsigned int t, left;

	for (k = 0; k < n; k++) {
		for (t = left = 0; t < tiers && e[k] & P2P_NODE_JUMP; left += stride[t++]) {
			at = P2P_NODE_INF(e[k]);
			e[k] = le32_load_acquire(&nodes[(at < last ? at : last) + (rest[k] << left >> (32 - stride[t]))]);
		}
		any |= e[k];
	}
	if (jump_then)
		jump_then(jump_arg);
	return any & P2P_NODE_JUMP;
}

void late_charge(struct board_ctx *b, unsigned int step, uint32_t n)
{
	if (step >= BOARD_NUM_STEPS)
		abort();
}

/* A doorbell is a write: behind everything that this NIC has submitted. */
void late_bell(struct board_ctx *b, unsigned int peer)
{
	struct late_world *w = b->w;
	struct queue *q = &b->q[BOARD_Q_WRITE];
	uint64_t at = w->dma_ns + delay(w, w->cfg.carry_ns);
	const struct fault_dma d = { .kind = FAULT_ON_BELL, .len = 4 };
	struct fault_hit hit;
	unsigned int i;

	fault_dma(&w->faults, &d, &hit);
	if (hit.hole_len)
		return;
	at += hit.delay_ns;
	if (at < q->last_finish_ns)
		at = q->last_finish_ns;
	for (i = 0; i < w->ctxs; i++) {
		if (w->ctx[i]->dead || w->ctx[i]->index != peer)
			continue;
		if (w->bells < P2P_ARRAY_SIZE(w->bell)) {
			w->bell[w->bells].to = w->ctx[i];
			w->bell[w->bells++].at_ns = at;
		} else {
			w->ctx[i]->bell = true;
		}
	}
}

void late_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	if (vector >= BOARD_NUM_VECTORS)
		abort();
	b->events[vector]++;
}

uint64_t late_fault_count(struct board_ctx *b)
{
	return b->faults;
}

uint32_t late_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n)
{
	pass(b->w);
	return b->ports_on ? script_port_rx_burst(b->port[port], segs, n) : 0;
}

uint32_t late_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	pass(b->w);
	return b->ports_on ? script_port_rx_post(b->port[port], segs, n) : 0;
}

uint32_t late_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	pass(b->w);
	return b->ports_on ? script_port_tx_burst(b->port[port], segs, n) : 0;
}

uint32_t late_tx_done(struct board_ctx *b, unsigned int port)
{
	pass(b->w);
	return b->ports_on ? script_port_tx_done(b->port[port]) : 0;
}

bool late_link_up(struct board_ctx *b, unsigned int port)
{
	return b->ports_on && script_port_link_up(b->port[port]);
}

int late_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	unsigned int s, n = p2p_seg_total(shape);
	size_t bytes;

	drop_segments(b);
	if (fault_now(&b->w->faults, FAULT_FAIL, FAULT_ON_MEMORY))
		return -ENOMEM;
	b->shape = *shape;
	for (s = 0; s < n; s++) {
		b->seg_off[s] = p2p_seg_offset(shape, s);
		bytes = p2p_seg_offset(shape, s + 1) - b->seg_off[s];
		b->seg_raw[s] = calloc(1, bytes + 4096);
		if (!b->seg_raw[s])
			abort();
		b->seg[s] = (uint8_t *)P2P_ALIGN_UP((uintptr_t)b->seg_raw[s], (uintptr_t)4096);
		b->segs = s + 1;
	}
	b->seg_off[n] = p2p_seg_offset(shape, n);
	return 0;
}

void *late_segment(struct board_ctx *b, unsigned int seg)
{
	return seg < b->segs ? b->seg[seg] : NULL;
}

void *late_state(struct board_ctx *b, size_t bytes)
{
	free(b->state);
	b->state = calloc(1, bytes);
	return b->state;
}

void *late_shared(struct board_ctx *b, size_t bytes)
{
	if (b->index == 0) {
		free(b->w->shared);
		b->w->shared = calloc(1, bytes);
	}
	return b->w->shared;
}

int late_ports_start(struct board_ctx *b)
{
	b->ports_on = true;
	return 0;
}

void late_ports_stop(struct board_ctx *b)
{
	unsigned int p;

	for (p = 0; p < b->ports && b->ports_on; p++)
		script_port_stop(b->port[p]);
	b->ports_on = false;
}

void late_layout_drop(struct board_ctx *b)
{
	unsigned int k;

	for (k = 0; k < BOARD_NUM_QUEUES; k++)
		b->q[k].carried = b->q[k].finished = b->q[k].submitted;
	drop_segments(b);
	free(b->state);
	b->state = NULL;
}
