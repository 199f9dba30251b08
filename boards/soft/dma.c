/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation, and whatever DMA is not one copy within host memory. */
#include "internal.h"

/* Bus addresses that the window may touch: [bus, bus + result). */
static uint64_t win_bytes(const struct board_win *w)
{
	uint64_t most = UINT64_MAX - w->bus;

	return w->bytes < most ? w->bytes : most;
}

static void win_cache(struct board_ctx *b, struct board_win *w, uint64_t lo, uint64_t span, uint8_t *host, uint32_t prot)
{
	w->lo = lo;
	w->host = host;
	w->span_read = prot & P2P_DMA_READ ? span : 0;
	w->span_write = prot & P2P_DMA_WRITE ? span : 0;
	w->gen = b->gen;
}

static void resolve_local(struct board_ctx *b, struct board_win *w)
{
	uint64_t at = w->bus & ~P2P_BUS_LOCAL, bytes = win_bytes(w);

	if (!b->mem || at >= b->mem_used)
		return;
	if (bytes > b->mem_used - at)
		bytes = b->mem_used - at;
	win_cache(b, w, 0, bytes, b->mem + at, P2P_DMA_READ | P2P_DMA_WRITE);
}

static bool maps_join(const struct soft_map *a, const struct soft_map *c)
{
	return a->iova + a->bytes == c->iova && soft_map_prot(a) == soft_map_prot(c) && a->host && c->host &&
	       a->host + a->bytes == c->host;
}

/* Remembers as much of the window around `bus` as is one piece of host memory. */
static void resolve_mapped(struct board_ctx *b, struct board_win *w, uint64_t bus)
{
	const struct soft_iommu *m = &b->nic->iommu;
	const struct soft_map *e = soft_iommu_find(m, bus), *first = e, *last = e;
	uint64_t lo, hi, end = w->bus + win_bytes(w);

	if (!e || !e->host)
		return;
	while (last + 1 < m->map + m->n && last->iova + last->bytes < end && maps_join(last, last + 1))
		last++;
	while (first > m->map && first->iova > w->bus && maps_join(first - 1, first))
		first--;
	lo = first->iova > w->bus ? first->iova : w->bus;
	hi = last->iova + last->bytes < end ? last->iova + last->bytes : end;
	win_cache(b, w, lo - w->bus, hi - lo, first->host + (lo - first->iova), soft_map_prot(e));
}

/* Where off is, remembered; NULL: not reachable as one piece of host memory. */
static uint8_t *win_resolve(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t len, bool write)
{
	uint64_t rel, span;

	w->gen = 0;
	if (off >= win_bytes(w))
		return NULL;
	if (w->bus & P2P_BUS_LOCAL)
		resolve_local(b, w);
	else if (b->nic->bus_master)
		resolve_mapped(b, w, w->bus + off);
	if (w->gen == 0)
		return NULL;
	rel = off - w->lo;
	span = write ? w->span_write : w->span_read;
	return rel <= span && len <= span - rel ? w->host + rel : NULL;
}

uint8_t *soft_win_resolve(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t len, bool write)
{
	if (p2p_unlikely(soft_fault_for(b, w))) {
		w->gen = 0;
		return NULL;
	}
	return win_resolve(b, w, off, len, write);
}

/*
 * The piece of [off, off + len) that begins at off and lies in one place:
 * host memory (*host), or, reached by message, *host NULL.  Returns its length, 0: fault.
 */
static uint32_t dma_piece(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t len, bool write, uint8_t **host)
{
	const struct soft_map *e;
	uint64_t rel, span;
	uint32_t need = write ? P2P_DMA_WRITE : P2P_DMA_READ;

	*host = win_resolve(b, w, off, 1, write);
	if (*host) {
		if (soft_fault_for(b, w))
			w->gen = 0;
		rel = off - w->lo;
		span = (write ? w->span_write : w->span_read) - rel;
		return len < span ? len : span;
	}
	if (w->bus & P2P_BUS_LOCAL || !b->nic->bus_master || !b->nic->msg || off >= win_bytes(w))
		return 0;
	e = soft_iommu_find(&b->nic->iommu, w->bus + off);
	if (e ? e->host || !(soft_map_prot(e) & need) : !b->nic->msg->beyond_maps || b->nic->queues > 1)
		return 0;
	span = e ? e->bytes - (w->bus + off - e->iova) : soft_iommu_gap(&b->nic->iommu, w->bus + off);
	if (span > win_bytes(w) - off)
		span = win_bytes(w) - off;
	return len < span ? len : span;
}

/* What others poll becomes visible word by word, the last one last. */
static void publish(uint8_t *dst, const uint8_t *src, uint32_t len, enum board_kind kind)
{
	le32 word;

	if (kind == BOARD_KIND_PAYLOAD || ((uintptr_t)dst | len) & 3) {
		memcpy(dst, src, len);
		return;
	}
	for (uint32_t at = 0; at < len; at += 4) {
		memcpy(&word, src + at, sizeof(word));
		le32_store_release((le32 *)(dst + at), from_le32(word));
	}
}

/*
 * Out of a copy: where a page of device memory is gone (memory.h) a system call would fail in the middle of a message,
 * while a copy is carried on with zeroes.
 */
static bool message_write(const struct soft_nic *nic, uint64_t bus, const uint8_t *src, uint32_t len)
{
	uint8_t copy[P2P_MAX_FRAME];

	for (uint32_t n; len; bus += n, src += n, len -= n) {
		n = len < sizeof(copy) ? len : sizeof(copy);
		memcpy(copy, src, n);
		if (nic->msg->write(nic->msg_opaque, bus, copy, n) != 0)
			return false;
	}
	return true;
}

bool soft_dma_carry_write(struct board_ctx *b, struct board_win *w, uint64_t off, const uint8_t *src, uint32_t len,
			  enum board_kind kind)
{
	while (len) {
		uint8_t *host;
		uint32_t n = dma_piece(b, w, off, len, true, &host);

		if (n && host)
			publish(host, src, n, kind);
		else if (!n || !message_write(b->nic, w->bus + off, src, n))
			return false;
		off += n;
		src += n;
		len -= n;
	}
	return true;
}

void soft_dma_write(struct board_ctx *b, struct board_win *w, uint64_t off, const void *src, uint32_t len, uint32_t what)
{
	enum board_kind kind = (enum board_kind)(what & 0xff);
	bool ok = soft_fault_for(b, w) ? soft_fault_write(b, w, off, src, len, kind, what >> 8) :
					 soft_dma_carry_write(b, w, off, src, len, kind);

	if (!ok)
		p2p_count(&b->faults, 1);
}

bool soft_dma_carry_read(struct board_ctx *b, struct board_win *w, uint64_t off, uint8_t *dst, uint32_t len,
			 enum board_kind kind)
{
	while (len) {
		uint8_t *host;
		uint32_t n = dma_piece(b, w, off, len, false, &host);

		if (n && host && kind != BOARD_KIND_PAYLOAD && !(((uintptr_t)host | n) & 7))
			soft_load_published(dst, host, n);
		else if (n && host)
			memcpy(dst, host, n);
		else if (!n || b->nic->msg->read(b->nic->msg_opaque, w->bus + off, dst, n) != 0)
			break;
		off += n;
		dst += n;
		len -= n;
	}
	if (len)
		memset(dst, 0xff, len);
	return !len;
}

void soft_dma_read(struct board_ctx *b, struct board_win *w, uint64_t off, void *dst, uint32_t len, enum board_kind kind)
{
	bool ok = soft_fault_for(b, w) ? soft_fault_read(b, w, off, dst, len, kind) :
					 soft_dma_carry_read(b, w, off, dst, len, kind);

	if (!ok)
		p2p_count(&b->faults, 1);
}

uint32_t soft_copy_board(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride)
{
	return soft_copy_sum(dst, src, len, moved, h, stride);
}
