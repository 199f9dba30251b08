/* SPDX-License-Identifier: BSD-3-Clause */
/* When the DMA engine begins and ends requests, on a fabric that is a delay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <boards/sim/engine.h>

#define MAX 64

static struct fab_queue *queue;
static struct sim_nic_profile prof;
static struct sim_engine *eng;
static uint64_t fabric_ps; /* what the fabric takes */
static unsigned int begun, done;
static uint64_t begun_ps[MAX], done_ps[MAX];
static struct sim_dma dma[MAX];
struct flight {
	struct fab_event ev;
	struct fab_req *r;
};
static struct flight flight[MAX];

static void on_flight(struct fab_event *ev)
{
	struct fab_req *r = ((struct flight *)ev)->r;

	r->done(r);
}

static void take(struct fab_req *r)
{
	flight[begun].r = r;
	fab_event_init(&flight[begun].ev, on_flight);
	fab_schedule(queue, &flight[begun].ev, fab_now(queue) + fabric_ps);
	begun_ps[begun++] = fab_now(queue);
}

void fab_write(struct fab_node *n, struct fab_req *r)
{
	take(r);
}

void fab_read(struct fab_node *n, struct fab_req *r)
{
	take(r);
}

static void on_done(struct sim_dma *d)
{
	done_ps[done++] = fab_now(queue);
}

static int setup(void **state)
{
	queue = fab_queue_create();
	sim_nic_profile_zero(&prof);
	begun = done = 0;
	fabric_ps = 0;
	memset(dma, 0, sizeof(dma));
	return queue ? 0 : -1;
}

static int teardown(void **state)
{
	sim_engine_destroy(eng);
	eng = NULL;
	fab_queue_destroy(queue);
	return 0;
}

static void submit(unsigned int k, uint32_t len, uint64_t not_before_ps, bool read)
{
	dma[k].req.len = len;
	dma[k].not_before_ps = not_before_ps;
	dma[k].done = on_done;
	if (read)
		sim_engine_read(eng, &dma[k]);
	else
		sim_engine_write(eng, &dma[k]);
}

static void start(void)
{
	assert_int_equal(sim_engine_create(queue, &prof, NULL, &eng), 0);
}

/* What a profile says of its link reaches the fabric. */
static void test_link(void **state)
{
	struct fab_link_cfg link;

	prof.pcie_gen = 4;
	prof.pcie_width = 2;
	prof.mps = 512;
	prof.dllp_share = 0.25;
	prof.bit_error_rate = 1e-7;
	sim_profile_link(&prof, &link);
	assert_int_equal(link.gen, 4);
	assert_int_equal(link.width, 2);
	assert_int_equal(link.mps, 512);
	assert_int_equal(link.dllp, FAB_DLLP_SHARE);
	assert_true(link.dllp_share == 0.25 && link.bit_error_rate == 1e-7);
	prof.dllp_share = -1;
	sim_profile_link(&prof, &link);
	assert_int_equal(link.dllp, FAB_DLLP_SPEC);
}

static void test_zero(void **state)
{
	start();
	submit(0, 64, 0, false);
	submit(1, 64, 0, true);
	fab_queue_run(queue, 0);
	assert_int_equal(done, 2);
	assert_false(sim_engine_busy(eng));
}

static void test_latency_and_gap(void **state)
{
	unsigned int k;

	prof.dma_write_latency = 300;
	prof.dma_write_gap = 21;
	start();
	for (k = 0; k < 4; k++)
		submit(k, 64, 1000 * k, false);
	submit(4, 64, 900000, false);
	fab_queue_run(queue, 2000000);
	assert_int_equal(begun, 5);
	for (k = 0; k < 4; k++)
		assert_int_equal(begun_ps[k], 300000 + 21000 * k);
	assert_int_equal(begun_ps[4], 1200000);
}

/* The next write begins when the data path has moved the bytes of this one. */
static void test_write_path(void **state)
{
	struct sim_engine_stats s;

	prof.dma_write_gap = 21;
	prof.dma_overhead = 5;
	prof.dma_byte = 0.125;
	start();
	submit(0, 64, 0, false);  /* 5 + 8 ns: the gap is longer */
	submit(1, 1024, 0, false); /* 5 + 128 ns */
	submit(2, 64, 0, false);
	fab_queue_run(queue, 1000000);
	assert_int_equal(begun_ps[1], 21000);
	assert_int_equal(begun_ps[2], 21000 + 133000);
	sim_engine_stats(eng, &s);
	assert_int_equal(s.writes, 3);
	assert_int_equal(s.write_bytes, 1152);
	assert_int_equal(s.write_busy_ps, 21000 + 133000 + 21000);
	assert_int_equal(s.write_wait_ps, 21000 + 154000);
}

/* Reads come back one after the other. */
static void test_read_path(void **state)
{
	unsigned int k;

	prof.dma_read_latency = 100;
	prof.dma_read_gap = 2;
	prof.dma_overhead = 5;
	prof.dma_byte = 0.125;
	fabric_ps = 400000;
	start();
	for (k = 0; k < 3; k++)
		submit(k, 64, 0, true);
	fab_queue_run(queue, 10000000);
	assert_int_equal(begun_ps[2], 104000);
	for (k = 0; k < 3; k++)
		assert_int_equal(done_ps[k], 500000 + 13000 * (k + 1));
}

static void test_in_flight(void **state)
{
	struct sim_engine_stats s;
	unsigned int k;

	prof.dma_writes = 2;
	prof.dma_reads = 8;
	prof.dma_read_bytes = 1024;
	fabric_ps = 50000;
	start();
	for (k = 0; k < 4; k++)
		submit(k, 64, 0, false);
	fab_queue_run(queue, 49999);
	assert_int_equal(begun, 2);
	assert_true(sim_engine_busy(eng));
	fab_queue_run(queue, 1000000);
	assert_int_equal(done, 4);
	assert_int_equal(begun_ps[3], 50000);

	begun = done = 0;
	for (k = 4; k < 8; k++)
		submit(k, 512, 1000000, true);
	submit(8, 4096, 1000000, true); /* more than may be: alone, then */
	fab_queue_run(queue, 10000000);
	assert_int_equal(begun_ps[1], 1000000);
	assert_int_equal(begun_ps[2], 1050000);
	assert_int_equal(begun_ps[4], 1100000);
	assert_int_equal(done, 5);
	sim_engine_stats(eng, &s);
	assert_int_equal(s.writes_max, 2);
	/* Two, two; four reads of 512, two at a time, then one of four times the limit alone. */
	assert_int_equal(s.write_full_ps, 50000 + 50000);
	assert_int_equal(s.read_full_ps, 50000 + 50000 + 4 * 50000);
	assert_int_equal(s.reads_max, 2);
}

static void test_local(void **state)
{
	prof.local_rate = 10; /* 0.1 ns/B */
	start();
	dma[0].local = dma[1].local = true;
	submit(0, 1000, 0, false);
	submit(1, 500, 0, true);
	submit(2, 64, 0, false);
	fab_queue_run(queue, 1000000);
	assert_int_equal(begun, 1);
	assert_int_equal(done, 3);
	assert_int_equal(done_ps[0], 0);
	assert_int_equal(done_ps[1], 100000);
	assert_int_equal(done_ps[2], 150000);
}

static void test_drop(void **state)
{
	fabric_ps = 1000;
	prof.dma_write_gap = 10;
	start();
	submit(0, 64, 0, false);
	submit(1, 64, 0, false);
	sim_engine_drop(eng);
	assert_true(sim_engine_busy(eng));
	fab_queue_run(queue, 1000000);
	assert_int_equal(begun, 1);
	assert_int_equal(done, 0);
	assert_false(sim_engine_busy(eng));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latency_and_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
