/* SPDX-License-Identifier: BSD-3-Clause */
/* Near the maximum for long: what the forwarder accepted comes back; when the machine took a core away is listed. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "experiments/table.h"

#define SOAK_LOOK_MS 100
#define SOAK_TRIES 3
#define SOAK_MAX_TIMES 1000

/* The machine took a core away. */
struct soak_time {
	double at_s, length_s; /* of the looks between which it did */
	double taken_ms;       /* of the worst thread's time */
	bool forwarder;        /* whose that was; else the generator's */
};

struct soak {
	struct fwd_session s;
	struct fwd_bench *b;
	double max_mpps, offered_mpps;
	struct tester_result res;
	/* The watcher's. */
	pthread_t watcher;
	bool end; /* atomic */
	uint64_t start_ns;
	pid_t own; /* the watcher's thread */
	struct soak_time time[SOAK_MAX_TIMES];
	unsigned int times;
	uint64_t more; /* that found no room */
};

/* The threads whose cores ought to be theirs: the forwarder's that works, and those of the tester. */
static unsigned int soak_targets(const struct soak *k, struct quiet_target *t)
{
	pid_t tid[QUIET_MAX_TARGETS];
	unsigned int n = 0, i, m = quiet_threads(getpid(), tid, QUIET_MAX_TARGETS - 1);

	for (i = 0; i < k->s.watched; i++)
		t[n++] = k->s.watch[i];
	for (i = 0; i < m && n < QUIET_MAX_TARGETS; i++)
		if (tid[i] != getpid() && tid[i] != k->own)
			t[n++] = (struct quiet_target){ .tid = tid[i], .cpu = k->b->req->cpu_gen };
	return n;
}

static void soak_note(struct soak *k, const struct quiet_report *r, const struct quiet_snapshot *a)
{
	struct soak_time now = {
		.at_s = (double)(a->at_ns - k->start_ns) / 1e9,
		.length_s = (double)r->time_ns / 1e9,
		.taken_ms = (double)r->worst_ppm * (double)r->time_ns / 1e12,
		.forwarder = k->s.watched && r->worst_tid == k->s.watch[0].tid,
	};
	struct soak_time *last = k->times ? &k->time[k->times - 1] : NULL;

	if (last && last->forwarder == now.forwarder && now.at_s - (last->at_s + last->length_s) < 0.01) {
		last->length_s = now.at_s + now.length_s - last->at_s;
		last->taken_ms += now.taken_ms;
	} else if (k->times < SOAK_MAX_TIMES) {
		k->time[k->times++] = now;
	} else {
		k->more++;
	}
}

static void *soak_watch(void *arg)
{
	static struct quiet_snapshot look[2];
	struct quiet_target target[QUIET_MAX_TARGETS];
	struct timespec pause = { 0, SOAK_LOOK_MS * 1000000L };
	struct soak *k = arg;
	struct quiet_report r;
	unsigned int n, i = 0;

	k->own = gettid();
	nanosleep(&pause, NULL);
	n = soak_targets(k, target);
	quiet_take(&look[0], target, n);
	k->start_ns = look[0].at_ns;
	while (!__atomic_load_n(&k->end, __ATOMIC_RELAXED)) {
		nanosleep(&pause, NULL);
		quiet_take(&look[!i], target, n);
		quiet_compare(&r, &look[i], &look[!i], 0);
		/* The last look may come when the tester's threads have ended. */
		if (r.disturbed && !__atomic_load_n(&k->end, __ATOMIC_RELAXED))
			soak_note(k, &r, &look[i]);
		i = !i;
		fwd_progress(k->b, "%.0f of %.0f s at %.3f Mpps; a core was taken away %u times",
			     (double)(look[i].at_ns - k->start_ns) / 1e9, k->b->req->seconds, k->offered_mpps, k->times);
	}
	return NULL;
}

static int soak_maximum(struct soak *k, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(&k->s, k->b->req->frames[0], k->b->req->seconds < 1 ? k->b->req->seconds : 1);
	double mpps[SOAK_TRIES];
	unsigned int i;
	int rc = 0;

	for (i = 0; i < SOAK_TRIES && !rc; i++) {
		fwd_progress(k->b, "measuring its maximum");
		rc = fwd_session_run(&k->s, &load, FWD_REPEATS, &k->res, NULL, &k->s.e->cell[0], err);
		mpps[i] = tester_result_pps(&k->res) / 1e6;
	}
	k->max_mpps = rc ? 0 : fwd_median(mpps, SOAK_TRIES);
	k->offered_mpps = k->max_mpps * k->b->req->load / 100;
	return rc;
}

static int soak_run(struct soak *k, char err[FWD_ERR_MAX])
{
	struct tester_load load = fwd_measure_load(&k->s, k->b->req->frames[0], k->b->req->seconds);
	char why[TESTER_ERR_MAX];
	int rc;

	rc = soak_maximum(k, err);
	if (rc)
		return rc;
	load.rate_pps = (uint64_t)(k->offered_mpps * 1e6);
	load.latency = true;
	load.stop = k->b->req->stop;
	load.watch = k->s.watch;
	load.watch_n = k->s.watched;
	rc = pthread_create(&k->watcher, NULL, soak_watch, k);
	if (rc) {
		snprintf(err, FWD_ERR_MAX, "no thread to watch the cores: %s", strerror(rc));
		return -rc;
	}
	rc = tester_run(k->s.tester, &load, &k->res, why);
	__atomic_store_n(&k->end, true, __ATOMIC_RELAXED);
	pthread_join(k->watcher, NULL);
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s", why);
	return rc;
}

static void soak_json(const struct soak *k, FILE *to)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array(), *t;
	const struct tester_result *r = &k->res;
	unsigned int i;

	json_object_object_add(o, "subject", json_object_new_string(fwd_entry_name(k->s.e)));
	json_object_object_add(o, "frame_bytes", json_object_new_int((int)k->b->req->frames[0]));
	json_object_object_add(o, "ring", json_object_new_int((int)k->s.f.setup.ring));
	json_object_object_add(o, "seconds", exp_json_number((double)r->window_ns / 1e9, 3));
	json_object_object_add(o, "mpps_maximum", exp_json_number(k->max_mpps, 4));
	json_object_object_add(o, "mpps_offered", exp_json_number(k->offered_mpps, 4));
	json_object_object_add(o, "mpps", exp_json_number(tester_result_pps(r) / 1e6, 4));
#define X(name, desc) json_object_object_add(o, #name, json_object_new_uint64(r->name));
	TESTER_COUNTERS(X)
#undef X
	json_object_object_add(o, "link_lost", json_object_new_boolean(r->link_lost));
	json_object_object_add(o, "p50_ns", json_object_new_uint64(histogram_percentile(&r->latency_ns, 50)));
	json_object_object_add(o, "p99_ns", json_object_new_uint64(histogram_percentile(&r->latency_ns, 99)));
	for (i = 0; i < k->times; i++) {
		t = json_object_new_object();
		json_object_object_add(t, "at_s", exp_json_number(k->time[i].at_s, 2));
		json_object_object_add(t, "length_s", exp_json_number(k->time[i].length_s, 2));
		json_object_object_add(t, "taken_ms", exp_json_number(k->time[i].taken_ms, 2));
		json_object_object_add(t, "from", json_object_new_string(k->time[i].forwarder ? "forwarder" : "generator"));
		json_object_array_add(list, t);
	}
	json_object_object_add(o, "taken_away", list);
	json_object_object_add(o, "taken_away_unlisted", json_object_new_uint64(k->more));
	fprintf(to, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static void soak_print(const struct soak *k, FILE *to)
{
	const struct tester_result *r = &k->res;
	unsigned int i;

	fprintf(to, "%s%s, frames of %u bytes, rings of %u: maximum %.3f Mpps, offered %.3f (%g%%) for %.1f s\n", fwd_entry_name(k->s.e),
		k->s.e->zero_copy ? " zero-copy" : "", k->b->req->frames[0], k->s.f.setup.ring, k->max_mpps, k->offered_mpps,
		k->b->req->load, (double)r->window_ns / 1e9);
#define X(name, desc) fprintf(to, "  %-11s %16" PRIu64 "  " desc "\n", #name, r->name);
	TESTER_COUNTERS(X)
#undef X
	fprintf(to, "latency p50 %.2f us, p99 %.2f us\n", (double)histogram_percentile(&r->latency_ns, 50) / 1e3,
		(double)histogram_percentile(&r->latency_ns, 99) / 1e3);
	if (r->link_lost)
		fprintf(to, "a cable was cut\n");
	fprintf(to, "the machine took a core away %" PRIu64 " times\n", k->times + k->more);
	for (i = 0; i < k->times; i++)
		fprintf(to, "  at %9.2f s for %6.2f s: %8.2f ms from the %s\n", k->time[i].at_s, k->time[i].length_s,
			k->time[i].taken_ms, k->time[i].forwarder ? "forwarder" : "generator");
	if (k->more)
		fprintf(to, "  and %" PRIu64 " more\n", k->more);
}

static struct fwd_entry *soak_entry(struct fwd_bench *b)
{
	unsigned int k;

	for (k = 0; k < b->n; k++)
		if (b->entry[k].subject && !b->entry[k].gone)
			return &b->entry[k];
	return NULL;
}

static int soak_do(struct soak *k, FILE *to, char err[FWD_ERR_MAX])
{
	struct fwd_entry *e = soak_entry(k->b);
	int rc;

	if (!e->subject->start) {
		snprintf(err, FWD_ERR_MAX, "%s forwards nothing; give another subject", e->subject->name);
		return -EINVAL;
	}
	rc = fwd_bench_tune(k->b, e, err);
	if (!rc)
		rc = fwd_session_open(&k->s, k->b, e, &e->cell[0].setup, false, err);
	if (rc)
		return rc;
	rc = soak_run(k, err);
	fwd_session_close(&k->s);
	fwd_progress_end(k->b);
	if (rc)
		return rc;
	if (k->b->req->json)
		soak_json(k, to);
	else
		soak_print(k, to);
	return tester_result_clean(&k->res) ? 0 : 1;
}

int fwd_soak(const struct fwd_request *req, FILE *to, char err[FWD_ERR_MAX])
{
	struct soak *k = calloc(1, sizeof(*k));
	int rc;

	if (!k) {
		snprintf(err, FWD_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	rc = fwd_bench_create(&k->b, req, err);
	if (!rc) {
		rc = soak_do(k, to, err);
		fwd_bench_destroy(k->b);
	}
	free(k);
	return rc;
}
