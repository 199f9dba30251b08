/* SPDX-License-Identifier: BSD-3-Clause */
/* What control sockets tell, as tables for people and objects for scripts. */
#ifndef CLI_SHOW_TABLE_H
#define CLI_SHOW_TABLE_H

#include <json-c/json.h>
#include <stdio.h>

/* X(what, reads registers instead of statistics, what it is) */
#define SHOW_VIEWS(X) \
	X(nics, false, "each NIC's state") \
	X(peers, false, "who sees whom") \
	X(ports, false, "each port's link and frames") \
	X(stats, false, "ports, bytes moved, drops") \
	X(drops, false, "why frames were dropped") \
	X(regs, true, "all registers")

enum show_view {
#define X(name, regs, help) SHOW_##name,
	SHOW_VIEWS(X)
#undef X
	SHOW_NUM_VIEWS
};

/* nics: an array as ctl_stats() or ctl_regs() fills it. */
void show_table(enum show_view view, struct json_object *nics, FILE *f);
/* A new object {"nics":[...]}, cut down to what the view is about; "stats" has {"workers":[...]} too unless NULL. */
struct json_object *show_json(enum show_view view, struct json_object *nics, struct json_object *workers);
void show_print_json(struct json_object *o, FILE *f);

#endif
