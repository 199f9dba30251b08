/* SPDX-License-Identifier: BSD-3-Clause */
/* Far ends that would have the worker spin, walk or wait: bells kept, chains without an end, crowds at the door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ports/memif_int.h"
#include "raw.h"

static char dir[64], path[80], server_spec[128], client_spec[128];

static int watched(const struct env *e)
{
	uint32_t gen;
	int fd;

	assert_int_equal(e->port->ops->fds(e->port, &fd, 1, &gen), 1);
	return fd;
}

/* How many eventfds of rings the worker is woken by. */
static unsigned int bells(const struct env *e)
{
	char name[64], line[256];
	unsigned int n = 0;
	unsigned long long tag;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", watched(e));
	f = fopen(name, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += sscanf(line, "tfd: %*d events: %*x data: %llx", &tag) == 1 && tag >= MEMIF_EV_QUEUE;
	fclose(f);
	return n;
}

static bool woken(const struct env *e)
{
	struct pollfd pfd = { .fd = watched(e), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void until_down(struct env *e)
{
	for (uint64_t end = env_now_ns() + 10000000000ull; e->port->ops->link_up(e->port);) {
		env_control(e);
		assert_true(env_now_ns() < end);
	}
}

/* ---- bells ---- */

/* As raw_client_up(), with these eventfds and a larger ring C2S behind the other. */
static void client_up(struct raw *r, struct env *e, const int evfd[2], unsigned int c2s_log2, size_t size)
{
	struct memif_msg ring[2] = { raw_ring(true, 0), raw_ring(false, 0) };

	*r = (struct raw){ .listener = -1, .sock = -1, .memfd = -1, .evfd = { -1, -1 }, .size = size };
	r->memfd = memfd_create("stall", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(r->memfd, (off_t)size), 0);
	assert_int_equal(fcntl(r->memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	r->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	assert_true(r->base != MAP_FAILED);
	r->s2c = (struct memif_ring *)r->base;
	r->c2s = (struct memif_ring *)(r->base + 4096);
	r->c2s->cookie = r->s2c->cookie = MEMIF_COOKIE;
	ring[0].add_ring.offset = 4096;
	ring[0].add_ring.log2_size = (uint8_t)c2s_log2;
	ring[1].add_ring.offset = 0;
	raw_client_shake(r, e, path, ring, evfd);
}

/* A client that goes, keeps its eventfds, rings them, and comes with the same ones. */
static void test_server_bells_kept(void **state)
{
	uint64_t one = 1;
	struct raw r;
	struct env e;
	int evfd[2];

	env_open(&e, server_spec, 32, 2048);
	raw_client_memory(&r, F_SEAL_SHRINK);
	memcpy(evfd, r.evfd, sizeof(evfd));
	r.evfd[0] = r.evfd[1] = -1;
	r.sock = -1;
	raw_close(&r);
	for (unsigned int i = 0; i < 4; i++) {
		client_up(&r, &e, evfd, RAW_LOG2, RAW_BYTES);
		assert_int_equal(bells(&e), 1);
		raw_close(&r);
		until_down(&e);
		for (unsigned int k = 0; k < 2; k++)
			assert_int_equal(write(evfd[k], &one, sizeof(one)), sizeof(one));
		/* What the link's end itself left to be done, then nothing. */
		for (unsigned int k = 0; k < 4; k++)
			env_control(&e);
		assert_false(woken(&e));
		assert_int_equal(bells(&e), 0);
	}
	assert_int_equal(e.port->stats.peer_errors, 0);
	env_close(&e);
	close(evfd[0]);
	close(evfd[1]);
}

/* A server that keeps the eventfds that the client has made for it. */
static void test_client_bells_kept(void **state)
{
	struct env e;
	struct raw r;

	raw_server_listen(&r, path);
	env_open(&e, client_spec, 32, 2048);
	for (unsigned int i = 0; i < 4; i++) {
		raw_server_up(&r, &e, RAW_LOG2);
		assert_true(r.evfd[0] >= 0 && r.evfd[1] >= 0);
		assert_int_equal(bells(&e), 1);
		close(r.sock);
		r.sock = -1;
		until_down(&e);
		assert_int_equal(bells(&e), 0);
		raw_close(&r);
	}
	env_close(&e);
	close(r.listener);
	unlink(path);
}

/* ---- chains ---- */

#define BIG_LOG2 12
#define BIG_BYTES 131072u
#define BIG_BUF (BIG_BYTES - 4096)
#define FRAME_DESCS 1024u

static void big_up(struct raw *r, struct env *e)
{
	static const struct memif_desc part = { .flags = MEMIF_DESC_NEXT, .offset = BIG_BUF };
	int evfd[2];

	raw_client_memory(r, F_SEAL_SHRINK);
	memcpy(evfd, r->evfd, sizeof(evfd));
	r->evfd[0] = r->evfd[1] = r->sock = -1;
	raw_close(r);
	client_up(r, e, evfd, BIG_LOG2, BIG_BYTES);
	memcpy(r->evfd, evfd, sizeof(evfd));
	for (unsigned int i = 0; i < 1u << BIG_LOG2; i++)
		r->c2s->desc[i] = part;
}

/* A chain whose end has not come is looked at when there is more of it, and only so many descriptors of it. */
static void test_server_endless(void **state)
{
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	big_up(&r, &e);
	r.c2s->desc[0].length = 64;
	env_fill(r.base + BIG_BUF, 64, 5, 0);
	memif_index_store(&r.c2s->head, 8);
	assert_int_equal(env_receive(&e, 5), 0);
	/* The server's by now: changed all the same, to see that it is not looked at again. */
	r.c2s->desc[7].flags = 0;
	assert_int_equal(env_receive(&e, 5), 0);
	memif_index_store(&r.c2s->head, 9);
	assert_int_equal(env_receive(&e, 5), 1);
	assert_int_equal(memif_index_load(&r.c2s->tail), 8);
	/* Slot 8 begins the next: as many as may be. */
	r.c2s->desc[8].length = 64;
	env_fill(r.base + BIG_BUF, 64, 5, 1);
	memif_index_store(&r.c2s->head, (uint16_t)(8 + FRAME_DESCS - 1));
	assert_int_equal(env_receive(&e, 5), 0);
	assert_int_equal(e.port->stats.peer_errors, 0);
	r.c2s->desc[8 + FRAME_DESCS - 1].flags = 0;
	memif_index_store(&r.c2s->head, (uint16_t)(8 + FRAME_DESCS));
	assert_int_equal(env_receive(&e, 5), 1);
	assert_int_equal(e.port->stats.peer_errors, 0);
	assert_int_equal(e.corrupted, 0);
	/* One too many, though its end is there: a violation. */
	r.c2s->desc[8 + 2 * FRAME_DESCS].flags = 0;
	memif_index_store(&r.c2s->head, (uint16_t)(8 + 2 * FRAME_DESCS + 1));
	assert_int_equal(env_receive(&e, 5), 0);
	assert_int_equal(e.port->stats.peer_errors, 1);
	assert_true(raw_hung_up(&r, &e));
	raw_close(&r);
	env_close(&e);
}

/* A ring full of frames of nothing is not all gone through in one burst. */
static void test_server_empties(void **state)
{
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	big_up(&r, &e);
	for (unsigned int i = 0; i < 1u << BIG_LOG2; i++)
		r.c2s->desc[i].flags = 0;
	r.c2s->desc[3000].length = 64;
	env_fill(r.base + BIG_BUF, 64, 5, 0);
	memif_index_store(&r.c2s->head, 1u << BIG_LOG2);
	for (unsigned int i = 1; i <= 4; i++) {
		assert_int_equal(env_receive(&e, 5), i == 3);
		assert_int_equal(memif_index_load(&r.c2s->tail), i * FRAME_DESCS);
	}
	assert_int_equal(e.port->stats.rx_refused, 4 * FRAME_DESCS - 1);
	assert_int_equal(e.corrupted, 0);
	assert_int_equal(e.port->stats.peer_errors, 0);
	raw_close(&r);
	env_close(&e);
}

/* ---- the door ---- */

#define AT_ONCE 16 /* clients that one look at the listener takes */

static int knock(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (!connect(fd, (struct sockaddr *)&un, sizeof(un)))
		return fd;
	assert_int_equal(errno, EAGAIN); /* as many as wait to be accepted */
	close(fd);
	return -1;
}

static bool answered(int fd)
{
	struct memif_msg msg;

	return recv(fd, &msg, sizeof(msg), MSG_DONTWAIT) > 0;
}

static void test_server_crowd(void **state)
{
	unsigned int n = 0, got = 0;
	struct env e;
	int fd[64];

	env_open(&e, server_spec, 32, 2048);
	env_control(&e);
	while ((fd[n] = knock()) >= 0)
		n++;
	assert_true(n > AT_ONCE && n < P2P_ARRAY_SIZE(fd));
	env_control(&e);
	for (unsigned int i = 0; i < n; i++)
		got += answered(fd[i]);
	assert_int_equal(got, AT_ONCE);
	assert_true(woken(&e)); /* for the rest */
	env_control(&e);
	for (unsigned int i = AT_ONCE; i < n; i++)
		assert_true(answered(fd[i]));
	for (unsigned int i = 0; i < n; i++)
		close(fd[i]);
	env_close(&e);
}

/* No descriptor is left for who comes: the worker sleeps until it looks again, and the client waits. */
static void test_server_no_descriptors(void **state)
{
	struct rlimit limit, none;
	struct env e[2];
	char second[140];
	uint64_t end;
	int fd[2];

	snprintf(second, sizeof(second), "%s,id=1", server_spec);
	env_open(&e[0], server_spec, 32, 2048);
	env_open(&e[1], second, 32, 2048);
	for (unsigned int i = 0; i < 2; i++)
		env_control(&e[i]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned int round = 0; round < 2; round++) {
		fd[round] = knock();
		assert_true(fd[round] >= 0 && woken(&e[0]) && woken(&e[1]));
		none = (struct rlimit){ .rlim_cur = 3, .rlim_max = limit.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
		e[0].port->ops->control(e[0].port, env_now_ns());
		assert_false(woken(&e[1]));
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_false(answered(fd[round]));
		if (round) /* a port that goes does not leave the door shut to the other */
			e[0].port->ops->stop(e[0].port);
		for (end = env_now_ns() + 10000000000ull; !answered(fd[round]); assert_true(env_now_ns() < end))
			for (unsigned int i = round; i < 2; i++)
				env_control(&e[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		close(fd[i]);
		env_close(&e[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_bells_kept), cmocka_unit_test(test_client_bells_kept),
		cmocka_unit_test(test_server_endless),    cmocka_unit_test(test_server_empties),
		cmocka_unit_test(test_server_crowd),      cmocka_unit_test(test_server_no_descriptors),
	};
	int ret;

	snprintf(dir, sizeof(dir), "/tmp/p2pnic-stall-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(server_spec, sizeof(server_spec), "memif:%s,role=server", path);
	snprintf(client_spec, sizeof(client_spec), "memif:%s", path);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
