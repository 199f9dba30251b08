/* SPDX-License-Identifier: BSD-3-Clause */
/* The root complex: main memory behind it, ports that talk to each other or don't, a CPU's accesses. */
#include "rig.h"

#define US 1000000ull

struct memory {
	struct fab_queue *q;
	uint8_t byte[1 << 16];
	uint64_t last_write_ps;
};

static void mem_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	struct memory *m = arg;

	m->last_write_ps = fab_now(m->q);
	if (data)
		memcpy(m->byte + addr % sizeof(m->byte), data, len);
}

static void mem_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	struct memory *m = arg;

	memcpy(data, m->byte + addr % sizeof(m->byte), len);
}

static const struct fab_target_ops mem_ops = { mem_write, mem_read };

struct box {
	struct rig r;
	struct memory m;
	struct fab_node *root;
	struct fab_link_cfg link;
};

/* Two endpoints below the root complex. */
static void box_open(struct box *b, const struct fab_root_cfg *cfg)
{
	struct fab_ep_cfg ep = rig_ep_cfg();

	memset(&b->m, 0, sizeof(b->m));
	fab_link_cfg_init(&b->link, 3, 8);
	rig_open(&b->r, 1);
	b->m.q = b->r.q;
	if (fab_add_root(b->r.f, "root", cfg, &mem_ops, &b->m, &b->root, b->r.err))
		fail_msg("%s", b->r.err);
	ep.mrrs = 512;
	rig_endpoint(&b->r, b->root, &b->link, &ep, 1 << 16);
	rig_endpoint(&b->r, b->root, &b->link, &ep, 1 << 16);
	rig_finish(&b->r);
}

static void on_done(struct fab_req *r)
{
	r->done = NULL;
}

static uint64_t now_done;
static struct fab_queue *now_queue;

static void on_done_time(struct fab_req *r)
{
	now_done = fab_now(now_queue);
}

static void test_memory(void **state)
{
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	uint8_t src[3000], dst[3000];
	struct fab_req w = { .addr = 77, .data = src, .len = 3000, .done = on_done };
	struct fab_req rd = { .addr = 77, .data = dst, .len = 3000, .done = on_done };
	struct fab_node_stats st;

	cfg.mem.channels = 2;
	cfg.mem.channel_bytes_per_s = 20e9;
	cfg.mem.latency_ps = 80000;
	box_open(&b, &cfg);
	for (int k = 0; k < 3000; k++)
		src[k] = (uint8_t)(k * 31);
	fab_write(b.r.ep[0].node, &w);
	fab_read(b.r.ep[0].node, &rd);
	rig_run(&b.r, 100 * US);
	assert_null(w.done);
	assert_null(rd.done);
	assert_false(rd.lost);
	assert_memory_equal(b.m.byte + 77, src, 3000);
	assert_memory_equal(dst, src, 3000);
	fab_node_stats(b.root, &st);
	assert_int_equal(st.mem_write_bytes, 3000);
	assert_int_equal(st.mem_read_bytes, 3000);
	assert_int_equal(st.unsupported, 0);
	assert_true(fab_idle(b.r.f));
	rig_close(&b.r);
}

/* One read of 64 bytes: link, root, memory, root, link. */
static void test_latency(void **state)
{
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	struct fab_req rd = { .len = 64, .done = on_done_time };
	uint64_t links;

	for (int iommu = 0; iommu < 2; iommu++) {
		cfg.latency_ps = 150000;
		cfg.mem.latency_ps = 80000;
		if (iommu)
			cfg.iommu = (struct fab_iommu_cfg){
				.entries = 64, .ways = 4, .page_bytes = 4096, .miss_ps = 270000, .walkers = 1
			};
		box_open(&b, &cfg);
		now_queue = b.r.q;
		/* 24 and 84 bytes at 7.877 GB/s */
		links = (24 + 84) * 126953 / 1000;
		for (int k = 0; k < 2; k++) {
			uint64_t start = fab_now(b.r.q), want = links + 2 * 150000 + 80000 + (iommu && !k ? 270000 : 0);

			fab_read(b.r.ep[0].node, &rd);
			rig_run(&b.r, 10 * US);
			if (now_done - start + 4 < want || now_done - start > want + 4)
				fail_msg("read %d, IOMMU %d: %llu ps, not %llu", k, iommu,
					 (unsigned long long)(now_done - start), (unsigned long long)want);
		}
		rig_close(&b.r);
	}
}

/* A write that waits for its translation holds up the writes and reads of its port behind it, whose page is known. */
static void test_iommu_order(void **state)
{
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	uint8_t one = 1, two = 2, got = 0, warm = 0;
	struct fab_req hit = { .addr = 0, .data = &warm, .len = 1, .done = on_done };
	struct fab_req w1 = { .addr = 0x5000, .data = &one, .len = 1 }, w2 = { .addr = 0x10, .data = &two, .len = 1 };
	struct fab_req rd = { .addr = 0x10, .data = &got, .len = 1, .done = on_done };
	struct fab_node_stats st;
	uint64_t start;

	cfg.iommu =
		(struct fab_iommu_cfg){ .entries = 64, .ways = 4, .page_bytes = 4096, .miss_ps = 5 * US, .walkers = 1 };
	box_open(&b, &cfg);
	fab_read(b.r.ep[0].node, &hit);
	rig_run(&b.r, 10 * US);
	assert_null(hit.done);
	start = fab_now(b.r.q);
	fab_write(b.r.ep[0].node, &w1);
	fab_write(b.r.ep[0].node, &w2);
	fab_read(b.r.ep[0].node, &rd);
	rig_run(&b.r, 4 * US);
	assert_int_equal(b.m.byte[0x5000], 0);
	assert_int_equal(b.m.byte[0x10], 0);
	assert_non_null(rd.done);
	rig_run(&b.r, 2 * US);
	assert_int_equal(b.m.byte[0x5000], 1);
	assert_int_equal(b.m.byte[0x10], 2);
	assert_null(rd.done);
	assert_int_equal(got, 2);
	assert_true(b.m.last_write_ps >= start + 5 * US);
	fab_node_stats(b.root, &st);
	assert_int_equal(st.iotlb_misses, 2);
	assert_int_equal(st.iotlb_hits, 2);
	assert_true(fab_idle(b.r.f));
	rig_close(&b.r);
}

/* The second write comes at the very time at which the first one's translation is there: it stays behind it. */
static void test_iommu_tie(void **state)
{
	static struct memory m;
	struct fab_root_cfg cfg = rig_root_cfg();
	struct fab_ep_cfg ep = rig_ep_cfg();
	struct fab_link_cfg link = { .mps = 256, .prop_ps = US };
	struct fab_node *root;
	struct rig r;
	uint8_t one = 1, two = 2;
	/* both to one word, in two pages of bus addresses of which one is known */
	struct fab_req warm = { .addr = 0x10000, .data = &two, .len = 1 };
	struct fab_req w1 = { .addr = 0, .data = &one, .len = 1 }, w2 = { .addr = 0x10000, .data = &two, .len = 1 };

	cfg.iommu =
		(struct fab_iommu_cfg){ .entries = 64, .ways = 4, .page_bytes = 4096, .miss_ps = 5000, .walkers = 1 };
	rig_open(&r, 1);
	m.q = r.q;
	assert_int_equal(fab_add_root(r.f, "root", &cfg, &mem_ops, &m, &root, r.err), 0);
	rig_endpoint(&r, root, &link, &ep, 4096);
	rig_finish(&r);
	fab_write(r.ep[0].node, &warm);
	rig_run(&r, 10 * US);
	m.byte[0] = 0;
	fab_write(r.ep[0].node, &w1);
	rig_run(&r, 5000);
	fab_write(r.ep[0].node, &w2);
	rig_run(&r, 10 * US);
	assert_int_equal(m.byte[0], 2);
	rig_close(&r);
}

/* Memory that is slower than the link holds the writers up. */
static void test_slow_memory(void **state)
{
	static struct rig_flow flow;
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	double rate;

	cfg.mem.channels = 1;
	cfg.mem.channel_bytes_per_s = 2e9;
	box_open(&b, &cfg);
	rig_flow_start(&flow, &b.r, b.r.ep[0].node, 0, 256, false, 8, NULL);
	rig_run(&b.r, FAB_PS_PER_S / 10000);
	flow.done_bytes = 0;
	rig_run(&b.r, FAB_PS_PER_S / 1000);
	rate = (double)flow.done_bytes * 1000;
	assert_true(rate > 2e9 * 0.98 && rate < 2e9 * 1.02);
	rig_close(&b.r);
}

static void test_p2p(void **state)
{
	static struct rig_flow flow[2];
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	struct fab_node_stats st;
	uint64_t bytes;
	double wire;

	cfg.p2p_latency_ps = 200000;
	cfg.p2p_bytes_per_s = 3e9; /* of both directions together, headers included */
	box_open(&b, &cfg);
	for (unsigned int k = 0; k < 2; k++)
		rig_flow_start(&flow[k], &b.r, b.r.ep[k].node, b.r.ep[1 - k].base, 256, false, 8, NULL);
	rig_run(&b.r, FAB_PS_PER_S / 10000);
	fab_stats_reset(b.r.f);
	flow[0].done_bytes = flow[1].done_bytes = 0;
	rig_run(&b.r, FAB_PS_PER_S / 1000);
	bytes = flow[0].done_bytes + flow[1].done_bytes;
	wire = (double)bytes / 256 * 280 * 1000;
	assert_true(wire > 3e9 * 0.98 && wire < 3e9 * 1.02);
	assert_in_range(flow[0].done_bytes, bytes * 49 / 100, bytes * 51 / 100);
	fab_node_stats(b.root, &st);
	assert_in_range(st.p2p_bytes, bytes * 98 / 100, bytes * 102 / 100);
	rig_close(&b.r);
}

/* A root complex that does not forward: neither lands nor is answered from behind it; what is below a switch still
 * works. */
static void test_no_p2p(void **state)
{
	static struct memory m;
	struct fab_root_cfg cfg = rig_root_cfg();
	struct fab_ep_cfg ep = rig_ep_cfg();
	struct fab_link_cfg link;
	struct fab_node *root, *sw;
	struct fab_node_stats st;
	struct rig r;
	uint8_t byte = 9, dst = 0;
	struct fab_req across = { .data = &byte, .len = 1, .done = on_done }, below = across;
	struct fab_req rd = { .data = &dst, .len = 1, .done = on_done };

	cfg.p2p = false;
	fab_link_cfg_init(&link, 3, 8);
	rig_open(&r, 1);
	m.q = r.q;
	assert_int_equal(fab_add_root(r.f, "root", &cfg, &mem_ops, &m, &root, r.err), 0);
	sw = rig_switch(&r, "sw", root, &link, 100000);
	rig_endpoint(&r, sw, &link, &ep, 4096);
	rig_endpoint(&r, sw, &link, &ep, 4096);
	rig_endpoint(&r, root, &link, &ep, 4096);
	rig_finish(&r);
	across.addr = rd.addr = r.ep[2].base;
	below.addr = r.ep[1].base;
	fab_write(r.ep[0].node, &across);
	fab_write(r.ep[0].node, &below);
	fab_read(r.ep[0].node, &rd);
	rig_run(&r, 100 * US);
	assert_int_equal(r.ep[2].written, 0);
	assert_int_equal(r.ep[1].mem[0], 9);
	assert_null(rd.done);
	assert_true(rd.lost);
	assert_int_equal(dst, 0xff);
	fab_node_stats(root, &st);
	assert_int_equal(st.unsupported, 2);
	assert_int_equal(st.p2p_bytes, 0);
	/* the CPU reaches everybody */
	byte = 10;
	fab_write(root, &across);
	rig_run(&r, 100 * US);
	assert_int_equal(r.ep[2].mem[0], 10);
	assert_true(fab_idle(r.f));
	rig_close(&r);
}

static void test_cpu(void **state)
{
	static struct box b;
	struct fab_root_cfg cfg = rig_root_cfg();
	uint8_t src[100], dst[100];
	struct fab_req w = { .data = src, .len = 100, .done = on_done },
		       rd = { .data = dst, .len = 100, .done = on_done };
	uint64_t at_ps;

	cfg.latency_ps = 150000;
	cfg.mem.channel_bytes_per_s = 10e9;
	cfg.mem.latency_ps = 80000;
	cfg.mem.cache_latency_ps = 20000;
	box_open(&b, &cfg);
	memset(src, 0x42, sizeof(src));
	/* a device's memory; then main memory; then nobody's */
	w.addr = rd.addr = b.r.ep[1].base + 8;
	for (int k = 0; k < 3; k++) {
		w.done = rd.done = on_done;
		memset(dst, 0, sizeof(dst));
		fab_write(b.root, &w);
		fab_read(b.root, &rd);
		rig_run(&b.r, 10 * US);
		assert_null(w.done);
		assert_null(rd.done);
		assert_int_equal(rd.lost, k == 2);
		for (int i = 0; i < 100; i++)
			assert_int_equal(dst[i], k == 2 ? 0xff : 0x42);
		if (k == 0) {
			assert_memory_equal(b.r.ep[1].mem + 8, src, 100);
			/* one direction's latency, 88 bytes' time: the first line; nothing before */
			assert_in_range(b.r.ep[1].first_ps, 150000 + 88 * 126, 150000 + 88 * 128);
		} else if (k == 1) {
			assert_memory_equal(b.m.byte + 8, src, 100);
		}
		w.addr = rd.addr = k == 0 ? 8 : 0xdead0000000;
	}
	at_ps = fab_now(b.r.q);
	assert_true(fab_cpu_access(b.root, 0, 64, false, false) >= at_ps + 80000);
	assert_true(fab_cpu_access(b.root, 0, 64, false, true) <= at_ps + 20000);
	assert_true(fab_idle(b.r.f));
	rig_close(&b.r);
}

/* Completions end at the read completion boundary, all but the last, and keep to MPS and 4 KiB. */
struct cuts {
	const struct fab_node *link;
	uint64_t addr;
	uint32_t left, rcb, mps, n;
};

static void on_tlp(void *arg, const struct fab_tlp_view *v)
{
	struct cuts *c = arg;

	if (v->type == FAB_MRD && v->link == c->link) {
		assert_true(v->len <= 512);
		assert_true(v->addr / 4096 == (v->addr + v->len - 1) / 4096);
		c->addr = v->addr;
		c->left = v->len;
	}
	if (v->type != FAB_CPLD || v->link != c->link)
		return;
	assert_int_equal(v->addr, c->addr);
	assert_int_equal(v->remaining, c->left);
	assert_true(v->addr % 4 + v->len <= c->mps);
	if (v->len != c->left)
		assert_int_equal((v->addr + v->len) % c->rcb, 0);
	c->addr += v->len;
	c->left -= v->len;
	c->n++;
}

static void test_boundaries(void **state)
{
	static struct box b;

	for (uint32_t rcb = 64; rcb <= 128; rcb *= 2) {
		struct fab_root_cfg cfg = rig_root_cfg();
		struct cuts c;

		cfg.rcb = rcb;
		box_open(&b, &cfg);
		c = (struct cuts){ .link = b.r.ep[0].node, .rcb = rcb, .mps = 256 };
		fab_trace(b.r.f, on_tlp, &c);
		for (uint32_t at = 0; at < 4200; at += 37)
			for (uint32_t len = 1; len < 2000; len += 97) {
				/* one at a time, so that completions follow their own request */
				for (uint32_t k = 0; k < len;) {
					uint32_t n = len - k < 512 ? len - k : 512 - (at + k) % 4;
					struct fab_req rd = { .addr = at + k, .done = on_done };

					if (n > 4096 - (at + k) % 4096)
						n = 4096 - (at + k) % 4096;
					rd.len = n;
					fab_read(b.r.ep[0].node, &rd);
					rig_run(&b.r, 10 * US);
					assert_int_equal(c.left, 0);
					k += n;
				}
			}
		assert_true(c.n > 3000);
		rig_close(&b.r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),	    cmocka_unit_test(test_latency),
		cmocka_unit_test(test_iommu_order), cmocka_unit_test(test_iommu_tie),
		cmocka_unit_test(test_slow_memory), cmocka_unit_test(test_p2p),
		cmocka_unit_test(test_no_p2p),	    cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
