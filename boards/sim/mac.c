/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An Ethernet port in virtual time, with its source and sink.  Nothing here is an event: what has come in
 * on the wire is worked out when the NIC asks, when a frame leaves is known when
 * it is handed over.
 *
 *   wire -> [FIFO while no buffer is posted] -> posted buffer, `mac_rx` later
 *   handed over -> `mac_tx` later, when the wire is free -> wire
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ports/buffers.h>

#include "internal.h"

#define PREAMBLE 8u
#define PREAMBLE_AND_GAP 20u /* IEEE 802.3: 7 + 1 bytes before, 12 after */
#define FCS 4u
#define SENT_MAX 4096u           /* frames handed over and not done */
#define TX_AHEAD_FS 2000000000ull /* wire time that may be handed over ahead: 2 us */
#define DONE_TOGETHER 8u         /* frames sent are worth waking the NIC for so many at a time, */
#define DONE_WITHIN_PS 1000000ull /* or when the first of them has waited so long */
#define SAMPLES_MAX (1u << 20)
#define FLOWS_MAX (1u << 20)
#define RECENT 8u
#define AHEAD 2u                 /* the buffer after next is written soon */

struct arrival {
	uint64_t at_ps, seq;
	uint32_t flow;
	uint16_t id, len; /* without FCS */
};

struct sent {
	uint64_t end_ps;
	uint32_t segs;
};

/* What has left of one flow of one source. */
struct flow {
	uint64_t next;           /* one past the highest sequence number */
	uint64_t recent[RECENT]; /* sequence numbers + 1 */
	uint32_t at;
};

struct sender {
	uint16_t id;
	uint32_t flows;
	struct flow *flow;
};

struct sim_mac {
	struct port port; /* first */
	struct fab_queue *q;
	sim_time_fn *time_ps;
	const void *time_arg;
	void (*wake)(void *arg); /* NULL: nobody */
	void *wake_arg;
	uint64_t byte_fs, rx_ps, tx_ps;
	uint32_t fifo_bytes;
	bool started;

	/* in */
	struct sim_source src;
	uint8_t addr[12];
	bool sending;
	uint64_t interval_fs, next_fs; /* next_fs: when the next frame wants to begin */
	uint64_t wire_fs;              /* when the wire is free for it */
	uint64_t random, seq, left;
	uint64_t next_ps;              /* its last bit; FAB_NEVER */
	struct arrival *in;            /* accepted, oldest first */
	uint32_t in_head, in_tail, in_mask;
	struct port_buffers posted;
	uint32_t buf_size;
	uint64_t offered, missed;

	/* out */
	struct sent sent[SENT_MAX];
	uint32_t sent_head, sent_tail;
	uint64_t free_fs;   /* when the wire is */
	uint64_t refused_ps; /* worth trying again then; FAB_NEVER */
	uint8_t *whole;     /* a frame of several segments, put together */
	struct sender *sender;
	uint32_t senders, last_sender;
	struct sim_sink_stats sink;
	uint32_t *sample, samples, samples_room;
	uint64_t sample_seen, sample_every;
};

static struct sim_mac *mac_of(const struct port *p)
{
	return (struct sim_mac *)(uintptr_t)p;
}

/* ---- what comes in ---- */

/* When the next frame's last bit is in. */
static void mac_next(struct sim_mac *m)
{
	uint64_t from_fs;

	m->next_ps = FAB_NEVER;
	if (!m->sending || !m->left)
		return;
	from_fs = m->next_fs > m->wire_fs ? m->next_fs : m->wire_fs;
	if (m->src.stop_ps <= from_fs / SIM_FS_PER_PS)
		return;
	m->wire_fs = from_fs + (m->src.frame_bytes + PREAMBLE_AND_GAP) * m->byte_fs;
	m->next_ps = (from_fs + (m->src.frame_bytes + PREAMBLE) * m->byte_fs) / SIM_FS_PER_PS;
	if (m->src.arrival == SIM_ARRIVE_POISSON) {
		double u = (double)((p2p_random(&m->random) >> 11) + 1) * 0x1p-53;

		m->next_fs += (uint64_t)(-log(u) * (double)m->interval_fs);
	} else {
		m->next_fs += m->interval_fs;
	}
}

static uint32_t mac_flow(const struct sim_mac *m)
{
	return m->src.flows > 1 ? (uint32_t)(m->seq % m->src.flows) : 0;
}

static bool mac_in_grow(struct sim_mac *m)
{
	uint32_t size = m->in_mask + 1, k;
	struct arrival *in = malloc(2ul * size * sizeof(*in));

	if (!in)
		return false;
	for (k = 0; k < size; k++)
		in[k] = m->in[(m->in_tail + k) & m->in_mask];
	free(m->in);
	m->in = in;
	m->in_tail = 0;
	m->in_head = size;
	m->in_mask = 2 * size - 1;
	return true;
}

/* How many frames there is room for, in posted buffers and FIFO. */
static uint64_t mac_room(const struct sim_mac *m)
{
	uint32_t len = m->src.frame_bytes - FCS, need;

	if (!m->started)
		return 0;
	need = len <= m->buf_size ? 1 : (len + m->buf_size - 1) / m->buf_size;
	return port_buffers_count(&m->posted) / need + m->fifo_bytes / m->src.frame_bytes;
}

/* Everything that came in until now finds its place, or none. */
static void mac_arrive(struct sim_mac *m)
{
	uint64_t now_ps = fab_now(m->q), room;

	if (p2p_likely(m->next_ps > now_ps))
		return;
	room = mac_room(m);
	while (m->next_ps <= now_ps) {
		m->offered++;
		m->left--;
		if (m->in_head - m->in_tail < room && (m->in_head - m->in_tail <= m->in_mask || mac_in_grow(m))) {
			m->in[m->in_head++ & m->in_mask] = (struct arrival){
				.at_ps = m->next_ps, .seq = m->seq, .flow = mac_flow(m), .id = m->src.id,
				.len = (uint16_t)(m->src.frame_bytes - FCS) };
		} else {
			m->missed++;
		}
		m->seq++;
		mac_next(m);
	}
}

/* Writes the frame into the oldest buffers; returns how many, 0: there is no room. */
static unsigned int mac_deliver(struct sim_mac *m, const struct arrival *a, struct p2p_seg *segs, unsigned int n)
{
	struct sim_frame f = { .id = a->id, .flow = a->flow, .len = a->len, .seq = a->seq, .stamp_ps = a->at_ps,
			       .net = m->src.net };
	unsigned int need = port_buffers_needed(&m->posted, a->len, n), k;
	uint8_t *data = m->whole;

	if (!need)
		return 0;
	if (p2p_likely(need == 1))
		data = port_buffers_at(&m->posted, 0)->data;
	if (port_buffers_count(&m->posted) > AHEAD)
		__builtin_prefetch(port_buffers_at(&m->posted, AHEAD)->data, 1);
	sim_frame_make(data, m->addr, &f);
	port_buffers_take(&m->posted, segs, a->len);
	for (k = 0; k < need && need > 1; data += segs[k++].len)
		memcpy(segs[k].data, data, segs[k].len);
	return need;
}

static unsigned int mac_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct sim_mac *m = mac_of(p);
	uint64_t now_ps = fab_now(m->q);
	unsigned int got = 0, k;
	struct arrival *a;

	mac_arrive(m);
	while (m->in_tail != m->in_head) {
		a = &m->in[m->in_tail & m->in_mask];
		if (a->at_ps + m->rx_ps > now_ps)
			break;
		k = mac_deliver(m, a, segs + got, n - got);
		if (!k)
			break;
		got += k;
		m->in_tail++;
		p2p_count(&p->stats.rx_frames, 1);
		p2p_count(&p->stats.rx_bytes, a->len);
	}
	return got;
}

static unsigned int mac_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct sim_mac *m = mac_of(p);

	mac_arrive(m); /* what came before these buffers did not find them */
	return port_buffers_post(&m->posted, segs, n);
}

/* ---- what leaves ---- */

static void sample_add(struct sim_mac *m, uint64_t ns)
{
	uint32_t room, k, *more;

	if (m->sample_seen++ % m->sample_every)
		return;
	if (m->samples == m->samples_room && m->samples_room < SAMPLES_MAX) {
		room = m->samples_room ? 2 * m->samples_room : 1024;
		more = realloc(m->sample, room * sizeof(*more));
		if (more) {
			m->sample = more;
			m->samples_room = room;
		}
	}
	if (m->samples == m->samples_room) { /* full: every second goes, and of those to come */
		for (k = 0; 2 * k < m->samples; k++)
			m->sample[k] = m->sample[2 * k];
		m->samples = k;
		m->sample_every *= 2;
		if (m->samples == m->samples_room || (m->sample_seen - 1) % m->sample_every)
			return;
	}
	m->sample[m->samples++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static struct sender *sender_find(struct sim_mac *m, uint16_t id)
{
	struct sender *more;
	uint32_t k;

	if (p2p_likely(m->last_sender < m->senders && m->sender[m->last_sender].id == id))
		return &m->sender[m->last_sender];
	for (k = 0; k < m->senders && m->sender[k].id != id; k++)
		;
	if (k == m->senders) {
		more = realloc(m->sender, (k + 1) * sizeof(*more));
		if (!more)
			return NULL;
		m->sender = more;
		m->sender[m->senders++] = (struct sender){ .id = id };
	}
	m->last_sender = k;
	return &m->sender[k];
}

static struct flow *flow_find(struct sim_mac *m, uint16_t id, uint32_t flow)
{
	struct sender *s = sender_find(m, id);
	struct flow *more;
	uint32_t room;

	if (!s || flow >= FLOWS_MAX)
		return NULL;
	if (p2p_unlikely(flow >= s->flows)) {
		for (room = s->flows ? s->flows : 1; room <= flow; room *= 2)
			;
		more = realloc(s->flow, room * sizeof(*more));
		if (!more)
			return NULL;
		memset(more + s->flows, 0, (room - s->flows) * sizeof(*more));
		s->flow = more;
		s->flows = room;
	}
	return &s->flow[flow];
}

static void sink_frame(struct sim_mac *m, const uint8_t *data, uint32_t len, uint64_t end_ps)
{
	struct sim_sink_stats *s = &m->sink;
	struct sim_frame f;
	struct flow *w;
	unsigned int k;

	s->frames++;
	s->bytes += len + FCS;
	if (s->frames == 1)
		s->first_ps = end_ps;
	s->last_ps = end_ps;
	w = sim_frame_check(data, len, &f) ? flow_find(m, f.id, f.flow) : NULL;
	if (!w) {
		s->corrupted++;
		return;
	}
	if (p2p_likely(f.seq >= w->next)) {
		w->next = f.seq + 1;
	} else {
		for (k = 0; k < RECENT && w->recent[k] != f.seq + 1; k++)
			;
		if (k < RECENT)
			s->duplicated++;
		else
			s->reordered++;
	}
	w->recent[w->at++ % RECENT] = f.seq + 1;
	sample_add(m, (end_ps - f.stamp_ps + 500) / 1000);
}

/* One frame onto the wire, not before from_fs. */
static void mac_send(struct sim_mac *m, const struct p2p_seg *segs, unsigned int n, uint64_t from_fs)
{
	const uint8_t *data = segs[0].data;
	uint32_t len = segs[0].len, wire;
	uint64_t end_ps;
	unsigned int k;

	if (p2p_unlikely(n > 1)) {
		data = m->whole;
		for (k = 0, len = 0; k < n && len + segs[k].len <= SIM_FRAME_MAX; len += segs[k++].len)
			memcpy(m->whole + len, segs[k].data, segs[k].len);
	}
	wire = (len < SIM_FRAME_MIN ? SIM_FRAME_MIN : len) + FCS;
	if (from_fs < m->free_fs)
		from_fs = m->free_fs;
	m->free_fs = from_fs + (wire + PREAMBLE_AND_GAP) * m->byte_fs;
	end_ps = (from_fs + (wire + PREAMBLE) * m->byte_fs) / SIM_FS_PER_PS;
	m->sink.wire_ps += (wire + PREAMBLE_AND_GAP) * m->byte_fs / SIM_FS_PER_PS;
	m->sent[m->sent_head++ % SENT_MAX] = (struct sent){ end_ps, n };
	sink_frame(m, data, len, end_ps);
	p2p_count(&m->port.stats.tx_frames, 1);
	p2p_count(&m->port.stats.tx_bytes, len);
}

static unsigned int mac_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct sim_mac *m = mac_of(p);
	uint64_t at_fs = (m->time_ps(m->time_arg) + m->tx_ps) * SIM_FS_PER_PS, ahead_fs;
	unsigned int taken = 0, k;

	m->refused_ps = FAB_NEVER;
	if (!m->started)
		return 0;
	while (taken < n) {
		for (k = 1; taken + k < n && (segs[taken + k - 1].flags & P2P_SEG_MORE); k++)
			;
		ahead_fs = m->free_fs > at_fs ? m->free_fs - at_fs : 0;
		if (ahead_fs > TX_AHEAD_FS || m->sent_head - m->sent_tail == SENT_MAX) {
			m->refused_ps = fab_now(m->q);
			if (ahead_fs > TX_AHEAD_FS)
				m->refused_ps += (ahead_fs - TX_AHEAD_FS) / SIM_FS_PER_PS + 1;
			else
				m->refused_ps = m->sent[m->sent_tail % SENT_MAX].end_ps;
			break;
		}
		mac_send(m, segs + taken, k, at_fs);
		taken += k;
	}
	return taken;
}

static unsigned int mac_tx_done(struct port *p)
{
	struct sim_mac *m = mac_of(p);
	uint64_t now_ps = fab_now(m->q);
	unsigned int segs = 0;

	while (m->sent_tail != m->sent_head && m->sent[m->sent_tail % SENT_MAX].end_ps <= now_ps)
		segs += m->sent[m->sent_tail++ % SENT_MAX].segs;
	return segs;
}

/* ---- a port ---- */

static uint64_t mac_next_sent(const struct sim_mac *m)
{
	uint32_t k = m->sent_tail + 1, left = m->sent_head - m->sent_tail;
	uint64_t first_ps, at_ps;

	if (!left)
		return FAB_NEVER;
	first_ps = at_ps = m->sent[m->sent_tail % SENT_MAX].end_ps;
	for (; k != m->sent_head && k - m->sent_tail < DONE_TOGETHER; k++) {
		if (m->sent[k % SENT_MAX].end_ps - first_ps > DONE_WITHIN_PS)
			break;
		at_ps = m->sent[k % SENT_MAX].end_ps;
	}
	return at_ps;
}

static uint64_t mac_next_event(struct port *p, uint64_t now_ns)
{
	struct sim_mac *m = mac_of(p);
	uint64_t at_ps = mac_next_sent(m), in_ps = FAB_NEVER;

	if (m->refused_ps < at_ps)
		at_ps = m->refused_ps;
	if (m->started && port_buffers_count(&m->posted)) {
		if (m->in_tail != m->in_head)
			in_ps = m->in[m->in_tail & m->in_mask].at_ps;
		else
			in_ps = m->next_ps;
		if (in_ps != FAB_NEVER && in_ps + m->rx_ps < at_ps)
			at_ps = in_ps + m->rx_ps;
	}
	return at_ps == FAB_NEVER ? UINT64_MAX : sim_ps_to_ns(at_ps + 999);
}

static int mac_start(struct port *p, const struct port_memory *mem)
{
	struct sim_mac *m = mac_of(p);

	mac_arrive(m);
	if (port_buffers_init(&m->posted, mem->rx_bufs))
		return -ENOMEM;
	m->buf_size = mem->buf_size;
	m->refused_ps = FAB_NEVER;
	m->started = true;
	return 0;
}

static void mac_stop(struct port *p)
{
	struct sim_mac *m = mac_of(p);
	uint64_t now_ps = fab_now(m->q);

	if (!m->started)
		return;
	mac_arrive(m);
	m->started = false;
	m->in_tail = m->in_head;
	m->sent_tail = m->sent_head; /* the wire has them */
	if (m->free_fs > now_ps * SIM_FS_PER_PS)
		m->free_fs = now_ps * SIM_FS_PER_PS;
	port_buffers_free(&m->posted);
}

static bool mac_link_up(struct port *p)
{
	return mac_of(p)->started;
}

static void mac_close(struct port *p)
{
	sim_mac_destroy(p);
}

static void mac_control(struct port *p, uint64_t now_ns)
{
}

static unsigned int mac_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	return 0;
}

static const struct port_ops mac_ops = {
	.scheme = "mac", .help = "a MAC of the sim board", .start = mac_start, .stop = mac_stop, .close = mac_close,
	.rx_burst = mac_rx_burst, .rx_post = mac_rx_post, .tx_burst = mac_tx_burst, .tx_done = mac_tx_done,
	.control = mac_control, .fds = mac_fds, .next_event = mac_next_event, .link_up = mac_link_up,
};

bool sim_port_is_mac(const struct port *p)
{
	return p->ops->rx_post == mac_ops.rx_post;
}

static uint64_t queue_time_ps(const void *q)
{
	return fab_now(q);
}

int sim_mac_create(struct sim_world *w, const struct sim_nic_profile *p, const char *name, struct port **out)
{
	struct sim_mac *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->port.ops = &mac_ops;
	snprintf(m->port.name, sizeof(m->port.name), "%s", name);
	m->q = sim_world_queue(w);
	m->time_ps = queue_time_ps;
	m->time_arg = m->q;
	m->byte_fs = p->mac_gbps > 0 ? (uint64_t)(8e6 / p->mac_gbps + 0.5) : 0;
	m->rx_ps = sim_ps(p->mac_rx);
	m->tx_ps = sim_ps(p->mac_tx);
	m->fifo_bytes = (uint32_t)p->mac_fifo;
	m->next_ps = m->refused_ps = FAB_NEVER;
	m->src.frame_bytes = SIM_FRAME_MIN + FCS;
	m->src.flows = 1;
	m->sample_every = 1;
	m->in_mask = 1023;
	m->in = malloc((m->in_mask + 1) * sizeof(*m->in));
	m->whole = malloc(SIM_FRAME_MAX);
	if (!m->in || !m->whole) {
		sim_mac_destroy(&m->port);
		return -ENOMEM;
	}
	*out = &m->port;
	return 0;
}

void sim_mac_destroy(struct port *mac)
{
	struct sim_mac *m = mac_of(mac);
	uint32_t k;

	if (!mac)
		return;
	for (k = 0; k < m->senders; k++)
		free(m->sender[k].flow);
	free(m->sender);
	free(m->sample);
	port_buffers_free(&m->posted);
	free(m->whole);
	free(m->in);
	free(m);
}

void sim_mac_attach(struct port *mac, sim_time_fn *time_ps, const void *arg)
{
	struct sim_mac *m = mac_of(mac);

	m->time_ps = time_ps;
	m->time_arg = arg;
}

void sim_mac_waker(struct port *mac, void (*wake)(void *arg), void *arg)
{
	struct sim_mac *m = mac_of(mac);

	m->wake = wake;
	m->wake_arg = arg;
}

void sim_mac_source(struct port *mac, const struct sim_source *s)
{
	struct sim_mac *m = mac_of(mac);
	double byte_fs = s->gbps > 0 ? 8e6 / s->gbps : 0;
	uint64_t now_ps = fab_now(m->q), from_ps = s->start_ps > now_ps ? s->start_ps : now_ps;

	mac_arrive(m);
	m->src = *s;
	if (!m->src.flows)
		m->src.flows = 1;
	memcpy(m->addr, s->dst, 6);
	memcpy(m->addr + 6, s->src, 6);
	m->random = s->seed;
	m->interval_fs = (uint64_t)((s->frame_bytes + PREAMBLE_AND_GAP) * byte_fs + 0.5);
	if (m->interval_fs < (s->frame_bytes + PREAMBLE_AND_GAP) * m->byte_fs)
		m->interval_fs = (s->frame_bytes + PREAMBLE_AND_GAP) * m->byte_fs;
	m->sending = byte_fs > 0 && m->interval_fs;
	m->left = s->max_frames ? s->max_frames : UINT64_MAX;
	m->next_fs = from_ps * SIM_FS_PER_PS;
	mac_next(m);
	if (m->wake)
		m->wake(m->wake_arg);
}

void sim_mac_offered(const struct port *mac, uint64_t *frames, uint64_t *missed)
{
	struct sim_mac *m = mac_of(mac);

	mac_arrive(m);
	*frames = m->offered;
	*missed = m->missed;
}

void sim_mac_sink(const struct port *mac, struct sim_sink_stats *out)
{
	*out = mac_of(mac)->sink;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t sim_mac_latencies(struct port *mac, uint32_t *ns, uint32_t max)
{
	struct sim_mac *m = mac_of(mac);
	uint32_t n = m->samples < max ? m->samples : max, k;

	for (k = 0; k < n; k++)
		ns[k] = m->sample[(uint64_t)k * m->samples / n];
	qsort(ns, n, sizeof(*ns), by_value);
	return n;
}

void sim_mac_reset(struct port *mac)
{
	struct sim_mac *m = mac_of(mac);

	mac_arrive(m);
	m->offered = m->missed = 0;
	m->sink = (struct sim_sink_stats){ 0 };
	m->samples = 0;
	m->sample_seen = 0;
	m->sample_every = 1;
}
