/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A calendar queue (R. Brown, CACM 31(10), 1988): time is cut into slots of a power
 * of two of picoseconds; slot k is in bucket k modulo the number of buckets, a list
 * by time and turn.  There are half to twice as many buckets as events.  Slots get
 * narrower when scheduling passes many events on its way through the lists, wider
 * when running passes many empty slots.
 */
#include "event.h"

#include <stdlib.h>

#define FIRST_BUCKETS 16u
#define FIRST_SHIFT 14 /* 16 ns */
#define LAST_SHIFT 50
#define CHECK_OPS 512u

struct fab_queue {
	struct fab_event *bucket; /* each the first and last of a circular list, at 0 ps */
	uint32_t n, mask, shift;
	bool stop;
	uint64_t now_ps, count;
	uint64_t ops, passed, empty; /* since the width was looked at: operations, events passed, empty slots passed */
	uint64_t due;                /* look at the width after so many operations */
};

static void event_link(struct fab_queue *q, struct fab_event *e)
{
	struct fab_event *before = q->bucket[e->at_ps >> q->shift & q->mask].prev;

	while (before->at_ps > e->at_ps) {
		before = before->prev;
		q->passed++;
	}
	e->prev = before;
	e->next = before->next;
	before->next->prev = e;
	before->next = e;
}

static void event_unlink(struct fab_event *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	e->next = NULL;
}

static struct fab_event *buckets_make(uint32_t n)
{
	struct fab_event *b = calloc(n, sizeof(*b));
	uint32_t i;

	for (i = 0; b && i < n; i++)
		b[i].next = b[i].prev = &b[i];
	return b;
}

/* No memory: it stays as it is, and is slower. */
static void calendar_rebuild(struct fab_queue *q, uint32_t buckets, uint32_t shift)
{
	struct fab_event *old = q->bucket, *bucket = buckets_make(buckets), *e, *next;
	uint64_t passed = q->passed;
	uint32_t i, olds = q->mask + 1;

	if (!bucket)
		return;
	q->bucket = bucket;
	q->mask = buckets - 1;
	q->shift = shift;
	for (i = 0; i < olds; i++)
		for (e = old[i].next; e != &old[i]; e = next) {
			next = e->next;
			event_link(q, e);
		}
	q->passed = passed;
	free(old);
}

/* By how many halvings or doublings so many wasted steps become one an operation. */
static uint32_t shift_by(const struct fab_queue *q, uint64_t steps)
{
	uint64_t ratio = steps / q->ops;

	return ratio > 1 ? 63 - (uint32_t)__builtin_clzll(ratio) : 1;
}

/* A rebuild costs a few steps an event; it is paid for by as many operations, or as many wasted steps. */
static void calendar_check(struct fab_queue *q)
{
	uint32_t buckets = q->mask + 1, by;

	if (q->n > 2 * buckets)
		calendar_rebuild(q, 2 * buckets, q->shift);
	else if (buckets > FIRST_BUCKETS && q->n < buckets / 2)
		calendar_rebuild(q, buckets / 2, q->shift);
	if (++q->ops < q->due && q->passed < 4 * q->due && q->empty < 4 * q->due)
		return;
	if (q->passed > q->ops && q->passed > 2 * q->empty && q->shift > 0) {
		by = shift_by(q, q->passed);
		calendar_rebuild(q, q->mask + 1, q->shift > by ? q->shift - by : 0);
	} else if (q->empty > q->ops && q->empty > 2 * q->passed && q->shift < LAST_SHIFT) {
		by = shift_by(q, q->empty);
		calendar_rebuild(q, q->mask + 1, q->shift + by < LAST_SHIFT ? q->shift + by : LAST_SHIFT);
	}
	q->ops = q->passed = q->empty = 0;
	q->due = CHECK_OPS + 4ull * q->n;
}

/* The first event, NULL if there is none; *slot is its slot. */
static struct fab_event *calendar_first(const struct fab_queue *q, uint64_t *slot)
{
	struct fab_event *first = NULL, *b, *e;
	uint64_t k = q->now_ps >> q->shift, end = k + q->mask;

	if (!q->n)
		return NULL;
	for (; k <= end; k++) {
		b = &q->bucket[k & q->mask];
		e = b->next;
		if (e != b && e->at_ps >> q->shift == k) {
			*slot = k;
			return e;
		}
	}
	for (b = q->bucket; b <= q->bucket + q->mask; b++) /* a round without events */
		if (b->next != b && (!first || b->next->at_ps < first->at_ps))
			first = b->next;
	*slot = first->at_ps >> q->shift;
	return first;
}

struct fab_queue *fab_queue_create(void)
{
	struct fab_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->mask = FIRST_BUCKETS - 1;
	q->shift = FIRST_SHIFT;
	q->due = CHECK_OPS;
	q->bucket = buckets_make(FIRST_BUCKETS);
	if (!q->bucket) {
		free(q);
		return NULL;
	}
	return q;
}

void fab_queue_destroy(struct fab_queue *q)
{
	if (!q)
		return;
	free(q->bucket);
	free(q);
}

uint64_t fab_now(const struct fab_queue *q)
{
	return q->now_ps;
}

void fab_schedule(struct fab_queue *q, struct fab_event *e, uint64_t at_ps)
{
	if (e->next)
		event_unlink(e);
	else
		q->n++;
	e->at_ps = at_ps < q->now_ps ? q->now_ps : at_ps;
	event_link(q, e);
	calendar_check(q);
}

void fab_cancel(struct fab_queue *q, struct fab_event *e)
{
	if (!e->next)
		return;
	event_unlink(e);
	q->n--;
	calendar_check(q);
}

uint64_t fab_queue_next(const struct fab_queue *q)
{
	uint64_t slot;
	struct fab_event *e = calendar_first(q, &slot);

	return e ? e->at_ps : FAB_NEVER;
}

void fab_queue_run(struct fab_queue *q, uint64_t until_ps)
{
	uint64_t last_ps = until_ps == FAB_NEVER ? FAB_NEVER - 1 : until_ps, slot;
	struct fab_event *e;

	q->stop = false;
	while ((e = calendar_first(q, &slot)) && e->at_ps <= last_ps) {
		slot -= q->now_ps >> q->shift;
		q->empty += slot <= q->mask ? slot : 2 * q->mask;
		q->now_ps = e->at_ps;
		event_unlink(e);
		q->n--;
		q->count++;
		e->fn(e);
		if (q->stop)
			return;
	}
	if (until_ps != FAB_NEVER && until_ps > q->now_ps)
		q->now_ps = until_ps;
}

void fab_queue_stop(struct fab_queue *q)
{
	q->stop = true;
}

uint64_t fab_queue_count(const struct fab_queue *q)
{
	return q->count;
}
