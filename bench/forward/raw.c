/* SPDX-License-Identifier: BSD-3-Clause */
/* raw-copy: bench/raw_copy.h, at the one distance of the cores at which all else is measured. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "bench/raw_copy.h"

int fwd_measure_raw(struct fwd_bench *b, struct fwd_entry *e, unsigned int frame, unsigned int round,
		    char err[FWD_ERR_MAX])
{
	struct fwd_cell *c = &e->cell[frame];
	const struct raw_copy_opts o = {
		.frame_bytes = b->req->frames[frame] - 4,
		.depth = c->setup.ring,
		.seconds = b->req->seconds,
		.writer_core = b->req->cpu_gen,
		.copier_core = b->req->cpu_fwd,
	};
	struct raw_copy_result r;
	unsigned int tries;
	bool near = false;
	int rc = 0;

	for (tries = 0; tries <= FWD_REPEATS && !rc && !near; tries++) {
		fwd_near_wait(b);
		rc = raw_copy_run(&o, &r);
		near = fwd_near(b);
		c->repeated += tries > 0;
	}
	if (rc) {
		snprintf(err, FWD_ERR_MAX, "raw-copy on cores %d and %d: %s", o.writer_core, o.copier_core, strerror(-rc));
		return rc;
	}
	c->disturbed += !near;
	c->mpps[round] = r.mpps;
	c->cycles[round] = r.cycles_per_packet;
	return 0;
}
