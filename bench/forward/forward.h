/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `p2pnic bench forward`: forwarders one after the other on one core, between
 * two memif cables, driven by tester/ on another core.
 *
 *   core G: generator and sink (this process)      core F: the forwarder under test (a process of its own)
 *           port 0 >----------- cable -----------> port 0
 *           port 1 <----------- cable -----------< port 1
 *
 * SUBJECTS  (table in subject.h) run as child processes that die with this one; `raw-copy` is none: a
 *           measurement of the machine. A subject that can't be had is skipped with a reason, never guessed.
 * ROUNDS    every (subject, frame size) once a round, in an order that is drawn anew; medians over rounds, ratios
 *           as medians of each round's.
 * QUIET     a measurement in which the machine took a core away is done again, a few times at most; how often is told.
 *
 * Frame sizes count the FCS.  Nothing here writes to stdout but what `to` is; errors are one line in err.
 * THREADS   called from one thread, the one that forked nothing else.
 */
#ifndef BENCH_FORWARD_FORWARD_H
#define BENCH_FORWARD_FORWARD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#define FWD_ERR_MAX 768
#define FWD_MAX_FRAMES 16
#define FWD_MAX_ROUNDS 101
#define FWD_MIN_FRAME 64u
#define FWD_MAX_FRAME 1518u
#define FWD_MAX_ENTRIES 32 /* subjects, each variant apart */

struct fwd_request {
	const char *self; /* the p2pnic program */
	const char *against; /* another build of it, each p2pnic subject's is measured beside; NULL: none */
	unsigned int frames[FWD_MAX_FRAMES], num_frames;
	unsigned int rounds;
	double seconds;        /* of each measurement, after a warm-up */
	double patience_s;     /* to wait in all for the cores at their best; 0: in proportion to seconds */
	uint32_t subjects;     /* by place in fwd_subjects; 0: all */
	int cpu_gen, cpu_fwd;
	bool native;           /* DPDK built for this CPU (scripts/dpdk-native.sh) instead of Debian's */
	unsigned int ring;     /* descriptors of a cable's ring; 0: each its best */
	bool server;           /* the forwarder is memif server; by default it is client */
	bool latency;          /* measure it */
	bool check_only;       /* only the pass in which every frame is checked */
	bool testpmd_drives;   /* testpmd's flowgen is the generator, and what counts is the subject's own busy cycles */
	double load;           /* soak: percent of the subject's maximum */
	bool json, progress;
	const char *routes;    /* a list of prefixes, the full table; NULL: `location dump` */
	const char *csv, *svg; /* files to write as well; NULL: none */
	const volatile bool *stop; /* becomes true when the user has enough */
	/*
	 * One request to a control socket (boards/soft/soft.h), its answer for the caller to put.  0 or -errno with err
	 * (FWD_ERR_MAX bytes).
	 */
	int (*ask)(const char *path, const char *request, struct json_object **answer, char *err);
};

/*
 * The place of a subject's name in the table, or -1; and all names, separated by ", ".
 */
int fwd_subject_find(const char *name);
void fwd_subject_names(char *text, size_t size);

/*
 * 0; 1: measured, but frames were lost below saturation, corrupted or reordered; or -errno with err.
 */
int fwd_forward(const struct fwd_request *r, FILE *to, char err[FWD_ERR_MAX]);
/* One subject (the request's only, p2pnic-wr if none) at r->load percent of its maximum for r->seconds. Same returns. */
int fwd_soak(const struct fwd_request *r, FILE *to, char err[FWD_ERR_MAX]);
/* CPU time of an idle `p2pnic run` with two cables over r->seconds. 0 or -errno. */
int fwd_idle(const struct fwd_request *r, FILE *to, char err[FWD_ERR_MAX]);
/* Each copy routine at r->frames, r->rounds samples of r->seconds; the writer on cpu_gen, the copier on cpu_fwd. 0 or -errno. */
int fwd_copy(const struct fwd_request *r, FILE *to, char err[FWD_ERR_MAX]);

#endif
