/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Topology files and profiles of `p2pnic sim`, as far as a run of them could begin.
 *
 *   input   one byte: a topology follows, a profile of a kind, or settings, one a line
 */
#include <stdio.h>
#include <stdlib.h>

#include <experiments/topo.h>
#include "fuzz.h"

static struct exp_spec spec;
static struct exp_config config;

static void make(void)
{
	char err[EXP_ERR_MAX] = "";
	unsigned int k;

	if (exp_config_make(&spec, true, &config, err)) {
		if (!*err)
			fuzz_fail("refused without a word");
		return;
	}
	for (k = 0; k < config.num_nodes; k++)
		if (config.node[k].parent >= (int)k)
			fuzz_fail("node %u comes before its parent", k);
	for (k = 0; k < config.num_pairs; k++)
		if (config.pair[k].nic >= config.num_nodes || config.pair[k].to_nic >= config.num_nodes ||
		    config.node[config.pair[k].nic].kind != EXP_NIC || config.pair[k].port >= config.node[config.pair[k].nic].ports ||
		    config.node[config.pair[k].to_nic].kind != EXP_NIC ||
		    config.pair[k].to_port >= config.node[config.pair[k].to_nic].ports)
			fuzz_fail("pair %u joins ports that there are not", k);
	for (k = 0; k < config.num_sources; k++)
		if (config.source[k].nic >= config.num_nodes || !(config.source[k].gbps >= 0))
			fuzz_fail("source %u sends %g Gb/s", k, config.source[k].gbps);
	exp_config_hash(&config);
}

static void settings(char *text)
{
	char err[EXP_ERR_MAX] = "", *save = NULL, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (exp_spec_assign(&spec, line, err) && !*err)
			fuzz_fail("'%s' is refused without a word", line);
	make();
}

static void profile(enum exp_kind kind, const uint8_t *data, size_t size)
{
	char err[EXP_ERR_MAX] = "";
	struct exp_profile *p;
	union {
		struct sim_nic_profile nic;
		struct sim_switch_profile sw;
		struct sim_host_profile host;
	} sim;

	if (exp_profile_load(kind, fuzz_file(data, size), &p, err)) {
		if (!*err)
			fuzz_fail("refused without a word");
		return;
	}
	exp_profile_fill(p, &sim);
	exp_profile_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[EXP_ERR_MAX] = "", *text;

	if (!size)
		return 0;
	exp_spec_init(&spec);
	if (data[0] & 1) {
		profile((data[0] >> 1) % EXP_NUM_KINDS, data + 1, size - 1);
	} else if (data[0] & 2) {
		text = calloc(1, size);
		memcpy(text, data + 1, size - 1);
		settings(text);
		free(text);
	} else if (!exp_spec_read(&spec, fuzz_file(data + 1, size - 1), err)) {
		make();
	} else if (!*err) {
		fuzz_fail("refused without a word");
	}
	return 0;
}
