/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: one thread that steps contexts of NICs and tasks, spins while there is work and
 * sleeps when there is none.
 *
 * CALLS  Other threads queue calls under `lock`, which the worker runs between
 *   steps; `pending` tells it without taking the lock, event_fd wakes it.  Whoever
 *   has business with all contexts of a NIC holds their workers still instead.
 * SLEEP  As fw.h says: tell everybody, step once more, then wait for a
 *   descriptor or the earliest deadline.  A wake-up by the clock (heartbeats)
 *   steps with everybody still told, and sleeps on if that was all.
 */
#include "internal.h"
#include "sock/bell.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONTEXTS 256
#define MAX_TASKS 64
#define MAX_FDS 1024
#define MAX_PORT_FDS 64
#define SPIN_DEFAULT_NS 50000ull
#define CONTROL_NS 1000000ull
#define SLEEP_MAX_NS 100000000ull /* ports' own timeouts */
#define WAKE_STEPS 2 /* no more busy ones after a long sleep: back to sleep without spinning */
#define BUSY_STEPS 3 /* so many in a row after a wake-up by the clock: awake */

struct soft_call {
	struct soft_call *next;
	struct soft_nic *nic;
	int (*fn)(struct soft_nic *nic, void *arg);
	void *arg;
	enum soft_call_class class;
	int result;
	bool done;
};

struct soft_task {
	uint64_t (*step)(void *arg, uint64_t now_ns);
	void *arg;
	int fd;
};

struct soft_worker {
	struct soft_worker_opts opts;
	struct soft_context *context[MAX_CONTEXTS];
	unsigned int contexts;
	struct soft_task task[MAX_TASKS];
	unsigned int tasks;
	int event_fd;
	uint64_t last_control;
	struct pollfd *pfd;

	pthread_t thread;
	char name[16];
	bool stop, pending, asleep; /* atomics */

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct soft_call *head, **tail;
	bool hold, held; /* asked to stand still; does */
	bool running; /* calls are accepted */
	bool started; /* the thread exists */
	uint64_t cpu_ns; /* of threads that have ended */

	/* Written by the thread, read by observers. */
	uint64_t loops __attribute__((aligned(64)));
	uint64_t busy_loops, busy_ticks;
};

/* --- calls --- */

bool soft_worker_is_self(const struct soft_worker *w)
{
	return __atomic_load_n(&w->started, __ATOMIC_ACQUIRE) && pthread_equal(pthread_self(), w->thread);
}

bool soft_worker_is_running(struct soft_worker *w)
{
	bool r;

	pthread_mutex_lock(&w->lock);
	r = w->running;
	pthread_mutex_unlock(&w->lock);
	return r;
}

int soft_worker_call(struct soft_worker *w, struct soft_nic *nic, int (*fn)(struct soft_nic *nic, void *arg), void *arg,
		     enum soft_call_class class, int *result)
{
	struct soft_call c = { .nic = nic, .fn = fn, .arg = arg, .class = class };

	pthread_mutex_lock(&w->lock);
	if (!w->running) {
		pthread_mutex_unlock(&w->lock);
		return -ENOTCONN;
	}
	*w->tail = &c;
	w->tail = &c.next;
	__atomic_store_n(&w->pending, true, __ATOMIC_RELEASE);
	soft_event_signal(w->event_fd);
	while (!c.done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	*result = c.result;
	return 0;
}

/* Takes the first call that may run now out of the queue; `in_step`: the NIC inside a step, or NULL. */
static struct soft_call *call_take(struct soft_worker *w, const struct soft_nic *in_step)
{
	struct soft_call **at = &w->head, *c;

	while (*at && in_step && (*at)->nic == in_step && (*at)->class == SOFT_CALL_QUIESCENT)
		at = &(*at)->next;
	c = *at;
	if (!c)
		return NULL;
	*at = c->next;
	if (w->tail == &c->next)
		w->tail = at;
	return c;
}

static void calls_run(struct soft_worker *w, const struct soft_nic *in_step)
{
	struct soft_call *c;

	pthread_mutex_lock(&w->lock);
	while ((c = call_take(w, in_step)) != NULL) {
		pthread_mutex_unlock(&w->lock);
		if (c->nic != in_step)
			c->nic->context[0].ctx.now_ns = soft_fault_clock(&c->nic->context[0], soft_now_ns());
		c->result = c->fn(c->nic, c->arg);
		if (c->nic != in_step)
			soft_context_publish(&c->nic->context[0]);
		pthread_mutex_lock(&w->lock);
		c->done = true;
		pthread_cond_broadcast(&w->cond);
	}
	while (w->hold && !in_step) {
		if (!w->held) {
			w->held = true;
			pthread_cond_broadcast(&w->cond);
		}
		pthread_cond_wait(&w->cond, &w->lock);
	}
	w->held = false;
	if (!w->head && !w->hold)
		__atomic_store_n(&w->pending, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&w->lock);
}

int soft_worker_hold(struct soft_worker *w)
{
	pthread_mutex_lock(&w->lock);
	if (!w->running) {
		pthread_mutex_unlock(&w->lock);
		return -ENOTCONN;
	}
	w->hold = true;
	__atomic_store_n(&w->pending, true, __ATOMIC_RELEASE);
	soft_event_signal(w->event_fd);
	while (!w->held)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void soft_worker_release(struct soft_worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->hold = false;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

void soft_worker_serve(struct soft_worker *w, struct soft_nic *nic)
{
	if (__atomic_load_n(&w->pending, __ATOMIC_ACQUIRE))
		calls_run(w, nic);
}

void soft_worker_nudge(struct soft_worker *w)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&w->asleep, __ATOMIC_RELAXED) && __atomic_exchange_n(&w->asleep, false, __ATOMIC_RELAXED))
		soft_event_signal(w->event_fd);
}

/* --- the loop --- */

static void worker_control(struct soft_worker *w, uint64_t now)
{
	w->last_control = now;
	for (unsigned int i = 0; i < w->contexts; i++)
		soft_context_control(w->context[i], now);
}

/* 0: something was done; else until when nothing need be. */
static uint64_t worker_step(struct soft_worker *w, uint64_t now)
{
	uint64_t until = UINT64_MAX, t;
	bool busy = false;

	for (unsigned int i = 0; i < w->contexts; i++) {
		t = soft_context_step(w->context[i], now);
		busy |= t == 0;
		until = t < until ? t : until;
	}
	for (unsigned int i = 0; i < w->tasks; i++) {
		t = w->task[i].step(w->task[i].arg, now);
		busy |= t == 0;
		until = t < until ? t : until;
	}
	return busy ? 0 : until;
}

static inline void worker_account(struct soft_worker *w, bool busy, uint64_t ticks)
{
	p2p_count(&w->loops, 1);
	if (!busy)
		return;
	p2p_count(&w->busy_loops, 1);
	p2p_count(&w->busy_ticks, ticks);
}

/* For those outside the loop, which takes the time from one round to the next. */
static uint64_t worker_step_apart(struct soft_worker *w, uint64_t now)
{
	uint64_t begun = soft_ticks(), until = worker_step(w, now);

	worker_account(w, until == 0, soft_ticks() - begun);
	return until;
}

static uint64_t ports_next_event(struct soft_worker *w, uint64_t now, uint64_t until)
{
	for (unsigned int i = 0; i < w->contexts; i++) {
		struct soft_context *c = w->context[i];

		for (unsigned int p = 0; p < c->ctx.nic->ports; p++) {
			struct port *port = c->ctx.port[p];
			uint64_t t;

			if (!c->port_started[p] || !port->ops->next_event)
				continue;
			t = port->ops->next_event(port, now);
			until = t < until ? t : until;
		}
	}
	return until;
}

static unsigned int fd_add(struct soft_worker *w, unsigned int n, int fd)
{
	if (fd < 0 || n == MAX_FDS)
		return n;
	w->pfd[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
	return n + 1;
}

/* Everything that may wake us; the first `*own` are eventfds of ours to clear. */
static unsigned int fds_collect(struct soft_worker *w, unsigned int *own)
{
	unsigned int n = fd_add(w, 0, w->event_fd);

	for (unsigned int i = 0; i < w->contexts; i++)
		n = fd_add(w, n, w->context[i]->wake_fd);
	*own = n;
	for (unsigned int i = 0; i < w->tasks; i++)
		n = fd_add(w, n, w->task[i].fd);
	for (unsigned int i = 0; i < w->contexts; i++) {
		struct soft_context *c = w->context[i];

		for (unsigned int p = 0; p < c->ctx.nic->ports; p++) {
			int fds[MAX_PORT_FDS];
			uint32_t gen = 0;
			unsigned int k;

			if (!c->port_started[p])
				continue;
			k = c->ctx.port[p]->ops->fds(c->ctx.port[p], fds, MAX_PORT_FDS, &gen);
			for (unsigned int j = 0; j < k; j++)
				n = fd_add(w, n, fds[j]);
		}
	}
	return n;
}

/* True: a descriptor was ready. */
static bool worker_wait(struct soft_worker *w, uint64_t deadline)
{
	unsigned int own, n = fds_collect(w, &own);
	uint64_t now = soft_now_ns();
	uint64_t ns = deadline > now ? deadline - now : 0;
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	if (ppoll(w->pfd, n, &ts, NULL) <= 0)
		return false;
	for (unsigned int i = 0; i < own; i++)
		if (w->pfd[i].revents & POLLIN)
			bell_clear(w->pfd[i].fd);
	return true;
}

static void context_tell(struct soft_context *c, bool asleep)
{
	if (asleep)
		fw_sleep(c->fw, true);
	for (unsigned int p = 0; p < c->ctx.nic->ports; p++)
		if (c->port_started[p] && c->ctx.port[p]->ops->arm)
			c->ctx.port[p]->ops->arm(c->ctx.port[p], asleep);
	if (!asleep)
		fw_sleep(c->fw, false);
}

static bool worker_wanted(const struct soft_worker *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) || __atomic_load_n(&w->pending, __ATOMIC_ACQUIRE);
}

static void worker_sleep(struct soft_worker *w)
{
	unsigned int steps = 0;

	for (unsigned int i = 0; i < w->contexts; i++)
		context_tell(w->context[i], true);
	while (!worker_wanted(w)) {
		uint64_t now = soft_now_ns(), until;

		/* Whoever writes to device memory from now on wakes us; what is there already the step sees. */
		__atomic_store_n(&w->asleep, true, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (now - w->last_control >= CONTROL_NS)
			worker_control(w, now);
		until = worker_step_apart(w, now);
		if (until == 0) {
			if (++steps == BUSY_STEPS)
				break;
			continue;
		}
		steps = 0;
		until = ports_next_event(w, now, until);
		if (until > now + SLEEP_MAX_NS)
			until = now + SLEEP_MAX_NS;
		if (worker_wait(w, until)) {
			/* A frame that waits goes first; ports look after their descriptors next. */
			worker_step_apart(w, soft_now_ns());
			worker_control(w, soft_now_ns());
			break;
		}
	}
	__atomic_store_n(&w->asleep, false, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < w->contexts; i++)
		context_tell(w->context[i], false);
}

/*
 * Spinning pays where work comes in less than spin_ns.  Who slept longer and finds little
 * sleeps again at once: on few cores, whom it has just woken may be queued behind it.
 */
static void worker_loop(struct soft_worker *w)
{
	uint64_t idle_since = soft_now_ns(), spin_ns = w->opts.spin_ns, last = soft_ticks();
	unsigned int work = 0;
	bool busy = false;

	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		uint64_t now = soft_now_ns(), tick = soft_ticks();

		worker_account(w, busy, tick - last);
		last = tick;
		if (p2p_unlikely(__atomic_load_n(&w->pending, __ATOMIC_ACQUIRE))) {
			calls_run(w, NULL);
			idle_since = now;
		}
		if (now - w->last_control >= CONTROL_NS)
			worker_control(w, now);
		busy = worker_step(w, now) == 0;
		if (busy) {
			idle_since = now;
			if (++work > WAKE_STEPS)
				spin_ns = w->opts.spin_ns;
		} else if (!w->opts.poll && now - idle_since >= spin_ns) {
			worker_sleep(w);
			idle_since = soft_now_ns();
			spin_ns = idle_since - now < w->opts.spin_ns ? w->opts.spin_ns : 0;
			work = 0;
		} else {
#ifdef __x86_64__
			__builtin_ia32_pause();
#endif
		}
	}
}

/* Calls that were queued before the end still run here; later ones run on their callers' threads. */
static void worker_close(struct soft_worker *w)
{
	for (;;) {
		calls_run(w, NULL);
		pthread_mutex_lock(&w->lock);
		if (!w->head && !w->hold)
			break;
		pthread_mutex_unlock(&w->lock);
	}
	w->running = false;
	pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *arg)
{
	struct soft_worker *w = arg;
	struct timespec ts;

	/* Deadlines of paced generators are finer than the default slack of 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000ul);
	pthread_setname_np(pthread_self(), w->name);
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->lock);
	worker_loop(w);
	for (unsigned int i = 0; i < w->contexts; i++)
		soft_context_publish(w->context[i]);
	worker_close(w);
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) == 0)
		p2p_count(&w->cpu_ns, ts.tv_sec * 1000000000ull + ts.tv_nsec);
	return NULL;
}

/* --- life --- */

int soft_worker_create(struct soft_worker **out, const struct soft_worker_opts *opts, char err[SOFT_ERR_MAX])
{
	struct soft_worker *w;
	cpu_set_t have;
	int e;

	if (opts->core >= 0 && sched_getaffinity(0, sizeof(have), &have) == 0 &&
	    (opts->core >= CPU_SETSIZE || !CPU_ISSET(opts->core, &have))) {
		snprintf(err, SOFT_ERR_MAX, "core %d: this process may not run there; see `taskset -p $$`", opts->core);
		return -EINVAL;
	}
	w = aligned_alloc(P2P_APART_BYTES, P2P_ALIGN_UP(sizeof(*w), (size_t)P2P_APART_BYTES));
	if (!w) {
		snprintf(err, SOFT_ERR_MAX, "can't make a worker: out of memory");
		return -ENOMEM;
	}
	memset(w, 0, sizeof(*w));
	w->pfd = calloc(MAX_FDS, sizeof(*w->pfd));
	if (!w->pfd) {
		e = -ENOMEM;
		snprintf(err, SOFT_ERR_MAX, "can't make a worker: out of memory");
		goto free_worker;
	}
	e = bell_open(err);
	if (e)
		goto free_pfd;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0) {
		e = -errno;
		snprintf(err, SOFT_ERR_MAX, "can't make a worker: no eventfd: %s", strerror(-e));
		goto free_pfd;
	}
	w->opts = *opts;
	if (!w->opts.spin_ns)
		w->opts.spin_ns = SPIN_DEFAULT_NS;
	w->tail = &w->head;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	*out = w;
	return 0;
free_pfd:
	free(w->pfd);
free_worker:
	free(w);
	return e;
}

int soft_worker_attach(struct soft_worker *w, struct soft_nic *nic, unsigned int queue)
{
	struct soft_context *c;

	if (queue >= nic->queues)
		return -EINVAL;
	if (w->started)
		return -EBUSY;
	if (w->contexts == MAX_CONTEXTS)
		return -ENOSPC;
	c = &nic->context[queue];
	pthread_mutex_lock(&nic->lock);
	if (c->worker) {
		pthread_mutex_unlock(&nic->lock);
		return -EEXIST;
	}
	w->context[w->contexts++] = c;
	__atomic_store_n(&c->worker, w, __ATOMIC_RELEASE);
	__atomic_store_n(&c->core, w->opts.core, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&nic->lock);
	return 0;
}

int soft_worker_detach(struct soft_worker *w, struct soft_nic *nic, unsigned int queue)
{
	if (w->started)
		return -EBUSY;
	for (unsigned int i = 0; i < w->contexts; i++) {
		struct soft_context *c = w->context[i];

		if (c->ctx.nic != nic || c->queue != queue)
			continue;
		memmove(&w->context[i], &w->context[i + 1], (w->contexts - i - 1) * sizeof(w->context[0]));
		w->contexts--;
		pthread_mutex_lock(&nic->lock);
		__atomic_store_n(&c->worker, NULL, __ATOMIC_RELEASE);
		__atomic_store_n(&c->core, SOFT_CORE_NONE, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&nic->lock);
		return 0;
	}
	return -ENOENT;
}

int soft_worker_attach_task(struct soft_worker *w, uint64_t (*step)(void *arg, uint64_t now_ns), void *arg, int fd)
{
	if (w->started)
		return -EBUSY;
	if (w->tasks == MAX_TASKS)
		return -ENOSPC;
	w->task[w->tasks++] = (struct soft_task){ step, arg, fd };
	return 0;
}

/* Is context i the first of its NIC on this worker? */
static bool nic_first(const struct soft_worker *w, unsigned int i)
{
	for (unsigned int k = 0; k < i; k++)
		if (w->context[k]->ctx.nic == w->context[i]->ctx.nic)
			return false;
	return true;
}

int soft_worker_start(struct soft_worker *w)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int err;

	if (w->started)
		return -EBUSY;
	w->stop = false;
	w->last_control = 0;
	pthread_attr_init(&attr);
	if (w->opts.core >= 0)
		snprintf(w->name, sizeof(w->name), "p2p-core%u", w->opts.core % 10000u);
	else
		snprintf(w->name, sizeof(w->name), "p2p-%.11s", w->contexts ? w->context[0]->ctx.nic->name : "task");
	if (w->opts.core >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(w->opts.core, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	/* Whoever calls on its own thread must have left each NIC before the worker enters it. */
	for (unsigned int i = 0; i < w->contexts; i++)
		if (nic_first(w, i))
			pthread_mutex_lock(&w->context[i]->ctx.nic->lock);
	/* Signals are for the process's main thread; SIGBUS is synchronous and stays (ports/guard.h). */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&w->lock);
	err = -pthread_create(&w->thread, &attr, worker_main, w);
	if (!err) {
		w->running = true;
		__atomic_store_n(&w->started, true, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&w->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (unsigned int i = w->contexts; i-- > 0;)
		if (nic_first(w, i))
			pthread_mutex_unlock(&w->context[i]->ctx.nic->lock);
	pthread_attr_destroy(&attr);
	return err;
}

void soft_worker_stop(struct soft_worker *w)
{
	if (!w->started)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	soft_event_signal(w->event_fd);
	pthread_join(w->thread, NULL);
	__atomic_store_n(&w->started, false, __ATOMIC_RELEASE);
}

void soft_worker_destroy(struct soft_worker *w)
{
	if (!w)
		return;
	soft_worker_stop(w);
	while (w->contexts)
		soft_worker_detach(w, w->context[w->contexts - 1]->ctx.nic, w->context[w->contexts - 1]->queue);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	close(w->event_fd);
	free(w->pfd);
	free(w);
}

uint64_t soft_worker_cpu_ns(const struct soft_worker *w)
{
	struct soft_worker *rw = (struct soft_worker *)w;
	struct timespec ts;
	uint64_t ns = 0;
	clockid_t id;

	pthread_mutex_lock(&rw->lock);
	if (w->running && pthread_getcpuclockid(w->thread, &id) == 0 && clock_gettime(id, &ts) == 0)
		ns = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	pthread_mutex_unlock(&rw->lock);
	return ns + p2p_count_read(&w->cpu_ns);
}

void soft_worker_stats(const struct soft_worker *w, struct soft_worker_stats *out)
{
	*out = (struct soft_worker_stats){ .core = w->opts.core,
					   .loops = p2p_count_read(&w->loops),
					   .busy_loops = p2p_count_read(&w->busy_loops),
					   .busy_ticks = p2p_count_read(&w->busy_ticks),
					   .tick_hz = soft_tick_hz(),
					   .tick = soft_tick_name() };
}
