/* SPDX-License-Identifier: BSD-3-Clause */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

char fixture_dir[64];

const char *fixture_file(const char *name, const char *text)
{
	static char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
	return path;
}

static double fixture_value(const struct exp_param *p)
{
	static const struct {
		const char *name;
		double v;
	} special[] = {
		{ "clock_mhz", 1000 },
		{ "workers", 8 },
		{ "mac_gbps", 40 },
		{ "pcie_gen", 3 },
		{ "pcie_width", 8 },
		{ "mps", 256 },
		{ "mrrs", 512 },
		{ "tags", 32 },
		{ "slots", 256 },
		{ "rx_bufs", 512 },
		{ "lanes", 48 },
		{ "hdr_credits", 64 },
		{ "data_credits", 16384 },
		{ "core_mhz", 3000 },
		{ "cores", 2 },
		{ "rcb", 64 },
		{ "channels", 2 },
		{ "channel_rate", 20 },
		{ "ring", 256 },
		{ "queues", 1 },
		{ "batch", 8 },
		{ "poll", 20 },
		{ "mac_fifo", 65536 },
		{ "dma_writes", 64 },
		{ "dma_reads", 64 },
		{ "dma_read_bytes", 65536 },
		{ "testpmd_cycles", 100 },
		{ "l3fwd_cycles", 120 },
		{ "bn_cycles", 100 },
		{ "dllp_share", 0.02 },
		{ "dma_byte", 0.02 },
		{ "mem_rate", 20 },
		{ "local_rate", 20 },
		{ "rc_p2p_rate", 20 },
		{ "byte_cycles", 0.01 },
		{ "ddio_evict", 0.5 },
		{ "iotlb_entries", 0 },
	};
	unsigned int k;

	for (k = 0; k < sizeof(special) / sizeof(special[0]); k++)
		if (!strcmp(special[k].name, p->name))
			return special[k].v;
	return p->min > 0 ? p->min : p->max > 1 ? 1 : 0;
}

int fixture_setup(void **state)
{
	char text[16384], name[128];
	unsigned int kind, k, n;

	(void)state;
	snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/p2pnic-exp-XXXXXX");
	if (!mkdtemp(fixture_dir))
		return -1;
	for (kind = 0; kind < EXP_NUM_KINDS; kind++) {
		const struct exp_param *p = exp_params((enum exp_kind)kind, &n);
		int len = snprintf(text, sizeof(text), "description = \"for tests\";\n");

		snprintf(name, sizeof(name), "%s/%s", fixture_dir, exp_kinds[kind]);
		if (mkdir(name, 0700))
			return -1;
		for (k = 0; k < n; k++)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s = %.6f;\n", p[k].name,
					fixture_value(&p[k]));
		snprintf(name, sizeof(name), "%s/plain.conf", exp_kinds[kind]);
		fixture_file(name, text);
	}
	return setenv("P2PNIC_PROFILES", fixture_dir, 1);
}

static int fixture_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int fixture_teardown(void **state)
{
	(void)state;
	return nftw(fixture_dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

int fixture_topology(const char *text, struct exp_config *c, char err[EXP_ERR_MAX])
{
	struct exp_spec *spec = malloc(sizeof(*spec));
	int rc;

	if (!spec)
		abort();
	exp_spec_init(spec);
	for (rc = 0; rc < EXP_NUM_KINDS; rc++)
		snprintf(spec->profile[rc], EXP_PATH_MAX, "plain");
	rc = exp_spec_read(spec, fixture_file("t.conf", text), err);
	if (!rc)
		rc = exp_config_make(spec, false, c, err);
	free(spec);
	return rc;
}
