/* SPDX-License-Identifier: BSD-3-Clause */
/* The late board as a board of the mesh. */
#include <stdlib.h>

#define FW_BOARD late
#include <tests/late/late.h>
#include <firmware/nic.h>
#include "mesh.h"

struct mesh_board {
	struct late_world *w;
	struct board_ctx *nic[P2P_MAX_NICS];
};

static struct mesh_board *late_open(const struct mesh_board_cfg *cfg)
{
	struct late_cfg lc = { .seed = cfg->seed, .prompt = cfg->prompt };
	struct mesh_board *mb = calloc(1, sizeof(*mb));

	if (!mb)
		abort();
	mb->w = late_world_create(&lc);
	return mb;
}

static void late_close(struct mesh_board *mb)
{
	late_world_destroy(mb->w);
	free(mb);
}

static const uint64_t *late_clock(struct mesh_board *mb)
{
	return late_world_clock(mb->w);
}

static void late_advance(struct mesh_board *mb, uint64_t ns)
{
	late_world_advance(mb->w, ns);
}

static uint64_t late_next(struct mesh_board *mb)
{
	return late_world_next(mb->w);
}

static int late_create(struct mesh_board *mb, unsigned int nic, const struct fw_strap *strap,
		       struct script_port *const *ports)
{
	mb->nic[nic] = late_nic_create(mb->w, nic, strap, ports);
	return mb->nic[nic] ? 0 : -1;
}

static void late_kill(struct mesh_board *mb, unsigned int nic)
{
	late_nic_kill(mb->nic[nic]);
}

static uint64_t late_step(struct mesh_board *mb, unsigned int nic)
{
	return late_nic_step(mb->nic[nic]);
}

static void late_sleep(struct mesh_board *mb, unsigned int nic, bool asleep)
{
	fw_sleep(late_nic_fw(mb->nic[nic]), asleep);
}

static bool late_busy(struct mesh_board *mb, unsigned int nic)
{
	return late_nic_busy(mb->nic[nic]);
}

static bool late_bell_taken(struct mesh_board *mb, unsigned int nic)
{
	return late_nic_take_bell(mb->nic[nic]);
}

static uint64_t late_reg_read(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes)
{
	return fw_reg_read(late_nic_fw(mb->nic[nic]), off, bytes);
}

static void late_reg_write(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	fw_reg_write(late_nic_fw(mb->nic[nic]), off, bytes, v);
}

static void late_bus_master(struct mesh_board *mb, unsigned int nic, bool on)
{
	late_nic_bus_master(mb->nic[nic], on);
}

static int late_map(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, unsigned int target,
		    uint64_t offset, bool write)
{
	return late_nic_map(mb->nic[nic], bus, size, mb->nic[target], NULL, offset,
			    LATE_PROT_READ | (write ? LATE_PROT_WRITE : 0));
}

static int late_map_host(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, void *mem, int fd,
			 uint64_t fd_off)
{
	return late_nic_map(mb->nic[nic], bus, size, NULL, mem, 0, LATE_PROT_READ | LATE_PROT_WRITE);
}

static void *late_mem(struct mesh_board *mb, unsigned int nic, uint64_t offset)
{
	return late_nic_mem(mb->nic[nic], offset);
}

static void late_unmap(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size)
{
	late_nic_unmap(mb->nic[nic], bus, size);
}

static const uint64_t *late_events(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_events(late_nic_fw(mb->nic[nic]));
}

static const uint64_t *late_drops(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_drops(late_nic_fw(mb->nic[nic]));
}

static uint64_t late_held(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_held(late_nic_fw(mb->nic[nic]));
}

static int late_peer(struct mesh_board *mb, unsigned int nic, unsigned int peer, struct fw_peer_info *info)
{
	return fw_peer_info(late_nic_fw(mb->nic[nic]), peer, info);
}

static uint64_t late_faults(struct mesh_board *mb, unsigned int nic)
{
	return board_fault_count(mb->nic[nic]);
}

static uint64_t late_overruns(struct mesh_board *mb, unsigned int nic)
{
	return late_nic_overruns(mb->nic[nic]);
}

static bool late_far_ring(struct fw_nic *to, struct fw_prod *p, struct fw_cons *c, uint32_t at)
{
	struct p2p_desc *descs = (struct p2p_desc *)(uintptr_t)c->descs;
	le32 *told = (le32 *)(uintptr_t)&p->comp->w[P2P_CL_CONS];
	uint32_t next = (at & ~c->mask) | (c->next & c->mask), slot;

	if (to->mode == P2P_MODE_BN || !p->open || !c->open || p->prod != p->cons || c->next != p->prod ||
	    (to->mode == P2P_MODE_RD && c->fetch != c->next) || c->told != c->next ||
	    le32_load_acquire(told) != c->next)
		return false;
	le32_store_release(told, next);
	p->prod = p->ready = p->pub = p->cons = p->bad_cons = next;
	c->next = c->done = c->told = c->published = next;
	if (to->mode == P2P_MODE_RD)
		c->fetch = next;
	/* A ring that was never used has zeros, and 0 is a number on the way. */
	for (slot = 0; slot <= c->mask; slot++) {
		descs[(next + slot) & c->mask].seq = to_le32(next + slot - c->mask - 1);
		if (to->scrub)
			fw_cons_scrub(to, c, (next + slot) & c->mask, next + slot, c->buf_size / to->stride);
	}
	return true;
}

static bool late_far(struct mesh_board *mb, unsigned int from, unsigned int to, uint32_t at)
{
	struct fw_nic *i = late_nic_fw(mb->nic[from]), *j = late_nic_fw(mb->nic[to]);
	unsigned int r;

	for (r = 0; r <= j->ports; r++)
		if (!late_far_ring(j, &i->peer[to].prod[r], &j->peer[from].cons[r], at))
			return false;
	return true;
}

static uint32_t late_flooding(struct mesh_board *mb, unsigned int nic)
{
	const struct fw_nic *n = late_nic_fw(mb->nic[nic]);
	uint32_t owed = 0;
	unsigned int i;

	for (i = 0; i < P2P_MAX_NICS; i++)
		owed += (uint32_t)__builtin_popcount(n->peer[i].cons[n->ports].flood_mask);
	return owed;
}

static struct fault_set *late_rules(struct mesh_board *mb)
{
	return late_world_faults(mb->w);
}

const struct mesh_ops mesh_late = {
	.name = "late", .late = true, .open = late_open, .close = late_close, .clock = late_clock,
	.advance = late_advance, .next = late_next, .nic_create = late_create, .nic_kill = late_kill,
	.step = late_step, .sleep = late_sleep, .busy = late_busy, .take_bell = late_bell_taken,
	.reg_read = late_reg_read, .reg_write = late_reg_write, .bus_master = late_bus_master, .map = late_map,
	.map_host = late_map_host, .mem = late_mem, .unmap = late_unmap, .events = late_events, .drops = late_drops,
	.held = late_held, .peer = late_peer,
	.faults = late_faults, .overruns = late_overruns, .far = late_far, .flooding = late_flooding,
	.fault_rules = late_rules, .jump_then = late_jump_then,
};
