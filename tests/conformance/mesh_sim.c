/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sim board as a board of the mesh: driven by hand, with a profile that costs nothing on links without limits, so
 * that every DMA has finished when its submission returns.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define FW_BOARD sim
#include <boards/sim/internal.h>
#include "cable.h"
#include "mesh.h"

#define HOST_BASE (1ull << 46)
#define HOST_BYTES (1ull << 40)
#define HOST_AREAS 256
#define WOKEN_NS 3000

/* Main memory: what map_host() was told of, one after the other. */
struct host_area {
	uint64_t at, bytes;
	uint8_t *mem;
};

struct mesh_board {
	struct sim_world *w;
	struct fab_node *root;
	uint64_t seed;
	struct sim_nic_profile prof;
	unsigned int nics, lives;
	bool free; /* NICs step by themselves */
	uint64_t woken_ns[P2P_MAX_NICS];
	struct board_ctx *nic[P2P_MAX_NICS];
	struct mesh_cable cable[P2P_MAX_NICS][P2P_MAX_PORTS];
	struct host_area area[HOST_AREAS];
	unsigned int areas;
	uint64_t host_bytes;
	struct fault_set faults;
};

static uint8_t *host_at(struct mesh_board *mb, uint64_t addr, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < mb->areas; i++)
		if (addr >= mb->area[i].at && addr - mb->area[i].at + len <= mb->area[i].bytes)
			return mb->area[i].mem + (addr - mb->area[i].at);
	return NULL;
}

static void host_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	uint8_t *to = host_at(arg, addr, len);

	if (to)
		memcpy(to, data, len);
}

static void host_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	const uint8_t *from = host_at(arg, addr, len);

	if (from)
		memcpy(data, from, len);
	else
		memset(data, 0xff, len);
}

static struct mesh_board *board_open(const struct mesh_board_cfg *cfg, const struct sim_nic_profile *prof, bool run_free)
{
	static const struct fab_target_ops memory = { .write = host_write, .read = host_read };
	struct fab_root_cfg root = { .p2p = true, .rcb = 64, .mem_base = HOST_BASE, .mem_bytes = HOST_BYTES,
				     .mem = { .channels = 1 } };
	struct mesh_board *mb = calloc(1, sizeof(*mb));
	char err[FAB_ERR_MAX];

	if (!mb)
		abort();
	mb->seed = cfg->seed;
	mb->nics = cfg->nics;
	mb->free = run_free;
	mb->prof = *prof;
	mb->w = sim_world_create(cfg->seed);
	if (!mb->w || fab_add_root(sim_world_fabric(mb->w), "root", &root, &memory, mb, &mb->root, err))
		abort();
	return mb;
}

static struct mesh_board *sim_open(const struct mesh_board_cfg *cfg)
{
	struct sim_nic_profile zero = { 0 };

	sim_nic_profile_zero(&zero);
	return board_open(cfg, &zero, false);
}

/* Everything takes time, of the order of real NICs'. */
static struct mesh_board *free_open(const struct mesh_board_cfg *cfg)
{
	struct sim_nic_profile p = {
		.step_rx = 60, .step_lookup = 20, .step_learn = 20, .step_reserve = 40, .step_csum_word = 4,
		.step_dma_issue = 30, .step_poll_ring = 10, .step_check = 30, .step_scrub_word = 1, .step_complete = 20,
		.step_poll_comp = 10, .step_tx = 40, .clock_mhz = 1200, .workers = 54, .work_latency = 500, .poll = 50,
		.dma_write_gap = 20, .dma_read_gap = 18, .dma_overhead = 4, .dma_byte = 0.12,
		.dma_write_latency = 200, .dma_read_latency = 200, .dma_writes = 64, .dma_reads = 64,
		.dma_read_bytes = 65536, .mem_write_gap = 4, .mem_read_gap = 4, .mem_read_latency = 150, .mem_rate = 12,
		.local_rate = 12, .pcie_gen = 3, .pcie_width = 8, .mps = 256, .mrrs = 512, .tags = 64,
		.pcie_latency = 100, .dllp_share = -1, .slots = 64, .rx_bufs = 256,
	};

	return board_open(cfg, &p, true);
}

static void sim_close(struct mesh_board *mb)
{
	sim_world_destroy(mb->w);
	free(mb);
}

static const uint64_t *sim_clock(struct mesh_board *mb)
{
	return sim_world_clock(mb->w);
}

static void sim_advance(struct mesh_board *mb, uint64_t ns)
{
	sim_world_run(mb->w, fab_now(sim_world_queue(mb->w)) + ns * 1000);
}

static uint64_t sim_next(struct mesh_board *mb)
{
	unsigned int i;

	/* What else may be in the queue, time-outs of reads that came back, changes nothing. */
	for (i = 0; i < mb->nics; i++)
		if (sim_nic_busy(mb->nic[i]))
			return sim_ps_to_ns(fab_queue_next(sim_world_queue(mb->w)) + 999);
	return UINT64_MAX;
}

static bool sim_seg_ok(void *arg, const struct p2p_seg *seg, bool rx)
{
	struct board_ctx *b = arg;
	const struct p2p_shape *s = fw_nic_shape(sim_nic_fw(b));
	const uint8_t *base = sim_nic_mem(b, 0);
	unsigned int p, k;
	uint64_t off;

	for (p = 0; s && p < s->ports; p++) {
		if (seg->region > s->nics || rx != (seg->region == 0))
			return false;
		k = rx ? p2p_seg_rx(s, p) : p2p_seg_buf(s, p, seg->region - 1u);
		off = p2p_seg_offset(s, k);
		if (seg->data >= base + off &&
		    seg->data + seg->len <= base + off + p2p_seg_bytes(s, rx ? P2P_SEG_RX : P2P_SEG_BUF))
			return true;
	}
	return false;
}

static int sim_create(struct mesh_board *mb, unsigned int nic, const struct fw_strap *strap,
		      struct script_port *const *ports)
{
	struct board_ctx *dead = mb->nic[nic];
	struct port *port[P2P_MAX_PORTS];
	char err[FAB_ERR_MAX], name[16];
	unsigned int p;
	int rc;

	for (p = 0; p < strap->ports; p++) {
		mb->cable[nic][p] = (struct mesh_cable){ .port = { .ops = &mesh_cable_ops }, .sp = ports[p] };
		port[p] = &mb->cable[nic][p].port;
	}
	snprintf(name, sizeof(name), "nic%u", nic);
	rc = dead ? sim_nic_revive(dead, strap, port, &mb->nic[nic]) :
		    sim_nic_create(mb->w, name, &mb->prof, mb->root, strap, port, &mb->nic[nic], err);
	if (!rc && !dead && nic + 1 == mb->nics)
		rc = fab_finish(sim_world_fabric(mb->w), err);
	if (rc) {
		fprintf(stderr, "%s\n", dead ? strerror(-rc) : err);
		return rc;
	}
	if (!mb->free)
		sim_nic_auto(mb->nic[nic], false);
	sim_nic_of(mb->nic[nic])->random = mesh_board_seed(mb->seed, mb->lives++);
	for (p = 0; p < strap->ports; p++)
		script_port_check(ports[p], sim_seg_ok, mb->nic[nic]);
	return 0;
}

static void sim_kill(struct mesh_board *mb, unsigned int nic)
{
	sim_nic_kill(mb->nic[nic]);
}

static uint64_t sim_step(struct mesh_board *mb, unsigned int nic)
{
	return sim_nic_step(mb->nic[nic]);
}

static void sim_sleep(struct mesh_board *mb, unsigned int nic, bool asleep)
{
	fw_sleep(sim_nic_fw(mb->nic[nic]), asleep);
}

static bool sim_busy(struct mesh_board *mb, unsigned int nic)
{
	return sim_nic_busy(mb->nic[nic]);
}

static bool sim_take_bell(struct mesh_board *mb, unsigned int nic)
{
	return sim_nic_take_bell(mb->nic[nic]);
}

static uint64_t sim_reg_read(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes)
{
	return fw_reg_read(sim_nic_fw(mb->nic[nic]), off, bytes);
}

static void sim_reg_write(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	fw_reg_write(sim_nic_fw(mb->nic[nic]), off, bytes, v);
}

static void sim_bus_master(struct mesh_board *mb, unsigned int nic, bool on)
{
	sim_nic_bus_master(mb->nic[nic], on);
}

static int sim_map(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, unsigned int target,
		   uint64_t offset, bool write)
{
	return sim_nic_map(mb->nic[nic], bus, size, sim_nic_bar2(mb->nic[target]) + offset, true, write);
}

static int sim_map_host(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, void *mem, int fd,
			uint64_t fd_off)
{
	struct host_area *a = &mb->area[mb->areas];

	if (mb->areas == HOST_AREAS)
		return -ENOSPC;
	*a = (struct host_area){ .at = HOST_BASE + mb->host_bytes, .bytes = size, .mem = mem };
	mb->areas++;
	mb->host_bytes += P2P_ALIGN_UP(size, 4096ull);
	return sim_nic_map(mb->nic[nic], bus, size, a->at, true, true);
}

static void *sim_mem(struct mesh_board *mb, unsigned int nic, uint64_t offset)
{
	return sim_nic_mem(mb->nic[nic], offset);
}

static void sim_unmap(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size)
{
	sim_nic_unmap(mb->nic[nic], bus, size);
}

static const uint64_t *sim_events(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_events(sim_nic_fw(mb->nic[nic]));
}

static const uint64_t *sim_drops(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_drops(sim_nic_fw(mb->nic[nic]));
}

static uint64_t sim_held(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_held(sim_nic_fw(mb->nic[nic]));
}

static int sim_peer(struct mesh_board *mb, unsigned int nic, unsigned int peer, struct fw_peer_info *info)
{
	return fw_peer_info(sim_nic_fw(mb->nic[nic]), peer, info);
}

static uint64_t sim_faults(struct mesh_board *mb, unsigned int nic)
{
	return sim_nic_faults(mb->nic[nic]);
}

static struct fault_set *sim_rules(struct mesh_board *mb)
{
	sim_world_inject(mb->w, &mb->faults);
	return &mb->faults;
}

/* ---- free ---- */

static uint64_t free_next(struct mesh_board *mb)
{
	uint64_t at_ps = fab_queue_next(sim_world_queue(mb->w));

	return at_ps == FAB_NEVER ? UINT64_MAX : sim_ps_to_ns(at_ps + 999);
}

/* It steps by itself; what it could not see coming is what the test has put on the cable.  What it does not want waits. */
static uint64_t free_step(struct mesh_board *mb, unsigned int nic)
{
	struct board_ctx *b = mb->nic[nic];
	uint64_t now_ns = sim_world_ns(mb->w);
	unsigned int p;

	for (p = 0; p < sim_nic_of(b)->ports; p++) {
		if (now_ns - mb->woken_ns[nic] < WOKEN_NS || !script_port_event(mesh_cable_of(b->port[p])))
			continue;
		mb->woken_ns[nic] = now_ns;
		sim_nic_wake(b, 0);
	}
	return UINT64_MAX;
}

static void free_sleep(struct mesh_board *mb, unsigned int nic, bool asleep)
{
}

static void free_reg_write(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	sim_reg_write(mb, nic, off, bytes, v);
	sim_nic_wake(mb->nic[nic], 0);
}

const struct mesh_ops mesh_free = {
	.name = "free", .late = true, .no_bn = true, .open = free_open, .close = sim_close, .clock = sim_clock,
	.advance = sim_advance, .next = free_next, .nic_create = sim_create, .nic_kill = sim_kill, .step = free_step,
	.sleep = free_sleep, .busy = sim_busy, .take_bell = sim_take_bell, .reg_read = sim_reg_read,
	.reg_write = free_reg_write, .bus_master = sim_bus_master, .map = sim_map, .map_host = sim_map_host,
	.mem = sim_mem, .unmap = sim_unmap, .events = sim_events, .drops = sim_drops, .held = sim_held,
	.peer = sim_peer, .faults = sim_faults, .fault_rules = sim_rules,
};

const struct mesh_ops mesh_sim = {
	.name = "sim", .open = sim_open, .close = sim_close, .clock = sim_clock, .advance = sim_advance,
	.next = sim_next, .nic_create = sim_create, .nic_kill = sim_kill, .step = sim_step, .sleep = sim_sleep,
	.busy = sim_busy, .take_bell = sim_take_bell, .reg_read = sim_reg_read, .reg_write = sim_reg_write,
	.bus_master = sim_bus_master, .map = sim_map, .map_host = sim_map_host, .mem = sim_mem, .unmap = sim_unmap,
	.events = sim_events, .drops = sim_drops, .held = sim_held, .peer = sim_peer, .faults = sim_faults, .fault_rules = sim_rules,
};
