/* SPDX-License-Identifier: BSD-3-Clause */
/* The stub board's functions, the four of string.h, and a machine's entry. */
#include <firmware/board.h>
#include <firmware/fw.h>

#define MEM_BYTES (8u << 20)
#define STATE_BYTES (4u << 20)
#define NIC_BYTES (1u << 20)
#define ENOMEM_STUB 12

static uint8_t mem[MEM_BYTES] __attribute__((aligned(4096)));
static uint8_t state[STATE_BYTES] __attribute__((aligned(64)));
static uint8_t nic_room[NIC_BYTES] __attribute__((aligned(64)));
static struct board_ctx board;

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	while (n--)
		*d++ = *s++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if (d < s)
		return memcpy(dst, src, n);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;

	while (n--)
		*d++ = (uint8_t)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

/* Where a window's bytes lie, or NULL after counting a fault. */
static uint8_t *stub_reach(struct board_ctx *b, const struct board_win *w, uint64_t off, uint64_t len)
{
	uint64_t at = (w->bus & ~P2P_BUS_LOCAL) + off;

	if ((w->bus & P2P_BUS_LOCAL) && off <= w->bytes && len <= w->bytes - off && at <= b->mem_bytes &&
	    len <= b->mem_bytes - at)
		return b->mem + at;
	b->faults++;
	return NULL;
}

static uint32_t stub_crc32(uint32_t crc, uint32_t v)
{
	for (int i = 0; i < 32; i++, v >>= 1)
		crc = crc >> 1 ^ (0x82f63b78u & -((crc ^ v) & 1));
	return crc;
}

static uint32_t stub_round(uint32_t len, uint32_t stride)
{
	return P2P_ALIGN_UP(len, stride > 64 ? stride : 64);
}

void board_win_open(struct board_ctx *b, struct board_win *w, uint64_t bus, uint64_t bytes)
{
	w->bus = bus;
	w->bytes = bytes;
}

uint32_t board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
		     enum board_kind kind)
{
	uint8_t *dst = stub_reach(b, w, off, len);

	if (dst)
		memcpy(dst, src, len);
	return 0;
}

uint32_t board_write_sum(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len,
			 uint32_t h, uint32_t stride, uint32_t *sum)
{
	*sum = board_sum(b, (uint8_t *)(uintptr_t)src, len, h, stride);
	return board_write(b, w, off, src, stub_round(len, stride), BOARD_KIND_PAYLOAD);
}

uint32_t board_write_descs(struct board_ctx *b, struct board_win *w, uint64_t off, const struct p2p_desc *src,
			   uint32_t n)
{
	struct p2p_desc *dst = (struct p2p_desc *)stub_reach(b, w, off, 16ull * n);

	for (uint32_t i = 0; dst && i < n; i++) {
		memcpy(&dst[i], &src[i], offsetof(struct p2p_desc, seq));
		le32_store_release(&dst[i].seq, from_le32(src[i].seq));
	}
	return 0;
}

uint32_t board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off, const uint32_t words[4],
			  enum board_kind kind)
{
	le32 *dst = (le32 *)stub_reach(b, w, off, 16);

	for (int i = 0; dst && i < 4; i++)
		le32_store_release(dst + i, words[i]);
	return 0;
}

uint32_t board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
		    enum board_kind kind)
{
	const uint8_t *src = stub_reach(b, w, off, len);

	if (src)
		memcpy(dst, src, len);
	else
		memset(dst, 0xff, len);
	return 0;
}

bool board_done(struct board_ctx *b, enum board_queue q, uint32_t token)
{
	return true;
}

bool board_at_once(struct board_ctx *b)
{
	return true;
}

uint32_t board_room(struct board_ctx *b, enum board_queue q)
{
	return 64;
}

uint32_t board_sum_check(struct board_ctx *b, const uint8_t *at, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t crc = ~0u;
	le32 word;

	for (uint32_t unit = 0; unit * stride < len; unit++) {
		memcpy(&word, at + unit * stride + p2p_sample_offset(h, unit, stride), sizeof(word));
		crc = stub_crc32(crc, from_le32(word));
	}
	return crc;
}

uint32_t board_sum(struct board_ctx *b, uint8_t *at, uint32_t len, uint32_t h, uint32_t stride)
{
	memset(at + len, 0, stub_round(len, stride) - len);
	return board_sum_check(b, at, len, h, stride);
}

uint32_t board_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq)
{
	return ~stub_crc32(stub_crc32(stub_crc32(running, w0), where), seq);
}

void board_prefetch_read(const void *p)
{
}

uint64_t board_now_ns(struct board_ctx *b)
{
	return b->now_ns;
}

/* A board with peers has a source of its own for this; here nobody looks. */
uint32_t board_random(struct board_ctx *b)
{
	return b->random = p2p_mix(b->random + 1);
}

void board_charge(struct board_ctx *b, enum board_step step, uint32_t n)
{
}

uint64_t board_news(struct board_ctx *b)
{
	return ~0ull;
}

void board_bell(struct board_ctx *b, unsigned int peer)
{
}

void board_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
}

uint64_t board_fault_count(struct board_ctx *b)
{
	return b->faults;
}

uint32_t board_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n)
{
	return 0;
}

uint32_t board_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	return n;
}

uint32_t board_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	b->sent[port] += n;
	return n;
}

uint32_t board_tx_done(struct board_ctx *b, unsigned int port)
{
	uint32_t n = b->sent[port];

	b->sent[port] = 0;
	return n;
}

bool board_link_up(struct board_ctx *b, unsigned int port)
{
	return true;
}

int board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	if (p2p_memory_needed(shape) > b->mem_bytes)
		return -ENOMEM_STUB;
	b->shape = *shape;
	b->laid_out = true;
	memset(b->mem, 0, p2p_memory_needed(shape));
	return 0;
}

void *board_segment(struct board_ctx *b, unsigned int seg)
{
	return b->mem + p2p_seg_offset(&b->shape, seg);
}

void *board_state(struct board_ctx *b, size_t bytes)
{
	if (bytes > sizeof(state))
		return NULL;
	memset(state, 0, bytes);
	return state;
}

int board_ports_start(struct board_ctx *b)
{
	return 0;
}

void board_ports_stop(struct board_ctx *b)
{
}

void board_layout_drop(struct board_ctx *b)
{
	b->laid_out = false;
}

/* Where a machine without an OS would begin. */
void _start(void);
void _start(void)
{
	struct fw_nic *nic = (struct fw_nic *)nic_room;
	struct fw_strap strap = { .ports = 1, .buf_size = 2048, .mem_bytes = MEM_BYTES, .mac = { { 2 } } };

	board.mem = mem;
	board.mem_bytes = sizeof(mem);
	if (fw_nic_bytes() > sizeof(nic_room) || fw_nic_init(nic, &board, &strap))
		for (;;)
			;
	fw_reg_write(nic, P2P_CONTROL, 4, P2P_CTL_CONFIGURE);
	fw_reg_write(nic, P2P_CONTROL, 4, P2P_CTL_ENABLE);
	for (;; board.now_ns += 1000)
		fw_step(nic);
}
