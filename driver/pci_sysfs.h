/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Linux says of a PCI function: its driver, its IOMMU group, its network devices.
 *
 * root is where sysfs is mounted, "/sys"; tests give a directory of their own.
 * Addresses are DDDD:BB:DD.F in lower-case hexadecimal digits, as the kernel writes them.
 *
 * ERRORS  0 or -errno with one line in err: what is wrong, what to do.
 * Source: Linux, Documentation/ABI/testing/sysfs-bus-pci.
 */
#ifndef DRIVER_PCI_SYSFS_H
#define DRIVER_PCI_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/bus.h"

#define PCI_ADDR_BYTES 16
#define PCI_NAME_BYTES 64
#define PCI_ERR_BYTES 512
#define PCI_SYSFS "/sys"
#define PCI_VFIO_DRIVER "vfio-pci"

struct pci_info {
	char addr[PCI_ADDR_BYTES];
	uint16_t vendor, device;
	char driver[PCI_NAME_BYTES];   /* "": none */
	char override[PCI_NAME_BYTES]; /* driver_override; "": none */
	int group;                     /* IOMMU group, -1: none */
};

/* DDDD:BB:DD.F, or BB:DD.F in domain 0; either case.  0 or -EINVAL. */
int pci_addr_parse(const char *text, char addr[PCI_ADDR_BYTES]);

/* -ENODEV: there is no such function.  -EIO: what sysfs says can't be. */
int pci_info_read(const char *root, const char *addr, struct pci_info *info, char err[PCI_ERR_BYTES]);

/*
 * Where a BAR (0 to 5) lies on the bus; 0: nowhere.  By the BAR itself, which is what switches go by; a virtual function has none, of
 * it `resource` tells, as the CPU sees it.
 */
int pci_bar_address(const char *root, const char *addr, unsigned int bar, uint64_t *bus, char err[PCI_ERR_BYTES]);

/* All memory of PCI functions and windows of bridges, as the CPU sees it (which is as the bus does, on x86).  free() out. */
int pci_memory_read(const char *root, struct bus_range **out, unsigned int *n, char err[PCI_ERR_BYTES]);

/*
 * The functions of info's group that keep it from being used: those with another driver than vfio-pci or
 * none, bridges aside.  Their addresses and drivers as text; "" if there is none.
 */
void pci_group_others(const char *root, const struct pci_info *info, char *text, size_t size);

/* A network device of the function that is up or carries an address: its name and why, e.g. "eth0 is up".  false: none. */
bool pci_in_use(const char *root, const char *addr, char *text, size_t size);

/* How a process comes to use the group: 0; -EBUSY: somebody does; -ENOENT, -EACCES as open() says. */
int pci_group_try(int group);

/*
 * bind: makes vfio-pci its driver by driver_override; a network device that is up or carries an address
 * is refused (-EBUSY) unless forced.  What fails is undone: the former driver is asked back.  unbind: back to the
 * driver that the kernel chooses; a function that a process holds is refused (-EBUSY) unless forced.
 * changed says whether there was anything to do.
 */
int pci_bind(const char *root, const char *addr, bool force, bool *changed, char err[PCI_ERR_BYTES]);
int pci_unbind(const char *root, const char *addr, bool force, bool *changed, char err[PCI_ERR_BYTES]);

#endif
