/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The raw one-copy limit of a machine: one core copies what another has just written, and nothing else.
 *
 * A ring of buffers in shared memory, written by one thread in bursts, copied by another into a second ring of as many
 * buffers, whole 64-byte lines, source and destination prefetched at the beginning of a burst; one index each way.
 * No descriptors, no checksum, nobody else.
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
};

struct raw_copy_result {
	uint64_t frames;
	double mpps;
	double cycles_per_packet; /* of the copier's bursts in which there was something; soft_ticks() */
};

/* Takes opts->seconds.  0; -EINVAL; -ENOMEM; or what pinning or making the threads said. */
int raw_copy_run(const struct raw_copy_opts *opts, struct raw_copy_result *out);

#endif
