/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user server: one PCI function on one UNIX stream socket.
 *
 * Source: the vfio-user specification (see proto.h), "Client/server
 * interactions" and "Protocol Specification".
 *
 * CLIENTS: one at a time.  While one is attached, a further one gets an error
 * reply (EBUSY) and is closed; while one is still shaking hands, further ones
 * wait.  Who has not sent its VERSION within handshake_timeout_ms, or begins a
 * message and does not end it within message_timeout_ms, or does not read what
 * we send for as long, is disconnected.
 *
 * ERRORS of a client: what can be answered gets an error reply and changes
 * nothing; what puts the stream out of step (a size below the header's or above
 * the limit, a message that is neither command nor reply, a reply to nothing, a
 * first message other than VERSION) gets an error reply where it was a command,
 * and the connection is closed.  Descriptors that came along are closed in every case.
 *
 * THREADS: the server has one thread of its own.  It alone reads the socket and
 * it alone calls the function's table (function.h), one call at a time.  The
 * table's calls may block it, for instance until the worker that owns the NIC
 * has done what was asked.
 *
 * DMA BY MESSAGE: attached() hands the function a struct p2p_dma_msg_ops, whose
 * calls any thread but the server's may make, many at a time.  They block until
 * the client's reply, which the server's thread receives.  The client, though,
 * may well answer only after we have answered a request of its own (QEMU holds
 * its one big lock while it waits), and that request may need the very worker
 * that waits.  Hence:
 *
 *  - while the server's thread is inside a call of the table, a thread that waits
 *    in read() or write() calls ops->serve(fn) over and over: the board then runs
 *    what is queued for that thread, the call returns, the server goes on and
 *    receives the reply.  A board that has no serve() loses the DMA instead: it
 *    ends with -EIO as soon as a request arrives.
 *  - dma_unmap, dma_unmap_all and reset must find the workers at rest.  All
 *    message DMA under way ends with -EIO before they are called, and what is
 *    started during such a call fails with -EIO at once.  The client's late
 *    reply is dropped.
 *  - a call of the table (and so serve()) must not itself do DMA by message: it
 *    would wait for a reply that the client may owe us only after our own.
 *    Where that is noticed (from the server's thread or within serve()) it fails
 *    with -EIO; else it ends with -ETIMEDOUT.
 *
 *  - a client that owes a reply for longer than dma_timeout_ms must not stall the
 *    worker again and again: until some reply of it comes, even a late one, all
 *    further transfers fail with -ETIMEDOUT at once.
 *
 * A transfer longer than the client's max_data_xfer_size becomes several
 * messages; after an error it is not known which of them took place.
 */
#ifndef VFIO_USER_SERVER_H
#define VFIO_USER_SERVER_H

#include <p2pnic/function.h>

#include "sock/sock.h"

struct vfu_server;

struct vfu_server_config {
	const char *path; /* copied */
	const struct p2p_function_ops *ops;
	void *fn;
	struct sock_trust trust; /* who may be the client */
	/* 0 stands for the default in brackets. */
	uint32_t max_data_xfer_bytes;  /* [1 MiB] */
	uint32_t max_dma_maps;	       /* [65535] what we tell the client; the function refuses with -ENOSPC */
	uint32_t handshake_timeout_ms; /* [5000] */
	uint32_t message_timeout_ms;   /* [5000] */
	uint32_t dma_timeout_ms;       /* [5000] of one message */
};

/* Each counts since create(). */
#define VFU_SERVER_COUNTERS(X) \
	X(clients, "clients attached") \
	X(refused, "connections refused because a client was attached, or of who may not") \
	X(handshake_failures, "connections that never became clients") \
	X(requests, "requests taken") \
	X(request_errors, "requests that failed") \
	X(protocol_errors, "disconnections because of a broken stream or a timeout") \
	X(dma_reads, "DMA_READ messages sent") \
	X(dma_writes, "DMA_WRITE messages sent") \
	X(dma_errors, "of those: refused, overtaken, or lost with the client") \
	X(dma_timeouts, "of those: no reply in time") \
	X(served, "requests answered while message DMA was under way")

struct vfu_server_stats {
#define X(name, desc) uint64_t name;
	VFU_SERVER_COUNTERS(X)
#undef X
};

/*
 * Makes the socket (mode 0600, 0660 with a group) and listens.  A socket file that nobody listens
 * on is replaced.  Errors are sock_listen()'s and sock_name()'s.
 * Nothing is called in the function before start().
 */
int vfu_server_create(const struct vfu_server_config *cfg, struct vfu_server **out);
int vfu_server_start(struct vfu_server *s);
/* Disconnects the client (the function sees detached()) and ends the thread.  May be started again. */
void vfu_server_stop(struct vfu_server *s);
/* Stops if need be, removes the socket file if it is still ours.  NULL is fine. */
void vfu_server_destroy(struct vfu_server *s);

/* From any thread. */
bool vfu_server_attached(struct vfu_server *s);
void vfu_server_stats(struct vfu_server *s, struct vfu_server_stats *out);

#endif
