/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of a link: which TLP is next, its credits, its time.
 *
 * Inputs take turns, one TLP each.  Within an input the oldest goes first unless it
 * lacks credits; then younger ones may pass as the ordering rules say (PCI Express Base
 * Specification, table 2-40): nothing passes a posted TLP, anything else is passed.
 *
 * Credits come back without events: a queue of returns is looked at when credits
 * are short, and only a direction that can't go on is woken by one.
 */
#include "internal.h"

/* What a look over the inputs found in the way. */
struct scan {
	uint64_t later_ps; /* something may go then, by itself */
	uint16_t units[FAB_NUM_CLASSES]; /* the least that a blocked TLP of the class needs */
	uint8_t blocked;
	struct fab_piece piece[FAB_NUM_CLASSES];
};

static void mature(struct fab_credit *c, uint64_t now)
{
	while (c->cons != c->prod) {
		const struct fab_return *r = &c->ring[c->cons & c->mask];

		if (r->at_ps > now)
			break;
		c->hdr += r->hdr;
		c->units += r->units;
		c->cons++;
	}
}

static bool credit_has(struct fab_credit *c, uint32_t hdr, uint32_t units, uint64_t now)
{
	if (c->hdr >= hdr && c->units >= units)
		return true;
	mature(c, now);
	return c->hdr >= hdr && c->units >= units;
}

bool fab_dir_has_room(struct fab_dir *d, const struct fab_tlp *write, uint64_t now)
{
	return credit_has(&d->credit[FAB_POSTED], d->posted + 1, d->posted_units + write->units, now);
}

void fab_dir_wake_at(struct fab_dir *d, uint64_t at_ps)
{
	if (!fab_event_queued(&d->wake) || at_ps < d->wake.at_ps)
		fab_schedule(d->f->q, &d->wake, at_ps);
}

void fab_credit_give(struct fab_dir *d, unsigned int cls, uint32_t units, uint64_t at_ps)
{
	struct fab_credit *c = &d->credit[cls];
	struct fab_return *last;
	uint32_t hdr = c->hdr_step;

	units &= c->units_mask;
	if (!(hdr | units))
		return;
	at_ps += d->back->prop_ps;
	last = &c->ring[(c->prod - 1) & c->mask];
	if (c->prod != c->cons && last->at_ps >= at_ps) {
		at_ps = last->at_ps;
		last->hdr += hdr;
		last->units += units;
	} else {
		c->ring[c->prod++ & c->mask] = (struct fab_return){ .at_ps = at_ps, .hdr = hdr, .units = units };
	}
	if (!c->starved)
		return;
	c->short_hdr -= hdr;
	c->short_units -= units;
	if (c->short_hdr > 0 || c->short_units > 0)
		return;
	c->starved = false;
	fab_dir_wake_at(d, at_ps);
}

/* A TLP of class cls lacks credits: wakes d when the first return comes that suffices. */
static void credit_await(struct fab_dir *d, unsigned int cls, uint32_t units)
{
	struct fab_credit *c = &d->credit[cls];

	c->short_hdr = 1 - (int64_t)c->hdr;
	c->short_units = (int64_t)units - c->units;
	c->starved = false;
	for (uint32_t k = c->cons; k != c->prod; k++) {
		const struct fab_return *r = &c->ring[k & c->mask];

		c->short_hdr -= r->hdr;
		c->short_units -= r->units;
		if (c->short_hdr <= 0 && c->short_units <= 0) {
			fab_dir_wake_at(d, r->at_ps);
			return;
		}
	}
	c->starved = true;
}

static void scan_blocked(struct scan *s, unsigned int cls, uint16_t units)
{
	if (!(s->blocked & 1u << cls) || units < s->units[cls])
		s->units[cls] = units;
	s->blocked |= (uint8_t)(1u << cls);
}

/* The class whose head is oldest; FAB_NUM_CLASSES: all are empty. */
static unsigned int oldest(const uint64_t order[FAB_NUM_CLASSES])
{
	unsigned int best = FAB_POSTED;

	if (order[FAB_NONPOSTED] < order[best])
		best = FAB_NONPOSTED;
	if (order[FAB_COMPLETION] < order[best])
		best = FAB_COMPLETION;
	return order[best] == UINT64_MAX ? FAB_NUM_CLASSES : best;
}

/* The class that may go; FAB_NUM_CLASSES: none. */
static unsigned int input_choose(struct fab_dir *d, const struct fab_input *in, uint64_t now, struct scan *s)
{
	uint64_t order[FAB_NUM_CLASSES];
	unsigned int c;

	for (c = 0; c < FAB_NUM_CLASSES; c++)
		order[c] = in->q[c].head ? in->q[c].head->order : UINT64_MAX;
	for (;;) {
		c = oldest(order);
		if (c == FAB_NUM_CLASSES)
			return c;
		if (credit_has(&d->credit[c], 1, in->q[c].head->units, now))
			return c;
		scan_blocked(s, c, in->q[c].head->units);
		if (c == FAB_POSTED)
			return FAB_NUM_CLASSES;
		order[c] = UINT64_MAX;
	}
}

static unsigned int source_choose(struct fab_dir *d, uint64_t now, struct scan *s)
{
	struct fab_source *src = &d->source;
	uint64_t order[FAB_NUM_CLASSES];
	uint64_t ready[FAB_NUM_CLASSES];
	unsigned int c;

	order[FAB_POSTED] = src->writes.head ? src->writes.head->order : UINT64_MAX;
	order[FAB_NONPOSTED] = src->reads.head ? src->reads.head->order : UINT64_MAX;
	order[FAB_COMPLETION] = src->answers.head ? src->answers.head->order : UINT64_MAX;
	for (;;) {
		c = oldest(order);
		if (c == FAB_NUM_CLASSES)
			return c;
		ready[c] = c == FAB_POSTED	? src->writes.head->ready_ps
			   : c == FAB_NONPOSTED ? src->reads.head->ready_ps
						: src->answers.head->ready_ps;
		order[c] = UINT64_MAX;
		if (ready[c] > now) {
			if (ready[c] < s->later_ps)
				s->later_ps = ready[c];
			continue;
		}
		if (c == FAB_POSTED) {
			fab_piece_write(d, &s->piece[c]);
		} else if (c == FAB_NONPOSTED) {
			if (!fab_piece_read(d, &s->piece[c]))
				continue; /* no tag: a completion wakes us */
		} else {
			fab_piece_answer(d->from, src->answers.head, &s->piece[c]);
		}
		if (credit_has(&d->credit[c], 1, s->piece[c].units, now))
			return c;
		scan_blocked(s, c, s->piece[c].units);
		if (c == FAB_POSTED)
			return FAB_NUM_CLASSES;
	}
}

/* Finds who is next: its input, and the class in *cls. */
static bool choose(struct fab_dir *d, uint64_t now, struct scan *s, unsigned int *input, unsigned int *cls)
{
	uint64_t left = d->active, turn;

	while (left) {
		turn = left & ~0ull << d->next_input;
		*input = (unsigned int)__builtin_ctzll(turn ? turn : left);
		*cls = *input == d->slot ? source_choose(d, now, s) : input_choose(d, &d->in[*input], now, s);
		if (*cls != FAB_NUM_CLASSES)
			return true;
		/* next_input stays where it is: who was blocked has its turn still */
		left &= ~(1ull << *input);
	}
	return false;
}

void fab_dir_stall_update(struct fab_dir *d, uint64_t now)
{
	for (unsigned int c = 0; c < FAB_NUM_CLASSES; c++) {
		if (!(d->blocked & 1u << c))
			continue;
		d->stats.stall_ps[c] += now - d->blocked_since_ps[c];
		d->blocked_since_ps[c] = now;
	}
}

static void stall_set(struct fab_dir *d, unsigned int blocked, uint64_t now)
{
	fab_dir_stall_update(d, now);
	for (unsigned int c = 0; c < FAB_NUM_CLASSES; c++)
		if (blocked & ~d->blocked & 1u << c)
			d->blocked_since_ps[c] = now;
	d->blocked = (uint8_t)blocked;
}

static void trace(struct fab_dir *d, const struct fab_tlp *t, uint64_t now)
{
	const struct fab_node *requester = t->cls == FAB_COMPLETION ? t->dst : t->src;
	const struct fab_node *completer = t->cls == FAB_COMPLETION ? t->src : t->dst;
	struct fab_tlp_view v = {
		.at_ps = now + (d->from->kind == FAB_KIND_ENDPOINT ? d->from->latency_ps : 0),
		.type = t->type,
		.requester = (uint16_t)(requester->id << 3),
		.completer = (uint16_t)(completer->id << 3),
		.tag = t->tag,
		.addr = t->addr,
		.len = t->len,
		.remaining = t->remaining,
		.data = t->carries && t->type != FAB_MRD ? t->data : NULL,
		.link = d->link,
		.link_id = (uint16_t)(d->link->id << 3),
		.up = d->up,
	};

	d->f->trace(d->f->trace_arg, &v);
}

/* t has the transmitter: its credits, its time, and what comes of it at the other end. */
static void transmit(struct fab_dir *d, struct fab_tlp *t, uint64_t now)
{
	struct fab_credit *c = &d->credit[t->cls];
	uint32_t bytes = d->overhead[t->type] + t->dw_bytes;
	uint64_t busy = bytes * d->busy_fp + d->frac;
	uint64_t start = now, head, tail;

	if (t->dir)
		fab_credit_give(t->dir, t->cls, t->units, now);
	c->hdr -= c->hdr_step;
	c->units -= t->units & c->units_mask;
	d->frac = busy & ((1ull << FAB_FRAC_BITS) - 1);
	busy >>= FAB_FRAC_BITS;
	if (d->errs)
		start = fab_replay_start(d, bytes, busy, now);
	d->free_ps = start + busy;
	head = start + d->prop_ps;
	tail = head + fab_span(bytes, d->byte_fp);

	d->stats.tlps[t->type]++;
	d->stats.bytes[t->type] += t->type == FAB_MRD ? 0 : t->len;
	d->stats.wire_bytes += bytes;
	d->stats.busy_ps += busy;
	if (d->f->trace)
		trace(d, t, start);

	t->dir = d;
	if (d->to->kind == FAB_KIND_SWITCH)
		fab_switch_expect(d, t, head, tail);
	else if (d->to->kind == FAB_KIND_ENDPOINT)
		fab_endpoint_expect(d, t, tail);
	else
		fab_root_expect(d, t, head, tail);
}

static bool input_empty(const struct fab_dir *d, unsigned int i)
{
	const struct fab_input *in = &d->in[i];

	if (i == d->slot)
		return !d->source.writes.head && !d->source.reads.head && !d->source.answers.head;
	return !in->q[FAB_POSTED].head && !in->q[FAB_NONPOSTED].head && !in->q[FAB_COMPLETION].head;
}

/* Nothing may go: who or what wakes d? */
static void rest(struct fab_dir *d, const struct scan *s, uint64_t now)
{
	if (s->later_ps != FAB_NEVER)
		fab_dir_wake_at(d, s->later_ps);
	for (unsigned int c = 0; c < FAB_NUM_CLASSES; c++)
		if (s->blocked & 1u << c) {
			d->least[c] = s->units[c];
			credit_await(d, c, s->units[c]);
		}
	d->resting = true;
	if (s->blocked | d->blocked)
		stall_set(d, s->blocked, now);
}

/* Starts one TLP; false: none may go now. */
static bool send(struct fab_dir *d, uint64_t now)
{
	struct scan s;
	struct fab_req *finished = NULL;
	struct fab_tlp *t;
	unsigned int input, cls;

	d->resting = false;
	s.later_ps = FAB_NEVER;
	s.blocked = 0;
	if (!choose(d, now, &s, &input, &cls)) {
		rest(d, &s, now);
		return false;
	}
	if (input != d->slot)
		t = fab_fifo_pop(&d->in[input].q[cls]);
	else if (cls == FAB_POSTED)
		t = fab_take_write(d, &s.piece[cls], &finished);
	else if (cls == FAB_NONPOSTED)
		t = fab_take_read(d, &s.piece[cls]);
	else
		t = fab_take_answer(d, &s.piece[cls]);
	if (!t)
		return false; /* no memory: tried anew at the next occasion */
	if (input != d->slot) {
		d->stats.queue--;
		if (cls == FAB_POSTED) {
			d->posted--;
			d->posted_units -= t->units;
		}
	}
	if (input_empty(d, input))
		d->active &= ~(1ull << input);
	d->next_input = (input + 1) & 63;
	if (s.blocked | d->blocked) /* what was blocked before is so still, though it was not looked at */
		stall_set(d, s.blocked | (d->blocked & ~(1u << cls)), now);
	transmit(d, t, now);
	if (finished && finished->done)
		finished->done(finished);
	return true;
}

void fab_dir_kick(struct fab_dir *d)
{
	uint64_t now;

	if (d->sending || !d->active)
		return;
	now = fab_now(d->f->q);
	d->sending = true;
	do {
		if (d->free_ps > now) {
			fab_dir_wake_at(d, d->free_ps);
			break;
		}
	} while (send(d, now) && d->active);
	d->sending = false;
}

void fab_dir_woken(struct fab_event *e)
{
	fab_dir_kick(fab_container(e, struct fab_dir, wake));
}

static void queued(struct fab_dir *d, unsigned int input)
{
	d->active |= 1ull << input;
	if (++d->stats.queue > d->stats.queue_max)
		d->stats.queue_max = d->stats.queue;
}

void fab_dir_forward(struct fab_dir *d, unsigned int input, struct fab_tlp *t)
{
	uint64_t now = fab_now(d->f->q);

	/* mostly nothing is in the way */
	if (!d->active && d->free_ps <= now && credit_has(&d->credit[t->cls], 1, t->units, now)) {
		d->next_input = (input + 1) & 63;
		if (d->blocked)
			stall_set(d, d->blocked & ~(1u << t->cls), now);
		transmit(d, t, now);
		return;
	}
	t->order = d->order++;
	if (t->cls == FAB_POSTED) {
		d->posted++;
		d->posted_units += t->units;
	}
	fab_fifo_push(&d->in[input].q[t->cls], t);
	queued(d, input);
	/* no better off than those that lack credits already: no need to ask all of them again */
	if (!(d->resting && d->blocked & 1u << t->cls && t->units >= d->least[t->cls]))
		fab_dir_kick(d);
}

void fab_dir_answer(struct fab_dir *d, struct fab_tlp *t)
{
	t->order = d->order++;
	fab_fifo_push(&d->source.answers, t);
	queued(d, d->slot);
	fab_dir_kick(d);
}

void fab_dir_request(struct fab_dir *d, struct fab_reqs *q, struct fab_req *r)
{
	r->order = d->order++;
	r->next = NULL;
	if (q->head)
		q->tail->next = r;
	else
		q->head = r;
	q->tail = r;
	queued(d, d->slot);
	fab_dir_kick(d);
}
