/* SPDX-License-Identifier: BSD-3-Clause */
/* The server's rings in place: buffers filled and read where they lie, and clients that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ports/memif.h"
#include "raw.h"

static char path[64], spec[96];
static struct env e;
static struct raw r;
static struct p2p_seg segs[32];
static bool alike;

static void up(int seals)
{
	env_open(&e, spec, 32, 2048);
	raw_client_up(&r, &e, path, seals);
}

static void down(void)
{
	raw_close(&r);
	env_close(&e);
}

static void assert_cut(void)
{
	assert_true(e.port->stats.peer_errors > 0);
	assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 0);
	assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 0);
	assert_false(port_memif_commit(e.port, 0, segs, 0));
	assert_false(port_memif_release(e.port, 0, 0, 0, 0));
	assert_true(raw_hung_up(&r, &e));
	assert_false(e.port->ops->link_up(e.port));
	assert_true(*port_memif_reason(e.port));
	down();
}

static void test_fill(void **state)
{
	unsigned int rx, tx, n;

	up(F_SEAL_SHRINK);
	assert_true(port_memif_server(e.port));
	port_memif_queues(e.port, &rx, &tx);
	assert_true(rx == 1 && tx == 1);
	assert_int_equal(port_memif_ring_size(e.port), RAW_SLOTS);
	assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 0);
	assert_int_equal(port_memif_reserve(e.port, 1, segs, 32), 0);
	/* More than once around the ring, three at a time. */
	for (unsigned int round = 0; round < 10; round++) {
		const uint16_t tail = memif_index_load(&r.s2c->tail);

		memif_index_store(&r.s2c->head, (uint16_t)(tail + 5));
		n = port_memif_reserve(e.port, 0, segs, 3);
		assert_int_equal(n, 3);
		for (unsigned int i = 0; i < n; i++) {
			struct memif_desc *d = &r.s2c->desc[(tail + i) % RAW_SLOTS];

			assert_int_equal(segs[i].len, 2048);
			memset(segs[i].data, (int)(round + i), 100 + i);
			assert_int_equal(r.base[d->offset + 99 + i], round + i);
			segs[i].len = 100 + i;
			segs[i].flags = i == 1 ? P2P_SEG_MORE : 0;
		}
		assert_true(port_memif_commit(e.port, 0, segs, n));
		assert_int_equal(memif_index_load(&r.s2c->tail), (uint16_t)(tail + 3));
		for (unsigned int i = 0; i < n; i++) {
			struct memif_desc *d = &r.s2c->desc[(tail + i) % RAW_SLOTS];

			assert_int_equal(d->length, 100 + i);
			assert_int_equal(d->flags, i == 1 ? MEMIF_DESC_NEXT : 0);
			assert_int_equal(d->region, 0);
			d->length = 2048;
			d->flags = 0;
		}
		assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 2);
	}
	assert_int_equal(e.port->stats.tx_frames, 20);
	assert_int_equal(e.port->stats.tx_bytes, 10 * 303);
	assert_int_equal(e.port->stats.copies, 0);
	down();
}

static void test_look(void **state)
{
	uint16_t tail;

	up(F_SEAL_SHRINK);
	for (unsigned int round = 0; round < 10; round++) {
		tail = memif_index_load(&r.c2s->tail);
		for (unsigned int i = 0; i < RAW_SLOTS; i++) {
			struct memif_desc *d = &r.c2s->desc[(uint16_t)(tail + i) % RAW_SLOTS];

			d->length = 64;
			d->flags = 0;
			r.base[d->offset] = (uint8_t)(round + i);
		}
		memif_index_store(&r.c2s->head, (uint16_t)(tail + 5));
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 5);
		assert_true(alike);
		assert_int_equal(port_memif_peek(e.port, 0, segs, 4, &alike), 4);
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(segs[i].len, 64);
			assert_int_equal(segs[i].data[0], round + i);
		}
		/* Another length; a chain of two; a chain whose end has not come. */
		r.c2s->desc[(uint16_t)(tail + 2) % RAW_SLOTS].length = 65;
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 5);
		assert_false(alike);
		r.c2s->desc[(uint16_t)(tail + 2) % RAW_SLOTS].length = 64;
		r.c2s->desc[(uint16_t)(tail + 1) % RAW_SLOTS].flags = MEMIF_DESC_NEXT;
		r.c2s->desc[(uint16_t)(tail + 4) % RAW_SLOTS].flags = MEMIF_DESC_NEXT;
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 4);
		assert_false(alike);
		assert_int_equal(segs[1].flags, P2P_SEG_MORE);
		assert_int_equal(segs[2].flags, 0);
		assert_int_equal(memif_index_load(&r.c2s->tail), tail);
		assert_true(port_memif_release(e.port, 0, 4, 3, 256));
		assert_int_equal(memif_index_load(&r.c2s->tail), (uint16_t)(tail + 4));
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 0);
		memif_index_store(&r.c2s->head, (uint16_t)(tail + 6));
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 2);
		assert_true(port_memif_release(e.port, 0, 2, 1, 128));
	}
	assert_int_equal(e.port->stats.rx_frames, 40);
	assert_int_equal(e.port->stats.rx_bytes, 3840);
	assert_int_equal(e.port->stats.peer_errors, 0);
	down();
}

/* Descriptors that point outside: what lies before them is good, then the link is cut. */
static void test_descriptors(void **state)
{
	static const struct memif_desc wrong[] = {
		{ .region = 1, .length = 64 },
		{ .region = 0xffff, .length = 64 },
		{ .offset = RAW_BYTES - 63, .length = 64 },
		{ .offset = RAW_BYTES + 1, .length = 0x80000000u },
		{ .offset = 0xffffffffu, .length = 1 },
		{ .offset = 64, .length = 0xffffffffu },
	};

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(wrong); i++) {
		up(F_SEAL_SHRINK);
		r.c2s->desc[2] = wrong[i];
		memif_index_store(&r.c2s->head, 4);
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 2);
		assert_int_equal(e.port->stats.peer_errors, 0);
		assert_true(port_memif_release(e.port, 0, 2, 2, 128));
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 0);
		assert_cut();

		up(F_SEAL_SHRINK);
		r.s2c->desc[2] = wrong[i];
		memif_index_store(&r.s2c->head, 4);
		assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 2);
		segs[0].len = segs[1].len = 60;
		assert_true(port_memif_commit(e.port, 0, segs, 2));
		assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 0);
		assert_cut();
	}
	up(F_SEAL_SHRINK);
	r.s2c->desc[0].length = 0;
	memif_index_store(&r.s2c->head, 1);
	assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 0);
	assert_cut();
}

static void test_indexes(void **state)
{
	static const uint16_t heads[] = { RAW_SLOTS + 1, 0x8000, 0xffff };

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(heads); i++) {
		up(F_SEAL_SHRINK);
		memif_index_store(&r.s2c->head, heads[i]);
		assert_int_equal(port_memif_reserve(e.port, 0, segs, 32), 0);
		assert_cut();
		up(F_SEAL_SHRINK);
		memif_index_store(&r.c2s->head, heads[i]);
		assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 0);
		assert_cut();
	}
	/* A whole ring without the end of a frame */
	up(F_SEAL_SHRINK);
	for (unsigned int i = 0; i < RAW_SLOTS; i++)
		r.c2s->desc[i].flags = MEMIF_DESC_NEXT;
	memif_index_store(&r.c2s->head, RAW_SLOTS);
	assert_int_equal(port_memif_peek(e.port, 0, segs, 32, &alike), 0);
	assert_cut();
}

/* The client cuts its memory short between reserve and commit, peek and release. */
static void test_memory_cut(void **state)
{
	for (unsigned int what = 0; what < 2; what++) {
		unsigned int n, sum = 0;

		up(F_SEAL_GROW);
		memif_index_store(&r.s2c->head, 4);
		memif_index_store(&r.c2s->head, 4);
		n = what ? port_memif_peek(e.port, 0, segs, 32, &alike) : port_memif_reserve(e.port, 0, segs, 32);
		assert_int_equal(n, 4);
		assert_int_equal(ftruncate(r.memfd, RAW_BUFS), 0);
		for (unsigned int i = 0; i < n; i++) {
			if (what)
				sum += *(volatile uint8_t *)segs[i].data;
			else
				memset(segs[i].data, 1, 60);
		}
		assert_int_equal(sum, 0);
		if (what)
			assert_false(port_memif_release(e.port, 0, n, n, 256));
		else
			assert_false(port_memif_commit(e.port, 0, segs, n));
		munmap(r.base, r.size);
		r.base = NULL;
		assert_cut();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_memory_cut),
	};
	int ret;

	snprintf(path, sizeof(path), "/tmp/p2pnic-inplace-%d", (int)getpid());
	snprintf(spec, sizeof(spec), "memif:%s,role=server", path);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return ret;
}
