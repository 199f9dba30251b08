/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stands at the far ends of memif cables in the integration tests.
 *
 * cable wake COUNT MIN_US MAX_US SILENCE_MS SEED SPEC SPEC
 *   Waits until both links are up, is silent for SILENCE_MS, then sends COUNT
 *   single frames into the first cable, random pauses of MIN_US to MAX_US
 *   between them, and waits for each at the second, polling.
 * cable raw COUNT MIN_US MAX_US SEED
 *   The machine's own share: as wake, but two sleeping processes hand an eventfd
 *   on, with nothing in between.
 * cable drain RATE MS SPEC [hello]
 *   Takes no more than RATE frames per second (0: all) off the cable for MS
 *   milliseconds, and counts them by source address.  Frames that come before the
 *   cable has been backlogged for 100 ms are not counted if RATE is not 0.  With
 *   hello it sends a frame ten times a second, so that bridges know its
 *   address, 02:00:00:00:00:01.
 *
 * Prints one JSON object.  Exit status 0: the cable was there throughout.
 */
#include "tests/unit/memif/env.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CABLE_STRIDE 2048
#define CABLE_PATIENCE_NS 10000000000ull
#define CABLE_FRAME_NS 1000000000ull /* a frame that takes longer is lost */
#define CABLE_MAX_SOURCES 64
#define CABLE_BACKLOG_NS 100000000ull
#define CABLE_HELLO_NS 100000000ull

static void cable_nap(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	nanosleep(&ts, NULL);
}

static int cable_link_wait(struct env *e, unsigned int n)
{
	uint64_t end = env_now_ns() + CABLE_PATIENCE_NS;
	unsigned int up;

	do {
		up = 0;
		for (unsigned int i = 0; i < n; i++) {
			env_control(&e[i]);
			up += e[i].port->ops->link_up(e[i].port);
		}
		if (up == n)
			return 0;
		cable_nap(1000000);
	} while (env_now_ns() < end);
	fprintf(stderr, "the links did not come up within 10 s\n");
	return 1;
}

static int cable_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* One frame; its time, or 0 if it did not come. */
static uint64_t wake_once(struct env *from, struct env *to)
{
	uint64_t before = to->received + to->corrupted, t0, t1;

	env_reap(from);
	t0 = env_now_ns();
	if (!env_send(from, 1, 60, CABLE_STRIDE))
		return 0;
	do {
		/* On few cores the one polling must not keep the one awaited from running. */
		sched_yield();
		env_receive(to, from->seed);
		t1 = env_now_ns();
	} while (to->received + to->corrupted == before && t1 - t0 < CABLE_FRAME_NS);
	return to->received + to->corrupted == before ? 0 : t1 - t0;
}

/* e NULL: only times. */
static void wake_report(const struct env *e, uint64_t *ns, unsigned int n)
{
	static const struct env none[2];
	unsigned int over = 0;

	e = e ? e : none;
	qsort(ns, n, sizeof(*ns), cable_cmp);
	for (unsigned int i = 0; i < n; i++)
		over += ns[i] > 100000;
#define AT(percent) (n ? ns[(uint64_t)(n - 1) * (percent) / 100] : 0)
	printf("{\"sent\": %" PRIu64 ", \"received\": %u, \"lost\": %" PRIu64 ", \"reordered\": %" PRIu64
	       ", \"corrupted\": %" PRIu64 ", \"min_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64 ", \"p90_ns\": %" PRIu64
	       ", \"p99_ns\": %" PRIu64 ", \"max_ns\": %" PRIu64 ", \"over_100us\": %u}\n", e[0].sent, n, e[1].lost,
	       e[1].reordered, e[1].corrupted, AT(0), AT(50), AT(90), AT(99), AT(100), over);
#undef AT
}

static int cable_wake(char **argv)
{
	unsigned int count = (unsigned int)strtoul(argv[0], NULL, 10), seed = (unsigned int)strtoul(argv[4], NULL, 10), n = 0;
	uint64_t min = strtoull(argv[1], NULL, 10), max = strtoull(argv[2], NULL, 10);
	uint64_t *ns = calloc(count ? count : 1, sizeof(*ns)), t;
	struct env e[2];

	if (!ns || max < min)
		return 2;
	env_open(&e[0], argv[5], 256, CABLE_STRIDE);
	env_open(&e[1], argv[6], 256, CABLE_STRIDE);
	if (cable_link_wait(e, 2))
		return 1;
	printf("ready\n");
	fflush(stdout);
	cable_nap(strtoull(argv[3], NULL, 10) * 1000000u);
	for (unsigned int i = 0; i < count; i++) {
		cable_nap((min + (uint64_t)rand_r(&seed) % (max - min + 1)) * 1000u);
		t = wake_once(&e[0], &e[1]);
		if (t)
			ns[n++] = t;
		env_control(&e[0]);
		env_control(&e[1]);
	}
	/* What comes late or twice. */
	cable_nap(200000000);
	while (env_receive(&e[1], e[0].seed))
		;
	wake_report(e, ns, n);
	env_close(&e[0]);
	env_close(&e[1]);
	free(ns);
	return 0;
}

/* Sleeps until in is readable, then makes out readable, or counts. */
static void raw_relay(int in, int out, uint64_t *count)
{
	struct pollfd p = { .fd = in, .events = POLLIN };
	uint64_t v;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		poll(&p, 1, -1);
		if (read(in, &v, sizeof(v)) != sizeof(v))
			_exit(1);
		v = 1;
		if (count)
			__atomic_fetch_add(count, 1, __ATOMIC_RELEASE);
		else if (write(out, &v, sizeof(v)) != sizeof(v))
			_exit(1);
	}
}

static int cable_raw(char **argv)
{
	unsigned int count = (unsigned int)strtoul(argv[0], NULL, 10), seed = (unsigned int)strtoul(argv[3], NULL, 10);
	uint64_t min = strtoull(argv[1], NULL, 10), max = strtoull(argv[2], NULL, 10), one = 1, t;
	uint64_t *seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t *ns = calloc(count ? count : 1, sizeof(*ns));
	int first = eventfd(0, EFD_CLOEXEC), second = eventfd(0, EFD_CLOEXEC);
	pid_t pid[2];

	if (seen == MAP_FAILED || !ns || first < 0 || second < 0 || max < min)
		return 2;
	for (unsigned int k = 0; k < 2; k++) {
		pid[k] = fork();
		if (!pid[k])
			raw_relay(k ? second : first, second, k ? seen : NULL);
	}
	for (unsigned int i = 0; i < count; i++) {
		cable_nap((min + (uint64_t)rand_r(&seed) % (max - min + 1)) * 1000u);
		t = env_now_ns();
		if (write(first, &one, sizeof(one)) != sizeof(one))
			return 1;
		while (__atomic_load_n(seen, __ATOMIC_ACQUIRE) == i)
			sched_yield();
		ns[i] = env_now_ns() - t;
	}
	for (unsigned int k = 0; k < 2; k++) {
		kill(pid[k], SIGKILL);
		waitpid(pid[k], NULL, 0);
	}
	wake_report(NULL, ns, count);
	free(ns);
	return 0;
}

static struct source {
	uint8_t mac[6];
	uint64_t frames;
} source[CABLE_MAX_SOURCES];
static unsigned int sources;

static void drain_count(const struct p2p_seg *s)
{
	unsigned int i;

	for (i = 0; i < sources && memcmp(source[i].mac, s->data + 6, 6); i++)
		;
	if (i == CABLE_MAX_SOURCES)
		return;
	if (i == sources)
		memcpy(source[sources++].mac, s->data + 6, 6);
	source[i].frames++;
}

static void drain_report(uint64_t frames, uint64_t ns)
{
	printf("{\"frames\": %" PRIu64 ", \"seconds\": %.3f, \"sources\": {", frames, (double)ns / 1e9);
	for (unsigned int i = 0; i < sources; i++) {
		const uint8_t *m = source[i].mac;

		printf("%s\"%02x:%02x:%02x:%02x:%02x:%02x\": %" PRIu64, i ? ", " : "", m[0], m[1], m[2], m[3], m[4], m[5],
		       source[i].frames);
	}
	printf("}}\n");
}

static void drain_hello(struct env *e, uint64_t now)
{
	static uint64_t next;

	if (now < next)
		return;
	env_reap(e);
	env_send(e, 1, 60, CABLE_STRIDE);
	next = now + CABLE_HELLO_NS;
}

static int cable_drain(char **argv, bool hello)
{
	uint64_t rate = strtoull(argv[0], NULL, 10), ms = strtoull(argv[1], NULL, 10), start, now, frames = 0, budget = 0, last;
	uint64_t full_since = 0;
	struct p2p_seg got[ENV_BURST];
	bool counting = !rate, mid = false;
	struct env e;

	env_open(&e, argv[2], 1024, CABLE_STRIDE);
	if (cable_link_wait(&e, 1))
		return 1;
	printf("ready\n");
	fflush(stdout);
	start = last = env_now_ns();
	while ((now = env_now_ns()) - start < ms * 1000000u) {
		unsigned int n, want = ENV_BURST;

		env_control(&e);
		if (hello)
			drain_hello(&e, now);
		if (rate) {
			budget += (now - last) * rate / 1000u;
			budget = budget > 1000000u * ENV_BURST ? 1000000u * ENV_BURST : budget;
			want = (unsigned int)(budget / 1000000u);
		}
		last = now;
		n = want >= (rate ? 8 : 1) ? e.port->ops->rx_burst(e.port, got, want) : 0;
		budget -= rate ? (uint64_t)n * 1000000u : 0;
		for (unsigned int i = 0; i < n; i++) {
			if (counting && !mid) {
				drain_count(&got[i]);
				frames++;
			}
			mid = got[i].flags & P2P_SEG_MORE;
			got[i].len = e.stride;
			got[i].flags = 0;
		}
		if (n)
			e.port->ops->rx_post(e.port, got, n);
		if (!counting && n && n == want) {
			full_since = full_since ? full_since : now;
			counting = now - full_since > CABLE_BACKLOG_NS;
			start = counting ? now : start;
		} else if (!counting && want >= 8) {
			full_since = 0;
		}
		if (!n)
			cable_nap(20000);
	}
	drain_report(frames, env_now_ns() - start);
	env_close(&e);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 9 && !strcmp(argv[1], "wake"))
		return cable_wake(argv + 2);
	if (argc == 6 && !strcmp(argv[1], "raw"))
		return cable_raw(argv + 2);
	if ((argc == 5 || (argc == 6 && !strcmp(argv[5], "hello"))) && !strcmp(argv[1], "drain"))
		return cable_drain(argv + 2, argc == 6);
	fprintf(stderr, "usage: cable wake COUNT MIN_US MAX_US SILENCE_MS SEED SPEC SPEC\n"
			"       cable raw COUNT MIN_US MAX_US SEED\n"
			"       cable drain RATE MS SPEC [hello]\n");
	return 2;
}
