/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Switches: cut-through, and what any forwarding component shares: losses.
 *
 * A TLP may leave as soon as its head has been looked at, but not so early that the
 * way out, being faster than the way in, would run dry before the tail has come.
 */
#include "internal.h"

uint64_t fab_cut_through(const struct fab_dir *out, const struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps,
			 uint64_t latency_ps)
{
	uint64_t span = fab_span(out->overhead[t->type] + t->dw_bytes, out->byte_fp);

	return latency_ps + (tail_ps > head_ps + span ? tail_ps - span : head_ps);
}

static uint32_t random_ppm(struct fabric *f)
{
	/* splitmix64 */
	uint64_t x = f->rng += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((x ^ x >> 31) % 1000000);
}

/* The buffer that t has come into is three quarters full with others. */
static bool crowded(const struct fab_tlp *t)
{
	const struct fab_credit *c = &t->dir->credit[t->cls];
	uint64_t hdr = c->hdr_max - c->hdr, units = c->units_max - c->units;

	for (uint32_t k = c->cons; k != c->prod; k++) {
		hdr -= c->ring[k & c->mask].hdr;
		units -= c->ring[k & c->mask].units;
	}
	return (c->hdr_max && (hdr - 1) * 4 >= c->hdr_max * 3ull) ||
	       (c->units_max && (units - t->units) * 4 >= c->units_max * 3ull);
}

static bool loses(struct fab_node *n, struct fab_tlp *t, struct fab_dir *out)
{
	uint32_t ppm = n->loss.ppm[t->type];

	if (ppm && random_ppm(n->f) < ppm)
		return true;
	if (!n->loss.congested || t->cls != FAB_POSTED)
		return false;
	return (out && !fab_dir_has_room(out, t, fab_now(n->f->q))) || crowded(t);
}

bool fab_lose(struct fab_node *n, struct fab_tlp *t, struct fab_dir *out)
{
	if (!t->dir || !loses(n, t, out))
		return false;
	t->dir->stats.lost[t->type]++;
	fab_credit_give(t->dir, t->cls, t->units, fab_now(n->f->q));
	fab_tlp_put(n->f, t);
	return true;
}

static void switch_arrived(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_dir *in = t->dir;
	struct fab_node *n = in->to;
	struct fab_dir *out = fab_out(n, t->dst);

	if (n->lossy && fab_lose(n, t, out))
		return;
	fab_dir_forward(out, in->to_port, t);
}

/* Only what nobody claims ends here, at the top of a tree without a root complex. */
static void switch_ended(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dst;

	if (n->lossy && fab_lose(n, t, NULL))
		return;
	fab_credit_give(t->dir, t->cls, t->units, fab_now(n->f->q));
	fab_unsupported(n, t);
}

void fab_switch_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps)
{
	struct fab_node *n = d->to;

	if (t->dst == n) {
		t->event.fn = switch_ended;
		fab_line_push(d->f->q, &d->line, t, tail_ps + n->latency_ps);
		return;
	}
	t->event.fn = switch_arrived;
	fab_line_push(d->f->q, &d->line, t, fab_cut_through(fab_out(n, t->dst), t, head_ps, tail_ps, n->latency_ps));
}
