/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The faults of cables: `link` and `slow` (fault.h).  A port that has some has operations of its own in place of its
 * cable's; one that has none is what it was.
 */
#ifndef FAULTS_PORT_H
#define FAULTS_PORT_H

#include <ports/port.h>
#include "fault.h"

/*
 * From now on faults befall `p`, which is open and not started, with rules of `s` (copied, with the random numbers of `who`) until
 * it is closed.  Its other queues are to be given theirs one by one.  Nothing to do without such rules.  0 or -ENOMEM.
 */
int fault_port(struct port *p, const struct fault_set *s, uint64_t who);

#endif
