/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors from process to process: to a service manager and back, and over a socket.
 *
 * SERVICE MANAGER  As sd_notify(3) and sd_listen_fds(3) have it, which define the protocol: a datagram to $NOTIFY_SOCKET;
 *   $LISTEN_FDS descriptors from 3 on, named by $LISTEN_FDNAMES, if $LISTEN_PID is us.
 * SOCKET  SOCK_SEQPACKET.  The holder sends a message for each descriptor, its name as the text, then an empty name.
 *   The taker answers "ok" when it goes on with them; until then they are the holder's to keep alive.
 *
 * OWNERSHIP  received descriptors are the caller's, close-on-exec.
 * ERRORS  0 or -errno.
 */
#ifndef DRIVER_HANDOVER_H
#define DRIVER_HANDOVER_H

#include <sys/types.h>

#include "driver/vfio_container.h"
#include "sock/sock.h"

#define HANDOVER_TIMEOUT_MS 5000

/* What the service manager gave us of our own; others are left alone.  Forgets them: a second call finds none. */
unsigned int handover_listen_fds(struct vfio_fd *out);
/* Tells the service manager; fd -1: none.  -ENOENT: there is no service manager. */
int handover_notify(const char *text, int fd);

/* As sock_listen(). */
int handover_listen(struct sock_listener *l, const char *path, const struct sock_trust *trust);
/* As sock_accept(); pid: of who connected. */
int handover_accept(const struct sock_listener *l, int *fd, pid_t *pid);
int handover_connect(const char *path, int *fd);
int handover_send(int fd, const struct vfio_fd *fds, unsigned int n);
int handover_recv(int fd, struct vfio_fd *out, unsigned int *n);
int handover_ok_send(int fd);
/* 0: the taker has gone on with them; -ECONNRESET: it has not. */
int handover_ok_recv(int fd);
/* Waits until the other end is closed. */
void handover_wait_end(int fd);

#endif
