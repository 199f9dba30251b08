/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A vfio-user client, for the driver: blocking calls, one function per socket.
 *
 * Source: the vfio-user specification (see proto.h).
 *
 * THREADS: one at a time per client.
 *
 * DMA BY MESSAGE: while a call waits for its reply, and in vfu_client_serve(),
 * DMA_READ and DMA_WRITE of the server are answered through the callbacks.  They
 * are called only for ranges that lie within one map made here and that it
 * allows; everything else gets an error reply.
 *
 * ERRORS: -errno as the server replied it (-EIO where it named none), or of the
 * connection: -ENOTCONN (closed, or broken earlier), -ETIMEDOUT (no reply in
 * time), -EPROTO (the server broke the protocol).  After one of these three the
 * connection is closed and every further call but close() returns -ENOTCONN.
 *
 * TRUST: the server's replies are checked; what it claims about itself (sizes,
 * offsets) is bounded but must be judged by the caller.  In particular a
 * descriptor can be shorter than the region it stands for.
 */
#ifndef VFIO_USER_CLIENT_H
#define VFIO_USER_CLIENT_H

#include <p2pnic/function.h>

struct vfu_client;

struct vfu_client_config {
	const char *path;
	uint32_t timeout_ms;	      /* of connecting and of each reply; 0: 5000 */
	uint32_t max_data_xfer_bytes; /* of DMA by message; 0: 1 MiB */
	/* May be NULL: then such DMA is refused.  Return 0 or -errno. */
	int (*dma_read)(void *opaque, uint64_t iova, void *dst, size_t len);
	int (*dma_write)(void *opaque, uint64_t iova, const void *src, size_t len);
	void *opaque;
};

struct vfu_client_info {
	uint32_t num_regions;
	uint32_t num_irqs;
	bool resettable;
};

#define VFU_CLIENT_MAX_AREAS 64

struct vfu_client_area {
	uint64_t offset; /* within the region */
	uint64_t size;
};

struct vfu_client_region {
	uint64_t size;
	uint32_t flags; /* P2P_RGN_* */
	int fd;		/* the caller's to close; -1: none */
	uint64_t fd_offset;
	/* Which parts may be mapped; without such a capability the whole region, as one area. */
	unsigned int num_areas;
	struct vfu_client_area areas[VFU_CLIENT_MAX_AREAS];
	bool typed; /* device-specific: type and subtype hold */
	uint32_t type;
	uint32_t subtype;
};

/*
 * Connects and agrees on a version.
 *   -ENOENT, -ECONNREFUSED  nobody listens there
 *   -EBUSY                  another client is attached
 *   -ENAMETOOLONG           of a socket path
 */
int vfu_client_open(const struct vfu_client_config *cfg, struct vfu_client **out);
/* The same over a stream socket that is connected (cfg->path is not looked at).  fd is the client's, whatever is returned. */
int vfu_client_attach(const struct vfu_client_config *cfg, int fd, struct vfu_client **out);
/* NULL is fine. */
void vfu_client_close(struct vfu_client *c);

/* To poll for POLLIN; then call vfu_client_serve().  -1 once closed. */
int vfu_client_fd(const struct vfu_client *c);
/* Answers what the server has asked, waiting up to timeout_ms for the first.  0 or an error of the connection. */
int vfu_client_serve(struct vfu_client *c, uint32_t timeout_ms);

int vfu_client_info(struct vfu_client *c, struct vfu_client_info *info);
int vfu_client_region_info(struct vfu_client *c, uint32_t region, struct vfu_client_region *info);

/* All len bytes or an error; longer than the server takes at once becomes several messages. */
int vfu_client_region_read(struct vfu_client *c, uint32_t region, uint64_t offset, void *buf, size_t len);
int vfu_client_region_write(struct vfu_client *c, uint32_t region, uint64_t offset, const void *buf, size_t len);
/* As write, but returns once sent: whether it succeeds is not told. */
int vfu_client_region_post(struct vfu_client *c, uint32_t region, uint64_t offset, const void *buf, size_t len);

/* fd < 0: by message.  fd stays the caller's.  prot: P2P_DMA_*.  -EEXIST: overlaps a map.  -ENOSPC: too many. */
int vfu_client_dma_map(struct vfu_client *c, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot);
int vfu_client_dma_unmap(struct vfu_client *c, uint64_t iova, uint64_t size);
int vfu_client_dma_unmap_all(struct vfu_client *c);

int vfu_client_irq_info(struct vfu_client *c, uint32_t index, uint32_t *count);
/* fds[i] < 0 removes vector start + i.  The descriptors stay the caller's.  Several messages where they are many. */
int vfu_client_irq_set(struct vfu_client *c, uint32_t index, uint32_t start, uint32_t count, const int *fds);
int vfu_client_irq_disable(struct vfu_client *c, uint32_t index);
int vfu_client_irq_trigger(struct vfu_client *c, uint32_t index, uint32_t vector);
int vfu_client_irq_mask(struct vfu_client *c, uint32_t index, uint32_t vector, bool masked);

int vfu_client_reset(struct vfu_client *c);

#endif
