/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_internal.h"
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HOST_PAGE 4096ull
#define HOST_POSTS 256 /* made at a time */
/* Intel's VT-d as pcie-bench saw it: 4 KiB pages, and misses in one stream that overlap about sixfold. */
#define HOST_IOMMU_WALKERS 6
#define HOST_IOMMU_WAYS 4

struct host_area {
	uint64_t bus, bytes, watched;
	uint8_t *mem;
	sim_landed_fn *landed;
	void *arg;
};

struct host_posts {
	struct host_posts *next;
	struct sim_post post[HOST_POSTS];
};

struct sim_host {
	struct sim_world *w;
	struct sim_host_profile prof;
	struct fab_node *node;
	double ps_per_cycle;
	unsigned int areas;
	struct host_area area[SIM_HOST_AREAS];
	struct sim_post *free;
	struct host_posts *posts;
};

static struct host_area *host_area_at(struct sim_host *h, uint64_t addr, uint32_t len)
{
	unsigned int k;

	for (k = 0; k < h->areas; k++)
		if (addr - h->area[k].bus < h->area[k].bytes && len <= h->area[k].bytes - (addr - h->area[k].bus))
			return &h->area[k];
	return NULL;
}

static void host_write(void *arg, uint64_t addr, const uint8_t *data, uint32_t len)
{
	struct host_area *a = host_area_at(arg, addr, len);
	uint64_t off;

	if (!a)
		return;
	off = addr - a->bus;
	if (data)
		memcpy(a->mem + off, data, len);
	if (off < a->watched && a->landed)
		a->landed(a->arg, off, len);
}

static void host_read(void *arg, uint64_t addr, uint8_t *data, uint32_t len)
{
	struct host_area *a = host_area_at(arg, addr, len);

	if (!data)
		return;
	if (a)
		memcpy(data, a->mem + (addr - a->bus), len);
	else
		memset(data, 0xff, len);
}

static void host_root_cfg(const struct sim_host_profile *p, struct fab_root_cfg *cfg)
{
	uint32_t entries = (uint32_t)p->iotlb_entries;

	*cfg = (struct fab_root_cfg){
		.latency_ps = sim_ps(p->rc_latency),
		.p2p_latency_ps = sim_ps(p->rc_p2p_latency),
		.p2p = true,
		.p2p_bytes_per_s = p->rc_p2p_rate * 1e9,
		.rcb = p->rcb >= 128 ? 128 : 64,
		.lanes = (uint32_t)p->lanes,
		.mem_base = SIM_HOST_MEM,
		.mem_bytes = SIM_HOST_MEM_BYTES,
		.mem = { .channels = (uint32_t)p->channels,
			 .channel_bytes_per_s = p->channel_rate * 1e9,
			 .latency_ps = sim_ps(p->mem_latency),
			 .ddio = p->ddio != 0,
			 .cache_latency_ps = sim_ps(p->llc_latency),
			 .ddio_evict = p->ddio_evict },
	};
	if (entries)
		cfg->iommu = (struct fab_iommu_cfg){ .entries = entries,
						     .ways = entries % HOST_IOMMU_WAYS ? 1 : HOST_IOMMU_WAYS,
						     .page_bytes = HOST_PAGE,
						     .miss_ps = sim_ps(p->iotlb_miss),
						     .walkers = HOST_IOMMU_WALKERS };
}

int sim_host_create(struct sim_world *w, const char *name, const struct sim_host_profile *p, struct sim_host **out,
		    char err[FAB_ERR_MAX])
{
	static const struct fab_target_ops memory = { .write = host_write, .read = host_read };
	struct fab_root_cfg cfg;
	struct sim_host *h;
	int rc;

	h = calloc(1, sizeof(*h));
	if (!h) {
		snprintf(err, FAB_ERR_MAX, "%s: no memory for a host", name);
		return -ENOMEM;
	}
	h->w = w;
	h->prof = *p;
	h->ps_per_cycle = p->core_mhz > 0 ? 1e6 / p->core_mhz : 0;
	host_root_cfg(p, &cfg);
	rc = fab_add_root(sim_world_fabric(w), name, &cfg, &memory, h, &h->node, err);
	if (rc)
		goto free_host;
	*out = h;
	return 0;

free_host:
	free(h);
	return rc;
}

void sim_host_destroy(struct sim_host *h)
{
	struct host_posts *posts;
	unsigned int k;

	if (!h)
		return;
	for (k = 0; k < h->areas; k++)
		munmap(h->area[k].mem, h->area[k].bytes);
	while ((posts = h->posts)) {
		h->posts = posts->next;
		free(posts);
	}
	free(h);
}

struct fab_node *sim_host_node(struct sim_host *h)
{
	return h->node;
}

const struct sim_host_profile *sim_host_profile(const struct sim_host *h)
{
	return &h->prof;
}

struct sim_world *sim_host_world(const struct sim_host *h)
{
	return h->w;
}

int sim_host_alloc(struct sim_host *h, uint64_t bytes, uint64_t *bus, uint8_t **mem)
{
	struct host_area *last = h->areas ? &h->area[h->areas - 1] : NULL, *a;
	uint64_t from = last ? last->bus + last->bytes : SIM_HOST_MEM;
	void *p;

	bytes = P2P_ALIGN_UP(bytes, HOST_PAGE);
	if (!bytes || h->areas == SIM_HOST_AREAS || bytes > SIM_HOST_MEM + SIM_HOST_MEM_BYTES - from)
		return -ENOMEM;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	a = &h->area[h->areas++];
	*a = (struct host_area){ .bus = from, .bytes = bytes, .mem = p };
	*bus = a->bus;
	*mem = a->mem;
	return 0;
}

void sim_host_watch(struct sim_host *h, uint64_t bus, uint64_t bytes, sim_landed_fn *fn, void *arg)
{
	struct host_area *a = host_area_at(h, bus, 1);

	if (!a)
		return;
	a->watched = bytes;
	a->landed = fn;
	a->arg = arg;
}

static void post_done(struct fab_req *r)
{
	sim_post_put((struct sim_post *)r);
}

_Static_assert(offsetof(struct sim_post, req) == 0, "post_done() relies on it");

static bool host_more_posts(struct sim_host *h)
{
	struct host_posts *more = calloc(1, sizeof(*more));
	unsigned int k;

	if (!more)
		return false;
	more->next = h->posts;
	h->posts = more;
	for (k = 0; k < HOST_POSTS; k++) {
		more->post[k].host = h;
		sim_post_put(&more->post[k]);
	}
	return true;
}

struct sim_post *sim_post_get(struct sim_host *h, uint64_t addr, const void *data, uint32_t len)
{
	struct sim_post *p;

	if (!h->free && !host_more_posts(h))
		return NULL;
	p = h->free;
	h->free = p->next;
	memcpy(p->data, data, len);
	p->next = NULL;
	p->req = (struct fab_req){ .addr = addr, .data = p->data, .len = len, .done = post_done };
	return p;
}

void sim_post_send(struct sim_post *p)
{
	fab_write(p->host->node, &p->req);
}

void sim_post_put(struct sim_post *p)
{
	p->next = p->host->free;
	p->host->free = p;
}

uint64_t sim_host_cycles_ps(const struct sim_host *h, double cycles)
{
	return (uint64_t)(cycles * h->ps_per_cycle + 0.5);
}

uint64_t sim_host_poll_at(uint64_t start_ps, uint64_t period_ps, uint64_t at_ps)
{
	uint64_t late;

	if (at_ps <= start_ps)
		return start_ps;
	if (!period_ps)
		return at_ps;
	late = (at_ps - start_ps) % period_ps;
	return late ? at_ps + period_ps - late : at_ps;
}
