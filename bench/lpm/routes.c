/* SPDX-License-Identifier: BSD-3-Clause */
/* The table: libloc's database, or any list of prefixes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench/lpm/bench.h"

struct loading {
	struct bench_routes *r;
	bool location;
};

/* By origin AS; where a list has none, by the prefix. */
static uint32_t hop_of(const struct lpm_list_line *l, bool location)
{
	uint64_t v = l->as;
	unsigned int k;

	for (k = 0; k < 16 && !location; k++)
		v = v * 257 + l->prefix.addr[k];
	return P2P_HOP_FREE + (uint32_t)(p2p_random(&v) % BENCH_HOPS);
}

static int take(void *arg, const struct lpm_list_line *line)
{
	const struct loading *l = arg;
	struct bench_routes *r = &l->r[line->prefix.family];

	if (!line->prefix.len)
		return 0;
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 65536;
		struct lpm_prefix *p = realloc(r->p, room * sizeof(*p));
		uint32_t *hop;

		if (!p)
			return -ENOMEM;
		r->p = p;
		hop = realloc(r->hop, room * sizeof(*hop));
		if (!hop)
			return -ENOMEM;
		r->hop = hop;
		r->room = room;
	}
	r->p[r->n] = line->prefix;
	r->hop[r->n++] = hop_of(line, l->location);
	return 0;
}

void bench_routes_free(struct bench_routes *r)
{
	free(r->p);
	free(r->hop);
	*r = (struct bench_routes){ 0 };
}

/* The last of equal prefixes counts. */
static int once(struct bench_routes *r)
{
	struct lpm *l;
	uint32_t hop;
	size_t k, n = 0;
	int rc = lpm_create(&l);

	for (k = 0; k < r->n && !rc; k++)
		rc = lpm_set(l, &r->p[k], r->hop[k]);
	for (k = 0; k < r->n && !rc; k++) {
		if (lpm_get(l, &r->p[k], &hop))
			continue;
		r->p[n] = r->p[k];
		r->hop[n++] = hop;
		rc = lpm_del(l, &r->p[k]);
	}
	r->n = n;
	lpm_destroy(l);
	return rc;
}

static int read_file(FILE *f, struct bench_routes r[P2P_NUM_FAMILIES], char err[LPM_ERR_MAX])
{
	struct loading l = { .r = r };
	char begin[4096];
	size_t n = fread(begin, 1, sizeof(begin), f);

	rewind(f);
	l.location = lpm_list_guess(begin, n) == LPM_LIST_LOCATION;
	return lpm_list_read(f, l.location ? LPM_LIST_LOCATION : LPM_LIST_PLAIN, take, &l, err);
}

static int read_location(struct bench_routes r[P2P_NUM_FAMILIES], char err[LPM_ERR_MAX])
{
	struct loading l = { .r = r, .location = true };
	FILE *f = popen("location dump 2>/dev/null", "re");
	int rc, status;

	if (!f) {
		snprintf(err, LPM_ERR_MAX, "can't start `location dump`: %s", strerror(errno));
		return -errno;
	}
	rc = lpm_list_read(f, LPM_LIST_LOCATION, take, &l, err);
	status = pclose(f);
	if (!rc && (status || !r[P2P_IP4].n)) {
		snprintf(err, LPM_ERR_MAX,
			 "`location dump` gave no table; install location and libloc-database, or give --routes FILE");
		return -ENOENT;
	}
	return rc;
}

int bench_routes_load(struct bench_routes r[P2P_NUM_FAMILIES], const char *path, char note[LPM_ERR_MAX],
		      char err[LPM_ERR_MAX])
{
	unsigned int f;
	FILE *file;
	int rc = 0;

	if (path) {
		file = fopen(path, "re");
		if (!file) {
			snprintf(err, LPM_ERR_MAX, "%.200s: %s", path, strerror(errno));
			return -errno;
		}
		rc = read_file(file, r, err);
		fclose(file);
		if (rc == -EINVAL) {
			char line[LPM_ERR_MAX];

			memcpy(line, err, sizeof(line));
			snprintf(err, LPM_ERR_MAX, "%.80s, %.150s", path, line);
		}
	} else {
		rc = read_location(r, err);
	}
	for (f = 0; f < P2P_NUM_FAMILIES && !rc; f++) {
		rc = once(&r[f]);
		if (rc)
			snprintf(err, LPM_ERR_MAX, "putting the routes in order: %s", strerror(-rc));
	}
	if (!rc && !r[0].n && !r[1].n) {
		snprintf(err, LPM_ERR_MAX, "%.200s has no routes but a default", path);
		return -EINVAL;
	}
	snprintf(note, LPM_ERR_MAX, "%.200s", path ? path : "libloc-database");
	return rc;
}
