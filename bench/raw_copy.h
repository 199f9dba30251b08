/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raw one-copy limit of a machine: one core copies what another has just written, and nothing else.
 *
 * A ring of buffers in shared memory, written by one thread in bursts, copied by another into a second ring of as many
 * buffers, whole 64-byte lines, source and destination prefetched at the beginning of a burst; one index each way.
 * No descriptors, nobody else, and no checksum unless a routine that makes one is given.
 */
#ifndef BENCH_RAW_COPY_H
#define BENCH_RAW_COPY_H

#include <stdint.h>

struct raw_copy_opts {
	uint32_t frame_bytes; /* 1 to buf_bytes */
	uint32_t depth;       /* buffers of each ring, a power of two, a burst at least */
	uint32_t buf_bytes;   /* from one buffer to the next, a multiple of 64; 0: 2048 */
	double seconds;
	int writer_core, copier_core; /* two */
	/* What copies a frame, as soft_copy_ops.copy_sum (boards/soft/copy.h), stride 64; NULL: whole lines, no sum. */
	uint32_t (*copy_sum)(uint8_t *dst, uint8_t *src, uint32_t len, uint32_t moved, uint32_t h, uint32_t stride);
};

struct raw_copy_result {
	uint64_t frames;
	double mpps;
	double cycles_per_packet; /* of the copier's bursts in which there was something; soft_ticks() */
	uint64_t preempted;       /* how often one of the threads was put off its core for another */
};

/* Takes opts->seconds.  0; -EINVAL; -ENOMEM; or what pinning or making the threads said. */
int raw_copy_run(const struct raw_copy_opts *opts, struct raw_copy_result *out);
/* The same with nobody who writes: one burst's buffers, over and over, all in the copier's own cache. depth is not used. */
int raw_copy_own(const struct raw_copy_opts *opts, struct raw_copy_result *out);

#endif
