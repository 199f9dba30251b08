/* SPDX-License-Identifier: BSD-3-Clause */
/* The router within a command: run --route, and router. */
#ifndef CLI_ROUTING_H
#define CLI_ROUTING_H

#include "cli/opts.h"
#include "driver/drv.h"
#include "router/router.h"

#define ROUTING_SOCKET "router.sock"

/* 0; -EOPNOTSUPP with one line in err: this build has no routing. */
int routing_built(char err[CLI_ERR_MAX]);

/* Where the router will answer.  socket NULL: ROUTING_SOCKET in the runtime directory.  0 or -errno with one line in err. */
int routing_listen(struct sock_listener *l, const char *socket, const struct sock_trust *trust, char err[CLI_ERR_MAX]);
/* A router for d's NICs, which are called names; questions is closed after routing_stop().  0 or -errno with one line in err. */
int routing_start(struct router **out, struct drv *d, const char *const *names, const struct cli_list *taps,
		  struct sock_listener *questions, bool keep, char err[CLI_ERR_MAX]);
void routing_stop(struct router *r); /* NULL: nothing */

#endif
