/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

#define POOL_MAX_JOBS 256

struct job {
	pid_t pid;
	int fd; /* -1: none */
	unsigned int point;
	char *text;
	size_t len, room;
};

struct pool {
	const struct exp_pool *p;
	struct exp_result *result;
	struct job job[POOL_MAX_JOBS];
	unsigned int jobs, running, next, ended, wanted;
	bool alone; /* one after the other, in this process */
	char *err;
};

unsigned int exp_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

static void pool_bar(const struct pool *q)
{
	unsigned int full = q->wanted ? 40 * q->ended / q->wanted : 40, k;

	if (!q->p->progress)
		return;
	fputs("\r[", stderr);
	for (k = 0; k < 40; k++)
		fputc(k < full ? '#' : '.', stderr);
	fprintf(stderr, "] %u/%u", q->ended, q->wanted);
	if (q->ended == q->wanted)
		fputs("\r\033[K", stderr);
	fflush(stderr);
}

/* One point, here.  Its result as a line, or "!-errno text". */
static void pool_point(const struct exp_pool *p, unsigned int k, FILE *to)
{
	struct exp_config *c = malloc(sizeof(*c));
	struct exp_result r = { 0 };
	char err[EXP_ERR_MAX] = "out of memory";
	int rc = -ENOMEM;

	if (c) {
		rc = p->make(p->arg, k, c, err);
		if (!rc)
			rc = exp_run(c, k ? NULL : &p->trace, &r, err);
	}
	if (rc)
		fprintf(to, "!%d %s\n", rc, err);
	else
		exp_result_write(&r, to);
	exp_result_free(&r);
	free(c);
}

/* Takes what a point has said. */
static int pool_take(struct pool *q, unsigned int k, const char *line)
{
	int rc;

	if (line[0] == '!') {
		const char *why = strchr(line, ' ');

		rc = atoi(line + 1);
		snprintf(q->err, EXP_ERR_MAX, "%.*s", why ? (int)strcspn(why + 1, "\n") : 0, why ? why + 1 : "");
		return rc < 0 ? rc : -EIO;
	}
	rc = exp_result_parse(&q->result[k], line);
	if (rc) {
		snprintf(q->err, EXP_ERR_MAX, "a simulating process ended without a result: %s", strerror(-rc));
		return rc;
	}
	q->ended++;
	pool_bar(q);
	return q->p->done ? q->p->done(q->p->arg, k, line, q->err) : 0;
}

static int pool_inline(struct pool *q, unsigned int k)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (!f) {
		snprintf(q->err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	pool_point(q->p, k, f);
	if (fclose(f)) {
		snprintf(q->err, EXP_ERR_MAX, "out of memory");
		rc = -ENOMEM;
	} else {
		rc = pool_take(q, k, text);
	}
	free(text);
	return rc;
}

static int pool_start(struct pool *q, struct job *j, unsigned int k)
{
	int fd[2];
	pid_t parent = getpid();

	if (pipe(fd)) {
		snprintf(q->err, EXP_ERR_MAX, "no pipe: %s", strerror(errno));
		return -errno;
	}
	fflush(NULL);
	*j = (struct job){ .fd = fd[0], .point = k };
	j->pid = fork();
	if (j->pid < 0) {
		int rc = -errno;

		snprintf(q->err, EXP_ERR_MAX, "no process: %s; give fewer --jobs", strerror(-rc));
		close(fd[0]);
		close(fd[1]);
		j->fd = -1;
		return rc;
	}
	if (!j->pid) {
		FILE *f = fdopen(fd[1], "w");

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (f && getppid() == parent) {
			pool_point(q->p, k, f);
			fflush(f);
		}
		q->p->end(0);
	}
	close(fd[1]);
	q->running++;
	return 0;
}

/* Reads what there is; 1: the job has ended. */
static int pool_read(struct pool *q, struct job *j)
{
	ssize_t n;

	if (j->len + 4096 > j->room) {
		size_t room = j->room ? j->room * 2 : 16384;
		char *more = realloc(j->text, room);

		if (!more) {
			snprintf(q->err, EXP_ERR_MAX, "out of memory");
			return -ENOMEM;
		}
		j->text = more;
		j->room = room;
	}
	n = read(j->fd, j->text + j->len, j->room - j->len - 1);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n > 0) {
		j->len += (size_t)n;
		return 0;
	}
	j->text[j->len] = '\0';
	return 1;
}

static int pool_end(struct pool *q, struct job *j)
{
	int status = 0, rc;

	close(j->fd);
	j->fd = -1;
	while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
		;
	q->running--;
	if (WIFSIGNALED(status)) {
		snprintf(q->err, EXP_ERR_MAX,
			 "a simulating process was ended by signal %d (%s); is there memory enough?", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
		rc = -EIO;
	} else {
		rc = pool_take(q, j->point, j->text);
	}
	free(j->text);
	j->text = NULL;
	return rc;
}

static bool pool_next(struct pool *q, unsigned int *k)
{
	while (q->next < q->p->points && q->p->skip && q->p->skip[q->next])
		q->next++;
	*k = q->next;
	return q->next < q->p->points;
}

static int pool_wait(struct pool *q)
{
	struct pollfd fd[POOL_MAX_JOBS];
	unsigned int k;
	int rc;

	for (k = 0; k < q->jobs; k++)
		fd[k] = (struct pollfd){ .fd = q->job[k].fd, .events = POLLIN };
	if (poll(fd, q->jobs, -1) < 0 && errno != EINTR) {
		snprintf(q->err, EXP_ERR_MAX, "poll: %s", strerror(errno));
		return -errno;
	}
	for (k = 0; k < q->jobs; k++) {
		if (q->job[k].fd < 0 || !fd[k].revents)
			continue;
		rc = pool_read(q, &q->job[k]);
		if (rc == 1)
			rc = pool_end(q, &q->job[k]);
		if (rc)
			return rc;
	}
	return 0;
}

static void pool_kill(struct pool *q)
{
	unsigned int k;

	for (k = 0; k < q->jobs; k++) {
		if (q->job[k].fd < 0)
			continue;
		kill(q->job[k].pid, SIGKILL);
		close(q->job[k].fd);
		while (waitpid(q->job[k].pid, NULL, 0) < 0 && errno == EINTR)
			;
		free(q->job[k].text);
	}
}

static int pool_parallel(struct pool *q)
{
	unsigned int k, j;
	int rc = 0;

	while (!rc && (pool_next(q, &k) || q->running)) {
		for (j = 0; !rc && j < q->jobs && pool_next(q, &k); j++) {
			if (q->job[j].fd >= 0)
				continue;
			rc = pool_start(q, &q->job[j], k);
			q->next++;
		}
		if (!rc)
			rc = pool_wait(q);
	}
	if (rc)
		pool_kill(q);
	return rc;
}

int exp_pool_run(const struct exp_pool *p, struct exp_result *result, char err[EXP_ERR_MAX])
{
	struct pool *q = calloc(1, sizeof(*q));
	unsigned int k;
	int rc = 0;

	if (!q) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	*q = (struct pool){ .p = p, .result = result, .err = err, .jobs = p->jobs ? p->jobs : exp_cpus() };
	if (q->jobs > POOL_MAX_JOBS)
		q->jobs = POOL_MAX_JOBS;
	for (k = 0; k < p->points; k++)
		q->wanted += !p->skip || !p->skip[k];
	for (k = 0; k < POOL_MAX_JOBS; k++)
		q->job[k].fd = -1;
	q->alone = q->jobs <= 1 || q->wanted <= 1 || !p->end;
	pool_bar(q);
	if (!q->alone)
		rc = pool_parallel(q);
	for (; !rc && q->alone && pool_next(q, &k); q->next++)
		rc = pool_inline(q, k);
	if (rc && p->progress)
		fputs("\r\033[K", stderr);
	free(q);
	return rc;
}
