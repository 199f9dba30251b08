/* SPDX-License-Identifier: BSD-3-Clause */
/* What was published about the limits of each architecture, simulated. */
#ifndef EXPERIMENTS_ARITHMETIC_H
#define EXPERIMENTS_ARITHMETIC_H

#include "report.h"

extern const struct exp_col exp_arithmetic_cols[];
extern const unsigned int exp_num_arithmetic_cols;
/* Fills t, which has those columns.  0 or -errno and err. */
int exp_arithmetic(const struct exp_request *r, struct exp_table *t, char err[EXP_ERR_MAX]);

#endif
