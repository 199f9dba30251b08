/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The late board, as its test sees it.
 *
 * A world holds NICs that reach each other through explicit address maps, and
 * one virtual clock.  Each NIC has a write queue and a read queue.  A request
 *   is submitted          nothing is read or written (but lines, taken by value,
 *                         and write_sum's checksum, computed from the source),
 *   then carried out      at a random later time, after its predecessors of the
 *                         queue: source read, destination written, perhaps in
 *                         two pieces at two times, lower addresses first,
 *   then finished         at or after that: board_done() says so.
 * DMA goes on while firmware runs: every board call lets a little time pass for
 * it, while board_now_ns() stands still.
 *
 * Faults (<faults/fault.h>): the world has one set of rules, whose counts go over all its NICs.  A lost request is
 * finished like any other and changes nothing.
 */
#ifndef TESTS_LATE_LATE_H
#define TESTS_LATE_LATE_H

#ifndef FW_BOARD
#define FW_BOARD late
#endif
#include <faults/fault.h>
#include <firmware/board.h>
#include <firmware/fw.h>
#include "script_port.h"

struct late_world;

struct late_cfg {
	uint64_t seed;
	uint32_t room_min, room_max; /* requests of a queue at a time; 0, 0: 64 to 96; lines are taken beyond it */
	uint32_t carry_ns, finish_ns; /* mean delays; 0, 0: seeded */
	bool prompt;                 /* carry out and finish everything at once: to tell lateness from other causes */
};

#define LATE_PROT_READ 1u
#define LATE_PROT_WRITE 2u

struct late_world *late_world_create(const struct late_cfg *cfg);
void late_world_destroy(struct late_world *w);
const uint64_t *late_world_clock(const struct late_world *w);
/* Time passes: DMA is carried out and finished on the way. */
void late_world_advance(struct late_world *w, uint64_t ns);
/* After each lookup of the nodes, in all worlds, fn is called; NULL: no longer. */
void late_jump_then(void (*fn)(void *arg), void *arg);
/* When the next DMA is carried out or finished, now if some was since the last call; UINT64_MAX: none. */
uint64_t late_world_next(struct late_world *w);
struct fault_set *late_world_faults(struct late_world *w);

/* A NIC at power-on.  ports[] stay the caller's. */
struct board_ctx *late_nic_create(struct late_world *w, unsigned int index, const struct fw_strap *strap,
				  struct script_port *const *ports);
/* Dies at once: what was submitted and not carried out never is.  Its memory stays while maps name it. */
void late_nic_kill(struct board_ctx *b);
struct fw_nic *late_nic_fw(struct board_ctx *b);
uint64_t late_nic_step(struct board_ctx *b);
bool late_nic_busy(const struct board_ctx *b);    /* requests unfinished */
bool late_nic_take_bell(struct board_ctx *b);
void late_nic_bus_master(struct board_ctx *b, bool on);
uint64_t late_nic_events(const struct board_ctx *b, enum board_vector v); /* MSI-X so far */
uint64_t late_nic_overruns(const struct board_ctx *b); /* requests submitted without board_room() for them */
/* b's DMA to [bus, bus + size) reaches `target`'s BAR2 at `offset`; host != NULL: that memory instead. */
int late_nic_map(struct board_ctx *b, uint64_t bus, uint64_t size, struct board_ctx *target, void *host,
		 uint64_t offset, uint32_t prot);
/* Removes every map that lies in [bus, bus + size), after all that b has submitted is carried out. */
void late_nic_unmap(struct board_ctx *b, uint64_t bus, uint64_t size);
/* A byte of device memory, as the driver sees it through BAR2; NULL beyond the layout. */
uint8_t *late_nic_mem(struct board_ctx *b, uint64_t offset);

#endif
