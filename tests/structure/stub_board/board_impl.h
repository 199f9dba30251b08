/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The smallest board that firmware links on: no OS, no C library, one NIC, no
 * peers in reach, and a cable that swallows what it is given.
 *
 * Device memory is a static array; a DMA within it is a copy that finishes at
 * once, every other one is a counted fault.  The functions are out of line, in
 * stub.c, so that the objects' undefined symbols show what firmware asks for.
 */
#ifndef STUB_BOARD_IMPL_H
#define STUB_BOARD_IMPL_H

struct board_ctx {
	uint8_t *mem;
	uint64_t mem_bytes;
	uint64_t faults, now_ns;
	uint32_t random;
	uint32_t sent[P2P_MAX_PORTS];
	struct p2p_shape shape;
	bool laid_out;
};

struct board_win {
	uint64_t bus, bytes;
};

void board_win_open(struct board_ctx *b, struct board_win *w, uint64_t bus, uint64_t bytes);
uint32_t board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
		     enum board_kind kind);
uint32_t board_write_sum(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
			 uint32_t h, uint32_t stride, uint32_t *sum);
uint32_t board_write_descs(struct board_ctx *b, struct board_win *w, uint64_t off, const struct p2p_desc *src,
			   uint32_t n);
uint32_t board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off, const uint32_t words[4],
			  enum board_kind kind);
uint32_t board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
		    enum board_kind kind);
bool board_done(struct board_ctx *b, enum board_queue q, uint32_t token);
bool board_at_once(struct board_ctx *b);
uint32_t board_room(struct board_ctx *b, enum board_queue q);
uint32_t board_sum(struct board_ctx *b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
uint32_t board_sum_check(struct board_ctx *b, const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
uint32_t board_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq);
void board_prefetch_read(const void *p);
uint64_t board_now_ns(struct board_ctx *b);
uint32_t board_random(struct board_ctx *b);
void board_charge(struct board_ctx *b, enum board_step step, uint32_t n);
void board_bell(struct board_ctx *b, unsigned int peer);
uint64_t board_news(struct board_ctx *b);
void board_barrier(void);
void board_event(struct board_ctx *b, unsigned int vector, unsigned int arg);
uint64_t board_fault_count(struct board_ctx *b);
uint32_t board_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n);
uint32_t board_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n);
uint32_t board_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n);
uint32_t board_tx_done(struct board_ctx *b, unsigned int port);
bool board_link_up(struct board_ctx *b, unsigned int port);
int board_layout(struct board_ctx *b, const struct p2p_shape *shape);
void *board_segment(struct board_ctx *b, unsigned int seg);
void *board_state(struct board_ctx *b, size_t bytes);
int board_ports_start(struct board_ctx *b);
void board_ports_stop(struct board_ctx *b);
void board_layout_drop(struct board_ctx *b);

#endif
