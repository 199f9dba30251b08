/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a software NIC; for the files of this room alone.
 *
 * THREADS  A context belongs to the worker that it is attached to, or to
 *   whoever holds the NIC's `lock` while no worker runs it.  What the contexts of
 *   a NIC share is read by all their workers and changed by none: a call that
 *   changes it (registers, address map, configuration space, starting and stopping
 *   ports) runs while every worker of the NIC is held between two steps.  So the
 *   packet path takes no lock, and whoever unmaps knows that every context has
 *   passed a quiescent point.  `pub` and the counters are read by anyone (relaxed
 *   atomics).
 */
#ifndef BOARDS_SOFT_INTERNAL_H
#define BOARDS_SOFT_INTERNAL_H

#include <pthread.h>
#include <firmware/fw.h>
#include <firmware/board.h>
#include <faults/fault.h>
#include "soft.h"
#include "clock.h"
#include "memory.h"
#include "iommu.h"
#include "pci_config.h"

#define SOFT_MAX_POSTED 1024 /* a driver writes some hundred registers at most while a step waits for one message after the other */

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
	uint32_t placement[P2P_MAX_PORTS]; /* enum p2p_placement */
	uint32_t peer_state[P2P_MAX_NICS];
	uint64_t peer_sent[P2P_MAX_NICS], peer_recv[P2P_MAX_NICS];
};

/* A queue of a NIC: a firmware context with what it alone uses. */
struct soft_context {
	struct board_ctx ctx; /* first: boards and firmware hand it round */
	struct fw_nic *fw;
	uint64_t (*step)(struct fw_nic *nic); /* fw_step() as compiled for this CPU */
	unsigned int queue;
	int bell_fd[P2P_MAX_NICS];
	int wake_fd;
	void *state; /* board_state() */
	struct soft_fault *fault; /* what shall go wrong; NULL: nothing (fault.c) */
	bool port_started[P2P_MAX_PORTS];
	struct port_region place[P2P_MAX_PORTS]; /* board_place(); size 0: none */
	uint64_t place_bus[P2P_MAX_PORTS];       /* of its map */
	unsigned int guard_hits; /* guard_hits() when translations were last made anew */
	uint32_t events_due;     /* vectors that queue 0's worker has still to signal, a bit each; atomic */

	/* Register writes that arrived within a step; only of a NIC with one context. */
	bool in_step, reset_posted, gate_posted;
	unsigned int num_posted;
	struct soft_posted posted[SOFT_MAX_POSTED];

	uint64_t random[8];
	unsigned int random_left;
	uint64_t random_seed; /* 0: the OS's numbers; else a sequence of one's own (splitmix64), for tests that compare boards */

	struct soft_worker *worker; /* attached to; NULL: none */
	int core;                   /* that the worker is pinned to, SOFT_CORE_*; atomic, for observers */
	struct soft_published pub;
} __attribute__((aligned(P2P_APART_BYTES)));

/* What the contexts share changes only while no worker is in any of them (soft_nic_call()), but for events_due. */
struct soft_nic {
	struct soft_context *context; /* queue q is context[q] */
	unsigned int queues;
	struct fw_nic *fw[P2P_MAX_QUEUES]; /* the same as in the contexts, as fw_reg_read_all() takes them */
	bool bus_master;
	bool mem_on; /* BARs answer; atomic */
	const struct p2p_dma_msg_ops *msg;
	void *msg_opaque;
	int msix_fd[BOARD_NUM_VECTORS];

	unsigned int ports;
	uint32_t buf_size;
	uint64_t mem_bytes;
	struct soft_memory mem; /* its layout changes under mem_lock alone */
	struct soft_iommu iommu;
	struct pci_config cfg;
	void *shared; /* board_shared() */
	char name[SOFT_NAME_MAX];
	pthread_mutex_t lock;
	pthread_rwlock_t mem_lock; /* taken last; held for a copy, never while waiting */
};

static inline struct soft_context *soft_context_of(struct board_ctx *b)
{
	return (struct soft_context *)b;
}

/* One line on stderr, prefixed; for what happens once, never on the packet path. */
void soft_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* nic.c */
void soft_nic_retranslate(struct soft_nic *nic);
void soft_context_publish(struct soft_context *c);
/* Ports whose cables receive into memory mapped in [bus, bus + bytes) stop doing so.  Not within a step. */
void soft_nic_unplace(struct soft_nic *nic, uint64_t bus, uint64_t bytes);
/* One firmware step and what had to wait for its end; as fw_step().  soft_context_run(): whatever its rules. */
uint64_t soft_context_step(struct soft_context *c, uint64_t now_ns);
uint64_t soft_context_run(struct soft_context *c, uint64_t now_ns);
/* Rings, whatever the rules. */
void soft_bell_ring(struct soft_context *c, unsigned int peer);
/* Memory was taken away, of the NIC or of others in this process: what is gone is counted and used no more.  Not within a step. */
void soft_context_hit(struct soft_context *c);
/* About every millisecond. */
void soft_context_control(struct soft_context *c, uint64_t now_ns);
int soft_nic_call_class(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
			enum soft_call_class class);

/* dma.c: as if nothing went wrong.  False: a DMA fault; a read is all ones from there on. */
bool soft_dma_carry_write(struct board_ctx *b, struct board_win *w, uint64_t off, const uint8_t *src, uint32_t len,
			  enum board_kind kind);
bool soft_dma_carry_read(struct board_ctx *b, struct board_win *w, uint64_t off, uint8_t *dst, uint32_t len, enum board_kind kind);

/* fault.c: faults by rule (<faults/fault.h>). */
struct soft_fault {
	struct fault_set own, *set; /* set: own, or one that a test has for several NICs */
	bool local;                 /* some rule is for the NIC's own memory */
	uint64_t skew_ns;           /* that this NIC's clock is ahead */
	uint64_t stall_ns;          /* it stands still until then */
	struct soft_late *head, **tail; /* writes and bells that are late, in their order */
	uint8_t scratch[16384];
};
/* who: of the rules' random numbers.  -ENOMEM. */
int soft_fault_make(struct soft_context *c, const struct fault_set *set, uint64_t who);
void soft_fault_free(struct soft_context *c);
/* DMA of this window has rules to go by. */
static inline bool soft_fault_for(const struct board_ctx *b, const struct board_win *w)
{
	const struct soft_fault *f = ((const struct soft_context *)b)->fault;

	return f && (f->local || !(w->bus & P2P_BUS_LOCAL));
}
bool soft_fault_write(struct board_ctx *b, struct board_win *w, uint64_t off, const uint8_t *src, uint32_t len,
		      enum board_kind kind, uint32_t unit);
bool soft_fault_read(struct board_ctx *b, struct board_win *w, uint64_t off, uint8_t *dst, uint32_t len, enum board_kind kind);
/* True: the bell is taken care of. */
bool soft_fault_bell(struct board_ctx *b, unsigned int peer);
void soft_fault_drop_late(struct soft_context *c);
/* The step of a NIC with faults, in soft_context_step()'s place; now_ns without skew, as what it returns. */
uint64_t soft_fault_step(struct soft_context *c, uint64_t now_ns);
/* Its clock. */
static inline uint64_t soft_fault_clock(const struct soft_context *c, uint64_t now_ns)
{
	return c->fault ? now_ns + c->fault->skew_ns : now_ns;
}
static inline bool soft_fault_memory(struct soft_context *c)
{
	return c->fault && fault_now(c->fault->set, FAULT_FAIL, FAULT_ON_MEMORY);
}

/* function.c */
int soft_function_init(struct soft_nic *nic);
void soft_function_fini(struct soft_nic *nic);
/* As after power-on, bus mastering off; maps and eventfds, which are the client's, stay. */
void soft_function_reset(struct soft_nic *nic);
/* Adds one to an eventfd (-1: none); never blocks, whoever else holds it (sock/bell.h). */
void soft_event_signal(int fd);

/* worker.c */
bool soft_worker_is_self(const struct soft_worker *w);
bool soft_worker_is_running(struct soft_worker *w);
/* -ENOTCONN: the worker does not run, nothing was done. */
int soft_worker_call(struct soft_worker *w, struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
		     enum soft_call_class class, int *result);
/* On the worker's own thread, within a step of `nic`: what may run now. */
void soft_worker_serve(struct soft_worker *w, struct soft_nic *nic);
/* Device memory was written: a worker that sleeps looks. */
void soft_worker_nudge(struct soft_worker *w);
/*
 * The worker stands still between two steps from the return of the first until
 * the second.  One holder at a time in a process.  -ENOTCONN: it does not run.
 */
int soft_worker_hold(struct soft_worker *w);
void soft_worker_release(struct soft_worker *w);

#endif
