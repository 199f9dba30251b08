/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that another party may take away: recovery from SIGBUS.
 *
 * A mapping of a file that another party can truncate (no F_SEAL_SHRINK) kills
 * whoever touches a page past the new end.  So does one of hugetlbfs, whatever
 * its seals: who may write it may punch holes in it (fallocate), and when no
 * huge page is free then, the next touch of the hole is a SIGBUS.
 * A guarded range survives: the page touched is replaced by an anonymous one,
 * zero-filled, *hit becomes 1 and the access is repeated.  The user of the range
 * looks at *hit after each burst, throws away what it read since, and lets go of
 * the mapping.
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

#include <stdbool.h>
#include <stddef.h>

#define GUARD_MAX_RANGES 65536 /* more than a process may have maps (vm.max_map_count) */

/*
 * Guards [base, base + size), page-aligned.  *hit must live until
 * guard_remove; set to 0 here.  Returns 0, -EINVAL, -ENOSPC (too many ranges)
 * or the errno of sigaction.
 */
int guard_add(void *base, size_t size, volatile int *hit);

/* Before the range is unmapped.  No effect if it isn't guarded. */
void guard_remove(void *base);

/* Pages replaced so far, of all ranges; *hit is set before it rises.  Who has many ranges looks at this alone. */
unsigned int guard_hits(void);

/* May the memory of fd go while it is mapped?  1: it must be guarded; 0; or -errno.  *sealed: its size is for good. */
int guard_needed(int fd, bool *sealed);

#endif
