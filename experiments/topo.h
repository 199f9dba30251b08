/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is simulated: a tree of hosts, switches and NICs, who sends to whom, and how long.
 *
 *   struct exp_spec     what the user said: a built-in topology or one from a file, settings, overrides
 *   struct exp_config   every part with its numbers, checked; a run needs nothing else
 *
 * Both are flat: copied by assignment, no pointers.
 *
 * A FILE  (libconfig's syntax; docs/simulator.md has the whole list)
 *
 *   host     = { name = "host"; profile = "i9-9820x"; };
 *   switches = ( { name = "sw0"; parent = "host"; profile = "plx8747"; width = 16; } );
 *   nics     = ( { name = "nic0"; parent = "sw0"; profile = "agilio-lx"; ports = 1; },
 *                { name = "nic1"; parent = "sw0"; } );
 *   pairs    = ( { from = "nic0.0"; to = "nic1.0"; } );
 *   traffic  = ( { port = "nic0.0"; gbps = 40.0; frame_bytes = 64; } );
 *   method   = "wr";
 *   set      = ( "nic.workers=60" );
 *   sweep    = ( { key = "frame_bytes"; values = ( 64, 128 ); } );
 *
 * ERRORS  -EINVAL or -errno, and one line that names file, line and key where there are such.
 */
#ifndef EXPERIMENTS_TOPO_H
#define EXPERIMENTS_TOPO_H

#include <fabric/fabric.h>
#include <p2pnic/csum.h>
#include <p2pnic/ring.h>

#include "profile.h"

#define EXP_METHODS(X) X(WR, "wr") X(RD, "rd") X(BN, "bn") X(TESTPMD, "testpmd") X(L3FWD, "l3fwd")
#define EXP_TOPOLOGIES(X) \
	X(FILE, "file", "parts, pairs and traffic as the file lists them") \
	X(REFERENCE, "reference", "two NICs under one switch under the host, one port in and one out") \
	X(STAR, "star", "all NICs under one switch under the host") \
	X(TWO_SWITCHES, "two-switches", "half of the NICs under each of two switches, joined by the root complex") \
	X(ROOT, "root", "every NIC at a root port")
#define EXP_PATTERNS(X) \
	X(UNIFORM, "uniform", "every port sends and receives; in two-switches every other pair crosses") \
	X(INCAST, "incast", "all ports send to one") \
	X(LOCAL, "local", "as uniform, but in two-switches nobody crosses")

#define X(name, ...) EXP_##name,
enum exp_method { EXP_METHODS(X) EXP_NUM_METHODS };
#undef X
#define X(name, ...) EXP_TOPO_##name,
enum exp_topology { EXP_TOPOLOGIES(X) EXP_NUM_TOPOLOGIES };
#undef X
#define X(name, ...) EXP_PATTERN_##name,
enum exp_pattern { EXP_PATTERNS(X) EXP_NUM_PATTERNS };
#undef X

extern const char *const exp_methods[EXP_NUM_METHODS + 1];       /* NULL-terminated */
extern const char *const exp_topologies[EXP_NUM_TOPOLOGIES + 1];
static inline bool exp_is_firmware(enum exp_method m) /* NICs that run our firmware, not a poll-mode driver's */
{
	return m <= EXP_BN;
}
static inline bool exp_needs_host(enum exp_method m)
{
	return m >= EXP_BN;
}

#define EXP_MAX_NODES 128
#define EXP_MAX_PAIRS 512
#define EXP_MAX_OVERRIDES 64
#define EXP_MAX_AXES 6
#define EXP_MAX_STEPS 64
#define EXP_WORD_MAX 96
#define EXP_PATH_MAX 256

/* Settings that hold for a whole run.  X(type, name, default, min, max, words, "what it is") */
#define EXP_SETTINGS(X) \
	X(CHOICE, topology, EXP_TOPO_REFERENCE, 0, 0, exp_topologies, "the tree") \
	X(CHOICE, pattern, EXP_PATTERN_UNIFORM, 0, 0, exp_patterns, "who sends to whom in a built-in tree") \
	X(UINT, ports, 2, 2, 256, NULL, "Ethernet ports in a built-in tree") \
	X(UINT, ports_per_nic, 1, 1, P2P_MAX_PORTS, NULL, "of them at one NIC") \
	X(CHOICE, method, EXP_WR, 0, 0, exp_methods, "who moves a packet") \
	X(UINT, batch, 8, 1, P2P_MAX_BATCH, NULL, "descriptors per DMA; packets that a core takes at a time") \
	X(UINT, slots, 0, 0, P2P_MAX_SLOTS, NULL, "slots per ring; 0: as the profile says, as far as they fit 64 MiB a NIC") \
	X(UINT, frame_bytes, 64, 64, P2P_MAX_FRAME, NULL, "of every frame, FCS included") \
	X(REAL, load, 100, 1e-6, 100, NULL, "percent of a port's rate that is offered") \
	X(REAL, gbps, 0, 0, 1600, NULL, "Gb/s offered on the wire instead; 0: load says it") \
	X(UINT, stride, 64, P2P_MIN_STRIDE, P2P_MAX_STRIDE, NULL, "of the checksum, a power of two") \
	X(CHOICE, scrub, 1, 0, 0, exp_on_off, "slots are overwritten before reuse, as on a fabric that may lose writes") \
	X(CHOICE, backpressure, 1, 0, 0, exp_on_off, "a full ring stops receiving instead of dropping") \
	X(CHOICE, routed, 0, 0, 0, exp_on_off, "wr, rd: NICs look each packet up and rewrite its header; pairs become routes") \
	X(CHOICE, lossy, 0, 0, 0, exp_on_off, "switches drop writes that they can't buffer instead of holding them up") \
	X(UINT, loss_ppm, 0, 0, 1000000, NULL, "and so many of a million writes, whatever the load") \
	X(CHOICE, arrival, 0, 0, 0, exp_arrivals, "of frames") \
	X(UINT, flows, 16, 1, 65536, NULL, "of each source") \
	X(REAL, duration_us, 200, 0.1, 1e7, NULL, "measured") \
	X(REAL, warmup_us, 100, 0, 1e7, NULL, "before that") \
	X(UINT, seed, 1, 0, 4294967295.0, NULL, "of everything random")

#define EXP_T_CHOICE unsigned int
#define EXP_T_UINT unsigned int
#define EXP_T_REAL double
struct exp_settings {
#define X(type, name, def, min, max, words, desc) EXP_T_##type name;
	EXP_SETTINGS(X)
#undef X
};

struct exp_part {
	enum exp_kind kind;
	char name[FAB_NAME_MAX];
	char parent[FAB_NAME_MAX];  /* "": it is the root */
	char profile[EXP_PATH_MAX]; /* "": the spec's for its kind */
	unsigned int ports, width;  /* width 0: a NIC's as the profile says, a switch's 16 */
	unsigned int line;
};
struct exp_end {
	char nic[FAB_NAME_MAX];
	unsigned int port;
};
struct exp_join {
	struct exp_end from, to;
	unsigned int line;
};
struct exp_load {
	struct exp_end at;
	double gbps; /* 0: as the settings say */
	unsigned int frame_bytes, arrival, flows; /* frame_bytes, flows 0 and arrival UINT_MAX likewise */
	unsigned int line;
};
struct exp_override {
	char key[EXP_WORD_MAX]; /* KIND.PARAM or NODE.PARAM */
	double value;
	unsigned int line; /* 0: not from the file */
};
struct exp_axis {
	char key[EXP_WORD_MAX];
	unsigned int n, line;
	char value[EXP_MAX_STEPS][EXP_WORD_MAX];
};

struct exp_spec {
	char path[EXP_PATH_MAX]; /* the file; "": none */
	struct exp_settings s;
	char profile[EXP_NUM_KINDS][EXP_PATH_MAX];
	unsigned int num_parts, num_joins, num_loads, num_overrides, num_axes;
	struct exp_part part[EXP_MAX_NODES];
	struct exp_join join[EXP_MAX_PAIRS];
	struct exp_load load[EXP_MAX_PAIRS];
	struct exp_override override[EXP_MAX_OVERRIDES];
	struct exp_axis axis[EXP_MAX_AXES];
};

/* The reference experiment. */
void exp_spec_init(struct exp_spec *spec);
int exp_spec_read(struct exp_spec *spec, const char *path, char err[EXP_ERR_MAX]);
/* A setting, "nic" | "switch" | "host" (the profile of all of them), or KIND.PARAM or NODE.PARAM. */
int exp_spec_set(struct exp_spec *spec, const char *key, const char *value, unsigned int line, char err[EXP_ERR_MAX]);
/* "KEY=VALUE" */
int exp_spec_assign(struct exp_spec *spec, const char *text, char err[EXP_ERR_MAX]);

/* ---- made of it ---- */
struct exp_node {
	enum exp_kind kind;
	char name[FAB_NAME_MAX];
	int parent; /* before it in the list; -1: the root */
	unsigned int width, gen; /* of its link upwards; gen 0: without limits */
	unsigned int ports;      /* of a NIC */
	char profile[EXP_PATH_MAX]; /* as given */
	union {
		struct sim_nic_profile nic;
		struct sim_switch_profile sw;
		struct sim_host_profile host;
	} p;
};
/* What comes in at (nic, port) leaves at (to_nic, to_port); numbers of nodes. */
struct exp_pair {
	unsigned int nic, port, to_nic, to_port;
};
struct exp_source {
	unsigned int nic, port;
	double gbps;
	unsigned int frame_bytes, arrival, flows;
};
struct exp_config {
	struct exp_settings s;
	unsigned int num_nodes, num_pairs, num_sources;
	struct exp_node node[EXP_MAX_NODES]; /* parents first */
	struct exp_pair pair[EXP_MAX_PAIRS];
	struct exp_source source[EXP_MAX_PAIRS];
	unsigned int lanes_short; /* the node whose lane budget was exceeded, + 1 (only with `any_lanes`) */
	unsigned int lanes_used, lanes_budget; /* there */
};

/* any_lanes: an exceeded lane budget is told in lanes_short, not refused. */
int exp_config_make(const struct exp_spec *spec, bool any_lanes, struct exp_config *c, char err[EXP_ERR_MAX]);
int exp_config_find(const struct exp_config *c, const char *name); /* a node's number, -1 */
/* A number that two configurations share only if a run of both gives the same. */
uint64_t exp_config_hash(const struct exp_config *c);

#endif
