/* SPDX-License-Identifier: BSD-3-Clause */
/* Far ends that do everything wrong: control messages, ring indexes, descriptors, memory cut short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"
#include "tests/open_fds.h"
#include "tests/unit/sock/filled.h"

#define PATIENCE_S 30 /* SIGALRM ends who sleeps where it must not */
#define FILLED 20u

static char dir[64], path[80], server_spec[128], client_spec[128];

static uint64_t errors(const struct env *e)
{
	return e->port->stats.peer_errors;
}

/* The port has cut the link, counted it, and then takes a far end that behaves. */
static void assert_cut(struct env *e, struct raw *r, uint64_t errors_before)
{
	assert_true(raw_hung_up(r, e));
	assert_false(e->port->ops->link_up(e->port));
	assert_true(errors(e) > errors_before);
	raw_close(r);
}

static void server_works(struct env *e)
{
	struct raw r;

	raw_client_up(&r, e, path, F_SEAL_SHRINK);
	env_fill(r.base + RAW_BUFS, 64, 5, e->received);
	memif_index_store(&r.c2s->head, 1);
	assert_int_equal(env_receive(e, 5), 1);
	assert_int_equal(memif_index_load(&r.c2s->tail), 1);
	memif_index_store(&r.s2c->head, RAW_SLOTS);
	assert_int_equal(env_send(e, 1, 64, 2048), 1);
	env_reap(e);
	assert_int_equal(memif_index_load(&r.s2c->tail), 1);
	assert_int_equal(r.s2c->desc[0].length, 64);
	assert_int_equal(env_check(r.base + r.s2c->desc[0].offset, 64, e->seed), e->sent - 1);
	assert_int_equal(e->corrupted, 0);
	raw_close(&r);
	for (uint64_t end = env_now_ns() + 5000000000ull; e->port->ops->link_up(e->port);) {
		env_control(e);
		assert_true(env_now_ns() < end);
	}
}

/* ---- server: control messages ---- */

enum step { TO_HELLO, TO_INIT, TO_REGION, TO_RINGS };

static void client_at(struct raw *r, struct env *e, enum step step)
{
	struct memif_msg msg, reply;

	*r = (struct raw){ .listener = -1, .sock = -1, .memfd = -1, .evfd = { -1, -1 } };
	raw_client_memory(r, F_SEAL_SHRINK);
	raw_client_connect(r, e, path);
	if (step >= TO_INIT) {
		msg = raw_init(0);
		raw_send(r, &msg, -1);
		assert_int_equal(raw_recv(r, e, &reply, NULL), MEMIF_MSG_ACK);
	}
	if (step >= TO_REGION) {
		msg = raw_region(0, RAW_BYTES);
		raw_send(r, &msg, r->memfd);
		assert_int_equal(raw_recv(r, e, &reply, NULL), MEMIF_MSG_ACK);
	}
	for (unsigned int i = 0; i < 2 && step >= TO_RINGS; i++) {
		msg = raw_ring(i == 0, 0);
		raw_send(r, &msg, r->evfd[i]);
		assert_int_equal(raw_recv(r, e, &reply, NULL), MEMIF_MSG_ACK);
	}
}

static void refuse(struct env *e, enum step step, struct memif_msg msg, int fd)
{
	struct raw r;

	client_at(&r, e, step);
	raw_send(&r, &msg, fd == -2 ? r.memfd : fd == -3 ? r.evfd[0] : fd);
	assert_true(raw_hung_up(&r, e));
	assert_false(e->port->ops->link_up(e->port));
	raw_close(&r);
}

static struct memif_msg type(uint16_t t)
{
	return (struct memif_msg){ .type = t };
}

static void test_server_messages(void **state)
{
	static const uint16_t never[] = { MEMIF_MSG_NONE, MEMIF_MSG_ACK, MEMIF_MSG_HELLO, MEMIF_MSG_CONNECTED, 9, 0xffff };
	struct memif_msg msg;
	struct env e;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	env_open(&e, server_spec, 32, 2048);
	for (enum step s = TO_HELLO; s <= TO_RINGS; s++) {
		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(never); i++)
			refuse(&e, s, type(never[i]), -1);
		refuse(&e, s, type(MEMIF_MSG_DISCONNECT), -1);
		refuse(&e, s, type(MEMIF_MSG_DISCONNECT), -2);
		if (s != TO_HELLO)
			refuse(&e, s, raw_init(0), -1);
		if (s != TO_RINGS)
			refuse(&e, s, type(MEMIF_MSG_CONNECT), -1);
	}
	server_works(&e);
	msg = raw_init(1);
	refuse(&e, TO_HELLO, msg, -1);
	msg = raw_init(0), msg.init.version = 0x100;
	refuse(&e, TO_HELLO, msg, -1);
	msg = raw_init(0), msg.init.mode = 1;
	refuse(&e, TO_HELLO, msg, -1);
	refuse(&e, TO_HELLO, raw_region(0, RAW_BYTES), -2);
	refuse(&e, TO_INIT, raw_region(0, RAW_BYTES), -1);
	refuse(&e, TO_INIT, raw_region(1, RAW_BYTES), -2);
	refuse(&e, TO_INIT, raw_region(0xffff, RAW_BYTES), -2);
	refuse(&e, TO_INIT, raw_region(0, 0), -2);
	refuse(&e, TO_INIT, raw_region(0, RAW_BYTES + 1), -2);
	refuse(&e, TO_INIT, raw_region(0, UINT64_MAX), -2);
	refuse(&e, TO_INIT, raw_region(0, RAW_BYTES), pipes[0]);
	refuse(&e, TO_INIT, raw_region(0, RAW_BYTES), -3);
	refuse(&e, TO_INIT, raw_ring(true, 0), -1);
	refuse(&e, TO_REGION, raw_region(0, RAW_BYTES), -2);
	refuse(&e, TO_REGION, raw_ring(true, 0), -1);
	refuse(&e, TO_REGION, raw_ring(true, 0), -2);
	refuse(&e, TO_REGION, raw_ring(true, 0), pipes[1]);
	refuse(&e, TO_REGION, raw_ring(true, 1), -3);
	refuse(&e, TO_REGION, raw_ring(true, 0xffff), -3);
	msg = raw_ring(true, 0), msg.add_ring.log2_size = 0;
	refuse(&e, TO_REGION, msg, -3);
	msg = raw_ring(true, 0), msg.add_ring.log2_size = 15;
	refuse(&e, TO_REGION, msg, -3);
	msg = raw_ring(true, 0), msg.add_ring.log2_size = 255;
	refuse(&e, TO_REGION, msg, -3);
	refuse(&e, TO_RINGS, raw_region(1, RAW_BYTES), -2);
	server_works(&e);
	assert_true(errors(&e) > 20);
	env_close(&e);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_server_ring_places(void **state)
{
	static const struct { uint16_t region; uint32_t offset; uint8_t log2; uint32_t cookie; } bad[] = {
		{ 1, RAW_RING, RAW_LOG2, MEMIF_COOKIE },
		{ 0xffff, RAW_RING, RAW_LOG2, MEMIF_COOKIE },
		{ 0, RAW_RING + 1, RAW_LOG2, MEMIF_COOKIE },
		{ 0, RAW_RING + 8, RAW_LOG2, MEMIF_COOKIE },
		{ 0, RAW_BYTES, RAW_LOG2, MEMIF_COOKIE },
		{ 0, RAW_BYTES - 128, RAW_LOG2, MEMIF_COOKIE },
		{ 0, 0xfffffff0u, RAW_LOG2, MEMIF_COOKIE },
		{ 0, RAW_RING, 12, MEMIF_COOKIE },
		{ 0, RAW_RING, RAW_LOG2, MEMIF_COOKIE + 1 },
	};
	struct memif_msg msg, reply;
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(bad); i++) {
		client_at(&r, &e, TO_REGION);
		r.s2c->cookie = bad[i].cookie;
		msg = raw_ring(true, 0);
		raw_send(&r, &msg, r.evfd[0]);
		assert_int_equal(raw_recv(&r, &e, &reply, NULL), MEMIF_MSG_ACK);
		msg = raw_ring(false, 0);
		msg.add_ring.region = bad[i].region;
		msg.add_ring.offset = bad[i].offset;
		msg.add_ring.log2_size = bad[i].log2;
		raw_send(&r, &msg, r.evfd[1]);
		assert_int_equal(raw_recv(&r, &e, &reply, NULL), MEMIF_MSG_ACK);
		msg = type(MEMIF_MSG_CONNECT);
		raw_send(&r, &msg, -1);
		assert_cut(&e, &r, errors(&e));
	}
	client_at(&r, &e, TO_REGION); /* one direction only */
	msg = raw_ring(true, 0);
	raw_send(&r, &msg, r.evfd[0]);
	assert_int_equal(raw_recv(&r, &e, &reply, NULL), MEMIF_MSG_ACK);
	msg = type(MEMIF_MSG_CONNECT);
	raw_send(&r, &msg, -1);
	assert_cut(&e, &r, errors(&e));
	server_works(&e);
	env_close(&e);
}

static void test_server_bytes(void **state)
{
	uint8_t junk[4096];
	struct env e;
	struct raw r;
	int fds[9];

	env_open(&e, server_spec, 32, 2048);
	memset(junk, 3, sizeof(junk));
	for (enum step s = TO_HELLO; s <= TO_RINGS; s++) {
		static const size_t lengths[] = { 0, 1, 2, 127, 129, 4096 };

		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(lengths); i++) {
			client_at(&r, &e, s);
			raw_send_bytes(&r, junk, lengths[i], NULL, 0);
			assert_true(raw_hung_up(&r, &e));
			raw_close(&r);
		}
		for (unsigned int n = 2; n <= 9; n++) {
			struct memif_msg msg = raw_region(0, RAW_BYTES);

			client_at(&r, &e, s);
			for (unsigned int i = 0; i < n; i++)
				fds[i] = r.memfd;
			raw_send_bytes(&r, &msg, sizeof(msg), fds, n);
			assert_true(raw_hung_up(&r, &e));
			raw_close(&r);
		}
		client_at(&r, &e, s); /* and gone */
		raw_close(&r);
	}
	server_works(&e);
	env_close(&e);
}

static void test_server_idle_clients(void **state)
{
	struct raw r[40], up, second;
	struct memif_msg msg;
	struct env e;

	env_open(&e, server_spec, 32, 2048);
	for (unsigned int i = 0; i < 12; i++)
		client_at(&r[i], &e, TO_HELLO);
	server_works(&e);
	assert_int_equal(e.port->stats.peer_refused, 0);
	for (unsigned int i = 0; i < 12; i++)
		raw_close(&r[i]);
	server_works(&e);
	assert_int_equal(e.port->stats.peer_refused, 12);
	/* An id that there is not, another message first, gone in the middle, a second client: each is counted. */
	refuse(&e, TO_HELLO, raw_init(77), -1);
	refuse(&e, TO_HELLO, raw_region(0, RAW_BYTES), -2);
	assert_int_equal(e.port->stats.peer_refused, 14);
	client_at(&r[0], &e, TO_REGION);
	raw_close(&r[0]);
	raw_client_up(&up, &e, path, F_SEAL_SHRINK);
	assert_int_equal(e.port->stats.peer_refused, 15);
	client_at(&second, &e, TO_HELLO);
	msg = raw_init(0);
	raw_send(&second, &msg, -1);
	assert_true(raw_hung_up(&second, &e));
	assert_int_equal(e.port->stats.peer_refused, 16);
	assert_true(e.port->ops->link_up(e.port));
	assert_int_equal(errors(&e), 0);
	raw_close(&second);
	raw_close(&up);
	env_close(&e);
}

/* Sequences of mostly right messages with something wrong now and then. */
static void test_server_random(void **state)
{
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	for (unsigned int round = 0; round < 3000; round++) {
		struct memif_msg msg, reply;

		client_at(&r, &e, TO_HELLO);
		for (unsigned int i = 0; i < 6; i++) {
			int fd = -1;

			switch (raw_random(8) ? i : raw_random(6)) {
			case 0: msg = raw_init(0); break;
			case 1: msg = raw_region(0, RAW_BYTES); fd = r.memfd; break;
			case 2: msg = raw_ring(true, 0); fd = r.evfd[0]; break;
			case 3: msg = raw_ring(false, 0); fd = r.evfd[1]; break;
			default: msg = type(MEMIF_MSG_CONNECT);
			}
			if (!raw_random(10))
				((uint8_t *)&msg)[raw_random(40)] = (uint8_t)raw_random(256);
			if (!raw_random(20))
				fd = raw_random(2) ? -1 : r.memfd;
			if (raw_send(&r, &msg, fd) || raw_recv(&r, &e, &reply, NULL) < 0)
				break;
			if (reply.type == MEMIF_MSG_CONNECTED) {
				for (unsigned int k = 0; k < 64; k++)
					r.base[raw_random(1024)] = (uint8_t)raw_random(256);
				env_receive(&e, 5);
				env_send(&e, raw_random(8), 22 + raw_random(3000), 2048);
				env_reap(&e);
			}
		}
		raw_close(&r);
		e.corrupted = 0;
		for (unsigned int i = 0; i < 4; i++) {
			env_receive(&e, 5);
			env_control(&e);
		}
		while (e.port->ops->link_up(e.port))
			env_control(&e);
	}
	e.received = 0;
	e.corrupted = 0;
	server_works(&e);
	env_close(&e);
}

/* ---- server: rings ---- */

static void test_server_descriptors(void **state)
{
	static const struct memif_desc bad[] = {
		{ .region = 1, .length = 64, .offset = RAW_BUFS },
		{ .region = 0xffff, .length = 64, .offset = RAW_BUFS },
		{ .region = 0, .length = 64, .offset = RAW_BYTES - 63 },
		{ .region = 0, .length = 1, .offset = RAW_BYTES },
		{ .region = 0, .length = 64, .offset = 0xffffffffu },
		{ .region = 0, .length = 0xffffffffu, .offset = 0xffffffffu },
		{ .region = 0, .length = 0xffffffffu, .offset = RAW_BUFS },
		{ .region = 0, .length = RAW_BYTES, .offset = 1 },
		{ .region = 1, .flags = MEMIF_DESC_NEXT, .length = 64, .offset = 0 },
	};
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(bad); i++) {
		uint64_t before = errors(&e);

		raw_client_up(&r, &e, path, F_SEAL_SHRINK);
		env_fill(r.base + RAW_BUFS, 64, 5, e.received);
		r.c2s->desc[1] = bad[i];
		memif_index_store(&r.c2s->head, 2);
		assert_int_equal(env_receive(&e, 5), 1); /* the good one before it */
		assert_int_equal(env_receive(&e, 5), 0);
		assert_cut(&e, &r, before);

		before = errors(&e);
		raw_client_up(&r, &e, path, F_SEAL_SHRINK);
		r.s2c->desc[0] = bad[i];
		memif_index_store(&r.s2c->head, RAW_SLOTS);
		assert_int_equal(env_send(&e, 1, 64, 2048), 0);
		assert_cut(&e, &r, before);
	}
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	r.s2c->desc[0].length = 0;
	memif_index_store(&r.s2c->head, RAW_SLOTS);
	assert_int_equal(env_send(&e, 1, 64, 2048), 0);
	assert_cut(&e, &r, 0);
	assert_int_equal(e.corrupted, 0);
	server_works(&e);
	env_close(&e);
}

static void test_server_indexes(void **state)
{
	static const uint16_t heads[] = { RAW_SLOTS + 1, 0x7fff, 0x8000, 0xffff };
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(heads); i++) {
		uint64_t before = errors(&e);

		raw_client_up(&r, &e, path, F_SEAL_SHRINK);
		memif_index_store(&r.c2s->head, heads[i]);
		assert_int_equal(env_receive(&e, 5), 0);
		assert_cut(&e, &r, before);
		before = errors(&e);
		raw_client_up(&r, &e, path, F_SEAL_SHRINK);
		memif_index_store(&r.s2c->head, heads[i]);
		assert_int_equal(env_send(&e, 1, 64, 2048), 0);
		assert_cut(&e, &r, before);
	}
	/* Going back. */
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	for (unsigned int i = 0; i < 4; i++)
		env_fill(r.base + RAW_BUFS + i * 2048, 64, 5, e.received + i);
	memif_index_store(&r.c2s->head, 4);
	assert_int_equal(env_receive(&e, 5), 4);
	memif_index_store(&r.c2s->head, 3);
	assert_int_equal(env_receive(&e, 5), 0);
	assert_cut(&e, &r, errors(&e) - 1);
	/* A tail of ours that the client overwrites is no index of ours. */
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	memif_index_store(&r.c2s->tail, 77);
	env_fill(r.base + RAW_BUFS, 64, 5, e.received);
	memif_index_store(&r.c2s->head, 1);
	assert_int_equal(env_receive(&e, 5), 1);
	assert_int_equal(memif_index_load(&r.c2s->tail), 1);
	raw_close(&r);
	env_close(&e);
}

static void test_server_chains(void **state)
{
	uint64_t before;
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	/* No end in the whole ring. */
	before = errors(&e);
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	for (unsigned int i = 0; i < RAW_SLOTS; i++)
		r.c2s->desc[i].flags = MEMIF_DESC_NEXT;
	memif_index_store(&r.c2s->head, RAW_SLOTS - 1);
	assert_int_equal(env_receive(&e, 5), 0); /* might still come */
	assert_int_equal(errors(&e), before);
	memif_index_store(&r.c2s->head, RAW_SLOTS);
	assert_int_equal(env_receive(&e, 5), 0);
	assert_cut(&e, &r, before);
	/* Nothing in it, and more than fits a frame: refused, and the next one taken. */
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	before = errors(&e);
	r.c2s->desc[0].length = 0;
	r.c2s->desc[1] = (struct memif_desc){ .flags = MEMIF_DESC_NEXT, .length = 30000, .offset = 0 };
	r.c2s->desc[2] = (struct memif_desc){ .length = 30000, .offset = 0 };
	env_fill(r.base + RAW_BUFS + 3 * 2048, 64, 5, e.received);
	memif_index_store(&r.c2s->head, 4);
	assert_int_equal(env_receive(&e, 5), 1);
	assert_int_equal(e.port->stats.rx_refused, 2);
	assert_int_equal(errors(&e), before);
	assert_int_equal(memif_index_load(&r.c2s->tail), 4);
	/* To be sent, but no buffers in the world are enough: refused for good. */
	memif_index_store(&r.s2c->head, RAW_SLOTS);
	for (unsigned int i = 0; i < RAW_SLOTS; i++)
		r.s2c->desc[i].length = 10;
	assert_int_equal(env_send(&e, 1, 64, 2048), 1);
	assert_int_equal(env_send(&e, 1, 81, 2048), 0);
	memif_index_store(&r.s2c->head, RAW_SLOTS + 7);
	for (unsigned int i = 0; i < RAW_SLOTS; i++)
		r.s2c->desc[i].length = 10;
	assert_int_equal(env_send(&e, 1, 81, 2048), 1);
	assert_int_equal(e.port->stats.tx_error, 1);
	raw_close(&r);
	env_close(&e);
}

static void test_server_memory_cut(void **state)
{
	struct p2p_seg segs[32];

	for (unsigned int what = 0; what < 4; what++) {
		struct env e;
		struct raw r;
		uint64_t before;

		env_open(&e, server_spec, 32, 2048);
		raw_client_up(&r, &e, path, F_SEAL_GROW);
		before = errors(&e);
		memif_index_store(&r.s2c->head, RAW_SLOTS);
		memif_index_store(&r.c2s->head, 4);
		assert_int_equal(ftruncate(r.memfd, what == 3 ? 0 : RAW_BUFS), 0);
		if (what == 0)
			assert_int_equal(e.port->ops->rx_burst(e.port, segs, 32), 0);
		else if (what == 1)
			env_send(&e, 1, 64, 2048);
		else if (what == 2)
			assert_int_equal(env_receive(&e, 5) + env_send(&e, 3, 64, 2048), 0);
		else
			e.port->ops->arm(e.port, true);
		if (what == 3)
			env_control(&e);
		munmap(r.base, r.size);
		r.base = NULL;
		assert_cut(&e, &r, before);
		env_reap(&e);
		assert_int_equal(e.tx_head, e.tx_tail);
		/* Every buffer is still there. */
		server_works(&e);
		env_close(&e);
	}
}

/*
 * Unsealed memory may be memory whose descriptor the client closes when it
 * reads CONNECTED: it comes only once its other interface is as far.
 */
static void test_server_holds_connected(void **state)
{
	struct memif_msg msg;
	struct env e[2];
	struct raw r[2];
	uint64_t start;
	char second[140];

	snprintf(second, sizeof(second), "%s,id=1", server_spec);
	env_open(&e[0], server_spec, 32, 2048);
	env_open(&e[1], second, 32, 2048);
	start = env_now_ns();
	for (unsigned int i = 0; i < 2; i++) {
		r[i] = (struct raw){ .listener = -1, .sock = -1, .memfd = -1, .evfd = { -1, -1 } };
		raw_client_memory(&r[i], F_SEAL_GROW);
		raw_client_connect(&r[i], &e[i], path);
		msg = raw_init(i);
		raw_send(&r[i], &msg, -1);
		assert_int_equal(raw_recv(&r[i], &e[i], &msg, NULL), MEMIF_MSG_ACK);
		msg = raw_region(0, RAW_BYTES);
		raw_send(&r[i], &msg, r[i].memfd);
		assert_int_equal(raw_recv(&r[i], &e[i], &msg, NULL), MEMIF_MSG_ACK);
		for (unsigned int k = 0; k < 2; k++) {
			msg = raw_ring(k == 0, 0);
			raw_send(&r[i], &msg, r[i].evfd[k]);
			assert_int_equal(raw_recv(&r[i], &e[i], &msg, NULL), MEMIF_MSG_ACK);
		}
		/* The first waits well beyond the least time; a machine slower than the most can't tell. */
		while (i == 1 && env_now_ns() - start < 300000000u)
			env_control(&e[0]);
		if (env_now_ns() - start < 900000000u)
			assert_false(e[0].port->ops->link_up(e[0].port));
		msg = type(MEMIF_MSG_CONNECT);
		raw_send(&r[i], &msg, -1);
		env_control(&e[i]);
	}
	assert_int_equal(raw_recv(&r[0], &e[0], &msg, NULL), MEMIF_MSG_CONNECTED);
	assert_int_equal(raw_recv(&r[1], &e[1], &msg, NULL), MEMIF_MSG_CONNECTED);
	for (unsigned int i = 0; i < 2; i++) {
		raw_close(&r[i]);
		env_close(&e[i]);
	}
}

/* ---- client ---- */

static void client_works(struct env *e, struct raw *r)
{
	raw_close(r);
	raw_server_up(r, e, RAW_LOG2);
	env_fill(e->mem.region[0].base + r->s2c->desc[0].offset, 64, 5, e->received);
	r->s2c->desc[0].length = 64;
	memif_index_store(&r->s2c->tail, 1);
	assert_int_equal(env_receive(e, 5), 1);
	assert_int_equal(env_send(e, 1, 64, 2048), 1);
	assert_int_equal(memif_index_load(&r->c2s->head), 1);
	assert_int_equal(r->c2s->desc[0].region, 2);
	memif_index_store(&r->c2s->tail, 1);
	env_reap(e);
	assert_int_equal(e->tx_head, e->tx_tail);
}

static void hello_refused(struct env *e, struct raw *r, struct memif_msg msg)
{
	raw_close(r);
	raw_server_accept(r, e);
	raw_send(r, &msg, -1);
	assert_true(raw_hung_up(r, e));
}

static void test_client_messages(void **state)
{
	static const uint16_t never[] = { MEMIF_MSG_NONE, MEMIF_MSG_INIT, MEMIF_MSG_ADD_REGION, MEMIF_MSG_ADD_RING,
					  MEMIF_MSG_CONNECT, 9, 0xffff };
	struct memif_msg msg, ack = type(MEMIF_MSG_ACK);
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	env_open(&e, client_spec, 32, 2048);
	msg = raw_hello(), msg.hello.min_version = MEMIF_VERSION + 1, msg.hello.max_version = MEMIF_VERSION + 1;
	hello_refused(&e, &r, msg);
	msg = raw_hello(), msg.hello.max_version = 0x100, msg.hello.min_version = 0;
	hello_refused(&e, &r, msg);
	msg = raw_hello(), msg.hello.max_region = 1;
	hello_refused(&e, &r, msg);
	msg = raw_hello(), msg.hello.max_log2_ring = 0;
	hello_refused(&e, &r, msg);
	hello_refused(&e, &r, type(MEMIF_MSG_CONNECTED));
	hello_refused(&e, &r, type(MEMIF_MSG_ACK));
	/* After each number of steps, each message that does not belong there. */
	for (unsigned int steps = 0; steps < 8; steps++) {
		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(never) + 2; i++) {
			bool alive = true;

			raw_close(&r);
			raw_server_accept(&r, &e);
			msg = raw_hello();
			raw_send(&r, &msg, -1);
			for (unsigned int k = 0; k < steps && alive; k++) {
				alive = raw_recv(&r, &e, &msg, NULL) > 0 && msg.type != MEMIF_MSG_CONNECT;
				if (alive)
					raw_send(&r, &ack, -1);
			}
			msg = type(i < P2P_ARRAY_SIZE(never) ? never[i] : MEMIF_MSG_DISCONNECT);
			if (i <= P2P_ARRAY_SIZE(never))
				raw_send(&r, &msg, -1);
			else
				raw_send_bytes(&r, &msg, 100, NULL, 0);
			assert_true(raw_hung_up(&r, &e));
			assert_false(e.port->ops->link_up(e.port));
		}
	}
	client_works(&e, &r);
	/* Up already: none of these belongs here either. */
	msg = raw_hello();
	raw_send(&r, &msg, -1);
	assert_true(raw_hung_up(&r, &e));
	client_works(&e, &r);
	raw_close(&r);
	env_close(&e);
	close(r.listener);
	unlink(path);
}

enum scribble { TAIL_FAR, TAIL_BACK, TAIL_C2S, TAIL_C2S_BACK, LENGTH, OFFSET, REGION, ENDLESS, SCRIBBLES };

static void scribble(struct raw *r, struct env *e, enum scribble what)
{
	r->s2c->desc[0].length = 64;
	switch (what) {
	case TAIL_FAR: memif_index_store(&r->s2c->tail, RAW_SLOTS + 1); return;
	case TAIL_BACK: memif_index_store(&r->s2c->tail, 0xffff); return;
	case TAIL_C2S: memif_index_store(&r->c2s->tail, 4); return;
	case TAIL_C2S_BACK: memif_index_store(&r->c2s->tail, 0xffff); return;
	case LENGTH: r->s2c->desc[0].length = 2049; break;
	case OFFSET: r->s2c->desc[0].offset += 64; break;
	case REGION: r->s2c->desc[0].region = 2; break;
	default:
		for (unsigned int i = 0; i < RAW_SLOTS; i++)
			r->s2c->desc[i].flags = MEMIF_DESC_NEXT, r->s2c->desc[i].length = 64;
		memif_index_store(&r->s2c->tail, RAW_SLOTS);
		return;
	}
	memif_index_store(&r->s2c->tail, 1);
}

static void test_client_rings(void **state)
{
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	env_open(&e, client_spec, 32, 2048);
	for (enum scribble what = 0; what < SCRIBBLES; what++) {
		uint64_t before, lost;

		client_works(&e, &r);
		raw_close(&r);
		raw_server_up(&r, &e, RAW_LOG2);
		before = errors(&e);
		lost = e.port->stats.tx_lost;
		assert_int_equal(env_send(&e, 3, 64, 2048), 3);
		scribble(&r, &e, what);
		assert_int_equal(env_receive(&e, 5), 0);
		env_reap(&e);
		env_control(&e);
		assert_false(e.port->ops->link_up(e.port));
		assert_true(errors(&e) > before);
		assert_true(raw_hung_up(&r, &e));
		env_reap(&e);
		assert_int_equal(e.tx_head, e.tx_tail);
		assert_int_equal(e.port->stats.tx_lost, lost + 3);
	}
	/* Refused, and its buffers used again: a frame of nothing. */
	client_works(&e, &r);
	r.s2c->desc[1].length = 0;
	env_fill(e.mem.region[0].base + r.s2c->desc[2].offset, 64, 5, e.received);
	r.s2c->desc[2].length = 64;
	memif_index_store(&r.s2c->tail, 3);
	assert_int_equal(env_receive(&e, 5), 1);
	assert_int_equal(e.port->stats.rx_refused, 1);
	env_receive(&e, 5);
	assert_int_equal(memif_index_load(&r.s2c->head), RAW_SLOTS + 3);
	assert_int_equal(e.corrupted, 0);
	raw_close(&r);
	env_close(&e);
	close(r.listener);
	unlink(path);
}

/* The far end fills the next n buffers; those in `empty`, a bit each, with nothing. */
static void fill_next(struct raw *r, uint16_t *at, unsigned int n, uint32_t empty)
{
	for (unsigned int i = 0; i < n; i++, (*at)++) {
		r->s2c->desc[*at % RAW_SLOTS].length = empty >> i & 1 ? 0 : 64;
		r->s2c->desc[*at % RAW_SLOTS].flags = 0;
	}
	memif_index_store(&r->s2c->tail, *at);
}

/* Takes up to n segments a time; each must be the buffer that is due, `back` says which are no frames.  Posts them again. */
static void take_in_order(struct env *e, uint32_t *due, unsigned int count, unsigned int n, uint32_t back)
{
	struct p2p_seg seg[RAW_SLOTS];
	unsigned int k, at = 0;

	while ((k = e->port->ops->rx_burst(e->port, seg, n)) > 0) {
		for (unsigned int i = 0; i < k; i++, at++) {
			assert_int_equal(seg[i].cookie, *due);
			assert_int_equal(seg[i].flags, back >> at & 1 ? P2P_SEG_BACK : 0);
			assert_ptr_equal(seg[i].data, e->mem.region[1].base + *due * 2048);
			*due = (*due + 1) % 32;
			seg[i].flags = 0;
			seg[i].len = 2048;
			assert_int_equal(e->port->ops->rx_post(e->port, &seg[i], 1), 1);
		}
	}
	assert_int_equal(at, count);
}

/* Cut-through: buffers in another NIC's memory come back as they were posted, whatever the far end does. */
static void test_client_order(void **state)
{
	struct p2p_seg seg = { .region = 1, .len = 2048 };
	uint32_t due = 0;
	uint16_t at = 0;
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	env_open(&e, client_spec, 32, 2048);
	assert_true(e.port->ops->in_order(e.port));
	e.port->ops->stop(e.port);
	e.mem.place = 1;
	assert_int_equal(e.port->ops->start(e.port, &e.mem), 0);
	for (; seg.cookie < 32; seg.cookie++) {
		seg.data = e.mem.region[1].base + seg.cookie * 2048;
		assert_int_equal(e.port->ops->rx_post(e.port, &seg, 1), 1);
	}
	raw_server_up(&r, &e, RAW_LOG2);
	fill_next(&r, &at, 5, 0x0a);
	take_in_order(&e, &due, 5, RAW_SLOTS, 0x0a);
	fill_next(&r, &at, 6, 0x1e);
	take_in_order(&e, &due, 6, 1, 0x1e);
	assert_int_equal(e.port->stats.rx_refused, 6);
	/* What lay in the ring when the link went down comes before what waited behind it. */
	for (unsigned int round = 0; round < 3; round++) {
		raw_close(&r);
		raw_server_up(&r, &e, RAW_LOG2);
		at = 0;
		fill_next(&r, &at, 7, 1u << round);
		take_in_order(&e, &due, 7, 3, 1u << round);
	}
	raw_close(&r);
	env_close(&e);
	close(r.listener);
	unlink(path);
}

/*
 * Cut-through: of a refused frame's buffers half are taken back, then the far end moves its tail back to among them.  Beyond
 * them lie two frames and the buffers that it has not filled.
 */
static void test_client_tail_back(void **state)
{
	static const uint16_t tails[] = { 17, 23, 25, 16 };
	struct p2p_seg seg = { .region = 1, .len = 2048 }, got[32];
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(tails); i++) {
		env_open(&e, client_spec, 32, 2048);
		e.port->ops->stop(e.port);
		e.mem.place = 1;
		assert_int_equal(e.port->ops->start(e.port, &e.mem), 0);
		for (seg.cookie = 0; seg.cookie < 32; seg.cookie++) {
			seg.data = e.mem.region[1].base + seg.cookie * 2048;
			assert_int_equal(e.port->ops->rx_post(e.port, &seg, 1), 1);
		}
		raw_server_up(&r, &e, 5);
		for (unsigned int k = 0; k < 26; k++)
			r.s2c->desc[k].length = 64, r.s2c->desc[k].flags = k < 23 ? MEMIF_DESC_NEXT : 0;
		memif_index_store(&r.s2c->tail, 26);
		assert_int_equal(e.port->ops->rx_burst(e.port, got, 16), 16);
		for (unsigned int k = 0; k < 16; k++)
			assert_int_equal(got[k].flags, P2P_SEG_BACK);
		memif_index_store(&r.s2c->tail, tails[i]);
		assert_int_equal(e.port->ops->rx_burst(e.port, got, 16), 0);
		assert_int_equal(errors(&e), 1);
		assert_cut(&e, &r, 0);
		env_close(&e);
	}
	close(r.listener);
	unlink(path);
}

static void test_client_random(void **state)
{
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	env_open(&e, client_spec, 32, 2048);
	for (unsigned int round = 0; round < 40; round++) {
		raw_close(&r);
		raw_server_up(&r, &e, RAW_LOG2);
		for (unsigned int k = 0; k < 200; k++) {
			r.base[raw_random((uint32_t)(r.size < 1024 ? r.size : 1024))] = (uint8_t)raw_random(256);
			if (raw_random(2))
				memif_index_store(&r.s2c->tail, (uint16_t)(r.s2c->tail + raw_random(3)));
			env_send(&e, raw_random(4), 64, 2048);
			env_receive(&e, 5);
			env_reap(&e);
		}
		raw_hung_up(&r, &e);
		e.corrupted = 0;
	}
	e.received = 0;
	client_works(&e, &r);
	raw_close(&r);
	env_close(&e);
	close(r.listener);
	unlink(path);
}

/* The far end makes of its bell one that blocks, and fills it, right before it is rung: nothing waits in it. */
static void test_bell_filled(void **state)
{
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	alarm(PATIENCE_S);
	for (unsigned int i = 0; i < FILLED; i++) {
		/* Buffers without end, and the bell is wanted for each. */
		memif_index_store(&r.s2c->head, (uint16_t)(i + RAW_SLOTS));
		r.s2c->desc[i % RAW_SLOTS].length = 2048;
		filled_arm(r.evfd[1], false);
		assert_int_equal(env_send(&e, 1, 64, 2048), 1);
		env_reap(&e);
		assert_int_equal(filled.times, i + 1);
	}
	alarm(0);
	raw_close(&r);
	env_close(&e);
}

static unsigned int fds_before;

/* After all the others: nothing they did has left a descriptor open.  Some are closed by another thread. */
static void test_no_descriptor_left(void **state)
{
	uint64_t end = env_now_ns() + 10000000000ull;

	while (open_fds() != fds_before && env_now_ns() < end)
		usleep(1000);
	assert_int_equal(open_fds(), fds_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_messages),    cmocka_unit_test(test_server_ring_places),
		cmocka_unit_test(test_server_bytes),       cmocka_unit_test(test_server_idle_clients),
		cmocka_unit_test(test_server_descriptors), cmocka_unit_test(test_server_indexes),
		cmocka_unit_test(test_server_chains),      cmocka_unit_test(test_server_memory_cut),
		cmocka_unit_test(test_server_random),      cmocka_unit_test(test_server_holds_connected),
		cmocka_unit_test(test_bell_filled),	   cmocka_unit_test(test_client_messages),
		cmocka_unit_test(test_client_rings),       cmocka_unit_test(test_client_order),
		cmocka_unit_test(test_client_tail_back),   cmocka_unit_test(test_client_random),
		cmocka_unit_test(test_no_descriptor_left),
	};
	int ret;

	snprintf(dir, sizeof(dir), "/tmp/p2pnic-hostile-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(server_spec, sizeof(server_spec), "memif:%s,role=server", path);
	snprintf(client_spec, sizeof(client_spec), "memif:%s", path);
	fds_before = open_fds();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
