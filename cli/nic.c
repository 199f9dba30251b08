/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/cli.h"
#include "cli/ctl_client.h"
#include "cli/options.h"
#include "cli/rig.h"
#include "cli/sandbox.h"
#include "cli/show_table.h"
#include "vfio_user/server.h"

#define CLI_STRUCT cli_nic_opts
static const struct cli_opt nic_opts[] = { CLI_NIC_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_nic_usage = {
	.synopsis = "--socket PATH --port SPEC... [OPTIONS]",
	.description =
		"One software NIC: a PCI device behind a vfio-user socket, to which `p2pnic up` or a VMM attaches. It runs until"
		" SIGINT or SIGTERM, then prints what it counted and removes its sockets. It prints one line when it is ready.\n\n"
		"Observers (`p2pnic show`) use the control socket PATH.ctl. When its driver leaves, the NIC forwards on if the"
		" driver asked for it (`p2pnic up` does), else it stops and resets itself.",
	.examples = "  p2pnic nic --socket /tmp/a --port tap:p2p0\n"
		    "  p2pnic nic --socket /tmp/b --port memif:/tmp/b.memif,role=server --core 1 --poll\n",
	.table = { nic_opts, sizeof(nic_opts) / sizeof(nic_opts[0]) },
};

struct nic_run {
	struct rig *rig;
	struct vfu_server *server;
	char path[PATH_MAX], ctl[PATH_MAX + 8];
	char name[SOFT_NAME_MAX];
};

static int nic_server(struct nic_run *n, char err[CLI_ERR_MAX])
{
	struct vfu_server_config cfg = { .path = n->path, .ops = &soft_function_ops, .fn = n->rig->nic[0].soft,
					 .trust = n->rig->opts.trust };
	char text[SOCK_ERROR_MAX];
	const char *why;
	int rc;

	rc = vfu_server_create(&cfg, &n->server);
	switch (rc) {
	case 0:
		return 0;
	case -EADDRINUSE:
		why = "a process listens there already; give another --socket or end it";
		break;
	case -EEXIST:
		why = "is there and is no socket; give another --socket or remove it";
		break;
	default:
		why = sock_error(n->path, rc, text);
	}
	snprintf(err, CLI_ERR_MAX, "%.300s: %s", n->path, why);
	return rc;
}

static void nic_server_counts(void *arg, uint64_t *v)
{
	struct vfu_server_stats s;

	vfu_server_stats(arg, &s);
#define X(name, desc) *v++ = s.name;
	VFU_SERVER_COUNTERS(X)
#undef X
}

/* Who came to the socket, and how it went, along with the NIC's own counters. */
static void nic_serve_counts(struct nic_run *n)
{
#define X(name, desc) #name,
	static const char *const names[] = { VFU_SERVER_COUNTERS(X) };
#undef X
	const struct soft_ctl_more more = { .key = "vfio_user", .names = names, .n = P2P_ARRAY_SIZE(names),
					    .read = nic_server_counts, .arg = n->server };

	soft_ctl_more(n->rig->ctl, n->rig->nic[0].soft, &more);
}

/* Sockets and ports are open, and there are no threads yet. */
static int nic_sandbox(const struct nic_run *n, const struct cli_nic_opts *o, char err[CLI_ERR_MAX])
{
	struct sandbox s = { 0 };
	unsigned int k;
	int rc;

	for (k = 0; k < o->port.n; k++)
		sandbox_port(&s, o->port.item[k].text);
	sandbox_file(&s, n->path);
	rc = sandbox_option(&s, "nic", o->sandbox_set, o->sandbox, err);
	sandbox_free(&s);
	return rc;
}

static int nic_start(struct nic_run *n, const struct cli_nic_opts *o, struct rig_opts ro, char err[CLI_ERR_MAX])
{
	const char *specs[CLI_LIST_MAX];
	unsigned int k;
	int rc;

	ro.poll = o->poll;
	ro.mem_bytes = o->mem;
	if (o->buf_size_set)
		ro.buf_size = cli_buf_sizes[o->buf_size];
	ro.queues = o->queues_set ? (unsigned int)o->queues : 1;
	if (o->core_set) {
		ro.core[0] = (int)o->core;
		ro.cores = 1;
	}
	if (o->cores_set && rig_parse_cores(&ro, o->cores, err))
		return -EINVAL;
	for (k = 0; k < o->port.n; k++)
		specs[k] = o->port.item[k].text;
	rc = rig_create(&n->rig, &ro);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "out of memory");
		return rc;
	}
	rc = rig_add_nic(n->rig, n->name, specs, o->port.n, err);
	if (!rc)
		rc = nic_server(n, err);
	if (!rc)
		rc = rig_serve(n->rig, n->ctl, err);
	if (!rc)
		nic_serve_counts(n);
	if (!rc)
		rc = nic_sandbox(n, o, err);
	if (!rc)
		rc = rig_start(n->rig, err);
	if (!rc) {
		rc = vfu_server_start(n->server);
		if (rc)
			snprintf(err, CLI_ERR_MAX, "%.300s: %s", n->path, strerror(-rc));
	}
	return rc;
}

/* What the ports could not complete shows here. */
static int nic_end(struct nic_run *n, bool started, char err[CLI_ERR_MAX])
{
	int rc = 0;

	if (n->rig && n->rig->ctl)
		soft_ctl_more(n->rig->ctl, NULL, NULL);
	vfu_server_destroy(n->server);
	if (n->rig && started) {
		soft_function_ops.reset(n->rig->nic[0].soft);
		rig_stop(n->rig);
		rc = rig_finish(n->rig, err);
	}
	rig_destroy(n->rig);
	return rc;
}

static void nic_default_name(struct nic_run *n)
{
	const char *base = strrchr(n->path, '/');
	size_t len;

	base = base ? base + 1 : n->path;
	len = strlen(base);
	if (len > 5 && !strcmp(base + len - 5, ".sock"))
		len -= 5;
	if (len >= sizeof(n->name))
		len = sizeof(n->name) - 1;
	memcpy(n->name, base, len);
	n->name[len] = '\0';
}

static void nic_say_ready(const struct nic_run *n, bool json)
{
	struct json_object *o;

	if (json) {
		o = json_object_new_object();
		json_object_object_add(o, "ready", json_object_new_boolean(true));
		json_object_object_add(o, "name", json_object_new_string(n->name));
		json_object_object_add(o, "socket", json_object_new_string(n->path));
		json_object_object_add(o, "ctl", json_object_new_string(n->ctl));
		json_object_object_add(o, "pid", json_object_new_int((int)getpid()));
		printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	} else {
		printf("%s ready at vfio-user:%s\n", n->name, n->path);
	}
	fflush(stdout);
}

static void nic_say_stats(const struct nic_run *n, bool json)
{
	struct json_object *nics = json_object_new_array(), *workers = json_object_new_array(), *o;
	char err[CLI_ERR_MAX];

	if (ctl_stats(n->ctl, nics, workers, err)) {
		cli_note("nic", "no final statistics: %s", err);
	} else if (json) {
		o = show_json(SHOW_stats, nics, workers);
		show_print_json(o, stdout);
		json_object_put(o);
	} else {
		show_table(SHOW_stats, nics, stdout);
	}
	json_object_put(nics);
	json_object_put(workers);
}

static int nic_main(const struct cli_nic_opts *o, const struct rig_opts *ro)
{
	static struct nic_run n;
	char err[CLI_ERR_MAX];
	int rc;

	rc = cli_socket_path(n.path, sizeof(n.path), o->socket, &ro->trust, err);
	if (rc) {
		cli_error("nic", "%s", err);
		return CLI_FAILED;
	}
	snprintf(n.ctl, sizeof(n.ctl), "%s.ctl", n.path);
	if (o->name_set)
		snprintf(n.name, sizeof(n.name), "%s", o->name);
	else
		nic_default_name(&n);
	cli_signals_block();
	rc = nic_start(&n, o, *ro, err);
	if (rc) {
		cli_error("nic", "%s", err);
		nic_end(&n, false, err);
		return CLI_FAILED;
	}
	nic_say_ready(&n, o->json);
	while (!cli_signal_wait(3600ull * 1000000000u))
		;
	nic_say_stats(&n, o->json);
	rc = nic_end(&n, true, err);
	if (rc)
		cli_error("nic", "%s", err);
	return rc ? CLI_FAILED : CLI_OK;
}

int cli_nic(int argc, char **argv)
{
	static struct cli_nic_opts o;
	struct rig_opts ro = { 0 };
	char err[CLI_ERR_MAX];
	unsigned int words;
	bool help;

	if (cli_parse(&cli_nic_usage.table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error("nic", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("nic"), stdout);
		return CLI_OK;
	}
	if (!o.socket_set || !o.port.n) {
		cli_error("nic", "give %s", o.socket_set ? "its ports with --port SPEC" : "its socket with --socket PATH");
		return CLI_USAGE;
	}
	if (o.core_set && o.cores_set) {
		cli_error("nic", "--core and --cores: give one of them");
		return CLI_USAGE;
	}
	if (rig_parse_faults(&ro, &o.fault, err) || cli_trust(&ro.trust, o.group_set, o.group, err)) {
		cli_error("nic", "%s", err);
		return CLI_USAGE;
	}
	return nic_main(&o, &ro);
}
