/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/transport.h"
#include "vfio_user/client.h"

struct transport_vfio_user {
	struct transport t;
	struct vfu_client *c;
	int lost; /* what ended the connection, 0: nothing yet */
};

static struct vfu_client *client_of(struct transport *t)
{
	return ((struct transport_vfio_user *)t)->c;
}

/* The client tells once what ended the connection; the driver's callers get one errno for it. */
static int vu_result(struct transport *t, int rc)
{
	struct transport_vfio_user *v = (struct transport_vfio_user *)t;

	if (!rc || vfu_client_fd(v->c) >= 0)
		return rc;
	v->lost = v->lost ? v->lost : rc;
	return -ENOTCONN;
}

static const char *vu_why(struct transport *t)
{
	switch (((struct transport_vfio_user *)t)->lost) {
	case 0:
		return NULL;
	case -ETIMEDOUT:
		return "it does not answer; is its process stopped?";
	case -EPROTO:
		return "it broke the vfio-user protocol";
	default:
		return "its process has ended or closed the connection";
	}
}

static int vu_num_regions(struct transport *t)
{
	struct vfu_client_info info;
	int rc;

	rc = vu_result(t, vfu_client_info(client_of(t), &info));
	return rc ? rc : (int)info.num_regions;
}

static int vu_region_info(struct transport *t, unsigned int region, struct p2p_region_info *info)
{
	struct vfu_client_region r;
	int rc;

	rc = vu_result(t, vfu_client_region_info(client_of(t), region, &r));
	if (rc)
		return rc;
	info->size = r.size;
	info->flags = r.flags;
	info->fd = r.fd;
	info->fd_offset = r.fd_offset;
	if (info->fd >= 0 && !(r.flags & P2P_RGN_MMAP)) {
		close(info->fd);
		info->fd = -1;
	}
	return 0;
}

static int vu_region_read(struct transport *t, unsigned int region, uint64_t off, void *buf, size_t len)
{
	return vu_result(t, vfu_client_region_read(client_of(t), region, off, buf, len));
}

static int vu_region_write(struct transport *t, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	return vu_result(t, vfu_client_region_write(client_of(t), region, off, buf, len));
}

static int vu_irq_set(struct transport *t, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	return vu_result(t, vfu_client_irq_set(client_of(t), index, start, count, fds));
}

static int vu_dma_map(struct transport *t, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot)
{
	return vu_result(t, vfu_client_dma_map(client_of(t), iova, size, fd, fd_offset, prot));
}

static int vu_dma_unmap(struct transport *t, uint64_t iova, uint64_t size)
{
	return vu_result(t, vfu_client_dma_unmap(client_of(t), iova, size));
}

static int vu_dma_unmap_all(struct transport *t)
{
	return vu_result(t, vfu_client_dma_unmap_all(client_of(t)));
}

static int vu_reset(struct transport *t)
{
	return vu_result(t, vfu_client_reset(client_of(t)));
}

static void vu_close(struct transport *t)
{
	vfu_client_close(client_of(t));
	free(t);
}

static const struct transport_ops vfio_user_ops = {
	.num_regions = vu_num_regions,
	.region_info = vu_region_info,
	.region_read = vu_region_read,
	.region_write = vu_region_write,
	.irq_set = vu_irq_set,
	.dma_map = vu_dma_map,
	.dma_unmap = vu_dma_unmap,
	.dma_unmap_all = vu_dma_unmap_all,
	.reset = vu_reset,
	.close = vu_close,
	.why = vu_why,
};

static const char *vu_hint(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "no such socket; is `p2pnic nic --socket` running there?";
	case -ECONNREFUSED:
	case -ENOTSOCK:
		return "nobody listens there; start `p2pnic nic --socket` with this path";
	case -EBUSY:
		return "another driver or VMM is attached; end it first";
	case -EACCES:
	case -EPERM:
		return "no permission for this socket; run as the user that started the NIC";
	case -ETIMEDOUT:
	case -EPROTO:
	case -ENOTCONN:
	case -EPROTOTYPE:
		return "what listens there does not speak vfio-user; give the socket of a NIC (not its .ctl)";
	default:
		return strerror(-rc);
	}
}

int transport_vfio_user_open(struct transport **out, const char *path, char err[DRV_ERR_MAX])
{
	struct vfu_client_config cfg = { .path = path };
	struct transport_vfio_user *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	v->t.ops = &vfio_user_ops;
	rc = vfu_client_open(&cfg, &v->c);
	if (rc) {
		snprintf(err, DRV_ERR_MAX, "%s: %s", path, vu_hint(rc));
		free(v);
		return rc;
	}
	*out = &v->t;
	return 0;
}
