/* SPDX-License-Identifier: BSD-3-Clause */
/* An area in plain memory, and a window that lets only so many stores and writes through, for tests. */
#ifndef TESTS_UNIT_LPM_AREA_H
#define TESTS_UNIT_LPM_AREA_H

#include "lpm/lpm.h"

struct area {
	void *mem;
	uint64_t bytes;
	struct lpm_window plain; /* all of it goes through */
	struct lpm_window cut;   /* dies silently after `left` more */
	uint64_t left, done;
	int read_fail; /* what the cut window answers to reads; 0: it reads */
	int fail; /* what the cut window returns when it has died; 0: as if nothing were wrong */
};

/* Zeroed memory. */
void area_init(struct area *a, uint64_t bytes);
void area_free(struct area *a);
/* "16-4-4-8": the last width is repeated until all bits are used; "": no table. */
void area_stride(struct p2p_route_shape *s, enum p2p_family f, const char *widths);

#endif
