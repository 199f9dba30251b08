/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "result.h"

#define X(name, text) text,
const char *const exp_res_kinds[EXP_NUM_RES_KINDS] = { EXP_RES_KINDS(X) };
#undef X

#define RESULT_MAX_ITEMS 8192 /* of resources or ports in a line that is read */

int exp_result_alloc(struct exp_result *r, unsigned int res, unsigned int ports)
{
	r->res = calloc(res + 1, sizeof(*r->res));
	r->port = calloc(ports + 1, sizeof(*r->port));
	r->num_res = r->num_ports = 0;
	if (r->res && r->port)
		return 0;
	exp_result_free(r);
	return -ENOMEM;
}

void exp_result_free(struct exp_result *r)
{
	free(r->res);
	free(r->port);
	r->res = NULL;
	r->port = NULL;
	r->num_res = r->num_ports = 0;
}

static const struct exp_resource *busier(const struct exp_resource *a, const struct exp_resource *b)
{
	return !a || b->use > a->use ? b : a;
}

static bool saturated(const struct exp_resource *r)
{
	return r && r->use >= EXP_SATURATED;
}

const struct exp_resource *exp_result_busiest(const struct exp_result *r)
{
	const struct exp_resource *mac = NULL, *flight = NULL, *rate = NULL;
	bool all_macs = true;
	unsigned int k;

	for (k = 0; k < r->num_res; k++) {
		const struct exp_resource *res = &r->res[k];

		if (res->source)
			continue;
		if (res->kind == EXP_RES_MAC) {
			mac = busier(mac, res);
			all_macs = all_macs && saturated(res);
		} else if (res->kind == EXP_RES_FLIGHT) {
			flight = busier(flight, res);
		} else {
			rate = busier(rate, res);
		}
	}
	if (r->gbps < EXP_FULL_RATE * r->offered_gbps) {
		if (saturated(mac) && all_macs)
			return mac;
		if (saturated(rate))
			return rate;
		if (saturated(flight))
			return flight;
	}
	return mac && rate ? busier(rate, mac) : mac ? mac : rate;
}

void exp_resource_print(const struct exp_resource *r, char text[96])
{
	snprintf(text, 96, "%s (%s)", r->name, exp_res_kinds[r->kind]);
}

/* Names have no blanks but the ones below: fields are separated by tabs. */
int exp_result_write(const struct exp_result *r, FILE *f)
{
	unsigned int k;

#define X(name, desc) fprintf(f, "%.17g\t", r->name);
	EXP_RESULTS(X)
#undef X
	for (k = 0; k < P2P_NUM_DROPS; k++)
		fprintf(f, "%.17g\t", r->drops[k]);
	for (k = 0; k < EXP_CDF_POINTS; k++)
		fprintf(f, "%" PRIu32 "\t", r->cdf_ns[k]);
	fprintf(f, "%u\t", r->num_res);
	for (k = 0; k < r->num_res; k++)
		fprintf(f, "%s\t%d\t%d\t%.17g\t", r->res[k].name, (int)r->res[k].kind, (int)r->res[k].source,
			r->res[k].use);
	fprintf(f, "%u\t", r->num_ports);
	for (k = 0; k < r->num_ports; k++)
		fprintf(f, "%s\t%.17g\t%.17g\t%.17g\t%.17g\t%.17g\t", r->port[k].name, r->port[k].offered_mpps,
			r->port[k].offered_gbps, r->port[k].missed, r->port[k].mpps, r->port[k].gbps);
	fputs("end\n", f);
	return ferror(f) ? -EIO : 0;
}

struct parser {
	const char *at;
	bool bad;
};

static void parse_text(struct parser *p, char *to, size_t size)
{
	size_t len = strcspn(p->at, "\t\n");

	if (p->bad || p->at[len] != '\t' || len >= size) {
		p->bad = true;
		*to = '\0';
		return;
	}
	memcpy(to, p->at, len);
	to[len] = '\0';
	p->at += len + 1;
}

static double parse_number(struct parser *p)
{
	char text[64], *end;
	double v;

	parse_text(p, text, sizeof(text));
	v = strtod(text, &end);
	if (!*text || *end)
		p->bad = true;
	return p->bad ? 0 : v;
}

static unsigned int parse_count(struct parser *p)
{
	double v = parse_number(p);

	if (v < 0 || v > RESULT_MAX_ITEMS)
		p->bad = true;
	return p->bad ? 0 : (unsigned int)v;
}

int exp_result_parse(struct exp_result *r, const char *line)
{
	struct parser p = { .at = line };
	unsigned int k, n;

	memset(r, 0, sizeof(*r));
#define X(name, desc) r->name = parse_number(&p);
	EXP_RESULTS(X)
#undef X
	for (k = 0; k < P2P_NUM_DROPS; k++)
		r->drops[k] = parse_number(&p);
	for (k = 0; k < EXP_CDF_POINTS; k++)
		r->cdf_ns[k] = (uint32_t)parse_number(&p);
	n = parse_count(&p);
	r->res = calloc(n + 1, sizeof(*r->res));
	if (!r->res)
		return -ENOMEM;
	for (k = 0; k < n && !p.bad; k++, r->num_res++) {
		parse_text(&p, r->res[k].name, sizeof(r->res[k].name));
		r->res[k].kind = (enum exp_res_kind)(parse_count(&p) % EXP_NUM_RES_KINDS);
		r->res[k].source = parse_count(&p) != 0;
		r->res[k].use = parse_number(&p);
	}
	n = parse_count(&p);
	r->port = calloc(n + 1, sizeof(*r->port));
	if (!r->port) {
		exp_result_free(r);
		return -ENOMEM;
	}
	for (k = 0; k < n && !p.bad; k++, r->num_ports++) {
		parse_text(&p, r->port[k].name, sizeof(r->port[k].name));
		r->port[k].offered_mpps = parse_number(&p);
		r->port[k].offered_gbps = parse_number(&p);
		r->port[k].missed = parse_number(&p);
		r->port[k].mpps = parse_number(&p);
		r->port[k].gbps = parse_number(&p);
	}
	if (p.bad || strncmp(p.at, "end", 3) || (p.at[3] && p.at[3] != '\n')) {
		exp_result_free(r);
		return -EINVAL;
	}
	return 0;
}
