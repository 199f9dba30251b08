/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

#define PS_PER_US 1000000.0

static int run_trace(struct exp_rig *r, const struct exp_trace *t, char err[EXP_ERR_MAX])
{
	char why[FAB_ERR_MAX];
	int rc;

	rc = fab_trace_open(&r->trace, t->path, why);
	if (rc) {
		snprintf(err, EXP_ERR_MAX, "%.400s", why);
		return rc;
	}
	fab_trace_limit(r->trace, t->limit);
	fab_trace(sim_world_fabric(r->w), fab_trace_write, r->trace);
	return 0;
}

int exp_run(const struct exp_config *c, const struct exp_trace *trace, struct exp_result *out, char err[EXP_ERR_MAX])
{
	struct exp_rig *r = malloc(sizeof(*r));
	uint64_t begin;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!r) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	rc = exp_rig_build(r, c, err);
	if (rc)
		goto free_rig;
	exp_rig_go(r);
	begin = fab_now(sim_world_queue(r->w)) + (uint64_t)(c->s.warmup_us * PS_PER_US);
	sim_world_run(r->w, begin);
	exp_rig_reset(r);
	if (trace && trace->path) {
		rc = run_trace(r, trace, err);
		if (rc)
			goto destroy_rig;
	}
	sim_world_run(r->w, begin + (uint64_t)(c->s.duration_us * PS_PER_US));
	rc = exp_rig_collect(r, (uint64_t)(c->s.duration_us * PS_PER_US), out);
	if (rc)
		snprintf(err, EXP_ERR_MAX, "%s", strerror(-rc));
	if (r->trace) {
		int close_rc = fab_trace_close(r->trace);

		if (!rc && close_rc) {
			snprintf(err, EXP_ERR_MAX, "%.200s: %s; is the disk full?", trace->path, strerror(-close_rc));
			exp_result_free(out);
			rc = close_rc;
		}
	}
destroy_rig:
	exp_rig_destroy(r);
free_rig:
	free(r);
	return rc;
}
