/* SPDX-License-Identifier: BSD-3-Clause */
/* The option parser: a command line, what it must give, or what the error must name. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/driver_opts.h"
#include "cli/options.h"
#include "cli/rig.h"

static struct cli_run_opts o;
static const char *pos[2];
static unsigned int num_pos;
static bool help;
static char err[CLI_ERR_MAX];

static int parse(const char *line)
{
	static char text[1024];
	char *argv[64], *save, *word;
	int argc = 0;

	memset(&o, 0, sizeof(o));
	err[0] = '\0';
	snprintf(text, sizeof(text), "run %s", line);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = !strcmp(word, "EMPTY") ? (char *)"" : word;
	return cli_parse(&cli_run_usage.table, &o, argc, argv, pos, 1, &num_pos, &help, err);
}

static void test_values(void **state)
{
	assert_int_equal(parse("--mode rd --batch 16 --stride=256 --slots 1k --seconds 0.5 --bridge --backpressure off"), 0);
	assert_int_equal(o.mode, 1);
	assert_true(o.mode_set && o.batch_set && o.stride_set && o.slots_set && o.seconds_set && o.bridge_set);
	assert_int_equal(o.batch, 16);
	assert_int_equal(o.stride, 256);
	assert_int_equal(o.slots, 1000);
	assert_true(o.seconds == 0.5);
	assert_true(o.bridge);
	assert_true(o.backpressure_set && !o.backpressure);
	assert_false(o.scrub_set || o.json_set || o.poll_set || o.mem_set);
	assert_int_equal(parse("-m bn -s 3 -j -c file --mem 64M --buf-size 9728 --flood-pps 0"), 0);
	assert_int_equal(o.mode, 2);
	assert_true(o.json);
	assert_string_equal(o.config, "file");
	assert_int_equal(o.mem, 64u << 20);
	assert_int_equal(cli_buf_sizes[o.buf_size], 9728);
	assert_true(o.flood_pps_set && o.flood_pps == 0);
	assert_int_equal(parse(""), 0);
	assert_int_equal(num_pos, 0);
	assert_int_equal(parse("word"), 0);
	assert_int_equal(num_pos, 1);
	assert_string_equal(pos[0], "word");
	assert_int_equal(parse("-"), 0); /* standard input */
	assert_int_equal(num_pos, 1);
	assert_string_equal(pos[0], "-");
}

static void test_lists(void **state)
{
	assert_int_equal(parse("--nic a --port x: -p y: --nic b --port=z:,k=v --pair a.0=b.0 --pair a.1=b.0"), 0);
	assert_int_equal(o.nic.n, 2);
	assert_int_equal(o.port.n, 3);
	assert_int_equal(o.pair.n, 2);
	assert_string_equal(o.port.item[2].text, "z:,k=v");
	assert_true(o.nic.item[0].order < o.port.item[0].order);
	assert_true(o.port.item[1].order < o.nic.item[1].order);
	assert_true(o.nic.item[1].order < o.port.item[2].order);
}

static void test_help(void **state)
{
	assert_int_equal(parse("--bogus --help"), 0);
	assert_true(help);
	assert_int_equal(parse("-h"), 0);
	assert_true(help);
	assert_int_equal(parse("--json"), 0);
	assert_false(help);
}

static void test_refused(void **state)
{
	static const struct { const char *line, *names; } bad[] = {
		{ "--bogus", "--bogus" },
		{ "--bogus=1", "--bogus" },
		{ "--mod rd", "--mod" }, /* no abbreviations */
		{ "-x", "-x" },
		{ "word -", "'-'" },
		{ "--", "'--'" },
		{ "-jj", "-jj" },
		{ "--batch", "--batch" },
		{ "--batch EMPTY", "--batch" },
		{ "--batch=", "--batch" },
		{ "--batch 0", "1 to 64" },
		{ "--batch 65", "1 to 64" },
		{ "--batch -1", "-1" },
		{ "--batch 8x", "8x" },
		{ "--batch 0x8", "0x8" },
		{ "--batch 8 --batch 8", "twice" },
		{ "--stride 3", "power of two" },
		{ "--stride 2", "from 4" },
		{ "--stride 512", "256" },
		{ "--slots 63", "64" },
		{ "--slots 16385", "16384" },
		{ "--slots 18446744073709551615k", "18446744073709551615k" },
		{ "--slots 99999999999999999999", "99999999999999999999" },
		{ "--mode wrx", "wr|rd|bn" },
		{ "--mode w", "wr|rd|bn" },
		{ "--mode wr|rd", "wr|rd|bn" },
		{ "--buf-size 2049", "2048|2112|4096|9728" },
		{ "--mem 3M", "power of two" },
		{ "--mem 1M", "2M" },
		{ "--backpressure yes", "on or off" },
		{ "--seconds 0", "seconds" },
		{ "--seconds -1", "seconds" },
		{ "--seconds nan", "seconds" },
		{ "--seconds inf", "seconds" },
		{ "--seconds 1e99", "seconds" },
		{ "--seconds 1s", "seconds" },
		{ "--json=1", "no value" },
		{ "--port EMPTY", "--port" },
		{ "a b", "'b'" },
	};
	unsigned int k;

	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		assert_int_equal(parse(bad[k].line), -EINVAL);
		if (!strstr(err, bad[k].names))
			fail_msg("'%s': '%s' does not say '%s'", bad[k].line, err, bad[k].names);
		assert_null(strchr(err, '\n'));
	}
}

static void test_too_many(void **state)
{
	struct cli_run_opts *many = calloc(1, sizeof(*many));
	const struct cli_opt *port = cli_find(&cli_run_usage.table, "port");
	unsigned int k, order = 0;

	for (k = 0; k < CLI_LIST_MAX; k++)
		assert_int_equal(cli_set(port, many, "--port", "null:", &order, err), 0);
	assert_int_equal(cli_set(port, many, "--port", "null:", &order, err), -EINVAL);
	assert_int_equal(many->port.n, CLI_LIST_MAX);
	free(many);
}

/* Every option of every table has a help text, no two share a name or letter, choices are not empty. */
static void test_tables(void **state)
{
	static const struct cli_usage *const all[] = { &cli_run_usage, &cli_nic_usage, &cli_up_usage, &cli_down_usage,
						       &cli_reset_usage, &cli_show_usage };
	unsigned int t, i, j;

	for (t = 0; t < sizeof(all) / sizeof(all[0]); t++) {
		const struct cli_table *table = &all[t]->table;

		assert_true(table->n > 0);
		for (i = 0; i < table->n; i++) {
			assert_true(strlen(table->opt[i].help) > 5);
			assert_int_equal(!*table->opt[i].meta, table->opt[i].type == CLI_FLAG);
			for (j = 0; j < i; j++) {
				assert_string_not_equal(table->opt[i].name, table->opt[j].name);
				assert_true(!table->opt[i].letter || table->opt[i].letter != table->opt[j].letter);
			}
		}
	}
}

static int driver_opts(const char *line, unsigned int ports_b, struct drv_opts *d, struct drv_pair *pairs)
{
	static const char *const names[] = { "a.x", "b" };
	const unsigned int ports[] = { 2, ports_b };
	struct cli_driver_opts part = { 0 };

	assert_int_equal(parse(line), 0);
	cli_driver_part(&part, &o);
	return cli_driver_opts(d, pairs, &part, names, ports, 2, err);
}

static void test_driver_options(void **state)
{
	static struct drv_pair pairs[CLI_MAX_PAIRS];
	struct drv_opts d;

	assert_int_equal(driver_opts("", 2, &d, pairs), 0);
	assert_int_equal(d.num_pairs, 2);
	assert_false(d.bridge);
	assert_int_equal(d.set | d.set_flags, 0);
	assert_true(d.backpressure && !d.scrub);
	assert_int_equal(d.batch, 8);
	assert_int_equal(d.stride, 64);
	assert_int_equal(driver_opts("", 3, &d, pairs), 0);
	assert_int_equal(d.num_pairs, 0);
	assert_true(d.bridge);
	assert_int_equal(driver_opts("--bridge --mode rd", 2, &d, pairs), 0);
	assert_int_equal(d.num_pairs, 0);
	assert_true(d.bridge);
	assert_int_equal(d.set, DRV_SET_MODE);
	assert_int_equal(d.set_flags, P2P_FLAG_BRIDGE);
	assert_int_equal(driver_opts("--pair a.x.1=b.0 --batch 4 --scrub on", 2, &d, pairs), 0);
	assert_int_equal(d.num_pairs, 1);
	assert_false(d.bridge);
	assert_int_equal(pairs[0].a, 0);
	assert_int_equal(pairs[0].a_port, 1);
	assert_int_equal(pairs[0].b, 1);
	assert_int_equal(pairs[0].b_port, 0);
	assert_int_equal(d.set, DRV_SET_PAIRS | DRV_SET_BATCH);
	assert_true(d.scrub);
}

static void test_bad_pairs(void **state)
{
	static const char *const bad[] = { "--pair x", "--pair a.x.0", "--pair a.x.0=", "--pair =b.0", "--pair a.x.0=b",
					   "--pair a.x.0=b.", "--pair a.x.0=b.2", "--pair a.x.0=c.0", "--pair a.0=b.0",
					   "--pair a.x.-1=b.0", "--pair a.x.0=b.0000", "--pair a.x.0=b.0=b.1", "--pair .0=.0" };
	static struct drv_pair pairs[CLI_MAX_PAIRS];
	struct drv_opts d;
	unsigned int k;

	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		if (driver_opts(bad[k], 2, &d, pairs) != -EINVAL)
			fail_msg("'%s' is taken", bad[k]);
		assert_non_null(strstr(err, "--pair"));
	}
}

static void test_cores(void **state)
{
	static const char *const bad[] = { "", "a", "0,", ",0", "0-", "3-2", "0-99", "1 2", "-1", "0x1", "99999" };
	struct rig_opts r;
	unsigned int k;

	assert_int_equal(rig_parse_cores(&r, "0,2-3,7", err), 0);
	assert_int_equal(r.cores, 4);
	assert_int_equal(r.core[1], 2);
	assert_int_equal(r.core[3], 7);
	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_int_equal(rig_parse_cores(&r, bad[k], err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	       cmocka_unit_test(test_lists),  cmocka_unit_test(test_help),
		cmocka_unit_test(test_refused),	       cmocka_unit_test(test_too_many), cmocka_unit_test(test_tables),
		cmocka_unit_test(test_driver_options), cmocka_unit_test(test_bad_pairs), cmocka_unit_test(test_cores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
