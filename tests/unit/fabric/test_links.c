/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a link carries at most, against the formulas of pcie-bench (Neugebauer et
 * al., SIGCOMM 2018) and, for Gen6, against FLIT arithmetic.
 *
 * The specification's tables of ACK limits are here as numbers; the fabric computes them.
 */
#include "rig.h"

static const unsigned int widths[] = { 1, 2, 4, 8, 16 };
static const uint32_t mpss[] = { 128, 256, 512, 1024, 2048, 4096 };
static const uint32_t sizes[] = { 1, 16, 64, 100, 128, 256, 520, 1024, 1500, 2048, 4096 };

/* PCI Express Base Specification 5.0, table 3-7 (Gen1), in symbol times; by width and MPS. */
static const unsigned int ack_limit[5][6] = {
	{ 237, 416, 559, 1071, 2095, 4143 }, { 128, 217, 289, 545, 1057, 2081 }, { 73, 118, 154, 282, 538, 1050 },
	{ 67, 107, 86, 150, 278, 534 },	     { 48, 72, 86, 150, 278, 534 },
};
/* Tables 3-8 and 3-9 have so much more in every place. */
static const unsigned int ack_more[] = { 0, 0, 51, 96, 96, 96 };
static const double gt[] = { 0, 2.5, 5, 8, 16, 32, 64 };

/* pcie-bench: Gb/s that TLPs may take. */
static double model_tlp_gbps(unsigned int gen, unsigned int w, unsigned int m)
{
	double raw = gt[gen] * widths[w] * (gen <= 2 ? 0.8 : 128.0 / 130.0);
	double limit = ack_limit[w][m] + ack_more[gen];

	return raw * (1 - 8 / limit - 8 / limit - 4.0 / 1538);
}

static double ceil_div(double a, double b)
{
	double q = (double)(uint64_t)(a / b);

	return q * b < a ? q + 1 : q;
}

/* Data in whole double words, as on the link; pcie-bench has it to the byte. */
static double dwords(uint32_t size)
{
	return (size + 3) / 4 * 4;
}

static double model_write_gbps(double tlp_gbps, double hdr, uint32_t mps, uint32_t size)
{
	return tlp_gbps * size / (ceil_div(size, mps) * hdr + dwords(size));
}

static double model_read_gbps(double tlp_gbps, double req_hdr, double cpl_hdr, uint32_t mps, uint32_t mrrs,
			      uint32_t size)
{
	double down = ceil_div(size, mps) * cpl_hdr + dwords(size), up = ceil_div(size, mrrs) * req_hdr;

	return tlp_gbps * size / (down > up ? down : up);
}

/* The formula counts completions by MPS alone, which is right where no request is shorter. */
static uint32_t mrrs_for(uint32_t mps)
{
	return mps < 512 ? 512 : mps;
}

/* ep0 - link - switch - ep1 without limits; ep0 requests as fast as it can. */
static double measure_gbps(const struct fab_link_cfg *link, uint32_t size, bool read, uint32_t mrrs, double expect_gbps)
{
	static struct rig_flow flow;
	struct fab_link_cfg free_link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct rig r;
	uint64_t before, ps = (uint64_t)(size * 8.0 / expect_gbps * 1000);

	fab_link_cfg_init(&free_link, 0, 0);
	free_link.mps = 4096;
	cfg.mrrs = mrrs;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 0);
	rig_endpoint(&r, sw, link, &cfg, 0);
	rig_endpoint(&r, sw, &free_link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&flow, &r, r.ep[0].node, r.ep[1].base, size, read, read ? 64 : 8, NULL);
	rig_run(&r, ps * 50);
	before = flow.done_bytes;
	rig_run(&r, ps * 300);
	flow.stop = true;
	before = flow.done_bytes - before;
	rig_close(&r);
	return (double)before * 8 * 1000 / (double)(ps * 300);
}

static void check(const struct fab_link_cfg *link, uint32_t size, bool read, uint32_t mrrs, double want)
{
	double got = measure_gbps(link, size, read, mrrs, want);

	if (got < want * 0.99 || got > want * 1.01)
		fail_msg("Gen%u x%u, MPS %u, %s of %u bytes: %.3f Gb/s, and the formula has %.3f", link->gen,
			 link->width, link->mps, read ? "reads" : "writes", size, got, want);
}

static void test_ceilings(void **state)
{
	for (unsigned int gen = 1; gen <= 5; gen++)
		for (unsigned int w = 0; w < 5; w++)
			for (unsigned int m = 0; m < 6; m++)
				for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
					struct fab_link_cfg link;
					uint32_t mrrs = mrrs_for(mpss[m]);
					double tlp = model_tlp_gbps(gen, w, m);

					fab_link_cfg_init(&link, gen, widths[w]);
					link.mps = mpss[m];
					check(&link, sizes[s], false, 4096,
					      model_write_gbps(tlp, 24, mpss[m], sizes[s]));
					check(&link, sizes[s], true, mrrs,
					      model_read_gbps(tlp, 24, 20, mpss[m], mrrs, sizes[s]));
				}
}

static void test_flit(void **state)
{
	for (unsigned int w = 0; w < 5; w++)
		for (unsigned int m = 0; m < 6; m++)
			for (unsigned int s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
				struct fab_link_cfg link;
				uint32_t mrrs = mrrs_for(mpss[m]);
				double tlp = 64.0 * widths[w] * 236 / 256;

				fab_link_cfg_init(&link, 6, widths[w]);
				link.mps = mpss[m];
				check(&link, sizes[s], false, 4096, model_write_gbps(tlp, 16, mpss[m], sizes[s]));
				check(&link, sizes[s], true, mrrs,
				      model_read_gbps(tlp, 16, 12, mpss[m], mrrs, sizes[s]));
			}
}

/* The two that design section 6 quotes. */
static void test_published(void **state)
{
	struct fab_link_cfg link;
	double gbps;

	fab_link_cfg_init(&link, 3, 8);
	link.mps = 128;
	gbps = fab_link_rate(&link) * 8e-9;
	assert_true(gbps > 56.665 && gbps < 56.675);
	link.mps = 256;
	gbps = fab_link_rate(&link) * 8e-9;
	assert_true(gbps > 57.875 && gbps < 57.885);
	link.dllp = FAB_DLLP_SHARE;
	link.dllp_share = 0.05;
	gbps = fab_link_rate(&link) * 8e-9;
	assert_true(gbps > 63.015 * 0.95 - 0.01 && gbps < 63.015 * 0.95 + 0.01);
}

static void test_tlp_bytes(void **state)
{
	for (unsigned int gen = 1; gen <= 5; gen++) {
		assert_int_equal(fab_tlp_bytes(gen, FAB_MWR, 64), 88);
		assert_int_equal(fab_tlp_bytes(gen, FAB_MWR, 1), 28);
		assert_int_equal(fab_tlp_bytes(gen, FAB_MRD, 512), 24);
		assert_int_equal(fab_tlp_bytes(gen, FAB_CPLD, 62), 84);
		assert_int_equal(fab_tlp_bytes(gen, FAB_CPL, 0), 20);
	}
	assert_int_equal(fab_tlp_bytes(6, FAB_MWR, 64), 80);
	assert_int_equal(fab_tlp_bytes(6, FAB_CPLD, 64), 76);
}

/* Both directions at once: neither slows the other down. */
static void test_duplex(void **state)
{
	static struct rig_flow a, b;
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct rig r;
	double want = model_write_gbps(model_tlp_gbps(3, 3, 1), 24, 256, 256);

	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_endpoint(&r, sw, &link, &cfg, 0);
	rig_finish(&r);
	rig_flow_start(&a, &r, r.ep[0].node, r.ep[1].base, 256, false, 8, NULL);
	rig_flow_start(&b, &r, r.ep[1].node, r.ep[0].base, 256, false, 8, NULL);
	rig_run(&r, 100 * FAB_PS_PER_NS * 1000);
	for (int k = 0; k < 2; k++) {
		struct rig_ep *e = &r.ep[k];
		double gbps = (double)(e->written - 256) * 8000 / (double)(e->last_ps - e->first_ps);

		assert_true(gbps > want * 0.99 && gbps < want * 1.01);
	}
	rig_close(&r);
}

/* Without limits everything happens at once. */
static void test_no_limits(void **state)
{
	static uint8_t src[65536], dst[65536];
	struct fab_link_cfg link = { .mps = 256 };
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct rig r;
	struct fab_node *top, *sw;
	struct fab_req w = { .data = src, .len = 65536 }, rd = { .data = dst, .len = 65536 };

	rig_open(&r, 1);
	top = rig_switch(&r, "top", NULL, NULL, 0);
	sw = rig_switch(&r, "sw", top, &link, 0);
	rig_endpoint(&r, top, &link, &cfg, 1 << 16);
	rig_endpoint(&r, sw, &link, &cfg, 1 << 16);
	rig_finish(&r);
	memset(src, 0x77, sizeof(src));
	w.addr = rd.addr = r.ep[1].base;
	fab_write(r.ep[0].node, &w);
	fab_read(r.ep[0].node, &rd);
	fab_queue_run(r.q, 0);
	assert_memory_equal(r.ep[1].mem, src, sizeof(src));
	assert_memory_equal(dst, src, sizeof(src));
	assert_int_equal(rd.got, 65536);
	assert_true(fab_idle(r.f));
	assert_int_equal(fab_queue_next(r.q), FAB_NEVER);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published), cmocka_unit_test(test_tlp_bytes), cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_flit),	  cmocka_unit_test(test_duplex),    cmocka_unit_test(test_no_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
