/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes into the kernel's main table, many at a time, under a protocol number of our own.
 *
 *   writer_open -> { writer_add | writer_del } ... writer_end -> writer_close
 *
 * Requests are sent in batches; the kernel's refusals are counted, and the first is kept.
 *
 * THREADS  one caller.  ERRORS  0 or -errno.
 *
 * Source: rtnetlink(7).
 */
#ifndef ROUTER_KERNEL_WRITE_H
#define ROUTER_KERNEL_WRITE_H

#include "router/fib.h"

#define WRITER_PROTOCOL 80 /* as `ip route` shows it */

struct writer;

struct writer_hop {
	struct router_addr gateway;
	uint8_t family; /* of gateway, 0: none */
	uint32_t ifindex;
	uint16_t weight; /* 1-256, 0 as 1; of several */
};

int writer_open(struct writer **out);
void writer_close(struct writer *w);
/* type: RTN_*.  At most FIB_MAX_HOPS ways.  An error is one of sending; what the kernel thinks of it comes later. */
int writer_add(struct writer *w, const struct router_prefix *p, uint8_t type, const struct writer_hop *hop, unsigned int n,
	       uint32_t metric);
int writer_del(struct writer *w, const struct router_prefix *p, uint32_t metric);
/*
 * Waits for the last answer.  *refused: how many the kernel did not take; first: the number, from 0, of the first
 * of them, and why (-errno).
 */
int writer_end(struct writer *w, uint64_t *refused, uint64_t *first, int *why);

#endif
