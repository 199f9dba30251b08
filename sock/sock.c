/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "sock/sock.h"

#define LOCK_PAUSE_NS 2000000

int sock_name(struct sock_name *out, const char *path, bool abstract)
{
	size_t n = strlen(path);

	*out = (struct sock_name){ .sa = { .sun_family = AF_UNIX } };
	abstract = abstract && path[0] == '@';
	if (n <= abstract)
		return -EINVAL;
	if (n > SOCK_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out->sa.sun_path, path, n);
	if (abstract)
		out->sa.sun_path[0] = '\0';
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
	return 0;
}

/* --- the lock --- */

struct lock {
	int fd;
	char path[SOCK_LOCK_PATH];
};

static void lock_path(char lock[SOCK_LOCK_PATH], const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	snprintf(lock, SOCK_LOCK_PATH, "%.*s.%s.lock", (int)(name - path), path, name);
}

static int lock_open(const char *path)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat st;
	int fd;

	do { /* another's, or ours: O_CREAT opens no file of another user in a directory like /tmp */
		fd = open(path, flags);
		if (fd < 0 && errno == ENOENT)
			fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0) {
		fd = -errno;
		return (fd == -EACCES || fd == -ELOOP || fd == -ENXIO) && !lstat(path, &st) ? -ENOLCK : fd;
	}
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -ENOLCK;
}

/* Whoever had it before has removed its file. */
static bool lock_holds(const struct lock *k)
{
	struct stat mine, now;

	return !fstat(k->fd, &mine) && !lstat(k->path, &now) && mine.st_dev == now.st_dev && mine.st_ino == now.st_ino;
}

static int lock_take(struct lock *k, const char *path)
{
	const struct timespec pause = { 0, LOCK_PAUSE_NS };
	unsigned int left = SOCK_LOCK_MS / (LOCK_PAUSE_NS / 1000000);

	lock_path(k->path, path);
	while (left--) {
		k->fd = lock_open(k->path);
		if (k->fd < 0)
			return k->fd;
		if (!flock(k->fd, LOCK_EX | LOCK_NB) && lock_holds(k))
			return 0;
		close(k->fd);
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

static void lock_drop(struct lock *k)
{
	unlink(k->path);
	close(k->fd);
}

const char *sock_error(const char *path, int rc, char text[SOCK_ERROR_MAX])
{
	char lock[SOCK_LOCK_PATH];

	lock_path(lock, path);
	if (rc == -ENOLCK)
		snprintf(text, SOCK_ERROR_MAX, "%s is in the way, another user's or no file; remove it, or give another path", lock);
	else if (rc == -EBUSY)
		snprintf(text, SOCK_ERROR_MAX, "another process holds %s; end it, or give another path", lock);
	else
		snprintf(text, SOCK_ERROR_MAX, "%s", strerror(-rc));
	return text;
}

/* --- listening --- */

/* Removes a socket file that nobody serves. */
static int path_clear(const struct sock_name *name, int type)
{
	struct stat st;
	int fd, rc;

	if (lstat(name->sa.sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	rc = sock_connect(name, type | SOCK_NONBLOCK, 0, &fd);
	if (!rc)
		close(fd);
	if (!rc || rc == -EAGAIN) /* its backlog is full: it lives */
		return -EADDRINUSE;
	if (rc != -ECONNREFUSED)
		return rc;
	return unlink(name->sa.sun_path) && errno != ENOENT ? -errno : 0;
}

/* The group comes before the mode: no other has it for a moment. */
static int file_give(struct sock_listener *l)
{
	const mode_t mode = l->trust.group ? 0660 : 0600;
	int fd = open(l->name.sa.sun_path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	char self[64];
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (!S_ISSOCK(st.st_mode))
		rc = -EEXIST;
	else if (l->trust.group && st.st_gid != l->trust.gid && fchownat(fd, "", (uid_t)-1, l->trust.gid, AT_EMPTY_PATH))
		rc = -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!rc && (st.st_mode & 07777) != mode && chmod(self, mode))
		rc = -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->file = !rc;
	close(fd);
	return rc;
}

static int file_listen(struct sock_listener *l, int type, int backlog)
{
	const char *path = l->name.sa.sun_path;
	struct lock lock;
	int rc;

	rc = lock_take(&lock, path);
	if (rc)
		return rc;
	rc = path_clear(&l->name, type);
	/* bind() gives the file the socket's own mode, less the umask: there is no moment of wider rights. */
	if (!rc && (fchmod(l->fd, 0600) || bind(l->fd, (const struct sockaddr *)&l->name.sa, l->name.len)))
		rc = -errno;
	if (!rc) {
		rc = file_give(l);
		if (!rc && listen(l->fd, backlog))
			rc = -errno;
		if (rc)
			unlink(path);
	}
	lock_drop(&lock);
	return rc;
}

int sock_listen(struct sock_listener *l, const struct sock_name *name, int type, int backlog, const struct sock_trust *trust)
{
	int rc;

	*l = (struct sock_listener){ .name = *name, .trust = *trust };
	l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	if (name->sa.sun_path[0])
		rc = file_listen(l, type, backlog);
	else
		rc = bind(l->fd, (const struct sockaddr *)&name->sa, name->len) || listen(l->fd, backlog) ? -errno : 0;
	if (rc) {
		close(l->fd);
		l->fd = -1;
		l->file = false;
	}
	return rc;
}

void sock_close(struct sock_listener *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	if (l->file && !lstat(l->name.sa.sun_path, &st) && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->name.sa.sun_path);
	close(l->fd);
	l->fd = -1;
	l->file = false;
}

/* --- connections --- */

int sock_accept(const struct sock_listener *l, int flags, int *out)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | flags);

	if (fd < 0)
		return -errno;
	if (!sock_trusted(fd, &l->trust)) {
		close(fd);
		return -EPERM;
	}
	*out = fd;
	return 0;
}

bool sock_starved(int err)
{
	return err && err != -EPERM && err != -EAGAIN && err != -EINTR && err != -ECONNABORTED;
}

int sock_connect(const struct sock_name *name, int type, unsigned int wait_s, int *out)
{
	const struct timeval tv = { .tv_sec = wait_s };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (wait_s) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	}
	if (connect(fd, (const struct sockaddr *)&name->sa, name->len)) {
		rc = errno == EAGAIN && !(type & SOCK_NONBLOCK) ? -ETIMEDOUT : -errno;
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}
