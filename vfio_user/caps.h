/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The JSON of the VERSION message ("VFIO_USER_VERSION", table of capabilities).
 */
#ifndef VFIO_USER_CAPS_H
#define VFIO_USER_CAPS_H

#include "proto.h"

#define VFU_CAP_MAPS_COMPLETE "p2pnic_maps_complete"

struct vfu_caps {
	uint32_t max_msg_fds;
	uint32_t max_data_xfer; /* bytes */
	uint32_t max_dma_maps;
	uint64_t pgsizes; /* or'ed */
	bool write_multiple;
	bool maps_complete; /* ours: whatever DMA may reach is announced by DMA_MAP; what is not is refused */
};

/* What holds for an end that says nothing. */
void vfu_caps_default(struct vfu_caps *caps);

/*
 * json: len bytes of the other end's, its terminating NUL included; len 0 means
 * that it said nothing.  What is not named keeps its default; what we don't know
 * is passed over.  -EINVAL: no NUL, not JSON, not an object, or a value of the
 * wrong type or out of range.
 */
int vfu_caps_parse(const char *json, size_t len, struct vfu_caps *caps);

/* Writes JSON with its NUL; *len counts both.  Flags are named only if true.  -ENOSPC, -ENOMEM. */
int vfu_caps_format(const struct vfu_caps *caps, char *buf, size_t size, size_t *len);

#endif
