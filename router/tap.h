/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port's device in the kernel: a TAP that carries what the NIC punts, and
 * whose output the NIC sends.  It has the port's MAC address and its link as carrier.
 *
 * It is made persistent: addresses and routes on it outlive a router that dies,
 * and the next one takes it over by its name.  tap_close() removes it or leaves it.
 *
 * THREADS  tap_read() and tap_write() in one thread, the rest in another.
 * ERRORS  0 or -errno with one line in err.
 */
#ifndef ROUTER_TAP_H
#define ROUTER_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TAP_ERR_MAX 256
#define TAP_NAME_MAX 16 /* with its end */

struct router_tap {
	int fd; /* nonblocking */
	unsigned int ifindex;
	char name[TAP_NAME_MAX];
	uint8_t mac[6];  /* as it is */
	bool carrier;
	bool taken_over; /* it was there */
};

/* mac: given to a device that is made here; one that is taken over keeps its own.  It is set up, without carrier. */
int router_tap_open(struct router_tap *t, const char *name, const uint8_t mac[6], char err[TAP_ERR_MAX]);
void router_tap_close(struct router_tap *t, bool remove);
int router_tap_carrier(struct router_tap *t, bool up);
/* One frame, nonblocking: its length, 0: none, -errno. */
ssize_t router_tap_read(const struct router_tap *t, void *buf, size_t size);
/* 0 or -errno: the device is down or gone, or its queue is full. */
int router_tap_write(const struct router_tap *t, const void *frame, size_t len);

#endif
