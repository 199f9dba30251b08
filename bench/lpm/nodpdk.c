/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of dpdk.c where libdpdk-dev was not there when this was built. */
#include <errno.h>

#include "bench/lpm/bench.h"

int bench_dpdk_make(struct bench_engine *e, unsigned int *n, enum p2p_family f, const struct bench_routes *r,
		    const struct bench_lpm_opts *o, char err[LPM_ERR_MAX])
{
	snprintf(err, LPM_ERR_MAX, "built without libdpdk-dev: nothing to compare with");
	return -ENOSYS;
}

void bench_dpdk_free(void)
{
}
