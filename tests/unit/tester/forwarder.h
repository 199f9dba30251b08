/* SPDX-License-Identifier: BSD-3-Clause */
/* A forwarder on a thread of its own, with faults: what comes in on either of two memif ports leaves by the other. */
#ifndef TESTS_TESTER_FORWARDER_H
#define TESTS_TESTER_FORWARDER_H

#include <pthread.h>

#include "../memif/env.h"

enum fault {
	FAULT_NONE,
	FAULT_DROP,
	FAULT_HEAD,     /* a bit of the sequence number */
	FAULT_LAST,     /* a bit of the last byte */
	FAULT_SHORT,    /* the last byte is missing */
	FAULT_TWICE,
	FAULT_LATE,     /* after the frame behind it */
	FAULT_BACKWARDS, /* as many at a time, the last of them first; all of one length, and their sum what `kept` holds */
	FAULT_FOREIGN,  /* and a frame of nobody's behind it */
	FAULT_ROUTE,    /* as a router: MAC addresses, TTL, IP checksum */
	FAULT_CHECKSUM, /* as a router, the checksum wrong */
	FAULT_KEEP,     /* until the next frame after forwarder_fault() */
	FAULT_LEAVE,    /* closes its ports */
};

struct forwarder {
	struct env port[2];
	pthread_t thread;
	bool stop;             /* atomic */
	uint32_t fault, every; /* atomic; every: of so many frames the last has the fault */
	uint64_t seen, faults; /* atomic; since the fault was set */
	uint8_t kept[16384];
	uint32_t kept_len;
};

/* role: the forwarder's.  Dies with a message if it can't. */
void forwarder_start(struct forwarder *f, const char *path0, const char *path1, const char *role, uint32_t bufs,
		     uint32_t stride);
void forwarder_stop(struct forwarder *f);
/* While nothing moves. */
void forwarder_fault(struct forwarder *f, enum fault fault, uint32_t every);

#endif
