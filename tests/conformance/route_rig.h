/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A routing mesh in a test's hands: tables made the plain way, the host's side of punt and inject rings, and a decision
 * function written from the RFCs that knows nothing of the firmware's.
 */
#ifndef TESTS_CONFORMANCE_ROUTE_RIG_H
#define TESTS_CONFORMANCE_ROUTE_RIG_H

#include <p2pnic/route.h>
#include "bench.h"

#define RIG_ROUTE_BYTES (2ull << 20)
#define RIG_MAX_ROUTES 64
#define RIG_HOPS 64
#define RIG_BUCKETS 256

/* A route, for both sides. */
struct rig_route {
	enum p2p_family family;
	uint8_t addr[16];
	unsigned int len;
	uint32_t hop;
};

/* One NIC's side of things. */
struct rig_nic {
	struct p2p_route_head *head; /* its area */
	uint32_t next_node;
	uint8_t *host; /* punt ring */
	int fd;
	uint32_t session, cons, prod, events;
};

struct rig {
	struct mesh *m;
	struct rig_nic nic[P2P_MAX_NICS];
	struct rig_route route[RIG_MAX_ROUTES];
	unsigned int routes;
	uint32_t rpf[P2P_MAX_NICS][P2P_MAX_PORTS];
	struct rig_hop {
		uint32_t alias; /* 0: none */
		enum p2p_hop_kind kind;
		unsigned int nic, port;
		uint32_t mtu;
	} hop[RIG_HOPS];
};

struct rig_punt {
	uint32_t port, reason, hop, len;
	uint8_t frame[P2P_PUNT_ROOM];
};

/* Mesh up, areas made (hop words of the reserved hops, both defaults without a route) and taken, sessions open. */
void rig_create(struct rig *g, const struct mesh_ops *ops, struct mesh_cfg *cfg);
/* Ends the run: books, faults, bench_end(). */
void rig_end(struct rig *g, struct bench *b, const char *name);

/* The address of NIC's port in an Ethernet header, and of the station behind hop h. */
void rig_port_mac(uint8_t mac[6], unsigned int nic, unsigned int port);
void rig_hop_mac(uint8_t mac[6], uint32_t hop);

/* In all NICs' areas.  Routes in order of length: shorter ones first. */
void rig_hop(struct rig *g, uint32_t hop, enum p2p_hop_kind kind, unsigned int nic, unsigned int port, uint32_t mtu);
void rig_hop_word(struct rig *g, uint32_t hop, uint32_t word);
void rig_group(struct rig *g, uint32_t hop, uint32_t first, unsigned int log2, const uint32_t *members);
void rig_bucket(struct rig *g, uint32_t bucket, uint32_t hop);
void rig_add(struct rig *g, const char *prefix, uint32_t hop);
/* The leaf of exactly this route goes over to another hop. */
void rig_change(struct rig *g, const char *prefix, uint32_t hop);

/* The host's side. */
void rig_session(struct rig *g, unsigned int nic, uint32_t session);
void rig_taken(struct rig *g, unsigned int nic, uint32_t cons); /* says so to the NIC */
bool rig_punt(struct rig *g, unsigned int nic, struct rig_punt *p); /* the next one; it is taken */
void rig_inject(struct rig *g, unsigned int nic, unsigned int port, const uint8_t *frame, uint32_t len);
uint64_t rig_punts(struct rig *g, unsigned int nic, enum p2p_punt why); /* the counter */

/* A frame's fate by the RFCs. */
struct rig_fate {
	uint64_t drops; /* bits of the reasons that apply, as many as there are; neither of both: it is sent */
	uint32_t punts;
	uint32_t hop;
	unsigned int nic, port;
	uint32_t len;
	uint8_t out[P2P_MAX_FRAME]; /* what leaves */
};
void rig_decide(const struct rig *g, unsigned int nic, unsigned int port, const uint8_t *frame, uint32_t len,
		struct rig_fate *f);

/* Frames.  UDP, from and to as "192.0.2.1" or "2001:db8::1"; returns the length. */
uint32_t rig_frame(uint8_t *f, unsigned int nic, unsigned int port, const char *from, const char *to, uint32_t len,
		   uint16_t sport);
void rig_fix_sum(uint8_t *f);

/* A test's main(): `all` on every board that routes, in wr and rd, by the seeds asked for. */
typedef void (*rig_fn)(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed);
int rig_main(int argc, char **argv, rig_fn all);

#endif
