/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes, and what holds for each prefix. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "router/fib_int.h"

const char *fib_kind_text(enum fib_kind kind)
{
	static const char *const text[] = {
		[FIB_FORWARD] = "forward", [FIB_GLEAN] = "glean", [FIB_LOCAL] = "local", [FIB_PUNT] = "punt",
		[FIB_BLACKHOLE] = "blackhole", [FIB_UNREACHABLE] = "unreachable", [FIB_PROHIBIT] = "prohibit",
	};

	return (unsigned int)kind < FIB_NUM_KINDS ? text[kind] : "none";
}

int fib_create(struct fib **out, const struct fib_sink *sink, void *ctx)
{
	struct fib *r = calloc(1, sizeof(*r));
	unsigned int f;

	if (!r)
		return -ENOMEM;
	r->sink = sink;
	r->ctx = ctx;
	for (f = 0; f < 2; f++) {
		trie_init(&r->fam[f].routes, sizeof(struct rnode));
		trie_init(&r->fam[f].hosts, sizeof(struct hnode));
	}
	if (hash_init(&r->vias) || hash_init(&r->hosts) || hash_init(&r->objects) || hash_init(&r->links))
		goto destroy;
	r->punt = via_get(r, VIA_PUNT, 0, 0, NULL, 0);
	r->unreachable = via_get(r, VIA_UNREACHABLE, 0, 0, NULL, 0);
	if (!r->punt || !r->unreachable)
		goto destroy;
	*out = r;
	return 0;
destroy:
	fib_destroy(r);
	return -ENOMEM;
}

void fib_destroy(struct fib *r)
{
	struct trie_node *n;
	struct hash_link *l, *next;
	struct route *route;
	unsigned int f;

	if (!r)
		return;
	for (f = 0; f < 2; f++) {
		for (n = trie_first(&r->fam[f].routes, (struct router_addr){ 0 }, 0); n;
		     n = trie_next(n, (struct router_addr){ 0 }, 0)) {
			while ((route = ((struct rnode *)n)->routes)) {
				((struct rnode *)n)->routes = route->next;
				free(route);
			}
		}
		trie_free(&r->fam[f].routes);
		trie_free(&r->fam[f].hosts);
	}
	for (l = r->vias.slot ? hash_walk(&r->vias, NULL) : NULL; l; l = next) {
		next = hash_walk(&r->vias, l);
		free(((struct via *)l)->way);
		free(((struct via *)l)->hits);
		free(l);
	}
	if (r->links.slot)
		fib_state_free(r);
	hash_free(&r->vias);
	free(r->free_ids);
	free(r);
}

/* --- what holds for a prefix --- */

/* What a lookup in this level finds at a prefix; NULL: it goes on to a shorter one. */
static struct via *node_usable(const struct fib *r, const struct rnode *n, unsigned int level)
{
	const struct route *route;
	struct via *first = NULL;

	for (route = n->routes; route; route = route->next) {
		if (route->level != level || route->via->dead)
			continue;
		if (route->odd || route->tos)
			return r->punt;
		if (!first)
			first = route->via;
	}
	return first;
}

/* What the kernel's lookups come to at a prefix, NULL: nothing; own: routes of its own play a part. */
static struct via *node_lookup(const struct fib *r, const struct rnode *n, bool *own)
{
	const struct trie_node *at;
	struct via *v, *found = NULL;
	unsigned int level;

	*own = false;
	for (level = 0; level < 2; level++) {
		v = node_usable(r, n, level);
		*own = *own || v;
		for (at = &n->t; !found && !v && (at = trie_above(at));)
			v = node_usable(r, (const struct rnode *)at, level);
		if (!found && v && v->kind != VIA_THROW)
			found = v;
	}
	return found;
}

/* A neighbour's next hop has the MTU of the route to its network; out of memory: the one that it had. */
static struct via *host_via(struct fib *r, struct host *h, uint32_t mtu)
{
	struct via *v;

	if (h->via->mtu == mtu)
		return h->via;
	v = via_get(r, VIA_HOPS, 0, mtu, h->via->hop, 1);
	if (v) {
		via_put(r, h->via);
		h->via = v;
	}
	return h->via;
}

static struct via *node_decide(struct fib *r, const struct rnode *n)
{
	struct host *h;
	struct via *v;
	bool own;

	v = node_lookup(r, n, &own);
	for (h = n->hosts; v && h; h = h->same)
		if (via_connected(r, v, h->n.ifindex))
			return host_via(r, h, v->mtu);
	if (!own)
		return NULL;
	return v ? v : r->unreachable;
}

static struct router_prefix node_prefix(unsigned int family, const struct rnode *n)
{
	return (struct router_prefix){ .addr = n->t.addr, .family = (uint8_t)family, .len = n->t.len };
}

static void node_refused(struct fib *r, struct rnode *n, int rc)
{
	if (!n->refused)
		r->unplaced++;
	n->refused = true;
	r->unplaced_rc = rc;
}

/* Tells the sink.  On failure what it has stays, to be tried again. */
static int node_place(struct fib *r, unsigned int family, struct rnode *n, struct via *want)
{
	struct router_prefix p = node_prefix(family, n);
	struct via *old = n->placed;
	int rc;

	if (want) {
		rc = via_place(r, want);
		if (rc)
			return rc;
	}
	r->route_ops++;
	rc = want ? r->sink->route_set(r->ctx, &p, want->id) : r->sink->route_del(r->ctx, &p);
	if (rc) {
		if (want)
			via_displace(r, want);
		return rc;
	}
	n->placed = want;
	fib_family(r, family)->placed += (size_t)(want != NULL) - (size_t)(old != NULL);
	if (want)
		via_hold(want);
	if (old) {
		via_displace(r, old);
		via_put(r, old);
	}
	return 0;
}

static void node_settle(struct fib *r, unsigned int family, struct rnode *n)
{
	if (!n->routes && !n->hosts && !n->placed && !n->refused)
		trie_drop(&fib_family(r, family)->routes, &n->t);
}

bool fib_node_update(struct fib *r, unsigned int family, struct rnode *n)
{
	struct via *want = node_decide(r, n);
	/* What was refused may have kept others waiting: they are looked at again. */
	bool was_refused = n->refused, changed = want != n->placed;
	int rc = 0;

	n->check = false;
	if (changed)
		rc = node_place(r, family, n, want);
	if (rc) {
		node_refused(r, n, rc);
	} else if (n->refused) {
		n->refused = false;
		r->unplaced--;
	}
	if (!was_refused || !r->sweeping)
		node_settle(r, family, n);
	else
		n->check = true;
	return changed || was_refused;
}

/* The neighbours under a prefix follow its routes. */
static void hosts_update(struct fib *r, unsigned int family, struct router_addr a, unsigned int len)
{
	struct family *f = fib_family(r, family);
	struct trie_node *n;

	for (n = trie_first(&f->hosts, a, len); n; n = trie_next(n, a, len))
		fib_node_update(r, family, (struct rnode *)trie_find(&f->routes, n->addr, n->len));
}

/* A route of n has come, gone or changed. */
static void node_changed(struct fib *r, unsigned int family, struct rnode *n, bool deep)
{
	struct family *f = fib_family(r, family);
	struct router_addr a = n->t.addr;
	unsigned int len = n->t.len;
	struct trie_node *at, *next;
	bool changed = fib_node_update(r, family, n);

	if (len == router_family_bits(family))
		return;
	if (deep) {
		for (at = trie_first(&f->routes, a, len); at; at = next) {
			next = trie_next(at, a, len);
			if (at->len > len)
				fib_node_update(r, family, (struct rnode *)at);
		}
	} else if (changed && f->hosts.used) {
		hosts_update(r, family, a, len);
	}
}

/* --- routes --- */

/* Which lookup finds a table: false: none that we follow. */
static bool table_level(unsigned int family, uint32_t table, uint8_t *level, uint8_t *rank)
{
	*rank = family == 4 && table == RT_TABLE_MAIN;
	*level = family == 4 ? table == RT_TABLE_DEFAULT : table == RT_TABLE_MAIN;
	return table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || (family == 4 && table == RT_TABLE_DEFAULT);
}

/* A route as it would be in the list. */
struct entry {
	struct route key;
	unsigned int family;
	bool ecmp; /* IPv6: shares its metric with others of its kind as one route */
};

static bool route_ecmp(unsigned int family, const struct route *r)
{
	unsigned int i;

	if (family != 6 || r->odd || r->protocol == RTPROT_RA || r->protocol == RTPROT_KERNEL)
		return false;
	if (r->via->kind == VIA_PUNT) /* of more hops than are kept */
		return r->type == RTN_UNICAST;
	if (r->via->kind != VIA_HOPS)
		return false;
	for (i = 0; i < r->via->n; i++)
		if (!r->via->hop[i].family)
			return false;
	return true;
}

static enum via_kind route_via_kind(const struct fib_route *in)
{
	switch (in->type) {
	case RTN_UNICAST:
		if (in->object)
			return VIA_OBJECT;
		return in->n && in->n <= FIB_MAX_HOPS ? VIA_HOPS : VIA_PUNT;
	case RTN_BLACKHOLE:
		return VIA_BLACKHOLE;
	case RTN_UNREACHABLE:
		return VIA_UNREACHABLE;
	case RTN_PROHIBIT:
		return VIA_PROHIBIT;
	case RTN_THROW:
		return VIA_THROW;
	case RTN_LOCAL:
	case RTN_BROADCAST:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		return VIA_LOCAL;
	default:
		return VIA_PUNT;
	}
}

static int entry_make(struct fib *r, const struct fib_route *in, struct entry *e)
{
	enum via_kind kind = route_via_kind(in);
	bool hops = kind == VIA_HOPS;

	e->family = in->prefix.family;
	e->key = (struct route){
		.metric = in->metric, .tag = in->tag, .type = in->type, .protocol = in->protocol, .tos = in->tos,
		.odd = in->odd, .gen = r->gen,
	};
	table_level(e->family, in->table, &e->key.level, &e->key.rank);
	e->key.via = via_get(r, kind, kind == VIA_OBJECT ? in->object : 0, hops || kind == VIA_OBJECT ? in->mtu : 0,
			     in->hop, hops ? in->n : 0);
	if (!e->key.via)
		return -ENOMEM;
	e->ecmp = route_ecmp(e->family, &e->key);
	return 0;
}

/* The kernel's order: < 0: a before b, 0: of one class, in order of arrival. */
static int route_compare(const struct route *a, const struct route *b)
{
	if (a->level != b->level)
		return a->level < b->level ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->tos != b->tos)
		return a->tos > b->tos ? -1 : 1;
	if (a->metric != b->metric)
		return a->metric < b->metric ? -1 : 1;
	return 0;
}

static bool route_alike(const struct route *a, const struct route *b)
{
	return a->type == b->type && a->protocol == b->protocol && a->tag == b->tag && a->odd == b->odd &&
	       via_same(a->via, b->via->kind, b->via->object, b->via->mtu, b->via->hop, b->via->n);
}

/* Where the first of the class is, or would be. */
static struct route **class_first(struct rnode *n, const struct route *key)
{
	struct route **at = &n->routes;

	while (*at && route_compare(*at, key) < 0)
		at = &(*at)->next;
	return at;
}

static bool in_class(const struct route *r, const struct route *key)
{
	return r && !route_compare(r, key);
}

static struct route **class_end(struct route **at, const struct route *key)
{
	while (in_class(*at, key))
		at = &(*at)->next;
	return at;
}

static struct route **class_alike(struct route **at, const struct route *key)
{
	while (in_class(*at, key) && !route_alike(*at, key))
		at = &(*at)->next;
	return in_class(*at, key) ? at : NULL;
}

static struct route **class_ecmp(struct route **at, const struct route *key, bool ecmp)
{
	while (in_class(*at, key) && route_ecmp(6, *at) != ecmp)
		at = &(*at)->next;
	return in_class(*at, key) ? at : NULL;
}

/* Which of those held the new one stands for, NULL: none. */
static struct route **entry_twin(struct rnode *n, const struct entry *e, enum fib_how how)
{
	struct route **first = class_first(n, &e->key), **at;

	if (e->family == 4)
		return how == FIB_REPLACE && in_class(*first, &e->key) ? first : class_alike(first, &e->key);
	if (how != FIB_REPLACE)
		return e->ecmp ? class_ecmp(first, &e->key, true) : class_alike(first, &e->key);
	/* The first of its kind, or else the first. */
	at = class_ecmp(first, &e->key, e->ecmp);
	return at || !in_class(*first, &e->key) ? at : first;
}

static void family_deep(struct family *f, const struct entry *e, int by)
{
	bool level = e->family == 4 && e->key.level;

	f->num_routes += (size_t)by;
	if (level || e->key.via->kind == VIA_THROW)
		f->deep += (size_t)by;
}

static bool entry_deep(const struct family *f, const struct entry *e)
{
	return f->deep || (e->family == 6 && !e->key.level);
}

/* The kernel tells routes in its order: what is heard again goes behind what was heard before it. */
static void route_last(struct rnode *n, struct route **at)
{
	struct route *r = *at, **end;

	if (!in_class(r->next, r) && (at == &n->routes || class_first(n, r) == at))
		return;
	*at = r->next;
	end = class_end(class_first(n, r), r);
	r->next = *end;
	*end = r;
	n->check = true;
}

static int route_insert(struct family *f, struct rnode *n, const struct entry *e, enum fib_how how)
{
	struct route *made = malloc(sizeof(*made)), **at;

	if (!made)
		return -ENOMEM;
	at = class_first(n, &e->key);
	if (how != FIB_FIRST)
		at = class_end(at, &e->key);
	*made = e->key;
	made->next = *at;
	*at = made;
	family_deep(f, e, 1);
	return 0;
}

int fib_route_add(struct fib *r, const struct fib_route *in, enum fib_how how)
{
	struct family *f = fib_family(r, in->prefix.family);
	struct route **twin, *old, *next;
	struct via *was;
	struct rnode *n;
	struct entry e, gone;
	uint8_t level, rank;
	int rc;

	if (!table_level(in->prefix.family, in->table, &level, &rank))
		return 0;
	rc = entry_make(r, in, &e);
	if (rc)
		return rc;
	n = (struct rnode *)trie_get(&f->routes, in->prefix.addr, in->prefix.len);
	if (!n) {
		via_put(r, e.key.via);
		return -ENOMEM;
	}
	twin = entry_twin(n, &e, how);
	if (!twin) {
		rc = route_insert(f, n, &e, how);
		if (rc)
			via_put(r, e.key.via);
		node_changed(r, e.family, n, entry_deep(f, &e));
		return rc;
	}
	old = *twin;
	gone = (struct entry){ .key = *old, .family = e.family };
	family_deep(f, &gone, -1);
	family_deep(f, &e, 1);
	was = old->via;
	next = old->next;
	*old = e.key;
	old->next = next;
	if (r->dumping)
		route_last(n, twin);
	if (was != e.key.via || gone.key.odd != e.key.odd)
		node_changed(r, e.family, n, entry_deep(f, &e) || gone.key.via->kind == VIA_THROW);
	via_put(r, was);
	return 0;
}

static void route_remove(struct fib *r, struct rnode *n, struct route **at, unsigned int family)
{
	struct family *f = fib_family(r, family);
	struct route *old = *at;
	struct entry e = { .key = *old, .family = family };
	bool deep = entry_deep(f, &e);

	*at = old->next;
	family_deep(f, &e, -1);
	node_changed(r, family, n, deep);
	via_put(r, old->via);
	free(old);
}

/* The hops of v that are not in gone, NULL: none.  -ENOENT: gone is not a part of v; -ENOMEM. */
static int via_without(struct fib *r, const struct via *v, const struct via *gone, struct via **rest)
{
	struct fib_hop left[FIB_MAX_HOPS];
	unsigned int i, j, n = 0;

	*rest = NULL;
	if (v->kind == VIA_PUNT && gone->kind == VIA_PUNT)
		return 0;
	for (i = 0; i < v->n; i++) {
		for (j = 0; j < gone->n; j++)
			if (v->hop[i].ifindex == gone->hop[j].ifindex &&
			    router_addr_equal(v->hop[i].gateway, gone->hop[j].gateway))
				break;
		if (j == gone->n)
			left[n++] = v->hop[i];
	}
	if (n == v->n)
		return -ENOENT;
	if (n)
		*rest = via_get(r, VIA_HOPS, 0, v->mtu, left, n);
	return n && !*rest ? -ENOMEM : 0;
}

static struct route **entry_victim(struct rnode *n, const struct entry *e)
{
	struct route **first = class_first(n, &e->key), **at;

	if (e->ecmp)
		return class_ecmp(first, &e->key, true);
	at = class_alike(first, &e->key);
	return at || !in_class(*first, &e->key) || in_class((*first)->next, &e->key) ? at : first;
}

int fib_route_del(struct fib *r, const struct fib_route *in, bool *known)
{
	struct family *f = fib_family(r, in->prefix.family);
	struct rnode *n = (struct rnode *)trie_find(&f->routes, in->prefix.addr, in->prefix.len);
	struct route **victim = NULL;
	struct via *rest = NULL, *was;
	struct entry e;
	uint8_t level, rank;
	int rc;

	*known = true;
	if (!table_level(in->prefix.family, in->table, &level, &rank))
		return 0;
	*known = false;
	rc = entry_make(r, in, &e);
	if (rc)
		return rc;
	if (n)
		victim = entry_victim(n, &e);
	if (victim && e.ecmp)
		rc = via_without(r, (*victim)->via, e.key.via, &rest);
	*known = victim && !rc;
	if (rest) {
		was = (*victim)->via;
		(*victim)->via = rest;
		node_changed(r, e.family, n, entry_deep(f, &e));
		via_put(r, was);
	} else if (*known) {
		route_remove(r, n, victim, e.family);
	}
	via_put(r, e.key.via);
	return rc == -ENOENT ? 0 : rc;
}

/* --- all of it --- */

void fib_flush(struct fib *r)
{
	struct family *f;
	unsigned int i;

	if (!r->dirty)
		return;
	r->dirty = false;
	via_refresh_all(r);
	/* A nexthop object decides whether a network is a port's own. */
	for (i = 0; i < 2 && r->objects.n; i++) {
		f = &r->fam[i];
		if (f->hosts.used)
			hosts_update(r, i ? 6 : 4, (struct router_addr){ 0 }, 0);
	}
}

void fib_begin(struct fib *r)
{
	r->gen++;
	r->dumping = true;
}

/* Takes the routes of n that were not heard of; n may be gone afterwards. */
static void node_sweep(struct fib *r, unsigned int family, struct rnode *n, bool complete)
{
	struct router_addr a = n->t.addr;
	unsigned int len = n->t.len;
	struct route **at;

	if (n->refused) {
		node_changed(r, family, n, false);
		node_settle(r, family, n);
	} else if (n->check) {
		node_changed(r, family, n, false);
	}
	while (complete) {
		n = (struct rnode *)trie_find(&fib_family(r, family)->routes, a, len);
		for (at = n ? &n->routes : NULL; at && *at && (*at)->gen == r->gen; at = &(*at)->next)
			;
		if (!at || !*at) {
			if (n)
				node_settle(r, family, n);
			break;
		}
		route_remove(r, n, at, family);
	}
}

static bool node_stale(const struct fib *r, const struct rnode *n)
{
	const struct route *route;

	for (route = n->routes; route; route = route->next)
		if (route->gen != r->gen)
			return true;
	return n->check || n->refused;
}

void fib_sweep(struct fib *r, bool complete)
{
	const struct router_addr zero = { 0 };
	struct trie_node *n, *next;
	struct family *f;
	unsigned int i;

	r->dumping = false;
	r->sweeping = true;
	if (complete)
		fib_state_sweep(r);
	for (i = 0; i < 2; i++) {
		f = &r->fam[i];
		for (n = trie_first(&f->routes, zero, 0); n; n = next) {
			next = trie_next(n, zero, 0);
			if (node_stale(r, (struct rnode *)n))
				node_sweep(r, i ? 6 : 4, (struct rnode *)n, complete);
		}
	}
	r->sweeping = false;
	fib_flush(r);
}

void fib_retry(struct fib *r)
{
	const struct router_addr zero = { 0 };
	struct trie_node *n, *next;
	unsigned int i;

	r->sweeping = true;
	for (i = 0; i < 2 && r->unplaced; i++) {
		for (n = trie_first(&r->fam[i].routes, zero, 0); n; n = next) {
			next = trie_next(n, zero, 0);
			if (((struct rnode *)n)->refused)
				node_sweep(r, i ? 6 : 4, (struct rnode *)n, false);
		}
	}
	r->sweeping = false;
}

/* --- looking --- */

void fib_counts(const struct fib *r, struct fib_counts *c)
{
	struct hash_link *l;
	unsigned int i;

	*c = (struct fib_counts){
		.hops = r->placed_vias, .neighbours = r->hosts.n, .objects = r->objects.n, .unplaced = r->unplaced,
		.unplaced_rc = r->unplaced_rc, .route_ops = r->route_ops, .hop_ops = r->hop_ops,
	};
	for (i = 0; i < 2; i++) {
		c->routes[i] = r->fam[i].num_routes;
		c->prefixes[i] = r->fam[i].placed;
	}
	for (l = hash_walk(&r->links, NULL); l; l = hash_walk(&r->links, l))
		c->links += ((struct link *)l)->known;
}

bool fib_get(struct fib *r, unsigned int family, struct router_addr a, struct router_prefix *p, uint32_t *hop,
	     struct fib_out *out)
{
	struct trie_node *n = trie_match(&fib_family(r, family)->routes, a, router_family_bits(family));

	while (n && !((struct rnode *)n)->placed)
		n = trie_above(n);
	if (!n)
		return false;
	*p = node_prefix(family, (struct rnode *)n);
	*hop = ((struct rnode *)n)->placed->id;
	via_out(((struct rnode *)n)->placed, out);
	return true;
}

void fib_each_prefix(struct fib *r, fib_prefix_fn fn, void *ctx)
{
	const struct router_addr zero = { 0 };
	struct router_prefix p;
	struct trie_node *t;
	struct fib_out out;
	struct rnode *n;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		for (t = trie_first(&r->fam[i].routes, zero, 0); t; t = trie_next(t, zero, 0)) {
			n = (struct rnode *)t;
			if (!n->placed)
				continue;
			p = node_prefix(i ? 6 : 4, n);
			via_out(n->placed, &out);
			fn(ctx, &p, n->placed->id, &out, n->routes ? n->routes->protocol : RTPROT_UNSPEC,
			   n->routes ? n->routes->metric : 0);
		}
	}
}

void fib_each_hop(struct fib *r, fib_hop_fn fn, void *ctx)
{
	struct fib_out out;
	struct hash_link *l;
	struct via *v;

	for (l = hash_walk(&r->vias, NULL); l; l = hash_walk(&r->vias, l)) {
		v = (struct via *)l;
		if (!v->placed)
			continue;
		via_out(v, &out);
		fn(ctx, v->id, &out, v->placed);
	}
}
