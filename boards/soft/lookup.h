/* SPDX-License-Identifier: BSD-3-Clause */
/* The firmware's route lookup alone (firmware/lpm.h), in each form that this board has it: for tests and measurements. */
#ifndef BOARDS_SOFT_LOOKUP_H
#define BOARDS_SOFT_LOOKUP_H

#include "firmware/lpm.h"

struct soft_lookup {
	const char *name; /* "plain", "avx2" */
	int (*open)(struct fw_lpm *t, const void *area, uint64_t bytes);
	void (*find4)(const struct fw_lpm *t, const uint32_t *addr, uint32_t n, uint32_t *hop);
	void (*find6)(const struct fw_lpm *t, const uint32_t (*addr)[4], uint32_t n, uint32_t *hop);
};

/* The k-th that this CPU can run, the last being the one that NICs here use; NULL: there are no more. */
const struct soft_lookup *soft_lookup(unsigned int k);

#endif
