/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "bench.h"

const char *const fwd_load_keys[FWD_NUM_LOADS] = {
#define X(name, key, percent) key,
	FWD_LOADS(X)
#undef X
};

/* The generator looped to its sink, with frames as the row's: frames/s in millions, NAN if that was not measured. */
static double row_loop(const struct fwd_bench *b, const struct fwd_row *r, unsigned int f)
{
	unsigned int k;

	for (k = 0; k < b->n; k++)
		if (!b->entry[k].subject && b->entry[k].spread == r->e->spread)
			return fwd_median(b->entry[k].cell[f].mpps, b->rounds);
	return NAN;
}

/*
 * Who is the limit?  The generator, if looped to its own sink it could not send a fifth more than the forwarder took, or
 * if the forwarder found nothing to do for so much of its time that it could have taken a fifth more.
 */
static bool row_bound(const struct fwd_bench *b, const struct fwd_row *r, unsigned int f)
{
	double loop = row_loop(b, r, f), busy = fwd_median(r->cell->busy, b->rounds);

	if (!r->e->subject || (!r->e->subject->p2pnic && !r->e->subject->dpdk))
		return false;
	if (b->req->testpmd_drives)
		return true;
	return r->mpps.median * FWD_BOUND_MARGIN > loop || busy * FWD_BOUND_MARGIN < 1;
}

bool fwd_row(const struct fwd_bench *b, unsigned int k, unsigned int f, struct fwd_row *r)
{
	const struct fwd_entry *e = &b->entry[k];
	unsigned int l;

	*r = (struct fwd_row){ .e = e, .cell = &e->cell[f], .frame_bytes = b->req->frames[f] };
	fwd_spread_of(&r->mpps, r->cell->mpps, b->rounds);
	r->cycles = fwd_median(r->cell->cycles, b->rounds);
	for (l = 0; l < FWD_NUM_LOADS; l++) {
		r->p50[l] = fwd_median(r->cell->p50[l], b->rounds);
		r->p99[l] = fwd_median(r->cell->p99[l], b->rounds);
	}
	if (!r->mpps.n && !r->cell->checked)
		return false;
	r->generator_bound = r->mpps.n && row_bound(b, r, f);
	return true;
}

bool fwd_clean(const struct fwd_bench *b)
{
	unsigned int k, f;

	for (k = 0; k < b->n; k++) {
		for (f = 0; f < b->req->num_frames; f++) {
			const struct fwd_cell *c = &b->entry[k].cell[f];

			if (b->entry[k].subject && b->entry[k].subject->p2pnic && !b->entry[k].against &&
			    (c->lost || c->corrupted || c->reordered || c->duplicated || c->foreign))
				return false;
		}
	}
	return true;
}
