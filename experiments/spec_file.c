/* SPDX-License-Identifier: BSD-3-Clause */
/* Topology files. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

struct reader {
	struct exp_spec *spec;
	struct exp_conf c;
	char *err;
};

/* A scalar as the command line would say it. */
static int read_scalar(struct reader *r, const config_setting_t *s, char text[EXP_PATH_MAX])
{
	const char *word = exp_conf_text(s);
	double v;

	if (word) {
		if (strlen(word) >= EXP_PATH_MAX)
			return exp_conf_fail(&r->c, s, r->err, "text of more than %d characters", EXP_PATH_MAX - 1);
		snprintf(text, EXP_PATH_MAX, "%s", word);
	} else if (config_setting_type(s) == CONFIG_TYPE_BOOL) {
		snprintf(text, EXP_PATH_MAX, "%s", exp_on_off[config_setting_get_bool(s) != 0]);
	} else if (exp_conf_number(s, &v)) {
		snprintf(text, EXP_PATH_MAX, "%.17g", v);
	} else {
		return exp_conf_fail(&r->c, s, r->err, "a number or text is wanted here");
	}
	return 0;
}

static int read_name(struct reader *r, const config_setting_t *s, char *to, size_t size)
{
	const char *text = exp_conf_text(s);

	if (!text || !*text || strlen(text) >= size)
		return exp_conf_fail(&r->c, s, r->err, "text of 1 to %zu characters is wanted here", size - 1);
	snprintf(to, size, "%s", text);
	return 0;
}

static int read_number(struct reader *r, const config_setting_t *s, double min, double max, bool whole, double *v)
{
	if (!exp_conf_number(s, v) || v[0] < min || v[0] > max || (whole && *v != floor(*v)))
		return exp_conf_fail(&r->c, s, r->err, "give a%s number from %.10g to %.10g", whole ? " whole" : "",
				     min, max);
	return 0;
}

static int read_count(struct reader *r, const config_setting_t *s, unsigned int min, unsigned int max, unsigned int *to)
{
	double v = 0;
	int rc = read_number(r, s, min, max, true, &v);

	*to = (unsigned int)v;
	return rc;
}

/* "nic0.1" */
static int read_end(struct reader *r, const config_setting_t *s, struct exp_end *to)
{
	const char *text = exp_conf_text(s), *dot = text ? strrchr(text, '.') : NULL;
	size_t len = dot ? (size_t)(dot - text) : 0;

	if (!dot || !len || len >= sizeof(to->nic) || dot[1] < '0' || dot[1] > '9' || dot[2])
		return exp_conf_fail(&r->c, s, r->err, "a port is wanted here, as \"nic0.0\"");
	snprintf(to->nic, sizeof(to->nic), "%.*s", (int)len, text);
	to->port = (unsigned int)(dot[1] - '0');
	return 0;
}

static int read_width(struct reader *r, const config_setting_t *s, unsigned int *to)
{
	int rc = read_count(r, s, 1, 16, to);

	if (!rc && (*to & (*to - 1)))
		rc = exp_conf_fail(&r->c, s, r->err, "a link of %u lanes isn't possible; give 1, 2, 4, 8 or 16", *to);
	return rc;
}

static int read_part(struct reader *r, const config_setting_t *g, enum exp_kind kind)
{
	struct exp_part *part = &r->spec->part[r->spec->num_parts];
	int k, rc = 0;

	if (!config_setting_is_group(g))
		return exp_conf_fail(&r->c, g, r->err, "a part is wanted here: { name = \"...\"; parent = \"...\"; }");
	if (r->spec->num_parts == EXP_MAX_NODES)
		return exp_conf_fail(&r->c, g, r->err, "more than %d parts", EXP_MAX_NODES);
	*part = (struct exp_part){ .kind = kind, .ports = 1, .line = exp_conf_line(g) };
	for (k = 0; !rc && k < config_setting_length(g); k++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned int)k);
		const char *key = config_setting_name(s);

		if (!strcmp(key, "name"))
			rc = read_name(r, s, part->name, sizeof(part->name));
		else if (!strcmp(key, "profile"))
			rc = read_name(r, s, part->profile, sizeof(part->profile));
		else if (!strcmp(key, "parent") && kind != EXP_HOST)
			rc = read_name(r, s, part->parent, sizeof(part->parent));
		else if (!strcmp(key, "width") && kind != EXP_HOST)
			rc = read_width(r, s, &part->width);
		else if (!strcmp(key, "ports") && kind == EXP_NIC)
			rc = read_count(r, s, 1, P2P_MAX_PORTS, &part->ports);
		else
			rc = exp_conf_fail(&r->c, s, r->err, "unknown key of a %s", exp_kinds[kind]);
	}
	if (!rc && !*part->name)
		rc = exp_conf_missing(&r->c, g, "name", r->err, "is missing");
	if (!rc && (strchr(part->name, '.') || strchr(part->name, '=') || strchr(part->name, ' ')))
		rc = exp_conf_fail(&r->c, g, r->err, "a name with '.', '=' or a blank: '%s'", part->name);
	r->spec->num_parts += !rc;
	return rc;
}

static int read_join(struct reader *r, const config_setting_t *g)
{
	struct exp_spec *spec = r->spec;
	struct exp_join *j = &spec->join[spec->num_joins];
	bool both = false;
	int k, rc = 0;

	if (!config_setting_is_group(g))
		return exp_conf_fail(&r->c, g, r->err,
				     "a pair is wanted here: { from = \"nic0.0\"; to = \"nic1.0\"; }");
	if (spec->num_joins + 2 > EXP_MAX_PAIRS)
		return exp_conf_fail(&r->c, g, r->err, "more than %d pairs", EXP_MAX_PAIRS);
	*j = (struct exp_join){ .line = exp_conf_line(g) };
	for (k = 0; !rc && k < config_setting_length(g); k++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned int)k);

		if (!strcmp(config_setting_name(s), "from"))
			rc = read_end(r, s, &j->from);
		else if (!strcmp(config_setting_name(s), "to"))
			rc = read_end(r, s, &j->to);
		else if (!strcmp(config_setting_name(s), "both") && config_setting_type(s) == CONFIG_TYPE_BOOL)
			both = config_setting_get_bool(s);
		else
			rc = exp_conf_fail(&r->c, s, r->err, "unknown; a pair has from, to and both = true or false");
	}
	if (!rc && (!*j->from.nic || !*j->to.nic))
		rc = exp_conf_missing(&r->c, g, *j->from.nic ? "to" : "from", r->err, "is missing");
	if (rc)
		return rc;
	spec->num_joins++;
	if (both) {
		spec->join[spec->num_joins] = (struct exp_join){ .from = j->to, .to = j->from, .line = j->line };
		spec->num_joins++;
	}
	return 0;
}

static int read_arrival(struct reader *r, const config_setting_t *s, unsigned int *to)
{
	const char *text = exp_conf_text(s);

	for (*to = 0; exp_arrivals[*to]; (*to)++)
		if (text && !strcmp(text, exp_arrivals[*to]))
			return 0;
	return exp_conf_fail(&r->c, s, r->err, "give \"%s\" or \"%s\"", exp_arrivals[0], exp_arrivals[1]);
}

static int read_load(struct reader *r, const config_setting_t *g)
{
	struct exp_spec *spec = r->spec;
	struct exp_load *l = &spec->load[spec->num_loads];
	int k, rc = 0;

	if (!config_setting_is_group(g))
		return exp_conf_fail(&r->c, g, r->err, "a source is wanted here: { port = \"nic0.0\"; gbps = 10.0; }");
	if (spec->num_loads == EXP_MAX_PAIRS)
		return exp_conf_fail(&r->c, g, r->err, "more than %d sources", EXP_MAX_PAIRS);
	*l = (struct exp_load){ .line = exp_conf_line(g), .arrival = UINT_MAX };
	for (k = 0; !rc && k < config_setting_length(g); k++) {
		const config_setting_t *s = config_setting_get_elem(g, (unsigned int)k);
		const char *key = config_setting_name(s);

		if (!strcmp(key, "port"))
			rc = read_end(r, s, &l->at);
		else if (!strcmp(key, "gbps"))
			rc = read_number(r, s, 1e-6, 1600, false, &l->gbps);
		else if (!strcmp(key, "frame_bytes"))
			rc = read_count(r, s, 64, P2P_MAX_FRAME, &l->frame_bytes);
		else if (!strcmp(key, "flows"))
			rc = read_count(r, s, 1, 65536, &l->flows);
		else if (!strcmp(key, "arrival"))
			rc = read_arrival(r, s, &l->arrival);
		else
			rc = exp_conf_fail(&r->c, s, r->err,
					   "unknown; a source has port, gbps, frame_bytes, arrival and flows");
	}
	if (!rc && !*l->at.nic)
		rc = exp_conf_missing(&r->c, g, "port", r->err, "is missing");
	spec->num_loads += !rc;
	return rc;
}

static int read_assign(struct reader *r, const config_setting_t *s)
{
	const char *text = exp_conf_text(s), *is = text ? strchr(text, '=') : NULL;
	char key[EXP_WORD_MAX];

	if (!is || (size_t)(is - text) >= sizeof(key))
		return exp_conf_fail(&r->c, s, r->err, "\"KEY=VALUE\" is wanted here, as \"nic.workers=60\"");
	snprintf(key, sizeof(key), "%.*s", (int)(is - text), text);
	return exp_spec_set(r->spec, key, is + 1, exp_conf_line(s), r->err);
}

static int read_axis(struct reader *r, const config_setting_t *g)
{
	const config_setting_t *key, *values;
	struct exp_spec *spec = r->spec;
	struct exp_axis *a = &spec->axis[spec->num_axes];
	char text[EXP_PATH_MAX];
	int k, rc;

	if (!config_setting_is_group(g))
		return exp_conf_fail(&r->c, g, r->err,
				     "an axis is wanted here: { key = \"nic.workers\"; values = ( 30, 60 ); }");
	key = config_setting_get_member(g, "key");
	values = config_setting_get_member(g, "values");
	if (!key || !values)
		return exp_conf_missing(&r->c, g, key ? "values" : "key", r->err, "is missing");
	for (k = 0; k < config_setting_length(g); k++)
		if (config_setting_get_elem(g, (unsigned int)k) != key &&
		    config_setting_get_elem(g, (unsigned int)k) != values)
			return exp_conf_fail(&r->c, config_setting_get_elem(g, (unsigned int)k), r->err,
					     "unknown; an axis has key and values");
	if (!config_setting_is_aggregate(values) || config_setting_is_group(values) || !config_setting_length(values))
		return exp_conf_fail(&r->c, values, r->err, "a sweep of nothing; give values, as ( 30, 60, 90 )");
	if (config_setting_length(values) > EXP_MAX_STEPS || spec->num_axes == EXP_MAX_AXES)
		return exp_conf_fail(&r->c, values, r->err, "a sweep has at most %d axes of %d values", EXP_MAX_AXES,
				     EXP_MAX_STEPS);
	*a = (struct exp_axis){ .line = exp_conf_line(g), .n = (unsigned int)config_setting_length(values) };
	rc = read_name(r, key, a->key, sizeof(a->key));
	for (k = 0; !rc && k < config_setting_length(values); k++) {
		const config_setting_t *s = config_setting_get_elem(values, (unsigned int)k);

		rc = read_scalar(r, s, text);
		if (!rc && strlen(text) >= EXP_WORD_MAX)
			rc = exp_conf_fail(&r->c, s, r->err, "text of more than %d characters", EXP_WORD_MAX - 1);
		if (!rc)
			memcpy(a->value[k], text, strlen(text) + 1);
	}
	spec->num_axes += !rc;
	return rc;
}

static int read_part_switch(struct reader *r, const config_setting_t *s)
{
	return read_part(r, s, EXP_SWITCH);
}

static int read_part_nic(struct reader *r, const config_setting_t *s)
{
	return read_part(r, s, EXP_NIC);
}

static const struct {
	const char *name;
	int (*read)(struct reader *r, const config_setting_t *s);
	bool parts;
} lists[] = {
	{ "switches", read_part_switch, true }, { "nics", read_part_nic, true }, { "pairs", read_join, true },
	{ "traffic", read_load, true },		{ "set", read_assign, false },	 { "sweep", read_axis, false },
};
#define NUM_LISTS (sizeof(lists) / sizeof(lists[0]))

static int read_settings(struct reader *r, const config_setting_t *root)
{
	const config_setting_t *tree = config_setting_get_member(root, "topology"), *parts = NULL;
	char text[EXP_PATH_MAX];
	int k, rc;
	unsigned int l;

	for (k = 0; k < config_setting_length(root); k++) {
		const config_setting_t *s = config_setting_get_elem(root, (unsigned int)k);
		const char *key = config_setting_name(s);

		for (l = 0; l < NUM_LISTS && strcmp(lists[l].name, key); l++)
			;
		if ((l < NUM_LISTS && lists[l].parts) || (!strcmp(key, "host") && config_setting_is_group(s)))
			parts = s;
		else if (l == NUM_LISTS && !exp_setting_known(key))
			return exp_conf_fail(&r->c, s, r->err, "unknown; docs/simulator.md lists what a file has");
		if (l < NUM_LISTS || config_setting_is_group(s))
			continue;
		rc = read_scalar(r, s, text);
		if (!rc)
			rc = exp_spec_set(r->spec, key, text, exp_conf_line(s), r->err);
		if (rc)
			return rc;
	}
	if (parts && !tree)
		r->spec->s.topology = EXP_TOPO_FILE;
	if (parts && r->spec->s.topology != EXP_TOPO_FILE)
		return exp_conf_fail(&r->c, parts, r->err, "the tree '%s' has parts of its own; leave topology out",
				     exp_topologies[r->spec->s.topology]);
	return 0;
}

static int read_list(struct reader *r, const config_setting_t *list, unsigned int l)
{
	int k, rc = 0;

	if (!config_setting_is_list(list) && !config_setting_is_array(list))
		return exp_conf_fail(&r->c, list, r->err, "a list is wanted here, in ( )");
	if (!config_setting_length(list) && lists[l].read == read_axis)
		return exp_conf_fail(&r->c, list, r->err,
				     "a sweep of nothing; give ( { key = \"nic.workers\"; values = ( 30, 60 ); } )");
	for (k = 0; !rc && k < config_setting_length(list); k++)
		rc = lists[l].read(r, config_setting_get_elem(list, (unsigned int)k));
	return rc;
}

int exp_spec_read(struct exp_spec *spec, const char *path, char err[EXP_ERR_MAX])
{
	struct reader r = { .spec = spec, .err = err };
	const config_setting_t *root, *s;
	unsigned int l;
	int rc;

	if (strlen(path) >= EXP_PATH_MAX) {
		snprintf(err, EXP_ERR_MAX, "the path of the file has more than %d characters", EXP_PATH_MAX - 1);
		return -ENAMETOOLONG;
	}
	rc = exp_conf_read(&r.c, path, err);
	if (rc)
		return rc;
	snprintf(spec->path, sizeof(spec->path), "%s", path);
	root = config_root_setting(&r.c.cfg);
	rc = read_settings(&r, root);
	s = config_setting_get_member(root, "host");
	if (!rc && s && config_setting_is_group(s))
		rc = read_part(&r, s, EXP_HOST);
	for (l = 0; !rc && l < NUM_LISTS; l++) {
		s = config_setting_get_member(root, lists[l].name);
		if (s)
			rc = read_list(&r, s, l);
	}
	exp_conf_free(&r.c);
	return rc;
}
