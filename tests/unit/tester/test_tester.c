/* SPDX-License-Identifier: BSD-3-Clause */
/* Generator and sink against forwarders that do well and that do everything wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forwarder.h"
#include "tester/tester.h"

#define COUNT 6000u
#ifdef __SANITIZE_THREAD__
#define LOOP_COUNT 5000u /* one thread: nothing for it to find */
#else
#define LOOP_COUNT 50000u
#endif
#define PATIENCE_NS 20000000000ull

static char path[2][64];
static struct tester_result res;
static char err[TESTER_ERR_MAX];
static struct forwarder fwd;

static struct tester *up(const struct tester_opts *opts, uint32_t stride)
{
	struct tester_opts o = *opts;
	struct tester *t;

	o.path[0] = path[0];
	o.path[1] = path[1];
	if (o.client)
		forwarder_start(&fwd, path[0], path[1], "server", 256, stride);
	if (tester_create(&t, &o, err))
		fail_msg("%s", err);
	if (!o.client)
		forwarder_start(&fwd, path[0], path[1], "client", 256, stride);
	if (tester_wait_link(t, PATIENCE_NS, NULL, err))
		fail_msg("%s", err);
	return t;
}

static void down(struct tester *t)
{
	forwarder_stop(&fwd);
	tester_destroy(t);
}

static void run(struct tester *t, const struct tester_load *load)
{
	if (tester_run(t, load, &res, err))
		fail_msg("%s", err);
}

static const struct tester_opts one_thread = { .cpu = -1, .sink_cpu = -1 };

static void assert_clean(uint64_t count)
{
	assert_int_equal(res.sent, count);
	assert_int_equal(res.received, count);
	assert_int_equal(res.lost, 0);
	assert_int_equal(res.corrupted, 0);
	assert_int_equal(res.reordered, 0);
	assert_int_equal(res.duplicated, 0);
	assert_int_equal(res.stale, 0);
	assert_int_equal(res.foreign, 0);
	assert_false(res.link_lost);
	assert_true(tester_result_clean(&res));
}

/* Each size and gear through a forwarder that does well, several flows, with a warm-up. */
static void test_good(void **state)
{
	static const uint32_t sizes[] = { 64, 65, 67, 96, 128, 1000, 1518, 2052 };
	struct tester_load load = { .count = COUNT, .warmup_ns = 5000000, .flows = 7, .latency = true };
	struct tester *t = up(&one_thread, 2048);

	for (unsigned int gear = TESTER_BENCH; gear <= TESTER_CHECK; gear++) {
		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(sizes); i++) {
			load.gear = (enum tester_gear)gear;
			load.frame_bytes = sizes[i];
			load.flows = i % 2 ? 7 : 1;
			run(t, &load);
			assert_clean(COUNT);
			if (gear == TESTER_CHECK)
				assert_int_equal(res.checked, COUNT);
			else
				assert_in_range(res.checked, COUNT / 100, COUNT / 40);
			assert_int_equal(histogram_count(&res.latency_ns), res.checked);
			assert_int_equal(res.ring_size, 128);
			assert_true(res.window_ns > 0 && res.busy_cycles > 0 && res.busy_cycles <= res.cycles);
		}
	}
	down(t);
}

/* A list of destinations, of many lengths and gears, as it is and through a router: checks and checksums are right. */
static void test_spread(void **state)
{
	static const uint32_t sizes[] = { 64, 65, 128, 1518, 4000 };
	struct tester_load load = { .count = COUNT, .warmup_ns = 5000000 };
	static uint32_t dst[1000];
	struct tester *t = up(&one_thread, 2048);
	uint64_t seed = 20266;

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(dst); i++)
		dst[i] = i % 100 ? (uint32_t)(p2p_random(&seed) >> 32) : i % 200 ? 0 : UINT32_MAX;
	load.dst = dst;
	for (unsigned int k = 0; k < 4 * P2P_ARRAY_SIZE(sizes); k++) {
		load.gear = k & 1 ? TESTER_CHECK : TESTER_BENCH;
		load.routed = k & 2;
		load.frame_bytes = sizes[k / 4];
		load.dst_n = k % 3 ? P2P_ARRAY_SIZE(dst) : 1 + k;
		forwarder_fault(&fwd, load.routed ? FAULT_ROUTE : FAULT_NONE, 1);
		run(t, &load);
		assert_clean(COUNT);
	}
	load.flows = 2;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	down(t);
}

struct expect {
	enum fault fault;
	uint32_t every, frame_bytes;
	bool routed;
	enum { LOST, CORRUPTED, DUPLICATED, REORDERED, FOREIGN, CLEAN } as;
};

static void expect_faults(struct tester *t, const struct expect *e)
{
	struct tester_load load = { .gear = TESTER_CHECK, .count = COUNT, .flows = 3, .frame_bytes = e->frame_bytes,
				    .routed = e->routed };
	uint64_t n;

	forwarder_fault(&fwd, e->fault, e->every);
	run(t, &load);
	n = p2p_count_read(&fwd.faults);
	assert_true(n >= COUNT / e->every / 2);
	print_message("fault %d: %llu times\n", e->fault, (unsigned long long)n);
	assert_int_equal(res.sent, COUNT);
	assert_int_equal(res.lost, e->as == LOST ? n : 0);
	assert_int_equal(res.corrupted, e->as == CORRUPTED ? n : 0);
	assert_int_equal(res.duplicated, e->as == DUPLICATED ? n : 0);
	assert_int_equal(res.reordered, e->as == REORDERED ? n : 0);
	assert_int_equal(res.foreign, e->as == FOREIGN ? n : 0);
	assert_int_equal(res.stale, 0);
	assert_int_equal(tester_result_clean(&res), e->as == CLEAN);
}

/* Gear check finds each fault as often as it was made, and takes it for no other. */
static void test_check_finds(void **state)
{
	static const struct expect all[] = {
		{ FAULT_DROP, 10, 64, false, LOST },
		{ FAULT_HEAD, 11, 64, false, CORRUPTED },
		{ FAULT_HEAD, 11, 1518, false, CORRUPTED },
		{ FAULT_LAST, 9, 64, false, CORRUPTED },
		{ FAULT_LAST, 9, 65, false, CORRUPTED },
		{ FAULT_LAST, 9, 1518, false, CORRUPTED },
		{ FAULT_SHORT, 13, 128, false, CORRUPTED },
		{ FAULT_TWICE, 10, 64, false, DUPLICATED },
		{ FAULT_FOREIGN, 10, 64, false, FOREIGN },
		{ FAULT_ROUTE, 1, 64, true, CLEAN },
		{ FAULT_ROUTE, 1, 200, true, CLEAN },
		{ FAULT_ROUTE, 5, 64, false, CORRUPTED },
		{ FAULT_CHECKSUM, 5, 64, true, CORRUPTED },
		{ FAULT_LAST, 5, 300, true, CORRUPTED },
	};
	struct tester *t = up(&one_thread, 2048);

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(all); i++)
		expect_faults(t, &all[i]);
	down(t);
}

static void test_check_finds_late(void **state)
{
	struct tester_load load = { .gear = TESTER_CHECK, .count = COUNT, .flows = 1, .frame_bytes = 64 };
	struct tester *t = up(&one_thread, 2048);

	forwarder_fault(&fwd, FAULT_LATE, 10);
	load.count = COUNT + 1; /* the last one isn't kept */
	run(t, &load);
	assert_int_equal(res.reordered, p2p_count_read(&fwd.faults));
	assert_int_equal(p2p_count_read(&fwd.faults), COUNT / 10);
	assert_int_equal(res.lost + res.duplicated + res.corrupted, 0);
	/* Between two flows the order is not kept, nor asked for. */
	load.flows = 2;
	forwarder_fault(&fwd, FAULT_LATE, 10);
	run(t, &load);
	assert_int_equal(p2p_count_read(&fwd.faults), COUNT / 10);
	assert_clean(COUNT + 1);
	down(t);
}

/* What gear bench counts exactly, and what it sees on those that it looks at. */
static void test_bench_finds(void **state)
{
	struct tester_load load = { .gear = TESTER_BENCH, .count = COUNT, .frame_bytes = 256 };
	struct tester *t = up(&one_thread, 2048);

	forwarder_fault(&fwd, FAULT_DROP, 100);
	run(t, &load);
	assert_int_equal(res.lost, p2p_count_read(&fwd.faults));
	assert_int_equal(res.received, COUNT - COUNT / 100);
	assert_int_equal(res.corrupted + res.reordered + res.duplicated + res.foreign, 0);
	forwarder_fault(&fwd, FAULT_TWICE, 100);
	run(t, &load);
	assert_int_equal(res.received, COUNT + p2p_count_read(&fwd.faults));
	assert_int_equal(res.lost, 0);
	assert_int_equal(res.duplicated, p2p_count_read(&fwd.faults));
	forwarder_fault(&fwd, FAULT_SHORT, 100);
	run(t, &load);
	assert_int_equal(res.corrupted, p2p_count_read(&fwd.faults));
	assert_int_equal(res.lost, 0);
	forwarder_fault(&fwd, FAULT_HEAD, 1);
	run(t, &load);
	assert_true(res.checked > 0);
	assert_int_equal(res.corrupted, res.checked);
	forwarder_fault(&fwd, FAULT_LAST, 1);
	run(t, &load);
	assert_int_equal(res.corrupted, res.checked);
	/* As far apart as those that it looks at, on average. */
	forwarder_fault(&fwd, FAULT_BACKWARDS, 60);
	run(t, &load);
	assert_int_equal(p2p_count_read(&fwd.faults), COUNT / 60);
	assert_in_range(res.reordered, 1, res.checked);
	assert_int_equal(res.lost + res.corrupted + res.duplicated, 0);
	assert_false(tester_result_clean(&res));
	down(t);
}

/* A frame that the forwarder keeps is lost, and of no account in the run in which it comes. */
static void test_left_over(void **state)
{
	struct tester_load load = { .gear = TESTER_CHECK, .count = 100, .frame_bytes = 64 };
	struct tester *t = up(&one_thread, 2048);

	forwarder_fault(&fwd, FAULT_KEEP, 50);
	run(t, &load);
	assert_int_equal(res.lost, 1);
	forwarder_fault(&fwd, FAULT_NONE, 1);
	run(t, &load);
	assert_int_equal(res.stale, 1);
	assert_int_equal(res.received, 101);
	assert_int_equal(res.lost, 0);
	assert_int_equal(res.duplicated + res.reordered + res.corrupted, 0);
	down(t);
}

/* Every frame that falls due is sent, refused or forgiven; none is sent before it is due. */
static void test_paced(void **state)
{
	struct tester_load load = { .gear = TESTER_BENCH, .frame_bytes = 64, .rate_pps = 20000,
				    .duration_ns = 200000000, .latency = true };
	struct tester *t = up(&one_thread, 2048);

	run(t, &load);
	assert_int_equal(res.sent + res.refused + res.behind, 4000);
	assert_int_equal(res.received, res.sent);
	assert_true(res.window_ns >= 199950000u);
	load.duration_ns = 0;
	load.count = 1001;
	load.both = true;
	run(t, &load);
	assert_int_equal(res.sent + res.refused + res.behind, 2002);
	assert_int_equal(res.received, res.sent);
	assert_true(res.window_ns >= 50000000u);
	down(t);
}

/* A forwarder that takes nothing: the frames due are refused, and a number of frames without a rate ends. */
static void test_refused(void **state)
{
	struct tester_load load = { .gear = TESTER_BENCH, .frame_bytes = 64, .rate_pps = 1000000, .count = 3000 };
	struct tester *t;
	struct env e[2];
	char spec[128];
	struct tester_opts o = one_thread;

	o.path[0] = path[0];
	o.path[1] = path[1];
	assert_int_equal(tester_create(&t, &o, err), 0);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(spec, sizeof(spec), "memif:%s,rings=64", path[i]);
		env_open(&e[i], spec, 64, 2048);
	}
	for (uint64_t end = env_now_ns() + PATIENCE_NS; !tester_link_up(t) || !e[0].port->ops->link_up(e[0].port) ||
						       !e[1].port->ops->link_up(e[1].port);) {
		env_control(&e[0]);
		env_control(&e[1]);
		assert_true(env_now_ns() < end);
	}
	run(t, &load);
	assert_int_equal(res.sent, 64);
	assert_int_equal(res.sent + res.refused + res.behind, 3000);
	assert_int_equal(res.lost, 64);
	assert_int_equal(res.received, 0);
	load.rate_pps = 0;
	run(t, &load);
	assert_true(res.stalled);
	assert_int_equal(res.sent, 0);
	env_close(&e[0]);
	env_close(&e[1]);
	tester_destroy(t);
}

static int first_cpu(void)
{
	cpu_set_t set;
	int cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

/* Other ways to be set up: client, both directions, two threads, buffers smaller than frames. */
static void test_ways(void **state)
{
	struct tester_load load = { .count = COUNT / 4, .frame_bytes = 1518, .flows = 5, .both = true };
	struct tester_opts o[] = {
		{ .cpu = -1, .sink_cpu = -1, .client = true, .ring_log2 = 7 },
		{ .cpu = -1, .sink_cpu = first_cpu() },
		{ .cpu = first_cpu(), .sink_cpu = -1, .burst = 1 },
		{ .cpu = -1, .sink_cpu = -1, .client = true, .buf_bytes = 256, .burst = 256 },
	};

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(o); i++) {
		for (uint32_t stride = 256; stride <= 2048; stride *= 8) {
			struct tester *t = up(&o[i], stride);

			for (unsigned int gear = TESTER_BENCH; gear <= TESTER_CHECK; gear++) {
				load.gear = (enum tester_gear)gear;
				run(t, &load);
				assert_clean(COUNT / 2);
			}
			down(t);
		}
	}
}

static void test_loop(void **state)
{
	struct tester_load load = { .count = LOOP_COUNT, .frame_bytes = 64, .latency = true };
	struct tester_opts o = { .cpu = -1, .sink_cpu = -1, .loop = true };
	double pps = 0;

	for (unsigned int log2 = 1; log2 <= 10; log2 += 3) {
		struct tester *t;

		o.ring_log2 = log2;
		assert_int_equal(tester_create(&t, &o, err), 0);
		for (unsigned int k = 0; k < 4; k++) {
			load.gear = k & 1 ? TESTER_CHECK : TESTER_BENCH;
			load.both = k & 2;
			load.frame_bytes = k & 1 ? 1518 : 64;
			run(t, &load);
			assert_clean(load.both ? 2 * LOOP_COUNT : LOOP_COUNT);
			assert_int_equal(histogram_count(&res.latency_ns), res.checked);
		}
		tester_destroy(t);
	}
	load.duration_ns = 5000000;
	assert_int_equal(tester_null_rate(&o, &load, &pps, err), 0);
	assert_true(pps > 0);
}

static volatile bool stop_now;
static unsigned int marks[2];

static void mark(void *ctx, bool begin)
{
	assert_ptr_equal(ctx, marks);
	marks[begin]++;
	if (begin)
		stop_now = true;
}

static void test_ends(void **state)
{
	struct tester_load load = { .gear = TESTER_CHECK, .count = UINT64_MAX / 4, .frame_bytes = 64, .stop = &stop_now,
				    .mark = mark, .ctx = marks };
	struct tester *t = up(&one_thread, 2048);

	run(t, &load);
	assert_true(res.stopped);
	assert_int_equal(res.received, res.sent);
	assert_int_equal(marks[0], 1);
	assert_int_equal(marks[1], 1);
	/* The forwarder goes away in the midst. */
	load.stop = NULL;
	forwarder_fault(&fwd, FAULT_LEAVE, 5000);
	run(t, &load);
	assert_true(res.link_lost);
	assert_false(tester_result_clean(&res));
	assert_int_equal(tester_run(t, &load, &res, err), -ENOTCONN);
	down(t);
}

static void test_refuses(void **state)
{
	struct tester_load load = { .count = 10, .frame_bytes = 1518 };
	struct tester *t = up(&one_thread, 64);
	struct tester_opts o = { .cpu = -1, .sink_cpu = 0, .loop = true };

	/* 24 buffers for a frame */
	assert_int_equal(tester_run(t, &load, &res, err), -EMSGSIZE);
	load.frame_bytes = 63;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	load.frame_bytes = 9217;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	load.frame_bytes = 64;
	load.count = 0;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	load.count = 1;
	load.dst_ip = 0x0a000001;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	load.dst_ip = 0xc613fff0;
	load.flows = 16;
	run(t, &load);
	load.flows = 17;
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	down(t);
	assert_int_equal(tester_create(&t, &o, err), -EINVAL);
	o = one_thread;
	assert_int_equal(tester_create(&t, &o, err), -EINVAL);
	o.path[0] = "/no/such/dir/a";
	o.path[1] = path[1];
	assert_true(tester_create(&t, &o, err) < 0);
	assert_non_null(strstr(err, "/no/such/dir/a"));
	o.path[0] = path[0];
	assert_int_equal(tester_create(&t, &o, err), 0);
	assert_int_equal(tester_wait_link(t, 1000000, NULL, err), -ETIMEDOUT);
	assert_int_equal(tester_wait_link(t, PATIENCE_NS, &(const volatile bool){ true }, err), -ECANCELED);
	assert_int_equal(tester_run(t, &load, &res, err), -EINVAL);
	load.flows = 1;
	assert_int_equal(tester_run(t, &load, &res, err), -ENOTCONN);
	tester_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_check_finds),
		cmocka_unit_test(test_check_finds_late),
		cmocka_unit_test(test_bench_finds),
		cmocka_unit_test(test_left_over),
		cmocka_unit_test(test_paced),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_refuses),
	};

	for (unsigned int i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "@p2pnic-test-tester-%d-%u", (int)getpid(), i);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
