/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC as the driver reaches it: one PCI function behind some transport.
 *
 *   transport_local      a function in this process (p2p_function_ops)
 *   transport_vfio_user  a vfio-user server's socket
 *   transport_vfio       a PCI function behind the kernel's VFIO; all of them in one container, so that each sees every map
 *
 * Regions, interrupt indexes and map semantics are those of
 * <p2pnic/function.h>; -EINVAL, -EEXIST, -ENOENT and the like are handed
 * through from the function.
 *
 * OWNERSHIP  whoever opened a transport closes it.  Descriptors passed in stay
 *   the caller's; the descriptor that region_info returns becomes the caller's.
 * THREADS  one caller at a time per transport.
 * ERRORS  0 or -errno; -ENOTCONN, at once and for good, when the connection to the NIC is lost: its process is gone, did not
 *   answer in time or broke the protocol; why() says which.  That is no proof that it does nothing any more: a process that
 *   was stopped may go on.
 *
 * Source: design section 4 "Driver bring-up", section 1 (transports).
 */
#ifndef DRIVER_TRANSPORT_H
#define DRIVER_TRANSPORT_H

#include <p2pnic/function.h>

#include "driver/bus.h"

struct vfio_container;

#define DRV_ERR_MAX 512

struct transport;

struct transport_ops {
	/* How many regions there are now, or -errno. */
	int (*num_regions)(struct transport *t);
	/* info->fd is the caller's to close, -1 where the region can't be mapped. */
	int (*region_info)(struct transport *t, unsigned int region, struct p2p_region_info *info);
	/* All of len or an error.  BAR0: 4 or 8 bytes, at their own alignment. */
	int (*region_read)(struct transport *t, unsigned int region, uint64_t off, void *buf, size_t len);
	int (*region_write)(struct transport *t, unsigned int region, uint64_t off, const void *buf, size_t len);
	/* fds[k] < 0 removes vector start + k. */
	int (*irq_set)(struct transport *t, unsigned int index, unsigned int start, unsigned int count,
		       const int *fds);
	int (*dma_map)(struct transport *t, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot);
	int (*dma_unmap)(struct transport *t, uint64_t iova, uint64_t size);
	int (*dma_unmap_all)(struct transport *t);
	int (*reset)(struct transport *t);
	/* As transport_region_mmap(); NULL: by region_info's descriptor. */
	int (*region_mmap)(struct transport *t, unsigned int region, uint64_t bytes, void **out);
	/* A NIC without its persist bit stops and resets itself; one that is held (below) always. */
	void (*close)(struct transport *t);
	/* What the last call that failed has to say beyond its errno, or NULL.  May be NULL itself. */
	const char *(*why)(struct transport *t);
};

/* The NIC runs only while somebody holds its descriptors: no persist bit, and no eventfds between NICs. */
#define TRANSPORT_HELD 1u

/* Every implementation's object begins with this. */
struct transport {
	const struct transport_ops *ops;
	unsigned int flags;    /* TRANSPORT_* */
	unsigned int bus_bits; /* of the bus addresses that can be mapped; 0: all that the device interface allows */
	const struct bus_space *space; /* that it shares with others; NULL: it has one of its own */
	uint64_t bar2;                 /* bus address of its BAR2 in that space; 0: none */
};

/* Opens a function of this process.  fn outlives the transport.  0 or -ENOMEM. */
int transport_local_open(struct transport **out, const struct p2p_function_ops *ops, void *fn);
/* Connects to a vfio-user server.  0 or -errno with one line in err. */
int transport_vfio_user_open(struct transport **out, const char *path, char err[DRV_ERR_MAX]);
/*
 * Opens addr (DDDD:BB:DD.F, bound to vfio-pci) in the container, which outlives the transport.  0 or -errno with one
 * line in err.  Memory decode and bus mastering are the caller's to turn on.
 */
int transport_vfio_open(struct transport **out, struct vfio_container *c, const char *addr, char err[DRV_ERR_MAX]);

/*
 * Maps `bytes` of a mappable region for reading and writing, from its start.
 * munmap() it.  -EINVAL: its descriptor is too short or not sealed against shrinking.
 */
int transport_region_mmap(struct transport *t, unsigned int region, uint64_t bytes, void **out);

#endif
