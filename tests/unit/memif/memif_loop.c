/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memif_loop MODE COUNT SIZE[,SIZE...] WINDOW SPEC [SPEC]
 *
 *   check  one SPEC: sends COUNT frames to a far end that sends them back and
 *          checks each byte, the order and the number.  Two SPECs: each sends
 *          COUNT frames to the other through whatever joins them.  No more
 *          than WINDOW frames are under way in a direction.  SIGTERM: no more
 *          are sent, those under way must still arrive.
 *   again  check, then waits until the link has been down, and checks again.
 *   flood  SPECs as above: sends for COUNT milliseconds as fast as the port
 *          takes frames of SIZE bytes (all alike, contents unchecked) and
 *          prints the rate that arrives and this end's cycles per frame.
 *   echo   one SPEC: sends back what arrives, by buffer where that is
 *          possible, for COUNT milliseconds.
 *
 * Exit status 0: everything arrived, once, unharmed, in order; 1: not so.
 */
#include "env.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define LOOP_BUFS 1280   /* little more than a ring: the fewer go round, the more of them are in a cache */
#define LOOP_STRIDE 2112 /* an odd number of lines, so that they spread over a cache's sets */
#define LOOP_BYTES 2048
#define LOOP_PATIENCE_NS 10000000000ull

static volatile sig_atomic_t loop_ends;
static unsigned int nenv;
static struct env env[2];

static void loop_end(int sig)
{
	loop_ends = sig;
}

static void loop_control(void)
{
	static unsigned int spin;

	if (spin++ & 255)
		return;
	for (unsigned int i = 0; i < nenv; i++)
		env_control(&env[i]);
}

/* All links up, or (not up) any of them down. */
static bool loop_link_wait(bool want)
{
	uint64_t end = env_now_ns() + LOOP_PATIENCE_NS;

	for (;;) {
		bool up = true;

		for (unsigned int i = 0; i < nenv; i++) {
			env_control(&env[i]);
			up &= env[i].port->ops->link_up(env[i].port);
		}
		if (up == want)
			return true;
		if (env_now_ns() > end) {
			fprintf(stderr, "the link did not %s within 10 s\n", want ? "come up" : "go down");
			return false;
		}
	}
}

static int loop_check(uint64_t count, uint32_t size, uint64_t window)
{
	uint64_t deadline = env_now_ns() + LOOP_PATIENCE_NS, left = 1;
	int bad = 0;

	for (unsigned int i = 0; i < nenv; i++)
		env[i].sent = env[i].received = 0;
	while (left) {
		left = 0;
		for (unsigned int i = 0; i < nenv; i++) {
			struct env *from = &env[i], *to = &env[nenv - 1 - i];
			uint64_t seen = to->received + to->corrupted, under_way = from->sent - seen;
			uint64_t want = loop_ends ? from->sent : count, n = want - from->sent;

			if (n > window - under_way)
				n = window - under_way;
			if (n)
				env_send(from, (unsigned int)(n > ENV_BURST ? ENV_BURST : n), size, LOOP_BYTES);
			env_reap(from);
			if (env_receive(to, from->seed))
				deadline = env_now_ns() + LOOP_PATIENCE_NS / 5;
			left += want - (to->received + to->corrupted > want ? want : to->received + to->corrupted);
		}
		loop_control();
		if (env_now_ns() > deadline) {
			fprintf(stderr, "%" PRIu64 " frames did not arrive within 2 s\n", left);
			break;
		}
	}
	for (unsigned int i = 0; i < nenv; i++) {
		const struct env *e = &env[i];

		printf("%s size %u sent %" PRIu64 " received %" PRIu64 " lost %" PRIu64 " reordered %" PRIu64
		       " corrupted %" PRIu64 " peer_errors %" PRIu64 "\n", e->port->name, size, e->sent, e->received,
		       e->lost, e->reordered, e->corrupted, e->port->stats.peer_errors);
		bad |= e->received != (loop_ends ? env[nenv - 1 - i].sent : count) || e->lost || e->reordered || e->corrupted ||
		       e->port->stats.peer_errors;
	}
	return bad;
}

static unsigned int flood_step(struct env *from, struct env *to, uint32_t size)
{
	struct p2p_seg segs[ENV_BURST], got[ENV_BURST];
	unsigned int n, k;

	env_reap(from);
	for (n = 0; n < ENV_BURST && from->tx_head - from->tx_tail + n < from->bufs; n++) {
		segs[n] = (struct p2p_seg){ .region = 1, .len = size };
		segs[n].data = from->mem.region[1].base + (size_t)((from->tx_head + n) % from->bufs) * from->stride;
	}
	if (n) {
		k = from->port->ops->tx_burst(from->port, segs, n);
		from->tx_head += k;
		from->sent += k;
	}
	n = to->port->ops->rx_burst(to->port, got, ENV_BURST);
	for (unsigned int i = 0; i < n; i++)
		got[i].len = to->stride;
	if (n)
		to->port->ops->rx_post(to->port, got, n);
	to->received += n;
	return n;
}

static int loop_flood(uint64_t ms, uint32_t size)
{
	uint64_t start, end, now, busy = 0, got = 0, t0, t1;

	for (unsigned int i = 0; i < nenv; i++) {
		for (uint32_t b = 0; b < env[i].bufs; b++)
			env_fill(env[i].mem.region[1].base + (size_t)b * env[i].stride, size, 1, b);
	}
	start = now = env_now_ns();
	end = start + ms * 1000000u;
	while (now < end) {
		for (unsigned int k = 0; k < 256; k++) {
			for (unsigned int i = 0; i < nenv; i++) {
				uint64_t sent = env[i].sent;
				unsigned int n;

				t0 = __rdtsc();
				n = flood_step(&env[i], &env[nenv - 1 - i], size);
				t1 = __rdtsc();
				if (n || env[i].sent != sent)
					busy += t1 - t0;
				got += n;
			}
		}
		for (unsigned int i = 0; i < nenv; i++)
			env_control(&env[i]);
		now = env_now_ns();
	}
	printf("size %u sent %" PRIu64 " received %" PRIu64 " %.2f Mpps %.1f cycles\n", size, env[0].sent, got,
	       (double)got * 1e3 / (double)(now - start), got ? (double)busy / (double)got : 0.0);
	return !got;
}

/* The receive buffer itself is sent, and posted again once sent. */
static int loop_echo(uint64_t ms)
{
	const struct port_ops *ops = env[0].port->ops;
	static struct p2p_seg ring[LOOP_BUFS];
	uint32_t head = 0, tail = 0;
	uint64_t end = env_now_ns() + ms * 1000000u;
	struct p2p_seg got[ENV_BURST];

	do {
		for (unsigned int k = 0; k < 256; k++) {
			unsigned int n = ops->rx_burst(env[0].port, got, ENV_BURST), at = 0, done;

			for (unsigned int i = 0; i < n; i++)
				ring[(head + i) % LOOP_BUFS] = got[i];
			head += n;
			while (at < n && ops->link_up(env[0].port)) {
				at += ops->tx_burst(env[0].port, got + at, n - at);
				if (at < n)
					env_control(&env[0]);
			}
			done = ops->tx_done(env[0].port) + (n - at);
			while (done) {
				unsigned int i, c = done < ENV_BURST ? done : ENV_BURST;

				for (i = 0; i < c; i++) {
					got[i] = ring[tail++ % LOOP_BUFS];
					got[i].len = env[0].stride;
				}
				ops->rx_post(env[0].port, got, c);
				done -= c;
			}
		}
		env_control(&env[0]);
	} while (env_now_ns() < end);
	printf("echo rx_frames %" PRIu64 " tx_frames %" PRIu64 "\n", env[0].port->stats.rx_frames,
	       env[0].port->stats.tx_frames);
	return 0;
}

static int loop_run(const char *mode, uint64_t count, const char *sizes, uint64_t window)
{
	int ret = 0;

	for (const char *p = sizes; *p && !ret;) {
		char *next;
		uint32_t size = (uint32_t)strtoul(p, &next, 10);

		if (size < 22 || size > LOOP_BYTES) {
			fprintf(stderr, "size must be 22 to %d\n", LOOP_BYTES);
			return 2;
		}
		p = *next == ',' ? next + 1 : next;
		if (!strcmp(mode, "flood"))
			ret = loop_flood(count, size);
		else
			ret = loop_check(count, size, window);
		fflush(stdout);
	}
	return ret;
}

int main(int argc, char **argv)
{
	uint64_t count, window;
	int ret = 1;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: memif_loop check|again|flood|echo COUNT SIZE[,SIZE...] WINDOW SPEC [SPEC]\n");
		return 2;
	}
	count = strtoull(argv[2], NULL, 10);
	window = strtoull(argv[4], NULL, 10);
	if (!strcmp(argv[1], "check"))
		signal(SIGTERM, loop_end);
	if (!window || window > LOOP_BUFS) {
		fprintf(stderr, "window must be 1 to %d\n", LOOP_BUFS);
		return 2;
	}
	for (nenv = 0; nenv < (unsigned int)argc - 5; nenv++)
		env_open(&env[nenv], argv[5 + nenv], LOOP_BUFS, LOOP_STRIDE);
	if (loop_link_wait(true)) {
		/* The far ends may hear of it a little later, and what came before would find their cables down. */
		if (nenv == 2)
			nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
		ret = strcmp(argv[1], "echo") ? loop_run(argv[1], count, argv[3], window) : loop_echo(count);
	}
	if (!ret && !strcmp(argv[1], "again"))
		ret = loop_link_wait(false) && loop_link_wait(true) ? loop_run(argv[1], count, argv[3], window) : 1;
	for (unsigned int i = 0; i < nenv; i++)
		env_close(&env[i]);
	return ret;
}
