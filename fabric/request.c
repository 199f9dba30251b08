/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requesters: requests become TLPs one at a time, as the link takes them; reads hold
 * a tag until their last completion.
 *
 * What a read brought is kept in its TLPs until all of it is there: a read that
 * times out leaves its destination as it was.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define CPU_LINE_BYTES 64u /* a core's request is no longer */

static const struct fab_range *range_find(const struct fabric *f, uint64_t addr)
{
	unsigned int lo = 0, hi = f->num_ranges;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (addr - f->range[mid].base < f->range[mid].bytes)
			return &f->range[mid];
		if (addr < f->range[mid].base)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static const struct fab_range *range_of(struct fab_node *n, uint64_t addr)
{
	const struct fab_range *r = n->last;

	if (r && addr - r->base < r->bytes)
		return r;
	r = range_find(n->f, addr);
	if (r)
		n->last = r;
	return r;
}

/*
 * The next TLP of r: where it goes, and how long it may be for MPS, MRRS and the page.
 * turns: r turns round; it reaches n's own addresses and no others, and a request on a link the others.
 */
static void piece_next(struct fab_node *n, const struct fab_req *r, bool read, bool turns, struct fab_piece *p)
{
	uint64_t addr = r->addr + r->sent;
	const struct fab_range *range = range_of(n, addr);
	uint32_t page = FAB_PAGE_BYTES - (uint32_t)(addr % FAB_PAGE_BYTES);
	uint32_t max;

	p->addr = addr;
	p->dst = range ? range->node : n->f->top;
	p->unsupported = !range || n->mps[p->dst->id] == 0 || turns != (p->dst == n);
	if (p->unsupported)
		p->dst = n->f->top;
	max = read ? n->ep.mrrs : n->mps[p->dst->id];
	if (n->kind == FAB_KIND_ROOT)
		max = CPU_LINE_BYTES;
	max -= (uint32_t)addr & 3;
	p->len = r->len - r->sent;
	if (p->len > max)
		p->len = max;
	if (p->len > page)
		p->len = page;
	p->dw_bytes = read ? 0 : (uint16_t)fab_dw_bytes(addr, p->len);
	p->units = (uint16_t)((p->dw_bytes + FAB_UNIT_BYTES - 1) / FAB_UNIT_BYTES);
}

void fab_piece_write(struct fab_dir *d, struct fab_piece *p)
{
	piece_next(d->from, d->source.writes.head, false, false, p);
}

bool fab_piece_read(struct fab_dir *d, struct fab_piece *p)
{
	if (d->from->tags.free == FAB_NO_TAG)
		return false;
	piece_next(d->from, d->source.reads.head, true, false, p);
	return true;
}

static struct fab_tlp *tlp_make(struct fab_node *n, const struct fab_piece *p, enum fab_type type)
{
	struct fab_tlp *t = fab_tlp_get(n->f);

	if (!t)
		return NULL;
	t->dir = NULL;
	t->src = n;
	t->dst = p->dst;
	t->addr = p->addr;
	t->len = p->len;
	t->dw_bytes = p->dw_bytes;
	t->units = p->units;
	t->type = (uint8_t)type;
	t->unsupported = p->unsupported;
	t->carries = false;
	return t;
}

static struct fab_tlp *write_make(struct fab_node *n, struct fab_req *r, const struct fab_piece *p)
{
	struct fab_tlp *t = tlp_make(n, p, FAB_MWR);

	if (!t)
		return NULL;
	t->cls = FAB_POSTED;
	t->tag = 0;
	t->remaining = 0;
	if (r->data) {
		memcpy(t->data, (const uint8_t *)r->data + r->sent, p->len);
		t->carries = true;
	}
	r->sent += p->len;
	if (r->sent == r->len)
		n->waiting[false]--;
	return t;
}

struct fab_tlp *fab_take_write(struct fab_dir *d, const struct fab_piece *p, struct fab_req **finished)
{
	struct fab_req *r = d->source.writes.head;
	struct fab_tlp *t = write_make(d->from, r, p);

	if (t && r->sent == r->len) {
		d->source.writes.head = r->next;
		d->stats.queue--;
		*finished = r;
	}
	return t;
}

/* ---- tags ---- */
static void tags_timer(struct fab_event *e);

int fab_tags_init(struct fab_node *n, uint32_t tags, uint64_t timeout_ps)
{
	struct fab_tags *g = &n->tags;

	g->tag = calloc(tags, sizeof(*g->tag));
	if (!g->tag)
		return -ENOMEM;
	g->n = tags;
	for (uint32_t k = 0; k < tags; k++)
		g->tag[k].next = (uint16_t)(k + 1 < tags ? k + 1 : FAB_NO_TAG);
	g->free = 0;
	g->oldest = g->newest = FAB_NO_TAG;
	g->timeout_ps = timeout_ps;
	fab_event_init(&g->timer, tags_timer);
	return 0;
}

static void tag_take(struct fab_node *n, struct fab_req *r, struct fab_tlp *t)
{
	struct fab_tags *g = &n->tags;
	uint16_t k = g->free;
	struct fab_tag *tag = &g->tag[k];

	g->free = tag->next;
	g->used++;
	tag->req = r;
	tag->len = t->len;
	tag->got = 0;
	tag->prev = g->newest;
	tag->next = FAB_NO_TAG;
	if (g->newest == FAB_NO_TAG)
		g->oldest = k;
	else
		g->tag[g->newest].next = k;
	g->newest = k;
	t->tag = k;
	t->gen = tag->gen;
	if (!g->timeout_ps)
		return;
	tag->deadline_ps = fab_now(n->f->q) + g->timeout_ps;
	if (!fab_event_queued(&g->timer))
		fab_schedule(n->f->q, &g->timer, tag->deadline_ps);
}

static void tag_give(struct fab_tags *g, uint16_t k)
{
	struct fab_tag *tag = &g->tag[k];

	if (tag->prev == FAB_NO_TAG)
		g->oldest = tag->next;
	else
		g->tag[tag->prev].next = tag->next;
	if (tag->next == FAB_NO_TAG)
		g->newest = tag->prev;
	else
		g->tag[tag->next].prev = tag->prev;
	tag->req = NULL;
	tag->gen++;
	tag->next = g->free;
	g->free = k;
	g->used--;
}

static struct fab_tlp *read_make(struct fab_node *n, struct fab_req *r, const struct fab_piece *p)
{
	struct fab_tlp *t = tlp_make(n, p, FAB_MRD);

	if (!t)
		return NULL;
	t->cls = FAB_NONPOSTED;
	t->wants = r->data;
	t->remaining = 0;
	t->sent = 0;
	tag_take(n, r, t);
	r->sent += p->len;
	if (r->sent == r->len)
		n->waiting[true]--;
	return t;
}

struct fab_tlp *fab_take_read(struct fab_dir *d, const struct fab_piece *p)
{
	struct fab_req *r = d->source.reads.head;
	struct fab_tlp *t = read_make(d->from, r, p);

	if (t && r->sent == r->len) {
		d->source.reads.head = r->next;
		d->stats.queue--;
	}
	return t;
}

/* ---- a requester's own addresses ---- */
static void turn(struct fab_node *n, struct fab_tlp *t)
{
	if (n->kind == FAB_KIND_ENDPOINT)
		fab_endpoint_turn(n, t, fab_now(n->f->q));
	else
		fab_root_turn(n, t, fab_now(n->f->q));
}

static void turn_write(struct fab_node *n, struct fab_req *r)
{
	struct fab_piece p;
	struct fab_tlp *t;

	while (r->sent < r->len) {
		piece_next(n, r, false, true, &p);
		t = write_make(n, r, &p);
		if (!t)
			break; /* no memory: it is lost, as a write may be */
		turn(n, t);
	}
	if (r->sent < r->len)
		n->waiting[false]--;
	if (r->done)
		r->done(r);
}

static void turn_reads(struct fab_node *n)
{
	while (n->turning.head && n->tags.free != FAB_NO_TAG) {
		struct fab_req *r = n->turning.head;
		struct fab_piece p;
		struct fab_tlp *t;

		piece_next(n, r, true, true, &p);
		t = read_make(n, r, &p);
		if (!t)
			return;
		if (r->sent == r->len)
			n->turning.head = r->next;
		turn(n, t);
	}
}

/* ---- completions ---- */
static void piece_store(struct fab_req *r, const struct fab_tlp *t)
{
	uint8_t *to = (uint8_t *)r->data + (t->addr - r->addr);

	if (t->type == FAB_CPL)
		memset(to, 0xff, t->remaining);
	else
		memcpy(to, t->data, t->len);
}

static void read_finish(struct fab_node *n, struct fab_req *r)
{
	struct fab_tlp *t;

	while ((t = r->held) != NULL) {
		r->held = t->next;
		if (!r->gone)
			piece_store(r, t);
		fab_tlp_put(n->f, t);
	}
	if (r->gone)
		r->lost = true;
	if (r->done)
		r->done(r);
}

/* All of a tag's bytes have come, or none will any more. */
static void tag_finish(struct fab_node *n, uint16_t k)
{
	struct fab_tag *tag = &n->tags.tag[k];
	struct fab_req *r = tag->req;

	r->got += tag->len;
	tag_give(&n->tags, k);
	if (r->got == r->len)
		read_finish(n, r);
	turn_reads(n);
	for (unsigned int i = 0; i < n->num_ports; i++)
		if (n->out[i]->source.reads.head)
			fab_dir_kick(n->out[i]);
}

void fab_complete(struct fab_node *n, struct fab_tlp *t)
{
	uint16_t k = t->tag;
	struct fab_tag *tag = &n->tags.tag[k];
	struct fab_req *r = tag->req;
	uint32_t bytes = t->type == FAB_CPL ? t->remaining : t->len;

	if (!r || tag->gen != t->gen) {
		n->stats.unexpected++;
		fab_tlp_put(n->f, t);
		return;
	}
	tag->got += bytes;
	if (t->type == FAB_CPL)
		r->lost = true;
	if (!r->data || r->gone || !(t->carries || t->type == FAB_CPL)) {
		fab_tlp_put(n->f, t);
	} else if (bytes == r->len) {
		piece_store(r, t);
		fab_tlp_put(n->f, t);
	} else {
		t->next = r->held;
		r->held = t;
	}
	if (tag->got == tag->len)
		tag_finish(n, k);
}

static void tags_timer(struct fab_event *e)
{
	struct fab_tags *g = fab_container(e, struct fab_tags, timer);
	struct fab_node *n = fab_container(g, struct fab_node, tags);
	uint64_t now = fab_now(n->f->q);

	while (g->oldest != FAB_NO_TAG && g->tag[g->oldest].deadline_ps <= now) {
		n->stats.timeouts++;
		g->tag[g->oldest].req->gone = true;
		tag_finish(n, g->oldest);
	}
	if (g->oldest != FAB_NO_TAG && !fab_event_queued(&g->timer))
		fab_schedule(n->f->q, &g->timer, g->tag[g->oldest].deadline_ps);
}

/* ---- submission ---- */
/* Where a request leaves; NULL: it turns round, for its addresses are n's own, or (at the root) nobody's. */
static struct fab_dir *way_out(struct fab_node *n, const struct fab_req *r)
{
	const struct fab_range *range = range_of(n, r->addr);
	bool whole = range && r->len <= range->bytes - (r->addr - range->base);

	if (n->kind == FAB_KIND_ENDPOINT)
		return whole && range->node == n ? NULL : n->out[0];
	return whole && range->node != n ? fab_out(n, range->node) : NULL;
}

static void request_init(struct fab_node *n, struct fab_req *r, bool read)
{
	r->sent = 0;
	r->got = 0;
	r->held = NULL;
	r->gone = false;
	r->lost = false;
	r->next = NULL;
	/* an endpoint's way out is part of its link's */
	r->ready_ps = n->kind == FAB_KIND_ROOT ? fab_now(n->f->q) + n->latency_ps : 0;
	n->waiting[read]++;
}

void fab_write(struct fab_node *n, struct fab_req *r)
{
	struct fab_dir *d = way_out(n, r);

	request_init(n, r, false);
	if (d)
		fab_dir_request(d, &d->source.writes, r);
	else
		turn_write(n, r);
}

void fab_read(struct fab_node *n, struct fab_req *r)
{
	struct fab_dir *d = way_out(n, r);

	request_init(n, r, true);
	if (d) {
		fab_dir_request(d, &d->source.reads, r);
		return;
	}
	if (n->turning.head)
		n->turning.tail->next = r;
	else
		n->turning.head = r;
	n->turning.tail = r;
	turn_reads(n);
}

uint32_t fab_waiting(const struct fab_node *n, bool read)
{
	return n->waiting[read];
}
