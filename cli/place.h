/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker steps which NIC. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "driver/drv.h"

/*
 * NICs that static pairs join, directly or through others, form a group: what
 * passes between them stays in one core's cache.  Groups, in the order of their
 * first NICs, are dealt round robin over the workers.  Where there are fewer
 * groups than workers, NICs are dealt instead, so that no core is left without.
 *
 * worker[i] < workers for each of the nics.  Pairs name NICs below nics.
 */
void place_nics(const struct drv_pair *pairs, unsigned int num_pairs, unsigned int nics, unsigned int workers,
		unsigned int worker[]);

#endif
