/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a software NIC; for the files of this room alone.
 *
 * THREADS  Everything in struct soft_nic belongs to the worker that owns the
 *   NIC, or to whoever holds `lock` while no worker runs it.  `pub` and the
 *   counters are read by anyone (relaxed atomics).
 */
#ifndef BOARDS_SOFT_INTERNAL_H
#define BOARDS_SOFT_INTERNAL_H

#include <pthread.h>
#include <firmware/fw.h>
#include <firmware/board.h>
#include "soft.h"
#include "clock.h"
#include "memory.h"
#include "iommu.h"
#include "pci_config.h"

#define SOFT_MAX_POSTED 64

/* When a call may run while a firmware step of the same NIC waits for message DMA. */
enum soft_call_class {
	SOFT_CALL_QUIESCENT, /* after the step */
	SOFT_CALL_ANYTIME,   /* within it as well */
};

struct soft_posted {
	uint32_t off, bytes;
	uint64_t value;
};

/* What observers see of the worker's own variables. */
struct soft_published {
	uint32_t running, configured, mode, index, nics, slots, buf_size;
	uint64_t held;
	uint32_t link[P2P_MAX_PORTS];
	uint32_t peer_state[P2P_MAX_NICS];
	uint64_t peer_sent[P2P_MAX_NICS], peer_recv[P2P_MAX_NICS];
};

struct soft_nic {
	struct board_ctx ctx;
	struct fw_nic *fw;
	bool bus_master;
	const struct p2p_dma_msg_ops *msg;
	void *msg_opaque;
	int bell_fd[P2P_MAX_NICS];
	int wake_fd;
	int msix_fd[BOARD_NUM_VECTORS];
	void *state; /* board_state() */

	unsigned int ports;
	bool port_started[P2P_MAX_PORTS];
	uint32_t buf_size;
	uint64_t mem_bytes;
	struct soft_memory mem;
	struct soft_iommu iommu;
	struct pci_config cfg;
	char name[SOFT_NAME_MAX];

	/* Register writes that arrived within a step. */
	bool in_step, reset_posted;
	unsigned int num_posted;
	struct soft_posted posted[SOFT_MAX_POSTED];

	uint64_t random[8];
	unsigned int random_left;
	uint64_t random_seed; /* 0: the OS's numbers; else a sequence of one's own (splitmix64), for tests that compare boards */

	struct soft_worker *worker; /* attached to; NULL: none */
	pthread_mutex_t lock;
	struct soft_published pub;
};

/* One line on stderr, prefixed; for what happens once, never on the packet path. */
void soft_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* nic.c */
void soft_nic_retranslate(struct soft_nic *nic);
void soft_nic_publish(struct soft_nic *nic);
/* One firmware step and what had to wait for its end; as fw_step(). */
uint64_t soft_nic_step(struct soft_nic *nic, uint64_t now_ns);
/* About every millisecond. */
void soft_nic_control(struct soft_nic *nic, uint64_t now_ns);
int soft_nic_call_class(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
			enum soft_call_class class);

/* function.c */
int soft_function_init(struct soft_nic *nic);
void soft_function_fini(struct soft_nic *nic);
/* As after power-on, bus mastering off; maps and eventfds, which are the client's, stay. */
void soft_function_reset(struct soft_nic *nic);
/* Adds one to an eventfd (-1: none); never blocks. */
void soft_event_signal(int fd);

/* worker.c */
bool soft_worker_is_self(const struct soft_worker *w);
bool soft_worker_is_running(struct soft_worker *w);
/* -ENOTCONN: the worker does not run, nothing was done. */
int soft_worker_call(struct soft_worker *w, struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
		     enum soft_call_class class, int *result);
/* On the worker's own thread, within a step of `nic`: what may run now. */
void soft_worker_serve(struct soft_worker *w, struct soft_nic *nic);

#endif
