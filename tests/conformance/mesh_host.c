/* SPDX-License-Identifier: BSD-3-Clause */
/* bn in the mesh: main memory, and the host loop among the NICs. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mesh.h"

#define AREA_BUS (64ull << 40) /* beyond every NIC's (MAP_BASE) */
#define POOL_BUS (65ull << 40)

void mesh_host_create(struct mesh *m)
{
	struct mesh_host *host = &m->host;
	void *p;

	host->pool_off = m->cfg.nics * p2p_host_area_bytes(&m->shape);
	host->bytes = host->pool_off + m->cfg.nics * p2p_host_pool_bytes(&m->shape);
	host->fd = memfd_create("mesh host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (host->fd < 0 || ftruncate(host->fd, (off_t)host->bytes) ||
	    fcntl(host->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		abort();
	p = mmap(NULL, host->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, host->fd, 0);
	if (p == MAP_FAILED)
		abort();
	host->mem = p;
}

void mesh_host_destroy(struct mesh *m)
{
	if (!m->host.mem)
		return;
	bn_host_destroy(m->host.h);
	munmap(m->host.mem, m->host.bytes);
	close(m->host.fd);
}

static void reg_write(struct mesh *m, unsigned int nic, uint32_t off, uint64_t v)
{
	m->ops->reg_write(m->mb, nic, off, 8, v);
}

void mesh_host_introduce(struct mesh *m, unsigned int nic)
{
	uint64_t area = p2p_host_area_bytes(&m->shape), off = nic * area, pool = m->host.bytes - m->host.pool_off;

	if (m->ops->map_host(m->mb, nic, AREA_BUS + off, area, m->host.mem + off, m->host.fd, off) ||
	    m->ops->map_host(m->mb, nic, POOL_BUS, pool, m->host.mem + m->host.pool_off, m->host.fd, m->host.pool_off))
		mesh_fail(m, "map of main memory for %c failed", 'a' + nic);
	reg_write(m, nic, P2P_HOST_AREA, AREA_BUS + off);
	reg_write(m, nic, P2P_HOST_POOL, POOL_BUS);
	reg_write(m, nic, P2P_HOST_POOL_BYTES, pool);
}

static void bell(void *arg, unsigned int nic)
{
	((struct mesh *)arg)->nic[nic].rung = true;
}

static struct p2p_doorbell *doorbell(struct mesh *m, unsigned int nic)
{
	return m->ops->mem(m->mb, nic, p2p_seg_offset(&m->shape, P2P_SEG_DOORBELL));
}

void mesh_host_start(struct mesh *m)
{
	struct bn_host_opts o = { .nics = m->cfg.nics, .batch = m->cfg.batch, .silence_ms = 100, .bell = bell,
				  .bell_arg = m, .backpressure = m->cfg.flags & P2P_FLAG_BACKPRESSURE,
				  .lossy = m->cfg.flags & P2P_FLAG_SCRUB, .stride = m->cfg.stride,
				  .seed = (uint32_t)(m->cfg.seed * 2654435761u + ++m->host.lives) };
	unsigned int i;

	if (m->host.h)
		mesh_host_kill(m);
	for (i = 0; i < m->cfg.nics; i++)
		o.nic[i] = (struct bn_host_nic){
			.doorbell = doorbell(m, i),
			.area = (struct p2p_host_area *)(m->host.mem + i * p2p_host_area_bytes(&m->shape)),
			.pool = m->host.mem + m->host.pool_off + i * p2p_host_pool_bytes(&m->shape),
			.pool_offset = i * p2p_host_pool_bytes(&m->shape),
			.shape = m->shape,
		};
	if (bn_host_create(&m->host.h, &o))
		mesh_fail(m, "the host loop could not be made");
	m->host.until_ns = 0;
	m->host.sleeping = m->host.arming = false;
}

static void add(struct bn_host_stats *sum, const struct bn_host_stats *s)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)s;
	unsigned int k;

	for (k = 0; k < sizeof(*s) / sizeof(*to); k++)
		to[k] += from[k];
}

void mesh_host_kill(struct mesh *m)
{
	add(&m->host.past, bn_host_stats(m->host.h));
	bn_host_destroy(m->host.h);
	m->host.h = NULL;
}

void mesh_host_replace(struct mesh *m, unsigned int nic)
{
	bn_host_replace(m->host.h, nic, doorbell(m, nic));
	m->host.until_ns = 0;
}

static bool take_bells(struct mesh *m)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < m->cfg.nics; i++)
		any |= !m->nic[i].dead && m->ops->take_bell(m->mb, i);
	return any;
}

bool mesh_host_step(struct mesh *m)
{
	struct mesh_host *host = &m->host;

	if (!host->h || host->stall_ns > *m->now)
		return false;
	if (host->sleeping) {
		if (*m->now < host->until_ns && !take_bells(m))
			return false;
		host->sleeping = false;
		bn_host_sleep(host->h, false);
	}
	host->until_ns = bn_host_step(host->h, *m->now);
	if (!host->until_ns) {
		host->idle = 0;
		if (host->arming) {
			host->arming = false;
			bn_host_sleep(host->h, false);
		}
		return true;
	}
	if (!m->cfg.sleep || ++host->idle < 3)
		return false;
	if (!host->arming) {
		host->arming = true;
		take_bells(m);
		bn_host_sleep(host->h, true);
		return true;
	}
	host->arming = false;
	host->sleeping = true;
	return false;
}

uint64_t mesh_host_next(const struct mesh *m)
{
	const struct mesh_host *host = &m->host;

	if (!host->h)
		return UINT64_MAX;
	if (host->stall_ns > *m->now)
		return host->stall_ns;
	return host->arming ? *m->now : host->until_ns;
}

struct bn_host_stats mesh_host_stats(const struct mesh *m)
{
	struct bn_host_stats s = m->host.past;

	if (m->host.h)
		add(&s, bn_host_stats(m->host.h));
	return s;
}
