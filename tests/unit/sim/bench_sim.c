/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets per second of a core's time: usage: bench_sim [wr|rd] [frame bytes] [gbps] [us] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void print_nic(struct rig *r, unsigned int k, double ns, double frames)
{
	struct sim_nic_stats s;

	sim_nic_stats(r->nic[k], &s);
	printf("nic%u: %.2f steps, %.3f writes and %.3f reads a packet; busy %.3f, engine %.3f writing, %.3f reading; "
	       "waited %.0f and %.0f ns\n",
	       k, (double)s.steps / frames, (double)s.dma_writes / frames, (double)s.dma_reads / frames,
	       (double)s.work_ps / 1e3 / ns, (double)s.engine_write_ps / 1e3 / ns, (double)s.engine_read_ps / 1e3 / ns,
	       (double)s.write_wait_ps / 1e3 / (double)(s.dma_writes + !s.dma_writes),
	       (double)s.read_wait_ps / 1e3 / (double)(s.dma_reads + !s.dma_reads));
}

int main(int argc, char **argv)
{
	enum p2p_mode mode = argc > 1 && !strcmp(argv[1], "rd") ? P2P_MODE_RD : P2P_MODE_WR;
	uint32_t bytes = argc > 2 ? (uint32_t)atoi(argv[2]) : 64, lat[1000], n;
	double gbps = argc > 3 ? atof(argv[3]) : 40, t, frames;
	uint64_t ns = (argc > 4 ? strtoull(argv[4], NULL, 0) : 20000) * 1000, events;
	struct sim_sink_stats s;
	struct rig r = { 0 };
	unsigned int k;

	rig_profile(&r.prof);
	if (rig_up(&r, 2, 1, mode))
		return 1;
	rig_source(&r, 0, 0, bytes, gbps, 0);
	rig_run(&r, 100000);
	for (k = 0; k < 2; k++) {
		sim_mac_reset(r.mac[k][0]);
		sim_nic_stats_reset(r.nic[k]);
	}
	events = fab_queue_count(sim_world_queue(r.w));
	t = cpu_s();
	rig_run(&r, ns);
	t = cpu_s() - t;
	events = fab_queue_count(sim_world_queue(r.w)) - events;
	sim_mac_sink(r.mac[1][0], &s);
	frames = (double)s.frames;
	n = sim_mac_latencies(r.mac[1][0], lat, 1000);
	printf("%s, %u bytes at %.0f Gb/s: %.2f Mpps, latency p50 %u p99 %u ns\n", mode == P2P_MODE_RD ? "rd" : "wr", bytes,
	       gbps, frames * 1e3 / (double)ns, n ? lat[n / 2] : 0, n ? lat[n * 99 / 100] : 0);
	printf("%.3f M packets/s, %.2f M events/s, %.2f events a packet\n", frames / t / 1e6, (double)events / t / 1e6,
	       (double)events / frames);
	for (k = 0; k < 2; k++)
		print_nic(&r, k, (double)ns, frames);
	rig_down(&r);
	return 0;
}
