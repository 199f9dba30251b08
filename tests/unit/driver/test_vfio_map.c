/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of a container's maps, which outlives its writer, against an IOMMU made of a table.  A process that maps and unmaps is
 * stepped, an instruction at a time, and after each the list is what a next process would find if this one were killed there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/vfio_priv.h"

#define PAGE 4096ull
#define MAX 16 /* entries that are looked at */
#define RW (P2P_DMA_READ | P2P_DMA_WRITE)
#define ADDRESS "0000:03:00.1"

struct iommu {
	unsigned int n;
	volatile bool busy; /* in the kernel, which a kill does not interrupt */
	struct { uint64_t iova, size; } map[MAX];
};
static struct iommu *iommu; /* of the process that calls; in shared memory */
static struct vfio_container *c;
static int mem;

static long iommu_map(const struct vfio_iommu_type1_dma_map *a)
{
	unsigned int i;

	for (i = 0; i < iommu->n; i++)
		if (a->iova < iommu->map[i].iova + iommu->map[i].size && iommu->map[i].iova < a->iova + a->size)
			return EEXIST;
	if (iommu->n == MAX || !a->size)
		return EINVAL;
	iommu->map[iommu->n].iova = a->iova;
	iommu->map[iommu->n].size = a->size;
	iommu->n++;
	return 0;
}

/* As type1v2: all that lies in the range, which cuts nothing in two. */
static long iommu_unmap(struct vfio_iommu_type1_dma_unmap *a)
{
	uint64_t end = a->iova + a->size, from, to;
	unsigned int i;

	if (!a->size)
		return EINVAL;
	for (i = 0; i < iommu->n; i++) {
		from = iommu->map[i].iova;
		to = from + iommu->map[i].size;
		if (from < end && a->iova < to && (from < a->iova || to > end))
			return EINVAL;
	}
	a->size = 0;
	for (i = iommu->n; i-- > 0;) {
		if (iommu->map[i].iova < a->iova || iommu->map[i].iova >= end)
			continue;
		a->size += iommu->map[i].size;
		iommu->map[i] = iommu->map[--iommu->n];
	}
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	long err;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	iommu->busy = true;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	err = request == VFIO_IOMMU_MAP_DMA ? iommu_map(arg) : request == VFIO_IOMMU_UNMAP_DMA ? iommu_unmap(arg) : ENOTTY;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	iommu->busy = false;
	errno = (int)err;
	return err ? -1 : 0;
}

static void map(unsigned int slot, unsigned int page, unsigned int pages, int rc)
{
	assert_int_equal(vfio_container_map(c, slot, page * PAGE, pages * PAGE, mem, 0, RW), rc);
}

static void container_make(void)
{
	assert_int_equal(vfio_container_create(&c, "/no/such"), 0);
	assert_int_equal(vfio_state_create(c), 0);
}

/* Five maps: 1, 2, 3 and 4, 10 to 13, and 20, which two functions use; the slots are 0 but for that of 3, and 20's second. */
static int setup(void **state)
{
	iommu = mmap(NULL, sizeof(*iommu), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(iommu, MAP_FAILED);
	mem = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mem, 64 * PAGE), 0);
	container_make();
	map(0, 1, 1, 0);
	map(0, 2, 1, 0);
	map(1, 3, 2, 0);
	map(0, 10, 4, 0);
	map(0, 20, 1, 0);
	map(1, 20, 1, 0);
	return 0;
}

static int teardown(void **state)
{
	vfio_container_destroy(c);
	close(mem);
	munmap(iommu, sizeof(*iommu));
	return 0;
}

static const struct vfio_map *listed(const struct vfio_state *s, uint64_t iova, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < s->maps; i++)
		if (s->map[i].iova == iova && s->map[i].size == size)
			return &s->map[i];
	return NULL;
}

/* The list says what the IOMMU has, each once, and nothing else. */
static bool sound(const struct vfio_state *s, const struct iommu *io)
{
	unsigned int i, used = 0;
	bool all = s->maps <= MAX;

	for (i = 0; all && i < s->maps; i++) {
		used += s->map[i].size != 0;
		all = !s->map[i].size || (s->map[i].stage == VFIO_MAP_DONE && s->map[i].users && s->map[i].prot == RW);
	}
	for (i = 0; all && i < io->n; i++)
		all = listed(s, io->map[i].iova, io->map[i].size);
	return all && used == io->n;
}

/* Both have the same maps, with the same users. */
static bool same_maps(const struct vfio_state *a, const struct vfio_state *b)
{
	const struct vfio_map *m;
	unsigned int i, na = 0, nb = 0;

	for (i = 0; i < b->maps; i++)
		nb += b->map[i].size != 0;
	for (i = 0; i < a->maps; i++) {
		m = a->map[i].size ? listed(b, a->map[i].iova, a->map[i].size) : NULL;
		if (a->map[i].size && (!m || m->users != a->map[i].users))
			return false;
		na += m != NULL;
	}
	return na == nb;
}

/* --- deaths --- */

static int unmap_first(void)
{
	return vfio_container_unmap(c, 0, 1 * PAGE, PAGE);
}

static int unmap_last(void)
{
	return vfio_container_unmap(c, 0, 30 * PAGE, PAGE);
}

static int unmap_shared(void)
{
	return vfio_container_unmap(c, 1, 20 * PAGE, PAGE);
}

static int unmap_all(void)
{
	return vfio_container_unmap_all(c, 0);
}

static int map_one(void)
{
	return vfio_container_map(c, 0, 30 * PAGE, PAGE, mem, 0, RW);
}

/* Around pages 10 to 13, which are there. */
static int map_over(void)
{
	return vfio_container_map(c, 0, 8 * PAGE, 8 * PAGE, mem, 0, RW);
}

static int enter_nic(void)
{
	vfio_state_nic_set(&c->state->nic[3], ADDRESS, 7);
	return 0;
}

static const struct deed {
	const char *name;
	int (*before)(void), (*call)(void);
	int rc, again; /* what it says, and what it says once more if it was done */
} deeds[] = {
	{ "the first is unmapped", NULL, unmap_first, 0, -ENOENT },
	{ "the last is unmapped", map_one, unmap_last, 0, -ENOENT },
	{ "one of two users unmaps", NULL, unmap_shared, 0, -ENOENT },
	{ "a function unmaps all", map_one, unmap_all, 0, 0 },
	{ "one is mapped at the end", NULL, map_one, 0, -EEXIST },
	{ "one is mapped where another was", unmap_first, map_one, 0, -EEXIST },
	{ "the IOMMU refuses one", NULL, map_over, -EEXIST, -EEXIST },
	{ "a function comes in", NULL, enter_nic, 0, 0 },
};

/* What is looked at of a container and its IOMMU. */
struct moment {
	struct iommu io;
	uint8_t head[offsetof(struct vfio_state, map) + MAX * sizeof(struct vfio_map)];
};

static void moment_take(struct moment *m)
{
	m->io = *iommu;
	memcpy(m->head, c->state, sizeof(m->head));
}

/* Killed at that moment: the next process repairs what it finds, does the same, and all is as if nobody had died. */
static void rescue(const struct deed *x, const struct moment *m, const struct vfio_state *like, unsigned int step)
{
	struct vfio_container *former = c;
	struct iommu io = m->io, *real = iommu;
	const char *addr;
	int rc;

	container_make();
	memcpy(c->state, m->head, sizeof(m->head));
	iommu = &io;
	addr = c->state->nic[3].addr;
	if (*addr && (strcmp(addr, ADDRESS) || c->state->nic[3].group != 7))
		fail_msg("%s: killed after step %u: half a function is there", x->name, step);
	vfio_maps_repair(c);
	if (!sound(c->state, &io))
		fail_msg("%s: killed after step %u: the list is not what is mapped", x->name, step);
	rc = x->call();
	if ((rc != x->rc && rc != x->again) || !sound(c->state, &io) || !same_maps(c->state, like))
		fail_msg("%s: killed after step %u: the next process finds other maps (%s)", x->name, step, strerror(-rc));
	vfio_container_destroy(c);
	c = former;
	iommu = real;
}

/* A child that is stopped before each of its instructions while it does the deed. */
static pid_t stepped(const struct deed *x)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(77);
		raise(SIGSTOP);
		_exit(x->call() != x->rc);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		print_message("no process can be traced here\n");
		skip();
	}
	return pid;
}

static unsigned int every_step(const struct deed *x, const struct vfio_state *like)
{
	static struct moment was, now;
	unsigned int steps, changes = 0;
	pid_t pid = stepped(x);
	int status;

	moment_take(&was);
	for (steps = 1;; steps++) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			break;
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
		moment_take(&now);
		if (now.io.busy || !memcmp(&now, &was, sizeof(now)))
			continue;
		was = now;
		changes++;
		rescue(x, &now, like, steps);
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	printf("%s: %u steps, %u changes\n", x->name, steps, changes);
	return changes;
}

static void test_deaths(void **state)
{
	static struct vfio_state end;
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(deeds); i++) {
		if (i) {
			teardown(state);
			setup(state);
		}
		if (deeds[i].before)
			assert_int_equal(deeds[i].before(), 0);
		assert_int_equal(deeds[i].call(), deeds[i].rc);
		assert_true(sound(c->state, iommu));
		end = *c->state;
		teardown(state);
		setup(state);
		if (deeds[i].before)
			assert_int_equal(deeds[i].before(), 0);
		assert_true(every_step(&deeds[i], &end) > 0);
	}
}

/* --- what may be found --- */

static const struct found {
	const char *name;
	unsigned int gone;           /* page whose map the IOMMU has no more; 0: none */
	unsigned int at;             /* entry: page 1, 2, 3, 10, 20 */
	unsigned int page, pages;    /* and what is in it */
	uint32_t users, stage;
} found[] = {
	/* A process that struck entries by copying the last one over them, and died amid it. */
	{ "the last one twice", 1, 0, 20, 1, 3, VFIO_MAP_DONE },
	{ "its place, not yet its stage", 1, 0, 20, 1, 1, VFIO_MAP_PENDING },
	{ "its address, not yet its size", 10, 3, 20, 4, 1, VFIO_MAP_PENDING },
	{ "its address and stage, not yet its size", 10, 3, 20, 4, 3, VFIO_MAP_DONE },
	{ "its size, not yet its address", 10, 3, 10, 1, 1, VFIO_MAP_PENDING },
	{ "another's size, over its neighbours", 1, 0, 1, 4, 1, VFIO_MAP_PENDING },
	/* One that died in the course of a map or an unmap. */
	{ "never made", 0, 5, 30, 1, 1, VFIO_MAP_PENDING },
	{ "never made, over others", 0, 5, 8, 8, 1, VFIO_MAP_PENDING },
	{ "unmapped", 10, 3, 10, 4, 1, VFIO_MAP_PENDING },
	{ "free", 10, 3, 10, 0, 0, VFIO_MAP_PENDING },
	{ "free, half filled", 10, 3, 2, 0, 1, VFIO_MAP_PENDING },
};

static void test_found(void **state)
{
	struct vfio_iommu_type1_dma_unmap arg;
	unsigned int i, k, n;

	for (i = 0; i < P2P_ARRAY_SIZE(found); i++) {
		const struct found *x = &found[i];
		struct iommu left;

		if (i) {
			teardown(state);
			setup(state);
		}
		arg = (struct vfio_iommu_type1_dma_unmap){ .iova = x->gone * PAGE, .size = x->gone == 10 ? 4 * PAGE : PAGE };
		if (x->gone)
			assert_int_equal(iommu_unmap(&arg), 0);
		c->state->map[x->at] = (struct vfio_map){ x->page * PAGE, x->pages * PAGE, RW, x->users, x->stage, 0 };
		c->state->maps = x->at < 5 ? 5 : x->at + 1;
		left = *iommu;
		vfio_maps_repair(c);
		if (!sound(c->state, iommu) || iommu->n != left.n)
			fail_msg("%s: the list is not what is mapped, or something was unmapped", x->name);
		for (k = 0; k < left.n; k++)
			assert_non_null(listed(c->state, left.map[k].iova, left.map[k].size));
		/* And one can go on with it. */
		n = left.n;
		map(0, 40, 1, 0);
		map(0, 41, 1, 0);
		assert_int_equal(iommu->n, n + 2);
		assert_true(sound(c->state, iommu));
		assert_int_equal(unmap_all(), 0);
		assert_int_equal(vfio_container_unmap_all(c, 1), 0);
		assert_int_equal(iommu->n + c->state->maps, 0);
	}
}

/* Made in the IOMMU, and not yet said to be: it goes. */
static void test_half_made(void **state)
{
	c->state->map[3].stage = VFIO_MAP_PENDING;
	vfio_maps_repair(c);
	assert_true(sound(c->state, iommu));
	assert_int_equal(iommu->n, 4);
	assert_null(listed(c->state, 10 * PAGE, 4 * PAGE));
}

/* What a function has mapped may be a former process's memory: it is not taken for what is asked for.  Another function may join. */
static void test_twice(void **state)
{
	map(0, 10, 4, -EEXIST);
	assert_non_null(strstr(vfio_container_error(c), "bus address 0xa000 is mapped already"));
	map(1, 10, 4, 0);
	map(1, 10, 4, -EEXIST);
	assert_int_equal(iommu->n, 5);
	assert_int_equal(vfio_container_unmap(c, 0, 10 * PAGE, 4 * PAGE), 0);
	map(0, 10, 4, 0);
	assert_int_equal(vfio_container_map(c, 1, 1 * PAGE, PAGE, mem, 0, P2P_DMA_READ), -EEXIST);
	assert_true(sound(c->state, iommu));
}

/* A place that became free is taken again; the list is full only when all are used. */
static void test_places(void **state)
{
	assert_int_equal(unmap_first(), 0);
	assert_int_equal(c->state->maps, 5);
	assert_int_equal(map_one(), 0);
	assert_int_equal(c->state->maps, 5);
	assert_int_equal(c->state->map[0].iova, 30 * PAGE);
	assert_int_equal(vfio_container_unmap(c, 0, 10 * PAGE, 4 * PAGE), 0);
	assert_int_equal(vfio_container_unmap(c, 0, 20 * PAGE, PAGE), 0);
	assert_int_equal(c->state->maps, 5);
	assert_int_equal(vfio_container_unmap(c, 1, 20 * PAGE, PAGE), 0);
	assert_int_equal(c->state->maps, 3);
	assert_int_equal(vfio_container_unmap(c, 0, 0, 0), -ENOENT);
	for (unsigned int i = 3; i < VFIO_MAX_MAPS; i++)
		c->state->map[i] = (struct vfio_map){ (100 + i) * PAGE, PAGE, RW, 1, VFIO_MAP_DONE, 0 };
	c->state->maps = VFIO_MAX_MAPS;
	map(0, 50, 1, -ENOSPC);
	c->state->map[7].size = 0;
	map(0, 50, 1, 0);
	assert_int_equal(c->state->map[7].iova, 50 * PAGE);
	map(0, 51, 1, -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deaths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
