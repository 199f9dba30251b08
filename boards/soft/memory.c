/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ports/guard.h>

#include "internal.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif

int soft_memory_init(struct soft_memory *m, uint64_t bytes)
{
	void *p;

	/* Twice, so that a base aligned to 2 MiB lies in it. */
	memset(m, 0, sizeof(*m));
	p = mmap(NULL, bytes + SOFT_HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	m->base = (uint8_t *)P2P_ALIGN_UP((uintptr_t)p, (uintptr_t)SOFT_HUGE_BYTES);
	if (m->base > (uint8_t *)p)
		munmap(p, m->base - (uint8_t *)p);
	if (m->base < (uint8_t *)p + SOFT_HUGE_BYTES)
		munmap(m->base + bytes, (uint8_t *)p + SOFT_HUGE_BYTES - m->base);
	m->reserved = bytes;
	return 0;
}

static bool huge_fits(const struct soft_segment *s)
{
	return s->offset % SOFT_HUGE_BYTES == 0 && s->bytes % SOFT_HUGE_BYTES == 0;
}

/* An object of the segment's size that holds zeroes; `huge` says whether it got 2 MiB pages. */
static int segment_object(struct soft_segment *s, const char *name)
{
	int fd = -1;

	s->huge = false;
	if (huge_fits(s)) {
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB);
		if (fd >= 0 && ftruncate(fd, s->bytes) == 0 && fallocate(fd, 0, 0, s->bytes) == 0) {
			s->huge = true;
			return fd;
		}
		if (fd >= 0)
			close(fd);
	}
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, s->bytes) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int segment_share(struct soft_segment *s)
{
	char path[64];

	s->share_fd = s->fd;
	if (!s->read_only)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	s->share_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->share_fd < 0 || fchmod(s->fd, 0400) < 0) {
		int err = -errno;

		if (s->share_fd >= 0)
			close(s->share_fd);
		s->share_fd = -1;
		return err;
	}
	return 0;
}

static void segment_free(struct soft_segment *s)
{
	if (s->share_fd >= 0 && s->share_fd != s->fd)
		close(s->share_fd);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = s->share_fd = -1;
}

static int segment_make(struct soft_memory *m, struct soft_segment *s, enum p2p_seg_kind kind, unsigned int index)
{
	static const char *const kinds[] = {
#define X(name, text, desc) text,
		P2P_SEG_KINDS(X)
#undef X
	};
	char name[64];
	void *at;
	int err;

	snprintf(name, sizeof(name), "p2pnic-%s-%u", kinds[kind], index);
	s->share_fd = -1;
	s->fd = segment_object(s, name);
	if (s->fd < 0)
		return s->fd;
	if (fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = -errno;
		goto free_segment;
	}
	s->read_only = kind == P2P_SEG_RX;
	err = segment_share(s);
	if (err)
		goto free_segment;
	at = mmap(m->base + s->offset, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, s->fd, 0);
	if (at == MAP_FAILED) {
		err = -errno;
		goto free_segment;
	}
	if (!s->huge) {
		madvise(at, s->bytes, MADV_HUGEPAGE);
		return 0;
	}
	err = guard_add(at, s->bytes, &s->hit);
	if (err)
		goto free_segment;
	return 0;
free_segment:
	segment_free(s);
	return err;
}

static void say_pages(const struct soft_memory *m)
{
	static bool said;
	unsigned int huge = 0, whole = 0;
	uint64_t bytes = 0;

	if (__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		return;
	for (unsigned int i = 0; i < m->n; i++) {
		whole += huge_fits(&m->seg[i]);
		huge += m->seg[i].huge;
		bytes += m->seg[i].huge ? m->seg[i].bytes : 0;
	}
	if (huge)
		soft_say("device memory: %llu of %llu MiB in 2 MiB pages", (unsigned long long)bytes >> 20,
			 (unsigned long long)m->used >> 20);
	else if (whole)
		soft_say("device memory has 4 KiB pages: no 2 MiB pages are free (see /proc/sys/vm/nr_hugepages)");
	else
		soft_say("device memory has 4 KiB pages: no segment of this layout begins and ends at 2 MiB");
}

int soft_memory_layout(struct soft_memory *m, const struct p2p_shape *shape)
{
	unsigned int n = p2p_seg_total(shape);
	uint64_t need = p2p_memory_needed(shape);
	int err;

	soft_memory_drop(m);
	if (n > P2P_MAX_SEGMENTS || need > m->reserved)
		return -ENOMEM;
	m->seg = calloc(n, sizeof(*m->seg));
	if (!m->seg)
		return -ENOMEM;
	m->shape = *shape;
	for (m->n = 0; m->n < n; m->n++) {
		struct soft_segment *s = &m->seg[m->n];
		enum p2p_seg_kind kind = p2p_seg_kind(shape, m->n);

		s->offset = p2p_seg_offset(shape, m->n);
		s->bytes = p2p_seg_bytes(shape, kind);
		err = segment_make(m, s, kind, m->n);
		if (err) {
			soft_memory_drop(m);
			return err;
		}
	}
	m->used = need;
	say_pages(m);
	return 0;
}

void soft_memory_drop(struct soft_memory *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (m->seg[i].huge)
			guard_remove(m->base + m->seg[i].offset);
	if (m->n)
		mmap(m->base, m->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	for (unsigned int i = 0; i < m->n; i++)
		segment_free(&m->seg[i]);
	free(m->seg);
	m->seg = NULL;
	m->n = 0;
	m->used = 0;
	m->told = false;
}

void soft_memory_destroy(struct soft_memory *m)
{
	soft_memory_drop(m);
	if (m->base)
		munmap(m->base, m->reserved);
	memset(m, 0, sizeof(*m));
}

const struct soft_segment *soft_memory_hit_next(struct soft_memory *m)
{
	for (unsigned int i = 0; i < m->n; i++) {
		int one = 1;

		if (m->seg[i].huge &&
		    __atomic_compare_exchange_n(&m->seg[i].hit, &one, 2, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return &m->seg[i];
	}
	return NULL;
}

const struct soft_segment *soft_memory_find(const struct soft_memory *m, uint64_t off)
{
	unsigned int lo = 0, hi = m->n;

	if (off >= m->used)
		return NULL;
	while (hi - lo > 1) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (m->seg[mid].offset <= off)
			lo = mid;
		else
			hi = mid;
	}
	return hi > lo && off - m->seg[lo].offset < m->seg[lo].bytes ? &m->seg[lo] : NULL;
}
