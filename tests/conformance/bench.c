/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

int bench_init(struct bench *b, int argc, char **argv)
{
	int i;

	*b = (struct bench){ 0 };
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--long")) {
			b->deep = true;
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			b->seed = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--case") && i + 1 < argc) {
			b->only = argv[++i];
		} else if (!strcmp(argv[i], "--mode") && i + 1 < argc) {
			b->mode = argv[++i];
		} else {
			fprintf(stderr, "usage: %s [--long] [--seed N] [--case NAME] [--mode wr|rd|bn]\n", argv[0]);
			return 2;
		}
	}
	return 0;
}

bool bench_wants(const struct bench *b, const char *name)
{
	return !b->only || !strcmp(b->only, name);
}

bool bench_wants_mode(const struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode)
{
	if ((ops->no_bn && mode == P2P_MODE_BN) || (ops->cut && mode != P2P_MODE_WR))
		return false;
	return !b->mode || !strcmp(b->mode, bench_mode(mode));
}

uint64_t bench_first_seed(const struct bench *b)
{
	return b->seed ? b->seed : 1;
}

uint64_t bench_last_seed(const struct bench *b, uint64_t n)
{
	return b->seed ? b->seed : n;
}

unsigned int bench_share(unsigned int n)
{
#ifdef __SANITIZE_ADDRESS__
	return (n + 2) / 3;
#else
	return n;
#endif
}

void bench_end(struct bench *b, const char *name, struct mesh *m)
{
	const char *why = mesh_failure(m);

	b->runs++;
	if (why) {
		b->fails++;
		fprintf(stderr, "FAILED %s: %s, %s, %u NICs x %u ports, batch %u, stride %u, slots %u: %s\n", name,
			m->ops->name, bench_mode(m->cfg.mode), m->cfg.nics, m->cfg.ports, m->cfg.batch, m->cfg.stride,
			m->cfg.slots, why);
		fprintf(stderr, "  again: --case %s --seed %llu\n", name, (unsigned long long)m->cfg.seed);
		if (b->fails <= 3 || getenv("MESH_VERBOSE"))
			mesh_print_counters(m);
	}
	mesh_destroy(m);
}

int bench_exit(const struct bench *b)
{
	printf("%u runs, %u failures\n", b->runs, b->fails);
	return b->fails || !b->runs;
}

void bench_check_books(struct mesh *m)
{
	if (mesh_books(m) || mesh_held(m))
		mesh_fail(m, "books are off by %lld, %llu frames held", (long long)mesh_books(m),
			  (unsigned long long)mesh_held(m));
	mesh_check_faults(m);
}

void bench_drained(struct mesh *m, const char *when)
{
	int64_t held;

	if (!mesh_event(m, -1, P2P_EV_peer_down)) {
		if (!mesh_drain(m, 10000000000ull))
			mesh_fail(m, "stuck: %llu frames held 10 s after %s", (unsigned long long)mesh_held(m), when);
		bench_check_books(m);
		return;
	}
	if (!mesh_settle(m, 500000000, 10000000000ull))
		mesh_fail(m, "no rest 10 s after %s", when);
	held = (int64_t)mesh_held(m);
	if (held > 0 || -held > (int64_t)mesh_drops(m, -1, P2P_DROP_peer_lost) || mesh_books(m))
		mesh_fail(m, "stuck: %lld frames held after %s, %llu lost with peers, books off by %lld", (long long)held, when,
			  (unsigned long long)mesh_drops(m, -1, P2P_DROP_peer_lost), (long long)mesh_books(m));
	mesh_check_faults(m);
}

const char *bench_mode(enum p2p_mode mode)
{
	static const char *const name[] = { "wr", "rd", "bn" };

	return name[mode];
}
