/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The late board, as firmware sees it (firmware/board.h): every DMA is carried
 * out some time after its submission and finished some time after that, in
 * seeded random interleavings that keep each queue's order.  See late.h.
 */
#ifndef TESTS_LATE_BOARD_IMPL_H
#define TESTS_LATE_BOARD_IMPL_H

struct board_ctx;

struct board_win {
	uint64_t bus, bytes;
};

uint32_t late_write(struct board_ctx *b, const struct board_win *w, uint64_t off, const void *src, uint32_t len,
		    enum board_kind kind);
uint32_t late_write_sum(struct board_ctx *b, const struct board_win *w, uint64_t off, const void *src, uint32_t len,
			uint32_t h, uint32_t stride, uint32_t *sum);
uint32_t late_write_descs(struct board_ctx *b, const struct board_win *w, uint64_t off, const struct p2p_desc *src,
			  uint32_t n);
uint32_t late_write_line(struct board_ctx *b, const struct board_win *w, uint64_t off, const uint32_t words[4],
			 enum board_kind kind);
uint32_t late_read(struct board_ctx *b, const struct board_win *w, uint64_t off, void *dst, uint32_t len,
		   enum board_kind kind);
bool late_done(struct board_ctx *b, enum board_queue q, uint32_t token);
uint32_t late_room(struct board_ctx *b, enum board_queue q);
uint32_t late_sum(struct board_ctx *b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
uint32_t late_sum_check(struct board_ctx *b, const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
uint32_t late_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq);
uint64_t late_now_ns(struct board_ctx *b);
uint32_t late_random(struct board_ctx *b);
void late_charge(struct board_ctx *b, unsigned int step, uint32_t n);
bool late_jump_few(const le32 *nodes, uint32_t last, const uint32_t *rest, uint32_t *e, uint32_t n, const uint8_t *stride,
		   unsigned int tiers);
void late_bell(struct board_ctx *b, unsigned int peer);
void late_event(struct board_ctx *b, unsigned int vector, unsigned int arg);
uint64_t late_fault_count(struct board_ctx *b);
uint32_t late_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n);
uint32_t late_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n);
uint32_t late_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n);
uint32_t late_tx_done(struct board_ctx *b, unsigned int port);
bool late_link_up(struct board_ctx *b, unsigned int port);
int late_layout(struct board_ctx *b, const struct p2p_shape *shape);
void *late_segment(struct board_ctx *b, unsigned int seg);
void *late_state(struct board_ctx *b, size_t bytes);
void *late_shared(struct board_ctx *b, size_t bytes);
int late_ports_start(struct board_ctx *b);
void late_ports_stop(struct board_ctx *b);
void late_layout_drop(struct board_ctx *b);

static inline void late_win_open(struct board_ctx *b, struct board_win *w, uint64_t bus, uint64_t bytes)
{
	w->bus = bus;
	w->bytes = bytes;
}

#define board_win_open late_win_open
#define board_write late_write
#define board_write_sum late_write_sum
#define board_write_descs late_write_descs
#define board_write_line late_write_line
#define board_read late_read
#define board_done late_done
#define board_at_once(b) ((void)(b), false)
#define board_room late_room
#define board_sum late_sum
#define board_sum_check late_sum_check
#define board_sum_finish late_sum_finish
#define board_prefetch_read(p) ((void)(p))
#define board_now_ns late_now_ns
#define board_random late_random
#define board_charge late_charge
#define board_bell late_bell
#define board_news(b) ((void)(b), ~0ull)
#define board_barrier() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define board_event late_event
#define BOARD_JUMP 1
#define board_jump_few late_jump_few
#define board_fault_count late_fault_count
#define board_rx_burst late_rx_burst
#define board_rx_post late_rx_post
#define board_tx_burst late_tx_burst
#define board_tx_done late_tx_done
#define board_link_up late_link_up
#define board_layout late_layout
#define board_segment late_segment
#define board_state late_state
#define board_shared late_shared
#define BOARD_SHARED 1
#define board_ports_start late_ports_start
#define board_ports_stop late_ports_stop
#define board_layout_drop late_layout_drop

#endif
