/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver that is killed (SIGKILL, in a child) before its n-th access to NICs that outlive it, for every n that there is: in
 * bring-up, in adoption of NICs of which some came back, in teardown, in a router's beginning and end.  Its connections end, and the
 * next driver brings up what it finds: NICs, peers' tables, maps, wake-ups and pairs are then those that nobody disturbed, and what
 * ran before has run on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/drv.h"
#include "driver/route.h"
#include "fake_fn.h"

#define MEM (64ull << 20)
#define NICS 3
#define ELSEWHERE (1ull << 50)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EACH 3 /* a sanitized program takes its time to fork */
#else
#define EACH 1
#endif

static const struct drv_pair pairs[] = { { 0, 0, 1, 0 }, { 0, 1, 2, 1 } };

struct death {
	const char *name;
	enum p2p_mode mode;
	unsigned int back[NICS]; /* 0: runs; else it comes back with so many ports */
	unsigned int at_first; /* so many of the NICs are up before, with room for all; 0: all */
	bool leaves; /* NIC 1 is stopped, and the others are given alone */
	bool fresh, down;
	bool route, router; /* the NICs have routing areas; a router begins and ends on them */
	bool elsewhere; /* a router before it had its punts in another place */
	unsigned int queues; /* asked for; 0: all that there are */
	unsigned int anew; /* after the death the NICs are brought down, and up with so many queues; 0: they are not */
	unsigned int then; /* NIC 1 is replaced once more after the death, by one with so many ports; 0: it is not */
	unsigned int least; /* so many deaths at least */
};

static const struct death deaths[] = {
	{ "bring-up in wr", P2P_MODE_WR, .fresh = true, .least = 300 },
	{ "bring-up in rd", P2P_MODE_RD, .fresh = true, .least = 300 },
	{ "teardown", P2P_MODE_RD, .down = true, .least = 20 },
	{ "adoption of all", P2P_MODE_RD, .least = 60 },
	{ "one came back", P2P_MODE_RD, .back = { 0, 2, 0 }, .least = 150 },
	{ "another in its place", P2P_MODE_RD, .back = { 0, 3, 0 }, .least = 150 },
	{ "another in its place, then a third", P2P_MODE_RD, .back = { 0, 3, 0 }, .then = 4, .least = 150 },
	{ "another in its place, then the first", P2P_MODE_WR, .back = { 0, 4, 0 }, .then = 2, .least = 150 },
	{ "two came back", P2P_MODE_WR, .back = { 2, 0, 2 }, .least = 150 },
	{ "a third is added", P2P_MODE_RD, .at_first = 2, .least = 150 },
	{ "one has left", P2P_MODE_RD, .leaves = true, .least = 80 },
	{ "router in wr", P2P_MODE_WR, .route = true, .router = true, .least = 120 },
	{ "router after one that had another place", P2P_MODE_RD, .route = true, .router = true, .elsewhere = true, .least = 120 },
	{ "router, then one with fewer queues", P2P_MODE_RD, .route = true, .router = true, .anew = 1, .least = 120 },
};

/* The NICs that a driver is given; first: the one that brings up what there is before. */
static bool given(const struct death *x, unsigned int nic, bool first)
{
	return first ? !x->at_first || nic < x->at_first : !x->leaves || nic != 1;
}

static void options(struct drv_opts *o, const struct death *x, unsigned int n)
{
	drv_opts_init(o);
	o->mode = x->mode;
	o->slots = 128;
	o->persist = true;
	o->route = x->route;
	o->queues = x->queues;
	o->set = DRV_SET_PAIRS;
	o->pairs = pairs;
	o->num_pairs = n - 1;
	o->max_nics = x->fresh ? 0 : NICS;
}

static struct drv *open_all(struct fake_world *w, const struct death *x, bool first)
{
	struct transport *t;
	struct drv *d;
	char name[16];
	unsigned int k;

	if (drv_create(&d))
		abort();
	for (k = 0; k < NICS; k++) {
		if (!given(x, k, first))
			continue;
		snprintf(name, sizeof(name), "nic%u", k);
		if (transport_local_open(&t, &fake_ops, &w->nic[k]) || drv_add(d, t, name))
			abort();
	}
	return d;
}

static void come_back(struct fake *f, unsigned int ports)
{
	*fake_reg(f, P2P_NUM_PORTS) = ports;
	for (unsigned int p = 0; p < ports; p++)
		*fake_reg(f, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC) = 2 + 256 * f->number + 65536 * p;
	fake_power_cycle(f);
}

/* A router comes and goes; meanwhile each NIC has one place for its punts, and has been told it. */
static int route(struct fake_world *w, struct drv *d)
{
	struct drv_route *r;
	unsigned int k;
	int rc;

	rc = drv_route_open(d, &r);
	if (rc)
		return rc;
	for (k = 0; k < NICS; k++) {
		struct fake *f = &w->nic[k];
		uint64_t base = drv_punt_base(d, k);

		if (!fake_find_map(f, base, (uint64_t)d->queues * P2P_PUNT_BYTES) || *fake_reg(f, P2P_PUNT_RING) != base ||
		    !*fake_reg(f, P2P_PUNT_SESSION) || !f->msix[2])
			rc = -EBADMSG;
	}
	drv_route_close(r);
	for (k = 0; k < NICS; k++)
		if (*fake_reg(&w->nic[k], P2P_PUNT_SESSION) || w->nic[k].msix[2])
			rc = -EBADMSG;
	return rc;
}

/* The driver's part that may be cut short; 0 or what failed. */
static int drive_these(struct fake_world *w, const struct death *x, bool first)
{
	struct drv *d = open_all(w, x, first);
	struct drv_opts o;
	int rc;

	options(&o, x, d->n);
	if (x->down) {
		rc = drv_down(d);
	} else {
		rc = drv_bring_up(d, &o);
		if (!rc)
			rc = drv_wait_ready(d, 0);
		if (!rc && x->router)
			rc = route(w, d);
	}
	if (rc)
		fprintf(stderr, "%s: %s\n", x->name, drv_error(d));
	drv_destroy(d);
	return rc;
}

static int drive(struct fake_world *w, const struct death *x)
{
	return drive_these(w, x, false);
}

/* In a child that is killed before access `at`; true: it came through before. */
static bool dies(struct fake_world *w, const struct death *x, unsigned int at)
{
	unsigned int k;
	int status;
	pid_t pid;

	w->die_at = w->calls + at;
	pid = fork();
	if (!pid)
		_exit(drive(w, x) ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	w->die_at = 0;
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return true;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	for (k = 0; k < NICS; k++)
		if (w->nic[k].attached)
			fake_ops.detached(&w->nic[k]);
	return false;
}

/* Up to where the driver that may die begins. */
static struct fake_world *before(const struct death *x)
{
	struct fake_world *w = fake_world_make(NICS, 2, MEM, 2048);
	struct death up = *x;
	unsigned int k;

	up.down = up.router = false;
	for (k = 0; x->route && k < NICS; k++)
		*fake_reg(&w->nic[k], P2P_FEATURES) = P2P_FEAT_ALL | P2P_FEAT_ROUTE;
	if (!x->fresh)
		assert_int_equal(drive_these(w, &up, true), 0);
	if (x->leaves)
		fake_power_cycle(&w->nic[1]);
	for (k = 0; k < NICS; k++) {
		if (x->back[k])
			come_back(&w->nic[k], x->back[k]);
		if (!x->elsewhere)
			continue;
		*fake_reg(&w->nic[k], P2P_PUNT_RING) = ELSEWHERE;
		assert_int_equal(fake_ops.dma_map(&w->nic[k], ELSEWHERE, FAKE_QUEUES * (uint64_t)P2P_PUNT_BYTES, 0, 0, P2P_DMA_WRITE), 0);
	}
	w->events = 0;
	return w;
}

static int by_place(const void *a, const void *b)
{
	const struct fake_map *x = a, *y = b;

	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

static void check_same(struct fake_world *w, struct fake_world *like, const char *what, unsigned int at)
{
	unsigned int i, p;

	for (i = 0; i < NICS; i++) {
		struct fake *a = &w->nic[i], *b = &like->nic[i];
		bool same = a->running == b->running && a->persist == b->persist && a->maps == b->maps;

		qsort(a->map, a->maps, sizeof(a->map[0]), by_place);
		qsort(b->map, b->maps, sizeof(b->map[0]), by_place);
		same = same && !memcmp(a->map, b->map, a->maps * sizeof(a->map[0])) && !memcmp(a->bell, b->bell, sizeof(a->bell)) &&
		       !memcmp(a->wake, b->wake, sizeof(a->wake)) && a->command == b->command &&
		       !memcmp(&a->reg[P2P_PEER_BLOCK / 4], &b->reg[P2P_PEER_BLOCK / 4],
			       NICS * P2P_PEER_BLOCK_BYTES / 4 * sizeof(a->reg[0]));
		for (p = 0; p < P2P_MAX_PORTS; p++)
			same = same && *fake_reg(a, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR) ==
					       *fake_reg(b, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR);
		if (!same)
			fail_msg("%s: killed before access %u: NIC %u is not as if nobody had died (%u maps, should be %u)", what, at, i,
				 a->maps, b->maps);
	}
	if (!fake_wakes_fit(w))
		fail_msg("%s: killed before access %u: a NIC rings what no NIC listens to", what, at);
}

/* Nobody stopped, reset or unmapped the whole of a NIC that ran. */
static void check_ran_on(const struct fake_world *w, const struct death *x, unsigned int at)
{
	unsigned int k;

	for (k = 0; !x->fresh && !x->down && !x->anew && k < w->events; k++) {
		const struct fake_event *e = &w->event[k];
		bool ran = !x->back[e->nic] && given(x, e->nic, true);

		if (ran && (e->what == FAKE_RESET || e->what == FAKE_DISABLE || e->what == FAKE_UNMAP_ALL))
			fail_msg("%s: killed before access %u: NIC %u was stopped", x->name, at, e->nic);
	}
}

/* What is done to the NICs between the death and the next driver. */
static void meanwhile(struct fake_world *w, const struct death *x)
{
	const struct death down = { "bring-down", .down = true };

	if (x->then)
		come_back(&w->nic[1], x->then);
	if (x->anew)
		assert_int_equal(drive(w, &down), 0);
}

/* twice: the second driver dies, too, somewhere; the third does not.  Returns how many accesses there are. */
static unsigned int every_access(const struct death *x, struct fake_world *like, unsigned int step, bool twice)
{
	struct death up = *x;
	struct fake_world *w;
	unsigned int at;
	bool through;

	up.down = false;
	up.queues = x->anew;
	for (at = 1;; at += step) {
		w = before(x);
		through = dies(w, x, at);
		if (!through) {
			check_ran_on(w, x, at);
			if (twice)
				dies(w, x, 1 + at * 7919 % 400);
			meanwhile(w, x);
			if (drive(w, &up))
				fail_msg("%s: killed before access %u: the next driver fails", x->name, at);
			check_ran_on(w, x, at);
			check_same(w, like, x->name, at);
		}
		fake_world_free(w);
		if (through)
			return at - 1;
	}
}

static void test_every_access(void **state)
{
	unsigned int k, n, twice;

	for (k = 0; k < P2P_ARRAY_SIZE(deaths); k++) {
		const struct death *x = &deaths[k];
		struct fake_world *like = before(x);
		struct death up = *x;

		up.down = false;
		up.queues = x->anew;
		assert_int_equal(drive(like, x), 0);
		meanwhile(like, x);
		assert_int_equal(drive(like, &up), 0);
		n = every_access(x, like, EACH, false);
		twice = every_access(x, like, 7 * EACH, true);
		printf("%s: killed %u times before one of %u accesses, and %u times another after it\n", x->name, n / EACH, n,
		       twice / 7 / EACH);
		assert_true(n >= x->least);
		fake_world_free(like);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
