/* SPDX-License-Identifier: BSD-3-Clause */
/* Local sockets: what lies at the path, the file's mode at every moment, two that start at once, and who may connect. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sock/sock.h"

#define STRANGER 65534
#define GROUP 54321 /* of nobody but who is given it here */
#define STARTERS 8
#define ROUNDS 100

int __real_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

static const struct sock_trust nobody, group = { .group = true, .gid = GROUP };
static char dir[] = "/tmp/p2pnic-sock-XXXXXX", path[64];
static struct { mode_t mode; bool locked; gid_t gid; } at_bind, at_chmod;
static unsigned int flocks;
static bool swap_lock;

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

/* Fails if a test, or a lock, has left a file. */
static int teardown(void **state)
{
	return rmdir(dir);
}

static struct sock_name at(const char *name)
{
	struct sock_name n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(sock_name(&n, path, true), 0);
	return n;
}

static void lock_path(char *text, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(text, size, "%s/.%s.lock", dir, slash ? slash + 1 : path);
}

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	int rc = __real_bind(fd, sa, len);
	struct stat st;
	char lock[160];

	lock_path(lock, sizeof(lock));
	if (!rc && !lstat(path, &st)) {
		at_bind.mode = st.st_mode & 07777;
		at_bind.locked = !access(lock, F_OK);
	}
	return rc;
}

/* Between open and flock(): who had the lock removes its file, and another one comes and makes it anew. */
int __wrap_flock(int fd, int operation)
{
	char lock[160];

	if (flocks++ == 0 && swap_lock) {
		lock_path(lock, sizeof(lock));
		unlink(lock);
		close(open(lock, O_RDONLY | O_CREAT | O_EXCL, 0600));
	}
	return __real_flock(fd, operation);
}

int __wrap_chmod(const char *file, mode_t mode)
{
	struct stat st;

	if (!lstat(path, &st))
		at_chmod.gid = st.st_gid;
	return __real_chmod(file, mode);
}

static int try(const struct sock_name *n)
{
	struct sock_listener l;
	int rc = sock_listen(&l, n, SOCK_STREAM, 4, &nobody);

	assert_int_equal(l.fd >= 0, !rc);
	sock_close(&l);
	return rc;
}

static bool is_there(void)
{
	struct stat st;

	return !lstat(path, &st);
}

static void test_name(void **state)
{
	char longest[SOCK_PATH_MAX + 2];
	struct sock_name n;

	assert_int_equal(sock_name(&n, "", false), -EINVAL);
	assert_int_equal(sock_name(&n, "@", true), -EINVAL);
	assert_int_equal(sock_name(&n, "@", false), 0);
	assert_int_equal(n.sa.sun_path[0], '@');
	assert_int_equal(sock_name(&n, "@x", true), 0);
	assert_int_equal(n.sa.sun_path[0], '\0');
	assert_int_equal(n.len, sizeof(sa_family_t) + 2);
	memset(longest, 'x', sizeof(longest));
	longest[SOCK_PATH_MAX + 1] = '\0';
	assert_int_equal(sock_name(&n, longest, false), -ENAMETOOLONG);
	longest[SOCK_PATH_MAX] = '\0';
	assert_int_equal(sock_name(&n, longest, false), 0);
	assert_int_equal(n.sa.sun_path[SOCK_PATH_MAX], '\0');
}

/* The mode is the same under every umask, and at no moment wider. */
static void test_mode(void **state)
{
	static const mode_t umasks[] = { 0, 022, 077, 0177, 0777 };
	const struct sock_trust own = { .group = true, .gid = geteuid() ? getegid() : GROUP };
	struct sock_name n = at("mode");
	struct sock_listener l;
	struct stat st;

	for (unsigned int i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
		for (unsigned int g = 0; g < 2; g++) {
			mode_t before;

			at_bind.mode = 07777;
			at_bind.locked = false;
			before = umask(umasks[i]);
			assert_int_equal(sock_listen(&l, &n, SOCK_STREAM, 4, g ? &own : &nobody), 0);
			assert_int_equal(umask(before), umasks[i]);
			assert_int_equal(lstat(path, &st), 0);
			assert_int_equal(st.st_mode & 07777, g ? 0660 : 0600);
			assert_int_equal(at_bind.mode, 0600 & ~umasks[i]);
			assert_true(at_bind.locked);
			if (g) {
				assert_int_equal(st.st_gid, own.gid);
				assert_int_equal(at_chmod.gid, own.gid);
			}
			sock_close(&l);
			assert_false(is_there());
		}
	}
}

static void test_dead(void **state)
{
	struct sock_name n = at("dead");
	struct sock_listener l;
	int fd;

	/* The kernel says the same of one that was bound and never listened. */
	for (unsigned int listened = 0; listened < 2; listened++) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&n.sa, n.len), 0);
		if (listened)
			assert_int_equal(listen(fd, 1), 0);
		close(fd);
		assert_int_equal(sock_connect(&n, SOCK_STREAM, 0, &fd), -ECONNREFUSED);
		assert_int_equal(try(&n), 0);
		assert_false(is_there());
	}
	/* What has taken our place at the path stays there. */
	assert_int_equal(sock_listen(&l, &n, SOCK_STREAM, 4, &nobody), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(open(path, O_WRONLY | O_CREAT, 0600)), 0);
	sock_close(&l);
	sock_close(&l); /* twice does nothing */
	assert_true(is_there());
	unlink(path);
}

static void test_others_files(void **state)
{
	struct sock_name n = at("file");
	struct stat st;
	char to[80], got[8] = "";
	FILE *f = fopen(path, "w");

	fputs("mine", f);
	fclose(f);
	assert_int_equal(try(&n), -EEXIST);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(got, sizeof(got), f));
	fclose(f);
	assert_string_equal(got, "mine");
	snprintf(to, sizeof(to), "%s", path);
	/* A link, wherever it leads: nowhere, to a file. */
	n = at("link");
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(symlink(i ? to : "nowhere", path), 0);
		assert_int_equal(try(&n), -EEXIST);
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		unlink(path);
	}
	unlink(to);
	n = at("pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(try(&n), -EEXIST);
	assert_int_equal(unlink(path), 0);
	n = at("dir");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(try(&n), -EEXIST);
	assert_int_equal(rmdir(path), 0);
	n = at("no/such/place");
	assert_int_equal(try(&n), -ENOENT);
}

/* Dead is who refuses; no other answer is taken for that. */
static void test_alive(void **state)
{
	struct sock_name n = at("alive");
	struct sock_listener l;
	int guest[16], k = 0, fd, status;
	pid_t pid;

	assert_int_equal(sock_listen(&l, &n, SOCK_STREAM, 2, &nobody), 0);
	assert_int_equal(try(&n), -EADDRINUSE);
	while (k < 16 && !sock_connect(&n, SOCK_STREAM | SOCK_NONBLOCK, 0, &guest[k]))
		k++;
	assert_in_range(k, 1, 15);
	assert_int_equal(sock_connect(&n, SOCK_STREAM | SOCK_NONBLOCK, 0, &fd), -EAGAIN);
	assert_int_equal(sock_connect(&n, SOCK_STREAM, 1, &fd), -ETIMEDOUT);
	assert_int_equal(try(&n), -EADDRINUSE);
	while (k)
		close(guest[--k]);
	/* Another type of socket. */
	assert_int_equal(sock_connect(&n, SOCK_SEQPACKET, 0, &fd), -EPROTOTYPE);
	assert_int_equal(sock_listen(&(struct sock_listener){ 0 }, &n, SOCK_SEQPACKET, 2, &nobody), -EPROTOTYPE);
	assert_true(is_there());
	/* One that we may not ask, in a directory where we might remove it. */
	if (geteuid() == 0) {
		assert_int_equal(chmod(dir, 0777), 0);
		pid = fork();
		if (!pid)
			_exit(setgroups(0, NULL) || setuid(STRANGER) || try(&n) != -EACCES);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(chmod(dir, 0700), 0);
	}
	assert_true(is_there());
	sock_close(&l);
}

static void starter(const struct sock_name *n, int go, int end, int say)
{
	struct sock_listener l;
	char c;
	int rc;

	if (read(go, &c, 1) < 0)
		_exit(1);
	rc = sock_listen(&l, n, SOCK_STREAM, 16, &nobody);
	c = rc ? rc == -EADDRINUSE ? 'b' : 'x' : 'w';
	if (write(say, &c, 1) != 1)
		_exit(1);
	if (read(end, &c, 1) < 0) /* until the parent closes it */
		_exit(1);
	sock_close(&l);
	_exit(0);
}

/* Of many that start at once over a dead socket one wins, and it is he who is reached at the path then. */
static void test_race(void **state)
{
	struct sock_name n = at("race");
	int go[2], end[2], say[2], fd, status;
	unsigned int won, busy;
	char c;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&n.sa, n.len), 0);
		close(fd);
		assert_int_equal(pipe(go) || pipe(end) || pipe(say), 0);
		for (unsigned int i = 0; i < STARTERS; i++) {
			if (fork())
				continue;
			close(go[1]);
			close(end[1]);
			starter(&n, go[0], end[0], say[1]);
		}
		close(go[0]);
		close(end[0]);
		close(say[1]);
		close(go[1]); /* now */
		for (won = busy = 0; read(say[0], &c, 1) == 1; won += c == 'w', busy += c == 'b')
			if (won + busy == STARTERS - 1)
				break;
		won += c == 'w';
		busy += c == 'b';
		if (won != 1 || busy != STARTERS - 1)
			fail_msg("round %u: %u have the path, %u found it busy", round, won, busy);
		assert_int_equal(sock_connect(&n, SOCK_STREAM, 1, &fd), 0);
		close(fd);
		close(end[1]);
		close(say[0]);
		for (unsigned int i = 0; i < STARTERS; i++) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		assert_false(is_there());
	}
}

static void test_lock(void **state)
{
	struct sock_name n = at("locked");
	char lock[160], why[SOCK_ERROR_MAX];
	int fd, status;
	pid_t pid;

	/* A starter that was killed leaves it: no hindrance, and it goes. */
	lock_path(lock, sizeof(lock));
	fd = open(lock, O_RDONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(try(&n), 0);
	assert_int_equal(access(lock, F_OK), -1);
	close(fd);
	/* A lock on a file that has no name any more is none. */
	swap_lock = true;
	flocks = 0;
	assert_int_equal(try(&n), 0);
	assert_int_equal(flocks, 2);
	swap_lock = false;
	/* Held for longer than we wait. */
	fd = open(lock, O_RDONLY | O_CREAT, 0600);
	assert_int_equal(__real_flock(fd, LOCK_EX), 0);
	assert_int_equal(try(&n), -EBUSY);
	assert_non_null(strstr(sock_error(path, -EBUSY, why), lock));
	assert_false(is_there());
	close(fd);
	assert_int_equal(try(&n), 0);
	/* What is no file of a lock is not followed and not waited for. */
	assert_int_equal(mkfifo(lock, 0600), 0);
	assert_int_equal(try(&n), -ENOLCK);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink("elsewhere", lock), 0);
	assert_int_equal(try(&n), -ENOLCK);
	assert_int_equal(unlink(lock), 0);
	assert_false(is_there());
	assert_string_equal(sock_error(path, -ENOENT, why), strerror(ENOENT));
	/* One that root left, where everybody may make files: it is named, so that somebody can remove it. */
	if (geteuid() != 0)
		return;
	fd = open(lock, O_RDONLY | O_CREAT, 0600);
	assert_int_equal(close(fd) || chmod(dir, 01777), 0);
	pid = fork();
	if (!pid)
		_exit(setgroups(0, NULL) || setuid(STRANGER) || try(&n) != -ENOLCK);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(sock_error(path, -ENOLCK, why), lock));
	assert_int_equal(chmod(dir, 0700) || unlink(lock), 0);
}

static void test_abstract(void **state)
{
	struct sock_listener l, again;
	struct sock_name n;
	int fd, other;

	snprintf(path, sizeof(path), "@p2pnic-sock-%d", (int)getpid());
	assert_int_equal(sock_name(&n, path, true), 0);
	assert_int_equal(sock_listen(&l, &n, SOCK_SEQPACKET, 4, &nobody), 0);
	assert_int_equal(sock_listen(&again, &n, SOCK_SEQPACKET, 4, &nobody), -EADDRINUSE);
	assert_int_equal(sock_accept(&l, 0, &other), -EAGAIN);
	assert_int_equal(sock_connect(&n, SOCK_SEQPACKET, 0, &fd), 0);
	assert_int_equal(sock_accept(&l, SOCK_NONBLOCK, &other), 0);
	assert_int_equal(fcntl(other, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	close(other);
	close(fd);
	sock_close(&l);
	assert_int_equal(sock_connect(&n, SOCK_SEQPACKET, 0, &fd), -ECONNREFUSED);
}

/* A process of this user, group and supplementary groups connects: what connect() said to it. */
static int knock(const struct sock_name *n, uid_t uid, gid_t gid, const gid_t *more, size_t count)
{
	int fd, status;
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(count, more) || setgid(gid) || setuid(uid))
			_exit(255);
		_exit(-sock_connect(n, SOCK_STREAM, 1, &fd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_who(void **state)
{
	static gid_t many[300];
	const struct { const char *what; uid_t uid; gid_t gid; size_t more; bool in; } t[] = {
		{ "root", 0, 0, 0, true },
		{ "the group is its own", STRANGER, GROUP, 0, true },
		{ "a supplementary one", STRANGER, STRANGER, 1, true },
		{ "the last of many", STRANGER, STRANGER, 300, true },
		{ "another's", STRANGER, STRANGER, 0, false },
		{ "root's group", STRANGER, 0, 0, false },
		{ "the group's next", STRANGER, GROUP + 1, 0, false },
	};
	struct sock_listener l;
	struct sock_name n = at("who");
	int fd, want;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0755), 0);
	/* 0: without a group; 1: with it; then the same with a mode that lets everybody come. */
	for (unsigned int round = 0; round < 4; round++) {
		assert_int_equal(sock_listen(&l, &n, SOCK_STREAM, 4, round & 1 ? &group : &nobody), 0);
		if (round & 2)
			assert_int_equal(__real_chmod(path, 0666), 0);
		for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			for (size_t k = 0; k < t[i].more; k++)
				many[k] = k + 1 < t[i].more ? (gid_t)(20000 + k) : GROUP;
			want = !t[i].uid || (t[i].in && round & 1) ? 0 : round & 2 ? -EPERM : -EACCES;
			fd = -1;
			if (want == -EACCES) {
				assert_int_equal(knock(&n, t[i].uid, t[i].gid, many, t[i].more), EACCES);
				want = -EAGAIN; /* he never came so far */
			} else {
				assert_int_equal(knock(&n, t[i].uid, t[i].gid, many, t[i].more), 0);
			}
			if (sock_accept(&l, 0, &fd) != want)
				fail_msg("round %u, %s: not %d", round, t[i].what, want);
			if (fd >= 0)
				close(fd);
		}
		sock_close(&l);
	}
	assert_int_equal(chmod(dir, 0700), 0);
}

static void test_group(void **state)
{
	static const char *const none[] = { "", "-1", "4294967295", "99999999999999999999", "12x", " 12", "no-such-group-as-this" };
	gid_t gid = 77;
	int status;
	pid_t pid;

	assert_int_equal(sock_group("root", &gid), 0);
	assert_int_equal(gid, 0);
	assert_int_equal(sock_group("54321", &gid), 0);
	assert_int_equal(gid, 54321);
	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(sock_group(none[i], &gid), -ENOENT);
	assert_int_equal(gid, 54321);
	assert_int_equal(sock_group_ours(getegid()), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(sock_group_ours(GROUP), 0);
	pid = fork();
	if (!pid) {
		struct sock_listener l;
		struct sock_name n = at("theirs");
		gid_t more = GROUP + 1;

		/* Where the answer was not asked for before, nothing is left behind. */
		if (chmod(dir, 0777) || setgroups(1, &more) || setgid(STRANGER) || setuid(STRANGER))
			_exit(1);
		if (sock_group_ours(GROUP) != -EPERM || sock_group_ours(GROUP + 1) || sock_group_ours(STRANGER))
			_exit(2);
		if (sock_listen(&l, &n, SOCK_STREAM, 4, &group) != -EPERM || is_there())
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name), cmocka_unit_test(test_mode), cmocka_unit_test(test_dead), cmocka_unit_test(test_others_files),
		cmocka_unit_test(test_alive), cmocka_unit_test(test_race), cmocka_unit_test(test_lock), cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_who), cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
