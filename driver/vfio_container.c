/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/vfio_priv.h"

#define VFIO_CONTAINER_DEV "/dev/vfio/vfio"

int vfio_fail(struct vfio_container *c, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return rc;
}

const char *vfio_container_error(const struct vfio_container *c)
{
	return c->error;
}

int vfio_state_create(struct vfio_container *c)
{
	void *p;
	int fd;

	fd = memfd_create("p2pnic vfio state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(struct vfio_state)) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return vfio_fail(c, rc, "no memory for the list of maps: %s", strerror(-rc));
	}
	p = mmap(NULL, sizeof(struct vfio_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		close(fd);
		return vfio_fail(c, -ENOMEM, "no memory for the list of maps");
	}
	c->state_fd = fd;
	c->state = p;
	c->state->magic = VFIO_STATE_MAGIC;
	c->state->version = VFIO_STATE_VERSION;
	return 0;
}

void vfio_state_nic_set(struct vfio_state_nic *s, const char *addr, int group)
{
	__atomic_store_n(&s->addr[0], '\0', __ATOMIC_RELEASE);
	s->group = group;
	snprintf(s->addr + 1, PCI_ADDR_BYTES - 1, "%s", addr + 1);
	__atomic_store_n(&s->addr[0], addr[0], __ATOMIC_RELEASE);
}

int vfio_container_create(struct vfio_container **out, const char *root)
{
	struct vfio_container *c = calloc(1, sizeof(*c));
	unsigned int i;

	if (!c)
		return -ENOMEM;
	snprintf(c->root, sizeof(c->root), "%s", root);
	c->fd = c->state_fd = -1;
	for (i = 0; i < P2P_MAX_NICS; i++) {
		c->nic[i].fd = -1;
		c->group[i].fd = -1;
	}
	*out = c;
	return 0;
}

void vfio_container_destroy(struct vfio_container *c)
{
	unsigned int i;

	if (!c)
		return;
	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->nic[i].fd >= 0)
			close(c->nic[i].fd);
	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->group[i].fd >= 0)
			close(c->group[i].fd);
	if (c->fd >= 0)
		close(c->fd);
	if (c->state)
		munmap(c->state, sizeof(*c->state));
	if (c->state_fd >= 0)
		close(c->state_fd);
	free(c->space.pci);
	free(c);
}

static int container_open(struct vfio_container *c)
{
	int rc;

	if (c->fd >= 0)
		return 0;
	c->fd = open(VFIO_CONTAINER_DEV, O_RDWR | O_CLOEXEC);
	if (c->fd < 0) {
		rc = -errno;
		if (rc == -ENOENT || rc == -ENODEV)
			return vfio_fail(c, rc, "the kernel has no VFIO; `modprobe vfio-pci` and `modprobe vfio_iommu_type1` load it");
		if (rc == -EACCES || rc == -EPERM)
			return vfio_fail(c, rc, "no permission for " VFIO_CONTAINER_DEV "; run as root");
		return vfio_fail(c, rc, VFIO_CONTAINER_DEV ": %s", strerror(-rc));
	}
	if (ioctl(c->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		rc = vfio_fail(c, -EPROTO, "the kernel's VFIO is of another version than %d; use the release for this kernel",
			       VFIO_API_VERSION);
	else if (ioctl(c->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		rc = vfio_fail(c, -ENODEV, "the kernel's VFIO knows no type1 IOMMU; `modprobe vfio_iommu_type1` loads it");
	else
		rc = c->state ? 0 : vfio_state_create(c);
	if (rc) {
		close(c->fd);
		c->fd = -1;
	}
	return rc;
}

static struct vfio_group *group_find(struct vfio_container *c, int number)
{
	unsigned int i;

	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->group[i].fd >= 0 && c->group[i].number == number)
			return &c->group[i];
	return NULL;
}

void vfio_container_range(struct vfio_container *c)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[4096];
	} u = { .info = { .argsz = sizeof(u) } };
	const struct vfio_iommu_type1_info_cap_iova_range *cap;
	const struct vfio_info_cap_header *h;
	uint32_t at;
	unsigned int i, seen;

	c->bits = 64;
	c->space.takes = 0;
	if (ioctl(c->fd, VFIO_IOMMU_GET_INFO, &u) || !(u.info.flags & VFIO_IOMMU_INFO_CAPS))
		return;
	for (at = u.info.cap_offset, seen = 0; at && at + sizeof(*h) <= sizeof(u) && seen < 64; at = h->next, seen++) {
		h = (const void *)(u.bytes + at);
		cap = (const void *)h;
		if (h->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE || at + sizeof(*cap) > sizeof(u))
			continue;
		for (i = 0; i < cap->nr_iovas && at + sizeof(*cap) + (i + 1) * sizeof(cap->iova_ranges[0]) <= sizeof(u); i++) {
			if (i < BUS_MAX_TAKES)
				c->space.take[c->space.takes++] = (struct bus_range){ cap->iova_ranges[i].start, cap->iova_ranges[i].end };
			c->bits = cap->iova_ranges[i].end ? 64u - (unsigned int)__builtin_clzll(cap->iova_ranges[i].end) : 0;
		}
	}
}

unsigned int vfio_container_bits(const struct vfio_container *c)
{
	return c->bits;
}

int vfio_container_space(struct vfio_container *c, const struct bus_space **out)
{
	int rc = c->space.pci ? 0 : pci_memory_read(c->root, &c->space.pci, &c->space.pcis, c->error);

	*out = &c->space;
	return rc;
}

static int group_open_fail(struct vfio_container *c, const struct pci_info *info, int rc)
{
	switch (rc) {
	case -ENOENT:
		return vfio_fail(c, rc, "%s: there is no /dev/vfio/%d; is udev or devtmpfs running?", info->addr, info->group);
	case -EACCES:
	case -EPERM:
		return vfio_fail(c, rc, "%s: no permission for /dev/vfio/%d; run as root, or give your user that file", info->addr,
				 info->group);
	case -EBUSY:
		return vfio_fail(c, rc, "%s: another process holds it (/dev/vfio/%d is open); end that first", info->addr, info->group);
	default:
		return vfio_fail(c, rc, "%s: /dev/vfio/%d: %s", info->addr, info->group, strerror(-rc));
	}
}

/* Attaches an open group; the first one chooses the IOMMU, each one may have addresses that it does not take. */
static int group_attach(struct vfio_container *c, const struct pci_info *info, int fd)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	char others[256];

	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &st))
		return vfio_fail(c, -errno, "%s: IOMMU group %d: %s", info->addr, info->group, strerror(errno));
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		pci_group_others(c->root, info, others, sizeof(others));
		return vfio_fail(c, -EPERM, "%s: its IOMMU group %d has functions of other drivers too: %s; give all of them to vfio-pci"
				 " (p2pnic bind), or put the card into a slot of its own", info->addr, info->group,
				 *others ? others : "unknown ones");
	}
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &c->fd))
		return vfio_fail(c, -errno, "%s: IOMMU group %d can't be used together with the NICs before it: %s; is it behind"
				 " another IOMMU?", info->addr, info->group, strerror(errno));
	if (!c->iommu_set && ioctl(c->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) {
		int rc = -errno;

		ioctl(fd, VFIO_GROUP_UNSET_CONTAINER);
		return vfio_fail(c, rc, "%s: the kernel refuses its IOMMU: %s%s", info->addr, strerror(-rc),
				 rc == -EPERM ? "; if interrupts are not remapped, vfio_iommu_type1.allow_unsafe_interrupts=1 allows it"
						" all the same" : "");
	}
	c->iommu_set = true;
	vfio_container_range(c);
	return 0;
}

static int group_get(struct vfio_container *c, const struct pci_info *info, struct vfio_group **out)
{
	struct vfio_group *g = group_find(c, info->group);
	char path[64];
	unsigned int i;
	int fd, rc;

	if (g) {
		*out = g;
		return 0;
	}
	for (i = 0; i < P2P_MAX_NICS && c->group[i].fd >= 0; i++)
		;
	if (i == P2P_MAX_NICS)
		return vfio_fail(c, -ENOSPC, "%s: more than %d IOMMU groups", info->addr, P2P_MAX_NICS);
	snprintf(path, sizeof(path), "/dev/vfio/%d", info->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return group_open_fail(c, info, -errno);
	rc = group_attach(c, info, fd);
	if (rc) {
		close(fd);
		return rc;
	}
	g = &c->group[i];
	g->fd = fd;
	g->number = info->group;
	*out = g;
	return 0;
}

static void group_put(struct vfio_container *c, int number)
{
	struct vfio_group *g = group_find(c, number);
	unsigned int i;

	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->nic[i].fd >= 0 && c->nic[i].group == number)
			return;
	if (!g)
		return;
	close(g->fd);
	g->fd = -1;
	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->group[i].fd >= 0)
			return;
	c->iommu_set = false; /* the kernel forgets the IOMMU, and all maps, with the last group */
}

static int container_check(struct vfio_container *c, const char *addr, struct pci_info *info)
{
	int rc;

	rc = pci_info_read(c->root, addr, info, c->error);
	if (rc)
		return rc;
	if (info->group < 0)
		return vfio_fail(c, -ENXIO, "%s: it is in no IOMMU group; turn the IOMMU on in the firmware's setup and boot with"
				 " intel_iommu=on or amd_iommu=on", addr);
	if (!info->driver[0])
		return vfio_fail(c, -ENODEV, "%s: it has no driver; `p2pnic bind %s` gives it to vfio-pci", addr, addr);
	if (strcmp(info->driver, PCI_VFIO_DRIVER))
		return vfio_fail(c, -EBUSY, "%s: its driver is %s; `p2pnic bind %s` gives it to vfio-pci", addr, info->driver, addr);
	return 0;
}

static int device_open(struct vfio_container *c, const struct pci_info *info, const struct vfio_group *g, int *out)
{
	int fd = ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, info->addr);

	if (fd < 0)
		return vfio_fail(c, -errno, "%s: the kernel does not hand it over: %s%s", info->addr, strerror(errno),
				 errno == EPERM ? "; a virtual function needs the token of its physical one, which is not supported" : "");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	*out = fd;
	return 0;
}

int vfio_container_add(struct vfio_container *c, const char *addr, unsigned int *slot, int *device_fd)
{
	struct vfio_group *g = NULL;
	struct pci_info info;
	unsigned int i;
	int rc, fd = -1;

	for (i = 0; i < P2P_MAX_NICS; i++) {
		if (c->nic[i].fd < 0 || strcmp(c->state->nic[i].addr, addr))
			continue;
		*slot = i;
		*device_fd = c->nic[i].fd;
		return 0;
	}
	rc = container_check(c, addr, &info);
	if (!rc)
		rc = container_open(c);
	if (!rc)
		rc = group_get(c, &info, &g);
	if (rc)
		return rc;
	for (i = 0; i < P2P_MAX_NICS && c->nic[i].fd >= 0; i++)
		;
	rc = i < P2P_MAX_NICS ? device_open(c, &info, g, &fd) : vfio_fail(c, -ENOSPC, "%s: more than %d NICs", addr, P2P_MAX_NICS);
	if (rc) {
		group_put(c, info.group);
		return rc;
	}
	c->nic[i].fd = fd;
	c->nic[i].group = info.group;
	vfio_state_nic_set(&c->state->nic[i], addr, info.group);
	*slot = i;
	*device_fd = fd;
	return 0;
}

void vfio_container_remove(struct vfio_container *c, unsigned int slot)
{
	if (c->leaving) {
		close(c->nic[slot].fd);
		c->nic[slot].fd = -1;
		return;
	}
	vfio_container_unmap_all(c, slot);
	close(c->nic[slot].fd);
	c->nic[slot].fd = -1;
	c->state->nic[slot].addr[0] = '\0';
	group_put(c, c->nic[slot].group);
}

void vfio_container_leave(struct vfio_container *c, bool leaving)
{
	c->leaving = leaving;
}
