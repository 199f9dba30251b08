/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket, its one connection and the thread that reads it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_priv.h"

#define BACKLOG 8
#define ACCEPT_PAUSE_MS 100

static int64_t soonest(int64_t a, int64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static int open_listener(struct vfu_server *s)
{
	struct sock_name name;
	int err = sock_name(&name, s->path, false);

	return err ? err : sock_listen(&s->listener, &name, SOCK_STREAM, BACKLOG, &s->cfg.trust);
}

static void set_default(uint32_t *v, uint32_t value)
{
	if (!*v)
		*v = value;
}

static int init_sync(struct vfu_server *s)
{
	pthread_condattr_t attr;
	int err = pthread_condattr_init(&attr);

	if (err)
		return -err;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&s->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (err)
		return -err;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->send_lock, NULL);
	return 0;
}

int vfu_server_create(const struct vfu_server_config *cfg, struct vfu_server **out)
{
	struct vfu_server *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	set_default(&s->cfg.max_data_xfer_bytes, VFU_DEFAULT_MAX_DATA_XFER);
	set_default(&s->cfg.max_dma_maps, VFU_DEFAULT_MAX_DMA_MAPS);
	set_default(&s->cfg.handshake_timeout_ms, 5000);
	set_default(&s->cfg.message_timeout_ms, 5000);
	set_default(&s->cfg.dma_timeout_ms, 5000);
	s->conn.fd = -1;
	s->path = strdup(cfg->path);
	s->conn.in = malloc(VFU_MSG_OVERHEAD + s->cfg.max_data_xfer_bytes + VFU_VERSION_MAX_BYTES);
	s->out = malloc(VFU_MSG_OVERHEAD + s->cfg.max_data_xfer_bytes + VFU_VERSION_MAX_BYTES);
	if (!s->path || !s->conn.in || !s->out)
		goto free_memory;
	s->cfg.path = s->path;
	err = init_sync(s);
	if (err)
		goto free_memory;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0) {
		err = -errno;
		goto destroy_sync;
	}
	err = open_listener(s);
	if (err)
		goto close_wake;
	*out = s;
	return 0;
close_wake:
	close(s->wake_fd);
destroy_sync:
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->send_lock);
free_memory:
	free(s->out);
	free(s->conn.in);
	free(s->path);
	free(s);
	return err;
}

/* The connection is over, for whatever reason. */
static void hang_up(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	int fd = c->fd;

	vfu_server_dma_close(s);
	shutdown(fd, SHUT_RDWR); /* who is sending gives up send_lock */
	pthread_mutex_lock(&s->send_lock);
	pthread_mutex_lock(&s->lock);
	c->fd = -1;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->send_lock);
	close(fd);
	vfu_fds_close(&c->fds);
	if (c->attached) {
		vfu_server_op_begin(s, true);
		s->cfg.ops->detached(s->cfg.fn);
		vfu_server_op_end(s);
	} else {
		vfu_stat(&s->stats.handshake_failures);
	}
	c->attached = false;
	c->greeted = false;
}

static void begin_message(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;

	c->have = 0;
	c->need = sizeof(struct vfu_header);
	vfu_fds_close(&c->fds);
	if (c->greeted)
		c->deadline_ms = 0;
}

/* A whole header is there: how long is the message, and do we want it? */
static int size_up(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	struct vfu_header h;
	uint32_t size, type;

	memcpy(&h, c->in, sizeof(h));
	size = from_le32(h.size);
	type = from_le32(h.flags) & VFU_F_TYPE_MASK;
	if (size >= sizeof(h) && size <= vfu_server_max_message(s) &&
	    (type == VFU_F_COMMAND || (type == VFU_F_REPLY && c->greeted))) {
		c->need = size;
		return 0;
	}
	if (type == VFU_F_COMMAND)
		vfu_server_reply_error(s, c->fd, from_le16(h.id), from_le16(h.command), EINVAL);
	return -EPROTO;
}

static int whole_message(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	const uint8_t *body = c->in + sizeof(struct vfu_header);
	size_t len = c->need - sizeof(struct vfu_header);
	struct vfu_header h;
	int err;

	memcpy(&h, c->in, sizeof(h));
	if ((from_le32(h.flags) & VFU_F_TYPE_MASK) == VFU_F_REPLY)
		err = vfu_server_dma_reply(s, &h, body, len);
	else
		err = vfu_server_handle(s, &h, body, len);
	begin_message(s);
	return err;
}

/* Takes what has arrived.  -errno: hang up. */
static int receive(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	int64_t n = vfu_msg_recv(c->fd, c->in + c->have, c->need - c->have, &c->fds);
	int err = 0;

	if (n == -EAGAIN)
		return 0;
	if (!n)
		return c->have ? -EPROTO : -ENOTCONN;
	if (n < 0)
		return -ENOTCONN;
	if (!c->have && c->greeted)
		c->deadline_ms = vfu_now_ms() + s->cfg.message_timeout_ms;
	c->have += (size_t)n;
	if (c->have == c->need && c->need == sizeof(struct vfu_header))
		err = size_up(s);
	if (!err && c->have == c->need)
		err = whole_message(s);
	return err;
}

static void welcome(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	int fd, err = sock_accept(&s->listener, SOCK_NONBLOCK, &fd);

	if (err == -EPERM)
		vfu_stat(&s->stats.refused);
	else if (sock_starved(err))
		s->accept_after_ms = vfu_now_ms() + ACCEPT_PAUSE_MS;
	if (err)
		return;
	if (c->fd >= 0) {
		struct vfu_header h = vfu_msg_header(0, VFU_VERSION, VFU_F_REPLY | VFU_F_ERROR);

		/* id 0: the first message of who counts from 0; a new socket has room for a header. */
		h.error = to_le32(EBUSY);
		vfu_msg_send(fd, &h, NULL, 0, NULL, 0, vfu_now_ms());
		close(fd);
		vfu_stat(&s->stats.refused);
		return;
	}
	pthread_mutex_lock(&s->send_lock);
	pthread_mutex_lock(&s->lock);
	c->fd = fd;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->send_lock);
	c->fds.n = 0;
	begin_message(s);
	c->deadline_ms = vfu_now_ms() + s->cfg.handshake_timeout_ms;
}

static bool stopping(struct vfu_server *s)
{
	return __atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE);
}

void vfu_server_turn(struct vfu_server *s)
{
	struct vfu_conn *c = &s->conn;
	bool accepting = (c->fd < 0 || c->greeted) && vfu_now_ms() >= s->accept_after_ms;
	struct pollfd p[3] = {
		{ .fd = s->wake_fd, .events = POLLIN },
		{ .fd = accepting ? s->listener.fd : -1, .events = POLLIN },
		{ .fd = c->fd, .events = POLLIN },
	};
	int64_t until = soonest(c->fd >= 0 ? c->deadline_ms : 0, accepting ? 0 : s->accept_after_ms);
	int64_t left = until - vfu_now_ms();
	int err = 0;

	if (poll(p, 3, !until ? -1 : left < 0 ? 0 : (int)left) < 0)
		return;
	if (c->fd >= 0 && p[2].revents)
		err = receive(s);
	if (!err && c->fd >= 0 && c->deadline_ms && vfu_now_ms() >= c->deadline_ms)
		err = -ETIMEDOUT;
	if (err) {
		if (err != -ENOTCONN)
			vfu_stat(&s->stats.protocol_errors);
		hang_up(s);
	}
	/* Who has hung up but left messages must not make the next one find us busy. */
	if (p[1].revents && (c->fd < 0 || !(p[2].revents & POLLHUP)))
		welcome(s);
}

static void *serve_socket(void *arg)
{
	struct vfu_server *s = arg;

	pthread_setname_np(pthread_self(), "vfio-user");
	pthread_mutex_lock(&s->lock);
	s->self = pthread_self();
	pthread_mutex_unlock(&s->lock);
	while (!stopping(s))
		vfu_server_turn(s);
	if (s->conn.fd >= 0)
		hang_up(s);
	return NULL;
}

int vfu_server_start(struct vfu_server *s)
{
	sigset_t all, old;
	int err;

	if (s->started)
		return -EALREADY;
	__atomic_store_n(&s->stopping, false, __ATOMIC_RELEASE);
	/* It touches device memory as the workers do: SIGBUS is synchronous and stays (ports/guard.h). */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, serve_socket, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	s->started = true;
	return 0;
}

void vfu_server_stop(struct vfu_server *s)
{
	uint64_t v = 1;

	if (!s->started)
		return;
	__atomic_store_n(&s->stopping, true, __ATOMIC_RELEASE);
	if (write(s->wake_fd, &v, sizeof(v)) < 0)
		return; /* only a counter that is full: not in one write */
	pthread_join(s->thread, NULL);
	if (read(s->wake_fd, &v, sizeof(v)) < 0)
		v = 0;
	s->started = false;
}

void vfu_server_destroy(struct vfu_server *s)
{
	if (!s)
		return;
	vfu_server_stop(s);
	sock_close(&s->listener);
	close(s->wake_fd);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->send_lock);
	free(s->out);
	free(s->conn.in);
	free(s->path);
	free(s);
}

bool vfu_server_attached(struct vfu_server *s)
{
	bool is;

	pthread_mutex_lock(&s->lock);
	is = s->up;
	pthread_mutex_unlock(&s->lock);
	return is;
}

void vfu_server_stats(struct vfu_server *s, struct vfu_server_stats *out)
{
#define X(name, desc) out->name = __atomic_load_n(&s->stats.name, __ATOMIC_RELAXED);
	VFU_SERVER_COUNTERS(X)
#undef X
}
