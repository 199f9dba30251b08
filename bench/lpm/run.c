/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/forward/stats.h"
#include "bench/lpm/bench.h"

#define MOST_ROUNDS 64
#define FLAP_LENGTHS 9

struct updates {
	const char *engine;
	double mean_ns, p50_ns, p99_ns, per_second;
};

struct flap {
	double ns; /* one announcement or withdrawal, median */
	unsigned int n;
};

struct session {
	const struct bench_lpm_opts *o;
	enum p2p_family f;
	const struct bench_routes *r;
	struct bench_engine e[BENCH_ENGINES];
	unsigned int n;
	struct bench_key_set keys[BENCH_KEY_KINDS];
	struct updates up[2];
	unsigned int ups;
	struct flap flap[FLAP_LENGTHS];
	char no_dpdk[LPM_ERR_MAX];
	json_object *rows, *updates, *others, *flaps, *tables;
};

double bench_now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static const char *family_name(enum p2p_family f)
{
	return f == P2P_IP4 ? "ipv4" : "ipv6";
}

static void progress(const struct session *s, const char *what)
{
	if (s->o->progress)
		fprintf(stderr, "%s: %s\n", family_name(s->f), what);
}

/* ---- lookups ---- */

static int check(struct session *s, struct bench_engine *e, enum bench_keys kind, char err[LPM_ERR_MAX])
{
	uint32_t k;

	e->run(e->ctx, &s->keys[kind], 0, BENCH_KEYS_MAX);
	for (k = 0; k < BENCH_KEYS_MAX; k++) {
		if (e->result(e->ctx, k) == s->keys[kind].want[k])
			continue;
		snprintf(err, LPM_ERR_MAX, "%s gives hop %" PRIu32 " for a key whose longest match has %" PRIu32, e->name,
			 e->result(e->ctx, k), s->keys[kind].want[k]);
		return -EBADMSG;
	}
	return 0;
}

/* Whole passes over pieces of the keys until the time is up. */
static double measure(const struct session *s, struct bench_engine *e, enum bench_keys kind)
{
	const uint32_t piece = 1u << 15;
	const double begin = bench_now_s();
	uint64_t done = 0;
	double now;

	do {
		e->run(e->ctx, &s->keys[kind], (uint32_t)(done % BENCH_KEYS_MAX), piece);
		done += piece;
		now = bench_now_s();
	} while (now - begin < s->o->seconds);
	return (double)done / (now - begin) * 1e-6;
}

static void rounds(struct session *s)
{
	unsigned int order[BENCH_ENGINES * BENCH_KEY_KINDS], k, round, n = s->n * BENCH_KEY_KINDS;

	for (round = 0; round < s->o->rounds; round++) {
		fwd_shuffle(order, n, round + 1);
		for (k = 0; k < n; k++) {
			struct bench_engine *e = &s->e[order[k] / BENCH_KEY_KINDS];
			enum bench_keys kind = order[k] % BENCH_KEY_KINDS;

			measure(s, e, kind);
			e->mlps[kind][round] = measure(s, e, kind);
		}
	}
}

/* ---- updates ---- */

struct op {
	uint32_t route, hop; /* BENCH_NO_HOP: withdraw */
};

/*
 * As BGP has it: mostly another path for a route that is there; else a withdrawal, and later its announcement again.
 * Lengths as in the table, but for those up to 8, which are measured apart.  At the end all routes are there.
 */
static uint32_t mix(const struct session *s, struct op *ops, uint32_t n)
{
	uint32_t out[64], outs = 0, k = 0, route, j;
	uint8_t *gone = calloc(s->r->n, 1);
	uint64_t seed = 99, draw;

	while (gone && k + 64 < n) {
		draw = p2p_random(&seed) % 10;
		route = (uint32_t)(p2p_random(&seed) % s->r->n);
		if (outs && (draw < 2 || outs == 64)) {
			j = (uint32_t)(p2p_random(&seed) % outs);
			route = out[j];
			out[j] = out[--outs];
			gone[route] = 0;
			ops[k++] = (struct op){ route, s->r->hop[route] };
			continue;
		}
		if (s->r->p[route].len <= 8 || gone[route])
			continue;
		if (draw < 4) {
			gone[route] = 1;
			out[outs++] = route;
			ops[k++] = (struct op){ route, BENCH_NO_HOP };
		} else {
			ops[k++] = (struct op){ route, P2P_HOP_FREE + (uint32_t)(p2p_random(&seed) % BENCH_HOPS) };
		}
	}
	while (outs) {
		route = out[--outs];
		ops[k++] = (struct op){ route, s->r->hop[route] };
	}
	free(gone);
	return k;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int update(struct session *s, struct bench_engine *e, const struct op *ops, uint32_t n, char err[LPM_ERR_MAX])
{
	struct updates *u = &s->up[s->ups++];
	double *ns = malloc(sizeof(*ns) * n), begin = bench_now_s(), at = begin, now = begin;
	uint32_t k;
	int rc = ns ? 0 : -ENOMEM;

	for (k = 0; k < n && !rc; k++) {
		rc = e->change(e->ctx, &s->r->p[ops[k].route], ops[k].hop);
		now = bench_now_s();
		ns[k] = (now - at) * 1e9;
		at = now;
	}
	if (rc == -ENOSPC && e != &s->e[0]) {
		/* It leaves groups behind that it could free. */
		*u = (struct updates){ e->name, NAN, NAN, NAN, NAN };
		rc = 0;
	} else if (rc) {
		snprintf(err, LPM_ERR_MAX, "%s, change %" PRIu32 ": %s", e->name, k, strerror(-rc));
	} else {
		u->engine = e->name;
		u->per_second = n / (now - begin);
		u->mean_ns = (now - begin) * 1e9 / n;
		qsort(ns, n, sizeof(*ns), by_value);
		u->p50_ns = ns[n / 2];
		u->p99_ns = ns[(uint64_t)n * 99 / 100];
	}
	free(ns);
	return rc;
}

/* Short prefixes come and go: each touches everything that nothing longer covers. */
static int flaps(struct session *s, struct bench_engine *e, char err[LPM_ERR_MAX])
{
	uint64_t seed = 5;
	unsigned int len, k;
	double ns[16];
	int rc = 0;

	for (len = 0; len < FLAP_LENGTHS; len++) {
		for (k = 0; k < P2P_ARRAY_SIZE(ns) && !rc; k += 2) {
			const struct lpm_prefix *like = &s->r->p[p2p_random(&seed) % s->r->n];
			struct lpm_prefix p = { .family = (uint8_t)s->f, .len = (uint8_t)len };
			uint32_t was = BENCH_NO_HOP, hop = P2P_HOP_FREE + k;
			double begin;

			p.addr[0] = (uint8_t)(like->addr[0] & (0xff00 >> len));
			if (lpm_get(bench_own_routes(e), &p, &was))
				was = BENCH_NO_HOP;
			if (was == hop)
				hop++;
			begin = bench_now_s();
			rc = e->change(e->ctx, &p, hop);
			ns[k] = (bench_now_s() - begin) * 1e9;
			begin = bench_now_s();
			if (!rc)
				rc = e->change(e->ctx, &p, was);
			ns[k + 1] = (bench_now_s() - begin) * 1e9;
		}
		if (rc) {
			snprintf(err, LPM_ERR_MAX, "a prefix of length %u: %s", len, strerror(-rc));
			return rc;
		}
		s->flap[len] = (struct flap){ fwd_median(ns, P2P_ARRAY_SIZE(ns)), P2P_ARRAY_SIZE(ns) };
	}
	return 0;
}

static int changes(struct session *s, char err[LPM_ERR_MAX])
{
	struct op *ops = malloc(sizeof(*ops) * (s->o->updates + 128));
	uint32_t n = ops ? mix(s, ops, s->o->updates + 64) : 0;
	unsigned int k;
	int rc = n ? 0 : -ENOMEM;

	for (k = 0; k < s->n && !rc; k++)
		if (s->e[k].change)
			rc = update(s, &s->e[k], ops, n, err);
	if (!rc)
		rc = flaps(s, &s->e[0], err);
	free(ops);
	return rc;
}

/* ---- what comes out ---- */

static void add(json_object *o, const char *key, json_object *v)
{
	json_object_object_add(o, key, v);
}

static json_object *number(double v)
{
	return isnan(v) ? NULL : json_object_new_double(v);
}

static void row_json(struct session *s, const struct bench_engine *e, enum bench_keys kind, const struct fwd_spread *v)
{
	json_object *row = json_object_new_object();

	add(row, "family", json_object_new_string(family_name(s->f)));
	add(row, "engine", json_object_new_string(e->name));
	add(row, "keys", json_object_new_string(bench_key_names[kind]));
	add(row, "mlps_median", number(v->median));
	add(row, "mlps_min", number(v->min));
	add(row, "mlps_max", number(v->max));
	add(row, "bytes", json_object_new_int64((int64_t)e->bytes));
	add(row, "routes", json_object_new_int64((int64_t)s->r->n));
	json_object_array_add(s->rows, row);
}

static void table_json(struct session *s, const struct lpm_stats *st)
{
	json_object *t = json_object_new_object();

	add(t, "family", json_object_new_string(family_name(s->f)));
	add(t, "load_s", number(s->e[0].load_s));
	add(t, "rows", json_object_new_int64((int64_t)st->rows));
	add(t, "links", json_object_new_int64((int64_t)st->links));
	add(t, "host_bytes", json_object_new_int64((int64_t)s->e[0].other_bytes));
	json_object_array_add(s->tables, t);
}

static void update_json(struct session *s, const struct updates *u, bool own)
{
	json_object *o = json_object_new_object();

	add(o, "family", json_object_new_string(family_name(s->f)));
	add(o, "engine", json_object_new_string(u->engine));
	add(o, "mean_ns", number(u->mean_ns));
	add(o, "p50_ns", number(u->p50_ns));
	add(o, "p99_ns", number(u->p99_ns));
	add(o, "per_second", number(u->per_second));
	json_object_array_add(own ? s->updates : s->others, o);
}

static void print_rows(struct session *s, FILE *out)
{
	struct fwd_spread v;
	unsigned int k, kind;

	for (k = 0; k < s->n; k++) {
		const struct bench_engine *e = &s->e[k];

		if (!s->o->json)
			fprintf(out, "%-5s %-30s", family_name(s->f), e->name);
		for (kind = 0; kind < BENCH_KEY_KINDS; kind++) {
			fwd_spread_of(&v, e->mlps[kind], s->o->rounds);
			if (s->o->json)
				row_json(s, e, kind, &v);
			else
				fprintf(out, " %7.1f (%.0f-%.0f)", v.median, v.min, v.max);
		}
		if (!s->o->json)
			fprintf(out, "  %.2f MB\n", (double)e->bytes * 1e-6);
	}
}

/* Beside the best of rte_fib's lookup types. */
static void print_ratios(const struct session *s, FILE *out)
{
	const struct bench_engine *own = &s->e[0];
	double best[BENCH_KEY_KINDS] = { 0 }, bytes = 0, v;
	unsigned int k, kind;

	for (k = 1; k < s->n; k++) {
		if (strncmp(s->e[k].name, "rte_fib", 7))
			continue;
		bytes = (double)s->e[k].bytes;
		for (kind = 0; kind < BENCH_KEY_KINDS; kind++) {
			v = fwd_median(s->e[k].mlps[kind], s->o->rounds);
			best[kind] = v > best[kind] ? v : best[kind];
		}
	}
	if (bytes == 0)
		return;
	fprintf(out, "%-5s state-jump / best rte_fib:", family_name(s->f));
	for (kind = 0; kind < BENCH_KEY_KINDS; kind++)
		fprintf(out, "  %s %.2f", bench_key_names[kind], fwd_median(own->mlps[kind], s->o->rounds) / best[kind]);
	fprintf(out, "  memory 1/%.1f\n", bytes / (double)own->bytes);
}

static void print_changes(struct session *s, FILE *out)
{
	unsigned int k;

	for (k = 0; k < s->ups; k++) {
		const struct updates *u = &s->up[k];

		if (s->o->json)
			update_json(s, u, k == 0);
		else if (isnan(u->mean_ns))
			fprintf(out, "%-5s %-30s changes: ran out of groups, of which it had what the table needs\n",
				family_name(s->f), u->engine);
		else
			fprintf(out, "%-5s %-30s changes: mean %.0f ns, median %.0f, p99 %.0f; %.0f a second\n", family_name(s->f),
				u->engine, u->mean_ns, u->p50_ns, u->p99_ns, u->per_second);
	}
	if (!s->o->json)
		fprintf(out, "%-5s flaps of /0 to /8, us:", family_name(s->f));
	for (k = 0; k < FLAP_LENGTHS; k++) {
		json_object *f;

		if (!s->o->json) {
			fprintf(out, " %.1f", s->flap[k].ns * 1e-3);
			continue;
		}
		f = json_object_new_object();
		add(f, "family", json_object_new_string(family_name(s->f)));
		add(f, "length", json_object_new_int((int)k));
		add(f, "median_ns", number(s->flap[k].ns));
		json_object_array_add(s->flaps, f);
	}
	if (!s->o->json)
		fputc('\n', out);
}

static int print(struct session *s, FILE *out, char err[LPM_ERR_MAX])
{
	struct lpm_stats st;
	int rc = bench_own_stats(&s->e[0], &st);

	if (rc) {
		snprintf(err, LPM_ERR_MAX, "after the changes the table is not what the routes say");
		return rc;
	}
	if (s->o->json)
		table_json(s, &st);
	else
		fprintf(out, "%-5s %zu routes, loaded in %.2f s; %" PRIu64 " rows for %" PRIu64 " links; host memory %.0f MB\n",
			family_name(s->f), s->r->n, s->e[0].load_s, st.rows, st.links, (double)s->e[0].other_bytes * 1e-6);
	print_rows(s, out);
	if (!s->o->json)
		print_ratios(s, out);
	print_changes(s, out);
	if (s->no_dpdk[0] && !s->o->json)
		fprintf(out, "%-5s %s\n", family_name(s->f), s->no_dpdk);
	return 0;
}

/* ---- the whole ---- */

static int family(struct session *s, FILE *out, char err[LPM_ERR_MAX])
{
	unsigned int k, kind;
	int rc;

	progress(s, "making the tables");
	rc = bench_own_make(&s->e[s->n++], s->f, s->r, s->o, err);
	if (rc)
		return rc;
	rc = bench_dpdk_make(s->e, &s->n, s->f, s->r, s->o, s->no_dpdk);
	if (rc && rc != -ENOSYS) {
		memcpy(err, s->no_dpdk, LPM_ERR_MAX);
		return rc;
	}
	if (!rc)
		s->no_dpdk[0] = '\0';
	for (kind = 0; kind < BENCH_KEY_KINDS; kind++) {
		if (bench_keys_make(&s->keys[kind], kind, s->f, s->r, bench_own_routes(&s->e[0]), 1 + kind)) {
			snprintf(err, LPM_ERR_MAX, "out of memory");
			return -ENOMEM;
		}
		for (k = 0; k < s->n; k++) {
			rc = check(s, &s->e[k], kind, err);
			if (rc)
				return rc;
		}
	}
	progress(s, "looking up");
	rounds(s);
	progress(s, "changing routes");
	rc = changes(s, err);
	return rc ? rc : print(s, out, err);
}

static void family_end(struct session *s)
{
	unsigned int kind;

	for (kind = 0; kind < BENCH_KEY_KINDS; kind++)
		bench_keys_free(&s->keys[kind]);
	bench_dpdk_free();
	if (s->n)
		bench_own_free(&s->e[0]);
}

static int pin(struct bench_lpm_opts *o, char err[LPM_ERR_MAX])
{
	cpu_set_t set;
	int k;

	if (o->core < 0) {
		if (sched_getaffinity(0, sizeof(set), &set))
			return -errno;
		for (k = 0; k < CPU_SETSIZE && o->core < 0; k++)
			if (CPU_ISSET(k, &set))
				o->core = k;
	}
	CPU_ZERO(&set);
	CPU_SET((unsigned int)o->core, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 0;
	snprintf(err, LPM_ERR_MAX, "can't run on core %d: %s", o->core, strerror(errno));
	return -errno;
}

int bench_lpm(const struct bench_lpm_opts *opts, FILE *out, char err[LPM_ERR_MAX])
{
	struct bench_routes r[P2P_NUM_FAMILIES] = { { 0 }, { 0 } };
	struct bench_lpm_opts o = *opts;
	json_object *root = json_object_new_object(), *rows = json_object_new_array(), *updates = json_object_new_array(),
		    *others = json_object_new_array(), *flap = json_object_new_array(), *tables = json_object_new_array();
	char note[LPM_ERR_MAX] = "";
	unsigned int f;
	int rc = pin(&o, err);

	o.rounds = o.rounds < MOST_ROUNDS ? o.rounds : MOST_ROUNDS;
	if (!rc)
		rc = bench_routes_load(r, o.routes, note, err);
	if (!rc && !o.json)
		fprintf(out, "table: %s; core %d, bursts of %" PRIu32 ", %u rounds; million lookups per second, median (least-most)"
			     " of keys random, table, zipf; memory that lookups read\n", note, o.core, o.burst, o.rounds);
	for (f = 0; f < P2P_NUM_FAMILIES && !rc; f++) {
		struct session *s = calloc(1, sizeof(*s));

		if (!s || !r[f].n) {
			rc = s ? 0 : -ENOMEM;
			free(s);
			continue;
		}
		s->o = &o;
		s->f = f;
		s->r = &r[f];
		s->rows = rows;
		s->updates = updates;
		s->others = others;
		s->flaps = flap;
		s->tables = tables;
		rc = family(s, out, err);
		family_end(s);
		free(s);
	}
	add(root, "table", json_object_new_string(note));
	add(root, "rows", rows);
	add(root, "updates", updates);
	add(root, "updates_others", others);
	add(root, "flaps", flap);
	add(root, "tables", tables);
	if (!rc && o.json)
		fprintf(out, "%s\n", json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY));
	json_object_put(root);
	for (f = 0; f < P2P_NUM_FAMILIES; f++)
		bench_routes_free(&r[f]);
	return rc;
}
