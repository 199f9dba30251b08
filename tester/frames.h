/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the generator writes and the sink looks at: the frames of one direction
 * of one run.
 *
 * Frames are taken from the flows in turn.  Over several queues, queue q has
 * the flows f with f % queues == q, as a NIC that spreads by flow would give
 * them; with fewer flows than queues some queues stay empty.
 */
#ifndef TESTER_FRAMES_H
#define TESTER_FRAMES_H

#include "ports/gen_frame.h"
#include "ports/gen_sink.h"
#include "ports/pace.h"
#include "tester/cable.h"
#include "tester/clock.h"
#include "tester/tester.h"

/*
 * Without a rate both ends wait for a whole burst, so that an index and the
 * lines of descriptors change cores once a burst, as with any peer that works
 * in bursts; but not longer than this.
 */
#define TESTER_PATIENCE_NS 2000u

/* bench: one frame of this many is looked at, on average. */
#define TESTER_SAMPLE 64u

/*
 * A list of destinations: they are put into the frames of one flow as these are written, so that what the generator
 * reads is 4 bytes a frame, however many there are.
 */
struct tester_spread {
	const uint32_t *dst; /* NULL: none */
	uint32_t n, next;
	uint64_t word[2];    /* words 3 and 4 of the frame, without destination and IP checksum */
	uint64_t mask;       /* what of word 3 the check covers */
	uint64_t sum;        /* the check's share of the other words */
	uint32_t ip_sum;     /* of the header without the destination, as it lies in memory */
};

struct tester_gen {
	struct tester_cable *out;
	struct gen_flow *flow;
	uint32_t flows;
	uint32_t len; /* without FCS */
	unsigned int burst, queue, queues;
	unsigned int least;  /* so many are worth while at once */
	uint64_t patience;   /* ticks to wait for them; 0: don't */
	uint64_t waiting[TESTER_MAX_QUEUES]; /* since when, 0: not */
	uint32_t next[TESTER_MAX_QUEUES]; /* flow, per queue */
	struct tester_spread spread;
	struct pace pace;
	uint64_t left;    /* frames still to fall due */
	uint64_t sent, refused, forgiven;
	bool failed;      /* the cable is broken */
	bool too_long;    /* no frame fits the buffers */
	void (*write)(struct tester_gen *g, const struct p2p_seg *segs, unsigned int n, unsigned int q, uint64_t time_ns);
} __attribute__((aligned(64)));

struct tester_sink {
	struct tester_cable *in;
	enum tester_gear gear;
	uint32_t len, flows;
	uint8_t id, run;
	bool latency, failed;
	unsigned int queue;
	unsigned int least; /* this and the next as the generator's */
	uint64_t patience, waiting[TESTER_MAX_QUEUES];
	uint32_t skip;     /* bench: frames until the next that is looked at */
	uint64_t random;
	uint64_t received, corrupted, reordered, duplicated, stale, foreign, checked;
	uint64_t last_ticks; /* when the last burst came */
	uint32_t *last;    /* bench: per flow, the number after the last that was looked at */
	struct gen_sink *check;
	struct histogram *age;
} __attribute__((aligned(64)));

/* id: 0 for frames of port 0, 1 for port 1's.  0 or -ENOMEM. */
int tester_gen_init(struct tester_gen *g, struct tester_cable *out, const struct tester_load *load, unsigned int burst,
		    uint8_t id);
/* Numbers begin at 0, the run is another. */
void tester_gen_begin(struct tester_gen *g, const struct tester_clock *clock, uint8_t run, uint64_t rate_pps,
		      uint64_t count);
void tester_gen_free(struct tester_gen *g);
/* Sends what is due, at most a burst; false if that was nothing. */
bool tester_gen_step(struct tester_gen *g, const struct tester_clock *clock, uint64_t now);

int tester_sink_init(struct tester_sink *k, struct tester_cable *in, const struct tester_load *load,
		     struct histogram *age, uint8_t id);
/* patient: wait for a burst.  0 or -ENOMEM. */
int tester_sink_begin(struct tester_sink *k, const struct tester_clock *clock, uint8_t run, unsigned int burst,
		      bool patient);
void tester_sink_free(struct tester_sink *k);
/* Takes one burst; false if there was none. */
bool tester_sink_step(struct tester_sink *k, const struct tester_clock *clock, uint64_t now);
/* Adds what it counted; `sent` to it. */
void tester_sink_counts(const struct tester_sink *k, uint64_t sent, struct tester_result *r);

#endif
