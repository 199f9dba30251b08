/* SPDX-License-Identifier: BSD-3-Clause */
/* gen: a cable with a traffic generator and a checking sink at its far end. */
#include "ports/gen.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ports/buffers.h"
#include "ports/gen_frame.h"
#include "ports/gen_sink.h"
#include "ports/pace.h"
#include "ports/schemes.h"

#define GEN_FCS_BYTES 4u
#define GEN_FLOWS_MAX 65536u

/* Frame lengths (without FCS): one after the other from a list, or random within [min, max]. */
struct gen_sizes {
	uint32_t n;
	uint32_t list[12];
	uint32_t min, max;
};

/* Seven of 64, four of 594, one of 1518, spread out. */
static const struct gen_sizes gen_sizes_imix = {
	.n = 12,
	.list = { 60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 590, 60 },
	.min = 60,
	.max = 1514,
};
static const struct gen_sizes gen_sizes_mix = { .min = 60, .max = 1514 };

struct gen_setting {
	struct gen_sizes sizes;
	uint64_t rate_pps;
	uint64_t count;
};

struct gen_baseline {
	uint64_t sent, sent_bytes, behind;
	uint64_t foreign, damaged_head;
	struct gen_source_counts source[GEN_SOURCES];
	struct histogram latency;
};

struct gen_port {
	struct port port;

	/* The worker's. */
	struct gen_flow *flow;
	uint32_t n_flows;
	uint32_t next_flow;
	uint32_t next_size;
	uint64_t random;
	struct gen_setting now;
	struct pace pace;
	uint64_t made; /* frames of this run */
	uint32_t done; /* segments to report by tx_done */
	struct port_buffers bufs;
	uint32_t buf_size;
	uint8_t run;
	bool started;
	struct gen_sink sink;
	uint64_t sent, sent_bytes; /* read by others */

	/* Fixed at open. */
	bool tx;
	uint8_t id;
	uint64_t burst;
	int event_fd; /* wakes the worker */

	/* Requests to the worker, relaxed atomics but for the setting, which the lock guards. */
	bool want_pause, seen_pause;
	bool want_setting;
	uint32_t want_run, seen_run;
	uint32_t room; /* the longest frame that fits, 0 while stopped */
	pthread_mutex_t lock;
	struct gen_setting setting;
	struct gen_baseline *base;
};

static uint32_t gen_next_id = 1;

static const struct port_ops gen_ops_counted;

static inline struct gen_port *gen_of(const struct port *p)
{
	return (struct gen_port *)(uintptr_t)p;
}

bool port_is_gen(const struct port *p)
{
	return p->ops == &port_gen_ops || p->ops == &gen_ops_counted;
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

static int gen_sizes_parse(struct gen_sizes *z, const char *s)
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

static int gen_mac_parse(uint8_t mac[6], const char *s)
{
	unsigned int b[6], i;
	int end = -1;

	if (strlen(s) != 17 || sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 ||
	    end != 17)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

struct gen_options {
	struct gen_setting setting;
	struct gen_flow_setting flow;
	uint64_t flows, id, burst, seed;
	bool tx;
};

static int gen_options_macs(struct gen_options *o, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *s;

	memcpy(o->flow.src, (const uint8_t[6]){ 0x02, 0x50, 0x32, (uint8_t)o->id, 0, 1 }, 6);
	memcpy(o->flow.dst, (const uint8_t[6]){ 0x02, 0x50, 0x32, (uint8_t)o->id, 0, 2 }, 6);
	s = port_spec_get(spec, "src");
	if (s && (gen_mac_parse(o->flow.src, s) || (o->flow.src[0] & 1))) {
		snprintf(err, PORT_ERR_MAX, "gen: src=%.40s: give a unicast MAC address, as 02:00:00:00:00:01", s);
		return -EINVAL;
	}
	s = port_spec_get(spec, "dst");
	if (s && gen_mac_parse(o->flow.dst, s)) {
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
	if (rc)
		return rc;
	if (o->id == UINT64_MAX)
		o->id = __atomic_fetch_add(&gen_next_id, 1, __ATOMIC_RELAXED) % GEN_SOURCES;
	rc = gen_options_macs(o, spec, err);
	return rc ? rc : gen_options_switches(o, spec, err);
}

static int gen_flows_make(struct gen_port *g, const struct gen_options *o)
{
	struct gen_flow_setting s = o->flow;
	uint32_t i;

	g->flow = port_alloc(o->flows * sizeof(*g->flow));
	if (!g->flow)
		return -ENOMEM;
	g->n_flows = (uint32_t)o->flows;
	s.id = g->id;
	s.run = g->run;
	for (i = 0; i < g->n_flows; i++) {
		s.flow = (uint16_t)i;
		gen_flow_init(&g->flow[i], &s);
	}
	return 0;
}

static void gen_close(struct port *p)
{
	struct gen_port *g = gen_of(p);

	gen_sink_free(&g->sink);
	port_buffers_free(&g->bufs);
	pthread_mutex_destroy(&g->lock);
	if (g->event_fd >= 0)
		close(g->event_fd);
	free(g->base);
	free(g->flow);
	free(g);
}

static int gen_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	struct gen_options o;
	struct gen_port *g;
	int rc;

	rc = gen_options_parse(&o, spec, err);
	if (rc)
		return rc;
	gen_frame_init();
	g = port_alloc(sizeof(*g));
	if (!g) {
		snprintf(err, PORT_ERR_MAX, "gen: out of memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&g->lock, NULL);
	g->port.ops = o.tx && o.setting.count ? &gen_ops_counted : &port_gen_ops;
	g->setting = g->now = o.setting;
	g->random = gen_mix(o.seed + 1) | 1;
	g->id = (uint8_t)o.id;
	g->burst = o.burst;
	g->tx = o.tx;
	/* A generator that is started again must not look like its former self. */
	g->run = (uint8_t)gen_mix(port_clock_ns());
	pace_init(&g->pace, o.setting.rate_pps, o.burst);
	g->base = calloc(1, sizeof(*g->base));
	g->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!g->base || g->event_fd < 0 || gen_flows_make(g, &o)) {
		rc = g->event_fd < 0 ? -errno : -ENOMEM;
		snprintf(err, PORT_ERR_MAX, "gen: %s", strerror(-rc));
		gen_close(&g->port);
		return rc;
	}
	*out = &g->port;
	return 0;
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
	g->now = g->setting;
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

static int gen_start(struct port *p, const struct port_memory *mem)
{
	struct gen_port *g = gen_of(p);
	uint32_t most = mem->rx_bufs < P2P_MAX_SEGS ? mem->rx_bufs : P2P_MAX_SEGS;
	uint64_t room = (uint64_t)mem->buf_size * most;
	int rc;

	gen_run_begin(g);
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

	if (g->now.count && g->made >= g->now.count)
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
	if (g->now.count && g->made >= g->now.count)
		return UINT64_MAX;
	return pace_next_ns(&g->pace, now_ns);
}

static bool gen_link_up(struct port *p)
{
	return __atomic_load_n(&gen_of(p)->started, __ATOMIC_RELAXED);
}

static bool gen_exhausted(struct port *p)
{
	struct gen_port *g = gen_of(p);

	return g->now.count && g->made >= g->now.count;
}

/* Other threads */

static void gen_wake(struct gen_port *g)
{
	eventfd_write(g->event_fd, 1);
}

void port_gen_pause(struct port *p, bool pause)
{
	struct gen_port *g = gen_of(p);

	__atomic_store_n(&g->want_pause, pause, __ATOMIC_SEQ_CST);
	gen_wake(g);
}

bool port_gen_quiet(struct port *p)
{
	struct gen_port *g = gen_of(p);

	if (!g->tx || !__atomic_load_n(&g->started, __ATOMIC_ACQUIRE))
		return true;
	return __atomic_load_n(&g->want_pause, __ATOMIC_SEQ_CST) && __atomic_load_n(&g->seen_pause, __ATOMIC_SEQ_CST);
}

int port_gen_set(struct port *p, const char *size, uint64_t rate_pps, uint64_t count)
{
	struct gen_port *g = gen_of(p);
	uint32_t room = __atomic_load_n(&g->room, __ATOMIC_RELAXED);
	struct gen_sizes sizes = { 0 };

	if (size && gen_sizes_parse(&sizes, size))
		return -EINVAL;
	if (size && room && sizes.max > room)
		return -EMSGSIZE;
	pthread_mutex_lock(&g->lock);
	if (size)
		g->setting.sizes = sizes;
	if (rate_pps != GEN_KEEP)
		g->setting.rate_pps = rate_pps;
	if (count != GEN_KEEP)
		g->setting.count = count;
	__atomic_store_n(&g->want_setting, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&g->lock);
	gen_wake(g);
	return 0;
}

static void gen_source_read(const struct gen_port *g, unsigned int id, struct gen_source_counts *c)
{
	const struct gen_source *src = __atomic_load_n(&g->sink.source[id], __ATOMIC_ACQUIRE);

	memset(c, 0, sizeof(*c));
	if (!src)
		return;
#define X(name, desc) c->name = p2p_count_read(&src->count.name);
	GEN_SOURCE_COUNTERS(X)
#undef X
}

static void gen_source_since(const struct gen_port *g, unsigned int id, struct gen_source_counts *c)
{
	gen_source_read(g, id, c);
#define X(name, desc) c->name -= g->base->source[id].name;
	GEN_SOURCE_COUNTERS(X)
#undef X
}

void port_gen_reset_stats(struct port *p)
{
	struct gen_port *g = gen_of(p);
	struct gen_baseline *b = g->base;
	unsigned int i;

	b->sent = p2p_count_read(&g->sent);
	b->sent_bytes = p2p_count_read(&g->sent_bytes);
	b->behind = p2p_count_read(&g->pace.behind);
	b->foreign = p2p_count_read(&g->sink.foreign);
	b->damaged_head = p2p_count_read(&g->sink.damaged_head);
	for (i = 0; i < GEN_SOURCES; i++)
		gen_source_read(g, i, &b->source[i]);
	histogram_copy(&b->latency, &g->sink.latency);
	__atomic_store_n(&g->want_run, g->want_run + 1, __ATOMIC_RELAXED);
	gen_wake(g);
}

int port_gen_latency(struct port *p, struct histogram *out)
{
	struct gen_port *g = gen_of(p);

	if (!port_is_gen(p))
		return -EINVAL;
	histogram_copy(out, &g->sink.latency);
	histogram_subtract(out, &g->base->latency);
	return 0;
}

static int gen_report_latency(struct port *p, struct gen_report *r)
{
	struct histogram *h = malloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	port_gen_latency(p, h);
	r->latency_count = histogram_count(h);
	r->latency_min_ns = histogram_percentile(h, 0);
	r->latency_p50_ns = histogram_percentile(h, 50);
	r->latency_p90_ns = histogram_percentile(h, 90);
	r->latency_p99_ns = histogram_percentile(h, 99);
	r->latency_p999_ns = histogram_percentile(h, 99.9);
	r->latency_max_ns = histogram_percentile(h, 100);
	r->latency_mean_ns = histogram_mean(h);
	free(h);
	return 0;
}

static void gen_report_sent(const struct gen_port *g, struct gen_report *r)
{
	r->sent = p2p_count_read(&g->sent) - g->base->sent;
	r->sent_bytes = p2p_count_read(&g->sent_bytes) - g->base->sent_bytes;
	r->behind = p2p_count_read(&g->pace.behind) - g->base->behind;
}

static void gen_report_add(struct gen_report *r, const struct gen_source_counts *c)
{
	r->received += c->frames;
	r->received_bytes += c->bytes;
	r->duplicated += c->duplicated;
	r->reordered += c->reordered;
	r->corrupted += c->damaged_tail;
	r->stale += c->stale;
}

static uint64_t gen_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

int port_gen_report(struct port *p, struct gen_report *r)
{
	struct gen_port *g = gen_of(p);
	struct gen_source_counts c;
	unsigned int i;

	memset(r, 0, sizeof(*r));
	if (!port_is_gen(p))
		return -EINVAL;
	gen_report_sent(g, r);
	for (i = 0; i < GEN_SOURCES; i++) {
		gen_source_since(g, i, &c);
		gen_report_add(r, &c);
		r->lost += gen_less(gen_less(c.span, c.unique), c.damaged_head);
	}
	r->corrupted += p2p_count_read(&g->sink.damaged_head) - g->base->damaged_head;
	r->foreign = p2p_count_read(&g->sink.foreign) - g->base->foreign;
	return gen_report_latency(p, r);
}

int port_gen_report_pair(struct port *gen, struct port *sink, struct gen_report *r)
{
	struct gen_port *g = gen_of(gen), *k = gen_of(sink);
	struct gen_source_counts c;

	memset(r, 0, sizeof(*r));
	if (!port_is_gen(gen) || !port_is_gen(sink))
		return -EINVAL;
	gen_report_sent(g, r);
	gen_source_since(k, g->id, &c);
	gen_report_add(r, &c);
	r->lost = gen_less(gen_less(r->sent, c.unique), c.damaged_head);
	r->corrupted += p2p_count_read(&k->sink.damaged_head) - k->base->damaged_head;
	r->foreign = p2p_count_read(&k->sink.foreign) - k->base->foreign;
	return gen_report_latency(sink, r);
}

#define GEN_OPS \
	.scheme = "gen", \
	.help = "gen:[NAME][,size=64..9216|A-B|imix|mix][,rate=PPS][,count=N][,flows=N][,burst=N][,id=N][,seed=N][,src=MAC]" \
		"[,dst=MAC][,routed][,tx=off]: generator and checking sink", \
	.open = gen_open, .start = gen_start, .stop = gen_stop, .close = gen_close, .rx_burst = gen_rx_burst, \
	.rx_post = gen_rx_post, .tx_burst = gen_tx_burst, .tx_done = gen_tx_done, .control = gen_control, \
	.fds = gen_fds, .next_event = gen_next_event, .link_up = gen_link_up, .in_order = port_buffers_in_order

const struct port_ops port_gen_ops = { GEN_OPS };
/* A generator that ends. */
static const struct port_ops gen_ops_counted = { GEN_OPS, .exhausted = gen_exhausted };
