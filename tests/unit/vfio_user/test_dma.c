/* SPDX-License-Identifier: BSD-3-Clause */
/* DMA: by descriptor, by message, and messages that meet requests on the way. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vfio_user/client.h>

#include "raw.h"

#define HOST_BYTES 0x10000u
#define HOST_IOVA 0x7000000000ull

static uint8_t host[HOST_BYTES];
static unsigned int refusals;

static int host_read(void *opaque, uint64_t iova, void *dst, size_t len)
{
	if (refusals) {
		refusals--;
		return -EIO;
	}
	memcpy(dst, host + (iova - HOST_IOVA), len);
	return 0;
}

static int host_write(void *opaque, uint64_t iova, const void *src, size_t len)
{
	memcpy(host + (iova - HOST_IOVA), src, len);
	return 0;
}

static struct vfu_client *open_client(struct bench *b, uint32_t max_bytes)
{
	const struct vfu_client_config cfg = {
		.path = b->path, .dma_read = host_read, .dma_write = host_write, .max_data_xfer_bytes = max_bytes,
	};
	struct vfu_client *c;

	assert_int_equal(vfu_client_open(&cfg, &c), 0);
	return c;
}

/* Asks the function for a DMA and waits for it as a guest would: by reading a register all the time. */
static int dma(struct vfu_client *c, uint32_t command, uint64_t iova, uint32_t len)
{
	uint32_t before, done;
	int result;

	assert_int_equal(vfu_client_region_read(c, 0, FAKE_DONE, &before, sizeof(before)), 0);
	assert_int_equal(vfu_client_region_write(c, 0, FAKE_IOVA, &iova, sizeof(iova)), 0);
	assert_int_equal(vfu_client_region_write(c, 0, FAKE_LEN, &len, sizeof(len)), 0);
	assert_int_equal(vfu_client_region_write(c, 0, FAKE_COMMAND, &command, sizeof(command)), 0);
	do {
		assert_int_equal(vfu_client_region_read(c, 0, FAKE_DONE, &done, sizeof(done)), 0);
	} while (done == before);
	assert_int_equal(vfu_client_region_read(c, 0, FAKE_RESULT, &result, sizeof(result)), 0);
	return result;
}

static void fill(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(seed + i * 13 + (i >> 7));
}

static void test_by_descriptor(void **state)
{
	struct vfu_server_stats st;
	uint8_t *mem, data[256];
	struct vfu_client *c;
	struct bench b;
	int fd;

	bench_init(&b, 0);
	fd = memfd_create("host", MFD_CLOEXEC);
	c = open_client(&b, 0);
	assert_int_equal(ftruncate(fd, 0x20000), 0);
	mem = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(mem != MAP_FAILED);
	assert_int_equal(vfu_client_dma_map(c, HOST_IOVA, 0x10000, fd, 0x10000, 3), 0);
	assert_int_equal(vfu_client_dma_map(c, HOST_IOVA + 0x8000, 0x10000, fd, 0, 3), -EEXIST);
	close(fd);
	fill(mem + 0x10100, 256, 1);
	assert_int_equal(dma(c, 1, HOST_IOVA + 0x100, 256), 0);
	assert_int_equal(vfu_client_region_read(c, 0, FAKE_DATA, data, sizeof(data)), 0);
	assert_memory_equal(data, mem + 0x10100, 256);
	assert_int_equal(dma(c, 2, HOST_IOVA + 0x4000, 256), 0);
	assert_memory_equal(data, mem + 0x14000, 256);
	vfu_server_stats(b.server, &st);
	assert_int_equal(st.dma_reads + st.dma_writes, 0);
	assert_int_equal(vfu_client_dma_unmap(c, HOST_IOVA, 0x8000), -ENOENT);
	assert_int_equal(vfu_client_dma_unmap(c, HOST_IOVA, 0x10000), 0);
	assert_int_equal(dma(c, 1, HOST_IOVA, 16), -EFAULT);
	munmap(mem, 0x20000);
	vfu_client_close(c);
	bench_check_fds(&b);
	bench_fini(&b);
}

/* Our client reads a register while the function's DMA waits for it: both ways at once, many times over. */
static void test_collision(void **state)
{
	struct vfu_server_stats st;
	uint8_t data[512];
	struct vfu_client *c;
	struct bench b;

	bench_init(&b, 0);
	c = open_client(&b, 100); /* several messages for one transfer */
	assert_int_equal(vfu_client_dma_map(c, HOST_IOVA, HOST_BYTES, -1, 0, 3), 0);
	for (unsigned int i = 0; i < 60; i++) {
		uint64_t at = HOST_IOVA + i * 37 % 4096;

		fill(host, sizeof(host), i);
		assert_int_equal(dma(c, 1, at, 512), 0);
		assert_int_equal(vfu_client_region_read(c, 0, FAKE_DATA, data, sizeof(data)), 0);
		assert_memory_equal(data, host + (at - HOST_IOVA), sizeof(data));
		fill(data, sizeof(data), i + 1);
		assert_int_equal(vfu_client_region_write(c, 0, FAKE_DATA, data, sizeof(data)), 0);
		assert_int_equal(dma(c, 2, at + 0x2000, 512), 0);
		assert_memory_equal(data, host + (at + 0x2000 - HOST_IOVA), sizeof(data));
	}
	vfu_server_stats(b.server, &st);
	assert_int_equal(st.dma_reads, 60 * 6);
	assert_int_equal(st.dma_writes, 60 * 6);
	assert_int_equal(st.dma_errors, 0);
	assert_int_not_equal(st.served, 0);
	vfu_client_close(c);
	bench_fini(&b);
}

static void test_refused(void **state)
{
	struct vfu_client *c;
	struct bench b;

	bench_init(&b, 0);
	c = open_client(&b, 0);
	assert_int_equal(vfu_client_dma_map(c, HOST_IOVA, 0x1000, -1, 0, P2P_DMA_READ), 0);
	assert_int_equal(dma(c, 1, HOST_IOVA, 16), 0);
	assert_int_equal(dma(c, 2, HOST_IOVA, 16), -EIO); /* the function here does not look at prot: the client does */
	refusals = 1;
	assert_int_equal(dma(c, 1, HOST_IOVA, 16), -EIO);
	assert_int_equal(dma(c, 1, HOST_IOVA, 16), 0);
	assert_int_equal(vfu_client_dma_unmap_all(c), 0);
	assert_int_equal(dma(c, 1, HOST_IOVA, 16), -EFAULT);
	vfu_client_close(c);
	bench_fini(&b);
}

/* A raw client that has a DMA message of the server in its hands, unanswered. */
struct hold {
	struct bench b;
	int sock;
	struct vfu_header h;
	struct vfu_dma_access a;
	uint8_t rest[64];
};

static void hold_begin(struct hold *w, uint32_t command)
{
	struct vfu_dma_map m = { to_le32(32), to_le32(3), to_le64(0), to_le64(HOST_IOVA), to_le64(0x1000) };
	struct {
		struct vfu_region_access a;
		uint64_t iova;
		uint32_t len, command;
	} ask = { { to_le64(FAKE_IOVA), to_le32(0), to_le32(12) }, HOST_IOVA, 16, command };
	struct vfu_region_access r;
	uint8_t body[128];
	int n;

	bench_init(&w->b, 0);
	w->sock = raw_open(w->b.path);
	assert_int_equal(raw_ask(w->sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), 0);
	assert_int_equal(raw_ask(w->sock, VFU_REGION_WRITE, &ask, sizeof(ask) - 4, &r, sizeof(r)), 0);
	ask.a = (struct vfu_region_access){ to_le64(FAKE_COMMAND), to_le32(0), to_le32(4) };
	memcpy(&ask.iova, &ask.command, sizeof(ask.command));
	raw_send(w->sock, 1, VFU_REGION_WRITE, VFU_F_NO_REPLY, 0, &ask, sizeof(ask.a) + 4, 0);
	n = raw_recv(w->sock, &w->h, body, sizeof(body));
	assert_int_equal(from_le16(w->h.command), command == 1 ? VFU_DMA_READ : VFU_DMA_WRITE);
	assert_int_equal(n, sizeof(w->a) + (command == 1 ? 0 : 16));
	memcpy(&w->a, body, sizeof(w->a));
	assert_int_equal(from_le64(w->a.address), HOST_IOVA);
	assert_int_equal(from_le64(w->a.count), 16);
}

static void hold_reply(struct hold *w, uint32_t flags, const void *body, size_t len)
{
	raw_send(w->sock, from_le16(w->h.id), from_le16(w->h.command), flags, 0, body, len, 0);
}

/* Waits for the function's worker to be done, and looks at the result. */
static void hold_end(struct hold *w, int want)
{
	assert_true(fake_wait(&w->b.fake, &w->b.fake.dma_done, 1));
	assert_int_equal(w->b.fake.dma_result, want);
	if (w->sock >= 0)
		close(w->sock);
	bench_fini(&w->b);
}

struct answer {
	struct vfu_dma_access a;
	uint8_t data[16];
};

static const struct answer good = { { { HOST_IOVA }, { 16 } }, "0123456789abcde" };

/* While it is held, everything that QEMU might ask meanwhile is answered. */
static void test_requests_meanwhile(void **state)
{
	struct vfu_irq_info irq = { .argsz = to_le32(16), .index = to_le32(2) };
	struct vfu_irq_set set = { to_le32(20), to_le32(VFU_SET_DATA_NONE | VFU_SET_ACTION_TRIGGER), to_le32(2),
				   to_le32(1), to_le32(1) };
	struct vfu_dma_map m = { to_le32(32), to_le32(3), to_le64(0), to_le64(0x10000), to_le64(0x1000) };
	struct vfu_region_info info = { .argsz = to_le32(64), .index = to_le32(0) };
	struct vfu_region_access r = { to_le64(0), to_le32(7), to_le32(4) };
	uint8_t out[64];
	struct hold w;

	hold_begin(&w, 1);
	for (int i = 0; i < 20; i++) {
		assert_true(raw_alive(w.sock));
		assert_int_equal(raw_ask(w.sock, VFU_REGION_READ, &r, sizeof(r), out, sizeof(r) + 4), 0);
		assert_int_equal(raw_ask(w.sock, VFU_DEVICE_GET_IRQ_INFO, &irq, sizeof(irq), out, sizeof(irq)), 0);
		assert_int_equal(raw_ask(w.sock, VFU_DEVICE_SET_IRQS, &set, sizeof(set), NULL, 0), 0);
		assert_int_equal(raw_ask(w.sock, VFU_DEVICE_GET_REGION_INFO, &info, sizeof(info), out, 32), 0);
	}
	assert_int_equal(raw_ask(w.sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), 0);
	hold_reply(&w, VFU_F_REPLY, &good, sizeof(good));
	hold_end(&w, 0);
	assert_memory_equal(w.b.fake.bar0 + FAKE_DATA, good.data, 16);
}

/* Unmap and reset overtake it, and its late reply is no offence. */
static void test_overtaken(void **state)
{
	struct vfu_dma_unmap u = { to_le32(24), to_le32(0), to_le64(HOST_IOVA), to_le64(0x1000) };
	struct hold w;

	hold_begin(&w, 1);
	assert_int_equal(raw_ask(w.sock, VFU_DMA_UNMAP, &u, sizeof(u), &u, sizeof(u)), 0);
	hold_reply(&w, VFU_F_REPLY, &good, sizeof(good));
	assert_true(raw_alive(w.sock));
	hold_reply(&w, VFU_F_REPLY, &good, sizeof(good)); /* twice is */
	assert_false(raw_alive(w.sock));
	hold_end(&w, -EIO);
	hold_begin(&w, 2);
	assert_int_equal(raw_ask(w.sock, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	hold_reply(&w, VFU_F_REPLY | VFU_F_ERROR, NULL, 0);
	assert_true(raw_alive(w.sock));
	assert_int_equal(w.b.fake.resets, 1);
	hold_end(&w, -EIO);
}

static void test_client_gone(void **state)
{
	struct hold w;

	for (uint32_t command = 1; command <= 2; command++) {
		hold_begin(&w, command);
		close(w.sock);
		w.sock = -1;
		assert_true(fake_wait(&w.b.fake, &w.b.fake.detached, 1));
		hold_end(&w, -ENOTCONN);
	}
}

/* Replies that are none. */
static void test_bad_replies(void **state)
{
	struct answer wrong = good;
	struct hold w;

	hold_begin(&w, 1);
	hold_reply(&w, VFU_F_REPLY, NULL, 0); /* no data */
	hold_end(&w, -EIO);
	hold_begin(&w, 1);
	hold_reply(&w, VFU_F_REPLY, &good, sizeof(good) - 1); /* a byte short */
	hold_end(&w, -EIO);
	hold_begin(&w, 1);
	wrong.a.address = to_le64(0);
	hold_reply(&w, VFU_F_REPLY, &wrong, sizeof(wrong)); /* of another address */
	hold_end(&w, -EIO);
	hold_begin(&w, 1);
	wrong = good;
	wrong.a.count = to_le64(-1);
	hold_reply(&w, VFU_F_REPLY, &wrong, sizeof(wrong)); /* a count that is not that of the data */
	hold_end(&w, -EIO);
	hold_begin(&w, 1);
	hold_reply(&w, VFU_F_REPLY | VFU_F_ERROR, NULL, 0);
	assert_true(raw_alive(w.sock));
	hold_end(&w, -EIO);
	hold_begin(&w, 1);
	w.h.command = to_le16(VFU_DMA_WRITE); /* to another command: out of step */
	hold_reply(&w, VFU_F_REPLY, NULL, 0);
	hold_end(&w, -ENOTCONN);
	hold_begin(&w, 2);
	hold_reply(&w, VFU_F_REPLY, NULL, 0); /* QEMU's, without a body */
	hold_end(&w, 0);
	hold_begin(&w, 2);
	hold_reply(&w, VFU_F_REPLY, &good, 12); /* the text's */
	hold_end(&w, 0);
}

/* Without serve() a DMA gives way to the first request. */
static void test_no_serve(void **state)
{
	struct hold w;

	/* The function's calls here are stopped by the worker, so that asking can begin only once it has given way. */
	hold_begin(&w, 1);
	vfu_server_stop(w.b.server);
	hold_end(&w, -ENOTCONN);
	bench_init(&w.b, 0);
	vfu_server_destroy(w.b.server);
	w.b.fake.ops.serve = NULL;
	assert_int_equal(vfu_server_create(&(struct vfu_server_config){ .path = w.b.path, .ops = &w.b.fake.ops,
									 .fn = &w.b.fake }, &w.b.server), 0);
	assert_int_equal(vfu_server_start(w.b.server), 0);
	{
		struct vfu_client *c = open_client(&w.b, 0);
		int err;

		assert_int_equal(vfu_client_dma_map(c, HOST_IOVA, 0x1000, -1, 0, 3), 0);
		for (int i = 0; i < 50; i++) {
			err = dma(c, 1, HOST_IOVA, 16);
			assert_true(!err || err == -EIO);
		}
		vfu_client_close(c);
	}
	bench_fini(&w.b);
}

/* No reply at all: the DMA ends, the connection stays. */
static void test_timeout(void **state)
{
	struct vfu_dma_map m = { to_le32(32), to_le32(3), to_le64(0), to_le64(HOST_IOVA), to_le64(0x1000) };
	struct vfu_server_stats st;
	struct vfu_header h;
	uint8_t dst[16], body[64];
	struct bench b;
	int sock;

	bench_init(&b, 0);
	vfu_server_destroy(b.server);
	assert_int_equal(vfu_server_create(&(struct vfu_server_config){ .path = b.path, .ops = &b.fake.ops,
									 .fn = &b.fake, .dma_timeout_ms = 50 }, &b.server), 0);
	assert_int_equal(vfu_server_start(b.server), 0);
	sock = raw_open(b.path);
	assert_int_equal(raw_ask(sock, VFU_DMA_MAP, &m, sizeof(m), NULL, 0), 0);
	assert_int_equal(b.fake.dma->read(b.fake.dma_opaque, HOST_IOVA, dst, sizeof(dst)), -ETIMEDOUT);
	/* The next fail without waiting for as long, */
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b.fake.dma->read(b.fake.dma_opaque, HOST_IOVA, dst, sizeof(dst)), -ETIMEDOUT);
	vfu_server_stats(b.server, &st);
	assert_int_equal(st.dma_reads, 1);
	assert_int_equal(st.dma_timeouts, 1);
	/* until the client is heard of again. */
	assert_int_equal(raw_recv(sock, &h, body, sizeof(body)), sizeof(struct vfu_dma_access));
	raw_send(sock, from_le16(h.id), VFU_DMA_READ, VFU_F_REPLY | VFU_F_ERROR, 0, NULL, 0, 0);
	assert_true(raw_alive(sock));
	assert_int_equal(b.fake.dma->read(b.fake.dma_opaque, HOST_IOVA, dst, sizeof(dst)), -ETIMEDOUT);
	vfu_server_stats(b.server, &st);
	assert_int_equal(st.dma_reads, 2);
	close(sock);
	assert_true(fake_wait(&b.fake, &b.fake.detached, 1));
	assert_int_equal(b.fake.dma->read(b.fake.dma_opaque, HOST_IOVA, dst, sizeof(dst)), -ENOTCONN);
	bench_fini(&b);
}

struct caller {
	pthread_t thread;
	struct fake *f;
	unsigned int n;
	int err;
};

static void *call(void *arg)
{
	struct caller *me = arg;
	uint8_t buf[300];

	for (unsigned int i = 0; i < 100 && !me->err; i++) {
		fill(buf, sizeof(buf), i + me->n);
		me->err = me->f->dma->write(me->f->dma_opaque, HOST_IOVA + me->n * 4096, buf, sizeof(buf));
		memset(buf, 0, sizeof(buf));
		if (!me->err)
			me->err = me->f->dma->read(me->f->dma_opaque, HOST_IOVA + me->n * 4096, buf, sizeof(buf));
		for (size_t k = 0; k < sizeof(buf) && !me->err; k++)
			if (buf[k] != (uint8_t)(i + me->n + k * 13 + (k >> 7)))
				me->err = -EBADMSG;
	}
	return NULL;
}

static void ignore(void *fn) { }

/* Many threads at once, and the client serves them while idle. */
static void test_many_threads(void **state)
{
	struct caller t[4] = { 0 };
	struct vfu_server_stats st = { 0 };
	struct vfu_client *c;
	struct bench b;

	bench_init(&b, 0);
	vfu_server_destroy(b.server);
	b.fake.ops.serve = ignore; /* these threads hold nothing that a call needs */
	assert_int_equal(vfu_server_create(&(struct vfu_server_config){ .path = b.path, .ops = &b.fake.ops,
									 .fn = &b.fake }, &b.server), 0);
	assert_int_equal(vfu_server_start(b.server), 0);
	c = open_client(&b, 128);
	assert_int_equal(vfu_client_dma_map(c, HOST_IOVA, HOST_BYTES, -1, 0, 3), 0);
	for (unsigned int i = 0; i < 4; i++) {
		t[i].f = &b.fake;
		t[i].n = i;
		assert_int_equal(pthread_create(&t[i].thread, NULL, call, &t[i]), 0);
	}
	while (st.dma_reads < 4 * 100 * 3) {
		uint32_t v;

		assert_int_equal(vfu_client_serve(c, 10), 0);
		assert_int_equal(vfu_client_region_read(c, 0, 0, &v, sizeof(v)), 0);
		vfu_server_stats(b.server, &st);
		assert_int_equal(st.dma_errors, 0);
	}
	assert_int_equal(vfu_client_serve(c, 100), 0);
	for (unsigned int i = 0; i < 4; i++) {
		pthread_join(t[i].thread, NULL);
		assert_int_equal(t[i].err, 0);
	}
	vfu_client_close(c);
	bench_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_descriptor),	    cmocka_unit_test(test_collision),
		cmocka_unit_test(test_refused),		    cmocka_unit_test(test_requests_meanwhile),
		cmocka_unit_test(test_overtaken),	    cmocka_unit_test(test_client_gone),
		cmocka_unit_test(test_bad_replies),	    cmocka_unit_test(test_no_serve),
		cmocka_unit_test(test_timeout),		    cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests_name("vfio-user: DMA", tests, NULL, NULL);
}
