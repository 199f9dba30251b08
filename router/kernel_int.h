/* SPDX-License-Identifier: BSD-3-Clause */
/* What the netlink files share. */
#ifndef ROUTER_KERNEL_INT_H
#define ROUTER_KERNEL_INT_H

#include <libmnl/libmnl.h>

#include "router/kernel.h"

struct kernel {
	struct fib *fib;
	struct mnl_socket *events, *ask;
	uint32_t seq;
	uint8_t *buf;
	bool in_dump;
	bool linkdown_matters; /* some interface has ignore_routes_with_linkdown set */
	uint64_t sync_at_ns, sync_end_ns, ask_at_ns; /* the first if one is due */
	unsigned int rules;    /* counted by a dump */
	struct kernel_counts counts;
};

/* kernel_parse.c: one message, of a dump or about a change.  0 or -errno. */
int kernel_message(struct kernel *k, const struct nlmsghdr *m);

uint64_t kernel_now_ns(void);

#endif
