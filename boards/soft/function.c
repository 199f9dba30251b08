/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NIC as a PCI function (include/p2pnic/function.h).
 *
 * Each operation travels to the NIC's worker.  While that worker waits for
 * message DMA inside a firmware step, what cannot disturb the step is served at
 * once (soft_function_ops.serve), a register write or function level reset is
 * accepted and carried out right after the step, and the rest waits for its end.
 */
#include "internal.h"
#include "sock/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REGION_CONFIG 7
#define IRQ_MSIX 2

/* --- eventfds --- */

void soft_event_signal(int fd)
{
	if (fd >= 0)
		bell_ring(fd);
}

static bool is_eventfd(int fd)
{
	char path[64], what[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, what, sizeof(what) - 1);
	what[n < 0 ? 0 : n] = '\0';
	return strcmp(what, "anon_inode:[eventfd]") == 0;
}

static void fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static unsigned int irq_count(const struct soft_nic *nic, unsigned int index)
{
	switch (index) {
	case IRQ_MSIX:
		return BOARD_NUM_VECTORS;
	case P2P_IRQ_BELL:
		return nic->queues * P2P_MAX_NICS;
	case P2P_IRQ_WAKE:
		return nic->queues;
	default:
		return 0;
	}
}

/* i < irq_count(). */
static int *irq_fd(struct soft_nic *nic, unsigned int index, unsigned int i)
{
	if (index == P2P_IRQ_BELL)
		return &nic->context[i / P2P_MAX_NICS].bell_fd[i % P2P_MAX_NICS];
	return index == P2P_IRQ_WAKE ? &nic->context[i].wake_fd : &nic->msix_fd[i];
}

static void irqs_drop(struct soft_nic *nic)
{
	for (unsigned int index = 0; index < P2P_NUM_IRQS; index++)
		for (unsigned int i = 0; i < irq_count(nic, index); i++)
			fd_drop(irq_fd(nic, index, i));
}

/* --- reset and gates --- */

static void access_changed(void *opaque)
{
	struct soft_nic *nic = opaque;

	nic->bus_master = pci_config_bus_master(&nic->cfg);
	__atomic_store_n(&nic->mem_on, pci_config_mem_enabled(&nic->cfg), __ATOMIC_RELAXED);
	soft_nic_retranslate(nic);
	if (nic->bus_master)
		return;
	/* Cables may reach peers' memory no more than we may. */
	if (nic->queues == 1 && nic->context[0].in_step)
		nic->context[0].gate_posted = true;
	else
		soft_nic_unplace(nic, 0, UINT64_MAX);
}

void soft_function_reset(struct soft_nic *nic)
{
	for (unsigned int q = nic->queues; q-- > 0;)
		fw_nic_reset(nic->fw[q], false);
	pci_config_reset(&nic->cfg);
	access_changed(nic);
}

static void config_flr(void *opaque)
{
	struct soft_nic *nic = opaque;

	if (nic->context[0].in_step)
		nic->context[0].reset_posted = true;
	else
		soft_function_reset(nic);
}

static void config_unpend(void *opaque, unsigned int vector)
{
	struct soft_nic *nic = opaque;

	if (vector < BOARD_NUM_VECTORS)
		soft_event_signal(nic->msix_fd[vector]);
}

int soft_function_init(struct soft_nic *nic)
{
	struct pci_config_params par = {
		.vendor_id = P2P_PCI_VENDOR_ID,
		.device_id = P2P_PCI_DEVICE_ID,
		.subsystem_vendor_id = P2P_PCI_VENDOR_ID,
		.subsystem_id = P2P_PCI_DEVICE_ID,
		.revision = 1,
		.bar0_bytes = P2P_BAR0_BYTES,
		.bar2_bytes = nic->mem_bytes,
		.vectors = BOARD_NUM_VECTORS,
		.flr = config_flr,
		.access_changed = access_changed,
		.msix_unpend = config_unpend,
		.opaque = nic,
	};

	for (unsigned int index = 0; index < P2P_NUM_IRQS; index++)
		for (unsigned int i = 0; i < irq_count(nic, index); i++)
			*irq_fd(nic, index, i) = -1;
	return pci_config_init(&nic->cfg, &par);
}

void soft_function_fini(struct soft_nic *nic)
{
	irqs_drop(nic);
	pci_config_free(&nic->cfg);
}

/* --- regions --- */

struct access {
	unsigned int region;
	uint64_t off;
	void *buf;
	size_t len;
	bool write;
	int64_t result;
};

static uint64_t region_bytes(const struct soft_nic *nic, unsigned int region)
{
	if (region <= 5)
		return pci_config_bar_bytes(&nic->cfg, region);
	if (region == REGION_CONFIG)
		return PCI_CONFIG_BYTES;
	if (region >= P2P_REGION_SEGMENT && region - P2P_REGION_SEGMENT < nic->mem.n)
		return nic->mem.seg[region - P2P_REGION_SEGMENT].bytes;
	return 0;
}

static int64_t regs_access(struct soft_nic *nic, struct access *a)
{
	struct soft_context *c = nic->context;
	le64 v = { 0 };

	if (a->len != 1 && a->len != 2 && a->len != 4 && a->len != 8)
		return -EINVAL;
	if (!a->write) {
		v = to_le64(fw_reg_read_all(nic->fw, nic->queues, a->off, a->len));
		memcpy(a->buf, &v, a->len);
		return a->len;
	}
	memcpy(&v, a->buf, a->len);
	/* What only chooses what is read next must hold for the read that follows. */
	if (nic->queues > 1 || !c->in_step || a->off == P2P_SEG_SELECT) {
		fw_reg_write_all(nic->fw, nic->queues, a->off, a->len, from_le64(v));
		return a->len;
	}
	if (c->num_posted == SOFT_MAX_POSTED)
		return -EBUSY;
	c->posted[c->num_posted++] = (struct soft_posted){ a->off, a->len, from_le64(v) };
	return a->len;
}

/* A word is stored whole, behind whatever was written before it: it may be what the worker polls. */
static void memory_store(uint8_t *to, const void *from, size_t n)
{
	uint64_t v8;
	uint32_t v4;

	if (n == 8 && (uintptr_t)to % 8 == 0) {
		memcpy(&v8, from, 8);
		__atomic_store_n((uint64_t *)to, v8, __ATOMIC_RELEASE);
	} else if (n == 4 && (uintptr_t)to % 4 == 0) {
		memcpy(&v4, from, 4);
		__atomic_store_n((uint32_t *)to, v4, __ATOMIC_RELEASE);
	} else {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		memcpy(to, from, n);
	}
}

/* What no segment covers reads ones and takes no writes. */
static int64_t memory_access(struct soft_nic *nic, uint64_t off, struct access *a)
{
	uint64_t used = nic->mem.used, there = off < used ? used - off : 0;
	size_t n = a->len < there ? a->len : there;

	if (a->write) {
		memory_store(nic->mem.base + off, a->buf, n);
	} else {
		memcpy(a->buf, nic->mem.base + off, n);
		memset((uint8_t *)a->buf + n, 0xff, a->len - n);
	}
	return a->len;
}

static int64_t segment_access(struct soft_nic *nic, struct access *a)
{
	const struct soft_segment *s = &nic->mem.seg[a->region - P2P_REGION_SEGMENT];

	if (a->write && s->read_only)
		return -EACCES;
	return memory_access(nic, s->offset + a->off, a);
}

static bool is_memory(unsigned int region)
{
	return region == 2 || region >= P2P_REGION_SEGMENT;
}

/*
 * Device memory, on the caller's thread: its workers go on meanwhile, as when a peer writes there.  A VMM that
 * carries other devices' DMA does so eight bytes at a time, too often to ask the worker each time.
 */
static int64_t memory_call(struct soft_nic *nic, struct access *a)
{
	int64_t moved = -EINVAL;
	uint64_t size;

	pthread_rwlock_rdlock(&nic->mem_lock);
	size = region_bytes(nic, a->region);
	if (a->off <= size && a->len <= size - a->off) {
		if (a->region >= P2P_REGION_SEGMENT) {
			moved = segment_access(nic, a);
		} else if (__atomic_load_n(&nic->mem_on, __ATOMIC_RELAXED)) {
			moved = memory_access(nic, a->off, a);
		} else {
			memset(a->buf, 0xff, a->write ? 0 : a->len);
			moved = a->len;
		}
	}
	pthread_rwlock_unlock(&nic->mem_lock);
	for (unsigned int q = 0; a->write && q < nic->queues; q++) {
		struct soft_worker *w = __atomic_load_n(&nic->context[q].worker, __ATOMIC_ACQUIRE);

		if (w)
			soft_worker_nudge(w);
	}
	return moved;
}

static int64_t region_access(struct soft_nic *nic, struct access *a)
{
	uint64_t size = region_bytes(nic, a->region);

	if (a->off > size || a->len > size - a->off)
		return -EINVAL;
	if (a->region <= 5 && !pci_config_mem_enabled(&nic->cfg)) {
		if (!a->write)
			memset(a->buf, 0xff, a->len);
		return a->len;
	}
	switch (a->region) {
	case 0:
		return regs_access(nic, a);
	case 4:
		return a->write ? pci_config_msix_write(&nic->cfg, a->off, a->buf, a->len) :
				  pci_config_msix_read(&nic->cfg, a->off, a->buf, a->len);
	case REGION_CONFIG:
		return a->write ? pci_config_write(&nic->cfg, a->off, a->buf, a->len) :
				  pci_config_read(&nic->cfg, a->off, a->buf, a->len);
	default:
		return -EINVAL;
	}
}

static int access_call(struct soft_nic *nic, void *arg)
{
	struct access *a = arg;

	a->result = region_access(nic, a);
	return 0;
}

static int64_t function_read(void *fn, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct access a = { region, off, buf, len, false, 0 };

	if (is_memory(region))
		return memory_call(fn, &a);
	soft_nic_call_class(fn, access_call, &a, SOFT_CALL_ANYTIME);
	return a.result;
}

static int64_t function_write(void *fn, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct access a = { region, off, (void *)buf, len, true, 0 };

	if (is_memory(region))
		return memory_call(fn, &a);
	soft_nic_call_class(fn, access_call, &a, SOFT_CALL_ANYTIME);
	return a.result;
}

static unsigned int function_num_regions(void *fn)
{
	struct soft_nic *nic = fn;
	unsigned int n;

	pthread_rwlock_rdlock(&nic->mem_lock);
	n = P2P_REGION_SEGMENT + nic->mem.n;
	pthread_rwlock_unlock(&nic->mem_lock);
	return n;
}

/* *fd: what to share it by, or -1; it is the segment's, and lives as long under mem_lock. */
static int region_info(struct soft_nic *nic, unsigned int region, struct p2p_region_info *info, int *fd)
{
	const struct soft_segment *s;

	*fd = -1;
	if (region >= P2P_REGION_SEGMENT + nic->mem.n)
		return -EINVAL;
	*info = (struct p2p_region_info){ .size = region_bytes(nic, region), .fd = -1 };
	if (info->size)
		info->flags = P2P_RGN_READ | P2P_RGN_WRITE;
	if (region < P2P_REGION_SEGMENT)
		return 0;
	s = &nic->mem.seg[region - P2P_REGION_SEGMENT];
	if (s->read_only)
		info->flags &= ~P2P_RGN_WRITE;
	/* The private segment is nobody's to map. */
	if (p2p_seg_kind(&nic->mem.shape, region - P2P_REGION_SEGMENT) == P2P_SEG_PRIVATE)
		return 0;
	info->flags |= P2P_RGN_MMAP;
	*fd = s->share_fd;
	return 0;
}

static int function_region_info(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct soft_nic *nic = fn;
	int rc, fd;

	pthread_rwlock_rdlock(&nic->mem_lock);
	rc = region_info(nic, region, info, &fd);
	pthread_rwlock_unlock(&nic->mem_lock);
	return rc;
}

/* A reset that the worker carries out may close the segment's descriptor once the lock is released. */
static int function_region_share(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct soft_nic *nic = fn;
	int rc, fd;

	pthread_rwlock_rdlock(&nic->mem_lock);
	rc = region_info(nic, region, info, &fd);
	if (!rc && fd >= 0) {
		info->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		rc = info->fd < 0 ? -errno : 0;
	}
	pthread_rwlock_unlock(&nic->mem_lock);
	return rc;
}

/* --- interrupts --- */

static int function_irq_info(void *fn, unsigned int index, struct p2p_irq_info *info)
{
	if (index >= P2P_NUM_IRQS)
		return -EINVAL;
	*info = (struct p2p_irq_info){ .count = irq_count(fn, index), .input = index == P2P_IRQ_WAKE };
	return 0;
}

struct irq_arg {
	unsigned int index, start, count;
	const int *fds;
	bool masked;
};

/* All are taken, or none. */
static int irq_dup(const struct irq_arg *a, int *kept)
{
	for (unsigned int i = 0; i < a->count; i++) {
		int err = -EINVAL;

		kept[i] = -1;
		if (a->fds[i] < 0)
			continue;
		if (is_eventfd(a->fds[i])) {
			kept[i] = fcntl(a->fds[i], F_DUPFD_CLOEXEC, 3);
			err = -errno;
		}
		if (kept[i] < 0) {
			while (i-- > 0)
				fd_drop(&kept[i]);
			return err;
		}
		/* These two are ours alone (design "Waking"): neither side may block on them. */
		if (a->index != IRQ_MSIX)
			fcntl(kept[i], F_SETFL, fcntl(kept[i], F_GETFL) | O_NONBLOCK);
	}
	return 0;
}

static int irq_set_call(struct soft_nic *nic, void *arg)
{
	const struct irq_arg *a = arg;
	int kept[P2P_MAX_QUEUES * P2P_MAX_NICS], err;
	unsigned int n = irq_count(nic, a->index);

	if (!n || a->start > n || a->count > n - a->start)
		return -EINVAL;
	err = irq_dup(a, kept);
	if (err)
		return err;
	for (unsigned int i = 0; i < a->count; i++) {
		int *fd = irq_fd(nic, a->index, a->start + i);

		fd_drop(fd);
		*fd = kept[i];
		if (a->index == IRQ_MSIX)
			pci_config_msix_attach(&nic->cfg, a->start + i, kept[i] >= 0);
	}
	return 0;
}

static int function_irq_set(void *fn, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	struct irq_arg a = { index, start, count, fds, false };

	return soft_nic_call_class(fn, irq_set_call, &a, SOFT_CALL_ANYTIME);
}

static int irq_trigger_call(struct soft_nic *nic, void *arg)
{
	const struct irq_arg *a = arg;

	if (a->start >= irq_count(nic, a->index))
		return -EINVAL;
	if (a->index == IRQ_MSIX)
		soft_board_event(&nic->context[0].ctx, a->start, 0);
	else
		soft_event_signal(*irq_fd(nic, a->index, a->start));
	return 0;
}

static int function_irq_trigger(void *fn, unsigned int index, unsigned int vector)
{
	struct irq_arg a = { index, vector, 1, NULL, false };

	return soft_nic_call_class(fn, irq_trigger_call, &a, SOFT_CALL_ANYTIME);
}

static int irq_mask_call(struct soft_nic *nic, void *arg)
{
	const struct irq_arg *a = arg;

	return a->index == IRQ_MSIX ? pci_config_msix_mask(&nic->cfg, a->start, a->masked) : -EINVAL;
}

static int function_irq_mask(void *fn, unsigned int index, unsigned int vector, bool masked)
{
	struct irq_arg a = { index, vector, 1, NULL, masked };

	return soft_nic_call_class(fn, irq_mask_call, &a, SOFT_CALL_ANYTIME);
}

/* --- the address map --- */

struct dma_arg {
	uint64_t iova, size, fd_offset;
	int fd;
	uint32_t prot;
};

static int dma_map_call(struct soft_nic *nic, void *arg)
{
	const struct dma_arg *a = arg;
	int err = nic->queues > 1 && a->fd < 0 ? -EINVAL : soft_iommu_map(&nic->iommu, a->iova, a->size, a->fd, a->fd_offset, a->prot);

	if (err)
		return err;
	/* Only where it may be needed: descriptors are few. */
	if (a->fd >= 0 && !a->fd_offset && (fw_reg_read(nic->fw[0], P2P_FLAGS, 4) & P2P_FLAG_CUT))
		soft_iommu_keep(&nic->iommu, a->iova, a->fd);
	soft_nic_retranslate(nic);
	return 0;
}

static int function_dma_map(void *fn, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot)
{
	struct dma_arg a = { iova, size, fd_offset, fd, prot };

	return soft_nic_call_class(fn, dma_map_call, &a, SOFT_CALL_ANYTIME);
}

static int dma_unmap_call(struct soft_nic *nic, void *arg)
{
	const struct dma_arg *a = arg;
	int err;

	soft_nic_unplace(nic, a->iova, a->size);
	err = soft_iommu_unmap(&nic->iommu, a->iova, a->size);
	if (!err)
		soft_nic_retranslate(nic);
	return err;
}

static int function_dma_unmap(void *fn, uint64_t iova, uint64_t size)
{
	struct dma_arg a = { .iova = iova, .size = size };

	return soft_nic_call(fn, dma_unmap_call, &a);
}

static int dma_unmap_all_call(struct soft_nic *nic, void *arg)
{
	soft_nic_unplace(nic, 0, UINT64_MAX);
	soft_iommu_clear(&nic->iommu);
	soft_nic_retranslate(nic);
	return 0;
}

static int function_dma_unmap_all(void *fn)
{
	return soft_nic_call(fn, dma_unmap_all_call, NULL);
}

/* --- reset, clients --- */

static int reset_call(struct soft_nic *nic, void *arg)
{
	soft_function_reset(nic);
	return 0;
}

static int function_reset(void *fn)
{
	return soft_nic_call(fn, reset_call, NULL);
}

struct client_arg {
	const struct p2p_dma_msg_ops *ops;
	void *opaque;
};

static int attached_call(struct soft_nic *nic, void *arg)
{
	const struct client_arg *a = arg;

	nic->msg = a->ops;
	nic->msg_opaque = a->opaque;
	return 0;
}

static void function_attached(void *fn, const struct p2p_dma_msg_ops *ops, void *opaque)
{
	struct client_arg a = { ops, opaque };

	soft_nic_call(fn, attached_call, &a);
}

static int detached_call(struct soft_nic *nic, void *arg)
{
	nic->msg = NULL;
	nic->msg_opaque = NULL;
	soft_iommu_clear_messages(&nic->iommu);
	if (!fw_nic_persist(nic->fw[0])) {
		soft_function_reset(nic);
		soft_iommu_clear(&nic->iommu);
		irqs_drop(nic);
	}
	soft_nic_retranslate(nic);
	return 0;
}

static void function_detached(void *fn)
{
	soft_nic_call(fn, detached_call, NULL);
}

static void function_serve(void *fn)
{
	struct soft_nic *nic = fn;
	struct soft_worker *w = nic->queues > 1 ? NULL : __atomic_load_n(&nic->context[0].worker, __ATOMIC_ACQUIRE);

	if (w && soft_worker_is_self(w))
		soft_worker_serve(w, nic);
}

const struct p2p_function_ops soft_function_ops = {
	.num_regions = function_num_regions,
	.region_info = function_region_info,
	.region_share = function_region_share,
	.region_read = function_read,
	.region_write = function_write,
	.irq_info = function_irq_info,
	.irq_set = function_irq_set,
	.irq_trigger = function_irq_trigger,
	.irq_mask = function_irq_mask,
	.dma_map = function_dma_map,
	.dma_unmap = function_dma_unmap,
	.dma_unmap_all = function_dma_unmap_all,
	.reset = function_reset,
	.attached = function_attached,
	.detached = function_detached,
	.serve = function_serve,
};
