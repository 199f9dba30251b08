/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>

#include "bench.h"

int fwd_raw_available(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX])
{
	snprintf(why, FWD_ERR_MAX, "not available: this build can't measure it");
	return -ENOENT;
}
