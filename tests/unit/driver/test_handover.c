/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors from process to process, and what is refused of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/handover.h"
#include "driver/vfio_priv.h"

static int object(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text) + 1), (ssize_t)strlen(text) + 1);
	return fd;
}

static void holds(int fd, const char *text)
{
	char got[32] = "";

	assert_true(pread(fd, got, sizeof(got) - 1, 0) > 0);
	assert_string_equal(got, text);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_socket(void **state)
{
	struct vfio_fd out[VFIO_MAX_FDS], in[2] = { { object("one"), "p2pnic-state" }, { object("two"), "p2pnic-nic-0000_03_00.0" } };
	unsigned int n = 99;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(handover_send(pair[0], in, 2), 0);
	assert_int_equal(handover_recv(pair[1], out, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(out[0].name, "p2pnic-state");
	holds(out[0].fd, "one");
	assert_string_equal(out[1].name, "p2pnic-nic-0000_03_00.0");
	holds(out[1].fd, "two");
	assert_int_equal(fcntl(out[1].fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(handover_ok_send(pair[1]), 0);
	assert_int_equal(handover_ok_recv(pair[0]), 0);
	close(pair[1]);
	assert_int_equal(handover_ok_recv(pair[0]), -ECONNRESET);
	close(pair[0]);
	for (n = 0; n < 2; n++) {
		close(in[n].fd);
		close(out[n].fd);
	}
}

/* What ends early, has no descriptor or a name without end is refused, and nothing stays open. */
static void test_socket_refuses(void **state)
{
	struct vfio_fd out[VFIO_MAX_FDS], in = { object("one"), "p2pnic-state" };
	int pair[2], lowest;
	unsigned int n;

	for (unsigned int how = 0; how < 4; how++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		lowest = dup(0);
		close(lowest);
		if (how < 2)
			assert_int_equal(handover_send(pair[0], &in, 1), 0);
		if (how == 1)
			assert_int_equal(handover_recv(pair[1], out, &n), 0); /* one whole list; then: */
		if (how == 2)
			assert_int_equal(send(pair[0], "name", 5, 0), 5);
		if (how == 3)
			assert_int_equal(send(pair[0], "without end", 11, 0), 11);
		close(pair[0]);
		if (how == 1)
			close(out[0].fd);
		assert_int_equal(handover_recv(pair[1], out, &n), how == 0 ? 0 : how == 1 ? -ECONNRESET : -EPROTO);
		if (how == 0)
			close(out[0].fd);
		else
			assert_int_equal(n, 0);
		assert_false(is_open(lowest));
		close(pair[1]);
	}
	close(in.fd);
}

static void send_with(int sock, const char *text, int fd, unsigned int n)
{
	union {
		char raw[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) + 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.raw, .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	unsigned int i;

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(h) + i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(sock, &m, 0), (ssize_t)iov.iov_len);
}

/* More descriptors than belong to a message: refused, and none stays open. */
static void test_descriptors(void **state)
{
	struct vfio_fd out[VFIO_MAX_FDS];
	int pair[2], lowest, one = object("one");
	unsigned int n, i;

	for (i = 0; i < 6; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		lowest = dup(0);
		close(lowest);
		send_with(pair[0], i < 3 ? "ok" : i < 5 ? "p2pnic-state" : "", one, i < 3 ? i + 1 : i < 5 ? i - 1 : 1);
		if (i < 3)
			assert_int_equal(handover_ok_recv(pair[1]), -EPROTO);
		else
			assert_int_equal(handover_recv(pair[1], out, &n), -EPROTO);
		for (n = 0; n < 4; n++)
			assert_false(is_open(lowest + (int)n));
		close(pair[0]);
		close(pair[1]);
	}
	close(one);
}

static void test_listen(void **state)
{
	const struct sock_trust nobody = { 0 }, group = { .group = true, .gid = getegid() };
	char dir[] = "/tmp/p2pt.hand.XXXXXX", path[64];
	struct sock_listener l, again;
	int to, from;
	struct stat st;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/hold.sock", dir);
	assert_int_equal(handover_connect(path, &to), -ENOENT);
	assert_int_equal(handover_listen(&l, path, &nobody), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(handover_listen(&again, path, &nobody), -EADDRINUSE);
	assert_int_equal(handover_accept(&l, &from, &pid), 0); /* the one that looked */
	close(from);
	assert_int_equal(handover_connect(path, &to), 0);
	assert_int_equal(handover_accept(&l, &from, &pid), 0);
	assert_int_equal(pid, getpid());
	close(to);
	close(from);
	close(l.fd);
	/* Left by one that was killed. */
	assert_int_equal(handover_listen(&l, path, &group), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	/* Busy is not dead: its backlog is full. */
	while (!sock_connect(&l.name, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, &to))
		assert_true(to < 64);
	assert_int_equal(handover_listen(&again, path, &nobody), -EADDRINUSE);
	sock_close(&l);
	assert_int_equal(handover_connect(path, &to), -ENOENT);
	assert_int_equal(rmdir(dir), 0);
}

static void test_service_manager(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	struct vfio_fd out[VFIO_MAX_FDS];
	char text[64];
	int sock;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(handover_notify("READY=1", -1), -ENOENT);
	assert_int_equal(handover_listen_fds(out), 0);
	/* An abstract name, as systemd gives where it has no file. */
	sock = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&sa, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(sock, (struct sockaddr *)&sa, &len), 0);
	snprintf(text, sizeof(text), "@%.*s", (int)(len - sizeof(sa_family_t) - 1), sa.sun_path + 1);
	setenv("NOTIFY_SOCKET", text, 1);
	assert_int_equal(handover_notify("READY=1", -1), 0);
	assert_int_equal(recv(sock, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "READY=1", 7);
	unsetenv("NOTIFY_SOCKET");
	close(sock);
	/* Descriptors for another process are not ours. */
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "p2pnic-state", 1);
	assert_int_equal(handover_listen_fds(out), 0);
	assert_null(getenv("LISTEN_FDS"));
	assert_true(vfio_fd_is_ours("p2pnic-state"));
	assert_false(vfio_fd_is_ours("http"));
	vfio_fd_name("0000:03:00.0", text);
	assert_string_equal(text, "p2pnic-nic-0000_03_00.0");
}

/* A state as an export has it, with what the caller does to it. */
static int state_object(uint32_t magic, uint32_t version, uint32_t maps, const char *addr, off_t bytes, bool sealed)
{
	static struct vfio_state s;
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	memset(&s, 0, sizeof(s));
	s.magic = magic;
	s.version = version;
	s.maps = maps;
	memcpy(s.nic[0].addr, addr, strlen(addr));
	assert_int_equal(pwrite(fd, &s, sizeof(s), 0), (ssize_t)sizeof(s));
	assert_int_equal(ftruncate(fd, bytes), 0);
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	return fd;
}

static void test_import_refuses(void **state)
{
	const off_t whole = sizeof(struct vfio_state);
	const struct { uint32_t magic, version, maps; const char *addr; off_t bytes; bool sealed; } bad[] = {
		{ 0, VFIO_STATE_VERSION, 0, "", whole, true },
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION + 1, 0, "", whole, true },
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION, VFIO_MAX_MAPS + 1, "", whole, true },
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION, 0, "", whole - 1, true },
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION, 0, "", whole, false },
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION, 0, "0000:03:00.0", whole, true }, /* its container is none */
		{ VFIO_STATE_MAGIC, VFIO_STATE_VERSION, 0, "../../dev/null", whole, true },
	};
	struct vfio_container *c;
	struct vfio_fd fds[3];

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		fds[0] = (struct vfio_fd){ state_object(bad[i].magic, bad[i].version, bad[i].maps, bad[i].addr, bad[i].bytes,
						       bad[i].sealed), "p2pnic-state" };
		fds[1] = (struct vfio_fd){ object("no container"), "p2pnic-container" };
		fds[2] = (struct vfio_fd){ object("stranger"), "p2pnic-what" };
		assert_int_equal(vfio_container_create(&c, "/no/such"), 0);
		assert_int_equal(vfio_container_import(c, fds, 3), -EPROTO);
		assert_true(*vfio_container_error(c));
		vfio_container_destroy(c);
		for (unsigned int k = 0; k < 3; k++)
			assert_false(is_open(fds[k].fd));
	}
	assert_int_equal(vfio_container_create(&c, "/no/such"), 0);
	assert_int_equal(vfio_container_import(c, fds, 0), -EPROTO);
	vfio_container_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_socket_refuses),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_service_manager),
		cmocka_unit_test(test_import_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
