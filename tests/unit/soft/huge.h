/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that gets no more huge pages when a test says so: a control group
 * with a limit (cgroup v2, controller hugetlb), so that the pool of
 * the machine, which other tests use, stays as it is.
 */
#ifndef TESTS_UNIT_SOFT_HUGE_H
#define TESTS_UNIT_SOFT_HUGE_H

struct huge_group {
	char path[256];
};

/* NULL, or why there can be none. */
const char *huge_group_make(struct huge_group *g);
/* The calling process gets no huge page from here on, whatever is free; it keeps what it has. */
int huge_group_join(const struct huge_group *g);
/* Once its processes have gone. */
void huge_group_drop(struct huge_group *g);

#endif
