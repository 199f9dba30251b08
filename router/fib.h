/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel would do with a packet, kept up to date from what it says.
 *
 * In: links, neighbours, nexthop objects and routes, as netlink tells of them
 * (kernel.h), each call absolute, so that hearing a thing twice changes nothing.
 * Out, to a sink: next hops under small numbers, and for each prefix which.
 *
 * WHAT IS CHOSEN  the tables of `ip rule`'s default: IPv4 local and main, which
 *   the kernel searches as one, then default; IPv6 local, then main.  Of a
 *   prefix's routes the first in the kernel's order that has a next hop alive.
 *   What can't be told by destination alone (routes by source or TOS, with
 *   encapsulation, more than FIB_MAX_HOPS ways) punts: the kernel decides.
 *
 * NEIGHBOURS  of a route to a network on a port are prefixes of their own,
 *   as long as an address; the network itself is gleaned: the kernel asks for who is not known yet.
 *
 * NEXT HOPS  Routes that go the same way share one.  A neighbour that is
 *   resolved or lost, a port that goes down, a changed nexthop object change the
 *   next hop and no route.  Of several ways those are taken whose neighbour is
 *   resolved, and those that leave by no port, whose share punts; if none is resolved, the packet is gleaned or punted.
 *
 * ORDER towards the sink: a next hop is set before a prefix names it and deleted
 *   after the last has stopped; a prefix that changes its next hop never goes
 *   without in between.  Changes of routes go on at once, those of next hops with fib_flush().
 *
 * RESYNCHRONISATION  fib_begin(), then everything that the kernel has, then
 *   fib_sweep(): what was not heard of goes, what is as it was goes on untouched.
 *
 * THREADS  one caller at a time.  ERRORS  0 or -errno; -ENOMEM leaves out what did not fit.
 *
 * Source: design section 5; Linux net/ipv4/fib_trie.c and net/ipv6/ip6_fib.c for what the kernel prefers.
 */
#ifndef ROUTER_FIB_H
#define ROUTER_FIB_H

#include "router/prefix.h"

#define FIB_MAX_HOPS 64
#define FIB_IFNAME 16

/* What happens to a packet: names as of P2P_HOP_KINDS in <p2pnic/route.h>, with the reason to punt. */
enum fib_kind {
	FIB_FORWARD,
	FIB_GLEAN,       /* out of a port, neighbour not resolved */
	FIB_LOCAL,       /* ours, or for all */
	FIB_PUNT,        /* leaves by no port, or in a way that only the kernel knows */
	FIB_BLACKHOLE,
	FIB_UNREACHABLE,
	FIB_PROHIBIT,
	FIB_NUM_KINDS
};
const char *fib_kind_text(enum fib_kind kind);

/* One way of a next hop, ready for a NIC. */
struct fib_way {
	uint8_t nic, port;
	uint8_t dst_mac[6], src_mac[6];
	bool punt;             /* this share leaves by no port: the kernel forwards it */
	uint8_t family;        /* of gateway; 0: the destination itself is the neighbour (FIB_GLEAN) */
	uint16_t weight;       /* 1-256 */
	uint32_t mtu;
	uint32_t ifindex;
	struct router_addr gateway;
};

/* FIB_FORWARD has n ways, one at least of a port; FIB_GLEAN one, without MAC addresses; others none. */
struct fib_out {
	enum fib_kind kind;
	unsigned int n;
	const struct fib_way *way;
};

/* Each returns 0 or -errno; a prefix that could not be set or deleted is tried again by fib_retry() and at sweeps. */
struct fib_sink {
	int (*hop_set)(void *ctx, uint32_t hop, const struct fib_out *out);
	void (*hop_del)(void *ctx, uint32_t hop);
	int (*route_set)(void *ctx, const struct router_prefix *p, uint32_t hop);
	int (*route_del)(void *ctx, const struct router_prefix *p);
	/* Packets that went this way so far; NULL: not known. */
	uint64_t (*hits)(void *ctx, uint32_t hop, unsigned int way);
};

/* --- in --- */

struct fib_link {
	uint32_t ifindex, mtu;
	uint8_t mac[6];
	bool up; /* administratively; without carrier the kernel still sends to it */
	bool carrier;
	char name[FIB_IFNAME];
};

struct fib_neigh {
	uint32_t ifindex;
	uint8_t family;
	struct router_addr addr;
	uint8_t mac[6];
	uint16_t state; /* NUD_* of linux/neighbour.h */
};

#define FIB_HOP_DEAD 0x01u  /* the kernel does not use it */
#define FIB_HOP_ENCAP 0x02u /* with encapsulation */

struct fib_hop {
	struct router_addr gateway;
	uint32_t ifindex;
	uint16_t weight;
	uint8_t family; /* of gateway, 0: none */
	uint8_t flags;
};

struct fib_member {
	uint32_t id;
	uint16_t weight;
};

/* A nexthop object: one hop, a blackhole, or a group of others. */
struct fib_object {
	uint32_t id;
	bool blackhole, alien; /* alien: of a kind that has no route's packets */
	struct fib_hop hop;
	unsigned int n;        /* > 0: a group */
	const struct fib_member *member;
};

struct fib_route {
	struct router_prefix prefix;
	uint32_t table, metric;
	uint32_t object; /* nexthop object, 0: hops */
	uint32_t mtu;    /* 0: the link's */
	uint32_t tag;    /* IPv4: tells routes apart that are alike in all else */
	uint8_t type;    /* RTN_* of linux/rtnetlink.h */
	uint8_t protocol;
	uint8_t tos;
	bool odd;        /* by source or otherwise not by destination alone */
	unsigned int n;  /* hops; more than FIB_MAX_HOPS are not in hop[] */
	const struct fib_hop *hop;
};

/* How a route was added, as NLM_F_* says. */
enum fib_how { FIB_LAST, FIB_FIRST, FIB_REPLACE };

struct fib;

int fib_create(struct fib **out, const struct fib_sink *sink, void *ctx);
/* The sink is told nothing: what it holds stays in force. */
void fib_destroy(struct fib *r);

/* Interface ifindex is this port, nic < 0: none. */
int fib_port(struct fib *r, uint32_t ifindex, int nic, unsigned int port);

int fib_link_set(struct fib *r, const struct fib_link *l);
void fib_link_del(struct fib *r, uint32_t ifindex);
int fib_neigh_set(struct fib *r, const struct fib_neigh *n);
void fib_neigh_del(struct fib *r, uint32_t ifindex, unsigned int family, struct router_addr addr);
int fib_object_set(struct fib *r, const struct fib_object *o);
void fib_object_del(struct fib *r, uint32_t id);
int fib_route_add(struct fib *r, const struct fib_route *route, enum fib_how how);
/* *known says whether such a route was there. */
int fib_route_del(struct fib *r, const struct fib_route *route, bool *known);
/* After each burst of calls. */
void fib_flush(struct fib *r);

/* Tries again what the sink has refused. */
void fib_retry(struct fib *r);

void fib_begin(struct fib *r);
/* complete: nothing was left out, so what was not heard of since fib_begin() goes; else it stays. */
void fib_sweep(struct fib *r, bool complete);

/* --- looking --- */

/* false: there is no such interface. */
bool fib_link_mac(const struct fib *r, uint32_t ifindex, uint8_t mac[6]);

struct fib_counts {
	size_t routes[2], prefixes[2]; /* of IPv4 and IPv6: held, and placed in the sink */
	size_t hops, neighbours, objects, links;
	size_t unplaced;               /* prefixes that the sink refused */
	int unplaced_rc;               /* why, the last */
	uint64_t route_ops, hop_ops;   /* calls of the sink so far */
};
void fib_counts(const struct fib *r, struct fib_counts *c);

/* What holds for an address: the prefix, its next hop's number and what that is.  false: no route. */
bool fib_get(struct fib *r, unsigned int family, struct router_addr a, struct router_prefix *p, uint32_t *hop,
	     struct fib_out *out);

/* Every prefix placed in the sink in order; every next hop with the prefixes that name it; every neighbour on a port. */
typedef void (*fib_prefix_fn)(void *ctx, const struct router_prefix *p, uint32_t hop, const struct fib_out *out,
			      uint8_t protocol, uint32_t metric);
void fib_each_prefix(struct fib *r, fib_prefix_fn fn, void *ctx);
typedef void (*fib_hop_fn)(void *ctx, uint32_t hop, const struct fib_out *out, size_t prefixes);
void fib_each_hop(struct fib *r, fib_hop_fn fn, void *ctx);
typedef void (*fib_neigh_fn)(void *ctx, const struct fib_neigh *n, const char *ifname, int nic, unsigned int port);
void fib_each_neigh(struct fib *r, fib_neigh_fn fn, void *ctx);

/*
 * Neighbours that the kernel should be asked to look after: gateways that are
 * not resolved, and stale ones that packets went to since the last call.
 */
typedef void (*fib_ask_fn)(void *ctx, uint32_t ifindex, unsigned int family, struct router_addr addr);
void fib_ask(struct fib *r, fib_ask_fn fn, void *ctx);

#endif
