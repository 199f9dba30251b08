/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration space of a software NIC: 4 KiB, PCI Express endpoint,
 * class Ethernet, with its MSI-X table and pending bits.
 *
 * Sources: PCI Local Bus 3.0 section 6 (header, BARs, MSI-X 6.8.2), PCI Bus
 * Power Management 1.2 section 3.2, PCI Express Base 4.0 section 7.5 (endpoint
 * capability) and 6.6.2 (function level reset).
 *
 *   offset  what
 *   0x000   type 0 header
 *   0x040   power management, D0 and D3hot
 *   0x050   MSI-X: table in BAR4 at 0, pending bits in its upper half
 *   0x060   PCI Express endpoint, version 2
 *   0x100   no extended capability (reads 0)
 *
 *   BAR0  registers, 32 bits, not prefetchable
 *   BAR2  device memory, 64 bits, prefetchable (takes BAR3 too)
 *   BAR4  MSI-X, 32 bits, not prefetchable
 *
 * THREADS: one at a time; the callbacks run within the call that causes them.
 */
#ifndef SOFT_PCI_CONFIG_H
#define SOFT_PCI_CONFIG_H

#include <p2pnic/types.h>

/*
 * 1af4:10f0 to 1af4:10ff are set aside by their owner for experiments without
 * registration (QEMU, docs/specs/pci-ids.rst): no driver claims them (Linux's
 * virtio-pci looks at 1af4:1000 to 107f alone), and no real NIC has them.
 * Whoever builds hardware must bring an ID of their own.
 */
#define P2P_PCI_VENDOR_ID 0x1af4
#define P2P_PCI_DEVICE_ID 0x10f2

#define PCI_CONFIG_BYTES 4096u
#define PCI_CONFIG_MAX_VECTORS 2048u
#define PCI_CONFIG_BAR0 0
#define PCI_CONFIG_BAR2 2
#define PCI_CONFIG_BAR4 4

struct pci_config_params {
	uint16_t vendor_id, device_id;
	uint16_t subsystem_vendor_id, subsystem_id;
	uint8_t revision;
	uint64_t bar0_bytes; /* powers of two, at least 4 KiB; BAR0 below 2 GiB */
	uint64_t bar2_bytes;
	uint16_t vectors; /* of MSI-X, 1 to 2048 */
	/* All may be NULL. */
	void (*flr)(void *opaque);	 /* function level reset: call pci_config_reset() in the course of it */
	void (*access_changed)(void *opaque); /* bus mastering, memory decode or power state */
	void (*msix_unpend)(void *opaque, unsigned int vector); /* was pending and may be delivered now */
	void *opaque;
};

struct pci_config_vector {
	le32 address_low, address_high, data, control;
};

struct pci_config {
	struct pci_config_params par;
	uint8_t space[PCI_CONFIG_BYTES];
	uint8_t writable[PCI_CONFIG_BYTES];	/* bits that take what is written */
	uint8_t clearable[PCI_CONFIG_BYTES];	/* bits that a written 1 clears */
	struct pci_config_vector *table;
	le64 *pending;
};

/* -EINVAL: a parameter out of range.  -ENOMEM. */
int pci_config_init(struct pci_config *pc, const struct pci_config_params *par);
void pci_config_free(struct pci_config *pc);
/* Everything as after init, but for what a function level reset leaves alone (MPS, link control). */
void pci_config_reset(struct pci_config *pc);

/* Any offset, any length within the space: len, or -EINVAL.  A write may call back. */
int64_t pci_config_read(struct pci_config *pc, uint64_t off, void *buf, size_t len);
int64_t pci_config_write(struct pci_config *pc, uint64_t off, const void *buf, size_t len);

/* Size of a BAR (0: absent), and where the host has put it. */
uint64_t pci_config_bar_bytes(const struct pci_config *pc, unsigned int bar);
uint64_t pci_config_bar_address(const struct pci_config *pc, unsigned int bar);

/* Both false in D3hot. */
bool pci_config_bus_master(const struct pci_config *pc);
bool pci_config_mem_enabled(const struct pci_config *pc);
bool pci_config_intx_disabled(const struct pci_config *pc);

/* BAR4: table and pending bits.  Any offset and length within the BAR; what is neither reads 0. */
int64_t pci_config_msix_read(struct pci_config *pc, uint64_t off, void *buf, size_t len);
int64_t pci_config_msix_write(struct pci_config *pc, uint64_t off, const void *buf, size_t len);
/*
 * The device has an event.  True: deliver it now.  False: it is pending, and
 * msix_unpend() will tell; or MSI-X is off, and it is lost.
 */
bool pci_config_msix_fire(struct pci_config *pc, unsigned int vector);
/* The vector's mask bit, as if the host had written it.  -EINVAL: no such vector. */
int pci_config_msix_mask(struct pci_config *pc, unsigned int vector, bool masked);
/*
 * A VFIO client that takes vectors by eventfd does not touch table or enable
 * bit: setting one up stands for unmasking it and enabling MSI-X.
 */
int pci_config_msix_attach(struct pci_config *pc, unsigned int vector, bool attached);

#endif
