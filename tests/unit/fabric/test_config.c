/* SPDX-License-Identifier: BSD-3-Clause */
/* What can't be built is refused with one line that names the node. */
#include <errno.h>

#include "rig.h"

static char err[FAB_ERR_MAX];

static void refused(int got, const char *name, const char *what)
{
	assert_int_equal(got, -EINVAL);
	assert_null(strchr(err, '\n'));
	if (!strstr(err, name) || !strstr(err, what))
		fail_msg("the error should name %s and \"%s\": %s", name, what, err);
	err[0] = 0;
}

struct site {
	struct rig r;
	struct fab_node *sw, *n;
	struct fab_link_cfg link;
	struct fab_ep_cfg ep;
};

static void site_open(struct site *s)
{
	rig_open(&s->r, 1);
	s->sw = rig_switch(&s->r, "sw", NULL, NULL, 0);
	fab_link_cfg_init(&s->link, 3, 8);
	s->ep = rig_ep_cfg();
}

static int add(struct site *s, const char *name)
{
	return fab_add_endpoint(s->r.f, name, s->sw, &s->link, &s->ep, &rig_ops, NULL, &s->n, err);
}

/* Credits given afterwards are checked as those given at once, and are the link's. */
static void check_credits(struct site *s)
{
	struct fab_credits few = { .hdr = { 2, 2, 2 }, .data_bytes = { 256, 256, 128 } };

	refused(fab_link_credits(s->n, false, &few, err), "nic", "128 bytes of completion credits at the link's lower end");
	few.data_bytes[FAB_COMPLETION] = 256;
	refused(fab_link_credits(s->sw, true, &few, err), "sw", "credits are given");
	assert_int_equal(fab_link_credits(s->n, true, &few, err), 0);
	assert_int_equal(fab_node_link(s->n)->up.hdr[FAB_POSTED], 2);
	assert_int_equal(fab_node_link(s->n)->down.hdr[FAB_POSTED], 64);
	assert_int_equal(fab_finish(s->r.f, err), 0);
	refused(fab_link_credits(s->n, true, &few, err), "nic", "finished");
}

static void test_links(void **state)
{
	struct site s;
	struct fab_link_cfg good;

	site_open(&s);
	good = s.link;
	s.link.gen = 7;
	refused(add(&s, "nic"), "nic", "Gen7");
	s.link = good;
	s.link.width = 3;
	refused(add(&s, "nic"), "nic", "x3");
	s.link.width = 32;
	refused(add(&s, "nic"), "nic", "x32");
	s.link = good;
	s.link.mps = 200;
	refused(add(&s, "nic"), "nic", "MPS of 200");
	s.link.mps = 64;
	refused(add(&s, "nic"), "nic", "MPS of 64");
	s.link.mps = 8192;
	refused(add(&s, "nic"), "nic", "MPS of 8192");
	s.link = good;
	s.link.down.data_bytes[FAB_POSTED] = 128;
	refused(add(&s, "nic"), "nic", "128 bytes of posted credits at the link's lower end");
	s.link = good;
	s.link.up.data_bytes[FAB_COMPLETION] = 240;
	refused(add(&s, "nic"), "nic", "240 bytes of completion credits at the link's upper end");
	s.link = good;
	s.link.up.hdr[FAB_NONPOSTED] = 100000;
	refused(add(&s, "nic"), "nic", "100000 non-posted header credits");
	s.link = good;
	s.link.dllp = FAB_DLLP_SHARE;
	s.link.dllp_share = 1;
	refused(add(&s, "nic"), "nic", "share of 1");
	s.link = good;
	s.link.bit_error_rate = 0.01;
	refused(add(&s, "nic"), "nic", "0.01 of its bits");
	s.link.bit_error_rate = -1e-9;
	refused(add(&s, "nic"), "nic", "-1e-09 of its bits");
	s.link = good;
	assert_int_equal(add(&s, "nic"), 0);
	check_credits(&s);
	rig_close(&s.r);
}

static void test_endpoints(void **state)
{
	struct site s;
	struct fab_ep_cfg good;
	struct fab_node *n;

	site_open(&s);
	good = s.ep;
	s.ep.tags = 0;
	refused(add(&s, "nic"), "nic", "0 tags");
	s.ep.tags = 1025;
	refused(add(&s, "nic"), "nic", "1025 tags");
	s.ep = good;
	s.ep.mrrs = 100;
	refused(add(&s, "nic"), "nic", "MRRS of 100");
	s.ep = good;
	s.ep.rcb = 32;
	refused(add(&s, "nic"), "nic", "RCB of 32");
	s.ep = good;
	s.ep.read_bytes_per_s = -1;
	refused(add(&s, "nic"), "nic", "-1 bytes/s");
	s.ep = good;
	s.ep.bytes = 1000;
	refused(add(&s, "nic"), "nic", "whole pages");
	s.ep.bytes = 4096;
	s.ep.base = 0xfffffffffffff000;
	assert_int_equal(add(&s, "last"), 0);
	s.ep.bytes = 8192;
	refused(add(&s, "nic"), "nic", "beyond 64 bits");
	s.ep = good;
	refused(add(&s, ""), "name", "1 to 47");
	refused(add(&s, "a-name-that-is-far-too-long-for-any-node-in-any-fabric"), "name", "1 to 47");
	refused(fab_add_endpoint(s.r.f, "nic", NULL, NULL, &s.ep, &rig_ops, NULL, &n, err), "nic", "no root");
	assert_int_equal(add(&s, "nic"), 0);
	s.sw = s.n;
	refused(add(&s, "below"), "below", "nic, which is an endpoint");
	rig_close(&s.r);
}

static void test_trees(void **state)
{
	struct fab_switch_cfg sw_cfg = { .lanes = 48 };
	struct fab_root_cfg root_cfg = rig_root_cfg();
	struct site s;
	struct fab_node *sw, *n;

	/* two roots; ports; a node after the end; the end twice */
	site_open(&s);
	refused(fab_add_switch(s.r.f, "other", NULL, NULL, &sw_cfg, &n, err), "other", "second root");
	for (int k = 0; k < FAB_MAX_PORTS; k++)
		assert_int_equal(add(&s, "nic"), 0);
	refused(add(&s, "one-more"), "one-more", "64 ports");
	rig_finish(&s.r);
	refused(add(&s, "late"), "late", "finished");
	refused(fab_finish(s.r.f, err), "", "once");
	rig_close(&s.r);

	/* no root */
	rig_open(&s.r, 1);
	refused(fab_finish(s.r.f, err), "", "without a root");
	rig_close(&s.r);

	/* lanes: 16 + 4 x 8 = 48 fit, one more does not */
	for (int more = 0; more < 2; more++) {
		rig_open(&s.r, 1);
		root_cfg.lanes = 16;
		assert_int_equal(fab_add_root(s.r.f, "root", &root_cfg, NULL, NULL, &n, err), 0);
		s.link.width = 16;
		assert_int_equal(fab_add_switch(s.r.f, "plx", n, &s.link, &sw_cfg, &sw, err), 0);
		s.sw = sw;
		s.link.width = 8;
		for (int k = 0; k < 4 + more; k++)
			assert_int_equal(add(&s, "nic"), 0);
		if (more)
			refused(fab_finish(s.r.f, err), "plx", "56 lanes, and it has 48");
		else
			assert_int_equal(fab_finish(s.r.f, err), 0);
		rig_close(&s.r);
	}

	/* the same at the root complex */
	rig_open(&s.r, 1);
	root_cfg.lanes = 8;
	assert_int_equal(fab_add_root(s.r.f, "root", &root_cfg, NULL, NULL, &s.sw, err), 0);
	assert_int_equal(add(&s, "a"), 0);
	assert_int_equal(add(&s, "b"), 0);
	refused(fab_finish(s.r.f, err), "root", "16 lanes, and it has 8");
	rig_close(&s.r);
}

static void test_addresses(void **state)
{
	struct site s;
	struct fab_root_cfg root_cfg = rig_root_cfg();

	fab_link_cfg_init(&s.link, 3, 8);
	s.ep = rig_ep_cfg();
	for (int overlap = 0; overlap < 2; overlap++) {
		rig_open(&s.r, 1);
		assert_int_equal(fab_add_root(s.r.f, "root", &root_cfg, NULL, NULL, &s.sw, err), 0);
		s.ep.base = root_cfg.mem_bytes;
		s.ep.bytes = 8192;
		assert_int_equal(add(&s, "a"), 0);
		s.ep.base += overlap ? 4096 : 8192;
		assert_int_equal(add(&s, "b"), 0);
		if (overlap)
			refused(fab_finish(s.r.f, err), "b", "which a has too");
		else
			assert_int_equal(fab_finish(s.r.f, err), 0);
		rig_close(&s.r);
	}
	rig_open(&s.r, 1);
	assert_int_equal(fab_add_root(s.r.f, "root", &root_cfg, NULL, NULL, &s.sw, err), 0);
	s.ep.base = root_cfg.mem_bytes - 4096;
	assert_int_equal(add(&s, "a"), 0);
	refused(fab_finish(s.r.f, err), "a", "which root has too");
	rig_close(&s.r);
}

static int add_root(const struct fab_root_cfg *cfg)
{
	struct rig r;
	struct fab_node *n;
	int got;

	rig_open(&r, 1);
	got = fab_add_root(r.f, "rc", cfg, NULL, NULL, &n, err);
	rig_close(&r);
	return got;
}

static void test_root(void **state)
{
	struct fab_root_cfg cfg = rig_root_cfg();

	cfg.rcb = 256;
	refused(add_root(&cfg), "rc", "RCB of 256");
	cfg = rig_root_cfg();
	cfg.mem.channels = 0;
	refused(add_root(&cfg), "rc", "without a channel");
	cfg = rig_root_cfg();
	cfg.mem.channel_bytes_per_s = -5;
	refused(add_root(&cfg), "rc", "-5 bytes/s");
	cfg = rig_root_cfg();
	cfg.mem.ddio_evict = 2;
	refused(add_root(&cfg), "rc", "share of 2");
	cfg = rig_root_cfg();
	cfg.loss.ppm[FAB_MRD] = 1000001;
	refused(add_root(&cfg), "rc", "1000001");
	cfg = rig_root_cfg();
	cfg.iommu = (struct fab_iommu_cfg){ .entries = 10, .ways = 4, .page_bytes = 4096 };
	refused(add_root(&cfg), "rc", "10 entries");
	cfg = rig_root_cfg();
	assert_int_equal(add_root(&cfg), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_links),	  cmocka_unit_test(test_endpoints), cmocka_unit_test(test_trees),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
