/* SPDX-License-Identifier: BSD-3-Clause */
/* One run: warm-up, measurement, drain, on one thread or on two. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tester/frames.h"
#include "tester/internal.h"

#define RUN_CONTROL_NS 1000000ull   /* between looks at the cables and at `stop` */
#define RUN_STALL_NS 2000000000ull  /* a number of frames is asked for and nothing moves */
#define RUN_QUIET_NS 200000000ull   /* drain: nothing has come for so long */
#define RUN_LINGER_NS 20000000ull   /* the same once all have come: what comes still is too much */

struct run {
	struct tester *t;
	const struct tester_load *load;
	struct tester_result *r;
	char *err;
	int ret;
	unsigned int n; /* directions */
	struct tester_gen gen[2];
	struct tester_sink sink[2];
	uint64_t busy, sink_busy;
	bool sink_stop; /* atomic */
	pid_t sink_tid; /* atomic; 0: not yet known */
	pthread_t sink_thread;
};

/* ---- the sink's own thread ---- */

static bool run_sinks(struct run *u, uint64_t now)
{
	bool any = false;

	for (unsigned int d = 0; d < u->n; d++)
		any |= tester_sink_step(&u->sink[d], &u->t->clock, now);
	return any;
}

static void *run_sink_main(void *arg)
{
	struct run *u = arg;
	uint64_t now = tester_ticks(), busy = 0;

	__atomic_store_n(&u->sink_tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	while (!__atomic_load_n(&u->sink_stop, __ATOMIC_ACQUIRE)) {
		const bool any = run_sinks(u, now);
		const uint64_t t = tester_ticks();

		if (any)
			p2p_count(&busy, t - now);
		if (any)
			__atomic_store_n(&u->sink_busy, busy, __ATOMIC_RELAXED);
		now = t;
	}
	return NULL;
}

static int run_sink_start(struct run *u)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int ret;

	if (u->t->o.sink_cpu < 0)
		return 0;
	u->sink_stop = false;
	u->sink_tid = 0;
	u->sink_busy = 0;
	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	CPU_ZERO(&set);
	CPU_SET((size_t)u->t->o.sink_cpu, &set);
	ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (!ret)
		ret = pthread_create(&u->sink_thread, &attr, run_sink_main, u);
	pthread_attr_destroy(&attr);
	if (ret)
		return -ret;
	while (!__atomic_load_n(&u->sink_tid, __ATOMIC_ACQUIRE))
		sched_yield();
	return 0;
}

static void run_sink_end(struct run *u)
{
	if (u->t->o.sink_cpu < 0)
		return;
	__atomic_store_n(&u->sink_stop, true, __ATOMIC_RELEASE);
	pthread_join(u->sink_thread, NULL);
}

/* ---- traffic ---- */

static uint64_t run_received(const struct run *u)
{
	uint64_t n = 0;

	for (unsigned int d = 0; d < u->n; d++)
		n += p2p_count_read(&u->sink[d].received);
	return n;
}

static uint64_t run_sent(const struct run *u)
{
	uint64_t n = 0;

	for (unsigned int d = 0; d < u->n; d++)
		n += u->gen[d].sent;
	return n;
}

/* False: the run is over, for a reason that is then in the result. */
static bool run_may_go_on(struct run *u)
{
	bool broken = false;

	/* With a thread on each ring nobody may unmap them: a link that breaks is found by what fails. */
	if (u->t->o.sink_cpu < 0)
		broken = !tester_link_up(u->t);
	for (unsigned int d = 0; d < u->n; d++)
		broken |= u->gen[d].failed || (u->t->o.sink_cpu < 0 && u->sink[d].failed);
	u->r->link_lost |= broken;
	if (u->load->stop && *u->load->stop)
		u->r->stopped = true;
	return !broken && !u->r->stopped && !u->gen[0].too_long && !u->gen[1].too_long;
}

/* One round of the generators and, with no thread of its own, the sinks; true if anything moved. */
static inline bool run_round(struct run *u, uint64_t now)
{
	bool any = false;

	for (unsigned int d = 0; d < u->n; d++)
		any |= tester_gen_step(&u->gen[d], &u->t->clock, now);
	if (u->t->loop)
		tester_loop_step(u->t->loop);
	if (u->t->o.sink_cpu < 0)
		any |= run_sinks(u, now);
	return any;
}

/*
 * Until nothing is left to send and the end has come (0: none is set), which
 * without a rate is enough.  Returns the time of the end, in ticks.
 */
static uint64_t run_traffic(struct run *u, uint64_t start, uint64_t end)
{
	const struct tester_clock *c = &u->t->clock;
	const uint64_t control = tester_ns_ticks(c, RUN_CONTROL_NS), stall = tester_ns_ticks(c, RUN_STALL_NS);
	uint64_t now = start, looked = start, moved = start, busy = 0;

	for (;;) {
		const bool any = run_round(u, now);
		const uint64_t t = tester_ticks();

		if (any) {
			busy += t - now;
			moved = t;
		}
		now = t;
		if (p2p_unlikely(now >= end && (u->gen[0].left + u->gen[1].left == 0 || (end && !u->load->rate_pps))))
			break;
		if (p2p_unlikely(now - looked > control)) {
			looked = now;
			if (!run_may_go_on(u))
				break;
			if (!u->load->rate_pps && now - moved > stall) {
				u->r->stalled = true;
				break;
			}
		}
	}
	u->busy = busy;
	return now;
}

/* Returns when the last frame came, in ticks, or `from`. */
static uint64_t run_drain(struct run *u, uint64_t from)
{
	const struct tester_clock *c = &u->t->clock;
	const uint64_t quiet = tester_ns_ticks(c, RUN_QUIET_NS), linger = tester_ns_ticks(c, RUN_LINGER_NS);
	const uint64_t control = tester_ns_ticks(c, RUN_CONTROL_NS), sent = run_sent(u);
	uint64_t last = from, begun = tester_ticks(), seen = run_received(u), now, looked = begun;

	for (;;) {
		uint64_t got;

		if (u->t->loop)
			tester_loop_step(u->t->loop);
		if (u->t->o.sink_cpu < 0)
			run_sinks(u, tester_ticks());
		now = tester_ticks();
		got = run_received(u);
		if (got != seen) {
			seen = got;
			last = begun = now;
		}
		if (now - begun > (seen >= sent ? linger : quiet))
			return last;
		if (now - looked > control) {
			looked = now;
			if (u->t->o.sink_cpu < 0 && !tester_link_up(u->t)) {
				u->r->link_lost = true;
				return last;
			}
		}
	}
}

static int run_begin(struct run *u, uint64_t count)
{
	int ret = 0;

	u->t->run++;
	for (unsigned int d = 0; d < u->n && !ret; d++) {
		tester_gen_begin(&u->gen[d], &u->t->clock, u->t->run, u->load->rate_pps, count);
		ret = tester_sink_begin(&u->sink[d], &u->t->clock, u->t->run, u->t->o.burst, !u->load->rate_pps);
	}
	return ret;
}

/* Frames that fall due in so many ns: those with k / rate below it. */
static uint64_t run_due(uint64_t rate_pps, uint64_t ns)
{
	return rate_pps ? (uint64_t)(((unsigned __int128)rate_pps * ns + 999999999u) / 1000000000u) : UINT64_MAX / 2;
}

static void run_warm_up(struct run *u)
{
	const uint64_t ns = u->load->warmup_ns;
	uint64_t now;

	u->ret = run_begin(u, run_due(u->load->rate_pps, ns));
	if (!u->ret)
		u->ret = run_sink_start(u);
	if (u->ret)
		return;
	now = tester_ticks();
	now = run_traffic(u, now, now + tester_ns_ticks(&u->t->clock, ns));
	run_drain(u, now);
	run_sink_end(u);
	/* Ages of frames of the warm-up are no part of the result. */
	histogram_reset(&u->r->latency_ns);
}

static unsigned int run_targets(const struct run *u, struct quiet_target target[QUIET_MAX_TARGETS])
{
	unsigned int n = 0;

	target[n++] = (struct quiet_target){ .tid = (pid_t)syscall(SYS_gettid), .cpu = u->t->o.cpu };
	if (u->t->o.sink_cpu >= 0)
		target[n++] = (struct quiet_target){ .tid = u->sink_tid, .cpu = u->t->o.sink_cpu };
	for (unsigned int i = 0; i < u->load->watch_n && n < QUIET_MAX_TARGETS; i++)
		target[n++] = u->load->watch[i];
	return n;
}

static void run_measure(struct run *u)
{
	const struct tester_load *load = u->load;
	const struct tester_clock *c = &u->t->clock;
	const uint64_t ns = load->count ? 0 : load->duration_ns;
	struct quiet_target target[QUIET_MAX_TARGETS];
	struct tester_result *r = u->r;
	struct quiet_snapshot a, b;
	uint64_t start, end, last;

	u->ret = run_begin(u, load->count ? load->count : run_due(load->rate_pps, ns));
	if (!u->ret)
		u->ret = run_sink_start(u);
	if (u->ret)
		return;
	if (load->mark)
		load->mark(load->ctx, true);
	quiet_take(&a, target, run_targets(u, target));
	start = tester_ticks();
	end = run_traffic(u, start, ns ? start + tester_ns_ticks(c, ns) : 0);
	r->window_received = run_received(u);
	r->window_sent = run_sent(u);
	r->busy_cycles = u->busy;
	r->sink_busy_cycles = p2p_count_read(&u->sink_busy);
	last = run_drain(u, end);
	quiet_take(&b, target, a.n);
	if (load->mark)
		load->mark(load->ctx, false);
	run_sink_end(u);
	quiet_compare(&r->quiet, &a, &b, 0);
	r->cycles = end - start;
	r->window_ns = tester_ticks_ns(c, end) - tester_ticks_ns(c, start);
	r->drain_ns = tester_ticks_ns(c, last) - tester_ticks_ns(c, end);
}

static void *run_main(void *arg)
{
	struct run *u = arg;
	struct tester_result *r = u->r;

	if (u->load->warmup_ns)
		run_warm_up(u);
	if (!u->ret && !r->link_lost && !r->stopped && !u->gen[0].too_long)
		run_measure(u);
	else if (!u->ret)
		run_begin(u, 0);
	for (unsigned int d = 0; d < u->n && !u->ret; d++) {
		r->sent += u->gen[d].sent;
		r->refused += u->gen[d].refused;
		r->behind += u->gen[d].forgiven;
		tester_sink_counts(&u->sink[d], u->gen[d].sent, r);
	}
	return NULL;
}

static const uint8_t run_mac[2][2][6] = {
	{ { 0x02, 0x50, 0x32, 0, 0, 0 }, { 0x02, 0x50, 0x32, 0, 0, 1 } },
	{ { 0x02, 0x50, 0x32, 0xff, 0, 0 }, { 0x02, 0x50, 0x32, 0xff, 0, 1 } },
};

static void run_fill(struct tester_load *to, const struct tester_load *from)
{
	static const uint8_t none[6];

	*to = *from;
	for (unsigned int i = 0; i < 2; i++) {
		if (!memcmp(to->src_mac[i], none, 6))
			memcpy(to->src_mac[i], run_mac[0][i], 6);
		if (!memcmp(to->dst_mac[i], none, 6))
			memcpy(to->dst_mac[i], run_mac[1][i], 6);
	}
}

static int run_init(struct run *u)
{
	int ret = 0;

	for (unsigned int d = 0; d < u->n && !ret; d++) {
		ret = tester_gen_init(&u->gen[d], &u->t->cable[d], u->load, u->t->o.burst, (uint8_t)d);
		if (!ret)
			ret = tester_sink_init(&u->sink[d], &u->t->cable[1 - d], u->load, &u->r->latency_ns, (uint8_t)d);
	}
	return ret;
}

static void run_free(struct run *u)
{
	for (unsigned int d = 0; d < u->n; d++) {
		tester_gen_free(&u->gen[d]);
		tester_sink_free(&u->sink[d]);
	}
	free(u);
}

static struct run *run_new(struct tester *t, const struct tester_load *load, struct tester_result *r, char *err)
{
	struct run *u = aligned_alloc(64, P2P_ALIGN_UP(sizeof(*u), 64));

	if (!u)
		return NULL;
	memset(u, 0, sizeof(*u));
	u->t = t;
	u->load = load;
	u->r = r;
	u->err = err;
	u->n = load->both ? 2 : 1;
	return u;
}

int tester_run(struct tester *t, const struct tester_load *load, struct tester_result *result, char err[TESTER_ERR_MAX])
{
	struct tester_load full;
	struct tester_result *r;
	struct run *u;
	int ret = tester_load_check(t, load, err);

	if (ret)
		return ret;
	if (!tester_link_up(t)) {
		snprintf(err, TESTER_ERR_MAX, "a link is down; wait until both are up");
		return -ENOTCONN;
	}
	run_fill(&full, load);
	r = calloc(1, sizeof(*r));
	u = r ? run_new(t, &full, r, err) : NULL;
	ret = u ? run_init(u) : -ENOMEM;
	if (!ret)
		ret = tester_on_core(t->o.cpu, run_main, u);
	if (!ret)
		ret = u->ret;
	if (ret)
		snprintf(err, TESTER_ERR_MAX, "can't run on core %d: %s", t->o.cpu, strerror(-ret));
	if (!ret && (u->gen[0].too_long || u->gen[1].too_long)) {
		snprintf(err, TESTER_ERR_MAX, "a frame of %u bytes does not fit %u of the forwarder's buffers", load->frame_bytes,
			 P2P_MAX_SEGS);
		ret = -EMSGSIZE;
	}
	if (!ret) {
		r->tsc_hz = t->clock.hz;
		r->ring_size = port_memif_ring_size(t->cable[0].port);
		*result = *r;
	}
	if (u)
		run_free(u);
	free(r);
	return ret;
}

double tester_result_pps(const struct tester_result *r)
{
	return r->window_ns ? (double)r->window_received * 1e9 / (double)r->window_ns : 0.0;
}

bool tester_result_clean(const struct tester_result *r)
{
	return !(r->lost | r->corrupted | r->reordered | r->duplicated | r->stale | r->foreign) && !r->link_lost;
}

/* ---- the generator alone ---- */

static void *run_null_main(void *arg)
{
	struct run *u = arg;
	const struct tester_clock *c = &u->t->clock;
	const uint64_t start = tester_ticks(), end = start + tester_ns_ticks(c, u->load->duration_ns);
	uint64_t now = start;

	while (now < end) {
		tester_gen_step(&u->gen[0], c, now);
		tester_loop_swallow(u->t->loop, 0);
		now = tester_ticks();
	}
	u->r->window_ns = tester_ticks_ns(c, now) - tester_ticks_ns(c, start);
	return NULL;
}

int tester_null_rate(const struct tester_opts *opts, const struct tester_load *load, double *pps,
		     char err[TESTER_ERR_MAX])
{
	struct tester_opts o = *opts;
	struct tester_result *r = calloc(1, sizeof(*r));
	struct tester_load full;
	struct tester *t = NULL;
	struct run *u = NULL;
	int ret;

	o.loop = true;
	o.client = false;
	o.sink_cpu = -1;
	run_fill(&full, load);
	full.rate_pps = full.count = 0;
	full.both = false;
	ret = r ? tester_create(&t, &o, err) : -ENOMEM;
	if (!ret)
		ret = tester_load_check(t, &full, err);
	if (!ret) {
		tester_link_up(t);
		u = run_new(t, &full, r, err);
		ret = u ? run_init(u) : -ENOMEM;
	}
	if (!ret)
		ret = run_begin(u, UINT64_MAX / 2);
	if (!ret)
		ret = tester_on_core(o.cpu, run_null_main, u);
	if (!ret)
		*pps = (double)u->gen[0].sent * 1e9 / (double)r->window_ns;
	if (u)
		run_free(u);
	tester_destroy(t);
	free(r);
	return ret;
}
