/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of a bring-up, what each NIC may reach, and its undoing at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/drv.h"
#include "fake_fn.h"

#define MEM (64ull << 20)

static int add_all(struct drv *d, struct fake_world *w)
{
	struct transport *t;
	char name[16];
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < w->n; i++) {
		snprintf(name, sizeof(name), "nic%u", i);
		assert_int_equal(transport_local_open(&t, &fake_ops, &w->nic[i]), 0);
		rc = drv_add(d, t, name);
	}
	return rc;
}

static int up(struct drv *d, struct fake_world *w, const struct drv_opts *o)
{
	int rc = add_all(d, w);

	return rc ? rc : drv_bring_up(d, o);
}

static void options(struct drv_opts *o, enum p2p_mode mode)
{
	drv_opts_init(o);
	o->mode = mode;
	o->slots = 128;
}

/* Phases that must not overlap, in their order; decode happens for the identity already and once more after the reset. */
static void check_order(const struct fake_world *w, enum p2p_mode mode)
{
	static const enum fake_what order[] = { FAKE_RESET, FAKE_DECODE, FAKE_MASTER, FAKE_CONFIGURE, FAKE_HOST, FAKE_MAP,
						FAKE_INTRODUCE, FAKE_WAKE, FAKE_PAIR, FAKE_ENABLE };
	unsigned int k, phase = 0, m;
	bool reset = false;

	for (k = 0; k < w->events; k++) {
		enum fake_what what = w->event[k].what;

		reset = reset || what == FAKE_RESET;
		if (!reset || what == FAKE_UNMAP_ALL || what == FAKE_ATTACH)
			continue;
		if (what == FAKE_BELL)
			what = FAKE_WAKE;
		if (mode == P2P_MODE_BN && what == FAKE_MAP && phase <= 4)
			continue; /* main memory, between host registers */
		for (m = 0; m < P2P_ARRAY_SIZE(order) && order[m] != what; m++)
			;
		assert_true(m < P2P_ARRAY_SIZE(order));
		assert_true(m >= phase);
		phase = m;
	}
	assert_int_equal(phase, P2P_ARRAY_SIZE(order) - 1);
}

static void check_reach(struct fake_world *w, struct drv *d, enum p2p_mode mode)
{
	unsigned int i, j, s, p, maps;

	for (i = 0; i < w->n; i++) {
		maps = mode == P2P_MODE_BN ? 2 : 0;
		for (j = 0; j < w->n; j++) {
			const struct p2p_shape *shape = &d->nic[j].shape;

			for (s = 0; s < p2p_seg_total(shape); s++) {
				const struct fake_map *m = fake_find_map(&w->nic[i], drv_peer_base(d, j) + p2p_seg_offset(shape, s),
									 p2p_seg_bytes(shape, p2p_seg_kind(shape, s)));
				unsigned int k = s % p2p_seg_count(shape);
				bool rw = k == p2p_seg_ring(shape, i), ro = false;

				for (p = 0; p <= shape->ports; p++)
					rw = rw || k == p2p_seg_buf(shape, p, i);
				for (p = 0; p < shape->ports; p++)
					ro = ro || (mode == P2P_MODE_RD && k == p2p_seg_rx(shape, p));
				if (i == j)
					rw = ro = false;
				assert_int_equal(m != NULL, rw || ro);
				if (m)
					assert_int_equal(m->prot, rw ? P2P_DMA_READ | P2P_DMA_WRITE : P2P_DMA_READ);
				maps += rw || ro;
			}
		}
		assert_int_equal(w->nic[i].maps, maps);
	}
}

static void check_wakes(struct fake_world *w, enum p2p_mode mode, unsigned int queues)
{
	unsigned int i, j, q;

	for (i = 0; i < w->n; i++) {
		for (q = 0; q < P2P_MAX_QUEUES; q++) {
			assert_int_equal(w->nic[i].wake[q], q < queues);
			for (j = 0; j < w->n; j++)
				assert_int_equal(w->nic[i].bell[q * P2P_MAX_NICS + j], q < queues && (i != j || mode == P2P_MODE_BN));
		}
	}
}

static void check_up(enum p2p_mode mode, unsigned int queues)
{
	struct drv_pair pair = { .a = 0, .a_port = 1, .b = 2, .b_port = 0 };
	struct fake_world *w = fake_world_make(3, 2, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	options(&o, mode);
	o.queues = queues;
	o.pairs = &pair;
	o.num_pairs = 1;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(up(d, w, &o), 0);
	/* Only bn has host registers: without them the phase is skipped. */
	check_order(w, mode);
	check_reach(w, d, mode);
	check_wakes(w, mode, queues);
	assert_int_equal(fake_count(w, FAKE_RESET), 3);
	assert_int_equal(fake_count(w, FAKE_INTRODUCE), 9);
	assert_int_equal(fake_count(w, FAKE_PAIR), 2);
	assert_int_equal(*fake_reg(&w->nic[0], P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR), P2P_PAIR(2, 0));
	assert_int_equal(*fake_reg(&w->nic[2], P2P_PORT_BLOCK + P2P_PORT_PAIR), P2P_PAIR(0, 1));
	assert_int_equal(*fake_reg(&w->nic[1], P2P_PEER_BLOCK + 1 * P2P_PEER_BLOCK_BYTES + P2P_PEER_BAR2), 1ull << 63);
	assert_int_equal(*fake_reg(&w->nic[1], P2P_QUEUES), queues);
	assert_int_equal(*fake_reg(&w->nic[1], P2P_PEER_BLOCK + 2 * P2P_PEER_BLOCK_BYTES + P2P_PEER_QUEUE_STEP),
			 p2p_plane_bytes(&d->nic[2].shape));
	assert_int_equal(drv_wait_ready(d, 0), 0);
	assert_int_equal(drv_bn(d) != NULL, mode == P2P_MODE_BN);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_order(void **state)
{
	check_up(P2P_MODE_WR, 1);
	check_up(P2P_MODE_RD, 1);
	check_up(P2P_MODE_BN, 1);
	check_up(P2P_MODE_WR, 2);
	check_up(P2P_MODE_RD, 2);
}

/* As many as all can have, unless fewer are asked for or something has one only. */
static void test_queues(void **state)
{
	static const struct { enum p2p_mode mode; unsigned int asked; bool bridge; unsigned int have; } try[] = {
		{ P2P_MODE_WR, 0, false, 2 }, { P2P_MODE_WR, 1, false, 1 }, { P2P_MODE_WR, 0, true, 2 },
		{ P2P_MODE_BN, 0, false, 1 }, { P2P_MODE_WR, 3, false, 0 }, { P2P_MODE_WR, 2, true, 2 },
		{ P2P_MODE_BN, 2, false, 0 },
	};
	struct fake_world *w;
	struct drv_opts o;
	struct drv *d;
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(try); k++) {
		w = fake_world_make(2, 1, MEM, 2048);
		options(&o, try[k].mode);
		o.queues = try[k].asked;
		o.bridge = try[k].bridge;
		assert_int_equal(drv_create(&d), 0);
		assert_int_equal(up(d, w, &o), try[k].have ? 0 : -EINVAL);
		assert_int_equal(*fake_reg(&w->nic[1], P2P_QUEUES), try[k].have);
		if (!try[k].have)
			assert_non_null(strstr(drv_error(d), try[k].asked == 3 ? "--queues 3" : "2 queues"));
		drv_destroy(d);
		fake_world_free(w);
	}
	/* One that can have but one. */
	w = fake_world_make(2, 1, MEM, 2048);
	*fake_reg(&w->nic[1], P2P_QUEUES_MAX) = 1;
	options(&o, P2P_MODE_WR);
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(up(d, w, &o), 0);
	assert_int_equal(*fake_reg(&w->nic[0], P2P_QUEUES), 1);
	drv_destroy(d);
	fake_world_free(w);
}

static void check_nothing_left(struct fake_world *w)
{
	unsigned int i, j;

	for (i = 0; i < w->n; i++) {
		struct fake *f = &w->nic[i];

		assert_false(f->running);
		assert_false(f->configured);
		assert_false(f->persist);
		for (j = 0; j < P2P_MAX_QUEUES; j++)
			assert_false(f->wake[j]);
		assert_int_equal(f->maps, 0);
		for (j = 0; j < P2P_ARRAY_SIZE(f->bell); j++)
			assert_false(f->bell[j]);
	}
}

/* Fails once at every single call of the driver's, for each mode. */
static void test_undo(void **state)
{
	static const enum p2p_mode modes[] = { P2P_MODE_WR, P2P_MODE_RD, P2P_MODE_BN };
	struct drv_pair pair = { .a = 0, .a_port = 0, .b = 1, .b_port = 0 };
	struct fake_world *w;
	struct drv_opts o;
	struct drv *d;
	unsigned int k, at;
	int rc;

	for (k = 0; k < 3; k++) {
		for (at = 1;; at++) {
			options(&o, modes[k]);
			o.persist = true;
			o.pairs = &pair;
			o.num_pairs = 1;
			w = fake_world_make(2, 1, MEM, 2048);
			w->fail_at = at;
			assert_int_equal(drv_create(&d), 0);
			rc = up(d, w, &o);
			if (rc) {
				assert_true(strlen(drv_error(d)) > 10);
				assert_null(strchr(drv_error(d), '\n'));
				check_nothing_left(w);
			}
			drv_destroy(d);
			if (rc)
				check_nothing_left(w);
			fake_world_free(w);
			if (!rc)
				break;
		}
		assert_true(at > 100);
	}
}

/* bn maps the doorbell segment: another process's descriptor must not be able to kill the driver. */
static void test_doorbell_memory(void **state)
{
	struct fake_world *w;
	struct drv_opts o;
	struct drv *d;
	unsigned int k;

	for (k = 0; k < 2; k++) {
		w = fake_world_make(2, 1, MEM, 2048);
		close(w->nic[1].fd);
		w->nic[1].fd = memfd_create("bad", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_int_equal(ftruncate(w->nic[1].fd, k ? 1024 : MEM), 0); /* not sealed; sealed but too short */
		if (k)
			assert_int_equal(fcntl(w->nic[1].fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
		options(&o, P2P_MODE_BN);
		assert_int_equal(drv_create(&d), 0);
		assert_int_equal(up(d, w, &o), -EINVAL);
		assert_non_null(strstr(drv_error(d), "doorbell"));
		check_nothing_left(w);
		drv_destroy(d);
		fake_world_free(w);
	}
}

static void test_refused_configuration(void **state)
{
	struct fake_world *w = fake_world_make(2, 1, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	options(&o, P2P_MODE_WR);
	w->nic[1].refuse_configure = true;
	assert_int_equal(drv_create(&d), 0);
	assert_int_not_equal(up(d, w, &o), 0);
	assert_non_null(strstr(drv_error(d), "nic1"));
	check_nothing_left(w);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_identity(void **state)
{
	struct fake_world *w = fake_world_make(2, 1, MEM, 2048);
	struct drv *d;

	*fake_reg(&w->nic[1], P2P_MAGIC) = 0xffffffff;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), -ENODEV);
	assert_int_equal(w->nic[1].command, 0);
	drv_destroy(d);
	*fake_reg(&w->nic[1], P2P_MAGIC) = P2P_REG_MAGIC_VALUE;
	*fake_reg(&w->nic[1], P2P_VERSION) = P2P_REG_VERSION_VALUE + 0x10000;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), -EPROTO);
	drv_destroy(d);
	assert_int_equal(fake_count(w, FAKE_RESET), 0);
	fake_world_free(w);
}

/* Beside an older NIC all have one queue; what it lacks is not touched.  A newer minor is taken. */
static void test_versions(void **state)
{
	struct fake_world *w = fake_world_make(2, 1, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	fake_make_older(&w->nic[1]);
	*fake_reg(&w->nic[0], P2P_FEATURES) = P2P_FEAT_ALL | P2P_FEAT_CUT;
	options(&o, P2P_MODE_WR);
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(up(d, w, &o), 0);
	assert_int_equal(d->queues, 1);
	check_reach(w, d, P2P_MODE_WR);
	assert_int_equal(drv_down(d), 0);
	o.queues = 2;
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	assert_non_null(strstr(drv_error(d), "nic1"));
	o.queues = 0;
	o.cut = true;
	assert_int_equal(drv_bring_up(d, &o), -EOPNOTSUPP);
	assert_non_null(strstr(drv_error(d), "nic1"));
	drv_destroy(d);
	check_nothing_left(w);
	fake_world_free(w);

	w = fake_world_make(2, 1, MEM, 2048);
	*fake_reg(&w->nic[1], P2P_VERSION) = P2P_REG_VERSION_VALUE + 1;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), 0);
	assert_int_equal(d->nic[1].max_queues, FAKE_QUEUES);
	drv_destroy(d);
	*fake_reg(&w->nic[1], P2P_QUEUES_MAX) = P2P_MAX_QUEUES + 1;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), -EPROTO);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_one_address_twice(void **state)
{
	struct fake_world *w = fake_world_make(2, 2, MEM, 2048);
	struct drv *d;

	*fake_reg(&w->nic[1], P2P_PORT_BLOCK + P2P_PORT_MAC) =
		*fake_reg(&w->nic[0], P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC);
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), -EEXIST);
	assert_non_null(strstr(drv_error(d), "MAC"));
	drv_destroy(d);
	fake_world_free(w);
}

static void test_options(void **state)
{
	static const struct { uint32_t batch, stride, slots; } bad[] = {
		{ 0, 64, 128 }, { 65, 64, 128 }, { 8, 3, 128 }, { 8, 2, 128 }, { 8, 512, 128 }, { 8, 128, 128 }, { 8, 64, 63 },
		{ 8, 64, 16385 },
	};
	struct drv_pair pair[2] = { { 0, 0, 1, 0 }, { 1, 0, 0, 0 } };
	struct fake_world *w = fake_world_make(2, 1, MEM, 2112);
	struct drv_opts o;
	struct drv *d;
	unsigned int k;

	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), 0);
	for (k = 0; k < P2P_ARRAY_SIZE(bad); k++) {
		options(&o, P2P_MODE_WR);
		o.batch = bad[k].batch;
		o.stride = bad[k].stride;
		o.slots = bad[k].slots;
		assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	}
	options(&o, P2P_MODE_WR);
	o.pairs = pair;
	o.num_pairs = 2; /* the same two ports twice */
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	o.num_pairs = 1;
	pair[0].b_port = 1;
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	pair[0] = (struct drv_pair){ 0, 0, 0, 0 };
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	pair[0] = (struct drv_pair){ 0, 0, 2, 0 };
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	drv_destroy(d);
	check_nothing_left(w);
	fake_world_free(w);
}

/* Only in wr, and only if every NIC can. */
static void test_cut(void **state)
{
	struct fake_world *w = fake_world_make(2, 1, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), 0);
	options(&o, P2P_MODE_RD);
	o.cut = true;
	assert_int_equal(drv_bring_up(d, &o), -EINVAL);
	options(&o, P2P_MODE_WR);
	o.cut = true;
	*fake_reg(&w->nic[0], P2P_FEATURES) = P2P_FEAT_ALL | P2P_FEAT_CUT;
	*fake_reg(&w->nic[1], P2P_FEATURES) = P2P_FEAT_ALL;
	assert_int_equal(drv_bring_up(d, &o), -EOPNOTSUPP);
	check_nothing_left(w);
	*fake_reg(&w->nic[1], P2P_FEATURES) = P2P_FEAT_ALL | P2P_FEAT_CUT;
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_true(*fake_reg(&w->nic[0], P2P_FLAGS) & *fake_reg(&w->nic[1], P2P_FLAGS) & P2P_FLAG_CUT);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_shape(void **state)
{
	static const uint32_t bufs[] = { 2048, 2112, 4096, 9728 };
	struct p2p_shape s[3], larger[3];
	uint64_t mem[3];
	unsigned int b, m, i, tight;
	struct drv_opts o;
	char err[DRV_ERR_MAX];
	int rc;

	for (b = 0; b < 4; b++) {
		for (m = 1; m <= 10; m++) {
			drv_opts_init(&o);
			for (i = 0; i < 3; i++) {
				s[i] = (struct p2p_shape){ .nics = 3, .ports = 1 + i, .buf_size = bufs[b] };
				mem[i] = 1ull << (20 + m);
			}
			rc = drv_shape_choose(s, mem, 3, &o, &tight, err);
			if (rc) {
				assert_int_equal(rc, -ENOSPC);
				s[tight].slots = s[tight].rx_bufs = P2P_MIN_SLOTS;
				assert_true(p2p_memory_needed(&s[tight]) > mem[tight]);
				assert_non_null(strstr(err, "KiB"));
				continue;
			}
			for (i = 0; i < 3; i++) {
				assert_true(p2p_memory_needed(&s[i]) <= mem[i]);
				assert_int_equal(s[i].slots, s[0].slots);
				assert_int_equal(s[i].slots & (s[i].slots - 1), 0);
				assert_true(s[i].slots >= P2P_MIN_SLOTS && s[i].slots <= o.slots);
				larger[i] = s[i];
				larger[i].slots = larger[i].rx_bufs = 2 * s[i].slots;
			}
			/* Nothing larger would have done. */
			if (s[0].slots < o.slots)
				assert_true(p2p_memory_needed(&larger[0]) > mem[0] || p2p_memory_needed(&larger[1]) > mem[1] ||
					    p2p_memory_needed(&larger[2]) > mem[2]);
		}
	}
}

static void test_shape_asked(void **state)
{
	struct p2p_shape s = { .nics = 2, .ports = 1, .buf_size = 2048 };
	uint64_t mem = MEM;
	struct drv_opts o;
	unsigned int tight;
	char err[DRV_ERR_MAX];

	drv_opts_init(&o);
	o.slots = 1000; /* rounded down */
	assert_int_equal(drv_shape_choose(&s, &mem, 1, &o, &tight, err), 0);
	assert_int_equal(s.slots, 512);
	assert_int_equal(s.rx_bufs, 1024);
	o.mode = P2P_MODE_RD;
	assert_int_equal(drv_shape_choose(&s, &mem, 1, &o, &tight, err), 0);
	assert_int_equal(s.rx_bufs, 2048);
	o.rx_bufs = 100;
	assert_int_equal(drv_shape_choose(&s, &mem, 1, &o, &tight, err), 0);
	assert_int_equal(s.rx_bufs, 100);
}

static void test_down(void **state)
{
	struct fake_world *w = fake_world_make(3, 1, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	options(&o, P2P_MODE_WR);
	o.persist = true;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(up(d, w, &o), 0);
	drv_destroy(d);
	assert_true(w->nic[0].running && w->nic[1].running && w->nic[2].running);
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), 0);
	w->events = 0;
	assert_int_equal(drv_down(d), 0);
	/* All are disabled before the first is reset. */
	assert_int_equal(w->event[0].what, FAKE_DISABLE);
	assert_int_equal(w->event[1].what, FAKE_DISABLE);
	assert_int_equal(w->event[2].what, FAKE_DISABLE);
	assert_int_equal(w->event[3].what, FAKE_RESET);
	check_nothing_left(w);
	drv_destroy(d);
	fake_world_free(w);
}

/* NICs that run while their descriptors are held: no persist bit, no eventfds; maps where their IOMMU has addresses. */
static void test_held(void **state)
{
	struct fake_world *w = fake_world_make(3, 2, MEM, 2048);
	struct drv_opts o;
	struct drv *d;
	unsigned int i;

	options(&o, P2P_MODE_WR);
	o.persist = true;
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_all(d, w), 0);
	assert_false(drv_held(d));
	drv_destroy(d);
	assert_int_equal(drv_create(&d), 0);
	for (i = 0; i < w->n; i++) {
		struct transport *t;
		char name[16];

		snprintf(name, sizeof(name), "nic%u", i);
		assert_int_equal(transport_local_open(&t, &fake_ops, &w->nic[i]), 0);
		t->flags = TRANSPORT_HELD;
		t->bus_bits = i == 1 ? 39 : 48;
		assert_int_equal(drv_add(d, t, name), 0);
	}
	assert_true(drv_held(d));
	assert_int_equal(d->bus_shift, 33);
	w->events = 0;
	assert_int_equal(drv_bring_up(d, &o), 0);
	assert_int_equal(fake_count(w, FAKE_WAKE) + fake_count(w, FAKE_BELL), 0);
	for (i = 0; i < w->n; i++) {
		assert_true(w->nic[i].running && !w->nic[i].persist && w->nic[i].maps);
		for (unsigned int m = 0; m < w->nic[i].maps; m++)
			assert_int_equal((w->nic[i].map[m].iova + w->nic[i].map[m].size - 1) >> 39, 0);
	}
	check_reach(w, d, P2P_MODE_WR);
	drv_destroy(d);
	fake_world_free(w);
}

static int add_in_space(struct drv *d, struct fake *f, const struct bus_space *s, uint64_t bar2)
{
	struct transport *t;
	char name[16];

	snprintf(name, sizeof(name), "nic%u", f->number);
	assert_int_equal(transport_local_open(&t, &fake_ops, f), 0);
	t->flags = TRANSPORT_HELD;
	t->bus_bits = 48;
	t->space = s;
	t->bar2 = bar2;
	return drv_add(d, t, name);
}

/* NICs in one space lie at their BARs' own addresses, those that can't elsewhere, and it is said of them; main memory keeps clear. */
static void test_own_addresses(void **state)
{
	const struct bus_range pci = { 33ull << 40, (33ull << 40) + 4095 }; /* where main memory's areas would be */
	struct bus_space s = { .take = { { 0, 0xfedfffff }, { 0xfef00000, (1ull << 48) - 1 } }, .takes = 2,
			       .pci = (struct bus_range *)&pci, .pcis = 1 };
	const uint64_t own[] = { 0xe0000000, 0x383fc0000000, 1ull << 50 };
	struct drv_opts o;
	unsigned int mode, i, j;

	for (mode = 0; mode < P2P_NUM_MODES; mode++) {
		struct fake_world *w = fake_world_make(3, 2, MEM, 2048);
		struct drv *d;

		options(&o, mode);
		assert_int_equal(drv_create(&d), 0);
		for (i = 0; i < 3; i++)
			assert_int_equal(add_in_space(d, &w->nic[i], &s, own[i]), 0);
		assert_int_equal(drv_bring_up(d, &o), 0);
		assert_int_equal(drv_peer_base(d, 0), own[0]);
		assert_int_equal(drv_peer_base(d, 1), own[1]);
		assert_int_equal(drv_peer_base(d, 2), 3ull << 40);
		for (i = 0; i < 3; i++)
			for (j = 0; j < 3; j++)
				assert_int_equal(*fake_reg(&w->nic[i], P2P_PEER_BLOCK + j * P2P_PEER_BLOCK_BYTES + P2P_PEER_BAR2),
						 i == j ? DRV_BUS_LOCAL : drv_peer_base(d, j));
		if (mode == P2P_MODE_BN) {
			assert_int_equal(drv_host_area_base(d), 1ull << 40);
			assert_non_null(fake_find_map(&w->nic[0], 1ull << 40, p2p_host_area_bytes(&d->nic[0].shape)));
		} else {
			check_reach(w, d, mode);
		}
		assert_non_null(strstr(d->note, "peers reach nic2 at bus address 0x30000000000, not at its BAR's own (0x4000000000000: its"
				       " IOMMU does not take that); by way of the root complex"));
		assert_null(strstr(d->note, "nic0"));
		assert_null(strstr(d->note, "likewise"));
		drv_destroy(d);
		fake_world_free(w);
	}
}

static void test_no_addresses_left(void **state)
{
	struct bus_space s = { .take = { { 0, 0xfedfffff } }, .takes = 1 };
	struct fake_world *w = fake_world_make(1, 2, MEM, 2048);
	struct drv_opts o;
	struct drv *d;

	options(&o, P2P_MODE_WR);
	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(add_in_space(d, &w->nic[0], &s, 0xe0000000), 0);
	w->events = 0;
	assert_int_equal(drv_bring_up(d, &o), -ENOSPC);
	assert_non_null(strstr(drv_error(d), "no bus addresses for main memory's areas"));
	assert_int_equal(w->events, 0);
	drv_destroy(d);
	fake_world_free(w);
}

static void test_bus_too_small(void **state)
{
	struct fake_world *w = fake_world_make(1, 1, MEM, 2048);
	struct transport *t;
	struct drv *d;

	assert_int_equal(drv_create(&d), 0);
	assert_int_equal(transport_local_open(&t, &fake_ops, &w->nic[0]), 0);
	t->bus_bits = 31;
	assert_int_equal(drv_add(d, t, "nic0"), -ENOSPC);
	assert_non_null(strstr(drv_error(d), "31 bits"));
	drv_destroy(d);
	fake_world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_doorbell_memory),
		cmocka_unit_test(test_refused_configuration),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_one_address_twice),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_shape_asked),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_own_addresses),
		cmocka_unit_test(test_no_addresses_left),
		cmocka_unit_test(test_bus_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
