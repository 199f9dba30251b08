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

#define EXP_DMA_TESTS(X) \
	X(WRITE, "write", "Gb/s of writes") \
	X(READ, "read", "Gb/s of reads") \
	X(BOTH, "both", "Gb/s of writes, and of reads as many") \
	X(READ_LATENCY, "read-latency", "median ns of a read") \
	X(WRITE_READ_LATENCY, "write-read-latency", "median ns of a write and a read after it")

enum exp_dma_test {
#define X(name, text, desc) EXP_DMA_##name,
	EXP_DMA_TESTS(X)
#undef X
	EXP_DMA_NUM_TESTS
};

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
	double per_s;      /* requests per second */
	double latency_ns; /* latency tests */
};

/* 0, or -errno with one line in err. */
int exp_dma_run(const struct exp_dma_cfg *cfg, struct exp_dma_result *out, char err[FAB_ERR_MAX]);

#endif
