/* SPDX-License-Identifier: BSD-3-Clause */
/* NICs of other processes, as --nic of up, down, reset and router names them. */
#ifndef CLI_UP_H
#define CLI_UP_H

#include <limits.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/driver_opts.h"
#include "driver/drv.h"

/* One NIC as given: where its socket is, or its PCI address; what it is called. */
struct up_addr {
	bool vfio;           /* by the kernel's VFIO */
	char path[PATH_MAX]; /* the socket; vfio: DDDD:BB:DD.F */
	char name[64];
	struct stat st;
};

/* P2P_MAX_NICS of a.  0 or -EINVAL with one line in err. */
int up_addrs(struct up_addr *a, const struct cli_list *list, char err[CLI_ERR_MAX]);
struct hold;

/* Opens the NIC and adds it to d. */
int up_open(struct drv *d, const struct up_addr *a, char err[CLI_ERR_MAX]);
/* All of them, by way of whoever holds them (hold_take): then hold_taken() or hold_end(). */
int up_open_all(struct hold *h, struct drv *d, const struct up_addr *a, unsigned int n, char err[CLI_ERR_MAX]);
/* Brings all of d up, or adopts them; they run on without the driver (not in bn).  max_nics: as in drv_opts. */
int up_introduce(struct drv *d, const struct up_addr *a, const struct cli_driver_opts *part, uint32_t max_nics,
		 char err[CLI_ERR_MAX]);

#endif
