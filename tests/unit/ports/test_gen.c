/* SPDX-License-Identifier: BSD-3-Clause */
/* Generator to sink, with whatever a path can do to frames in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "ports/buffers.h"
#include "ports/gen.h"
#include "ports/gen_frame.h"
#include "ports/gen_sink.h"
#include "loop.h"

#define BUFS 512

struct bench {
	struct loop l;
	struct port *gen, *sink;
};

static struct port *open_or_fail(const char *spec)
{
	char err[PORT_ERR_MAX];
	struct port *p = NULL;

	if (port_open(&p, spec, err))
		fail_msg("%s", err);
	return p;
}

static void bench_open(struct bench *b, const char *gen, uint32_t buf_size)
{
	loop_init(&b->l, BUFS, buf_size);
	b->gen = open_or_fail(gen);
	b->sink = open_or_fail("gen:,tx=off");
	assert_int_equal(b->gen->ops->start(b->gen, &b->l.mem), 0);
	assert_int_equal(b->sink->ops->start(b->sink, &b->l.mem), 0);
	loop_post(&b->l, b->gen);
}

static void bench_close(struct bench *b)
{
	b->gen->ops->stop(b->gen);
	b->sink->ops->stop(b->sink);
	b->gen->ops->close(b->gen);
	b->sink->ops->close(b->sink);
	loop_free(&b->l);
}

static void deliver(struct bench *b, const struct p2p_seg *segs, unsigned int n)
{
	assert_int_equal(b->sink->ops->tx_burst(b->sink, segs, n), n);
	assert_int_equal(b->sink->ops->tx_done(b->sink), n);
	assert_int_equal(b->sink->ops->tx_done(b->sink), 0);
}

/* The next frame; returns its segments. */
static unsigned int next_frame(struct bench *b, struct p2p_seg segs[P2P_MAX_SEGS])
{
	struct p2p_seg s[64];
	unsigned int n;

	/* A generator never ends within a frame, so that one segment at a time gives single-segment frames. */
	n = b->gen->ops->rx_burst(b->gen, s, 1);
	assert_int_equal(n, 1);
	segs[0] = s[0];
	return n;
}

/* Moves whole bursts until the generator gives nothing more or frames have passed. */
static uint64_t pass(struct bench *b, uint64_t frames)
{
	struct p2p_seg segs[64];
	unsigned int n, i;
	uint64_t done = 0;

	while (done < frames) {
		n = b->gen->ops->rx_burst(b->gen, segs, 32);
		if (!n)
			break;
		for (i = 0; i < n; i++)
			done += !(segs[i].flags & P2P_SEG_MORE);
		assert_false(segs[n - 1].flags & P2P_SEG_MORE);
		deliver(b, segs, n);
		loop_repost(&b->l, b->gen, segs, n);
	}
	return done;
}

static void expect(struct bench *b, uint64_t lost, uint64_t dup, uint64_t reordered, uint64_t corrupted,
		   uint64_t foreign)
{
	struct gen_report r;

	assert_int_equal(port_gen_report_pair(b->gen, b->sink, &r), 0);
	if (r.lost != lost || r.duplicated != dup || r.reordered != reordered || r.corrupted != corrupted ||
	    r.foreign != foreign)
		fail_msg("sent %llu received %llu: lost %llu (%llu) duplicated %llu (%llu) reordered %llu (%llu) "
			 "corrupted %llu (%llu) foreign %llu (%llu)",
			 (unsigned long long)r.sent, (unsigned long long)r.received, (unsigned long long)r.lost,
			 (unsigned long long)lost, (unsigned long long)r.duplicated, (unsigned long long)dup,
			 (unsigned long long)r.reordered, (unsigned long long)reordered, (unsigned long long)r.corrupted,
			 (unsigned long long)corrupted, (unsigned long long)r.foreign, (unsigned long long)foreign);
}

static void test_clean(void **state)
{
	static const char *const specs[] = {
		"gen:,count=10000", "gen:,count=10000,flows=1000", "gen:,count=10000,size=imix,flows=7",
		"gen:,count=3000,size=mix", "gen:,count=1000,size=9216", "gen:,count=1000,size=64-9216,flows=3",
		"gen:,count=5000,size=65", "gen:,count=3000,size=64-80,routed",
	};
	static const uint32_t bufs[] = { 1024, 2048, 2112, 4096, 9728 };
	struct gen_report r, s;
	unsigned int i, k;
	struct bench b;

	for (i = 0; i < P2P_ARRAY_SIZE(specs); i++) {
		for (k = 0; k < P2P_ARRAY_SIZE(bufs); k++) {
			bench_open(&b, specs[i], bufs[k]);
			assert_false(b.gen->ops->exhausted(b.gen));
			pass(&b, UINT64_MAX);
			assert_true(b.gen->ops->exhausted(b.gen));
			expect(&b, 0, 0, 0, 0, 0);
			assert_int_equal(port_gen_report_pair(b.gen, b.sink, &r), 0);
			assert_int_equal(port_gen_report(b.sink, &s), 0);
			assert_true(r.sent >= 1000 && r.received == r.sent && r.received_bytes == r.sent_bytes);
			assert_true(r.latency_count == r.sent && r.stale == 0);
			assert_true(s.lost == 0 && s.received == r.received);
			assert_true(b.gen->stats.rx_frames == r.sent && b.sink->stats.tx_frames == r.sent);
			assert_true(b.gen->stats.rx_bytes == r.sent_bytes && b.sink->stats.tx_bytes == r.sent_bytes);
			bench_close(&b);
		}
	}
}

/* The frames themselves, as another reader of the RFCs would see them. */
static void test_frames_are_valid(void **state)
{
	static const char *const specs[] = { "gen:,size=64-9216,flows=300,seed=7,src=02:aa:00:00:00:01,dst=ff:ff:ff:ff:ff:ff",
					     "gen:,size=imix,routed" };
	struct p2p_seg segs[P2P_MAX_SEGS];
	unsigned int i, k, spec;
	struct bench b;

	for (spec = 0; spec < 2; spec++) {
		bench_open(&b, specs[spec], 9728);
		for (i = 0; i < 2000; i++) {
			const uint8_t *f;
			uint32_t sum = 0, len;

			assert_int_equal(next_frame(&b, segs), 1);
			f = segs[0].data;
			len = segs[0].len;
			assert_true(len >= 60 && len <= 9212);
			assert_true(f[12] == 8 && f[13] == 0 && f[14] == 0x45 && f[23] == 17);
			for (k = 14; k < 34; k += 2)
				sum += (uint32_t)f[k] << 8 | f[k + 1];
			sum = (sum & 0xffff) + (sum >> 16);
			assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
			assert_int_equal((uint32_t)f[16] << 8 | f[17], len - 14);
			assert_int_equal((uint32_t)f[38] << 8 | f[39], len - 34);
			assert_true(f[40] == 0 && f[41] == 0);
			if (spec == 0)
				assert_memory_equal(f, "\xff\xff\xff\xff\xff\xff\x02\xaa\x00\x00\x00\x01", 12);
			loop_repost(&b.l, b.gen, segs, 1);
		}
		bench_close(&b);
	}
}

static void test_loss(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS];
	struct gen_report r;
	struct bench b;
	unsigned int i;

	bench_open(&b, "gen:,flows=5", 2048);
	for (i = 0; i < 5000; i++) {
		next_frame(&b, s);
		if (i % 7 != 3)
			deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 714, 0, 0, 0, 0);
	/* The end of the run is lost: the sink alone can't know, the pair does. */
	assert_int_equal(port_gen_report(b.sink, &r), 0);
	assert_true(r.lost <= 714 && r.lost >= 709);
	for (i = 0; i < 10; i++) {
		next_frame(&b, s);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 724, 0, 0, 0, 0);
	bench_close(&b);
}

static void test_duplicates(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS], old[P2P_MAX_SEGS];
	struct bench b;
	unsigned int i;

	bench_open(&b, "gen:", 2048);
	next_frame(&b, old);
	deliver(&b, old, 1);
	for (i = 1; i < 6000; i++) {
		next_frame(&b, s);
		deliver(&b, s, 1);
		if (i % 100 == 0)
			deliver(&b, s, 1);
		if (i == 1000)
			deliver(&b, old, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 0, 60, 0, 0, 0);
	/* Far behind the window, but nothing is missing: it must be a duplicate. */
	deliver(&b, old, 1);
	expect(&b, 0, 61, 0, 0, 0);
	bench_close(&b);
}

static void test_reordering(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS], held[200];
	struct bench b;
	unsigned int i, n = 0;

	bench_open(&b, "gen:", 2048);
	/* Neighbours exchanged: every second frame comes after a later one. */
	for (i = 0; i < 500; i++) {
		next_frame(&b, &held[0]);
		next_frame(&b, &held[1]);
		deliver(&b, &held[1], 1);
		deliver(&b, &held[0], 1);
		loop_repost(&b.l, b.gen, held, 2);
	}
	expect(&b, 0, 0, 500, 0, 0);
	/* Held back, counted as lost, and then not lost at all. */
	for (i = 0; i < 3000; i++) {
		next_frame(&b, s);
		if (i % 100 == 50) {
			held[n++] = s[0];
			continue;
		}
		deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 30, 0, 500, 0, 0);
	for (i = 0; i < n; i++)
		deliver(&b, &held[i], 1);
	expect(&b, 0, 0, 530, 0, 0);
	for (i = 0; i < n; i++)
		deliver(&b, &held[i], 1);
	expect(&b, 0, 30, 530, 0, 0);
	loop_repost(&b.l, b.gen, held, n);

	/* Older than the window, but one is missing: that one. */
	next_frame(&b, held);
	for (i = 0; i < GEN_WINDOW + 10; i++) {
		next_frame(&b, s);
		deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 1, 30, 530, 0, 0);
	deliver(&b, held, 1);
	expect(&b, 0, 30, 531, 0, 0);
	/* Once more: now none is missing, so it was here before. */
	deliver(&b, held, 1);
	expect(&b, 0, 31, 531, 0, 0);
	bench_close(&b);
}

/* The window is right across its own edge and across jumps of any length. */
static void test_window_against_model(void **state)
{
	enum { TOTAL = 30000 };
	static uint8_t seen[TOTAL];
	uint64_t dup = 0, reordered = 0, unique = 0, high = 0, x = 12345, i;
	struct gen_sink *k = calloc(1, sizeof(*k));
	struct gen_flow f;
	struct gen_flow_setting set = { .id = 9, .run = 3 };
	uint8_t frame[64];
	struct p2p_seg s = { .data = frame, .len = 60 };

	gen_frame_init();
	gen_flow_init(&f, &set);
	for (i = 0; i < 40000; i++) {
		uint64_t seq, back;

		x = gen_mix(x + i);
		back = x % 16 == 0 ? (x >> 8) % 4000 : 0;
		seq = x % 97 == 0 ? high + (x >> 20) % 100 : high + 1;
		seq = back ? (back > high ? 0 : high - back) : seq;
		if (seq >= TOTAL)
			break;
		f.seq = (uint32_t)seq;
		gen_flow_write_head(&f, frame, 0);
		gen_sink_frame(k, &s, 1, 60, 10);
		if (seen[seq])
			dup++;
		else
			unique++;
		if (!seen[seq] && seq < high)
			reordered++;
		seen[seq] = 1;
		high = seq > high ? seq : high;
	}
	assert_true(dup > 500 && reordered > 100);
	assert_true(k->source[9]->count.duplicated == dup);
	assert_true(k->source[9]->count.reordered == reordered);
	assert_true(k->source[9]->count.unique == unique);
	assert_true(k->source[9]->count.span == high + 1);
	gen_sink_free(k);
	free(k);
}

/* 32-bit numbers come round. */
static void test_sequence_wrap(void **state)
{
	struct gen_sink *k = calloc(1, sizeof(*k));
	struct gen_flow_setting set = { .id = 1 };
	struct gen_flow f;
	uint8_t frame[64];
	struct p2p_seg s = { .data = frame, .len = 60 };
	unsigned int i;

	gen_frame_init();
	gen_flow_init(&f, &set);
	f.seq = 0xfffffc00u;
	for (i = 0; i < 2048; i++) {
		gen_flow_write_head(&f, frame, 0);
		if (i == 1500)
			continue;
		gen_sink_frame(k, &s, 1, 60, 10);
	}
	assert_true(k->source[1]->count.span == 2048 && k->source[1]->count.unique == 2047);
	assert_true(k->source[1]->count.duplicated == 0 && k->source[1]->count.reordered == 0);
	gen_sink_free(k);
	free(k);
}

/* Every single bit of a frame, in turn: one corrupted, none lost, none foreign. */
static void flip_all(const char *spec, uint32_t buf, uint32_t len, const uint8_t *skip, unsigned int n_skip)
{
	struct p2p_seg s[P2P_MAX_SEGS];
	uint64_t flipped = 0;
	struct bench b;
	unsigned int bit;

	bench_open(&b, spec, buf);
	next_frame(&b, s);
	deliver(&b, s, 1);
	loop_repost(&b.l, b.gen, s, 1);
	for (bit = 0; bit < 8 * len; bit++) {
		if (n_skip && memchr(skip, (int)(bit / 8), n_skip))
			continue;
		next_frame(&b, s);
		assert_int_equal(s[0].len, len);
		s[0].data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
		flipped++;
	}
	next_frame(&b, s);
	deliver(&b, s, 1);
	/* A flipped bit of the id names another source; its number then counts as lost. */
	{
		struct gen_report r;

		assert_int_equal(port_gen_report_pair(b.gen, b.sink, &r), 0);
		assert_true(r.corrupted == flipped && r.foreign == 0 && r.duplicated == 0 && r.reordered == 0);
		assert_true(r.lost == 8);
	}
	bench_close(&b);
}

static void test_every_bit(void **state)
{
	/* What a router may change (MACs, TTL with the IP checksum) is not the tag's to judge. */
	static const uint8_t macs[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

	flip_all("gen:", 2048, 60, NULL, 0);
	flip_all("gen:,size=200", 2048, 196, NULL, 0);
	flip_all("gen:,size=67", 2048, 63, NULL, 0);
	flip_all("gen:,routed", 2048, 60, macs, sizeof(macs));
}

static void test_routed(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS];
	struct bench b;
	unsigned int i;

	bench_open(&b, "gen:,routed", 2048);
	for (i = 0; i < 100; i++) {
		uint8_t *f;
		uint32_t sum;

		next_frame(&b, s);
		f = s[0].data;
		memset(f, (int)i, 12);
		f[22]--;
		sum = ((uint32_t)f[24] << 8 | f[25]) + 0x100; /* RFC 1141 */
		sum += sum >> 16;
		f[24] = (uint8_t)(sum >> 8);
		f[25] = (uint8_t)sum;
		deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 0, 0, 0, 0, 0);
	next_frame(&b, s);
	s[0].data[22]--; /* without the checksum */
	deliver(&b, s, 1);
	expect(&b, 0, 0, 0, 1, 0);
	bench_close(&b);
}

/* What a lost DMA leaves: a unit of the previous frame in the same buffer. */
static void test_stale_units(void **state)
{
	uint8_t before[2048];
	struct p2p_seg s[P2P_MAX_SEGS];
	struct bench b;
	unsigned int at;

	bench_open(&b, "gen:,size=1518", 2048);
	next_frame(&b, s);
	deliver(&b, s, 1);
	memcpy(before, s[0].data, s[0].len);
	loop_repost(&b.l, b.gen, s, 1);
	for (at = 64; at + 64 <= 1514; at += 64) {
		next_frame(&b, s);
		memcpy(s[0].data + at, before + at, 64);
		deliver(&b, s, 1);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 0, 0, 0, 22, 0);
	/* Shortened and lengthened. */
	next_frame(&b, s);
	s[0].len -= 4;
	deliver(&b, s, 1);
	next_frame(&b, s);
	s[0].len += 4;
	deliver(&b, s, 1);
	next_frame(&b, s);
	s[0].len = 50;
	deliver(&b, s, 1);
	expect(&b, 0, 0, 0, 25, 0);
	bench_close(&b);
}

static void test_foreign(void **state)
{
	uint8_t junk[9300];
	struct p2p_seg s = { .data = junk };
	uint64_t x = 1, n = 0;
	struct gen_report r;
	struct bench b;
	unsigned int i, k;

	bench_open(&b, "gen:", 2048);
	for (i = 0; i < 3000; i++) {
		for (k = 0; k < 80; k++) {
			x = gen_mix(x + k);
			junk[k] = (uint8_t)x;
		}
		s.len = i < 80 ? i : (uint32_t)(x >> 20) % sizeof(junk);
		deliver(&b, &s, 1);
		n++;
	}
	memset(junk, 0, sizeof(junk));
	s.len = 1514;
	deliver(&b, &s, 1);
	assert_int_equal(port_gen_report(b.sink, &r), 0);
	assert_true(r.foreign == n + 1 && r.corrupted == 0 && r.received == 0 && r.lost == 0);
	bench_close(&b);
}

/* A frame in many small segments, the head itself cut. */
static void test_segments(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS], cut[P2P_MAX_SEGS];
	struct bench b;
	unsigned int i, n, at;

	bench_open(&b, "gen:,size=700", 2048);
	for (i = 1; i < 200; i++) {
		next_frame(&b, s);
		for (n = 0, at = 0; n < 15 && at < s[0].len; n++) {
			cut[n] = s[0];
			cut[n].data += at;
			cut[n].len = n == 14 || s[0].len - at < i ? s[0].len - at : i;
			cut[n].flags = P2P_SEG_MORE;
			at += cut[n].len;
		}
		cut[n - 1].flags = 0;
		if (i % 10 == 0)
			s[0].data[(i * 37) % s[0].len] ^= 0x80;
		deliver(&b, cut, n);
		loop_repost(&b.l, b.gen, s, 1);
	}
	expect(&b, 0, 0, 0, 19, 0);
	/* Half a frame is not taken. */
	next_frame(&b, s);
	s[0].flags = P2P_SEG_MORE;
	assert_int_equal(b.sink->ops->tx_burst(b.sink, s, 1), 0);
	bench_close(&b);
}

static void test_reset_and_set(void **state)
{
	struct p2p_seg s[P2P_MAX_SEGS];
	struct gen_report r;
	struct bench b;

	bench_open(&b, "gen:,flows=3", 2048);
	assert_null(b.gen->ops->exhausted);
	pass(&b, 1000);
	next_frame(&b, s); /* lost at the end of the run */
	loop_repost(&b.l, b.gen, s, 1);
	next_frame(&b, s); /* still on its way when the counts are reset */

	port_gen_pause(b.gen, true);
	assert_false(port_gen_quiet(b.gen));
	assert_true(b.gen->ops->rx_burst(b.gen, &s[1], 1) == 0);
	assert_true(port_gen_quiet(b.gen));
	assert_true(b.gen->ops->next_event(b.gen, 5) == UINT64_MAX);
	port_gen_reset_stats(b.gen);
	port_gen_reset_stats(b.sink);
	assert_int_equal(port_gen_set(b.gen, "65", 0, 500), 0);
	assert_int_equal(port_gen_set(b.gen, "63", 0, 500), -EINVAL);
	expect(&b, 0, 0, 0, 0, 0);
	assert_int_equal(port_gen_report(b.sink, &r), 0);
	assert_true(r.received == 0 && r.latency_count == 0);

	port_gen_pause(b.gen, false);
	assert_true(pass(&b, 100) >= 100);
	deliver(&b, s, 1);
	pass(&b, UINT64_MAX);
	expect(&b, 0, 0, 0, 0, 0);
	assert_int_equal(port_gen_report_pair(b.gen, b.sink, &r), 0);
	assert_true(r.sent == 500 && r.received == 500 && r.sent_bytes == 500 * 61 && r.stale == 1);
	/* The numbers began anew, so that the sink by itself sees no gap either. */
	assert_int_equal(port_gen_report(b.sink, &r), 0);
	assert_true(r.lost == 0 && r.received == 500);
	bench_close(&b);
}

static void test_limits(void **state)
{
	struct loop l;
	struct port *p = open_or_fail("gen:,size=9216"), *q = open_or_fail("null:");
	struct p2p_seg s[32];
	struct pollfd pfd;
	uint32_t gen;
	int fd;

	/* 16 buffers of 512 hold 8192. */
	loop_init(&l, 64, 512);
	assert_int_equal(p->ops->start(p, &l.mem), -EMSGSIZE);
	assert_int_equal(port_gen_set(p, "1518", GEN_KEEP, GEN_KEEP), 0);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	assert_int_equal(port_gen_set(p, "9000", GEN_KEEP, GEN_KEEP), -EMSGSIZE);
	/* Nothing posted, nothing made. */
	assert_int_equal(p->ops->rx_burst(p, s, 32), 0);
	assert_true(p->ops->next_event(p, 0) == UINT64_MAX);
	loop_post(&l, p);
	/* Room for two segments, a frame needs three. */
	assert_int_equal(p->ops->rx_burst(p, s, 2), 0);
	assert_int_equal(p->ops->rx_burst(p, s, 4), 3);
	/* 64 buffers are 21 frames; the last one stays. */
	assert_int_equal(p->ops->rx_burst(p, s, 32), 30);
	assert_int_equal(p->ops->rx_burst(p, s, 32), 30);
	assert_int_equal(p->ops->rx_burst(p, s, 32), 0);
	/* Another thread's request wakes a sleeping worker once. */
	assert_int_equal(p->ops->fds(p, &fd, 1, &gen), 1);
	pfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	p->ops->control(p, 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	port_gen_pause(p, true);
	assert_int_equal(poll(&pfd, 1, 0), 1);
	p->ops->control(p, 0);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	assert_true(port_gen_quiet(p));
	p->ops->stop(p);
	assert_false(p->ops->link_up(p));
	assert_int_equal(p->ops->rx_burst(p, s, 32), 0);
	p->ops->close(p);

	assert_false(port_is_gen(q));
	assert_int_equal(q->ops->start(q, &l.mem), 0);
	loop_post(&l, q);
	s[0] = loop_buf(&l, 0);
	s[0].flags = P2P_SEG_MORE;
	s[1] = loop_buf(&l, 1);
	assert_int_equal(q->ops->tx_burst(q, s, 2), 2);
	assert_int_equal(q->ops->tx_done(q), 2);
	assert_int_equal(q->ops->tx_done(q), 0);
	assert_true(q->stats.tx_frames == 1 && q->stats.tx_bytes == 1024);
	q->ops->stop(q);
	assert_int_equal(q->ops->tx_burst(q, s, 2), 0);
	q->ops->close(q);
	loop_free(&l);
}

/* Two seeds differ, one seed repeats. */
static void test_seed(void **state)
{
	static const char *const specs[] = {
		"gen:,size=64-9216,seed=1", "gen:,size=64-9216,seed=1", "gen:,size=64-9216,seed=2",
	};
	uint32_t len[3][64];
	struct p2p_seg s[P2P_MAX_SEGS];
	struct bench b;
	unsigned int i, k;

	for (i = 0; i < 3; i++) {
		bench_open(&b, specs[i], 9728);
		for (k = 0; k < 64; k++) {
			next_frame(&b, s);
			len[i][k] = s[0].len;
		}
		bench_close(&b);
	}
	assert_memory_equal(len[0], len[1], sizeof(len[0]));
	/* Nor does it matter that a long frame did not fit into what room there was at first. */
	bench_open(&b, specs[0], 2048);
	for (i = 0, k = 0; k < 64; i++) {
		unsigned int n = b.gen->ops->rx_burst(b.gen, s, 1 + i % 5), j;
		uint32_t sum = 0;

		for (j = 0; j < n; j++) {
			sum += s[j].len;
			if (s[j].flags & P2P_SEG_MORE)
				continue;
			if (k < 64)
				assert_int_equal(sum, len[0][k++]);
			sum = 0;
		}
		loop_repost(&b.l, b.gen, s, n);
	}
	bench_close(&b);
	assert_memory_not_equal(len[0], len[2], sizeof(len[0]));
}

struct worker {
	struct bench b;
	bool stop;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct p2p_seg segs[32];
	unsigned int n;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		w->b.gen->ops->control(w->b.gen, 0);
		n = w->b.gen->ops->rx_burst(w->b.gen, segs, 32);
		w->b.sink->ops->tx_burst(w->b.sink, segs, n);
		w->b.sink->ops->tx_done(w->b.sink);
		loop_repost(&w->b.l, w->b.gen, segs, n);
	}
	return NULL;
}

/* A runner's phases on another thread than the worker's: the counts of each are exact. */
static void test_phases_from_another_thread(void **state)
{
	static const char *const sizes[] = { "64", "imix", "1518", "64-9216" };
	struct worker *w = calloc(1, sizeof(*w));
	struct gen_report r;
	pthread_t t;
	unsigned int i;

	bench_open(&w->b, "gen:,flows=10", 2048);
	port_gen_pause(w->b.gen, true);
	assert_int_equal(pthread_create(&t, NULL, work, w), 0);
	for (i = 0; i < 12; i++) {
		while (!port_gen_quiet(w->b.gen))
			usleep(100);
		port_gen_reset_stats(w->b.gen);
		port_gen_reset_stats(w->b.sink);
		assert_int_equal(port_gen_set(w->b.gen, sizes[i % 4], i % 3 ? 0 : 200000, GEN_KEEP), 0);
		port_gen_pause(w->b.gen, false);
		do {
			assert_int_equal(port_gen_report(w->b.sink, &r), 0);
		} while (r.received < 1000);
		port_gen_pause(w->b.gen, true);
		while (!port_gen_quiet(w->b.gen))
			usleep(100);
		do {
			assert_int_equal(port_gen_report_pair(w->b.gen, w->b.sink, &r), 0);
		} while (r.received < r.sent);
		assert_true(r.sent >= 1000 && r.received == r.sent && r.received_bytes == r.sent_bytes);
		assert_true(r.lost == 0 && r.corrupted == 0 && r.duplicated == 0 && r.reordered == 0 && r.stale == 0);
		assert_true(r.latency_count == r.sent && r.latency_p50_ns <= r.latency_p99_ns);
	}
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	bench_close(&w->b);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_frames_are_valid),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_window_against_model),
		cmocka_unit_test(test_sequence_wrap),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_routed),
		cmocka_unit_test(test_stale_units),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_reset_and_set),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_phases_from_another_thread),
	};

	return cmocka_run_group_tests_name("ports_gen", tests, NULL, NULL);
}
