/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A far end that lends a file of a FUSE file system of its own and never answers for it.  Whoever asks about the file, maps
 * it or only closes it waits until the far end dies.  Needs the right to mount; exit status 77 without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"
#include "tests/open_fds.h"

#define SKIPPED 77
#define PATIENCE_S 30
#define STUCK 16 /* refused files that may wait to be closed */

static char dir[64], path[80], server_spec[128];

/* ---- the far end ---- */

static void answer(int dev, const struct fuse_in_header *in, const void *data, size_t len)
{
	struct fuse_out_header out = { .len = (uint32_t)(sizeof(out) + len), .unique = in->unique, .error = data || !len ? 0 : -ENOSYS };
	uint8_t buf[1024];

	memcpy(buf, &out, sizeof(out));
	if (len)
		memcpy(buf + sizeof(out), data, len);
	if (write(dev, buf, sizeof(out) + len) < 0)
		_exit(2);
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){ .ino = node, .size = RAW_BYTES, .nlink = 1, .uid = getuid(), .gid = getgid(),
				   .mode = node == 1 ? S_IFDIR | 0700 : S_IFREG | 0600 };
}

/* Answers for opening it, and for nothing after that. */
static void serve(int dev)
{
	static uint8_t buf[FUSE_MIN_READ_BUFFER + 65536];
	const struct fuse_in_header *in = (const struct fuse_in_header *)(void *)buf;

	while (read(dev, buf, sizeof(buf)) > 0) {
		struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096, .max_readahead = 4096 };
		struct fuse_entry_out entry = { .nodeid = 2, .attr = attr_of(2) };
		struct fuse_attr_out attr = { .attr = attr_of(1) };
		struct fuse_open_out opened = { .fh = 1 };

		if (in->opcode == FUSE_INIT)
			answer(dev, in, &init, sizeof(init));
		else if (in->opcode == FUSE_LOOKUP)
			answer(dev, in, &entry, sizeof(entry));
		else if (in->opcode == FUSE_GETATTR && in->nodeid == 1)
			answer(dev, in, &attr, sizeof(attr));
		else if (in->opcode == FUSE_OPEN)
			answer(dev, in, &opened, sizeof(opened));
	}
	_exit(0);
}

/*
 * *server: the process that serves it, a child of ours.  Only its death ends what waits for it; whoever has the file open as
 * well can't die himself, since that closes the file.
 */
static int file_open(pid_t *server)
{
	char options[96], name[96];
	int dev;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", dev, getuid(), getgid());
	if (mount("hostile", dir, "fuse.hostile", MS_NOSUID | MS_NODEV, options))
		return -1;
	*server = fork();
	if (!*server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(PATIENCE_S);
		serve(dev);
	}
	close(dev);
	snprintf(name, sizeof(name), "%s/f", dir);
	return *server < 0 ? -1 : open(name, O_RDWR | O_CLOEXEC);
}

static bool say(int sock, const struct memif_msg *msg, int fd)
{
	struct raw r = { .sock = sock };

	return !raw_send(&r, msg, fd);
}

static int knock(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

/* Comes n times with the file, beside a message of `type`; turned away each time it tells who serves the file, and stays. */
static void far_end(unsigned int n, uint16_t type, int tell)
{
	struct memif_msg msg;
	pid_t server;
	int fd, sock;

	fd = file_open(&server);
	if (fd < 0)
		_exit(SKIPPED);
	for (unsigned int i = 0; i < n; i++) {
		sock = knock();
		if (recv(sock, &msg, sizeof(msg), 0) != sizeof(msg) || msg.type != MEMIF_MSG_HELLO)
			_exit(3);
		msg = raw_init(0);
		say(sock, &msg, type == MEMIF_MSG_INIT ? fd : -1);
		if (type != MEMIF_MSG_INIT) {
			if (recv(sock, &msg, sizeof(msg), 0) != sizeof(msg) || msg.type != MEMIF_MSG_ACK)
				_exit(4);
			msg = type == MEMIF_MSG_ADD_REGION ? raw_region(0, RAW_BYTES) : (struct memif_msg){ .type = type };
			say(sock, &msg, fd);
		}
		while (recv(sock, &msg, sizeof(msg), 0) > 0)
			;
		close(sock);
	}
	if (write(tell, &server, sizeof(server)) == sizeof(server))
		pause();
	_exit(5);
}

/* ---- */

/* The port goes on while it is tried n times; the far end lives all the while, or a wait for it would end. */
static void try(struct env *e, unsigned int n, uint16_t type)
{
	uint64_t end = env_now_ns() + PATIENCE_S * 1000000000ull;
	int tell[2], status;
	pid_t pid, server;

	assert_int_equal(pipe2(tell, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(PATIENCE_S);
		far_end(n, type, tell[1]);
	}
	while (read(tell[0], &server, sizeof(server)) != sizeof(server)) {
		env_control(e);
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
				printf("no FUSE file system can be mounted here\n");
				rmdir(dir);
				exit(SKIPPED);
			}
			fail_msg("the far end ended: %x", status);
		}
		assert_true(env_now_ns() < end);
	}
	assert_int_equal(kill(server, SIGKILL), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(tell[0]);
	close(tell[1]);
}

static void test_file_never_answered(void **state)
{
	static const uint16_t never[] = { MEMIF_MSG_INIT, MEMIF_MSG_CONNECT, MEMIF_MSG_DISCONNECT, 77 };
	unsigned int fds;
	struct env e;
	struct raw r;

	env_open(&e, server_spec, 32, 2048);
	env_control(&e);
	fds = open_fds();
	try(&e, 1, MEMIF_MSG_ADD_REGION);
	try(&e, 1, MEMIF_MSG_ADD_RING);
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(never); i++)
		try(&e, 1, never[i]);
	/* More than may wait: no descriptor is taken any more, so that nothing waits. */
	try(&e, STUCK + 4, MEMIF_MSG_ADD_REGION);
	assert_true(e.port->stats.peer_errors + e.port->stats.peer_refused >= STUCK + 4 + 6);
	/* Nobody serves the files any more: they are closed, one after the other. */
	for (uint64_t end = env_now_ns() + PATIENCE_S * 1000000000ull; open_fds() > fds; env_control(&e))
		assert_true(env_now_ns() < end);
	raw_client_up(&r, &e, path, F_SEAL_SHRINK);
	raw_close(&r);
	env_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_file_never_answered) };
	int ret;

	snprintf(dir, sizeof(dir), "/tmp/p2pnic-fuse-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s.s", dir);
	snprintf(server_spec, sizeof(server_spec), "memif:%s,role=server", path);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
