/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_NS 10000000000ull

int raw_send_bytes(struct raw *r, const void *data, size_t len, const int *fds, unsigned int nfds)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} ctl = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		mh.msg_control = &ctl;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, sizeof(int) * nfds);
	}
	return sendmsg(r->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int raw_send(struct raw *r, const struct memif_msg *msg, int fd)
{
	return raw_send_bytes(r, msg, sizeof(*msg), &fd, fd >= 0);
}

int raw_recv(struct raw *r, struct env *port, struct memif_msg *msg, int *fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	uint64_t end = env_now_ns() + PATIENCE_NS;

	for (;;) {
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
				     .msg_controllen = sizeof(ctl.room) };
		ssize_t n = recvmsg(r->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int got = -1;

		if (n < 0 && errno == EAGAIN) {
			env_control(port);
			assert_true(env_now_ns() < end);
			continue;
		}
		if (n <= 0)
			return -1;
		assert_int_equal(n, sizeof(*msg));
		if (CMSG_FIRSTHDR(&mh))
			memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
		if (fd)
			*fd = got;
		else if (got >= 0)
			close(got);
		return msg->type;
	}
}

bool raw_hung_up(struct raw *r, struct env *port)
{
	uint64_t end = env_now_ns() + PATIENCE_NS;
	struct memif_msg msg;

	while (env_now_ns() < end) {
		env_control(port);
		ssize_t n = recv(r->sock, &msg, sizeof(msg), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
	}
	return false;
}

void raw_close(struct raw *r)
{
	if (r->sock >= 0)
		close(r->sock);
	if (r->base)
		munmap(r->base, r->size);
	if (r->memfd >= 0)
		close(r->memfd);
	for (unsigned int i = 0; i < 2; i++) {
		if (r->evfd[i] >= 0)
			close(r->evfd[i]);
		r->evfd[i] = -1;
	}
	r->sock = r->memfd = -1;
	r->base = NULL;
}

static void raw_address(struct sockaddr_un *un, const char *path)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
}

static void raw_clear(struct raw *r)
{
	*r = (struct raw){ .listener = -1, .sock = -1, .memfd = -1, .evfd = { -1, -1 } };
}

void raw_client_memory(struct raw *r, int seals)
{
	r->size = RAW_BYTES;
	r->memfd = memfd_create("raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(r->memfd >= 0);
	assert_int_equal(ftruncate(r->memfd, RAW_BYTES), 0);
	assert_int_equal(fcntl(r->memfd, F_ADD_SEALS, seals), 0);
	r->base = mmap(NULL, RAW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	assert_true(r->base != MAP_FAILED);
	r->c2s = (struct memif_ring *)r->base;
	r->s2c = (struct memif_ring *)(r->base + RAW_RING);
	r->c2s->cookie = r->s2c->cookie = MEMIF_COOKIE;
	for (unsigned int i = 0; i < RAW_SLOTS; i++) {
		r->c2s->desc[i] = (struct memif_desc){ .length = 64, .offset = RAW_BUFS + i * 2048 };
		r->s2c->desc[i] = (struct memif_desc){ .length = 2048, .offset = RAW_BUFS + (RAW_SLOTS + i) * 2048 };
	}
	for (unsigned int i = 0; i < 2; i++)
		r->evfd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void raw_client_connect(struct raw *r, struct env *port, const char *path)
{
	struct sockaddr_un un;
	struct memif_msg msg;

	raw_address(&un, path);
	r->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(r->sock, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(raw_recv(r, port, &msg, NULL), MEMIF_MSG_HELLO);
	assert_int_equal(msg.hello.min_version, MEMIF_VERSION);
}

struct memif_msg raw_init(uint32_t id)
{
	struct memif_msg msg = { .type = MEMIF_MSG_INIT };

	msg.init.version = MEMIF_VERSION;
	msg.init.id = id;
	return msg;
}

struct memif_msg raw_region(uint16_t index, uint64_t size)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_REGION };

	msg.add_region.index = index;
	msg.add_region.size = size;
	return msg;
}

struct memif_msg raw_ring(bool c2s, uint16_t index)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_RING };

	msg.add_ring.flags = c2s ? MEMIF_ADD_RING_C2S : 0;
	msg.add_ring.index = index;
	msg.add_ring.offset = c2s ? 0 : RAW_RING;
	msg.add_ring.log2_size = RAW_LOG2;
	return msg;
}

void raw_client_shake(struct raw *r, struct env *port, const char *path, const struct memif_msg ring[2], const int evfd[2])
{
	struct memif_msg msg, reply;

	raw_client_connect(r, port, path);
	msg = raw_init(0);
	raw_send(r, &msg, -1);
	assert_int_equal(raw_recv(r, port, &reply, NULL), MEMIF_MSG_ACK);
	msg = raw_region(0, r->size);
	raw_send(r, &msg, r->memfd);
	assert_int_equal(raw_recv(r, port, &reply, NULL), MEMIF_MSG_ACK);
	for (unsigned int i = 0; i < 2; i++) {
		raw_send(r, &ring[i], evfd[i]);
		assert_int_equal(raw_recv(r, port, &reply, NULL), MEMIF_MSG_ACK);
	}
	msg = (struct memif_msg){ .type = MEMIF_MSG_CONNECT };
	raw_send(r, &msg, -1);
	assert_int_equal(raw_recv(r, port, &reply, NULL), MEMIF_MSG_CONNECTED);
	assert_true(port->port->ops->link_up(port->port));
}

void raw_client_up(struct raw *r, struct env *port, const char *path, int seals)
{
	const struct memif_msg ring[2] = { raw_ring(true, 0), raw_ring(false, 0) };

	raw_clear(r);
	raw_client_memory(r, seals);
	raw_client_shake(r, port, path, ring, r->evfd);
}

void raw_server_listen(struct raw *r, const char *path)
{
	struct sockaddr_un un;

	raw_clear(r);
	raw_address(&un, path);
	unlink(path);
	r->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(r->listener, 4), 0);
}

void raw_server_accept(struct raw *r, struct env *port)
{
	uint64_t end = env_now_ns() + PATIENCE_NS;

	while ((r->sock = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
		env_control(port);
		assert_true(env_now_ns() < end);
	}
}

struct memif_msg raw_hello(void)
{
	struct memif_msg msg = { .type = MEMIF_MSG_HELLO };

	msg.hello.min_version = msg.hello.max_version = MEMIF_VERSION;
	msg.hello.max_region = 100;
	msg.hello.max_log2_ring = RAW_LOG2;
	return msg;
}

/* Plays the server until CONNECT, keeping region 0 and where the rings are. */
static void raw_server_handshake(struct raw *r, struct env *port, unsigned int log2)
{
	struct memif_msg msg = raw_hello(), ack = { .type = MEMIF_MSG_ACK };
	uint32_t c2s = 0, s2c = 0;
	int type, fd;

	msg.hello.max_log2_ring = (uint8_t)log2;
	raw_send(r, &msg, -1);
	while ((type = raw_recv(r, port, &msg, &fd)) != MEMIF_MSG_CONNECT) {
		assert_true(type == MEMIF_MSG_INIT || type == MEMIF_MSG_ADD_REGION || type == MEMIF_MSG_ADD_RING);
		assert_true((fd >= 0) == (type != MEMIF_MSG_INIT));
		if (type == MEMIF_MSG_ADD_REGION && msg.add_region.index == 0) {
			r->memfd = fd;
			r->size = msg.add_region.size;
			fd = -1;
		} else if (type == MEMIF_MSG_ADD_RING && (msg.add_ring.flags & MEMIF_ADD_RING_C2S)) {
			c2s = msg.add_ring.offset;
			r->evfd[0] = fd;
			fd = -1;
		} else if (type == MEMIF_MSG_ADD_RING) {
			s2c = msg.add_ring.offset;
			r->evfd[1] = fd;
			fd = -1;
		}
		if (fd >= 0)
			close(fd);
		raw_send(r, &ack, -1);
	}
	/* What the client may not change under us: sealed. */
	assert_true(fcntl(r->memfd, F_GET_SEALS) & F_SEAL_SHRINK);
	r->base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->memfd, 0);
	assert_true(r->base != MAP_FAILED);
	r->c2s = (struct memif_ring *)(r->base + c2s);
	r->s2c = (struct memif_ring *)(r->base + s2c);
	msg = (struct memif_msg){ .type = MEMIF_MSG_CONNECTED };
	raw_send(r, &msg, -1);
}

void raw_server_up(struct raw *r, struct env *port, unsigned int log2)
{
	uint64_t end = env_now_ns() + PATIENCE_NS;
	int listener = r->listener;

	raw_clear(r);
	r->listener = listener;
	raw_server_accept(r, port);
	raw_server_handshake(r, port, log2);
	while (!port->port->ops->link_up(port->port)) {
		env_control(port);
		assert_true(env_now_ns() < end);
	}
	memcpy(r->posted, r->s2c->desc, sizeof(r->posted));
}

uint32_t raw_random(uint32_t n)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}
