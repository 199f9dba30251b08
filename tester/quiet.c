/* SPDX-License-Identifier: BSD-3-Clause */
#include "tester/quiet.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t quiet_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool quiet_schedstat(pid_t tid, struct quiet_counts *c)
{
	char path[64];
	FILE *f;
	int got;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)tid, (int)tid);
	f = fopen(path, "re");
	if (!f) {
		/* A thread that leads no group: its entry is not listed under /proc but can be opened there. */
		snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)tid);
		f = fopen(path, "re");
	}
	if (!f)
		return false;
	got = fscanf(f, "%" SCNu64 " %" SCNu64, &c->run_ns, &c->wait_ns);
	fclose(f);
	return got == 2;
}

static void quiet_switches(pid_t tid, struct quiet_counts *c)
{
	static const char key[] = "nonvoluntary_ctxt_switches:";
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, sizeof(key) - 1))
			c->preempted = strtoull(line + sizeof(key) - 1, NULL, 10);
	}
	fclose(f);
}

/* cpuN user nice system idle iowait irq softirq steal ... */
static uint64_t quiet_steal_ns(int cpu)
{
	long hz = sysconf(_SC_CLK_TCK);
	char line[512];
	uint64_t steal = 0;
	FILE *f;

	f = fopen("/proc/stat", "re");
	if (!f || hz <= 0) {
		if (f)
			fclose(f);
		return 0;
	}
	while (fgets(line, sizeof(line), f)) {
		uint64_t v[8];
		int which;

		if (sscanf(line, "cpu%d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			   " %" SCNu64, &which, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 9 &&
		    which == cpu)
			steal = v[7] * (1000000000u / (uint64_t)hz);
	}
	fclose(f);
	return steal;
}

void quiet_take(struct quiet_snapshot *s, const struct quiet_target *target, unsigned int n)
{
	memset(s, 0, sizeof(*s));
	s->n = n < QUIET_MAX_TARGETS ? n : QUIET_MAX_TARGETS;
	for (unsigned int i = 0; i < s->n; i++) {
		struct quiet_counts *c = &s->count[i];

		s->target[i] = target[i];
		if (!s->target[i].tid)
			s->target[i].tid = (pid_t)syscall(SYS_gettid);
		c->seen = quiet_schedstat(s->target[i].tid, c);
		if (c->seen)
			quiet_switches(s->target[i].tid, c);
		if (target[i].cpu >= 0)
			c->steal_ns = quiet_steal_ns(target[i].cpu);
	}
	s->at_ns = quiet_clock_ns();
}

static uint64_t quiet_since(uint64_t b, uint64_t a)
{
	return b > a ? b - a : 0;
}

void quiet_compare(struct quiet_report *r, const struct quiet_snapshot *a, const struct quiet_snapshot *b,
		   uint32_t threshold_ppm)
{
	uint64_t worst = 0;

	memset(r, 0, sizeof(*r));
	r->time_ns = quiet_since(b->at_ns, a->at_ns);
	for (unsigned int i = 0; i < a->n && i < b->n; i++) {
		const struct quiet_counts *from = &a->count[i], *to = &b->count[i];
		uint64_t wait = quiet_since(to->wait_ns, from->wait_ns);
		uint64_t steal = quiet_since(to->steal_ns, from->steal_ns);
		uint64_t preempted = quiet_since(to->preempted, from->preempted);

		if (!from->seen || !to->seen) {
			r->disturbed = true;
			continue;
		}
		r->wait_ns = wait > r->wait_ns ? wait : r->wait_ns;
		r->steal_ns = steal > r->steal_ns ? steal : r->steal_ns;
		r->preempted = preempted > r->preempted ? preempted : r->preempted;
		if (!r->worst_tid || wait + steal > worst) {
			worst = wait + steal;
			r->worst_tid = b->target[i].tid;
		}
	}
	if (r->time_ns) {
		double ppm = (double)worst * 1e6 / (double)r->time_ns;

		r->worst_ppm = ppm < UINT32_MAX ? (uint32_t)ppm : UINT32_MAX;
	}
	if (r->worst_ppm > (threshold_ppm ? threshold_ppm : QUIET_DISTURBED_PPM))
		r->disturbed = true;
}

unsigned int quiet_threads(pid_t pid, pid_t *tid, unsigned int max)
{
	struct dirent *e;
	unsigned int n = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	while (n < max && (e = readdir(d))) {
		if (isdigit((unsigned char)e->d_name[0]))
			tid[n++] = (pid_t)atoi(e->d_name);
	}
	closedir(d);
	return n;
}
