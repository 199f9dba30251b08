/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include <ports/guard.h>

#define ARENA_SHIFT 30
#define ARENA_BYTES (1ull << ARENA_SHIFT)
#define IOVA_LIMIT (1ull << 63)

/* Index of the first map that begins after iova. */
static unsigned int map_after(const struct soft_iommu *m, uint64_t iova)
{
	unsigned int lo = 0, hi = m->n;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (m->map[mid].iova <= iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct soft_map *soft_iommu_find(const struct soft_iommu *m, uint64_t iova)
{
	unsigned int i = map_after(m, iova);

	return i > 0 && iova - m->map[i - 1].iova < m->map[i - 1].bytes ? &m->map[i - 1] : NULL;
}

uint64_t soft_iommu_gap(const struct soft_iommu *m, uint64_t iova)
{
	unsigned int i = map_after(m, iova);

	return (i < m->n ? m->map[i].iova : IOVA_LIMIT) - iova;
}

/* The arena of a range, made if need be; -1: the range has none. */
static int arena_get(struct soft_iommu *m, uint64_t iova, uint64_t bytes)
{
	uint64_t gib = iova >> ARENA_SHIFT;
	unsigned int i, free_slot = m->arenas;
	void *base;

	if ((iova + bytes - 1) >> ARENA_SHIFT != gib)
		return -1;
	for (i = 0; i < m->arenas; i++) {
		if (m->arena[i].maps && m->arena[i].gib == gib)
			return i;
		if (!m->arena[i].maps)
			free_slot = i;
	}
	if (free_slot == m->arenas) {
		struct soft_arena *a = realloc(m->arena, (m->arenas + 1) * sizeof(*a));

		if (!a)
			return -1;
		m->arena = a;
		m->arena[m->arenas++] = (struct soft_arena){ 0 };
	}
	base = mmap(NULL, ARENA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -1;
	m->arena[free_slot] = (struct soft_arena){ .gib = gib, .base = base };
	return free_slot;
}

static void arena_put(struct soft_iommu *m, int arena)
{
	if (arena >= 0 && m->arena[arena].maps == 0)
		munmap(m->arena[arena].base, ARENA_BYTES);
}

static void map_release(struct soft_iommu *m, struct soft_map *e)
{
	size_t len = e->bytes;

	if (!e->host)
		return;
	if (e->fd >= 0)
		close(e->fd);
	if (e->hit) {
		guard_remove(e->mapped);
		free((void *)e->hit);
		m->guarded--;
		m->unsealed -= !e->sealed;
	}
	if (e->arena < 0) {
		munmap(e->mapped, len);
		return;
	}
	mmap(e->mapped, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	m->arena[e->arena].maps--;
	arena_put(m, e->arena);
}

/* Is the object long enough, and will it stay?  0, 1: needs a guard, or -errno. */
static int object_check(int fd, uint64_t fd_offset, uint64_t bytes, bool *sealed)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (fd_offset > (uint64_t)st.st_size || bytes > (uint64_t)st.st_size - fd_offset)
		return -EINVAL;
	/* Huge pages are mapped and unmapped whole. */
	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC && (fd_offset | bytes) % fs.f_bsize)
		return -EINVAL;
	return guard_needed(fd, sealed);
}

static int map_guard(struct soft_iommu *m, struct soft_map *e)
{
	volatile int *hit;
	int err;

	if (!e->sealed && m->unsealed == SOFT_MAX_UNSEALED)
		return -ENOSPC;
	hit = calloc(1, sizeof(*hit));
	if (!hit)
		return -ENOMEM;
	err = guard_add(e->mapped, e->bytes, hit);
	if (err) {
		free((void *)hit);
		return err == -ENOSPC ? -ENOSPC : -EPERM;
	}
	e->hit = hit;
	m->guarded++;
	m->unsealed += !e->sealed;
	return 0;
}

static int map_memory(struct soft_iommu *m, struct soft_map *e, int fd, uint64_t fd_offset)
{
	int prot = (e->prot & P2P_DMA_READ ? PROT_READ : 0) | (e->prot & P2P_DMA_WRITE ? PROT_WRITE : 0);
	int unsafe = object_check(fd, fd_offset, e->bytes, &e->sealed), err;
	void *want = NULL;

	if (unsafe < 0)
		return unsafe;
	e->arena = arena_get(m, e->iova, e->bytes);
	if (e->arena >= 0)
		want = m->arena[e->arena].base + (e->iova & (ARENA_BYTES - 1));
	e->mapped = mmap(want, e->bytes, prot, MAP_SHARED | (want ? MAP_FIXED : 0), fd, fd_offset);
	if (e->mapped == MAP_FAILED && want) {
		/* Huge pages whose alignment the bus address lacks, for one.  Close the hole if there is one now. */
		mmap(want, e->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
		arena_put(m, e->arena);
		e->arena = -1;
		e->mapped = mmap(NULL, e->bytes, prot, MAP_SHARED, fd, fd_offset);
	}
	if (e->mapped == MAP_FAILED) {
		err = -errno;
		return err;
	}
	if (e->arena >= 0)
		m->arena[e->arena].maps++;
	e->host = e->mapped;
	if (!unsafe)
		return 0;
	err = map_guard(m, e);
	if (err)
		map_release(m, e);
	return err;
}

static int table_grow(struct soft_iommu *m)
{
	unsigned int room = m->room ? m->room * 2 : 64;
	struct soft_map *t;

	if (m->n < m->room)
		return 0;
	if (m->n >= SOFT_MAX_MAPS)
		return -ENOSPC;
	t = realloc(m->map, room * sizeof(*t));
	if (!t)
		return -ENOMEM;
	m->map = t;
	m->room = room;
	return 0;
}

int soft_iommu_map(struct soft_iommu *m, uint64_t iova, uint64_t bytes, int fd, uint64_t fd_offset, uint32_t prot)
{
	struct soft_map e = { .iova = iova, .bytes = bytes, .prot = prot, .arena = -1, .fd = -1 };
	uint64_t page = sysconf(_SC_PAGESIZE);
	unsigned int at;
	int err;

	if (!bytes || bytes > IOVA_LIMIT || iova > IOVA_LIMIT - bytes || !prot ||
	    prot & ~(P2P_DMA_READ | P2P_DMA_WRITE))
		return -EINVAL;
	if (fd >= 0 && ((iova | bytes | fd_offset) & (page - 1)))
		return -EINVAL;
	at = map_after(m, iova);
	if ((at > 0 && iova - m->map[at - 1].iova < m->map[at - 1].bytes) ||
	    (at < m->n && m->map[at].iova - iova < bytes))
		return -EEXIST;
	err = table_grow(m);
	if (err)
		return err;
	if (fd >= 0) {
		err = map_memory(m, &e, fd, fd_offset);
		if (err)
			return err;
	}
	memmove(&m->map[at + 1], &m->map[at], (m->n - at) * sizeof(e));
	m->map[at] = e;
	m->n++;
	return 0;
}

int soft_iommu_keep(struct soft_iommu *m, uint64_t iova, int fd)
{
	unsigned int at = map_after(m, iova);
	struct soft_map *e = at ? &m->map[at - 1] : NULL;

	if (!e || e->iova != iova || !e->host || !e->sealed || e->fd >= 0)
		return -ENOENT;
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return e->fd < 0 ? -errno : 0;
}

int soft_iommu_unmap(struct soft_iommu *m, uint64_t iova, uint64_t bytes)
{
	unsigned int at = map_after(m, iova);

	if (at == 0 || m->map[at - 1].iova != iova || m->map[at - 1].bytes != bytes)
		return -ENOENT;
	at--;
	map_release(m, &m->map[at]);
	m->n--;
	memmove(&m->map[at], &m->map[at + 1], (m->n - at) * sizeof(*m->map));
	return 0;
}

void soft_iommu_clear(struct soft_iommu *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		map_release(m, &m->map[i]);
	free(m->map);
	free(m->arena);
	memset(m, 0, sizeof(*m));
}

void soft_iommu_clear_messages(struct soft_iommu *m)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < m->n; i++)
		if (m->map[i].host)
			m->map[kept++] = m->map[i];
	m->n = kept;
}

const struct soft_map *soft_iommu_hit_next(const struct soft_iommu *m)
{
	for (unsigned int i = 0; m->guarded && i < m->n; i++) {
		const struct soft_map *e = &m->map[i];
		int one = 1;

		if (e->hit && __atomic_compare_exchange_n(e->hit, &one, 2, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return e;
	}
	return NULL;
}
