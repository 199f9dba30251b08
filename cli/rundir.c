/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
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

int cli_rundir(char *path, size_t size, bool make, char err[CLI_ERR_MAX])
{
	struct stat st;

	if (rundir_name(path, size)) {
		snprintf(err, CLI_ERR_MAX, "the runtime directory's name is too long; set P2PNIC_RUNTIME_DIR to a shorter one");
		return -ENAMETOOLONG;
	}
	if (!make)
		return 0;
	if (mkdir(path, 0700) && errno != EEXIST) {
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

int cli_socket_path(char *path, size_t size, const char *name, bool make, char err[CLI_ERR_MAX])
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
	if (n < 0 || (size_t)n >= size || (size_t)n >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(err, CLI_ERR_MAX, "socket path '%.200s' is too long: %zu bytes at most", name,
			 sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	return 0;
}
