/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the vfio-user server: see server.h for what it does. */
#ifndef VFIO_USER_SERVER_PRIV_H
#define VFIO_USER_SERVER_PRIV_H

#include <pthread.h>
#include <sys/types.h>

#include "caps.h"
#include "msg.h"
#include "server.h"

/* The connection.  The server's thread alone touches it, but for what `lock` guards. */
struct vfu_conn {
	int fd; /* -1: none.  Written under lock and send_lock, so that either is enough to read it */
	bool greeted;
	bool attached;
	struct vfu_caps peer;
	uint8_t *in; /* the message being received */
	size_t have;
	size_t need; /* of it: the header, then all */
	struct vfu_fds fds;
	int64_t deadline_ms; /* of handshake or message; 0: none */
};

/* A thread waiting for the reply to a DMA message.  On its stack; in the list under lock. */
struct vfu_dma_wait {
	struct vfu_dma_wait *next;
	pthread_t thread;
	uint16_t id;
	uint16_t command;
	uint64_t iova;
	void *dst; /* DMA_READ */
	size_t len;
	bool done;
	int result;
};

struct vfu_server {
	struct vfu_server_config cfg;
	char *path;
	struct sock_listener listener;
	int wake_fd;
	bool started;
	bool stopping; /* atomic */
	pthread_t thread;
	int64_t accept_after_ms; /* out of descriptors: no accept before */
	struct vfu_conn conn;
	uint8_t *out;
	struct vfu_server_stats stats; /* atomic */

	pthread_mutex_t send_lock; /* one message at a time onto the socket; taken before lock */
	pthread_mutex_t lock;	   /* what follows */
	pthread_cond_t cond;	   /* a wait is done, or op_running rose */
	pthread_t self;		   /* the server's thread, as it says itself */
	bool up;		   /* DMA by message is possible */
	uint32_t dma_max;	   /* bytes of one message */
	bool dma_stalled;	   /* a reply is overdue, and none has come since */
	bool op_running;
	bool op_exclusive;
	struct vfu_dma_wait *waits;
	uint16_t next_id;
	uint64_t abandoned[65536 / 64]; /* ids whose late reply is to be dropped */
};

/* A request on its way through its handler. */
struct vfu_request {
	uint16_t id;
	uint16_t command;
	uint32_t flags;
	const uint8_t *body;
	size_t len;
	const struct vfu_fds *fds;
	size_t out_len; /* of the reply, in server->out */
	int out_fd;	/* closed once the reply was sent; -1: none */
	bool fd_goes;	/* with the reply */
};

static inline void vfu_stat(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* server.c: one round of the thread's loop, which waits until there is something to do; for the thread, or a test without. */
void vfu_server_turn(struct vfu_server *s);

/* server_dispatch.c: a whole message of an attached or arriving client.  -errno: close the connection. */
int vfu_server_handle(struct vfu_server *s, const struct vfu_header *h, const uint8_t *body, size_t len);
/* An error reply; value is an errno. */
int vfu_server_reply_error(struct vfu_server *s, int fd, uint16_t id, uint16_t command, int value);
size_t vfu_server_max_message(const struct vfu_server *s);

/* Around each call of the function's table.  Exclusive: no message DMA meanwhile. */
void vfu_server_op_begin(struct vfu_server *s, bool exclusive);
void vfu_server_op_end(struct vfu_server *s);

/* server_dma.c */
extern const struct p2p_dma_msg_ops vfu_server_dma_ops, vfu_server_dma_beyond_ops;
/* -EPROTO: a reply to nothing. */
int vfu_server_dma_reply(struct vfu_server *s, const struct vfu_header *h, const uint8_t *body, size_t len);
void vfu_server_dma_open(struct vfu_server *s);
void vfu_server_dma_close(struct vfu_server *s);

#endif
