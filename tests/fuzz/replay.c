/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usage: replay-TARGET FILE|DIRECTORY...
 *
 * Runs the harness on each file, in the order of their names, in this one process.  Exit 0: all went through; else the
 * name of the file that did not is the last line on stderr.
 *
 * LIMITS  10 s of CPU and 30 s for an input; 8 GiB of addresses (a software NIC takes 1 GiB of them), where no sanitizer wants more.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)
#define SECONDS_MAX 30
#define CPU_MAX 10

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const char *current = "";

static void died(int sig)
{
	static const char why[] = ": the harness did not come through\n";

	signal(sig, SIG_DFL);
	if (write(2, current, strlen(current)) < 0 || write(2, why, sizeof(why) - 1) < 0)
		_exit(3);
	raise(sig);
}

static void run(const char *path)
{
	const struct itimerval cpu = { .it_value = { .tv_sec = CPU_MAX } };
	size_t size = 0, n;
	uint8_t *data = NULL;
	struct stat st;
	FILE *f = fopen(path, "rb");

	if (!f || fstat(fileno(f), &st) || st.st_size > INPUT_MAX) {
		fprintf(stderr, "%s: %s\n", path, f ? "too large for an input" : strerror(errno));
		exit(2);
	}
	/* Exactly as large, so that what reads beyond is seen. */
	data = malloc((size_t)st.st_size + !st.st_size);
	while (data && size < (size_t)st.st_size && (n = fread(data + size, 1, (size_t)st.st_size - size, f)))
		size += n;
	fclose(f);
	current = path;
	alarm(SECONDS_MAX);
	setitimer(ITIMER_VIRTUAL, &cpu, NULL);
	LLVMFuzzerTestOneInput(data, size);
	current = "";
	free(data);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static unsigned int run_dir(const char *path)
{
	struct dirent **list;
	char name[4096];
	int k, n = scandir(path, &list, visible, by_name);

	if (n < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(2);
	}
	for (k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "%s/%s", path, list[k]->d_name);
		run(name);
		free(list[k]);
	}
	free(list);
	return (unsigned int)n;
}

int main(int argc, char **argv)
{
	const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGALRM, SIGVTALRM };
	const struct rlimit space = { 8ul << 30, 8ul << 30 };
	unsigned int done = 0, k;
	struct stat st;
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	if (!SANITIZED && setrlimit(RLIMIT_AS, &space))
		return 2;
	for (k = 0; k < sizeof(fatal) / sizeof(fatal[0]); k++)
		if (!SANITIZED || fatal[k] == SIGABRT || fatal[k] == SIGALRM || fatal[k] == SIGVTALRM)
			signal(fatal[k], died);
	for (i = 1; i < argc; i++) {
		if (!stat(argv[i], &st) && S_ISDIR(st.st_mode)) {
			done += run_dir(argv[i]);
		} else {
			run(argv[i]);
			done++;
		}
	}
	printf("%u inputs\n", done);
	return done ? 0 : 1;
}
