/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bus addresses of a mesh: where NICs' device memory and what the host lends lie in the address space of the NICs.
 *
 * RULE
 *   Device memory whose BAR has a bus address lies at that address, if the IOMMU takes it there.  A switch whose ports don't redirect
 *   then hands peers' requests to the NIC itself, and an IOMMU that sees them translates each address to itself.
 *   All else lies in pieces of 1 << shift bytes, the k-th item in piece k + 1, or in the first one that is free if something is there:
 *   an item, memory of any PCI function (a switch would send there what is meant for the item), or what the IOMMU does not take.
 *
 * A space of NULL is one that each NIC has for itself (software NICs): no BAR has an address there, and nothing is in the way.
 *
 * ERRORS  0 or -errno.
 * Source: PCI Express Base Specification 6.12 (ACS), 2.2.4.1 (routing by address); Linux, drivers/pci/p2pdma.c.
 */
#ifndef DRIVER_BUS_H
#define DRIVER_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_MAX_TAKES 64
#define BUS_PIECES 64 /* piece 0 is never used: null pointers, and an interrupt window */
#define BUS_PAGE 4096u

struct bus_range {
	uint64_t first, last; /* both belong to it */
};

struct bus_space {
	struct bus_range take[BUS_MAX_TAKES]; /* what the IOMMU takes */
	unsigned int takes;                   /* 0: it does not say */
	struct bus_range *pci;                /* memory of the machine's PCI functions, windows of bridges among it */
	unsigned int pcis;
};

enum bus_why {
	BUS_OWN,      /* its own address */
	BUS_NONE,     /* it has none */
	BUS_UNKNOWN,  /* the IOMMU does not say what it takes */
	BUS_UNTAKEN,  /* the IOMMU does not take it */
	BUS_OCCUPIED, /* something else of the mesh lies there */
	BUS_TOLD,     /* NICs that run were told another one */
};

struct bus_item {
	uint64_t bytes; /* 0: there is no such item, it gets its piece and keeps nobody out */
	uint64_t own;   /* its BAR's bus address; 0: none */
	uint64_t base;  /* in: 0, or where it lies already; out: where it lies */
	enum bus_why why;
};

/* Does the IOMMU take all of it?  Also if it does not say. */
bool bus_takes(const struct bus_space *s, uint64_t first, uint64_t bytes);
/* Places n items, BUS_PIECES - 1 at most.  -ENOSPC: the item numbered *at has no room. */
int bus_place(const struct bus_space *s, unsigned int shift, struct bus_item *item, unsigned int n, unsigned int *at);

#endif
