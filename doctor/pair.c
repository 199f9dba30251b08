/* SPDX-License-Identifier: BSD-3-Clause */
/* The path between two devices, and what becomes of packets on it. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define X(name, word, text) word,
const char *const doc_path_names[DOC_NUM_PATHS] = {DOC_PATHS(X)};
#undef X
#define X(name, word, text) text,
const char *const doc_path_texts[DOC_NUM_PATHS] = {DOC_PATHS(X)};
#undef X
const char *const doc_verdict_names[3] = {"direct", "through-root", "refused"};
const char *const doc_mode_names[DOC_NUM_MODES] = {"wr", "rd", "bn"};
const unsigned int doc_sizes[DOC_NUM_SIZES] = {64, 512, 1518};

bool doc_dev_idle(const struct doc_dev *d)
{
	return d->power && !strcmp(d->driver, "vfio-pci");
}

int doc_dev_bar(const struct doc_dev *d)
{
	int best = -1, k;

	for (k = 0; k < DOC_NUM_BARS; k++)
		if (d->bar[k].there && !d->bar[k].io && (best < 0 || d->bar[k].bytes > d->bar[best].bytes))
			best = k;
	return best;
}

bool doc_dev_counts(const struct doc_dev *d)
{
	int bar = doc_dev_bar(d);

	if (d->kind == DOC_BRIDGE)
		return false;
	return d->kind == DOC_NIC || (bar >= 0 && d->bar[bar].bytes >= DOC_MIN_BAR && d->class_code >> 16 != 0x06);
}

bool doc_dev_link(const struct doc_box *box, const struct doc_dev *d, struct doc_link *now, struct doc_link *could)
{
	const struct doc_dev *up = d->parent >= 0 ? &box->dev[d->parent] : NULL;

	*now = d->now;
	*could = d->max;
	if (!up)
		return false;
	/* The switch's inner bus is no link, and behind a conventional bridge there is none. */
	if (up->pcie_known && !doc_dev_downstream(up))
		return false;
	if (!now->gen || !now->width)
		*now = up->now;
	if (up->max.gen && (!could->gen || up->max.gen < could->gen))
		could->gen = up->max.gen;
	if (up->max.width && (!could->width || up->max.width < could->width))
		could->width = up->max.width;
	return now->gen && now->width;
}

/* ---- the path ---- */

static int pair_meet(const struct doc_box *box, unsigned int a, unsigned int b)
{
	int x, y;

	for (x = box->dev[a].parent; x >= 0; x = box->dev[x].parent)
		for (y = box->dev[b].parent; y >= 0; y = box->dev[y].parent)
			if (x == y)
				return x;
	return -1;
}

/* A switch: by what the ports say, or, where that can't be read, by bridges below a bridge. */
static bool meets_in_switch(const struct doc_box *box, const struct doc_pair *p)
{
	const struct doc_dev *m = &box->dev[p->meet];
	int a = doc_below(box, p->meet, p->a), b = doc_below(box, p->meet, p->b);

	if (m->pcie_known && m->pcie_type >= 0)
		return m->pcie_type == PCI_EXP_TYPE_UPSTREAM;
	if (m->pcie_known)
		return false;
	return box->dev[a].kind == DOC_BRIDGE && box->dev[b].kind == DOC_BRIDGE;
}

static void pair_path(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b], *ta = doc_top(box, a), *tb = doc_top(box, b);

	p->meet = pair_meet(box, p->a, p->b);
	if (p->meet >= 0) {
		const struct doc_dev *m = &box->dev[p->meet];

		if (meets_in_switch(box, p))
			p->path = DOC_PATH_SAME_SWITCH;
		else if (doc_dev_downstream(m) || (a->domain == b->domain && a->bus == b->bus && a->slot == b->slot))
			p->path = DOC_PATH_SAME_DEVICE;
		else
			p->path = DOC_PATH_SAME_BUS;
	} else if (a == ta && b == tb && a->domain == b->domain && a->bus == b->bus && a->slot == b->slot) {
		p->path = DOC_PATH_SAME_DEVICE;
	} else if (ta->domain == tb->domain && ta->bus == tb->bus) {
		p->path = DOC_PATH_ROOT_PORTS;
	} else if (a->numa >= 0 && b->numa >= 0 && a->numa != b->numa) {
		p->path = DOC_PATH_SOCKETS;
	} else {
		p->path = DOC_PATH_HOST_BRIDGES;
	}
}

/* ---- the verdict ---- */

static void refuse(struct doc_pair *p)
{
	p->verdict = DOC_REFUSED;
	p->rate[DOC_WR].works = p->rate[DOC_RD].works = false;
}

/* A device that does nothing at all, for nobody. */
static void judge_alive(struct doc_pair *p, const struct doc_dev *d)
{
	if (d->gone) {
		refuse(p);
		p->rate[DOC_BN].works = false;
		doc_add(p->reason, "%s does not answer: it was unplugged, or its link is down", d->name);
		doc_add(p->remedy,
			"seat it, then `echo 1 > /sys/bus/pci/devices/%s/remove; echo 1 > /sys/bus/pci/rescan`",
			d->name);
	} else if (d->power && !doc_dev_idle(d)) {
		refuse(p);
		p->rate[DOC_BN].works = false;
		doc_add(p->reason, "%s sleeps (D%u) and answers no memory request", d->name, d->power);
		doc_add(p->remedy, "`echo on > /sys/bus/pci/devices/%s/power/control`", d->name);
	}
}

static void judge_bar(struct doc_pair *p, const struct doc_dev *d)
{
	int k = doc_dev_bar(d);
	const struct doc_bar *bar = k >= 0 ? &d->bar[k] : NULL;
	char has[32], least[32];
	unsigned int bit;

	if (d->gone)
		return;
	if (!bar) {
		refuse(p);
		doc_add(p->reason, "%s has no memory BAR for others to reach", d->name);
		doc_add(p->remedy, "none: another device than %s", d->name);
	} else if (bar->bytes < DOC_MIN_BAR) {
		refuse(p);
		doc_add(p->reason, "%s's largest memory BAR has %s, packet buffers need %s", d->name,
			doc_bytes(bar->bytes, has), doc_bytes(DOC_MIN_BAR, least));
		for (bit = 1; bit < 64 && !(bar->can >> bit & 1); bit++)
			;
		if (bit < 64)
			doc_add(p->remedy, "unbind %s and `echo %u > /sys/bus/pci/devices/%s/resource%d_resize`",
				d->name, bit, d->name, k);
		else
			doc_add(p->remedy, "none: another device than %s", d->name);
	} else if (!bar->assigned) {
		refuse(p);
		doc_add(p->reason, "BAR %d of %s (%s) has no address", k, d->name, doc_bytes(bar->bytes, has));
		doc_add(p->remedy,
			"turn on 'above 4G decoding' in the firmware's setup for %s, or boot with `pci=realloc`",
			d->name);
	}
}

/* Its own group, or one that VFIO made up: the driver maps NICs through an IOMMU and has no other way (docs/vfio.md).
 */
static void judge_iommu(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b];
	bool none_a = a->group < 0 || a->noiommu, none_b = b->group < 0 || b->noiommu;

	if (!none_a && !none_b)
		return;
	refuse(p);
	p->rate[DOC_BN].works = false;
	if (box->iommu)
		doc_add(p->reason, "the IOMMU does not serve %s%s%s, and VFIO maps nothing without one",
			none_a ? a->name : b->name, none_a && none_b ? " and " : "", none_a && none_b ? b->name : "");
	else
		doc_add(p->reason, "no IOMMU serves %s and %s, and VFIO maps nothing without one", a->name, b->name);
	doc_add(p->remedy,
		"turn on VT-d or AMD-Vi in the firmware's setup and boot with `intel_iommu=on` (AMD: `amd_iommu=on`)");
}

static void say_redirect(const struct doc_box *box, struct doc_pair *p, const struct doc_acs_view *v)
{
	char list[DOC_NAME_MAX * 2 + 2] = "", commands[256] = "";
	unsigned int k;

	for (k = 0; k < 2; k++) {
		const struct doc_dev *d = v->port[k] >= 0 ? &box->dev[v->port[k]] : NULL;

		if (!d)
			continue;
		doc_add(p->reason, "ACS of %s %s (%s%s%sis on)", d->name,
			v->way == DOC_WAY_BLOCKED ? "blocks it" : "redirects to the root",
			d->acs_ctrl & DOC_ACS_RR ? "RR " : "", d->acs_ctrl & DOC_ACS_CR ? "CR " : "",
			d->acs_ctrl & DOC_ACS_EC ? "EC " : "");
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", *list ? ";" : "", d->name);
		snprintf(commands + strlen(commands), sizeof(commands) - strlen(commands),
			 "%ssetpci -s %s ECAP_ACS+6.w=0:2c", *commands ? "; " : "", d->name);
	}
	if (*commands)
		doc_add(p->remedy,
			"`%s`; to keep it, boot with `pci=disable_acs_redir=%s`, which puts both into one IOMMU group",
			commands, list);
}

static void judge_acs(const struct doc_box *box, struct doc_pair *p)
{
	struct doc_acs_view v;

	doc_acs_look(box, p, &v);
	if (v.way == DOC_WAY_BLOCKED)
		refuse(p);
	else if (v.way == DOC_WAY_UP && p->verdict == DOC_DIRECT)
		p->verdict = DOC_THROUGH_ROOT;
	say_redirect(box, p, &v);
	if (v.known)
		return;
	p->certain = false;
	doc_add(p->reason, "ACS of %s can't be read (%u bytes of its config), so redirection is assumed",
		box->dev[v.unread].name, box->dev[v.unread].config_bytes);
	if (box->dev[p->a].group >= 0 && box->dev[p->b].group >= 0)
		doc_add(p->reason, "IOMMU groups %d and %d %s", box->dev[p->a].group, box->dev[p->b].group,
			box->dev[p->a].group == box->dev[p->b].group ? "are the same, which speaks against it"
								     : "differ, which confirms it");
	if (box->dev[v.unread].config_bytes < 256)
		doc_add(p->remedy, "run `p2pnic doctor` as root, which shows the ports' config whole");
	else
		doc_add(p->remedy, "the kernel reads no extended config of %s: `dmesg | grep -i -e ecam -e mmconfig` says why",
			box->dev[v.unread].name);
}

static void judge_root(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b];
	struct doc_root r;

	doc_root_of(box, a, b, &r);
	if (r.writes == DOC_NO) {
		refuse(p);
		doc_add(p->reason, "%s and %s: %s", a->name, b->name, r.what);
		doc_add(p->remedy, "put %s into a slot of %s's host bridge, or both under one switch", b->name,
			a->name);
		return;
	}
	if (r.reads == DOC_NO) {
		p->rate[DOC_RD].works = false;
		doc_add(p->reason, "the root complex (%s) forwards writes and no reads: no rd", r.what);
		doc_add(p->remedy, "use wr between %s and %s, or put both under one switch", a->name, b->name);
	} else if (r.writes == DOC_YES) {
		doc_add(p->reason, "the root complex forwards (%s)", r.what);
	} else {
		p->certain = false;
		doc_add(p->reason, "it needs %s: measure before you rely on it", r.what);
	}
}

static void judge_path(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b];
	const char *meet = p->meet >= 0 ? box->dev[p->meet].name : "";

	switch (p->path) {
	case DOC_PATH_SAME_DEVICE:
	case DOC_PATH_SAME_SWITCH:
	case DOC_PATH_SAME_BUS:
		doc_add(p->reason, "%s and %s: %s%s%s", a->name, b->name, doc_path_texts[p->path], *meet ? " " : "",
			p->path == DOC_PATH_SAME_DEVICE ? "" : meet);
		judge_acs(box, p);
		if (p->verdict == DOC_DIRECT && p->path == DOC_PATH_SAME_SWITCH)
			doc_add(p->reason,
				"direct at the BARs' own bus addresses, where `p2pnic up --nic vfio:` maps them, or says"
				" that the IOMMU does not let it");
		if (p->verdict != DOC_THROUGH_ROOT)
			return;
		break;
	case DOC_PATH_SOCKETS:
		p->verdict = p->verdict == DOC_DIRECT ? DOC_THROUGH_ROOT : p->verdict;
		doc_add(p->reason, "%s (node %d) and %s (node %d): %s", a->name, a->numa, b->name, b->numa,
			doc_path_texts[p->path]);
		doc_add(p->remedy, "put %s into a slot of node %d, best under one switch with %s", b->name, a->numa,
			a->name);
		break;
	default:
		p->verdict = p->verdict == DOC_DIRECT ? DOC_THROUGH_ROOT : p->verdict;
		doc_add(p->reason, "%s (under %s) and %s (under %s): %s", a->name, doc_top(box, a)->name, b->name,
			doc_top(box, b)->name, doc_path_texts[p->path]);
		doc_add(p->remedy, "put %s and %s under one switch", a->name, b->name);
	}
	judge_root(box, p);
}

/*
 * Below one switch nobody splits a write that is longer than its receivers take: it is a malformed packet, and the link
 * that meets it goes down.  A root complex may split (PCI Express Base Specification 5.0, 1.3.1), so there it is a
 * doubt alone.
 */
static void judge_mps(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b], *from = a, *least = a;
	unsigned int side;
	int k;

	for (side = 0; side < 2; side++)
		for (k = (int)(side ? p->b : p->a); k >= 0 && k != p->meet; k = box->dev[k].parent) {
			const struct doc_dev *d = &box->dev[k];

			/* Between two downstream ports nothing leaves the switch, and other root ports are not on the
			 * way. */
			if (d->mps && (!least->mps || d->mps < least->mps))
				least = d;
		}
	if (b->mps > a->mps)
		from = b;
	if (!from->mps || !least->mps || from->mps <= least->mps || p->path == DOC_PATH_SAME_DEVICE)
		return;
	if (p->verdict == DOC_DIRECT)
		refuse(p);
	else if (p->verdict == DOC_THROUGH_ROOT)
		p->certain = false;
	doc_add(p->reason, "%s sends packets of up to %u bytes (MPS), %s takes %u%s", from->name, from->mps,
		least->name, least->mps,
		p->verdict == DOC_REFUSED ? ": malformed packets" : ", which the root complex would have to split");
	doc_add(p->remedy, "boot with `pci=pcie_bus_peer2peer`, or `setpci -s %s CAP_EXP+8.w=%02x:e0`", from->name,
		(unsigned int)__builtin_ctz(least->mps / 128) << 5);
}

static void judge_link(const struct doc_box *box, struct doc_pair *p, unsigned int k)
{
	const struct doc_dev *d = &box->dev[k];
	struct doc_link now, could;

	if (!doc_dev_link(box, d, &now, &could) || d->gone)
		return;
	if (could.width && now.width < could.width) {
		doc_add(p->reason, "%s's link runs x%u, both ends could do x%u", d->name, now.width, could.width);
		doc_add(p->remedy,
			"seat %s anew and look at its slot's wiring; `setpci -s %s CAP_EXP+10.w=20:20` trains the link "
			"again",
			d->name, box->dev[d->parent].name);
	}
	if (could.gen && now.gen < could.gen) {
		doc_add(p->reason,
			"%s's link runs Gen%u, both ends could do Gen%u (unless it saves power at the moment)", d->name,
			now.gen, could.gen);
		doc_add(p->remedy, "`setpci -s %s CAP_EXP+10.w=20:20` trains %s's link again", box->dev[d->parent].name,
			d->name);
	}
}

static void judge_links(const struct doc_box *box, struct doc_pair *p)
{
	int meet = p->verdict == DOC_THROUGH_ROOT ? -1 : p->meet;
	unsigned int on_way[2 * DOC_MAX_HOPS], n, k, j;

	n = doc_links_up(box, p->a, meet, on_way, DOC_MAX_HOPS);
	n += doc_links_up(box, p->b, meet, on_way + n, DOC_MAX_HOPS);
	for (k = 0; k < n; k++) {
		for (j = 0; j < k && on_way[j] != on_way[k]; j++)
			;
		if (j == k)
			judge_link(box, p, on_way[k]);
	}
}

static void pair_judge(const struct doc_box *box, struct doc_pair *p)
{
	const struct doc_dev *a = &box->dev[p->a], *b = &box->dev[p->b];
	unsigned int m;

	pair_path(box, p);
	p->certain = true;
	for (m = 0; m < DOC_NUM_MODES; m++)
		p->rate[m].works = true;
	judge_alive(p, a);
	judge_alive(p, b);
	/* Between a NIC and another device only the other one's memory is needed. */
	if (a->kind != DOC_NIC || b->kind == DOC_NIC)
		judge_bar(p, a);
	if (b->kind != DOC_NIC || a->kind == DOC_NIC)
		judge_bar(p, b);
	judge_iommu(box, p);
	judge_path(box, p);
	judge_mps(box, p);
	judge_links(box, p);
	doc_rates_make(box, p);
}

int doc_pairs_make(const struct doc_box *box, const unsigned int *chosen, unsigned int num_chosen,
		   struct doc_pairs *out, char err[DOC_ERR_MAX])
{
	unsigned int *list = malloc((box->n ? box->n : 1) * sizeof(*list)), n = 0, k, j;

	out->pair = NULL;
	out->n = 0;
	snprintf(err, DOC_ERR_MAX, "out of memory");
	if (!list)
		return -ENOMEM;
	for (k = 0; k < (chosen ? num_chosen : box->n) && n < box->n; k++)
		if (chosen || doc_dev_counts(&box->dev[k]))
			list[n++] = chosen ? chosen[k] : k;
	if (n > DOC_MAX_PAIRED) {
		snprintf(err, DOC_ERR_MAX, "%u devices are too many to pair: name up to %u of them", n, DOC_MAX_PAIRED);
		free(list);
		return -E2BIG;
	}
	out->pair = calloc(n > 1 ? (size_t)n * (n - 1) / 2 : 1, sizeof(*out->pair));
	for (k = 0; out->pair && k < n; k++)
		for (j = k + 1; j < n; j++) {
			struct doc_pair *p = &out->pair[out->n++];

			p->a = list[k] < list[j] ? list[k] : list[j];
			p->b = list[k] < list[j] ? list[j] : list[k];
			pair_judge(box, p);
		}
	free(list);
	return out->pair ? 0 : -ENOMEM;
}

void doc_pairs_free(struct doc_pairs *p)
{
	free(p->pair);
	p->pair = NULL;
	p->n = 0;
}
