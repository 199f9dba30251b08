/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file of `run`. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/options.h"

static struct cli_run_opts o;
static struct cli_config *text;
static char path[64], err[CLI_ERR_MAX];

static int read_bytes(const char *data, size_t len)
{
	int fd, rc;

	snprintf(path, sizeof(path), "/tmp/p2pnic-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	text = NULL;
	err[0] = '\0';
	rc = cli_config_read(&cli_run_usage.table, &o, path, &text, err);
	unlink(path);
	return rc;
}

static int read_text(const char *data)
{
	memset(&o, 0, sizeof(o));
	return read_bytes(data, strlen(data));
}

static void test_every_key(void **state)
{
	assert_int_equal(read_text("mode = \"rd\"; batch = 4; stride = 128L; slots = \"1k\"; seconds = 2.5; bridge = true;\n"
				   "poll = false; backpressure = false; scrub = \"on\"; mem = \"32M\"; buf-size = 4096;\n"
				   "cores = \"0-1\"; ctl = \"x.ctl\"; json = true; age = 7; silence = 500; flood-pps = 0; rx-bufs = 64; nics = 4;\n"
				   "port = [ \"null:\", \"gen:\" ]; pair = \"nic0.0=nic1.0\";\n"), 0);
	assert_int_equal(o.mode, 1);
	assert_int_equal(o.batch, 4);
	assert_int_equal(o.stride, 128);
	assert_int_equal(o.slots, 1000);
	assert_true(o.seconds == 2.5);
	assert_true(o.bridge && o.bridge_set);
	assert_false(o.poll || o.poll_set);
	assert_true(o.backpressure_set && !o.backpressure);
	assert_true(o.scrub);
	assert_int_equal(o.mem, 32u << 20);
	assert_int_equal(cli_buf_sizes[o.buf_size], 4096);
	assert_string_equal(o.cores, "0-1");
	assert_true(o.json);
	assert_int_equal(o.age, 7);
	assert_int_equal(o.port.n, 2);
	assert_string_equal(o.port.item[1].text, "gen:");
	assert_int_equal(o.pair.n, 1);
	cli_config_free(text);
}

/* The keys are the options: none is missing, none is more. */
static void test_keys_are_options(void **state)
{
	char line[128];
	unsigned int k;

	for (k = 0; k < cli_run_usage.table.n; k++) {
		const struct cli_opt *opt = &cli_run_usage.table.opt[k];

		if (!strcmp(opt->name, "config"))
			continue;
		snprintf(line, sizeof(line), "%s = {};", opt->name);
		assert_int_equal(read_text(line), -EINVAL);
		assert_null(strstr(err, "unknown"));
	}
}

static void test_nics(void **state)
{
	assert_int_equal(read_text("nic = (\n { name = \"a\"; port = [ \"x:\", \"y:\" ]; },\n"
				   " { port = \"z:\"; name = \"b\"; }\n);\n"), 0);
	assert_int_equal(o.nic.n, 2);
	assert_int_equal(o.port.n, 3);
	assert_string_equal(o.nic.item[1].text, "b");
	assert_true(o.port.item[1].order < o.nic.item[1].order);
	assert_true(o.nic.item[1].order < o.port.item[2].order);
	cli_config_free(text);
}

static void test_command_line_wins(void **state)
{
	static char *argv[] = { (char *)"run", (char *)"--batch", (char *)"2", (char *)"--port", (char *)"cli:" };
	unsigned int words;
	const char *conf = "batch = 4; stride = 32; nic = ( { name = \"a\"; port = [ \"x:\" ]; } );";
	bool help;

	memset(&o, 0, sizeof(o));
	assert_int_equal(cli_parse(&cli_run_usage.table, &o, 5, argv, NULL, 0, &words, &help, err), 0);
	assert_int_equal(read_bytes(conf, strlen(conf)), 0);
	assert_int_equal(o.batch, 2);
	assert_int_equal(o.stride, 32);
	assert_int_equal(o.nic.n, 0);
	assert_int_equal(o.port.n, 1);
	assert_string_equal(o.port.item[0].text, "cli:");
	cli_config_free(text);
}

static void test_refused(void **state)
{
	/* What the error must name, the line first. */
	static const struct { const char *conf, *line, *names; } bad[] = {
		{ "\n\nbogus = 1;", ":3:", "bogus" },
		{ "config = \"x\";", ":1:", "config" },
		{ "batch = 0;", ":1:", "1 to 64" },
		{ "batch = 65;", ":1:", "1 to 64" },
		{ "batch = -8;", ":1:", "-8" },
		{ "batch = \"1\\n\\x7f2\";", ":1:", "1??2" },
		{ "batch = 8.5;", ":1:", "8.5" },
		{ "batch = true;", ":1:", "on" },
		{ "batch = [ 8 ];", ":1:", "single value" },
		{ "batch = { a = 1; };", ":1:", "single value" },
		{ "\nstride = 3;", ":2:", "power of two" },
		{ "mode = \"x\";", ":1:", "wr|rd|bn" },
		{ "bridge = \"on\";", ":1:", "true or false" },
		{ "bridge = 1;", ":1:", "true or false" },
		{ "backpressure = 1;", ":1:", "on or off" },
		{ "seconds = 0;", ":1:", "seconds" },
		{ "port = ( ( \"x:\" ) );", ":1:", "text" },
		{ "port = [ \"\" ];", ":1:", "empty" },
		{ "nic = ( { name = \"a\"; } );", ":1:", "port" },
		{ "nic = ( { port = [ \"x:\" ]; } );", ":1:", "name" },
		{ "nic = ( { name = 1; port = [ \"x:\" ]; } );", ":1:", "name" },
		{ "nic = ( { name = \"a\";\n port = [ \"x:\" ];\n other = 1; } );", ":3:", "other" },
		{ "nic = ( { name = \"a\"; port = [ \"x:\" ]; }, \"b\" );", ":1:", "nic" },
		{ "batch = 8;\nbatch = 8;", ":2:", "duplicate" },
		{ "batch = ", ":1:", "syntax" },
		{ "batch 8", ":1:", "syntax" },
		{ "{", ":1:", "syntax" },
		{ "port = [ \"x:\", 1 ];", ":1:", "" }, /* an array has elements of one type */
		{ "a = \"", ":1:", "" },
	};
	unsigned int k;

	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		assert_int_equal(read_text(bad[k].conf), -EINVAL);
		if (!strstr(err, bad[k].line) || !strstr(err, bad[k].names))
			fail_msg("'%s': '%s' does not say '%s' and '%s'", bad[k].conf, err, bad[k].line, bad[k].names);
		assert_null(strchr(err, '\n'));
		assert_null(text);
	}
}

static void test_no_text(void **state)
{
	char *big = malloc(2u << 20);

	memset(&o, 0, sizeof(o));
	assert_int_equal(cli_config_read(&cli_run_usage.table, &o, "/tmp", &text, err), -EISDIR);
	assert_int_equal(cli_config_read(&cli_run_usage.table, &o, "/tmp/p2pnic-no-such-file", &text, err), -ENOENT);
	assert_int_equal(read_bytes("batch = 8;\0stride = 3;", 22), -EINVAL);
	memset(big, ' ', 2u << 20);
	assert_int_equal(read_bytes(big, 2u << 20), -EFBIG);
	free(big);
	assert_int_equal(read_text(""), 0);
	cli_config_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key), cmocka_unit_test(test_keys_are_options), cmocka_unit_test(test_nics),
		cmocka_unit_test(test_command_line_wins), cmocka_unit_test(test_refused), cmocka_unit_test(test_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
