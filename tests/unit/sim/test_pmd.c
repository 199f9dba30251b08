/* SPDX-License-Identifier: BSD-3-Clause */
/* The poll-mode model: frames, bytes on the links, doorbells, what limits it. */
#include "host_rig.h"

#define NICS 2

static struct rig r;
static struct sim_pmd *pmd;
static struct fab_node *node[NICS];

static int setup(void **state)
{
	rig_profiles(&r);
	pmd = NULL;
	return 0;
}

static int teardown(void **state)
{
	sim_pmd_destroy(pmd);
	rig_destroy(&r);
	return 0;
}

/* Two NICs of `ports` ports, paired crosswise. */
static void build(enum sim_pmd_app app, unsigned int ports)
{
	struct port *mac[P2P_MAX_PORTS];
	unsigned int i, k;

	rig_host(&r);
	assert_int_equal(sim_pmd_create(r.h, app, &pmd), 0);
	for (i = 0; i < NICS; i++) {
		for (k = 0; k < ports; k++)
			mac[k] = rig_mac(&r);
		assert_int_equal(sim_pmd_add_nic(pmd, "nic", &r.nic, sim_host_node(r.h), mac, ports, NULL, r.err), 0);
		node[i] = sim_pmd_node(pmd, i);
		assert_non_null(node[i]);
	}
	for (i = 0; i < NICS; i++)
		for (k = 0; k < ports; k++)
			sim_pmd_pair(pmd, i, k, 1 - i, k);
	assert_int_equal(fab_finish(sim_world_fabric(r.w), r.err), 0);
}

static void start(void)
{
	if (sim_pmd_start(pmd, r.err))
		fail_msg("%s", r.err);
}

static void test_frames(void **state)
{
	static const uint32_t bytes[] = { 64, 65, 127, 128, 511, 1518, 2052 };
	struct sim_cpu_stats cpu;
	unsigned int k, n;
	uint64_t missed;
	uint32_t ns[4];

	r.nic.mac_gbps = 10;
	build(SIM_PMD_TESTPMD, 2);
	start();
	for (n = 0; n < P2P_ARRAY_SIZE(bytes); n++) {
		sim_pmd_stats_reset(pmd);
		for (k = 0; k < r.macs; k++) {
			sim_mac_reset(r.mac[k]);
			rig_source(&r, k, bytes[n], 4, 1000);
		}
		rig_run(&r, 10 * RIG_MS);
		for (k = 0; k < r.macs; k++) {
			assert_int_equal(rig_offered(&r, k, &missed), 1000);
			assert_int_equal(missed, 0);
			assert_int_equal(rig_sent(&r, k), 1000);
			assert_int_equal(sim_mac_latencies(r.mac[k], ns, 4), 4);
			assert_true(ns[0] > 500 && ns[3] < 50000);
		}
		sim_pmd_stats(pmd, &cpu);
		assert_int_equal(cpu.packets, 1000 * r.macs);
		assert_true(cpu.busy_ps > 0);
		assert_int_equal(cpu.busy_ps + cpu.poll_ps, 4 * 10 * RIG_MS);
	}
	assert_int_equal(sim_pmd_drops(pmd), 0);
	assert_true(fab_idle(sim_world_fabric(r.w)));
}

/* One way, a known number of frames: every byte on both links. */
static void test_bytes(void **state)
{
	const uint64_t frames = 4000, len = 250 - 4;
	const struct fab_dir_stats *s;
	struct sim_cpu_stats cpu;
	struct sim_nic_stats nic;

	build(SIM_PMD_TESTPMD, 1);
	rig_source(&r, 0, 250, 20, frames);
	start();
	rig_run(&r, RIG_MS);
	assert_int_equal(rig_sent(&r, 1), frames);
	sim_pmd_stats(pmd, &cpu);
	/* In: payload and a receive descriptor each. */
	s = fab_link_stats(node[0], true);
	assert_int_equal(s->bytes[FAB_MWR], frames * (len + 16));
	/* Free descriptors of all batches handed back. */
	s = fab_link_stats(node[0], false);
	assert_int_equal(s->bytes[FAB_CPLD] % 16, 0);
	assert_true(s->bytes[FAB_CPLD] <= frames * 16 && s->bytes[FAB_CPLD] > (frames - 4 * 8) * 16);
	/* Out: a send descriptor and payload each, read. */
	s = fab_link_stats(node[1], false);
	assert_int_equal(s->bytes[FAB_CPLD], frames * (len + 16));
	/* Completions, 16 bytes for 1 to 8 frames. */
	s = fab_link_stats(node[1], true);
	assert_int_equal(s->bytes[FAB_MWR] % 16, 0);
	assert_true(s->bytes[FAB_MWR] / 16 >= frames / 8 && s->bytes[FAB_MWR] / 16 <= cpu.batches);
	/* The engines: a request for each frame, and for 1 to 8 descriptors or completions. */
	sim_pmd_nic_stats(pmd, 0, &nic);
	assert_in_range(nic.dma_writes, frames + frames / 8, 2 * frames);
	assert_in_range(nic.dma_reads, (frames - 4 * 8) / 8, frames / 8 + 4);
	sim_pmd_nic_stats(pmd, 1, &nic);
	assert_in_range(nic.dma_reads, frames + frames / 8, 2 * frames);
	/* 40 cycles for each request and each frame sent, at 40 GHz. */
	assert_int_equal(nic.work_ps, (nic.dma_reads + nic.dma_writes + frames) * RIG_NS);
	/* Doorbells, 8 bytes. */
	assert_int_equal(fab_link_stats(node[0], false)->bytes[FAB_MWR] + fab_link_stats(node[1], false)->bytes[FAB_MWR],
			 8 * cpu.doorbells);
	assert_int_equal(fab_link_stats(node[1], false)->bytes[FAB_MWR], 8 * cpu.batches);
}

static void drain(void)
{
	unsigned int k;

	for (k = 0; k < r.macs; k++)
		rig_source(&r, k, 64, 0, 0);
	rig_run(&r, 2 * RIG_MS);
	assert_true(fab_idle(sim_world_fabric(r.w)));
}

/* What came in and was not missed is what went out or was dropped; returns how many were not sent. */
static uint64_t books(void)
{
	uint64_t in = 0, out = 0, missed, lost = 0;
	unsigned int k;

	drain();
	for (k = 0; k < r.macs; k++) {
		in += rig_offered(&r, k, &missed);
		out += rig_sent(&r, k);
		lost += missed;
	}
	assert_true(out > 0);
	assert_int_equal(in, out + lost + sim_pmd_drops(pmd));
	return in - out;
}

/* Cores limit, and nothing else: cores * clock / cycles. */
static void core_limit(enum sim_pmd_app app, double cores, double batch, double cycles)
{
	struct sim_cpu_stats cpu;

	r.host.cores = cores;
	r.host.batch = batch;
	r.host.core_mhz = 400;
	build(app, 1);
	rig_source(&r, 0, 64, 40, 0);
	rig_source(&r, 1, 64, 40, 0);
	start();
	rig_run(&r, 300 * RIG_US);
	sim_pmd_stats_reset(pmd);
	rig_run(&r, RIG_MS);
	sim_pmd_stats(pmd, &cpu);
	rig_close((double)cpu.packets, cores * 400e6 / cycles / 1000, 0.02);
	assert_int_equal(cpu.cores_used, cores);
	assert_true(cpu.poll_ps < cpu.busy_ps / 100);
	/* One doorbell a batch for the egress and one for the ingress. */
	rig_close((double)cpu.doorbells, 2 * (double)cpu.packets / batch, 0.02);
	rig_close((double)cpu.batches, (double)cpu.packets / batch, 0.02);
	assert_true(books() > 0);
}

static void test_core_limit(void **state)
{
	core_limit(SIM_PMD_TESTPMD, 1, 8, 40 + (60 + 2 * 20) / 8.);
}

static void test_core_limit_4(void **state)
{
	core_limit(SIM_PMD_TESTPMD, 4, 8, 40 + (60 + 2 * 20) / 8.);
}

static void test_core_limit_32(void **state)
{
	core_limit(SIM_PMD_TESTPMD, 2, 32, 40 + (60 + 2 * 20) / 32.);
}

/* l3fwd looks at what a cache line holds of a frame: here 60 bytes. */
static void test_core_limit_l3fwd(void **state)
{
	core_limit(SIM_PMD_L3FWD, 2, 8, 60 + 60 * 0.25 + (60 + 2 * 20) / 8.);
}

/* The egress cable is slower than what comes in: send rings fill, frames drop, the books balance. */
static void test_send_full(void **state)
{
	struct sim_nic_profile slow = r.nic;
	struct port *mac[1];

	r.host.ring = 64;
	rig_host(&r);
	assert_int_equal(sim_pmd_create(r.h, SIM_PMD_TESTPMD, &pmd), 0);
	mac[0] = rig_mac(&r);
	assert_int_equal(sim_pmd_add_nic(pmd, "fast", &r.nic, sim_host_node(r.h), mac, 1, NULL, r.err), 0);
	r.nic.mac_gbps = slow.mac_gbps = 10;
	mac[0] = rig_mac(&r);
	assert_int_equal(sim_pmd_add_nic(pmd, "slow", &slow, sim_host_node(r.h), mac, 1, NULL, r.err), 0);
	sim_pmd_pair(pmd, 0, 0, 1, 0);
	assert_int_equal(fab_finish(sim_world_fabric(r.w), r.err), 0);
	rig_source(&r, 0, 512, 20, 20000);
	start();
	rig_run(&r, 8 * RIG_MS);
	assert_int_equal(rig_offered(&r, 0, NULL), 20000);
	/* The cable is full all the time: half of it leaves. */
	rig_close((double)rig_sent(&r, 1), 10000, 0.1);
	assert_true(sim_pmd_drops(pmd) > 0);
	books();
}

/* A stopped core would not empty its ring: here it is merely slow, and the NIC runs out of descriptors. */
static void test_no_descriptor(void **state)
{
	r.host.core_mhz = 20;
	r.host.ring = 64;
	build(SIM_PMD_TESTPMD, 1);
	rig_source(&r, 0, 64, 10, 10000);
	start();
	rig_run(&r, 10 * RIG_MS);
	assert_true(sim_pmd_drops(pmd) > 1000);
	books();
}

static void test_too_long(void **state)
{
	build(SIM_PMD_TESTPMD, 1);
	rig_source(&r, 0, 4000, 10, 50);
	rig_source(&r, 1, 2048, 10, 50);
	start();
	rig_run(&r, RIG_MS);
	assert_int_equal(rig_sent(&r, 1), 0);
	assert_int_equal(rig_sent(&r, 0), 50);
	assert_int_equal(sim_pmd_drops(pmd), 50);
}

static void test_jumbo(void **state)
{
	struct port *mac[1];
	unsigned int i;

	rig_host(&r);
	assert_int_equal(sim_pmd_create(r.h, SIM_PMD_TESTPMD, &pmd), 0);
	assert_int_equal(sim_pmd_buffers(pmd, 10000), -22);
	assert_int_equal(sim_pmd_buffers(pmd, 9728), 0);
	for (i = 0; i < NICS; i++) {
		mac[0] = rig_mac(&r);
		assert_int_equal(sim_pmd_add_nic(pmd, "nic", &r.nic, sim_host_node(r.h), mac, 1, NULL, r.err), 0);
	}
	assert_int_equal(sim_pmd_buffers(pmd, 2048), -22);
	sim_pmd_pair(pmd, 0, 0, 1, 0);
	assert_int_equal(fab_finish(sim_world_fabric(r.w), r.err), 0);
	rig_source(&r, 0, 9018, 20, 100);
	rig_source(&r, 1, 9018, 20, 100); /* nowhere to go */
	start();
	rig_run(&r, RIG_MS);
	assert_int_equal(rig_sent(&r, 1), 100);
	assert_int_equal(rig_sent(&r, 0), 0);
	assert_int_equal(sim_pmd_drops(pmd), 100);
}

/* Nobody polls in virtual time. */
static void test_quiet(void **state)
{
	struct sim_cpu_stats cpu;
	uint64_t events;

	build(SIM_PMD_TESTPMD, 2);
	start();
	rig_run(&r, RIG_US);
	events = fab_queue_count(sim_world_queue(r.w));
	rig_run(&r, 100 * RIG_MS);
	assert_int_equal(fab_queue_count(sim_world_queue(r.w)), events);
	sim_pmd_stats(pmd, &cpu);
	assert_int_equal(cpu.busy_ps, 0);
	assert_int_equal(cpu.poll_ps, 4 * (100 * RIG_MS + RIG_US));
	assert_int_equal(cpu.cores_used, 4);
}

/* A lone frame waits for nothing but what it passes through. */
static void test_latency(void **state)
{
	uint32_t ns[1], least;
	double polls = 30 / 3., batch = (60 + 40 + 20) / 3.;

	r.host.queues = 1;
	build(SIM_PMD_TESTPMD, 1);
	rig_source(&r, 0, 64, 1, 1);
	start();
	rig_run(&r, RIG_MS);
	assert_int_equal(sim_mac_latencies(r.mac[1], ns, 1), 1);
	/* To memory: engine, endpoint, root; doorbell; descriptor and frame: there and back. */
	least = (uint32_t)(50 + 50 + 100 + batch + 100 + 50 + 2 * (50 + 2 * (50 + 100)));
	assert_true(ns[0] > least);
	assert_true(ns[0] < least + 300 + polls + 2 * r.nic.poll);
}

/* The same input, the same to the picosecond. */
static void test_same(void **state)
{
	struct sim_sink_stats sink[2][2];
	struct sim_cpu_stats cpu[2];
	uint64_t events[2];
	unsigned int k;

	for (k = 0; k < 2; k++) {
		if (k) {
			teardown(state);
			setup(state);
		}
		r.host.core_mhz = 700;
		build(SIM_PMD_L3FWD, 1);
		rig_source(&r, 0, 64, 30, 0);
		rig_source(&r, 1, 300, 40, 0);
		start();
		rig_run(&r, RIG_MS / 4);
		sim_mac_sink(r.mac[0], &sink[k][0]);
		sim_mac_sink(r.mac[1], &sink[k][1]);
		sim_pmd_stats(pmd, &cpu[k]);
		events[k] = fab_queue_count(sim_world_queue(r.w));
	}
	assert_memory_equal(sink[0], sink[1], sizeof(sink[0]));
	assert_memory_equal(&cpu[0], &cpu[1], sizeof(cpu[0]));
	assert_int_equal(events[0], events[1]);
	assert_true(sink[0][0].frames > 1000 && sink[0][1].frames > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit_4, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit_32, setup, teardown),
		cmocka_unit_test_setup_teardown(test_core_limit_l3fwd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jumbo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
