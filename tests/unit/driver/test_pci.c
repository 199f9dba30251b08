/* SPDX-License-Identifier: BSD-3-Clause */
/* What sysfs says of PCI functions, and binding, against directories made to look like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/vfio_container.h"

#define NIC "0000:03:00.0"
#define OTHER "0000:03:00.1"

struct world {
	char root[64];
};

static void put(const struct world *w, const char *path, const char *text)
{
	char full[2 * PATH_MAX];
	char *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", w->root, path);
	for (slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	if (!text)
		return;
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void link_to(const struct world *w, const char *path, const char *target)
{
	char full[2 * PATH_MAX];

	put(w, path, NULL);
	snprintf(full, sizeof(full), "%s/%s", w->root, path);
	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static void get(const struct world *w, const char *path, char *text, size_t size)
{
	char full[2 * PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", w->root, path);
	fd = open(full, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
}

#define DEV(addr) "bus/pci/devices/" addr

static void make_device(const struct world *w, const char *addr, const char *driver, const char *group)
{
	char path[PATH_MAX / 4], target[PATH_MAX / 4];
	const struct { const char *file, *text; } files[] = {
		{ "vendor", "0x1af4\n" }, { "device", "0x10f2\n" }, { "class", "0x020000\n" }, { "driver_override", "(null)\n" },
	};

	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), DEV("%s/%s"), addr, files[i].file);
		put(w, path, files[i].text);
	}
	if (driver) {
		snprintf(path, sizeof(path), "bus/pci/drivers/%s/unbind", driver);
		put(w, path, "");
		snprintf(path, sizeof(path), DEV("%s/driver"), addr);
		snprintf(target, sizeof(target), "../../drivers/%s", driver);
		link_to(w, path, target);
	}
	if (group) {
		snprintf(path, sizeof(path), "kernel/iommu_groups/%s/devices/%s", group, addr);
		put(w, path, "");
		snprintf(path, sizeof(path), DEV("%s/iommu_group"), addr);
		snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
		link_to(w, path, target);
	}
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	snprintf(w->root, sizeof(w->root), "/tmp/p2pt.sysfs.XXXXXX");
	assert_non_null(mkdtemp(w->root));
	put(w, "bus/pci/drivers_probe", "");
	*state = w;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct world *w = *state;

	nftw(w->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(w);
	return 0;
}

static void test_addresses(void **state)
{
	static const struct { const char *text, *addr; } good[] = {
		{ "0000:03:00.0", "0000:03:00.0" }, { "03:00.0", "0000:03:00.0" }, { "AB:1f.7", "0000:ab:1f.7" },
		{ "10ab:FF:00.1", "10ab:ff:00.1" },
	};
	static const char *const bad[] = { "", "3", "03:00", "03:00.8", "03:20.0", "03:00.0x", " 03:00.0", "03:00.0 ", "-3:00.0",
					   "0x:00.0", "10000:03:00.0", "0000:03:00.00", "0000:100:00.0", "zz:00.0", "../03:00.0" };
	char addr[PCI_ADDR_BYTES];

	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pci_addr_parse(good[i].text, addr), 0);
		assert_string_equal(addr, good[i].addr);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pci_addr_parse(bad[i], addr), -EINVAL);
}

static void test_info(void **state)
{
	char err[PCI_ERR_BYTES];
	struct world *w = *state;
	struct pci_info info;

	assert_int_equal(pci_info_read(w->root, NIC, &info, err), -ENODEV);
	assert_non_null(strstr(err, NIC ": there is no such PCI function"));
	make_device(w, NIC, NULL, NULL);
	assert_int_equal(pci_info_read(w->root, NIC, &info, err), 0);
	assert_int_equal(info.vendor, 0x1af4);
	assert_int_equal(info.group, -1);
	assert_string_equal(info.driver, "");
	assert_string_equal(info.override, "");
	make_device(w, NIC, "ixgbe", "17");
	assert_int_equal(pci_info_read(w->root, NIC, &info, err), 0);
	assert_int_equal(info.group, 17);
	assert_string_equal(info.driver, "ixgbe");
}

/* Each of them one line that names the file. */
static void test_inconsistent(void **state)
{
	static const struct { const char *file, *text; } bad[] = {
		{ "vendor", "" }, { "vendor", "what" }, { "vendor", "0x1af4 5" }, { "vendor", "0x12345" }, { "device", "-" },
	};
	char err[PCI_ERR_BYTES], path[PATH_MAX];
	struct world *w = *state;
	struct pci_info info;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make_device(w, NIC, "vfio-pci", "17");
		snprintf(path, sizeof(path), DEV(NIC) "/%s", bad[i].file);
		put(w, path, bad[i].text);
		assert_int_equal(pci_info_read(w->root, NIC, &info, err), -EIO);
		assert_non_null(strstr(err, bad[i].file));
		assert_null(strchr(err, '\n'));
	}
	make_device(w, NIC, "vfio-pci", NULL);
	link_to(w, DEV(NIC) "/iommu_group", "../../../../kernel/iommu_groups/seventeen");
	assert_int_equal(pci_info_read(w->root, NIC, &info, err), -EIO);
	assert_non_null(strstr(err, "iommu_group"));
	link_to(w, DEV(NIC) "/iommu_group", "../../");
	assert_int_equal(pci_info_read(w->root, NIC, &info, err), -EIO);
}

/* The first 64 bytes of configuration space with two registers. */
static void put_bars(const struct world *w, const char *addr, unsigned int bar, uint32_t low, uint32_t high)
{
	uint8_t config[64] = { 0 };
	uint32_t v[2] = { htole32(low), htole32(high) };
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), DEV("%s/config"), addr);
	put(w, path, "");
	memcpy(config + 0x10 + 4 * bar, v, sizeof(v));
	snprintf(path, sizeof(path), "%s/" DEV("%s/config"), w->root, addr);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(config, 1, sizeof(config), f), sizeof(config));
	assert_int_equal(fclose(f), 0);
}

#define NO_LINE "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"

static void check_bar(const struct world *w, unsigned int bar, uint64_t want)
{
	char err[PCI_ERR_BYTES];
	uint64_t bus = 1;

	assert_int_equal(pci_bar_address(w->root, NIC, bar, &bus, err), 0);
	assert_int_equal(bus, want);
}

static void test_memory(void **state)
{
	char err[PCI_ERR_BYTES];
	struct world *w = *state;
	struct bus_range *r;
	unsigned int n, i, found = 0;
	uint64_t bus;

	make_device(w, NIC, NULL, NULL);
	assert_int_equal(pci_bar_address(w->root, NIC, 2, &bus, err), -EIO);
	assert_non_null(strstr(err, NIC));
	put(w, DEV(NIC) "/resource", "0x00000000fe000000 0x00000000fe00ffff 0x0000000000040200\n" NO_LINE
	    "0x0000380000000000 0x00003800ffffffff 0x000000000014220c\n" NO_LINE
	    "0x000000000000c000 0x000000000000c0ff 0x0000000000040101\n"
	    "0x00000000fd000000 0x00000000fd000fff 0x0000000020040200\n" NO_LINE);
	/* `resource` alone: a virtual function. */
	check_bar(w, 0, 0xfe000000);
	check_bar(w, 1, 0);
	check_bar(w, 2, 0x380000000000);
	check_bar(w, 4, 0);
	check_bar(w, 5, 0);
	/* The register counts, without its low bits, but when the function does not answer. */
	put_bars(w, NIC, 2, 0x4000000c, 0x3900);
	check_bar(w, 2, 0x390040000000);
	check_bar(w, 0, 0xfe000000);
	put_bars(w, NIC, 0, 0xfc000000, 0x1234);
	check_bar(w, 0, 0xfc000000);
	put_bars(w, NIC, 2, 0xffffffff, 0xffffffff);
	check_bar(w, 2, 0x380000000000);
	/* A bridge: its windows come after BARs, ROM and virtual functions' memory. */
	make_device(w, "0000:02:00.0", "pcieport", NULL);
	put(w, DEV("0000:02:00.0") "/resource", NO_LINE NO_LINE NO_LINE NO_LINE NO_LINE NO_LINE NO_LINE
	    "0x0000000000003000 0x0000000000003fff 0x0000000000000101\n"
	    "0x00000000fe000000 0x00000000fe0fffff 0x0000000000000200\n"
	    "0x0000380000000000 0x00003801ffffffff 0x0000000000102201\n");
	assert_int_equal(pci_memory_read(w->root, &r, &n, err), 0);
	assert_int_equal(n, 4);
	for (i = 0; i < n; i++)
		found |= (r[i].first == 0x380000000000 && r[i].last == 0x3801ffffffff) | (r[i].last == 0x3800ffffffff) << 1 |
			 (r[i].last == 0xfe0fffff) << 2 | (r[i].last == 0xfe00ffff) << 3;
	assert_int_equal(found, 15);
	free(r);
	assert_int_equal(pci_memory_read("/nowhere", &r, &n, err), -EIO);
	assert_non_null(strstr(err, "/nowhere"));
}

static void test_group_others(void **state)
{
	char err[PCI_ERR_BYTES], text[256];
	struct world *w = *state;
	struct pci_info info;

	make_device(w, NIC, "vfio-pci", "17");
	make_device(w, OTHER, "ixgbe", "17");
	make_device(w, "0000:03:00.2", "vfio-pci", "17");
	make_device(w, "0000:03:00.3", NULL, "17");
	make_device(w, "0000:02:00.0", "pcieport", "17");
	put(w, DEV("0000:02:00.0") "/class", "0x060400\n");
	assert_int_equal(pci_info_read(w->root, NIC, &info, err), 0);
	pci_group_others(w->root, &info, text, sizeof(text));
	assert_string_equal(text, OTHER " (ixgbe)");
}

static void refuse_add(const struct world *w, int rc, const char *words)
{
	struct vfio_container *c;
	unsigned int slot;
	int fd;

	assert_int_equal(vfio_container_create(&c, w->root), 0);
	assert_int_equal(vfio_container_add(c, NIC, &slot, &fd), rc);
	assert_non_null(strstr(vfio_container_error(c), words));
	assert_null(strchr(vfio_container_error(c), '\n'));
	vfio_container_destroy(c);
}

static void test_container_refuses(void **state)
{
	struct world *w = *state;

	refuse_add(w, -ENODEV, "no such PCI function");
	make_device(w, NIC, NULL, NULL);
	refuse_add(w, -ENXIO, "no IOMMU group");
	make_device(w, NIC, NULL, "17");
	refuse_add(w, -ENODEV, "p2pnic bind " NIC);
	make_device(w, NIC, "ixgbe", "17");
	refuse_add(w, -EBUSY, "its driver is ixgbe");
	put(w, DEV(NIC) "/vendor", "");
	refuse_add(w, -EIO, "vendor");
}

static void refuse_bind(const struct world *w, int rc, const char *words)
{
	char err[PCI_ERR_BYTES];
	bool changed = true;

	assert_int_equal(pci_bind(w->root, NIC, false, &changed, err), rc);
	assert_false(changed);
	assert_non_null(strstr(err, words));
	assert_null(strchr(err, '\n'));
}

static void test_bind_refuses(void **state)
{
	char text[64], err[PCI_ERR_BYTES];
	struct world *w = *state;
	bool changed;

	refuse_bind(w, -ENODEV, "no such PCI function");
	make_device(w, NIC, "ixgbe", NULL);
	refuse_bind(w, -ENOENT, "modprobe vfio-pci");
	put(w, "bus/pci/drivers/vfio-pci/unbind", "");
	refuse_bind(w, -ENXIO, "no IOMMU group");
	make_device(w, NIC, "ixgbe", "17");
	put(w, DEV(NIC) "/net/eth7/flags", "0x1003\n");
	refuse_bind(w, -EBUSY, "eth7 is up");
	get(w, DEV(NIC) "/driver_override", text, sizeof(text));
	assert_string_equal(text, "(null)\n");
	/* Forced it goes on, and finds that nobody took the function: back to what it was. */
	assert_int_equal(pci_bind(w->root, NIC, true, &changed, err), -ENODEV);
	assert_non_null(strstr(err, "vfio-pci did not take it"));
	get(w, "bus/pci/drivers/ixgbe/unbind", text, sizeof(text));
	assert_string_equal(text, NIC);
	get(w, "bus/pci/drivers_probe", text, sizeof(text));
	assert_string_equal(text, NIC);
	get(w, DEV(NIC) "/driver_override", text, sizeof(text));
	assert_int_equal(text[0], '\n');
	/* One that is down is not in use. */
	put(w, DEV(NIC) "/net/eth7/flags", "0x1002\n");
	refuse_bind(w, -ENODEV, "did not take it");
}

static void test_bind_again_and_unbind(void **state)
{
	struct world *w = *state;
	char text[64], err[PCI_ERR_BYTES];
	bool changed = true;

	make_device(w, NIC, "vfio-pci", "999999");
	put(w, DEV(NIC) "/driver_override", "vfio-pci\n");
	assert_int_equal(pci_bind(w->root, NIC, false, &changed, err), 0);
	assert_false(changed);
	assert_int_equal(pci_unbind(w->root, NIC, false, &changed, err), 0);
	assert_true(changed);
	get(w, "bus/pci/drivers/vfio-pci/unbind", text, sizeof(text));
	assert_string_equal(text, NIC);
	make_device(w, NIC, "ixgbe", "999999");
	assert_int_equal(pci_unbind(w->root, NIC, false, &changed, err), 0);
	assert_false(changed);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_addresses),	  T(test_info),		T(test_inconsistent),	     T(test_group_others),
		T(test_container_refuses), T(test_bind_refuses), T(test_bind_again_and_unbind),
		T(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
