/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <time.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#define RATE_NS 2000000ull /* what a rate is measured over at least */
#define INVARIANT_TSC (1u << 8) /* CPUID 0x80000007, EDX (AMD APM vol. 2, 13.2.4; Intel SDM vol. 3, 18.17.1) */

bool soft_ticks_are_tsc;

static struct reading {
	uint64_t ticks, ns;
} begun;

uint64_t soft_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Both clocks at one moment: of a few tries the one that took least. */
static struct reading reading_take(void)
{
	struct reading best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t a = soft_ticks(), ns = soft_now_ns(), b = soft_ticks();

		if (b - a < least) {
			least = b - a;
			best = (struct reading){ a + (b - a) / 2, ns };
		}
	}
	return best;
}

uint64_t soft_tick_hz(void)
{
	struct reading r;

	if (!soft_ticks_are_tsc)
		return 1000000000;
	do
		r = reading_take();
	while (r.ns - begun.ns < RATE_NS);
	return (uint64_t)((unsigned __int128)(r.ticks - begun.ticks) * 1000000000 / (r.ns - begun.ns));
}

const char *soft_tick_name(void)
{
	return soft_ticks_are_tsc ? "tsc" : "ns";
}

__attribute__((constructor)) static void soft_clock_init(void)
{
#ifdef __x86_64__
	unsigned int a, b, c, d;

	soft_ticks_are_tsc = __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & INVARIANT_TSC);
#endif
	begun = reading_take();
}
