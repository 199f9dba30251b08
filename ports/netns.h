/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network namespaces: a port's devices and sockets may be in another one than
 * the process.  A thread enters, makes what it needs there, and leaves.
 */
#ifndef PORTS_NETNS_H
#define PORTS_NETNS_H

#include "ports/port.h"

/*
 * Opens a network namespace by its name as `ip netns` has it, or by a path.
 * *fd is then the caller's to close.  Returns 0 or -errno and one line in err
 * that begins with scheme.
 */
int port_netns_open(const char *scheme, const char *netns, int *fd, char err[PORT_ERR_MAX]);

/*
 * The calling thread enters the namespace; *home is the way back.  fd < 0: it
 * stays where it is and *home is -1.  Returns 0 or -errno, then nothing has changed.
 */
int port_netns_enter(int fd, int *home);

/* Back; closes home.  Returns 0 or -errno: the thread is still in the other namespace. */
int port_netns_leave(int home);

#endif
