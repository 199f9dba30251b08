/* SPDX-License-Identifier: BSD-3-Clause */
/* From options to what the driver is asked for. */
#ifndef CLI_DRIVER_OPTS_H
#define CLI_DRIVER_OPTS_H

#include "cli/options.h"
#include "driver/drv.h"

#define CLI_MAX_PAIRS CLI_LIST_MAX

#define CLI_DRIVER_COPY(type, field, name, letter, meta, min, max, help) \
	to_->field = from_->field; \
	to_->field##_set = from_->field##_set;
/* The driver's part of run's or up's options. */
#define cli_driver_part(to, from) \
	do { \
		__typeof__(to) to_ = (to); \
		__typeof__(from) from_ = (from); \
		CLI_DRIVER_OPTIONS(CLI_DRIVER_COPY) \
	} while (0)

/*
 * n NICs with their names and numbers of ports.  Without --pair, --bridge and --route
 * two NICs with equally many ports are paired port by port; all else is bridged.
 * pairs: CLI_MAX_PAIRS of them, kept by the caller as long as o.  Returns 0 or
 * -EINVAL with one line in err.
 */
int cli_driver_opts(struct drv_opts *o, struct drv_pair *pairs, const struct cli_driver_opts *c,
		    const char *const *names, const unsigned int *ports, unsigned int n, char err[CLI_ERR_MAX]);
/* "NIC.PORT", len bytes of it, as an option's value has it.  0 or -EINVAL with one line in err. */
int cli_nic_port(const char *option, const char *text, size_t len, const char *const *names, const unsigned int *ports,
		 unsigned int n, unsigned int *nic, unsigned int *port, char err[CLI_ERR_MAX]);
/* Is what was asked for of --placement and --mode possible together?  0 or -EINVAL with one line in err. */
int cli_placement_check(unsigned int placement, unsigned int mode, char err[CLI_ERR_MAX]);

#endif
