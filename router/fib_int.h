/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the FIB share. */
#ifndef ROUTER_FIB_INT_H
#define ROUTER_FIB_INT_H

#include <linux/neighbour.h>

#include "router/hash.h"
#include "router/fib.h"
#include "router/trie.h"

/* States in which a neighbour's address is known. */
#define FIB_NEIGH_VALID (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/* Where packets are sent: routes that say the same share one. */
enum via_kind { VIA_HOPS, VIA_OBJECT, VIA_LOCAL, VIA_PUNT, VIA_BLACKHOLE, VIA_UNREACHABLE, VIA_PROHIBIT, VIA_THROW };

struct via {
	struct hash_link link;
	size_t refs;   /* routes, neighbours' prefixes */
	size_t placed; /* prefixes that name it in the sink */
	uint32_t id;   /* its number there, while placed */
	uint32_t object, mtu;
	enum via_kind kind;
	bool dead; /* no hop alive */
	/* What the sink was told. */
	enum fib_kind out_kind;
	unsigned int ways;
	struct fib_way *way;
	uint64_t *hits;
	unsigned int n;
	struct fib_hop hop[];
};

struct route {
	struct route *next;
	struct via *via;
	uint32_t metric, gen;
	uint32_t tag;
	uint8_t level; /* which lookup finds it: 0 first */
	uint8_t rank;  /* within the level, lower first: IPv4's local before main */
	uint8_t type, protocol, tos;
	bool odd;
};

struct host; /* a neighbour */

/* A prefix of some route or neighbour. */
struct rnode {
	struct trie_node t;
	struct route *routes; /* in the kernel's order */
	struct host *hosts;   /* neighbours with this address */
	struct via *placed;   /* what the sink has */
	bool refused;         /* the sink did not take the last change */
	bool check;           /* look again at the sweep */
};

struct host {
	struct hash_link link; /* by interface and address */
	struct host *same;     /* of the same rnode */
	struct via *via;       /* the next hop of its own prefix */
	struct fib_neigh n;
	uint32_t gen;
	bool attached; /* it has a prefix of its own: in an rnode's list, and in the family's hosts */
	bool used; /* packets went there since it was last asked for */
};

/* Only to find the hosts under a prefix. */
struct hnode {
	struct trie_node t;
	size_t hosts;
};

struct object {
	struct hash_link link;
	struct fib_object o; /* member: owned */
	uint32_t gen;
};

struct link {
	struct hash_link link;
	struct fib_link l;
	int nic; /* -1: no port */
	unsigned int port;
	bool known; /* the kernel has it; else only the port is known */
	uint32_t gen;
};

struct family {
	struct trie routes, hosts;
	size_t num_routes, placed;
	size_t deep; /* routes that make longer prefixes depend on shorter ones */
};

struct fib {
	const struct fib_sink *sink;
	void *ctx;
	struct family fam[2];
	struct hash vias, hosts, objects, links;
	uint32_t *free_ids;
	size_t num_free, free_size, placed_vias;
	uint32_t next_id;
	uint32_t gen;
	bool dumping;  /* between fib_begin() and fib_sweep() */
	bool sweeping; /* somebody walks over prefixes: those that were refused stay */
	struct via *punt, *unreachable; /* what odd routes and a lookup that ended without result get */
	bool dirty;    /* next hops must be worked out anew */
	size_t unplaced;
	int unplaced_rc;
	uint64_t route_ops, hop_ops;
};

static inline struct family *fib_family(struct fib *r, unsigned int family)
{
	return &r->fam[family == 6];
}

/* fib_via.c */
/* A reference to the one via that says this; NULL: out of memory. */
struct via *via_get(struct fib *r, enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop, unsigned int n);
void via_hold(struct via *v);
void via_put(struct fib *r, struct via *v);
/* Alike but for what is alive. */
bool via_same(const struct via *v, enum via_kind kind, uint32_t object, uint32_t mtu, const struct fib_hop *hop,
	      unsigned int n);
/* One more prefix is about to name it: the sink has been told of it on return. */
int via_place(struct fib *r, struct via *v);
void via_displace(struct fib *r, struct via *v);
/* It is a network on this interface, without a gateway. */
bool via_connected(const struct fib *r, const struct via *v, uint32_t ifindex);
void via_refresh_all(struct fib *r);
void via_out(const struct via *v, struct fib_out *out);

/* fib_state.c */
struct link *fib_link_find(const struct fib *r, uint32_t ifindex);
struct host *fib_host_find(const struct fib *r, uint32_t ifindex, unsigned int family, struct router_addr a);
struct object *fib_object_find(const struct fib *r, uint32_t id);
void fib_state_sweep(struct fib *r);
void fib_state_free(struct fib *r);

/* fib.c */
/*
 * Works out what holds for a prefix and tells the sink if that has changed; drops the node if nothing needs
 * it, but for one that the sink had refused, while somebody sweeps.  Returns whether it changed, or may have before.
 */
bool fib_node_update(struct fib *r, unsigned int family, struct rnode *n);

#endif
