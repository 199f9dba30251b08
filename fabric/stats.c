/* SPDX-License-Identifier: BSD-3-Clause */
/* What was counted. */
#include "internal.h"

static void dir_stats_update(struct fab_dir *d)
{
	fab_dir_stall_update(d, fab_now(d->f->q));
	d->stats.dllp_bytes = (uint64_t)((double)d->stats.wire_bytes * d->dllp_share / (1 - d->dllp_share));
	if (d->link->link.gen <= 5) /* of Gen6 they are in the FLIT */
		d->stats.dllp_bytes += d->back->stats.replays * FAB_DLLP_BYTES;
}

const struct fab_dir_stats *fab_link_stats(const struct fab_node *n, bool up)
{
	struct fab_dir *d = up ? n->up : n->down;

	if (!d)
		return NULL;
	dir_stats_update(d);
	return &d->stats;
}

void fab_node_stats(const struct fab_node *n, struct fab_node_stats *out)
{
	*out = n->stats;
	if (n->mem)
		fab_mem_stats(n->mem, out);
	if (n->iommu)
		fab_iommu_stats(n->iommu, out);
}

const char *fab_node_name(const struct fab_node *n)
{
	return n->name;
}

struct fab_node *fab_node_parent(const struct fab_node *n)
{
	return n->parent;
}

const struct fab_link_cfg *fab_node_link(const struct fab_node *n)
{
	return n->parent ? &n->link : NULL;
}

unsigned int fab_num_nodes(const struct fabric *f)
{
	return f->num_nodes;
}

struct fab_node *fab_node_at(const struct fabric *f, unsigned int k)
{
	return f->node[k];
}

static void dir_stats_reset(struct fab_dir *d)
{
	uint32_t queue = d->stats.queue;

	fab_dir_stall_update(d, fab_now(d->f->q));
	d->stats = (struct fab_dir_stats){ .queue = queue, .queue_max = queue };
}

void fab_stats_reset(struct fabric *f)
{
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		struct fab_node *n = f->node[k];

		n->stats = (struct fab_node_stats){ 0 };
		if (n->parent) {
			dir_stats_reset(n->up);
			dir_stats_reset(n->down);
		}
		if (n->mem)
			fab_mem_stats_reset(n->mem);
		if (n->iommu)
			fab_iommu_stats_reset(n->iommu);
	}
}

static bool dir_idle(const struct fab_dir *d)
{
	if (d->active)
		return false;
	for (int k = 0; k < FAB_NUM_CLASSES; k++) {
		const struct fab_credit *c = &d->credit[k];
		uint32_t hdr = c->hdr, units = c->units;

		for (uint32_t i = c->cons; i != c->prod; i++) {
			hdr += c->ring[i & c->mask].hdr;
			units += c->ring[i & c->mask].units;
		}
		if (hdr != (c->hdr_max ? c->hdr_max : UINT32_MAX) ||
		    units != (c->units_max ? c->units_max : UINT32_MAX))
			return false;
	}
	return true;
}

bool fab_idle(const struct fabric *f)
{
	if (f->live)
		return false;
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		const struct fab_node *n = f->node[k];

		if (n->waiting[false] || n->waiting[true] || n->tags.used)
			return false;
		if (n->parent && (!dir_idle(n->up) || !dir_idle(n->down)))
			return false;
	}
	return true;
}
