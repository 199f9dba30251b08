/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a process with NICs gives up once its ports are open.
 *
 *   capabilities   all of them, the bounding and ambient sets as well; a process with certain ports keeps
 *                  those that these ports need again while it runs (enum sandbox_need)
 *   new privileges nothing that it might run gets any (PR_SET_NO_NEW_PRIVS)
 *   system calls   those in sandbox_calls.h alone; any other fails with EPERM and does nothing
 *   files          where the kernel has Landlock: none is made, written or removed but in the directories named
 *
 * Capabilities and Landlock are a thread's: sandbox_enter() comes before the
 * first thread is made, and those made later inherit all of it.  There is no way back.
 *
 * In a build with a sanitizer there is no filter of system calls: the
 * sanitizers' run-time makes calls of its own.
 */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/opts.h"

/* Bits: what must stay possible. */
enum sandbox_need {
	SANDBOX_XDP = 1,    /* an xdp port, which opens its sockets when the NIC starts and when its interface comes back */
	SANDBOX_NETNS = 2,  /* the same, in another network namespace */
	SANDBOX_PCAP = 4,   /* a pcap port, whose output gets its name at the end */
	SANDBOX_ROUTER = 8, /* a router in this process: devices, addresses and routes of the kernel */
};

#define SANDBOX_DIRS 64

struct sandbox {
	unsigned int needs;
	unsigned int dirs;
	char *dir[SANDBOX_DIRS]; /* where files that we made are removed */
	bool rename[SANDBOX_DIRS]; /* and renamed: outputs of pcap ports lie there */
};

/* What a port of this spec needs. */
void sandbox_port(struct sandbox *s, const char *text);
/* A socket of ours: the directory in which the file path lies; no effect if there is none. */
void sandbox_file(struct sandbox *s, const char *path);
void sandbox_free(struct sandbox *s);

/*
 * Enters.  0: all of it.  -errno and one line in err: some part could not be
 * had, which the line names; the other parts are in force.
 */
int sandbox_enter(const struct sandbox *s, char err[CLI_ERR_MAX]);

/* The part that Landlock does, for tests: the calling thread alone, which has no new privileges.  0 also where there is none. */
int sandbox_files(const struct sandbox *s);

/* Does what --sandbox says; given: it was said, and what can't be had is an error (-errno, err), else a note. */
int sandbox_option(const struct sandbox *s, const char *command, bool given, bool on, char err[CLI_ERR_MAX]);

/* True where the filter of system calls is left out for a sanitizer. */
bool sandbox_sanitizer(void);

#endif
