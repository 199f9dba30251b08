/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * N NICs of P ports in full mesh on a board, brought up through their registers
 * in the order of design section 4, stepped by hand in virtual time on one
 * thread.  The same for every board: a board is a struct mesh_ops.
 *
 * Every frame that a test sends carries its ingress port, a sequence number and
 * content made from its header, so that every frame that leaves a port is
 * checked whole; a frame that leaves one port twice is a failure; with
 * `in_order`, so is one that overtook another of its ingress port.
 *
 * The first failure is kept as text (mesh_failure) and tests print it with
 * their seed.
 */
#ifndef TESTS_CONFORMANCE_MESH_H
#define TESTS_CONFORMANCE_MESH_H

#include <driver/bn_host.h>
#include <faults/fault.h>
#include <firmware/fw.h>
#include <tests/late/rng.h>
#include <tests/late/script_port.h>

struct mesh_board;

struct mesh_board_cfg {
	uint64_t seed;
	unsigned int nics;
	bool prompt;
};

/* nic: index in the mesh. */
struct mesh_ops {
	const char *name;
	bool late; /* DMA finishes late */
	bool no_bn;
	bool cut; /* wr with cut-through placement wherever a port can; nothing but wr */
	struct mesh_board *(*open)(const struct mesh_board_cfg *cfg);
	void (*close)(struct mesh_board *mb);
	const uint64_t *(*clock)(struct mesh_board *mb);
	void (*advance)(struct mesh_board *mb, uint64_t ns);
	uint64_t (*next)(struct mesh_board *mb); /* when DMA goes on; UINT64_MAX */
	int (*nic_create)(struct mesh_board *mb, unsigned int nic, const struct fw_strap *strap,
			  struct script_port *const *ports);
	void (*nic_kill)(struct mesh_board *mb, unsigned int nic);
	uint64_t (*step)(struct mesh_board *mb, unsigned int nic);
	void (*sleep)(struct mesh_board *mb, unsigned int nic, bool asleep);
	bool (*busy)(struct mesh_board *mb, unsigned int nic);
	bool (*take_bell)(struct mesh_board *mb, unsigned int nic);
	uint64_t (*reg_read)(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes);
	void (*reg_write)(struct mesh_board *mb, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v);
	void (*bus_master)(struct mesh_board *mb, unsigned int nic, bool on);
	/* A piece of target's BAR2, whole segments. */
	int (*map)(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, unsigned int target,
		   uint64_t offset, bool write);
	/* bn: main memory, which is at `mem` and in the file fd from fd_off on. */
	int (*map_host)(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size, void *mem, int fd,
			uint64_t fd_off);
	void *(*mem)(struct mesh_board *mb, unsigned int nic, uint64_t offset); /* of BAR2, as the host sees it */
	void (*unmap)(struct mesh_board *mb, unsigned int nic, uint64_t bus, uint64_t size);
	const uint64_t *(*events)(struct mesh_board *mb, unsigned int nic);
	const uint64_t *(*drops)(struct mesh_board *mb, unsigned int nic);
	uint64_t (*held)(struct mesh_board *mb, unsigned int nic);
	int (*peer)(struct mesh_board *mb, unsigned int nic, unsigned int peer, struct fw_peer_info *info);
	uint64_t (*faults)(struct mesh_board *mb, unsigned int nic);
	uint64_t (*overruns)(struct mesh_board *mb, unsigned int nic); /* DMA submitted without room for it; may be NULL */
	void (*jump_then)(void (*fn)(void *arg), void *arg); /* fn after each lookup of nodes; NULL: it can't */
	/*
	 * As if slots had passed in the rings from one NIC to another until their next one's number is `at`, up to the slot's
	 * place in the ring; nothing of them is under way.  False: something is, or this is bn.  NULL: it can't.
	 */
	bool (*far)(struct mesh_board *mb, unsigned int from, unsigned int to, uint32_t at);
	uint32_t (*flooding)(struct mesh_board *mb, unsigned int nic); /* copies owed of floods in hand; NULL: it can't tell */
	struct fault_set *(*fault_rules)(struct mesh_board *mb); /* of all its NICs together; NULL: it injects none */
};

extern const struct mesh_ops *const mesh_boards[]; /* NULL-terminated */
extern const struct mesh_ops *const mesh_script_boards[]; /* and the soft board as other CPUs have it */
extern const struct mesh_ops mesh_late, mesh_soft, mesh_sim, mesh_free, mesh_cut, mesh_plain;

/* What a NIC's random numbers begin with on boards that carry out at once: the same on each.  life: NICs made before. */
static inline uint64_t mesh_board_seed(uint64_t seed, unsigned int life)
{
	return (seed << 16) + life + 1;
}

struct mesh_cfg {
	unsigned int nics, ports;
	enum p2p_mode mode;
	uint32_t batch, stride, slots, buf_size, rx_bufs, flags, age_s, flood_pps;
	uint64_t seed;
	uint32_t tx_room;     /* segments a cable takes */
	uint64_t tx_frame_ns; /* wire time of a frame, 0: short */
	bool sleep;           /* idle NICs sleep and must be woken */
	bool stall;           /* NICs are stepped unevenly, some stand still for a while */
	bool in_order;        /* frames of one ingress leave a port in order */
	bool prompt;          /* late board: finish at once after all */
	uint64_t route_bytes; /* P2P_FLAG_ROUTE */
	uint32_t silence_ms;  /* 0: as the NICs have it */
};

struct mesh_out {
	uint16_t in_nic, in_port;
	uint32_t seq, len;
	uint64_t hash, at_ns;
};

struct mesh_port {
	struct mesh *m;
	unsigned int nic, port;
	struct script_port *sp;
	struct mesh_out *out; /* every frame that left, in order */
	uint32_t outs, outs_max, taken; /* taken: looked at by the test */
	uint8_t *seen[P2P_MAX_NICS * P2P_MAX_PORTS];
	uint32_t seen_max[P2P_MAX_NICS * P2P_MAX_PORTS];
	uint32_t last[P2P_MAX_NICS * P2P_MAX_PORTS];
	uint32_t seq; /* next frame sent into it */
};

struct mesh_nic {
	bool dead, arming, sleeping;
	bool rung; /* bn: by the host */
	uint32_t idle;
	uint64_t until_ns, stall_ns;
	uint64_t kills, wakes;
};

/* bn: the host loop, stepped like a NIC (mesh_host.c). */
struct mesh_host {
	struct bn_host *h; /* NULL: none, or dead */
	int fd;
	uint8_t *mem; /* areas of all NICs, then the pool */
	uint64_t bytes, pool_off;
	bool arming, sleeping;
	uint32_t idle, lives;
	uint64_t until_ns, stall_ns;
	struct bn_host_stats past; /* of former lives */
};

struct mesh {
	struct mesh_cfg cfg;
	const struct mesh_ops *ops;
	struct mesh_board *mb;
	const uint64_t *now;
	struct rng rng;
	struct p2p_shape shape;
	struct mesh_nic nic[P2P_MAX_NICS];
	struct mesh_port port[P2P_MAX_NICS][P2P_MAX_PORTS];
	struct mesh_host host;
	/* of NICs that died: what they had counted, so that sums go on */
	uint64_t past_events[P2P_NUM_EVENTS], past_drops[P2P_NUM_DROPS];
	/* Frames of the test's own making (mesh_send_raw): who looks at what leaves a port, in place of the checks above. */
	void (*out)(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len);
	void *out_arg;
	char failure[320];
};

void mesh_cfg_default(struct mesh_cfg *cfg, unsigned int nics, unsigned int ports);
struct mesh *mesh_create(const struct mesh_ops *ops, const struct mesh_cfg *cfg);
void mesh_destroy(struct mesh *m);
/* NULL: none so far. */
const char *mesh_failure(struct mesh *m);
void mesh_fail(struct mesh *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Configure all, map, introduce, enable; mesh_up also waits until all peers are up. */
int mesh_configure(struct mesh *m);
void mesh_pair(struct mesh *m, unsigned int nic, unsigned int port, unsigned int to_nic, unsigned int to_port);
void mesh_enable(struct mesh *m, unsigned int nic, bool on);
int mesh_wait_up(struct mesh *m, uint64_t max_ns);
int mesh_up(struct mesh *m);

/* Life and death. */
void mesh_kill(struct mesh *m, unsigned int nic);
int mesh_restart(struct mesh *m, unsigned int nic); /* power on, configured, introduced both ways, enabled */

/* bn.  Before mesh_configure() ends: main memory; then the registers of each NIC that tell of it. */
void mesh_host_create(struct mesh *m);
void mesh_host_destroy(struct mesh *m);
void mesh_host_introduce(struct mesh *m, unsigned int nic);
/* The host loop's life.  A NIC that came back has another doorbell. */
void mesh_host_start(struct mesh *m);
void mesh_host_kill(struct mesh *m);
void mesh_host_replace(struct mesh *m, unsigned int nic);
bool mesh_host_step(struct mesh *m);
uint64_t mesh_host_next(const struct mesh *m);
/* Of all its lives; all zero in other modes. */
struct bn_host_stats mesh_host_stats(const struct mesh *m);

/* One rule more (<faults/fault.h>); whatever is wrong with it is a failure.  All rules go. */
void mesh_fault(struct mesh *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mesh_fault_none(struct mesh *m);
/* How often the rule has struck so far; of those that there are, in the order in which they came. */
uint64_t mesh_fault_hits(const struct mesh *m, unsigned int rule);

/* Time. */
void mesh_run(struct mesh *m, uint64_t ns);
/* Until nothing that counts has changed for quiet_ns; false: not within max_ns. */
bool mesh_settle(struct mesh *m, uint64_t quiet_ns, uint64_t max_ns);
/* Until no NIC holds a frame and no port sends one. */
bool mesh_drain(struct mesh *m, uint64_t max_ns);
void mesh_stall(struct mesh *m, unsigned int nic, uint64_t ns); /* it is not stepped for so long */

/* Frames.  Returns the sequence number. */
uint32_t mesh_send(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t dst[6], const uint8_t src[6],
		   uint32_t len);
uint32_t mesh_send_at(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t dst[6], const uint8_t src[6],
		      uint32_t len, uint64_t at_ns);
/* MESH_FEW frames of 60 bytes and more, the largest in two slots. */
#define MESH_FEW 5
void mesh_send_few(struct mesh *m, unsigned int nic, unsigned int port);
void mesh_send_raw(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len);
void mesh_station(uint8_t mac[6], unsigned int k); /* 02:00:00:00:k:k */
uint32_t mesh_untaken(struct mesh *m, unsigned int nic, unsigned int port);

/* Counters. */
uint64_t mesh_event(struct mesh *m, int nic, enum p2p_event e); /* nic < 0: sum */
uint64_t mesh_drops(struct mesh *m, int nic, enum p2p_drop d);
uint64_t mesh_wakes(const struct mesh *m, int nic); /* how often sleepers were woken, by bells, ports and deadlines */
uint64_t mesh_held(struct mesh *m);
uint64_t mesh_port_sum(struct mesh *m, size_t stat_offset);
/* rx + copies - (tx + port losses + drops) - held: 0 if the books are exact. */
int64_t mesh_books(struct mesh *m);
void mesh_check_faults(struct mesh *m);
void mesh_print_counters(struct mesh *m);

#endif
