/* SPDX-License-Identifier: BSD-3-Clause */
/* bn: main memory that the host lends the NICs, and the doorbell pages. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/drv_internal.h"

#define HOST_POOL_MAX (1ull << 30)

int drv_host_memory(struct drv *d, const char *name, uint64_t bytes, int *fd, uint8_t **map)
{
	void *p;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || ftruncate(*fd, (off_t)bytes) ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return drv_fail(d, -errno, "no main memory for %s (%" PRIu64 " KiB): %s", name, bytes >> 10,
				strerror(errno));
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		return drv_fail(d, -errno, "mapping %s (%" PRIu64 " KiB) failed: %s", name, bytes >> 10, strerror(errno));
	*map = p;
	return 0;
}

int drv_host_create(struct drv *d)
{
	struct drv_bn *bn = &d->bn;
	unsigned int i;
	int rc;

	bn->nics = d->n;
	bn->batch = d->opts.batch;
	bn->stride = d->opts.stride;
	bn->area_bytes = bn->pool_bytes = 0;
	for (i = 0; i < d->n; i++) {
		struct drv_nic *nic = drv_by_index(d, i);

		bn->nic[i].shape = nic->shape;
		bn->nic[i].pool_offset = bn->pool_bytes;
		bn->area_bytes += p2p_host_area_bytes(&nic->shape);
		bn->pool_bytes += p2p_host_pool_bytes(&nic->shape);
	}
	if (bn->pool_bytes > HOST_POOL_MAX)
		return drv_fail(d, -ENOSPC, "bn: the host pool would need %" PRIu64 " MiB, 1024 at most; give fewer --slots",
				bn->pool_bytes >> 20);
	rc = drv_host_memory(d, "p2pnic host areas", bn->area_bytes, &d->host_area_fd, &bn->areas);
	if (!rc)
		rc = drv_host_memory(d, "p2pnic host pool", bn->pool_bytes, &d->host_pool_fd, &bn->pool);
	if (rc)
		return rc;
	bn->host_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bn->host_fd < 0 ? drv_fail(d, -errno, "no eventfd: %s", strerror(errno)) : 0;
}

int drv_host_map(struct drv *d, struct drv_nic *nic)
{
	struct drv_bn *bn = &d->bn;
	uint64_t off = 0;
	unsigned int i;
	int rc;

	for (i = 0; i < nic->index; i++)
		off += p2p_host_area_bytes(&bn->nic[i].shape);
	bn->nic[nic->index].area = (struct p2p_host_area *)(bn->areas + off);
	bn->nic[nic->index].pool = bn->pool + bn->nic[nic->index].pool_offset;
	rc = nic->t->ops->dma_map(nic->t, drv_host_area_base(d) + off, p2p_host_area_bytes(&nic->shape), d->host_area_fd,
				  off, P2P_DMA_READ | P2P_DMA_WRITE);
	if (!rc)
		rc = nic->t->ops->dma_map(nic->t, drv_host_pool_base(d), bn->pool_bytes, d->host_pool_fd, 0,
					  P2P_DMA_READ | P2P_DMA_WRITE);
	if (rc)
		return drv_fail(d, rc, "%s: mapping main memory failed: %s", nic->name, drv_why(nic, rc));
	rc = drv_reg_write(d, nic, P2P_HOST_AREA, 8, drv_host_area_base(d) + off);
	if (!rc)
		rc = drv_reg_write(d, nic, P2P_HOST_POOL, 8, drv_host_pool_base(d));
	if (!rc)
		rc = drv_reg_write(d, nic, P2P_HOST_POOL_BYTES, 8, bn->pool_bytes);
	return rc;
}

int drv_host_doorbell(struct drv *d, struct drv_nic *nic)
{
	struct drv_bn_nic *b = &d->bn.nic[nic->index];
	void *p;
	int rc;

	b->doorbell_bytes = p2p_seg_bytes(&nic->shape, P2P_SEG_DOORBELL);
	rc = transport_region_mmap(nic->t, P2P_REGION_SEGMENT + P2P_SEG_DOORBELL, b->doorbell_bytes, &p);
	if (rc)
		return drv_fail(d, rc, "%s: mapping its doorbell page failed: %s", nic->name, strerror(-rc));
	b->doorbell = p;
	return 0;
}

void drv_host_destroy(struct drv *d)
{
	struct drv_bn *bn = &d->bn;
	unsigned int i;

	for (i = 0; i < P2P_MAX_NICS; i++)
		if (bn->nic[i].doorbell)
			munmap(bn->nic[i].doorbell, bn->nic[i].doorbell_bytes);
	if (bn->areas)
		munmap(bn->areas, bn->area_bytes);
	if (bn->pool)
		munmap(bn->pool, bn->pool_bytes);
	if (bn->host_fd >= 0)
		close(bn->host_fd);
	if (d->host_area_fd >= 0)
		close(d->host_area_fd);
	if (d->host_pool_fd >= 0)
		close(d->host_pool_fd);
	memset(bn, 0, sizeof(*bn));
	bn->host_fd = d->host_area_fd = d->host_pool_fd = -1;
}

const struct drv_bn *drv_bn(const struct drv *d)
{
	return d->bn.nics ? &d->bn : NULL;
}
