/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may connect. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sock/sock.h"

#define GROUPS_USUAL 32
#define GROUP_LINE_MAX (1u << 20)

static bool peer_has_group(int fd, gid_t gid)
{
	gid_t usual[GROUPS_USUAL], *g = usual;
	socklen_t len = sizeof(usual);
	bool has = false;
	int rc;

	rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g, &len);
	if (rc && errno == ERANGE) { /* len says how many there are */
		g = malloc(len);
		rc = g ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g, &len) : -1;
	}
	for (size_t i = 0; !rc && i < len / sizeof(*g); i++)
		has |= g[i] == gid;
	if (g != usual)
		free(g);
	return has;
}

bool sock_trusted(int fd, const struct sock_trust *trust)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	if (who.uid == 0 || who.uid == geteuid())
		return true;
	return trust->group && (who.gid == trust->gid || peer_has_group(fd, trust->gid));
}

static int group_number(const char *text, gid_t *gid)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v >= (gid_t)-1)
		return -ENOENT;
	*gid = (gid_t)v;
	return 0;
}

int sock_group(const char *text, gid_t *gid)
{
	struct group g, *found = NULL;
	size_t size = 1024;
	char *buf = NULL, *more;
	int err;

	do {
		size *= 2;
		more = realloc(buf, size);
		if (!more) {
			free(buf);
			return -ENOMEM;
		}
		buf = more;
		err = getgrnam_r(text, &g, buf, size, &found);
	} while (err == ERANGE && size < GROUP_LINE_MAX);
	if (found)
		*gid = g.gr_gid;
	free(buf);
	return found ? 0 : group_number(text, gid);
}

/* Of a file of ours without a name the kernel asks what it asks of any. */
int sock_group_ours(gid_t gid)
{
	int fd = memfd_create("p2pnic-group", MFD_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fchown(fd, (uid_t)-1, gid) ? -errno : 0;
	close(fd);
	return rc;
}
