/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages on the socket, for both ends.  No state, no locks: whoever calls
 * sees to it that one thread at a time sends, and one receives.
 */
#ifndef VFIO_USER_MSG_H
#define VFIO_USER_MSG_H

#include <sys/uio.h>

#include "proto.h"

/* Descriptors that came with a message; whoever holds the struct owns them. */
struct vfu_fds {
	int fd[VFU_MAX_MSG_FDS];
	unsigned int n;
	bool truncated; /* there were more; the kernel closed those */
};

void vfu_fds_close(struct vfu_fds *fds);

/* CLOCK_MONOTONIC */
int64_t vfu_now_ms(void);

/*
 * Sends header and body whole; header.size is filled in.  fds stay the
 * caller's.  Waits for room until deadline_ms.
 * -EPIPE and its like: the other end is gone.  -ETIMEDOUT: it does not read.
 * After an error the stream is out of step and must be shut down.
 */
int vfu_msg_send(int sock, struct vfu_header *header, const struct iovec *body, unsigned int nbody, const int *fds,
		 unsigned int nfds, int64_t deadline_ms);

/*
 * What is there now, len bytes at most, without waiting.  Descriptors are added
 * to *fds, close-on-exec.  Returns the count, 0 at the end of the stream,
 * -EAGAIN if nothing is there, else -errno.
 */
int64_t vfu_msg_recv(int sock, void *buf, size_t len, struct vfu_fds *fds);

/* Waits for events (POLLIN, POLLOUT): 0, -ETIMEDOUT, -errno. */
int vfu_msg_wait(int sock, short events, int64_t deadline_ms);

/* A header in the sender's own words. */
struct vfu_header vfu_msg_header(uint16_t id, uint16_t command, uint32_t flags);

#endif
