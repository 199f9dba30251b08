/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets per second of wall time: usage: bench_sim [wr|rd] [frame bytes] [gbps] [us] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

static double wall_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	enum p2p_mode mode = argc > 1 && !strcmp(argv[1], "rd") ? P2P_MODE_RD : P2P_MODE_WR;
	uint32_t bytes = argc > 2 ? (uint32_t)atoi(argv[2]) : 64, lat[1000], n;
	double gbps = argc > 3 ? atof(argv[3]) : 40, t;
	uint64_t ns = (argc > 4 ? strtoull(argv[4], NULL, 0) : 20000) * 1000, events, offered, missed;
	struct sim_sink_stats s;
	struct sim_nic_stats st[2];
	struct rig r = { 0 };
	const uint64_t *ev;
	unsigned int k;

	rig_profile(&r.prof);
	if (rig_up(&r, 2, 1, mode))
		return 1;
	rig_source(&r, 0, 0, bytes, gbps, 0);
	rig_run(&r, 100000);
	sim_mac_reset(r.mac[1][0]);
	sim_mac_reset(r.mac[0][0]);
	for (k = 0; k < 2; k++)
		sim_nic_stats_reset(r.nic[k]);
	fab_stats_reset(sim_world_fabric(r.w));
	events = fab_queue_count(sim_world_queue(r.w));
	t = wall_s();
	rig_run(&r, ns);
	t = wall_s() - t;
	events = fab_queue_count(sim_world_queue(r.w)) - events;
	sim_mac_sink(r.mac[1][0], &s);
	sim_mac_offered(r.mac[0][0], &offered, &missed);
	n = sim_mac_latencies(r.mac[1][0], lat, 1000);
	printf("%llu frames of %llu offered (%llu missed), %.2f Mpps virtual, %.1f ns p50 %.1f p99; corrupted %llu reordered %llu dup %llu\n",
	       (unsigned long long)s.frames, (unsigned long long)offered, (unsigned long long)missed,
	       (double)s.frames * 1e3 / (double)ns, n ? lat[n / 2] : 0.0, n ? lat[n * 99 / 100] : 0.0,
	       (unsigned long long)s.corrupted, (unsigned long long)s.reordered, (unsigned long long)s.duplicated);
	printf("wall %.3f s, %.3f M packets/s, %.2f events/packet\n", t, (double)s.frames / t / 1e6,
	       (double)events / (double)s.frames);
	for (k = 0; k < 2; k++) {
		sim_nic_stats(r.nic[k], &st[k]);
		ev = fw_nic_events(sim_nic_fw(r.nic[k]));
		printf("nic%u: steps %.2f/packet busy %.3f dma writes %.3f reads %.3f/packet, wait %.0f/%.0f ns, engine %.3f/%.3f, in flight %u/%u flushes %llu\n", k,
		       (double)st[k].steps / (double)s.frames, (double)st[k].work_ps / 1e3 / (double)ns,
		       (double)st[k].dma_writes / (double)s.frames, (double)st[k].dma_reads / (double)s.frames,
		       (double)st[k].write_wait_ps / 1e3 / (double)(st[k].dma_writes + 1),
		       (double)st[k].read_wait_ps / 1e3 / (double)(st[k].dma_reads + 1),
		       (double)st[k].engine_write_ps / 1e3 / (double)ns, (double)st[k].engine_read_ps / 1e3 / (double)ns,
		       st[k].writes_max, st[k].reads_max, (unsigned long long)ev[P2P_EV_flushes]);
	}
	rig_down(&r);
	return 0;
}
