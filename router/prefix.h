/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address prefixes of both families.
 *
 * An address is 128 bits, most significant first: hi then lo.  An IPv4 address
 * lies in the upper half of hi, the rest is zero, so that both families are
 * masked and compared alike.
 */
#ifndef ROUTER_PREFIX_H
#define ROUTER_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_ADDR_TEXT 46
#define ROUTER_PREFIX_TEXT 50

struct router_addr {
	uint64_t hi, lo;
};

struct router_prefix {
	struct router_addr addr;
	uint8_t family; /* 4 or 6 */
	uint8_t len;
};

static inline unsigned int router_family_bits(unsigned int family)
{
	return family == 4 ? 32 : 128;
}

static inline struct router_addr router_addr_mask(struct router_addr a, unsigned int len)
{
	if (len <= 64) {
		a.hi &= len ? ~0ull << (64 - len) : 0;
		a.lo = 0;
	} else {
		a.lo &= len < 128 ? ~0ull << (128 - len) : ~0ull;
	}
	return a;
}

static inline bool router_addr_equal(struct router_addr a, struct router_addr b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

static inline bool router_addr_zero(struct router_addr a)
{
	return !(a.hi | a.lo);
}

/* Bit n, 0 the most significant. */
static inline unsigned int router_addr_bit(struct router_addr a, unsigned int n)
{
	return (unsigned int)((n < 64 ? a.hi >> (63 - n) : a.lo >> (127 - n)) & 1);
}

/* How many leading bits are alike, 128 at most. */
static inline unsigned int router_addr_common(struct router_addr a, struct router_addr b)
{
	if (a.hi != b.hi)
		return (unsigned int)__builtin_clzll(a.hi ^ b.hi);
	return a.lo != b.lo ? 64 + (unsigned int)__builtin_clzll(a.lo ^ b.lo) : 128;
}

/* p covers address a of the same family. */
static inline bool router_prefix_covers(const struct router_prefix *p, struct router_addr a)
{
	return router_addr_equal(router_addr_mask(a, p->len), p->addr);
}

static inline bool router_prefix_equal(const struct router_prefix *a, const struct router_prefix *b)
{
	return a->family == b->family && a->len == b->len && router_addr_equal(a->addr, b->addr);
}

/* To and from the order of the wire; 4 or 16 bytes. */
struct router_addr router_addr_load(unsigned int family, const void *bytes);
void router_addr_store(struct router_addr a, unsigned int family, void *bytes);

const char *router_addr_text(struct router_addr a, unsigned int family, char text[ROUTER_ADDR_TEXT]);
const char *router_prefix_text(const struct router_prefix *p, char text[ROUTER_PREFIX_TEXT]);

/* An address of either family; false: it is none. */
bool router_addr_parse(const char *text, unsigned int *family, struct router_addr *a);
#endif
