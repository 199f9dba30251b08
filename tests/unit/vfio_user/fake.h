/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function for the tests of vfio_user/: a configuration space, 64 KiB of
 * registers that only remember, two segments of device memory and one worker.
 *
 * Calls of the function and the worker exclude each other by one lock, which the
 * worker holds while it waits for a DMA message: so a server that called the
 * function meanwhile, without serve(), would lock up.
 *
 * DMA is asked for by registers: iova, length, then the command; its result is
 * there when `done` has gone up.
 */
#ifndef TEST_FAKE_H
#define TEST_FAKE_H

#include <pthread.h>

#include <boards/soft/pci_config.h>
#include <p2pnic/function.h>

#define FAKE_BAR0_BYTES 0x10000u
#define FAKE_SEG_BYTES 0x10000u
#define FAKE_SEGS 2u
#define FAKE_BAR2_BYTES 0x200000u
#define FAKE_VECTORS 8u
#define FAKE_MAX_MAPS 8u

/* Registers in BAR0; the rest is memory. */
#define FAKE_IOVA 0x100
#define FAKE_LEN 0x108
#define FAKE_COMMAND 0x10c /* 1: read into FAKE_DATA, 2: write from there */
#define FAKE_RESULT 0x110
#define FAKE_DONE 0x114
#define FAKE_FIRE 0x118 /* fires the vector written */
#define FAKE_DATA 0x1000

struct fake_map {
	uint64_t iova, size, offset;
	int fd; /* -1: by message */
	uint32_t prot;
};

struct fake {
	struct p2p_function_ops ops;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t worker;
	bool quit;
	struct pci_config cfg;
	uint8_t bar0[FAKE_BAR0_BYTES];
	int seg_fd[FAKE_SEGS];
	uint8_t *seg[FAKE_SEGS];
	struct fake_map maps[FAKE_MAX_MAPS];
	unsigned int num_maps;
	int irq_fd[FAKE_VECTORS];
	int bell_fd;
	const struct p2p_dma_msg_ops *dma;
	void *dma_opaque;
	uint32_t command; /* DMA that the worker has still to do */
	unsigned int dma_done;
	int sigbus_blocked; /* of who read a region last */
	int dma_result; /* of the last */
	unsigned int attached, detached, resets, triggers;
};

int fake_init(struct fake *f);
void fake_fini(struct fake *f);
/* Waits, for seconds at most, until *counter (of f, under its lock) is at least n. */
bool fake_wait(struct fake *f, const unsigned int *counter, unsigned int n);

#endif
