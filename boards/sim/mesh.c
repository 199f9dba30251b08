/* SPDX-License-Identifier: BSD-3-Clause */
/* NICs at rest become a mesh, by their registers and in the driver's order (design section 4). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "internal.h"

#define WAIT_STEP_PS 100000000ull

static int fail(char err[FAB_ERR_MAX], int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int fail(char err[FAB_ERR_MAX], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, FAB_ERR_MAX, fmt, ap);
	va_end(ap);
	return rc;
}

static void reg_write(struct board_ctx *b, uint32_t off, uint32_t bytes, uint64_t v)
{
	fw_reg_write(sim_nic_fw(b), off, bytes, v);
}

static const char *nic_name(struct board_ctx *b)
{
	return fab_node_name(sim_nic_node(b));
}

static int mesh_configure(struct board_ctx *b, unsigned int index, unsigned int n, const struct sim_mesh_cfg *cfg,
			  char err[FAB_ERR_MAX])
{
	const struct { uint32_t off, v; } reg[] = {
		{ P2P_NIC_INDEX, index },
		{ P2P_NUM_NICS, n },
		{ P2P_SLOTS, cfg->slots },
		{ P2P_RX_BUFS, cfg->rx_bufs },
		{ P2P_MODE, cfg->mode },
		{ P2P_BATCH, cfg->batch },
		{ P2P_STRIDE, cfg->stride },
		{ P2P_FLAGS, cfg->flags },
		{ P2P_CONTROL, P2P_CTL_CONFIGURE },
	};
	unsigned int k;

	sim_nic_bus_master(b, true);
	reg_write(b, P2P_CONTROL, 4, P2P_CTL_RESET);
	if (cfg->flags & P2P_FLAG_ROUTE)
		reg_write(b, P2P_ROUTE_BYTES, 8, SIM_ROUTE_BYTES);
	for (k = 0; k < P2P_ARRAY_SIZE(reg); k++)
		reg_write(b, reg[k].off, 4, reg[k].v);
	if (fw_reg_read(sim_nic_fw(b), P2P_STATUS, 4) & P2P_ST_CONFIGURED)
		return 0;
	return fail(err, -EINVAL, "%s: refused its configuration (%u slots, %u buffers, batch %u, stride %u): %s; it needs %llu bytes",
		    nic_name(b), cfg->slots, cfg->rx_bufs, cfg->batch, cfg->stride,
		    strerror((int)fw_reg_read(sim_nic_fw(b), P2P_ERROR, 4)),
		    (unsigned long long)fw_reg_read(sim_nic_fw(b), P2P_MEM_NEEDED, 8));
}

static int map_segment(struct board_ctx *from, struct board_ctx *to, unsigned int seg, bool write)
{
	const struct p2p_shape *s = fw_nic_shape(sim_nic_fw(to));
	uint64_t bus = sim_nic_bar2(to) + p2p_seg_offset(s, seg);

	return sim_nic_map(from, bus, p2p_seg_bytes(s, p2p_seg_kind(s, seg)), bus, true, write);
}

/* The address map of `from` for what it may reach in `to`. */
static int mesh_map(struct board_ctx *from, unsigned int from_index, struct board_ctx *to, enum p2p_mode mode)
{
	const struct p2p_shape *s = fw_nic_shape(sim_nic_fw(to));
	unsigned int p;
	int rc;

	rc = map_segment(from, to, p2p_seg_ring(s, from_index), true);
	for (p = 0; !rc && p <= s->ports; p++)
		rc = map_segment(from, to, p2p_seg_buf(s, p, from_index), true);
	for (p = 0; !rc && p < s->ports && mode == P2P_MODE_RD; p++)
		rc = map_segment(from, to, p2p_seg_rx(s, p), false);
	return rc;
}

/* NIC `from` is told of NIC `to`. */
static void mesh_introduce(struct board_ctx *from, unsigned int from_index, struct board_ctx *to, unsigned int to_index)
{
	const struct p2p_shape *s = fw_nic_shape(sim_nic_fw(to));
	uint32_t at = P2P_PEER_BLOCK + to_index * P2P_PEER_BLOCK_BYTES;
	uint64_t buf0 = p2p_seg_offset(s, p2p_seg_buf(s, 0, from_index));

	reg_write(from, at + P2P_PEER_BAR2, 8, from == to ? P2P_BUS_LOCAL : sim_nic_bar2(to));
	reg_write(from, at + P2P_PEER_RING, 8, p2p_seg_offset(s, p2p_seg_ring(s, from_index)));
	reg_write(from, at + P2P_PEER_BUF, 8, buf0);
	reg_write(from, at + P2P_PEER_BUF_STEP, 8, p2p_seg_offset(s, p2p_seg_buf(s, 1, from_index)) - buf0);
	reg_write(from, at + P2P_PEER_RX, 8, p2p_seg_offset(s, p2p_seg_rx(s, 0)));
	reg_write(from, at + P2P_PEER_RX_BYTES, 8, s->ports * p2p_seg_bytes(s, P2P_SEG_RX));
	reg_write(from, at + P2P_PEER_PORTS, 4, s->ports);
	reg_write(from, at + P2P_PEER_SLOTS, 4, s->slots);
	reg_write(from, at + P2P_PEER_BUF_SIZE, 4, s->buf_size);
	reg_write(from, at + P2P_PEER_CTRL, 4, 1);
}

static int mesh_pair(struct board_ctx *const *nics, unsigned int n, const struct sim_pair *pair, char err[FAB_ERR_MAX])
{
	if (pair->nic >= n || pair->to_nic >= n || pair->port >= fw_nic_shape(sim_nic_fw(nics[pair->nic]))->ports ||
	    pair->to_port >= fw_nic_shape(sim_nic_fw(nics[pair->to_nic]))->ports)
		return fail(err, -EINVAL, "pair of port %u of NIC %u and port %u of NIC %u: there is no such port",
			    pair->port, pair->nic, pair->to_port, pair->to_nic);
	reg_write(nics[pair->nic], P2P_PORT_BLOCK + pair->port * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR, 4,
		  P2P_PAIR(pair->to_nic, pair->to_port));
	return 0;
}

static int mesh_enable(struct board_ctx *b, char err[FAB_ERR_MAX])
{
	reg_write(b, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	if (!fw_nic_running(sim_nic_fw(b)))
		return fail(err, -EIO, "%s: does not start: %s", nic_name(b),
			    strerror((int)fw_reg_read(sim_nic_fw(b), P2P_ERROR, 4)));
	sim_nic_wake(b, 0);
	return 0;
}

int sim_mesh_up(struct sim_world *w, struct board_ctx *const *nics, unsigned int n, const struct sim_mesh_cfg *cfg,
		const struct sim_pair *pairs, unsigned int num_pairs, struct sim_bn *bn, char err[FAB_ERR_MAX])
{
	unsigned int i, j;
	int rc = 0;

	if (!n || n > P2P_MAX_NICS)
		return fail(err, -EINVAL, "%u NICs: a mesh has 1 to %d", n, P2P_MAX_NICS);
	if ((cfg->mode == P2P_MODE_BN) != (bn != NULL))
		return fail(err, -EINVAL, "bn needs a host, and wr and rd none");
	for (i = 0; !rc && i < n; i++)
		rc = mesh_configure(nics[i], i, n, cfg, err);
	for (i = 0; !rc && i < n; i++) {
		for (j = 0; !rc && j < n; j++) {
			rc = i == j ? 0 : mesh_map(nics[i], i, nics[j], cfg->mode);
			if (rc)
				return fail(err, rc, "%s can't be mapped for %s: %s", nic_name(nics[j]), nic_name(nics[i]),
					    strerror(-rc));
			mesh_introduce(nics[i], i, nics[j], j);
		}
	}
	for (i = 0; !rc && bn && i < n; i++) {
		rc = sim_bn_introduce(bn, i);
		if (rc)
			return fail(err, rc, "main memory can't be mapped for %s: %s", nic_name(nics[i]), strerror(-rc));
	}
	for (i = 0; !rc && i < n && (cfg->flags & P2P_FLAG_ROUTE); i++)
		if (!sim_route_make(nics[i], nics, pairs, num_pairs))
			return fail(err, -EINVAL, "%s does not take its route table", nic_name(nics[i]));
	for (i = 0; !rc && i < num_pairs && !(cfg->flags & P2P_FLAG_ROUTE); i++)
		rc = mesh_pair(nics, n, &pairs[i], err);
	for (i = 0; !rc && i < n; i++)
		rc = mesh_enable(nics[i], err);
	if (!rc && bn)
		rc = sim_bn_start(bn, err);
	return rc;
}

/* NICs that do not see each other yet, or NULL. */
static struct board_ctx *mesh_waits(struct board_ctx *const *nics, unsigned int n, struct sim_bn *bn)
{
	unsigned int i, j;

	if (bn && !sim_bn_ready(bn))
		return nics[0];
	for (i = 0; i < n; i++)
		for (j = 0; j < n; j++)
			if (fw_reg_read(sim_nic_fw(nics[i]), P2P_PEER_BLOCK + j * P2P_PEER_BLOCK_BYTES + P2P_PEER_STATE, 4) !=
			    P2P_PEER_UP)
				return nics[i];
	return NULL;
}

int sim_mesh_wait(struct sim_world *w, struct board_ctx *const *nics, unsigned int n, struct sim_bn *bn,
		  uint64_t max_ns, char err[FAB_ERR_MAX])
{
	uint64_t now_ps = fab_now(sim_world_queue(w)), end_ps = now_ps + max_ns * 1000;
	struct board_ctx *late;

	while ((late = mesh_waits(nics, n, bn))) {
		if (now_ps >= end_ps)
			return fail(err, -ETIMEDOUT, "%s does not see all its peers after %.3f ms", nic_name(late),
				    (double)max_ns / 1e6);
		now_ps = end_ps - now_ps < WAIT_STEP_PS ? end_ps : now_ps + WAIT_STEP_PS;
		sim_world_run(w, now_ps);
	}
	return 0;
}
