/* SPDX-License-Identifier: BSD-3-Clause */
/* A fabric's making and end: nodes, links, routes, and the pool of TLPs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

#define CHUNK_TLPS 64u
#define LINE_BYTES 64u

struct fabric *fab_create(struct fab_queue *q, uint64_t seed)
{
	struct fabric *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->q = q;
	f->rng = seed;
	return f;
}

struct fab_queue *fab_queue_of(struct fabric *f)
{
	return f->q;
}

void fab_trace(struct fabric *f, fab_trace_fn *fn, void *arg)
{
	f->trace = fn;
	f->trace_arg = arg;
}

struct fab_tlp *fab_tlp_more(struct fabric *f)
{
	struct fab_chunk *c = aligned_alloc(LINE_BYTES, LINE_BYTES + (size_t)CHUNK_TLPS * f->tlp_bytes);

	if (!c)
		return NULL;
	c->next = f->chunks;
	f->chunks = c;
	for (unsigned int k = CHUNK_TLPS; k-- > 0;) {
		struct fab_tlp *t = (struct fab_tlp *)((char *)c + LINE_BYTES + (size_t)k * f->tlp_bytes);

		fab_event_init(&t->event, NULL);
		t->next = f->free_tlps;
		f->free_tlps = t;
	}
	return f->free_tlps;
}

/* ---- nodes ---- */
static void dir_destroy(struct fab_dir *d)
{
	if (!d)
		return;
	if (fab_event_queued(&d->wake))
		fab_cancel(d->f->q, &d->wake);
	fab_line_cancel(d->f->q, &d->line);
	for (int c = 0; c < FAB_NUM_CLASSES; c++)
		free(d->credit[c].ring);
	free(d->in);
	free(d);
}

static void node_destroy(struct fab_node *n)
{
	if (fab_event_queued(&n->tags.timer))
		fab_cancel(n->f->q, &n->tags.timer);
	fab_line_cancel(n->f->q, &n->reading);
	dir_destroy(n->up);
	dir_destroy(n->down);
	fab_mem_destroy(n->mem);
	fab_iommu_destroy(n->iommu);
	free(n->tags.tag);
	free(n->out);
	free(n->next);
	free(n->mps);
	free(n->port);
	free(n);
}

static void chunk_destroy(struct fabric *f, struct fab_chunk *c)
{
	for (unsigned int k = 0; k < CHUNK_TLPS; k++) {
		struct fab_tlp *t = (struct fab_tlp *)((char *)c + LINE_BYTES + (size_t)k * f->tlp_bytes);

		if (fab_event_queued(&t->event))
			fab_cancel(f->q, &t->event);
	}
	free(c);
}

void fab_destroy(struct fabric *f)
{
	if (!f)
		return;
	while (f->chunks) {
		struct fab_chunk *c = f->chunks;

		f->chunks = c->next;
		chunk_destroy(f, c);
	}
	while (f->num_nodes > 0)
		node_destroy(f->node[--f->num_nodes]);
	free(f->range);
	free(f);
}

static int credit_init(struct fab_credit *c, uint32_t hdr, uint32_t data_bytes)
{
	uint32_t units = data_bytes / FAB_UNIT_BYTES, slots = 1;

	c->hdr_max = hdr;
	c->hdr_step = hdr ? 1 : 0;
	c->hdr = hdr ? hdr : UINT32_MAX;
	c->units_max = units;
	c->units_mask = units ? UINT32_MAX : 0;
	c->units = units ? units : UINT32_MAX;
	/* each return gives back at least one credit of the scarcer kind */
	while (slots < (hdr ? hdr : units))
		slots *= 2;
	c->mask = slots - 1;
	c->ring = calloc(slots, sizeof(*c->ring));
	return c->ring ? 0 : -ENOMEM;
}

static int dir_create(struct fab_node *link, bool up, const struct fab_credits *credits, struct fab_dir **out)
{
	struct fab_dir *d = calloc(1, sizeof(*d));
	const struct fab_link_cfg *cfg = &link->link;
	double share;
	int r = 0;

	*out = d;
	if (!d)
		return -ENOMEM;
	fab_event_init(&d->wake, fab_dir_woken);
	fab_line_init(&d->line);
	d->f = link->f;
	d->link = link;
	d->up = up;
	d->from = up ? link : link->parent;
	d->to = up ? link->parent : link;
	d->prop_ps = cfg->prop_ps;
	if (up && link->kind == FAB_KIND_ENDPOINT)
		d->prop_ps += link->latency_ps;
	share = fab_link_dllp_share(cfg);
	d->dllp_share = share;
	d->byte_fp = fab_rate_fp(fab_link_raw(cfg));
	d->busy_fp = fab_rate_fp(fab_link_raw(cfg) * (1 - share));
	for (int k = 0; k < FAB_NUM_TYPES; k++)
		d->overhead[k] = (uint16_t)fab_tlp_overhead(cfg->gen, (enum fab_type)k);
	fab_replay_init(d, cfg, link->f->rng + ((2ull * link->id + up) << 48));
	for (int c = 0; c < FAB_NUM_CLASSES && !r; c++)
		r = credit_init(&d->credit[c], credits->hdr[c], credits->data_bytes[c]);
	return r;
}

int fab_link_credits(struct fab_node *n, bool up, const struct fab_credits *credits, char err[FAB_ERR_MAX])
{
	struct fab_link_cfg link = n->link;
	struct fab_dir *d = up ? n->up : n->down;
	int r;

	if (!d || n->f->finished)
		return fab_fail(err, -EINVAL, "%s: credits are given to a link of a fabric that is not finished", n->name);
	*(up ? &link.up : &link.down) = *credits;
	r = fab_check_link(n->name, &link, err);
	if (r)
		return r;
	n->link = link;
	for (int c = 0; c < FAB_NUM_CLASSES; c++) {
		free(d->credit[c].ring);
		d->credit[c] = (struct fab_credit){ 0 };
		if (credit_init(&d->credit[c], credits->hdr[c], credits->data_bytes[c]))
			return fab_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int link_create(struct fab_node *n)
{
	int r = dir_create(n, true, &n->link.up, &n->up);

	if (!r)
		r = dir_create(n, false, &n->link.down, &n->down);
	if (r)
		return r;
	n->up->back = n->down;
	n->down->back = n->up;
	return 0;
}

static int add_check(const struct fabric *f, const char *name, const struct fab_node *parent,
		     const struct fab_link_cfg *link, char err[FAB_ERR_MAX])
{
	unsigned int ports = parent && parent->parent ? 1 : 0;

	if (!name || !name[0] || strlen(name) >= FAB_NAME_MAX)
		return fab_fail(err, -EINVAL, "a node's name has 1 to %d characters", FAB_NAME_MAX - 1);
	if (f->finished)
		return fab_fail(err, -EINVAL, "%s: added to a fabric that is finished", name);
	if (f->num_nodes == FAB_MAX_NODES)
		return fab_fail(err, -EINVAL, "%s: more than %d nodes", name, FAB_MAX_NODES);
	if (!parent != !link)
		return fab_fail(err, -EINVAL, "%s: a node below another one has a link, and the root has none", name);
	if (!parent)
		return f->top ? fab_fail(err, -EINVAL, "%s: a second root beside %s", name, f->top->name) : 0;
	if (parent->kind == FAB_KIND_ENDPOINT)
		return fab_fail(err, -EINVAL, "%s: below %s, which is an endpoint", name, parent->name);
	for (unsigned int k = 0; k < f->num_nodes; k++)
		ports += f->node[k]->parent == parent;
	if (ports >= FAB_MAX_PORTS)
		return fab_fail(err, -EINVAL, "%s: %s has no more than %d ports", name, parent->name, FAB_MAX_PORTS);
	return fab_check_link(name, link, err);
}

/* A node without its own kind's part. */
static int add_node(struct fabric *f, enum fab_kind kind, const char *name, struct fab_node *parent,
		    const struct fab_link_cfg *link, uint64_t latency_ps, struct fab_node **out, char err[FAB_ERR_MAX])
{
	struct fab_node *n = calloc(1, sizeof(*n));

	if (!n)
		return fab_fail(err, -ENOMEM, "%s: no memory", name);
	n->f = f;
	n->kind = kind;
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->id = (uint16_t)f->num_nodes;
	n->parent = parent;
	n->latency_ps = latency_ps;
	n->tags.free = n->tags.oldest = n->tags.newest = FAB_NO_TAG;
	n->rcb = 64;
	fab_line_init(&n->reading);
	if (link) {
		n->link = *link;
		if (link_create(n)) {
			node_destroy(n);
			return fab_fail(err, -ENOMEM, "%s: no memory", name);
		}
	} else {
		f->top = n;
	}
	f->node[f->num_nodes++] = n;
	*out = n;
	return 0;
}

static void set_loss(struct fab_node *n, const struct fab_loss *loss)
{
	n->loss = *loss;
	n->lossy = loss->congested;
	for (int k = 0; k < FAB_NUM_TYPES; k++)
		n->lossy |= loss->ppm[k] > 0;
}

int fab_add_root(struct fabric *f, const char *name, const struct fab_root_cfg *cfg,
		 const struct fab_target_ops *memory, void *arg, struct fab_node **out, char err[FAB_ERR_MAX])
{
	struct fab_node *n = NULL;
	int r = add_check(f, name, NULL, NULL, err);

	if (!r)
		r = fab_check_root(name, cfg, err);
	if (!r)
		r = add_node(f, FAB_KIND_ROOT, name, NULL, NULL, cfg->latency_ps, &n, err);
	if (r)
		return r;
	n->root = *cfg;
	n->rcb = cfg->rcb;
	n->p2p_fp = fab_rate_fp(cfg->p2p_bytes_per_s);
	set_loss(n, &cfg->loss);
	if (memory)
		n->ops = *memory;
	n->arg = arg;
	*out = n;
	if (cfg->mem_bytes && !(n->mem = fab_mem_create(&cfg->mem)))
		return fab_fail(err, -ENOMEM, "%s: no memory", name);
	if (cfg->iommu.entries && !(n->iommu = fab_iommu_create(&cfg->iommu)))
		return fab_fail(err, -EINVAL,
				"%s: an IOMMU of %u entries, %u ways, pages of %u bytes and %u walkers can't be", name,
				cfg->iommu.entries, cfg->iommu.ways, cfg->iommu.page_bytes, cfg->iommu.walkers);
	if (fab_tags_init(n, FAB_ROOT_TAGS, cfg->timeout_ps))
		return fab_fail(err, -ENOMEM, "%s: no memory", name);
	return 0;
}

int fab_add_switch(struct fabric *f, const char *name, struct fab_node *parent, const struct fab_link_cfg *link,
		   const struct fab_switch_cfg *cfg, struct fab_node **out, char err[FAB_ERR_MAX])
{
	struct fab_node *n = NULL;
	int r = add_check(f, name, parent, link, err);

	if (!r)
		r = fab_check_loss(name, &cfg->loss, err);
	if (!r && cfg->latency_ps > FAB_PS_PER_S)
		r = fab_fail(err, -EINVAL, "%s: a latency of more than a second", name);
	if (!r)
		r = add_node(f, FAB_KIND_SWITCH, name, parent, link, cfg->latency_ps, &n, err);
	if (r)
		return r;
	n->sw = *cfg;
	set_loss(n, &cfg->loss);
	*out = n;
	return 0;
}

int fab_add_endpoint(struct fabric *f, const char *name, struct fab_node *parent, const struct fab_link_cfg *link,
		     const struct fab_ep_cfg *cfg, const struct fab_target_ops *target, void *arg,
		     struct fab_node **out, char err[FAB_ERR_MAX])
{
	struct fab_node *n = NULL;
	int r = parent ? add_check(f, name, parent, link, err)
		       : fab_fail(err, -EINVAL, "%s: an endpoint is no root", name ? name : "");

	if (!r)
		r = fab_check_endpoint(name, cfg, err);
	if (!r)
		r = add_node(f, FAB_KIND_ENDPOINT, name, parent, link, cfg->latency_ps, &n, err);
	if (r)
		return r;
	n->ep = *cfg;
	n->rcb = cfg->rcb;
	n->write_fp = fab_rate_fp(cfg->write_bytes_per_s);
	n->read_fp = fab_rate_fp(cfg->read_bytes_per_s);
	if (target)
		n->ops = *target;
	n->arg = arg;
	*out = n;
	if (fab_tags_init(n, cfg->tags, cfg->timeout_ps))
		return fab_fail(err, -ENOMEM, "%s: no memory", name);
	return 0;
}

/* ---- the whole ---- */
static int ports_create(struct fabric *f, struct fab_node *n)
{
	unsigned int ports = n->parent ? 1 : 0;

	for (unsigned int k = 0; k < f->num_nodes; k++)
		ports += f->node[k]->parent == n;
	n->out = calloc(ports + 1, sizeof(*n->out));
	n->port = calloc(ports + 1, sizeof(*n->port));
	n->next = calloc(f->num_nodes, sizeof(*n->next));
	n->mps = calloc(f->num_nodes, sizeof(*n->mps));
	if (!n->out || !n->port || !n->next || !n->mps)
		return -ENOMEM;
	if (n->parent)
		n->out[n->num_ports++] = n->up;
	for (unsigned int k = 0; k < f->num_nodes; k++)
		if (f->node[k]->parent == n) {
			f->node[k]->up_port = n->num_ports;
			n->out[n->num_ports++] = f->node[k]->down;
		}
	for (unsigned int i = 0; i < n->num_ports; i++) {
		n->out[i]->slot = (uint16_t)i;
		n->out[i]->in = calloc(n->num_ports, sizeof(*n->out[i]->in));
		if (!n->out[i]->in)
			return -ENOMEM;
	}
	return 0;
}

static void routes_create(struct fabric *f)
{
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		struct fab_node *dst = f->node[k];

		/* everybody else's way is up, which is port 0 */
		for (struct fab_node *n = dst; n->parent; n = n->parent)
			n->parent->next[dst->id] = (uint8_t)n->up_port;
		if (dst->parent) {
			dst->up->to_port = dst->up_port;
			dst->down->to_port = 0;
		}
	}
}

static uint16_t least(uint16_t mps, const struct fab_node *n)
{
	return mps < n->link.mps ? mps : (uint16_t)n->link.mps;
}

/* The least MPS from src to everybody; 0 where the root does not forward. */
static void mps_create(struct fabric *f, struct fab_node *src, uint16_t max)
{
	bool blocked = f->top->kind == FAB_KIND_ROOT && !f->top->root.p2p && src != f->top;

	src->mps[src->id] = src->parent ? (uint16_t)src->link.mps : max;
	for (struct fab_node *n = src; n->parent; n = n->parent)
		src->mps[n->parent->id] = least(n == src ? max : src->mps[n->id], n);
	/* parents come before their children */
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		struct fab_node *n = f->node[k];

		if (src->mps[n->id] || !n->parent || (n->parent == f->top && blocked))
			continue;
		src->mps[n->id] = n->parent == src ? (uint16_t)n->link.mps : least(src->mps[n->parent->id], n);
	}
}

static int range_before(const void *a, const void *b)
{
	const struct fab_range *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

static int ranges_create(struct fabric *f)
{
	f->range = calloc(f->num_nodes, sizeof(*f->range));
	if (!f->range)
		return -ENOMEM;
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		struct fab_node *n = f->node[k];
		struct fab_range r = { .base = n->ep.base, .bytes = n->ep.bytes, .node = n };

		if (n->kind == FAB_KIND_ROOT) {
			r.base = n->root.mem_base;
			r.bytes = n->root.mem_bytes;
		}
		if (r.bytes)
			f->range[f->num_ranges++] = r;
	}
	qsort(f->range, f->num_ranges, sizeof(*f->range), range_before);
	return 0;
}

int fab_finish(struct fabric *f, char err[FAB_ERR_MAX])
{
	uint32_t max = 128;
	int r;

	if (f->finished)
		return fab_fail(err, -EINVAL, "a fabric is finished once");
	if (!f->top)
		return fab_fail(err, -EINVAL, "a fabric without a root");
	r = fab_check_lanes(f, err);
	if (r)
		return r;
	f->finished = true;
	for (unsigned int k = 0; k < f->num_nodes; k++) {
		if (f->node[k]->parent && f->node[k]->link.mps > max)
			max = f->node[k]->link.mps;
		if (ports_create(f, f->node[k]))
			return fab_fail(err, -ENOMEM, "%s: no memory", f->node[k]->name);
	}
	routes_create(f);
	for (unsigned int k = 0; k < f->num_nodes; k++)
		mps_create(f, f->node[k], (uint16_t)max);
	f->tlp_bytes = (uint32_t)(sizeof(struct fab_tlp) + max + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
	if (ranges_create(f))
		return fab_fail(err, -ENOMEM, "no memory");
	return fab_check_ranges(f, err);
}
