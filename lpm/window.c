/* SPDX-License-Identifier: BSD-3-Clause */
/* Areas in memory that this process can reach; the shape taken by default. */
#include <errno.h>
#include <string.h>

#include "lpm/lpm.h"

/*
 * Firmware may read words while they are written here: each is a relaxed access of its own, whole.  Areas are a
 * multiple of four bytes, and so is everything that is written to them.
 */
static int memory_read(void *arg, uint64_t off, void *buf, size_t len)
{
	const uint8_t *at = (const uint8_t *)arg + off;
	uint8_t *to = buf;
	uint32_t v;

	for (; len >= 4; len -= 4, at += 4, to += 4) {
		v = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
		memcpy(to, &v, 4);
	}
	return len ? -EINVAL : 0;
}

static int memory_write(void *arg, uint64_t off, const void *buf, size_t len)
{
	uint8_t *at = (uint8_t *)arg + off;
	const uint8_t *from = buf;
	uint32_t v;

	for (; len >= 4; len -= 4, at += 4, from += 4) {
		memcpy(&v, from, 4);
		__atomic_store_n((uint32_t *)(void *)at, v, __ATOMIC_RELAXED);
	}
	return len ? -EINVAL : 0;
}

static int memory_store(void *arg, uint64_t off, uint32_t v)
{
	le32_store_release((le32 *)(void *)((uint8_t *)arg + off), v);
	return 0;
}

static void memory_barrier(void *arg)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void lpm_window_memory(struct lpm_window *w, void *base, uint64_t bytes)
{
	static const struct lpm_window_ops ops = { memory_read, memory_write, memory_store, memory_barrier };

	*w = (struct lpm_window){ .ops = &ops, .arg = base, .bytes = bytes };
}

void lpm_shape_default(struct p2p_route_shape *s)
{
	static const uint8_t ip4[] = { 16, 3, 3, 2, 4, 4 };
	unsigned int k;

	memset(s, 0, sizeof(*s));
	s->hops = 4096;
	s->buckets = 16384;
	s->contexts = 1;
	s->tiers[P2P_IP4] = sizeof(ip4);
	memcpy(s->stride[P2P_IP4], ip4, sizeof(ip4));
	s->tiers[P2P_IP6] = 29;
	s->stride[P2P_IP6][0] = 16;
	for (k = 1; k < s->tiers[P2P_IP6]; k++)
		s->stride[P2P_IP6][k] = 4;
}
