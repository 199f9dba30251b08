/* SPDX-License-Identifier: BSD-3-Clause */
/* A port with memory behind it, and frames whose every byte can be checked: for tests of cables. */
#ifndef TESTS_MEMIF_ENV_H
#define TESTS_MEMIF_ENV_H

#include "ports/port.h"

#define ENV_BURST 32

struct env {
	struct port *port;
	struct port_memory mem; /* region 0: receive, region 1: send */
	uint32_t bufs, stride;
	uint32_t tx_head, tx_tail; /* send buffers lent to the port */
	uint64_t sent, received;   /* frames; received is also the next sequence number expected */
	uint64_t lost, reordered, corrupted;
	uint32_t seed;
};

uint64_t env_now_ns(void);

/* Opens spec, makes memory for bufs receive and bufs send buffers, starts, posts.  Dies with a message if it can't. */
void env_open(struct env *e, const char *spec, uint32_t bufs, uint32_t stride);
void env_close(struct env *e);
/* The same with e[q] for each of several queues of one port; nobody may be in any of them. */
void env_open_queues(struct env *e, unsigned int queues, const char *spec, uint32_t bufs, uint32_t stride);
void env_close_queues(struct env *e, unsigned int queues);
/* port_open() for the memif scheme alone; err as there. */
int env_port_open(struct port **out, const char *spec, char err[PORT_ERR_MAX]);

/* A frame's bytes, as a function of seed, sequence number and length. */
void env_fill(uint8_t *data, uint32_t len, uint32_t seed, uint64_t seq);
/* The sequence number of a frame, or UINT64_MAX if any byte of it is wrong. */
uint64_t env_check(const uint8_t *data, uint32_t len, uint32_t seed);

/*
 * Sends up to n frames of len bytes, in segments of at most seg bytes; returns
 * how many the port took.  Sequence numbers count up from e->sent.
 */
unsigned int env_send(struct env *e, unsigned int n, uint32_t len, uint32_t seg);
/* Receives one burst, checks every frame against `seed`, posts the buffers again; returns frames. */
unsigned int env_receive(struct env *e, uint32_t seed);
void env_reap(struct env *e);
void env_control(struct env *e);

#endif
