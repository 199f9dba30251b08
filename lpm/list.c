/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lpm/list.h"

#define LIST_LINE 8192 /* `route dump` with as many ways as there can be */

int lpm_prefix_parse(const char *text, struct lpm_prefix *p)
{
	const char *slash = strchr(text, '/');
	const size_t n = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	unsigned int bits, k;
	unsigned long len;
	char *end;

	if (!n || n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	memset(p, 0, sizeof(*p));
	p->family = strchr(addr, ':') ? P2P_IP6 : P2P_IP4;
	if (inet_pton(p->family == P2P_IP6 ? AF_INET6 : AF_INET, addr, p->addr) != 1)
		return -EINVAL;
	bits = P2P_FAMILY_BITS(p->family);
	len = bits;
	if (slash) {
		if (!isdigit((unsigned char)slash[1]))
			return -EINVAL;
		len = strtoul(slash + 1, &end, 10);
		if (*end || len > bits)
			return -EINVAL;
	}
	p->len = (uint8_t)len;
	for (k = p->len; k < bits; k++)
		if (p->addr[k / 8] & 0x80 >> k % 8)
			return -EDOM;
	return 0;
}

char *lpm_prefix_format(const struct lpm_prefix *p, char *text)
{
	char addr[INET6_ADDRSTRLEN] = "";

	inet_ntop(p->family == P2P_IP6 ? AF_INET6 : AF_INET, p->addr, addr, sizeof(addr));
	snprintf(text, LPM_PREFIX_TEXT, "%.42s/%u", addr, p->len);
	return text;
}

struct reader {
	int (*fn)(void *arg, const struct lpm_list_line *l);
	void *arg;
	char *err;
	struct lpm_list_line line; /* location: of the block */
	bool open;
};

static int read_prefix(struct reader *r, const char *text, unsigned int line)
{
	const int rc = lpm_prefix_parse(text, &r->line.prefix);

	r->line.line = line;
	if (rc == -EDOM)
		snprintf(r->err, LPM_ERR_MAX, "line %u: '%.60s' has bits set behind the prefix; clear them", line, text);
	else if (rc)
		snprintf(r->err, LPM_ERR_MAX, "line %u: '%.60s' is no prefix, as 192.0.2.0/24 or 2001:db8::/32", line, text);
	return rc ? -EINVAL : 0;
}

static int read_plain(struct reader *r, char *text, unsigned int line)
{
	char *end;
	int rc;

	text[strcspn(text, "#\r\n")] = '\0';
	text += strspn(text, " \t");
	if (!*text)
		return 0;
	end = text + strcspn(text, " \t");
	r->line.rest = end + strspn(end, " \t");
	*end = '\0';
	rc = read_prefix(r, text, line);
	return rc ? rc : r->fn(r->arg, &r->line);
}

static int read_block(struct reader *r)
{
	if (!r->open)
		return 0;
	r->open = false;
	return r->fn(r->arg, &r->line);
}

static int read_location(struct reader *r, char *text, unsigned int line)
{
	char *value = strchr(text, ':'), *end;
	unsigned long as;
	int rc;

	text[strcspn(text, "\r\n")] = '\0';
	if (!*text)
		return read_block(r);
	if (*text == '#' || !value)
		return 0;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcmp(text, "net")) {
		rc = read_block(r);
		if (rc)
			return rc;
		r->line.as = 0;
		r->line.rest = "";
		r->open = true;
		return read_prefix(r, value, line);
	}
	if (strcmp(text, "aut-num") || !r->open)
		return 0;
	value += 2 * !strncmp(value, "AS", 2);
	as = strtoul(value, &end, 10);
	if (end == value || *end || as > UINT32_MAX) {
		snprintf(r->err, LPM_ERR_MAX, "line %u: '%.60s' is no AS number", line, value);
		return -EINVAL;
	}
	r->line.as = (uint32_t)as;
	return 0;
}

int lpm_list_read(FILE *f, enum lpm_list_format format, int (*fn)(void *arg, const struct lpm_list_line *l), void *arg,
		  char err[LPM_ERR_MAX])
{
	struct reader r = { .fn = fn, .arg = arg, .err = err };
	char text[LIST_LINE];
	unsigned int line = 0;
	int rc = 0;

	while (!rc && fgets(text, sizeof(text), f)) {
		line++;
		if (!strchr(text, '\n') && !feof(f)) {
			snprintf(err, LPM_ERR_MAX, "line %u is longer than %u characters; is it a list of prefixes?", line,
				 LIST_LINE - 2);
			return -EINVAL;
		}
		rc = format == LPM_LIST_PLAIN ? read_plain(&r, text, line) : read_location(&r, text, line);
	}
	if (!rc && ferror(f)) {
		snprintf(err, LPM_ERR_MAX, "reading failed behind line %u: %s", line, strerror(errno));
		return errno ? -errno : -EIO;
	}
	return rc ? rc : read_block(&r);
}

enum lpm_list_format lpm_list_guess(const char *begin, size_t size)
{
	static const char *const words[] = { "\naut-num:", "\nnet:" };
	char text[4096] = "\n";
	unsigned int k;

	if (size > sizeof(text) - 2)
		size = sizeof(text) - 2;
	memcpy(text + 1, begin, size);
	text[size + 1] = '\0';
	for (k = 0; k < P2P_ARRAY_SIZE(words); k++)
		if (strstr(text, words[k]))
			return LPM_LIST_LOCATION;
	return LPM_LIST_PLAIN;
}
