/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks at the router's socket: silent, slow, many.  The test is the router's thread, and its clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/router_int.h"

#define SECOND 1000000000ull
#define MANY 16000 /* neighbours: several times what a socket holds */
#define TABLES 8  /* answers that are tables at a time */

static char dir[] = "/tmp/p2pnic-askers-XXXXXX";
static struct sock_listener listener;
static struct router router;
static uint64_t now;

/* --- a router that has neighbours --- */

static int hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	return 0;
}

static void hop_del(void *ctx, uint32_t hop) {}

static int route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	return 0;
}

static int route_del(void *ctx, const struct router_prefix *p)
{
	return 0;
}

static int setup(void **state)
{
	static const struct fib_sink sink = { hop_set, hop_del, route_set, route_del, NULL };
	const struct fib_link link = { .ifindex = 1, .mtu = 1500, .up = true, .carrier = true, .name = "n0p0" };
	const struct sock_trust nobody = { 0 };
	char err[ROUTER_ERR_MAX], path[64];
	struct fib_neigh n = { .ifindex = 1, .family = 4, .state = NUD_REACHABLE };
	char text[ROUTER_ADDR_TEXT];
	unsigned int i, family;

	router = (struct router){ .opts = { .listener = &listener } };
	now = 1000 * SECOND;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	assert_int_equal(router_listen(&listener, path, &nobody, err), 0);
	assert_int_equal(fib_create(&router.fib, &sink, NULL), 0);
	assert_int_equal(fib_port(router.fib, 1, 0, 0), 0);
	assert_int_equal(fib_link_set(router.fib, &link), 0);
	for (i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
		assert_true(router_addr_parse(text, &family, &n.addr));
		n.family = (uint8_t)family;
		assert_int_equal(fib_neigh_set(router.fib, &n), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	router_askers_end(&router);
	fib_destroy(router.fib);
	sock_close(&listener);
	assert_int_equal(rmdir(dir), 0);
	snprintf(dir, sizeof(dir), "/tmp/p2pnic-askers-XXXXXX");
	return 0;
}

/* --- its thread --- */

static void turn(void)
{
	struct pollfd p[1 + ROUTER_ASKERS];
	unsigned int n = router_askers_poll(&router, p + 1);

	assert_true(n <= ROUTER_ASKERS);
	p[0] = (struct pollfd){ .fd = now >= router.accept_ns ? listener.fd : -1, .events = POLLIN };
	assert_true(poll(p, 1 + n, 0) >= 0);
	router_askers_serve(&router, p + 1, now);
	if (p[0].revents)
		router_accept(&router, now);
}

static void turns(void)
{
	unsigned int i;

	for (i = 0; i < 50; i++)
		turn();
}

/* --- askers --- */

static int knock(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&listener.name.sa, listener.name.len), 0);
	turns();
	return fd;
}

static int ask(const char *question)
{
	int fd = knock();

	assert_int_equal(send(fd, question, strlen(question), MSG_NOSIGNAL), strlen(question));
	turns();
	return fd;
}

/* What has come so far, up to size bytes.  0: an end; -EAGAIN: nothing yet. */
static ssize_t hear(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

/* All that comes; 0, or -errno as its last word.  The lines are whole, and counted. */
static int hear_all(int fd, unsigned int *lines)
{
	static char buf[1 << 16];
	ssize_t n = 0, i;
	char last = '\n';

	*lines = 0;
	do {
		turn();
		n = hear(fd, buf, sizeof(buf));
		for (i = 0; i < n; i++)
			*lines += buf[i] == '\n';
		last = n > 0 ? buf[n - 1] : last;
	} while (n > 0 || n == -EAGAIN);
	assert_true(n < 0 || last == '\n');
	return (int)n;
}

static bool has(int fd, const char *words)
{
	char buf[256];
	ssize_t n = hear(fd, buf, sizeof(buf) - 1);

	buf[n > 0 ? n : 0] = '\0';
	return strstr(buf, words);
}

/* One that asks and gets its answer, whatever others do. */
static void served(void)
{
	int fd = ask("what?\n");

	assert_true(has(fd, "no such question"));
	close(fd);
}

static void test_whole(void **state)
{
	unsigned int lines;
	int fd;

	fd = ask("neighbours\n");
	assert_int_equal(hear_all(fd, &lines), 0);
	assert_int_equal(lines, MANY);
	close(fd);
	served();
	turns();
	assert_int_equal(router.askers, 0);
}

/* Who says nothing holds nobody up, goes after a while, and gives way when places are short. */
static void test_silent(void **state)
{
	int fd[ROUTER_ASKERS + 4], i;
	char c;

	for (i = 0; i < ROUTER_ASKERS; i++) {
		fd[i] = knock();
		now++;
	}
	served();
	assert_int_equal(hear(fd[0], &c, 1), 0); /* the oldest made room */
	for (i = 1; i < ROUTER_ASKERS; i++)
		assert_int_equal(hear(fd[i], &c, 1), -EAGAIN);
	for (i = ROUTER_ASKERS; i < ROUTER_ASKERS + 4; i++)
		fd[i] = knock();
	served();
	now += SECOND;
	turns();
	assert_int_equal(hear(fd[ROUTER_ASKERS], &c, 1), -EAGAIN);
	now += 2 * SECOND;
	turns();
	assert_int_equal(router.askers, 0);
	for (i = 0; i < ROUTER_ASKERS + 4; i++)
		close(fd[i]);
}

/* Many that ask for tables and read none: a few are answered, others told so, and small questions go on. */
static void test_many(void **state)
{
	int fd[20], i, told = 0;
	size_t bytes = 0;

	for (i = 0; i < 20; i++) {
		router.tables_ns = 0; /* as if time enough had passed since the last one */
		fd[i] = ask("neighbours\n");
	}
	for (i = 0; i < (int)router.askers; i++)
		bytes += router.asker[i].len;
	assert_int_equal(router.askers, TABLES);
	assert_in_range(bytes, TABLES * MANY * 64, TABLES * MANY * 256);
	for (i = 0; i < 20; i++)
		told += has(fd[i], "too many others");
	assert_int_equal(told, 20 - TABLES);
	served();
	for (i = 0; i < 20; i++)
		close(fd[i]);
	turns();
	assert_int_equal(router.askers, 0);
}

/* A little every nine seconds is not progress for ever; who is cut off is told so behind what came. */
static void test_slow(void **state)
{
	unsigned int lines;
	uint64_t began;
	static char buf[200000];
	ssize_t n;
	int fd;

	fd = ask("neighbours\n");
	now = began = router.asker[0].since_ns; /* putting it into words took some time, much on a busy machine */
	for (n = 1; n > 0 && router.askers;) {
		n = hear(fd, buf, sizeof(buf));
		now += 9 * SECOND;
		turns();
	}
	assert_int_equal(router.askers, 0);
	assert_in_range(now - began, 30 * SECOND, 60 * SECOND);
	assert_int_equal(hear_all(fd, &lines), -ECONNRESET);
	assert_true(lines < MANY);
	close(fd);
	/* Nothing at all. */
	router.tables_ns = 0;
	fd = ask("neighbours\n");
	assert_int_equal(router.askers, 1);
	now = router.asker[0].since_ns + 9 * SECOND;
	turns();
	assert_int_equal(router.askers, 1);
	now += 2 * SECOND;
	turns();
	assert_int_equal(router.askers, 0);
	assert_int_equal(hear_all(fd, &lines), -ECONNRESET);
	close(fd);
}

/* Putting tables into words takes a part of the thread's time, however often they are asked for. */
static void test_share(void **state)
{
	unsigned int lines;
	uint64_t took;
	int a, b, gone;
	char c;

	a = ask("neighbours\n");
	b = ask("neighbours\n");
	assert_int_equal(router.askers, 2);
	took = router.asker[0].since_ns - now;
	assert_int_equal(hear(a, &c, 1), 1);
	assert_int_equal(hear(b, &c, 1), -EAGAIN);
	assert_int_equal(router_askers_due(&router), now + 4 * took);
	served();
	/* Who leaves meanwhile is not waited for, nor worked for. */
	gone = ask("neighbours\n");
	assert_int_equal(router.askers, 3);
	close(gone);
	turns();
	assert_int_equal(router.askers, 2);
	now = router_askers_due(&router);
	turns();
	assert_int_equal(hear_all(b, &lines), 0);
	assert_int_equal(lines, MANY);
	close(a);
	close(b);
}

/* Without descriptors for a connection the listener is left alone for a moment. */
static void test_no_descriptors(void **state)
{
	struct rlimit was, none;
	int fd, next;

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	next = dup(fd);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&listener.name.sa, listener.name.len), 0);
	router_accept(&router, now);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(router.askers, 0);
	assert_true(router.accept_ns > now && router.accept_ns <= now + SECOND);
	turns();
	assert_int_equal(router.askers, 0);
	now = router.accept_ns;
	turns();
	assert_int_equal(router.askers, 1);
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole), T(test_silent), T(test_many), T(test_slow), T(test_share), T(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
