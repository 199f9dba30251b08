/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "router/kernel_write.h"

#define WRITER_BATCH_BYTES (32u << 10)
#define WRITER_MESSAGE_BYTES (4u << 10) /* of the largest message */
#define WRITER_ANSWER_S 30

struct writer {
	struct mnl_socket *nl;
	uint32_t seq;      /* number of the next request, from 0 */
	size_t len;        /* of what waits to be sent */
	uint32_t last_seq; /* of the last message in it, which is answered in any case */
	struct nlmsghdr *last;
	uint64_t refused, first;
	int why;
	uint8_t buf[WRITER_BATCH_BYTES + WRITER_MESSAGE_BYTES];
	uint8_t answer[64u << 10];
};

int writer_open(struct writer **out)
{
	struct timeval patience = { .tv_sec = WRITER_ANSWER_S };
	struct writer *w = calloc(1, sizeof(*w));
	int room = 4 << 20, rc;

	if (!w)
		return -ENOMEM;
	w->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!w->nl || mnl_socket_bind(w->nl, 0, MNL_SOCKET_AUTOPID)) {
		rc = -errno;
		writer_close(w);
		return rc;
	}
	setsockopt(mnl_socket_get_fd(w->nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(mnl_socket_get_fd(w->nl), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	*out = w;
	return 0;
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	if (w->nl)
		mnl_socket_close(w->nl);
	free(w);
}

/* Reads answers until that to `seq` has come. */
static int writer_answers(struct writer *w, uint32_t seq)
{
	const struct nlmsghdr *m;
	const struct nlmsgerr *e;
	ssize_t n;
	int left;

	for (;;) {
		n = mnl_socket_recvfrom(w->nl, w->answer, sizeof(w->answer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		left = (int)n;
		for (m = (const struct nlmsghdr *)w->answer; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			if (m->nlmsg_type != NLMSG_ERROR)
				continue;
			e = mnl_nlmsg_get_payload(m);
			if (e->error && !w->refused++) {
				w->first = m->nlmsg_seq;
				w->why = e->error;
			}
			if (m->nlmsg_seq == seq)
				return 0;
		}
	}
}

static int writer_send(struct writer *w)
{
	int rc;

	if (!w->len)
		return 0;
	w->last->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(w->nl, w->buf, w->len) < 0)
		return -errno;
	rc = writer_answers(w, w->last_seq);
	w->len = 0;
	return rc;
}

static struct nlmsghdr *writer_message(struct writer *w, uint16_t type, uint16_t flags, const struct router_prefix *p,
				       uint8_t route_type)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(w->buf + w->len);
	struct rtmsg *rtm;
	uint8_t dst[16];

	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = w->seq++;
	rtm = mnl_nlmsg_put_extra_header(m, sizeof(*rtm));
	rtm->rtm_family = p->family == 4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = p->len;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = WRITER_PROTOCOL;
	rtm->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
	rtm->rtm_type = route_type;
	router_addr_store(p->addr, p->family, dst);
	mnl_attr_put(m, RTA_DST, p->family == 4 ? 4 : 16, dst);
	return m;
}

static int writer_queue(struct writer *w, struct nlmsghdr *m)
{
	w->last = m;
	w->last_seq = m->nlmsg_seq;
	w->len += MNL_ALIGN(m->nlmsg_len);
	return w->len >= WRITER_BATCH_BYTES ? writer_send(w) : 0;
}

static void put_gateway(struct nlmsghdr *m, const struct writer_hop *hop, unsigned int family)
{
	struct {
		uint16_t family;
		uint8_t addr[16];
	} via = { .family = hop->family == 4 ? AF_INET : AF_INET6 };
	uint8_t gw[16];

	if (!hop->family)
		return;
	router_addr_store(hop->gateway, hop->family, gw);
	if (hop->family == family) {
		mnl_attr_put(m, RTA_GATEWAY, family == 4 ? 4 : 16, gw);
		return;
	}
	memcpy(via.addr, gw, hop->family == 4 ? 4 : 16);
	mnl_attr_put(m, RTA_VIA, sizeof(via.family) + (hop->family == 4 ? 4 : 16), &via);
}

static void put_hops(struct nlmsghdr *m, const struct writer_hop *hop, unsigned int n, unsigned int family)
{
	struct nlattr *all = mnl_attr_nest_start(m, RTA_MULTIPATH);
	struct rtnexthop *nh;
	unsigned int i;

	for (i = 0; i < n; i++) {
		nh = mnl_nlmsg_get_payload_tail(m);
		*nh = (struct rtnexthop){
			.rtnh_ifindex = (int)hop[i].ifindex, .rtnh_hops = (uint8_t)(hop[i].weight ? hop[i].weight - 1 : 0),
		};
		m->nlmsg_len += MNL_ALIGN(sizeof(*nh));
		put_gateway(m, &hop[i], family);
		nh->rtnh_len = (uint16_t)((uint8_t *)mnl_nlmsg_get_payload_tail(m) - (uint8_t *)nh);
	}
	mnl_attr_nest_end(m, all);
}

int writer_add(struct writer *w, const struct router_prefix *p, uint8_t type, const struct writer_hop *hop, unsigned int n,
	       uint32_t metric)
{
	struct nlmsghdr *m = writer_message(w, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, p, type);

	mnl_attr_put_u32(m, RTA_PRIORITY, metric);
	if (n > 1) {
		put_hops(m, hop, n, p->family);
	} else if (n) {
		mnl_attr_put_u32(m, RTA_OIF, hop->ifindex);
		put_gateway(m, hop, p->family);
	}
	return writer_queue(w, m);
}

int writer_del(struct writer *w, const struct router_prefix *p, uint32_t metric)
{
	struct nlmsghdr *m = writer_message(w, RTM_DELROUTE, 0, p, RTN_UNSPEC);

	mnl_attr_put_u32(m, RTA_PRIORITY, metric);
	return writer_queue(w, m);
}

int writer_end(struct writer *w, uint64_t *refused, uint64_t *first, int *why)
{
	int rc = writer_send(w);

	*refused = w->refused;
	*first = w->first;
	*why = w->why;
	return rc;
}
