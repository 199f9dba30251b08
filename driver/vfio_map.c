/* SPDX-License-Identifier: BSD-3-Clause */
/* The container's address space. */
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "driver/vfio_priv.h"

int vfio_map_fail(struct vfio_container *c, uint64_t iova, uint64_t size, int rc)
{
	struct rlimit lim = { 0, 0 };

	switch (rc) {
	case -EFAULT:
		return vfio_fail(c, rc, "the kernel can't map this memory for DMA; of a BAR: its memory decode is off");
	case -ENOMEM:
		getrlimit(RLIMIT_MEMLOCK, &lim);
		if (lim.rlim_cur != RLIM_INFINITY)
			return vfio_fail(c, rc, "too little memory may be locked (memlock, %" PRIu64
					 " KiB); raise it (ulimit -l, LimitMEMLOCK=)", (uint64_t)lim.rlim_cur >> 10);
		return vfio_fail(c, rc, "out of memory");
	case -ENOSPC:
		return vfio_fail(c, rc, "more maps than the kernel allows; raise vfio_iommu_type1.dma_entry_limit");
	case -EEXIST:
		return vfio_fail(c, rc, "something else is mapped at bus address 0x%" PRIx64, iova);
	case -EINVAL:
		if (!bus_takes(&c->space, iova, size))
			return vfio_fail(c, rc, "this IOMMU has no bus addresses 0x%" PRIx64 "-0x%" PRIx64, iova, iova + size - 1);
		return vfio_fail(c, rc, "the kernel refuses a map of 0x%" PRIx64 " bytes at bus address 0x%" PRIx64, size, iova);
	default:
		return vfio_fail(c, rc, "%s", strerror(-rc));
	}
}

static int map_dma(struct vfio_container *c, void *vaddr, const struct vfio_map *m)
{
	struct vfio_iommu_type1_dma_map arg = {
		.argsz = sizeof(arg),
		.flags = (m->prot & P2P_DMA_READ ? VFIO_DMA_MAP_FLAG_READ : 0) | (m->prot & P2P_DMA_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)vaddr,
		.iova = m->iova,
		.size = m->size,
	};

	return ioctl(c->fd, VFIO_IOMMU_MAP_DMA, &arg) ? -errno : 0;
}

static int unmap_dma(struct vfio_container *c, const struct vfio_map *m)
{
	struct vfio_iommu_type1_dma_unmap arg = { .argsz = sizeof(arg), .iova = m->iova, .size = m->size };

	return ioctl(c->fd, VFIO_IOMMU_UNMAP_DMA, &arg) ? -errno : 0;
}

static struct vfio_map *map_find(struct vfio_container *c, uint64_t iova, uint64_t size)
{
	unsigned int i;

	for (i = 0; c->state && i < c->state->maps; i++)
		if (c->state->map[i].iova == iova && c->state->map[i].size == size)
			return &c->state->map[i];
	return NULL;
}

/* Out of the list; the last one takes its place. */
static void map_strike(struct vfio_container *c, struct vfio_map *m)
{
	unsigned int last = c->state->maps - 1;

	*m = c->state->map[last];
	__atomic_store_n(&c->state->maps, last, __ATOMIC_RELEASE);
}

static int map_new(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset,
		   uint32_t prot)
{
	int mprot = (prot & P2P_DMA_READ ? PROT_READ : 0) | (prot & P2P_DMA_WRITE ? PROT_WRITE : 0), rc;
	struct vfio_state *s = c->state;
	struct vfio_map *m;
	void *p;

	if (s->maps == VFIO_MAX_MAPS)
		return vfio_map_fail(c, iova, size, -ENOSPC);
	p = mmap(NULL, size, mprot, MAP_SHARED, fd, (off_t)fd_offset);
	if (p == MAP_FAILED)
		return vfio_fail(c, -errno, "its memory can't be mapped: %s", strerror(errno));
	m = &s->map[s->maps];
	*m = (struct vfio_map){ .iova = iova, .size = size, .prot = prot, .users = 1u << slot, .stage = VFIO_MAP_PENDING };
	__atomic_store_n(&s->maps, s->maps + 1, __ATOMIC_RELEASE);
	rc = map_dma(c, p, m);
	munmap(p, size); /* the IOMMU has it now, pinned where it is main memory */
	if (rc) {
		map_strike(c, m);
		return vfio_map_fail(c, iova, size, rc);
	}
	__atomic_store_n(&m->stage, VFIO_MAP_DONE, __ATOMIC_RELEASE);
	return 0;
}

int vfio_container_map(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset,
		       uint32_t prot)
{
	struct vfio_map *m = map_find(c, iova, size);

	if (!m)
		return map_new(c, slot, iova, size, fd, fd_offset, prot);
	if (m->prot != prot)
		return vfio_fail(c, -EEXIST, "bus address 0x%" PRIx64 " is mapped with other rights", iova);
	m->users |= 1u << slot;
	return 0;
}

static int map_release(struct vfio_container *c, struct vfio_map *m, unsigned int slot)
{
	int rc;

	if (m->users & ~(1u << slot)) {
		m->users &= ~(1u << slot);
		return 0;
	}
	__atomic_store_n(&m->stage, VFIO_MAP_PENDING, __ATOMIC_RELEASE);
	rc = unmap_dma(c, m);
	if (rc)
		return vfio_fail(c, rc, "unmapping bus address 0x%" PRIx64 " failed: %s", m->iova, strerror(-rc));
	map_strike(c, m);
	return 0;
}

int vfio_container_unmap(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size)
{
	struct vfio_map *m = map_find(c, iova, size);

	if (!m || !(m->users & 1u << slot))
		return -ENOENT;
	return map_release(c, m, slot);
}

int vfio_container_unmap_all(struct vfio_container *c, unsigned int slot)
{
	unsigned int i;
	int rc = 0;

	for (i = c->state ? c->state->maps : 0; !rc && i-- > 0;)
		if (c->state->map[i].users & 1u << slot)
			rc = map_release(c, &c->state->map[i], slot);
	return rc;
}

void vfio_maps_repair(struct vfio_container *c)
{
	unsigned int i;

	for (i = c->state->maps; i-- > 0;) {
		if (c->state->map[i].stage == VFIO_MAP_DONE)
			continue;
		unmap_dma(c, &c->state->map[i]);
		map_strike(c, &c->state->map[i]);
	}
}
