/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the sim board share. */
#ifndef BOARDS_SIM_INTERNAL_H
#define BOARDS_SIM_INTERNAL_H

#include <stdint.h>

#include "profile.h"

#define SIM_FS_PER_PS 1000ull
#define SIM_EPOCH_NS 1000000000ull /* board time when virtual time is 0 */

/* Nanoseconds of a profile as integers, rounded to the nearest. */
static inline uint64_t sim_ps(double ns)
{
	return (uint64_t)(ns * 1e3 + 0.5);
}

static inline uint64_t sim_fs(double ns)
{
	return (uint64_t)(ns * 1e6 + 0.5);
}

#endif
