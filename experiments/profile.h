/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Profiles: what a NIC, a switch or a host is, as files of data.
 *
 *   description = "Netronome Agilio LX 2x40GbE";
 *   base = "other";                     // what this file doesn't say, that one does
 *   workers = 60;                       // a parameter of boards/sim/profile.h
 *   dma_write_gap = { value = 21.1; low = 20.9; high = 21.3; source = "..."; fitted = "pcie-bench"; };
 *
 * A name stands for KIND/NAME.conf (KIND: nic, switch, host) in $P2PNIC_PROFILES, else in the
 * source tree that the program was built from, else in the data directory; with a slash it is a path.
 *
 * ERRORS  -EINVAL or -errno, and one line that names file, line and key.
 */
#ifndef EXPERIMENTS_PROFILE_H
#define EXPERIMENTS_PROFILE_H

#include <boards/sim/profile.h>

#include "conf.h"

enum exp_kind { EXP_NIC, EXP_SWITCH, EXP_HOST, EXP_NUM_KINDS };
extern const char *const exp_kinds[EXP_NUM_KINDS];

/* One row of the lists in boards/sim/profile.h, in their order. */
struct exp_param {
	const char *name, *unit;
	double min, max;
	const char *desc;
};
const struct exp_param *exp_params(enum exp_kind kind, unsigned int *n);
/* Its number in the list; -1: unknown. */
int exp_param_find(enum exp_kind kind, const char *name);
/* "60 to 80 cycles" isn't so: the reason, or NULL if v may stand for the parameter. */
const char *exp_param_refuse(const struct exp_param *p, double v, char why[160]);

#define EXP_MAX_PARAMS 64
#define EXP_PROFILE_NAME_MAX 64

struct exp_value {
	double value, low, high;   /* low <= value <= high */
	char *source, *fitted;     /* where it is from; to what it was fitted; NULL: not said */
	unsigned int line;         /* 0: not given yet */
};

struct exp_profile {
	enum exp_kind kind;
	char name[EXP_PROFILE_NAME_MAX];
	char *description; /* NULL: none */
	struct exp_value v[EXP_MAX_PARAMS];
};

/* Reads a profile whole; *out is the caller's. */
int exp_profile_load(enum exp_kind kind, const char *name, struct exp_profile **out, char err[EXP_ERR_MAX]);
void exp_profile_free(struct exp_profile *p);
struct exp_profile *exp_profile_copy(const struct exp_profile *p); /* NULL: no memory */
/* A struct sim_nic_profile, sim_switch_profile or sim_host_profile from the values. */
void exp_profile_fill(const struct exp_profile *p, void *sim);
double exp_profile_get(const struct exp_profile *p, const char *param);

#endif
