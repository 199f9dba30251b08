/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * syscall() of a program that is linked with --wrap=syscall, for one file of it, which defines
 *   static bool syscall_seen(long number);     before each call; false: it is not made, and fails with what errno says
 */
#ifndef TESTS_UNIT_SOCK_WRAP_SYSCALL_H
#define TESTS_UNIT_SOCK_WRAP_SYSCALL_H

#include <stdarg.h>
#include <stdbool.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static bool syscall_seen(long number);

long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (unsigned int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return syscall_seen(number) ? __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) : -1;
}

#endif
