/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration space as an operating system meets it. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <boards/soft/pci_config.h>

struct bench {
	struct pci_config pc;
	unsigned int flrs, changes, unpends, last;
};

static void on_flr(void *opaque)
{
	struct bench *b = opaque;

	b->flrs++;
	pci_config_reset(&b->pc);
}

static void on_change(void *opaque)
{
	((struct bench *)opaque)->changes++;
}

static void on_unpend(void *opaque, unsigned int v)
{
	struct bench *b = opaque;

	b->unpends++;
	b->last = v;
}

static struct pci_config_params params(struct bench *b)
{
	return (struct pci_config_params){
		.vendor_id = P2P_PCI_VENDOR_ID,
		.device_id = P2P_PCI_DEVICE_ID,
		.subsystem_vendor_id = 0x1234,
		.subsystem_id = 0x5678,
		.revision = 3,
		.bar0_bytes = 65536,
		.bar2_bytes = 1ull << 33,
		.vectors = 70,
		.flr = on_flr,
		.access_changed = on_change,
		.msix_unpend = on_unpend,
		.opaque = b,
	};
}

static int setup(void **state)
{
	static struct bench b;
	struct pci_config_params par = params(&b);

	memset(&b, 0, sizeof(b));
	*state = &b;
	return pci_config_init(&b.pc, &par);
}

static int teardown(void **state)
{
	pci_config_free(&((struct bench *)*state)->pc);
	return 0;
}

static uint32_t get(struct bench *b, unsigned int off, unsigned int size)
{
	uint8_t v[4] = { 0 };

	assert_int_equal(pci_config_read(&b->pc, off, v, size), size);
	return v[0] | v[1] << 8 | v[2] << 16 | (uint32_t)v[3] << 24;
}

static void set(struct bench *b, unsigned int off, uint32_t value, unsigned int size)
{
	const uint8_t v[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };

	assert_int_equal(pci_config_write(&b->pc, off, v, size), size);
}

static void test_identity(void **state)
{
	struct bench *b = *state;

	assert_int_equal(get(b, 0, 4), (uint32_t)P2P_PCI_DEVICE_ID << 16 | P2P_PCI_VENDOR_ID);
	assert_int_equal(get(b, 8, 4), 0x02000003);
	assert_int_equal(get(b, 0x0e, 1), 0);
	assert_int_equal(get(b, 0x2c, 4), 0x56781234);
	assert_int_equal(get(b, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(get(b, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(get(b, 0x100, 4), 0);
	set(b, 0, 0, 4);
	set(b, 8, 0, 4);
	set(b, 0x2c, 0, 4);
	assert_int_equal(get(b, 0, 2), P2P_PCI_VENDOR_ID);
	assert_int_equal(get(b, 8, 4), 0x02000003);
	assert_int_equal(get(b, 0x2c, 4), 0x56781234);
}

/* Each capability once, dword-aligned, within the first 256 bytes, and an end. */
static void test_walk(void **state)
{
	struct bench *b = *state;
	unsigned int at = get(b, PCI_CAPABILITY_LIST, 1), n = 0, seen[256] = { 0 };

	assert_true(get(b, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	while (at) {
		assert_in_range(at, 0x40, 0xfc);
		assert_int_equal(at % 4, 0);
		assert_int_equal(seen[get(b, at, 1)]++, 0);
		at = get(b, at + 1, 1);
		assert_true(++n < 10);
	}
	assert_int_equal(n, 3);
	assert_int_equal(seen[PCI_CAP_ID_PM] + seen[PCI_CAP_ID_MSIX] + seen[PCI_CAP_ID_EXP], 3);
}

static unsigned int find(struct bench *b, unsigned int id)
{
	unsigned int at = get(b, PCI_CAPABILITY_LIST, 1);

	while (at && get(b, at, 1) != id)
		at = get(b, at + 1, 1);
	assert_int_not_equal(at, 0);
	return at;
}

static void test_bars(void **state)
{
	struct bench *b = *state;

	for (unsigned int bar = 0; bar < 6; bar++)
		set(b, 0x10 + 4 * bar, 0xffffffff, 4);
	assert_int_equal(get(b, 0x10, 4), 0xffff0000);
	assert_int_equal(get(b, 0x14, 4), 0);
	assert_int_equal(get(b, 0x18, 4), 0x0000000c);
	assert_int_equal(get(b, 0x1c, 4), 0xfffffffe);
	assert_int_equal(get(b, 0x20, 4), 0xffffe000);
	assert_int_equal(get(b, 0x24, 4), 0);
	assert_int_equal(pci_config_bar_bytes(&b->pc, 2), 1ull << 33);
	set(b, 0x10, 0xe1234567, 4);
	assert_int_equal(pci_config_bar_address(&b->pc, 0), 0xe1230000);
	set(b, 0x18, 0, 4);
	set(b, 0x1c, 0x40, 1); /* a byte of it */
	set(b, 0x1d, 0, 1);
	set(b, 0x1e, 0, 2);
	assert_int_equal(pci_config_bar_address(&b->pc, 2), 0x4000000000ull);
	assert_int_equal(pci_config_bar_address(&b->pc, 3), 0);
	assert_int_equal(pci_config_bar_bytes(&b->pc, 3), 0);
	assert_int_equal(pci_config_bar_bytes(&b->pc, 9), 0);
	pci_config_reset(&b->pc);
	assert_int_equal(pci_config_bar_address(&b->pc, 0), 0);
	assert_int_equal(get(b, 0x18, 4), 0xc);
}

static void test_command(void **state)
{
	struct bench *b = *state;

	assert_false(pci_config_bus_master(&b->pc));
	assert_false(pci_config_mem_enabled(&b->pc));
	set(b, PCI_COMMAND, 0xffff, 2);
	assert_int_equal(get(b, PCI_COMMAND, 2), 0x546);
	assert_true(pci_config_bus_master(&b->pc));
	assert_true(pci_config_mem_enabled(&b->pc));
	assert_true(pci_config_intx_disabled(&b->pc));
	assert_int_equal(b->changes, 1);
	set(b, PCI_COMMAND, PCI_COMMAND_MEMORY, 1);
	assert_int_equal(b->changes, 2);
	assert_false(pci_config_bus_master(&b->pc));
	assert_true(pci_config_mem_enabled(&b->pc));
	set(b, PCI_COMMAND, PCI_COMMAND_MEMORY, 1);
	assert_int_equal(b->changes, 2);
	/* Status: nothing to set, and writing ones clears nothing that is hardwired. */
	set(b, PCI_STATUS, 0xffff, 2);
	assert_int_equal(get(b, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}

static void test_power(void **state)
{
	struct bench *b = *state;
	unsigned int pm = find(b, PCI_CAP_ID_PM);

	set(b, PCI_COMMAND, 6, 2);
	assert_int_equal(get(b, pm + PCI_PM_PMC, 2) & PCI_PM_CAP_VER_MASK, 3);
	set(b, pm + PCI_PM_CTRL, 3, 2);
	assert_int_equal(get(b, pm + PCI_PM_CTRL, 2), 3 | PCI_PM_CTRL_NO_SOFT_RESET);
	assert_false(pci_config_bus_master(&b->pc));
	assert_false(pci_config_mem_enabled(&b->pc));
	assert_int_equal(b->changes, 2);
	set(b, pm + PCI_PM_CTRL, 1, 2); /* D1, D2: not here */
	assert_int_equal(get(b, pm + PCI_PM_CTRL, 2) & 3, 3);
	set(b, pm + PCI_PM_CTRL, 0, 2);
	assert_true(pci_config_bus_master(&b->pc));
	set(b, pm + PCI_PM_CTRL, 2, 2);
	assert_int_equal(get(b, pm + PCI_PM_CTRL, 2) & 3, 0);
}

static void test_express(void **state)
{
	struct bench *b = *state;
	unsigned int exp = find(b, PCI_CAP_ID_EXP);

	assert_int_equal(get(b, exp + PCI_EXP_FLAGS, 2), 0x0002);
	assert_true(get(b, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	assert_false(get(b, exp + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_RELAX_EN);
	assert_int_equal(get(b, exp + PCI_EXP_LNKSTA, 2) & 0x3ff, 0x083);
	set(b, PCI_COMMAND, 6, 2);
	set(b, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_1024B, 2);
	set(b, exp + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_CCC, 2);
	assert_int_equal(get(b, exp + PCI_EXP_DEVCTL, 2), PCI_EXP_DEVCTL_PAYLOAD_256B | PCI_EXP_DEVCTL_READRQ_1024B);
	assert_int_equal(b->flrs, 0);
	set(b, exp + PCI_EXP_DEVCTL, get(b, exp + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR, 2);
	assert_int_equal(b->flrs, 1);
	/* Reset, but for MPS and the link. */
	assert_false(pci_config_bus_master(&b->pc));
	assert_int_equal(get(b, exp + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PAYLOAD, PCI_EXP_DEVCTL_PAYLOAD_256B);
	assert_int_equal(get(b, exp + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_READRQ, PCI_EXP_DEVCTL_READRQ_512B);
	assert_int_equal(get(b, exp + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	assert_int_equal(get(b, exp + PCI_EXP_LNKCTL, 2), PCI_EXP_LNKCTL_CCC);
	/* By its upper byte alone, and not by a neighbour. */
	set(b, exp + PCI_EXP_DEVCTL + 1, 0x80, 1);
	assert_int_equal(b->flrs, 2);
	set(b, exp + PCI_EXP_DEVCTL, 0x80, 1);
	set(b, exp + PCI_EXP_DEVSTA, 0xffff, 2);
	assert_int_equal(b->flrs, 2);
}

static void vector_control(struct bench *b, unsigned int v, uint32_t value)
{
	assert_int_equal(pci_config_msix_write(&b->pc, 16 * v + 12, &value, 4), 4);
}

static uint32_t pending_word(struct bench *b, unsigned int word)
{
	uint32_t pba = get(b, find(b, PCI_CAP_ID_MSIX) + PCI_MSIX_PBA, 4) & PCI_MSIX_PBA_OFFSET, v;

	assert_int_equal(pci_config_msix_read(&b->pc, pba + 4 * word, &v, 4), 4);
	return v;
}

static void test_msix(void **state)
{
	struct bench *b = *state;
	unsigned int msix = find(b, PCI_CAP_ID_MSIX);
	uint32_t table = get(b, msix + PCI_MSIX_TABLE, 4), pba = get(b, msix + PCI_MSIX_PBA, 4);

	assert_int_equal(get(b, msix + PCI_MSIX_FLAGS, 2), 69);
	assert_int_equal(table, 4);
	assert_int_equal(pba & PCI_MSIX_PBA_BIR, 4);
	assert_true((pba & PCI_MSIX_PBA_OFFSET) >= 70 * 16);
	assert_true((pba & PCI_MSIX_PBA_OFFSET) + 16 <= pci_config_bar_bytes(&b->pc, 4));
	/* Off: lost. */
	vector_control(b, 66, 0);
	assert_false(pci_config_msix_fire(&b->pc, 66));
	assert_int_equal(pending_word(b, 2), 0);
	set(b, msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
	assert_int_equal(get(b, msix + PCI_MSIX_FLAGS, 2), 69 | PCI_MSIX_FLAGS_ENABLE);
	assert_true(pci_config_msix_fire(&b->pc, 66));
	assert_false(pci_config_msix_fire(&b->pc, 70));
	/* Masked at first, each for itself. */
	assert_false(pci_config_msix_fire(&b->pc, 65));
	assert_int_equal(pending_word(b, 2), 2);
	vector_control(b, 64, 0);
	assert_int_equal(b->unpends, 0);
	vector_control(b, 65, 0);
	assert_int_equal(b->unpends, 1);
	assert_int_equal(b->last, 65);
	assert_int_equal(pending_word(b, 2), 0);
	/* All at once. */
	set(b, msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	assert_false(pci_config_msix_fire(&b->pc, 65));
	assert_false(pci_config_msix_fire(&b->pc, 66));
	assert_int_equal(pending_word(b, 2), 6);
	set(b, msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
	assert_int_equal(b->unpends, 3);
	assert_int_equal(pending_word(b, 2), 0);
}

static void test_msix_table(void **state)
{
	struct bench *b = *state;
	uint8_t ones[32], back[32], zero[32] = { 0 };
	uint64_t size = pci_config_bar_bytes(&b->pc, 4);
	uint8_t *all = malloc(size);

	assert_non_null(all);
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(pci_config_msix_write(&b->pc, 16, ones, 16), 16);
	assert_int_equal(pci_config_msix_read(&b->pc, 16, back, 16), 16);
	assert_int_equal(back[0], 0xfc); /* addresses are dword-aligned */
	assert_int_equal(back[4], 0xff);
	assert_int_equal(back[8], 0xff);
	assert_int_equal(back[12], 1); /* the mask bit alone */
	assert_int_equal(back[13], 0);
	/* Pending bits take no writes, and behind the table there is nothing. */
	assert_int_equal(pci_config_msix_write(&b->pc, size / 2, ones, 16), 16);
	assert_int_equal(pci_config_msix_write(&b->pc, 70 * 16, ones, 32), 32);
	assert_int_equal(pci_config_msix_read(&b->pc, size / 2, back, 16), 16);
	assert_memory_equal(back, zero, 16);
	assert_int_equal(pci_config_msix_read(&b->pc, 70 * 16, back, 32), 32);
	assert_memory_equal(back, zero, 32);
	assert_int_equal(pci_config_msix_read(&b->pc, 0, all, size), size);
	assert_int_equal(pci_config_msix_read(&b->pc, 1, all, size), -EINVAL);
	assert_int_equal(pci_config_msix_write(&b->pc, UINT64_MAX, all, 2), -EINVAL);
	free(all);
	/* Taken by eventfd: enabled and unmasked. */
	assert_int_equal(pci_config_msix_attach(&b->pc, 3, true), 0);
	assert_true(pci_config_msix_fire(&b->pc, 3));
	assert_false(pci_config_msix_fire(&b->pc, 4));
	assert_int_equal(pci_config_msix_mask(&b->pc, 3, true), 0);
	assert_false(pci_config_msix_fire(&b->pc, 3));
	assert_int_equal(pci_config_msix_attach(&b->pc, 3, false), 0);
	assert_int_equal(pci_config_msix_mask(&b->pc, 3, false), 0);
	assert_int_equal(b->unpends, 0);
	assert_int_equal(pci_config_msix_mask(&b->pc, 70, false), -EINVAL);
	assert_int_equal(pci_config_msix_attach(&b->pc, 70, true), -EINVAL);
}

/* Writing anything anywhere changes only what may change, however it is cut up. */
static void test_masks(void **state)
{
	struct bench *b = *state;
	static uint8_t before[PCI_CONFIG_BYTES], after[PCI_CONFIG_BYTES], noise[PCI_CONFIG_BYTES];
	unsigned int seed = 7;

	pci_config_read(&b->pc, 0, before, sizeof(before));
	for (int round = 0; round < 200; round++) {
		for (size_t off = 0; off < sizeof(noise);) {
			size_t n = 1 + (size_t)rand_r(&seed) % 9;

			n = n < sizeof(noise) - off ? n : sizeof(noise) - off;
			for (size_t i = 0; i < n; i++)
				noise[i] = (uint8_t)rand_r(&seed);
			assert_int_equal(pci_config_write(&b->pc, off, noise, n), n);
			off += n;
		}
		pci_config_read(&b->pc, 0, after, sizeof(after));
		for (size_t i = 0; i < sizeof(after); i++)
			assert_int_equal((after[i] ^ before[i]) & ~b->pc.writable[i], 0);
	}
	assert_int_not_equal(b->flrs, 0);
	assert_int_equal(pci_config_read(&b->pc, 4095, after, 2), -EINVAL);
	assert_int_equal(pci_config_write(&b->pc, 4096, after, 1), -EINVAL);
	assert_int_equal(pci_config_write(&b->pc, UINT64_MAX, after, 2), -EINVAL);
}

static void test_params(void **state)
{
	struct bench *b = *state;
	struct pci_config_params par = params(b);
	struct pci_config pc;

	par.vectors = 0;
	assert_int_equal(pci_config_init(&pc, &par), -EINVAL);
	par.vectors = 2049;
	assert_int_equal(pci_config_init(&pc, &par), -EINVAL);
	par.vectors = 2048;
	par.bar2_bytes = 3 << 20;
	assert_int_equal(pci_config_init(&pc, &par), -EINVAL);
	par.bar2_bytes = 1 << 21;
	par.bar0_bytes = 1ull << 31;
	assert_int_equal(pci_config_init(&pc, &par), -EINVAL);
	par.bar0_bytes = 65536;
	assert_int_equal(pci_config_init(&pc, &par), 0);
	assert_int_equal(pci_config_bar_bytes(&pc, 4), 65536);
	pci_config_free(&pc);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_identity), TEST(test_walk), TEST(test_bars),	     TEST(test_command), TEST(test_power),
		TEST(test_express),  TEST(test_msix), TEST(test_msix_table), TEST(test_masks),	 TEST(test_params),
	};

	return cmocka_run_group_tests_name("PCI configuration space", tests, NULL, NULL);
}
