/* SPDX-License-Identifier: BSD-3-Clause */
/* `p2pnic run` as the forwarder: one NIC a cable, one worker. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <p2pnic/ring.h>

#include "subject.h"

int fwd_p2pnic_available(const struct fwd_env *e, const struct fwd_subject *s, bool zero_copy, char why[FWD_ERR_MAX])
{
	if (!s->cut || e->can_cut)
		return 0;
	snprintf(why, FWD_ERR_MAX, "not available: `p2pnic run` has no --placement cut");
	return -ENOENT;
}

/*
 * Half as many slots as descriptors: enough for what is under way, and fewer lines to cross (docs/performance.md).
 * A routed port drops where a pair stops receiving: what the cable's ring can bring at once has to fit.
 */
static unsigned int p2pnic_slots(const struct fwd_forwarder *f)
{
	if (f->subject->route)
		return 2 * f->setup.ring < P2P_MAX_SLOTS ? 2 * f->setup.ring : P2P_MAX_SLOTS;
	return f->setup.ring > 2 * P2P_MIN_SLOTS ? f->setup.ring / 2 : P2P_MIN_SLOTS;
}

/* l3fwd's two, of the addresses that the generator sends to; or with many destinations all there are, or the full table. */
static void p2pnic_routes(struct fwd_args *a, const struct fwd_forwarder *f)
{
	static const char *const routes[2][2] = {
		{ "198.19.0.0/16=nic1.0,02:50:32:00:00:01", "198.18.0.0/16=nic0.0,02:50:32:00:00:00" },
		{ "0.0.0.0/1=nic1.0,02:50:32:00:00:01", "128.0.0.0/1=nic1.0,02:50:32:00:00:01" },
	};
	unsigned int k;

	fwd_arg(a, "--route");
	if (f->subject->full) {
		fwd_arg(a, "--static-route-file");
		fwd_arg(a, "%s", f->env->routes);
	}
	for (k = 0; k < 2 && !f->subject->full; k++) {
		fwd_arg(a, "--static-route");
		fwd_arg(a, "%s", routes[f->spread][k]);
	}
	for (k = 0; k < 2; k++) {
		fwd_arg(a, "--router-mac");
		fwd_arg(a, "nic%u.0=02:50:32:ff:00:0%u", k, k);
	}
}

int fwd_p2pnic_start(struct fwd_forwarder *f, char err[FWD_ERR_MAX])
{
	const struct fwd_request *req = f->env->req;
	struct fwd_proc_opts o = { .name = f->subject->name, .cpu = req->cpu_fwd };
	const char *role = req->server ? "server" : "client";
	struct fwd_args a = { 0 };
	char log[PATH_MAX];
	unsigned int k;

	snprintf(log, sizeof(log), "%s/p2pnic.log", f->env->dir);
	o.log = log;
	fwd_arg(&a, "%s", f->against ? req->against : req->self);
	fwd_arg(&a, "run");
	fwd_arg(&a, "--mode");
	fwd_arg(&a, "%s", f->subject->mode);
	if (f->subject->cut) {
		fwd_arg(&a, "--placement");
		fwd_arg(&a, "cut");
	}
	fwd_arg(&a, "--cores");
	fwd_arg(&a, "%d", req->cpu_fwd);
	if (!f->sleeps)
		fwd_arg(&a, "--poll");
	fwd_arg(&a, "--buf-size");
	fwd_arg(&a, "%u", f->setup.buf_bytes);
	fwd_arg(&a, "--slots");
	fwd_arg(&a, "%u", p2pnic_slots(f));
	for (k = 0; k < 2; k++) {
		fwd_arg(&a, "--port");
		if (req->server)
			fwd_arg(&a, "memif:%s,role=server", f->sock[k]);
		else
			fwd_arg(&a, "memif:%s,role=%s,rings=%u", f->sock[k], role, f->setup.ring);
	}
	if (f->subject->route) {
		p2pnic_routes(&a, f);
	} else {
		fwd_arg(&a, "--pair");
		fwd_arg(&a, "nic0.0=nic1.0");
	}
	fwd_arg(&a, "--ctl");
	fwd_arg(&a, "%s", f->ctl);
	return fwd_proc_start(&f->proc, &a, &o, err);
}

static uint64_t read_u64(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_int) ? json_object_get_uint64(v) : 0;
}

static struct json_object *read_array(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_is_type(v, json_type_array) ? v : NULL;
}

int fwd_p2pnic_read(struct json_object *stats, struct fwd_counts *c)
{
	struct json_object *workers = read_array(stats, "workers"), *nics = read_array(stats, "nics"), *ports;
	size_t i, k;

	*c = (struct fwd_counts){ 0 };
	if (!workers || !nics)
		return -EPROTO;
	for (i = 0; i < json_object_array_length(workers); i++)
		c->busy_cycles += read_u64(json_object_array_get_idx(workers, i), "busy_cycles");
	for (i = 0; i < json_object_array_length(nics); i++) {
		ports = read_array(json_object_array_get_idx(nics, i), "ports");
		for (k = 0; ports && k < json_object_array_length(ports); k++)
			c->frames += read_u64(json_object_array_get_idx(ports, k), "tx_frames");
	}
	return 0;
}

int fwd_p2pnic_counts(struct fwd_forwarder *f, struct fwd_counts *c, char err[FWD_ERR_MAX])
{
	struct json_object *answer;
	int rc;

	rc = f->env->req->ask(f->ctl, "{\"get\":\"stats\"}", &answer, err);
	if (rc)
		return rc;
	rc = fwd_p2pnic_read(answer, c);
	json_object_put(answer);
	if (rc)
		snprintf(err, FWD_ERR_MAX, "%s: its control socket's answer tells no cycles", f->subject->name);
	return rc;
}
