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
	static const uint32_t lens[] = { 1, 3, 4, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 4095, 4096, 4097, 65536 };
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
			struct fab_req w = { .addr = b->base + offsets[k], .data = src, .len = lens[i], .done = on_done };
			struct fab_req rd = { .addr = b->base + offsets[k], .data = dst + 8, .len = lens[i], .done = on_done };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
