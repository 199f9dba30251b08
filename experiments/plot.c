/* SPDX-License-Identifier: BSD-3-Clause */
/* Plots: gnuplot as a child that reads its script from a file that nobody else sees. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

/* A string of gnuplot's: in single quotes, doubled where they are part of it. */
static void plot_quote(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\'')
			fputc('\'', f);
		fputc(*text, f);
	}
	fputc('\'', f);
}

static int plot_spawn(int in, pid_t *pid)
{
	char *argv[] = { "gnuplot", "-", NULL };
	posix_spawn_file_actions_t actions;
	int rc;

	rc = posix_spawn_file_actions_init(&actions);
	if (rc)
		return -rc;
	rc = posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (!rc)
		rc = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

static int plot_wait(pid_t pid, const char *path, char err[EXP_ERR_MAX])
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(err, EXP_ERR_MAX,
			 "--svg needs gnuplot, which isn't here; install it (apt-get install gnuplot-nox)");
		return -ENOENT;
	}
	if (status) {
		snprintf(err, EXP_ERR_MAX, "--svg %.200s: gnuplot failed; what it said is above", path);
		return -EIO;
	}
	return 0;
}

int exp_plot(const char *path, const char *script, unsigned int width, unsigned int height, char err[EXP_ERR_MAX])
{
	bool there = !access(path, F_OK);
	FILE *f = fopen(path, "ae"), *in;
	int rc;
	pid_t pid;

	if (!f) {
		snprintf(err, EXP_ERR_MAX, "--svg %.300s: %s", path, strerror(errno));
		return -errno;
	}
	fclose(f);
	in = tmpfile();
	if (!in) {
		snprintf(err, EXP_ERR_MAX, "--svg: no temporary file: %s", strerror(errno));
		return -errno;
	}
	fprintf(in, "set terminal svg size %u,%u enhanced background 'white' font 'Helvetica,13'\nset output ", width,
		height);
	plot_quote(in, path);
	fprintf(in, "\nset encoding utf8\n%s\nunset output\n", script);
	if (fflush(in) || fseek(in, 0, SEEK_SET)) {
		rc = -errno;
		snprintf(err, EXP_ERR_MAX, "--svg: %s", strerror(-rc));
	} else {
		rc = plot_spawn(fileno(in), &pid);
		if (rc == -ENOENT)
			snprintf(err, EXP_ERR_MAX,
				 "--svg needs gnuplot, which isn't here; install it (apt-get install gnuplot-nox)");
		else if (rc)
			snprintf(err, EXP_ERR_MAX, "--svg: gnuplot can't be started: %s", strerror(-rc));
		else
			rc = plot_wait(pid, path, err);
	}
	fclose(in);
	if (rc && !there)
		unlink(path);
	return rc;
}
