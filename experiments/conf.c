/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

#define CONF_FILE_MAX (1u << 20)

/* The whole file as text: libconfig's scanner ends the process when a read fails. */
static int conf_load(const char *path, char **out, char err[EXP_ERR_MAX])
{
	char *text = malloc(CONF_FILE_MAX + 2);
	FILE *f = fopen(path, "re");
	size_t len = 0;
	int rc = 0;

	if (!f)
		rc = -errno;
	else if (!text)
		rc = -ENOMEM;
	if (!rc) {
		errno = 0;
		len = fread(text, 1, CONF_FILE_MAX + 1, f);
		if (ferror(f))
			rc = errno ? -errno : -EIO;
		else if (len > CONF_FILE_MAX)
			rc = -EFBIG;
		else
			text[len] = '\0';
	}
	if (f)
		fclose(f);
	if (rc) {
		snprintf(err, EXP_ERR_MAX, "%.300s: %s; give a file that can be read", path, strerror(-rc));
	} else if (strlen(text) != len) {
		snprintf(err, EXP_ERR_MAX, "%.300s: is no text; give a configuration file", path);
		rc = -EINVAL;
	}
	if (rc)
		free(text);
	else
		*out = text;
	return rc;
}

int exp_conf_read(struct exp_conf *c, const char *path, char err[EXP_ERR_MAX])
{
	char *text;
	const char *p;
	int rc;

	rc = conf_load(path, &text, err);
	if (rc)
		return rc;
	*c = (struct exp_conf){ .path = path, .lines = 1 };
	for (p = text; *p; p++)
		c->lines += *p == '\n' && p[1];
	config_init(&c->cfg);
	if (!config_read_string(&c->cfg, text)) {
		snprintf(err, EXP_ERR_MAX, "%.300s:%d: %s", path, config_error_line(&c->cfg),
			 config_error_text(&c->cfg));
		config_destroy(&c->cfg);
		rc = -EINVAL;
	}
	free(text);
	return rc;
}

void exp_conf_free(struct exp_conf *c)
{
	config_destroy(&c->cfg);
}

/* The setting's name; of an element of a list, the list's. */
static const char *conf_name(const config_setting_t *s)
{
	while (s && !config_setting_name(s) && !config_setting_is_root(s))
		s = config_setting_parent(s);
	return s && config_setting_name(s) ? config_setting_name(s) : "";
}

int exp_conf_fail(const struct exp_conf *c, const config_setting_t *s, char err[EXP_ERR_MAX], const char *fmt, ...)
{
	int n = snprintf(err, EXP_ERR_MAX, "%.200s:%u: key '%.60s': ", c->path, exp_conf_line(s), conf_name(s));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err + n, EXP_ERR_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int exp_conf_missing(const struct exp_conf *c, const config_setting_t *group, const char *key, char err[EXP_ERR_MAX],
		     const char *fmt, ...)
{
	unsigned int line = config_setting_is_root(group) ? c->lines : exp_conf_line(group);
	int n = snprintf(err, EXP_ERR_MAX, "%.200s:%u: key '%.60s': ", c->path, line, key);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err + n, EXP_ERR_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

bool exp_conf_number(const config_setting_t *s, double *v)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		*v = (double)config_setting_get_int64(s);
		return true;
	case CONFIG_TYPE_FLOAT:
		*v = config_setting_get_float(s);
		return true;
	case CONFIG_TYPE_BOOL:
		*v = config_setting_get_bool(s);
		return true;
	default:
		return false;
	}
}

const char *exp_conf_text(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s) : NULL;
}

unsigned int exp_conf_line(const config_setting_t *s)
{
	return config_setting_source_line(s);
}
