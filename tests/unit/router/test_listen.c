/* SPDX-License-Identifier: BSD-3-Clause */
/* The router's socket: what lies at its path gives way only if it is a socket that nobody listens at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/router_int.h"

static char dir[] = "/tmp/p2pnic-listen-XXXXXX", path[64];
static const struct sock_trust nobody; /* but us and root */

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

static void at(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
}

/* One line in err if it is refused; what it has opened is closed again. */
static int try(char err[ROUTER_ERR_MAX])
{
	struct sock_listener l;
	int rc = router_listen(&l, path, &nobody, err);

	assert_int_equal(l.fd >= 0, !rc);
	if (l.fd >= 0)
		close(l.fd);
	if (rc)
		assert_true(strstr(err, path) && !strchr(err, '\n'));
	return rc;
}

static int other(int type, int backlog)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static int knock(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static void test_free_and_stale(void **state)
{
	char err[ROUTER_ERR_MAX];
	struct stat st;

	at("a");
	assert_int_equal(try(err), 0);
	/* It was closed, its file lies there still. */
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(try(err), 0);
	unlink(path);
}

static void test_files(void **state)
{
	char err[ROUTER_ERR_MAX], to[80], got[8] = "";
	struct stat st;
	FILE *f;

	at("file");
	f = fopen(path, "w");
	fputs("mine", f);
	fclose(f);
	assert_int_equal(try(err), -EEXIST);
	assert_non_null(strstr(err, "is no socket"));
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(got, sizeof(got), f));
	assert_string_equal(got, "mine");
	fclose(f);
	/* A link, even if it leads to nothing. */
	snprintf(to, sizeof(to), "%s", path);
	at("link");
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(try(err), -EEXIST);
	assert_int_equal(lstat(path, &st), 0);
	unlink(path);
	unlink(to);
	at("pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(try(err), -EEXIST);
	assert_int_equal(unlink(path), 0);
	at("dir");
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(try(err), -EEXIST);
	assert_int_equal(rmdir(path), 0);
	at("no/such/place");
	assert_int_equal(try(err), -ENOENT);
}

static void test_live(void **state)
{
	int fd, guest[8], i;
	char err[ROUTER_ERR_MAX];

	at("live");
	fd = other(SOCK_STREAM, 0);
	assert_int_equal(try(err), -EADDRINUSE);
	assert_non_null(strstr(err, "another router answers"));
	/* Too busy to take a connection: it lives all the same. */
	for (i = 0; i < 8; i++)
		guest[i] = knock();
	assert_int_equal(knock(), -1);
	assert_int_equal(try(err), -EADDRINUSE);
	for (i = 0; i < 8; i++)
		if (guest[i] >= 0)
			close(guest[i]);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
	at("datagrams");
	fd = other(SOCK_DGRAM, -1);
	assert_int_equal(try(err), -EPROTOTYPE);
	assert_non_null(strstr(err, "another program's"));
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
}

/* Whom the mode lets in all the same is told by his credentials. */
static void test_stranger(void **state)
{
	struct sock_listener l;
	struct router r = { .opts = { .listener = &l } };
	char err[ROUTER_ERR_MAX];
	int fd, status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	at("stranger");
	assert_int_equal(router_listen(&l, path, &nobody, err), 0);
	assert_int_equal(chmod(dir, 0755) || chmod(path, 0666), 0);
	pid = fork();
	if (!pid)
		_exit(setuid(65534) || knock() < 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	router_accept(&r, 1);
	assert_int_equal(r.askers, 0);
	assert_int_equal(r.accept_ns, 0);
	fd = knock();
	assert_true(fd >= 0);
	router_accept(&r, 1);
	assert_int_equal(r.askers, 1);
	router_askers_end(&r);
	close(fd);
	sock_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_and_stale), cmocka_unit_test(test_files), cmocka_unit_test(test_live),
		cmocka_unit_test(test_stranger),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
