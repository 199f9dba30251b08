/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI functions are reset by the kernel when their last descriptor is closed: `p2pnic up` stays and holds them.
 *
 *   hold_take     descriptors of a former process: from the service manager's store, or from a process that holds the
 *                 NICs now and gives them up once we have them
 *   hold_taken    we go on with them: the former holder ends
 *   hold_run      sleeps until a signal, or until another process takes over; lets go of a function that the kernel
 *                 wants back (unbind, hot-unplug), and says when one reports an error
 *
 * The holder's sockets are hold-ADDRESS.sock in the runtime directory, one of which is served; the others are
 * links to it.  Under a service manager with a descriptor store the descriptors go there too, and a
 * signal leaves the NICs running: they are the manager's to keep or to close.
 */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include "cli/up.h"

struct hold {
	int former;  /* connection to the former holder, -1: none */
	int heir;    /* likewise to who has taken over, which waits until hold_end() closes it */
	bool stored; /* the service manager has the descriptors */
	struct sock_trust trust; /* who may take over */
	bool alone;  /* bn: whoever took over would find no host part; nothing is offered */
	const char *who; /* holds them: the command that notes are of */
	void (*quiet)(void *arg); /* called before a function is let go of: what else uses the NICs stops.  May be NULL */
	void *arg;
};

#define HOLD_INIT { .former = -1, .heir = -1, .who = "up" }

/* Before the NICs are opened.  0, also where there is nothing to take over; -errno with one line in err. */
int hold_take(struct hold *h, struct drv *d, const struct up_addr *a, unsigned int n, char err[CLI_ERR_MAX]);
void hold_taken(struct hold *h, struct drv *d);
/* monitor: called twice a second, may be NULL.  True: the NICs are ours to bring down; false: somebody else has them. */
bool hold_run(struct hold *h, struct drv *d, void (*monitor)(struct drv *d, void *arg), void *arg);
/* Without hold_taken() the former holder goes on.  Whoever has taken over may touch the container from now on. */
void hold_end(struct hold *h);

#endif
