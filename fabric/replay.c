/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bit errors: a TLP that comes with a wrong LCRC is sent again, and all that was sent after it.
 *
 * The receiver drops it and what follows, and asks for it with a NAK; the transmitter
 * goes back (PCI Express Base Specification 5.0, 3.6.2.1 and 3.6.3.1).  Nothing that was sent
 * in between counts, so that here the link stands still until the NAK is there; the bytes of it
 * are counted when they are sent in earnest.
 *
 * Errors come independently.  The distance from one to the next is drawn, not each
 * TLP's luck: a TLP costs a subtraction, whatever its length.
 */
#include <math.h>

#include "internal.h"

#define REPLAYS_TO_RETRAIN 4 /* REPLAY_NUM, of two bits, is back at 0 */

/* Bytes of TLPs to the next error. */
static double distance(struct fab_replay *r)
{
	/* splitmix64; (0, 1] */
	uint64_t x = r->rng += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	return -log((double)((x >> 11) + 1) * 0x1p-53) * r->mean_bytes;
}

void fab_replay_init(struct fab_dir *d, const struct fab_link_cfg *cfg, uint64_t seed)
{
	struct fab_replay *r = &d->replay;

	if (cfg->gen == 0 || cfg->bit_error_rate <= 0)
		return;
	d->errs = true;
	r->mean_bytes = 1 / (cfg->bit_error_rate * fab_link_byte_bits(cfg->gen));
	r->rng = seed;
	r->left = distance(r);
	r->nak_ps = 2 * cfg->prop_ps + fab_link_ack_ps(cfg);
}

static void count(struct fab_dir *d, uint32_t bytes, uint64_t busy_ps, unsigned int times)
{
	d->stats.replay_bytes += (uint64_t)bytes * times;
	d->stats.busy_ps += busy_ps * times;
}

uint64_t fab_replay_start(struct fab_dir *d, uint32_t bytes, uint64_t busy_ps, uint64_t now)
{
	struct fab_replay *r = &d->replay;
	uint64_t wait_ps = fab_span(bytes, d->byte_fp) + r->nak_ps, start = now;
	unsigned int times = 0;

	if (now + busy_ps > r->until_ps || now != d->free_ps)
		r->until_ps = 0;
	if (r->until_ps)
		count(d, bytes, busy_ps, r->times);
	for (r->left -= bytes; r->left < 0; r->left = distance(r) - bytes) {
		start += wait_ps;
		if (++times % REPLAYS_TO_RETRAIN == 0)
			d->stats.retrains++;
	}
	if (times) {
		d->stats.replays += times;
		count(d, bytes, busy_ps, times);
		r->times = times;
		r->until_ps = start + wait_ps;
	}
	return start;
}
