/* SPDX-License-Identifier: BSD-3-Clause */
/* The tester's clock: the time-stamp counter where there is one, in ns since the tester was made. */
#ifndef TESTER_CLOCK_H
#define TESTER_CLOCK_H

#include <p2pnic/types.h>
#include <time.h>

struct tester_clock {
	uint64_t start; /* ticks */
	uint64_t hz;
	uint64_t mult;  /* ns in a tick, times 2^32 */
};

static inline uint64_t tester_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t tester_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return tester_mono_ns();
#endif
}

static inline uint64_t tester_ticks_ns(const struct tester_clock *c, uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)(ticks - c->start) * c->mult) >> 32);
}

static inline uint64_t tester_ns_ticks(const struct tester_clock *c, uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * c->hz / 1000000000u);
}

/* Measures the counter's rate, which takes 20 ms. */
void tester_clock_init(struct tester_clock *c);

#endif
