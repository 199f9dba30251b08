/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker: sleeps when idle, wakes for ports, bells, calls, tasks and deadlines; starts and stops again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_fw.h"
#include "tests/unit/sock/filled.h"

#define PATIENCE_S 30 /* SIGALRM ends who sleeps where it must not */
#define TIMES 20u

int __real_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask);

static int taken_back_fd = -1;
static uint32_t taken_back; /* how often */

struct fixture {
	struct fake_port port;
	struct soft_nic *nic;
	struct soft_worker *worker;
};

static uint32_t get(const uint32_t *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

static void begin(struct fixture *f, bool poll)
{
	struct soft_worker_opts opts = { .core = -1, .poll = poll, .spin_ns = 20000 };
	char err[SOFT_ERR_MAX];

	assert_int_equal(soft_worker_create(&f->worker, &opts, err), 0);
	assert_int_equal(soft_worker_attach(f->worker, f->nic, 0), 0);
	assert_int_equal(soft_worker_start(f->worker), 0);
	fake_nic_configure(f->nic, 1, 64, 64);
	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_ENABLE);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_port_init(&f->port);
	f->nic = fake_nic_create("nic0", &f->port);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	soft_worker_destroy(f->worker);
	soft_nic_destroy(f->nic);
	fake_port_fini(&f->port);
	free(f);
	return 0;
}

/* The worker's loop has come to rest: no step for 20 ms. */
static void settle(struct fixture *f)
{
	uint32_t before;

	do {
		before = get(&f->nic->fw[0]->steps);
		usleep(20000);
	} while (get(&f->nic->fw[0]->steps) != before);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
}

static void await(const uint64_t *counter, uint64_t value)
{
	while (p2p_count_read(counter) < value)
		usleep(100);
}

static void test_sleeps_and_wakes_for_a_port(void **state)
{
	struct fixture *f = *state;

	begin(f, false);
	for (unsigned int i = 1; i <= 20; i++) {
		settle(f);
		assert_true(get(&f->nic->fw[0]->sleeps) == get(&f->nic->fw[0]->wakes) + 1);
		signal_fd(f->port.fd);
		await(&f->port.port.stats.rx_frames, i);
	}
	assert_true(get(&f->port.arms) >= 20);
}

static void test_wakes_for_a_bell(void **state)
{
	struct fixture *f = *state;
	int bell = eventfd(0, EFD_CLOEXEC);
	uint32_t wakes;

	begin(f, false);
	assert_int_equal(soft_function_ops.irq_set(f->nic, P2P_IRQ_WAKE, 0, 1, &bell), 0);
	settle(f);
	wakes = get(&f->nic->fw[0]->wakes);
	signal_fd(bell);
	while (get(&f->nic->fw[0]->wakes) == wakes)
		usleep(100);
	/* The bell was taken: it comes to rest again. */
	settle(f);
	close(bell);
}

int __wrap_ppoll(struct pollfd *p, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
	int rc = __real_ppoll(p, n, t, mask), fd = __atomic_load_n(&taken_back_fd, __ATOMIC_ACQUIRE);

	if (rc > 0 && fd >= 0 && bell_clear(fd))
		__atomic_fetch_add(&taken_back, 1, __ATOMIC_ACQ_REL);
	return rc;
}

/* Whoever holds the bell, too, makes it one that blocks and takes it back, between the worker's look and its reading. */
static void test_bell_taken_back(void **state)
{
	struct fixture *f = *state;
	int bell = eventfd(0, EFD_CLOEXEC);

	alarm(PATIENCE_S);
	begin(f, false);
	assert_int_equal(soft_function_ops.irq_set(f->nic, P2P_IRQ_WAKE, 0, 1, &bell), 0);
	assert_int_equal(fcntl(bell, F_SETFL, 0), 0);
	__atomic_store_n(&taken_back_fd, bell, __ATOMIC_RELEASE);
	for (uint32_t seen = 0; seen < TIMES; seen = get(&taken_back)) {
		while (get(&taken_back) == seen) {
			signal_fd(bell);
			usleep(100);
		}
		/* The worker answers. */
		fake_reg_read(f->nic, P2P_AGE_S);
	}
	soft_worker_stop(f->worker);
	__atomic_store_n(&taken_back_fd, -1, __ATOMIC_RELEASE);
	alarm(0);
	close(bell);
}

/* The same with a bell that the worker rings: it is full when it does. */
static void test_bell_filled(void **state)
{
	struct fixture *f = *state;
	int bell = eventfd(0, EFD_CLOEXEC);

	alarm(PATIENCE_S);
	begin(f, false);
	assert_int_equal(soft_function_ops.irq_set(f->nic, P2P_IRQ_BELL, 1, 1, &bell), 0);
	for (unsigned int i = 1; i <= TIMES; i++) {
		filled_arm(bell, true);
		assert_int_equal(soft_function_ops.irq_trigger(f->nic, P2P_IRQ_BELL, 1), 0);
		assert_int_equal(filled.times, i);
	}
	soft_worker_stop(f->worker);
	alarm(0);
	close(bell);
}

static void test_polling_never_sleeps(void **state)
{
	struct fixture *f = *state;
	uint32_t before;

	begin(f, true);
	before = get(&f->nic->fw[0]->steps);
	while (get(&f->nic->fw[0]->steps) - before < 100000)
		usleep(1000);
	assert_int_equal(get(&f->nic->fw[0]->sleeps), 0);
}

static void test_next_event(void **state)
{
	struct fixture *f = *state;
	uint64_t due;
	uint32_t steps;

	begin(f, false);
	settle(f);
	/* Every sleep ends at most 100 ms later; this one at the port's time, without any descriptor. */
	due = soft_now_ns() + 300000000;
	__atomic_store_n(&f->port.next_ns, due, __ATOMIC_RELAXED);
	signal_fd(f->port.fd);
	await(&f->port.port.stats.rx_frames, 1);
	while (soft_now_ns() < due)
		usleep(1000);
	steps = get(&f->nic->fw[0]->steps);
	while (get(&f->nic->fw[0]->steps) == steps)
		usleep(100);
}

static uint64_t heart(struct fw_nic *fw, void *arg)
{
	uint64_t *beat = arg, now = board_now_ns(fw->b);

	if (now < *beat)
		return *beat;
	*beat = now + 10000000;
	return 0;
}

static int heart_begin(struct soft_nic *nic, void *arg)
{
	nic->fw[0]->arg = arg;
	nic->fw[0]->step = heart;
	return 0;
}

/* With a heartbeat every 10 ms it stays asleep but for the beats. */
static void test_heartbeats_are_cheap(void **state)
{
	struct fixture *f = *state;
	uint64_t beat = 0, cpu;
	uint32_t steps, sleeps;

	begin(f, false);
	soft_nic_call(f->nic, heart_begin, &beat);
	usleep(100000);
	steps = get(&f->nic->fw[0]->steps);
	sleeps = get(&f->nic->fw[0]->sleeps);
	cpu = soft_worker_cpu_ns(f->worker);
	usleep(1000000);
	print_message("1 s of heartbeats: %u steps, %u sleeps, %u us of CPU\n", get(&f->nic->fw[0]->steps) - steps,
		      get(&f->nic->fw[0]->sleeps) - sleeps, (unsigned int)((soft_worker_cpu_ns(f->worker) - cpu) / 1000));
	assert_in_range(get(&f->nic->fw[0]->steps) - steps, 10, 1000);
	assert_true(get(&f->nic->fw[0]->sleeps) - sleeps < 10);
	soft_worker_stop(f->worker);
}

static int add_one(struct soft_nic *nic, void *arg)
{
	return ++*(unsigned int *)arg;
}

static void *caller(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 1000; i++)
		fake_reg_read(f->nic, P2P_AGE_S);
	return NULL;
}

static void test_calls(void **state)
{
	struct fixture *f = *state;
	unsigned int n = 0;
	pthread_t t[4];

	begin(f, false);
	settle(f);
	assert_int_equal(soft_nic_call(f->nic, add_one, &n), 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, caller, f), 0);
	for (int i = 0; i < 200; i++)
		soft_nic_call(f->nic, add_one, &n);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(n, 201);
}

/* Calls go on across stop and start: some run on the worker, some on the caller, none is lost. */
static void test_stop_and_start_under_calls(void **state)
{
	struct fixture *f = *state;
	pthread_t t[4];

	begin(f, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, caller, f), 0);
	for (int i = 0; i < 50; i++) {
		soft_worker_stop(f->worker);
		assert_int_equal(soft_worker_start(f->worker), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(soft_worker_start(f->worker), -EBUSY);
	assert_int_equal(soft_worker_detach(f->worker, f->nic, 0), -EBUSY);
	soft_worker_stop(f->worker);
	assert_int_equal(soft_worker_detach(f->worker, f->nic, 0), 0);
	assert_int_equal(soft_worker_detach(f->worker, f->nic, 0), -ENOENT);
	assert_true(soft_worker_cpu_ns(f->worker) > 0);
}

static uint64_t busy_step(struct fw_nic *nic, void *arg)
{
	return 0;
}

/* Both contexts stand still while a call runs, whichever workers they are on. */
static int still(struct soft_nic *nic, void *arg)
{
	uint32_t before[2] = { get(&nic->fw[0]->steps), get(&nic->fw[1]->steps) };

	usleep(2000);
	*(bool *)arg &= get(&nic->fw[0]->steps) == before[0] && get(&nic->fw[1]->steps) == before[1];
	return 7;
}

static void both_step(struct fixture *f)
{
	uint32_t before[2] = { get(&f->nic->fw[0]->steps), get(&f->nic->fw[1]->steps) };

	while (get(&f->nic->fw[0]->steps) == before[0] || get(&f->nic->fw[1]->steps) == before[1])
		;
}

/* Context 0 on f->worker, context 1 on other. */
static void check_two_workers(struct fixture *f, struct soft_worker *other, struct fake_port *second)
{
	pthread_t t[4];
	bool good = true;

	assert_int_equal(soft_worker_start(f->worker), 0);
	/* One of the two runs, then both. */
	assert_int_equal(soft_nic_call(f->nic, still, &good), 7);
	assert_int_equal(soft_worker_start(other), 0);
	fake_nic_configure(f->nic, 1, 64, 64);
	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_ENABLE);
	assert_int_equal(second->mem.queues, 2);
	assert_ptr_not_equal(second->mem.region[0].base, f->port.mem.region[0].base);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, caller, f), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(soft_nic_call(f->nic, still, &good), 7);
	for (int i = 0; i < 20; i++) {
		soft_worker_stop(other);
		assert_int_equal(soft_nic_call(f->nic, still, &good), 7);
		assert_int_equal(soft_worker_start(other), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_true(good);
	both_step(f);
}

static void test_contexts(void **state)
{
	struct soft_worker_opts opts = { .core = -1, .poll = true };
	struct fixture f = { 0 };
	struct fake_port second;
	struct soft_worker *other;
	char err[SOFT_ERR_MAX];
	bool good = true;

	fake_port_init(&f.port);
	fake_port_init(&second);
	f.port.second = &second;
	f.nic = fake_nic_create("two", &f.port);
	f.nic->fw[0]->step = f.nic->fw[1]->step = busy_step;
	assert_int_equal(soft_worker_create(&f.worker, &opts, err), 0);
	assert_int_equal(soft_worker_create(&other, &opts, err), 0);
	assert_int_equal(soft_worker_attach(f.worker, f.nic, 2), -EINVAL);
	assert_int_equal(soft_worker_attach(f.worker, f.nic, 0), 0);
	assert_int_equal(soft_worker_attach(other, f.nic, 1), 0);
	check_two_workers(&f, other, &second);
	/* Both on one worker. */
	soft_worker_destroy(other);
	soft_worker_stop(f.worker);
	assert_int_equal(soft_worker_attach(f.worker, f.nic, 1), 0);
	assert_int_equal(soft_worker_start(f.worker), 0);
	assert_int_equal(soft_nic_call(f.nic, still, &good), 7);
	assert_true(good);
	both_step(&f);
	soft_worker_destroy(f.worker);
	soft_nic_destroy(f.nic);
	fake_port_fini(&second);
	fake_port_fini(&f.port);
}

struct task {
	int fd;
	uint64_t runs;
};

static uint64_t task_step(void *arg, uint64_t now_ns)
{
	struct task *t = arg;
	uint64_t n;

	if (read(t->fd, &n, sizeof(n)) != sizeof(n))
		return UINT64_MAX;
	p2p_count(&t->runs, n);
	return 0;
}

static void test_task(void **state)
{
	struct fixture *f = *state;
	struct soft_worker_opts opts = { .core = 0, .spin_ns = 20000 };
	struct task t = { .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	char err[SOFT_ERR_MAX];

	assert_int_equal(soft_worker_create(&f->worker, &opts, err), 0);
	assert_int_equal(soft_worker_attach_task(f->worker, task_step, &t, t.fd), 0);
	assert_int_equal(soft_worker_start(f->worker), 0);
	for (unsigned int i = 1; i <= 50; i++) {
		usleep(i * 20);
		signal_fd(t.fd);
		await(&t.runs, i);
	}
	soft_worker_stop(f->worker);
	close(t.fd);
}

static void test_core_that_is_not_there(void **state)
{
	struct soft_worker_opts opts = { .core = 1000 };
	struct soft_worker *w = NULL;
	char err[SOFT_ERR_MAX];

	assert_int_equal(soft_worker_create(&w, &opts, err), -EINVAL);
	assert_non_null(strstr(err, "core 1000"));
	assert_null(w);
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct soft_nic_stats s;

	begin(f, false);
	signal_fd(f->port.fd);
	await(&f->port.port.stats.rx_frames, 1);
	soft_nic_stats(f->nic, &s);
	assert_string_equal(s.name, "nic0");
	assert_string_equal(s.state, "running");
	assert_int_equal(s.ports, 1);
	assert_int_equal(s.port[0].s.rx_frames, 1);
	assert_true(s.port[0].link_up);
	assert_int_equal(s.slots, 64);
	assert_int_equal(s.buf_size, 2048);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_sleeps_and_wakes_for_a_port), T(test_wakes_for_a_bell), T(test_polling_never_sleeps),
		T(test_next_event), T(test_heartbeats_are_cheap), T(test_calls), T(test_stop_and_start_under_calls),
		cmocka_unit_test(test_contexts), T(test_task), T(test_bell_taken_back), T(test_bell_filled),
		T(test_core_that_is_not_there), T(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
