/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables' forms; what a study draws and what it makes of it. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <experiments/study.h>

#include "fixture.h"

static char err[EXP_ERR_MAX];

static const struct exp_col cols[] = {
	{ "name", EXP_TEXT, 0 }, { "v", EXP_NUMBER, 2 }, { "ok", EXP_BOOL, 0 },
	{ "word", EXP_WORD, 0 }, { "n", EXP_NUMBER, 0 },
};

static void a_table_has_three_forms(void **state)
{
	struct exp_table t;
	struct json_object *o;
	struct exp_cell *c;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	exp_table_init(&t, cols, 5);
	c = exp_table_row(&t);
	exp_cell_text(&c[0], "a, \"b\"");
	exp_cell_number(&c[1], 1.239);
	exp_cell_number(&c[2], 1);
	exp_cell_text(&c[3], "0.5");
	exp_cell_number(&c[4], 1e9);
	c = exp_table_row(&t);
	exp_cell_text(&c[3], "wr");
	assert_int_equal(exp_table_csv(&t, f), 0);
	fclose(f);
	assert_string_equal(text, "name,v,ok,word,n\n\"a, \"\"b\"\"\",1.24,true,0.5,1000000000\n,,,wr,\n");
	free(text);
	o = exp_table_json(&t);
	assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
			    "[{\"name\":\"a, \\\"b\\\"\",\"v\":1.24,\"ok\":true,\"word\":0.5,\"n\":1000000000},"
			    "{\"name\":null,\"v\":null,\"ok\":null,\"word\":\"wr\",\"n\":null}]");
	json_object_put(o);
	f = open_memstream(&text, &len);
	exp_table_print(&t, f);
	fclose(f);
	assert_non_null(strstr(text, "a, \"b\"  1.24  yes"));
	free(text);
	exp_table_free(&t);
}

#define SAMPLES 6

static struct exp_request *request(unsigned int seed)
{
	struct exp_request *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	fixture_file("nic/varied.conf",
		     "base = \"plain\";\nstep_rx = { value = 10; low = 0; high = 400; };\n"
		     "workers = { value = 8; low = 1; high = 16; };\nmac_tx = { value = 5; low = 5; high = 50; };\n");
	exp_spec_init(&r->spec);
	snprintf(r->spec.profile[EXP_NIC], EXP_PATH_MAX, "varied");
	snprintf(r->spec.profile[EXP_SWITCH], EXP_PATH_MAX, "plain");
	snprintf(r->spec.profile[EXP_HOST], EXP_PATH_MAX, "plain");
	r->experiment = "sensitivity";
	r->spec.s.seed = seed;
	r->spec.s.duration_us = 5;
	r->spec.s.warmup_us = 5;
	r->spec.s.load = 5;
	r->samples = SAMPLES;
	r->json = true;
	r->jobs = 1;
	assert_int_equal(exp_spec_set(&r->spec, "nic.mac_tx", "7", 0, err), 0); /* the user's: no longer varied */
	return r;
}

static void study(struct exp_study *s, const struct exp_request *r)
{
	*s = (struct exp_study){ .r = r, .runs = 1, .run = &r->spec.s, .samples = SAMPLES };
	if (exp_study_run(s, err))
		fail_msg("%s", err);
}

static double drawn(const struct exp_study *s, unsigned int draw, unsigned int k)
{
	return s->drawn[draw * s->num_varied + k];
}

static void draws_are_a_latin_hypercube(void **state)
{
	struct exp_request *r = request(3), *other = request(4);
	struct exp_study *s = calloc(3, sizeof(*s));
	unsigned int k, d, first, differ = 0;
	char name[EXP_CELL_MAX];

	(void)state;
	assert_non_null(s);
	study(&s[0], r);
	study(&s[1], r);
	study(&s[2], other);
	assert_int_equal(s->num_varied, 2);
	exp_varied_name(&s->varied[0], name);
	assert_string_equal(name, "nic.step_rx");
	exp_varied_name(&s->varied[1], name);
	assert_string_equal(name, "nic.workers");
	first = 1 + 2 * s->num_varied;
	assert_int_equal(s->draws, first + SAMPLES);
	assert_true(drawn(s, 0, 0) == 10 && drawn(s, 0, 1) == 8);
	assert_true(drawn(s, exp_study_alone(0, false), 0) == 0 && drawn(s, exp_study_alone(0, true), 0) == 400);
	assert_true(drawn(s, exp_study_alone(0, true), 1) == 8 && drawn(s, exp_study_alone(1, true), 1) == 16);
	for (k = 0; k < 2; k++) {
		unsigned int hit[SAMPLES] = { 0 };

		for (d = first; d < s->draws; d++) {
			double in = (drawn(s, d, 0) - s->varied[0].low) / (s->varied[0].high - s->varied[0].low);

			assert_true(in >= 0 && in < 1);
			hit[(unsigned int)(in * SAMPLES)]++;
			assert_true(drawn(s, d, 1) == floor(drawn(s, d, 1)) && drawn(s, d, 1) >= 1 &&
				    drawn(s, d, 1) <= 16);
			assert_true(drawn(s, d, k) == drawn(&s[1], d, k));
			differ += drawn(s, d, k) != drawn(&s[2], d, k);
		}
		for (d = 0; d < SAMPLES; d++)
			assert_int_equal(hit[d], 1);
	}
	assert_true(differ > SAMPLES);
	for (k = 0; k < 3; k++)
		exp_study_free(&s[k]);
	free(s);
	free(r);
	free(other);
}

static double of_workers(const struct exp_result *r, const void *arg)
{
	unsigned int k;

	(void)arg;
	for (k = 0; k < r->num_res; k++)
		if (!strcmp(r->res[k].name, "nic0 workers"))
			return 100 * r->res[k].use;
	return -1;
}

static const char *text_of(struct json_object *row, const char *key)
{
	struct json_object *v = NULL;

	assert_true(json_object_object_get_ex(row, key, &v));
	return json_object_get_string(v);
}

/* Fewer workers and more cycles: busier ones.  The figure says so, and which matters more. */
static void effects_are_told(void **state)
{
	static const struct exp_figure figures[] = {
		{ "workers", "use of workers", of_workers, NULL, 2, true, 0, 1000 },
		{ "never", "out of reach", of_workers, NULL, 2, true, 5000, 6000 },
	};
	struct exp_request *r = request(3);
	struct exp_study *s = calloc(1, sizeof(*s));
	struct json_object *o, *rows = NULL, *row;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_true(s && f);
	study(s, r);
	assert_true(of_workers(exp_study_draw(s, exp_study_alone(0, true)), NULL) >
		    of_workers(exp_study_draw(s, 0), NULL));
	assert_true(of_workers(exp_study_draw(s, exp_study_alone(1, false)), NULL) >
		    of_workers(exp_study_draw(s, 0), NULL));
	assert_int_equal(exp_study_emit(s, figures, 2, "title", f, err), 0);
	fclose(f);
	o = json_tokener_parse(text);
	assert_non_null(o);
	assert_true(json_object_object_get_ex(o, "rows", &rows));
	row = json_object_array_get_idx(rows, 0);
	assert_true(atof(text_of(row, "low")) <= atof(text_of(row, "predicted")));
	assert_true(atof(text_of(row, "predicted")) <= atof(text_of(row, "high")));
	assert_true(atof(text_of(row, "low")) < atof(text_of(row, "high")));
	assert_string_equal(text_of(row, "inside"), "true");
	assert_string_equal(text_of(row, "holds_percent"), "100");
	assert_non_null(strstr(text_of(row, "most_sensitive"), "nic."));
	row = json_object_array_get_idx(rows, 1);
	assert_string_equal(text_of(row, "inside"), "false");
	assert_string_equal(text_of(row, "holds_percent"), "0");
	json_object_put(o);
	free(text);
	exp_study_free(s);
	free(s);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_three_forms),
		cmocka_unit_test(draws_are_a_latin_hypercube),
		cmocka_unit_test(effects_are_told),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
