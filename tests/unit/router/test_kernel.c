/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is made of netlink messages that a kernel rarely sends, or never: dumps that break off, messages with something wrong
 * in them.  The two calls that speak to the kernel are replaced; the rest is what the router runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "router/fib_int.h"
#include "router/kernel_int.h"

#define BUF_BYTES (256u << 10)
#define PORT 10u

struct world {
	struct kernel k;
	struct fib *fib;
	/* the kernel: what a dump of this type and family ends with, and whether it has its things */
	uint16_t type;
	uint8_t family;
	int32_t done;
	bool asked, bare, error; /* bare: things are left out; error: it ends with NLMSG_ERROR */
	uint16_t now;
	uint8_t now_family;
	uint32_t seq;
	struct nlmsghdr *event; /* that is heard next */
	/* the sink */
	bool full;
	unsigned int hop_sets;
	uint8_t mac;            /* the last byte of the one set last */
};
static struct world *world; /* that the calls below are made in */

/* --- messages --- */

static struct nlmsghdr *begin(void *buf, uint16_t type, size_t head)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);

	m->nlmsg_type = type;
	memset(mnl_nlmsg_put_extra_header(m, head), 0, head);
	return m;
}

static struct nlmsghdr *link_begin(void *buf)
{
	struct nlmsghdr *m = begin(buf, RTM_NEWLINK, sizeof(struct ifinfomsg));
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(m);

	ifi->ifi_index = PORT;
	ifi->ifi_flags = 0x41; /* up, running */
	mnl_attr_put_u32(m, IFLA_MTU, 1500);
	mnl_attr_put(m, IFLA_ADDRESS, 6, "\2\0\0\0\0\12");
	return m;
}

static struct nlmsghdr *route_begin(void *buf, uint8_t family, const char *prefix, uint8_t len)
{
	struct nlmsghdr *m = begin(buf, RTM_NEWROUTE, sizeof(struct rtmsg));
	struct rtmsg *rtm = mnl_nlmsg_get_payload(m);
	struct router_addr a;
	uint8_t bytes[16];
	unsigned int f;

	*rtm = (struct rtmsg){ .rtm_family = family, .rtm_dst_len = len, .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST };
	assert_true(router_addr_parse(prefix, &f, &a));
	router_addr_store(a, f, bytes);
	mnl_attr_put(m, RTA_DST, f == 4 ? 4 : 16, bytes);
	return m;
}

static void route_via(struct nlmsghdr *m, const char *gateway)
{
	struct router_addr a;
	uint8_t bytes[16];
	unsigned int f;

	assert_true(router_addr_parse(gateway, &f, &a));
	router_addr_store(a, f, bytes);
	mnl_attr_put(m, RTA_GATEWAY, f == 4 ? 4 : 16, bytes);
	mnl_attr_put_u32(m, RTA_OIF, PORT);
}

static struct nlmsghdr *neigh_begin(void *buf, uint8_t mac)
{
	struct nlmsghdr *m = begin(buf, RTM_NEWNEIGH, sizeof(struct ndmsg));
	const uint8_t bytes[6] = { 2, 0, 0, 0, 1, mac };

	*(struct ndmsg *)mnl_nlmsg_get_payload(m) = (struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = PORT,
								     .ndm_state = NUD_REACHABLE };
	mnl_attr_put(m, NDA_DST, 4, "\12\0\0\2");
	mnl_attr_put(m, NDA_LLADDR, 6, bytes);
	return m;
}

/* --- the kernel --- */

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t len);
ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t len);

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *s, const void *buf, size_t len)
{
	const struct nlmsghdr *m = buf;

	world->now = m->nlmsg_type;
	world->now_family = *(const uint8_t *)mnl_nlmsg_get_payload(m);
	world->seq = m->nlmsg_seq;
	world->asked = true;
	return (ssize_t)len;
}

/* The one thing of a kind that there is. */
static struct nlmsghdr *thing(void *buf)
{
	struct nlmsghdr *m = NULL;

	if (world->now == RTM_GETLINK) {
		m = link_begin(buf);
		mnl_attr_put_strz(m, IFLA_IFNAME, "p0");
	} else if (world->now == RTM_GETNEIGH) {
		m = neigh_begin(buf, 1);
	} else if (world->now == RTM_GETROUTE && world->now_family == AF_INET) {
		m = route_begin(buf, AF_INET, "192.0.2.0", 24);
		route_via(m, "10.0.0.2");
	} else if (world->now == RTM_GETROUTE) {
		m = route_begin(buf, AF_INET6, "2001:db8::", 32);
		route_via(m, "fe80::1");
	}
	return m;
}

ssize_t __wrap_mnl_socket_recvfrom(const struct mnl_socket *s, void *buf, size_t len)
{
	bool hit = world->type == world->now && world->family == world->now_family;
	struct nlmsghdr *m = NULL, *done;
	size_t at = 0;

	if (s == world->k.events && world->event) {
		at = world->event->nlmsg_len;
		memcpy(buf, world->event, at);
		world->event = NULL;
		return (ssize_t)at;
	}
	if (s == world->k.events || !world->asked) {
		errno = EAGAIN;
		return -1;
	}
	world->asked = false;
	if (!hit || !world->bare)
		m = thing(buf);
	if (m) {
		m->nlmsg_seq = world->seq;
		at = MNL_ALIGN(m->nlmsg_len);
	}
	done = begin((uint8_t *)buf + at, hit && world->error ? NLMSG_ERROR : NLMSG_DONE,
		     hit && world->error ? sizeof(struct nlmsgerr) : sizeof(int32_t));
	done->nlmsg_seq = world->seq;
	*(int32_t *)mnl_nlmsg_get_payload(done) = hit ? world->done : 0;
	return (ssize_t)(at + done->nlmsg_len);
}

/* --- the sink --- */

static int hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	struct world *w = ctx;

	w->hop_sets++;
	if (w->full)
		return -ENOSPC;
	if (out->kind == FIB_FORWARD)
		w->mac = out->way[0].dst_mac[5];
	return 0;
}

static void hop_del(void *ctx, uint32_t hop) {}

static int prefix_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	return 0;
}

static int prefix_del(void *ctx, const struct router_prefix *p)
{
	return 0;
}

static int setup(void **state)
{
	static const struct fib_sink sink = { hop_set, hop_del, prefix_set, prefix_del, NULL };
	static char events, ask;
	struct world *w = calloc(1, sizeof(*w));

	assert_int_equal(fib_create(&w->fib, &sink, w), 0);
	assert_int_equal(fib_port(w->fib, PORT, 0, 0), 0);
	w->k.fib = w->fib;
	w->k.events = (struct mnl_socket *)(void *)&events;
	w->k.ask = (struct mnl_socket *)(void *)&ask;
	w->k.buf = malloc(BUF_BYTES);
	world = *state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	fib_destroy(w->fib);
	free(w->k.buf);
	free(w);
	return 0;
}

static void held(struct world *w, size_t ip4, size_t ip6, size_t neighbours)
{
	struct fib_counts c;

	fib_counts(w->fib, &c);
	assert_int_equal(c.routes[0], ip4);
	assert_int_equal(c.routes[1], ip6);
	assert_int_equal(c.neighbours, neighbours);
	assert_int_equal(c.links, 1);
}

/* A dump that ends with an error has left out what it may have left out: nothing of what is held goes. */
static void broken_off(struct world *w, uint16_t type, uint8_t family, int32_t done, bool error, int want)
{
	char err[KERNEL_ERR_MAX] = "";
	uint64_t syncs = w->k.counts.syncs;

	w->type = type;
	w->family = family;
	w->done = done;
	w->error = error;
	w->bare = true;
	assert_int_equal(kernel_sync(&w->k, err), want);
	assert_int_equal(!!*err, !!want);
	held(w, 1, 1, 1);
	assert_int_equal(w->k.counts.syncs, syncs);
	assert_true(w->k.counts.due);
}

static void test_broken_dump(void **state)
{
	struct world *w = *state;
	char err[KERNEL_ERR_MAX];

	assert_int_equal(kernel_sync(&w->k, err), 0);
	held(w, 1, 1, 1);
	assert_int_equal(w->k.counts.syncs, 1);
	assert_false(w->k.counts.due);
	broken_off(w, RTM_GETROUTE, AF_INET, -ENOBUFS, false, -ENOBUFS);
	broken_off(w, RTM_GETROUTE, AF_INET, -EMSGSIZE, true, -EMSGSIZE);
	broken_off(w, RTM_GETNEIGH, AF_UNSPEC, -ENOMEM, false, -ENOMEM);
	broken_off(w, RTM_GETROUTE, AF_INET6, -ENOBUFS, false, 0);
	broken_off(w, RTM_GETROUTE, AF_INET6, -ENOBUFS, true, 0);
	broken_off(w, RTM_GETNEXTHOP, AF_UNSPEC, -ENOMEM, false, 0);
	/* A kernel that has no IPv6 has no such routes. */
	w->type = RTM_GETROUTE;
	w->family = AF_INET6;
	w->done = -EAFNOSUPPORT;
	w->error = true;
	assert_int_equal(kernel_sync(&w->k, err), 0);
	held(w, 1, 0, 1);
	assert_int_equal(w->k.counts.syncs, 2);
	/* And one that is whole and lacks something takes it out. */
	w->family = AF_INET;
	w->done = 0;
	w->error = false;
	assert_int_equal(kernel_sync(&w->k, err), 0);
	held(w, 0, 1, 1);
}

/* A next hop for which the NICs had no room is tried again though nothing happens. */
static void test_hop_again(void **state)
{
	char err[KERNEL_ERR_MAX];
	struct world *w = *state;
	unsigned int sets;
	uint8_t buf[512];

	assert_int_equal(kernel_sync(&w->k, err), 0);
	w->event = neigh_begin(buf, 7);
	assert_int_equal(kernel_read(&w->k), 0);
	assert_int_equal(w->mac, 7);
	w->full = true;
	w->event = neigh_begin(buf, 8);
	assert_int_equal(kernel_read(&w->k), 0);
	assert_int_equal(w->mac, 7);
	w->k.ask_at_ns = 0;
	assert_int_equal(kernel_tick(&w->k, err), 0);
	assert_int_equal(w->mac, 7);
	w->full = false;
	w->k.ask_at_ns = 0;
	assert_int_equal(kernel_tick(&w->k, err), 0);
	assert_int_equal(w->mac, 8);
	sets = w->hop_sets;
	w->k.ask_at_ns = 0;
	assert_int_equal(kernel_tick(&w->k, err), 0);
	assert_int_equal(w->hop_sets, sets);
	assert_false(w->k.counts.due);
}

/* --- messages with something wrong in them --- */

/* What a change was that could not be read is asked for. */
static void test_event(void **state)
{
	char err[KERNEL_ERR_MAX];
	struct world *w = *state;
	uint8_t buf[512];

	assert_int_equal(kernel_sync(&w->k, err), 0);
	w->event = neigh_begin(buf, 7);
	((struct nlattr *)mnl_nlmsg_get_payload_offset(w->event, sizeof(struct ndmsg)))->nla_len = 200;
	assert_int_equal(kernel_read(&w->k), 0);
	assert_int_equal(w->k.counts.refused, 1);
	assert_true(w->k.counts.due);
	assert_int_equal(w->mac, 1);
}

/* A multipath list of two hops, the second's length and what follows as asked for. */
static int multipath(struct world *w, uint16_t second, unsigned int more)
{
	uint8_t buf[1024] = { 0 }, list[2 * (sizeof(struct rtnexthop) + 8) + 64] = { 0 };
	struct nlmsghdr *m = route_begin(buf, AF_INET, "198.51.100.0", 24);
	size_t each = sizeof(struct rtnexthop) + 8, i;
	struct rtnexthop *nh;

	for (i = 0; i < 2; i++) {
		nh = (struct rtnexthop *)(void *)&list[i * each];
		nh->rtnh_len = (uint16_t)(i ? second : each);
		nh->rtnh_ifindex = (int)PORT;
		*(struct nlattr *)(nh + 1) = (struct nlattr){ .nla_len = 8, .nla_type = RTA_GATEWAY };
		memcpy((uint8_t *)(nh + 1) + 4, i ? "\12\0\0\3" : "\12\0\0\2", 4);
	}
	mnl_attr_put(m, RTA_MULTIPATH, 2 * each + more, list);
	m->nlmsg_flags = NLM_F_CREATE;
	return kernel_message(&w->k, m);
}

static void test_multipath(void **state)
{
	const uint16_t each = sizeof(struct rtnexthop) + 8;
	struct world *w = *state;
	struct fib_counts c;

	assert_int_equal(multipath(w, 0, 0), -EBADMSG);
	assert_int_equal(multipath(w, sizeof(struct rtnexthop) - 1, 0), -EBADMSG);
	assert_int_equal(multipath(w, each + 1, 0), -EBADMSG);
	assert_int_equal(multipath(w, 0xffff, 0), -EBADMSG);
	assert_int_equal(multipath(w, each, 4), -EBADMSG);  /* less than another hop */
	assert_int_equal(multipath(w, each, 8), -EBADMSG);  /* one without a length */
	assert_int_equal(multipath(w, each - 1, 0), -EBADMSG); /* its gateway does not fit */
	fib_counts(w->fib, &c);
	assert_int_equal(c.routes[0], 0);
	assert_int_equal(multipath(w, each, 0), 0);
	fib_counts(w->fib, &c);
	assert_int_equal(c.routes[0], 1);
}

/* An attribute longer than its message hides those behind it: the route would be one without a gateway. */
static void test_attributes(void **state)
{
	struct world *w = *state;
	uint8_t buf[512] = { 0 };
	struct nlmsghdr *m = route_begin(buf, AF_INET, "198.51.100.0", 24);
	struct nlattr *a;
	struct fib_counts c;

	mnl_attr_put_u32(m, RTA_OIF, PORT);
	a = mnl_nlmsg_get_payload_tail(m);
	mnl_attr_put(m, RTA_GATEWAY, 4, "\12\0\0\2");
	a->nla_len = 40;
	assert_int_equal(kernel_message(&w->k, m), -EBADMSG);
	a->nla_len = 2;
	assert_int_equal(kernel_message(&w->k, m), -EBADMSG);
	/* A prefix without its address. */
	m = begin(buf, RTM_NEWROUTE, sizeof(struct rtmsg));
	*(struct rtmsg *)mnl_nlmsg_get_payload(m) = (struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 24,
								     .rtm_table = RT_TABLE_MAIN, .rtm_type = RTN_UNICAST };
	route_via(m, "10.0.0.2");
	assert_int_equal(kernel_message(&w->k, m), -EBADMSG);
	/* Cut off in its header. */
	m->nlmsg_len = MNL_NLMSG_HDRLEN + 4;
	assert_int_equal(kernel_message(&w->k, m), -EBADMSG);
	fib_counts(w->fib, &c);
	assert_int_equal(c.routes[0], 0);
}

/* A name that is not ended by a 0 ends with its attribute. */
static void test_name(void **state)
{
	static const struct { const char *bytes; uint16_t len; const char *name; } cases[] = {
		{ "eth7", 4, "eth7" }, { "eth7", 5, "eth7" }, { "abcdefghijklmnopqrst", 20, "abcdefghijklmno" },
		{ "abcdefghijklmnop", 16, "abcdefghijklmno" }, { "", 0, "" },
	};
	struct world *w = *state;
	uint8_t buf[512];
	struct nlmsghdr *m;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(buf, 'x', sizeof(buf));
		m = link_begin(buf);
		mnl_attr_put(m, IFLA_IFNAME, cases[i].len, cases[i].bytes);
		mnl_attr_put_u32(m, IFLA_TXQLEN, 0x78787878);
		assert_int_equal(kernel_message(&w->k, m), 0);
		assert_string_equal(fib_link_find(w->fib, PORT)->l.name, cases[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_broken_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hop_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multipath, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
