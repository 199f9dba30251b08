/* SPDX-License-Identifier: BSD-3-Clause */
/* The two netlink sockets: one asks and is answered, the other hears of changes. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "router/kernel_int.h"

#define KERNEL_BUF_BYTES (256u << 10)
#define KERNEL_READ_BURST 256    /* datagrams that one kernel_read() takes over */
#define KERNEL_SYNC_DELAY_NS 20000000ull
#define KERNEL_ASK_NS 1000000000ull
#define KERNEL_TRIES 5           /* of a dump that changes got in the way of */
#define KERNEL_ANSWER_S 10

uint64_t kernel_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int kernel_fail(int rc, char err[KERNEL_ERR_MAX], const char *what)
{
	snprintf(err, KERNEL_ERR_MAX, "netlink: %s: %s", what, strerror(-rc));
	return rc;
}

static void kernel_rcvbuf(struct kernel *k, unsigned int bytes)
{
	int want = (int)(bytes ? bytes : KERNEL_RCVBUF), fd = mnl_socket_get_fd(k->events);

	/* Half of it: the kernel counts its own overhead and doubles. */
	want /= 2;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof(want)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &want, sizeof(want));
}

static int kernel_subscribe(struct kernel *k)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_NEXTHOP,
	};
	unsigned int i;
	int g;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		g = groups[i];
		if (mnl_socket_setsockopt(k->events, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)) && g != RTNLGRP_NEXTHOP)
			return -errno; /* a kernel without nexthop objects has none to tell of */
	}
	return 0;
}

int kernel_open(struct kernel **out, struct fib *fib, const struct kernel_opts *o, char err[KERNEL_ERR_MAX])
{
	struct timeval patience = { .tv_sec = KERNEL_ANSWER_S };
	struct kernel *k = calloc(1, sizeof(*k));
	int rc;

	if (k)
		k->buf = malloc(KERNEL_BUF_BYTES);
	if (!k || !k->buf) {
		free(k);
		return kernel_fail(-ENOMEM, err, "no socket");
	}
	k->fib = fib;
	k->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	k->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!k->events || !k->ask || mnl_socket_bind(k->events, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_bind(k->ask, 0, MNL_SOCKET_AUTOPID)) {
		rc = kernel_fail(-errno, err, "no socket");
		goto close;
	}
	kernel_rcvbuf(k, o->rcvbuf);
	setsockopt(mnl_socket_get_fd(k->ask), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	rc = kernel_subscribe(k);
	if (rc) {
		kernel_fail(rc, err, "cannot hear of changes");
		goto close;
	}
	*out = k;
	return 0;
close:
	kernel_close(k);
	return rc;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	if (k->events)
		mnl_socket_close(k->events);
	if (k->ask)
		mnl_socket_close(k->ask);
	free(k->buf);
	free(k);
}

int kernel_fd(const struct kernel *k)
{
	return mnl_socket_get_fd(k->events);
}

void kernel_counts(const struct kernel *k, struct kernel_counts *c)
{
	*c = k->counts;
}

/* Soon, but from the last one on it must be four times as long as that took: following goes on in between. */
void kernel_resync(struct kernel *k)
{
	uint64_t soon = kernel_now_ns() + KERNEL_SYNC_DELAY_NS, then = k->sync_end_ns + 4 * k->counts.sync_ns;

	if (!k->counts.due)
		k->sync_at_ns = then > soon ? then : soon;
	k->counts.due = true;
}

/* --- asking --- */

/*
 * All messages of a datagram.  1: the answer is complete, -errno: it ended in an error; *interrupted: something changed
 * meanwhile, so that things may be missing.
 */
static int dump_datagram(struct kernel *k, size_t len, bool *interrupted)
{
	const struct nlmsghdr *m = (const struct nlmsghdr *)k->buf;
	const struct nlmsgerr *e;
	int left = (int)len, failed;
	int32_t rc;

	for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
		if (m->nlmsg_seq != k->seq)
			continue;
		if (m->nlmsg_flags & NLM_F_DUMP_INTR)
			*interrupted = true;
		if (m->nlmsg_type == NLMSG_DONE) {
			/* A dump that broke off says so here. */
			rc = mnl_nlmsg_get_payload_len(m) >= sizeof(rc) ? *(const int32_t *)mnl_nlmsg_get_payload(m) : 0;
			return rc < 0 ? rc : 1;
		}
		if (m->nlmsg_type == NLMSG_ERROR) {
			e = mnl_nlmsg_get_payload(m);
			if (mnl_nlmsg_get_payload_len(m) < sizeof(e->error))
				return -EBADMSG;
			return e->error ? e->error : 1;
		}
		failed = kernel_message(k, m);
		k->counts.refused += failed != 0;
		*interrupted = *interrupted || failed == -ENOMEM;
	}
	return 0;
}

static int kernel_answer(struct kernel *k, bool *interrupted)
{
	ssize_t n;
	int rc;

	for (;;) {
		n = mnl_socket_recvfrom(k->ask, k->buf, KERNEL_BUF_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		rc = dump_datagram(k, (size_t)n, interrupted);
		if (rc)
			return rc < 0 ? rc : 0;
	}
}

static int kernel_request(struct kernel *k, uint16_t type, uint8_t family, bool *interrupted)
{
	uint8_t buf[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] = { 0 };
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	size_t head = sizeof(struct rtmsg);
	uint8_t *h;

	if (type == RTM_GETLINK)
		head = sizeof(struct ifinfomsg);
	else if (type == RTM_GETNEXTHOP)
		head = sizeof(struct nhmsg);
	else if (type == RTM_GETNETCONF)
		head = sizeof(struct netconfmsg);
	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = ++k->seq;
	h = mnl_nlmsg_put_extra_header(m, head);
	h[0] = family; /* the first byte of every one of these headers */
	if (mnl_socket_sendto(k->ask, m, m->nlmsg_len) < 0)
		return -errno;
	return kernel_answer(k, interrupted);
}

/* One kind of thing, again if something changed meanwhile. *whole: nothing was left out. */
static int kernel_dump(struct kernel *k, uint16_t type, uint8_t family, bool *whole)
{
	bool interrupted;
	unsigned int i;
	int rc;

	for (i = 0; i < KERNEL_TRIES; i++) {
		interrupted = false;
		k->rules = type == RTM_GETRULE ? 0 : k->rules;
		rc = kernel_request(k, type, family, &interrupted);
		if (rc || !interrupted)
			return rc;
		k->counts.interrupted++;
	}
	*whole = false;
	return 0;
}

/* What was said before the dump is in the dump. */
static void kernel_discard(struct kernel *k)
{
	ssize_t n;

	do {
		n = mnl_socket_recvfrom(k->events, k->buf, KERNEL_BUF_BYTES);
		if (n < 0 && errno == ENOBUFS)
			k->counts.overruns++;
	} while (n >= 0 || errno == EINTR || errno == ENOBUFS || errno == ENOSPC);
}

static bool kernel_lacks(int rc)
{
	return rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT || rc == -EPROTONOSUPPORT || rc == -EINVAL;
}

static int kernel_dump_all(struct kernel *k, bool *whole, char err[KERNEL_ERR_MAX])
{
	static const struct {
		uint16_t type;
		uint8_t family;
		bool optional; /* not in every kernel */
		const char *what;
	} dumps[] = {
		{ RTM_GETNETCONF, AF_INET, true, "" },
		{ RTM_GETNETCONF, AF_INET6, true, "" },
		{ RTM_GETRULE, AF_INET, true, "" },
		{ RTM_GETRULE, AF_INET6, true, "" },
		{ RTM_GETLINK, AF_UNSPEC, false, "cannot read the interfaces" },
		{ RTM_GETNEIGH, AF_UNSPEC, false, "cannot read the neighbours" },
		{ RTM_GETNEXTHOP, AF_UNSPEC, true, "" },
		{ RTM_GETROUTE, AF_INET, false, "cannot read the IPv4 routes" },
		{ RTM_GETROUTE, AF_INET6, true, "" },
	};
	unsigned int i, policy = 0;
	int rc;

	for (i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
		rc = kernel_dump(k, dumps[i].type, dumps[i].family, whole);
		if (rc && !dumps[i].optional)
			return kernel_fail(rc, err, dumps[i].what);
		*whole = *whole && (!rc || kernel_lacks(rc));
		if (dumps[i].type == RTM_GETRULE)
			policy += k->rules;
	}
	k->counts.policy = policy;
	return 0;
}

int kernel_sync(struct kernel *k, char err[KERNEL_ERR_MAX])
{
	uint64_t begun = kernel_now_ns();
	bool whole = true;
	int rc;

	k->counts.due = false;
	kernel_discard(k);
	fib_begin(k->fib);
	k->in_dump = true;
	k->linkdown_matters = false;
	rc = kernel_dump_all(k, &whole, err);
	k->in_dump = false;
	fib_sweep(k->fib, !rc && whole);
	k->sync_end_ns = kernel_now_ns();
	k->counts.sync_ns = k->sync_end_ns - begun;
	if (rc || !whole)
		kernel_resync(k);
	else
		k->counts.syncs++;
	return rc;
}

/* --- hearing --- */

int kernel_read(struct kernel *k)
{
	const struct nlmsghdr *m;
	unsigned int i;
	ssize_t n = 0;
	int left;

	for (i = 0; i < KERNEL_READ_BURST; i++) {
		n = mnl_socket_recvfrom(k->events, k->buf, KERNEL_BUF_BYTES);
		if (n < 0 && (errno == ENOBUFS || errno == ENOSPC)) {
			k->counts.overruns += errno == ENOBUFS;
			kernel_resync(k);
			continue;
		}
		if (n < 0)
			break;
		left = (int)n;
		for (m = (const struct nlmsghdr *)k->buf; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			k->counts.events++;
			if (kernel_message(k, m)) {
				k->counts.refused++;
				kernel_resync(k);
			}
		}
	}
	fib_flush(k->fib);
	return i == KERNEL_READ_BURST;
}

/* The kernel resolves or confirms a neighbour as if it had a packet for it. */
static void kernel_use_neighbour(void *ctx, uint32_t ifindex, unsigned int family, struct router_addr addr)
{
	uint8_t buf[MNL_ALIGN(sizeof(struct nlmsghdr)) + 64] = { 0 }, bytes[16];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct kernel *k = ctx;
	struct ndmsg *ndm;

	m->nlmsg_type = RTM_NEWNEIGH;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
	m->nlmsg_seq = ++k->seq;
	ndm = mnl_nlmsg_put_extra_header(m, sizeof(*ndm));
	ndm->ndm_family = family == 4 ? AF_INET : AF_INET6;
	ndm->ndm_ifindex = (int)ifindex;
	ndm->ndm_flags = NTF_USE;
	router_addr_store(addr, family, bytes);
	mnl_attr_put(m, NDA_DST, family == 4 ? 4 : 16, bytes);
	/* Its refusal, if any, is an answer to a number that nobody waits for. */
	if (mnl_socket_sendto(k->ask, m, m->nlmsg_len) < 0)
		k->counts.refused++;
}

uint64_t kernel_due_ns(const struct kernel *k)
{
	return k->counts.due && k->sync_at_ns < k->ask_at_ns ? k->sync_at_ns : k->ask_at_ns;
}

int kernel_tick(struct kernel *k, char err[KERNEL_ERR_MAX])
{
	uint64_t now = kernel_now_ns();

	if (now >= k->ask_at_ns) {
		k->ask_at_ns = now + KERNEL_ASK_NS;
		fib_ask(k->fib, kernel_use_neighbour, k);
		/* Next hops that the NICs had no room for: nothing may happen that would try them again. */
		fib_flush(k->fib);
	}
	return k->counts.due && now >= k->sync_at_ns ? kernel_sync(k, err) : 0;
}
