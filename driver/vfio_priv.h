/* SPDX-License-Identifier: BSD-3-Clause */
/* What the container's files share. */
#ifndef DRIVER_VFIO_PRIV_H
#define DRIVER_VFIO_PRIV_H

#include <limits.h>

#include "driver/vfio_container.h"

#define VFIO_STATE_MAGIC 0x76503250u /* "P2Pv" */
#define VFIO_STATE_VERSION 1u

enum vfio_map_stage { VFIO_MAP_PENDING, VFIO_MAP_DONE };

/*
 * Read by other processes of this machine, also of another release: a change of layout is a new version.  Its writer may be killed
 * between any two stores: size is written last and cleared by one store, and nothing moves.
 */
struct vfio_map {
	uint64_t iova, size; /* size 0: free, and without users (those that know of no free ones find nothing to do there) */
	uint32_t prot;
	uint32_t users; /* bit: slot */
	uint32_t stage; /* enum vfio_map_stage */
	uint32_t pad;
};

struct vfio_state_nic {
	char addr[PCI_ADDR_BYTES]; /* "": none; its first byte is written last */
	int32_t group;
};

struct vfio_state {
	uint32_t magic, version;
	struct vfio_state_nic nic[P2P_MAX_NICS];
	uint32_t maps, pad; /* entries up to the last one in use */
	struct vfio_map map[VFIO_MAX_MAPS];
};

struct vfio_group {
	int fd; /* -1: free */
	int number;
};

struct vfio_nic {
	int fd; /* -1: free */
	int group;
};

struct vfio_container {
	int fd, state_fd; /* -1: not open yet */
	struct vfio_state *state;
	struct vfio_group group[P2P_MAX_NICS];
	struct vfio_nic nic[P2P_MAX_NICS]; /* by slot */
	bool iommu_set, leaving;
	unsigned int bits;
	struct bus_space space;
	char root[PATH_MAX / 4];
	char error[PCI_ERR_BYTES];
};

int vfio_fail(struct vfio_container *c, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vfio_state_create(struct vfio_container *c);
void vfio_state_nic_set(struct vfio_state_nic *s, const char *addr, int group);
/* Which bus addresses the IOMMU takes. */
void vfio_container_range(struct vfio_container *c);
/* Maps that were found half made go. */
void vfio_maps_repair(struct vfio_container *c);
/* Why MAP_DMA failed with rc. */
int vfio_map_fail(struct vfio_container *c, uint64_t iova, uint64_t size, int rc);

#endif
