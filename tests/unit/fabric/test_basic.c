/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes arrive where they belong, split as they must be, when they must. */
#include "rig.h"

static void on_done(struct fab_req *r)
{
	r->done = NULL;
}

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t k = 0; k < n; k++) {
		seed = seed * 1664525 + 1013904223;
		p[k] = (uint8_t)(seed >> 24);
	}
}

static void test_write_read(void **state)
{
	static const uint32_t lens[] = {
		1, 3, 4, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 4095, 4096, 4097, 65536
	};
	static const uint32_t offsets[] = { 0, 1, 2, 3, 5, 63, 64, 100, 2047, 4000, 4093, 4095 };
	static uint8_t src[65536 + 16], dst[65536 + 16], want[65536 + 16];
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct rig r;
	struct fab_node *sw;
	struct rig_ep *a, *b;

	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	cfg.tags = 4;
	cfg.mrrs = 512;
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	a = rig_endpoint(&r, sw, &link, &cfg, 1 << 20);
	link.mps = 128;
	b = rig_endpoint(&r, sw, &link, &cfg, 1 << 20);
	rig_finish(&r);
	(void)a;
	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (unsigned int k = 0; k < sizeof(offsets) / sizeof(offsets[0]); k++) {
			struct fab_req w = {
				.addr = b->base + offsets[k], .data = src, .len = lens[i], .done = on_done
			};
			struct fab_req rd = {
				.addr = b->base + offsets[k], .data = dst + 8, .len = lens[i], .done = on_done
			};

			fill(src, sizeof(src), i * 100 + k);
			fill(b->mem, 1 << 17, i + k + 7);
			memset(dst, 0x11, sizeof(dst));
			memcpy(want, dst, sizeof(dst));
			memcpy(want + 8, src, lens[i]);
			fab_write(a->node, &w);
			fab_read(a->node, &rd); /* does not pass the write */
			rig_run(&r, FAB_PS_PER_S / 100);
			assert_null(w.done);
			assert_null(rd.done);
			assert_false(rd.lost);
			assert_memory_equal(b->mem + offsets[k], src, lens[i]);
			assert_memory_equal(dst, want, sizeof(dst));
			assert_true(fab_idle(r.f));
		}
	rig_close(&r);
}

/* An endpoint's own addresses: no link, but the way out and in, and the target's pace. */
static void test_turn(void **state)
{
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	uint8_t src[1000], dst[1000];
	struct fab_req w[3] = { { .len = 64 }, { .len = 64 }, { .data = src, .len = 1000, .done = on_done } };
	struct fab_req rd[2] = { { .len = 64 }, { .data = dst, .len = 1000, .done = on_done } };
	struct rig r;
	struct fab_node *sw;

	fab_link_cfg_init(&link, 3, 8);
	cfg.latency_ps = 50000;
	cfg.write_gap_ps = 7000;
	cfg.tags = 1;
	cfg.mrrs = 128;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	rig_endpoint(&r, sw, &link, &cfg, 4096);
	rig_finish(&r);
	fill(src, sizeof(src), 3);
	for (int k = 0; k < 3; k++) {
		w[k].addr = r.ep[0].base + (uint64_t)k * 64;
		fab_write(r.ep[0].node, &w[k]);
	}
	assert_null(w[2].done);
	rd[0].addr = r.ep[0].base;
	rd[1].addr = w[2].addr;
	fab_read(r.ep[0].node, &rd[0]);
	fab_read(r.ep[0].node, &rd[1]);
	assert_int_equal(fab_waiting(r.ep[0].node, true), 1);
	rig_run(&r, FAB_PS_PER_S / 1000);
	assert_int_equal(r.ep[0].first_ps, 100000);
	assert_int_equal(r.ep[0].last_ps, 100000 + 5 * 7000);
	assert_null(rd[1].done);
	assert_memory_equal(dst, src, sizeof(src));
	assert_int_equal(fab_link_stats(r.ep[0].node, true)->wire_bytes, 0);
	assert_true(fab_idle(r.f));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_read),
		cmocka_unit_test(test_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
