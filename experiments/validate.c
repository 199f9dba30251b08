/* SPDX-License-Identifier: BSD-3-Clause */
/* Studies: of any topology, and of every figure that the reference experiment published. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study.h"

/* ---- sensitivity ---- */
static double of_mpps(const struct exp_result *d, const void *arg)
{
	return d->mpps;
}
static double of_gbps(const struct exp_result *d, const void *arg)
{
	return d->gbps;
}
static double of_p50(const struct exp_result *d, const void *arg)
{
	return d->p50_ns;
}
static double of_p99(const struct exp_result *d, const void *arg)
{
	return d->p99_ns;
}
static double of_busy(const struct exp_result *d, const void *arg)
{
	return d->cpu_busy_percent;
}
static double of_pcie(const struct exp_result *d, const void *arg)
{
	return d->cpu_pcie_MBps;
}

int exp_sensitivity(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	static const struct exp_figure figures[] = {
		{ "mpps", "frames that left, millions a second", of_mpps, NULL, 3, EXP_UNPUBLISHED, 0, 0 },
		{ "gbps", "the same on the wire", of_gbps, NULL, 3, EXP_UNPUBLISHED, 0, 0 },
		{ "p50_ns", "median latency", of_p50, NULL, 0, EXP_UNPUBLISHED, 0, 0 },
		{ "p99_ns", "99th percentile of latency", of_p99, NULL, 0, EXP_UNPUBLISHED, 0, 0 },
		{ "cpu_busy_percent", "forwarding cores, busy with packets", of_busy, NULL, 1, EXP_UNPUBLISHED, 0, 0 },
		{ "cpu_pcie_MBps", "bytes through the CPU's PCIe", of_pcie, NULL, 1, EXP_UNPUBLISHED, 0, 0 },
	};
	struct exp_study *s = calloc(1, sizeof(*s));
	int rc;

	if (!s) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	s->r = r;
	s->runs = 1;
	s->run = &r->spec.s;
	s->samples = r->samples;
	rc = exp_study_run(s, err);
	if (!rc)
		rc = exp_study_emit(s, figures, sizeof(figures) / sizeof(figures[0]), "What the results depend on", to,
				    err);
	exp_study_free(s);
	free(s);
	return rc;
}

/* ---- validate ---- */
static const unsigned int sizes[] = { 64, 128, 256, 512, 1024, 1280, 1518 };
static const unsigned int some_batches[] = { 1, 2, 4, 8, 16 };
#define SIZES 7
#define BATCHES 5
#define METHODS 4 /* wr, rd, bn, testpmd: fig5's */

/* The runs of a draw, one after the other. */
enum {
	RUN_RATE = 0,
	RUN_BATCH = RUN_RATE + METHODS * SIZES,
	RUN_LATENCY = RUN_BATCH + BATCHES,
	RUNS = RUN_LATENCY + 3
};

static const struct exp_result *rate_run(const struct exp_result *d, enum exp_method m, unsigned int size)
{
	return &d[RUN_RATE + (unsigned int)m * SIZES + size];
}

static bool at_wire_rate(const struct exp_result *r)
{
	return r->mpps >= EXP_FULL_RATE * r->offered_mpps;
}

static double r1_wr(const struct exp_result *d, const void *arg)
{
	return rate_run(d, EXP_WR, 0)->mpps;
}

static double r2_wr_to_testpmd(const struct exp_result *d, const void *arg)
{
	return rate_run(d, EXP_WR, 0)->mpps / rate_run(d, EXP_TESTPMD, 0)->mpps;
}

/* Above 1: both beat both. */
static double r3_order(const struct exp_result *d, const void *arg)
{
	return fmin(rate_run(d, EXP_WR, 0)->mpps, rate_run(d, EXP_RD, 0)->mpps) /
	       fmax(rate_run(d, EXP_TESTPMD, 0)->mpps, rate_run(d, EXP_BN, 0)->mpps);
}

static double r4_rd_to_bn(const struct exp_result *d, const void *arg)
{
	return rate_run(d, EXP_RD, 0)->mpps / rate_run(d, EXP_BN, 0)->mpps;
}

/* The largest size at which some method is not at wire rate; 0: none. */
static double r5_wire_rate(const struct exp_result *d, const void *arg)
{
	unsigned int m, k, most = 0;

	for (m = 0; m < METHODS; m++)
		for (k = 0; k < SIZES; k++)
			if (!at_wire_rate(rate_run(d, (enum exp_method)m, k)) && sizes[k] > most)
				most = sizes[k];
	return most;
}

/* The smallest batch at wire rate; 32: none of those tried. */
static double r7_batch(const struct exp_result *d, const void *arg)
{
	unsigned int k;

	for (k = 0; k < BATCHES; k++)
		if (at_wire_rate(&d[RUN_BATCH + k]))
			return some_batches[k];
	return 32;
}

/* Percent below testpmd's; arg: 0 wr, 1 rd. */
static double r8_latency(const struct exp_result *d, const void *arg)
{
	unsigned int which = arg ? 1 : 0;

	return 100 * (1 - d[RUN_LATENCY + which].p50_ns / d[RUN_LATENCY + 2].p50_ns);
}

static const enum exp_method as_wr = EXP_WR, as_rd = EXP_RD, as_bn = EXP_BN, as_testpmd = EXP_TESTPMD;

static double r10_cpu(const struct exp_result *d, const void *arg)
{
	return rate_run(d, *(const enum exp_method *)arg, SIZES - 1)->cpu_percent;
}

static double r12_pcie(const struct exp_result *d, const void *arg)
{
	return rate_run(d, *(const enum exp_method *)arg, SIZES - 1)->cpu_pcie_MBps;
}

/* Half a unit of the last published digit either way. */
static const struct exp_figure published[] = {
	{ "R1 wr Mpps", "wr, 64-byte frames, Mpps", r1_wr, NULL, 2, EXP_BY_INTERVAL, 40.365, 40.375 },
	{ "R2 wr/testpmd", "wr to testpmd, 64-byte frames", r2_wr_to_testpmd, NULL, 2, EXP_BY_INTERVAL, 1.445, 1.455 },
	{ "R3 order", "the slower of wr and rd to the faster of testpmd and bn, 64-byte frames", r3_order, NULL, 2,
	  EXP_BY_VALUE, 1, INFINITY },
	{ "R4 rd/bn", "rd to bn, 64-byte frames; 'only slightly ahead' is read as up to 10%", r4_rd_to_bn, NULL, 2,
	  EXP_BY_VALUE, 1, 1.1 },
	{ "R5 wire rate",
	  "the largest size of which a method misses wire rate; text: every method reaches it above 512", r5_wire_rate,
	  NULL, 0, EXP_BY_VALUE, 0, 512 },
	{ "R6 wire rate", "the same; captions: above 1024", r5_wire_rate, NULL, 0, EXP_BY_VALUE, 0, 1024 },
	{ "R7 batch", "the smallest batch that reaches wire rate with 128-byte frames, wr", r7_batch, NULL, 0,
	  EXP_BY_VALUE, 7.5, 8.5 },
	{ "R8 wr latency", "percent below testpmd's median, 64 bytes at 1 Gb/s", r8_latency, NULL, 1, EXP_BY_INTERVAL,
	  35.5, 36.5 },
	{ "R9 rd latency", "the same of rd", r8_latency, &as_rd, 1, EXP_BY_INTERVAL, 31.5, 32.5 },
	{ "R10 wr CPU", "percent of each core, 1518-byte frames at 40 Gb/s", r10_cpu, &as_wr, 1, EXP_BY_INTERVAL, 0,
	  0.5 },
	{ "R10 rd CPU", "the same of rd", r10_cpu, &as_rd, 1, EXP_BY_INTERVAL, 0, 0.5 },
	{ "R11 bn CPU", "the same of bn", r10_cpu, &as_bn, 1, EXP_BY_INTERVAL, 99.5, 100.5 },
	{ "R12 wr PCIe", "MB/s through the CPU's PCIe, the same frames", r12_pcie, &as_wr, 0, EXP_BY_INTERVAL, 0, 0.5 },
	{ "R12 rd PCIe", "the same of rd", r12_pcie, &as_rd, 0, EXP_BY_INTERVAL, 0, 0.5 },
	{ "R13 bn PCIe", "the same of bn", r12_pcie, &as_bn, 0, EXP_BY_INTERVAL, 9784.5, 9785.5 },
	{ "R14 testpmd PCIe", "the same of testpmd", r12_pcie, &as_testpmd, 0, EXP_BY_INTERVAL, 9884.5, 9885.5 },
};

static void validate_runs(const struct exp_request *r, struct exp_settings run[RUNS])
{
	unsigned int k;

	for (k = 0; k < RUNS; k++) {
		struct exp_settings *s = &run[k];

		*s = r->spec.s;
		if (!r->time_set) {
			s->warmup_us = 150;
			s->duration_us = 150;
		}
		if (k < RUN_BATCH) {
			s->method = k / SIZES;
			s->frame_bytes = sizes[k % SIZES];
		} else if (k < RUN_LATENCY) {
			s->method = EXP_WR;
			s->frame_bytes = 128;
			s->batch = some_batches[k - RUN_BATCH];
			if (!r->time_set) /* so long that the start and a few frames more or less are not 0.1% */
				s->warmup_us = s->duration_us = 400;
		} else {
			static const unsigned int methods[] = { EXP_WR, EXP_RD, EXP_TESTPMD };

			s->method = methods[k - RUN_LATENCY];
			s->gbps = 1;
			s->arrival = 1;
			s->duration_us = r->time_set ? s->duration_us : 1000;
		}
	}
}

int exp_validate(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct exp_study *s = calloc(1, sizeof(*s));
	struct exp_settings run[RUNS];
	int rc;

	if (!s) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	validate_runs(r, run);
	s->r = r;
	s->runs = RUNS;
	s->run = run;
	s->samples = r->samples;
	rc = exp_study_run(s, err);
	if (!rc)
		rc = exp_study_emit(s, published, sizeof(published) / sizeof(published[0]),
				    "The reference experiment: published and predicted", to, err);
	exp_study_free(s);
	free(s);
	return rc;
}
