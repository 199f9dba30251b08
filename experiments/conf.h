/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files in libconfig's syntax: reading them, and the one line that says what is wrong in them.
 *
 * ERRORS  "FILE:LINE: key 'KEY': what was wrong"; err has EXP_ERR_MAX bytes.
 */
#ifndef EXPERIMENTS_CONF_H
#define EXPERIMENTS_CONF_H

#include <libconfig.h>
#include <stdbool.h>

#define EXP_ERR_MAX 512

struct exp_conf {
	config_t cfg;
	const char *path; /* the caller's */
	unsigned int lines;
};

/* The whole of a file.  0, or -errno and err; then there is nothing to free. */
int exp_conf_read(struct exp_conf *c, const char *path, char err[EXP_ERR_MAX]);
void exp_conf_free(struct exp_conf *c);

/* -EINVAL, with the setting's line and name in front of the text. */
int exp_conf_fail(const struct exp_conf *c, const config_setting_t *s, char err[EXP_ERR_MAX], const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for what isn't there. */
int exp_conf_missing(const struct exp_conf *c, const config_setting_t *group, const char *key, char err[EXP_ERR_MAX],
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A number of any kind, true and false as 1 and 0. */
bool exp_conf_number(const config_setting_t *s, double *v);
/* NULL: no text. */
const char *exp_conf_text(const config_setting_t *s);
unsigned int exp_conf_line(const config_setting_t *s);

#endif
