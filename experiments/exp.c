/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "report.h"
#include "sweep.h"

#define MACHINE " nic switch host"
#define NO_FLOW                                                                                                        \
	"method frame_bytes batch load gbps arrival topology pattern ports flows duration_us warmup_us trace svg"

const struct exp_kind_of exp_experiments[] = {
	{ "fig5", EXP_FILE_NONE, exp_fig5, "throughput by frame size without routing", NULL, "method+ frame_bytes+" },
	{ "fig6", EXP_FILE_NONE, exp_fig6, "throughput by frame size with routing", NULL,
	  "method+ frame_bytes+" },
	{ "fig7", EXP_FILE_NONE, exp_fig7, "latency: medians, percentiles, distributions", NULL,
	  "method+ frame_bytes gbps arrival" },
	{ "table1", EXP_FILE_NONE, exp_table1, "what the CPU and its PCIe bear", NULL, "method+ frame_bytes" },
	{ "batch", EXP_FILE_NONE, exp_batch, "throughput and latency by batch size, 1-64", NULL,
	  "method+ frame_bytes+ batch gbps arrival" },
	{ "validate", EXP_FILE_NONE, exp_validate,
	  "every published figure of the reference experiment and its predicted interval", NULL,
	  "method frame_bytes batch gbps arrival trace" },
	{ "dma", EXP_FILE_NONE, exp_dma, "a NIC's DMA engine beside measurements of a real one", "e5-2637v3", NO_FLOW },
	{ "iommu", EXP_FILE_NONE, exp_iommu, "64-byte DMA through an IOMMU, by the window's size", "e5-iommu",
	  NO_FLOW },
	{ "scale", EXP_FILE_NONE, exp_scale, "2 to 48 ports: where each architecture stops, and on what", NULL,
	  "method+ frame_bytes+ topology pattern ports_per_nic batch gbps" MACHINE },
	{ "run", EXP_FILE_NEEDED, exp_single, "one run of the topology and traffic in FILE, told whole", NULL, NULL },
	{ "sweep", EXP_FILE_NEEDED, exp_sweep, "every combination of the parameters in FILE", NULL, "trace" },
	{ "sensitivity", EXP_FILE_MAY, exp_sensitivity, "what the results of FILE, else of the reference, depend on",
	  NULL, "trace" },
	{ "speed", EXP_FILE_MAY, exp_speed, "how fast the simulator itself is", NULL, "trace csv svg" },
	{ 0 },
};

bool exp_sets_itself(const struct exp_kind_of *e, const char *key, bool option)
{
	const char *own = e->own;
	size_t len = strlen(key), n;

	for (; own && *own; own += n + (own[n] == ' ')) {
		n = strcspn(own, " ");
		if (n == len + (own[n - 1] == '+') && !strncmp(own, key, len))
			return !(option && own[n - 1] == '+');
	}
	return false;
}

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
