/* SPDX-License-Identifier: BSD-3-Clause */
/* Medians of a few samples, one a round.  NAN stands for a round without a sample. */
#ifndef BENCH_FORWARD_STATS_H
#define BENCH_FORWARD_STATS_H

#define FWD_STATS_MAX 128

struct fwd_spread {
	double median, min, max; /* NAN without samples */
	double q1, q3;           /* quartiles, between two samples in proportion */
	unsigned int n;
};

/* Of the first n of v, n up to FWD_STATS_MAX; an even number's median is the mean of the middle two. */
void fwd_spread_of(struct fwd_spread *s, const double *v, unsigned int n);
double fwd_median(const double *v, unsigned int n);
/* Of the rounds' a[i] / b[i], where both are there and b[i] is not 0. */
void fwd_ratio_of(struct fwd_spread *s, const double *a, const double *b, unsigned int n);
/* The places 0 to n-1 in an order that depends on the seed. */
void fwd_shuffle(unsigned int *order, unsigned int n, unsigned int seed);

#endif
