/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "rig.h"

void rig_profile(struct sim_nic_profile *p)
{
	*p = (struct sim_nic_profile){
		.step_rx = 60, .step_lookup = 20, .step_learn = 20, .step_reserve = 40, .step_csum_word = 4,
		.step_dma_issue = 30, .step_poll_ring = 10, .step_check = 30, .step_scrub_word = 4, .step_complete = 20,
		.step_poll_comp = 10, .step_tx = 40,
		.clock_mhz = 1200, .workers = 54, .work_latency = 500, .poll = 50,
		.dma_write_gap = 20, .dma_read_gap = 18, .dma_overhead = 4, .dma_byte = 0.12,
		.dma_write_latency = 200, .dma_read_latency = 200, .dma_writes = 64, .dma_reads = 64,
		.dma_read_bytes = 65536, .mem_write_gap = 4, .mem_read_gap = 4, .mem_read_latency = 150, .mem_rate = 12,
		.local_rate = 12, .mac_gbps = 40, .mac_rx = 200, .mac_tx = 200, .mac_fifo = 65536,
		.pcie_gen = 3, .pcie_width = 8, .mps = 256, .mrrs = 512, .tags = 64, .pcie_latency = 100,
		.dllp_share = -1, .slots = 512, .rx_bufs = 1024,
	};
}

static int rig_build(struct rig *r)
{
	struct fab_switch_cfg sw = { .latency_ps = 100000 };
	struct fw_strap strap = { .ports = r->ports, .buf_size = 2048, .mem_bytes = 64u << 20 };
	char name[32];
	unsigned int i, p;
	int rc;

	rc = fab_add_switch(sim_world_fabric(r->w), "switch", NULL, NULL, &sw, &r->sw, r->err);
	for (i = 0; !rc && i < r->nics; i++) {
		for (p = 0; !rc && p < r->ports; p++) {
			snprintf(name, sizeof(name), "nic%u.%u", i, p);
			rc = sim_mac_create(r->w, &r->prof, name, &r->mac[i][p]);
		}
		snprintf(name, sizeof(name), "nic%u", i);
		if (!rc)
			rc = sim_nic_create(r->w, name, &r->prof, r->sw, &strap, r->mac[i], &r->nic[i], r->err);
	}
	return rc ? rc : fab_finish(sim_world_fabric(r->w), r->err);
}

int rig_up(struct rig *r, unsigned int nics, unsigned int ports, enum p2p_mode mode)
{
	struct sim_pair pair[RIG_MAX_NICS * RIG_MAX_PORTS];
	unsigned int i, n = 0;
	int rc;

	r->nics = nics;
	r->ports = ports;
	r->mesh.mode = mode;
	if (!r->mesh.slots)
		r->mesh = (struct sim_mesh_cfg){ .mode = mode, .batch = 8, .stride = 64, .slots = (uint32_t)r->prof.slots,
						 .rx_bufs = (uint32_t)r->prof.rx_bufs };
	r->w = sim_world_create(1);
	if (!r->w)
		return -1;
	rc = rig_build(r);
	for (i = 0; i < nics * ports; i++, n++)
		pair[n] = (struct sim_pair){ i / ports, i % ports, (i / ports) ^ 1, i % ports };
	if (!rc)
		rc = sim_mesh_up(r->w, r->nic, nics, &r->mesh, pair, n, NULL, r->err);
	if (!rc)
		rc = sim_mesh_wait(r->w, r->nic, nics, NULL, 1000000000, r->err);
	if (rc)
		fprintf(stderr, "%s\n", r->err);
	return rc;
}

void rig_down(struct rig *r)
{
	unsigned int i, p;

	sim_world_destroy(r->w);
	for (i = 0; i < r->nics; i++)
		for (p = 0; p < r->ports; p++)
			sim_mac_destroy(r->mac[i][p]);
	memset(r, 0, sizeof(*r));
}

void rig_source(struct rig *r, unsigned int nic, unsigned int port, uint32_t frame_bytes, double gbps, uint64_t frames)
{
	struct sim_source s = { .gbps = gbps, .frame_bytes = frame_bytes, .flows = 4, .id = (uint16_t)(nic * 16 + port),
				.stop_ps = FAB_NEVER, .max_frames = frames, .dst = { 2, 0, 0, 0, 1 }, .src = { 2, 0, 0, 0, 2 } };

	sim_mac_source(r->mac[nic][port], &s);
}

void rig_run(struct rig *r, uint64_t ns)
{
	sim_world_run(r->w, fab_now(sim_world_queue(r->w)) + ns * 1000);
}
