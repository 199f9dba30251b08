/* SPDX-License-Identifier: BSD-3-Clause */
/* What gets lost: a write vanishes whole TLP by TLP, a read times out and leaves its destination alone. */
#include "rig.h"

#define US 1000000ull
#define TIMEOUT_PS (50 * US)

static void on_done(struct fab_req *r)
{
	r->done = NULL;
}

static bool no_limit; /* of the switch's buffers */

static void lossy_open(struct rig *r, const struct fab_loss *loss, uint64_t seed, const struct fab_link_cfg *last)
{
	struct fab_switch_cfg sw_cfg = { .latency_ps = 100000, .loss = *loss };
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;

	fab_link_cfg_init(&link, 3, 8);
	if (no_limit)
		memset(&link.up, 0, sizeof(link.up));
	cfg.timeout_ps = TIMEOUT_PS;
	cfg.mrrs = 512;
	cfg.tags = 8;
	rig_open(r, seed);
	assert_int_equal(fab_add_switch(r->f, "sw", NULL, NULL, &sw_cfg, &sw, r->err), 0);
	rig_endpoint(r, sw, &link, &cfg, 1 << 20);
	rig_endpoint(r, sw, last ? last : &link, &cfg, 1 << 20);
	rig_finish(r);
}

/* Every TLP of a type is lost. */
static void test_all_lost(void **state)
{
	static const enum fab_type types[] = { FAB_MWR, FAB_MRD, FAB_CPLD };

	for (unsigned int k = 0; k < 3; k++) {
		struct fab_loss loss = { .congested = false };
		struct rig r;
		uint8_t src[1024], dst[1024], zero[1024] = { 0 };
		struct fab_req w = { .data = src, .len = 1024, .done = on_done };
		struct fab_req rd = { .data = dst, .len = 1024, .done = on_done };
		struct fab_node_stats st;

		loss.ppm[types[k]] = 1000000;
		lossy_open(&r, &loss, 1, NULL);
		memset(src, 0xa1, sizeof(src));
		memset(dst, 0xd5, sizeof(dst));
		w.addr = r.ep[1].base;
		rd.addr = r.ep[1].base + 4096;
		memset(r.ep[1].mem + 4096, 0x77, 1024);
		fab_write(r.ep[0].node, &w);
		fab_read(r.ep[0].node, &rd);
		rig_run(&r, TIMEOUT_PS - 1);
		assert_null(w.done);
		assert_true(types[k] == FAB_MWR ? !rd.done : !!rd.done);
		rig_run(&r, 10 * US);
		assert_null(rd.done);
		fab_node_stats(r.ep[0].node, &st);
		if (types[k] == FAB_MWR) {
			assert_memory_equal(r.ep[1].mem, zero, 1024);
			assert_false(rd.lost);
			for (int i = 0; i < 1024; i++)
				assert_int_equal(dst[i], 0x77);
			assert_int_equal(fab_link_stats(r.ep[0].node, true)->lost[FAB_MWR], 4);
		} else {
			assert_memory_equal(r.ep[1].mem, src, 1024);
			assert_true(rd.lost);
			for (int i = 0; i < 1024; i++)
				assert_int_equal(dst[i], 0xd5);
			assert_int_equal(st.timeouts, 2);
			if (types[k] == FAB_MRD)
				assert_int_equal(fab_link_stats(r.ep[0].node, true)->lost[FAB_MRD], 2);
			else
				assert_int_equal(fab_link_stats(r.ep[1].node, true)->lost[FAB_CPLD], 4);
		}
		assert_true(fab_idle(r.f));
		rig_close(&r);
	}
}

/* A core's read, of a device behind a switch that loses it: lost in time, or waiting for ever where no time is set. */
static void test_core(void **state)
{
	for (unsigned int k = 0; k < 3; k++) {
		struct fab_root_cfg root_cfg = rig_root_cfg();
		struct fab_switch_cfg sw_cfg = { .latency_ps = 100000 };
		struct fab_ep_cfg cfg = rig_ep_cfg();
		struct fab_link_cfg link;
		struct fab_node *root, *sw;
		struct fab_node_stats st;
		struct rig r;
		uint8_t dst[100];
		struct fab_req rd = { .data = dst, .len = 100, .done = on_done };

		root_cfg.timeout_ps = k < 2 ? TIMEOUT_PS : 0;
		sw_cfg.loss.ppm[FAB_CPLD] = k ? 1000000 : 0;
		fab_link_cfg_init(&link, 3, 8);
		rig_open(&r, 1);
		assert_int_equal(fab_add_root(r.f, "root", &root_cfg, NULL, NULL, &root, r.err), 0);
		assert_int_equal(fab_add_switch(r.f, "sw", root, &link, &sw_cfg, &sw, r.err), 0);
		rig_endpoint(&r, sw, &link, &cfg, 4096);
		rig_finish(&r);
		memset(r.ep[0].mem, 0x77, 4096);
		memset(dst, 0xd5, sizeof(dst));
		rd.addr = r.ep[0].base;
		fab_read(root, &rd);
		rig_run(&r, TIMEOUT_PS - 1);
		assert_int_equal(!rd.done, k == 0);
		rig_run(&r, 10 * TIMEOUT_PS);
		assert_int_equal(!rd.done, k < 2);
		assert_int_equal(rd.lost, k == 1);
		for (unsigned int i = 0; i < sizeof(dst); i++)
			assert_int_equal(dst[i], k ? 0xd5 : 0x77);
		fab_node_stats(root, &st);
		assert_int_equal(st.timeouts, k == 1 ? 2 : 0); /* a core's TLPs are lines of 64 bytes */
		assert_int_equal(fab_idle(r.f), k < 2);
		rig_close(&r);
	}
}

/* Some are: reads that came through are right, those that did not are untouched, and tags come back. */
static void test_some_lost(void **state)
{
	unsigned int lost = 0, came = 0;
	struct fab_loss loss = { .ppm = { 50000, 50000, 50000, 0 } };
	struct fab_node_stats st;
	struct rig r;

	lossy_open(&r, &loss, 5, NULL);
	for (uint32_t i = 0; i < 1 << 20; i++)
		r.ep[1].mem[i] = (uint8_t)(i * 7 + (i >> 8));
	for (unsigned int k = 0; k < 500; k++) {
		uint8_t dst[2000];
		struct fab_req rd = { .addr = r.ep[1].base + k * 1111, .data = dst, .len = 1 + k * 4, .done = on_done };

		memset(dst, 0x3c, sizeof(dst));
		fab_read(r.ep[0].node, &rd);
		rig_run(&r, 4 * TIMEOUT_PS);
		assert_null(rd.done);
		for (uint32_t i = 0; i < sizeof(dst); i++) {
			uint32_t at = k * 1111 + i;
			uint8_t want = rd.lost || i >= rd.len ? 0x3c : (uint8_t)(at * 7 + (at >> 8));

			assert_int_equal(dst[i], want);
		}
		if (rd.lost)
			lost++;
		else
			came++;
	}
	assert_true(lost > 50 && came > 50);
	fab_node_stats(r.ep[0].node, &st);
	assert_true(st.timeouts >= lost);
	assert_int_equal(st.unexpected, 0);
	assert_true(fab_idle(r.f));
	rig_close(&r);
}

/* Completions that come after the time-out are dropped, though their tag is in use again. */
static void test_late(void **state)
{
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node_stats st;
	struct fab_node *sw;
	struct rig r;
	uint8_t dst[2][256];
	struct fab_req first = { .data = dst[0], .len = 256, .done = on_done };
	struct fab_req second = { .data = dst[1], .len = 256, .done = on_done };

	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	cfg.tags = 1;
	cfg.timeout_ps = TIMEOUT_PS;
	rig_endpoint(&r, sw, &link, &cfg, 4096);
	cfg.read_latency_ps = 60 * US; /* the first's completion comes at 60 us, when the second has the tag */
	rig_endpoint(&r, sw, &link, &cfg, 4096);
	cfg.read_latency_ps = 40 * US;
	rig_endpoint(&r, sw, &link, &cfg, 4096);
	rig_finish(&r);
	memset(r.ep[1].mem, 1, 4096);
	memset(r.ep[2].mem, 2, 4096);
	memset(dst, 0x3c, sizeof(dst));
	first.addr = r.ep[1].base;
	second.addr = r.ep[2].base;
	fab_read(r.ep[0].node, &first);
	fab_read(r.ep[0].node, &second);
	assert_int_equal(fab_waiting(r.ep[0].node, true), 1);
	rig_run(&r, 75 * US);
	assert_null(first.done);
	assert_true(first.lost);
	assert_int_equal(fab_waiting(r.ep[0].node, true), 0);
	fab_node_stats(r.ep[0].node, &st);
	assert_int_equal(st.timeouts, 1);
	assert_int_equal(st.unexpected, 1);
	assert_non_null(second.done);
	rig_run(&r, 75 * US);
	assert_null(second.done);
	assert_false(second.lost);
	for (int k = 0; k < 256; k++) {
		assert_int_equal(dst[0][k], 0x3c);
		assert_int_equal(dst[1][k], 2);
	}
	assert_true(fab_idle(r.f));
	rig_close(&r);
}

/* A congested component drops what it can't pass on, and nobody waits; one that is not lossy makes them wait. */
static void test_congested(void **state)
{
	static struct rig_flow flow;
	static struct fab_req rd;

	/* 2: its buffers have no end, and what lies below has; 3: its buffers have an end, and what lies below has none
	 */
	for (int lossy = 0; lossy < 4; lossy++) {
		struct fab_loss loss = { .congested = lossy > 0 };
		struct fab_link_cfg slow;
		const struct fab_dir_stats *up;
		struct rig r;
		uint64_t ps = FAB_PS_PER_S / 5000;
		uint8_t byte = 0;

		fab_link_cfg_init(&slow, 1, 1);
		if (lossy == 3)
			memset(&slow.down, 0, sizeof(slow.down));
		no_limit = lossy == 2;
		slow.prop_ps = 20 * US;
		lossy_open(&r, &loss, 1, &slow);
		rig_flow_start(&flow, &r, r.ep[0].node, r.ep[1].base, 256, false, 8, NULL);
		rig_run(&r, ps);
		up = fab_link_stats(r.ep[0].node, true);
		if (lossy) {
			/* the fast link runs at its own pace */
			assert_true(up->busy_ps > ps / 100 * 99);
			assert_int_equal(up->stall_ps[FAB_POSTED], 0);
			assert_true(up->lost[FAB_MWR] > up->tlps[FAB_MWR] / 2);
		} else {
			assert_true(up->busy_ps < ps / 10);
			assert_true(up->stall_ps[FAB_POSTED] > ps / 2);
			assert_int_equal(up->lost[FAB_MWR], 0);
		}
		/* what was not lost has come in the end, and reads are never dropped for congestion */
		flow.stop = true;
		rd = (struct fab_req){ .addr = r.ep[1].base, .data = &byte, .len = 1, .done = on_done };
		rig_run(&r, FAB_PS_PER_S / 100);
		fab_read(r.ep[0].node, &rd);
		rig_run(&r, FAB_PS_PER_S / 100);
		assert_null(rd.done);
		assert_false(rd.lost);
		assert_int_equal(r.ep[1].written, (up->tlps[FAB_MWR] - up->lost[FAB_MWR]) * 256);
		assert_true(fab_idle(r.f));
		rig_close(&r);
	}
}

/* Nobody's address: a read brings all ones at once, a write vanishes; both are counted at the top. */
static void test_unsupported(void **state)
{
	for (int with_root = 0; with_root < 2; with_root++) {
		struct fab_root_cfg root_cfg = rig_root_cfg();
		struct fab_link_cfg link;
		struct fab_ep_cfg cfg = rig_ep_cfg();
		struct fab_node_stats st;
		struct fab_node *top, *sw;
		struct rig r;
		uint8_t src[64] = { 0 }, dst[8192 + 1];
		struct fab_req w = { .addr = 0xdead0000000, .data = src, .len = 64, .done = on_done };
		struct fab_req rd = { .addr = 0xdead0000000, .data = dst, .len = 64, .done = on_done };

		fab_link_cfg_init(&link, 3, 8);
		rig_open(&r, 1);
		if (with_root)
			assert_int_equal(fab_add_root(r.f, "top", &root_cfg, NULL, NULL, &top, r.err), 0);
		else
			top = rig_switch(&r, "top", NULL, NULL, 1000);
		sw = rig_switch(&r, "sw", top, &link, 1000);
		rig_endpoint(&r, sw, &link, &cfg, RIG_WINDOW);
		rig_endpoint(&r, sw, &link, &cfg, RIG_WINDOW);
		rig_finish(&r);
		memset(dst, 0x3c, sizeof(dst));
		fab_write(r.ep[0].node, &w);
		fab_read(r.ep[0].node, &rd);
		rig_run(&r, 100 * US);
		assert_null(w.done);
		assert_null(rd.done);
		assert_true(rd.lost);
		for (int k = 0; k < 64; k++)
			assert_int_equal(dst[k], 0xff);
		assert_int_equal(dst[64], 0x3c);
		fab_node_stats(top, &st);
		assert_int_equal(st.unsupported, 2);
		/* half of it is somebody's */
		memset(r.ep[1].mem + RIG_WINDOW - 4096, 0x21, 4096);
		rd.done = on_done;
		rd.addr = r.ep[1].base + RIG_WINDOW - 4096;
		rd.len = 8192;
		fab_read(r.ep[0].node, &rd);
		rig_run(&r, 100 * US);
		assert_true(rd.lost);
		for (int k = 0; k < 8192; k++)
			assert_int_equal(dst[k], k < 4096 ? 0x21 : 0xff);
		assert_int_equal(dst[8192], 0x3c);
		assert_true(fab_idle(r.f));
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_lost),  cmocka_unit_test(test_some_lost),   cmocka_unit_test(test_core),
		cmocka_unit_test(test_late),	  cmocka_unit_test(test_congested), cmocka_unit_test(test_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
