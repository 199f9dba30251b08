/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "experiments/table.h"

static void put_number(struct json_object *o, const char *key, double v, unsigned int decimals)
{
	json_object_object_add(o, key, isnan(v) ? NULL : exp_json_number(v, decimals));
}

static void put_text(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

static void put_bool(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

static void put_u64(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static struct json_object *json_latency(const struct fwd_row *r)
{
	struct json_object *o = json_object_new_object(), *load;
	unsigned int l;

	for (l = 0; l < FWD_NUM_LOADS; l++) {
		if (isnan(r->p50[l]))
			continue;
		load = json_object_new_object();
		put_number(load, "p50_ns", r->p50[l], 0);
		put_number(load, "p99_ns", r->p99[l], 0);
		json_object_object_add(o, fwd_load_keys[l], load);
	}
	return o;
}

static struct json_object *json_row(const struct fwd_bench *b, const struct fwd_row *r)
{
	const struct fwd_subject *s = r->e->subject;
	struct json_object *o = json_object_new_object();

	put_text(o, "subject", fwd_entry_name(r->e));
	put_bool(o, "zero_copy", r->e->zero_copy);
	put_bool(o, "against", r->e->against);
	put_u64(o, "destinations", fwd_entry_destinations(r->e));
	put_u64(o, "frame_bytes", r->frame_bytes);
	put_number(o, "mpps_median", r->mpps.median, 4);
	put_number(o, "mpps_min", r->mpps.min, 4);
	put_number(o, "mpps_max", r->mpps.max, 4);
	put_number(o, "cycles_per_packet", r->cycles, 2);
	put_text(o, "cycles_from", r->e->by_rate ? "rate" : s ? "busy" : "none");
	put_number(o, "busy_share", fwd_median(r->cell->busy, b->rounds), 3);
	put_bool(o, "generator_bound", r->generator_bound);
	put_u64(o, "lost", r->cell->lost);
	put_u64(o, "lost_saturated", r->cell->lost_saturated);
	put_u64(o, "corrupted", r->cell->corrupted);
	put_u64(o, "reordered", r->cell->reordered);
	put_u64(o, "duplicated", r->cell->duplicated);
	put_u64(o, "checked", r->cell->checked);
	put_u64(o, "ring", r->cell->setup.ring);
	if (r->cell->setup.buf_bytes)
		put_u64(o, "buf_bytes", r->cell->setup.buf_bytes);
	if (s && s->dpdk)
		put_text(o, "build", b->env.dpdk_build);
	put_u64(o, "rounds", r->mpps.n);
	put_u64(o, "repeated", r->cell->repeated);
	put_u64(o, "disturbed", r->cell->disturbed);
	json_object_object_add(o, "latency", json_latency(r));
	return o;
}

static struct json_object *json_skipped(const struct fwd_bench *b)
{
	struct json_object *list = json_object_new_array(), *o;
	unsigned int k;

	for (k = 0; k < b->n; k++) {
		if (!b->entry[k].gone)
			continue;
		o = json_object_new_object();
		put_text(o, "subject", fwd_entry_name(&b->entry[k]));
		put_bool(o, "zero_copy", b->entry[k].zero_copy);
		put_bool(o, "against", b->entry[k].against);
		put_u64(o, "destinations", fwd_entry_destinations(&b->entry[k]));
		put_text(o, "reason", b->entry[k].why);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *json_goals(const struct fwd_bench *b)
{
	static struct fwd_goal_result g[FWD_MAX_GOALS];
	struct json_object *list = json_object_new_array(), *o;
	unsigned int n = fwd_goals(b, g), i;

	for (i = 0; i < n; i++) {
		o = json_object_new_object();
		put_text(o, "ratio", g[i].what);
		put_u64(o, "frame_bytes", g[i].frame_bytes);
		put_u64(o, "destinations", g[i].destinations);
		put_text(o, "by", g[i].by);
		put_number(o, "value", g[i].value, 3);
		put_number(o, "q1", g[i].rounds.q1, 3);
		put_number(o, "q3", g[i].rounds.q3, 3);
		put_number(o, "min", g[i].rounds.min, 3);
		put_number(o, "max", g[i].rounds.max, 3);
		if (g[i].goal > 0) {
			put_number(o, "goal", g[i].goal, 2);
			put_bool(o, "at_most", g[i].at_most);
			put_bool(o, "reached", g[i].reached);
		}
		json_object_array_add(list, o);
	}
	return list;
}

struct json_object *fwd_json(const struct fwd_bench *b)
{
	struct json_object *o = json_object_new_object(), *rows = json_object_new_array();
	struct fwd_row r;
	unsigned int k, f;

	for (f = 0; f < b->req->num_frames; f++)
		for (k = 0; k < b->n; k++)
			if (fwd_row(b, k, f, &r))
				json_object_array_add(rows, json_row(b, &r));
	json_object_object_add(o, "rows", rows);
	json_object_object_add(o, "goals", json_goals(b));
	json_object_object_add(o, "skipped", json_skipped(b));
	if (b->req->against)
		put_text(o, "against", b->req->against);
	put_text(o, "generator", b->req->testpmd_drives ? "testpmd" : "tester");
	put_text(o, "role", b->req->server ? "server" : "client");
	put_u64(o, "rounds", b->rounds);
	put_number(o, "seconds", b->req->seconds, 3);
	put_u64(o, "core_generator", (uint64_t)b->req->cpu_gen);
	put_u64(o, "core_forwarder", (uint64_t)b->req->cpu_fwd);
	put_number(o, "core_distance_ns", b->distance_ns, 1);
	put_number(o, "core_pace_ns", b->pace_ns, 1);
	put_number(o, "waited_s", (double)b->waited_ns / 1e9, 1);
	if (b->env.dst) {
		put_text(o, "table", b->env.table);
		put_u64(o, "table_ip4_routes", b->env.num_routes[0]);
		put_u64(o, "table_ip6_routes", b->env.num_routes[1]);
	}
	put_text(o, "dpdk_version", b->env.dpdk_version);
	put_text(o, "dpdk_build", b->env.dpdk_build);
	put_text(o, "dpdk_pages", b->env.huge ? "2M" : "4k");
	return o;
}
