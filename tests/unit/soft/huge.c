/* SPDX-License-Identifier: BSD-3-Clause */
#include "huge.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int put(const char *dir, const char *name, const char *text)
{
	char path[512];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return rc;
}

/* Where cgroup v2 is mounted. */
static int find_root(char *root, size_t size)
{
	char line[1024], dir[256], type[32];
	FILE *f = fopen("/proc/mounts", "re");
	int rc = -1;

	while (f && rc && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %255s %31s", dir, type) == 2 && !strcmp(type, "cgroup2"))
			rc = snprintf(root, size, "%s", dir) < (int)size ? 0 : -1;
	if (f)
		fclose(f);
	return rc;
}

const char *huge_group_make(struct huge_group *g)
{
	char root[200];

	if (find_root(root, sizeof(root)))
		return "no cgroup v2";
	put(root, "cgroup.subtree_control", "+hugetlb");
	snprintf(g->path, sizeof(g->path), "%s/p2pnic-test-%d", root, (int)getpid());
	if (mkdir(g->path, 0700))
		return "may not make a cgroup";
	if (put(g->path, "hugetlb.2MB.max", "0") == 0)
		return NULL;
	rmdir(g->path);
	return "no limit of huge pages by cgroup";
}

int huge_group_join(const struct huge_group *g)
{
	return put(g->path, "cgroup.procs", "0");
}

void huge_group_drop(struct huge_group *g)
{
	for (int i = 0; i < 1000 && rmdir(g->path); i++)
		usleep(1000);
}
