/* SPDX-License-Identifier: BSD-3-Clause */
#include "dma.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <boards/sim/engine.h>
#include <boards/sim/host.h>
#include <boards/sim/host_internal.h>

#define DMA_OUTSTANDING 128u /* more than any engine has in flight */
#define DMA_LIMIT_PS (10 * FAB_PS_PER_S)

struct dma_slot {
	struct sim_dma dma; /* first */
	struct dma_bench *b;
	bool read;
};

struct dma_bench {
	const struct exp_dma_cfg *cfg;
	struct fab_queue *q;
	struct sim_engine *engine;
	uint64_t base, random;
	uint32_t submitted, finished, warm;
	uint64_t from_ps, to_ps; /* the measured requests' */
	uint64_t begun_ps;       /* latency: of the request under way */
	uint32_t *latency_ns;
	struct dma_slot slot[DMA_OUTSTANDING];
};

static uint64_t dma_random(struct dma_bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static void dma_submit(struct dma_bench *b, struct dma_slot *s, bool read, bool same_place)
{
	uint64_t step = (b->cfg->bytes + 63) / 64 * 64;

	if (!same_place)
		s->dma.req.addr = b->base + dma_random(b) % (b->cfg->window_bytes / step) * step;
	s->dma.req.len = b->cfg->bytes;
	s->dma.not_before_ps = fab_now(b->q);
	s->read = read;
	b->submitted++;
	if (read)
		sim_engine_read(b->engine, &s->dma);
	else
		sim_engine_write(b->engine, &s->dma);
}

static uint32_t dma_wanted(const struct dma_bench *b)
{
	return b->warm + b->cfg->requests;
}

/* One request of the measure is over. */
static void dma_count(struct dma_bench *b)
{
	if (exp_dma_is_latency(b->cfg->test) && b->finished >= b->warm)
		b->latency_ns[b->finished - b->warm] = (uint32_t)((fab_now(b->q) - b->begun_ps + 500) / FAB_PS_PER_NS);
	b->finished++;
	if (b->finished == b->warm)
		b->from_ps = fab_now(b->q);
	if (b->finished == dma_wanted(b)) {
		b->to_ps = fab_now(b->q);
		fab_queue_stop(b->q);
	}
}

static void dma_done(struct sim_dma *d)
{
	struct dma_slot *s = (struct dma_slot *)d;
	struct dma_bench *b = s->b;

	if (b->cfg->test == EXP_DMA_WRITE_READ_LATENCY && !s->read) {
		dma_submit(b, s, true, true);
		return;
	}
	dma_count(b);
	if (b->finished >= dma_wanted(b))
		return;
	b->begun_ps = fab_now(b->q);
	dma_submit(b, s, b->cfg->test == EXP_DMA_WRITE_READ_LATENCY ? false : s->read, false);
}

static void dma_begin(struct dma_bench *b)
{
	uint32_t k, n = exp_dma_is_latency(b->cfg->test) ? 1 : DMA_OUTSTANDING;
	bool read;

	b->begun_ps = fab_now(b->q);
	for (k = 0; k < n; k++) {
		b->slot[k].b = b;
		b->slot[k].dma.done = dma_done;
		read = b->cfg->test == EXP_DMA_READ || b->cfg->test == EXP_DMA_READ_LATENCY ||
		       (b->cfg->test == EXP_DMA_BOTH && (k & 1));
		dma_submit(b, &b->slot[k], read, false);
	}
}

static int dma_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void dma_evaluate(struct dma_bench *b, struct exp_dma_result *out)
{
	double s = (double)(b->to_ps - b->from_ps) / FAB_PS_PER_S;
	uint32_t n = b->cfg->requests;

	*out = (struct exp_dma_result){ 0 };
	if (exp_dma_is_latency(b->cfg->test)) {
		qsort(b->latency_ns, n, sizeof(b->latency_ns[0]), dma_compare);
		out->latency_ns = b->latency_ns[n / 2];
		return;
	}
	out->gbps = n / s * b->cfg->bytes * 8 / 1e9;
	if (b->cfg->test == EXP_DMA_BOTH)
		out->gbps /= 2;
}

int exp_dma_run(const struct exp_dma_cfg *cfg, struct exp_dma_result *out, char err[FAB_ERR_MAX])
{
	static const struct fab_target_ops nothing = { 0 };
	struct fab_link_cfg link;
	struct fab_ep_cfg epc;
	struct sim_world *w;
	struct sim_host *host;
	struct fab_node *ep;
	struct dma_bench *b;
	uint8_t *mem;
	int rc = -ENOMEM;

	snprintf(err, FAB_ERR_MAX, "no memory for a DMA benchmark");
	w = sim_world_create(cfg->seed);
	if (!w)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		goto free_world;
	b->latency_ns = calloc(cfg->requests, sizeof(b->latency_ns[0]));
	if (!b->latency_ns)
		goto free_bench;
	rc = sim_host_create(w, "host", cfg->host, &host, err);
	if (rc)
		goto free_latency;
	sim_profile_link(cfg->nic, &link);
	sim_profile_endpoint(cfg->nic, 0, 0, &epc);
	rc = fab_add_endpoint(sim_world_fabric(w), "device", sim_host_node(host), &link, &epc, &nothing, NULL, &ep, err);
	if (!rc)
		rc = fab_finish(sim_world_fabric(w), err);
	if (!rc)
		rc = sim_host_alloc(host, cfg->window_bytes, &b->base, &mem);
	if (rc)
		goto free_host;
	b->cfg = cfg;
	b->q = sim_world_queue(w);
	b->random = cfg->seed * 2 + 1;
	b->warm = cfg->requests / 4 + 1;
	rc = sim_engine_create(b->q, cfg->nic, ep, &b->engine);
	if (rc)
		goto free_host;
	dma_begin(b);
	fab_queue_run(b->q, fab_now(b->q) + DMA_LIMIT_PS);
	if (b->finished == dma_wanted(b)) {
		dma_evaluate(b, out);
	} else {
		rc = -ETIMEDOUT;
		snprintf(err, FAB_ERR_MAX, "a DMA benchmark did not end within 10 simulated seconds");
	}
	sim_engine_destroy(b->engine);
free_host:
	sim_host_destroy(host);
free_latency:
	free(b->latency_ns);
free_bench:
	free(b);
free_world:
	sim_world_destroy(w);
	return rc;
}
