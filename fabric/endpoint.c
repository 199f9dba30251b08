/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An endpoint as target and completer.
 *
 * It acts when a TLP is there whole.  One link leads here and keeps the order, so
 * that the time at which a TLP is served is known when it leaves the other end: one
 * event each.  A read, and a completion, is not served before the writes that came before it.
 * Writes and completions are served in the order of arrival, and so are reads.
 */
#include "internal.h"

static void write_served(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dst;

	if (n->ops.write)
		n->ops.write(n->arg, t->addr, t->carries ? t->data : NULL, t->len);
	fab_tlp_put(n->f, t);
}

static void read_served(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);

	if (t->dir) /* writes due at this very time came before */
		fab_line_flush(t->src->f->q, &t->dir->line);
	fab_answer(t->dst, t);
}

static void completion_served(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);

	fab_complete(t->dst, t);
}

static uint64_t write_serve(struct fab_node *n, const struct fab_tlp *t, uint64_t at_ps)
{
	uint64_t start = fab_max(at_ps, n->write_free_ps);
	uint64_t end = start + fab_span(t->len, n->write_fp);

	n->write_free_ps = fab_max(start + n->ep.write_gap_ps, end);
	n->last_write_ps = end;
	n->stats.target_busy_ps += n->write_free_ps - start;
	return end;
}

static uint64_t read_serve(struct fab_node *n, const struct fab_tlp *t, uint64_t at_ps)
{
	uint64_t start = fab_max(fab_max(at_ps, n->read_free_ps), n->last_write_ps);

	n->read_free_ps = start + fab_max(n->ep.read_gap_ps, fab_span(t->len, n->read_fp));
	n->stats.target_busy_ps += n->read_free_ps - start;
	return start;
}

/* t, which came by d (NULL: by no link), will be in the endpoint's hands at at_ps. */
static void serve(struct fab_node *n, struct fab_dir *d, struct fab_tlp *t, uint64_t at_ps)
{
	struct fab_queue *q = n->f->q;
	uint64_t left;

	if (t->type == FAB_MRD) {
		left = read_serve(n, t, at_ps);
		t->event.fn = read_served;
		fab_line_push(q, &n->reading, t, left + n->ep.read_latency_ps);
	} else {
		left = t->type == FAB_MWR ? write_serve(n, t, at_ps) : fab_max(at_ps, n->last_write_ps);
		t->event.fn = t->type == FAB_MWR ? write_served : completion_served;
		if (d)
			fab_line_push(q, &d->line, t, left);
		else
			fab_schedule(q, &t->event, left);
	}
	if (d)
		fab_credit_give(d, t->cls, t->units, left);
}

void fab_endpoint_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t tail_ps)
{
	serve(d->to, d, t, tail_ps + d->to->latency_ps);
}

void fab_endpoint_turn(struct fab_node *n, struct fab_tlp *t, uint64_t now)
{
	serve(n, NULL, t, now + 2 * n->latency_ps);
}
