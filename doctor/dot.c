/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as a graph: links solid, with their width; pairs dashed, by verdict. */
#include "internal.h"

static void dot_text(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
}

/* k counts, or something that does hangs below it. */
static bool dot_needed(const struct doc_box *box, unsigned int k)
{
	unsigned int j;
	int up;

	for (j = 0; j < box->n; j++)
		for (up = (int)j; doc_dev_counts(&box->dev[j]) && up >= 0; up = box->dev[up].parent)
			if (up == (int)k)
				return true;
	return false;
}

static void dot_node(const struct doc_box *box, unsigned int k, FILE *to)
{
	const struct doc_dev *d = &box->dev[k];
	struct doc_link now, could;
	unsigned int j;

	fprintf(to, "\t\"%s\" [shape=%s, label=\"%s\\n", d->name,
		d->kind == DOC_NIC	? "box, style=bold"
		: d->kind == DOC_BRIDGE ? "ellipse"
					: "box",
		d->name);
	dot_text(d->text, to);
	for (j = 0; j < d->num_nets; j++) {
		fputs(j ? " " : "\\n", to);
		dot_text(d->net[j], to);
	}
	fputs("\"];\n", to);
	if (d->parent >= 0)
		fprintf(to, "\t\"%s\" -- \"%s\"", box->dev[d->parent].name, d->name);
	else
		fprintf(to, "\t\"root %04x:%02x\" -- \"%s\"", d->domain, d->bus, d->name);
	if (doc_dev_link(box, d, &now, &could))
		fprintf(to, " [label=\"Gen%u x%u\"]", now.gen, now.width);
	fputs(";\n", to);
}

void doc_report_dot(const struct doc_box *box, const struct doc_pairs *p, FILE *to)
{
	static const char *const colour[] = {"darkgreen", "orange", "red"};
	unsigned int k;

	fputs("graph box {\n\tnode [fontname=\"sans-serif\", fontsize=10];\n\tedge [fontname=\"sans-serif\", "
	      "fontsize=9];\n",
	      to);
	for (k = 0; k < box->n; k++)
		if (dot_needed(box, k))
			dot_node(box, k, to);
	for (k = 0; k < p->n; k++)
		fprintf(to,
			"\t\"%s\" -- \"%s\" [style=dashed, constraint=false, color=%s, fontcolor=%s, label=\"%s\"];\n",
			box->dev[p->pair[k].a].name, box->dev[p->pair[k].b].name, colour[p->pair[k].verdict],
			colour[p->pair[k].verdict], doc_verdict_names[p->pair[k].verdict]);
	fputs("}\n", to);
}
