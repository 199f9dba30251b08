/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bn's host loop: what a CPU-driven forwarder does, with everything else equal.
 *
 * For every ingress port of every NIC it consumes a receive ring in main memory,
 * moves each descriptor to the send ring that it names (a flooded one to every
 * other port's), rings the egress NIC's doorbell once per batch, and hands the
 * buffers back to the ingress NIC when the egress NIC has completed them.
 * Payload is never touched; on a lossy fabric a free buffer is scrubbed before it is
 * handed back: the words that its next frame will be judged by are overwritten, so
 * that what lies there cannot pass for a frame whose write was lost.
 *
 * It asks nothing of an operating system but the bell, so that a simulator can
 * run it too.  THREADS: step and destroy on one thread; statistics by anyone.
 *
 * TRUST: rings in main memory are written by NICs.  A descriptor is copied once,
 * then checked; its buffer must be the one handed over for that slot.
 *
 * Source: design section 3, "bn"; layout in <p2pnic/ring.h>.
 */
#ifndef DRIVER_BN_HOST_H
#define DRIVER_BN_HOST_H

#include <p2pnic/layout.h>
#include <p2pnic/regs.h>

struct bn_host_nic {
	struct p2p_doorbell *doorbell;
	struct p2p_host_area *area;
	uint8_t *pool;        /* its buffers, touched only if the fabric is lossy */
	uint64_t pool_offset; /* theirs in the pool; a multiple of P2P_DW_UNIT */
	struct p2p_shape shape;
};

struct bn_host_opts {
	unsigned int nics;
	struct bn_host_nic nic[P2P_MAX_NICS];
	uint32_t batch;
	uint32_t silence_ms; /* a NIC not heard from for so long is down */
	bool backpressure; /* a full send ring holds up its receive ring instead of dropping */
	bool lossy;        /* the fabric may lose writes: look for holes, scrub buffers handed to NICs */
	uint32_t stride;   /* lossy: the NICs' */
	uint32_t seed;     /* unpredictable: incarnations and sequence numbers come from it */
	void (*bell)(void *arg, unsigned int nic); /* wake NIC; may be NULL */
	void *bell_arg;
};

struct bn_host_stats {
	uint64_t moved;           /* frames taken from receive rings */
	uint64_t forwarded;       /* frames put into send rings, each copy of a flooded one counted */
	uint64_t flood_copies;
	uint64_t desc_bytes;      /* read from receive rings and written to send rings */
	uint64_t doorbell_bytes;  /* written to doorbell pages */
	uint64_t holes, pokes, bad_line;
	uint64_t drops[P2P_NUM_DROPS];
};

struct bn_host;

/* 0, -EINVAL (a shape that can't be), -ENOMEM. */
int bn_host_create(struct bn_host **out, const struct bn_host_opts *opts);
void bn_host_destroy(struct bn_host *h);
/* NIC has begun anew with other memory: its doorbell is here now.  What it held is lost. */
void bn_host_replace(struct bn_host *h, unsigned int nic, struct p2p_doorbell *doorbell);
/* One round over everything.  Returns 0 if something was moved, else when to look again at the latest. */
uint64_t bn_host_step(void *h, uint64_t now_ns);
/* Before sleeping (true) and after; ask for a bell.  Look once more after true. */
void bn_host_sleep(struct bn_host *h, bool asleep);
/* Every NIC has a session with the host. */
bool bn_host_ready(const struct bn_host *h);
/* Frames taken from receive rings and not yet completed by their egress. */
uint64_t bn_host_held(const struct bn_host *h);
const struct bn_host_stats *bn_host_stats(const struct bn_host *h);

#endif
