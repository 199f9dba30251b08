/* SPDX-License-Identifier: BSD-3-Clause */
/* One NIC's life: what its steps cost, when it looks, where its DMA goes, how it dies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <firmware/board.h>

#include "rig.h"

static struct rig rig;

static void up(enum p2p_mode mode)
{
	if (!rig.prof.workers)
		rig_profile(&rig.prof);
	assert_int_equal(rig_up(&rig, 2, 1, mode), 0);
}

static int teardown(void **state)
{
	if (rig.w)
		rig_down(&rig);
	return 0;
}

static uint64_t events_run(void)
{
	return fab_queue_count(sim_world_queue(rig.w));
}

static uint64_t frames_out(unsigned int nic)
{
	struct sim_sink_stats s;

	sim_mac_sink(rig.mac[nic][0], &s);
	assert_int_equal(s.corrupted + s.reordered + s.duplicated, 0);
	return s.frames;
}

/* Cycles as worked out by hand from what a frame of 64 bytes meets: 60 bytes are one unit of 64. */
static void test_charges(void **state)
{
	struct sim_nic_stats a, b;
	uint64_t batches, tells;

	up(P2P_MODE_WR);
	sim_nic_stats_reset(rig.nic[0]);
	sim_nic_stats_reset(rig.nic[1]);
	batches = fw_nic_events(sim_nic_fw(rig.nic[0]))[P2P_EV_flushes];
	tells = fw_nic_events(sim_nic_fw(rig.nic[1]))[P2P_EV_completion_bytes];
	rig_source(&rig, 0, 0, 64, 10, 1000);
	rig_run(&rig, 1000000);
	assert_int_equal(frames_out(1), 1000);
	sim_nic_stats(rig.nic[0], &a);
	sim_nic_stats(rig.nic[1], &b);
	batches = fw_nic_events(sim_nic_fw(rig.nic[0]))[P2P_EV_flushes] - batches;
	tells = (fw_nic_events(sim_nic_fw(rig.nic[1]))[P2P_EV_completion_bytes] - tells) / 16;
	assert_int_equal(a.cycles[BOARD_STEP_RX], 1000 * 60);
	assert_int_equal(a.cycles[BOARD_STEP_LOOKUP], 1000 * 20);
	assert_int_equal(a.cycles[BOARD_STEP_RESERVE], 1000 * 40);
	assert_int_equal(a.cycles[BOARD_STEP_CSUM_WORD], 1000 * 4 * 4);
	assert_int_equal(a.cycles[BOARD_STEP_DMA_ISSUE], (1000 + batches) * 30);
	assert_int_equal(a.cycles[BOARD_STEP_TX], 0);
	assert_int_equal(a.cycles[BOARD_STEP_CHECK], 0);
	assert_int_equal(b.cycles[BOARD_STEP_RX], 0);
	assert_int_equal(b.cycles[BOARD_STEP_CSUM_WORD], 1000 * 4 * 4);
	assert_int_equal(b.cycles[BOARD_STEP_CHECK], 1000 * 30);
	assert_int_equal(b.cycles[BOARD_STEP_COMPLETE], 1000 * 20);
	assert_int_equal(b.cycles[BOARD_STEP_TX], 1000 * 40);
	assert_int_equal(b.cycles[BOARD_STEP_DMA_ISSUE], tells * 30);
	assert_int_equal(a.dma_writes, 1000 + batches);
	assert_int_equal(b.dma_writes, tells);
	assert_true(a.cycles[BOARD_STEP_POLL_COMP] && b.cycles[BOARD_STEP_POLL_RING]);
	/* 54 workers at 1.2 GHz */
	uint64_t sum = 0;
	for (unsigned int k = 0; k < BOARD_NUM_STEPS; k++)
		sum += a.cycles[k];
	assert_in_range(a.work_ps, sum * 10000 / 648 * 998 / 1000, sum * 10000 / 648 * 1002 / 1000);
}

static uint32_t lone_latency(enum p2p_mode mode)
{
	uint32_t ns;

	assert_int_equal(rig_up(&rig, 2, 1, mode), 0);
	rig_source(&rig, 0, 0, 64, 10, 1);
	rig_run(&rig, 100000);
	assert_int_equal(sim_mac_latencies(rig.mac[1][0], &ns, 1), 1);
	rig_down(&rig);
	return ns;
}

/* Payload, descriptor, hand-over to the MAC: each waits in a worker. */
static void test_work_latency(void **state)
{
	struct sim_nic_profile p;
	uint32_t none, some;

	rig_profile(&p);
	p.poll = 1;
	p.work_latency = 0;
	rig.prof = p;
	none = lone_latency(P2P_MODE_WR);
	p.work_latency = 1000;
	rig.prof = p;
	some = lone_latency(P2P_MODE_WR);
	assert_in_range(some - none, 2996, 3004);
}

/* A frame waits for the next look at most; a busy NIC's cycles delay what comes after them. */
static void test_poll_and_cycles(void **state)
{
	struct sim_nic_profile p;
	uint32_t quick, slow;

	rig_profile(&p);
	p.poll = 1;
	rig.prof = p;
	quick = lone_latency(P2P_MODE_WR);
	p.poll = 1000;
	rig.prof = p;
	slow = lone_latency(P2P_MODE_WR);
	assert_in_range(slow - quick, 100, 3000); /* three looks: frame, payload's end, descriptor */
	p.poll = 1;
	p.workers = 1;
	p.step_rx = 1200; /* 1 us */
	rig.prof = p;
	slow = lone_latency(P2P_MODE_WR);
	assert_in_range(slow - quick, 1000, 1600);
}

static double mean_latency(uint32_t *least, uint32_t *most)
{
	uint32_t ns[200], k, n;
	double sum = 0;

	assert_int_equal(rig_up(&rig, 2, 1, P2P_MODE_WR), 0);
	rig_source(&rig, 0, 0, 64, 0.0672, 200); /* each 10 us */
	rig_run(&rig, 2100000);
	n = sim_mac_latencies(rig.mac[1][0], ns, 200);
	rig_down(&rig);
	assert_int_equal(n, 200);
	*least = UINT32_MAX;
	*most = 0;
	for (k = 0; k < n; k++) {
		sum += ns[k];
		*least = ns[k] < *least ? ns[k] : *least;
		*most = ns[k] > *most ? ns[k] : *most;
	}
	return sum / n;
}

/* Looks are in step with nothing: of three waits, each is half a period in the mean, whatever the frames' own period. */
static void test_looks_in_step_with_nothing(void **state)
{
	uint32_t least, most;
	double quick, slow;

	rig_profile(&rig.prof);
	rig.prof.poll = 1;
	quick = mean_latency(&least, &most);
	rig_profile(&rig.prof);
	rig.prof.poll = 1000;
	slow = mean_latency(&least, &most);
	assert_in_range(slow - quick, 1300, 1700);
	assert_in_range(most - least, 1500, 3000);
}

/* A burst of 32 frames after the other, each as soon as the one before it has been worked on. */
static void test_bursts(void **state)
{
	struct sim_sink_stats s;

	rig_profile(&rig.prof);
	rig.prof.mac_gbps = 0;
	rig.prof.dma_write_gap = rig.prof.dma_overhead = rig.prof.dma_byte = 0;
	rig.prof.mem_write_gap = rig.prof.mem_rate = rig.prof.pcie_gen = 0;
	rig.prof.dma_writes = 256;
	rig.prof.poll = 5;
	up(P2P_MODE_WR);
	sim_nic_auto(rig.nic[0], false);
	rig_source(&rig, 0, 0, 64, 400, 160);
	rig_run(&rig, 10000);
	sim_nic_auto(rig.nic[0], true);
	rig_run(&rig, 100000);
	assert_int_equal(frames_out(1), 160);
	sim_mac_sink(rig.mac[1][0], &s);
	/* 160 frames of 60 + 20 + 40 + 16 + 30 cycles and 20 batches of 30, 54 workers at 1.2 GHz: 420 ns */
	assert_in_range(s.last_ps - s.first_ps, 350000, 450000);
}

/* With nothing to do a NIC ticks every millisecond and writes a heartbeat every ten. */
static void test_idle_costs_nothing(void **state)
{
	uint64_t before;

	up(P2P_MODE_WR);
	rig_run(&rig, 20000000);
	before = events_run();
	rig_run(&rig, 100000000);
	assert_in_range(events_run() - before, 20, 2000);
}

static void test_source_wakes(void **state)
{
	up(P2P_MODE_RD);
	rig_run(&rig, 300000);
	rig_source(&rig, 0, 0, 64, 10, 1);
	rig_run(&rig, 20000);
	assert_int_equal(frames_out(1), 1);
}

static void test_same_input_same_output(void **state)
{
	uint32_t ns[2][500];
	uint64_t events[2], faults = 0;
	uint32_t n[2], k;

	for (k = 0; k < 2; k++) {
		rig_profile(&rig.prof);
		up(P2P_MODE_RD);
		rig_source(&rig, 0, 0, 64, 40, 5000);
		rig_source(&rig, 1, 0, 300, 30, 3000);
		rig_run(&rig, 1000000);
		events[k] = events_run();
		n[k] = sim_mac_latencies(rig.mac[1][0], ns[k], 500);
		faults += sim_nic_faults(rig.nic[0]);
		rig_down(&rig);
	}
	assert_int_equal(events[0], events[1]);
	assert_int_equal(n[0], 500);
	assert_memory_equal(ns[0], ns[1], sizeof(ns[0]));
	assert_int_equal(faults, 0);
}

static void test_address_map(void **state)
{
	struct board_ctx *b;

	up(P2P_MODE_WR);
	b = rig.nic[0];
	assert_int_equal(sim_nic_map(b, 0x10000, 0x2000, 0, true, true), 0);
	assert_int_equal(sim_nic_map(b, 0x11fff, 1, 0, true, true), -EEXIST);
	assert_int_equal(sim_nic_map(b, 0xf000, 0x1001, 0, true, true), -EEXIST);
	assert_int_equal(sim_nic_map(b, 0xf000, 0x1000, 0, true, true), 0);
	assert_int_equal(sim_nic_map(b, 0x12000, 0x1000, 0, true, true), 0);
	assert_int_equal(sim_nic_map(b, UINT64_MAX, 2, 0, true, true), -EINVAL);
	assert_int_equal(sim_nic_map(b, 0, 0, 0, true, true), -EINVAL);
	sim_nic_unmap(b, 0xf000, 0x3000);
	assert_int_equal(sim_nic_map(b, 0x11000, 0x1000, 0, true, true), 0);
	assert_int_equal(sim_nic_map(b, 0x12000, 0x1000, 0, true, true), -EEXIST);
}

/* What firmware would see: writes vanish, reads bring ones, faults are counted, and they finish. */
static void test_faults(void **state)
{
	struct board_ctx *b;
	struct board_win w;
	uint8_t data[64] = { 1 };
	uint32_t tok;

	up(P2P_MODE_WR);
	b = rig.nic[0];
	sim_nic_auto(b, false);
	sim_nic_auto(rig.nic[1], false);
	rig_run(&rig, 100000);
	sim_nic_map(b, 0x10000, 0x1000, sim_nic_bar2(rig.nic[1]), false, true);
	board_win_open(b, &w, 0x10000, 0x2000);
	assert_int_equal(sim_nic_faults(b), 0);
	tok = board_write(b, &w, 0, data, 64, BOARD_KIND_PAYLOAD);
	assert_false(board_done(b, BOARD_Q_WRITE, tok));
	assert_true(sim_nic_busy(b));
	rig_run(&rig, 100000);
	assert_true(board_done(b, BOARD_Q_WRITE, tok));
	assert_int_equal(sim_nic_faults(b), 0);
	assert_int_equal(*(uint8_t *)sim_nic_mem(rig.nic[1], 0), 1);

	board_write(b, &w, 0x1000, data, 64, BOARD_KIND_PAYLOAD);      /* nothing there */
	board_write(b, &w, 0xfe0, data, 64, BOARD_KIND_PAYLOAD);       /* half of it */
	board_write(b, &w, 0x1fff, data, 64, BOARD_KIND_PAYLOAD);      /* beyond the window */
	tok = board_read(b, &w, 0, data, 64, BOARD_KIND_PAYLOAD);      /* no permission */
	assert_int_equal(sim_nic_faults(b), 4);
	rig_run(&rig, 100000);
	assert_true(board_done(b, BOARD_Q_READ, tok));
	assert_int_equal(data[0], 0xff);
	assert_int_equal(data[63], 0xff);
	sim_nic_bus_master(b, false);
	board_write(b, &w, 0, data, 64, BOARD_KIND_PAYLOAD);
	assert_int_equal(sim_nic_faults(b), 5);
	assert_false(sim_nic_busy(b));
	rig_run(&rig, 100000);
	assert_int_equal(*(uint8_t *)sim_nic_mem(rig.nic[1], 0), 1);
}

/* Requests of a queue finish in order, local ones among them. */
static void test_order(void **state)
{
	struct board_ctx *b;
	struct board_win far, near;
	static uint8_t data[8192];
	uint32_t t[3];

	up(P2P_MODE_WR);
	b = rig.nic[0];
	sim_nic_auto(b, false);
	rig_run(&rig, 100000);
	sim_nic_map(b, 0x10000, 0x10000, sim_nic_bar2(rig.nic[1]), true, true);
	board_win_open(b, &far, 0x10000, 0x10000);
	board_win_open(b, &near, P2P_BUS_LOCAL, 0x10000);
	memset(data, 7, sizeof(data));
	t[0] = board_read(b, &far, 0, data, 4096, BOARD_KIND_PAYLOAD);
	t[1] = board_read(b, &near, 0, data + 4096, 64, BOARD_KIND_PAYLOAD);
	t[2] = board_read(b, &far, 0, data + 8000, 64, BOARD_KIND_PAYLOAD);
	while (!board_done(b, BOARD_Q_READ, t[2])) {
		assert_false(board_done(b, BOARD_Q_READ, t[1]) && !board_done(b, BOARD_Q_READ, t[0]));
		if (board_done(b, BOARD_Q_READ, t[1]))
			assert_int_equal(data[4095] | data[4096], 0);
		rig_run(&rig, 10);
	}
	assert_int_equal(data[8063], 0);
	assert_int_equal(data[8064], 7);
	assert_int_equal(sim_nic_faults(b), 0);
}

/* What the engine may have in flight and what the workers have in hand; lines go beyond it. */
static void test_room(void **state)
{
	static const uint32_t line[4] = { 1, 2, 3, 4 };
	struct board_ctx *b;
	struct board_win w;
	uint8_t data[64] = { 0 };
	uint32_t k, tok = 0;

	up(P2P_MODE_WR);
	b = rig.nic[0];
	sim_nic_auto(b, false);
	rig_run(&rig, 100000);
	sim_nic_map(b, 0x10000, 0x1000, sim_nic_bar2(rig.nic[1]), true, true);
	board_win_open(b, &w, 0x10000, 0x1000);
	for (k = 0; k < 64 + 54; k++) {
		assert_int_equal(board_room(b, BOARD_Q_WRITE), 64 + 54 - k);
		board_write(b, &w, 0, data, 64, BOARD_KIND_PAYLOAD);
	}
	for (k = 0; k < 500; k++) {
		assert_int_equal(board_room(b, BOARD_Q_WRITE), 0);
		tok = board_write_line(b, &w, 16, line, BOARD_KIND_CONTROL);
	}
	assert_int_equal(board_room(b, BOARD_Q_READ), 64 + 54);
	rig_run(&rig, 100000);
	assert_true(board_done(b, BOARD_Q_WRITE, tok));
	assert_int_equal(board_room(b, BOARD_Q_WRITE), 64 + 54);
	assert_int_equal(((uint8_t *)sim_nic_mem(rig.nic[1], 0))[28], 4);
}

static void test_kill_and_revive(void **state)
{
	struct fw_strap strap = { .ports = 1, .buf_size = 2048, .mem_bytes = 64u << 20 };
	struct board_ctx *dead, *again;
	uint64_t sent;

	up(P2P_MODE_WR);
	rig_source(&rig, 0, 0, 64, 20, 10000);
	rig_run(&rig, 50000);
	dead = rig.nic[1];
	sim_nic_kill(dead);
	sent = frames_out(1);
	assert_true(sent > 1000);
	rig_run(&rig, 300000000);
	assert_int_equal(frames_out(1), sent);
	assert_int_equal(fw_nic_events(sim_nic_fw(rig.nic[0]))[P2P_EV_peer_down], 1);
	assert_int_equal(sim_nic_faults(rig.nic[0]), 0); /* what is written to the dead vanishes */
	assert_int_equal(sim_nic_revive(rig.nic[0], &strap, rig.mac[0], &again), -EINVAL);
	assert_int_equal(sim_nic_revive(dead, &strap, rig.mac[1], &again), 0);
	assert_ptr_not_equal(again, dead);
	assert_int_equal(sim_nic_bar2(again), sim_nic_bar2(dead));
	assert_null(sim_nic_mem(again, 0));
	assert_int_equal(fw_reg_read(sim_nic_fw(again), P2P_STATUS, 4), 0);
	rig_run(&rig, 1000000);
}

/* Reset with DMA in flight: what the fabric still reads stays until it has. */
static void test_reset_in_flight(void **state)
{
	unsigned int k;

	up(P2P_MODE_RD);
	rig_source(&rig, 0, 0, 1518, 40, 0);
	rig_source(&rig, 1, 0, 1518, 40, 0);
	for (k = 0; k < 20; k++) {
		rig_run(&rig, 3000 + 777 * k);
		fw_nic_reset(sim_nic_fw(rig.nic[k % 2]), false);
		rig_run(&rig, 5000);
		assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, NULL, 0, NULL, rig.err), -EEXIST);
		sim_nic_unmap(rig.nic[0], 0, UINT64_MAX);
		sim_nic_unmap(rig.nic[1], 0, UINT64_MAX);
		assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, (struct sim_pair[]){ { 0, 0, 1, 0 }, { 1, 0, 0, 0 } },
					     2, NULL, rig.err), 0);
		assert_int_equal(sim_mesh_wait(rig.w, rig.nic, 2, NULL, 100000000, rig.err), 0);
	}
	sim_mac_reset(rig.mac[0][0]);
	rig_run(&rig, 1000000);
	assert_in_range(frames_out(0), 3000, 3300);
}

static void test_bad_bring_up(void **state)
{
	struct sim_pair pair = { 0, 0, 0, 1 };

	rig_profile(&rig.prof);
	up(P2P_MODE_WR);
	assert_int_equal(sim_mesh_up(rig.w, rig.nic, 0, &rig.mesh, NULL, 0, NULL, rig.err), -EINVAL);
	rig.mesh.mode = P2P_MODE_BN;
	assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, NULL, 0, NULL, rig.err), -EINVAL);
	assert_string_equal(rig.err, "bn needs a host, and wr and rd none");
	rig.mesh.mode = P2P_MODE_WR;
	rig.mesh.slots = 100;
	assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, NULL, 0, NULL, rig.err), -EINVAL);
	assert_non_null(strstr(rig.err, "nic0: refused its configuration (100 slots"));
	rig.mesh.slots = 16384;
	assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, NULL, 0, NULL, rig.err), -EINVAL);
	assert_non_null(strstr(rig.err, "Cannot allocate memory"));
	rig.mesh.slots = 64;
	sim_nic_unmap(rig.nic[0], 0, UINT64_MAX);
	sim_nic_unmap(rig.nic[1], 0, UINT64_MAX);
	assert_int_equal(sim_mesh_up(rig.w, rig.nic, 2, &rig.mesh, &pair, 1, NULL, rig.err), -EINVAL);
	assert_string_equal(rig.err, "pair of port 0 of NIC 0 and port 1 of NIC 0: there is no such port");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_charges, teardown),
		cmocka_unit_test_teardown(test_work_latency, teardown),
		cmocka_unit_test_teardown(test_poll_and_cycles, teardown),
		cmocka_unit_test_teardown(test_looks_in_step_with_nothing, teardown),
		cmocka_unit_test_teardown(test_bursts, teardown),
		cmocka_unit_test_teardown(test_idle_costs_nothing, teardown),
		cmocka_unit_test_teardown(test_source_wakes, teardown),
		cmocka_unit_test_teardown(test_same_input_same_output, teardown),
		cmocka_unit_test_teardown(test_address_map, teardown),
		cmocka_unit_test_teardown(test_faults, teardown),
		cmocka_unit_test_teardown(test_order, teardown),
		cmocka_unit_test_teardown(test_room, teardown),
		cmocka_unit_test_teardown(test_kill_and_revive, teardown),
		cmocka_unit_test_teardown(test_reset_in_flight, teardown),
		cmocka_unit_test_teardown(test_bad_bring_up, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
