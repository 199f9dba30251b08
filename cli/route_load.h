/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of routes for the kernel: prefixes a line, `location dump`, and what `route dump` writes. */
#ifndef CLI_ROUTE_LOAD_H
#define CLI_ROUTE_LOAD_H

#include "cli/opts.h"
#include "cli/route_plan.h"
#include "lpm/list.h"

struct route_source {
	const char *path;        /* "-": standard input */
	int format;              /* enum lpm_list_format, -1: as the text looks */
	uint64_t limit;          /* routes, 0: all */
	bool aimed;              /* an interface or a type stands in for gateways */
	uint8_t type;            /* RTN_*, of what the list gives none for */
	const uint32_t *gateway; /* of the plan, for prefixes without one of their own: those of the same family */
	unsigned int gateways;
};

/* What of `route dump` is no route to load: the kernel makes it itself, or it says too little. */
#define ROUTE_DUMPED(X) \
	X(LOCAL, "local", "of this host's addresses") \
	X(NETWORK, "network", "of networks on an interface") \
	X(NEIGHBOUR, "neighbour", "of neighbours") \
	X(KERNEL, "kernel", "by the kernel without a gateway")
enum route_dumped {
#define X(name, key, text) ROUTE_DUMPED_##name,
	ROUTE_DUMPED(X)
#undef X
	ROUTE_DUMPED_N
};

struct route_left {
	uint64_t family[2];               /* IPv4, IPv6: prefixes for which no gateway of the family was given */
	uint64_t dumped[ROUTE_DUMPED_N];
};

/* Adds what the list has to p.  0 or -errno with one line in err that names the list's line. */
int route_load_list(struct plan *p, const struct route_source *s, struct route_left *left, char err[CLI_ERR_MAX]);
/* One line of why prefixes were left out for want of a gateway; false: none was. */
bool route_left_text(const struct route_left *left, char err[CLI_ERR_MAX]);

#endif
