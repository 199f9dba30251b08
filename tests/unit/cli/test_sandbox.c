/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process may still do after sandbox_enter(): each case in a child of
 * its own, which reports by its exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/sandbox.h"
#include "sock/bell.h"

#define BELLS 3000u
#define UNDONE 99 /* what was forbidden was done */

static char dir[] = "/tmp/p2pnic-sandbox-XXXXXX";
static char own[64]; /* a socket of ours; "": none */
static char out[80]; /* a pcap port with an output; "": none */

/* 0, or the errno that the call gave. */
static int said(long rc)
{
	return rc < 0 ? errno : UNDONE;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return at->level ? remove(path) : 0;
}

static int try_execve(void)
{
	char *argv[] = { "true", NULL };

	return said(execv("/bin/true", argv));
}

static int try_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	return said(pid);
}

static int try_ptrace(void)
{
	return said(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
}

static int try_vm_write(void)
{
	char c = 0;
	struct iovec iov = { &c, 1 };

	return said(syscall(SYS_process_vm_writev, getppid(), &iov, 1, &iov, 1, 0));
}

static int try_kill(void)
{
	return said(kill(getppid(), 0));
}

static int try_open_write(void)
{
	return said(open("/dev/null", O_WRONLY));
}

static int try_create(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/new", dir);
	return said(open(path, O_RDONLY | O_CREAT, 0600));
}

static int try_inet(void)
{
	return said(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_pair(void)
{
	int fd[2];

	return said(socketpair(AF_INET, SOCK_STREAM, 0, fd));
}

static int try_packet(void)
{
	return said(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_listen(void)
{
	return said(listen(socket(AF_UNIX, SOCK_STREAM, 0), 1));
}

static int try_bpf(void)
{
	return said(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_setns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY);

	return fd < 0 ? UNDONE + 1 : said(syscall(SYS_setns, fd, 0x40000000));
}

static int try_unshare(void)
{
	return said(syscall(SYS_unshare, 0x10000000));
}

static int try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? UNDONE + 1 : said(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int renamed(const char *from, const char *to)
{
	char a[96], b[96];

	snprintf(a, sizeof(a), "%s/%s", dir, from);
	snprintf(b, sizeof(b), "%s/%s", dir, to);
	return said(rename(a, b));
}

static int try_rename(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/other", dir);
	return said(rename("/tmp/p2pnic-sandbox-none", path));
}

static int try_unlink(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/file", dir);
	return said(unlink(path));
}

static int try_rename_there(void) { return renamed("file", "other"); }

static int try_limit(void)
{
	const uint64_t all[2] = { 1 << 20, 1 << 20 };

	return said(syscall(SYS_prlimit64, 0, 7, all, NULL));
}

static int try_context(void)
{
	unsigned long ctx = 0;

	return said(syscall(SYS_io_setup, 1, &ctx));
}

static int try_module(void)
{
	return said(syscall(SYS_init_module, NULL, 0, ""));
}

static void *thread_main(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

/* What NICs need goes on: 0, or the line that failed. */
static int try_allowed(void)
{
	unsigned int i;
	int ev, ran = 0, fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), ro;
	char path[64];
	pthread_t t;
	int pair[2];
	void *p;

	if (fd < 0 || ftruncate(fd, 65536) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return __LINE__;
	p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return __LINE__;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0 || fchmod(fd, 0400))
		return __LINE__;
	if (mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) != MAP_FAILED || errno != EACCES)
		return __LINE__;
	if (pthread_create(&t, NULL, thread_main, &ran) || pthread_join(t, NULL) || !ran)
		return __LINE__;
	if (socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return __LINE__;
	/* More bells than there is room for at once. */
	ev = eventfd(0, EFD_CLOEXEC);
	for (i = 0; ev >= 0 && i < BELLS; i++)
		if (bell_ring(ev))
			return __LINE__;
	return ev >= 0 && bell_clear(ev) == BELLS ? 0 : __LINE__;
}

static int status_field(const char *name, char *value, size_t size)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int rc = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), ": %63s", value) == 1)
			rc = 0;
	if (f)
		fclose(f);
	return rc;
}

static int try_status(void)
{
	static const char *const none[] = { "CapInh", "CapPrm", "CapEff", "CapAmb" };
	char v[64];
	unsigned int i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (status_field(none[i], v, sizeof(v)) || strtoull(v, NULL, 16))
			return __LINE__;
	if (!geteuid() && (status_field("CapBnd", v, sizeof(v)) || strtoull(v, NULL, 16)))
		return __LINE__;
	if (status_field("NoNewPrivs", v, sizeof(v)) || strcmp(v, "1"))
		return __LINE__;
	return status_field("Seccomp", v, sizeof(v)) || strcmp(v, "2") ? __LINE__ : 0;
}

static int child(unsigned int needs, int (*try)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct sandbox s = { .needs = needs };
		char err[CLI_ERR_MAX];

		if (*own)
			sandbox_file(&s, own);
		if (*out)
			sandbox_port(&s, out);
		/* As whoever makes a worker or a cable does before; from then on nobody can. */
		if (bell_open(NULL))
			_exit(UNDONE + 2);
		if (sandbox_enter(&s, err)) {
			fprintf(stderr, "%s\n", err);
			_exit(UNDONE + 2);
		}
		_exit(try() & 0xff);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_forbidden(void **state)
{
	static const struct { const char *what; int (*try)(void); } t[] = {
#define T(name) { #name, try_##name }
		T(execve), T(fork), T(ptrace), T(vm_write), T(kill), T(open_write), T(create), T(inet), T(packet), T(bpf), T(setns),
		T(unshare), T(code), T(rename), T(limit), T(module), T(listen), T(pair), T(context),
#undef T
	};
	unsigned int i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int got = child(0, t[i].try);

		if (got != EPERM)
			fail_msg("%s: %d, should be EPERM", t[i].what, got);
	}
}

static void test_allowed(void **state)
{
	assert_int_equal(child(0, try_allowed), 0);
}

static void test_status(void **state)
{
	assert_int_equal(child(0, try_status), 0);
}

/* With what a kind of port needs, that alone is possible. */
static void test_needs(void **state)
{
	char v[64];

	/* The kernel says that it makes no sense, if we have the right to ask. */
	if (!status_field("CapEff", v, sizeof(v)) && strtoull(v, NULL, 16) >> 39 & 1)
		assert_int_equal(child(SANDBOX_XDP, try_bpf), EINVAL);
	else
		assert_int_not_equal(child(SANDBOX_XDP, try_bpf), UNDONE);
	assert_int_equal(child(SANDBOX_XDP, try_setns), EPERM);
	assert_int_equal(child(SANDBOX_XDP, try_execve), EPERM);
	assert_int_equal(child(SANDBOX_XDP, try_packet), EPERM);
	assert_int_equal(child(SANDBOX_PCAP, try_rename), ENOENT);
	assert_int_equal(child(SANDBOX_PCAP, try_create), EPERM);
}

/* A system call that a filter can't judge: where the kernel has Landlock, files go only where ours lie. */
static void test_files(void **state)
{
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
	char path[64], renamed[64];
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	if (landlock)
		assert_int_equal(child(0, try_unlink), EACCES);
	snprintf(own, sizeof(own), "%s/socket", dir);
	if (landlock) /* the filter lets a process with an output rename, but not where only its sockets lie */
		assert_int_equal(child(SANDBOX_PCAP, try_rename_there), EACCES);
	snprintf(out, sizeof(out), "pcap:,%s/out", dir);
	assert_int_equal(child(SANDBOX_PCAP, try_rename_there), UNDONE);
	out[0] = '\0';
	snprintf(renamed, sizeof(renamed), "%s/other", dir);
	assert_int_equal(rename(renamed, path), 0);
	assert_int_equal(child(0, try_unlink), UNDONE);
	own[0] = '\0';
}

/* --- Landlock by itself, without the filter, which refuses some of it before --- */

static struct sandbox rules;

static int landlock_only(int (*try)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_files(&rules))
			_exit(UNDONE + 2);
		_exit(try() & 0xff);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int at(const char *sub, const char *name, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, sub, name);
	if (flags < 0)
		return said(unlink(path));
	fd = open(path, flags | O_CLOEXEC, 0600);
	return said(fd);
}

static int ll_write(void) { return at("sockets", "b", O_WRONLY); }
static int ll_read(void) { return at("other", "a", O_RDONLY); }
static int ll_make_there(void) { return at("sockets", "new", O_RDONLY | O_CREAT); }
static int ll_make_output(void) { return at("outputs", "new", O_RDONLY | O_CREAT); }
static int ll_write_output(void) { return at("outputs", "a", O_WRONLY); }
static int ll_unlink_other(void) { return at("other", "a", -1); }
static int ll_unlink_socket(void) { return at("sockets", "a", -1); }
static int ll_unlink_output(void) { return at("outputs", "new", -1); }

static int ll_bind(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/sockets/fresh", dir);
	return said(bind(fd, (struct sockaddr *)&sa, sizeof(sa)));
}

static int ll_rename_socket(void) { return renamed("sockets/b", "sockets/c"); }
static int ll_rename_output(void) { return renamed("outputs/a", "outputs/c"); }

static void test_landlock(void **state)
{
	static const char *const files[] = { "sockets/a", "sockets/b", "outputs/a", "other/a" };
	static const struct { const char *what; int (*try)(void), says; } t[] = {
		{ "write a file", ll_write, EACCES }, { "read", ll_read, UNDONE }, { "make a file among sockets", ll_make_there, EACCES },
		{ "make an output", ll_make_output, UNDONE }, { "write an output anew", ll_write_output, EACCES },
		{ "remove elsewhere", ll_unlink_other, EACCES }, { "remove a socket", ll_unlink_socket, UNDONE },
		{ "remove an output", ll_unlink_output, UNDONE }, { "make a socket", ll_bind, EACCES },
		{ "rename among sockets", ll_rename_socket, EACCES }, { "rename an output", ll_rename_output, UNDONE },
	};
	char path[96], port[120];
	unsigned int i;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) <= 0)
		skip();
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		*strrchr(path, '/') = '\0';
		assert_true(!mkdir(path, 0700) || errno == EEXIST);
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
	}
	snprintf(path, sizeof(path), "%s/sockets/a", dir);
	sandbox_file(&rules, path);
	snprintf(port, sizeof(port), "pcap:,out=%s/outputs/capture", dir);
	sandbox_port(&rules, port);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int got = landlock_only(t[i].try);

		if (got != t[i].says)
			fail_msg("%s: %d, should be %d", t[i].what, got, t[i].says);
	}
	sandbox_free(&rules);
	assert_int_equal(nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void *wait_main(void *arg)
{
	pause();
	return NULL;
}

/* A thread that was there before would keep what it has: refused, and nothing is done. */
static void test_threads(void **state)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct sandbox s = { 0 };
		char err[CLI_ERR_MAX];
		pthread_t t;

		if (pthread_create(&t, NULL, wait_main, NULL))
			_exit(2);
		_exit(sandbox_enter(&s, err) == -EBUSY && !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_specs(void **state)
{
	struct sandbox s = { 0 };

	sandbox_port(&s, "tap:x");
	sandbox_port(&s, "memif:@x,role=server");
	assert_int_equal(s.needs, 0);
	assert_int_equal(s.dirs, 0);
	sandbox_port(&s, "memif:/tmp/x.memif,role=server");
	assert_int_equal(s.dirs, 1);
	assert_string_equal(s.dir[0], "/tmp");
	sandbox_port(&s, "memif:/tmp/y.memif,role=server");
	assert_int_equal(s.dirs, 1); /* one for all that lie there */
	sandbox_port(&s, "pcap:in.pcap,/var/out.pcap");
	assert_int_equal(s.needs, SANDBOX_PCAP);
	assert_string_equal(s.dir[1], "/var");
	sandbox_port(&s, "memif:/srv/z.memif"); /* a client has no file */
	sandbox_port(&s, "pcap:in.pcap,loop=2,out=/usr/out.pcap");
	sandbox_port(&s, "pcap:in.pcap,loop=2");
	assert_int_equal(s.dirs, 3);
	assert_string_equal(s.dir[2], "/usr");
	assert_false(s.rename[0]);
	assert_true(s.rename[1] && s.rename[2]);
	sandbox_file(&s, "/opt/a,b/socket");
	assert_string_equal(s.dir[3], "/opt/a,b");
	sandbox_port(&s, "xdp:eth0");
	assert_int_equal(s.needs, SANDBOX_PCAP | SANDBOX_XDP);
	sandbox_port(&s, "xdp:eth0,netns=x");
	assert_int_equal(s.needs, SANDBOX_PCAP | SANDBOX_XDP | SANDBOX_NETNS);
	sandbox_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_specs),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_landlock),
		cmocka_unit_test(test_threads),
	};
	int rc;

	if (sandbox_sanitizer()) {
		printf("no filter in a build with a sanitizer\n");
		return 77;
	}
	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
