/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory whose owner may cut it short: recovery from SIGBUS.
 *
 * A mapping of a file that another party can truncate (no F_SEAL_SHRINK) kills
 * whoever touches a page past the new end.  A guarded range survives: the
 * page touched is replaced by an anonymous one, zero-filled, *hit becomes 1
 * and the access is repeated.  The user of the range looks at *hit after each
 * burst, throws away what it read since, and lets go of the mapping.
 *
 * Pages of hugetlbfs are replaced whole, whatever their size.
 *
 * THREADS  Any thread may call add and remove, and fault, at any time.  Nobody
 * may touch a range while it is being removed.  The handler is
 * async-signal-safe; a fault outside every range goes to the handler that was
 * there before, or ends the process as it would have.  guard_add puts the
 * handler back if another has taken its place; whoever installs one after
 * that must chain to this one.
 */
#ifndef PORTS_GUARD_H
#define PORTS_GUARD_H

#include <stddef.h>

#define GUARD_MAX_RANGES 512

/*
 * Guards [base, base + size), page-aligned.  *hit must live until
 * guard_remove; set to 0 here.  Returns 0, -EINVAL, -ENOSPC (too many ranges)
 * or the errno of sigaction.
 */
int guard_add(void *base, size_t size, volatile int *hit);

/* Before the range is unmapped.  No effect if it isn't guarded. */
void guard_remove(void *base);

#endif
