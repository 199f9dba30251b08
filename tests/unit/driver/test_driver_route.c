/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver/route.h against a software NIC that is stepped here: punts and interrupts, injected frames, full rings, ports, a
 * driver that goes and one that comes after it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <boards/soft/internal.h>
#include <tests/conformance/cable.h>
#include "driver/route.h"

#define PORTS 2

struct bench {
	uint64_t now_ns;
	struct soft_nic *nic;
	struct mesh_cable cable[PORTS];
	struct drv *d;
	struct drv_route *r;
	uint8_t last[PORTS][P2P_MAX_FRAME]; /* the last frame out */
	uint32_t last_len[PORTS], outs[PORTS];
};
static struct bench *bench; /* one at a time */

static void frame_out(void *arg, const uint8_t *data, uint32_t len)
{
	uintptr_t port = (uintptr_t)arg;

	memcpy(bench->last[port], data, len);
	bench->last_len[port] = len;
	bench->outs[port]++;
}

#define STEPS 64

/* The driver's calls take the real clock, so steps do; on a busy machine all that time may pass in one step. */
static void run(unsigned int us)
{
	uint64_t end = soft_now_ns() + us * 1000ull;
	unsigned int steps = 0;

	do {
		bench->now_ns = soft_now_ns();
		soft_context_step(&bench->nic->context[0], bench->now_ns);
	} while (++steps < STEPS || bench->now_ns < end);
}

static void driver_open(bool adopt)
{
	struct drv_opts o;
	struct transport *t;
	unsigned int k;

	assert_int_equal(drv_create(&bench->d), 0);
	assert_int_equal(transport_local_open(&t, &soft_function_ops, bench->nic), 0);
	assert_int_equal(drv_add(bench->d, t, "nic"), 0);
	drv_opts_init(&o);
	o.persist = o.route = true;
	if (drv_bring_up(bench->d, &o))
		fail_msg("%s", drv_error(bench->d));
	assert_int_equal(bench->d->adopted, adopt);
	if (drv_route_open(bench->d, &bench->r))
		fail_msg("%s", drv_error(bench->d));
	/* Its ring to itself takes some heartbeats to open, whose time the steps have to see pass. */
	for (k = 0; k < 1000 && fw_reg_read(bench->nic->fw[0], P2P_PEER_BLOCK + P2P_PEER_STATE, 4) != P2P_PEER_UP; k++)
		run(1000);
	assert_int_equal(fw_reg_read(bench->nic->fw[0], P2P_PEER_BLOCK + P2P_PEER_STATE, 4), P2P_PEER_UP);
	run(1000);
}

static int setup(void **state)
{
	struct soft_nic_opts o = { .name = "nic", .ports = PORTS };
	struct script_port_cfg sc = { .seed = 1, .out = frame_out };
	char err[SOFT_ERR_MAX];
	uintptr_t p;

	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	bench->now_ns = soft_now_ns();
	sc.now_ns = &bench->now_ns;
	for (p = 0; p < PORTS; p++) {
		sc.arg = (void *)p;
		bench->cable[p] = (struct mesh_cable){ .port = { .ops = &mesh_cable_ops }, .sp = script_port_create(&sc) };
		o.port[p] = &bench->cable[p].port;
	}
	if (soft_nic_create(&bench->nic, &o, err))
		fail_msg("%s", err);
	driver_open(false);
	return 0;
}

static void driver_close(void)
{
	drv_route_close(bench->r);
	drv_destroy(bench->d);
}

static int teardown(void **state)
{
	unsigned int p;

	driver_close();
	soft_nic_destroy(bench->nic);
	for (p = 0; p < PORTS; p++)
		script_port_destroy(bench->cable[p].sp);
	free(bench);
	return 0;
}

static void receive(unsigned int port, uint32_t len, uint8_t mark)
{
	uint8_t f[P2P_MAX_FRAME];

	memset(f, mark, len);
	memset(f, 0xff, 6);
	f[6] = 2;
	script_port_receive(bench->cable[port].sp, f, len, bench->now_ns);
}

static bool event(void)
{
	uint64_t v;

	return read(drv_punt_fd(bench->r, 0), &v, sizeof(v)) == sizeof(v);
}

static void test_punts(void **state)
{
	uint8_t buf[P2P_PUNT_ROOM];
	struct drv_punt p;
	struct drv_route_stats st;
	unsigned int k;

	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 0);
	assert_true(drv_punt_arm(bench->r, 0));
	run(10);
	assert_false(event());
	receive(1, 60, 0x11);
	receive(1, 9000, 0x22);
	run(100);
	assert_true(event());
	assert_false(drv_punt_arm(bench->r, 0));
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
	assert_int_equal(p.len, 60);
	assert_int_equal(p.port, 1);
	assert_int_equal(p.queue, 0);
	assert_int_equal(p.reason, P2P_PUNT_group);
	assert_int_equal(p.hop, P2P_PS_NO_HOP);
	assert_int_equal(buf[5], 0xff);
	assert_int_equal(buf[59], 0x11);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
	assert_int_equal(p.len, 9000);
	for (k = 14; k < 9000; k++)
		assert_int_equal(buf[k], 0x22);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 0);
	/* Armed above: it has rung for that once; not again before it is asked to. */
	event();
	receive(0, 60, 0x33);
	run(100);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
	receive(0, 60, 0x33);
	run(100);
	event();
	receive(0, 60, 0x33);
	run(100);
	assert_false(event());
	drv_route_stats(bench->r, 0, &st);
	assert_int_equal(st.punted, 3);
	assert_int_equal(st.bad + st.lost, 0);
}

/* A ring that nobody empties fills up and is counted; taken later, it is whole and goes on. */
static void test_full(void **state)
{
	uint8_t buf[P2P_PUNT_ROOM];
	const uint64_t *drops = fw_nic_drops(bench->nic->fw[0]);
	struct drv_punt p;
	unsigned int k;

	assert_int_equal(drv_route_set_rate(bench->r, 0, P2P_PUNT_group, 0), 0);
	for (k = 0; k < P2P_PUNT_SLOTS + 10; k++) {
		receive(0, 64, (uint8_t)k);
		run(3);
	}
	run(100);
	assert_int_equal(drops[P2P_DROP_punt_full], 10);
	for (k = 0; k < P2P_PUNT_SLOTS; k++) {
		assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
		assert_int_equal(buf[20], (uint8_t)k);
	}
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 0);
	receive(0, 64, 7);
	run(100);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
	assert_int_equal(drops[P2P_DROP_punt_full], 10);
	/* Over its rate. */
	assert_int_equal(drv_route_set_rate(bench->r, 0, P2P_PUNT_group, 10), 0);
	for (k = 0; k < 20; k++)
		receive(0, 64, 7);
	run(100);
	for (k = 0; drv_punt_next(bench->r, 0, &p, buf); k++)
		;
	assert_in_range(k, 1, 3);
	assert_int_equal(drops[P2P_DROP_punt_limited], 20 - k);
}

static void test_inject(void **state)
{
	struct drv_route_stats st;
	uint8_t f[P2P_MAX_FRAME];
	unsigned int k, full = 0;

	memset(f, 0x5a, sizeof(f));
	assert_int_equal(drv_inject(bench->r, 0, 0, f, 13), -EINVAL);
	assert_int_equal(drv_inject(bench->r, 0, 0, f, P2P_MAX_FRAME + 1), -EINVAL);
	assert_int_equal(drv_inject(bench->r, 0, PORTS, f, 60), -EINVAL);
	assert_int_equal(drv_inject(bench->r, 0, 1, f, 60), 0);
	assert_int_equal(drv_inject(bench->r, 0, 0, f, P2P_MAX_FRAME), 0);
	run(100);
	assert_int_equal(bench->outs[0], 1);
	assert_int_equal(bench->outs[1], 1);
	assert_int_equal(bench->last_len[0], P2P_MAX_FRAME);
	assert_memory_equal(bench->last[0], f, P2P_MAX_FRAME);
	assert_int_equal(bench->last_len[1], 60);
	for (k = 0; k < P2P_INJECT_SLOTS + 5; k++) {
		f[20] = (uint8_t)k;
		full += drv_inject(bench->r, 0, 0, f, 100) == -EAGAIN;
	}
	assert_int_equal(full, 5);
	for (k = 0; k < 1000; k++) {
		run(10);
		f[20] = (uint8_t)k;
		assert_int_equal(drv_inject(bench->r, 0, 0, f, 100), 0);
	}
	run(200);
	assert_int_equal(bench->outs[0], 1 + P2P_INJECT_SLOTS + 1000);
	assert_int_equal(bench->last[0][20], (uint8_t)999);
	drv_route_stats(bench->r, 0, &st);
	assert_int_equal(st.injected, 2 + P2P_INJECT_SLOTS + 1000);
	assert_int_equal(st.inject_full, 5);
	assert_int_equal(fw_nic_drops(bench->nic->fw[0])[P2P_DROP_inject_bad], 0);
	/* A sleeper is woken by the register. */
	fw_sleep(bench->nic->fw[0], true);
	run(1);
	assert_int_equal(drv_inject(bench->r, 0, 1, f, 100), 0);
	run(100);
	assert_int_equal(bench->outs[1], 2);
}

static void test_area(void **state)
{
	struct p2p_route_shape shape = { .bytes = 4 << 20, .hops = 64, .buckets = 64, .contexts = 1, .tiers = { 4, 0 },
					 .stride = { { 16, 4, 4, 8 }, { 0 } } };
	uint64_t bytes, packets, all;
	struct p2p_route_head *h = drv_route_area(bench->r, 0, &bytes);

	assert_int_equal(bytes, 32 << 20);
	assert_int_equal(drv_route_contexts(bench->r), 1);
	assert_int_equal(drv_route_used(bench->r, 0), 0);
	assert_int_equal(drv_route_use(bench->r, 0, true), -EBADMSG);
	assert_true(p2p_route_plan(&shape, h));
	h->epoch = to_le32(1);
	le32_store_release(&h->magic, P2P_ROUTE_MAGIC);
	assert_int_equal(drv_route_use(bench->r, 0, true), 0);
	assert_int_equal(drv_route_used(bench->r, 0), 1);
	/* The epoch that a context that runs has passed; an idle one has passed all. */
	run(1);
	assert_int_equal(from_le32(h->ctx[0].seen), 1);
	le32_store_release(&h->epoch, 2);
	run(1);
	assert_int_equal(from_le32(h->ctx[0].seen), 2);
	fw_sleep(bench->nic->fw[0], true);
	run(1);
	assert_int_equal(from_le32(h->ctx[0].seen), 0);
	fw_sleep(bench->nic->fw[0], false);
	assert_int_equal(from_le32(h->ctx[0].seen), 2);
	run(1);
	drv_route_hop_count(bench->r, 0, 20, &packets, &all);
	assert_int_equal(packets + all, 0);
	((struct p2p_hop_count *)((uint8_t *)h + from_le32(h->counts_at)))[20] = (struct p2p_hop_count){ to_le64(3), to_le64(180) };
	drv_route_hop_count(bench->r, 0, 20, &packets, &all);
	assert_int_equal(packets, 3);
	assert_int_equal(all, 180);
	drv_route_hop_count(bench->r, 0, 64, &packets, &all);
	assert_int_equal(packets, 0);
	assert_int_equal(drv_route_use(bench->r, 0, false), 0);
	assert_int_equal(from_le32(h->ctx[0].seen), 0);
}

static void test_ports(void **state)
{
	static const uint8_t mine[6] = { 2, 1, 2, 3, 4, 5 };
	uint8_t mac[6], strap[6];
	bool up;

	assert_int_equal(drv_route_ports(bench->r, 0), PORTS);
	assert_int_equal(drv_route_port_mac(bench->r, 0, 1, strap), 0);
	assert_int_equal(strap[0], 2);
	assert_int_equal(drv_route_set_port_mac(bench->r, 0, 1, mine), 0);
	assert_int_equal(drv_route_port_mac(bench->r, 0, 1, mac), 0);
	assert_memory_equal(mac, mine, 6);
	assert_int_equal(drv_route_port_mac(bench->r, 0, 0, mac), 0);
	assert_memory_not_equal(mac, strap, 6);
	assert_int_equal(drv_route_set_rpf(bench->r, 0, 1, P2P_RPF_STRICT), 0);
	assert_int_equal(fw_reg_read(bench->nic->fw[0], P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_RPF, 4), P2P_RPF_STRICT);
	assert_int_equal(drv_route_link(bench->r, 0, 1, &up), 0);
	assert_true(up);
	script_port_link(bench->cable[1].sp, false);
	run(10);
	assert_int_equal(drv_route_link(bench->r, 0, 1, &up), 0);
	assert_false(up);
}

/* The next driver finds what the NIC routes by, and begins with empty rings. */
static void test_next_driver(void **state)
{
	uint8_t buf[P2P_PUNT_ROOM], f[100] = { 0 };
	struct drv_punt p;

	receive(0, 60, 1);
	run(100);
	/* As if killed: nothing is closed in order, the NIC keeps its memory. */
	bench->d->nic[0].t->ops->close(bench->d->nic[0].t);
	receive(0, 60, 2);
	run(100);
	free(bench->r);
	free(bench->d);
	driver_open(true);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 0);
	receive(0, 60, 3);
	run(100);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 1);
	assert_int_equal(buf[20], 3);
	assert_int_equal(drv_punt_next(bench->r, 0, &p, buf), 0);
	assert_int_equal(drv_inject(bench->r, 0, 1, f, 60), 0);
	run(100);
	assert_int_equal(bench->outs[1], 1);
	/* Closed in order: nobody takes punts. */
	drv_route_close(bench->r);
	receive(0, 60, 4);
	run(100);
	assert_int_equal(fw_nic_drops(bench->nic->fw[0])[P2P_DROP_punt_nobody], 1);
	assert_int_equal(drv_route_open(bench->d, &bench->r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_punts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inject, setup, teardown),
		cmocka_unit_test_setup_teardown(test_area, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_driver, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
