/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's rings without a copy; the checks are those of memif_server.c. */
#include "ports/memif.h"
#include "ports/memif_int.h"
#include "ports/schemes.h"

static inline const struct memif_port *inplace_of(const struct port *p)
{
	return (const struct memif_port *)p;
}

bool port_memif_server(const struct port *p)
{
	return p->ops == &port_memif_ops && inplace_of(p)->server;
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

unsigned int port_memif_reserve(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	const struct memif_queue *q = &m->tx[queue];
	const struct memif_desc *desc;
	unsigned int avail, i;

	if (p2p_unlikely(!m->tx_on || queue >= m->ntx))
		return 0;
	avail = (uint16_t)(memif_index_load(&q->ring->head) - q->tail);
	if (p2p_unlikely(avail > q->size)) {
		memif_violation(m, "S2C head too far ahead");
		return 0;
	}
	if (n > avail)
		n = avail;
	desc = q->ring->desc;
	for (i = 0; i < n; i++) {
		const struct memif_desc d = memif_desc_load(&desc[(uint16_t)(q->tail + i) & q->mask]);
		uint8_t *data = memif_server_data(m, &d);

		if (p2p_unlikely(!data || !d.length)) {
			/* What lies before it is good and may still be used. */
			if (!i)
				memif_violation(m, "S2C buffer empty or outside its region");
			return i;
		}
		segs[i] = (struct p2p_seg){ .data = data, .len = d.length, .region = d.region };
	}
	return n;
}

bool port_memif_commit(struct port *p, unsigned int queue, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	struct memif_queue *q = &m->tx[queue];
	struct memif_desc *desc;
	uint64_t frames = 0, bytes = 0;

	if (p2p_unlikely(!m->tx_on || queue >= m->ntx))
		return false;
	if (p2p_unlikely(memif_server_hit(m))) {
		memif_violation(m, "the far end cut its memory short");
		return false;
	}
	desc = q->ring->desc;
	for (unsigned int i = 0; i < n; i++) {
		const unsigned int more = segs[i].flags & P2P_SEG_MORE;

		memif_server_close_desc(&desc[(uint16_t)(q->tail + i) & q->mask], segs[i].len,
					more ? MEMIF_DESC_NEXT : 0);
		frames += !more;
		bytes += segs[i].len;
	}
	q->tail = (uint16_t)(q->tail + n);
	memif_index_store(&q->ring->tail, q->tail);
	p2p_count(&m->port.stats.tx_frames, frames);
	p2p_count(&m->port.stats.tx_bytes, bytes);
	memif_queue_notify(q);
	return true;
}

unsigned int port_memif_peek(struct port *p, unsigned int queue, struct p2p_seg *segs, unsigned int n)
{
	struct memif_port *m = memif_of(p);
	const struct memif_queue *q = &m->rx[queue];
	const struct memif_desc *desc;
	unsigned int avail, whole = 0, i;

	if (p2p_unlikely(!m->rx_on || queue >= m->nrx))
		return 0;
	avail = (uint16_t)(memif_index_load(&q->ring->head) - q->tail);
	if (p2p_unlikely(avail > q->size)) {
		memif_violation(m, "C2S head too far ahead");
		return 0;
	}
	if (n > avail)
		n = avail;
	desc = q->ring->desc;
	for (i = 0; i < n; i++) {
		const struct memif_desc d = memif_desc_load(&desc[(uint16_t)(q->tail + i) & q->mask]);
		uint8_t *data = memif_server_data(m, &d);
		const uint16_t more = d.flags & MEMIF_DESC_NEXT;

		if (p2p_unlikely(!data)) {
			if (!whole)
				memif_violation(m, "C2S descriptor outside its region");
			return whole;
		}
		segs[i] = (struct p2p_seg){ .data = data, .len = d.length, .region = d.region,
					     .flags = more ? P2P_SEG_MORE : 0 };
		if (p2p_likely(!more))
			whole = i + 1;
	}
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
