/* SPDX-License-Identifier: BSD-3-Clause */
/* The client against a server that lies: an error in good time, nothing leaked, nothing read that was not sent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vfio_user/client.h>

#include "driver/transport.h"
#include "raw.h"
#include "tests/open_fds.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define L16(v) { .raw = P2P_SWAP16((uint16_t)(v)) }
#define L32(v) { .raw = P2P_SWAP32((uint32_t)(v)) }
#define L64(v) { .raw = P2P_SWAP64((uint64_t)(v)) }
#define BODY(type, ...) .body = &(type){ __VA_ARGS__ }, .len = sizeof(type)
#define TEXT(s) .body = "\0\0\0\0" s, .len = sizeof("\0\0\0\0" s)

/* What the liar says to one request. */
struct lie {
	uint16_t id_off;  /* added to the id it should have */
	uint16_t command; /* 0: the request's */
	uint32_t flags;	  /* 0: those of a reply */
	uint32_t error;
	uint32_t size; /* 0: the right one */
	const void *body;
	size_t len;
	unsigned int nfds;
	bool mute; /* says nothing, but stays */
	bool hang_up;
	unsigned int times; /* 0: once */
};

struct liar {
	char dir[32], path[64];
	int listener;
	pthread_t thread;
	const struct lie *lies;
	size_t n;
	bool greets;
};

static bool read_request(int sock, struct vfu_header *h)
{
	uint8_t body[4096];
	size_t left;

	if (recv(sock, h, sizeof(*h), MSG_WAITALL) != sizeof(*h))
		return false;
	left = from_le32(h->size) - sizeof(*h);
	return !left || recv(sock, body, left, MSG_WAITALL) == (ssize_t)left;
}

static void tell(int sock, const struct vfu_header *h, const struct lie *lie)
{
	uint16_t id = (uint16_t)(from_le16(h->id) + lie->id_off);
	uint32_t flags = lie->flags ? lie->flags : VFU_F_REPLY;

	if (lie->error) {
		struct vfu_header e = vfu_msg_header(id, from_le16(h->command), VFU_F_REPLY | VFU_F_ERROR);

		e.error = to_le32(lie->error);
		send(sock, &e, sizeof(e), MSG_NOSIGNAL);
		return;
	}
	for (unsigned int i = 0; i < (lie->times ? lie->times : 1); i++)
		raw_send(sock, id, lie->command ? lie->command : from_le16(h->command), flags == 16 ? 0 : flags,
			 lie->size, lie->body, lie->len, lie->nfds);
}

static void *lie_on(void *arg)
{
	static const struct lie welcome = { TEXT("{}") };
	struct liar *l = arg;
	int sock = accept(l->listener, NULL, NULL);
	struct vfu_header h;
	size_t i = 0;

	if (l->greets && read_request(sock, &h))
		tell(sock, &h, &welcome);
	while (read_request(sock, &h)) {
		const struct lie *lie = &l->lies[i < l->n ? i : l->n - 1];

		i++;
		if (lie->hang_up)
			break;
		if (!lie->mute)
			tell(sock, &h, lie);
	}
	close(sock);
	return NULL;
}

static void liar_init(struct liar *l, const struct lie *lies, size_t n, bool greets)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*l = (struct liar){ .dir = "/tmp/p2pnic-vfu-XXXXXX", .lies = lies, .n = n, .greets = greets };
	assert_non_null(mkdtemp(l->dir));
	snprintf(l->path, sizeof(l->path), "%s/nic", l->dir);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(sa.sun_path, l->path);
	assert_int_equal(bind(l->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l->listener, 1), 0);
	assert_int_equal(pthread_create(&l->thread, NULL, lie_on, l), 0);
}

static void liar_fini(struct liar *l)
{
	pthread_join(l->thread, NULL);
	close(l->listener);
	unlink(l->path);
	rmdir(l->dir);
}

static int open_client(const char *path, struct vfu_client **c)
{
	return vfu_client_open(&(struct vfu_client_config){ .path = path, .timeout_ms = 200 }, c);
}

struct open_case {
	const char *name;
	struct lie lie;
	int want;
};

static void test_open(void **state)
{
	const struct open_case cases[] = {
		{ "hangs up", { .hang_up = true }, -ENOTCONN },
		{ "says nothing", { .mute = true }, -ETIMEDOUT },
		{ "is busy", { .error = EBUSY }, -EBUSY },
		{ "an errno out of range", { .error = 1u << 31 }, -EIO },
		{ "size 3", { .size = 3 }, -EPROTO },
		{ "size 4 GiB", { .size = UINT32_MAX }, -EPROTO },
		{ "half a message", { .size = 200, TEXT("{}") }, -ETIMEDOUT },
		{ "another id", { 1, TEXT("{}") }, -EPROTO },
		{ "another command", { .command = VFU_DEVICE_RESET, TEXT("{}") }, -EPROTO },
		{ "type 7", { .flags = 7, TEXT("{}") }, -EPROTO },
		{ "no body", { 0 }, -EPROTO },
		{ "major 1", { BODY(struct vfu_version, L16(1), L16(0)) }, -EPROTO },
		{ "a minor we did not propose", { BODY(struct vfu_version, L16(0), L16(2)) }, -EPROTO },
		{ "not JSON", { TEXT("}") }, -EPROTO },
		{ "no NUL", { .body = "\0\0\1\0{}", .len = 6 }, -EPROTO },
		{ "too many descriptors", { TEXT("{}"), .nfds = 40 }, -EPROTO },
		{ "nothing but questions", { .flags = 16, .command = VFU_DMA_READ, .times = 50,
					     BODY(struct vfu_dma_access, L64(0), L64(1 << 20)) }, -ETIMEDOUT },
	};
	unsigned int fds = open_fds();

	for (size_t i = 0; i < P2P_ARRAY_SIZE(cases); i++) {
		struct vfu_client *c = NULL;
		struct liar l;

		print_message("  %s\n", cases[i].name);
		liar_init(&l, &cases[i].lie, 1, false);
		assert_int_equal(open_client(l.path, &c), cases[i].want);
		liar_fini(&l);
		assert_int_equal(open_fds(), fds);
	}
}

struct caps {
	struct vfu_region_info r;
	struct vfu_cap_sparse_mmap sparse;
	struct vfu_mmap_area area;
};

#define INFO(argsz, flags, cap, size, off) \
	L32(argsz), L32(flags), L32(5), L32(cap), L64(size), L64(off)
#define CAPS(next, areas, off, size) \
	BODY(struct caps, { INFO(64, 15, 32, 0x10000, 0) }, \
	     { { L16(1), L16(1), L32(next) }, L32(areas) }, { L64(off), L64(size) })

static void test_region_info(void **state)
{
	const struct open_case cases[] = {
		{ "short", { BODY(uint64_t, 0) }, -EPROTO },
		{ "of another region", { BODY(struct vfu_region_info, L32(32), .index = L32(4)) }, -EPROTO },
		{ "announces more than it sends", { BODY(struct vfu_region_info, INFO(4000, 8, 0, 0, 0)) }, 0 },
		{ "wants 4 GiB of room", { BODY(struct vfu_region_info, INFO(-1, 8, 0, 0, 0)) }, -EPROTO },
		{ "no areas", { CAPS(0, 0, 0, 0) }, 0 },
		{ "capability before its place", { BODY(struct vfu_region_info, INFO(32, 8, 8, 0, 0)) }, -EPROTO },
		{ "capability behind the end", { BODY(struct vfu_region_info, INFO(32, 8, 4096, 0, 0)) }, -EPROTO },
		{ "capability across the end", { BODY(struct vfu_region_info, INFO(32, 8, 30, 0, 0)) }, -EPROTO },
		{ "a chain in circles", { CAPS(32, 1, 0, 16) }, -EPROTO },
		{ "a chain out of the message", { CAPS(0x7fffffff, 1, 0, 16) }, -EPROTO },
		{ "more areas than there are", { CAPS(0, 2, 0, 16) }, -EPROTO },
		{ "4 billion areas", { CAPS(0, -1, 0, 16) }, -EPROTO },
		{ "an area out of the region", { CAPS(0, 1, 0x8000, 0x8001) }, -EPROTO },
		{ "an area that wraps", { CAPS(0, 1, -16, 32) }, -EPROTO },
		{ "file offsets run over", { BODY(struct vfu_region_info, INFO(32, 7, 0, 1ull << 62, 1ull << 62)),
					     .nfds = 1 }, -EPROTO },
		{ "two descriptors", { BODY(struct vfu_region_info, INFO(32, 7, 0, 4096, 0)), .nfds = 2 }, -EPROTO },
		{ "fails", { .error = EINVAL }, -EINVAL },
		{ "mmap without a descriptor", { BODY(struct vfu_region_info, INFO(32, 7, 0, 4096, 0)) }, 0 },
		{ "a descriptor without mmap", { BODY(struct vfu_region_info, INFO(32, 3, 0, 4096, 0)), .nfds = 1 }, 0 },
	};
	unsigned int fds = open_fds();

	for (size_t i = 0; i < P2P_ARRAY_SIZE(cases); i++) {
		struct vfu_client_region r = { .fd = -1 };
		struct vfu_client *c;
		struct liar l;

		print_message("  %s\n", cases[i].name);
		liar_init(&l, &cases[i].lie, 1, true);
		assert_int_equal(open_client(l.path, &c), 0);
		assert_int_equal(vfu_client_region_info(c, 5, &r), cases[i].want);
		assert_int_equal(r.fd, -1);
		assert_int_equal(r.flags & P2P_RGN_MMAP, 0);
		vfu_client_close(c);
		liar_fini(&l);
		assert_int_equal(open_fds(), fds);
	}
}

static void test_access(void **state)
{
	struct {
		struct vfu_region_access a;
		uint8_t data[16];
	} longer = { { L64(0), L32(0), L32(16) } }, lying = { { L64(0), L32(0), L32(4) } };
	const struct open_case cases[] = {
		{ "short", { BODY(uint32_t, 0) }, -EPROTO },
		{ "more than asked for", { .body = &longer, .len = sizeof(longer) }, -EPROTO },
		{ "count is not that of the data", { .body = &lying, .len = sizeof(lying) }, -EPROTO },
		{ "nothing read", { BODY(struct vfu_region_access, L64(0)) }, -EIO },
		{ "fails", { .error = EACCES }, -EACCES },
		{ "says nothing", { .mute = true }, -ETIMEDOUT },
		{ "hangs up", { .hang_up = true }, -ENOTCONN },
	};

	for (size_t i = 0; i < P2P_ARRAY_SIZE(cases); i++) {
		uint32_t v[3] = { 0, 0, 0x5a5a5a5a };
		struct vfu_client *c;
		struct liar l;

		print_message("  %s\n", cases[i].name);
		liar_init(&l, &cases[i].lie, 1, true);
		assert_int_equal(open_client(l.path, &c), 0);
		assert_int_equal(vfu_client_region_read(c, 0, 0, v, 8), cases[i].want);
		assert_int_equal(v[2], 0x5a5a5a5a);
		if (cases[i].want == -EPROTO || cases[i].want == -ETIMEDOUT || cases[i].want == -ENOTCONN) {
			assert_int_equal(vfu_client_fd(c), -1);
			assert_int_equal(vfu_client_reset(c), -ENOTCONN);
			assert_int_equal(vfu_client_serve(c, 0), -ENOTCONN);
		}
		vfu_client_close(c);
		liar_fini(&l);
	}
}

/* The driver's transport over it: whatever ended the connection is one errno, from the call on at which it ended, and why. */
static void test_transport(void **state)
{
	const struct {
		struct lie lie;
		int want;
		const char *why;
	} cases[] = {
		{ { .error = EACCES }, -EACCES, NULL },
		{ { .error = ETIMEDOUT }, -ETIMEDOUT, NULL }, /* the NIC says so itself */
		{ { .hang_up = true }, -ENOTCONN, "ended" },
		{ { BODY(uint32_t, 0) }, -ENOTCONN, "protocol" },
		{ { .mute = true }, -ENOTCONN, "does not answer" },
	};
	char err[DRV_ERR_MAX];
	const char *why;
	unsigned int k;

	for (size_t i = 0; i < P2P_ARRAY_SIZE(cases); i++) {
		struct transport *t;
		struct liar l;
		uint32_t v;

		liar_init(&l, &cases[i].lie, 1, true);
		assert_int_equal(transport_vfio_user_open(&t, l.path, err), 0);
		for (k = 0; k < 2; k++) {
			assert_int_equal(t->ops->region_read(t, 0, 0, &v, 4), cases[i].want);
			why = t->ops->why(t);
			assert_int_equal(!why, !cases[i].why);
			assert_true(!why || strstr(why, cases[i].why));
		}
		t->ops->close(t);
		liar_fini(&l);
	}
}

static unsigned int calls;

static int count_call(void *opaque, uint64_t iova, void *dst, size_t len)
{
	calls++;
	memset(dst, 0xaa, len);
	return 0;
}

/* A server that asks for DMA before it replies, and keeps what it is told. */
struct asker {
	int listener;
	struct vfu_dma_access ask;
	size_t len; /* of the question */
	struct vfu_header told;
	int told_len;
};

static void *ask_on(void *arg)
{
	static const struct lie welcome = { TEXT("{}") }, nothing = { 0 };
	struct asker *a = arg;
	int sock = accept(a->listener, NULL, NULL);
	uint8_t question[64] = { 0 }, body[64];
	struct vfu_header h;

	memcpy(question, &a->ask, sizeof(a->ask));
	if (read_request(sock, &h))
		tell(sock, &h, &welcome);
	for (int i = 0; i < 2 && read_request(sock, &h); i++) /* the maps */
		tell(sock, &h, &nothing);
	if (read_request(sock, &h)) {
		raw_send(sock, 77, VFU_DMA_READ, 0, 0, question, a->len, 0);
		a->told_len = raw_recv(sock, &a->told, body, sizeof(body));
		tell(sock, &h, &nothing);
	}
	close(sock);
	return NULL;
}

/* DMA that the server may not do: refused before anyone is asked. */
static void test_dma_bounds(void **state)
{
	const struct {
		uint64_t iova, count;
		size_t extra; /* bytes in the message that do not belong */
		int want;
	} cases[] = {
		{ 0x1000, 16, 0, 0 },	      { 0x1ff0, 16, 0, 0 },		{ 0x1ff1, 16, 0, EFAULT },
		{ 0xfff, 1, 0, EFAULT },      { 0x2000, 1, 0, EFAULT },		{ 0x1000, UINT64_MAX, 0, EINVAL },
		{ UINT64_MAX, 2, 0, EFAULT }, { 0x1000, 1ull << 32, 0, EINVAL }, { 0x1000, 16, 8, EINVAL },
		{ 0x5000, 4, 0, EPERM },      { 0x1000, 16, (size_t)-8, EINVAL },
	};
	struct vfu_client_config cfg = { .dma_read = count_call, .timeout_ms = 5000 };

	for (size_t i = 0; i < P2P_ARRAY_SIZE(cases); i++) {
		struct asker a = { .ask = { L64(cases[i].iova), L64(cases[i].count) }, .len = 16 + cases[i].extra };
		struct vfu_client *c;
		pthread_t thread;
		struct liar l;

		calls = 0;
		liar_init(&l, NULL, 0, false);
		cfg.path = l.path;
		/* Its own thread is not wanted here: it sees a connection and its end. */
		assert_int_equal(close(raw_connect(l.path)), 0);
		pthread_join(l.thread, NULL);
		a.listener = l.listener;
		assert_int_equal(pthread_create(&thread, NULL, ask_on, &a), 0);
		assert_int_equal(vfu_client_open(&cfg, &c), 0);
		assert_int_equal(vfu_client_dma_map(c, 0x1000, 0x1000, -1, 0, P2P_DMA_READ), 0);
		assert_int_equal(vfu_client_dma_map(c, 0x5000, 0x1000, -1, 0, P2P_DMA_WRITE), 0);
		assert_int_equal(vfu_client_reset(c), 0);
		vfu_client_close(c);
		pthread_join(thread, NULL);
		close(l.listener);
		unlink(l.path);
		rmdir(l.dir);
		assert_int_equal(from_le16(a.told.id), 77);
		assert_int_equal(from_le32(a.told.error), cases[i].want);
		assert_int_equal(a.told_len, cases[i].want ? 0 : 16 + cases[i].count);
		assert_int_equal(calls, !cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_region_info),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_dma_bounds),
	};

	return cmocka_run_group_tests_name("vfio-user: client", tests, NULL, NULL);
}
