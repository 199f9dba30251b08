/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hold DISTRIBUTION N EVENTS: nanoseconds of CPU time an event, with N events
 * queued, each of which schedules itself anew when it runs (the hold model).
 *
 *   exp      exponential, mean 100 ns
 *   uniform  0 to 200 ns
 *   two      9 of 10 within 10 ns, the others 10 us later
 *   burst    as exp, but an event schedules nothing or two others, by turns
 *   move     as exp, and another event is moved each time: a timer
 *   FILE     the first number of each line: picoseconds
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabric/event.h"

#define DELTAS 65536u

static struct fab_queue *q;
static struct fab_event *event, **spare;
static uint64_t delta[DELTAS], x = 1, left;
static uint32_t n, turn, spares;

static uint32_t rnd(void)
{
	x = x * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(x >> 32);
}

static void again(struct fab_event *e)
{
	fab_schedule(q, e, fab_now(q) + delta[turn++ % DELTAS]);
}

static void hold(struct fab_event *e)
{
	if (--left == 0)
		fab_queue_stop(q);
	again(e);
}

static void hold_move(struct fab_event *e)
{
	hold(e);
	again(&event[rnd() % n]);
}

static void hold_burst(struct fab_event *e)
{
	if (--left == 0)
		fab_queue_stop(q);
	spare[spares++] = e;
	if (spares % 2 == 0) {
		again(spare[--spares]);
		again(spare[--spares]);
	}
}

static bool read_deltas(const char *path)
{
	FILE *f = fopen(path, "r");
	uint32_t k = 0;
	char line[80];

	if (!f)
		return false;
	while (k < DELTAS && fgets(line, sizeof(line), f))
		delta[k++] = strtoull(line, NULL, 10);
	fclose(f);
	for (uint32_t i = k; k && i < DELTAS; i++)
		delta[i] = delta[i % k];
	return k > 0;
}

static bool make_deltas(const char *name)
{
	for (uint32_t k = 0; k < DELTAS; k++) {
		double u = (rnd() + 0.5) / 4294967296.0;

		if (!strcmp(name, "uniform"))
			delta[k] = (uint64_t)(u * 200000);
		else if (!strcmp(name, "two"))
			delta[k] = (uint64_t)(u * 10000) + (rnd() % 10 ? 0 : 10000000);
		else if (!strcmp(name, "exp") || !strcmp(name, "move") || !strcmp(name, "burst"))
			delta[k] = (uint64_t)(-log(u) * 100000);
		else
			return read_deltas(name);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct timespec t0, t1;
	uint64_t events;
	fab_event_fn *fn;

	if (argc != 4 || !make_deltas(argv[1]) || !(n = (uint32_t)strtoul(argv[2], NULL, 0)) ||
	    !(events = strtoull(argv[3], NULL, 0)))
		return 2;
	fn = !strcmp(argv[1], "move") ? hold_move : !strcmp(argv[1], "burst") ? hold_burst : hold;
	q = fab_queue_create();
	event = calloc(n, sizeof(*event));
	spare = calloc(n, sizeof(*spare));
	if (!q || !event || !spare)
		return 1;
	for (uint32_t k = 0; k < n; k++) {
		fab_event_init(&event[k], fn);
		again(&event[k]);
	}
	left = 3ull * n + 1000; /* until they lie as they will */
	fab_queue_run(q, FAB_NEVER);
	left = events;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	fab_queue_run(q, FAB_NEVER);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	printf("%.2f\n", ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / (double)events);
	free(spare);
	free(event);
	fab_queue_destroy(q);
	return 0;
}
