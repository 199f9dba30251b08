/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Child processes of the bench: each in a process group of its own, killed by
 * the kernel when the thread that started it ends, its output in a log file.
 */
#ifndef BENCH_FORWARD_PROC_H
#define BENCH_FORWARD_PROC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "forward.h"

#define FWD_MAX_ARGS 64

/* An argument vector that keeps its texts. */
struct fwd_args {
	char text[4096];
	size_t used;
	char *argv[FWD_MAX_ARGS + 1];
	unsigned int n;
	bool full; /* something did not fit: fwd_proc_start() refuses it */
};
void fwd_arg(struct fwd_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct fwd_proc {
	pid_t pid; /* 0: none */
	int in;    /* writes to its standard input; -1: that is /dev/null */
	int log;   /* reads what it said */
	char name[32];
};

struct fwd_proc_opts {
	const char *name; /* in messages */
	const char *log;  /* a file that is made anew */
	bool talks;       /* keep its standard input */
	int cpu;          /* all of it on this core; -1: it decides itself */
};

/* argv[0] is searched in PATH. 0 or -errno with err. */
int fwd_proc_start(struct fwd_proc *p, struct fwd_args *a, const struct fwd_proc_opts *o, char err[FWD_ERR_MAX]);
/* Also reaps it when it has ended. */
bool fwd_proc_alive(struct fwd_proc *p);
/* Asks with SIGTERM (unless grace_ms is 0), kills after grace_ms, reaps. Harmless for one that is not running. */
void fwd_proc_stop(struct fwd_proc *p, unsigned int grace_ms);

/* Where its output stands now: from there on fwd_proc_expect() looks. */
off_t fwd_proc_at(const struct fwd_proc *p);
/*
 * Waits until it has said `text` after `from` and copies what it said from there on into said (cut at size, may be
 * NULL). -ETIMEDOUT, or -EPIPE when it has ended, with err.
 */
int fwd_proc_expect(struct fwd_proc *p, const char *text, off_t from, unsigned int timeout_ms, char *said, size_t size,
		    char err[FWD_ERR_MAX]);
int fwd_proc_tell(struct fwd_proc *p, const char *line, char err[FWD_ERR_MAX]);
/* The last line that it said that is not empty. */
void fwd_proc_last_line(const struct fwd_proc *p, char *line, size_t size);

#endif
