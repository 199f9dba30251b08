/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's rings without a copy; the checks are those of memif_server.c. */
#include "ports/memif.h"
#include "ports/memif_int.h"
#include "ports/schemes.h"

/*
 * The region that the descriptors before lay in, kept at hand: mostly it is
 * the next one's too.  Checks as memif_server_data().
 */
struct inplace_region {
	uint8_t *base;
	uint64_t size;
	uint32_t index; /* UINT32_MAX: none yet */
};

static inline uint8_t *inplace_data(const struct memif_port *m, struct inplace_region *at, const struct memif_desc *d)
{
	if (p2p_unlikely(d->region != at->index)) {
		if (d->region >= m->nregions)
			return NULL;
		*at = (struct inplace_region){ .base = m->region[d->region].base, .size = m->region[d->region].size,
						.index = d->region };
	}
	return memif_within(at->base, at->size, d);
}

static inline const struct memif_port *inplace_of(const struct port *p)
{
	return (const struct memif_port *)p;
}

bool port_memif_server(const struct port *p)
{
	return p->ops->rx_post == port_memif_ops.rx_post && inplace_of(p)->server;
}

void port_memif_queues(const struct port *p, unsigned int *rx, unsigned int *tx)
{
	const struct memif_port *m = inplace_of(p);

	*rx = m->tx_on ? m->nrx : 0;
	*tx = m->tx_on ? m->ntx : 0;
}

unsigned int port_memif_ring_size(const struct port *p)
{
	return inplace_of(p)->tx_on ? inplace_of(p)->tx[0].size : 0;
}

const char *port_memif_reason(const struct port *p)
{
	return inplace_of(p)->reason;
}

unsigned int port_memif_posted(const struct port *p, unsigned int queue)
{
	const struct memif_port *m = inplace_of(p);
	const struct memif_queue *q = &m->tx[queue];

	return m->tx_on && queue < m->ntx ? (uint16_t)(memif_index_load(&q->ring->head) - q->tail) : 0;
}

unsigned int port_memif_filled(const struct port *p, unsigned int queue)
{
	const struct memif_port *m = inplace_of(p);
	const struct memif_queue *q = &m->rx[queue];

	return m->rx_on && queue < m->nrx ? (uint16_t)(memif_index_load(&q->ring->head) - q->tail) : 0;
}

/* At most n of the descriptors that the client has put there; a head that can't be breaks the connection, and there are none. */
static inline unsigned int inplace_most(struct memif_port *m, const struct memif_queue *q, unsigned int n, const char *wrong)
{
	const unsigned int avail = (uint16_t)(memif_index_load(&q->ring->head) - q->tail);

	if (p2p_unlikely(avail > q->size)) {
		memif_violation(m, wrong);
		return 0;
	}
	return n < avail ? n : avail;
}

unsigned int port_memif_reserve(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	const struct memif_queue *q = &m->tx[queue];
	struct inplace_region at = { .index = UINT32_MAX };
	const struct memif_desc *desc;
	unsigned int i, mask;
	uint16_t tail;

	if (p2p_unlikely(!m->tx_on || queue >= m->ntx))
		return 0;
	n = inplace_most(m, q, n, "S2C head too far ahead");
	desc = q->ring->desc;
	mask = q->mask;
	tail = q->tail;
	for (i = 0; i < n; i++) {
		const struct memif_desc d = memif_desc_load(&desc[(tail + i) & mask]);
		uint8_t *data = inplace_data(m, &at, &d);

		if (p2p_unlikely(!data || !d.length)) {
			/* What lies before it is good and may still be used. */
			if (!i)
				memif_violation(m, "S2C buffer empty or outside its region");
			return i;
		}
		segs[i].data = data;
		segs[i].len = d.length;
		segs[i].region = d.region;
		segs[i].flags = 0;
	}
	return n;
}

bool port_memif_commit(struct port *p, unsigned int queue, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	struct memif_queue *q = &m->tx[queue];
	uint64_t frames = 0, bytes = 0;
	struct memif_desc *desc;
	unsigned int mask;
	uint16_t tail;

	if (p2p_unlikely(!m->tx_on || queue >= m->ntx))
		return false;
	if (p2p_unlikely(memif_server_hit(m))) {
		memif_violation(m, "the far end cut its memory short");
		return false;
	}
	desc = q->ring->desc;
	mask = q->mask;
	tail = q->tail;
	for (unsigned int i = 0; i < n; i++) {
		const unsigned int more = segs[i].flags & P2P_SEG_MORE;
		const struct memif_desc d = { .flags = more ? MEMIF_DESC_NEXT : 0, .region = segs[i].region,
					      .length = segs[i].len };

		/* One store for both fields that are the server's; the region is as it was. */
		__atomic_store_n(&desc[(tail + i) & mask].word[0], d.word[0], __ATOMIC_RELAXED);
		frames += !more;
		bytes += segs[i].len;
	}
	q->tail = (uint16_t)(tail + n);
	memif_index_store(&q->ring->tail, q->tail);
	p2p_count(&m->port.stats.tx_frames, frames);
	p2p_count(&m->port.stats.tx_bytes, bytes);
	memif_queue_notify(q);
	return true;
}

unsigned int port_memif_peek(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n, bool *alike)
{
	struct memif_port *m = memif_of(p);
	const struct memif_queue *q = &m->rx[queue];
	struct inplace_region at = { .index = UINT32_MAX };
	unsigned int whole = 0, i, mask;
	uint32_t first = 0, differ = 0;
	const struct memif_desc *desc;
	uint16_t tail;

	if (p2p_unlikely(!m->rx_on || queue >= m->nrx))
		return 0;
	n = inplace_most(m, q, n, "C2S head too far ahead");
	desc = q->ring->desc;
	mask = q->mask;
	tail = q->tail;
	for (i = 0; i < n; i++) {
		const struct memif_desc d = memif_desc_load(&desc[(tail + i) & mask]);
		uint8_t *data = inplace_data(m, &at, &d);
		const uint16_t more = d.flags & MEMIF_DESC_NEXT;

		if (p2p_unlikely(!data)) {
			if (!whole)
				memif_violation(m, "C2S descriptor outside its region");
			*alike = false;
			return whole;
		}
		segs[i].data = data;
		segs[i].len = d.length;
		segs[i].region = d.region;
		segs[i].flags = more ? P2P_SEG_MORE : 0;
		first = i ? first : d.length;
		differ |= (d.length ^ first) | more;
		if (p2p_likely(!more))
			whole = i + 1;
	}
	*alike = !differ;
	if (p2p_unlikely(n && !whole && (n >= P2P_MAX_SEGS || n == q->size)))
		memif_violation(m, "C2S frame of too many buffers");
	return whole;
}

bool port_memif_release(struct port *p, unsigned int queue, unsigned int n, unsigned int frames, uint64_t bytes)
{
	struct memif_port *m = memif_of(p);
	struct memif_queue *q = &m->rx[queue];

	if (p2p_unlikely(!m->rx_on || queue >= m->nrx))
		return false;
	if (p2p_unlikely(memif_server_hit(m))) {
		memif_violation(m, "the far end cut its memory short");
		return false;
	}
	q->tail = (uint16_t)(q->tail + n);
	memif_index_store(&q->ring->tail, q->tail);
	p2p_count(&m->port.stats.rx_frames, frames);
	p2p_count(&m->port.stats.rx_bytes, bytes);
	return true;
}
