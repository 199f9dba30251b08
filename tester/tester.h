/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tester: a generator and a sink that drive a forwarder over two memif
 * cables and account for every frame.
 *
 *            port 0 (frames go out)        port 1 (frames come back)
 *   generator ----------------> forwarder ----------------> sink
 *
 * With `both` each port has a generator, and a sink for the other one's frames.
 * By default the tester is memif server on both sockets and fills and reads the
 * forwarder's buffers in place (ports/memif.h); with `client` it lends its own.
 * With `loop` nothing lies between: a memif client within the tester hands each
 * buffer from port 0's ring to port 1's, which measures the tester itself.
 *
 * GEARS
 *   bench  writes whole frames but looks at descriptors alone, except for one
 *          frame in 64 on average, of which every byte and the sequence number
 *          is checked.  Sent, received and wrong lengths are exact, so lost is
 *          as long as nothing comes twice; the other faults are those of the
 *          frames looked at, and what came beyond the number sent.
 *   check  looks at every byte of every frame; every count is exact.
 *
 * BURSTS  Without a rate both ends move whole bursts, unless 2 us bring no
 * more: a ring that is touched for every frame costs the forwarder most of its
 * rate.  With a rate each frame goes when it is due, and is taken when it comes.
 *
 * FRAMES  ports/gen_frame.h; sizes here count the FCS, as `p2pnic run` does:
 * 64 stands for 60 bytes in the buffer.  With `routed` the forwarder may change
 * MAC addresses, TTL and IP header checksum, which must still be right.
 *
 * A RUN  traffic for warmup_ns; pause until nothing comes back any more; all
 * counts 0; traffic for the time or number asked; its end; drain.  Frames of
 * the warm-up and of earlier runs carry another run number and are `stale`.
 *
 * THREADS  One tester is used by one thread at a time.  tester_run() works on
 * threads of its own, pinned to opts.cpu (and sink_cpu), and sleeps meanwhile.
 * Between calls nobody looks at the cables: a forwarder that connects waits for
 * the next call.
 */
#ifndef TESTER_TESTER_H
#define TESTER_TESTER_H

#include "ports/histogram.h"
#include "tester/quiet.h"

#define TESTER_ERR_MAX 256
#define TESTER_BURST_MAX 256

struct tester_opts {
	const char *path[2];     /* memif sockets, "@name" for abstract ones; not used with loop */
	uint32_t id[2];          /* memif interface ids */
	bool client;             /* the forwarder is server */
	const char *group[2];    /* memif's group= of the sockets; NULL: none */
	bool loop;               /* no forwarder */
	unsigned int ring_log2;  /* client and loop: descriptors per ring (10); as server the forwarder chooses */
	uint32_t buf_bytes;      /* client and loop: room in a buffer (2048) */
	uint32_t buf_stride;     /* client and loop: from one buffer to the next (buf_bytes) */
	unsigned int burst;      /* frames at a time, 1 to TESTER_BURST_MAX (32) */
	int cpu;                 /* generator, and sink if sink_cpu is -1; -1: not pinned */
	int sink_cpu;            /* a thread of its own for the sink; -1: none */
};
/* 0 or NULL stands for the value in brackets, but for cpu and sink_cpu, which the caller sets. */

enum tester_gear { TESTER_BENCH, TESTER_CHECK };

struct tester_load {
	enum tester_gear gear;
	uint32_t frame_bytes;    /* with FCS, 64 to 9216 */
	uint64_t rate_pps;       /* per direction; 0: as fast as the forwarder takes them */
	uint64_t duration_ns;    /* of the measurement; ignored if count */
	uint64_t count;          /* frames per direction that fall due, 0: duration_ns decides */
	uint64_t warmup_ns;
	bool both;               /* also from port 1 to port 0 */
	bool latency;            /* bench: record the age of the frames looked at (check does always) */
	bool routed;             /* MAC addresses, TTL and IP checksum may change */
	uint32_t flows;          /* 1 to 65536 (1); taken in turn */
	uint32_t src_ip, dst_ip; /* first addresses, host order (198.18.0.1, 198.19.0.0), within 198.18.0.0/15 */
	uint32_t dst_count;      /* flow f goes to dst_ip + f % dst_count (65536) */
	/*
	 * Instead of those, for one flow in one direction: frame after frame goes to the next of these dst_n addresses (host
	 * order), over and over.  Any: for forwarders that lead nowhere but to the tester.  They stay the caller's.  NULL: none.
	 */
	const uint32_t *dst;
	uint32_t dst_n;
	uint32_t back_ip;        /* both: first destination of port 1's frames (dst_ip) */
	uint8_t src_mac[2][6];   /* of the frames that leave by port 0 and 1 (02:50:32:00:00:00 and :01) */
	uint8_t dst_mac[2][6];   /* (02:50:32:ff:00:00 and :01) */
	/*
	 * Called on the generator's thread when warmed up (true) and after the
	 * drain (false), for counters of the forwarder.  Nothing moves during
	 * either.  May be NULL.
	 */
	void (*mark)(void *ctx, bool begin);
	void *ctx;
	/* Ends the run early when it becomes true.  May be NULL. */
	const volatile bool *stop;
	/* Threads of the forwarder to watch as well as the tester's own; see result.quiet. */
	const struct quiet_target *watch;
	unsigned int watch_n;
};

/* Of both directions together. */
#define TESTER_COUNTERS(X) \
	X(sent, "frames that the forwarder's ring took") \
	X(refused, "frames due and not sent because its ring was full; 0 without a rate") \
	X(behind, "frames due and not sent because the tester's core was late") \
	X(received, "frames that came back, of this run or not") \
	X(lost, "frames sent that did not come back before the drain ended") \
	X(corrupted, "frames with a wrong byte, length or IP checksum") \
	X(reordered, "frames that came after a later one of their flow") \
	X(duplicated, "frames that had come before") \
	X(stale, "frames of an earlier run or of the warm-up") \
	X(foreign, "frames that are not the tester's") \
	X(checked, "frames of which every byte was looked at")

struct tester_result {
#define X(name, desc) uint64_t name;
	TESTER_COUNTERS(X)
#undef X
	uint64_t window_ns;       /* from the first frame to the last that went out */
	uint64_t window_sent;     /* within it */
	uint64_t window_received; /* within it: window_received / window_ns is the rate */
	uint64_t drain_ns;        /* from then until the last frame came */
	uint64_t tsc_hz;
	uint64_t cycles;          /* of the window, by time stamp counter */
	uint64_t busy_cycles;     /* of them those of rounds in which a burst was sent or taken: the tester's own cost */
	uint64_t sink_busy_cycles; /* with sink_cpu: those of the sink's thread, not in busy_cycles */
	unsigned int ring_size;   /* descriptors of port 0's ring */
	bool link_lost;           /* a cable went down: the counts end there */
	bool stopped;             /* by load.stop */
	bool stalled;             /* a number of frames was asked for, and nothing moved for 2 s */
	struct quiet_report quiet; /* of window and drain: the tester's threads and those watched */
	struct histogram latency_ns; /* from before a frame is written until after it was seen to have come */
};

struct tester;

/*
 * Opens the two cables; *out is left alone on failure.  0 or -errno with one
 * line in err.
 */
int tester_create(struct tester **out, const struct tester_opts *opts, char err[TESTER_ERR_MAX]);
void tester_destroy(struct tester *t);

/*
 * Waits until both links are up.  0, -ETIMEDOUT (err says which link and why)
 * or -ECANCELED (*stop became true; stop may be NULL).
 */
int tester_wait_link(struct tester *t, uint64_t timeout_ns, const volatile bool *stop, char err[TESTER_ERR_MAX]);
/* Both links as of the last look; takes one. */
bool tester_link_up(struct tester *t);

/*
 * One run.  -EINVAL (load), -ENOTCONN (a link is down), -EMSGSIZE (the frame does not fit the ring), or another
 * -errno, with one line in err; *result is then not filled.  A link that goes down in the midst is no error:
 * result->link_lost.
 */
int tester_run(struct tester *t, const struct tester_load *load, struct tester_result *result, char err[TESTER_ERR_MAX]);

/* Frames per second that came back, from both directions. */
double tester_result_pps(const struct tester_result *r);
/* Nothing lost, corrupted, reordered, duplicated or foreign, and no link went down. */
bool tester_result_clean(const struct tester_result *r);

/*
 * The raw generator: writes frames of the bench gear into a ring whose far end
 * gives every buffer back at once, for duration_ns on core cpu (-1: any).
 * Frames per second to *pps.  0 or -errno.
 */
int tester_null_rate(const struct tester_opts *opts, const struct tester_load *load, double *pps,
		     char err[TESTER_ERR_MAX]);

#endif
