/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One run: a configuration built of fabric, NICs and host, warmed up and measured.
 *
 * The order is the driver's: parts, bring-up, until every NIC sees every other; then
 * traffic for warmup_us, counters to zero, duration_us of measuring.
 */
#ifndef EXPERIMENTS_RUN_H
#define EXPERIMENTS_RUN_H

#include "result.h"

struct exp_trace {
	const char *path; /* NULL: none; a pcap of every TLP of the measured time */
	uint64_t limit;   /* TLPs at most; 0: all */
};

/* *out is the caller's to free with exp_result_free().  0 or -errno with one line in err. */
int exp_run(const struct exp_config *c, const struct exp_trace *trace, struct exp_result *out, char err[EXP_ERR_MAX]);

#endif
