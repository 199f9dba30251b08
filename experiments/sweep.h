/* SPDX-License-Identifier: BSD-3-Clause */
/* Who we are among the processes that mpirun started. */
#ifndef EXPERIMENTS_SWEEP_H
#define EXPERIMENTS_SWEEP_H

struct exp_world {
	unsigned int rank, size; /* 0 of 1 without mpirun */
	char job[128];           /* the same for all ranks of one mpirun */
};
/* From the environment that OpenMPI gives its processes. */
void exp_world_find(struct exp_world *w);

#endif
