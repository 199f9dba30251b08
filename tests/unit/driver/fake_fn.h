/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function made of registers alone, which remembers what was done to it,
 * in what order among all fakes, and fails at the n-th call when told to, or is
 * gone from then on.  They
 * lie in shared memory: a child may use them, and die in the midst of it.
 */
#ifndef TESTS_UNIT_DRIVER_FAKE_FN_H
#define TESTS_UNIT_DRIVER_FAKE_FN_H

#include <p2pnic/function.h>
#include <p2pnic/layout.h>
#include <p2pnic/regs.h>

#define FAKE_MAX_MAPS 512
#define FAKE_MAX_EVENTS 8192

enum fake_what {
	FAKE_ATTACH,
	FAKE_RESET,
	FAKE_UNMAP_ALL,
	FAKE_DECODE,
	FAKE_MASTER,
	FAKE_CONFIGURE,
	FAKE_HOST,  /* HOST_AREA and the like */
	FAKE_MAP,
	FAKE_UNMAP,
	FAKE_INTRODUCE, /* PEER_CTRL = 1 */
	FAKE_FORGET,    /* PEER_CTRL = 0 */
	FAKE_WAKE,
	FAKE_BELL,
	FAKE_PAIR,
	FAKE_ENABLE,
	FAKE_DISABLE,
	FAKE_DETACH,
};

#define FAKE_QUEUES 2 /* QUEUES_MAX of every fake */

struct fake_event {
	unsigned int nic;
	enum fake_what what;
	uint64_t arg;
};

struct fake_map {
	uint64_t iova, size;
	uint32_t prot;
};

struct fake {
	struct fake_world *world;
	unsigned int number;
	uint16_t command;
	uint64_t reg[P2P_BAR0_BYTES / 4];
	bool configured, running, persist;
	uint32_t seg_select;
	int fd;
	unsigned int maps;
	struct fake_map map[FAKE_MAX_MAPS];
	bool wake[P2P_MAX_QUEUES], bell[P2P_MAX_QUEUES * P2P_MAX_NICS], msix[8];
	uint32_t wake_id[P2P_MAX_QUEUES], bell_id[P2P_MAX_QUEUES * P2P_MAX_NICS]; /* of the eventfd set there, 0: none */
	unsigned int late;                 /* a peer's being used ends only when CTRL has been read so often */
	unsigned int ending[P2P_MAX_NICS]; /* how many of these reads are left */
	bool attached, refuse_configure;
	bool older; /* interface version 1.0, without what came later; fake_make_older() */
};

struct fake_world {
	unsigned int n, events, calls, fail_at; /* fail_at 0: never; else the call that fails */
	unsigned int die_at; /* likewise: before it the process is killed */
	unsigned int gone_at, gone; /* likewise: from it on NIC `gone` answers nothing */
	unsigned int early; /* unmaps of a peer that was in use */
	uint32_t wakes; /* eventfds that have a number */
	struct fake nic[P2P_MAX_NICS];
	struct fake_event event[FAKE_MAX_EVENTS];
};

extern const struct p2p_function_ops fake_ops;

void fake_make_older(struct fake *f);

/* n NICs with so many ports, memory and buffers, each a MAC address of its own. */
struct fake_world *fake_world_make(unsigned int n, unsigned int ports, uint64_t mem, uint32_t buf_size);
void fake_world_free(struct fake_world *w);
/* As after kill -9 and a new start. */
void fake_power_cycle(struct fake *f);
uint64_t *fake_reg(struct fake *f, uint32_t off);
/* The map at exactly this place, or NULL. */
const struct fake_map *fake_find_map(const struct fake *f, uint64_t iova, uint64_t size);
/* A NIC's queue and the bells that its peers ring for it are one eventfd, for all that run. */
bool fake_wakes_fit(const struct fake_world *w);
unsigned int fake_count(const struct fake_world *w, enum fake_what what);

#endif
