/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram of 64-bit values, log-linear: values below 128 have a bucket
 * each, above that every power of two is cut into 64 buckets.  A value read
 * back is the middle of its bucket, at most 1/128 (0.8%) from what was recorded.
 *
 * One writer records; others may read at the same time (counts are relaxed
 * atomics, so that a reader sees each of them at some recent value).
 */
#ifndef PORTS_HISTOGRAM_H
#define PORTS_HISTOGRAM_H

#include <p2pnic/types.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
	uint64_t sum;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned int histogram_index(uint64_t v)
{
	unsigned int shift;

	if (v < 2 * HISTOGRAM_SUB)
		return (unsigned int)v;
	shift = 63u - (unsigned int)__builtin_clzll(v) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned int)(v >> shift);
}

static inline void histogram_record(struct histogram *h, uint64_t v)
{
	p2p_count(&h->bucket[histogram_index(v)], 1);
	p2p_count(&h->sum, v);
}

/* The value that a bucket stands for: its middle. */
uint64_t histogram_bucket_value(unsigned int index);

void histogram_reset(struct histogram *h);
/* *to = *from, readable while the writer of *from records. */
void histogram_copy(struct histogram *to, const struct histogram *from);
/* Adds from's samples to to's. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* Takes away samples recorded earlier: base is an older copy of h. */
void histogram_subtract(struct histogram *h, const struct histogram *base);

uint64_t histogram_count(const struct histogram *h);
/* The mean, exact; 0 if empty. */
double histogram_mean(const struct histogram *h);
/*
 * The smallest value v such that at least percent % of the samples are <= v
 * (nearest rank); percent 0 is the smallest sample, 100 the largest.  0 if empty.
 */
uint64_t histogram_percentile(const struct histogram *h, double percent);

#endif
