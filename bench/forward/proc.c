/* SPDX-License-Identifier: BSD-3-Clause */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROC_LOOK_MS 2
#define PROC_TAIL 4096

static void proc_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&ts, NULL);
}

void fwd_arg(struct fwd_args *a, const char *fmt, ...)
{
	size_t room = sizeof(a->text) - a->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(a->text + a->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || a->n == FWD_MAX_ARGS) {
		a->full = true;
		return;
	}
	a->argv[a->n++] = a->text + a->used;
	a->argv[a->n] = NULL;
	a->used += (size_t)n + 1;
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void proc_become(struct fwd_args *a, const struct fwd_proc_opts *o, pid_t parent, int in, int out, int report)
{
	sigset_t none;
	cpu_set_t set;
	int code;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (o->cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(o->cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			goto tell;
	}
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execvp(a->argv[0], a->argv);
tell:
	code = errno;
	if (write(report, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

/* 0 when the child runs its program, or the errno that kept it from that. */
static int proc_outcome(int report)
{
	int code = 0;
	ssize_t n;

	do
		n = read(report, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	return n == sizeof(code) ? -code : 0;
}

static int proc_fork(struct fwd_proc *p, struct fwd_args *a, const struct fwd_proc_opts *o, int in, int out)
{
	pid_t parent = getpid();
	int report[2], rc;

	if (pipe2(report, O_CLOEXEC))
		return -errno;
	p->pid = fork();
	if (!p->pid)
		proc_become(a, o, parent, in, out, report[1]);
	rc = p->pid < 0 ? -errno : 0;
	close(report[1]);
	if (!rc)
		rc = proc_outcome(report[0]);
	close(report[0]);
	if (rc && p->pid > 0)
		waitpid(p->pid, NULL, 0);
	if (rc)
		p->pid = 0;
	return rc;
}

int fwd_proc_start(struct fwd_proc *p, struct fwd_args *a, const struct fwd_proc_opts *o, char err[FWD_ERR_MAX])
{
	int in[2] = { -1, -1 }, out, rc;

	*p = (struct fwd_proc){ .in = -1, .log = -1 };
	snprintf(p->name, sizeof(p->name), "%s", o->name);
	if (a->full || !a->n) {
		snprintf(err, FWD_ERR_MAX, "%s: its command line is too long", o->name);
		return -E2BIG;
	}
	out = open(o->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	p->log = open(o->log, O_RDONLY | O_CLOEXEC);
	if (out < 0 || p->log < 0)
		goto fail_errno;
	if (o->talks && pipe2(in, O_CLOEXEC))
		goto fail_errno;
	if (!o->talks)
		in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in[0] < 0)
		goto fail_errno;
	rc = proc_fork(p, a, o, in[0], out);
	if (rc)
		goto fail;
	close(out);
	close(in[0]);
	p->in = in[1];
	return 0;
fail_errno:
	rc = -errno;
fail:
	snprintf(err, FWD_ERR_MAX, "%s: '%.200s' can't be started: %s", o->name, a->argv[0], strerror(-rc));
	for (int k = 0; k < 2; k++)
		if (in[k] >= 0)
			close(in[k]);
	if (out >= 0)
		close(out);
	if (p->log >= 0)
		close(p->log);
	p->log = -1;
	return rc;
}

bool fwd_proc_alive(struct fwd_proc *p)
{
	if (p->pid <= 0)
		return false;
	if (waitpid(p->pid, NULL, WNOHANG) == 0)
		return true;
	p->pid = 0;
	return false;
}

void fwd_proc_stop(struct fwd_proc *p, unsigned int grace_ms)
{
	unsigned int ms;

	if (fwd_proc_alive(p) && grace_ms) {
		kill(p->pid, SIGTERM);
		for (ms = 0; ms < grace_ms && fwd_proc_alive(p); ms += PROC_LOOK_MS)
			proc_sleep_ms(PROC_LOOK_MS);
	}
	if (fwd_proc_alive(p)) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
		p->pid = 0;
	}
	if (p->in >= 0)
		close(p->in);
	if (p->log >= 0)
		close(p->log);
	p->in = p->log = -1;
}

off_t fwd_proc_at(const struct fwd_proc *p)
{
	struct stat st;

	return p->log >= 0 && !fstat(p->log, &st) ? st.st_size : 0;
}

static size_t proc_read(const struct fwd_proc *p, off_t from, char *to, size_t size)
{
	ssize_t n = p->log >= 0 ? pread(p->log, to, size - 1, from) : 0;
	size_t i, len = n > 0 ? (size_t)n : 0;

	for (i = 0; i < len; i++)
		if (!to[i])
			to[i] = ' ';
	to[len] = '\0';
	return len;
}

int fwd_proc_expect(struct fwd_proc *p, const char *text, off_t from, unsigned int timeout_ms, char *said, size_t size,
		    char err[FWD_ERR_MAX])
{
	char last[200], *own = NULL;
	unsigned int ms = 0;
	bool alive;
	int rc = 0;

	if (!said) {
		size = 65536;
		said = own = malloc(size);
		if (!own) {
			snprintf(err, FWD_ERR_MAX, "out of memory");
			return -ENOMEM;
		}
	}
	for (;;) {
		alive = fwd_proc_alive(p);
		proc_read(p, from, said, size);
		if (strstr(said, text))
			break;
		if (!alive || ms >= timeout_ms) {
			fwd_proc_last_line(p, last, sizeof(last));
			snprintf(err, FWD_ERR_MAX, "%s %s; the last it said was: %s", p->name, alive ? "does not answer" : "has ended",
				 *last ? last : "nothing");
			rc = alive ? -ETIMEDOUT : -EPIPE;
			break;
		}
		proc_sleep_ms(PROC_LOOK_MS);
		ms += PROC_LOOK_MS;
	}
	free(own);
	return rc;
}

int fwd_proc_tell(struct fwd_proc *p, const char *line, char err[FWD_ERR_MAX])
{
	size_t len = strlen(line);

	if (p->in >= 0 && write(p->in, line, len) == (ssize_t)len)
		return 0;
	snprintf(err, FWD_ERR_MAX, "%s does not listen any more", p->name);
	return -EPIPE;
}

void fwd_proc_last_line(const struct fwd_proc *p, char *line, size_t size)
{
	off_t end = fwd_proc_at(p);
	char text[PROC_TAIL], *at;

	proc_read(p, end > PROC_TAIL - 1 ? end - (PROC_TAIL - 1) : 0, text, sizeof(text));
	for (at = text + strlen(text); at > text && strchr("\r\n ", at[-1]); at--)
		at[-1] = '\0';
	for (; at > text && at[-1] != '\n'; at--)
		;
	snprintf(line, size, "%s", at);
}
