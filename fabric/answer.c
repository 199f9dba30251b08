/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Completers: a read is cut into completions that are as long as MPS allows and end
 * at the read completion boundary, all but the last.  The bytes are read when each leaves.
 */
#include "internal.h"

void fab_piece_answer(const struct fab_node *n, const struct fab_tlp *job, struct fab_piece *p)
{
	uint64_t addr = job->addr + job->sent;
	uint64_t end = ((addr & ~3ull) + n->mps[job->src->id]) & ~(uint64_t)(n->rcb - 1);

	p->dst = job->src;
	p->addr = addr;
	p->unsupported = job->unsupported;
	p->len = job->unsupported ? 0 : job->len - job->sent;
	if (p->len > end - addr)
		p->len = (uint32_t)(end - addr);
	p->dw_bytes = (uint16_t)(p->len ? fab_dw_bytes(addr, p->len) : 0);
	p->units = (uint16_t)((p->dw_bytes + FAB_UNIT_BYTES - 1) / FAB_UNIT_BYTES);
}

static struct fab_tlp *completion_make(struct fab_node *n, struct fab_tlp *job, const struct fab_piece *p)
{
	struct fab_tlp *t = fab_tlp_get(n->f);

	if (!t)
		return NULL;
	t->dir = NULL;
	t->src = n;
	t->dst = p->dst;
	t->addr = p->addr;
	t->len = p->len;
	t->remaining = job->len - job->sent;
	t->tag = job->tag;
	t->gen = job->gen;
	t->dw_bytes = p->dw_bytes;
	t->units = p->units;
	t->type = p->unsupported ? FAB_CPL : FAB_CPLD;
	t->cls = FAB_COMPLETION;
	t->unsupported = false;
	t->carries = job->wants && !p->unsupported && n->ops.read;
	if (t->carries)
		n->ops.read(n->arg, t->addr, t->data, t->len);
	job->sent = p->unsupported ? job->len : job->sent + p->len;
	job->ready_ps += fab_span(p->len, n->read_fp);
	return t;
}

struct fab_tlp *fab_take_answer(struct fab_dir *d, const struct fab_piece *p)
{
	struct fab_tlp *job = d->source.answers.head;
	struct fab_tlp *t = completion_make(d->from, job, p);

	if (t && job->sent == job->len) {
		fab_fifo_pop(&d->source.answers);
		d->stats.queue--;
		fab_tlp_put(d->f, job);
	}
	return t;
}

static void come_home(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);

	fab_complete(t->dst, t);
}

void fab_answer(struct fab_node *n, struct fab_tlp *t)
{
	struct fab_piece p;
	struct fab_tlp *c;

	t->sent = 0;
	if (t->src != n) {
		fab_dir_answer(fab_out(n, t->src), t);
		return;
	}
	while (t->sent < t->len) {
		uint64_t at_ps = t->ready_ps + 2 * n->latency_ps;

		fab_piece_answer(n, t, &p);
		c = completion_make(n, t, &p);
		if (!c)
			break; /* no memory: the read times out */
		fab_event_init(&c->event, come_home);
		fab_schedule(n->f->q, &c->event, at_ps);
	}
	fab_tlp_put(n->f, t);
}

void fab_unsupported(struct fab_node *n, struct fab_tlp *t)
{
	n->stats.unsupported++;
	if (t->type != FAB_MRD) {
		fab_tlp_put(n->f, t);
		return;
	}
	t->ready_ps = fab_now(n->f->q);
	fab_answer(n, t);
}
