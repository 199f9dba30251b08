/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bn in virtual time: driver/bn_host.c steps on the host's cores.
 *
 * The loop writes to shadows of the NICs' doorbell pages.  What a step changed there is put into posted writes at
 * once and sent when the step's time has passed.
 */
#include "host_internal.h"

#include <driver/bn_host.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BN_SILENCE_MS 100
#define BN_POOL_MAX (1ull << 30) /* HOST_POOL_BYTES' limit */
#define BN_SEED 0x626e686fu
#define BN_LINE 16u

struct bn_view {
	struct board_ctx *board;
	struct p2p_shape shape;
	uint64_t area_off, pool_off; /* in main memory; the pool's from its beginning */
	uint64_t bell_bus;
	struct p2p_doorbell *shadow; /* what the loop wrote */
	struct p2p_doorbell *sent;   /* what the NIC was told; the head alone */
};

struct sim_bn {
	struct sim_host *h;
	struct fab_queue *q;
	struct bn_host *loop;
	struct fab_event event;
	unsigned int n;
	struct bn_view nic[P2P_MAX_NICS];
	struct sim_mesh_cfg cfg;
	uint64_t bus, areas_bytes, pool_bytes;
	uint8_t *mem;
	bool busy;        /* a step's time passes; else the loop polls */
	uint64_t idle_ps; /* polls begin here and every poll_ps after it */
	uint64_t poll_ps;
	struct sim_post *first, **last; /* what the step will have written */
	struct bn_host_stats seen;
	struct sim_cpu_stats stats;
	uint64_t reset_ps, busy_until_ps;
	unsigned int sharing; /* cores that share the step that runs */
};

static unsigned int bn_cores(const struct sim_bn *bn)
{
	return (unsigned int)sim_host_profile(bn->h)->cores;
}

/* ---- what a step wrote to doorbell pages ---- */

static void bn_post(struct sim_bn *bn, struct bn_view *v, size_t off, uint32_t len)
{
	struct sim_post *p = sim_post_get(bn->h, v->bell_bus + off, (const uint8_t *)v->shadow + off, len);

	if (!p) /* a doorbell is lost: the loop pokes */
		return;
	*bn->last = p;
	bn->last = &p->next;
	bn->stats.doorbells++;
}

static void bn_post_line(struct sim_bn *bn, struct bn_view *v, const struct p2p_line *line)
{
	size_t off = (size_t)((const uint8_t *)line - (const uint8_t *)v->shadow);

	if (!memcmp((uint8_t *)v->sent + off, line, BN_LINE))
		return;
	memcpy((uint8_t *)v->sent + off, line, BN_LINE);
	bn_post(bn, v, off, BN_LINE);
}

/* Ids from the last told count on; of a new session all. */
static void bn_post_ids(struct sim_bn *bn, struct bn_view *v, unsigned int x)
{
	const struct p2p_line *now = &v->shadow->refill[x], *told = &v->sent->refill[x];
	uint32_t bufs = p2p_host_bufs(&v->shape), from = from_le32(told->w[3]), to = from_le32(now->w[3]), at, n;

	if (from_le32(now->w[2]) != from_le32(told->w[2]) ||
	    from_le32(v->shadow->comp[x].w[P2P_CL_INC]) != from_le32(v->sent->comp[x].w[P2P_CL_INC]))
		from = 0;
	if (to - from > bufs)
		from = to - bufs;
	for (; from != to; from += n) {
		at = from & (bufs - 1);
		n = SIM_POST_BYTES / 4 - at % (SIM_POST_BYTES / 4);
		if (n > to - from)
			n = to - from;
		bn_post(bn, v, offsetof(struct p2p_doorbell, ids) + 4 * ((size_t)x * bufs + at), 4 * n);
	}
}

static void bn_post_all(struct sim_bn *bn, struct bn_view *v)
{
	struct p2p_doorbell *d = v->shadow;
	unsigned int x;

	for (x = 0; x < v->shape.ports; x++) {
		bn_post_ids(bn, v, x);
		bn_post_line(bn, v, &d->refill[x]);
		bn_post_line(bn, v, &d->comp[x]);
	}
	for (x = 0; x <= v->shape.ports; x++)
		bn_post_line(bn, v, &d->send[x]);
	bn_post_line(bn, v, &d->peer);
}

static void bn_send_posts(struct sim_bn *bn)
{
	struct sim_post *p;

	while ((p = bn->first)) {
		bn->first = p->next;
		sim_post_send(p);
	}
	bn->last = &bn->first;
}

/* ---- the loop ---- */

/* Descriptors that a step moved: one read and one written each. */
static uint64_t bn_moved(const struct sim_bn *bn, const struct bn_host_stats *now)
{
	return ((now->desc_bytes - bn->seen.desc_bytes) / 16 + 1) / 2;
}

/* What the step cost, in cycles of one core, doorbells aside. */
static double bn_step_cycles(struct sim_bn *bn, const struct bn_host_stats *now)
{
	const struct sim_host_profile *p = sim_host_profile(bn->h);
	uint64_t bytes = now->desc_bytes - bn->seen.desc_bytes, moved = bn_moved(bn, now), batches, at;
	uint32_t batch = (uint32_t)p->batch;

	if (!moved)
		return p->poll_cycles;
	at = bn->bus + bn->seen.desc_bytes % bn->areas_bytes;
	fab_cpu_access(sim_host_node(bn->h), at, (uint32_t)(bytes / 2), false, p->ddio != 0);
	if (bytes - bytes / 2)
		fab_cpu_access(sim_host_node(bn->h), at, (uint32_t)(bytes - bytes / 2), true, p->ddio != 0);
	batches = (moved + batch - 1) / batch;
	bn->stats.packets += now->moved - bn->seen.moved;
	bn->stats.batches += batches;
	return (double)batches * p->batch_cycles + (double)moved * p->bn_cycles;
}

/* Cores share a step by descriptors; where none moved, by rings, whose refill is ids and a line. */
static unsigned int bn_share(const struct sim_bn *bn, uint64_t moved, uint64_t bells)
{
	uint64_t jobs = moved > bells / 2 ? moved : bells / 2;

	return jobs < bn_cores(bn) ? (jobs ? (unsigned int)jobs : 1) : bn_cores(bn);
}

static void bn_step(struct sim_bn *bn)
{
	const struct bn_host_stats *stats = bn_host_stats(bn->loop);
	uint64_t now_ns = sim_world_ns(sim_host_world(bn->h)), now_ps = fab_now(bn->q), until_ns, wait_ps, bells, cost_ps;
	double cycles;
	unsigned int i;

	until_ns = bn_host_step(bn->loop, now_ns);
	bells = bn->stats.doorbells;
	for (i = 0; stats->doorbell_bytes != bn->seen.doorbell_bytes && i < bn->n; i++)
		bn_post_all(bn, &bn->nic[i]);
	if (until_ns && !bn->first) {
		bn->seen = *stats;
		bn->busy = false;
		bn->idle_ps = now_ps + bn->poll_ps;
		wait_ps = until_ns > now_ns ? (until_ns - now_ns) * FAB_PS_PER_NS : FAB_PS_PER_NS;
		fab_schedule(bn->q, &bn->event, sim_host_poll_at(bn->idle_ps, bn->poll_ps, now_ps + wait_ps));
		return;
	}
	cycles = bn_step_cycles(bn, stats);
	bells = bn->stats.doorbells - bells;
	cycles += (double)bells * sim_host_profile(bn->h)->mmio_write;
	bn->sharing = bn_share(bn, bn_moved(bn, stats), bells);
	cost_ps = sim_host_cycles_ps(bn->h, cycles / bn->sharing);
	bn->seen = *stats;
	bn->busy = true;
	bn->busy_until_ps = now_ps + cost_ps;
	bn->stats.busy_ps += cost_ps * bn->sharing;
	fab_schedule(bn->q, &bn->event, bn->busy_until_ps);
}

static void bn_event(struct fab_event *e)
{
	struct sim_bn *bn = (struct sim_bn *)((uint8_t *)e - offsetof(struct sim_bn, event));

	bn_send_posts(bn);
	bn_step(bn);
}

/* A NIC wrote to its area: the next poll finds it. */
static void bn_landed(void *arg, uint64_t off, uint32_t len)
{
	struct sim_bn *bn = arg;
	uint64_t at;

	if (bn->busy || !bn->loop)
		return;
	at = sim_host_poll_at(bn->idle_ps, bn->poll_ps, fab_now(bn->q));
	if (at < bn->event.at_ps)
		fab_schedule(bn->q, &bn->event, at);
}

/* ---- life ---- */

static int bn_fail(char err[FAB_ERR_MAX], int rc, const char *what)
{
	snprintf(err, FAB_ERR_MAX, "bn: %s", what);
	return rc;
}

static int bn_view_init(struct sim_bn *bn, struct bn_view *v, struct board_ctx *b)
{
	struct fw_nic *fw = sim_nic_fw(b);

	v->board = b;
	v->shape = (struct p2p_shape){ .nics = bn->n,
				       .ports = (uint32_t)fw_reg_read(fw, P2P_NUM_PORTS, 4),
				       .slots = bn->cfg.slots,
				       .buf_size = (uint32_t)fw_reg_read(fw, P2P_BUF_SIZE, 4),
				       .rx_bufs = bn->cfg.rx_bufs,
				       .queues = 1 };
	v->area_off = bn->areas_bytes;
	v->pool_off = bn->pool_bytes;
	bn->areas_bytes += p2p_host_area_bytes(&v->shape);
	bn->pool_bytes += p2p_host_pool_bytes(&v->shape);
	v->shadow = calloc(1, p2p_seg_bytes(&v->shape, P2P_SEG_DOORBELL));
	v->sent = calloc(1, sizeof(*v->sent));
	return v->shadow && v->sent ? 0 : -ENOMEM;
}

int sim_bn_create(struct sim_host *h, const struct sim_mesh_cfg *cfg, struct board_ctx *const *nics, unsigned int n,
		  struct sim_bn **out, char err[FAB_ERR_MAX])
{
	struct sim_bn *bn;
	unsigned int i;
	int rc = 0;

	if (!n || n > P2P_MAX_NICS)
		return bn_fail(err, -EINVAL, "1 to 32 NICs");
	if (cfg->slots < P2P_MIN_SLOTS || cfg->slots > P2P_MAX_SLOTS)
		return bn_fail(err, -EINVAL, "slots: 64 to 16384");
	bn = calloc(1, sizeof(*bn));
	if (!bn)
		return bn_fail(err, -ENOMEM, "no memory");
	bn->h = h;
	bn->q = sim_world_queue(sim_host_world(h));
	bn->n = n;
	bn->cfg = *cfg;
	bn->last = &bn->first;
	bn->poll_ps = sim_host_cycles_ps(h, sim_host_profile(h)->poll_cycles / bn_cores(bn));
	fab_event_init(&bn->event, bn_event);
	for (i = 0; !rc && i < n; i++)
		rc = bn_view_init(bn, &bn->nic[i], nics[i]);
	if (!rc && bn->pool_bytes > BN_POOL_MAX) {
		rc = bn_fail(err, -ENOSPC, "the host pool would be larger than 1 GiB; give fewer slots");
		goto destroy_bn;
	}
	if (!rc)
		rc = sim_host_alloc(h, bn->areas_bytes + bn->pool_bytes, &bn->bus, &bn->mem);
	if (rc) {
		bn_fail(err, rc, "no main memory for areas and pool");
		goto destroy_bn;
	}
	sim_host_watch(h, bn->bus, bn->areas_bytes, bn_landed, bn);
	*out = bn;
	return 0;

destroy_bn:
	sim_bn_destroy(bn);
	return rc;
}

void sim_bn_destroy(struct sim_bn *bn)
{
	unsigned int i;

	if (!bn)
		return;
	if (bn->mem)
		sim_host_watch(bn->h, bn->bus, 0, NULL, NULL);
	fab_cancel(bn->q, &bn->event);
	while (bn->first) {
		struct sim_post *p = bn->first;

		bn->first = p->next;
		sim_post_put(p);
	}
	bn_host_destroy(bn->loop);
	for (i = 0; i < bn->n; i++) {
		free(bn->nic[i].shadow);
		free(bn->nic[i].sent);
	}
	free(bn);
}

int sim_bn_introduce(struct sim_bn *bn, unsigned int nic)
{
	struct bn_view *v = &bn->nic[nic];
	struct fw_nic *fw = sim_nic_fw(v->board);
	uint64_t area = bn->bus + v->area_off, pool = bn->bus + bn->areas_bytes;
	int rc;

	rc = sim_nic_map(v->board, area, p2p_host_area_bytes(&v->shape), area, true, true);
	if (!rc)
		rc = sim_nic_map(v->board, pool, bn->pool_bytes, pool, true, true);
	if (rc)
		return rc;
	fw_reg_write(fw, P2P_HOST_AREA, 8, area);
	fw_reg_write(fw, P2P_HOST_POOL, 8, pool);
	fw_reg_write(fw, P2P_HOST_POOL_BYTES, 8, bn->pool_bytes);
	return 0;
}

int sim_bn_start(struct sim_bn *bn, char err[FAB_ERR_MAX])
{
	struct bn_host_opts o = { .nics = bn->n,
				  .batch = (uint32_t)sim_host_profile(bn->h)->batch,
				  .silence_ms = BN_SILENCE_MS,
				  .backpressure = bn->cfg.flags & P2P_FLAG_BACKPRESSURE,
				  .lossy = bn->cfg.flags & P2P_FLAG_SCRUB,
				  .stride = bn->cfg.stride,
				  .seed = BN_SEED };
	const struct p2p_shape *shape;
	unsigned int i;
	int rc;

	if (bn->loop)
		return 0;
	for (i = 0; i < bn->n; i++) {
		struct bn_view *v = &bn->nic[i];

		shape = fw_nic_shape(sim_nic_fw(v->board));
		if (!shape || memcmp(shape, &v->shape, sizeof(*shape)))
			return bn_fail(err, -EINVAL, "a NIC is configured otherwise than room was made for");
		v->bell_bus = sim_nic_bar2(v->board) + p2p_seg_offset(&v->shape, P2P_SEG_DOORBELL);
		o.nic[i] = (struct bn_host_nic){ .doorbell = v->shadow,
						 .area = (struct p2p_host_area *)(bn->mem + v->area_off),
						 .pool = bn->mem + bn->areas_bytes + v->pool_off,
						 .pool_offset = v->pool_off,
						 .shape = v->shape };
	}
	rc = bn_host_create(&bn->loop, &o);
	if (rc)
		return bn_fail(err, rc, "the host loop could not be made");
	bn->reset_ps = fab_now(bn->q);
	fab_schedule(bn->q, &bn->event, bn->reset_ps);
	return 0;
}

bool sim_bn_ready(const struct sim_bn *bn)
{
	return bn->loop && bn_host_ready(bn->loop);
}

uint64_t sim_bn_held(const struct sim_bn *bn)
{
	return bn->loop ? bn_host_held(bn->loop) : 0;
}

uint64_t sim_bn_drops(const struct sim_bn *bn)
{
	uint64_t sum = 0;
	unsigned int k;

	for (k = 0; bn->loop && k < P2P_NUM_DROPS; k++)
		sum += bn_host_stats(bn->loop)->drops[k];
	return sum;
}

/* Core time of the step that runs that is still to come. */
static uint64_t bn_ahead(const struct sim_bn *bn, uint64_t now)
{
	return bn->busy_until_ps > now ? (bn->busy_until_ps - now) * bn->sharing : 0;
}

void sim_bn_stats(const struct sim_bn *bn, struct sim_cpu_stats *out)
{
	uint64_t now = fab_now(bn->q);
	unsigned int cores = bn_cores(bn);

	*out = bn->stats;
	if (!bn->loop)
		return;
	out->busy_ps -= bn_ahead(bn, now);
	out->poll_ps = (now - bn->reset_ps) * cores - out->busy_ps;
	out->cores_used = cores;
}

void sim_bn_stats_reset(struct sim_bn *bn)
{
	uint64_t now = fab_now(bn->q);

	bn->stats = (struct sim_cpu_stats){ .busy_ps = bn_ahead(bn, now) };
	bn->reset_ps = now;
}
