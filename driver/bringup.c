/* SPDX-License-Identifier: BSD-3-Clause */
/* NICs at rest become a mesh: the order of design section 4, and its undoing. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver/drv_internal.h"

int drv_step_reset(struct drv *d, struct drv_nic *nic)
{
	int rc;

	nic->ours = true;
	rc = nic->t->ops->reset(nic->t);
	if (rc)
		return drv_fail(d, rc, "%s: reset failed: %s", nic->name, drv_why(nic, rc));
	rc = nic->t->ops->dma_unmap_all(nic->t);
	if (rc)
		return drv_fail(d, rc, "%s: clearing its address map failed: %s", nic->name, strerror(-rc));
	return 0;
}

uint32_t drv_flags(const struct drv_opts *o)
{
	return (o->bridge ? P2P_FLAG_BRIDGE : 0) | (o->scrub ? P2P_FLAG_SCRUB : 0) |
	       (o->backpressure ? P2P_FLAG_BACKPRESSURE : 0) | (o->cut ? P2P_FLAG_CUT : 0) |
	       (o->route ? P2P_FLAG_ROUTE : 0);
}

uint64_t drv_route_bytes(const struct drv_opts *o, const struct drv_nic *nic)
{
	if (!o->route)
		return 0;
	return o->route_bytes ? o->route_bytes : P2P_ALIGN_UP(nic->mem_bytes / 2, (uint64_t)P2P_SEG_ALIGN);
}

static int drv_check_layout(struct drv *d, struct drv_nic *nic)
{
	unsigned int count = p2p_seg_total(&nic->shape);
	uint64_t v;
	int rc;

	rc = drv_reg_read(d, nic, P2P_SEG_COUNT, 4, &v);
	if (rc)
		return rc;
	if (v != count)
		return drv_fail(d, -EPROTO, "%s: laid out %" PRIu64 " segments, %u expected", nic->name, v, count);
	rc = drv_reg_write(d, nic, P2P_SEG_SELECT, 4, count - 1);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_SEG_OFFSET, 8, &v);
	if (rc)
		return rc;
	if (v != p2p_seg_offset(&nic->shape, count - 1))
		return drv_fail(d, -EPROTO, "%s: its last segment is at 0x%" PRIx64 ", 0x%" PRIx64 " expected", nic->name, v,
				p2p_seg_offset(&nic->shape, count - 1));
	return 0;
}

/* A NIC's refusal: of memory, with what would help, else its number's text. */
static int drv_refused(struct drv *d, struct drv_nic *nic, int error)
{
	static const struct { int error; const char *text; } lack[] = {
		{ ENOMEM, "its host does not give them; free memory there, raise `ulimit -v`, or ask for fewer --slots or --route-mem" },
		{ ENOSPC, "its host does not give them; free memory there, or ask for fewer --slots or less --route-mem" },
		{ EFBIG, "a part is larger than its host lets a file be; raise `ulimit -f` there" },
		{ EMFILE, "its process may not open a file for each part; raise `ulimit -n` there, or give it fewer ports or queues" },
		{ ENFILE, "its host has no more open files for the parts; give it fewer ports or queues" },
	};
	const struct p2p_shape *s = &nic->shape;
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(lack); i++)
		if (lack[i].error == error)
			return drv_fail(d, -error, "%s: refused its configuration (%u slots, %u buffers of %u bytes, routing area of"
					" %" PRIu64 " KiB): %" PRIu64 " KiB of device memory: %s", nic->name, s->slots, s->rx_bufs, nic->buf_size,
					s->route_bytes >> 10, p2p_memory_needed(s) >> 10, lack[i].text);
	return drv_fail(d, -EIO, "%s: refused its configuration (%u slots, %u buffers of %u bytes): %s", nic->name, s->slots, s->rx_bufs,
			nic->buf_size, strerror(error));
}

int drv_step_configure(struct drv *d, struct drv_nic *nic)
{
	const struct drv_opts *o = &d->opts;
	const struct { uint32_t off, v; } reg[] = {
		{ P2P_NIC_INDEX, nic->index },
		{ P2P_NUM_NICS, nic->shape.nics },
		{ P2P_SLOTS, nic->shape.slots },
		{ P2P_RX_BUFS, nic->shape.rx_bufs },
		{ P2P_MODE, o->mode },
		{ P2P_BATCH, o->batch },
		{ P2P_STRIDE, o->stride },
		{ P2P_FLAGS, drv_flags(o) },
		{ P2P_AGE_S, o->age_s },
		{ P2P_FLOOD_PPS, o->flood_pps },
		{ P2P_SILENCE_MS, o->silence_ms },
	};
	uint64_t status, error, features = P2P_FEAT_CUT | P2P_FEAT_ROUTE;
	unsigned int i;
	int rc = 0;

	if (o->cut || o->route)
		rc = drv_reg_read(d, nic, P2P_FEATURES, 4, &features);
	if (!rc && o->route && !(features & P2P_FEAT_ROUTE))
		return drv_fail(d, -EOPNOTSUPP, "%s can't route (its firmware is older, or built without); leave --route out", nic->name);
	if (!rc && o->cut && !(features & P2P_FEAT_CUT))
		return drv_fail(d, -EOPNOTSUPP, "%s can't receive into another NIC's memory; leave --placement cut out", nic->name);
	for (i = 0; !rc && i < P2P_ARRAY_SIZE(reg); i++)
		rc = drv_reg_write(d, nic, reg[i].off, 4, reg[i].v);
	if (!rc && drv_has_queues(nic))
		rc = drv_reg_write(d, nic, P2P_QUEUES, 4, d->queues);
	if (!rc && o->route)
		rc = drv_reg_write(d, nic, P2P_ROUTE_BYTES, 8, nic->shape.route_bytes);
	if (!rc)
		rc = drv_reg_write(d, nic, P2P_CONTROL, 4, P2P_CTL_CONFIGURE);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_STATUS, 4, &status);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_ERROR, 4, &error);
	if (rc)
		return rc;
	if (!(status & P2P_ST_CONFIGURED))
		return drv_refused(d, nic, (int)(error & 0xfff));
	return drv_check_layout(d, nic);
}

int drv_step_enable(struct drv *d, struct drv_nic *nic)
{
	bool persist = d->opts.persist && !(nic->t->flags & TRANSPORT_HELD);
	uint64_t status, error;
	int rc;

	rc = drv_reg_write(d, nic, P2P_CONTROL, 4, P2P_CTL_ENABLE | (persist ? P2P_CTL_PERSIST : 0));
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_STATUS, 4, &status);
	if (!rc)
		rc = drv_reg_read(d, nic, P2P_ERROR, 4, &error);
	if (rc)
		return rc;
	if (!(status & P2P_ST_RUNNING))
		return drv_fail(d, -EIO, "%s: does not start: %s", nic->name, strerror((int)(error & 0xfff)));
	return 0;
}

void drv_nic_undo(struct drv *d, struct drv_nic *nic)
{
	int none[P2P_MAX_NICS];
	le32 zero = to_le32(0);
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(none); i++)
		none[i] = -1;
	nic->t->ops->region_write(nic->t, DRV_REGION_BAR0, P2P_CONTROL, &zero, sizeof(zero));
	nic->t->ops->reset(nic->t);
	nic->t->ops->irq_set(nic->t, P2P_IRQ_WAKE, 0, nic->max_queues, none);
	for (i = 0; i < nic->max_queues; i++)
		nic->t->ops->irq_set(nic->t, P2P_IRQ_BELL, i * P2P_MAX_NICS, P2P_MAX_NICS, none);
	nic->t->ops->dma_unmap_all(nic->t);
	nic->ours = false;
}

static int drv_check_opts(struct drv *d, const struct drv_opts *o)
{
	unsigned int i;

	if (!d->n)
		return drv_fail(d, -EINVAL, "no NIC given");
	if (o->max_nics && (o->max_nics < d->n || o->max_nics > P2P_MAX_NICS))
		return drv_fail(d, -EINVAL, "room for %u, %u NICs given; give --max-nics %u to %u", o->max_nics, d->n, d->n, P2P_MAX_NICS);
	if (o->max_nics > d->n && o->mode == P2P_MODE_BN)
		return drv_fail(d, -EINVAL, "in bn a mesh can't grow, all NICs begin anew with its host part; leave --max-nics out");
	if (o->mode >= P2P_NUM_MODES)
		return drv_fail(d, -EINVAL, "mode %u does not exist", o->mode);
	if (o->cut && o->mode != P2P_MODE_WR)
		return drv_fail(d, -EINVAL, "cut-through placement is for mode wr");
	if (o->route && o->mode == P2P_MODE_BN)
		return drv_fail(d, -EINVAL, "routing is for modes wr and rd: in bn the host forwards");
	if (o->route && (o->bridge || o->cut))
		return drv_fail(d, -EINVAL, "routing goes neither with the bridge nor with cut-through placement");
	if (o->route && o->route_bytes % P2P_SEG_ALIGN)
		return drv_fail(d, -EINVAL, "routing area of %" PRIu64 " bytes: give a multiple of %u", o->route_bytes, P2P_SEG_ALIGN);
	if (!o->batch || o->batch > P2P_MAX_BATCH)
		return drv_fail(d, -EINVAL, "batch %u: give 1 to %u", o->batch, P2P_MAX_BATCH);
	if (o->stride < 4 || o->stride > 256 || (o->stride & (o->stride - 1)))
		return drv_fail(d, -EINVAL, "stride %u: give a power of two from 4 to 256", o->stride);
	for (i = 0; i < d->n; i++)
		if (d->nic[i].buf_size % o->stride)
			return drv_fail(d, -EINVAL, "stride %u does not divide the buffers of %s (%u bytes)", o->stride,
					d->nic[i].name, d->nic[i].buf_size);
	return drv_pairs_check(d, o);
}

/* What was asked for, else what all can have. */
static int drv_queues(struct drv *d)
{
	const struct drv_opts *o = &d->opts;
	const char *single = o->mode == P2P_MODE_BN ? "bn" : o->cut ? "--placement cut" : NULL;
	unsigned int i, least = 0;

	for (i = 1; i < d->n; i++)
		if (d->nic[i].max_queues < d->nic[least].max_queues)
			least = i;
	d->queues = o->queues ? o->queues : single ? 1 : d->nic[least].max_queues;
	if (d->queues > 1 && single)
		return drv_fail(d, -EINVAL, "%u queues don't go with %s, which has one a NIC", d->queues, single);
	if (d->queues > d->nic[least].max_queues)
		return drv_fail(d, -EINVAL, "%s can have %u queue%s, %u asked for; start it with --queues %u", d->nic[least].name,
				d->nic[least].max_queues, d->nic[least].max_queues == 1 ? "" : "s", d->queues, d->queues);
	return 0;
}

static int drv_shape(struct drv *d)
{
	struct p2p_shape shapes[P2P_MAX_NICS];
	uint64_t mem[P2P_MAX_NICS];
	unsigned int i, tight = 0;
	char why[DRV_ERR_MAX];
	int rc;

	for (i = 0; i < d->n; i++) {
		shapes[i] = (struct p2p_shape){ .nics = d->max_nics, .ports = d->nic[i].ports, .buf_size = d->nic[i].buf_size,
						.queues = d->queues, .route_bytes = drv_route_bytes(&d->opts, &d->nic[i]) };
		mem[i] = d->nic[i].mem_bytes;
	}
	rc = drv_shape_choose(shapes, mem, d->n, &d->opts, &tight, why);
	if (rc == -ENOSPC)
		return drv_fail(d, rc, "%s: %.400s", d->nic[tight].name, why);
	if (rc)
		return drv_fail(d, rc, "%s", why);
	for (i = 0; i < d->n; i++)
		d->nic[i].shape = shapes[i];
	d->slots = shapes[0].slots;
	if (d->slots != d->opts.slots)
		drv_note(d, "%u slots per ring instead of %u: device memory of %s is %" PRIu64 " MiB",
			 d->slots, d->opts.slots, d->nic[tight].name, mem[tight] >> 20);
	return 0;
}

static int drv_each(struct drv *d, int (*step)(struct drv *d, struct drv_nic *nic))
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < d->n; i++)
		rc = step(d, &d->nic[i]);
	return rc;
}

/* step for every ordered pair; own: for each NIC and itself too. */
static int drv_each_pair(struct drv *d, int (*step)(struct drv *d, struct drv_nic *nic, struct drv_nic *peer), bool own)
{
	unsigned int i, j;
	int rc = 0;

	for (i = 0; i < d->n; i++)
		for (j = 0; !rc && j < d->n; j++)
			if (i != j || own)
				rc = step(d, &d->nic[i], &d->nic[j]);
	return rc;
}

static int drv_fresh(struct drv *d)
{
	bool bn = d->opts.mode == P2P_MODE_BN;
	int rc;

	rc = drv_each(d, drv_step_reset);
	if (!rc)
		rc = drv_each(d, drv_step_decode);
	if (!rc)
		rc = drv_each(d, drv_step_master);
	if (!rc)
		rc = drv_shape(d);
	if (!rc)
		rc = drv_each(d, drv_step_configure);
	if (!rc && bn)
		rc = drv_host_create(d);
	if (!rc && bn)
		rc = drv_each(d, drv_host_map);
	if (!rc && bn)
		rc = drv_each(d, drv_host_doorbell);
	if (!rc)
		rc = drv_each_pair(d, drv_peer_map, false);
	if (!rc)
		rc = drv_each_pair(d, drv_peer_introduce, true);
	if (!rc)
		rc = drv_wake_all(d);
	if (!rc)
		rc = drv_pairs_write(d);
	if (!rc)
		rc = drv_each(d, drv_step_enable);
	if (!rc)
		d->introduced = d->n;
	return rc;
}

int drv_bring_up(struct drv *d, const struct drv_opts *o)
{
	unsigned int i;
	int rc;

	d->note[0] = '\0';
	d->adopted = d->introduced = 0;
	drv_host_destroy(d);
	rc = drv_check_opts(d, o);
	if (rc)
		return rc;
	d->opts = *o;
	for (i = 0; i < d->n; i++)
		d->nic[i].told = 0;
	if (drv_any_running(d))
		return drv_adopt(d);
	rc = drv_queues(d);
	if (rc)
		return rc;
	d->max_nics = o->max_nics ? o->max_nics : d->n;
	for (i = 0; i < d->n; i++)
		d->nic[i].index = i;
	rc = drv_bus_place(d);
	if (rc)
		return rc;
	rc = drv_fresh(d);
	if (rc) {
		for (i = 0; i < d->n; i++)
			if (d->nic[i].ours)
				drv_nic_undo(d, &d->nic[i]);
		drv_wake_close(d);
		drv_host_destroy(d);
	}
	return rc;
}

bool drv_ready(struct drv *d, unsigned int *a, unsigned int *b, uint32_t *state, int *rc)
{
	unsigned int i, j;
	uint64_t v;

	*rc = 0;
	for (i = 0; i < d->n; i++) {
		for (j = 0; j < d->n; j++) {
			if (i == j)
				continue;
			*rc = drv_reg_read(d, &d->nic[i], drv_peer_reg(d->nic[j].index, P2P_PEER_STATE), 4, &v);
			if (*rc)
				return false;
			if (v != P2P_PEER_UP) {
				*a = i;
				*b = j;
				*state = (uint32_t)v;
				return false;
			}
		}
	}
	return true;
}

void drv_peers(struct drv *d, unsigned int a, struct drv_peers *out)
{
	unsigned int j;
	uint64_t v;

	for (j = 0; j < d->n; j++) {
		if (drv_reg_read(d, &d->nic[a], drv_peer_reg(d->nic[j].index, P2P_PEER_STATE), 4, &v))
			out->state[j] = UINT32_MAX;
		else
			out->state[j] = (uint32_t)v;
	}
}

uint64_t drv_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int drv_wait_ready(struct drv *d, uint64_t timeout_ns)
{
	static const char *const states[] = { "absent", "waiting", "up", "down" };
	const struct timespec nap = { 0, 2000000 };
	uint64_t end = drv_now_ns() + timeout_ns;
	unsigned int a, b;
	uint32_t state;
	int rc;

	while (!drv_ready(d, &a, &b, &state, &rc)) {
		if (rc)
			return rc;
		if (drv_now_ns() >= end)
			return drv_fail(d, -ETIMEDOUT, "%s does not see %s after %.1f s (%s); %s", d->nic[a].name, d->nic[b].name,
					(double)timeout_ns / 1e9, state < 4 ? states[state] : "?",
					drv_held(d) ? "does what lies between them carry their writes? `p2pnic doctor` tells" :
						      "is its process running?");
		nanosleep(&nap, NULL);
	}
	return 0;
}

static int drv_stop(struct drv *d, struct drv_nic *nic)
{
	return drv_reg_write(d, nic, P2P_CONTROL, 4, 0);
}

static int drv_clean(struct drv *d, struct drv_nic *nic)
{
	int rc;

	rc = drv_step_reset(d, nic);
	if (!rc)
		drv_nic_undo(d, nic);
	return rc;
}

int drv_reset(struct drv *d)
{
	unsigned int i;
	int rc, first = 0;

	for (i = 0; i < d->n; i++) {
		rc = drv_clean(d, &d->nic[i]);
		if (rc && !first)
			first = rc;
	}
	return first;
}

int drv_down(struct drv *d)
{
	unsigned int i;
	int rc, first = 0;

	for (i = 0; i < d->n; i++) {
		rc = drv_stop(d, &d->nic[i]);
		if (rc && !first)
			first = rc;
	}
	rc = drv_reset(d);
	return first ? first : rc;
}

int drv_let_go(struct drv *d, unsigned int i)
{
	unsigned int j, index = d->nic[i].index;
	int rc, first = 0;

	for (j = 0; j < d->n; j++) {
		if (j == i)
			continue;
		rc = drv_peer_forget(d, &d->nic[j], index);
		if (rc && !first)
			first = rc;
	}
	/* The kernel resets nothing that it takes away: by its own register, if it still has one. */
	drv_reg_write(d, &d->nic[i], P2P_CONTROL, 4, 0);
	drv_reg_write(d, &d->nic[i], P2P_CONTROL, 4, P2P_CTL_RESET);
	d->nic[i].t->ops->close(d->nic[i].t);
	memmove(&d->nic[i], &d->nic[i + 1], (d->n - i - 1) * sizeof(d->nic[0]));
	d->n--;
	return first;
}
