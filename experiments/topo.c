/* SPDX-License-Identifier: BSD-3-Clause */
/* From what the user said to parts with numbers. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

/* A configuration in the making. */
struct maker {
	const struct exp_spec *spec;
	struct exp_config *c;
	char *err;
	unsigned int line[EXP_MAX_NODES];
	struct exp_profile *profile[EXP_MAX_NODES]; /* each name is read once */
	char profile_name[EXP_MAX_NODES][EXP_PATH_MAX];
	unsigned int num_profiles;
};

int exp_config_find(const struct exp_config *c, const char *name)
{
	unsigned int k;

	for (k = 0; k < c->num_nodes; k++)
		if (!strcmp(c->node[k].name, name))
			return (int)k;
	return -1;
}

static int make_profile(struct maker *m, enum exp_kind kind, const char *name, unsigned int line, struct exp_node *n)
{
	struct exp_profile *p = NULL;
	char why[EXP_ERR_MAX];
	unsigned int k;
	int rc;

	for (k = 0; k < m->num_profiles; k++)
		if (m->profile[k]->kind == kind && !strcmp(m->profile_name[k], name))
			p = m->profile[k];
	if (!p) {
		rc = exp_profile_load(kind, name, &p, why);
		if (rc == -ENOENT && line)
			return exp_spec_fail(m->spec, line, "profile", m->err, "%.300s", why);
		if (rc) {
			snprintf(m->err, EXP_ERR_MAX, "%s", why);
			return rc;
		}
		snprintf(m->profile_name[m->num_profiles], EXP_PATH_MAX, "%s", name);
		m->profile[m->num_profiles++] = p;
	}
	snprintf(n->profile, sizeof(n->profile), "%s", name);
	exp_profile_fill(p, &n->p);
	return 0;
}

/* A link's generation is the older of its ends'; 0 is faster than any. */
static unsigned int older(double a, double b)
{
	if (a == 0 || b == 0)
		return (unsigned int)(a + b);
	return (unsigned int)(a < b ? a : b);
}

static double node_gen(const struct exp_node *n)
{
	return n->kind == EXP_NIC ? n->p.nic.pcie_gen : n->kind == EXP_SWITCH ? n->p.sw.pcie_gen : n->p.host.pcie_gen;
}

static double node_lanes(const struct exp_node *n)
{
	return n->kind == EXP_SWITCH ? n->p.sw.lanes : n->p.host.lanes;
}

static int make_node(struct maker *m, enum exp_kind kind, const char *name, int parent, const char *profile,
		     unsigned int ports, unsigned int width, unsigned int line)
{
	struct exp_config *c = m->c;
	struct exp_node *n = &c->node[c->num_nodes];
	int rc;

	if (c->num_nodes == EXP_MAX_NODES)
		return exp_spec_fail(m->spec, line, "ports", m->err, "more than %d parts", EXP_MAX_NODES);
	*n = (struct exp_node){ .kind = kind, .parent = parent, .ports = ports, .width = width };
	snprintf(n->name, sizeof(n->name), "%s", name);
	rc = make_profile(m, kind, *profile ? profile : m->spec->profile[kind], *profile ? line : 0, n);
	m->line[c->num_nodes] = line;
	c->num_nodes += !rc;
	return rc;
}

/* ---- built-in trees ---- */
static int make_pair(struct maker *m, unsigned int from, unsigned int to, unsigned int first_nic)
{
	const struct exp_settings *s = &m->c->s;
	struct exp_config *c = m->c;

	if (c->num_pairs == EXP_MAX_PAIRS)
		return exp_spec_fail(m->spec, 0, "ports", m->err, "more than %d pairs", EXP_MAX_PAIRS);
	c->pair[c->num_pairs++] = (struct exp_pair){ first_nic + from / s->ports_per_nic, from % s->ports_per_nic,
						     first_nic + to / s->ports_per_nic, to % s->ports_per_nic };
	c->source[c->num_sources++] =
		(struct exp_source){ .nic = first_nic + from / s->ports_per_nic, .port = from % s->ports_per_nic };
	return 0;
}

/*
 * Uniform: port k sends to its partner half a group away; the group is all ports, and in two-switches by
 * turns one switch's and both switches', so that every other frame crosses the root complex.
 */
static unsigned int partner(const struct exp_settings *s, unsigned int k)
{
	unsigned int half = s->ports / 2, in = k % half, side = k / half;

	if (s->topology != EXP_TOPO_TWO_SWITCHES)
		return (k + half) % s->ports;
	if (s->pattern == EXP_PATTERN_LOCAL)
		return side * half + (in + 1) % half;
	if (in % 2 || half < 3)
		return (1 - side) * half + in;
	/* The even ones of a side in a ring. */
	return side * half + (in + 2 < half ? in + 2 : 0);
}

static int make_pairs(struct maker *m, unsigned int first_nic)
{
	const struct exp_settings *s = &m->c->s;
	unsigned int k;
	int rc = 0;

	if (s->topology == EXP_TOPO_REFERENCE)
		return make_pair(m, 0, s->ports_per_nic, first_nic);
	for (k = 0; !rc && k < s->ports; k++) {
		if (s->pattern != EXP_PATTERN_INCAST)
			rc = make_pair(m, k, partner(s, k), first_nic);
		else if (k)
			rc = make_pair(m, k, 0, first_nic);
	}
	return rc;
}

/* The widest upstream link that the lanes leave room for. */
static unsigned int upstream_width(const struct exp_node *sw, unsigned int used)
{
	unsigned int w = 16, lanes = (unsigned int)sw->p.sw.lanes;

	while (w > 1 && lanes && used + w > lanes)
		w /= 2;
	return lanes && used + w > lanes ? 16 : w;
}

static int make_builtin(struct maker *m)
{
	const struct exp_settings *s = &m->c->s;
	unsigned int switches = s->topology == EXP_TOPO_ROOT ? 0 : s->topology == EXP_TOPO_TWO_SWITCHES ? 2 : 1;
	unsigned int nics, k, first = 1 + switches;
	char name[FAB_NAME_MAX];
	int rc;

	nics = s->topology == EXP_TOPO_REFERENCE ? 2 : s->ports / s->ports_per_nic;
	if (s->topology != EXP_TOPO_REFERENCE &&
	    (s->ports % s->ports_per_nic || nics < 2 ||
	     (switches == 2 && (nics % 2 || (nics < 4 && s->pattern == EXP_PATTERN_LOCAL)))))
		return exp_spec_fail(m->spec, 0, "ports", m->err, "%u ports can't be shared out to NICs of %u; give %s",
				     s->ports, s->ports_per_nic,
				     switches == 2 ? "an even number of NICs" : "two NICs at least");
	rc = make_node(m, EXP_HOST, "host", -1, "", 0, 0, 0);
	for (k = 0; !rc && k < switches; k++) {
		snprintf(name, sizeof(name), "switch%u", k);
		rc = make_node(m, EXP_SWITCH, name, 0, "", 0, 0, 0);
	}
	for (k = 0; !rc && k < nics; k++) {
		snprintf(name, sizeof(name), "nic%u", k);
		rc = make_node(m, EXP_NIC, name, switches ? 1 + (int)(k * switches / nics) : 0, "", s->ports_per_nic, 0,
			       0);
	}
	return rc ? rc : make_pairs(m, first);
}

/* ---- a file's tree ---- */
static int find_part(const struct exp_spec *spec, const char *name)
{
	unsigned int k;

	for (k = 0; k < spec->num_parts; k++)
		if (!strcmp(spec->part[k].name, name))
			return (int)k;
	return -1;
}

static int check_part(struct maker *m, unsigned int k, int *root)
{
	const struct exp_spec *spec = m->spec;
	const struct exp_part *p = &spec->part[k];
	unsigned int steps;
	int up = (int)k;

	if (find_part(spec, p->name) != (int)k)
		return exp_spec_fail(spec, p->line, "name", m->err,
				     "'%s' is there twice; give each part a name of its own", p->name);
	if (!*p->parent) {
		if (*root >= 0)
			return exp_spec_fail(spec, p->line, "parent", m->err,
					     "'%s' and '%s' are both roots; give one of them a parent",
					     spec->part[*root].name, p->name);
		*root = (int)k;
	}
	for (steps = 0; *spec->part[up].parent; steps++) {
		int above = find_part(spec, spec->part[up].parent);

		if (above < 0)
			return exp_spec_fail(spec, spec->part[up].line, "parent", m->err, "there is no part '%s'",
					     spec->part[up].parent);
		if (spec->part[above].kind == EXP_NIC)
			return exp_spec_fail(spec, spec->part[up].line, "parent", m->err,
					     "'%s' is a NIC; only hosts and switches have ports",
					     spec->part[above].name);
		if (above == (int)k || steps > spec->num_parts)
			return exp_spec_fail(spec, p->line, "parent", m->err, "a loop: '%s' is its own ancestor",
					     spec->part[above].name);
		up = above;
	}
	return 0;
}

static int make_end(struct maker *m, const struct exp_end *e, unsigned int line, const char *key, unsigned int *nic,
		    unsigned int *port)
{
	int k = exp_config_find(m->c, e->nic);

	if (k < 0 || m->c->node[k].kind != EXP_NIC)
		return exp_spec_fail(m->spec, line, key, m->err, "there is no NIC '%s'", e->nic);
	if (e->port >= m->c->node[k].ports)
		return exp_spec_fail(m->spec, line, key, m->err, "'%s' has no port %u, it has %u", e->nic, e->port,
				     m->c->node[k].ports);
	*nic = (unsigned int)k;
	*port = e->port;
	return 0;
}

static int make_file_flows(struct maker *m)
{
	const struct exp_spec *spec = m->spec;
	struct exp_config *c = m->c;
	unsigned int k, j;
	int rc;

	for (k = 0; k < spec->num_joins; k++) {
		const struct exp_join *join = &spec->join[k];
		struct exp_pair *p = &c->pair[k];

		rc = make_end(m, &join->from, join->line, "from", &p->nic, &p->port);
		if (!rc)
			rc = make_end(m, &join->to, join->line, "to", &p->to_nic, &p->to_port);
		if (rc)
			return rc;
		if (p->nic == p->to_nic && p->port == p->to_port)
			return exp_spec_fail(spec, join->line, "pairs", m->err, "port %s.%u is paired with itself",
					     join->from.nic, p->port);
		for (j = 0; j < k; j++)
			if (c->pair[j].nic == p->nic && c->pair[j].port == p->port)
				return exp_spec_fail(spec, join->line, "from", m->err, "port %s.%u is in two pairs",
						     join->from.nic, p->port);
		c->num_pairs++;
	}
	for (k = 0; k < spec->num_loads; k++) {
		const struct exp_load *l = &spec->load[k];
		struct exp_source *s = &c->source[k];

		rc = make_end(m, &l->at, l->line, "port", &s->nic, &s->port);
		if (rc)
			return rc;
		for (j = 0; j < c->num_pairs && (c->pair[j].nic != s->nic || c->pair[j].port != s->port); j++)
			;
		if (j == c->num_pairs)
			return exp_spec_fail(spec, l->line, "port", m->err,
					     "port %s.%u is in no pair; what comes in there goes nowhere", l->at.nic,
					     s->port);
		for (j = 0; j < k; j++)
			if (c->source[j].nic == s->nic && c->source[j].port == s->port)
				return exp_spec_fail(spec, l->line, "port", m->err, "port %s.%u has two sources",
						     l->at.nic, s->port);
		s->gbps = l->gbps;
		s->frame_bytes = l->frame_bytes;
		s->flows = l->flows;
		s->arrival = l->arrival;
		c->num_sources++;
	}
	if (!c->num_sources)
		return exp_spec_fail(spec, 1, "traffic", m->err,
				     "nothing is sent; give traffic = ( { port = \"nic0.0\"; } )");
	return 0;
}

static int make_from_file(struct maker *m)
{
	const struct exp_spec *spec = m->spec;
	int root = -1, rc = 0, parent;
	bool more = true;
	unsigned int k;

	if (!spec->num_parts)
		return exp_spec_fail(spec, 1, "nics", m->err,
				     "no parts; the topology 'file' needs a file that lists nics and pairs");
	for (k = 0; !rc && k < spec->num_parts; k++)
		rc = check_part(m, k, &root);
	if (rc)
		return rc;
	if (spec->part[root].kind == EXP_NIC)
		return exp_spec_fail(spec, spec->part[root].line, "parent", m->err,
				     "'%s' has no parent; a NIC is never the root", spec->part[root].name);
	/* Parents first: as many rounds as the tree is deep. */
	while (!rc && more) {
		more = false;
		for (k = 0; !rc && k < spec->num_parts; k++) {
			const struct exp_part *p = &spec->part[k];

			if (exp_config_find(m->c, p->name) >= 0)
				continue;
			parent = *p->parent ? exp_config_find(m->c, p->parent) : -1;
			if (*p->parent && parent < 0)
				continue;
			rc = make_node(m, p->kind, p->name, parent, p->profile, p->kind == EXP_NIC ? p->ports : 0,
				       p->width, p->line);
			more = true;
		}
	}
	return rc ? rc : make_file_flows(m);
}

/* ---- both ---- */
static int make_overrides(struct maker *m)
{
	const struct exp_spec *spec = m->spec;
	struct exp_config *c = m->c;
	unsigned int k, i, hits;

	for (k = 0; k < spec->num_overrides; k++) {
		const struct exp_override *o = &spec->override[k];
		const char *dot = strrchr(o->key, '.');
		size_t len = (size_t)(dot - o->key);
		int kind = exp_kind_find(o->key, len), par;

		for (i = hits = 0; i < c->num_nodes; i++) {
			struct exp_node *n = &c->node[i];
			const struct exp_param *list;
			unsigned int num;
			char why[160];

			if (kind >= 0 ? (int)n->kind != kind : strlen(n->name) != len || strncmp(n->name, o->key, len))
				continue;
			hits++;
			par = exp_param_find(n->kind, dot + 1);
			if (par < 0)
				return exp_spec_fail(spec, o->line, o->key, m->err, "a %s has no parameter '%s'",
						     exp_kinds[n->kind], dot + 1);
			list = exp_params(n->kind, &num);
			if (exp_param_refuse(&list[par], o->value, why))
				return exp_spec_fail(spec, o->line, o->key, m->err, "%s", why);
			((double *)&n->p)[par] = o->value;
		}
		if (!hits && kind < 0)
			return exp_spec_fail(spec, o->line, o->key, m->err, "there is no part '%.*s'", (int)len,
					     o->key);
	}
	return 0;
}

/* Widths, generations, budgets. */
static int make_links(struct maker *m, bool any_lanes)
{
	struct exp_config *c = m->c;
	unsigned int used[EXP_MAX_NODES] = { 0 };
	unsigned int k;

	for (k = c->num_nodes; k-- > 0;) {
		struct exp_node *n = &c->node[k];

		if (n->parent < 0)
			continue;
		if (!n->width)
			n->width = n->kind == EXP_NIC ? (unsigned int)n->p.nic.pcie_width : upstream_width(n, used[k]);
		n->gen = older(node_gen(n), node_gen(&c->node[n->parent]));
		if (!n->width && n->gen)
			n->width = 16;
		used[k] += n->width;
		used[n->parent] += n->width;
	}
	for (k = 0; k < c->num_nodes; k++) {
		struct exp_node *n = &c->node[k];

		if (n->kind == EXP_NIC || !node_lanes(n) || used[k] <= node_lanes(n))
			continue;
		if (!any_lanes)
			return exp_spec_fail(m->spec, m->line[k], "lanes", m->err,
					     "'%s' has %g lanes (profile %s), its links need %u, upstream included",
					     n->name, node_lanes(n), n->profile, used[k]);
		if (!c->lanes_short) {
			c->lanes_short = k + 1;
			c->lanes_used = used[k];
			c->lanes_budget = (unsigned int)node_lanes(n);
		}
		if (n->kind == EXP_SWITCH)
			n->p.sw.lanes = 0;
		else
			n->p.host.lanes = 0;
	}
	return 0;
}

static int make_sources(struct maker *m)
{
	struct exp_config *c = m->c;
	unsigned int k;

	for (k = 0; k < c->num_sources; k++) {
		struct exp_source *s = &c->source[k];
		const struct exp_node *n = &c->node[s->nic];
		unsigned int line = k < m->spec->num_loads ? m->spec->load[k].line : 0;
		double mac = n->p.nic.mac_gbps;

		if (!s->frame_bytes)
			s->frame_bytes = c->s.frame_bytes;
		if (!s->flows)
			s->flows = c->s.flows;
		if (s->arrival == UINT_MAX || !m->spec->num_loads)
			s->arrival = c->s.arrival;
		if (s->gbps == 0)
			s->gbps = c->s.gbps != 0 ? c->s.gbps : mac * c->s.load / 100;
		if (s->gbps <= 0)
			return exp_spec_fail(m->spec, line, "gbps", m->err,
					     "a rate of zero at %s.%u, whose port has no rate of its own; give one",
					     n->name, s->port);
		if (mac != 0 && s->gbps > mac)
			return exp_spec_fail(m->spec, line, "gbps", m->err,
					     "%g Gb/s don't go through port %s.%u of %g Gb/s", s->gbps, n->name,
					     s->port, mac);
	}
	return 0;
}

static int make_checks(struct maker *m)
{
	const struct exp_config *c = m->c;
	unsigned int k, nics = 0;

	for (k = 0; k < c->num_nodes; k++)
		nics += c->node[k].kind == EXP_NIC;
	if (!nics)
		return exp_spec_fail(m->spec, 1, "nics", m->err, "no NICs");
	if (exp_is_firmware(c->s.method) && nics > P2P_MAX_NICS)
		return exp_spec_fail(m->spec, 0, "ports", m->err,
				     "%u NICs, a mesh has at most %d; give more ports_per_nic", nics, P2P_MAX_NICS);
	if (c->s.routed && c->s.method != EXP_WR && c->s.method != EXP_RD)
		return exp_spec_fail(m->spec, 0, "routed", m->err, "%s: NICs route in wr and rd alone", exp_methods[c->s.method]);
	if (exp_needs_host(c->s.method) && c->node[0].kind != EXP_HOST)
		return exp_spec_fail(m->spec, m->line[0], "host", m->err,
				     "%s forwards through a host, and there is none", exp_methods[c->s.method]);
	return 0;
}

int exp_config_make(const struct exp_spec *spec, bool any_lanes, struct exp_config *c, char err[EXP_ERR_MAX])
{
	struct maker *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		snprintf(err, EXP_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	memset(c, 0, sizeof(*c));
	m->spec = spec;
	m->c = c;
	m->err = err;
	c->s = spec->s;
	rc = c->s.topology == EXP_TOPO_FILE ? make_from_file(m) : make_builtin(m);
	if (!rc)
		rc = make_overrides(m);
	if (!rc)
		rc = make_links(m, any_lanes);
	if (!rc)
		rc = make_checks(m);
	if (!rc)
		rc = make_sources(m);
	while (m->num_profiles)
		exp_profile_free(m->profile[--m->num_profiles]);
	free(m);
	return rc;
}

/* ---- a configuration's fingerprint ---- */
static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull; /* FNV-1a */
	return h;
}

uint64_t exp_config_hash(const struct exp_config *c)
{
	uint64_t h = hash_text(0xcbf29ce484222325ull, P2PNIC_VERSION);
	char text[2048];
	unsigned int k, i, n;

	exp_settings_print(&c->s, text, sizeof(text));
	h = hash_text(h, text);
	for (k = 0; k < c->num_nodes; k++) {
		const struct exp_node *node = &c->node[k];

		snprintf(text, sizeof(text), "%d %s %d %u %u %u;", node->kind, node->name, node->parent, node->width,
			 node->gen, node->ports);
		h = hash_text(h, text);
		exp_params(node->kind, &n);
		for (i = 0; i < n; i++) {
			snprintf(text, sizeof(text), "%.17g,", ((const double *)&node->p)[i]);
			h = hash_text(h, text);
		}
	}
	for (k = 0; k < c->num_pairs; k++) {
		const struct exp_pair *p = &c->pair[k];

		snprintf(text, sizeof(text), "%u.%u>%u.%u;", p->nic, p->port, p->to_nic, p->to_port);
		h = hash_text(h, text);
	}
	for (k = 0; k < c->num_sources; k++) {
		const struct exp_source *s = &c->source[k];

		snprintf(text, sizeof(text), "%u.%u %.17g %u %u %u;", s->nic, s->port, s->gbps, s->frame_bytes,
			 s->arrival, s->flows);
		h = hash_text(h, text);
	}
	return h;
}
