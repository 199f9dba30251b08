/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/ctl_client.h"
#include "cli/options.h"
#include "cli/router_client.h"
#include "cli/routing.h"
#include "cli/show_table.h"

#define CLI_STRUCT cli_show_opts
static const struct cli_opt show_opts[] = { CLI_SHOW_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_show_usage = {
	.synopsis = "nics|peers|ports|stats|drops|regs|routes|nexthops|neighbours|router [--socket PATH]... [--nic NAME]... [--json]",
	.description =
		"Asks control sockets and prints what they tell: nics (state), peers (who sees whom), ports (links and frames),"
		" stats (ports, bytes moved, drops), drops (by reason), regs (all registers).\n\n"
		"routes, nexthops, neighbours and router are the router's (`p2pnic router`, `p2pnic run --route`), which is asked at its own socket: every"
		" prefix with its next hop; every next hop with the prefixes that name it and the packets and bytes that NICs sent by it;"
		" the kernel's neighbours behind ports; what the router holds and has done.\n\n"
		"Without --socket all control sockets of the runtime directory are asked. A NIC's socket path stands for its"
		" control socket, PATH.ctl. Observing changes nothing and needs no driver.",
	.examples = "  p2pnic show stats\n  p2pnic show drops --socket /run/p2pnic/a.sock --json\n",
	.table = { show_opts, sizeof(show_opts) / sizeof(show_opts[0]) },
};

static int show_view_parse(const char *word, enum show_view *view, bool *regs)
{
	static const struct { const char *name; bool regs; } views[] = {
#define X(name, regs_, help) { #name, regs_ },
		SHOW_VIEWS(X)
#undef X
	};
	unsigned int k;

	for (k = 0; k < SHOW_NUM_VIEWS; k++) {
		if (!strcmp(views[k].name, word)) {
			*view = (enum show_view)k;
			*regs = views[k].regs;
			return 0;
		}
	}
	return -EINVAL;
}

/* What the sockets told. */
struct shown {
	struct json_object *nics, *workers;
};

static int show_ask(const char *path, bool regs, struct shown *s, char err[CLI_ERR_MAX])
{
	return regs ? ctl_regs(path, s->nics, err) : ctl_stats(path, s->nics, s->workers, err);
}

/* --socket: the control socket itself, or the NIC's socket beside it. */
static int show_socket(const char *name, bool regs, struct shown *s, char err[CLI_ERR_MAX])
{
	char path[PATH_MAX], ctl[PATH_MAX + 8];
	size_t len;
	int rc;

	rc = cli_socket_path(path, sizeof(path), name, NULL, err);
	if (rc)
		return rc;
	len = strlen(path);
	if (len > 4 && !strcmp(path + len - 4, ".ctl"))
		return show_ask(path, regs, s, err);
	snprintf(ctl, sizeof(ctl), "%s.ctl", path);
	return show_ask(ctl, regs, s, err);
}

static int show_is_ctl(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 4 && !strcmp(e->d_name + len - 4, ".ctl");
}

/* All of the runtime directory; what a process left behind when it died is passed over. */
static int show_all(bool regs, struct shown *s, char err[CLI_ERR_MAX])
{
	struct dirent **list = NULL;
	char dir[512], path[1024];
	int i, n, rc, first = 0;

	rc = cli_rundir(dir, sizeof(dir), NULL, err);
	if (rc)
		return rc;
	n = scandir(dir, &list, show_is_ctl, versionsort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		free(list[i]);
		if (first)
			continue;
		rc = show_ask(path, regs, s, err);
		if (rc && rc != -ECONNREFUSED && rc != -ENOENT)
			first = rc;
	}
	free(list);
	if (!first && !json_object_array_length(s->nics)) {
		snprintf(err, CLI_ERR_MAX, "no NIC runs: no control socket answers in %.300s; give one with --socket", dir);
		return -ENOENT;
	}
	return first;
}

static bool show_wanted(const struct cli_list *names, struct json_object *nic)
{
	unsigned int k;

	for (k = 0; k < names->n; k++)
		if (!strcmp(names->item[k].text, ctl_text(nic, "name")))
			return true;
	return !names->n;
}

/* Only the NICs that were named, and each of them. */
static int show_filter(const struct cli_list *names, struct json_object **nics, char err[CLI_ERR_MAX])
{
	struct json_object *kept = json_object_new_array(), *nic;
	unsigned int k;
	size_t i, n = json_object_array_length(*nics);

	for (i = 0; i < n; i++) {
		nic = json_object_array_get_idx(*nics, i);
		if (show_wanted(names, nic))
			json_object_array_add(kept, json_object_get(nic));
	}
	json_object_put(*nics);
	*nics = kept;
	n = json_object_array_length(kept);
	for (k = 0; k < names->n; k++) {
		for (i = 0; i < n; i++)
			if (!strcmp(names->item[k].text, ctl_text(json_object_array_get_idx(kept, i), "name")))
				break;
		if (i == n) {
			snprintf(err, CLI_ERR_MAX, "there is no NIC '%.100s'; `p2pnic show nics` lists them",
				 names->item[k].text);
			return -ENOENT;
		}
	}
	return 0;
}

static int show_run(enum show_view view, bool regs, const struct cli_show_opts *o)
{
	struct shown s = { json_object_new_array(), json_object_new_array() };
	struct json_object *out;
	char err[CLI_ERR_MAX];
	unsigned int k;
	int rc = 0;

	for (k = 0; !rc && k < o->socket.n; k++)
		rc = show_socket(o->socket.item[k].text, regs, &s, err);
	if (!rc && !o->socket.n)
		rc = show_all(regs, &s, err);
	if (!rc)
		rc = show_filter(&o->nic, &s.nics, err);
	if (rc) {
		cli_error("show", "%s", err);
	} else if (o->json) {
		out = show_json(view, s.nics, s.workers);
		show_print_json(out, stdout);
		json_object_put(out);
	} else {
		show_table(view, s.nics, stdout);
	}
	json_object_put(s.nics);
	json_object_put(s.workers);
	return rc ? CLI_FAILED : CLI_OK;
}

int cli_show(int argc, char **argv)
{
	static struct cli_show_opts o;
	char err[CLI_ERR_MAX];
	const char *word = NULL;
	enum show_view view;
	unsigned int words;
	bool help, regs;

	if (cli_parse(&cli_show_usage.table, &o, argc, argv, &word, 1, &words, &help, err)) {
		cli_error("show", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("show"), stdout);
		return CLI_OK;
	}
	if (words && show_is_router(word)) {
		if (!routing_built(err) && !show_router(word, o.router_socket_set ? o.router_socket : NULL, o.json, err))
			return CLI_OK;
		cli_error("show", "%s", err);
		return CLI_FAILED;
	}
	if (!words || show_view_parse(word, &view, &regs)) {
		cli_error("show", "%s%.100s%ssay what: nics, peers, ports, stats, drops, regs, routes, nexthops, neighbours or router",
			  words ? "'" : "", words ? word : "", words ? "' is nothing to show; " : "");
		return CLI_USAGE;
	}
	return show_run(view, regs, &o);
}
