/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/histogram.h"

#include <string.h>

uint64_t histogram_bucket_value(unsigned int index)
{
	unsigned int shift;
	uint64_t low;

	if (index < 2 * HISTOGRAM_SUB)
		return index;
	shift = (index >> HISTOGRAM_SUB_BITS) - 1;
	low = (uint64_t)(HISTOGRAM_SUB + (index & (HISTOGRAM_SUB - 1))) << shift;
	return low + (((uint64_t)1 << shift) - 1) / 2;
}

void histogram_reset(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_copy(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	to->sum = p2p_count_read(&from->sum);
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] = p2p_count_read(&from->bucket[i]);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	unsigned int i;

	to->sum += p2p_count_read(&from->sum);
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += p2p_count_read(&from->bucket[i]);
}

void histogram_subtract(struct histogram *h, const struct histogram *base)
{
	unsigned int i;

	h->sum -= base->sum;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->bucket[i] -= base->bucket[i];
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += p2p_count_read(&h->bucket[i]);
	return n;
}

double histogram_mean(const struct histogram *h)
{
	uint64_t n = histogram_count(h);

	return n ? (double)p2p_count_read(&h->sum) / (double)n : 0.0;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	uint64_t n = histogram_count(h), rank, seen = 0;
	unsigned int i, last = 0;
	double want;

	if (!n)
		return 0;
	want = percent / 100.0 * (double)n;
	rank = want <= 1.0 ? 1 : (uint64_t)want;
	if ((double)rank < want)
		rank++;
	if (rank > n)
		rank = n;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t c = p2p_count_read(&h->bucket[i]);

		if (!c)
			continue;
		last = i;
		seen += c;
		if (seen >= rank)
			break;
	}
	return histogram_bucket_value(last);
}
