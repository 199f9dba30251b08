/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/gen_sink.h"

#include <errno.h>
#include <stdlib.h>

#include "ports/buffers.h"

static inline uint64_t *gen_seen_word(struct gen_seen *s, uint64_t seq)
{
	return &s->window[(seq % GEN_WINDOW) / 64];
}

static inline uint64_t gen_seen_bit(uint64_t seq)
{
	return 1ull << (seq % 64);
}

/* Makes room in the window for the numbers between high and seq. */
static void gen_seen_advance(struct gen_seen *s, uint64_t seq)
{
	uint64_t i;

	if (seq - s->high >= GEN_WINDOW) {
		memset(s->window, 0, sizeof(s->window));
		return;
	}
	for (i = s->high + 1; i < seq; i++)
		*gen_seen_word(s, i) &= ~gen_seen_bit(i);
}

static void gen_seen_first(struct gen_seen *s, uint64_t seq)
{
	s->any = true;
	s->base = seq < GEN_WINDOW ? 0 : seq;
	s->high = seq;
	s->missing = seq - s->base;
	memset(s->window, 0, sizeof(s->window));
	*gen_seen_word(s, seq) |= gen_seen_bit(seq);
}

/* A number that is not above the highest. */
static void gen_seen_late(struct gen_seen *s, struct gen_source_counts *c, uint64_t seq)
{
	bool dup;

	if (seq < s->base) {
		p2p_count(&c->stale, 1);
		return;
	}
	if (s->high - seq < GEN_WINDOW) {
		dup = *gen_seen_word(s, seq) & gen_seen_bit(seq);
		*gen_seen_word(s, seq) |= gen_seen_bit(seq);
	} else {
		dup = s->missing == 0;
	}
	if (dup) {
		p2p_count(&c->duplicated, 1);
		return;
	}
	s->missing--;
	p2p_count(&c->unique, 1);
	p2p_count(&c->reordered, 1);
}

static void gen_seen_add(struct gen_seen *s, struct gen_source_counts *c, uint32_t seq32)
{
	uint64_t seq, step;
	int32_t ahead;

	if (p2p_unlikely(!s->any)) {
		gen_seen_first(s, seq32);
		p2p_count(&c->span, s->high + 1 - s->base);
		p2p_count(&c->unique, 1);
		return;
	}
	ahead = (int32_t)(seq32 - (uint32_t)s->high);
	if (p2p_unlikely(ahead <= 0)) {
		step = (uint64_t)-(int64_t)ahead;
		if (step > s->high)
			p2p_count(&c->stale, 1);
		else
			gen_seen_late(s, c, s->high - step);
		return;
	}
	seq = s->high + (uint32_t)ahead;
	if (p2p_unlikely(ahead != 1))
		gen_seen_advance(s, seq);
	*gen_seen_word(s, seq) |= gen_seen_bit(seq);
	s->missing += (uint32_t)ahead - 1;
	s->high = seq;
	p2p_count(&c->span, (uint32_t)ahead);
	p2p_count(&c->unique, 1);
}

static struct gen_source *gen_sink_source_make(struct gen_sink *k, const struct gen_info *info)
{
	struct gen_source *src = port_alloc(sizeof(*src));

	if (!src)
		return NULL;
	src->run = info->run;
	__atomic_store_n(&k->source[info->id], src, __ATOMIC_RELEASE);
	return src;
}

static int gen_source_grow(struct gen_source *src, uint16_t flow)
{
	uint32_t n = src->n_flows ? src->n_flows : 1;
	struct gen_seen *more;

	while (n <= flow)
		n *= 2;
	more = realloc(src->flow, n * sizeof(*more));
	if (!more)
		return -1;
	memset(more + src->n_flows, 0, (n - src->n_flows) * sizeof(*more));
	src->flow = more;
	src->n_flows = n;
	return 0;
}

/* False if the frame belongs to another run than the present one. */
static bool gen_source_turn(struct gen_source *src, uint8_t run)
{
	uint32_t i;

	if (src->fixed || (src->has_last && run == src->last_run))
		return false;
	src->last_run = src->run;
	src->has_last = true;
	src->run = run;
	for (i = 0; i < src->n_flows; i++)
		src->flow[i].any = false;
	return true;
}

static void gen_sink_intact(struct gen_sink *k, const struct gen_info *info, uint32_t len, bool tail_good,
			    uint64_t now_ns)
{
	struct gen_source *src = k->source[info->id];
	uint64_t age;

	if (p2p_unlikely(!src)) {
		src = gen_sink_source_make(k, info);
		if (!src) {
			p2p_count(&k->untracked, 1);
			return;
		}
	}
	if (p2p_unlikely(info->run != src->run) && !gen_source_turn(src, info->run)) {
		p2p_count(&src->count.stale, 1);
		return;
	}
	if (p2p_unlikely(info->flow >= src->n_flows) && gen_source_grow(src, info->flow)) {
		p2p_count(&k->untracked, 1);
		return;
	}
	p2p_count(&src->count.frames, 1);
	p2p_count(&src->count.bytes, len);
	gen_seen_add(&src->flow[info->flow], &src->count, info->seq);
	if (p2p_unlikely(!tail_good)) {
		p2p_count(&src->count.damaged_tail, 1);
		return;
	}
	/* A clock that runs behind the sender's by a little gives 0, not 78 hours. */
	age = (now_ns - info->time_ns) & GEN_TIME_MASK;
	histogram_record(&k->latency, age >> 47 ? 0 : age);
}

static void gen_sink_damaged(struct gen_sink *k, const struct gen_info *info)
{
	struct gen_source *src = k->source[info->id];

	p2p_count(&k->damaged_head, 1);
	if (src)
		p2p_count(&src->count.damaged_head, 1);
}

/* Copies up to 60 bytes of the frame, the rest zeros. */
static void gen_sink_gather(uint8_t head[GEN_HEAD_BYTES], const struct p2p_seg *segs, unsigned int n)
{
	uint32_t at = 0, len;
	unsigned int i;

	memset(head, 0, GEN_HEAD_BYTES);
	for (i = 0; i < n && at < GEN_HEAD_BYTES; i++) {
		len = segs[i].len < GEN_HEAD_BYTES - at ? segs[i].len : GEN_HEAD_BYTES - at;
		memcpy(head + at, segs[i].data, len);
		at += len;
	}
}

static bool gen_sink_tail_good(const struct p2p_seg *segs, unsigned int n, uint32_t len, uint64_t key)
{
	uint32_t at = 0, skip;
	unsigned int i;

	if (len > GEN_LEN_MAX)
		return false;
	for (i = 0; i < n; i++) {
		skip = at >= GEN_HEAD_BYTES ? 0 : GEN_HEAD_BYTES - at;
		if (skip < segs[i].len &&
		    !gen_pattern_check(segs[i].data + skip, at + skip - GEN_HEAD_BYTES, segs[i].len - skip, key))
			return false;
		at += segs[i].len;
	}
	return true;
}

void gen_sink_frame(struct gen_sink *k, const struct p2p_seg *segs, unsigned int n, uint32_t len, uint64_t now_ns)
{
	uint8_t gathered[GEN_HEAD_BYTES];
	const uint8_t *head = segs[0].data;
	enum gen_verdict verdict;
	struct gen_info info;

	if (p2p_unlikely(segs[0].len < GEN_HEAD_BYTES)) {
		gen_sink_gather(gathered, segs, n);
		head = gathered;
	}
	verdict = gen_head_check(head, len, &info);
	if (p2p_likely(verdict == GEN_INTACT))
		gen_sink_intact(k, &info, len,
				len == GEN_HEAD_BYTES || gen_sink_tail_good(segs, n, len, gen_info_key(&info)), now_ns);
	else if (verdict == GEN_FOREIGN)
		p2p_count(&k->foreign, 1);
	else
		gen_sink_damaged(k, &info);
}

int gen_sink_fix(struct gen_sink *k, uint8_t id, uint8_t run)
{
	struct gen_source *src = k->source[id];

	if (src && src->run != run) {
		src->fixed = src->has_last = false;
		gen_source_turn(src, run);
	}
	if (!src)
		src = gen_sink_source_make(k, &(struct gen_info){ .id = id, .run = run });
	if (!src)
		return -ENOMEM;
	src->fixed = true;
	return 0;
}

void gen_sink_free(struct gen_sink *k)
{
	unsigned int i;

	for (i = 0; i < GEN_SOURCES; i++) {
		if (k->source[i])
			free(k->source[i]->flow);
		free(k->source[i]);
	}
	memset(k, 0, sizeof(*k));
}
