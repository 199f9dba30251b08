/* SPDX-License-Identifier: BSD-3-Clause */
/* A host and MACs with traffic, for the tests of forwarders on a host. */
#ifndef TESTS_UNIT_SIM_HOST_RIG_H
#define TESTS_UNIT_SIM_HOST_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <boards/sim/host.h>

#define RIG_MAX_PORTS 8
#define RIG_NS FAB_PS_PER_NS
#define RIG_US (1000 * RIG_NS)
#define RIG_MS (1000 * RIG_US)

struct rig {
	struct sim_world *w;
	struct sim_nic_profile nic;
	struct sim_host_profile host;
	struct sim_host *h;
	struct port *mac[RIG_MAX_PORTS];
	unsigned int macs;
	char err[FAB_ERR_MAX];
};

/* Fast NICs and a fast host: nothing limits unless a test says so. */
static inline void rig_profiles(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	sim_nic_profile_zero(&r->nic);
	r->nic.slots = 256;
	r->nic.rx_bufs = 512;
	r->nic.mac_gbps = 40;
	r->nic.mac_fifo = 64 << 10;
	r->nic.pcie_gen = 4;
	r->nic.pcie_width = 16;
	r->nic.mps = 256;
	r->nic.mrrs = 512;
	r->nic.tags = 256;
	r->nic.dma_reads = 64;
	r->nic.dma_read_bytes = 64 << 10;
	r->nic.dma_writes = 64;
	r->nic.dma_write_latency = 50;
	r->nic.dma_read_latency = 50;
	r->nic.pcie_latency = 50;
	r->nic.clock_mhz = 1000;
	r->nic.workers = 40;
	r->nic.step_rx = r->nic.step_tx = r->nic.step_dma_issue = 40;
	r->nic.poll = 20;
	r->host = (struct sim_host_profile){
		.core_mhz = 3000, .cores = 4, .pcie_gen = 4, .rc_latency = 100, .rc_p2p_latency = 100, .rcb = 64,
		.channels = 4, .channel_rate = 25.6, .mem_latency = 80, .ddio = 1, .llc_latency = 20,
		.mmio_write = 20, .poll_cycles = 30, .batch_cycles = 60, .bn_cycles = 20, .testpmd_cycles = 40,
		.l3fwd_cycles = 60, .byte_cycles = 0.25, .batch = 8, .queues = 4, .ring = 512,
	};
}

static inline void rig_host(struct rig *r)
{
	r->w = sim_world_create(1);
	assert_non_null(r->w);
	if (sim_host_create(r->w, "host", &r->host, &r->h, r->err))
		fail_msg("%s", r->err);
}

static inline struct port *rig_mac(struct rig *r)
{
	assert_int_equal(sim_mac_create(r->w, &r->nic, "mac", &r->mac[r->macs]), 0);
	return r->mac[r->macs++];
}

static inline void rig_source(struct rig *r, unsigned int mac, uint32_t frame_bytes, double gbps, uint64_t max_frames)
{
	struct sim_source s = { .gbps = gbps, .frame_bytes = frame_bytes, .flows = 16, .id = (uint16_t)(4 * mac),
				.start_ps = fab_now(sim_world_queue(r->w)) + RIG_US, .stop_ps = FAB_NEVER,
				.max_frames = max_frames, .dst = { 2, 0, 0, 0, 0, 1 }, .src = { 2, 0, 0, 0, 0, 2 } };

	sim_mac_source(r->mac[mac], &s);
}

static inline void rig_run(struct rig *r, uint64_t for_ps)
{
	sim_world_run(r->w, fab_now(sim_world_queue(r->w)) + for_ps);
}

static inline uint64_t rig_offered(const struct rig *r, unsigned int mac, uint64_t *missed)
{
	uint64_t frames, none;

	sim_mac_offered(r->mac[mac], &frames, missed ? missed : &none);
	return frames;
}

/* Everything that came out of a port is what some source sent, in order. */
static inline uint64_t rig_sent(const struct rig *r, unsigned int mac)
{
	struct sim_sink_stats s;

	sim_mac_sink(r->mac[mac], &s);
	assert_int_equal(s.corrupted, 0);
	assert_int_equal(s.reordered, 0);
	assert_int_equal(s.duplicated, 0);
	return s.frames;
}

/* After forwarder and NICs. */
static inline void rig_destroy(struct rig *r)
{
	unsigned int k;

	sim_host_destroy(r->h);
	sim_world_destroy(r->w);
	for (k = 0; k < r->macs; k++)
		sim_mac_destroy(r->mac[k]);
}

static inline void rig_close(double got, double want, double share)
{
	if (got < want * (1 - share) || got > want * (1 + share))
		fail_msg("%g is not within %g%% of %g", got, 100 * share, want);
}

#endif
