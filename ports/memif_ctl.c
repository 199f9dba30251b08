/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/memif_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct memif_unclaimed {
	int fd; /* -1: free */
	uint64_t since_ns;
};

/* One listening socket; every server port of the process with the same path shares it. */
struct memif_listener {
	struct memif_listener *next;
	struct memif_port *ports;
	char path[108];
	struct sock_listener sock;
	int epfd;
	struct memif_unclaimed unclaimed[MEMIF_MAX_UNCLAIMED];
};

static pthread_mutex_t listeners_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memif_listener *listeners;

int memif_msg_send(int sock, const struct memif_msg *msg, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		memset(&ctl, 0, sizeof(ctl));
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl.room);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*msg) ? 0 : n < 0 ? -errno : -EPROTO;
}

int memif_msg_lends(int sock)
{
	uint16_t type = 0;
	ssize_t n = recv(sock, &type, sizeof(type), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	return n > 0 && (type == MEMIF_MSG_ADD_REGION || type == MEMIF_MSG_ADD_RING);
}

int memif_msg_take(int sock, struct memif_msg *msg, int *fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	const struct cmsghdr *c;
	ssize_t n;

	if (fd) {
		*fd = -1;
		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_LEN(sizeof(int));
	}
	n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ENOTCONN;
	c = fd ? CMSG_FIRSTHDR(&mh) : NULL;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	if (n == (ssize_t)sizeof(*msg) && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 1;
	return n == 0 ? -ENOTCONN : -EPROTO;
}

int memif_msg_recv(int sock, struct memif_msg *msg, int *fd)
{
	int ret = memif_msg_take(sock, msg, fd);

	if (ret < 0 && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return ret;
}

void memif_msg_disconnect(int sock, const char *reason)
{
	struct memif_msg msg = { .type = MEMIF_MSG_DISCONNECT };

	snprintf((char *)msg.disconnect.reason, sizeof(msg.disconnect.reason), "%s", reason);
	memif_msg_send(sock, &msg, -1);
}

void memif_text(char *dst, const uint8_t *src, size_t len)
{
	size_t i;

	for (i = 0; i < len && src[i]; i++)
		dst[i] = src[i] < 0x20 || src[i] > 0x7e ? '?' : (char)src[i];
	dst[i] = '\0';
}

static int listener_listen(struct memif_listener *l, const struct memif_port *m, char err[PORT_ERR_MAX])
{
	char why[SOCK_ERROR_MAX];
	int ret = sock_listen(&l->sock, &m->name, SOCK_SEQPACKET, MEMIF_MAX_UNCLAIMED, &m->trust);

	if (ret == -EADDRINUSE || ret == -EPROTOTYPE || ret == -EEXIST)
		snprintf(err, PORT_ERR_MAX, "memif: %.108s exists and %s; give another path", m->path,
			 ret == -EEXIST ? "is no socket" : "another process listens on it");
	else if (ret == -ENOLCK || ret == -EBUSY)
		snprintf(err, PORT_ERR_MAX, "memif: %s", sock_error(m->path, ret, why));
	else if (ret)
		snprintf(err, PORT_ERR_MAX, "memif: can't listen on %.108s: %s; check the directory and its permissions",
			 m->path, strerror(-ret));
	return ret;
}

static int listener_new(struct memif_listener **out, const struct memif_port *m, char err[PORT_ERR_MAX])
{
	struct memif_listener *l = calloc(1, sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0 };
	int ret = -ENOMEM;

	if (!l)
		goto fail;
	snprintf(l->path, sizeof(l->path), "%s", m->path);
	for (unsigned int i = 0; i < MEMIF_MAX_UNCLAIMED; i++)
		l->unclaimed[i].fd = -1;
	ret = listener_listen(l, m, err);
	if (ret) {
		free(l);
		return ret;
	}
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd >= 0 && !epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->sock.fd, &ev)) {
		*out = l;
		return 0;
	}
	ret = -errno;
	if (l->epfd >= 0)
		close(l->epfd);
	sock_close(&l->sock);
	free(l);
fail:
	snprintf(err, PORT_ERR_MAX, "memif: can't set up the listener of %.108s: %s", m->path, strerror(-ret));
	return ret;
}

int memif_listener_get(struct memif_port *m, char err[PORT_ERR_MAX])
{
	struct memif_listener *l;
	int ret = 0;

	pthread_mutex_lock(&listeners_lock);
	for (l = listeners; l && strcmp(l->path, m->path); l = l->next)
		;
	if (!l) {
		ret = listener_new(&l, m, err);
		if (!ret) {
			l->next = listeners;
			listeners = l;
		}
	} else {
		for (struct memif_port *p = l->ports; p; p = p->next) {
			if (p->id == m->id) {
				snprintf(err, PORT_ERR_MAX,
					 "memif: two server ports with id %u on %.108s; give each its own id=N",
					 m->id, m->path);
				ret = -EEXIST;
			}
		}
		if (l->sock.trust.group != m->trust.group || l->sock.trust.gid != m->trust.gid) {
			snprintf(err, PORT_ERR_MAX, "memif: server ports on %.108s with different groups; give all the same group=",
				 m->path);
			ret = -EINVAL;
		}
	}
	if (!ret) {
		m->listener = l;
		m->next = l->ports;
		l->ports = m;
	}
	pthread_mutex_unlock(&listeners_lock);
	return ret;
}

static void listener_free(struct memif_listener *l)
{
	struct memif_listener **pp;

	for (pp = &listeners; *pp != l; pp = &(*pp)->next)
		;
	*pp = l->next;
	for (unsigned int i = 0; i < MEMIF_MAX_UNCLAIMED; i++) {
		if (l->unclaimed[i].fd >= 0)
			close(l->unclaimed[i].fd);
	}
	sock_close(&l->sock);
	close(l->epfd);
	free(l);
}

void memif_listener_put(struct memif_port *m)
{
	struct memif_listener *l = m->listener;
	struct memif_port **pp;

	if (!l)
		return;
	pthread_mutex_lock(&listeners_lock);
	for (pp = &l->ports; *pp != m; pp = &(*pp)->next)
		;
	*pp = m->next;
	if (!l->ports)
		listener_free(l);
	m->listener = NULL;
	pthread_mutex_unlock(&listeners_lock);
}

int memif_listener_fd(const struct memif_port *m)
{
	return m->listener->epfd;
}

/* on: those at the door wake whoever runs the listener. */
static void listener_door(const struct memif_listener *l, bool on)
{
	struct epoll_event ev = { .events = on ? EPOLLIN : 0, .data.u64 = 0 };

	epoll_ctl(l->epfd, EPOLL_CTL_MOD, l->sock.fd, &ev);
}

void memif_listener_resume(struct memif_port *m)
{
	m->accept_at = 0;
	listener_door(m->listener, true);
}

void memif_listener_accepting(struct memif_port *m, bool on)
{
	pthread_mutex_lock(&listeners_lock);
	m->accepting = on;
	if (!on && m->accept_at)
		memif_listener_resume(m); /* or no other port would */
	while (!on && m->inbox_n) {
		memif_msg_disconnect(m->inbox[--m->inbox_n].fd, "interface stopped");
		close(m->inbox[m->inbox_n].fd);
	}
	pthread_mutex_unlock(&listeners_lock);
}

bool memif_listener_claim(struct memif_port *m, struct memif_claim *out)
{
	bool found;

	pthread_mutex_lock(&listeners_lock);
	found = m->inbox_n > 0;
	if (found) {
		*out = m->inbox[0];
		m->inbox_n--;
		memmove(&m->inbox[0], &m->inbox[1], m->inbox_n * sizeof(m->inbox[0]));
	}
	pthread_mutex_unlock(&listeners_lock);
	return found;
}

bool memif_others_pending(const struct memif_port *m)
{
	bool pending = false;

	pthread_mutex_lock(&listeners_lock);
	for (const struct memif_listener *l = listeners; l; l = l->next) {
		for (const struct memif_port *p = l->ports; p; p = p->next) {
			uint32_t s = __atomic_load_n(&p->public_state, __ATOMIC_RELAXED);

			if (p == m || !p->accepting)
				continue;
			if (s == MEMIF_SETUP || p->inbox_n || (s == MEMIF_IDLE && l == m->listener))
				pending = true;
		}
	}
	pthread_mutex_unlock(&listeners_lock);
	return pending;
}

/* Whoever runs the listener counts for all that share it. */
static void unclaimed_close(struct memif_port *m, struct memif_unclaimed *u, const char *reason)
{
	p2p_count(&m->port.stats.peer_refused, 1);
	if (reason)
		memif_msg_disconnect(u->fd, reason);
	close(u->fd); /* leaves the epoll set with its last descriptor */
	u->fd = -1;
}

static struct memif_unclaimed *unclaimed_slot(struct memif_port *m, uint64_t now_ns)
{
	struct memif_listener *l = m->listener;
	struct memif_unclaimed *oldest = &l->unclaimed[0];

	for (unsigned int i = 0; i < MEMIF_MAX_UNCLAIMED; i++) {
		if (l->unclaimed[i].fd < 0)
			return &l->unclaimed[i];
		if (l->unclaimed[i].since_ns < oldest->since_ns)
			oldest = &l->unclaimed[i];
	}
	if (now_ns - oldest->since_ns < MEMIF_UNCLAIMED_NS)
		return NULL;
	unclaimed_close(m, oldest, "no INIT in time");
	return oldest;
}

/* Takes fd over. */
static void listener_greet(struct memif_port *m, int fd, const struct memif_msg *hello, uint64_t now_ns)
{
	struct memif_listener *l = m->listener;
	const char *no = l->sock.trust.group ? "not your group's" : "not your user's";
	struct memif_unclaimed *u = NULL;
	struct epoll_event ev = { .events = EPOLLIN };

	if (sock_trusted(fd, &l->sock.trust)) {
		u = unclaimed_slot(m, now_ns);
		no = u ? NULL : "too many clients at once";
	}
	if (u)
		ev.data.u64 = 1 + (uint64_t)(u - l->unclaimed);
	if (!u || memif_msg_send(fd, hello, -1) || epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		p2p_count(&m->port.stats.peer_refused, 1);
		if (no)
			memif_msg_disconnect(fd, no);
		close(fd);
		return;
	}
	u->fd = fd;
	u->since_ns = now_ns;
}

static void listener_accept(struct memif_port *m, uint64_t now_ns)
{
	struct memif_listener *l = m->listener;
	struct memif_msg msg = { .type = MEMIF_MSG_HELLO };
	unsigned int queues = 1;
	struct memif_port *p;
	int fd;

	for (p = l->ports; p; p = p->next)
		queues = p->queues > queues ? p->queues : queues;
	snprintf((char *)msg.hello.name, sizeof(msg.hello.name), "p2pnic %s", P2PNIC_VERSION);
	msg.hello.min_version = MEMIF_VERSION;
	msg.hello.max_version = MEMIF_VERSION;
	msg.hello.max_region = MEMIF_MAX_REGIONS - 1;
	msg.hello.max_s2c_ring = (uint16_t)(queues - 1);
	msg.hello.max_c2s_ring = (uint16_t)(queues - 1);
	msg.hello.max_log2_ring = MEMIF_MAX_LOG2_RING;
	/* Those who come without pause are not waited for: the rest is there next time. */
	for (unsigned int k = 0; k < MEMIF_MAX_UNCLAIMED; k++) {
		fd = accept4(l->sock.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			listener_greet(m, fd, &msg, now_ns);
			continue;
		}
		/* No descriptors, or no memory: they stay at the door, and must not wake us meanwhile. */
		if (sock_starved(-errno)) {
			listener_door(l, false);
			m->accept_at = now_ns + MEMIF_ACCEPT_PAUSE_NS;
		}
		return;
	}
}

static void unclaimed_ready(struct memif_port *m, struct memif_unclaimed *u)
{
	struct memif_listener *l = m->listener;
	struct memif_port *p;
	struct memif_msg msg;
	uint64_t one = 1;
	int ret;

	ret = memif_msg_take(u->fd, &msg, NULL);
	if (ret == 0)
		return;
	if (ret < 0 || msg.type != MEMIF_MSG_INIT) {
		unclaimed_close(m, u, ret == -ENOTCONN || (ret > 0 && msg.type == MEMIF_MSG_DISCONNECT) ? NULL :
				      "INIT expected");
		return;
	}
	for (p = l->ports; p && (p->id != msg.init.id || !p->accepting); p = p->next)
		;
	if (!p || p->inbox_n == MEMIF_INBOX) {
		unclaimed_close(m, u, p ? "already connected" : "no interface with this id");
		return;
	}
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, u->fd, NULL);
	p->inbox[p->inbox_n].fd = u->fd;
	p->inbox[p->inbox_n++].init = msg.init;
	u->fd = -1;
	if (write(p->wakefd, &one, sizeof(one)) < 0)
		return; /* full: it is awake anyway */
}

void memif_listener_run(struct memif_port *m, uint64_t now_ns)
{
	struct memif_listener *l = m->listener;
	struct epoll_event ev[MEMIF_MAX_UNCLAIMED + 1];
	int n;

	pthread_mutex_lock(&listeners_lock);
	n = epoll_wait(l->epfd, ev, MEMIF_MAX_UNCLAIMED + 1, 0);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u64 == 0)
			listener_accept(m, now_ns);
		else if (l->unclaimed[ev[i].data.u64 - 1].fd >= 0)
			unclaimed_ready(m, &l->unclaimed[ev[i].data.u64 - 1]);
	}
	pthread_mutex_unlock(&listeners_lock);
}
