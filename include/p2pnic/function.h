/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function as its transport sees it.
 *
 * A board implements this table; the vfio-user server and the driver's
 * `local:` transport call it.  It knows neither sockets nor firmware.
 *
 * Regions are numbered as in <linux/vfio.h>: 0-5 BARs, 6 ROM, 7 config space,
 * 8 VGA.  From P2P_REGION_SEGMENT on follow the device-specific regions, one
 * per segment of device memory (see layout.h); region P2P_REGION_SEGMENT + s
 * and the bytes of BAR2 at segment s's offset are the same memory.
 *
 * Interrupt indexes are those of VFIO: 0 INTx (absent), 1 MSI (absent),
 * 2 MSI-X, 3 error, 4 request.  Two device-specific indexes carry the wake-up
 * eventfds of design "Waking": P2P_IRQ_BELL, sub-index q * P2P_MAX_NICS + i: signal
 * this to wake queue q of peer i; P2P_IRQ_WAKE, sub-index q: peers signal this to wake our queue q.
 *
 * THREADS: every call may come from the transport's thread, one at a time per
 * function.  The board brings the call to the worker that owns the NIC, or holds the
 * workers of its queues still meanwhile.
 *
 * ERRORS: 0 or a count, else -errno:
 *   -EINVAL  region, offset, length or alignment that does not exist
 *   -EACCES  the region can't be accessed so
 *   -EEXIST  dma_map: overlaps an existing map
 *   -ENOENT  dma_unmap: no map of exactly that range
 *   -ENOSPC  dma_map: the map table is full, or too many maps have no F_SEAL_SHRINK
 *   -EPERM   dma_map: memory that another party can take away (no
 *            F_SEAL_SHRINK, or hugetlbfs) and the board can't recover from SIGBUS
 */
#ifndef P2PNIC_FUNCTION_H
#define P2PNIC_FUNCTION_H

#include "types.h"

#define P2P_REGION_SEGMENT 9 /* VFIO_PCI_NUM_REGIONS */
#define P2P_IRQ_BELL 5       /* VFIO_PCI_NUM_IRQS */
#define P2P_IRQ_WAKE 6
#define P2P_NUM_IRQS 7

#define P2P_RGN_READ 1u  /* as VFIO_REGION_INFO_FLAG_* */
#define P2P_RGN_WRITE 2u
#define P2P_RGN_MMAP 4u

#define P2P_DMA_READ 1u /* the device may read there */
#define P2P_DMA_WRITE 2u

struct p2p_region_info {
	uint64_t size;
	uint32_t flags; /* P2P_RGN_* */
	int fd;         /* of region_share, where MMAP is set, the caller's to close; else -1 */
	uint64_t fd_offset;
};

struct p2p_irq_info {
	uint32_t count;
	bool input; /* the device waits on it (P2P_IRQ_WAKE) instead of signalling it */
};

/*
 * How the device reaches memory that was mapped without a descriptor: by
 * message to the client.  beyond_maps: also what was not mapped at all.  A VMM announces the guest's memory alone,
 * while the guest may have mapped another device's BAR behind its IOMMU; the VMM looks there, and
 * refuses what is not mapped.  Called from the worker; blocks until the reply.
 * Returns 0, -EIO (refused by the client, or overtaken by an unmap or reset),
 * -ENOTCONN (client gone) or -ETIMEDOUT.
 */
struct p2p_dma_msg_ops {
	int (*read)(void *opaque, uint64_t iova, void *dst, size_t len);
	int (*write)(void *opaque, uint64_t iova, const void *src, size_t len);
	bool beyond_maps;
};

struct p2p_function_ops {
	/* How many regions and what they are.  The number changes when the layout does. */
	unsigned int (*num_regions)(void *fn);
	int (*region_info)(void *fn, unsigned int region, struct p2p_region_info *info);
	/* The same, with a descriptor of the memory; -EMFILE and the like as well. */
	int (*region_share)(void *fn, unsigned int region, struct p2p_region_info *info);
	/* Accesses of 1, 2, 4 or 8 bytes to BAR0; any length elsewhere.  Return bytes moved or -errno. */
	int64_t (*region_read)(void *fn, unsigned int region, uint64_t off, void *buf, size_t len);
	int64_t (*region_write)(void *fn, unsigned int region, uint64_t off, const void *buf, size_t len);
	int (*irq_info)(void *fn, unsigned int index, struct p2p_irq_info *info);
	/* fds[i] < 0 removes vector start + i.  The function dups what it keeps. */
	int (*irq_set)(void *fn, unsigned int index, unsigned int start, unsigned int count, const int *fds);
	/* VFIO_IRQ_SET_DATA_NONE / _BOOL with ACTION_TRIGGER: fire the vector as if the device had. */
	int (*irq_trigger)(void *fn, unsigned int index, unsigned int vector);
	int (*irq_mask)(void *fn, unsigned int index, unsigned int vector, bool masked);
	/* fd < 0: reach it by messages.  The function dups fd.  prot: P2P_DMA_*. */
	int (*dma_map)(void *fn, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot);
	/* Returns only when no worker can touch the range any more. */
	int (*dma_unmap)(void *fn, uint64_t iova, uint64_t size);
	int (*dma_unmap_all)(void *fn);
	int (*reset)(void *fn);
	/* A client came or went.  On leaving without the persist bit the function stops its DMA and resets. */
	void (*attached)(void *fn, const struct p2p_dma_msg_ops *ops, void *opaque);
	void (*detached)(void *fn);
	/*
	 * Keeps message DMA from locking up (see vfio_user/server.h).  A thread that
	 * waits in p2p_dma_msg_ops calls it, over and over, while the transport's
	 * thread is inside another call of this table: run what is queued for this
	 * thread, and don't wait.  May be NULL: such a DMA then ends with -EIO.
	 */
	void (*serve)(void *fn);
};

#endif
