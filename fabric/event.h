/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event queue: virtual time in integer picoseconds.
 *
 * An event is embedded in whatever it is about and is in the queue at most
 * once.  Events of the same time run in the order in which they were scheduled,
 * so that a simulation is a function of its input alone.  Scheduling can't fail.
 *
 * THREADS  one queue, one thread.  Any number of queues in a process.
 */
#ifndef FABRIC_EVENT_H
#define FABRIC_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAB_PS_PER_NS 1000ull
#define FAB_PS_PER_S 1000000000000ull
#define FAB_NEVER UINT64_MAX

struct fab_event;
typedef void fab_event_fn(struct fab_event *e);

struct fab_event {
	uint64_t at_ps;
	fab_event_fn *fn;              /* called with the event out of the queue; may schedule it anew */
	struct fab_event *next, *prev; /* the queue's; next NULL: not queued */
};

struct fab_queue;

struct fab_queue *fab_queue_create(void); /* NULL: no memory */
void fab_queue_destroy(struct fab_queue *q);
static inline void fab_event_init(struct fab_event *e, fab_event_fn *fn)
{
	*e = (struct fab_event){ .fn = fn };
}
static inline bool fab_event_queued(const struct fab_event *e)
{
	return e->next != NULL;
}
/* The time of the event that runs, or ran last; where fab_queue_run() ended. */
uint64_t fab_now(const struct fab_queue *q);
/*
 * An at_ps before fab_now() means now; an event at FAB_NEVER is queued and never runs.  A queued event is moved (and
 * goes behind those already due at that time).
 */
void fab_schedule(struct fab_queue *q, struct fab_event *e, uint64_t at_ps);
void fab_cancel(struct fab_queue *q, struct fab_event *e);
/* When the next event is due; FAB_NEVER. */
uint64_t fab_queue_next(const struct fab_queue *q);
/*
 * Runs all events up to and including until_ps; the clock is until_ps then, unless fab_queue_stop() was called.
 * FAB_NEVER: runs until there are no more, and the clock is that of the last.
 */
void fab_queue_run(struct fab_queue *q, uint64_t until_ps);
/* From within an event: fab_queue_run() returns after it. */
void fab_queue_stop(struct fab_queue *q);
uint64_t fab_queue_count(const struct fab_queue *q); /* events run so far */

#endif
