/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <string.h>

#include "internal.h"

#define FAIR_MRRS 512u

static void note(struct doc_notes *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct doc_notes *out, const char *fmt, ...)
{
	va_list ap;

	if (out->n == DOC_MAX_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(out->text[out->n++], DOC_TEXT_MAX, fmt, ap);
	va_end(ap);
}

static void note_state(const struct doc_dev *d, struct doc_notes *out)
{
	if (d->gone)
		note(out, "does not answer: its config reads all ones; unplugged, or its link is down");
	else if (doc_dev_idle(d))
		note(out, "sleeps (D%u) as vfio-pci lets what nobody has open: `p2pnic up` wakes it", d->power);
	else if (d->power)
		note(out, "sleeps (D%u): `echo on > /sys/bus/pci/devices/%s/power/control`", d->power, d->name);
	if (d->config_bytes < 256)
		note(out,
		     "only %u bytes of its config could be read: run as root for MPS, MRRS, ordering and resizable "
		     "BARs",
		     d->config_bytes);
}

static void note_driver(const struct doc_dev *d, struct doc_notes *out)
{
	if (d->kind != DOC_NIC || d->gone || !strcmp(d->driver, "vfio-pci"))
		return;
	note(out, "%s%s: `p2pnic bind %s` gives it to vfio-pci", d->driver[0] ? "bound to " : "bound to no driver",
	     d->driver, d->name);
}

static void note_link(const struct doc_box *box, const struct doc_dev *d, struct doc_notes *out)
{
	struct doc_link now, could;

	if (!doc_dev_link(box, d, &now, &could) || d->gone)
		return;
	if (now.width < could.width || now.gen < could.gen)
		note(out,
		     "its link runs Gen%u x%u, both ends could do Gen%u x%u: seat it anew, or `setpci -s %s "
		     "CAP_EXP+10.w=20:20`",
		     now.gen, now.width, could.gen ? could.gen : now.gen, could.width ? could.width : now.width,
		     box->dev[d->parent].name);
	if (d->max.width > could.width || d->max.gen > could.gen)
		note(out, "it could do Gen%u x%u, its slot (%s) does Gen%u x%u: another slot", d->max.gen, d->max.width,
		     box->dev[d->parent].name, could.gen, could.width);
}

static void note_transfer(const struct doc_box *box, const struct doc_dev *d, struct doc_notes *out)
{
	const struct doc_dev *up = d->parent >= 0 ? &box->dev[d->parent] : NULL;

	if (d->mps && up && up->mps && d->mps != up->mps)
		note(out, "MPS %u, and %u at the port above it (%s): boot with `pci=pcie_bus_safe`", d->mps, up->mps,
		     up->name);
	if (d->mrrs && d->mrrs < FAIR_MRRS)
		note(out, "MRRS %u: its reads are short; `setpci -s %s CAP_EXP+8.w=2000:7000` makes it %u", d->mrrs,
		     d->name, FAIR_MRRS);
	if (d->relaxed && d->kind == DOC_NIC)
		note(out,
		     "relaxed ordering is allowed: a descriptor that overtakes its frame is found by the checksum, and "
		     "dropped;"
		     " `setpci -s %s CAP_EXP+8.w=0:10` forbids it",
		     d->name);
}

static void note_bars(const struct doc_dev *d, struct doc_notes *out)
{
	int k = doc_dev_bar(d);
	char has[32], most[32];
	unsigned int bit;

	if (k < 0 || d->gone || !d->bar[k].can)
		return;
	for (bit = 43; bit && !(d->bar[k].can >> bit & 1); bit--)
		;
	if ((1ull << 20 << bit) > d->bar[k].bytes)
		note(out,
		     "BAR %d has %s and could have %s: unbind it and `echo %u > "
		     "/sys/bus/pci/devices/%s/resource%d_resize`",
		     k, doc_bytes(d->bar[k].bytes, has), doc_bytes(1ull << 20 << bit, most), bit, d->name, k);
}

static void note_group(const struct doc_box *box, const struct doc_dev *d, struct doc_notes *out)
{
	char with[160] = "";
	unsigned int k, n = 0;

	for (k = 0; d->group >= 0 && k < box->n; k++) {
		const struct doc_dev *o = &box->dev[k];

		if (o == d || o->group != d->group || o->kind == DOC_BRIDGE)
			continue;
		if (++n <= 4)
			snprintf(with + strlen(with), sizeof(with) - strlen(with), "%s%s", *with ? ", " : "", o->name);
	}
	if (n)
		note(out, "shares IOMMU group %d with %s%s: VFIO hands out all of them or none", d->group, with,
		     n > 4 ? " and more" : "");
}

void doc_dev_notes(const struct doc_box *box, const struct doc_dev *d, struct doc_notes *out)
{
	out->n = 0;
	note_state(d, out);
	note_driver(d, out);
	note_link(box, d, out);
	note_transfer(box, d, out);
	note_bars(d, out);
	note_group(box, d, out);
}
