/* SPDX-License-Identifier: BSD-3-Clause */
/* Client and server of vfio_user/, one against the other, over a real socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vfio_user/client.h>

#include "raw.h"
#include "tests/open_fds.h"

static int setup(void **state)
{
	static struct bench b;

	bench_init(&b, 0);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	bench_check_fds(b);
	bench_fini(b);
	return 0;
}

static struct vfu_client *open_client(struct bench *b)
{
	const struct vfu_client_config cfg = { .path = b->path };
	struct vfu_client *c;

	assert_int_equal(vfu_client_open(&cfg, &c), 0);
	return c;
}

static void test_info(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	struct vfu_client_region r;
	struct vfu_client_info info;
	uint32_t count;

	assert_int_equal(vfu_client_info(c, &info), 0);
	assert_int_equal(info.num_regions, P2P_REGION_SEGMENT + FAKE_SEGS);
	assert_int_equal(info.num_irqs, P2P_NUM_IRQS);
	assert_true(info.resettable);
	assert_int_equal(vfu_client_region_info(c, 0, &r), 0);
	assert_int_equal(r.size, FAKE_BAR0_BYTES);
	assert_int_equal(r.flags, P2P_RGN_READ | P2P_RGN_WRITE);
	assert_int_equal(r.fd, -1);
	assert_false(r.typed);
	assert_int_equal(vfu_client_region_info(c, 1, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(r.flags, 0);
	assert_int_equal(vfu_client_region_info(c, 99, &r), -EINVAL);
	assert_int_equal(vfu_client_irq_info(c, 2, &count), 0);
	assert_int_equal(count, FAKE_VECTORS);
	assert_int_equal(vfu_client_irq_info(c, 0, &count), 0);
	assert_int_equal(count, 0);
	vfu_client_close(c);
}

/* The segment's region and its bytes in BAR2 are the same memory. */
static void test_segment(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	struct vfu_client_region r;
	uint32_t v = 0x11223344, w = 0;
	uint8_t *mem;

	assert_int_equal(vfu_client_region_info(c, P2P_REGION_SEGMENT + 1, &r), 0);
	assert_int_equal(r.size, FAKE_SEG_BYTES);
	assert_int_equal(r.flags, P2P_RGN_READ | P2P_RGN_WRITE | P2P_RGN_MMAP);
	assert_true(r.typed);
	assert_int_equal(r.type, 0x80000000u | P2P_PCI_VENDOR_ID);
	assert_int_equal(r.subtype, 0x101);
	assert_int_equal(r.num_areas, 1);
	assert_int_equal(r.areas[0].size, FAKE_SEG_BYTES);
	assert_true(r.fd >= 0);
	mem = mmap(NULL, FAKE_SEG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, (off_t)r.fd_offset);
	assert_true(mem != MAP_FAILED);
	close(r.fd);
	memcpy(mem + 100, &v, sizeof(v));
	assert_int_equal(vfu_client_region_read(c, P2P_REGION_SEGMENT + 1, 100, &w, sizeof(w)), 0);
	assert_int_equal(w, v);
	assert_int_equal(vfu_client_region_read(c, 2, FAKE_SEG_BYTES + 100, &w, sizeof(w)), 0);
	assert_int_equal(w, v);
	v = 0x55667788;
	assert_int_equal(vfu_client_region_write(c, 2, FAKE_SEG_BYTES + 200, &v, sizeof(v)), 0);
	assert_memory_equal(mem + 200, &v, sizeof(v));
	munmap(mem, FAKE_SEG_BYTES);
	vfu_client_close(c);
	/* Blocked, a SIGBUS by device memory would end the process, handler or not. */
	assert_false(b->fake.sigbus_blocked);
}

/* The descriptor that goes with a reply is closed after it, also where the client has no use for it. */
static void test_segment_descriptors(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	struct vfu_client_region r;
	unsigned int before = open_fds();
	uint32_t w;

	for (int i = 0; i < 50; i++) {
		assert_int_equal(vfu_client_region_info(c, P2P_REGION_SEGMENT, &r), 0);
		assert_true(r.fd >= 0);
		close(r.fd);
	}
	/* The server is done with what it was asked before. */
	assert_int_equal(vfu_client_region_read(c, P2P_REGION_SEGMENT, 0, &w, sizeof(w)), 0);
	assert_int_equal(open_fds(), before);
	vfu_client_close(c);
}

/* Longer than max_data_xfer_size: 2 MiB and the limit is 1 MiB. */
static void test_long_access(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	uint8_t *out = malloc(FAKE_BAR2_BYTES), *in = malloc(FAKE_BAR2_BYTES);
	struct vfu_server_stats st;

	assert_non_null(out);
	assert_non_null(in);
	for (size_t i = 0; i < FAKE_BAR2_BYTES; i++)
		out[i] = i < FAKE_SEGS * FAKE_SEG_BYTES ? (uint8_t)(i * 7 + (i >> 8)) : 0;
	assert_int_equal(vfu_client_region_write(c, 2, 0, out, FAKE_BAR2_BYTES), 0);
	assert_int_equal(vfu_client_region_read(c, 2, 0, in, FAKE_BAR2_BYTES), 0);
	assert_memory_equal(in, out, FAKE_BAR2_BYTES);
	vfu_server_stats(b->server, &st);
	assert_int_equal(st.requests, 1 + 2 + 2);
	assert_int_equal(vfu_client_region_read(c, 2, 1, in, FAKE_BAR2_BYTES), -EINVAL);
	free(in);
	free(out);
	vfu_client_close(c);
}

static void test_posted(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	uint32_t v;

	for (v = 0; v < 1000; v++)
		assert_int_equal(vfu_client_region_post(c, 0, 4 * v, &v, sizeof(v)), 0);
	assert_int_equal(vfu_client_region_read(c, 0, 4 * 999, &v, sizeof(v)), 0);
	assert_int_equal(v, 999);
	/* One that fails says nothing, and the next reply is the next one's. */
	assert_int_equal(vfu_client_region_post(c, 0, FAKE_BAR0_BYTES, &v, sizeof(v)), 0);
	assert_int_equal(vfu_client_region_read(c, 0, 4 * 998, &v, sizeof(v)), 0);
	assert_int_equal(v, 998);
	vfu_client_close(c);
}

static bool signalled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t v;

	return poll(&p, 1, 0) == 1 && read(fd, &v, sizeof(v)) == sizeof(v);
}

static void test_irqs(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	int fds[FAKE_VECTORS];

	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		fds[i] = i == 3 ? -1 : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(vfu_client_irq_set(c, 2, 0, FAKE_VECTORS, fds), 0);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(vfu_client_region_write(c, 0, FAKE_FIRE, &i, sizeof(i)), 0);
		assert_int_equal(fds[i] >= 0 && signalled(fds[i]), i != 3);
	}
	assert_int_equal(vfu_client_irq_trigger(c, 2, 5), 0);
	assert_true(signalled(fds[5]));
	assert_false(signalled(fds[4]));
	/* Masked it waits, unmasked it comes. */
	assert_int_equal(vfu_client_irq_mask(c, 2, 5, true), 0);
	assert_int_equal(vfu_client_irq_trigger(c, 2, 5), 0);
	assert_false(signalled(fds[5]));
	assert_int_equal(vfu_client_irq_mask(c, 2, 5, false), 0);
	assert_true(signalled(fds[5]));
	assert_int_equal(vfu_client_irq_disable(c, 2), 0);
	assert_int_equal(vfu_client_irq_trigger(c, 2, 5), 0);
	assert_false(signalled(fds[5]));
	assert_int_equal(vfu_client_irq_set(c, P2P_IRQ_BELL, 0, 1, fds), 0);
	assert_int_equal(vfu_client_irq_set(c, P2P_IRQ_BELL, 0, 2, fds), -EINVAL);
	for (unsigned int i = 0; i < FAKE_VECTORS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	vfu_client_close(c);
}

/* VFIO_IRQ_SET_DATA_BOOL and REGION_WRITE_MULTI, which our client does not send. */
static void test_raw_requests(void **state)
{
	struct {
		struct vfu_irq_set set;
		uint8_t on[FAKE_VECTORS];
	} set = { { to_le32(28), to_le32(VFU_SET_DATA_BOOL | VFU_SET_ACTION_TRIGGER), to_le32(2), to_le32(0),
		    to_le32(FAKE_VECTORS) },
		  { 0, 1, 0, 0, 1, 0, 0, 1 } };
	struct {
		struct vfu_write_multi m;
		struct vfu_write_one w[2];
	} multi = { { to_le64(2) },
		    { { to_le64(0x200), to_le32(0), to_le32(4), "abc" },
		      { to_le64(0x208), to_le32(0), to_le32(8), "1234567" } } };
	struct vfu_region_info small = { .argsz = to_le32(32), .index = to_le32(P2P_REGION_SEGMENT) };
	struct bench *b = *state;
	int sock = raw_open(b->path);
	struct vfu_write_multi done;
	unsigned int control = 0x8000;
	struct vfu_header h;
	uint8_t buf[64];

	/* MSI-X on, its vectors unmasked: nobody takes them, but they are counted. */
	assert_int_equal(pci_config_write(&b->fake.cfg, 0x52, &control, 2), 2);
	for (unsigned int v = 0; v < FAKE_VECTORS; v++)
		assert_int_equal(pci_config_msix_mask(&b->fake.cfg, v, false), 0);
	assert_int_equal(raw_ask(sock, VFU_DEVICE_SET_IRQS, &set, sizeof(set), NULL, 0), 0);
	assert_int_equal(b->fake.triggers, 3);
	assert_int_equal(raw_ask(sock, VFU_REGION_WRITE_MULTI, &multi, sizeof(multi), &done, sizeof(done)), 0);
	assert_int_equal(from_le64(done.wr_cnt), 2);
	assert_memory_equal(b->fake.bar0 + 0x200, "abc\0\0\0\0\0" "1234567", 16);
	/* Too small a buffer for the capabilities: their size, and no descriptor yet. */
	raw_send(sock, 5, VFU_DEVICE_GET_REGION_INFO, 0, 0, &small, sizeof(small), 0);
	assert_int_equal(raw_recv(sock, &h, buf, sizeof(buf)), sizeof(small));
	memcpy(&small, buf, sizeof(small));
	assert_int_equal(from_le32(small.argsz), 48);
	assert_int_equal(from_le32(small.cap_offset), 0);
	close(sock);
}

static void test_reset(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	uint32_t v = 1;

	assert_int_equal(vfu_client_region_write(c, 0, 0, &v, sizeof(v)), 0);
	assert_int_equal(vfu_client_reset(c), 0);
	assert_int_equal(vfu_client_region_read(c, 0, 0, &v, sizeof(v)), 0);
	assert_int_equal(v, 0);
	vfu_client_close(c);
}

static void test_one_at_a_time(void **state)
{
	struct bench *b = *state;
	const struct vfu_client_config cfg = { .path = b->path };
	struct vfu_client *first = open_client(b), *second;
	struct vfu_client_info info;

	assert_int_equal(vfu_client_open(&cfg, &second), -EBUSY);
	assert_int_equal(vfu_client_info(first, &info), 0);
	vfu_client_close(first);
	for (int i = 0; i < 50; i++) { /* at once, again and again: never busy with one that has gone */
		assert_int_equal(vfu_client_open(&cfg, &second), 0);
		vfu_client_close(second);
	}
	assert_true(fake_wait(&b->fake, &b->fake.detached, 51));
	assert_int_equal(b->fake.attached, 51);
	assert_false(vfu_server_attached(b->server));
}

static void test_stop_and_start(void **state)
{
	struct bench *b = *state;
	struct vfu_client *c = open_client(b);
	struct vfu_client_info info;

	vfu_server_stop(b->server);
	assert_int_equal(b->fake.detached, 1);
	assert_int_equal(vfu_client_info(c, &info), -ENOTCONN);
	assert_int_equal(vfu_client_info(c, &info), -ENOTCONN);
	vfu_client_close(c);
	assert_int_equal(vfu_server_start(b->server), 0);
	c = open_client(b);
	assert_int_equal(vfu_client_info(c, &info), 0);
	vfu_client_close(c);
}

static void test_socket_file(void **state)
{
	struct bench *b = *state;
	struct vfu_server_config cfg = { .path = b->path, .ops = &b->fake.ops, .fn = &b->fake };
	char path[80], longer[200];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct vfu_client_config to = { .path = path };
	struct vfu_server *s;
	struct vfu_client *c;
	struct stat st;
	FILE *f;
	int fd;

	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(vfu_server_create(&cfg, &s), -EADDRINUSE);
	snprintf(path, sizeof(path), "%s/other", b->dir);
	cfg.path = path;
	assert_int_equal(vfu_client_open(&to, &c), -ENOENT);
	/* A stale one: its listener is gone. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(sa.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(vfu_client_open(&to, &c), -ECONNREFUSED);
	assert_int_equal(vfu_server_create(&cfg, &s), 0);
	vfu_server_destroy(s);
	assert_int_equal(access(path, F_OK), -1);
	/* Somebody's file is nobody's socket. */
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(vfu_server_create(&cfg, &s), -EEXIST);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	/* What took our place at the path stays there. */
	assert_int_equal(vfu_server_create(&cfg, &s), 0);
	unlink(path);
	f = fopen(path, "w");
	fclose(f);
	vfu_server_destroy(s);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cfg.path = longer;
	assert_int_equal(vfu_server_create(&cfg, &s), -ENAMETOOLONG);
	to.path = longer;
	assert_int_equal(vfu_client_open(&to, &c), -ENAMETOOLONG);
}

/* The reply never names more than was proposed, and QEMU's buffer is as long as its own request. */
static void test_version(void **state)
{
	static const char ask[] = "{\"capabilities\": {\"max_msg_fds\": 16, \"migration\": {\"pgsize\": 4096, "
				  "\"max_bitmap_size\": 268435456}, \"pgsizes\": 4096, \"write_multiple\": true, "
				  "\"max_dma_maps\": 65535, \"max_data_xfer_size\": 1048576}}";
	struct bench *b = *state;
	char body[4 + sizeof(ask)] = { 0 }, reply[1024];
	struct vfu_header h;
	int sock, n;

	for (int minor = 0; minor < 3; minor++) {
		body[2] = (char)minor;
		memcpy(body + 4, ask, sizeof(ask));
		sock = raw_connect(b->path);
		raw_send(sock, 0, VFU_VERSION, 0, 0, body, sizeof(body), 0);
		n = raw_recv(sock, &h, reply, sizeof(reply));
		assert_in_range(n, 5, sizeof(body));
		assert_int_equal(reply[0], 0);
		assert_int_equal(reply[2], minor < VFU_MINOR ? minor : VFU_MINOR);
		assert_int_equal(strlen(reply + 4), n - 5);
		assert_non_null(strstr(reply + 4, "\"write_multiple\":true"));
		assert_null(strstr(reply + 4, "migration"));
		assert_null(strstr(reply + 4, "twin_socket"));
		close(sock);
	}
	sock = raw_connect(b->path);
	raw_send(sock, 0, VFU_VERSION, 0, 0, "\0\0\0\0{}", 7, 0);
	assert_true(raw_recv(sock, &h, reply, sizeof(reply)) > 5);
	assert_null(strstr(reply + 4, "write_multiple"));
	close(sock);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_info),   TEST(test_segment),	     TEST(test_segment_descriptors), TEST(test_long_access),	TEST(test_posted),
		TEST(test_irqs),   TEST(test_raw_requests),  TEST(test_reset),		TEST(test_one_at_a_time),
		TEST(test_stop_and_start), TEST(test_socket_file), TEST(test_version),
	};

	return cmocka_run_group_tests_name("vfio-user: server", tests, NULL, NULL);
}
