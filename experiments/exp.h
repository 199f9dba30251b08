/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Experiments: what `p2pnic sim` does.
 *
 * An experiment is a list of points, each a configuration that is run by itself
 * in a process of its own, and a table made of their results.  What a point gives
 * depends on its configuration alone, so that a table is the same to the byte
 * however many processes or machines computed it.
 */
#ifndef EXPERIMENTS_EXP_H
#define EXPERIMENTS_EXP_H

#include <stdio.h>

#include "topo.h"

#define EXP_MAX_FRAMES 32

struct exp_request {
	const char *experiment;
	struct exp_spec spec;        /* of fig5 ... scale: what the user changed in the reference; of run, sweep: the file's */
	bool time_set, method_set;   /* the user said how long; by which methods */
	unsigned int methods;        /* bits 1 << enum exp_method; all if none was said */
	unsigned int num_frames, frames[EXP_MAX_FRAMES]; /* 0: the experiment's own */
	unsigned int samples;        /* sensitivity: draws of all parameters at once */
	unsigned int jobs;           /* processes at a time; 0: one a CPU */
	void (*end)(int status);     /* how a forked process ends at once: _exit(); NULL: no processes */
	bool json, progress;         /* progress: a bar on stderr */
	const char *csv, *svg, *trace, *out; /* files, a directory; NULL: none */
	uint64_t trace_limit;        /* TLPs */
};

enum exp_file { EXP_FILE_NONE, EXP_FILE_MAY, EXP_FILE_NEEDED };
struct exp_kind_of {
	const char *name;
	enum exp_file file;
	int (*run)(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX]);
	const char *help;
	const char *host; /* its host profile, if not the reference experiment's; NULL */
	/* Settings that it chooses itself (with a '+': from a list of the user's) and files that it can't write; NULL: none. */
	const char *own;
};
/* Ended by a NULL name. */
extern const struct exp_kind_of exp_experiments[];

/* Whether what the user says of this setting would be of no effect; option: by an option of its own, not --set. */
bool exp_sets_itself(const struct exp_kind_of *e, const char *key, bool option);

/* 0; -EINVAL or -ENOENT: asked for wrongly; another -errno: it could not be done.  One line in err. */
int exp_do(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX]);

#endif
