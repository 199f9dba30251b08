/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/handover.h"

#define LISTEN_FDS_START 3
#define HANDOVER_BACKLOG 4

/* --- the service manager --- */

unsigned int handover_listen_fds(struct vfio_fd *out)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
	unsigned int i, n = 0;
	size_t len;
	long all;

	if (pid && count && names && strtol(pid, NULL, 10) == (long)getpid()) {
		all = strtol(count, NULL, 10);
		for (i = 0; i < all && n < VFIO_MAX_FDS; i++) {
			len = strcspn(names, ":");
			if (len < VFIO_FD_NAME) {
				out[n].fd = (int)(LISTEN_FDS_START + i);
				snprintf(out[n].name, VFIO_FD_NAME, "%.*s", (int)len, names);
				n += vfio_fd_is_ours(out[n].name) && !fcntl(out[n].fd, F_SETFD, FD_CLOEXEC);
			}
			names += len + (names[len] == ':');
		}
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

/* One message with at most one descriptor. */
static int handover_message(int sock, const struct sock_name *to, const void *text, size_t len, int fd)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { (void *)(uintptr_t)text, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;
	ssize_t n;

	if (to) {
		m.msg_name = (void *)(uintptr_t)&to->sa;
		m.msg_namelen = to->len;
	}
	if (fd >= 0) {
		m.msg_control = control.raw;
		m.msg_controllen = sizeof(control.raw);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int handover_notify(const char *text, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sock_name name;
	int sock, rc;

	if (!path || !*path)
		return -ENOENT;
	rc = sock_name(&name, path, true);
	if (rc)
		return rc;
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	rc = handover_message(sock, &name, text, strlen(text), fd);
	close(sock);
	return rc;
}

/* --- the socket --- */

int handover_listen(struct sock_listener *l, const char *path, const struct sock_trust *trust)
{
	struct sock_name name;
	int rc = sock_name(&name, path, false);

	return rc ? rc : sock_listen(l, &name, SOCK_SEQPACKET, HANDOVER_BACKLOG, trust);
}

int handover_accept(const struct sock_listener *l, int *out, pid_t *pid)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int rc = sock_accept(l, 0, out);

	if (!rc)
		*pid = getsockopt(*out, SOL_SOCKET, SO_PEERCRED, &who, &len) ? 0 : who.pid;
	return rc;
}

int handover_connect(const char *path, int *out)
{
	struct sock_name name;
	int rc = sock_name(&name, path, false);

	return rc ? rc : sock_connect(&name, SOCK_SEQPACKET, HANDOVER_TIMEOUT_MS / 1000, out);
}

int handover_send(int fd, const struct vfio_fd *fds, unsigned int n)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < n; i++)
		rc = handover_message(fd, NULL, fds[i].name, strlen(fds[i].name) + 1, fds[i].fd);
	return rc ? rc : handover_message(fd, NULL, "", 1, -1);
}

/* The first descriptor that came with a message or -1, and how many came; the others are closed. */
static unsigned int handover_fds(struct msghdr *m, int *first)
{
	struct cmsghdr *h;
	unsigned int n = 0;
	size_t at;
	int fd;

	*first = -1;
	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = CMSG_LEN(0); at + sizeof(int) <= h->cmsg_len; at += sizeof(int)) {
			memcpy(&fd, (uint8_t *)h + at, sizeof(int));
			if (n++)
				close(fd);
			else
				*first = fd;
		}
	}
	return n;
}

/*
 * A message's text, and its descriptor or -1.  -ECONNRESET: the other end is gone; -EPROTO: too long, without an end, or with
 * several descriptors, of which none is kept.
 */
static int handover_take(int sock, char *text, size_t size, int *fd)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { text, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.raw, .msg_controllen = sizeof(control.raw) };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	unsigned int fds;
	ssize_t n;

	*fd = -1;
	if (poll(&p, 1, HANDOVER_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	fds = handover_fds(&m, fd); /* CMSG_SPACE(sizeof(int)) has room for two where a long has eight bytes */
	if (!(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && fds <= 1 && !text[n - 1])
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -EPROTO;
}

int handover_recv(int sock, struct vfio_fd *out, unsigned int *n)
{
	char name[VFIO_FD_NAME];
	int fd, rc;

	for (*n = 0;;) {
		rc = handover_take(sock, name, sizeof(name), &fd);
		if (!rc && !*name && fd < 0)
			return 0;
		if (!rc && (fd < 0 || !*name || *n == VFIO_MAX_FDS))
			rc = -EPROTO;
		if (rc)
			break;
		out[*n].fd = fd;
		memcpy(out[(*n)++].name, name, sizeof(name));
	}
	if (fd >= 0)
		close(fd);
	while (*n)
		close(out[--*n].fd);
	return rc;
}

int handover_ok_send(int fd)
{
	return handover_message(fd, NULL, "ok", 3, -1);
}

int handover_ok_recv(int sock)
{
	char text[8];
	int fd, rc;

	rc = handover_take(sock, text, sizeof(text), &fd);
	if (fd >= 0)
		close(fd);
	return rc ? rc : fd >= 0 || strcmp(text, "ok") ? -EPROTO : 0;
}

void handover_wait_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, HANDOVER_TIMEOUT_MS);
}
