/* SPDX-License-Identifier: BSD-3-Clause */
/* Links, neighbours and nexthop objects. */
#include <errno.h>
#include <string.h>

#include "router/fib_int.h"

/* --- links --- */

struct link *fib_link_find(const struct fib *r, uint32_t ifindex)
{
	uint64_t hash = hash_mix(1, ifindex);
	struct hash_link *l;

	for (l = hash_first(&r->links, hash); l; l = l->next)
		if (((struct link *)l)->l.ifindex == ifindex)
			return (struct link *)l;
	return NULL;
}

bool fib_link_mac(const struct fib *r, uint32_t ifindex, uint8_t mac[6])
{
	const struct link *l = fib_link_find(r, ifindex);

	if (!l || !l->known)
		return false;
	memcpy(mac, l->l.mac, 6);
	return true;
}

static struct link *link_get(struct fib *r, uint32_t ifindex)
{
	struct link *l = fib_link_find(r, ifindex);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->l.ifindex = ifindex;
	l->nic = -1;
	hash_add(&r->links, &l->link, hash_mix(1, ifindex));
	return l;
}

int fib_link_set(struct fib *r, const struct fib_link *set)
{
	struct link *l = link_get(r, set->ifindex);

	if (!l)
		return -ENOMEM;
	if (!l->known || l->l.mtu != set->mtu || l->l.up != set->up || memcmp(l->l.mac, set->mac, 6))
		r->dirty = true;
	l->l = *set;
	l->known = true;
	l->gen = r->gen;
	return 0;
}

static void link_drop(struct fib *r, struct link *l)
{
	l->known = false;
	r->dirty = true;
	if (l->nic >= 0)
		return;
	hash_del(&r->links, &l->link);
	free(l);
}

void fib_link_del(struct fib *r, uint32_t ifindex)
{
	struct link *l = fib_link_find(r, ifindex);

	if (l)
		link_drop(r, l);
}

/* --- neighbours --- */

static uint64_t host_hash(uint32_t ifindex, unsigned int family, struct router_addr a)
{
	return hash_mix(hash_mix(hash_mix(family, ifindex), a.hi), a.lo);
}

struct host *fib_host_find(const struct fib *r, uint32_t ifindex, unsigned int family, struct router_addr a)
{
	uint64_t hash = host_hash(ifindex, family, a);
	struct hash_link *l;
	struct host *h;

	for (l = hash_first(&r->hosts, hash); l; l = l->next) {
		h = (struct host *)l;
		if (h->n.ifindex == ifindex && h->n.family == family && router_addr_equal(h->n.addr, a))
			return h;
	}
	return NULL;
}

/* Multicast and IPv6 link-local addresses are the kernel's. */
static bool host_routable(const struct fib_neigh *n)
{
	if (n->family == 4)
		return n->addr.hi && n->addr.hi >> 60 != 0xe && n->addr.hi >> 32 != 0xffffffff;
	return !router_addr_zero(n->addr) && n->addr.hi >> 56 != 0xff && n->addr.hi >> 54 != 0xfe80 >> 6;
}

static void host_detach(struct fib *r, struct host *h)
{
	struct family *f = fib_family(r, h->n.family);
	unsigned int bits = router_family_bits(h->n.family);
	struct hnode *hn = (struct hnode *)trie_find(&f->hosts, h->n.addr, bits);
	struct rnode *n = (struct rnode *)trie_find(&f->routes, h->n.addr, bits);
	struct host **at;

	if (!h->attached)
		return;
	h->attached = false;
	if (!--hn->hosts)
		trie_drop(&f->hosts, &hn->t);
	for (at = &n->hosts; *at != h; at = &(*at)->same)
		;
	*at = h->same;
	fib_node_update(r, h->n.family, n);
	via_put(r, h->via);
}

static int host_attach(struct fib *r, struct host *h)
{
	struct family *f = fib_family(r, h->n.family);
	unsigned int bits = router_family_bits(h->n.family);
	struct fib_hop hop = { .gateway = h->n.addr, .ifindex = h->n.ifindex, .weight = 1, .family = h->n.family };
	struct hnode *hn;
	struct rnode *n;

	h->via = via_get(r, VIA_HOPS, 0, 0, &hop, 1);
	if (!h->via)
		return -ENOMEM;
	hn = (struct hnode *)trie_get(&f->hosts, h->n.addr, bits);
	if (!hn)
		goto put_via;
	n = (struct rnode *)trie_get(&f->routes, h->n.addr, bits);
	if (!n)
		goto drop_hnode;
	hn->hosts++;
	h->same = n->hosts;
	n->hosts = h;
	h->attached = true;
	fib_node_update(r, h->n.family, n);
	return 0;
drop_hnode:
	if (!hn->hosts)
		trie_drop(&f->hosts, &hn->t);
put_via:
	via_put(r, h->via);
	return -ENOMEM;
}

/* Its own prefix exists while its address is known and it is behind a port. */
static int host_settle(struct fib *r, struct host *h)
{
	const struct link *l = fib_link_find(r, h->n.ifindex);
	bool want = l && l->nic >= 0 && h->n.state & FIB_NEIGH_VALID && host_routable(&h->n);

	if (want == h->attached)
		return 0;
	if (want)
		return host_attach(r, h);
	host_detach(r, h);
	return 0;
}

int fib_neigh_set(struct fib *r, const struct fib_neigh *set)
{
	struct host *h = fib_host_find(r, set->ifindex, set->family, set->addr);

	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return -ENOMEM;
		h->n = *set;
		hash_add(&r->hosts, &h->link, host_hash(set->ifindex, set->family, set->addr));
		r->dirty = true;
	} else if (!(h->n.state & FIB_NEIGH_VALID) != !(set->state & FIB_NEIGH_VALID) || memcmp(h->n.mac, set->mac, 6)) {
		r->dirty = true;
	}
	h->n = *set;
	h->gen = r->gen;
	return host_settle(r, h);
}

static void host_drop(struct fib *r, struct host *h)
{
	host_detach(r, h);
	hash_del(&r->hosts, &h->link);
	free(h);
	r->dirty = true;
}

void fib_neigh_del(struct fib *r, uint32_t ifindex, unsigned int family, struct router_addr addr)
{
	struct host *h = fib_host_find(r, ifindex, family, addr);

	if (h)
		host_drop(r, h);
}

int fib_port(struct fib *r, uint32_t ifindex, int nic, unsigned int port)
{
	struct link *l = link_get(r, ifindex);
	struct hash_link *at;
	int rc, first = 0;

	if (!l)
		return -ENOMEM;
	l->nic = nic;
	l->port = port;
	r->dirty = true;
	for (at = hash_walk(&r->hosts, NULL); at; at = hash_walk(&r->hosts, at)) {
		if (((struct host *)at)->n.ifindex != ifindex)
			continue;
		rc = host_settle(r, (struct host *)at);
		first = first ? first : rc;
	}
	if (nic < 0 && !l->known)
		link_drop(r, l);
	return first;
}

/* --- nexthop objects --- */

struct object *fib_object_find(const struct fib *r, uint32_t id)
{
	struct hash_link *l;

	for (l = hash_first(&r->objects, hash_mix(2, id)); l; l = l->next)
		if (((struct object *)l)->o.id == id)
			return (struct object *)l;
	return NULL;
}

int fib_object_set(struct fib *r, const struct fib_object *set)
{
	struct object *o = fib_object_find(r, set->id);
	struct fib_member *member = NULL;

	if (set->n) {
		member = malloc(set->n * sizeof(*member));
		if (!member)
			return -ENOMEM;
		memcpy(member, set->member, set->n * sizeof(*member));
	}
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o) {
			free(member);
			return -ENOMEM;
		}
		hash_add(&r->objects, &o->link, hash_mix(2, set->id));
	}
	free((void *)o->o.member);
	o->o = *set;
	o->o.member = member;
	o->gen = r->gen;
	r->dirty = true;
	return 0;
}

static void object_drop(struct fib *r, struct object *o)
{
	hash_del(&r->objects, &o->link);
	free((void *)o->o.member);
	free(o);
	r->dirty = true;
}

void fib_object_del(struct fib *r, uint32_t id)
{
	struct object *o = fib_object_find(r, id);

	if (o)
		object_drop(r, o);
}

/* --- all of them --- */

void fib_state_sweep(struct fib *r)
{
	struct hash_link *l, *next;

	for (l = hash_walk(&r->links, NULL); l; l = next) {
		next = hash_walk(&r->links, l);
		if (((struct link *)l)->known && ((struct link *)l)->gen != r->gen)
			link_drop(r, (struct link *)l);
	}
	for (l = hash_walk(&r->objects, NULL); l; l = next) {
		next = hash_walk(&r->objects, l);
		if (((struct object *)l)->gen != r->gen)
			object_drop(r, (struct object *)l);
	}
	for (l = hash_walk(&r->hosts, NULL); l; l = next) {
		next = hash_walk(&r->hosts, l);
		if (((struct host *)l)->gen != r->gen)
			host_drop(r, (struct host *)l);
	}
}

void fib_state_free(struct fib *r)
{
	struct hash_link *l, *next;

	for (l = hash_walk(&r->objects, NULL); l; l = next) {
		next = hash_walk(&r->objects, l);
		free((void *)((struct object *)l)->o.member);
		free(l);
	}
	for (l = hash_walk(&r->hosts, NULL); l; l = next) {
		next = hash_walk(&r->hosts, l);
		free(l);
	}
	for (l = hash_walk(&r->links, NULL); l; l = next) {
		next = hash_walk(&r->links, l);
		free(l);
	}
	hash_free(&r->objects);
	hash_free(&r->hosts);
	hash_free(&r->links);
}

void fib_each_neigh(struct fib *r, fib_neigh_fn fn, void *ctx)
{
	const struct fib_neigh *n;
	struct hash_link *l;
	struct link *link;

	for (l = hash_walk(&r->hosts, NULL); l; l = hash_walk(&r->hosts, l)) {
		n = &((struct host *)l)->n;
		link = fib_link_find(r, n->ifindex);
		if (link && link->nic >= 0)
			fn(ctx, n, link->l.name, link->nic, link->port);
	}
}
