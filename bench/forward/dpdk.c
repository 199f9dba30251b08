/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's testpmd and l3fwd as forwarders, testpmd's flowgen as a generator.
 *
 * Their lcores: testpmd's main one reads its prompt and sleeps on the generator's core, its forwarding one has the
 * forwarder's core; l3fwd has one lcore, which forwards.  All memory is one segment file, which zero-copy needs: the
 * driver lends one descriptor a cable.  Nothing of theirs stays on disk (--in-memory, --no-shconf).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "subject.h"

#define DPDK_MEGABYTES 256
#define DPDK_PROMPT "testpmd>"
#define DPDK_PROMPT_MS 30000
#define DPDK_ANSWER_MS 5000
#define DPDK_MARK "p2pnic-asked-this"

int fwd_dpdk_available(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX])
{
	bool l3fwd = !strcmp(s->name, "l3fwd");

	if (zero_copy && e->req->server) {
		snprintf(why, FWD_ERR_MAX, "only a memif client lends its memory, and here the forwarder is server");
		return -ENOENT;
	}
	if (*(l3fwd ? e->l3fwd : e->testpmd))
		return 0;
	if (l3fwd || e->req->native)
		snprintf(why, FWD_ERR_MAX, "not built: run scripts/dpdk-native.sh");
	else
		snprintf(why, FWD_ERR_MAX, "dpdk-testpmd is not installed (apt-get install dpdk-dev librte-net-memif23)");
	return -ENOENT;
}

static unsigned int dpdk_log2(unsigned int v)
{
	return 31u - (unsigned int)__builtin_clz(v);
}

/* What all DPDK programs are told, up to "--". */
static void dpdk_eal(struct fwd_args *a, const struct fwd_forwarder *f, const char *program, const char *lcores,
		     bool server)
{
	static unsigned int serial;
	unsigned int k;

	/* Its output is read while it runs. */
	fwd_arg(a, "stdbuf");
	fwd_arg(a, "-o0");
	fwd_arg(a, "%s", program);
	fwd_arg(a, "--lcores=%s", lcores);
	fwd_arg(a, "-m");
	fwd_arg(a, "%d", DPDK_MEGABYTES);
	if (f->env->huge) {
		fwd_arg(a, "--in-memory");
	} else {
		fwd_arg(a, "--no-huge");
		fwd_arg(a, "--no-shconf");
	}
	fwd_arg(a, "--no-pci");
	fwd_arg(a, "--no-telemetry");
	fwd_arg(a, "--single-file-segments");
	fwd_arg(a, "--file-prefix=p2pnic-bench-%d-%u", (int)getpid(), serial++);
	for (k = 0; k < 2; k++)
		fwd_arg(a, "--vdev=net_memif%u,role=%s,socket=%s,socket-abstract=no,rsize=%u%s", k,
			server ? "server" : "client", f->sock[k], dpdk_log2(f->setup.ring),
			f->zero_copy ? ",zero-copy=yes" : "");
	fwd_arg(a, "--");
}

static void dpdk_log_path(char log[PATH_MAX], const struct fwd_forwarder *f, const char *name)
{
	snprintf(log, PATH_MAX, "%s/%s.log", f->env->dir, name);
}

static void testpmd_options(struct fwd_args *a, const struct fwd_forwarder *f, const char *mode)
{
	fwd_arg(a, "-i");
	fwd_arg(a, "--disable-link-check");
	fwd_arg(a, "--no-flush-rx");
	fwd_arg(a, "--nb-cores=1");
	fwd_arg(a, "--record-core-cycles");
	fwd_arg(a, "--forward-mode=%s", mode);
	/* Both ports' rings full both ways, and as much as testpmd keeps in hand. */
	fwd_arg(a, "--total-num-mbufs=%u", 4 * f->setup.ring + 8192);
}

static int testpmd_go(struct fwd_forwarder *f, const char *commands, char err[FWD_ERR_MAX])
{
	int rc;

	rc = fwd_proc_expect(&f->proc, DPDK_PROMPT, 0, DPDK_PROMPT_MS, NULL, 0, err);
	if (!rc)
		rc = fwd_proc_tell(&f->proc, commands, err);
	if (rc)
		fwd_proc_stop(&f->proc, 0);
	return rc;
}

int fwd_testpmd_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX])
{
	const struct fwd_request *req = f->env->req;
	struct fwd_proc_opts o = { .name = f->subject->name, .talks = true, .cpu = -1 };
	struct fwd_args a = { 0 };
	char log[PATH_MAX], lcores[64];
	int rc;

	dpdk_log_path(log, f, "testpmd");
	o.log = log;
	snprintf(lcores, sizeof(lcores), "0@%d,1@%d", req->cpu_gen, req->cpu_fwd);
	dpdk_eal(&a, f, f->env->testpmd, lcores, req->server);
	testpmd_options(&a, f, f->subject->mode);
	rc = fwd_proc_start(&f->proc, &a, &o, err);
	return rc ? rc : testpmd_go(f, "start\n", err);
}

int fwd_flowgen_start(struct fwd_forwarder *f, unsigned int frame_bytes, char err[FWD_ERR_MAX])
{
	const struct fwd_request *req = f->env->req;
	struct fwd_proc_opts o = { .name = "testpmd as generator", .talks = true, .cpu = -1 };
	struct fwd_args a = { 0 };
	char log[PATH_MAX], lcores[64], say[64];
	int rc;

	dpdk_log_path(log, f, "flowgen");
	o.log = log;
	snprintf(lcores, sizeof(lcores), "0@%d,1@%d", req->cpu_gen, req->cpu_gen);
	dpdk_eal(&a, f, f->env->testpmd, lcores, true);
	testpmd_options(&a, f, "flowgen");
	rc = fwd_proc_start(&f->proc, &a, &o, err);
	snprintf(say, sizeof(say), "set txpkts %u\nstart\n", frame_bytes - 4);
	return rc ? rc : testpmd_go(f, say, err);
}

int fwd_testpmd_read(const char *text, struct fwd_counts *c)
{
	const char *at = NULL, *next;

	*c = (struct fwd_counts){ 0 };
	for (next = text; (next = strstr(next, "CPU cycles/packet=")); next++)
		at = next;
	/* No frame yet: testpmd leaves the line out, but not what goes before. */
	if (!at)
		return strstr(text, "Accumulated forward statistics") ? 0 : -EPROTO;
	return sscanf(at, "CPU cycles/packet=%*f (%*s cycles=%" SCNu64 " / total %*s packets=%" SCNu64 ")", &c->busy_cycles,
		      &c->frames) == 2 ? 0 : -EPROTO;
}

int fwd_testpmd_counts(struct fwd_forwarder *f, struct fwd_counts *c, char err[FWD_ERR_MAX])
{
	off_t from = fwd_proc_at(&f->proc);
	char said[16384];
	int rc;

	rc = fwd_proc_tell(&f->proc, "show fwd stats all\n" DPDK_MARK "\n", err);
	if (!rc)
		rc = fwd_proc_expect(&f->proc, DPDK_MARK, from, DPDK_ANSWER_MS, said, sizeof(said), err);
	if (rc)
		return rc;
	rc = fwd_testpmd_read(said, c);
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s: its statistics are not as expected; is %.300s a testpmd?", f->subject->name,
			 f->env->testpmd);
	return rc;
}

/* A route file of l3fwd's: generator's destinations by port 1, their answers, if there can be any, by port 0. */
static int l3fwd_rules(const struct fwd_forwarder *f, char path[PATH_MAX], const char *name, const char *rules,
		       char err[FWD_ERR_MAX])
{
	FILE *file;
	int bad;

	snprintf(path, PATH_MAX, "%s/%s", f->env->dir, name);
	file = fopen(path, "we");
	bad = !file || fputs(rules, file) < 0;
	if (file && fclose(file))
		bad = 1;
	if (!bad)
		return 0;
	snprintf(err, FWD_ERR_MAX, "%.300s can't be written: %s", path, strerror(errno));
	return -EIO;
}

int fwd_l3fwd_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX])
{
	const struct fwd_request *req = f->env->req;
	struct fwd_proc_opts o = { .name = "l3fwd", .cpu = -1 };
	char log[PATH_MAX], v4[PATH_MAX], v6[PATH_MAX], lcores[32];
	struct fwd_args a = { 0 };
	int rc;

	dpdk_log_path(log, f, "l3fwd");
	o.log = log;
	rc = l3fwd_rules(f, v4, "v4.cfg", f->spread ? "R0.0.0.0/1 1\nR128.0.0.0/1 1\n" :
			 "R198.19.0.0/16 1\nR198.18.0.0/16 0\n", err);
	if (!rc)
		rc = l3fwd_rules(f, v6, "v6.cfg", "R2001:200::/64 1\n", err);
	if (rc)
		return rc;
	snprintf(lcores, sizeof(lcores), "0@%d", req->cpu_fwd);
	dpdk_eal(&a, f, f->env->l3fwd, lcores, req->server);
	fwd_arg(&a, "-p");
	fwd_arg(&a, "0x3");
	fwd_arg(&a, "-P");
	fwd_arg(&a, "--config=(0,0,0),(1,0,0)");
	fwd_arg(&a, "--parse-ptype");
	fwd_arg(&a, "--rx-queue-size=%u", f->setup.ring);
	fwd_arg(&a, "--tx-queue-size=%u", f->setup.ring);
	fwd_arg(&a, "--rule_ipv4=%s", v4);
	fwd_arg(&a, "--rule_ipv6=%s", v6);
	return fwd_proc_start(&f->proc, &a, &o, err);
}
