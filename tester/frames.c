/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SINK_BURST 64u

static const uint64_t frame_factor[GEN_HEAD_WORDS] = GEN_CHECK_FACTORS;

/* ---- writing ---- */

/* Lines that are to be written are asked for in one go, so that their ways from the other core overlap. */
static inline void frame_prefetch(const struct p2p_seg *segs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(segs[i].data, 1);
}

struct frame_stamp {
	uint64_t w6, w7, sum; /* the time's share of words 6 and 7 and of the check: the same for a burst */
};

static inline struct frame_stamp frame_stamp_at(uint64_t time_ns)
{
	struct frame_stamp s = { .w6 = time_ns << 32, .w7 = (time_ns >> 32) & 0xffff };

	s.sum = s.w6 * frame_factor[6] + s.w7 * frame_factor[7];
	return s;
}

typedef uint64_t frame_v4 __attribute__((vector_size(32), aligned(1), may_alias));

static inline __attribute__((always_inline)) void frame_store64(uint8_t *dst, uint64_t v)
{
	v = P2P_SWAP64(v);
	memcpy(dst, &v, 8);
}

/*
 * As gen_flow_write_head() with number seq, a whole line; the last 4 bytes of
 * it are zeros.  Word by word: put together in an array first, the words would
 * have to be stored before they could be loaded as vectors.
 */
static inline __attribute__((always_inline)) void frame_head(const struct gen_flow *f, uint32_t seq, uint8_t *dst,
							     const struct frame_stamp *s)
{
	const uint64_t w5 = (uint64_t)seq << 32;
	const uint64_t sum = f->sum + w5 * frame_factor[5] + s->sum;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	*(frame_v4 *)dst = *(const frame_v4 *)f->word;
#else
	for (unsigned int i = 0; i < 4; i++)
		frame_store64(dst + 8 * i, f->word[i]);
#endif
	frame_store64(dst + 32, f->word[4]);
	frame_store64(dst + 40, f->word[5] | w5);
	frame_store64(dst + 48, f->word[6] | s->w6);
	frame_store64(dst + 56, s->w7 | (sum >> 48) << 16);
}

/* The same of a flow whose words have just been put together: in registers, not to be read as a vector. */
static inline __attribute__((always_inline)) void frame_head_words(const struct gen_flow *f, uint32_t seq, uint8_t *dst,
								   const struct frame_stamp *s)
{
	const uint64_t w5 = (uint64_t)seq << 32;
	const uint64_t sum = f->sum + w5 * frame_factor[5] + s->sum;

	for (unsigned int i = 0; i < 5; i++)
		frame_store64(dst + 8 * i, f->word[i]);
	frame_store64(dst + 40, f->word[5] | w5);
	frame_store64(dst + 48, f->word[6] | s->w6);
	frame_store64(dst + 56, s->w7 | (sum >> 48) << 16);
}

/* The pattern of a frame of len bytes whose buffer has room for whole 32-byte blocks. */
static inline __attribute__((always_inline)) void frame_tail(const uint8_t *table, uint8_t *dst, uint32_t len,
							     uint64_t key)
{
	const uint64_t turned = P2P_SWAP64(key >> 32 | key << 32);
	const frame_v4 k = { turned, turned, turned, turned };
	uint32_t first;

	/* Bytes 60 to 63, then whole blocks from the second line on. */
	memcpy(&first, table, 4);
	first ^= P2P_SWAP32((uint32_t)key);
	memcpy(dst + GEN_HEAD_BYTES, &first, 4);
	for (uint32_t at = 64; at < len; at += 32)
		*(frame_v4 *)(dst + at) = *(const frame_v4 *)(table + at - GEN_HEAD_BYTES) ^ k;
}

/* ---- destinations ---- */

/* Of the flow as it is: after each change of its length or run. */
static void spread_begin(struct tester_spread *d, const struct gen_flow *f)
{
	const uint32_t was = (uint32_t)(f->word[3] >> 48) | (uint32_t)(f->word[4] & 0xffff) << 16;

	d->next = 0;
	d->mask = f->routed ? ~0xffffull : ~0ull;
	d->word[0] = f->word[3] & 0xffffffff0000ull;
	d->word[1] = f->word[4] & ~0xffffull;
	d->sum = f->sum - (f->word[3] & d->mask) * frame_factor[3] - f->word[4] * frame_factor[4];
	/* In ones' complement taking away is adding the complement. */
	d->ip_sum = (~(uint32_t)f->word[3] & 0xffff) + (~was & 0xffff) + (~was >> 16);
}

struct frame_aim {
	uint64_t w3, w4, sum; /* sum: of all words but what differs by number and time */
};

static inline __attribute__((always_inline)) struct frame_aim spread_aim(const struct tester_spread *d, uint32_t to)
{
	const uint32_t at = __builtin_bswap32(to);
	uint32_t ip = d->ip_sum + (at & 0xffff) + (at >> 16);
	struct frame_aim a;

	ip = (ip & 0xffff) + (ip >> 16);
	ip = (ip & 0xffff) + (ip >> 16);
	a.w3 = d->word[0] | (uint64_t)at << 48 | (~ip & 0xffff);
	a.w4 = d->word[1] | at >> 16;
	a.sum = d->sum + (a.w3 & d->mask) * frame_factor[3] + a.w4 * frame_factor[4];
	return a;
}

static inline uint32_t spread_next(struct tester_spread *d)
{
	const uint32_t k = d->next;

	d->next = k + 1 < d->n ? k + 1 : 0;
	return d->dst[k];
}

static void frame_write_exact(struct gen_flow *f, uint8_t *dst, uint32_t len, uint64_t time_ns)
{
	const uint64_t key = gen_flow_key(f);

	gen_flow_write_head(f, dst, time_ns);
	if (len > GEN_HEAD_BYTES)
		gen_pattern_write(dst + GEN_HEAD_BYTES, 0, len - GEN_HEAD_BYTES, key);
}

static inline struct gen_flow *gen_next_flow(struct tester_gen *g, unsigned int q)
{
	struct gen_flow *f = &g->flow[g->next[q]];

	g->next[q] += g->queues;
	if (g->next[q] >= g->flows)
		g->next[q] = q;
	return f;
}

/* n frames, each into a buffer with room for whole blocks; all of one flow, whose state then stays in registers. */
static inline __attribute__((always_inline)) void gen_write_one_flow(struct tester_gen *g, const struct p2p_seg *segs,
								     unsigned int n, const struct frame_stamp *s)
{
	struct gen_flow *own = g->flow, f = *own;
	const uint8_t *table = gen_pattern_table();
	const uint32_t len = g->len;

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *dst = segs[i].data;
		const uint64_t key = gen_flow_key(&f);

		frame_head(&f, f.seq, dst, s);
		if (len > GEN_HEAD_BYTES)
			frame_tail(table, dst, len, key);
		f.seq++;
	}
	own->seq = f.seq;
}

static inline __attribute__((always_inline)) void gen_write_flows(struct tester_gen *g, const struct p2p_seg *segs,
								  unsigned int n, unsigned int q,
								  const struct frame_stamp *s)
{
	const uint32_t len = g->len, flows = g->flows, step = g->queues;
	const uint8_t *table = gen_pattern_table();
	struct gen_flow *flow = g->flow;
	uint32_t next = g->next[q];

	for (unsigned int i = 0; i < n; i++) {
		struct gen_flow *f = &flow[next];
		uint8_t *dst = segs[i].data;
		const uint32_t seq = f->seq;

		frame_head(f, seq, dst, s);
		if (len > GEN_HEAD_BYTES)
			frame_tail(table, dst, len, gen_flow_key(f));
		f->seq = seq + 1;
		next += step;
		if (next >= flows)
			next = q;
	}
	g->next[q] = next;
}

/* One flow, each frame to the next destination. */
static inline __attribute__((always_inline)) void gen_write_spread(struct tester_gen *g, const struct p2p_seg *segs,
								   unsigned int n, const struct frame_stamp *s)
{
	struct gen_flow *own = g->flow, f = *own;
	const uint8_t *table = gen_pattern_table();
	struct tester_spread d = g->spread;
	const uint32_t len = g->len;

	for (unsigned int i = 0; i < n; i++) {
		const struct frame_aim a = spread_aim(&d, spread_next(&d));
		const uint64_t key = gen_flow_key(&f);
		uint8_t *dst = segs[i].data;

		f.word[3] = a.w3;
		f.word[4] = a.w4;
		f.sum = a.sum;
		frame_head_words(&f, f.seq, dst, s);
		if (len > GEN_HEAD_BYTES)
			frame_tail(table, dst, len, key);
		f.seq++;
	}
	own->seq = f.seq;
	g->spread.next = d.next;
}

static inline __attribute__((always_inline)) void gen_write_burst(struct tester_gen *g, const struct p2p_seg *segs,
								  unsigned int n, unsigned int q, uint64_t time_ns)
{
	const struct frame_stamp s = frame_stamp_at(time_ns);

	frame_prefetch(segs, n);
	if (g->spread.dst)
		gen_write_spread(g, segs, n, &s);
	else if (g->flows == 1)
		gen_write_one_flow(g, segs, n, &s);
	else
		gen_write_flows(g, segs, n, q, &s);
}

static void gen_write_plain(struct tester_gen *g, const struct p2p_seg *segs, unsigned int n, unsigned int q,
			    uint64_t time_ns)
{
	gen_write_burst(g, segs, n, q, time_ns);
}

#ifdef __x86_64__
static __attribute__((target("avx2,prfchw"))) void gen_write_avx2(struct tester_gen *g, const struct p2p_seg *segs,
								   unsigned int n, unsigned int q, uint64_t time_ns)
{
	gen_write_burst(g, segs, n, q, time_ns);
}
#endif

/* ---- generator ---- */

static void gen_flow_setting(struct gen_flow_setting *s, const struct tester_load *load, uint8_t id, uint32_t flow)
{
	const uint32_t dst = id && load->back_ip ? load->back_ip : load->dst_ip ? load->dst_ip : 0xc6130000u;

	memset(s, 0, sizeof(*s));
	memcpy(s->src, load->src_mac[id], 6);
	memcpy(s->dst, load->dst_mac[id], 6);
	s->id = id;
	s->flow = (uint16_t)flow;
	s->routed = load->routed;
	s->src_ip = load->src_ip ? load->src_ip : 0xc6120001u;
	s->dst_ip = dst + flow % (load->dst_count ? load->dst_count : 65536u);
}

int tester_gen_init(struct tester_gen *g, struct tester_cable *out, const struct tester_load *load, unsigned int burst,
		    uint8_t id)
{
	struct gen_flow_setting s;

	memset(g, 0, sizeof(*g));
	gen_frame_init();
	g->out = out;
	g->burst = burst;
	g->flows = load->flows ? load->flows : 1;
	g->len = load->frame_bytes - 4;
	g->flow = aligned_alloc(64, g->flows * sizeof(*g->flow));
	if (!g->flow)
		return -ENOMEM;
	if (!id && load->dst)
		g->spread = (struct tester_spread){ .dst = load->dst, .n = load->dst_n };
	for (uint32_t i = 0; i < g->flows; i++) {
		gen_flow_setting(&s, load, id, i);
		gen_flow_init(&g->flow[i], &s);
		gen_flow_set_len(&g->flow[i], g->len);
	}
	g->write = gen_write_plain;
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		g->write = gen_write_avx2;
#endif
	return 0;
}

/* A burst of which a ring holds two, so that one is filled while the other is emptied. */
static unsigned int frame_burst(const struct tester_cable *c, unsigned int burst)
{
	const unsigned int half = port_memif_ring_size(c->port) / 2;

	return half && half < burst ? half : burst;
}

/* The run is in word 6, and with it in the check and the key. */
void tester_gen_begin(struct tester_gen *g, const struct tester_clock *clock, uint8_t run, uint64_t rate_pps,
		      uint64_t count)
{
	g->patience = rate_pps || !g->out->server ? 0 : tester_ns_ticks(clock, TESTER_PATIENCE_NS);
	memset(g->waiting, 0, sizeof(g->waiting));
	g->least = frame_burst(g->out, g->burst);
	for (uint32_t i = 0; i < g->flows; i++) {
		struct gen_flow *f = &g->flow[i];

		f->word[6] = (f->word[6] & ~0xff00ull) | (uint64_t)run << 8;
		f->ident = f->word[6] << 32;
		f->seq = 0;
		gen_flow_set_len(f, g->len);
	}
	if (g->spread.dst)
		spread_begin(&g->spread, g->flow);
	g->queues = g->out->ntx;
	for (unsigned int q = 0; q < g->queues; q++)
		g->next[q] = q;
	g->queue = 0;
	pace_init(&g->pace, rate_pps, 1);
	g->pace.behind = 0;
	g->left = count;
	g->sent = g->refused = g->forgiven = 0;
	g->failed = g->too_long = false;
}

void tester_gen_free(struct tester_gen *g)
{
	free(g->flow);
	g->flow = NULL;
}

static void gen_write_exact(struct tester_gen *g, unsigned int q, uint8_t *frame, uint64_t time_ns)
{
	struct gen_flow *own = gen_next_flow(g, q), f;
	struct frame_aim a;

	if (!g->spread.dst) {
		frame_write_exact(own, frame, g->len, time_ns);
		return;
	}
	a = spread_aim(&g->spread, spread_next(&g->spread));
	f = *own;
	f.word[3] = a.w3;
	f.word[4] = a.w4;
	f.sum = a.sum;
	frame_write_exact(&f, frame, g->len, time_ns);
	own->seq = f.seq;
}

/* A frame over several buffers: made aside and cut up.  Returns frames; *used segments. */
static unsigned int gen_write_cut(struct tester_gen *g, struct p2p_seg *segs, unsigned int n, unsigned int want,
				  unsigned int q, uint64_t time_ns, unsigned int *used)
{
	unsigned int frames = 0;

	*used = 0;
	while (frames < want) {
		uint8_t frame[GEN_LEN_MAX];
		uint32_t room = 0, at = 0;
		unsigned int k = 0;

		while (room < g->len && *used + k < n && k < P2P_MAX_SEGS)
			room += segs[*used + k++].len;
		if (room < g->len) {
			g->too_long |= k == P2P_MAX_SEGS;
			break;
		}
		gen_write_exact(g, q, frame, time_ns);
		for (unsigned int i = 0; i < k; i++) {
			struct p2p_seg *s = &segs[*used + i];

			s->len = g->len - at < s->len ? g->len - at : s->len;
			s->flags = i + 1 < k ? P2P_SEG_MORE : 0;
			memcpy(s->data, frame + at, s->len);
			at += s->len;
		}
		*used += k;
		frames++;
	}
	return frames;
}

/* Is it worth while to wait for more than what is there? */
static inline bool frame_wait(uint64_t patience, uint64_t *waiting, unsigned int there, unsigned int least, uint64_t now)
{
	if (there >= least) {
		*waiting = 0;
		return false;
	}
	if (!there)
		return true;
	if (!*waiting)
		*waiting = now;
	if (now - *waiting < patience)
		return true;
	*waiting = 0;
	return false;
}

/* Reserves, writes and commits up to want frames on queue q; returns how many. */
static unsigned int gen_send(struct tester_gen *g, unsigned int want, unsigned int q, uint64_t time_ns)
{
	const uint32_t len = g->len, whole = (uint32_t)P2P_ALIGN_UP(len, 64);
	struct p2p_seg segs[TESTER_BURST_MAX];
	unsigned int n = tester_cable_reserve(g->out, q, segs, want), used = n, frames = n;
	bool small = false;

	if (p2p_unlikely(!n))
		return 0;
	for (unsigned int i = 0; i < n; i++)
		small |= segs[i].len < whole;
	if (p2p_likely(!small)) {
		g->write(g, segs, n, q, time_ns);
		for (unsigned int i = 0; i < n; i++)
			segs[i].len = len;
	} else {
		/* The same buffers and perhaps some more. */
		n = tester_cable_reserve(g->out, q, segs, TESTER_BURST_MAX);
		frames = gen_write_cut(g, segs, n, want, q, time_ns, &used);
		if (!used)
			return 0;
	}
	if (p2p_unlikely(!tester_cable_commit(g->out, q, segs, used))) {
		g->failed = true;
		return 0;
	}
	return frames;
}

bool tester_gen_step(struct tester_gen *g, const struct tester_clock *clock, uint64_t now)
{
	const uint64_t now_ns = tester_ticks_ns(clock, now);
	uint64_t want = g->burst;
	unsigned int sent = 0;

	if (g->pace.rate_pps) {
		uint64_t due = pace_due(&g->pace, now_ns + 1), forgiven = g->pace.behind - g->forgiven;

		if (p2p_unlikely(forgiven)) {
			forgiven = forgiven < g->left ? forgiven : g->left;
			g->forgiven += forgiven;
			g->pace.behind = g->forgiven;
			g->left -= forgiven;
		}
		want = due < want ? due : want;
	}
	if (want > g->left)
		want = g->left;
	if (!want)
		return false;
	for (unsigned int i = 0; i < g->queues && !sent; i++) {
		const unsigned int q = g->queue;

		g->queue = q + 1 < g->queues ? q + 1 : 0;
		if (q >= g->flows || (g->patience && frame_wait(g->patience, &g->waiting[q],
								 port_memif_posted(g->out->port, q), g->least, now)))
			continue;
		sent = gen_send(g, (unsigned int)want, q, now_ns);
	}
	g->sent += sent;
	if (g->pace.rate_pps) {
		pace_spend(&g->pace, want);
		g->refused += want - sent;
		g->left -= want;
	} else {
		g->left -= sent;
	}
	return sent;
}

/* ---- sink ---- */

int tester_sink_init(struct tester_sink *k, struct tester_cable *in, const struct tester_load *load,
		     struct histogram *age, uint8_t id)
{
	memset(k, 0, sizeof(*k));
	k->in = in;
	k->gear = load->gear;
	k->flows = load->flows ? load->flows : 1;
	k->len = load->frame_bytes - 4;
	k->id = id;
	k->latency = load->latency;
	k->age = age;
	k->random = 0x9e3779b97f4a7c15u + id;
	if (k->gear == TESTER_CHECK)
		k->check = calloc(1, sizeof(*k->check));
	else
		k->last = calloc(k->flows, sizeof(*k->last));
	return k->check || k->last ? 0 : -ENOMEM;
}

int tester_sink_begin(struct tester_sink *k, const struct tester_clock *clock, uint8_t run, unsigned int burst,
		      bool patient)
{
	k->patience = patient && k->in->server ? tester_ns_ticks(clock, TESTER_PATIENCE_NS) : 0;
	memset(k->waiting, 0, sizeof(k->waiting));
	k->least = frame_burst(k->in, burst < SINK_BURST ? burst : SINK_BURST);
	k->run = run;
	k->received = k->corrupted = k->reordered = k->duplicated = k->stale = k->foreign = k->checked = 0;
	k->failed = false;
	k->skip = 0;
	if (k->gear == TESTER_BENCH) {
		memset(k->last, 0, k->flows * sizeof(*k->last));
		return 0;
	}
	gen_sink_free(k->check);
	return gen_sink_fix(k->check, k->id, run);
}

void tester_sink_free(struct tester_sink *k)
{
	if (k->check)
		gen_sink_free(k->check);
	free(k->check);
	free(k->last);
	k->check = NULL;
	k->last = NULL;
}

/* One frame in about TESTER_SAMPLE, at no fixed place of a burst or flow. */
static uint32_t sink_stride(struct tester_sink *k)
{
	k->random ^= k->random << 13;
	k->random ^= k->random >> 7;
	k->random ^= k->random << 17;
	return (uint32_t)(k->random >> 32) % (2 * TESTER_SAMPLE - 1);
}

static bool sink_pattern_good(const struct p2p_seg *segs, unsigned int n, const struct gen_info *info)
{
	const uint64_t key = gen_info_key(info);
	uint32_t at = 0;

	for (unsigned int i = 0; i < n; i++) {
		const uint32_t skip = at >= GEN_HEAD_BYTES ? 0 : GEN_HEAD_BYTES - at;

		if (skip < segs[i].len && !gen_pattern_check(segs[i].data + skip, at + skip - GEN_HEAD_BYTES,
							     segs[i].len - skip, key))
			return false;
		at += segs[i].len;
	}
	return true;
}

/* The head, copied once: the far end may change it under our eyes. */
static void sink_head(uint8_t head[GEN_HEAD_BYTES], const struct p2p_seg *segs, unsigned int n)
{
	uint32_t at = 0;

	memset(head, 0, GEN_HEAD_BYTES);
	for (unsigned int i = 0; i < n && at < GEN_HEAD_BYTES; i++) {
		const uint32_t part = segs[i].len < GEN_HEAD_BYTES - at ? segs[i].len : GEN_HEAD_BYTES - at;

		memcpy(head + at, segs[i].data, part);
		at += part;
	}
}

/* bench: one frame, of the right length, looked at. */
static __attribute__((noinline)) void sink_sample(struct tester_sink *k, const struct tester_clock *clock,
						  const struct p2p_seg *segs, unsigned int n, uint64_t now)
{
	uint8_t head[GEN_HEAD_BYTES];
	struct gen_info info;
	enum gen_verdict verdict;
	int32_t ahead;

	sink_head(head, segs, n);
	verdict = gen_head_check(head, k->len, &info);
	k->checked++;
	if (verdict == GEN_FOREIGN || (verdict == GEN_INTACT && info.id != k->id)) {
		k->foreign++;
		return;
	}
	if (verdict != GEN_INTACT || info.flow >= k->flows ||
	    (k->len > GEN_HEAD_BYTES && !sink_pattern_good(segs, n, &info))) {
		k->corrupted++;
		return;
	}
	if (info.run != k->run) {
		k->stale++;
		return;
	}
	ahead = (int32_t)(info.seq - k->last[info.flow]);
	if (ahead < -1)
		k->reordered++;
	else if (ahead == -1)
		k->duplicated++;
	else
		k->last[info.flow] = info.seq + 1;
	if (k->latency) {
		const uint64_t age = (tester_ticks_ns(clock, now) - info.time_ns) & GEN_TIME_MASK;

		histogram_record(k->age, age >> 47 ? 0 : age);
	}
}

struct sink_burst {
	unsigned int frames;
	uint64_t bytes;
};

/* Any lengths, any segments. */
static struct sink_burst sink_bench_odd(struct tester_sink *k, const struct tester_clock *clock,
					const struct p2p_seg *segs, unsigned int n, uint64_t now)
{
	struct sink_burst b = { 0 };
	unsigned int first = 0;
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		len += segs[i].len;
		b.bytes += segs[i].len;
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		if (len != k->len) {
			k->corrupted++;
		} else if (!k->skip) {
			sink_sample(k, clock, segs + first, i + 1 - first, now);
			k->skip = sink_stride(k) + 1;
		}
		k->skip -= k->skip > 0;
		b.frames++;
		len = 0;
		first = i + 1;
	}
	return b;
}

static struct sink_burst sink_bench(struct tester_sink *k, const struct tester_clock *clock, const struct p2p_seg *segs,
				    unsigned int n, bool alike)
{
	const uint32_t len = k->len;
	uint64_t now = 0;
	uint32_t at;

	if (k->skip < n)
		now = tester_ticks();
	if (p2p_unlikely(!alike || segs[0].len != len))
		return sink_bench_odd(k, clock, segs, n, now);
	for (at = k->skip; at < n; at += 1 + sink_stride(k))
		sink_sample(k, clock, &segs[at], 1, now);
	k->skip = at - n;
	return (struct sink_burst){ .frames = n, .bytes = (uint64_t)n * len };
}

static struct sink_burst sink_check(struct tester_sink *k, const struct tester_clock *clock, const struct p2p_seg *segs,
				    unsigned int n)
{
	const uint64_t now_ns = tester_ticks_ns(clock, tester_ticks());
	struct sink_burst b = { 0 };
	unsigned int first = 0;
	uint32_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		len += segs[i].len;
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		if (len == k->len)
			gen_sink_frame(k->check, segs + first, i + 1 - first, len, now_ns);
		else
			k->corrupted++;
		b.bytes += len;
		b.frames++;
		len = 0;
		first = i + 1;
	}
	k->checked += b.frames;
	return b;
}

bool tester_sink_step(struct tester_sink *k, const struct tester_clock *clock, uint64_t now)
{
	struct p2p_seg segs[SINK_BURST];
	bool any = false;

	for (unsigned int i = 0; i < k->in->nrx && !any; i++) {
		const unsigned int q = k->queue < k->in->nrx ? k->queue : 0;
		struct sink_burst b;
		unsigned int n;
		bool alike;

		k->queue = q + 1;
		if (k->patience &&
		    frame_wait(k->patience, &k->waiting[q], port_memif_filled(k->in->port, q), k->least, now))
			continue;
		n = tester_cable_peek(k->in, q, segs, SINK_BURST, &alike);
		if (!n)
			continue;
		any = true;
		b = k->gear == TESTER_BENCH ? sink_bench(k, clock, segs, n, alike) : sink_check(k, clock, segs, n);
		k->failed |= !tester_cable_release(k->in, q, segs, n, b.frames, b.bytes);
		p2p_count(&k->received, b.frames);
	}
	return any;
}

void tester_sink_counts(const struct tester_sink *k, uint64_t sent, struct tester_result *r)
{
	uint64_t here = k->received, surplus = here > sent ? here - sent : 0;

	r->received += k->received;
	r->checked += k->checked;
	r->corrupted += k->corrupted;
	r->foreign += k->foreign;
	if (k->gear == TESTER_BENCH) {
		r->reordered += k->reordered;
		r->duplicated += k->duplicated > surplus ? k->duplicated : surplus;
		r->stale += k->stale;
	} else {
		const struct gen_source_counts *c = &k->check->source[k->id]->count;

		r->reordered += c->reordered;
		r->duplicated += c->duplicated;
		r->stale += c->stale;
		r->corrupted += k->check->damaged_head + c->damaged_tail;
		r->foreign += k->check->foreign + k->check->untracked;
		for (unsigned int i = 0; i < GEN_SOURCES; i++) {
			if (i != k->id && k->check->source[i])
				r->foreign += k->check->source[i]->count.frames;
		}
		histogram_merge(&r->latency_ns, &k->check->latency);
		here = c->unique + k->check->damaged_head + k->corrupted;
	}
	r->lost += sent > here ? sent - here : 0;
}
