/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
	const struct cli_cmd *cmd;
	int rc;

	if (argc < 2) {
		cli_help_all(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		cli_help_all(stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return cli_version(1, argv);
	cmd = cli_command(argv[1]);
	if (!cmd) {
		cli_error(NULL, "there is no command '%.100s'; `p2pnic help` lists them", argv[1]);
		return CLI_USAGE;
	}
	rc = cmd->run(argc - 1, argv + 1);
	if (fflush(stdout) || ferror(stdout)) {
		cli_error(cmd->name, "writing to standard output failed; is its disk full or its reader gone?");
		return rc ? rc : CLI_FAILED;
	}
	return rc;
}
