/* SPDX-License-Identifier: BSD-3-Clause */
/* The report for programs: docs/doctor.md lists the members. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "internal.h"

static void put(struct json_object *o, const char *key, struct json_object *v)
{
	json_object_object_add(o, key, v);
}

static struct json_object *text_or_null(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

/* 0 stands for "not known". */
static struct json_object *number_or_null(unsigned int v)
{
	return v ? json_object_new_int64(v) : NULL;
}

static struct json_object *real(double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", v);
	return json_object_new_double_s(v, text);
}

static struct json_object *link_object(const struct doc_box *box, const struct doc_dev *d)
{
	struct json_object *o;
	struct doc_link now, could;

	if (!doc_dev_link(box, d, &now, &could))
		return NULL;
	o = json_object_new_object();
	put(o, "gen", json_object_new_int64(now.gen));
	put(o, "width", json_object_new_int64(now.width));
	put(o, "could_gen", number_or_null(could.gen));
	put(o, "could_width", number_or_null(could.width));
	put(o, "max_gen", number_or_null(d->max.gen));
	put(o, "max_width", number_or_null(d->max.width));
	return o;
}

static struct json_object *acs_object(const struct doc_dev *d)
{
	static const char *const bit[] = {"SV", "TB", "RR", "CR", "UF", "EC", "DT"};
	struct json_object *o;
	unsigned int k;

	if (!d->acs_known)
		return json_object_new_string("unreadable");
	if (!d->acs)
		return NULL;
	o = json_object_new_array();
	for (k = 0; k < sizeof(bit) / sizeof(bit[0]); k++)
		if (d->acs_ctrl >> k & 1)
			json_object_array_add(o, json_object_new_string(bit[k]));
	return o;
}

static struct json_object *bars_array(const struct doc_dev *d)
{
	struct json_object *all = json_object_new_array(), *o, *can;
	unsigned int k, bit;

	for (k = 0; k < DOC_NUM_BARS; k++) {
		const struct doc_bar *b = &d->bar[k];

		if (!b->there || b->io)
			continue;
		o = json_object_new_object();
		can = json_object_new_array();
		put(o, "index", json_object_new_int64(k));
		put(o, "bytes", json_object_new_uint64(b->bytes));
		put(o, "assigned", json_object_new_boolean(b->assigned));
		put(o, "prefetchable", json_object_new_boolean(b->pref));
		put(o, "bits", json_object_new_int(b->is64 ? 64 : 32));
		for (bit = 0; bit < 44; bit++)
			if (b->can >> bit & 1)
				json_object_array_add(can, json_object_new_uint64(1ull << 20 << bit));
		put(o, "resizable_bytes", can);
		json_object_array_add(all, o);
	}
	return all;
}

static const char *kind_name(const struct doc_dev *d)
{
	return d->kind == DOC_NIC ? "nic" : d->kind == DOC_BRIDGE ? "port" : "other";
}

static struct json_object *device_object(const struct doc_box *box, const struct doc_dev *d)
{
	struct json_object *o = json_object_new_object(), *list;
	char id[16];
	struct doc_notes notes;
	unsigned int k;

	put(o, "address", json_object_new_string(d->name));
	put(o, "kind", json_object_new_string(kind_name(d)));
	snprintf(id, sizeof(id), "%04x:%04x", d->vendor, d->device);
	put(o, "id", json_object_new_string(id));
	put(o, "name", text_or_null(d->text));
	put(o, "parent", d->parent >= 0 ? json_object_new_string(box->dev[d->parent].name) : NULL);
	put(o, "answers", json_object_new_boolean(!d->gone));
	put(o, "link", link_object(box, d));
	put(o, "acs", acs_object(d));
	put(o, "mps", number_or_null(d->mps));
	put(o, "mps_max", number_or_null(d->mps_max));
	put(o, "mrrs", number_or_null(d->mrrs));
	if (d->kind == DOC_BRIDGE)
		return o;
	put(o, "power", json_object_new_int64(d->power));
	put(o, "relaxed_ordering", d->mps ? json_object_new_boolean(d->relaxed) : NULL);
	put(o, "numa_node", d->numa >= 0 ? json_object_new_int(d->numa) : NULL);
	put(o, "iommu_group", d->group >= 0 ? json_object_new_int(d->group) : NULL);
	put(o, "iommu_mode", text_or_null(d->iommu_type));
	put(o, "driver", text_or_null(d->driver));
	list = json_object_new_array();
	for (k = 0; k < d->num_nets; k++)
		json_object_array_add(list, json_object_new_string(d->net[k]));
	put(o, "interfaces", list);
	put(o, "bars", bars_array(d));
	doc_dev_notes(box, d, &notes);
	list = json_object_new_array();
	for (k = 0; k < notes.n; k++)
		json_object_array_add(list, json_object_new_string(notes.text[k]));
	put(o, "notes", list);
	return o;
}

static struct json_object *rate_object(const struct doc_pair *p, bool gbps)
{
	struct json_object *all = json_object_new_object(), *o;
	unsigned int m, s;
	char key[16];

	for (m = 0; m < DOC_NUM_MODES; m++) {
		const struct doc_rate *r = &p->rate[m];

		o = r->works && r->known ? json_object_new_object() : NULL;
		for (s = 0; o && s < DOC_NUM_SIZES; s++) {
			snprintf(key, sizeof(key), "%u", doc_sizes[s]);
			put(o, key, real(gbps ? doc_gbps(r->mpps[s], doc_sizes[s]) : r->mpps[s]));
		}
		put(all, doc_mode_names[m], o);
	}
	return all;
}

static struct json_object *pair_object(const struct doc_box *box, const struct doc_pair *p)
{
	struct json_object *o = json_object_new_object(), *bound = json_object_new_object();
	unsigned int m;

	put(o, "a", json_object_new_string(box->dev[p->a].name));
	put(o, "b", json_object_new_string(box->dev[p->b].name));
	put(o, "path", json_object_new_string(doc_path_names[p->path]));
	put(o, "meet", p->meet >= 0 ? json_object_new_string(box->dev[p->meet].name) : NULL);
	put(o, "verdict", json_object_new_string(doc_verdict_names[p->verdict]));
	put(o, "certain", json_object_new_boolean(p->certain));
	put(o, "reason", json_object_new_string(p->reason));
	put(o, "remedy", json_object_new_string(p->remedy));
	put(o, "gbps", rate_object(p, true));
	put(o, "mpps", rate_object(p, false));
	for (m = 0; m < DOC_NUM_MODES; m++)
		put(bound, doc_mode_names[m],
		    p->rate[m].works && p->rate[m].known ? json_object_new_string(p->rate[m].bound) : NULL);
	put(o, "bound", bound);
	return o;
}

int doc_report_json(const struct doc_box *box, const struct doc_pairs *p, FILE *to)
{
	struct json_object *all = json_object_new_object(), *devices = json_object_new_array(),
			   *ports = json_object_new_array(), *pairs = json_object_new_array();
	const char *text;
	unsigned int k;

	put(all, "cpu", text_or_null(box->cpu.model));
	put(all, "iommu", json_object_new_boolean(box->iommu));
	put(all, "whole_config", json_object_new_boolean(!box->short_config));
	for (k = 0; k < box->n; k++) {
		const struct doc_dev *d = &box->dev[k];

		if (d->kind == DOC_BRIDGE)
			json_object_array_add(ports, device_object(box, d));
		else if (doc_dev_counts(d))
			json_object_array_add(devices, device_object(box, d));
	}
	for (k = 0; k < p->n; k++)
		json_object_array_add(pairs, pair_object(box, &p->pair[k]));
	put(all, "devices", devices);
	put(all, "ports", ports);
	put(all, "pairs", pairs);
	text = json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		fprintf(to, "%s\n", text);
	json_object_put(all);
	return text ? 0 : -ENOMEM;
}
