/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Batches seen by somebody who looks at the area between any two stores of a commit.
 *
 * Each address must have what it had before the batch, then what it has after it: nothing else, and never the old again.
 * Batches add, replace and delete prefixes of both families and change the default routes, all at once.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "area.h"
#include "oracle.h"

#define PROBES 400

struct probe {
	enum p2p_family f;
	uint8_t addr[16];
	uint32_t before, after;
	bool over; /* it has gone over to what it has after the batch */
};

struct world {
	struct area a;
	struct lpm_window w;
	struct lpm *l;
	struct lpm_table *t;
	struct oracle_list o;
	uint64_t seed;
	struct probe probe[PROBES];
	unsigned int probes;
	bool watch;
	uint64_t looked, punted; /* between stores; results that were PUNT though neither state has that */
};

/* By the area's words alone, as the firmware would go. */
static uint32_t seen(const struct world *w, const struct probe *p)
{
	const struct p2p_route_head *h = w->a.mem;
	const le32 *words = (const le32 *)((uint8_t *)w->a.mem + from_le32(h->hops_at));
	uint32_t hop;

	assert_int_equal(lpm_table_find(w->t, p->f, p->addr, &hop), 0);
	if (hop != P2P_HOP_DEFAULT4 && hop != P2P_HOP_DEFAULT6)
		return hop;
	assert_int_equal(hop, P2P_HOP_DEFAULT(p->f));
	return P2P_HOP_NUMBER(from_le32(words[hop]));
}

static void look(struct world *w)
{
	struct probe *p;
	uint32_t hop;

	if (!w->watch)
		return;
	w->looked++;
	for (p = w->probe; p < w->probe + w->probes; p++) {
		hop = seen(w, p);
		if (hop == p->after && (hop != p->before || p->over)) {
			p->over = true;
			continue;
		}
		if (hop == p->before && !p->over)
			continue;
		if (hop == P2P_HOP_PUNT && !p->over) {
			w->punted++;
			continue;
		}
		fail_msg("IPv%d %02x%02x%02x%02x..: hop %u between two stores; %u before the batch, %u after it%s", p->f == P2P_IP4 ? 4 : 6,
			 p->addr[0], p->addr[1], p->addr[2], p->addr[3], hop, p->before, p->after, p->over ? ", and it had that" : "");
	}
}

static int step_read(void *arg, uint64_t off, void *buf, size_t len)
{
	struct world *w = arg;

	return w->a.plain.ops->read(w->a.plain.arg, off, buf, len);
}

static int step_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	struct world *w = arg;
	int rc = w->a.plain.ops->write(w->a.plain.arg, off, buf, len);

	look(w);
	return rc;
}

static int step_store(void *arg, uint64_t off, uint32_t v)
{
	struct world *w = arg;
	int rc = w->a.plain.ops->store(w->a.plain.arg, off, v);

	look(w);
	return rc;
}

static void step_barrier(void *arg) {}

static void world_open(struct world *w, uint64_t bytes, const char *ip4, const char *ip6, uint64_t seed)
{
	static const struct lpm_window_ops ops = { step_read, step_write, step_store, step_barrier };
	struct p2p_route_shape s;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	area_init(&w->a, bytes);
	w->w = (struct lpm_window){ .ops = &ops, .arg = w, .bytes = bytes };
	lpm_shape_default(&s);
	s.bytes = bytes;
	s.hops = 64;
	s.buckets = 64;
	area_stride(&s, P2P_IP4, ip4);
	s.tiers[P2P_IP6] = 0;
	area_stride(&s, P2P_IP6, ip6);
	assert_int_equal(lpm_create(&w->l), 0);
	assert_int_equal(lpm_make(w->l, &w->w, &s, &w->t), 0);
}

static void world_close(struct world *w)
{
	char err[LPM_ERR_MAX];

	if (lpm_verify(w->t, err))
		fail_msg("%s", err);
	lpm_destroy(w->l);
	area_free(&w->a);
	free(w->o.r);
}

static void set(struct world *w, const struct lpm_prefix *p, uint32_t hop)
{
	assert_int_equal(lpm_set(w->l, p, hop), 0);
	oracle_list_set(&w->o, p, hop);
}

static void del(struct world *w, const struct lpm_prefix *p)
{
	struct lpm_prefix gone = *p;

	assert_int_equal(lpm_del(w->l, &gone), 0);
	oracle_list_del(&w->o, &gone);
}

static uint32_t state(const struct world *w, const struct probe *p)
{
	uint32_t hop = oracle_list_find(&w->o, p->f, p->addr);

	return hop == ORACLE_NONE ? P2P_HOP_NO_ROUTE : hop;
}

/* Close to each other: many of one root entry, some over several, one within the other. */
static struct lpm_prefix near(struct world *w, enum p2p_family f)
{
	unsigned int len = 4 + (unsigned int)(p2p_random(&w->seed) % (f == P2P_IP4 ? 29 : 60));
	struct lpm_prefix p = oracle_prefix(&w->seed, f, len);

	p.addr[0] = (uint8_t)(p.addr[0] & 0x30);
	if (len > 8)
		p.addr[1] = (uint8_t)(p.addr[1] & 0xc0);
	if (len > 16)
		p.addr[2] = (uint8_t)(p.addr[2] & 0x81);
	if (len < 16)
		p.addr[len / 8] &= (uint8_t)(0xff00 >> len % 8);
	return p;
}

static void watch_begin(struct world *w)
{
	struct lpm_prefix p, any;
	struct probe *q;
	unsigned int k, b;

	for (k = 0; k < PROBES; k++) {
		q = &w->probe[k];
		q->f = k & 1 ? P2P_IP6 : P2P_IP4;
		p = near(w, q->f);
		if (w->o.n && p2p_random(&w->seed) % 2) {
			p = w->o.r[p2p_random(&w->seed) % w->o.n].p;
			q->f = p.family;
		}
		any = oracle_prefix(&w->seed, q->f, P2P_FAMILY_BITS(q->f));
		memcpy(q->addr, p.addr, 16);
		for (b = p.len; b < P2P_FAMILY_BITS(q->f); b++)
			q->addr[b / 8] |= any.addr[b / 8] & 0x80 >> b % 8;
		q->before = state(w, q);
		q->over = false;
	}
	w->probes = PROBES;
}

static void commit_watched(struct world *w)
{
	struct probe *p;

	for (p = w->probe; p < w->probe + w->probes; p++)
		p->after = state(w, p);
	w->watch = true;
	look(w);
	lpm_commit(w->l);
	look(w);
	w->watch = false;
	for (p = w->probe; p < w->probe + w->probes; p++)
		assert_int_equal(seen(w, p), p->after);
}

static void change(struct world *w, enum p2p_family f)
{
	struct lpm_prefix p = near(w, f);

	if (w->o.n > 60 || (w->o.n > 10 && p2p_random(&w->seed) % 2)) {
		p = w->o.r[p2p_random(&w->seed) % w->o.n].p;
		if (p2p_random(&w->seed) % 3) {
			del(w, &p);
			return;
		}
	}
	set(w, &p, P2P_HOP_FREE + (uint32_t)(p2p_random(&w->seed) % 12));
}

static void change_default(struct world *w, enum p2p_family f)
{
	const struct lpm_prefix all = { .family = (uint8_t)f };
	uint32_t hop;

	if (p2p_random(&w->seed) % 4 == 0 && !lpm_get(w->l, &all, &hop))
		del(w, &all);
	else
		set(w, &all, 40 + (uint32_t)(p2p_random(&w->seed) % 8));
}

/* The smallest there is: one prefix comes, or goes, or both, and the default changes. */
static void one_and_the_default(void **arg)
{
	static const struct { const char *old, *new; } cases[] = {
		{ "", "10.1.0.0/16" }, { "10.1.0.0/16", "" }, { "", "10.1.2.0/24" }, { "10.1.2.0/24", "" },
		{ "10.1.2.0/24", "10.1.3.0/24" }, { "10.1.2.0/24", "10.1.2.128/25" }, { "10.1.2.128/25", "10.1.2.0/24" },
		{ "10.1.0.0/16", "10.1.2.0/24" }, { "10.0.0.0/8", "10.1.2.0/24" }, { "10.1.2.0/24", "10.0.0.0/8" },
		{ "", "2001:db8::/32" }, { "2001:db8::/32", "" }, { "2001:db8:1::/48", "2001:db8:2::/48" },
		{ "2001::/16", "2001:db8::/32" },
	};
	struct lpm_prefix old, new;
	struct lpm_stats st;
	struct world w;
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(cases); k++) {
		world_open(&w, 4u << 20, "16-4-4-8", "16-4", k);
		assert_int_equal(lpm_prefix_parse(*cases[k].old ? cases[k].old : cases[k].new, &old), 0);
		assert_int_equal(lpm_prefix_parse(*cases[k].new ? cases[k].new : cases[k].old, &new), 0);
		set(&w, &(struct lpm_prefix){ .family = old.family }, 40);
		if (*cases[k].old)
			set(&w, &old, 20);
		w.probe[0].f = w.probe[1].f = w.probe[2].f = old.family;
		memcpy(w.probe[0].addr, old.addr, 16);
		memcpy(w.probe[1].addr, new.addr, 16);
		w.probe[2].addr[0] = 0x77;
		for (w.probes = 0; w.probes < 3; w.probes++)
			w.probe[w.probes].before = state(&w, &w.probe[w.probes]);
		lpm_begin(w.l);
		set(&w, &(struct lpm_prefix){ .family = old.family }, 41);
		if (*cases[k].old)
			del(&w, &old);
		if (*cases[k].new)
			set(&w, &new, 21);
		commit_watched(&w);
		lpm_table_stats(w.t, &st);
		assert_int_equal(st.punts, 0);
		assert_int_equal(w.punted, 0);
		world_close(&w);
	}
}

static void random_batches(void **arg)
{
	static const struct { const char *ip4, *ip6; } shapes[] = {
		{ "16-4-4-8", "16-4" }, { "4-4", "8-8" }, { "8-3-5-8", "12-6" }, { "16-3-3-2-4-4", "4-4" },
	};
	unsigned int k, round, n;
	struct world w;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes); k++) {
		world_open(&w, 4u << 20, shapes[k].ip4, shapes[k].ip6, 100 + k);
		for (round = 0; round < 60; round++) {
			watch_begin(&w);
			lpm_begin(w.l);
			for (n = 1 + (unsigned int)(p2p_random(&w.seed) % 12); n; n--)
				change(&w, n & 1 ? P2P_IP6 : P2P_IP4);
			if (p2p_random(&w.seed) % 4)
				change_default(&w, P2P_IP4);
			if (p2p_random(&w.seed) % 4)
				change_default(&w, P2P_IP6);
			commit_watched(&w);
			/* Rows that only stood in between have gone when their epoch has. */
			lpm_poll(w.l);
		}
		assert_true(w.looked > 500);
		assert_int_equal(w.punted, 0);
		world_close(&w);
	}
}

/*
 * No room for a row in between: the kernel has such addresses for a moment, and nobody ever goes a wrong way.  Old and new
 * rows are there already, led to by other addresses, and no other row fits.
 */
static void no_room_between(void **arg)
{
	struct lpm_prefix a = { .family = P2P_IP4, .len = 17, .addr = { 10, 1 } }, b = a, p;
	struct lpm_stats before, st;
	struct world w;
	unsigned int k;
	int rc = 0;

	b.addr[2] = 0x80;
	world_open(&w, 400u << 10, "16-4-4-8", "", 5);
	set(&w, &(struct lpm_prefix){ .family = P2P_IP4 }, 40);
	/* 10.1/16 is (20, default) and shall be (default, 21), as 10.2/16 is. */
	set(&w, &a, 20);
	p = b;
	p.addr[1] = 2;
	set(&w, &p, 21);
	for (k = 0; !rc && k < 40000; k++) {
		p = (struct lpm_prefix){ .family = P2P_IP4, .len = 18, .addr = { (uint8_t)(20 + k / 800), (uint8_t)(k / 4 % 200) } };
		p.addr[2] = (uint8_t)(k % 4 << 6);
		rc = lpm_set(w.l, &p, P2P_HOP_FREE + (uint32_t)(p2p_random(&w.seed) % 40));
	}
	assert_int_equal(rc, -ENOSPC);
	w.probe[0] = (struct probe){ .addr = { 10, 1, 3 } };
	w.probe[1] = (struct probe){ .addr = { 10, 1, 0x93 } };
	w.probe[2] = (struct probe){ .addr = { 77 } };
	w.probe[3] = (struct probe){ .addr = { 10, 2, 0x93 } };
	for (w.probes = 0; w.probes < 4; w.probes++)
		w.probe[w.probes].before = state(&w, &w.probe[w.probes]);
	lpm_table_stats(w.t, &before);
	lpm_begin(w.l);
	set(&w, &(struct lpm_prefix){ .family = P2P_IP4 }, 41);
	del(&w, &a);
	set(&w, &b, 21);
	commit_watched(&w);
	lpm_table_stats(w.t, &st);
	assert_int_equal(st.written_bytes, before.written_bytes);
	assert_int_equal(st.punts, 1);
	/* Two addresses, seen behind the store of its entry, of the count and of the word. */
	assert_int_equal(w.punted, 6);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_and_the_default), cmocka_unit_test(random_batches), cmocka_unit_test(no_room_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
