/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "report.h"
#include "sweep.h"

const struct exp_kind_of exp_experiments[] = {
	{ "fig5", EXP_FILE_NONE, exp_fig5, "throughput by frame size without routing" },
	{ "fig6", EXP_FILE_NONE, exp_fig6, "throughput by frame size with routing (l3fwd)" },
	{ "fig7", EXP_FILE_NONE, exp_fig7, "latency: medians, percentiles, distributions" },
	{ "table1", EXP_FILE_NONE, exp_table1, "what the CPU and its PCIe bear" },
	{ "batch", EXP_FILE_NONE, exp_batch, "throughput and latency by batch size, 1-64" },
	{ "run", EXP_FILE_NEEDED, exp_single, "one run of the topology and traffic in FILE, told whole" },
	{ "sweep", EXP_FILE_NEEDED, exp_sweep, "every combination of the parameters in FILE" },
	{ "speed", EXP_FILE_MAY, exp_speed, "how fast the simulator itself is" },
	{ 0 },
};

int exp_do(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	const struct exp_kind_of *e;
	struct exp_world w;

	exp_world_find(&w);
	if (w.rank && strcmp(r->experiment, "sweep"))
		return 0; /* nothing to share out: rank 0 does it */
	err[0] = '\0';
	for (e = exp_experiments; e->name; e++)
		if (!strcmp(e->name, r->experiment))
			return e->run(r, to, err);
	snprintf(err, EXP_ERR_MAX, "there is no experiment '%.60s'", r->experiment);
	return -EINVAL;
}
