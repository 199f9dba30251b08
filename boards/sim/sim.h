/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sim board: firmware in virtual time, on a PCIe fabric.
 *
 *   sim_world   a fabric, its clock, the NICs on it, perhaps a host (host.h)
 *   board_ctx   one NIC: an endpoint whose BAR2 is its device memory, a DMA
 *               engine, workers, ports
 *
 * A NIC's step runs at one instant; what it charges (board_charge) becomes time:
 * cycles / (clock * workers) until the next step begins, and DMA requests and
 * frames that the step hands over are handed over when the cycles charged before
 * them have passed, plus work_latency.  A step that did nothing is not repeated
 * until something has happened to the NIC (a write into its memory, a DMA of its
 * own finished, a port's event, firmware's own deadline), rounded up to its poll period,
 * whose phase is drawn anew whenever the NIC runs dry.
 *
 * BY HAND  sim_nic_auto(b, false): nobody steps the NIC but sim_nic_step().  With
 *   the zero profile on links without limits every DMA is finished when its
 *   submission returns: the board then decides as the soft board does.
 *
 * BUS ADDRESSES  BAR2 of NIC i is at sim_nic_bar2(b) of the fabric.  What firmware
 *   calls a bus address goes through the NIC's address map first (sim_nic_map).
 *
 * THREADS  one world, one thread; any number of worlds.
 */
#ifndef BOARDS_SIM_SIM_H
#define BOARDS_SIM_SIM_H

#ifndef FW_BOARD
#define FW_BOARD sim
#endif
#include <fabric/fabric.h>
#include <firmware/fw.h>
#include <ports/port.h>

#include "profile.h"

#define SIM_NUM_STEPS 16 /* at least BOARD_NUM_STEPS */

struct sim_world;
struct board_ctx;

struct sim_world *sim_world_create(uint64_t seed);
void sim_world_destroy(struct sim_world *w); /* NICs and fabric as well; ports stay the caller's */
struct fab_queue *sim_world_queue(struct sim_world *w);
struct fabric *sim_world_fabric(struct sim_world *w);
/* Board time, as firmware sees it; begins at 1 s.  Constant while a step runs. */
uint64_t sim_world_ns(const struct sim_world *w);
const uint64_t *sim_world_clock(const struct sim_world *w); /* the same as a word that can be watched */
/*
 * From now on faults befall all its NICs, in the order of what they do; the set is the caller's and may change.  NULL: no more.
 * Of the faults of cables (link, slow) a world knows nothing.
 */
struct fault_set;
void sim_world_inject(struct sim_world *w, struct fault_set *faults);
void sim_world_run(struct sim_world *w, uint64_t until_ps); /* fab_queue_run() */

/* ---- a NIC ---- */
/*
 * Adds an endpoint below `parent` (all of a NIC's memory, mem_bytes, lies at its BAR2); the caller calls fab_finish()
 * when all are there.  ports[] are the caller's and outlive the world; MACs among them take the NIC's clock.
 * 0 or -errno with one line in err.
 */
int sim_nic_create(struct sim_world *w, const char *name, const struct sim_nic_profile *p, struct fab_node *parent,
		   const struct fw_strap *strap, struct port *const *ports, struct board_ctx **out,
		   char err[FAB_ERR_MAX]);
struct fw_nic *sim_nic_fw(struct board_ctx *b);
struct fab_node *sim_nic_node(struct board_ctx *b);
uint64_t sim_nic_bar2(const struct board_ctx *b);
void *sim_nic_mem(struct board_ctx *b, uint64_t offset); /* of BAR2, as the host sees it; NULL beyond the layout */
/* DMA to [bus, bus + size) goes to fabric address `to` on.  -EEXIST: overlaps; -ENOSPC. */
int sim_nic_map(struct board_ctx *b, uint64_t bus, uint64_t size, uint64_t to, bool read, bool write);
void sim_nic_unmap(struct board_ctx *b, uint64_t bus, uint64_t size); /* every map that lies in it */
void sim_nic_bus_master(struct board_ctx *b, bool on);
uint64_t sim_nic_faults(const struct board_ctx *b);
/* Power off: it vanishes from the fabric's sight (what is written to it is lost); its node stays. */
void sim_nic_kill(struct board_ctx *b);
/* And on again, as new: another board_ctx at the same place. */
int sim_nic_revive(struct board_ctx *dead, const struct fw_strap *strap, struct port *const *ports,
		   struct board_ctx **out);

void sim_nic_auto(struct board_ctx *b, bool on); /* stepped by events (the default) */
uint64_t sim_nic_step(struct board_ctx *b);      /* by hand: fw_step() */
bool sim_nic_busy(const struct board_ctx *b);    /* DMA unfinished */
bool sim_nic_take_bell(struct board_ctx *b);     /* rung since last asked */
/* A port has something for the NIC: wake it, now or at at_ps. */
void sim_nic_wake(struct board_ctx *b, uint64_t at_ps);
/* Inside a step: the time at which what is being done now happens (charges so far, work_latency); else now. */
uint64_t sim_nic_time_ps(const struct board_ctx *b);

struct sim_nic_stats {
	uint64_t steps, work_ps;      /* steps that charged something; time charged */
	uint64_t cycles[SIM_NUM_STEPS];
	uint64_t dma_writes, dma_reads;
	uint64_t write_wait_ps, read_wait_ps; /* sum over requests: submission to begin in the engine */
	uint64_t engine_write_ps, engine_read_ps; /* time the engine was busy with each */
	uint64_t write_full_ps, read_full_ps; /* the share of its limits that was in flight, over time */
	uint32_t writes_max, reads_max;       /* in flight */
};
void sim_nic_stats(const struct board_ctx *b, struct sim_nic_stats *out);
void sim_nic_stats_reset(struct board_ctx *b);

/* ---- Ethernet ports in virtual time ---- */
/*
 * A MAC with a traffic source and a sink on its cable.  Frames carry flow, sequence number and the time of their last
 * bit on the wire, so that the sink checks order and contents and measures latency (last bit in to last bit out).
 */
struct sim_mac;
enum sim_arrival { SIM_ARRIVE_EVEN, SIM_ARRIVE_POISSON };
struct sim_source {
	double gbps;           /* on the wire, preamble and gap included; at most the port's rate */
	uint32_t frame_bytes;  /* with FCS, 64-9728; what firmware sees is 4 less */
	enum sim_arrival arrival;
	uint32_t flows;
	uint16_t id;           /* of this source, in every frame */
	uint64_t start_ps, stop_ps; /* FAB_NEVER: on and on */
	uint64_t seed;
	uint64_t max_frames;   /* 0: no end */
	uint8_t dst[6], src[6];
	uint32_t net;          /* not 0: IPv4 packets to addresses of this /16, a flow each; the sink wants them routed once */
};
struct sim_sink_stats {
	uint64_t frames, bytes; /* with FCS */
	uint64_t corrupted, reordered, duplicated;
	uint64_t first_ps, last_ps; /* last bits out */
	uint64_t wire_ps;           /* time on the wire, preamble and gap included */
};
int sim_mac_create(struct sim_world *w, const struct sim_nic_profile *p, const char *name, struct port **out);
void sim_mac_destroy(struct port *mac);
/*
 * Whose port it is: its clock, asked whenever a frame is handed over (sim_nic_time_ps for a NIC).  When something will
 * happen here by itself (a frame arrives for a posted buffer, one has been sent), port_ops.next_event tells, rounded up.
 */
typedef uint64_t sim_time_fn(const void *arg);
void sim_mac_attach(struct port *mac, sim_time_fn *time_ps, const void *arg);
void sim_mac_source(struct port *mac, const struct sim_source *s);
/* Frames that came in on the wire: offered; that found no room: missed. */
void sim_mac_offered(const struct port *mac, uint64_t *frames, uint64_t *missed);
void sim_mac_sink(const struct port *mac, struct sim_sink_stats *out);
/* Latencies of frames that left since the last reset, in ns, sorted; how many.  At most `max` are kept, evenly sampled. */
uint32_t sim_mac_latencies(struct port *mac, uint32_t *ns, uint32_t max);
void sim_mac_reset(struct port *mac); /* counters and latencies: end of warm-up */

/* ---- bring-up, in the driver's order (design section 4) ---- */
struct sim_mesh_cfg {
	enum p2p_mode mode;
	uint32_t batch, stride, slots, rx_bufs, flags; /* with P2P_FLAG_ROUTE pairs become routes */
};
struct sim_pair { unsigned int nic, port, to_nic, to_port; };
#define SIM_ROUTE_BYTES (1u << 20) /* of a NIC's routing area */
/* The network that lies behind a port: 10.k.0.0/16. */
static inline uint32_t sim_route_net(unsigned int nic, unsigned int port)
{
	return 10u << 24 | (nic * P2P_MAX_PORTS + port) << 16;
}
/* Configures, maps, introduces, pairs, enables.  bn: with the host's areas (host.h).  0 or -errno with one line. */
struct sim_bn;
int sim_mesh_up(struct sim_world *w, struct board_ctx *const *nics, unsigned int n, const struct sim_mesh_cfg *cfg,
		const struct sim_pair *pairs, unsigned int num_pairs, struct sim_bn *bn, char err[FAB_ERR_MAX]);
/* Runs until every NIC sees every other; -ETIMEDOUT after max_ns. */
int sim_mesh_wait(struct sim_world *w, struct board_ctx *const *nics, unsigned int n, struct sim_bn *bn,
		  uint64_t max_ns, char err[FAB_ERR_MAX]);

#endif
