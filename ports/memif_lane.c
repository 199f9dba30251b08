/* SPDX-License-Identifier: BSD-3-Clause */
/* Several queues of a memif port, each with a worker of its own: who may use the rings when (memif_int.h, LANES). */
#include "ports/memif_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint32_t gate_load(const struct memif_port *l)
{
	return __atomic_load_n(&l->gate, __ATOMIC_ACQUIRE);
}

static bool gate_move(struct memif_port *l, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&l->gate, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

struct memif_port *memif_lane_of(struct memif_port *m, unsigned int g)
{
	return m->lane[g % m->lanes];
}

void memif_lanes_deal(struct memif_port *m)
{
	for (unsigned int k = 0; k < m->lanes; k++) {
		m->lane[k]->share_rx = (m->total_rx + m->lanes - 1 - k) / m->lanes;
		m->lane[k]->share_tx = (m->total_tx + m->lanes - 1 - k) / m->lanes;
	}
}

bool memif_lanes_started(const struct memif_port *m)
{
	for (unsigned int k = 0; k < m->lanes; k++)
		if (!m->lane[k] || !m->lane[k]->started)
			return false;
	return true;
}

const char *memif_lanes_fault(struct memif_port *m)
{
	for (unsigned int k = 1; k < m->lanes; k++)
		if (__atomic_load_n(&m->lane[k]->fault, __ATOMIC_ACQUIRE))
			return m->lane[k]->reason;
	return NULL;
}

void memif_lanes_open(struct memif_port *m)
{
	for (unsigned int k = 1; k < m->lanes; k++) {
		struct memif_port *l = m->lane[k];

		l->nregions = m->nregions;
		memcpy(l->region, m->region, sizeof(l->region));
		__atomic_store_n(&l->gate, MEMIF_GATE_OPENING, __ATOMIC_RELEASE);
		memif_wake_self(l);
	}
}

void memif_lanes_drain(struct memif_port *m)
{
	for (unsigned int k = 1; k < m->lanes; k++) {
		struct memif_port *l = m->lane[k];

		if (!gate_move(l, MEMIF_GATE_OPENING, MEMIF_GATE_DRAINING))
			gate_move(l, MEMIF_GATE_OPEN, MEMIF_GATE_DRAINING);
		memif_wake_self(l);
	}
}

bool memif_lanes_closed(const struct memif_port *m)
{
	for (unsigned int k = 1; k < m->lanes; k++)
		if (m->lane[k] && gate_load(m->lane[k]) != MEMIF_GATE_CLOSED)
			return false;
	return true;
}

bool memif_lanes_close(struct memif_port *m)
{
	for (unsigned int k = 1; k < m->lanes; k++) {
		struct memif_port *l = m->lane[k];
		uint32_t now;

		while (l && (now = gate_load(l)) != MEMIF_GATE_CLOSED && now != MEMIF_GATE_CLOSING)
			if (gate_move(l, now, now == MEMIF_GATE_OPENING ? MEMIF_GATE_CLOSED : MEMIF_GATE_CLOSING))
				memif_wake_self(l);
	}
	return memif_lanes_closed(m);
}

static void lane_watch(struct memif_port *l, bool on)
{
	for (unsigned int i = 0; i < l->nrx; i++) {
		if (on)
			memif_watch(l, l->rx[i].evfd, MEMIF_EV_QUEUE + i);
		else
			epoll_ctl(l->epfd, EPOLL_CTL_DEL, l->rx[i].evfd, NULL);
	}
}

static void lane_close(struct memif_port *l)
{
	lane_watch(l, false);
	memif_lane_down(l);
	l->nregions = 0;
	l->broken = false;
	__atomic_store_n(&l->fault, false, __ATOMIC_RELAXED);
	__atomic_store_n(&l->gate, MEMIF_GATE_CLOSED, __ATOMIC_RELEASE);
}

void memif_lane_control(struct memif_port *l)
{
	memif_events(l, 0);
	if (gate_load(l) == MEMIF_GATE_OPENING && gate_move(l, MEMIF_GATE_OPENING, MEMIF_GATE_OPEN)) {
		memif_lane_up(l);
		lane_watch(l, true);
	}
	switch (gate_load(l)) {
	case MEMIF_GATE_DRAINING:
		l->tx_on = false;
		if (l->rx_on && !memif_drained(l))
			break;
		/* fall through */
	case MEMIF_GATE_CLOSING:
		lane_close(l);
		memif_wake_self(l->first);
		break;
	default:
		break;
	}
}

void memif_lane_leave(struct memif_port *l)
{
	if (!gate_move(l, MEMIF_GATE_OPENING, MEMIF_GATE_CLOSED) && gate_load(l) != MEMIF_GATE_CLOSED)
		lane_close(l);
}

static void lane_free(struct memif_port *l)
{
	if (l->wakefd >= 0)
		close(l->wakefd);
	if (l->epfd >= 0)
		close(l->epfd);
	free(l);
}

struct port *memif_lane_get(struct port *p, unsigned int q)
{
	struct memif_port *m = memif_of(p), *l;

	if (q >= m->queues || q >= P2P_MAX_QUEUES)
		return NULL;
	if (m->lane[q])
		return &m->lane[q]->port;
	l = aligned_alloc(P2P_APART_BYTES, P2P_ALIGN_UP(sizeof(*l), (size_t)P2P_APART_BYTES));
	if (!l)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->port.ops = m->port.ops;
	memcpy(l->port.name, m->port.name, sizeof(l->port.name));
	l->first = m;
	l->number = q;
	l->server = m->server;
	l->timerfd = l->ctl = l->ring_fd = -1;
	for (unsigned int i = 0; i < MEMIF_MAX_QUEUES; i++)
		l->rx[i].evfd = l->tx[i].evfd = -1;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->epfd < 0 || l->wakefd < 0 || memif_watch(l, l->wakefd, MEMIF_EV_WAKE)) {
		lane_free(l);
		return NULL;
	}
	m->lane[q] = l;
	return &l->port;
}

void memif_lanes_free(struct memif_port *m)
{
	for (unsigned int k = 1; k < P2P_MAX_QUEUES; k++)
		if (m->lane[k])
			lane_free(m->lane[k]);
}
