/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The firmware's own state and its inner interfaces.
 *
 *   prod   we fill a ring in a peer's memory        prod.c
 *   cons   a peer fills a ring in our memory        cons.c
 *   peer   sessions, heartbeats, sleeping           peer.c
 *   ingress  ports -> prod                          ingress.c, bridge.c
 *   cut    cables -> slots of prod                 cut.c
 *   egress   cons -> ports                          egress.c
 *   bn     the host's rings in place of peers'      bn.c
 *   route  IP routing in the ingress                route.c
 *   punt   frames to and from the host's router     punt.c
 *   nic    life, registers, the step                nic.c, regs.c
 *
 * References.  A buffer that something still reads is held by a reference, one
 * 32-bit word: a receive buffer (port, index) or a slot of a ring that we
 * consume (ring id, slot).  Whoever holds one gives it back with fw_release().
 */
#ifndef FIRMWARE_NIC_H
#define FIRMWARE_NIC_H

#include "fw.h"
#include "board.h"
#include "lpm.h"
#include <p2pnic/route.h>

#define FW_RX_BURST 64             /* the most that fw_strap.rx_burst may be */
#define FW_TX_STAGE (2 * FW_RX_BURST)
#define FW_RX_BUFS_MIN 32
#define FW_FEW BOARD_FEW_MAX      /* frames of a burst that are dealt with side by side */
#define FW_MIN_FRAME 14           /* an Ethernet header */
#define FW_PEER_HOST P2P_MAX_NICS /* bn: the host, as a peer */
#define FW_PEER_INJECT (P2P_MAX_NICS + 1) /* the host's router, whose one ring holds the frames that it wants sent */
#define FW_MAX_PEERS (P2P_MAX_NICS + 2)
#ifdef FW_NO_ROUTING
#define FW_ROUTING 0
#else
#define FW_ROUTING 1
#endif
#define FW_TICK_NS 1000000ull     /* peers, pokes, ageing are looked at this often */
#define FW_MEETING_NS 1000000000ull /* a NIC just introduced is waited for so long at most */
#define FW_FLUSH_NS 10000ull      /* less than a batch waits no longer for more, though ports have more */
#define FW_STEP_FRAMES 256        /* a step drops no more than about so many for a port whose cable is down */
#define FW_QUANTUM_BYTES 4096     /* deficit round robin */
#define FW_ALONE_BYTES 65536      /* the same, while no other ring has anything: many turns in one */
#define FW_RD_WINDOW 64           /* rd, bn: reads of one ring under way */
#define FW_DOUBTS 3              /* so often its producer may write a descriptor anew that cannot be right */
#define FW_HOLE 0xff              /* rd: a slot given up when it was fetched */
#define FW_STATIONS 8192          /* bridge table; 4-way buckets */

#define FW_REF_SLOT 0x80000000u
#define FW_REF_NONE 0xffffffffu
#define FW_REF_RX(port, buf) ((uint32_t)(port) << 24 | (uint32_t)(buf))
#define FW_REF_BUF 0xffffffu /* of a receive buffer's reference: its number */
#define FW_REF_CONS(id, slot) (FW_REF_SLOT | (uint32_t)(id) << 16 | (uint32_t)(slot))

/* Words that go into the checksum of a slot with len bytes: its units', three of the descriptor's. */
#define FW_CSUM_WORDS(n, len) (3 + ((len) + (n)->stride - 1) / (n)->stride)

/* We produce into this ring of a peer. */
struct fw_prod {
	uint32_t prod;  /* next slot to fill */
	uint32_t ready; /* payload has finished before this */
	uint32_t pub;   /* descriptors are written before this */
	uint32_t cons;  /* slots before this are ours again */
	uint32_t out;   /* cut: slots from prod on that a cable holds, or that are reserved for buffers that it holds */
	uint32_t mask, buf_size;
	uint32_t desc_off; /* of the descriptors in the peer's ring window */
	uint32_t ctrl_off;
	uint8_t frame;  /* next frame number */
	bool open;      /* the peer's first completion line of this session has come */
	bool dirty;     /* on the NIC's list of rings to flush */
	bool local;     /* i = j */
	uint8_t cut;    /* 1 + the port whose cable receives into it, 0: none */
	uint64_t dirty_ns; /* since when, or since the last flush */
	const struct p2p_line *comp; /* in our memory, written by the peer */
	struct p2p_desc *shadow;     /* what we wrote, N; also the DMA's source */
	uint32_t *tok;               /* per slot: the payload's token, then its descriptor's; not where DMA ends at once */
	uint32_t *src;               /* rd, else NULL: per slot, reference to release when completed, or FW_REF_NONE */
	struct board_win win_buf;
	uint64_t deadline_ns, timeout_ns;
	uint32_t poke, bad_cons;
	uint32_t again;  /* overdue: descriptors are written once more before this */
	bool repeating;
	struct fw_prod *next_dirty;
	uint32_t held[P2P_MAX_PORTS]; /* rd: receive buffers of each own port that this ring holds */
	uint8_t peer, ring;
};

/* A peer (or, bn, the host) produces into this ring of ours. */
struct fw_cons {
	uint32_t next;  /* next slot to judge */
	uint32_t fetch; /* rd, bn: reads of payload are submitted before this */
	uint32_t dfetch; /* bn: reads of descriptors are submitted before this */
	uint32_t done;  /* every slot before this is complete */
	uint32_t told;  /* and the producer knows of those before this */
	uint32_t gap_at; /* with `gap`: the first of the holes whose frames are not counted yet */
	uint32_t mask, buf_size;
	const struct p2p_desc *descs; /* in our memory, written by the peer */
	uint8_t *bufs;
	uint8_t *pend;         /* per slot: how many still hold it; FW_HOLE */
	struct p2p_desc *copy; /* rd, bn: descriptors taken, per slot */
	uint32_t *tok;         /* rd, bn: per slot, the read's token */
	uint32_t desc_off;     /* bn: of the send ring in our host area */
	uint32_t comp_off;     /* of our completion line in the producer's memory */
	uint32_t poke;         /* last answered */
	uint32_t published;    /* its control line said that every slot before this was written */
	union { /* no field more: an array of larger ones costs more instructions for each index */
		struct p2p_desc stale; /* wr: the last one behind the next that had a wrong checksum */
		struct {
			uint32_t base;     /* bn: the session's first slot */
			uint32_t bad_prod; /* bn: the last word of the host's that made no sense */
		};
	};
	uint32_t wrong;        /* of the slots given up since gap_at, those with a wrong checksum */
	uint32_t doubt_at, doubts; /* so many control lines said that this slot was written, while it was the next */
	uint32_t told_step;
	int32_t deficit;
	uint16_t id, region;
	uint8_t peer, ring;
	uint8_t expect; /* frame number of the next frame */
	bool open, opening;
	bool gap; /* slots were holes: the next descriptor's frame number tells how many frames those were */
	/* The frame being put together; on the flood ring, being replicated. */
	bool active;
	uint8_t nsegs;
	uint32_t bytes, first;
	struct p2p_seg seg[P2P_MAX_SEGS];
	uint32_t slot[P2P_MAX_SEGS];
	uint32_t flood_mask; /* flood ring: own ports that the frame in hand still goes to */
	uint32_t w0;
};

struct fw_peer {
	bool intro, ready; /* introduced; all our rings in it have been open */
	uint64_t intro_ns;
	enum p2p_peer_state state;
	uint32_t inc;      /* ours towards this peer */
	uint32_t seen;     /* the peer's, for which our rings are zeroed; 0: none */
	uint32_t beat, last_beat;
	uint64_t heard_ns, since_ns, next_beat_ns;
	struct p2p_ring_head *head; /* ring(peer) in our memory */
	struct board_win win_ring;  /* ring(us) in the peer's memory; bn: our host area */
	struct board_win win_rx;    /* rd: its receive buffers; bn: the host's pool */
	uint64_t rx_bytes;
	uint32_t ports, slots;
	bool flushed, completed; /* written to: look whether it sleeps */
	uint32_t wake_tok, wake_last; /* once this write has finished; and again after the last one */
	uint64_t sent_frames, recv_frames;
	struct fw_prod prod[P2P_MAX_RINGS];
	struct fw_cons cons[P2P_MAX_RINGS];
};

/* Slots of one ring that follow each other: references ref, ref + 1, ... */
struct fw_run {
	uint32_t ref, n;
};

struct fw_port {
	struct p2p_seg stash[FW_RX_BURST]; /* received, not yet forwarded */
	uint32_t stash_n, stash_at;
	uint64_t flood_mask; /* where the frame at stash_at still goes: [7:0] own ports, [39:8] other NICs */
	uint8_t *rx_base;
	uint32_t rx_rel; /* its distance from rx(0) in BAR2 */
	uint16_t *refs;
	uint32_t *free;
	uint32_t nfree, nbufs;
	uint32_t posted; /* receive buffers that the port has */
	uint32_t plain; /* cut: of these, those that are no slots */
	bool satisfied;  /* it wants no more of them for now */
	bool link, blocked, retry;
	/* sending */
	uint32_t stage_n;
	struct p2p_seg stage[FW_TX_STAGE];
	uint32_t stage_runs;
	struct fw_run stage_run[FW_TX_STAGE]; /* the staged segments' slots */
	struct fw_run *txq; /* slots of segments that the port holds, oldest first */
	uint32_t txq_head, txq_tail, txq_mask;
	uint32_t rr;    /* the peer whose ring is served next */
	bool rr_resume; /* it was left with its quantum not used up */
	/* bn */
	uint32_t refill_cons, refill_prod;
	/* cut */
	struct fw_prod *ring; /* whose slots the cable receives into, NULL: none */
	uint8_t *ring_base;   /* slot 0 */
	uint32_t ring_pair;   /* the pair that this is for */
	uint8_t place;        /* enum p2p_placement, but for CHANGED */
	/* routing: what was decided of the frames in the stash, each at its first segment */
	bool routed;          /* it has been */
	uint16_t to[FW_RX_BURST]; /* FW_TO(nic, port), or FW_TO_PUNT */
	uint8_t why[FW_RX_BURST]; /* enum p2p_punt */
	uint32_t hop[FW_RX_BURST];
};
#define FW_TO(nic, port) ((uint16_t)((nic) << 8 | (port)))
#define FW_TO_PUNT 0xffffu

/* Read and written by all contexts of a NIC: each word by itself, relaxed. */
struct fw_station {
	uint64_t where; /* [47:0] MAC, first byte lowest; [55:48] NIC; [63:56] port.  0: empty */
	uint32_t seen_s;
	uint32_t announced_s; /* the second in which peers were last told */
};

/* One a NIC: what a station's frames taught one context the others know. */
struct fw_stations {
	struct fw_station s[FW_STATIONS];
	uint32_t key; /* of the hash; fixed while enabled */
};

struct fw_wait {
	uint32_t tok, ref;
};

/* Frames for the host, and from it. */
struct fw_punt {
	struct board_win win;      /* our ring in host memory */
	struct p2p_inject_head *from; /* what the host writes */
	uint32_t session;          /* 0: nobody is there */
	uint32_t prod, cons;
	uint32_t arm;              /* the last one that an interrupt answered */
	uint32_t tok, last_tok;    /* the host is told after this write, and after the last one */
	uint32_t told_prod, told_inject; /* by our line */
	bool tell;                 /* something was written since the host was last told */
	bool bad;                  /* the host's words make no sense, which was counted */
	uint64_t credit_ns[P2P_NUM_PUNTS], last_ns[P2P_NUM_PUNTS];
};

/* The routing area as it was found when it was looked over. */
struct fw_route {
	bool on;     /* ports without a pair route */
	bool table;  /* there is a table */
	uint32_t hops, buckets, entries;
	uint32_t seen; /* the epoch that we have told */
	const le32 *hop_words, *bucket_words;
	const struct p2p_hop_entry *entry;
	struct p2p_hop_count *count; /* ours */
	struct p2p_route_head *head;
	struct p2p_route_ctx *line;  /* ours */
	struct fw_lpm lpm;
};

struct fw_nic {
	struct board_ctx *board;
	struct fw_strap strap;
	uint64_t now_ns;
	uint32_t step;
	bool configured, running, persist;
	uint8_t mode;
	bool scrub, bridge, backpressure, cut;
	uint32_t self, nics, ports, batch, stride;
	uint32_t rx_burst, tx_stage; /* frames taken from a port in a step; segments staged for one */
	struct p2p_shape shape;
	uint32_t scrub_key;
	struct p2p_doorbell *doorbell;
	struct fw_stations *stations;
	uint64_t flood_credit_ns; /* token bucket, in ns of credit */
	uint64_t flood_last_ns, age_last_ns;
	uint64_t next_tick_ns, last_tick_ns;
	uint64_t silence_ns; /* after which a peer is down */
	struct fw_prod *dirty;
	/* sources to release when their writes have finished, oldest first */
	struct fw_wait *wait;
	uint32_t wait_head, wait_tail, wait_mask;
	bool asleep, blocked, wrote;
	bool waking; /* a peer that was written to has not been looked at yet */
	uint32_t last_read; /* token of the last read submitted */
	uint64_t tx_poll_ns; /* how long to wait before looking at tx_done again */
	/* Peers, a bit each (FW_BIT). */
	uint64_t intro;      /* introduced */
	uint64_t look;       /* whose rings and lines are looked at in this step */
	uint64_t look_again; /* and in the next, whatever is written */
	uint64_t owing;      /* who have descriptors that they have not completed */
	uint64_t opening;    /* some of whose rings have not been open in this session */
	uint64_t completing; /* of whose slots some may be complete or to be told */
	uint64_t telling;    /* written to: look whether they sleep */
	uint64_t faults; /* of the board, counted so far */
	uint64_t produced, consumed; /* frames put into rings; taken out of rings */
	uint64_t events[P2P_NUM_EVENTS];
	uint64_t drops[P2P_NUM_DROPS];
	uint64_t punts[P2P_NUM_PUNTS];
	uint32_t error, incarnation;
	struct fw_port port[P2P_MAX_PORTS];
	struct fw_peer peer[FW_MAX_PEERS];
	struct fw_route route;
	struct fw_punt punt;
	uint32_t punt_rate[P2P_NUM_PUNTS];
	uint64_t reg[64], port_reg[P2P_MAX_PORTS][8], peer_reg[P2P_MAX_NICS][16];
};

static inline void fw_event(struct fw_nic *n, enum p2p_event e, uint64_t k)
{
	p2p_count(&n->events[e], k);
}

static inline void fw_drop(struct fw_nic *n, enum p2p_drop d, uint64_t frames)
{
	p2p_count(&n->drops[d], frames);
}

static inline struct fw_cons *fw_cons_of(struct fw_nic *n, uint32_t id)
{
	return &n->peer[id / P2P_MAX_RINGS].cons[id % P2P_MAX_RINGS];
}

/* wr, where nothing is lost: an open ring that has nothing.  Most have, most of the time. */
static inline bool fw_cons_empty(const struct fw_nic *n, const struct fw_cons *c)
{
	return n->mode == P2P_MODE_WR && !n->scrub && c->open &&
	       le32_load_acquire(&c->descs[c->next & c->mask].seq) != c->next;
}

#define FW_BIT(i) (1ull << (i))

/* The first bit of a mask, not 0, at or after `from`, or else the first of all. */
static inline unsigned int fw_next_bit(uint64_t mask, unsigned int from)
{
	uint64_t rest = from < 64 ? mask >> from << from : 0;

	return (unsigned int)__builtin_ctzll(rest ? rest : mask);
}

static inline void fw_release(struct fw_nic *n, uint32_t ref)
{
	if (ref & FW_REF_SLOT) {
		struct fw_cons *c = fw_cons_of(n, (ref >> 16) & 0x7fff);

		c->pend[ref & 0xffff]--;
		n->completing |= FW_BIT(c->peer);
	} else {
		struct fw_port *p = &n->port[ref >> 24];
		uint32_t buf = ref & 0xffffff;

		if (--p->refs[buf] == 0)
			p->free[p->nfree++] = buf;
	}
}

static inline void fw_release_run(struct fw_nic *n, uint32_t ref, uint32_t count)
{
	struct fw_cons *c = fw_cons_of(n, (ref >> 16) & 0x7fff);
	uint8_t *pend = &c->pend[ref & 0xffff];
	uint64_t eight;

	/* Every one of them is held: nothing is borrowed from a neighbour. */
	for (; count >= 8; count -= 8, pend += 8) {
		memcpy(&eight, pend, sizeof(eight));
		eight -= 0x0101010101010101ull;
		memcpy(pend, &eight, sizeof(eight));
	}
	while (count--)
		(*pend++)--;
	n->completing |= FW_BIT(c->peer);
}

static inline void fw_hold(struct fw_nic *n, uint32_t ref)
{
	if (ref & FW_REF_SLOT)
		fw_cons_of(n, (ref >> 16) & 0x7fff)->pend[ref & 0xffff]++;
	else
		n->port[ref >> 24].refs[ref & 0xffffff]++;
}

/* Does the source of a write stay untouched until it has finished?  Room for one more to wait for. */
static inline uint32_t fw_wait_room(const struct fw_nic *n)
{
	return n->wait_mask + 1 - (n->wait_head - n->wait_tail);
}

/* Hold ref until write `tok` has finished. */
static inline void fw_hold_until(struct fw_nic *n, uint32_t tok, uint32_t ref)
{
	if (p2p_likely(board_done(n->board, BOARD_Q_WRITE, tok)) || ref == FW_REF_NONE)
		return;
	fw_hold(n, ref);
	n->wait[n->wait_head++ & n->wait_mask] = (struct fw_wait){ tok, ref };
}

/* The peer is given descriptors (flushed) or completions by write `tok`: it may sleep (fw_peer_wake()). */
static inline void fw_wake_after(struct fw_nic *n, unsigned int i, uint32_t tok, bool completions)
{
	struct fw_peer *peer = &n->peer[i];

	n->telling |= FW_BIT(i);
	if (!peer->flushed && !peer->completed)
		peer->wake_tok = tok;
	peer->wake_last = tok;
	peer->completed |= completions;
	peer->flushed |= !completions;
}

/* Firmware's own functions, one set per board. */
#define FW_LOCAL(name) FW_INNER(name)
#ifdef FW_BOARD
#define FW_INNER(name) FW_SYM(name)
#else
#define FW_INNER(name) name
#endif

#define fw_prod_open FW_LOCAL(fw_prod_open)
#define fw_prod_close FW_LOCAL(fw_prod_close)
#define fw_prod_free FW_LOCAL(fw_prod_free)
#define fw_prod_send FW_LOCAL(fw_prod_send)
#define fw_prod_burst FW_LOCAL(fw_prod_burst)
#define fw_prod_void FW_LOCAL(fw_prod_void)
#define fw_prod_flush FW_LOCAL(fw_prod_flush)
#define fw_prod_copy FW_LOCAL(fw_prod_copy)
#define fw_prod_filled FW_LOCAL(fw_prod_filled)
#define fw_prod_flush_all FW_LOCAL(fw_prod_flush_all)
#define fw_prod_flush_ns FW_LOCAL(fw_prod_flush_ns)
#define fw_prod_reap FW_LOCAL(fw_prod_reap)
#define fw_prod_tick FW_LOCAL(fw_prod_tick)
#define fw_cons_open FW_LOCAL(fw_cons_open)
#define fw_cons_close FW_LOCAL(fw_cons_close)
#define fw_cons_scrub FW_LOCAL(fw_cons_scrub)
#define fw_cons_tell FW_LOCAL(fw_cons_tell)
#define fw_cons_poll FW_LOCAL(fw_cons_poll)
#define fw_cons_burst FW_LOCAL(fw_cons_burst)
#define fw_cons_complete FW_LOCAL(fw_cons_complete)
#define fw_cons_tick FW_LOCAL(fw_cons_tick)
#define fw_peer_start FW_LOCAL(fw_peer_start)
#define fw_peer_stop FW_LOCAL(fw_peer_stop)
#define fw_peer_tick FW_LOCAL(fw_peer_tick)
#define fw_peer_wake FW_LOCAL(fw_peer_wake)
#define fw_peer_line FW_LOCAL(fw_peer_line)
#define fw_ingress_port FW_LOCAL(fw_ingress_port)
#define fw_ingress_post FW_LOCAL(fw_ingress_post)
#define fw_ingress_ready FW_LOCAL(fw_ingress_ready)
#define fw_ingress_stash FW_LOCAL(fw_ingress_stash)
#define fw_cut_start FW_LOCAL(fw_cut_start)
#define fw_cut_stop FW_LOCAL(fw_cut_stop)
#define fw_cut_port FW_LOCAL(fw_cut_port)
#define fw_cut_closed FW_LOCAL(fw_cut_closed)
#define fw_cut_evict FW_LOCAL(fw_cut_evict)
#define fw_cut_leave FW_LOCAL(fw_cut_leave)
#define fw_cut_meet FW_LOCAL(fw_cut_meet)
#define fw_egress_port FW_LOCAL(fw_egress_port)
#define fw_egress_flood_serve FW_LOCAL(fw_egress_flood_serve)
#define fw_egress_stop FW_LOCAL(fw_egress_stop)
#define fw_bridge_learn FW_LOCAL(fw_bridge_learn)
#define fw_bridge_find FW_LOCAL(fw_bridge_find)
#define fw_bridge_flush FW_LOCAL(fw_bridge_flush)
#define fw_bridge_age FW_LOCAL(fw_bridge_age)
#define fw_bridge_flood_ok FW_LOCAL(fw_bridge_flood_ok)
#define fw_bn_fetch FW_LOCAL(fw_bn_fetch)
#define fw_bn_refill FW_LOCAL(fw_bn_refill)
#define fw_bn_place FW_LOCAL(fw_bn_place)
#define fw_route_start FW_LOCAL(fw_route_start)
#define fw_route_stop FW_LOCAL(fw_route_stop)
#define fw_route_table FW_LOCAL(fw_route_table)
#define fw_route_pass FW_LOCAL(fw_route_pass)
#define fw_route_idle FW_LOCAL(fw_route_idle)
#define fw_route_resume FW_LOCAL(fw_route_resume)
#define fw_route_burst FW_LOCAL(fw_route_burst)
#define fw_punt_frame FW_LOCAL(fw_punt_frame)
#define fw_punt_session FW_LOCAL(fw_punt_session)
#define fw_punt_step FW_LOCAL(fw_punt_step)
#define fw_punt_line FW_LOCAL(fw_punt_line)
#define fw_punt_pending FW_LOCAL(fw_punt_pending)
#define fw_nic_configure FW_LOCAL(fw_nic_configure)
#define fw_nic_enable FW_LOCAL(fw_nic_enable)
#define fw_nic_disable FW_LOCAL(fw_nic_disable)
#define fw_regs_reset FW_LOCAL(fw_regs_reset)

/* ---- prod.c ---- */
/* Session begins: the ring opens with the peer's first completion line. */
void fw_prod_open(struct fw_nic *n, struct fw_peer *peer, unsigned int ring);
/*
 * Session ends; returns the frames outstanding.  What the slots hold is released
 * by fw_prod_free(), in rd only when the peer can no longer read it.
 */
uint64_t fw_prod_close(struct fw_nic *n, struct fw_prod *p);
void fw_prod_free(struct fw_nic *n, struct fw_prod *p);
/*
 * Puts one frame into a ring: all of it or nothing.  segs with their references.
 * 0; -ENOSPC: ring (or rd share) full, *why says which; -EAGAIN: the DMA queue is
 * full, try again; -EMSGSIZE: can never fit; -ENOTCONN: no session.
 */
int fw_prod_send(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *segs, const uint32_t *refs,
		 unsigned int nsegs, uint32_t w0, enum p2p_drop *why);
/*
 * As fw_prod_send() for each of count frames that port x has received and nobody holds yet, in order, up to the first
 * that is not simple (one segment that fits a slot) or finds no room.  Their buffers are released.  Returns how many;
 * none in bn, where the host's buffers are asked for one by one.
 */
uint32_t fw_prod_burst(struct fw_nic *n, struct fw_prod *p, unsigned int x, const struct p2p_seg *segs, uint32_t count,
		       uint32_t w0);
/* A learning announcement (seg) or, seg NULL, "forget my port".  0 or as above. */
int fw_prod_void(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *seg, uint32_t ref, unsigned int in_port);
/*
 * Publishes whole batches; less than one when the ingress has run dry and no more
 * payload is under way that would make it whole, or when it has waited long enough.
 */
void fw_prod_flush(struct fw_nic *n, struct fw_prod *p, bool dry);
/* cut: a segment of a receive buffer into the slot at p->prod, which is reserved; nothing is published. */
void fw_prod_copy(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *seg, uint32_t w0);
/* Slots before p->prod have been filled (cut): as fw_prod_send() does at its end. */
void fw_prod_filled(struct fw_nic *n, struct fw_prod *p);
void fw_prod_flush_all(struct fw_nic *n, bool dry);
/* When a ring that waits for a whole batch is flushed all the same; 0: it waits for DMA; UINT64_MAX: none does. */
uint64_t fw_prod_flush_ns(const struct fw_nic *n);
void fw_prod_reap(struct fw_nic *n, struct fw_peer *peer, struct fw_prod *p);
/* Overdue completions; returns when to look again. */
uint64_t fw_prod_tick(struct fw_nic *n, struct fw_peer *peer, struct fw_prod *p);

/* ---- cons.c ---- */
/* Session begins: opens the ring now or, slots of the former one being held, in a later tick. */
void fw_cons_open(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c);
void fw_cons_close(struct fw_nic *n, struct fw_cons *c);
/*
 * What `seq` will sample in the first `units` units of a slot must not pass for data that arrived: should nothing
 * arrive, the checksum shows it.
 */
void fw_cons_scrub(struct fw_nic *n, struct fw_cons *c, uint32_t slot, uint32_t seq, uint32_t units);
/* Writes the completion line. */
void fw_cons_tell(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c);
/*
 * Judges slots until a whole frame is in c->seg[0..nsegs) with c->w0 (returns 1), or nothing more is there (0).
 * The frame's slots are held (pend) until the caller's references are released.
 */
int fw_cons_poll(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c);
/*
 * As fw_cons_poll() and staging for each of up to max frames of one slot that come next, while c->deficit lasts (it is
 * diminished); nobody learns from them.  Their slots follow each other from *first on, modulo the ring, each held once.
 * Returns how many; *dry: the ring has no more.  Neither that many nor dry: fw_cons_poll() knows.  wr only.
 */
unsigned int fw_cons_burst(struct fw_nic *n, struct fw_cons *c, struct p2p_seg *segs, unsigned int max, uint32_t *first,
			   bool *dry);
/* Advances the completed slots and tells the producer when a batch is due, or `dry`. */
void fw_cons_complete(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c, bool dry);
void fw_cons_tick(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c);

/* ---- peer.c ---- */
void fw_peer_start(struct fw_nic *n, unsigned int i);
void fw_peer_stop(struct fw_nic *n, unsigned int i, enum p2p_drop why);
void fw_peer_tick(struct fw_nic *n, unsigned int i);
void fw_peer_line(struct fw_nic *n, struct fw_peer *peer);
/* After writes have finished: one barrier, then bells for peers that sleep. */
void fw_peer_wake(struct fw_nic *n);

/* ---- cut.c ---- */
/* Before the ports start, and before they stop: which of them receive into peers' memory. */
void fw_cut_start(struct fw_nic *n);
void fw_cut_stop(struct fw_nic *n);
/* fw_ingress_port() for a port with a ring. */
unsigned int fw_cut_port(struct fw_nic *n, unsigned int x, bool *dry);
/* The session of a ring with p->cut is over: its slots are taken back. */
void fw_cut_closed(struct fw_nic *n, struct fw_prod *p);
/* Somebody else sends into a ring with p->out: its port copies from here on. */
void fw_cut_evict(struct fw_nic *n, struct fw_prod *p);
/* Peer i goes; peer i was introduced while we run: ports that are paired with it are restarted. */
void fw_cut_leave(struct fw_nic *n, unsigned int i);
void fw_cut_meet(struct fw_nic *n, unsigned int i);

/* ---- ingress.c, egress.c ---- */
/* Both return how many frames they moved. */
unsigned int fw_ingress_port(struct fw_nic *n, unsigned int x, bool *dry);
unsigned int fw_egress_port(struct fw_nic *n, unsigned int x);
/* Parts of fw_ingress_port(): give the port empty buffers; may it receive?; forward what it has received. */
void fw_ingress_post(struct fw_nic *n, unsigned int x);
bool fw_ingress_ready(const struct fw_nic *n, unsigned int x);
unsigned int fw_ingress_stash(struct fw_nic *n, unsigned int x);
/* What a peer's flood ring has, into our own rings; of fw_egress_flood(), which looks whether there is anything. */
unsigned int fw_egress_flood_serve(struct fw_nic *n, struct fw_peer *peer);
static inline unsigned int fw_egress_flood(struct fw_nic *n, struct fw_peer *peer)
{
	const struct fw_cons *c = &peer->cons[n->ports];

	if (c->flood_mask || !fw_cons_empty(n, c))
		return fw_egress_flood_serve(n, peer);
	board_charge(n->board, BOARD_STEP_POLL_RING, 1);
	return 0;
}

/* Forget what the ports hold; returns frames that were not yet given to a port. */
uint64_t fw_egress_stop(struct fw_nic *n);

/* ---- bridge.c ---- */
/* True if the station is new or has moved (and, from an own port, when peers should be told again). */
bool fw_bridge_learn(struct fw_nic *n, uint64_t mac, unsigned int nic, unsigned int port);
/* 0 and where it is, or -ENOENT. */
int fw_bridge_find(struct fw_nic *n, uint64_t mac, unsigned int *nic, unsigned int *port);
/* Forget stations behind (nic, port); port < 0: behind nic. */
void fw_bridge_flush(struct fw_nic *n, unsigned int nic, int port);
void fw_bridge_age(struct fw_nic *n);
bool fw_bridge_flood_ok(struct fw_nic *n);

/* ---- bn.c ---- */
void fw_bn_fetch(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c);
/* Are there `need` host buffers for port x? */
bool fw_bn_refill(struct fw_nic *n, unsigned int x, uint32_t need);
/*
 * The next of them, in the order in which the host handed them over: every slot of a
 * receive ring takes one, so that the host knows a slot's buffer even where its
 * descriptor was lost.  Not checked here: the window onto the pool bounds it.
 */
uint32_t fw_bn_place(struct fw_nic *n, unsigned int x);

/* ---- route.c ---- */
/* At enable, once the layout is there; at disable. */
void fw_route_start(struct fw_nic *n);
void fw_route_stop(struct fw_nic *n);
/* Looks the area over and takes it into use, or stops using it.  0, or -EINVAL: its head makes no sense. */
int fw_route_table(struct fw_nic *n, bool use);
/* Between two steps: nothing that was read from the area is still in use.  route.h, EPOCHS. */
void fw_route_pass(struct fw_nic *n);
/* The same around each step of a sleeper, which counts as having passed every epoch in between. */
void fw_route_idle(struct fw_nic *n);
void fw_route_resume(struct fw_nic *n);
/*
 * Forwards what is in port x's stash, or as much as finds room; what is left stays decided.  Returns the
 * frames that left the stash.
 */
unsigned int fw_route_burst(struct fw_nic *n, unsigned int x);

/* ---- punt.c ---- */
/*
 * A frame that port x received goes to the host, or is dropped and counted.  0, its buffers being held until they
 * are read; -EAGAIN: no room for DMA, nothing was done.
 */
int fw_punt_frame(struct fw_nic *n, const struct p2p_seg *segs, const uint32_t *refs, unsigned int nsegs, unsigned int x,
		  enum p2p_punt why, uint32_t hop);
void fw_punt_session(struct fw_nic *n, uint32_t session);
/* Frames from the host, and news for it; returns how many frames were taken. */
unsigned int fw_punt_step(struct fw_nic *n);
/* Tells the host how far we are, and whether we sleep. */
void fw_punt_line(struct fw_nic *n);
/* Something has still to be told, or taken. */
bool fw_punt_pending(const struct fw_nic *n);

/* ---- nic.c, regs.c ---- */
int fw_nic_configure(struct fw_nic *n);
int fw_nic_enable(struct fw_nic *n);
void fw_nic_disable(struct fw_nic *n);
void fw_regs_reset(struct fw_nic *n);

/* Index into n->reg of each register. */
#define X(name, off, bytes, access, reset, desc) FW_R_##name,
enum fw_reg_index { P2P_REGS(X) FW_NUM_REGS };
enum fw_port_reg_index { P2P_PORT_REGS(X) FW_NUM_PORT_REGS };
enum fw_peer_reg_index { P2P_PEER_REGS(X) FW_NUM_PEER_REGS };
#undef X
_Static_assert(FW_NUM_REGS <= 64 && FW_NUM_PORT_REGS <= 8 && FW_NUM_PEER_REGS <= 16, "register arrays");

/* errno values: firmware has no <errno.h>; Linux's numbers. */
enum { FW_ENOENT = 2, FW_EAGAIN = 11, FW_ENOMEM = 12, FW_EINVAL = 22, FW_ENOSPC = 28, FW_EMSGSIZE = 90, FW_EOPNOTSUPP = 95,
       FW_ENOTCONN = 107 };

#endif
