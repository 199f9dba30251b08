/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finished points of a sweep, kept in a directory: journal.RANK for each rank, one line a point,
 * only ever appended to.
 *
 *   HASH <tab> a line of exp_result_write()
 *
 * HASH is the configuration's (exp_config_hash), so a point whose numbers have changed is
 * another point.  A line that was torn off by a crash is ignored.  Any number of processes
 * on any number of machines may write, each to its own file.
 */
#ifndef EXPERIMENTS_JOURNAL_H
#define EXPERIMENTS_JOURNAL_H

#include <stdint.h>

#include "conf.h"

struct exp_journal;

/* Makes the directory; our own file is ready for exp_journal_add().  0 or -errno and err. */
int exp_journal_open(struct exp_journal **out, const char *dir, unsigned int rank, char err[EXP_ERR_MAX]);
void exp_journal_close(struct exp_journal *j);
/* Takes in what all files say now that wasn't known yet.  0 or -errno and err. */
int exp_journal_read(struct exp_journal *j, char err[EXP_ERR_MAX]);
/* The point's line, without hash; NULL: not finished. */
const char *exp_journal_find(const struct exp_journal *j, uint64_t hash);
int exp_journal_add(struct exp_journal *j, uint64_t hash, const char *line, char err[EXP_ERR_MAX]);
/* Says that this rank takes part in a job, and asks for others that do. */
int exp_journal_hello(struct exp_journal *j, const char *job, char err[EXP_ERR_MAX]);
bool exp_journal_heard(const struct exp_journal *j, unsigned int rank, const char *job);

#endif
