/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Was a core taken away?  What the kernel counts, before and after, for each
 * thread that ought to have had its core to itself.
 *
 *   wait_ns      the thread was runnable and did not run: run-queue wait, second
 *                field of /proc/TID/schedstat
 *   preempted    involuntary context switches, /proc/TID/status
 *   steal_ns     time that the hypervisor gave to others, /proc/stat, per core
 *                (in ticks of 10 ms)
 *
 * THREADS  A snapshot is its caller's own.  Costs some system calls: not for
 * the midst of a measurement.
 */
#ifndef TESTER_QUIET_H
#define TESTER_QUIET_H

#include <p2pnic/types.h>
#include <sys/types.h>

#define QUIET_MAX_TARGETS 32
/* Disturbed: more than this share of the time was waited or stolen. */
#define QUIET_DISTURBED_PPM 5000u

struct quiet_target {
	pid_t tid; /* a thread's or single-threaded process's; 0: the calling thread */
	int cpu;   /* the core that it is pinned to; -1: don't count steal */
};

struct quiet_counts {
	uint64_t run_ns, wait_ns;
	uint64_t preempted;
	uint64_t steal_ns;
	bool seen; /* false: the thread is gone */
};

struct quiet_snapshot {
	uint64_t at_ns; /* CLOCK_MONOTONIC */
	unsigned int n;
	struct quiet_target target[QUIET_MAX_TARGETS];
	struct quiet_counts count[QUIET_MAX_TARGETS];
};

struct quiet_report {
	uint64_t time_ns;
	uint64_t wait_ns, steal_ns, preempted; /* the worst target's each */
	pid_t worst_tid;                       /* which waited, or was stolen from, longest */
	uint32_t worst_ppm;                    /* its (wait_ns + steal_ns) / time_ns */
	bool disturbed;                        /* worst_ppm above the threshold, or a thread is gone */
};

/* n up to QUIET_MAX_TARGETS; a thread that does not exist is noted as gone. */
void quiet_take(struct quiet_snapshot *s, const struct quiet_target *target, unsigned int n);
/* What happened between a and b, which have the same targets; threshold_ppm 0 stands for QUIET_DISTURBED_PPM. */
void quiet_compare(struct quiet_report *r, const struct quiet_snapshot *a, const struct quiet_snapshot *b,
		   uint32_t threshold_ppm);
/* The threads of a process, at most max; returns how many, 0 if it is gone. */
unsigned int quiet_threads(pid_t pid, pid_t *tid, unsigned int max);

#endif
