/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NIC's program, as its board sees it.
 *
 * A NIC's whole state is one struct fw_nic that the board provides, plus what
 * board_state() gives at configuration.  There is no file-scope data: any number
 * of NICs live in one process.
 *
 * THREADS  Every call for one NIC comes from one thread at a time: the worker
 *   that owns it.  Counters may be read by anyone (p2p_count_read).
 */
#ifndef FIRMWARE_FW_H
#define FIRMWARE_FW_H

#include "names.h"
#include <p2pnic/types.h>
#include <p2pnic/regs.h>
#include <p2pnic/layout.h>

struct fw_nic;
struct board_ctx;

/* What the board straps. */
struct fw_strap {
	uint32_t ports;
	uint32_t buf_size;  /* 2048, 2112, 4096 or 9728 */
	uint64_t mem_bytes; /* BAR2 */
	uint32_t max_queues; /* contexts of the NIC; 0 means 1 */
	uint32_t queue;      /* which of them this is, and so its plane (layout.h) */
	uint32_t rx_burst;   /* frames that a step takes from a port at most, 32 or 64; 0 means 32 */
	uint8_t mac[P2P_MAX_PORTS][6];
};

size_t fw_nic_bytes(void);
/* Power on: registers at their reset values.  0, or -EINVAL for an impossible strap. */
int fw_nic_init(struct fw_nic *nic, struct board_ctx *b, const struct fw_strap *strap);
/* Stop DMA, forget peers and configuration, registers to reset values; `keep_persist`: not that bit. */
void fw_nic_reset(struct fw_nic *nic, bool keep_persist);

/*
 * One burst of everything: send completions, egress rings, receive, completions,
 * flush, timers.  Never blocks.  Returns 0 if something was done, else the time
 * (board clock, ns) until which nothing needs to be done unless a port has an
 * event, a bell rings or a register is written; UINT64_MAX if that long.
 */
uint64_t fw_step(struct fw_nic *nic);

/*
 * Sleeping, as in design "Waking": the board calls fw_sleep(true), which tells
 * the producers and issues a full barrier, then fw_step() once more; if that
 * still returns a time the board may sleep.  Afterwards fw_sleep(false).
 */
void fw_sleep(struct fw_nic *nic, bool asleep);

/* BAR0 at its register's own width (4 or 8); anything else reads ones and writes nothing. */
uint64_t fw_reg_read(struct fw_nic *nic, uint32_t off, uint32_t bytes);
void fw_reg_write(struct fw_nic *nic, uint32_t off, uint32_t bytes, uint64_t value);

/*
 * The register file of a NIC with n contexts, nic[q] that of queue q: as regs.h says.
 * None of them may be in fw_step() meanwhile.  Contexts of queues that the configuration leaves out stay as after a reset.
 */
uint64_t fw_reg_read_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes);
/* What starts reaches queue 0 first, what stops reaches it last. */
void fw_reg_write_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes, uint64_t value);

bool fw_nic_running(const struct fw_nic *nic);
bool fw_nic_persist(const struct fw_nic *nic);
/* Valid while configured, else NULL. */
const struct p2p_shape *fw_nic_shape(const struct fw_nic *nic);
enum p2p_mode fw_nic_mode(const struct fw_nic *nic);
unsigned int fw_nic_index(const struct fw_nic *nic);

/* P2P_NUM_EVENTS, P2P_NUM_DROPS and P2P_NUM_PUNTS counters; live as long as the NIC. */
const uint64_t *fw_nic_events(const struct fw_nic *nic);
const uint64_t *fw_nic_drops(const struct fw_nic *nic);
const uint64_t *fw_nic_punts(const struct fw_nic *nic);
/*
 * Frames in hand: accepted from a port and neither sent nor dropped.  Exact at a
 * quiescent point for a mesh as a whole when summed over its NICs, bn's host included.
 */
uint64_t fw_nic_held(const struct fw_nic *nic);

/* How port x receives now: PORT_PLACEMENT. */
enum p2p_placement fw_nic_placement(const struct fw_nic *nic, unsigned int x);
/*
 * The memory that port x receives into (board_place()) is about to go, or may no longer be reached.  At a
 * quiescent point; on return neither firmware nor the port refers to it, and the port copies.
 */
void fw_place_lost(struct fw_nic *nic, unsigned int x);

struct fw_peer_info {
	enum p2p_peer_state state;
	uint32_t inc, peer_inc;
	uint64_t since_ns;            /* board clock, of the last change of state */
	uint64_t sent_frames, recv_frames; /* into its rings; out of its rings here */
};
int fw_peer_info(const struct fw_nic *nic, unsigned int peer, struct fw_peer_info *info);

#endif
