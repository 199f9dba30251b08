/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of fabric/ share; nobody else includes it.
 *
 *   build.c     nodes, checks, routes            dir.c       arbitration, credits, transmission
 *   link.c      rates and sizes                  request.c   requesters: splitting, tags, completions, timeouts
 *   switch.c    switches, losses                 endpoint.c  endpoint as target and completer
 *   root.c      root complex                     answer.c    completers: reads become completions
 *   check.c     what a configuration must be     stats.c     counters
 *   line.c      TLPs that wait in order of time      replay.c    bit errors, NAKs
 *
 * A TLP is an object from a pool that travels: while it is on a link or in a
 * component event.fn is the next thing that happens to it, either as an event of its own or
 * in a line, where one event serves many and the event queue stays short; while it waits for
 * a direction it is in one of that direction's queues.  `dir` is the direction it came
 * by: it holds credits of that direction's receiver until it leaves.
 *
 * A direction's sender has an input per port.  The direction's own port can't be an
 * input of forwarded TLPs (a tree has no way back), so its slot stands for what the
 * sender makes itself: requests, and completions of reads that it answers.
 */
#ifndef FABRIC_INTERNAL_H
#define FABRIC_INTERNAL_H

#include <string.h>

#include "fabric.h"
#include "iommu.h"
#include "mem.h"

#define FAB_CREDIT_HDRS 2048u              /* of scaled flow control: 127 << 4 */
#define FAB_CREDIT_BYTES (1024u * 1024u)   /* the same: 2047 << 4 units, rounded up */
#define FAB_PAGE_BYTES 4096u
#define FAB_UNIT_BYTES 16u /* of a data credit */
#define FAB_DLLP_BYTES 8u /* with framing */
#define FAB_FRAC_BITS 20
#define FAB_ROOT_TAGS 1024u
#define FAB_BER_MAX 1e-4 /* a TLP of 4 KiB is good one time in 30 */
#define FAB_NO_TAG UINT16_MAX

#define fab_container(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

enum fab_kind { FAB_KIND_ROOT, FAB_KIND_SWITCH, FAB_KIND_ENDPOINT };

struct fab_tlp {
	struct fab_event event;
	struct fab_tlp *next;
	struct fab_dir *dir;  /* came by; NULL: made where it is */
	struct fab_node *src; /* who made it */
	struct fab_node *dst;
	uint64_t order;       /* in the queues of one direction: first come */
	uint64_t addr;
	uint64_t ready_ps;    /* in a line: when its turn is; read to answer: when the next completion may leave */
	uint32_t len;         /* data bytes; MRd: bytes asked for */
	uint32_t remaining;   /* completion: see fab_tlp_view; of an unsupported request: its length */
	uint32_t sent;        /* read to answer: bytes already on their way */
	uint32_t gen;         /* of the tag */
	uint16_t tag;
	uint16_t dw_bytes;    /* data on the link, whole double words */
	uint16_t units;       /* data credits */
	uint8_t type, cls;
	bool carries;         /* data[] holds the bytes */
	bool wants;           /* read: the requester gave a destination */
	bool unsupported;
	_Alignas(16) uint8_t data[];
};

struct fab_fifo {
	struct fab_tlp *head, *tail;
};
/* TLPs to which something happens at times that don't go back: one event for all of them, their ready_ps. */
struct fab_line {
	struct fab_fifo q;
	struct fab_event event;
};
struct fab_input {
	struct fab_fifo q[FAB_NUM_CLASSES];
};

struct fab_reqs {
	struct fab_req *head, *tail;
};
/* What the sender itself puts on a direction. */
struct fab_source {
	struct fab_reqs writes, reads;
	struct fab_fifo answers; /* reads to answer, oldest first */
};
/* The next TLP of a source's class. */
struct fab_piece {
	struct fab_node *dst;
	uint64_t addr;
	uint32_t len;
	uint16_t dw_bytes, units;
	bool unsupported;
};

struct fab_return {
	uint64_t at_ps;
	uint32_t hdr, units;
};
/* Credits of one class, on the sender's side.  hdr_max, units_max 0: infinite. */
struct fab_credit {
	uint32_t hdr, units;
	uint32_t hdr_max, units_max;
	uint32_t hdr_step, units_mask; /* 0: infinite */
	struct fab_return *ring;       /* on the way back, in order of time */
	uint32_t prod, cons, mask;
	bool starved;                  /* no return on its way suffices: the one that does wakes the direction */
	int64_t short_hdr, short_units;
};

struct fab_replay {
	double mean_bytes, left; /* from one error to the next; to the next one */
	uint64_t rng;
	uint64_t nak_ps;         /* the tail of a bad TLP out to its replay, its own time not included */
	uint64_t until_ps;       /* what has left by then, without a gap, has been sent before */
	unsigned int times;      /* so often */
};

struct fab_dir {
	struct fab_event wake;
	struct fab_line line; /* what the receiver gets */
	struct fabric *f;
	uint64_t free_ps; /* the transmitter is busy until then */
	uint64_t active;  /* inputs with something in them */
	uint64_t byte_fp; /* ps a byte, FAB_FRAC_BITS of fraction */
	uint64_t busy_fp; /* the same with DLLPs */
	uint64_t frac;
	uint64_t prop_ps; /* and an endpoint's way out */
	uint64_t order;
	struct fab_node *from, *to;
	struct fab_input *in;
	uint32_t next_input; /* round robin */
	uint32_t posted, posted_units; /* forwarded writes that wait here */
	uint16_t slot;       /* the input that is the source; the sender's port */
	uint16_t to_port;    /* the receiver's port */
	bool sending;
	bool resting;        /* nothing can go, and what could change that wakes us */
	bool errs;           /* it has bit errors */
	uint8_t blocked;     /* classes that want credits */
	uint16_t least[FAB_NUM_CLASSES]; /* resting: data credits that the class wants at least */
	uint16_t overhead[FAB_NUM_TYPES];
	struct fab_credit credit[FAB_NUM_CLASSES];
	struct fab_source source;
	struct fab_dir *back; /* the other direction of the link */
	uint64_t blocked_since_ps[FAB_NUM_CLASSES];
	double dllp_share;
	struct fab_node *link; /* whose link to its parent this is */
	bool up;
	struct fab_replay replay;
	struct fab_dir_stats stats;
};

struct fab_tag {
	struct fab_req *req; /* NULL: free */
	struct fab_dir *dir;
	uint64_t deadline_ps;
	uint32_t len, got, gen;
	uint16_t prev, next; /* outstanding, oldest first; next also of the free list */
};
struct fab_tags {
	struct fab_tag *tag;
	uint32_t n, used;
	uint16_t free, oldest, newest;
	uint64_t timeout_ps;
	struct fab_event timer;
};

struct fab_port {
	uint64_t last_write_ps; /* root: when the last write from here reaches memory */
	uint32_t storing;       /* writes from here that are translated */
};

struct fab_node {
	struct fabric *f;
	char name[FAB_NAME_MAX];
	enum fab_kind kind;
	uint16_t id;
	struct fab_node *parent;
	struct fab_link_cfg link;
	struct fab_dir *up, *down; /* of the link to the parent */
	uint16_t num_ports, up_port;
	struct fab_dir **out;      /* by port */
	uint8_t *next;             /* port by destination */
	uint16_t *mps;             /* by destination */
	struct fab_port *port;
	const struct fab_range *last; /* the address last looked up */
	uint64_t latency_ps;
	bool lossy;
	struct fab_loss loss;
	struct fab_target_ops ops;
	void *arg;
	uint32_t rcb;
	uint32_t waiting[2];
	struct fab_tags tags;
	struct fab_reqs turning; /* reads of its own addresses that wait for a tag */
	struct fab_node_stats stats;

	struct fab_ep_cfg ep;
	uint64_t write_fp, read_fp; /* ps a byte, FAB_FRAC_BITS of fraction */
	uint64_t write_free_ps, read_free_ps, last_write_ps;
	struct fab_line reading;   /* reads whose first completion is not ready yet */

	struct fab_switch_cfg sw;

	struct fab_root_cfg root;
	struct fab_mem *mem;
	struct fab_iommu *iommu;
	uint64_t p2p_fp, p2p_free_ps;
};

struct fab_range {
	uint64_t base, bytes;
	struct fab_node *node;
};

struct fab_chunk {
	struct fab_chunk *next;
};

struct fabric {
	struct fab_queue *q;
	uint64_t rng;
	bool finished;
	unsigned int num_nodes, num_ranges;
	struct fab_node *node[FAB_MAX_NODES];
	struct fab_node *top;
	struct fab_range *range; /* by base */
	struct fab_tlp *free_tlps;
	struct fab_chunk *chunks;
	uint32_t tlp_bytes, live;
	fab_trace_fn *trace;
	void *trace_arg;
};

/* ---- check.c: one line in err that names the node ---- */
int fab_check_link(const char *name, const struct fab_link_cfg *c, char err[FAB_ERR_MAX]);
int fab_check_loss(const char *name, const struct fab_loss *l, char err[FAB_ERR_MAX]);
int fab_check_root(const char *name, const struct fab_root_cfg *c, char err[FAB_ERR_MAX]);
int fab_check_endpoint(const char *name, const struct fab_ep_cfg *c, char err[FAB_ERR_MAX]);
int fab_check_lanes(const struct fabric *f, char err[FAB_ERR_MAX]);
int fab_check_ranges(const struct fabric *f, char err[FAB_ERR_MAX]);
int fab_fail(char err[FAB_ERR_MAX], int error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- build.c ---- */
struct fab_tlp *fab_tlp_more(struct fabric *f);

static inline struct fab_tlp *fab_tlp_get(struct fabric *f)
{
	struct fab_tlp *t = f->free_tlps;

	if (!t) {
		t = fab_tlp_more(f);
		if (!t)
			return NULL;
	}
	f->free_tlps = t->next;
	f->live++;
	return t;
}

static inline void fab_tlp_put(struct fabric *f, struct fab_tlp *t)
{
	t->next = f->free_tlps;
	f->free_tlps = t;
	f->live--;
}

static inline void fab_fifo_push(struct fab_fifo *q, struct fab_tlp *t)
{
	t->next = NULL;
	if (q->head)
		q->tail->next = t;
	else
		q->head = t;
	q->tail = t;
}

static inline struct fab_tlp *fab_fifo_pop(struct fab_fifo *q)
{
	struct fab_tlp *t = q->head;

	q->head = t->next;
	return t;
}

static inline uint64_t fab_max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Time of `bytes` at a rate in fixed point. */
static inline uint64_t fab_span(uint64_t bytes, uint64_t fp)
{
	return bytes * fp >> FAB_FRAC_BITS;
}

static inline uint32_t fab_dw_bytes(uint64_t addr, uint32_t len)
{
	return (((uint32_t)addr & 3) + len + 3) & ~3u;
}

/* ---- link.c ---- */
double fab_link_raw(const struct fab_link_cfg *cfg);      /* bytes/s that TLPs and DLLPs share; 0: infinite */
double fab_link_dllp_share(const struct fab_link_cfg *cfg);
uint32_t fab_tlp_overhead(unsigned int gen, enum fab_type type);
uint64_t fab_rate_fp(double bytes_per_s);                 /* 0: infinite */
double fab_link_byte_bits(unsigned int gen);              /* of a TLP's byte on the link */
uint64_t fab_link_ack_ps(const struct fab_link_cfg *cfg); /* a TLP's tail in to its ACK or NAK out, at most */

/* ---- replay.c ---- */
void fab_replay_init(struct fab_dir *d, const struct fab_link_cfg *cfg, uint64_t seed);
/*
 * A TLP has d, which errs, from now on, for busy_ps: when does its transmission begin that comes through?  What begins
 * before is counted.
 */
uint64_t fab_replay_start(struct fab_dir *d, uint32_t bytes, uint64_t busy_ps, uint64_t now);

/* ---- dir.c ---- */
void fab_dir_woken(struct fab_event *e);
void fab_dir_kick(struct fab_dir *d);
void fab_dir_wake_at(struct fab_dir *d, uint64_t at_ps);
/* A TLP that has come by another port waits for d. */
void fab_dir_forward(struct fab_dir *d, unsigned int input, struct fab_tlp *t);
/* A read that the sender of d answers on it, from t->ready_ps on. */
void fab_dir_answer(struct fab_dir *d, struct fab_tlp *t);
/* A request of the sender, into one of the source's queues. */
void fab_dir_request(struct fab_dir *d, struct fab_reqs *q, struct fab_req *r);
/* Credits for a TLP, and for all the writes that wait already. */
bool fab_dir_has_room(struct fab_dir *d, const struct fab_tlp *write, uint64_t now);
/* Gives the credits back that a TLP of this class and size held at d's receiver; it leaves at at_ps. */
void fab_credit_give(struct fab_dir *d, unsigned int cls, uint32_t units, uint64_t at_ps);
void fab_dir_stall_update(struct fab_dir *d, uint64_t now);

void fab_line_init(struct fab_line *l);
/* t->event.fn is called at at_ps, which is not before that of the one pushed last. */
void fab_line_push(struct fab_queue *q, struct fab_line *l, struct fab_tlp *t, uint64_t at_ps);
/* Whose time has come has its turn now. */
void fab_line_flush(struct fab_queue *q, struct fab_line *l);
void fab_line_cancel(struct fab_queue *q, struct fab_line *l);

/* ---- request.c ---- */
int fab_tags_init(struct fab_node *n, uint32_t tags, uint64_t timeout_ps);
void fab_piece_write(struct fab_dir *d, struct fab_piece *p);
bool fab_piece_read(struct fab_dir *d, struct fab_piece *p); /* false: no tag is free */
/* Make the TLP of a piece; NULL: no memory.  *finished is a write whose last TLP this is. */
struct fab_tlp *fab_take_write(struct fab_dir *d, const struct fab_piece *p, struct fab_req **finished);
struct fab_tlp *fab_take_read(struct fab_dir *d, const struct fab_piece *p);
/* A completion has come home.  Consumes t. */
void fab_complete(struct fab_node *n, struct fab_tlp *t);

/* ---- answer.c: reads answered ---- */
void fab_piece_answer(const struct fab_node *n, const struct fab_tlp *job, struct fab_piece *p);
struct fab_tlp *fab_take_answer(struct fab_dir *d, const struct fab_piece *p);
/* n answers the read t from t->ready_ps on, which is now or later.  Consumes t. */
void fab_answer(struct fab_node *n, struct fab_tlp *t);
/* t is where it is found out that nobody claims its address: a write vanishes, a read is answered so.  Consumes t. */
void fab_unsupported(struct fab_node *n, struct fab_tlp *t);

/* ---- endpoint.c, switch.c, root.c ---- */
/* t, on its way, will have reached d's receiver then: schedules what happens there. */
void fab_endpoint_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t tail_ps);
void fab_switch_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps);
void fab_root_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps);
/* A TLP of n for n itself, which sees no link. */
void fab_endpoint_turn(struct fab_node *n, struct fab_tlp *t, uint64_t now);
void fab_root_turn(struct fab_node *n, struct fab_tlp *t, uint64_t now);
/* Cut-through: when a TLP with this head and tail may leave on `out`. */
uint64_t fab_cut_through(const struct fab_dir *out, const struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps,
			 uint64_t latency_ps);
/* A lossy component drops t, or not; out: where it would go next, or NULL.  True: t is gone. */
bool fab_lose(struct fab_node *n, struct fab_tlp *t, struct fab_dir *out);

static inline struct fab_dir *fab_out(const struct fab_node *n, const struct fab_node *dst)
{
	return n->out[n->next[dst->id]];
}

#endif
