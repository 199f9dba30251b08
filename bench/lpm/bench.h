/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `p2pnic bench lpm`: the state-jump tables beside DPDK's rte_lpm and rte_fib, in one process, with the same keys.
 *
 * An engine holds the same routes in its own form and looks the same keys up.  Engines take turns, each measured once a
 * round with each kind of key, in an order that every round draws anew.  Before that each engine's result for every
 * key is compared with the longest match in the list of routes: an engine that is wrong ends the measurement.
 */
#ifndef BENCH_LPM_BENCH_H
#define BENCH_LPM_BENCH_H

#include <stdio.h>

#include "lpm/list.h"

#define BENCH_HOPS 32        /* next hops, chosen by origin AS */
#define BENCH_NO_HOP 0u      /* what an engine gives where no route is */
#define BENCH_ENGINES 12
#define BENCH_KEYS_MAX (1u << 20)

enum bench_keys { BENCH_RANDOM, BENCH_TABLE, BENCH_ZIPF, BENCH_KEY_KINDS };

struct bench_lpm_opts {
	const char *routes; /* a file; NULL: `location dump` */
	const char *widths[P2P_NUM_FAMILIES]; /* of tiers, as 16-4-4-8; NULL: the defaults */
	unsigned int rounds;
	double seconds;     /* of one measurement */
	uint32_t burst, updates;
	int core;           /* -1: the first that this process may use */
	bool json, progress;
	bool small_pages;   /* leave tables in 4 KiB pages */
};

/* Routes of one family, each prefix once, and the hop of each, 16 and up. */
struct bench_routes {
	struct lpm_prefix *p;
	uint32_t *hop;
	size_t n, room;
};

/* In the form that each engine takes. */
struct bench_key_set {
	uint32_t *ip4;          /* host order */
	uint32_t (*ip6)[4];     /* host order */
	uint8_t (*bytes)[16];   /* network order */
	uint32_t *want;         /* hop by the list of routes */
};

struct bench_engine {
	const char *name;
	enum p2p_family family;
	void *ctx;
	/* Looks n keys from `at` on up, in bursts; what comes out stays in the engine. */
	void (*run)(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n);
	/* The result of the last run's i-th key. */
	uint32_t (*result)(void *ctx, uint32_t i);
	/* One route; hop BENCH_NO_HOP: delete.  NULL: not measured. */
	int (*change)(void *ctx, const struct lpm_prefix *p, uint32_t hop);
	uint64_t bytes;      /* of memory that lookups may read */
	uint64_t other_bytes;/* of memory that only changes read */
	double load_s;       /* how long it took to put all routes in; NAN: not told */
	double mlps[BENCH_KEY_KINDS][64];
};

/* routes.c: -errno with one line in err.  note: what the table is, for people. */
int bench_routes_load(struct bench_routes r[P2P_NUM_FAMILIES], const char *path, char note[LPM_ERR_MAX],
		      char err[LPM_ERR_MAX]);
void bench_routes_free(struct bench_routes *r);

/* keys.c: BENCH_KEYS_MAX keys of a kind; want is filled from l. */
int bench_keys_make(struct bench_key_set *k, enum bench_keys kind, enum p2p_family f, const struct bench_routes *r,
		    const struct lpm *l, uint64_t seed);
void bench_keys_free(struct bench_key_set *k);
extern const char *const bench_key_names[BENCH_KEY_KINDS];

/* own.c: the state-jump table, in the lookup's form that NICs here use. */
int bench_own_make(struct bench_engine *e, enum p2p_family f, const struct bench_routes *r,
		   const struct bench_lpm_opts *o, char err[LPM_ERR_MAX]);
/* The routes behind it, for keys. */
const struct lpm *bench_own_routes(const struct bench_engine *e);
int bench_own_stats(const struct bench_engine *e, struct lpm_stats *st);
void bench_own_free(struct bench_engine *e);

/*
 * dpdk.c: adds the engines that DPDK has for a family; *n are there so far, of BENCH_ENGINES at most.  0; -ENOSYS:
 * built without DPDK; else -errno with a line in err.
 */
int bench_dpdk_make(struct bench_engine *e, unsigned int *n, enum p2p_family f, const struct bench_routes *r,
		    const struct bench_lpm_opts *o, char err[LPM_ERR_MAX]);
void bench_dpdk_free(void);

/* run.c.  0, or -errno with one line in err. */
int bench_lpm(const struct bench_lpm_opts *o, FILE *out, char err[LPM_ERR_MAX]);

double bench_now_s(void);

#endif
