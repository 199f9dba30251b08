/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "bench.h"

#define GLANCE_NS 150000000ull
#define CHECK_NS 300000000ull
#define WARMUP_NS 150000000ull
#define CHECK_PPS 200000.0 /* moderate: what every subject and the checking itself can do */

static const unsigned int load_percent[FWD_NUM_LOADS] = {
#define X(name, key, percent) percent,
	FWD_LOADS(X)
#undef X
};

struct tester_load fwd_measure_load(const struct fwd_session *s, unsigned int frame_bytes, double seconds)
{
	uint64_t ns = (uint64_t)(seconds * 1e9);

	return (struct tester_load){
		.gear = TESTER_BENCH,
		.frame_bytes = frame_bytes,
		.duration_ns = ns,
		.warmup_ns = ns / 2 < WARMUP_NS ? ns / 2 : WARMUP_NS,
		.routed = s->e->subject ? s->e->subject->routed : s->e->spread,
		.dst = s->e->spread ? s->b->env.dst : NULL,
		.dst_n = s->e->spread ? s->b->env.num_dst : 0,
	};
}

static void measure_faults(struct fwd_cell *c, const struct tester_result *r, bool saturated)
{
	if (saturated)
		c->lost_saturated += r->lost;
	else
		c->lost += r->lost;
	c->corrupted += r->corrupted;
	c->reordered += r->reordered;
	c->duplicated += r->duplicated;
	c->foreign += r->foreign;
	c->checked += r->checked;
}

static int measure_latency(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX])
{
	struct fwd_cell *c = &s->e->cell[frame];
	unsigned int bytes = s->b->req->frames[frame], k;
	static struct tester_result res;
	int rc;

	for (k = 0; k < FWD_NUM_LOADS; k++) {
		struct tester_load load = fwd_measure_load(s, bytes, s->b->req->seconds / 2);
		double most = c->mpps[round] * 1e6, pps = load_percent[k] ? most * load_percent[k] / 100 : fwd_common_pps(bytes);

		if (!(pps > 0) || pps > 0.95 * most)
			continue;
		load.rate_pps = (uint64_t)pps;
		load.latency = true;
		rc = fwd_session_run(s, &load, FWD_REPEATS, &res, NULL, c, err);
		if (rc)
			return rc;
		measure_faults(c, &res, false);
		if (!histogram_count(&res.latency_ns))
			continue;
		c->p50[k][round] = (double)histogram_percentile(&res.latency_ns, 50);
		c->p99[k][round] = (double)histogram_percentile(&res.latency_ns, 99);
	}
	return 0;
}

int fwd_measure_round(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(s, s->b->req->frames[frame], s->b->req->seconds);
	struct fwd_cell *c = &s->e->cell[frame];
	static struct tester_result res;
	double cycles, pps;
	int rc;

	rc = fwd_session_run(s, &load, FWD_REPEATS, &res, &cycles, c, err);
	if (rc)
		return rc;
	pps = tester_result_pps(&res);
	c->mpps[round] = pps / 1e6;
	if (s->e->subject && s->e->subject->counts) {
		c->cycles[round] = cycles;
		c->busy[round] = cycles * pps / (double)res.tsc_hz;
	} else if (s->e->by_rate && pps > 0) {
		c->cycles[round] = (double)res.tsc_hz / pps;
	}
	measure_faults(c, &res, true);
	return s->b->req->latency ? measure_latency(s, frame, round, err) : 0;
}

int fwd_measure_glance(struct fwd_session *s, unsigned int frame_bytes, double *mpps, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(s, frame_bytes, (double)GLANCE_NS / 1e9);
	static struct tester_result res;
	int rc;

	rc = fwd_session_run(s, &load, 1, &res, NULL, NULL, err);
	if (!rc)
		*mpps = tester_result_pps(&res) / 1e6;
	return rc;
}

int fwd_measure_check(struct fwd_session *s, unsigned int frame, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(s, s->b->req->frames[frame], (double)CHECK_NS / 1e9);
	static struct tester_result res;
	int rc;

	load.gear = TESTER_CHECK;
	load.rate_pps = (uint64_t)CHECK_PPS;
	rc = fwd_session_run(s, &load, 0, &res, NULL, NULL, err);
	if (rc)
		return rc;
	measure_faults(&s->e->cell[frame], &res, false);
	load.rate_pps = 0;
	rc = fwd_session_run(s, &load, 0, &res, NULL, NULL, err);
	if (!rc)
		measure_faults(&s->e->cell[frame], &res, true);
	return rc;
}
