/* SPDX-License-Identifier: BSD-3-Clause */
/* What `p2pnic run` takes of a core while both cables stand still and nobody asked it to poll. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "experiments/table.h"

#define IDLE_SETTLE_NS 1000000000ull
#define IDLE_STEP_NS 100000000ull
#define IDLE_GOAL_PERCENT 1.0

/* 0, or -ECANCELED. */
static int idle_wait(const struct fwd_bench *b, double ns)
{
	struct timespec step = { 0, IDLE_STEP_NS };

	for (; ns > 0 && !fwd_stopped(b); ns -= (double)IDLE_STEP_NS)
		nanosleep(&step, NULL);
	return fwd_stopped(b) ? -ECANCELED : 0;
}

static int idle_measure(struct fwd_session *s, double *percent, char err[FWD_ERR_MAX])
{
	static struct quiet_snapshot a, b;
	struct quiet_target t[QUIET_MAX_TARGETS];
	pid_t tid[QUIET_MAX_TARGETS];
	uint64_t ran = 0;
	unsigned int n, k;

	if (idle_wait(s->b, (double)IDLE_SETTLE_NS))
		goto interrupted;
	n = quiet_threads(s->f.proc.pid, tid, QUIET_MAX_TARGETS);
	for (k = 0; k < n; k++)
		t[k] = (struct quiet_target){ .tid = tid[k], .cpu = -1 };
	quiet_take(&a, t, n);
	if (idle_wait(s->b, s->b->req->seconds * 1e9))
		goto interrupted;
	quiet_take(&b, t, n);
	for (k = 0; k < n; k++)
		ran += b.count[k].run_ns - a.count[k].run_ns;
	if (!n || !fwd_proc_alive(&s->f.proc) || !tester_link_up(s->tester)) {
		snprintf(err, FWD_ERR_MAX, "p2pnic run ended, or cut a cable, while it was idle");
		return -EPIPE;
	}
	*percent = (double)ran * 100 / (double)(b.at_ns - a.at_ns);
	return 0;
interrupted:
	snprintf(err, FWD_ERR_MAX, "interrupted");
	return -ECANCELED;
}

int fwd_idle(const struct fwd_request *req, FILE *to, char err[FWD_ERR_MAX])
{
	const struct fwd_setup setup = { 1024, 2048 };
	struct json_object *o;
	struct fwd_session s;
	struct fwd_bench *b;
	double percent;
	int rc;

	rc = fwd_bench_create(&b, req, err);
	if (rc)
		return rc;
	rc = fwd_session_open(&s, b, &b->entry[b->n - 1], &setup, true, err);
	if (!rc) {
		rc = idle_measure(&s, &percent, err);
		fwd_session_close(&s);
	}
	fwd_bench_destroy(b);
	if (rc)
		return rc;
	if (req->json) {
		o = json_object_new_object();
		json_object_object_add(o, "percent_of_a_core", exp_json_number(percent, 3));
		json_object_object_add(o, "seconds", exp_json_number(req->seconds, 1));
		json_object_object_add(o, "goal_percent", exp_json_number(IDLE_GOAL_PERCENT, 1));
		json_object_object_add(o, "reached", json_object_new_boolean(percent < IDLE_GOAL_PERCENT));
		fprintf(to, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
		json_object_put(o);
	} else {
		fprintf(to, "idle, two memif cables, over %g s: %.3f%% of a core (goal: under %g%%, %s)\n", req->seconds, percent,
			IDLE_GOAL_PERCENT, percent < IDLE_GOAL_PERCENT ? "reached" : "not reached");
	}
	return 0;
}
