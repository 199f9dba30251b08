/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the guest: what a NIC reaches that is told to write where it may not.
 *
 * usage: isolation A B C   PCI addresses.  A and B are brought up; C is laid out and shares their container, but
 *   nothing of it is mapped.
 *
 * One line a check, "ok ..." or "FAIL ...", and one "faults AT ..." for each address that the IOMMU must have refused.
 * Exit status 0: all was as it must be.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "driver/drv_internal.h"
#include "driver/vfio_container.h"

#define UNMAPPED 0x300000000000ull
#define CANARY 0x5ac35ac35ac35ac3ull
#define WATCH_NS 300000000l
#define LOG_S 6
#define MSIX 2
#define VECTOR_FAULT 1 /* BOARD_VEC_FAULT */

static unsigned int failed;

static void check(bool good, const char *what)
{
	printf("%s %s\n", good ? "ok" : "FAIL", what);
	failed += !good;
}

static void must(struct drv *d, int rc, const char *what)
{
	if (!rc)
		return;
	printf("FAIL %s: %s (%s)\n", what, drv_error(d), strerror(-rc));
	exit(1);
}

static void watch(void)
{
	const struct timespec ts = { 0, WATCH_NS };

	nanosleep(&ts, NULL);
}

static uint64_t faults(struct drv *d, struct drv_nic *nic)
{
	uint64_t v = 0;

	must(d, drv_reg_read(d, nic, P2P_EVENT_BLOCK + 8 * P2P_EV_dma_faults, 8, &v), "reading the fault counter");
	return v;
}

/* The kernel writes ten lines about faults in five seconds: each test has to have some of its own. */
static void let_log_breathe(void)
{
	sleep(LOG_S);
}

/* Until it has faulted so often. */
static uint64_t faults_await(struct drv *d, struct drv_nic *nic, uint64_t before, unsigned int count)
{
	const struct timespec ts = { 0, 1000000 };
	unsigned int tries;

	for (tries = 0; tries < 5000 && faults(d, nic) - before < count; tries++)
		nanosleep(&ts, NULL);
	return faults(d, nic);
}

static void add(struct drv *d, const char *addr)
{
	char err[DRV_ERR_MAX];
	struct transport *t;

	if (transport_vfio_open(&t, drv_vfio(d), addr, err)) {
		printf("FAIL %s\n", err);
		exit(1);
	}
	must(d, drv_add(d, t, addr), "adding a NIC");
}

/* What the interrupt of a fault signals, set before the first one. */
static int fault_vector(struct drv *d, int fd)
{
	struct drv_nic *a = &d->nic[0];

	must(d, a->t->ops->irq_set(a->t, MSIX, VECTOR_FAULT, 1, &fd), "the interrupt of faults");
	return fd;
}

static bool fired(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&p, 1, 5000) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
}

/* nic's own word for where peer's memory is. */
static void tell(struct drv *d, struct drv_nic *nic, struct drv_nic *peer, uint64_t base)
{
	must(d, drv_reg_write(d, nic, drv_peer_reg(peer->index, P2P_PEER_CTRL), 4, 0), "taking a peer out");
	must(d, drv_reg_write(d, nic, drv_peer_reg(peer->index, P2P_PEER_BAR2), 8, base), "a peer's address");
	must(d, drv_reg_write(d, nic, drv_peer_reg(peer->index, P2P_PEER_CTRL), 4, 1), "introducing a peer");
}

/* The physical address of a BAR, as sysfs has it: what a NIC could reach if there were no IOMMU. */
static uint64_t bar_address(const char *addr, unsigned int bar)
{
	unsigned long long start = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", addr);
	f = fopen(path, "r");
	for (unsigned int i = 0; f && i <= bar; i++)
		if (fscanf(f, "%llx %*x %*x", &start) != 1)
			start = 0;
	if (f)
		fclose(f);
	return start;
}

/* All of C's first ring segment. */
struct canary {
	uint64_t *at;
	uint64_t words;
};

/* C has memory and forwards nothing: whatever changes there was somebody else. */
static void lay_out(struct drv *third, const struct drv_opts *o)
{
	struct drv_nic *nic = &third->nic[0];
	char why[DRV_ERR_MAX];
	unsigned int tight;

	third->opts = *o;
	third->queues = 1;
	nic->shape = (struct p2p_shape){ .nics = 1, .ports = nic->ports, .buf_size = nic->buf_size, .queues = 1 };
	must(third, drv_shape_choose(&nic->shape, &nic->mem_bytes, 1, o, &tight, why), "C's memory");
	must(third, drv_step_reset(third, nic), "C's reset");
	must(third, drv_step_decode(third, nic), "C's decode");
	must(third, drv_step_configure(third, nic), "C");
}

static bool canary_alive(const struct canary *c)
{
	for (uint64_t i = 0; i < c->words; i++)
		if (((volatile uint64_t *)c->at)[i] != CANARY)
			return false;
	return true;
}

static void canary_make(struct drv *third, struct canary *c)
{
	struct drv_nic *nic = &third->nic[0];
	unsigned int seg = p2p_seg_ring(&nic->shape, 0);
	void *p;

	c->words = p2p_seg_bytes(&nic->shape, P2P_SEG_RING) / 8;
	must(third, transport_region_mmap(nic->t, P2P_REGION_SEGMENT + seg, c->words * 8, &p), "mapping C's memory");
	c->at = p;
	for (uint64_t i = 0; i < c->words; i++)
		c->at[i] = CANARY;
	check(canary_alive(c), "C's memory holds what was written there");
}

/* A writes at base: refused, counted, and nothing arrives at C. */
static void refused(struct drv *d, uint64_t base, const struct canary *c, const char *what)
{
	struct drv_nic *a = &d->nic[0], *b = &d->nic[1];
	uint64_t before, after, ring = p2p_seg_offset(&b->shape, p2p_seg_ring(&b->shape, a->index));
	char line[160];

	before = faults(d, a);
	tell(d, a, b, base);
	after = faults_await(d, a, before, 1);
	tell(d, a, b, drv_peer_base(d, b->index));
	snprintf(line, sizeof(line), "%s: %" PRIu64 " faults counted", what, after - before);
	check(after > before, line);
	snprintf(line, sizeof(line), "%s: C's memory is untouched", what);
	check(canary_alive(c), line);
	printf("faults %" PRIx64 "\n", (base + ring) & ~(uint64_t)0xfff);
	must(d, drv_wait_ready(d, 20000000000ull), "A and B again");
}

static void test_unmapped_since(struct drv *d, const struct canary *c)
{
	struct drv_nic *a = &d->nic[0], *b = &d->nic[1];
	uint64_t before, after;

	/* B's segments go out of the address space under A, which still uses them. */
	before = faults(d, a);
	must(d, drv_peer_unmap(d, a, b), "unmapping B");
	after = faults_await(d, a, before, 4); /* of one alone the log may say nothing: others fault too */
	check(after > before, "what was unmapped under way: faults counted");
	check(canary_alive(c), "what was unmapped under way: C's memory is untouched");
	must(d, drv_peer_map(d, a, b), "mapping B again");
	printf("faults %" PRIx64 "\n",
	       (uint64_t)(drv_peer_base(d, b->index) + p2p_seg_offset(&b->shape, p2p_seg_ring(&b->shape, a->index))));
	must(d, drv_wait_ready(d, 20000000000ull), "A and B again");
}

static void command(struct drv *d, struct drv_nic *nic, uint16_t v)
{
	le16 raw = to_le16(v);

	must(d, nic->t->ops->region_write(nic->t, DRV_REGION_CONFIG, DRV_PCI_COMMAND, &raw, sizeof(raw)), "the command register");
}

/* With its bus mastering off, A's heartbeats don't reach B, mapped as it is. */
static void test_bus_master(struct drv *d)
{
	struct drv_nic *a = &d->nic[0], *b = &d->nic[1];
	struct p2p_ring_head first, second;
	uint64_t bytes = p2p_seg_bytes(&b->shape, P2P_SEG_RING), before, after;
	void *p;

	must(d, transport_region_mmap(b->t, P2P_REGION_SEGMENT + p2p_seg_ring(&b->shape, a->index), bytes, &p), "mapping B's ring");
	memcpy(&first, p, sizeof(first));
	watch();
	memcpy(&second, p, sizeof(second));
	check(memcmp(&first, &second, sizeof(first)) != 0, "with bus mastering A writes into its ring at B");
	before = faults(d, a);
	command(d, a, DRV_PCI_COMMAND_MEMORY);
	memcpy(&first, p, sizeof(first));
	watch();
	memcpy(&second, p, sizeof(second));
	after = faults(d, a);
	check(memcmp(&first, &second, sizeof(first)) == 0, "without bus mastering A writes nothing");
	check(after > before, "without bus mastering: faults counted");
	command(d, a, DRV_PCI_COMMAND_MEMORY | DRV_PCI_COMMAND_MASTER);
	must(d, drv_wait_ready(d, 20000000000ull), "A and B again");
	munmap(p, bytes);
}

int main(int argc, char **argv)
{
	struct drv_opts o;
	struct canary c;
	struct drv *d, *third;
	uint64_t physical, before;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4 || drv_create(&d) || drv_create(&third))
		return 2;
	add(d, argv[1]);
	add(d, argv[2]);
	/* C in a container of its own would prove less: here all NICs could see its maps, if it had any. */
	third->vfio = drv_vfio(d);
	add(third, argv[3]);
	drv_opts_init(&o);
	o.scrub = true;
	o.silence_ms = 5000;
	o.bridge = true;
	lay_out(third, &o);
	canary_make(third, &c);
	must(d, drv_bring_up(d, &o), "A and B");
	must(d, drv_wait_ready(d, 20000000000ull), "A and B");
	check(drv_peer_base(d, 1) == bar_address(argv[2], 2), "A reaches B at the bus address that B's memory has anyway");
	before = faults(d, &d->nic[0]) + faults(d, &d->nic[1]);
	watch();
	check(faults(d, &d->nic[0]) + faults(d, &d->nic[1]) == before, "no faults while all is mapped");
	fd = fault_vector(d, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	refused(d, UNMAPPED, &c, "an address that is not mapped");
	check(fired(fd), "the NIC's MSI-X interrupt for faults comes by its eventfd");
	fault_vector(d, -1);
	close(fd);
	let_log_breathe();
	physical = bar_address(argv[3], 2);
	check(physical != 0, "C's memory has a physical address");
	refused(d, physical + p2p_seg_offset(&third->nic[0].shape, p2p_seg_ring(&third->nic[0].shape, 0)) -
		   p2p_seg_offset(&d->nic[1].shape, p2p_seg_ring(&d->nic[1].shape, 0)), &c, "C's physical address");
	let_log_breathe();
	test_unmapped_since(d, &c);
	test_bus_master(d);
	third->vfio = NULL;
	third->nic[0].t->ops->close(third->nic[0].t);
	third->n = 0;
	drv_destroy(third);
	drv_destroy(d);
	return failed ? 1 : 0;
}
