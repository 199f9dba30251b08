/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sim board's half of the board contract (firmware/board.h).
 *
 * A request is handed to the DMA engine when the cycles charged before it in its
 * step have passed; it is carried out by the fabric and finished when the engine
 * says so, each queue in order.  board_room() leaves room for what the engine may
 * have in flight and for what workers have in hand.
 */
#ifndef BOARDS_SIM_BOARD_IMPL_H
#define BOARDS_SIM_BOARD_IMPL_H

#include <string.h>
#include <p2pnic/types.h>
#include <p2pnic/csum.h>
#include <p2pnic/layout.h>
#include <p2pnic/regs.h>
#include <ports/port.h>

struct sim_queue {
	uint32_t submitted, finished, room; /* a request's token: 2 * submitted + 1, once it is */
	bool pinched;                       /* firmware has found little or no room */
};

/* What firmware's inlines need; the rest of the NIC is struct sim_nic. */
struct board_ctx {
	uint64_t charged_fs; /* in this step, so far */
	uint64_t cost_fs[BOARD_NUM_STEPS];
	uint64_t steps[BOARD_NUM_STEPS]; /* charged since the last reset */
	struct sim_queue q[BOARD_NUM_QUEUES];
	uint64_t news; /* board_news() */
	uint32_t acts; /* what this step did that others can see */
	bool ports_on;
	uint64_t faults;
	struct port *port[P2P_MAX_PORTS];
};

/* All-zero: closed, every access is a fault. */
struct board_win {
	uint64_t bus, bytes;
	/* the last translation: bus addresses [lo, hi) are at fabric addresses `delta` further */
	uint64_t lo, hi, delta;
	uint32_t gen;
	bool read, write;
};

/* board.c */
/* unit: the smallest piece that a fabric would lose of it (fault injection). */
uint32_t sim_board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
			 enum board_kind kind, uint32_t unit);
uint32_t sim_board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off, const uint32_t words[4],
			      enum board_kind kind);
uint32_t sim_board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
			enum board_kind kind);
uint64_t sim_board_now_ns(struct board_ctx *b);
uint32_t sim_board_random(struct board_ctx *b);
void sim_board_bell(struct board_ctx *b, unsigned int peer);
void sim_board_event(struct board_ctx *b, unsigned int vector, unsigned int arg);
int sim_board_layout(struct board_ctx *b, const struct p2p_shape *shape);
void sim_board_layout_drop(struct board_ctx *b);
void *sim_board_segment(struct board_ctx *b, unsigned int seg);
void *sim_board_state(struct board_ctx *b, size_t bytes);
int sim_board_ports_start(struct board_ctx *b);
void sim_board_ports_stop(struct board_ctx *b);

static inline void board_win_open(struct board_ctx *b, struct board_win *w, uint64_t bus, uint64_t bytes)
{
	memset(w, 0, sizeof(*w));
	w->bus = bus;
	w->bytes = bytes;
}

static inline uint32_t board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src,
				   uint32_t len, enum board_kind kind)
{
	return sim_board_write(b, w, off, src, len, kind, 64);
}

static inline uint32_t sim_round(uint32_t len, uint32_t stride)
{
	uint32_t unit = stride > 64 ? stride : 64;

	return P2P_ALIGN_UP(len, unit);
}

static inline uint32_t board_sum_check(struct board_ctx *b, const uint8_t *mem, uint32_t len, uint32_t h,
				       uint32_t stride)
{
	return p2p_csum_words(mem, len, h, stride);
}

static inline uint32_t board_sum(struct board_ctx *b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	memset(mem + len, 0, sim_round(len, stride) - len);
	return p2p_csum_words(mem, len, h, stride);
}

static inline uint32_t board_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq)
{
	return ~p2p_crc32c(p2p_crc32c(p2p_crc32c(running, w0 & P2P_D0_SUMMED), where), seq);
}

static inline uint32_t board_write_sum(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src,
				       uint32_t len, uint32_t h, uint32_t stride, uint32_t *sum)
{
	*sum = board_sum(b, (uint8_t *)(uintptr_t)src, len, h, stride);
	return sim_board_write(b, w, off, src, sim_round(len, stride), BOARD_KIND_PAYLOAD, sim_round(1, stride));
}

static inline uint32_t board_write_descs(struct board_ctx *b, struct board_win *w, uint64_t off,
					 const struct p2p_desc *src, uint32_t n)
{
	return sim_board_write(b, w, off, src, n * (uint32_t)sizeof(*src), BOARD_KIND_DESC, 64);
}

static inline uint32_t board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off,
					const uint32_t words[4], enum board_kind kind)
{
	return sim_board_write_line(b, w, off, words, kind);
}

static inline uint32_t board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
				  enum board_kind kind)
{
	return sim_board_read(b, w, off, dst, len, kind);
}

static inline bool board_done(struct board_ctx *b, enum board_queue q, uint32_t token)
{
	/* 0 is no request's token: nothing to wait for. */
	return !token || (int32_t)(2 * b->q[q].finished + 1 - token) >= 0;
}

static inline bool board_at_once(struct board_ctx *b)
{
	return false;
}

static inline uint32_t board_room(struct board_ctx *b, enum board_queue q)
{
	uint32_t under_way = b->q[q].submitted - b->q[q].finished;
	uint32_t room = under_way < b->q[q].room ? b->q[q].room - under_way : 0;

	b->q[q].pinched |= room < P2P_MAX_SEGS;
	return room;
}

static inline void board_prefetch_read(const void *p)
{
	__builtin_prefetch(p, 0, 3);
}

static inline uint64_t board_now_ns(struct board_ctx *b)
{
	return sim_board_now_ns(b);
}

static inline uint32_t board_random(struct board_ctx *b)
{
	return sim_board_random(b);
}

static inline void board_charge(struct board_ctx *b, enum board_step step, uint32_t n)
{
	b->steps[step] += n;
	b->charged_fs += n * b->cost_fs[step];
}

static inline void board_bell(struct board_ctx *b, unsigned int peer)
{
	sim_board_bell(b, peer);
}

/* One thread, one memory. */
static inline void board_barrier(void)
{
}

static inline void board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	sim_board_event(b, vector, arg);
}

static inline uint64_t board_news(struct board_ctx *b)
{
	uint64_t news = b->news;

	b->news = 0;
	return news;
}

static inline uint64_t board_fault_count(struct board_ctx *b)
{
	return b->faults;
}

static inline uint32_t board_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];
	uint32_t k = p2p_likely(b->ports_on) ? p->ops->rx_burst(p, segs, n) : 0;

	b->acts += k;
	return k;
}

static inline uint32_t board_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];
	uint32_t k = p2p_likely(b->ports_on) ? p->ops->rx_post(p, segs, n) : 0;

	b->acts += k;
	return k;
}

static inline uint32_t board_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];
	uint32_t k = p2p_likely(b->ports_on) ? p->ops->tx_burst(p, segs, n) : 0;

	b->acts += k;
	return k;
}

static inline uint32_t board_tx_done(struct board_ctx *b, unsigned int port)
{
	struct port *p = b->port[port];
	uint32_t k = p2p_likely(b->ports_on) ? p->ops->tx_done(p) : 0;

	b->acts += k;
	return k;
}

static inline bool board_link_up(struct board_ctx *b, unsigned int port)
{
	struct port *p = b->port[port];

	return b->ports_on && p->ops->link_up(p);
}

static inline int board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	return sim_board_layout(b, shape);
}

static inline void board_layout_drop(struct board_ctx *b)
{
	sim_board_layout_drop(b);
}

static inline void *board_segment(struct board_ctx *b, unsigned int seg)
{
	return sim_board_segment(b, seg);
}

static inline void *board_state(struct board_ctx *b, size_t bytes)
{
	return sim_board_state(b, bytes);
}

static inline int board_ports_start(struct board_ctx *b)
{
	return sim_board_ports_start(b);
}

static inline void board_ports_stop(struct board_ctx *b)
{
	sim_board_ports_stop(b);
}

#endif
