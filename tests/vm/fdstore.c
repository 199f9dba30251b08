/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A service manager with a descriptor store, as systemd is one (sd_notify(3), sd_listen_fds(3)), and nothing else.
 *
 * usage: fdstore NOTIFY_SOCKET PROGRAM ARGUMENT...
 *
 * Starts the program; keeps the descriptors that it sends; says "ready N" when it is ready with N of them in the store.
 * SIGUSR1: kills it with SIGKILL and starts it again, with the descriptors.  SIGUSR2: the same with SIGTERM.
 * SIGTERM: ends it, closes the store and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_STORED 128
#define FIRST_FD 3

static struct {
	int fd;
	char name[64];
} store[MAX_STORED];
static unsigned int stored;
static pid_t child;

static void child_exec(char **argv)
{
	char names[MAX_STORED * 64] = "", text[16];
	unsigned int i;
	sigset_t none;

	/* Out of the way of where they shall be. */
	for (i = 0; i < stored; i++)
		store[i].fd = fcntl(store[i].fd, F_DUPFD, FIRST_FD + MAX_STORED);
	for (i = 0; i < stored; i++) {
		dup2(store[i].fd, FIRST_FD + (int)i);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ":" : "", store[i].name);
	}
	for (i = 0; i < stored; i++)
		close(store[i].fd);
	if (stored) {
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("LISTEN_PID", text, 1);
		snprintf(text, sizeof(text), "%u", stored);
		setenv("LISTEN_FDS", text, 1);
		setenv("LISTEN_FDNAMES", names, 1);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	_exit(127);
}

static void start(char **argv)
{
	fflush(stdout);
	child = fork();
	if (!child)
		child_exec(argv);
	printf("started with %u\n", stored);
}

static void end(int sig)
{
	int status = 0;

	kill(child, sig);
	waitpid(child, &status, 0);
	printf("ended by signal %d, status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

static void forget(const char *name)
{
	unsigned int i;

	for (i = stored; i-- > 0;) {
		if (strcmp(store[i].name, name))
			continue;
		close(store[i].fd);
		store[i] = store[--stored];
	}
}

static void notified(int sock)
{
	union {
		char raw[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char text[512], name[64] = "stored";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.raw, .msg_controllen = sizeof(control.raw) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	const char *at;
	int fd = -1;

	if (n < 0)
		return;
	text[n] = '\0';
	if (h && h->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	at = strstr(text, "FDNAME=");
	if (at)
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 7, "\n"), at + 7);
	if (strstr(text, "FDSTOREREMOVE=1")) {
		forget(name);
	} else if (strstr(text, "FDSTORE=1") && fd >= 0 && stored < MAX_STORED) {
		forget(name);
		store[stored].fd = fd;
		snprintf(store[stored++].name, sizeof(store[0].name), "%s", name);
	}
	if (strstr(text, "READY=1"))
		printf("ready %u\n", stored);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct pollfd p[2];
	struct signalfd_siginfo info;
	sigset_t set;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3)
		return 2;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	p[0] = (struct pollfd){ .fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), .events = POLLIN };
	if (p[0].fd < 0 || bind(p[0].fd, (struct sockaddr *)&sa, sizeof(sa)))
		return 1;
	setenv("NOTIFY_SOCKET", argv[1], 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p[1] = (struct pollfd){ .fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN };
	start(argv + 2);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			notified(p[0].fd);
		if (!p[1].revents || read(p[1].fd, &info, sizeof(info)) != sizeof(info))
			continue;
		end(info.ssi_signo == SIGUSR1 ? SIGKILL : SIGTERM);
		if (info.ssi_signo == SIGTERM)
			return 0;
		start(argv + 2);
	}
}
