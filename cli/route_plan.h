/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes that are to be given to the kernel, their gateways looked up beforehand: nothing is written if one is wrong.
 */
#ifndef CLI_ROUTE_PLAN_H
#define CLI_ROUTE_PLAN_H

#include "cli/cli.h"
#include "router/kernel.h"
#include "router/kernel_write.h"
#include "router/trie.h"

/* The kernel as a router with all its interfaces as ports would see it, once. */
struct kernel_view {
	struct fib *fib;
	struct kernel *kernel;
};
int kernel_view_open(struct kernel_view *v, char err[CLI_ERR_MAX]);
void kernel_view_close(struct kernel_view *v);

#define PLAN_NO_GATEWAY UINT32_MAX

struct plan_gateway {
	unsigned int family;
	struct router_addr addr;
	uint32_t dev; /* interface, 0: the plan's, or as routes to it say */
	bool resolved;
	struct writer_hop hop; /* what the kernel is told */
};
struct plan_route {
	struct router_prefix prefix;
	uint8_t type;      /* RTN_* */
	uint32_t first, n; /* gateways: n of list[first...]; n 0: none */
};
struct plan_way {
	uint32_t gateway; /* its number */
	uint16_t weight;  /* 1-256 */
};
struct plan {
	struct kernel_view view;
	struct trie over[2]; /* the plan's own prefixes, which gateways may be reached by */
	struct plan_gateway *gw;
	size_t gws, gw_room;
	struct plan_route *route;
	size_t routes, room;
	struct plan_way *list;
	size_t listed, list_room;
	uint32_t dev;   /* interface for all, 0: as gateways say */
	bool resolve;
};

/* An empty plan that knows nothing of the kernel; gateways of it are not resolved. */
void plan_init(struct plan *p);
/* 0 or -errno with one line in err. */
int plan_open(struct plan *p, const char *dev, bool resolve, char err[CLI_ERR_MAX]);
void plan_close(struct plan *p);
/* A gateway by its text and interface (0: any); the same give the same number. */
int plan_gateway(struct plan *p, const char *text, uint32_t dev, uint32_t *number, char err[CLI_ERR_MAX]);
/* A route of a type (RTN_*) by n ways. */
int plan_add(struct plan *p, const struct router_prefix *prefix, uint8_t type, const struct plan_way *way, uint32_t n,
	     char err[CLI_ERR_MAX]);
/* Finds every gateway's interface, or the neighbour that leads to it. */
int plan_resolve(struct plan *p, char err[CLI_ERR_MAX]);
int plan_write(struct plan *p, uint32_t metric, char err[CLI_ERR_MAX]);

/* "10.0.0.0/8"; one line that says what is wrong. */
int plan_prefix(const char *text, struct router_prefix *p, char err[CLI_ERR_MAX]);

#endif
