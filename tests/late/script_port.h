/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cable in the hands of a test: frames to receive are queued by the test,
 * frames sent are handed to it, the link goes up and down and the cable stands
 * still when the test says so.  Semantics are those of ports/port.h.
 *
 * A frame that is sent is looked at when it is taken and when it is finished:
 * memory that changes in between is a violation (somebody reused a slot early).
 *
 * Violations of the port contract are counted and the first is kept as text.
 */
#ifndef TESTS_LATE_SCRIPT_PORT_H
#define TESTS_LATE_SCRIPT_PORT_H

#include <ports/port.h>

struct script_port;

struct script_port_cfg {
	const uint64_t *now_ns; /* the test's clock */
	uint64_t seed;
	uint32_t tx_room;        /* segments that the cable takes before it must finish some; 0: 256 */
	uint64_t tx_frame_ns;    /* time on the wire of a frame; 0: random and short */
	bool late;               /* finish frames at random times, take bursts in random portions */
	/* A frame left the port.  data is valid during the call. */
	void (*out)(void *arg, const uint8_t *data, uint32_t len);
	/* Is this segment memory that the port may be given?  Receiving: rx.  May be NULL. */
	bool (*seg_ok)(void *check_arg, const struct p2p_seg *seg, bool rx);
	void *arg, *check_arg;
};

struct script_port *script_port_create(const struct script_port_cfg *cfg);
void script_port_destroy(struct script_port *sp);
/* Whom seg_ok is asked about; the port outlives its NIC when a NIC is killed and comes back. */
void script_port_check(struct script_port *sp, bool (*seg_ok)(void *, const struct p2p_seg *, bool), void *check_arg);

/* fn is called before whatever the board's side does: in the midst of a firmware step. */
void script_port_each(struct script_port *sp, void (*fn)(void *arg), void *arg);
/* Whoever writes to this region may also do so while the port sends from there. */
void script_port_restless(struct script_port *sp, uint16_t region);

/* The test's side. */
void script_port_receive(struct script_port *sp, const uint8_t *data, uint32_t len, uint64_t at_ns);
void script_port_link(struct script_port *sp, bool up);
void script_port_stand(struct script_port *sp, bool stand); /* take up to tx_room and finish nothing */
void script_port_pace(struct script_port *sp, uint64_t tx_frame_ns);
void script_port_swap(struct script_port *sp); /* break the contract: the two oldest posted buffers change places */
uint32_t script_port_pending(const struct script_port *sp); /* frames on the cable, not yet accepted */
void script_port_forget_pending(struct script_port *sp);
uint32_t script_port_posted(const struct script_port *sp);
uint32_t script_port_sending(const struct script_port *sp); /* segments taken and not yet handed back */
/* When something happens here by itself: a frame arrives, one has been sent.  UINT64_MAX: never. */
uint64_t script_port_next(const struct script_port *sp);
/* Something for the NIC to take: a frame that a posted buffer waits for, segments done, a link change. */
bool script_port_event(struct script_port *sp);
const struct port_stats *script_port_stats(const struct script_port *sp);
const char *script_port_violation(const struct script_port *sp); /* NULL: none */
/* The NIC died or was stopped: buffers forgotten, frames in hand counted tx_lost.  Returns those frames. */
uint32_t script_port_stop(struct script_port *sp);

/* The board's side. */
uint32_t script_port_rx_burst(struct script_port *sp, struct p2p_seg *segs, uint32_t n);
uint32_t script_port_rx_post(struct script_port *sp, const struct p2p_seg *segs, uint32_t n);
uint32_t script_port_tx_burst(struct script_port *sp, const struct p2p_seg *segs, uint32_t n);
uint32_t script_port_tx_done(struct script_port *sp);
bool script_port_link_up(const struct script_port *sp);

#endif
