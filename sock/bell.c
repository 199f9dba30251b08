/* SPDX-License-Identifier: BSD-3-Clause */
#include "sock/bell.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BELL_EVENTS 32 /* at least so many ring before the kernel's ring is emptied */
#define BELL_TRIES 8

static aio_context_t bell_context; /* 0: none */
static bool bell_forks;

/* Contexts stay with the parent. */
static void bell_forked(void)
{
	__atomic_store_n(&bell_context, 0, __ATOMIC_RELAXED);
}

/* What became of the reads is of no interest, but it takes room. */
static void bell_reap(aio_context_t ctx)
{
	struct io_event done[BELL_EVENTS];
	struct timespec none = { 0 };

	syscall(SYS_io_getevents, ctx, 0L, (long)BELL_EVENTS, done, &none);
}

static int bell_submit(aio_context_t ctx, int fd)
{
	/* Less than eight bytes can't be read of an eventfd: that ends at once, and touches nothing. */
	struct iocb cb = { .aio_fildes = (uint32_t)fd, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_flags = IOCB_FLAG_RESFD,
			   .aio_resfd = (uint32_t)fd };
	struct iocb *one = &cb;

	for (unsigned int i = 0; i < BELL_TRIES; i++) {
		if (syscall(SYS_io_submit, ctx, 1L, &one) == 1)
			return 0;
		if (errno != EAGAIN)
			return -errno;
		bell_reap(ctx);
	}
	return -EAGAIN;
}

static int bell_try(aio_context_t ctx)
{
	int fd = eventfd(0, EFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = bell_submit(ctx, fd);
	if (!err && bell_clear(fd) != 1)
		err = -EOPNOTSUPP;
	close(fd);
	return err;
}

static int bell_make(void)
{
	aio_context_t ctx = 0, none = 0;
	int err;

	if (!__atomic_exchange_n(&bell_forks, true, __ATOMIC_ACQ_REL)) {
		err = -pthread_atfork(NULL, NULL, bell_forked);
		if (err) {
			__atomic_store_n(&bell_forks, false, __ATOMIC_RELEASE);
			return err;
		}
	}
	if (syscall(SYS_io_setup, (long)BELL_EVENTS, &ctx) < 0)
		return -errno;
	err = bell_try(ctx);
	/* Of two threads that come here at once one's stays. */
	if (err || !__atomic_compare_exchange_n(&bell_context, &none, ctx, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		syscall(SYS_io_destroy, ctx);
	return err;
}

int bell_open(char *err)
{
	int rc = __atomic_load_n(&bell_context, __ATOMIC_ACQUIRE) ? 0 : bell_make();

	if (rc && err)
		snprintf(err, BELL_ERR_MAX, "no AIO context for bells: %s%s", strerror(-rc),
			 rc == -EAGAIN ? "; raise fs.aio-max-nr" : "");
	return rc;
}

int bell_ring(int fd)
{
	aio_context_t ctx = __atomic_load_n(&bell_context, __ATOMIC_ACQUIRE);
	int err;

	if (!ctx) {
		err = bell_open(NULL);
		if (err)
			return err;
		ctx = __atomic_load_n(&bell_context, __ATOMIC_ACQUIRE);
	}
	return bell_submit(ctx, fd);
}

uint64_t bell_clear(int fd)
{
	uint64_t n;
	struct iovec iov = { .iov_base = &n, .iov_len = sizeof(n) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(n) ? n : 0;
}
