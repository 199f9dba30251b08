/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes and tables against a list looked through: random and adversarial routes, in several shapes of table. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "area.h"
#include "boards/soft/lookup.h"
#include "lpm/list.h"
#include "oracle.h"

#define AREA_BYTES (16u << 20)

struct world {
	struct area a;
	struct lpm *l;
	struct lpm_table *t;
	struct oracle_list o;
	uint64_t seed;
	unsigned int lookups;
};

static void world_open(struct world *w, const char *ip4, const char *ip6, uint64_t seed)
{
	struct p2p_route_shape s;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	area_init(&w->a, AREA_BYTES);
	lpm_shape_default(&s);
	s.bytes = AREA_BYTES;
	s.hops = 1024;
	if (ip4)
		area_stride(&s, P2P_IP4, ip4);
	if (ip6)
		area_stride(&s, P2P_IP6, ip6);
	assert_int_equal(lpm_create(&w->l), 0);
	assert_int_equal(lpm_make(w->l, &w->a.plain, &s, &w->t), 0);
}

static void world_close(struct world *w)
{
	lpm_destroy(w->l);
	area_free(&w->a);
	free(w->o.r);
}

static void world_verify(struct world *w)
{
	char err[LPM_ERR_MAX] = "";

	if (lpm_verify(w->t, err))
		fail_msg("%s", err);
}

static void world_set(struct world *w, const struct lpm_prefix *p, uint32_t hop)
{
	assert_int_equal(lpm_set(w->l, p, hop), 0);
	oracle_list_set(&w->o, p, hop);
}

static void world_del(struct world *w, const struct lpm_prefix *p)
{
	struct lpm_prefix gone = *p;

	assert_int_equal(lpm_del(w->l, &gone), 0);
	oracle_list_del(&w->o, &gone);
}

/* Through the area's default word, as the firmware would go. */
static uint32_t resolve(const struct world *w, uint32_t hop)
{
	const struct p2p_route_head *h = w->a.mem;
	const le32 *words = (const le32 *)((uint8_t *)w->a.mem + from_le32(h->hops_at));

	if (hop != P2P_HOP_DEFAULT4 && hop != P2P_HOP_DEFAULT6)
		return hop;
	assert_int_equal(P2P_HOP_FORM(from_le32(words[hop])), P2P_HOP_ALIAS);
	return P2P_HOP_NUMBER(from_le32(words[hop]));
}

#define PROBES 64
struct probes {
	uint8_t addr[PROBES][16];
	uint32_t words[PROBES][4], ip4[PROBES];
	unsigned int n;
};

static void probes_judge(struct world *w, struct probes *pr, enum p2p_family f)
{
	const struct soft_lookup *s;
	uint32_t hop[PROBES + 8], want, got;
	struct fw_lpm t;
	unsigned int k, form;

	for (form = 0; (s = soft_lookup(form)); form++) {
		assert_int_equal(s->open(&t, w->a.mem, w->a.bytes), 0);
		memset(hop, 0x55, sizeof(hop));
		if (f == P2P_IP4)
			s->find4(&t, pr->ip4, pr->n, hop);
		else
			s->find6(&t, (const uint32_t(*)[4])pr->words, pr->n, hop);
		assert_int_equal(hop[pr->n], 0x55555555);
		for (k = 0; k < pr->n; k++) {
			want = oracle_list_find(&w->o, f, pr->addr[k]);
			if (want == ORACLE_NONE)
				want = P2P_HOP_NO_ROUTE;
			if (resolve(w, hop[k]) != want)
				fail_msg("%s: IPv%d %02x%02x%02x%02x...: hop %u, not %u", s->name, f == P2P_IP4 ? 4 : 6,
					 pr->addr[k][0], pr->addr[k][1], pr->addr[k][2], pr->addr[k][3], resolve(w, hop[k]), want);
			if (form)
				continue;
			assert_int_equal(lpm_table_find(w->t, f, pr->addr[k], &got), 0);
			assert_int_equal(resolve(w, got), want);
			if (lpm_find(w->l, f, pr->addr[k], &got, NULL))
				got = P2P_HOP_NO_ROUTE;
			assert_int_equal(got, want);
		}
		w->lookups += pr->n;
	}
	pr->n = 0;
}

static void probe(struct world *w, struct probes *pr, enum p2p_family f, const uint8_t *addr)
{
	memcpy(pr->addr[pr->n], addr, 16);
	oracle_words(addr, pr->words[pr->n]);
	pr->ip4[pr->n] = pr->words[pr->n][0];
	if (++pr->n == PROBES)
		probes_judge(w, pr, f);
}

/* One up or down, over the whole width. */
static void step(uint8_t *addr, unsigned int bytes, int by)
{
	unsigned int k = bytes;

	while (k--) {
		addr[k] = (uint8_t)(addr[k] + by);
		if (addr[k] != (by > 0 ? 0 : 0xff))
			return;
	}
}

/* The first and last address of every route, those beside it, and random ones. */
static void world_probe(struct world *w, enum p2p_family f)
{
	const unsigned int bytes = P2P_FAMILY_BITS(f) / 8;
	struct probes pr = { .n = 0 };
	uint8_t addr[16];
	unsigned int b;
	size_t k;

	for (k = 0; k < w->o.n; k++) {
		const struct lpm_prefix *p = &w->o.r[k].p;

		if (p->family != f)
			continue;
		memcpy(addr, p->addr, 16);
		probe(w, &pr, f, addr);
		step(addr, bytes, -1);
		probe(w, &pr, f, addr);
		memcpy(addr, p->addr, 16);
		for (b = p->len; b < 8 * bytes; b++)
			addr[b / 8] |= (uint8_t)(0x80 >> b % 8);
		probe(w, &pr, f, addr);
		step(addr, bytes, 1);
		probe(w, &pr, f, addr);
	}
	for (k = 0; k < 100; k++) {
		struct lpm_prefix p = oracle_prefix(&w->seed, f, 8 * bytes);

		probe(w, &pr, f, p.addr);
	}
	probes_judge(w, &pr, f);
}

static const char *const shapes4[] = { "16-4-4-8", "16-3-3-2-4-4", "12-6-6-8", "4-4", "20-2", "8-12-12" };
static const char *const shapes6[] = { "16-4", "16-8", "13-11-8-12-12-4", "4-4", "12-12-12-12-12-12-12-12-12-12-8",
				       "18-6-2-6" };

/* Few bits differ, so that routes lie within and beside each other. */
static struct lpm_prefix close_prefix(uint64_t *seed, enum p2p_family f)
{
	const unsigned int bits = P2P_FAMILY_BITS(f);
	struct lpm_prefix p = oracle_prefix(seed, f, (unsigned int)(p2p_random(seed) % (bits + 1)));
	unsigned int k;

	for (k = 0; k < bits / 8; k++)
		p.addr[k] &= p2p_random(seed) % 3 ? 0x11 : 0x80;
	return p;
}

static void churn(struct world *w, enum p2p_family f, unsigned int changes)
{
	struct lpm_prefix p;
	unsigned int k;

	for (k = 0; k < changes; k++) {
		if (w->o.n > 40 && p2p_random(&w->seed) % 5 < 2) {
			world_del(w, &w->o.r[p2p_random(&w->seed) % w->o.n].p);
		} else {
			p = p2p_random(&w->seed) % 3 ? close_prefix(&w->seed, f) :
						       oracle_prefix(&w->seed, f, (unsigned int)(p2p_random(&w->seed) % 25));
			world_set(w, &p, P2P_HOP_FREE + (uint32_t)(p2p_random(&w->seed) % 5));
		}
	}
}

static void random_tables(void **state)
{
	struct world w;
	unsigned int k, round;
	enum p2p_family f;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes4); k++) {
		for (f = P2P_IP4; f <= P2P_IP6; f++) {
			world_open(&w, shapes4[k], shapes6[k], 1000 + k);
			for (round = 0; round < 4; round++) {
				churn(&w, f, 60);
				world_probe(&w, f);
				world_verify(&w);
			}
			assert_int_equal(lpm_count(w.l, f), w.o.n);
			assert_int_equal(lpm_count(w.l, f == P2P_IP4 ? P2P_IP6 : P2P_IP4), 0);
			while (w.o.n)
				world_del(&w, &w.o.r[w.o.n / 2].p);
			world_probe(&w, f);
			world_verify(&w);
			world_close(&w);
		}
	}
}

/* One within the other, each one bit longer, put in from both ends and taken out in a random order. */
static void nested(void **state)
{
	struct world w;
	unsigned int len, k, bits;
	enum p2p_family f;
	struct lpm_stats st;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes4); k++) {
		for (f = P2P_IP4; f <= P2P_IP6; f++) {
			struct lpm_prefix whole;

			bits = P2P_FAMILY_BITS(f);
			world_open(&w, shapes4[k], shapes6[k], 7);
			whole = oracle_prefix(&w.seed, f, bits);
			for (len = 0; len <= bits; len++) {
				struct lpm_prefix p = { .family = (uint8_t)f, .len = (uint8_t)(len & 1 ? bits - len / 2 : len / 2) };

				memcpy(p.addr, whole.addr, p.len / 8u);
				if (p.len % 8)
					p.addr[p.len / 8] = (uint8_t)(whole.addr[p.len / 8] & 0xff00 >> p.len % 8);
				world_set(&w, &p, P2P_HOP_FREE + p.len);
			}
			world_probe(&w, f);
			world_verify(&w);
			while (w.o.n) {
				world_del(&w, &w.o.r[p2p_random(&w.seed) % w.o.n].p);
				if (w.o.n % 16 == 0)
					world_probe(&w, f);
			}
			world_verify(&w);
			while (lpm_poll(w.l))
				;
			lpm_table_stats(w.t, &st);
			assert_int_equal(st.rows, 0);
			assert_int_equal(st.links, 0);
			assert_int_equal(st.waiting, 0);
			world_close(&w);
		}
	}
}

/* Side by side they fill a region: with one hop throughout it is one leaf again. */
static void adjacent(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 30, .addr = { 10, 1, 2, 0 } };
	struct lpm_stats st;
	struct world w;
	unsigned int k;

	world_open(&w, "16-4-4-8", NULL, 3);
	for (k = 0; k < 64; k++) {
		p.addr[3] = (uint8_t)(4 * k);
		world_set(&w, &p, P2P_HOP_FREE + (k & 1));
	}
	world_probe(&w, P2P_IP4);
	world_verify(&w);
	for (k = 0; k < 64; k++) {
		p.addr[3] = (uint8_t)(4 * k);
		world_set(&w, &p, P2P_HOP_FREE);
	}
	world_probe(&w, P2P_IP4);
	world_verify(&w);
	/* 10.1.2/24 is one leaf of the row of 16 that has it, in one of 16. */
	lpm_table_stats(w.t, &st);
	assert_int_equal(st.rows, 2);
	world_close(&w);
}

static void default_only(void **state)
{
	const struct lpm_prefix p4 = { .family = P2P_IP4 }, p6 = { .family = P2P_IP6 };
	struct lpm_stats before, after;
	struct world w;
	uint32_t hop;

	world_open(&w, NULL, NULL, 4);
	world_probe(&w, P2P_IP4);
	world_set(&w, &p4, 20);
	world_set(&w, &p6, 21);
	world_probe(&w, P2P_IP4);
	world_probe(&w, P2P_IP6);
	lpm_table_stats(w.t, &before);
	world_set(&w, &p4, 22);
	lpm_table_stats(w.t, &after);
	assert_int_equal(after.stores - before.stores, 2); /* how often it has changed, and the word */
	assert_int_equal(after.written_bytes, before.written_bytes);
	world_probe(&w, P2P_IP4);
	assert_int_equal(lpm_get(w.l, &p4, &hop), 0);
	assert_int_equal(hop, 22);
	world_del(&w, &p4);
	assert_int_equal(lpm_get(w.l, &p4, &hop), -ENOENT);
	assert_int_equal(lpm_del(w.l, &p4), -ENOENT);
	world_probe(&w, P2P_IP4);
	world_probe(&w, P2P_IP6);
	world_verify(&w);
	world_close(&w);
}

/* Rows with equal contents are one, and one update writes no more than its path. */
static void sharing(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24 };
	struct lpm_stats st, after;
	struct world w;
	unsigned int k, j;

	world_open(&w, "16-4-4-8", NULL, 5);
	for (k = 0; k < 100; k++) {
		for (j = 0; j < 4; j++) {
			memcpy(p.addr, (uint8_t[4]){ 20, (uint8_t)k, (uint8_t)(64 * j), 0 }, 4);
			world_set(&w, &p, P2P_HOP_FREE + j);
		}
	}
	lpm_table_stats(w.t, &st);
	assert_int_equal(st.rows, 1 + 4);
	assert_int_equal(st.links, 100 + 4);
	memcpy(p.addr, (uint8_t[4]){ 20, 7, 64, 0 }, 4);
	world_set(&w, &p, 99);
	lpm_table_stats(w.t, &after);
	assert_int_equal(after.rows, st.rows + 2);
	assert_int_equal(after.written_bytes - st.written_bytes, 2 * 64);
	assert_int_equal(after.stores - st.stores, 1);
	world_probe(&w, P2P_IP4);
	world_verify(&w);
	world_close(&w);
}

/* A batch shows nothing before its commit; the same routes put in once more store nothing. */
static void batches(void **state)
{
	const struct lpm_prefix all = { .family = P2P_IP4 };
	struct lpm_stats before, after;
	struct world w;
	struct oracle_list was;
	size_t k;

	world_open(&w, NULL, NULL, 6);
	churn(&w, P2P_IP4, 300);
	world_set(&w, &all, 17);
	was = w.o;
	w.o.r = malloc(was.room * sizeof(*was.r));
	memcpy(w.o.r, was.r, was.n * sizeof(*was.r));
	lpm_table_stats(w.t, &before);
	lpm_begin(w.l);
	churn(&w, P2P_IP4, 300);
	world_set(&w, &all, 18);
	lpm_table_stats(w.t, &after);
	assert_int_equal(after.stores, before.stores);
	for (k = 0; k < was.n; k++) {
		uint32_t hop;

		assert_int_equal(lpm_table_find(w.t, P2P_IP4, was.r[k].p.addr, &hop), 0);
		assert_int_equal(resolve(&w, hop), oracle_list_find(&was, P2P_IP4, was.r[k].p.addr));
	}
	lpm_commit(w.l);
	world_probe(&w, P2P_IP4);
	world_verify(&w);
	lpm_table_stats(w.t, &before);
	lpm_begin(w.l);
	for (k = 0; k < w.o.n; k++)
		assert_int_equal(lpm_set(w.l, &w.o.r[k].p, 100), 0);
	for (k = 0; k < w.o.n; k++)
		assert_int_equal(lpm_set(w.l, &w.o.r[k].p, w.o.r[k].hop), 0);
	lpm_commit(w.l);
	lpm_table_stats(w.t, &after);
	assert_int_equal(after.stores, before.stores);
	world_probe(&w, P2P_IP4);
	free(was.r);
	world_verify(&w);
	world_close(&w);
}

static void refused(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10, 0, 0, 1 } };
	struct world w;
	uint32_t hop;

	world_open(&w, NULL, NULL, 8);
	assert_int_equal(lpm_set(w.l, &p, 20), -EINVAL);
	p.addr[3] = 0;
	assert_int_equal(lpm_set(w.l, &p, 5000), -EINVAL);
	assert_int_equal(lpm_set(w.l, &p, P2P_HOP_DEFAULT4), -EINVAL);
	assert_int_equal(lpm_get(w.l, &p, &hop), -ENOENT);
	assert_int_equal(lpm_del(w.l, &p), -ENOENT);
	assert_int_equal(lpm_add(w.l, &p, 20), 0);
	assert_int_equal(lpm_add(w.l, &p, 21), -EEXIST);
	p.len = 33;
	assert_int_equal(lpm_set(w.l, &p, 20), -EINVAL);
	p.family = 2;
	assert_int_equal(lpm_set(w.l, &p, 20), -EINVAL);
	p = (struct lpm_prefix){ .family = P2P_IP6, .len = 64, .addr = { 0x20, [15] = 1 } };
	assert_int_equal(lpm_set(w.l, &p, 20), -EINVAL);
	world_close(&w);
}

struct ordered {
	struct oracle_list *o;
	struct lpm_prefix last;
	size_t n;
};

static int in_order(void *arg, const struct lpm_prefix *p, uint32_t hop)
{
	struct ordered *w = arg;
	int c = memcmp(w->last.addr, p->addr, 16);

	assert_true(!w->n || c < 0 || (c == 0 && w->last.len < p->len));
	assert_int_equal(oracle_list_find(w->o, p->family, p->addr) != ORACLE_NONE, 1);
	w->last = *p;
	w->n++;
	return 0;
}

static void walk_and_sweep(void **state)
{
	struct ordered o;
	struct world w;
	size_t k, kept = 0;

	world_open(&w, NULL, NULL, 9);
	churn(&w, P2P_IP6, 300);
	o = (struct ordered){ .o = &w.o };
	assert_int_equal(lpm_walk(w.l, P2P_IP6, in_order, &o), 0);
	assert_int_equal(o.n, w.o.n);
	lpm_unmark(w.l);
	for (k = 0; k < w.o.n; k += 2, kept++)
		assert_int_equal(lpm_set(w.l, &w.o.r[k].p, w.o.r[k].hop), 0);
	assert_int_equal(lpm_sweep(w.l), w.o.n - kept);
	for (k = 0; k < kept; k++)
		w.o.r[k] = w.o.r[2 * k];
	w.o.n = kept;
	world_probe(&w, P2P_IP6);
	world_verify(&w);
	world_close(&w);
}

static void prefixes(void **state)
{
	static const struct { const char *text; int rc; const char *back; } cases[] = {
		{ "0.0.0.0/0", 0, NULL }, { "192.0.2.0/24", 0, NULL }, { "192.0.2.1", 0, "192.0.2.1/32" }, { "::/0", 0, NULL },
		{ "2001:db8::/32", 0, NULL }, { "2001:db8:0:0::1/128", 0, "2001:db8::1/128" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
		{ "192.0.2.1/24", -EDOM, NULL }, { "2001:db8::1/32", -EDOM, NULL }, { "192.0.2.0/33", -EINVAL, NULL },
		{ "::/129", -EINVAL, NULL }, { "192.0.2/24", -EINVAL, NULL }, { "192.0.2.0/", -EINVAL, NULL },
		{ "192.0.2.0/-1", -EINVAL, NULL }, { "192.0.2.0/ 8", -EINVAL, NULL }, { "", -EINVAL, NULL },
		{ "/8", -EINVAL, NULL }, { "192.0.2.0/24x", -EINVAL, NULL }, { "host", -EINVAL, NULL },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/8", -EINVAL, NULL },
		{ "192.0.2.0/4294967320", -EINVAL, NULL },
	};
	char text[LPM_PREFIX_TEXT];
	struct lpm_prefix p;
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(cases); k++) {
		int rc = lpm_prefix_parse(cases[k].text, &p);

		if (rc != cases[k].rc)
			fail_msg("'%s': %d, not %d", cases[k].text, rc, cases[k].rc);
		if (!rc)
			assert_string_equal(lpm_prefix_format(&p, text), cases[k].back ? cases[k].back : cases[k].text);
	}
}

static int join(void *arg, const struct lpm_list_line *l)
{
	char text[LPM_PREFIX_TEXT], *out = arg;

	sprintf(out + strlen(out), "%u:%s:%u:%s;", l->line, lpm_prefix_format(&l->prefix, text), l->as, l->rest);
	return 0;
}

static int list_read(const char *text, enum lpm_list_format format, char *out, char err[LPM_ERR_MAX])
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	int rc;

	*out = *err = '\0';
	assert_non_null(f);
	rc = lpm_list_read(f, format, join, out, err);
	fclose(f);
	return rc;
}

static void lists(void **state)
{
	static const char plain[] = "# a list\n\n10.0.0.0/8 via 3 \n \t2001:db8::/32\t# here\r\n192.0.2.1";
	static const char location[] = "# Database\n\naut-num:  AS1\nname: LVLT\n\n"
				       "net:   1.0.0.0/24\ncountry: AU\naut-num: 13335\n\nnet: 1.0.1.0/24\n"
				       "country: CN\n\nnet: 2001:db8::/32\naut-num: AS64496";
	char out[1000], err[LPM_ERR_MAX];

	assert_int_equal(list_read(plain, LPM_LIST_PLAIN, out, err), 0);
	assert_string_equal(out, "3:10.0.0.0/8:0:via 3 ;4:2001:db8::/32:0:;5:192.0.2.1/32:0:;");
	assert_int_equal(list_read(location, LPM_LIST_LOCATION, out, err), 0);
	assert_string_equal(out, "6:1.0.0.0/24:13335:;10:1.0.1.0/24:0:;13:2001:db8::/32:64496:;");
	assert_int_equal(lpm_list_guess(plain, sizeof(plain) - 1), LPM_LIST_PLAIN);
	assert_int_equal(lpm_list_guess(location, sizeof(location) - 1), LPM_LIST_LOCATION);
	assert_int_equal(list_read("10.0.0.0/8\n10.1.0.1/16\n", LPM_LIST_PLAIN, out, err), -EINVAL);
	assert_non_null(strstr(err, "line 2: '10.1.0.1/16' has bits set"));
	assert_int_equal(list_read("net: 10.0.0/8\n", LPM_LIST_LOCATION, out, err), -EINVAL);
	assert_non_null(strstr(err, "line 1: '10.0.0/8' is no prefix"));
	assert_int_equal(list_read("net: 10.0.0.0/8\naut-num: ASX\n", LPM_LIST_LOCATION, out, err), -EINVAL);
	assert_non_null(strstr(err, "line 2: 'X' is no AS number"));
}

/* Whatever the words of a table are, the lookup stays in the array and ends. */
static void damaged(void **state)
{
	const struct p2p_route_head *h;
	const struct soft_lookup *s;
	struct fw_lpm t;
	struct world w;
	uint32_t addr[40], words[40][4], hop[40];
	unsigned int form, k, round;
	uint32_t *nodes;

	world_open(&w, "16-4-4-8", "16-4", 10);
	h = w.a.mem;
	nodes = (uint32_t *)(void *)((uint8_t *)w.a.mem + from_le64(h->nodes_at));
	for (round = 0; round < 20; round++) {
		for (k = 0; k < from_le32(h->nodes) + P2P_ROUTE_ROW_MAX; k += 1 + round)
			nodes[k] = round ? (uint32_t)p2p_random(&w.seed) | P2P_NODE_JUMP : UINT32_MAX;
		for (form = 0; (s = soft_lookup(form)); form++) {
			assert_int_equal(s->open(&t, w.a.mem, w.a.bytes), 0);
			for (k = 0; k < 40; k++) {
				addr[k] = round ? (uint32_t)p2p_random(&w.seed) : UINT32_MAX;
				words[k][0] = words[k][1] = words[k][2] = words[k][3] = addr[k];
			}
			s->find4(&t, addr, 40, hop);
			for (k = 0; k < 40; k++)
				assert_false(hop[k] & P2P_NODE_JUMP);
			s->find6(&t, (const uint32_t(*)[4])words, 40, hop);
			for (k = 0; k < 40; k++)
				assert_false(hop[k] & P2P_NODE_JUMP);
		}
	}
	for (form = 0; (s = soft_lookup(form)); form++) {
		assert_int_equal(s->open(&t, w.a.mem, w.a.bytes - 4096), -EINVAL);
		assert_int_equal(s->open(&t, w.a.mem, 100), -EINVAL);
	}
	((struct p2p_route_head *)w.a.mem)->stride[0][1]++;
	assert_int_equal(soft_lookup(0)->open(&t, w.a.mem, w.a.bytes), -EINVAL);
	world_close(&w);
}

/* The trees that test_lpm_live trusts. */
static void trees(void **state)
{
	struct oracle_tree t[2];
	struct oracle_list l = { 0 };
	struct lpm_prefix p;
	uint64_t seed = 11;
	enum p2p_family f;
	unsigned int k;

	oracle_tree_init(&t[0]);
	oracle_tree_init(&t[1]);
	for (k = 0; k < 2000; k++) {
		f = k & 1 ? P2P_IP6 : P2P_IP4;
		p = close_prefix(&seed, f);
		if (p2p_random(&seed) % 3) {
			oracle_tree_set(&t[f], &p, k);
			oracle_list_set(&l, &p, k);
		} else {
			oracle_tree_set(&t[f], &p, ORACLE_NONE);
			oracle_list_del(&l, &p);
		}
		p = close_prefix(&seed, f);
		assert_int_equal(oracle_tree_find(&t[f], p.addr, P2P_FAMILY_BITS(f)), oracle_list_find(&l, f, p.addr));
	}
	free(t[0].node);
	free(t[1].node);
	free(l.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_tables), cmocka_unit_test(nested), cmocka_unit_test(adjacent),
		cmocka_unit_test(default_only), cmocka_unit_test(sharing), cmocka_unit_test(batches), cmocka_unit_test(refused),
		cmocka_unit_test(walk_and_sweep), cmocka_unit_test(prefixes), cmocka_unit_test(lists), cmocka_unit_test(damaged),
		cmocka_unit_test(trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
