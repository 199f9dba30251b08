/* SPDX-License-Identifier: BSD-3-Clause */
/* bench churn: what the user asked for; bench/churn does it. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bench/churn/churn.h"
#include "cli/cli.h"
#include "cli/options.h"

#define CLI_STRUCT cli_bench_churn_opts
static const struct cli_opt churn_opts[] = { CLI_BENCH_CHURN_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_bench_churn_usage = {
	.synopsis = "[OPTIONS]",
	.description =
		"Two NICs route 64-byte frames to each other and back at full load, on one core, while another core changes their"
		" routes: /24s come, go and change, /20s that cover them too, next hops move, and so does the default route. Rounds"
		" with changes and rounds without take turns.\n\n"
		"Generator and sink are in the forwarder's own thread, so that the changes have the other core for themselves: Mpps are"
		" less than those of `bench forward`, and what making and checking a frame takes is in both sides of the ratio. Each frame is"
		" checked against every table that there was between its arrival and its departure, and all are counted.\n\n"
		"Exit status 1 also if a frame was lost, damaged, or went where none of these tables sends it.",
	.examples = "  p2pnic bench churn\n  p2pnic bench churn --rate 100000 --seconds 30 --json\n",
	.table = { churn_opts, sizeof(churn_opts) / sizeof(churn_opts[0]) },
};

static volatile bool churn_stop;

static void churn_on_signal(int sig)
{
	churn_stop = true;
}

/* The forwarder's is the last of the first two. */
static int churn_cores(struct churn_opts *b, char err[CLI_ERR_MAX])
{
	int cpu, n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_ZERO(&set);
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			*(n++ ? &b->cpu_worker : &b->cpu_updater) = cpu;
	if (n == 2)
		return 0;
	snprintf(err, CLI_ERR_MAX, "forwarder and changes need a core each, and there is one; give this process two");
	return -1;
}

int cli_bench_churn(int argc, char **argv)
{
	struct sigaction on = { .sa_handler = churn_on_signal };
	struct churn_opts b = { .stop = &churn_stop };
	static struct cli_bench_churn_opts o;
	char err[CLI_ERR_MAX], why[CHURN_ERR_MAX];
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_churn_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench churn"), stdout);
		return CLI_OK;
	}
	if (rc) {
		cli_error("bench churn", "%s", err);
		return CLI_USAGE;
	}
	b.rate = o.rate_set ? (double)o.rate : 100000;
	b.seconds = o.seconds_set ? o.seconds : 30;
	b.rounds = o.rounds_set ? (unsigned int)o.rounds : 5;
	b.json = o.json;
	if (b.seconds > 600) {
		cli_error("bench churn", "--seconds %g: 600 at most", b.seconds);
		return CLI_USAGE;
	}
	if (churn_cores(&b, err)) {
		cli_error("bench churn", "%s", err);
		return CLI_FAILED;
	}
	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	rc = bench_churn(&b, stdout, why);
	if (rc < 0)
		cli_error("bench churn", "%s", why[0] ? why : strerror(-rc));
	return rc ? CLI_FAILED : CLI_OK;
}
