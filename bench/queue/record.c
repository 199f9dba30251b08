/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric/event.h by the heap, and every time for which something was scheduled, less
 * the time at which it was, to standard error: the distribution that hold.c can replay.
 */
#define fab_schedule heap_schedule
#include "../../fabric/event.c"
#undef fab_schedule

#include <inttypes.h>
#include <stdio.h>

void fab_schedule(struct fab_queue *q, struct fab_event *e, uint64_t at_ps);

void fab_schedule(struct fab_queue *q, struct fab_event *e, uint64_t at_ps)
{
	fprintf(stderr, "%" PRIu64 " %u\n", at_ps - q->now_ps, q->n);
	heap_schedule(q, e, at_ps);
}
