/* SPDX-License-Identifier: BSD-3-Clause */
/* `p2pnic run` with ports: a forwarder in one process. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/bn.h"
#include "cli/cli.h"
#include "cli/ctl_client.h"
#include "cli/driver_opts.h"
#include "cli/routing.h"
#include "cli/sandbox.h"
#include "cli/run.h"
#include "cli/static_route.h"
#include "cli/show_table.h"
#include "ports/gen.h"

#define RUN_TICK_NS 100000000ull
#define RUN_DRAIN_NS 2000000000ull

#define CLI_STRUCT cli_run_opts
static const struct cli_opt run_opts[] = { CLI_RUN_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_run_usage = {
	.synopsis = "[-c FILE] [[--nic NAME] --port SPEC...]... [OPTIONS]",
	.description =
		"With ports: software NICs in this process forward between them until --seconds are over, all input that ends"
		" (pcap:, gen: with count=) has been forwarded, or SIGINT or SIGTERM; then a table of everything counted.\n\n"
		"Each --port is a NIC of its own (nic0, nic1, ...), or belongs to the --nic before it. Without --pair, --bridge and --route,"
		" two NICs with equally many ports are paired port by port, and everything else is bridged.\n\n"
		"Without ports: built-in generators and checking sinks measure each mode (or the one of --mode) with frames of"
		" 64, 512 and 1518 bytes: throughput at full rate, then latency at a tenth of it. Frame sizes do not count the"
		" 4-byte FCS, which never crosses the NICs; Gb/s are those of the cable, 24 bytes more per frame (FCS, preamble,"
		" gap). Copies, bytes and losses are what the NICs and sinks counted. No privileges are needed.\n\n"
		"A configuration file (libconfig syntax) has the long options as keys, lists as arrays, and may write NICs as"
		" nic = ( { name = \"a\"; port = [ \"null:\" ]; }, ... ). What the command line says wins.",
	.examples = "  p2pnic run\n"
		    "  p2pnic run --mode rd --port tap:left --port tap:right\n"
		    "  p2pnic run --nic a --port tap:a0 --port tap:a1 --nic b --port tap:b0 --bridge --seconds 60\n"
		    "  p2pnic run --port pcap:in.pcap --port pcap:,out.pcap --json\n"
		    "  p2pnic run -c examples/two-nics.conf\n",
	.table = { run_opts, sizeof(run_opts) / sizeof(run_opts[0]) },
};

static bool run_shows_progress(const struct cli_run_opts *o)
{
	return !o->json && isatty(STDERR_FILENO);
}

void run_progress(const struct cli_run_opts *o, const char *fmt, ...)
{
	char line[160];
	va_list ap;

	if (!run_shows_progress(o))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "\r%.78s\033[K", line);
}

void run_progress_end(const struct cli_run_opts *o)
{
	if (run_shows_progress(o))
		fprintf(stderr, "\r\033[K");
}

int run_ctl_path(char *path, size_t size, const struct cli_run_opts *o, const struct sock_trust *trust, char err[CLI_ERR_MAX])
{
	char name[64];

	if (o->ctl_set)
		return cli_socket_path(path, size, o->ctl, trust, err);
	snprintf(name, sizeof(name), "run-%d.ctl", (int)getpid());
	return cli_socket_path(path, size, name, trust, err);
}

static int run_check_name(struct rig *r, const char *name, char err[CLI_ERR_MAX])
{
	const char *s;
	unsigned int i;

	for (s = name; isalnum((unsigned char)*s) || (*s && strchr("._-", *s)); s++)
		;
	if (*s || !*name || s - name >= SOFT_NAME_MAX) {
		snprintf(err, CLI_ERR_MAX, "--nic '%.80s': give a name of letters, digits, '.', '_' and '-', shorter than %d",
			 name, SOFT_NAME_MAX);
		return -EINVAL;
	}
	for (i = 0; i < r->n; i++) {
		if (!strcmp(r->nic[i].name, name)) {
			snprintf(err, CLI_ERR_MAX, "--nic %.80s is given twice; put all its ports behind one", name);
			return -EINVAL;
		}
	}
	return 0;
}

static int run_named_nics(struct rig *r, const struct cli_run_opts *o, char err[CLI_ERR_MAX])
{
	const char *specs[CLI_LIST_MAX];
	unsigned int i, k = 0, n;
	int rc;

	if (o->port.n && o->port.item[0].order < o->nic.item[0].order) {
		snprintf(err, CLI_ERR_MAX, "--port %.80s comes before the first --nic; put it behind one", o->port.item[0].text);
		return -EINVAL;
	}
	for (i = 0; i < o->nic.n; i++) {
		unsigned int end = i + 1 < o->nic.n ? o->nic.item[i + 1].order : UINT_MAX;

		for (n = 0; k < o->port.n && o->port.item[k].order < end; k++)
			specs[n++] = o->port.item[k].text;
		rc = run_check_name(r, o->nic.item[i].text, err);
		if (!rc)
			rc = rig_add_nic(r, o->nic.item[i].text, specs, n, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int run_nics(struct rig *r, const struct cli_run_opts *o, char err[CLI_ERR_MAX])
{
	char name[16];
	unsigned int k;
	int rc;

	if (o->nic.n)
		return run_named_nics(r, o, err);
	for (k = 0; k < o->port.n; k++) {
		snprintf(name, sizeof(name), "nic%u", k);
		rc = rig_add_nic(r, name, &o->port.item[k].text, 1, err);
		if (rc)
			return rc;
	}
	return 0;
}

static bool run_static(const struct cli_run_opts *o)
{
	return o->static_route.n || o->static_route_file_set;
}

static int run_bring_up(struct rig *r, const struct cli_run_opts *o, char err[CLI_ERR_MAX])
{
	static struct drv_pair pairs[CLI_MAX_PAIRS];
	struct cli_driver_opts part = { 0 };
	const char *names[P2P_MAX_NICS];
	unsigned int ports[P2P_MAX_NICS], i;
	char note[DRV_ERR_MAX];
	struct drv_opts opts;
	int rc;

	for (i = 0; i < r->n; i++) {
		names[i] = r->nic[i].name;
		ports[i] = r->nic[i].ports;
	}
	cli_driver_part(&part, o);
	rc = cli_driver_opts(&opts, pairs, &part, names, ports, r->n, err);
	if (rc)
		return rc;
	rc = rig_up(r, &opts, note, err);
	if (!rc && *note)
		cli_note("run", "%s", note);
	if (!rc && run_static(o))
		rc = static_routes_set(r->drv, names, &o->static_route, o->static_route_file_set ? o->static_route_file : NULL,
				       &o->router_mac, err);
	return rc;
}

/* Until time is up, input has ended and left, or a signal. */
static void run_loop(struct rig *r, const struct cli_run_opts *o, uint64_t start_ns)
{
	struct rig_totals now, before;
	uint64_t t, last = start_ns;
	bool any, ended;

	rig_totals(r, &before);
	for (;;) {
		t = soft_now_ns();
		if (o->seconds_set && (double)(t - start_ns) >= o->seconds * 1e9)
			return;
		if (cli_signal_wait(o->seconds_set && o->seconds * 1e9 - (double)(t - start_ns) < RUN_TICK_NS ?
					    (uint64_t)(o->seconds * 1e9 - (double)(t - start_ns)) : RUN_TICK_NS))
			return;
		ended = rig_exhausted(r, &any);
		if (ended && rig_drain(r, RUN_DRAIN_NS))
			return;
		t = soft_now_ns();
		if (t - last < 1000000000u)
			continue;
		rig_totals(r, &now);
		run_progress(o, "%.0f s  in %.3f Mpps  out %.3f Mpps  drops %" PRIu64, (double)(t - start_ns) / 1e9,
			     (double)(now.rx_frames - before.rx_frames) * 1e3 / (double)(t - last),
			     (double)(now.tx_frames - before.tx_frames) * 1e3 / (double)(t - last), now.drops);
		before = now;
		last = t;
	}
}

static void run_gen_json(struct json_object *list, const char *nic, unsigned int p, const struct gen_report *g)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "nic", json_object_new_string(nic));
	json_object_object_add(o, "port", json_object_new_int((int)p));
#define PUT(field) json_object_object_add(o, #field, json_object_new_uint64(g->field))
	PUT(sent);
	PUT(received);
	PUT(lost);
	PUT(duplicated);
	PUT(reordered);
	PUT(corrupted);
	PUT(foreign);
	PUT(latency_p50_ns);
	PUT(latency_p99_ns);
	PUT(latency_max_ns);
#undef PUT
	json_object_array_add(list, o);
}

/* The generators and sinks among the ports; list NULL: as a table. */
static void run_gens(struct rig *r, struct json_object *list)
{
	struct gen_report g;
	unsigned int i, p;
	bool head = false;

	for (i = 0; i < r->n; i++) {
		for (p = 0; p < r->nic[i].ports; p++) {
			if (!port_is_gen(r->nic[i].port[p]) || port_gen_report(r->nic[i].port[p], &g))
				continue;
			if (list) {
				run_gen_json(list, r->nic[i].name, p, &g);
				continue;
			}
			if (!head)
				printf("\n%-16s %4s %14s %14s %10s %10s %10s %10s %12s %12s\n", "generator/sink", "port", "sent",
				       "received", "lost", "duplicated", "reordered", "corrupted", "p50 us", "p99 us");
			head = true;
			printf("%-16s %4u %14" PRIu64 " %14" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64
			       " %12.2f %12.2f\n", r->nic[i].name, p, g.sent, g.received, g.lost, g.duplicated, g.reordered,
			       g.corrupted, (double)g.latency_p50_ns / 1e3, (double)g.latency_p99_ns / 1e3);
		}
	}
}

static int run_print(struct rig *r, const struct cli_run_opts *o, const char *ctl, double seconds, bool drained,
		     char err[CLI_ERR_MAX])
{
	struct json_object *nics = json_object_new_array(), *workers = json_object_new_array(), *out, *gens;
	struct rig_totals t;
	int rc;

	rc = ctl_stats(ctl, nics, workers, err);
	if (!rc && o->json) {
		out = show_json(SHOW_stats, nics, workers);
		gens = json_object_new_array();
		run_gens(r, gens);
		json_object_object_add(out, "generators", gens);
		if (r->bn)
			json_object_object_add(out, "host", bn_json(r->bn));
		json_object_object_add(out, "seconds", json_object_new_double(seconds));
		json_object_object_add(out, "drained", json_object_new_boolean(drained));
		show_print_json(out, stdout);
		json_object_put(out);
	} else if (!rc) {
		rig_totals(r, &t);
		show_table(SHOW_stats, nics, stdout);
		run_gens(r, NULL);
		if (r->bn) {
			fputc('\n', stdout);
			bn_print(r->bn, stdout);
		}
		printf("\n%.1f s: %" PRIu64 " frames in, %" PRIu64 " out, %" PRIu64 " dropped, %" PRId64 " in hand\n", seconds,
		       t.rx_frames, t.tx_frames, t.drops, (int64_t)t.held);
	}
	json_object_put(nics);
	json_object_put(workers);
	return rc;
}

static bool run_routes(const struct cli_run_opts *o)
{
	return o->route && !run_static(o) && !(o->router_set && !o->router);
}

int run_sandbox(const struct cli_run_opts *o, const char *ctl, char err[CLI_ERR_MAX])
{
	struct sandbox s = { .needs = run_routes(o) ? SANDBOX_ROUTER : 0 };
	unsigned int k;
	int rc;

	for (k = 0; k < o->port.n; k++)
		sandbox_port(&s, o->port.item[k].text);
	sandbox_file(&s, ctl);
	rc = sandbox_option(&s, "run", o->sandbox_set, o->sandbox, err);
	sandbox_free(&s);
	return rc;
}

/* All that has a name: ports, then the sockets; and what is needed no more once they are open is given up. */
static int run_open(struct rig *r, const struct cli_run_opts *o, char ctl[PATH_MAX], struct sock_listener *questions,
		    char err[CLI_ERR_MAX])
{
	int rc;

	rc = run_nics(r, o, err);
	if (!rc)
		rc = run_ctl_path(ctl, PATH_MAX, o, &r->opts.trust, err);
	if (!rc)
		rc = rig_serve(r, ctl, err);
	if (!rc && run_routes(o))
		rc = routing_listen(questions, o->router_socket_set ? o->router_socket : NULL, &r->opts.trust, err);
	return rc ? rc : run_sandbox(o, ctl, err);
}

/* *router stays NULL where none is wanted. */
static int run_router(struct rig *r, const struct cli_run_opts *o, struct sock_listener *questions, struct router **router,
		      char err[CLI_ERR_MAX])
{
	const char *names[P2P_MAX_NICS];
	unsigned int i;

	*router = NULL;
	if (!run_routes(o))
		return 0;
	for (i = 0; i < r->n; i++)
		names[i] = r->nic[i].name;
	return routing_start(router, r->drv, names, &o->tap, questions, false, err);
}

static int run_traffic(struct rig *r, const struct cli_run_opts *o, char err[CLI_ERR_MAX])
{
	struct sock_listener questions = { .fd = -1 };
	struct router *router = NULL;
	char ctl[PATH_MAX];
	uint64_t start;
	double seconds;
	bool drained;
	int rc, end;

	rc = run_open(r, o, ctl, &questions, err);
	if (!rc)
		rc = run_bring_up(r, o, err);
	if (!rc)
		rc = run_router(r, o, &questions, &router, err);
	if (rc) {
		sock_close(&questions);
		return rc;
	}
	rig_go(r);
	start = soft_now_ns();
	run_loop(r, o, start);
	seconds = (double)(soft_now_ns() - start) / 1e9;
	run_progress_end(o);
	drained = rig_drain(r, RUN_DRAIN_NS);
	routing_stop(router);
	sock_close(&questions);
	rc = run_print(r, o, ctl, seconds, drained, err);
	rig_down(r);
	if (rc)
		return rc;
	end = rig_finish(r, err);
	return end;
}

int run_forward(const struct cli_run_opts *o, const struct rig_opts *ro)
{
	char err[CLI_ERR_MAX];
	struct rig *r;
	int rc;

	if (rig_create(&r, ro)) {
		cli_error("run", "out of memory");
		return CLI_FAILED;
	}
	rc = run_traffic(r, o, err);
	rig_destroy(r);
	if (rc)
		cli_error("run", "%s", err);
	return rc ? CLI_FAILED : CLI_OK;
}

static int run_check(const struct cli_run_opts *o, struct rig_opts *ro, char err[CLI_ERR_MAX])
{
	const bool routes = o->route || o->route_mem_set || o->static_route.n || o->static_route_file_set || o->router_mac.n || o->tap.n ||
			    o->router_socket_set || o->router_set;

	if (routes && routing_built(err))
		return -EOPNOTSUPP;
	if (o->cores_set && rig_parse_cores(ro, o->cores, err))
		return -EINVAL;
	if (o->nic.n && !o->port.n) {
		snprintf(err, CLI_ERR_MAX, "--nic %.80s has no ports; give it some with --port SPEC", o->nic.item[0].text);
		return -EINVAL;
	}
	if (o->nics_set && o->port.n) {
		snprintf(err, CLI_ERR_MAX, "--nics is for the measurement without ports; with ports use --nic NAME");
		return -EINVAL;
	}
	if ((o->router_set || o->tap.n || o->router_socket_set) && !o->route) {
		snprintf(err, CLI_ERR_MAX, "--router, --tap and --router-socket are for --route");
		return -EINVAL;
	}
	if (!o->port.n && (o->pair.n || o->bridge || o->route)) {
		snprintf(err, CLI_ERR_MAX, "--pair, --bridge and --route need ports; give some with --port SPEC");
		return -EINVAL;
	}
	if ((run_static(o) && !o->route) || (o->router_mac.n && !run_static(o))) {
		snprintf(err, CLI_ERR_MAX, o->route ? "--router-mac is for --static-route and --static-route-file" :
			 o->static_route.n ? "--static-route is for --route" : "--static-route-file is for --route");
		return -EINVAL;
	}
	if (cli_placement_check(o->placement, o->mode, err))
		return -EINVAL;
	if (o->queues_set && o->queues > 1 && !o->port.n && !(o->mode_set && o->mode != P2P_MODE_BN)) {
		snprintf(err, CLI_ERR_MAX, "--queues %" PRIu64 ": not with bn; without ports give --mode wr or --mode rd", o->queues);
		return -EINVAL;
	}
	if (cli_trust(&ro->trust, o->group_set, o->group, err))
		return -EINVAL;
	ro->queues = o->queues_set ? (unsigned int)o->queues : 1;
	ro->poll = o->poll;
	ro->mem_bytes = o->mem;
	ro->buf_size = o->buf_size_set ? cli_buf_sizes[o->buf_size] : 0;
	return rig_parse_faults(ro, &o->fault, err);
}

int cli_run(int argc, char **argv)
{
	static struct cli_run_opts o;
	struct rig_opts ro = { 0 };
	struct cli_config *text = NULL;
	char err[CLI_ERR_MAX];
	unsigned int words;
	bool help;
	int rc;

	if (cli_parse(&cli_run_usage.table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error("run", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("run"), stdout);
		return CLI_OK;
	}
	if (o.config_set && cli_config_read(&cli_run_usage.table, &o, o.config, &text, err)) {
		cli_error("run", "%s", err);
		return CLI_USAGE;
	}
	if (run_check(&o, &ro, err)) {
		cli_error("run", "%s", err);
		cli_config_free(text);
		return CLI_USAGE;
	}
	/* What may lose writes needs it. */
	if (o.fault.n && !o.scrub_set)
		o.scrub = o.scrub_set = true;
	cli_signals_block();
	rc = o.port.n ? run_forward(&o, &ro) : run_measure(&o, &ro);
	cli_config_free(text);
	return rc;
}
