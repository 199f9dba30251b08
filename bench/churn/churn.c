/* SPDX-License-Identifier: BSD-3-Clause */
/* The updater, the rounds, and what is said of them. */
#include <inttypes.h>
#include <json-c/json.h>
#include <pthread.h>
#include <sched.h>

#include "bench/churn/churn.h"
#include "boards/soft/clock.h"

#define DRAIN_NS 2000000000ull
#define SETTLE_NS 50000000ull
#define MOST_ROUNDS 64

struct churn_sum {
	double mpps[2][MOST_ROUNDS]; /* without and with changes */
	double alone[2][MOST_ROUNDS]; /* the same, of the time that cables left */
	double ratio[MOST_ROUNDS], ratio_alone[MOST_ROUNDS];
	unsigned int rounds;
	uint32_t *took; /* ns of each change */
	uint64_t changes, room;
	double change_s;
};

static int pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static struct churn_change choose(struct churn *c, uint64_t *seed)
{
	uint32_t die = (uint32_t)(p2p_random(seed) % 100);
	struct churn_change g = { .kind = CHURN_ROUTE, .index = (uint32_t)(p2p_random(seed) % CHURN_DESTS) };
	uint8_t hop = 1 + (uint8_t)(p2p_random(seed) % CHURN_HOPS);

	if (die >= 85) {
		g.kind = CHURN_DEFAULT;
	} else if (die >= 70) {
		g.kind = CHURN_HOP;
		g.index = hop;
		hop = (uint8_t)(p2p_random(seed) % CHURN_WAYS);
	} else if (die >= 60) {
		g.kind = CHURN_COVERING;
		g.index /= CHURN_COVER;
	}
	g.was = *churn_slot(&c->table, g.kind, g.index);
	/* Comes, goes, or changes. */
	if (g.kind <= CHURN_COVERING && g.was && die & 1)
		hop = 0;
	g.to = hop;
	return g;
}

static int change(struct churn *c, uint64_t *seed)
{
	const struct churn_change g = choose(c, seed);
	uint32_t k = c->begun;
	int rc;

	/* The judge reads the log: not further ahead than it can hold. */
	while (k - __atomic_load_n(&c->judged, __ATOMIC_ACQUIRE) >= CHURN_LOG / 4)
		sched_yield();
	c->log[k % CHURN_LOG] = g;
	__atomic_store_n(&c->begun, k + 1, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rc = churn_world_make(c, &g);
	*churn_slot(&c->table, g.kind, g.index) = g.to;
	__atomic_store_n(&c->through, k + 1, __ATOMIC_RELEASE);
	return rc;
}

/* One round; its rate of frames. */
static int round_run(struct churn *c, const struct churn_opts *o, struct churn_sum *s, bool churn, uint64_t *seed)
{
	const double step = 1e9 / o->rate;
	uint64_t begin = soft_now_ns(), now = begin, frames = p2p_count_read(&c->received), before;
	uint64_t ticks = soft_ticks(), own = p2p_count_read(&c->own_ticks);
	const uint64_t end = begin + (uint64_t)(o->seconds * 1e9 / o->rounds);
	double due = (double)begin;
	struct timespec ts = { 0, 1000000 };
	int rc = 0;

	while (!rc && now < end && !*o->stop) {
		if (!churn) {
			nanosleep(&ts, NULL);
		} else if ((double)now >= due && s->changes < s->room) {
			before = now;
			rc = change(c, seed);
			now = soft_now_ns();
			s->took[s->changes++] = (uint32_t)(now - before);
			due += step;
			continue;
		}
		now = soft_now_ns();
	}
	ticks = soft_ticks() - ticks;
	own = p2p_count_read(&c->own_ticks) - own;
	s->mpps[churn][s->rounds] = (double)(p2p_count_read(&c->received) - frames) * 1e3 / (double)(now - begin);
	if (ticks > own)
		s->alone[churn][s->rounds] = s->mpps[churn][s->rounds] * (double)ticks / (double)(ticks - own);
	if (churn)
		s->change_s += (double)(now - begin) / 1e9;
	return rc;
}

static void settle(uint64_t ns)
{
	struct timespec ts = { 0, (long)ns };

	nanosleep(&ts, NULL);
}

/* With changes first in every other round. */
static int rounds_run(struct churn *c, const struct churn_opts *o, struct churn_sum *s)
{
	uint64_t seed = 11, until;
	unsigned int k;
	int rc = 0;

	__atomic_store_n(&c->go, true, __ATOMIC_RELEASE);
	settle(SETTLE_NS);
	for (; !rc && s->rounds < o->rounds && !*o->stop; s->rounds++) {
		for (k = 0; !rc && k < 2; k++)
			rc = round_run(c, o, s, (s->rounds + k) & 1, &seed);
		s->ratio[s->rounds] = s->mpps[1][s->rounds] / s->mpps[0][s->rounds];
		s->ratio_alone[s->rounds] = s->alone[1][s->rounds] / s->alone[0][s->rounds];
	}
	__atomic_store_n(&c->go, false, __ATOMIC_RELEASE);
	until = soft_now_ns() + DRAIN_NS;
	while (p2p_count_read(&c->sent) != p2p_count_read(&c->received) && soft_now_ns() < until)
		settle(1000000);
	return rc;
}

static int less(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int less32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), less);
	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void print(struct churn *c, const struct churn_opts *o, struct churn_sum *s, FILE *out)
{
	const uint64_t sent = p2p_count_read(&c->sent), received = p2p_count_read(&c->received);
	const uint64_t wrong = p2p_count_read(&c->misrouted), bad = p2p_count_read(&c->damaged), drops = churn_world_drops(c);
	const double rate = s->change_s > 0 ? (double)s->changes / s->change_s : 0;
	double without = median(s->mpps[0], s->rounds), with = median(s->mpps[1], s->rounds), mean = 0;
	double p99, ratio = median(s->ratio, s->rounds), ratio_alone = median(s->ratio_alone, s->rounds);
	double alone = median(s->alone[0], s->rounds), alone_with = median(s->alone[1], s->rounds);
	json_object *j;
	uint64_t k;

	for (k = 0; k < s->changes; k++)
		mean += s->took[k];
	mean = s->changes ? mean / (double)s->changes : 0;
	qsort(s->took, s->changes, sizeof(*s->took), less32);
	p99 = s->changes ? s->took[s->changes * 99 / 100] : 0;
	if (!o->json) {
		fprintf(out, "%" PRIu64 " changes in %.1f s: %.0f a second of %.0f asked for; one takes %.2f us, p99 %.2f us\n",
			s->changes, s->change_s, rate, o->rate, mean / 1e3, p99 / 1e3);
		fprintf(out, "%.3f Mpps without changes, %.3f with: %.3f (%.3f-%.3f), medians of %u rounds\n", without, with, ratio,
			s->ratio[0], s->ratio[s->rounds - 1], s->rounds);
		fprintf(out, "without what making and judging frames takes: %.3f and %.3f Mpps: %.3f (%.3f-%.3f)\n", alone, alone_with,
			ratio_alone, s->ratio_alone[0], s->ratio_alone[s->rounds - 1]);
		fprintf(out, "%" PRIu64 " frames sent, %" PRIu64 " arrived, %" PRIu64 " lost (%" PRIu64 " dropped by NICs); %" PRIu64
			" misrouted, %" PRIu64 " damaged\n", sent, received, sent - received, drops, wrong, bad);
		return;
	}
	j = json_object_new_object();
#define PUT(name, v) json_object_object_add(j, name, v)
	PUT("rate_asked", json_object_new_double(o->rate));
	PUT("rate_reached", json_object_new_double(rate));
	PUT("changes", json_object_new_uint64(s->changes));
	PUT("change_mean_ns", json_object_new_double(mean));
	PUT("change_p99_ns", json_object_new_double(p99));
	PUT("rounds", json_object_new_int((int)s->rounds));
	PUT("mpps_without", json_object_new_double(without));
	PUT("mpps_with", json_object_new_double(with));
	PUT("ratio_median", json_object_new_double(ratio));
	PUT("ratio_min", json_object_new_double(s->ratio[0]));
	PUT("ratio_max", json_object_new_double(s->ratio[s->rounds - 1]));
	PUT("alone_mpps_without", json_object_new_double(alone));
	PUT("alone_mpps_with", json_object_new_double(alone_with));
	PUT("alone_ratio_median", json_object_new_double(ratio_alone));
	PUT("alone_ratio_min", json_object_new_double(s->ratio_alone[0]));
	PUT("alone_ratio_max", json_object_new_double(s->ratio_alone[s->rounds - 1]));
	PUT("sent", json_object_new_uint64(sent));
	PUT("received", json_object_new_uint64(received));
	PUT("lost", json_object_new_uint64(sent - received));
	PUT("dropped", json_object_new_uint64(drops));
	PUT("misrouted", json_object_new_uint64(wrong));
	PUT("damaged", json_object_new_uint64(bad));
#undef PUT
	fprintf(out, "%s\n", json_object_to_json_string_ext(j, JSON_C_TO_STRING_SPACED));
	json_object_put(j);
}

int bench_churn(const struct churn_opts *o, FILE *out, char err[CHURN_ERR_MAX])
{
	struct churn *c = port_alloc(sizeof(*c));
	struct churn_sum *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	*err = '\0';
	if (!c || !s)
		goto free;
	s->room = (uint64_t)(o->rate * o->seconds) + 1;
	s->took = calloc(s->room, sizeof(*s->took));
	if (!s->took)
		goto free;
	rc = churn_world_open(c, o, err);
	if (!rc) {
		rc = pin(o->cpu_updater);
		if (!rc)
			rc = rounds_run(c, o, s);
		if (!rc && !s->rounds)
			rc = -EINTR;
		if (rc)
			snprintf(err, CHURN_ERR_MAX, "changing routes: %s", strerror(-rc));
	}
	if (!rc) {
		print(c, o, s, out);
		rc = c->misrouted || c->damaged || c->sent != c->received;
	}
	churn_world_close(c);
free:
	if (s)
		free(s->took);
	free(s);
	free(c);
	return rc;
}
