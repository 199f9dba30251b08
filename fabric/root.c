/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The root complex: completes accesses to main memory, forwards between its ports.
 *
 * A write is stored when its address is translated, in the order of its port, and
 * holds its buffer until the memory controller has it.  Reads don't overtake their port's writes.
 */
#include "internal.h"

static void read_ready(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);

	fab_answer(t->dst, t);
}

static void write_store(struct fab_node *n, struct fab_tlp *t)
{
	if (n->ops.write)
		n->ops.write(n->arg, t->addr, t->carries ? t->data : NULL, t->len);
	fab_tlp_put(n->f, t);
}

static void write_translated(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dst;

	n->port[t->dir->to_port].storing--;
	write_store(n, t);
}

static uint64_t translate(struct fab_node *n, const struct fab_tlp *t, uint64_t now)
{
	return n->iommu ? fab_iommu_translate(n->iommu, now, t->addr, t->len) : now;
}

static void memory_write(struct fab_node *n, struct fab_tlp *t, uint64_t now)
{
	struct fab_port *port = &n->port[t->dir->to_port];
	uint64_t at_ps = fab_max(translate(n, t, now), port->last_write_ps);
	uint64_t stored = fab_mem_device(n->mem, at_ps, t->addr, t->len, true);

	port->last_write_ps = at_ps;
	fab_credit_give(t->dir, FAB_POSTED, t->units, stored);
	if (at_ps == now && !port->storing) {
		write_store(n, t);
		return;
	}
	port->storing++;
	t->event.fn = write_translated;
	fab_schedule(n->f->q, &t->event, at_ps);
}

static void memory_read(struct fab_node *n, struct fab_tlp *t, uint64_t now)
{
	uint64_t at_ps = fab_max(translate(n, t, now), n->port[t->dir->to_port].last_write_ps);

	fab_credit_give(t->dir, FAB_NONPOSTED, 0, at_ps);
	t->ready_ps = fab_mem_device(n->mem, at_ps, t->addr, t->len, false) + n->latency_ps;
	t->event.fn = read_ready;
	fab_schedule(n->f->q, &t->event, t->ready_ps);
}

/* t, which came by a link, is for the root itself. */
static void root_arrived(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dst;
	uint64_t now = fab_now(n->f->q);

	if (n->lossy && fab_lose(n, t, NULL))
		return;
	if (!t->unsupported && t->type == FAB_MWR) {
		memory_write(n, t, now);
		return;
	}
	if (!t->unsupported && t->type == FAB_MRD) {
		memory_read(n, t, now);
		return;
	}
	fab_credit_give(t->dir, t->cls, t->units, now);
	if (t->unsupported)
		fab_unsupported(n, t);
	else
		fab_complete(n, t);
}

/* ---- between ports ---- */
static void p2p_go(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);

	fab_dir_forward(fab_out(t->dir->to, t->dst), t->dir->to_port, t);
}

static void p2p_arrived(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dir->to;
	struct fab_dir *out = fab_out(n, t->dst);
	uint64_t now = fab_now(n->f->q), start = fab_max(now, n->p2p_free_ps);

	if (n->lossy && fab_lose(n, t, out))
		return;
	n->stats.p2p_bytes += t->type == FAB_MRD ? 0 : t->len;
	n->p2p_free_ps = start + fab_span(out->overhead[t->type] + t->dw_bytes, n->p2p_fp);
	if (start == now) {
		fab_dir_forward(out, t->dir->to_port, t);
		return;
	}
	t->event.fn = p2p_go;
	fab_schedule(n->f->q, &t->event, start);
}

void fab_root_expect(struct fab_dir *d, struct fab_tlp *t, uint64_t head_ps, uint64_t tail_ps)
{
	struct fab_node *n = d->to;

	if (t->dst == n) {
		t->event.fn = root_arrived;
		fab_line_push(d->f->q, &d->line, t, tail_ps + n->latency_ps);
		return;
	}
	t->event.fn = p2p_arrived;
	fab_schedule(d->f->q, &t->event,
		     fab_cut_through(fab_out(n, t->dst), t, head_ps, tail_ps, n->root.p2p_latency_ps));
}

/* ---- cores ---- */
static void turned(struct fab_event *e)
{
	struct fab_tlp *t = fab_container(e, struct fab_tlp, event);
	struct fab_node *n = t->dst;

	if (t->unsupported) {
		fab_unsupported(n, t);
	} else if (t->type == FAB_MWR) {
		write_store(n, t);
	} else {
		t->ready_ps = fab_now(n->f->q);
		fab_answer(n, t);
	}
}

/* A core's own access to main memory, as a request. */
void fab_root_turn(struct fab_node *n, struct fab_tlp *t, uint64_t now)
{
	uint64_t at_ps = now;

	if (!t->unsupported)
		at_ps = fab_mem_cpu(n->mem, now, t->addr, t->len, t->type == FAB_MWR, false);
	t->event.fn = turned;
	fab_schedule(n->f->q, &t->event, at_ps);
}

uint64_t fab_cpu_access(struct fab_node *root, uint64_t addr, uint32_t bytes, bool write, bool cached)
{
	if (!root->mem)
		return fab_now(root->f->q);
	return fab_mem_cpu(root->mem, fab_now(root->f->q), addr, bytes, write, cached);
}
