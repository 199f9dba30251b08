/* SPDX-License-Identifier: BSD-3-Clause */
/* gen: traffic through a forwarder on two memif cables, and what became of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "cli/show_table.h"
#include "ports/memif.h"
#include "ports/port.h"
#include "tester/tester.h"

#define GEN_SECONDS 5.0
#define GEN_WAIT_SECONDS 30.0
#define GEN_WARMUP_SECONDS 0.2
#define GEN_MAX_SIZES 32
#define GEN_WIRE 20 /* preamble 8, gap 12 */
#define GEN_SIGNAL_NS 100000000ull

#define CLI_STRUCT cli_gen_opts
static const struct cli_opt gen_opts[] = { CLI_GEN_OPTIONS(CLI_ROW) };
#undef CLI_STRUCT

const struct cli_usage cli_gen_usage = {
	.synopsis = "--port SPEC --port SPEC [OPTIONS]",
	.description =
		"Sends frames out of the first port and takes in what comes back by the second, one run for each size of --frames:"
		" throughput, what was lost, corrupted, reordered or duplicated, and latency as this end sees it. Both ports are"
		" memif:PATH[,id=N][,role=server|client][,rings=N][,group=NAME]; as server (the default) frames are written and looked at in the"
		" forwarder's own buffers. --loop needs no ports and no forwarder: it measures this end by itself.\n\n"
		"Gear bench looks at the descriptors of all frames and at one frame of 64 on average, check at every byte of each."
		" Each frame has a sequence number of its flow and the time; addresses are IPv4 from 198.18.0.0/15 (RFC 2544)."
		" Sizes count the 4-byte FCS, which no memif frame has: 64 stands for 60 bytes.\n\n"
		"A rate is kept to the frame: what the forwarder's full ring or a late core left out is counted, not sent later."
		" When a thread of this end had to wait for its core, the row says so.",
	.examples = "  p2pnic gen --port memif:/tmp/a --port memif:/tmp/b --frames 64,1518 --core 0\n"
		    "  p2pnic gen --port memif:/tmp/a --port memif:/tmp/b --gear check --rate 100k --seconds 2 --json\n"
		    "  p2pnic gen --loop --frames 64 --latency\n",
	.table = { gen_opts, sizeof(gen_opts) / sizeof(gen_opts[0]) },
};

struct gen_cmd {
	const struct cli_gen_opts *o;
	struct tester_opts tester;
	struct tester_load load;
	struct port_spec spec[2]; /* keep the paths */
	uint32_t size[GEN_MAX_SIZES];
	unsigned int sizes;
	bool stop; /* a signal came */
	bool done;
};

/* ---- options ---- */

static int gen_port(struct gen_cmd *g, unsigned int i, const char *text, char err[CLI_ERR_MAX])
{
	struct port_spec *s = &g->spec[i];
	char why[PORT_ERR_MAX];
	uint64_t id = 0, rings = 1024;
	const char *role;
	int rc = port_spec_parse(s, text, why);

	if (!rc && strcmp(s->scheme, "memif")) {
		snprintf(err, CLI_ERR_MAX, "--port %.80s: gen drives memif cables alone; give memif:PATH", text);
		return -EINVAL;
	}
	if (!rc)
		rc = port_spec_get_u64(s, "id", 0, UINT32_MAX, &id, why);
	if (!rc)
		rc = port_spec_get_u64(s, "rings", 2, 1u << MEMIF_MAX_LOG2_RING, &rings, why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "--port %s", why);
		return rc;
	}
	role = port_spec_get(s, "role");
	g->tester.group[i] = port_spec_get(s, "group");
	if (role && strcmp(role, "server") && strcmp(role, "client")) {
		snprintf(err, CLI_ERR_MAX, "--port %.80s: use role=server or role=client", text);
		return -EINVAL;
	}
	for (unsigned int k = 0; k < s->n; k++) {
		if (!s->opt[k].used) {
			snprintf(err, CLI_ERR_MAX, "--port %.80s: gen knows no %.40s=; use id=, role=, rings= and group=", text,
				 s->opt[k].key);
			return -EINVAL;
		}
	}
	if (i && g->tester.client != (role && !strcmp(role, "client"))) {
		snprintf(err, CLI_ERR_MAX, "--port %.80s: both ports must have the same role", text);
		return -EINVAL;
	}
	if (rings & (rings - 1)) {
		snprintf(err, CLI_ERR_MAX, "--port %.80s: rings= must be a power of two", text);
		return -EINVAL;
	}
	g->tester.client = role && !strcmp(role, "client");
	g->tester.path[i] = s->target;
	g->tester.id[i] = (uint32_t)id;
	g->tester.ring_log2 = (unsigned int)__builtin_ctzll(rings);
	return 0;
}

static int gen_sizes(struct gen_cmd *g, const char *list, char err[CLI_ERR_MAX])
{
	while (*list) {
		char *end;
		unsigned long v = strtoul(list, &end, 10);

		if (end == list || (*end && *end != ',') || v < 64 || v > 9216 || g->sizes == GEN_MAX_SIZES) {
			snprintf(err, CLI_ERR_MAX, "--frames '%.40s': give up to %d sizes from 64 to 9216, as 64,512,1518", list,
				 GEN_MAX_SIZES);
			return -EINVAL;
		}
		g->size[g->sizes++] = (uint32_t)v;
		list = *end ? end + 1 : end;
	}
	if (!g->sizes) {
		snprintf(err, CLI_ERR_MAX, "--frames is empty; give sizes from 64 to 9216, as 64,512,1518");
		return -EINVAL;
	}
	return 0;
}

static int gen_address(const char *option, const char *text, uint32_t *ip, char err[CLI_ERR_MAX])
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1 || (ntohl(a.s_addr) & 0xfffe0000u) != 0xc6120000u) {
		snprintf(err, CLI_ERR_MAX, "%s %.40s: give an IPv4 address within 198.18.0.0/15", option, text);
		return -EINVAL;
	}
	*ip = ntohl(a.s_addr);
	return 0;
}

/* "MAC" for both ports, or "MAC,MAC". */
static int gen_macs(const char *option, const char *text, uint8_t mac[2][6], char err[CLI_ERR_MAX])
{
	const size_t first = strcspn(text, ",");
	const char *second = text[first] ? text + first + 1 : text;

	if (port_mac_parse(text, first, mac[0]) || port_mac_parse(second, strlen(second), mac[1]) || (mac[0][0] | mac[1][0]) & 1) {
		snprintf(err, CLI_ERR_MAX, "%s %.60s: give a unicast MAC address as 02:00:00:00:00:01, or two with a comma", option, text);
		return -EINVAL;
	}
	return 0;
}

static int gen_cores(struct gen_cmd *g, const char *text, char err[CLI_ERR_MAX])
{
	int cpu[2] = { -1, -1 }, used = 0, n = sscanf(text, "%d%n,%d%n", &cpu[0], &used, &cpu[1], &used);

	if (n < 1 || text[used] || cpu[0] < 0 || (n == 2 && cpu[1] < 0) || cpu[0] >= 1024 || cpu[1] >= 1024) {
		snprintf(err, CLI_ERR_MAX, "--core %.40s: give the generator's core, or the generator's and the sink's, as 0,1", text);
		return -EINVAL;
	}
	g->tester.cpu = cpu[0];
	g->tester.sink_cpu = cpu[1];
	return 0;
}

static int gen_addresses(struct gen_cmd *g, char err[CLI_ERR_MAX])
{
	const struct cli_gen_opts *o = g->o;
	int rc = 0;

	if (o->src)
		rc = gen_address("--src", o->src, &g->load.src_ip, err);
	if (!rc && o->dst)
		rc = gen_address("--dst", o->dst, &g->load.dst_ip, err);
	if (!rc && o->back)
		rc = gen_address("--back", o->back, &g->load.back_ip, err);
	if (!rc && o->src_mac)
		rc = gen_macs("--src-mac", o->src_mac, g->load.src_mac, err);
	if (!rc && o->dst_mac)
		rc = gen_macs("--dst-mac", o->dst_mac, g->load.dst_mac, err);
	if (!rc && o->core)
		rc = gen_cores(g, o->core, err);
	return rc;
}

static int gen_setup(struct gen_cmd *g, char err[CLI_ERR_MAX])
{
	const struct cli_gen_opts *o = g->o;
	int rc = gen_sizes(g, o->frames ? o->frames : "64", err);

	if (!rc && o->loop && o->port.n) {
		snprintf(err, CLI_ERR_MAX, "--loop has no ports; leave --port out");
		return -EINVAL;
	}
	if (!rc && !o->loop && o->port.n != 2) {
		snprintf(err, CLI_ERR_MAX, "give two ports, --port memif:PATH --port memif:PATH, or --loop");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < o->port.n && !rc; i++)
		rc = gen_port(g, i, o->port.item[i].text, err);
	g->tester.cpu = g->tester.sink_cpu = -1;
	if (!rc)
		rc = gen_addresses(g, err);
	if (rc)
		return rc;
	g->tester.loop = o->loop;
	g->tester.burst = (unsigned int)o->burst;
	/* Own buffers: as long as the longest frame needs, with an odd number of lines between them. */
	for (unsigned int i = 0; i < g->sizes; i++) {
		if (g->size[i] > g->tester.buf_bytes)
			g->tester.buf_bytes = (g->size[i] + 63) / 64 * 64;
	}
	if (g->tester.buf_bytes < 2048)
		g->tester.buf_bytes = 2048;
	g->tester.buf_stride = g->tester.buf_bytes % 128 ? g->tester.buf_bytes : g->tester.buf_bytes + 64;
	g->load.gear = o->gear ? TESTER_CHECK : TESTER_BENCH;
	g->load.rate_pps = o->rate;
	g->load.count = o->count;
	g->load.duration_ns = (uint64_t)((o->seconds_set ? o->seconds : GEN_SECONDS) * 1e9);
	g->load.warmup_ns = (uint64_t)((o->warmup_set ? o->warmup : GEN_WARMUP_SECONDS) * 1e9);
	g->load.both = o->both;
	g->load.latency = o->latency;
	g->load.routed = o->routed;
	g->load.flows = (uint32_t)o->flows;
	g->load.dst_count = (uint32_t)o->dst_count;
	g->load.stop = &g->stop;
	return 0;
}

/* ---- output ---- */

static const double gen_percentiles[] = { 50, 90, 99, 99.9 };
static const char *const gen_percentile_names[] = { "p50_ns", "p90_ns", "p99_ns", "p999_ns" };

static struct json_object *gen_json_row(const struct gen_cmd *g, const struct tester_load *l,
					const struct tester_result *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "frame_bytes", json_object_new_int64(l->frame_bytes));
	json_object_object_add(o, "gear", json_object_new_string(l->gear == TESTER_CHECK ? "check" : "bench"));
	json_object_object_add(o, "rate_pps", json_object_new_int64((int64_t)l->rate_pps));
	json_object_object_add(o, "mpps", json_object_new_double(tester_result_pps(r) / 1e6));
	json_object_object_add(o, "gbps",
			       json_object_new_double(tester_result_pps(r) * (l->frame_bytes + GEN_WIRE) * 8 / 1e9));
#define X(name, desc) json_object_object_add(o, #name, json_object_new_int64((int64_t)r->name));
	TESTER_COUNTERS(X)
#undef X
	json_object_object_add(o, "window_ns", json_object_new_int64((int64_t)r->window_ns));
	json_object_object_add(o, "drain_ns", json_object_new_int64((int64_t)r->drain_ns));
	json_object_object_add(o, "cycles_per_frame",
			       json_object_new_double(r->sent ? (double)r->busy_cycles / (double)r->sent : 0));
	json_object_object_add(o, "tsc_hz", json_object_new_int64((int64_t)r->tsc_hz));
	json_object_object_add(o, "ring_size", json_object_new_int((int)r->ring_size));
	json_object_object_add(o, "link_lost", json_object_new_boolean(r->link_lost));
	json_object_object_add(o, "stalled", json_object_new_boolean(r->stalled));
	json_object_object_add(o, "disturbed", json_object_new_boolean(r->quiet.disturbed));
	json_object_object_add(o, "wait_ns", json_object_new_int64((int64_t)r->quiet.wait_ns));
	json_object_object_add(o, "steal_ns", json_object_new_int64((int64_t)r->quiet.steal_ns));
	json_object_object_add(o, "preempted", json_object_new_int64((int64_t)r->quiet.preempted));
	if (histogram_count(&r->latency_ns)) {
		struct json_object *a = json_object_new_object();

		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(gen_percentiles); i++)
			json_object_object_add(a, gen_percentile_names[i], json_object_new_int64((int64_t)
					       histogram_percentile(&r->latency_ns, gen_percentiles[i])));
		json_object_object_add(a, "max_ns",
				       json_object_new_int64((int64_t)histogram_percentile(&r->latency_ns, 100)));
		json_object_object_add(a, "frames", json_object_new_int64((int64_t)histogram_count(&r->latency_ns)));
		json_object_object_add(o, "latency", a);
	}
	return o;
}

static void gen_table_head(FILE *f)
{
	fprintf(f, "%6s %8s %8s %12s %12s %8s %8s %8s %6s %9s %9s %9s\n", "bytes", "Mpps", "Gb/s", "sent", "received",
		"lost", "corrupt", "reorder", "dup", "p50 ns", "p99 ns", "p99.9 ns");
	fflush(f);
}

static void gen_table_row(const struct tester_load *l, const struct tester_result *r, FILE *f)
{
	const double pps = tester_result_pps(r);

	fprintf(f, "%6u %8.3f %8.3f %12" PRIu64 " %12" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %6" PRIu64,
		l->frame_bytes, pps / 1e6, pps * (l->frame_bytes + GEN_WIRE) * 8 / 1e9, r->sent, r->received, r->lost,
		r->corrupted, r->reordered, r->duplicated);
	if (histogram_count(&r->latency_ns))
		fprintf(f, " %9" PRIu64 " %9" PRIu64 " %9" PRIu64, histogram_percentile(&r->latency_ns, 50),
			histogram_percentile(&r->latency_ns, 99), histogram_percentile(&r->latency_ns, 99.9));
	else
		fprintf(f, " %9s %9s %9s", "-", "-", "-");
	if (l->rate_pps && (r->refused || r->behind))
		fprintf(f, "  %" PRIu64 " refused, %" PRIu64 " not sent in time", r->refused, r->behind);
	if (r->stale || r->foreign)
		fprintf(f, "  %" PRIu64 " stale, %" PRIu64 " foreign", r->stale, r->foreign);
	if (r->stalled)
		fprintf(f, "  stalled: the forwarder takes nothing any more");
	if (r->quiet.disturbed)
		fprintf(f, "  disturbed: waited %.1f ms, stolen %.0f ms", (double)r->quiet.wait_ns / 1e6,
			(double)r->quiet.steal_ns / 1e6);
	fprintf(f, "\n");
	fflush(f);
}

/* ---- the command ---- */

static void *gen_watch_signals(void *arg)
{
	struct gen_cmd *g = arg;

	while (!__atomic_load_n(&g->done, __ATOMIC_RELAXED)) {
		if (cli_signal_wait(GEN_SIGNAL_NS))
			__atomic_store_n(&g->stop, true, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int gen_run_sizes(struct gen_cmd *g, struct tester *t, struct tester_result *r)
{
	struct json_object *rows = json_object_new_array(), *top;
	char err[TESTER_ERR_MAX];
	int rc = 0;

	if (!g->o->json)
		gen_table_head(stdout);
	for (unsigned int i = 0; i < g->sizes && !rc && !g->stop; i++) {
		g->load.frame_bytes = g->size[i];
		rc = tester_run(t, &g->load, r, err);
		if (rc)
			break;
		if (g->o->json)
			json_object_array_add(rows, gen_json_row(g, &g->load, r));
		else
			gen_table_row(&g->load, r, stdout);
		if (r->link_lost) {
			snprintf(err, sizeof(err), "a link went down in the midst; is the forwarder still running?");
			rc = -ENOTCONN;
		}
	}
	if (rc)
		cli_error("gen", "%s", err);
	if (g->o->json) {
		top = json_object_new_object();
		json_object_object_add(top, "rows", rows);
		show_print_json(top, stdout);
		json_object_put(top);
	} else {
		json_object_put(rows);
	}
	return rc ? CLI_FAILED : CLI_OK;
}

static int gen_work(struct gen_cmd *g)
{
	const double wait = g->o->wait_set ? g->o->wait : GEN_WAIT_SECONDS;
	struct tester_result *r = malloc(sizeof(*r));
	char err[TESTER_ERR_MAX];
	struct tester *t = NULL;
	int rc = r ? tester_create(&t, &g->tester, err) : -ENOMEM, status = CLI_FAILED;

	if (!r)
		snprintf(err, sizeof(err), "out of memory");
	if (!rc)
		rc = tester_wait_link(t, (uint64_t)(wait * 1e9), &g->stop, err);
	if (!rc)
		status = gen_run_sizes(g, t, r);
	else
		cli_error("gen", "%s", err);
	tester_destroy(t);
	free(r);
	return status;
}

int cli_gen(int argc, char **argv)
{
	struct cli_gen_opts o = { .flows = 1, .burst = 32 };
	struct gen_cmd *g;
	char err[CLI_ERR_MAX];
	unsigned int words;
	pthread_t watch;
	bool help;
	int status;

	if (cli_parse(&cli_gen_usage.table, &o, argc, argv, NULL, 0, &words, &help, err)) {
		cli_error("gen", "%s", err);
		return CLI_USAGE;
	}
	if (help) {
		cli_help_print(cli_command("gen"), stdout);
		return CLI_OK;
	}
	g = calloc(1, sizeof(*g));
	if (!g) {
		cli_error("gen", "out of memory");
		return CLI_FAILED;
	}
	g->o = &o;
	if (gen_setup(g, err)) {
		cli_error("gen", "%s", err);
		free(g);
		return CLI_USAGE;
	}
	cli_signals_block();
	if (pthread_create(&watch, NULL, gen_watch_signals, g)) {
		cli_error("gen", "can't make a thread");
		free(g);
		return CLI_FAILED;
	}
	status = gen_work(g);
	__atomic_store_n(&g->done, true, __ATOMIC_RELAXED);
	pthread_join(watch, NULL);
	free(g);
	return status;
}
