/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/bn.h"
#include "sock/bell.h"

#define BN_IDLE_NS 30000u /* without work for so long: ask for bells */

struct bn_task {
	const struct drv_bn *bn;
	struct bn_host *host;
	struct soft_worker *worker; /* its own; NULL: it shares one */
	bool poll, asleep;
	uint64_t busy_ns; /* when something was moved last */
	uint64_t held;    /* a copy for other threads */
};

static void bn_bell(void *arg, unsigned int nic)
{
	const struct bn_task *t = arg;

	bell_ring(t->bn->nic[nic].wake_fd);
}

static void bn_wake(struct bn_task *t)
{
	if (!t->asleep)
		return;
	bell_clear(t->bn->host_fd);
	bn_host_sleep(t->host, false);
	t->asleep = false;
}

static uint64_t bn_step(void *arg, uint64_t now_ns)
{
	struct bn_task *t = arg;
	uint64_t until;

	until = bn_host_step(t->host, now_ns);
	__atomic_store_n(&t->held, bn_host_held(t->host), __ATOMIC_RELAXED);
	if (!until) {
		bn_wake(t);
		t->busy_ns = now_ns;
		return 0;
	}
	if (t->asleep) {
		/* Before looking, so that a bell that rings meanwhile is heard. */
		bell_clear(t->bn->host_fd);
		until = bn_host_step(t->host, now_ns);
		if (!until)
			bn_wake(t);
		return until;
	}
	if (t->poll)
		return until;
	if (now_ns - t->busy_ns < BN_IDLE_NS)
		return until < t->busy_ns + BN_IDLE_NS ? until : t->busy_ns + BN_IDLE_NS;
	bn_host_sleep(t->host, true);
	t->asleep = true;
	return 0; /* look once more */
}

static void bn_options(struct bn_task *t, const struct drv *d, struct bn_host_opts *o)
{
	unsigned int i;

	memset(o, 0, sizeof(*o));
	o->nics = t->bn->nics;
	o->batch = t->bn->batch;
	o->silence_ms = d->opts.silence_ms;
	o->backpressure = d->opts.backpressure;
	o->lossy = d->opts.scrub;
	o->stride = t->bn->stride;
	o->bell = bn_bell;
	o->bell_arg = t;
	if (getrandom(&o->seed, sizeof(o->seed), 0) != sizeof(o->seed))
		o->seed = (uint32_t)soft_now_ns();
	for (i = 0; i < o->nics; i++) {
		o->nic[i].doorbell = t->bn->nic[i].doorbell;
		o->nic[i].area = t->bn->nic[i].area;
		o->nic[i].pool = t->bn->nic[i].pool;
		o->nic[i].pool_offset = t->bn->nic[i].pool_offset;
		o->nic[i].shape = t->bn->nic[i].shape;
	}
}

int bn_create(struct bn_task **out, const struct drv *d, bool poll, char err[CLI_ERR_MAX])
{
	struct bn_host_opts o;
	struct bn_task *t;
	int rc;

	*out = NULL;
	if (!drv_bn(d))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(err, CLI_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	t->bn = drv_bn(d);
	t->poll = poll;
	bn_options(t, d, &o);
	rc = bn_host_create(&t->host, &o);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "bn: the host loop can't start: %s", strerror(-rc));
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

int bn_attach(struct bn_task *t, struct soft_worker *w)
{
	return soft_worker_attach_task(w, bn_step, t, t->bn->host_fd);
}

int bn_start(struct bn_task *t, char err[CLI_ERR_MAX])
{
	struct soft_worker_opts w = { .core = -1, .poll = t->poll };
	char why[SOFT_ERR_MAX];
	int rc;

	rc = soft_worker_create(&t->worker, &w, why);
	if (!rc)
		rc = bn_attach(t, t->worker);
	if (!rc)
		rc = soft_worker_start(t->worker);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "bn: no thread for the host loop: %s", strerror(-rc));
	return rc;
}

void bn_destroy(struct bn_task *t)
{
	if (!t)
		return;
	if (t->worker) {
		soft_worker_stop(t->worker);
		soft_worker_destroy(t->worker);
	}
	bn_host_destroy(t->host);
	free(t);
}

struct bn_host_stats bn_stats(const struct bn_task *t)
{
	struct bn_host_stats s = { 0 };
	const uint64_t *from;
	uint64_t *to;
	size_t k;

	if (!t)
		return s;
	from = (const uint64_t *)bn_host_stats(t->host);
	to = (uint64_t *)&s;
	for (k = 0; k < sizeof(s) / sizeof(*to); k++)
		to[k] = p2p_count_read(&from[k]);
	return s;
}

static const char *const bn_drop_names[] = {
#define X(name, desc) #name,
	P2P_DROPS(X)
#undef X
};

struct json_object *bn_json(const struct bn_task *t)
{
	struct json_object *o = json_object_new_object(), *drops = json_object_new_object();
	struct bn_host_stats s = bn_stats(t);
	unsigned int k;

#define PUT(field) json_object_object_add(o, #field, json_object_new_uint64(s.field))
	PUT(moved);
	PUT(forwarded);
	PUT(flood_copies);
	PUT(desc_bytes);
	PUT(doorbell_bytes);
	PUT(holes);
	PUT(pokes);
	PUT(bad_line);
#undef PUT
	for (k = 0; k < P2P_NUM_DROPS; k++)
		json_object_object_add(drops, bn_drop_names[k], json_object_new_uint64(s.drops[k]));
	json_object_object_add(o, "drops", drops);
	json_object_object_add(o, "held", json_object_new_uint64(bn_held(t)));
	return o;
}

void bn_print(const struct bn_task *t, FILE *f)
{
	struct bn_host_stats s = bn_stats(t);
	unsigned int k;

	fprintf(f, "bn's host moved %" PRIu64 " frames, forwarded %" PRIu64 "; %" PRIu64 " descriptor and %" PRIu64
		" doorbell bytes by CPU", s.moved, s.forwarded, s.desc_bytes, s.doorbell_bytes);
	for (k = 0; k < P2P_NUM_DROPS; k++)
		if (s.drops[k])
			fprintf(f, "; dropped %" PRIu64 " (%s)", s.drops[k], bn_drop_names[k]);
	fputc('\n', f);
}

uint64_t bn_held(const struct bn_task *t)
{
	return t ? p2p_count_read(&t->held) : 0;
}
