/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"

#define PROFILE_MAX_DEPTH 8 /* of base = ... */

const char *const exp_kinds[EXP_NUM_KINDS] = { "nic", "switch", "host" };

#define ROW(name, unit, min, max, desc) { #name, unit, min, max, desc },
static const struct exp_param nic_params[] = { SIM_NIC_PARAMS(ROW) };
static const struct exp_param switch_params[] = { SIM_SWITCH_PARAMS(ROW) };
static const struct exp_param host_params[] = { SIM_HOST_PARAMS(ROW) };
#undef ROW

static const struct {
	const struct exp_param *param;
	unsigned int n;
} params[EXP_NUM_KINDS] = {
	{ nic_params, sizeof(nic_params) / sizeof(nic_params[0]) },
	{ switch_params, sizeof(switch_params) / sizeof(switch_params[0]) },
	{ host_params, sizeof(host_params) / sizeof(host_params[0]) },
};
_Static_assert(sizeof(nic_params) / sizeof(nic_params[0]) <= EXP_MAX_PARAMS, "EXP_MAX_PARAMS");
_Static_assert(sizeof(host_params) / sizeof(host_params[0]) <= EXP_MAX_PARAMS, "EXP_MAX_PARAMS");
/* exp_profile_fill() takes the structs for arrays in the lists' order. */
_Static_assert(sizeof(struct sim_nic_profile) == sizeof(double) * sizeof(nic_params) / sizeof(nic_params[0]),
	       "doubles");
_Static_assert(sizeof(struct sim_host_profile) == sizeof(double) * sizeof(host_params) / sizeof(host_params[0]),
	       "doubles");

const struct exp_param *exp_params(enum exp_kind kind, unsigned int *n)
{
	*n = params[kind].n;
	return params[kind].param;
}

int exp_param_find(enum exp_kind kind, const char *name)
{
	unsigned int k;

	for (k = 0; k < params[kind].n; k++)
		if (!strcmp(params[kind].param[k].name, name))
			return (int)k;
	return -1;
}

static bool param_is_whole(const struct exp_param *p)
{
	return !strcmp(p->unit, "count") || !strcmp(p->unit, "lanes") || !strcmp(p->unit, "gen") ||
	       !strcmp(p->unit, "bool");
}

const char *exp_param_refuse(const struct exp_param *p, double v, char why[160])
{
	if (!isfinite(v) || v < p->min || v > p->max) {
		snprintf(why, 160, "%g is out of range; give %g to %g %.20s", v, p->min, p->max, p->unit);
		return why;
	}
	if (param_is_whole(p) && v != floor(v)) {
		snprintf(why, 160, "%g %.20s isn't possible; give a whole number", v, p->unit);
		return why;
	}
	if (!strcmp(p->unit, "lanes") && v != 0 && v != 1 && v != 2 && v != 4 && v != 8 && v != 16) {
		snprintf(why, 160, "a link of %g lanes isn't possible; give 1, 2, 4, 8 or 16", v);
		return why;
	}
	return NULL;
}

/* ---- where files are ---- */
static int profile_path(enum exp_kind kind, const char *name, char path[512], char err[EXP_ERR_MAX])
{
	const char *env = getenv("P2PNIC_PROFILES"), *dir[2] = { EXP_PROFILES_SOURCE, EXP_PROFILES_DATA };
	unsigned int k, n = 2;

	if (strchr(name, '/')) {
		snprintf(path, 512, "%s", name);
		return 0;
	}
	if (env && *env) {
		dir[0] = env;
		n = 1;
	}
	for (k = 0; k < n; k++) {
		snprintf(path, 512, "%.400s/%s/%.90s.conf", dir[k], exp_kinds[kind], name);
		if (!access(path, F_OK))
			return 0;
	}
	snprintf(
		err, EXP_ERR_MAX,
		"there is no %s profile '%.90s' in %.200s; give another name, a path with a slash, or $P2PNIC_PROFILES",
		exp_kinds[kind], name, dir[0]);
	return -ENOENT;
}

/* ---- one file ---- */
static int value_text(const struct exp_conf *c, const config_setting_t *s, char **to, char err[EXP_ERR_MAX])
{
	const char *text = exp_conf_text(s);

	if (!text)
		return exp_conf_fail(c, s, err, "text is wanted here");
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int value_number(const struct exp_conf *c, const config_setting_t *at, const config_setting_t *s,
			const struct exp_param *p, double *to, char err[EXP_ERR_MAX])
{
	char why[160];

	if (!exp_conf_number(s, to))
		return exp_conf_fail(c, at, err, "a number is wanted here");
	if (exp_param_refuse(p, *to, why))
		return exp_conf_fail(c, at, err, "%s", why);
	return 0;
}

static void value_clear(struct exp_value *v)
{
	free(v->source);
	free(v->fitted);
	*v = (struct exp_value){ 0 };
}

/* { value = ...; low = ...; high = ...; source = "..."; fitted = "..."; } */
static int value_group(const struct exp_conf *c, const config_setting_t *s, const struct exp_param *p,
		       struct exp_value *v, char err[EXP_ERR_MAX])
{
	bool value = false, low = false, high = false;
	int k, n = config_setting_length(s), rc = 0;

	for (k = 0; !rc && k < n; k++) {
		const config_setting_t *e = config_setting_get_elem(s, (unsigned int)k);
		const char *name = config_setting_name(e);

		if (!strcmp(name, "value"))
			rc = value_number(c, s, e, p, &v->value, err), value = true;
		else if (!strcmp(name, "low"))
			rc = value_number(c, s, e, p, &v->low, err), low = true;
		else if (!strcmp(name, "high"))
			rc = value_number(c, s, e, p, &v->high, err), high = true;
		else if (!strcmp(name, "source"))
			rc = value_text(c, e, &v->source, err);
		else if (!strcmp(name, "fitted"))
			rc = value_text(c, e, &v->fitted, err);
		else
			rc = exp_conf_fail(c, e, err, "unknown; a parameter has value, low, high, source and fitted");
	}
	if (rc)
		return rc;
	if (!value)
		return exp_conf_fail(c, s, err, "has no value");
	if (!low)
		v->low = v->value;
	if (!high)
		v->high = v->value;
	if (v->low > v->value || v->value > v->high)
		return exp_conf_fail(c, s, err, "low %g, value %g, high %g are out of order", v->low, v->value,
				     v->high);
	return 0;
}

static int profile_setting(struct exp_profile *p, const struct exp_conf *c, const config_setting_t *s,
			   char err[EXP_ERR_MAX])
{
	const struct exp_param *param;
	struct exp_value *v;
	int k, rc;

	if (!strcmp(config_setting_name(s), "base"))
		return 0;
	if (!strcmp(config_setting_name(s), "description"))
		return value_text(c, s, &p->description, err);
	k = exp_param_find(p->kind, config_setting_name(s));
	if (k < 0)
		return exp_conf_fail(c, s, err, "a %s has no such parameter", exp_kinds[p->kind]);
	param = &params[p->kind].param[k];
	v = &p->v[k];
	value_clear(v);
	if (config_setting_is_group(s)) {
		rc = value_group(c, s, param, v, err);
	} else {
		rc = value_number(c, s, s, param, &v->value, err);
		v->low = v->high = v->value;
	}
	v->line = exp_conf_line(s);
	return rc;
}

static int profile_read(struct exp_profile *p, const char *name, unsigned int depth, char err[EXP_ERR_MAX])
{
	const config_setting_t *root, *base;
	struct exp_conf c;
	char path[512];
	int k, rc;

	rc = profile_path(p->kind, name, path, err);
	if (rc)
		return rc;
	rc = exp_conf_read(&c, path, err);
	if (rc)
		return rc;
	root = config_root_setting(&c.cfg);
	base = config_setting_get_member(root, "base");
	if (base) {
		if (!exp_conf_text(base))
			rc = exp_conf_fail(&c, base, err, "the name of a profile is wanted here");
		else if (depth == PROFILE_MAX_DEPTH)
			rc = exp_conf_fail(&c, base, err, "profiles lean on each other in a circle, or %d deep",
					   PROFILE_MAX_DEPTH);
		else
			rc = profile_read(p, exp_conf_text(base), depth + 1, err);
		if (rc == -ENOENT)
			rc = exp_conf_fail(&c, base, err, "there is no %s profile '%.60s'", exp_kinds[p->kind],
					   exp_conf_text(base));
	}
	for (k = 0; !rc && k < config_setting_length(root); k++)
		rc = profile_setting(p, &c, config_setting_get_elem(root, (unsigned int)k), err);
	for (k = 0; !rc && !depth && k < (int)params[p->kind].n; k++)
		if (!p->v[k].line)
			rc = exp_conf_missing(&c, root, params[p->kind].param[k].name, err, "is missing: %s (%s)",
					      params[p->kind].param[k].desc, params[p->kind].param[k].unit);
	exp_conf_free(&c);
	return rc;
}

int exp_profile_load(enum exp_kind kind, const char *name, struct exp_profile **out, char err[EXP_ERR_MAX])
{
	struct exp_profile *p = calloc(1, sizeof(*p));
	const char *slash = strrchr(name, '/');
	int rc = -ENOMEM;

	err[0] = '\0';
	if (p) {
		p->kind = kind;
		snprintf(p->name, sizeof(p->name), "%.60s", slash ? slash + 1 : name);
		rc = profile_read(p, name, 0, err);
	}
	if (rc == -ENOMEM)
		snprintf(err, EXP_ERR_MAX, "out of memory");
	if (rc)
		exp_profile_free(p);
	else
		*out = p;
	return rc;
}

void exp_profile_free(struct exp_profile *p)
{
	unsigned int k;

	if (!p)
		return;
	for (k = 0; k < EXP_MAX_PARAMS; k++)
		value_clear(&p->v[k]);
	free(p->description);
	free(p);
}

struct exp_profile *exp_profile_copy(const struct exp_profile *p)
{
	struct exp_profile *c = malloc(sizeof(*c));
	unsigned int k;
	bool ok = true;

	if (!c)
		return NULL;
	*c = *p;
	c->description = p->description ? strdup(p->description) : NULL;
	ok = !p->description || c->description;
	for (k = 0; k < EXP_MAX_PARAMS; k++) {
		c->v[k].source = p->v[k].source ? strdup(p->v[k].source) : NULL;
		c->v[k].fitted = p->v[k].fitted ? strdup(p->v[k].fitted) : NULL;
		ok = ok && (!p->v[k].source || c->v[k].source) && (!p->v[k].fitted || c->v[k].fitted);
	}
	if (!ok) {
		exp_profile_free(c);
		return NULL;
	}
	return c;
}

void exp_profile_fill(const struct exp_profile *p, void *sim)
{
	double *to = sim;
	unsigned int k;

	for (k = 0; k < params[p->kind].n; k++)
		to[k] = p->v[k].value;
}

double exp_profile_get(const struct exp_profile *p, const char *param)
{
	int k = exp_param_find(p->kind, param);

	return k < 0 ? 0 : p->v[k].value;
}
