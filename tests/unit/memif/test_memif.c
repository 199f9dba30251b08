/* SPDX-License-Identifier: BSD-3-Clause */
/* A memif client against a memif server of ours: frames, links, restarts, wake-ups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"
#include "tests/open_fds.h"

#define PATIENCE_NS 10000000000ull

static char dir[64];

static const char *spec(const char *options)
{
	static char text[4][256];
	static unsigned int n;
	char *s = text[n++ & 3];

	snprintf(s, sizeof(text[0]), "memif:%s/s%s", dir, options);
	return s;
}

static void run(struct env *a, struct env *b, bool (*until)(struct env *, struct env *))
{
	uint64_t end = env_now_ns() + PATIENCE_NS;

	while (!until(a, b)) {
		env_control(a);
		if (b)
			env_control(b);
		assert_true(env_now_ns() < end);
	}
}

static bool up(struct env *a, struct env *b)
{
	return a->port->ops->link_up(a->port) && (!b || b->port->ops->link_up(b->port));
}

static bool down(struct env *a, struct env *b)
{
	return !a->port->ops->link_up(a->port) && (!b || !b->port->ops->link_up(b->port));
}

/* n frames each way, checked; len bytes in segments of at most seg. */
static void exchange(struct env *a, struct env *b, uint64_t n, uint32_t len, uint32_t seg)
{
	uint64_t end = env_now_ns() + PATIENCE_NS;

	a->sent = b->sent = a->received = b->received = 0;
	while (a->received < n || b->received < n) {
		if (a->sent < n)
			env_send(a, (unsigned int)(n - a->sent < 7 ? n - a->sent : 7), len, seg);
		if (b->sent < n)
			env_send(b, (unsigned int)(n - b->sent < 5 ? n - b->sent : 5), len, seg);
		env_receive(a, b->seed);
		env_receive(b, a->seed);
		env_reap(a);
		env_reap(b);
		if (!(a->received & 63)) {
			env_control(a);
			env_control(b);
		}
		assert_true(env_now_ns() < end);
	}
	while (a->tx_tail != a->tx_head || b->tx_tail != b->tx_head) {
		env_reap(a);
		env_reap(b);
		assert_true(env_now_ns() < end);
	}
	assert_int_equal(a->received, n);
	assert_int_equal(b->received, n);
	assert_int_equal(a->lost + a->reordered + a->corrupted + b->lost + b->reordered + b->corrupted, 0);
	assert_int_equal(a->port->stats.peer_errors + b->port->stats.peer_errors, 0);
}

static void pair(struct env *server, struct env *client, const char *so, const char *co, uint32_t bufs, uint32_t stride)
{
	env_open(server, spec(so), bufs, stride);
	env_open(client, spec(co), bufs, stride);
	server->seed = 2;
	run(server, client, up);
}

static void test_frames(void **state)
{
	static const uint32_t sizes[] = { 22, 60, 63, 64, 65, 127, 128, 129, 1514, 1518, 2048 };
	struct env s, c;
	uint64_t frames = 0, bytes = 0;

	pair(&s, &c, ",role=server", "", 512, 2048);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(sizes); i++) {
		exchange(&s, &c, 3000, sizes[i], 2048);
		frames += 3000;
		bytes += 3000ull * sizes[i];
	}
	assert_int_equal(s.port->stats.rx_frames, frames);
	assert_int_equal(s.port->stats.rx_bytes, bytes);
	assert_int_equal(s.port->stats.tx_frames, frames);
	assert_int_equal(s.port->stats.tx_bytes, bytes);
	assert_int_equal(c.port->stats.rx_frames, frames);
	assert_int_equal(c.port->stats.rx_bytes, bytes);
	assert_int_equal(c.port->stats.tx_frames, frames);
	assert_int_equal(c.port->stats.tx_bytes, bytes);
	assert_int_equal(s.port->stats.copies, 2 * frames);
	assert_int_equal(c.port->stats.copies, 0);
	assert_int_equal(c.port->stats.link_changes, 1);
	env_close(&c);
	env_close(&s);
}

static void test_chains(void **state)
{
	struct env s, c;

	pair(&s, &c, ",role=server", "", 256, 512);
	exchange(&s, &c, 500, 513, 512);
	exchange(&s, &c, 500, 1500, 512);
	exchange(&s, &c, 500, 9 * 512 + 1, 512);
	exchange(&s, &c, 500, P2P_MAX_SEGS * 512, 512);
	exchange(&s, &c, 500, 1500, 100); /* lent in smaller pieces than the buffers at the other end */
	env_close(&c);
	env_close(&s);
}

static void test_tiny_rings_wrap(void **state)
{
	struct env s, c;

	pair(&s, &c, ",role=server", ",rings=4", 64, 256);
	exchange(&s, &c, 40000, 64, 256);
	exchange(&s, &c, 2000, 1000, 256);
	env_close(&c);
	env_close(&s);
}

static void test_few_buffers(void **state)
{
	struct env s, c;

	pair(&s, &c, ",role=server", ",rings=1024,queues=4", 8, 2048);
	exchange(&s, &c, 5000, 64, 2048);
	env_close(&c);
	env_close(&s);
}

static void test_queues(void **state)
{
	struct env s, c;
	uint64_t end = env_now_ns() + PATIENCE_NS;
	uint32_t next[2][16] = { 0 }, got[2] = { 0 }, sent[2] = { 0 };

	/* The server takes fewer than the client asks for. */
	pair(&s, &c, ",role=server,queues=3", ",queues=5,rings=64", 256, 256);
	while (got[0] < 20000 || got[1] < 20000) {
		for (unsigned int dir_ = 0; dir_ < 2; dir_++) {
			struct env *from = dir_ ? &s : &c, *to = dir_ ? &c : &s;
			struct p2p_seg seg = { .len = 60, .region = 1 }, in[8];
			unsigned int n;

			if (sent[dir_] < 20000 && from->tx_head - from->tx_tail < from->bufs) {
				seg.data = from->mem.region[1].base + (from->tx_head % from->bufs) * 256;
				memset(seg.data, 0, 60);
				seg.data[5] = (uint8_t)(sent[dir_] % 16); /* the flow */
				seg.data[12] = 0x88;
				memcpy(seg.data + 20, &(uint32_t){ sent[dir_] / 16 }, 4);
				n = from->port->ops->tx_burst(from->port, &seg, 1);
				from->tx_head += n;
				sent[dir_] += n;
			}
			env_reap(from);
			n = to->port->ops->rx_burst(to->port, in, 8);
			for (unsigned int i = 0; i < n; i++) {
				uint32_t seq;

				memcpy(&seq, in[i].data + 20, 4);
				assert_int_equal(seq, next[dir_][in[i].data[5]]);
				next[dir_][in[i].data[5]]++;
				in[i].len = 256;
			}
			assert_int_equal(to->port->ops->rx_post(to->port, in, n), n);
			got[dir_] += n;
		}
		assert_true(env_now_ns() < end);
	}
	env_reap(&c);
	assert_int_equal(c.tx_head, c.tx_tail);
	env_close(&c);
	env_close(&s);
}

static void test_two_ids_one_path(void **state)
{
	struct env s0, s1, c0, c1;
	struct port *p;
	char err[PORT_ERR_MAX];

	env_open(&s0, spec(",role=server,id=0"), 64, 2048);
	env_open(&s1, spec(",role=server,id=7"), 64, 2048);
	assert_int_equal(env_port_open(&p, spec(",role=server,id=7"), err), -EEXIST);
	env_open(&c1, spec(",id=7"), 64, 2048);
	env_open(&c0, spec(""), 64, 2048);
	s0.seed = 10;
	s1.seed = 11;
	c0.seed = 12;
	c1.seed = 13;
	run(&s0, &c1, down);
	for (uint64_t end = env_now_ns() + PATIENCE_NS; !up(&s0, &c0) || !up(&s1, &c1);) {
		env_control(&c1);
		env_control(&c0);
		env_control(&s1); /* may accept s0's client */
		env_control(&s0);
		assert_true(env_now_ns() < end);
	}
	exchange(&s0, &c0, 1000, 64, 2048);
	exchange(&s1, &c1, 1000, 64, 2048);
	env_close(&s0);
	exchange(&s1, &c1, 1000, 64, 2048);
	env_close(&s1);
	env_close(&c0);
	env_close(&c1);
}

static void test_client_restarts(void **state)
{
	struct env s, c;

	pair(&s, &c, ",role=server", "", 64, 2048);
	for (unsigned int i = 0; i < 5; i++) {
		exchange(&s, &c, 200, 64, 2048);
		env_close(&c);
		run(&s, NULL, down);
		s.tx_tail = s.tx_head;
		env_open(&c, spec(""), 64, 2048);
		run(&s, &c, up);
	}
	exchange(&s, &c, 200, 64, 2048);
	assert_int_equal(s.port->stats.link_changes, 11);
	env_close(&c);
	env_close(&s);
}

/* What was posted stays posted, what was under way is lost, counted and reported done. */
static void test_server_restarts(void **state)
{
	struct env s, c;
	uint64_t lost = 0;

	pair(&s, &c, ",role=server", ",rings=32", 64, 2048);
	for (unsigned int i = 0; i < 5; i++) {
		exchange(&s, &c, 200, 64, 2048);
		assert_int_equal(env_send(&c, 3, 64, 2048), 3);
		assert_int_equal(env_send(&c, 2, 4000, 2048), 2);
		env_close(&s);
		run(&c, NULL, down);
		lost += 5;
		run(&c, NULL, down);
		for (uint64_t end = env_now_ns() + PATIENCE_NS; c.tx_tail != c.tx_head;) {
			env_control(&c);
			env_reap(&c);
			assert_true(env_now_ns() < end);
		}
		assert_int_equal(c.port->stats.tx_lost, lost);
		assert_int_equal(env_send(&c, 1, 64, 2048), 0);
		env_open(&s, spec(",role=server"), 64, 2048);
		s.seed = 2;
		run(&s, &c, up);
	}
	exchange(&s, &c, 200, 64, 2048);
	assert_int_equal(c.port->stats.tx_frames, 6 * 200);
	env_close(&c);
	env_close(&s);
}

/* The board may stop a port and start it again; its far end sees the link go and come. */
static void test_stop_and_start(void **state)
{
	struct env s, c;
	struct p2p_seg seg = { 0 };

	pair(&s, &c, ",role=server", "", 64, 2048);
	for (unsigned int round = 0; round < 4; round++) {
		struct env *e = round & 1 ? &s : &c;

		e->port->ops->stop(e->port);
		assert_false(e->port->ops->link_up(e->port));
		run(e == &s ? &c : &s, NULL, down);
		s.tx_tail = s.tx_head;
		c.tx_tail = c.tx_head;
		assert_int_equal(e->port->ops->start(e->port, &e->mem), 0);
		for (uint32_t i = 0; i < e->bufs; i++) {
			seg.data = e->mem.region[0].base + i * e->stride;
			seg.len = e->stride;
			assert_int_equal(e->port->ops->rx_post(e->port, &seg, 1), 1);
		}
		assert_int_equal(e->port->ops->rx_post(e->port, &seg, 1), 0);
		run(&s, &c, up);
		exchange(&s, &c, 300, 64, 2048);
	}
	env_close(&c);
	env_close(&s);
}

/* Frames in the ring when their sender goes in good order, or is killed, are still delivered. */
static void test_last_frames_arrive(void **state)
{
	for (unsigned int role = 0; role < 2; role++) {
		struct env here;
		pid_t pid;
		int status;
		uint64_t end = env_now_ns() + PATIENCE_NS;

		env_open(&here, spec(role ? "" : ",role=server"), 64, 2048);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct env there;

			env_open(&there, spec(role ? ",role=server" : ""), 64, 2048);
			there.seed = 9;
			while (!there.port->ops->link_up(there.port))
				env_control(&there);
			usleep(300000); /* the far end's buffers are there by now */
			while (there.sent < 20)
				env_send(&there, (unsigned int)(20 - there.sent), 64, 2048);
			kill(getpid(), SIGKILL);
		}
		while (!up(&here, NULL)) {
			env_control(&here);
			assert_true(env_now_ns() < end);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		run(&here, NULL, down);
		while (here.received < 20) {
			env_receive(&here, 9);
			env_control(&here);
			assert_true(env_now_ns() < end);
		}
		assert_int_equal(here.corrupted + here.lost, 0);
		env_close(&here);
	}
}

static void stays_down(struct env *s, struct env *c)
{
	uint64_t end = env_now_ns() + 350000000u;

	while (env_now_ns() < end) {
		env_control(s);
		env_control(c);
		assert_false(s->port->ops->link_up(s->port));
		assert_false(c->port->ops->link_up(c->port));
	}
}

static void mismatch(const char *so, const char *co, bool works)
{
	struct env s, c;

	env_open(&s, spec(so), 64, 2048);
	env_open(&c, spec(co), 64, 2048);
	s.seed = 2;
	if (works) {
		run(&s, &c, up);
		exchange(&s, &c, 100, 64, 2048);
	} else {
		stays_down(&s, &c);
	}
	env_close(&c);
	env_close(&s);
}

static void test_secret_and_id(void **state)
{
	mismatch(",role=server,secret=abc", ",secret=abc", true);
	mismatch(",role=server,secret=123456789012345678901234", ",secret=123456789012345678901234", true);
	mismatch(",role=server,secret=abc", ",secret=abd", false);
	mismatch(",role=server,secret=abc", ",secret=ab", false);
	mismatch(",role=server,secret=abc", "", false);
	mismatch(",role=server,id=1", ",id=2", false);
	mismatch(",role=server,id=4294967295", ",id=4294967295", true);
}

/* A third wants what two have: refused, and the two notice nothing. */
static void test_already_connected(void **state)
{
	struct env s, c, third;
	uint64_t end;

	pair(&s, &c, ",role=server", "", 64, 2048);
	env_open(&third, spec(""), 64, 2048);
	for (end = env_now_ns() + 350000000u; env_now_ns() < end;) {
		env_control(&third);
		env_control(&s);
		assert_true(up(&s, &c));
		assert_false(third.port->ops->link_up(third.port));
	}
	exchange(&s, &c, 300, 64, 2048);
	env_close(&c);
	s.tx_tail = s.tx_head;
	run(&s, &third, up);
	env_close(&third);
	env_close(&s);
}

static bool readable(struct env *e, int timeout_ms)
{
	struct pollfd pfd = { .events = POLLIN };
	uint32_t gen;

	assert_int_equal(e->port->ops->fds(e->port, &pfd.fd, 1, &gen), 1);
	return poll(&pfd, 1, timeout_ms) == 1;
}

/* Who armed is woken by the first frame; who did not is left alone. */
static void test_wake_up(void **state)
{
	struct env e[2];

	pair(&e[0], &e[1], ",role=server", "", 64, 2048);
	for (unsigned int i = 0; i < 400; i++) {
		struct env *from = &e[i & 1], *to = &e[!(i & 1)];
		bool sleeping = i & 2;

		env_control(to);
		while (readable(to, 0))
			env_control(to);
		if (sleeping)
			to->port->ops->arm(to->port, true);
		assert_int_equal(env_receive(to, from->seed), 0);
		assert_int_equal(env_send(from, 1, 64, 2048), 1);
		assert_int_equal(readable(to, sleeping ? 5000 : 0), sleeping);
		to->port->ops->arm(to->port, false);
		assert_int_equal(env_receive(to, from->seed), 1);
		env_reap(from);
	}
	assert_int_equal(e[0].lost + e[1].lost + e[0].corrupted + e[1].corrupted, 0);
	/* Finished sends have no wake-up: the port asks to be looked at while there are any. */
	assert_true(e[1].port->ops->next_event(e[1].port, 1000) == UINT64_MAX);
	assert_int_equal(env_send(&e[1], 1, 64, 2048), 1);
	assert_true(e[1].port->ops->next_event(e[1].port, 1000) < 1000 + 1000000);
	env_close(&e[1]);
	env_close(&e[0]);
}

/* A sleeping client connects by its own timer, a sleeping server by the socket. */
static void test_wake_up_to_connect(void **state)
{
	struct env s, c;
	uint64_t end = env_now_ns() + PATIENCE_NS;

	env_open(&c, spec(""), 64, 2048);
	env_control(&c);
	env_control(&c);
	env_open(&s, spec(",role=server"), 64, 2048);
	while (!up(&s, &c)) {
		if (readable(&c, 20))
			env_control(&c);
		if (readable(&s, 20))
			env_control(&s);
		assert_true(env_now_ns() < end);
	}
	env_close(&c);
	env_close(&s);
}

#define PINGS 20000

struct player {
	struct env *e;
	uint32_t seed; /* of the other one's frames */
	bool first;
	bool starved; /* slept through a frame */
};

/* One frame goes to and fro between two threads that sleep as soon as they have nothing: a wake-up lost is the end. */
static void *play(void *arg)
{
	struct player *pl = arg;
	struct env *e = pl->e;
	struct pollfd pfd = { .events = POLLIN };
	uint32_t gen;

	e->port->ops->fds(e->port, &pfd.fd, 1, &gen);
	if (pl->first)
		env_send(e, 1, 64, 2048);
	while (e->received < PINGS) {
		unsigned int n = env_receive(e, pl->seed);

		if (!n) {
			e->port->ops->arm(e->port, true);
			n = env_receive(e, pl->seed);
			if (!n && poll(&pfd, 1, 10000) != 1) {
				pl->starved = true;
				break;
			}
			env_control(e);
			e->port->ops->arm(e->port, false);
		}
		env_reap(e);
		while (n && e->sent < e->received + pl->first && e->sent < PINGS)
			env_send(e, 1, 64, 2048);
	}
	return NULL;
}

static void test_no_wake_up_lost(void **state)
{
	struct env s, c;
	struct player a = { &s, 1, true, false }, b = { &c, 2, false, false };
	pthread_t t;

	pair(&s, &c, ",role=server", "", 64, 2048);
	assert_int_equal(pthread_create(&t, NULL, play, &a), 0);
	play(&b);
	pthread_join(t, NULL);
	assert_false(a.starved || b.starved);
	assert_int_equal(s.received, PINGS);
	assert_int_equal(c.received, PINGS);
	assert_int_equal(s.corrupted + s.lost + c.corrupted + c.lost, 0);
	env_close(&c);
	env_close(&s);
}

static void test_spec_errors(void **state)
{
	static const char *const bad[] = {
		",role=master", ",id=-1", ",id=4294967296", ",rings=1000", ",rings=1", ",rings=32768", ",queues=0",
		",queues=17", ",secret=", ",secret=1234567890123456789012345", ",role=server,rings=64",
	};
	char err[PORT_ERR_MAX], text[300];
	struct port *p = NULL;

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(bad); i++) {
		err[0] = '\0';
		assert_int_equal(env_port_open(&p, spec(bad[i]), err), -EINVAL);
		assert_true(strlen(err) > 10 && !strchr(err, '\n'));
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "memif:", 6);
	text[6 + 108] = '\0';
	assert_int_equal(env_port_open(&p, text, err), -EINVAL);
	assert_int_equal(env_port_open(&p, "memif:", err), -EINVAL);
	assert_int_equal(env_port_open(&p, "memif:@", err), -EINVAL);
	assert_int_equal(env_port_open(&p, "memif:/nonexistent/dir/s,role=server", err), -ENOENT);
	assert_null(p);
}

static void test_socket_file(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct port *p;
	struct env e;
	char err[PORT_ERR_MAX];
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	FILE *f;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", dir);
	/* A live listener is left alone. */
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(env_port_open(&p, spec(",role=server"), err), -EADDRINUSE);
	close(fd);
	/* A dead one is replaced; the file goes with the port. */
	env_open(&e, spec(",role=server"), 8, 2048);
	env_close(&e);
	assert_int_not_equal(stat(un.sun_path, &st), 0);
	/* What is no socket is left alone. */
	f = fopen(un.sun_path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(env_port_open(&p, spec(",role=server"), err), -EEXIST);
	assert_int_equal(stat(un.sun_path, &st), 0);
	unlink(un.sun_path);
}

static void test_abstract(void **state)
{
	struct env s, c;
	char text[64];

	snprintf(text, sizeof(text), "memif:@p2pnic-test-%d,role=server", getpid());
	env_open(&s, text, 64, 2048);
	*strchr(text, ',') = '\0';
	env_open(&c, text, 64, 2048);
	s.seed = 2;
	run(&s, &c, up);
	exchange(&s, &c, 100, 64, 2048);
	env_close(&c);
	env_close(&s);
}

static unsigned int fds_before;

/* After all the others: nothing they did has left a descriptor open. */
static void test_no_descriptor_left(void **state)
{
	assert_int_equal(open_fds(), fds_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),           cmocka_unit_test(test_chains),
		cmocka_unit_test(test_tiny_rings_wrap),  cmocka_unit_test(test_few_buffers),
		cmocka_unit_test(test_queues),           cmocka_unit_test(test_two_ids_one_path),
		cmocka_unit_test(test_client_restarts),  cmocka_unit_test(test_server_restarts),
		cmocka_unit_test(test_stop_and_start),   cmocka_unit_test(test_last_frames_arrive),
		cmocka_unit_test(test_secret_and_id),    cmocka_unit_test(test_already_connected),
		cmocka_unit_test(test_wake_up),          cmocka_unit_test(test_wake_up_to_connect),
		cmocka_unit_test(test_no_wake_up_lost),
		cmocka_unit_test(test_spec_errors),      cmocka_unit_test(test_socket_file),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_no_descriptor_left),
	};
	int ret;

	snprintf(dir, sizeof(dir), "/tmp/p2pnic-memif-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	fds_before = open_fds();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
