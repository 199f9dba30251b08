/* SPDX-License-Identifier: BSD-3-Clause */
/* Route tables made once, at start: run --static-route, --static-route-file and --router-mac. */
#ifndef CLI_STATIC_ROUTE_H
#define CLI_STATIC_ROUTE_H

#include "cli/opts.h"
#include "driver/drv.h"

/*
 * routes: "PREFIX=NIC.PORT,MAC", where packets go and the address that they are sent to there; file (NULL: none; "-": standard
 * input): a "PREFIX NIC.PORT MAC" a line, as lpm/list.h reads plain lists; macs: "NIC.PORT=MAC", the address under which a
 * port routes.  d's NICs, brought up with routing, are called names.  All of them get all routes; what would be the kernel's is
 * dropped (punt_nobody).  0 or -errno with one line in err.
 */
int static_routes_set(struct drv *d, const char *const *names, const struct cli_list *routes, const char *file,
		      const struct cli_list *macs, char err[CLI_ERR_MAX]);

#endif
