/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>

#include "internal.h"

/* One queue. */
struct lane {
	struct sim_engine *e;
	struct sim_dma *head, **tail; /* not begun */
	struct fab_event event;       /* the head may begin */
	uint64_t latency_ps, gap_ps, free_ps;
	uint64_t path_free_ps;     /* reads: the data path's */
	uint64_t bytes, max_bytes; /* in flight */
	uint32_t flight, max;
	bool read, running;
	uint64_t begun, begun_bytes, wait_ps, issue_ps, path_ps;
	uint32_t flight_max;
	uint64_t counted_ps, flight_ps, bytes_ps; /* in flight, times time */
};

struct sim_engine {
	struct fab_queue *q;
	struct fab_node *ep;
	struct lane lane[2]; /* writes, reads */
	uint64_t overhead_ps, byte_fs, local_byte_fs, local_free_ps;
	bool dropped;
};

static void lane_run(struct lane *l);

/* Before what is in flight changes. */
static void lane_count(struct lane *l)
{
	uint64_t now_ps = fab_now(l->e->q), since_ps = now_ps - l->counted_ps;

	l->counted_ps = now_ps;
	l->flight_ps += since_ps * l->flight;
	l->bytes_ps += since_ps * l->bytes;
}

static void lane_finished(struct lane *l, struct sim_dma *d)
{
	lane_count(l);
	l->flight--;
	l->bytes -= d->req.len;
	if (l->e->dropped)
		return;
	d->done(d);
	if (l->head)
		lane_run(l);
}

static uint64_t path_ps(const struct sim_engine *e, uint32_t len)
{
	return e->overhead_ps + len * e->byte_fs / SIM_FS_PER_PS;
}

static void on_write_done(struct fab_req *r)
{
	struct sim_dma *d = (struct sim_dma *)r;

	lane_finished(&d->engine->lane[0], d);
}

static void on_event(struct fab_event *ev)
{
	struct sim_dma *d = (struct sim_dma *)((char *)ev - offsetof(struct sim_dma, event));

	lane_finished(&d->engine->lane[d->read], d);
}

/* The data have come: now they pass the engine. */
static void on_read_done(struct fab_req *r)
{
	struct sim_dma *d = (struct sim_dma *)r;
	struct sim_engine *e = d->engine;
	struct lane *l = &e->lane[1];
	uint64_t now_ps = fab_now(e->q), took_ps = path_ps(e, r->len);

	if (l->path_free_ps < now_ps)
		l->path_free_ps = now_ps;
	l->path_free_ps += took_ps;
	l->path_ps += took_ps;
	if (l->path_free_ps == now_ps) {
		lane_finished(l, d);
		return;
	}
	fab_event_init(&d->event, on_event);
	fab_schedule(e->q, &d->event, l->path_free_ps);
}

static void local_begin(struct sim_engine *e, struct sim_dma *d, uint64_t now_ps)
{
	uint64_t from_ps = e->local_free_ps > now_ps ? e->local_free_ps : now_ps;

	e->local_free_ps = from_ps + d->req.len * e->local_byte_fs / SIM_FS_PER_PS;
	fab_event_init(&d->event, on_event);
	fab_schedule(e->q, &d->event, e->local_free_ps);
}

static void lane_begin(struct lane *l, struct sim_dma *d, uint64_t now_ps)
{
	struct sim_engine *e = l->e;
	uint64_t issue_ps = l->gap_ps, write_ps = l->read ? 0 : path_ps(e, d->req.len);

	if (issue_ps < write_ps)
		issue_ps = write_ps;
	lane_count(l);
	l->begun++;
	l->begun_bytes += d->req.len;
	l->wait_ps += now_ps - d->not_before_ps;
	l->issue_ps += issue_ps;
	l->free_ps = now_ps + issue_ps;
	l->bytes += d->req.len;
	if (++l->flight > l->flight_max)
		l->flight_max = l->flight;
	if (d->local) {
		local_begin(e, d, now_ps);
	} else if (l->read) {
		d->req.done = on_read_done;
		fab_read(e->ep, &d->req);
	} else {
		d->req.done = on_write_done;
		fab_write(e->ep, &d->req);
	}
}

/* Begins what may begin; a lane that is in here already sees what else may. */
static void lane_run(struct lane *l)
{
	uint64_t now_ps = fab_now(l->e->q), at_ps;
	struct sim_dma *d;

	if (l->running)
		return;
	l->running = true;
	while ((d = l->head)) {
		if (l->flight >= l->max || (l->bytes && l->bytes + d->req.len > l->max_bytes))
			break;
		at_ps = d->not_before_ps + l->latency_ps;
		if (at_ps < l->free_ps)
			at_ps = l->free_ps;
		if (at_ps > now_ps) {
			if (!fab_event_queued(&l->event))
				fab_schedule(l->e->q, &l->event, at_ps);
			break;
		}
		l->head = d->next;
		if (!l->head)
			l->tail = &l->head;
		lane_begin(l, d, now_ps);
	}
	l->running = false;
}

static void on_lane(struct fab_event *ev)
{
	lane_run((struct lane *)((char *)ev - offsetof(struct lane, event)));
}

static void submit(struct sim_engine *e, struct sim_dma *d, bool read)
{
	struct lane *l = &e->lane[read];

	d->engine = e;
	d->read = read;
	d->next = NULL;
	*l->tail = d;
	l->tail = &d->next;
	if (l->head == d)
		lane_run(l);
}

void sim_engine_write(struct sim_engine *e, struct sim_dma *d)
{
	submit(e, d, false);
}

void sim_engine_read(struct sim_engine *e, struct sim_dma *d)
{
	submit(e, d, true);
}

bool sim_engine_busy(const struct sim_engine *e)
{
	return e->lane[0].head || e->lane[1].head || e->lane[0].flight || e->lane[1].flight;
}

void sim_engine_drop(struct sim_engine *e)
{
	unsigned int k;

	e->dropped = true;
	for (k = 0; k < 2; k++) {
		e->lane[k].head = NULL;
		e->lane[k].tail = &e->lane[k].head;
		fab_cancel(e->q, &e->lane[k].event);
	}
}

static void lane_init(struct lane *l, struct sim_engine *e, bool read)
{
	l->e = e;
	l->read = read;
	l->tail = &l->head;
	fab_event_init(&l->event, on_lane);
}

int sim_engine_create(struct fab_queue *q, const struct sim_nic_profile *p, struct fab_node *ep, struct sim_engine **out)
{
	struct sim_engine *e = calloc(1, sizeof(*e));
	struct lane *w, *r;

	if (!e)
		return -ENOMEM;
	e->q = q;
	e->ep = ep;
	e->overhead_ps = sim_ps(p->dma_overhead);
	e->byte_fs = sim_fs(p->dma_byte);
	e->local_byte_fs = p->local_rate > 0 ? (uint64_t)(1e6 / p->local_rate + 0.5) : 0;
	w = &e->lane[0];
	r = &e->lane[1];
	lane_init(w, e, false);
	lane_init(r, e, true);
	w->latency_ps = sim_ps(p->dma_write_latency);
	w->gap_ps = sim_ps(p->dma_write_gap);
	w->max = (uint32_t)p->dma_writes;
	w->max_bytes = UINT64_MAX / 2;
	r->latency_ps = sim_ps(p->dma_read_latency);
	r->gap_ps = sim_ps(p->dma_read_gap);
	r->max = (uint32_t)p->dma_reads;
	r->max_bytes = (uint64_t)p->dma_read_bytes;
	*out = e;
	return 0;
}

void sim_engine_destroy(struct sim_engine *e)
{
	if (!e)
		return;
	/* Neither is queued after sim_engine_drop(); then there need not be a queue. */
	fab_cancel(e->q, &e->lane[0].event);
	fab_cancel(e->q, &e->lane[1].event);
	free(e);
}

/* Requests or bytes, whichever are nearer to their limit. */
static uint64_t lane_full_ps(const struct lane *l)
{
	uint64_t since_ps = fab_now(l->e->q) - l->counted_ps;
	uint64_t flight_ps = (l->flight_ps + since_ps * l->flight) / l->max;
	uint64_t bytes_ps = (l->bytes_ps + since_ps * l->bytes) / l->max_bytes;

	return flight_ps > bytes_ps ? flight_ps : bytes_ps;
}

void sim_engine_stats(const struct sim_engine *e, struct sim_engine_stats *out)
{
	const struct lane *w = &e->lane[0], *r = &e->lane[1];

	*out = (struct sim_engine_stats){
		.writes = w->begun, .reads = r->begun, .write_bytes = w->begun_bytes, .read_bytes = r->begun_bytes,
		.write_wait_ps = w->wait_ps, .read_wait_ps = r->wait_ps,
		.write_busy_ps = w->issue_ps, .read_busy_ps = r->issue_ps > r->path_ps ? r->issue_ps : r->path_ps,
		.write_full_ps = lane_full_ps(w), .read_full_ps = lane_full_ps(r),
		.writes_max = w->flight_max, .reads_max = r->flight_max,
	};
}

void sim_engine_stats_reset(struct sim_engine *e)
{
	unsigned int k;

	for (k = 0; k < 2; k++) {
		struct lane *l = &e->lane[k];

		l->begun = l->begun_bytes = l->wait_ps = l->issue_ps = l->path_ps = 0;
		l->flight_max = l->flight;
		l->counted_ps = fab_now(e->q);
		l->flight_ps = l->bytes_ps = 0;
	}
}
