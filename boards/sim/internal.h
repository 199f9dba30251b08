/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the sim board share. */
#ifndef BOARDS_SIM_INTERNAL_H
#define BOARDS_SIM_INTERNAL_H

#include <firmware/board.h>
#include <faults/fault.h>

#include "engine.h"
#include "sim.h"

#define SIM_FS_PER_PS 1000ull
#define SIM_EPOCH_NS 1000000000ull /* board time when virtual time is 0 */
#define SIM_BUS_BASE (1ull << 44)  /* BARs lie here and above; main memory is elsewhere (host_internal.h) */

/* Nanoseconds of a profile as integers, rounded to the nearest. */
static inline uint64_t sim_ps(double ns)
{
	return (uint64_t)(ns * 1e3 + 0.5);
}

static inline uint64_t sim_fs(double ns)
{
	return (uint64_t)(ns * 1e6 + 0.5);
}

/* Board time of an instant, and the instant at which it begins. */
static inline uint64_t sim_ps_to_ns(uint64_t ps)
{
	return SIM_EPOCH_NS + ps / 1000;
}

static inline uint64_t sim_ns_to_ps(uint64_t ns)
{
	return ns < SIM_EPOCH_NS ? 0 : ns - SIM_EPOCH_NS > UINT64_MAX / 1000 ? FAB_NEVER : (ns - SIM_EPOCH_NS) * 1000;
}

struct sim_nic;

/* What befell a request, and its bytes as they arrive. */
struct sim_odd {
	struct sim_odd *next, **prev; /* of the NIC's */
	struct fault_hit hit;
	uint8_t *dst; /* of a read */
	uint8_t buf[];
};

/* A DMA request of a NIC: one of a queue, finished in order. */
struct sim_request {
	struct sim_dma dma; /* first */
	struct sim_nic *nic;
	struct sim_request *next;
	uint8_t *local; /* device memory at the other end; NULL: beyond the fabric */
	struct sim_odd *odd; /* NULL: nothing befell it */
	uint8_t queue, kind;
	bool finished;
	le32 line[4];
};

struct sim_map {
	uint64_t bus, size, to;
	bool read, write;
};

/* What a reset leaves behind: DMA that is in flight may still read it. */
struct sim_remains {
	struct sim_remains *next;
	struct sim_engine *engine;
	uint8_t *mem;
	uint64_t mem_bytes;
	void *state;
};

/* Where a NIC is plugged in; NICs come and go there. */
struct sim_place {
	struct sim_world *w;
	struct sim_place *next;
	struct sim_nic_profile prof;
	struct fab_node *node;
	uint64_t base, bytes;
	struct sim_nic *nic; /* the one that lives */
};

struct sim_nic {
	struct board_ctx ctx; /* first */
	struct sim_world *w;
	struct fab_queue *q;
	struct sim_place *place;
	struct sim_nic *next; /* of the world's, dead ones too */
	struct fw_nic *fw;
	unsigned int ports;
	bool by_hand, dead, in_step, bell, bus_master;

	/* DMA */
	struct sim_engine *engine; /* NULL: no layout */
	struct sim_request *head[BOARD_NUM_QUEUES], **tail[BOARD_NUM_QUEUES], *spare;
	struct sim_request **chunk;
	unsigned int chunks;
	struct sim_odd *odd;
	struct sim_map *map; /* by bus address */
	unsigned int maps;
	uint32_t gen; /* of translations, never 0 */

	/* device memory */
	uint8_t *mem;
	uint64_t mem_bytes;
	struct p2p_shape shape;
	uint64_t rx_off, ring_off, buf_off, ring_bytes; /* payload arrives between the first two and beyond the third */
	void *state;
	struct sim_remains *remains;

	/* time */
	struct fab_event event; /* the next step */
	bool idle;              /* the last step did nothing: woken by what happens */
	uint64_t busy_ps;       /* no step before */
	uint64_t work_ps, poll_ps;
	uint64_t phase_ps;      /* an idle NIC looks so long after a multiple of poll_ps */
	uint64_t steps_charged, work_fs;
	uint64_t skew_ns, stall_ns; /* faults: its clock is ahead; it stands still until then */
	uint64_t random, poll_random;
	uint64_t events[BOARD_NUM_VECTORS];
};

struct sim_world {
	struct fab_queue *q;
	struct fabric *fabric;
	uint64_t seed, now_ns, next_bus;
	unsigned int nics;
	struct fault_set *faults; /* NULL: none */
	struct sim_place *places;
	struct sim_nic *nic;
};

static inline struct sim_nic *sim_nic_of(const struct board_ctx *b)
{
	return (struct sim_nic *)(uintptr_t)b;
}

/* Bus addresses for a BAR, aligned to its size rounded up to a power of two. */
uint64_t sim_world_take_bus(struct sim_world *w, uint64_t bytes);

/* ---- nic.c ---- */
/* Something has been written to device memory at `off`. */
void sim_nic_written(struct sim_nic *n, uint64_t off);

/* ---- board.c ---- */
void sim_nic_drop_memory(struct sim_nic *n); /* and all DMA */
void sim_nic_free_dma(struct sim_nic *n);    /* with the fabric gone */

/* ---- mac.c ---- */
bool sim_port_is_mac(const struct port *p);
/* Called when next_event() has another answer by itself: a source was given. */
void sim_mac_waker(struct port *mac, void (*wake)(void *arg), void *arg);

/* ---- mac_frame.c: the frames of MACs ---- */
#define SIM_FRAME_MIN 60u /* without FCS */
#define SIM_FRAME_MAX 9724u

struct sim_frame {
	uint16_t id;
	uint32_t flow, len; /* len without FCS */
	uint64_t seq, stamp_ps;
	uint32_t net; /* not 0: an IPv4 packet to net + flow */
};
/* dst and src lie in addr. */
void sim_frame_make(uint8_t *data, const uint8_t addr[12], const struct sim_frame *f);
/* route.c: a table of all pairs in b's memory, taken into use.  False: b refuses it. */
bool sim_route_make(struct board_ctx *b, struct board_ctx *const *nics, const struct sim_pair *pairs, unsigned int n);
/* Every byte is looked at; of an IPv4 packet that it was routed once. */
bool sim_frame_check(const uint8_t *data, uint32_t len, struct sim_frame *f);

#endif
