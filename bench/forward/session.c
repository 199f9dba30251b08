/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define SESSION_LINK_NS 15000000000ull
#define SESSION_FAR_PPM 1000000u /* further apart counts as worse than any other disturbance */
#define SESSION_TABLE_NS 120000000000ull /* for a table of a million routes to be made */
#define SESSION_PROBE_NS 1000000ull
#define SESSION_SETTLE_MS 300 /* l3fwd looks at its links every 100 ms before it forwards */

/* ---- cycles: the forwarder's counters, read while no frame is under way ---- */
struct session_mark {
	struct fwd_session *s;
	struct fwd_counts begin;
	int rc;
	char err[FWD_ERR_MAX];
};

static void session_mark(void *ctx, bool begin)
{
	struct session_mark *m = ctx;

	if (begin)
		m->rc = m->s->f.subject->counts(&m->s->f, &m->begin, m->err);
}

/* The forwarder's threads; the one that works is the one on its core. */
static void session_watch(struct fwd_session *s)
{
	unsigned int room = sizeof(s->watch) / sizeof(s->watch[0]), n, k, busiest = 0;
	pid_t tid[QUIET_MAX_TARGETS / 2];
	static struct quiet_snapshot now;

	n = s->f.proc.pid > 0 ? quiet_threads(s->f.proc.pid, tid, room) : 0;
	for (k = 0; k < n; k++)
		s->watch[k] = (struct quiet_target){ .tid = tid[k], .cpu = -1 };
	quiet_take(&now, s->watch, n);
	for (k = 0; k < n; k++)
		if (now.count[k].run_ns > now.count[busiest].run_ns)
			busiest = k;
	/* The others sleep, and wait in line for a core that is not kept free for them. */
	if (n) {
		s->watch[0] = s->watch[busiest];
		s->watch[0].cpu = s->b->req->cpu_fwd;
	}
	s->watched = n ? 1 : 0;
}

static int session_tester(struct fwd_session *s, const struct fwd_setup *setup, char err[FWD_ERR_MAX])
{
	const struct fwd_request *req = s->b->req;
	struct tester_opts o = {
		.path = { s->f.sock[0], s->f.sock[1] },
		.client = req->server && s->e->subject,
		.loop = !s->e->subject,
		.ring_log2 = 31u - (unsigned int)__builtin_clz(setup->ring),
		.cpu = req->cpu_gen,
		.sink_cpu = -1,
	};
	char why[TESTER_ERR_MAX];
	int rc;

	rc = tester_create(&s->tester, &o, why);
	if (rc)
		snprintf(err, FWD_ERR_MAX, "generator: %s", why);
	return rc;
}

static uint64_t session_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Until a frame comes through: a router's cables are up before its table is made. */
static int session_through(struct fwd_session *s, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(s, s->b->req->frames[0], (double)SESSION_PROBE_NS / 1e9);
	const uint64_t end = session_now_ns() + SESSION_TABLE_NS;
	static struct tester_result res;
	char why[TESTER_ERR_MAX] = "nothing comes through", last[200];
	int rc;

	load.rate_pps = 100000;
	load.warmup_ns = 0;
	load.stop = s->b->req->stop;
	do {
		rc = tester_run(s->tester, &load, &res, why);
		if (fwd_stopped(s->b)) {
			snprintf(err, FWD_ERR_MAX, "interrupted");
			return -ECANCELED;
		}
		if (!rc && res.received)
			return 0;
		if (!rc && res.link_lost)
			rc = -ENOTCONN;
		if (!rc && session_now_ns() > end)
			rc = -ETIMEDOUT;
	} while (!rc);
	fwd_proc_last_line(&s->f.proc, last, sizeof(last));
	snprintf(err, FWD_ERR_MAX, "%s does not route (%s)%s%s", fwd_entry_name(s->e), why, *last ? "; it said: " : "", last);
	return rc;
}

static int session_link(struct fwd_session *s, char err[FWD_ERR_MAX])
{
	struct timespec settle = { 0, SESSION_SETTLE_MS * 1000000L };
	char why[TESTER_ERR_MAX], last[200];
	int rc;

	rc = tester_wait_link(s->tester, SESSION_LINK_NS, s->b->req->stop, why);
	if (rc == -ECANCELED) {
		snprintf(err, FWD_ERR_MAX, "interrupted");
	} else if (rc) {
		fwd_proc_last_line(&s->f.proc, last, sizeof(last));
		snprintf(err, FWD_ERR_MAX, "%s does not connect (%s)%s%s", fwd_entry_name(s->e), why, *last ? "; it said: " : "",
			 last);
	} else if (s->e->subject->dpdk) {
		nanosleep(&settle, NULL);
	} else if (s->e->subject->route) {
		rc = session_through(s, err);
	}
	return rc;
}

int fwd_session_open(struct fwd_session *s, struct fwd_bench *b, struct fwd_entry *e, const struct fwd_setup *setup,
		     bool sleeps, char err[FWD_ERR_MAX])
{
	unsigned int serial = b->serial++;
	int rc;

	*s = (struct fwd_session){ .b = b, .e = e };
	s->f.env = &b->env;
	s->f.subject = e->subject;
	s->f.zero_copy = e->zero_copy;
	s->f.spread = e->spread;
	s->f.against = e->against;
	s->f.setup = *setup;
	s->f.sleeps = sleeps;
	s->f.proc.in = s->f.proc.log = -1;
	snprintf(s->f.sock[0], FWD_PATH_MAX, "%s/%u.left", b->env.dir, serial);
	snprintf(s->f.sock[1], FWD_PATH_MAX, "%s/%u.right", b->env.dir, serial);
	snprintf(s->f.ctl, FWD_PATH_MAX, "%s/%u.ctl", b->env.dir, serial);
	rc = session_tester(s, setup, err);
	if (rc || !e->subject)
		return rc;
	rc = e->subject->start(&s->f, err);
	if (rc)
		goto destroy_tester;
	rc = session_link(s, err);
	if (rc)
		goto stop_forwarder;
	return 0;
stop_forwarder:
	fwd_forwarder_stop(&s->f);
destroy_tester:
	tester_destroy(s->tester);
	s->tester = NULL;
	return rc;
}

void fwd_session_close(struct fwd_session *s)
{
	fwd_forwarder_stop(&s->f);
	tester_destroy(s->tester);
	s->tester = NULL;
}

static int session_once(struct fwd_session *s, struct tester_load *load, struct tester_result *res, double *cycles,
			char err[FWD_ERR_MAX])
{
	struct session_mark mark = { .s = s };
	struct fwd_counts end;
	char why[TESTER_ERR_MAX];
	int rc;

	load->stop = s->b->req->stop;
	load->watch = s->watch;
	load->watch_n = s->watched;
	load->mark = NULL;
	if (cycles && s->e->subject && s->e->subject->counts) {
		load->mark = session_mark;
		load->ctx = &mark;
	}
	rc = tester_run(s->tester, load, res, why);
	if (rc) {
		snprintf(err, FWD_ERR_MAX, "%s, %u bytes: %s", fwd_entry_name(s->e), load->frame_bytes, why);
		return rc;
	}
	if (res->stopped || fwd_stopped(s->b)) {
		snprintf(err, FWD_ERR_MAX, "interrupted");
		return -ECANCELED;
	}
	if (res->link_lost) {
		snprintf(err, FWD_ERR_MAX, "%s, %u bytes: it cut a cable", fwd_entry_name(s->e), load->frame_bytes);
		return -ENOTCONN;
	}
	if (cycles)
		*cycles = NAN;
	if (!load->mark)
		return 0;
	rc = mark.rc;
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s", mark.err);
	else
		rc = s->e->subject->counts(&s->f, &end, err);
	if (!rc && res->received)
		*cycles = (double)(end.busy_cycles - mark.begin.busy_cycles) / (double)res->received;
	return rc;
}

int fwd_session_run(struct fwd_session *s, struct tester_load *load, unsigned int repeats, struct tester_result *res,
		    double *cycles, struct fwd_cell *cell, char err[FWD_ERR_MAX])
{
	static struct tester_result now;
	unsigned int tries;
	double c = NAN;
	int rc;

	session_watch(s);
	for (tries = 0; tries <= repeats; tries++) {
		/* Looped to itself the generator has one core. */
		if (repeats && s->e->subject)
			fwd_near_wait(s->b);
		rc = session_once(s, load, &now, cycles ? &c : NULL, err);
		if (rc)
			return rc;
		if (repeats && s->e->subject && !fwd_near(s->b)) {
			now.quiet.disturbed = true;
			now.quiet.worst_ppm += SESSION_FAR_PPM;
		}
		if (!tries || now.quiet.worst_ppm < res->quiet.worst_ppm) {
			*res = now;
			if (cycles)
				*cycles = c;
		}
		if (!now.quiet.disturbed)
			return 0;
		if (cell && tries)
			cell->repeated++;
	}
	if (cell)
		cell->disturbed++;
	return 0;
}
