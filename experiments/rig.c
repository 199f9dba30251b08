/* SPDX-License-Identifier: BSD-3-Clause */
/* Fabric, NICs, host and bring-up from a configuration. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define RIG_MEM_MIN (2ull << 20)
#define RIG_MEM_MAX (64ull << 20) /* of a NIC, as far as the least number of slots allows */
#define RIG_MEET_NS 50000000ull /* bring-up, in virtual time */

static int rig_say(char err[EXP_ERR_MAX], const char *name, const char *why)
{
	snprintf(err, EXP_ERR_MAX, "%s: %.300s", name, why);
	return -EINVAL;
}

/* ---- parts ---- */
static double least(double a, double b)
{
	return a < b ? a : b;
}

/* What a switch's port receives. */
static struct fab_credits rig_credits(const struct sim_switch_profile *p)
{
	struct fab_credits c;
	unsigned int k;

	for (k = 0; k < FAB_NUM_CLASSES; k++) {
		c.hdr[k] = (uint32_t)p->hdr_credits;
		c.data_bytes[k] = (uint32_t)p->data_credits;
	}
	return c;
}

static int rig_switch(struct exp_rig *r, unsigned int k, char err[EXP_ERR_MAX])
{
	const struct exp_node *n = &r->c->node[k], *up = n->parent < 0 ? NULL : &r->c->node[n->parent];
	const struct sim_switch_profile *p = &n->p.sw;
	struct fab_switch_cfg cfg = { .latency_ps = (uint64_t)(p->latency * 1000), .lanes = (uint32_t)p->lanes };
	struct fab_link_cfg link;
	char why[FAB_ERR_MAX];
	int rc;

	cfg.loss.congested = r->c->s.lossy;
	cfg.loss.ppm[FAB_MWR] = r->c->s.loss_ppm;
	if (up) {
		fab_link_cfg_init(&link, n->gen, n->width ? n->width : 16);
		link.mps = (uint32_t)(up->kind == EXP_SWITCH ? least(p->mps, up->p.sw.mps) : p->mps);
		link.bit_error_rate = p->bit_error_rate;
		if (p->dllp_share >= 0) {
			link.dllp = FAB_DLLP_SHARE;
			link.dllp_share = p->dllp_share;
		}
		link.down = rig_credits(p);
		link.up = rig_credits(up->kind == EXP_SWITCH ? &up->p.sw : p);
	}
	rc = fab_add_switch(sim_world_fabric(r->w), n->name, up ? r->node[n->parent] : NULL, up ? &link : NULL, &cfg,
			    &r->node[k], why);
	if (rc)
		rig_say(err, n->name, why);
	return rc;
}

static int rig_macs(struct exp_rig *r, unsigned int k, char err[EXP_ERR_MAX])
{
	const struct exp_node *n = &r->c->node[k];
	char name[FAB_NAME_MAX + 12]; /* a dot and any number */
	unsigned int p;
	int rc = 0;

	for (p = 0; !rc && p < n->ports; p++) {
		snprintf(name, sizeof(name), "%s.%u", n->name, p);
		rc = sim_mac_create(r->w, &r->prof[k], name, &r->mac[k][p]);
		if (rc)
			rig_say(err, name, strerror(-rc));
	}
	return rc;
}

static uint32_t rig_buf_size(const struct exp_config *c)
{
	static const uint32_t sizes[] = { 2048, 4096, 9728 };
	unsigned int k, i = 0;

	for (k = 0; k < c->num_sources; k++)
		while (sizes[i] < c->source[k].frame_bytes && i < 2)
			i++;
	return sizes[i];
}

/* What all NICs agree upon: the most slots, of the profile's number at most, that fit. */
static void rig_shape(const struct exp_rig *r, struct p2p_shape *s)
{
	const struct exp_config *c = r->c;
	unsigned int k;

	*s = (struct p2p_shape){ .buf_size = rig_buf_size(c), .route_bytes = c->s.routed ? SIM_ROUTE_BYTES : 0 };
	for (k = 0; k < c->num_nodes; k++) {
		const struct exp_node *n = &c->node[k];

		if (n->kind != EXP_NIC)
			continue;
		s->nics++;
		if (n->ports > s->ports)
			s->ports = n->ports;
		if (!s->slots || n->p.nic.slots < s->slots)
			s->slots = (uint32_t)n->p.nic.slots;
		if (!s->rx_bufs || n->p.nic.rx_bufs < s->rx_bufs)
			s->rx_bufs = (uint32_t)n->p.nic.rx_bufs;
	}
	if (c->s.slots)
		s->slots = c->s.slots;
	while (s->slots & (s->slots - 1))
		s->slots &= s->slots - 1;
	while (!c->s.slots && s->slots > P2P_MIN_SLOTS && p2p_memory_needed(s) > RIG_MEM_MAX)
		s->slots /= 2;
	while (s->rx_bufs > 64 && p2p_memory_needed(s) > RIG_MEM_MAX)
		s->rx_bufs /= 2;
}

static void rig_strap(const struct exp_node *n, unsigned int index, struct p2p_shape shape, struct fw_strap *strap)
{
	unsigned int p;

	*strap = (struct fw_strap){ .ports = n->ports, .buf_size = shape.buf_size, .mem_bytes = RIG_MEM_MIN };
	while (strap->mem_bytes < p2p_memory_needed(&shape))
		strap->mem_bytes *= 2;
	for (p = 0; p < n->ports; p++) {
		strap->mac[p][0] = 0x02; /* locally administered */
		strap->mac[p][4] = (uint8_t)index;
		strap->mac[p][5] = (uint8_t)p;
	}
}

static int rig_nic(struct exp_rig *r, unsigned int k, const struct p2p_shape *shape, char err[EXP_ERR_MAX])
{
	const struct exp_node *n = &r->c->node[k], *up = &r->c->node[n->parent];
	struct fab_credits credits;
	struct board_ctx *b = NULL;
	struct sim_pmd_nic *pn;
	char why[FAB_ERR_MAX];
	struct fw_strap strap;
	int rc;

	r->prof[k] = n->p.nic;
	r->prof[k].pcie_gen = n->gen;
	r->prof[k].pcie_width = n->width;
	if (up->kind == EXP_SWITCH)
		r->prof[k].mps = least(n->p.nic.mps, up->p.sw.mps);
	r->index[k] = r->num_nics;
	rc = rig_macs(r, k, err);
	if (rc)
		return rc;
	if (r->pmd) {
		rc = sim_pmd_add_nic(r->pmd, n->name, &r->prof[k], r->node[n->parent], r->mac[k], n->ports, &pn, why);
		if (!rc)
			r->node[k] = sim_pmd_node(r->pmd, r->num_nics);
	} else {
		rig_strap(n, r->num_nics, *shape, &strap);
		rc = sim_nic_create(r->w, n->name, &r->prof[k], r->node[n->parent], &strap, r->mac[k], &b, why);
		if (!rc) {
			r->nic[r->num_nics] = b;
			r->node[k] = sim_nic_node(b);
		}
	}
	if (!rc && up->kind == EXP_SWITCH) {
		credits = rig_credits(&up->p.sw);
		rc = fab_link_credits(r->node[k], true, &credits, why);
	}
	if (rc)
		return rig_say(err, n->name, why), rc;
	r->num_nics++;
	return 0;
}

static int rig_parts(struct exp_rig *r, const struct p2p_shape *shape, char err[EXP_ERR_MAX])
{
	const struct exp_config *c = r->c;
	struct sim_host_profile host;
	char why[FAB_ERR_MAX];
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < c->num_nodes; k++) {
		switch (c->node[k].kind) {
		case EXP_HOST:
			host = c->node[k].p.host;
			host.batch = c->s.batch;
			rc = sim_host_create(r->w, c->node[k].name, &host, &r->host, why);
			if (rc)
				rig_say(err, c->node[k].name, why);
			else
				r->node[k] = sim_host_node(r->host);
			break;
		case EXP_SWITCH:
			rc = rig_switch(r, k, err);
			break;
		default:
			if (!r->num_nics && !exp_is_firmware(c->s.method)) {
				rc = sim_pmd_create(r->host, c->s.method == EXP_L3FWD ? SIM_PMD_L3FWD : SIM_PMD_TESTPMD,
						    &r->pmd);
				if (!rc)
					rc = sim_pmd_buffers(r->pmd, shape->buf_size);
				if (rc) {
					rig_say(err, exp_methods[c->s.method], strerror(-rc));
					break;
				}
			}
			rc = rig_nic(r, k, shape, err);
			break;
		}
	}
	if (rc)
		return rc;
	rc = fab_finish(sim_world_fabric(r->w), why);
	if (rc)
		rig_say(err, "fabric", why);
	return rc;
}

/* ---- bring-up ---- */
static int rig_up_pmd(struct exp_rig *r, char err[EXP_ERR_MAX])
{
	const struct exp_config *c = r->c;
	char why[FAB_ERR_MAX];
	unsigned int k;
	int rc;

	for (k = 0; k < c->num_pairs; k++)
		sim_pmd_pair(r->pmd, r->index[c->pair[k].nic], c->pair[k].port, r->index[c->pair[k].to_nic],
			     c->pair[k].to_port);
	rc = sim_pmd_start(r->pmd, why);
	if (rc)
		rig_say(err, exp_methods[c->s.method], why);
	return rc;
}

static int rig_up_mesh(struct exp_rig *r, const struct p2p_shape *shape, char err[EXP_ERR_MAX])
{
	const struct exp_config *c = r->c;
	struct sim_mesh_cfg cfg = { .mode = (enum p2p_mode)c->s.method,
				    .batch = c->s.batch,
				    .stride = c->s.stride,
				    .slots = shape->slots,
				    .rx_bufs = shape->rx_bufs };
	struct sim_pair pairs[EXP_MAX_PAIRS];
	char why[FAB_ERR_MAX];
	unsigned int k;
	int rc = 0;

	cfg.flags = (c->s.scrub ? P2P_FLAG_SCRUB : 0) | (c->s.backpressure ? P2P_FLAG_BACKPRESSURE : 0) |
		    (c->s.routed ? P2P_FLAG_ROUTE : 0);
	for (k = 0; k < c->num_pairs; k++)
		pairs[k] = (struct sim_pair){ r->index[c->pair[k].nic], c->pair[k].port, r->index[c->pair[k].to_nic],
					      c->pair[k].to_port };
	if (c->s.method == EXP_BN)
		rc = sim_bn_create(r->host, &cfg, r->nic, r->num_nics, &r->bn, why);
	if (!rc)
		rc = sim_mesh_up(r->w, r->nic, r->num_nics, &cfg, pairs, c->num_pairs, r->bn, why);
	if (!rc && r->bn)
		rc = sim_bn_start(r->bn, why);
	if (!rc)
		rc = sim_mesh_wait(r->w, r->nic, r->num_nics, r->bn, RIG_MEET_NS, why);
	if (rc)
		rig_say(err, exp_methods[c->s.method], why);
	return rc;
}

int exp_rig_build(struct exp_rig *r, const struct exp_config *c, char err[EXP_ERR_MAX])
{
	struct p2p_shape shape;
	int rc;

	memset(r, 0, sizeof(*r));
	r->c = c;
	r->w = sim_world_create(c->s.seed);
	if (!r->w) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	rig_shape(r, &shape);
	rc = rig_parts(r, &shape, err);
	if (!rc)
		rc = r->pmd ? rig_up_pmd(r, err) : rig_up_mesh(r, &shape, err);
	if (rc)
		exp_rig_destroy(r);
	return rc;
}

void exp_rig_destroy(struct exp_rig *r)
{
	unsigned int k, p;

	sim_bn_destroy(r->bn);
	sim_pmd_destroy(r->pmd);
	sim_host_destroy(r->host);
	sim_world_destroy(r->w);
	for (k = 0; k < EXP_MAX_NODES; k++)
		for (p = 0; p < P2P_MAX_PORTS; p++)
			if (r->mac[k][p])
				sim_mac_destroy(r->mac[k][p]);
	memset(r, 0, sizeof(*r));
}

/* ---- traffic ---- */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64's finaliser */
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Routed: to the router's port, and to the network behind its pair's other end. */
static void source_routed(const struct exp_rig *r, const struct exp_source *from, struct sim_source *s)
{
	const struct exp_config *c = r->c;
	const uint8_t port[6] = { 0x02, 0, 0, 0, (uint8_t)r->index[from->nic], (uint8_t)from->port };
	unsigned int k;

	memcpy(s->dst, port, 6);
	for (k = 0; k < c->num_pairs; k++)
		if (c->pair[k].nic == from->nic && c->pair[k].port == from->port)
			s->net = sim_route_net(r->index[c->pair[k].to_nic], c->pair[k].to_port);
}

void exp_rig_go(struct exp_rig *r)
{
	const struct exp_config *c = r->c;
	uint64_t now = fab_now(sim_world_queue(r->w));
	unsigned int k;

	for (k = 0; k < c->num_sources; k++) {
		const struct exp_source *from = &c->source[k];
		struct sim_source s = {
			.gbps = from->gbps,
			.frame_bytes = from->frame_bytes,
			.arrival = from->arrival ? SIM_ARRIVE_POISSON : SIM_ARRIVE_EVEN,
			.flows = from->flows,
			.id = (uint16_t)(k + 1),
			.start_ps = now,
			.stop_ps = FAB_NEVER,
			.seed = mix(c->s.seed * 0x9e3779b97f4a7c15ull + k + 1),
			.dst = { 0x02, 0, 0, 1, 0, (uint8_t)k },
			.src = { 0x02, 0, 0, 2, 0, (uint8_t)k },
		};

		if (c->s.routed)
			source_routed(r, from, &s);
		/* Ports don't begin at the same instant: within the time of one frame. */
		s.start_ps += s.seed % (uint64_t)((from->frame_bytes + 20) * 8 / from->gbps * 1000 + 1);
		sim_mac_source(r->mac[from->nic][from->port], &s);
		if (!r->pmd)
			sim_nic_wake(r->nic[r->index[from->nic]], s.start_ps);
	}
}

void exp_rig_reset(struct exp_rig *r)
{
	const struct exp_config *c = r->c;
	unsigned int k, p;

	fab_stats_reset(sim_world_fabric(r->w));
	for (k = 0; k < c->num_nodes; k++)
		for (p = 0; p < c->node[k].ports; p++)
			sim_mac_reset(r->mac[k][p]);
	for (k = 0; !r->pmd && k < r->num_nics; k++)
		sim_nic_stats_reset(r->nic[k]);
	if (r->pmd)
		sim_pmd_stats_reset(r->pmd);
	if (r->bn)
		sim_bn_stats_reset(r->bn);
	r->base_events = fab_queue_count(sim_world_queue(r->w));
	exp_rig_drops(r, r->base_drops, &r->base_host_drops);
}

void exp_rig_drops(const struct exp_rig *r, uint64_t drops[P2P_NUM_DROPS], uint64_t *host)
{
	unsigned int k, d;

	memset(drops, 0, sizeof(*drops) * P2P_NUM_DROPS);
	for (k = 0; !r->pmd && k < r->num_nics; k++)
		for (d = 0; d < P2P_NUM_DROPS; d++)
			drops[d] += fw_nic_drops(sim_nic_fw(r->nic[k]))[d];
	*host = r->pmd ? sim_pmd_drops(r->pmd) : r->bn ? sim_bn_drops(r->bn) : 0;
}
