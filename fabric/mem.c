/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every channel is booked up to some time, and remembers its last idle gaps before
 * that: callers ask for times ahead of the clock, some farther than others.  An
 * access that is late by the order of calls and early by its time takes a gap.
 */
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define INTERLEAVE 256u
#define LINE_BYTES 64u
#define GAPS 8u
#define FRAC_BITS 20 /* of a picosecond */
#define FRAC_MASK ((1u << FRAC_BITS) - 1)

struct gap {
	uint64_t from_ps, to_ps;
};

struct channel {
	uint64_t free_ps, busy_ps;
	uint32_t frac; /* served, and not yet a whole picosecond */
	uint32_t num_gaps;
	struct gap gap[GAPS]; /* by time, all before free_ps */
};

struct fab_mem {
	struct fab_mem_cfg cfg;
	uint64_t ps_per_byte;            /* << FRAC_BITS */
	uint64_t evict_share, evict_acc; /* bytes << 32 */
	uint32_t evict_channel;
	uint64_t read_bytes, write_bytes, cache_bytes;
	struct channel channel[];
};

struct fab_mem *fab_mem_create(const struct fab_mem_cfg *cfg)
{
	struct fab_mem *m;

	if (!cfg->channels)
		return NULL;
	m = calloc(1, sizeof(*m) + cfg->channels * sizeof(m->channel[0]));
	if (!m)
		return NULL;
	m->cfg = *cfg;
	if (cfg->channel_bytes_per_s > 0)
		m->ps_per_byte = (uint64_t)((double)FAB_PS_PER_S / cfg->channel_bytes_per_s * (1u << FRAC_BITS) + 0.5);
	m->evict_share = (uint64_t)(cfg->ddio_evict * 4294967296.0 + 0.5);
	return m;
}

void fab_mem_destroy(struct fab_mem *m)
{
	free(m);
}

static void gap_drop(struct channel *c, uint32_t i)
{
	c->num_gaps--;
	memmove(&c->gap[i], &c->gap[i + 1], (c->num_gaps - i) * sizeof(c->gap[0]));
}

/* i: its place, not 0 where the oldest has to go for it */
static void gap_add(struct channel *c, uint32_t i, uint64_t from_ps, uint64_t to_ps)
{
	if (c->num_gaps == GAPS) {
		gap_drop(c, 0);
		i--;
	}
	memmove(&c->gap[i + 1], &c->gap[i], (c->num_gaps - i) * sizeof(c->gap[0]));
	c->gap[i] = (struct gap){ from_ps, to_ps };
	c->num_gaps++;
}

/* Takes ps out of the earliest gap that has them at or after at_ps.  The end, or 0. */
static uint64_t gap_take(struct channel *c, uint64_t at_ps, uint64_t ps)
{
	uint32_t i = c->num_gaps;

	while (i > 0 && c->gap[i - 1].to_ps > at_ps)
		i--;
	for (; i < c->num_gaps; i++) {
		struct gap *g = &c->gap[i];
		uint64_t from_ps = g->from_ps > at_ps ? g->from_ps : at_ps, to_ps = g->to_ps;

		if (from_ps + ps > to_ps)
			continue;
		if (from_ps > g->from_ps) {
			g->to_ps = from_ps;
			if (from_ps + ps < to_ps)
				gap_add(c, i + 1, from_ps + ps, to_ps);
		} else if (from_ps + ps < to_ps) {
			g->from_ps += ps;
		} else {
			gap_drop(c, i);
		}
		return from_ps + ps;
	}
	return 0;
}

static uint64_t channel_serve(struct fab_mem *m, struct channel *c, uint64_t at_ps, uint32_t bytes)
{
	unsigned __int128 t = (unsigned __int128)bytes * m->ps_per_byte + c->frac;
	uint64_t ps = (uint64_t)(t >> FRAC_BITS), end_ps;

	c->frac = (uint32_t)t & FRAC_MASK;
	c->busy_ps += ps;
	if (at_ps < c->free_ps) {
		end_ps = gap_take(c, at_ps, ps);
		if (end_ps)
			return end_ps;
		at_ps = c->free_ps;
	} else if (at_ps > c->free_ps) {
		gap_add(c, c->num_gaps, c->free_ps, at_ps);
	}
	c->free_ps = at_ps + ps;
	return c->free_ps;
}

/* When the last byte has passed its channel. */
static uint64_t dram_serve(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes)
{
	uint64_t last_ps = at_ps;

	if (!m->ps_per_byte)
		return at_ps;
	while (bytes) {
		uint32_t piece = INTERLEAVE - (uint32_t)(addr % INTERLEAVE);
		uint64_t end_ps;

		if (piece > bytes || m->cfg.channels == 1)
			piece = bytes;
		end_ps = channel_serve(m, &m->channel[addr / INTERLEAVE % m->cfg.channels], at_ps, piece);
		if (end_ps > last_ps)
			last_ps = end_ps;
		addr += piece;
		bytes -= piece;
	}
	return last_ps;
}

static uint64_t dram_access(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes, bool write)
{
	uint64_t end_ps = dram_serve(m, at_ps, addr, bytes);

	if (write) {
		m->write_bytes += bytes;
		return end_ps;
	}
	m->read_bytes += bytes;
	return end_ps + m->cfg.latency_ps;
}

/* What a written line pushes out of the cache lies anywhere: the channels take turns. */
static uint64_t cache_evict(struct fab_mem *m, uint64_t at_ps, uint32_t bytes)
{
	uint64_t last_ps = at_ps, lines;

	m->evict_acc += bytes * m->evict_share;
	lines = (m->evict_acc >> 32) / LINE_BYTES;
	m->evict_acc -= lines * LINE_BYTES << 32;
	m->write_bytes += lines * LINE_BYTES;
	for (; lines && m->ps_per_byte; lines--) {
		uint64_t end_ps = channel_serve(m, &m->channel[m->evict_channel], at_ps, LINE_BYTES);

		m->evict_channel = (m->evict_channel + 1) % m->cfg.channels;
		if (end_ps > last_ps)
			last_ps = end_ps;
	}
	return last_ps;
}

uint64_t fab_mem_device(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes, bool write)
{
	uint64_t done_ps = at_ps + m->cfg.cache_latency_ps, evicted_ps;

	if (!m->cfg.ddio)
		return dram_access(m, at_ps, addr, bytes, write);
	m->cache_bytes += bytes;
	if (!write)
		return done_ps;
	evicted_ps = cache_evict(m, at_ps, bytes);
	return evicted_ps > done_ps ? evicted_ps : done_ps;
}

uint64_t fab_mem_cpu(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes, bool write, bool cached)
{
	if (!cached)
		return dram_access(m, at_ps, addr, bytes, write);
	m->cache_bytes += bytes;
	return at_ps + m->cfg.cache_latency_ps;
}

void fab_mem_stats(const struct fab_mem *m, struct fab_node_stats *out)
{
	uint32_t i;

	out->mem_read_bytes = m->read_bytes;
	out->mem_write_bytes = m->write_bytes;
	out->cache_bytes = m->cache_bytes;
	out->mem_busy_ps = 0;
	for (i = 0; i < m->cfg.channels; i++)
		if (m->channel[i].busy_ps > out->mem_busy_ps)
			out->mem_busy_ps = m->channel[i].busy_ps;
}

void fab_mem_stats_reset(struct fab_mem *m)
{
	uint32_t i;

	m->read_bytes = m->write_bytes = m->cache_bytes = 0;
	for (i = 0; i < m->cfg.channels; i++)
		m->channel[i].busy_ps = 0;
}
