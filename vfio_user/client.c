/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "caps.h"
#include "client.h"
#include "msg.h"
#include "sock/sock.h"

#define SERVE_AT_ONCE 256
#define MAX_REGION_INFO_BYTES 4096u /* more than any region's capabilities need */

struct map {
	uint64_t iova, size;
	uint32_t prot;
};

struct vfu_client {
	struct vfu_client_config cfg;
	int fd;
	uint16_t next_id;
	struct vfu_caps peer;
	uint8_t *in; /* the message last received: header, then body */
	size_t in_max;
	struct vfu_fds fds; /* what came with it */
	struct map *maps;
	size_t num_maps, room_maps;
};

static int64_t deadline(const struct vfu_client *c)
{
	return vfu_now_ms() + c->cfg.timeout_ms;
}

/* The connection is of no further use. */
static int broken(struct vfu_client *c, int err)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	vfu_fds_close(&c->fds);
	return err == -ETIMEDOUT || err == -EPROTO ? err : -ENOTCONN;
}

static int send_message(struct vfu_client *c, struct vfu_header *h, const struct iovec *body, unsigned int nbody,
			const int *fds, unsigned int nfds)
{
	int err;

	if (c->fd < 0)
		return -ENOTCONN;
	err = vfu_msg_send(c->fd, h, body, nbody, fds, nfds, deadline(c));
	return err ? broken(c, err) : 0;
}

static int receive_bytes(struct vfu_client *c, size_t from, size_t to, int64_t until)
{
	while (from < to) {
		int64_t n = vfu_msg_recv(c->fd, c->in + from, to - from, &c->fds);
		int err = 0;

		if (n > 0)
			from += (size_t)n;
		else if (n == -EAGAIN)
			err = vfu_msg_wait(c->fd, POLLIN, until);
		else
			err = -ENOTCONN;
		if (err)
			return err;
	}
	return 0;
}

/* One whole message into c->in. */
static int receive_message(struct vfu_client *c, struct vfu_header *h, size_t *len, int64_t until)
{
	uint32_t size;
	int err;

	if (c->fd < 0)
		return -ENOTCONN;
	vfu_fds_close(&c->fds);
	err = receive_bytes(c, 0, sizeof(*h), until);
	if (err)
		return broken(c, err);
	memcpy(h, c->in, sizeof(*h));
	size = from_le32(h->size);
	if (size < sizeof(*h) || size > c->in_max)
		return broken(c, -EPROTO);
	err = receive_bytes(c, sizeof(*h), size, until);
	if (err)
		return broken(c, err);
	if (c->fds.truncated)
		return broken(c, -EPROTO);
	*len = size - sizeof(*h);
	return 0;
}

static const struct map *map_holding(const struct vfu_client *c, uint64_t iova, uint64_t len)
{
	for (size_t i = 0; i < c->num_maps; i++) {
		const struct map *m = &c->maps[i];

		if (iova >= m->iova && iova - m->iova < m->size && len <= m->size - (iova - m->iova))
			return m;
	}
	return NULL;
}

/* The transfer that a DMA message asks for; an errno to reply, or 0. */
static int do_dma(struct vfu_client *c, uint16_t command, const struct vfu_dma_access *a, uint8_t *data, size_t len)
{
	uint64_t iova = from_le64(a->address), count = from_le64(a->count);
	bool reads = command == VFU_DMA_READ;
	const struct map *m;
	int err;

	if (count > c->cfg.max_data_xfer_bytes || len != (reads ? 0 : count))
		return EINVAL;
	m = map_holding(c, iova, count);
	if (!m)
		return EFAULT;
	if (!(m->prot & (reads ? P2P_DMA_READ : P2P_DMA_WRITE)))
		return EPERM;
	if (reads ? !c->cfg.dma_read : !c->cfg.dma_write)
		return EFAULT;
	err = reads ? c->cfg.dma_read(c->cfg.opaque, iova, data, count) :
		      c->cfg.dma_write(c->cfg.opaque, iova, data, count);
	return -err;
}

/* Answers a message of the server's own, which is in c->in. */
static int answer(struct vfu_client *c, const struct vfu_header *h, size_t len)
{
	uint16_t command = from_le16(h->command);
	struct vfu_header r = vfu_msg_header(from_le16(h->id), command, VFU_F_REPLY);
	uint8_t *body = c->in + sizeof(*h);
	struct vfu_dma_access a;
	struct iovec iov[2] = { { &a, sizeof(a) }, { body + sizeof(a), 0 } };
	int err = ENOSYS;

	if (command == VFU_DMA_READ || command == VFU_DMA_WRITE) {
		err = EINVAL;
		if (len >= sizeof(a) && !c->fds.n) {
			memcpy(&a, body, sizeof(a));
			err = do_dma(c, command, &a, body + sizeof(a), len - sizeof(a));
		}
	}
	if (from_le32(h->flags) & VFU_F_NO_REPLY)
		return 0;
	if (err) {
		r.flags = to_le32(VFU_F_REPLY | VFU_F_ERROR);
		r.error = to_le32((uint32_t)err);
		return send_message(c, &r, NULL, 0, NULL, 0);
	}
	if (command == VFU_DMA_READ)
		iov[1].iov_len = from_le64(a.count);
	else
		iov[0].iov_len = 12; /* "count" has 4 bytes in this reply */
	return send_message(c, &r, iov, 2, NULL, 0);
}

static int error_of(const struct vfu_header *h)
{
	uint32_t e = from_le32(h->error);

	return e && e < 4096 ? -(int)e : -EIO;
}

/* Waits for the reply to id, answering the server meanwhile; the body is then in c->in. */
static int await_reply(struct vfu_client *c, uint16_t id, uint16_t command, size_t *len)
{
	int64_t until = deadline(c);
	struct vfu_header h;

	for (;;) {
		int err = receive_message(c, &h, len, until);
		uint32_t type = from_le32(h.flags) & VFU_F_TYPE_MASK;

		if (err)
			return err;
		if (type == VFU_F_COMMAND) {
			err = answer(c, &h, *len);
			if (err)
				return err;
			if (vfu_now_ms() >= until) /* a server that asks without end */
				return broken(c, -ETIMEDOUT);
			continue;
		}
		if (type != VFU_F_REPLY || from_le16(h.id) != id || from_le16(h.command) != command)
			return broken(c, -EPROTO);
		return from_le32(h.flags) & VFU_F_ERROR ? error_of(&h) : 0;
	}
}

/* A request and its reply.  The reply's body is at body_of(c), *len long. */
static int request(struct vfu_client *c, uint16_t command, const struct iovec *body, unsigned int nbody,
		   const int *fds, unsigned int nfds, size_t *len)
{
	struct vfu_header h = vfu_msg_header(c->next_id++, command, VFU_F_COMMAND);
	int err = send_message(c, &h, body, nbody, fds, nfds);

	*len = 0;
	return err ? err : await_reply(c, from_le16(h.id), command, len);
}

static const uint8_t *body_of(const struct vfu_client *c)
{
	return c->in + sizeof(struct vfu_header);
}

/* The usual case: a struct there, and one of the same size back. */
static int exchange(struct vfu_client *c, uint16_t command, void *body, size_t size)
{
	struct iovec iov = { body, size };
	size_t len;
	int err = request(c, command, &iov, 1, NULL, 0, &len);

	if (err)
		return err;
	if (len < size)
		return broken(c, -EPROTO);
	memcpy(body, body_of(c), size);
	return 0;
}

static int connect_to(const char *path, int64_t until, int *out)
{
	const struct timespec pause = { 0, 10000000 };
	struct sock_name name;
	int err = sock_name(&name, path, false);

	/* EAGAIN: the listener's queue is full, and poll() does not tell when it is not. */
	while (!err) {
		err = sock_connect(&name, SOCK_STREAM | SOCK_NONBLOCK, 0, out);
		if (err != -EAGAIN && err != -EINTR)
			return err;
		err = vfu_now_ms() >= until ? -ETIMEDOUT : 0;
		nanosleep(&pause, NULL);
	}
	return err;
}

static int greet(struct vfu_client *c)
{
	struct vfu_caps mine = {
		.max_msg_fds = VFU_MAX_MSG_FDS,
		.max_data_xfer = c->cfg.max_data_xfer_bytes,
		.max_dma_maps = VFU_DEFAULT_MAX_DMA_MAPS,
		.pgsizes = VFU_DEFAULT_PGSIZES,
		.maps_complete = true,
	};
	struct vfu_version v = { to_le16(VFU_MAJOR), to_le16(VFU_MINOR) };
	struct iovec iov[2] = { { &v, sizeof(v) } };
	struct vfu_header h;
	char json[512];
	size_t len;
	int err = vfu_caps_format(&mine, json, sizeof(json), &len);

	if (err)
		return err;
	iov[1] = (struct iovec){ json, len };
	h = vfu_msg_header(c->next_id++, VFU_VERSION, VFU_F_COMMAND);
	err = vfu_msg_send(c->fd, &h, iov, 2, NULL, 0, deadline(c));
	/* A server that is busy may have closed already: its word waits to be read. */
	if (err && err != -EPIPE && err != -ECONNRESET)
		return err;
	err = await_reply(c, from_le16(h.id), VFU_VERSION, &len);
	if (err)
		return err;
	if (len < sizeof(v))
		return -EPROTO;
	memcpy(&v, body_of(c), sizeof(v));
	if (from_le16(v.major) != VFU_MAJOR || from_le16(v.minor) > VFU_MINOR)
		return -EPROTO;
	err = vfu_caps_parse((const char *)body_of(c) + sizeof(v), len - sizeof(v), &c->peer);
	return err ? -EPROTO : 0;
}

static int client_new(const struct vfu_client_config *cfg, struct vfu_client **out)
{
	struct vfu_client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->fd = -1;
	c->cfg = *cfg;
	c->cfg.path = NULL;
	if (!c->cfg.timeout_ms)
		c->cfg.timeout_ms = 5000;
	if (!c->cfg.max_data_xfer_bytes)
		c->cfg.max_data_xfer_bytes = VFU_DEFAULT_MAX_DATA_XFER;
	c->in_max = VFU_MSG_OVERHEAD + c->cfg.max_data_xfer_bytes + VFU_VERSION_MAX_BYTES;
	c->in = malloc(c->in_max);
	if (!c->in) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

int vfu_client_open(const struct vfu_client_config *cfg, struct vfu_client **out)
{
	struct vfu_client *c;
	int err = client_new(cfg, &c);

	if (err)
		return err;
	err = connect_to(cfg->path, deadline(c), &c->fd);
	if (!err)
		err = greet(c);
	if (err) {
		vfu_client_close(c);
		return err;
	}
	*out = c;
	return 0;
}

int vfu_client_attach(const struct vfu_client_config *cfg, int fd, struct vfu_client **out)
{
	struct vfu_client *c;
	int err = client_new(cfg, &c);

	if (err) {
		close(fd);
		return err;
	}
	c->fd = fd;
	err = greet(c);
	if (err) {
		vfu_client_close(c);
		return err;
	}
	*out = c;
	return 0;
}

void vfu_client_close(struct vfu_client *c)
{
	if (!c)
		return;
	broken(c, 0);
	free(c->maps);
	free(c->in);
	free(c);
}

int vfu_client_fd(const struct vfu_client *c)
{
	return c->fd;
}

int vfu_client_serve(struct vfu_client *c, uint32_t timeout_ms)
{
	int64_t until = vfu_now_ms() + timeout_ms;
	struct vfu_header h;
	size_t len;

	for (unsigned int n = 0; n < SERVE_AT_ONCE; n++) {
		int err;

		if (c->fd < 0)
			return -ENOTCONN;
		err = vfu_msg_wait(c->fd, POLLIN, until);
		if (err == -ETIMEDOUT)
			return 0;
		if (err)
			return broken(c, err);
		err = receive_message(c, &h, &len, deadline(c));
		if (err)
			return err;
		if ((from_le32(h.flags) & VFU_F_TYPE_MASK) != VFU_F_COMMAND)
			return broken(c, -EPROTO);
		err = answer(c, &h, len);
		if (err)
			return err;
		until = 0; /* what else is there already, and no waiting */
	}
	return 0;
}

int vfu_client_info(struct vfu_client *c, struct vfu_client_info *info)
{
	struct vfu_device_info i = { .argsz = to_le32(sizeof(i)) };
	int err = exchange(c, VFU_DEVICE_GET_INFO, &i, sizeof(i));

	if (err)
		return err;
	if (!(from_le32(i.flags) & VFU_DEVICE_PCI))
		return -ENODEV;
	*info = (struct vfu_client_info){
		.num_regions = from_le32(i.num_regions),
		.num_irqs = from_le32(i.num_irqs),
		.resettable = from_le32(i.flags) & VFU_DEVICE_RESETTABLE,
	};
	return 0;
}

/* The areas of a sparse-mmap capability at `at`. */
static int take_areas(struct vfu_client_region *out, const uint8_t *body, size_t len, size_t at)
{
	struct vfu_cap_sparse_mmap cap;
	uint32_t n;

	if (len - at < sizeof(cap))
		return -EPROTO;
	memcpy(&cap, body + at, sizeof(cap));
	n = from_le32(cap.nr_areas);
	if (n > VFU_CLIENT_MAX_AREAS || n > (len - at - sizeof(cap)) / sizeof(struct vfu_mmap_area))
		return -EPROTO;
	for (uint32_t i = 0; i < n; i++) {
		struct vfu_mmap_area a;

		memcpy(&a, body + at + sizeof(cap) + i * sizeof(a), sizeof(a));
		out->areas[i] = (struct vfu_client_area){ from_le64(a.offset), from_le64(a.size) };
		if (out->areas[i].offset > out->size || out->areas[i].size > out->size - out->areas[i].offset)
			return -EPROTO;
	}
	out->num_areas = n;
	return 0;
}

/* Capabilities lie one behind the other, so that a chain can't run in circles. */
static int take_caps(struct vfu_client_region *out, const uint8_t *body, size_t len, size_t at)
{
	struct vfu_cap_type type;
	struct vfu_cap cap;

	while (at) {
		int err = 0;

		if (at < sizeof(struct vfu_region_info) || at > len || len - at < sizeof(cap))
			return -EPROTO;
		memcpy(&cap, body + at, sizeof(cap));
		if (from_le16(cap.id) == VFU_CAP_SPARSE_MMAP) {
			err = take_areas(out, body, len, at);
		} else if (from_le16(cap.id) == VFU_CAP_TYPE) {
			if (len - at < sizeof(type))
				return -EPROTO;
			memcpy(&type, body + at, sizeof(type));
			out->typed = true;
			out->type = from_le32(type.type);
			out->subtype = from_le32(type.subtype);
		}
		if (err)
			return err;
		if (from_le32(cap.next) && from_le32(cap.next) < at + sizeof(cap))
			return -EPROTO;
		at = from_le32(cap.next);
	}
	return 0;
}

static int take_region(struct vfu_client *c, const struct vfu_region_info *r, size_t len,
		       struct vfu_client_region *out)
{
	uint32_t flags = from_le32(r->flags);

	*out = (struct vfu_client_region){
		.size = from_le64(r->size),
		.flags = flags & (VFU_REGION_READABLE | VFU_REGION_WRITEABLE | VFU_REGION_MMAP),
		.fd = -1,
		.fd_offset = from_le64(r->offset),
	};
	if (flags & VFU_REGION_MMAP) {
		/* A region without a descriptor can't be mapped, and one whose file offsets run over neither. */
		if (!c->fds.n)
			out->flags &= ~P2P_RGN_MMAP;
		if (out->fd_offset > INT64_MAX || out->size > INT64_MAX - out->fd_offset || c->fds.n > 1)
			return -EPROTO;
		out->num_areas = out->flags & P2P_RGN_MMAP ? 1 : 0;
		out->areas[0] = (struct vfu_client_area){ 0, out->size };
	}
	if (flags & VFU_REGION_CAPS) {
		int err = take_caps(out, body_of(c), len, from_le32(r->cap_offset));

		if (err)
			return err;
	}
	if (out->flags & P2P_RGN_MMAP) {
		out->fd = c->fds.fd[0];
		c->fds.n = 0;
	} else {
		out->num_areas = 0;
	}
	return 0;
}

int vfu_client_region_info(struct vfu_client *c, uint32_t region, struct vfu_client_region *info)
{
	uint32_t argsz = sizeof(struct vfu_region_info) + 64;
	struct vfu_client_region found;

	for (int round = 0; round < 2; round++) {
		struct vfu_region_info r = { .argsz = to_le32(argsz), .index = to_le32(region) };
		struct iovec iov = { &r, sizeof(r) };
		size_t len;
		int err = request(c, VFU_DEVICE_GET_REGION_INFO, &iov, 1, NULL, 0, &len);

		if (err)
			return err;
		if (len < sizeof(r) || len > argsz)
			return broken(c, -EPROTO);
		memcpy(&r, body_of(c), sizeof(r));
		if (from_le32(r.index) != region || from_le32(r.argsz) > MAX_REGION_INFO_BYTES)
			return broken(c, -EPROTO);
		if (from_le32(r.argsz) > argsz) {
			argsz = from_le32(r.argsz);
			continue;
		}
		err = take_region(c, &r, len, &found);
		if (err)
			return broken(c, err);
		*info = found;
		return 0;
	}
	return broken(c, -EPROTO);
}

static int read_once(struct vfu_client *c, uint32_t region, uint64_t offset, uint8_t *buf, uint32_t len)
{
	struct vfu_region_access a = { to_le64(offset), to_le32(region), to_le32(len) };
	struct iovec iov = { &a, sizeof(a) };
	size_t got;
	int err = request(c, VFU_REGION_READ, &iov, 1, NULL, 0, &got);

	if (err)
		return err;
	if (got < sizeof(a))
		return broken(c, -EPROTO);
	memcpy(&a, body_of(c), sizeof(a));
	if (from_le32(a.count) > len || got != sizeof(a) + from_le32(a.count))
		return broken(c, -EPROTO);
	if (from_le32(a.count) < len)
		return -EIO;
	memcpy(buf, body_of(c) + sizeof(a), len);
	return 0;
}

static int write_once(struct vfu_client *c, uint32_t region, uint64_t offset, const uint8_t *buf, uint32_t len)
{
	struct vfu_region_access a = { to_le64(offset), to_le32(region), to_le32(len) };
	struct iovec iov[2] = { { &a, sizeof(a) }, { (void *)(uintptr_t)buf, len } };
	size_t got;
	int err = request(c, VFU_REGION_WRITE, iov, 2, NULL, 0, &got);

	if (err)
		return err;
	if (got < sizeof(a))
		return broken(c, -EPROTO);
	memcpy(&a, body_of(c), sizeof(a));
	return from_le32(a.count) == len ? 0 : -EIO;
}

/* How much of an access goes into one message: the server's limit, and what we have room for. */
static uint32_t piece(const struct vfu_client *c, size_t left)
{
	size_t max = c->peer.max_data_xfer < c->cfg.max_data_xfer_bytes ? c->peer.max_data_xfer :
									  c->cfg.max_data_xfer_bytes;

	return (uint32_t)(left < max ? left : max);
}

int vfu_client_region_read(struct vfu_client *c, uint32_t region, uint64_t offset, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		uint32_t n = piece(c, len - done);
		int err = read_once(c, region, offset + done, (uint8_t *)buf + done, n);

		if (err)
			return err;
		done += n;
	}
	return 0;
}

int vfu_client_region_write(struct vfu_client *c, uint32_t region, uint64_t offset, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		uint32_t n = piece(c, len - done);
		int err = write_once(c, region, offset + done, (const uint8_t *)buf + done, n);

		if (err)
			return err;
		done += n;
	}
	return 0;
}

int vfu_client_region_post(struct vfu_client *c, uint32_t region, uint64_t offset, const void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		uint32_t n = piece(c, len - done);
		struct vfu_region_access a = { to_le64(offset + done), to_le32(region), to_le32(n) };
		struct iovec iov[2] = { { &a, sizeof(a) }, { (uint8_t *)(uintptr_t)buf + done, n } };
		struct vfu_header h = vfu_msg_header(c->next_id++, VFU_REGION_WRITE, VFU_F_COMMAND | VFU_F_NO_REPLY);
		int err = send_message(c, &h, iov, 2, NULL, 0);

		if (err)
			return err;
		done += n;
	}
	return 0;
}

static int room_for_map(struct vfu_client *c)
{
	size_t room = c->room_maps ? c->room_maps * 2 : 16;
	struct map *maps;

	if (c->num_maps < c->room_maps)
		return 0;
	maps = realloc(c->maps, room * sizeof(*maps));
	if (!maps)
		return -ENOMEM;
	c->maps = maps;
	c->room_maps = room;
	return 0;
}

static void forget_map(struct vfu_client *c, uint64_t iova, uint64_t size)
{
	for (size_t i = 0; i < c->num_maps; i++) {
		if (c->maps[i].iova == iova && c->maps[i].size == size) {
			c->maps[i] = c->maps[--c->num_maps];
			return;
		}
	}
}

int vfu_client_dma_map(struct vfu_client *c, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot)
{
	struct vfu_dma_map m = {
		.argsz = to_le32(sizeof(m)),
		.flags = to_le32((prot & P2P_DMA_READ ? VFU_DMA_READABLE : 0) |
				 (prot & P2P_DMA_WRITE ? VFU_DMA_WRITEABLE : 0)),
		.offset = to_le64(fd >= 0 ? fd_offset : 0),
		.address = to_le64(iova),
		.size = to_le64(size),
	};
	struct iovec iov = { &m, sizeof(m) };
	size_t len;
	int err;

	if (!size || iova + size - 1 < iova)
		return -EINVAL;
	if (fd >= 0 && !c->peer.max_msg_fds)
		return -ENOTSUP;
	err = room_for_map(c);
	if (err)
		return err;
	/* In force before the reply: the device may use it as soon as it is made. */
	c->maps[c->num_maps++] = (struct map){ iova, size, prot };
	err = request(c, VFU_DMA_MAP, &iov, 1, &fd, fd >= 0, &len);
	if (err) /* the last, for an older map of the same range stays */
		c->num_maps--;
	return err;
}

static int unmap(struct vfu_client *c, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfu_dma_unmap u = {
		.argsz = to_le32(sizeof(u)),
		.flags = to_le32(flags),
		.address = to_le64(iova),
		.size = to_le64(size),
	};

	return exchange(c, VFU_DMA_UNMAP, &u, sizeof(u));
}

int vfu_client_dma_unmap(struct vfu_client *c, uint64_t iova, uint64_t size)
{
	int err = unmap(c, 0, iova, size);

	if (!err)
		forget_map(c, iova, size);
	return err;
}

int vfu_client_dma_unmap_all(struct vfu_client *c)
{
	int err = unmap(c, VFU_DMA_UNMAP_ALL, 0, 0);

	if (!err)
		c->num_maps = 0;
	return err;
}

int vfu_client_irq_info(struct vfu_client *c, uint32_t index, uint32_t *count)
{
	struct vfu_irq_info i = { .argsz = to_le32(sizeof(i)), .index = to_le32(index) };
	int err = exchange(c, VFU_DEVICE_GET_IRQ_INFO, &i, sizeof(i));

	if (err)
		return err;
	if (from_le32(i.index) != index)
		return broken(c, -EPROTO);
	*count = from_le32(i.count);
	return 0;
}

static int set_irqs(struct vfu_client *c, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		    const int *fds, unsigned int nfds)
{
	struct vfu_irq_set set = {
		.argsz = to_le32(sizeof(set)),
		.flags = to_le32(flags),
		.index = to_le32(index),
		.start = to_le32(start),
		.count = to_le32(count),
	};
	struct iovec iov = { &set, sizeof(set) };
	size_t len;

	return request(c, VFU_DEVICE_SET_IRQS, &iov, 1, fds, nfds, &len);
}

int vfu_client_irq_set(struct vfu_client *c, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	uint32_t most = c->peer.max_msg_fds < VFU_MAX_MSG_FDS ? c->peer.max_msg_fds : VFU_MAX_MSG_FDS;
	uint32_t n;

	/* One message takes vectors that all get a descriptor, or that all lose theirs. */
	for (uint32_t i = 0; i < count; i += n) {
		bool gets = fds[i] >= 0;
		int err;

		if (gets && !most)
			return -ENOTSUP;
		for (n = 1; i + n < count && (fds[i + n] >= 0) == gets && (!gets || n < most);)
			n++;
		err = set_irqs(c, VFU_SET_DATA_EVENTFD | VFU_SET_ACTION_TRIGGER, index, start + i, n, fds + i,
			       gets ? n : 0);
		if (err)
			return err;
	}
	return 0;
}

int vfu_client_irq_disable(struct vfu_client *c, uint32_t index)
{
	return set_irqs(c, VFU_SET_DATA_NONE | VFU_SET_ACTION_TRIGGER, index, 0, 0, NULL, 0);
}

int vfu_client_irq_trigger(struct vfu_client *c, uint32_t index, uint32_t vector)
{
	return set_irqs(c, VFU_SET_DATA_NONE | VFU_SET_ACTION_TRIGGER, index, vector, 1, NULL, 0);
}

int vfu_client_irq_mask(struct vfu_client *c, uint32_t index, uint32_t vector, bool masked)
{
	return set_irqs(c, VFU_SET_DATA_NONE | (masked ? VFU_SET_ACTION_MASK : VFU_SET_ACTION_UNMASK), index, vector, 1,
			NULL, 0);
}

int vfu_client_reset(struct vfu_client *c)
{
	size_t len;

	return request(c, VFU_DEVICE_RESET, NULL, 0, NULL, 0, &len);
}
