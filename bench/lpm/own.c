/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own engine: lpm/ compiles, the soft board's firmware looks up. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/lpm/bench.h"
#include "boards/soft/lookup.h"

struct own {
	struct lpm *l;
	struct lpm_table *t;
	void *map;
	size_t map_bytes;
	struct fw_lpm fw;
	const struct soft_lookup *lookup;
	uint32_t burst;
	uint32_t *hop;
};

static void own_run4(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	struct own *o = ctx;
	uint32_t i;

	for (i = 0; i < n; i += o->burst)
		o->lookup->find4(&o->fw, k->ip4 + at + i, n - i < o->burst ? n - i : o->burst, o->hop + i);
}

static void own_run6(void *ctx, const struct bench_key_set *k, uint32_t at, uint32_t n)
{
	struct own *o = ctx;
	uint32_t i;

	for (i = 0; i < n; i += o->burst)
		o->lookup->find6(&o->fw, (const uint32_t(*)[4])k->ip6 + at + i, n - i < o->burst ? n - i : o->burst, o->hop + i);
}

static uint32_t own_result(void *ctx, uint32_t i)
{
	const struct own *o = ctx;

	return o->hop[i] < P2P_HOP_FREE ? BENCH_NO_HOP : o->hop[i];
}

static int own_change(void *ctx, const struct lpm_prefix *p, uint32_t hop)
{
	const struct own *o = ctx;

	return hop == BENCH_NO_HOP ? lpm_del(o->l, p) : lpm_set(o->l, p, hop);
}

static int widths(struct p2p_route_shape *s, enum p2p_family f, const char *text, char err[LPM_ERR_MAX])
{
	unsigned int n = 0;
	const char *at = text;
	char *end;

	do {
		unsigned long w = strtoul(at, &end, 10);

		if (end == at || n == P2P_ROUTE_MAX_TIERS || w > 32 || (*end && *end != '-'))
			break;
		s->stride[f][n++] = (uint8_t)w;
		at = end + 1;
	} while (*end);
	s->tiers[f] = (uint8_t)n;
	if (!*end && n && p2p_route_widths_ok(P2P_FAMILY_BITS(f), s->stride[f], n))
		return 0;
	snprintf(err, LPM_ERR_MAX, "'%.60s' are no widths of tiers for IPv%d: the first 4 to 24, others 2 to 12, together %u",
		 text, f == P2P_IP4 ? 4 : 6, P2P_FAMILY_BITS(f));
	return -EINVAL;
}

/* Zeroed memory at a 2 MiB boundary, in pages of that size unless told not to. */
static void *own_memory(struct own *o, uint64_t bytes, bool small_pages)
{
	const size_t huge = 2u << 20;
	uint8_t *at;

	o->map_bytes = bytes + huge;
	o->map = mmap(NULL, o->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->map == MAP_FAILED) {
		o->map = NULL;
		return NULL;
	}
	at = (uint8_t *)o->map + (huge - (uintptr_t)o->map % huge) % huge;
	madvise(at, bytes, small_pages ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return at;
}

static int own_load(struct own *o, const struct bench_routes *r, char err[LPM_ERR_MAX])
{
	char text[LPM_PREFIX_TEXT];
	size_t k;
	int rc;

	lpm_begin(o->l);
	for (k = 0; k < r->n; k++) {
		rc = lpm_set(o->l, &r->p[k], r->hop[k]);
		if (rc) {
			snprintf(err, LPM_ERR_MAX, "%s: %s", lpm_prefix_format(&r->p[k], text), strerror(-rc));
			return rc;
		}
	}
	lpm_commit(o->l);
	lpm_poll(o->l);
	return 0;
}

int bench_own_make(struct bench_engine *e, enum p2p_family f, const struct bench_routes *r,
		   const struct bench_lpm_opts *opts, char err[LPM_ERR_MAX])
{
	struct own *o = calloc(1, sizeof(*o));
	const struct soft_lookup *s;
	struct p2p_route_shape shape;
	struct lpm_window w;
	struct lpm_stats st;
	unsigned int k;
	double begin;
	void *mem;
	int rc;

	snprintf(err, LPM_ERR_MAX, "out of memory");
	if (!o)
		return -ENOMEM;
	*e = (struct bench_engine){ .name = "state-jump", .family = f, .ctx = o, .run = f == P2P_IP4 ? own_run4 : own_run6,
				    .result = own_result, .change = own_change };
	o->burst = opts->burst;
	lpm_shape_default(&shape);
	shape.hops = 256;
	shape.buckets = 256;
	shape.bytes = 512ull << 20;
	shape.tiers[!f] = 0;
	rc = opts->widths[f] ? widths(&shape, f, opts->widths[f], err) : 0;
	if (rc)
		return rc;
	o->hop = malloc(sizeof(*o->hop) * BENCH_KEYS_MAX);
	mem = own_memory(o, shape.bytes, opts->small_pages);
	if (!o->hop || !mem || lpm_create(&o->l))
		return -ENOMEM;
	lpm_window_memory(&w, mem, shape.bytes);
	rc = lpm_make(o->l, &w, &shape, &o->t);
	if (rc) {
		snprintf(err, LPM_ERR_MAX, "making the area: %s", strerror(-rc));
		return rc;
	}
	begin = bench_now_s();
	rc = own_load(o, r, err);
	if (rc)
		return rc;
	e->load_s = bench_now_s() - begin;
	lpm_table_stats(o->t, &st);
	e->bytes = st.bytes;
	e->other_bytes = st.host_bytes + lpm_host_bytes(o->l);
	for (k = 0; (s = soft_lookup(k)); k++)
		o->lookup = s;
	return o->lookup->open(&o->fw, mem, shape.bytes);
}

const struct lpm *bench_own_routes(const struct bench_engine *e)
{
	return ((const struct own *)e->ctx)->l;
}

int bench_own_stats(const struct bench_engine *e, struct lpm_stats *st)
{
	const struct own *o = e->ctx;
	char err[LPM_ERR_MAX];

	lpm_table_stats(o->t, st);
	return lpm_verify(o->t, err);
}

void bench_own_free(struct bench_engine *e)
{
	struct own *o = e->ctx;

	if (!o)
		return;
	lpm_destroy(o->l);
	if (o->map)
		munmap(o->map, o->map_bytes);
	free(o->hop);
	free(o);
	e->ctx = NULL;
}
