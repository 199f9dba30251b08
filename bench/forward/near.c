/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * On a virtual machine two cores may be neighbours now and far apart in a second, and every figure of what passes
 * between them halves. So all is measured at one distance, the least that was seen at the beginning.
 */
#include <math.h>
#include <time.h>

#include "bench.h"
#include "distance.h"

#define NEAR_LOOKS 20u
#define NEAR_LOOK_NS 50000000l
#define NEAR_FACTOR 1.5                 /* as near as that is the same */
/* Patience, for measurements of a second; less for shorter ones. */
#define NEAR_ONCE_NS 10e9 /* for one of them */
#define NEAR_ALL_NS 180e9 /* and in all */

static void near_pause(void)
{
	struct timespec ts = { 0, NEAR_LOOK_NS };

	nanosleep(&ts, NULL);
}

void fwd_near_init(struct fwd_bench *b)
{
	unsigned int k;
	double ns;

	b->distance_ns = NAN;
	for (k = 0; k < NEAR_LOOKS && !fwd_stopped(b); k++) {
		ns = fwd_distance_ns(b->req->cpu_gen, b->req->cpu_fwd);
		if (isnan(b->distance_ns) || ns < b->distance_ns)
			b->distance_ns = ns;
		near_pause();
	}
}

bool fwd_near(const struct fwd_bench *b)
{
	double ns;

	if (isnan(b->distance_ns))
		return true;
	ns = fwd_distance_ns(b->req->cpu_gen, b->req->cpu_fwd);
	return !(ns > b->distance_ns * NEAR_FACTOR);
}

void fwd_near_wait(struct fwd_bench *b)
{
	double share = b->req->seconds < 1 ? b->req->seconds : 1;
	uint64_t once = 0;

	while (!fwd_stopped(b) && (double)once < NEAR_ONCE_NS * share && (double)b->waited_ns < NEAR_ALL_NS * share &&
	       !fwd_near(b)) {
		near_pause();
		once += NEAR_LOOK_NS;
		b->waited_ns += NEAR_LOOK_NS;
	}
}
