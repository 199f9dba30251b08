/* SPDX-License-Identifier: BSD-3-Clause */
#include "distance.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define DISTANCE_TRIPS 200u
#define DISTANCE_SERIES 12u
#define DISTANCE_GIVE_UP_NS 200000000ull
#define PACE_SERIES 25u
#define PACE_THOUSANDS 50u

/* The line that goes to and fro has nothing else in it. */
struct distance {
	_Alignas(128) uint32_t ball; /* atomic: odd, b's turn */
	_Alignas(128) bool end;      /* atomic */
	int cpu[2];
	double ns;
};

static uint64_t distance_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool distance_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *distance_back(void *arg)
{
	struct distance *d = arg;
	uint32_t ball;

	if (!distance_pin(d->cpu[1]))
		return NULL;
	while (!__atomic_load_n(&d->end, __ATOMIC_RELAXED)) {
		ball = __atomic_load_n(&d->ball, __ATOMIC_ACQUIRE);
		if (ball & 1)
			__atomic_store_n(&d->ball, ball + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* One trip; false if nobody answers. */
static bool distance_trip(struct distance *d, uint64_t give_up_ns)
{
	uint32_t ball = d->ball, spins = 0;

	__atomic_store_n(&d->ball, ball + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&d->ball, __ATOMIC_ACQUIRE) != ball + 2)
		if (!(++spins & 0xfff) && distance_now_ns() > give_up_ns)
			return false;
	return true;
}

static void *distance_forth(void *arg)
{
	struct distance *d = arg;
	uint64_t give_up, from, took;
	unsigned int s, i;

	if (!distance_pin(d->cpu[0]))
		return NULL;
	give_up = distance_now_ns() + DISTANCE_GIVE_UP_NS;
	if (!distance_trip(d, give_up))
		return NULL;
	for (s = 0; s < DISTANCE_SERIES; s++) {
		from = distance_now_ns();
		for (i = 0; i < DISTANCE_TRIPS; i++)
			if (!distance_trip(d, give_up))
				return NULL;
		took = distance_now_ns() - from;
		if (isnan(d->ns) || (double)took / DISTANCE_TRIPS < d->ns)
			d->ns = (double)took / DISTANCE_TRIPS;
	}
	return NULL;
}

double fwd_distance_ns(int cpu_a, int cpu_b)
{
	struct distance d = { .cpu = { cpu_a, cpu_b }, .ns = NAN };
	pthread_t forth, back;

	if (pthread_create(&back, NULL, distance_back, &d))
		return NAN;
	if (!pthread_create(&forth, NULL, distance_forth, &d))
		pthread_join(forth, NULL);
	__atomic_store_n(&d.end, true, __ATOMIC_RELAXED);
	pthread_join(back, NULL);
	return d.ns;
}

struct pace {
	int cpu;
	double ns;
};

static int pace_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void *pace_run(void *arg)
{
	struct pace *p = arg;
	double took[PACE_SERIES];
	uint64_t from, sum = 0;
	unsigned int s, i;

	if (!distance_pin(p->cpu))
		return NULL;
	for (s = 0; s < PACE_SERIES; s++) {
		from = distance_now_ns();
		for (i = 0; i < PACE_THOUSANDS * 1000; i++) {
			sum += 1;
			__asm__ volatile("" : "+r"(sum));
		}
		took[s] = (double)(distance_now_ns() - from) / PACE_THOUSANDS;
	}
	qsort(took, PACE_SERIES, sizeof(took[0]), pace_order);
	p->ns = took[PACE_SERIES / 2];
	return NULL;
}

double fwd_pace_ns(int cpu_a, int cpu_b)
{
	struct pace a = { .cpu = cpu_a, .ns = NAN }, b = { .cpu = cpu_b, .ns = NAN };
	pthread_t first, second;

	if (pthread_create(&second, NULL, pace_run, &b))
		return NAN;
	if (!pthread_create(&first, NULL, pace_run, &a))
		pthread_join(first, NULL);
	pthread_join(second, NULL);
	return a.ns > b.ns || isnan(a.ns) ? a.ns : b.ns;
}
