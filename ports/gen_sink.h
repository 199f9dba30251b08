/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checking sink: what became of the frames of every generator and flow.
 *
 * Per flow it remembers the highest sequence number seen and which of the
 * GEN_WINDOW numbers up to it have come.  A number below the highest that had
 * not come yet is reordered (RFC 4737, Type-P-Reordered) and no longer lost;
 * one that had come is a duplicate.  A frame older than the window is taken
 * for reordered as long as the flow misses any, else for a duplicate.
 *
 * Damaged frames are corrupted, not lost: one damaged in its pattern still has
 * its number; one damaged in its first 60 bytes is taken off the losses of the
 * source that its id names.
 *
 * A source's new run (its counts were reset) starts anew at number 0; frames
 * of the run before it are stale, and counted only as that.  A sink that comes
 * to a run of which GEN_WINDOW or more frames of a flow have gone by starts
 * with the first that it sees.
 *
 * One thread calls gen_sink_frame(); counters may be read by others.
 */
#ifndef PORTS_GEN_SINK_H
#define PORTS_GEN_SINK_H

#include "ports/gen_frame.h"
#include "ports/histogram.h"
#include "ports/port.h"

#define GEN_WINDOW 4096u
#define GEN_SOURCES 256

struct gen_seen {
	uint64_t base; /* the first number expected */
	uint64_t high; /* the highest that came, once `any` */
	uint64_t missing; /* of base..high */
	bool any;
	uint64_t window[GEN_WINDOW / 64];
};

#define GEN_SOURCE_COUNTERS(X) \
	X(span, "sequence numbers up to the highest that came, over all flows") \
	X(unique, "of them, those that came") \
	X(frames, "frames that came, duplicates included") \
	X(bytes, "their bytes, without FCS") \
	X(duplicated, "frames that had come before") \
	X(reordered, "frames that came after a later one of their flow") \
	X(damaged_head, "frames damaged in their first 60 bytes that name this source") \
	X(damaged_tail, "frames damaged behind that") \
	X(stale, "frames of the run before the present one")

struct gen_source_counts {
#define X(name, desc) uint64_t name;
	GEN_SOURCE_COUNTERS(X)
#undef X
};

struct gen_source {
	struct gen_source_counts count;
	uint8_t run, last_run;
	bool has_last;
	bool fixed; /* frames of any other run are stale */
	uint32_t n_flows; /* room in flow */
	struct gen_seen *flow;
};

struct gen_sink {
	struct gen_source *source[GEN_SOURCES]; /* by id, made when its first frame comes */
	uint64_t foreign;      /* frames of no generator */
	uint64_t damaged_head; /* of generators, damaged in the first 60 bytes; all sources, also unknown ones */
	uint64_t untracked;    /* intact frames of flows for which there was no memory */
	struct histogram latency;
};

/*
 * Takes in one frame of n segments, len bytes in all, at time now_ns.
 * Nothing of the segments is kept.
 */
void gen_sink_frame(struct gen_sink *k, const struct p2p_seg *segs, unsigned int n, uint32_t len, uint64_t now_ns);
/* From now on frames of this source count only if they are of this run.  0 or -ENOMEM. */
int gen_sink_fix(struct gen_sink *k, uint8_t id, uint8_t run);
/* Frees what the sink has made; the sink is then as good as new. */
void gen_sink_free(struct gen_sink *k);

#endif
