/* SPDX-License-Identifier: BSD-3-Clause */
/* The report on a terminal: the tree as far as devices that count hang in it, then the pairs. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char *type_name(const struct doc_dev *d)
{
	static const char *const names[] = {"endpoint",
					    "legacy endpoint",
					    "?",
					    "?",
					    "root port",
					    "switch",
					    "port",
					    "bridge to PCI",
					    "bridge to PCI Express",
					    "in the root complex"};

	if (!d->pcie_known)
		return d->kind == DOC_BRIDGE ? "bridge" : "";
	if (d->pcie_type < 0)
		return d->kind == DOC_BRIDGE ? "PCI bridge" : "conventional";
	return d->pcie_type < (int)(sizeof(names) / sizeof(names[0])) ? names[d->pcie_type] : "?";
}

static void print_acs(const struct doc_dev *d, FILE *to)
{
	static const char *const bit[] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};
	unsigned int k;

	if (!d->acs_known) {
		fputs(", ACS not readable", to);
		return;
	}
	if (!d->acs)
		return;
	fputs(", ACS", to);
	for (k = 0; k < sizeof(bit) / sizeof(bit[0]); k++)
		if (d->acs_ctrl >> k & 1)
			fprintf(to, " %s", bit[k]);
	if (!d->acs_ctrl)
		fputs(" off", to);
}

static void print_link(const struct doc_box *box, const struct doc_dev *d, FILE *to)
{
	struct doc_link now, could;

	if (!doc_dev_link(box, d, &now, &could))
		return;
	fprintf(to, ", Gen%u x%u", now.gen, now.width);
	if (now.gen < could.gen || now.width < could.width)
		fprintf(to, " of Gen%u x%u", could.gen, could.width);
	if (d->max.width > could.width || d->max.gen > could.gen)
		fprintf(to, " (itself Gen%u x%u)", d->max.gen, d->max.width);
}

static void print_device(const struct doc_dev *d, FILE *to)
{
	char bytes[32];
	unsigned int k;

	for (k = 0; k < DOC_NUM_BARS; k++) {
		const struct doc_bar *b = &d->bar[k];

		if (!b->there || b->io)
			continue;
		fprintf(to, ", BAR%u %s%s%s%s", k, doc_bytes(b->bytes, bytes), b->is64 ? "" : " 32-bit",
			b->pref ? " prefetchable" : "", b->assigned ? "" : " unassigned");
	}
	if (d->mps)
		fprintf(to, ", MPS %u of %u, MRRS %u", d->mps, d->mps_max, d->mrrs);
	if (d->numa >= 0)
		fprintf(to, ", node %d", d->numa);
	if (d->group >= 0)
		fprintf(to, ", IOMMU group %d%s%s", d->group, d->iommu_type[0] ? " " : "", d->iommu_type);
	else
		fputs(", no IOMMU", to);
	fprintf(to, ", %s", d->driver[0] ? d->driver : "no driver");
	for (k = 0; k < d->num_nets; k++)
		fprintf(to, "%s%s", k ? " " : ", ", d->net[k]);
}

/* Whether something that is shown hangs below d, d included. */
static bool shown(const struct doc_box *box, const bool *show, unsigned int k)
{
	unsigned int j;
	int up;

	for (j = 0; j < box->n; j++)
		for (up = (int)j; show[j] && up >= 0; up = box->dev[up].parent)
			if (up == (int)k)
				return true;
	return false;
}

static void print_branch(const struct doc_box *box, const bool *show, unsigned int k, unsigned int depth, FILE *to)
{
	const struct doc_dev *d = &box->dev[k];
	struct doc_notes notes;
	unsigned int j;

	if (!shown(box, show, k))
		return;
	fprintf(to, "%*s%s  %s%s%s", (int)(2 * depth), "", d->name, d->text, *type_name(d) ? ", " : "", type_name(d));
	if (!d->gone) {
		print_link(box, d, to);
		if (d->kind == DOC_BRIDGE || d->acs)
			print_acs(d, to);
		if (show[k])
			print_device(d, to);
	}
	fputc('\n', to);
	if (show[k]) {
		doc_dev_notes(box, d, &notes);
		for (j = 0; j < notes.n; j++)
			fprintf(to, "%*s- %s\n", (int)(2 * depth + 4), "", notes.text[j]);
	}
	for (j = 0; j < box->n; j++)
		if (box->dev[j].parent == (int)k && depth < 32)
			print_branch(box, show, j, depth + 1, to);
}

static void print_rates(const struct doc_pair *p, FILE *to)
{
	unsigned int m, s;

	for (m = 0; m < DOC_NUM_MODES; m++) {
		const struct doc_rate *r = &p->rate[m];

		fprintf(to, "    %s  ", doc_mode_names[m]);
		if (!r->works || !r->known) {
			fprintf(to, "%s\n", r->works ? "no link's speed is known" : "does not work");
			continue;
		}
		for (s = 0; s < DOC_NUM_SIZES; s++)
			fprintf(to, "%6.2f", r->mpps[s]);
		fputs(" Mpps ", to);
		for (s = 0; s < DOC_NUM_SIZES; s++)
			fprintf(to, "%7.1f", doc_gbps(r->mpps[s], doc_sizes[s]));
		fprintf(to, " Gb/s  at most, by %s\n", r->bound);
	}
}

static void print_pair(const struct doc_box *box, const struct doc_pair *p, FILE *to)
{
	fprintf(to, "%s - %s  %s%s  (%s)\n", box->dev[p->a].name, box->dev[p->b].name, doc_verdict_names[p->verdict],
		p->certain ? "" : ", not certain", doc_path_names[p->path]);
	fprintf(to, "    why: %s\n", p->reason);
	if (p->remedy[0])
		fprintf(to, "    %s: %s\n", p->verdict == DOC_REFUSED ? "to mend it" : "better", p->remedy);
	print_rates(p, to);
}

static void print_head(const struct doc_box *box, FILE *to)
{
	fprintf(to, "%s, %s\n\n", box->cpu.model[0] ? box->cpu.model : "CPU not known",
		box->iommu ? "IOMMU on" : "no IOMMU");
}

void doc_report_text(const struct doc_box *box, const struct doc_pairs *p, bool all, FILE *to)
{
	bool *show = calloc(box->n ? box->n : 1, sizeof(*show));
	unsigned int k, hidden = 0, devices = 0;

	for (k = 0; show && k < box->n; k++) {
		show[k] = doc_dev_counts(&box->dev[k]);
		devices += show[k];
	}
	for (k = 0; show && k < p->n; k++)
		show[p->pair[k].a] = show[p->pair[k].b] = true;
	print_head(box, to);
	for (k = 0; show && k < box->n; k++)
		if (box->dev[k].parent < 0)
			print_branch(box, show, k, 0, to);
	free(show);
	if (!p->n) {
		fprintf(to,
			"%s%u PCI functions, of which %u %s a NIC or %s a memory BAR of 2 MiB or more: nothing to "
			"pair\n",
			devices ? "\n" : "", box->n, devices, devices == 1 ? "is" : "are",
			devices == 1 ? "has" : "have");
		return;
	}
	fputs("\nPairs; what their links carry of frames of 64, 512 and 1518 bytes, one way, the slower one\n\n", to);
	for (k = 0; k < p->n; k++) {
		const struct doc_pair *q = &p->pair[k];

		if (all || box->dev[q->a].kind == DOC_NIC || box->dev[q->b].kind == DOC_NIC)
			print_pair(box, q, to);
		else
			hidden++;
	}
	if (hidden)
		fprintf(to, "and %u pairs without a NIC: --all or --json shows them\n", hidden);
}
