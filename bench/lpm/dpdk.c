/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's engines, by its own functions: rte_lpm and rte_lpm6; rte_fib in the forms dir24_8 and trie, with every
 * lookup type that this CPU can run.  Its memory comes without hugetlbfs, from one anonymous map for which transparent
 * huge pages are asked, as they are for ours.
 *
 * rte_fib holds a table in next hops of 1, 2, 4 or 8 bytes; taken is the least that holds the routes, and of it about
 * as few groups for longer prefixes as do.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_log.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_memory.h>

#include "bench/lpm/bench.h"

#define DPDK_MEMORY_MB "2048"
#define GROUP 256u        /* entries of a tbl8 */

struct dpdk {
	struct rte_lpm *lpm;
	struct rte_lpm6 *lpm6;
	struct rte_fib *fib;
	struct rte_fib6 *fib6;
	int type; /* of lookup */
	uint32_t burst, *hop32;
	uint64_t *hop64;
};

/* One process has one EAL: tables live from the first call of bench_dpdk_make() to bench_dpdk_free(). */
static struct dpdk *made[BENCH_ENGINES];
static unsigned int made_n;
static bool eal_up;

/* ---- lookups ---- */

static void run_lpm(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	const struct dpdk *d = ctx;
	uint32_t i;

	for (i = 0; i < n; i += d->burst)
		rte_lpm_lookup_bulk(d->lpm, k->ip4 + at + i, d->hop32 + i, n - i < d->burst ? n - i : d->burst);
}

static void run_lpm6(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	const struct dpdk *d = ctx;
	uint32_t i;

	for (i = 0; i < n; i += d->burst)
		rte_lpm6_lookup_bulk_func(d->lpm6, k->bytes + at + i, (int32_t *)d->hop32 + i,
					  n - i < d->burst ? n - i : d->burst);
}

static void run_fib(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	const struct dpdk *d = ctx;
	uint32_t i;

	for (i = 0; i < n; i += d->burst)
		rte_fib_lookup_bulk(d->fib, k->ip4 + at + i, d->hop64 + i, (int)(n - i < d->burst ? n - i : d->burst));
}

static void run_fib6(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	const struct dpdk *d = ctx;
	uint32_t i;

	for (i = 0; i < n; i += d->burst)
		rte_fib6_lookup_bulk(d->fib6, k->bytes + at + i, d->hop64 + i, (int)(n - i < d->burst ? n - i : d->burst));
}

static uint32_t result_lpm(void *ctx, uint32_t i)
{
	const struct dpdk *d = ctx;

	return d->hop32[i] & RTE_LPM_LOOKUP_SUCCESS ? d->hop32[i] & 0xffffff : BENCH_NO_HOP;
}

static uint32_t result_lpm6(void *ctx, uint32_t i)
{
	const struct dpdk *d = ctx;

	return (int32_t)d->hop32[i] < 0 ? BENCH_NO_HOP : d->hop32[i];
}

static uint32_t result_fib(void *ctx, uint32_t i)
{
	return (uint32_t)((const struct dpdk *)ctx)->hop64[i];
}

/* ---- tables ---- */

static uint32_t ip4_of(const struct lpm_prefix *p)
{
	return (uint32_t)p->addr[0] << 24 | (uint32_t)p->addr[1] << 16 | (uint32_t)p->addr[2] << 8 | p->addr[3];
}

static int change_fib(void *ctx, const struct lpm_prefix *p, uint32_t hop)
{
	const struct dpdk *d = ctx;

	if (hop == BENCH_NO_HOP)
		return rte_fib_delete(d->fib, ip4_of(p), p->len);
	return rte_fib_add(d->fib, ip4_of(p), p->len, hop);
}

static int change_fib6(void *ctx, const struct lpm_prefix *p, uint32_t hop)
{
	const struct dpdk *d = ctx;

	if (hop == BENCH_NO_HOP)
		return rte_fib6_delete(d->fib6, p->addr, p->len);
	return rte_fib6_add(d->fib6, p->addr, p->len, hop);
}

/* Its first-level entries are public.  Adding a route looks at all of the same length: hours for a full table. */
static int lpm_fill(struct rte_lpm *l, const struct bench_routes *r)
{
	unsigned int len;
	size_t i;
	int rc = 0;

	for (len = 1; len <= 32; len++) {
		for (i = 0; i < r->n && !rc; i++) {
			uint32_t at = ip4_of(&r->p[i]) >> 8, end = at + (1u << (len < 24 ? 24 - len : 0));
			const struct rte_lpm_tbl_entry e = { .next_hop = r->hop[i], .valid = 1, .depth = (uint8_t)len };

			if (r->p[i].len != len)
				continue;
			for (; len <= 24 && at < end; at++)
				l->tbl24[at] = e;
			rc = len > 24 ? rte_lpm_add(l, ip4_of(&r->p[i]), (uint8_t)len, r->hop[i]) : 0;
		}
	}
	return rc;
}

static int fill6(const struct dpdk *d, const struct bench_routes *r)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < r->n && !rc; i++)
		rc = d->lpm6 ? rte_lpm6_add(d->lpm6, r->p[i].addr, r->p[i].len, r->hop[i]) :
			       rte_fib6_add(d->fib6, r->p[i].addr, r->p[i].len, r->hop[i]);
	return rc;
}

static int fill4(const struct dpdk *d, const struct bench_routes *r)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < r->n && !rc; i++)
		rc = rte_fib_add(d->fib, ip4_of(&r->p[i]), r->p[i].len, r->hop[i]);
	return rc;
}

/* A table with so many groups, filled.  -ENOSPC: they are too few. */
static int try_lpm(struct dpdk *d, const struct bench_routes *r, uint32_t groups, int size)
{
	const struct rte_lpm_config c = { .max_rules = (uint32_t)r->n + 1024, .number_tbl8s = groups };

	rte_lpm_free(d->lpm);
	d->lpm = rte_lpm_create("bench", -1, &c);
	return d->lpm ? lpm_fill(d->lpm, r) : -rte_errno;
}

static int try_lpm6(struct dpdk *d, const struct bench_routes *r, uint32_t groups, int size)
{
	const struct rte_lpm6_config c = { .max_rules = (uint32_t)r->n + 1024, .number_tbl8s = groups };

	rte_lpm6_free(d->lpm6);
	d->lpm6 = rte_lpm6_create("bench6", -1, &c);
	return d->lpm6 ? fill6(d, r) : -rte_errno;
}

static int try_fib(struct dpdk *d, const struct bench_routes *r, uint32_t groups, int size)
{
	struct rte_fib_conf c = { .type = RTE_FIB_DIR24_8, .default_nh = BENCH_NO_HOP, .max_routes = (int)r->n + 1024 };

	rte_fib_free(d->fib);
	c.dir24_8.nh_sz = (enum rte_fib_dir24_8_nh_sz)size;
	c.dir24_8.num_tbl8 = groups;
	d->fib = rte_fib_create("bench", -1, &c);
	return d->fib ? fill4(d, r) : -rte_errno;
}

static int try_fib6(struct dpdk *d, const struct bench_routes *r, uint32_t groups, int size)
{
	struct rte_fib6_conf c = { .type = RTE_FIB6_TRIE, .default_nh = BENCH_NO_HOP, .max_routes = (int)r->n + 1024 };

	rte_fib6_free(d->fib6);
	c.trie.nh_sz = (enum rte_fib_trie_nh_sz)size;
	c.trie.num_tbl8 = groups;
	d->fib6 = rte_fib6_create("bench6", -1, &c);
	return d->fib6 ? fill6(d, r) : -rte_errno;
}

typedef int try_fn(struct dpdk *d, const struct bench_routes *r, uint32_t groups, int size);

/* The least number of groups up to `most` that holds the routes, to a tenth; the table is left made with it. */
static int least_groups(try_fn *try, struct dpdk *d, const struct bench_routes *r, uint32_t most, int size,
			uint32_t *groups)
{
	uint32_t low = 0, high = 127, mid;
	int rc;

	while ((rc = try(d, r, high < most ? high : most, size)) == -ENOSPC && high < most) {
		low = high;
		high *= 4;
	}
	high = high < most ? high : most;
	while (!rc && high - low > high / 10 + 1) {
		mid = low + (high - low) / 2;
		rc = try(d, r, mid, size);
		if (!rc)
			high = mid;
		if (rc == -ENOSPC) {
			low = mid;
			rc = 0;
		}
	}
	*groups = high;
	return rc ? rc : try(d, r, high, size);
}

/* The smallest next hops that hold the table; bytes of first level and groups. */
static int least_fib(try_fn *try, struct dpdk *d, const struct bench_routes *r, int first, uint64_t *bytes)
{
	uint32_t groups = 0;
	uint64_t most;
	int size, rc = -ENOSPC;

	for (size = first; rc == -ENOSPC && size <= 3; size++) {
		most = (1ull << (8 * (1u << size) - 1)) - 1;
		rc = least_groups(try, d, r, most < 1u << 21 ? (uint32_t)most : 1u << 21, size, &groups);
		*bytes = ((1ull << 24) + (uint64_t)GROUP * groups) << size;
	}
	return rc;
}

/* ---- engines ---- */

static int eal_start(const struct bench_lpm_opts *o, char err[LPM_ERR_MAX])
{
	char core[16], name[] = "p2pnic", no_huge[] = "--no-huge", m[] = "-m", mb[] = DPDK_MEMORY_MB, no_pci[] = "--no-pci",
	     tele[] = "--no-telemetry", l[] = "-l", conf[] = "--no-shconf", simd[] = "--force-max-simd-bitwidth=512";
	char *args[] = { name, no_huge, m, mb, no_pci, tele, l, core, conf, simd };
	FILE *quiet = fopen("/dev/null", "we");

	if (eal_up)
		return 0;
	if (quiet)
		rte_openlog_stream(quiet);
	rte_log_set_global_level(RTE_LOG_CRIT);
	snprintf(core, sizeof(core), "%d", o->core);
	if (rte_eal_init(sizeof(args) / sizeof(args[0]), args) < 0) {
		snprintf(err, LPM_ERR_MAX, "DPDK does not start: %s", rte_strerror(rte_errno));
		return rte_errno ? -rte_errno : -EIO;
	}
	eal_up = true;
	return 0;
}

static int huge(const struct rte_memseg_list *m, void *arg)
{
	madvise(m->base_va, m->len, *(const bool *)arg ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return 0;
}

static struct dpdk *dpdk_new(const struct bench_lpm_opts *o)
{
	struct dpdk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	made[made_n++] = d;
	d->burst = o->burst;
	d->hop32 = malloc(sizeof(*d->hop32) * BENCH_KEYS_MAX);
	d->hop64 = malloc(sizeof(*d->hop64) * BENCH_KEYS_MAX);
	return d->hop32 && d->hop64 ? d : NULL;
}

/* The rte_fib of `first` with another lookup type. */
struct lookup_type {
	const char *name;
	int type;
};

static int fib_select(struct dpdk *d)
{
	return d->fib ? rte_fib_select_lookup(d->fib, (enum rte_fib_lookup_type)d->type) :
			rte_fib6_select_lookup(d->fib6, (enum rte_fib6_lookup_type)d->type);
}

static void run_fib_typed(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	struct dpdk *d = ctx;

	fib_select(d);
	if (d->fib)
		run_fib(d, k, at, n);
	else
		run_fib6(d, k, at, n);
}

static int fib_types(struct bench_engine *e, unsigned int *n, const struct dpdk *table, const struct bench_engine *like,
		     const struct bench_lpm_opts *o)
{
	static const struct lookup_type types4[] = {
		{ "rte_fib-dir24_8-scalar-macro", RTE_FIB_LOOKUP_DIR24_8_SCALAR_MACRO },
		{ "rte_fib-dir24_8-scalar-inline", RTE_FIB_LOOKUP_DIR24_8_SCALAR_INLINE },
		{ "rte_fib-dir24_8-scalar-uni", RTE_FIB_LOOKUP_DIR24_8_SCALAR_UNI },
		{ "rte_fib-dir24_8-vector-avx512", RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512 },
	};
	static const struct lookup_type types6[] = {
		{ "rte_fib-trie-scalar", RTE_FIB6_LOOKUP_TRIE_SCALAR },
		{ "rte_fib-trie-vector-avx512", RTE_FIB6_LOOKUP_TRIE_VECTOR_AVX512 },
	};
	const struct lookup_type *t = table->fib ? types4 : types6;
	unsigned int k, types = table->fib ? P2P_ARRAY_SIZE(types4) : P2P_ARRAY_SIZE(types6);
	struct dpdk *d;

	for (k = 0; k < types; k++) {
		d = dpdk_new(o);
		if (!d)
			return -ENOMEM;
		d->fib = table->fib;
		d->fib6 = table->fib6;
		d->type = t[k].type;
		if (fib_select(d))
			continue; /* not on this CPU */
		e[*n] = *like;
		e[*n].name = t[k].name;
		e[*n].ctx = d;
		e[*n].change = k ? NULL : like->change;
		(*n)++;
	}
	return 0;
}

static int make_fib(struct bench_engine *e, unsigned int *n, enum p2p_family f, const struct bench_routes *r,
		    const struct bench_lpm_opts *o)
{
	struct bench_engine like = { .family = f, .run = run_fib_typed, .result = result_fib, .load_s = NAN,
				     .change = f == P2P_IP4 ? change_fib : change_fib6 };
	struct dpdk *d = dpdk_new(o);
	int rc;

	if (!d)
		return -ENOMEM;
	rc = f == P2P_IP4 ? least_fib(try_fib, d, r, RTE_FIB_DIR24_8_1B, &like.bytes) :
			    least_fib(try_fib6, d, r, RTE_FIB6_TRIE_2B, &like.bytes);
	return rc ? rc : fib_types(e, n, d, &like, o);
}

static int make_lpm(struct bench_engine *e, unsigned int *n, enum p2p_family f, const struct bench_routes *r,
		    const struct bench_lpm_opts *o)
{
	struct dpdk *d = dpdk_new(o);
	uint32_t groups = 0;
	int rc;

	if (!d)
		return -ENOMEM;
	rc = least_groups(f == P2P_IP4 ? try_lpm : try_lpm6, d, r, 1u << 21, 0, &groups);
	if (rc)
		return rc;
	e[(*n)++] = (struct bench_engine){ .name = f == P2P_IP4 ? "rte_lpm" : "rte_lpm6", .family = f, .ctx = d,
					   .bytes = 4 * ((1ull << 24) + (uint64_t)GROUP * groups),
					   .run = f == P2P_IP4 ? run_lpm : run_lpm6, .load_s = NAN,
					   .result = f == P2P_IP4 ? result_lpm : result_lpm6 };
	return 0;
}

int bench_dpdk_make(struct bench_engine *e, unsigned int *n, enum p2p_family f, const struct bench_routes *r,
		    const struct bench_lpm_opts *o, char err[LPM_ERR_MAX])
{
	int rc = eal_start(o, err);

	if (rc)
		return rc;
	rte_memseg_list_walk(huge, (void *)(uintptr_t)&o->small_pages);
	rc = make_lpm(e, n, f, r, o);
	if (!rc)
		rc = make_fib(e, n, f, r, o);
	if (rc)
		snprintf(err, LPM_ERR_MAX, "DPDK's tables for IPv%d: %s", f == P2P_IP4 ? 4 : 6, strerror(-rc));
	return rc;
}

void bench_dpdk_free(void)
{
	unsigned int k;

	for (k = 0; k < made_n; k++) {
		if (made[k]->lpm)
			rte_lpm_free(made[k]->lpm);
		if (made[k]->lpm6)
			rte_lpm6_free(made[k]->lpm6);
		/* The first of those that share a table. */
		if (!made[k]->type && made[k]->fib)
			rte_fib_free(made[k]->fib);
		if (!made[k]->type && made[k]->fib6)
			rte_fib6_free(made[k]->fib6);
		free(made[k]->hop32);
		free(made[k]->hop64);
		free(made[k]);
	}
	made_n = 0;
}
