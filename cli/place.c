/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/place.h"

/* Group of each NIC, numbered from 0 in the order of their first NICs; returns how many. */
static unsigned int place_group(const struct drv_pair *pairs, unsigned int num_pairs, unsigned int nics, unsigned int group[])
{
	unsigned int first[P2P_MAX_NICS], i, k, groups = 0;
	bool changed = true;

	for (i = 0; i < nics; i++)
		first[i] = i;
	while (changed) {
		changed = false;
		for (k = 0; k < num_pairs; k++) {
			unsigned int *a = &first[pairs[k].a], *b = &first[pairs[k].b];

			changed |= *a != *b;
			*a = *b = *a < *b ? *a : *b;
		}
	}
	for (i = 0; i < nics; i++)
		group[i] = first[i] == i ? groups++ : group[first[i]];
	return groups;
}

void place_queues(const struct drv_pair *pairs, unsigned int num_pairs, unsigned int nics, unsigned int queues,
		  unsigned int workers, unsigned int worker[])
{
	unsigned int group[P2P_MAX_NICS], i, q, groups = place_group(pairs, num_pairs, nics, group);

	for (i = 0; i < nics; i++)
		for (q = 0; q < queues; q++)
			worker[i * queues + q] = ((groups * queues < workers ? i : group[i]) * queues + q) % workers;
}
