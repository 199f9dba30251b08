/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"

#define HEADER 24 /* Ethernet header, ingress, length, sequence number */
#define MAP_BASE(nic) ((uint64_t)((nic) + 1) << 40)
#define BUS_LOCAL (1ull << 63) /* firmware/board.h */

void mesh_fail(struct mesh *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (m->failure[0])
		return;
	n = snprintf(m->failure, sizeof(m->failure), "t=%llu us: ", (unsigned long long)(*m->now / 1000));
	va_start(ap, fmt);
	vsnprintf(m->failure + n, sizeof(m->failure) - n, fmt, ap);
	va_end(ap);
}

const char *mesh_failure(struct mesh *m)
{
	unsigned int i, p;
	const char *v;
	uint64_t over;

	for (i = 0; i < m->cfg.nics && m->ops->overruns && !getenv("MESH_ROOMY"); i++)
		if ((over = m->ops->overruns(m->mb, i)))
			mesh_fail(m, "NIC %c submitted %llu DMA requests without room", 'a' + i, (unsigned long long)over);
	for (i = 0; i < m->cfg.nics; i++)
		for (p = 0; p < m->cfg.ports; p++)
			if ((v = script_port_violation(m->port[i][p].sp)))
				mesh_fail(m, "port %c.%u: %s", 'a' + i, p, v);
	return m->failure[0] ? m->failure : NULL;
}

static uint64_t hash64(const uint8_t *p, uint32_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ len, w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 31;
	}
	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static void make_frame(uint8_t *f, uint32_t len, const uint8_t dst[6], const uint8_t src[6], unsigned int ingress,
		       uint32_t seq)
{
	uint8_t head[HEADER] = { 0 };
	struct rng r;
	uint64_t w;
	uint32_t i;

	memcpy(head, dst, 6);
	memcpy(head + 6, src, 6);
	head[12] = 0x88;
	head[13] = 0xb5;
	head[14] = (uint8_t)ingress;
	head[15] = (uint8_t)(ingress >> 8);
	head[16] = (uint8_t)len;
	head[17] = (uint8_t)(len >> 8);
	for (i = 0; i < 4; i++)
		head[18 + i] = (uint8_t)(seq >> 8 * i);
	memcpy(f, head, len < HEADER ? len : HEADER);
	rng_seed(&r, hash64(head, HEADER));
	for (i = HEADER; i < len; i += 8) {
		w = rng_next(&r);
		memcpy(f + i, &w, len - i < 8 ? len - i : 8);
	}
}

static void note_seen(struct mesh *m, struct mesh_port *p, unsigned int ingress, uint32_t seq)
{
	uint32_t max = p->seen_max[ingress];

	if (seq >= max) {
		max = (seq + 1) * 2 + 64;
		p->seen[ingress] = realloc(p->seen[ingress], max);
		if (!p->seen[ingress])
			abort();
		memset(p->seen[ingress] + p->seen_max[ingress], 0, max - p->seen_max[ingress]);
		p->seen_max[ingress] = max;
	}
	if (p->seen[ingress][seq]++)
		mesh_fail(m, "frame %u of %c.%u left %c.%u twice", seq, 'a' + ingress / P2P_MAX_PORTS,
			  ingress % P2P_MAX_PORTS, 'a' + p->nic, p->port);
	if (m->cfg.in_order && p->last[ingress] > seq)
		mesh_fail(m, "frame %u of %c.%u left %c.%u after frame %u", seq, 'a' + ingress / P2P_MAX_PORTS,
			  ingress % P2P_MAX_PORTS, 'a' + p->nic, p->port, p->last[ingress]);
	p->last[ingress] = seq;
}

static void frame_out(void *arg, const uint8_t *data, uint32_t len)
{
	struct mesh_port *p = arg;
	struct mesh *m = p->m;
	static uint8_t want[P2P_MAX_SEGS * 16384];
	unsigned int ingress;
	uint32_t seq, n;

	if (m->out) {
		m->out(m->out_arg, p->nic, p->port, data, len);
		return;
	}
	if (len < HEADER) { /* too short to say whose it is */
		mesh_fail(m, "a frame of %u bytes left %c.%u", len, 'a' + p->nic, p->port);
		return;
	}
	ingress = data[14] | data[15] << 8;
	n = data[16] | data[17] << 8;
	seq = data[18] | data[19] << 8 | data[20] << 16 | (uint32_t)data[21] << 24;
	if (n != len || ingress / P2P_MAX_PORTS >= m->cfg.nics || ingress % P2P_MAX_PORTS >= m->cfg.ports ||
	    seq >= m->port[ingress / P2P_MAX_PORTS][ingress % P2P_MAX_PORTS].seq) {
		mesh_fail(m, "a corrupted frame of %u bytes left %c.%u (header says %u)", len, 'a' + p->nic, p->port, n);
		return;
	}
	make_frame(want, len, data, data + 6, ingress, seq);
	if (memcmp(want, data, len)) {
		for (n = 0; want[n] == data[n]; n++)
			;
		mesh_fail(m, "frame %u of %c.%u (%u bytes) left %c.%u corrupted at byte %u", seq,
			  'a' + ingress / P2P_MAX_PORTS, ingress % P2P_MAX_PORTS, len, 'a' + p->nic, p->port, n);
		return;
	}
	note_seen(m, p, ingress, seq);
	if (p->outs == p->outs_max) {
		p->outs_max = p->outs_max * 2 + 64;
		p->out = realloc(p->out, p->outs_max * sizeof(*p->out));
		if (!p->out)
			abort();
	}
	p->out[p->outs++] = (struct mesh_out){ .in_nic = (uint16_t)(ingress / P2P_MAX_PORTS),
					       .in_port = (uint16_t)(ingress % P2P_MAX_PORTS), .seq = seq, .len = len,
					       .hash = hash64(data, len), .at_ns = *m->now };
}

void mesh_cfg_default(struct mesh_cfg *cfg, unsigned int nics, unsigned int ports)
{
	*cfg = (struct mesh_cfg){ .nics = nics, .ports = ports, .mode = P2P_MODE_WR, .batch = 8, .stride = 64,
				  .slots = 64, .buf_size = 2048, .rx_bufs = 256, .flags = P2P_FLAG_SCRUB, .age_s = 300,
				  .flood_pps = 0, .seed = 1 };
}

static int nic_power_on(struct mesh *m, unsigned int i)
{
	struct fw_strap strap = { .ports = m->cfg.ports, .buf_size = m->cfg.buf_size, .mem_bytes = 1ull << 30 };
	struct script_port *ports[P2P_MAX_PORTS];
	unsigned int p;

	for (p = 0; p < m->cfg.ports; p++) {
		ports[p] = m->port[i][p].sp;
		memcpy(strap.mac[p], (uint8_t[6]){ 0x02, 0xff, 0, 0, (uint8_t)i, (uint8_t)p }, 6);
	}
	return m->ops->nic_create(m->mb, i, &strap, ports);
}

struct mesh *mesh_create(const struct mesh_ops *ops, const struct mesh_cfg *cfg)
{
	struct mesh_board_cfg bc = { .seed = cfg->seed, .nics = cfg->nics, .prompt = cfg->prompt };
	struct mesh *m = calloc(1, sizeof(*m));
	unsigned int i, p;

	if (!m)
		abort();
	m->cfg = *cfg;
	m->ops = ops;
	rng_seed(&m->rng, cfg->seed ^ 0xfeed);
	m->mb = ops->open(&bc);
	m->now = ops->clock(m->mb);
	m->shape = (struct p2p_shape){ .nics = cfg->nics, .ports = cfg->ports, .slots = cfg->slots,
				       .buf_size = cfg->buf_size, .rx_bufs = cfg->rx_bufs, .route_bytes = cfg->route_bytes };
	for (i = 0; i < cfg->nics; i++) {
		for (p = 0; p < cfg->ports; p++) {
			struct mesh_port *mp = &m->port[i][p];
			struct script_port_cfg sc = { .now_ns = m->now, .seed = cfg->seed * 1000 + i * 10 + p,
						      .tx_room = cfg->tx_room, .tx_frame_ns = cfg->tx_frame_ns,
						      .late = ops->late && !cfg->prompt, .out = frame_out, .arg = mp };

			mp->m = m;
			mp->nic = i;
			mp->port = p;
			mp->sp = script_port_create(&sc);
		}
		if (nic_power_on(m, i))
			mesh_fail(m, "NIC %c could not be made", 'a' + i);
	}
	if (cfg->mode == P2P_MODE_BN)
		mesh_host_create(m);
	return m;
}

void mesh_destroy(struct mesh *m)
{
	unsigned int i, p, k;

	m->ops->close(m->mb);
	mesh_host_destroy(m);
	for (i = 0; i < m->cfg.nics; i++) {
		for (p = 0; p < m->cfg.ports; p++) {
			script_port_destroy(m->port[i][p].sp);
			free(m->port[i][p].out);
			for (k = 0; k < P2P_ARRAY_SIZE(m->port[i][p].seen); k++)
				free(m->port[i][p].seen[k]);
		}
	}
	free(m);
}

static void wr(struct mesh *m, unsigned int nic, uint32_t off, uint32_t bytes, uint64_t v)
{
	m->ops->reg_write(m->mb, nic, off, bytes, v);
	m->nic[nic].until_ns = 0;
}

static int configure_one(struct mesh *m, unsigned int i)
{
	const struct mesh_cfg *c = &m->cfg;
	uint64_t st, err;

	wr(m, i, P2P_CONTROL, 4, P2P_CTL_RESET);
	wr(m, i, P2P_MODE, 4, c->mode);
	wr(m, i, P2P_BATCH, 4, c->batch);
	wr(m, i, P2P_STRIDE, 4, c->stride);
	wr(m, i, P2P_NIC_INDEX, 4, i);
	wr(m, i, P2P_NUM_NICS, 4, c->nics);
	wr(m, i, P2P_SLOTS, 4, c->slots);
	wr(m, i, P2P_RX_BUFS, 4, c->rx_bufs);
	wr(m, i, P2P_FLAGS, 4, c->flags | (m->ops->cut ? P2P_FLAG_CUT : 0));
	wr(m, i, P2P_AGE_S, 4, c->age_s);
	wr(m, i, P2P_FLOOD_PPS, 4, c->flood_pps);
	wr(m, i, P2P_ROUTE_BYTES, 8, c->route_bytes);
	if (c->silence_ms)
		wr(m, i, P2P_SILENCE_MS, 4, c->silence_ms);
	m->ops->bus_master(m->mb, i, true);
	wr(m, i, P2P_CONTROL, 4, P2P_CTL_CONFIGURE);
	st = m->ops->reg_read(m->mb, i, P2P_STATUS, 4);
	err = m->ops->reg_read(m->mb, i, P2P_ERROR, 4);
	if (!(st & P2P_ST_CONFIGURED) || err) {
		mesh_fail(m, "NIC %c: not configured, ERROR %llu, STATUS %llx", 'a' + i, (unsigned long long)err,
			  (unsigned long long)st);
		return -EIO;
	}
	if (c->mode == P2P_MODE_BN)
		mesh_host_introduce(m, i);
	return 0;
}

static uint64_t seg_off(struct mesh *m, unsigned int nic, unsigned int seg)
{
	wr(m, nic, P2P_SEG_SELECT, 4, seg);
	if (m->ops->reg_read(m->mb, nic, P2P_SEG_OFFSET, 8) != p2p_seg_offset(&m->shape, seg))
		mesh_fail(m, "NIC %c: SEG_OFFSET of segment %u differs from the layout", 'a' + nic, seg);
	return p2p_seg_offset(&m->shape, seg);
}

static void map_segment(struct mesh *m, unsigned int from, unsigned int to, unsigned int seg, bool write)
{
	uint64_t off = seg_off(m, to, seg);

	if (m->ops->map(m->mb, from, MAP_BASE(to) + off, p2p_seg_bytes(&m->shape, p2p_seg_kind(&m->shape, seg)), to, off, write))
		mesh_fail(m, "map of segment %u of %c for %c failed", seg, 'a' + to, 'a' + from);
}

/* NIC `from` is told of NIC `to`: its address map, then its peer table. */
static void introduce(struct mesh *m, unsigned int from, unsigned int to)
{
	const struct p2p_shape *s = &m->shape;
	uint32_t at = P2P_PEER_BLOCK + to * P2P_PEER_BLOCK_BYTES;
	uint64_t buf0 = seg_off(m, to, p2p_seg_buf(s, 0, from));
	unsigned int p;

	if (from != to) {
		map_segment(m, from, to, p2p_seg_ring(s, from), true);
		for (p = 0; p <= s->ports; p++)
			map_segment(m, from, to, p2p_seg_buf(s, p, from), true);
		for (p = 0; p < s->ports && m->cfg.mode == P2P_MODE_RD; p++)
			map_segment(m, from, to, p2p_seg_rx(s, p), false);
	}
	wr(m, from, at + P2P_PEER_BAR2, 8, from == to ? BUS_LOCAL : MAP_BASE(to));
	wr(m, from, at + P2P_PEER_RING, 8, seg_off(m, to, p2p_seg_ring(s, from)));
	wr(m, from, at + P2P_PEER_BUF, 8, buf0);
	wr(m, from, at + P2P_PEER_BUF_STEP, 8, seg_off(m, to, p2p_seg_buf(s, 1, from)) - buf0);
	wr(m, from, at + P2P_PEER_RX, 8, seg_off(m, to, p2p_seg_rx(s, 0)));
	wr(m, from, at + P2P_PEER_RX_BYTES, 8, s->ports * p2p_seg_bytes(s, P2P_SEG_RX));
	wr(m, from, at + P2P_PEER_PORTS, 4, s->ports);
	wr(m, from, at + P2P_PEER_SLOTS, 4, s->slots);
	wr(m, from, at + P2P_PEER_BUF_SIZE, 4, s->buf_size);
	wr(m, from, at + P2P_PEER_CTRL, 4, 1);
}

int mesh_configure(struct mesh *m)
{
	unsigned int i, j;

	for (i = 0; i < m->cfg.nics; i++)
		if (configure_one(m, i))
			return -EIO;
	for (i = 0; i < m->cfg.nics; i++)
		for (j = 0; j < m->cfg.nics; j++)
			introduce(m, i, j);
	if (m->cfg.mode == P2P_MODE_BN)
		mesh_host_start(m);
	return m->failure[0] ? -EIO : 0;
}

void mesh_pair(struct mesh *m, unsigned int nic, unsigned int port, unsigned int to_nic, unsigned int to_port)
{
	wr(m, nic, P2P_PORT_BLOCK + port * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR, 4, P2P_PAIR(to_nic, to_port));
}

void mesh_enable(struct mesh *m, unsigned int nic, bool on)
{
	wr(m, nic, P2P_CONTROL, 4, on ? P2P_CTL_ENABLE : 0);
	if (on && !(m->ops->reg_read(m->mb, nic, P2P_STATUS, 4) & P2P_ST_RUNNING))
		mesh_fail(m, "NIC %c: does not run, ERROR %llu", 'a' + nic,
			  (unsigned long long)m->ops->reg_read(m->mb, nic, P2P_ERROR, 4));
}

static bool all_up(struct mesh *m)
{
	unsigned int i, j, dead = 0;

	for (i = 0; i < m->cfg.nics; i++)
		dead += m->nic[i].dead;
	if (m->host.h && !dead && !bn_host_ready(m->host.h))
		return false;
	for (i = 0; i < m->cfg.nics; i++)
		for (j = 0; j < m->cfg.nics && !m->nic[i].dead; j++)
			if (!m->nic[j].dead &&
			    m->ops->reg_read(m->mb, i, P2P_PEER_BLOCK + j * P2P_PEER_BLOCK_BYTES + P2P_PEER_STATE, 4) !=
				    P2P_PEER_UP)
				return false;
	return true;
}

int mesh_wait_up(struct mesh *m, uint64_t max_ns)
{
	uint64_t end = *m->now + max_ns;

	while (!all_up(m)) {
		if (*m->now >= end || m->failure[0]) {
			mesh_fail(m, "not all peers came up");
			return -ETIMEDOUT;
		}
		mesh_run(m, 100000);
	}
	/* Rings open with the first completion line of a session: on its way when the state turns. */
	mesh_settle(m, 3000000, 1000000000);
	return 0;
}

int mesh_up(struct mesh *m)
{
	unsigned int i;

	for (i = 0; i < m->cfg.nics; i++)
		mesh_enable(m, i, true);
	return mesh_wait_up(m, 20000000000ull);
}

void mesh_kill(struct mesh *m, unsigned int nic)
{
	unsigned int e, p;

	for (e = 0; e < P2P_NUM_EVENTS; e++)
		m->past_events[e] += m->ops->events(m->mb, nic)[e];
	for (e = 0; e < P2P_NUM_DROPS; e++)
		m->past_drops[e] += m->ops->drops(m->mb, nic)[e];
	for (p = 0; p < m->cfg.ports; p++)
		script_port_stop(m->port[nic][p].sp);
	m->ops->nic_kill(m->mb, nic);
	m->nic[nic].dead = true;
	m->nic[nic].kills++;
}

int mesh_restart(struct mesh *m, unsigned int nic)
{
	unsigned int i;

	for (i = 0; i < m->cfg.nics; i++) {
		if (i == nic || m->nic[i].dead)
			continue;
		wr(m, i, P2P_PEER_BLOCK + nic * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 4, 0);
		m->ops->unmap(m->mb, i, MAP_BASE(nic), 1ull << 40);
	}
	if (nic_power_on(m, nic)) {
		mesh_fail(m, "NIC %c could not be made again", 'a' + nic);
		return -EIO;
	}
	m->nic[nic] = (struct mesh_nic){ .kills = m->nic[nic].kills };
	if (configure_one(m, nic))
		return -EIO;
	if (m->host.h)
		mesh_host_replace(m, nic);
	for (i = 0; i < m->cfg.nics; i++) {
		if (m->nic[i].dead)
			continue;
		introduce(m, nic, i);
		if (i != nic)
			introduce(m, i, nic);
	}
	return 0;
}

static bool port_event(struct mesh *m, unsigned int i)
{
	unsigned int p;

	for (p = 0; p < m->cfg.ports; p++)
		if (script_port_event(m->port[i][p].sp))
			return true;
	return false;
}

/* In bn the bell of a NIC's own index is the host's. */
static bool nic_bell(struct mesh *m, unsigned int i)
{
	bool rung = m->nic[i].rung;

	if (m->cfg.mode != P2P_MODE_BN)
		return m->ops->take_bell(m->mb, i);
	m->nic[i].rung = false;
	return rung;
}

/* Steps one NIC unless it sleeps or stands still; returns true if it did something. */
static bool step_nic(struct mesh *m, unsigned int i)
{
	struct mesh_nic *n = &m->nic[i];

	if (n->dead || n->stall_ns > *m->now)
		return false;
	if (n->sleeping) {
		if (*m->now < n->until_ns && !nic_bell(m, i) && !port_event(m, i))
			return false;
		n->sleeping = false;
		n->wakes++;
		m->ops->sleep(m->mb, i, false);
	}
	n->until_ns = m->ops->step(m->mb, i);
	if (!n->until_ns) {
		n->idle = 0;
		if (n->arming) {
			n->arming = false;
			m->ops->sleep(m->mb, i, false);
		}
		return true;
	}
	if (!m->cfg.sleep || ++n->idle < 3 || m->ops->busy(m->mb, i))
		return false;
	if (!n->arming) {
		n->arming = true;
		nic_bell(m, i);
		m->ops->sleep(m->mb, i, true);
		return true;
	}
	n->arming = false;
	n->sleeping = true;
	return false;
}

static void pass_time(struct mesh *m, bool active, uint64_t end)
{
	uint64_t now = *m->now, next = end, t;
	unsigned int i, p;

	if (active) {
		t = 20 + rng_below(&m->rng, 600);
		m->ops->advance(m->mb, t < end - now ? t : end - now);
		return;
	}
	if ((t = m->ops->next(m->mb)) < next)
		next = t;
	if ((t = mesh_host_next(m)) < next)
		next = t;
	for (i = 0; i < m->cfg.nics; i++) {
		const struct mesh_nic *n = &m->nic[i];

		if (n->dead)
			continue;
		t = n->stall_ns > now ? n->stall_ns : n->until_ns;
		if (n->arming)
			t = now;
		if (t < next)
			next = t;
		for (p = 0; p < m->cfg.ports && n->stall_ns <= now; p++)
			/* What is due already the NIC does not want yet: it will when something else happens. */
			if ((t = script_port_next(m->port[i][p].sp)) < next)
				next = t > now ? t : now + 3000 < next ? now + 3000 : next;
	}
	t = next > now + 50 ? next - now : 50;
	m->ops->advance(m->mb, t < end - now ? t : end - now);
}

void mesh_fault(struct mesh *m, const char *fmt, ...)
{
	char rule[128], err[FAULT_ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rule, sizeof(rule), fmt, ap);
	va_end(ap);
	if (!m->ops->fault_rules)
		mesh_fail(m, "%s: this board injects no faults", rule);
	else if (fault_add(m->ops->fault_rules(m->mb), rule, err))
		mesh_fail(m, "%s", err);
}

void mesh_fault_none(struct mesh *m)
{
	m->ops->fault_rules(m->mb)->n = 0;
}

uint64_t mesh_fault_hits(const struct mesh *m, unsigned int rule)
{
	const struct fault_set *s = m->ops->fault_rules(m->mb);

	return rule < s->n ? s->rule[rule].hits : 0;
}

void mesh_run(struct mesh *m, uint64_t ns)
{
	uint64_t end = *m->now + ns;
	unsigned int k, i, first, who = m->cfg.nics + (m->cfg.mode == P2P_MODE_BN);
	bool active;

	while (*m->now < end && !m->failure[0]) {
		active = false;
		first = rng_below(&m->rng, who);
		for (k = 0; k < who; k++) {
			i = (first + k) % who;
			if (m->cfg.stall) {
				if (rng_below(&m->rng, 4000) == 0)
					mesh_stall(m, i, rng_below(&m->rng, 2000000));
				if (rng_below(&m->rng, 3) == 0) {
					active = true;
					continue;
				}
			}
			active |= i == m->cfg.nics ? mesh_host_step(m) : step_nic(m, i);
		}
		if (*m->now < end)
			pass_time(m, active, end);
	}
}

void mesh_stall(struct mesh *m, unsigned int nic, uint64_t ns)
{
	if (nic == m->cfg.nics)
		m->host.stall_ns = *m->now + ns;
	else
		m->nic[nic].stall_ns = *m->now + ns;
}

/* Grows whenever a frame or a station gets anywhere. */
static uint64_t activity(struct mesh *m)
{
	static const enum p2p_event telling[] = { P2P_EV_forwarded, P2P_EV_flood_copies, P2P_EV_learned, P2P_EV_aged,
		P2P_EV_flushed, P2P_EV_announce, P2P_EV_holes, P2P_EV_peer_up, P2P_EV_peer_down, P2P_EV_scrubs };
	struct bn_host_stats host = mesh_host_stats(m);
	uint64_t sum = host.moved + host.forwarded + host.holes;
	unsigned int i, p, e;

	for (e = 0; e < P2P_NUM_DROPS; e++)
		sum += host.drops[e];
	for (i = 0; i < m->cfg.nics; i++) {
		for (p = 0; p < m->cfg.ports; p++) {
			const struct port_stats *s = script_port_stats(m->port[i][p].sp);

			sum += s->rx_frames + s->tx_frames + s->tx_lost + s->link_changes + s->rx_refused;
		}
		if (m->nic[i].dead)
			continue;
		for (e = 0; e < P2P_ARRAY_SIZE(telling); e++)
			sum += m->ops->events(m->mb, i)[telling[e]];
		for (e = 0; e < P2P_NUM_DROPS; e++)
			sum += m->ops->drops(m->mb, i)[e];
	}
	return sum;
}

bool mesh_settle(struct mesh *m, uint64_t quiet_ns, uint64_t max_ns)
{
	uint64_t end = *m->now + max_ns, since = *m->now, last = activity(m), a;

	while (*m->now < end && !m->failure[0]) {
		mesh_run(m, quiet_ns / 8);
		a = activity(m);
		if (a != last) {
			last = a;
			since = *m->now;
		} else if (*m->now - since >= quiet_ns) {
			return true;
		}
	}
	return false;
}

static bool drained(struct mesh *m)
{
	unsigned int i, p;

	if (mesh_held(m) || (m->host.h && bn_host_held(m->host.h)))
		return false;
	for (i = 0; i < m->cfg.nics; i++)
		for (p = 0; p < m->cfg.ports; p++)
			if (script_port_sending(m->port[i][p].sp) || (script_port_pending(m->port[i][p].sp) && !m->nic[i].dead))
				return false;
	return true;
}

bool mesh_drain(struct mesh *m, uint64_t max_ns)
{
	uint64_t end = *m->now + max_ns;

	while (!drained(m)) {
		if (*m->now >= end || m->failure[0])
			return false;
		mesh_run(m, 50000);
	}
	return true;
}

uint32_t mesh_send_at(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t dst[6], const uint8_t src[6],
		      uint32_t len, uint64_t at_ns)
{
	struct mesh_port *p = &m->port[nic][port];
	static uint8_t frame[65536];
	uint32_t seq = p->seq++;

	make_frame(frame, len, dst, src, nic * P2P_MAX_PORTS + port, seq);
	script_port_receive(p->sp, frame, len, at_ns);
	return seq;
}

uint32_t mesh_send(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t dst[6], const uint8_t src[6],
		   uint32_t len)
{
	return mesh_send_at(m, nic, port, dst, src, len, *m->now);
}

void mesh_send_raw(struct mesh *m, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	script_port_receive(m->port[nic][port].sp, data, len, *m->now);
}

void mesh_send_few(struct mesh *m, unsigned int nic, unsigned int port)
{
	const uint8_t mac[6] = { 2 };

	for (uint32_t k = 0; k < MESH_FEW; k++)
		mesh_send(m, nic, port, mac, mac, 60 + 700 * k);
}

void mesh_station(uint8_t mac[6], unsigned int k)
{
	memcpy(mac, (uint8_t[6]){ 0x02, 0, 0, 0, (uint8_t)(k >> 8), (uint8_t)k }, 6);
}

uint32_t mesh_untaken(struct mesh *m, unsigned int nic, unsigned int port)
{
	return m->port[nic][port].outs - m->port[nic][port].taken;
}

uint64_t mesh_wakes(const struct mesh *m, int nic)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < m->cfg.nics; i++)
		sum += nic < 0 || (unsigned int)nic == i ? m->nic[i].wakes : 0;
	return sum;
}

uint64_t mesh_event(struct mesh *m, int nic, enum p2p_event e)
{
	struct bn_host_stats host = mesh_host_stats(m);
	uint64_t sum = 0;
	unsigned int i;

	if (nic >= 0)
		return m->ops->events(m->mb, nic)[e];
	if (e == P2P_EV_flood_copies)
		sum = host.flood_copies;
	else if (e == P2P_EV_holes)
		sum = host.holes;
	else if (e == P2P_EV_pokes)
		sum = host.pokes;
	else if (e == P2P_EV_bad_line)
		sum = host.bad_line;
	for (i = 0; i < m->cfg.nics; i++)
		sum += m->nic[i].dead ? 0 : m->ops->events(m->mb, i)[e];
	return sum + m->past_events[e];
}

uint64_t mesh_drops(struct mesh *m, int nic, enum p2p_drop d)
{
	uint64_t sum = 0;
	unsigned int i;

	if (nic >= 0)
		return m->ops->drops(m->mb, nic)[d];
	for (i = 0; i < m->cfg.nics; i++)
		sum += m->nic[i].dead ? 0 : m->ops->drops(m->mb, i)[d];
	return sum + m->past_drops[d] + mesh_host_stats(m).drops[d];
}

uint64_t mesh_held(struct mesh *m)
{
	struct bn_host_stats host = mesh_host_stats(m);
	uint64_t sum = host.flood_copies;
	unsigned int i, d;

	for (d = 0; d < P2P_NUM_DROPS; d++)
		sum -= host.drops[d];
	for (i = 0; i < m->cfg.nics; i++)
		sum += m->nic[i].dead ? 0 : m->ops->held(m->mb, i);
	return sum;
}

uint64_t mesh_port_sum(struct mesh *m, size_t stat_offset)
{
	uint64_t sum = 0;
	unsigned int i, p;

	for (i = 0; i < m->cfg.nics; i++)
		for (p = 0; p < m->cfg.ports; p++)
			sum += *(const uint64_t *)((const char *)script_port_stats(m->port[i][p].sp) + stat_offset);
	return sum;
}

int64_t mesh_books(struct mesh *m)
{
	uint64_t in = mesh_port_sum(m, offsetof(struct port_stats, rx_frames)) + mesh_event(m, -1, P2P_EV_flood_copies) +
		      mesh_event(m, -1, P2P_EV_injected);
	uint64_t out = mesh_port_sum(m, offsetof(struct port_stats, tx_frames)) +
		       mesh_port_sum(m, offsetof(struct port_stats, tx_lost)) + mesh_held(m) +
		       mesh_event(m, -1, P2P_EV_punted);
	unsigned int d;

	for (d = 0; d < P2P_NUM_DROPS; d++)
		out += mesh_drops(m, -1, d);
	return (int64_t)(in - out);
}

void mesh_check_faults(struct mesh *m)
{
	unsigned int i;

	for (i = 0; i < m->cfg.nics; i++)
		if (!m->nic[i].dead && m->ops->faults(m->mb, i))
			mesh_fail(m, "NIC %c made %llu DMA faults", 'a' + i,
				  (unsigned long long)m->ops->faults(m->mb, i));
}

void mesh_print_counters(struct mesh *m)
{
#define PORT(name, desc) { #name, offsetof(struct port_stats, name) },
	static const struct { const char *name; size_t off; } port[] = { PORT_COUNTERS(PORT) };
#undef PORT
#define NAME(name, desc) #name,
	static const char *const drop[] = { P2P_DROPS(NAME) };
	static const char *const event[] = { P2P_EVENTS(NAME) };
#undef NAME
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(port); k++)
		if (mesh_port_sum(m, port[k].off))
			fprintf(stderr, "  %s %llu", port[k].name, (unsigned long long)mesh_port_sum(m, port[k].off));
	fprintf(stderr, "\n  drops:");
	for (k = 0; k < P2P_NUM_DROPS; k++)
		if (mesh_drops(m, -1, k))
			fprintf(stderr, " %s %llu", drop[k], (unsigned long long)mesh_drops(m, -1, k));
	fprintf(stderr, "\n  events:");
	for (k = 0; k < P2P_NUM_EVENTS; k++)
		if (mesh_event(m, -1, k))
			fprintf(stderr, " %s %llu", event[k], (unsigned long long)mesh_event(m, -1, k));
	fprintf(stderr, "\n  held %llu, books off by %lld\n", (unsigned long long)mesh_held(m), (long long)mesh_books(m));
}
