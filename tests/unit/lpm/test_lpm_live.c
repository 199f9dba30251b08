/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The firmware's lookup in one thread while another changes the routes, one at a time.
 *
 * The reader notes for each burst how many changes were through before it and how many were begun behind it.
 * Afterwards all changes are made once more in a tree (oracle.h): each result must be that of a state in between.  Rows that are
 * reused too early, a change that shows half, a row linked before it was written: all would be a result of no state.
 *
 * test_lpm_live [long]: of each family, in each form of the lookup, 2.5 million lookups and 100 thousand changes at
 * least, in a table of 100 thousand; and as many lookups when no more is changed.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "area.h"
#include "boards/soft/lookup.h"
#include "oracle.h"

#define BURST 64

static struct {
	uint32_t routes, changes, bursts;
} size = { 1500, 2000, 1000 };

struct change {
	struct lpm_prefix p;
	uint32_t hop; /* ORACLE_NONE: delete */
};

struct burst {
	uint32_t through, begun; /* changes before it, and behind it */
	uint64_t seed;
	uint32_t hop[BURST];
};

struct live {
	enum p2p_family f;
	struct area a;
	struct lpm *l;
	struct lpm_table *t;
	const struct soft_lookup *lookup;
	struct change *routes, *changes;
	struct burst *bursts;
	uint32_t bursts_done;
	uint32_t through, begun;
	bool read;
};

/* As tables have them: most are /24 or /48, some short. */
static struct lpm_prefix live_prefix(uint64_t *seed, enum p2p_family f)
{
	static const uint8_t lens4[] = { 24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 19, 18, 16, 32, 27 };
	static const uint8_t lens6[] = { 48, 48, 48, 48, 48, 48, 32, 32, 32, 29, 40, 44, 46, 64, 128, 28 };
	unsigned int len = (f == P2P_IP4 ? lens4 : lens6)[p2p_random(seed) % 16];
	struct lpm_prefix p;

	if (p2p_random(seed) % 64 == 0)
		len = (f == P2P_IP4 ? 8 : 20) + (unsigned int)(p2p_random(seed) % 8);
	p = oracle_prefix(seed, f, len);
	/* Close to each other, so that one covers another. */
	p.addr[0] = f == P2P_IP4 ? 10 + p.addr[0] % 4 : 0x20;
	if (f == P2P_IP6)
		p.addr[1] &= 3;
	if (len > 8 && len < 16)
		p.addr[1] &= (uint8_t)(0xff00 >> (len - 8));
	return p;
}

static void live_addr(uint64_t *seed, const struct live *v, uint8_t *addr)
{
	const struct lpm_prefix *p = &v->changes[p2p_random(seed) % size.changes].p;
	struct lpm_prefix any = oracle_prefix(seed, v->f, P2P_FAMILY_BITS(v->f));
	unsigned int k;

	if (p2p_random(seed) & 1)
		p = &v->routes[p2p_random(seed) % size.routes].p;
	memcpy(addr, p->addr, 16);
	for (k = p->len; k < P2P_FAMILY_BITS(v->f); k++)
		addr[k / 8] |= any.addr[k / 8] & 0x80 >> k % 8;
}

static void *reader(void *arg)
{
	struct live *v = arg;
	struct p2p_route_head *h = v->a.mem;
	struct fw_lpm t;
	uint32_t b, k, words[BURST][4], ip4[BURST];
	uint8_t addr[16];

	v->lookup->open(&t, v->a.mem, v->a.bytes);
	for (b = 0; b < size.bursts; b++) {
		struct burst *u = &v->bursts[b];
		uint64_t seed = u->seed = b * 0x9e3779b97f4a7c15ull + 1;

		for (k = 0; k < BURST; k++) {
			live_addr(&seed, v, addr);
			oracle_words(addr, words[k]);
			ip4[k] = words[k][0];
		}
		/* Idle between two of three bursts, at an epoch otherwise, as a context would be. */
		le32_store_release(&h->ctx[0].seen, le32_load_acquire(&h->epoch));
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		u->through = __atomic_load_n(&v->through, __ATOMIC_ACQUIRE);
		if (v->f == P2P_IP4)
			v->lookup->find4(&t, ip4, BURST, u->hop);
		else
			v->lookup->find6(&t, (const uint32_t(*)[4])words, BURST, u->hop);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		u->begun = __atomic_load_n(&v->begun, __ATOMIC_ACQUIRE);
		if (b % 3)
			le32_store_release(&h->ctx[0].seen, 0);
	}
	le32_store_release(&h->ctx[0].seen, 0);
	__atomic_store_n(&v->read, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Changes are made over and over until the reader has finished. */
static const struct change *change_at(const struct live *v, uint32_t k)
{
	return &v->changes[k % size.changes];
}

static void make(struct live *v, const struct change *c)
{
	int rc = c->hop == ORACLE_NONE ? lpm_del(v->l, &c->p) : lpm_set(v->l, &c->p, c->hop);

	assert_true(rc == 0 || (rc == -ENOENT && c->hop == ORACLE_NONE));
}

static void tree_make(struct oracle_tree *t, const struct change *c)
{
	oracle_tree_set(t, &c->p, c->hop);
}

static bool burst_ok(const struct live *v, struct oracle_tree *t, const struct burst *u, bool last, uint64_t *wrong)
{
	uint64_t seed = u->seed;
	uint8_t addr[16];
	uint32_t k, hop;

	for (k = 0; k < BURST; k++) {
		live_addr(&seed, v, addr);
		if (!(*wrong >> k & 1))
			continue;
		hop = u->hop[k] == P2P_HOP_DEFAULT(v->f) ? ORACLE_NONE : u->hop[k];
		if (oracle_tree_find(t, addr, P2P_FAMILY_BITS(v->f)) == hop)
			*wrong &= ~(1ull << k);
		else if (last)
			fail_msg("hop %u for %02x%02x%02x%02x.. after %u to %u changes: it had that in none of these states",
				 u->hop[k], addr[0], addr[1], addr[2], addr[3], u->through, u->begun);
	}
	return !*wrong;
}

static void judge(struct live *v)
{
	struct oracle_tree t;
	uint32_t at = 0, b, k, between = 0;
	uint64_t wrong;

	oracle_tree_init(&t);
	for (k = 0; k < size.routes; k++)
		tree_make(&t, &v->routes[k]);
	for (b = 0; b < size.bursts; b++) {
		const struct burst *u = &v->bursts[b];
		uint32_t *undo = calloc(u->begun - u->through + 1, sizeof(*undo));

		for (; at < u->through; at++)
			tree_make(&t, change_at(v, at));
		wrong = ~0ull;
		between += u->begun != u->through;
		for (k = u->through; !burst_ok(v, &t, u, k == u->begun, &wrong); k++) {
			undo[k - u->through] = oracle_tree_get(&t, &change_at(v, k)->p);
			tree_make(&t, change_at(v, k));
		}
		while (k-- > u->through)
			oracle_tree_set(&t, &change_at(v, k)->p, undo[k - u->through]);
		free(undo);
	}
	free(t.node);
	printf("%s, IPv%d: %u lookups, %u changes, %u bursts met one\n", v->lookup->name, v->f == P2P_IP4 ? 4 : 6,
	       size.bursts * BURST, v->begun, between);
}

static void live(enum p2p_family f, const struct soft_lookup *lookup)
{
	struct live v = { .f = f, .lookup = lookup };
	struct p2p_route_shape s;
	char err[LPM_ERR_MAX];
	uint64_t seed = 77;
	pthread_t thread;
	uint32_t k;

	area_init(&v.a, 64u << 20);
	lpm_shape_default(&s);
	s.bytes = v.a.bytes;
	assert_int_equal(lpm_create(&v.l), 0);
	assert_int_equal(lpm_make(v.l, &v.a.plain, &s, &v.t), 0);
	v.routes = calloc(size.routes, sizeof(*v.routes));
	v.changes = calloc(size.changes, sizeof(*v.changes));
	v.bursts = calloc(size.bursts, sizeof(*v.bursts));
	for (k = 0; k < size.routes; k++) {
		v.routes[k] = (struct change){ live_prefix(&seed, f), P2P_HOP_FREE + (uint32_t)(p2p_random(&seed) % 32) };
		make(&v, &v.routes[k]);
	}
	for (k = 0; k < size.changes; k++) {
		v.changes[k] = (struct change){ live_prefix(&seed, f), P2P_HOP_FREE + (uint32_t)(p2p_random(&seed) % 32) };
		if (p2p_random(&seed) & 1)
			v.changes[k].p = v.routes[p2p_random(&seed) % size.routes].p;
		if (p2p_random(&seed) % 3 == 0)
			v.changes[k].hop = ORACLE_NONE;
	}
	assert_int_equal(pthread_create(&thread, NULL, reader, &v), 0);
	for (k = 0; k < size.changes || !__atomic_load_n(&v.read, __ATOMIC_ACQUIRE); k++) {
		__atomic_store_n(&v.begun, k + 1, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		make(&v, change_at(&v, k));
		__atomic_store_n(&v.through, k + 1, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	if (lpm_verify(v.t, err))
		fail_msg("%s", err);
	judge(&v);
	/* And once more when nothing changes any longer. */
	reader(&v);
	assert_int_equal(v.bursts[0].through, v.begun);
	judge(&v);
	lpm_destroy(v.l);
	area_free(&v.a);
	free(v.routes);
	free(v.changes);
	free(v.bursts);
}

static void lookups_during_changes(void **state)
{
	const struct soft_lookup *s;
	unsigned int k;

	for (k = 0; (s = soft_lookup(k)); k++) {
		live(P2P_IP4, s);
		live(P2P_IP6, s);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lookups_during_changes) };

	if (argc > 1 && !strcmp(argv[1], "long")) {
		size.routes = 100000;
		size.changes = 100000;
		size.bursts = 2500000 / BURST;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
