/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/raw_copy.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "boards/soft/clock.h"

#define BURST 32u
#define LINE 64u

struct raw_copy {
	uint32_t head __attribute__((aligned(128))); /* the writer's */
	uint32_t tail __attribute__((aligned(128))); /* the copier's */
	bool stop __attribute__((aligned(128)));
	uint32_t mask, step, len, bytes; /* bytes: whole lines */
	uint32_t (*copy_sum)(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride);
	uint32_t sums; /* so that nobody leaves them out */
	int core[2];
	uint8_t *src, *dst;
	double seconds;
	uint64_t frames, busy, ns;
	uint64_t preempted; /* atomic */
};

static int raw_pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Of this thread, since it began. */
static void raw_preempted(struct raw_copy *r)
{
	struct rusage use;

	if (!getrusage(RUSAGE_THREAD, &use))
		__atomic_fetch_add(&r->preempted, (uint64_t)use.ru_nivcsw, __ATOMIC_RELAXED);
}

static inline void raw_lines(uint8_t *dst, const uint8_t *src, uint32_t bytes)
{
	for (uint32_t at = 0; at < bytes; at += LINE)
		memcpy(dst + at, src + at, LINE);
}

static inline uint8_t *raw_at(const struct raw_copy *r, uint8_t *base, uint32_t k)
{
	return base + (size_t)(k & r->mask) * r->step;
}

static void *raw_write(void *arg)
{
	struct raw_copy *r = arg;
	uint8_t *frame = aligned_alloc(LINE, r->bytes);
	uint32_t head = 0;

	if (!frame || raw_pin(r->core[0])) {
		free(frame);
		return arg;
	}
	memset(frame, 0x5a, r->bytes);
	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		if (r->mask + 1 - (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE)) < BURST)
			continue;
		for (uint32_t k = 0; k < BURST; k++)
			__builtin_prefetch(raw_at(r, r->src, head + k), 1);
		for (uint32_t k = 0; k < BURST; k++)
			raw_lines(raw_at(r, r->src, head + k), frame, r->bytes);
		head += BURST;
		__atomic_store_n(&r->head, head, __ATOMIC_RELEASE);
	}
	raw_preempted(r);
	free(frame);
	return NULL;
}

static void raw_take(struct raw_copy *r, uint32_t tail, uint32_t count)
{
	for (uint32_t k = 0; k < count; k++) {
		__builtin_prefetch(raw_at(r, r->src, tail + k));
		__builtin_prefetch(raw_at(r, r->dst, tail + k), 1);
	}
	for (uint32_t k = 0; k < count; k++) {
		uint8_t *dst = raw_at(r, r->dst, tail + k), *src = raw_at(r, r->src, tail + k);

		if (r->copy_sum)
			r->sums ^= r->copy_sum(dst, src, r->len, r->bytes, tail + k, LINE);
		else
			raw_lines(dst, src, r->bytes);
	}
}

static void *raw_read(void *arg)
{
	struct raw_copy *r = arg;
	uint64_t begun = soft_now_ns(), end = begun + (uint64_t)(r->seconds * 1e9), now = begun, last = soft_ticks();
	uint32_t tail = 0, count = 0;

	if (raw_pin(r->core[1]))
		return arg;
	for (uint32_t round = 1; now < end; round++) {
		uint64_t tick = soft_ticks();

		r->busy += count ? tick - last : 0;
		last = tick;
		count = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - tail;
		if (count > BURST)
			count = BURST;
		raw_take(r, tail, count);
		tail += count;
		r->frames += count;
		__atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
		if (!(round % 256))
			now = soft_now_ns();
	}
	r->ns = now - begun;
	raw_preempted(r);
	return NULL;
}

static void *raw_again(void *arg)
{
	struct raw_copy *r = arg;
	uint64_t begun = soft_now_ns(), end = begun + (uint64_t)(r->seconds * 1e9), now = begun;

	if (raw_pin(r->core[1]))
		return arg;
	while (now < end) {
		uint64_t tick = soft_ticks();

		for (uint32_t k = 0; k < 32; k++)
			raw_take(r, k * BURST, BURST);
		r->busy += soft_ticks() - tick;
		r->frames += 32 * BURST;
		now = soft_now_ns();
	}
	r->ns = now - begun;
	raw_preempted(r);
	return NULL;
}

static int raw_alone(struct raw_copy *r)
{
	void *failed = NULL;
	pthread_t copier;
	int err = -pthread_create(&copier, NULL, raw_again, r);

	if (err)
		return err;
	pthread_join(copier, &failed);
	return failed ? -EINVAL : 0;
}

static int raw_threads(struct raw_copy *r)
{
	pthread_t writer, reader;
	void *failed[2] = { NULL, NULL };
	int err = -pthread_create(&writer, NULL, raw_write, r);

	if (err)
		return err;
	err = -pthread_create(&reader, NULL, raw_read, r);
	if (!err)
		pthread_join(reader, &failed[1]);
	__atomic_store_n(&r->stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, &failed[0]);
	return err ? err : failed[0] || failed[1] ? -EINVAL : 0;
}

static int raw_measure(const struct raw_copy_opts *o, uint32_t depth, int (*threads)(struct raw_copy *r),
		       struct raw_copy_result *out)
{
	uint32_t step = o->buf_bytes ? o->buf_bytes : 2048;
	size_t bytes = (size_t)depth * step;
	struct raw_copy *r;
	int err = -ENOMEM;

	if (!o->frame_bytes || o->frame_bytes > step || step % LINE || depth < BURST || (depth & (depth - 1)) ||
	    !(o->seconds > 0) || o->writer_core < 0 || o->copier_core < 0 || o->writer_core == o->copier_core ||
	    o->writer_core >= CPU_SETSIZE || o->copier_core >= CPU_SETSIZE)
		return -EINVAL;
	r = aligned_alloc(128, sizeof(*r));
	if (!r)
		return -ENOMEM;
	memset(r, 0, sizeof(*r));
	r->mask = depth - 1;
	r->step = step;
	r->len = o->frame_bytes;
	r->bytes = (o->frame_bytes + LINE - 1) & ~(LINE - 1);
	r->copy_sum = o->copy_sum;
	r->core[0] = o->writer_core;
	r->core[1] = o->copier_core;
	r->seconds = o->seconds;
	r->src = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r->src == MAP_FAILED)
		goto free_copy;
	r->dst = r->src + bytes;
	err = threads(r);
	if (!err)
		*out = (struct raw_copy_result){ .frames = r->frames, .mpps = r->ns ? (double)r->frames * 1e3 / (double)r->ns : 0,
						 .cycles_per_packet = r->frames ? (double)r->busy / (double)r->frames : 0,
						 .preempted = r->preempted };
	munmap(r->src, 2 * bytes);
free_copy:
	free(r);
	return err;
}

int raw_copy_run(const struct raw_copy_opts *o, struct raw_copy_result *out)
{
	return raw_measure(o, o->depth, raw_threads, out);
}

int raw_copy_own(const struct raw_copy_opts *o, struct raw_copy_result *out)
{
	return raw_measure(o, BURST, raw_alone, out);
}
