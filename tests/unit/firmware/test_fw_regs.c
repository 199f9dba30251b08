/* SPDX-License-Identifier: BSD-3-Clause */
/* The register file: reset values from the lists, access rules, refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FW_BOARD late
#include <tests/late/late.h>

#define PORTS 3

enum access { RO, RW, WO, ST };

struct reg {
	const char *name;
	uint32_t off, bytes;
	enum access access;
	uint64_t reset;
};

#define X(name, off, bytes, access, reset, desc) { #name, off, bytes, access, reset },
static const struct reg top_regs[] = { P2P_REGS(X) };
static const struct reg port_regs[] = { P2P_PORT_REGS(X) };
static const struct reg peer_regs[] = { P2P_PEER_REGS(X) };
#undef X

struct bench {
	struct late_world *w;
	struct board_ctx *b;
	struct fw_nic *fw;
	struct script_port *port[PORTS];
};

static int setup(void **state)
{
	struct late_cfg cfg = { .seed = 5 };
	struct fw_strap strap = { .ports = PORTS, .buf_size = 2048, .mem_bytes = 64ull << 20 };
	struct bench *t = calloc(1, sizeof(*t));
	struct script_port_cfg pc = { 0 };
	unsigned int p;

	t->w = late_world_create(&cfg);
	pc.now_ns = late_world_clock(t->w);
	for (p = 0; p < PORTS; p++) {
		t->port[p] = script_port_create(&pc);
		memcpy(strap.mac[p], (uint8_t[6]){ 2, 0, 0, 0, 9, (uint8_t)p }, 6);
	}
	t->b = late_nic_create(t->w, 0, &strap, t->port);
	assert_non_null(t->b);
	t->fw = late_nic_fw(t->b);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct bench *t = *state;
	unsigned int p;

	late_world_destroy(t->w);
	for (p = 0; p < PORTS; p++)
		script_port_destroy(t->port[p]);
	free(t);
	return 0;
}

static uint64_t rd(struct bench *t, uint32_t off, uint32_t bytes)
{
	return fw_reg_read(t->fw, off, bytes);
}

static void check_reset(struct bench *t, const struct reg *r, uint32_t base)
{
	uint64_t v = rd(t, base + r->off, r->bytes);

	if (r->access != ST && v != r->reset)
		fail_msg("%s at reset is %llx, the list says %llx", r->name, (unsigned long long)v,
			 (unsigned long long)r->reset);
}

static void check_all_reset(struct bench *t)
{
	unsigned int k, i;

	for (k = 0; k < P2P_ARRAY_SIZE(top_regs); k++)
		check_reset(t, &top_regs[k], 0);
	for (i = 0; i < PORTS; i++)
		for (k = 0; k < P2P_ARRAY_SIZE(port_regs); k++)
			if (strcmp(port_regs[k].name, "PORT_LINK"))
				check_reset(t, &port_regs[k], P2P_PORT_BLOCK + i * P2P_PORT_BLOCK_BYTES);
	for (i = 0; i < P2P_MAX_NICS; i++)
		for (k = 0; k < P2P_ARRAY_SIZE(peer_regs); k++)
			check_reset(t, &peer_regs[k], P2P_PEER_BLOCK + i * P2P_PEER_BLOCK_BYTES);
}

static void test_reset_values(void **state)
{
	struct bench *t = *state;
	unsigned int k;

	check_all_reset(t);
	assert_int_equal(rd(t, P2P_NUM_PORTS, 4), PORTS);
	assert_int_equal(rd(t, P2P_MEM_SIZE, 8), 64ull << 20);
	assert_int_equal(rd(t, P2P_BUF_SIZE, 4), 2048);
	assert_int_equal(rd(t, P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC, 8), 0x010900000002ull);
	for (k = 0; k < P2P_NUM_EVENTS; k++)
		assert_int_equal(rd(t, P2P_EVENT_BLOCK + 8 * k, 8), 0);
	for (k = 0; k < P2P_NUM_DROPS; k++)
		assert_int_equal(rd(t, P2P_DROP_BLOCK + 8 * k, 8), 0);
}

static uint64_t ones(uint32_t bytes)
{
	return bytes == 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

/* Another width or alignment than a register's own reads all ones and writes nothing. */
static void test_widths(void **state)
{
	struct bench *t = *state;
	uint32_t width, off;
	unsigned int k;
	uint64_t v;

	for (k = 0; k < P2P_ARRAY_SIZE(top_regs); k++) {
		const struct reg *r = &top_regs[k];

		v = rd(t, r->off, r->bytes);
		for (width = 1; width <= 8; width *= 2) {
			if (width == r->bytes)
				continue;
			assert_int_equal(rd(t, r->off, width) & ones(width), ones(width));
			fw_reg_write(t->fw, r->off, width, 0x0101010101010101ull & ones(width));
			assert_int_equal(rd(t, r->off, r->bytes), v);
		}
		for (off = r->off + 1; off < r->off + r->bytes; off++) {
			fw_reg_write(t->fw, off, r->bytes, 1);
			assert_int_equal(rd(t, r->off, r->bytes), v);
		}
	}
	check_all_reset(t);
	/* Holes, past the end, odd sizes. */
	assert_int_equal(rd(t, 0x0fc, 4) & ones(4), ones(4));
	assert_int_equal(rd(t, P2P_BAR0_BYTES - 8, 8), ones(8));
	assert_int_equal(rd(t, P2P_BAR0_BYTES, 4) & ones(4), ones(4));
	assert_int_equal(rd(t, 0xfffffffc, 4) & ones(4), ones(4));
	assert_int_equal(rd(t, P2P_MAGIC, 0) & 1, 1);
	assert_int_equal(rd(t, P2P_MAGIC, 3) & ones(3), ones(3));
	fw_reg_write(t->fw, P2P_BAR0_BYTES - 4, 4, 1);
	fw_reg_write(t->fw, 0xfffffffc, 4, 1);
	fw_reg_write(t->fw, 0xfffffff8, 8, 1);
	check_all_reset(t);
}

static void test_read_only(void **state)
{
	struct bench *t = *state;
	unsigned int k;
	uint64_t v;

	for (k = 0; k < P2P_ARRAY_SIZE(top_regs); k++) {
		const struct reg *r = &top_regs[k];

		if (r->access != RO && r->access != ST)
			continue;
		v = rd(t, r->off, r->bytes);
		fw_reg_write(t->fw, r->off, r->bytes, ~v & ones(r->bytes));
		assert_int_equal(rd(t, r->off, r->bytes), v);
	}
	v = rd(t, P2P_PORT_BLOCK + P2P_PORT_MAC, 8);
	fw_reg_write(t->fw, P2P_PORT_BLOCK + P2P_PORT_MAC, 8, 0);
	assert_int_equal(rd(t, P2P_PORT_BLOCK + P2P_PORT_MAC, 8), v);
	fw_reg_write(t->fw, P2P_EVENT_BLOCK, 8, 77);
	assert_int_equal(rd(t, P2P_EVENT_BLOCK, 8), 0);
	fw_reg_write(t->fw, P2P_DROP_BLOCK, 8, 77);
	assert_int_equal(rd(t, P2P_DROP_BLOCK, 8), 0);
}

static void good_config(struct bench *t)
{
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	fw_reg_write(t->fw, P2P_MODE, 4, P2P_MODE_WR);
	fw_reg_write(t->fw, P2P_BATCH, 4, 8);
	fw_reg_write(t->fw, P2P_STRIDE, 4, 64);
	fw_reg_write(t->fw, P2P_NIC_INDEX, 4, 1);
	fw_reg_write(t->fw, P2P_NUM_NICS, 4, 4);
	fw_reg_write(t->fw, P2P_SLOTS, 4, 128);
	fw_reg_write(t->fw, P2P_RX_BUFS, 4, 256);
	fw_reg_write(t->fw, P2P_QUEUES, 4, 1);
}

static bool configure(struct bench *t)
{
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_CONFIGURE);
	return rd(t, P2P_STATUS, 4) & P2P_ST_CONFIGURED;
}

static void test_read_back(void **state)
{
	struct bench *t = *state;
	uint32_t peer = P2P_PEER_BLOCK + 3 * P2P_PEER_BLOCK_BYTES;

	good_config(t);
	assert_int_equal(rd(t, P2P_NUM_NICS, 4), 4);
	assert_int_equal(rd(t, P2P_SLOTS, 4), 128);
	fw_reg_write(t->fw, P2P_HOST_AREA, 8, 0x123456789000ull);
	assert_int_equal(rd(t, P2P_HOST_AREA, 8), 0x123456789000ull);
	fw_reg_write(t->fw, peer + P2P_PEER_BAR2, 8, 4ull << 40);
	assert_int_equal(rd(t, peer + P2P_PEER_BAR2, 8), 4ull << 40);
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	check_all_reset(t);
}

static void test_configure_layout(void **state)
{
	struct p2p_shape s = { 4, PORTS, 128, 2048, 256, 1, 0 };
	struct bench *t = *state;
	unsigned int seg;

	good_config(t);
	assert_true(configure(t));
	assert_int_equal(rd(t, P2P_ERROR, 4), 0);
	assert_int_equal(rd(t, P2P_MEM_NEEDED, 8), p2p_memory_needed(&s));
	assert_int_equal(rd(t, P2P_SEG_COUNT, 4), p2p_seg_count(&s));
	for (seg = 0; seg < p2p_seg_count(&s); seg++) {
		fw_reg_write(t->fw, P2P_SEG_SELECT, 4, seg);
		assert_int_equal(rd(t, P2P_SEG_KIND, 4), p2p_seg_kind(&s, seg));
		assert_int_equal(rd(t, P2P_SEG_OFFSET, 8), p2p_seg_offset(&s, seg));
		assert_int_equal(rd(t, P2P_SEG_BYTES, 8), p2p_seg_bytes(&s, p2p_seg_kind(&s, seg)));
	}
	fw_reg_write(t->fw, P2P_SEG_SELECT, 4, 0xffffffff);
	(void)rd(t, P2P_SEG_OFFSET, 8);
	(void)rd(t, P2P_SEG_BYTES, 8);
	(void)rd(t, P2P_SEG_KIND, 4);
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	assert_int_equal(rd(t, P2P_SEG_COUNT, 4), 0);
	check_all_reset(t);
}

/* A value that can't be is refused, at its write or at CONFIGURE: ERROR says so and nothing is configured. */
static void test_refusals(void **state)
{
	static const struct { uint32_t off; uint32_t v; } wrong[] = {
		{ P2P_MODE, 3 },	  { P2P_MODE, 0xffffffff }, { P2P_BATCH, 0 },	   { P2P_BATCH, 65 },
		{ P2P_BATCH, 0xffffffff }, { P2P_STRIDE, 0 },	    { P2P_STRIDE, 3 },	   { P2P_STRIDE, 2 },
		{ P2P_STRIDE, 512 },	  { P2P_STRIDE, 96 },	    { P2P_NUM_NICS, 0 },   { P2P_NUM_NICS, 33 },
		{ P2P_NIC_INDEX, 4 },	  { P2P_NIC_INDEX, 0xffffffff }, { P2P_SLOTS, 0 }, { P2P_SLOTS, 32 },
		{ P2P_SLOTS, 100 },	  { P2P_SLOTS, 32768 },	    { P2P_SLOTS, 0x80000000 }, { P2P_RX_BUFS, 0 },
		{ P2P_RX_BUFS, 0xffffffff }, { P2P_QUEUES, 0 },	    { P2P_QUEUES, 2 },
	};
	struct bench *t = *state;
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(wrong); k++) {
		good_config(t);
		fw_reg_write(t->fw, wrong[k].off, 4, wrong[k].v);
		if (rd(t, P2P_ERROR, 4) && rd(t, wrong[k].off, 4) != wrong[k].v)
			continue; /* refused at once */
		if (configure(t) || !rd(t, P2P_ERROR, 4))
			fail_msg("register %x took %x", wrong[k].off, wrong[k].v);
	}
	/* And a good one after all that. */
	good_config(t);
	assert_true(configure(t));
	assert_int_equal(rd(t, P2P_ERROR, 4), 0);
}

static void test_memory_too_small(void **state)
{
	struct bench *t = *state;

	good_config(t);
	fw_reg_write(t->fw, P2P_SLOTS, 4, 16384);
	assert_false(configure(t));
	assert_int_equal(rd(t, P2P_ERROR, 4), ENOMEM);
	assert_true(rd(t, P2P_MEM_NEEDED, 8) > 64ull << 20);
	assert_int_equal(rd(t, P2P_SEG_COUNT, 4), 0);
}

/* This board has no cut-through placement: it says so, and does not start as if it had. */
static void test_cut_refused(void **state)
{
	struct bench *t = *state;

	assert_int_equal(rd(t, P2P_FEATURES, 4) & ~P2P_FEAT_ROUTE, P2P_FEAT_ALL);
	good_config(t);
	fw_reg_write(t->fw, P2P_FLAGS, 4, P2P_FLAG_CUT);
	assert_true(configure(t));
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(rd(t, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	assert_int_equal(rd(t, P2P_ERROR, 4), EINVAL);
	fw_reg_write(t->fw, P2P_FLAGS, 4, 0);
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(rd(t, P2P_STATUS, 4), P2P_ST_CONFIGURED | P2P_ST_RUNNING);
}

static bool configure_routing(struct bench *t, uint32_t mode, uint64_t bytes)
{
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	good_config(t);
	fw_reg_write(t->fw, P2P_MODE, 4, mode);
	fw_reg_write(t->fw, P2P_FLAGS, 4, P2P_FLAG_ROUTE);
	fw_reg_write(t->fw, P2P_ROUTE_BYTES, 8, bytes);
	return configure(t);
}

static void enable_with(struct bench *t, uint32_t flags, bool ok)
{
	fw_reg_write(t->fw, P2P_FLAGS, 4, flags);
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(!!(rd(t, P2P_STATUS, 4) & P2P_ST_RUNNING), ok);
	assert_int_equal(rd(t, P2P_ERROR, 4), ok ? 0 : EINVAL);
}

static void test_routing(void **state)
{
	struct p2p_shape s = { 4, PORTS, 128, 2048, 256, 1, 1 << 20 };
	struct bench *t = *state;

	if (!(rd(t, P2P_FEATURES, 4) & P2P_FEAT_ROUTE)) {
		assert_false(configure_routing(t, P2P_MODE_WR, 1 << 20));
		return;
	}
	assert_false(configure_routing(t, P2P_MODE_BN, 1 << 20));
	assert_false(configure_routing(t, P2P_MODE_WR, 0));
	assert_false(configure_routing(t, P2P_MODE_WR, 4097));
	assert_false(configure_routing(t, P2P_MODE_WR, 1ull << 60));
	assert_int_equal(rd(t, P2P_ROUTE_OFFSET, 8), 0);
	fw_reg_write(t->fw, P2P_PUNT_SESSION, 4, 5);
	fw_reg_write(t->fw, P2P_ROUTE_TABLE, 4, 1);
	assert_int_equal(rd(t, P2P_ERROR, 4), EINVAL);
	assert_true(configure_routing(t, P2P_MODE_WR, 1 << 20));
	assert_int_equal(rd(t, P2P_SEG_COUNT, 4), p2p_seg_total(&s));
	assert_int_equal(rd(t, P2P_ROUTE_OFFSET, 8), p2p_seg_offset(&s, p2p_seg_route(&s)));
	assert_int_equal(rd(t, P2P_INJECT_OFFSET, 8), p2p_seg_offset(&s, p2p_seg_inject(&s)));
	/* An area that nobody has made. */
	fw_reg_write(t->fw, P2P_ROUTE_TABLE, 4, 1);
	assert_int_equal(rd(t, P2P_ERROR, 4), EINVAL);
	assert_int_equal(rd(t, P2P_ROUTE_TABLE, 4), 0);
	enable_with(t, P2P_FLAG_ROUTE | P2P_FLAG_BRIDGE, false);
	enable_with(t, P2P_FLAG_ROUTE | P2P_FLAG_CUT, false);
	enable_with(t, P2P_FLAG_ROUTE, true);
	/* An area has to be laid out before. */
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	good_config(t);
	assert_true(configure(t));
	enable_with(t, P2P_FLAG_ROUTE, false);
}

static void test_routing_registers(void **state)
{
	struct bench *t = *state;

	fw_reg_write(t->fw, P2P_PORT_BLOCK + P2P_PORT_RPF, 4, P2P_RPF_LOOSE);
	fw_reg_write(t->fw, P2P_PORT_BLOCK + P2P_PORT_RPF, 4, 3);
	assert_int_equal(rd(t, P2P_PORT_BLOCK + P2P_PORT_RPF, 4), P2P_RPF_LOOSE);
	fw_reg_write(t->fw, P2P_PORT_BLOCK + P2P_PORT_ROUTER_MAC, 8, 0x112233445566);
	assert_int_equal(rd(t, P2P_PORT_BLOCK + P2P_PORT_ROUTER_MAC, 8), 0x112233445566);
	assert_int_equal(rd(t, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_ttl, 4), 1000);
	fw_reg_write(t->fw, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_ttl, 4, 77);
	assert_int_equal(rd(t, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_ttl, 4), 77);
	assert_int_equal(rd(t, P2P_PUNT_RATE_BLOCK + 4 * P2P_NUM_PUNTS, 4), ~0u);
	assert_int_equal(rd(t, P2P_PUNT_BLOCK + 8 * P2P_PUNT_ttl, 8), 0);
	assert_int_equal(rd(t, P2P_PUNT_BLOCK + 8 * P2P_NUM_PUNTS, 8), ~0ull);
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_RESET);
	assert_int_equal(rd(t, P2P_PUNT_RATE_BLOCK + 4 * P2P_PUNT_ttl, 4), 1000);
	assert_int_equal(rd(t, P2P_PORT_BLOCK + P2P_PORT_RPF, 4), 0);
}

static void test_enable_needs_configured(void **state)
{
	struct bench *t = *state;

	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(rd(t, P2P_STATUS, 4) & P2P_ST_RUNNING, 0);
	assert_true(rd(t, P2P_ERROR, 4) != 0);
	assert_int_equal(fw_step(t->fw) == 0, 0);
	good_config(t);
	assert_true(configure(t));
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_ENABLE | P2P_CTL_PERSIST);
	assert_int_equal(rd(t, P2P_STATUS, 4), P2P_ST_CONFIGURED | P2P_ST_RUNNING);
	assert_true(rd(t, P2P_INCARNATION, 4) != 0);
	assert_int_equal(rd(t, P2P_CONTROL, 4), P2P_CTL_ENABLE | P2P_CTL_PERSIST);
	assert_true(fw_nic_running(t->fw));
	assert_true(fw_nic_persist(t->fw));
	fw_reg_write(t->fw, P2P_CONTROL, 4, P2P_CTL_PERSIST);
	assert_int_equal(rd(t, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	fw_nic_reset(t->fw, false);
	assert_false(fw_nic_persist(t->fw));
	check_all_reset(t);
}

static void test_bad_strap(void **state)
{
	struct bench *t = *state;
	static const struct fw_strap wrong[] = {
		{ .ports = 0, .buf_size = 2048, .mem_bytes = 64 << 20 },
		{ .ports = 9, .buf_size = 2048, .mem_bytes = 64 << 20 },
		{ .ports = 1, .buf_size = 2000, .mem_bytes = 64 << 20 },
		{ .ports = 1, .buf_size = 0, .mem_bytes = 64 << 20 },
		{ .ports = 1, .buf_size = 2048, .mem_bytes = 64 << 20, .max_queues = 9 },
		{ .ports = 1, .buf_size = 2048, .mem_bytes = 64 << 20, .max_queues = 2, .queue = 2 },
		{ .ports = 1, .buf_size = 2048, .mem_bytes = 64 << 20, .queue = 1 },
	};
	struct fw_nic *nic = calloc(1, fw_nic_bytes());
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(wrong); k++)
		assert_int_equal(fw_nic_init(nic, t->b, &wrong[k]), -EINVAL);
	free(nic);
}

/* ---- two contexts behind one register file ---- */

struct pair {
	struct bench t;
	struct fw_nic *ctx[2];
	struct script_port *port[2][PORTS];
};

static int setup_pair(void **state)
{
	struct fw_strap strap = { .ports = PORTS, .buf_size = 2048, .mem_bytes = 64ull << 20, .max_queues = 2 };
	struct late_cfg cfg = { .seed = 6 };
	struct pair *p = calloc(1, sizeof(*p));
	struct script_port_cfg pc = { 0 };
	unsigned int x;

	p->t.w = late_world_create(&cfg);
	pc.now_ns = late_world_clock(p->t.w);
	for (strap.queue = 0; strap.queue < 2; strap.queue++) {
		for (x = 0; x < PORTS; x++)
			p->port[strap.queue][x] = script_port_create(&pc);
		p->ctx[strap.queue] = late_nic_fw(late_nic_create(p->t.w, strap.queue, &strap, p->port[strap.queue]));
	}
	*state = p;
	return 0;
}

static int teardown_pair(void **state)
{
	struct pair *p = *state;
	unsigned int q, x;

	late_world_destroy(p->t.w);
	for (q = 0; q < 2; q++)
		for (x = 0; x < PORTS; x++)
			script_port_destroy(p->port[q][x]);
	free(p);
	return 0;
}

static uint64_t rd_all(struct pair *p, uint32_t off, uint32_t bytes)
{
	return fw_reg_read_all(p->ctx, 2, off, bytes);
}

static void wr_all(struct pair *p, uint32_t off, uint32_t bytes, uint64_t v)
{
	fw_reg_write_all(p->ctx, 2, off, bytes, v);
}

static void configure_pair(struct pair *p, unsigned int queues, uint32_t flags)
{
	wr_all(p, P2P_CONTROL, 4, P2P_CTL_RESET);
	wr_all(p, P2P_NUM_NICS, 4, 4);
	wr_all(p, P2P_SLOTS, 4, 128);
	wr_all(p, P2P_RX_BUFS, 4, 256);
	wr_all(p, P2P_FLAGS, 4, flags);
	wr_all(p, P2P_QUEUES, 4, queues);
	wr_all(p, P2P_CONTROL, 4, P2P_CTL_CONFIGURE);
}

static void test_queues_configured(void **state)
{
	struct p2p_shape s = { 4, PORTS, 128, 2048, 256, 2, 0 };
	struct pair *p = *state;
	unsigned int seg, n = p2p_seg_count(&s);

	assert_int_equal(rd_all(p, P2P_QUEUES_MAX, 4), 2);
	configure_pair(p, 2, 0);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	assert_int_equal(rd_all(p, P2P_MEM_NEEDED, 8), p2p_memory_needed(&s));
	assert_int_equal(rd_all(p, P2P_SEG_COUNT, 4), 2 * n);
	for (seg = 0; seg < 2 * n; seg++) {
		wr_all(p, P2P_SEG_SELECT, 4, seg);
		assert_int_equal(rd_all(p, P2P_SEG_KIND, 4), p2p_seg_kind(&s, seg % n));
		assert_int_equal(rd_all(p, P2P_SEG_OFFSET, 8), p2p_seg_offset(&s, seg));
	}
	/* One queue: the second context stays as it was. */
	configure_pair(p, 1, 0);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	assert_int_equal(rd_all(p, P2P_SEG_COUNT, 4), n);
	assert_null(fw_nic_shape(p->ctx[1]));
	wr_all(p, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED | P2P_ST_RUNNING);
	assert_false(fw_nic_running(p->ctx[1]));
}

static void test_queues_refused(void **state)
{
	static const uint32_t single[] = { P2P_FLAG_CUT, P2P_FLAG_CUT | P2P_FLAG_BRIDGE };
	struct pair *p = *state;
	unsigned int k;

	for (k = 0; k <= 3; k += 3) {
		configure_pair(p, k, 0);
		assert_int_equal(rd_all(p, P2P_STATUS, 4), 0);
		assert_int_equal(rd_all(p, P2P_ERROR, 4), EINVAL);
	}
	for (k = 0; k < P2P_ARRAY_SIZE(single); k++) {
		configure_pair(p, 2, single[k]);
		assert_int_equal(rd_all(p, P2P_STATUS, 4), 0);
		configure_pair(p, 1, single[k]);
		assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
		/* Nor later. */
		configure_pair(p, 2, 0);
		wr_all(p, P2P_FLAGS, 4, single[k]);
		wr_all(p, P2P_CONTROL, 4, P2P_CTL_ENABLE);
		assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	}
}

/* What all say, the sum, the first, the worst, the least. */
static void test_queues_joined(void **state)
{
	const uint32_t peer = P2P_PEER_BLOCK + P2P_PEER_BLOCK_BYTES;
	struct pair *p = *state;
	unsigned int q;

	configure_pair(p, 2, 0);
	for (q = 0; q < 2; q++) {
		((uint64_t *)(uintptr_t)fw_nic_events(p->ctx[q]))[P2P_EV_forwarded] = 5 + q;
		((uint64_t *)(uintptr_t)fw_nic_drops(p->ctx[q]))[P2P_DROP_runt] = 100 * (q + 1);
	}
	assert_int_equal(rd_all(p, P2P_EVENT_BLOCK + 8 * P2P_EV_forwarded, 8), 11);
	assert_int_equal(rd_all(p, P2P_DROP_BLOCK + 8 * P2P_DROP_runt, 8), 300);
	fw_reg_write(p->ctx[0], P2P_CONTROL, 4, P2P_CTL_ENABLE);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	assert_int_equal(rd_all(p, P2P_CONTROL, 4), 0);
	fw_reg_write(p->ctx[1], P2P_CONTROL, 4, P2P_CTL_ENABLE | P2P_CTL_CONFIGURE);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED | P2P_ST_RUNNING);
	assert_int_equal(rd_all(p, P2P_CONTROL, 4), P2P_CTL_ENABLE);
	fw_step(p->ctx[1]);
	assert_int_equal(rd_all(p, P2P_EPOCH, 4), 0);
	fw_step(p->ctx[0]);
	fw_step(p->ctx[0]);
	assert_int_equal(rd_all(p, P2P_EPOCH, 4), 1);
	/* Introduced to one of them: absent; to both: waited for. */
	wr_all(p, peer + P2P_PEER_PORTS, 4, 1);
	wr_all(p, peer + P2P_PEER_SLOTS, 4, 128);
	wr_all(p, peer + P2P_PEER_BUF_SIZE, 4, 2048);
	wr_all(p, peer + P2P_PEER_BAR2, 8, 1ull << 40);
	fw_reg_write(p->ctx[0], peer + P2P_PEER_CTRL, 4, 1);
	assert_int_equal(fw_reg_read(p->ctx[0], peer + P2P_PEER_STATE, 4), P2P_PEER_WAITING);
	assert_int_equal(rd_all(p, peer + P2P_PEER_STATE, 4), P2P_PEER_ABSENT);
	fw_reg_write(p->ctx[1], peer + P2P_PEER_CTRL, 4, 1);
	assert_int_equal(rd_all(p, peer + P2P_PEER_STATE, 4), P2P_PEER_WAITING);
	/* The second fails alone. */
	fw_reg_write(p->ctx[1], P2P_PORT_BLOCK + P2P_PORT_PAIR, 4, P2P_PAIR(0xff, 0));
	assert_int_equal(fw_reg_read(p->ctx[0], P2P_ERROR, 4), 0);
	assert_int_equal(rd_all(p, P2P_ERROR, 4), EINVAL);
	wr_all(p, P2P_CONTROL, 4, 0);
	assert_int_equal(rd_all(p, P2P_STATUS, 4), P2P_ST_CONFIGURED);
	assert_int_equal(rd_all(p, 0x0fc, 4) & ones(4), ones(4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configure_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_too_small, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enable_needs_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routing_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_strap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queues_configured, setup_pair, teardown_pair),
		cmocka_unit_test_setup_teardown(test_queues_refused, setup_pair, teardown_pair),
		cmocka_unit_test_setup_teardown(test_queues_joined, setup_pair, teardown_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
