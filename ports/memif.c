/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/memif_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ports/flow_hash.h"
#include "ports/schemes.h"
#include "sock/bell.h"

void memif_state_set(struct memif_port *m, enum memif_state state)
{
	m->state = state;
	__atomic_store_n(&m->public_state, (uint32_t)state, __ATOMIC_RELAXED);
}

int memif_watch(struct memif_port *m, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };

	return epoll_ctl(m->epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void memif_wake_self(struct memif_port *m)
{
	uint64_t one = 1;

	if (write(m->wakefd, &one, sizeof(one)) < 0)
		return; /* full: ready anyway */
}

void memif_violation(struct memif_port *m, const char *what)
{
	p2p_count(&m->port.stats.peer_errors, 1);
	if (m->broken)
		return;
	m->broken = true;
	m->rx_on = false;
	m->tx_on = false;
	snprintf(m->reason, sizeof(m->reason), "%s", what);
	__atomic_store_n(&m->fault, m != m->first, __ATOMIC_RELEASE);
	memif_wake_self(m->first);
}

void memif_lane_up(struct memif_port *m)
{
	m->nrx = m->share_rx;
	m->ntx = m->share_tx;
	for (unsigned int i = 0; i < m->nrx; i++)
		__atomic_store_n(&m->rx[i].ring->flags, m->armed ? 0 : MEMIF_RING_MASK_INT, __ATOMIC_SEQ_CST);
	m->single = !m->server && m->nrx == 1 && m->ntx == 1;
	m->rx_on = true;
	m->tx_on = true;
	m->reason[0] = '\0';
	m->tx_poll_ns = 0;
	if (!m->server)
		memif_client_refill(m);
}

void memif_lane_down(struct memif_port *m)
{
	m->rx_on = false;
	m->tx_on = false;
	m->tx_short = false;
	m->single = false;
	if (!m->server)
		memif_client_release(m);
	m->nrx = m->ntx = 0;
}

void memif_up(struct memif_port *m)
{
	memif_state_set(m, MEMIF_UP);
	memif_lane_up(m);
	memif_lanes_open(m);
	p2p_count(&m->port.stats.link_changes, 1);
}

static void memif_queue_close(struct memif_port *m, struct memif_queue *q)
{
	/* The far end may keep it open, and what it writes to it would wake us for ever: close() alone takes it out of no set. */
	if (q->evfd >= 0) {
		epoll_ctl(m->epfd, EPOLL_CTL_DEL, q->evfd, NULL);
		close(q->evfd);
	}
	free(q->slot);
	free(q->sum);
	memset(q, 0, sizeof(*q));
	q->evfd = -1;
}

/* All lanes have left the rings. */
static void memif_closed(struct memif_port *m)
{
	if (m->server)
		memif_server_release(m);
	else
		memif_client_unmap(m);
	for (unsigned int k = 0; k < m->lanes; k++) {
		struct memif_port *l = m->lane[k];

		for (unsigned int i = 0; l && i < MEMIF_MAX_QUEUES; i++) {
			memif_queue_close(l, &l->rx[i]);
			memif_queue_close(l, &l->tx[i]);
		}
		/* Of a lane that the handshake never came to. */
		if (l) {
			free(l->order);
			l->order = NULL;
		}
	}
	m->total_rx = m->total_tx = 0;
	m->broken = false;
	m->bus_hit = 0;
	m->unsealed = false;
	memif_state_set(m, MEMIF_IDLE);
}

void memif_down(struct memif_port *m, const char *reason, uint64_t now_ns)
{
	if (m->state == MEMIF_UP)
		p2p_count(&m->port.stats.link_changes, 1);
	if (m->ctl >= 0) {
		if (reason) {
			memif_msg_disconnect(m->ctl, reason);
			if (reason != m->reason)
				snprintf(m->reason, sizeof(m->reason), "%s", reason);
		}
		close(m->ctl);
		m->ctl = -1;
	}
	memif_lane_down(m);
	m->retry_at = now_ns + MEMIF_RETRY_NS;
	if (memif_lanes_close(m))
		memif_closed(m);
	else
		memif_state_set(m, MEMIF_CLOSING);
}

void memif_drain(struct memif_port *m, uint64_t now_ns)
{
	if (m->state != MEMIF_UP) {
		p2p_count(&m->port.stats.peer_refused, 1);
		memif_down(m, NULL, now_ns);
		return;
	}
	p2p_count(&m->port.stats.link_changes, 1);
	m->tx_on = false;
	memif_lanes_drain(m);
	memif_state_set(m, MEMIF_DRAIN);
	m->deadline = now_ns + MEMIF_DRAIN_NS;
	close(m->ctl);
	m->ctl = -1;
}

bool memif_drained(const struct memif_port *m)
{
	for (unsigned int i = 0; i < m->nrx; i++) {
		const struct memif_queue *q = &m->rx[i];

		if (memif_index_load(m->server ? &q->ring->head : &q->ring->tail) != q->tail)
			return false;
	}
	return true;
}

void memif_queue_notify(struct memif_queue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (p2p_likely(__atomic_load_n(&q->ring->flags, __ATOMIC_RELAXED) & MEMIF_RING_MASK_INT))
		return;
	bell_ring(q->evfd);
}

/* ---- packet path ---- */

static __attribute__((noinline)) unsigned int memif_rx_queues(struct memif_port *m, struct p2p_seg *segs,
								 unsigned int n)
{
	unsigned int out = 0, first;

	if (!m->server && memif_pool_count(m))
		memif_client_refill(m);
	first = m->rx_next;
	if (m->nrx > 1)
		m->rx_next = first + 1 == m->nrx ? 0 : first + 1;
	for (unsigned int i = 0; i < m->nrx && out < n; i++) {
		struct memif_queue *q = &m->rx[first + i < m->nrx ? first + i : first + i - m->nrx];

		out += m->server ? memif_server_rx(m, q, segs + out, n - out) :
				   memif_client_rx(m, q, segs + out, n - out);
	}
	m->owned -= out;
	return out;
}

static unsigned int memif_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	unsigned int out;

	if (p2p_unlikely(!m->rx_on))
		return 0;
	if (p2p_unlikely(!m->single))
		return memif_rx_queues(m, segs, n);
	if (p2p_unlikely(memif_client_short(m, &m->rx[0])))
		memif_client_refill(m);
	out = memif_client_rx(m, &m->rx[0], segs, n);
	m->owned -= out;
	return out;
}

static unsigned int memif_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	unsigned int k = n < m->owned_max - m->owned ? n : m->owned_max - m->owned, i = 0;

	m->owned += k;
	/* Used last goes first, what waits in the pool stays there: few buffers that are in a cache. Slots keep their order. */
	if (!m->server && m->rx_on && m->nrx == 1 && (!memif_pool_count(m) || !m->mem.place))
		i = memif_client_post(m, segs, k);
	for (; i < k; i++)
		memif_pool_push(m, &segs[i]);
	return k;
}

static inline unsigned int memif_tx_queue(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
					  unsigned int n)
{
	return m->server ? memif_server_tx(m, q, segs, n) : memif_client_tx(m, q, segs, n);
}

static unsigned int memif_tx_spread(struct memif_port *m, const struct p2p_seg *segs, unsigned int n)
{
	unsigned int i = 0, touched = 0;

	while (i < n) {
		unsigned int len = 1, q = port_flow_hash(segs[i].data, segs[i].len) % m->ntx;

		while (i + len <= n && (segs[i + len - 1].flags & P2P_SEG_MORE))
			len++;
		if (i + len > n || memif_tx_queue(m, &m->tx[q], &segs[i], len) != len)
			break;
		for (unsigned int k = 0; k < len && !m->server; k++)
			m->order[m->order_head++ & m->order_mask] = (uint8_t)q;
		touched |= 1u << q;
		i += len;
	}
	for (unsigned int q = 0; q < m->ntx; q++) {
		if (touched & (1u << q))
			memif_queue_notify(&m->tx[q]);
	}
	return i;
}

static unsigned int memif_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	unsigned int k;

	if (p2p_unlikely(!m->tx_on || !n))
		return 0;
	if (p2p_likely(m->ntx == 1)) {
		k = memif_tx_queue(m, &m->tx[0], segs, n);
		if (k)
			memif_queue_notify(&m->tx[0]);
	} else {
		k = memif_tx_spread(m, segs, n);
	}
	m->tx_short = k < n;
	if (m->server)
		m->done += k;
	return k;
}

static void memif_reap(struct memif_port *m)
{
	uint32_t got = 0;

	if (p2p_likely(m->ntx == 1)) {
		got = memif_client_reap(m, &m->tx[0]);
	} else {
		for (unsigned int i = 0; i < m->ntx; i++)
			m->tx[i].finished += memif_client_reap(m, &m->tx[i]);
		while (m->order_tail != m->order_head) {
			struct memif_queue *q = &m->tx[m->order[m->order_tail & m->order_mask]];

			if (!q->finished)
				break;
			q->finished--;
			m->order_tail++;
			got++;
		}
	}
	if (got)
		m->tx_poll_ns = 0;
	m->done += got;
}

static unsigned int memif_tx_done(struct port *p)
{
	struct memif_port *m = memif_of(p);
	unsigned int n;

	if (!m->server && m->tx_on)
		memif_reap(m);
	n = m->done;
	m->done = 0;
	return n;
}

/* ---- control ---- */

/* Whatever is lent with a message that may lend nothing, or is not taken over, goes without the worker's waiting for it. */
static int memif_ctl_one(struct memif_port *m, struct memif_msg *msg, uint64_t now_ns)
{
	int fd = -1, ret, may = m->server && m->state == MEMIF_SETUP ? memif_msg_lends(m->ctl) : 0;
	bool lends;

	if (may == -EAGAIN)
		return 0; /* one that comes only now is looked at next time: it may lend */
	lends = may && memif_closer_take();
	ret = memif_msg_take(m->ctl, msg, lends ? &fd : NULL);
	if (ret > 0 && m->server && msg->type != MEMIF_MSG_DISCONNECT)
		fd = memif_server_msg(m, msg, fd, now_ns);
	else if (ret > 0 && !m->server)
		memif_client_msg(m, msg, now_ns);
	if (lends)
		memif_closer_give(fd);
	return ret;
}

static void memif_ctl_ready(struct memif_port *m, uint64_t now_ns)
{
	struct memif_msg msg;
	int ret, sock = m->ctl;

	/* Ends when nothing is there, or when a message has closed or replaced the channel. */
	while (m->ctl >= 0 && m->ctl == sock && !m->broken) {
		ret = memif_ctl_one(m, &msg, now_ns);
		if (ret == 0)
			return;
		if (ret == -ENOTCONN || (ret > 0 && msg.type == MEMIF_MSG_DISCONNECT)) {
			if (ret > 0)
				memif_text(m->reason, msg.disconnect.reason, MEMIF_REASON_LEN);
			memif_drain(m, now_ns);
			return;
		}
		if (ret < 0)
			memif_violation(m, "malformed control message");
	}
}

void memif_events(struct memif_port *m, uint64_t now_ns)
{
	struct epoll_event ev[MEMIF_MAX_QUEUES + 4];
	int n = epoll_wait(m->epfd, ev, MEMIF_MAX_QUEUES + 4, 0);

	for (int i = 0; i < n; i++) {
		uint64_t tag = ev[i].data.u64;

		if (tag == MEMIF_EV_LISTENER) {
			memif_listener_run(m, now_ns);
		} else if (tag == MEMIF_EV_WAKE) {
			bell_clear(m->wakefd);
		} else if (tag == MEMIF_EV_TIMER) {
			uint64_t v;

			if (read(m->timerfd, &v, sizeof(v)) > 0)
				m->timer_at = UINT64_MAX;
		} else if (tag >= MEMIF_EV_QUEUE && m->rx[tag - MEMIF_EV_QUEUE].evfd >= 0) {
			bell_clear(m->rx[tag - MEMIF_EV_QUEUE].evfd);
		}
	}
	/* Last, since it may undo what the others refer to. */
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u64 == MEMIF_EV_CTL && m->ctl >= 0)
			memif_ctl_ready(m, now_ns);
	}
}

static void memif_timer_set(struct memif_port *m, uint64_t now_ns)
{
	struct itimerspec its = { 0 };
	uint64_t at = UINT64_MAX, in;

	switch (m->state) {
	case MEMIF_IDLE:
		at = m->server ? UINT64_MAX : m->retry_at;
		break;
	case MEMIF_UP:
		break;
	case MEMIF_HELD:
	case MEMIF_DRAIN:
	case MEMIF_CLOSING:
		at = now_ns + MEMIF_HOLD_POLL_NS;
		break;
	default:
		at = m->deadline;
	}
	if (m->accept_at && m->accept_at < at)
		at = m->accept_at;
	if (at == m->timer_at)
		return;
	m->timer_at = at;
	if (at != UINT64_MAX) {
		in = at > now_ns ? at - now_ns : 1;
		its.it_value.tv_sec = (time_t)(in / 1000000000u);
		its.it_value.tv_nsec = (long)(in % 1000000000u);
	}
	timerfd_settime(m->timerfd, 0, &its, NULL);
}

static void memif_control(struct port *p, uint64_t now_ns)
{
	struct memif_port *m = memif_of(p);
	struct memif_claim claim;
	const char *fault;

	if (!m->started)
		return;
	if (m != m->first) {
		memif_lane_control(m);
		return;
	}
	memif_events(m, now_ns);
	if (m->accept_at && now_ns >= m->accept_at)
		memif_listener_resume(m);
	fault = memif_lanes_fault(m);
	if (fault && !m->broken && m->state != MEMIF_CLOSING) {
		m->broken = true;
		snprintf(m->reason, sizeof(m->reason), "%s", fault);
	}
	if (m->bus_hit && !m->broken)
		memif_violation(m, "the far end cut its memory short");
	if (m->broken && m->state != MEMIF_CLOSING)
		memif_down(m, m->reason, now_ns);
	if (m->state == MEMIF_DRAIN && ((memif_drained(m) && memif_lanes_closed(m)) || now_ns >= m->deadline))
		memif_down(m, NULL, now_ns);
	if (m->state == MEMIF_CLOSING && memif_lanes_closed(m))
		memif_closed(m);
	if (m->state == MEMIF_HELD)
		memif_server_hold(m, now_ns);
	if (m->state != MEMIF_IDLE && m->state != MEMIF_UP && m->state < MEMIF_DRAIN && now_ns >= m->deadline) {
		p2p_count(&m->port.stats.peer_refused, 1);
		memif_down(m, "handshake took too long", now_ns);
	}
	if (!memif_lanes_started(m)) {
		if (m->state != MEMIF_IDLE && m->state != MEMIF_CLOSING)
			memif_down(m, "interface stopped", now_ns);
	} else if (m->server) {
		while (m->state < MEMIF_DRAIN && memif_listener_claim(m, &claim)) {
			/* Whoever held the place may have gone since the look at the events. */
			if (m->state != MEMIF_IDLE && m->ctl >= 0)
				memif_ctl_ready(m, now_ns);
			if (m->broken || m->state == MEMIF_DRAIN)
				memif_down(m, NULL, now_ns);
			memif_server_claim(m, &claim, now_ns);
		}
	} else if (m->state == MEMIF_IDLE && now_ns >= m->retry_at) {
		memif_client_connect(m, now_ns);
	}
	memif_timer_set(m, now_ns);
}

static unsigned int memif_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	*gen = 1; /* one epoll set stands for all, whatever changes inside */
	if (!max)
		return 0;
	fds[0] = memif_of(p)->epfd;
	return 1;
}

static void memif_arm(struct port *p, bool sleeping)
{
	struct memif_port *m = memif_of(p);

	m->armed = sleeping;
	for (unsigned int i = 0; i < m->nrx && m->rx_on; i++)
		__atomic_store_n(&m->rx[i].ring->flags, sleeping ? 0 : MEMIF_RING_MASK_INT, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The protocol has no wake-up for finished sends and freed buffers: look again, ever less often. */
static uint64_t memif_next_event(struct port *p, uint64_t now_ns)
{
	struct memif_port *m = memif_of(p);
	bool waiting = m->tx_short || m->done;

	for (unsigned int i = 0; i < m->ntx && !waiting && !m->server; i++)
		waiting = m->tx[i].head != m->tx[i].tail;
	if (!m->tx_on || !waiting)
		return UINT64_MAX;
	if (!m->tx_poll_ns) {
		m->tx_poll_ns = MEMIF_TX_POLL_MIN_NS;
		m->tx_poll_at = now_ns + m->tx_poll_ns;
	} else if (now_ns >= m->tx_poll_at) {
		m->tx_poll_ns = m->tx_poll_ns < MEMIF_TX_POLL_MAX_NS / 2 ? m->tx_poll_ns * 2 : MEMIF_TX_POLL_MAX_NS;
		m->tx_poll_at = now_ns + m->tx_poll_ns;
	}
	return m->tx_poll_at;
}

/* A server takes its buffers out of the pool as it fills them; a client's come back queue by queue. */
static bool memif_in_order(struct port *p)
{
	return memif_of(p)->server || memif_of(p)->queues == 1;
}

static bool memif_link_up(struct port *p)
{
	return memif_of(p)->tx_on;
}

/* ---- life ---- */

static int memif_parse_address(struct memif_port *m, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	if (sock_name(&m->name, spec->target, true)) {
		snprintf(err, PORT_ERR_MAX, "memif: the socket path must have 1 to %zu characters: memif:PATH or memif:@NAME",
			 SOCK_PATH_MAX);
		return -EINVAL;
	}
	snprintf(m->path, sizeof(m->path), "%s", spec->target);
	return 0;
}

static int memif_parse_group(struct memif_port *m, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *group = port_spec_get(spec, "group");

	if (!group)
		return 0;
	if (!m->server) {
		snprintf(err, PORT_ERR_MAX, "memif: group= says who may connect to the socket; use it with role=server");
		return -EINVAL;
	}
	if (sock_group(group, &m->trust.gid)) {
		snprintf(err, PORT_ERR_MAX, "memif: group=%.64s: there is no such group; give its name or number", group);
		return -EINVAL;
	}
	if (sock_group_ours(m->trust.gid)) {
		snprintf(err, PORT_ERR_MAX, "memif: group=%.64s: sockets can't be given to it; be a member or root", group);
		return -EPERM;
	}
	m->trust.group = true;
	return 0;
}

static int memif_parse(struct memif_port *m, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *role = port_spec_get(spec, "role"), *secret = port_spec_get(spec, "secret");
	uint64_t id = 0, rings = 1024, queues;
	int ret = memif_parse_address(m, spec, err);

	if (ret)
		return ret;
	if (role && strcmp(role, "client") && strcmp(role, "server")) {
		snprintf(err, PORT_ERR_MAX, "memif: role=%.20s: use role=client or role=server", role);
		return -EINVAL;
	}
	m->server = role && !strcmp(role, "server");
	ret = memif_parse_group(m, spec, err);
	if (ret)
		return ret;
	queues = m->server ? MEMIF_MAX_QUEUES : 1;
	ret = port_spec_get_u64(spec, "id", 0, UINT32_MAX, &id, err);
	if (!ret)
		ret = port_spec_get_u64(spec, "queues", 1, MEMIF_MAX_QUEUES, &queues, err);
	if (!ret && !m->server)
		ret = port_spec_get_u64(spec, "rings", 2, 1u << MEMIF_MAX_LOG2_RING, &rings, err);
	if (ret)
		return ret;
	if (m->server && port_spec_get(spec, "rings")) {
		snprintf(err, PORT_ERR_MAX, "memif: the client chooses the ring size; leave rings= out with role=server");
		return -EINVAL;
	}
	if (rings & (rings - 1)) {
		snprintf(err, PORT_ERR_MAX, "memif: rings=%u: the number of descriptors must be a power of two",
			 (unsigned int)rings);
		return -EINVAL;
	}
	if (secret && (!*secret || strlen(secret) > MEMIF_SECRET_LEN)) {
		snprintf(err, PORT_ERR_MAX, "memif: the secret must have 1 to %d characters", MEMIF_SECRET_LEN);
		return -EINVAL;
	}
	snprintf(m->secret, sizeof(m->secret), "%s", secret ? secret : "");
	m->id = (uint32_t)id;
	m->queues = (unsigned int)queues;
	m->log2_ring = (uint8_t)__builtin_ctzll(rings);
	return 0;
}

static void memif_close(struct port *p)
{
	struct memif_port *m = memif_of(p);

	if (m->started)
		p->ops->stop(p);
	memif_lanes_free(m);
	memif_listener_put(m);
	if (m->timerfd >= 0)
		close(m->timerfd);
	if (m->wakefd >= 0)
		close(m->wakefd);
	if (m->epfd >= 0)
		close(m->epfd);
	free(m);
}

static int memif_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	struct memif_port *m = aligned_alloc(64, P2P_ALIGN_UP(sizeof(*m), 64));
	int ret;

	if (!m) {
		snprintf(err, PORT_ERR_MAX, "memif: out of memory");
		return -ENOMEM;
	}
	memset(m, 0, sizeof(*m));
	m->port.ops = &port_memif_ops;
	m->first = m->lane[0] = m;
	m->lanes = 1;
	m->region0 = 1;
	m->epfd = m->timerfd = m->wakefd = m->ctl = m->ring_fd = -1;
	for (unsigned int i = 0; i < MEMIF_MAX_QUEUES; i++)
		m->rx[i].evfd = m->tx[i].evfd = -1;
	ret = memif_parse(m, spec, err);
	if (ret)
		goto close_port;
	ret = bell_open(err);
	if (ret)
		goto close_port;
	m->epfd = epoll_create1(EPOLL_CLOEXEC);
	m->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	m->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (m->epfd < 0 || m->timerfd < 0 || m->wakefd < 0 || memif_watch(m, m->timerfd, MEMIF_EV_TIMER) ||
	    memif_watch(m, m->wakefd, MEMIF_EV_WAKE)) {
		ret = -errno;
		snprintf(err, PORT_ERR_MAX, "memif: can't make descriptors: %s; raise ulimit -n", strerror(-ret));
		goto close_port;
	}
	if (m->server) {
		ret = memif_listener_get(m, err);
		if (ret)
			goto close_port;
	}
	snprintf(m->port.name, sizeof(m->port.name), "memif:%.50s", m->path);
	*out = &m->port;
	return 0;
close_port:
	memif_close(&m->port);
	return ret;
}

/* What every lane needs; the server's memory is the far end's. */
static int memif_start_lane(struct memif_port *m, const struct port_memory *mem)
{
	uint32_t size = 64;

	if (m->started || !mem->n || mem->n > PORT_MAX_REGIONS)
		return -EINVAL;
	for (unsigned int i = 0; i < mem->n && !m->server; i++) {
		/* A descriptor's offset has 32 bits. */
		if (mem->region[i].fd < 0 || mem->region[i].size > (uint64_t)UINT32_MAX + 1)
			return -EINVAL;
	}
	while (size < mem->rx_bufs)
		size *= 2;
	m->pool = calloc(size, sizeof(*m->pool));
	if (!m->pool)
		return -ENOMEM;
	m->pool_mask = size - 1;
	m->pool_head = m->pool_tail = 0;
	m->owned = 0;
	m->owned_max = mem->rx_bufs;
	m->mem = *mem;
	for (unsigned int i = 0; i < mem->n; i++)
		m->base[i].address = (uintptr_t)mem->region[i].base;
	m->done = 0;
	m->armed = false;
	m->reason[0] = '\0';
	m->started = true;
	return 0;
}

static void memif_stop_lane(struct memif_port *m)
{
	free(m->pool);
	m->pool = NULL;
	m->owned = m->owned_max = 0;
	m->done = 0;
	m->started = false;
}

static int memif_start(struct port *p, const struct port_memory *mem)
{
	struct memif_port *m = memif_of(p);
	int ret = memif_start_lane(m, mem);

	if (ret || m != m->first)
		return ret;
	ret = m->server ? memif_watch(m, memif_listener_fd(m), MEMIF_EV_LISTENER) : 0;
	if (ret) {
		memif_stop_lane(m);
		return ret;
	}
	m->lanes = mem->queues ? mem->queues : 1;
	m->cap_rx = m->cap_tx = m->queues;
	m->retry_at = 0;
	m->timer_at = 0;
	memif_state_set(m, MEMIF_IDLE);
	if (m->server)
		memif_listener_accepting(m, true);
	memif_wake_self(m);
	return 0;
}

static void memif_stop(struct port *p)
{
	struct memif_port *m = memif_of(p);

	if (!m->started)
		return;
	if (m != m->first) {
		memif_lane_leave(m);
		memif_stop_lane(m);
		return;
	}
	if (m->server) {
		epoll_ctl(m->epfd, EPOLL_CTL_DEL, memif_listener_fd(m), NULL);
		memif_listener_accepting(m, false);
	}
	for (unsigned int k = 1; k < m->lanes; k++)
		if (m->lane[k])
			memif_lane_leave(m->lane[k]);
	memif_down(m, "interface stopped", 0);
	memif_stop_lane(m);
}

const struct port_ops port_memif_ops = {
	.scheme = "memif",
	.help = "memif:PATH[,id=N][,role=client|server][,rings=DESCRIPTORS][,queues=N][,secret=TEXT][,group=NAME]: shared memory with"
		" DPDK, VPP or another p2pnic; PATH may be @NAME (abstract)",
	.open = memif_open,
	.start = memif_start,
	.stop = memif_stop,
	.close = memif_close,
	.rx_burst = memif_rx_burst,
	.rx_post = memif_rx_post,
	.tx_burst = memif_tx_burst,
	.tx_done = memif_tx_done,
	.control = memif_control,
	.fds = memif_fds,
	.arm = memif_arm,
	.next_event = memif_next_event,
	.link_up = memif_link_up,
	.in_order = memif_in_order,
	.queue = memif_lane_get,
};
