/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "driver/drv.h"

/* Receive buffers per slot that a mode likes best: in rd they stay occupied until the egress has read. */
static uint32_t shape_rx_factor(enum p2p_mode mode)
{
	return mode == P2P_MODE_RD ? 4 : 2;
}

static bool shape_fits(struct p2p_shape *shapes, const uint64_t *mem_bytes, unsigned int n, uint32_t slots,
		       uint32_t rx_bufs, unsigned int *short_nic)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		shapes[i].slots = slots;
		shapes[i].rx_bufs = rx_bufs;
		if (p2p_memory_needed(&shapes[i]) > mem_bytes[i]) {
			*short_nic = i;
			return false;
		}
	}
	return true;
}

static uint32_t shape_round_down(uint32_t v)
{
	return v ? 1u << (31 - __builtin_clz(v)) : 0;
}

int drv_shape_choose(struct p2p_shape *shapes, const uint64_t *mem_bytes, unsigned int n, const struct drv_opts *o,
		     unsigned int *short_nic, char err[DRV_ERR_MAX])
{
	uint32_t slots, factor;

	if (o->slots < P2P_MIN_SLOTS || o->slots > P2P_MAX_SLOTS) {
		snprintf(err, DRV_ERR_MAX, "slots %u: give %u to %u", o->slots, P2P_MIN_SLOTS, P2P_MAX_SLOTS);
		return -EINVAL;
	}
	for (slots = shape_round_down(o->slots); slots >= P2P_MIN_SLOTS; slots /= 2) {
		if (o->rx_bufs) {
			if (shape_fits(shapes, mem_bytes, n, slots, o->rx_bufs, short_nic))
				return 0;
			continue;
		}
		for (factor = shape_rx_factor(o->mode); factor; factor /= 2)
			if (shape_fits(shapes, mem_bytes, n, slots, factor * slots, short_nic))
				return 0;
	}
	snprintf(err, DRV_ERR_MAX,
		 "device memory of %" PRIu64 " KiB is too small: %u NICs, %u ports and %u slots of %u bytes need %" PRIu64
		 " KiB%s; give the NIC more with --mem",
		 mem_bytes[*short_nic] >> 10, shapes[*short_nic].nics, shapes[*short_nic].ports, P2P_MIN_SLOTS,
		 shapes[*short_nic].buf_size, p2p_memory_needed(&shapes[*short_nic]) >> 10,
		 o->route ? ", routing area included (--route-mem)" : "");
	return -ENOSPC;
}
