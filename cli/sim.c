/* SPDX-License-Identifier: BSD-3-Clause */
/* sim: experiments in virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "experiments/exp.h"
#include "experiments/sweep.h"

#define SIM_TRACE_LIMIT 100000

#define CLI_STRUCT cli_sim_opts
static const struct cli_opt sim_opts[] = { CLI_SIM_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_sim_usage = {
	.synopsis = "EXPERIMENT [FILE] [OPTIONS]",
	.description =
		"Runs NICs with this firmware, switches and a host in virtual time and tells what they would do. EXPERIMENT is one of"
		" the reference experiment's: fig5 (throughput by frame size), fig6 (the same with routing), fig7 (latency), table1"
		" (CPU and bytes through its PCIe), batch (by batch size), validate (what was published and its predicted interval); or"
		" dma (a NIC's DMA engine beside measurements of a real one), iommu (64-byte DMA through an IOMMU, by window),"
		" scale (2 to 48 ports: where each architecture stops, and on what), run FILE (topology and traffic of your own),"
		" sweep FILE (every combination of parameters in FILE), sensitivity [FILE] (what results depend on), speed (of the"
		" simulator itself).\n\n"
		"The parts' numbers come from profiles: files in profiles/ (or $P2PNIC_PROFILES), each number with its range and"
		" source. Any of them can be changed by --set. The same input and seed give the same output to the byte.\n\n"
		"Independent runs go to all CPUs; under mpirun a sweep's points are shared out to the ranks, whose --out DIR must be"
		" one that all machines share. docs/simulator.md has the model, the files' keys and the experiments.",
	.examples = "  p2pnic sim fig5\n"
		    "  p2pnic sim fig7 --json --svg latency.svg\n"
		    "  p2pnic sim run box.conf --method rd --set switch.latency=150 --trace box.pcap\n"
		    "  mpirun -n 8 p2pnic sim sweep grid.conf --out grid --csv grid.csv\n",
	.table = { sim_opts, sizeof(sim_opts) / sizeof(sim_opts[0]) },
};

static const struct exp_kind_of *sim_find(const char *name)
{
	const struct exp_kind_of *e;

	for (e = exp_experiments; e->name; e++)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

static int sim_unknown(const char *name)
{
	const struct exp_kind_of *e;
	char all[128] = "";

	for (e = exp_experiments; e->name; e++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", *all ? ", " : "", e->name);
	if (name)
		cli_error("sim", "there is no experiment '%.60s'; give one of %s", name, all);
	else
		cli_error("sim", "which experiment? give one of %s", all);
	return CLI_USAGE;
}

/* The next word of a list; its length, 0 at the end. */
static size_t sim_word(const char **list, char word[32])
{
	size_t len = strcspn(*list, ",");

	snprintf(word, 32, "%.*s", (int)(len < 31 ? len : 31), *list);
	*list += len + ((*list)[len] == ',');
	return len;
}

static int sim_methods(struct exp_request *r, const char *list, char err[EXP_ERR_MAX])
{
	char word[32];
	unsigned int k;

	while (*list) {
		sim_word(&list, word);
		for (k = 0; exp_methods[k] && strcmp(exp_methods[k], word); k++)
			;
		if (!exp_methods[k]) {
			snprintf(err, EXP_ERR_MAX, "--method %s: give some of wr,rd,bn,testpmd,l3fwd", word);
			return -EINVAL;
		}
		r->methods |= 1u << k;
		r->spec.s.method = k;
		r->method_set = true;
	}
	return 0;
}

static int sim_frames(struct exp_request *r, const char *list, char err[EXP_ERR_MAX])
{
	char word[32];
	int rc;

	while (*list) {
		sim_word(&list, word);
		if (r->num_frames == EXP_MAX_FRAMES) {
			snprintf(err, EXP_ERR_MAX, "--frames has more than %d sizes", EXP_MAX_FRAMES);
			return -EINVAL;
		}
		rc = exp_spec_set(&r->spec, "frame_bytes", word, 0, err);
		if (rc)
			return rc;
		r->frames[r->num_frames++] = r->spec.s.frame_bytes;
	}
	return 0;
}

/* An option that would be of no effect is refused. */
static int sim_own(const struct exp_kind_of *e, const char *option, const char *key, size_t len, char err[EXP_ERR_MAX])
{
	char word[64];

	snprintf(word, sizeof(word), "%.*s", (int)len, key);
	if (!exp_sets_itself(e, word, strcmp(option, "set") != 0))
		return 0;
	snprintf(err, EXP_ERR_MAX, "--%s: %s chooses %s itself", option, e->name, word);
	return -EINVAL;
}

static int sim_check(const struct exp_kind_of *e, const struct cli_sim_opts *o, char err[EXP_ERR_MAX])
{
	const struct {
		const char *option, *key, *value;
	} words[] = {
		{ "nic", "nic", o->nic },    { "switch", "switch", o->sw },	 { "host", "host", o->host },
		{ "load", "load", o->load }, { "method", "method", o->method }, { "frames", "frame_bytes", o->frames },
	};
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < sizeof(words) / sizeof(words[0]); k++)
		if (words[k].value)
			rc = sim_own(e, words[k].option, words[k].key, strlen(words[k].key), err);
	for (k = 0; !rc && k < o->set.n; k++)
		rc = sim_own(e, "set", o->set.item[k].text, strcspn(o->set.item[k].text, "="), err);
	for (k = 0; !rc && k < 3; k++) {
		const char *const file[] = { o->trace, o->csv, o->svg }, *const name[] = { "trace", "csv", "svg" };

		if (file[k] && exp_sets_itself(e, name[k], false)) {
			snprintf(err, EXP_ERR_MAX, "--%s doesn't go with %s", name[k], e->name);
			rc = -EINVAL;
		}
	}
	if (!rc && e->file != EXP_FILE_NONE && ((o->method && strchr(o->method, ',')) || (o->frames && strchr(o->frames, ',')))) {
		snprintf(err, EXP_ERR_MAX, "%s takes one --method and one --frames; a sweep takes lists, in its file", e->name);
		rc = -EINVAL;
	}
	return rc;
}

static int sim_set(struct exp_request *r, const struct cli_sim_opts *o, char err[EXP_ERR_MAX])
{
	const struct {
		const char *key, *value;
	} words[] = {
		{ "nic", o->nic },
		{ "switch", o->sw },
		{ "host", o->host },
		{ "load", o->load },
	};
	unsigned int k;
	int rc;

	for (k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		rc = words[k].value ? exp_spec_set(&r->spec, words[k].key, words[k].value, 0, err) : 0;
		if (rc)
			return rc;
	}
	rc = o->method ? sim_methods(r, o->method, err) : 0;
	if (!rc && o->frames)
		rc = sim_frames(r, o->frames, err);
	for (k = 0; !rc && k < o->set.n; k++)
		rc = exp_spec_assign(&r->spec, o->set.item[k].text, err);
	if (o->seed_set)
		r->spec.s.seed = (unsigned int)o->seed;
	if (o->time_set) {
		r->time_set = true;
		r->spec.s.duration_us = (double)o->time;
		r->spec.s.warmup_us = (double)o->time / 2;
	}
	if (o->warmup_set) {
		r->spec.s.warmup_us = (double)o->warmup;
		if (!o->time_set) {
			snprintf(err, EXP_ERR_MAX, "--warmup goes with --time");
			return -EINVAL;
		}
	}
	return rc;
}

static int sim_request(struct exp_request *r, const struct exp_kind_of *e, const char *file,
		       const struct cli_sim_opts *o, char err[EXP_ERR_MAX])
{
	int rc = 0;

	r->experiment = e->name;
	r->jobs = o->jobs_set ? (unsigned int)o->jobs : 0;
	r->samples = o->samples_set ? (unsigned int)o->samples : 40;
	r->end = _exit;
	r->json = o->json;
	r->csv = o->csv;
	r->svg = o->svg;
	r->trace = o->trace;
	r->trace_limit = o->trace_limit_set ? o->trace_limit : SIM_TRACE_LIMIT;
	r->out = o->out;
	r->progress = isatty(STDERR_FILENO);
	exp_spec_init(&r->spec);
	if (e->host)
		rc = exp_spec_set(&r->spec, "host", e->host, 0, err);
	if (rc)
		return rc;
	if (e->file == EXP_FILE_NEEDED && !file) {
		snprintf(err, EXP_ERR_MAX, "%s needs a file: `p2pnic sim %s FILE`", e->name, e->name);
		return -EINVAL;
	}
	if (e->file == EXP_FILE_NONE && file) {
		snprintf(err, EXP_ERR_MAX, "%s takes no file, so '%.100s' is one word too many", e->name, file);
		return -EINVAL;
	}
	if (o->out && strcmp(e->name, "sweep")) {
		snprintf(err, EXP_ERR_MAX, "--out goes with sweep");
		return -EINVAL;
	}
	rc = sim_check(e, o, err);
	if (!rc && file)
		rc = exp_spec_read(&r->spec, file, err);
	return rc ? rc : sim_set(r, o, err);
}

int cli_sim(int argc, char **argv)
{
	const char *word[2] = { NULL, NULL };
	const struct exp_kind_of *e;
	struct cli_sim_opts *o = calloc(1, sizeof(*o));
	struct exp_request *r = calloc(1, sizeof(*r));
	char err[CLI_ERR_MAX] = "out of memory";
	struct exp_world world;
	unsigned int words;
	int rc = CLI_FAILED;
	bool help;

	if (!o || !r)
		goto say;
	rc = cli_parse(&cli_sim_usage.table, o, argc, argv, word, 2, &words, &help, err) ? CLI_USAGE : CLI_OK;
	if (rc)
		goto say;
	if (help) {
		cli_help_print(cli_command("sim"), stdout);
		goto free_all;
	}
	e = word[0] ? sim_find(word[0]) : NULL;
	if (!e) {
		rc = sim_unknown(word[0]);
		goto free_all;
	}
	rc = sim_request(r, e, word[1], o, err);
	if (rc) {
		/* All ranks of an mpirun find the same: the first says it, and the others don't end before it has. */
		exp_world_find(&world);
		rc = world.rank ? CLI_OK : CLI_USAGE;
		goto say;
	}
	rc = exp_do(r, stdout, err);
	if (rc)
		rc = rc == -EINVAL ? CLI_USAGE : CLI_FAILED;
say:
	if (rc)
		cli_error("sim", "%s", err);
free_all:
	free(r);
	free(o);
	return rc;
}
