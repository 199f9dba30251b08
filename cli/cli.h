/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `p2pnic` command: what its files share.
 *
 * A subcommand returns the exit status: 0 done, 1 it could not be done, 2 it
 * was asked for wrongly.  Errors are one line on stderr, "p2pnic COMMAND: what
 * was wrong; what to do", said with cli_error() by whoever knows the command.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "cli/opts.h"
#include "sock/sock.h"

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2

struct cli_usage {
	const char *synopsis;    /* after "p2pnic NAME" */
	const char *description; /* paragraphs, separated by empty lines */
	const char *examples;    /* lines as on the command line; may be NULL */
	struct cli_table table;
};

struct cli_cmd {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *help;                  /* one line */
	const struct cli_usage *usage;     /* NULL: none but the line above */
	const struct cli_cmd *sub;         /* its own commands, named in full ("bench copy"), ended by a NULL name; or NULL */
};

/* The one table, ended by a NULL name, and the one of `bench`. */
extern const struct cli_cmd cli_commands[], bench_commands[];
/* By its full name, "bench copy"; NULL: there is none. */
const struct cli_cmd *cli_command(const char *name);

extern const struct cli_usage cli_run_usage, cli_nic_usage, cli_up_usage, cli_down_usage, cli_reset_usage, cli_bind_usage, cli_unbind_usage,
	cli_router_usage, cli_route_usage,
	cli_show_usage, cli_doctor_usage, cli_gen_usage, cli_sim_usage, cli_bench_usage, cli_bench_forward_usage, cli_bench_soak_usage,
	cli_bench_idle_usage, cli_bench_copy_usage, cli_bench_lpm_usage, cli_bench_churn_usage, cli_help_usage;
int cli_run(int argc, char **argv);
int cli_nic(int argc, char **argv);
int cli_up(int argc, char **argv);
int cli_down(int argc, char **argv);
int cli_reset(int argc, char **argv);
int cli_bind(int argc, char **argv);
int cli_unbind(int argc, char **argv);
int cli_router(int argc, char **argv);
int cli_route(int argc, char **argv);
int cli_show(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_gen(int argc, char **argv);
int cli_sim(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_bench_forward(int argc, char **argv);
int cli_bench_soak(int argc, char **argv);
int cli_bench_idle(int argc, char **argv);
int cli_bench_copy(int argc, char **argv);
int cli_bench_lpm(int argc, char **argv);
int cli_bench_churn(int argc, char **argv);
int cli_help(int argc, char **argv);
int cli_version(int argc, char **argv);

/* help.c */
void cli_help_all(FILE *f);
void cli_help_print(const struct cli_cmd *cmd, FILE *f);
void cli_man_print(const struct cli_cmd *cmd, FILE *f); /* cmd NULL: p2pnic(1) itself */

/* One line on stderr. */
void cli_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_note(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * rundir.c: the directory of this user's sockets, ${P2PNIC_RUNTIME_DIR}, else
 * /run/p2pnic for root, else ${XDG_RUNTIME_DIR}/p2pnic, else /tmp/p2pnic-UID.
 * make not NULL: create it (0700; 0710 with the group) and refuse one that another user owns.
 */
int cli_rundir(char *path, size_t size, const struct sock_trust *make, char err[CLI_ERR_MAX]);
/* A socket's name without a slash stands for a file in that directory. */
int cli_socket_path(char *path, size_t size, const char *name, const struct sock_trust *make, char err[CLI_ERR_MAX]);
/* --group; not set: nobody but us.  -EINVAL: no such group, -EPERM: not ours to give files to. */
int cli_trust(struct sock_trust *t, bool set, const char *group, char err[CLI_ERR_MAX]);

/* signals.c: SIGINT and SIGTERM are held back from now on, in threads made later as well; SIGPIPE is ignored. */
void cli_signals_block(void);
/* Waits up to ns for one of them; its number or 0. */
int cli_signal_wait(uint64_t ns);

#endif
