/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the bench works, and which programs there are. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "subject.h"

#define ENV_HELP_MS 5000
#define ENV_HUGE_PAGES 160 /* of 2 MiB: DPDK_MEGABYTES, and some */

/* The first executable of that name in PATH; "" if there is none. */
static void env_which(char path[PATH_MAX], const char *name)
{
	const char *dir = getenv("PATH");
	size_t len;

	for (; dir && *dir; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)len, dir, name) < PATH_MAX && !access(path, X_OK))
			return;
	}
	*path = '\0';
}

/* A file built by scripts/dpdk-native.sh: the newest version's. "" if there is none. */
static void env_built(char path[PATH_MAX], char version[64], const char *flavour, const char *program)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char dir[PATH_MAX / 2], tail[32], best[64] = "";
	struct dirent *e;
	DIR *d;

	if (xdg && *xdg)
		snprintf(dir, sizeof(dir), "%s/p2pnic", xdg);
	else
		snprintf(dir, sizeof(dir), "%s/.cache/p2pnic", home && *home ? home : "/root");
	*path = '\0';
	d = opendir(dir);
	if (!d)
		return;
	snprintf(tail, sizeof(tail), "-%s", flavour);
	while ((e = readdir(d))) {
		char *end = strstr(e->d_name, tail);
		char file[PATH_MAX];

		if (strncmp(e->d_name, "dpdk-", 5) || !end || end[strlen(tail)] || end - e->d_name > 60)
			continue;
		snprintf(file, sizeof(file), "%s/%s/bin/%s", dir, e->d_name, program);
		*end = '\0';
		if (access(file, X_OK) || strverscmp(e->d_name + 5, best) <= 0)
			continue;
		snprintf(best, sizeof(best), "%.60s", e->d_name + 5);
		snprintf(path, PATH_MAX, "%s", file);
	}
	closedir(d);
	if (*best)
		snprintf(version, 64, "%s", best);
}

static bool env_huge(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned int n = 0;

	if (!f)
		return false;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return n >= ENV_HUGE_PAGES;
}

/* What a program says to its arguments: whether `text` is in it. */
static bool env_says(const struct fwd_env *e, struct fwd_args *a, const char *text)
{
	struct fwd_proc_opts o = { .name = "a look at --help", .cpu = -1 };
	char log[PATH_MAX], err[FWD_ERR_MAX];
	struct fwd_proc p;
	bool said;

	snprintf(log, sizeof(log), "%s/help.log", e->dir);
	o.log = log;
	if (fwd_proc_start(&p, a, &o, err))
		return false;
	said = !fwd_proc_expect(&p, text, 0, ENV_HELP_MS, NULL, 0, err);
	fwd_proc_stop(&p, 0);
	return said;
}

/* Debian's testpmd tells its version: "EAL: RTE Version: 'DPDK 22.11.11'". */
static void env_testpmd_version(struct fwd_env *e)
{
	struct fwd_proc_opts o = { .name = "testpmd", .cpu = -1 };
	char log[PATH_MAX], said[4096] = "", err[FWD_ERR_MAX];
	struct fwd_args a = { 0 };
	struct fwd_proc p;

	snprintf(log, sizeof(log), "%s/version.log", e->dir);
	o.log = log;
	fwd_arg(&a, "%s", e->testpmd);
	fwd_arg(&a, "-v");
	fwd_arg(&a, "--help");
	if (!*e->testpmd || fwd_proc_start(&p, &a, &o, err))
		return;
	fwd_proc_expect(&p, "DPDK ", 0, ENV_HELP_MS, said, sizeof(said), err);
	fwd_proc_stop(&p, 0);
	if (strstr(said, "'DPDK "))
		snprintf(e->dpdk_version, sizeof(e->dpdk_version), "%.*s", (int)strcspn(strstr(said, "'DPDK ") + 6, "'\n"),
			 strstr(said, "'DPDK ") + 6);
}

int fwd_env_init(struct fwd_env *e, const struct fwd_request *req, char err[FWD_ERR_MAX])
{
	const char *tmp = getenv("TMPDIR");
	struct fwd_args a = { 0 };

	*e = (struct fwd_env){ .req = req, .dpdk_build = req->native ? "native" : "debian" };
	/* Sockets need a short path. */
	snprintf(e->dir, sizeof(e->dir), "%s/p2pnic-bench-XXXXXX", tmp && *tmp && strlen(tmp) < 30 ? tmp : "/tmp");
	if (!mkdtemp(e->dir)) {
		snprintf(err, FWD_ERR_MAX, "no directory can be made for the cables' sockets (%s): %s; set TMPDIR", e->dir,
			 strerror(errno));
		*e->dir = '\0';
		return -errno;
	}
	if (req->native)
		env_built(e->testpmd, e->dpdk_version, "native", "dpdk-testpmd");
	else
		env_which(e->testpmd, "dpdk-testpmd");
	env_built(e->l3fwd, e->dpdk_version, e->dpdk_build, "dpdk-l3fwd");
	if (!req->native)
		env_testpmd_version(e);
	e->huge = env_huge();
	fwd_arg(&a, "%s", req->self);
	fwd_arg(&a, "run");
	fwd_arg(&a, "--help");
	e->can_cut = env_says(e, &a, "--placement");
	return 0;
}

void fwd_env_free(struct fwd_env *e)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir = *e->dir ? opendir(e->dir) : NULL;

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", e->dir, d->d_name);
		unlink(path);
	}
	closedir(dir);
	rmdir(e->dir);
}
