/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

/* seq is odd while the entry changes; a reader that sees it change skips the entry. */
struct guard_range {
	uint32_t seq;
	uintptr_t base; /* 0: free */
	size_t size;
	volatile int *hit;
};

static struct guard_range ranges[GUARD_MAX_RANGES];
static unsigned int ranges_top;  /* none is in use from here on */
static unsigned int ranges_full; /* none is free before */
static unsigned int guard_replaced;
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t guard_page_bytes;

/* What was there when the handler was installed, newest last; a few, since others may install theirs over it. */
#define GUARD_MAX_PREVIOUS 16
static struct sigaction previous[GUARD_MAX_PREVIOUS];
static uint32_t previous_n;
static __thread bool guard_chaining; /* a handler that we chained to has chained back */

static bool guard_find(uintptr_t addr, struct guard_range *out)
{
	unsigned int top = __atomic_load_n(&ranges_top, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < top; i++) {
		struct guard_range *r = &ranges[i];
		uint32_t seq = __atomic_load_n(&r->seq, __ATOMIC_ACQUIRE);

		out->base = __atomic_load_n(&r->base, __ATOMIC_ACQUIRE);
		out->size = __atomic_load_n(&r->size, __ATOMIC_ACQUIRE);
		out->hit = __atomic_load_n(&r->hit, __ATOMIC_ACQUIRE);
		if ((seq & 1) || seq != __atomic_load_n(&r->seq, __ATOMIC_RELAXED) || !out->base)
			continue;
		if (addr - out->base < out->size)
			return true;
	}
	return false;
}

static bool guard_replace(const struct guard_range *r, uintptr_t addr)
{
	const size_t sizes[] = { guard_page_bytes, (size_t)2 << 20, (size_t)32 << 20, (size_t)1 << 30 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uintptr_t page = addr & ~((uintptr_t)sizes[i] - 1);

		if (page < r->base || page + sizes[i] > r->base + r->size)
			break;
		if (mmap((void *)page, sizes[i], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED)
			return true;
	}
	return mmap((void *)r->base, r->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void guard_chain(int sig, siginfo_t *info, void *context)
{
	const struct sigaction dfl = { .sa_handler = SIG_DFL };
	uint32_t n = __atomic_load_n(&previous_n, __ATOMIC_ACQUIRE);
	const struct sigaction *p = n && !guard_chaining ? &previous[n - 1] : &dfl;

	if (!(p->sa_flags & SA_SIGINFO) && (p->sa_handler == SIG_DFL || p->sa_handler == SIG_IGN)) {
		/* Back to the default; a fault repeats and ends the process, a sent signal is sent again. */
		sigaction(SIGBUS, &dfl, NULL);
		if (info->si_code <= 0)
			raise(sig);
		return;
	}
	guard_chaining = true;
	if (p->sa_flags & SA_SIGINFO)
		p->sa_sigaction(sig, info, context);
	else
		p->sa_handler(sig);
	guard_chaining = false;
}

static void guard_handler(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct guard_range r;

	if (info->si_code > 0 && guard_find((uintptr_t)info->si_addr, &r) &&
	    guard_replace(&r, (uintptr_t)info->si_addr)) {
		__atomic_store_n(r.hit, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&guard_replaced, 1, __ATOMIC_RELEASE);
		errno = saved;
		return;
	}
	errno = saved;
	guard_chain(sig, info, context);
}

/* Anyone may have put his own handler in our place since the last range: then that one is chained to from here on. */
static int guard_install(void)
{
	struct sigaction sa = { .sa_sigaction = guard_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct sigaction now;
	uint32_t n = previous_n;

	if (!guard_page_bytes)
		guard_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIGBUS, NULL, &now) < 0)
		return -errno;
	if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == guard_handler)
		return 0;
	if (!n || previous[n - 1].sa_sigaction != now.sa_sigaction || previous[n - 1].sa_flags != now.sa_flags) {
		if (n == GUARD_MAX_PREVIOUS)
			return -ENOSPC;
		previous[n] = now;
		__atomic_store_n(&previous_n, n + 1, __ATOMIC_RELEASE);
	}
	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

static void guard_set(struct guard_range *r, uintptr_t base, size_t size, volatile int *hit)
{
	__atomic_store_n(&r->seq, r->seq + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&r->base, base, __ATOMIC_RELEASE);
	__atomic_store_n(&r->size, size, __ATOMIC_RELEASE);
	__atomic_store_n(&r->hit, hit, __ATOMIC_RELEASE);
	__atomic_store_n(&r->seq, r->seq + 1, __ATOMIC_RELEASE);
}

int guard_add(void *base, size_t size, volatile int *hit)
{
	int ret;

	if (!base || !size || !hit)
		return -EINVAL;
	pthread_mutex_lock(&guard_lock);
	ret = guard_install();
	if (!ret && ((uintptr_t)base & (guard_page_bytes - 1)))
		ret = -EINVAL;
	if (!ret) {
		unsigned int i = ranges_full;

		while (i < GUARD_MAX_RANGES && ranges[i].base)
			i++;
		ranges_full = i;
		ret = -ENOSPC;
		if (i < GUARD_MAX_RANGES) {
			*hit = 0;
			guard_set(&ranges[i], (uintptr_t)base, size, hit);
			if (i >= ranges_top)
				__atomic_store_n(&ranges_top, i + 1, __ATOMIC_RELEASE);
			ret = 0;
		}
	}
	pthread_mutex_unlock(&guard_lock);
	return ret;
}

void guard_remove(void *base)
{
	pthread_mutex_lock(&guard_lock);
	for (unsigned int i = ranges_top; i-- > 0;) {
		if (ranges[i].base == (uintptr_t)base) {
			guard_set(&ranges[i], 0, 0, NULL);
			ranges_full = i < ranges_full ? i : ranges_full;
			break;
		}
	}
	while (ranges_top && !ranges[ranges_top - 1].base)
		__atomic_store_n(&ranges_top, ranges_top - 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&guard_lock);
}

unsigned int guard_hits(void)
{
	return __atomic_load_n(&guard_replaced, __ATOMIC_ACQUIRE);
}

int guard_needed(int fd, bool *sealed)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;

	*sealed = seals >= 0 && seals & F_SEAL_SHRINK;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	/* Seals against writing forbid the punch as well, but hugetlbfs then lets nobody map it writable either. */
	return !*sealed || fs.f_type == HUGETLBFS_MAGIC;
}
