/* SPDX-License-Identifier: BSD-3-Clause */
/* bench forward, soak, idle, copy: what the user asked for; bench/forward does it. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/forward/forward.h"
#include "cli/cli.h"
#include "cli/ctl_client.h"
#include "cli/options.h"

_Static_assert(FWD_ERR_MAX >= CLI_ERR_MAX, "ctl_ask() writes its errors there");

#define CLI_STRUCT cli_bench_forward_opts
static const struct cli_opt forward_opts[] = { CLI_BENCH_FORWARD_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT
#define CLI_STRUCT cli_bench_soak_opts
static const struct cli_opt soak_opts[] = { CLI_BENCH_SOAK_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT
#define CLI_STRUCT cli_bench_idle_opts
static const struct cli_opt idle_opts[] = { CLI_BENCH_IDLE_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT
#define CLI_STRUCT cli_bench_copy_opts
static const struct cli_opt copy_opts[] = { CLI_BENCH_COPY_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_bench_forward_usage = {
	.synopsis = "[OPTIONS]",
	.description =
		"Puts one forwarder after the other between two memif cables: generator and sink on one core, the forwarder on"
		" another. Subjects are p2pnic-wr, p2pnic-rd, p2pnic-bn, p2pnic-cut, p2pnic-route, p2pnic-route-full, DPDK's testpmd-io,"
		" testpmd-mac and l3fwd, each also with zero-copy, and raw-copy: one core copies what the other has just written, and"
		" nothing else. What isn't there is skipped and named.\n\n"
		"p2pnic-route and l3fwd have two routes and one destination (l3fwd's IPv4 table holds 1024 routes as compiled), and once more"
		" 65536 destinations, one after the other, drawn from the prefixes of a full table. p2pnic-route-full has that table:"
		" libloc-database's, or --routes FILE.\n\n"
		"First each one's best ring and buffer sizes are looked for, and every frame is checked; then come the rounds, each in"
		" an order of its own. Figures are medians of rounds, ratios medians of the rounds' ratios. Cycles are those of the"
		" rounds of its loop in which the forwarder found something to do, per frame; l3fwd counts none, so there they are"
		" all of the core's. A row is generator-bound if the generator, looped to its sink, could not have sent a fifth more,"
		" or the forwarder could have taken it; then only cycles tell it from others."
		" A measurement in which the machine took a core away, slowed or moved it is done again, three times at most.\n\n"
		"Exit status 1 also if p2pnic lost a frame below saturation, or corrupted, reordered or duplicated one.",
	.examples = "  p2pnic bench forward\n"
		    "  p2pnic bench forward --native --frames 64,1518 --json\n"
		    "  p2pnic bench forward --subjects p2pnic-wr,p2pnic-cut --against ../before/build/p2pnic --rounds 9\n"
		    "  p2pnic bench forward --subjects p2pnic-wr,testpmd-io --generator testpmd --frames 64\n",
	.table = { forward_opts, sizeof(forward_opts) / sizeof(forward_opts[0]) },
};

const struct cli_usage cli_bench_soak_usage = {
	.synopsis = "[OPTIONS]",
	.description =
		"Measures a forwarder's maximum, then drives it at a percentage of that for long. What it accepted must come back: one"
		" frame in 64 is looked at byte by byte, all are counted. Times in which the machine took a core away are listed.\n\n"
		"Exit status 1 also if a frame was lost, corrupted, reordered or duplicated.",
	.examples = "  p2pnic bench soak\n  p2pnic bench soak --subject p2pnic-cut --seconds 60 --frame 1518\n",
	.table = { soak_opts, sizeof(soak_opts) / sizeof(soak_opts[0]) },
};

const struct cli_usage cli_bench_idle_usage = {
	.synopsis = "[OPTIONS]",
	.description = "CPU time that `p2pnic run` takes between two memif cables whose far ends send nothing.",
	.examples = "  p2pnic bench idle\n",
	.table = { idle_opts, sizeof(idle_opts) / sizeof(idle_opts[0]) },
};

const struct cli_usage cli_bench_copy_usage = {
	.synopsis = "[OPTIONS]",
	.description =
		"Cycles and nanoseconds a frame of each way to copy it and sum it that this CPU has: in the copier's own cache, and"
		" crossing, out of buffers that another core has just written. The routines take turns, in an order that every"
		" round draws anew; figures are medians of rounds. On a virtual machine the cores' distance changes: what was measured"
		" further apart than the least distance seen is thrown away, as is what another program disturbed, and how often is told. `board` is what the software NIC does.",
	.examples = "  p2pnic bench copy\n  p2pnic bench copy --frames 512,1518 --rounds 15 --json\n",
	.table = { copy_opts, sizeof(copy_opts) / sizeof(copy_opts[0]) },
};

static volatile bool bench_stop;

static void bench_on_signal(int sig)
{
	bench_stop = true;
}

static void bench_signals(void)
{
	struct sigaction on = { .sa_handler = bench_on_signal }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &on, NULL);
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

/* "G,F", or the first two cores that this process may use. */
static int bench_cores(struct fwd_request *r, const char *text, char err[CLI_ERR_MAX])
{
	cpu_set_t set;
	int cpu, n = 0, core[2];
	char *end;

	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_ZERO(&set);
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			core[n++] = cpu;
	if (n < 2) {
		snprintf(err, CLI_ERR_MAX, "generator and forwarder need a core each, and there is one; give this process two");
		return -EINVAL;
	}
	for (n = 0; text && n < 2; n++) {
		unsigned long v = strtoul(text, &end, 10);

		if (end == text || *end != (n ? '\0' : ',') || v >= CPU_SETSIZE || !CPU_ISSET((int)v, &set) ||
		    (n && (int)v == core[0])) {
			snprintf(err, CLI_ERR_MAX, "--cores: give two different cores that this process may use, as %d,%d", core[0],
				 core[1]);
			return -EINVAL;
		}
		core[n] = (int)v;
		text = end + 1;
	}
	r->cpu_gen = core[0];
	r->cpu_fwd = core[1];
	return 0;
}

static int bench_frames(struct fwd_request *r, const char *list, char err[CLI_ERR_MAX])
{
	char *end;

	while (*list) {
		unsigned long v = strtoul(list, &end, 10);

		if (end == list || (*end && *end != ',') || v < FWD_MIN_FRAME || v > FWD_MAX_FRAME) {
			snprintf(err, CLI_ERR_MAX, "--frames '%.60s': give sizes from %u to %u bytes, as 64,1518", list, FWD_MIN_FRAME,
				 FWD_MAX_FRAME);
			return -EINVAL;
		}
		if (r->num_frames == FWD_MAX_FRAMES) {
			snprintf(err, CLI_ERR_MAX, "--frames has more than %d sizes", FWD_MAX_FRAMES);
			return -EINVAL;
		}
		r->frames[r->num_frames++] = (unsigned int)v;
		list = end + (*end == ',');
	}
	return 0;
}

static int bench_subjects(struct fwd_request *r, const char *option, const char *list, char err[CLI_ERR_MAX])
{
	char word[32], all[256];
	size_t len;
	int k;

	while (*list) {
		len = strcspn(list, ",");
		snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), list);
		list += len + (list[len] == ',');
		k = fwd_subject_find(word);
		if (k < 0) {
			fwd_subject_names(all, sizeof(all));
			snprintf(err, CLI_ERR_MAX, "%s: there is no '%s'; give some of %s", option, word, all);
			return -EINVAL;
		}
		r->subjects |= 1u << k;
	}
	return 0;
}

static void bench_request(struct fwd_request *r, bool json)
{
	*r = (struct fwd_request){ .self = "/proc/self/exe", .json = json, .stop = &bench_stop, .ask = ctl_ask };
	r->progress = isatty(STDERR_FILENO);
	bench_signals();
}

/* How it went, as an exit status. */
static int bench_end(const char *name, int rc, const char *err)
{
	if (rc < 0)
		cli_error(name, "%s", err);
	return rc ? CLI_FAILED : CLI_OK;
}

int cli_bench_forward(int argc, char **argv)
{
	static struct cli_bench_forward_opts o;
	char err[FWD_ERR_MAX];
	struct fwd_request r;
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_forward_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench forward"), stdout);
		return CLI_OK;
	}
	bench_request(&r, o.json);
	if (!rc)
		rc = bench_frames(&r, o.frames_set ? o.frames : "64,128,256,512,1024,1518", err);
	if (!rc && o.subjects_set)
		rc = bench_subjects(&r, "--subjects", o.subjects, err);
	if (!rc && o.against_set && access(o.against, X_OK)) {
		snprintf(err, sizeof(err), "--against %.300s: %s; give the p2pnic program of another build", o.against, strerror(errno));
		rc = -EINVAL;
	}
	if (!rc)
		rc = bench_cores(&r, o.cores, err);
	if (rc) {
		cli_error("bench forward", "%s", err);
		return CLI_USAGE;
	}
	r.rounds = o.rounds_set ? (unsigned int)o.rounds : 5;
	r.seconds = o.seconds_set ? o.seconds : 1;
	r.patience_s = o.patience_set ? o.patience : 0;
	r.native = o.native;
	r.ring = o.ring_set ? (unsigned int)o.ring : 0;
	r.server = o.role_set && o.role == 1;
	r.testpmd_drives = o.generator_set && o.generator == 1;
	r.latency = (!o.latency_set || o.latency) && !r.testpmd_drives;
	r.check_only = o.check;
	r.routes = o.routes_set ? o.routes : NULL;
	r.against = o.against_set ? o.against : NULL;
	r.csv = o.csv;
	r.svg = o.svg;
	return bench_end("bench forward", fwd_forward(&r, stdout, err), err);
}

int cli_bench_soak(int argc, char **argv)
{
	static struct cli_bench_soak_opts o;
	char err[FWD_ERR_MAX];
	struct fwd_request r;
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_soak_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench soak"), stdout);
		return CLI_OK;
	}
	bench_request(&r, o.json);
	if (!rc)
		rc = bench_subjects(&r, "--subject", o.subject_set ? o.subject : "p2pnic-wr", err);
	if (!rc)
		rc = bench_cores(&r, o.cores, err);
	if (rc) {
		cli_error("bench soak", "%s", err);
		return CLI_USAGE;
	}
	r.frames[0] = o.frame_set ? (unsigned int)o.frame : 64;
	r.num_frames = 1;
	r.seconds = o.seconds_set ? o.seconds : 600;
	r.patience_s = o.patience_set ? o.patience : 0;
	r.load = o.load_set ? (double)o.load : 95;
	r.native = o.native;
	r.ring = o.ring_set ? (unsigned int)o.ring : 0;
	return bench_end("bench soak", fwd_soak(&r, stdout, err), err);
}

int cli_bench_idle(int argc, char **argv)
{
	static struct cli_bench_idle_opts o;
	char err[FWD_ERR_MAX];
	struct fwd_request r;
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_idle_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench idle"), stdout);
		return CLI_OK;
	}
	bench_request(&r, o.json);
	if (!rc)
		rc = bench_subjects(&r, "subject", "p2pnic-wr", err);
	if (!rc)
		rc = bench_cores(&r, o.cores, err);
	if (rc) {
		cli_error("bench idle", "%s", err);
		return CLI_USAGE;
	}
	r.frames[0] = 64;
	r.num_frames = 1;
	r.seconds = o.seconds_set ? o.seconds : 10;
	return bench_end("bench idle", fwd_idle(&r, stdout, err), err);
}

int cli_bench_copy(int argc, char **argv)
{
	static struct cli_bench_copy_opts o;
	char err[FWD_ERR_MAX];
	struct fwd_request r;
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_bench_copy_usage.table, &o, argc, argv, NULL, 0, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("bench copy"), stdout);
		return CLI_OK;
	}
	bench_request(&r, o.json);
	if (!rc)
		rc = bench_frames(&r, o.frames_set ? o.frames : "64,128,256,512,1024,1518", err);
	if (!rc)
		rc = bench_cores(&r, o.cores, err);
	if (rc) {
		cli_error("bench copy", "%s", err);
		return CLI_USAGE;
	}
	r.rounds = o.rounds_set ? (unsigned int)o.rounds : 7;
	r.seconds = o.seconds_set ? o.seconds : 0.003;
	return bench_end("bench copy", fwd_copy(&r, stdout, err), err);
}
