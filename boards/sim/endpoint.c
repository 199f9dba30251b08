/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine.h"
#include "internal.h"

#define RCB_ENDPOINT 128              /* PCI Express Base Specification, 2.3.1.1: all but root complexes */
#define READ_TIMEOUT_PS 10000000000ull /* within the default range of 50 us to 50 ms (Device Capabilities 2) */

void sim_profile_endpoint(const struct sim_nic_profile *p, uint64_t base, uint64_t bytes, struct fab_ep_cfg *cfg)
{
	*cfg = (struct fab_ep_cfg){
		.base = base, .bytes = bytes, .tags = (uint32_t)p->tags, .mrrs = (uint32_t)p->mrrs, .rcb = RCB_ENDPOINT,
		.read_latency_ps = sim_ps(p->mem_read_latency), .read_gap_ps = sim_ps(p->mem_read_gap),
		.write_gap_ps = sim_ps(p->mem_write_gap), .read_bytes_per_s = p->mem_rate * 1e9,
		.write_bytes_per_s = p->mem_rate * 1e9, .timeout_ps = READ_TIMEOUT_PS,
		.latency_ps = sim_ps(p->pcie_latency),
	};
}

void sim_profile_link(const struct sim_nic_profile *p, struct fab_link_cfg *cfg)
{
	if (p->pcie_gen < 1) {
		*cfg = (struct fab_link_cfg){ .mps = (uint32_t)p->mps, .dllp = FAB_DLLP_SHARE };
		return;
	}
	fab_link_cfg_init(cfg, (unsigned int)p->pcie_gen, (unsigned int)p->pcie_width);
	cfg->mps = (uint32_t)p->mps;
	cfg->bit_error_rate = p->bit_error_rate;
	if (p->dllp_share >= 0) {
		cfg->dllp = FAB_DLLP_SHARE;
		cfg->dllp_share = p->dllp_share;
	} else {
		cfg->dllp = FAB_DLLP_SPEC;
	}
}
