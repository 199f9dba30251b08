/* SPDX-License-Identifier: BSD-3-Clause */
/* show routes, nexthops, neighbours, router. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <p2pnic/types.h>

#include "cli/ctl_client.h"
#include "cli/router_client.h"
#include "cli/show_table.h"

static int64_t number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

/* The ways of a route or next hop, one after the other. */
static void ways_text(struct json_object *o, FILE *f)
{
	struct json_object *ways, *w;
	size_t i, n;

	if (!json_object_object_get_ex(o, "ways", &ways))
		return;
	n = json_object_array_length(ways);
	for (i = 0; i < n; i++) {
		w = json_object_array_get_idx(ways, i);
		if (*ctl_text(w, "via"))
			fprintf(f, " via %s", ctl_text(w, "via"));
		if (*ctl_text(w, "dev"))
			fprintf(f, " dev %s", ctl_text(w, "dev"));
		else
			fprintf(f, " by the kernel");
		if (*ctl_text(w, "mac"))
			fprintf(f, " mac %s mtu %" PRId64, ctl_text(w, "mac"), number(w, "mtu"));
		if (n > 1)
			fprintf(f, " weight %" PRId64 "%s", number(w, "weight"), i + 1 < n ? "," : "");
	}
}

void show_route_text(struct json_object *route, FILE *f)
{
	const char *prefix = ctl_text(route, "prefix");

	fprintf(f, "%s %s", *prefix ? prefix : "no route:", ctl_text(route, "kind"));
	ways_text(route, f);
	if (number(route, "metric"))
		fprintf(f, " metric %" PRId64, number(route, "metric"));
	fputc('\n', f);
}

static void nexthop_text(struct json_object *o, FILE *f)
{
	fprintf(f, "%5" PRId64 " %9" PRId64 " %14" PRId64 " %16" PRId64 "  %s", number(o, "hop"), number(o, "prefixes"),
		number(o, "packets"), number(o, "bytes"), ctl_text(o, "kind"));
	ways_text(o, f);
	fputc('\n', f);
}

static void neighbour_text(struct json_object *o, FILE *f)
{
	fprintf(f, "%-39s %-15s %-17s %-10s %s.%" PRId64 "\n", ctl_text(o, "address"), ctl_text(o, "dev"), ctl_text(o, "mac"),
		ctl_text(o, "state"), ctl_text(o, "nic"), number(o, "port"));
}

/* One number a line, by its name. */
static void counts_text(struct json_object *o, FILE *f)
{
	json_object_object_foreach(o, key, v)
	{
		if (!json_object_is_type(v, json_type_array))
			fprintf(f, "%-16s %s\n", key, json_object_to_json_string(v));
	}
}

static const struct view {
	const char *name;
	const char *head; /* of the table */
	void (*text)(struct json_object *line, FILE *f);
} views[] = {
	{ "routes", "", show_route_text },
	{ "nexthops", "  HOP  PREFIXES        PACKETS            BYTES  NEXT HOP\n", nexthop_text },
	{ "router", "", counts_text },
	{ "neighbours", "NEIGHBOUR                               DEVICE          MAC               STATE      PORT\n", neighbour_text },
};

static const struct view *view_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(views); i++)
		if (!strcmp(views[i].name, name))
			return &views[i];
	return NULL;
}

bool show_is_router(const char *view)
{
	return view_find(view);
}

struct shown {
	const struct view *view;
	struct json_object *list; /* NULL: as text */
	bool headed;
};

static int show_line(void *ctx, struct json_object *line)
{
	struct shown *s = ctx;

	if (s->list)
		json_object_array_add(s->list, json_object_get(line));
	else
		s->view->text(line, stdout);
	return 0;
}

static int show_head(void *ctx, struct json_object *line)
{
	struct shown *s = ctx;

	if (!s->headed && !s->list)
		fputs(s->view->head, stdout);
	s->headed = true;
	return show_line(ctx, line);
}

int show_router(const char *view, const char *socket, bool json, char err[CLI_ERR_MAX])
{
	struct shown s = { view_find(view), json ? json_object_new_array() : NULL, false };
	struct json_object *o;
	int rc;

	rc = router_ask(socket, strcmp(view, "router") ? view : "counts", show_head, &s, err);
	if (!json)
		return rc;
	if (rc) {
		json_object_put(s.list);
		return rc;
	}
	o = json_object_new_object();
	json_object_object_add(o, view, s.list);
	show_print_json(o, stdout);
	json_object_put(o);
	return 0;
}
