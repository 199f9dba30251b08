/* SPDX-License-Identifier: BSD-3-Clause */
/* gen: a cable with a traffic generator and a checking sink at its far end. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ports/flow_hash.h"
#include "ports/gen_int.h"
#include "ports/schemes.h"

#define GEN_FCS_BYTES 4u
#define GEN_FLOWS_MAX 65536u

/* Seven of 64, four of 594, one of 1518, spread out. */
static const struct gen_sizes gen_sizes_imix = {
	.n = 12,
	.list = { 60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60 },
	.min = 60,
	.max = 1514,
};
static const struct gen_sizes gen_sizes_mix = { .min = 60, .max = 1514 };

static uint32_t gen_next_id = 1;

static const struct port_ops gen_ops_counted;

bool port_is_gen(const struct port *p)
{
	return p->ops->rx_post == port_gen_ops.rx_post;
}

unsigned int port_gen_id(const struct port *p)
{
	return gen_of(p)->id;
}

/* Options */

static bool gen_parse_len(const char **s, uint32_t *len)
{
	uint32_t v = 0;

	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9' && v < 100000; (*s)++)
		v = v * 10 + (uint32_t)(**s - '0');
	*len = v - GEN_FCS_BYTES;
	return v >= GEN_HEAD_BYTES + GEN_FCS_BYTES && v <= GEN_LEN_MAX + GEN_FCS_BYTES;
}

int gen_sizes_parse(struct gen_sizes *z, const char *s)
{
	if (strcmp(s, "imix") == 0) {
		*z = gen_sizes_imix;
		return 0;
	}
	if (strcmp(s, "mix") == 0) {
		*z = gen_sizes_mix;
		return 0;
	}
	memset(z, 0, sizeof(*z));
	if (!gen_parse_len(&s, &z->min))
		return -EINVAL;
	z->max = z->min;
	if (*s == '-') {
		s++;
		if (!gen_parse_len(&s, &z->max) || z->max < z->min)
			return -EINVAL;
	}
	return *s ? -EINVAL : 0;
}

struct gen_options {
	struct gen_setting setting;
	struct gen_flow_setting flow;
	uint64_t flows, id, burst, seed, queues;
	bool tx;
};

static int gen_options_macs(struct gen_options *o, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *s;

	memcpy(o->flow.src, (const uint8_t[6]){ 0x02, 0x50, 0x32, (uint8_t)o->id, 0, 1 }, 6);
	memcpy(o->flow.dst, (const uint8_t[6]){ 0x02, 0x50, 0x32, (uint8_t)o->id, 0, 2 }, 6);
	s = port_spec_get(spec, "src");
	if (s && (port_mac_parse(s, strlen(s), o->flow.src) || (o->flow.src[0] & 1))) {
		snprintf(err, PORT_ERR_MAX, "gen: src=%.40s: give a unicast MAC address, as 02:00:00:00:00:01", s);
		return -EINVAL;
	}
	s = port_spec_get(spec, "dst");
	if (s && port_mac_parse(s, strlen(s), o->flow.dst)) {
		snprintf(err, PORT_ERR_MAX, "gen: dst=%.40s: give a MAC address, as 02:00:00:00:00:02", s);
		return -EINVAL;
	}
	return 0;
}

static int gen_options_switches(struct gen_options *o, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *s = port_spec_get(spec, "tx");

	if (s && strcmp(s, "on") != 0 && strcmp(s, "off") != 0) {
		snprintf(err, PORT_ERR_MAX, "gen: tx=%.40s: on or off", s);
		return -EINVAL;
	}
	o->tx = !s || strcmp(s, "on") == 0;
	s = port_spec_get(spec, "routed");
	if (s && *s) {
		snprintf(err, PORT_ERR_MAX, "gen: routed=%.40s: 'routed' takes no value", s);
		return -EINVAL;
	}
	o->flow.routed = s != NULL;
	return 0;
}

static int gen_options_parse(struct gen_options *o, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *size = port_spec_get(spec, "size");
	int rc;

	memset(o, 0, sizeof(*o));
	if (gen_sizes_parse(&o->setting.sizes, size ? size : "64")) {
		snprintf(err, PORT_ERR_MAX, "gen: size=%.40s: 64 to 9216 bytes with FCS, a range A-B of them, imix or mix", size);
		return -EINVAL;
	}
	o->flows = 1;
	o->burst = 1;
	o->seed = 1;
	o->queues = 1;
	o->id = UINT64_MAX;
	rc = port_spec_get_u64(spec, "rate", 0, 10000000000u, &o->setting.rate_pps, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "count", 0, UINT64_MAX, &o->setting.count, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "flows", 1, GEN_FLOWS_MAX, &o->flows, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "id", 0, GEN_SOURCES - 1, &o->id, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "burst", 1, 1024, &o->burst, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "seed", 0, UINT64_MAX, &o->seed, err);
	if (!rc)
		rc = port_spec_get_u64(spec, "queues", 1, P2P_MAX_QUEUES, &o->queues, err);
	if (rc)
		return rc;
	if (o->id == UINT64_MAX)
		o->id = __atomic_fetch_add(&gen_next_id, 1, __ATOMIC_RELAXED) % GEN_SOURCES;
	rc = gen_options_macs(o, spec, err);
	return rc ? rc : gen_options_switches(o, spec, err);
}

static unsigned int gen_flow_queue(const struct gen_flow *f, unsigned int queues)
{
	struct gen_flow copy = *f;
	uint8_t head[GEN_HEAD_BYTES];

	gen_flow_write_head(&copy, head, 0);
	return port_flow_hash(head, sizeof(head)) % queues;
}

/* The flows of this queue of `spread`, at number 0. */
static int gen_flows_make(struct gen_port *g, unsigned int spread)
{
	struct gen_flow_setting s = g->flow_setting;
	struct gen_flow *flow = port_alloc(g->all_flows * sizeof(*flow)), *kept;
	uint16_t *no = malloc(g->all_flows * sizeof(*no));
	uint32_t i, n = 0;

	if (!flow || !no)
		goto free_flows;
	s.run = g->run;
	for (i = 0; i < g->all_flows; i++) {
		s.flow = (uint16_t)i;
		gen_flow_init(&flow[n], &s);
		if (spread > 1 && gen_flow_queue(&flow[n], spread) != g->queue)
			continue;
		no[n++] = (uint16_t)i;
	}
	kept = n == g->all_flows ? flow : port_alloc((n ? n : 1) * sizeof(*flow));
	if (!kept)
		goto free_flows;
	if (kept != flow) {
		memcpy(kept, flow, n * sizeof(*flow));
		free(flow);
	}
	free(g->flow);
	free(g->flow_no);
	g->flow = kept;
	g->flow_no = no;
	g->n_flows = n;
	g->next_flow = 0;
	g->spread = spread;
	return 0;
free_flows:
	free(no);
	free(flow);
	return -ENOMEM;
}

/* This queue's share of what the port as a whole is to do: as many flows of all, each with as many frames. */
static struct gen_setting gen_share(const struct gen_port *g, const struct gen_setting *all)
{
	struct gen_setting s = *all;
	uint32_t i;

	if (g->n_flows == g->all_flows)
		return s;
	s.rate_pps = all->rate_pps * g->n_flows / g->all_flows;
	if (all->rate_pps && !s.rate_pps)
		s.rate_pps = 1;
	s.count = all->count / g->all_flows * g->n_flows;
	for (i = 0; i < g->n_flows; i++)
		s.count += g->flow_no[i] < all->count % g->all_flows;
	s.none = !g->n_flows || (all->count && !s.count);
	return s;
}

static void gen_lane_close(struct gen_port *g)
{
	gen_sink_free(&g->sink);
	port_buffers_free(&g->bufs);
	pthread_mutex_destroy(&g->lock);
	if (g->event_fd >= 0)
		close(g->event_fd);
	free(g->base);
	free(g->flow_no);
	free(g->flow);
	free(g);
}

static void gen_close(struct port *p)
{
	struct gen_port *g = gen_of(p);

	for (unsigned int q = g->queues; q-- > 1;)
		gen_lane_close(g->lane[q]);
	gen_lane_close(g);
}

static int gen_lane_open(struct gen_port **out, const struct gen_options *o, unsigned int queue, uint8_t run)
{
	struct gen_port *g = port_alloc(sizeof(*g));
	int rc = -ENOMEM;

	if (!g)
		return rc;
	pthread_mutex_init(&g->lock, NULL);
	g->port.ops = o->tx && o->setting.count ? &gen_ops_counted : &port_gen_ops;
	g->lane[0] = g->first = g;
	g->queues = 1;
	g->queue = queue;
	g->setting = o->setting;
	g->random = gen_mix(o->seed + 1 + queue) | 1;
	g->id = (uint8_t)o->id;
	g->burst = o->burst;
	g->tx = o->tx;
	g->run = run;
	g->all_flows = (uint32_t)o->flows;
	g->flow_setting = o->flow;
	g->flow_setting.id = g->id;
	g->base = calloc(1, sizeof(*g->base));
	g->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (g->event_fd < 0)
		rc = -errno;
	if (!g->base || g->event_fd < 0 || gen_flows_make(g, (unsigned int)o->queues)) {
		gen_lane_close(g);
		return rc;
	}
	g->now = gen_share(g, &g->setting);
	pace_init(&g->pace, g->now.rate_pps, o->burst);
	*out = g;
	return 0;
}

static int gen_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	/* A generator that is started again must not look like its former self. */
	uint8_t run = (uint8_t)gen_mix(port_clock_ns());
	struct gen_port *g = NULL;
	struct gen_options o;
	int rc;

	rc = gen_options_parse(&o, spec, err);
	if (rc)
		return rc;
	gen_frame_init();
	rc = gen_lane_open(&g, &o, 0, run);
	while (!rc && g->queues < o.queues) {
		rc = gen_lane_open(&g->lane[g->queues], &o, g->queues, run);
		if (rc)
			break;
		g->lane[g->queues]->first = g;
		g->queues++;
	}
	if (rc) {
		snprintf(err, PORT_ERR_MAX, "gen: %s", strerror(-rc));
		if (g)
			gen_close(&g->port);
		return rc;
	}
	*out = &g->port;
	return 0;
}

static struct port *gen_queue(struct port *p, unsigned int q)
{
	struct gen_port *g = gen_of(p);

	if (q >= g->queues)
		return NULL;
	memcpy(g->lane[q]->port.name, g->port.name, sizeof(g->port.name));
	return &g->lane[q]->port;
}

/* Generating */

static void gen_run_begin(struct gen_port *g)
{
	uint32_t want = __atomic_load_n(&g->want_run, __ATOMIC_RELAXED), i;

	if (want == g->seen_run)
		return;
	g->seen_run = want;
	g->run++;
	g->made = 0;
	g->pace.start_ns = 0;
	for (i = 0; i < g->n_flows; i++) {
		struct gen_flow *f = &g->flow[i];

		f->seq = 0;
		f->word[6] = (f->word[6] & ~0xff00ull) | (uint64_t)g->run << 8;
		f->ident = f->word[6] << 32;
		gen_flow_set_len(f, f->len);
	}
}

/* Takes over a new setting; false: another thread is writing it just now. */
static bool gen_setting_apply(struct gen_port *g)
{
	if (!__atomic_load_n(&g->want_setting, __ATOMIC_ACQUIRE))
		return true;
	if (pthread_mutex_trylock(&g->lock))
		return false;
	g->now = gen_share(g, &g->setting);
	__atomic_store_n(&g->want_setting, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&g->lock);
	pace_init(&g->pace, g->now.rate_pps, g->burst);
	return true;
}

/*
 * Takes notice of a pause or of its end; true: paused.  Both sides write their
 * own word before they read the other's, so that port_gen_quiet() can't take
 * the notice of an earlier pause for that of a new one.
 */
static bool gen_pause_notice(struct gen_port *g)
{
	bool pause = __atomic_load_n(&g->want_pause, __ATOMIC_SEQ_CST);

	if (pause == g->seen_pause)
		return pause;
	g->pace.start_ns = 0;
	__atomic_store_n(&g->seen_pause, pause, __ATOMIC_SEQ_CST);
	if (pause || !__atomic_load_n(&g->want_pause, __ATOMIC_SEQ_CST))
		return pause;
	__atomic_store_n(&g->seen_pause, true, __ATOMIC_SEQ_CST);
	return true;
}

/* Looks at the requests of other threads; false: nothing is to be generated now. */
static bool gen_settle(struct gen_port *g)
{
	bool paused = gen_pause_notice(g);

	gen_run_begin(g);
	return gen_setting_apply(g) && !paused;
}

static inline bool gen_unsettled(const struct gen_port *g)
{
	return __atomic_load_n(&g->want_pause, __ATOMIC_RELAXED) || g->seen_pause ||
	       __atomic_load_n(&g->want_setting, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&g->want_run, __ATOMIC_RELAXED) != g->seen_run;
}

/* Life */

/* Deals the flows anew if other queues are started than before: a new run, the same for all of them. */
static int gen_spread(struct gen_port *g, unsigned int queues)
{
	if (queues == g->spread)
		return 0;
	g->run = g == g->first ? (uint8_t)(g->run + 1) : g->first->run;
	g->made = 0;
	__atomic_store_n(&g->want_setting, true, __ATOMIC_RELEASE);
	return gen_flows_make(g, queues);
}

static int gen_start(struct port *p, const struct port_memory *mem)
{
	struct gen_port *g = gen_of(p);
	uint32_t most = mem->rx_bufs < P2P_MAX_SEGS ? mem->rx_bufs : P2P_MAX_SEGS;
	uint64_t room = (uint64_t)mem->buf_size * most;
	int rc;

	gen_run_begin(g);
	rc = gen_spread(g, mem->queues ? mem->queues : 1);
	if (rc)
		return rc;
	gen_setting_apply(g);
	if (g->tx && (mem->buf_size < GEN_HEAD_BYTES || room < g->now.sizes.max))
		return -EMSGSIZE;
	rc = port_buffers_init(&g->bufs, mem->rx_bufs);
	if (rc)
		return rc;
	g->buf_size = mem->buf_size;
	g->done = 0;
	g->pace.start_ns = 0;
	__atomic_store_n(&g->room, room > GEN_LEN_MAX ? GEN_LEN_MAX : (uint32_t)room, __ATOMIC_RELAXED);
	__atomic_store_n(&g->started, true, __ATOMIC_RELEASE);
	return 0;
}

static void gen_stop(struct port *p)
{
	struct gen_port *g = gen_of(p);

	__atomic_store_n(&g->started, false, __ATOMIC_RELEASE);
	__atomic_store_n(&g->room, 0, __ATOMIC_RELAXED);
	port_buffers_free(&g->bufs);
}

static uint32_t gen_random_below(struct gen_port *g, uint32_t n)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return (uint32_t)((g->random >> 32) * n >> 32);
}

static inline uint32_t gen_size_peek(struct gen_port *g)
{
	const struct gen_sizes *z = &g->now.sizes;

	if (p2p_likely(z->min == z->max))
		return z->min;
	if (z->n)
		return z->list[g->next_size % z->n];
	return z->min + gen_random_below(g, z->max - z->min + 1);
}

static void gen_pattern_spread(const struct p2p_seg *segs, unsigned int n, uint64_t key)
{
	uint32_t at = 0;
	unsigned int i;

	gen_pattern_write(segs[0].data + GEN_HEAD_BYTES, 0, segs[0].len - GEN_HEAD_BYTES, key);
	for (i = 1; i < n; i++) {
		at += segs[i - 1].len;
		gen_pattern_write(segs[i].data, at - GEN_HEAD_BYTES, segs[i].len, key);
	}
}

/* One frame into the oldest buffers; returns its segments, 0 if it does not fit. */
static inline unsigned int gen_frame_make(struct gen_port *g, struct p2p_seg *out, unsigned int room, uint32_t len,
					  uint64_t now_ns)
{
	struct gen_flow *f = &g->flow[g->next_flow];
	unsigned int n = 1;
	uint64_t key;

	if (p2p_unlikely(!port_buffers_count(&g->bufs)))
		return 0;
	if (p2p_unlikely(len > port_buffers_at(&g->bufs, 0)->len)) {
		n = port_buffers_needed(&g->bufs, len, room);
		if (!n)
			return 0;
	}
	if (p2p_unlikely(f->len != len))
		gen_flow_set_len(f, len);
	n = port_buffers_take(&g->bufs, out, len);
	key = len > GEN_HEAD_BYTES ? gen_flow_key(f) : 0;
	gen_flow_write_head(f, out[0].data, now_ns);
	if (len > GEN_HEAD_BYTES)
		gen_pattern_spread(out, n, key);
	if (++g->next_flow == g->n_flows)
		g->next_flow = 0;
	g->next_size++;
	return n;
}

static uint64_t gen_quota(struct gen_port *g, uint64_t now_ns)
{
	uint64_t quota;

	if (g->now.none || (g->now.count && g->made >= g->now.count))
		return 0;
	quota = pace_due(&g->pace, now_ns);
	if (g->now.count && quota > g->now.count - g->made)
		quota = g->now.count - g->made;
	return quota;
}

static unsigned int gen_rx_burst(struct port *p, struct p2p_seg *segs, unsigned int n)
{
	struct gen_port *g = gen_of(p);
	uint64_t now_ns, quota, frames = 0, bytes = 0, random = g->random;
	unsigned int used = 0, k;
	uint32_t len;

	if (p2p_unlikely(gen_unsettled(g)) && !gen_settle(g))
		return 0;
	if (!g->tx || !g->started || !port_buffers_count(&g->bufs))
		return 0;
	now_ns = port_clock_ns();
	for (quota = gen_quota(g, now_ns); quota && used < n; quota--) {
		random = g->random;
		len = gen_size_peek(g);
		k = gen_frame_make(g, segs + used, n - used, len, now_ns);
		if (!k) {
			g->random = random;
			break;
		}
		used += k;
		frames++;
		bytes += len;
	}
	if (!frames)
		return 0;
	pace_spend(&g->pace, frames);
	g->made += frames;
	p2p_count(&g->sent, frames);
	p2p_count(&g->sent_bytes, bytes);
	p2p_count(&p->stats.rx_frames, frames);
	p2p_count(&p->stats.rx_bytes, bytes);
	return used;
}

static unsigned int gen_rx_post(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && segs[i].len >= GEN_HEAD_BYTES; i++)
		;
	return port_buffers_post(&gen_of(p)->bufs, segs, i);
}

/* Checking */

static unsigned int gen_tx_burst(struct port *p, const struct p2p_seg *segs, unsigned int n)
{
	struct gen_port *g = gen_of(p);
	uint64_t now_ns, frames = 0, bytes = 0;
	unsigned int i, first = 0;
	uint32_t len = 0;

	if (!g->started || !n)
		return 0;
	now_ns = port_clock_ns();
	for (i = 0; i < n; i++) {
		len += segs[i].len;
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		gen_sink_frame(&g->sink, segs + first, i + 1 - first, len, now_ns);
		frames++;
		bytes += len;
		first = i + 1;
		len = 0;
	}
	p2p_count(&p->stats.tx_frames, frames);
	p2p_count(&p->stats.tx_bytes, bytes);
	g->done += first;
	return first;
}

static unsigned int gen_tx_done(struct port *p)
{
	struct gen_port *g = gen_of(p);
	unsigned int n = g->done;

	g->done = 0;
	return n;
}

static void gen_control(struct port *p, uint64_t now_ns)
{
	struct gen_port *g = gen_of(p);
	eventfd_t v;

	eventfd_read(g->event_fd, &v);
	if (p2p_unlikely(gen_unsettled(g)))
		gen_settle(g);
}

static unsigned int gen_fds(struct port *p, int *fds, unsigned int max, uint32_t *gen)
{
	*gen = 0;
	if (!max)
		return 0;
	fds[0] = gen_of(p)->event_fd;
	return 1;
}

static uint64_t gen_next_event(struct port *p, uint64_t now_ns)
{
	struct gen_port *g = gen_of(p);

	if (!g->tx || !g->started || g->seen_pause || !port_buffers_count(&g->bufs))
		return UINT64_MAX;
	if (g->now.none || (g->now.count && g->made >= g->now.count))
		return UINT64_MAX;
	return pace_next_ns(&g->pace, now_ns);
}

static bool gen_link_up(struct port *p)
{
	return __atomic_load_n(&gen_of(p)->started, __ATOMIC_RELAXED);
}

static bool gen_exhausted(struct port *p)
{
	const struct gen_port *g = gen_of(p);
	unsigned int q;

	for (q = 0; q < g->queues && q < g->spread; q++) {
		const struct gen_port *l = g->lane[q];

		if (!l->now.none && (!l->now.count || l->made < l->now.count))
			return false;
	}
	return true;
}

#define GEN_OPS \
	.scheme = "gen", \
	.help = "gen:[NAME][,size=64..9216|A-B|imix|mix][,rate=PPS][,count=N][,flows=N][,burst=N][,id=N][,seed=N][,queues=N][,src=MAC]" \
		"[,dst=MAC][,routed][,tx=off]: generator and checking sink", \
	.open = gen_open, .start = gen_start, .stop = gen_stop, .close = gen_close, .rx_burst = gen_rx_burst, \
	.rx_post = gen_rx_post, .tx_burst = gen_tx_burst, .tx_done = gen_tx_done, .control = gen_control, \
	.fds = gen_fds, .next_event = gen_next_event, .link_up = gen_link_up, .queue = gen_queue, .in_order = port_buffers_in_order

const struct port_ops port_gen_ops = { GEN_OPS };
/* A generator that ends. */
static const struct port_ops gen_ops_counted = { GEN_OPS, .exhausted = gen_exhausted };
