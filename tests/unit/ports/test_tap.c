/* SPDX-License-Identifier: BSD-3-Clause */
/* tap ports in a network namespace of the test's own; the far end is a packet socket on the device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ports/port.h"
#include "loop.h"

#define TYPE 0x88b5 /* local experimental: nobody but the test sends it */

static struct port *open_or_fail(const char *spec)
{
	char err[PORT_ERR_MAX];
	struct port *p = NULL;

	if (port_open(&p, spec, err))
		fail_msg("%s", err);
	return p;
}

static void refuse(const char *spec, const char *part)
{
	char err[PORT_ERR_MAX] = "";
	struct port *p = NULL;

	if (!port_open(&p, spec, err) || p || !strstr(err, part) || strchr(err, '\n'))
		fail_msg("'%s': '%s' lacks '%s'", spec, err, part);
}

static int far_end(const char *ifname)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(TYPE) };
	struct timeval tv = { .tv_sec = 5 };
	struct ifreq ifr = { 0 };
	unsigned int tries;
	int size = 8 << 20, fd = socket(AF_PACKET, SOCK_RAW, htons(TYPE));

	assert_true(fd >= 0);
	a.sll_ifindex = (int)if_nametoindex(ifname);
	assert_true(a.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* A device just set up drops what it is given until the kernel has noticed its carrier. */
	strcpy(ifr.ifr_name, ifname);
	for (tries = 0; tries < 500 && !(ifr.ifr_flags & IFF_RUNNING); tries++) {
		usleep(10000);
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	}
	assert_true(ifr.ifr_flags & IFF_RUNNING);
	return fd;
}

static void device_set(const char *ifname, bool up, int mtu)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct ifreq ifr = { 0 };

	strcpy(ifr.ifr_name, ifname);
	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &ifr), 0);
	ifr.ifr_flags = (short)(up ? ifr.ifr_flags | IFF_UP : ifr.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	if (mtu) {
		ifr.ifr_mtu = mtu;
		assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	}
	close(fd);
}

static void frame_make(uint8_t *f, uint32_t len, uint32_t k)
{
	uint32_t i;

	memcpy(f, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x88\xb5", 14);
	for (i = 14; i < len; i++)
		f[i] = (uint8_t)(i * 31 + k * 17 + (i >> 8));
}

/* Segments of the next frame of our own type; others (the kernel's own multicast) are given back. */
static unsigned int next_frame(const struct loop *l, struct port *p, struct p2p_seg *segs, uint32_t mtu)
{
	/* Room for one frame only. */
	unsigned int room = (mtu + 23 + l->mem.buf_size - 1) / l->mem.buf_size;
	struct pollfd pfd[2] = { { .events = POLLIN }, { .events = POLLIN } };
	unsigned int n, tries;
	int fds[2];
	uint32_t gen;

	for (tries = 0; tries < 1000; tries++) {
		n = p->ops->rx_burst(p, segs, room);
		if (n && segs[0].len >= 14 && segs[0].data[12] == TYPE >> 8 && segs[0].data[13] == (TYPE & 0xff))
			return n;
		loop_repost(l, p, segs, n);
		if (n)
			continue;
		assert_int_equal(p->ops->fds(p, fds, 2, &gen), 2);
		pfd[0].fd = fds[0];
		pfd[1].fd = fds[1];
		assert_true(poll(pfd, 2, 5000) >= 1);
		p->ops->control(p, 0);
	}
	fail_msg("no frame came");
	return 0;
}

static void both_ways(uint32_t buf_size)
{
	static const uint32_t sizes[] = { 60, 61, 64, 127, 590, 1514, 2047, 2048, 2049, 4096, 9014 };
	uint8_t f[9100], g[9100];
	struct p2p_seg s[P2P_MAX_SEGS];
	struct port *p;
	struct loop l;
	unsigned int i, k, n;
	int fd;

	loop_init(&l, 64, buf_size);
	p = open_or_fail("tap:p2ptest0,mtu=9000,up");
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	assert_true(p->ops->link_up(p));
	fd = far_end("p2ptest0");
	for (i = 0; i < P2P_ARRAY_SIZE(sizes); i++) {
		uint32_t at = 0;

		frame_make(f, sizes[i], i);
		assert_int_equal(send(fd, f, sizes[i], 0), sizes[i]);
		n = next_frame(&l, p, s, 9000);
		for (k = 0; k < n; k++) {
			memcpy(g + at, s[k].data, s[k].len);
			at += s[k].len;
			assert_int_equal(s[k].flags & P2P_SEG_MORE, k + 1 < n ? P2P_SEG_MORE : 0);
		}
		assert_int_equal(at, sizes[i]);
		assert_memory_equal(f, g, at);
		/* And back. */
		assert_int_equal(p->ops->tx_burst(p, s, n), n);
		assert_int_equal(p->ops->tx_done(p), n);
		memset(g, 0, sizeof(g));
		do {
			struct sockaddr_ll from;
			socklen_t flen = sizeof(from);

			n = (unsigned int)recvfrom(fd, g, sizeof(g), 0, (struct sockaddr *)&from, &flen);
			if (from.sll_pkttype == PACKET_OUTGOING)
				n = 0;
		} while (n == 0);
		assert_int_equal(n, sizes[i]);
		assert_memory_equal(f, g, n);
		n = (sizes[i] + buf_size - 1) / buf_size;
		loop_repost(&l, p, s, n);
	}
	assert_true(p->stats.tx_frames == P2P_ARRAY_SIZE(sizes) && p->stats.tx_error == 0);
	assert_true(p->stats.rx_frames >= P2P_ARRAY_SIZE(sizes) && p->stats.rx_refused == 0);
	close(fd);
	p->ops->stop(p);
	p->ops->close(p);
	assert_int_equal(if_nametoindex("p2ptest0"), 0);
	loop_free(&l);
}

static void test_both_ways(void **state)
{
	both_ways(2048);
	both_ways(9728);
	both_ways(600);
}

/* 200 frames wait in the device; bursts give them in order, as buffers allow. */
static void test_burst(void **state)
{
	struct p2p_seg s[64];
	uint8_t f[100];
	struct port *p;
	struct loop l;
	unsigned int i, n, seen = 0;
	uint32_t gen, gen2;
	int fd, got[2];

	loop_init(&l, 64, 2048);
	p = open_or_fail("tap:p2ptest0");
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	assert_int_equal(p->ops->fds(p, got, 2, &gen), 1);
	loop_post(&l, p);
	assert_int_equal(p->ops->fds(p, got, 2, &gen2), 2);
	assert_int_not_equal(gen, gen2);
	fd = far_end("p2ptest0");
	for (i = 0; i < 200; i++) {
		frame_make(f, 100, 0);
		f[20] = (uint8_t)i;
		assert_int_equal(send(fd, f, 100, 0), 100);
	}
	while (seen < 200) {
		n = p->ops->rx_burst(p, s, 64);
		assert_true(n && n <= 64);
		for (i = 0; i < n; i++) {
			if (s[i].data[12] == TYPE >> 8 && s[i].data[13] == (TYPE & 0xff)) {
				assert_int_equal(s[i].len, 100);
				assert_int_equal(s[i].data[20], (uint8_t)seen++);
			}
		}
		loop_repost(&l, p, s, n);
	}
	close(fd);
	p->ops->stop(p);
	p->ops->close(p);
	loop_free(&l);
}

static void test_link(void **state)
{
	struct p2p_seg s = { 0 };
	uint8_t f[1600];
	struct port *p;
	struct loop l;
	struct pollfd pfd = { .events = POLLIN };
	uint32_t gen;
	int fd;

	loop_init(&l, 64, 2048);
	p = open_or_fail("tap:p2ptest0");
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	loop_post(&l, p);
	frame_make(f, 1514, 1);
	s.data = f;
	s.len = 1514;
	assert_int_equal(p->ops->tx_burst(p, &s, 1), 1);
	device_set("p2ptest0", false, 0);
	/* Not noticed yet: the kernel's refusal is, and brings the link down. */
	assert_int_equal(p->ops->tx_burst(p, &s, 1), 1);
	assert_true(p->stats.tx_error == 1 && p->stats.tx_frames == 1);
	assert_false(p->ops->link_up(p));
	assert_int_equal(p->ops->tx_burst(p, &s, 1), 0);
	p->ops->control(p, 1);
	assert_int_equal(p->ops->fds(p, &pfd.fd, 1, &gen), 1);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	/* Set up again: a sleeping worker is woken, once. */
	device_set("p2ptest0", true, 0);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	p->ops->control(p, 1);
	assert_true(p->ops->link_up(p));
	assert_int_equal(p->ops->tx_burst(p, &s, 1), 1);
	/* A runt is refused for good, the next frame passes. */
	s.len = 5;
	assert_int_equal(p->ops->tx_burst(p, &s, 1), 1);
	assert_true(p->stats.tx_error == 2 && p->stats.tx_frames == 2);
	assert_int_equal(p->ops->tx_done(p), 4);

	/* A larger MTU is followed; before that a longer frame is refused, not cut. */
	device_set("p2ptest0", true, 4000);
	fd = far_end("p2ptest0");
	{
		uint8_t big[4000];
		struct p2p_seg segs[P2P_MAX_SEGS];
		unsigned int n;

		frame_make(big, 4000, 2);
		assert_int_equal(send(fd, big, 4000, 0), 4000);
		n = p->ops->rx_burst(p, segs, 16);
		loop_repost(&l, p, segs, n);
		assert_true(p->stats.rx_refused == 1);
		p->ops->control(p, 1);
		assert_int_equal(send(fd, big, 4000, 0), 4000);
		assert_int_equal(next_frame(&l, p, segs, 4000), 2);
		assert_int_equal(segs[0].len + segs[1].len, 4000);
		loop_repost(&l, p, segs, 2);
	}
	close(fd);

	/* Deleted under us: down, and it stays so without a spin. */
	if (system("ip link del p2ptest0") == 0) {
		int w[2];

		s.len = 1514;
		assert_int_equal(p->ops->tx_burst(p, &s, 1), 1);
		assert_true(p->stats.tx_lost == 1 || p->stats.tx_error == 3);
		p->ops->rx_burst(p, &s, 1);
		p->ops->control(p, 1);
		assert_false(p->ops->link_up(p));
		assert_int_equal(p->ops->fds(p, w, 2, &gen), 1);
		pfd.fd = w[0];
		assert_int_equal(poll(&pfd, 1, 0), 0);
	}
	p->ops->stop(p);
	p->ops->close(p);
	loop_free(&l);
}

static void test_refused(void **state)
{
	struct port *p = open_or_fail("tap:p2ptest0");
	struct loop l;
	pid_t pid;
	int st;

	refuse("tap:", "is no device name");
	refuse("tap:a/b", "is no device name");
	refuse("tap:tap%d", "is no device name");
	refuse("tap:sixteen-letters-", "is no device name");
	refuse("tap:x,mtu=67", "from 68");
	refuse("tap:x,up=1", "takes no value");
	refuse("tap:x,netns=", "netns= needs");
	refuse("tap:x,netns=no-such-namespace-here", "no network namespace '/run/netns/no-such-namespace-here'");
	refuse("tap:x,netns=/dev/null", "cannot enter network namespace");
	refuse("tap:x,mut=1500", "no option 'mut'");
	assert_int_equal(if_nametoindex("x"), 0);
	refuse("tap:lo", "not a single-queue tap");
	refuse("tap:p2ptest0", "in use by another program");
	loop_init(&l, 1, 1024);
	assert_int_equal(p->ops->start(p, &l.mem), -EMSGSIZE);
	loop_free(&l);
	p->ops->close(p);

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char err[PORT_ERR_MAX] = "";
		struct port *q = NULL;

		if (setuid(65534))
			_exit(2);
		_exit(port_open(&q, "tap:p2ptest1", err) == 0 || !strstr(err, access("/dev/net/tun", R_OK | W_OK) ?
			"cannot open" : "CAP_NET_ADMIN"));
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void test_netns(void **state)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there, fd;
	struct p2p_seg s[P2P_MAX_SEGS];
	char spec[128];
	uint8_t f[60];
	struct port *p;
	struct loop l;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	loop_init(&l, 64, 2048);
	snprintf(spec, sizeof(spec), "tap:p2ptest2,netns=/proc/%d/fd/%d,mtu=1400", (int)getpid(), there);
	p = open_or_fail(spec);
	/* Here there is no such device; there it is. */
	assert_int_equal(if_nametoindex("p2ptest2"), 0);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_not_equal(if_nametoindex("p2ptest2"), 0);
	fd = far_end("p2ptest2");
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(p->ops->start(p, &l.mem), 0);
	assert_true(p->ops->link_up(p));
	loop_post(&l, p);
	frame_make(f, sizeof(f), 9);
	assert_int_equal(send(fd, f, sizeof(f), 0), sizeof(f));
	assert_int_equal(next_frame(&l, p, s, 1400), 1);
	assert_memory_equal(s[0].data, f, sizeof(f));
	close(fd);
	close(there);
	close(home);
	p->ops->stop(p);
	p->ops->close(p);
	loop_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways), cmocka_unit_test(test_burst), cmocka_unit_test(test_link),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_netns),
	};

	if (unshare(CLONE_NEWNET)) {
		printf("skipped: no right to make a network namespace (%s)\n", strerror(errno));
		return 77;
	}
	if (access("/dev/net/tun", R_OK | W_OK)) {
		printf("skipped: no /dev/net/tun (%s)\n", strerror(errno));
		return 77;
	}
	return cmocka_run_group_tests_name("ports_tap", tests, NULL, NULL);
}
