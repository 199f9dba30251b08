/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fixture.h"

static void reads_whole(void **state)
{
	struct exp_profile *p;
	struct sim_nic_profile nic;
	char err[EXP_ERR_MAX];

	(void)state;
	assert_int_equal(exp_profile_load(EXP_NIC, "plain", &p, err), 0);
	assert_string_equal(p->description, "for tests");
	exp_profile_fill(p, &nic);
	assert_true(nic.workers == 8 && nic.mac_gbps == 40 && nic.slots == 256 && nic.rx_bufs == 512);
	assert_true(exp_profile_get(p, "clock_mhz") == 1000);
	exp_profile_free(p);
}

static void inherits(void **state)
{
	int w = exp_param_find(EXP_NIC, "workers"), b = exp_param_find(EXP_NIC, "poll");
	struct exp_profile *p, *copy;
	char err[EXP_ERR_MAX];

	(void)state;
	fixture_file(
		"nic/child.conf",
		"base = \"plain\";\n"
		"workers = { value = 60; low = 50; high = 72.0; source = \"a manual\"; fitted = \"a table\"; };\n");
	assert_int_equal(exp_profile_load(EXP_NIC, "child", &p, err), 0);
	assert_true(p->v[w].value == 60 && p->v[w].low == 50 && p->v[w].high == 72);
	assert_string_equal(p->v[w].source, "a manual");
	assert_string_equal(p->v[w].fitted, "a table");
	assert_true(p->v[b].value == 20 && p->v[b].low == 20 && p->v[b].high == 20 && !p->v[b].source);
	copy = exp_profile_copy(p);
	exp_profile_free(p);
	assert_string_equal(copy->v[w].source, "a manual");
	exp_profile_free(copy);
	/* A path, and a child of a child that takes a group back to a number. */
	fixture_file("nic/grandchild.conf", "base = \"child\";\nworkers = 7;\n");
	snprintf(err, sizeof(err), "%s/nic/grandchild.conf", fixture_dir);
	{
		char path[EXP_ERR_MAX];

		snprintf(path, sizeof(path), "%s", err);
		assert_int_equal(exp_profile_load(EXP_NIC, path, &p, err), 0);
	}
	assert_true(p->v[w].value == 7 && p->v[w].low == 7 && p->v[w].high == 7 && !p->v[w].source && !p->v[w].fitted);
	exp_profile_free(p);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "base = \"plain\";\n\nbogus = 1;\n", "bad.conf:3: key 'bogus'" },
		{ "base = \"plain\";\nworkers = 0;\n", "bad.conf:2: key 'workers': 0 is out of range" },
		{ "base = \"plain\";\nworkers = 1e9;\n", "bad.conf:2: key 'workers'" },
		{ "base = \"plain\";\nworkers = 2.5;\n", "whole number" },
		{ "base = \"plain\";\npcie_width = 3;\n", "bad.conf:2: key 'pcie_width': a link of 3 lanes" },
		{ "base = \"plain\";\nworkers = \"many\";\n", "bad.conf:2: key 'workers': a number" },
		{ "base = \"plain\";\nworkers = { low = 3; };\n", "bad.conf:2: key 'workers': has no value" },
		{ "base = \"plain\";\nworkers = { value = 3; low = 4; };\n",
		  "bad.conf:2: key 'workers': low 4, value 3" },
		{ "base = \"plain\";\nworkers = { value = 3; high = 2; };\n", "out of order" },
		{ "base = \"plain\";\nworkers = { value = 3; high = 9999; };\n", "out of range" },
		{ "base = \"plain\";\nworkers = { value = 3;\n lo = 2; };\n", "bad.conf:3: key 'lo'" },
		{ "base = \"plain\";\nworkers = { value = 3; source = 2; };\n", "text is wanted" },
		{ "base = \"none\";\n", "bad.conf:1: key 'base': there is no nic profile 'none'" },
		{ "base = \"bad\";\n", "bad.conf:1: key 'base': profiles lean on each other" },
		{ "base = 3;\n", "bad.conf:1: key 'base'" },
		{ "workers = 3;\n", "is missing" },
		{ "workers = \n", "bad.conf:" },
	};
	struct exp_profile *p = NULL;
	char err[EXP_ERR_MAX];
	unsigned int k;

	(void)state;
	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		fixture_file("nic/bad.conf", bad[k].text);
		assert_int_not_equal(exp_profile_load(EXP_NIC, "bad", &p, err), 0);
		if (!strstr(err, bad[k].says) || strchr(err, '\n'))
			fail_msg("'%s' expected: %s", bad[k].says, err);
	}
	assert_int_equal(exp_profile_load(EXP_HOST, "none", &p, err), -ENOENT);
	assert_non_null(strstr(err, "host profile 'none'"));
	assert_int_not_equal(exp_profile_load(EXP_SWITCH, "./none.conf", &p, err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_whole),
		cmocka_unit_test(inherits),
		cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
