/* SPDX-License-Identifier: BSD-3-Clause */
/* bench: measurements on the machine at hand.  Each is a command of its own, with its own options. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

const struct cli_cmd bench_commands[] = {
	{ "bench forward", cli_bench_forward, "one core forwards between two memif cables: p2pnic, testpmd, l3fwd",
	  &cli_bench_forward_usage, NULL },
	{ "bench soak", cli_bench_soak, "one forwarder near its maximum for long: nothing may be lost", &cli_bench_soak_usage, NULL },
	{ "bench idle", cli_bench_idle, "what `p2pnic run` takes of a core when nothing comes", &cli_bench_idle_usage, NULL },
	{ "bench copy", cli_bench_copy, "what each way of copying and summing a frame costs here", &cli_bench_copy_usage, NULL },
	{ "bench lpm", cli_bench_lpm, "route lookups and changes: state-jump tables, rte_lpm, rte_fib", &cli_bench_lpm_usage, NULL },
	{ "bench churn", cli_bench_churn, "forwarding at full load while routes change: no frame may go wrong", &cli_bench_churn_usage,
	  NULL },
	{ 0 },
};

const struct cli_usage cli_bench_usage = {
	.synopsis = "WHAT [OPTIONS]",
	.description =
		"Measures on this machine, beside other programs where there are any. What comes out depends on the machine and on"
		" what else it does; each measurement says what it found of that.",
};

int cli_bench(int argc, char **argv)
{
	const struct cli_cmd *sub;
	char name[64];

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cli_help_print(cli_command("bench"), stdout);
		return CLI_OK;
	}
	if (argc < 2) {
		cli_error("bench", "what is to be measured? `p2pnic bench --help` lists it");
		return CLI_USAGE;
	}
	snprintf(name, sizeof(name), "bench %.50s", argv[1]);
	sub = cli_command(name);
	if (!sub) {
		cli_error("bench", "there is no measurement '%.50s'; `p2pnic bench --help` lists them", argv[1]);
		return CLI_USAGE;
	}
	return sub->run(argc - 1, argv + 1);
}
