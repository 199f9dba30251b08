/* SPDX-License-Identifier: BSD-3-Clause */
/* A directory of its own for each test program, with profiles "plain" of every kind in it; $P2PNIC_PROFILES names it. */
#ifndef TESTS_EXP_FIXTURE_H
#define TESTS_EXP_FIXTURE_H

#include <experiments/topo.h>

int fixture_setup(void **state); /* for cmocka's group */
int fixture_teardown(void **state);
extern char fixture_dir[64];
/* Writes dir/name; returns its path (until the next call). */
const char *fixture_file(const char *name, const char *text);
/* Reads text as a topology file and makes a configuration of it: 0, or the error in err. */
int fixture_topology(const char *text, struct exp_config *c, char err[EXP_ERR_MAX]);

#endif
