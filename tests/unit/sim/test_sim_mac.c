/* SPDX-License-Identifier: BSD-3-Clause */
/* A MAC by itself: when frames come and go, what is counted, what the sink sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <boards/sim/internal.h>
#include <boards/sim/sim.h>

#define BUFS 64
#define BUF 2048

struct bed {
	struct sim_world *w;
	struct sim_nic_profile prof;
	struct port *mac;
	uint8_t mem[BUFS][BUF];
	uint64_t ahead_ps; /* the clock of whoever has the MAC */
};

static uint64_t bed_time(const void *arg)
{
	const struct bed *b = arg;

	return fab_now(sim_world_queue(b->w)) + b->ahead_ps;
}

static struct bed *bed_open(double gbps, double rx_ns, double tx_ns, double fifo)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct port_memory m = { .n = 0, .buf_size = BUF, .rx_bufs = BUFS };

	assert_non_null(b);
	sim_nic_profile_zero(&b->prof);
	b->prof.mac_gbps = gbps;
	b->prof.mac_rx = rx_ns;
	b->prof.mac_tx = tx_ns;
	b->prof.mac_fifo = fifo;
	b->w = sim_world_create(1);
	assert_non_null(b->w);
	assert_int_equal(sim_mac_create(b->w, &b->prof, "mac", &b->mac), 0);
	sim_mac_attach(b->mac, bed_time, b);
	assert_false(b->mac->ops->link_up(b->mac));
	assert_int_equal(b->mac->ops->start(b->mac, &m), 0);
	assert_true(b->mac->ops->link_up(b->mac));
	return b;
}

static void bed_close(struct bed *b)
{
	sim_mac_destroy(b->mac);
	sim_world_destroy(b->w);
	free(b);
}

static void at_ps(struct bed *b, uint64_t ps)
{
	sim_world_run(b->w, ps);
}

static void post(struct bed *b, unsigned int first, unsigned int n)
{
	struct p2p_seg seg[BUFS] = { 0 };
	unsigned int k;

	for (k = 0; k < n; k++)
		seg[k] = (struct p2p_seg){ .data = b->mem[first + k], .len = BUF, .cookie = first + k };
	assert_int_equal(b->mac->ops->rx_post(b->mac, seg, n), n);
}

static unsigned int receive(struct bed *b, struct p2p_seg *seg, unsigned int n)
{
	return b->mac->ops->rx_burst(b->mac, seg, n);
}

static void source(struct bed *b, uint32_t bytes, double gbps, enum sim_arrival arrival, uint64_t frames)
{
	struct sim_source s = { .gbps = gbps, .frame_bytes = bytes, .arrival = arrival, .flows = 3, .id = 9,
				.stop_ps = FAB_NEVER, .seed = 5, .max_frames = frames };

	sim_mac_source(b->mac, &s);
}

/* 10 Gb/s: 0.8 ns a byte; a frame of 64 bytes has its last bit in after 72 bytes and takes 84. */
static void test_even(void **state)
{
	struct bed *b = bed_open(10, 100, 0, 0);
	struct p2p_seg seg[BUFS];
	uint64_t offered, missed;

	post(b, 0, 10);
	source(b, 64, 5, SIM_ARRIVE_EVEN, 0);
	assert_int_equal(b->mac->ops->next_event(b->mac, 0), 1000000000 + 58 + 100); /* 57.6 rounded up */
	at_ps(b, 157599);
	assert_int_equal(receive(b, seg, BUFS), 0);
	at_ps(b, 157600);
	assert_int_equal(receive(b, seg, BUFS), 1);
	assert_int_equal(seg[0].len, 60);
	assert_int_equal(seg[0].cookie, 0);
	at_ps(b, 157600 + 4 * 134400); /* 84 bytes at 5 Gb/s */
	assert_int_equal(receive(b, seg, BUFS), 4);
	assert_int_equal(receive(b, seg, BUFS), 0);
	sim_mac_offered(b->mac, &offered, &missed);
	assert_int_equal(offered, 5); /* what is on its way through the MAC is not in yet */
	assert_int_equal(missed, 0);
	bed_close(b);
}

static void test_rate_is_the_ports_at_most(void **state)
{
	struct bed *b = bed_open(10, 0, 0, 0);
	uint64_t offered, missed;

	source(b, 64, 40, SIM_ARRIVE_EVEN, 0);
	at_ps(b, 57600 + 67200 * 999ull);
	sim_mac_offered(b->mac, &offered, &missed);
	assert_int_equal(offered, 1000);
	assert_int_equal(missed, 1000);
	bed_close(b);
}

static void test_fifo_and_missed(void **state)
{
	struct bed *b = bed_open(10, 0, 0, 640);
	struct p2p_seg seg[BUFS];
	uint64_t offered, missed;
	unsigned int k;

	post(b, 0, 2);
	source(b, 64, 10, SIM_ARRIVE_EVEN, 20);
	at_ps(b, 10000000);
	sim_mac_offered(b->mac, &offered, &missed);
	assert_int_equal(offered, 20);
	assert_int_equal(missed, 8); /* 2 buffers, 10 in the FIFO */
	assert_int_equal(b->mac->ops->next_event(b->mac, 0), 1000000000 + 58);
	assert_int_equal(receive(b, seg, BUFS), 2);
	assert_int_equal(b->mac->ops->next_event(b->mac, 0), UINT64_MAX);
	post(b, 2, 20);
	assert_int_equal(receive(b, seg, 7), 7);
	assert_int_equal(receive(b, seg, BUFS), 3);
	for (k = 0; k < 3; k++)
		assert_int_equal(seg[k].data[24], 9 + k); /* sequence numbers: the oldest were kept */
	bed_close(b);
}

static void test_poisson(void **state)
{
	struct bed *b = bed_open(10, 0, 0, 0);
	struct p2p_seg seg[BUFS];
	uint64_t last = 0, stamp, n = 0, least = UINT64_MAX, most = 0;
	unsigned int k, got;

	post(b, 0, BUFS);
	source(b, 64, 2, SIM_ARRIVE_POISSON, 0);
	for (n = 0; n < 20000; n += got) {
		at_ps(b, fab_now(sim_world_queue(b->w)) + 500000);
		got = receive(b, seg, BUFS);
		for (k = 0; k < got; k++) {
			memcpy(&stamp, seg[k].data + 32, 8);
			if (last && stamp - last < least)
				least = stamp - last;
			if (last && stamp - last > most)
				most = stamp - last;
			last = stamp;
			post(b, seg[k].cookie, 1);
		}
	}
	assert_in_range(n * 1000000 / (last / 1000), 2910, 3040); /* 2.976 a microsecond */
	assert_int_equal(least, 67200); /* frames do not overlap */
	assert_in_range(most, 2500000, 6000000); /* the mean is 336 ns */
	bed_close(b);
}

/* Receives what there is and sends it again. */
static unsigned int turn_round(struct bed *b)
{
	struct p2p_seg seg[BUFS];
	unsigned int n = receive(b, seg, BUFS), k;

	assert_int_equal(b->mac->ops->tx_burst(b->mac, seg, n), n);
	for (k = 0; k < n; k++)
		post(b, seg[k].cookie, 1);
	return n;
}

static void test_sending(void **state)
{
	struct bed *b = bed_open(10, 100, 50, 0);
	struct sim_sink_stats s;
	uint32_t ns[8];
	unsigned int k;

	b->ahead_ps = 1000;
	post(b, 0, 16);
	source(b, 64, 10, SIM_ARRIVE_EVEN, 4);
	at_ps(b, 1000000);
	assert_int_equal(turn_round(b), 4);
	sim_mac_sink(b->mac, &s);
	assert_int_equal(s.frames, 4);
	assert_int_equal(s.bytes, 256);
	assert_int_equal(s.corrupted, 0);
	assert_int_equal(s.wire_ps, 4 * 67200);
	assert_int_equal(s.first_ps, 1000000 + 1000 + 50000 + 57600);
	assert_int_equal(s.last_ps, s.first_ps + 3 * 67200);
	assert_int_equal(sim_mac_latencies(b->mac, ns, 8), 4);
	for (k = 0; k < 4; k++)
		assert_int_equal(ns[k], 1051); /* each as late as the first: in and out at wire rate */
	assert_int_equal(b->mac->ops->tx_done(b->mac), 0);
	at_ps(b, s.first_ps + 67200);
	assert_int_equal(b->mac->ops->tx_done(b->mac), 2);
	assert_int_equal(b->mac->ops->next_event(b->mac, 0), 1000000000 + (s.last_ps + 999) / 1000);
	at_ps(b, s.last_ps);
	assert_int_equal(b->mac->ops->tx_done(b->mac), 2);
	bed_close(b);
}

/* No more than 2 us of wire time is taken ahead. */
static void test_sending_ahead(void **state)
{
	struct bed *b = bed_open(10, 0, 0, 0);
	struct p2p_seg seg[BUFS];
	unsigned int k, n;
	uint64_t ns;

	for (k = 0; k < BUFS; k++)
		seg[k] = (struct p2p_seg){ .data = b->mem[k], .len = 1514 };
	n = b->mac->ops->tx_burst(b->mac, seg, BUFS);
	assert_int_equal(n, 2); /* 1.23 us each */
	assert_int_equal(b->mac->ops->tx_burst(b->mac, seg, 1), 0);
	ns = b->mac->ops->next_event(b->mac, 0) - 1000000000;
	at_ps(b, ns * 1000);
	assert_int_equal(b->mac->ops->tx_burst(b->mac, seg, 1), 1);
	bed_close(b);
}

/* Whatever byte is not as it was, whatever frame is there twice or late. */
static void test_sink(void **state)
{
	static const uint32_t sizes[] = { 64, 65, 127, 1518 };
	struct bed *b = bed_open(0, 0, 0, 0);
	struct sim_sink_stats s;
	struct p2p_seg seg[BUFS];
	uint64_t bad = 0;
	unsigned int k, at;

	for (k = 0; k < 4; k++) {
		post(b, 0, 1);
		source(b, sizes[k], 1, SIM_ARRIVE_EVEN, 1);
		at_ps(b, fab_now(sim_world_queue(b->w)) + 1000000);
		assert_int_equal(receive(b, seg, BUFS), 1);
		for (at = 12; at < seg[0].len; at++) {
			seg[0].data[at] ^= 1 + at % 255;
			b->mac->ops->tx_burst(b->mac, seg, 1);
			seg[0].data[at] ^= 1 + at % 255;
			sim_mac_sink(b->mac, &s);
			assert_int_equal(s.corrupted, ++bad);
		}
		seg[0].len--;
		b->mac->ops->tx_burst(b->mac, seg, 1);
		bad++;
	}
	sim_mac_reset(b->mac);
	post(b, 0, 30);
	source(b, 64, 1, SIM_ARRIVE_EVEN, 30);
	at_ps(b, fab_now(sim_world_queue(b->w)) + 100000000);
	assert_int_equal(receive(b, seg, BUFS), 30); /* of three flows */
	b->mac->ops->tx_burst(b->mac, seg, 6);
	b->mac->ops->tx_burst(b->mac, seg + 4, 1); /* again */
	b->mac->ops->tx_burst(b->mac, seg + 9, 3); /* and 6, 7, 8 too late */
	b->mac->ops->tx_burst(b->mac, seg + 6, 3);
	b->mac->ops->tx_burst(b->mac, seg + 12, 18);
	sim_mac_sink(b->mac, &s);
	assert_int_equal(s.frames, 31);
	assert_int_equal(s.corrupted, 0);
	assert_int_equal(s.duplicated, 1);
	assert_int_equal(s.reordered, 3);
	bed_close(b);
}

static void test_long_frames(void **state)
{
	struct bed *b = bed_open(100, 0, 0, 0);
	struct sim_sink_stats s;
	struct p2p_seg seg[BUFS];
	uint64_t offered, missed;

	post(b, 0, 12);
	source(b, 9018, 100, SIM_ARRIVE_EVEN, 3);
	at_ps(b, 100000000);
	assert_int_equal(receive(b, seg, 4), 0); /* five buffers a frame */
	assert_int_equal(receive(b, seg, BUFS), 10);
	assert_int_equal(seg[0].flags, P2P_SEG_MORE);
	assert_int_equal(seg[4].flags, 0);
	assert_int_equal(seg[4].len, 9014 - 4 * BUF);
	assert_int_equal(b->mac->ops->tx_burst(b->mac, seg, 10), 10);
	sim_mac_sink(b->mac, &s);
	sim_mac_offered(b->mac, &offered, &missed);
	assert_int_equal(s.frames, 2);
	assert_int_equal(s.bytes, 2 * 9018);
	assert_int_equal(s.corrupted, 0);
	assert_int_equal(missed, 1);
	at_ps(b, 200000000);
	assert_int_equal(b->mac->ops->tx_done(b->mac), 10);
	bed_close(b);
}

/* More frames than are kept: the latencies stay an even sample. */
static void test_samples(void **state)
{
	static uint32_t ns[1u << 21];
	struct bed *b = bed_open(0, 0, 0, 0);
	uint32_t n, k, round, sent = 0;

	post(b, 0, BUFS);
	for (round = 0; round < 26000; round++) {
		source(b, 64, 1e6, SIM_ARRIVE_EVEN, 50); /* all within a nanosecond */
		at_ps(b, fab_now(sim_world_queue(b->w)) + 1000 * (round + 1));
		sent += turn_round(b);
		b->mac->ops->tx_done(b->mac);
	}
	assert_int_equal(sent, 1300000);
	n = sim_mac_latencies(b->mac, ns, 1u << 21);
	assert_int_equal(n, sent / 2);
	for (k = 0; k < n; k++)
		assert_in_range(ns[k], k / 25, k / 25 + 2);
	assert_int_equal(sim_mac_latencies(b->mac, ns, 11), 11);
	for (k = 0; k < 11; k++)
		assert_in_range(ns[k], k * 26000 / 11, k * 26000 / 11 + 2);
	sim_mac_reset(b->mac);
	assert_int_equal(sim_mac_latencies(b->mac, ns, 11), 0);
	bed_close(b);
}

/* By RFC 1071, for every address of a net: carries of carries among them. */
static void test_ip_checksum(void **state)
{
	const uint8_t addr[12] = { 2 };
	struct sim_frame f = { .id = 9, .len = 64, .net = 10u << 24 | 200u << 16 };
	uint8_t data[64];
	unsigned int k;
	uint32_t sum;

	for (f.flow = 0; f.flow < 1u << 16; f.flow++) {
		sim_frame_make(data, addr, &f);
		for (k = 14, sum = 0; k < 34; k += 2)
			sum += (uint32_t)data[k] << 8 | data[k + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		assert_int_equal(sum, 0xffff);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_rate_is_the_ports_at_most),
		cmocka_unit_test(test_fifo_and_missed),
		cmocka_unit_test(test_poisson),
		cmocka_unit_test(test_sending),
		cmocka_unit_test(test_sending_ahead),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_long_frames),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_ip_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
