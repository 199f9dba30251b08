/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One VFIO container (type1) for all NICs of a mesh: their groups, their device descriptors, their common address space.
 *
 * Every NIC in it sees every map.  A map that several NICs ask for (rd: a peer's receive buffers) is made once and
 * goes with its last user.
 *
 * STATE  What the kernel does not tell - which functions, which maps - lies in a memory object of the container's own.
 *   It and the other descriptors can be given to another process (vfio_container_export), which goes on with them
 *   (vfio_container_import): the NICs run meanwhile, since the kernel resets a function only when the last
 *   descriptor of it is closed.  A map is written down before it is made and struck out after it is gone, each by
 *   one store, since who writes may be killed at any; one that is found half made is undone by whoever takes over.
 *
 * OWNERSHIP  The container owns its descriptors.  The importer's become the container's, also on failure.
 * THREADS  one caller at a time.
 * ERRORS  0 or -errno, with one line in vfio_container_error(): what is wrong, what to do.
 * Source: <linux/vfio.h>; Linux, Documentation/driver-api/vfio.rst.
 */
#ifndef DRIVER_VFIO_CONTAINER_H
#define DRIVER_VFIO_CONTAINER_H

#include <p2pnic/function.h>
#include <p2pnic/ring.h>

#include "driver/pci_sysfs.h"

#define VFIO_MAX_MAPS 65535 /* the kernel's default limit, vfio_iommu_type1.dma_entry_limit */
#define VFIO_MAX_FDS (2 + 2 * P2P_MAX_NICS)
#define VFIO_FD_NAME 40

struct vfio_container;

/* A descriptor on its way to another process; names are of letters, digits, '-' and '.'. */
struct vfio_fd {
	int fd;
	char name[VFIO_FD_NAME];
};

/* root: where sysfs is, copied.  Opens nothing yet. */
int vfio_container_create(struct vfio_container **out, const char *root);
/* Closes everything; the kernel resets functions that nobody else has descriptors of. */
void vfio_container_destroy(struct vfio_container *c);
const char *vfio_container_error(const struct vfio_container *c);

/*
 * Takes the function in: its group, the IOMMU, its descriptor, which stays the container's.  A function that came by
 * import is there already.  slot: its number in the container.
 */
int vfio_container_add(struct vfio_container *c, const char *addr, unsigned int *slot, int *device_fd);
/* Its maps go, its descriptor is closed, and its group's if no other function of it is in. */
void vfio_container_remove(struct vfio_container *c, unsigned int slot);
/* Bits of the bus addresses that can be mapped, 0: not known (nothing added yet). */
unsigned int vfio_container_bits(const struct vfio_container *c);
/* Its address space, after the first add; lives as long as the container, and follows what is added. */
int vfio_container_space(struct vfio_container *c, const struct bus_space **out);

/*
 * As transport_ops.  Memory of fd at fd_offset becomes reachable at iova for all NICs in the container; where another function has
 * such a map already, it is the same memory that is asked for.  -EEXIST: the function itself has one, perhaps of a process that is gone.
 */
int vfio_container_map(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset,
		       uint32_t prot);
int vfio_container_unmap(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size);
int vfio_container_unmap_all(struct vfio_container *c, unsigned int slot);

/* What another process needs to go on: fills out (VFIO_MAX_FDS of them), which stay the container's.  Returns how many. */
unsigned int vfio_container_export(const struct vfio_container *c, struct vfio_fd *out);
/*
 * Another process goes on with it: what is closed here from now on is closed and no more, maps and the list of them stay.
 * An imported container is so until told otherwise: the importer may yet fail.
 */
void vfio_container_leave(struct vfio_container *c, bool leaving);
/* Goes on with them.  -EPROTO: they are not what an export gave. */
int vfio_container_import(struct vfio_container *c, const struct vfio_fd *fds, unsigned int n);
/* The name under which a function's descriptor goes; is a name one of ours? */
void vfio_fd_name(const char *addr, char name[VFIO_FD_NAME]);
bool vfio_fd_is_ours(const char *name);
/* The addresses of the functions that are in.  Returns how many. */
unsigned int vfio_container_addresses(const struct vfio_container *c, char addr[P2P_MAX_NICS][PCI_ADDR_BYTES]);

#endif
