/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a router (router/answer.c). */
#ifndef CLI_ROUTER_CLIENT_H
#define CLI_ROUTER_CLIENT_H

#include <json-c/json.h>

#include "cli/cli.h"

/* An answered line; freed afterwards.  Non-zero ends it and is returned. */
typedef int (*router_line_fn)(void *ctx, struct json_object *line);

/*
 * socket: what --router-socket said, or NULL.  -ENOENT: no router answers there; others: the first
 * non-zero of fn or -errno.  All with one line in err.
 */
int router_ask(const char *socket, const char *question, router_line_fn fn, void *ctx, char err[CLI_ERR_MAX]);

/* show_router.c: the views of `show` that are the router's; false: it is none. */
bool show_is_router(const char *view);
int show_router(const char *view, const char *socket, bool json, char err[CLI_ERR_MAX]);
/* A route as one line of text. */
void show_route_text(struct json_object *route, FILE *f);

#endif
