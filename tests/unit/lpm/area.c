/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "area.h"

static int cut_read(void *arg, uint64_t off, void *buf, size_t len)
{
	struct area *a = arg;

	if (a->read_fail)
		return a->read_fail;
	return a->plain.ops->read(a->plain.arg, off, buf, len);
}

static bool alive(struct area *a)
{
	a->done++;
	return a->left && a->left--;
}

static int cut_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	struct area *a = arg;

	return alive(a) ? a->plain.ops->write(a->plain.arg, off, buf, len) : a->fail;
}

static int cut_store(void *arg, uint64_t off, uint32_t v)
{
	struct area *a = arg;

	return alive(a) ? a->plain.ops->store(a->plain.arg, off, v) : a->fail;
}

static void cut_barrier(void *arg)
{
}

void area_init(struct area *a, uint64_t bytes)
{
	static const struct lpm_window_ops ops = { cut_read, cut_write, cut_store, cut_barrier };

	memset(a, 0, sizeof(*a));
	a->bytes = bytes;
	a->left = UINT64_MAX;
	a->mem = calloc(1, bytes);
	if (!a->mem)
		abort();
	lpm_window_memory(&a->plain, a->mem, bytes);
	a->cut = (struct lpm_window){ .ops = &ops, .arg = a, .bytes = bytes };
}

void area_free(struct area *a)
{
	free(a->mem);
}

void area_stride(struct p2p_route_shape *s, enum p2p_family f, const char *widths)
{
	unsigned int sum = 0, w = 0, n = 0;
	char *end;

	for (; *widths; widths = *end ? end + 1 : end) {
		w = (unsigned int)strtoul(widths, &end, 10);
		s->stride[f][n++] = (uint8_t)w;
		sum += w;
	}
	for (; w && sum < P2P_FAMILY_BITS(f); sum += w) {
		if (w > P2P_FAMILY_BITS(f) - sum)
			w = P2P_FAMILY_BITS(f) - sum;
		s->stride[f][n++] = (uint8_t)w;
	}
	s->tiers[f] = (uint8_t)n;
}
