/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs one event script on every board that exists, in every mode it names, in
 * several interleavings on boards that are late, and compares the traces; the full ones of boards that are not late
 * and copy.
 *
 * usage: test_script FILE [board mode seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script.h"

static const char *const mode_name[] = { "wr", "rd", "bn" };

static int differ(const char *a, const char *b, const char *what)
{
	unsigned int line = 1;
	const char *s = a, *t = b;

	if (!strcmp(a, b))
		return 0;
	while (*s && *s == *t) {
		if (*s == '\n') {
			line++;
			a = s + 1;
			b = t + 1;
		}
		s++;
		t++;
	}
	fprintf(stderr, "%s: traces differ in line %u: '%.*s' and '%.*s'\n", what, line, (int)strcspn(a, "\n"), a,
		(int)strcspn(b, "\n"), b);
	return 1;
}

static void result_free(struct script_result *res)
{
	free(res->trace);
	free(res->full);
}

/* The first that passed, and the first among boards that are not late. */
struct models {
	char *trace, *full;
};

static int compare(struct models *m, struct script_result *res, const struct mesh_ops *ops, bool untraced, const char *what)
{
	int fails = 0;

	if (!m->trace) {
		m->trace = res->trace;
		res->trace = NULL;
	} else if (!untraced) {
		fails += differ(m->trace, res->trace, what);
	}
	if (ops->late || ops->cut)
		return fails;
	if (!m->full) {
		m->full = res->full;
		res->full = NULL;
	} else {
		fails += differ(m->full, res->full, what);
	}
	return fails;
}

static int run_mode(const char *path, const struct script_head *head, enum p2p_mode mode, unsigned int *runs)
{
	struct models models = { NULL, NULL };
	struct script_result res;
	unsigned int b, seed;
	char what[128];
	int fails = 0;

	for (b = 0; mesh_script_boards[b]; b++) {
		if ((head->boards[0] && !strstr(head->boards, mesh_script_boards[b]->name)) ||
		    (mode == P2P_MODE_BN && mesh_script_boards[b]->no_bn) ||
		    (mesh_script_boards[b]->cut && (mode != P2P_MODE_WR || head->nocut)))
			continue;
		for (seed = 1; seed <= (mesh_script_boards[b]->late ? head->seeds : 1) && fails < 3; seed++) {
			snprintf(what, sizeof(what), "%s %s seed %u", mesh_script_boards[b]->name, mode_name[mode], seed);
			script_run(path, mesh_script_boards[b], mode, seed, &res);
			(*runs)++;
			if (res.error[0]) {
				fprintf(stderr, "%s: %s\n", what, res.error);
				fails++;
			} else {
				fails += compare(&models, &res, mesh_script_boards[b], head->untraced, what);
			}
			result_free(&res);
		}
	}
	free(models.trace);
	free(models.full);
	return fails;
}

int main(int argc, char **argv)
{
	struct script_head head;
	struct script_result res;
	unsigned int mode, b, runs = 0;
	int fails = 0;

	if (argc < 2 || script_head(argv[1], &head)) {
		fprintf(stderr, "usage: test_script FILE [board mode seed]\n");
		return 2;
	}
	if (argc == 5) {
		for (b = 0; mesh_script_boards[b]; b++) {
			for (mode = 0; mode < P2P_NUM_MODES; mode++) {
				if (strcmp(mesh_script_boards[b]->name, argv[2]) || strcmp(mode_name[mode], argv[3]))
					continue;
				script_run(argv[1], mesh_script_boards[b], mode, strtoull(argv[4], NULL, 0), &res);
				printf("%s%s%s\n", res.trace ? res.trace : "", res.full ? res.full : "", res.error);
				result_free(&res);
				return res.error[0] != 0;
			}
		}
		return 2;
	}
	for (mode = 0; mode < P2P_NUM_MODES; mode++)
		if (head.modes & 1u << mode)
			fails += run_mode(argv[1], &head, mode, &runs);
	printf("%u runs, %d failures\n", runs, fails);
	return fails || !runs;
}
