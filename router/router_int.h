/* SPDX-License-Identifier: BSD-3-Clause */
/* What the router's files share. */
#ifndef ROUTER_ROUTER_INT_H
#define ROUTER_ROUTER_INT_H

#include <pthread.h>

#include "driver/route.h"
#include "router/router.h"

struct router_port {
	unsigned int nic, port; /* NIC_INDEX */
	struct router_tap tap;
	bool held;              /* its frame waits for room in the inject ring */
	uint32_t len;
	uint8_t *frame;
	uint64_t to_kernel, to_nic, refused; /* frames; refused: by the TAP */
};

struct router {
	struct drv *drv;
	struct router_opts opts;
	struct drv_route *route;
	/* The driver has one caller at a time: router_drv_take(), router_drv_give(). */
	pthread_mutex_t drv_lock, drv_turn;
	struct router_port *port;
	unsigned int ports;
	const char *name[P2P_MAX_NICS];  /* by NIC_INDEX */
	int by_port[P2P_MAX_NICS][P2P_MAX_PORTS]; /* index in port[], -1: none */
	struct area *area;
	struct fib *fib;
	struct kernel *kernel;
	int stop_fd;
	bool stopping;
	bool carrying, following; /* threads that run */
	pthread_t carrier, follower;
	uint64_t links_ns; /* when links are looked at next */
	uint64_t retry_ns; /* and what the NICs refused is tried again */
	size_t refused;    /* prefixes, when that was looked at last */
	unsigned int adopted;
	bool lost[P2P_MAX_NICS]; /* by the order of drv_add(): area abandoned */
	unsigned int policy; /* rules that are not followed, as said last */
};

/*
 * In turn: who waits for drv_lock keeps drv_turn, so that the thread between rings and TAPs, which under load takes the lock
 * again as soon as it has let go of it, waits behind it.
 */
static inline void router_drv_take(struct router *r)
{
	pthread_mutex_lock(&r->drv_turn);
	pthread_mutex_lock(&r->drv_lock);
	pthread_mutex_unlock(&r->drv_turn);
}

static inline void router_drv_give(struct router *r)
{
	pthread_mutex_unlock(&r->drv_lock);
}

/* carry.c: the thread between rings and TAPs. */
void *router_carry(void *arg);
/* answer.c: the next connection; -1: there is none, or of somebody who may not ask. */
int router_accept(struct router *r);
/* One question from a connection; takes it over. */
void router_answer(struct router *r, int fd);

#endif
