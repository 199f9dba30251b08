/* SPDX-License-Identifier: BSD-3-Clause */
/* What the user said: settings and overrides as text. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

#define X(name, text, ...) text,
const char *const exp_methods[EXP_NUM_METHODS + 1] = { EXP_METHODS(X) NULL };
const char *const exp_topologies[EXP_NUM_TOPOLOGIES + 1] = { EXP_TOPOLOGIES(X) NULL };
const char *const exp_patterns[EXP_NUM_PATTERNS + 1] = { EXP_PATTERNS(X) NULL };
#undef X
const char *const exp_on_off[3] = { "off", "on", NULL };
const char *const exp_arrivals[3] = { "even", "poisson", NULL };

enum setting_type { SETTING_CHOICE, SETTING_UINT, SETTING_REAL };
struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;
	double def, min, max;
	const char *const *words;
};

#define X(type, name, def, min, max, words, desc)                                                                      \
	{ #name, SETTING_##type, offsetof(struct exp_settings, name), def, min, max, words },
static const struct setting settings[] = { EXP_SETTINGS(X) };
#undef X
#define NUM_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void setting_store(const struct setting *s, struct exp_settings *to, double v)
{
	void *p = (char *)to + s->offset;

	if (s->type == SETTING_REAL)
		*(double *)p = v;
	else
		*(unsigned int *)p = (unsigned int)v;
}

int exp_spec_fail(const struct exp_spec *spec, unsigned int line, const char *key, char err[EXP_ERR_MAX],
		  const char *fmt, ...)
{
	va_list ap;
	int n;

	if (line && *spec->path)
		n = snprintf(err, EXP_ERR_MAX, "%.200s:%u: key '%.60s': ", spec->path, line, key);
	else
		n = snprintf(err, EXP_ERR_MAX, "%.60s: ", key);
	va_start(ap, fmt);
	vsnprintf(err + n, EXP_ERR_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void exp_spec_init(struct exp_spec *spec)
{
	unsigned int k;

	memset(spec, 0, sizeof(*spec));
	for (k = 0; k < NUM_SETTINGS; k++)
		setting_store(&settings[k], &spec->s, settings[k].def);
	snprintf(spec->profile[EXP_NIC], EXP_PATH_MAX, "agilio-lx");
	snprintf(spec->profile[EXP_SWITCH], EXP_PATH_MAX, "plx8747");
	snprintf(spec->profile[EXP_HOST], EXP_PATH_MAX, "i9-9820x");
}

static bool spec_number(const char *text, double *v)
{
	char *end;

	if (!*text || strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	*v = strtod(text, &end);
	return !*end && isfinite(*v);
}

static int spec_word(const struct exp_spec *spec, const struct setting *s, const char *value, unsigned int line,
		     double *v, char err[EXP_ERR_MAX])
{
	char all[128] = "";
	unsigned int k;

	for (k = 0; s->words[k]; k++) {
		if (!strcmp(s->words[k], value)) {
			*v = k;
			return 0;
		}
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", k ? ", " : "", s->words[k]);
	}
	return exp_spec_fail(spec, line, s->name, err, "'%.60s' is none of %s", value, all);
}

static int spec_setting(struct exp_spec *spec, const struct setting *s, const char *value, unsigned int line,
			char err[EXP_ERR_MAX])
{
	double v = 0;
	int rc;

	if (s->type == SETTING_CHOICE) {
		rc = spec_word(spec, s, value, line, &v, err);
		if (rc)
			return rc;
	} else if (!spec_number(value, &v) || v < s->min || v > s->max || (s->type == SETTING_UINT && v != floor(v))) {
		return exp_spec_fail(spec, line, s->name, err, "'%.60s' won't do; give a%s number from %.10g to %.10g",
				     value, s->type == SETTING_UINT ? " whole" : "", s->min, s->max);
	}
	if (!strcmp(s->name, "stride") && ((unsigned int)v & ((unsigned int)v - 1)))
		return exp_spec_fail(spec, line, s->name, err, "%s is no power of two", value);
	setting_store(s, &spec->s, v);
	return 0;
}

int exp_kind_find(const char *word, size_t len)
{
	unsigned int k;

	for (k = 0; k < EXP_NUM_KINDS; k++)
		if (strlen(exp_kinds[k]) == len && !strncmp(exp_kinds[k], word, len))
			return (int)k;
	return -1;
}

/* The kind that a KIND.PARAM or NODE.PARAM is about; -1: that is known only when the parts are. */
static int spec_key_kind(const struct exp_spec *spec, const char *key, size_t len)
{
	unsigned int k;
	int kind = exp_kind_find(key, len);

	for (k = 0; kind < 0 && k < spec->num_parts; k++)
		if (strlen(spec->part[k].name) == len && !strncmp(spec->part[k].name, key, len))
			kind = (int)spec->part[k].kind;
	return kind;
}

static int spec_override(struct exp_spec *spec, const char *key, const char *value, unsigned int line,
			 char err[EXP_ERR_MAX])
{
	const char *dot = strrchr(key, '.');
	const struct exp_param *p;
	struct exp_override *o;
	unsigned int n;
	char why[160];
	int kind, k;
	double v;

	if (!dot || dot == key || !dot[1] || strlen(key) >= EXP_WORD_MAX)
		return exp_spec_fail(spec, line, key, err,
				     "there is no such setting; give one of a run, or KIND.PARAMETER");
	if (!spec_number(value, &v))
		return exp_spec_fail(spec, line, key, err, "'%.60s' is no number", value);
	kind = spec_key_kind(spec, key, (size_t)(dot - key));
	if (kind < 0 && spec->s.topology == EXP_TOPO_FILE)
		return exp_spec_fail(spec, line, key, err,
				     "there is no part '%.*s'; give nic, switch, host or a part's name",
				     (int)(dot - key), key);
	if (kind >= 0) {
		k = exp_param_find((enum exp_kind)kind, dot + 1);
		if (k < 0)
			return exp_spec_fail(spec, line, key, err, "a %s has no parameter '%.60s'", exp_kinds[kind],
					     dot + 1);
		p = &exp_params((enum exp_kind)kind, &n)[k];
		if (exp_param_refuse(p, v, why))
			return exp_spec_fail(spec, line, key, err, "%s", why);
	}
	for (n = 0; n < spec->num_overrides; n++)
		if (!strcmp(spec->override[n].key, key))
			break;
	if (n == EXP_MAX_OVERRIDES)
		return exp_spec_fail(spec, line, key, err, "more than %d parameters are overridden", EXP_MAX_OVERRIDES);
	if (n == spec->num_overrides)
		spec->num_overrides++;
	o = &spec->override[n];
	snprintf(o->key, sizeof(o->key), "%s", key);
	o->value = v;
	o->line = line;
	return 0;
}

int exp_spec_set(struct exp_spec *spec, const char *key, const char *value, unsigned int line, char err[EXP_ERR_MAX])
{
	unsigned int k;
	int kind;

	for (k = 0; k < NUM_SETTINGS; k++)
		if (!strcmp(settings[k].name, key))
			return spec_setting(spec, &settings[k], value, line, err);
	kind = exp_kind_find(key, strlen(key));
	if (kind < 0)
		return spec_override(spec, key, value, line, err);
	if (!*value || strlen(value) >= EXP_PATH_MAX)
		return exp_spec_fail(spec, line, key, err, "the name of a profile is wanted");
	snprintf(spec->profile[kind], EXP_PATH_MAX, "%s", value);
	for (k = 0; k < spec->num_parts; k++)
		if ((int)spec->part[k].kind == kind)
			spec->part[k].profile[0] = '\0';
	return 0;
}

int exp_spec_assign(struct exp_spec *spec, const char *text, char err[EXP_ERR_MAX])
{
	const char *is = strchr(text, '=');
	char key[EXP_WORD_MAX];

	if (!is || is == text || (size_t)(is - text) >= sizeof(key)) {
		snprintf(err, EXP_ERR_MAX, "'%.100s' is no KEY=VALUE, as in nic.workers=60", text);
		return -EINVAL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(is - text), text);
	return exp_spec_set(spec, key, is + 1, 0, err);
}

bool exp_setting_known(const char *name)
{
	unsigned int k;

	for (k = 0; k < NUM_SETTINGS; k++)
		if (!strcmp(settings[k].name, name))
			return true;
	return exp_kind_find(name, strlen(name)) >= 0;
}

int exp_settings_print(const struct exp_settings *s, char *to, size_t size)
{
	size_t n = 0;
	unsigned int k;

	for (k = 0; k < NUM_SETTINGS; k++) {
		const void *p = (const char *)s + settings[k].offset;
		double v = settings[k].type == SETTING_REAL ? *(const double *)p : *(const unsigned int *)p;

		n += (size_t)snprintf(to + n, n < size ? size - n : 0, "%s=%.17g;", settings[k].name, v);
	}
	return n < size ? 0 : -ENOSPC;
}
