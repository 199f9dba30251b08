/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lpm/rows.h"

#define ROWS_CHUNK 64u /* words converted at a time */

static uint64_t rows_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int rows_init(struct rows *r)
{
	uint32_t roots = 0, least = ROWS_PAGE_LOG2;
	unsigned int f, t;

	r->entries = from_le32(r->head.nodes);
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		roots += r->head.tiers[f] ? 1u << r->head.stride[f][0] : 0;
		for (t = 1; t < r->head.tiers[f]; t++)
			least = r->head.stride[f][t] < least ? r->head.stride[f][t] : least;
	}
	r->unit_log2 = least;
	r->pages = (uint32_t)(r->entries >> ROWS_PAGE_LOG2);
	r->first_page = r->next_page = (roots + ROWS_PAGE - 1) >> ROWS_PAGE_LOG2;
	r->batch = 1;
	if (getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) != sizeof(r->seed))
		r->seed = rows_now_ns() * 0x9e3779b97f4a7c15ull;
	r->index_mask = 4095;
	r->queue_mask = 4095;
	r->entry = calloc(r->entries + ROWS_PAGE, sizeof(*r->entry));
	r->row = calloc((r->entries >> least) + 1, sizeof(*r->row));
	r->page = calloc(r->pages + 1u, sizeof(*r->page));
	r->index = calloc(r->index_mask + 1u, sizeof(*r->index));
	r->queue = calloc(r->queue_mask + 1u, sizeof(*r->queue));
	if (r->entry && r->row && r->page && r->index && r->queue)
		return 0;
	rows_free(r);
	return -ENOMEM;
}

void rows_free(struct rows *r)
{
	free(r->queue);
	free(r->index);
	free(r->page);
	free(r->row);
	free(r->entry);
}

/* ---- the window ---- */

static void rows_check(struct rows *r, int rc)
{
	if (rc && !r->err)
		r->err = rc;
}

void rows_store(struct rows *r, uint64_t off, uint32_t v)
{
	if (r->err)
		return;
	rows_check(r, r->w.ops->store(r->w.arg, off, v));
	r->stores++;
}

void rows_store_node(struct rows *r, uint32_t at, uint32_t entry)
{
	r->entry[at] = entry;
	rows_store(r, from_le64(r->head.nodes_at) + 4ull * at, entry);
}

static void rows_write(struct rows *r, uint32_t at, const uint32_t *entries, uint32_t n)
{
	uint64_t off = from_le64(r->head.nodes_at) + 4ull * at;
	le32 words[ROWS_CHUNK];
	uint32_t k, m;

	memcpy(&r->entry[at], entries, 4ull * n);
	for (; n && !r->err; n -= m, entries += m, off += 4ull * m) {
		m = n < ROWS_CHUNK ? n : ROWS_CHUNK;
		for (k = 0; k < m; k++)
			words[k] = to_le32(entries[k]);
		rows_check(r, r->w.ops->write(r->w.arg, off, words, 4ull * m));
		r->written_bytes += 4ull * m;
	}
}

/* ---- epochs ---- */

uint32_t rows_epoch_begin(struct rows *r)
{
	r->epoch += r->epoch == UINT32_MAX ? 2 : 1;
	r->head.epoch = to_le32(r->epoch);
	if (!r->err)
		r->w.ops->barrier(r->w.arg);
	rows_store(r, offsetof(struct p2p_route_head, epoch), r->epoch);
	if (!r->err)
		r->w.ops->barrier(r->w.arg);
	return r->epoch;
}

bool rows_epoch_passed(struct rows *r, uint32_t epoch)
{
	unsigned int k, n = from_le32(r->head.contexts);
	le32 seen;

	for (k = 0; k < n; k++) {
		if (r->err)
			return false;
		rows_check(r, r->w.ops->read(r->w.arg, offsetof(struct p2p_route_head, ctx) + k * sizeof(struct p2p_route_ctx),
					     &seen, sizeof(seen)));
		if (!r->err && !p2p_epoch_passed(from_le32(seen), epoch))
			return false;
	}
	return !r->err;
}

/* ---- pages ---- */

static void page_list(struct rows *r, uint32_t p)
{
	struct rows_page *page = &r->page[p];
	uint32_t *first = &r->partial[page->width];

	page->prev = 0;
	page->next = *first;
	if (*first)
		r->page[*first - 1].prev = p + 1;
	*first = p + 1;
	page->listed = true;
}

static void page_unlist(struct rows *r, uint32_t p)
{
	struct rows_page *page = &r->page[p];

	if (page->prev)
		r->page[page->prev - 1].next = page->next;
	else
		r->partial[page->width] = page->next;
	if (page->next)
		r->page[page->next - 1].prev = page->prev;
	page->listed = false;
}

static bool page_take(struct rows *r, unsigned int width)
{
	uint32_t p;

	if (r->free_page) {
		p = r->free_page - 1;
		r->free_page = r->page[p].next;
	} else if (r->next_page < r->pages) {
		p = r->next_page++;
	} else {
		return false;
	}
	r->page[p] = (struct rows_page){ .width = (uint8_t)width };
	r->pages_taken++;
	page_list(r, p);
	return true;
}

/* A row's room is free again. */
static void page_give(struct rows *r, uint32_t unit)
{
	uint32_t p = unit >> (ROWS_PAGE_LOG2 - r->unit_log2);
	struct rows_page *page = &r->page[p];

	if (--page->used == 0) {
		if (page->listed)
			page_unlist(r, p);
		*page = (struct rows_page){ .next = r->free_page };
		r->free_page = p + 1;
		r->pages_taken--;
		return;
	}
	r->row[unit].next = page->free;
	page->free = unit + 1;
	if (!page->listed)
		page_list(r, p);
}

static unsigned int row_width(const struct rows *r, uint32_t unit)
{
	return r->page[unit >> (ROWS_PAGE_LOG2 - r->unit_log2)].width;
}

static bool row_take(struct rows *r, unsigned int width, uint32_t *unit)
{
	struct rows_page *page;
	uint32_t p;

	if (!r->partial[width] && !page_take(r, width))
		return false;
	p = r->partial[width] - 1;
	page = &r->page[p];
	if (page->free) {
		*unit = page->free - 1;
		page->free = r->row[*unit].next;
	} else {
		*unit = rows_unit(r, (p << ROWS_PAGE_LOG2) + (page->carved++ << width));
	}
	page->used++;
	if (!page->free && page->carved == ROWS_PAGE >> width)
		page_unlist(r, p);
	return true;
}

/* ---- the index ---- */

static uint32_t row_hash(const struct rows *r, const uint32_t *e, unsigned int width)
{
	uint64_t h = r->seed ^ width, v;
	uint32_t k;

	for (k = 0; k < 1u << width; k += 2) {
		memcpy(&v, &e[k], sizeof(v));
		h = (h ^ v) * 0x9fb21c651e98df25ull;
		h ^= h >> 32;
	}
	return (uint32_t)(h ^ h >> 15);
}

static void index_add(struct rows *r, uint32_t unit)
{
	uint32_t *head = &r->index[r->row[unit].hash & r->index_mask];

	r->row[unit].next = *head;
	*head = unit + 1;
}

static void index_del(struct rows *r, uint32_t unit)
{
	uint32_t *at = &r->index[r->row[unit].hash & r->index_mask];

	while (*at != unit + 1)
		at = &r->row[*at - 1].next;
	*at = r->row[unit].next;
}

/* Longer chains are all that a failure to grow costs. */
static void index_grow(struct rows *r)
{
	uint32_t old = r->index_mask + 1, k, next, *heads = r->index, *more;

	if (r->in_use + r->waiting <= old || old > 1u << 28)
		return;
	more = calloc(2ull * old, sizeof(*more));
	if (!more)
		return;
	r->index = more;
	r->index_mask = 2 * old - 1;
	for (k = 0; k < old; k++) {
		uint32_t at = heads[k];

		for (; at; at = next) {
			next = r->row[at - 1].next;
			index_add(r, at - 1);
		}
	}
	free(heads);
}

/* ---- rows ---- */

static void row_free(struct rows *r, uint32_t unit)
{
	index_del(r, unit);
	page_give(r, unit);
}

/* Numbers of places start again behind 2^32; no place is 0, and a queue is much shorter than 2^31. */
static uint32_t queue_place(uint32_t at)
{
	return at | 1u << 31;
}

static int queue_grow(struct rows *r)
{
	uint32_t size = r->queue_mask + 1, k, *more;

	if (r->q_tail - r->q_head < size)
		return 0;
	more = malloc(2ull * size * sizeof(*more));
	if (!more)
		return -ENOMEM;
	for (k = r->q_head; k != r->q_tail; k++)
		more[k & (2 * size - 1)] = r->queue[k & r->queue_mask];
	free(r->queue);
	r->queue = more;
	r->queue_mask = 2 * size - 1;
	return 0;
}

static void row_gone(struct rows *r, uint32_t unit)
{
	uint32_t *e = &r->entry[(size_t)unit << r->unit_log2], k;
	const unsigned int width = row_width(r, unit);

	r->in_use--;
	r->in_use_bytes -= 4ull << width;
	if (r->row[unit].born == r->batch) {
		for (k = 0; k < 1u << width; k++)
			rows_unref(r, e[k]);
		row_free(r, unit);
		return;
	}
	r->waiting++;
	/* Where the queue can't grow the row is lost until the next adoption: safe, and no news to anybody. */
	if (!queue_grow(r)) {
		r->queue[r->q_tail & r->queue_mask] = unit;
		r->row[unit].waiting = queue_place(r->q_tail++);
	}
	for (k = 0; k < 1u << width; k++)
		rows_unref(r, e[k]);
}

void rows_unref(struct rows *r, uint32_t entry)
{
	uint32_t unit;

	if (!(entry & P2P_NODE_JUMP))
		return;
	unit = rows_unit(r, P2P_NODE_INF(entry));
	r->links--;
	if (--r->row[unit].ref == 0)
		row_gone(r, unit);
}

void rows_ref(struct rows *r, uint32_t entry)
{
	const uint32_t at = P2P_NODE_INF(entry), unit = rows_unit(r, at);
	unsigned int width;
	uint32_t k;

	if (!(entry & P2P_NODE_JUMP))
		return;
	r->links++;
	if (r->row[unit].ref++)
		return;
	/* It was waiting; so were those below it, or somebody else holds them. */
	width = row_width(r, unit);
	r->row[unit].waiting = 0;
	r->waiting--;
	r->in_use++;
	r->in_use_bytes += 4ull << width;
	for (k = 0; k < 1u << width; k++)
		rows_ref(r, r->entry[at + k]);
}

void rows_publish(struct rows *r)
{
	r->batch += r->batch == UINT32_MAX ? 2 : 1;
}

static void rows_unref_all(struct rows *r, const uint32_t *entries, unsigned int width)
{
	uint32_t k;

	for (k = 0; k < 1u << width; k++)
		rows_unref(r, entries[k]);
}

/* All rows before the seal are free now. */
static void rows_reap(struct rows *r)
{
	uint32_t unit;

	for (; r->q_head != r->q_sealed; r->q_head++) {
		unit = r->queue[r->q_head & r->queue_mask];
		if (r->row[unit].waiting != queue_place(r->q_head))
			continue;
		r->row[unit].waiting = 0;
		r->waiting--;
		row_free(r, unit);
	}
}

bool rows_poll(struct rows *r, bool all)
{
	if (r->q_head != r->q_sealed || r->fresh_adopted) {
		if (!rows_epoch_passed(r, r->epoch))
			return true;
		r->fresh_adopted = false;
		rows_reap(r);
	}
	if (r->q_sealed != r->q_tail && (all || r->q_tail - r->q_sealed >= ROWS_EPOCH_AFTER)) {
		r->q_sealed = r->q_tail;
		rows_epoch_begin(r);
		if (rows_epoch_passed(r, r->epoch))
			rows_reap(r);
	}
	return r->q_head != r->q_tail;
}

/* Memory is short: waits for epochs, a while each. */
static bool rows_wait(struct rows *r)
{
	const uint64_t end = rows_now_ns() + ROWS_EPOCH_WAIT_NS;
	const uint32_t head = r->q_head;
	const bool adopted = r->fresh_adopted;

	if (head == r->q_tail && !adopted)
		return false;
	while (rows_poll(r, true) && r->q_head == head && r->fresh_adopted == adopted) {
		if (r->err || r->epoch_given_up == r->epoch)
			return false;
		if (rows_now_ns() > end) {
			r->epoch_given_up = r->epoch;
			return false;
		}
		sched_yield();
	}
	return true;
}

static int row_make(struct rows *r, const uint32_t *entries, unsigned int width, uint32_t hash, uint32_t *unit)
{
	if (r->fresh_adopted && !rows_wait(r))
		return -ENOSPC;
	while (!row_take(r, width, unit))
		if (!rows_wait(r))
			return -ENOSPC;
	rows_write(r, *unit << r->unit_log2, entries, 1u << width);
	r->row[*unit] = (struct row){ .ref = 1, .hash = hash, .born = r->batch };
	index_add(r, *unit);
	r->in_use++;
	r->in_use_bytes += 4ull << width;
	index_grow(r);
	return 0;
}

int rows_get(struct rows *r, const uint32_t *entries, unsigned int width, uint32_t *out)
{
	const uint32_t hash = row_hash(r, entries, width);
	uint32_t at = r->index[hash & r->index_mask], unit;

	for (; at; at = r->row[at - 1].next) {
		unit = at - 1;
		if (r->row[unit].hash != hash || row_width(r, unit) != width ||
		    memcmp(&r->entry[(size_t)unit << r->unit_log2], entries, 4ull << width))
			continue;
		*out = P2P_NODE_JUMP | unit << r->unit_log2;
		rows_ref(r, *out);
		rows_unref_all(r, entries, width);
		return 0;
	}
	if (row_make(r, entries, width, hash, &unit)) {
		rows_unref_all(r, entries, width);
		return -ENOSPC;
	}
	r->links++;
	*out = P2P_NODE_JUMP | unit << r->unit_log2;
	return 0;
}

/* ---- adoption ---- */

int rows_found(struct rows *r, uint32_t at, unsigned int width)
{
	uint32_t p = at >> ROWS_PAGE_LOG2, unit = rows_unit(r, at);
	struct rows_page *page = &r->page[p];

	if (p < r->first_page || p >= r->pages || (at & ((1u << width) - 1)) || (page->width && page->width != width))
		return -EBADMSG;
	r->links++;
	if (r->row[unit].ref++)
		return 0;
	if (!page->width) {
		page->width = (uint8_t)width;
		r->pages_taken++;
	}
	page->used++;
	r->in_use++;
	r->in_use_bytes += 4ull << width;
	return 1;
}

int rows_found_all(struct rows *r)
{
	uint32_t p, k, unit;

	for (p = r->pages; p-- > r->first_page;) {
		struct rows_page *page = &r->page[p];

		if (!page->width) {
			page->next = r->free_page;
			r->free_page = p + 1;
			continue;
		}
		page->carved = ROWS_PAGE >> page->width;
		for (k = 0; k < page->carved; k++) {
			unit = rows_unit(r, (p << ROWS_PAGE_LOG2) + (k << page->width));
			if (r->row[unit].ref) {
				r->row[unit].hash = row_hash(r, &r->entry[(size_t)unit << r->unit_log2], page->width);
				index_add(r, unit);
			} else {
				r->row[unit].next = page->free;
				page->free = unit + 1;
			}
		}
		if (page->free)
			page_list(r, p);
	}
	r->next_page = r->pages;
	index_grow(r);
	return 0;
}
