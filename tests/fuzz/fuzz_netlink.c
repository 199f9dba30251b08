/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Netlink messages into the router's FIB (router/kernel_parse.c, router/fib*.c), as of dumps and as changes.  The FIB's
 * orders are checked as a sink has to: a next hop is set before a prefix names it and deleted after the last has stopped.
 *
 *   input   messages as they come off the socket, each with a length of its own.  Types below NLMSG_MIN_TYPE are orders:
 *           a dump begins or ends, the FIB is flushed or asked
 *   Each message is copied to memory that is as long as it says, so that what reads beyond it is seen.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include <router/kernel_int.h>
#include "fuzz.h"

#define MESSAGES_MAX 300
#define HOPS_MAX 4096u
#define PREFIXES_MAX 1024u
#define PORTS 4u /* interfaces 1 to 4 */

enum order { ORDER_DUMP, ORDER_SWEEP, ORDER_SWEEP_PART, ORDER_FLUSH, ORDER_ASK, ORDER_REFUSE, ORDER_PORT, ORDER_RETRY, ORDER_NUM };

struct sink {
	struct fib *fib;
	struct {
		struct router_prefix p;
		uint32_t hop;
	} prefix[PREFIXES_MAX];
	unsigned int prefixes;
	uint8_t set[HOPS_MAX];
	uint32_t users[HOPS_MAX];
	bool refuse;
};

static int hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	struct sink *s = ctx;
	unsigned int k, ports = 0;

	if (out->kind >= FIB_NUM_KINDS || out->n > FIB_MAX_HOPS || (out->kind == FIB_FORWARD) != (out->n && out->kind != FIB_GLEAN))
		fuzz_fail("hop %u: kind %d with %u ways", hop, out->kind, out->n);
	for (k = 0; k < out->n; k++) {
		if (!out->way[k].punt && out->way[k].port >= PORTS)
			fuzz_fail("hop %u leaves by port %u", hop, out->way[k].port);
		ports += !out->way[k].punt;
	}
	if (out->kind == FIB_FORWARD && !ports)
		fuzz_fail("hop %u forwards by no port", hop);
	if (s->refuse || hop >= HOPS_MAX)
		return -ENOMEM;
	s->set[hop] = 1;
	return 0;
}

static void hop_del(void *ctx, uint32_t hop)
{
	struct sink *s = ctx;

	if (hop >= HOPS_MAX)
		return;
	if (s->users[hop])
		fuzz_fail("hop %u is deleted, %u prefixes name it", hop, s->users[hop]);
	s->set[hop] = 0;
}

static unsigned int prefix_find(const struct sink *s, const struct router_prefix *p)
{
	unsigned int k;

	for (k = 0; k < s->prefixes; k++)
		if (s->prefix[k].p.family == p->family && s->prefix[k].p.len == p->len && router_addr_equal(s->prefix[k].p.addr, p->addr))
			break;
	return k;
}

static int route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	struct sink *s = ctx;
	unsigned int k = prefix_find(s, p);

	if (s->refuse || k == PREFIXES_MAX)
		return -ENOSPC;
	if (hop >= HOPS_MAX || !s->set[hop])
		fuzz_fail("a prefix names hop %u, which is not set", hop);
	if (p->len > router_family_bits(p->family))
		fuzz_fail("a prefix of %u bits", p->len);
	if (k == s->prefixes)
		s->prefixes++;
	else
		s->users[s->prefix[k].hop]--;
	s->prefix[k].p = *p;
	s->prefix[k].hop = hop;
	s->users[hop]++;
	return 0;
}

static int route_del(void *ctx, const struct router_prefix *p)
{
	struct sink *s = ctx;
	unsigned int k = prefix_find(s, p);

	if (s->refuse)
		return -ENOSPC;
	if (k == s->prefixes)
		fuzz_fail("a prefix is deleted that was never set");
	s->users[s->prefix[k].hop]--;
	s->prefix[k] = s->prefix[--s->prefixes];
	return 0;
}

static uint64_t hits(void *ctx, uint32_t hop, unsigned int way)
{
	return hop * 7 + way;
}

static const struct fib_sink sink_ops = { hop_set, hop_del, route_set, route_del, hits };

static void asked(void *ctx, uint32_t ifindex, unsigned int family, struct router_addr addr)
{
	if (family != 4 && family != 6)
		fuzz_fail("a neighbour of family %u", family);
}

static void seen_prefix(void *ctx, const struct router_prefix *p, uint32_t hop, const struct fib_out *out, uint8_t protocol,
			uint32_t metric)
{
	struct sink *s = ctx;
	unsigned int k = prefix_find(s, p);

	if (!s->refuse && (k == s->prefixes || s->prefix[k].hop != hop))
		fuzz_fail("the FIB shows a prefix that the sink has not, or otherwise");
}

static void order(struct kernel *k, struct sink *s, const struct nlmsghdr *m)
{
	switch (m->nlmsg_flags % ORDER_NUM) {
	case ORDER_DUMP:
		fib_begin(k->fib);
		k->in_dump = true;
		break;
	case ORDER_SWEEP:
	case ORDER_SWEEP_PART:
		k->in_dump = false;
		fib_sweep(k->fib, m->nlmsg_flags % ORDER_NUM == ORDER_SWEEP);
		break;
	case ORDER_FLUSH:
		fib_flush(k->fib);
		break;
	case ORDER_ASK:
		fib_ask(k->fib, asked, NULL);
		break;
	case ORDER_REFUSE:
		s->refuse = !s->refuse;
		break;
	case ORDER_PORT:
		fib_port(k->fib, m->nlmsg_seq % 6, m->nlmsg_pid & 1 ? 0 : -1, m->nlmsg_pid / 2 % PORTS);
		break;
	case ORDER_RETRY:
		fib_retry(k->fib);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	struct kernel k = { .rules = 0 };
	static struct sink s;
	unsigned int messages, p;
	struct nlmsghdr head, *m;
	struct router_prefix at;
	struct fib_out out;
	uint32_t hop;
	size_t n;

	memset(&s, 0, sizeof(s));
	if (fib_create(&s.fib, &sink_ops, &s))
		return 0;
	k.fib = s.fib;
	for (p = 0; p < PORTS; p++)
		fib_port(s.fib, p + 1, 0, p);
	for (messages = 0; fuzz_left(&in) >= sizeof(head) && messages < MESSAGES_MAX; messages++) {
		memcpy(&head, in.at, sizeof(head));
		n = head.nlmsg_len < sizeof(head) ? sizeof(head) : head.nlmsg_len;
		n = n < fuzz_left(&in) ? n : fuzz_left(&in);
		m = malloc(n);
		memcpy(m, in.at, n);
		in.at += NLMSG_ALIGN(n) <= fuzz_left(&in) ? NLMSG_ALIGN(n) : fuzz_left(&in);
		m->nlmsg_len = (uint32_t)n;
		if (m->nlmsg_type < NLMSG_MIN_TYPE)
			order(&k, &s, m);
		else
			kernel_message(&k, m);
		free(m);
	}
	fib_flush(s.fib);
	s.refuse = false;
	fib_retry(s.fib);
	fib_each_prefix(s.fib, seen_prefix, &s);
	fib_get(s.fib, 4, (struct router_addr){ 0 }, &at, &hop, &out);
	fib_begin(s.fib); /* nothing is left: everything goes */
	fib_sweep(s.fib, true);
	if (s.prefixes)
		fuzz_fail("%u prefixes are left of nothing", s.prefixes);
	fib_destroy(s.fib);
	return 0;
}
