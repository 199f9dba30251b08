/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock/sock.h"
#include "tester/clock.h"

#define LOOP_PATIENCE_NS 5000000000ull

/* What goes from server `from` to the other one. */
struct loop_way {
	struct memif_ring *in;  /* S2C of server `from` */
	struct memif_ring *out; /* C2S of the other */
	uint16_t posted;        /* in->head */
	uint16_t taken;         /* of in->tail: handed over so far, which is out->head */
} __attribute__((aligned(64)));

struct tester_loop {
	struct loop_way way[2];
	uint16_t size, mask;
	uint32_t buf_bytes;
	struct tester_loop_opts o;
	int sock[2], evfd[2][2];
	int rings_fd, bufs_fd;
	uint8_t *rings, *bufs;
	size_t rings_size, bufs_size, ring_bytes;
};

static int loop_memory(int *fd, uint8_t **base, size_t size)
{
	*fd = memfd_create("tester-loop", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || ftruncate(*fd, (off_t)size) < 0 || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	*base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
	if (*base == MAP_FAILED) {
		*base = NULL;
		return -errno;
	}
	return 0;
}

void tester_loop_destroy(struct tester_loop *l)
{
	if (!l)
		return;
	for (unsigned int c = 0; c < 2; c++) {
		if (l->sock[c] >= 0)
			close(l->sock[c]);
		for (unsigned int i = 0; i < 2; i++) {
			if (l->evfd[c][i] >= 0)
				close(l->evfd[c][i]);
		}
	}
	if (l->rings)
		munmap(l->rings, l->rings_size);
	if (l->bufs)
		munmap(l->bufs, l->bufs_size);
	if (l->rings_fd >= 0)
		close(l->rings_fd);
	if (l->bufs_fd >= 0)
		close(l->bufs_fd);
	free(l);
}

int tester_loop_create(struct tester_loop **out, const struct tester_loop_opts *o)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct tester_loop *l = aligned_alloc(64, P2P_ALIGN_UP(sizeof(*l), 64));
	int ret;

	if (!l)
		return -ENOMEM;
	memset(l, 0, sizeof(*l));
	l->o = *o;
	l->size = (uint16_t)(1u << o->ring_log2);
	l->mask = (uint16_t)(l->size - 1);
	l->buf_bytes = o->buf_bytes;
	l->rings_fd = l->bufs_fd = -1;
	memset(l->sock, -1, sizeof(l->sock));
	memset(l->evfd, -1, sizeof(l->evfd));
	l->ring_bytes = P2P_ALIGN_UP(memif_ring_bytes(o->ring_log2), 64);
	l->rings_size = P2P_ALIGN_UP(4 * l->ring_bytes, page);
	l->bufs_size = P2P_ALIGN_UP(2 * (size_t)l->size * o->buf_stride, page);
	ret = loop_memory(&l->rings_fd, &l->rings, l->rings_size);
	if (!ret)
		ret = loop_memory(&l->bufs_fd, &l->bufs, l->bufs_size);
	for (unsigned int i = 0; i < 4 && !ret; i++) {
		l->evfd[i / 2][i % 2] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ret = l->evfd[i / 2][i % 2] < 0 ? -errno : 0;
	}
	if (ret) {
		tester_loop_destroy(l);
		return ret;
	}
	*out = l;
	return 0;
}

/* Ring of cable c; rings are [cable][0: C2S, 1: S2C] in region 0. */
static struct memif_ring *loop_ring(const struct tester_loop *l, unsigned int c, unsigned int s2c)
{
	return (struct memif_ring *)(l->rings + (2 * c + s2c) * l->ring_bytes);
}

static int loop_await(struct tester_loop *l, unsigned int c, struct port *port[2], uint16_t type, uint64_t end)
{
	struct memif_msg msg;
	int ret, fd;

	while (tester_mono_ns() < end) {
		for (unsigned int i = 0; i < 2; i++)
			port[i]->ops->control(port[i], tester_mono_ns());
		ret = memif_msg_recv(l->sock[c], &msg, &fd);
		if (!ret)
			continue;
		if (ret > 0 && fd >= 0)
			close(fd);
		return ret < 0 ? ret : msg.type == type ? 0 : -EPROTO;
	}
	return -ETIMEDOUT;
}

static int loop_say(struct tester_loop *l, unsigned int c, struct port *port[2], const struct memif_msg *msg, int fd,
		    uint64_t end)
{
	int ret = memif_msg_send(l->sock[c], msg, fd);

	return ret ? ret : loop_await(l, c, port, MEMIF_MSG_ACK, end);
}

static int loop_open(struct tester_loop *l, unsigned int c)
{
	struct sock_name name;
	int ret = sock_name(&name, l->o.path[c], true);

	return ret ? ret : sock_connect(&name, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, &l->sock[c]);
}

static int loop_handshake(struct tester_loop *l, unsigned int c, struct port *port[2])
{
	const uint64_t end = tester_mono_ns() + LOOP_PATIENCE_NS;
	struct memif_msg msg;
	int ret = loop_open(l, c);

	if (!ret)
		ret = loop_await(l, c, port, MEMIF_MSG_HELLO, end);
	if (ret)
		return ret;
	msg = (struct memif_msg){ .type = MEMIF_MSG_INIT };
	msg.init.version = MEMIF_VERSION;
	msg.init.mode = MEMIF_MODE_ETHERNET;
	ret = loop_say(l, c, port, &msg, -1, end);
	for (unsigned int i = 0; i < 2 && !ret; i++) {
		msg = (struct memif_msg){ .type = MEMIF_MSG_ADD_REGION };
		msg.add_region.index = (uint16_t)i;
		msg.add_region.size = i ? l->bufs_size : l->rings_size;
		ret = loop_say(l, c, port, &msg, i ? l->bufs_fd : l->rings_fd, end);
	}
	for (unsigned int i = 0; i < 2 && !ret; i++) {
		struct memif_ring *ring = loop_ring(l, c, i);

		ring->cookie = MEMIF_COOKIE;
		ring->flags = MEMIF_RING_MASK_INT;
		msg = (struct memif_msg){ .type = MEMIF_MSG_ADD_RING };
		msg.add_ring.flags = i ? 0 : MEMIF_ADD_RING_C2S;
		msg.add_ring.offset = (uint32_t)((uint8_t *)ring - l->rings);
		msg.add_ring.log2_size = (uint8_t)l->o.ring_log2;
		ret = loop_say(l, c, port, &msg, l->evfd[c][i], end);
	}
	if (ret)
		return ret;
	msg = (struct memif_msg){ .type = MEMIF_MSG_CONNECT };
	ret = memif_msg_send(l->sock[c], &msg, -1);
	return ret ? ret : loop_await(l, c, port, MEMIF_MSG_CONNECTED, end);
}

int tester_loop_connect(struct tester_loop *l, struct port *port[2])
{
	int ret = 0;

	for (unsigned int c = 0; c < 2 && !ret; c++)
		ret = loop_handshake(l, c, port);
	for (unsigned int w = 0; w < 2 && !ret; w++) {
		struct loop_way *y = &l->way[w];

		y->in = loop_ring(l, w, 1);
		y->out = loop_ring(l, 1 - w, 0);
		for (unsigned int i = 0; i < l->size; i++) {
			struct memif_desc d = { .region = 1, .length = l->buf_bytes };

			d.offset = (w * l->size + i) * l->o.buf_stride;
			memif_desc_store(&y->in->desc[i], d);
		}
		y->posted = l->size;
		y->taken = 0;
		memif_index_store(&y->in->head, l->size);
	}
	return ret;
}

/* Word 0 of an empty buffer's descriptor; word 1 has its place, which stays. */
static inline uint64_t loop_empty(const struct tester_loop *l)
{
	return (struct memif_desc){ .region = 1, .length = l->buf_bytes }.word[0];
}

static inline void loop_post(const struct tester_loop *l, struct loop_way *y, uint16_t to)
{
	const uint64_t empty = loop_empty(l);
	struct memif_desc *desc = y->in->desc;
	const unsigned int mask = l->mask;

	if (to == y->posted)
		return;
	for (uint16_t t = y->posted; t != to; t++)
		__atomic_store_n(&desc[t & mask].word[0], empty, __ATOMIC_RELAXED);
	y->posted = to;
	memif_index_store(&y->in->head, to);
}

static void loop_hand_over(const struct tester_loop *l, struct loop_way *y)
{
	const uint16_t filled = memif_index_load(&y->in->tail), gone = memif_index_load(&y->out->tail);
	const struct memif_desc *from = y->in->desc;
	struct memif_desc *to = y->out->desc;
	const unsigned int mask = l->mask;

	/* The slots up to `gone` are free for the next round, which is size slots on. */
	loop_post(l, y, (uint16_t)(gone + l->size));
	if (filled == y->taken)
		return;
	for (uint16_t t = y->taken; t != filled; t++)
		memif_desc_store(&to[t & mask], memif_desc_load(&from[t & mask]));
	y->taken = filled;
	memif_index_store(&y->out->head, filled);
}

void tester_loop_step(struct tester_loop *l)
{
	loop_hand_over(l, &l->way[0]);
	loop_hand_over(l, &l->way[1]);
}

void tester_loop_swallow(struct tester_loop *l, unsigned int from)
{
	struct loop_way *y = &l->way[from];

	loop_post(l, y, (uint16_t)(memif_index_load(&y->in->tail) + l->size));
}
