/* SPDX-License-Identifier: BSD-3-Clause */
/* Which worker steps which queue of which NIC. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "driver/drv.h"

/*
 * NICs that static pairs join, directly or through others, form a group: what
 * passes between them stays in one core's cache; so do the same queue of all its
 * NICs, the only ones that speak to each other.  Queues of groups, group by group in the order of their
 * first NICs, are dealt round robin over the workers.  Where there are fewer of
 * them than workers, queues of NICs are dealt instead, so that no core is left without.
 *
 * worker[i * queues + q] < workers is that of queue q of NIC i.  Pairs name NICs below nics.
 */
void place_queues(const struct drv_pair *pairs, unsigned int num_pairs, unsigned int nics, unsigned int queues,
		  unsigned int workers, unsigned int worker[]);

#endif
