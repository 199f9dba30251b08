/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driven by testpmd: its flowgen sends on both cables and takes what comes back, so that traffic goes both ways.  It is
 * too slow to find a fast forwarder's limit; what counts is the forwarder's own busy cycles a frame.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define FLOWGEN_WARMUP_NS 500000000ull
#define FLOWGEN_SOCKET_MS 5000

static uint64_t flowgen_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void flowgen_sleep_ns(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	nanosleep(&ts, NULL);
}

/* The forwarder's counters over the time, while traffic runs. */
static int flowgen_window(struct fwd_bench *b, struct fwd_entry *e, struct fwd_forwarder *f, struct fwd_cell *c,
			  unsigned int round, char err[FWD_ERR_MAX])
{
	struct fwd_counts begin, end;
	uint64_t start;
	int rc;

	flowgen_sleep_ns(FLOWGEN_WARMUP_NS);
	rc = f->subject->counts(f, &begin, err);
	if (rc)
		return rc;
	start = flowgen_now_ns();
	flowgen_sleep_ns((uint64_t)(b->req->seconds * 1e9));
	rc = f->subject->counts(f, &end, err);
	if (rc)
		return rc;
	if (end.frames == begin.frames) {
		snprintf(err, FWD_ERR_MAX, "%s: nothing came through from testpmd", fwd_entry_name(e));
		return -EIO;
	}
	c->mpps[round] = (double)(end.frames - begin.frames) * 1e3 / (double)(flowgen_now_ns() - start);
	c->cycles[round] = (double)(end.busy_cycles - begin.busy_cycles) / (double)(end.frames - begin.frames);
	return 0;
}

int fwd_flowgen_round(struct fwd_bench *b, struct fwd_entry *e, unsigned int frame, unsigned int round,
		      char err[FWD_ERR_MAX])
{
	struct fwd_cell *c = &e->cell[frame];
	struct fwd_forwarder f = { .env = &b->env, .subject = e->subject, .zero_copy = e->zero_copy, .setup = c->setup }, gen;
	unsigned int serial = b->serial++, k, ms;
	int rc;

	f.proc.in = f.proc.log = -1;
	for (k = 0; k < 2; k++)
		snprintf(f.sock[k], FWD_PATH_MAX, "%s/%u.%s", b->env.dir, serial, k ? "right" : "left");
	snprintf(f.ctl, FWD_PATH_MAX, "%s/%u.ctl", b->env.dir, serial);
	gen = f;
	gen.zero_copy = false;
	rc = fwd_flowgen_start(&gen, b->req->frames[frame], err);
	if (rc)
		return rc;
	for (ms = 0; ms < FLOWGEN_SOCKET_MS && (access(f.sock[0], F_OK) || access(f.sock[1], F_OK)); ms++)
		flowgen_sleep_ns(1000000);
	rc = e->subject->start(&f, err);
	if (rc)
		goto stop_generator;
	rc = flowgen_window(b, e, &f, c, round, err);
	fwd_forwarder_stop(&f);
stop_generator:
	fwd_forwarder_stop(&gen);
	return rc;
}
