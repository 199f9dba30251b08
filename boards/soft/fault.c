/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Faults by rule: DMA that is lost, late, doubled, cut or flipped, bells, a NIC that stands still, a clock that jumps.
 *
 * What is late waits in one list per context with a copy of its bytes, and whatever that context writes or rings after
 * it waits behind it: a context's writes are one DMA queue.  The time that counts is the NIC's own clock.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

_Static_assert((int)FAULT_ON_BEAT == (int)BOARD_KIND_BEAT && (int)FAULT_ON_COMPLETION == (int)BOARD_KIND_COMPLETION &&
	       FAULT_NUM_KINDS == (int)BOARD_NUM_KINDS, "kinds are the board's");

struct soft_late {
	struct soft_late *next;
	uint64_t at_ns, bus;
	enum board_kind kind;
	bool bell;
	unsigned int peer;
	struct fault_hit hit;
	uint32_t len;
	uint8_t data[];
};

int soft_fault_make(struct soft_context *c, const struct fault_set *set, uint64_t who)
{
	struct soft_fault *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->own = *set;
	fault_set_seed(&f->own, who);
	f->set = &f->own;
	f->local = fault_has_local(set);
	f->tail = &f->head;
	c->fault = f;
	return 0;
}

void soft_fault_drop_late(struct soft_context *c)
{
	struct soft_late *l;

	if (!c->fault)
		return;
	while ((l = c->fault->head)) {
		c->fault->head = l->next;
		free(l);
	}
	c->fault->tail = &c->fault->head;
}

void soft_fault_free(struct soft_context *c)
{
	soft_fault_drop_late(c);
	free(c->fault);
	c->fault = NULL;
}

/* What arrives of it: two pieces at most. */
static bool write_hit(struct board_ctx *b, struct board_win *w, uint64_t off, const uint8_t *src, uint32_t len,
		      enum board_kind kind, const struct fault_hit *hit)
{
	struct soft_fault *f = soft_context_of(b)->fault;
	uint32_t z = hit->hole + hit->hole_len;
	bool ok = true;

	if (!hit->hole_len && !hit->flip)
		return soft_dma_carry_write(b, w, off, src, len, kind);
	if (hit->flip && len <= sizeof(f->scratch)) {
		fault_move(hit, f->scratch, src, 0, len);
		src = f->scratch;
	}
	if (!hit->hole_len)
		return soft_dma_carry_write(b, w, off, src, len, kind);
	if (hit->hole)
		ok = soft_dma_carry_write(b, w, off, src, hit->hole, kind);
	if (ok && z < len)
		ok = soft_dma_carry_write(b, w, off + z, src + z, len - z, kind);
	return ok;
}

/* Without memory for it, it is lost. */
static void put_late(struct board_ctx *b, const struct soft_late *head, const uint8_t *src, uint64_t after_ns)
{
	struct soft_fault *f = soft_context_of(b)->fault;
	struct soft_late *l = malloc(sizeof(*l) + head->len);

	if (!l)
		return;
	*l = *head;
	l->next = NULL;
	l->at_ns = b->now_ns + after_ns;
	if (l->len)
		memcpy(l->data, src, l->len);
	*f->tail = l;
	f->tail = &l->next;
}

bool soft_fault_write(struct board_ctx *b, struct board_win *w, uint64_t off, const uint8_t *src, uint32_t len,
		      enum board_kind kind, uint32_t unit)
{
	struct soft_fault *f = soft_context_of(b)->fault;
	const struct fault_dma d = { .kind = (enum fault_on)kind, .local = w->bus & P2P_BUS_LOCAL, .len = len, .unit = unit,
				     .addr = (w->bus & ~P2P_BUS_LOCAL) + off };
	struct soft_late late = { .bus = w->bus + off, .kind = kind, .len = len };
	bool ok = true;

	if (off > w->bytes || len > w->bytes - off)
		return false;
	fault_dma(f->set, &d, &late.hit);
	if (late.hit.delay_ns || f->head)
		put_late(b, &late, src, late.hit.delay_ns);
	else
		ok = write_hit(b, w, off, src, len, kind, &late.hit);
	if (late.hit.dup && late.hit.dup_ns)
		put_late(b, &late, src, late.hit.delay_ns + late.hit.dup_ns);
	else if (late.hit.dup && !f->head)
		write_hit(b, w, off, src, len, kind, &late.hit);
	return ok;
}

bool soft_fault_read(struct board_ctx *b, struct board_win *w, uint64_t off, uint8_t *dst, uint32_t len, enum board_kind kind)
{
	struct soft_fault *f = soft_context_of(b)->fault;
	const struct fault_dma d = { .kind = (enum fault_on)kind, .read = true, .local = w->bus & P2P_BUS_LOCAL, .len = len,
				     .unit = SOFT_LINE, .addr = (w->bus & ~P2P_BUS_LOCAL) + off };
	struct fault_hit hit;
	bool ok;

	if (!fault_dma(f->set, &d, &hit) || len > sizeof(f->scratch))
		return soft_dma_carry_read(b, w, off, dst, len, kind);
	ok = soft_dma_carry_read(b, w, off, f->scratch, len, kind);
	fault_move(&hit, dst, f->scratch, 0, len);
	return ok;
}

bool soft_fault_bell(struct board_ctx *b, unsigned int peer)
{
	struct soft_fault *f = soft_context_of(b)->fault;
	const struct fault_dma d = { .kind = FAULT_ON_BELL, .len = 4 };
	struct soft_late late = { .bell = true, .peer = peer };

	fault_dma(f->set, &d, &late.hit);
	if (late.hit.hole_len)
		return true;
	if (!late.hit.delay_ns && !f->head)
		return false;
	put_late(b, &late, late.data, late.hit.delay_ns);
	return true;
}

/*
 * A target that is gone meanwhile is nobody's fault.  Firmware believed these writes done when it looked for sleepers,
 * so all peers are rung: more often than needed is allowed.
 */
static void carry_late(struct soft_context *c)
{
	struct soft_fault *f = c->fault;
	struct soft_late *l;
	bool any = false;

	while ((l = f->head) && l->at_ns <= c->ctx.now_ns) {
		struct board_win w = { .bus = l->bus, .bytes = l->len };

		if (l->bell)
			soft_bell_ring(c, l->peer);
		else
			write_hit(&c->ctx, &w, 0, l->data, l->len, l->kind, &l->hit);
		any = true;
		f->head = l->next;
		if (!l->next)
			f->tail = &f->head;
		free(l);
	}
	for (unsigned int i = 0; any && i < P2P_MAX_NICS; i++)
		soft_bell_ring(c, i);
}

uint64_t soft_fault_step(struct soft_context *c, uint64_t now_ns)
{
	struct soft_fault *f = c->fault;
	uint64_t until, ns = fault_now(f->set, FAULT_STALL, FAULT_ON_NIC);

	if (ns && f->stall_ns < now_ns + ns)
		f->stall_ns = now_ns + ns;
	f->skew_ns += fault_now(f->set, FAULT_CLOCK, FAULT_ON_NIC);
	if (now_ns + f->skew_ns > c->ctx.now_ns)
		c->ctx.now_ns = now_ns + f->skew_ns;
	carry_late(c);
	if (now_ns < f->stall_ns)
		return f->stall_ns;
	until = soft_context_run(c, c->ctx.now_ns);
	carry_late(c);
	if (until && until != UINT64_MAX)
		until = until > f->skew_ns ? until - f->skew_ns : 1;
	if (until && f->head && f->head->at_ns - f->skew_ns < until)
		until = f->head->at_ns - f->skew_ns;
	return until;
}
