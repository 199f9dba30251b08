/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Saved sysfs trees, as `p2pnic doctor` reads, judges and reports them; every other tree is also saved anew, and what was
 * saved must be read like what it was saved from.
 *
 *   input   a byte of choices, then entries of the tree: kind ('f' file, 'c' file filled up with zeros to 4 kB, 'l' link,
 *           'd' folder), length of its path, path, length of its content (16 bits), content
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctor/doctor.h>
#include "fuzz.h"

#define ENTRIES_MAX 160
#define PATH_LEN 160

/* Names are not what this is about, and libpci reads its database for each tree. */
char *pci_lookup_name(void *access, char *buf, int size, int flags, ...);
char *pci_lookup_name(void *access, char *buf, int size, int flags, ...)
{
	snprintf(buf, (size_t)size, "Vendor Device");
	return buf;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	return remove(path);
}

static void remove_all(const char *top)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path that stays below the top, its folders made. */
static bool path_make(char *to, size_t size, const char *top, const uint8_t *name, size_t n)
{
	size_t at = (size_t)snprintf(to, size, "%s/", top), k, begin = at;

	for (k = 0; k < n && at + 1 < size; k++) {
		if (name[k] == '/' && at > begin && to[at - 1] != '/') {
			to[at] = '\0';
			mkdir(to, 0700);
			to[at++] = '/';
		} else if (name[k] > ' ' && name[k] < 127 && name[k] != '/' && !(name[k] == '.' && to[at - 1] == '/')) {
			to[at++] = (char)name[k];
		}
	}
	to[at] = '\0';
	return at > begin && to[at - 1] != '/';
}

static void put_file(const char *path, const uint8_t *data, size_t n, bool full)
{
	static const uint8_t zero[DOC_CONFIG_MAX];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	if (write(fd, data, n) == (ssize_t)n && full && n < sizeof(zero) && write(fd, zero, sizeof(zero) - n) < 0)
		fuzz_fail("no room for the tree");
	close(fd);
}

static void entry(struct fuzz_in *in, const char *top)
{
	uint8_t kind = fuzz_u8(in);
	size_t n = fuzz_u8(in), len;
	const uint8_t *name = fuzz_bytes(in, &n), *data;
	char path[PATH_LEN + 64], target[PATH_LEN];

	len = fuzz_u16(in);
	data = fuzz_bytes(in, &len);
	if (!path_make(path, sizeof(path), top, name, n))
		return;
	if (kind == 'd') {
		mkdir(path, 0700);
	} else if (kind == 'l') {
		len = len < sizeof(target) - 1 ? len : sizeof(target) - 1;
		memcpy(target, data, len);
		target[len] = '\0';
		if (symlink(target, path))
			return;
	} else {
		put_file(path, data, len, kind == 'c');
	}
}

/* All that is said of a box, as text; the caller's to free. */
static char *report(const struct doc_box *box, size_t *n)
{
	char err[DOC_ERR_MAX] = "", *text = NULL;
	struct doc_pairs pairs;
	struct doc_notes notes;
	unsigned int k;
	FILE *f;

	if (doc_pairs_make(box, NULL, 0, &pairs, err)) {
		if (!*err)
			fuzz_fail("pairs fail without a word");
		return NULL;
	}
	f = open_memstream(&text, n);
	doc_report_text(box, &pairs, true, f);
	doc_report_json(box, &pairs, f);
	doc_report_dot(box, &pairs, f);
	for (k = 0; k < box->n; k++)
		doc_dev_notes(box, &box->dev[k], &notes);
	fclose(f);
	doc_pairs_free(&pairs);
	for (k = 0; k < *n; k++)
		if ((text[k] < ' ' && text[k] != '\n' && text[k] != '\t') || text[k] == 127)
			fuzz_fail("byte %02x in a report", text[k]);
	return text;
}

static void save(const char *top, const char *text, size_t n)
{
	char into[160], err[DOC_ERR_MAX] = "", *again;
	struct doc_box box;
	size_t m = 0;

	snprintf(into, sizeof(into), "%s.saved", top);
	if (!doc_box_save(top, into, err)) {
		if (doc_box_read(&box, into, err))
			fuzz_fail("a tree that was saved can't be read: %s", err);
		again = report(&box, &m);
		if (m != n || memcmp(again, text, n))
			fuzz_fail("a tree that was saved is another: %zu bytes of report instead of %zu", m, n);
		free(again);
		doc_box_free(&box);
	} else if (!*err) {
		fuzz_fail("saving fails without a word");
	}
	remove_all(into);
}

static void check_error(const char *err)
{
	const char *c;

	for (c = err; *c >= ' ' && *c <= '~'; c++)
		;
	if (!*err || *c)
		fuzz_fail("refused with '%s'", err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	char top[128], err[DOC_ERR_MAX] = "", *text;
	uint8_t how = fuzz_u8(&in);
	unsigned int entries;
	struct doc_box box;
	size_t n = 0;

	snprintf(top, sizeof(top), "%s/tree", fuzz_dir());
	mkdir(top, 0700);
	for (entries = 0; fuzz_left(&in) && entries < ENTRIES_MAX; entries++)
		entry(&in, top);
	if (!doc_box_read(&box, top, err)) {
		text = report(&box, &n);
		doc_box_free(&box);
		if (how & 1 && text)
			save(top, text, n);
		free(text);
	} else {
		check_error(err);
	}
	remove_all(top);
	return 0;
}
