/* SPDX-License-Identifier: BSD-3-Clause */
/* A test's cable (script_port.h) as a struct port, for boards whose NICs have those. */
#ifndef TESTS_CONFORMANCE_CABLE_H
#define TESTS_CONFORMANCE_CABLE_H

#include <ports/port.h>
#include <tests/late/script_port.h>

struct mesh_cable {
	struct port port; /* first; .ops = &mesh_cable_ops */
	struct script_port *sp;
};

extern const struct port_ops mesh_cable_ops;

static inline struct script_port *mesh_cable_of(struct port *p)
{
	return ((struct mesh_cable *)p)->sp;
}

#endif
