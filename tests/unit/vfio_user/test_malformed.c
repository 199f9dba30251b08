/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client must not send: an error reply or a clean end, and the server serves on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"

/* A case names what matters in it; the rest is 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define CLOSED (-1) /* the connection ends without a word */
#define SILENCE (-2) /* no reply, and the connection stays */

struct bad {
	const char *name;
	uint16_t command;
	uint32_t flags;
	uint32_t size; /* 0: the right one */
	const void *body;
	size_t len;
	unsigned int nfds;
	int want;    /* errno of the reply, 0, CLOSED or SILENCE */
	bool closes; /* the connection ends after the reply */
};

#define BODY(type, ...) .body = &(type){ __VA_ARGS__ }, .len = sizeof(type)
#define L16(v) { .raw = P2P_SWAP16((uint16_t)(v)) }
#define L32(v) { .raw = P2P_SWAP32((uint32_t)(v)) }
#define L64(v) { .raw = P2P_SWAP64((uint64_t)(v)) }

static void expect(struct bench *b, int sock, const struct bad *t)
{
	struct vfu_header h;
	uint8_t body[4096];
	int n;

	raw_send(sock, 7, t->command, t->flags, t->size, t->body, t->len, t->nfds);
	if (t->want == SILENCE) {
		assert_true(raw_alive(sock));
		return;
	}
	n = raw_recv(sock, &h, body, sizeof(body));
	if (t->want == CLOSED) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(n >= 0);
	assert_int_equal(from_le16(h.id), 7);
	assert_int_equal(from_le16(h.command), t->command);
	assert_int_equal(from_le32(h.flags), VFU_F_REPLY | (t->want ? VFU_F_ERROR : 0));
	assert_int_equal(from_le32(h.error), t->want);
	if (t->want)
		assert_int_equal(n, 0);
	if (t->closes)
		assert_int_equal(raw_recv(sock, &h, body, sizeof(body)), -1);
	else
		assert_true(raw_alive(sock));
}

/* Each on a connection of its own, after or instead of the handshake. */
static void run(const struct bad *cases, size_t n, bool greeted)
{
	struct bench b;

	bench_init(&b, 0);
	for (size_t i = 0; i < n; i++) {
		int sock = greeted ? raw_open(b.path) : raw_connect(b.path);

		print_message("  %s\n", cases[i].name);
		expect(&b, sock, &cases[i]);
		close(sock);
		bench_check_fds(&b);
		/* The next client finds the server as it was. */
		sock = raw_open(b.path);
		assert_true(raw_alive(sock));
		close(sock);
	}
	bench_check_fds(&b);
	bench_fini(&b);
}

static void test_framing(void **state)
{
	const struct bad cases[] = {
		{ "size 0", VFU_DEVICE_RESET, .size = 1, .want = EINVAL, .closes = true },
		{ "size below the header", VFU_DEVICE_RESET, .size = 15, .want = EINVAL, .closes = true },
		{ "size 4 GiB", VFU_REGION_WRITE, .size = UINT32_MAX, .want = EINVAL, .closes = true },
		{ "size just over the limit", VFU_REGION_WRITE, .size = VFU_MSG_OVERHEAD + 1048577, .want = EINVAL,
		  .closes = true },
		{ "huge, with descriptors", VFU_DMA_MAP, .size = 1u << 30, .nfds = 4, .want = EINVAL, .closes = true },
		{ "command 0", 0, .want = ENOSYS },
		{ "command 14", 14, .want = ENOSYS },
		{ "command 19", 19, .want = ENOSYS },
		{ "command 65535", 65535, .want = ENOSYS },
		{ "unknown command, no reply wanted", 999, VFU_F_NO_REPLY, .want = SILENCE },
		{ "DMA_READ from the client", VFU_DMA_READ, BODY(struct vfu_dma_access, L64(0), L64(4)),
		  .want = ENOSYS },
		{ "a reply to nothing", VFU_DMA_READ, VFU_F_REPLY, .want = CLOSED },
		{ "an error reply to nothing", VFU_DMA_WRITE, VFU_F_REPLY | VFU_F_ERROR, .want = CLOSED },
		{ "message type 2", VFU_DEVICE_RESET, 2, .want = CLOSED },
		{ "message type 15", VFU_DEVICE_RESET, 15, .want = CLOSED },
		{ "reset with a body", VFU_DEVICE_RESET, BODY(uint64_t, 0), .want = EINVAL },
		{ "descriptors where none belong", VFU_DEVICE_RESET, .nfds = 1, .want = EINVAL },
		{ "more descriptors than are taken", VFU_DEVICE_SET_IRQS, .nfds = 40, .want = EINVAL,
		  BODY(struct vfu_irq_set, L32(20), L32(VFU_SET_DATA_EVENTFD | VFU_SET_ACTION_TRIGGER), L32(2), L32(0),
		       L32(40)) },
		{ "a second VERSION", VFU_VERSION, BODY(struct vfu_version, L16(0), L16(1)), .want = EINVAL },
		{ "ioregionfds", VFU_DEVICE_GET_REGION_IO_FDS, BODY(struct vfu_region_io_fds, L32(64)),
		  .want = ENOTSUP },
		{ "device feature", VFU_DEVICE_FEATURE, BODY(uint64_t, 8), .want = ENOTSUP },
		{ "migration data", VFU_MIG_DATA_READ, BODY(uint64_t, 8), .want = ENOTSUP },
	};

	run(cases, P2P_ARRAY_SIZE(cases), true);
}

struct hello {
	struct vfu_version v;
	char json[100];
};

/* Version 0.0 and this, with its NUL. */
#define TEXT(s) .body = "\0\0\0\0" s, .len = sizeof("\0\0\0\0" s)
#define HELLO(major, minor, text) BODY(struct hello, { L16(major), L16(minor) }, text)

static void test_version(void **state)
{
	const struct bad cases[] = {
		{ "another message first", VFU_DEVICE_GET_INFO, BODY(struct vfu_device_info, L32(16)), .want = EPROTO,
		  .closes = true },
		{ "another message first, no reply", VFU_DEVICE_RESET, VFU_F_NO_REPLY, .want = CLOSED },
		{ "VERSION without reply", VFU_VERSION, VFU_F_NO_REPLY, BODY(uint16_t, 0), .want = CLOSED },
		{ "a reply first", VFU_VERSION, VFU_F_REPLY, .want = CLOSED },
		{ "no body", VFU_VERSION, .want = EINVAL, .closes = true },
		{ "half a version", VFU_VERSION, BODY(uint16_t, 0), .want = EINVAL, .closes = true },
		{ "major 1", VFU_VERSION, BODY(struct vfu_version, L16(1), L16(0)), .want = ENOTSUP, .closes = true },
		{ "major 65535", VFU_VERSION, HELLO(65535, 0, "{}"), .want = ENOTSUP, .closes = true },
		{ "not JSON", VFU_VERSION, HELLO(0, 1, "hello"), .want = EINVAL, .closes = true },
		{ "half of JSON", VFU_VERSION, TEXT("{\"capabilities\":"), .want = EINVAL,
		  .closes = true },
		{ "without its NUL", VFU_VERSION, .body = "\0\0\0\0{}", .len = 6, .want = EINVAL, .closes = true },
		{ "bytes after the NUL", VFU_VERSION, HELLO(0, 1, "{}\0garbage"), .want = EINVAL, .closes = true },
		{ "bytes after the object", VFU_VERSION, TEXT("{} x"), .want = EINVAL,
		  .closes = true },
		{ "a list", VFU_VERSION, TEXT("[]"), .want = EINVAL, .closes = true },
		{ "capabilities a number", VFU_VERSION, TEXT("{\"capabilities\":1}"),
		  .want = EINVAL, .closes = true },
		{ "max_msg_fds a string", VFU_VERSION, TEXT("{\"capabilities\":{\"max_msg_fds\":\"8\"}}"), .want = EINVAL,
		  .closes = true },
		{ "max_msg_fds below 0", VFU_VERSION, TEXT("{\"capabilities\":{\"max_msg_fds\":-1}}"), .want = EINVAL,
		  .closes = true },
		{ "max_data_xfer_size 0", VFU_VERSION,
		  TEXT("{\"capabilities\":{\"max_data_xfer_size\":0}}"), .want = EINVAL,
		  .closes = true },
		{ "deep JSON", VFU_VERSION, TEXT("{\"a\":[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]}"),
		  .want = EINVAL, .closes = true },
		{ "with a descriptor", VFU_VERSION, BODY(struct vfu_version, L16(0), L16(1)), .nfds = 1,
		  .want = EINVAL, .closes = true },
		{ "claims 1 MiB", VFU_VERSION, .size = 1 << 20, .want = EINVAL, .closes = true },
	};

	run(cases, P2P_ARRAY_SIZE(cases), false);
}

static void test_huge_json(void **state)
{
	size_t len = 4 + VFU_VERSION_MAX_BYTES;
	char *body = malloc(len);
	struct bad t = { "16 KiB of JSON, all blanks", VFU_VERSION, .body = body, .len = len, .closes = true,
			 .want = EINVAL };

	assert_non_null(body);
	memset(body, ' ', len);
	memset(body, 0, 4);
	body[len - 1] = '\0';
	run(&t, 1, false);
	memset(body + 4, '[', len - 5);
	t.name = "16 KiB of brackets";
	run(&t, 1, false);
	free(body);
}

#define MAP(...) BODY(struct vfu_dma_map, __VA_ARGS__)
#define UNMAP(...) BODY(struct vfu_dma_unmap, __VA_ARGS__)

static void test_dma(void **state)
{
	const struct bad cases[] = {
		{ "map: short", VFU_DMA_MAP, BODY(uint64_t, 32), .want = EINVAL },
		{ "map: empty", VFU_DMA_MAP, .want = EINVAL },
		{ "map: argsz too small", VFU_DMA_MAP, MAP(L32(31), L32(3), L64(0), L64(0), L64(4096)), .want = EINVAL },
		{ "map: unknown flags", VFU_DMA_MAP, MAP(L32(32), L32(8), L64(0), L64(0), L64(4096)), .want = EINVAL },
		{ "map: size 0", VFU_DMA_MAP, MAP(L32(32), L32(3), L64(0), L64(0), L64(0)), .want = EINVAL },
		{ "map: runs over the end", VFU_DMA_MAP, MAP(L32(32), L32(3), L64(0), L64(-4096), L64(8192)),
		  .want = EINVAL },
		{ "map: file offset runs over", VFU_DMA_MAP, MAP(L32(32), L32(3), L64(-4096), L64(0), L64(8192)),
		  .nfds = 1, .want = EINVAL },
		{ "map: file offset is negative", VFU_DMA_MAP, MAP(L32(32), L32(3), L64(1ull << 63), L64(0), L64(4096)),
		  .nfds = 1, .want = EINVAL },
		{ "map: two descriptors", VFU_DMA_MAP, MAP(L32(32), L32(3), L64(0), L64(0), L64(4096)), .nfds = 2,
		  .want = EINVAL },
		{ "map: bad, no reply wanted", VFU_DMA_MAP, VFU_F_NO_REPLY, BODY(uint64_t, 32), .nfds = 1,
		  .want = SILENCE },
		{ "unmap: short", VFU_DMA_UNMAP, BODY(uint64_t, 24), .want = EINVAL },
		{ "unmap: argsz too small", VFU_DMA_UNMAP, UNMAP(L32(8), L32(0), L64(0), L64(4096)), .want = EINVAL },
		{ "unmap: nothing there", VFU_DMA_UNMAP, UNMAP(L32(24), L32(0), L64(0), L64(4096)), .want = ENOENT },
		{ "unmap: size 0", VFU_DMA_UNMAP, UNMAP(L32(24), L32(0), L64(0), L64(0)), .want = EINVAL },
		{ "unmap: runs over the end", VFU_DMA_UNMAP, UNMAP(L32(24), L32(0), L64(-1), L64(2)), .want = EINVAL },
		{ "unmap: dirty bitmap", VFU_DMA_UNMAP, UNMAP(L32(24), L32(1), L64(0), L64(4096)), .want = ENOTSUP },
		{ "unmap all: with a range", VFU_DMA_UNMAP, UNMAP(L32(24), L32(2), L64(0), L64(4096)), .want = EINVAL },
		{ "unmap all: of nothing", VFU_DMA_UNMAP, UNMAP(L32(24), L32(2), L64(0), L64(0)), .want = 0 },
	};

	run(cases, P2P_ARRAY_SIZE(cases), true);
}

#define ACCESS(...) BODY(struct vfu_region_access, __VA_ARGS__)

struct multi {
	le64 n;
	struct vfu_write_one w[2];
};

static void test_regions(void **state)
{
	const struct bad cases[] = {
		{ "info: short", VFU_DEVICE_GET_INFO, BODY(uint64_t, 16), .want = EINVAL },
		{ "info: argsz too small", VFU_DEVICE_GET_INFO, BODY(struct vfu_device_info, L32(8)), .want = EINVAL },
		{ "region info: short", VFU_DEVICE_GET_REGION_INFO, BODY(uint64_t, 32), .want = EINVAL },
		{ "region info: argsz too small", VFU_DEVICE_GET_REGION_INFO, BODY(struct vfu_region_info, L32(31)),
		  .want = EINVAL },
		{ "region info: no such region", VFU_DEVICE_GET_REGION_INFO,
		  BODY(struct vfu_region_info, L32(32), .index = L32(11)), .want = EINVAL },
		{ "region info: region -1", VFU_DEVICE_GET_REGION_INFO,
		  BODY(struct vfu_region_info, L32(32), .index = L32(-1)), .want = EINVAL },
		{ "read: short", VFU_REGION_READ, BODY(uint64_t, 0), .want = EINVAL },
		{ "read: with data", VFU_REGION_READ, BODY(struct vfu_write_one, L64(0), L32(0), L32(8)),
		  .want = EINVAL },
		{ "read: no such region", VFU_REGION_READ, ACCESS(L64(0), L32(99), L32(4)), .want = EINVAL },
		{ "read: absent BAR", VFU_REGION_READ, ACCESS(L64(0), L32(1), L32(4)), .want = EINVAL },
		{ "read: beyond the end", VFU_REGION_READ, ACCESS(L64(FAKE_BAR0_BYTES), L32(0), L32(4)),
		  .want = EINVAL },
		{ "read: across the end", VFU_REGION_READ, ACCESS(L64(FAKE_BAR0_BYTES - 2), L32(0), L32(4)),
		  .want = EINVAL },
		{ "read: offset and count wrap", VFU_REGION_READ, ACCESS(L64(-4), L32(0), L32(8)), .want = EINVAL },
		{ "read: more than max_data_xfer_size", VFU_REGION_READ, ACCESS(L64(0), L32(2), L32(1048577)),
		  .want = EINVAL },
		{ "read: 4 GiB", VFU_REGION_READ, ACCESS(L64(0), L32(2), L32(-1)), .want = EINVAL },
		{ "write: short", VFU_REGION_WRITE, BODY(uint64_t, 0), .want = EINVAL },
		{ "write: less data than count", VFU_REGION_WRITE,
		  BODY(struct vfu_write_one, L64(0), L32(0), L32(9)), .want = EINVAL },
		{ "write: more data than count", VFU_REGION_WRITE,
		  BODY(struct vfu_write_one, L64(0), L32(0), L32(4)), .want = EINVAL },
		{ "write: beyond the end", VFU_REGION_WRITE,
		  BODY(struct vfu_write_one, L64(PCI_CONFIG_BYTES), L32(7), L32(8)), .want = EINVAL },
		{ "write: beyond the end, no reply wanted", VFU_REGION_WRITE, VFU_F_NO_REPLY,
		  BODY(struct vfu_write_one, L64(-8), L32(7), L32(8)), .want = SILENCE },
		{ "multi: short", VFU_REGION_WRITE_MULTI, BODY(uint32_t, 1), .want = EINVAL },
		{ "multi: count wraps", VFU_REGION_WRITE_MULTI, BODY(struct multi, L64(1ull << 61)), .want = EINVAL },
		{ "multi: count too small", VFU_REGION_WRITE_MULTI, BODY(struct multi, L64(1)), .want = EINVAL },
		{ "multi: 9 bytes", VFU_REGION_WRITE_MULTI,
		  BODY(struct multi, L64(2), { { L64(0), L32(0), L32(9) } }), .want = EINVAL },
		{ "multi: the second out of range", VFU_REGION_WRITE_MULTI,
		  BODY(struct multi, L64(2), { { L64(0), L32(0), L32(8) }, { L64(-1), L32(0), L32(8) } }),
		  .want = EINVAL },
	};

	run(cases, P2P_ARRAY_SIZE(cases), true);
}

#define SET(...) BODY(struct vfu_irq_set, __VA_ARGS__)
#define EV (VFU_SET_DATA_EVENTFD | VFU_SET_ACTION_TRIGGER)
#define NONE (VFU_SET_DATA_NONE | VFU_SET_ACTION_TRIGGER)

static void test_irqs(void **state)
{
	const struct bad cases[] = {
		{ "info: short", VFU_DEVICE_GET_IRQ_INFO, BODY(uint64_t, 16), .want = EINVAL },
		{ "info: argsz too small", VFU_DEVICE_GET_IRQ_INFO, BODY(struct vfu_irq_info, L32(15)), .want = EINVAL },
		{ "info: no such index", VFU_DEVICE_GET_IRQ_INFO,
		  BODY(struct vfu_irq_info, L32(16), .index = L32(P2P_NUM_IRQS)), .want = EINVAL },
		{ "set: short", VFU_DEVICE_SET_IRQS, BODY(uint64_t, 20), .want = EINVAL },
		{ "set: argsz too small", VFU_DEVICE_SET_IRQS, SET(L32(19), L32(NONE), L32(2), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: no flags", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(0), L32(2), L32(0), L32(1)), .want = EINVAL },
		{ "set: two kinds of data", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(NONE | EV), L32(2), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: two actions", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(NONE | VFU_SET_ACTION_MASK), L32(2), L32(0), L32(1)), .want = EINVAL },
		{ "set: no action", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(VFU_SET_DATA_NONE), L32(2), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: unknown flag", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(NONE | 64), L32(2), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: no such index", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(NONE), L32(7), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: an index without vectors", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(NONE), L32(0), L32(0), L32(1)),
		  .want = EINVAL },
		{ "set: beyond the last vector", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(NONE), L32(2), L32(FAKE_VECTORS), L32(1)), .want = EINVAL },
		{ "set: start and count wrap", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(NONE), L32(2), L32(4), L32(-2)),
		  .want = EINVAL },
		{ "set: fewer descriptors than vectors", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(EV), L32(2), L32(0), L32(3)), .nfds = 2, .want = EINVAL },
		{ "set: more descriptors than vectors", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(EV), L32(2), L32(0), L32(1)), .nfds = 2, .want = EINVAL },
		{ "set: descriptors with no use for them", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(NONE), L32(2), L32(0), L32(1)), .nfds = 1, .want = EINVAL },
		{ "set: booleans missing", VFU_DEVICE_SET_IRQS,
		  SET(L32(20), L32(VFU_SET_DATA_BOOL | VFU_SET_ACTION_TRIGGER), L32(2), L32(0), L32(4)),
		  .want = EINVAL },
		{ "set: count 0 with eventfds", VFU_DEVICE_SET_IRQS, SET(L32(20), L32(EV), L32(2), L32(0), L32(0)),
		  .want = EINVAL },
		{ "set: eventfd for masking", VFU_DEVICE_SET_IRQS, .nfds = 1, .want = ENOTSUP,
		  SET(L32(20), L32(VFU_SET_DATA_EVENTFD | VFU_SET_ACTION_MASK), L32(2), L32(0), L32(1)) },
	};

	run(cases, P2P_ARRAY_SIZE(cases), true);
}

static void test_map_twice(void **state)
{
	struct vfu_dma_map m = { L32(32), L32(3), L64(0), L64(0x10000), L64(0x10000) };
	struct vfu_dma_unmap u = { L32(24), L32(0), L64(0x10000), L64(0x8000) };
	struct bench b;
	int sock;

	bench_init(&b, 0);
	sock = raw_open(b.path);
	assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), 0);
	assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), EEXIST);
	m.address = to_le64(0x1f000);
	assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), EEXIST);
	assert_int_equal(raw_ask(sock, VFU_DMA_UNMAP, &u, sizeof(u), NULL, 0), ENOENT);
	u.size = to_le64(0x10000);
	assert_int_equal(raw_ask(sock, VFU_DMA_UNMAP, &u, sizeof(u), &u, sizeof(u)), 0);
	for (unsigned int i = 0; i < FAKE_MAX_MAPS; i++) {
		m.address = to_le64(i * 0x10000);
		assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), 0);
	}
	m.address = to_le64(1ull << 40);
	assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), ENOSPC);
	close(sock);
	assert_true(fake_wait(&b.fake, &b.fake.detached, 1));
	bench_fini(&b);
}

/* A pipe would let the client block whoever signals the vector. */
static void test_not_an_eventfd(void **state)
{
	struct vfu_irq_set set = { L32(20), L32(EV), L32(2), L32(0), L32(1) };
	struct vfu_header h = vfu_msg_header(3, VFU_DEVICE_SET_IRQS, 0);
	struct iovec iov = { &set, sizeof(set) };
	struct bench b;
	int sock, p[2];

	bench_init(&b, 0);
	sock = raw_open(b.path);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(vfu_msg_send(sock, &h, &iov, 1, &p[1], 1, vfu_now_ms() + 1000), 0);
	assert_int_equal(raw_recv(sock, &h, &set, sizeof(set)), 0);
	assert_int_equal(from_le32(h.error), EINVAL);
	close(p[0]);
	close(p[1]);
	assert_true(raw_alive(sock));
	close(sock);
	bench_check_fds(&b);
	bench_fini(&b);
}

/* Every prefix of a good message, then the end: header, body, descriptors. */
static void test_cut_short(void **state)
{
	struct vfu_dma_map m = { L32(32), L32(3), L64(0), L64(0x10000), L64(0x10000) };
	struct bench b;

	bench_init(&b, 0);
	for (size_t n = 1; n < 48; n += 3) {
		int sock = raw_open(b.path);

		if (n < 16) {
			struct vfu_header h = vfu_msg_header(1, VFU_DMA_MAP, 0);

			assert_int_equal(send(sock, &h, n, 0), n);
		} else {
			raw_send(sock, 1, VFU_DMA_MAP, 0, 48, &m, n - 16, 1);
		}
		close(sock);
		bench_check_fds(&b);
	}
	bench_fini(&b);
}

/* Byte by byte, but in time: that is no offence. */
static void test_dribble(void **state)
{
	struct vfu_header h = vfu_msg_header(9, VFU_DEVICE_RESET, 0);
	struct bench b;
	int sock;

	bench_init(&b, 0);
	sock = raw_open(b.path);
	for (size_t i = 0; i < sizeof(h); i++)
		assert_int_equal(send(sock, (uint8_t *)&h + i, 1, 0), 1);
	assert_int_equal(raw_recv(sock, &h, NULL, 0), 0);
	assert_int_equal(from_le32(h.flags), VFU_F_REPLY);
	assert_int_equal(b.fake.resets, 1);
	close(sock);
	bench_fini(&b);
}

/* Who says nothing, and who does not finish, is let go, and does not keep others out. */
static void test_silence(void **state)
{
	struct vfu_header h = vfu_msg_header(9, VFU_DEVICE_RESET, 0);
	struct vfu_server_stats st;
	struct bench b;
	int mute, sock;

	bench_init(&b, 100);
	mute = raw_connect(b.path);
	sock = raw_open(b.path); /* waits until mute's time is up */
	assert_int_equal(raw_recv(mute, &h, NULL, 0), -1);
	assert_true(raw_alive(sock));
	assert_int_equal(send(sock, &h, 5, 0), 5);
	assert_int_equal(raw_recv(sock, &h, NULL, 0), -1);
	close(mute);
	close(sock);
	mute = raw_connect(b.path);
	for (int i = 0; i < 16; i++) { /* a byte every 50 ms does not stretch the time */
		if (send(mute, "\0", 1, MSG_NOSIGNAL) < 0)
			break;
		nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	}
	assert_int_equal(raw_recv(mute, &h, NULL, 0), -1);
	close(mute);
	vfu_server_stats(b.server, &st);
	assert_int_equal(st.handshake_failures, 2);
	assert_int_equal(st.protocol_errors, 3);
	bench_fini(&b);
}

/* The worst of it at random: the server must outlive it and leak nothing. */
static void test_noise(void **state)
{
	unsigned int seed = 1;
	struct bench b;

	bench_init(&b, 1000);
	for (int round = 0; round < 300; round++) {
		uint8_t body[64];
		int sock = round % 3 ? raw_open(b.path) : raw_connect(b.path);

		for (int n = 0; n < 10; n++) {
			size_t len = (size_t)rand_r(&seed) % sizeof(body);

			for (size_t i = 0; i < len; i++)
				body[i] = rand_r(&seed) % 3 ? 0 : (uint8_t)rand_r(&seed);
			raw_send(sock, (uint16_t)n, (uint16_t)(rand_r(&seed) % 20), rand_r(&seed) % 8 ? 0x10 : 0, 0,
				 body, len, rand_r(&seed) % 3);
		}
		close(sock);
	}
	bench_check_fds(&b);
	bench_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),	       cmocka_unit_test(test_version),
		cmocka_unit_test(test_huge_json),      cmocka_unit_test(test_dma),
		cmocka_unit_test(test_regions),	       cmocka_unit_test(test_irqs),
		cmocka_unit_test(test_map_twice),      cmocka_unit_test(test_not_an_eventfd),
		cmocka_unit_test(test_cut_short),      cmocka_unit_test(test_dribble),
		cmocka_unit_test(test_silence),	       cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests_name("vfio-user: malformed", tests, NULL, NULL);
}
