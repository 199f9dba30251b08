/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames from the punt rings to the TAPs and from the TAPs to the inject rings. */
#include <errno.h>
#include <poll.h>

#include "router/router_int.h"
#include "sock/bell.h"

#define CARRY_BURST 64
#define CARRY_RETRY_MS 1 /* while a frame waits for room in an inject ring */
#define CARRY_IDLE_MS 100

/* Returns whether there may be more. */
static bool carry_punts(struct router *r, unsigned int nic, uint8_t *buf)
{
	struct router_port *p;
	struct drv_punt punt;
	unsigned int i;
	int at;

	for (i = 0; i < CARRY_BURST; i++) {
		if (!drv_punt_next(r->route, nic, &punt, buf))
			return false;
		at = punt.port < P2P_MAX_PORTS ? r->by_port[nic][punt.port] : -1;
		if (at < 0)
			continue;
		p = &r->port[at];
		if (router_tap_write(&p->tap, buf, punt.len))
			p2p_count(&p->refused, 1);
		else
			p2p_count(&p->to_kernel, 1);
	}
	return true;
}

/* A TAP's frames into the inject ring, until it is empty or that is full. */
static void carry_injects(struct router *r, struct router_port *p)
{
	unsigned int i;
	ssize_t n;
	int rc;

	for (i = 0; i < CARRY_BURST; i++) {
		if (!p->held) {
			n = router_tap_read(&p->tap, p->frame, P2P_MAX_FRAME);
			if (n <= 0)
				return;
			p->len = (uint32_t)n;
		}
		rc = drv_inject(r->route, p->nic, p->port, p->frame, p->len);
		p->held = rc == -EAGAIN;
		if (p->held)
			return;
		p2p_count(rc ? &p->refused : &p->to_nic, 1);
	}
}

static bool carry_all(struct router *r, uint8_t *buf)
{
	bool more = false;
	unsigned int i;

	router_drv_take(r);
	for (i = 0; i < r->drv->n; i++)
		more |= carry_punts(r, r->drv->nic[i].index, buf);
	for (i = 0; i < r->ports; i++)
		carry_injects(r, &r->port[i]);
	for (i = 0; i < r->drv->n && !more; i++)
		more = !drv_punt_arm(r->route, r->drv->nic[i].index);
	router_drv_give(r);
	return more;
}

void *router_carry(void *arg)
{
	struct pollfd p[1 + P2P_MAX_NICS + P2P_MAX_NICS * P2P_MAX_PORTS];
	static __thread uint8_t buf[P2P_PUNT_ROOM];
	struct router *r = arg;
	unsigned int i, n;
	bool held;

	p[0] = (struct pollfd){ .fd = r->stop_fd, .events = POLLIN };
	while (!__atomic_load_n(&r->stopping, __ATOMIC_ACQUIRE)) {
		if (carry_all(r, buf))
			continue;
		held = false;
		n = 1;
		for (i = 0; i < r->drv->n; i++)
			p[n++] = (struct pollfd){ .fd = drv_punt_fd(r->route, r->drv->nic[i].index), .events = POLLIN };
		for (i = 0; i < r->ports; i++) {
			held = held || r->port[i].held;
			p[n++] = (struct pollfd){ .fd = r->port[i].held ? -1 : r->port[i].tap.fd, .events = POLLIN };
		}
		poll(p, n, held ? CARRY_RETRY_MS : CARRY_IDLE_MS);
		for (i = 1; i <= r->drv->n; i++)
			if (p[i].revents & POLLIN)
				bell_clear(p[i].fd); /* the NIC holds it, too */
	}
	return NULL;
}
