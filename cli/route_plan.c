/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "cli/route_plan.h"
#include "lpm/lpm.h"

#define PLAN_DEPTH 16 /* gateways that lead to gateways */

/* --- the kernel --- */

static int view_hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	return 0;
}

static void view_hop_del(void *ctx, uint32_t hop) {}

static int view_route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	return 0;
}

static int view_route_del(void *ctx, const struct router_prefix *p)
{
	return 0;
}

static const struct fib_sink view_sink = { view_hop_set, view_hop_del, view_route_set, view_route_del, NULL };

static int view_ports(struct fib *fib)
{
	struct if_nameindex *all = if_nameindex(), *i;
	int rc = all ? 0 : -errno;

	for (i = all; !rc && i && i->if_index; i++)
		if (strcmp(i->if_name, "lo"))
			rc = fib_port(fib, i->if_index, 0, 0);
	if (all)
		if_freenameindex(all);
	return rc;
}

int kernel_view_open(struct kernel_view *v, char err[CLI_ERR_MAX])
{
	const struct kernel_opts o = { 0 };
	char why[KERNEL_ERR_MAX] = "out of memory";
	int rc;

	*v = (struct kernel_view){ 0 };
	rc = fib_create(&v->fib, &view_sink, NULL);
	if (!rc)
		rc = view_ports(v->fib);
	if (!rc)
		rc = kernel_open(&v->kernel, v->fib, &o, why);
	if (!rc)
		rc = kernel_sync(v->kernel, why);
	if (!rc)
		return 0;
	snprintf(err, CLI_ERR_MAX, "%s", why);
	kernel_view_close(v);
	return rc;
}

void kernel_view_close(struct kernel_view *v)
{
	kernel_close(v->kernel);
	fib_destroy(v->fib);
	*v = (struct kernel_view){ 0 };
}

/* --- prefixes and gateways --- */

int plan_prefix(const char *text, struct router_prefix *p, char err[CLI_ERR_MAX])
{
	char want[ROUTER_PREFIX_TEXT];
	struct lpm_prefix lp;
	int rc = lpm_prefix_parse(text, &lp);

	if (rc == -EINVAL) {
		snprintf(err, CLI_ERR_MAX, "'%.80s' is no prefix; give ADDRESS/LENGTH, as 192.0.2.0/24 or 2001:db8::/32", text);
		return rc;
	}
	*p = (struct router_prefix){ .family = lp.family == P2P_IP4 ? 4 : 6, .len = lp.len };
	p->addr = router_addr_load(p->family, lp.addr);
	if (!rc)
		return 0;
	p->addr = router_addr_mask(p->addr, p->len);
	snprintf(err, CLI_ERR_MAX, "%.80s has bits set behind its length; the network is %s", text, router_prefix_text(p, want));
	return -EINVAL;
}

struct over_node {
	struct trie_node t;
	size_t route;
};

void plan_init(struct plan *p)
{
	memset(p, 0, sizeof(*p));
	trie_init(&p->over[0], sizeof(struct over_node));
	trie_init(&p->over[1], sizeof(struct over_node));
}

int plan_open(struct plan *p, const char *dev, bool resolve, char err[CLI_ERR_MAX])
{
	plan_init(p);
	p->resolve = resolve;
	if (dev) {
		p->dev = if_nametoindex(dev);
		if (!p->dev) {
			snprintf(err, CLI_ERR_MAX, "--dev %.80s: there is no such interface here", dev);
			return -ENODEV;
		}
	}
	return kernel_view_open(&p->view, err);
}

void plan_close(struct plan *p)
{
	kernel_view_close(&p->view);
	trie_free(&p->over[0]);
	trie_free(&p->over[1]);
	free(p->gw);
	free(p->route);
	free(p->list);
}

/* Room for one more of an array. */
static int room(void **array, size_t used, size_t *size, size_t each)
{
	size_t want = *size ? *size * 2 : 256;
	void *more;

	if (used < *size)
		return 0;
	more = realloc(*array, want * each);
	if (!more)
		return -ENOMEM;
	*array = more;
	*size = want;
	return 0;
}

static int plan_memory(char err[CLI_ERR_MAX])
{
	snprintf(err, CLI_ERR_MAX, "out of memory");
	return -ENOMEM;
}

int plan_gateway(struct plan *p, const char *text, uint32_t dev, uint32_t *number, char err[CLI_ERR_MAX])
{
	struct plan_gateway g = { .dev = dev };
	size_t i;

	if (!router_addr_parse(text, &g.family, &g.addr)) {
		snprintf(err, CLI_ERR_MAX, "'%.80s' is no address of a gateway", text);
		return -EINVAL;
	}
	for (i = 0; i < p->gws; i++) {
		if (p->gw[i].family == g.family && p->gw[i].dev == dev && router_addr_equal(p->gw[i].addr, g.addr)) {
			*number = (uint32_t)i;
			return 0;
		}
	}
	if (room((void **)&p->gw, p->gws, &p->gw_room, sizeof(*p->gw)))
		return plan_memory(err);
	*number = (uint32_t)p->gws;
	p->gw[p->gws++] = g;
	return 0;
}

int plan_add(struct plan *p, const struct router_prefix *prefix, uint8_t type, const struct plan_way *way, uint32_t n,
	     char err[CLI_ERR_MAX])
{
	struct over_node *over;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (p->gw[way[i].gateway].family == 4 && prefix->family == 6) {
			snprintf(err, CLI_ERR_MAX, "an IPv6 prefix can't have an IPv4 gateway");
			return -EINVAL;
		}
		if (room((void **)&p->list, p->listed + i, &p->list_room, sizeof(*p->list)))
			return plan_memory(err);
		p->list[p->listed + i] = way[i];
	}
	if (room((void **)&p->route, p->routes, &p->room, sizeof(*p->route)))
		return plan_memory(err);
	over = p->resolve || p->routes < 64 ? (struct over_node *)trie_get(&p->over[prefix->family == 6], prefix->addr, prefix->len) : NULL;
	if (over)
		over->route = p->routes;
	p->route[p->routes++] = (struct plan_route){ *prefix, type, (uint32_t)p->listed, n };
	p->listed += n;
	return 0;
}

/* --- where gateways are --- */

static int gateway_fail(int rc, const struct plan_gateway *g, char err[CLI_ERR_MAX], const char *what)
{
	char text[ROUTER_ADDR_TEXT];

	snprintf(err, CLI_ERR_MAX, "gateway %s %s", router_addr_text(g->addr, g->family, text), what);
	return rc;
}

/* What leads to an address: a route of the plan, or what the kernel has. */
static int step(struct plan *p, const struct plan_gateway *g, unsigned int family, struct router_addr *a, bool *there,
		struct writer_hop *hop, char err[CLI_ERR_MAX])
{
	char what[200], prefix[ROUTER_PREFIX_TEXT];
	struct trie_node *over = trie_match(&p->over[family == 6], *a, router_family_bits(family));
	const struct plan_route *own = over ? &p->route[((struct over_node *)over)->route] : NULL;
	struct router_prefix held;
	struct fib_out out = { .kind = FIB_UNREACHABLE };
	uint32_t number;
	bool known;

	known = fib_get(p->view.fib, family, *a, &held, &number, &out);
	if (own && own->n && (!known || held.len <= own->prefix.len)) {
		*a = p->gw[p->list[own->first].gateway].addr;
		return 0;
	}
	if (!known || out.kind == FIB_UNREACHABLE || out.kind == FIB_PROHIBIT || out.kind == FIB_BLACKHOLE)
		return gateway_fail(-ENETUNREACH, g, err, "is not known: no route leads to it; give the interface with --dev");
	if (out.kind == FIB_LOCAL)
		return gateway_fail(-EINVAL, g, err, "is an address of this host");
	if (!out.n)
		return gateway_fail(-ENETUNREACH, g, err, "is reached in a way that can't be told; give the interface with --dev");
	hop->ifindex = out.way[0].ifindex;
	*there = !out.way[0].family || router_addr_equal(out.way[0].gateway, *a);
	if (*there)
		return 0;
	if (!p->resolve) {
		snprintf(what, sizeof(what), "is no neighbour: it is reached by %s; with --resolve the gateway of that is taken",
			 router_prefix_text(&held, prefix));
		return gateway_fail(-EINVAL, g, err, what);
	}
	*a = out.way[0].gateway;
	return 0;
}

static int gateway_resolve(struct plan *p, struct plan_gateway *g, char err[CLI_ERR_MAX])
{
	struct router_addr a = g->addr;
	const uint32_t dev = g->dev ? g->dev : p->dev;
	bool there = dev != 0;
	unsigned int depth;
	int rc = 0;

	g->hop.ifindex = dev;
	for (depth = 0; !there; depth++) {
		if (depth == PLAN_DEPTH)
			return gateway_fail(-ELOOP, g, err, "is in a loop: the routes to it lead back to themselves; give one that is a"
					    " neighbour");
		rc = step(p, g, g->family, &a, &there, &g->hop, err);
		if (rc)
			return rc;
	}
	g->hop.gateway = a;
	g->hop.family = (uint8_t)g->family;
	g->resolved = true;
	return 0;
}

int plan_resolve(struct plan *p, char err[CLI_ERR_MAX])
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < p->gws; i++)
		rc = gateway_resolve(p, &p->gw[i], err);
	return rc;
}

/* --- writing --- */

static int plan_put(struct plan *p, struct writer *w, const struct plan_route *r, uint32_t metric)
{
	struct writer_hop hop[FIB_MAX_HOPS] = { { .ifindex = p->dev } };
	uint32_t i, n = r->n < FIB_MAX_HOPS ? r->n : FIB_MAX_HOPS;

	for (i = 0; i < n; i++) {
		hop[i] = p->gw[p->list[r->first + i].gateway].hop;
		hop[i].weight = p->list[r->first + i].weight;
	}
	return writer_add(w, &r->prefix, r->type, hop, n ? n : p->dev ? 1 : 0, metric);
}

int plan_write(struct plan *p, uint32_t metric, char err[CLI_ERR_MAX])
{
	char text[ROUTER_PREFIX_TEXT];
	uint64_t refused, first;
	struct writer *w;
	int rc, why;
	size_t i;

	rc = writer_open(&w);
	for (i = 0; !rc && i < p->routes; i++)
		rc = plan_put(p, w, &p->route[i], metric);
	if (!rc)
		rc = writer_end(w, &refused, &first, &why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "netlink: %s", strerror(-rc));
	} else if (refused) {
		rc = why;
		snprintf(err, CLI_ERR_MAX, "the kernel refused %llu of %zu routes; the first, %s: %s%s", (unsigned long long)refused,
			 p->routes, first < p->routes ? router_prefix_text(&p->route[first].prefix, text) : "?", strerror(-why),
			 why == -EEXIST ? "; it is there with this metric already" : why == -EPERM ? "; run as root" : "");
	}
	writer_close(w);
	return rc;
}
