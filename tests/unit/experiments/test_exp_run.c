/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs, results as text, processes, journals. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <experiments/journal.h>
#include <experiments/pool.h>

#include "fixture.h"

static char err[EXP_ERR_MAX];

static void make(struct exp_config *c, const char *more)
{
	char text[512];

	snprintf(text, sizeof(text), "topology = \"reference\"; duration_us = 30; warmup_us = 20;\n%s", more);
	if (fixture_topology(text, c, err))
		fail_msg("%s", err);
}

static char *line_of(const struct exp_result *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(exp_result_write(r, f), 0);
	fclose(f);
	return text;
}

/* What comes in leaves, whole and in order, at the wire's rate, by each method. */
static void frames_go_through(void **state)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_result r;
	char more[64];
	unsigned int m;

	(void)state;
	assert_non_null(c);
	for (m = 0; m < EXP_NUM_METHODS; m++) {
		snprintf(more, sizeof(more), "method = \"%s\"; frame_bytes = 512; load = 50;\n", exp_methods[m]);
		make(c, more);
		if (exp_run(c, NULL, &r, err))
			fail_msg("%s", err);
		assert_true(r.offered_gbps > 19 && r.offered_gbps < 21);
		if (r.gbps < 0.95 * r.offered_gbps)
			fail_msg("%s: %g of %g Gb/s", exp_methods[m], r.gbps, r.offered_gbps);
		assert_true(r.corrupted == 0 && r.reordered == 0 && r.missed == 0 && r.dropped == 0);
		assert_true(r.p50_ns > 0 && r.p50_ns <= r.p90_ns && r.p90_ns <= r.p99_ns);
		assert_true(r.cdf_ns[0] <= r.cdf_ns[100] && r.cdf_ns[100] == (uint32_t)r.p50_ns);
		assert_int_equal(r.cpu_percent > 99, m >= EXP_BN);
		assert_int_equal(r.cpu_pcie_MBps > 4000, m >= EXP_BN);
		assert_true(m >= EXP_BN || r.cpu_pcie_MBps < 1);
		assert_true(r.events > r.packets && r.hops == 4 * r.packets);
		exp_result_free(&r);
	}
	free(c);
}

/* A worker too slow for the load is the bottleneck, and what finds no room is counted. */
static void the_bottleneck_is_named(void **state)
{
	static const struct {
		const char *set, *name;
		enum exp_res_kind kind;
	} slow[] = {
		{ "nic0.clock_mhz=5", "nic0 workers", EXP_RES_WORKERS },
		{ "nic1.mem_rate=1", "nic1 memory", EXP_RES_MEMORY },
		{ "nic.dma_write_gap=300", "nic0 DMA writes", EXP_RES_DMA },
		{ "nic1.pcie_width=1", "nic1 down", EXP_RES_LINK },
		{ "switch.data_credits=256\", \"switch.latency=1000", "nic0 writes in flight", EXP_RES_FLIGHT },
	};
	struct exp_config *c = malloc(sizeof(*c));
	const struct exp_resource *b;
	struct exp_result r;
	char more[160], text[96];
	unsigned int k;

	(void)state;
	assert_non_null(c);
	for (k = 0; k < sizeof(slow) / sizeof(slow[0]); k++) {
		snprintf(more, sizeof(more), "frame_bytes = 512; warmup_us = 150; set = ( \"%s\" );\n", slow[k].set);
		if (fixture_topology(more, c, err))
			fail_msg("%s", err);
		if (exp_run(c, NULL, &r, err))
			fail_msg("%s", err);
		b = exp_result_busiest(&r);
		assert_non_null(b);
		exp_resource_print(b, text);
		if (strcmp(b->name, slow[k].name) || b->kind != slow[k].kind || b->use < EXP_SATURATED)
			fail_msg("%s: %s at %g", slow[k].set, text, b->use);
		assert_true(r.gbps < 0.9 * r.offered_gbps);
		exp_result_free(&r);
	}
	free(c);
}

/* A switch that loses writes: every frame is whole or missing, and missing ones are dropped by name. */
static void losses_are_counted(void **state)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_result r;
	unsigned int m;
	char more[96];

	(void)state;
	assert_non_null(c);
	for (m = EXP_WR; m <= EXP_RD; m++) {
		snprintf(more, sizeof(more),
			 "method = \"%s\"; loss_ppm = 10000; load = 20; duration_us = 200; warmup_us = 20;\n",
			 exp_methods[m]);
		if (fixture_topology(more, c, err) || exp_run(c, NULL, &r, err))
			fail_msg("%s", err);
		assert_true(r.dropped > 0 && r.corrupted == 0);
		assert_true(r.drops[P2P_DROP_desc_lost] > 0);
		assert_int_equal(r.drops[P2P_DROP_csum_mismatch] > 0, m == EXP_WR);
		assert_true(r.mpps > 0.5 * r.offered_mpps && r.mpps < r.offered_mpps);
		exp_result_free(&r);
	}
	free(c);
}

/* Wires out explain what didn't get through only if all are full; requests in flight only if nothing else does. */
static void the_busiest_is_judged(void **state)
{
	struct exp_resource res[] = {
		{ "in", EXP_RES_MAC, true, 1.0 },	  { "a out", EXP_RES_MAC, false, 1.0 },
		{ "b out", EXP_RES_MAC, false, 0.5 },	  { "link", EXP_RES_LINK, false, 0.96 },
		{ "flight", EXP_RES_FLIGHT, false, 1.0 },
	};
	struct exp_result r = { .res = res, .num_res = 5, .offered_gbps = 100, .gbps = 99.5 };

	(void)state;
	assert_string_equal(exp_result_busiest(&r)->name, "a out");
	r.gbps = 80;
	assert_string_equal(exp_result_busiest(&r)->name, "link");
	res[3].use = 0.9;
	assert_string_equal(exp_result_busiest(&r)->name, "flight");
	res[4].use = 0.9;
	assert_string_equal(exp_result_busiest(&r)->name, "a out");
	res[2].use = 0.99;
	res[3].use = res[4].use = 1;
	assert_string_equal(exp_result_busiest(&r)->name, "a out");
	r.num_res = 1;
	assert_null(exp_result_busiest(&r));
}

static void results_survive_as_text(void **state)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_result r, again;
	char *a, *b;
	size_t k, len;

	(void)state;
	assert_non_null(c);
	make(c, "method = \"testpmd\";\n");
	assert_int_equal(exp_run(c, NULL, &r, err), 0);
	a = line_of(&r);
	assert_int_equal(exp_result_parse(&again, a), 0);
	b = line_of(&again);
	assert_string_equal(a, b);
	assert_int_equal(again.num_res, r.num_res);
	assert_memory_equal(again.cdf_ns, r.cdf_ns, sizeof(r.cdf_ns));
	exp_result_free(&again);
	free(b);
	/* Torn anywhere it is none. */
	len = strlen(a);
	for (k = 0; k + 1 < len; k += k < 200 || k > len - 200 ? 1 : 97) {
		char was = a[k];

		a[k] = '\0';
		assert_int_equal(exp_result_parse(&again, a), -EINVAL);
		a[k] = was;
	}
	exp_result_free(&r);
	free(a);
	free(c);
}

/* ---- processes ---- */
static int pool_make(void *arg, unsigned int k, struct exp_config *c, char why[EXP_ERR_MAX])
{
	if (k == 99) {
		snprintf(why, EXP_ERR_MAX, "no such point");
		return -ERANGE;
	}
	*c = *(const struct exp_config *)arg; /* made before: the processes would write the one file at once */
	c->s.seed = k;
	c->source[0].arrival = 1;
	c->source[0].gbps = 5;
	return 0;
}

static void processes_dont_show(void **state)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_pool p = { .points = 5, .make = pool_make, .arg = c, .end = _exit };
	struct exp_result one[5] = { 0 }, many[5] = { 0 };
	char *a, *b;
	unsigned int k;

	(void)state;
	assert_non_null(c);
	make(c, "");
	p.jobs = 1;
	assert_int_equal(exp_pool_run(&p, one, err), 0);
	p.jobs = 3;
	assert_int_equal(exp_pool_run(&p, many, err), 0);
	for (k = 0; k < 5; k++) {
		a = line_of(&one[k]);
		b = line_of(&many[k]);
		assert_string_equal(a, b);
		free(b);
		b = line_of(&one[(k + 1) % 5]);
		assert_string_not_equal(a, b); /* the seed matters */
		free(a);
		free(b);
	}
	for (k = 0; k < 5; k++) {
		exp_result_free(&one[k]);
		exp_result_free(&many[k]);
	}
	free(c);
}

static void a_bad_point_ends_it(void **state)
{
	struct exp_result r[100] = { 0 };
	bool skip[100];
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_pool p = { .points = 100, .make = pool_make, .arg = c, .end = _exit, .skip = skip };
	unsigned int k;

	(void)state;
	assert_non_null(c);
	make(c, "");
	for (k = 0; k < 100; k++)
		skip[k] = k != 3 && k != 99;
	for (p.jobs = 1; p.jobs < 3; p.jobs++) {
		assert_int_equal(exp_pool_run(&p, r, err), -ERANGE);
		assert_string_equal(err, "no such point");
		for (k = 0; k < 100; k++)
			exp_result_free(&r[k]);
		memset(r, 0, sizeof(r));
	}
	free(c);
}

/* ---- journals ---- */
static void journals_keep_what_is_whole(void **state)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_journal *j, *other;
	struct exp_result r;
	char dir[128], path[160], *line;
	int fd;

	(void)state;
	assert_non_null(c);
	make(c, "");
	assert_int_equal(exp_run(c, NULL, &r, err), 0);
	line = line_of(&r);
	exp_result_free(&r);
	free(c);
	snprintf(dir, sizeof(dir), "%s/journal", fixture_dir);
	assert_int_equal(exp_journal_open(&j, dir, 0, err), 0);
	assert_null(exp_journal_find(j, 7));
	assert_int_equal(exp_journal_add(j, 7, line, err), 0);
	assert_string_equal(exp_journal_find(j, 7), line);
	/* Another rank's are found when asked for. */
	assert_int_equal(exp_journal_open(&other, dir, 5, err), 0);
	assert_string_equal(exp_journal_find(other, 7), line);
	assert_int_equal(exp_journal_add(other, 8, line, err), 0);
	assert_int_equal(exp_journal_hello(other, "job 1", err), 0);
	assert_null(exp_journal_find(j, 8));
	assert_int_equal(exp_journal_read(j, err), 0);
	assert_string_equal(exp_journal_find(j, 8), line);
	assert_true(exp_journal_heard(j, 5, "job 1"));
	assert_false(exp_journal_heard(j, 5, "job 2"));
	assert_false(exp_journal_heard(j, 4, "job 1"));
	exp_journal_close(j);
	exp_journal_close(other);
	/* A torn line is none, and doesn't spoil the next. */
	snprintf(path, sizeof(path), "%s/journal.0", dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0000000000000009\t1.5\t2", 22), 22);
	close(fd);
	assert_int_equal(exp_journal_open(&j, dir, 0, err), 0);
	assert_null(exp_journal_find(j, 9));
	assert_int_equal(exp_journal_add(j, 10, line, err), 0);
	exp_journal_close(j);
	assert_int_equal(exp_journal_open(&j, dir, 1, err), 0);
	assert_null(exp_journal_find(j, 9));
	assert_string_equal(exp_journal_find(j, 7), line);
	assert_string_equal(exp_journal_find(j, 10), line);
	exp_journal_close(j);
	free(line);
	assert_int_not_equal(exp_journal_open(&j, "/dev/null/x", 0, err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_go_through),	   cmocka_unit_test(the_bottleneck_is_named),
		cmocka_unit_test(results_survive_as_text), cmocka_unit_test(the_busiest_is_judged),
		cmocka_unit_test(losses_are_counted),	   cmocka_unit_test(processes_dont_show),
		cmocka_unit_test(a_bad_point_ends_it),	   cmocka_unit_test(journals_keep_what_is_whole),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
