/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the random tests share: a case is a function of a mesh configuration and
 * a seed; the first failure of a case is printed with what reproduces it.
 *
 * usage of every test: TEST [--long] [--seed N] [--case NAME] [--mode wr|rd|bn]
 */
#ifndef TESTS_CONFORMANCE_BENCH_H
#define TESTS_CONFORMANCE_BENCH_H

#include "mesh.h"

struct bench {
	bool deep;           /* --long */
	uint64_t seed;       /* --seed; 0: the test's own range */
	const char *only;    /* --case */
	const char *mode;    /* --mode */
	unsigned int runs, fails;
	unsigned int deaths, leaves; /* of test_crash */
};

/* 0, or 2 for bad usage. */
int bench_init(struct bench *b, int argc, char **argv);
bool bench_wants(const struct bench *b, const char *name);
bool bench_wants_mode(const struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode);
/* Seeds from 1 to n, or the one asked for. */
uint64_t bench_first_seed(const struct bench *b);
uint64_t bench_last_seed(const struct bench *b, uint64_t n);
/* Of a usual run's n so many: all, or a third where AddressSanitizer makes each three to five times as long. */
unsigned int bench_share(unsigned int n);
/* Ends one run: prints the mesh's failure, if any, and destroys it. */
void bench_end(struct bench *b, const char *name, struct mesh *m);
int bench_exit(const struct bench *b);

/* As for scripts: no frame held, books exact, no faults. */
void bench_check_books(struct mesh *m);
/*
 * Lets all come to rest, without faults by now: all is delivered or counted, and nothing held.  What was outstanding when a
 * peer was given up is counted as lost with it, though some of it may have been sent (include/p2pnic/counters.h): that much more
 * may be counted.  `when` ends the sentence of a failure.
 */
void bench_drained(struct mesh *m, const char *when);
/* The names of modes. */
const char *bench_mode(enum p2p_mode mode);

#endif
