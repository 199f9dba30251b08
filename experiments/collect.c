/* SPDX-License-Identifier: BSD-3-Clause */
/* From counters to results. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define WIRE_EXTRA 20u /* preamble and gap of a frame */

struct collect {
	struct exp_rig *r;
	struct exp_result *out;
	double ps;
	uint32_t *ns; /* latencies of all ports */
	uint32_t num_ns, room;
};

static void add_resource(struct collect *c, enum exp_res_kind kind, double use, const char *name, const char *part)
{
	struct exp_resource *res = &c->out->res[c->out->num_res++];

	*res = (struct exp_resource){ .kind = kind, .use = use };
	snprintf(res->name, sizeof(res->name), "%s%s", name, part);
}

static void collect_link(struct collect *c, unsigned int k)
{
	const struct exp_node *n = &c->r->c->node[k];
	const struct fab_node *node = c->r->node[k];
	const struct fab_link_cfg *link = fab_node_link(node);
	unsigned int up;

	if (!link)
		return;
	for (up = 0; up < 2; up++) {
		const struct fab_dir_stats *s = fab_link_stats(node, up);
		double rate = n->gen ? fab_link_rate(link) * c->ps / FAB_PS_PER_S : 0;

		add_resource(c, EXP_RES_LINK, rate > 0 ? (double)(s->wire_bytes + s->replay_bytes) / rate : 0, n->name,
			     up ? " up" : " down");
		if (n->parent == 0 && c->r->c->node[0].kind == EXP_HOST)
			c->out->cpu_pcie_MBps += (double)(s->bytes[FAB_MWR] + s->bytes[FAB_CPLD]);
	}
}

static void collect_mac(struct collect *c, unsigned int k, unsigned int p)
{
	const struct exp_node *n = &c->r->c->node[k];
	struct port *mac = c->r->mac[k][p];
	struct exp_port_result *port = &c->out->port[c->out->num_ports++];
	uint64_t offered, missed, frames = 0;
	struct sim_sink_stats sink;
	unsigned int i, bytes = 0;
	double us = c->ps / 1e6, gbps = 0;
	char part[16];

	sim_mac_offered(mac, &offered, &missed);
	sim_mac_sink(mac, &sink);
	for (i = 0; i < c->r->c->num_sources; i++) {
		if (c->r->c->source[i].nic != k || c->r->c->source[i].port != p)
			continue;
		bytes = c->r->c->source[i].frame_bytes + WIRE_EXTRA;
		gbps = c->r->c->source[i].gbps;
	}
	snprintf(port->name, sizeof(port->name), "%s.%u", n->name, p);
	port->offered_mpps = (double)offered / us;
	port->offered_gbps = (double)offered * bytes * 8 / us / 1e3;
	port->missed = (double)missed;
	port->mpps = (double)sink.frames / us;
	port->gbps = (double)(sink.bytes + sink.frames * WIRE_EXTRA) * 8 / us / 1e3;
	c->out->offered_mpps += port->offered_mpps;
	c->out->offered_gbps += port->offered_gbps;
	c->out->missed += port->missed;
	c->out->mpps += port->mpps;
	c->out->gbps += port->gbps;
	c->out->corrupted += (double)sink.corrupted;
	c->out->reordered += (double)(sink.reordered + sink.duplicated);
	c->out->packets += (double)sink.frames;
	snprintf(part, sizeof(part), ".%u in", p);
	if (n->p.nic.mac_gbps > 0 && bytes) {
		add_resource(c, EXP_RES_MAC, gbps / n->p.nic.mac_gbps, n->name, part);
		c->out->res[c->out->num_res - 1].source = true;
	}
	snprintf(part, sizeof(part), ".%u out", p);
	if (n->p.nic.mac_gbps > 0 && sink.frames)
		add_resource(c, EXP_RES_MAC, (double)sink.wire_ps / c->ps, n->name, part);
	frames = sim_mac_latencies(mac, c->ns + c->num_ns, c->room - c->num_ns);
	c->num_ns += (uint32_t)frames;
}

static void collect_nic(struct collect *c, unsigned int k)
{
	const struct exp_node *n = &c->r->c->node[k];
	struct fab_node_stats node;
	struct sim_nic_stats s;
	unsigned int p;

	fab_node_stats(c->r->node[k], &node);
	add_resource(c, EXP_RES_MEMORY, (double)node.target_busy_ps / c->ps, n->name, " memory");
	if (c->r->pmd)
		sim_pmd_nic_stats(c->r->pmd, c->r->index[k], &s);
	else
		sim_nic_stats(c->r->nic[c->r->index[k]], &s);
	add_resource(c, EXP_RES_WORKERS, (double)s.work_ps / c->ps, n->name, " workers");
	add_resource(c, EXP_RES_DMA, (double)s.engine_write_ps / c->ps, n->name, " DMA writes");
	add_resource(c, EXP_RES_DMA, (double)s.engine_read_ps / c->ps, n->name, " DMA reads");
	add_resource(c, EXP_RES_FLIGHT, (double)s.write_full_ps / c->ps, n->name, " writes in flight");
	add_resource(c, EXP_RES_FLIGHT, (double)s.read_full_ps / c->ps, n->name, " reads in flight");
	for (p = 0; p < n->ports; p++)
		collect_mac(c, k, p);
}

static void collect_host(struct collect *c)
{
	const struct exp_rig *r = c->r;
	const struct exp_node *n = &r->c->node[0];
	struct fab_node_stats node;
	struct sim_cpu_stats cpu = { 0 };
	double cores = n->p.host.cores;

	fab_node_stats(r->node[0], &node);
	if (n->p.host.channel_rate > 0)
		add_resource(c, EXP_RES_CHANNELS, (double)node.mem_busy_ps / c->ps, n->name, " memory");
	if (n->p.host.rc_p2p_rate > 0)
		add_resource(c, EXP_RES_ROOT,
			     (double)node.p2p_bytes / (n->p.host.rc_p2p_rate * 1e9 * c->ps / FAB_PS_PER_S), n->name,
			     " peer-to-peer");
	c->out->mem_MBps = (double)(node.mem_read_bytes + node.mem_write_bytes) / (c->ps / 1e6);
	if (r->pmd)
		sim_pmd_stats(r->pmd, &cpu);
	else if (r->bn)
		sim_bn_stats(r->bn, &cpu);
	c->out->cpu_busy_percent = 100 * (double)cpu.busy_ps / c->ps / cores;
	c->out->cpu_percent = 100 * (double)(cpu.busy_ps + cpu.poll_ps) / c->ps / cores;
	if (r->pmd || r->bn)
		add_resource(c, EXP_RES_CORES, c->out->cpu_busy_percent / 100, n->name, " cores");
}

static void collect_drops(struct collect *c)
{
	uint64_t drops[P2P_NUM_DROPS], host;
	unsigned int d;

	exp_rig_drops(c->r, drops, &host);
	c->out->host_dropped = (double)(host - c->r->base_host_drops);
	c->out->dropped = c->out->host_dropped;
	for (d = 0; d < P2P_NUM_DROPS; d++) {
		c->out->drops[d] = (double)(drops[d] - c->r->base_drops[d]);
		c->out->dropped += c->out->drops[d];
	}
}

static int compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank. */
static uint32_t quantile(const uint32_t *ns, uint32_t n, double share)
{
	uint32_t rank = (uint32_t)(share * n + 0.999999);

	return ns[rank ? (rank > n ? n : rank) - 1 : 0];
}

static void collect_latency(struct collect *c)
{
	double sum = 0;
	uint32_t k;

	c->out->latencies = c->num_ns;
	if (!c->num_ns)
		return;
	qsort(c->ns, c->num_ns, sizeof(*c->ns), compare_ns);
	for (k = 0; k < c->num_ns; k++)
		sum += c->ns[k];
	c->out->mean_ns = sum / c->num_ns;
	c->out->p50_ns = quantile(c->ns, c->num_ns, 0.5);
	c->out->p90_ns = quantile(c->ns, c->num_ns, 0.9);
	c->out->p99_ns = quantile(c->ns, c->num_ns, 0.99);
	for (k = 0; k < EXP_CDF_POINTS; k++)
		c->out->cdf_ns[k] = quantile(c->ns, c->num_ns, (double)k / (EXP_CDF_POINTS - 1));
}

/* Links between two NICs, with a wire at either end. */
static unsigned int path_links(const struct exp_config *c, const struct exp_pair *p)
{
	unsigned int a = p->nic, b = p->to_nic, n = 2;

	while (a != b) {
		if (a > b) /* parents come first: the higher number is at least as deep */
			a = (unsigned int)c->node[a].parent;
		else
			b = (unsigned int)c->node[b].parent;
		n++;
	}
	return n;
}

int exp_rig_collect(struct exp_rig *r, uint64_t ps, struct exp_result *out)
{
	struct collect c = { .r = r, .out = out, .ps = (double)ps };
	unsigned int k, ports = 0;
	double links = 0;
	int rc;

	for (k = 0; k < r->c->num_nodes; k++)
		ports += r->c->node[k].ports;
	memset(out, 0, sizeof(*out));
	rc = exp_result_alloc(out, 10 * r->c->num_nodes + 2 * ports + 4, ports);
	if (rc)
		return rc;
	c.room = ports * EXP_LATENCIES_MAX;
	c.ns = malloc(sizeof(*c.ns) * c.room);
	if (!c.ns) {
		exp_result_free(out);
		return -ENOMEM;
	}
	out->window_us = c.ps / 1e6;
	for (k = 0; k < r->c->num_nodes; k++) {
		collect_link(&c, k);
		if (r->c->node[k].kind == EXP_NIC)
			collect_nic(&c, k);
	}
	if (r->host)
		collect_host(&c);
	collect_drops(&c);
	collect_latency(&c);
	for (k = 0; k < r->c->num_pairs; k++)
		links += path_links(r->c, &r->c->pair[k]);
	out->hops = r->c->num_pairs ? out->packets * links / r->c->num_pairs : 0;
	out->cpu_pcie_MBps /= c.ps / 1e6;
	out->events = (double)(fab_queue_count(sim_world_queue(r->w)) - r->base_events);
	free(c.ns);
	return 0;
}
