/* SPDX-License-Identifier: BSD-3-Clause */
/* The trie against a list that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <p2pnic/types.h>

#include "router/trie.h"

#define POOL 300
#define ROUNDS 20000

struct entry {
	struct trie_node t;
	int number;
};

struct pool {
	struct router_addr addr;
	uint8_t len;
	bool in;
};

/* Few different bits, so that prefixes nest. */
static struct router_addr address(uint64_t *rng)
{
	struct router_addr a = { .hi = p2p_random(rng) & 0xf00000000000000full, .lo = p2p_random(rng) & 0xc000000000000003ull };

	return a;
}

static void pool_make(struct pool *p, uint64_t *rng)
{
	static const uint8_t lens[] = { 0, 1, 2, 3, 4, 8, 60, 62, 63, 64, 65, 66, 80, 126, 127, 128 };
	unsigned int i, j;

	for (i = 0; i < POOL; i++) {
		do {
			p[i].len = lens[p2p_random(rng) % sizeof(lens)];
			p[i].addr = router_addr_mask(address(rng), p[i].len);
			p[i].in = false;
			for (j = 0; j < i; j++)
				if (p[j].len == p[i].len && router_addr_equal(p[j].addr, p[i].addr))
					break;
		} while (j < i);
	}
}

static int naive_match(const struct pool *p, struct router_addr a, unsigned int len)
{
	int best = -1, i;

	for (i = 0; i < POOL; i++)
		if (p[i].in && p[i].len <= len && router_addr_equal(router_addr_mask(a, p[i].len), p[i].addr) &&
		    (best < 0 || p[i].len > p[best].len))
			best = i;
	return best;
}

static void check_walk(const struct trie *t, const struct pool *p, struct router_addr a, unsigned int len)
{
	const struct trie_node *n, *last = NULL;
	unsigned int want = 0, got = 0, i;

	for (i = 0; i < POOL; i++)
		want += p[i].in && p[i].len >= len && router_addr_equal(router_addr_mask(p[i].addr, len), a);
	for (n = trie_first(t, a, len); n; n = trie_next(n, a, len)) {
		assert_true(p[((const struct entry *)n)->number].in);
		assert_true(!last || last->addr.hi < n->addr.hi || (last->addr.hi == n->addr.hi && last->addr.lo < n->addr.lo) ||
			    (router_addr_equal(last->addr, n->addr) && last->len < n->len));
		last = n;
		got++;
	}
	assert_int_equal(got, want);
}

static void change(struct trie *t, struct pool *p, int i)
{
	struct trie_node *n = trie_find(t, p[i].addr, p[i].len);

	assert_int_equal(n != NULL, p[i].in);
	if (n) {
		trie_drop(t, n);
	} else {
		n = trie_get(t, p[i].addr, p[i].len);
		assert_non_null(n);
		((struct entry *)n)->number = i;
	}
	p[i].in = !p[i].in;
}

static void check_match(const struct trie *t, const struct pool *p, uint64_t *rng)
{
	struct router_addr a = address(rng);
	const struct trie_node *n = trie_match(t, a, 128), *up;
	int want = naive_match(p, a, 128);

	assert_int_equal(n ? ((const struct entry *)n)->number : -1, want);
	if (!n || !n->len)
		return;
	up = trie_above(n);
	want = naive_match(p, n->addr, n->len - 1u);
	assert_int_equal(up ? ((const struct entry *)up)->number : -1, want);
}

static void test_random(void **state)
{
	uint64_t rng = 7;
	struct pool p[POOL];
	struct trie t;
	unsigned int r, i, in = 0;

	(void)state;
	trie_init(&t, sizeof(struct entry));
	pool_make(p, &rng);
	for (r = 0; r < ROUNDS; r++) {
		change(&t, p, (int)(p2p_random(&rng) % POOL));
		check_match(&t, p, &rng);
		i = (unsigned int)(p2p_random(&rng) % POOL);
		if (r % 16 == 0)
			check_walk(&t, p, p[i].addr, p[i].len);
	}
	for (i = 0; i < POOL; i++)
		in += p[i].in;
	assert_int_equal(t.used, in);
	for (i = 0; i < POOL; i++)
		if (p[i].in)
			change(&t, p, (int)i);
	assert_null(t.root);
	trie_free(&t);
}

static void test_text(void **state)
{
	static const struct {
		const char *in;
		unsigned int family;
		uint64_t hi, lo;
	} good[] = {
		{ "0.0.0.0", 4, 0, 0 },
		{ "192.0.2.1", 4, 0xc000020100000000ull, 0 },
		{ "2001:db8::5", 6, 0x20010db800000000ull, 5 },
		{ "ffff::ffff", 6, 0xffff000000000000ull, 0xffff },
	};
	char text[ROUTER_ADDR_TEXT];
	struct router_addr a;
	unsigned int family, i;

	(void)state;
	for (i = 0; i < P2P_ARRAY_SIZE(good); i++) {
		assert_true(router_addr_parse(good[i].in, &family, &a));
		assert_int_equal(family, good[i].family);
		assert_true(a.hi == good[i].hi && a.lo == good[i].lo);
		assert_string_equal(router_addr_text(a, family, text), good[i].in);
	}
	assert_false(router_addr_parse("192.0.2", &family, &a));
	assert_false(router_addr_parse("2001:db8:::1", &family, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
