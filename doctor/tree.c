/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of a tree, bounded: a tree may come from anybody. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static int tree_fail(char err[DOC_ERR_MAX], const struct doc_tree *t, const char *path, int code, const char *what)
{
	snprintf(err, DOC_ERR_MAX, "%.200s/%.200s: %s", t->given, path, what ? what : strerror(code));
	return -code;
}

int doc_tree_open(struct doc_tree *t, const char *root, char err[DOC_ERR_MAX])
{
	struct stat st;

	t->live = !root;
	t->given = root ? root : "/sys";
	if (!realpath(t->given, t->root)) {
		int code = errno;

		snprintf(err, DOC_ERR_MAX, "%.200s: %s%s", t->given, strerror(code),
			 root ? "; give a folder that `p2pnic doctor --save` wrote" : "");
		return -code;
	}
	t->fd = open(t->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->fd < 0) {
		int code = errno;

		snprintf(err, DOC_ERR_MAX, "%.200s: %s", t->given, strerror(code));
		return -code;
	}
	if (fstatat(t->fd, "bus/pci/devices", &st, 0)) {
		int code = errno;

		snprintf(err, DOC_ERR_MAX,
			 root ? "%.200s holds no bus/pci/devices (%s): give a folder that `p2pnic doctor --save` wrote"
			      : "%.200s holds no bus/pci/devices (%s): this machine has no PCI",
			 t->given, strerror(code));
		close(t->fd);
		return -code;
	}
	return 0;
}

void doc_tree_close(struct doc_tree *t)
{
	close(t->fd);
}

int doc_tree_read(const struct doc_tree *t, const char *path, void *to, unsigned int max, char err[DOC_ERR_MAX])
{
	unsigned int got = 0;
	struct stat st;
	ssize_t n = 0;
	int fd, code;

	/* A pipe in the place of a file must not hold us up. */
	fd = openat(t->fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return tree_fail(err, t, path, errno, errno == EACCES ? "permission denied; run as root" : NULL);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return tree_fail(err, t, path, EINVAL, "is no file");
	}
	while (got < max) {
		n = pread(fd, (char *)to + got, max - got, got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (unsigned int)n;
	}
	code = errno;
	close(fd);
	if (n < 0 && got == 0)
		return tree_fail(err, t, path, code, NULL);
	return (int)got;
}

int doc_tree_text(const struct doc_tree *t, const char *path, char to[DOC_ATTR_MAX], char err[DOC_ERR_MAX])
{
	int n = doc_tree_read(t, path, to, DOC_ATTR_MAX, err), i;

	if (n < 0)
		return n;
	if (n == DOC_ATTR_MAX)
		return tree_fail(err, t, path, EINVAL, "is longer than such a file can be");
	to[n] = '\0';
	if (n && to[n - 1] == '\n')
		to[--n] = '\0';
	for (i = 0; i < n; i++)
		if ((to[i] < ' ' && to[i] != '\n' && to[i] != '\t') || to[i] == 0x7f)
			return tree_fail(err, t, path, EINVAL, "is no text");
	return 0;
}

int doc_tree_number(const struct doc_tree *t, const char *path, long long min, long long max, long long *to,
		    char err[DOC_ERR_MAX])
{
	char text[DOC_ATTR_MAX], *end;
	int rc = doc_tree_text(t, path, text, err);

	if (rc)
		return rc;
	errno = 0;
	*to = strtoll(text, &end, 0);
	if (end == text || *end || errno || *to < min || *to > max) {
		snprintf(err, DOC_ERR_MAX, "%.200s/%.150s: '%.40s' is no number from %lld to %lld", t->given, path,
			 text, min, max);
		return -EINVAL;
	}
	return 0;
}

int doc_tree_link(const struct doc_tree *t, const char *path, char *to, unsigned int size, char err[DOC_ERR_MAX])
{
	char target[PATH_MAX];
	const char *last;
	ssize_t n = readlinkat(t->fd, path, target, sizeof(target) - 1);

	if (n < 0)
		return tree_fail(err, t, path, errno, errno == EINVAL ? "is no link" : NULL);
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (!*last || strlen(last) >= size)
		return tree_fail(err, t, path, EINVAL, "leads to no name that could be right");
	strcpy(to, last);
	return 0;
}

int doc_tree_resolve(const struct doc_tree *t, const char *path, char to[PATH_MAX], char err[DOC_ERR_MAX])
{
	char whole[PATH_MAX], real[PATH_MAX];
	size_t len = strlen(t->root);

	if (snprintf(whole, sizeof(whole), "%s/%s", t->root, path) >= (int)sizeof(whole))
		return tree_fail(err, t, path, ENAMETOOLONG, NULL);
	if (!realpath(whole, real))
		return tree_fail(err, t, path, errno == ENOENT ? EINVAL : errno,
				 errno == ENOENT ? "leads nowhere: the tree is incomplete" : NULL);
	if (strncmp(real, t->root, len) || (real[len] != '/' && len > 1))
		return tree_fail(err, t, path, EINVAL, "leads out of the tree");
	strcpy(to, real + len + (real[len] == '/'));
	return 0;
}

static int tree_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int doc_tree_each(const struct doc_tree *t, const char *path, doc_entry_fn *fn, void *arg, char err[DOC_ERR_MAX])
{
	struct dirent **list;
	int n, k, rc = 0;

	n = scandirat(t->fd, path, &list, tree_visible, alphasort);
	if (n < 0)
		return tree_fail(err, t, path, errno, NULL);
	for (k = 0; k < n; k++) {
		if (!rc)
			rc = fn(arg, list[k]->d_name, err);
		free(list[k]);
	}
	free(list);
	return rc;
}
