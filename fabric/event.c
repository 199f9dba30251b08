/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap of four children a node.  The keys lie in the heap itself: a step down
 * compares neighbours in two cache lines and touches no event but the one moved.
 *
 * While an event runs, its slot stays on top as a hole: its key is less than all
 * others.  What the event schedules first takes the place, and most events
 * schedule one successor: one way down instead of one down and one up.
 */
#include "event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARY 4u
#define FIRST_SLOTS 64u
#define GROUP_BYTES 128u /* the children of a node: aligned to that */

struct slot {
	uint64_t at_ps, order;
	struct fab_event *e; /* NULL: the hole */
	uint64_t unused;     /* a group is a whole number of cache lines */
};

struct fab_queue {
	struct slot *slot; /* the heap; its first group of children is aligned */
	uint32_t n, max;
	bool hole, stop;
	int error;
	void *memory;
	uint64_t now_ps, order, count;
};

static bool slot_before(const struct slot *a, const struct slot *b)
{
	return a->at_ps < b->at_ps || (a->at_ps == b->at_ps && a->order < b->order);
}

static void slot_put(struct fab_queue *q, uint32_t i, const struct slot *s)
{
	q->slot[i] = *s;
	s->e->place = i + 1;
}

static void sift_up(struct fab_queue *q, uint32_t i, const struct slot *s)
{
	while (i > 0) {
		uint32_t parent = (i - 1) / ARY;

		if (!slot_before(s, &q->slot[parent]))
			break;
		slot_put(q, i, &q->slot[parent]);
		i = parent;
	}
	slot_put(q, i, s);
}

static void sift_down(struct fab_queue *q, uint32_t i, const struct slot *s)
{
	for (;;) {
		uint32_t child = i * ARY + 1, end = child + ARY, least = child;

		if (child >= q->n)
			break;
		if (end > q->n)
			end = q->n;
		while (++child < end)
			if (slot_before(&q->slot[child], &q->slot[least]))
				least = child;
		if (!slot_before(&q->slot[least], s))
			break;
		slot_put(q, i, &q->slot[least]);
		i = least;
	}
	slot_put(q, i, s);
}

/* The key at i became another one. */
static void sift(struct fab_queue *q, uint32_t i, const struct slot *s)
{
	if (i > 0 && slot_before(s, &q->slot[(i - 1) / ARY]))
		sift_up(q, i, s);
	else
		sift_down(q, i, s);
}

static void slot_remove(struct fab_queue *q, uint32_t i)
{
	struct slot last = q->slot[--q->n];

	if (i < q->n)
		sift(q, i, &last);
}

static void hole_close(struct fab_queue *q)
{
	if (!q->hole)
		return;
	q->hole = false;
	slot_remove(q, 0);
}

static int queue_grow(struct fab_queue *q)
{
	uint64_t max = q->max ? (uint64_t)q->max * 2 : FIRST_SLOTS;
	uint64_t bytes = GROUP_BYTES + max * sizeof(struct slot);
	void *memory;
	struct slot *slot;

	if (max >= UINT32_MAX / ARY)
		return -ENOMEM;
	memory = aligned_alloc(GROUP_BYTES, (bytes + GROUP_BYTES - 1) / GROUP_BYTES * GROUP_BYTES);
	if (!memory)
		return -ENOMEM;
	slot = (struct slot *)((char *)memory + GROUP_BYTES) - 1;
	if (q->n)
		memcpy(slot, q->slot, q->n * sizeof(*slot));
	free(q->memory);
	q->memory = memory;
	q->slot = slot;
	q->max = (uint32_t)max;
	return 0;
}

struct fab_queue *fab_queue_create(void)
{
	struct fab_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	if (queue_grow(q)) {
		free(q);
		return NULL;
	}
	return q;
}

void fab_queue_destroy(struct fab_queue *q)
{
	if (!q)
		return;
	free(q->memory);
	free(q);
}

uint64_t fab_now(const struct fab_queue *q)
{
	return q->now_ps;
}

void fab_schedule(struct fab_queue *q, struct fab_event *e, uint64_t at_ps)
{
	struct slot s = { .at_ps = at_ps < q->now_ps ? q->now_ps : at_ps, .order = q->order++, .e = e };

	e->at_ps = s.at_ps;
	e->order = s.order;
	if (e->place) {
		sift(q, e->place - 1, &s);
	} else if (q->hole) {
		q->hole = false;
		sift_down(q, 0, &s);
	} else if (q->n < q->max || (q->error = queue_grow(q)) == 0) {
		sift_up(q, q->n++, &s);
	}
}

void fab_cancel(struct fab_queue *q, struct fab_event *e)
{
	if (!e->place)
		return;
	slot_remove(q, e->place - 1);
	e->place = 0;
}

uint64_t fab_queue_next(const struct fab_queue *q)
{
	uint64_t next = FAB_NEVER;
	uint32_t i = q->hole, end = q->hole ? ARY + 1 : 1;

	for (; i < end && i < q->n; i++)
		if (q->slot[i].at_ps < next)
			next = q->slot[i].at_ps;
	return next;
}

void fab_queue_run(struct fab_queue *q, uint64_t until_ps)
{
	uint64_t last_ps = until_ps == FAB_NEVER ? FAB_NEVER - 1 : until_ps;

	hole_close(q);
	q->stop = false;
	while (q->n && q->slot[0].at_ps <= last_ps && !q->error) {
		struct fab_event *e = q->slot[0].e;

		q->now_ps = q->slot[0].at_ps;
		q->slot[0].e = NULL;
		q->hole = true;
		e->place = 0;
		q->count++;
		e->fn(e);
		hole_close(q);
		if (q->stop)
			return;
	}
	if (!q->error && until_ps != FAB_NEVER && until_ps > q->now_ps)
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

int fab_queue_error(const struct fab_queue *q)
{
	return q->error;
}
