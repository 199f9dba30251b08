/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket: answers, garbage, many and slow observers, its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_fw.h"

struct fixture {
	struct fake_port port;
	struct soft_nic *nic;
	struct soft_worker *worker;
	struct soft_ctl *ctl;
	char dir[64], path[96];
};

static const struct sock_trust nobody; /* but us and root */

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct soft_worker_opts opts = { .core = -1 };
	char err[SOFT_ERR_MAX];

	snprintf(f->dir, sizeof(f->dir), "/tmp/p2pnic-ctl-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/nic.ctl", f->dir);
	fake_port_init(&f->port);
	f->nic = fake_nic_create("nic0", &f->port);
	assert_int_equal(soft_worker_create(&f->worker, &opts, err), 0);
	assert_int_equal(soft_worker_attach(f->worker, f->nic, 0), 0);
	assert_int_equal(soft_worker_start(f->worker), 0);
	fake_nic_configure(f->nic, 2, 64, 64);
	if (soft_ctl_create(&f->ctl, f->path, &nobody, err) != 0)
		fail_msg("%s", err);
	assert_int_equal(soft_ctl_add(f->ctl, f->nic), 0);
	assert_int_equal(soft_ctl_add_worker(f->ctl, f->worker), 0);
	assert_int_equal(soft_ctl_start(f->ctl), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	soft_ctl_destroy(f->ctl);
	soft_worker_destroy(f->worker);
	soft_nic_destroy(f->nic);
	fake_port_fini(&f->port);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int observe(const struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void say(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* One line, parsed; NULL: closed. */
static struct json_object *hear(int fd)
{
	static char line[1 << 20];
	struct json_object *o;
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	o = n ? json_tokener_parse(line) : NULL;
	return o;
}

static struct json_object *ask(int fd, const char *text)
{
	say(fd, text, strlen(text));
	return hear(fd);
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	if (!json_object_object_get_ex(o, key, &v))
		fail_msg("no \"%s\"", key);
	return v;
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct json_object *o, *nic, *port;
	int fd = observe(f);

	o = ask(fd, "{\"get\":\"stats\"}\n");
	nic = json_object_array_get_idx(member(o, "nics"), 0);
	assert_string_equal(json_object_get_string(member(nic, "name")), "nic0");
	assert_string_equal(json_object_get_string(member(nic, "state")), "configured");
	assert_string_equal(json_object_get_string(member(nic, "mode")), "wr");
	assert_int_equal(json_object_get_int(member(nic, "dma_faults")), 0);
#define X(name, desc) member(member(nic, "drops"), #name);
	P2P_DROPS(X)
#undef X
#define X(name, desc) member(member(nic, "events"), #name);
	P2P_EVENTS(X)
#undef X
	port = json_object_array_get_idx(member(nic, "ports"), 0);
#define X(name, desc) member(port, #name);
	PORT_COUNTERS(X)
#undef X
	assert_string_equal(json_object_get_string(member(port, "name")), "fake:");
	assert_int_equal(json_object_array_length(member(nic, "peers")), 2);
	json_object_put(o);
	close(fd);
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, 8), 8);
}

static struct json_object *worker_of(struct json_object *stats)
{
	struct json_object *list = member(stats, "workers");

	assert_int_equal(json_object_array_length(list), 1);
	return json_object_array_get_idx(list, 0);
}

/* A call wakes the worker, whose loops are counted; a NIC that has something to do makes them busy. */
static void test_workers(void **state)
{
	struct fixture *f = *state;
	struct json_object *o, *w;
	uint64_t loops, busy, cycles, hz;
	int fd = observe(f);

	o = ask(fd, "{\"get\":\"stats\"}\n");
	w = worker_of(o);
	assert_int_equal(json_object_get_int(member(w, "core")), -1);
	assert_string_equal(json_object_get_string(member(w, "cycle_unit")), soft_ticks_are_tsc ? "tsc" : "ns");
	loops = json_object_get_uint64(member(w, "loops"));
	busy = json_object_get_uint64(member(w, "busy_loops"));
	cycles = json_object_get_uint64(member(w, "busy_cycles"));
	hz = json_object_get_uint64(member(w, "tsc_hz"));
	json_object_put(o);
	assert_true(busy <= loops);
	assert_true(hz >= 10000000 && hz <= 10000000000);

	fake_reg_write(f->nic, P2P_CONTROL, P2P_CTL_ENABLE);
	signal_fd(f->port.fd);
	while (p2p_count_read(&f->port.port.stats.rx_frames) < 1)
		usleep(100);
	do {
		o = ask(fd, "{\"get\":\"stats\"}\n");
		w = worker_of(o);
		assert_true(json_object_get_uint64(member(w, "loops")) >= loops);
		assert_true(json_object_get_uint64(member(w, "busy_loops")) <= json_object_get_uint64(member(w, "loops")));
		loops = json_object_get_uint64(member(w, "busy_loops"));
		if (loops > busy)
			assert_true(json_object_get_uint64(member(w, "busy_cycles")) > cycles);
		json_object_put(o);
	} while (loops == busy);

	soft_ctl_remove_worker(f->ctl, f->worker);
	soft_ctl_remove_worker(f->ctl, f->worker);
	o = ask(fd, "{\"get\":\"stats\"}\n");
	assert_int_equal(json_object_array_length(member(o, "workers")), 0);
	json_object_put(o);
	close(fd);
}

static void read_more(void *arg, uint64_t *v)
{
	v[0] = *(uint64_t *)arg;
	v[1] = UINT64_MAX;
}

/* Somebody else's counters along with a NIC's, asked for anew at each answer, until they are taken away. */
static void test_more(void **state)
{
	static const char *const names[] = { "comers", "goers" };
	struct fixture *f = *state;
	uint64_t comers = 7;
	const struct soft_ctl_more more = { .key = "door", .names = names, .n = 2, .read = read_more, .arg = &comers };
	struct json_object *o, *door;
	int fd = observe(f);

	soft_ctl_more(f->ctl, f->nic, &more);
	for (; comers < 9; comers++) {
		o = ask(fd, "{\"get\":\"stats\"}\n");
		door = member(json_object_array_get_idx(member(o, "nics"), 0), "door");
		assert_int_equal(json_object_get_uint64(member(door, "comers")), comers);
		assert_true(json_object_get_uint64(member(door, "goers")) == UINT64_MAX);
		json_object_put(o);
	}
	soft_ctl_more(f->ctl, NULL, NULL);
	o = ask(fd, "{\"get\":\"stats\"}\n");
	assert_false(json_object_object_get_ex(json_object_array_get_idx(member(o, "nics"), 0), "door", &door));
	json_object_put(o);
	close(fd);
}

static void test_info_and_regs(void **state)
{
	struct fixture *f = *state;
	struct json_object *o, *regs;
	bool slots = false;
	int fd = observe(f);

	o = ask(fd, "{\"get\":\"info\"}\n");
	assert_int_equal(json_object_get_int(member(o, "pid")), getpid());
	assert_int_equal(json_object_array_length(member(o, "nics")), 1);
	json_object_put(o);
	o = ask(fd, "{\"get\":\"regs\",\"nic\":\"nic0\"}\n");
	regs = member(o, "regs");
	for (size_t i = 0; i < json_object_array_length(regs); i++) {
		struct json_object *r = json_object_array_get_idx(regs, i);

		if (strcmp(json_object_get_string(member(r, "name")), "SLOTS") != 0)
			continue;
		slots = true;
		assert_int_equal(json_object_get_int(member(r, "offset")), P2P_SLOTS);
		assert_int_equal(json_object_get_int(member(r, "value")), 64);
	}
	assert_true(slots);
	json_object_put(o);
	o = ask(fd, "{\"get\":\"regs\",\"nic\":\"nobody\"}\n");
	member(o, "error");
	json_object_put(o);
	close(fd);
}

static void test_garbage(void **state)
{
	static const char *const lines[] = {
		"\n", "x\n", "{\n", "[]\n", "null\n", "7\n", "\"get\"\n", "{}\n", "{\"get\":7}\n", "{\"get\":\"all\"}\n",
		"{\"get\":\"stats\"} {\"get\":\"stats\"}\n", "{\"get\":\"regs\"}\n", "{\"get\":\"regs\",\"nic\":7}\n",
		"{\"get\":null}\n", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n", "\xff\xfe\x80\n", "{\"get\":\"stats\"\n",
	};
	struct fixture *f = *state;
	struct json_object *o;
	int fd = observe(f);

	for (size_t i = 0; i < P2P_ARRAY_SIZE(lines); i++) {
		o = ask(fd, lines[i]);
		member(o, "error");
		json_object_put(o);
	}
	say(fd, "\0\0{\"get\":\"stats\"}\n", 18);
	o = hear(fd);
	member(o, "error");
	json_object_put(o);
	/* And still it serves. */
	o = ask(fd, "{\"get\":\"stats\"}\n");
	member(o, "nics");
	json_object_put(o);
	close(fd);
}

static void test_line_without_end(void **state)
{
	struct fixture *f = *state;
	struct json_object *o;
	char text[5000];
	int fd = observe(f);

	memset(text, ' ', sizeof(text));
	(void)!send(fd, text, sizeof(text), MSG_NOSIGNAL);
	o = hear(fd);
	member(o, "error");
	json_object_put(o);
	assert_null(hear(fd));
	close(fd);
}

static void test_pieces_and_many_lines(void **state)
{
	static const char line[] = "{\"get\":\"info\"}\n";
	struct fixture *f = *state;
	struct json_object *o;
	int fd = observe(f);

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		say(fd, line + i, 1);
		usleep(1000);
	}
	for (int i = 0; i < 100; i++)
		say(fd, line, sizeof(line) - 1);
	for (int i = 0; i < 101; i++) {
		o = hear(fd);
		member(o, "pid");
		json_object_put(o);
	}
	close(fd);
}

/* Observers that ask and never read do not keep others from their answers. */
static void test_slow_observers(void **state)
{
	static const char line[] = "{\"get\":\"stats\"}\n";
	struct fixture *f = *state;
	struct json_object *o;
	int slow[8], fd, extra[64];

	for (int i = 0; i < 8; i++) {
		slow[i] = observe(f);
		while (send(slow[i], line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			;
	}
	for (int i = 0; i < 20; i++) {
		fd = observe(f);
		o = ask(fd, line);
		member(o, "nics");
		json_object_put(o);
		close(fd);
	}
	for (int i = 0; i < 64; i++)
		extra[i] = observe(f);
	for (int i = 0; i < 64; i++)
		close(extra[i]);
	for (int i = 0; i < 8; i++)
		close(slow[i]);
	do {
		fd = observe(f);
		o = send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0 ? hear(fd) : NULL;
		close(fd);
	} while (!o);
	json_object_put(o);
}

#define PLACES 64

/* However many say nothing, who asks is answered: those that were idle longest make room. */
static void test_idle_observers(void **state)
{
	static const char line[] = "{\"get\":\"info\"}\n";
	struct fixture *f = *state;
	int idle[PLACES + 8], fd, i;
	struct json_object *o;
	char c;

	for (i = 0; i < PLACES + 8; i++)
		idle[i] = observe(f);
	/* The first of those that are left asks: then the next one is the oldest. */
	o = ask(idle[8], line);
	member(o, "pid");
	json_object_put(o);
	for (i = 0; i < 3; i++) {
		fd = observe(f);
		o = ask(fd, line);
		if (!o)
			fail_msg("turned away");
		member(o, "pid");
		json_object_put(o);
		close(fd);
		if (i == 0) /* its place is free when the next one comes, if the server has seen that */
			assert_int_equal(recv(idle[9], &c, 1, 0), 0);
	}
	for (i = 0; i < 8; i++)
		assert_int_equal(recv(idle[i], &c, 1, 0), 0);
	o = ask(idle[8], line);
	member(o, "pid");
	json_object_put(o);
	o = ask(idle[PLACES + 7], line);
	member(o, "pid");
	json_object_put(o);
	for (i = 0; i < PLACES + 8; i++)
		close(idle[i]);
}

int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
static unsigned int accepts;

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	__atomic_add_fetch(&accepts, 1, __ATOMIC_RELAXED);
	return __real_accept4(fd, addr, len, flags);
}

/* Without descriptors the listener is asked now and then, not without pause; and when there are some again who waits is answered. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), next = dup(fd);
	uint64_t began, ms;
	struct rlimit was, none;
	struct json_object *o;
	unsigned int n;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", f->path);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)next;
	__atomic_store_n(&accepts, 0, __ATOMIC_RELAXED);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	began = soft_now_ns();
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	while (__atomic_load_n(&accepts, __ATOMIC_RELAXED) < 2)
		usleep(1000);
	usleep(200000);
	n = __atomic_load_n(&accepts, __ATOMIC_RELAXED);
	ms = (soft_now_ns() - began) / 1000000;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	if (n > ms / 50 + 2)
		fail_msg("%u tries in %" PRIu64 " ms", n, ms);
	o = ask(fd, "{\"get\":\"info\"}\n");
	member(o, "pid");
	json_object_put(o);
	close(fd);
}

static void test_path(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char err[SOFT_ERR_MAX], longer[200], other[sizeof(addr.sun_path)];
	struct soft_ctl *c = NULL;
	struct stat st;
	int fd;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(soft_ctl_create(&c, f->path, &nobody, err), -EADDRINUSE);
	assert_non_null(strstr(err, "another process"));
	memset(longer, 'x', sizeof(longer));
	longer[199] = '\0';
	assert_int_equal(soft_ctl_create(&c, longer, &nobody, err), -ENAMETOOLONG);
	assert_int_equal(soft_ctl_create(&c, f->dir, &nobody, err), -EEXIST);
	snprintf(other, sizeof(other), "%s/none/x.ctl", f->dir);
	assert_int_equal(soft_ctl_create(&c, other, &nobody, err), -ENOENT);
	/* A socket that nobody listens on is replaced. */
	snprintf(other, sizeof(other), "%s/stale.ctl", f->dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", other);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(soft_ctl_create(&c, other, &nobody, err), 0);
	soft_ctl_destroy(c);
	assert_int_equal(stat(other, &st), -1);
	/* One that has been replaced by another's is left alone. */
	assert_int_equal(soft_ctl_create(&c, other, &nobody, err), 0);
	assert_int_equal(unlink(other), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	soft_ctl_destroy(c);
	assert_int_equal(unlink(other), 0);
	close(fd);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_stats), T(test_workers), T(test_more), T(test_info_and_regs), T(test_garbage), T(test_line_without_end),
		T(test_pieces_and_many_lines), T(test_slow_observers), T(test_idle_observers),
		T(test_no_descriptors), T(test_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
