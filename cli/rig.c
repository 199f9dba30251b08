/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/bn.h"
#include "cli/place.h"
#include "cli/rig.h"
#include "faults/port.h"
#include "ports/gen.h"
#include "ports/pcap.h"
#include "sock/bell.h"

#define RIG_READY_NS 5000000000ull
/* Looks at 5 ms intervals at which nothing may have changed: with nothing in hand, with something. */
#define RIG_STILL 4
#define RIG_STILL_HELD 60
/* What glibc begins with. */
#define RIG_MAP_BYTES (128 * 1024)

int rig_create(struct rig **out, const struct rig_opts *opts)
{
	struct rig *r;

	/*
	 * A session's state is hundreds of KiB, of another size in the next session.  Left to itself the allocator takes from its heap
	 * whatever is as large as the largest that was ever freed, and the heap is full of holes soon.
	 */
	mallopt(M_MMAP_THRESHOLD, RIG_MAP_BYTES);
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->opts = *opts;
	if (!r->opts.queues)
		r->opts.queues = 1;
	*out = r;
	return 0;
}

static void rig_close_ports(struct rig_nic *nic)
{
	unsigned int p;

	for (p = 0; p < nic->ports; p++)
		if (nic->port[p])
			nic->port[p]->ops->close(nic->port[p]);
	nic->ports = 0;
}

int rig_parse_faults(struct rig_opts *opts, const struct cli_list *rules, char err[CLI_ERR_MAX])
{
	char why[FAULT_ERR_MAX];
	unsigned int k;
	int rc = 0;

	for (k = 0; k < rules->n && !rc; k++)
		rc = fault_add(&opts->faults, rules->item[k].text, why);
	if (rc)
		snprintf(err, CLI_ERR_MAX, "--fault: %s", why);
	return rc;
}

/* FNV-1a: NICs of other names have other random numbers, in whatever process they are. */
static uint64_t rig_name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 0x100000001b3ull;
	return h;
}

/* --group is for memif servers, too, where their spec does not name one. */
static int rig_open_port(const struct rig *r, struct port **out, const char *text, char err[PORT_ERR_MAX])
{
	struct port_spec spec;
	char longer[sizeof(spec.text) + 32];
	const char *role;

	if (!r->opts.trust.group || port_spec_parse(&spec, text, err) || strcmp(spec.scheme, "memif"))
		return port_open(out, text, err);
	role = port_spec_get(&spec, "role");
	if (!role || strcmp(role, "server") || port_spec_get(&spec, "group"))
		return port_open(out, text, err);
	snprintf(longer, sizeof(longer), "%s,group=%u", text, r->opts.trust.gid);
	return port_open(out, longer, err);
}

int rig_add_nic(struct rig *r, const char *name, const char *const *specs, unsigned int n, char err[CLI_ERR_MAX])
{
	struct rig_nic *nic = &r->nic[r->n];
	struct soft_nic_opts o = { .mem_bytes = r->opts.mem_bytes, .buf_size = r->opts.buf_size, .ports = n,
				   .queues = r->opts.queues, .fault_seed = rig_name_hash(name),
				   .faults = r->opts.faults.n ? &r->opts.faults : NULL };
	char why[PORT_ERR_MAX > SOFT_ERR_MAX ? PORT_ERR_MAX : SOFT_ERR_MAX];
	int rc;

	if (r->n == P2P_MAX_NICS) {
		snprintf(err, CLI_ERR_MAX, "more than %d NICs", P2P_MAX_NICS);
		return -EINVAL;
	}
	if (!n || n > P2P_MAX_PORTS) {
		snprintf(err, CLI_ERR_MAX, "NIC %.60s has %u ports; give it 1 to %d with --port", name, n, P2P_MAX_PORTS);
		return -EINVAL;
	}
	/* Before the sandbox, which has no rights for it; the workers are made in there. */
	rc = bell_open(why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", why);
		return rc;
	}
	memset(nic, 0, sizeof(*nic));
	snprintf(nic->name, sizeof(nic->name), "%s", name);
	for (; nic->ports < n; nic->ports++) {
		rc = rig_open_port(r, &nic->port[nic->ports], specs[nic->ports], why);
		if (rc) {
			snprintf(err, CLI_ERR_MAX, "%s", why);
			goto close_ports;
		}
		rc = fault_port(nic->port[nic->ports], &r->opts.faults, o.fault_seed + nic->ports);
		if (rc) {
			nic->ports++;
			snprintf(err, CLI_ERR_MAX, "out of memory");
			goto close_ports;
		}
		o.port[nic->ports] = nic->port[nic->ports];
	}
	o.name = nic->name;
	rc = soft_nic_create(&nic->soft, &o, why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", why);
		goto close_ports;
	}
	r->n++;
	return 0;

close_ports:
	rig_close_ports(nic);
	return rc;
}

static unsigned int rig_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

static int rig_make_worker(struct rig *r, char err[CLI_ERR_MAX])
{
	struct soft_worker_opts o = { .core = -1, .poll = r->opts.poll };
	char why[SOFT_ERR_MAX];
	int rc;

	if (r->opts.cores)
		o.core = r->opts.core[r->workers % r->opts.cores];
	rc = soft_worker_create(&r->worker[r->workers], &o, why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", why);
		return rc;
	}
	rc = r->ctl ? soft_ctl_add_worker(r->ctl, r->worker[r->workers]) : 0;
	r->workers++;
	if (rc)
		snprintf(err, CLI_ERR_MAX, "a control socket tells of no more workers");
	return rc;
}

/* bn's host loop has a worker of its own where there is a CPU for it, else it shares the last. */
static int rig_make_workers(struct rig *r, char err[CLI_ERR_MAX])
{
	unsigned int cpus = r->opts.cores ? r->opts.cores : rig_cpus(), want = r->opts.workers;
	unsigned int most = r->n * r->opts.queues < RIG_MAX_CORES ? r->n * r->opts.queues : RIG_MAX_CORES;
	int rc = 0;

	if (!want || r->opts.cores)
		want = cpus;
	if (want > most)
		want = most;
	while (!rc && r->workers < want)
		rc = rig_make_worker(r, err);
	if (!rc && r->bn && want == most && want < cpus)
		rc = rig_make_worker(r, err);
	if (!rc && r->bn) {
		rc = bn_attach(r->bn, r->worker[r->workers - 1]);
		if (rc)
			snprintf(err, CLI_ERR_MAX, "bn: attaching the host loop to a worker failed: %s", strerror(-rc));
	}
	r->nic_workers = want;
	return rc;
}

static int rig_attach(struct rig *r, char err[CLI_ERR_MAX])
{
	unsigned int place[P2P_MAX_NICS * P2P_MAX_QUEUES], queues = r->opts.queues, i;
	int rc;

	place_queues(r->pairs, r->num_pairs, r->n, queues, r->nic_workers, place);
	for (i = 0; i < r->n * queues; i++) {
		struct rig_nic *nic = &r->nic[i / queues];
		struct soft_worker *w = r->worker[place[i]];

		rc = soft_worker_attach(w, nic->soft, i % queues);
		if (rc) {
			snprintf(err, CLI_ERR_MAX, "%s: attaching it to a worker failed: %s", nic->name, strerror(-rc));
			return rc;
		}
		nic->worker[i % queues] = w;
	}
	return 0;
}

int rig_start(struct rig *r, char err[CLI_ERR_MAX])
{
	unsigned int i;
	int rc;

	rc = r->ctl ? soft_ctl_start(r->ctl) : 0;
	if (rc)
		snprintf(err, CLI_ERR_MAX, "starting the control socket failed: %s", strerror(-rc));
	if (!rc)
		rc = rig_make_workers(r, err);
	if (!rc)
		rc = rig_attach(r, err);
	for (i = 0; !rc && i < r->workers; i++) {
		rc = soft_worker_start(r->worker[i]);
		if (rc)
			snprintf(err, CLI_ERR_MAX, "starting a worker failed: %s", strerror(-rc));
	}
	if (rc)
		rig_stop(r);
	return rc;
}

void rig_stop(struct rig *r)
{
	unsigned int i, q;

	for (i = 0; i < r->workers; i++)
		soft_worker_stop(r->worker[i]);
	for (i = 0; i < r->n; i++) {
		for (q = 0; q < r->opts.queues; q++) {
			if (r->nic[i].worker[q])
				soft_worker_detach(r->nic[i].worker[q], r->nic[i].soft, q);
			r->nic[i].worker[q] = NULL;
		}
	}
	for (i = 0; i < r->workers; i++) {
		if (r->ctl)
			soft_ctl_remove_worker(r->ctl, r->worker[i]);
		soft_worker_destroy(r->worker[i]);
	}
	r->workers = 0;
}

int rig_serve(struct rig *r, const char *path, char err[CLI_ERR_MAX])
{
	char why[SOFT_ERR_MAX];
	unsigned int i;
	int rc;

	rc = soft_ctl_create(&r->ctl, path, &r->opts.trust, why);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", why);
		return rc;
	}
	for (i = 0; i < r->n; i++) {
		rc = soft_ctl_add(r->ctl, r->nic[i].soft);
		if (rc) {
			snprintf(err, CLI_ERR_MAX, "%s: %s", path, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

static void rig_pause(struct rig *r, bool pause)
{
	unsigned int i, p;

	for (i = 0; i < r->n; i++)
		for (p = 0; p < r->nic[i].ports; p++)
			if (port_is_gen(r->nic[i].port[p]))
				port_gen_pause(r->nic[i].port[p], pause);
}

void rig_go(struct rig *r)
{
	rig_pause(r, false);
}

int rig_up(struct rig *r, const struct drv_opts *o, char note[DRV_ERR_MAX], char err[CLI_ERR_MAX])
{
	struct transport *t;
	unsigned int i;
	int rc;

	rig_pause(r, true);
	rc = drv_create(&r->drv);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "out of memory");
		return rc;
	}
	for (i = 0; !rc && i < r->n; i++) {
		rc = transport_local_open(&t, &soft_function_ops, r->nic[i].soft);
		if (!rc)
			rc = drv_add(r->drv, t, r->nic[i].name);
	}
	if (!rc)
		rc = drv_bring_up(r->drv, o);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", *drv_error(r->drv) ? drv_error(r->drv) : strerror(-rc));
		goto down;
	}
	r->pairs = o->pairs;
	r->num_pairs = o->num_pairs;
	rc = bn_create(&r->bn, r->drv, r->opts.poll, err);
	if (!rc)
		rc = rig_start(r, err);
	if (rc)
		goto down;
	rc = drv_wait_ready(r->drv, RIG_READY_NS);
	if (rc) {
		snprintf(err, CLI_ERR_MAX, "%s", drv_error(r->drv));
		goto down;
	}
	snprintf(note, DRV_ERR_MAX, "%s", r->drv->note);
	return 0;

down:
	rig_down(r);
	return rc;
}

void rig_down(struct rig *r)
{
	if (!r->drv)
		return;
	drv_down(r->drv);
	rig_stop(r);
	bn_destroy(r->bn);
	r->bn = NULL;
	drv_destroy(r->drv);
	r->drv = NULL;
}

int rig_finish(struct rig *r, char err[CLI_ERR_MAX])
{
	char why[PORT_ERR_MAX];
	unsigned int i, p;
	int rc, first = 0;

	for (i = 0; i < r->n; i++) {
		for (p = 0; p < r->nic[i].ports; p++) {
			struct port *port = r->nic[i].port[p];

			rc = port->ops->finish ? port->ops->finish(port, why) : 0;
			if (rc && !first) {
				first = rc;
				snprintf(err, CLI_ERR_MAX, "%s", why);
			}
		}
	}
	return first;
}

void rig_destroy(struct rig *r)
{
	unsigned int i;

	if (!r)
		return;
	soft_ctl_destroy(r->ctl);
	r->ctl = NULL;
	rig_down(r);
	rig_stop(r);
	for (i = 0; i < r->n; i++) {
		soft_nic_destroy(r->nic[i].soft);
		rig_close_ports(&r->nic[i]);
	}
	free(r);
}

void rig_totals(struct rig *r, struct rig_totals *t)
{
	struct bn_host_stats host = bn_stats(r->bn);
	struct soft_nic_stats s;
	unsigned int i, p, k;

	memset(t, 0, sizeof(*t));
	for (k = 0; k < P2P_NUM_DROPS; k++)
		t->drops += host.drops[k];
	/* Summed over the NICs, what went into rings and has not come out; the host takes some and adds some. */
	t->held = host.flood_copies - t->drops;
	t->events[P2P_EV_flood_copies] = host.flood_copies;
	t->host_desc_bytes = host.desc_bytes;
	t->host_doorbell_bytes = host.doorbell_bytes;
	for (i = 0; i < r->n; i++) {
		soft_nic_stats(r->nic[i].soft, &s);
		for (p = 0; p < s.ports; p++) {
			t->rx_frames += s.port[p].s.rx_frames;
			t->rx_bytes += s.port[p].s.rx_bytes;
			t->tx_frames += s.port[p].s.tx_frames;
			t->tx_bytes += s.port[p].s.tx_bytes;
			t->copies += s.port[p].s.copies;
			t->tx_lost += s.port[p].s.tx_lost;
			t->tx_error += s.port[p].s.tx_error;
		}
		for (k = 0; k < P2P_NUM_DROPS; k++)
			t->drops += s.drops[k];
		for (k = 0; k < P2P_NUM_EVENTS; k++)
			t->events[k] += s.events[k];
		t->held += s.held;
	}
}

static bool rig_quiet(struct rig *r)
{
	unsigned int i, p;

	for (i = 0; i < r->n; i++)
		for (p = 0; p < r->nic[i].ports; p++)
			if (!port_pcap_quiet(r->nic[i].port[p]) ||
			    (port_is_gen(r->nic[i].port[p]) && !port_gen_quiet(r->nic[i].port[p])))
				return false;
	return true;
}

static int rig_look(struct soft_nic *soft, void *arg)
{
	return 0;
}

/* What NICs hold is published after calls: none of them may be busy elsewhere and look idle. */
static void rig_fresh_totals(struct rig *r, struct rig_totals *t)
{
	unsigned int i;

	for (i = 0; i < r->n; i++)
		soft_nic_call(r->nic[i].soft, rig_look, NULL);
	rig_totals(r, t);
}

bool rig_drain(struct rig *r, uint64_t timeout_ns)
{
	const struct timespec nap = { 0, 5000000 };
	uint64_t end = soft_now_ns() + timeout_ns;
	struct rig_totals now, before;
	unsigned int same = 0;

	rig_pause(r, true);
	rig_fresh_totals(r, &before);
	now = before;
	while (same < (now.held ? RIG_STILL_HELD : RIG_STILL)) {
		if (soft_now_ns() >= end)
			return false;
		nanosleep(&nap, NULL);
		rig_fresh_totals(r, &now);
		same = rig_quiet(r) && now.rx_frames == before.rx_frames && now.tx_frames == before.tx_frames &&
				       now.drops == before.drops ? same + 1 : 0;
		before = now;
	}
	return true;
}

struct rig_end {
	const struct rig_nic *nic;
	bool any, all;
};

static int rig_look_for_end(struct soft_nic *soft, void *arg)
{
	struct rig_end *e = arg;
	unsigned int p;

	for (p = 0; p < e->nic->ports; p++) {
		struct port *port = e->nic->port[p];

		if (!port->ops->exhausted)
			continue;
		e->any = true;
		e->all = e->all && port->ops->exhausted(port);
	}
	return 0;
}

/* A call wakes the NIC's worker: only where it may learn something. */
static bool rig_may_end(const struct rig_nic *nic)
{
	unsigned int p;

	for (p = 0; p < nic->ports; p++)
		if (nic->port[p]->ops->exhausted)
			return true;
	return false;
}

bool rig_exhausted(struct rig *r, bool *any)
{
	struct rig_end e = { .all = true };
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		e.nic = &r->nic[i];
		if (!rig_may_end(e.nic))
			continue;
		soft_nic_call(r->nic[i].soft, rig_look_for_end, &e);
	}
	*any = e.any;
	return e.any && e.all;
}

uint64_t rig_cpu_ns(const struct rig *r)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < r->workers; i++)
		sum += soft_worker_cpu_ns(r->worker[i]);
	return sum;
}

int rig_parse_cores(struct rig_opts *o, const char *text, char err[CLI_ERR_MAX])
{
	const char *s = text;
	unsigned long a, b;
	char *end;

	o->cores = 0;
	while (isdigit((unsigned char)*s)) {
		a = b = strtoul(s, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			b = strtoul(end + 1, &end, 10);
		if ((*end && *end != ',') || b < a || b > 4095 || o->cores + (b - a) >= RIG_MAX_CORES)
			break;
		for (; a <= b; a++)
			o->core[o->cores++] = (int)a;
		if (!*end)
			return 0;
		s = end + 1;
	}
	snprintf(err, CLI_ERR_MAX, "--cores %.100s: give core numbers and ranges, as 0,2-3", text);
	return -EINVAL;
}
