/* SPDX-License-Identifier: BSD-3-Clause */
/* Main memory as devices see it, and what cores post to devices. */
#include "host_rig.h"

#include <boards/sim/host_internal.h>

#define BAR (1ull << 45)
#define BAR_BYTES (64u << 10)

struct seen {
	uint64_t off, at_ps;
	uint32_t len;
	uint8_t data[SIM_POST_BYTES];
};

static struct rig r;
static struct fab_node *device;
static struct seen bell[64], landed[64];
static unsigned int bells, landings, done;
static bool lost;

static void on_bell(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	struct seen *s = &bell[bells++];

	s->off = addr - BAR;
	s->len = len;
	memcpy(s->data, data, len);
}

static void on_landed(void *arg, uint64_t off, uint32_t len)
{
	assert_ptr_equal(arg, &r);
	landed[landings++] = (struct seen){ .off = off, .len = len, .at_ps = fab_now(sim_world_queue(r.w)) };
}

static void on_done(struct fab_req *q)
{
	done++;
	lost = q->lost;
}

static int setup(void **state)
{
	static const struct fab_target_ops ops = { .write = on_bell };
	struct fab_ep_cfg ep = { .base = BAR, .bytes = BAR_BYTES, .tags = 64, .mrrs = 512, .rcb = 64,
				 .timeout_ps = RIG_MS };
	struct fab_link_cfg link;

	rig_profiles(&r);
	rig_host(&r);
	fab_link_cfg_init(&link, 3, 8);
	assert_int_equal(fab_add_endpoint(sim_world_fabric(r.w), "device", sim_host_node(r.h), &link, &ep, &ops, NULL,
					  &device, r.err), 0);
	assert_int_equal(fab_finish(sim_world_fabric(r.w), r.err), 0);
	bells = landings = done = 0;
	return 0;
}

static int teardown(void **state)
{
	rig_destroy(&r);
	return 0;
}

static void dma(uint64_t addr, void *data, uint32_t len, bool read)
{
	struct fab_req q = { .addr = addr, .data = data, .len = len, .done = on_done };
	unsigned int before = done;

	if (read)
		fab_read(device, &q);
	else
		fab_write(device, &q);
	rig_run(&r, 10 * RIG_US);
	assert_int_equal(done, before + 1);
}

static void test_memory(void **state)
{
	uint8_t out[3000], in[3000], *mem[2];
	uint64_t bus[2];
	unsigned int k;

	for (k = 0; k < sizeof(out); k++)
		out[k] = (uint8_t)(k * 7 + 1);
	assert_int_equal(sim_host_alloc(r.h, 5000, &bus[0], &mem[0]), 0);
	assert_int_equal(sim_host_alloc(r.h, 100, &bus[1], &mem[1]), 0);
	assert_true(bus[1] >= bus[0] + 5000 && bus[1] % 4096 == 0);
	dma(bus[0] + 77, out, sizeof(out), false);
	assert_memory_equal(mem[0] + 77, out, sizeof(out));
	assert_int_equal(mem[0][76], 0);
	assert_int_equal(mem[0][77 + sizeof(out)], 0);
	dma(bus[1] + 4, out, 90, false);
	assert_memory_equal(mem[1] + 4, out, 90);
	dma(bus[0] + 77, in, sizeof(in), true);
	assert_memory_equal(in, out, sizeof(in));
	/* Main memory that nobody asked for: writes vanish, reads bring ones. */
	dma(bus[1] + (1 << 20), out, 64, false);
	dma(bus[1] + (1 << 20), in, 64, true);
	for (k = 0; k < 64; k++)
		assert_int_equal(in[k], 0xff);
	assert_int_equal(sim_host_alloc(r.h, 1ull << 41, &bus[0], &mem[0]), -12);
}

static void test_watch(void **state)
{
	uint64_t bus, from;
	uint8_t *mem, data[64] = { 0 };

	assert_int_equal(sim_host_alloc(r.h, 8192, &bus, &mem), 0);
	sim_host_watch(r.h, bus, 4096, on_landed, &r);
	dma(bus + 4096, data, 64, false);
	assert_int_equal(landings, 0);
	from = fab_now(sim_world_queue(r.w));
	dma(bus + 4032, data, 64, false);
	assert_int_equal(landings, 1);
	assert_int_equal(landed[0].off, 4032);
	assert_int_equal(landed[0].len, 64);
	/* Not before it has been through the root complex. */
	assert_true(landed[0].at_ps >= from + 100 * RIG_NS && landed[0].at_ps < from + RIG_US);
	sim_host_watch(r.h, bus, 0, NULL, NULL);
	dma(bus, data, 64, false);
	assert_int_equal(landings, 1);
}

static void test_posts(void **state)
{
	uint8_t data[SIM_POST_BYTES] = { 0 };
	struct sim_post *p, *first;
	unsigned int k, j;

	first = sim_post_get(r.h, BAR, data, 4);
	sim_post_put(first);
	for (j = 0; j < 20; j++) {
		bells = 0;
		for (k = 0; k < 40; k++) {
			memset(data, (int)(j + k), sizeof(data));
			p = sim_post_get(r.h, BAR + 64 * k, data, k % 2 ? 16 : 64);
			assert_non_null(p);
			sim_post_send(p);
		}
		memset(data, 0xee, sizeof(data)); /* a post has its own copy */
		rig_run(&r, 10 * RIG_US);
		assert_int_equal(bells, 40);
		for (k = 0; k < 40; k++) {
			assert_int_equal(bell[k].off, 64 * k);
			assert_int_equal(bell[k].len, k % 2 ? 16 : 64);
			assert_int_equal(bell[k].data[15], (uint8_t)(j + k));
		}
	}
	assert_int_equal(fab_link_stats(device, false)->tlps[FAB_MWR], 800);
	assert_int_equal(fab_link_stats(device, false)->bytes[FAB_MWR], 400 * 80);
	assert_true(fab_idle(sim_world_fabric(r.w)));
}

static void test_poll_at(void **state)
{
	assert_int_equal(sim_host_poll_at(100, 30, 50), 100);
	assert_int_equal(sim_host_poll_at(100, 30, 100), 100);
	assert_int_equal(sim_host_poll_at(100, 30, 101), 130);
	assert_int_equal(sim_host_poll_at(100, 30, 130), 130);
	assert_int_equal(sim_host_poll_at(100, 30, 191), 220);
	assert_int_equal(sim_host_poll_at(100, 0, 191), 191);
	assert_int_equal(sim_host_cycles_ps(r.h, 3), 1000);
	assert_int_equal(sim_host_cycles_ps(r.h, 0.3), 100);
}

static void test_profile(void **state)
{
	struct sim_host_profile p = r.host;
	struct sim_world *w = sim_world_create(1);
	struct sim_host *h;
	char err[FAB_ERR_MAX];

	/* The fabric judges what can't be built. */
	p.channels = 0;
	assert_true(sim_host_create(w, "host", &p, &h, err) < 0);
	assert_true(strlen(err) > 0);
	sim_world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_posts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_poll_at, setup, teardown),
		cmocka_unit_test_setup_teardown(test_profile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
