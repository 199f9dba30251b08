/* SPDX-License-Identifier: BSD-3-Clause */
/* A small seeded generator (splitmix64): same seed, same test. */
#ifndef TESTS_LATE_RNG_H
#define TESTS_LATE_RNG_H

#include <stdint.h>

struct rng { uint64_t s; };

static inline void rng_seed(struct rng *r, uint64_t seed)
{
	r->s = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* [0, n), n > 0 */
static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

#endif
