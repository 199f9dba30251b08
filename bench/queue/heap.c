/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric/event.h as a heap of FAB_HEAP_ARY children a node, the keys in the heap
 * itself.  An event's place + 1 is kept where the calendar has `next`.
 *
 * While an event runs, its slot stays on top as a hole: its key is less than all
 * others.  What the event schedules first takes the place, and most events
 * schedule one successor: one way down instead of one down and one up.
 */
#include "fabric/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef FAB_HEAP_ARY /* bench/queue sets others */
#define FAB_HEAP_ARY 4u
#endif
#define ARY FAB_HEAP_ARY
#define FIRST_SLOTS 64u
#define GROUP_BYTES (ARY * 32u) /* the children of a node: aligned to that */

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

static uint32_t place_of(const struct fab_event *e)
{
	return (uint32_t)(uintptr_t)e->next - 1;
}

static bool slot_before(const struct slot *a, const struct slot *b)
{
	return a->at_ps < b->at_ps || (a->at_ps == b->at_ps && a->order < b->order);
}

static void slot_put(struct fab_queue *q, uint32_t i, const struct slot *s)
{
	q->slot[i] = *s;
	s->e->next = (struct fab_event *)(uintptr_t)(i + 1);
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
	if (e->next) {
		sift(q, place_of(e), &s);
	} else if (q->hole) {
		q->hole = false;
		sift_down(q, 0, &s);
	} else if (q->n < q->max || (q->error = queue_grow(q)) == 0) {
		sift_up(q, q->n++, &s);
	}
}

void fab_cancel(struct fab_queue *q, struct fab_event *e)
{
	if (!e->next)
		return;
	slot_remove(q, place_of(e));
	e->next = NULL;
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
		e->next = NULL;
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
