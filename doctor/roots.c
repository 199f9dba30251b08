/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of root complexes: whether they forward requests of one device to another.  The specification leaves it
 * to them (PCI Express Base Specification 5.0, 1.3.1).
 *
 * Sources: Linux's drivers/pci/p2pdma.c as of 6.x (the host bridges that its developers found to work); A. Deucher
 * (AMD) on linux-pci, 6 April 2020, with the entries of Raven and Renoir: "pre-ZEN parts support p2p writes and ZEN
 * parts support both p2p reads and writes"; NVIDIA, GPUDirect RDMA, "Supported systems".  The text is ours.
 */
#include <string.h>

#include "internal.h"

#define ANY_DEVICE 0x10000u
#define INTEL 0x8086u
#define GOOGLE 0x1ae0u
#define RED_HAT 0x1b36u

#define ACROSS 1u /* from one host bridge to another, too */

static const struct {
	unsigned int vendor, device, flags;
	const char *what;
} bridges[] = {
	{INTEL, 0x3c00, 0, "Intel Xeon E5 or Core i7 (Sandy Bridge)"},
	{INTEL, 0x3c01, 0, "Intel Xeon E5 or Core i7 (Sandy Bridge)"},
	{INTEL, 0x2f00, 0, "Intel Xeon E5 v3, E7 v3 or Core i7 (Haswell)"},
	{INTEL, 0x2f01, 0, "Intel Xeon E5 v3, E7 v3 or Core i7 (Haswell)"},
	{INTEL, 0x2030, ACROSS, "Intel Xeon Scalable (Skylake)"},
	{INTEL, 0x2031, ACROSS, "Intel Xeon Scalable (Skylake)"},
	{INTEL, 0x2032, ACROSS, "Intel Xeon Scalable (Skylake)"},
	{INTEL, 0x2033, ACROSS, "Intel Xeon Scalable (Skylake)"},
	{INTEL, 0x2020, ACROSS, "Intel Xeon Scalable (Skylake)"},
	{INTEL, 0x09a2, ACROSS, "Intel Xeon Scalable (Ice Lake or newer)"},
	{GOOGLE, ANY_DEVICE, ACROSS, "Google SoC"},
	/* What a machine is emulated from; every address reaches every emulated device. */
	{INTEL, 0x29c0, ACROSS, "QEMU's q35"},
	{INTEL, 0x1237, ACROSS, "QEMU's i440FX"},
	{RED_HAT, 0x0008, ACROSS, "QEMU's PCI Express host bridge"},
	{RED_HAT, 0x0009, ACROSS, "QEMU's PCI Express expander"},
	{RED_HAT, 0x000b, ACROSS, "QEMU's PCI Express expander"},
};

const struct doc_dev *doc_top(const struct doc_box *box, const struct doc_dev *d)
{
	while (d->parent >= 0)
		d = &box->dev[d->parent];
	return d;
}

/* What stands for a host bridge: function 00.0 of the root bus, else its first root port (Skylake has no host bridge
 * there). */
static const struct doc_dev *host_bridge(const struct doc_box *box, const struct doc_dev *top)
{
	const struct doc_dev *port = NULL;
	unsigned int k;

	for (k = 0; k < box->n; k++) {
		const struct doc_dev *d = &box->dev[k];

		if (d->parent >= 0 || d->domain != top->domain || d->bus != top->bus)
			continue;
		if (!d->slot && !d->fn)
			return d;
		if (!port && d->kind == DOC_BRIDGE)
			port = d;
	}
	return port;
}

static int bridge_find(const struct doc_dev *d)
{
	unsigned int k;

	for (k = 0; d && k < sizeof(bridges) / sizeof(bridges[0]); k++)
		if (bridges[k].vendor == d->vendor &&
		    (bridges[k].device == d->device || bridges[k].device == ANY_DEVICE))
			return (int)k;
	return -1;
}

static void root_by_bridge(const struct doc_dev *ha, const struct doc_dev *hb, struct doc_root *r)
{
	int a = bridge_find(ha), b = bridge_find(hb), unknown = a < 0 ? 0 : 1;
	const struct doc_dev *h = unknown ? hb : ha;

	if (a < 0 || b < 0) {
		if (h)
			snprintf(r->what, sizeof(r->what),
				 "the root complex %04x:%04x (%.80s), of which nothing is known", h->vendor, h->device,
				 h->text);
		else
			snprintf(r->what, sizeof(r->what),
				 "a root complex that doesn't show itself, so that nothing is known of it");
		return;
	}
	r->writes = r->reads = ha == hb || (bridges[a].flags & bridges[b].flags & ACROSS) ? DOC_YES : DOC_NO;
	snprintf(r->what, sizeof(r->what), "%s%s", bridges[a].what,
		 r->writes == DOC_NO ? ", which forwards within one host bridge alone" : "");
}

void doc_root_of(const struct doc_box *box, const struct doc_dev *a, const struct doc_dev *b, struct doc_root *r)
{
	const struct doc_dev *ha = host_bridge(box, doc_top(box, a)), *hb = host_bridge(box, doc_top(box, b));
	int known = bridge_find(ha);

	*r = (struct doc_root){.writes = DOC_UNKNOWN, .reads = DOC_UNKNOWN};
	if (!strcmp(box->cpu.vendor, "AuthenticAMD") && (known < 0 || bridges[known].flags == 0)) {
		r->writes = DOC_YES;
		r->reads = box->cpu.family >= 0x17 ? DOC_YES : DOC_NO;
		snprintf(r->what, sizeof(r->what), "%s",
			 r->reads == DOC_YES ? "AMD Zen or newer" : "AMD older than Zen");
		return;
	}
	root_by_bridge(ha, hb, r);
}
