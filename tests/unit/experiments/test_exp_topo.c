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

#define TREE                                                                                                           \
	"host = { name = \"h\"; };\n"                                                                                  \
	"switches = ( { name = \"s\"; parent = \"h\"; width = 16; } );\n"                                              \
	"nics = ( { name = \"a\"; parent = \"s\"; ports = 2; }, { name = \"b\"; parent = \"s\"; } );\n"
#define FLOW "pairs = ( { from = \"a.1\"; to = \"b.0\"; both = true; } );\ntraffic = ( { port = \"a.1\"; } );\n"

static struct exp_config c;
static char err[EXP_ERR_MAX];

static void reads_a_tree(void **state)
{
	int a, b, s;

	(void)state;
	assert_int_equal(fixture_topology(TREE FLOW
					  "method = \"rd\"; batch = 4; set = ( \"b.workers=3\", \"nic.poll=7\" );\n"
					  "load = 50; frame_bytes = 1518;\n",
					  &c, err),
			 0);
	a = exp_config_find(&c, "a");
	b = exp_config_find(&c, "b");
	s = exp_config_find(&c, "s");
	assert_int_equal(c.num_nodes, 4);
	assert_int_equal(exp_config_find(&c, "h"), 0);
	assert_int_equal(c.node[a].parent, s);
	assert_int_equal(c.node[s].parent, 0);
	assert_int_equal(c.node[s].width, 16);
	assert_int_equal(c.node[a].width, 8);
	assert_int_equal(c.node[a].ports, 2);
	assert_true(c.node[a].p.nic.workers == 8 && c.node[b].p.nic.workers == 3 && c.node[b].p.nic.poll == 7);
	assert_int_equal(c.num_pairs, 2);
	assert_true(c.pair[0].nic == (unsigned int)a && c.pair[0].port == 1 && c.pair[0].to_nic == (unsigned int)b);
	assert_true(c.pair[1].nic == (unsigned int)b && c.pair[1].to_port == 1);
	assert_int_equal(c.num_sources, 1);
	assert_true(c.source[0].gbps == 20 && c.source[0].frame_bytes == 1518);
	assert_int_equal(c.s.method, EXP_RD);
	assert_int_equal(c.s.batch, 4);
}

static void children_before_parents(void **state)
{
	(void)state;
	assert_int_equal(
		fixture_topology(
			"switches = ( { name = \"low\"; parent = \"top\"; }, { name = \"top\"; } );\n"
			"nics = ( { name = \"a\"; parent = \"low\"; }, { name = \"b\"; parent = \"top\"; } );\n"
			"pairs = ( { from = \"a.0\"; to = \"b.0\"; } );\n"
			"traffic = ( { port = \"a.0\"; gbps = 1.0; } );\n",
			&c, err),
		0);
	assert_string_equal(c.node[0].name, "top");
	assert_true(exp_config_find(&c, "a") > exp_config_find(&c, "low"));
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "bogus = 1;\n" TREE FLOW, "t.conf:1: key 'bogus'" },
		{ TREE FLOW "routers = ( { name = \"r\"; } );\n", "key 'routers'" },
		{ "switches = ( { name = \"s\"; parent = \"t\"; },\n { name = \"t\"; parent = \"s\"; } );\n",
		  "t.conf:1: key 'parent': a loop" },
		{ "switches = ( { name = \"s\"; parent = \"s\"; } );\n", "a loop: 's' is its own ancestor" },
		{ "host = { name = \"h\"; };\nswitches = ( { name = \"s\"; parent = \"t\"; } );\n",
		  "t.conf:2: key 'parent': there is no part 't'" },
		{ TREE "pairs = ( { from = \"a.0\"; to = \"x.0\"; } );\n", "t.conf:4: key 'to': there is no NIC 'x'" },
		{ TREE "pairs = ( { from = \"a.0\"; to = \"s.0\"; } );\n", "there is no NIC 's'" },
		{ TREE "pairs = ( { from = \"a.2\"; to = \"b.0\"; } );\n",
		  "t.conf:4: key 'from': 'a' has no port 2, it has 2" },
		{ TREE "pairs = ( { from = \"a.1\"; to = \"a.1\"; } );\n", "paired with itself" },
		{ TREE "pairs = ( { from = \"a.1\"; } );\n", "t.conf:4: key 'to': is missing" },
		{ TREE "pairs = ( { from = \"a\"; to = \"b.0\"; } );\n", "t.conf:4: key 'from': a port is wanted" },
		{ TREE FLOW "set = ( \"x.workers=3\" );\n", "t.conf:6: key 'x.workers': there is no part 'x'" },
		{ TREE FLOW "set = ( \"nic.bogus=3\" );\n", "key 'nic.bogus': a nic has no parameter 'bogus'" },
		{ TREE FLOW "set = ( \"b.workers=0\" );\n", "key 'b.workers': 0 is out of range" },
		{ TREE
		  "pairs = ( { from = \"a.1\"; to = \"b.0\"; } );\ntraffic = ( { port = \"a.1\"; gbps = 0.0; } );\n",
		  "t.conf:5: key 'gbps'" },
		{ TREE
		  "pairs = ( { from = \"a.1\"; to = \"b.0\"; } );\ntraffic = ( { port = \"a.1\"; gbps = 41.0; } );\n",
		  "t.conf:5: key 'gbps': 41 Gb/s don't go through port a.1 of 40 Gb/s" },
		{ TREE
		  "pairs = ( { from = \"a.1\"; to = \"b.0\"; } );\ntraffic = ( { port = \"a.1\"; frame_bytes = 63; "
		  "} );\n",
		  "key 'frame_bytes'" },
		{ TREE "pairs = ( { from = \"a.1\"; to = \"b.0\"; } );\ntraffic = ( { port = \"a.0\"; } );\n",
		  "is in no pair" },
		{ TREE FLOW "frame_bytes = 10000;\n", "t.conf:6: key 'frame_bytes'" },
		{ TREE FLOW "load = 0;\n", "t.conf:6: key 'load'" },
		{ TREE FLOW "set = ( \"nic.mac_gbps=0\" );\n", "a rate of zero at a.1" },
		{ TREE "pairs = ( { from = \"a.1\"; to = \"b.0\"; } );\n", "key 'traffic': nothing is sent" },
		{ TREE FLOW "set = ( \"s.lanes=31\" );\n",
		  "t.conf:2: key 'lanes': 's' has 31 lanes (profile plain), its links need 32" },
		{ TREE FLOW "set = ( \"host.lanes=8\" );\n", "t.conf:1: key 'lanes': 'h' has 8 lanes" },
		{ "host = { name = \"h\"; profile = \"none\"; };\n" FLOW,
		  "t.conf:1: key 'profile': there is no host profile 'none'" },
		{ "host = { name = \"h\"; };\nnics = ( { name = \"a\"; parent = \"h\"; ports = 9; } );\n",
		  "t.conf:2: key 'ports'" },
		{ "host = { name = \"h\"; };\nnics = ( { name = \"h\"; parent = \"h\"; } );\n",
		  "t.conf:2: key 'name': 'h' is there twice" },
		{ "host = { name = \"h\"; };\nnics = ( { name = \"a\"; } );\n", "'h' and 'a' are both roots" },
		{ "nics = ( { name = \"a\"; } );\n", "a NIC is never the root" },
		{ "host = { name = \"h\"; };\nnics = ( { name = \"a\"; parent = \"h\"; },\n { name = \"b\"; parent = "
		  "\"a\"; } );\n",
		  "t.conf:3: key 'parent': 'a' is a NIC" },
		{ "host = { name = \"h\"; };\nnics = ( { name = \"a\"; parent = \"h\"; width = 3; } );\n",
		  "a link of 3 lanes" },
		{ "host = { name = \"h\"; cores = 3; };\n", "t.conf:1: key 'cores': unknown key of a host" },
		{ "switches = ( { name = \"s\"; } );\nnics = ( { name = \"a\"; parent = \"s\"; }, { name = \"b\"; "
		  "parent = \"s\"; } );\n"
		  "pairs = ( { from = \"a.0\"; to = \"b.0\"; } );\ntraffic = ( { port = \"a.0\"; } );\nmethod = "
		  "\"bn\";\n",
		  "key 'host': bn forwards" },
		{ TREE FLOW "topology = \"star\";\n", "leave topology out" },
		{ TREE FLOW "method = \"zz\";\n",
		  "t.conf:6: key 'method': 'zz' is none of wr, rd, bn, testpmd, l3fwd" },
		{ TREE FLOW "sweep = ( );\n", "t.conf:6: key 'sweep': a sweep of nothing" },
		{ TREE FLOW "sweep = ( { key = \"batch\"; values = ( ); } );\n",
		  "t.conf:6: key 'values': a sweep of nothing" },
		{ TREE FLOW "sweep = ( { key = \"batch\"; } );\n", "key 'values': is missing" },
		{ "topology = \"star\"; ports = 1;\n", "t.conf:1: key 'ports'" },
		{ "topology = \"star\"; ports = 3; ports_per_nic = 2;\n", "ports: 3 ports can't be shared out" },
		{ "topology = \"star\"; ports = 64; set = ( \"switch.lanes=0\", \"host.lanes=0\" );\n",
		  "a mesh has at most" },
		{ "topology = \"star\"; ports = 8;\n", "lanes: 'switch0' has 48 lanes" },
		{ "pairs = 3;\n", "a list is wanted here" },
		{ "topology = \"star\"\nports = 8 8;\n", "t.conf:2: syntax error" },
	};
	unsigned int k;

	(void)state;
	for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		err[0] = '\0';
		if (!fixture_topology(bad[k].text, &c, err))
			fail_msg("accepted: %s", bad[k].text);
		if (!strstr(err, bad[k].says) || strchr(err, '\n'))
			fail_msg("'%s' expected for\n%s: %s", bad[k].says, bad[k].text, err);
	}
}

/* Every port sends once and receives once; in two-switches half of the pairs cross. */
static void uniform_is_a_permutation(void **state)
{
	static const char *const trees[] = { "star", "two-switches", "root" };
	static const unsigned int ports[] = { 3, 4, 5, 6, 8, 12, 16, 24, 32 };
	unsigned int t, n, k, to, cross;
	char text[256];

	(void)state;
	for (t = 0; t < 3; t++) {
		for (n = 0; n < sizeof(ports) / sizeof(ports[0]); n++) {
			unsigned int got[64] = { 0 };

			if (t == 1 && (ports[n] % 2))
				continue;
			snprintf(text, sizeof(text),
				 "topology = \"%s\"; ports = %u; set = ( \"switch.lanes=0\", \"host.lanes=0\" );\n",
				 trees[t], ports[n]);
			if (fixture_topology(text, &c, err))
				fail_msg("%s%s", text, err);
			assert_int_equal(c.num_pairs, ports[n]);
			assert_int_equal(c.num_sources, ports[n]);
			for (k = cross = 0; k < c.num_pairs; k++) {
				to = c.pair[k].to_nic;
				assert_int_equal(got[to]++, 0);
				assert_int_not_equal(to, c.pair[k].nic);
				cross += c.node[to].parent != c.node[c.pair[k].nic].parent;
			}
			if (t == 1 && ports[n] % 4 == 0 && ports[n] >= 8)
				assert_int_equal(cross, ports[n] / 2);
		}
	}
	assert_int_equal(fixture_topology("topology = \"star\"; ports = 4; pattern = \"incast\";\n", &c, err), 0);
	assert_int_equal(c.num_pairs, 3);
	for (k = 0; k < 3; k++)
		assert_true(c.pair[k].to_nic == c.pair[0].to_nic && c.pair[k].nic != c.pair[k].to_nic);
}

static void the_hash_sees_everything(void **state)
{
	static const char *const change[] = { "batch=9",	"nic.workers=9",  "nic1.poll=3", "switch.latency=2",
					      "frame_bytes=65", "seed=2",	  "method=bn",	 "topology=root",
					      "load=99.5",	"duration_us=201" };
	struct exp_spec *spec = malloc(sizeof(*spec));
	uint64_t seen[16];
	unsigned int k, i, n = 0;

	(void)state;
	assert_non_null(spec);
	for (k = 0; k <= sizeof(change) / sizeof(change[0]); k++) {
		exp_spec_init(spec);
		for (i = 0; i < EXP_NUM_KINDS; i++)
			snprintf(spec->profile[i], EXP_PATH_MAX, "plain");
		if (k && exp_spec_assign(spec, change[k - 1], err))
			fail_msg("%s", err);
		assert_int_equal(exp_config_make(spec, false, &c, err), 0);
		seen[n] = exp_config_hash(&c);
		for (i = 0; i < n; i++)
			assert_true(seen[i] != seen[n]);
		assert_true(seen[n++] == exp_config_hash(&c));
	}
	assert_int_equal(exp_spec_assign(spec, "batch", err), -EINVAL);
	assert_int_equal(exp_spec_assign(spec, "=3", err), -EINVAL);
	assert_int_equal(exp_spec_assign(spec, "batch=x", err), -EINVAL);
	assert_int_equal(exp_spec_assign(spec, "batch=65", err), -EINVAL);
	assert_int_equal(exp_spec_assign(spec, "stride=48", err), -EINVAL);
	free(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_tree),
		cmocka_unit_test(children_before_parents),
		cmocka_unit_test(refuses),
		cmocka_unit_test(uniform_is_a_permutation),
		cmocka_unit_test(the_hash_sees_everything),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
