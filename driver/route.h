/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing, from the host: the routing areas of the NICs, and the frames that go between them and the kernel.
 *
 *   drv_bring_up (drv_opts.route) -> drv_route_open -> areas: lpm_make | lpm_adopt, hops -> drv_route_use
 *                                                   -> loop: drv_punt_next, drv_inject
 *                                                   -> drv_route_close
 *
 * AREA  drv_route_area() is the memory of <p2pnic/route.h>, mapped: give it to lpm_window_memory().  The NIC looks its
 *   head over and begins to use it at drv_route_use(on); from then on it is changed as route.h says.  The area is zero
 *   after a fresh bring-up; after an adoption it is as the former driver left it, and drv_route_used() says so.
 *
 * PUNTS  What the NICs can't do themselves comes to drv_punt_next(), copied; frames of one queue of a NIC in the order in
 *   which they came.  P2P_PUNTS lists the reasons.  While nobody takes them the NICs count them as drops; opening again begins with
 *   empty rings.  drv_inject() sends a frame as it is out of a port.
 *
 * WAKING  drv_punt_fd() becomes readable when a NIC has punted something since drv_punt_arm().  So: drv_punt_next() until
 *   it returns 0, drv_punt_arm(); if that returns false look again, else poll() the descriptor, then read it (8 bytes).
 *
 * DEATH  When the process ends, NICs with the persist bit route on with the last table; punts fill the rings and
 *   are then counted (punt_full).  The next process adopts them and opens again.
 *
 * A NIC THAT IS LOST  Any call that reaches for its registers says -ENOTCONN, at once and for good (driver/transport.h):
 *   drv_route_lost() asks.  Its memory stays mapped and may be read and written.  Whether the NIC still reads it is not
 *   known: its process may have ended, or be stopped and go on later.  So its area is to be written no more (lpm_abandon());
 *   then nothing of it need be waited for.
 *
 * OWNERSHIP  All memory is the driver's and lives until drv_route_close(), which must come before drv_destroy().
 * THREADS  One caller at a time for a struct drv and its struct drv_route; but drv_punt_next(), drv_punt_arm() and
 *   drv_inject() of one NIC may run beside calls for other NICs.  drv_inject() may write a register (which waits for the NIC).
 * ERRORS  0 or -errno with one line in drv_error(), unless said otherwise; -ENOTCONN: the NIC is lost.  nic: NIC_INDEX.
 *
 * Source: design section 5; layouts in <p2pnic/route.h> and <p2pnic/punt.h>.
 */
#ifndef DRIVER_ROUTE_H
#define DRIVER_ROUTE_H

#include <p2pnic/punt.h>
#include <p2pnic/route.h>

#include "driver/drv.h"

struct drv_route;

/* After drv_bring_up().  -EINVAL: the NICs run without routing; -EACCES: memory that can't be mapped. */
int drv_route_open(struct drv *d, struct drv_route **out);
/* Closes the punt sessions; the NICs route on. */
void drv_route_close(struct drv_route *r);

/* The area of a NIC, for as long as r is open. */
void *drv_route_area(struct drv_route *r, unsigned int nic, uint64_t *bytes);
/* Contexts (queues) that read it: p2p_route_shape.contexts. */
unsigned int drv_route_contexts(const struct drv_route *r);
/* On: the NIC looks the head over and routes by it.  -EBADMSG: it finds the head wrong.  Off: everything is punted (no_route). */
int drv_route_use(struct drv_route *r, unsigned int nic, bool on);
/* 1: it routes by its area; 0: not; -errno. */
int drv_route_used(struct drv_route *r, unsigned int nic);
/* Its connection is lost for good; one line in drv_error().  Asks the NIC: one that is stopped costs the transport's patience, once. */
bool drv_route_lost(struct drv_route *r, unsigned int nic);

/* A NIC's ports.  mac: 6 bytes; what is sent to another unicast address is dropped (other_mac). */
unsigned int drv_route_ports(const struct drv_route *r, unsigned int nic);
int drv_route_port_mac(struct drv_route *r, unsigned int nic, unsigned int port, uint8_t mac[6]);
int drv_route_set_port_mac(struct drv_route *r, unsigned int nic, unsigned int port, const uint8_t mac[6]);
int drv_route_link(struct drv_route *r, unsigned int nic, unsigned int port, bool *up);
/* Unicast reverse path, as Linux's rp_filter. */
int drv_route_set_rpf(struct drv_route *r, unsigned int nic, unsigned int port, enum p2p_rpf rpf);
/* Frames a second that a NIC punts for one reason; 0: no limit. */
int drv_route_set_rate(struct drv_route *r, unsigned int nic, enum p2p_punt reason, uint32_t per_second);

/* Packets and bytes (Ethernet header included) sent by a hop index, of all contexts, since the area was made. */
void drv_route_hop_count(struct drv_route *r, unsigned int nic, uint32_t hop, uint64_t *packets, uint64_t *bytes);

struct drv_punt {
	unsigned int port, queue; /* the ingress */
	enum p2p_punt reason;
	uint32_t hop; /* hop index that led here, P2P_PS_NO_HOP: none */
	uint32_t len;
};
/*
 * The next punted frame of a NIC into buf, P2P_PUNT_ROOM bytes.  1: there was one; 0: none now.  What makes no
 * sense is skipped and counted.  Sets no error text.
 */
int drv_punt_next(struct drv_route *r, unsigned int nic, struct drv_punt *p, uint8_t *buf);
/* An eventfd, nonblocking. */
int drv_punt_fd(struct drv_route *r, unsigned int nic);
/* Asks for the next event.  False: frames are there already. */
bool drv_punt_arm(struct drv_route *r, unsigned int nic);
/*
 * Sends a frame of 14 to P2P_MAX_FRAME bytes out of a port.  0: taken, and copied; -EAGAIN: the ring is full, try again
 * later; -EINVAL: length or port.  Sets no error text.
 */
int drv_inject(struct drv_route *r, unsigned int nic, unsigned int port, const void *frame, uint32_t len);

struct drv_route_stats {
	uint64_t punted, injected; /* taken and given here */
	uint64_t inject_full;      /* -EAGAIN */
	uint64_t bad, lost;        /* punts that made no sense, that never arrived */
};
void drv_route_stats(const struct drv_route *r, unsigned int nic, struct drv_route_stats *st);

#endif
