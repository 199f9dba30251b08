/* SPDX-License-Identifier: BSD-3-Clause */
#include "profile.h"

void sim_nic_profile_zero(struct sim_nic_profile *p)
{
	struct sim_nic_profile zero = {
		.workers = 1, .dma_writes = 4096, .dma_reads = 4096, .dma_read_bytes = 1e9, .mps = 4096, .mrrs = 4096,
		.tags = 1024, .slots = p->slots, .rx_bufs = p->rx_bufs,
	};

	*p = zero;
}
