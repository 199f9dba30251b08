/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ticks, for what is counted in every round of a worker: the time-stamp counter
 * where the CPU has one that runs at one rate in all states, else nanoseconds.
 */
#ifndef BOARDS_SOFT_CLOCK_H
#define BOARDS_SOFT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

extern bool soft_ticks_are_tsc; /* set before main() */

/* CLOCK_MONOTONIC, ns. */
uint64_t soft_now_ns(void);
/* Ticks in a second, measured since the process began. */
uint64_t soft_tick_hz(void);
/* "tsc" or "ns": what a tick is. */
const char *soft_tick_name(void);

static inline uint64_t soft_ticks(void)
{
#ifdef __x86_64__
	if (__builtin_expect(soft_ticks_are_tsc, 1))
		return __builtin_ia32_rdtsc();
#endif
	return soft_now_ns();
}

#endif
