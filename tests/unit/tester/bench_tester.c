/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tester by itself, on one core: bench_tester [CPU [MS [FLOWS [DESTINATIONS]]]]
 *
 *   null   frames of the bench gear written into a ring that gives them back at once
 *   loop   the same and the sink: port 0's buffers handed to port 1
 */
#include <stdio.h>
#include <stdlib.h>

#include "tester/tester.h"

static const unsigned int sizes[] = { 64, 128, 256, 512, 1024, 1518 };

int main(int argc, char **argv)
{
	struct tester_opts o = { .cpu = argc > 1 ? atoi(argv[1]) : -1, .sink_cpu = -1, .loop = true, .buf_stride = 2112 };
	struct tester_load load = { .duration_ns = (argc > 2 ? (uint64_t)atoi(argv[2]) : 300) * 1000000u,
				    .flows = argc > 3 ? (uint32_t)atoi(argv[3]) : 1 };
	struct tester_result *r = malloc(sizeof(*r));
	char err[TESTER_ERR_MAX];
	uint32_t *dst = NULL;
	int ret = 0;

	load.dst_n = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;
	load.dst = dst = load.dst_n ? malloc(load.dst_n * sizeof(*dst)) : NULL;
	for (uint32_t i = 0; dst && i < load.dst_n; i++)
		dst[i] = 0xc6120000u + (i * 0x9e3779b1u >> 15);
	for (unsigned int i = 0; r && i < P2P_ARRAY_SIZE(sizes) && !ret; i++) {
		struct tester *t;
		double null_pps = 0, pps[2] = { 0 };

		load.frame_bytes = sizes[i];
		ret = tester_null_rate(&o, &load, &null_pps, err);
		for (unsigned int gear = 0; gear < 2 && !ret; gear++) {
			load.gear = gear ? TESTER_CHECK : TESTER_BENCH;
			load.latency = true;
			load.warmup_ns = load.duration_ns / 10;
			ret = tester_create(&t, &o, err);
			if (ret)
				break;
			ret = tester_run(t, &load, r, err);
			if (!ret)
				pps[gear] = tester_result_pps(r);
			if (!ret && !tester_result_clean(r))
				printf("not clean: lost %lu corrupted %lu reordered %lu\n", (unsigned long)r->lost,
				       (unsigned long)r->corrupted, (unsigned long)r->reordered);
			tester_destroy(t);
		}
		if (!ret)
			printf("%4u bytes: null %.1f Mpps (%.1f cycles), loop %.1f Mpps (%.1f cycles), checking %.1f Mpps, p50 %lu ns\n",
			       sizes[i], null_pps / 1e6, (double)r->tsc_hz / null_pps, pps[0] / 1e6,
			       (double)r->tsc_hz / pps[0], pps[1] / 1e6,
			       (unsigned long)histogram_percentile(&r->latency_ns, 50));
	}
	if (ret)
		fprintf(stderr, "%s\n", err);
	free(dst);
	free(r);
	return ret != 0;
}
