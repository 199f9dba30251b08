/* SPDX-License-Identifier: BSD-3-Clause */
/* Bells: none sleeps, whatever another holder does to them, and none is lost. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sock/bell.h"
#include "tests/unit/sock/wrap_syscall.h"

#define TOGGLE_FULL 0xfffffffffffffffeull /* as far as write() can fill one */
#define THREADS 4
#define RINGS 5000u /* more than the kernel's ring of what has ended holds */
#define TOGGLED 20000u
#define PATIENCE_S 60

static bool refuse;
static unsigned int setups, reaps; /* atomic */

static bool syscall_seen(long number)
{
	__atomic_fetch_add(&setups, number == SYS_io_setup, __ATOMIC_RELAXED);
	__atomic_fetch_add(&reaps, number == SYS_io_getevents, __ATOMIC_RELAXED);
	if (number != SYS_io_setup || !refuse)
		return true;
	errno = EAGAIN;
	return false;
}

/* A test that sleeps where it must not ends here. */
static int setup(void **state)
{
	alarm(PATIENCE_S);
	return 0;
}

static int blocking(uint64_t count)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	if (count)
		assert_int_equal(write(fd, &count, sizeof(count)), sizeof(count));
	return fd;
}

/* First of all: nobody has made the context. */
static void test_no_context(void **state)
{
	char err[BELL_ERR_MAX];
	int fd = blocking(0);

	refuse = true;
	assert_int_equal(bell_open(err), -EAGAIN);
	assert_non_null(strstr(err, "fs.aio-max-nr"));
	assert_int_equal(bell_ring(fd), -EAGAIN);
	refuse = false;
	assert_int_equal(bell_clear(fd), 0);
	assert_int_equal(bell_ring(fd), 0);
	assert_int_equal(bell_clear(fd), 1);
	setups = 0;
	assert_int_equal(bell_open(NULL), 0);
	assert_int_equal(setups, 0);
	close(fd);
}

static void test_full(void **state)
{
	int fd = blocking(TOGGLE_FULL);
	uint64_t n;

	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(bell_ring(fd), 0);
	n = bell_clear(fd);
	assert_true(n >= TOGGLE_FULL);
	assert_int_equal(bell_clear(fd), 0);
	close(fd);
}

static void test_empty(void **state)
{
	int fd = blocking(0);

	assert_int_equal(bell_clear(fd), 0);
	assert_int_equal(bell_ring(fd), 0);
	assert_int_equal(bell_ring(fd), 0);
	assert_int_equal(bell_clear(fd), 2);
	assert_int_equal(bell_clear(fd), 0);
	close(fd);
}

static void test_no_eventfd(void **state)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_true(bell_ring(p[1]) < 0);
	assert_int_equal(bell_clear(p[0]), 0);
	close(p[0]);
	close(p[1]);
	assert_int_equal(bell_ring(p[1]), -EBADF);
	assert_int_equal(bell_ring(-1), -EBADF);
	assert_int_equal(bell_clear(-1), 0);
}

static void *ring_many(void *arg)
{
	for (unsigned int i = 0; i < RINGS; i++)
		if (bell_ring(*(int *)arg))
			return arg;
	return NULL;
}

static void test_all_arrive(void **state)
{
	int fd = blocking(0);
	pthread_t t[THREADS];
	void *failed;

	reaps = 0;
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ring_many, &fd), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(bell_clear(fd), THREADS * RINGS);
	assert_true(reaps > 0);
	close(fd);
}

static void *ring_once(void *arg)
{
	return bell_ring(*(int *)arg) ? arg : NULL;
}

static void test_wakes(void **state)
{
	struct pollfd p = { .fd = blocking(0), .events = POLLIN };
	pthread_t t;
	void *failed;

	assert_int_equal(pthread_create(&t, NULL, ring_once, &p.fd), 0);
	assert_int_equal(poll(&p, 1, -1), 1);
	pthread_join(t, &failed);
	assert_null(failed);
	assert_int_equal(bell_clear(p.fd), 1);
	close(p.fd);
}

static void test_fork(void **state)
{
	int fd = blocking(0), status;
	pid_t pid = fork();

	if (!pid)
		_exit(bell_open(NULL) || bell_ring(fd));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(bell_ring(fd), 0);
	assert_int_equal(bell_clear(fd), 2);
	close(fd);
}

/*
 * Another holder: a thread that empties the bell and fills it again, each time blocking, and then waits until the victim
 * has come past once more.  A victim that sleeps in it is never let go.
 */
struct toggle {
	int fd;
	unsigned int done; /* how often the victim has come past; atomic */
	bool stop;	   /* atomic */
	pthread_t thread;
};

static void toggle_pause(unsigned int most)
{
	for (unsigned int i = (unsigned int)rand() % most; i; i--)
		__asm__ volatile("" ::: "memory");
}

static void *toggle_main(void *arg)
{
	const uint64_t full = TOGGLE_FULL;
	struct toggle *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		unsigned int seen;

		fcntl(t->fd, F_SETFL, O_NONBLOCK);
		bell_clear(t->fd);
		toggle_pause(500);
		if (write(t->fd, &full, sizeof(full)) < 0)
			continue; /* it has just rung */
		fcntl(t->fd, F_SETFL, 0);
		seen = __atomic_load_n(&t->done, __ATOMIC_ACQUIRE);
		while (__atomic_load_n(&t->done, __ATOMIC_ACQUIRE) == seen && !__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE))
			sched_yield();
	}
	return NULL;
}

/* 0 or an errno. */
static int toggle_start(struct toggle *t, int fd)
{
	*t = (struct toggle){ .fd = fd };
	return pthread_create(&t->thread, NULL, toggle_main, t);
}

static void toggle_passed(struct toggle *t)
{
	__atomic_fetch_add(&t->done, 1, __ATOMIC_ACQ_REL);
}

static void toggle_stop(struct toggle *t)
{
	__atomic_store_n(&t->stop, true, __ATOMIC_RELEASE);
	pthread_join(t->thread, NULL);
}

static void test_toggled(void **state)
{
	int fd = blocking(0);
	struct toggle t;

	assert_int_equal(toggle_start(&t, fd), 0);
	for (unsigned int i = 0; i < TOGGLED; i++) {
		assert_int_equal(bell_ring(fd), 0);
		if (i % 8 == 0)
			bell_clear(fd);
		toggle_passed(&t);
	}
	toggle_stop(&t);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_no_context, setup), cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_empty, setup),	cmocka_unit_test_setup(test_no_eventfd, setup),
		cmocka_unit_test_setup(test_all_arrive, setup), cmocka_unit_test_setup(test_wakes, setup),
		cmocka_unit_test_setup(test_fork, setup),	cmocka_unit_test_setup(test_toggled, setup),
	};

	return cmocka_run_group_tests_name("bell", tests, NULL, NULL);
}
