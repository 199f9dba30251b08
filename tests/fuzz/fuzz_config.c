/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file of `run`.  Input: the file. */
#include <stdlib.h>

#include <cli/cli.h>
#include <cli/options.h>
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cli_run_opts o;
	struct cli_config *text = NULL;
	char err[CLI_ERR_MAX] = "";
	unsigned int k;
	int rc;

	memset(&o, 0, sizeof(o));
	rc = cli_config_read(&cli_run_usage.table, &o, fuzz_file(data, size), &text, err);
	if (rc && (!*err || strchr(err, '\n')))
		fuzz_fail("error %d with '%s'", rc, err);
	if (!rc) {
		for (k = 0; k < o.port.n; k++)
			if (!o.port.item[k].text || strlen(o.port.item[k].text) > size)
				fuzz_fail("a port that the file does not have");
		cli_config_free(text);
	}
	return 0;
}
