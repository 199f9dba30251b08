/* SPDX-License-Identifier: BSD-3-Clause */
/* Every board that exists. */
#include "mesh.h"

const struct mesh_ops *const mesh_boards[] = {
	&mesh_soft,
	&mesh_cut,
	&mesh_sim,
	&mesh_free,
	&mesh_late,
	NULL,
};

const struct mesh_ops *const mesh_script_boards[] = {
	&mesh_soft,
	&mesh_plain,
	&mesh_cut,
	&mesh_sim,
	&mesh_free,
	&mesh_late,
	NULL,
};
