/* SPDX-License-Identifier: BSD-3-Clause */
#include "stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static int stats_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value at a share of the way from the first to the last. */
static double stats_at(const double *sorted, unsigned int n, double share)
{
	double at = share * (n - 1);
	unsigned int k = (unsigned int)at;

	return k + 1 < n ? sorted[k] + (at - k) * (sorted[k + 1] - sorted[k]) : sorted[k];
}

void fwd_spread_of(struct fwd_spread *s, const double *v, unsigned int n)
{
	double sorted[FWD_STATS_MAX];
	unsigned int i, k = 0;

	for (i = 0; i < n && i < FWD_STATS_MAX; i++)
		if (!isnan(v[i]))
			sorted[k++] = v[i];
	*s = (struct fwd_spread){ .median = NAN, .min = NAN, .max = NAN, .q1 = NAN, .q3 = NAN, .n = k };
	if (!k)
		return;
	qsort(sorted, k, sizeof(sorted[0]), stats_compare);
	s->min = sorted[0];
	s->max = sorted[k - 1];
	s->median = stats_at(sorted, k, 0.5);
	s->q1 = stats_at(sorted, k, 0.25);
	s->q3 = stats_at(sorted, k, 0.75);
}

double fwd_median(const double *v, unsigned int n)
{
	struct fwd_spread s;

	fwd_spread_of(&s, v, n);
	return s.median;
}

void fwd_ratio_of(struct fwd_spread *s, const double *a, const double *b, unsigned int n)
{
	double ratio[FWD_STATS_MAX];
	unsigned int i;

	for (i = 0; i < n && i < FWD_STATS_MAX; i++)
		ratio[i] = b[i] == 0 ? NAN : a[i] / b[i];
	fwd_spread_of(s, ratio, i);
}

void fwd_shuffle(unsigned int *order, unsigned int n, unsigned int seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
	unsigned int i, j, t;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n; i > 1; i--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = (unsigned int)((x >> 11) % i);
		t = order[i - 1];
		order[i - 1] = order[j];
		order[j] = t;
	}
}
