/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memif port's own parts; nothing outside ports/memif*.c and its tests
 * includes this.
 *
 *   memif.c         the port_ops table, spec, control(), timers, bookkeeping of buffers
 *   memif_lane.c    several queues of the port, each with a worker of its own
 *   memif_ctl.c     messages, and the listener that several server ports of a process share
 *   memif_closer.c  closes what far ends have lent, where that may take long
 *   memif_client.c  client: hands out the board's memory, handshake, rings without a copy
 *   memif_server.c  server: maps the far end's memory, handshake, rings with one copy
 *   memif_inplace.c server: the rings without a copy (memif.h)
 */
/*
 * LANES  A port with several queues (port_ops.queue) is as many memif_ports, lanes,
 *   each with its share of the connection's rings: ring g of either direction is number
 *   g / lanes of lane g % lanes.  Lane 0 holds the connection: handshake, state, mappings.
 *   What a lane's packet path uses of it changes hands by the lane's gate, so that
 *   the packet path itself takes no lock and looks at nobody else's words:
 *
 *     CLOSED    lane 0's: it makes and undoes rings and mappings     -> OPENING by lane 0
 *     OPENING   offered                       -> OPEN by the lane, CLOSED by lane 0 (taken back)
 *     OPEN      the lane's                    -> DRAINING, CLOSING by lane 0
 *     DRAINING  the same, but that it sends no more and goes on by itself once it has received all
 *     CLOSING   asked back                    -> CLOSED by the lane, which has left the rings by then
 *
 *   A lane looks at its gate in its control().  Start and stop of any lane find all
 *   workers at rest (port.h) and do at once what else waits for the lane.
 */
#ifndef PORTS_MEMIF_INT_H
#define PORTS_MEMIF_INT_H

#include <p2pnic/layout.h>

#include "ports/memif.h"
#include "sock/sock.h"

#include <sys/socket.h>
#include <sys/un.h>

#define MEMIF_MAX_QUEUES 16                          /* each way */
#define MEMIF_MAX_REGIONS (PORT_MAX_REGIONS + 1)     /* one for the rings, then the board's */
#define MEMIF_FRAME_DESCS 1024                       /* server: descriptors of one frame */
#define MEMIF_INBOX 4                                /* clients waiting for a port */
#define MEMIF_MAX_UNCLAIMED 16                       /* clients that have not said INIT yet */

#define MEMIF_RETRY_NS 100000000ull      /* client: between attempts to connect */
#define MEMIF_HANDSHAKE_NS 5000000000ull /* from HELLO to CONNECTED */
#define MEMIF_UNCLAIMED_NS 2000000000ull /* from accept to INIT, when places are short */
#define MEMIF_ACCEPT_PAUSE_NS 100000000ull /* no descriptors: until clients are looked at again */
#define MEMIF_DRAIN_NS 1000000000ull     /* to take what the far end had sent before it went */
#define MEMIF_HOLD_MIN_NS 100000000ull   /* see memif_server_hold() */
#define MEMIF_HOLD_MAX_NS 1000000000ull
#define MEMIF_HOLD_POLL_NS 5000000ull
#define MEMIF_TX_POLL_MIN_NS 100000ull  /* sleeping with frames under way: first look, doubling */
#define MEMIF_TX_POLL_MAX_NS 10000000ull

enum memif_state {
	MEMIF_IDLE,    /* client: until retry_at; server: no client */
	MEMIF_HELLO,   /* client: waits for HELLO */
	MEMIF_INIT,    /* client: waits for the ACK of INIT */
	MEMIF_REGION,  /* client: of ADD_REGION step */
	MEMIF_RING,    /* client: of ADD_RING step */
	MEMIF_CONNECT, /* client: waits for CONNECTED */
	MEMIF_SETUP,   /* server: between INIT and CONNECT */
	MEMIF_HELD,    /* server: has CONNECT, holds CONNECTED back */
	MEMIF_UP,
	MEMIF_DRAIN, /* far end gone, its last frames not taken yet */
	MEMIF_CLOSING, /* down; lanes have still to leave the rings */
};

enum memif_gate { MEMIF_GATE_CLOSED, MEMIF_GATE_OPENING, MEMIF_GATE_OPEN, MEMIF_GATE_DRAINING, MEMIF_GATE_CLOSING };

/* What a client placed in a slot of an S2C ring. */
struct memif_slot {
	uint32_t cookie;
	uint32_t length; /* room */
	uint32_t key;    /* MEMIF_FIRST(memif_desc.word[0]) */
	uint32_t offset;
} __attribute__((aligned(16)));

/* Taken off a segment's address and off its length, flags and region: what makes a descriptor of them. */
struct memif_base {
	uint64_t address;
	uint64_t word;
} __attribute__((aligned(16)));

struct memif_queue {
	struct memif_ring *ring;
	uint16_t mask;
	uint16_t size;
	uint16_t head; /* client: what ring->head says or will say after this burst.  server: last seen */
	uint16_t tail; /* oldest not finished: see the direction's code */
	uint16_t seen; /* client S2C: ring->tail last seen, checked: in [tail, head] */
	uint16_t half; /* server C2S: descriptors seen from tail on without the end of a frame; 0: none */
	uint16_t fill_max; /* client S2C: most buffers placed at once */
	uint16_t back;     /* client S2C: descriptors from tail on whose buffers are given back in order */
	uint16_t region;
	struct memif_slot *slot; /* client S2C: what each descriptor was placed as */
	uint64_t *sum;           /* client C2S: `sent` as it was with each slot's segment */
	/*
	 * Client C2S: all that was ever put into the ring, and all that was taken out: bytes, plus
	 * 2^32 for each segment that was not the last of its frame.  A ring's worth of bytes is less.
	 */
	uint64_t sent, taken;
	uint32_t finished; /* client C2S: finished but not yet in order, several queues only */
	int evfd;
	uint32_t offset; /* server: where ADD_RING put it */
	uint8_t log2;
} __attribute__((aligned(64)));

struct memif_region {
	uint8_t *base;
	uint64_t size;
	uint64_t mapped; /* server: size, up to a whole page of its file system */
	bool guarded;
};

struct memif_listener;

struct memif_claim {
	int fd;
	struct memif_init init;
};

struct memif_port {
	struct port port;

	/* packet path */
	bool rx_on; /* rings may be read: up, or draining */
	bool tx_on;
	bool server;
	bool armed;
	bool broken; /* a violation was seen: control() takes the link down */
	bool tx_short; /* the last tx_burst ran out of room */
	bool single;   /* client, one queue each way */
	volatile int bus_hit; /* guard: the far end cut its memory short; lane 0's */
	unsigned int nrx, ntx, rx_next;
	unsigned int region0; /* client: what region 0 of `mem` is to the far end */
	struct memif_port *first; /* lane 0 */
	uint32_t done; /* segments finished, not yet told by tx_done() */
	struct p2p_seg *pool; /* buffers posted, not in a ring: FIFO */
	uint32_t pool_mask, pool_head, pool_tail;
	uint32_t owned, owned_max; /* buffers posted and not returned */
	struct memif_base base[PORT_MAX_REGIONS]; /* client: of the regions of `mem` */
	uint8_t *order; /* queue of each segment under way, several queues only */
	uint32_t order_mask, order_head, order_tail;
	struct port_memory mem;
	struct memif_region region[MEMIF_MAX_REGIONS]; /* server: all; client: [0] only */
	unsigned int nregions;
	struct memif_queue rx[MEMIF_MAX_QUEUES];
	struct memif_queue tx[MEMIF_MAX_QUEUES];

	/* lanes */
	uint32_t gate;  /* enum memif_gate, atomic; of lanes but the first */
	bool fault;     /* atomic: a violation was seen in this lane */
	unsigned int number;
	struct memif_port *lane[P2P_MAX_QUEUES]; /* lane 0's: those that there are, itself the first */
	unsigned int lanes;                      /* of them take part, since start */
	unsigned int total_rx, total_tx;         /* queues of the connection, all lanes together */
	unsigned int share_rx, share_tx;         /* this lane's of them: nrx and ntx once it is up */

	/* configuration */
	char path[108];
	struct sock_name name;
	struct sock_trust trust; /* server: who may be its client */
	uint32_t id;
	unsigned int queues;
	uint8_t log2_ring;
	char secret[MEMIF_SECRET_LEN + 1];

	/* control */
	enum memif_state state;
	uint32_t public_state; /* the same, for the ports that share the process */
	bool started;
	int epfd, timerfd, wakefd;
	int ctl;
	int ring_fd; /* client: memfd of region 0, until CONNECTED */
	unsigned int step;
	unsigned int cap_rx, cap_tx; /* client: queues that this far end takes, as it turned out */
	uint64_t retry_at, deadline, hold_from;
	uint64_t timer_at;
	uint64_t accept_at; /* server: the listener is left alone until then; 0: it is not */
	bool unsealed;
	const char *refuse; /* server: why the message at hand ends the connection, without being a violation */
	uint64_t tx_poll_ns, tx_poll_at; /* next_event(): interval, and when */
	char remote_name[MEMIF_NAME_LEN + 1];
	char reason[MEMIF_REASON_LEN + 1]; /* why the link is down or an attempt failed, last one */

	/* under the listeners' lock */
	struct memif_listener *listener;
	struct memif_port *next;
	struct memif_claim inbox[MEMIF_INBOX];
	unsigned int inbox_n;
	bool accepting;
};

/* Tags of epoll entries. */
enum { MEMIF_EV_CTL, MEMIF_EV_LISTENER, MEMIF_EV_WAKE, MEMIF_EV_TIMER, MEMIF_EV_QUEUE };

static inline struct memif_port *memif_of(struct port *p)
{
	return (struct memif_port *)p;
}

/* memif.c */
/* A violation by the far end: counted, the rings are left alone from here on, control() cuts the link. */
void memif_violation(struct memif_port *m, const char *what);
/* Link down, everything of this connection undone; reason (may be NULL) is sent to the far end. */
void memif_down(struct memif_port *m, const char *reason, uint64_t now_ns);
/* The far end went in good order: take what it sent, then memif_down(). */
void memif_drain(struct memif_port *m, uint64_t now_ns);
/* All queues are set up: mask interrupts, open the packet path. */
void memif_up(struct memif_port *m);
void memif_state_set(struct memif_port *m, enum memif_state state);
int memif_watch(struct memif_port *m, int fd, uint64_t tag);
/* Wakes the receiver of a ring whose index has just been stored. */
void memif_queue_notify(struct memif_queue *q);

static inline uint32_t memif_pool_count(const struct memif_port *m)
{
	return m->pool_head - m->pool_tail;
}

/* Before all that are there. */
static inline void memif_pool_unget(struct memif_port *m, const struct p2p_seg *s)
{
	m->pool[--m->pool_tail & m->pool_mask] = *s;
}

/* Something waits for a ring, and q has room for it. */
static inline bool memif_client_short(const struct memif_port *m, const struct memif_queue *q)
{
	return m->pool_head != m->pool_tail && (uint16_t)(q->head - q->tail) != q->fill_max;
}

static inline void memif_pool_push(struct memif_port *m, const struct p2p_seg *s)
{
	m->pool[m->pool_head++ & m->pool_mask] = *s;
}

/* memif_lane.c */
/* Queue g of the connection, and whose it is. */
struct memif_port *memif_lane_of(struct memif_port *m, unsigned int g);
static inline struct memif_queue *memif_lane_queue(struct memif_port *m, bool rx, unsigned int g)
{
	struct memif_port *l = memif_lane_of(m, g);

	return rx ? &l->rx[g / m->lanes] : &l->tx[g / m->lanes];
}
/* Deals total_rx and total_tx over the lanes. */
void memif_lanes_deal(struct memif_port *m);
bool memif_lanes_started(const struct memif_port *m);
/* A violation in another lane than the first, or NULL. */
const char *memif_lanes_fault(struct memif_port *m);
void memif_lanes_open(struct memif_port *m);
void memif_lanes_drain(struct memif_port *m);
/* Asks for all rings back; true: lane 0 has them all. */
bool memif_lanes_close(struct memif_port *m);
bool memif_lanes_closed(const struct memif_port *m);
void memif_lane_control(struct memif_port *l);
/* No worker is in any lane. */
void memif_lane_leave(struct memif_port *l);
struct port *memif_lane_get(struct port *p, unsigned int q);
void memif_lanes_free(struct memif_port *m);

/* memif.c, for lanes */
/* This lane's rings may be used from now on. */
void memif_lane_up(struct memif_port *m);
/* No more; what was posted goes back to the pool, what was under way is lost. */
void memif_lane_down(struct memif_port *m);
bool memif_drained(const struct memif_port *m);
void memif_events(struct memif_port *m, uint64_t now_ns);
void memif_wake_self(struct memif_port *m);

/* memif_ctl.c */
/* 1: the next message may have a descriptor; 0; -EAGAIN: there is none yet, and it must not be received before it was looked at. */
int memif_msg_lends(int sock);
/*
 * As memif_msg_recv(), but *fd is the caller's whatever it returns.  fd NULL: a
 * message with a descriptor is none (-EPROTO), and the kernel drops that, which
 * waits for nobody, as close() may.
 */
int memif_msg_take(int sock, struct memif_msg *msg, int *fd);
void memif_msg_disconnect(int sock, const char *reason);
/* A name or reason from the far end, made printable and NUL-terminated. */
void memif_text(char *dst, const uint8_t *src, size_t len);

int memif_listener_get(struct memif_port *m, char err[PORT_ERR_MAX]);
void memif_listener_put(struct memif_port *m);
int memif_listener_fd(const struct memif_port *m);
/* Accepts, says HELLO, hands a client that has said INIT to its port. */
void memif_listener_run(struct memif_port *m, uint64_t now_ns);
void memif_listener_accepting(struct memif_port *m, bool on);
/* After accept_at. */
void memif_listener_resume(struct memif_port *m);
/* The next client for this port; false if none. */
bool memif_listener_claim(struct memif_port *m, struct memif_claim *out);
/* Another server port of this process is still shaking hands or waits for its client. */
bool memif_others_pending(const struct memif_port *m);

/* memif_closer.c */
/* Room for one descriptor, before it is received.  False: no room, receive none. */
bool memif_closer_take(void);
/* For each room taken: what is to be closed, or -1. */
void memif_closer_give(int fd);

/* memif_client.c */
void memif_client_connect(struct memif_port *m, uint64_t now_ns);
void memif_client_msg(struct memif_port *m, const struct memif_msg *msg, uint64_t now_ns);
/* Undoes a lane's rings: what was posted goes back to the pool, what was under way is lost. */
void memif_client_release(struct memif_port *m);
/* The rings' memory, once no lane uses it. */
void memif_client_unmap(struct memif_port *m);
void memif_client_refill(struct memif_port *m);
unsigned int memif_client_post(struct memif_port *m, const struct p2p_seg *segs, unsigned int n);
unsigned int memif_client_rx(struct memif_port *m, struct memif_queue *q, struct p2p_seg *segs, unsigned int n);
unsigned int memif_client_tx(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
			     unsigned int n);
/* Segments of q that the server has taken since the last call. */
uint32_t memif_client_reap(struct memif_port *m, struct memif_queue *q);

/* memif_server.c */
void memif_server_claim(struct memif_port *m, const struct memif_claim *c, uint64_t now_ns);
/* Returns fd, or -1 if it has taken it over. */
int memif_server_msg(struct memif_port *m, const struct memif_msg *msg, int fd, uint64_t now_ns);
void memif_server_hold(struct memif_port *m, uint64_t now_ns);
void memif_server_release(struct memif_port *m);
unsigned int memif_server_rx(struct memif_port *m, struct memif_queue *q, struct p2p_seg *segs, unsigned int n);
unsigned int memif_server_tx(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
			     unsigned int n);

/* Where the bytes of a descriptor lie in a region, or NULL if any of them is outside. */
static inline uint8_t *memif_within(uint8_t *base, uint64_t size, const struct memif_desc *d)
{
	return p2p_unlikely(d->offset > size || d->length > size - d->offset) ? NULL : base + d->offset;
}

static inline uint8_t *memif_server_data(const struct memif_port *m, const struct memif_desc *d)
{
	const struct memif_region *r;

	if (p2p_unlikely(d->region >= m->nregions))
		return NULL;
	r = &m->region[d->region];
	return memif_within(r->base, r->size, d);
}

/* Has an access since connecting met memory that is gone?  Not to be asked before the accesses are done. */
static inline bool memif_server_hit(const struct memif_port *m)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&m->first->bus_hit, __ATOMIC_RELAXED);
}

#endif
