/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stddef.h>

#include "driver/bus.h"

static bool bus_meet(uint64_t first, uint64_t bytes, const struct bus_range *r)
{
	return first <= r->last && r->first <= first + (bytes - 1);
}

bool bus_takes(const struct bus_space *s, uint64_t first, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < s->takes; i++)
		if (first >= s->take[i].first && first + (bytes - 1) >= first && first + (bytes - 1) <= s->take[i].last)
			return true;
	return !s->takes;
}

/* Does an item that has its place already lie there? */
static bool bus_occupied(const struct bus_item *item, unsigned int n, uint64_t first, uint64_t bytes)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct bus_range r = { item[i].base, item[i].base + (item[i].bytes - 1) };

		if (item[i].base && item[i].bytes && bus_meet(first, bytes, &r))
			return true;
	}
	return false;
}

static enum bus_why bus_own(const struct bus_space *s, const struct bus_item *item, unsigned int n, unsigned int k)
{
	const struct bus_item *it = &item[k];

	if (!s || !it->own || !it->bytes)
		return BUS_NONE;
	if (it->base)
		return it->base == it->own ? BUS_OWN : BUS_TOLD;
	if (!s->takes)
		return BUS_UNKNOWN;
	/* The highest bit means a NIC's own memory (DRV_BUS_LOCAL). */
	if (it->own % BUS_PAGE || (it->own + (it->bytes - 1)) >> 63 || !bus_takes(s, it->own, it->bytes))
		return BUS_UNTAKEN;
	return bus_occupied(item, n, it->own, it->bytes) ? BUS_OCCUPIED : BUS_OWN;
}

static bool bus_free(const struct bus_space *s, const struct bus_item *item, unsigned int n, uint64_t first, uint64_t bytes)
{
	unsigned int i;

	if (!s)
		return true;
	if (!bus_takes(s, first, bytes) || bus_occupied(item, n, first, bytes))
		return false;
	for (i = 0; i < s->pcis; i++)
		if (bus_meet(first, bytes, &s->pci[i]))
			return false;
	return true;
}

static int bus_piece(const struct bus_space *s, unsigned int shift, struct bus_item *item, unsigned int n, unsigned int k)
{
	uint64_t bytes = item[k].bytes, base = (uint64_t)(k + 1) << shift;
	unsigned int p;

	for (p = 1; bytes && p < BUS_PIECES && !bus_free(s, item, n, base, bytes); p++)
		base = (uint64_t)p << shift;
	if (bytes && !bus_free(s, item, n, base, bytes))
		return -ENOSPC;
	item[k].base = base;
	return 0;
}

int bus_place(const struct bus_space *s, unsigned int shift, struct bus_item *item, unsigned int n, unsigned int *at)
{
	unsigned int k;
	int rc = 0;

	for (k = 0; k < n; k++) {
		item[k].why = bus_own(s, item, n, k);
		if (item[k].why == BUS_OWN)
			item[k].base = item[k].own;
	}
	for (k = 0; !rc && k < n; k++) {
		if (!item[k].base)
			rc = bus_piece(s, shift, item, n, k);
		if (rc)
			*at = k;
	}
	return rc;
}
