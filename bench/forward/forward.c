/* SPDX-License-Identifier: BSD-3-Clause */
/* The course of a run: who takes part, each one's best setup, the check, the rounds. */
#include "forward.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

const char *fwd_entry_name(const struct fwd_entry *e)
{
	return e->subject ? e->subject->name : "generator";
}

const char *fwd_entry_label(const struct fwd_entry *e, char label[FWD_LABEL_MAX])
{
	snprintf(label, FWD_LABEL_MAX, "%s%s%s%s", fwd_entry_name(e), e->zero_copy ? " zero-copy" : "",
		 e->against ? " of --against" : "", e->spread ? ", many destinations" : "");
	return label;
}

const char *fwd_entry_variant(const struct fwd_entry *e)
{
	return e->zero_copy ? "yes" : e->against ? "other" : "";
}

const struct fwd_entry *fwd_entry_own(const struct fwd_bench *b, const struct fwd_entry *against)
{
	unsigned int k;

	for (k = 0; k < b->n; k++)
		if (b->entry[k].subject == against->subject && b->entry[k].spread == against->spread && !b->entry[k].against)
			return &b->entry[k];
	return NULL;
}

unsigned int fwd_entry_destinations(const struct fwd_entry *e)
{
	return e->spread ? FWD_SPREAD : 1;
}

bool fwd_stopped(const struct fwd_bench *b)
{
	return b->req->stop && *b->req->stop;
}

double fwd_common_pps(unsigned int frame_bytes)
{
	return FWD_COMMON_BPS / ((frame_bytes + 20) * 8.0);
}

/* ---- who takes part ---- */

static void cell_init(struct fwd_cell *c)
{
	unsigned int k, r;

	for (r = 0; r < FWD_MAX_ROUNDS; r++) {
		c->mpps[r] = c->cycles[r] = c->busy[r] = NAN;
		for (k = 0; k < FWD_NUM_LOADS; k++)
			c->p50[k][r] = c->p99[k][r] = NAN;
	}
}

static int bench_add(struct fwd_bench *b, const struct fwd_subject *s, bool zero_copy, bool spread, bool against)
{
	struct fwd_entry *e = &b->entry[b->n];
	unsigned int f;

	*e = (struct fwd_entry){ .subject = s, .zero_copy = zero_copy, .spread = spread, .against = against };
	e->by_rate = s && s->dpdk && !s->counts;
	e->cell = calloc(b->req->num_frames, sizeof(*e->cell));
	if (!e->cell)
		return -ENOMEM;
	for (f = 0; f < b->req->num_frames; f++)
		cell_init(&e->cell[f]);
	if (s && s->available && s->available(&b->env, s, zero_copy, e->why))
		e->gone = true;
	if (!e->gone && spread && !b->env.dst) {
		snprintf(e->why, sizeof(e->why), "%s", b->env.no_table);
		e->gone = true;
	}
	b->n++;
	return 0;
}

static bool bench_wanted(const struct fwd_bench *b, unsigned int k)
{
	return (!b->req->subjects || b->req->subjects & 1u << k) && (!b->req->testpmd_drives || fwd_subjects[k].counts);
}

/* With many destinations?  testpmd's flowgen has its own; a soak is of one entry. */
static bool bench_spreads(const struct fwd_bench *b, unsigned int k)
{
	const struct fwd_subject *s = &fwd_subjects[k];

	return bench_wanted(b, k) && s->spreads && !b->req->testpmd_drives && (s->full || !(b->req->load > 0));
}

static int bench_add_subject(struct fwd_bench *b, unsigned int k)
{
	const struct fwd_subject *s = &fwd_subjects[k];
	unsigned int spread, zero_copy;
	int rc = 0;

	for (spread = s->full; spread <= bench_spreads(b, k) && !rc; spread++)
		for (zero_copy = 0; zero_copy <= s->lends && !rc; zero_copy++)
			rc = bench_add(b, s, zero_copy, spread, false);
	for (spread = s->full; b->req->against && s->p2pnic && spread <= bench_spreads(b, k) && !rc; spread++)
		rc = bench_add(b, s, false, spread, true);
	return rc;
}

static int bench_entries(struct fwd_bench *b, char err[FWD_ERR_MAX])
{
	unsigned int k, any = 0, spread = 0;
	int rc = 0;

	for (k = 0; fwd_subjects[k].name; k++)
		spread |= bench_spreads(b, k);
	if (spread) {
		fwd_progress(b, "reading the full table");
		rc = fwd_spread_make(&b->env, b->env.no_table);
		/* A file that was asked for must be one; else there is a table or there is none. */
		if (rc && b->req->routes) {
			snprintf(err, FWD_ERR_MAX, "--routes %.600s", b->env.no_table);
			return rc;
		}
		rc = 0;
	}
	if (!b->req->testpmd_drives)
		rc = bench_add(b, NULL, false, false, false);
	if (!rc && b->env.dst)
		rc = bench_add(b, NULL, false, true, false);
	for (k = 0; !rc && fwd_subjects[k].name; k++)
		if (bench_wanted(b, k))
			rc = bench_add_subject(b, k);
	if (rc) {
		snprintf(err, FWD_ERR_MAX, "out of memory");
		return rc;
	}
	for (k = 0; k < b->n; k++)
		any += b->entry[k].subject && !b->entry[k].gone;
	if (any)
		return 0;
	if (!b->n || !b->entry[b->n - 1].subject)
		snprintf(err, FWD_ERR_MAX, "none of --subjects can be measured this way");
	else
		snprintf(err, FWD_ERR_MAX, "nothing to measure: %s: %.600s", b->entry[b->n - 1].subject->name, b->entry[b->n - 1].why);
	return -ENOENT;
}

/* An entry that failed is out, with the reason; an interruption or a fault of ours ends the run. */
static int bench_outcome(struct fwd_bench *b, struct fwd_entry *e, int rc, char err[FWD_ERR_MAX])
{
	if (!rc)
		return 0;
	if (fwd_stopped(b) || rc == -ECANCELED || !e->subject || rc == -ENOMEM || rc == -EMFILE)
		return rc;
	e->gone = true;
	snprintf(e->why, sizeof(e->why), "%s", err);
	return 0;
}

/* ---- each one's best setup ---- */

static bool bench_has_setups(const struct fwd_entry *e)
{
	return e->subject && (e->subject->p2pnic || e->subject->dpdk);
}

/* Every setup for every frame size; the fastest stays. */
int fwd_bench_tune(struct fwd_bench *b, struct fwd_entry *e, char err[FWD_ERR_MAX])
{
	struct fwd_setup setup[FWD_MAX_SETUPS];
	unsigned int n = fwd_setups(&b->env, e->subject, setup), k, f;
	double best[FWD_MAX_FRAMES] = { 0 }, mpps;
	struct fwd_session s;
	int rc = 0;

	for (f = 0; f < b->req->num_frames; f++)
		e->cell[f].setup = setup[0];
	for (k = 0; n > 1 && k < n && !rc; k++) {
		fwd_progress(b, "looking for %s's best setup: rings of %u, buffers of %u", fwd_entry_name(e), setup[k].ring,
			     setup[k].buf_bytes);
		rc = fwd_session_open(&s, b, e, &setup[k], false, err);
		if (rc)
			break;
		for (f = 0; f < b->req->num_frames && !rc; f++) {
			rc = fwd_measure_glance(&s, b->req->frames[f], &mpps, err);
			if (!rc && mpps > best[f]) {
				best[f] = mpps;
				e->cell[f].setup = setup[k];
			}
		}
		fwd_session_close(&s);
	}
	return rc;
}

/* testpmd as generator is too slow to tell setups apart. */
static void bench_first_setup(struct fwd_bench *b, struct fwd_entry *e)
{
	struct fwd_setup setup[FWD_MAX_SETUPS];
	unsigned int f;

	fwd_setups(&b->env, e->subject, setup);
	for (f = 0; f < b->req->num_frames; f++)
		e->cell[f].setup = setup[0];
}

/* Two builds are compared with the same rings and buffers. */
static void bench_own_setup(const struct fwd_bench *b, struct fwd_entry *e)
{
	const struct fwd_entry *own = fwd_entry_own(b, e);
	unsigned int f;

	for (f = 0; f < b->req->num_frames; f++)
		e->cell[f].setup = own->cell[f].setup;
}

/* ---- one pass over the frame sizes: each setup that is used is started once ---- */

typedef int bench_step(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX]);

static int step_check(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX])
{
	char label[FWD_LABEL_MAX];

	fwd_progress(s->b, "checking every frame: %s, %u bytes", fwd_entry_label(s->e, label), s->b->req->frames[frame]);
	return fwd_measure_check(s, frame, err);
}

static int step_measure(struct fwd_session *s, unsigned int frame, unsigned int round, char err[FWD_ERR_MAX])
{
	struct fwd_bench *b = s->b;
	char label[FWD_LABEL_MAX];

	fwd_progress(b, "%u%%  round %u of %u: %s, %u bytes", b->todo ? b->done * 100 / b->todo : 0, round + 1, b->req->rounds,
		     fwd_entry_label(s->e, label), b->req->frames[frame]);
	b->done++;
	return fwd_measure_round(s, frame, round, err);
}

static bool setup_same(const struct fwd_setup *a, const struct fwd_setup *b)
{
	return a->ring == b->ring && a->buf_bytes == b->buf_bytes;
}

static int bench_pass(struct fwd_bench *b, struct fwd_entry *e, unsigned int round, bench_step *step,
		      char err[FWD_ERR_MAX])
{
	bool did[FWD_MAX_FRAMES] = { false };
	struct fwd_session s;
	unsigned int f, g;
	int rc = 0;

	for (f = 0; f < b->req->num_frames && !rc; f++) {
		if (did[f])
			continue;
		rc = fwd_session_open(&s, b, e, &e->cell[f].setup, false, err);
		if (rc)
			break;
		for (g = f; g < b->req->num_frames && !rc; g++) {
			if (did[g] || !setup_same(&e->cell[g].setup, &e->cell[f].setup))
				continue;
			did[g] = true;
			rc = step(&s, g, round, err);
		}
		fwd_session_close(&s);
	}
	return rc;
}

static int bench_round_of(struct fwd_bench *b, struct fwd_entry *e, unsigned int round, char err[FWD_ERR_MAX])
{
	char label[FWD_LABEL_MAX];
	unsigned int f;
	int rc = 0;

	if (!b->req->testpmd_drives && (!e->subject || bench_has_setups(e)))
		return bench_pass(b, e, round, step_measure, err);
	for (f = 0; f < b->req->num_frames && !rc; f++) {
		fwd_progress(b, "round %u of %u: %s, %u bytes", round + 1, b->req->rounds, fwd_entry_label(e, label), b->req->frames[f]);
		b->done++;
		rc = b->req->testpmd_drives ? fwd_flowgen_round(b, e, f, round, err) : fwd_measure_raw(b, e, f, round, err);
	}
	return rc;
}

/* ---- the course ---- */

static int bench_prepare(struct fwd_bench *b, char err[FWD_ERR_MAX])
{
	unsigned int k, f;
	int rc = 0;

	for (k = 0; k < b->n && !rc; k++) {
		struct fwd_entry *e = &b->entry[k];

		for (f = 0; f < b->req->num_frames; f++)
			e->cell[f].setup.ring = b->req->ring ? b->req->ring : 1024;
		if (e->gone || !bench_has_setups(e))
			continue;
		if (b->req->testpmd_drives) {
			bench_first_setup(b, e);
			continue;
		}
		if (e->against)
			bench_own_setup(b, e);
		else
			rc = bench_outcome(b, e, fwd_bench_tune(b, e, err), err);
		if (!rc && !e->gone)
			rc = bench_outcome(b, e, bench_pass(b, e, 0, step_check, err), err);
	}
	return rc;
}

/* raw-copy and wr are compared: with rings of the same depth. */
static void bench_raw_rings(struct fwd_bench *b)
{
	const struct fwd_entry *wr = NULL;
	unsigned int k, f;

	for (k = 0; k < b->n; k++)
		if (b->entry[k].subject && !strcmp(b->entry[k].subject->name, "p2pnic-wr") && !b->entry[k].gone &&
		    !b->entry[k].against)
			wr = &b->entry[k];
	for (k = 0; wr && k < b->n; k++)
		for (f = 0; f < b->req->num_frames && b->entry[k].subject && !bench_has_setups(&b->entry[k]); f++)
			b->entry[k].cell[f].setup.ring = wr->cell[f].setup.ring;
}

static int bench_rounds(struct fwd_bench *b, char err[FWD_ERR_MAX])
{
	unsigned int order[FWD_MAX_ENTRIES], k, round;
	int rc = 0;

	bench_raw_rings(b);
	b->todo = b->n * b->req->num_frames * b->req->rounds;
	for (round = 0; round < b->req->rounds && !rc; round++) {
		fwd_shuffle(order, b->n, round + 1);
		for (k = 0; k < b->n && !rc; k++) {
			struct fwd_entry *e = &b->entry[order[k]];

			if (!e->gone)
				rc = bench_outcome(b, e, bench_round_of(b, e, round, err), err);
		}
		if (!rc)
			b->rounds = round + 1;
	}
	return rc;
}

int fwd_bench_create(struct fwd_bench **out, const struct fwd_request *req, char err[FWD_ERR_MAX])
{
	struct fwd_bench *b = calloc(1, sizeof(*b));
	int rc;

	if (!b) {
		snprintf(err, FWD_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	b->req = req;
	rc = fwd_env_init(&b->env, req, err);
	if (!rc)
		rc = bench_entries(b, err);
	if (!rc)
		fwd_near_init(b);
	if (rc)
		fwd_bench_destroy(b);
	else
		*out = b;
	return rc;
}

void fwd_bench_destroy(struct fwd_bench *b)
{
	unsigned int k;

	for (k = 0; k < b->n; k++)
		free(b->entry[k].cell);
	fwd_spread_free(&b->env);
	fwd_env_free(&b->env);
	free(b);
}

int fwd_forward(const struct fwd_request *req, FILE *to, char err[FWD_ERR_MAX])
{
	struct fwd_bench *b;
	int rc;

	rc = fwd_bench_create(&b, req, err);
	if (rc)
		return rc;
	rc = bench_prepare(b, err);
	if (!rc && !req->check_only)
		rc = bench_rounds(b, err);
	fwd_progress_end(b);
	if (!rc)
		rc = fwd_report(b, to, err);
	if (!rc && !fwd_clean(b))
		rc = 1;
	fwd_bench_destroy(b);
	return rc;
}
