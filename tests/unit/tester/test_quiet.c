/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tester/quiet.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int first_cpu(void)
{
	cpu_set_t set;
	int cpu = 0;

	sched_getaffinity(0, sizeof(set), &set);
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &set))
		cpu++;
	return cpu;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void spin(uint64_t ns)
{
	for (uint64_t end = now_ns() + ns; now_ns() < end;)
		;
}

/* A second process on the same core: both wait for about half of the time. */
static void test_shared_core(void **state)
{
	struct quiet_target self = { .tid = 0, .cpu = first_cpu() };
	struct quiet_snapshot a, b;
	struct quiet_report r;
	cpu_set_t before;
	pid_t child;

	sched_getaffinity(0, sizeof(before), &before);
	pin(self.cpu);
	child = fork();
	if (!child) {
		alarm(20);
		for (;;)
			;
	}
	quiet_take(&a, &self, 1);
	spin(300000000u);
	quiet_take(&b, &self, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	sched_setaffinity(0, sizeof(before), &before);
	quiet_compare(&r, &a, &b, 0);
	assert_true(r.disturbed);
	assert_true(r.wait_ns > 0);
	assert_true(r.preempted > 0);
	assert_int_equal(r.worst_tid, syscall(SYS_gettid));
	assert_true(r.worst_ppm > QUIET_DISTURBED_PPM);
	assert_true(r.time_ns >= 300000000u);
}

static void test_differences(void **state)
{
	struct quiet_snapshot a = { .at_ns = 1000, .n = 2 }, b = { .at_ns = 1000001000, .n = 2 };
	struct quiet_report r;

	a.count[0] = (struct quiet_counts){ .run_ns = 5, .wait_ns = 7, .preempted = 3, .steal_ns = 10, .seen = true };
	a.count[1] = a.count[0];
	b.count[0] = (struct quiet_counts){ .run_ns = 9, .wait_ns = 1000007, .preempted = 5, .steal_ns = 10, .seen = true };
	b.count[1] = (struct quiet_counts){ .run_ns = 9, .wait_ns = 7, .preempted = 4, .steal_ns = 2000010, .seen = true };
	b.target[0].tid = 11;
	b.target[1].tid = 12;
	quiet_compare(&r, &a, &b, 0);
	assert_int_equal(r.wait_ns, 1000000);
	assert_int_equal(r.steal_ns, 2000000);
	assert_int_equal(r.preempted, 2);
	assert_int_equal(r.worst_tid, 12);
	assert_int_equal(r.worst_ppm, 2000);
	assert_false(r.disturbed);
	quiet_compare(&r, &a, &b, 1999);
	assert_true(r.disturbed);
}

/* A thread that ends is not taken for one that was left in peace. */
static void test_gone(void **state)
{
	struct quiet_target t = { .cpu = -1 };
	struct quiet_snapshot a, b;
	struct quiet_report r;
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	t.tid = child;
	quiet_take(&a, &t, 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	quiet_take(&b, &t, 1);
	assert_true(a.count[0].seen);
	assert_false(b.count[0].seen);
	quiet_compare(&r, &a, &b, 0);
	assert_true(r.disturbed);
}

static void *wait_forever(void *arg)
{
	sigset_t all;
	int sig;

	sigfillset(&all);
	sigwait(&all, &sig);
	return NULL;
}

static void test_threads(void **state)
{
	pid_t tid[8], child;
	pthread_t th;
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (!child) {
		pthread_create(&th, NULL, wait_forever, NULL);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(quiet_threads(child, tid, 8), 2);
	assert_true(tid[0] == child || tid[1] == child);
	assert_int_equal(quiet_threads(child, tid, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(quiet_threads(child, tid, 8), 0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_shared_core),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
