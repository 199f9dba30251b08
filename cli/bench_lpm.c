/* SPDX-License-Identifier: BSD-3-Clause */
/* bench lpm: what the user asked for; bench/lpm does it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/lpm/bench.h"
#include "cli/cli.h"
#include "cli/options.h"

#define CLI_STRUCT cli_bench_lpm_opts
static const struct cli_opt lpm_opts[] = { CLI_BENCH_LPM_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_bench_lpm_usage = {
	.synopsis = "[OPTIONS]",
	.description =
		"Lookups of the longest matching prefix: the state-jump tables that NICs use, beside DPDK's rte_lpm and rte_fib with"
		" every lookup type that this CPU has, in this process, over the same keys, in turns. The table is libloc's"
		" (`location dump`, Debian's packages location and libloc-database) or any list of prefixes; next hops are"
		" 32, by origin AS.\n\n"
		"Keys: `random`, uniform over IPv4 or 2000::/3; `table`, an address within a prefix of the table, each prefix as"
		" likely; `zipf`, such addresses as flows with frequency 1 / rank. Before measuring every engine's answer to"
		" every key is compared with the list of routes. Then routes change as BGP changes them, and last short prefixes"
		" come and go. Memory is what lookups read; rte_fib has its least next-hop size and about as few groups as hold"
		" the table. Built without libdpdk-dev only our own engine is measured, and that is said.",
	.examples = "  p2pnic bench lpm\n  p2pnic bench lpm --json\n"
		    "  p2pnic bench lpm --routes prefixes.txt --ip4-widths 16-4-4-8\n",
	.table = { lpm_opts, sizeof(lpm_opts) / sizeof(lpm_opts[0]) },
};

int cli_bench_lpm(int argc, char **argv)
{
	static struct cli_bench_lpm_opts o;
	char err[CLI_ERR_MAX], why[LPM_ERR_MAX] = "";
	struct bench_lpm_opts b = { .core = -1 };
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_lpm_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench lpm"), stdout);
		return CLI_OK;
	}
	if (rc) {
		cli_error("bench lpm", "%s", err);
		return CLI_USAGE;
	}
	b.routes = o.routes_set ? o.routes : NULL;
	b.widths[P2P_IP4] = o.ip4_widths_set ? o.ip4_widths : NULL;
	b.widths[P2P_IP6] = o.ip6_widths_set ? o.ip6_widths : NULL;
	b.rounds = o.rounds_set ? (unsigned int)o.rounds : 15;
	b.seconds = o.seconds_set ? o.seconds : 0.02;
	b.burst = o.burst_set ? (uint32_t)o.burst : 64;
	b.updates = o.updates_set ? (uint32_t)o.updates : 200000;
	b.core = o.core_set ? (int)o.core : -1;
	b.small_pages = o.small_pages;
	b.json = o.json;
	b.progress = isatty(STDERR_FILENO);
	rc = bench_lpm(&b, stdout, why);
	if (!rc)
		return CLI_OK;
	cli_error("bench lpm", "%s", why[0] ? why : strerror(-rc));
	return CLI_FAILED;
}
