/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * follow [-b BYTES] IFNAME...   follows the kernel of its network namespace; the interfaces are ports 0, 1, ...
 *
 * The sink is a plain list of prefixes that is searched length by length, and
 * ends the program when the order of calls is not as fib.h says.  Commands on
 * standard input, an answer of one line each:
 *   get ADDR     what the sink would do: kind [ifname:mac:mtu ...]
 *   settle       reads until nothing comes any more
 *   sleep MS     reads nothing for so long
 *   sync         from scratch
 *   counts       numbers, as JSON
 *   hit ADDR     one more packet by the first way of that address
 *   refuse N     the sink takes no more than N prefixes
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "router/hash.h"
#include "router/kernel.h"

#define MAX_HOPS 65536

struct held {
	struct hash_link link;
	struct router_prefix p;
	uint32_t hop;
};

struct plain {
	struct hash routes;
	struct {
		bool set;
		size_t prefixes;
		enum fib_kind kind;
		unsigned int n;
		struct fib_way way[FIB_MAX_HOPS];
		uint64_t hits;
	} *hop;
	size_t room, n[2];
	unsigned int lens[2][129]; /* how many prefixes of each length */
};

static void broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("BROKEN ");
	vprintf(fmt, ap);
	printf("\n");
	fflush(stdout);
	exit(3);
}

static uint64_t held_hash(const struct router_prefix *p)
{
	return hash_mix(hash_mix(hash_mix(p->family, p->len), p->addr.hi), p->addr.lo);
}

static struct held *held_find(struct plain *s, const struct router_prefix *p)
{
	struct hash_link *l;

	for (l = hash_first(&s->routes, held_hash(p)); l; l = l->next)
		if (router_prefix_equal(&((struct held *)l)->p, p))
			return (struct held *)l;
	return NULL;
}

static int plain_hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	struct plain *s = ctx;

	if (hop >= MAX_HOPS)
		return -ENOSPC;
	if (out->n > FIB_MAX_HOPS || (out->kind == FIB_FORWARD) != (out->n && out->kind != FIB_GLEAN))
		broken("next hop %u: %s with %u ways", hop, fib_kind_text(out->kind), out->n);
	s->hop[hop].set = true;
	s->hop[hop].kind = out->kind;
	s->hop[hop].n = out->n;
	memcpy(s->hop[hop].way, out->way, out->n * sizeof(*out->way));
	return 0;
}

static void plain_hop_del(void *ctx, uint32_t hop)
{
	struct plain *s = ctx;

	if (!s->hop[hop].set || s->hop[hop].prefixes)
		broken("next hop %u deleted, %zu prefixes name it", hop, s->hop[hop].prefixes);
	s->hop[hop].set = false;
	s->hop[hop].hits = 0;
}

static int plain_route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	struct plain *s = ctx;
	struct held *h = held_find(s, p);

	if (!s->hop[hop].set)
		broken("a prefix names next hop %u before it is set", hop);
	if (!h) {
		if (s->routes.n >= s->room)
			return -ENOSPC;
		h = calloc(1, sizeof(*h));
		if (!h)
			return -ENOMEM;
		h->p = *p;
		hash_add(&s->routes, &h->link, held_hash(p));
		s->lens[p->family == 6][p->len]++;
	} else {
		s->hop[h->hop].prefixes--;
	}
	h->hop = hop;
	s->hop[hop].prefixes++;
	return 0;
}

static int plain_route_del(void *ctx, const struct router_prefix *p)
{
	struct plain *s = ctx;
	struct held *h = held_find(s, p);

	if (!h)
		broken("a prefix deleted that is not there");
	s->hop[h->hop].prefixes--;
	s->lens[p->family == 6][p->len]--;
	hash_del(&s->routes, &h->link);
	free(h);
	return 0;
}

static uint64_t plain_hits(void *ctx, uint32_t hop, unsigned int way)
{
	struct plain *s = ctx;

	return way ? 0 : s->hop[hop].hits;
}

static const struct fib_sink plain_sink = {
	plain_hop_set, plain_hop_del, plain_route_set, plain_route_del, plain_hits,
};

static void plain_free(struct plain *s)
{
	struct hash_link *l, *next;

	for (l = hash_walk(&s->routes, NULL); l; l = next) {
		next = hash_walk(&s->routes, l);
		free(l);
	}
	hash_free(&s->routes);
	free(s->hop);
}

static struct held *plain_match(struct plain *s, unsigned int family, struct router_addr a)
{
	struct router_prefix p = { .family = (uint8_t)family };
	struct held *h;
	int len;

	for (len = (int)router_family_bits(family); len >= 0; len--) {
		if (!s->lens[family == 6][len])
			continue;
		p.len = (uint8_t)len;
		p.addr = router_addr_mask(a, p.len);
		h = held_find(s, &p);
		if (h)
			return h;
	}
	return NULL;
}

static void print_get(struct plain *s, const char *text, bool hit)
{
	unsigned int family, i;
	const struct fib_way *w;
	struct router_addr a;
	char name[IF_NAMESIZE];
	struct held *h;

	if (!router_addr_parse(text, &family, &a)) {
		printf("no address\n");
		return;
	}
	h = plain_match(s, family, a);
	printf("%s", h ? fib_kind_text(s->hop[h->hop].kind) : "none");
	for (i = 0; h && i < s->hop[h->hop].n; i++) {
		w = &s->hop[h->hop].way[i];
		if (w->punt) {
			printf(" punt,,0,%u", w->weight);
			continue;
		}
		printf(" %s,%02x:%02x:%02x:%02x:%02x:%02x,%u,%u", if_indextoname(w->ifindex, name) ? name : "?", w->dst_mac[0],
		       w->dst_mac[1], w->dst_mac[2], w->dst_mac[3], w->dst_mac[4], w->dst_mac[5], w->mtu, w->weight);
	}
	printf("\n");
	if (h && hit)
		s->hop[h->hop].hits++;
}

static void print_counts(struct fib *fib, struct kernel *k)
{
	struct kernel_counts kc;
	struct fib_counts c;

	fib_counts(fib, &c);
	kernel_counts(k, &kc);
	printf("{\"routes4\":%zu,\"routes6\":%zu,\"prefixes4\":%zu,\"prefixes6\":%zu,\"hops\":%zu,\"neighbours\":%zu,"
	       "\"objects\":%zu,\"links\":%zu,\"unplaced\":%zu,\"route_ops\":%llu,\"hop_ops\":%llu,\"events\":%llu,"
	       "\"overruns\":%llu,\"syncs\":%llu,\"interrupted\":%llu,\"refused\":%llu,\"policy\":%u,\"sync_ms\":%llu}\n",
	       c.routes[0], c.routes[1], c.prefixes[0], c.prefixes[1], c.hops, c.neighbours, c.objects, c.links, c.unplaced,
	       (unsigned long long)c.route_ops, (unsigned long long)c.hop_ops, (unsigned long long)kc.events,
	       (unsigned long long)kc.overruns, (unsigned long long)kc.syncs, (unsigned long long)kc.interrupted,
	       (unsigned long long)kc.refused, kc.policy, (unsigned long long)(kc.sync_ns / 1000000));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void work(struct kernel *k)
{
	char err[KERNEL_ERR_MAX];

	while (kernel_read(k))
		;
	if (kernel_tick(k, err))
		fprintf(stderr, "follow: %s\n", err);
}

/* Until nothing has come for 30 ms and no resynchronisation is due. */
static void settle(struct kernel *k)
{
	struct pollfd p = { .fd = kernel_fd(k), .events = POLLIN };
	struct kernel_counts before, after;
	unsigned int quiet = 0;

	while (quiet < 2) {
		kernel_counts(k, &before);
		poll(&p, 1, 15);
		work(k);
		kernel_counts(k, &after);
		quiet = memcmp(&before, &after, sizeof(before)) || after.due ? 0 : quiet + 1;
	}
}

static void command(char *line, struct plain *s, struct fib *fib, struct kernel *k)
{
	char err[KERNEL_ERR_MAX] = "";

	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "get ", 4) || !strncmp(line, "hit ", 4)) {
		print_get(s, line + 4, line[0] == 'h');
	} else if (!strcmp(line, "settle")) {
		settle(k);
		printf("settled\n");
	} else if (!strncmp(line, "sleep ", 6)) {
		usleep((unsigned int)atoi(line + 6) * 1000);
		printf("slept\n");
	} else if (!strcmp(line, "sync")) {
		printf("%d %s\n", kernel_sync(k, err), err);
	} else if (!strcmp(line, "counts")) {
		print_counts(fib, k);
	} else if (!strncmp(line, "refuse ", 7)) {
		s->room = (size_t)atol(line + 7);
		printf("done\n");
	} else {
		broken("command '%s'", line);
	}
	fflush(stdout);
}

static void serve(struct plain *s, struct fib *fib, struct kernel *k)
{
	struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = kernel_fd(k), .events = POLLIN } };
	char line[4096];

	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		poll(p, 2, 100);
		if (p[1].revents || now_ns() >= kernel_due_ns(k))
			work(k);
		if (p[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return;
			command(line, s, fib, k);
		}
	}
}

int main(int argc, char **argv)
{
	struct kernel_opts o = { 0 };
	struct plain s = { .room = SIZE_MAX };
	char err[KERNEL_ERR_MAX];
	struct kernel *k;
	struct fib *fib;
	int i = 1;

	if (argc > 2 && !strcmp(argv[1], "-b")) {
		o.rcvbuf = (unsigned int)atoi(argv[2]);
		i = 3;
	}
	s.hop = calloc(MAX_HOPS, sizeof(*s.hop));
	if (!s.hop || hash_init(&s.routes) || fib_create(&fib, &plain_sink, &s) || kernel_open(&k, fib, &o, err))
		return 1;
	for (; i < argc; i++)
		if (fib_port(fib, if_nametoindex(argv[i]), 0, (unsigned int)i))
			return 1;
	if (kernel_sync(k, err)) {
		fprintf(stderr, "follow: %s\n", err);
		return 1;
	}
	printf("following\n");
	fflush(stdout);
	serve(&s, fib, k);
	kernel_close(k);
	fib_destroy(fib);
	plain_free(&s);
	return 0;
}
