/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The router of a mesh of NICs: the kernel's routes go into the NICs, what they
 * can't do goes to the kernel and comes back.
 *
 *   drv_bring_up (drv_opts.route) -> router_create -> router_destroy -> drv_destroy
 *
 * It follows the kernel of the network namespace of the calling thread and
 * makes one TAP for each port there.
 *
 * DEATH  If the process ends without router_destroy(), or with keep, TAPs stay in
 *   the kernel without carrier and the NICs route on; router_create() of the next
 *   takes both over.  Before its table replaces the former one, gateways are
 *   asked for, so that none of them is missing in it.
 *
 * A NIC THAT IS LOST  (its process ended, or did not answer for the transport's patience) holds no other up: its area is
 *   abandoned (router/area.h), its ports have no carrier, and a line says so.  So is one that answers but has passed no epoch for
 *   10 s, when routes are refused meanwhile.  It, or one in its place, comes back by the next router, which gives it its whole
 *   table.
 *
 * THREADS  two of its own: one carries frames between rings and TAPs, the other
 *   follows the kernel and links and answers questions.  The driver is theirs until router_destroy().
 * ERRORS  0 or -errno with one line in err.
 *
 * Source: design section 5.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include <stdbool.h>

#include "driver/drv.h"
#include "router/area.h"
#include "router/kernel.h"
#include "router/tap.h"
#include "sock/sock.h"

#define ROUTER_ERR_MAX 600

struct router_opts {
	const char *nic_name[P2P_MAX_NICS];                 /* in the order of drv_add() */
	char tap_name[P2P_MAX_NICS][P2P_MAX_PORTS][TAP_NAME_MAX]; /* "": router_tap_default() */
	struct sock_listener *listener; /* where questions are answered, the caller's to close; NULL: nowhere */
	bool keep;          /* TAPs stay when it ends */
	void (*note)(const char *line); /* one line for a person, from either thread */
};

struct router;

/* Errors as sock_listen()'s; l->fd is -1 then. */
int router_listen(struct sock_listener *l, const char *path, const struct sock_trust *trust, char err[ROUTER_ERR_MAX]);

int router_create(struct router **out, struct drv *d, const struct router_opts *o, char err[ROUTER_ERR_MAX]);
void router_destroy(struct router *r);
/* As if opts.keep had been set: somebody else goes on. */
void router_keep(struct router *r);

/* NIC's name, 'p', port; colons, which the kernel does not take, as '_'.  False: that is too long for a device. */
bool router_tap_default(char name[TAP_NAME_MAX], const char *nic, unsigned int port);

#endif
