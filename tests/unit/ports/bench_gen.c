/* SPDX-License-Identifier: BSD-3-Clause */
/* What a frame costs in the generator and in the sink: bench_gen [frames] */
#include <stdio.h>

#include "ports/buffers.h"
#include "ports/gen.h"
#include "loop.h"

static void bench(const char *opts, uint64_t frames)
{
	char spec[128], err[PORT_ERR_MAX];
	struct p2p_seg segs[256];
	struct gen_report r;
	uint64_t t, gen_ns = 0, sink_ns = 0, done = 0;
	struct port *p = NULL;
	struct loop l;
	unsigned int n, i;

	snprintf(spec, sizeof(spec), "gen:bench,%s", opts);
	loop_init(&l, 1024, 2048);
	if (port_open(&p, spec, err) || p->ops->start(p, &l.mem)) {
		fprintf(stderr, "%s\n", err);
		exit(1);
	}
	loop_post(&l, p);
	while (done < frames) {
		t = port_clock_ns();
		n = p->ops->rx_burst(p, segs, 32);
		gen_ns += port_clock_ns() - t;
		t = port_clock_ns();
		p->ops->tx_burst(p, segs, n);
		sink_ns += port_clock_ns() - t;
		for (i = 0; i < n; i++)
			done += !(segs[i].flags & P2P_SEG_MORE);
		loop_repost(&l, p, segs, n);
	}
	port_gen_report(p, &r);
	printf("%-24s generate %7.1f ns  check %7.1f ns per frame  (lost %llu, corrupted %llu)\n", opts,
	       (double)gen_ns / (double)done, (double)sink_ns / (double)done, (unsigned long long)r.lost,
	       (unsigned long long)r.corrupted);
	p->ops->stop(p);
	p->ops->close(p);
	loop_free(&l);
}

int main(int argc, char **argv)
{
	uint64_t frames = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000000;

	bench("size=64", frames);
	bench("size=64,flows=1024", frames);
	bench("size=imix", frames);
	bench("size=512", frames);
	bench("size=1518", frames);
	bench("size=9018", frames / 8);
	return 0;
}
