/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers to questions that come to a router's socket (askers.c), in JSON.
 *   counts                        one object
 *   routes | nexthops | neighbours   an object a line
 *   get ADDRESS                   one object
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/neighbour.h>

#include "router/router_int.h"

struct answer {
	struct router *r;
	FILE *f;
};

static void put_mac(FILE *f, const uint8_t mac[6])
{
	fprintf(f, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static const char *tap_of(const struct router *r, unsigned int nic, unsigned int port)
{
	return nic < P2P_MAX_NICS && port < P2P_MAX_PORTS && r->by_port[nic][port] >= 0 ? r->port[r->by_port[nic][port]].tap.name : "";
}

/* "kind":...,"ways":[...] */
static void put_out(struct answer *a, const struct fib_out *out)
{
	char text[ROUTER_ADDR_TEXT];
	const struct fib_way *w;
	unsigned int i;

	fprintf(a->f, "\"kind\":\"%s\",\"ways\":[", fib_kind_text(out->kind));
	for (i = 0; i < out->n; i++) {
		w = &out->way[i];
		fprintf(a->f, "%s{", i ? "," : "");
		if (w->family)
			fprintf(a->f, "\"via\":\"%s\",", router_addr_text(w->gateway, w->family, text));
		if (w->punt) {
			fprintf(a->f, "\"weight\":%u,\"kernel\":true}", w->weight);
			continue;
		}
		fprintf(a->f, "\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"mtu\":%" PRIu32 ",\"weight\":%u", tap_of(a->r, w->nic, w->port),
			a->r->name[w->nic] ? a->r->name[w->nic] : "", w->port, w->mtu, w->weight);
		if (out->kind == FIB_FORWARD) {
			fprintf(a->f, ",\"mac\":");
			put_mac(a->f, w->dst_mac);
		}
		fputc('}', a->f);
	}
	fputc(']', a->f);
}

static void put_prefix(void *ctx, const struct router_prefix *p, uint32_t hop, const struct fib_out *out, uint8_t protocol,
		       uint32_t metric)
{
	struct answer *a = ctx;
	char text[ROUTER_PREFIX_TEXT];

	fprintf(a->f, "{\"prefix\":\"%s\",\"hop\":%" PRIu32 ",\"protocol\":%u,\"metric\":%" PRIu32 ",", router_prefix_text(p, text),
		area_hop_index(a->r->area, hop), protocol, metric);
	put_out(a, out);
	fputs("}\n", a->f);
}

static void put_hop(void *ctx, uint32_t hop, const struct fib_out *out, size_t prefixes)
{
	uint64_t packets, bytes;
	struct answer *a = ctx;

	area_hop_packets(a->r->area, hop, &packets, &bytes);
	fprintf(a->f, "{\"hop\":%" PRIu32 ",\"prefixes\":%zu,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",",
		area_hop_index(a->r->area, hop), prefixes, packets, bytes);
	put_out(a, out);
	fputs("}\n", a->f);
}

static const char *nud_text(uint16_t state)
{
	static const struct { uint16_t bit; const char *text; } states[] = {
		{ NUD_PERMANENT, "permanent" }, { NUD_NOARP, "noarp" }, { NUD_REACHABLE, "reachable" }, { NUD_STALE, "stale" },
		{ NUD_DELAY, "delay" }, { NUD_PROBE, "probe" }, { NUD_INCOMPLETE, "incomplete" }, { NUD_FAILED, "failed" },
	};
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(states); i++)
		if (state & states[i].bit)
			return states[i].text;
	return "none";
}

static void put_neigh(void *ctx, const struct fib_neigh *n, const char *ifname, int nic, unsigned int port)
{
	struct answer *a = ctx;
	char text[ROUTER_ADDR_TEXT];

	fprintf(a->f, "{\"address\":\"%s\",\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"state\":\"%s\",\"mac\":",
		router_addr_text(n->addr, n->family, text), ifname, a->r->name[nic] ? a->r->name[nic] : "", port, nud_text(n->state));
	put_mac(a->f, n->mac);
	fputs("}\n", a->f);
}

static void put_frames(struct answer *a)
{
	const struct router *r = a->r;
	const struct router_port *p;
	unsigned int i;

	fputs(",\"ports\":[", a->f);
	for (i = 0; i < r->ports; i++) {
		p = &r->port[i];
		fprintf(a->f, "%s{\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"carrier\":%s,\"to_kernel\":%" PRIu64 ",\"to_nic\":%" PRIu64
			",\"refused\":%" PRIu64 "}", i ? "," : "", p->tap.name, r->name[p->nic] ? r->name[p->nic] : "", p->port,
			p->tap.carrier ? "true" : "false", p2p_count_read(&p->to_kernel), p2p_count_read(&p->to_nic),
			p2p_count_read(&p->refused));
	}
	fputc(']', a->f);
}

static void put_counts(struct answer *a)
{
	struct kernel_counts k;
	struct area_counts ac;
	struct fib_counts c;

	fib_counts(a->r->fib, &c);
	kernel_counts(a->r->kernel, &k);
	area_counts(a->r->area, &ac);
	fprintf(a->f, "{\"routes\":{\"ipv4\":%zu,\"ipv6\":%zu},\"prefixes\":{\"ipv4\":%zu,\"ipv6\":%zu},\"unplaced\":%zu,\"nexthops\":%zu"
		",\"neighbours\":%zu,\"objects\":%zu", c.routes[0], c.routes[1], c.prefixes[0], c.prefixes[1], c.unplaced, c.hops,
		c.neighbours, c.objects);
	fprintf(a->f, ",\"hop_indexes\":%" PRIu32 ",\"hop_indexes_max\":%" PRIu32 ",\"table_bytes\":%" PRIu64 ",\"room_bytes\":%" PRIu64
		",\"retired\":%" PRIu64 ",\"error\":%d"
		",\"nics_lost\":%u", ac.hops, ac.hops_max, ac.table_bytes, ac.room_bytes, ac.retired, ac.error, ac.abandoned);
	fprintf(a->f, ",\"events\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"syncs\":%" PRIu64 ",\"sync_due\":%s,\"not_understood\":%" PRIu64
		",\"policy_rules\":%u,\"adopted\":%u", k.events, k.overruns, k.syncs, k.due ? "true" : "false", k.refused, k.policy,
		a->r->adopted);
	put_frames(a);
	fputs("}\n", a->f);
}

static void put_get(struct answer *a, const char *text)
{
	char prefix[ROUTER_PREFIX_TEXT];
	struct router_prefix p;
	struct router_addr addr;
	unsigned int family, i;
	uint32_t hop, index;
	struct fib_out out;

	if (!router_addr_parse(text, &family, &addr)) {
		fprintf(a->f, "{\"error\":\"that is no address\"}\n");
		return;
	}
	if (!fib_get(a->r->fib, family, addr, &p, &hop, &out)) {
		fprintf(a->f, "{\"kind\":\"no-route\",\"ways\":[]");
	} else {
		fprintf(a->f, "{\"prefix\":\"%s\",\"hop\":%" PRIu32 ",", router_prefix_text(&p, prefix), area_hop_index(a->r->area, hop));
		put_out(a, &out);
	}
	fputs(",\"nics\":[", a->f);
	for (i = 0; i < a->r->drv->n; i++)
		if (!area_lookup(a->r->area, i, family, addr, &index))
			fprintf(a->f, "%s{\"nic\":\"%s\",\"hop\":%" PRIu32 "}", i ? "," : "", a->r->opts.nic_name[i], index);
	fputs("]}\n", a->f);
}

bool router_answer_is_table(const char *question)
{
	return !strcmp(question, "routes") || !strcmp(question, "nexthops") || !strcmp(question, "neighbours");
}

static void answer_question(struct answer *a, const char *line)
{
	if (!strcmp(line, "counts"))
		put_counts(a);
	else if (!strcmp(line, "routes"))
		fib_each_prefix(a->r->fib, put_prefix, a);
	else if (!strcmp(line, "nexthops"))
		fib_each_hop(a->r->fib, put_hop, a);
	else if (!strcmp(line, "neighbours"))
		fib_each_neigh(a->r->fib, put_neigh, a);
	else if (!strncmp(line, "get ", 4))
		put_get(a, line + 4);
	else
		fputs("{\"error\":\"no such question\"}\n", a->f);
}

int router_answer(struct router *r, const char *question, char **text, size_t *len)
{
	struct answer a = { .r = r };

	*text = NULL;
	a.f = open_memstream(text, len);
	if (!a.f)
		return -ENOMEM;
	answer_question(&a, question);
	if (!fclose(a.f))
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}
