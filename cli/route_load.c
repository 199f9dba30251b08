/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "cli/route_load.h"

#define LOAD_BEGIN 4096 /* what the format is guessed from */

struct loading {
	struct plan *p;
	const struct route_source *s;
	struct route_left *left;
	char *err;
};

/* Where a line says that its prefix goes. */
struct aim {
	uint8_t type;      /* RTN_* */
	int kind;          /* enum fib_kind of a line of `route dump`, -1: it is none */
	unsigned int ways; /* of a dump: said to be */
	unsigned int n;    /* of them with a gateway */
	struct plan_way way[FIB_MAX_HOPS];
};

/* --- a line --- */

static int line_fail(const struct loading *l, const struct lpm_list_line *line, const char *what, const char *word)
{
	snprintf(l->err, CLI_ERR_MAX, "line %u: %.600s%s%.60s%s", line->line, what, *word ? " '" : "", word, *word ? "'" : "");
	return -EINVAL;
}

static int kind_of(const char *word)
{
	int k;

	for (k = 0; k < FIB_NUM_KINDS; k++)
		if (!strcmp(word, fib_kind_text((enum fib_kind)k)))
			return k;
	return -1;
}

static void aim_kind(struct aim *a, int kind)
{
	static const uint8_t types[FIB_NUM_KINDS] = {
		[FIB_BLACKHOLE] = RTN_BLACKHOLE, [FIB_UNREACHABLE] = RTN_UNREACHABLE, [FIB_PROHIBIT] = RTN_PROHIBIT,
	};

	a->kind = kind;
	if (kind >= 0)
		a->type = types[kind] ? types[kind] : RTN_UNICAST;
}

/* "via ADDRESS [dev IFNAME] [weight N]": text is behind `via`. */
static int aim_via(struct loading *l, const struct lpm_list_line *line, struct aim *a, const char *text)
{
	char addr[ROUTER_ADDR_TEXT] = "", word[32], value[32], why[CLI_ERR_MAX];
	struct plan_way *w = &a->way[a->n];
	unsigned int dev = 0;
	int at = 0, used, more;

	if (a->n == FIB_MAX_HOPS)
		return line_fail(l, line, "too many gateways", "");
	sscanf(text, "%45[^ \t,]%n", addr, &at);
	*w = (struct plan_way){ .weight = 1 };
	for (; sscanf(text + at, " %31[^ \t,]%n", word, &used) == 1; at += used) {
		if (strcmp(word, "dev") && strcmp(word, "weight"))
			continue;
		at += used;
		if (sscanf(text + at, " %31[^ \t,]%n", value, &more) != 1)
			return line_fail(l, line, "nothing behind", word);
		used = more;
		if (!strcmp(word, "dev"))
			dev = if_nametoindex(value);
		else
			w->weight = (uint16_t)strtoul(value, NULL, 10);
		if (!strcmp(word, "dev") ? !dev : !w->weight || w->weight > 256)
			return line_fail(l, line, !strcmp(word, "dev") ? "there is no interface" : "no weight from 1 to 256:", value);
	}
	if (plan_gateway(l->p, addr, dev, &w->gateway, why))
		return line_fail(l, line, why, "");
	a->n++;
	return 0;
}

/* What stands behind a prefix; words that mean nothing here are passed over. */
static int aim_line(struct loading *l, const struct lpm_list_line *line, struct aim *a)
{
	const char *text = line->rest ? line->rest : "", *end, *part;
	char word[16] = "";
	int rc = 0;

	*a = (struct aim){ .type = l->s->type, .kind = -1 };
	sscanf(text, "%15s", word);
	aim_kind(a, kind_of(word));
	for (part = text; !rc && *part; part = *end ? end + 1 : end) {
		end = part + strcspn(part, ",");
		a->ways++;
		text = strstr(part, "via ");
		if (text && text < end && (text == part || strchr(" \t", text[-1])))
			rc = aim_via(l, line, a, text + 4);
	}
	return rc;
}

/* A line of `route dump` that is no route to be given to the kernel is counted. */
static bool aim_left(struct loading *l, const struct router_prefix *p, const struct aim *a)
{
	const struct plan_gateway *g = a->n ? &l->p->gw[a->way[0].gateway] : NULL;
	enum route_dumped why;

	if (a->kind < 0 || a->type != RTN_UNICAST)
		return false;
	if (a->kind == FIB_LOCAL)
		why = ROUTE_DUMPED_LOCAL;
	else if (a->kind == FIB_GLEAN && !a->n)
		why = ROUTE_DUMPED_NETWORK;
	else if (g && p->len == router_family_bits(p->family) && g->family == p->family && router_addr_equal(g->addr, p->addr))
		why = ROUTE_DUMPED_NEIGHBOUR;
	else if (a->kind == FIB_PUNT || a->n != a->ways)
		why = ROUTE_DUMPED_KERNEL;
	else
		return false;
	l->left->dumped[why]++;
	return true;
}

/* One of those for all: the same for the same origin AS, or for the same beginning of the address. */
static bool aim_choose(const struct loading *l, const struct router_prefix *p, uint32_t as, struct aim *a)
{
	const uint64_t start = p->addr.hi >> (p->family == 4 ? 40 : 16);
	const uint32_t key = as ? as : (uint32_t)(start ^ start >> 12);
	uint32_t own[CLI_LIST_MAX];
	unsigned int i, n = 0;

	for (i = 0; i < l->s->gateways; i++)
		if (l->p->gw[l->s->gateway[i]].family == p->family)
			own[n++] = l->s->gateway[i];
	if (!n)
		return false;
	a->way[0] = (struct plan_way){ own[key % n], 1 };
	a->n = 1;
	return true;
}

static int load_line(void *arg, const struct lpm_list_line *line)
{
	struct loading *l = arg;
	struct router_prefix p = { .family = line->prefix.family == P2P_IP4 ? 4 : 6, .len = line->prefix.len };
	char why[CLI_ERR_MAX];
	struct aim a;
	int rc;

	if (l->s->limit && l->p->routes == l->s->limit)
		return 1;
	p.addr = router_addr_load(p.family, line->prefix.addr);
	rc = aim_line(l, line, &a);
	if (rc || aim_left(l, &p, &a))
		return rc;
	if (!a.n && l->s->gateways && a.type == RTN_UNICAST) {
		if (!aim_choose(l, &p, line->as, &a)) {
			l->left->family[p.family == 6]++;
			return 0;
		}
	} else if (!a.n && a.type == RTN_UNICAST && !l->s->aimed) {
		snprintf(l->err, CLI_ERR_MAX, "line %u names no gateway; write `via ADDRESS` behind the prefix, or give --via, --dev"
			 " or --type", line->line);
		return -EINVAL;
	} else if (a.n && a.type != RTN_UNICAST) {
		return line_fail(l, line, "a route of this type has no gateway", "");
	}
	return plan_add(l->p, &p, a.type, a.way, a.n, why) ? line_fail(l, line, why, "") : 0;
}

/* --- the whole --- */

/* A stream that can't be wound back, with what was read of it to see what it is. */
struct peeked {
	FILE *f;
	char begin[LOAD_BEGIN];
	size_t n, at;
};

static ssize_t peeked_read(void *cookie, char *buf, size_t size)
{
	struct peeked *k = cookie;

	if (k->at == k->n) {
		size = fread(buf, 1, size, k->f);
		return ferror(k->f) ? -1 : (ssize_t)size;
	}
	size = size < k->n - k->at ? size : k->n - k->at;
	memcpy(buf, k->begin + k->at, size);
	k->at += size;
	return (ssize_t)size;
}

static int load_stream(struct loading *l, FILE *from, char why[LPM_ERR_MAX])
{
	static struct peeked k;
	enum lpm_list_format format;
	FILE *f;
	int rc;

	k = (struct peeked){ .f = from };
	k.n = fread(k.begin, 1, sizeof(k.begin), from);
	format = l->s->format < 0 ? lpm_list_guess(k.begin, k.n) : (enum lpm_list_format)l->s->format;
	if (l->s->format < 0 && k.n && strchr("{[", *k.begin)) {
		snprintf(l->err, CLI_ERR_MAX, "this is JSON; load takes text: prefixes, `location dump`, or `route dump` without --json");
		return -EINVAL;
	}
	f = fopencookie(&k, "r", (cookie_io_functions_t){ .read = peeked_read });
	if (!f)
		return -ENOMEM;
	rc = lpm_list_read(f, format, load_line, l, why);
	fclose(f);
	return rc;
}

int route_load_list(struct plan *p, const struct route_source *s, struct route_left *left, char err[CLI_ERR_MAX])
{
	struct loading l = { .p = p, .s = s, .left = left, .err = err };
	FILE *f = strcmp(s->path, "-") ? fopen(s->path, "re") : stdin;
	const char *name = f == stdin ? "standard input" : s->path;
	char why[LPM_ERR_MAX] = "";
	uint64_t all = 0;
	unsigned int i;
	int rc;

	*left = (struct route_left){ 0 };
	*err = '\0';
	if (!f) {
		snprintf(err, CLI_ERR_MAX, "%.200s: %s", s->path, strerror(errno));
		return -ENOENT;
	}
	rc = load_stream(&l, f, why);
	if (f != stdin)
		fclose(f);
	if (rc < 0 && !*err)
		snprintf(err, CLI_ERR_MAX, "%.100s: %s%s", name, *why ? why : strerror(-rc), s->format < 0 && *why ?
			 " (format as the text looks; --format says it)" : "");
	for (i = 0; i < ROUTE_DUMPED_N; i++)
		all += left->dumped[i];
	if (rc < 0 || p->routes || all || left->family[0] + left->family[1])
		return rc < 0 ? rc : 0;
	snprintf(err, CLI_ERR_MAX, "%.200s has no prefix", name);
	return -EINVAL;
}

bool route_left_text(const struct route_left *left, char err[CLI_ERR_MAX])
{
	const unsigned long long four = left->family[0], six = left->family[1];

	if (!four && !six)
		return false;
	snprintf(err, CLI_ERR_MAX, "%llu %s prefix%s left out: no --via is %s address and their lines name no gateway; give one of each"
		 " family", four + six, !six ? "IPv4" : !four ? "IPv6" : "IP", four + six == 1 ? " was" : "es were",
		 six ? "an IPv6" : "an IPv4");
	return true;
}
