/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lists of routes in text: what `route load` and `bench lpm --routes` read.
 *
 *   plain      PREFIX [WORDS...] a line, `#` begins a comment; what stands behind the prefix is handed on as it is
 *   location   `location dump` of libloc: blocks `net: PREFIX` with `aut-num: N`; other lines are skipped
 *
 * ERRORS  -EINVAL with one line that names the line; -errno of reading.
 */
#ifndef LPM_LIST_H
#define LPM_LIST_H

#include "lpm/lpm.h"

enum lpm_list_format { LPM_LIST_PLAIN, LPM_LIST_LOCATION };
#define LPM_LIST_FORMATS "plain|location"

struct lpm_list_line {
	struct lpm_prefix prefix;
	uint32_t as;      /* location: the origin AS, 0: none */
	const char *rest; /* plain: behind the prefix, "" if nothing; valid during the call */
	unsigned int line;
};

/* Calls fn for each route; until it returns non-zero, which is returned. */
int lpm_list_read(FILE *f, enum lpm_list_format format, int (*fn)(void *arg, const struct lpm_list_line *l), void *arg,
		  char err[LPM_ERR_MAX]);
/* The format that the beginning of a file (size bytes) looks like. */
enum lpm_list_format lpm_list_guess(const char *begin, size_t size);

#endif
