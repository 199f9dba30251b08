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

	for (i = 0; c->state && size && i < c->state->maps; i++)
		if (c->state->map[i].iova == iova && c->state->map[i].size == size)
			return &c->state->map[i];
	return NULL;
}

/* Out of the list, by one store: whoever finds it finds it there or free. */
static void map_strike(struct vfio_container *c, struct vfio_map *m)
{
	struct vfio_state *s = c->state;

	__atomic_store_n(&m->users, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&m->size, 0, __ATOMIC_RELEASE);
	while (s->maps && !s->map[s->maps - 1].size)
		__atomic_store_n(&s->maps, s->maps - 1, __ATOMIC_RELEASE);
}

/* Into the list at i, which is free or its end, by one store likewise. */
static struct vfio_map *map_enter(struct vfio_container *c, unsigned int i, uint64_t iova, uint64_t size, uint32_t prot, uint32_t users)
{
	struct vfio_map *m = &c->state->map[i];

	m->iova = iova;
	m->prot = prot;
	m->users = users;
	m->stage = VFIO_MAP_PENDING;
	__atomic_store_n(&m->size, size, __ATOMIC_RELEASE);
	if (i == c->state->maps)
		__atomic_store_n(&c->state->maps, i + 1, __ATOMIC_RELEASE);
	return m;
}

static int map_new(struct vfio_container *c, unsigned int slot, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset,
		   uint32_t prot)
{
	int mprot = (prot & P2P_DMA_READ ? PROT_READ : 0) | (prot & P2P_DMA_WRITE ? PROT_WRITE : 0), rc;
	struct vfio_state *s = c->state;
	struct vfio_map *m;
	unsigned int i;
	void *p;

	for (i = 0; i < s->maps && s->map[i].size; i++)
		;
	if (i == VFIO_MAX_MAPS)
		return vfio_map_fail(c, iova, size, -ENOSPC);
	p = mmap(NULL, size, mprot, MAP_SHARED, fd, (off_t)fd_offset);
	if (p == MAP_FAILED)
		return vfio_fail(c, -errno, "its memory can't be mapped: %s", strerror(errno));
	m = map_enter(c, i, iova, size, prot, 1u << slot);
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
	if (m->users & 1u << slot)
		return vfio_fail(c, -EEXIST, "bus address 0x%" PRIx64 " is mapped already", iova);
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
		if (c->state->map[i].size && c->state->map[i].users & 1u << slot)
			rc = map_release(c, &c->state->map[i], slot);
	return rc;
}

static bool map_overlaps(const struct vfio_map *a, const struct vfio_map *b)
{
	return a->size && b->size && (a->iova - b->iova < b->size || b->iova - a->iova < a->size);
}

/* Lies where one is that was made: it never was made itself, or is gone. */
static bool map_covered(const struct vfio_state *s, const struct vfio_map *m)
{
	unsigned int i;

	for (i = 0; i < s->maps; i++)
		if (s->map[i].stage == VFIO_MAP_DONE && map_overlaps(&s->map[i], m))
			return true;
	return false;
}

/*
 * What was not made to the end, or not unmapped to the end, goes.  Before entries were struck by one store, the last one was copied
 * over the one that went: a process that died amid it left that one twice, or a mixture.
 */
void vfio_maps_repair(struct vfio_container *c)
{
	struct vfio_state *s = c->state;
	unsigned int i, last;

	for (i = s->maps; i-- > 0;) {
		if (!s->map[i].size || s->map[i].stage == VFIO_MAP_DONE)
			continue;
		if (!map_covered(s, &s->map[i]))
			unmap_dma(c, &s->map[i]);
		map_strike(c, &s->map[i]);
	}
	last = s->maps ? s->maps - 1 : 0;
	for (i = 0; i < last; i++)
		if (map_overlaps(&s->map[i], &s->map[last]))
			map_strike(c, &s->map[i]);
}
