/* SPDX-License-Identifier: BSD-3-Clause */
/* NICs of one or more MACs below one switch, forwarding in virtual time: for tests and measurements. */
#ifndef TESTS_UNIT_SIM_RIG_H
#define TESTS_UNIT_SIM_RIG_H

#include <boards/sim/sim.h>

#define RIG_MAX_NICS 8
#define RIG_MAX_PORTS 2

struct rig {
	struct sim_world *w;
	struct fab_node *sw;
	struct sim_nic_profile prof;
	struct sim_mesh_cfg mesh;
	unsigned int nics, ports;
	struct board_ctx *nic[RIG_MAX_NICS];
	struct port *mac[RIG_MAX_NICS][RIG_MAX_PORTS];
	char err[FAB_ERR_MAX];
};

/*
 * Something like a SmartNIC with 40G ports on Gen3 x8: figures of the order of published ones, round, so that what is
 * expected can be worked out by hand.
 */
void rig_profile(struct sim_nic_profile *p);
/* Builds and waits until the NICs see each other.  Port p of NIC k is paired with port p of NIC k ^ 1. */
int rig_up(struct rig *r, unsigned int nics, unsigned int ports, enum p2p_mode mode);
void rig_down(struct rig *r);
/* Frames of this size at this rate into a port from now on; flows: 4. */
void rig_source(struct rig *r, unsigned int nic, unsigned int port, uint32_t frame_bytes, double gbps, uint64_t frames);
void rig_run(struct rig *r, uint64_t ns);

#endif
