/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

static unsigned int num_regions(void *fn)
{
	return P2P_REGION_SEGMENT + FAKE_SEGS;
}

static int region_info(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct fake *f = fn;

	*info = (struct p2p_region_info){ .flags = P2P_RGN_READ | P2P_RGN_WRITE, .fd = -1 };
	switch (region) {
	case 0:
		info->size = FAKE_BAR0_BYTES;
		break;
	case 2:
		info->size = FAKE_BAR2_BYTES;
		break;
	case 4:
		info->size = pci_config_bar_bytes(&f->cfg, PCI_CONFIG_BAR4);
		break;
	case 7:
		info->size = PCI_CONFIG_BYTES;
		break;
	case P2P_REGION_SEGMENT:
	case P2P_REGION_SEGMENT + 1:
		info->size = FAKE_SEG_BYTES;
		info->flags |= P2P_RGN_MMAP;
		break;
	default:
		info->flags = 0;
	}
	return 0;
}

static int region_share(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct fake *f = fn;
	int err = region_info(fn, region, info);

	if (!err && info->flags & P2P_RGN_MMAP) {
		info->fd = dup(f->seg_fd[region - P2P_REGION_SEGMENT]);
		err = info->fd < 0 ? -errno : 0;
	}
	return err;
}

/* Segments lie in BAR2 one behind the other; what is behind them reads 0. */
static int64_t bar2(struct fake *f, uint64_t off, uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t seg = (off + i) / FAKE_SEG_BYTES;
		uint8_t *b = seg < FAKE_SEGS ? &f->seg[seg][(off + i) % FAKE_SEG_BYTES] : NULL;

		if (to)
			to[i] = b ? *b : 0;
		else if (b)
			*b = from[i];
	}
	return (int64_t)len;
}

static int64_t region_read(void *fn, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct fake *f = fn;
	sigset_t set;
	int64_t n = -EINVAL;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	pthread_mutex_lock(&f->lock);
	f->sigbus_blocked = sigismember(&set, SIGBUS);
	if (region == 0) {
		memcpy(buf, f->bar0 + off, len);
		n = (int64_t)len;
	} else if (region == 2) {
		n = bar2(f, off, buf, NULL, len);
	} else if (region == 4) {
		n = pci_config_msix_read(&f->cfg, off, buf, len);
	} else if (region == 7) {
		n = pci_config_read(&f->cfg, off, buf, len);
	} else if (region >= P2P_REGION_SEGMENT) {
		memcpy(buf, f->seg[region - P2P_REGION_SEGMENT] + off, len);
		n = (int64_t)len;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void signal_vector(struct fake *f, unsigned int v)
{
	uint64_t one = 1;

	if (f->irq_fd[v] >= 0 && write(f->irq_fd[v], &one, sizeof(one)) < 0)
		f->triggers += 1000;
	f->triggers++;
}

static void unpend(void *opaque, unsigned int v)
{
	signal_vector(opaque, v);
}

static int64_t write_bar0(struct fake *f, uint64_t off, const void *buf, size_t len)
{
	uint32_t v = 0;

	memcpy(&v, buf, len < sizeof(v) ? len : sizeof(v));
	if (off == FAKE_COMMAND) {
		f->command = v;
		pthread_cond_broadcast(&f->cond);
	} else if (off == FAKE_FIRE && v < FAKE_VECTORS) {
		if (pci_config_msix_fire(&f->cfg, v))
			signal_vector(f, v);
	} else {
		memcpy(f->bar0 + off, buf, len);
	}
	return (int64_t)len;
}

static int64_t region_write(void *fn, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct fake *f = fn;
	int64_t n = -EINVAL;

	pthread_mutex_lock(&f->lock);
	if (region == 0) {
		n = write_bar0(f, off, buf, len);
	} else if (region == 2) {
		n = bar2(f, off, NULL, buf, len);
	} else if (region == 4) {
		n = pci_config_msix_write(&f->cfg, off, buf, len);
	} else if (region == 7) {
		n = pci_config_write(&f->cfg, off, buf, len);
	} else if (region >= P2P_REGION_SEGMENT) {
		memcpy(f->seg[region - P2P_REGION_SEGMENT] + off, buf, len);
		n = (int64_t)len;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

static int irq_info(void *fn, unsigned int index, struct p2p_irq_info *info)
{
	*info = (struct p2p_irq_info){ 0 };
	if (index == 2)
		info->count = FAKE_VECTORS;
	else if (index == P2P_IRQ_BELL)
		info->count = 1;
	return 0;
}

static void replace_fd(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd >= 0 ? dup(fd) : -1;
}

static int irq_set(void *fn, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	struct fake *f = fn;

	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < count; i++) {
		if (index == P2P_IRQ_BELL) {
			replace_fd(&f->bell_fd, fds[i]);
			continue;
		}
		replace_fd(&f->irq_fd[start + i], fds[i]);
		pci_config_msix_attach(&f->cfg, start + i, fds[i] >= 0);
	}
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int irq_trigger(void *fn, unsigned int index, unsigned int vector)
{
	struct fake *f = fn;

	pthread_mutex_lock(&f->lock);
	if (pci_config_msix_fire(&f->cfg, vector))
		signal_vector(f, vector);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int irq_mask(void *fn, unsigned int index, unsigned int vector, bool masked)
{
	struct fake *f = fn;
	int err;

	pthread_mutex_lock(&f->lock);
	err = pci_config_msix_mask(&f->cfg, vector, masked);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int dma_map(void *fn, uint64_t iova, uint64_t size, int fd, uint64_t offset, uint32_t prot)
{
	struct fake *f = fn;
	int err = 0;

	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < f->num_maps; i++)
		if (iova <= f->maps[i].iova + f->maps[i].size - 1 && f->maps[i].iova <= iova + size - 1)
			err = -EEXIST;
	if (!err && f->num_maps == FAKE_MAX_MAPS)
		err = -ENOSPC;
	if (!err)
		f->maps[f->num_maps++] = (struct fake_map){ iova, size, offset, fd >= 0 ? dup(fd) : -1, prot };
	pthread_mutex_unlock(&f->lock);
	return err;
}

static void drop_map(struct fake *f, unsigned int i)
{
	if (f->maps[i].fd >= 0)
		close(f->maps[i].fd);
	f->maps[i] = f->maps[--f->num_maps];
}

static int dma_unmap(void *fn, uint64_t iova, uint64_t size)
{
	struct fake *f = fn;
	int err = -ENOENT;

	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < f->num_maps && err; i++) {
		if (f->maps[i].iova == iova && f->maps[i].size == size) {
			drop_map(f, i);
			err = 0;
		}
	}
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int dma_unmap_all(void *fn)
{
	struct fake *f = fn;

	pthread_mutex_lock(&f->lock);
	while (f->num_maps)
		drop_map(f, 0);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static int reset(void *fn)
{
	struct fake *f = fn;

	pthread_mutex_lock(&f->lock);
	memset(f->bar0, 0, sizeof(f->bar0));
	pci_config_reset(&f->cfg);
	f->resets++;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static void attached(void *fn, const struct p2p_dma_msg_ops *ops, void *opaque)
{
	struct fake *f = fn;

	pthread_mutex_lock(&f->lock);
	f->dma = ops;
	f->dma_opaque = opaque;
	f->attached++;
	pthread_mutex_unlock(&f->lock);
}

static void detached(void *fn)
{
	struct fake *f = fn;

	dma_unmap_all(f);
	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		replace_fd(&f->irq_fd[i], -1);
	replace_fd(&f->bell_fd, -1);
	f->detached++;
	pthread_mutex_unlock(&f->lock);
}

/* On the worker, which holds the lock. */
static void serve(void *fn)
{
	struct fake *f = fn;

	/* Long enough for a call that waits for the lock to get it: mutexes are not fair. */
	pthread_mutex_unlock(&f->lock);
	nanosleep(&(struct timespec){ 0, 20000 }, NULL);
	pthread_mutex_lock(&f->lock);
}

static uint32_t reg32(struct fake *f, unsigned int off)
{
	uint32_t v;

	memcpy(&v, f->bar0 + off, sizeof(v));
	return v;
}

/* The DMA asked for, by descriptor or by message, with the lock held throughout. */
static int do_dma(struct fake *f, uint32_t command)
{
	uint32_t len = reg32(f, FAKE_LEN);
	uint64_t iova;

	memcpy(&iova, f->bar0 + FAKE_IOVA, sizeof(iova));
	if (len > FAKE_BAR0_BYTES - FAKE_DATA)
		return -EINVAL;
	for (unsigned int i = 0; i < f->num_maps; i++) {
		const struct fake_map *m = &f->maps[i];
		off_t at = (off_t)(m->offset + iova - m->iova);

		if (iova < m->iova || iova - m->iova >= m->size || len > m->size - (iova - m->iova))
			continue;
		if (m->fd < 0)
			return command == 1 ? f->dma->read(f->dma_opaque, iova, f->bar0 + FAKE_DATA, len) :
					      f->dma->write(f->dma_opaque, iova, f->bar0 + FAKE_DATA, len);
		if (command == 1)
			return pread(m->fd, f->bar0 + FAKE_DATA, len, at) == (ssize_t)len ? 0 : -EIO;
		return pwrite(m->fd, f->bar0 + FAKE_DATA, len, at) == (ssize_t)len ? 0 : -EIO;
	}
	return -EFAULT;
}

static void *work(void *arg)
{
	struct fake *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->quit) {
		uint32_t command = f->command, done;
		int result;

		if (!command) {
			pthread_cond_wait(&f->cond, &f->lock);
			continue;
		}
		f->command = 0;
		result = do_dma(f, command);
		memcpy(f->bar0 + FAKE_RESULT, &result, sizeof(result));
		done = reg32(f, FAKE_DONE) + 1;
		memcpy(f->bar0 + FAKE_DONE, &done, sizeof(done));
		f->dma_result = result;
		f->dma_done++;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static const struct p2p_function_ops fake_ops = {
	.num_regions = num_regions,
	.region_info = region_info,
	.region_share = region_share,
	.region_read = region_read,
	.region_write = region_write,
	.irq_info = irq_info,
	.irq_set = irq_set,
	.irq_trigger = irq_trigger,
	.irq_mask = irq_mask,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.dma_unmap_all = dma_unmap_all,
	.reset = reset,
	.attached = attached,
	.detached = detached,
	.serve = serve,
};

int fake_init(struct fake *f)
{
	const struct pci_config_params par = {
		.vendor_id = P2P_PCI_VENDOR_ID,
		.device_id = P2P_PCI_DEVICE_ID,
		.bar0_bytes = FAKE_BAR0_BYTES,
		.bar2_bytes = FAKE_BAR2_BYTES,
		.vectors = FAKE_VECTORS,
		.msix_unpend = unpend,
		.opaque = f,
	};
	int err;

	memset(f, 0, sizeof(*f));
	f->ops = fake_ops;
	f->bell_fd = -1;
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		f->irq_fd[i] = -1;
	err = pci_config_init(&f->cfg, &par);
	if (err)
		return err;
	for (unsigned int i = 0; i < FAKE_SEGS; i++) {
		f->seg_fd[i] = memfd_create("segment", MFD_CLOEXEC);
		if (f->seg_fd[i] < 0 || ftruncate(f->seg_fd[i], FAKE_SEG_BYTES))
			return -errno;
		f->seg[i] = mmap(NULL, FAKE_SEG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->seg_fd[i], 0);
		if (f->seg[i] == MAP_FAILED)
			return -errno;
	}
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, NULL);
	return -pthread_create(&f->worker, NULL, work, f);
}

void fake_fini(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->quit = true;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->worker, NULL);
	for (unsigned int i = 0; i < FAKE_SEGS; i++) {
		munmap(f->seg[i], FAKE_SEG_BYTES);
		close(f->seg_fd[i]);
	}
	pci_config_free(&f->cfg);
	pthread_cond_destroy(&f->cond);
	pthread_mutex_destroy(&f->lock);
}

bool fake_wait(struct fake *f, const unsigned int *counter, unsigned int n)
{
	for (int i = 0; i < 10000; i++) {
		bool there;

		pthread_mutex_lock(&f->lock);
		there = *counter >= n;
		pthread_mutex_unlock(&f->lock);
		if (there)
			return true;
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	return false;
}
