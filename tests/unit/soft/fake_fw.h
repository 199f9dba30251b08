/* SPDX-License-Identifier: BSD-3-Clause */
/* A firmware that does what the test says: for testing the soft board without the real one. */
#ifndef TESTS_UNIT_SOFT_FAKE_FW_H
#define TESTS_UNIT_SOFT_FAKE_FW_H

#include <boards/soft/internal.h>

struct fw_nic {
	struct board_ctx *b;
	struct fw_strap strap;
	struct p2p_shape shape;
	bool configured, running, persist;
	uint32_t regs[64]; /* 0x000 to 0x0ff */
	uint64_t events[P2P_NUM_EVENTS], drops[P2P_NUM_DROPS], punts[P2P_NUM_PUNTS];
	unsigned int resets;
	unsigned int lost, lost_maps; /* fw_place_lost(): calls, maps that there were at the last */
	/* The test's; may be NULL. */
	uint64_t (*step)(struct fw_nic *nic, void *arg);
	void *arg;
	/* Atomics, read by the test's thread. */
	uint32_t steps, sleeps, wakes;
};

/* A port whose one eventfd the test signals; rx_burst returns what was signalled, as frames of 60 zero bytes. */
struct fake_port {
	struct port port;
	int fd;
	uint32_t started, stopped, arms, controls;
	struct port_memory mem;
	bool shuffles; /* in_order() says no */
	uint64_t next_ns; /* what next_event says; 0: never */
	struct fake_port *second; /* queue 1, or NULL: none */
};

void fake_port_init(struct fake_port *p);
void fake_port_fini(struct fake_port *p);

/* A NIC with one fake port, memory of 2 MiB, decode and bus mastering on. */
struct soft_nic *fake_nic_create(const char *name, struct fake_port *p);
void fake_nic_configure(struct soft_nic *nic, uint32_t nics, uint32_t slots, uint32_t rx_bufs);
void fake_nic_command(struct soft_nic *nic, uint16_t command);
void fake_reg_write(struct soft_nic *nic, uint32_t off, uint32_t v);
uint32_t fake_reg_read(struct soft_nic *nic, uint32_t off);

#endif
