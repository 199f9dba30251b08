/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 2 MiB pages, which whoever may write them may punch out of their object: with
 * none free for the hole, who touches it goes on, and what is lost is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <ports/guard.h>
#include "fake_fw.h"
#include "huge.h"

#define OPS (&soft_function_ops)
#define MIB2 (2u << 20)
#define BUS 0x40000000ull
#define NONE 77 /* exit status: there are no huge pages */

static struct huge_group group;

/* In the child: cmocka's ways to fail are the parent's. */
#define CHECK(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #what); \
			_exit(1); \
		} \
	} while (0)

static struct soft_nic *nic_make(struct fake_port *port)
{
	struct soft_nic_opts opts = { .name = "nic0", .mem_bytes = 64u << 20, .ports = 1, .port = { &port->port } };
	struct soft_nic *nic = NULL;
	char err[SOFT_ERR_MAX];

	fake_port_init(port);
	CHECK(soft_nic_create(&nic, &opts, err) == 0);
	fake_nic_command(nic, 6);
	return nic;
}

/* An object of 2 MiB pages, its size sealed as ours are; -1: no pages. */
static int object(unsigned int pages)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | (21u << 26));

	if (fd >= 0 && ftruncate(fd, (off_t)pages * MIB2) == 0 && fallocate(fd, 0, 0, (off_t)pages * MIB2) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Takes the object's first page away, and no other is to be had. */
static void punch(int fd)
{
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB2) == 0);
	CHECK(huge_group_join(&group) == 0);
}

static void in_child(void (*test)(void))
{
	const char *why = huge_group_make(&group);
	int status = 0;
	pid_t pid;

	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	pid = fork();
	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		test();
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	huge_group_drop(&group);
	assert_true(pid > 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NONE) {
		print_message("skipped: no huge pages are free (/proc/sys/vm/nr_hugepages)\n");
		skip();
	}
	assert_false(WIFSIGNALED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Segments of the shape below: buf(port 0, peer 0) and (0, 1), one page each. */
static void configure(struct soft_nic *nic)
{
	fake_nic_configure(nic, 2, 1024, 64);
}

static void own_segment(void)
{
	struct fake_port port;
	struct soft_nic *nic = nic_make(&port);
	struct soft_context *c = nic->context;
	struct p2p_region_info info;
	unsigned int gone, kept;
	uint8_t byte = 0, *mem;
	int fd;

	configure(nic);
	gone = p2p_seg_buf(&nic->mem.shape, 0, 0);
	kept = p2p_seg_buf(&nic->mem.shape, 0, 1);
	if (!nic->mem.seg[gone].huge || !nic->mem.seg[kept].huge)
		_exit(NONE);
	mem = nic->mem.base + nic->mem.seg[gone].offset;
	memset(mem, 1, MIB2);
	nic->mem.base[nic->mem.seg[kept].offset] = 2;
	/* A peer has it. */
	CHECK(OPS->region_share(nic, P2P_REGION_SEGMENT + gone, &info) == 0 && info.fd >= 0);
	fd = info.fd;
	punch(fd);
	CHECK(OPS->region_read(nic, P2P_REGION_SEGMENT + gone, 4096, &byte, 1) == 1 && byte == 0);
	mem[0] = 3;
	CHECK(mem[0] == 3 && mem[MIB2 - 1] == 0 && nic->mem.base[nic->mem.seg[kept].offset] == 2);
	for (unsigned int i = 0; i < 3; i++)
		soft_context_control(c, soft_now_ns());
	CHECK(p2p_count_read(&c->ctx.faults) == 1);
	/* Configured again it has memory again; of other pages, as there are none. */
	configure(nic);
	CHECK(!nic->mem.seg[gone].huge && mem[0] == 0);
	mem[0] = 1;
	close(fd);
	soft_nic_destroy(nic);
}

static void test_own_segment(void **state)
{
	in_child(own_segment);
}

static int place(struct soft_nic *nic, uint8_t **base)
{
	struct board_win w;

	board_win_open(&nic->context[0].ctx, &w, BUS, MIB2);
	return board_place(&nic->context[0].ctx, 0, &w, MIB2, base);
}

/* What a NIC writes to a peer, and its cable with --placement cut. */
static void mapped(void)
{
	struct fake_port port;
	struct soft_nic *nic = nic_make(&port);
	struct soft_context *c = nic->context;
	int fd = object(2);
	struct board_win w;
	uint32_t v = 0x11223344, got = 0;
	uint8_t *base = NULL;

	if (fd < 0)
		_exit(NONE);
	fake_nic_configure(nic, 1, 64, 64);
	fake_reg_write(nic, P2P_FLAGS, P2P_FLAG_CUT);
	CHECK(OPS->dma_map(nic, BUS, MIB2, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE) == 0);
	CHECK(OPS->dma_map(nic, 2 * BUS, MIB2, fd, MIB2, P2P_DMA_READ | P2P_DMA_WRITE) == 0);
	CHECK(place(nic, &base) == 0);
	CHECK(soft_board_ports_start(&c->ctx) == 0 && port.mem.place);
	board_win_open(&c->ctx, &w, BUS, 2 * BUS + MIB2);
	board_write(&c->ctx, &w, 64, &v, 4, BOARD_KIND_CONTROL);
	board_read(&c->ctx, &w, 64, &got, 4, BOARD_KIND_CONTROL);
	CHECK(got == v && board_fault_count(&c->ctx) == 0);
	punch(fd);
	board_write(&c->ctx, &w, 64, &v, 4, BOARD_KIND_CONTROL);
	soft_context_control(c, soft_now_ns());
	CHECK(board_fault_count(&c->ctx) == 1);
	CHECK(nic->fw[0]->lost == 1 && !port.mem.place && place(nic, &base) < 0);
	board_read(&c->ctx, &w, 64, &got, 4, BOARD_KIND_CONTROL);
	CHECK(got == ~0u && board_fault_count(&c->ctx) == 2);
	/* What else is mapped goes on. */
	board_write(&c->ctx, &w, BUS + 64, &v, 4, BOARD_KIND_CONTROL);
	board_read(&c->ctx, &w, BUS + 64, &got, 4, BOARD_KIND_CONTROL);
	CHECK(got == v && board_fault_count(&c->ctx) == 2);
	CHECK(OPS->dma_unmap(nic, BUS, MIB2) == 0);
	soft_nic_destroy(nic);
	CHECK(guard_hits() == 1);
}

static void test_mapped(void **state)
{
	in_child(mapped);
}

/* Guards of the whole process are not used up by one client; its own memory needs none. */
static void test_unsealed_are_few(void **state)
{
	struct fake_port port;
	struct soft_nic *nic = nic_make(&port);
	int fd = memfd_create("unsealed", MFD_CLOEXEC), sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t at = BUS;

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(ftruncate(sealed, 4096), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	for (unsigned int i = 0; i < SOFT_MAX_UNSEALED; i++, at += 4096)
		assert_int_equal(OPS->dma_map(nic, at, 4096, fd, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->dma_map(nic, at, 4096, fd, 0, P2P_DMA_READ), -ENOSPC);
	assert_int_equal(OPS->dma_map(nic, at, 4096, sealed, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->dma_unmap(nic, at, 4096), 0);
	assert_int_equal(OPS->dma_unmap(nic, BUS, 4096), 0);
	assert_int_equal(OPS->dma_map(nic, at, 4096, fd, 0, P2P_DMA_READ), 0);
	close(fd);
	close(sealed);
	soft_nic_destroy(nic);
	fake_port_fini(&port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_segment),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_unsealed_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
