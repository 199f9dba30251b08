/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `p2pnic run` without ports: generators on even NICs, checking sinks on odd
 * ones, paired.  Every figure is a difference of counters between two moments
 * at which nothing moved, but for the rate, which is taken in the midst.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/bn.h"
#include "cli/cli.h"
#include "cli/run.h"
#include "cli/show_table.h"
#include "ports/gen.h"
#include "ports/histogram.h"

#define MEASURE_SECONDS 27.0
#define MEASURE_DRAIN_NS 5000000000ull
#define MEASURE_LATENCY_SHARE 3 /* a third of the time */
#define MEASURE_LATENCY_RATE 10 /* a tenth of the rate */
#define MEASURE_FLOWS 16 /* per queue, where there are several: every queue gets some */
#define MEASURE_FCS 4
#define MEASURE_WIRE 24 /* FCS 4, preamble 8, gap 12 */

static const unsigned int measure_sizes[] = { 64, 512, 1518 };
static const char *const measure_modes[] = { "wr", "rd", "bn" };

struct measure {
	const struct cli_run_opts *o;
	struct rig *r;
	uint64_t phase_ns; /* of one mode and size */
	bool stop;         /* a signal came */
	struct drv_pair pair[P2P_MAX_NICS / 2];
};

struct measure_row {
	unsigned int mode, frame_bytes;
	double mpps, gbps;
	uint64_t p50_ns, p99_ns, latency_pps;
	double copies, p2p_bytes, host_bytes;
	double p2p_desc, host_desc, completion, control, doorbells; /* bytes per packet; doorbells: a count */
	double cpu_desc, cpu_doorbell; /* bn: what the host's CPU moves */
	uint64_t frames, lost, corrupted, reordered, duplicated;
};

static struct port *measure_gen(struct measure *m, unsigned int pair)
{
	return m->r->nic[2 * pair].port[0];
}

static struct port *measure_sink(struct measure *m, unsigned int pair)
{
	return m->r->nic[2 * pair + 1].port[0];
}

static int measure_set(struct measure *m, const char *size, uint64_t rate_pps, char err[CLI_ERR_MAX])
{
	unsigned int k;
	int rc;

	for (k = 0; k < m->r->n; k++)
		port_gen_reset_stats(m->r->nic[k].port[0]);
	for (k = 0; k < m->r->n / 2; k++) {
		rc = port_gen_set(measure_gen(m, k), size, rate_pps, 0);
		if (rc) {
			snprintf(err, CLI_ERR_MAX, "frames of %s bytes do not fit: %s; give a larger --buf-size",
				 size ? size : "these", strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static void measure_go(struct measure *m)
{
	unsigned int k;

	for (k = 0; k < m->r->n / 2; k++)
		port_gen_pause(measure_gen(m, k), false);
}

static int measure_drain(struct measure *m, char err[CLI_ERR_MAX])
{
	struct rig_totals t;

	if (rig_drain(m->r, MEASURE_DRAIN_NS))
		return 0;
	rig_totals(m->r, &t);
	snprintf(err, CLI_ERR_MAX, "frames do not come out: %" PRIu64 " in, %" PRIu64 " out, %" PRIu64 " dropped, %" PRIu64
		 " in hand; see `p2pnic show stats`", t.rx_frames, t.tx_frames, t.drops, t.held);
	return -EIO;
}

static void measure_nap(struct measure *m, uint64_t ns)
{
	if (!m->stop && cli_signal_wait(ns))
		m->stop = true;
}

static void measure_losses(struct measure *m, struct measure_row *row)
{
	struct gen_report g;
	unsigned int k;

	for (k = 0; k < m->r->n / 2; k++) {
		if (port_gen_report_pair(measure_gen(m, k), measure_sink(m, k), &g))
			continue;
		row->frames += g.sent;
		row->lost += g.lost;
		row->corrupted += g.corrupted;
		row->reordered += g.reordered;
		row->duplicated += g.duplicated;
	}
}

static void measure_bytes(struct measure_row *row, const struct rig_totals *a, const struct rig_totals *b,
			  uint64_t ingress_bytes)
{
	double frames = (double)(b->tx_frames - a->tx_frames);
	double moved = 0;

	if (frames <= 0 || !ingress_bytes)
		return;
#define PER_PACKET(ev) ((double)(b->events[P2P_EV_##ev] - a->events[P2P_EV_##ev]) / frames)
	row->p2p_bytes = PER_PACKET(p2p_bytes);
	row->host_bytes = PER_PACKET(host_bytes);
	row->p2p_desc = PER_PACKET(p2p_desc_bytes);
	row->host_desc = PER_PACKET(host_desc_bytes);
	row->completion = PER_PACKET(completion_bytes);
	row->control = PER_PACKET(control_bytes);
	row->doorbells = PER_PACKET(doorbells);
	row->cpu_desc = (double)(b->host_desc_bytes - a->host_desc_bytes) / frames;
	row->cpu_doorbell = (double)(b->host_doorbell_bytes - a->host_doorbell_bytes) / frames;
	moved = (row->p2p_bytes + row->host_bytes + PER_PACKET(local_bytes)) * frames;
#undef PER_PACKET
	row->copies = moved / (double)ingress_bytes + (double)(b->copies - a->copies) / frames;
}

/* Full rate: how many frames, and what each cost. */
static int measure_throughput(struct measure *m, struct measure_row *row, const char *size, char err[CLI_ERR_MAX])
{
	uint64_t share = m->phase_ns - m->phase_ns / MEASURE_LATENCY_SHARE, warm = share / 8, t0, t1;
	struct rig_totals begin, from, to, end;
	int rc;

	rc = measure_set(m, size, 0, err);
	if (rc)
		return rc;
	rig_totals(m->r, &begin);
	measure_go(m);
	measure_nap(m, warm);
	t0 = soft_now_ns();
	rig_totals(m->r, &from);
	measure_nap(m, share - warm);
	t1 = soft_now_ns();
	rig_totals(m->r, &to);
	rc = measure_drain(m, err);
	if (rc)
		return rc;
	rig_totals(m->r, &end);
	row->mpps = (double)(to.tx_frames - from.tx_frames) * 1e3 / (double)(t1 - t0);
	row->gbps = row->mpps * (row->frame_bytes + MEASURE_WIRE) * 8 / 1e3;
	measure_bytes(row, &begin, &end, end.rx_bytes - begin.rx_bytes);
	measure_losses(m, row);
	return 0;
}

static int measure_latency(struct measure *m, struct measure_row *row, char err[CLI_ERR_MAX])
{
	struct histogram *all = calloc(1, sizeof(*all)), *one = calloc(1, sizeof(*one));
	unsigned int k, pairs = m->r->n / 2;
	int rc = -ENOMEM;

	if (!all || !one) {
		snprintf(err, CLI_ERR_MAX, "out of memory");
		goto free_histograms;
	}
	row->latency_pps = (uint64_t)(row->mpps * 1e6 / MEASURE_LATENCY_RATE);
	rc = measure_set(m, NULL, row->latency_pps / pairs ? row->latency_pps / pairs : 1, err);
	if (rc)
		goto free_histograms;
	measure_go(m);
	measure_nap(m, m->phase_ns / MEASURE_LATENCY_SHARE);
	rc = measure_drain(m, err);
	if (rc)
		goto free_histograms;
	for (k = 0; k < pairs; k++)
		if (!port_gen_latency(measure_sink(m, k), one))
			histogram_merge(all, one);
	row->p50_ns = histogram_percentile(all, 50);
	row->p99_ns = histogram_percentile(all, 99);
	measure_losses(m, row);

free_histograms:
	free(one);
	free(all);
	return rc;
}

static void measure_json(const struct measure_row *w, struct json_object *list)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "mode", json_object_new_string(measure_modes[w->mode]));
#define PUT(key, kind, v) json_object_object_add(o, key, json_object_new_##kind(v))
	PUT("frame_bytes", uint64, w->frame_bytes);
	PUT("mpps", double, w->mpps);
	PUT("gbps", double, w->gbps);
	PUT("latency_p50_ns", uint64, w->p50_ns);
	PUT("latency_p99_ns", uint64, w->p99_ns);
	PUT("latency_pps", uint64, w->latency_pps);
	PUT("copies_per_packet", double, w->copies);
	PUT("p2p_bytes_per_packet", double, w->p2p_bytes);
	PUT("host_bytes_per_packet", double, w->host_bytes);
	PUT("p2p_desc_bytes_per_packet", double, w->p2p_desc);
	PUT("host_desc_bytes_per_packet", double, w->host_desc);
	PUT("completion_bytes_per_packet", double, w->completion);
	PUT("control_bytes_per_packet", double, w->control);
	PUT("doorbells_per_packet", double, w->doorbells);
	PUT("cpu_desc_bytes_per_packet", double, w->cpu_desc);
	PUT("cpu_doorbell_bytes_per_packet", double, w->cpu_doorbell);
	PUT("frames", uint64, w->frames);
	PUT("lost", uint64, w->lost);
	PUT("corrupted", uint64, w->corrupted);
	PUT("reordered", uint64, w->reordered);
	PUT("duplicated", uint64, w->duplicated);
#undef PUT
	json_object_array_add(list, o);
}

static void measure_head(unsigned int nics, double seconds)
{
	printf("%u software NICs, %g s in all. Frames without FCS; Gb/s on the cable, with FCS, preamble and gap (+24 B).\n"
	       "Latency at a tenth of the rate. Payload, descriptor and doorbell (lines, bells) bytes are per packet.\n\n"
	       "%-4s %5s %8s %8s %8s %8s %7s %8s %8s %8s %8s %9s %5s %5s %5s\n", nics, seconds, "mode", "bytes", "Mpps", "Gb/s",
	       "p50 us", "p99 us", "copies", "p2p B", "host B", "p2p desc", "hst desc", "doorbell", "lost", "corr", "reord");
}

static void measure_line(const struct measure_row *w)
{
	printf("%-4s %5u %8.3f %8.3f %8.2f %8.2f %7.2f %8.1f %8.1f %8.2f %8.2f %9.2f %5" PRIu64 " %5" PRIu64 " %5" PRIu64 "\n",
	       measure_modes[w->mode], w->frame_bytes, w->mpps, w->gbps, (double)w->p50_ns / 1e3, (double)w->p99_ns / 1e3,
	       w->copies, w->p2p_bytes, w->host_bytes, w->p2p_desc, w->host_desc + w->cpu_desc,
	       w->completion + w->control + w->cpu_doorbell, w->lost,
	       w->corrupted, w->reordered);
	fflush(stdout);
}

static int measure_nics(struct measure *m, unsigned int nics, char err[CLI_ERR_MAX])
{
	char name[16], ctl[PATH_MAX], gen[2][64];
	const char *spec;
	unsigned int k;
	int rc = 0;

	snprintf(gen[0], sizeof(gen[0]), "gen:source,queues=%u,flows=%u", m->r->opts.queues,
		 m->r->opts.queues > 1 ? MEASURE_FLOWS * m->r->opts.queues : 1);
	snprintf(gen[1], sizeof(gen[1]), "gen:sink,tx=off,queues=%u", m->r->opts.queues);
	for (k = 0; !rc && k < nics; k++) {
		snprintf(name, sizeof(name), "nic%u", k);
		spec = gen[k % 2];
		rc = rig_add_nic(m->r, name, &spec, 1, err);
	}
	if (!rc)
		rc = run_ctl_path(ctl, sizeof(ctl), m->o, &m->r->opts.trust, err);
	if (!rc)
		rc = rig_serve(m->r, ctl, err);
	return rc ? rc : run_sandbox(m->o, ctl, err);
}

static void measure_opts(struct measure *m, struct drv_opts *d, unsigned int mode)
{
	const struct cli_run_opts *o = m->o;
	unsigned int k;

	drv_opts_init(d);
	d->mode = (enum p2p_mode)mode;
	d->batch = o->batch_set ? (uint32_t)o->batch : d->batch;
	d->stride = o->stride_set ? (uint32_t)o->stride : d->stride;
	d->slots = o->slots_set ? (uint32_t)o->slots : d->slots;
	d->rx_bufs = o->rx_bufs_set ? (uint32_t)o->rx_bufs : d->rx_bufs;
	d->backpressure = o->backpressure_set ? o->backpressure : d->backpressure;
	d->scrub = o->scrub_set ? o->scrub : d->scrub;
	d->cut = o->placement;
	d->queues = m->r->opts.queues;
	for (k = 0; k < m->r->n / 2; k++)
		m->pair[k] = (struct drv_pair){ .a = 2 * k, .b = 2 * k + 1 };
	d->pairs = m->pair;
	d->num_pairs = m->r->n / 2;
}

static int measure_size(struct measure *m, struct measure_row *row, char err[CLI_ERR_MAX])
{
	char size[16];
	int rc;

	snprintf(size, sizeof(size), "%u", row->frame_bytes + MEASURE_FCS);
	run_progress(m->o, "%s, %u bytes: throughput", measure_modes[row->mode], row->frame_bytes);
	rc = measure_throughput(m, row, size, err);
	if (rc || m->stop)
		return rc;
	run_progress(m->o, "%s, %u bytes: %.3f Mpps, latency", measure_modes[row->mode], row->frame_bytes, row->mpps);
	return measure_latency(m, row, err);
}

static int measure_mode(struct measure *m, unsigned int mode, struct json_object *list, bool *bad,
			char err[CLI_ERR_MAX])
{
	char note[DRV_ERR_MAX];
	struct drv_opts d;
	unsigned int k;
	int rc;

	measure_opts(m, &d, mode);
	rc = rig_up(m->r, &d, note, err);
	if (rc)
		return rc;
	if (*note)
		cli_note("run", "%s", note);
	for (k = 0; !rc && !m->stop && k < P2P_ARRAY_SIZE(measure_sizes); k++) {
		struct measure_row row = { .mode = mode, .frame_bytes = measure_sizes[k] };

		rc = measure_size(m, &row, err);
		run_progress_end(m->o);
		if (rc || m->stop)
			break;
		if (m->o->json)
			measure_json(&row, list);
		else
			measure_line(&row);
		*bad = *bad || (row.lost && !m->r->opts.faults.n) || row.corrupted || row.reordered || row.duplicated;
	}
	rig_down(m->r);
	return rc;
}

static int measure_all(struct measure *m, struct json_object *list, bool *bad, char err[CLI_ERR_MAX])
{
	unsigned int mode, nics = m->o->nics_set ? (unsigned int)m->o->nics : 2, modes;
	bool one = m->o->mode_set || m->o->placement; /* cut is wr's */
	double seconds = m->o->seconds_set ? m->o->seconds : MEASURE_SECONDS;
	int rc;

	modes = one ? 1 : 3;
	m->phase_ns = (uint64_t)(seconds * 1e9 / (modes * P2P_ARRAY_SIZE(measure_sizes)));
	rc = measure_nics(m, nics, err);
	if (!rc && !m->o->json)
		measure_head(nics, seconds);
	for (mode = 0; !rc && !m->stop && mode < P2P_NUM_MODES; mode++)
		if (!one || m->o->mode == mode)
			rc = measure_mode(m, mode, list, bad, err);
	return rc;
}

int run_measure(const struct cli_run_opts *o, const struct rig_opts *ro)
{
	struct json_object *out = json_object_new_object(), *list = json_object_new_array();
	struct measure m = { .o = o };
	struct rig_opts one = *ro;
	char err[CLI_ERR_MAX];
	bool bad = false;
	int rc;

	json_object_object_add(out, "results", list);
	if (o->nics_set && o->nics % 2) {
		cli_error("run", "--nics %" PRIu64 ": give an even number, each generator needs its sink", o->nics);
		json_object_put(out);
		return CLI_USAGE;
	}
	one.workers = 1; /* what a packet costs, and not how a scheduler shares CPUs; --cores says otherwise */
	rc = rig_create(&m.r, &one);
	if (rc)
		snprintf(err, sizeof(err), "out of memory");
	else
		rc = measure_all(&m, list, &bad, err);
	rig_destroy(m.r);
	if (!rc && o->json)
		show_print_json(out, stdout);
	json_object_put(out);
	if (rc)
		cli_error("run", "%s", err);
	else if (bad)
		cli_error("run", "frames were lost, damaged, duplicated or reordered: this build or machine is broken");
	return rc || bad ? CLI_FAILED : CLI_OK;
}
