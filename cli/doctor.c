/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor: what the user asked for; doctor/ does it. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "doctor/doctor.h"

#define DOCTOR_WORDS 64

#define CLI_STRUCT cli_doctor_opts
static const struct cli_opt doctor_opts[] = {CLI_DOCTOR_OPTIONS(CLI_ROW)};
#undef CLI_STRUCT

const struct cli_usage cli_doctor_usage = {
	.synopsis = "[DEVICE...] [OPTIONS]",
	.description = "Tells whether NICs in this box can talk peer to peer, and how fast. Reads sysfs and writes "
		       "nothing: every NIC, and every"
		       " other PCI function with a memory BAR of 2 MiB or more, with link, BARs, NUMA node, IOMMU "
		       "group; for every two of them"
		       " the path and a verdict: `direct` (a switch or the device itself forwards), `through-root` "
		       "(works, but by way of the"
		       " root complex), `refused`; why; and the command that mends or betters it. With DEVICE "
		       "(0000:03:00.0, or 03:00.0)"
		       " only these are paired.\n\n"
		       "For each pair it says what the links on the way carry at most in each mode, and which of them "
		       "is the limit: packets'"
		       " headers, MPS, MRRS and batches of 8 descriptors are counted; engines of the NICs, the root "
		       "complex and main"
		       " memory are not.\n\n"
		       "Only root may read more than 64 bytes of a function's configuration space. Without it ACS, MPS "
		       "and MRRS are not"
		       " known; a verdict then takes the worse case, and says so.\n\n"
		       "--save writes what was read into a folder, for --sysfs on another box: no serial numbers, no "
		       "MAC addresses.",
	.examples = "  p2pnic doctor\n"
		    "  p2pnic doctor 03:00.0 04:00.0\n"
		    "  p2pnic doctor --json | jq '.pairs[] | select(.verdict == \"refused\") | .remedy'\n"
		    "  p2pnic doctor --save box && tar czf box.tar.gz box\n"
		    "  p2pnic doctor --sysfs box --dot | dot -Tsvg > box.svg\n",
	.table = {doctor_opts, sizeof(doctor_opts) / sizeof(doctor_opts[0])},
};

/* The numbers of the functions that were named. */
static int doctor_chosen(const struct doc_box *box, const char *const *word, unsigned int words, unsigned int *chosen)
{
	unsigned int k, j;
	int at;

	for (k = 0; k < words; k++) {
		at = doc_box_find(box, word[k]);
		if (at < 0) {
			cli_error("doctor",
				  "there is no PCI function '%.40s' here; `p2pnic doctor` lists what there is",
				  word[k]);
			return CLI_FAILED;
		}
		if (box->dev[at].kind == DOC_BRIDGE) {
			cli_error("doctor", "%s is a bridge; name devices below it", box->dev[at].name);
			return CLI_FAILED;
		}
		for (j = 0; j < k; j++)
			if (chosen[j] == (unsigned int)at) {
				cli_error("doctor", "%s is named twice", box->dev[at].name);
				return CLI_FAILED;
			}
		chosen[k] = (unsigned int)at;
	}
	return CLI_OK;
}

static int doctor_report(const struct cli_doctor_opts *o, const char *const *word, unsigned int words)
{
	unsigned int chosen[DOCTOR_WORDS];
	char err[DOC_ERR_MAX] = "";
	struct doc_pairs pairs;
	struct doc_box box;
	int rc;

	if (doc_box_read(&box, o->sysfs, err)) {
		cli_error("doctor", "%s", err);
		return CLI_FAILED;
	}
	rc = doctor_chosen(&box, word, words, chosen);
	if (rc)
		goto free_box;
	rc = doc_pairs_make(&box, words ? chosen : NULL, words, &pairs, err) ? CLI_FAILED : CLI_OK;
	if (rc) {
		cli_error("doctor", "%s", err);
		goto free_box;
	}
	if (box.short_config)
		cli_note("doctor",
			 "only 64 bytes of configuration space could be read%s: ACS, MPS and MRRS are not known, and "
			 "the worse case is taken",
			 o->sysfs ? " where this was saved" : "; run as root");
	if (o->json)
		rc = doc_report_json(&box, &pairs, stdout) ? CLI_FAILED : CLI_OK;
	else if (o->dot)
		doc_report_dot(&box, &pairs, stdout);
	else
		doc_report_text(&box, &pairs, o->all, stdout);
	doc_pairs_free(&pairs);
free_box:
	doc_box_free(&box);
	return rc;
}

static int doctor_save(const struct cli_doctor_opts *o)
{
	char err[DOC_ERR_MAX] = "";

	if (doc_box_save(o->sysfs, o->save, err)) {
		cli_error("doctor", "%s", err);
		return CLI_FAILED;
	}
	printf("%s: saved, without serial numbers and MAC addresses; `p2pnic doctor --sysfs %s` reads it\n", o->save,
	       o->save);
	return CLI_OK;
}

int cli_doctor(int argc, char **argv)
{
	static struct cli_doctor_opts o;
	const char *word[DOCTOR_WORDS];
	char err[CLI_ERR_MAX];
	unsigned int words;
	bool help;
	int rc;

	rc = cli_parse(&cli_doctor_usage.table, &o, argc, argv, word, DOCTOR_WORDS, &words, &help, err);
	if (!rc && help) {
		cli_help_print(cli_command("doctor"), stdout);
		return CLI_OK;
	}
	if (!rc && o.save && (o.json || o.dot || o.all || words)) {
		snprintf(err, sizeof(err),
			 "--save saves all and reports nothing: leave out --json, --dot, --all and devices");
		rc = -1;
	}
	if (!rc && o.json && o.dot) {
		snprintf(err, sizeof(err), "--json and --dot are two reports: give one of them");
		rc = -1;
	}
	if (rc) {
		cli_error("doctor", "%s", err);
		return CLI_USAGE;
	}
	return o.save ? doctor_save(&o) : doctor_report(&o, word, words);
}
