/* SPDX-License-Identifier: BSD-3-Clause */
/* Port specs and the table of schemes. */
#include "ports/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ports/schemes.h"

const struct port_ops *const port_schemes[] = {
	&port_gen_ops,
	&port_null_ops,
	&port_pcap_ops,
	&port_tap_ops,
	&port_memif_ops,
	&port_xdp_ops,
	NULL,
};

static void port_scheme_names(char *out, size_t size)
{
	size_t at = 0;
	unsigned int i;

	out[0] = '\0';
	for (i = 0; port_schemes[i] && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s:", i ? " " : "", port_schemes[i]->scheme);
}

static int port_spec_add(struct port_spec *spec, char *item, char err[PORT_ERR_MAX])
{
	char *eq = strchr(item, '=');
	unsigned int i;

	if (!*item || eq == item) {
		snprintf(err, PORT_ERR_MAX, "port '%.100s': an option is empty: write SCHEME:TARGET,KEY=VALUE,...", spec->text);
		return -EINVAL;
	}
	if (spec->n == PORT_SPEC_MAX_OPTS) {
		snprintf(err, PORT_ERR_MAX, "port '%.100s': more than %d options", spec->text, PORT_SPEC_MAX_OPTS);
		return -EINVAL;
	}
	if (eq)
		*eq++ = '\0';
	for (i = 0; i < spec->n; i++) {
		if (strcmp(spec->opt[i].key, item) == 0) {
			snprintf(err, PORT_ERR_MAX, "port '%.100s': option '%.40s' is given twice", spec->text, item);
			return -EINVAL;
		}
	}
	spec->opt[spec->n].key = item;
	spec->opt[spec->n].value = eq ? eq : item + strlen(item);
	spec->opt[spec->n].used = false;
	spec->n++;
	return 0;
}

int port_spec_parse(struct port_spec *spec, const char *text, char err[PORT_ERR_MAX])
{
	char names[128], *colon, *next;
	int rc;

	memset(spec, 0, sizeof(*spec));
	if (strlen(text) >= sizeof(spec->text)) {
		snprintf(err, PORT_ERR_MAX, "port '%.60s...': longer than %zu characters", text, sizeof(spec->text) - 1);
		return -EINVAL;
	}
	memcpy(spec->text, text, strlen(text) + 1);
	memcpy(spec->buf, text, strlen(text) + 1);
	colon = strchr(spec->buf, ':');
	next = strchr(spec->buf, ',');
	if (!colon || colon == spec->buf || (next && next < colon)) {
		port_scheme_names(names, sizeof(names));
		snprintf(err, PORT_ERR_MAX, "port '%.60s': no scheme: write SCHEME:TARGET, SCHEME one of %s", text, names);
		return -EINVAL;
	}
	*colon = '\0';
	spec->scheme = spec->buf;
	spec->target = colon + 1;
	next = strchr(spec->target, ',');
	while (next) {
		char *item = next + 1;

		*next = '\0';
		next = strchr(item, ',');
		if (next)
			*next = '\0';
		rc = port_spec_add(spec, item, err);
		if (rc)
			return rc;
	}
	return 0;
}

const char *port_spec_get(const struct port_spec *spec, const char *key)
{
	/* `used` is bookkeeping, not part of what the spec says. */
	struct port_spec *own = (struct port_spec *)(uintptr_t)spec;
	unsigned int i;

	for (i = 0; i < own->n; i++) {
		if (strcmp(own->opt[i].key, key) == 0) {
			own->opt[i].used = true;
			return own->opt[i].value;
		}
	}
	return NULL;
}

/* Digits and one suffix k, M or G (powers of 1000).  Returns 0, or -EINVAL if s is anything else or does not fit. */
static int port_number_parse(const char *s, uint64_t *v)
{
	uint64_t n = 0, unit = 1;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -EINVAL;
	}
	if (*s == 'k' || *s == 'K')
		unit = 1000;
	else if (*s == 'M')
		unit = 1000000;
	else if (*s == 'G')
		unit = 1000000000;
	if (unit != 1)
		s++;
	if (*s || __builtin_mul_overflow(n, unit, &n))
		return -EINVAL;
	*v = n;
	return 0;
}

int port_spec_get_u64(const struct port_spec *spec, const char *key, uint64_t min, uint64_t max,
		      uint64_t *v, char err[PORT_ERR_MAX])
{
	const char *s = port_spec_get(spec, key);
	uint64_t n;

	if (!s)
		return 0;
	if (port_number_parse(s, &n) || n < min || n > max) {
		snprintf(err, PORT_ERR_MAX, "port '%.100s': %.30s='%.30s': give a number from %llu to %llu", spec->text, key,
			 s, (unsigned long long)min, (unsigned long long)max);
		return -EINVAL;
	}
	*v = n;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int port_mac_parse(const char *text, size_t len, uint8_t mac[6])
{
	if (len != 17)
		return -EINVAL;
	for (unsigned int i = 0; i < 6; i++, text += 3) {
		const int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0 || (i < 5 && text[2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int port_open(struct port **out, const char *text, char err[PORT_ERR_MAX])
{
	struct port_spec spec;
	struct port *p = NULL;
	char names[128];
	unsigned int i;
	int rc;

	err[0] = '\0';
	rc = port_spec_parse(&spec, text, err);
	if (rc)
		return rc;
	for (i = 0; port_schemes[i] && strcmp(port_schemes[i]->scheme, spec.scheme) != 0; i++)
		;
	if (!port_schemes[i]) {
		port_scheme_names(names, sizeof(names));
		snprintf(err, PORT_ERR_MAX, "port '%.60s': no scheme '%.30s:'; there are %s", text, spec.scheme, names);
		return -EINVAL;
	}
	rc = port_schemes[i]->open(&p, &spec, err);
	if (rc)
		return rc;
	for (i = 0; i < spec.n; i++) {
		if (spec.opt[i].used)
			continue;
		snprintf(err, PORT_ERR_MAX, "%s: no option '%.30s'; use %s", spec.scheme, spec.opt[i].key, p->ops->help);
		p->ops->close(p);
		return -EINVAL;
	}
	snprintf(p->name, sizeof(p->name), "%.8s:%.50s", spec.scheme, spec.target);
	*out = p;
	return 0;
}
