/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <faults/port.h>

static char err[FAULT_ERR_MAX];

static struct fault_set one(const char *rule)
{
	struct fault_set s = { 0 };

	assert_int_equal(fault_add(&s, rule, err), 0);
	return s;
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"", "drop", "drop:desc", "drop:desc:", "lose:desc:1", "drop:descs:1", "drop:desc:2", "drop:desc:-1", "drop:desc:nan",
		"drop:desc:0.1x", "drop:desc:1/0", "drop:desc:1/", "drop:desc:1,", "drop:desc:1,seed", "drop:desc:1,seed=",
		"drop:desc:1,ns=-1",
		"drop:desc:1,bytes=48", "drop:desc:1,bytes=2", "delay:desc:1,part", "drop:desc:1,bit=3", "flip:desc:1,bit=", "flip:desc:1,bit=-1", "stall:desc:1", "drop:nic:1", "stall:nic:1,local",
		"drop:desc:1,count=0", "dup:bell:1", "drop:desc:1,seed=18446744073709551616", "delay:desc:1,ns=2000g",
		"drop:desc:1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1,seed=1",
	};
	struct fault_set s = { 0 };
	unsigned int k;

	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		memset(err, 0, sizeof(err));
		if (fault_add(&s, bad[k], err) != -EINVAL || !*err || strchr(err, '\n') || s.n)
			fail_msg("'%s' is taken, or refused without a line: '%s'", bad[k], err);
	}
	for (k = 0; k < FAULT_RULES_MAX; k++)
		assert_int_equal(fault_add(&s, "drop:dma:0", err), 0);
	assert_int_equal(fault_add(&s, "drop:dma:0", err), -E2BIG);
}

static void every_nth(void **state)
{
	struct fault_set s = one("drop:desc:1/3,count=2");
	struct fault_dma d = { .kind = FAULT_ON_DESC, .len = 16 };
	struct fault_hit hit;
	unsigned int k, hits = 0;

	for (k = 1; k <= 12; k++) {
		bool struck = fault_dma(&s, &d, &hit);

		assert_int_equal(struck, k == 3 || k == 6);
		hits += struck;
		d.kind = FAULT_ON_PAYLOAD; /* nobody's */
		assert_false(fault_dma(&s, &d, &hit));
		d.kind = FAULT_ON_DESC;
	}
	assert_int_equal(hits, 2);
}

static void by_chance(void **state)
{
	struct fault_set a = one("drop:write:0.25,seed=5"), b = a, c = one("drop:write:0.25,seed=6");
	struct fault_dma d = { .kind = FAULT_ON_PAYLOAD, .len = 128 };
	unsigned int k, same = 0, other = 0;
	struct fault_hit hit;

	for (k = 0; k < 10000; k++) {
		bool x = fault_dma(&a, &d, &hit);

		same += x == fault_dma(&b, &d, &hit);
		other += x == fault_dma(&c, &d, &hit);
	}
	assert_int_equal(same, 10000);
	assert_true(other < 9000);
	assert_in_range(a.rule[0].hits, 2300, 2700);
	d.read = true;
	assert_false(fault_dma(&a, &d, &hit));
	d.read = false;
	d.local = true;
	k = (unsigned int)a.rule[0].seen;
	fault_dma(&a, &d, &hit);
	assert_int_equal(a.rule[0].seen, k);
}

/* What arrives of 256 bytes at a place of an odd alignment. */
static void pieces(void **state)
{
	static const char *const rules[] = {
		"drop:payload:1", "drop:payload:1,part", "truncate:payload:1,part", "truncate:payload:1", "flip:payload:1",
		"flip:payload:1,bit=102",
	};
	uint8_t src[256], dst[256], half[256];
	struct fault_dma d = { .kind = FAULT_ON_PAYLOAD, .addr = 0x1010, .len = 256, .unit = 64 };
	unsigned int r, k, n, bits, first, last;
	struct fault_hit hit;

	memset(src, 0xff, sizeof(src));
	for (r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
		struct fault_set s = one(rules[r]);

		for (n = 0; n < 200; n++) {
			assert_true(fault_dma(&s, &d, &hit));
			memset(dst, 0, sizeof(dst));
			memset(half, 0, sizeof(half));
			fault_move(&hit, dst, src, 0, 256);
			fault_move(&hit, half, src, 0, 100);
			fault_move(&hit, half, src, 100, 256);
			assert_memory_equal(dst, half, 256);
			for (k = bits = last = 0, first = 256; k < 256; k++) {
				bits += (unsigned int)__builtin_popcount((uint8_t)~dst[k]);
				if (dst[k] != 0xff) {
					first = k < first ? k : first;
					last = k;
				}
			}
			if (r == 0)
				assert_int_equal(bits, 8 * 256);
			if (r == 1)
				assert_true((0x1010 + first) / 64 == (0x1010 + last) / 64 && bits == 8 * (last - first + 1));
			if (r == 2)
				assert_true(last == 255 && (first == 0 || (0x1010 + first) % 64 == 0));
			if (r == 3)
				assert_true(last == 255 && first % 4 == 0);
			if (r >= 4)
				assert_int_equal(bits, 1);
			if (r == 5)
				assert_true(first == 12 && dst[12] == 0xbf);
		}
	}
}

static void times(void **state)
{
	struct fault_set s = one("delay:desc:1,ns=3m");
	struct fault_dma d = { .kind = FAULT_ON_DESC, .len = 16 };
	struct fault_hit hit;

	assert_int_equal(fault_add(&s, "dup:desc:1,ns=2k", err), 0);
	assert_int_equal(fault_add(&s, "stall:nic:1/2,ns=7", err), 0);
	assert_true(fault_dma(&s, &d, &hit));
	assert_int_equal(hit.delay_ns, 3000000);
	assert_true(hit.dup);
	assert_int_equal(hit.dup_ns, 2000);
	assert_int_equal(fault_now(&s, FAULT_STALL, FAULT_ON_NIC), 0);
	assert_int_equal(fault_now(&s, FAULT_STALL, FAULT_ON_NIC), 7);
	assert_int_equal(fault_now(&s, FAULT_CLOCK, FAULT_ON_NIC), 0);
}

/* ---- a cable ---- */

static unsigned int took(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return n;
}

static unsigned int gave(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	return n;
}

static void controlled(struct port *p, uint64_t now_ns)
{
}

static bool up(struct port *p)
{
	return true;
}

static unsigned int closed;

static void close_port(struct port *p)
{
	closed++;
}

static void cable(void **state)
{
	static const struct port_ops ops = {
		.tx_burst = took, .rx_burst = gave, .control = controlled, .link_up = up, .close = close_port,
	};
	struct fault_set none = one("drop:dma:1"), s = one("link:port:1/4,ns=2m");
	struct port p = { .ops = &ops };
	unsigned int k, downs = 0, slow = 0;

	assert_int_equal(fault_port(&p, &none, 1), 0);
	assert_ptr_equal(p.ops, &ops);
	assert_int_equal(fault_add(&s, "slow:port:1/5,ns=1m", err), 0);
	assert_int_equal(fault_port(&p, &s, 1), 0);
	for (k = 1; k <= 40; k++) {
		bool is_up;

		p.ops->control(&p, k * 1000000ull);
		is_up = p.ops->link_up(&p);
		downs += !is_up;
		slow += is_up && !p.ops->tx_burst(&p, NULL, 3);
		assert_int_equal(p.ops->rx_burst(&p, NULL, 2), is_up ? 2 : 0);
	}
	assert_int_equal(downs, 19); /* two looks each, of the last one */
	assert_in_range(slow, 1, 8);
	p.ops->close(&p);
	assert_int_equal(closed, 1);
	assert_ptr_equal(p.ops, &ops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused), cmocka_unit_test(every_nth), cmocka_unit_test(by_chance),
		cmocka_unit_test(pieces), cmocka_unit_test(times), cmocka_unit_test(cable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
