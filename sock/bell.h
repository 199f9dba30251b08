/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bells: eventfds that another party holds, too.
 *
 * Whoever has a descriptor of an eventfd may clear its O_NONBLOCK, empty it and fill it, at any moment: the open file
 * description is one.  So read() and write() may sleep for ever, whatever was asked before.  These two never sleep, whatever
 * the others do.  Other than that nothing is promised: another holder may take a bell away before the sleeper hears it.
 *
 * HOW  The kernel itself adds one to an eventfd at the end of an asynchronous read (IOCB_FLAG_RESFD) and does not look at
 *   flags or room for that; preadv2() with RWF_NOWAIT does not look at flags either.  A process has one AIO context, which
 *   it keeps.
 * THREADS  All may call all of it at any time.
 */
#ifndef SOCK_BELL_H
#define SOCK_BELL_H

#include <stdint.h>

#define BELL_ERR_MAX 128

/*
 * Makes the context and tries a bell, once; what comes later needs no rights but to use it.  A child after fork() has
 * none until it calls this.  0 or -errno: -EAGAIN: the system's contexts (fs.aio-max-nr) or memory are used up; -ENOSYS,
 * -EOPNOTSUPP, -EPERM: the kernel, or a filter, has none.  err: NULL, or where a line of up to BELL_ERR_MAX bytes goes then.
 */
int bell_open(char *err);

/* Adds one, or nothing if there is no room for it: it rings already.  -errno: not rung, since it is no eventfd, or as bell_open(). */
int bell_ring(int fd);

/* Takes all that has rung: how often, 0: it has not. */
uint64_t bell_clear(int fd);

#endif
