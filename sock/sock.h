/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Local (AF_UNIX) sockets: listen at a path, connect to one, and who may.
 *
 * WHO   Our own user and root.  With a group also every process that has it as its effective or as a supplementary group.
 *   Asked twice: by the kernel, of the file's owner, group and mode (0600, or 0660 with the group, whatever the
 *   umask), and by us, of the credentials of who has connected, which the kernel keeps as they were at connect().
 *   A name in the abstract namespace has no mode: there we alone ask.
 *
 * WHAT LIES AT THE PATH  gives way if it is a socket file that nobody serves: a connection to it is *refused*.  Any other
 *   answer, and anything that is no socket, leaves it untouched.  From that look until the new socket listens PATH is
 *   ours: a lock file .NAME.lock beside it is held, and removed then.  Of two that start at once one gets the path.
 *
 * THE END  sock_close() removes the file while the socket still listens, and only if it is ours.
 *
 * The directory must be one in which nobody else may rename our files.
 * ERRORS  0 or -errno.
 */
#ifndef SOCK_SOCK_H
#define SOCK_SOCK_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define SOCK_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define SOCK_LOCK_MS 5000 /* so long is another one's start waited for */
#define SOCK_LOCK_PATH (SOCK_PATH_MAX + 8)
#define SOCK_ERROR_MAX 220

/* Who may connect besides our own user and root.  All zero: nobody. */
struct sock_trust {
	bool group;
	gid_t gid;
};

struct sock_name {
	struct sockaddr_un sa;
	socklen_t len;
};

struct sock_listener {
	int fd; /* does not block; -1: none */
	struct sock_trust trust;
	struct sock_name name;
	bool file; /* there is one, and it is this */
	dev_t dev;
	ino_t ino;
};

/* abstract: '@' begins a name in the abstract namespace; else it is a character like others.  -EINVAL: empty, -ENAMETOOLONG. */
int sock_name(struct sock_name *out, const char *path, bool abstract);

/*
 * type: SOCK_STREAM or SOCK_SEQPACKET.  Besides what system calls say:
 *   -EADDRINUSE  somebody listens there        -EPROTOTYPE  the same, with a socket of another type
 *   -EEXIST      it is there and is no socket  -EBUSY       the lock file was held for SOCK_LOCK_MS
 *   -ENOLCK      what lies where the lock file should be is another user's, or no file
 */
int sock_listen(struct sock_listener *l, const struct sock_name *name, int type, int backlog, const struct sock_trust *trust);
/* What that says, for a person: of a lock file in the way its name and what to do, else strerror(); path as of sock_name(). */
const char *sock_error(const char *path, int rc, char text[SOCK_ERROR_MAX]);
/* A listener that has not listened has fd -1. */
void sock_close(struct sock_listener *l);

/* flags: SOCK_NONBLOCK or 0.  -EPERM: one was there and may not, it is closed; what accept4() says. */
int sock_accept(const struct sock_listener *l, int flags, int *fd);
/* What accept says (-errno) is of us, no descriptors or memory left: whoever is at the door stays there, and poll() does not wait. */
bool sock_starved(int err);
/* May who is connected? */
bool sock_trusted(int fd, const struct sock_trust *trust);

/*
 * wait_s: so long connecting waits at most, and sending and receiving then (SO_SNDTIMEO, SO_RCVTIMEO); 0: for ever.
 * -ETIMEDOUT; -EAGAIN: type has SOCK_NONBLOCK and the backlog is full.
 */
int sock_connect(const struct sock_name *name, int type, unsigned int wait_s, int *fd);

/* A group's name, else its number.  -ENOENT: there is none. */
int sock_group(const char *text, gid_t *gid);
/* May we give files to this group?  -EPERM or -EINVAL: no.  No file is made for that. */
int sock_group_ours(gid_t gid);

#endif
