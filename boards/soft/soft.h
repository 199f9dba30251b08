/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The soft board: NICs on host threads.
 *
 *   soft_nic      one NIC: device memory, address map, firmware, ports, config
 *                 space; a PCI function (p2p_function_ops) towards its transport
 *   context       a queue of a NIC: firmware state, plane of device memory, queue of each port
 *   soft_worker   a thread, pinned or not, that steps any number of contexts
 *
 * A context is attached to exactly one worker while that worker runs.  Everything
 * that touches its firmware happens on that worker: soft_nic_call() carries a
 * call there and waits.  A call to a NIC with several contexts runs on the caller's thread
 * while all their workers stand still; so does, under the NIC's lock, one to a NIC on no running worker.
 */
#ifndef BOARDS_SOFT_SOFT_H
#define BOARDS_SOFT_SOFT_H

#include <p2pnic/function.h>
#include <p2pnic/regs.h>
#include <p2pnic/layout.h>
#include <ports/port.h>
#include <sock/sock.h>

#define SOFT_ERR_MAX 256
#define SOFT_NAME_MAX 64
#define SOFT_CORE_ANY (-1)  /* a worker that is not pinned */
#define SOFT_CORE_NONE (-2) /* no worker */
#define SOFT_MEM_DEFAULT (64ull << 20)

struct soft_nic;
struct soft_worker;
struct fault_set;

struct soft_nic_opts {
	const char *name;   /* for people: "nic0"; copied */
	uint64_t mem_bytes; /* BAR2: a power of two, 2 MiB at least; 0: SOFT_MEM_DEFAULT */
	uint32_t buf_size;  /* 2048 (0), 2112, 4096, 9728 */
	unsigned int ports; /* 1-8 */
	unsigned int rx_burst; /* frames that a step takes from a port at most: 32, or 64 (0) */
	unsigned int queues; /* contexts, 1-8; 0: 1.  With several each port has as many, and all memory mapped has a descriptor */
	struct port *port[P2P_MAX_PORTS]; /* open; the NIC starts and stops them, the caller closes them after soft_nic_destroy */
	const struct fault_set *faults;   /* what shall go wrong (<faults/fault.h>), copied; NULL: nothing.  With some it places nothing */
	uint64_t fault_seed;              /* of this NIC among others with the same rules */
	uint8_t mac[P2P_MAX_PORTS][6];    /* all zero: locally administered, made from name and port */
};

/* 0, or -errno with one line in err. */
int soft_nic_create(struct soft_nic **out, const struct soft_nic_opts *opts, char err[SOFT_ERR_MAX]);
/* Detached from its worker first. */
void soft_nic_destroy(struct soft_nic *nic);
const char *soft_nic_name(const struct soft_nic *nic);

/* The PCI function of a NIC: fn is the struct soft_nic. */
extern const struct p2p_function_ops soft_function_ops;

/* Runs fn(nic, arg) at a quiescent point of the NIC and returns what it returns. */
int soft_nic_call(struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg);

/* Everything an observer may know, read without disturbing the worker. */
struct soft_port_stats {
	char name[PORT_NAME_MAX];
	bool link_up;
	enum p2p_placement placement;
	struct port_stats s;
};
struct soft_peer_stats {
	enum p2p_peer_state state;
	uint64_t sent_frames, recv_frames;
};
struct soft_nic_stats {
	char name[SOFT_NAME_MAX];
	const char *state; /* "reset", "configured", "running" */
	enum p2p_mode mode;
	uint32_t index, nics, slots, buf_size;
	uint32_t queues; /* configured, 1 before that; what follows is the sum over them, states are the worst */
	int core[P2P_MAX_QUEUES]; /* of the worker that steps each, or SOFT_CORE_* */
	uint64_t events[P2P_NUM_EVENTS];
	uint64_t drops[P2P_NUM_DROPS];
	uint64_t punts[P2P_NUM_PUNTS];
	unsigned int ports;
	struct soft_port_stats port[P2P_MAX_PORTS];
	struct soft_peer_stats peer[P2P_MAX_NICS];
	uint64_t held; /* frames in hand */
	uint64_t fault_hits; /* of the rules for DMA, bells, NIC and memory */
};
void soft_nic_stats(struct soft_nic *nic, struct soft_nic_stats *out);

/* Workers. */
struct soft_worker_opts {
	int core;  /* pin to it; -1: no pinning */
	bool poll; /* never sleep */
	uint64_t spin_ns; /* idle time before sleeping; 0: the default */
};
int soft_worker_create(struct soft_worker **out, const struct soft_worker_opts *opts, char err[SOFT_ERR_MAX]);
/* Before start or after stop. */
int soft_worker_attach(struct soft_worker *w, struct soft_nic *nic, unsigned int queue);
int soft_worker_detach(struct soft_worker *w, struct soft_nic *nic, unsigned int queue);
/*
 * Something else to step on this thread (bn's host loop).  step returns 0 if it
 * did something, else the time until which it need not run; fd >= 0 wakes it.
 */
int soft_worker_attach_task(struct soft_worker *w, uint64_t (*step)(void *arg, uint64_t now_ns), void *arg, int fd);
int soft_worker_start(struct soft_worker *w);
void soft_worker_stop(struct soft_worker *w);
void soft_worker_destroy(struct soft_worker *w);
/* CPU time that the thread has used, ns. */
uint64_t soft_worker_cpu_ns(const struct soft_worker *w);
/*
 * What the thread did, since it was created; read by anyone at any time.  A loop is busy if something was done in it.
 * Its ticks run on while the machine takes the core away.
 */
struct soft_worker_stats {
	int core; /* pinned to it; -1: not */
	uint64_t loops, busy_loops, busy_ticks;
	uint64_t tick_hz;
	const char *tick; /* "tsc"; "ns" where there is no time-stamp counter at one rate */
};
void soft_worker_stats(const struct soft_worker *w, struct soft_worker_stats *out);
/* The board's clock, CLOCK_MONOTONIC, ns. */
uint64_t soft_now_ns(void);

/*
 * The control socket: a UNIX stream socket at `path`, whose clients sock/sock.h holds to `trust`.
 * One JSON object per line in, one per line out:
 *   {"get":"stats"}   {"nics":[{name, state, mode, queues, cores:[...], p2p_bytes, host_bytes, dma_faults, fault_hits, drops:{reason: n},
 *                      events:{name: n}, ports:[{name, link, placement, placement_why, rx_frames, ...}],
 *                      peers:[{index, state, ...}]}],
 *                     "workers":[{core, loops, busy_loops, busy_cycles, tsc_hz, cycle_unit}]}
 *                     (soft_worker_stats; cycle_unit "tsc" or "ns")
 *   {"get":"regs","nic":"nic0"}  {"nic":"nic0","regs":[{name, offset, bytes, value}]}
 *   {"get":"info"}    {"pid":..., "version":..., "nics":[...], "mode":...}
 *   anything else     {"error":"..."}
 * Never counts as the device's client and never changes anything.
 */
struct soft_ctl;
/* Makes the socket and listens; nobody is answered before soft_ctl_start(), which makes the thread. */
int soft_ctl_create(struct soft_ctl **out, const char *path, const struct sock_trust *trust, char err[SOFT_ERR_MAX]);
int soft_ctl_start(struct soft_ctl *ctl);
int soft_ctl_add(struct soft_ctl *ctl, struct soft_nic *nic);
int soft_ctl_add_worker(struct soft_ctl *ctl, const struct soft_worker *w);
/* Before its end; one that was not added is no error. */
void soft_ctl_remove_worker(struct soft_ctl *ctl, const struct soft_worker *w);
/*
 * Counters of another part of the process that belong to a NIC: an object `key` of its statistics.  read() fills n of them,
 * from the socket's thread.  One set at most; NULL: none any more, and nobody is inside read() when the call returns.
 */
#define SOFT_CTL_MORE_MAX 32
struct soft_ctl_more {
	const char *key;
	const char *const *names;
	unsigned int n; /* up to SOFT_CTL_MORE_MAX */
	void (*read)(void *arg, uint64_t *v);
	void *arg;
};
void soft_ctl_more(struct soft_ctl *ctl, const struct soft_nic *nic, const struct soft_ctl_more *more);
void soft_ctl_destroy(struct soft_ctl *ctl); /* stops its thread, unlinks the path */

#endif
