/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

const struct cli_cmd cli_commands[] = {
	{ "run", cli_run, "forward between ports within one process; without ports: measure wr, rd and bn", &cli_run_usage, NULL },
	{ "nic", cli_nic, "one software NIC: a PCI device on a vfio-user socket", &cli_nic_usage, NULL },
	{ "up", cli_up, "introduce NICs to each other, then step aside", &cli_up_usage, NULL },
	{ "down", cli_down, "stop NICs and make them forget each other", &cli_down_usage, NULL },
	{ "reset", cli_reset, "reset NICs without stopping them first", &cli_reset_usage, NULL },
	{ "bind", cli_bind, "give PCI functions to the kernel's vfio-pci, for `up --nic vfio:`", &cli_bind_usage, NULL },
	{ "unbind", cli_unbind, "give PCI functions back to the kernel's own drivers", &cli_unbind_usage, NULL },
	{ "router", cli_router, "follow the kernel's routes into NICs that route, and answer for them", &cli_router_usage, NULL },
	{ "route", cli_route, "the kernel's routes, many at a time, and what NICs make of them", &cli_route_usage, NULL },
	{ "show", cli_show, "what NICs and the router count and say: ports, drops, routes and more", &cli_show_usage, NULL },
	{ "gen", cli_gen, "traffic through a forwarder on two memif cables: throughput, losses, latency", &cli_gen_usage, NULL },
	{ "sim", cli_sim, "the same firmware in virtual time: what hardware would do", &cli_sim_usage, NULL },
	{ "doctor", cli_doctor, "can NICs in this box talk peer to peer, and how fast", &cli_doctor_usage, NULL },
	{ "bench", cli_bench, "measure on this machine, beside others", &cli_bench_usage, bench_commands },
	{ "help", cli_help, "tell of a command", &cli_help_usage, NULL },
	{ "version", cli_version, "print the version", NULL, NULL },
	{ 0 },
};

const struct cli_cmd *cli_command(const char *name)
{
	const struct cli_cmd *c, *s;

	for (c = cli_commands; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
		for (s = c->sub; s && s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	}
	return NULL;
}

static void cli_say(const char *command, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "p2pnic%s%s: %s\n", command ? " " : "", command ? command : "", line);
}

void cli_error(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_say(command, fmt, ap);
	va_end(ap);
}

void cli_note(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_say(command, fmt, ap);
	va_end(ap);
}

#define CLI_STRUCT cli_help_opts
static const struct cli_opt help_opts[] = { CLI_HELP_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_help_usage = {
	.synopsis = "[--man] [COMMAND [SUBCOMMAND]]",
	.description = "Prints what a command does and its options, or the list of commands.",
	.table = { help_opts, sizeof(help_opts) / sizeof(help_opts[0]) },
};

int cli_help(int argc, char **argv)
{
	struct cli_help_opts o = { 0 };
	const struct cli_cmd *cmd = NULL;
	const char *word[2];
	char name[128];
	char err[CLI_ERR_MAX];
	unsigned int words;
	bool help;

	if (cli_parse(&cli_help_usage.table, &o, argc, argv, word, 2, &words, &help, err)) {
		cli_error("help", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("help"), stdout);
		return CLI_OK;
	}
	if (words) {
		snprintf(name, sizeof(name), "%.60s%s%.60s", word[0], words > 1 ? " " : "", words > 1 ? word[1] : "");
		cmd = cli_command(name);
		if (!cmd) {
			cli_error("help", "there is no command '%.100s'; `p2pnic help` lists them", name);
			return CLI_USAGE;
		}
	}
	if (o.man)
		cli_man_print(cmd, stdout);
	else if (cmd)
		cli_help_print(cmd, stdout);
	else
		cli_help_all(stdout);
	return CLI_OK;
}

int cli_version(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		cli_help_print(cli_command("version"), stdout);
		return CLI_OK;
	}
	if (argc > 1) {
		cli_error("version", "'%.100s' is one word too many", argv[1]);
		return CLI_USAGE;
	}
	printf("p2pnic %s\n", P2PNIC_VERSION);
	return CLI_OK;
}
