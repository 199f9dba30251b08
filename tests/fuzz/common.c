/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static char dir_name[64], file_name[80];
static pid_t dir_owner;

#define RACES_MAX 16
static struct {
	uintptr_t base;
	size_t bytes;
	unsigned int n;
	struct race {
		uint32_t loads, value;
		void *at;
	} race[RACES_MAX];
} races;

void fuzz_race_watch(const void *base, size_t bytes)
{
	races.base = (uintptr_t)base;
	races.bytes = bytes;
	races.n = 0;
}

void fuzz_race(uint32_t loads, void *at, uint32_t value)
{
	if (races.n < RACES_MAX)
		races.race[races.n++] = (struct race){ loads, value, at };
}

#ifdef FUZZ_LOADS
/* Called by what the compiler puts before each load; not itself compiled so. */
#define QUIETLY __attribute__((no_sanitize("coverage", "address", "undefined")))

static QUIETLY void loaded(const void *at)
{
	unsigned int k = 0;

	if ((uintptr_t)at - races.base >= races.bytes)
		return;
	while (k < races.n) {
		struct race *r = &races.race[k];

		if (r->loads--) {
			k++;
			continue;
		}
		__atomic_store_n((uint32_t *)r->at, r->value, __ATOMIC_RELAXED);
		*r = races.race[--races.n];
	}
}

#define LOAD(bytes, type) \
	QUIETLY void __sanitizer_cov_load##bytes(type *at); \
	QUIETLY void __sanitizer_cov_load##bytes(type *at) \
	{ \
		loaded(at); \
	}
LOAD(1, uint8_t)
LOAD(2, uint16_t)
LOAD(4, uint32_t)
LOAD(8, uint64_t)
LOAD(16, __uint128_t)
#endif

void fuzz_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("FAILED: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

/* What a harness makes there is flat: files and sockets. */
static void dir_remove(void)
{
	char name[512];
	struct dirent *e;
	DIR *d;

	if (getpid() != dir_owner || !(d = opendir(dir_name)))
		return;
	while ((e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", dir_name, e->d_name);
		if (e->d_name[0] != '.')
			unlink(name);
	}
	closedir(d);
	rmdir(dir_name);
}

const char *fuzz_dir(void)
{
	if (!dir_name[0]) {
		snprintf(dir_name, sizeof(dir_name), "%s/p2pnic-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		if (!mkdtemp(dir_name))
			fuzz_fail("no directory for what is read");
		dir_owner = getpid();
		atexit(dir_remove);
	}
	return dir_name;
}

const char *fuzz_file(const void *data, size_t size)
{
	size_t at = 0;
	ssize_t n;
	int fd;

	if (!file_name[0])
		snprintf(file_name, sizeof(file_name), "%s/input", fuzz_dir());
	fd = open(file_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		fuzz_fail("%s can't be written", file_name);
	while (at < size) {
		n = write(fd, (const char *)data + at, size - at);
		if (n <= 0)
			fuzz_fail("%s can't be written", file_name);
		at += (size_t)n;
	}
	close(fd);
	return file_name;
}

/* libconfig loses a piece of a string that a file ends within: once for each file, in programs that read one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static int memory_fd(bool sealed)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, FUZZ_FD_BYTES))
		fuzz_fail("no memory to lend");
	if (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		fuzz_fail("no seal");
	return fd;
}

int fuzz_fd(enum fuzz_fd kind)
{
	int pair[2], fd;
	char path[32];

	switch (kind) {
	case FUZZ_FD_SEALED:
	case FUZZ_FD_MEMORY:
		return memory_fd(kind == FUZZ_FD_SEALED);
	case FUZZ_FD_EVENT:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case FUZZ_FD_PIPE:
		if (pipe2(pair, O_CLOEXEC))
			return -1;
		close(pair[1]);
		return pair[0];
	case FUZZ_FD_SOCKET:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case FUZZ_FD_READ_ONLY:
		fd = memory_fd(true);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		pair[0] = open(path, O_RDONLY | O_CLOEXEC);
		close(fd);
		return pair[0];
	default:
		return -1;
	}
}

bool fuzz_send(int sock, const void *data, size_t size, const int *fds, unsigned int nfds)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (nfds) {
		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

bool fuzz_drain(int sock)
{
	static char sink[1 << 18];
	union {
		char room[CMSG_SPACE(sizeof(int) * 32)];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { sink, sizeof(sink) };
	struct cmsghdr *c;
	size_t k;
	int fd;

	for (;;) {
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl, .msg_controllen = sizeof(ctl) };
		ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR);
		for (c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
			for (k = 0; k < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); k++) {
				memcpy(&fd, CMSG_DATA(c) + k * sizeof(int), sizeof(int));
				close(fd);
			}
		}
	}
}

bool fuzz_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}
