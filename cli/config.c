/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/opts.h"

#define CONFIG_VALUE_MAX 64
#define CONFIG_FILE_MAX (1u << 20)

/* Numbers as text, for cli_set(). */
struct config_value {
	struct config_value *next;
	char text[CONFIG_VALUE_MAX];
};

struct cli_config {
	config_t cfg; /* owns the strings */
	struct config_value *values;
};

struct config_ctx {
	const struct cli_table *t;
	void *o;
	const char *path;
	struct cli_config *text;
	unsigned int order;
	char *err;
};

/* why may quote the file, whose strings hold any characters; an error is one line. */
static int config_fail(const struct config_ctx *c, const config_setting_t *s, const char *why)
{
	char *at;

	snprintf(c->err, CLI_ERR_MAX, "%s:%u: %.500s", c->path, config_setting_source_line(s), why);
	for (at = c->err; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return -EINVAL;
}

/* What the command line would say for this scalar; NULL: not a scalar, or no memory. */
static const char *config_scalar(struct config_ctx *c, const config_setting_t *s)
{
	struct config_value *v;

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING:
		return config_setting_get_string(s);
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) ? "on" : "off";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
	case CONFIG_TYPE_FLOAT:
		break;
	default:
		return NULL;
	}
	v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->next = c->text->values;
	c->text->values = v;
	if (config_setting_type(s) == CONFIG_TYPE_FLOAT)
		snprintf(v->text, sizeof(v->text), "%.9g", config_setting_get_float(s));
	else
		snprintf(v->text, sizeof(v->text), "%lld", config_setting_get_int64(s));
	return v->text;
}

static int config_put(struct config_ctx *c, const struct cli_opt *opt, const config_setting_t *s, const char *text)
{
	char why[CLI_ERR_MAX];

	if (cli_set(opt, c->o, opt->name, text, &c->order, why))
		return config_fail(c, s, why);
	return 0;
}

/* A scalar or an array of scalars into a LIST option. */
static int config_list(struct config_ctx *c, const struct cli_opt *opt, const config_setting_t *s)
{
	unsigned int k, n = (unsigned int)config_setting_length(s);
	const char *text;
	int rc;

	if (config_setting_is_scalar(s)) {
		text = config_scalar(c, s);
		return text ? config_put(c, opt, s, text) : -ENOMEM;
	}
	if (config_setting_is_group(s))
		return config_fail(c, s, "a list of text is wanted here, as [ \"...\", \"...\" ]");
	for (k = 0; k < n; k++) {
		const config_setting_t *e = config_setting_get_elem(s, k);

		text = config_setting_is_scalar(e) ? config_scalar(c, e) : NULL;
		if (!text)
			return config_fail(c, e, "an element of a list must be text");
		rc = config_put(c, opt, e, text);
		if (rc)
			return rc;
	}
	return 0;
}

/* nic = ( { name = "a"; port = [ ... ]; }, ... ) */
static int config_nic(struct config_ctx *c, const config_setting_t *group)
{
	const struct cli_opt *nic = cli_find(c->t, "nic"), *port = cli_find(c->t, "port");
	const config_setting_t *name = config_setting_get_member(group, "name");
	const config_setting_t *ports = config_setting_get_member(group, "port");
	unsigned int k, n = (unsigned int)config_setting_length(group);
	char why[CLI_ERR_MAX];
	int rc;

	for (k = 0; k < n; k++) {
		const config_setting_t *e = config_setting_get_elem(group, k);

		if (e != name && e != ports) {
			snprintf(why, sizeof(why), "unknown key 'nic.%.100s'; it has name and port", config_setting_name(e));
			return config_fail(c, e, why);
		}
	}
	if (!name || !ports || config_setting_type(name) != CONFIG_TYPE_STRING)
		return config_fail(c, group, "a nic needs name = \"...\" and port = [ \"...\" ]");
	rc = config_put(c, nic, name, config_setting_get_string(name));
	return rc ? rc : config_list(c, port, ports);
}

static bool config_is_groups(const config_setting_t *s)
{
	return config_setting_is_list(s) && config_setting_length(s) > 0 &&
	       config_setting_is_group(config_setting_get_elem(s, 0));
}

static int config_key(struct config_ctx *c, const config_setting_t *s)
{
	const struct cli_opt *opt = cli_find(c->t, config_setting_name(s));
	unsigned int k, n;
	const char *text;
	int rc = 0;

	if (opt->type == CLI_LIST && !strcmp(opt->name, "nic") && config_is_groups(s)) {
		n = (unsigned int)config_setting_length(s);
		for (k = 0; !rc && k < n; k++) {
			const config_setting_t *e = config_setting_get_elem(s, k);

			rc = config_setting_is_group(e) ? config_nic(c, e) :
							  config_fail(c, e, "a nic is { name = \"...\"; port = [ \"...\" ]; }");
		}
		return rc;
	}
	if (opt->type == CLI_LIST)
		return config_list(c, opt, s);
	text = config_setting_is_scalar(s) ? config_scalar(c, s) : NULL;
	if (!text)
		return config_fail(c, s, "a single value is wanted here");
	if (opt->type == CLI_FLAG) {
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			return config_fail(c, s, "give true or false");
		if (!config_setting_get_bool(s))
			return 0;
	}
	return config_put(c, opt, s, text);
}

/* Ports and NICs belong together: if the command line names any, the file's are not used. */
static bool config_overruled(const struct config_ctx *c, const bool *given, const struct cli_opt *opt)
{
	const struct cli_opt *nic = cli_find(c->t, "nic"), *port = cli_find(c->t, "port");

	if (opt == nic || opt == port)
		return (nic && given[nic - c->t->opt]) || (port && given[port - c->t->opt]);
	return given[opt - c->t->opt];
}

static int config_walk(struct config_ctx *c)
{
	const config_setting_t *root = config_root_setting(&c->text->cfg);
	unsigned int k, n = (unsigned int)config_setting_length(root);
	char why[CLI_ERR_MAX];
	bool given[256];
	int rc;

	for (k = 0; k < c->t->n; k++)
		given[k] = cli_is_set(&c->t->opt[k], c->o);
	for (k = 0; k < n; k++) {
		const config_setting_t *s = config_setting_get_elem(root, k);
		const struct cli_opt *opt = cli_find(c->t, config_setting_name(s));

		if (!opt || !strcmp(opt->name, "config")) {
			snprintf(why, sizeof(why), "unknown key '%.100s'; the keys are the long options of --help",
				 config_setting_name(s));
			return config_fail(c, s, why);
		}
		if (config_overruled(c, given, opt))
			continue;
		rc = config_key(c, s);
		if (rc)
			return rc;
	}
	return 0;
}

/* The whole file as text: libconfig's scanner ends the process when a read fails. */
static int config_load(const char *path, char **out, char err[CLI_ERR_MAX])
{
	char *buf = malloc(CONFIG_FILE_MAX + 1);
	FILE *f = fopen(path, "re");
	size_t len = 0;
	int rc = 0;

	if (!f)
		rc = -errno;
	else if (!buf)
		rc = -ENOMEM;
	if (!rc) {
		errno = 0;
		len = fread(buf, 1, CONFIG_FILE_MAX + 1, f);
		if (ferror(f))
			rc = errno ? -errno : -EIO;
		else if (len > CONFIG_FILE_MAX)
			rc = -EFBIG;
		else
			buf[len] = '\0';
	}
	if (f)
		fclose(f);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s: %s; give a configuration file that can be read", path, strerror(-rc));
	} else if (strlen(buf) != len) {
		snprintf(err, CLI_ERR_MAX, "%s: is no text; give a configuration file", path);
		rc = -EINVAL;
	}
	if (rc)
		free(buf);
	else
		*out = buf;
	return rc;
}

int cli_config_read(const struct cli_table *t, void *o, const char *path, struct cli_config **text, char err[CLI_ERR_MAX])
{
	struct config_ctx c = { .t = t, .o = o, .path = path, .err = err };
	char *file;
	int rc;

	rc = config_load(path, &file, err);
	if (rc)
		return rc;
	c.text = calloc(1, sizeof(*c.text));
	if (!c.text) {
		free(file);
		snprintf(err, CLI_ERR_MAX, "%s: out of memory", path);
		return -ENOMEM;
	}
	config_init(&c.text->cfg);
	if (config_read_string(&c.text->cfg, file)) {
		rc = config_walk(&c);
		if (rc == -ENOMEM)
			snprintf(err, CLI_ERR_MAX, "%s: out of memory", path);
	} else {
		snprintf(err, CLI_ERR_MAX, "%s:%d: %s", path, config_error_line(&c.text->cfg),
			 config_error_text(&c.text->cfg));
		rc = -EINVAL;
	}
	free(file);
	if (rc)
		cli_config_free(c.text);
	else
		*text = c.text;
	return rc;
}

void cli_config_free(struct cli_config *text)
{
	struct config_value *v;

	if (!text)
		return;
	while ((v = text->values)) {
		text->values = v->next;
		free(v);
	}
	config_destroy(&text->cfg);
	free(text);
}
