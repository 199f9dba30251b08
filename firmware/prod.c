/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The producing side of a ring: fill slots, publish descriptors in batches,
 * take completions, and ask again when they are overdue.
 *
 *      cons        pub         ready        prod        cons + N
 *       |  written  | finished  | under way  |   free     |
 *
 * cons <= pub <= ready <= prod <= cons + N, all free-running.
 */
#include "nic.h"

static inline struct fw_peer *prod_peer(struct fw_nic *n, const struct fw_prod *p)
{
	return &n->peer[p->peer];
}

static void prod_unref(struct fw_nic *n, struct fw_prod *p, uint32_t slot)
{
	uint32_t ref = p->src ? p->src[slot] : FW_REF_NONE;

	if (ref == FW_REF_NONE)
		return;
	p->held[ref >> 24]--;
	fw_release(n, ref);
}

void fw_prod_free(struct fw_nic *n, struct fw_prod *p)
{
	for (; p->cons != p->prod; p->cons++)
		prod_unref(n, p, p->cons & p->mask);
}

void fw_prod_open(struct fw_nic *n, struct fw_peer *peer, unsigned int ring)
{
	struct fw_prod *p = &peer->prod[ring];

	fw_prod_free(n, p);
	n->opening |= FW_BIT(peer - n->peer);
	p->open = p->repeating = false;
	p->frame = 0;
	p->poke = 0;
	p->timeout_ns = P2P_POKE_MIN_NS;
	p->deadline_ns = n->now_ns + p->timeout_ns;
}

uint64_t fw_prod_close(struct fw_nic *n, struct fw_prod *p)
{
	struct fw_prod **d;
	uint64_t frames = 0;
	uint32_t s;

	if (!p->open)
		return 0;
	if (p->cut)
		fw_cut_closed(n, p);
	for (s = p->cons; s != p->prod; s++)
		if (!(P2P_D0_FLAGS(from_le32(p->shadow[s & p->mask].w0)) & (P2P_DF_CONT | P2P_DF_VOID)))
			frames++;
	p->open = false;
	n->produced -= frames;
	for (d = &n->dirty; *d; d = &(*d)->next_dirty) {
		if (*d == p) {
			*d = p->next_dirty;
			break;
		}
	}
	p->dirty = false;
	return frames;
}

static inline void prod_mark(struct fw_nic *n, struct fw_prod *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->dirty_ns = n->now_ns;
	p->next_dirty = n->dirty;
	n->dirty = p;
}

void fw_prod_filled(struct fw_nic *n, struct fw_prod *p)
{
	prod_mark(n, p);
	if (p->prod - p->pub >= n->batch)
		fw_prod_flush(n, p, false);
}

/* rd: no egress port may hold more than its share of a port's receive buffers; pairs have it to themselves. */
static bool prod_share_left(const struct fw_nic *n, const struct fw_prod *p, unsigned int x, uint32_t slots)
{
	uint32_t share;

	if (!n->bridge && !(FW_ROUTING && n->route.on))
		return true;
	share = n->port[x].nbufs / 4 * 3 / (n->nics * (n->ports + 1));
	if (share < P2P_MAX_SEGS)
		share = P2P_MAX_SEGS;
	return p->held[x] + slots <= share;
}

static inline void prod_count_bytes(struct fw_nic *n, const struct fw_prod *p, uint64_t len)
{
	fw_event(n, p->local ? P2P_EV_local_bytes : p->peer == FW_PEER_HOST ? P2P_EV_host_bytes : P2P_EV_p2p_bytes, len);
}

/* How a piece gets into its slot. */
enum prod_way {
	PROD_WRITE, /* into the slot's own buffer */
	PROD_HERE,  /* rd: the same, and its descriptor says so */
	PROD_HOST,  /* bn: into the host's next buffer */
	PROD_LEND,  /* rd: it stays where it is until the slot is complete */
};

static inline enum prod_way prod_way(const struct fw_nic *n, const struct fw_prod *p, uint32_t ref)
{
	if (n->mode == P2P_MODE_RD)
		return ref & FW_REF_SLOT ? PROD_HERE : PROD_LEND;
	return p->peer == FW_PEER_HOST ? PROD_HOST : PROD_WRITE;
}

/* What a write's source must be told later; nothing where writes finish at once. */
static inline void prod_note(struct fw_nic *n, struct fw_prod *p, uint32_t slot, uint32_t tok)
{
	if (!board_at_once(n->board))
		p->tok[slot] = tok;
}

static inline bool prod_done(struct fw_nic *n, const struct fw_prod *p, uint32_t slot)
{
	return board_at_once(n->board) || board_done(n->board, BOARD_Q_WRITE, p->tok[slot]);
}

/* A slot being filled: what its descriptor says of the payload. */
struct prod_fill {
	uint32_t sum, place;
	uint32_t tok; /* of the write that reads the payload; 0: none */
};

/* The payload of the slot of `seq`, a contiguous piece; h = p2p_mix(seq). */
static inline __attribute__((always_inline)) void prod_move(struct fw_nic *n, struct fw_prod *p, enum prod_way way,
							    uint32_t seq, uint32_t h, uint8_t *data, uint32_t len,
							    uint32_t ref, struct prod_fill *f)
{
	struct board_ctx *b = n->board;
	uint32_t slot = seq & p->mask;

	board_charge(b, BOARD_STEP_RESERVE, 1);
	board_charge(b, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, len));
	f->place = 0;
	f->tok = 0;
	if (way == PROD_LEND) {
		f->place = (uint32_t)(n->port[ref >> 24].rx_rel + (data - n->port[ref >> 24].rx_base)) / P2P_DW_UNIT;
		f->sum = board_sum(b, data, len, h, n->stride);
		p->held[ref >> 24]++;
		p->src[slot] = ref;
		return;
	}
	if (way == PROD_HOST)
		f->place = fw_bn_place(n, p->ring);
	else if (way == PROD_HERE)
		p->src[slot] = FW_REF_NONE;
	board_charge(b, BOARD_STEP_DMA_ISSUE, 1);
	if (way == PROD_HOST)
		f->tok = board_write_sum(b, &p->win_buf, (uint64_t)f->place * P2P_DW_UNIT, data, len, h, n->stride, &f->sum);
	else
		f->tok = board_write_sum(b, &p->win_buf, (uint64_t)slot * p->buf_size, data, len, h, n->stride, &f->sum);
}

/* Its descriptor; w0 without the length. */
static inline void prod_describe(struct fw_nic *n, struct fw_prod *p, enum prod_way way, uint32_t seq, uint8_t frame,
				 uint32_t len, uint32_t w0, const struct prod_fill *f)
{
	uint32_t slot = seq & p->mask, where = P2P_DW(f->place, frame);

	w0 |= len | (way == PROD_HERE ? P2P_D0(0, P2P_DF_HERE, 0, 0, 0) : 0);
	p2p_desc_fill(&p->shadow[slot], w0, board_sum_finish(f->sum, w0, where, seq), where, seq);
	prod_note(n, p, slot, f->tok);
}

/* One slot; what its payload is read from stays held until it is read. */
static void prod_piece(struct fw_nic *n, struct fw_prod *p, uint8_t *data, uint32_t len, uint32_t w0, uint32_t ref)
{
	enum prod_way way = prod_way(n, p, ref);
	struct prod_fill f;

	prod_move(n, p, way, p->prod, p2p_mix(p->prod), data, len, ref, &f);
	prod_describe(n, p, way, p->prod, p->frame, len, w0, &f);
	p->prod++;
	if (way == PROD_LEND) {
		fw_hold(n, ref);
	} else {
		prod_count_bytes(n, p, len);
		fw_hold_until(n, f.tok, ref);
	}
}

/* Before a slot is filled: completions are waited for from when there is something to complete. */
static inline void prod_begin(const struct fw_nic *n, struct fw_prod *p)
{
	if (p->prod != p->cons)
		return;
	p->timeout_ns = P2P_POKE_MIN_NS;
	p->deadline_ns = n->now_ns + p->timeout_ns;
}

void fw_prod_copy(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *seg, uint32_t w0)
{
	prod_piece(n, p, seg->data, seg->len, w0, FW_REF_NONE);
}

static inline uint32_t prod_pieces(const struct p2p_seg *segs, unsigned int nsegs, uint32_t buf_size)
{
	uint32_t k, pieces = 0;

	for (k = 0; k < nsegs; k++)
		pieces += (segs[k].len + buf_size - 1) / buf_size;
	return pieces;
}

static int prod_admit(struct fw_nic *n, struct fw_prod *p, uint32_t pieces, uint32_t ref, enum p2p_drop *why)
{
	bool rd = n->mode == P2P_MODE_RD && !(ref & FW_REF_SLOT);

	if (p2p_unlikely(!p->open)) {
		*why = P2P_DROP_no_peer;
		return -FW_ENOTCONN;
	}
	if (p2p_unlikely(pieces > P2P_MAX_SEGS || !pieces)) {
		*why = P2P_DROP_too_long;
		return -FW_EMSGSIZE;
	}
	if (p2p_unlikely(p->out))
		fw_cut_evict(n, p);
	if (p->prod - p->cons + pieces > p->mask + 1) {
		*why = P2P_DROP_ring_full;
		return -FW_ENOSPC;
	}
	if (rd && !prod_share_left(n, p, ref >> 24, pieces)) {
		*why = P2P_DROP_rd_share;
		return -FW_ENOSPC;
	}
	if (p->peer == FW_PEER_HOST && !fw_bn_refill(n, p->ring, pieces)) {
		*why = P2P_DROP_host_full;
		return -FW_ENOSPC;
	}
	if (!rd && (board_room(n->board, BOARD_Q_WRITE) < pieces || fw_wait_room(n) < pieces))
		return -FW_EAGAIN;
	return 0;
}

int fw_prod_send(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *segs, const uint32_t *refs,
		 unsigned int nsegs, uint32_t w0, enum p2p_drop *why)
{
	uint32_t pieces, k, off, len, flags = 0;
	int err;

	if (p2p_likely(nsegs == 1 && segs[0].len <= p->buf_size)) {
		pieces = 1;
	} else if (p->open) {
		pieces = prod_pieces(segs, nsegs, p->buf_size);
	} else {
		/* Of a NIC that was never introduced not even the size of its buffers is known. */
		*why = P2P_DROP_no_peer;
		return -FW_ENOTCONN;
	}
	err = prod_admit(n, p, pieces, refs[0], why);
	if (p2p_unlikely(err))
		return err;
	prod_begin(n, p);
	for (k = 0; k < nsegs; k++) {
		for (off = 0; off < segs[k].len; off += len) {
			len = segs[k].len - off < p->buf_size ? segs[k].len - off : p->buf_size;
			if (--pieces)
				flags |= P2P_DF_MORE;
			else
				flags &= ~(uint32_t)P2P_DF_MORE;
			prod_piece(n, p, segs[k].data + off, len, w0 | P2P_D0(0, flags, 0, 0, 0), refs[k]);
			flags |= P2P_DF_CONT;
		}
	}
	p->frame++;
	n->produced++;
	prod_peer(n, p)->sent_frames++;
	fw_event(n, P2P_EV_forwarded, 1);
	fw_prod_filled(n, p);
	return 0;
}

/* Frames of one segment each that fit a slot, from the first on; *bytes: of all of them. */
static inline uint32_t prod_plain(const struct p2p_seg *segs, uint32_t count, uint32_t buf_size, uint32_t *bytes)
{
	uint32_t k, odd = 0, more = 0, sum = 0;

	/* Lengths are small: a difference that is negative has its highest bit set. */
#pragma GCC unroll 4
	for (k = 0; k < count; k++) {
		odd |= (segs[k].len - FW_MIN_FRAME) | (buf_size - segs[k].len) | segs[k].len;
		more |= segs[k].flags;
		sum += segs[k].len;
	}
	if (p2p_unlikely(odd >> 31 || more & P2P_SEG_MORE)) {
		for (k = sum = 0; k < count; k++) {
			if ((segs[k].flags & P2P_SEG_MORE) || segs[k].len - FW_MIN_FRAME > buf_size - FW_MIN_FRAME)
				break;
			sum += segs[k].len;
		}
	}
	*bytes = sum;
	return k;
}

/* How many of the frames may go now: there is room for their writes. */
static inline uint32_t prod_ready(struct fw_nic *n, enum prod_way way, uint32_t count)
{
	uint32_t room;

	if (way == PROD_LEND || board_at_once(n->board))
		return count;
	room = board_room(n->board, BOARD_Q_WRITE);
	room = room < fw_wait_room(n) ? room : fw_wait_room(n);
	return count < room ? count : room;
}

static void prod_advance(struct fw_nic *n, struct fw_prod *p, uint32_t seq, uint8_t frame)
{
	p->prod = seq;
	p->frame = frame;
	prod_mark(n, p);
	if (seq - p->pub >= n->batch)
		fw_prod_flush(n, p, false);
}

/* wr: a few frames into their slots, which lie side by side, and their descriptors; then their buffers are free. */
static inline void prod_few_write(struct fw_nic *n, struct fw_prod *p, unsigned int x, const struct p2p_seg *segs,
				  uint32_t m, uint32_t w0)
{
	const struct board_run run = { .w0 = w0, .seq = p->prod, .frame = p->frame, .step = p->buf_size, .stride = n->stride };
	const uint32_t slot = p->prod & p->mask;
	struct fw_port *port = &n->port[x];
	uint32_t k, tok, *to = port->free + port->nfree;

	for (k = 0; k < m; k++)
		board_charge(n->board, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, segs[k].len));
	board_charge(n->board, BOARD_STEP_RESERVE, m);
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, m);
	tok = board_fill_few(n->board, &p->win_buf, (uint64_t)slot * run.step, &run, segs, m, &p->shadow[slot]);
	if (p2p_unlikely(!board_done(n->board, BOARD_Q_WRITE, tok))) {
		prod_note(n, p, slot, tok);
		port->refs[segs[0].cookie] = 1;
		n->wait[n->wait_head++ & n->wait_mask] = (struct fw_wait){ tok, FW_REF_RX(x, segs[0].cookie) };
		return;
	}
	for (k = 0; k < m; k++)
		to[k] = segs[k].cookie;
	port->nfree += m;
}

/* rd: they stay where they are, held until their slots are complete. */
static void prod_few_lend(struct fw_nic *n, struct fw_prod *p, unsigned int x, const struct p2p_seg *segs, uint32_t m,
			  uint32_t w0)
{
	struct prod_fill f;
	uint32_t k, seq;

	for (k = 0; k < m; k++) {
		seq = p->prod + k;
		prod_move(n, p, PROD_LEND, seq, p2p_mix(seq), segs[k].data, segs[k].len, FW_REF_RX(x, segs[k].cookie), &f);
		prod_describe(n, p, PROD_LEND, seq, (uint8_t)(p->frame + k), segs[k].len, w0, &f);
		n->port[x].refs[segs[k].cookie] = 1;
	}
}

/*
 * A few frames at a time, one thing after the other for all of them: each loop keeps what it needs in registers, and
 * what is the same arithmetic for each becomes SIMD.  One at a time where a write may finish later than the next begins.
 */
static uint32_t prod_burst(struct fw_nic *n, struct fw_prod *p, enum prod_way way, unsigned int x, const struct p2p_seg *segs,
			   uint32_t count, uint32_t w0)
{
	const uint32_t begin = p->prod;
	uint32_t m, slot, len;
	uint64_t bytes = 0;

	while (count) {
		slot = p->prod & p->mask;
		m = !board_at_once(n->board) ? 1 : count < FW_FEW ? count : FW_FEW;
		m = m < p->mask + 1 - slot ? m : p->mask + 1 - slot;
		m = prod_plain(segs, prod_ready(n, way, m), p->buf_size, &len);
		if (!m)
			break;
		bytes += len;
		board_charge(n->board, BOARD_STEP_LOOKUP, m);
		if (way == PROD_LEND)
			prod_few_lend(n, p, x, segs, m, w0);
		else
			prod_few_write(n, p, x, segs, m, w0);
		segs += m;
		count -= m;
		prod_advance(n, p, p->prod + m, (uint8_t)(p->frame + m));
	}
	if (p->prod != begin && way != PROD_LEND)
		prod_count_bytes(n, p, bytes);
	return p->prod - begin;
}

/* The slots that a burst fills are in the far core's cache. */
static inline void prod_prefetch(struct fw_nic *n, struct fw_prod *p, uint32_t count)
{
	uint32_t slot = p->prod & p->mask, room = p->mask + 1 - slot;

	board_prefetch_few(n->board, &p->win_buf, (uint64_t)slot * p->buf_size, p->buf_size, count < room ? count : room);
	if (count > room)
		board_prefetch_few(n->board, &p->win_buf, 0, p->buf_size, count - room);
}

uint32_t fw_prod_burst(struct fw_nic *n, struct fw_prod *p, unsigned int x, const struct p2p_seg *segs, uint32_t count,
		       uint32_t w0)
{
	enum prod_way way = prod_way(n, p, FW_REF_RX(x, 0));
	uint32_t room = p->mask + 1 - (p->prod - p->cons), k;

	if (count > room)
		count = room;
	if (!p->open || !count || p->out || way == PROD_HOST || (way == PROD_LEND && n->bridge))
		return 0;
	while (FW_ROUTING && way == PROD_LEND && !prod_share_left(n, p, x, count))
		if (!--count)
			return 0;
	prod_begin(n, p);
	if (way == PROD_WRITE)
		prod_prefetch(n, p, count);
	k = prod_burst(n, p, way, x, segs, count, w0);
	n->produced += k;
	prod_peer(n, p)->sent_frames += k;
	fw_event(n, P2P_EV_forwarded, k);
	return k;
}

int fw_prod_void(struct fw_nic *n, struct fw_prod *p, const struct p2p_seg *seg, uint32_t ref, unsigned int in_port)
{
	uint32_t w0 = P2P_D0(0, P2P_DF_VOID | P2P_DF_FLOOD, in_port, P2P_PORT_FLOOD, 0);
	enum p2p_drop why;
	uint32_t unit;
	int err;

	err = prod_admit(n, p, 1, seg ? ref : FW_REF_SLOT, &why);
	if (err)
		return err;
	prod_begin(n, p);
	if (seg) {
		/* Whole units, so that padding them never touches the frame itself. */
		unit = n->stride > P2P_DW_UNIT ? n->stride : P2P_DW_UNIT;
		prod_piece(n, p, seg->data, seg->len < unit ? seg->len : unit, w0, ref);
	} else {
		uint32_t slot = p->prod & p->mask, sum, where;

		board_charge(n->board, BOARD_STEP_RESERVE, 1);
		board_charge(n->board, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, 0));
		where = P2P_DW(p->peer == FW_PEER_HOST ? fw_bn_place(n, p->ring) : 0, p->frame);
		sum = board_sum_finish(~0u, w0, where, p->prod);
		if (p->src)
			p->src[slot] = FW_REF_NONE;
		prod_note(n, p, slot, 0);
		p2p_desc_fill(&p->shadow[slot], w0, sum, where, p->prod);
		p->prod++;
	}
	prod_mark(n, p);
	return 0;
}

/* Writes descriptors [from, to), which do not wrap. */
static void prod_write(struct fw_nic *n, struct fw_prod *p, uint32_t from, uint32_t to)
{
	struct fw_peer *peer = prod_peer(n, p);
	uint32_t slot = from & p->mask, k, count = to - from, tok;

	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	tok = board_write_descs(n->board, &peer->win_ring, p->desc_off + slot * 16, &p->shadow[slot], count);
	for (k = 0; k < count; k++)
		prod_note(n, p, slot + k, tok);
	fw_wake_after(n, p->peer, tok, false);
	n->owing |= FW_BIT(p->peer);
	fw_event(n, p->peer == FW_PEER_HOST ? P2P_EV_host_desc_bytes : P2P_EV_p2p_desc_bytes, p->local ? 0 : count * 16);
}

/* One past the last slot that may be published: finished, and not in the middle of a frame. */
static uint32_t prod_limit(struct fw_nic *n, struct fw_prod *p)
{
	uint32_t limit;

	if (board_at_once(n->board))
		p->ready = p->prod;
	while (p->ready != p->prod && prod_done(n, p, p->ready & p->mask))
		p->ready++;
	limit = p->ready;
	while (limit != p->pub && limit != p->prod &&
	       (P2P_D0_FLAGS(from_le32(p->shadow[(limit - 1) & p->mask].w0)) & P2P_DF_MORE))
		limit--;
	return limit;
}

void fw_prod_flush(struct fw_nic *n, struct fw_prod *p, bool dry)
{
	uint32_t limit = prod_limit(n, p), from = p->pub, end, wrap, batches = 0;
	bool overdue = n->now_ns - p->dirty_ns >= FW_FLUSH_NS;

	while (p->pub != limit && board_room(n->board, BOARD_Q_WRITE)) {
		/* Less than a batch: what makes it whole is on its way, or may be. */
		if (limit - p->pub < n->batch && !overdue && (!dry || p->prod - p->pub >= n->batch))
			break;
		end = limit - p->pub > n->batch ? p->pub + n->batch : limit;
		while (end != limit && (P2P_D0_FLAGS(from_le32(p->shadow[(end - 1) & p->mask].w0)) & P2P_DF_MORE))
			end++;
		wrap = (p->pub | p->mask) + 1;
		if ((int32_t)(end - wrap) > 0)
			end = wrap;
		p->pub = end;
		batches++;
		/* Batches that follow each other are one write where it costs nobody time. */
		if (!board_at_once(n->board) || end == wrap) {
			prod_write(n, p, from, end);
			from = end;
		}
	}
	if (!batches)
		return;
	if (from != p->pub)
		prod_write(n, p, from, p->pub);
	p->dirty_ns = n->now_ns;
	fw_event(n, P2P_EV_flushes, batches);
	n->wrote = true;
}

void fw_prod_flush_all(struct fw_nic *n, bool dry)
{
	struct fw_prod **d = &n->dirty, *p;

	while ((p = *d)) {
		fw_prod_flush(n, p, dry);
		if (p->pub == p->prod) {
			*d = p->next_dirty;
			p->dirty = false;
		} else {
			d = &p->next_dirty;
		}
	}
}

uint64_t fw_prod_flush_ns(const struct fw_nic *n)
{
	const struct fw_prod *p;
	uint64_t at = UINT64_MAX;

	for (p = n->dirty; p; p = p->next_dirty) {
		if (p->ready != p->prod || n->now_ns - p->dirty_ns >= FW_FLUSH_NS)
			return 0;
		if (p->dirty_ns + FW_FLUSH_NS < at)
			at = p->dirty_ns + FW_FLUSH_NS;
	}
	return at;
}

void fw_prod_reap(struct fw_nic *n, struct fw_peer *peer, struct fw_prod *p)
{
	uint32_t cons, from = p->cons;

	board_charge(n->board, BOARD_STEP_POLL_COMP, 1);
	if (le32_load_acquire(&p->comp->w[P2P_CL_INC]) != peer->inc)
		return;
	cons = le32_load_acquire(&p->comp->w[P2P_CL_CONS]);
	if (!p->open) {
		p->open = true;
		p->prod = p->ready = p->pub = p->cons = p->bad_cons = cons;
		p->timeout_ns = P2P_POKE_MIN_NS;
		return;
	}
	if (cons == p->cons)
		return;
	if (cons - p->cons > p->pub - p->cons) {
		if (cons != p->bad_cons)
			fw_event(n, P2P_EV_bad_line, 1);
		p->bad_cons = cons;
		return;
	}
	/* A slot is filled anew only when its descriptor's write has finished: the shadow is that write's source. */
	if (board_at_once(n->board) && !p->src)
		p->cons = cons;
	while (p->cons != cons && prod_done(n, p, p->cons & p->mask)) {
		prod_unref(n, p, p->cons & p->mask);
		p->cons++;
	}
	if (p->cons != cons)
		n->look_again |= FW_BIT(p->peer);
	if (p->cons != from) {
		p->timeout_ns = P2P_POKE_MIN_NS;
		p->deadline_ns = n->now_ns + p->timeout_ns;
		n->wrote = true;
	}
}

/* Writes what is not completed once more, as far as there is room; true when all of it is. */
static bool prod_repeat(struct fw_nic *n, struct fw_prod *p)
{
	uint32_t end, wrap, most;

	if (!p->repeating || p->again - p->cons > p->pub - p->cons)
		p->again = p->cons;
	p->repeating = true;
	while (p->again != p->pub) {
		if (!board_room(n->board, BOARD_Q_WRITE))
			return false;
		wrap = (p->again | p->mask) + 1;
		end = (int32_t)(p->pub - wrap) > 0 ? wrap : p->pub;
		/* Pieces of any size: nor may it always lose the same piece. */
		most = 1 + board_random(n->board) % P2P_MAX_BATCH;
		if (end - p->again > most)
			end = p->again + most;
		prod_write(n, p, p->again, end);
		p->again = end;
	}
	p->repeating = false;
	return true;
}

uint64_t fw_prod_tick(struct fw_nic *n, struct fw_peer *peer, struct fw_prod *p)
{
	uint32_t line[4];

	if (p->open && p->cons == p->pub)
		return UINT64_MAX;
	if (n->now_ns < p->deadline_ns)
		return p->deadline_ns;
	if (p->open && n->scrub && !prod_repeat(n, p))
		return n->now_ns;
	line[P2P_RL_RSVD] = 0;
	line[P2P_RL_PROD] = p->pub;
	line[P2P_RL_POKE] = ++p->poke;
	line[P2P_RL_INC] = peer->inc;
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	fw_wake_after(n, p->peer, board_write_line(n->board, &peer->win_ring, p->ctrl_off, line, BOARD_KIND_CONTROL), false);
	fw_event(n, P2P_EV_pokes, 1);
	fw_event(n, P2P_EV_control_bytes, 16);
	p->timeout_ns = p->timeout_ns * 2 < P2P_POKE_MAX_NS ? p->timeout_ns * 2 : P2P_POKE_MAX_NS;
	/* Not in step with other rings: a fabric that loses every n-th would lose always the same one's. */
	p->deadline_ns = n->now_ns + p->timeout_ns - board_random(n->board) % (uint32_t)(p->timeout_ns / 4);
	return p->deadline_ns;
}
