/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/sandbox_calls.h"
#include "ports/port.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZER true
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER false
#endif

bool sandbox_sanitizer(void)
{
	return SANDBOX_SANITIZER;
}

/* --- what it must be able to do --- */

static void sandbox_dir(struct sandbox *s, const char *path, bool rename)
{
	char *text = realpath(path, NULL), *slash, *dir; /* an output goes where a link points to */
	unsigned int i;

	if (!text)
		text = strdup(path);
	slash = text ? strrchr(text, '/') : NULL;
	if (slash)
		slash[slash == text] = '\0';
	dir = text ? strdup(slash ? text : ".") : NULL;
	free(text);
	if (!dir)
		return;
	for (i = 0; i < s->dirs && strcmp(s->dir[i], dir); i++)
		;
	if (i == SANDBOX_DIRS || i < s->dirs) {
		free(dir);
	} else {
		s->rename[i] = false;
		s->dir[s->dirs++] = dir;
	}
	if (i < s->dirs)
		s->rename[i] |= rename;
}

/* pcap:[IN][,OUT][,out=OUT]... */
static const char *sandbox_output(const struct port_spec *spec)
{
	const char *out = port_spec_get(spec, "out");

	return out ? out : spec->n && !*spec->opt[0].value ? spec->opt[0].key : NULL;
}

void sandbox_port(struct sandbox *s, const char *text)
{
	const char *role, *out;
	struct port_spec spec;
	char err[PORT_ERR_MAX];

	if (port_spec_parse(&spec, text, err))
		return; /* no port was opened by it */
	role = port_spec_get(&spec, "role");
	if (!strcmp(spec.scheme, "xdp"))
		s->needs |= SANDBOX_XDP | (port_spec_get(&spec, "netns") ? SANDBOX_NETNS : 0);
	if (!strcmp(spec.scheme, "memif") && *spec.target != '@' && role && !strcmp(role, "server"))
		sandbox_dir(s, spec.target, false);
	if (strcmp(spec.scheme, "pcap"))
		return;
	s->needs |= SANDBOX_PCAP;
	out = sandbox_output(&spec);
	if (out && *out)
		sandbox_dir(s, out, true);
}

void sandbox_file(struct sandbox *s, const char *path)
{
	sandbox_dir(s, path, false);
}

void sandbox_free(struct sandbox *s)
{
	while (s->dirs)
		free(s->dir[--s->dirs]);
}

/* --- capabilities --- */

static uint64_t sandbox_caps(unsigned int needs)
{
	uint64_t keep = 0;

	if (needs & SANDBOX_XDP)
		keep |= 1ull << CAP_NET_RAW | 1ull << CAP_NET_ADMIN | 1ull << CAP_BPF;
	if (needs & SANDBOX_NETNS)
		keep |= 1ull << CAP_SYS_ADMIN;
	if (needs & SANDBOX_ROUTER)
		keep |= 1ull << CAP_NET_ADMIN;
	return keep;
}

static int sandbox_drop_caps(unsigned int needs)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3];
	uint64_t keep = sandbox_caps(needs);
	unsigned int i;

	if (syscall(SYS_capget, &head, have))
		return -errno;
	/* What CAP_IPC_LOCK allows an xdp port to pin; without CAP_SYS_RESOURCE the limit can't be lifted in its place. */
	if ((needs & SANDBOX_XDP) && (have[0].effective & 1u << CAP_IPC_LOCK) && setrlimit(RLIMIT_MEMLOCK, &all))
		keep |= 1ull << CAP_IPC_LOCK;
	/* Without CAP_SETPCAP it stays; with no new privileges nobody gets anything from it. */
	for (i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) && errno != EPERM)
			return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
		return -errno;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		have[i].permitted &= (uint32_t)(keep >> 32 * i);
		have[i].effective = have[i].permitted;
		have[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, have) ? -errno : 0;
}

/* --- files --- */

#define SANDBOX_FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define SANDBOX_FS_MAKE \
	(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define SANDBOX_FS_ALL \
	(SANDBOX_FS_READ | SANDBOX_FS_MAKE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE)

static int sandbox_allow(int set, const char *dir, uint64_t what)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = what };
	int rc;

	rule.parent_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	rc = syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
	close(rule.parent_fd);
	return rc;
}

/* Kernels before 5.13, and those started without it, have none: no error. */
int sandbox_files(const struct sandbox *s)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = SANDBOX_FS_ALL };
	const uint64_t own = LANDLOCK_ACCESS_FS_REMOVE_FILE;
	unsigned int i;
	int set, rc;

	if (s->needs & SANDBOX_ROUTER)
		return 0;
	set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (set < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	rc = sandbox_allow(set, "/", SANDBOX_FS_READ);
	for (i = 0; !rc && i < s->dirs; i++)
		rc = sandbox_allow(set, s->dir[i], own | (s->rename[i] ? LANDLOCK_ACCESS_FS_MAKE_REG : 0));
	if (!rc && syscall(SYS_landlock_restrict_self, set, 0))
		rc = -errno;
	close(set);
	return rc;
}

/* --- system calls --- */

struct sandbox_rule {
	const char *name;
	unsigned int need, n;
	struct scmp_arg_cmp arg[1];
};

#define SANDBOX_LOW 0xffffffffull
#define ALWAYS 0, { { 0 } }
#define IS(at, v) 1, { { at, SCMP_CMP_MASKED_EQ, SANDBOX_LOW, (uint32_t)(v) } }
#define BITS(at, mask, v) 1, { { at, SCMP_CMP_MASKED_EQ, (uint32_t)(mask), (uint32_t)(v) } }
#define NIL(at) 1, { { at, SCMP_CMP_EQ, 0, 0 } }
#define ME(at) 1, { { at, SCMP_CMP_NE, 0, 0 } } /* the number is filled in */
static const struct sandbox_rule sandbox_rules[] = {
#define X(call, need, conditions, why) { #call, need, conditions },
	SANDBOX_CALLS(X)
#undef X
};

static int sandbox_rule_add(scmp_filter_ctx filter, const struct sandbox_rule *r)
{
	int nr = seccomp_syscall_resolve_name(r->name);
	struct scmp_arg_cmp arg = r->arg[0];

	/* Not every architecture has all. */
	if (nr == __NR_SCMP_ERROR || nr < 0)
		return 0;
	if (r->n && arg.op == SCMP_CMP_NE)
		arg = (struct scmp_arg_cmp){ arg.arg, SCMP_CMP_MASKED_EQ, SANDBOX_LOW, (uint32_t)getpid() };
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, r->n, &arg);
}

static int sandbox_filter(unsigned int needs)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	unsigned int i;
	int rc = 0;

	if (!filter)
		return -ENOMEM;
	for (i = 0; !rc && i < sizeof(sandbox_rules) / sizeof(sandbox_rules[0]); i++)
		if (!sandbox_rules[i].need || (sandbox_rules[i].need & needs))
			rc = sandbox_rule_add(filter, &sandbox_rules[i]);
	if (!rc)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* Older kernels would slow every branch down for a process with a filter: it is none that runs others' code. */
	if (!rc)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	if (!rc)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

/* --- all of it --- */

static unsigned int sandbox_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned int n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void sandbox_part(int rc, int *first, const char *part, char err[CLI_ERR_MAX])
{
	if (rc && !*first) {
		*first = rc;
		snprintf(err, CLI_ERR_MAX, "sandbox: %s: %s", part, strerror(-rc));
	}
}

int sandbox_enter(const struct sandbox *s, char err[CLI_ERR_MAX])
{
	int rc, first = 0;

	if (!SANDBOX_SANITIZER && sandbox_threads() > 1) {
		sandbox_part(-EBUSY, &first, "there are threads already", err);
		return first;
	}
	rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	sandbox_part(rc, &first, "no new privileges", err);
	sandbox_part(sandbox_files(s), &first, "files (Landlock)", err);
	sandbox_part(sandbox_drop_caps(s->needs), &first, "capabilities", err);
	if (!SANDBOX_SANITIZER)
		sandbox_part(sandbox_filter(s->needs), &first, "filter of system calls (seccomp)", err);
	return first;
}

int sandbox_option(const struct sandbox *s, const char *command, bool given, bool on, char err[CLI_ERR_MAX])
{
	char why[CLI_ERR_MAX];
	int rc;

	if (given && !on)
		return 0;
	rc = sandbox_enter(s, why);
	if (rc && given) {
		snprintf(err, CLI_ERR_MAX, "%.300s; --sandbox off goes on without", why);
		return rc;
	}
	if (rc)
		cli_note(command, "%s; it goes on without that", why);
	else if (given && SANDBOX_SANITIZER)
		cli_note(command, "sandbox: this build has a sanitizer: system calls are not filtered");
	return 0;
}
