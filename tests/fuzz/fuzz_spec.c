/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port specs and command lines.  Ports are opened where that touches nothing outside this process.
 *
 *   input   one byte: a port spec follows, or the words of a command line, one a line, for this command
 */
#include <stdio.h>
#include <stdlib.h>

#include <cli/cli.h>
#include <cli/options.h>
#include <ports/port.h>
#include "fuzz.h"

#define WORDS_MAX 40

static void open_port(const char *text, const struct port_spec *spec)
{
	char err[PORT_ERR_MAX] = "";
	struct port *p;
	int rc;

	/* Other schemes make devices and files, or attach to what is there. */
	if (strcmp(spec->scheme, "null") && strcmp(spec->scheme, "gen") && (strcmp(spec->scheme, "memif") || spec->target[0] != '@'))
		return;
	rc = port_open(&p, text, err);
	if (!rc)
		p->ops->close(p);
	else if (!*err)
		fuzz_fail("port '%s' is refused without a word", text);
}

static void port(const char *text)
{
	static const char *const keys[] = { "rate", "size", "id", "queues", "rings", "loop", "count" };
	char err[PORT_ERR_MAX] = "";
	struct port_spec spec;
	uint64_t v;
	size_t k;

	if (port_spec_parse(&spec, text, err)) {
		if (!*err || (strchr(err, '\n') && !strchr(text, '\n')))
			fuzz_fail("'%s' is refused with '%s'", text, err);
		return;
	}
	for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		v = 7;
		if (!port_spec_get_u64(&spec, keys[k], 1, 1u << 30, &v, err) && (v < 1 || v > 1u << 30))
			fuzz_fail("%s=%llu came through", keys[k], (unsigned long long)v);
		port_spec_get(&spec, keys[k]);
	}
	open_port(text, &spec);
}

static void words(char *text, const struct cli_usage *usage)
{
	static union {
		struct cli_run_opts run;
		struct cli_sim_opts sim;
		uint8_t all[1 << 16];
	} o;
	char *argv[WORDS_MAX + 1] = { (char *)"p2pnic" }, *save = NULL, err[CLI_ERR_MAX] = "";
	const char *pos[4];
	unsigned int n, k;
	int argc = 1;
	bool help;
	char *w;

	for (w = strtok_r(text, "\n", &save); w && argc < WORDS_MAX; w = strtok_r(NULL, "\n", &save))
		argv[argc++] = w;
	memset(&o, 0, sizeof(o));
	if (cli_parse(&usage->table, &o, argc, argv, pos, 4, &n, &help, err)) {
		if (!*err)
			fuzz_fail("a command line is refused without a word");
		return;
	}
	for (k = 0; k < usage->table.n; k++)
		cli_is_set(&usage->table.opt[k], &o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cli_usage *const usages[] = { &cli_run_usage, &cli_nic_usage, &cli_up_usage, &cli_sim_usage };
	char *text;

	if (!size)
		return 0;
	text = calloc(1, size);
	memcpy(text, data + 1, size - 1);
	if (data[0] & 1)
		words(text, usages[data[0] >> 1 & 3]);
	else
		port(text);
	free(text);
	return 0;
}
