/* SPDX-License-Identifier: BSD-3-Clause */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <p2pnic/types.h>

#define ALL_KINDS ((1u << FAULT_NUM_KINDS) - 1)
#define AS_BOARD 1u
#define NS_DEFAULT 100000u
#define NS_MAX 1000000000000ull

static const char *const what_names[] = {
#define X(name, text) text,
	FAULT_WHATS(X)
#undef X
};

struct target {
	const char *name;
	uint32_t on;
	bool reads, writes;
};
static const struct target targets[] = {
	{ "payload", 1u << FAULT_ON_PAYLOAD, true, true },
	{ "desc", 1u << FAULT_ON_DESC, true, true },
	{ "completion", 1u << FAULT_ON_COMPLETION, true, true },
	{ "control", 1u << FAULT_ON_CONTROL, true, true },
	{ "beat", 1u << FAULT_ON_BEAT, true, true },
	{ "read", ALL_KINDS, true, false },
	{ "write", ALL_KINDS, false, true },
	{ "dma", ALL_KINDS, true, true },
	{ "bell", 1u << FAULT_ON_BELL, true, true },
	{ "nic", 1u << FAULT_ON_NIC, true, true },
	{ "port", 1u << FAULT_ON_PORT, true, true },
	{ "memory", 1u << FAULT_ON_MEMORY, true, true },
};

/* What each fault may happen to. */
static const uint32_t happens_to[FAULT_NUM_WHATS] = {
	[FAULT_DROP] = ALL_KINDS | 1u << FAULT_ON_BELL,
	[FAULT_DELAY] = ALL_KINDS | 1u << FAULT_ON_BELL,
	[FAULT_DUP] = ALL_KINDS,
	[FAULT_TRUNCATE] = ALL_KINDS,
	[FAULT_FLIP] = ALL_KINDS,
	[FAULT_STALL] = 1u << FAULT_ON_NIC,
	[FAULT_CLOCK] = 1u << FAULT_ON_NIC,
	[FAULT_LINK] = 1u << FAULT_ON_PORT,
	[FAULT_SLOW] = 1u << FAULT_ON_PORT,
	[FAULT_FAIL] = 1u << FAULT_ON_MEMORY,
};

__attribute__((format(printf, 2, 3))) static int fail(char err[FAULT_ERR_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, FAULT_ERR_MAX, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint32_t below(struct fault_rule *r, uint32_t n)
{
	return (uint32_t)((next_random(&r->random) >> 32) * n >> 32);
}

/* Digits, then k, m or g; false: no such number up to max. */
static bool number(const char *text, uint64_t max, uint64_t *v)
{
	uint64_t scale = 1;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*v = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end == 'k')
		scale = 1000;
	else if (*end == 'm')
		scale = 1000000;
	else if (*end == 'g')
		scale = 1000000000;
	if (scale > 1)
		end++;
	if (*end || *v > max / scale)
		return false;
	*v *= scale;
	return true;
}

static int parse_rate(struct fault_rule *r, const char *text, char err[FAULT_ERR_MAX])
{
	uint64_t every;
	double share;
	char *end;

	if (!strncmp(text, "1/", 2)) {
		if (!number(text + 2, UINT32_MAX, &every) || !every)
			return fail(err, "fault rule: '%s' is no rate: 1/N with N from 1 on", text);
		r->every = (uint32_t)every;
		return 0;
	}
	share = *text >= '0' && *text <= '9' ? strtod(text, &end) : -1;
	if (!(share >= 0 && share <= 1) || *end)
		return fail(err, "fault rule: '%s' is no rate: a number from 0 to 1, or 1/N", text);
	r->chance = (uint64_t)(share * 4294967296.0);
	return 0;
}

static int parse_option(struct fault_rule *r, const char *text, char err[FAULT_ERR_MAX])
{
	bool cuts = r->what == FAULT_DROP || r->what == FAULT_TRUNCATE;
	uint64_t v;

	if (!strncmp(text, "seed=", 5) && number(text + 5, UINT64_MAX, &r->random))
		return 0;
	if (!strncmp(text, "ns=", 3) && number(text + 3, NS_MAX, &r->ns))
		return 0;
	if (!strncmp(text, "count=", 6) && number(text + 6, UINT64_MAX, &r->count) && r->count)
		return 0;
	if (!strcmp(text, "local") && r->on & ALL_KINDS) {
		r->local = true;
		return 0;
	}
	if (!strcmp(text, "part") && cuts) {
		r->bytes = AS_BOARD;
		return 0;
	}
	if (!strncmp(text, "bytes=", 6) && cuts && number(text + 6, 4096, &v) && v >= 4 && !(v & (v - 1))) {
		r->bytes = (uint32_t)v;
		return 0;
	}
	if (!strncmp(text, "bit=", 4) && r->what == FAULT_FLIP && number(text + 4, 1 << 20, &v)) {
		r->bit = (uint32_t)v + 1;
		return 0;
	}
	return fail(err, "fault rule: '%s' is no option here: seed=N, ns=N, count=N, local; for drop and truncate part or bytes=N;"
			 " for flip bit=N", text);
}

int fault_add(struct fault_set *s, const char *rule, char err[FAULT_ERR_MAX])
{
	struct fault_rule r = { .random = 1 };
	char text[128], *at = text, *what, *on, *word;
	unsigned int k;
	int e;

	if (s->n == FAULT_RULES_MAX) {
		fail(err, "fault rule: %d at most", FAULT_RULES_MAX);
		return -E2BIG;
	}
	if (strlen(rule) >= sizeof(text))
		return fail(err, "fault rule: longer than %zu bytes", sizeof(text) - 1);
	strcpy(text, rule);
	what = strsep(&at, ":");
	on = at ? strsep(&at, ":") : NULL;
	if (!on || !at)
		return fail(err, "fault rule: '%.60s' is not FAULT:TARGET:RATE[,OPTION...], as drop:desc:1e-3,seed=7", rule);
	for (k = 0; k < FAULT_NUM_WHATS && strcmp(what, what_names[k]); k++)
		;
	if (k == FAULT_NUM_WHATS)
		return fail(err, "fault rule: there is no fault '%.40s':"
			    " drop, delay, dup, truncate, flip, stall, clock, link, slow, fail", what);
	r.what = (enum fault_what)k;
	for (k = 0; k < sizeof(targets) / sizeof(targets[0]) && strcmp(on, targets[k].name); k++)
		;
	if (k == sizeof(targets) / sizeof(targets[0]))
		return fail(err, "fault rule: there is no target '%.40s':"
			    " payload, desc, completion, control, beat, read, write, dma, bell, nic, port, memory", on);
	if (targets[k].on & ~happens_to[r.what])
		return fail(err, "fault rule: %s does not happen to %s", what, on);
	r.on = targets[k].on;
	r.reads = targets[k].reads;
	r.writes = targets[k].writes;
	r.ns = r.what == FAULT_DUP ? 0 : NS_DEFAULT;
	e = parse_rate(&r, (word = strsep(&at, ",")), err);
	while (!e && (word = strsep(&at, ",")))
		e = parse_option(&r, word, err);
	if (!e)
		s->rule[s->n++] = r;
	return e;
}

void fault_set_seed(struct fault_set *s, uint64_t who)
{
	for (unsigned int k = 0; k < s->n; k++) {
		s->rule[k].seen = s->rule[k].hits = 0;
		s->rule[k].random ^= next_random(&who);
	}
}

uint64_t fault_hits(const struct fault_set *s)
{
	uint64_t hits = 0;

	for (unsigned int k = 0; k < s->n; k++)
		hits += p2p_count_read(&s->rule[k].hits);
	return hits;
}

bool fault_has(const struct fault_set *s, enum fault_what what)
{
	for (unsigned int k = 0; k < s->n; k++)
		if (s->rule[k].what == what)
			return true;
	return false;
}

bool fault_has_local(const struct fault_set *s)
{
	for (unsigned int k = 0; k < s->n; k++)
		if (s->rule[k].local)
			return true;
	return false;
}

static bool strikes(struct fault_rule *r)
{
	r->seen++;
	if (r->every ? r->seen % r->every != 0 : next_random(&r->random) >> 32 >= r->chance)
		return false;
	if (r->count && r->hits == r->count)
		return false;
	p2p_count(&r->hits, 1);
	return true;
}

/* One unit of it, cut by addresses as the fabric cuts. */
static void lose_unit(struct fault_rule *r, const struct fault_dma *d, uint32_t unit, struct fault_hit *hit)
{
	uint32_t lead = (uint32_t)(d->addr & (unit - 1)), units = (lead + d->len + unit - 1) / unit, u = below(r, units);

	hit->hole = u * unit > lead ? u * unit - lead : 0;
	hit->hole_len = (u + 1) * unit - lead - hit->hole;
	if (hit->hole_len > d->len - hit->hole)
		hit->hole_len = d->len - hit->hole;
}

static void cut(struct fault_rule *r, const struct fault_dma *d, uint32_t unit, struct fault_hit *hit)
{
	uint32_t lead = (uint32_t)(d->addr & (unit - 1)), units = (lead + d->len + unit - 1) / unit, keep = below(r, units) * unit;

	hit->hole = keep > lead ? keep - lead : 0;
	hit->hole_len = d->len - hit->hole;
}

static void befall(struct fault_rule *r, const struct fault_dma *d, struct fault_hit *hit)
{
	uint32_t unit = r->bytes == AS_BOARD ? d->unit : r->bytes;

	switch (r->what) {
	case FAULT_DROP:
		if (unit)
			lose_unit(r, d, unit, hit);
		else
			hit->hole = 0, hit->hole_len = d->len;
		break;
	case FAULT_TRUNCATE:
		cut(r, d, unit ? unit : 4, hit);
		break;
	case FAULT_FLIP:
		hit->flip = r->bit ? r->bit : 1 + below(r, 8 * d->len);
		break;
	case FAULT_DELAY:
		hit->delay_ns += r->ns;
		break;
	case FAULT_DUP:
		hit->dup = true;
		hit->dup_ns = r->ns;
		break;
	default:
		break;
	}
}

bool fault_dma(struct fault_set *s, const struct fault_dma *d, struct fault_hit *hit)
{
	bool any = false;

	memset(hit, 0, sizeof(*hit));
	for (unsigned int k = 0; k < s->n; k++) {
		struct fault_rule *r = &s->rule[k];

		if (!(r->on >> d->kind & 1) || !(d->read ? r->reads : r->writes) || (d->local && !r->local) || !d->len || !strikes(r))
			continue;
		befall(r, d, hit);
		any = true;
	}
	return any;
}

uint64_t fault_now(struct fault_set *s, enum fault_what what, enum fault_on on)
{
	uint64_t ns = 0;

	for (unsigned int k = 0; k < s->n; k++)
		if (s->rule[k].what == what && s->rule[k].on >> on & 1 && strikes(&s->rule[k]))
			ns += s->rule[k].ns ? s->rule[k].ns : 1;
	return ns;
}

void fault_move(const struct fault_hit *hit, uint8_t *dst, const uint8_t *src, uint32_t from, uint32_t to)
{
	uint32_t a = hit->hole, z = hit->hole + hit->hole_len, bit = hit->flip - 1;

	if (!hit->hole_len || a >= to || z <= from) {
		memcpy(dst + from, src + from, to - from);
	} else {
		if (a > from)
			memcpy(dst + from, src + from, a - from);
		if (z < to)
			memcpy(dst + z, src + z, to - z);
	}
	if (hit->flip && bit / 8 >= from && bit / 8 < to && !(bit / 8 >= a && bit / 8 < z))
		dst[bit / 8] ^= (uint8_t)(1u << bit % 8);
}
