/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ordering rules (PCI Express Base Specification, table 2-40), one by one.
 *
 * a sends to b.  The limited link has one credit for a class and is long, so that a class's second TLP
 * waits 20 us for the first one's credit; then comes one of another class, which
 * has all credits.  Does it pass?  The limited link is a's own (the requester arbitrates) or b's (the switch does).
 */
#include "rig.h"

#define US 1000000ull
#define PROP_PS (10 * US)
#define READ_PS (200 * US) /* a's completions to b are ready at about 211 us */

struct log {
	const struct fab_node *link;
	bool up;
	unsigned int n;
	enum fab_type type[16];
	uint64_t at_ps[16], addr[16];
};

static void log_tlp(void *arg, const struct fab_tlp_view *v)
{
	struct log *l = arg;

	if (v->link != l->link || v->up != l->up)
		return;
	assert_true(l->n < 16);
	l->type[l->n] = v->type;
	l->at_ps[l->n] = v->at_ps;
	l->addr[l->n++] = v->addr;
}

struct scene {
	struct rig r;
	struct log log;
	struct fab_req req[8];
	unsigned int n;
};

static void scene_open(struct scene *s, enum fab_class scarce, bool at_source)
{
	struct fab_link_cfg link, limited;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct fab_credits *c;

	memset(s, 0, sizeof(*s));
	fab_link_cfg_init(&link, 3, 8);
	limited = link;
	limited.prop_ps = PROP_PS;
	c = at_source ? &limited.up : &limited.down;
	memset(c, 0, sizeof(*c));
	c->hdr[scarce] = 1;
	rig_open(&s->r, 1);
	sw = rig_switch(&s->r, "sw", NULL, NULL, 100000);
	cfg.read_latency_ps = READ_PS;
	rig_endpoint(&s->r, sw, at_source ? &limited : &link, &cfg, 0);
	cfg.read_latency_ps = 0;
	rig_endpoint(&s->r, sw, at_source ? &link : &limited, &cfg, 0);
	rig_finish(&s->r);
	s->log.link = s->r.ep[at_source ? 0 : 1].node;
	s->log.up = at_source;
	fab_trace(s->r.f, log_tlp, &s->log);
}

static void until(struct scene *s, uint64_t us)
{
	fab_queue_run(s->r.q, us * US);
}

/* A TLP of this class from a to b; completions (n of them, ready at 211 us) are asked for at the beginning. */
static void tlp(struct scene *s, enum fab_class cls, unsigned int n)
{
	while (n-- > 0) {
		struct fab_req *r = &s->req[s->n++];

		r->len = 64;
		r->addr = s->r.ep[cls == FAB_COMPLETION ? 0 : 1].base + s->n * 64;
		if (cls == FAB_POSTED)
			fab_write(s->r.ep[0].node, r);
		else
			fab_read(s->r.ep[cls == FAB_COMPLETION ? 1 : 0].node, r);
	}
}

static const enum fab_type type_of[] = { FAB_MWR, FAB_MRD, FAB_CPLD };
static const char *const name_of[] = { "posted", "non-posted", "completion" };

/* Two of class first, of which the second is held up; then one of class second. */
static void rule(enum fab_class first, enum fab_class second, bool passes)
{
	for (int at_source = 0; at_source < 2; at_source++) {
		struct scene s;
		unsigned int k, at[2] = { 0, 0 }, seen = 0, one = 99;

		scene_open(&s, first, at_source);
		if (first == FAB_COMPLETION)
			tlp(&s, first, 2);
		if (second == FAB_COMPLETION)
			tlp(&s, second, 1);
		until(&s, second == FAB_COMPLETION ? 205 : 215);
		if (first != FAB_COMPLETION)
			tlp(&s, first, 2);
		until(&s, 216);
		if (second != FAB_COMPLETION)
			tlp(&s, second, 1);
		until(&s, 1000);
		for (k = 0; k < s.log.n; k++) {
			if (s.log.type[k] == type_of[first] && seen < 2)
				at[seen++] = k;
			if (s.log.type[k] == type_of[second])
				one = k;
		}
		assert_int_equal(s.log.n, 3);
		assert_int_equal(seen, 2);
		assert_true(one != 99);
		/* the second did wait for its credit, and the other class would have been there before */
		assert_true(s.log.at_ps[at[1]] - s.log.at_ps[at[0]] >= 2 * PROP_PS);
		if ((one < at[1]) != passes)
			fail_msg("a %s TLP %s a %s TLP that is blocked, at the %s", name_of[second],
				 passes ? "does not pass" : "passes", name_of[first],
				 at_source ? "requester" : "switch");
		assert_true(fab_idle(s.r.f));
		rig_close(&s.r);
	}
}

static void test_posted_passes_read(void **state)
{
	rule(FAB_NONPOSTED, FAB_POSTED, true);
}

static void test_posted_passes_completion(void **state)
{
	rule(FAB_COMPLETION, FAB_POSTED, true);
}

static void test_completion_passes_read(void **state)
{
	rule(FAB_NONPOSTED, FAB_COMPLETION, true);
}

static void test_read_stays_behind_posted(void **state)
{
	rule(FAB_POSTED, FAB_NONPOSTED, false);
}

static void test_completion_stays_behind_posted(void **state)
{
	rule(FAB_POSTED, FAB_COMPLETION, false);
}

/* Nothing overtakes its own class. */
static void test_same_class(void **state)
{
	for (int k = 0; k < 3; k++)
		for (int at_source = 0; at_source < 2; at_source++) {
			struct scene s;

			scene_open(&s, (enum fab_class)k, at_source);
			tlp(&s, (enum fab_class)k, 6);
			until(&s, 1000);
			assert_int_equal(s.log.n, 6);
			for (unsigned int i = 1; i < 6; i++) {
				assert_true(s.log.addr[i] == s.log.addr[i - 1] + 64);
				assert_true(s.log.at_ps[i] - s.log.at_ps[i - 1] >= 2 * PROP_PS);
			}
			rig_close(&s.r);
		}
}

/* Another input's posted TLPs are nobody's business: a blocked port does not hold up reads from elsewhere. */
static void test_inputs_apart(void **state)
{
	struct scene s;
	struct fab_link_cfg link, limited;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;

	memset(&s, 0, sizeof(s));
	fab_link_cfg_init(&link, 3, 8);
	limited = link;
	limited.prop_ps = PROP_PS;
	limited.down.hdr[FAB_POSTED] = 1;
	rig_open(&s.r, 1);
	sw = rig_switch(&s.r, "sw", NULL, NULL, 100000);
	rig_endpoint(&s.r, sw, &link, &cfg, 0);
	rig_endpoint(&s.r, sw, &limited, &cfg, 0);
	rig_endpoint(&s.r, sw, &link, &cfg, 0);
	rig_finish(&s.r);
	s.log.link = s.r.ep[1].node;
	fab_trace(s.r.f, log_tlp, &s.log);
	tlp(&s, FAB_POSTED, 3);
	until(&s, 1);
	s.req[4] = (struct fab_req){ .addr = s.r.ep[1].base, .len = 64 };
	fab_read(s.r.ep[2].node, &s.req[4]);
	until(&s, 1000);
	assert_int_equal(s.log.n, 4);
	assert_int_equal(s.log.type[0], FAB_MWR);
	assert_int_equal(s.log.type[1], FAB_MRD);
	rig_close(&s.r);
}

/* Data credits that are too few for one input's TLP suffice for another's. */
static void test_small_fits(void **state)
{
	static const uint32_t lens[] = { 128, 256, 256, 64 };
	struct fab_req w[4] = { { .len = 0 } };
	struct log log = { .n = 0 };
	struct fab_link_cfg link, limited;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct rig r;

	fab_link_cfg_init(&link, 3, 8);
	limited = link;
	limited.prop_ps = PROP_PS;
	memset(&limited.down, 0, sizeof(limited.down));
	limited.down.data_bytes[FAB_POSTED] = 256;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	for (int k = 0; k < 4; k++)
		rig_endpoint(&r, sw, k ? &link : &limited, &cfg, 0);
	rig_finish(&r);
	log.link = r.ep[0].node;
	fab_trace(r.f, log_tlp, &log);
	/* ep1: 128, then 256 that don't fit beside it; ep2: 256 that don't either; ep3: 64 that do */
	for (int k = 0; k < 4; k++) {
		w[k].addr = r.ep[0].base + (uint64_t)k * 256;
		w[k].len = lens[k];
		fab_write(r.ep[k < 2 ? 1 : k].node, &w[k]);
		rig_run(&r, US);
	}
	assert_int_equal(log.n, 2);
	assert_int_equal(log.addr[1], w[3].addr);
	assert_true(log.at_ps[1] < 4 * US);
	rig_run(&r, 1000 * US);
	assert_int_equal(log.n, 4);
	assert_true(fab_idle(r.f));
	rig_close(&r);
}

/* As target: a read, and a completion, is not served before a write that came before it and takes its time. */
static uint64_t served_ps;
static uint8_t byte;

static void slow_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	served_ps = fab_now(arg);
	byte = data[0];
}

static void slow_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	memset(data, byte, len);
}

static void test_target(void **state)
{
	static const struct fab_target_ops ops = { slow_write, slow_read };
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw, *slow;
	struct rig r;
	uint8_t one = 1, other = 2, got = 0, back = 0;
	struct fab_req w0 = { .data = &other, .len = 1 }, w = { .data = &one, .len = 1 },
		       rd = { .data = &got, .len = 1 };
	struct fab_req from_slow = { .data = &back, .len = 1 };

	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 4096);
	cfg.base = 0;
	cfg.bytes = 4096;
	cfg.write_bytes_per_s = 1e5; /* 10 us a byte */
	assert_int_equal(fab_add_endpoint(r.f, "slow", sw, &link, &cfg, &ops, r.q, &slow, r.err), 0);
	rig_finish(&r);
	byte = 0;
	served_ps = 0;
	rd.addr = w0.addr = w.addr = 0;
	from_slow.addr = r.ep[0].base;
	fab_write(r.ep[0].node, &w0);
	fab_write(r.ep[0].node, &w);
	fab_read(r.ep[0].node, &rd);
	fab_read(slow, &from_slow); /* its completion follows the writes */
	rig_run(&r, 8 * US);
	assert_int_equal(served_ps, 0);
	rig_run(&r, 8 * US);
	assert_true(served_ps >= 10 * US);
	assert_int_equal(byte, 2);
	assert_int_equal(from_slow.got, 0);
	assert_int_equal(rd.got, 0);
	rig_run(&r, 8 * US);
	assert_true(served_ps >= 20 * US);
	assert_int_equal(from_slow.got, 1);
	assert_int_equal(rd.got, 1);
	assert_int_equal(got, 1);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_posted_passes_read),
		cmocka_unit_test(test_posted_passes_completion),
		cmocka_unit_test(test_completion_passes_read),
		cmocka_unit_test(test_read_stays_behind_posted),
		cmocka_unit_test(test_completion_stays_behind_posted),
		cmocka_unit_test(test_same_class),
		cmocka_unit_test(test_inputs_apart),
		cmocka_unit_test(test_small_fits),
		cmocka_unit_test(test_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
