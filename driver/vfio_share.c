/* SPDX-License-Identifier: BSD-3-Clause */
/* A container goes from process to process: what it consists of, and what is found. */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/vfio_priv.h"

#define SHARE_PREFIX "p2pnic-"
#define SHARE_STATE SHARE_PREFIX "state"
#define SHARE_CONTAINER SHARE_PREFIX "container"

/* Service managers separate names by colons. */
void vfio_fd_name(const char *addr, char name[VFIO_FD_NAME])
{
	char *c;

	snprintf(name, VFIO_FD_NAME, SHARE_PREFIX "nic-%s", addr);
	for (c = name; *c; c++)
		if (*c == ':')
			*c = '_';
}

bool vfio_fd_is_ours(const char *name)
{
	return !strncmp(name, SHARE_PREFIX, strlen(SHARE_PREFIX));
}

unsigned int vfio_container_export(const struct vfio_container *c, struct vfio_fd *out)
{
	unsigned int i, n = 0;

	if (c->fd < 0 || c->state_fd < 0)
		return 0;
	out[n++] = (struct vfio_fd){ .fd = c->state_fd, .name = SHARE_STATE };
	out[n++] = (struct vfio_fd){ .fd = c->fd, .name = SHARE_CONTAINER };
	for (i = 0; i < P2P_MAX_NICS; i++) {
		if (c->group[i].fd < 0)
			continue;
		out[n].fd = c->group[i].fd;
		snprintf(out[n++].name, VFIO_FD_NAME, SHARE_PREFIX "group-%d", c->group[i].number);
	}
	for (i = 0; i < P2P_MAX_NICS; i++) {
		if (c->nic[i].fd < 0)
			continue;
		out[n].fd = c->nic[i].fd;
		vfio_fd_name(c->state->nic[i].addr, out[n++].name);
	}
	return n;
}

unsigned int vfio_container_addresses(const struct vfio_container *c, char addr[P2P_MAX_NICS][PCI_ADDR_BYTES])
{
	unsigned int i, n = 0;

	for (i = 0; i < P2P_MAX_NICS; i++)
		if (c->nic[i].fd >= 0)
			memcpy(addr[n++], c->state->nic[i].addr, PCI_ADDR_BYTES);
	return n;
}

/* The descriptor of that name, which is the container's from now on; -1: none. */
static int share_take(struct vfio_fd *fds, unsigned int n, const char *name)
{
	unsigned int i;
	int fd;

	for (i = 0; i < n; i++) {
		if (fds[i].fd < 0 || strcmp(fds[i].name, name))
			continue;
		fd = fds[i].fd;
		fds[i].fd = -1;
		return fd;
	}
	return -1;
}

static int share_state(struct vfio_container *c, int fd)
{
	struct vfio_state *s;
	struct stat st;
	int seals;

	c->state_fd = fd;
	seals = fcntl(fd, F_GET_SEALS);
	if (fd < 0 || fstat(fd, &st) || st.st_size != (off_t)sizeof(*s) || seals < 0 || !(seals & F_SEAL_SHRINK))
		return vfio_fail(c, -EPROTO, "what the former process left is not of this release; end it, and start anew");
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s == MAP_FAILED)
		return vfio_fail(c, -errno, "mapping the list of maps failed: %s", strerror(errno));
	c->state = s;
	if (s->magic != VFIO_STATE_MAGIC || s->version != VFIO_STATE_VERSION || s->maps > VFIO_MAX_MAPS)
		return vfio_fail(c, -EPROTO, "what the former process left is not of this release; end it, and start anew");
	return 0;
}

static int share_group(struct vfio_container *c, struct vfio_fd *fds, unsigned int n, int number)
{
	char name[VFIO_FD_NAME];
	unsigned int i, at = P2P_MAX_NICS;

	for (i = P2P_MAX_NICS; i-- > 0;) {
		if (c->group[i].fd < 0)
			at = i;
		else if (c->group[i].number == number)
			return 0;
	}
	snprintf(name, sizeof(name), SHARE_PREFIX "group-%d", number);
	c->group[at].number = number;
	c->group[at].fd = share_take(fds, n, name);
	return c->group[at].fd < 0 ? vfio_fail(c, -EPROTO, "the descriptor of IOMMU group %d was not kept", number) : 0;
}

static int share_nic(struct vfio_container *c, struct vfio_fd *fds, unsigned int n, unsigned int i)
{
	struct vfio_state_nic *s = &c->state->nic[i];
	char addr[PCI_ADDR_BYTES], name[VFIO_FD_NAME];
	int fd, rc;

	s->addr[PCI_ADDR_BYTES - 1] = '\0';
	if (!s->addr[0])
		return 0;
	if (pci_addr_parse(s->addr, addr) || strcmp(addr, s->addr))
		return vfio_fail(c, -EPROTO, "what the former process left names no PCI functions; end it, and start anew");
	vfio_fd_name(addr, name);
	fd = share_take(fds, n, name);
	if (fd < 0) { /* let go of under way */
		s->addr[0] = '\0';
		return 0;
	}
	c->nic[i].fd = fd;
	c->nic[i].group = s->group;
	rc = share_group(c, fds, n, s->group);
	return rc;
}

int vfio_container_import(struct vfio_container *c, const struct vfio_fd *from, unsigned int n)
{
	struct vfio_fd fds[VFIO_MAX_FDS];
	unsigned int i;
	int rc;

	if (n > VFIO_MAX_FDS) {
		for (i = 0; i < n; i++)
			close(from[i].fd);
		return vfio_fail(c, -EPROTO, "the former process left %u descriptors, which can't be", n);
	}
	c->leaving = true;
	memcpy(fds, from, n * sizeof(*fds));
	rc = share_state(c, share_take(fds, n, SHARE_STATE));
	c->fd = share_take(fds, n, SHARE_CONTAINER);
	if (!rc && (c->fd < 0 || ioctl(c->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION))
		rc = vfio_fail(c, -EPROTO, "the VFIO container was not kept");
	for (i = 0; !rc && i < P2P_MAX_NICS; i++)
		rc = share_nic(c, fds, n, i);
	if (!rc) {
		c->iommu_set = true;
		vfio_container_range(c);
		vfio_maps_repair(c);
	}
	for (i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return rc;
}
