/* SPDX-License-Identifier: BSD-3-Clause */
/* TLPs in order of time behind one event. */
#include "internal.h"

static void line_event(struct fab_event *e)
{
	struct fab_line *l = fab_container(e, struct fab_line, event);
	struct fab_tlp *t = fab_fifo_pop(&l->q);

	if (l->q.head)
		fab_schedule(t->src->f->q, &l->event, l->q.head->ready_ps);
	t->event.fn(&t->event);
}

void fab_line_init(struct fab_line *l)
{
	l->q.head = NULL;
	fab_event_init(&l->event, line_event);
}

void fab_line_push(struct fab_queue *q, struct fab_line *l, struct fab_tlp *t, uint64_t at_ps)
{
	t->ready_ps = at_ps;
	if (!l->q.head)
		fab_schedule(q, &l->event, at_ps);
	fab_fifo_push(&l->q, t);
}

void fab_line_flush(struct fab_queue *q, struct fab_line *l)
{
	uint64_t now = fab_now(q);
	struct fab_tlp *t;

	if (!l->q.head || l->q.head->ready_ps > now)
		return;
	while ((t = l->q.head) != NULL && t->ready_ps <= now) {
		fab_fifo_pop(&l->q);
		t->event.fn(&t->event);
	}
	if (l->q.head)
		fab_schedule(q, &l->event, l->q.head->ready_ps);
	else
		fab_cancel(q, &l->event);
}

void fab_line_cancel(struct fab_queue *q, struct fab_line *l)
{
	if (fab_event_queued(&l->event))
		fab_cancel(q, &l->event);
}
