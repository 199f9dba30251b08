/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

static int rundir_name(char *path, size_t size)
{
	const char *dir = getenv("P2PNIC_RUNTIME_DIR");
	int n;

	if (dir && *dir)
		n = snprintf(path, size, "%s", dir);
	else if (geteuid() == 0)
		n = snprintf(path, size, "/run/p2pnic");
	else if ((dir = getenv("XDG_RUNTIME_DIR")) && *dir)
		n = snprintf(path, size, "%s/p2pnic", dir);
	else
		n = snprintf(path, size, "/tmp/p2pnic-%u", (unsigned int)geteuid());
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* A directory that was just made: the group may go through it to the sockets. */
static int rundir_share(const char *path, const struct sock_trust *t)
{
	if (!t->group)
		return 0;
	return lchown(path, (uid_t)-1, t->gid) || chmod(path, 0710) ? -errno : 0;
}

int cli_rundir(char *path, size_t size, const struct sock_trust *make, char err[CLI_ERR_MAX])
{
	struct stat st;
	bool made;

	if (rundir_name(path, size)) {
		snprintf(err, CLI_ERR_MAX, "the runtime directory's name is too long; set P2PNIC_RUNTIME_DIR to a shorter one");
		return -ENAMETOOLONG;
	}
	if (!make)
		return 0;
	made = !mkdir(path, 0700);
	if ((!made && errno != EEXIST) || (made && rundir_share(path, make))) {
		snprintf(err, CLI_ERR_MAX, "can't make the runtime directory %.300s: %s; set P2PNIC_RUNTIME_DIR", path,
			 strerror(errno));
		return -errno;
	}
	if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		snprintf(err, CLI_ERR_MAX, "the runtime directory %.300s is not a directory of this user; set P2PNIC_RUNTIME_DIR",
			 path);
		return -EPERM;
	}
	return 0;
}

int cli_socket_path(char *path, size_t size, const char *name, const struct sock_trust *make, char err[CLI_ERR_MAX])
{
	char dir[512];
	int n, rc;

	if (strchr(name, '/')) {
		n = snprintf(path, size, "%s", name);
	} else {
		rc = cli_rundir(dir, sizeof(dir), make, err);
		if (rc)
			return rc;
		n = snprintf(path, size, "%s/%s", dir, name);
	}
	if (n < 0 || (size_t)n >= size || (size_t)n > SOCK_PATH_MAX) {
		snprintf(err, CLI_ERR_MAX, "socket path '%.200s' is too long: %zu bytes at most", name,
			 SOCK_PATH_MAX);
		return -ENAMETOOLONG;
	}
	return 0;
}

int cli_trust(struct sock_trust *t, bool set, const char *group, char err[CLI_ERR_MAX])
{
	int rc;

	*t = (struct sock_trust){ 0 };
	if (!set)
		return 0;
	rc = sock_group(group, &t->gid);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "--group %.100s: there is no such group; give its name or number", group);
		return -EINVAL;
	}
	rc = sock_group_ours(t->gid);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "--group %.100s: sockets can't be given to it: %s; be a member of it, or root", group,
			 strerror(-rc));
		return rc;
	}
	t->group = true;
	return 0;
}
