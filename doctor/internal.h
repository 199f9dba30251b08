/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of doctor/ share. */
#ifndef DOCTOR_INTERNAL_H
#define DOCTOR_INTERNAL_H

#include <limits.h>
#include <stddef.h>

#include "doctor.h"

#define DOC_ATTR_MAX 4096
#define DOC_MAX_HOPS 16	   /* links from a device to the root that count */
#define DOC_MAX_PAIRED 512 /* devices: 130816 pairs */

/* ---- tree.c: files of a tree ---- */
struct doc_tree {
	char root[PATH_MAX]; /* resolved */
	bool live;	     /* this machine's */
	int fd;
	const char *given; /* as the user said it, for errors */
};
int doc_tree_open(struct doc_tree *t, const char *root, char err[DOC_ERR_MAX]);
void doc_tree_close(struct doc_tree *t);
/* Bytes read, at most max; -ENOENT: there is no such file.  Whatever is no regular file is -EINVAL. */
int doc_tree_read(const struct doc_tree *t, const char *path, void *to, unsigned int max, char err[DOC_ERR_MAX]);
/* A text of one or more lines, shorter than DOC_ATTR_MAX; the line feed at the end is cut off. */
int doc_tree_text(const struct doc_tree *t, const char *path, char to[DOC_ATTR_MAX], char err[DOC_ERR_MAX]);
/* A whole number, 0x before it or not.  -ENOENT likewise. */
int doc_tree_number(const struct doc_tree *t, const char *path, long long min, long long max, long long *to,
		    char err[DOC_ERR_MAX]);
/* The last component of a link's target; -ENOENT: there is no such link. */
int doc_tree_link(const struct doc_tree *t, const char *path, char *to, unsigned int size, char err[DOC_ERR_MAX]);
/* Where a name leads to, relative to the tree; links that lead out of it or nowhere are errors. */
int doc_tree_resolve(const struct doc_tree *t, const char *path, char to[PATH_MAX], char err[DOC_ERR_MAX]);
/* Calls fn for each entry but dot files, sorted; a value other than 0 ends it and comes back.  -ENOENT: no such folder.
 */
typedef int doc_entry_fn(void *arg, const char *name, char err[DOC_ERR_MAX]);
int doc_tree_each(const struct doc_tree *t, const char *path, doc_entry_fn *fn, void *arg, char err[DOC_ERR_MAX]);

/* ---- address.c ---- */
/* "0000:03:00.0"; false: it is none. */
bool doc_address(const char *text, struct doc_dev *d);

/* ---- config.c: configuration space ---- */
/* d->name, vendor, device are there.  cfg holds len bytes.  -EINVAL: it contradicts itself or d. */
int doc_config_parse(struct doc_dev *d, const uint8_t *cfg, unsigned int len, char err[DOC_ERR_MAX]);
/* Copies what doc_config_parse() looks at, and zeroes the rest. */
void doc_config_strip(uint8_t *to, const uint8_t *cfg, unsigned int len);

/* ---- roots.c: what is known of root complexes ---- */
enum doc_known { DOC_UNKNOWN, DOC_YES, DOC_NO };
struct doc_root {
	enum doc_known writes, reads; /* forwarded between the two */
	char what[160];		      /* "AMD Zen or newer", with what it rests on */
};
void doc_root_of(const struct doc_box *box, const struct doc_dev *a, const struct doc_dev *b, struct doc_root *r);
/* The function at the top of d's branch. */
const struct doc_dev *doc_top(const struct doc_box *box, const struct doc_dev *d);

/* ---- pair.c, acs.c ---- */
enum doc_way { DOC_WAY_DIRECT, DOC_WAY_UP, DOC_WAY_BLOCKED };
struct doc_acs_view {
	enum doc_way way; /* of requests between the two */
	bool known;	  /* false: some port's control word could not be read; way is the safe guess */
	int port[2];	  /* who redirects or blocks, -1: nobody */
	int unread;	  /* a port that could not be read, -1 */
};
void doc_acs_look(const struct doc_box *box, const struct doc_pair *p, struct doc_acs_view *v);
/* The child of `meet` (-1: the root bus) on the way to d. */
int doc_below(const struct doc_box *box, int meet, unsigned int d);

/* Text that is added to, cut at DOC_TEXT_MAX; parts are joined by "; ". */
void doc_add(char text[DOC_TEXT_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- rate.c ---- */
void doc_rates_make(const struct doc_box *box, struct doc_pair *p);

/* The links on the way: numbers of functions whose link upwards is used, up to the bridge `meet`. */
unsigned int doc_links_up(const struct doc_box *box, unsigned int d, int meet, unsigned int *to, unsigned int max);

/* An address as shell commands want it, and bytes as people do. */
const char *doc_bytes(uint64_t bytes, char to[32]);

#endif
