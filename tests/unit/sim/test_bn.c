/* SPDX-License-Identifier: BSD-3-Clause */
/* bn's host loop on simulated cores, between NICs that run firmware. */
#include "host_rig.h"

#define NICS 2

static struct rig r;
static struct board_ctx *nic[NICS];
static struct sim_bn *bn;
static struct sim_mesh_cfg mesh;

static int setup(void **state)
{
	rig_profiles(&r);
	mesh = (struct sim_mesh_cfg){ .mode = P2P_MODE_BN, .batch = 8, .stride = 64, .slots = 512, .rx_bufs = 1024 };
	bn = NULL;
	return 0;
}

static int teardown(void **state)
{
	sim_bn_destroy(bn);
	rig_destroy(&r);
	return 0;
}

/* Two NICs of `ports` ports, paired crosswise, that see each other, below a root complex or a switch that loses TLPs. */
static void build_lossy(unsigned int ports, const struct fab_switch_cfg *lossy)
{
	struct fab_node *parent;
	struct fab_link_cfg link;
	struct fw_strap strap = { .ports = ports, .buf_size = 2048, .mem_bytes = 64u << 20 };
	struct sim_pair pair[NICS * RIG_MAX_PORTS];
	struct port *mac[RIG_MAX_PORTS];
	unsigned int i, k, n = 0;
	int rc = 0;

	rig_host(&r);
	parent = sim_host_node(r.h);
	if (lossy) {
		fab_link_cfg_init(&link, 4, 16);
		rc = fab_add_switch(sim_world_fabric(r.w), "switch", parent, &link, lossy, &parent, r.err);
	}
	for (i = 0; !rc && i < NICS; i++) {
		for (k = 0; k < ports; k++) {
			mac[k] = rig_mac(&r);
			pair[n++] = (struct sim_pair){ i, k, 1 - i, k };
		}
		rc = sim_nic_create(r.w, i ? "nic1" : "nic0", &r.nic, parent, &strap, mac, &nic[i], r.err);
	}
	if (!rc)
		rc = fab_finish(sim_world_fabric(r.w), r.err);
	if (!rc)
		rc = sim_bn_create(r.h, &mesh, nic, NICS, &bn, r.err);
	if (!rc)
		rc = sim_mesh_up(r.w, nic, NICS, &mesh, pair, n, bn, r.err);
	if (!rc)
		rc = sim_mesh_wait(r.w, nic, NICS, bn, 100000000, r.err);
	if (rc)
		fail_msg("%s", r.err);
	assert_true(sim_bn_ready(bn));
}

static void build(unsigned int ports)
{
	build_lossy(ports, NULL);
}

static uint64_t nic_drops(void)
{
	uint64_t sum = 0;
	unsigned int i, k;

	for (i = 0; i < NICS; i++)
		for (k = 0; k < P2P_NUM_DROPS; k++)
			sum += fw_nic_drops(sim_nic_fw(nic[i]))[k];
	return sum;
}

static uint64_t nic_event(unsigned int i, enum p2p_event e)
{
	return fw_nic_events(sim_nic_fw(nic[i]))[e];
}

/* What came in and was not missed is what went out or was dropped by name. */
static void books(void)
{
	uint64_t in = 0, out = 0, lost = 0, missed;
	unsigned int k;

	for (k = 0; k < r.macs; k++)
		rig_source(&r, k, 64, 0, 0);
	rig_run(&r, 20 * RIG_MS);
	for (k = 0; k < r.macs; k++) {
		in += rig_offered(&r, k, &missed);
		out += rig_sent(&r, k);
		lost += missed;
	}
	assert_int_equal(sim_bn_held(bn), 0);
	assert_true(out > 0);
	assert_int_equal(in, out + lost + nic_drops() + sim_bn_drops(bn));
}

static void test_frames(void **state)
{
	static const uint32_t bytes[] = { 64, 65, 128, 511, 1518, 2052, 5000, 9000 };
	struct sim_cpu_stats cpu;
	unsigned int k, n;
	uint64_t missed;

	build(2);
	for (n = 0; n < P2P_ARRAY_SIZE(bytes); n++) {
		sim_bn_stats_reset(bn);
		for (k = 0; k < r.macs; k++) {
			sim_mac_reset(r.mac[k]);
			rig_source(&r, k, bytes[n], 4, 500);
		}
		rig_run(&r, 20 * RIG_MS);
		for (k = 0; k < r.macs; k++) {
			assert_int_equal(rig_offered(&r, k, &missed), 500);
			assert_int_equal(missed, 0);
			assert_int_equal(rig_sent(&r, k), 500);
		}
		sim_bn_stats(bn, &cpu);
		assert_int_equal(cpu.packets, 500 * r.macs);
		assert_true(cpu.busy_ps > 0 && cpu.batches > 0);
		assert_int_equal(cpu.busy_ps + cpu.poll_ps, 4 * 20 * RIG_MS);
	}
	assert_int_equal(nic_drops() + sim_bn_drops(bn), 0);
	assert_int_equal(sim_bn_held(bn), 0);
}

/* One way, a known number of frames, on both links; peer lines come every 10 ms and are left out by the interval. */
static void test_bytes(void **state)
{
	const uint64_t frames = 4000, len = 250 - 4, moved = 256;
	const struct fab_dir_stats *s;
	struct fab_node *node[NICS];
	struct sim_cpu_stats cpu;
	uint64_t down0, down1;

	build(1);
	node[0] = sim_nic_node(nic[0]);
	node[1] = sim_nic_node(nic[1]);
	assert_true(len <= moved);
	fab_stats_reset(sim_world_fabric(r.w));
	sim_bn_stats_reset(bn);
	rig_source(&r, 0, 250, 20, frames);
	rig_run(&r, RIG_MS);
	assert_int_equal(rig_sent(&r, 1), frames);
	sim_bn_stats(bn, &cpu);
	assert_int_equal(cpu.packets, frames);
	/* In: the frame in whole units of 64 bytes, and a descriptor each. */
	s = fab_link_stats(node[0], true);
	assert_in_range(s->bytes[FAB_MWR], frames * (moved + 16), frames * (moved + 16) + 10 * 16);
	/* Out: the same, read. */
	s = fab_link_stats(node[1], false);
	assert_int_equal(s->bytes[FAB_CPLD], frames * (moved + 16));
	assert_int_equal(nic_event(1, P2P_EV_host_bytes), frames * len);
	/* Doorbells: 4 bytes of id a frame and lines of 16; each is a TLP and each TLP was counted. */
	down0 = fab_link_stats(node[0], false)->bytes[FAB_MWR];
	down1 = fab_link_stats(node[1], false)->bytes[FAB_MWR];
	assert_int_equal(fab_link_stats(node[0], false)->tlps[FAB_MWR] + fab_link_stats(node[1], false)->tlps[FAB_MWR],
			 cpu.doorbells);
	assert_int_equal((down0 - 4 * frames) % 16, 0);
	assert_true(down0 > 4 * frames + 16 * 2 * (frames / 64));
	assert_int_equal(down1 % 16, 0);
	assert_in_range(down1, 16 * (frames / 64), 16 * (cpu.batches + 10));
}

/* Cores limit, and nothing else. */
static void core_limit(double cores, double batch)
{
	struct sim_cpu_stats cpu;
	double cycles;

	r.host.cores = cores;
	r.host.batch = batch;
	r.host.core_mhz = 100;
	r.host.mmio_write = 0;
	build(1);
	rig_source(&r, 0, 64, 40, 0);
	rig_source(&r, 1, 64, 40, 0);
	rig_run(&r, RIG_MS);
	sim_bn_stats_reset(bn);
	rig_run(&r, RIG_MS);
	sim_bn_stats(bn, &cpu);
	cycles = 20 + 60 / batch;
	rig_close((double)cpu.packets, cores * 100e6 / cycles / 1000, 0.02);
	rig_close((double)cpu.batches, (double)cpu.packets / batch, 0.02);
	assert_int_equal(cpu.cores_used, cores);
	assert_true(cpu.poll_ps < cpu.busy_ps / 50);
	books();
}

static void test_core_limit(void **state)
{
	core_limit(1, 8);
}

static void test_core_limit_4(void **state)
{
	core_limit(4, 32);
}

/* Each doorbell costs; they are counted one by one. */
static void test_doorbell_cost(void **state)
{
	struct sim_cpu_stats cpu;
	double cycles;

	r.host.cores = 1;
	r.host.core_mhz = 100;
	r.host.mmio_write = 100;
	build(1);
	rig_source(&r, 0, 64, 40, 0);
	rig_run(&r, 2 * RIG_MS);
	sim_bn_stats_reset(bn);
	rig_run(&r, 2 * RIG_MS);
	sim_bn_stats(bn, &cpu);
	cycles = (double)cpu.packets * 20 + (double)cpu.batches * 60 + (double)cpu.doorbells * 100;
	rig_close((double)cpu.busy_ps, cycles * 1e4, 0.02);
	assert_true(cpu.doorbells > cpu.packets / 16);
	books();
}

/* Nothing to do: heartbeats and the loop's own tick, no polls. */
static void test_quiet(void **state)
{
	uint64_t events;

	build(1);
	rig_run(&r, 20 * RIG_MS);
	events = fab_queue_count(sim_world_queue(r.w));
	rig_run(&r, 100 * RIG_MS);
	events = fab_queue_count(sim_world_queue(r.w)) - events;
	/* The loop ticks every millisecond; 2 NICs' lines and their answers every 10 ms. */
	assert_in_range(events, 100, 1000);
}

/* A lone frame waits for nothing but what it passes through: the loop's polls are 30 cycles of 4 cores apart. */
static void test_latency(void **state)
{
	uint32_t ns[1], least;

	r.host.batch_cycles = 9000 - 20 - 2 * 20;
	build(1);
	rig_source(&r, 0, 64, 1, 1);
	rig_run(&r, RIG_MS / 2);
	assert_int_equal(rig_sent(&r, 1), 1);
	assert_int_equal(sim_mac_latencies(r.mac[1], ns, 1), 1);
	/*
	 * Frame, then descriptor, each through engine, endpoint and root; a batch of one on one core; doorbell; descriptor
	 * and frame: there and back.
	 */
	least = 50 + 50 + 100 + 3000 + 100 + 50 + 2 * (50 + 2 * (50 + 100));
	assert_in_range(ns[0], least, least + 700);
}

static void test_backpressure(void **state)
{
	mesh.flags = P2P_FLAG_BACKPRESSURE;
	mesh.slots = 64;
	r.host.core_mhz = 500;
	build(2);
	rig_source(&r, 0, 64, 40, 0);
	rig_source(&r, 1, 1518, 40, 0);
	rig_source(&r, 2, 300, 40, 0);
	rig_run(&r, RIG_MS / 2);
	assert_int_equal(nic_drops() + sim_bn_drops(bn), 0);
	books();
}

/* A switch that loses 1 write in 1000: nothing false leaves, nothing gets stuck, every frame is accounted for. */
static void test_lossy(void **state)
{
	struct fab_switch_cfg lossy = { .latency_ps = 100 * RIG_NS, .loss = { .ppm = { [FAB_MWR] = 1000 } } };
	uint64_t in = 0, out = 0, lost = 0, missed;
	unsigned int k;

	mesh.flags = P2P_FLAG_SCRUB;
	build_lossy(1, &lossy);
	rig_source(&r, 0, 300, 4, 20000);
	rig_source(&r, 1, 64, 2, 20000);
	rig_run(&r, 4000 * RIG_MS);
	for (k = 0; k < r.macs; k++) {
		in += rig_offered(&r, k, &missed);
		out += rig_sent(&r, k);
		lost += missed;
	}
	assert_int_equal(in, 40000);
	assert_int_equal(sim_bn_held(bn), 0);
	assert_true(nic_drops() > 0 && sim_bn_drops(bn) > 0);
	assert_int_equal(in, out + lost + nic_drops() + sim_bn_drops(bn));
	assert_in_range(out, 39000, 39990);
}

static void test_refused(void **state)
{
	struct sim_bn *none = NULL;
	struct sim_mesh_cfg cfg;

	build(1);
	assert_int_equal(sim_bn_start(bn, r.err), 0); /* it runs, and goes on */
	assert_true(sim_bn_ready(bn));
	cfg = mesh;
	cfg.slots = 32;
	assert_int_equal(sim_bn_create(r.h, &cfg, nic, NICS, &none, r.err), -22);
	cfg.slots = 16384; /* 2 NICs x 8 ports would be too much */
	assert_int_equal(sim_bn_create(r.h, &cfg, nic, 0, &none, r.err), -22);
	assert_null(none);
	cfg.slots = 1024;
	/* Room for one thing, NICs configured for another. */
	assert_int_equal(sim_bn_create(r.h, &cfg, nic, NICS, &none, r.err), 0);
	assert_int_equal(sim_bn_start(none, r.err), -22);
	sim_bn_destroy(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit_4, setup, teardown),
		cmocka_unit_test_setup_teardown(test_doorbell_cost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backpressure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lossy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
