/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tester's own files share. */
#ifndef TESTER_INTERNAL_H
#define TESTER_INTERNAL_H

#include "tester/cable.h"
#include "tester/clock.h"
#include "tester/loop.h"
#include "tester/tester.h"

struct tester {
	struct tester_opts o; /* defaults filled in */
	char path[2][112];
	struct tester_cable cable[2];
	struct tester_loop *loop;
	struct tester_clock clock;
	uint8_t run; /* of the frames sent last */
};

/* -EINVAL with a line in err. */
int tester_load_check(const struct tester *t, const struct tester_load *load, char err[TESTER_ERR_MAX]);
/* Runs fn(arg) on a thread pinned to cpu (-1: any) and waits for it.  0 or -errno. */
int tester_on_core(int cpu, void *(*fn)(void *), void *arg);

#endif
