/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include <p2pnic/counters.h>
#include <p2pnic/types.h>

#include "cli/ctl_client.h"
#include "cli/show_table.h"

#define EACH(i, e, list) \
	for (size_t i = 0, n_##i = (list) ? json_object_array_length(list) : 0; \
	     i < n_##i && ((e) = json_object_array_get_idx(list, i), 1); i++)

/* Queue by queue: the core, "any" of a worker that is not pinned, "-" without one. */
static void table_cores(char *text, size_t room, struct json_object *list)
{
	struct json_object *core;
	size_t at = 0;

	*text = '\0';
	EACH(q, core, list) {
		int c = json_object_get_int(core);

		if (at < room)
			at += (size_t)(c >= 0 ? snprintf(text + at, room - at, "%s%d", q ? "," : "", c) :
						snprintf(text + at, room - at, "%s%s", q ? "," : "", c == -1 ? "any" : "-"));
	}
}

static void table_nics(struct json_object *nics, FILE *f)
{
	struct json_object *nic;
	char cores[64];

	fprintf(f, "%-16s %-10s %-4s %5s %5s %6s %8s %10s %6s  %s\n", "NIC", "state", "mode", "index", "nics", "slots", "buf_size",
		"dma_faults", "queues", "cores");
	EACH(i, nic, nics) {
		table_cores(cores, sizeof(cores), ctl_array(nic, "cores"));
		fprintf(f, "%-16s %-10s %-4s %5" PRIu64 " %5" PRIu64 " %6" PRIu64 " %8" PRIu64 " %10" PRIu64 " %6" PRIu64 "  %s\n",
			ctl_text(nic, "name"), ctl_text(nic, "state"), ctl_text(nic, "mode"), ctl_u64(nic, "index"),
			ctl_u64(nic, "nics"), ctl_u64(nic, "slots"), ctl_u64(nic, "buf_size"),
			ctl_u64(nic, "dma_faults"), ctl_u64(nic, "queues"), cores);
	}
}

static void table_peers(struct json_object *nics, FILE *f)
{
	struct json_object *nic, *peer, *peers;

	fprintf(f, "%-16s %5s %5s %-8s %16s %16s\n", "NIC", "index", "peer", "state", "sent_frames", "recv_frames");
	EACH(i, nic, nics) {
		peers = ctl_array(nic, "peers");
		EACH(j, peer, peers)
			fprintf(f, "%-16s %5" PRIu64 " %5" PRIu64 " %-8s %16" PRIu64 " %16" PRIu64 "\n", ctl_text(nic, "name"),
				ctl_u64(nic, "index"), ctl_u64(peer, "index"), ctl_text(peer, "state"),
				ctl_u64(peer, "sent_frames"), ctl_u64(peer, "recv_frames"));
	}
}

static void table_ports(struct json_object *nics, FILE *f)
{
	struct json_object *nic, *port, *ports;

	fprintf(f, "%-16s %4s %-20s %-4s %-5s %14s %16s %14s %16s %9s %9s %10s\n", "NIC", "port", "cable", "link", "place",
		"rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "tx_lost", "tx_error", "rx_refused");
	EACH(i, nic, nics) {
		ports = ctl_array(nic, "ports");
		EACH(p, port, ports)
			fprintf(f, "%-16s %4zu %-20.40s %-4s %-5s %14" PRIu64 " %16" PRIu64 " %14" PRIu64 " %16" PRIu64 " %9" PRIu64
				" %9" PRIu64 " %10" PRIu64 "\n", ctl_text(nic, "name"), p, ctl_text(port, "name"),
				ctl_u64(port, "link") ? "up" : "down", ctl_text(port, "placement"),
				ctl_u64(port, "rx_frames"), ctl_u64(port, "rx_bytes"),
				ctl_u64(port, "tx_frames"), ctl_u64(port, "tx_bytes"), ctl_u64(port, "tx_lost"),
				ctl_u64(port, "tx_error"), ctl_u64(port, "rx_refused"));
	}
}

struct reason {
	const char *name, *what;
};

/* Reasons of which there were any; returns whether there were. */
static bool table_reasons(struct json_object *nics, FILE *f, const char *kind, const char *title, const struct reason *r,
			  size_t n)
{
	struct json_object *nic, *counts;
	bool any = false;
	size_t k;

	EACH(i, nic, nics) {
		counts = ctl_object(nic, kind);
		for (k = 0; k < n; k++) {
			uint64_t v = ctl_u64(counts, r[k].name);

			if (!v)
				continue;
			if (!any)
				fprintf(f, "%-16s %-14s %14s  %s\n", "NIC", title, "frames", "meaning");
			any = true;
			fprintf(f, "%-16s %-14s %14" PRIu64 "  %s\n", ctl_text(nic, "name"), r[k].name, v, r[k].what);
		}
	}
	return any;
}

static void table_drops(struct json_object *nics, FILE *f)
{
	static const struct reason drops[] = {
#define X(name, desc) { #name, desc },
		P2P_DROPS(X)
#undef X
	}, punts[] = {
#define X(name, pps, desc) { #name, desc },
		P2P_PUNTS(X)
#undef X
	};

	if (!table_reasons(nics, f, "drops", "drop", drops, P2P_ARRAY_SIZE(drops)))
		fprintf(f, "no drops\n");
	table_reasons(nics, f, "punts", "to the kernel", punts, P2P_ARRAY_SIZE(punts));
}

static void table_bytes(struct json_object *nics, FILE *f)
{
	struct json_object *nic, *ev;

	fprintf(f, "%-16s %-10s %-4s %16s %16s %14s %14s %14s %10s\n", "NIC", "state", "mode", "p2p_bytes", "host_bytes",
		"p2p_desc_bytes", "host_desc_b.", "completion_b.", "doorbells");
	EACH(i, nic, nics) {
		ev = ctl_object(nic, "events");
		fprintf(f, "%-16s %-10s %-4s %16" PRIu64 " %16" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %10" PRIu64 "\n",
			ctl_text(nic, "name"), ctl_text(nic, "state"), ctl_text(nic, "mode"), ctl_u64(nic, "p2p_bytes"),
			ctl_u64(nic, "host_bytes"), ctl_u64(ev, "p2p_desc_bytes"), ctl_u64(ev, "host_desc_bytes"),
			ctl_u64(ev, "completion_bytes"), ctl_u64(ev, "doorbells"));
	}
}

static void table_stats(struct json_object *nics, FILE *f)
{
	table_ports(nics, f);
	fputc('\n', f);
	table_bytes(nics, f);
	fputc('\n', f);
	table_drops(nics, f);
}

static void table_regs(struct json_object *nics, FILE *f)
{
	struct json_object *nic, *reg, *regs;

	fprintf(f, "%-16s %-8s %-24s %s\n", "NIC", "offset", "register", "value");
	EACH(i, nic, nics) {
		regs = ctl_array(nic, "regs");
		EACH(r, reg, regs)
			fprintf(f, "%-16s 0x%04" PRIx64 "   %-24s 0x%0*" PRIx64 "\n", ctl_text(nic, "name"), ctl_u64(reg, "offset"),
				ctl_text(reg, "name"), ctl_u64(reg, "bytes") == 8 ? 16 : 8, ctl_u64(reg, "value"));
	}
}

void show_table(enum show_view view, struct json_object *nics, FILE *f)
{
	static void (*const print[SHOW_NUM_VIEWS])(struct json_object *nics, FILE *f) = {
#define X(name, regs, help) table_##name,
		SHOW_VIEWS(X)
#undef X
	};

	print[view](nics, f);
}

/* The keys of a NIC that a view leaves out. */
static const char *const view_without[SHOW_NUM_VIEWS][6] = {
	[SHOW_nics] = { "drops", "events", "ports", "peers" },
	[SHOW_peers] = { "drops", "events", "ports", "vfio_user" },
	[SHOW_ports] = { "drops", "events", "peers", "vfio_user" },
	[SHOW_drops] = { "events", "ports", "peers", "vfio_user" },
};

struct json_object *show_json(enum show_view view, struct json_object *nics, struct json_object *workers)
{
	struct json_object *o = json_object_new_object();
	struct json_object *nic;
	unsigned int k;

	EACH(i, nic, nics)
		for (k = 0; view_without[view][k]; k++)
			if (json_object_is_type(nic, json_type_object))
				json_object_object_del(nic, view_without[view][k]);
	json_object_object_add(o, "nics", json_object_get(nics));
	if (view == SHOW_stats && workers)
		json_object_object_add(o, "workers", json_object_get(workers));
	return o;
}

void show_print_json(struct json_object *o, FILE *f)
{
	fprintf(f, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
}
