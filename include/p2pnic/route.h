/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing area: where a NIC's route table, next hops and ECMP groups lie in
 * its device memory.  The driver writes it through BAR2, the firmware reads it.
 *
 *   +0            head                who writes
 *                 +0     what and where   driver, before magic; never changed while the firmware uses the area
 *                 +1024  epoch line       driver: the epoch, and how often words have changed
 *                 +2048  context lines    firmware, context k the k-th
 *   hops_at       hop words, 4 bytes      driver: one for each hop index: an entry, a group or an alias
 *   buckets_at    bucket words, 4 bytes   driver: hop indexes of the members of groups
 *   entries_at    hop entries, 64 bytes   driver: what to do with a packet
 *   counts_at     hop counts, 16 bytes    firmware: contexts x hops; context k's from counts_at + k * counts_step on
 *   nodes_at      node entries, 4 bytes   driver: the route tables of both families
 *
 * Everything is little-endian.  Parts begin at multiples of P2P_ROUTE_ALIGN, offsets count from the area's start.
 * p2p_route_plan() gives all of it from a few numbers.
 *
 * NODES  One array of 4-byte entries (inf, jump).  A row is 2^s entries that begin at a multiple of 2^s; a family's
 *   tiers have widths stride[0], stride[1], ... that add up to 32 or 128.  The root row of family f, 2^stride[f][0]
 *   entries, begins at entry root[f].  Lookup of address a, `chunk` its next stride[f][tier] bits, the first highest:
 *
 *      e = nodes[root[f] + chunk]
 *      while jump(e): e = nodes[inf(e) + chunk]        one tier on each time
 *      inf(e) is the hop index
 *
 *         31    30                                        0
 *        +----+--------------------------------------------+
 *      0 | 1  | entry number of the row of the next tier   |  jump 1
 *        +----+--------------------------------------------+
 *        | 0  | hop index                                  |  jump 0
 *        +----+--------------------------------------------+
 *
 *   Leaves are pushed down: a lookup never goes back.  Rows with equal contents are one row, whatever tier or family
 *   they stand in.  An entry of the last tier never jumps.  Whoever reads clamps: an entry number to the array (the row
 *   may end behind it by less than P2P_ROUTE_ROW_MAX entries: that much is left at the end), a hop index to `hops`.
 *
 * HOPS  A hop index names a hop word, which changes by one store:
 *
 *         31..28   27.....24  23...................0
 *        +-------+----------+----------------------+
 *        | ENTRY |    0     | entry number         |  the packet goes by that entry
 *        | GROUP | log2 of  | first bucket         |  bucket first + (flow hash mod buckets) holds the hop index of a
 *        |       | buckets  |                      |  member; a member's word is ENTRY, else: no route
 *        | ALIAS |    0     | hop index            |  as that one, whose word is ENTRY or GROUP, else: no route
 *        +-------+----------+----------------------+
 *
 *   So at most: alias, group, member, entry; what is out of range, too deep or of another form is P2P_HOP_NO_ROUTE.
 *   Leaves that no route covers hold P2P_HOP_DEFAULT4 or _DEFAULT6.  The default route of a family is the word of
 *   that index: an alias of the route's hop, or of P2P_HOP_NO_ROUTE; it changes by one store and is in no row.
 *   Indexes below P2P_HOP_FREE are reserved (P2P_HOPS); the driver fills their words when it makes the area, but
 *   for the two defaults they never change.
 *   Packets are counted at the hop index at which an entry was found: members and what is behind an alias, by
 *   themselves.
 *
 * GROUPS  2^k buckets, many more than members.  A member that leaves hands its buckets, and only those, to others; one
 *   that comes takes a few of each: flows of other buckets stay where they are.  One store each.  A group of other
 *   size is made in other buckets, and the hop word moves.
 *
 * VALIDITY  Magic is stored last (release) by whoever makes an area, and zeroed first.  An area is valid if magic and
 *   the major version are right, every part lies in `bytes` and in the memory that there is, and widths add up.
 *   The firmware checks once, when told to route, copies the head, and looks at no word of it again but `epoch` and
 *   `changed`.
 *
 * ATOMICITY  One aligned 32-bit release store publishes: a node entry, a hop word, a bucket word.  What such a word
 *   leads to was written before and is not changed while any context may still read it.  Readers load each word once;
 *   what follows depends on it, so that no acquire is needed on CPUs that keep dependent loads in order.
 *   A change that needs many stores (a short prefix over many root entries) is atomic for each address, not for all:
 *   a lookup gives the result from before or from after.  So is a batch of changes, the default route's among them, but
 *   for addresses that go to the kernel during it because no row more fits (lpm/lpm.h, BATCHES).
 *
 * VALIDITY OF A RESULT  What becomes of a packet is what the table said at some instant while the packet was there.  Of
 *   the nodes alone that follows from their order of publication.  But a leaf names a hop word (P2P_HOP_DEFAULT4 among
 *   them), perhaps a bucket, a member's word: read one after the other, while a change of the leaf, then one of a word
 *   may come in between.  With P absent and the default A: P is added by X, the default becomes B; who read the leaf
 *   before both and the word after both would follow B, which P's addresses never did.  So does a hop whose word
 *   changes when the route has just left it, and, the words read first, the same backwards.
 *      The driver, one store at a time and in this order: changed[who] += 1 (release), the word (release).  `who` is
 *   the part of the driver whose word it is; words that no leaf leads to need no count.
 *      The firmware: load changed[] (acquire), nodes, words and buckets of a burst, acquire fence, changed[] again.
 *   If it is as it was, at most the one word counted just before has changed in the meantime, and no leaf between that
 *   count and that store: each packet's result is that of the instant at which its leaf was read, or of that store.
 *   Else the burst is looked up anew, then packet by packet; one that finds no quiet moment at all goes to the kernel.
 *
 * EPOCHS  Rows, hop entries, buckets and hop indexes that have been unlinked may be written again only when every
 *   context has passed an epoch: the driver unlinks, full barrier, epoch += 1 (never 0) giving E, full barrier, and
 *   waits until each context's `seen` is 0 or has reached E (p2p_epoch_passed()).  A context stores `seen` = epoch
 *   (release) between two steps, when nothing that it read from the area is still in use; 0 (release) before it goes
 *   idle, stops or is reset; and coming back: load epoch, store it to `seen`, full barrier, only then read the area.
 *   Lines of contexts that don't exist stay 0.  A NIC that hangs keeps only its own area's rows from being reused.  An area that
 *   the driver writes no more needs no epochs: nothing in it is reused (lpm/lpm.h, ABANDONED).
 *
 * A DEAD DRIVER  leaves a table in which every lookup is right for the routes as they were before or after each
 *   change that it was making; and rows, entries and buckets that nothing leads to.  The next driver increments
 *   `generation`, finds by walking from the roots and hop words what is in use; all else is free, after one epoch.
 *   Of the prefixes themselves nothing is kept: they come again from the kernel (lpm/lpm.h, adoption).
 *
 * TRUST  The driver owns the NIC, but a wrong word must not crash it: the firmware clamps as said above. Counts and
 *   context lines are read by the driver, which follows none of them.
 *
 * Source: design section 5.
 */
#ifndef P2PNIC_ROUTE_H
#define P2PNIC_ROUTE_H

#include "types.h"

#define P2P_ROUTE_MAGIC 0x52503250u   /* "P2PR" */
#define P2P_ROUTE_VERSION 0x00010000u /* major << 16 | minor */
#define P2P_ROUTE_ALIGN 4096u
#define P2P_ROUTE_ROW_MAX 4096u /* entries of a row below the root at most */
#define P2P_ROUTE_MAX_TIERS 32
#define P2P_ROUTE_MAX_CONTEXTS 8

enum p2p_family { P2P_IP4, P2P_IP6, P2P_NUM_FAMILIES };
#define P2P_FAMILY_BITS(f) ((f) == P2P_IP4 ? 32u : 128u)

/* Node entries. */
#define P2P_NODE_JUMP 0x80000000u
#define P2P_NODE_INF(e) ((e) & 0x7fffffffu)

/* Hop words. */
#define P2P_HOP_ENTRY 0u
#define P2P_HOP_GROUP 1u
#define P2P_HOP_ALIAS 2u
#define P2P_HOP_FORM(w) ((w) >> 28)
#define P2P_HOP_LOG2(w) (((w) >> 24) & 15) /* GROUP: 1 << this buckets */
#define P2P_HOP_NUMBER(w) ((w) & 0xffffffu)
#define P2P_HOP_WORD(form, log2, number) ((uint32_t)(form) << 28 | (uint32_t)(log2) << 24 | (uint32_t)(number))
#define P2P_MAX_HOPS 65536u
#define P2P_MAX_BUCKETS_LOG2 15

/*
 * Reserved hop indexes, from 0 on: X(name, kind of its entry, what for).  Their entries have the same numbers; the
 * two defaults' entries are not used while their words are aliases.
 */
#define P2P_HOPS(X) \
	X(DEFAULT4, NO_ROUTE, "IPv4 addresses that no route but the default covers") \
	X(DEFAULT6, NO_ROUTE, "the same of IPv6") \
	X(NO_ROUTE, NO_ROUTE, "no route at all: dropped, the sender is told") \
	X(LOCAL, LOCAL, "addresses of the router itself") \
	X(PUNT, PUNT, "routes that the fast path can't serve: the kernel has them") \
	X(BLACKHOLE, BLACKHOLE, "dropped silently") \
	X(UNREACHABLE, UNREACHABLE, "dropped, host unreachable") \
	X(PROHIBIT, PROHIBIT, "dropped, administratively prohibited")
#define X(name, kind, desc) P2P_HOP_##name,
enum p2p_hop { P2P_HOPS(X) P2P_NUM_RESERVED_HOPS };
#undef X
#define P2P_HOP_FREE 16u /* the first that a driver gives away */
#define P2P_HOP_DEFAULT(family) ((family) == P2P_IP4 ? P2P_HOP_DEFAULT4 : P2P_HOP_DEFAULT6)

/* What is done with a packet. */
#define P2P_HOP_KINDS(X) \
	X(NO_ROUTE, "no-route", "drop and count; the kernel is given some to answer") \
	X(FORWARD, "forward", "rewrite the MAC addresses, send it to (nic, port)") \
	X(GLEAN, "glean", "the neighbour's MAC address is not known: to the kernel, which asks for it") \
	X(LOCAL, "local", "to the kernel: an address of ours") \
	X(PUNT, "punt", "to the kernel, which forwards it") \
	X(BLACKHOLE, "blackhole", "drop and count") \
	X(UNREACHABLE, "unreachable", "drop and count; the kernel is given some to answer") \
	X(PROHIBIT, "prohibit", "drop and count; the kernel is given some to answer")
#define X(name, text, desc) P2P_HOP_KIND_##name,
enum p2p_hop_kind { P2P_HOP_KINDS(X) P2P_NUM_HOP_KINDS };
#undef X

/* Immutable while a hop word names it. */
struct p2p_hop_entry {
	uint8_t dst_mac[6], src_mac[6]; /* FORWARD: the new Ethernet header, but for its type */
	le16 mtu;      /* FORWARD: of IP packets; 0 is taken as 65535 */
	uint8_t kind;  /* enum p2p_hop_kind */
	uint8_t flags; /* 0 */
	uint8_t nic, port; /* FORWARD: the egress; GLEAN: the port that the neighbour is behind */
	uint8_t family;    /* of gateway: 4, 6, 0: none, the destination itself is the neighbour */
	uint8_t pad;
	uint8_t gateway[16]; /* for observers */
	le32 ifindex;        /* the kernel's, for observers */
	uint8_t rsvd[24];
};
_Static_assert(sizeof(struct p2p_hop_entry) == 64, "one cache line");
_Static_assert(offsetof(struct p2p_hop_entry, mtu) == 12, "layout");
_Static_assert(offsetof(struct p2p_hop_entry, nic) == 16, "layout");
_Static_assert(offsetof(struct p2p_hop_entry, gateway) == 20, "layout");
_Static_assert(offsetof(struct p2p_hop_entry, ifindex) == 36, "layout");

/* One writer, context k; running sums since the area was made. */
struct p2p_hop_count {
	le64 packets, bytes;
};
_Static_assert(sizeof(struct p2p_hop_count) == 16, "layout");

/* Who changes words: the tables' compiler the defaults' (lpm/), the owner of next hops the others (router/). */
enum p2p_route_change { P2P_ROUTE_CHANGE_DEFAULT, P2P_ROUTE_CHANGE_HOP, P2P_NUM_ROUTE_CHANGES };

/* A context's line, alone in its cache lines. */
struct p2p_route_ctx {
	le32 seen; /* the epoch that it has passed; 0: it reads nothing of the area */
	uint8_t pad[P2P_APART_BYTES - 4];
};
_Static_assert(sizeof(struct p2p_route_ctx) == P2P_APART_BYTES, "layout");

struct p2p_route_head {
	le32 magic, version;
	le32 generation; /* incremented by each driver that makes or adopts the area */
	le32 contexts;
	le64 bytes;      /* of the area */
	le32 hops, buckets, entries; /* how many */
	le32 nodes;      /* entries of the node array that rows may begin in; P2P_ROUTE_ROW_MAX more follow */
	le32 hops_at, buckets_at, entries_at, counts_at, counts_step;
	le32 pad0;
	le64 nodes_at;
	le32 root[P2P_NUM_FAMILIES];
	uint8_t tiers[P2P_NUM_FAMILIES];
	uint8_t stride[P2P_NUM_FAMILIES][P2P_ROUTE_MAX_TIERS];
	uint8_t pad1[1024 - 80 - 66];
	le32 epoch;      /* +1024: never 0 while magic is valid */
	le32 pad4;
	le32 changed[P2P_NUM_ROUTE_CHANGES]; /* +1032: incremented before each store of a word (VALIDITY OF A RESULT) */
	uint8_t pad2[1008];
	struct p2p_route_ctx ctx[P2P_ROUTE_MAX_CONTEXTS];
	uint8_t pad3[P2P_ROUTE_ALIGN - 2048 - P2P_ROUTE_MAX_CONTEXTS * P2P_APART_BYTES];
};
_Static_assert(sizeof(struct p2p_route_head) == P2P_ROUTE_ALIGN, "head");
_Static_assert(offsetof(struct p2p_route_head, hops) == 24, "layout");
_Static_assert(offsetof(struct p2p_route_head, nodes_at) == 64, "layout");
_Static_assert(offsetof(struct p2p_route_head, tiers) == 80, "layout");
_Static_assert(offsetof(struct p2p_route_head, epoch) == 1024, "layout");
_Static_assert(offsetof(struct p2p_route_head, changed) == 1032, "layout");
_Static_assert(offsetof(struct p2p_route_head, ctx) == 2048, "layout");

static inline bool p2p_epoch_passed(uint32_t seen, uint32_t epoch)
{
	return !seen || (int32_t)(seen - epoch) >= 0;
}

/* Numbers that an area follows from. */
struct p2p_route_shape {
	uint64_t bytes;     /* of the area: what the other parts leave is nodes */
	uint32_t hops;      /* hop indexes, P2P_HOP_FREE and some, at most P2P_MAX_HOPS */
	uint32_t buckets;   /* of all groups together */
	uint32_t contexts;
	uint8_t tiers[P2P_NUM_FAMILIES];
	uint8_t stride[P2P_NUM_FAMILIES][P2P_ROUTE_MAX_TIERS];
};

/* Hop entries: an index's entry is changed by making another. */
static inline uint32_t p2p_route_entries(uint32_t hops)
{
	return 2 * hops;
}

/* Widths: the root 4-24 bits, others 2-12, together the family's; the table of a family may be left out (tiers 0). */
static inline bool p2p_route_widths_ok(unsigned int bits, const uint8_t *stride, unsigned int tiers)
{
	unsigned int t, sum = 0;

	if (!tiers)
		return true;
	if (tiers > P2P_ROUTE_MAX_TIERS)
		return false;
	for (t = 0; t < tiers; t++) {
		if (stride[t] < (t ? 2 : 4) || stride[t] > (t ? 12 : 24))
			return false;
		sum += stride[t];
	}
	return sum == bits;
}

/*
 * Fills all of a head but magic, generation, epoch and the context lines; false: the numbers make no sense or `bytes` is
 * too little for the parts and the root rows.  Root rows lie first, the wider one at entry 0.
 */
static inline bool p2p_route_plan(const struct p2p_route_shape *s, struct p2p_route_head *h)
{
	const uint32_t entries = p2p_route_entries(s->hops);
	uint64_t at = sizeof(*h), nodes, need = 0, root[P2P_NUM_FAMILIES] = { 0, 0 };
	unsigned int f, t;

	if (s->hops < P2P_HOP_FREE || s->hops > P2P_MAX_HOPS || s->buckets > 1u << 24 || s->contexts < 1 ||
	    s->contexts > P2P_ROUTE_MAX_CONTEXTS || s->bytes > 1ull << 32)
		return false;
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		if (!p2p_route_widths_ok(P2P_FAMILY_BITS(f), s->stride[f], s->tiers[f]))
			return false;
		root[f] = s->tiers[f] ? 1ull << s->stride[f][0] : 0;
		need += root[f];
	}
	h->version = to_le32(P2P_ROUTE_VERSION);
	h->contexts = to_le32(s->contexts);
	h->bytes = to_le64(s->bytes);
	h->hops = to_le32(s->hops);
	h->buckets = to_le32(s->buckets);
	h->entries = to_le32(entries);
#define P2P_PLACE(field, size) \
	do { \
		h->field = to_le32((uint32_t)at); \
		at = P2P_ALIGN_UP(at + (size), (uint64_t)P2P_ROUTE_ALIGN); \
	} while (0)
	P2P_PLACE(hops_at, 4ull * s->hops);
	P2P_PLACE(buckets_at, 4ull * s->buckets);
	P2P_PLACE(entries_at, sizeof(struct p2p_hop_entry) * entries);
	P2P_PLACE(counts_at, 0);
#undef P2P_PLACE
	nodes = P2P_ALIGN_UP(sizeof(struct p2p_hop_count) * s->hops, (uint64_t)P2P_ROUTE_ALIGN);
	h->counts_step = to_le32((uint32_t)nodes);
	at += s->contexts * nodes;
	h->nodes_at = to_le64(at);
	if (at + 4 * (need + P2P_ROUTE_ROW_MAX) > s->bytes)
		return false;
	nodes = (s->bytes - at) / 4 - P2P_ROUTE_ROW_MAX;
	h->nodes = to_le32((uint32_t)(nodes < 1u << 30 ? nodes : 1u << 30));
	f = root[P2P_IP6] > root[P2P_IP4] ? P2P_IP6 : P2P_IP4;
	h->root[f] = to_le32(0);
	h->root[!f] = to_le32((uint32_t)root[f]);
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		h->tiers[f] = s->tiers[f];
		for (t = 0; t < P2P_ROUTE_MAX_TIERS; t++)
			h->stride[f][t] = t < s->tiers[f] ? s->stride[f][t] : 0;
	}
	return true;
}

#endif
