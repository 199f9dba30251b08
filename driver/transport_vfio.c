/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function by the kernel's VFIO.
 *
 * Registers have 4 or 8 bytes and know no other access, while the kernel splits what it is asked to read: BAR0 is
 * mapped.  A mapped BAR whose decode is off, or whose function is gone, is a SIGBUS: before each access
 * the command register is read, which fails instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <p2pnic/layout.h>
#include <p2pnic/regs.h>

#include "driver/transport.h"
#include "driver/vfio_container.h"

#define VFIO_BAR_REGS 0
#define VFIO_BAR_MEM 2
#define VFIO_REGIONS 9
#define VFIO_MAX_VECTORS 64

struct transport_vfio {
	struct transport t;
	struct vfio_container *c;
	unsigned int slot;
	int fd;
	char addr[PCI_ADDR_BYTES];
	struct vfio_region_info region[VFIO_REGIONS];
	uint8_t *bar0;
	bool can_reset;
	uint32_t vectors;
	int32_t msix[VFIO_MAX_VECTORS]; /* as set so far */
	char why[PCI_ERR_BYTES];
};

static struct transport_vfio *vfio_of(struct transport *t)
{
	return (struct transport_vfio *)t;
}

static int vfio_say(struct transport_vfio *v, int rc, const char *text)
{
	snprintf(v->why, sizeof(v->why), "%s", text);
	return rc;
}

/* --- regions --- */

static int vfio_moved(ssize_t moved, size_t len)
{
	if (moved < 0)
		return -errno;
	return (size_t)moved == len ? 0 : -EIO;
}

static int vfio_decode_check(struct transport_vfio *v)
{
	uint16_t command;
	int rc;

	rc = vfio_moved(pread(v->fd, &command, sizeof(command), (off_t)(v->region[VFIO_PCI_CONFIG_REGION_INDEX].offset + PCI_COMMAND)),
			sizeof(command));
	if (rc)
		return vfio_say(v, rc, "the function does not answer");
	if (command == 0xffff)
		return vfio_say(v, -ENODEV, "the function is gone");
	if (!(command & htole16(PCI_COMMAND_MEMORY)))
		return vfio_say(v, -EACCES, "its memory decode is off");
	return 0;
}

/* In one access of that width. */
static int vfio_regs_access(struct transport_vfio *v, uint64_t off, void *buf, size_t len, bool write)
{
	volatile uint8_t *at = v->bar0 + off;
	uint64_t v8;
	uint32_t v4;
	int rc;

	if ((len != 4 && len != 8) || off % len || off > P2P_BAR0_BYTES - len)
		return -EINVAL;
	rc = vfio_decode_check(v);
	if (rc)
		return rc;
	if (len == 4 && write) {
		memcpy(&v4, buf, 4);
		*(volatile uint32_t *)at = v4;
	} else if (len == 4) {
		v4 = *(volatile uint32_t *)at;
		memcpy(buf, &v4, 4);
	} else if (write) {
		memcpy(&v8, buf, 8);
		*(volatile uint64_t *)at = v8;
	} else {
		v8 = *(volatile uint64_t *)at;
		memcpy(buf, &v8, 8);
	}
	return 0;
}

static int vfio_reg(struct transport_vfio *v, uint32_t off, uint32_t bytes, uint64_t *out)
{
	le64 raw = { 0 };
	int rc;

	rc = vfio_regs_access(v, off, &raw, bytes, false);
	*out = from_le64(raw);
	return rc;
}

/* A segment of device memory, as the NIC's registers tell of it. */
static int vfio_segment(struct transport_vfio *v, unsigned int seg, uint64_t *off, uint64_t *bytes)
{
	const struct vfio_region_info *mem = &v->region[VFIO_BAR_MEM];
	le32 select = to_le32(seg);
	uint64_t count;
	int rc;

	rc = vfio_reg(v, P2P_SEG_COUNT, 4, &count);
	if (!rc && seg >= count)
		return -EINVAL;
	if (!rc)
		rc = vfio_regs_access(v, P2P_SEG_SELECT, &select, sizeof(select), true);
	if (!rc)
		rc = vfio_reg(v, P2P_SEG_OFFSET, 8, off);
	if (!rc)
		rc = vfio_reg(v, P2P_SEG_BYTES, 8, bytes);
	if (!rc && (*off > mem->size || *bytes > mem->size - *off || *off % P2P_SEG_ALIGN))
		rc = vfio_say(v, -EPROTO, "it says that a segment lies outside its memory");
	return rc;
}

static int vfio_num_regions(struct transport *t)
{
	struct transport_vfio *v = vfio_of(t);
	uint64_t count;
	int rc;

	rc = vfio_reg(v, P2P_SEG_COUNT, 4, &count);
	return rc ? rc : (int)(P2P_REGION_SEGMENT + (count < P2P_MAX_SEGMENTS ? count : P2P_MAX_SEGMENTS));
}

static int vfio_region_info(struct transport *t, unsigned int region, struct p2p_region_info *info)
{
	struct transport_vfio *v = vfio_of(t);
	uint64_t off;
	int rc;

	*info = (struct p2p_region_info){ .fd = -1 };
	if (region < VFIO_REGIONS) {
		info->size = v->region[region].size;
		info->flags = v->region[region].flags & (P2P_RGN_READ | P2P_RGN_WRITE);
		return 0;
	}
	rc = vfio_segment(v, region - P2P_REGION_SEGMENT, &off, &info->size);
	if (rc)
		return rc;
	info->flags = P2P_RGN_READ | P2P_RGN_WRITE | P2P_RGN_MMAP;
	info->fd_offset = v->region[VFIO_BAR_MEM].offset + off;
	info->fd = fcntl(v->fd, F_DUPFD_CLOEXEC, 3);
	return info->fd < 0 ? -errno : 0;
}

/* Where the bytes lie in the descriptor. */
static int vfio_place(struct transport_vfio *v, unsigned int region, uint64_t off, size_t len, uint64_t *at)
{
	uint64_t start = 0, size;
	int rc;

	if (region < VFIO_REGIONS) {
		size = v->region[region].size;
		*at = v->region[region].offset + off;
	} else {
		rc = vfio_segment(v, region - P2P_REGION_SEGMENT, &start, &size);
		if (rc)
			return rc;
		*at = v->region[VFIO_BAR_MEM].offset + start + off;
	}
	return off > size || len > size - off ? -EINVAL : 0;
}

static int vfio_region_read(struct transport *t, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct transport_vfio *v = vfio_of(t);
	uint64_t at;
	int rc;

	if (region == VFIO_BAR_REGS)
		return vfio_regs_access(v, off, buf, len, false);
	rc = vfio_place(v, region, off, len, &at);
	return rc ? rc : vfio_moved(pread(v->fd, buf, len, (off_t)at), len);
}

static int vfio_region_write(struct transport *t, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct transport_vfio *v = vfio_of(t);
	uint64_t at;
	int rc;

	if (region == VFIO_BAR_REGS)
		return vfio_regs_access(v, off, (void *)(uintptr_t)buf, len, true);
	rc = vfio_place(v, region, off, len, &at);
	return rc ? rc : vfio_moved(pwrite(v->fd, buf, len, (off_t)at), len);
}

static int vfio_region_mmap(struct transport *t, unsigned int region, uint64_t bytes, void **out)
{
	struct transport_vfio *v = vfio_of(t);
	uint64_t at;
	void *p;
	int rc;

	rc = vfio_place(v, region, 0, bytes, &at);
	if (!rc)
		rc = vfio_decode_check(v);
	if (rc)
		return rc;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, (off_t)at);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

/* --- interrupts --- */

static int vfio_irq_call(struct transport_vfio *v, unsigned int index, unsigned int start, unsigned int count, const int32_t *fds)
{
	struct vfio_irq_set *set;
	uint8_t raw[sizeof(*set) + VFIO_MAX_VECTORS * sizeof(int32_t)] __attribute__((aligned(8)));

	set = (struct vfio_irq_set *)raw;
	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + count * sizeof(*fds)), .index = index,
				      .start = start, .count = count,
				      .flags = VFIO_IRQ_SET_ACTION_TRIGGER | (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE) };
	memcpy(set->data, fds, count * sizeof(*fds));
	return ioctl(v->fd, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
}

/* All vectors in one call: before Linux 6.2 the number enabled at first is the number that there is. */
static int vfio_msix_set(struct transport_vfio *v, unsigned int start, unsigned int count, const int *fds)
{
	int32_t want[VFIO_MAX_VECTORS];
	unsigned int i, used = 0;
	int rc;

	if (start > v->vectors || count > v->vectors - start)
		return -EINVAL;
	memcpy(want, v->msix, sizeof(want));
	for (i = 0; i < count; i++)
		want[start + i] = fds[i];
	for (i = 0; i < v->vectors; i++)
		used += want[i] >= 0;
	rc = vfio_irq_call(v, VFIO_PCI_MSIX_IRQ_INDEX, 0, used ? v->vectors : 0, want);
	if (!rc)
		memcpy(v->msix, want, sizeof(want));
	return rc;
}

static int vfio_irq_set(struct transport *t, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	struct transport_vfio *v = vfio_of(t);
	int32_t fd;

	switch (index) {
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return vfio_msix_set(v, start, count, fds);
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		if (start || count != 1)
			return -EINVAL;
		fd = fds[0];
		return vfio_irq_call(v, index, 0, 1, &fd);
	default:
		return -EOPNOTSUPP;
	}
}

/* --- the rest --- */

static int vfio_taken(struct transport_vfio *v, int rc)
{
	return rc ? vfio_say(v, rc, vfio_container_error(v->c)) : 0;
}

static int vfio_dma_map(struct transport *t, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot)
{
	struct transport_vfio *v = vfio_of(t);

	return vfio_taken(v, vfio_container_map(v->c, v->slot, iova, size, fd, fd_offset, prot));
}

static int vfio_dma_unmap(struct transport *t, uint64_t iova, uint64_t size)
{
	struct transport_vfio *v = vfio_of(t);

	return vfio_taken(v, vfio_container_unmap(v->c, v->slot, iova, size));
}

static int vfio_dma_unmap_all(struct transport *t)
{
	struct transport_vfio *v = vfio_of(t);

	return vfio_taken(v, vfio_container_unmap_all(v->c, v->slot));
}

static int vfio_reset(struct transport *t)
{
	struct transport_vfio *v = vfio_of(t);

	if (!v->can_reset)
		return vfio_say(v, -EOPNOTSUPP, "the kernel knows no way to reset it alone");
	return ioctl(v->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

static void vfio_close(struct transport *t)
{
	struct transport_vfio *v = vfio_of(t);

	if (v->bar0)
		munmap(v->bar0, P2P_BAR0_BYTES);
	vfio_container_remove(v->c, v->slot);
	free(v);
}

static const char *vfio_why(struct transport *t)
{
	struct transport_vfio *v = vfio_of(t);

	return v->why[0] ? v->why : NULL;
}

static const struct transport_ops vfio_ops = {
	.num_regions = vfio_num_regions,
	.region_info = vfio_region_info,
	.region_read = vfio_region_read,
	.region_write = vfio_region_write,
	.region_mmap = vfio_region_mmap,
	.irq_set = vfio_irq_set,
	.dma_map = vfio_dma_map,
	.dma_unmap = vfio_dma_unmap,
	.dma_unmap_all = vfio_dma_unmap_all,
	.reset = vfio_reset,
	.close = vfio_close,
	.why = vfio_why,
};

/* --- opening --- */

static int vfio_regions_read(struct transport_vfio *v, char err[DRV_ERR_MAX])
{
	const struct { unsigned int bar; uint64_t bytes; const char *what; } need[] = {
		{ VFIO_BAR_REGS, P2P_BAR0_BYTES, "registers" },
		{ VFIO_BAR_MEM, 1, "device memory" },
	};
	unsigned int i;

	for (i = 0; i < VFIO_REGIONS; i++) {
		struct vfio_region_info *r = &v->region[i];

		*r = (struct vfio_region_info){ .argsz = sizeof(*r), .index = i };
		if (ioctl(v->fd, VFIO_DEVICE_GET_REGION_INFO, r))
			r->size = 0;
	}
	if (!v->region[VFIO_PCI_CONFIG_REGION_INDEX].size) {
		snprintf(err, DRV_ERR_MAX, "%s: the kernel shows no configuration space", v->addr);
		return -ENODEV;
	}
	for (i = 0; i < P2P_ARRAY_SIZE(need); i++) {
		const struct vfio_region_info *r = &v->region[need[i].bar];

		if (r->size < need[i].bytes) {
			snprintf(err, DRV_ERR_MAX, "%s: not a P2PNIC: BAR%u (%s) has %" PRIu64 " bytes; give the address of one", v->addr,
				 need[i].bar, need[i].what, (uint64_t)r->size);
			return -ENODEV;
		}
		if (!(r->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
			snprintf(err, DRV_ERR_MAX, "%s: BAR%u (%s) can't be mapped: it shares a page with something else; boot with"
				 " pci=resource_alignment=12@%s", v->addr, need[i].bar, need[i].what, v->addr);
			return -EACCES;
		}
	}
	return 0;
}

static int vfio_setup(struct transport_vfio *v, char err[DRV_ERR_MAX])
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	void *p;
	int rc;

	if (ioctl(v->fd, VFIO_DEVICE_GET_INFO, &info) || !(info.flags & VFIO_DEVICE_FLAGS_PCI)) {
		snprintf(err, DRV_ERR_MAX, "%s: the kernel does not show it as a PCI function", v->addr);
		return -ENODEV;
	}
	v->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	if (!v->can_reset) {
		snprintf(err, DRV_ERR_MAX, "%s: the kernel knows no way to reset it alone (no function level reset); it can't be used",
			 v->addr);
		return -EOPNOTSUPP;
	}
	rc = vfio_regions_read(v, err);
	if (rc)
		return rc;
	if (!ioctl(v->fd, VFIO_DEVICE_GET_IRQ_INFO, &irq))
		v->vectors = irq.count < VFIO_MAX_VECTORS ? irq.count : VFIO_MAX_VECTORS;
	p = mmap(NULL, P2P_BAR0_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, (off_t)v->region[VFIO_BAR_REGS].offset);
	if (p == MAP_FAILED) {
		rc = -errno;
		snprintf(err, DRV_ERR_MAX, "%s: mapping BAR0 failed: %s", v->addr, strerror(-rc));
		return rc;
	}
	v->bar0 = p;
	return 0;
}

int transport_vfio_open(struct transport **out, struct vfio_container *c, const char *addr, char err[DRV_ERR_MAX])
{
	struct transport_vfio *v = calloc(1, sizeof(*v));
	int rc;

	if (!v) {
		snprintf(err, DRV_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	v->t.ops = &vfio_ops;
	v->t.flags = TRANSPORT_HELD;
	v->c = c;
	memset(v->msix, -1, sizeof(v->msix));
	snprintf(v->addr, sizeof(v->addr), "%s", addr);
	rc = vfio_container_add(c, addr, &v->slot, &v->fd);
	if (rc) {
		snprintf(err, DRV_ERR_MAX, "%s", vfio_container_error(c));
		free(v);
		return rc;
	}
	v->t.bus_bits = vfio_container_bits(c);
	rc = vfio_container_space(c, &v->t.space);
	if (rc)
		snprintf(err, DRV_ERR_MAX, "%s: %.400s", addr, vfio_container_error(c));
	if (!rc)
		rc = pci_bar_address(PCI_SYSFS, addr, VFIO_BAR_MEM, &v->t.bar2, err);
	if (!rc)
		rc = vfio_setup(v, err);
	if (rc) {
		vfio_close(&v->t);
		return rc;
	}
	*out = &v->t;
	return 0;
}
