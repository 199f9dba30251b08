/* SPDX-License-Identifier: BSD-3-Clause */
/* The two halves of `p2pnic run`. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "cli/options.h"
#include "cli/rig.h"

/* Each returns an exit status, after its own one-line error. */
int run_forward(const struct cli_run_opts *o, const struct rig_opts *ro);
int run_measure(const struct cli_run_opts *o, const struct rig_opts *ro);

/* run's control socket, by default run-PID.ctl in the runtime directory. */
int run_ctl_path(char *path, size_t size, const struct cli_run_opts *o, const struct sock_trust *trust, char err[CLI_ERR_MAX]);

/* Gives up what --sandbox says; the ports and the control socket ctl are open, and nothing runs yet. */
int run_sandbox(const struct cli_run_opts *o, const char *ctl, char err[CLI_ERR_MAX]);

/* A line that is written over, on stderr, if that is a terminal and no JSON was asked for. */
void run_progress(const struct cli_run_opts *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void run_progress_end(const struct cli_run_opts *o);

#endif
