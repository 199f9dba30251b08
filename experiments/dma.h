/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A profile's DMA engine against main memory, with nothing of firmware or
 * Ethernet: what pcie-bench measures on real devices, so that the two can be
 * laid side by side.
 *
 * The device is plugged straight into the root complex.  Bandwidth: as many
 * requests as the engine takes, at random places of a window in main memory,
 * aligned to the request's size rounded up to 64.  Latency: one request at a
 * time, its median; a write followed by a read of the same place counts from the
 * write's submission to the read's end.
 *
 * Source: pcie-bench (SIGCOMM 2018), tests BW_DMA_*, LAT_DMA_*.
 */
#ifndef EXPERIMENTS_DMA_H
#define EXPERIMENTS_DMA_H

#include <boards/sim/profile.h>
#include <fabric/fabric.h>

enum exp_dma_test {
	EXP_DMA_WRITE,              /* Gb/s of writes */
	EXP_DMA_READ,               /* Gb/s of reads */
	EXP_DMA_BOTH,               /* Gb/s of writes, while as many reads go on */
	EXP_DMA_READ_LATENCY,       /* median ns of a read */
	EXP_DMA_WRITE_READ_LATENCY, /* median ns of a write and a read after it */
	EXP_DMA_NUM_TESTS
};

static inline bool exp_dma_is_latency(enum exp_dma_test test)
{
	return test >= EXP_DMA_READ_LATENCY;
}

struct exp_dma_cfg {
	const struct sim_nic_profile *nic;
	const struct sim_host_profile *host;
	enum exp_dma_test test;
	uint32_t bytes;        /* of a request, 1-4096 */
	uint64_t window_bytes; /* of main memory, at least 4096 */
	uint32_t requests;     /* measured, after a quarter as many of warm-up */
	uint64_t seed;
};

struct exp_dma_result {
	double gbps;       /* bandwidth tests */
	double latency_ns; /* latency tests */
};

/* 0, or -errno with one line in err. */
int exp_dma_run(const struct exp_dma_cfg *cfg, struct exp_dma_result *out, char err[FAB_ERR_MAX]);

#endif
