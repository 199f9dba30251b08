/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring protocol between NIC i, which produces into a ring, and NIC j, which consumes it (docs/protocol.md).
 *
 * Inlines and fields bear the names of the firmware's functions and fields.  What a NIC does at one look is one step;
 * steps of both NICs and of the fabric interleave in any order, which is more than a firmware that does them in
 * turn can do.  Time is abstracted: overdue completions and heartbeats are due at once when nothing else can go on
 * (QUIET), and `early` times at any other moment.
 *
 * Sizes are macros (N, U, Q).  What may happen in a run is read from the environment by setup(), so that one verifier
 * serves many configurations: tests/model/model.py sets it and says what it all means.
 */
#ifndef N
#define N 2 /* slots, a power of two */
#endif
#ifndef U
#define U 1 /* units that the fabric can lose, in a slot's payload */
#endif
#ifndef Q
#define Q 4 /* writes under way in each direction */
#endif
#define MASK (N - 1)
#ifndef AHEAD
#define AHEAD MASK /* slots that a hole is looked past */
#endif
#define MAX_ROUNDS 3

/* A sequence number: the session's part, which the consumer draws, and the slot's, which counts. */
#define BASE(epoch) ((epoch) << 4)
#define SLOT(seq) ((seq) & MASK)
#define DIST(a, b) (((a) - (b)) & 255)

/* What a slot carries: a piece of a frame. */
#define PIECE(f, k) ((f) << 1 | (k))
#define FRAME(w) ((w) >> 1)
#define CONT(w) ((w) & 1)
#define PIECES(f) (1 + (longs & (f) & 1)) /* every second frame takes two slots */
#define MORE(w) (!CONT(w) && PIECES(FRAME(w)) == 2)
#define STALE 255   /* payload of a former life */
#define GARBAGE 254 /* what is in a receive buffer that was given back */
#define BIT(f) (1 << (f))

mtype = { PAY, DESC, CTRL, PEER, COMP };
chan p2c = [Q] of { mtype, byte, byte, byte }; /* i's DMA queue towards j */
chan c2p = [Q] of { mtype, byte, byte, byte }; /* and j's towards i */

/* The run's configuration: never changes after setup(), so it is no part of the state. */
hidden byte rd, scrub, longs, frames, session, cold, certain, mut;
#define NO_SEQ 1      /* whatever lies in the slot is taken */
#define NO_CUMUL 2    /* a completion speaks of one slot */
#define NO_SCRUB 3    /* completed slots keep their data */
#define NO_SECOND 4   /* a hole is declared without looking again */
#define LATE_SCRUB 5  /* the producer is told before the slot is scrubbed */
#define NO_OPENSCRUB 6 /* a new session begins without scrubbing */
#define NO_REPEAT 7   /* a poke without writing descriptors anew */
#define NO_ECHO 8     /* pokes are not answered */
#define NO_ZERO 9     /* what the peer wrote in a former session is kept, and numbers begin where they did */
#define ANSWER_EARLY 10 /* pokes are answered before the session is up */
#define NO_GAP 11     /* a hole is completed before it is known how many frames it was */
#define BELIEVE_SEQ 12 /* wr: a number alone says that a slot was written */

/* struct fw_peer, and the peer line that the other side writes here. */
#define WAITING 0
#define UP 1
#define DOWN 2
typedef peer_t {
	byte state, inc, seen, beat, last_beat;
	bool due;
	byte line_beat, line_ack, line_inc;
	bool torn; /* the line's lower words have arrived */
};
peer_t pp, cp; /* i's of j, j's of i */

/* struct fw_prod, and the completion line that j writes in i's memory. */
typedef prod_t {
	byte prod, pub, cons, again, poke;
	bool open, repeating, due;
	byte comp_cons, comp_inc;
};
prod_t p;
byte shadow[N];
bool src[N]; /* rd: the slot holds its receive buffer */

/* struct fw_cons, and what i writes in j's memory. */
typedef cons_t {
	byte next, fetch, done, told, poke, expect;
	bool open, opening, is_active; /* fw: active, which is a word of Promela */
	bool gap;       /* from gap_at on slots were holes, whose frames nobody has counted yet */
	byte gap_at;
	byte look;      /* how far cons_is_hole() is */
	byte unscrubbed; /* LATE_SCRUB alone */
	byte ctrl_poke, ctrl_inc, ctrl_prod;
	byte published; /* every slot before this was written, a control line said */
};
cons_t c;
byte desc_seq[N], desc_w[N];
bool desc_bad[N]; /* its number arrived wrong: no checksum fits */
byte data[N * U], scrubbed[N * U]; /* what arrived last; the number for which it was overwritten since, 0: none */
byte pend[N];
byte copy[N];
bool reading[N];
#define HELD 1   /* by the frame being put together */
#define STAGED 2 /* by the port */
#define HOLE 3

/* Faults that may still happen. */
byte flips, losses, dups, early, silences, p_restarts, c_restarts, overtakes, tears;
byte rounds;
bool late;
byte late_seq, late_unit, late_w;

/* What an observer of everything knows. */
byte epoch;
byte sent;      /* frames put into the ring so far: the next one's number */
byte first;     /* the first of this session */
byte delivered, counted, excused, hurt; /* a bit a frame; hurt: something of it was lost */
byte judged;    /* frames before this have been judged */
bool corrupted, delivered_twice, counted_twice, lost_unhurt, not_accounted, leaked, stuck, out_of_order;

hidden byte t_, a_, b_, c_, k_, f_, g_, ok_;
hidden mtype m_;

/* ---- the observer ---- */

inline observe_lost(f)
{
	if
	:: (delivered | counted) & BIT(f) -> counted_twice = true; assert(!counted_twice)
	:: else -> skip
	fi;
	if
	:: !(hurt & BIT(f)) -> lost_unhurt = true; assert(!lost_unhurt)
	:: else -> skip
	fi;
	counted = counted | BIT(f);
}

inline observe_sent(k)
{
	/* As the port reads it: whole, and what its frame is. */
	for (t_ : 0 .. U - 1) {
		if
		:: data[(k) * U + t_] != copy[k] -> corrupted = true; assert(!corrupted)
		:: else -> skip
		fi
	}
	f_ = FRAME(copy[k]);
	if
	:: !MORE(copy[k]) && (delivered | counted) & BIT(f_) -> delivered_twice = true; assert(!delivered_twice)
	:: !MORE(copy[k]) && !((delivered | counted) & BIT(f_)) -> delivered = delivered | BIT(f_)
	:: else -> skip
	fi;
	printf("port: piece %d of frame %d leaves\n", CONT(copy[k]), f_);
}

/* ---- producer: prod.c ---- */

#define CAN_SEND (p.open && sent < frames && DIST(p.prod, p.cons) + PIECES(sent) <= N && \
		  len(p2c) + PIECES(sent) * U * (1 - rd) <= Q)
inline fw_prod_send()
{
	for (k_ : 0 .. PIECES(sent) - 1) {
		shadow[SLOT(p.prod)] = PIECE(sent, k_);
		if
		:: rd -> src[SLOT(p.prod)] = true
		:: else ->
			for (t_ : 0 .. U - 1) {
				p2c ! PAY, p.prod, t_, PIECE(sent, k_);
			}
		fi;
		p.prod++;
	}
	printf("fw_prod_send: frame %d, prod %d\n", sent, p.prod);
	sent++;
}

#define CAN_FLUSH (p.open && p.pub != p.prod && len(p2c) < Q)
inline fw_prod_flush()
{
	p2c ! DESC, p.pub, shadow[SLOT(p.pub)], 0;
	p.pub++;
	printf("fw_prod_flush: pub %d\n", p.pub);
}

#define REAP_OK (mut == NO_CUMUL -> DIST(p.comp_cons, p.cons) == 1 : \
		 p.comp_cons != p.cons && DIST(p.comp_cons, p.cons) <= DIST(p.pub, p.cons))
#define CAN_REAP (pp.state == UP && p.comp_inc && p.comp_inc == pp.inc && (!p.open || REAP_OK))
inline fw_prod_reap()
{
	if
	:: !p.open ->
		p.open = true;
		p.prod = p.comp_cons; p.pub = p.comp_cons; p.cons = p.comp_cons;
		first = sent; judged = sent;
		printf("fw_prod_reap: open at %d\n", p.cons)
	:: else ->
		do
		:: p.cons != p.comp_cons -> src[SLOT(p.cons)] = false; p.cons++
		:: else -> break
		od;
		p.due = false;
		printf("fw_prod_reap: cons %d\n", p.cons)
	fi
}

#define OVERDUE (pp.state == UP && p.due && !(p.open && p.cons == p.pub))
#define CAN_REPEAT (OVERDUE && p.open && scrub && mut != NO_REPEAT && len(p2c) < Q && !(p.repeating && p.again == p.pub))
inline prod_repeat()
{
	if
	:: !p.repeating || DIST(p.again, p.cons) > DIST(p.pub, p.cons) -> p.again = p.cons
	:: else -> skip
	fi;
	p.repeating = true;
	p2c ! DESC, p.again, shadow[SLOT(p.again)], 0;
	printf("prod_repeat: %d\n", p.again);
	p.again++;
}

#define CAN_TICK (OVERDUE && len(p2c) < Q && \
		  (!p.open || !scrub || mut == NO_REPEAT || (p.repeating && p.again == p.pub)))
inline fw_prod_tick()
{
	p.repeating = false;
	p.again = 0;
	p.poke++;
	p2c ! CTRL, p.poke, pp.inc, p.pub;
	p.due = false;
	printf("fw_prod_tick: poke %d\n", p.poke);
}

inline fw_prod_free()
{
	do
	:: p.cons != p.prod -> src[SLOT(p.cons)] = false; p.cons++
	:: else -> break
	od;
	p.pub = p.prod;
}

inline fw_prod_open()
{
	fw_prod_free();
	p.open = false; p.repeating = false; p.due = false;
	p.poke = 0; p.again = 0;
}

/* What was outstanding is counted as peer_lost; the peer may have sent it all the same. */
inline fw_prod_close()
{
	a_ = p.cons;
	do
	:: p.open && a_ != p.prod -> excused = excused | BIT(FRAME(shadow[SLOT(a_)])); a_++
	:: else -> break
	od;
	p.open = false;
}

/* ---- consumer: cons.c ---- */

inline fw_cons_tell()
{
	c2p ! COMP, c.poke, c.done, cp.seen;
	c.told = c.done;
	printf("fw_cons_tell: done %d poke %d\n", c.done, c.poke);
}

inline cons_scrub(seq)
{
	for (t_ : 0 .. U - 1) {
		scrubbed[SLOT(seq) * U + t_] = (scrub && mut != NO_SCRUB -> (seq) : scrubbed[SLOT(seq) * U + t_]);
	}
}

#if N == 2
#define LEFT (!FREE || src[0] || src[1])
#define FREE (!pend[0] && !pend[1] && !reading[0] && !reading[1])
#define BUSY (pend[0] == STAGED || pend[1] == STAGED || reading[0] || reading[1])
#else
#define LEFT (!FREE || src[0] || src[1] || src[2] || src[3])
#define BUSY (pend[0] == STAGED || pend[1] == STAGED || pend[2] == STAGED || pend[3] == STAGED || \
	      reading[0] || reading[1] || reading[2] || reading[3])
#define FREE (!pend[0] && !pend[1] && !reading[0] && !reading[1] && !pend[2] && !pend[3] && !reading[2] && !reading[3])
#endif
#define CAN_OPEN (c.opening && FREE && (cp.state != UP || len(c2p) < Q))
inline fw_cons_open()
{
	c.opening = false;
	epoch = (mut == NO_ZERO -> 1 : epoch + 1);
	assert(epoch < 16);
	c.next = BASE(epoch); c.fetch = c.next; c.done = c.next; c.told = c.next;
	c.published = c.next; c.poke = 0; c.expect = 0; c.is_active = false; c.gap = false; c.gap_at = 0;
	for (k_ : 0 .. MASK) {
		if
		:: mut != NO_OPENSCRUB -> cons_scrub(c.next + k_)
		:: else -> skip
		fi
	}
	c.open = true;
	printf("fw_cons_open: %d\n", c.next);
	if
	:: cp.state == UP -> fw_cons_tell()
	:: else -> skip
	fi
}

inline cons_lose(from, count)
{
	for (k_ : 0 .. frames - 1) {
		if
		:: DIST(k_ - first, from) < (count) -> observe_lost(k_)
		:: else -> skip
		fi
	}
}

/* The frame that was being put together is number expect - 1; its one slot so far lies before `at`. */
inline cons_drop_active(at)
{
	pend[SLOT((at) - 1)] = 0;
	c.is_active = false;
	cons_lose(c.expect - 1, 1);
}

inline fw_cons_close()
{
	c.opening = false; c.look = 0;
	if
	:: c.open && c.is_active ->
		pend[SLOT(c.next - 1)] = 0;
		c.is_active = false;
		excused = excused | BIT(first + c.expect - 1)
	:: else -> skip
	fi;
	for (k_ : 0 .. MASK) {
		pend[k_] = (pend[k_] == HOLE -> 0 : pend[k_]);
	}
	c.fetch = c.next;
	c.gap = false; c.gap_at = 0;
	c.open = false;
}

/* Does what lies there pass for piece w under number seq?  A scrubbed unit never does; another's data may by chance. */
#if U == 1
#define UNIT_SCRUBBED(seq) (scrubbed[SLOT(seq)] == (seq))
#define UNIT_WRONG(seq, w) (data[SLOT(seq)] != (w))
#define UNIT_GARBAGE(seq) (data[SLOT(seq)] == GARBAGE)
#else
#define UNIT_SCRUBBED(seq) (scrubbed[SLOT(seq) * U] == (seq) || scrubbed[SLOT(seq) * U + 1] == (seq))
#define UNIT_WRONG(seq, w) (data[SLOT(seq) * U] != (w) || data[SLOT(seq) * U + 1] != (w))
#define UNIT_GARBAGE(seq) (data[SLOT(seq) * U] == GARBAGE || data[SLOT(seq) * U + 1] == GARBAGE)
#endif
#define AT (rd -> c.fetch : c.next)
#define THERE(seq) (desc_seq[SLOT(seq)] == ((seq) & 255))
/* wr: and its checksum is right.  What rd knows of it only when it is read is left out. */
#define RIGHT(seq) (THERE(seq) && (rd || mut == BELIEVE_SEQ || \
		    (!desc_bad[SLOT(seq)] && !UNIT_SCRUBBED(seq) && !UNIT_WRONG(seq, desc_w[SLOT(seq)]))))
#define TAKE(seq) (mut == NO_SEQ -> desc_seq[SLOT(seq)] : THERE(seq))
#if AHEAD == 1
#define LATER(seq) RIGHT((seq) + 1)
#elif AHEAD == 2
#define LATER(seq) (RIGHT((seq) + 1) || RIGHT((seq) + 2))
#else
#define LATER(seq) (RIGHT((seq) + 1) || RIGHT((seq) + 2) || RIGHT((seq) + 3))
#endif

/* cons_is_hole(): this slot is not there; a later one is; look again at this one.  Not in vain where nothing can come. */
#define CAN_LOOK (c.open && scrub && !c.look && !TAKE(AT) && (len(p2c) > 0 || LATER(AT)) && \
		  (!rd || (DIST(c.fetch, c.done) <= MASK)))
#define CAN_LOOK_LATER (c.look == 1)
#define CAN_LOOK_AGAIN (c.look == 2)
inline cons_is_hole__later()
{
	c.look = (LATER(AT) -> 2 : 0);
}

inline cons_is_hole__again()
{
	c.look = 0;
	if
	:: mut != NO_SECOND && THERE(AT) -> skip
	:: else ->
		printf("cons_is_hole: %d\n", AT);
		if
		:: rd -> pend[SLOT(c.fetch)] = HOLE; c.fetch++
		:: else -> cons_hole()
		fi
	fi
}

inline cons_hole()
{
	if
	:: c.is_active -> cons_drop_active(c.next)
	:: else -> skip
	fi;
	if
	:: !c.gap && mut != NO_GAP -> c.gap = true; c.gap_at = c.next
	:: else -> skip
	fi;
	c.next++;
}

inline cons_gap(g, also)
{
	a_ = DIST(g, c.expect);
	if
	:: a_ < 128 ->
		cons_lose(c.expect, a_ + also);
		c.expect = DIST((g) + also, 0)
	:: else -> skip
	fi
}

/* rd: submit the read of a slot's payload. */
#define CAN_FETCH (rd && c.open && !c.look && DIST(c.fetch, c.done) <= MASK && TAKE(c.fetch) && !reading[SLOT(c.fetch)])
inline cons_fetch()
{
	copy[SLOT(c.fetch)] = desc_w[SLOT(c.fetch)];
	reading[SLOT(c.fetch)] = true;
	printf("cons_fetch: %d\n", c.fetch);
	c.fetch++;
}

#define CAN_FETCHED_HOLE (rd && c.open && c.next != c.fetch && pend[SLOT(c.next)] == HOLE)
#define CAN_JUDGE_RD (rd && c.open && c.next != c.fetch && pend[SLOT(c.next)] != HOLE && !reading[SLOT(c.next)])
#define CAN_TAKE_WR (!rd && c.open && !c.look && DIST(c.next, c.done) <= MASK && TAKE(c.next))
#define SUM_WRONG (desc_bad[SLOT(c.next)] || UNIT_SCRUBBED(JUDGE_SEQ) || UNIT_WRONG(JUDGE_SEQ, JUDGE_W))
#define PUBLISHED (DIST(c.published, c.next + 1) <= MASK)
#define CAREFUL (scrub && mut != BELIEVE_SEQ)
/* A wrong checksum: given up where the slot was written, passed where a right one behind it says so. */
#define CAN_JUDGE_WR (CAN_TAKE_WR && (!CAREFUL || !SUM_WRONG || (PUBLISHED && !LATER(c.next))))
#define CAN_PASS (CAN_TAKE_WR && CAREFUL && SUM_WRONG && LATER(c.next))
#define CAN_JUDGE (CAN_JUDGE_WR || CAN_JUDGE_RD)

#define JUDGE_SEQ (mut == NO_SEQ -> desc_seq[SLOT(c.next)] : c.next)
#define JUDGE_W (rd -> copy[SLOT(c.next)] : desc_w[SLOT(c.next)])
#define CAN_PASS_BY_CHANCE (!certain && !(!rd && desc_bad[SLOT(c.next)]) && !UNIT_SCRUBBED(JUDGE_SEQ) && \
			    !UNIT_GARBAGE(JUDGE_SEQ) && UNIT_WRONG(JUDGE_SEQ, JUDGE_W))

inline cons_judge_summed(chance)
{
	b_ = JUDGE_W;
	k_ = JUDGE_SEQ;
	ok_ = !(!rd && desc_bad[SLOT(k_)]) && !UNIT_SCRUBBED(k_) && (chance || !UNIT_WRONG(k_, b_));
	g_ = DIST(FRAME(b_), first);
	c_ = SLOT(c.next);
	copy[c_] = b_;
	c.gap = false; c.gap_at = 0;
	printf("cons_judge: %d, piece %d of frame %d, %d\n", c.next, CONT(b_), FRAME(b_), ok_);
	c.next++;
	if
	:: !CONT(b_) ->
		if
		:: c.is_active -> cons_drop_active(c.next - 1)
		:: else -> skip
		fi;
		if
		:: g_ != c.expect -> cons_gap(g_, 0)
		:: else -> skip
		fi;
		c.expect = DIST(g_ + 1, 0);
		c.is_active = true
	:: CONT(b_) && (!c.is_active || g_ != DIST(c.expect, 1)) ->
		if
		:: c.is_active -> cons_drop_active(c.next - 1)
		:: else -> skip
		fi;
		if
		:: g_ != DIST(c.expect, 1) -> cons_gap(g_, 1)
		:: else -> skip
		fi;
		ok_ = 2
	:: else -> skip
	fi;
	if
	:: ok_ == 0 ->
		if
		:: CONT(b_) -> pend[SLOT(c.next - 2)] = 0
		:: else -> skip
		fi;
		c.is_active = false;
		cons_lose(c.expect - 1, 1)
	:: ok_ == 1 && MORE(b_) -> pend[c_] = HELD
	:: ok_ == 1 && !MORE(b_) ->
		pend[c_] = STAGED;
		if
		:: CONT(b_) -> pend[SLOT(c.next - 2)] = STAGED
		:: else -> skip
		fi;
		c.is_active = false;
		if
		:: FRAME(b_) < judged && !(delivered & BIT(FRAME(b_))) -> out_of_order = true; assert(!out_of_order)
		:: else -> judged = (FRAME(b_) < judged -> judged : FRAME(b_) + 1)
		fi
	:: else -> skip
	fi;
	copy[c_] = (pend[c_] -> b_ : 0);
}

#define CAN_COMPLETE (c.open && c.done != (c.gap -> c.gap_at : c.next) && !pend[SLOT(c.done)] && !c.unscrubbed)
inline fw_cons_complete()
{
	if
	:: mut == LATE_SCRUB -> c.unscrubbed = c.done + N
	:: else -> cons_scrub(c.done + N)
	fi;
	c.done++;
	printf("fw_cons_complete: done %d\n", c.done);
}

#define CAN_TELL (c.open && c.told != c.done && len(c2p) < Q)
#define CAN_ANSWER (c.open && (cp.state == UP || mut == ANSWER_EARLY) && c.ctrl_inc && c.ctrl_inc == cp.seen && c.ctrl_poke != c.poke && len(c2p) < Q && mut != NO_ECHO)
inline fw_cons_tick()
{
	c.poke = c.ctrl_poke;
	c.published = (DIST(c.ctrl_prod, c.done) <= N -> c.ctrl_prod : c.published);
	fw_cons_tell();
}

/* ---- both: peer.c ---- */

inline fw_peer_line(S, out)
{
	out ! PEER, S.beat, S.seen, S.inc;
}

#define CAN_BEAT(S, out) (S.due && len(out) < Q)
inline fw_peer_tick(S, out)
{
	S.due = false;
	S.beat = (S.beat + 1) & 7;
	fw_peer_line(S, out);
}

inline peer_end(S, producer)
{
	if
	:: producer -> fw_prod_close(); if :: !rd -> fw_prod_free() :: else -> skip fi
	:: else -> fw_cons_close()
	fi;
	S.inc = (S.state == UP -> S.inc + 1 : S.inc);
	S.seen = 0;
}

inline peer_down(S, producer)
{
	peer_end(S, producer);
	S.state = DOWN;
	S.last_beat = S.line_beat;
}

inline peer_accept(S, producer, out)
{
	if
	:: producer && mut != NO_ZERO -> p.comp_cons = 0; p.comp_inc = 0
	:: !producer && mut != NO_ZERO ->
		c.ctrl_poke = 0; c.ctrl_inc = 0; c.ctrl_prod = 0;
		for (k_ : 0 .. MASK) {
			desc_seq[k_] = 0; desc_w[k_] = 0; desc_bad[k_] = false;
		}
	:: else -> skip
	fi;
	S.seen = S.line_inc;
	S.last_beat = 0;
	if
	:: !producer ->
		c.opening = true;
		c.look = 0;
		if
		:: FREE -> fw_cons_open()
		:: else -> skip /* slots of the former session lie in a port: fw_cons_tick() opens it later */
		fi
	:: else -> skip
	fi;
	S.state = WAITING;
	fw_peer_line(S, out);
}

#define NEWS_BEAT(S) (S.state == DOWN && S.line_beat != S.last_beat)
#define NEWS_INC(S) (S.state != DOWN && S.line_inc && S.line_inc != S.seen)
#define NEWS_ACK(S) (S.state == WAITING && S.line_inc && S.line_inc == S.seen && S.line_ack == S.inc)
#define CAN_WATCH(S, out) (len(out) < Q && (NEWS_BEAT(S) || NEWS_INC(S) || NEWS_ACK(S)))
inline peer_watch(S, producer, out)
{
	if
	:: NEWS_BEAT(S) -> S.state = WAITING; S.last_beat = 0
	:: NEWS_INC(S) ->
		if
		:: S.state == UP -> peer_down(S, producer)
		:: else -> skip
		fi;
		peer_accept(S, producer, out)
	:: NEWS_ACK(S) ->
		S.state = UP;
		if
		:: producer -> fw_prod_open()
		:: !producer && c.open -> fw_cons_tell()
		:: else -> skip
		fi
	fi;
	printf("peer_watch: producer %d, state %d inc %d seen %d\n", producer, S.state, S.inc, S.seen);
}

#define CAN_SILENCE(S, out) (silences && (S.state == UP || S.seen) && len(out) < Q)
inline silence(S, producer, out)
{
	printf("silence: producer %d\n", producer);
	silences--;
	rounds = 0;
	peer_down(S, producer);
	fw_peer_line(S, out);
}

/* fw_peer_start(): what lies in memory is the former life's. */
inline fw_peer_start(S)
{
	S.inc++;
	S.seen = 0;
	S.beat = (S.beat + 3) & 7;
	S.last_beat = 0;
	S.due = true;
	S.state = WAITING;
}

/*
 * What its counters knew dies with it; the frames that were outstanding are nobody's.  What it had written may still
 * arrive, or not (see producer(), consumer()); with `cold` its memory is new, and what was on the way to the old lost.
 */
inline p_restart()
{
	printf("restart: producer\n");
	p_restarts--;
	rounds = 0;
	fw_prod_close();
	hurt = hurt | excused;
	p.prod = 0; p.pub = 0; p.cons = 0; p.again = 0; p.poke = 0;
	p.repeating = false; p.due = false;
	for (k_ : 0 .. MASK) {
		shadow[k_] = 0; src[k_] = false;
	}
	if
	:: cold -> lose_all(c2p, pp); p.comp_cons = 0; p.comp_inc = 0; pp.line_beat = 0; pp.line_ack = 0; pp.line_inc = 0
	:: else -> skip
	fi;
	fw_peer_start(pp);
}

inline c_restart()
{
	printf("restart: consumer\n");
	c_restarts--;
	rounds = 0;
	fw_cons_close();
	c.next = 0; c.fetch = 0; c.done = 0; c.told = 0; c.gap = false; c.gap_at = 0; c.poke = 0; c.expect = 0; c.unscrubbed = 0; c.published = 0;
	for (k_ : 0 .. MASK) {
		pend[k_] = 0; copy[k_] = 0; reading[k_] = false;
	}
	if
	:: cold ->
		lose_all(p2c, cp);
		c.ctrl_poke = 0; c.ctrl_inc = 0; c.ctrl_prod = 0; cp.line_beat = 0; cp.line_ack = 0; cp.line_inc = 0;
		for (k_ : 0 .. MASK) {
			desc_seq[k_] = 0; desc_w[k_] = 0;
		}
		for (k_ : 0 .. N * U - 1) {
			data[k_] = STALE; scrubbed[k_] = 0;
		}
	:: else -> skip
	fi;
	fw_peer_start(cp);
}

/* ---- the fabric ---- */

inline lose(m, a, b, w)
{
	if
	:: m == PAY -> hurt = hurt | BIT(FRAME(w)); printf("lost: payload of %d\n", a)
	:: m == DESC -> hurt = hurt | BIT(FRAME(b)); printf("lost: descriptor %d\n", a)
	:: m == CTRL -> printf("lost: control line\n")
	:: m == PEER -> printf("lost: peer line\n")
	:: m == COMP -> printf("lost: completion line\n")
	fi
}

inline lose_all(ch, S)
{
	do
	:: len(ch) > 0 -> ch ? m_, a_, b_, c_; lose(m_, a_, b_, c_)
	:: else -> break
	od;
	S.torn = false;
}

inline arrive_p2c()
{
	if
	:: m_ == PAY -> data[SLOT(a_) * U + b_] = c_; scrubbed[SLOT(a_) * U + b_] = 0
	:: m_ == DESC -> desc_seq[SLOT(a_)] = a_; desc_w[SLOT(a_)] = b_; desc_bad[SLOT(a_)] = false
	:: m_ == CTRL -> c.ctrl_poke = a_; c.ctrl_inc = b_; c.ctrl_prod = c_
	:: m_ == PEER -> cp.line_beat = a_; cp.line_ack = b_; cp.line_inc = (cp.torn -> cp.line_inc : c_)
	fi
}

inline arrive_c2p()
{
	if
	:: m_ == COMP -> p.comp_cons = b_; p.comp_inc = c_
	:: m_ == PEER -> pp.line_beat = a_; pp.line_ack = b_; pp.line_inc = (pp.torn -> pp.line_inc : c_)
	fi
}

/* Frame w's receive buffer is still held, or has been filled anew. */
inline read_finish(k)
{
	for (t_ : 0 .. U - 1) {
		data[(k) * U + t_] = (src[k] && shadow[k] == copy[k] -> copy[k] : GARBAGE);
		scrubbed[(k) * U + t_] = 0;
	}
	reading[k] = false;
	printf("read finished: slot %d, %d\n", k, data[(k) * U]);
}

inline read_lose(k)
{
	losses--;
	rounds = 0;
	reading[k] = false;
	hurt = hurt | BIT(FRAME(copy[k]));
	printf("read lost: slot %d\n", k);
}

/* ---- all of it ---- */

#define QUIET_P (!CAN_SEND && !CAN_FLUSH && !CAN_REAP && !CAN_REPEAT && !CAN_TICK && !CAN_WATCH(pp, p2c) && !CAN_BEAT(pp, p2c))
#define QUIET_C (!CAN_OPEN && !CAN_LOOK && !CAN_LOOK_LATER && !CAN_LOOK_AGAIN && !CAN_FETCH && !CAN_FETCHED_HOLE && \
		 !CAN_JUDGE && !CAN_PASS && !CAN_COMPLETE && !CAN_TELL && !CAN_ANSWER && !CAN_WATCH(cp, c2p) && !CAN_BEAT(cp, c2p) && \
		 !c.unscrubbed && !BUSY)
#define QUIET (len(p2c) == 0 && len(c2p) == 0 && !late && QUIET_P && QUIET_C)
#define SETTLED (sent == frames && pp.state == UP && cp.state == UP && p.open && p.cons == p.prod && c.open && \
		 c.next == p.prod && c.done == c.next && c.told == c.done)
#define ALL (BIT(frames) - 1)

proctype producer()
{
end:	do
	:: d_step { CAN_SEND -> fw_prod_send() }
	:: d_step { CAN_FLUSH -> fw_prod_flush() }
	:: d_step { CAN_REAP -> fw_prod_reap() }
	:: d_step { CAN_REPEAT -> prod_repeat() }
	:: d_step { CAN_TICK -> fw_prod_tick() }
	:: d_step { CAN_WATCH(pp, p2c) -> peer_watch(pp, true, p2c) }
	:: d_step { CAN_BEAT(pp, p2c) -> fw_peer_tick(pp, p2c) }
	:: d_step { early && pp.state == UP && !p.due && !(p.open && p.cons == p.pub) -> early--; rounds = 0; p.due = true }
	:: d_step { early && session && !pp.due -> early--; rounds = 0; pp.due = true }
	:: d_step { CAN_SILENCE(pp, p2c) -> silence(pp, true, p2c) }
	:: d_step { p_restarts -> p_restart() }
	:: d_step { p_restarts && len(p2c) > 0 -> p_restart(); lose_all(p2c, cp) }
	od
}

proctype consumer()
{
end:	do
	:: d_step { CAN_OPEN -> fw_cons_open() }
	:: d_step { CAN_LOOK -> c.look = 1 }
	:: d_step { CAN_LOOK_LATER -> cons_is_hole__later() }
	:: d_step { CAN_LOOK_AGAIN -> cons_is_hole__again() }
	:: d_step { CAN_FETCH -> cons_fetch() }
	:: d_step { CAN_FETCHED_HOLE -> pend[SLOT(c.next)] = 0; cons_hole() }
	:: d_step { CAN_JUDGE -> cons_judge_summed(false) }
	:: d_step { CAN_PASS -> printf("cons_pass: %d\n", c.next); cons_hole() }
	:: d_step { ((CAN_TAKE_WR && CAREFUL) || CAN_JUDGE) && CAN_PASS_BY_CHANCE -> cons_judge_summed(true) }
	:: d_step { pend[0] == STAGED -> observe_sent(0); pend[0] = 0; copy[0] = 0 }
	:: d_step { pend[1] == STAGED -> observe_sent(1); pend[1] = 0; copy[1] = 0 }
#if N == 4
	:: d_step { pend[2] == STAGED -> observe_sent(2); pend[2] = 0; copy[2] = 0 }
	:: d_step { pend[3] == STAGED -> observe_sent(3); pend[3] = 0; copy[3] = 0 }
#endif
	:: d_step { CAN_COMPLETE -> fw_cons_complete() }
	:: d_step { c.unscrubbed -> cons_scrub(c.unscrubbed); c.unscrubbed = 0 }
	:: d_step { CAN_TELL -> fw_cons_tell() }
	:: d_step { CAN_ANSWER -> fw_cons_tick() }
	:: d_step { CAN_WATCH(cp, c2p) -> peer_watch(cp, false, c2p) }
	:: d_step { CAN_BEAT(cp, c2p) -> fw_peer_tick(cp, c2p) }
	:: d_step { early && session && !cp.due -> early--; rounds = 0; cp.due = true }
	:: d_step { CAN_SILENCE(cp, c2p) -> silence(cp, false, c2p) }
	:: d_step { c_restarts -> c_restart() }
	:: d_step { c_restarts && len(c2p) > 0 -> c_restart(); lose_all(c2p, pp) }
	od
}

/* Of a peer line the lower words may be seen to arrive before the highest. */
proctype fabric()
{
end:	do
	:: d_step { len(p2c) > 0 ->
		cp.torn = false; p2c ? m_, a_, b_, c_; arrive_p2c() }
	:: d_step { p2c ? [PEER, _, _, _] && tears && !cp.torn -> tears--; cp.torn = true; p2c ? < m_, a_, b_, c_ >; arrive_p2c() }
	:: d_step { len(c2p) > 0 ->
		pp.torn = false; c2p ? m_, a_, b_, c_; arrive_c2p() }
	:: d_step { c2p ? [PEER, _, _, _] && tears && !pp.torn -> tears--; pp.torn = true; c2p ? < m_, a_, b_, c_ >; arrive_c2p() }
	/* lost */
	:: d_step { losses && len(p2c) > 0 && !cp.torn ->
		losses--; rounds = 0; p2c ? m_, a_, b_, c_; lose(m_, a_, b_, c_) }
	:: d_step { losses && len(c2p) > 0 && !pp.torn ->
		losses--; rounds = 0; c2p ? m_, a_, b_, c_; lose(m_, a_, b_, c_) }
	/* with the number of its slot's next lap */
	:: d_step { flips && p2c ? [DESC, _, _, _] ->
		flips--; rounds = 0; p2c ? m_, a_, b_, c_; hurt = hurt | BIT(FRAME(b_));
		desc_seq[SLOT(a_)] = a_ + N; desc_w[SLOT(a_)] = b_; desc_bad[SLOT(a_)] = true; printf("lost: number of %d\n", a_) }
	/* there twice */
	:: d_step { dups && len(p2c) > 0 && !(p2c ? [PEER, _, _, _]) -> dups--; rounds = 0; p2c ? < m_, a_, b_, c_ >; arrive_p2c() }
	:: d_step { dups && len(c2p) > 0 && !(c2p ? [PEER, _, _, _]) -> dups--; rounds = 0; c2p ? < m_, a_, b_, c_ >; arrive_c2p() }
	/* rd: reads finish in any order, or their data are lost */
	:: d_step { reading[0] -> read_finish(0) }
	:: d_step { reading[1] -> read_finish(1) }
	:: d_step { reading[0] && losses -> read_lose(0) }
	:: d_step { reading[1] && losses -> read_lose(1) }
#if N == 4
	:: d_step { reading[2] -> read_finish(2) }
	:: d_step { reading[3] -> read_finish(3) }
	:: d_step { reading[2] && losses -> read_lose(2) }
	:: d_step { reading[3] && losses -> read_lose(3) }
#endif
	/* a payload that others overtake */
	:: d_step { overtakes && p2c ? [PAY, _, _, _] ->
		overtakes--; rounds = 0; late = true;
		p2c ? m_, late_seq, late_unit, late_w; hurt = hurt | BIT(FRAME(late_w)); printf("held back: payload of %d\n", late_seq) }
	:: d_step { late ->
		m_ = PAY; a_ = late_seq; b_ = late_unit; c_ = late_w; arrive_p2c(); hurt = ALL; printf("arrives: payload of %d\n", late_seq);
		late = false; late_seq = 0; late_unit = 0; late_w = 0 }
	od
}

/* Time, when nothing else goes on; and what must hold then. */
proctype clock()
{
	do
	:: d_step { QUIET && !SETTLED ->
		if
		:: rounds == MAX_ROUNDS -> stuck = true; assert(!stuck)
		:: else -> rounds++
		fi;
		printf("clock: round %d\n", rounds);
		p.due = pp.state == UP && !(p.open && p.cons == p.pub);
		pp.due = session; cp.due = session }
	/* No end state but this one: whatever else stops everything is a deadlock. */
	:: d_step { QUIET && SETTLED ->
		if
		:: LEFT -> leaked = true; assert(!leaked)
		:: else -> skip
		fi;
		if
		:: (delivered | counted | excused) != ALL -> not_accounted = true; assert(!not_accounted)
		:: else -> skip
		fi }
	od
}

c_decl {
	static int given(const char *name)
	{
		const char *value = getenv(name);

		return value ? atoi(value) : 0;
	}
}

/* Sessions are up and slots scrubbed; or everything begins with what a former life left behind. */
inline setup()
{
	c_code {
		rd = given("rd"); scrub = given("scrub"); longs = given("longs"); frames = given("frames");
		session = given("session"); cold = given("cold"); certain = given("certain"); mut = given("mut");
		now.flips = given("flips"); now.losses = given("losses"); now.dups = given("dups"); now.early = given("early");
		now.silences = given("silences"); now.p_restarts = given("p_restarts");
		now.c_restarts = given("c_restarts"); now.overtakes = given("overtakes"); now.tears = given("tears");
	}
	for (k_ : 0 .. N * U - 1) {
		data[k_] = STALE;
	}
	pp.inc = 1; cp.inc = 1;
	if
	:: session ->
		pp.due = true; cp.due = true;
		pp.line_inc = 99; cp.line_inc = 99;
		p.comp_inc = 99; c.ctrl_inc = 99;
		for (k_ : 0 .. MASK) {
			desc_seq[k_] = 8 + k_; desc_w[k_] = STALE;
		}
	:: else ->
		pp.state = UP; pp.seen = 1; pp.line_inc = 1; pp.line_ack = 1;
		cp.state = UP; cp.seen = 1; cp.line_inc = 1; cp.line_ack = 1;
		epoch = 1;
		c.next = BASE(1); c.fetch = c.next; c.done = c.next; c.told = c.next;
		c.open = true;
		for (k_ : 0 .. MASK) {
			cons_scrub(c.next + k_)
		}
		p.comp_inc = 1; p.comp_cons = c.next;
		p.prod = c.next; p.pub = c.next; p.cons = c.next;
		p.open = true
	fi
}

init {
	d_step { setup() }
	atomic {
		run producer(); run consumer(); run fabric(); run clock()
	}
}
