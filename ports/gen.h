/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a runner asks of `gen` ports: reports, pauses, other sizes and rates.
 *
 * THREADS: every function here may be called from any thread while the port's
 * worker runs, except that for one port port_gen_reset_stats() and
 * port_gen_set() are each called by one thread at a time, and nobody asks for a
 * report while its statistics are being reset.  Nothing waits for the worker:
 * a pause takes effect when it next looks (it is woken), a setting before the
 * next frame that it makes, a reset of the statistics at once.
 *
 * Exact counts: pause every generator, wait until port_gen_quiet() of each,
 * let the path drain (wait until `received` stands still), then ask.  Asked in
 * the midst of traffic, the numbers are each right but not of one instant.
 *
 *   measure: reset_stats(all); set(...); pause(all, false); ...time...
 *            pause(all, true); quiet? drain; report_pair(gen, sink)
 */
#ifndef PORTS_GEN_H
#define PORTS_GEN_H

#include "ports/histogram.h"
#include "ports/port.h"

struct gen_report {
	uint64_t sent;       /* frames generated */
	uint64_t sent_bytes; /* without FCS; 24 more per frame are on the wire (preamble, FCS, gap) */
	uint64_t behind;     /* frames that the rate asked for and that were never made: no buffers, or the worker too slow */
	uint64_t received;   /* intact or damaged behind the head, duplicates included, foreign and stale ones not */
	uint64_t received_bytes;
	uint64_t lost;       /* see the two functions */
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t corrupted;
	uint64_t foreign;    /* frames of no generator: ARP and the like, or beyond recognition */
	uint64_t stale;      /* of an earlier run, from before the last reset */
	uint64_t latency_count;
	uint64_t latency_min_ns, latency_p50_ns, latency_p90_ns, latency_p99_ns, latency_p999_ns, latency_max_ns;
	double latency_mean_ns;
};

#define GEN_KEEP UINT64_MAX

bool port_is_gen(const struct port *p);
/* The generator's id, as in its frames. */
unsigned int port_gen_id(const struct port *p);

/*
 * The port's own generator (sent...) and its own sink (received..., of all
 * sources), since the last reset.  lost counts the gaps: numbers below the
 * highest that came and that have not come themselves, damaged frames taken
 * off.  A loss at the very end shows only in port_gen_report_pair().
 * Returns 0, or -EINVAL if p is not a gen port; -ENOMEM.
 */
int port_gen_report(struct port *p, struct gen_report *r);
/*
 * What gen sent and what of it sink received: lost = sent - received once -
 * damaged.  corrupted, foreign, stale and latency are of the sink as above,
 * the other counts of this one source.
 */
int port_gen_report_pair(struct port *gen, struct port *sink, struct gen_report *r);
/* The sink's latency samples since the last reset.  Returns 0 or -EINVAL. */
int port_gen_latency(struct port *p, struct histogram *out);

/* All counts of the two reports begin anew at 0; the generator starts a new run.  (port.stats go on.) */
void port_gen_reset_stats(struct port *p);

/*
 * size: as in the spec ("64", "64-1518", "imix", "mix") or NULL to keep it.
 * rate_pps: 0 for no limit.  count: frames per run, 0 for no limit.  GEN_KEEP keeps either.
 * Returns 0; -EINVAL: the size; -EMSGSIZE: frames longer than the port's receive buffers can hold.
 */
int port_gen_set(struct port *p, const char *size, uint64_t rate_pps, uint64_t count);

/* Stops or goes on generating; the sink is not concerned. */
void port_gen_pause(struct port *p, bool pause);
/* True once no further frame will be made until port_gen_pause(p, false): paused and seen by the worker, or stopped. */
bool port_gen_quiet(struct port *p);

#endif
