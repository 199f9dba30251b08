/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Another holder of a bell, who is there at the worst moment: right before the system call that would ring it the bell is
 * made one that blocks, and full.  For one file of a program that is linked with --wrap=write and --wrap=syscall.
 */
#ifndef TESTS_UNIT_SOCK_FILLED_H
#define TESTS_UNIT_SOCK_FILLED_H

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "sock/bell.h"
#include "tests/unit/sock/wrap_syscall.h"

#define FILLED_FULL 0xfffffffffffffffeull /* as far as write() can fill one */

ssize_t __real_write(int fd, const void *data, size_t n);
ssize_t __wrap_write(int fd, const void *data, size_t n);

static struct {
	int fd;
	bool armed; /* atomic */
	bool others; /* of the calls of other threads than `self` */
	pthread_t self;
	unsigned int times;
} filled;

/* Empties the bell; from now on it is filled whenever somebody rings. */
static inline void filled_arm(int fd, bool others)
{
	fcntl(fd, F_SETFL, O_NONBLOCK);
	bell_clear(fd);
	filled.fd = fd;
	filled.others = others;
	filled.self = pthread_self();
	__atomic_store_n(&filled.armed, true, __ATOMIC_RELEASE);
}

static void filled_now(void)
{
	const uint64_t full = FILLED_FULL;

	if (!__atomic_load_n(&filled.armed, __ATOMIC_ACQUIRE) || (filled.others && pthread_equal(filled.self, pthread_self())))
		return;
	__atomic_store_n(&filled.armed, false, __ATOMIC_RELEASE);
	if (__real_write(filled.fd, &full, sizeof(full)) == sizeof(full) && !fcntl(filled.fd, F_SETFL, 0))
		__atomic_fetch_add(&filled.times, 1, __ATOMIC_ACQ_REL);
}

ssize_t __wrap_write(int fd, const void *data, size_t n)
{
	filled_now();
	return __real_write(fd, data, n);
}

static bool syscall_seen(long number)
{
	if (number == SYS_io_submit)
		filled_now();
	return true;
}

#endif
