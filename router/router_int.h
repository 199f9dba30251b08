/* SPDX-License-Identifier: BSD-3-Clause */
/* What the router's files share. */
#ifndef ROUTER_ROUTER_INT_H
#define ROUTER_ROUTER_INT_H

#include <poll.h>
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

#define ROUTER_ASKERS 16

/* Who has connected to ask. */
struct asker {
	int fd;
	bool asked;        /* for a table, when it was not time for one */
	char *text;        /* the answer; NULL: none yet */
	size_t len, done;
	uint64_t since_ns; /* he came, or last took something */
	uint64_t until_ns; /* all of it is taken by then */
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
	struct asker asker[ROUTER_ASKERS];
	unsigned int askers;
	uint64_t tables_ns; /* before that no table is put into words */
	uint64_t accept_ns; /* nor a connection taken */
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

/* answer.c: text is the caller's to free.  -ENOMEM. */
int router_answer(struct router *r, const char *question, char **text, size_t *len);
/* Whether the answer is a whole table, which may be long. */
bool router_answer_is_table(const char *question);

/*
 * askers.c.  now: CLOCK_MONOTONIC.  A turn is: poll() what router_askers_poll() fills in, ROUTER_ASKERS at most, until
 * router_askers_due(); router_askers_serve() with the same; router_accept() if the listener is readable, which is not to be
 * asked before accept_ns.
 */
unsigned int router_askers_poll(const struct router *r, struct pollfd *p);
uint64_t router_askers_due(const struct router *r);
void router_askers_serve(struct router *r, const struct pollfd *p, uint64_t now);
void router_accept(struct router *r, uint64_t now);
void router_askers_end(struct router *r);

#endif
