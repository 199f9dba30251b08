/* SPDX-License-Identifier: BSD-3-Clause */
/* A far end made of bare messages and bare memory, that can do everything wrong. */
#ifndef TESTS_MEMIF_RAW_H
#define TESTS_MEMIF_RAW_H

#include "env.h"
#include "ports/memif_proto.h"

#define RAW_LOG2 3
#define RAW_SLOTS (1u << RAW_LOG2)
#define RAW_BYTES 65536u
#define RAW_RING 512u /* distance of the two rings in region 0 */
#define RAW_BUFS 4096u /* where its buffers begin */

struct raw {
	int listener; /* as server */
	int sock;
	int memfd; /* region 0, as client */
	int evfd[2];
	size_t size;
	uint8_t *base;
	struct memif_ring *c2s, *s2c;
	struct memif_desc posted[RAW_SLOTS];
};

/* Messages; send returns 0 or -errno.  recv pumps the port until there is one; returns its type, or -1 if it hung up. */
int raw_send(struct raw *r, const struct memif_msg *msg, int fd);
int raw_send_bytes(struct raw *r, const void *data, size_t len, const int *fds, unsigned int nfds);
int raw_recv(struct raw *r, struct env *port, struct memif_msg *msg, int *fd);
/* Pumps the port until it has closed the channel; false after 10 s. */
bool raw_hung_up(struct raw *r, struct env *port);
void raw_close(struct raw *r);

/* As client of the server port at path.  seals: of region 0. */
void raw_client_memory(struct raw *r, int seals);
void raw_client_connect(struct raw *r, struct env *port, const char *path); /* to the HELLO */
struct memif_msg raw_init(uint32_t id);
struct memif_msg raw_region(uint16_t index, uint64_t size);
struct memif_msg raw_ring(bool c2s, uint16_t index);
/* The whole handshake; link up on return. */
void raw_client_up(struct raw *r, struct env *port, const char *path, int seals);
/* The same from the connection on, with memory of r's own, and these two rings and their eventfds. */
void raw_client_shake(struct raw *r, struct env *port, const char *path, const struct memif_msg ring[2], const int evfd[2]);

/* As server of the client port at path. */
void raw_server_listen(struct raw *r, const char *path);
void raw_server_accept(struct raw *r, struct env *port);
struct memif_msg raw_hello(void);
/* log2: of the rings, RAW_LOG2 at least. */
void raw_server_up(struct raw *r, struct env *port, unsigned int log2);

/* Below n; the same row of numbers in each process. */
uint32_t raw_random(uint32_t n);

#endif
