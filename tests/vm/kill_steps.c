/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In the guest: a driver that is killed at its n-th access to the NICs, for every n that there is.
 *
 * usage: kill_steps FIRST LAST STEP ADDRESS...
 *
 * For n from FIRST, STEP apart, up to LAST or until a whole run needs fewer accesses: a child does what `p2pnic up` and `p2pnic
 * down` do, and dies by SIGKILL just before its n-th register or configuration access, map, unmap or reset.  Then bus
 * mastering must be off on all of them.  Prints "steps N" when a bring-up came through, N accesses long, or "FAIL ...".
 * Exit status 0: nothing failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/drv_internal.h"
#include "driver/vfio_container.h"

#define READY_NS 20000000000ull

static unsigned int left; /* accesses that remain to be lived through */

static void count_down(void)
{
	if (!left--)
		raise(SIGKILL);
}

/* Between driver and transport: counts. */
struct counted {
	struct transport t;
	struct transport *real;
};

static struct transport *real_of(struct transport *t)
{
	count_down();
	return ((struct counted *)t)->real;
}

static int c_num_regions(struct transport *t)
{
	struct transport *r = real_of(t);

	return r->ops->num_regions(r);
}

static int c_region_info(struct transport *t, unsigned int region, struct p2p_region_info *info)
{
	struct transport *r = real_of(t);

	return r->ops->region_info(r, region, info);
}

static int c_region_read(struct transport *t, unsigned int region, uint64_t off, void *buf, size_t len)
{
	struct transport *r = real_of(t);

	return r->ops->region_read(r, region, off, buf, len);
}

static int c_region_write(struct transport *t, unsigned int region, uint64_t off, const void *buf, size_t len)
{
	struct transport *r = real_of(t);

	return r->ops->region_write(r, region, off, buf, len);
}

static int c_irq_set(struct transport *t, unsigned int index, unsigned int start, unsigned int count, const int *fds)
{
	struct transport *r = real_of(t);

	return r->ops->irq_set(r, index, start, count, fds);
}

static int c_dma_map(struct transport *t, uint64_t iova, uint64_t size, int fd, uint64_t off, uint32_t prot)
{
	struct transport *r = real_of(t);

	return r->ops->dma_map(r, iova, size, fd, off, prot);
}

static int c_dma_unmap(struct transport *t, uint64_t iova, uint64_t size)
{
	struct transport *r = real_of(t);

	return r->ops->dma_unmap(r, iova, size);
}

static int c_dma_unmap_all(struct transport *t)
{
	struct transport *r = real_of(t);

	return r->ops->dma_unmap_all(r);
}

static int c_reset(struct transport *t)
{
	struct transport *r = real_of(t);

	return r->ops->reset(r);
}

static void c_close(struct transport *t)
{
	struct transport *r = ((struct counted *)t)->real;

	r->ops->close(r);
	free(t);
}

static const struct transport_ops counted_ops = {
	.num_regions = c_num_regions, .region_info = c_region_info, .region_read = c_region_read, .region_write = c_region_write,
	.irq_set = c_irq_set, .dma_map = c_dma_map, .dma_unmap = c_dma_unmap, .dma_unmap_all = c_dma_unmap_all,
	.reset = c_reset, .close = c_close,
};

static int say(const char *what)
{
	printf("FAIL %s\n", what);
	fflush(stdout);
	return 1;
}

/* What `p2pnic up` does, then the end of it.  Returns the exit status. */
static int bring_up(unsigned int budget, char **addr, unsigned int n)
{
	char err[DRV_ERR_MAX];
	struct drv_opts o;
	unsigned int i;
	struct drv *d;

	left = budget;
	if (drv_create(&d))
		return say("out of memory");
	for (i = 0; i < n; i++) {
		struct counted *c = calloc(1, sizeof(*c));

		if (!c || transport_vfio_open(&c->real, drv_vfio(d), addr[i], err))
			return say(err);
		c->t = *c->real;
		c->t.ops = &counted_ops;
		if (drv_add(d, &c->t, addr[i]))
			return say(drv_error(d));
	}
	drv_opts_init(&o);
	o.slots = 64;
	o.scrub = o.bridge = true;
	o.silence_ms = 5000;
	if (drv_bring_up(d, &o) || drv_wait_ready(d, READY_NS))
		return say(drv_error(d));
	printf("steps %u\n", budget - left);
	fflush(stdout);
	drv_down(d);
	drv_destroy(d);
	return 0;
}

static bool bus_master(const char *addr)
{
	char path[128];
	uint8_t command = 0xff;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", addr);
	fd = open(path, O_RDONLY);
	if (fd < 0 || pread(fd, &command, 1, DRV_PCI_COMMAND) != 1)
		command = 0xff;
	close(fd);
	return command & DRV_PCI_COMMAND_MASTER;
}

int main(int argc, char **argv)
{
	unsigned int k, i, n = argc > 4 ? (unsigned int)argc - 4 : 0, step;
	int status;
	pid_t pid;

	if (!n)
		return 2;
	step = (unsigned int)strtoul(argv[3], NULL, 10);
	for (k = (unsigned int)strtoul(argv[1], NULL, 10); step && k <= strtoul(argv[2], NULL, 10); k += step) {
		fflush(stdout);
		pid = fork();
		if (!pid)
			_exit(bring_up(k, argv + 4, n));
		if (waitpid(pid, &status, 0) != pid)
			return say("no child");
		for (i = 0; i < n; i++) {
			if (!bus_master(argv[4 + i]))
				continue;
			printf("FAIL killed before access %u: %s may still do DMA\n", k, argv[4 + i]);
			return 1;
		}
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WTERMSIG(status) != SIGKILL)
			return say("it died of something else");
	}
	printf("killed before accesses up to %s\n", argv[2]);
	return 0;
}
