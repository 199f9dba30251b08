/* SPDX-License-Identifier: BSD-3-Clause */
/* `p2pnic route`: the kernel's routes in numbers, and what becomes of an address. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl_client.h"
#include "cli/options.h"
#include "cli/route_load.h"
#include "cli/route_plan.h"
#include "cli/router_client.h"
#include "cli/routing.h"
#include "cli/show_table.h"

#define ROUTE_METRIC 50
#define ROUTE_SETTLE_NS 50000000ull
#define ROUTE_SETTLE_TRIES 400

#define CLI_STRUCT cli_route_opts
static const struct cli_opt route_opts[] = { CLI_ROUTE_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_route_usage = {
	.synopsis = "add PREFIX | del PREFIX | load FILE | get ADDRESS | dump [OPTIONS]",
	.description =
		"The kernel's table is the table: add, del and load change it (in this network namespace, main table, protocol 80), as"
		" `ip route` would, and a router that runs follows. Without one they do the same, and a router that is started later finds them."
		" get and dump tell what the router made of it; without a router, what one would that had all interfaces here as ports.\n\n"
		"add takes gateways with --via (several: each gets its share of flows), or --dev, or --type. load reads FILE, - for standard"
		" input: a prefix a line, with `via ADDRESS [dev IFNAME]` behind it or one of the --via for all, or the output of `location"
		" dump`, where each origin AS has one of the --via. A prefix has one of its own family; those for which none is given are left"
		" out, which is said, with status 1. Everything is checked before the first route is written. Then it is seen to that the NICs"
		" have taken them all.\n\n"
		"load also takes back what dump wrote, with the same ways, weights and types, all with --metric. Its lines of this host's"
		" addresses, of networks on an interface and of neighbours are left out and counted: the kernel makes them itself.",
	.examples = "  p2pnic route add 198.51.100.0/24 --via 192.0.2.2\n"
		    "  p2pnic route get 198.51.100.7\n"
		    "  location dump | p2pnic route load - --via 192.0.2.2 --via 192.0.2.6\n"
		    "  p2pnic route dump > routes; p2pnic route load routes\n",
	.table = { route_opts, sizeof(route_opts) / sizeof(route_opts[0]) },
};

static const char *route_socket(const struct cli_route_opts *o)
{
	return o->router_socket_set ? o->router_socket : NULL;
}

static uint32_t route_metric(const struct cli_route_opts *o)
{
	return o->metric_set ? (uint32_t)o->metric : ROUTE_METRIC;
}

static uint8_t route_type(const struct cli_route_opts *o)
{
	static const uint8_t types[] = { RTN_UNICAST, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT };

	return types[o->type_set ? o->type : 0];
}

/* --- what the router has made of it --- */

struct settled {
	int64_t events, unplaced;
	bool due;
};

static int settle_line(void *ctx, struct json_object *line)
{
	struct settled *s = ctx;
	struct json_object *v;

	s->events = json_object_object_get_ex(line, "events", &v) ? json_object_get_int64(v) : 0;
	s->unplaced = json_object_object_get_ex(line, "unplaced", &v) ? json_object_get_int64(v) : 0;
	s->due = json_object_object_get_ex(line, "sync_due", &v) && json_object_get_boolean(v);
	return 0;
}

/* Until the router has heard of everything; without one there is nothing to wait for. */
static int route_settle(const struct cli_route_opts *o, char err[CLI_ERR_MAX])
{
	struct settled now = { 0 }, before = { .events = -1 };
	unsigned int i;

	for (i = 0; i < ROUTE_SETTLE_TRIES; i++) {
		if (router_ask(route_socket(o), "counts", settle_line, &now, err))
			return 0;
		if (now.events == before.events && !now.due)
			break;
		before = now;
		if (cli_signal_wait(ROUTE_SETTLE_NS))
			return 0;
	}
	if (!now.unplaced)
		return 0;
	snprintf(err, CLI_ERR_MAX, "%lld prefixes do not fit the NICs' tables; give NICs more with --mem or --route-mem",
		 (long long)now.unplaced);
	return -ENOSPC;
}

/* --- add, del, load --- */

static int route_plan_gateways(struct plan *p, const struct cli_route_opts *o, uint32_t *number, char err[CLI_ERR_MAX])
{
	unsigned int i;
	int rc = 0;

	if (route_type(o) != RTN_UNICAST && (o->via.n || o->dev)) {
		snprintf(err, CLI_ERR_MAX, "--type: such a route has neither --via nor --dev");
		return -EINVAL;
	}
	for (i = 0; !rc && i < o->via.n; i++)
		rc = plan_gateway(p, o->via.item[i].text, 0, &number[i], err);
	return rc;
}

static int route_add(const struct cli_route_opts *o, const char *text, char err[CLI_ERR_MAX])
{
	uint32_t number[CLI_LIST_MAX];
	struct plan_way way[FIB_MAX_HOPS];
	struct router_prefix prefix;
	struct plan p;
	unsigned int i;
	int rc;

	rc = plan_prefix(text, &prefix, err);
	if (rc)
		return rc;
	if (route_type(o) == RTN_UNICAST && !o->via.n && !o->dev_set) {
		snprintf(err, CLI_ERR_MAX, "say where to: --via ADDRESS, --dev IFNAME or --type");
		return -EINVAL;
	}
	if (o->via.n > FIB_MAX_HOPS) {
		snprintf(err, CLI_ERR_MAX, "more than %d gateways", FIB_MAX_HOPS);
		return -EINVAL;
	}
	rc = plan_open(&p, o->dev_set ? o->dev : NULL, o->resolve, err);
	if (!rc)
		rc = route_plan_gateways(&p, o, number, err);
	for (i = 0; !rc && i < o->via.n; i++)
		way[i] = (struct plan_way){ number[i], 1 };
	if (!rc)
		rc = plan_add(&p, &prefix, route_type(o), way, o->via.n, err);
	if (!rc)
		rc = plan_resolve(&p, err);
	if (!rc)
		rc = plan_write(&p, route_metric(o), err);
	plan_close(&p);
	return rc ? rc : route_settle(o, err);
}

static int route_del(const struct cli_route_opts *o, const char *text, char err[CLI_ERR_MAX])
{
	struct router_prefix prefix;
	uint64_t refused = 0, first;
	struct writer *w;
	int rc, why = 0;

	rc = plan_prefix(text, &prefix, err);
	if (rc)
		return rc;
	rc = writer_open(&w);
	if (!rc) {
		rc = writer_del(w, &prefix, route_metric(o));
		if (!rc)
			rc = writer_end(w, &refused, &first, &why);
		writer_close(w);
	}
	if (rc || refused)
		snprintf(err, CLI_ERR_MAX, "%.80s: %s", text, rc ? strerror(-rc) : why == -ESRCH ?
			 "the kernel has no such route of ours with this metric" : strerror(-why));
	return rc ? rc : why;
}

/* What of the list was no route to load, beside what was. */
static void route_loaded(const struct plan *p, const struct route_left *left, bool json)
{
	static const char *const key[] = {
#define X(name, key, text) key,
		ROUTE_DUMPED(X)
#undef X
	};
	static const char *const text[] = {
#define X(name, key, text) text,
		ROUTE_DUMPED(X)
#undef X
	};
	struct json_object *out = json_object_new_object(), *o = json_object_new_object();
	const char *sep = "; left out of the dump: ";
	unsigned int i;

	if (!json)
		printf("%zu routes", p->routes);
	for (i = 0; i < ROUTE_DUMPED_N; i++) {
		json_object_object_add(o, key[i], json_object_new_uint64(left->dumped[i]));
		if (!json && left->dumped[i]) {
			printf("%s%llu %s", sep, (unsigned long long)left->dumped[i], text[i]);
			sep = ", ";
		}
	}
	json_object_object_add(o, "other-family", json_object_new_uint64(left->family[0] + left->family[1]));
	json_object_object_add(out, "loaded", json_object_new_uint64(p->routes));
	json_object_object_add(out, "left_out", o);
	if (json)
		show_print_json(out, stdout);
	else
		putchar('\n');
	json_object_put(out);
}

static int route_load(const struct cli_route_opts *o, const char *path, char err[CLI_ERR_MAX])
{
	uint32_t number[CLI_LIST_MAX];
	struct route_source s = {
		.path = path, .format = o->format_set ? (int)o->format : -1, .limit = o->limit_set ? o->limit : 0, .type = route_type(o),
		.aimed = o->dev_set, .gateway = number, .gateways = o->via.n,
	};
	struct route_left left;
	struct plan p;
	int rc;

	rc = plan_open(&p, o->dev_set ? o->dev : NULL, o->resolve, err);
	if (!rc)
		rc = route_plan_gateways(&p, o, number, err);
	if (!rc)
		rc = route_load_list(&p, &s, &left, err);
	if (!rc)
		rc = plan_resolve(&p, err);
	if (!rc)
		rc = plan_write(&p, route_metric(o), err);
	if (!rc)
		rc = route_settle(o, err);
	if (!rc) {
		route_loaded(&p, &left, o->json);
		fflush(stdout);
		rc = route_left_text(&left, err) ? -EAFNOSUPPORT : 0;
	}
	plan_close(&p);
	return rc;
}

/* --- get, dump --- */

static struct json_object *view_object(const struct router_prefix *p, const struct fib_out *out)
{
	struct json_object *o = json_object_new_object(), *ways = json_object_new_array(), *w;
	char text[ROUTER_PREFIX_TEXT], name[IF_NAMESIZE];
	unsigned int i;

	json_object_object_add(o, "prefix", json_object_new_string(router_prefix_text(p, text)));
	json_object_object_add(o, "kind", json_object_new_string(fib_kind_text(out->kind)));
	for (i = 0; i < out->n; i++) {
		w = json_object_new_object();
		if (out->way[i].family)
			json_object_object_add(w, "via", json_object_new_string(router_addr_text(out->way[i].gateway, out->way[i].family,
												 text)));
		if (if_indextoname(out->way[i].ifindex, name))
			json_object_object_add(w, "dev", json_object_new_string(name));
		json_object_object_add(w, "weight", json_object_new_int(out->way[i].weight));
		json_object_array_add(ways, w);
	}
	json_object_object_add(o, "ways", ways);
	return o;
}

static int get_line(void *ctx, struct json_object *line)
{
	const struct cli_route_opts *o = ctx;

	if (o->json)
		show_print_json(line, stdout);
	else
		show_route_text(line, stdout);
	return 0;
}

static int route_get(struct cli_route_opts *o, const char *text, char err[CLI_ERR_MAX])
{
	struct kernel_view v;
	struct router_prefix p;
	struct json_object *line;
	struct router_addr a;
	unsigned int family;
	struct fib_out out;
	char question[64];
	uint32_t hop;
	int rc;

	if (!router_addr_parse(text, &family, &a)) {
		snprintf(err, CLI_ERR_MAX, "'%.80s' is no address", text);
		return -EINVAL;
	}
	snprintf(question, sizeof(question), "get %.45s", text);
	rc = router_ask(route_socket(o), question, get_line, o, err);
	if (rc != -ENOENT || o->router_socket_set)
		return rc;
	rc = kernel_view_open(&v, err);
	if (rc)
		return rc;
	if (fib_get(v.fib, family, a, &p, &hop, &out)) {
		line = view_object(&p, &out);
	} else {
		line = json_object_new_object();
		json_object_object_add(line, "kind", json_object_new_string("no-route"));
	}
	json_object_object_add(line, "router", json_object_new_boolean(false));
	get_line(o, line);
	json_object_put(line);
	kernel_view_close(&v);
	return 0;
}

static void dump_prefix(void *ctx, const struct router_prefix *p, uint32_t hop, const struct fib_out *out, uint8_t protocol,
			uint32_t metric)
{
	struct json_object *line = view_object(p, out);

	get_line(ctx, line);
	json_object_put(line);
}

static int route_dump(struct cli_route_opts *o, char err[CLI_ERR_MAX])
{
	struct kernel_view v;
	int rc;

	rc = router_ask(route_socket(o), "routes", get_line, o, err);
	if (rc != -ENOENT || o->router_socket_set)
		return rc;
	rc = kernel_view_open(&v, err);
	if (rc)
		return rc;
	fib_each_prefix(v.fib, dump_prefix, o);
	kernel_view_close(&v);
	return 0;
}

static int route_do(struct cli_route_opts *o, const char *const *word, unsigned int words, char err[CLI_ERR_MAX])
{
	static const struct {
		const char *name, *wants;
	} verbs[] = {
		{ "add", "a prefix" }, { "del", "a prefix" }, { "load", "a file, or -" }, { "get", "an address" }, { "dump", NULL },
	};
	unsigned int i;

	for (i = 0; words && i < P2P_ARRAY_SIZE(verbs); i++)
		if (!strcmp(word[0], verbs[i].name))
			break;
	if (!words || i == P2P_ARRAY_SIZE(verbs)) {
		snprintf(err, CLI_ERR_MAX, "%s%.80s%ssay add, del, load, get or dump", words ? "'" : "", words ? word[0] : "",
			 words ? "' is nothing to do with routes; " : "");
		return CLI_USAGE;
	}
	if ((words > 1) != (verbs[i].wants != NULL)) {
		snprintf(err, CLI_ERR_MAX, "%s: %s%s", word[0], verbs[i].wants ? "give " : "takes no word",
			 verbs[i].wants ? verbs[i].wants : "");
		return CLI_USAGE;
	}
	if (i == 0)
		return route_add(o, word[1], err);
	if (i == 1)
		return route_del(o, word[1], err);
	if (i == 2)
		return route_load(o, word[1], err);
	return i == 3 ? route_get(o, word[1], err) : route_dump(o, err);
}

int cli_route(int argc, char **argv)
{
	static struct cli_route_opts o;
	const char *word[2];
	char err[CLI_ERR_MAX];
	unsigned int words;
	bool help;
	int rc;

	if (cli_parse(&cli_route_usage.table, &o, argc, argv, word, 2, &words, &help, err)) {
		cli_error("route", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("route"), stdout);
		return CLI_OK;
	}
	cli_signals_block();
	rc = routing_built(err);
	if (!rc)
		rc = route_do(&o, word, words, err);
	if (rc)
		cli_error("route", "%s", err);
	return rc == CLI_USAGE ? CLI_USAGE : rc ? CLI_FAILED : CLI_OK;
}
