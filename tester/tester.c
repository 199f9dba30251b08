/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester/tester.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ports/gen_frame.h"
#include "tester/internal.h"

#define TESTER_FCS 4u

/* Both clocks at one moment, as near as several tries get: one may be interrupted between two readings. */
static void clock_read(uint64_t *ticks, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < 16; i++) {
		const uint64_t before = tester_ticks(), now = tester_mono_ns(), after = tester_ticks();

		if (after - before >= best)
			continue;
		best = after - before;
		*ticks = before + best / 2;
		*ns = now;
	}
}

void tester_clock_init(struct tester_clock *c)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t ticks[2] = { 0 }, ns[2] = { 0 };

	clock_read(&ticks[0], &ns[0]);
	nanosleep(&pause, NULL);
	clock_read(&ticks[1], &ns[1]);
	c->start = ticks[1];
	ticks[1] -= ticks[0];
	ns[1] -= ns[0];
	c->hz = (uint64_t)((unsigned __int128)ticks[1] * 1000000000u / ns[1]);
	c->mult = (uint64_t)(((unsigned __int128)ns[1] << 32) / ticks[1]);
}

int tester_on_core(int cpu, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t th;
	cpu_set_t set;
	int ret = pthread_attr_init(&attr);

	if (ret)
		return -ret;
	CPU_ZERO(&set);
	if (cpu >= 0) {
		CPU_SET((size_t)cpu, &set);
		ret = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (!ret)
		ret = pthread_create(&th, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	if (!ret)
		pthread_join(th, NULL);
	return -ret;
}

static int tester_fill(struct tester *t, const struct tester_opts *opts, char err[TESTER_ERR_MAX])
{
	struct tester_opts *o = &t->o;

	*o = *opts;
	o->ring_log2 = o->ring_log2 ? o->ring_log2 : 10;
	o->buf_bytes = o->buf_bytes ? o->buf_bytes : 2048;
	o->buf_stride = o->buf_stride ? o->buf_stride : o->buf_bytes;
	o->burst = o->burst ? o->burst : 32;
	if (o->ring_log2 > MEMIF_MAX_LOG2_RING || o->burst > TESTER_BURST_MAX || o->buf_stride < o->buf_bytes ||
	    o->buf_bytes < 64 || o->buf_stride > 65536) {
		snprintf(err, TESTER_ERR_MAX, "ring of 2^%u, burst %u, buffers of %u bytes every %u: at most 2^%d and %u, "
			 "buffers of 64 to 65536 bytes", o->ring_log2, o->burst, o->buf_bytes, o->buf_stride,
			 MEMIF_MAX_LOG2_RING, TESTER_BURST_MAX);
		return -EINVAL;
	}
	if (o->loop && (o->client || o->sink_cpu >= 0)) {
		snprintf(err, TESTER_ERR_MAX, "the loop is one thread's, and its tester is memif server");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (o->loop)
			snprintf(t->path[i], sizeof(t->path[i]), "@p2pnic-tester-%d-%p-%u", (int)getpid(), (void *)t, i);
		else if (!o->path[i] || strlen(o->path[i]) >= sizeof(t->path[i])) {
			snprintf(err, TESTER_ERR_MAX, "port %u has no memif socket, or one with a path that is too long", i);
			return -EINVAL;
		} else {
			snprintf(t->path[i], sizeof(t->path[i]), "%s", o->path[i]);
		}
		o->path[i] = t->path[i];
	}
	return 0;
}

static int tester_open_loop(struct tester *t, char err[TESTER_ERR_MAX])
{
	const struct tester_loop_opts lo = {
		.path = { t->path[0], t->path[1] }, .ring_log2 = t->o.ring_log2,
		.buf_bytes = t->o.buf_bytes, .buf_stride = t->o.buf_stride,
	};
	struct port *port[2] = { t->cable[0].port, t->cable[1].port };
	int ret = tester_loop_create(&t->loop, &lo);

	if (!ret)
		ret = tester_loop_connect(t->loop, port);
	if (ret)
		snprintf(err, TESTER_ERR_MAX, "can't loop the tester to itself: %s", strerror(-ret));
	return ret;
}

int tester_create(struct tester **out, const struct tester_opts *opts, char err[TESTER_ERR_MAX])
{
	struct tester *t = calloc(1, sizeof(*t));
	char why[PORT_ERR_MAX];
	int ret;

	if (!t) {
		snprintf(err, TESTER_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	ret = tester_fill(t, opts, err);
	for (unsigned int i = 0; i < 2 && !ret; i++) {
		const struct tester_cable_opts co = {
			.path = t->path[i], .id = t->o.id[i], .client = t->o.client, .group = t->o.group[i], .ring_log2 = t->o.ring_log2,
			.buf_bytes = t->o.buf_bytes, .buf_stride = t->o.buf_stride,
		};

		ret = tester_cable_open(&t->cable[i], &co, why);
		if (ret)
			snprintf(err, TESTER_ERR_MAX, "%s", why);
	}
	if (!ret && t->o.loop)
		ret = tester_open_loop(t, err);
	if (ret) {
		tester_destroy(t);
		return ret;
	}
	tester_clock_init(&t->clock);
	*out = t;
	return 0;
}

void tester_destroy(struct tester *t)
{
	if (!t)
		return;
	for (unsigned int i = 0; i < 2; i++)
		tester_cable_close(&t->cable[i]);
	tester_loop_destroy(t->loop);
	free(t);
}

bool tester_link_up(struct tester *t)
{
	const uint64_t now_ns = tester_mono_ns();
	bool up = true;

	for (unsigned int i = 0; i < 2; i++)
		up &= tester_cable_control(&t->cable[i], now_ns);
	return up;
}

int tester_wait_link(struct tester *t, uint64_t timeout_ns, const volatile bool *stop, char err[TESTER_ERR_MAX])
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	const uint64_t start = tester_mono_ns();

	while (!tester_link_up(t)) {
		if (stop && *stop) {
			snprintf(err, TESTER_ERR_MAX, "stopped while waiting for the links");
			return -ECANCELED;
		}
		if (tester_mono_ns() - start >= timeout_ns) {
			const unsigned int bad = t->cable[0].ntx && t->cable[0].nrx ? 1 : 0;
			const char *why = port_memif_reason(t->cable[bad].port);

			snprintf(err, TESTER_ERR_MAX, "the link of port %u (%.60s) did not come up%s%.80s", bad,
				 t->path[bad], *why ? ": " : "; is the forwarder running, and the other role?", why);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static bool tester_ip_good(uint32_t ip)
{
	return (ip & 0xfffe0000u) == 0xc6120000u;
}

int tester_load_check(const struct tester *t, const struct tester_load *load, char err[TESTER_ERR_MAX])
{
	const uint32_t count = load->dst_count ? load->dst_count : 65536u;
	const uint32_t flows = load->flows ? load->flows : 1, used = flows < count ? flows : count;
	const uint32_t ip[] = { load->src_ip, load->dst_ip, load->back_ip };

	if (load->frame_bytes < GEN_HEAD_BYTES + TESTER_FCS || load->frame_bytes > GEN_LEN_MAX + TESTER_FCS) {
		snprintf(err, TESTER_ERR_MAX, "frames of %u bytes: 64 to %u are possible, FCS included", load->frame_bytes,
			 GEN_LEN_MAX + TESTER_FCS);
		return -EINVAL;
	}
	if (!load->count && !load->duration_ns) {
		snprintf(err, TESTER_ERR_MAX, "neither a duration nor a number of frames is given");
		return -EINVAL;
	}
	if (flows > 65536) {
		snprintf(err, TESTER_ERR_MAX, "%u flows: 65536 at most", flows);
		return -EINVAL;
	}
	if (load->dst && (!load->dst_n || flows > 1 || load->both)) {
		snprintf(err, TESTER_ERR_MAX, "a list of destinations is for one flow in one direction, and not empty");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(ip); i++) {
		const uint32_t last = ip[i] + (i ? used - 1 : 0);

		if (ip[i] && (!tester_ip_good(ip[i]) || !tester_ip_good(last))) {
			snprintf(err, TESTER_ERR_MAX, "addresses from %u.%u.%u.%u on: all must lie within 198.18.0.0/15",
				 ip[i] >> 24, ip[i] >> 16 & 255, ip[i] >> 8 & 255, ip[i] & 255);
			return -EINVAL;
		}
	}
	return 0;
}
