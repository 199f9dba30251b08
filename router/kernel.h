/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's links, addresses, neighbours, nexthop objects and routes by
 * netlink, into a FIB: all of them once, then every change.
 *
 *   kernel_open -> kernel_sync -> { poll kernel_fd() until kernel_due_ns();
 *                                   kernel_read; kernel_tick } ... -> kernel_close
 *
 * RESYNCHRONISATION  What the kernel does without saying so is looked up: a full
 *   dump, compared with what is held (fib.h).  It follows, a moment later and not
 *   too often, when messages were lost (ENOBUFS), an interface went down, an
 *   address or a nexthop object was removed, or a message could not be read or does not fit what is held.
 *
 * Whatever network namespace the thread is in at kernel_open() is followed.
 *
 * THREADS  one caller at a time, the FIB's.  ERRORS  0 or -errno with one line in err.
 *
 * Source: rtnetlink(7); Linux include/uapi/linux/{rtnetlink,neighbour,nexthop}.h.
 */
#ifndef ROUTER_KERNEL_H
#define ROUTER_KERNEL_H

#include "router/fib.h"

#define KERNEL_ERR_MAX 256
#define KERNEL_RCVBUF (64u << 20)

struct kernel_opts {
	unsigned int rcvbuf; /* bytes of the socket that hears changes; 0: KERNEL_RCVBUF, or as much as is allowed */
};

struct kernel_counts {
	uint64_t events;      /* messages about changes */
	uint64_t overruns;    /* times that the kernel lost some for want of room */
	uint64_t syncs;       /* complete dumps */
	uint64_t interrupted; /* dumps that changes got in the way of, begun again */
	uint64_t refused;     /* messages that could not be read or taken over */
	unsigned int policy;  /* rules of `ip rule` beyond the usual ones, VRF's among them: not followed */
	uint64_t sync_ns;     /* how long the last took */
	bool due;             /* another is to come */
};

struct kernel;

int kernel_open(struct kernel **out, struct fib *fib, const struct kernel_opts *o, char err[KERNEL_ERR_MAX]);
void kernel_close(struct kernel *k);
int kernel_fd(const struct kernel *k);
/* Everything that there is; afterwards the FIB is what the kernel has. */
int kernel_sync(struct kernel *k, char err[KERNEL_ERR_MAX]);
/* Takes over what has come, bounded; returns 1 if there is more. */
int kernel_read(struct kernel *k);
/* When kernel_tick() has something to do, CLOCK_MONOTONIC. */
uint64_t kernel_due_ns(const struct kernel *k);
/* A resynchronisation that is due; once a second, asks the kernel to look after neighbours (fib_ask) and fib_flush(). */
int kernel_tick(struct kernel *k, char err[KERNEL_ERR_MAX]);
void kernel_counts(const struct kernel *k, struct kernel_counts *c);
/* Follow again from scratch, soon. */
void kernel_resync(struct kernel *k);

#endif
