/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_fn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool fake_fails(struct fake *f)
{
	if (++f->world->calls == f->world->die_at)
		raise(SIGKILL);
	if (f->world->gone_at && f->world->calls >= f->world->gone_at && f->number == f->world->gone)
		return true;
	return f->world->calls == f->world->fail_at;
}

static void fake_note(struct fake *f, enum fake_what what, uint64_t arg)
{
	struct fake_world *w = f->world;

	if (w->events == FAKE_MAX_EVENTS)
		abort();
	w->event[w->events++] = (struct fake_event){ f->number, what, arg };
}

uint64_t *fake_reg(struct fake *f, uint32_t off)
{
	return &f->reg[off / 4];
}

static struct p2p_shape fake_shape(struct fake *f)
{
	return (struct p2p_shape){ .nics = (uint32_t)*fake_reg(f, P2P_NUM_NICS), .ports = (uint32_t)*fake_reg(f, P2P_NUM_PORTS),
				   .slots = (uint32_t)*fake_reg(f, P2P_SLOTS), .buf_size = (uint32_t)*fake_reg(f, P2P_BUF_SIZE),
				   .rx_bufs = (uint32_t)*fake_reg(f, P2P_RX_BUFS),
				   .queues = (uint32_t)*fake_reg(f, P2P_QUEUES),
				   .route_bytes = *fake_reg(f, P2P_FLAGS) & P2P_FLAG_ROUTE ? *fake_reg(f, P2P_ROUTE_BYTES) : 0 };
}

/* Registers to their reset values; straps stay, maps and descriptors stay. */
static void fake_clear(struct fake *f)
{
	uint64_t ports = *fake_reg(f, P2P_NUM_PORTS), mem = *fake_reg(f, P2P_MEM_SIZE), buf = *fake_reg(f, P2P_BUF_SIZE);
	uint64_t queues = *fake_reg(f, P2P_QUEUES_MAX), features = *fake_reg(f, P2P_FEATURES);
	uint64_t mac[P2P_MAX_PORTS];
	unsigned int p;

	for (p = 0; p < P2P_MAX_PORTS; p++)
		mac[p] = *fake_reg(f, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC);
	memset(f->reg, 0, sizeof(f->reg));
	memset(f->ending, 0, sizeof(f->ending));
	for (p = 0; p < P2P_MAX_PORTS; p++)
		*fake_reg(f, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC) = mac[p];
	*fake_reg(f, P2P_MAGIC) = P2P_REG_MAGIC_VALUE;
	*fake_reg(f, P2P_VERSION) = f->older ? P2P_REG_VERSION_VALUE & 0xffff0000 : P2P_REG_VERSION_VALUE;
	*fake_reg(f, P2P_NUM_PORTS) = ports;
	*fake_reg(f, P2P_MEM_SIZE) = mem;
	*fake_reg(f, P2P_BUF_SIZE) = buf;
	*fake_reg(f, P2P_QUEUES_MAX) = queues;
	*fake_reg(f, P2P_FEATURES) = features;
	f->configured = f->running = f->persist = false;
	f->command = 0;
}

void fake_make_older(struct fake *f)
{
	f->older = true;
	fake_clear(f);
}

/* A driver must not touch them in an older NIC. */
static bool fake_lacks(const struct fake *f, uint32_t off)
{
	bool peer = off >= P2P_PEER_BLOCK && off < P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES;

	return f->older && (off == P2P_QUEUES_MAX || off == P2P_QUEUES ||
			    (peer && (off - P2P_PEER_BLOCK) % P2P_PEER_BLOCK_BYTES == P2P_PEER_QUEUE_STEP));
}

void fake_power_cycle(struct fake *f)
{
	fake_clear(f);
	f->maps = 0;
	memset(f->wake, 0, sizeof(f->wake));
	memset(f->bell, 0, sizeof(f->bell));
	memset(f->wake_id, 0, sizeof(f->wake_id));
	memset(f->bell_id, 0, sizeof(f->bell_id));
	memset(f->msix, 0, sizeof(f->msix));
}

static unsigned int fake_num_regions(void *fn)
{
	struct fake *f = fn;
	struct p2p_shape s = fake_shape(f);

	return P2P_REGION_SEGMENT + (f->configured ? p2p_seg_total(&s) : 0);
}

static int fake_region_info(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct fake *f = fn;
	struct p2p_shape s = fake_shape(f);

	if (fake_fails(f))
		return -EIO;
	if (region < P2P_REGION_SEGMENT || region >= fake_num_regions(fn))
		return -EINVAL;
	info->size = p2p_seg_bytes(&s, p2p_seg_kind(&s, region - P2P_REGION_SEGMENT));
	info->flags = P2P_RGN_READ | P2P_RGN_WRITE | P2P_RGN_MMAP;
	info->fd = -1;
	info->fd_offset = p2p_seg_offset(&s, region - P2P_REGION_SEGMENT);
	return 0;
}

static uint32_t fake_ctrl(unsigned int peer)
{
	return P2P_PEER_BLOCK + peer * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL;
}

static int fake_region_share(void *fn, unsigned int region, struct p2p_region_info *info)
{
	struct fake *f = fn;
	int rc = fake_region_info(fn, region, info);

	if (rc)
		return rc;
	info->fd = dup(f->fd);
	return info->fd < 0 ? -errno : 0;
}

static uint64_t fake_peer_state(struct fake *f, unsigned int peer)
{
	unsigned int i;

	if (!(*fake_reg(f, fake_ctrl(peer)) & 1))
		return P2P_PEER_ABSENT;
	for (i = 0; i < f->world->n; i++) {
		struct fake *o = &f->world->nic[i];

		if (o->running && *fake_reg(o, P2P_NIC_INDEX) == peer)
			return P2P_PEER_UP;
	}
	return P2P_PEER_WAITING;
}

static uint64_t fake_reg_value(struct fake *f, uint32_t off)
{
	struct p2p_shape s = fake_shape(f);
	uint32_t in_block = (off - P2P_PEER_BLOCK) % P2P_PEER_BLOCK_BYTES, peer = (off - P2P_PEER_BLOCK) / P2P_PEER_BLOCK_BYTES;

	if (off == P2P_STATUS)
		return (f->configured ? P2P_ST_CONFIGURED : 0) | (f->running ? P2P_ST_RUNNING : 0);
	if (off == P2P_SEG_COUNT)
		return f->configured ? p2p_seg_total(&s) : 0;
	if (off == P2P_SEG_OFFSET)
		return p2p_seg_offset(&s, f->seg_select);
	if (off < P2P_PEER_BLOCK || peer >= P2P_MAX_NICS)
		return *fake_reg(f, off);
	if (in_block == P2P_PEER_STATE)
		return fake_peer_state(f, peer);
	if (in_block == P2P_PEER_CTRL && f->ending[peer] && !--f->ending[peer])
		*fake_reg(f, off) = 0;
	return *fake_reg(f, off);
}

static int64_t fake_region_read(void *fn, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct fake *f = fn;
	uint64_t v;

	if (fake_fails(f))
		return -EIO;
	if (region == 7 && off == 4 && len == 2) {
		memcpy(buf, &f->command, 2);
		return 2;
	}
	if (region || (len != 4 && len != 8) || off + len > P2P_BAR0_BYTES || !(f->command & 2) || fake_lacks(f, (uint32_t)off))
		return -EIO; /* memory decode is off */
	v = fake_reg_value(f, (uint32_t)off);
	memcpy(buf, &v, len);
	return (int64_t)len;
}

static void fake_control(struct fake *f, uint64_t v)
{
	struct p2p_shape s = fake_shape(f);

	f->persist = v & P2P_CTL_PERSIST;
	if (v & P2P_CTL_CONFIGURE) {
		fake_note(f, FAKE_CONFIGURE, 0);
		f->configured = !f->refuse_configure && p2p_memory_needed(&s) <= *fake_reg(f, P2P_MEM_SIZE);
		*fake_reg(f, P2P_ERROR) = f->configured ? 0 : ENOMEM;
	}
	if ((v & P2P_CTL_ENABLE) && !f->running) {
		fake_note(f, FAKE_ENABLE, 0);
		f->running = f->configured && (f->command & 4);
		*fake_reg(f, P2P_ERROR) = f->running ? 0 : EINVAL;
	} else if (!(v & P2P_CTL_ENABLE) && f->running) {
		fake_note(f, FAKE_DISABLE, 0);
		f->running = false;
	}
}

static void fake_reg_write(struct fake *f, uint32_t off, uint64_t v)
{
	uint32_t peer = (off - P2P_PEER_BLOCK) / P2P_PEER_BLOCK_BYTES;

	if (off == P2P_CONTROL) {
		fake_control(f, v);
		return;
	}
	if (off == P2P_SEG_SELECT)
		f->seg_select = (uint32_t)v;
	if (off >= P2P_HOST_AREA && off <= P2P_HOST_POOL_BYTES)
		fake_note(f, FAKE_HOST, off);
	if (off >= P2P_PORT_BLOCK && off < P2P_PEER_BLOCK)
		fake_note(f, FAKE_PAIR, v);
	if (off >= P2P_PEER_BLOCK && peer < P2P_MAX_NICS) {
		uint32_t ctrl = fake_ctrl(peer);

		if (off == ctrl)
			fake_note(f, v ? FAKE_INTRODUCE : FAKE_FORGET, peer);
		if (off == ctrl && !v && f->late && *fake_reg(f, ctrl)) {
			f->ending[peer] = f->late;
			return;
		}
		if (off != ctrl && *fake_reg(f, ctrl))
			return; /* in use */
	}
	*fake_reg(f, off) = v;
}

static int64_t fake_region_write(void *fn, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct fake *f = fn;
	uint64_t v = 0;
	uint16_t was = f->command;

	if (fake_fails(f))
		return -EIO;
	memcpy(&v, buf, len);
	if (region == 7 && off == 4 && len == 2) {
		f->command = (uint16_t)v;
		if ((v & 2) && !(was & 2))
			fake_note(f, FAKE_DECODE, 0);
		if ((v & 4) && !(was & 4))
			fake_note(f, FAKE_MASTER, 0);
		return 2;
	}
	if (region || !(f->command & 2) || fake_lacks(f, (uint32_t)off))
		return -EIO;
	fake_reg_write(f, (uint32_t)off, v);
	return (int64_t)len;
}

static int fake_irq_info(void *fn, unsigned int index, struct p2p_irq_info *info)
{
	return -EINVAL;
}

#define FAKE_IRQ_MSIX 2

/* What is in an eventfd is its number; nobody else writes to it. */
static uint32_t fake_wake_id(struct fake_world *w, int fd)
{
	uint64_t id;

	if (fd < 0)
		return 0;
	if (read(fd, &id, sizeof(id)) != sizeof(id))
		id = ++w->wakes;
	if (write(fd, &id, sizeof(id)) != sizeof(id))
		abort();
	return (uint32_t)id;
}

static int fake_irq_set(void *fn, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	struct fake *f = fn;
	unsigned int k;

	if (fake_fails(f))
		return -EIO;
	for (k = 0; k < count; k++) {
		if (index == FAKE_IRQ_MSIX) {
			f->msix[start + k] = fds[k] >= 0;
			continue;
		}
		if (fds[k] >= 0)
			fake_note(f, index == P2P_IRQ_WAKE ? FAKE_WAKE : FAKE_BELL, start + k);
		if (index == P2P_IRQ_WAKE) {
			f->wake[start + k] = fds[k] >= 0;
			f->wake_id[start + k] = fake_wake_id(f->world, fds[k]);
		} else {
			f->bell[start + k] = fds[k] >= 0;
			f->bell_id[start + k] = fake_wake_id(f->world, fds[k]);
		}
	}
	return 0;
}

static int fake_irq_trigger(void *fn, unsigned int index, unsigned int vector)
{
	return -EINVAL;
}

static int fake_irq_mask(void *fn, unsigned int index, unsigned int vector, bool masked)
{
	return -EINVAL;
}

static int fake_dma_map(void *fn, uint64_t iova, uint64_t size, int fd, uint64_t fd_offset, uint32_t prot)
{
	struct fake *f = fn;
	unsigned int k;

	if (fake_fails(f))
		return -EIO;
	for (k = 0; k < f->maps; k++)
		if (iova < f->map[k].iova + f->map[k].size && f->map[k].iova < iova + size)
			return -EEXIST;
	if (f->maps == FAKE_MAX_MAPS)
		return -ENOSPC;
	f->map[f->maps++] = (struct fake_map){ iova, size, prot };
	fake_note(f, FAKE_MAP, iova);
	return 0;
}

static int fake_dma_unmap(void *fn, uint64_t iova, uint64_t size)
{
	struct fake *f = fn;
	unsigned int k;

	if (fake_fails(f))
		return -EIO;
	for (k = 0; k < f->maps; k++) {
		if (f->map[k].iova != iova || f->map[k].size != size)
			continue;
		f->map[k] = f->map[--f->maps];
		fake_note(f, FAKE_UNMAP, iova);
		if (iova >> 40 && iova >> 40 <= P2P_MAX_NICS)
			f->world->early += *fake_reg(f, fake_ctrl((unsigned int)(iova >> 40) - 1)) != 0;
		return 0;
	}
	return -ENOENT;
}

static int fake_dma_unmap_all(void *fn)
{
	struct fake *f = fn;

	if (fake_fails(f))
		return -EIO;
	f->maps = 0;
	fake_note(f, FAKE_UNMAP_ALL, 0);
	return 0;
}

static int fake_do_reset(void *fn)
{
	struct fake *f = fn;

	if (fake_fails(f))
		return -EIO;
	fake_note(f, FAKE_RESET, 0);
	fake_clear(f);
	return 0;
}

static void fake_attached(void *fn, const struct p2p_dma_msg_ops *ops, void *opaque)
{
	struct fake *f = fn;

	f->attached = true;
	fake_note(f, FAKE_ATTACH, 0);
}

static void fake_detached(void *fn)
{
	struct fake *f = fn;

	f->attached = false;
	fake_note(f, FAKE_DETACH, 0);
	if (!f->persist)
		fake_clear(f);
}

const struct p2p_function_ops fake_ops = {
	.num_regions = fake_num_regions,
	.region_info = fake_region_info,
	.region_share = fake_region_share,
	.region_read = fake_region_read,
	.region_write = fake_region_write,
	.irq_info = fake_irq_info,
	.irq_set = fake_irq_set,
	.irq_trigger = fake_irq_trigger,
	.irq_mask = fake_irq_mask,
	.dma_map = fake_dma_map,
	.dma_unmap = fake_dma_unmap,
	.dma_unmap_all = fake_dma_unmap_all,
	.reset = fake_do_reset,
	.attached = fake_attached,
	.detached = fake_detached,
};

struct fake_world *fake_world_make(unsigned int n, unsigned int ports, uint64_t mem, uint32_t buf_size)
{
	struct fake_world *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i, p;

	if (w == MAP_FAILED)
		abort();
	w->n = n;
	for (i = 0; i < n; i++) {
		struct fake *f = &w->nic[i];

		f->world = w;
		f->number = i;
		f->fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (f->fd < 0 || ftruncate(f->fd, (off_t)mem) || fcntl(f->fd, F_ADD_SEALS, F_SEAL_SHRINK))
			abort();
		*fake_reg(f, P2P_NUM_PORTS) = ports;
		*fake_reg(f, P2P_MEM_SIZE) = mem;
		*fake_reg(f, P2P_BUF_SIZE) = buf_size;
		*fake_reg(f, P2P_QUEUES_MAX) = FAKE_QUEUES;
		for (p = 0; p < ports; p++)
			*fake_reg(f, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC) = 2 + 256 * i + 65536 * p;
		fake_clear(f);
	}
	return w;
}

void fake_world_free(struct fake_world *w)
{
	unsigned int i;

	for (i = 0; i < w->n; i++)
		close(w->nic[i].fd);
	munmap(w, sizeof(*w));
}

const struct fake_map *fake_find_map(const struct fake *f, uint64_t iova, uint64_t size)
{
	unsigned int k;

	for (k = 0; k < f->maps; k++)
		if (f->map[k].iova == iova && f->map[k].size == size)
			return &f->map[k];
	return NULL;
}

bool fake_wakes_fit(const struct fake_world *w)
{
	unsigned int i, j, q, bell;
	bool fit = true;

	for (i = 0; i < w->n; i++) {
		for (j = 0; w->nic[i].running && j < w->n; j++) {
			for (q = 0; i != j && w->nic[j].running && q < FAKE_QUEUES; q++) {
				bell = q * P2P_MAX_NICS + (unsigned int)w->nic[j].reg[P2P_NIC_INDEX / 4];
				fit = fit && w->nic[i].bell_id[bell] == w->nic[j].wake_id[q];
			}
		}
	}
	return fit;
}

unsigned int fake_count(const struct fake_world *w, enum fake_what what)
{
	unsigned int k, n = 0;

	for (k = 0; k < w->events; k++)
		n += w->event[k].what == what;
	return n;
}
