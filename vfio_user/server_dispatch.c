/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the client, checked and brought to the function's table. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server_priv.h"

#define NUM_BARS 6
#define CONFIG_REGION 7
#define MSIX_INDEX 2
#define MAX_VECTORS 4096 /* more than PCI allows of any kind */

static bool wraps(uint64_t start, uint64_t size)
{
	return start + size < start;
}

size_t vfu_server_max_message(const struct vfu_server *s)
{
	if (!s->conn.greeted)
		return sizeof(struct vfu_header) + sizeof(struct vfu_version) + VFU_VERSION_MAX_BYTES;
	return VFU_MSG_OVERHEAD + s->cfg.max_data_xfer_bytes;
}

/* A body must have exactly the bytes of its struct. */
static int take_body(const struct vfu_request *rq, void *dst, size_t size)
{
	if (rq->len != size)
		return -EINVAL;
	memcpy(dst, rq->body, size);
	return 0;
}

static void put_body(struct vfu_server *s, struct vfu_request *rq, const void *src, size_t size)
{
	memcpy(s->out, src, size);
	rq->out_len = size;
}

/* share: info->fd is the caller's then. */
static int region_of(struct vfu_server *s, uint32_t index, bool share, struct p2p_region_info *info)
{
	const struct p2p_function_ops *ops = s->cfg.ops;
	int err = -EINVAL;

	*info = (struct p2p_region_info){ .fd = -1 };
	vfu_server_op_begin(s, false);
	if (index < ops->num_regions(s->cfg.fn))
		err = share ? ops->region_share(s->cfg.fn, index, info) : ops->region_info(s->cfg.fn, index, info);
	vfu_server_op_end(s);
	return err;
}

static int on_version(struct vfu_server *s, struct vfu_request *rq)
{
	struct vfu_caps mine = {
		.max_msg_fds = VFU_MAX_MSG_FDS,
		.max_data_xfer = s->cfg.max_data_xfer_bytes,
		.max_dma_maps = s->cfg.max_dma_maps,
		.pgsizes = VFU_DEFAULT_PGSIZES,
	};
	struct vfu_version v;
	size_t len;
	int err;

	if (s->conn.greeted || rq->len < sizeof(v))
		return -EINVAL;
	memcpy(&v, rq->body, sizeof(v));
	if (from_le16(v.major) != VFU_MAJOR)
		return -ENOTSUP;
	err = vfu_caps_parse((const char *)rq->body + sizeof(v), rq->len - sizeof(v), &s->conn.peer);
	if (err)
		return err;
	if (from_le16(v.minor) > VFU_MINOR)
		v.minor = to_le16(VFU_MINOR);
	mine.write_multiple = s->conn.peer.write_multiple;
	err = vfu_caps_format(&mine, (char *)s->out + sizeof(v), VFU_VERSION_MAX_BYTES, &len);
	if (err)
		return err;
	memcpy(s->out, &v, sizeof(v));
	rq->out_len = sizeof(v) + len;
	return 0;
}

static int on_dma_map(struct vfu_server *s, struct vfu_request *rq)
{
	uint64_t address, size, offset;
	struct vfu_dma_map m;
	uint32_t flags, prot;
	int fd, err;

	if (take_body(rq, &m, sizeof(m)))
		return -EINVAL;
	address = from_le64(m.address);
	size = from_le64(m.size);
	offset = from_le64(m.offset);
	flags = from_le32(m.flags);
	if (from_le32(m.argsz) < sizeof(m) || flags & ~(VFU_DMA_READABLE | VFU_DMA_WRITEABLE) || !size ||
	    wraps(address, size - 1) || rq->fds->n > 1)
		return -EINVAL;
	fd = rq->fds->n ? rq->fds->fd[0] : -1;
	if (fd >= 0 && (wraps(offset, size) || offset + size > INT64_MAX))
		return -EINVAL;
	prot = (flags & VFU_DMA_READABLE ? P2P_DMA_READ : 0) | (flags & VFU_DMA_WRITEABLE ? P2P_DMA_WRITE : 0);
	vfu_server_op_begin(s, false);
	err = s->cfg.ops->dma_map(s->cfg.fn, address, size, fd, offset, prot);
	vfu_server_op_end(s);
	return err;
}

static int on_dma_unmap(struct vfu_server *s, struct vfu_request *rq)
{
	uint64_t address, size;
	struct vfu_dma_unmap u;
	uint32_t flags;
	int err;

	if (take_body(rq, &u, sizeof(u)))
		return -EINVAL;
	address = from_le64(u.address);
	size = from_le64(u.size);
	flags = from_le32(u.flags);
	if (from_le32(u.argsz) < sizeof(u))
		return -EINVAL;
	if (flags & ~VFU_DMA_UNMAP_ALL)
		return -ENOTSUP;
	if (flags ? address || size : !size || wraps(address, size - 1))
		return -EINVAL;
	vfu_server_op_begin(s, true);
	err = flags ? s->cfg.ops->dma_unmap_all(s->cfg.fn) : s->cfg.ops->dma_unmap(s->cfg.fn, address, size);
	vfu_server_op_end(s);
	if (err)
		return err;
	u.argsz = to_le32(sizeof(u));
	put_body(s, rq, &u, sizeof(u));
	return 0;
}

static int on_device_info(struct vfu_server *s, struct vfu_request *rq)
{
	struct vfu_device_info i;

	if (take_body(rq, &i, sizeof(i)) || from_le32(i.argsz) < sizeof(i))
		return -EINVAL;
	vfu_server_op_begin(s, false);
	i.num_regions = to_le32(s->cfg.ops->num_regions(s->cfg.fn));
	vfu_server_op_end(s);
	i.argsz = to_le32(sizeof(i));
	i.flags = to_le32(VFU_DEVICE_PCI | VFU_DEVICE_RESETTABLE);
	i.num_irqs = to_le32(P2P_NUM_IRQS);
	put_body(s, rq, &i, sizeof(i));
	return 0;
}

/* The vendor a device-specific region belongs to. */
static uint32_t vendor_of(struct vfu_server *s)
{
	le16 id = to_le16(0xffff);

	vfu_server_op_begin(s, false);
	s->cfg.ops->region_read(s->cfg.fn, CONFIG_REGION, 0, &id, sizeof(id));
	vfu_server_op_end(s);
	return from_le16(id);
}

static int on_region_info(struct vfu_server *s, struct vfu_request *rq)
{
	struct p2p_region_info info;
	struct vfu_region_info r;
	struct vfu_cap_type type;
	size_t full = sizeof(r);
	uint32_t index, argsz, flags;
	int err;

	/* libvfio-user's client sends room for capabilities along. */
	if (rq->len < sizeof(r))
		return -EINVAL;
	memcpy(&r, rq->body, sizeof(r));
	index = from_le32(r.index);
	argsz = from_le32(r.argsz);
	if (argsz < sizeof(r))
		return -EINVAL;
	err = region_of(s, index, s->conn.peer.max_msg_fds, &info);
	if (err)
		return err;
	rq->out_fd = info.fd;
	flags = (info.flags & P2P_RGN_READ ? VFU_REGION_READABLE : 0) |
		(info.flags & P2P_RGN_WRITE ? VFU_REGION_WRITEABLE : 0);
	if (info.flags & P2P_RGN_MMAP && info.fd >= 0 && info.size)
		flags |= VFU_REGION_MMAP;
	if (index >= P2P_REGION_SEGMENT) {
		flags |= VFU_REGION_CAPS;
		full += sizeof(type);
	}
	r = (struct vfu_region_info){
		.argsz = to_le32((uint32_t)full),
		.flags = to_le32(flags),
		.index = to_le32(index),
		.size = to_le64(info.size),
		.offset = to_le64(flags & VFU_REGION_MMAP ? info.fd_offset : 0),
	};
	rq->out_len = sizeof(r);
	if (argsz < full) { /* the client asks again, with room */
		memcpy(s->out, &r, sizeof(r));
		return 0;
	}
	if (flags & VFU_REGION_CAPS) {
		type = (struct vfu_cap_type){
			.header = { .id = to_le16(VFU_CAP_TYPE), .version = to_le16(1) },
			.type = to_le32(VFU_TYPE_PCI_VENDOR | vendor_of(s)),
			.subtype = to_le32(VFU_SUBTYPE_SEGMENT + index - P2P_REGION_SEGMENT),
		};
		r.cap_offset = to_le32(sizeof(r));
		memcpy(s->out + sizeof(r), &type, sizeof(type));
		rq->out_len = full;
	}
	memcpy(s->out, &r, sizeof(r));
	rq->fd_goes = flags & VFU_REGION_MMAP;
	return 0;
}

static int on_irq_info(struct vfu_server *s, struct vfu_request *rq)
{
	struct p2p_irq_info info = { 0 };
	struct vfu_irq_info i;
	uint32_t index, flags = 0;
	int err;

	if (take_body(rq, &i, sizeof(i)) || from_le32(i.argsz) < sizeof(i))
		return -EINVAL;
	index = from_le32(i.index);
	if (index >= P2P_NUM_IRQS)
		return -EINVAL;
	vfu_server_op_begin(s, false);
	err = s->cfg.ops->irq_info(s->cfg.fn, index, &info);
	vfu_server_op_end(s);
	if (err)
		return err;
	if (info.count)
		flags = VFU_IRQ_EVENTFD | (index == MSIX_INDEX ? VFU_IRQ_MASKABLE : 0);
	i = (struct vfu_irq_info){
		.argsz = to_le32(sizeof(i)),
		.flags = to_le32(flags),
		.index = to_le32(index),
		.count = to_le32(info.count),
	};
	put_body(s, rq, &i, sizeof(i));
	return 0;
}

/* What is written to as an eventfd must be one: a pipe could block the writer. */
static bool is_eventfd(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char path[32], text[sizeof(want)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, text, sizeof(text));
	return n == (ssize_t)sizeof(want) - 1 && !memcmp(text, want, sizeof(want) - 1);
}

static int irqs_attach(struct vfu_server *s, struct vfu_request *rq, uint32_t index, uint32_t start, uint32_t count)
{
	int fds[MAX_VECTORS];
	int err;

	if (rq->fds->n && rq->fds->n != count)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		fds[i] = rq->fds->n ? rq->fds->fd[i] : -1;
		if (fds[i] >= 0 && !is_eventfd(fds[i]))
			return -EINVAL;
	}
	vfu_server_op_begin(s, false);
	err = s->cfg.ops->irq_set(s->cfg.fn, index, start, count, fds);
	vfu_server_op_end(s);
	return err;
}

static int irqs_act(struct vfu_server *s, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		    const uint8_t *bools)
{
	const struct p2p_function_ops *ops = s->cfg.ops;
	int err = 0;

	vfu_server_op_begin(s, false);
	for (uint32_t i = 0; i < count && !err; i++) {
		if (bools && !bools[i])
			continue;
		if (flags & VFU_SET_ACTION_TRIGGER)
			err = ops->irq_trigger(s->cfg.fn, index, start + i);
		else
			err = ops->irq_mask(s->cfg.fn, index, start + i, flags & VFU_SET_ACTION_MASK);
	}
	vfu_server_op_end(s);
	return err;
}

static bool one_bit(uint32_t v)
{
	return v && !(v & (v - 1));
}

static int on_set_irqs(struct vfu_server *s, struct vfu_request *rq)
{
	uint32_t flags, index, start, count, data, action;
	struct p2p_irq_info info = { 0 };
	struct vfu_irq_set set;
	int err;

	if (rq->len < sizeof(set))
		return -EINVAL;
	memcpy(&set, rq->body, sizeof(set));
	flags = from_le32(set.flags);
	index = from_le32(set.index);
	start = from_le32(set.start);
	count = from_le32(set.count);
	data = flags & VFU_SET_DATA_MASK;
	action = flags & VFU_SET_ACTION_BITS;
	if (from_le32(set.argsz) < sizeof(set) || flags != (data | action) || !one_bit(data) || !one_bit(action) ||
	    index >= P2P_NUM_IRQS || (data != VFU_SET_DATA_EVENTFD && rq->fds->n))
		return -EINVAL;
	vfu_server_op_begin(s, false);
	err = s->cfg.ops->irq_info(s->cfg.fn, index, &info);
	vfu_server_op_end(s);
	if (err)
		return err;
	if (info.count > MAX_VECTORS || start > info.count || count > info.count - start)
		return -EINVAL;
	if (rq->len != sizeof(set) + (data == VFU_SET_DATA_BOOL ? count : 0))
		return -EINVAL;
	if (!count) { /* "disables all interrupts of the index" */
		if (start || data != VFU_SET_DATA_NONE || action != VFU_SET_ACTION_TRIGGER)
			return -EINVAL;
		return info.count ? irqs_attach(s, rq, index, 0, info.count) : 0;
	}
	if (data == VFU_SET_DATA_EVENTFD)
		return action == VFU_SET_ACTION_TRIGGER ? irqs_attach(s, rq, index, start, count) : -ENOTSUP;
	return irqs_act(s, flags, index, start, count, data == VFU_SET_DATA_BOOL ? rq->body + sizeof(set) : NULL);
}

/* Region, offset and count of an access, against the region as it is now. */
static int check_access(struct vfu_server *s, uint32_t region, uint64_t offset, uint32_t count, uint32_t need)
{
	struct p2p_region_info info;
	int err;

	if (count > s->cfg.max_data_xfer_bytes)
		return -EINVAL;
	err = region_of(s, region, false, &info);
	if (err)
		return err;
	if (offset > info.size || count > info.size - offset)
		return -EINVAL;
	return info.flags & need ? 0 : -EACCES;
}

static int on_region_read(struct vfu_server *s, struct vfu_request *rq)
{
	struct vfu_region_access a;
	uint32_t region, count;
	int64_t n = 0;
	int err;

	if (take_body(rq, &a, sizeof(a)))
		return -EINVAL;
	region = from_le32(a.region);
	count = from_le32(a.count);
	err = check_access(s, region, from_le64(a.offset), count, P2P_RGN_READ);
	if (err)
		return err;
	if (count) {
		vfu_server_op_begin(s, false);
		n = s->cfg.ops->region_read(s->cfg.fn, region, from_le64(a.offset), s->out + sizeof(a), count);
		vfu_server_op_end(s);
	}
	if (n < 0)
		return (int)n;
	a.count = to_le32((uint32_t)n);
	memcpy(s->out, &a, sizeof(a));
	rq->out_len = sizeof(a) + (size_t)n;
	return 0;
}

static int write_region(struct vfu_server *s, uint32_t region, uint64_t offset, const void *data, uint32_t count,
			uint32_t *written)
{
	int64_t n = 0;
	int err = check_access(s, region, offset, count, P2P_RGN_WRITE);

	*written = 0;
	if (err)
		return err;
	if (count) {
		vfu_server_op_begin(s, false);
		n = s->cfg.ops->region_write(s->cfg.fn, region, offset, data, count);
		vfu_server_op_end(s);
	}
	if (n < 0)
		return (int)n;
	*written = (uint32_t)n;
	return 0;
}

static int on_region_write(struct vfu_server *s, struct vfu_request *rq)
{
	struct vfu_region_access a;
	uint32_t n;
	int err;

	if (rq->len < sizeof(a))
		return -EINVAL;
	memcpy(&a, rq->body, sizeof(a));
	if (from_le32(a.count) != rq->len - sizeof(a))
		return -EINVAL;
	err = write_region(s, from_le32(a.region), from_le64(a.offset), rq->body + sizeof(a), from_le32(a.count), &n);
	if (err)
		return err;
	a.count = to_le32(n);
	put_body(s, rq, &a, sizeof(a));
	return 0;
}

static int on_write_multi(struct vfu_server *s, struct vfu_request *rq)
{
	struct vfu_write_multi m;
	struct vfu_write_one one;
	uint64_t count;
	int err;

	if (rq->len < sizeof(m))
		return -EINVAL;
	memcpy(&m, rq->body, sizeof(m));
	count = from_le64(m.wr_cnt);
	if (count > (rq->len - sizeof(m)) / sizeof(one) || rq->len != sizeof(m) + count * sizeof(one))
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		uint32_t n;

		memcpy(&one, rq->body + sizeof(m) + i * sizeof(one), sizeof(one));
		if (from_le32(one.count) > sizeof(one.data))
			return -EINVAL;
		err = write_region(s, from_le32(one.region), from_le64(one.offset), one.data, from_le32(one.count), &n);
		if (err)
			return err;
	}
	put_body(s, rq, &m, sizeof(m));
	return 0;
}

static int on_reset(struct vfu_server *s, struct vfu_request *rq)
{
	int err;

	if (rq->len)
		return -EINVAL;
	vfu_server_op_begin(s, true);
	err = s->cfg.ops->reset(s->cfg.fn);
	vfu_server_op_end(s);
	return err;
}

/* In the protocol, but not here. */
static int on_unsupported(struct vfu_server *s, struct vfu_request *rq)
{
	return -ENOTSUP;
}

static const struct {
	int (*handle)(struct vfu_server *s, struct vfu_request *rq);
	bool takes_fds;
} handlers[] = {
	[VFU_VERSION] = { on_version, false },
	[VFU_DMA_MAP] = { on_dma_map, true },
	[VFU_DMA_UNMAP] = { on_dma_unmap, false },
	[VFU_DEVICE_GET_INFO] = { on_device_info, false },
	[VFU_DEVICE_GET_REGION_INFO] = { on_region_info, false },
	[VFU_DEVICE_GET_REGION_IO_FDS] = { on_unsupported, false },
	[VFU_DEVICE_GET_IRQ_INFO] = { on_irq_info, false },
	[VFU_DEVICE_SET_IRQS] = { on_set_irqs, true },
	[VFU_REGION_READ] = { on_region_read, false },
	[VFU_REGION_WRITE] = { on_region_write, false },
	[VFU_DEVICE_RESET] = { on_reset, false },
	[VFU_REGION_WRITE_MULTI] = { on_write_multi, false },
	[VFU_DEVICE_FEATURE] = { on_unsupported, false },
	[VFU_MIG_DATA_READ] = { on_unsupported, false },
	[VFU_MIG_DATA_WRITE] = { on_unsupported, false },
};

int vfu_server_reply_error(struct vfu_server *s, int fd, uint16_t id, uint16_t command, int value)
{
	struct vfu_header h = vfu_msg_header(id, command, VFU_F_REPLY | VFU_F_ERROR);
	int err;

	h.error = to_le32((uint32_t)value);
	pthread_mutex_lock(&s->send_lock);
	err = vfu_msg_send(fd, &h, NULL, 0, NULL, 0, vfu_now_ms() + s->cfg.message_timeout_ms);
	pthread_mutex_unlock(&s->send_lock);
	return err;
}

static int reply(struct vfu_server *s, const struct vfu_request *rq)
{
	struct vfu_header h = vfu_msg_header(rq->id, rq->command, VFU_F_REPLY);
	struct iovec body = { s->out, rq->out_len };
	int err;

	pthread_mutex_lock(&s->send_lock);
	err = vfu_msg_send(s->conn.fd, &h, &body, 1, &rq->out_fd, rq->fd_goes,
			   vfu_now_ms() + s->cfg.message_timeout_ms);
	pthread_mutex_unlock(&s->send_lock);
	return err;
}

/* The first message: it must be a VERSION that we can agree with. */
static int greet(struct vfu_server *s, const struct vfu_request *rq)
{
	int err;

	vfu_server_op_begin(s, false);
	s->cfg.ops->attached(s->cfg.fn, s->conn.peer.maps_complete ? &vfu_server_dma_ops : &vfu_server_dma_beyond_ops, s);
	vfu_server_op_end(s);
	s->conn.attached = true;
	err = reply(s, rq);
	if (err)
		return err;
	s->conn.greeted = true;
	vfu_stat(&s->stats.clients);
	vfu_server_dma_open(s);
	return 0;
}

static int handle(struct vfu_server *s, struct vfu_request *rq)
{
	bool first = !s->conn.greeted;
	int err = -ENOSYS;

	vfu_stat(&s->stats.requests);
	if (first && rq->command != VFU_VERSION)
		err = -EPROTO;
	else if (rq->command < P2P_ARRAY_SIZE(handlers) && handlers[rq->command].handle)
		err = rq->fds->truncated || (rq->fds->n && !handlers[rq->command].takes_fds) ?
			      -EINVAL :
			      handlers[rq->command].handle(s, rq);
	if (!err && first)
		return greet(s, rq);
	if (err)
		vfu_stat(&s->stats.request_errors);
	if (rq->flags & VFU_F_NO_REPLY)
		return first ? -EPROTO : 0;
	if (!err)
		return reply(s, rq);
	err = vfu_server_reply_error(s, s->conn.fd, rq->id, rq->command, -err);
	return first ? -EPROTO : err;
}

int vfu_server_handle(struct vfu_server *s, const struct vfu_header *h, const uint8_t *body, size_t len)
{
	struct vfu_request rq = {
		.id = from_le16(h->id),
		.command = from_le16(h->command),
		.flags = from_le32(h->flags),
		.body = body,
		.len = len,
		.fds = &s->conn.fds,
		.out_fd = -1,
	};
	int err = handle(s, &rq);

	if (rq.out_fd >= 0)
		close(rq.out_fd);
	return err;
}
