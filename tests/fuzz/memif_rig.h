/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A memif port and its far end, both in a harness's hands, on one thread and in virtual time: the port as the board uses
 * it, every buffer accounted for; the far end with messages and memory of its own.
 */
#ifndef TESTS_FUZZ_MEMIF_RIG_H
#define TESTS_FUZZ_MEMIF_RIG_H

#include <ports/memif_int.h>
#include "fuzz.h"

#define RIG_BUFS 64u
#define RIG_STRIDE 256u
#define RIG_SOCKS 4u
#define RIG_LOG2 3u
#define RIG_RING 512u    /* from one ring to the next, as far end that is the client */
#define RIG_DATA 8192u   /* where its buffers begin */
#define RIG_MAX_RINGS 4u /* of a direction */
#define RIG_LANES 2u

/* A queue of the NIC's: a port with buffers of its own (ports/port.h, "QUEUES"). */
struct memif_lane {
	struct port *port;
	struct port_memory mem;
	bool posted[RIG_BUFS]; /* the port has it */
	uint32_t tx_head, tx_tail;
};

struct memif_rig {
	struct memif_port *m;
	bool server; /* the port is */
	uint64_t now_ns;
	unsigned int lanes;
	struct memif_lane lane[RIG_LANES]; /* the first is m's own */

	int sock[RIG_SOCKS]; /* of the far end; -1: none */
	/* Far end as client: its memory.  As server: the port's ring memory, once it was lent. */
	uint8_t *base;
	size_t size;
	int memfd;
	bool sealed, cut;
	unsigned int queues;
	unsigned int regions, rings[2]; /* of the handshake, so far: S2C, C2S */
	uint32_t offset[2][RIG_MAX_RINGS];
	uint8_t log2[2][RIG_MAX_RINGS];
};

/*
 * how: bit 0 the port is the server, 1 two queues for each lane, 2 a secret, 3 the far end's memory is not sealed, 5 two
 * lanes, but for a port whose rings are used in place (4).
 */
void memif_rig_open(struct memif_rig *g, uint8_t how);
void memif_rig_close(struct memif_rig *g);

/* The port.  Time passes, control() is called, of all lanes or of the first. */
void memif_rig_control(struct memif_rig *g, uint32_t ms);
void memif_rig_control_first(struct memif_rig *g, uint32_t ms);
/* A lane: any number means one. */
void memif_rig_receive(struct memif_rig *g, unsigned int lane, unsigned int n);
void memif_rig_transmit(struct memif_rig *g, unsigned int lane, unsigned int frames, unsigned int segs, uint32_t len);
void memif_rig_arm(struct memif_rig *g, unsigned int lane, bool sleeping);
/* All lanes. */
void memif_rig_done(struct memif_rig *g);
bool memif_rig_is_up(const struct memif_rig *g);

/* The far end.  connect: as client to the port; as server the place takes whoever has come. */
void memif_rig_connect(struct memif_rig *g, unsigned int k);
void memif_rig_hang_up(struct memif_rig *g, unsigned int k);
/* Takes the port's messages, and what memory they bring. */
void memif_rig_listen(struct memif_rig *g, unsigned int k);
/* A message as it should be now, of this type, and the descriptor that goes with it (the caller's; -1). */
struct memif_msg memif_rig_message(struct memif_rig *g, uint16_t type, int *fd);
bool memif_rig_send(struct memif_rig *g, unsigned int k, const struct memif_msg *msg, size_t size, const int *fds, unsigned int nfds);
/* The whole handshake. */
void memif_rig_up(struct memif_rig *g);
struct memif_ring *memif_rig_ring(struct memif_rig *g, bool c2s, unsigned int index);

#endif
