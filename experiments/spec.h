/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files that read and build specifications share. */
#ifndef EXPERIMENTS_SPEC_H
#define EXPERIMENTS_SPEC_H

#include "topo.h"

extern const char *const exp_patterns[], *const exp_arrivals[], *const exp_on_off[]; /* NULL-terminated */

/* -EINVAL with the line in front: of the file, if it comes from there. */
int exp_spec_fail(const struct exp_spec *spec, unsigned int line, const char *key, char err[EXP_ERR_MAX], const char *fmt,
		  ...) __attribute__((format(printf, 5, 6)));
int exp_kind_find(const char *word, size_t len); /* -1 */
bool exp_setting_known(const char *name);
/* "name=value;" of all; -ENOSPC. */
int exp_settings_print(const struct exp_settings *s, char *to, size_t size);

#endif
