/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to a table when memory is short, its driver dies, its NIC hangs or goes away. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "area.h"
#include "oracle.h"
#include "lpm/table.h"

#define PROBES 400

static void shape(struct p2p_route_shape *s, uint64_t bytes)
{
	lpm_shape_default(s);
	s->bytes = bytes;
	s->hops = 256;
	s->buckets = 256;
	area_stride(s, P2P_IP4, "12-4-4-4-8");
	area_stride(s, P2P_IP6, "12-4");
}

static void verify(struct lpm_table *t)
{
	char err[LPM_ERR_MAX] = "";

	if (lpm_verify(t, err))
		fail_msg("%s", err);
}

/* Within 10.0/15 and 2001::/28, so that there is much below one another. */
static struct lpm_prefix near_prefix(uint64_t *seed)
{
	enum p2p_family f = p2p_random(seed) & 1 ? P2P_IP6 : P2P_IP4;
	unsigned int least = f == P2P_IP4 ? 8 : 20, len = least + (unsigned int)(p2p_random(seed) % (f == P2P_IP4 ? 25 : 45));
	struct lpm_prefix p = oracle_prefix(seed, f, len);

	p.addr[0] = f == P2P_IP4 ? 10 : 0x20;
	p.addr[1] = f == P2P_IP4 ? p.addr[1] & 1 : 1;
	if (f == P2P_IP6)
		p.addr[2] &= 0x10;
	return p;
}

struct change {
	struct lpm_prefix p;
	uint32_t hop; /* ORACLE_NONE: delete */
};

static int change_make(struct lpm *l, const struct change *c)
{
	int rc = c->hop == ORACLE_NONE ? lpm_del(l, &c->p) : lpm_set(l, &c->p, c->hop);

	return rc == -ENOENT ? 0 : rc;
}

static void oracle_make(struct oracle_list *o, const struct change *c)
{
	if (c->hop == ORACLE_NONE)
		oracle_list_del(o, &c->p);
	else
		oracle_list_set(o, &c->p, c->hop);
}

static uint32_t hop_of(const struct area *a, const struct lpm_table *t, enum p2p_family f, const uint8_t *addr)
{
	const struct p2p_route_head *h = a->mem;
	const le32 *words = (const le32 *)((uint8_t *)a->mem + from_le32(h->hops_at));
	uint32_t hop;

	assert_int_equal(lpm_table_find(t, f, addr, &hop), 0);
	if (hop == P2P_HOP_DEFAULT(f))
		hop = P2P_HOP_NUMBER(from_le32(words[hop]));
	return hop == P2P_HOP_NO_ROUTE ? ORACLE_NONE : hop;
}

/* Every address has the result of the one list or of the other. */
static void either(const struct area *a, const struct lpm_table *t, const struct oracle_list *x,
		   const struct oracle_list *y, uint64_t seed)
{
	unsigned int k;

	for (k = 0; k < PROBES; k++) {
		struct lpm_prefix p = near_prefix(&seed);
		uint32_t hop = hop_of(a, t, p.family, p.addr), hx = oracle_list_find(x, p.family, p.addr);

		if (hop != hx && hop != oracle_list_find(y, p.family, p.addr))
			fail_msg("neither before nor after: hop %u", hop);
	}
}

/*
 * A driver makes changes and is killed at its k-th store or write, for every k.  The next one adopts what it left:
 * every address goes where it went before or would have gone after; then the routes are loaded again.
 */
static void killed(const struct change *changes, unsigned int n, unsigned int from, bool batch, uint64_t seed)
{
	struct oracle_list before = { 0 }, after = { 0 };
	struct p2p_route_shape s;
	uint64_t total = 0, k, step;
	unsigned int c;
	size_t i;

	for (c = 0; c < n; c++) {
		if (c < from)
			oracle_make(&before, &changes[c]);
		oracle_make(&after, &changes[c]);
	}
	shape(&s, 2u << 20);
	for (k = 0, step = 1; k == 0 || k <= total + step; k += step) {
		char err[LPM_ERR_MAX];
		struct lpm *dead, *l;
		struct lpm_table *t;
		struct area a;

		area_init(&a, 2u << 20);
		assert_int_equal(lpm_create(&dead), 0);
		assert_int_equal(lpm_make(dead, &a.cut, &s, &t), 0);
		for (c = 0; c < from; c++)
			assert_int_equal(change_make(dead, &changes[c]), 0);
		a.left = k ? k - 1 : UINT64_MAX;
		a.done = 0;
		if (batch)
			lpm_begin(dead);
		for (; c < n; c++)
			assert_int_equal(change_make(dead, &changes[c]), 0);
		if (batch)
			lpm_commit(dead);
		if (!k) {
			total = a.done;
			step = total > 120 ? total / 60 : 1;
			assert_true(total > 0);
		}
		lpm_destroy(dead);

		assert_int_equal(lpm_create(&l), 0);
		lpm_begin(l);
		if (lpm_adopt(l, &a.plain, &t, err))
			fail_msg("killed at store %llu: %s", (unsigned long long)k, err);
		assert_int_equal(from_le32(lpm_table_head(t)->generation), 2);
		either(&a, t, k ? &before : &after, &after, seed);
		for (i = 0; i < after.n; i++)
			assert_int_equal(lpm_set(l, &after.r[i].p, after.r[i].hop), 0);
		either(&a, t, k ? &before : &after, &after, seed);
		lpm_commit(l);
		either(&a, t, &after, &after, seed + 1);
		verify(t);
		lpm_destroy(l);
		area_free(&a);
	}
	free(before.r);
	free(after.r);
}

static void killed_one_by_one(void **state)
{
	struct change changes[90];
	uint64_t seed = 21;
	unsigned int k;

	for (k = 0; k < 80; k++)
		changes[k] = (struct change){ near_prefix(&seed), P2P_HOP_FREE + k % 7 };
	/* Each last change alone: a short prefix over much, one deleted, the default. */
	changes[80] = (struct change){ { .family = P2P_IP4, .len = 7, .addr = { 10 } }, 200 };
	killed(changes, 81, 80, false, seed);
	changes[80] = (struct change){ changes[3].p, ORACLE_NONE };
	killed(changes, 81, 80, false, seed);
	changes[80] = (struct change){ { .family = P2P_IP6 }, 201 };
	killed(changes, 81, 80, false, seed);
	changes[80] = (struct change){ changes[5].p, 202 };
	killed(changes, 81, 80, false, seed);
}

static void killed_in_a_batch(void **state)
{
	struct change changes[90];
	uint64_t seed = 22;
	unsigned int k;

	/* Prefixes that don't cover each other: an address is touched by one change at most. */
	for (k = 0; k < 90; k++) {
		struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10, (uint8_t)(k & 1), (uint8_t)k, 0 } };

		changes[k] = (struct change){ p, k > 70 && k & 4 ? ORACLE_NONE : P2P_HOP_FREE + k % 7 };
	}
	killed(changes, 90, 60, true, seed);
}

static void adopt_refuses(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10 } };
	struct p2p_route_shape s;
	char err[LPM_ERR_MAX];
	struct p2p_route_head *h;
	struct lpm_table *t;
	struct area a;
	struct lpm *l;
	uint32_t *nodes;

	shape(&s, 2u << 20);
	area_init(&a, 2u << 20);
	h = a.mem;
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -ENOENT);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, NULL), -ENOENT);
	s.bytes++;
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), -EINVAL);
	s.bytes = 50000;
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), -EINVAL);
	shape(&s, 2u << 20);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	assert_int_equal(lpm_set(l, &p, 20), 0);
	lpm_detach(t);
	h->hops = to_le32(255);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -ENOENT);
	h->hops = to_le32(256);
	h->bytes = to_le64(4u << 20);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -ENOENT);
	h->bytes = to_le64(2u << 20);
	nodes = (uint32_t *)(void *)((uint8_t *)a.mem + from_le64(h->nodes_at));
	nodes[5] = P2P_NODE_JUMP | 3;
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -EBADMSG);
	assert_non_null(strstr(err, "no row can be"));
	nodes[5] = 256;
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -EBADMSG);
	assert_non_null(strstr(err, "hop 256"));
	nodes[5] = 0;
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), 0);
	verify(t);
	/* And what is not as it should be is seen. */
	nodes[5] = 20;
	assert_int_equal(lpm_verify(t, err), -EBADMSG);
	nodes[5] = 0;
	h->generation = to_le32(9);
	assert_int_equal(lpm_verify(t, err), -EBADMSG);
	lpm_destroy(l);
	area_free(&a);
}

/* A table that has no room refuses the route, in all tables, and stays what it was; what is deleted makes room. */
static void full(void **state)
{
	struct oracle_list o = { 0 };
	struct p2p_route_shape s;
	struct lpm_stats st;
	struct lpm_table *small, *large;
	struct area a, b;
	uint64_t seed = 31;
	struct lpm *l;
	unsigned int k, refused = 0;
	size_t i;

	assert_int_equal(lpm_create(&l), 0);
	area_init(&a, 256u << 10);
	area_init(&b, 2u << 20);
	shape(&s, 256u << 10);
	assert_int_equal(lpm_make(l, &a.plain, &s, &small), 0);
	shape(&s, 2u << 20);
	assert_int_equal(lpm_make(l, &b.plain, &s, &large), 0);
	for (k = 0; k < 3000 && refused < 50; k++) {
		struct change c = { near_prefix(&seed), P2P_HOP_FREE + k % 100 };
		int rc = lpm_set(l, &c.p, c.hop);

		if (rc) {
			assert_int_equal(rc, -ENOSPC);
			if (!refused++) {
				verify(small);
				verify(large);
			}
		} else {
			oracle_make(&o, &c);
		}
	}
	assert_true(refused >= 50);
	verify(small);
	verify(large);
	either(&a, small, &o, &o, 5);
	either(&b, large, &o, &o, 5);
	assert_int_equal(lpm_count(l, P2P_IP4) + lpm_count(l, P2P_IP6), o.n);
	/* From the most specific on: what is deleted last covers nothing. */
	for (i = 129; i--;) {
		size_t j;

		for (j = o.n; j--;) {
			struct lpm_prefix p = o.r[j].p;

			if (p.len == i && lpm_del(l, &p) == 0)
				oracle_list_del(&o, &p);
		}
	}
	assert_int_equal(o.n, 0);
	lpm_poll(l);
	lpm_table_stats(small, &st);
	assert_int_equal(st.rows + st.waiting, 0);
	verify(small);
	verify(large);
	lpm_destroy(l);
	area_free(&a);
	area_free(&b);
	free(o.r);
}

/* While a context is behind, no row that was unlinked is written; when it comes on, they are all there again. */
static void epochs(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 32, .addr = { 10, 0, 0, 1 } };
	struct p2p_route_shape s;
	struct p2p_route_head *h;
	struct lpm_stats st;
	struct lpm_table *t;
	struct area a;
	struct lpm *l;
	uint32_t *nodes, *was, row, k, n;
	uint64_t seed = 41;

	shape(&s, 512u << 10);
	s.contexts = 2;
	area_init(&a, s.bytes);
	h = a.mem;
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	nodes = (uint32_t *)(void *)((uint8_t *)a.mem + from_le64(h->nodes_at));
	assert_int_equal(lpm_set(l, &p, 20), 0);
	le32_store_release(&h->ctx[1].seen, from_le32(h->epoch));
	row = nodes[from_le32(h->root[0]) + (10 << 4)];
	assert_true(row & P2P_NODE_JUMP);
	row = P2P_NODE_INF(row);
	n = from_le32(h->nodes) - row;
	was = malloc(4ull * n);
	memcpy(was, nodes + row, 16 * 4);
	for (k = 0; k < 20000; k++) {
		int rc;

		p.addr[3] = (uint8_t)p2p_random(&seed);
		rc = lpm_set(l, &p, 21 + k % 200);

		assert_true(!rc || rc == -ENOSPC);
		if (rc)
			break;
		assert_memory_equal(was, nodes + row, 16 * 4);
	}
	/* So many changes of up to four rows each don't fit beside each other. */
	assert_true(k < 20000);
	lpm_table_stats(t, &st);
	assert_true(st.waiting > 100);
	assert_true(lpm_poll(l));
	verify(t);
	le32_store_release(&h->ctx[1].seen, from_le32(h->epoch));
	lpm_poll(l);
	le32_store_release(&h->ctx[1].seen, 0);
	assert_false(lpm_poll(l));
	lpm_table_stats(t, &st);
	assert_int_equal(st.waiting, 0);
	assert_int_equal(lpm_set(l, &p, 20), 0);
	verify(t);
	free(was);
	lpm_destroy(l);
	area_free(&a);
}

/* Just adopted: what is free may still be read by whoever was on its way. */
static void adopted_free_rows_wait(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10 } };
	struct p2p_route_shape s;
	struct p2p_route_head *h;
	struct lpm_table *t;
	struct area a;
	struct lpm *l;

	shape(&s, 512u << 10);
	area_init(&a, s.bytes);
	h = a.mem;
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	assert_int_equal(lpm_set(l, &p, 20), 0);
	le32_store_release(&h->ctx[0].seen, from_le32(h->epoch));
	lpm_detach(t);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, NULL), 0);
	verify(t);
	p.addr[1] = 1;
	assert_int_equal(lpm_set(l, &p, 20), -ENOSPC);
	verify(t);
	le32_store_release(&h->ctx[0].seen, from_le32(h->epoch));
	assert_int_equal(lpm_set(l, &p, 21), 0);
	verify(t);
	lpm_destroy(l);
	area_free(&a);
}

/* A NIC that goes away takes its table with it, and the others go on. */
static void window_fails(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 24, .addr = { 10 } };
	struct p2p_route_shape s;
	struct lpm_table *t, *u;
	struct area a, b;
	struct lpm *l;

	shape(&s, 512u << 10);
	area_init(&a, s.bytes);
	area_init(&b, s.bytes);
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.cut, &s, &t), 0);
	assert_int_equal(lpm_make(l, &b.plain, &s, &u), 0);
	a.left = 2;
	a.fail = -ENOTCONN;
	assert_int_equal(lpm_set(l, &p, 20), 0);
	assert_int_equal(lpm_table_error(t), -ENOTCONN);
	assert_int_equal(lpm_table_error(u), 0);
	a.done = 0;
	p.addr[1] = 7;
	assert_int_equal(lpm_set(l, &p, 21), 0);
	assert_int_equal(a.done, 0);
	verify(u);
	lpm_detach(t);
	/* It comes back: a new table has all routes. */
	a.left = UINT64_MAX;
	assert_int_equal(lpm_make(l, &a.cut, &s, &t), 0);
	verify(t);
	assert_int_equal(hop_of(&a, t, P2P_IP4, p.addr), 21);
	lpm_destroy(l);
	area_free(&a);
	area_free(&b);
}

/* The NIC goes away while a change waits for its epoch: the change is made in the other tables, on either side of it. */
static void window_fails_when_waited_for(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 32, .addr = { 10, 0, 0, 1 } };
	struct lpm_table *t, *u, *v;
	struct p2p_route_shape s;
	struct area a, b, c;
	struct lpm *l;
	uint64_t seed = 51;
	unsigned int k;

	assert_int_equal(lpm_create(&l), 0);
	area_init(&a, 2u << 20);
	area_init(&b, 512u << 10);
	area_init(&c, 2u << 20);
	shape(&s, a.bytes);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	s.bytes = b.bytes;
	assert_int_equal(lpm_make(l, &b.cut, &s, &u), 0);
	s.bytes = c.bytes;
	assert_int_equal(lpm_make(l, &c.plain, &s, &v), 0);
	le32_store_release(&((struct p2p_route_head *)b.mem)->ctx[0].seen, from_le32(((struct p2p_route_head *)b.mem)->epoch));
	for (k = 0; k < 20000 && lpm_set(l, &p, 21 + k % 200) != -ENOSPC; k++)
		p.addr[3] = (uint8_t)p2p_random(&seed);
	assert_true(k < 20000);
	b.read_fail = -ENOTCONN;
	assert_int_equal(lpm_set(l, &p, 21 + k % 200), 0);
	assert_int_equal(lpm_table_error(u), -ENOTCONN);
	verify(t);
	verify(v);
	assert_int_equal(hop_of(&a, t, P2P_IP4, p.addr), 21 + k % 200);
	assert_int_equal(hop_of(&c, v, P2P_IP4, p.addr), 21 + k % 200);
	lpm_destroy(l);
	area_free(&a);
	area_free(&b);
	area_free(&c);
}

/* Until one is refused. */
static int changes(struct lpm *l, uint64_t *seed, unsigned int n)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 32, .addr = { 10 } };
	uint64_t v;
	int rc = 0;

	for (; n && !rc; n--) {
		v = p2p_random(seed);
		p.addr[3] = (uint8_t)v;
		rc = lpm_set(l, &p, 21 + (v >> 8) % 200);
	}
	return rc;
}

#define DEAD_NICS 3
struct dying {
	struct area a[DEAD_NICS];
	struct lpm_table *t[DEAD_NICS];
	struct lpm *l;
	uint64_t seed;
};

/* The driver, or the next one; in a batch that is open if `next`. */
static void dying_driver(struct dying *d, bool next)
{
	struct p2p_route_shape s;
	unsigned int i;

	shape(&s, 512u << 10);
	if (d->l)
		lpm_destroy(d->l);
	assert_int_equal(lpm_create(&d->l), 0);
	if (next)
		lpm_begin(d->l);
	for (i = 0; i < DEAD_NICS; i++) {
		if (!next)
			area_init(&d->a[i], s.bytes);
		assert_int_equal(next ? lpm_adopt(d->l, &d->a[i].plain, &d->t[i], NULL) : lpm_make(d->l, &d->a[i].plain, &s, &d->t[i]), 0);
	}
}

/* Tens of thousands of changes in the others; not a byte of this one's area, which leaves all to the kernel. */
static void dying_goes_on(struct dying *d, unsigned int dead)
{
	const struct lpm_prefix there = { .family = P2P_IP4, .addr = { 10, 0, 0, 7 } }, nowhere = { .family = P2P_IP6, .addr = { 0x20 } };
	void *was = malloc(d->a[dead].bytes);
	struct lpm_prefix p = there;
	uint32_t hop;
	unsigned int i;

	memcpy(was, d->a[dead].mem, d->a[dead].bytes);
	assert_int_equal(changes(d->l, &d->seed, 30000), 0);
	for (i = 0; i < 256; i++) {
		p.addr[3] = (uint8_t)i;
		assert_int_equal(lpm_find(d->l, P2P_IP4, p.addr, &hop, NULL), 0);
		assert_int_equal(hop_of(&d->a[0], d->t[0], P2P_IP4, p.addr), hop);
		assert_int_equal(hop_of(&d->a[2], d->t[2], P2P_IP4, p.addr), hop);
	}
	verify(d->t[0]);
	verify(d->t[2]);
	lpm_poll(d->l);
	assert_memory_equal(was, d->a[dead].mem, d->a[dead].bytes);
	assert_int_equal(hop_of(&d->a[dead], d->t[dead], P2P_IP4, there.addr), P2P_HOP_PUNT);
	assert_int_equal(hop_of(&d->a[dead], d->t[dead], P2P_IP6, nowhere.addr), P2P_HOP_PUNT);
	free(was);
}

/* One NIC of three dies: the others' routes change on, also under a driver that comes after; it comes back, and has all of them. */
static void one_dies(void **state)
{
	const uint8_t there[16] = { 10, 0, 0, 7 };
	struct dying d = { .seed = 61 };
	struct p2p_route_head *h;
	unsigned int i;
	uint32_t hop;

	dying_driver(&d, false);
	h = d.a[1].mem;
	le32_store_release(&h->ctx[0].seen, from_le32(h->epoch));
	assert_int_equal(changes(d.l, &d.seed, 20000), -ENOSPC);
	lpm_abandon(d.t[1], -ENOTCONN);
	assert_int_equal(lpm_table_error(d.t[1]), -ENOTCONN);
	dying_goes_on(&d, 1);

	dying_driver(&d, true);
	assert_int_equal(changes(d.l, &d.seed, 1), -ENOSPC);
	lpm_abandon(d.t[1], -ENOTCONN);
	assert_int_equal(changes(d.l, &d.seed, 4000), 0);
	lpm_commit(d.l);
	dying_goes_on(&d, 1);

	/* It was stopped only, and goes on. */
	le32_store_release(&h->ctx[0].seen, 0);
	dying_driver(&d, true);
	assert_int_equal(changes(d.l, &d.seed, 4000), 0);
	assert_int_equal(hop_of(&d.a[1], d.t[1], P2P_IP4, there), P2P_HOP_PUNT);
	lpm_commit(d.l);
	for (i = 0; i < DEAD_NICS; i++)
		verify(d.t[i]);
	assert_int_equal(lpm_find(d.l, P2P_IP4, there, &hop, NULL), 0);
	assert_int_equal(hop_of(&d.a[1], d.t[1], P2P_IP4, there), hop);
	lpm_destroy(d.l);
	for (i = 0; i < DEAD_NICS; i++)
		area_free(&d.a[i]);
}

/* What can't be deleted for want of room keeps nothing else from being deleted, and goes at the next. */
static void sweep_without_room(void **state)
{
	static const struct lpm_prefix easy[2] = {
		{ .family = P2P_IP4, .len = 7, .addr = { 8 } }, { .family = P2P_IP6, .len = 8, .addr = { 0x20 } },
	};
	struct p2p_route_shape s;
	struct p2p_route_head *h;
	struct lpm_table *t;
	struct area a;
	struct lpm *l;
	uint64_t seed = 71, left;
	unsigned int i;
	uint32_t hop;

	shape(&s, 512u << 10);
	area_init(&a, s.bytes);
	h = a.mem;
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(lpm_set(l, &easy[i], 20), 0);
	le32_store_release(&h->ctx[0].seen, from_le32(h->epoch));
	assert_int_equal(changes(l, &seed, 20000), -ENOSPC);
	lpm_unmark(l);
	assert_int_equal(lpm_sweep(l), -ENOSPC);
	for (i = 0; i < 2; i++)
		assert_int_equal(lpm_get(l, &easy[i], &hop), -ENOENT);
	left = lpm_count(l, P2P_IP4);
	assert_int_not_equal(left, 0);
	verify(t);
	le32_store_release(&h->ctx[0].seen, 0);
	assert_int_equal(lpm_sweep(l), left);
	assert_int_equal(lpm_count(l, P2P_IP4), 0);
	verify(t);
	lpm_destroy(l);
	area_free(&a);
}

/* An area that has not got a hop that routes name is neither made nor taken over. */
static void too_few_hops(void **state)
{
	const struct lpm_prefix p = { .family = P2P_IP6, .len = 32, .addr = { 0x20, 1 } }, def = { .family = P2P_IP4 };
	struct p2p_route_shape s;
	char err[LPM_ERR_MAX];
	struct lpm_table *t;
	struct area a;
	struct lpm *l;

	shape(&s, 2u << 20);
	area_init(&a, s.bytes);
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	lpm_detach(t);
	assert_int_equal(lpm_set(l, &p, 256), 0);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), -EINVAL);
	assert_non_null(strstr(err, "256 hops"));
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), -EINVAL);
	assert_int_equal(lpm_set(l, &p, 255), 0);
	assert_int_equal(lpm_set(l, &def, 300), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), -EINVAL);
	assert_int_equal(lpm_del(l, &def), 0);
	assert_int_equal(lpm_adopt(l, &a.plain, &t, err), 0);
	verify(t);
	lpm_destroy(l);
	area_free(&a);
}

/* The owner of the hop words counts its changes in the head; that is no damage. */
static void others_count(void **state)
{
	const struct lpm_prefix def = { .family = P2P_IP4 };
	struct p2p_route_shape s;
	struct p2p_route_head *h;
	char err[LPM_ERR_MAX];
	struct lpm_table *t;
	struct area a;
	struct lpm *l;

	shape(&s, 2u << 20);
	area_init(&a, s.bytes);
	h = a.mem;
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	assert_int_equal(lpm_set(l, &def, 20), 0);
	h->changed[P2P_ROUTE_CHANGE_HOP] = to_le32(7);
	verify(t);
	h->changed[P2P_ROUTE_CHANGE_DEFAULT] = to_le32(77);
	assert_int_equal(lpm_verify(t, err), -EBADMSG);
	lpm_destroy(l);
	area_free(&a);
}

/* Rows that waited when the numbers of their places began anew are free like others. */
static void places_begin_anew(void **state)
{
	struct lpm_prefix p = { .family = P2P_IP4, .len = 32, .addr = { 10, 0, 0, 1 } };
	struct p2p_route_shape s;
	struct lpm_stats st;
	struct lpm_table *t;
	struct area a;
	struct lpm *l;
	unsigned int k;

	shape(&s, 512u << 10);
	area_init(&a, s.bytes);
	assert_int_equal(lpm_create(&l), 0);
	assert_int_equal(lpm_make(l, &a.plain, &s, &t), 0);
	t->rows.q_head = t->rows.q_sealed = t->rows.q_tail = UINT32_MAX - 5;
	for (k = 0; k < 12; k++)
		assert_int_equal(lpm_set(l, &p, 20 + k), 0);
	assert_int_equal(lpm_del(l, &p), 0);
	assert_false(lpm_poll(l));
	lpm_table_stats(t, &st);
	assert_int_equal(st.rows, 0);
	assert_int_equal(st.waiting, 0);
	verify(t);
	lpm_destroy(l);
	area_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_one_by_one), cmocka_unit_test(killed_in_a_batch), cmocka_unit_test(adopt_refuses),
		cmocka_unit_test(full), cmocka_unit_test(epochs), cmocka_unit_test(adopted_free_rows_wait),
		cmocka_unit_test(window_fails), cmocka_unit_test(one_dies), cmocka_unit_test(sweep_without_room),
		cmocka_unit_test(window_fails_when_waited_for), cmocka_unit_test(too_few_hops),
		cmocka_unit_test(others_count), cmocka_unit_test(places_begin_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
