/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rate kept by the clock: frame k of a run is due at start + k / rate.
 *
 * A port that wakes late sends what it owes, but at most one millisecond's
 * worth or 64 frames, whichever is more: an older debt is forgiven and counted,
 * since bursts without bound would measure queues instead of a rate.
 */
#ifndef PORTS_PACE_H
#define PORTS_PACE_H

#include <p2pnic/types.h>

#define PACE_DEBT_FRAMES 64u

struct pace {
	uint64_t rate_pps; /* 0: no limit */
	uint64_t start_ns; /* 0: begins with the next call */
	uint64_t sent;     /* frames since start_ns */
	uint64_t burst;    /* frames are released in groups of this many */
	uint64_t behind;   /* frames forgiven: due and never sent */
};

static inline void pace_init(struct pace *p, uint64_t rate_pps, uint64_t burst)
{
	p->rate_pps = rate_pps;
	p->start_ns = 0;
	p->sent = 0;
	p->burst = burst ? burst : 1;
}

/* Frames that may leave now; UINT64_MAX without a limit. */
static inline uint64_t pace_due(struct pace *p, uint64_t now_ns)
{
	uint64_t owed, most, elapsed;

	if (!p->rate_pps)
		return UINT64_MAX;
	if (!p->start_ns) {
		p->start_ns = now_ns;
		p->sent = 0;
	}
	elapsed = now_ns > p->start_ns ? now_ns - p->start_ns : 0;
	/* Long runs begin anew each second of whole periods, which keeps the product within 64 bits. */
	while (elapsed >= 1000000000u && p->sent >= p->rate_pps) {
		p->start_ns += 1000000000u;
		p->sent -= p->rate_pps;
		elapsed -= 1000000000u;
	}
	owed = (uint64_t)((unsigned __int128)elapsed * p->rate_pps / 1000000000u) + 1;
	owed = owed > p->sent ? owed - p->sent : 0;
	most = p->rate_pps / 1000 > PACE_DEBT_FRAMES ? p->rate_pps / 1000 : PACE_DEBT_FRAMES;
	if (most < p->burst)
		most = p->burst;
	if (owed > most) {
		p2p_count(&p->behind, owed - most);
		p->sent += owed - most;
		owed = most;
	}
	return owed - owed % p->burst;
}

static inline void pace_spend(struct pace *p, uint64_t frames)
{
	p->sent += frames;
}

/* When the next group is due: ns, not before now_ns. */
static inline uint64_t pace_next_ns(const struct pace *p, uint64_t now_ns)
{
	uint64_t frame, at;

	if (!p->rate_pps || !p->start_ns)
		return now_ns;
	frame = p->sent + p->burst - 1;
	at = p->start_ns +
	     (uint64_t)(((unsigned __int128)frame * 1000000000u + p->rate_pps - 1) / p->rate_pps);
	return at > now_ns ? at : now_ns;
}

#endif
