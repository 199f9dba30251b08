/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/transport.h"

struct transport_local {
	struct transport t;
	const struct p2p_function_ops *fops;
	void *fn;
};

static struct transport_local *local_of(struct transport *t)
{
	return (struct transport_local *)t;
}

static int local_num_regions(struct transport *t)
{
	struct transport_local *l = local_of(t);

	return (int)l->fops->num_regions(l->fn);
}

static int local_region_info(struct transport *t, unsigned int region, struct p2p_region_info *info)
{
	struct transport_local *l = local_of(t);

	return l->fops->region_share(l->fn, region, info);
}

static int local_moved(int64_t moved, size_t len)
{
	if (moved < 0)
		return (int)moved;
	return (size_t)moved == len ? 0 : -EIO;
}

static int local_region_read(struct transport *t, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct transport_local *l = local_of(t);

	return local_moved(l->fops->region_read(l->fn, region, off, buf, len), len);
}

static int local_region_write(struct transport *t, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct transport_local *l = local_of(t);

	return local_moved(l->fops->region_write(l->fn, region, off, buf, len), len);
}

static int local_irq_set(struct transport *t, unsigned int index, unsigned int start, unsigned int count,
			 const int *fds)
{
	struct transport_local *l = local_of(t);

	return l->fops->irq_set(l->fn, index, start, count, fds);
}

static int local_dma_map(struct transport *t, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset,
			 uint32_t prot)
{
	struct transport_local *l = local_of(t);

	return l->fops->dma_map(l->fn, iova, size, fd, fd_offset, prot);
}

static int local_dma_unmap(struct transport *t, uint64_t iova, uint64_t size)
{
	struct transport_local *l = local_of(t);

	return l->fops->dma_unmap(l->fn, iova, size);
}

static int local_dma_unmap_all(struct transport *t)
{
	struct transport_local *l = local_of(t);

	return l->fops->dma_unmap_all(l->fn);
}

static int local_reset(struct transport *t)
{
	struct transport_local *l = local_of(t);

	return l->fops->reset(l->fn);
}

static void local_close(struct transport *t)
{
	struct transport_local *l = local_of(t);

	l->fops->detached(l->fn);
	free(l);
}

static const struct transport_ops local_ops = {
	.num_regions = local_num_regions,
	.region_info = local_region_info,
	.region_read = local_region_read,
	.region_write = local_region_write,
	.irq_set = local_irq_set,
	.dma_map = local_dma_map,
	.dma_unmap = local_dma_unmap,
	.dma_unmap_all = local_dma_unmap_all,
	.reset = local_reset,
	.close = local_close,
};

int transport_local_open(struct transport **out, const struct p2p_function_ops *ops, void *fn)
{
	struct transport_local *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->t.ops = &local_ops;
	l->fops = ops;
	l->fn = fn;
	ops->attached(fn, NULL, NULL);
	*out = &l->t;
	return 0;
}

int transport_region_mmap(struct transport *t, unsigned int region, uint64_t bytes, void **out)
{
	struct p2p_region_info info;
	struct stat st;
	void *p;
	int rc;

	if (t->ops->region_mmap)
		return t->ops->region_mmap(t, region, bytes, out);
	rc = t->ops->region_info(t, region, &info);
	if (rc)
		return rc;
	if (info.fd < 0)
		return -EACCES;
	/* The descriptor is another process's word: memory that is not there, or that can go, would be a SIGBUS. */
	if (info.size < bytes || fstat(info.fd, &st) || st.st_size < 0 || info.fd_offset > (uint64_t)st.st_size ||
	    (uint64_t)st.st_size - info.fd_offset < bytes || !(fcntl(info.fd, F_GET_SEALS) & F_SEAL_SHRINK)) {
		close(info.fd);
		return -EINVAL;
	}
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, info.fd, (off_t)info.fd_offset);
	rc = p == MAP_FAILED ? -errno : 0;
	close(info.fd);
	if (!rc)
		*out = p;
	return rc;
}
