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

static void check_untouched(const struct fake_world *w)
{
	unsigned int k;

	for (k = 0; k < w->events; k++)
		assert_true(w->event[k].what == FAKE_ATTACH || w->event[k].what == FAKE_DETACH);
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
	for (i = 0; i < NICS; i++) {
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
				    NICS * P2P_PEER_BLOCK_BYTES / 4 * sizeof(a->reg[0]));
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
	refuse(w, &o, NICS - 1); /* a mesh of three */
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
		cmocka_unit_test(test_too_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
