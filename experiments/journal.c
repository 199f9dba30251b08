/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"
#include "result.h"

#define JOURNAL_MAX_FILES 4096
#define HASH_DIGITS 16

struct entry {
	uint64_t hash;
	char *line;
};

struct journal_file {
	unsigned int rank;
	off_t at; /* read so far: the end of a whole line */
	char job[128]; /* of the last hello */
};

struct exp_journal {
	char dir[384];
	int fd;
	struct entry *entry; /* open addressing, a power of two, at most half full */
	size_t room, n;
	struct journal_file file[JOURNAL_MAX_FILES];
	unsigned int files;
};

static int journal_say(const char *what, int rc, char err[EXP_ERR_MAX])
{
	snprintf(err, EXP_ERR_MAX, "--out %.380s: %s", what, strerror(-rc));
	return rc;
}

/* ---- the table ---- */
static struct entry *table_place(struct entry *e, size_t room, uint64_t hash)
{
	size_t k = hash & (room - 1);

	while (e[k].line && e[k].hash != hash)
		k = (k + 1) & (room - 1);
	return &e[k];
}

static int table_put(struct exp_journal *j, uint64_t hash, const char *line)
{
	struct entry *e, *more;
	size_t k;

	if (2 * (j->n + 1) > j->room) {
		size_t room = j->room ? 2 * j->room : 1024;

		more = calloc(room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		for (k = 0; k < j->room; k++)
			if (j->entry[k].line)
				*table_place(more, room, j->entry[k].hash) = j->entry[k];
		free(j->entry);
		j->entry = more;
		j->room = room;
	}
	e = table_place(j->entry, j->room, hash);
	if (e->line)
		return 0; /* the same configuration gives the same line */
	e->line = strdup(line);
	if (!e->line)
		return -ENOMEM;
	e->hash = hash;
	j->n++;
	return 0;
}

const char *exp_journal_find(const struct exp_journal *j, uint64_t hash)
{
	return j->room ? table_place(j->entry, j->room, hash)->line : NULL;
}

/* ---- files ---- */
static int journal_write(struct exp_journal *j, const char *text, char err[EXP_ERR_MAX])
{
	size_t len = strlen(text);
	ssize_t n = write(j->fd, text, len); /* one call: a line is there whole, or torn at the end of the file */

	if (n == (ssize_t)len)
		return 0;
	return journal_say(j->dir, n < 0 ? -errno : -ENOSPC, err);
}

int exp_journal_add(struct exp_journal *j, uint64_t hash, const char *line, char err[EXP_ERR_MAX])
{
	size_t len = strlen(line) + HASH_DIGITS + 4;
	char *text = malloc(len);
	int rc;

	if (!text)
		return journal_say(j->dir, -ENOMEM, err);
	snprintf(text, len, "%016" PRIx64 "\t%.*s\n", hash, (int)strcspn(line, "\n"), line);
	rc = journal_write(j, text, err);
	free(text);
	if (!rc && table_put(j, hash, line))
		rc = journal_say(j->dir, -ENOMEM, err);
	return rc;
}

int exp_journal_hello(struct exp_journal *j, const char *job, char err[EXP_ERR_MAX])
{
	char text[160];

	snprintf(text, sizeof(text), "# %.120s\n", job);
	return journal_write(j, text, err);
}

static struct journal_file *journal_file(struct exp_journal *j, unsigned int rank)
{
	unsigned int k;

	for (k = 0; k < j->files; k++)
		if (j->file[k].rank == rank)
			return &j->file[k];
	if (j->files == JOURNAL_MAX_FILES)
		return NULL;
	j->file[j->files] = (struct journal_file){ .rank = rank };
	return &j->file[j->files++];
}

bool exp_journal_heard(const struct exp_journal *j, unsigned int rank, const char *job)
{
	unsigned int k;

	for (k = 0; k < j->files; k++)
		if (j->file[k].rank == rank)
			return !strncmp(j->file[k].job, job, 120);
	return false;
}

static int journal_line(struct exp_journal *j, struct journal_file *file, const char *line)
{
	struct exp_result check;
	uint64_t hash;
	char *end;
	int rc;

	if (line[0] == '#' && line[1] == ' ') {
		snprintf(file->job, sizeof(file->job), "%.*s", (int)strcspn(line + 2, "\n"), line + 2);
		return 0;
	}
	errno = 0;
	hash = strtoull(line, &end, 16);
	if (errno || end != line + HASH_DIGITS || *end != '\t')
		return 0;
	rc = exp_result_parse(&check, end + 1);
	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return 0;
	exp_result_free(&check);
	return table_put(j, hash, end + 1);
}

static int journal_read_file(struct exp_journal *j, const char *path, struct journal_file *file)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int rc = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	if (fseeko(f, file->at, SEEK_SET))
		rc = -errno;
	while (!rc && (n = getline(&line, &room, f)) > 0 && line[n - 1] == '\n') {
		file->at += n;
		rc = journal_line(j, file, line);
	}
	if (!rc && ferror(f))
		rc = -EIO;
	free(line);
	fclose(f);
	return rc;
}

int exp_journal_read(struct exp_journal *j, char err[EXP_ERR_MAX])
{
	struct dirent *d;
	char path[512], rest;
	unsigned int rank;
	DIR *dir = opendir(j->dir);
	int rc = 0;

	if (!dir)
		return journal_say(j->dir, -errno, err);
	while (!rc && (d = readdir(dir))) {
		struct journal_file *file;

		if (sscanf(d->d_name, "journal.%u%c", &rank, &rest) != 1)
			continue;
		file = journal_file(j, rank);
		if (!file) {
			rc = -E2BIG;
			break;
		}
		snprintf(path, sizeof(path), "%s/journal.%u", j->dir, rank);
		rc = journal_read_file(j, path, file);
	}
	closedir(dir);
	return rc ? journal_say(j->dir, rc, err) : 0;
}

/* What a crash left of a line gets an end, so that the next line is one of its own. */
static int journal_mend(struct exp_journal *j)
{
	char last;
	off_t end = lseek(j->fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	if (end == 0)
		return 0;
	if (pread(j->fd, &last, 1, end - 1) != 1)
		return -EIO;
	if (last != '\n' && write(j->fd, "\n", 1) != 1)
		return -EIO;
	return 0;
}

int exp_journal_open(struct exp_journal **out, const char *dir, unsigned int rank, char err[EXP_ERR_MAX])
{
	struct exp_journal *j = calloc(1, sizeof(*j));
	char path[512];
	int rc;

	if (!j)
		return journal_say(dir, -ENOMEM, err);
	j->fd = -1;
	if (strlen(dir) >= sizeof(j->dir)) {
		rc = -ENAMETOOLONG;
		goto say;
	}
	memcpy(j->dir, dir, strlen(dir) + 1);
	if (mkdir(dir, 0777) && errno != EEXIST) {
		rc = -errno;
		goto say;
	}
	snprintf(path, sizeof(path), "%s/journal.%u", j->dir, rank);
	j->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (j->fd < 0) {
		rc = -errno;
		goto say;
	}
	rc = journal_mend(j);
	if (rc)
		goto say;
	rc = exp_journal_read(j, err);
	if (rc)
		goto close;
	*out = j;
	return 0;
say:
	journal_say(dir, rc, err);
close:
	exp_journal_close(j);
	return rc;
}

void exp_journal_close(struct exp_journal *j)
{
	size_t k;

	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	for (k = 0; k < j->room; k++)
		free(j->entry[k].line);
	free(j->entry);
	free(j);
}
