/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random trees under random traffic, with few credits: everything arrives, nothing
 * locks up, every credit comes home, and the same seed gives the same run.
 *
 * Endpoint memory: the lower half is never written and holds a pattern, which
 * reads are checked against; in the upper half every writer has a part of its own.
 */
#include "rig.h"

#define HALF 0x40000u
#define PART 0x4000u /* of a writer */
#define MAX_EPS 12
#define ACTIONS 60

struct rng {
	uint64_t s;
};

static uint32_t rnd(struct rng *g, uint32_t n)
{
	g->s = g->s * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((g->s >> 33) % n);
}

struct action {
	struct fab_req req;
	struct actor *actor;
	uint8_t *buf;
	unsigned int target;
	bool read, busy;
};

struct actor {
	struct world *w;
	unsigned int k, left, flying;
	struct action act[4];
};

struct world {
	struct rig r;
	struct rng g;
	struct actor actor[MAX_EPS + 1]; /* the last one: the root's CPU */
	struct fab_node *root;
	uint8_t *mirror[MAX_EPS]; /* what the upper halves must become */
	uint64_t hash, tlps;
	uint64_t lost, came; /* reads */
	bool lossy, errs;
};

static uint8_t pattern(uint64_t addr)
{
	return (uint8_t)((addr * 0x9e3779b97f4a7c15ull) >> 56);
}

static void hash_tlp(void *arg, const struct fab_tlp_view *v)
{
	struct world *w = arg;
	const uint64_t word[] = { v->at_ps,  v->type, v->requester, v->completer, v->tag,
				  v->addr,   v->len,  v->remaining, v->up,	  v->data ? v->data[v->len - 1] : 256u,
				  v->link_id };

	/* no TLP crosses a page or is longer than its link allows */
	if (v->type != FAB_CPL)
		assert_true(v->addr / 4096 == (v->addr + v->len - 1) / 4096);
	if (v->type != FAB_MRD)
		assert_true(v->addr % 4 + v->len <= fab_node_link(v->link)->mps);
	for (unsigned int k = 0; k < sizeof(word) / sizeof(word[0]); k++)
		w->hash = (w->hash ^ word[k]) * 0x100000001b3ull;
	w->tlps++;
}

static void act(struct actor *a);

static void acted(struct fab_req *req)
{
	struct action *x = (struct action *)req;

	assert_true(x->busy);
	if (x->read) {
		struct world *w = x->actor->w;

		w->lost += req->lost;
		w->came += !req->lost;
		assert_true(w->lossy || !req->lost);
		for (uint32_t k = 0; k < req->len; k++)
			assert_int_equal(x->buf[k], req->lost ? 0xee : pattern(req->addr + k));
	}
	/* whatever is in the buffer of a finished write no longer matters */
	memset(x->buf, 0xee, req->len);
	x->busy = false;
	x->actor->flying--;
	act(x->actor);
}

static void act_one(struct actor *a, struct action *x)
{
	struct world *w = a->w;
	struct rng *g = &w->g;
	unsigned int target = rnd(g, w->r.num_eps);
	uint32_t len = 1 + rnd(g, rnd(g, 2) ? 200 : 8000), offset;
	struct rig_ep *e = &w->r.ep[target];

	x->read = rnd(g, 2);
	x->busy = true;
	a->flying++;
	a->left--;
	x->req = (struct fab_req){ .data = x->buf, .len = len, .done = acted };
	if (x->read) {
		offset = rnd(g, HALF - len);
		x->req.addr = e->base + offset;
		fab_read(a->k == MAX_EPS ? w->root : w->r.ep[a->k].node, &x->req);
		return;
	}
	offset = HALF + a->k * PART + rnd(g, PART - len);
	x->req.addr = e->base + offset;
	for (uint32_t k = 0; k < len; k++)
		x->buf[k] = (uint8_t)rnd(g, 256);
	memcpy(w->mirror[target] + offset, x->buf, len);
	fab_write(a->k == MAX_EPS ? w->root : w->r.ep[a->k].node, &x->req);
}

static void act(struct actor *a)
{
	for (unsigned int k = 0; k < 4; k++)
		if (a->left && !a->act[k].busy)
			act_one(a, &a->act[k]);
}

static struct fab_credits random_credits(struct rng *g, uint32_t mps)
{
	struct fab_credits c;

	for (int k = 0; k < FAB_NUM_CLASSES; k++) {
		c.hdr[k] = rnd(g, 5);
		c.data_bytes[k] = rnd(g, 3) * mps;
	}
	return c;
}

static struct fab_link_cfg random_link(struct world *w)
{
	struct rng *g = &w->g;
	struct fab_link_cfg link;

	fab_link_cfg_init(&link, rnd(g, 7), 1u << rnd(g, 5));
	link.mps = 128u << rnd(g, 3);
	link.prop_ps = rnd(g, 3) ? rnd(g, 100000) : 0;
	link.down = random_credits(g, link.mps);
	link.up = random_credits(g, link.mps);
	link.bit_error_rate = w->errs ? rnd(g, 1000) * 1e-7 : 0;
	return link;
}

static struct fab_ep_cfg random_ep(struct rng *g, bool lossy)
{
	struct fab_ep_cfg cfg = rig_ep_cfg();

	cfg.tags = 1 + rnd(g, 8);
	cfg.mrrs = 128u << rnd(g, 4);
	cfg.rcb = rnd(g, 2) ? 64 : 128;
	cfg.latency_ps = rnd(g, 2) * rnd(g, 300000);
	cfg.read_latency_ps = rnd(g, 2) * rnd(g, 300000);
	cfg.read_gap_ps = rnd(g, 2) * rnd(g, 50000);
	cfg.read_bytes_per_s = rnd(g, 2) * 1e9;
	cfg.write_gap_ps = rnd(g, 2) * rnd(g, 50000);
	cfg.write_bytes_per_s = rnd(g, 2) * 2e9;
	cfg.timeout_ps = lossy ? 1000000 + rnd(g, 100000000) : 0;
	return cfg;
}

static struct fab_loss random_loss(struct world *w)
{
	struct fab_loss loss = { .congested = false };

	if (!w->lossy)
		return loss;
	loss.congested = rnd(&w->g, 2);
	for (int k = 0; k < FAB_NUM_TYPES; k++)
		loss.ppm[k] = rnd(&w->g, 20000);
	return loss;
}

static void random_switch(struct world *w, const char *name, struct fab_node *parent, const struct fab_link_cfg *link,
			  struct fab_node **out)
{
	struct fab_switch_cfg cfg = { .latency_ps = rnd(&w->g, 200000), .loss = random_loss(w) };

	if (fab_add_switch(w->r.f, name, parent, link, &cfg, out, w->r.err))
		fail_msg("%s", w->r.err);
}

/* The root is a root complex or a switch; the tree grows at random places. */
static void world_build(struct world *w)
{
	struct fab_node *inner[16];
	struct rng *g = &w->g;
	unsigned int num_inner = 1, switches = rnd(g, 6), eps = 2 + rnd(g, MAX_EPS - 1);

	if (rnd(g, 2)) {
		struct fab_root_cfg cfg = rig_root_cfg();

		cfg.p2p_bytes_per_s = rnd(g, 2) * 3e9;
		cfg.latency_ps = rnd(g, 200000);
		cfg.p2p_latency_ps = rnd(g, 200000);
		cfg.mem_bytes = 0;
		cfg.timeout_ps = w->lossy ? 1000000 + rnd(g, 100000000) : 0;
		cfg.loss = random_loss(w);
		assert_int_equal(fab_add_root(w->r.f, "root", &cfg, NULL, NULL, &inner[0], w->r.err), 0);
		w->root = inner[0];
	} else {
		random_switch(w, "top", NULL, NULL, &inner[0]);
	}
	for (unsigned int k = 0; k < switches; k++) {
		struct fab_link_cfg link = random_link(w);
		char name[16];

		snprintf(name, sizeof(name), "sw%u", k);
		random_switch(w, name, inner[rnd(g, num_inner)], &link, &inner[num_inner]);
		num_inner++;
	}
	for (unsigned int k = 0; k < eps; k++) {
		struct fab_link_cfg link = random_link(w);
		struct fab_ep_cfg cfg = random_ep(g, w->lossy);

		rig_endpoint(&w->r, inner[rnd(g, num_inner)], &link, &cfg, 2 * HALF);
	}
	rig_finish(&w->r);
}

static uint64_t reads_lost, replays;

/* lossy: losses in every switch; errs: bit errors on every link. */
static void world_run(uint64_t seed, bool lossy, bool errs, uint64_t *hash, uint64_t *events)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t end;

	assert_non_null(w);
	w->g.s = seed;
	w->lossy = lossy;
	w->errs = errs;
	rnd(&w->g, 2);
	rig_open(&w->r, seed);
	world_build(w);
	fab_trace(w->r.f, hash_tlp, w);
	for (unsigned int k = 0; k < w->r.num_eps; k++) {
		struct rig_ep *e = &w->r.ep[k];

		for (uint32_t i = 0; i < HALF; i++)
			e->mem[i] = pattern(e->base + i);
		w->mirror[k] = calloc(1, 2 * HALF);
		assert_non_null(w->mirror[k]);
		memcpy(w->mirror[k], e->mem, 2 * HALF);
	}
	for (unsigned int k = 0; k <= MAX_EPS; k++) {
		struct actor *a = &w->actor[k];

		a->w = w;
		a->k = k;
		a->left = k < w->r.num_eps || (k == MAX_EPS && w->root) ? ACTIONS : 0;
		for (unsigned int i = 0; i < 4; i++) {
			a->act[i].actor = a;
			a->act[i].buf = malloc(8200);
			assert_non_null(a->act[i].buf);
			memset(a->act[i].buf, 0xee, 8200);
		}
		act(a);
	}
	while ((end = fab_queue_next(w->r.q)) != FAB_NEVER)
		fab_queue_run(w->r.q, end);
	for (unsigned int k = 0; k <= MAX_EPS; k++) {
		if (w->actor[k].left || w->actor[k].flying)
			fail_msg("seed %llu: requester %u stands still with %u requests unfinished",
				 (unsigned long long)seed, k, w->actor[k].flying);
		for (unsigned int i = 0; i < 4; i++)
			free(w->actor[k].act[i].buf);
	}
	if (!fab_idle(w->r.f))
		fail_msg("seed %llu: credits are missing", (unsigned long long)seed);
	for (unsigned int k = 0; k < w->r.num_eps; k++) {
		if (!lossy && memcmp(w->mirror[k], w->r.ep[k].mem, 2 * HALF))
			fail_msg("seed %llu: endpoint %u has other bytes than were written", (unsigned long long)seed,
				 k);
		free(w->mirror[k]);
	}
	assert_true(w->tlps > ACTIONS);
	assert_true(w->came > 0);
	reads_lost += w->lost;
	for (unsigned int k = 0; k < w->r.num_eps; k++)
		replays += fab_link_stats(w->r.ep[k].node, true)->replays;
	*hash = w->hash;
	*events = fab_queue_count(w->r.q);
	rig_close(&w->r);
	free(w);
}

static void test_trees(void **state)
{
	uint64_t hash, events;

	for (uint64_t seed = 1; seed <= 60; seed++)
		world_run(seed, false, false, &hash, &events);
	assert_int_equal(replays, 0);
}

static void test_losses(void **state)
{
	uint64_t hash, events;

	for (uint64_t seed = 500; seed <= 540; seed++)
		world_run(seed, true, false, &hash, &events);
	assert_true(reads_lost > 100);
}

static void test_bit_errors(void **state)
{
	uint64_t hash, events;

	replays = 0;
	for (uint64_t seed = 700; seed <= 730; seed++)
		world_run(seed, seed % 4 == 0, true, &hash, &events);
	assert_true(replays > 1000);
}

static void test_same_again(void **state)
{
	uint64_t hash[3], events[3];

	for (uint64_t seed = 100; seed < 105; seed++) {
		world_run(seed, seed % 2, seed % 3, &hash[0], &events[0]);
		world_run(seed, seed % 2, seed % 3, &hash[1], &events[1]);
		world_run(seed + 100, seed % 2, seed % 3, &hash[2], &events[2]);
		assert_true(hash[0] == hash[1]);
		assert_true(events[0] == events[1]);
		assert_true(hash[0] != hash[2]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_bit_errors),
		cmocka_unit_test(test_same_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
