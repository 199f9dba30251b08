/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/driver_opts.h"
#include "cli/routing.h"

int cli_nic_port(const char *option, const char *text, size_t len, const char *const *names, const unsigned int *ports,
		 unsigned int n, unsigned int *nic, unsigned int *port, char err[CLI_ERR_MAX])
{
	const char *dot = memrchr(text, '.', len);
	unsigned int i;
	size_t digits = dot ? len - (size_t)(dot - text) - 1 : 0;

	if (!dot || digits < 1 || digits > 3 || strspn(dot + 1, "0123456789") < digits) {
		snprintf(err, CLI_ERR_MAX, "%s end '%.*s': give NIC.PORT, as %s.0", option, (int)(len < 100 ? len : 100), text,
			 n ? names[0] : "nic0");
		return -EINVAL;
	}
	*port = (unsigned int)strtoul(dot + 1, NULL, 10);
	for (i = 0; i < n; i++)
		if (strlen(names[i]) == (size_t)(dot - text) && !strncmp(names[i], text, (size_t)(dot - text)))
			break;
	if (i == n) {
		snprintf(err, CLI_ERR_MAX, "%s: there is no NIC '%.*s'", option, (int)(dot - text < 100 ? dot - text : 100), text);
		return -EINVAL;
	}
	if (*port >= ports[i]) {
		snprintf(err, CLI_ERR_MAX, "%s: %s has no port %u; its ports are 0 to %u", option, names[i], *port, ports[i] - 1);
		return -EINVAL;
	}
	*nic = i;
	return 0;
}

static int pair_parse(struct drv_pair *p, const char *text, const char *const *names, const unsigned int *ports,
		      unsigned int n, char err[CLI_ERR_MAX])
{
	const char *eq = strchr(text, '=');
	int rc;

	if (!eq) {
		snprintf(err, CLI_ERR_MAX, "--pair %.100s: give NIC.PORT=NIC.PORT", text);
		return -EINVAL;
	}
	rc = cli_nic_port("--pair", text, (size_t)(eq - text), names, ports, n, &p->a, &p->a_port, err);
	return rc ? rc : cli_nic_port("--pair", eq + 1, strlen(eq + 1), names, ports, n, &p->b, &p->b_port, err);
}

static void opts_default_egress(struct drv_opts *o, struct drv_pair *pairs, const unsigned int *ports, unsigned int n)
{
	unsigned int p;

	if (n != 2 || ports[0] != ports[1]) {
		o->bridge = true;
		return;
	}
	for (p = 0; p < ports[0]; p++)
		pairs[p] = (struct drv_pair){ .a = 0, .a_port = p, .b = 1, .b_port = p };
	o->num_pairs = ports[0];
}

int cli_placement_check(unsigned int placement, unsigned int mode, char err[CLI_ERR_MAX])
{
	if (!placement || mode == P2P_MODE_WR)
		return 0;
	snprintf(err, CLI_ERR_MAX, "--placement cut is for --mode wr: in %s nothing is written to the egress NIC's memory",
		 mode == P2P_MODE_RD ? "rd" : "bn");
	return -EINVAL;
}

static int route_check(const struct cli_driver_opts *c, enum p2p_mode mode, char err[CLI_ERR_MAX])
{
	if ((c->route || c->route_mem_set) && routing_built(err))
		return -EOPNOTSUPP;
	if (c->route_mem_set && !c->route)
		snprintf(err, CLI_ERR_MAX, "--route-mem is for --route");
	else if (c->route && mode == P2P_MODE_BN)
		snprintf(err, CLI_ERR_MAX, "--route is for --mode wr and rd: in bn the host forwards");
	else if (c->route && (c->bridge || c->placement))
		snprintf(err, CLI_ERR_MAX, "--route goes neither with --bridge nor with --placement cut");
	else
		return 0;
	return -EINVAL;
}

int cli_driver_opts(struct drv_opts *o, struct drv_pair *pairs, const struct cli_driver_opts *c,
		    const char *const *names, const unsigned int *ports, unsigned int n, char err[CLI_ERR_MAX])
{
	unsigned int k;
	int rc;

	drv_opts_init(o);
	o->pairs = pairs;
	if (c->mode_set)
		o->mode = (enum p2p_mode)c->mode;
	if (c->batch_set)
		o->batch = (uint32_t)c->batch;
	if (c->stride_set)
		o->stride = (uint32_t)c->stride;
	if (c->slots_set)
		o->slots = (uint32_t)c->slots;
	if (c->rx_bufs_set)
		o->rx_bufs = (uint32_t)c->rx_bufs;
	if (c->queues_set)
		o->queues = (uint32_t)c->queues;
	if (c->age_set)
		o->age_s = (uint32_t)c->age;
	if (c->silence_set)
		o->silence_ms = (uint32_t)c->silence;
	if (c->flood_pps_set)
		o->flood_pps = (uint32_t)c->flood_pps;
	if (c->backpressure_set)
		o->backpressure = c->backpressure;
	if (c->scrub_set)
		o->scrub = c->scrub;
	o->bridge = c->bridge;
	o->route = c->route;
	if (c->route_mem_set)
		o->route_bytes = P2P_ALIGN_UP(c->route_mem, (uint64_t)P2P_SEG_ALIGN);
	o->cut = c->placement;
	rc = cli_placement_check(c->placement, o->mode, err);
	if (!rc)
		rc = route_check(c, o->mode, err);
	if (rc)
		return rc;
	o->set = (c->mode_set ? DRV_SET_MODE : 0) | (c->batch_set ? DRV_SET_BATCH : 0) |
		 (c->stride_set ? DRV_SET_STRIDE : 0) | (c->slots_set ? DRV_SET_SLOTS : 0) |
		 (c->pair_set ? DRV_SET_PAIRS : 0);
	o->set_flags = (c->bridge_set ? P2P_FLAG_BRIDGE : 0) | (c->route_set ? P2P_FLAG_ROUTE : 0) | (c->scrub_set ? P2P_FLAG_SCRUB : 0) |
		       (c->backpressure_set ? P2P_FLAG_BACKPRESSURE : 0) | (c->placement_set ? P2P_FLAG_CUT : 0);
	for (k = 0; k < c->pair.n; k++) {
		rc = pair_parse(&pairs[k], c->pair.item[k].text, names, ports, n, err);
		if (rc)
			return rc;
	}
	o->num_pairs = c->pair.n;
	if (!c->pair.n && !c->bridge && !c->route)
		opts_default_egress(o, pairs, ports, n);
	return 0;
}
