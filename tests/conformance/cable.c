/* SPDX-License-Identifier: BSD-3-Clause */
#include "cable.h"

static int cable_start(struct port *p, const struct port_memory *mem)
{
	return 0;
}

static void cable_stop(struct port *p)
{
	script_port_stop(mesh_cable_of(p));
}

static unsigned int cable_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	return script_port_rx_burst(mesh_cable_of(p), segs, n);
}

static unsigned int cable_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return script_port_rx_post(mesh_cable_of(p), segs, n);
}

static unsigned int cable_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return script_port_tx_burst(mesh_cable_of(p), segs, n);
}

static unsigned int cable_tx_done(struct port *p)
{
	return script_port_tx_done(mesh_cable_of(p));
}

static bool cable_link_up(struct port *p)
{
	return script_port_link_up(mesh_cable_of(p));
}

static bool cable_in_order(struct port *p)
{
	return true;
}

static uint64_t cable_next_event(struct port *p, uint64_t now_ns)
{
	return script_port_next(mesh_cable_of(p));
}

const struct port_ops mesh_cable_ops = {
	.scheme = "script", .start = cable_start, .stop = cable_stop, .rx_burst = cable_rx_burst, .rx_post = cable_rx_post,
	.tx_burst = cable_tx_burst, .tx_done = cable_tx_done, .next_event = cable_next_event, .link_up = cable_link_up,
	.in_order = cable_in_order,
};
