/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The entries of a set are a list from the most to the least recently used; a hash
 * finds a page's entry.  Both take the same time however many ways there are.
 */
#include "iommu.h"

#include <stdlib.h>

#define NONE UINT32_MAX

struct entry {
	uint64_t page;         /* UINT64_MAX: none yet */
	uint64_t ready_ps;     /* the end of its walk */
	uint32_t newer, older; /* in its set */
	uint32_t chain;        /* in its hash bucket */
};

struct set {
	uint32_t newest, oldest;
};

struct fab_iommu {
	uint32_t entries, sets, walkers, page_shift, bucket_mask, turn;
	uint64_t miss_ps, hits, misses;
	uint64_t *walker; /* when it is free */
	struct set *set;
	uint32_t *bucket;
	struct entry entry[];
};

static void entries_init(struct fab_iommu *m, uint32_t ways)
{
	uint32_t i;

	for (i = 0; i <= m->bucket_mask; i++)
		m->bucket[i] = NONE;
	for (i = 0; i < m->entries; i++)
		m->entry[i] = (struct entry){ .page = UINT64_MAX,
					      .newer = i % ways ? i - 1 : NONE,
					      .older = i % ways < ways - 1 ? i + 1 : NONE,
					      .chain = NONE };
	for (i = 0; i < m->sets; i++)
		m->set[i] = (struct set){ .newest = i * ways, .oldest = i * ways + ways - 1 };
}

struct fab_iommu *fab_iommu_create(const struct fab_iommu_cfg *cfg)
{
	uint32_t ways = cfg->ways ? cfg->ways : cfg->entries, buckets = 1;
	struct fab_iommu *m;

	if (cfg->entries && (cfg->entries % ways || cfg->page_bytes < 4096 || cfg->page_bytes & (cfg->page_bytes - 1)))
		return NULL;
	m = calloc(1, sizeof(*m) + (size_t)cfg->entries * sizeof(m->entry[0]));
	if (!m || !cfg->entries)
		return m;
	while (buckets < cfg->entries * 2ull && buckets < 1u << 31)
		buckets *= 2;
	m->entries = cfg->entries;
	m->sets = cfg->entries / ways;
	m->walkers = cfg->walkers;
	m->page_shift = (uint32_t)__builtin_ctz(cfg->page_bytes);
	m->bucket_mask = buckets - 1;
	m->miss_ps = cfg->miss_ps;
	m->walker = calloc(m->walkers + 1ull, sizeof(m->walker[0]));
	m->set = calloc(m->sets, sizeof(m->set[0]));
	m->bucket = calloc(buckets, sizeof(m->bucket[0]));
	if (!m->walker || !m->set || !m->bucket) {
		fab_iommu_destroy(m);
		return NULL;
	}
	entries_init(m, ways);
	return m;
}

void fab_iommu_destroy(struct fab_iommu *m)
{
	if (!m)
		return;
	free(m->bucket);
	free(m->set);
	free(m->walker);
	free(m);
}

static uint32_t *bucket_of(struct fab_iommu *m, uint64_t page)
{
	return &m->bucket[(page * 0x9e3779b97f4a7c15ull >> 33) & m->bucket_mask];
}

static void entry_touch(struct fab_iommu *m, struct set *s, uint32_t i)
{
	struct entry *e = &m->entry[i];

	if (s->newest == i)
		return;
	m->entry[e->newer].older = e->older;
	if (s->oldest == i)
		s->oldest = e->newer;
	else
		m->entry[e->older].newer = e->newer;
	m->entry[s->newest].newer = i;
	e->older = s->newest;
	e->newer = NONE;
	s->newest = i;
}

/* The least recently used entry of the set becomes the page's. */
static void entry_replace(struct fab_iommu *m, struct set *s, uint64_t page, uint64_t ready_ps)
{
	uint32_t i = s->oldest, *link;
	struct entry *e = &m->entry[i];

	if (e->page != UINT64_MAX) {
		for (link = bucket_of(m, e->page); *link != i; link = &m->entry[*link].chain)
			;
		*link = e->chain;
	}
	link = bucket_of(m, page);
	e->page = page;
	e->ready_ps = ready_ps;
	e->chain = *link;
	*link = i;
	entry_touch(m, s, i);
}

/* All walks take the same time: the walker that began first is free first. */
static uint64_t walk(struct fab_iommu *m, uint64_t at_ps)
{
	uint64_t *free_ps = &m->walker[m->turn];

	if (!m->walkers)
		return at_ps + m->miss_ps;
	*free_ps = (*free_ps > at_ps ? *free_ps : at_ps) + m->miss_ps;
	m->turn = m->turn + 1 < m->walkers ? m->turn + 1 : 0;
	return *free_ps;
}

uint64_t fab_iommu_translate(struct fab_iommu *m, uint64_t at_ps, uint64_t addr, uint32_t bytes)
{
	uint64_t page = addr >> m->page_shift, ready_ps;
	struct set *s;
	uint32_t i;

	if (!m->entries)
		return at_ps;
	s = &m->set[page % m->sets];
	for (i = *bucket_of(m, page); i != NONE; i = m->entry[i].chain) {
		if (m->entry[i].page != page)
			continue;
		m->hits++;
		entry_touch(m, s, i);
		ready_ps = m->entry[i].ready_ps;
		return ready_ps > at_ps ? ready_ps : at_ps;
	}
	m->misses++;
	ready_ps = walk(m, at_ps);
	entry_replace(m, s, page, ready_ps);
	return ready_ps;
}

void fab_iommu_stats(const struct fab_iommu *m, struct fab_node_stats *out)
{
	out->iotlb_hits = m->hits;
	out->iotlb_misses = m->misses;
}

void fab_iommu_stats_reset(struct fab_iommu *m)
{
	m->hits = m->misses = 0;
}
