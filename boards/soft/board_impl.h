/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The soft board's half of the board contract (firmware/board.h).
 *
 * DMA is a copy by the worker's core and finishes before the call returns:
 * board_done() is constant, so that the compiler removes firmware's waiting
 * states.  Per-producer order is program order; what publishes (descriptors,
 * lines) is stored with release.
 *
 * A window remembers its last translation and the address map's generation;
 * anything that changes what a translation may say (map, unmap, bus mastering,
 * layout, client gone) increments the generation.  With faults to inject (fault.c)
 * a window onto the bus never has one, so that every DMA goes by the slow path.
 */
#ifndef BOARDS_SOFT_BOARD_IMPL_H
#define BOARDS_SOFT_BOARD_IMPL_H

#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <p2pnic/types.h>
#include <p2pnic/layout.h>
#include <p2pnic/regs.h>
#include <ports/port.h>
#include "copy.h"

struct soft_nic;
struct soft_iommu;

/* What firmware's inlines need; the rest of the NIC is struct soft_nic. */
struct board_ctx {
	uint64_t now_ns;	/* the loop's one clock read */
	uint32_t gen;		/* of translations, never 0 */
	bool ports_on;
	uint8_t *mem;		/* BAR2, laid out, in one piece; NULL: no layout */
	uint64_t mem_used;	/* bytes behind mem */
	uint64_t faults;
	struct port *port[P2P_MAX_PORTS];
	struct soft_nic *nic;
};

/* All-zero: closed, every access is a fault. */
struct board_win {
	uint64_t bus, bytes;
	uint64_t lo;		/* the window offset that host points to */
	uint64_t span_write, span_read; /* bytes behind host that may be accessed so */
	uint8_t *host;
	uint32_t gen;
};

/* Slow paths, dma.c. */
uint8_t *soft_win_resolve(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t len, bool write);
/*
 * What a write carries, for fault injection.  unit: the smallest piece that a fabric would lose of it; 0: it goes as one.
 * Both in one argument: a seventh would go by the stack, whose frame the callers' fast paths would pay.
 */
#define SOFT_DMA(kind, unit) ((uint32_t)(kind) | (uint32_t)(unit) << 8)
void soft_dma_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len, uint32_t what);
void soft_dma_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len, enum board_kind kind);
/* nic.c */
uint32_t soft_board_random(struct board_ctx *b);
void soft_board_bell(struct board_ctx *b, unsigned int peer);
void soft_board_event(struct board_ctx *b, unsigned int vector, unsigned int arg);
int soft_board_layout(struct board_ctx *b, const struct p2p_shape *shape);
void soft_board_layout_drop(struct board_ctx *b);
void *soft_board_segment(struct board_ctx *b, unsigned int seg);
void *soft_board_state(struct board_ctx *b, size_t bytes);
void *soft_board_shared(struct board_ctx *b, size_t bytes);
int soft_board_ports_start(struct board_ctx *b);
void soft_board_ports_stop(struct board_ctx *b);
int soft_board_place(struct board_ctx *b, unsigned int port, struct board_win *w, uint64_t bytes, uint8_t **base);
int soft_board_port_restart(struct board_ctx *b, unsigned int port);

static inline void board_win_open(struct board_ctx *b, struct board_win *w, uint64_t bus, uint64_t bytes)
{
	memset(w, 0, sizeof(*w));
	w->bus = bus;
	w->bytes = bytes;
}

/* NULL: not reachable as one piece of host memory. */
static inline uint8_t *soft_win_ptr(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t len, bool write)
{
	uint64_t rel = off - w->lo, span = write ? w->span_write : w->span_read;

	if (p2p_likely(w->gen == b->gen && rel <= span && len <= span - rel))
		return w->host + rel;
	return soft_win_resolve(b, w, off, len, write);
}

static inline uint32_t board_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src,
				   uint32_t len, enum board_kind kind)
{
	uint8_t *dst = soft_win_ptr(b, w, off, len, true);

	if (p2p_likely(dst != NULL))
		memcpy(dst, src, len);
	else
		soft_dma_write(b, w, off, src, len, SOFT_DMA(kind, SOFT_LINE));
	return 0;
}

/* One line of a frame of len <= 64 bytes, its tail zero. */
static inline void soft_copy_line(uint8_t *dst, const uint8_t *src, uint32_t len)
{
#if defined(__AVX2__)
	__m256i lo = _mm256_loadu_si256((const __m256i *)src), hi = _mm256_loadu_si256((const __m256i *)(src + 32));

	const uint8_t *m = soft_keep_mask + SOFT_LINE - len;

	lo = _mm256_and_si256(lo, _mm256_loadu_si256((const __m256i *)m));
	hi = _mm256_and_si256(hi, _mm256_loadu_si256((const __m256i *)(m + 32)));
	_mm256_storeu_si256((__m256i *)dst, lo);
	_mm256_storeu_si256((__m256i *)(dst + 32), hi);
#elif defined(__SSE2__)
	__m128i v[4];

	for (int i = 0; i < 4; i++)
		v[i] = _mm_loadu_si128((const __m128i *)(src + 16 * i));
	if (len < SOFT_LINE) {
		const uint8_t *m = soft_keep_mask + SOFT_LINE - len;

		for (int i = 0; i < 4; i++)
			v[i] = _mm_and_si128(v[i], _mm_loadu_si128((const __m128i *)(m + 16 * i)));
	}
	for (int i = 0; i < 4; i++)
		_mm_storeu_si128((__m128i *)(dst + 16 * i), v[i]);
#else
	memcpy(dst, src, len);
	memset(dst + len, 0, SOFT_LINE - len);
#endif
}

/* One payload of which all is in reach. */
static inline uint32_t soft_copy_sum(uint8_t *dst, void *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	if (p2p_likely(len - 1 < SOFT_LINE && stride == SOFT_LINE)) {
		soft_copy_line(dst, src, len);
		return soft_crc32(~0u, soft_load32(dst + p2p_sample_offset(h, 0, SOFT_LINE)));
	}
	return soft_copy_ops.copy_sum(dst, src, len, moved, h, stride);
}

static inline uint32_t board_write_sum(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src,
				       uint32_t len, uint32_t h, uint32_t stride, uint32_t *sum)
{
	uint32_t moved = soft_copy_round(len, stride);
	uint8_t *dst = soft_win_ptr(b, w, off, moved, true);

	if (p2p_likely(dst != NULL)) {
		*sum = soft_copy_sum(dst, (void *)src, len, moved, h, stride);
		return 0;
	}
	memset((uint8_t *)src + len, 0, moved - len);
	*sum = soft_copy_ops.sum(src, len, h, stride);
	soft_dma_write(b, w, off, src, moved, SOFT_DMA(BOARD_KIND_PAYLOAD, stride > SOFT_LINE ? stride : SOFT_LINE));
	return 0;
}

#if defined(__AVX2__) && !P2P_TSAN
#define BOARD_JUMP
/*
 * Gathers of eight, `groups` of them beside each other.  The sign of an entry is its jump bit, and a gather's mask.
 * groups is a constant, so that addresses and entries stay in registers from tier to tier.
 */
static inline __attribute__((always_inline)) bool soft_jump_groups(const le32 *nodes, uint32_t last, const uint32_t *rest,
								   uint32_t *e, const unsigned int groups,
								   const uint8_t *stride, unsigned int tiers)
{
	const __m256i inf = _mm256_set1_epi32(0x7fffffff), most = _mm256_set1_epi32((int)last);
	__m256i a[8], v[8], any, at;
	unsigned int g, t;
	int more = 1;

	for (g = 0; g < groups; g++) {
		a[g] = _mm256_loadu_si256((const __m256i *)(rest + 8 * g));
		v[g] = _mm256_loadu_si256((const __m256i *)(e + 8 * g));
	}
	for (t = 0; more && t < tiers; t++) {
		const __m128i l = _mm_cvtsi32_si128(stride[t]), r = _mm_cvtsi32_si128(32 - stride[t]);

		any = _mm256_setzero_si256();
		for (g = 0; g < groups; g++) {
			if (!_mm256_movemask_ps(_mm256_castsi256_ps(v[g])))
				continue;
			at = _mm256_min_epu32(_mm256_and_si256(v[g], inf), most);
			at = _mm256_add_epi32(at, _mm256_srl_epi32(a[g], r));
			v[g] = _mm256_mask_i32gather_epi32(v[g], (const int *)nodes, at, v[g], 4);
			a[g] = _mm256_sll_epi32(a[g], l);
			any = _mm256_or_si256(any, v[g]);
		}
		more = _mm256_movemask_ps(_mm256_castsi256_ps(any));
	}
	for (g = 0; g < groups; g++)
		_mm256_storeu_si256((__m256i *)(e + 8 * g), v[g]);
	return more;
}

static inline bool board_jump_few(const le32 *nodes, uint32_t last, const uint32_t *rest, uint32_t *e, uint32_t n,
				  const uint8_t *stride, unsigned int tiers)
{
	if (n > 32)
		return soft_jump_groups(nodes, last, rest, e, 8, stride, tiers);
	return soft_jump_groups(nodes, last, rest, e, 4, stride, tiers);
}
#endif

/* Two words as one store; release orders it after all before it. */
static inline void soft_store_pair(void *dst, const void *src, int order_release)
{
	uint64_t v;

	memcpy(&v, src, sizeof(v));
	if (order_release)
		__atomic_store_n((uint64_t *)dst, v, __ATOMIC_RELEASE);
	else
		__atomic_store_n((uint64_t *)dst, v, __ATOMIC_RELAXED);
}

/* Each whole where the CPU does so (aligned 16 bytes, any that has AVX), else seq last. */
static inline void soft_store_descs(uint8_t *dst, const struct p2p_desc *src, uint32_t n)
{
	uint32_t i = 0;

#if defined(__AVX__) && !P2P_TSAN
	__atomic_signal_fence(__ATOMIC_RELEASE);
#pragma GCC unroll 4
	for (; i < n; i++)
		_mm_store_si128((__m128i *)dst + i, _mm_load_si128((const __m128i *)src + i));
#endif
	for (; i < n; i++) {
		soft_store_pair(dst + 16 * i, &src[i], 0);
		soft_store_pair(dst + 16 * i + 8, &src[i].where, 1);
	}
}

static inline uint32_t board_write_descs(struct board_ctx *b, struct board_win *w, uint64_t off,
					 const struct p2p_desc *src, uint32_t n)
{
	uint8_t *dst = soft_win_ptr(b, w, off, n * 16, true);

	if (p2p_likely(dst && ((uintptr_t)dst & 15) == 0))
		soft_store_descs(dst, src, n);
	else
		soft_dma_write(b, w, off, src, n * 16, SOFT_DMA(BOARD_KIND_DESC, SOFT_LINE));
	return 0;
}

static inline uint32_t board_write_line(struct board_ctx *b, struct board_win *w, uint64_t off,
					const uint32_t words[4], enum board_kind kind)
{
	uint8_t *dst = soft_win_ptr(b, w, off, 16, true);
	le32 line[4];

	if (p2p_unlikely(!dst || (uintptr_t)dst & 3)) {
		for (int i = 0; i < 4; i++)
			line[i] = to_le32(words[i]);
		soft_dma_write(b, w, off, line, sizeof(line), SOFT_DMA(kind, 0));
		return 0;
	}
	for (int i = 0; i < 4; i++)
		le32_store_release((le32 *)dst + i, words[i]);
	return 0;
}

/*
 * What others publish is read from its last word to its first, 8 bytes at a
 * time with acquire, so that a valid seq means that all the rest is valid.
 */
static inline void soft_load_published(void *dst, const uint8_t *src, uint32_t len)
{
	for (uint32_t at = len; at >= 8; at -= 8) {
		uint64_t v = __atomic_load_n((const uint64_t *)(src + at - 8), __ATOMIC_ACQUIRE);

		memcpy((uint8_t *)dst + at - 8, &v, sizeof(v));
	}
}

static inline uint32_t board_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len,
				  enum board_kind kind)
{
	uint8_t *src = soft_win_ptr(b, w, off, len, false);

	if (p2p_unlikely(!src))
		soft_dma_read(b, w, off, dst, len, kind);
	else if (kind == BOARD_KIND_PAYLOAD)
		soft_copy_ops.copy(dst, src, len);
	else if (((uintptr_t)src & 7) == 0 && (len & 7) == 0)
		soft_load_published(dst, src, len);
	else
		memcpy(dst, src, len);
	return 0;
}

static inline bool board_done(struct board_ctx *b, enum board_queue q, uint32_t token)
{
	return true;
}

static inline bool board_at_once(struct board_ctx *b)
{
	return true;
}

static inline uint32_t board_room(struct board_ctx *b, enum board_queue q)
{
	return 1u << 30;
}

static inline uint32_t board_sum_check(struct board_ctx *b, const uint8_t *mem, uint32_t len, uint32_t h,
				       uint32_t stride)
{
	if (p2p_likely(len - 1 < SOFT_LINE && stride >= SOFT_LINE))
		return soft_crc32(~0u, soft_load32(mem + p2p_sample_offset(h, 0, stride)));
	return soft_copy_ops.sum(mem, len, h, stride);
}

static inline uint32_t board_sum(struct board_ctx *b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride)
{
	uint32_t tail = soft_copy_round(len, stride) - len;

	if (tail)
		memset(mem + len, 0, tail);
	return board_sum_check(b, mem, len, h, stride);
}

static inline uint32_t board_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq)
{
	return ~soft_crc64(soft_crc32(running, w0 & P2P_D0_SUMMED), where | (uint64_t)seq << 32);
}

#if defined(__AVX2__) && !P2P_TSAN
#define BOARD_FEW "few.h"
#endif

static inline void board_prefetch_read(const void *p)
{
	__builtin_prefetch(p, 0, 3);
}

static inline uint64_t board_now_ns(struct board_ctx *b)
{
	return b->now_ns;
}

static inline uint32_t board_random(struct board_ctx *b)
{
	return soft_board_random(b);
}

static inline void board_charge(struct board_ctx *b, enum board_step step, uint32_t n)
{
}

static inline void board_bell(struct board_ctx *b, unsigned int peer)
{
	soft_board_bell(b, peer);
}

static inline void board_barrier(void)
{
#ifdef __x86_64__
	__asm__ volatile("lock; orl $0, -4(%%rsp)" : : : "memory", "cc");
#else
	__sync_synchronize();
#endif
}

static inline void board_event(struct board_ctx *b, unsigned int vector, unsigned int arg)
{
	soft_board_event(b, vector, arg);
}

/* Others write there without our knowing. */
static inline uint64_t board_news(struct board_ctx *b)
{
	return ~0ull;
}

static inline uint64_t board_fault_count(struct board_ctx *b)
{
	return p2p_count_read(&b->faults);
}

static inline uint32_t board_rx_burst(struct board_ctx *b, unsigned int port, struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];

	return p2p_likely(b->ports_on) ? p->ops->rx_burst(p, segs, n) : 0;
}

static inline uint32_t board_rx_post(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];

	return p2p_likely(b->ports_on) ? p->ops->rx_post(p, segs, n) : 0;
}

static inline uint32_t board_tx_burst(struct board_ctx *b, unsigned int port, const struct p2p_seg *segs, uint32_t n)
{
	struct port *p = b->port[port];

	return p2p_likely(b->ports_on) ? p->ops->tx_burst(p, segs, n) : 0;
}

static inline uint32_t board_tx_done(struct board_ctx *b, unsigned int port)
{
	struct port *p = b->port[port];

	return p2p_likely(b->ports_on) ? p->ops->tx_done(p) : 0;
}

static inline bool board_link_up(struct board_ctx *b, unsigned int port)
{
	struct port *p = b->port[port];

	return b->ports_on && p->ops->link_up(p);
}

static inline int board_layout(struct board_ctx *b, const struct p2p_shape *shape)
{
	return soft_board_layout(b, shape);
}

static inline void board_layout_drop(struct board_ctx *b)
{
	soft_board_layout_drop(b);
}

static inline void *board_segment(struct board_ctx *b, unsigned int seg)
{
	return soft_board_segment(b, seg);
}

static inline void *board_state(struct board_ctx *b, size_t bytes)
{
	return soft_board_state(b, bytes);
}

#define BOARD_SHARED 1

static inline void *board_shared(struct board_ctx *b, size_t bytes)
{
	return soft_board_shared(b, bytes);
}

static inline int board_ports_start(struct board_ctx *b)
{
	return soft_board_ports_start(b);
}

static inline void board_ports_stop(struct board_ctx *b)
{
	soft_board_ports_stop(b);
}

#define BOARD_CUT 1

static inline int board_place(struct board_ctx *b, unsigned int port, struct board_win *w, uint64_t bytes, uint8_t **base)
{
	return soft_board_place(b, port, w, bytes, base);
}

static inline int board_port_restart(struct board_ctx *b, unsigned int port)
{
	return soft_board_port_restart(b, port);
}

#endif
