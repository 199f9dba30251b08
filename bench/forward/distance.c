/* SPDX-License-Identifier: BSD-3-Clause */
#include "distance.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define DISTANCE_TRIPS 200u
#define DISTANCE_SERIES 12u
#define DISTANCE_GIVE_UP_NS 200000000ull

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
