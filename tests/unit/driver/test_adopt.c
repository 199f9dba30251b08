/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver that comes to NICs already running. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/drv.h"
#include "fake_fn.h"

#define MEM (64ull << 20)
#define NICS 3

static const struct drv_pair pairs[] = { { 0, 0, 1, 0 }, { 0, 1, 2, 1 } };

static void options(struct drv_opts *o)
{
	drv_opts_init(o);
	o->mode = P2P_MODE_RD;
	o->slots = 128;
	o->persist = true;
	o->pairs = pairs;
	o->num_pairs = 2;
}

/* order: which NIC is given as the k-th. */
static struct drv *open_all(struct fake_world *w, const unsigned int *order, unsigned int n)
{
	struct transport *t;
	struct drv *d;
	char name[16];
	unsigned int k;

	assert_int_equal(drv_create(&d), 0);
	for (k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "nic%u", order[k]);
		assert_int_equal(transport_local_open(&t, &fake_ops, &w->nic[order[k]]), 0);
		assert_int_equal(drv_add(d, t, name), 0);
	}
	return d;
}

static const unsigned int straight[] = { 0, 1, 2 };

static struct fake_world *world_up(void)
{
	struct fake_world *w = fake_world_make(NICS, 2, MEM, 2048);
	struct drv *d = open_all(w, straight, NICS);
	struct drv_opts o;

	options(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	drv_destroy(d);
	w->events = 0;
	return w;
}

/* The first n were opened and closed, and no more. */
static void check_untouched_first(const struct fake_world *w, unsigned int n)
{
	unsigned int k;

	for (k = 0; k < w->events; k++)
		if (w->event[k].nic < n)
			assert_true(w->event[k].what == FAKE_ATTACH || w->event[k].what == FAKE_DETACH);
}

static void check_untouched(const struct fake_world *w)
{
	check_untouched_first(w, w->n);
}

static int by_place(const void *a, const void *b)
{
	const struct fake_map *x = a, *y = b;

	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

static void check_same(struct fake_world *w, struct fake_world *like)
{
	unsigned int i, p;

	assert_true(fake_wakes_fit(w));
	for (i = 0; i < w->n; i++) {
		struct fake *a = &w->nic[i], *b = &like->nic[i];

		assert_true(a->running && a->persist && a->wake[0]);
		assert_int_equal(a->maps, b->maps);
		qsort(a->map, a->maps, sizeof(a->map[0]), by_place);
		qsort(b->map, b->maps, sizeof(b->map[0]), by_place);
		assert_memory_equal(a->map, b->map, a->maps * sizeof(a->map[0]));
		assert_memory_equal(a->bell, b->bell, sizeof(a->bell));
		for (p = 0; p < 2; p++)
			assert_int_equal(*fake_reg(a, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR),
					 *fake_reg(b, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR));
		assert_memory_equal(&a->reg[P2P_PEER_BLOCK / 4], &b->reg[P2P_PEER_BLOCK / 4],
				    w->n * P2P_PEER_BLOCK_BYTES / 4 * sizeof(a->reg[0]));
	}
}

static void test_adopts_without_touching(void **state)
{
	static const unsigned int shuffled[] = { 2, 0, 1 };
	struct fake_world *w = world_up();
	struct drv_opts o;
	struct drv *d;

	d = open_all(w, shuffled, NICS);
	drv_opts_init(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(d->adopted, NICS);
	assert_int_equal(d->introduced, 0);
	assert_int_equal(d->nic[0].index, 2);
	assert_int_equal(d->opts.mode, P2P_MODE_RD);
	assert_int_equal(drv_wait_ready(d, 0), 0);
	drv_destroy(d);
	check_untouched(w);
	fake_world_free(w);
}

static void test_changes_only_pairs_asked_for(void **state)
{
	const struct drv_pair other[] = { { 0, 0, 1, 0 }, { 1, 1, 2, 1 } };
	struct fake_world *w = world_up();
	struct drv_opts o;
	struct drv *d = open_all(w, straight, NICS);

	drv_opts_init(&o);
	o.pairs = other;
	o.num_pairs = 2;
	o.set = DRV_SET_PAIRS;
	assert_int_equal(drv_bring_up(d, &o), 0);
	drv_destroy(d);
	assert_int_equal(fake_count(w, FAKE_PAIR), 3); /* 0.1 cleared, 1.1 and 2.1 new; 0.0 and 1.0 left alone */
	assert_int_equal(*fake_reg(&w->nic[0], P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR), 0);
	assert_int_equal(*fake_reg(&w->nic[2], P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR), P2P_PAIR(1, 1));
	assert_int_equal(fake_count(w, FAKE_RESET), 0);
	fake_world_free(w);
}

static void refuse(struct fake_world *w, const struct drv_opts *o, unsigned int n)
{
	struct drv *d = open_all(w, straight, n);

	assert_int_not_equal(drv_bring_up(d, o), 0);
	assert_true(strlen(drv_error(d)) > 10);
	drv_destroy(d);
	check_untouched(w);
}

static void test_refuses(void **state)
{
	struct fake_world *w = world_up();
	struct drv_opts o;

	drv_opts_init(&o);
	o.set = DRV_SET_MODE; /* wr by name, rd runs */
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	o.batch = 16;
	o.set = DRV_SET_BATCH;
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	o.stride = 128;
	o.set = DRV_SET_STRIDE;
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	o.slots = 64;
	o.set = DRV_SET_SLOTS;
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	o.bridge = true;
	o.set_flags = P2P_FLAG_BRIDGE;
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	o.cut = true;
	o.set_flags = P2P_FLAG_CUT;
	refuse(w, &o, NICS);
	drv_opts_init(&o);
	refuse(w, &o, NICS - 1); /* the third is up */
	o.max_nics = NICS + 1;
	refuse(w, &o, NICS);
	o.max_nics = 0;
	*fake_reg(&w->nic[1], P2P_NIC_INDEX) = 0;
	refuse(w, &o, NICS);
	*fake_reg(&w->nic[1], P2P_NIC_INDEX) = 1;
	*fake_reg(&w->nic[1], P2P_SLOTS) = 256;
	refuse(w, &o, NICS);
	*fake_reg(&w->nic[1], P2P_SLOTS) = 128;
	*fake_reg(&w->nic[0], P2P_PEER_BLOCK + 2 * P2P_PEER_BLOCK_BYTES + P2P_PEER_PORTS) = 3;
	refuse(w, &o, NICS);
	fake_world_free(w);
}

/* One NIC was restarted: it alone is reset, the others forget it first, and all is as before. */
static void test_introduces_returning(void **state)
{
	struct fake_world *like = world_up(), *w;
	unsigned int dead, k, forgot, mapped;
	struct drv_opts o;
	struct drv *d;

	for (dead = 0; dead < NICS; dead++) {
		w = world_up();
		fake_power_cycle(&w->nic[dead]);
		d = open_all(w, straight, NICS);
		drv_opts_init(&o);
		assert_int_equal(drv_bring_up(d, &o), 0);
		assert_int_equal(d->introduced, 1);
		assert_int_equal(d->adopted, NICS - 1);
		drv_destroy(d);
		assert_int_equal(fake_count(w, FAKE_DISABLE), 0);
		forgot = mapped = 0;
		for (k = 0; k < w->events; k++) {
			const struct fake_event *e = &w->event[k];

			if (e->what == FAKE_RESET || e->what == FAKE_CONFIGURE || e->what == FAKE_ENABLE)
				assert_int_equal(e->nic, dead);
			if (e->what == FAKE_FORGET) {
				assert_int_equal(e->arg, dead);
				forgot++;
			}
			if (e->what == FAKE_UNMAP) /* only once forgotten, only what was of the dead one */
				assert_true(forgot && e->arg >> 40 == dead + 1);
			mapped += e->what == FAKE_MAP;
		}
		assert_int_equal(forgot, NICS - 1);
		assert_int_equal(mapped, FAKE_QUEUES * 2 * (NICS - 1) * (1 + 3 + 2)); /* ring, buffers of 2 ports and flood, 2 rx */
		check_same(w, like);
		fake_world_free(w);
	}
	fake_world_free(like);
}

/* NICs that run keep how frames are placed; one that returns is told the same, though nobody asks for it again. */
static void test_keeps_placement(void **state)
{
	struct fake_world *w = fake_world_make(2, 1, MEM, 2048);
	struct drv *d = open_all(w, straight, 2);
	struct drv_opts o;

	drv_opts_init(&o);
	o.persist = o.cut = true;
	*fake_reg(&w->nic[0], P2P_FEATURES) = *fake_reg(&w->nic[1], P2P_FEATURES) = P2P_FEAT_ALL | P2P_FEAT_CUT;
	assert_int_equal(drv_bring_up(d, &o), 0);
	drv_destroy(d);
	fake_power_cycle(&w->nic[1]);
	d = open_all(w, straight, 2);
	drv_opts_init(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(d->introduced, 1);
	assert_true(d->opts.cut);
	assert_true(*fake_reg(&w->nic[1], P2P_FLAGS) & P2P_FLAG_CUT);
	drv_destroy(d);
	fake_world_free(w);
}

/* What NICs that run were told of each other holds, wherever it is; one that returns lies at its BAR's own address. */
static void test_keeps_addresses(void **state)
{
	static const struct bus_space s = { .take = { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 } }, .takes = 2 };
	struct fake_world *w = world_up();
	unsigned int i, j, k, m;
	struct drv_opts o;
	struct drv *d;

	fake_power_cycle(&w->nic[1]);
	w->events = 0;
	d = open_all(w, straight, NICS);
	for (i = 0; i < NICS; i++) {
		d->nic[i].t->space = &s;
		d->nic[i].t->bar2 = 0xc0000000 + i * MEM;
	}
	drv_opts_init(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	for (i = 0; i < NICS; i++) {
		for (j = 0; j < NICS; j++) {
			uint64_t base = j == 1 ? 0xc0000000 + MEM : (j + 1ull) << 40;

			if (i == j)
				continue;
			assert_int_equal(drv_peer_base(d, j), base);
			assert_int_equal(*fake_reg(&w->nic[i], P2P_PEER_BLOCK + j * P2P_PEER_BLOCK_BYTES + P2P_PEER_BAR2), base);
			for (m = k = 0; m < w->nic[i].maps; m++)
				k += w->nic[i].map[m].iova >= base && w->nic[i].map[m].iova < base + MEM;
			assert_int_equal(k, w->nic[i].maps / (NICS - 1));
		}
	}
	/* What the returning one had been mapped at before is gone. */
	for (k = m = 0; k < w->events; k++)
		m += w->event[k].what == FAKE_UNMAP && w->event[k].arg >> 40 == 2;
	assert_int_equal(m, FAKE_QUEUES * (NICS - 1) * (1 + 3 + 2));
	assert_non_null(strstr(d->note, "nic0 at bus address 0x10000000000, not at its BAR's own (0xc0000000: NICs that run were told"));
	assert_non_null(strstr(d->note, "1 more likewise"));
	drv_destroy(d);
	fake_world_free(w);
}

/* A table that says what no driver told. */
static void test_refuses_wrong_addresses(void **state)
{
	static const uint64_t wrong[] = { 0, 1ull << 63, (2ull << 40) + 8, 7ull << 40 };
	struct drv_opts o;
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(wrong); i++) {
		struct fake_world *w = world_up();
		struct drv *d = open_all(w, straight, NICS);

		*fake_reg(&w->nic[2], P2P_PEER_BLOCK + 1 * P2P_PEER_BLOCK_BYTES + P2P_PEER_BAR2) = wrong[i];
		drv_opts_init(&o);
		assert_int_equal(drv_bring_up(d, &o), -EBUSY);
		assert_non_null(strstr(drv_error(d), "different meshes"));
		drv_destroy(d);
		check_untouched(w);
		fake_world_free(w);
	}
}

/* NICs of before there were queues run on under this driver, and one that returns is introduced to them. */
static void test_adopts_older(void **state)
{
	struct fake_world *w = fake_world_make(NICS, 2, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	fake_make_older(&w->nic[0]);
	fake_make_older(&w->nic[1]);
	d = open_all(w, straight, NICS);
	options(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	drv_destroy(d);
	fake_power_cycle(&w->nic[1]);
	d = open_all(w, straight, NICS);
	drv_opts_init(&o);
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(d->adopted, 2);
	assert_int_equal(d->introduced, 1);
	assert_int_equal(d->queues, 1);
	assert_int_equal(drv_wait_ready(d, 0), 0);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_introduces_two(void **state)
{
	struct fake_world *like = world_up(), *w = world_up();
	struct drv_opts o;
	struct drv *d;

	fake_power_cycle(&w->nic[0]);
	fake_power_cycle(&w->nic[2]);
	d = open_all(w, straight, NICS);
	options(&o); /* the pair between the two that return is known to nobody else */
	o.set = DRV_SET_PAIRS;
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(d->introduced, 2);
	drv_destroy(d);
	check_same(w, like);
	fake_world_free(w);
	fake_world_free(like);
}

/* An adoption was undone: who ran runs on, has nothing of the one that came back, and wakes the others. */
static void check_undone(const struct fake_world *w)
{
	unsigned int i, k;

	assert_true(fake_wakes_fit(w));
	for (i = 0; i < NICS; i += 2) {
		const struct fake *f = &w->nic[i];

		assert_true(f->running);
		for (k = 0; fake_count(w, FAKE_FORGET) && k < f->maps; k++)
			assert_int_not_equal(f->map[k].iova >> 40, 2);
		assert_false(fake_count(w, FAKE_FORGET) && f->reg[(P2P_PEER_BLOCK + P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL) / 4]);
	}
}

/*
 * Whatever call fails, or if NIC 1 is gone again from it on, the NICs that ran run on, and the next attempt succeeds.  All take
 * their time until they no longer use a peer.
 */
static void every_failure(bool gone)
{
	struct fake_world *like = world_up(), *w;
	struct drv_opts o;
	struct drv *d;
	unsigned int at, i;
	int rc;

	for (at = 1;; at++) {
		w = world_up();
		for (i = 0; i < NICS; i++)
			w->nic[i].late = 2;
		fake_power_cycle(&w->nic[1]);
		d = open_all(w, straight, NICS);
		w->gone = 1;
		w->gone_at = gone ? w->calls + at : 0;
		w->fail_at = gone ? 0 : w->calls + at;
		drv_opts_init(&o);
		rc = drv_bring_up(d, &o);
		drv_destroy(d);
		if (rc) {
			if (gone)
				fake_power_cycle(&w->nic[1]);
			assert_false(w->nic[1].running);
			check_undone(w);
			w->fail_at = w->gone_at = 0;
			assert_int_equal(w->nic[1].maps, 0);
			d = open_all(w, straight, NICS);
			assert_int_equal(drv_bring_up(d, &o), 0);
			drv_destroy(d);
		}
		assert_int_equal(w->early, 0);
		check_same(w, like);
		fake_world_free(w);
		if (!rc)
			break;
	}
	assert_true(at > 100);
	fake_world_free(like);
}

static void test_failed_introduction(void **state)
{
	every_failure(false);
}

static void test_gone_again(void **state)
{
	every_failure(true);
}

static const unsigned int four[] = { 0, 1, 2, 3 };

/* Four NICs, of which the first n are up, with room for `room`. */
static struct fake_world *world_growing(unsigned int n, unsigned int room)
{
	struct fake_world *w = fake_world_make(4, 2, MEM, 2048);
	struct drv *d = open_all(w, four, n);
	struct drv_opts o;

	options(&o);
	o.max_nics = room;
	o.silence_ms = 30;
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(d->max_nics, room ? room : n);
	drv_destroy(d);
	w->events = 0;
	return w;
}

static unsigned int place_of(struct fake_world *w, unsigned int nic)
{
	return *fake_reg(&w->nic[nic], P2P_NIC_INDEX);
}

/* What NIC i has mapped of the one with number k. */
static unsigned int maps_of(const struct fake_world *w, unsigned int i, unsigned int k)
{
	unsigned int m, n = 0;

	for (m = 0; m < w->nic[i].maps; m++)
		n += w->nic[i].map[m].iova >> 40 == k + 1;
	return n;
}

static int adopt_these(struct fake_world *w, const unsigned int *order, unsigned int n, const struct drv_opts *o, char why[DRV_ERR_MAX])
{
	struct drv *d = open_all(w, order, n);
	int rc = drv_bring_up(d, o);

	if (!rc)
		assert_int_equal(drv_wait_ready(d, 0), 0);
	if (why)
		snprintf(why, DRV_ERR_MAX, "%s", drv_error(d));
	drv_destroy(d);
	return rc;
}

static void check_ran_on(const struct fake_world *w, unsigned int but)
{
	unsigned int k;

	for (k = 0; k < w->events; k++) {
		const struct fake_event *e = &w->event[k];

		assert_false(e->nic != but && (e->what == FAKE_RESET || e->what == FAKE_DISABLE || e->what == FAKE_UNMAP_ALL));
	}
}

/* A fourth is added, one is stopped and left out, another comes in its place: the others run on, and all is as if it had been so. */
static void test_grows_and_shrinks(void **state)
{
	static const unsigned int rest[] = { 0, 2, 3 }, first[] = { 3, 0, 1, 2 }, other[] = { 0, 2, 3, 1 };
	const unsigned int each = FAKE_QUEUES * (1 + 3 + 2);
	struct fake_world *like = world_growing(4, 4), *w = world_growing(3, 4);
	struct drv_opts o;
	unsigned int i;

	drv_opts_init(&o);
	assert_int_equal(adopt_these(w, first, 4, &o, NULL), 0); /* given first, and has a place of its own nevertheless */
	check_ran_on(w, 3);
	assert_int_equal(place_of(w, 3), 3);
	check_same(w, like);
	for (i = 0; i < 4; i++)
		assert_int_equal(w->nic[i].maps, 3 * each);

	fake_power_cycle(&w->nic[1]);
	w->events = 0;
	assert_int_equal(adopt_these(w, rest, 3, &o, NULL), 0);
	check_ran_on(w, 1);
	for (i = 0; i < 4; i++)
		assert_int_equal(maps_of(w, i, 1), 0);
	assert_int_equal(*fake_reg(&w->nic[0], P2P_PEER_BLOCK + P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL), 0);
	w->events = 0;
	assert_int_equal(adopt_these(w, rest, 3, &o, NULL), 0); /* once is enough */
	check_untouched(w);

	assert_int_equal(adopt_these(w, other, 4, &o, NULL), 0);
	check_ran_on(w, 1);
	assert_int_equal(place_of(w, 1), 1);
	check_same(w, like);
	fake_world_free(w);
	fake_world_free(like);
}

/* Who comes takes the place of who left before one that nobody had, with its pairs. */
static void test_place_of_who_left(void **state)
{
	static const unsigned int order[] = { 0, 2, 3 };
	struct fake_world *w = world_growing(3, 5);
	struct drv_opts o;

	drv_opts_init(&o);
	fake_power_cycle(&w->nic[1]);
	assert_int_equal(adopt_these(w, order, 3, &o, NULL), 0);
	assert_int_equal(place_of(w, 3), 1);
	assert_int_equal(*fake_reg(&w->nic[3], P2P_PORT_BLOCK + P2P_PORT_PAIR), P2P_PAIR(0, 0));
	check_ran_on(w, 3);
	fake_world_free(w);
}

static void test_refuses_to_grow(void **state)
{
	static const unsigned int rest[] = { 0, 2 }, instead[] = { 0, 2, 3 };
	struct fake_world *w = world_growing(3, 3);
	char why[DRV_ERR_MAX];
	struct drv_opts o;

	drv_opts_init(&o);
	assert_int_equal(adopt_these(w, four, 4, &o, why), -EBUSY);
	assert_non_null(strstr(why, "room for 3 NICs, 4 given"));
	assert_int_equal(adopt_these(w, rest, 2, &o, why), -EBUSY);
	assert_non_null(strstr(why, "NIC 1 of 3 in its mesh, up and not given"));
	assert_int_equal(adopt_these(w, instead, 3, &o, why), -EBUSY); /* the place that is left is not free */
	assert_non_null(strstr(why, "NIC 1 of 3 in its mesh, up and not given"));
	check_untouched_first(w, 3);
	*fake_reg(&w->nic[1], P2P_NUM_NICS) = 4;
	assert_int_equal(adopt_these(w, four, 3, &o, why), -EBUSY);
	assert_non_null(strstr(why, "different meshes"));
	*fake_reg(&w->nic[1], P2P_NUM_NICS) = 33;
	assert_int_equal(adopt_these(w, four, 3, &o, why), -EPROTO);
	check_untouched_first(w, 3);
	fake_world_free(w);
}

static void test_too_little_memory(void **state)
{
	struct fake_world *w = world_up();
	struct drv_opts o;
	struct drv *d;

	fake_power_cycle(&w->nic[1]);
	*fake_reg(&w->nic[1], P2P_MEM_SIZE) = 2ull << 20;
	d = open_all(w, straight, NICS);
	drv_opts_init(&o);
	assert_int_equal(drv_bring_up(d, &o), -ENOSPC);
	drv_destroy(d);
	assert_true(w->nic[0].running && w->nic[2].running);
	assert_int_equal(fake_count(w, FAKE_RESET), 0);
	fake_world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adopts_without_touching),
		cmocka_unit_test(test_changes_only_pairs_asked_for),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_keeps_placement),
		cmocka_unit_test(test_introduces_returning),
		cmocka_unit_test(test_keeps_addresses),
		cmocka_unit_test(test_refuses_wrong_addresses),
		cmocka_unit_test(test_adopts_older),
		cmocka_unit_test(test_introduces_two),
		cmocka_unit_test(test_failed_introduction),
		cmocka_unit_test(test_gone_again),
		cmocka_unit_test(test_grows_and_shrinks),
		cmocka_unit_test(test_place_of_who_left),
		cmocka_unit_test(test_refuses_to_grow),
		cmocka_unit_test(test_too_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
