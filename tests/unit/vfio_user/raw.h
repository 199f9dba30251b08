/* SPDX-License-Identifier: BSD-3-Clause */
/* A client that can misbehave: messages byte by byte, for the tests of the server. */
#ifndef TEST_RAW_H
#define TEST_RAW_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <vfio_user/msg.h>
#include <vfio_user/server.h>

#include "fake.h"

#define RAW_PATIENCE_MS 10000 /* until a test calls it a hang */

/* Server and function that a test talks to. */
struct bench {
	struct fake fake;
	struct vfu_server *server;
	char dir[32];
	char path[64];
	unsigned int open_fds; /* before anyone connected */
};

/* Timeouts of handshake and message; 0: the server's defaults. */
void bench_init(struct bench *b, uint32_t timeout_ms);
void bench_fini(struct bench *b);
/* Fails unless, soon, all descriptors that came from outside are closed. */
void bench_check_fds(struct bench *b);

int raw_connect(const char *path);
/* Connects and shakes hands. */
int raw_open(const char *path);
/* size 0: the right one.  Sends nfds copies of an open descriptor. */
void raw_send(int sock, uint16_t id, uint16_t command, uint32_t flags, uint32_t size, const void *body, size_t len,
	      unsigned int nfds);
/* The next message: length of its body, or -1 where the connection has ended. */
int raw_recv(int sock, struct vfu_header *h, void *body, size_t max);
/* Sends a command, expects its reply: 0 or the errno in it; -1: the connection has ended. */
int raw_ask(int sock, uint16_t command, const void *body, size_t len, void *out, size_t out_len);
/* Is the connection still there and of use? */
bool raw_alive(int sock);

#endif
