/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options: one table per command, from which the parser, --help, the manual
 * page and the keys of the configuration file are made.
 *
 * A table is an X-macro list of
 *   X(type, field, "name", letter, "METAVAR", min, max, "help")
 * from which CLI_FIELD makes the members of a struct (`field` and `field_set`)
 * and CLI_ROW the rows that cli_parse() and cli_config_read() work on.
 *
 *   type     member              takes
 *   FLAG     bool                nothing
 *   ONOFF    bool                on or off
 *   U64      uint64_t            a number, k/M/G as thousands, min to max
 *   POW2     uint64_t            a power of two, min to max
 *   BYTES    uint64_t            a size, K/M/G as 1024s, a power of two, min to max
 *   SECONDS  double              seconds, above 0
 *   STR      const char *        text
 *   CHOICE   unsigned int        one of METAVAR's words, its place among them
 *   LIST     struct cli_list     text, any number of times
 *
 * Text belongs to whoever gave it (argv) or to the table's user (see cli_config_read).
 * ERRORS  -EINVAL with one line in err.
 */
#ifndef CLI_OPTS_H
#define CLI_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_ERR_MAX 768
#define CLI_LIST_MAX 300

enum cli_type {
	CLI_FLAG,
	CLI_ONOFF,
	CLI_U64,
	CLI_POW2,
	CLI_BYTES,
	CLI_SECONDS,
	CLI_STR,
	CLI_CHOICE,
	CLI_LIST,
};

/* `order` counts through all lists of one command line: which --port follows which --nic. */
struct cli_item {
	const char *text;
	unsigned int order;
};
struct cli_list {
	unsigned int n;
	struct cli_item item[CLI_LIST_MAX];
};

#define CLI_C_FLAG bool
#define CLI_C_ONOFF bool
#define CLI_C_U64 uint64_t
#define CLI_C_POW2 uint64_t
#define CLI_C_BYTES uint64_t
#define CLI_C_SECONDS double
#define CLI_C_STR const char *
#define CLI_C_CHOICE unsigned int
#define CLI_C_LIST struct cli_list

#define CLI_FIELD(type, field, name, letter, meta, min, max, help) \
	CLI_C_##type field; \
	bool field##_set;
/* CLI_STRUCT is the struct that the rows are for. */
#define CLI_ROW(type, field, name, letter, meta, min, max, help) \
	{ name, letter, CLI_##type, offsetof(struct CLI_STRUCT, field), offsetof(struct CLI_STRUCT, field##_set), meta, \
	  min, max, help },

struct cli_opt {
	const char *name;
	char letter; /* 0: none */
	enum cli_type type;
	size_t offset, set_offset;
	const char *meta;
	uint64_t min, max;
	const char *help;
};

struct cli_table {
	const struct cli_opt *opt;
	unsigned int n;
};

/*
 * Parses argv[1..] into o.  Words that are no options go to pos, at most
 * max_pos of them.  *help: --help or -h was given, the rest was not looked at.
 */
int cli_parse(const struct cli_table *t, void *o, int argc, char **argv, const char **pos, unsigned int max_pos,
	      unsigned int *num_pos, bool *help, char err[CLI_ERR_MAX]);
/* One value as text, from wherever; `what` is how the error names the option ("--batch", "batch"). */
int cli_set(const struct cli_opt *opt, void *o, const char *what, const char *text, unsigned int *order,
	    char err[CLI_ERR_MAX]);
bool cli_is_set(const struct cli_opt *opt, const void *o);
const struct cli_opt *cli_find(const struct cli_table *t, const char *name);

/*
 * The configuration file of `run` (libconfig's syntax): every option's name is a
 * key; list options are arrays.  `nic` may also be a list of groups { name; port; }.
 * What the command line has set stays.  *text keeps the strings: cli_config_free() at
 * the end.  -EINVAL names file and line; -errno of opening the file.
 */
struct cli_config;
int cli_config_read(const struct cli_table *t, void *o, const char *path, struct cli_config **text,
		char err[CLI_ERR_MAX]);
void cli_config_free(struct cli_config *text);

#endif
