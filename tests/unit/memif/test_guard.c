/* SPDX-License-Identifier: BSD-3-Clause */
/* Recovery from SIGBUS: pages cut away under a guarded range, and faults that are nobody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ports/guard.h"

#define PAGES 8

static uint8_t *map_file(int *fd, size_t size)
{
	uint8_t *p;

	*fd = memfd_create("guard", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(ftruncate(*fd, (off_t)size), 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static void test_cut_page_is_replaced(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	volatile int hit = 7;
	int fd;
	uint8_t *p = map_file(&fd, PAGES * page);

	assert_int_equal(guard_add(p, PAGES * page, &hit), 0);
	assert_int_equal(hit, 0);
	memset(p, 0xaa, PAGES * page);
	assert_int_equal(hit, 0);
	assert_int_equal(ftruncate(fd, (off_t)(2 * page)), 0);
	assert_int_equal(*(volatile uint8_t *)(p + page), 0xaa);
	assert_int_equal(hit, 0);
	assert_int_equal(*(volatile uint8_t *)(p + 5 * page + 17), 0);
	assert_int_equal(hit, 1);
	*(volatile uint8_t *)(p + 5 * page) = 3;
	assert_int_equal(*(volatile uint8_t *)(p + 5 * page), 3);
	*(volatile uint8_t *)(p + PAGES * page - 1) = 4;
	assert_int_equal(*(volatile uint8_t *)(p + page), 0xaa);
	guard_remove(p);
	munmap(p, PAGES * page);
	close(fd);
}

static void test_bad_arguments(void **state)
{
	volatile int hit;
	int fd;
	uint8_t *p = map_file(&fd, 4096);

	assert_int_not_equal(guard_add(NULL, 4096, &hit), 0);
	assert_int_not_equal(guard_add(p, 0, &hit), 0);
	assert_int_not_equal(guard_add(p + 1, 4096, &hit), 0);
	assert_int_not_equal(guard_add(p, 4096, NULL), 0);
	guard_remove(p);
	munmap(p, 4096);
	close(fd);
}

static void test_table_ends(void **state)
{
	volatile int hit;
	int fd;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = map_file(&fd, (GUARD_MAX_RANGES + 1) * page);
	unsigned int n;

	for (n = 0; n <= GUARD_MAX_RANGES && !guard_add(p + n * page, page, &hit); n++)
		;
	assert_int_equal(n, GUARD_MAX_RANGES);
	while (n)
		guard_remove(p + --n * page);
	assert_int_equal(guard_add(p, page, &hit), 0);
	guard_remove(p);
	munmap(p, (GUARD_MAX_RANGES + 1) * page);
	close(fd);
}

static volatile int others;

static void other_handler(int sig, siginfo_t *info, void *context)
{
	others++;
	_exit(42);
}

/* Faults outside: to the handler that was there first, else to the end of the process. */
static int foreign_fault(int with_handler)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sigaction sa = { .sa_sigaction = other_handler, .sa_flags = SA_SIGINFO };
		volatile int hit;
		int fd;
		uint8_t *p = map_file(&fd, 2 * 4096), *q = map_file(&fd, 4096);

		if (with_handler)
			sigaction(SIGBUS, &sa, NULL);
		else
			signal(SIGBUS, SIG_DFL);
		if (guard_add(p, 2 * 4096, &hit))
			_exit(1);
		if (ftruncate(fd, 0))
			_exit(2);
		*(volatile uint8_t *)q = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_foreign_fault_chains(void **state)
{
	int status = foreign_fault(1);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void test_foreign_fault_kills(void **state)
{
	int status = foreign_fault(0);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void *churn(void *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (int i = 0; i < 200; i++) {
		volatile int hit;
		int fd;
		uint8_t *p = map_file(&fd, 4 * page);

		assert_int_equal(guard_add(p, 4 * page, &hit), 0);
		*(volatile uint8_t *)(p + 3 * page) = 1;
		assert_int_equal(ftruncate(fd, (off_t)page), 0);
		*(volatile uint8_t *)(p + 2 * page) = 1;
		assert_int_equal(hit, 1);
		guard_remove(p);
		munmap(p, 4 * page);
		close(fd);
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	/* The two that fork come first: the handler chains to what it found when it was installed. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_fault_chains), cmocka_unit_test(test_foreign_fault_kills),
		cmocka_unit_test(test_cut_page_is_replaced), cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_table_ends),           cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
