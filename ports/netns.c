/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int port_netns_enter(int fd, int *home)
{
	int rc;

	*home = -1;
	if (fd < 0)
		return 0;
	*home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*home >= 0 && setns(fd, CLONE_NEWNET) == 0)
		return 0;
	rc = -errno;
	if (*home >= 0)
		close(*home);
	*home = -1;
	return rc;
}

int port_netns_leave(int home)
{
	int rc = 0;

	if (home < 0)
		return 0;
	if (setns(home, CLONE_NEWNET))
		rc = -errno;
	close(home);
	return rc;
}

int port_netns_open(const char *scheme, const char *netns, int *fd, char err[PORT_ERR_MAX])
{
	char path[PATH_MAX];
	int home, rc;

	if (!*netns || strlen(netns) > 400) {
		snprintf(err, PORT_ERR_MAX, "%s: netns= needs the name or path of a network namespace", scheme);
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "%s%s", strchr(netns, '/') ? "" : "/run/netns/", netns);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "%s: no network namespace '%.100s': %s: make it with: ip netns add NAME", scheme,
			 path, strerror(-rc));
		return rc;
	}
	/* Said now rather than when it is needed. */
	rc = port_netns_enter(*fd, &home);
	if (!rc)
		rc = port_netns_leave(home);
	if (rc) {
		snprintf(err, PORT_ERR_MAX, "%s: cannot enter network namespace '%.100s': %s%s", scheme, path, strerror(-rc),
			 rc == -EPERM ? ": needs CAP_SYS_ADMIN: run as root" : "");
		close(*fd);
		*fd = -1;
	}
	return rc;
}
