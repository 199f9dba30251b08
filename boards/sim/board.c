/* SPDX-License-Identifier: BSD-3-Clause */
/* The board contract: DMA, device memory, ports. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define CHUNK 256u
#define HUGE_MAX (16ull << 20) /* larger ones are mostly not touched; else a short run is mostly page faults */

static bool maps_join(const struct sim_map *a, const struct sim_map *c)
{
	return a->bus + a->size == c->bus && a->to + a->size == c->to && a->read == c->read && a->write == c->write;
}

/* The map that holds this bus address. */
static const struct sim_map *map_find(const struct sim_nic *n, uint64_t bus)
{
	unsigned int lo = 0, hi = n->maps, mid;

	while (hi > lo) {
		mid = (lo + hi) / 2;
		if (n->map[mid].bus > bus)
			hi = mid;
		else if (bus - n->map[mid].bus >= n->map[mid].size)
			lo = mid + 1;
		else
			return &n->map[mid];
	}
	return NULL;
}

/* Remembers all that joins around `bus`; false: nothing is there. */
static bool win_resolve(struct sim_nic *n, struct board_win *w, uint64_t bus)
{
	const struct sim_map *first = n->bus_master ? map_find(n, bus) : NULL, *last = first;

	w->gen = 0;
	if (!first)
		return false;
	while (last + 1 < n->map + n->maps && maps_join(last, last + 1))
		last++;
	while (first > n->map && maps_join(first - 1, first))
		first--;
	w->lo = first->bus;
	w->hi = last->bus + last->size;
	w->delta = first->to - first->bus;
	w->read = first->read;
	w->write = first->write;
	w->gen = n->gen;
	return true;
}

/* Where [off, off + len) of the window is: on the fabric, or in device memory (*local).  False: a fault. */
static bool win_translate(struct sim_nic *n, struct board_win *w, uint64_t off, uint32_t len, bool write, uint64_t *addr,
			  uint8_t **local)
{
	uint64_t bus = w->bus + off;

	*local = NULL;
	if (p2p_unlikely(off > w->bytes || len > w->bytes - off || !len || bus < off))
		return false;
	if (bus & P2P_BUS_LOCAL) {
		bus &= ~P2P_BUS_LOCAL;
		if (!n->mem || bus > n->mem_bytes || len > n->mem_bytes - bus)
			return false;
		*local = n->mem + bus;
		return true;
	}
	if ((w->gen != n->gen || bus < w->lo || bus >= w->hi) && !win_resolve(n, w, bus))
		return false;
	if (len > w->hi - bus || !(write ? w->write : w->read))
		return false;
	*addr = bus + w->delta;
	return true;
}

static struct sim_request *request_get(struct sim_nic *n)
{
	struct sim_request *r = n->spare, *chunk, **more;
	unsigned int k;

	if (p2p_likely(r != NULL)) {
		n->spare = r->next;
		return r;
	}
	more = realloc(n->chunk, (n->chunks + 1) * sizeof(*more));
	if (!more)
		return NULL;
	n->chunk = more;
	chunk = malloc(CHUNK * sizeof(*chunk));
	if (!chunk)
		return NULL;
	n->chunk[n->chunks++] = chunk;
	for (k = 1; k < CHUNK; k++) {
		chunk[k].next = n->spare;
		n->spare = &chunk[k];
	}
	return chunk;
}

static struct sim_odd *odd_make(struct sim_nic *n, struct sim_request *r, const struct fault_hit *hit, uint8_t *dst, uint32_t len)
{
	struct sim_odd *o = malloc(sizeof(*o) + len);

	if (!o)
		return NULL;
	o->hit = *hit;
	o->dst = dst;
	o->next = n->odd;
	o->prev = &n->odd;
	if (o->next)
		o->next->prev = &o->next;
	n->odd = o;
	r->odd = o;
	return o;
}

static void odd_free(struct sim_odd *o)
{
	*o->prev = o->next;
	if (o->next)
		o->next->prev = o->prev;
	free(o);
}

/* Finished requests leave their queue in order. */
static void queue_advance(struct sim_nic *n, unsigned int q)
{
	struct sim_request *r;

	while ((r = n->head[q]) && r->finished) {
		n->head[q] = r->next;
		if (!r->next)
			n->tail[q] = &n->head[q];
		r->next = n->spare;
		n->spare = r;
		n->ctx.q[q].finished++;
	}
}

static void on_dma_done(struct sim_dma *d)
{
	struct sim_request *r = (struct sim_request *)d;
	struct sim_nic *n = r->nic;
	bool read = r->queue == BOARD_Q_READ, wake;

	if (r->local && read) {
		memcpy(d->req.data, r->local, d->req.len);
	} else if (r->local) {
		memcpy(r->local, d->req.data, d->req.len);
		sim_nic_written(n, (uint64_t)(r->local - n->mem));
	}
	if (r->odd) {
		if (read)
			fault_move(&r->odd->hit, r->odd->dst, r->odd->buf, 0, d->req.len);
		odd_free(r->odd);
	}
	/* The sources of what is not payload stay as they are: nothing waits for those but room. */
	wake = read || r->kind == BOARD_KIND_PAYLOAD || n->ctx.q[r->queue].pinched;
	r->finished = true;
	queue_advance(n, r->queue);
	if (wake && n->idle)
		sim_nic_wake(&n->ctx, fab_now(n->q));
}

/* The last request's; none where there is nothing to wait for. */
static uint32_t token(const struct sim_queue *q)
{
	return q->finished == q->submitted ? 0 : 2 * q->submitted + 1;
}

/* A request of a queue, submitted and not begun; NULL: no memory. */
static struct sim_request *request_put(struct sim_nic *n, unsigned int q, enum board_kind kind)
{
	struct sim_request *r = request_get(n);

	if (!r)
		return NULL;
	r->nic = n;
	r->next = NULL;
	r->queue = (uint8_t)q;
	r->kind = (uint8_t)kind;
	r->finished = false;
	r->local = NULL;
	r->odd = NULL;
	*n->tail[q] = r;
	n->tail[q] = &r->next;
	n->ctx.q[q].submitted++;
	return r;
}

static void request_end(struct sim_nic *n, struct sim_request *r)
{
	r->finished = true;
	queue_advance(n, r->queue);
}

static void request_begin(struct sim_nic *n, struct sim_request *r, uint64_t addr, uint8_t *local, void *data, uint32_t len,
			  uint64_t after_ns)
{
	r->local = local;
	r->dma.req.addr = addr;
	r->dma.req.data = data;
	r->dma.req.len = len;
	r->dma.local = local != NULL;
	r->dma.done = on_dma_done;
	r->dma.not_before_ps = sim_nic_time_ps(&n->ctx) + after_ns * 1000;
	if (r->queue == BOARD_Q_READ)
		sim_engine_read(n->engine, &r->dma);
	else
		sim_engine_write(n->engine, &r->dma);
}

/* Piece [from, to) of a write as it arrives, or a read that arrives so. */
static void submit_odd(struct sim_nic *n, unsigned int q, enum board_kind kind, const struct fault_hit *hit, uint64_t addr,
		       uint8_t *local, uint8_t *data, uint32_t from, uint32_t to, uint64_t after_ns)
{
	struct sim_request *r = request_put(n, q, kind);
	struct fault_hit flips = { .flip = hit->flip };
	struct sim_odd *o = r && from < to ? odd_make(n, r, hit, data, to) : NULL;

	if (r && !o)
		request_end(n, r);
	if (!o)
		return;
	if (q == BOARD_Q_WRITE)
		fault_move(&flips, o->buf, data, 0, to);
	request_begin(n, r, addr + from, local ? local + from : NULL, o->buf + from, to - from, after_ns);
}

static void submit_hit(struct sim_nic *n, unsigned int q, enum board_kind kind, const struct fault_hit *hit, uint64_t addr,
		       uint8_t *local, uint8_t *data, uint32_t len)
{
	uint64_t after_ns = hit->delay_ns;

	for (int copies = hit->dup ? 2 : 1; copies; copies--, after_ns += hit->dup_ns) {
		if (q == BOARD_Q_READ) {
			submit_odd(n, q, kind, hit, addr, local, data, 0, len, after_ns);
			continue;
		}
		submit_odd(n, q, kind, hit, addr, local, data, 0, hit->hole_len ? hit->hole : len, after_ns);
		if (hit->hole_len)
			submit_odd(n, q, kind, hit, addr, local, data, hit->hole + hit->hole_len, len, after_ns);
	}
}

static uint32_t submit(struct board_ctx *b, unsigned int q, struct board_win *w, uint64_t off, void *data,
		       const uint32_t *line, uint32_t len, enum board_kind kind, uint32_t unit)
{
	struct sim_nic *n = sim_nic_of(b);
	struct fault_dma d = { .kind = (enum fault_on)kind, .read = q == BOARD_Q_READ, .len = len, .unit = unit };
	struct fault_hit hit;
	struct sim_request *r;
	le32 words[4];
	uint64_t addr = 0;
	uint8_t *local;
	unsigned int i;

	b->acts++;
	for (i = 0; line && i < 4; i++)
		words[i] = to_le32(line[i]);
	if (p2p_unlikely(!n->engine || !win_translate(n, w, off, len, !d.read, &addr, &local))) {
		b->faults++;
		if (d.read)
			memset(data, 0xff, len);
		r = request_put(n, q, kind);
		if (!r) /* no memory: as if it had been carried out, out of turn */
			return 0;
		request_end(n, r);
		return token(&b->q[q]);
	}
	d.local = local != NULL;
	d.addr = local ? (uint64_t)(local - n->mem) : addr;
	if (p2p_unlikely(n->w->faults && fault_dma(n->w->faults, &d, &hit))) {
		submit_hit(n, q, kind, &hit, addr, local, line ? (uint8_t *)words : data, len);
	} else {
		r = request_put(n, q, kind);
		if (!r) {
			b->faults++;
			if (d.read)
				memset(data, 0xff, len);
			return 0;
		}
		if (line)
			memcpy(r->line, words, sizeof(words));
		request_begin(n, r, addr, local, line ? (void *)r->line : data, len, 0);
	}
	if (n->by_hand)
		fab_queue_run(n->q, fab_now(n->q)); /* what takes no time has happened when we return */
	return token(&b->q[q]);
}

uint32_t sim_board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
			 enum board_kind kind, uint32_t unit)
{
	return submit(b, BOARD_Q_WRITE, w, off, (void *)(uintptr_t)src, NULL, len, kind, unit);
}

uint32_t sim_board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off, const uint32_t words[4],
			      enum board_kind kind)
{
	return submit(b, BOARD_Q_WRITE, w, off, NULL, words, 16, kind, 0);
}

uint32_t sim_board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
			enum board_kind kind)
{
	return submit(b, BOARD_Q_READ, w, off, dst, NULL, len, kind, 64);
}

uint64_t sim_board_now_ns(struct board_ctx *b)
{
	return sim_ps_to_ns(fab_now(sim_nic_of(b)->q)) + sim_nic_of(b)->skew_ns;
}

uint32_t sim_board_random(struct board_ctx *b)
{
	return (uint32_t)(p2p_random(&sim_nic_of(b)->random) >> 32);
}

/* Hardware polls: a bell is for those who step NICs by hand and let them sleep. */
void sim_board_bell(struct board_ctx *b, unsigned int peer)
{
	const struct fault_dma d = { .kind = FAULT_ON_BELL, .len = 4 };
	struct fault_set *s = sim_nic_of(b)->w->faults;
	struct fault_hit hit;
	struct sim_nic *n;

	if (s && fault_dma(s, &d, &hit) && hit.hole_len)
		return;
	for (n = sim_nic_of(b)->w->nic; n; n = n->next)
		if (!n->dead && fw_nic_index(n->fw) == peer)
			n->bell = true;
}

void sim_board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	if (vector < BOARD_NUM_VECTORS)
		sim_nic_of(b)->events[vector]++;
}

/* ---- device memory ---- */

static void remains_free(struct sim_remains *r)
{
	sim_engine_destroy(r->engine);
	if (r->mem)
		munmap(r->mem, r->mem_bytes);
	free(r->state);
	free(r);
}

static void remains_sweep(struct sim_nic *n, bool all)
{
	struct sim_remains **at = &n->remains, *r;

	while ((r = *at)) {
		if (!all && r->engine && sim_engine_busy(r->engine)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		remains_free(r);
	}
}

void sim_nic_drop_memory(struct sim_nic *n)
{
	struct sim_remains *r;
	unsigned int q;

	for (q = 0; q < BOARD_NUM_QUEUES; q++) {
		n->head[q] = NULL;
		n->tail[q] = &n->head[q];
		n->ctx.q[q].finished = n->ctx.q[q].submitted;
	}
	if (!n->engine && !n->mem && !n->state)
		return;
	if (n->engine)
		sim_engine_drop(n->engine);
	r = calloc(1, sizeof(*r));
	if (r) {
		*r = (struct sim_remains){ .next = n->remains, .engine = n->engine, .mem = n->mem,
					   .mem_bytes = n->mem_bytes, .state = n->state };
		n->remains = r;
	} /* else they stay allocated: somebody may still read them */
	n->engine = NULL;
	n->mem = NULL;
	n->state = NULL;
	remains_sweep(n, false);
}

void sim_nic_free_dma(struct sim_nic *n)
{
	unsigned int k;

	sim_nic_drop_memory(n);
	remains_sweep(n, true);
	while (n->odd)
		odd_free(n->odd);
	for (k = 0; k < n->chunks; k++)
		free(n->chunk[k]);
	free(n->chunk);
}

int sim_board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	struct sim_nic *n = sim_nic_of(b);
	uint64_t bytes = p2p_memory_needed(shape);
	void *mem;
	int err;

	if (n->mem)
		sim_nic_drop_memory(n);
	if (n->w->faults && fault_now(n->w->faults, FAULT_FAIL, FAULT_ON_MEMORY))
		return -ENOMEM;
	mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return -ENOMEM;
	if (bytes <= HUGE_MAX)
		madvise(mem, bytes, MADV_HUGEPAGE);
	err = sim_engine_create(n->q, &n->place->prof, n->place->node, &n->engine);
	if (err) {
		munmap(mem, bytes);
		return err;
	}
	n->mem = mem;
	n->mem_bytes = bytes;
	n->shape = *shape;
	n->rx_off = p2p_seg_offset(shape, p2p_seg_rx(shape, 0));
	n->ring_off = p2p_seg_offset(shape, p2p_seg_ring(shape, 0));
	n->buf_off = p2p_seg_offset(shape, p2p_seg_buf(shape, 0, 0));
	n->ring_bytes = p2p_seg_bytes(shape, P2P_SEG_RING);
	b->news = ~0ull;
	return 0;
}

void sim_board_layout_drop(struct board_ctx *b)
{
	sim_nic_drop_memory(sim_nic_of(b));
}

void *sim_board_segment(struct board_ctx *b, unsigned int seg)
{
	struct sim_nic *n = sim_nic_of(b);

	return n->mem && seg < p2p_seg_total(&n->shape) ? n->mem + p2p_seg_offset(&n->shape, seg) : NULL;
}

void *sim_board_state(struct board_ctx *b, size_t bytes)
{
	struct sim_nic *n = sim_nic_of(b);

	free(n->state);
	n->state = calloc(1, bytes);
	return n->state;
}

/* ---- ports ---- */

static void memory_fill(const struct sim_nic *n, unsigned int p, struct port_memory *m)
{
	const struct p2p_shape *s = &n->shape;
	unsigned int i;

	*m = (struct port_memory){ .n = 1 + s->nics, .buf_size = s->buf_size, .rx_bufs = s->rx_bufs };
	m->region[0] = (struct port_region){ .base = n->mem + p2p_seg_offset(s, p2p_seg_rx(s, p)),
					     .size = p2p_seg_bytes(s, P2P_SEG_RX), .fd = -1 };
	for (i = 0; i < s->nics; i++)
		m->region[1 + i] = (struct port_region){ .base = n->mem + p2p_seg_offset(s, p2p_seg_buf(s, p, i)),
							 .size = p2p_seg_bytes(s, P2P_SEG_BUF), .fd = -1 };
}

int sim_board_ports_start(struct board_ctx *b)
{
	struct sim_nic *n = sim_nic_of(b);
	struct port_memory m;
	unsigned int p;
	int err = 0;

	for (p = 0; p < n->ports; p++) {
		memory_fill(n, p, &m);
		err = b->port[p]->ops->start(b->port[p], &m);
		if (err)
			goto stop_ports;
	}
	b->ports_on = true;
	return 0;
stop_ports:
	while (p--)
		b->port[p]->ops->stop(b->port[p]);
	return err;
}

void sim_board_ports_stop(struct board_ctx *b)
{
	struct sim_nic *n = sim_nic_of(b);
	unsigned int p;

	for (p = 0; p < n->ports && b->ports_on; p++)
		b->port[p]->ops->stop(b->port[p]);
	b->ports_on = false;
}
