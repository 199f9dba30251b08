/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI Express fabric at transaction level, in virtual time.
 *
 *                 root complex ---- main memory (channels), IOMMU
 *                  |        |
 *               switch    endpoint      every line is a link: two directions,
 *               |    |                  each with its own credits
 *        endpoint   switch ...
 *
 * The fabric knows nothing of NICs: an endpoint is memory that others reach at
 * bus addresses, and a requester that writes and reads.  A fabric is a tree; its
 * root is a root complex or, with no host at all, a switch.
 *
 * WHAT IS MODELLED  (sizes and times; the code that does it names the section)
 *   TLPs       memory writes (posted), memory reads (non-posted), completions with
 *              data; header, framing, sequence number and LCRC bytes; data in
 *              double words; split at MPS, MRRS, RCB and 4 KiB boundaries
 *   links      Gen1-Gen6, x1-x16: 8b/10b, 128b/130b, FLIT mode (236 of 256 bytes);
 *              propagation; ACK and flow-control DLLPs as a share of the other
 *              direction; credits of the receiver by class, header and data;
 *              bit errors, NAKs and replays
 *   ordering   posted pass everything that is blocked; completions and reads don't
 *              overtake posted; completions pass reads
 *   switches   cut-through, a queue per (input, output, class), round robin over
 *              inputs; any number of ports within the lane budget
 *   root       forwards between its ports if it may, completes accesses to main
 *              memory through the memory controller, translates if it has an IOMMU
 *   losses     a lossy component drops what it can't buffer instead of holding it
 *              up, or a share of all TLPs; reads then time out
 *
 * PAYLOAD  A write's bytes are read from their source when its TLP leaves the
 *   requester and are stored at the target when that has arrived whole; a read's
 *   bytes are read at the completer and stored when the last completion is in.
 *   A NULL data pointer moves no bytes and costs all the same.
 *
 * TIME  picoseconds.  Latencies of zero and rates of zero (= infinite) are legal:
 *   such a path carries everything within the same instant.
 *
 * ERRORS  Building returns 0 or -EINVAL with one line in err.  Running can't fail: what goes to an address that
 *   nobody claims is counted (unsupported), a write to it vanishes, a read brings all ones.
 *
 * Source: PCI Express Base Specification (TLP formats, ordering rules table,
 *   flow control, FLIT mode); the bandwidth model published with pcie-bench.
 */
#ifndef FABRIC_FABRIC_H
#define FABRIC_FABRIC_H

#include "event.h"

#define FAB_ERR_MAX 256
#define FAB_NAME_MAX 48
#define FAB_MAX_PORTS 64     /* of a switch or root complex */
#define FAB_MAX_NODES 512

/* TLP classes: flow control and ordering. */
enum fab_class { FAB_POSTED, FAB_NONPOSTED, FAB_COMPLETION, FAB_NUM_CLASSES };
enum fab_type { FAB_MWR, FAB_MRD, FAB_CPLD, FAB_CPL, FAB_NUM_TYPES };

struct fabric;
struct fab_node;

/* ---- what a link is ---- */
/* 0 credits: infinite (not advertised as a limit). */
struct fab_credits {
	uint32_t hdr[FAB_NUM_CLASSES];
	uint32_t data_bytes[FAB_NUM_CLASSES]; /* whole 16-byte credits are taken of them */
};
enum fab_dllp {
	FAB_DLLP_SPEC,  /* an ACK and an UpdateFC as often as the specification's timers ask, as in pcie-bench's model */
	FAB_DLLP_SHARE, /* dllp_share of the direction's bytes */
};
struct fab_link_cfg {
	uint8_t gen;      /* 1-6; 0: a link without limits */
	uint8_t width;    /* 1, 2, 4, 8, 16 */
	uint32_t mps;     /* bytes, 128-4096; every writer behind the link keeps to it */
	uint64_t prop_ps; /* wire and PHY, one way */
	enum fab_dllp dllp;
	double dllp_share;
	/*
	 * Of bits on the link, TLPs' alone; 0: none, 1e-4 at most.  A TLP with a wrong one is sent again, and whatever was
	 * sent after it.  Gen6: what error correction leaves.  Means nothing to a link without limits.
	 */
	double bit_error_rate;
	struct fab_credits down, up; /* of the lower end's receiver; of the upper end's */
};
/* Reasonable: mps 256, spec DLLPs, 64 headers and 16 KiB per class. */
void fab_link_cfg_init(struct fab_link_cfg *cfg, unsigned int gen, unsigned int width);
/* Bytes per second that TLPs may take, headers and framing included, after encoding and DLLPs. */
double fab_link_rate(const struct fab_link_cfg *cfg);
/* Bytes on the link of one TLP of this type with `len` data bytes at a generation. */
uint32_t fab_tlp_bytes(unsigned int gen, enum fab_type type, uint32_t len);

/* ---- losses ---- */
struct fab_loss {
	/*
	 * Drops writes instead of holding their senders up: when the way out has no credits for all that wait for it, or
	 * the buffer of the way in is three quarters full with others.
	 */
	bool congested;
	uint32_t ppm[FAB_NUM_TYPES]; /* and so many of a million, whatever the load */
};

/* ---- nodes ---- */
struct fab_switch_cfg {
	uint64_t latency_ps; /* head in to head out, unloaded */
	uint32_t lanes;      /* budget over all ports, upstream included; 0: none */
	struct fab_loss loss;
};

struct fab_mem_cfg {
	uint32_t channels;
	double channel_bytes_per_s; /* 0: infinite */
	uint64_t latency_ps;        /* of a read that misses */
	bool ddio;                  /* device writes and reads are served by the last-level cache */
	uint64_t cache_latency_ps;
	double ddio_evict;          /* share of device-written bytes that go to DRAM all the same, 0-1 */
};

struct fab_iommu_cfg {
	uint32_t entries;    /* of the IOTLB; 0: no IOMMU */
	uint32_t ways;
	uint32_t page_bytes;
	uint64_t miss_ps;    /* a page walk */
	uint32_t walkers;    /* at a time */
};

struct fab_root_cfg {
	uint64_t latency_ps;     /* port to memory controller, and back */
	uint64_t p2p_latency_ps; /* port to port */
	bool p2p;                /* forwards between root ports */
	double p2p_bytes_per_s;  /* over all its ports; 0: infinite */
	uint32_t rcb;            /* 64 or 128 */
	uint32_t lanes;          /* budget; 0: none */
	uint64_t mem_base, mem_bytes; /* main memory's bus addresses */
	uint64_t timeout_ps;     /* of a core's read; 0: never */
	struct fab_mem_cfg mem;
	struct fab_iommu_cfg iommu;
	struct fab_loss loss;
};

struct fab_ep_cfg {
	uint64_t base, bytes;      /* the bus addresses it claims; whole 4 KiB; 0 bytes: none */
	uint32_t tags;             /* reads (MRd TLPs) outstanding at a time; 1-1024 */
	uint32_t mrrs;             /* bytes, 128-4096 */
	uint32_t rcb;              /* as completer, 64 or 128 */
	uint64_t read_latency_ps;  /* as completer: request in to first completion ready */
	double read_bytes_per_s;   /* as completer; 0: infinite */
	uint64_t read_gap_ps;      /* as completer: between two requests served, at least */
	uint64_t write_gap_ps;     /* as target: between two writes taken, at least */
	double write_bytes_per_s;  /* as target; 0: infinite */
	uint64_t timeout_ps;       /* of a read; 0: never */
	uint64_t latency_ps;       /* a TLP's way through it, each direction */
};

/* As target.  addr is the bus address.  data is NULL where the requester gave none. */
struct fab_target_ops {
	void (*write)(void *arg, uint64_t addr, const uint8_t *data, uint32_t len);
	void (*read)(void *arg, uint64_t addr, uint8_t *data, uint32_t len);
};

struct fabric *fab_create(struct fab_queue *q, uint64_t seed);
void fab_destroy(struct fabric *f);
struct fab_queue *fab_queue_of(struct fabric *f);

/* parent NULL: this is the root (then link is NULL too).  Names are for reports and errors; copied. */
int fab_add_root(struct fabric *f, const char *name, const struct fab_root_cfg *cfg,
		 const struct fab_target_ops *memory, void *arg, struct fab_node **out, char err[FAB_ERR_MAX]);
int fab_add_switch(struct fabric *f, const char *name, struct fab_node *parent, const struct fab_link_cfg *link,
		   const struct fab_switch_cfg *cfg, struct fab_node **out, char err[FAB_ERR_MAX]);
int fab_add_endpoint(struct fabric *f, const char *name, struct fab_node *parent, const struct fab_link_cfg *link,
		     const struct fab_ep_cfg *cfg, const struct fab_target_ops *target, void *arg,
		     struct fab_node **out, char err[FAB_ERR_MAX]);
/*
 * Other credits than the link was added with, for the receiver of one direction of n's link (up: the upper end): for whoever adds
 * the node doesn't know what it is plugged into.  Before fab_finish().
 */
int fab_link_credits(struct fab_node *n, bool up, const struct fab_credits *credits, char err[FAB_ERR_MAX]);
/* No more nodes: checks lane budgets and addresses, computes routes and the least MPS on every path. */
int fab_finish(struct fabric *f, char err[FAB_ERR_MAX]);

/* ---- requests of an endpoint, or of a CPU at the root complex (the root's node) ---- */
struct fab_req;
typedef void fab_req_fn(struct fab_req *r);
/*
 * The caller's; untouched by it from submission until done() is called, once.
 *   write: done() when the last TLP has left: the source may be reused, and later
 *          writes of this requester to the same target stay behind it.  It may be called
 *          before fab_write() returns (a link that is free takes the TLP at once), and may
 *          submit the next request.
 *   read:  done() when all bytes are stored, or the read has timed out.
 * Requests of one node and direction leave in the order of submission (a CPU's: of each root port), and a read
 * does not leave before a write that was submitted earlier.  Reads may finish in any order.
 * A requester reaches its own addresses too: such TLPs turn round in the endpoint and see no link.
 */
struct fab_req {
	uint64_t addr;
	void *data;      /* source or destination; NULL: no bytes */
	uint32_t len;    /* 1 up to 64 KiB */
	bool lost;       /* out: some of it was not completed (timed out, unsupported) */
	fab_req_fn *done;/* may be NULL for a write */
	/* the fabric's own */
	uint32_t sent, got;
	struct fab_req *next;
	struct fab_tlp *held;     /* completions that came before the last one */
	uint64_t order, ready_ps;
	bool gone;                /* a part timed out: the destination stays as it is */
};
void fab_write(struct fab_node *n, struct fab_req *r);
void fab_read(struct fab_node *n, struct fab_req *r);
/* Requests submitted and not yet wholly on the link: a DMA engine that keeps this small is held up by backpressure. */
uint32_t fab_waiting(const struct fab_node *n, bool read);

/*
 * Main memory from the CPU's side: `bytes` are read (or written) by a core at
 * fab_now(); returns when that has finished.  Takes bandwidth of the channels.  cached: served by the last-level
 * cache, no DRAM bandwidth.
 */
uint64_t fab_cpu_access(struct fab_node *root, uint64_t addr, uint32_t bytes, bool write, bool cached);

/* ---- what was counted ---- */
struct fab_dir_stats {
	uint64_t tlps[FAB_NUM_TYPES], bytes[FAB_NUM_TYPES]; /* bytes: data alone */
	uint64_t wire_bytes;    /* TLPs with headers and framing, each once */
	uint64_t dllp_bytes;    /* NAKs for the other direction included */
	uint64_t busy_ps;       /* transmitting, replays included */
	uint64_t replays;       /* NAKs that came for this direction's TLPs */
	uint64_t replay_bytes;  /* wire bytes sent again: the bad TLP, and what followed it without a gap till the NAK was there */
	uint64_t retrains;      /* four replays of one TLP: a link retrains; takes no time here */
	uint64_t stall_ps[FAB_NUM_CLASSES]; /* something of the class waited and had no credit */
	uint64_t lost[FAB_NUM_TYPES]; /* dropped by the component that this direction leads to */
	uint32_t queue, queue_max; /* waiting for this direction: TLPs; at their source requests and reads to answer */
};
struct fab_node_stats {
	uint64_t unsupported;  /* TLPs to addresses that nobody claims, counted where they were found out: the top of the tree */
	uint64_t timeouts;     /* reads (MRd TLPs) that timed out */
	uint64_t unexpected;   /* completions of reads that had timed out before; dropped */
	uint64_t mem_read_bytes, mem_write_bytes; /* root: DRAM traffic */
	uint64_t mem_busy_ps;                     /* the busiest channel's */
	uint64_t cache_bytes;                     /* served without DRAM */
	uint64_t iotlb_hits, iotlb_misses;
	uint64_t p2p_bytes;                       /* root: forwarded between its ports */
	uint64_t target_busy_ps;                  /* endpoint: as target and completer */
};
/* A node's link to its parent: up = towards the root.  NULL for the root itself. */
const struct fab_dir_stats *fab_link_stats(const struct fab_node *n, bool up);
void fab_node_stats(const struct fab_node *n, struct fab_node_stats *out);
const char *fab_node_name(const struct fab_node *n);
struct fab_node *fab_node_parent(const struct fab_node *n);
const struct fab_link_cfg *fab_node_link(const struct fab_node *n); /* NULL for the root */
unsigned int fab_num_nodes(const struct fabric *f);
struct fab_node *fab_node_at(const struct fabric *f, unsigned int k);
/* Counters begin anew: the end of a warm-up. */
void fab_stats_reset(struct fabric *f);
/* Every credit taken has come back, nothing is queued anywhere: holds whenever the queue of events has run dry. */
bool fab_idle(const struct fabric *f);

/* ---- traces: every TLP as it starts on a link ---- */
struct fab_tlp_view {
	uint64_t at_ps; /* not in order over all links: an endpoint's TLP is seen when chosen, its latency earlier */
	enum fab_type type;
	uint16_t requester, completer; /* bus << 8 | device << 3 | function: node numbers */
	uint16_t tag;
	uint64_t addr;
	uint32_t len;         /* data bytes, or bytes asked for; addr and len are byte-exact */
	uint32_t remaining;   /* completion: bytes still to come of its request, this one's included */
	const uint8_t *data;  /* NULL: not carried */
	const struct fab_node *link; /* the node whose link to its parent it is on */
	uint16_t link_id;            /* its number, as in requester and completer */
	bool up;
};
typedef void fab_trace_fn(void *arg, const struct fab_tlp_view *tlp);
void fab_trace(struct fabric *f, fab_trace_fn *fn, void *arg);

#endif
