/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opts.h"

static void *opt_field(const struct cli_opt *opt, void *o)
{
	return (char *)o + opt->offset;
}

static void opt_mark(const struct cli_opt *opt, void *o)
{
	*(bool *)((char *)o + opt->set_offset) = true;
}

bool cli_is_set(const struct cli_opt *opt, const void *o)
{
	return *(const bool *)((const char *)o + opt->set_offset);
}

const struct cli_opt *cli_find(const struct cli_table *t, const char *name)
{
	unsigned int i;

	for (i = 0; i < t->n; i++)
		if (!strcmp(t->opt[i].name, name))
			return &t->opt[i];
	return NULL;
}

static const struct cli_opt *opt_find_letter(const struct cli_table *t, char letter)
{
	unsigned int i;

	for (i = 0; letter && i < t->n; i++)
		if (t->opt[i].letter == letter)
			return &t->opt[i];
	return NULL;
}

/* Digits and at most one of k, M, G in either case.  unit: 1000 or 1024. */
static bool opt_number(const char *text, uint64_t unit, uint64_t *v)
{
	unsigned long long n;
	uint64_t factor = 1;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	switch (tolower((unsigned char)*end)) {
	case 'g':
		factor *= unit;
		/* fall through */
	case 'm':
		factor *= unit;
		/* fall through */
	case 'k':
		factor *= unit;
		end++;
	}
	if (*end || n > UINT64_MAX / factor)
		return false;
	*v = n * factor;
	return true;
}

static int opt_set_number(const struct cli_opt *opt, void *o, const char *what, const char *text,
			  char err[CLI_ERR_MAX])
{
	uint64_t v;

	if (!opt_number(text, opt->type == CLI_BYTES ? 1024 : 1000, &v) || v < opt->min || v > opt->max ||
	    (opt->type != CLI_U64 && (v & (v - 1)))) {
		if (opt->type == CLI_BYTES)
			snprintf(err, CLI_ERR_MAX, "%s %.100s: give a power of two from %" PRIu64 "M to %" PRIu64 "M", what, text,
				 opt->min >> 20, opt->max >> 20);
		else
			snprintf(err, CLI_ERR_MAX, "%s %.100s: give a %s from %" PRIu64 " to %" PRIu64, what, text,
				 opt->type == CLI_POW2 ? "power of two" : "number", opt->min, opt->max);
		return -EINVAL;
	}
	*(uint64_t *)opt_field(opt, o) = v;
	return 0;
}

static int opt_set_seconds(const struct cli_opt *opt, void *o, const char *what, const char *text,
			   char err[CLI_ERR_MAX])
{
	char *end;
	double v = strtod(text, &end);

	if (!isdigit((unsigned char)text[0]) || *end || !(v > 0) || v > 1e8) {
		snprintf(err, CLI_ERR_MAX, "%s %.100s: give seconds, more than 0 (as 10 or 0.5)", what, text);
		return -EINVAL;
	}
	*(double *)opt_field(opt, o) = v;
	return 0;
}

static int opt_set_choice(const struct cli_opt *opt, void *o, const char *what, const char *text,
			  char err[CLI_ERR_MAX])
{
	const char *word = opt->meta;
	unsigned int k = 0;
	size_t len;

	for (;; k++) {
		len = strcspn(word, "|");
		if (len == strlen(text) && !strncmp(word, text, len)) {
			*(unsigned int *)opt_field(opt, o) = k;
			return 0;
		}
		if (!word[len])
			break;
		word += len + 1;
	}
	snprintf(err, CLI_ERR_MAX, "%s %.100s: give one of %s", what, text, opt->meta);
	return -EINVAL;
}

static int opt_set_list(const struct cli_opt *opt, void *o, const char *what, const char *text, unsigned int *order,
			char err[CLI_ERR_MAX])
{
	struct cli_list *list = opt_field(opt, o);

	if (list->n == CLI_LIST_MAX) {
		snprintf(err, CLI_ERR_MAX, "%s is given more than %d times", what, CLI_LIST_MAX);
		return -EINVAL;
	}
	list->item[list->n].text = text;
	list->item[list->n++].order = (*order)++;
	return 0;
}

int cli_set(const struct cli_opt *opt, void *o, const char *what, const char *text, unsigned int *order,
	    char err[CLI_ERR_MAX])
{
	int rc = 0;

	if (opt->type != CLI_LIST && cli_is_set(opt, o)) {
		snprintf(err, CLI_ERR_MAX, "%s is given twice", what);
		return -EINVAL;
	}
	if (opt->type != CLI_FLAG && !*text) {
		snprintf(err, CLI_ERR_MAX, "%s is empty: give %s", what, opt->meta);
		return -EINVAL;
	}
	switch (opt->type) {
	case CLI_FLAG:
		*(bool *)opt_field(opt, o) = true;
		break;
	case CLI_ONOFF:
		if (strcmp(text, "on") && strcmp(text, "off")) {
			snprintf(err, CLI_ERR_MAX, "%s %.100s: give on or off", what, text);
			return -EINVAL;
		}
		*(bool *)opt_field(opt, o) = !strcmp(text, "on");
		break;
	case CLI_U64:
	case CLI_POW2:
	case CLI_BYTES:
		rc = opt_set_number(opt, o, what, text, err);
		break;
	case CLI_SECONDS:
		rc = opt_set_seconds(opt, o, what, text, err);
		break;
	case CLI_STR:
		*(const char **)opt_field(opt, o) = text;
		break;
	case CLI_CHOICE:
		rc = opt_set_choice(opt, o, what, text, err);
		break;
	case CLI_LIST:
		rc = opt_set_list(opt, o, what, text, order, err);
		break;
	}
	if (!rc)
		opt_mark(opt, o);
	return rc;
}

/* One word that begins with '-'; takes its value from the next word if it needs to. */
static int opt_word(const struct cli_table *t, void *o, int argc, char **argv, int *k, unsigned int *order,
		    char err[CLI_ERR_MAX])
{
	const char *word = argv[*k], *value = NULL;
	const struct cli_opt *opt;
	char name[64], what[72];
	size_t len;

	if (word[1] == '-') {
		len = strcspn(word + 2, "=");
		snprintf(name, sizeof(name), "%.*s", (int)(len < 63 ? len : 63), word + 2);
		opt = cli_find(t, name);
		if (word[2 + len])
			value = word + 2 + len + 1;
	} else {
		opt = word[1] && !word[2] ? opt_find_letter(t, word[1]) : NULL;
	}
	if (!opt) {
		snprintf(err, CLI_ERR_MAX, "unknown option '%.100s'; --help lists them", word);
		return -EINVAL;
	}
	snprintf(what, sizeof(what), "--%s", opt->name);
	if (opt->type == CLI_FLAG) {
		if (value) {
			snprintf(err, CLI_ERR_MAX, "%s takes no value", what);
			return -EINVAL;
		}
		return cli_set(opt, o, what, "", order, err);
	}
	if (!value) {
		if (*k + 1 >= argc) {
			snprintf(err, CLI_ERR_MAX, "%s needs a value: %s", what, opt->meta);
			return -EINVAL;
		}
		value = argv[++*k];
	}
	return cli_set(opt, o, what, value, order, err);
}

int cli_parse(const struct cli_table *t, void *o, int argc, char **argv, const char **pos, unsigned int max_pos,
	      unsigned int *num_pos, bool *help, char err[CLI_ERR_MAX])
{
	unsigned int order = 0;
	int k, rc;

	*help = false;
	*num_pos = 0;
	for (k = 1; k < argc; k++) {
		if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h")) {
			*help = true;
			return 0;
		}
	}
	for (k = 1; k < argc; k++) {
		if (argv[k][0] != '-' || !argv[k][1]) { /* "-" is a word: standard input */
			if (*num_pos == max_pos) {
				snprintf(err, CLI_ERR_MAX, "'%.100s' is one word too many; --help tells what it takes", argv[k]);
				return -EINVAL;
			}
			pos[(*num_pos)++] = argv[k];
			continue;
		}
		rc = opt_word(t, o, argc, argv, &k, &order, err);
		if (rc)
			return rc;
	}
	return 0;
}
