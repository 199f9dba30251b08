/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sweep: a grid over settings and parameters, on all CPUs and, under mpirun, on many machines.
 *
 * The ranks of an mpirun don't speak with each other: what OpenMPI tells each of them in its
 * environment (rank, size) says which points are its own, and a directory that they share is
 * where their results meet.  So the program needs no MPI library, a machine that dies costs
 * the point that it was at, and a sweep may be gone on with by any number of ranks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "report.h"
#include "sweep.h"

#define SWEEP_MAX_POINTS 1000000u
#define SWEEP_HELLO_S 60 /* a rank that has not been heard of by then doesn't see the directory */
#define SWEEP_LOOK_NS 50000000

struct sweep {
	const struct exp_request *r;
	struct exp_world world;
	struct exp_journal *j;
	unsigned int points;
	uint64_t *hash;
	bool *skip; /* not this rank's, or finished before */
	struct exp_col col[EXP_MAX_AXES + 16];
	unsigned int cols;
};

static bool env_number(const char *name, unsigned int *v)
{
	const char *text = getenv(name);
	char *end;
	unsigned long n;

	if (!text || !*text)
		return false;
	n = strtoul(text, &end, 10);
	*v = (unsigned int)n;
	return !*end && n < 1000000;
}

void exp_world_find(struct exp_world *w)
{
	const char *job = getenv("PMIX_NAMESPACE");

	*w = (struct exp_world){ .rank = 0, .size = 1 };
	if (!env_number("OMPI_COMM_WORLD_SIZE", &w->size) || !env_number("OMPI_COMM_WORLD_RANK", &w->rank) ||
	    !w->size || w->rank >= w->size)
		*w = (struct exp_world){ .rank = 0, .size = 1 };
	snprintf(w->job, sizeof(w->job), "%.80s of %u", job ? job : "job", w->size);
}

/* Point k's words, the last axis fastest. */
static const char *sweep_word(const struct exp_spec *spec, unsigned int k, unsigned int axis)
{
	unsigned int a;

	for (a = spec->num_axes; a-- > axis + 1;)
		k /= spec->axis[a].n;
	return spec->axis[axis].value[k % spec->axis[axis].n];
}

static int sweep_make(void *arg, unsigned int k, struct exp_config *c, char err[EXP_ERR_MAX])
{
	const struct sweep *s = arg;
	const struct exp_spec *from = &s->r->spec;
	struct exp_spec *spec = malloc(sizeof(*spec));
	unsigned int a;
	int rc = 0;

	if (!spec) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	*spec = *from;
	for (a = 0; !rc && a < from->num_axes; a++)
		rc = exp_spec_set(spec, from->axis[a].key, sweep_word(from, k, a), from->axis[a].line, err);
	if (!rc)
		rc = exp_config_make(spec, false, c, err);
	free(spec);
	return rc;
}

static int sweep_done(void *arg, unsigned int k, const char *line, char err[EXP_ERR_MAX])
{
	struct sweep *s = arg;

	return exp_journal_add(s->j, s->hash[k], line, err);
}

/* Every point is made once before any is run: what is wrong is said at once. */
static int sweep_check(struct sweep *s, char err[EXP_ERR_MAX])
{
	struct exp_config *c = malloc(sizeof(*c));
	unsigned int k;
	int rc = c ? 0 : -ENOMEM;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	for (k = 0; !rc && k < s->points; k++) {
		rc = sweep_make(s, k, c, err);
		if (!rc)
			s->hash[k] = exp_config_hash(c);
	}
	free(c);
	return rc;
}

static int sweep_size(struct sweep *s, char err[EXP_ERR_MAX])
{
	const struct exp_spec *spec = &s->r->spec;
	uint64_t n = 1;
	unsigned int a, b;

	if (!spec->num_axes) {
		snprintf(err, EXP_ERR_MAX,
			 "%.200s:1: key 'sweep': a sweep of nothing; give sweep = ( { key = \"nic.workers\"; values = "
			 "( 30, 60 ); } )",
			 spec->path);
		return -EINVAL;
	}
	for (a = 0; a < spec->num_axes; a++) {
		n *= spec->axis[a].n;
		for (b = 0; b < a; b++) {
			if (strcmp(spec->axis[a].key, spec->axis[b].key))
				continue;
			snprintf(err, EXP_ERR_MAX, "%.200s:%u: key '%.60s': is swept twice", spec->path,
				 spec->axis[a].line, spec->axis[a].key);
			return -EINVAL;
		}
	}
	if (n > SWEEP_MAX_POINTS) {
		snprintf(err, EXP_ERR_MAX, "%.200s:%u: key 'sweep': more than %u points", spec->path,
			 spec->axis[0].line, SWEEP_MAX_POINTS);
		return -EINVAL;
	}
	s->points = (unsigned int)n;
	return 0;
}

/* Rank 0: until the others have written all their points. */
static int sweep_gather(struct sweep *s, char err[EXP_ERR_MAX])
{
	struct timespec nap = { .tv_nsec = SWEEP_LOOK_NS };
	uint64_t looks = 0;
	unsigned int k = 0, rank;
	int rc;

	for (;;) {
		rc = exp_journal_read(s->j, err);
		if (rc)
			return rc;
		while (k < s->points && exp_journal_find(s->j, s->hash[k]))
			k++;
		if (k == s->points)
			return 0;
		for (rank = 0; ++looks * SWEEP_LOOK_NS > SWEEP_HELLO_S * 1000000000ull && rank < s->world.size;
		     rank++) {
			if (exp_journal_heard(s->j, rank, s->world.job))
				continue;
			snprintf(err, EXP_ERR_MAX,
				 "rank %u doesn't write to the --out directory; give one that all machines share",
				 rank);
			return -EIO;
		}
		nanosleep(&nap, NULL);
	}
}

/* ---- what comes out ---- */
static const struct exp_col result_cols[] = {
	{ "offered_gbps", EXP_NUMBER, 3 },  { "mpps", EXP_NUMBER, 3 },	   { "gbps", EXP_NUMBER, 3 },
	{ "p50_ns", EXP_NUMBER, 0 },	    { "p90_ns", EXP_NUMBER, 0 },   { "p99_ns", EXP_NUMBER, 0 },
	{ "missed", EXP_NUMBER, 0 },	    { "dropped", EXP_NUMBER, 0 },  { "cpu_percent", EXP_NUMBER, 1 },
	{ "cpu_pcie_MBps", EXP_NUMBER, 1 }, { "bottleneck", EXP_TEXT, 0 }, { "kind", EXP_TEXT, 0 },
};
#define NUM_RESULT_COLS (sizeof(result_cols) / sizeof(result_cols[0]))

static void sweep_row(const struct exp_result *res, struct exp_cell *c)
{
	const char *kind;
	char name[64];
	double use;

	exp_cell_number(&c[0], res->offered_gbps);
	exp_cell_number(&c[1], res->mpps);
	exp_cell_number(&c[2], res->gbps);
	if (res->latencies > 0) {
		exp_cell_number(&c[3], res->p50_ns);
		exp_cell_number(&c[4], res->p90_ns);
		exp_cell_number(&c[5], res->p99_ns);
	}
	exp_cell_number(&c[6], res->missed);
	exp_cell_number(&c[7], res->dropped);
	exp_cell_number(&c[8], res->cpu_percent);
	exp_cell_number(&c[9], res->cpu_pcie_MBps);
	exp_bottleneck(res, name, &kind, &use);
	exp_cell_text(&c[10], name);
	exp_cell_text(&c[11], kind);
}

static int sweep_rows(struct sweep *s, struct exp_table *t)
{
	const struct exp_spec *spec = &s->r->spec;
	struct exp_result res;
	unsigned int k, a;
	int rc;

	for (k = 0; k < s->points; k++) {
		struct exp_cell *c = exp_table_row(t);

		if (!c)
			return -ENOMEM;
		rc = exp_result_parse(&res, exp_journal_find(s->j, s->hash[k]));
		if (rc)
			return rc;
		for (a = 0; a < spec->num_axes; a++)
			exp_cell_text(&c[a], sweep_word(spec, k, a));
		sweep_row(&res, c + spec->num_axes);
		exp_result_free(&res);
	}
	return 0;
}

/* Gb/s over the last axis, a line for each combination of the others. */
static void sweep_plot(const struct exp_report *rep, FILE *f)
{
	const struct exp_spec *spec = rep->arg;
	const struct exp_table *t = &rep->rows;
	unsigned int last = spec->num_axes - 1, n = spec->axis[last].n, k, a;

	for (k = 0; k < t->rows; k++) {
		if (k % n == 0)
			fprintf(f, "%s$s%u << EOD\n", k ? "EOD\n" : "", k / n);
		fprintf(f, "\"%s\" %.6f\n", exp_table_at(t, k, last)->text, exp_table_at(t, k, spec->num_axes + 2)->v);
	}
	fprintf(f,
		"EOD\nset xlabel '%s' noenhanced\nset ylabel 'Gb/s on the wire'\nset yrange [0:*]\nset grid ytics\n"
		"set xtics noenhanced\nset key outside noenhanced\nplot ",
		spec->axis[last].key);
	for (k = 0; k < t->rows; k += n) {
		fprintf(f, "%s$s%u using 0:2:xtic(1) with linespoints lw 2 title '", k ? ", " : "", k / n);
		for (a = 0; a < last; a++)
			fprintf(f, "%s%s", a ? " " : "", exp_table_at(t, k, a)->text);
		fputs("'", f);
	}
	fputc('\n', f);
}

static int sweep_emit(struct sweep *s, FILE *to, char err[EXP_ERR_MAX])
{
	const struct exp_spec *spec = &s->r->spec;
	struct exp_report rep = { .title = "Sweep", .plot = sweep_plot, .arg = spec };
	unsigned int a;
	int rc;

	for (a = 0; a < spec->num_axes; a++)
		s->col[a] = (struct exp_col){ spec->axis[a].key, EXP_WORD, 0 };
	memcpy(&s->col[a], result_cols, sizeof(result_cols));
	exp_table_init(&rep.rows, s->col, spec->num_axes + NUM_RESULT_COLS);
	rc = sweep_rows(s, &rep.rows);
	if (rc)
		snprintf(err, EXP_ERR_MAX, "%s", strerror(-rc));
	else
		rc = exp_report_emit(s->r, &rep, to, err);
	exp_table_free(&rep.rows);
	return rc;
}

static int sweep_points(struct sweep *s, char err[EXP_ERR_MAX])
{
	struct exp_result *result = calloc(s->points, sizeof(*result));
	struct exp_pool pool = {
		.points = s->points,
		.jobs = s->r->jobs	    ? s->r->jobs
			: s->world.size > 1 ? 1
					    : 0,
		.progress = s->r->progress && !s->world.rank,
		.end = s->r->end,
		.make = sweep_make,
		.done = sweep_done,
		.arg = s,
		.skip = s->skip,
	};
	unsigned int k;
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!result)
		return -ENOMEM;
	for (k = 0; k < s->points; k++)
		s->skip[k] = k % s->world.size != s->world.rank || exp_journal_find(s->j, s->hash[k]);
	rc = exp_pool_run(&pool, result, err);
	for (k = 0; k < s->points; k++)
		exp_result_free(&result[k]);
	free(result);
	return rc;
}

static int sweep_run(struct sweep *s, FILE *to, char err[EXP_ERR_MAX])
{
	char dir[EXP_PATH_MAX + 16];
	int rc;

	snprintf(dir, sizeof(dir), "%s.sweep", s->r->spec.path);
	rc = exp_journal_open(&s->j, s->r->out ? s->r->out : dir, s->world.rank, err);
	if (rc)
		return rc;
	rc = s->world.size > 1 ? exp_journal_hello(s->j, s->world.job, err) : 0;
	if (!rc)
		rc = sweep_points(s, err);
	if (!rc && !s->world.rank)
		rc = sweep_gather(s, err);
	if (!rc && !s->world.rank)
		rc = sweep_emit(s, to, err);
	exp_journal_close(s->j);
	return rc;
}

int exp_sweep(const struct exp_request *r, FILE *to, char err[EXP_ERR_MAX])
{
	struct sweep *s = calloc(1, sizeof(*s));
	int rc;

	snprintf(err, EXP_ERR_MAX, "out of memory");
	if (!s)
		return -ENOMEM;
	s->r = r;
	exp_world_find(&s->world);
	rc = sweep_size(s, err);
	if (rc)
		goto free_sweep;
	s->hash = calloc(s->points, sizeof(*s->hash));
	s->skip = calloc(s->points, sizeof(*s->skip));
	rc = s->hash && s->skip ? sweep_check(s, err) : -ENOMEM;
	if (!rc)
		rc = sweep_run(s, to, err);
	else if (s->world.rank)
		rc = 0; /* rank 0 says the same; mpirun would end it if we failed first */
free_sweep:
	free(s->hash);
	free(s->skip);
	free(s);
	return rc;
}
