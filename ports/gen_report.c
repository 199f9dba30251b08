/* SPDX-License-Identifier: BSD-3-Clause */
/* What other threads ask of a gen port: pauses, settings, reports. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "ports/gen_int.h"

static void gen_wake(struct gen_port *g)
{
	eventfd_write(g->event_fd, 1);
}

void port_gen_pause(struct port *p, bool pause)
{
	struct gen_port *g = gen_of(p);

	for (unsigned int q = 0; q < g->queues; q++) {
		__atomic_store_n(&g->lane[q]->want_pause, pause, __ATOMIC_SEQ_CST);
		gen_wake(g->lane[q]);
	}
}

static bool lane_quiet(struct gen_port *g)
{
	if (!g->tx || !__atomic_load_n(&g->started, __ATOMIC_ACQUIRE))
		return true;
	return __atomic_load_n(&g->want_pause, __ATOMIC_SEQ_CST) && __atomic_load_n(&g->seen_pause, __ATOMIC_SEQ_CST);
}

bool port_gen_quiet(struct port *p)
{
	struct gen_port *g = gen_of(p);

	for (unsigned int q = 0; q < g->queues; q++)
		if (!lane_quiet(g->lane[q]))
			return false;
	return true;
}

static void lane_set(struct gen_port *g, const struct gen_sizes *sizes, uint64_t rate_pps, uint64_t count)
{
	pthread_mutex_lock(&g->lock);
	if (sizes)
		g->setting.sizes = *sizes;
	if (rate_pps != GEN_KEEP)
		g->setting.rate_pps = rate_pps;
	if (count != GEN_KEEP)
		g->setting.count = count;
	__atomic_store_n(&g->want_setting, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&g->lock);
	gen_wake(g);
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
	for (unsigned int q = 0; q < g->queues; q++)
		lane_set(g->lane[q], size ? &sizes : NULL, rate_pps, count);
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

/* Summed over the port's queues: a flow is in one of them. */
static void gen_source_since(const struct gen_port *g, unsigned int id, struct gen_source_counts *sum)
{
	struct gen_source_counts c;

	memset(sum, 0, sizeof(*sum));
	for (unsigned int q = 0; q < g->queues; q++) {
		gen_source_read(g->lane[q], id, &c);
#define X(name, desc) sum->name += c.name - g->lane[q]->base->source[id].name;
		GEN_SOURCE_COUNTERS(X)
#undef X
	}
}

static void lane_reset_stats(struct gen_port *g)
{
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

void port_gen_reset_stats(struct port *p)
{
	struct gen_port *g = gen_of(p);

	for (unsigned int q = 0; q < g->queues; q++)
		lane_reset_stats(g->lane[q]);
}

static void lane_latency(const struct gen_port *g, struct histogram *out)
{
	histogram_copy(out, &g->sink.latency);
	histogram_subtract(out, &g->base->latency);
}

int port_gen_latency(struct port *p, struct histogram *out)
{
	struct gen_port *g = gen_of(p);
	struct histogram *more;

	if (!port_is_gen(p))
		return -EINVAL;
	lane_latency(g, out);
	if (g->queues == 1)
		return 0;
	more = malloc(sizeof(*more));
	if (!more)
		return -ENOMEM;
	for (unsigned int q = 1; q < g->queues; q++) {
		lane_latency(g->lane[q], more);
		histogram_merge(out, more);
	}
	free(more);
	return 0;
}

static int gen_report_latency(struct port *p, struct gen_report *r)
{
	struct histogram *h = malloc(sizeof(*h));

	if (!h || port_gen_latency(p, h)) {
		free(h);
		return -ENOMEM;
	}
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
	for (unsigned int q = 0; q < g->queues; q++) {
		const struct gen_port *l = g->lane[q];

		r->sent += p2p_count_read(&l->sent) - l->base->sent;
		r->sent_bytes += p2p_count_read(&l->sent_bytes) - l->base->sent_bytes;
		r->behind += p2p_count_read(&l->pace.behind) - l->base->behind;
	}
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

/* What the sinks found that names no source for sure. */
static void gen_report_strange(const struct gen_port *g, struct gen_report *r)
{
	for (unsigned int q = 0; q < g->queues; q++) {
		const struct gen_port *l = g->lane[q];

		r->corrupted += p2p_count_read(&l->sink.damaged_head) - l->base->damaged_head;
		r->foreign += p2p_count_read(&l->sink.foreign) - l->base->foreign;
	}
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
	gen_report_strange(g, r);
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
	gen_report_strange(k, r);
	return gen_report_latency(sink, r);
}

