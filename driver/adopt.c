/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adoption: a driver that comes to NICs already running.
 *
 * What runs is believed: shape, mode and pairs are read from the NICs' own
 * registers.  Nothing is written to a NIC that runs but what changes: pairs
 * asked for by name, the entries of a peer that is introduced anew, and those
 * of one that is gone and was not given.
 * While wake-ups are exchanged a bell may ring the old descriptor; the sleeper
 * then sees its work at the next heartbeat (P2P_BEAT_NS).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver/drv_internal.h"

#define ADOPT_HINT "p2pnic down stops them"
#define ADOPT_SILENCE_MORE_NS 200000000ull /* a NIC looks now and then whether it still hears its peers */

/* What a running NIC says of its mesh. */
struct adopt_view {
	uint64_t index, nics, slots, rx_bufs, mode, batch, stride, flags, age_s, flood_pps, silence_ms, queues, route_bytes;
};

static bool adopt_running(const struct drv_nic *nic)
{
	return nic->status & P2P_ST_RUNNING;
}

bool drv_any_running(const struct drv *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (adopt_running(&d->nic[i]))
			return true;
	return false;
}

static int adopt_read(struct drv *d, struct drv_nic *nic, struct adopt_view *v)
{
	const struct { uint32_t off; uint64_t *v; } reg[] = {
		{ P2P_NIC_INDEX, &v->index }, { P2P_NUM_NICS, &v->nics }, { P2P_SLOTS, &v->slots },
		{ P2P_RX_BUFS, &v->rx_bufs }, { P2P_MODE, &v->mode }, { P2P_BATCH, &v->batch },
		{ P2P_STRIDE, &v->stride }, { P2P_FLAGS, &v->flags }, { P2P_AGE_S, &v->age_s },
		{ P2P_FLOOD_PPS, &v->flood_pps }, { P2P_SILENCE_MS, &v->silence_ms },
	};
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < P2P_ARRAY_SIZE(reg); i++)
		rc = drv_reg_read(d, nic, reg[i].off, 4, reg[i].v);
	v->queues = 1;
	if (!rc && drv_has_queues(nic))
		rc = drv_reg_read(d, nic, P2P_QUEUES, 4, &v->queues);
	v->route_bytes = 0;
	if (!rc && drv_has_route(nic) && (v->flags & P2P_FLAG_ROUTE))
		rc = drv_reg_read(d, nic, P2P_ROUTE_BYTES, 8, &v->route_bytes);
	return rc;
}

static int adopt_agree(struct drv *d, const struct adopt_view *ref, const struct drv_nic *ref_nic,
		       const struct adopt_view *v, const struct drv_nic *nic)
{
	if (v->nics > P2P_MAX_NICS || v->index >= v->nics)
		return drv_fail(d, -EPROTO, "%s runs as NIC %" PRIu64 " of %" PRIu64 ", which can't be; " ADOPT_HINT, nic->name,
				v->index, v->nics);
	if (v->nics < d->n)
		return drv_fail(d, -EBUSY, "%s runs in a mesh with room for %" PRIu64 " NICs, %u given; " ADOPT_HINT
				", and then up --max-nics makes room", nic->name, v->nics, d->n);
	if (v->nics != ref->nics || v->slots != ref->slots || v->mode != ref->mode || v->stride != ref->stride || v->queues != ref->queues)
		return drv_fail(d, -EBUSY, "%s and %s run in different meshes; " ADOPT_HINT, ref_nic->name, nic->name);
	return 0;
}

/* Reads what runs.  taken: the numbers that it has, a bit for each. */
static int adopt_gather(struct drv *d, struct adopt_view *view, unsigned int *ref, uint32_t *taken)
{
	unsigned int i;
	int rc;

	*ref = d->n;
	*taken = 0;
	for (i = 0; i < d->n; i++) {
		if (!adopt_running(&d->nic[i]))
			continue;
		rc = adopt_read(d, &d->nic[i], &view[i]);
		if (rc)
			return rc;
		if (*ref == d->n) {
			*ref = i;
			d->max_nics = (uint32_t)view[i].nics;
		}
		rc = adopt_agree(d, &view[*ref], &d->nic[*ref], &view[i], &d->nic[i]);
		if (rc)
			return rc;
		if (*taken & 1u << view[i].index)
			return drv_fail(d, -EBUSY, "%s and another run as NIC %" PRIu64 ": different meshes; " ADOPT_HINT,
					d->nic[i].name, view[i].index);
		*taken |= 1u << view[i].index;
		d->nic[i].index = (unsigned int)view[i].index;
	}
	return 0;
}

/* left: numbers of NICs that those running have something of, and that none of them has. */
static int adopt_left(struct drv *d, uint32_t taken, uint32_t *left)
{
	unsigned int i, k;
	uint64_t ports;
	int rc;

	*left = 0;
	for (i = 0; i < d->n; i++) {
		if (!adopt_running(&d->nic[i]))
			continue;
		for (k = 0; k < d->max_nics; k++) {
			if (taken & 1u << k)
				continue;
			rc = drv_reg_read(d, &d->nic[i], drv_peer_reg(k, P2P_PEER_PORTS), 4, &ports);
			if (rc)
				return rc;
			*left |= ports ? 1u << k : 0;
		}
	}
	return 0;
}

/*
 * Numbers for those that do not run: their own place if it is free, else that of one that left, else one that nobody had.
 * gone: those that left and did not return to their own place.
 */
static void adopt_places(struct drv *d, uint32_t taken, uint32_t left, uint32_t *gone)
{
	unsigned int i, k;
	uint32_t vacant;

	*gone = left;
	for (i = 0; i < d->n; i++) {
		if (adopt_running(&d->nic[i]))
			continue;
		vacant = ~taken & (uint32_t)((1ull << d->max_nics) - 1);
		if (vacant & 1u << i) {
			k = i;
			*gone &= ~(1u << i);
		} else {
			k = (unsigned int)__builtin_ctz(vacant & left ? vacant & left : vacant);
		}
		taken |= 1u << k;
		d->nic[i].index = k;
	}
}

/* nic does not hear the one with number k, or stops doing so before the end. */
static int adopt_missed(struct drv *d, struct drv_nic *nic, unsigned int k, uint64_t end)
{
	const struct timespec nap = { 0, 2000000 };
	uint64_t state;
	int rc;

	for (;;) {
		rc = drv_reg_read(d, nic, drv_peer_reg(k, P2P_PEER_STATE), 4, &state);
		if (rc || state != P2P_PEER_UP)
			return rc;
		if (drv_now_ns() >= end)
			return drv_fail(d, -EBUSY, "%s has NIC %u of %u in its mesh, up and not given; name all that are up, or "
					ADOPT_HINT, nic->name, k, d->max_nics);
		nanosleep(&nap, NULL);
	}
}

/* Nobody who runs hears these any more; one that has just died is waited for to be missed. */
static int adopt_gone(struct drv *d, uint32_t gone, uint64_t silence_ms)
{
	uint64_t most_ms = silence_ms < P2P_SILENCE_MS_MAX ? silence_ms : P2P_SILENCE_MS_MAX;
	uint64_t end = drv_now_ns() + most_ms * 1000000 + ADOPT_SILENCE_MORE_NS;
	unsigned int i, k;
	int rc = 0;

	for (i = 0; i < d->n; i++)
		for (k = 0; !rc && adopt_running(&d->nic[i]) && k < d->max_nics; k++)
			if (gone & 1u << k)
				rc = adopt_missed(d, &d->nic[i], k, end);
	return rc;
}

static const char *adopt_on(uint64_t flag)
{
	return flag ? "on" : "off";
}

/* What was asked for by name must be what runs; the rest is taken from what runs. */
static int adopt_options(struct drv *d, const struct adopt_view *v, const char *name)
{
	static const char *const modes[] = { "wr", "rd", "bn" };
	struct drv_opts *o = &d->opts;

	if (v->mode >= P2P_NUM_MODES)
		return drv_fail(d, -EPROTO, "%s runs in mode %" PRIu64 ", which can't be; " ADOPT_HINT, name, v->mode);
	if (v->mode == P2P_MODE_BN)
		return drv_fail(d, -EBUSY, "%s runs in bn, whose host part ended with its driver; " ADOPT_HINT, name);
	if ((o->set & DRV_SET_MODE) && v->mode != o->mode)
		return drv_fail(d, -EBUSY, "%s runs in %s, not %s; " ADOPT_HINT, name, modes[v->mode], modes[o->mode]);
	if ((o->set & DRV_SET_SLOTS) && v->slots > o->slots)
		return drv_fail(d, -EBUSY, "%s runs with %" PRIu64 " slots, not %u; " ADOPT_HINT, name, v->slots, o->slots);
	if ((o->set & DRV_SET_BATCH) && v->batch != o->batch)
		return drv_fail(d, -EBUSY, "%s runs with batch %" PRIu64 ", not %u; " ADOPT_HINT, name, v->batch, o->batch);
	if (o->max_nics && v->nics != o->max_nics)
		return drv_fail(d, -EBUSY, "%s runs with room for %" PRIu64 " NICs, not %u; " ADOPT_HINT, name, v->nics, o->max_nics);
	if (!v->queues || v->queues > P2P_MAX_QUEUES)
		return drv_fail(d, -EPROTO, "%s runs with %" PRIu64 " queues, which can't be; " ADOPT_HINT, name, v->queues);
	if (o->queues && v->queues != o->queues)
		return drv_fail(d, -EBUSY, "%s runs with %" PRIu64 " queues, not %u; " ADOPT_HINT, name, v->queues, o->queues);
	if ((o->set & DRV_SET_STRIDE) && v->stride != o->stride)
		return drv_fail(d, -EBUSY, "%s runs with stride %" PRIu64 ", not %u; " ADOPT_HINT, name, v->stride,
				o->stride);
	if ((drv_flags(o) ^ v->flags) & o->set_flags)
		return drv_fail(d, -EBUSY, "%s runs with the bridge %s, routing %s, scrub %s, backpressure %s, placement %s, "
				"not as asked for; " ADOPT_HINT, name, adopt_on(v->flags & P2P_FLAG_BRIDGE), adopt_on(v->flags & P2P_FLAG_ROUTE),
				adopt_on(v->flags & P2P_FLAG_SCRUB), adopt_on(v->flags & P2P_FLAG_BACKPRESSURE),
				v->flags & P2P_FLAG_CUT ? "cut" : "copy");
	o->mode = (enum p2p_mode)v->mode;
	o->slots = d->slots = (uint32_t)v->slots;
	o->batch = (uint32_t)v->batch;
	d->queues = (uint32_t)v->queues;
	o->stride = (uint32_t)v->stride;
	o->age_s = (uint32_t)v->age_s;
	o->flood_pps = (uint32_t)v->flood_pps;
	o->silence_ms = (uint32_t)v->silence_ms;
	o->bridge = v->flags & P2P_FLAG_BRIDGE;
	o->scrub = v->flags & P2P_FLAG_SCRUB;
	o->backpressure = v->flags & P2P_FLAG_BACKPRESSURE;
	o->cut = v->flags & P2P_FLAG_CUT;
	o->route = v->flags & P2P_FLAG_ROUTE;
	o->route_bytes = v->route_bytes;
	return 0;
}

static int adopt_shapes(struct drv *d, const struct adopt_view *view)
{
	unsigned int i, tight;
	char why[DRV_ERR_MAX];
	int rc;

	for (i = 0; i < d->n; i++) {
		struct drv_nic *nic = &d->nic[i];

		nic->shape = (struct p2p_shape){ .nics = d->max_nics, .ports = nic->ports, .buf_size = nic->buf_size,
						  .queues = d->queues, .route_bytes = drv_route_bytes(&d->opts, nic) };
		if (adopt_running(nic)) {
			nic->shape.route_bytes = view[i].route_bytes;
			nic->shape.slots = d->slots;
			nic->shape.rx_bufs = (uint32_t)view[i].rx_bufs;
			continue;
		}
		if (nic->max_queues < d->queues)
			return drv_fail(d, -EINVAL, "%s can have %u queues, the others run with %u; start it with --queues %u", nic->name,
					nic->max_queues, d->queues, d->queues);
		if (nic->buf_size % d->opts.stride)
			return drv_fail(d, -EINVAL, "stride %u, which the others run with, does not divide the buffers of %s (%u bytes)",
					d->opts.stride, nic->name, nic->buf_size);
		rc = drv_shape_choose(&nic->shape, &nic->mem_bytes, 1, &d->opts, &tight, why);
		if (!rc && nic->shape.slots != d->slots) {
			nic->shape.slots = nic->shape.rx_bufs = d->slots;
			return drv_fail(d, -ENOSPC, "%s: the others run with %u slots, for which it needs %" PRIu64
					" KiB of device memory; give it more with --mem, or " ADOPT_HINT, nic->name, d->slots,
					p2p_memory_needed(&nic->shape) >> 10);
		}
		if (rc)
			return drv_fail(d, rc, "%s: %.400s", nic->name, why);
	}
	return 0;
}

/* Do the NICs that run know each other as they are? */
static int adopt_tables(struct drv *d)
{
	uint64_t ctrl, ports, slots, buf_size, bar2;
	unsigned int i, j;
	int rc;

	for (i = 0; i < d->n; i++) {
		for (j = 0; j < d->n; j++) {
			struct drv_nic *nic = &d->nic[i], *peer = &d->nic[j];

			if (i == j || !adopt_running(nic) || !adopt_running(peer))
				continue;
			rc = drv_reg_read(d, nic, drv_peer_reg(peer->index, P2P_PEER_CTRL), 4, &ctrl);
			if (!rc)
				rc = drv_reg_read(d, nic, drv_peer_reg(peer->index, P2P_PEER_PORTS), 4, &ports);
			if (!rc)
				rc = drv_reg_read(d, nic, drv_peer_reg(peer->index, P2P_PEER_SLOTS), 4, &slots);
			if (!rc)
				rc = drv_reg_read(d, nic, drv_peer_reg(peer->index, P2P_PEER_BUF_SIZE), 4, &buf_size);
			if (!rc)
				rc = drv_reg_read(d, nic, drv_peer_reg(peer->index, P2P_PEER_BAR2), 8, &bar2);
			if (rc)
				return rc;
			if (!(ctrl & 1) || ports != peer->ports || slots != d->slots || buf_size != peer->buf_size ||
			    !bar2 || bar2 % BUS_PAGE || bar2 & DRV_BUS_LOCAL || (peer->told && peer->told != bar2))
				return drv_fail(d, -EBUSY, "%s was introduced to another NIC than %s: different meshes; "
						ADOPT_HINT, nic->name, peer->name);
			peer->told = bar2;
		}
	}
	return 0;
}

/* The pairs of a returning NIC, from the other ends' registers. */
static int adopt_recover_pairs(struct drv *d, struct drv_nic *back, uint32_t pair[P2P_MAX_PORTS], bool *any)
{
	unsigned int i, p;
	uint64_t v;
	int rc;

	for (i = 0; i < d->n; i++) {
		struct drv_nic *nic = &d->nic[i];

		if (!adopt_running(nic))
			continue;
		for (p = 0; p < nic->ports; p++) {
			rc = drv_reg_read(d, nic, drv_port_reg(p, P2P_PORT_PAIR), 4, &v);
			if (rc)
				return rc;
			if ((v & P2P_PAIR_VALID) && (v >> 8 & 0xff) == back->index && (v & 0xff) < back->ports) {
				pair[v & 0xff] = P2P_PAIR(nic->index, p);
				*any = true;
			}
		}
	}
	return 0;
}

static int adopt_pairs(struct drv *d, struct drv_nic *back)
{
	uint32_t pair[P2P_MAX_PORTS] = { 0 };
	const struct drv_opts *o = &d->opts;
	bool any = false;
	unsigned int p, k;
	int rc;

	rc = adopt_recover_pairs(d, back, pair, &any);
	for (k = 0; !rc && !any && k < o->num_pairs; k++) {
		if (&d->nic[o->pairs[k].a] == back)
			pair[o->pairs[k].a_port] = P2P_PAIR(d->nic[o->pairs[k].b].index, o->pairs[k].b_port);
		if (&d->nic[o->pairs[k].b] == back)
			pair[o->pairs[k].b_port] = P2P_PAIR(d->nic[o->pairs[k].a].index, o->pairs[k].a_port);
	}
	for (p = 0; !rc && p < back->ports; p++)
		if (pair[p])
			rc = drv_reg_write(d, back, drv_port_reg(p, P2P_PORT_PAIR), 4, pair[p]);
	return rc;
}

/* One NIC that does not run, up to but not including its enable. */
static int adopt_introduce(struct drv *d, struct drv_nic *back)
{
	unsigned int i;
	int rc;

	rc = drv_step_reset(d, back);
	if (!rc)
		rc = drv_step_decode(d, back);
	if (!rc)
		rc = drv_step_master(d, back);
	if (!rc)
		rc = drv_step_configure(d, back);
	for (i = 0; !rc && i < d->n; i++) {
		struct drv_nic *nic = &d->nic[i];

		if (nic == back || !adopt_running(nic))
			continue;
		back->dropped = true;
		/* Described before it is mapped: should this driver die, the next one finds by the table what is mapped. */
		rc = drv_peer_forget(d, nic, back->index);
		if (!rc)
			rc = drv_peer_describe(d, nic, back);
		if (!rc)
			rc = drv_peer_map(d, nic, back);
		if (!rc)
			rc = drv_peer_map(d, back, nic);
	}
	return rc;
}

static int adopt_tell(struct drv *d, struct drv_nic *back)
{
	unsigned int i;
	int rc;

	rc = drv_peer_introduce(d, back, back);
	for (i = 0; !rc && i < d->n; i++) {
		struct drv_nic *nic = &d->nic[i];

		if (nic == back)
			continue;
		rc = drv_peer_introduce(d, back, nic);
		if (!rc && adopt_running(nic))
			rc = drv_peer_introduce(d, nic, back);
	}
	if (!rc && !(d->opts.set & DRV_SET_PAIRS))
		rc = adopt_pairs(d, back);
	return rc;
}

/* Two NICs that come back at once do not find each other among those that run. */
static int adopt_map_returning(struct drv *d)
{
	unsigned int i, j;
	int rc = 0;

	for (i = 0; i < d->n; i++)
		for (j = 0; !rc && j < d->n; j++)
			if (i != j && !adopt_running(&d->nic[i]) && !adopt_running(&d->nic[j]))
				rc = drv_peer_map(d, &d->nic[i], &d->nic[j]);
	return rc;
}

/* woken: wake-ups were exchanged, or some of them were. */
static void adopt_undo(struct drv *d, bool woken)
{
	char why[DRV_ERR_MAX];
	uint32_t running = 0;
	unsigned int i, j;

	memcpy(why, d->error, sizeof(why));
	for (i = 0; i < d->n; i++)
		running |= adopt_running(&d->nic[i]) ? 1u << i : 0;
	for (j = 0; j < d->n; j++) {
		if (!d->nic[j].ours)
			continue;
		for (i = 0; i < d->n && d->nic[j].dropped; i++)
			if (running & 1u << i)
				drv_peer_forget(d, &d->nic[i], d->nic[j].index);
		drv_nic_undo(d, &d->nic[j]);
	}
	if (woken)
		drv_wake_again(d, running);
	memcpy(d->error, why, sizeof(why));
}

static int adopt_returning(struct drv *d, bool *woken)
{
	unsigned int j;
	int rc = 0;

	for (j = 0; !rc && j < d->n; j++)
		if (!adopt_running(&d->nic[j]))
			rc = adopt_introduce(d, &d->nic[j]);
	if (!rc)
		rc = adopt_map_returning(d);
	*woken = !rc;
	if (!rc)
		rc = drv_wake_all(d);
	for (j = 0; !rc && j < d->n; j++)
		if (!adopt_running(&d->nic[j]))
			rc = adopt_tell(d, &d->nic[j]);
	if (!rc && (d->opts.set & DRV_SET_PAIRS))
		rc = drv_pairs_write(d);
	for (j = 0; !rc && j < d->n; j++)
		if (!adopt_running(&d->nic[j]))
			rc = drv_step_enable(d, &d->nic[j]);
	return rc;
}

/* Who left and has no successor is no more of the mesh; its memory goes, and its bell. */
static int adopt_forget(struct drv *d, uint32_t gone)
{
	unsigned int i, k;
	int rc = 0;

	for (i = 0; i < d->n; i++) {
		for (k = 0; adopt_running(&d->nic[i]) && k < d->max_nics && !rc; k++) {
			if (!(gone & 1u << k) || drv_by_index(d, k))
				continue;
			rc = drv_wake_forget(d, &d->nic[i], k);
			if (!rc)
				rc = drv_peer_forget(d, &d->nic[i], k);
		}
	}
	return rc;
}

int drv_adopt(struct drv *d)
{
	struct adopt_view view[P2P_MAX_NICS];
	unsigned int i, ref, back = 0;
	uint32_t taken, left, gone;
	bool woken;
	int rc;

	rc = adopt_gather(d, view, &ref, &taken);
	if (!rc)
		rc = adopt_left(d, taken, &left);
	if (rc)
		return rc;
	adopt_places(d, taken, left, &gone);
	rc = adopt_options(d, &view[ref], d->nic[ref].name);
	if (!rc)
		rc = adopt_shapes(d, view);
	if (!rc)
		rc = adopt_tables(d);
	if (!rc)
		rc = adopt_gone(d, gone, view[ref].silence_ms);
	if (!rc)
		rc = drv_bus_place(d);
	if (!rc)
		rc = adopt_forget(d, gone);
	if (rc)
		return rc;
	for (i = 0; i < d->n; i++) {
		d->nic[i].ours = d->nic[i].dropped = false;
		back += !adopt_running(&d->nic[i]);
	}
	d->opts.persist = true;
	if (back) {
		rc = adopt_returning(d, &woken);
		if (rc) {
			adopt_undo(d, woken);
			drv_wake_close(d);
		}
	} else if (d->opts.set & DRV_SET_PAIRS) {
		rc = drv_pairs_write(d);
	}
	if (rc)
		return rc;
	d->introduced = back;
	d->adopted = d->n - back;
	return 0;
}
