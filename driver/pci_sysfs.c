/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/pci_sysfs.h"

#define SYSFS_CLASS_BRIDGE 0x06
/* Of the third column of `resource`: Linux, include/linux/ioport.h. */
#define SYSFS_RES_MEM 0x00000200u
#define SYSFS_RES_UNSET 0x20000000u
#define SYSFS_RES_MAX 32 /* lines: BARs, ROM, those of virtual functions, windows */
#define SYSFS_BAR0 0x10

int pci_addr_parse(const char *text, char addr[PCI_ADDR_BYTES])
{
	unsigned int domain = 0, bus, dev, fn;
	int end = -1;

	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end) != 4 || end < 0) {
		domain = 0;
		end = -1;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end) != 3 || end < 0)
			return -EINVAL;
	}
	if (text[end] || strpbrk(text, " \t+-xX") || dev > 31 || fn > 7)
		return -EINVAL;
	snprintf(addr, PCI_ADDR_BYTES, "%04x:%02x:%02x.%x", domain & 0xffff, bus & 0xff, dev & 0x1f, fn & 7);
	return 0;
}

/* A file's first line.  0 or -errno. */
static int sysfs_line(const char *path, char *line, size_t size)
{
	ssize_t n;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, line, size - 1);
	rc = n < 0 ? -errno : 0;
	close(fd);
	line[n < 0 ? 0 : n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return rc;
}

/* The last part of what a link points to.  0, -ENOENT or -errno. */
static int sysfs_link(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];
	const char *base;
	ssize_t n;

	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (!*base || strlen(base) >= size)
		return -EIO;
	snprintf(name, size, "%s", base);
	return 0;
}

static int sysfs_hex(const char *dir, const char *file, unsigned long *v)
{
	char path[PATH_MAX], line[64], *end;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	rc = sysfs_line(path, line, sizeof(line));
	if (rc)
		return rc;
	errno = 0;
	*v = strtoul(line, &end, 16);
	return errno || end == line || *end ? -EIO : 0;
}

static int sysfs_odd(char err[PCI_ERR_BYTES], const char *addr, const char *dir, const char *what)
{
	snprintf(err, PCI_ERR_BYTES, "%s: %.200s/%s can't be made sense of; is sysfs mounted there?", addr, dir, what);
	return -EIO;
}

static int sysfs_group(const char *path, int *group)
{
	char name[PCI_NAME_BYTES], *end;
	unsigned long v;
	int rc;

	*group = -1;
	rc = sysfs_link(path, name, sizeof(name));
	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	errno = 0;
	v = strtoul(name, &end, 10);
	if (errno || *end || end == name || v > INT_MAX)
		return -EIO;
	*group = (int)v;
	return 0;
}

int pci_info_read(const char *root, const char *addr, struct pci_info *info, char err[PCI_ERR_BYTES])
{
	char dir[PATH_MAX / 2], path[PATH_MAX];
	unsigned long vendor, device;
	struct stat st;
	int rc;

	memset(info, 0, sizeof(*info));
	snprintf(info->addr, sizeof(info->addr), "%s", addr);
	snprintf(dir, sizeof(dir), "%s/bus/pci/devices/%s", root, addr);
	if (stat(dir, &st)) {
		snprintf(err, PCI_ERR_BYTES, "%s: there is no such PCI function; `ls %.200s/bus/pci/devices` lists them", addr, root);
		return -ENODEV;
	}
	if (sysfs_hex(dir, "vendor", &vendor) || vendor > 0xffff)
		return sysfs_odd(err, addr, dir, "vendor");
	if (sysfs_hex(dir, "device", &device) || device > 0xffff)
		return sysfs_odd(err, addr, dir, "device");
	info->vendor = (uint16_t)vendor;
	info->device = (uint16_t)device;
	snprintf(path, sizeof(path), "%s/driver", dir);
	rc = sysfs_link(path, info->driver, sizeof(info->driver));
	if (rc && rc != -ENOENT)
		return sysfs_odd(err, addr, dir, "driver");
	snprintf(path, sizeof(path), "%s/driver_override", dir);
	rc = sysfs_line(path, info->override, sizeof(info->override));
	if (rc && rc != -ENOENT)
		return sysfs_odd(err, addr, dir, "driver_override");
	if (!strcmp(info->override, "(null)"))
		info->override[0] = '\0';
	snprintf(path, sizeof(path), "%s/iommu_group", dir);
	if (sysfs_group(path, &info->group))
		return sysfs_odd(err, addr, dir, "iommu_group");
	return 0;
}

/* The next line that is memory with an address; number: which line that is, counted on.  false: there is none. */
static bool sysfs_resource(FILE *f, struct bus_range *r, unsigned int *number)
{
	unsigned long long first, last, flags;

	for (; *number < SYSFS_RES_MAX && fscanf(f, "%llx %llx %llx", &first, &last, &flags) == 3; (*number)++) {
		if (!(flags & SYSFS_RES_MEM) || (flags & SYSFS_RES_UNSET) || !first || last < first)
			continue;
		*r = (struct bus_range){ first, last };
		(*number)++;
		return true;
	}
	return false;
}

static FILE *sysfs_resource_open(const char *root, const char *addr)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/resource", root, addr);
	return fopen(path, "re");
}

/* 0: the register holds no address. */
static uint64_t sysfs_bar(const char *root, const char *addr, unsigned int bar)
{
	char path[PATH_MAX];
	uint32_t v[2] = { 0, 0 };
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/config", root, addr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = pread(fd, v, bar < 5 ? 8 : 4, SYSFS_BAR0 + 4 * (off_t)bar);
	close(fd);
	if (got < 4 || le32toh(v[0]) == UINT32_MAX || (le32toh(v[0]) & 1))
		return 0;
	return (le32toh(v[0]) & ~15u) | ((le32toh(v[0]) & 6) == 4 && got == 8 ? (uint64_t)le32toh(v[1]) << 32 : 0);
}

int pci_bar_address(const char *root, const char *addr, unsigned int bar, uint64_t *bus, char err[PCI_ERR_BYTES])
{
	FILE *f = sysfs_resource_open(root, addr);
	uint64_t own = sysfs_bar(root, addr, bar);
	unsigned int number = 0;
	struct bus_range r;

	*bus = 0;
	if (!f) {
		snprintf(err, PCI_ERR_BYTES, "%s: where its memory lies can't be read (resource): %s", addr, strerror(errno));
		return -EIO;
	}
	while (!*bus && sysfs_resource(f, &r, &number) && number <= bar + 1)
		if (number == bar + 1)
			*bus = own ? own : r.first;
	fclose(f);
	return 0;
}

int pci_memory_read(const char *root, struct bus_range **out, unsigned int *n, char err[PCI_ERR_BYTES])
{
	struct bus_range r, *list = NULL, *more;
	char path[PATH_MAX], addr[PCI_ADDR_BYTES];
	unsigned int number, room = 0;
	struct dirent *e;
	int rc = 0;
	DIR *d;
	FILE *f;

	*n = 0;
	snprintf(path, sizeof(path), "%s/bus/pci/devices", root);
	d = opendir(path);
	if (!d) {
		snprintf(err, PCI_ERR_BYTES, "%.200s: %s", path, strerror(errno));
		return -EIO;
	}
	while (!rc && (e = readdir(d))) {
		f = pci_addr_parse(e->d_name, addr) ? NULL : sysfs_resource_open(root, addr);
		number = 0;
		while (f && sysfs_resource(f, &r, &number)) {
			more = *n < room ? list : realloc(list, (room += 64) * sizeof(*list));
			if (!more) {
				snprintf(err, PCI_ERR_BYTES, "out of memory");
				rc = -ENOMEM;
				break;
			}
			list = more;
			list[(*n)++] = r;
		}
		if (f)
			fclose(f);
	}
	closedir(d);
	if (rc) {
		free(list);
		return rc;
	}
	*out = list;
	return 0;
}

static bool sysfs_is_bridge(const char *root, const char *addr)
{
	char dir[PATH_MAX / 2];
	unsigned long class;

	snprintf(dir, sizeof(dir), "%s/bus/pci/devices/%s", root, addr);
	return !sysfs_hex(dir, "class", &class) && class >> 16 == SYSFS_CLASS_BRIDGE;
}

void pci_group_others(const char *root, const struct pci_info *info, char *text, size_t size)
{
	char path[PATH_MAX], why[PCI_ERR_BYTES];
	struct pci_info other;
	struct dirent *e;
	size_t at = 0;
	DIR *d;

	text[0] = '\0';
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/iommu_group/devices", root, info->addr);
	d = opendir(path);
	if (!d)
		return;
	while ((e = readdir(d)) && at < size) {
		char addr[PCI_ADDR_BYTES];

		if (pci_addr_parse(e->d_name, addr) || !strcmp(addr, info->addr) || sysfs_is_bridge(root, addr) ||
		    pci_info_read(root, addr, &other, why) || !other.driver[0] || !strcmp(other.driver, PCI_VFIO_DRIVER))
			continue;
		at += (size_t)snprintf(text + at, size - at, "%s%s (%s)", at ? ", " : "", addr, other.driver);
	}
	closedir(d);
}

/* Link-local IPv6 addresses are not somebody's: the kernel gives them to every device that is up. */
static bool sysfs_has_address(const char *name)
{
	struct ifaddrs *list, *a;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (a = list; a; a = a->ifa_next) {
		if (strcmp(a->ifa_name, name) || !a->ifa_addr)
			continue;
		if (a->ifa_addr->sa_family == AF_INET)
			found = true;
		if (a->ifa_addr->sa_family == AF_INET6)
			found = found || !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr);
	}
	freeifaddrs(list);
	return found;
}

bool pci_in_use(const char *root, const char *addr, char *text, size_t size)
{
	char net[PATH_MAX / 2], dev[PATH_MAX];
	unsigned long flags;
	bool used = false;
	struct dirent *e;
	DIR *d;

	snprintf(net, sizeof(net), "%s/bus/pci/devices/%s/net", root, addr);
	d = opendir(net);
	if (!d)
		return false;
	while (!used && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(dev, sizeof(dev), "%s/%s", net, e->d_name);
		if (!strcmp(root, PCI_SYSFS) && sysfs_has_address(e->d_name)) {
			snprintf(text, size, "%.32s carries an address", e->d_name);
			used = true;
		} else if (!sysfs_hex(dev, "flags", &flags) && (flags & IFF_UP)) {
			snprintf(text, size, "%.32s is up", e->d_name);
			used = true;
		}
	}
	closedir(d);
	return used;
}

int pci_group_try(int group)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}
