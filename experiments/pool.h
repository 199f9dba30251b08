/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Independent runs, several at a time, each in a process of its own.
 *
 * What a run gives is a function of its configuration, so neither the number of
 * processes nor the order in which they end can be seen in the results.
 */
#ifndef EXPERIMENTS_POOL_H
#define EXPERIMENTS_POOL_H

#include "run.h"

struct exp_pool {
	unsigned int points;
	unsigned int jobs; /* processes at a time; 0: one a CPU */
	bool progress;     /* a bar on stderr */
	void (*end)(int status); /* how a forked process ends at once: _exit(); NULL: no processes */
	/* The configuration of point k.  0 or -errno and err. */
	int (*make)(void *arg, unsigned int k, struct exp_config *c, char err[EXP_ERR_MAX]);
	void *arg;
	/* Point k has ended, in any order; `line` as exp_result_write() wrote it.  May be NULL.  -errno ends it all. */
	int (*done)(void *arg, unsigned int k, const char *line, char err[EXP_ERR_MAX]);
	const bool *skip; /* points that are not run; NULL: all are */
	struct exp_trace trace; /* of point 0 */
};

/* result[points]: zeroed by the caller; to be freed with exp_result_free() whatever this returns. */
int exp_pool_run(const struct exp_pool *p, struct exp_result *result, char err[EXP_ERR_MAX]);
unsigned int exp_cpus(void);

#endif
