/* SPDX-License-Identifier: BSD-3-Clause */
/* layout.h and ring.h: segments in order, aligned, disjoint, of the right kind; descriptors pack and unpack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <p2pnic/layout.h>
#include <p2pnic/regs.h>

static const struct p2p_shape shapes[] = {
	{ 1, 1, 64, 2048, 64, 1, 0 },  { 2, 1, 1024, 2048, 2048, 0, 0 },    { 16, 4, 64, 2048, 256, 2, 0 },
	{ 32, 8, 64, 2112, 33, 8, 0 }, { 3, 2, 16384, 9728, 20000, 3, 0 }, { 5, 7, 128, 4096, 1, 1, 0 },
	{ 2, 1, 1024, 2048, 100, 4, 0 },
};

static void test_segments(void **state)
{
	unsigned int k, s, n, p, i;
	uint64_t at;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes); k++) {
		const struct p2p_shape *sh = &shapes[k];

		n = p2p_seg_count(sh);
		assert_true(n <= P2P_MAX_SEGMENTS);
		for (s = 0, at = 0; s < n; s++) {
			/* No gaps but before the first receive and packet buffers, where these fill 2 MiB pages. */
			if ((s == p2p_seg_rx(sh, 0) || s == p2p_seg_buf(sh, 0, 0)) &&
			    p2p_seg_bytes(sh, p2p_seg_kind(sh, s)) % (2u << 20) == 0)
				at = P2P_ALIGN_UP(at, (uint64_t)(2u << 20));
			assert_int_equal(p2p_seg_offset(sh, s), at);
			assert_int_equal(at % P2P_SEG_ALIGN, 0);
			assert_true(p2p_seg_bytes(sh, p2p_seg_kind(sh, s)) > 0);
			at += p2p_seg_bytes(sh, p2p_seg_kind(sh, s));
		}
		assert_int_equal(p2p_plane_offset(sh, n), at);
		assert_true(p2p_queues(sh) > 1 || p2p_memory_needed(sh) == at);
		assert_int_equal(p2p_seg_kind(sh, 0), P2P_SEG_PRIVATE);
		assert_int_equal(p2p_seg_kind(sh, 1), P2P_SEG_DOORBELL);
		for (p = 0; p < sh->ports; p++)
			assert_int_equal(p2p_seg_kind(sh, p2p_seg_rx(sh, p)), P2P_SEG_RX);
		for (i = 0; i < sh->nics; i++) {
			assert_int_equal(p2p_seg_kind(sh, p2p_seg_ring(sh, i)), P2P_SEG_RING);
			for (p = 0; p <= sh->ports; p++) {
				assert_int_equal(p2p_seg_kind(sh, p2p_seg_buf(sh, p, i)), P2P_SEG_BUF);
				assert_true(p2p_seg_buf(sh, p, i) < n);
			}
		}
		/* The step that PEER_BUF_STEP names is the same from every port to the next. */
		for (p = 1; p <= sh->ports; p++)
			assert_int_equal(p2p_seg_offset(sh, p2p_seg_buf(sh, p, 0)) -
						 p2p_seg_offset(sh, p2p_seg_buf(sh, p - 1, 0)),
					 sh->nics * p2p_seg_bytes(sh, P2P_SEG_BUF));
	}
}

/* Planes are alike, one behind the other, none reaching into the next; buffers that fill 2 MiB pages begin at one in each. */
static void test_planes(void **state)
{
	unsigned int k, s, q, n;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes); k++) {
		const struct p2p_shape *sh = &shapes[k];
		uint64_t plane = p2p_plane_bytes(sh), end = 0;

		n = p2p_seg_count(sh);
		assert_int_equal(p2p_seg_total(sh), n * (sh->queues ? sh->queues : 1));
		assert_true(p2p_seg_total(sh) <= P2P_MAX_SEGMENTS);
		for (q = 0; q < p2p_queues(sh); q++) {
			for (s = 0; s < n; s++) {
				enum p2p_seg_kind kind = p2p_seg_kind(sh, q * n + s);
				uint64_t at = p2p_seg_offset(sh, q * n + s);

				assert_int_equal(kind, p2p_seg_kind(sh, s));
				assert_int_equal(at, q * plane + p2p_seg_offset(sh, s));
				assert_true(at >= end);
				assert_int_equal(at % P2P_SEG_ALIGN, 0);
				if (s == p2p_seg_rx(sh, 0) || s == p2p_seg_buf(sh, 0, 0))
					assert_int_equal(at % p2p_seg_align(sh, kind), 0);
				end = at + p2p_seg_bytes(sh, kind);
			}
		}
		assert_int_equal(p2p_memory_needed(sh), end);
	}
}

/* A routing area moves nothing; it lies behind all planes, then the inject segment, then nothing. */
static void test_route(void **state)
{
	static const uint64_t bytes[] = { 4096, 3u << 20, 4u << 20 };
	unsigned int k, b, s, n;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes); k++) {
		for (b = 0; b < P2P_ARRAY_SIZE(bytes); b++) {
			struct p2p_shape sh = shapes[k];
			uint64_t end = p2p_memory_needed(&sh), at, inject = p2p_seg_bytes(&sh, P2P_SEG_INJECT);

			sh.route_bytes = bytes[b];
			n = p2p_seg_total(&shapes[k]);
			assert_int_equal(p2p_seg_total(&sh), n + 2);
			assert_true(n + 2 <= P2P_MAX_SEGMENTS);
			for (s = 0; s < n; s++) {
				assert_int_equal(p2p_seg_offset(&sh, s), p2p_seg_offset(&shapes[k], s));
				assert_int_equal(p2p_seg_kind(&sh, s), p2p_seg_kind(&shapes[k], s));
			}
			at = p2p_seg_offset(&sh, p2p_seg_route(&sh));
			assert_true(at >= end);
			assert_int_equal(at % (bytes[b] % (2u << 20) ? 4096 : 2u << 20), 0);
			assert_int_equal(p2p_seg_kind(&sh, n), P2P_SEG_ROUTE);
			assert_int_equal(p2p_seg_kind(&sh, n + 1), P2P_SEG_INJECT);
			assert_int_equal(p2p_seg_bytes(&sh, P2P_SEG_ROUTE), bytes[b]);
			assert_int_equal(p2p_seg_offset(&sh, p2p_seg_inject(&sh)), at + bytes[b]);
			assert_true(inject >= 4096 + P2P_INJECT_SLOTS * P2P_PUNT_STEP);
			assert_int_equal(p2p_memory_needed(&sh), at + bytes[b] + inject);
		}
	}
}

static void test_sizes(void **state)
{
	unsigned int k;

	for (k = 0; k < P2P_ARRAY_SIZE(shapes); k++) {
		const struct p2p_shape *s = &shapes[k];

		assert_true(p2p_seg_bytes(s, P2P_SEG_RX) >= (uint64_t)s->rx_bufs * s->buf_size);
		assert_true(p2p_seg_bytes(s, P2P_SEG_RX) < (uint64_t)s->rx_bufs * s->buf_size + P2P_SEG_ALIGN);
		assert_true(p2p_seg_bytes(s, P2P_SEG_RING) >= 2048 + 16ull * s->slots * (s->ports + 1));
		assert_true(p2p_seg_bytes(s, P2P_SEG_BUF) >= (uint64_t)s->slots * s->buf_size);
		assert_true(p2p_seg_bytes(s, P2P_SEG_DOORBELL) >= 2048 + 4ull * s->ports * 2 * s->slots);
		assert_true(p2p_host_area_bytes(s) >= 4096 + 16ull * s->slots * (2 * s->ports + 1));
		assert_int_equal(p2p_host_bufs(s), 2 * s->slots);
	}
}

static void test_descriptor(void **state)
{
	static const uint32_t len[] = { 0, 1, 14, 60, 2048, 9728, 0x3fff };
	unsigned int l, f, in, out, nic;
	uint32_t w;

	for (l = 0; l < P2P_ARRAY_SIZE(len); l++) {
		for (f = 0; f < 64; f += 7) {
			for (in = 0; in < P2P_MAX_PORTS; in++) {
				for (out = 0; out <= P2P_PORT_FLOOD; out++) {
					for (nic = 0; nic < P2P_MAX_NICS; nic += 5) {
						w = P2P_D0(len[l], f, in, out, nic);
						assert_int_equal(P2P_D0_LEN(w), len[l]);
						assert_int_equal(P2P_D0_FLAGS(w), f);
						assert_int_equal(P2P_D0_IN_PORT(w), in);
						assert_int_equal(P2P_D0_OUT_PORT(w), out);
						assert_int_equal(P2P_D0_NIC(w), nic);
					}
				}
			}
		}
	}
	w = P2P_DW(0xabcdef, 0x1fe);
	assert_int_equal(P2P_DW_PLACE(w), 0xabcdef);
	assert_int_equal(P2P_DW_FRAME(w), 0xfe);
	/* Every place of the largest window fits 24 bits of 64-byte units: 1 GiB. */
	assert_int_equal((uint64_t)P2P_DW_PLACE(~0u) * P2P_DW_UNIT + P2P_DW_UNIT, 1ull << 30);
}

/* Registers lie inside their blocks, aligned to their width, and none overlaps another. */
static void test_register_map(void **state)
{
	static uint8_t used[P2P_BAR0_BYTES];
	unsigned int k, b;
#define X(name, off, bytes, access, reset, desc) { #name, off, bytes },
	static const struct { const char *name; uint32_t off, bytes; } top[] = { P2P_REGS(X) },
		port[] = { P2P_PORT_REGS(X) }, peer[] = { P2P_PEER_REGS(X) };
#undef X

	for (k = 0; k < P2P_ARRAY_SIZE(top); k++) {
		assert_int_equal(top[k].off % top[k].bytes, 0);
		for (b = 0; b < top[k].bytes; b++)
			assert_int_equal(used[top[k].off + b]++, 0);
	}
	for (k = 0; k < P2P_ARRAY_SIZE(port); k++) {
		assert_int_equal(port[k].off % port[k].bytes, 0);
		for (b = 0; b < port[k].bytes; b++)
			assert_int_equal(used[P2P_PORT_BLOCK + port[k].off + b]++, 0);
		assert_true(port[k].off + port[k].bytes <= P2P_PORT_BLOCK_BYTES);
	}
	for (k = 0; k < P2P_ARRAY_SIZE(peer); k++) {
		assert_int_equal(peer[k].off % peer[k].bytes, 0);
		for (b = 0; b < peer[k].bytes; b++)
			assert_int_equal(used[P2P_PEER_BLOCK + peer[k].off + b]++, 0);
		assert_true(peer[k].off + peer[k].bytes <= P2P_PEER_BLOCK_BYTES);
	}
	assert_true(P2P_PORT_BLOCK + P2P_MAX_PORTS * P2P_PORT_BLOCK_BYTES <= P2P_PEER_BLOCK);
	assert_true(P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES <= P2P_EVENT_BLOCK);
	assert_true(P2P_EVENT_BLOCK + P2P_NUM_EVENTS * 8 <= P2P_DROP_BLOCK);
	assert_true(P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES <= P2P_PUNT_RATE_BLOCK);
	assert_true(P2P_PUNT_RATE_BLOCK + P2P_NUM_PUNTS * 4 <= P2P_EVENT_BLOCK);
	assert_true(P2P_DROP_BLOCK + P2P_NUM_DROPS * 8 <= P2P_PUNT_BLOCK);
	assert_true(P2P_PUNT_BLOCK + P2P_NUM_PUNTS * 8 <= P2P_BAR0_BYTES);
	assert_int_equal(P2P_PUNT_QUEUES, P2P_MAX_QUEUES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_planes),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_register_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
