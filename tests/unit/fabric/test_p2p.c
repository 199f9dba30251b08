/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoint to endpoint: a published measurement, and who gets what of a link that all want.
 *
 * The measurement: two Virtex-7, Gen2 x4, writing to each other through PCIe switches (Rumyantsev, Proceedings of
 * ISP RAS, 2013; design section 6): 1603 MB/s with 128-byte payloads, 1740 MB/s with 256; 0.7 us through one switch,
 * 1.0 us through three.  A PLX Gen2 switch has 140 ns (data sheet of the PEX 8609), a link is given 10 ns.  Two
 * parameters are fitted, each to the first of its pair: DLLPs take 5%, an FPGA 250 ns each way.
 * The second figures follow.
 */
#include "rig.h"

#define SWITCH_PS 140000
#define PROP_PS 10000
#define FPGA_PS 250000

static struct fab_link_cfg fpga_link(uint32_t mps)
{
	struct fab_link_cfg link;

	fab_link_cfg_init(&link, 2, 4);
	link.mps = mps;
	link.prop_ps = PROP_PS;
	link.dllp = FAB_DLLP_SHARE;
	link.dllp_share = 0.05;
	return link;
}

/* ep0 and ep1 with so many switches in a row between them. */
static void fpga_open(struct rig *r, unsigned int switches, uint32_t mps)
{
	struct fab_link_cfg link = fpga_link(mps);
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *top, *sw;

	cfg.latency_ps = FPGA_PS;
	rig_open(r, 1);
	sw = top = rig_switch(r, "sw0", NULL, NULL, SWITCH_PS);
	for (unsigned int k = 1; k < switches; k++) {
		char name[16];

		snprintf(name, sizeof(name), "sw%u", k);
		sw = rig_switch(r, name, sw, &link, SWITCH_PS);
	}
	rig_endpoint(r, top, &link, &cfg, 0);
	rig_endpoint(r, sw, &link, &cfg, 0);
	rig_finish(r);
}

static void fpga_rate(uint32_t payload, double want_mb_per_s)
{
	static struct rig_flow flow;
	struct rig r;
	double mb_per_s;

	fpga_open(&r, 1, payload);
	rig_flow_start(&flow, &r, r.ep[0].node, r.ep[1].base, 4096, false, 4, NULL);
	rig_run(&r, FAB_PS_PER_S / 1000);
	mb_per_s = (double)(r.ep[1].written - payload) * 1e6 / (double)(r.ep[1].last_ps - r.ep[1].first_ps);
	if (mb_per_s < want_mb_per_s * 0.95 || mb_per_s > want_mb_per_s * 1.05)
		fail_msg("%u-byte payloads: %.0f MB/s, measured were %.0f", payload, mb_per_s, want_mb_per_s);
	rig_close(&r);
}

static void fpga_latency(unsigned int switches, double want_us)
{
	struct rig r;
	struct fab_req w = { .len = 64 };
	double us;

	fpga_open(&r, switches, 128);
	w.addr = r.ep[1].base;
	fab_write(r.ep[0].node, &w);
	rig_run(&r, FAB_PS_PER_S / 1000);
	us = (double)r.ep[1].first_ps * 1e-6;
	if (us < want_us * 0.95 || us > want_us * 1.05)
		fail_msg("%u switches: %.3f us, measured were %.1f", switches, us, want_us);
	rig_close(&r);
}

static void test_fpga(void **state)
{
	fpga_rate(128, 1603);
	fpga_rate(256, 1740);
	fpga_latency(1, 0.7);
	fpga_latency(3, 1.0);
}

/* To the picosecond: way out, wire, switch, wire, way in, with the head passing through while the tail comes. */
static void test_cut_through(void **state)
{
	struct rig r;
	struct fab_link_cfg slow, fast;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_req w = { .len = 256 };
	struct fab_node *sw;

	for (int k = 0; k < 2; k++) {
		uint64_t span;

		fab_link_cfg_init(&slow, 1, 4);
		fab_link_cfg_init(&fast, 1, 8);
		slow.prop_ps = 1000;
		fast.prop_ps = 2000;
		cfg.latency_ps = 30000;
		rig_open(&r, 1);
		sw = rig_switch(&r, "sw", NULL, NULL, 100000);
		rig_endpoint(&r, sw, k ? &fast : &slow, &cfg, 0);
		rig_endpoint(&r, sw, k ? &slow : &fast, &cfg, 0);
		rig_finish(&r);
		w.addr = r.ep[1].base;
		fab_write(r.ep[0].node, &w);
		rig_run(&r, FAB_PS_PER_S / 1000);
		/* in either direction the slower link's 280 bytes at 1 ns, and not the faster one's 140 ns */
		span = 280000;
		assert_int_equal(r.ep[1].first_ps, 30000 + 1000 + 100000 + 2000 + span + 30000);
		rig_close(&r);
	}
}

/* Senders at these switches (each below the one before) write to ep0 at the first. */
static void fair(const unsigned int *at, unsigned int n, uint32_t len, const double *share)
{
	static struct rig_flow flow[4];
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw[3];
	struct rig r;
	uint64_t before[4], sum = 0;

	fab_link_cfg_init(&link, 3, 8);
	link.prop_ps = 5000;
	rig_open(&r, 1);
	sw[0] = rig_switch(&r, "sw0", NULL, NULL, 100000);
	sw[1] = rig_switch(&r, "sw1", sw[0], &link, 100000);
	sw[2] = rig_switch(&r, "sw2", sw[1], &link, 100000);
	rig_endpoint(&r, sw[0], &link, &cfg, 0);
	for (unsigned int k = 0; k < n; k++)
		rig_endpoint(&r, sw[at[k]], &link, &cfg, 0);
	rig_finish(&r);
	for (unsigned int k = 0; k < n; k++)
		rig_flow_start(&flow[k], &r, r.ep[k + 1].node, r.ep[0].base, len, false, 8, NULL);
	rig_run(&r, FAB_PS_PER_S / 10000);
	for (unsigned int k = 0; k < n; k++)
		before[k] = flow[k].done_bytes;
	rig_run(&r, FAB_PS_PER_S / 2000);
	for (unsigned int k = 0; k < n; k++)
		sum += flow[k].done_bytes - before[k];
	assert_true((double)sum > 0.97 * 0.0005 * fab_link_rate(&link) * len / (len + 24.0));
	for (unsigned int k = 0; k < n; k++) {
		double got = (double)(flow[k].done_bytes - before[k]) / (double)sum;

		if (got < share[k] * 0.98 || got > share[k] * 1.02)
			fail_msg("sender %u of %u, %u bytes: %.4f of the link, not %.4f", k, n, len, got, share[k]);
	}
	rig_close(&r);
}

static void test_fair(void **state)
{
	for (uint32_t len = 64; len <= 256; len *= 4) {
		fair((unsigned int[]){ 0, 0 }, 2, len, (double[]){ 0.5, 0.5 });
		fair((unsigned int[]){ 0, 0, 0 }, 3, len, (double[]){ 1 / 3.0, 1 / 3.0, 1 / 3.0 });
		/* however far one is */
		fair((unsigned int[]){ 0, 2 }, 2, len, (double[]){ 0.5, 0.5 });
		/* ports take turns: two behind one port share its turns */
		fair((unsigned int[]){ 0, 1, 1 }, 3, len, (double[]){ 0.5, 0.25, 0.25 });
	}
}

/* A target that takes its time holds the sender up to its own pace, through credits alone. */
static void test_backpressure(void **state)
{
	static struct rig_flow flow;
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node_stats st;
	struct fab_node *sw;
	struct rig r;
	const struct fab_dir_stats *up, *down;

	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	cfg.write_gap_ps = 100000; /* 10 million a second */
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&flow, &r, r.ep[0].node, r.ep[1].base, 64, false, 4, NULL);
	rig_run(&r, FAB_PS_PER_S / 10000);
	fab_stats_reset(r.f);
	flow.done_bytes = 0;
	rig_run(&r, FAB_PS_PER_S / 1000);
	assert_in_range(flow.done_bytes / 64, 9990, 10010);
	up = fab_link_stats(r.ep[0].node, true);
	down = fab_link_stats(r.ep[1].node, false);
	assert_in_range(up->tlps[FAB_MWR], 9990, 10010);
	assert_in_range(down->tlps[FAB_MWR], 9990, 10010);
	assert_int_equal(up->wire_bytes, up->tlps[FAB_MWR] * 88);
	/* always waiting for credits but while one is sent */
	assert_true(up->stall_ps[FAB_POSTED] > FAB_PS_PER_S / 1000 / 100 * 85);
	assert_true(down->stall_ps[FAB_POSTED] > FAB_PS_PER_S / 1000 / 100 * 85);
	assert_true(up->stall_ps[FAB_POSTED] <= FAB_PS_PER_S / 1000);
	assert_true(down->stall_ps[FAB_POSTED] <= FAB_PS_PER_S / 1000);
	assert_int_equal(up->stall_ps[FAB_NONPOSTED], 0);
	assert_in_range(down->queue_max, 60, 64);
	assert_int_equal(fab_waiting(r.ep[0].node, false), 4);
	fab_node_stats(r.ep[1].node, &st);
	assert_in_range(st.target_busy_ps, FAB_PS_PER_S / 1000 * 98 / 100, FAB_PS_PER_S / 1000 * 102 / 100);
	rig_close(&r);
}

/* Reads that wait for credits while writes flow past them are counted as waiting all the time. */
static void test_stall(void **state)
{
	static struct rig_flow writes, reads;
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	const struct fab_dir_stats *up;
	struct fab_node *sw;
	struct rig r;

	fab_link_cfg_init(&link, 3, 8);
	link.up.hdr[FAB_NONPOSTED] = 1;
	link.down.hdr[FAB_NONPOSTED] = 1;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	cfg.read_gap_ps = 10000000;
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&reads, &r, r.ep[0].node, r.ep[1].base, 64, true, 8, NULL);
	rig_flow_start(&writes, &r, r.ep[0].node, r.ep[1].base, 64, false, 8, NULL);
	rig_run(&r, FAB_PS_PER_S / 10000 + 8000000);
	fab_stats_reset(r.f);
	rig_run(&r, FAB_PS_PER_S / 1000);
	up = fab_link_stats(r.ep[0].node, true);
	assert_in_range(up->tlps[FAB_MRD], 99, 101);
	assert_true(up->busy_ps > FAB_PS_PER_S / 1000 / 100 * 98);
	assert_int_equal(up->stall_ps[FAB_POSTED], 0);
	assert_in_range(up->stall_ps[FAB_NONPOSTED], FAB_PS_PER_S / 1000 / 100 * 98, FAB_PS_PER_S / 1000);
	rig_close(&r);

	/* one credit, which is 20 us away: reset in the middle, asked for in the middle */
	link.up.hdr[FAB_POSTED] = 1;
	link.prop_ps = 10000000;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 0);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&writes, &r, r.ep[0].node, r.ep[1].base, 64, false, 1, NULL); /* sent, and one more */
	writes.stop = true;
	rig_run(&r, 7000000);
	fab_stats_reset(r.f);
	rig_run(&r, 4000000);
	assert_int_equal(fab_link_stats(r.ep[0].node, true)->stall_ps[FAB_POSTED], 4000000);
	rig_run(&r, 20000000);
	assert_in_range(fab_link_stats(r.ep[0].node, true)->stall_ps[FAB_POSTED], 13000000, 13100000);
	rig_close(&r);
}

/* The completer's latency, gap and rate. */
static void read_rate(uint64_t gap_ps, double bytes_per_s, uint32_t len, double want_bytes_per_s)
{
	static struct rig_flow flow;
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct rig r;
	double got;

	fab_link_cfg_init(&link, 4, 16);
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	cfg.read_gap_ps = gap_ps;
	cfg.read_bytes_per_s = bytes_per_s;
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&flow, &r, r.ep[0].node, r.ep[1].base, len, true, 32, NULL);
	rig_run(&r, FAB_PS_PER_S / 10000);
	flow.done_bytes = 0;
	rig_run(&r, FAB_PS_PER_S / 1000);
	got = (double)flow.done_bytes * 1000;
	if (got < want_bytes_per_s * 0.99 || got > want_bytes_per_s * 1.01)
		fail_msg("gap %llu ps, %g bytes/s: %g", (unsigned long long)gap_ps, bytes_per_s, got);
	rig_close(&r);
}

static void test_completer(void **state)
{
	struct fab_link_cfg link = { .mps = 256 };
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_req rd = { .len = 512 };
	struct fab_node *sw;
	struct rig r;

	read_rate(100000, 0, 64, 64e7);
	read_rate(0, 1e9, 1024, 1e9);
	read_rate(100000, 1e9, 64, 64e7);
	read_rate(100000, 1e9, 1024, 1e9);

	/* latency, then 256 of 512 bytes at 1 ns a byte before the second completion */
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 0);
	cfg.latency_ps = 10;
	rig_endpoint(&r, sw, &link, &cfg, 0);
	cfg.read_latency_ps = 5000;
	cfg.read_bytes_per_s = 1e9;
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rd.addr = r.ep[1].base;
	fab_read(r.ep[0].node, &rd);
	fab_queue_run(r.q, 5000 + 256000 + 40 - 1);
	assert_int_equal(rd.got, 0);
	fab_queue_run(r.q, 5000 + 256000 + 40);
	assert_int_equal(rd.got, 512);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fpga),  cmocka_unit_test(test_cut_through),
		cmocka_unit_test(test_fair),  cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_stall), cmocka_unit_test(test_completer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
