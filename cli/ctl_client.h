/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An observer's end of control sockets (boards/soft/soft.h tells what they speak).
 * Answers come from another process: every use checks types.
 */
#ifndef CLI_CTL_CLIENT_H
#define CLI_CTL_CLIENT_H

#include <json-c/json.h>

#include "cli/opts.h"

/*
 * One request, one answer (json_object_put() it).  -errno with one line in err;
 * -ECONNREFUSED and -ENOENT: nobody serves there.
 */
int ctl_ask(const char *path, const char *request, struct json_object **answer, char err[CLI_ERR_MAX]);
/* Adds the "nics" and "workers" of one socket's statistics to those arrays; workers may be NULL. */
int ctl_stats(const char *path, struct json_object *nics, struct json_object *workers, char err[CLI_ERR_MAX]);
/* Adds {"name":..., "regs":[...]} of every NIC behind the socket. */
int ctl_regs(const char *path, struct json_object *nics, char err[CLI_ERR_MAX]);

/* Members of an object, whatever it is; 0 or "" where there is none of that type. */
uint64_t ctl_u64(struct json_object *o, const char *key);
const char *ctl_text(struct json_object *o, const char *key);
/* NULL if it is not an array (object). */
struct json_object *ctl_array(struct json_object *o, const char *key);
struct json_object *ctl_object(struct json_object *o, const char *key);

#endif
