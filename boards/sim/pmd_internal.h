/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The poll-mode model: what its NICs (pmd_nic.c) and its cores (pmd.c) share.
 *
 * Main memory, one area:
 *
 *   receive rings      per ingress queue; the NIC writes, the core reads; the watched part
 *   free rings         per ingress queue; the core writes empty buffers, the NIC fetches
 *   send rings         per (egress port, core); the core writes, the NIC fetches
 *   completion lines   per send ring, 64 bytes apart; the NIC writes how far it has read
 *   buffers            as an rte_mempool has them: header, headroom, data
 *
 * All rings have `ring` descriptors.  Indexes run freely; a descriptor is valid when its seq is its index + 1.
 *
 * A NIC's BAR: 8-byte doorbells, free-running counts; send rings at 0, free rings at PMD_FREE_BELLS.
 */
#ifndef BOARDS_SIM_PMD_INTERNAL_H
#define BOARDS_SIM_PMD_INTERNAL_H

#include "engine.h"
#include "host_internal.h"

#define PMD_MAX_NICS P2P_MAX_NICS
#define PMD_TX_BUFS 256 /* frames of a port between DMA read and cable */
#define PMD_RX_BURST 32
#define PMD_FREE_BELLS (64u << 10)
#define PMD_BAR_BYTES (128u << 10)
#define PMD_BAR_BASE (1ull << 47) /* beyond other NICs' */
#define PMD_MBUF_HEAD 256u /* rte_mbuf, 128 bytes, and its headroom */
#define PMD_FLUSH_PS (1000 * FAB_PS_PER_NS) /* a receive descriptor waits no longer to be written back */
#define PMD_BUSY_WRITES 16 /* nor at all if fewer frames are being written */

struct pmd_desc {
	le64 addr; /* bus address of the frame or empty buffer */
	le32 len;
	le32 seq;
};
_Static_assert(sizeof(struct pmd_desc) == 16, "descriptor is 16 bytes");
_Static_assert(offsetof(struct pmd_desc, seq) == 12, "seq is last");

struct sim_pmd_nic;
struct pmd_port;
struct pmd_fetch;

/* A request of a NIC's that carries descriptors or a line; from the NIC's pool. */
struct pmd_op {
	struct sim_dma dma;
	struct pmd_op *next, *made;
	struct sim_pmd_nic *nic;
	struct pmd_fetch *fetch; /* read: whose descriptors */
	uint32_t count;
	bool done;
	le32 line[4];
};

/* A ring that a NIC reads, as far as it has: got <= asked <= bell. */
struct pmd_fetch {
	uint64_t bus;
	struct pmd_desc *copy; /* the NIC's */
	uint32_t bell, asked, got;
	struct pmd_op *first, *last; /* reads under way, in order */
	struct pmd_port *port;
	struct pmd_txq *txq; /* NULL: a free ring */
};

/* An ingress queue. */
struct pmd_rxq {
	/* the NIC's */
	struct pmd_fetch free;
	uint32_t used; /* of the free ring */
	struct pmd_desc *back; /* descriptors being written back, slot for slot */
	uint64_t bus;
	uint32_t prod, told;
	uint64_t since_ps, ready_ps; /* oldest descriptor not written back; its payload's submission */
	bool dirty;
	struct pmd_rxq *next_dirty;
	/* the core's */
	struct pmd_core *core;
	const struct pmd_desc *ring;
	struct pmd_desc *free_ring;
	uint32_t cons, free_prod, free_told;
	uint64_t free_bell_bus;
	struct pmd_txq *to;
};

/* A frame on its way out; slot for slot of its send ring. */
struct pmd_txq {
	/* the NIC's */
	struct pmd_fetch fetch;
	uint32_t next, sent, told;
	struct pmd_txbuf **slot;
	uint64_t line_bus;
	bool waiting; /* in its port's list: for a buffer */
	struct pmd_txq *next_waiting;
	/* the core's */
	struct pmd_desc *ring;
	const le32 *line;
	uint32_t *buf;
	uint32_t prod, cons;
	uint64_t bell_bus;
};

struct pmd_txbuf {
	struct sim_dma dma;
	struct pmd_txbuf *next;
	struct pmd_txq *txq;
	uint32_t len;
	bool there, lost;
	uint8_t *data;
};

struct pmd_rxbuf {
	struct sim_dma dma;
	struct pmd_port *port;
	uint8_t *data;
};

struct pmd_port {
	struct sim_pmd_nic *nic;
	struct port *mac;
	unsigned int index; /* of all ports of the forwarder */
	int to;             /* the same, of its egress; -1: none */
	/* receive */
	struct pmd_rxbuf *rx;
	uint32_t *free;
	uint32_t nfree, posted;
	struct pmd_rxq *rxq; /* queues */
	/* send */
	struct pmd_txbuf *tx, *tx_free;
	struct pmd_txbuf *out_first, **out_last; /* in the MAC, in order */
	struct pmd_txq *txq; /* cores */
	struct pmd_txq *wait_first, **wait_last;
	bool full;    /* the MAC took no more */
	bool issuing; /* reads are being submitted; they may finish at once */
	bool chain;   /* receive: in the middle of a frame that is longer than a buffer */
	uint8_t *mem;
	uint64_t mem_bytes;
};

struct sim_pmd_nic {
	struct sim_pmd *pmd;
	struct sim_nic_profile prof;
	struct fab_node *node;
	struct sim_engine *engine;
	struct fab_event event;
	uint64_t bar;
	unsigned int ports;
	struct pmd_port *port[P2P_MAX_PORTS];
	double ps_per_cycle; /* of all workers together */
	uint64_t poll_ps, latency_ps;
	uint64_t work_until_ps; /* workers are busy until then */
	uint64_t work_ps;
	uint64_t time_ps;       /* what the MACs are told the time is */
	uint32_t writing;       /* frames being written to main memory */
	struct pmd_rxq *dirty;
	struct pmd_op *ops_free, *ops_made;
};

struct pmd_core {
	struct sim_pmd *pmd;
	struct fab_event event;
	struct pmd_rxq **streams;
	unsigned int n, at;
	bool busy;
	uint64_t idle_ps, poll_ps, busy_until_ps;
	struct sim_post *first, **last;
	uint32_t *bufs; /* free ones, a stack */
	uint32_t nbufs;
	struct sim_cpu_stats stats;
};

struct sim_pmd {
	struct sim_host *h;
	struct fab_queue *q;
	enum sim_pmd_app app;
	unsigned int num_nics, num_ports;
	struct sim_pmd_nic *nic[PMD_MAX_NICS];
	struct pmd_port *port[PMD_MAX_NICS * P2P_MAX_PORTS];
	unsigned int queues, batch, num_cores;
	uint32_t ring, buf_bytes, buf_stride;
	struct pmd_core *core;
	uint64_t bus, rings_bytes, buf_bus;
	uint8_t *mem;
	uint64_t drops, reset_ps;
	bool started;
};

static inline uint32_t pmd_mask(const struct sim_pmd *p)
{
	return p->ring - 1;
}

/* The part of [from, from + n) that does not wrap. */
static inline uint32_t pmd_straight(const struct sim_pmd *p, uint32_t from, uint32_t n)
{
	uint32_t room = p->ring - (from & pmd_mask(p));

	return n < room ? n : room;
}

int pmd_nic_create(struct sim_pmd *p, const char *name, const struct sim_nic_profile *prof, struct fab_node *parent,
		   struct port *const *ports, unsigned int num_ports, struct sim_pmd_nic **out, char err[FAB_ERR_MAX]);
void pmd_nic_destroy(struct sim_pmd_nic *nic);
/* Rings have their places: ports begin. */
int pmd_nic_start(struct sim_pmd_nic *nic);

#endif
