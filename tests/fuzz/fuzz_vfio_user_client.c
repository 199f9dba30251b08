/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vfio-user client under a hostile server: its replies lie on the socket before the client asks, with the number and
 * command that it expects, or not; requests of the server's own come in between.
 *
 *   input   the greeting, then calls with the replies to them
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio_user/client.h>
#include <vfio_user/msg.h>
#include "fuzz.h"

#define CALLS_MAX 64
#define XFER_MAX 4096u
#define BODY_MAX 512u

enum call {
	CALL_INFO, CALL_REGION_INFO, CALL_READ, CALL_WRITE, CALL_POST, CALL_MAP, CALL_UNMAP, CALL_UNMAP_ALL, CALL_IRQ_INFO,
	CALL_IRQ_SET, CALL_IRQ_OFF, CALL_TRIGGER, CALL_MASK, CALL_RESET, CALL_SERVE, CALL_NUM
};
static const uint8_t command_of[CALL_NUM] = {
	[CALL_INFO] = VFU_DEVICE_GET_INFO, [CALL_REGION_INFO] = VFU_DEVICE_GET_REGION_INFO, [CALL_READ] = VFU_REGION_READ,
	[CALL_WRITE] = VFU_REGION_WRITE, [CALL_POST] = VFU_REGION_WRITE, [CALL_MAP] = VFU_DMA_MAP,
	[CALL_UNMAP] = VFU_DMA_UNMAP, [CALL_UNMAP_ALL] = VFU_DMA_UNMAP, [CALL_IRQ_INFO] = VFU_DEVICE_GET_IRQ_INFO,
	[CALL_IRQ_SET] = VFU_DEVICE_SET_IRQS, [CALL_IRQ_OFF] = VFU_DEVICE_SET_IRQS, [CALL_TRIGGER] = VFU_DEVICE_SET_IRQS,
	[CALL_MASK] = VFU_DEVICE_SET_IRQS, [CALL_RESET] = VFU_DEVICE_RESET,
};

struct world {
	struct vfu_client *c;
	int server; /* the far end */
	uint16_t id;  /* of the client's next request */
	uint8_t memory[65536]; /* at bus address 0 on, by message */
};

static int dma_read(void *opaque, uint64_t iova, void *dst, size_t len)
{
	struct world *w = opaque;

	if (len > XFER_MAX)
		fuzz_fail("a DMA_READ of %zu bytes came through", len);
	if (iova >= sizeof(w->memory) || len > sizeof(w->memory) - iova)
		return -14;
	memcpy(dst, w->memory + iova, len);
	return 0;
}

static int dma_write(void *opaque, uint64_t iova, const void *src, size_t len)
{
	struct world *w = opaque;

	if (len > XFER_MAX)
		fuzz_fail("a DMA_WRITE of %zu bytes came through", len);
	if (iova >= sizeof(w->memory) || len > sizeof(w->memory) - iova)
		return -14;
	memcpy(w->memory + iova, src, len);
	return 0;
}

/* What a reply to this call would be, mended where `how` says so: fields that the client checks. */
static void mend(uint8_t *body, size_t n, enum call call, uint32_t arg, uint64_t count)
{
	struct vfu_region_access a = { to_le64(0), to_le32(0), to_le32((uint32_t)count) };
	struct vfu_device_info i = { to_le32(sizeof(i)), to_le32(VFU_DEVICE_PCI), to_le32(9), to_le32(5) };
	le32 word = to_le32(arg), argsz = to_le32((uint32_t)n);

	if (call == CALL_INFO && n >= sizeof(i))
		memcpy(body, &i, sizeof(i));
	else if ((call == CALL_REGION_INFO || call == CALL_IRQ_INFO) && n >= 16)
		memcpy(body + 8, &word, sizeof(word));
	if (call == CALL_REGION_INFO && n >= 16)
		memcpy(body, &argsz, sizeof(argsz));
	if ((call == CALL_READ || call == CALL_WRITE) && n >= sizeof(a))
		memcpy(body, &a, sizeof(a));
}

/* One message of the server's; how: what is right of it. */
static void reply(struct world *w, struct fuzz_in *in, enum call call, uint32_t arg, uint64_t count)
{
	uint8_t how = fuzz_u8(in), all[sizeof(struct vfu_header) + BODY_MAX] = { 0 };
	size_t n = fuzz_u16(in) % (BODY_MAX + 1), have = n;
	const uint8_t *from;
	struct vfu_header h = vfu_msg_header(w->id, call == CALL_SERVE ? VFU_DMA_READ : command_of[call], VFU_F_REPLY);
	int fd = -1;

	if (call == CALL_READ && how & 1)
		n = have = sizeof(struct vfu_region_access) + (count < 64 ? count : 64);
	from = fuzz_bytes(in, &have);
	memcpy(all + sizeof(h), from, have);
	if (how & 1)
		mend(all + sizeof(h), n, call, arg, count);
	if (how & 2)
		h.command = to_le16(fuzz_u8(in));
	if (how & 4)
		h.flags = to_le32(fuzz_u8(in));
	if (how & 8 || call == CALL_SERVE) { /* a request of its own */
		h.command = to_le16(how & 16 ? VFU_DMA_READ : VFU_DMA_WRITE);
		h.flags = to_le32(how & 32 ? VFU_F_NO_REPLY : VFU_F_COMMAND);
	} else if (how & 16) {
		fd = fuzz_fd(fuzz_u8(in) % FUZZ_FD_KINDS);
	}
	h.size = to_le32((uint32_t)(sizeof(h) + n));
	if (how & 64)
		h.size = to_le32(fuzz_u16(in));
	if (how & 32 && from_le32(h.flags) == VFU_F_REPLY) {
		h.flags = to_le32(VFU_F_REPLY | VFU_F_ERROR);
		h.error = to_le32(fuzz_u8(in));
	}
	memcpy(all, &h, sizeof(h));
	fuzz_send(w->server, all, sizeof(h) + n, &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

/* The number of the client's next request follows from the ones that it has sent. */
static void take_requests(struct world *w)
{
	static uint8_t buf[1 << 18];
	struct vfu_fds fds = { .n = 0 };
	int64_t n = vfu_msg_recv(w->server, buf, sizeof(buf), &fds), at = 0;
	struct vfu_header h;

	vfu_fds_close(&fds);
	while (n - at >= (int64_t)sizeof(h)) {
		memcpy(&h, buf + at, sizeof(h));
		if ((from_le32(h.flags) & VFU_F_TYPE_MASK) == VFU_F_COMMAND)
			w->id = (uint16_t)(from_le16(h.id) + 1);
		if (from_le32(h.size) < sizeof(h))
			fuzz_fail("the client sent a message of %u bytes", from_le32(h.size));
		at += from_le32(h.size);
	}
}

static void check_region(const struct vfu_client_region *r)
{
	unsigned int k;

	if (r->num_areas > VFU_CLIENT_MAX_AREAS || (r->flags & P2P_RGN_MMAP) != (r->fd >= 0 ? P2P_RGN_MMAP : 0))
		fuzz_fail("a region with %u areas, flags %x, descriptor %d", r->num_areas, r->flags, r->fd);
	for (k = 0; k < r->num_areas; k++)
		if (r->areas[k].offset > r->size || r->areas[k].size > r->size - r->areas[k].offset)
			fuzz_fail("an area outside its region");
	if (r->fd >= 0)
		close(r->fd);
}

static void call_one(struct world *w, struct fuzz_in *in)
{
	enum call call = fuzz_u8(in) % CALL_NUM;
	uint32_t arg = fuzz_u8(in), replies = fuzz_u8(in) % 4, k;
	uint64_t at = (uint64_t)fuzz_u8(in) << 8, size = fuzz_u16(in) + 1u;
	int fds[20], fd = arg & 1 ? fuzz_fd(FUZZ_FD_SEALED) : -1;
	static uint8_t buf[65536];
	struct vfu_client_region region;
	struct vfu_client_info info;

	for (k = 0; k < replies; k++)
		reply(w, in, call, arg, size);
	switch (call) {
	case CALL_INFO:
		vfu_client_info(w->c, &info);
		break;
	case CALL_REGION_INFO:
		if (!vfu_client_region_info(w->c, arg, &region))
			check_region(&region);
		break;
	case CALL_READ:
		vfu_client_region_read(w->c, arg, at, buf, size > sizeof(buf) ? sizeof(buf) : size);
		break;
	case CALL_WRITE:
		vfu_client_region_write(w->c, arg, at, buf, size % 8192);
		break;
	case CALL_POST:
		vfu_client_region_post(w->c, arg, at, buf, size % 8192);
		break;
	case CALL_MAP:
		vfu_client_dma_map(w->c, at, size, fd, 0, arg >> 1 & 3);
		break;
	case CALL_UNMAP:
		vfu_client_dma_unmap(w->c, at, size);
		break;
	case CALL_UNMAP_ALL:
		vfu_client_dma_unmap_all(w->c);
		break;
	case CALL_IRQ_INFO:
		vfu_client_irq_info(w->c, arg, &k);
		break;
	case CALL_IRQ_SET:
		for (k = 0; k < sizeof(fds) / sizeof(fds[0]); k++)
			fds[k] = size >> k % 16 & 1 ? fd : -1;
		vfu_client_irq_set(w->c, arg, 0, arg % 20, fds);
		break;
	case CALL_IRQ_OFF:
		vfu_client_irq_disable(w->c, arg);
		break;
	case CALL_TRIGGER:
		vfu_client_irq_trigger(w->c, arg, 0);
		break;
	case CALL_MASK:
		vfu_client_irq_mask(w->c, arg, 0, size & 1);
		break;
	case CALL_RESET:
		vfu_client_reset(w->c);
		break;
	default:
		vfu_client_serve(w->c, 0);
	}
	if (fd >= 0)
		close(fd);
	take_requests(w);
}

static void greet(struct world *w, struct fuzz_in *in)
{
	static const char usual[] = "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1024}}";
	uint8_t all[sizeof(struct vfu_header) + sizeof(struct vfu_version) + 256] = { 0 };
	uint8_t how = fuzz_u8(in);
	size_t n = how & 1 ? fuzz_u8(in) : sizeof(usual);
	const uint8_t *text = how & 1 ? fuzz_bytes(in, &n) : (const uint8_t *)usual;
	struct vfu_header h = vfu_msg_header(0, VFU_VERSION, VFU_F_REPLY);

	h.size = to_le32((uint32_t)(sizeof(h) + sizeof(struct vfu_version) + n));
	memcpy(all, &h, sizeof(h));
	all[sizeof(h) + 2] = VFU_MINOR;
	memcpy(all + sizeof(h) + sizeof(struct vfu_version), text, n);
	if (how & 2) /* any bytes of it changed */
		all[fuzz_u8(in) % 24] ^= fuzz_u8(in);
	fuzz_send(w->server, all, sizeof(h) + sizeof(struct vfu_version) + n, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct vfu_client_config cfg = { .timeout_ms = 1, .max_data_xfer_bytes = XFER_MAX, .dma_read = dma_read,
					 .dma_write = dma_write, .opaque = &w };
	struct fuzz_in in = fuzz_in(data, size);
	unsigned int calls;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		fuzz_fail("no sockets");
	w = (struct world){ .server = pair[1] };
	greet(&w, &in);
	if (!vfu_client_attach(&cfg, pair[0], &w.c)) {
		take_requests(&w);
		for (calls = 0; fuzz_left(&in) && calls < CALLS_MAX && vfu_client_fd(w.c) >= 0; calls++)
			call_one(&w, &in);
		vfu_client_close(w.c);
	}
	close(w.server);
	return 0;
}
