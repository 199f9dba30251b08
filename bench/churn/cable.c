/* SPDX-License-Identifier: BSD-3-Clause */
/* A cable of the measurement: frames that come, and the judge of frames that leave.  All in the NICs' worker. */
#include "bench/churn/churn.h"
#include "boards/soft/clock.h"

#define FRAME_BYTES 60u
#define AT_MARK 42u /* destination, changes through, both 4 bytes */

uint8_t *churn_slot(struct churn_table *t, enum churn_kind kind, uint32_t index)
{
	switch (kind) {
	case CHURN_ROUTE:
		return &t->route[index];
	case CHURN_COVERING:
		return &t->cover[index];
	case CHURN_DEFAULT:
		return &t->def;
	default:
		return &t->way[index];
	}
}

static int cable_start(struct port *p, const struct port_memory *mem)
{
	struct churn_cable *k = (struct churn_cable *)p;

	k->done = 0;
	k->started = !port_buffers_init(&k->empty, mem->rx_bufs);
	return k->started ? 0 : -ENOMEM;
}

static void cable_stop(struct port *p)
{
	struct churn_cable *k = (struct churn_cable *)p;

	k->started = false;
	port_buffers_free(&k->empty);
}

static void cable_close(struct port *p)
{
}

static unsigned int cable_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	return port_buffers_post(&((struct churn_cable *)p)->empty, segs, n);
}

static void frame_make(uint8_t *f, unsigned int nic, uint32_t dest, uint32_t through)
{
	static const uint8_t begin[AT_MARK] = {
		0x02, 0x50, 0x32, 0xff, 0, 0, 0x02, 0x50, 0x32, 0xee, 0, 0, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 9, 10, 0, 0, 1, 0, 9, 0, 9, 0, 26, 0, 0,
	};
	const uint32_t constant = 0x4500 + 46 + (64 << 8 | 17) + 0xc000 + 0x0209; /* of the header's words, but the destination */
	uint32_t sum = constant + (10u << 8 | dest >> 8) + ((dest & 255) << 8 | 1);

	memcpy(f, begin, sizeof(begin));
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[5] = (uint8_t)nic;
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
	f[31] = (uint8_t)(dest >> 8);
	f[32] = (uint8_t)dest;
	memcpy(f + AT_MARK, &dest, 4);
	memcpy(f + AT_MARK + 4, &through, 4);
	memset(f + AT_MARK + 8, 0, FRAME_BYTES - AT_MARK - 8);
}

static unsigned int cable_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct churn_cable *k = (struct churn_cable *)p;
	struct churn *c = k->c;
	uint32_t through, i, room;
	uint64_t begin;

	if (!k->started || !__atomic_load_n(&c->go, __ATOMIC_ACQUIRE))
		return 0;
	room = CHURN_WINDOW - c->under_way;
	n = n < room ? n : room;
	n = n < port_buffers_count(&k->empty) ? n : port_buffers_count(&k->empty);
	begin = soft_ticks();
	through = __atomic_load_n(&c->through, __ATOMIC_ACQUIRE);
	for (i = 0; i < n; i++) {
		segs[i] = *port_buffers_at(&k->empty, i);
		segs[i].len = FRAME_BYTES;
		segs[i].flags = 0;
		frame_make(segs[i].data, k->nic, (uint32_t)(p2p_random(&c->random) % CHURN_DESTS), through);
	}
	k->empty.cons += n;
	c->under_way += n;
	p2p_count(&c->own_ticks, soft_ticks() - begin);
	p2p_count(&c->sent, n);
	p2p_count(&p->stats.rx_frames, n);
	p2p_count(&p->stats.rx_bytes, n * FRAME_BYTES);
	return n;
}

/* ---- judging ---- */

static uint32_t way_of(const struct churn_table *t, uint32_t dest)
{
	uint32_t hop = t->route[dest];

	if (!hop)
		hop = t->cover[dest / CHURN_COVER];
	return t->way[hop ? hop : t->def];
}

/* Backwards through the tables from now to the one that the frame met.  The table is put back. */
static bool way_was(struct churn *c, uint32_t dest, uint32_t way, uint32_t since)
{
	struct churn_change *g;
	bool found = false;
	uint32_t k;

	for (k = c->judged; k != since && !found;) {
		g = &c->log[--k % CHURN_LOG];
		*churn_slot(&c->judge, g->kind, g->index) = g->was;
		found = way_of(&c->judge, dest) == way;
	}
	for (; k != c->judged; k++) {
		g = &c->log[k % CHURN_LOG];
		*churn_slot(&c->judge, g->kind, g->index) = g->to;
	}
	return found;
}

static void judge_now(struct churn *c)
{
	uint32_t begun = __atomic_load_n(&c->begun, __ATOMIC_ACQUIRE), k;

	for (k = c->judged; k != begun; k++) {
		const struct churn_change *g = &c->log[k % CHURN_LOG];

		*churn_slot(&c->judge, g->kind, g->index) = g->to;
	}
	__atomic_store_n(&c->judged, begun, __ATOMIC_RELEASE);
}

static void judge(struct churn_cable *k, const struct p2p_seg *s)
{
	struct churn *c = k->c;
	uint32_t dest, since, way = s->data[5];

	memcpy(&dest, s->data + AT_MARK, 4);
	memcpy(&since, s->data + AT_MARK + 4, 4);
	if (s->len != FRAME_BYTES || dest >= CHURN_DESTS || s->data[31] != dest >> 8 || s->data[32] != (uint8_t)dest ||
	    c->judged - since > CHURN_LOG / 2)
		p2p_count(&c->damaged, 1);
	else if (way % CHURN_NICS != k->nic || (way_of(&c->judge, dest) != way && !way_was(c, dest, way, since)))
		p2p_count(&c->misrouted, 1);
}

static unsigned int cable_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct churn_cable *k = (struct churn_cable *)p;
	uint64_t begin = soft_ticks();
	unsigned int i;

	if (!k->started)
		return 0;
	judge_now(k->c);
	for (i = 0; i < n; i++)
		judge(k, &segs[i]);
	p2p_count(&k->c->own_ticks, soft_ticks() - begin);
	k->done += n;
	k->c->under_way -= n;
	p2p_count(&k->c->received, n);
	p2p_count(&p->stats.tx_frames, n);
	p2p_count(&p->stats.tx_bytes, n * FRAME_BYTES);
	return n;
}

static unsigned int cable_tx_done(struct port *p)
{
	struct churn_cable *k = (struct churn_cable *)p;
	unsigned int n = k->done;

	k->done = 0;
	return n;
}

static void cable_control(struct port *p, uint64_t now_ns)
{
}

static unsigned int cable_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	*gen = 0;
	return 0;
}

static bool cable_link_up(struct port *p)
{
	return ((struct churn_cable *)p)->started;
}

const struct port_ops churn_cable_ops = {
	.scheme = "churn", .help = "", .start = cable_start, .stop = cable_stop, .close = cable_close,
	.rx_burst = cable_rx_burst, .rx_post = cable_rx_post, .tx_burst = cable_tx_burst, .tx_done = cable_tx_done,
	.control = cable_control, .fds = cable_fds, .link_up = cable_link_up,
};
