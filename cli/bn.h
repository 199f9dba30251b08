/* SPDX-License-Identifier: BSD-3-Clause */
/* bn's host loop (driver/bn_host.h) on a worker. */
#ifndef CLI_BN_H
#define CLI_BN_H

#include <json-c/json.h>
#include <stdio.h>

#include "boards/soft/soft.h"
#include "cli/opts.h"
#include "driver/bn_host.h"
#include "driver/drv.h"

struct bn_task;

/*
 * Between drv_bring_up() and drv_wait_ready().  *out stays NULL if the mesh is
 * not one of bn.  0 or -errno with one line in err.
 */
int bn_create(struct bn_task **out, const struct drv *d, bool poll, char err[CLI_ERR_MAX]);
/* Onto a worker that does not run yet and ends before bn_destroy(). */
int bn_attach(struct bn_task *t, struct soft_worker *w);
/* Or onto a thread of its own, which bn_destroy() ends. */
int bn_start(struct bn_task *t, char err[CLI_ERR_MAX]);
/* NULL is fine.  Before drv_destroy(). */
void bn_destroy(struct bn_task *t);
/* Zeros where t is NULL. */
struct bn_host_stats bn_stats(const struct bn_task *t);
/* What the host counted, as a new object. */
struct json_object *bn_json(const struct bn_task *t);
/* The same as a line or two. */
void bn_print(const struct bn_task *t, FILE *f);
/* Frames in the host's hands. */
uint64_t bn_held(const struct bn_task *t);

#endif
