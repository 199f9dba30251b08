/* SPDX-License-Identifier: BSD-3-Clause */
/* The soft board as a board of the mesh: no worker; its NICs are stepped here, in virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boards/soft/internal.h>
#include <ports/guard.h>
#include "cable.h"
#include "mesh.h"

struct mesh_board {
	uint64_t now_ns;
	uint64_t seed;
	unsigned int nics, lives;
	struct soft_nic *nic[P2P_MAX_NICS], *grave[64];
	unsigned int graves;
	int bell[P2P_MAX_NICS];
	struct mesh_cable cable[P2P_MAX_NICS][P2P_MAX_PORTS];
	struct fault_set faults;
	bool faulty;
};

static struct mesh_board *soft_open(const struct mesh_board_cfg *cfg)
{
	struct mesh_board *mb = calloc(1, sizeof(*mb));
	unsigned int i;

	if (!mb)
		abort();
	mb->now_ns = 1000000000;
	mb->seed = cfg->seed;
	mb->nics = cfg->nics;
	for (i = 0; i < cfg->nics; i++) {
		mb->bell[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (mb->bell[i] < 0)
			abort();
	}
	return mb;
}

/* The step and the copying as on a CPU with no more than CRC32. */
static struct mesh_board *plain_open(const struct mesh_board_cfg *cfg)
{
	if (soft_copy_best() > SOFT_COPY_CRC && soft_copy_select(SOFT_COPY_CRC))
		abort();
	return soft_open(cfg);
}

static void soft_close(struct mesh_board *mb)
{
	unsigned int i;

	for (i = 0; i < mb->nics; i++)
		soft_nic_destroy(mb->nic[i]);
	for (i = 0; i < mb->graves; i++)
		soft_nic_destroy(mb->grave[i]);
	for (i = 0; i < mb->nics; i++)
		close(mb->bell[i]);
	free(mb);
}

static const uint64_t *soft_clock(struct mesh_board *mb)
{
	return &mb->now_ns;
}

static void soft_advance(struct mesh_board *mb, uint64_t ns)
{
	mb->now_ns += ns;
}

static uint64_t soft_next(struct mesh_board *mb)
{
	return UINT64_MAX;
}

/* The memory that peers' buffers lie in: what the port is told of at start. */
static bool soft_seg_ok(void *arg, const struct p2p_seg *seg, bool rx)
{
	const struct soft_nic *nic = arg;
	const struct soft_memory *m = &nic->mem;
	unsigned int p, s;

	for (p = 0; p < m->shape.ports && rx && seg->region == 1 + m->shape.nics; p++) {
		const struct port_region *place = &nic->context[0].place[p];

		if (seg->data >= place->base && seg->data + seg->len <= place->base + place->size)
			return true;
	}
	for (p = 0; p < m->shape.ports && m->n; p++) {
		if (seg->region > m->shape.nics || rx != (seg->region == 0))
			return false;
		s = rx ? p2p_seg_rx(&m->shape, p) : p2p_seg_buf(&m->shape, p, seg->region - 1u);
		if (seg->data >= m->base + m->seg[s].offset &&
		    seg->data + seg->len <= m->base + m->seg[s].offset + m->seg[s].bytes)
			return true;
	}
	return false;
}

/* All NICs go by one set; without one none leaves the fast path. */
static void soft_befall(struct mesh_board *mb, unsigned int nic)
{
	struct soft_context *c = &mb->nic[nic]->context[0];

	if (c->fault)
		return;
	if (soft_fault_make(c, &mb->faults, 0))
		abort();
	c->fault->set = &mb->faults;
	soft_nic_retranslate(mb->nic[nic]);
}

static struct fault_set *soft_rules(struct mesh_board *mb)
{
	unsigned int i;

	mb->faulty = true;
	for (i = 0; i < mb->nics; i++)
		if (mb->nic[i])
			soft_befall(mb, i);
	return &mb->faults;
}

static void soft_set_clock(struct mesh_board *mb, unsigned int nic)
{
	struct soft_context *c = &mb->nic[nic]->context[0];

	c->ctx.now_ns = soft_fault_clock(c, mb->now_ns);
}

static int soft_create(struct mesh_board *mb, unsigned int nic, const struct fw_strap *strap,
		       struct script_port *const *ports)
{
	struct soft_nic_opts opts = { .mem_bytes = strap->mem_bytes, .buf_size = strap->buf_size, .ports = strap->ports,
				      .rx_burst = 32 };
	char err[SOFT_ERR_MAX], name[16];
	unsigned int p, i;
	int fd;

	if (mb->nic[nic]) {
		if (mb->graves == P2P_ARRAY_SIZE(mb->grave))
			return -ENOSPC;
		/* Its ports serve the next life. */
		mb->nic[nic]->context[0].ctx.ports_on = false;
		memset(mb->nic[nic]->context[0].port_started, 0, sizeof(mb->nic[nic]->context[0].port_started));
		mb->grave[mb->graves++] = mb->nic[nic];
		mb->nic[nic] = NULL;
	}
	snprintf(name, sizeof(name), "nic%u", nic);
	opts.name = name;
	for (p = 0; p < strap->ports; p++) {
		mb->cable[nic][p] = (struct mesh_cable){ .port = { .ops = &mesh_cable_ops }, .sp = ports[p] };
		opts.port[p] = &mb->cable[nic][p].port;
		memcpy(opts.mac[p], strap->mac[p], 6);
	}
	if (soft_nic_create(&mb->nic[nic], &opts, err)) {
		fprintf(stderr, "%s\n", err);
		return -ENOMEM;
	}
	for (p = 0; p < strap->ports; p++)
		script_port_check(ports[p], soft_seg_ok, mb->nic[nic]);
	for (i = 0; i < mb->nics; i++) {
		fd = mb->bell[i];
		if (soft_function_ops.irq_set(mb->nic[nic], P2P_IRQ_BELL, i, 1, &fd) < 0)
			return -EIO;
	}
	soft_set_clock(mb, nic);
	if (mb->faulty)
		soft_befall(mb, nic);
	mb->nic[nic]->context[0].random_seed = mesh_board_seed(mb->seed, mb->lives++);
	return 0;
}

static void soft_kill(struct mesh_board *mb, unsigned int nic)
{
	mb->nic[nic]->context[0].ctx.ports_on = false;
}

static uint64_t soft_step(struct mesh_board *mb, unsigned int nic)
{
	/* As a worker's control does it now and then. */
	if (guard_hits() != mb->nic[nic]->context[0].guard_hits)
		soft_context_hit(&mb->nic[nic]->context[0]);
	return soft_context_step(&mb->nic[nic]->context[0], mb->now_ns);
}

static void soft_sleep(struct mesh_board *mb, unsigned int nic, bool asleep)
{
	soft_set_clock(mb, nic);
	fw_sleep(mb->nic[nic]->fw[0], asleep);
}

static bool soft_busy(struct mesh_board *mb, unsigned int nic)
{
	const struct soft_fault *f = mb->nic[nic]->context[0].fault;

	return f && f->head;
}

static bool soft_take_bell(struct mesh_board *mb, unsigned int nic)
{
	uint64_t n;

	return read(mb->bell[nic], &n, sizeof(n)) == sizeof(n);
}

static uint64_t soft_reg_read(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes)
{
	soft_set_clock(mb, nic);
	return fw_reg_read(mb->nic[nic]->fw[0], off, bytes);
}

static void soft_reg_write(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	soft_set_clock(mb, nic);
	fw_reg_write(mb->nic[nic]->fw[0], off, bytes, v);
}

static void soft_bus_master(struct mesh_board *mb, unsigned int nic, bool on)
{
	mb->nic[nic]->bus_master = on;
	soft_nic_retranslate(mb->nic[nic]);
	if (!on)
		soft_nic_unplace(mb->nic[nic], 0, UINT64_MAX);
}

static int soft_map(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, unsigned int target,
		    uint64_t offset, bool write)
{
	const struct soft_segment *seg = soft_memory_find(&mb->nic[target]->mem, offset);
	int err;

	if (!seg || seg->offset != offset || seg->bytes != size)
		return -EINVAL;
	err = soft_iommu_map(&mb->nic[nic]->iommu, bus, size, seg->share_fd, 0, P2P_DMA_READ | (write ? P2P_DMA_WRITE : 0));
	if (!err && (fw_reg_read(mb->nic[nic]->fw[0], P2P_FLAGS, 4) & P2P_FLAG_CUT))
		err = soft_iommu_keep(&mb->nic[nic]->iommu, bus, seg->share_fd);
	soft_nic_retranslate(mb->nic[nic]);
	return err;
}

static int soft_map_host(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, void *mem, int fd,
			 uint64_t fd_off)
{
	int err = soft_iommu_map(&mb->nic[nic]->iommu, bus, size, fd, fd_off, P2P_DMA_READ | P2P_DMA_WRITE);

	soft_nic_retranslate(mb->nic[nic]);
	return err;
}

static void *soft_mem(struct mesh_board *mb, unsigned int nic, uint64_t offset)
{
	return mb->nic[nic]->mem.base + offset;
}

static void soft_unmap(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size)
{
	struct soft_iommu *m = &mb->nic[nic]->iommu;
	unsigned int i = 0;

	while (i < m->n) {
		if (m->map[i].iova < bus || m->map[i].iova - bus >= size) {
			i++;
			continue;
		}
		soft_nic_unplace(mb->nic[nic], m->map[i].iova, m->map[i].bytes);
		soft_iommu_unmap(m, m->map[i].iova, m->map[i].bytes);
	}
	soft_nic_retranslate(mb->nic[nic]);
}

static const uint64_t *soft_events(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_events(mb->nic[nic]->fw[0]);
}

static const uint64_t *soft_drops(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_drops(mb->nic[nic]->fw[0]);
}

static uint64_t soft_held(struct mesh_board *mb, unsigned int nic)
{
	return fw_nic_held(mb->nic[nic]->fw[0]);
}

static int soft_peer(struct mesh_board *mb, unsigned int nic, unsigned int peer, struct fw_peer_info *info)
{
	return fw_peer_info(mb->nic[nic]->fw[0], peer, info);
}

static uint64_t soft_faults(struct mesh_board *mb, unsigned int nic)
{
	return p2p_count_read(&mb->nic[nic]->context[0].ctx.faults);
}

#define SOFT_OPS \
	.clock = soft_clock, .advance = soft_advance, .next = soft_next, \
	.nic_create = soft_create, .nic_kill = soft_kill, .step = soft_step, .sleep = soft_sleep, .busy = soft_busy, \
	.take_bell = soft_take_bell, .reg_read = soft_reg_read, .reg_write = soft_reg_write, .bus_master = soft_bus_master, \
	.map = soft_map, .map_host = soft_map_host, .mem = soft_mem, .unmap = soft_unmap, .events = soft_events, \
	.drops = soft_drops, .held = soft_held, .peer = soft_peer, .faults = soft_faults, .fault_rules = soft_rules

const struct mesh_ops mesh_soft = { .name = "soft", .open = soft_open, .close = soft_close, SOFT_OPS };
static void plain_close(struct mesh_board *mb)
{
	soft_close(mb);
	if (soft_copy_select(soft_copy_best()))
		abort();
}

const struct mesh_ops mesh_cut = { .name = "cut", .no_bn = true, .cut = true, .open = soft_open, .close = soft_close, SOFT_OPS };
const struct mesh_ops mesh_plain = { .name = "soft", .open = plain_open, .close = plain_close, SOFT_OPS };
