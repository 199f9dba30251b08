/* SPDX-License-Identifier: BSD-3-Clause */
/* Child processes: what they say, that they end, that they don't outlive us. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/forward/proc.h"

static char dir[] = "/tmp/p2pnic-test-proc-XXXXXX", log_path[64];

static int begin(void **state)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	return 0;
}

static int end(void **state)
{
	unlink(log_path);
	return rmdir(dir);
}

static int shell(struct fwd_proc *p, const char *script, bool talks, char err[FWD_ERR_MAX])
{
	struct fwd_proc_opts o = { .name = "shell", .log = log_path, .talks = talks, .cpu = -1 };
	struct fwd_args a = { 0 };

	fwd_arg(&a, "sh");
	fwd_arg(&a, "-c");
	fwd_arg(&a, "%s", script);
	return fwd_proc_start(p, &a, &o, err);
}

static void test_talk(void **state)
{
	char err[FWD_ERR_MAX], said[256], line[64];
	struct fwd_proc p;
	off_t at;

	assert_int_equal(shell(&p, "echo ready; while read x; do echo got $x; done; echo over >&2", true, err), 0);
	assert_int_equal(fwd_proc_expect(&p, "ready", 0, 5000, NULL, 0, err), 0);
	at = fwd_proc_at(&p);
	assert_int_equal(fwd_proc_tell(&p, "this\n", err), 0);
	assert_int_equal(fwd_proc_expect(&p, "got", at, 5000, said, sizeof(said), err), 0);
	assert_null(strstr(said, "ready"));
	assert_int_equal(fwd_proc_expect(&p, "never", 0, 20, NULL, 0, err), -ETIMEDOUT);
	assert_true(fwd_proc_alive(&p));
	close(p.in);
	p.in = -1;
	assert_int_equal(fwd_proc_expect(&p, "never", 0, 5000, NULL, 0, err), -EPIPE);
	assert_non_null(strstr(err, "shell has ended; the last it said was: over"));
	fwd_proc_last_line(&p, line, sizeof(line));
	assert_string_equal(line, "over");
	fwd_proc_stop(&p, 0);
}

static void test_not_there(void **state)
{
	struct fwd_proc_opts o = { .name = "nothing", .log = log_path, .cpu = -1 };
	struct fwd_args a = { 0 };
	char err[FWD_ERR_MAX];
	struct fwd_proc p;

	fwd_arg(&a, "/no/such/program");
	assert_int_equal(fwd_proc_start(&p, &a, &o, err), -ENOENT);
	assert_non_null(strstr(err, "/no/such/program"));
	assert_false(fwd_proc_alive(&p));
	fwd_proc_stop(&p, 100);
	for (int k = 0; k < FWD_MAX_ARGS; k++)
		fwd_arg(&a, "x");
	assert_int_equal(fwd_proc_start(&p, &a, &o, err), -E2BIG);
}

static void test_stubborn(void **state)
{
	char err[FWD_ERR_MAX];
	struct fwd_proc p;
	pid_t pid;

	assert_int_equal(shell(&p, "trap '' TERM; echo deaf; while :; do sleep 0.01; done", false, err), 0);
	assert_int_equal(fwd_proc_expect(&p, "deaf", 0, 5000, NULL, 0, err), 0);
	pid = p.pid;
	fwd_proc_stop(&p, 50);
	assert_int_equal(kill(pid, 0), -1);
}

/* Whoever starts a child and dies takes it along, even by SIGKILL. */
static void test_orphan(void **state)
{
	char err[FWD_ERR_MAX], text[32];
	int fd[2], k;
	struct fwd_proc p;
	pid_t mother, child = 0;

	assert_int_equal(pipe(fd), 0);
	mother = fork();
	if (!mother) {
		if (shell(&p, "sleep 60", false, err))
			_exit(1);
		k = snprintf(text, sizeof(text), "%d", (int)p.pid);
		_exit(write(fd[1], text, (size_t)k + 1) < 0 ? 1 : (pause(), 0));
	}
	assert_true(read(fd[0], text, sizeof(text)) > 0);
	child = atoi(text);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(mother, SIGKILL), 0);
	assert_int_equal(waitpid(mother, NULL, 0), mother);
	/* It is somebody else's to reap now: gone, or a zombie. */
	for (k = 0; k < 500; k++) {
		char path[64], stat[256] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
		f = fopen(path, "r");
		if (!f || !fgets(stat, sizeof(stat), f) || strstr(stat, ") Z")) {
			if (f)
				fclose(f);
			break;
		}
		fclose(f);
		usleep(10000);
	}
	assert_true(k < 500);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_talk, begin, end),
		cmocka_unit_test_setup_teardown(test_not_there, begin, end),
		cmocka_unit_test_setup_teardown(test_stubborn, begin, end),
		cmocka_unit_test_setup_teardown(test_orphan, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
