/* SPDX-License-Identifier: BSD-3-Clause */
/* The NIC as a PCI function: regions, gates, interrupts, reset, clients that leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_fw.h"

#define OPS (&soft_function_ops)

struct fixture {
	struct fake_port port;
	struct soft_nic *nic;
	struct soft_worker *worker;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_port_init(&f->port);
	f->nic = fake_nic_create("nic0", &f->port);
	*state = f;
	return 0;
}

/* The same, with every call carried to a worker. */
static int setup_worker(void **state)
{
	struct soft_worker_opts opts = { .core = -1 };
	char err[SOFT_ERR_MAX];
	struct fixture *f;

	setup(state);
	f = *state;
	assert_int_equal(soft_worker_create(&f->worker, &opts, err), 0);
	assert_int_equal(soft_worker_attach(f->worker, f->nic, 0), 0);
	assert_int_equal(soft_worker_attach(f->worker, f->nic, 0), -EEXIST);
	assert_int_equal(soft_worker_start(f->worker), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	soft_worker_destroy(f->worker);
	soft_nic_destroy(f->nic);
	fake_port_fini(&f->port);
	free(f);
	return 0;
}

static void test_regions(void **state)
{
	struct fixture *f = *state;
	struct p2p_region_info info;
	static const uint64_t sizes[9] = { P2P_BAR0_BYTES, 0, 2 << 20, 0, 8192, 0, 0, 4096, 0 };

	assert_int_equal(OPS->num_regions(f->nic), 9);
	for (unsigned int r = 0; r < 9; r++) {
		assert_int_equal(OPS->region_info(f->nic, r, &info), 0);
		assert_int_equal(info.size, sizes[r]);
		assert_int_equal(info.flags, sizes[r] ? P2P_RGN_READ | P2P_RGN_WRITE : 0);
		assert_int_equal(info.fd, -1);
	}
	assert_int_equal(OPS->region_info(f->nic, 9, &info), -EINVAL);
	fake_nic_configure(f->nic, 2, 64, 64);
	assert_int_equal(OPS->num_regions(f->nic), 9 + 9);
	assert_int_equal(OPS->region_info(f->nic, 9, &info), 0);
	assert_int_equal(info.fd, -1);
	for (unsigned int r = 10; r < 18; r++) {
		assert_int_equal(OPS->region_info(f->nic, r, &info), 0);
		assert_int_equal(info.fd, -1);
		assert_true(info.flags & P2P_RGN_MMAP);
		assert_int_equal(info.size, f->nic->mem.seg[r - 9].bytes);
	}
	assert_int_equal(OPS->reset(f->nic), 0);
	assert_int_equal(OPS->num_regions(f->nic), 9);
	assert_int_equal(OPS->region_share(f->nic, 9, &info), -EINVAL);
}

/* A reset closes the segments' descriptors; those that were on their way to a client stay what they were. */
static void test_share_outlives_reset(void **state)
{
	struct fixture *f = *state;
	struct p2p_region_info info;
	struct stat was, is;
	int own, other;

	fake_nic_configure(f->nic, 2, 64, 64);
	assert_int_equal(OPS->region_share(f->nic, 9, &info), 0);
	assert_int_equal(info.fd, -1);
	assert_int_equal(OPS->region_share(f->nic, 10, &info), 0);
	own = f->nic->mem.seg[1].fd;
	assert_int_equal(fstat(own, &was), 0);
	assert_int_equal(OPS->reset(f->nic), 0);
	other = open("/dev/null", O_RDONLY);
	assert_int_equal(fstat(info.fd, &is), 0);
	assert_int_equal(is.st_ino, was.st_ino);
	assert_int_equal(is.st_dev, was.st_dev);
	assert_int_not_equal(info.fd, other);
	close(other);
	close(info.fd);
}

static void test_access(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, back[8];
	uint64_t off;

	fake_reg_write(f->nic, P2P_AGE_S, 77);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), 77);
	assert_int_equal(OPS->region_read(f->nic, 0, 0, back, 3), -EINVAL);
	assert_int_equal(OPS->region_read(f->nic, 0, P2P_BAR0_BYTES, back, 4), -EINVAL);
	assert_int_equal(OPS->region_read(f->nic, 0, UINT64_MAX, back, 4), -EINVAL);
	assert_int_equal(OPS->region_read(f->nic, 8, 0, back, 4), -EINVAL);
	assert_int_equal(OPS->region_read(f->nic, 4000000000u, 0, back, 4), -EINVAL);
	/* Nothing laid out: ones. */
	assert_int_equal(OPS->region_write(f->nic, 2, 4096, buf, 8), 8);
	assert_int_equal(OPS->region_read(f->nic, 2, 4096, back, 8), 8);
	assert_int_equal(back[0] & back[7], 0xff);
	fake_nic_configure(f->nic, 2, 64, 64);
	/* The same bytes by BAR2 and by segment; across a segment's end. */
	off = f->nic->mem.seg[3].offset;
	assert_int_equal(OPS->region_write(f->nic, 2, off - 4, buf, 8), 8);
	assert_int_equal(OPS->region_read(f->nic, 12, 0, back, 4), 4);
	assert_memory_equal(back, buf + 4, 4);
	assert_int_equal(OPS->region_write(f->nic, 12, 8, buf, 8), 8);
	assert_int_equal(OPS->region_read(f->nic, 2, off + 8, back, 8), 8);
	assert_memory_equal(back, buf, 8);
	assert_int_equal(OPS->region_read(f->nic, 12, f->nic->mem.seg[3].bytes - 4, back, 8), -EINVAL);
	/* The last bytes of device memory that are laid out, and those after. */
	assert_int_equal(OPS->region_read(f->nic, 2, f->nic->mem.used - 4, back, 8), 8);
	assert_int_equal(back[3], 0);
	assert_int_equal(back[4], 0xff);
}

static void test_decode_gate(void **state)
{
	struct fixture *f = *state;
	uint32_t v = 5;

	fake_nic_configure(f->nic, 1, 64, 64);
	fake_reg_write(f->nic, P2P_AGE_S, 77);
	fake_nic_command(f->nic, 0);
	fake_reg_write(f->nic, P2P_AGE_S, 78);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), ~0u);
	assert_int_equal(OPS->region_write(f->nic, 2, 0, &v, 4), 4);
	assert_int_equal(OPS->region_read(f->nic, 2, 0, &v, 4), 4);
	assert_int_equal(v, ~0u);
	assert_int_equal(OPS->region_read(f->nic, 7, 0, &v, 4), 4);
	assert_int_not_equal(v, ~0u);
	fake_nic_command(f->nic, 2);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), 77);
	assert_int_equal(OPS->region_read(f->nic, 2, 0, &v, 4), 4);
	assert_int_equal(v, 0);
}

static uint64_t take(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static void test_interrupts(void **state)
{
	struct fixture *f = *state;
	int a = eventfd(0, EFD_NONBLOCK), c = eventfd(0, EFD_NONBLOCK), none = -1, pair[2] = { a, c };
	struct p2p_irq_info info;

	assert_int_equal(OPS->irq_info(f->nic, 2, &info), 0);
	assert_int_equal(info.count, BOARD_NUM_VECTORS);
	assert_int_equal(OPS->irq_info(f->nic, 0, &info), 0);
	assert_int_equal(info.count, 0);
	assert_int_equal(OPS->irq_info(f->nic, P2P_IRQ_WAKE, &info), 0);
	assert_true(info.input && info.count == 1);
	assert_int_equal(OPS->irq_info(f->nic, P2P_NUM_IRQS, &info), -EINVAL);
	assert_int_equal(OPS->irq_set(f->nic, 2, 0, 2, pair), 0);
	assert_int_equal(OPS->irq_set(f->nic, 2, 2, 2, pair), -EINVAL);
	assert_int_equal(OPS->irq_set(f->nic, 2, 4000000000u, 2, pair), -EINVAL);
	assert_int_equal(OPS->irq_set(f->nic, 0, 0, 1, pair), -EINVAL);
	board_event(&f->nic->context[0].ctx, 1, 0);
	assert_int_equal(take(a), 0);
	assert_int_equal(take(c), 1);
	assert_int_equal(OPS->irq_mask(f->nic, 2, 0, true), 0);
	assert_int_equal(OPS->irq_trigger(f->nic, 2, 0), 0);
	assert_int_equal(take(a), 0);
	assert_int_equal(OPS->irq_mask(f->nic, 2, 0, false), 0);
	assert_int_equal(take(a), 1);
	assert_int_equal(OPS->irq_set(f->nic, 2, 1, 1, &none), 0);
	board_event(&f->nic->context[0].ctx, 1, 0);
	assert_int_equal(take(c), 0);
	assert_int_equal(OPS->irq_set(f->nic, P2P_IRQ_BELL, 5, 1, &c), 0);
	board_bell(&f->nic->context[0].ctx, 4);
	board_bell(&f->nic->context[0].ctx, 400);
	assert_int_equal(take(c), 0);
	board_bell(&f->nic->context[0].ctx, 5);
	assert_int_equal(take(c), 1);
	close(a);
	close(c);
}

/* Descriptors that could block or kill the worker are refused, and none of the list is taken. */
static void test_interrupt_descriptors(void **state)
{
	struct fixture *f = *state;
	int a = eventfd(0, 0), p[2], list[2];
	uint64_t full = UINT64_MAX - 1;

	assert_int_equal(pipe(p), 0);
	list[0] = a;
	list[1] = p[1];
	assert_int_equal(OPS->irq_set(f->nic, 2, 0, 2, list), -EINVAL);
	assert_int_equal(f->nic->msix_fd[0], -1);
	assert_int_equal(OPS->irq_set(f->nic, 2, 0, 1, &a), 0);
	assert_int_equal(write(a, &full, 8), 8);
	board_event(&f->nic->context[0].ctx, 0, 0);
	assert_true(take(a) >= full);
	close(a);
	close(p[0]);
	close(p[1]);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;
	uint16_t flr = 0x8000;
	uint32_t v;

	fake_nic_configure(f->nic, 1, 64, 64);
	assert_int_equal(OPS->dma_map(f->nic, 0x10000, 4096, -1, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->reset(f->nic), 0);
	assert_int_equal(f->nic->fw[0]->resets, 1);
	assert_false(f->nic->bus_master);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), ~0u);
	assert_int_equal(f->nic->iommu.n, 1);
	/* The same by the PCI Express capability. */
	fake_nic_command(f->nic, 6);
	fake_nic_configure(f->nic, 1, 64, 64);
	assert_true(f->nic->bus_master);
	assert_int_equal(OPS->region_write(f->nic, 7, 0x60 + 8, &flr, 2), 2);
	assert_int_equal(f->nic->fw[0]->resets, 2);
	assert_false(f->nic->bus_master);
	assert_int_equal(OPS->region_read(f->nic, 7, 4, &v, 4), 4);
	assert_int_equal(v & 6, 0);
}

static const struct p2p_dma_msg_ops no_dma;

static void test_client_leaves(void **state)
{
	struct fixture *f = *state;
	int e = eventfd(0, EFD_NONBLOCK);

	OPS->attached(f->nic, &no_dma, NULL);
	fake_nic_configure(f->nic, 1, 64, 64);
	assert_int_equal(OPS->irq_set(f->nic, P2P_IRQ_BELL, 0, 1, &e), 0);
	assert_int_equal(OPS->dma_map(f->nic, 0x10000, 4096, -1, 0, P2P_DMA_READ), 0);
	OPS->detached(f->nic);
	assert_int_equal(f->nic->fw[0]->resets, 1);
	assert_false(f->nic->bus_master);
	assert_int_equal(f->nic->iommu.n, 0);
	assert_int_equal(f->nic->context[0].bell_fd[0], -1);
	assert_null(f->nic->msg);
	close(e);
}

static void test_client_leaves_persistent(void **state)
{
	struct fixture *f = *state;
	int e = eventfd(0, EFD_NONBLOCK);

	OPS->attached(f->nic, &no_dma, NULL);
	fake_nic_configure(f->nic, 1, 64, 64);
	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_ENABLE | P2P_CTL_PERSIST);
	assert_int_equal(OPS->irq_set(f->nic, P2P_IRQ_BELL, 0, 1, &e), 0);
	assert_int_equal(OPS->dma_map(f->nic, 0x10000, 4096, -1, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->dma_map(f->nic, 0x20000, 4096, f->nic->mem.seg[1].fd, 0, P2P_DMA_READ), 0);
	OPS->detached(f->nic);
	assert_int_equal(f->nic->fw[0]->resets, 0);
	assert_true(f->nic->bus_master && f->nic->fw[0]->running);
	assert_int_equal(f->nic->iommu.n, 1);
	assert_true(f->nic->context[0].bell_fd[0] >= 0);
	assert_null(f->nic->msg);
	close(e);
}

/* --- memory that a cable receives into --- */

#define PLACE_BUS 0x40000000ull
#define PLACE_BYTES 8192u

static int place(struct fixture *f, uint64_t bus, uint64_t bytes, uint8_t **base)
{
	struct board_win w;

	board_win_open(&f->nic->context[0].ctx, &w, bus, bytes);
	return board_place(&f->nic->context[0].ctx, 0, &w, bytes, base);
}

/* A running NIC whose port receives into mapped memory. */
static void place_setup(struct fixture *f, int fd, uint32_t flags)
{
	uint8_t *base;

	fake_nic_configure(f->nic, 1, 64, 64);
	fake_reg_write(f->nic, P2P_FLAGS, flags);
	assert_int_equal(OPS->dma_map(f->nic, PLACE_BUS, PLACE_BYTES, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE), 0);
	if (!flags)
		return;
	assert_int_equal(place(f, PLACE_BUS, PLACE_BYTES, &base), 0);
	assert_int_equal(soft_board_ports_start(&f->nic->context[0].ctx), 0);
	assert_int_equal(f->port.mem.place, 2);
	assert_int_equal(f->port.mem.n, 3);
	assert_ptr_equal(f->port.mem.region[2].base, base);
	assert_int_equal(f->port.mem.region[2].size, PLACE_BYTES);
	memset(base, 0x5a, PLACE_BYTES);
}

static int place_memory(unsigned int seals)
{
	int fd = memfd_create("place", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, PLACE_BYTES), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_place_refused(void **state)
{
	struct fixture *f = *state;
	int fd = place_memory(F_SEAL_SHRINK), unsealed = place_memory(0);
	uint8_t *base;

	/* Not asked for when it was mapped: no descriptor was kept. */
	place_setup(f, fd, 0);
	assert_int_equal(place(f, PLACE_BUS, PLACE_BYTES, &base), -ENOENT);
	fake_reg_write(f->nic, P2P_FLAGS, P2P_FLAG_CUT);
	assert_int_equal(OPS->dma_map(f->nic, 2 * PLACE_BUS, PLACE_BYTES, unsealed, 0, P2P_DMA_READ | P2P_DMA_WRITE), 0);
	assert_int_equal(OPS->dma_map(f->nic, 3 * PLACE_BUS, PLACE_BYTES, fd, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->dma_map(f->nic, 4 * PLACE_BUS, 4096, fd, 4096, P2P_DMA_READ | P2P_DMA_WRITE), 0);
	assert_int_equal(OPS->dma_map(f->nic, 5 * PLACE_BUS, 4096, -1, 0, P2P_DMA_READ | P2P_DMA_WRITE), 0);
	assert_int_equal(OPS->dma_map(f->nic, 6 * PLACE_BUS, PLACE_BYTES, fd, 0, P2P_DMA_READ | P2P_DMA_WRITE), 0);
	assert_int_equal(place(f, 2 * PLACE_BUS, PLACE_BYTES, &base), -ENOENT);
	assert_int_equal(place(f, 3 * PLACE_BUS, PLACE_BYTES, &base), -ENOENT);
	assert_int_equal(place(f, 4 * PLACE_BUS, 4096, &base), -ENOENT);
	assert_int_equal(place(f, 5 * PLACE_BUS, 4096, &base), -ENOENT);
	assert_int_equal(place(f, 7 * PLACE_BUS, 4096, &base), -ENOENT);
	assert_int_equal(place(f, 6 * PLACE_BUS, PLACE_BYTES + 1, &base), -ENOENT);
	assert_int_equal(place(f, 6 * PLACE_BUS, PLACE_BYTES, &base), 0);
	f->port.shuffles = true;
	assert_int_equal(place(f, 6 * PLACE_BUS, PLACE_BYTES, &base), -EOPNOTSUPP);
	close(fd);
	close(unsealed);
}

static void test_place_unmapped(void **state)
{
	struct fixture *f = *state;
	int fd = place_memory(F_SEAL_SHRINK);

	place_setup(f, fd, P2P_FLAG_CUT);
	assert_int_equal(OPS->dma_map(f->nic, 2 * PLACE_BUS, PLACE_BYTES, fd, 0, P2P_DMA_READ), 0);
	assert_int_equal(OPS->dma_unmap(f->nic, 2 * PLACE_BUS, PLACE_BYTES), 0);
	assert_int_equal(f->nic->fw[0]->lost, 0);
	assert_int_equal(OPS->dma_unmap(f->nic, PLACE_BUS, PLACE_BYTES), 0);
	assert_int_equal(f->nic->fw[0]->lost, 1);
	assert_int_equal(f->nic->fw[0]->lost_maps, 1);
	assert_int_equal(f->port.mem.place, 0);
	close(fd);
}

static void test_place_all_unmapped(void **state)
{
	struct fixture *f = *state;
	int fd = place_memory(F_SEAL_SHRINK);

	place_setup(f, fd, P2P_FLAG_CUT);
	assert_int_equal(OPS->dma_unmap_all(f->nic), 0);
	assert_int_equal(f->nic->fw[0]->lost, 1);
	assert_int_equal(f->nic->fw[0]->lost_maps, 1);
	assert_int_equal(f->port.mem.place, 0);
	close(fd);
}

static void test_place_gated(void **state)
{
	struct fixture *f = *state;
	int fd = place_memory(F_SEAL_SHRINK);
	uint8_t *base;

	place_setup(f, fd, P2P_FLAG_CUT);
	fake_nic_command(f->nic, 2);
	assert_int_equal(f->nic->fw[0]->lost, 1);
	assert_int_equal(f->port.mem.place, 0);
	assert_int_equal(place(f, PLACE_BUS, PLACE_BYTES, &base), -ENOENT);
	close(fd);
}

/* --- calls that arrive while the worker waits, within a step, for message DMA --- */

struct served {
	struct soft_nic *nic;
	uint32_t in_dma, age_within, age_after, leave;
};

static int served_read(void *opaque, uint64_t iova, void *dst, size_t len)
{
	struct served *s = opaque;

	__atomic_store_n(&s->in_dma, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->leave, __ATOMIC_ACQUIRE)) {
		OPS->serve(s->nic);
		usleep(100);
	}
	s->age_within = s->nic->fw[0]->regs[P2P_AGE_S / 4];
	memset(dst, 0, len);
	return 0;
}

static uint64_t served_step(struct fw_nic *fw, void *arg)
{
	struct board_win w;
	uint32_t v;

	fw->step = NULL;
	board_win_open(fw->b, &w, 0x10000, 4096);
	board_read(fw->b, &w, 0, &v, 4, BOARD_KIND_CONTROL);
	return 0;
}

static int served_begin(struct soft_nic *nic, void *arg)
{
	nic->fw[0]->arg = arg;
	nic->fw[0]->step = served_step;
	return 0;
}

static void test_served_within_step(void **state)
{
	static const struct p2p_dma_msg_ops ops = { served_read, NULL, false };
	struct fixture *f = *state;
	struct served s = { .nic = f->nic };

	OPS->attached(f->nic, &ops, &s);
	assert_int_equal(OPS->dma_map(f->nic, 0x10000, 4096, -1, 0, P2P_DMA_READ), 0);
	fake_reg_write(f->nic, P2P_AGE_S, 1);
	assert_int_equal(soft_nic_call(f->nic, served_begin, &s), 0);
	while (!__atomic_load_n(&s.in_dma, __ATOMIC_ACQUIRE))
		usleep(100);
	/* All of these return while the step waits; the write takes effect after it. */
	fake_reg_write(f->nic, P2P_AGE_S, 2);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), 1);
	assert_int_equal(OPS->dma_map(f->nic, 0x20000, 4096, -1, 0, P2P_DMA_READ), 0);
	__atomic_store_n(&s.leave, 1, __ATOMIC_RELEASE);
	assert_int_equal(OPS->dma_unmap(f->nic, 0x20000, 4096), 0);
	assert_int_equal(s.age_within, 1);
	assert_int_equal(fake_reg_read(f->nic, P2P_AGE_S), 2);
}

static void test_options(void **state)
{
	struct fixture *f = *state;
	struct soft_nic_opts good = { .name = "n", .ports = 1, .port = { &f->port.port } }, o;
	struct soft_nic *nic = NULL;
	char err[SOFT_ERR_MAX];

	o = good;
	o.mem_bytes = 3 << 20;
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	assert_non_null(strstr(err, "power of two"));
	o = good;
	o.mem_bytes = 1 << 20;
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	o = good;
	o.buf_size = 1500;
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	o = good;
	o.ports = 9;
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	o = good;
	o.name = "";
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	assert_null(nic);
	o = good;
	o.ports = 0;
	assert_int_equal(soft_nic_create(&nic, &o, err), -EINVAL);
	assert_non_null(strstr(err, "0 ports: give 1 to"));
	assert_null(nic);
	assert_int_equal(soft_nic_create(&nic, &good, err), 0);
	assert_string_equal(soft_nic_name(nic), "n");
	assert_int_equal(nic->fw[0]->strap.mac[0][0] & 3, 2);
	soft_nic_destroy(nic);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define W(name) { #name " on a worker", name, setup_worker, teardown, NULL }
	const struct CMUnitTest tests[] = {
		T(test_share_outlives_reset), T(test_regions),       T(test_access),	     T(test_decode_gate),
		T(test_interrupts),    T(test_interrupt_descriptors),
		T(test_reset),	       T(test_client_leaves), T(test_client_leaves_persistent),
		T(test_place_refused), T(test_place_unmapped), T(test_place_all_unmapped), T(test_place_gated),
		T(test_options),       W(test_regions),	     W(test_access),
		W(test_decode_gate),   W(test_served_within_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
