/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *   random  uniform over all IPv4 addresses; IPv6: over 2000::/3, as 7 of 8 others end at the first bits
 *   table   a prefix of the table, each as likely, and any address in it
 *   zipf    flows: the addresses of `table` drawn with frequency 1 / rank
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/lpm/bench.h"

const char *const bench_key_names[BENCH_KEY_KINDS] = { "random", "table", "zipf" };

static void key_random(enum p2p_family f, uint64_t *seed, uint8_t *a)
{
	unsigned int k;

	for (k = 0; k < P2P_FAMILY_BITS(f) / 8; k++)
		a[k] = (uint8_t)(p2p_random(seed) >> 32);
	if (f == P2P_IP6)
		a[0] = 0x20 | (a[0] & 0x1f);
}

static void key_table(enum p2p_family f, const struct bench_routes *r, uint64_t *seed, uint8_t *a)
{
	const struct lpm_prefix *p = &r->p[p2p_random(seed) % r->n];
	unsigned int k;

	key_random(P2P_IP6, seed, a);
	a[0] = (uint8_t)p2p_random(seed);
	for (k = 0; k < p->len / 8u; k++)
		a[k] = p->addr[k];
	if (p->len % 8)
		a[k] = (uint8_t)(p->addr[k] | (a[k] & 0xff >> p->len % 8));
}

void bench_keys_free(struct bench_key_set *k)
{
	free(k->ip4);
	free(k->ip6);
	free(k->bytes);
	free(k->want);
}

int bench_keys_make(struct bench_key_set *k, enum bench_keys kind, enum p2p_family f, const struct bench_routes *r,
		    const struct lpm *l, uint64_t seed)
{
	uint32_t i, flow;
	unsigned int w;

	k->ip4 = malloc(sizeof(*k->ip4) * BENCH_KEYS_MAX);
	k->ip6 = malloc(sizeof(*k->ip6) * BENCH_KEYS_MAX);
	k->bytes = calloc(BENCH_KEYS_MAX, sizeof(*k->bytes));
	k->want = malloc(sizeof(*k->want) * BENCH_KEYS_MAX);
	if (!k->ip4 || !k->ip6 || !k->bytes || !k->want)
		return -ENOMEM;
	for (i = 0; i < BENCH_KEYS_MAX; i++) {
		uint64_t draw = seed + i;

		if (kind == BENCH_ZIPF) {
			/* The rank's logarithm is uniform: frequency falls as 1 / rank. */
			flow = (uint32_t)exp2((double)(p2p_random(&seed) >> 11) * 0x1p-53 * log2(BENCH_KEYS_MAX)) - 1;
			draw = 0x5eed + flow;
		}
		if (kind == BENCH_RANDOM)
			key_random(f, &draw, k->bytes[i]);
		else
			key_table(f, r, &draw, k->bytes[i]);
		for (w = 0; w < 4; w++)
			k->ip6[i][w] = (uint32_t)k->bytes[i][4 * w] << 24 | (uint32_t)k->bytes[i][4 * w + 1] << 16 |
				       (uint32_t)k->bytes[i][4 * w + 2] << 8 | k->bytes[i][4 * w + 3];
		k->ip4[i] = k->ip6[i][0];
		if (lpm_find(l, f, k->bytes[i], &k->want[i], NULL))
			k->want[i] = BENCH_NO_HOP;
	}
	return 0;
}
