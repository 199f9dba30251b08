/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments: seals, read-only receive buffers; the address map: miss, gates, permission, unmap, spanning windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_fw.h"

#define IOVA 0x100000000ull

struct fixture {
	struct fake_port port;
	struct soft_nic *nic;
	struct board_ctx *b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_port_init(&f->port);
	f->nic = fake_nic_create("nic0", &f->port);
	f->b = &f->nic->context[0].ctx;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	soft_nic_destroy(f->nic);
	fake_port_fini(&f->port);
	free(f);
	return 0;
}

/* A sealed object of n pages. */
static int object(unsigned int pages, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, pages * 4096), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void map(struct fixture *f, uint64_t iova, uint64_t bytes, int fd, uint64_t off, uint32_t prot, int want)
{
	assert_int_equal(soft_function_ops.dma_map(f->nic, iova, bytes, fd, off, prot), want);
}

static void test_seals(void **state)
{
	struct fixture *f = *state;

	fake_nic_configure(f->nic, 2, 64, 64);
	assert_int_equal(f->nic->mem.n, 2 + 1 + 2 + 2 * 2);
	for (unsigned int i = 0; i < f->nic->mem.n; i++) {
		const struct soft_segment *s = &f->nic->mem.seg[i];
		int want = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

		assert_int_equal(fcntl(s->fd, F_GET_SEALS) & want, want);
		assert_int_equal(ftruncate(s->fd, 0), -1);
		assert_int_equal(ftruncate(s->fd, s->bytes * 2), -1);
		assert_ptr_equal(soft_memory_find(&f->nic->mem, s->offset), s);
		assert_ptr_equal(soft_memory_find(&f->nic->mem, s->offset + s->bytes - 1), s);
	}
	assert_null(soft_memory_find(&f->nic->mem, f->nic->mem.used));
}

static void test_memory_is_one_piece(void **state)
{
	struct fixture *f = *state;
	const struct soft_memory *m = &f->nic->mem;

	fake_nic_configure(f->nic, 2, 64, 64);
	for (unsigned int i = 0; i < m->n; i++) {
		uint8_t *own = mmap(NULL, m->seg[i].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->seg[i].fd, 0);

		assert_true(own != MAP_FAILED);
		own[m->seg[i].bytes - 1] = i + 1;
		assert_int_equal(m->base[m->seg[i].offset + m->seg[i].bytes - 1], i + 1);
		munmap(own, m->seg[i].bytes);
	}
}

static void test_layout_again_is_zeroed(void **state)
{
	struct fixture *f = *state;

	fake_nic_configure(f->nic, 1, 64, 64);
	memset(f->nic->mem.base, 0xff, f->nic->mem.used);
	fake_nic_configure(f->nic, 1, 128, 64);
	for (uint64_t i = 0; i < f->nic->mem.used; i += 64)
		assert_int_equal(f->nic->mem.base[i], 0);
}

static void test_layout_too_large(void **state)
{
	struct fixture *f = *state;

	fake_reg_write(f->nic, P2P_NUM_NICS, 16);
	fake_reg_write(f->nic, P2P_SLOTS, 1024);
	fake_reg_write(f->nic, P2P_RX_BUFS, 1024);
	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_CONFIGURE);
	assert_int_equal(fake_reg_read(f->nic, P2P_ERROR), ENOMEM);
	assert_int_equal(f->nic->mem.n, 0);
	assert_null(f->b->mem);
}

static void test_rx_is_read_only(void **state)
{
	struct fixture *f = *state;
	struct p2p_region_info info;
	uint8_t *p;

	fake_nic_configure(f->nic, 2, 64, 64);
	assert_int_equal(soft_function_ops.region_share(f->nic, P2P_REGION_SEGMENT + 2, &info), 0);
	assert_int_equal(info.flags, P2P_RGN_READ | P2P_RGN_MMAP);
	assert_int_equal(fcntl(info.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, info.fd, 0) == MAP_FAILED);
	p = mmap(NULL, info.size, PROT_READ, MAP_SHARED, info.fd, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p, info.size, PROT_READ | PROT_WRITE), -1);
	munmap(p, info.size);
	assert_int_equal(write(info.fd, "x", 1), -1);
	close(info.fd);
	assert_int_equal(soft_function_ops.region_write(f->nic, P2P_REGION_SEGMENT + 2, 0, "x", 1), -EACCES);
}

/* 0: a client that is not root can't reopen receive buffers for writing. */
static int reopen_as_nobody(void)
{
	struct p2p_shape shape = { .nics = 1, .ports = 1, .slots = 64, .buf_size = 2048, .rx_bufs = 64 };
	struct soft_memory m;
	char path[64];

	if (geteuid() == 0 && (setuid(65534) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0))
		return 1;
	if (soft_memory_init(&m, 2 << 20) != 0 || soft_memory_layout(&m, &shape) != 0)
		return 2;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m.seg[2].share_fd);
	if (open(path, O_RDONLY) < 0)
		return 3;
	if (open(path, O_RDWR) >= 0 || errno != EACCES)
		return 4;
	soft_memory_destroy(&m);
	return 0;
}

static void test_rx_stays_read_only(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(reopen_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_ports_get_their_memory(void **state)
{
	struct fixture *f = *state;
	const struct soft_memory *m = &f->nic->mem;

	fake_nic_configure(f->nic, 3, 64, 64);
	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_ENABLE);
	assert_int_equal(f->port.started, 1);
	assert_int_equal(f->port.mem.n, 4);
	assert_ptr_equal(f->port.mem.region[0].base, m->base + m->seg[2].offset);
	assert_int_equal(f->port.mem.region[0].fd, m->seg[2].fd);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(f->port.mem.region[1 + i].fd, m->seg[p2p_seg_buf(&m->shape, 0, i)].fd);
	assert_int_equal(soft_function_ops.reset(f->nic), 0);
	assert_int_equal(f->port.stopped, 1);
}

/* --- the address map --- */

static void test_miss_is_a_fault(void **state)
{
	struct fixture *f = *state;
	struct board_win w, closed = { 0 };
	uint32_t v = 0x11223344, line[4] = { 1, 2, 3, 4 };
	struct p2p_desc d = { { 0 }, { 0 }, { 0 }, { 0 } };

	board_win_open(f->b, &w, IOVA, 4096);
	board_write(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 1);
	board_read(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(v, ~0u);
	assert_int_equal(board_fault_count(f->b), 2);
	board_write_line(f->b, &w, 0, line, BOARD_KIND_BEAT);
	board_write_descs(f->b, &w, 0, &d, 1);
	assert_int_equal(board_fault_count(f->b), 4);
	board_write(f->b, &closed, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 5);
}

static void test_map_and_unmap(void **state)
{
	struct fixture *f = *state;
	int fd = object(4, F_SEAL_SHRINK);
	uint32_t *mem = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t v = 0x11223344;
	struct board_win w;

	board_win_open(f->b, &w, IOVA + 8, 8192 - 8);
	map(f, IOVA, 8192, fd, 4096, P2P_DMA_READ | P2P_DMA_WRITE, 0);
	board_write(f->b, &w, 4, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(mem[1024 + 3], v);
	assert_int_equal(board_fault_count(f->b), 0);
	/* Past the window, though the map goes on; and with an offset that wraps. */
	board_write(f->b, &w, 8192 - 8 - 2, &v, 4, BOARD_KIND_CONTROL);
	board_write(f->b, &w, UINT64_MAX - 2, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 2);
	assert_int_equal(soft_function_ops.dma_unmap(f->nic, IOVA, 4096), -ENOENT);
	assert_int_equal(soft_function_ops.dma_unmap(f->nic, IOVA, 8192), 0);
	v = 5;
	board_write(f->b, &w, 4, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 3);
	assert_int_equal(mem[1024 + 3], 0x11223344);
	/* The same bus address, elsewhere. */
	map(f, IOVA, 4096, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
	board_write(f->b, &w, 4, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(mem[3], 5);
	munmap(mem, 4 * 4096);
	close(fd);
}

static void test_bus_master(void **state)
{
	struct fixture *f = *state;
	int fd = object(1, F_SEAL_SHRINK);
	uint32_t v = 7, got;
	struct board_win w, local;

	fake_nic_configure(f->nic, 1, 64, 64);
	map(f, IOVA, 4096, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
	board_win_open(f->b, &w, IOVA, 4096);
	board_win_open(f->b, &local, P2P_BUS_LOCAL, 4096);
	board_write(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	fake_nic_command(f->nic, 2);
	board_read(f->b, &w, 0, &got, 4, BOARD_KIND_CONTROL);
	assert_int_equal(got, ~0u);
	assert_int_equal(board_fault_count(f->b), 1);
	board_write(f->b, &local, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 1);
	fake_nic_command(f->nic, 6);
	board_read(f->b, &w, 0, &got, 4, BOARD_KIND_CONTROL);
	assert_int_equal(got, 7);
	close(fd);
}

static void test_permission(void **state)
{
	struct fixture *f = *state;
	int fd = object(2, F_SEAL_SHRINK), ro;
	struct board_win r, w;
	uint32_t v = 7;
	char path[64];

	map(f, IOVA, 4096, fd, 0, P2P_DMA_READ, 0);
	map(f, IOVA + 4096, 4096, fd, 4096, P2P_DMA_WRITE, 0);
	board_win_open(f->b, &r, IOVA, 4096);
	board_win_open(f->b, &w, IOVA + 4096, 4096);
	board_read(f->b, &r, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(v, 0);
	board_write(f->b, &r, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 1);
	board_write(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 1);
	board_read(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY);
	map(f, IOVA * 2, 4096, ro, 0, P2P_DMA_READ | P2P_DMA_WRITE, -EACCES);
	map(f, IOVA * 2, 4096, ro, 0, P2P_DMA_READ, 0);
	close(ro);
	close(fd);
}

static void test_refused_maps(void **state)
{
	struct fixture *f = *state;
	int fd = object(4, F_SEAL_SHRINK);

	map(f, IOVA, 8192, fd, 0, P2P_DMA_READ, 0);
	map(f, IOVA, 8192, fd, 0, P2P_DMA_READ, -EEXIST);
	map(f, IOVA + 4096, 8192, fd, 0, P2P_DMA_READ, -EEXIST);
	map(f, IOVA - 4096, 8192, fd, 0, P2P_DMA_READ, -EEXIST);
	map(f, IOVA - 4096, 16384, fd, 0, P2P_DMA_READ, -EEXIST);
	map(f, IOVA * 2, 0, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, IOVA * 2, 4096, fd, 0, 0, -EINVAL);
	map(f, IOVA * 2, 4096, fd, 0, 8, -EINVAL);
	map(f, IOVA * 2, 100, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, IOVA * 2 + 8, 4096, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, IOVA * 2, 4096, fd, 16384, P2P_DMA_READ, -EINVAL);
	map(f, IOVA * 2, 8192, fd, UINT64_MAX - 4095, P2P_DMA_READ, -EINVAL);
	map(f, UINT64_MAX - 4095, 4096, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, P2P_BUS_LOCAL, 4096, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, P2P_BUS_LOCAL - 4096, 8192, fd, 0, P2P_DMA_READ, -EINVAL);
	map(f, IOVA * 2, 1ull << 62, -1, 0, P2P_DMA_READ, 0);
	close(fd);
}

static void test_window_spans_maps(void **state)
{
	struct fixture *f = *state;
	int a = object(1, F_SEAL_SHRINK), c = object(1, F_SEAL_SHRINK);
	uint8_t *ma = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	uint8_t *mc = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c, 0);
	uint8_t text[64], back[64];
	struct board_win w;

	for (int i = 0; i < 64; i++)
		text[i] = i + 1;
	/* In the order that doesn't suit, too; and where a GiB ends between them. */
	for (uint64_t base = IOVA; base <= IOVA + (1ull << 30) - 4096; base += (1ull << 30) - 4096) {
		map(f, base + 4096, 4096, c, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
		map(f, base, 4096, a, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
		memset(ma, 0, 4096);
		memset(mc, 0, 4096);
		board_win_open(f->b, &w, base, 8192);
		board_write(f->b, &w, 4096 - 32, text, 64, BOARD_KIND_PAYLOAD);
		assert_memory_equal(ma + 4096 - 32, text, 32);
		assert_memory_equal(mc, text + 32, 32);
		board_read(f->b, &w, 4096 - 32, back, 64, BOARD_KIND_PAYLOAD);
		assert_memory_equal(back, text, 64);
		assert_int_equal(board_fault_count(f->b), 0);
		assert_int_equal(soft_function_ops.dma_unmap(f->nic, base + 4096, 4096), 0);
		board_write(f->b, &w, 4096 - 32, text, 64, BOARD_KIND_PAYLOAD);
		assert_int_equal(board_fault_count(f->b), 1);
		f->b->faults = 0;
		assert_int_equal(soft_function_ops.dma_unmap_all(f->nic), 0);
	}
	munmap(ma, 4096);
	munmap(mc, 4096);
	close(a);
	close(c);
}

static void test_many_maps(void **state)
{
	struct fixture *f = *state;
	int fd = object(1, F_SEAL_SHRINK);
	uint32_t v;
	struct board_win w;

	for (unsigned int i = 0; i < 500; i++)
		map(f, IOVA + (i * 7919ull % 500) * 8192, 4096, fd, 0, P2P_DMA_READ, 0);
	board_win_open(f->b, &w, IOVA, 500 * 8192);
	for (unsigned int i = 0; i < 500; i++) {
		board_read(f->b, &w, i * 8192, &v, 4, BOARD_KIND_CONTROL);
		assert_int_equal(board_fault_count(f->b), i);
		board_read(f->b, &w, i * 8192 + 4096, &v, 4, BOARD_KIND_CONTROL);
		assert_int_equal(board_fault_count(f->b), i + 1);
	}
	for (unsigned int i = 0; i < 500; i++)
		assert_int_equal(soft_function_ops.dma_unmap(f->nic, IOVA + i * 8192, 4096), 0);
	assert_int_equal(f->nic->iommu.n, 0);
	close(fd);
}

static void test_cut_short(void **state)
{
	struct fixture *f = *state;
	int fd = object(2, 0);
	uint32_t v = 1;
	struct board_win w;

	map(f, IOVA, 8192, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
	board_win_open(f->b, &w, IOVA, 8192);
	board_write(f->b, &w, 4096, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(ftruncate(fd, 4096), 0);
	board_read(f->b, &w, 4096, &v, 4, BOARD_KIND_CONTROL);
	soft_context_control(f->nic->context, soft_now_ns());
	assert_int_equal(board_fault_count(f->b), 1);
	board_read(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 2);
	assert_int_equal(v, ~0u);
	close(fd);
}

/* --- by message --- */

struct far {
	uint8_t mem[8192];
	unsigned int reads, writes;
	int fail;
};

static int far_read(void *opaque, uint64_t iova, void *dst, size_t len)
{
	struct far *far = opaque;

	far->reads++;
	memcpy(dst, far->mem + (iova - IOVA), len);
	return far->fail;
}

static int far_write(void *opaque, uint64_t iova, const void *src, size_t len)
{
	struct far *far = opaque;

	far->writes++;
	memcpy(far->mem + (iova - IOVA), src, len);
	return far->fail;
}

static void test_messages(void **state)
{
	static const struct p2p_dma_msg_ops ops = { far_read, far_write, false };
	struct fixture *f = *state;
	struct far far = { .fail = 0 };
	uint32_t sum, v = 0, line[4] = { 1, 2, 3, 4 };
	uint8_t frame[128] = "frame";
	struct board_win w;

	map(f, IOVA, 8192, -1, 0, P2P_DMA_READ | P2P_DMA_WRITE, 0);
	board_win_open(f->b, &w, IOVA, 8192);
	board_write(f->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(board_fault_count(f->b), 1);
	soft_function_ops.attached(f->nic, &ops, &far);
	board_write_line(f->b, &w, 64, line, BOARD_KIND_BEAT);
	assert_memory_equal(far.mem + 64, line, 16);
	memset(far.mem + 4096, 0xff, 128);
	board_write_sum(f->b, &w, 4096, frame, 65, 9, 64, &sum);
	assert_string_equal((char *)far.mem + 4096, "frame");
	assert_int_equal(far.mem[4096 + 127], 0);
	assert_int_equal(sum, board_sum_check(f->b, far.mem + 4096, 65, 9, 64));
	board_read(f->b, &w, 72, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(v, 3);
	assert_int_equal(far.reads, 1);
	assert_int_equal(far.writes, 2);
	assert_int_equal(board_fault_count(f->b), 1);
	fake_nic_command(f->nic, 2);
	board_read(f->b, &w, 72, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(far.reads, 1);
	assert_int_equal(v, ~0u);
	fake_nic_command(f->nic, 6);
	far.fail = -EIO;
	board_read(f->b, &w, 72, &v, 4, BOARD_KIND_CONTROL);
	assert_int_equal(v, ~0u);
	assert_int_equal(board_fault_count(f->b), 3);
	soft_function_ops.detached(f->nic);
	assert_int_equal(f->nic->iommu.n, 0);
}

/* What a VMM has not announced is asked of it, up to the next map and never without bus mastering. */
static void test_messages_beyond_maps(void **state)
{
	static const struct p2p_dma_msg_ops within = { far_read, far_write, false }, beyond = { far_read, far_write, true };
	struct fixture *f = *state;
	struct far far = { .fail = 0 };
	uint8_t bytes[64] = "beyond";
	struct board_win w;

	map(f, IOVA + 4096, 4096, -1, 0, P2P_DMA_READ, 0);
	board_win_open(f->b, &w, IOVA, 8192);
	soft_function_ops.attached(f->nic, &within, &far);
	soft_dma_write(f->b, &w, 0, bytes, 16, SOFT_DMA(BOARD_KIND_PAYLOAD, 64));
	assert_int_equal(far.writes, 0);
	assert_int_equal(board_fault_count(f->b), 1);
	soft_function_ops.attached(f->nic, &beyond, &far);
	soft_dma_write(f->b, &w, 16, bytes, 16, SOFT_DMA(BOARD_KIND_PAYLOAD, 64));
	assert_string_equal((char *)far.mem + 16, "beyond");
	assert_int_equal(far.writes, 1);
	/* The map behind it says what may be done there, and that is not writing. */
	soft_dma_write(f->b, &w, 4096 - 16, bytes, 32, SOFT_DMA(BOARD_KIND_PAYLOAD, 64));
	assert_int_equal(far.writes, 2);
	assert_int_equal(far.mem[4096], 0);
	assert_int_equal(board_fault_count(f->b), 2);
	far.fail = -EIO;
	soft_dma_write(f->b, &w, 16, bytes, 16, SOFT_DMA(BOARD_KIND_PAYLOAD, 64));
	assert_int_equal(far.writes, 3);
	assert_int_equal(board_fault_count(f->b), 3);
	fake_nic_command(f->nic, 2);
	soft_dma_write(f->b, &w, 16, bytes, 16, SOFT_DMA(BOARD_KIND_PAYLOAD, 64));
	assert_int_equal(far.writes, 3);
	assert_int_equal(board_fault_count(f->b), 4);
	soft_function_ops.detached(f->nic);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_seals),		 T(test_memory_is_one_piece), T(test_layout_again_is_zeroed),
		T(test_layout_too_large), T(test_rx_is_read_only),     T(test_ports_get_their_memory),
		T(test_miss_is_a_fault), T(test_map_and_unmap),	      T(test_bus_master),
		T(test_permission),	 T(test_refused_maps),	      T(test_window_spans_maps),
		T(test_many_maps),	 T(test_cut_short),	      T(test_messages),
		T(test_messages_beyond_maps),
		T(test_rx_stays_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
