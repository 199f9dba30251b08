/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On a virtual machine two cores may be neighbours now and far apart in a second, and every figure of what passes
 * between them halves; and so may what each of them does, when another machine's thread shares it.  So all is measured at
 * one distance and one pace, the least that were seen at the beginning.
 */
#include <math.h>
#include <time.h>

#include "bench.h"
#include "distance.h"

#define NEAR_LOOKS 20u
#define NEAR_LOOKS_PATIENT 200u
#define NEAR_LOOK_NS 50000000l
#define NEAR_FACTOR 1.5                 /* as near as that is the same */
#define NEAR_PACE_FACTOR 1.15           /* and as fast as that */
/* Patience, for measurements of a second; less for shorter ones. */
#define NEAR_ONCE_NS 10e9 /* for one of them, where nobody said how much */
#define NEAR_ALL_NS 180e9 /* and in all */

static void near_pause(void)
{
	struct timespec ts = { 0, NEAR_LOOK_NS };

	nanosleep(&ts, NULL);
}

void fwd_near_init(struct fwd_bench *b)
{
	const unsigned int looks = b->req->patience_s >= 10 ? NEAR_LOOKS_PATIENT : NEAR_LOOKS;
	unsigned int k;
	double ns;

	b->distance_ns = b->pace_ns = NAN;
	for (k = 0; k < looks && !fwd_stopped(b); k++) {
		ns = fwd_distance_ns(b->req->cpu_gen, b->req->cpu_fwd);
		if (isnan(b->distance_ns) || ns < b->distance_ns)
			b->distance_ns = ns;
		ns = fwd_pace_ns(b->req->cpu_gen, b->req->cpu_fwd);
		if (isnan(b->pace_ns) || ns < b->pace_ns)
			b->pace_ns = ns;
		near_pause();
	}
}

bool fwd_near(const struct fwd_bench *b)
{
	if (isnan(b->distance_ns) || isnan(b->pace_ns))
		return true;
	return !(fwd_distance_ns(b->req->cpu_gen, b->req->cpu_fwd) > b->distance_ns * NEAR_FACTOR) &&
	       !(fwd_pace_ns(b->req->cpu_gen, b->req->cpu_fwd) > b->pace_ns * NEAR_PACE_FACTOR);
}

void fwd_near_wait(struct fwd_bench *b)
{
	double share = b->req->seconds < 1 ? b->req->seconds : 1;
	double all = b->req->patience_s ? b->req->patience_s * 1e9 : NEAR_ALL_NS * share;
	double at_once = b->req->patience_s ? all : NEAR_ONCE_NS * share;
	uint64_t once = 0;

	while (!fwd_stopped(b) && (double)once < at_once && (double)b->waited_ns < all && !fwd_near(b)) {
		near_pause();
		once += NEAR_LOOK_NS;
		b->waited_ns += NEAR_LOOK_NS;
	}
}
