/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device memory: a row of segments (include/p2pnic/layout.h), each a sealed
 * memfd of its own, mapped side by side so that BAR2 is one piece of host memory.
 *
 * A segment's size is sealed (F_SEAL_SHRINK, GROW, SEAL): who maps one of 4 KiB
 * pages never meets SIGBUS.  One of 2 MiB pages is guarded (ports/guard.h): who
 * may write it may punch holes in it, and no seal forbids only that.  Where no
 * page is free for a hole the NIC goes on with zeroes of its own there.
 * Receive buffers are handed out read-only: share_fd of such a segment
 * is a descriptor opened O_RDONLY and the object's mode lets nobody open it for
 * writing again (root apart, who can do anything).
 *
 * 2 MiB pages are used for a segment whose offset and size are multiples of
 * 2 MiB, while free ones exist; else transparent ones are asked for.
 */
#ifndef BOARDS_SOFT_MEMORY_H
#define BOARDS_SOFT_MEMORY_H

#include <p2pnic/layout.h>

#define SOFT_HUGE_BYTES (2u << 20)

struct soft_segment {
	uint64_t offset, bytes;
	int fd;	      /* read and write: the NIC's and its ports' */
	int share_fd; /* for clients; equals fd unless the segment is read-only to them */
	bool read_only;
	bool huge;
	volatile int hit; /* huge: becomes 1 when a page was taken away, 2 once that is counted */
};

struct soft_memory {
	uint8_t *base; /* bytes reserved, PROT_NONE past `used`; NULL: none */
	uint64_t reserved;
	uint64_t used;
	unsigned int n;
	struct soft_segment *seg;
	struct p2p_shape shape;
	bool told; /* of a page taken away, since this layout */
};

/* Reserves address space of a BAR of `bytes`.  0, -ENOMEM. */
int soft_memory_init(struct soft_memory *m, uint64_t bytes);
/* All segments anew, zeroed.  0; -ENOMEM: it doesn't fit or there is none; -errno.  On failure nothing is laid out. */
int soft_memory_layout(struct soft_memory *m, const struct p2p_shape *shape);
void soft_memory_drop(struct soft_memory *m);
void soft_memory_destroy(struct soft_memory *m);
/* A segment that lost a page since this last returned it, or NULL. */
const struct soft_segment *soft_memory_hit_next(struct soft_memory *m);
/* The segment that holds BAR2 offset `off`, or NULL. */
const struct soft_segment *soft_memory_find(const struct soft_memory *m, uint64_t off);

#endif
