/* SPDX-License-Identifier: BSD-3-Clause */
/* Netlink messages, read into what the FIB takes. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "router/hash.h"
#include "router/kernel_int.h"

#define PARSE_MAX_MEMBERS 512
/* One hop more than the FIB takes: what has more is seen to have. */
#define PARSE_MAX_HOPS (FIB_MAX_HOPS + 1)

static unsigned int family_of(uint8_t af)
{
	return af == AF_INET ? 4 : af == AF_INET6 ? 6 : 0;
}

/* An address attribute of the right length. */
static bool parse_addr(const struct nlattr *a, unsigned int family, struct router_addr *out)
{
	if (!a || mnl_attr_get_payload_len(a) != (family == 4 ? 4 : 16))
		return false;
	*out = router_addr_load(family, mnl_attr_get_payload(a));
	return true;
}

static uint32_t parse_u32(const struct nlattr *a, uint32_t none)
{
	return a && mnl_attr_get_payload_len(a) >= 4 ? mnl_attr_get_u32(a) : none;
}

/* Attributes by number, those above max left out.  -EBADMSG: one does not fit. */
static int parse_attrs(const struct nlattr *first, size_t bytes, const struct nlattr **attr, unsigned int max)
{
	const struct nlattr *a = first;
	unsigned int type;

	memset(attr, 0, (max + 1) * sizeof(*attr));
	while (mnl_attr_ok(a, (int)bytes)) {
		type = mnl_attr_get_type(a);
		if (type <= max)
			attr[type] = a;
		bytes -= (size_t)MNL_ALIGN(a->nla_len) < bytes ? (size_t)MNL_ALIGN(a->nla_len) : bytes;
		a = mnl_attr_next(a);
	}
	return bytes >= sizeof(*a) ? -EBADMSG : 0;
}

static int message_attrs(const struct nlmsghdr *m, size_t head, const struct nlattr **attr, unsigned int max)
{
	size_t bytes = mnl_nlmsg_get_payload_len(m);

	if (bytes < head)
		return -EBADMSG;
	bytes = bytes > MNL_ALIGN(head) ? bytes - MNL_ALIGN(head) : 0;
	return parse_attrs(mnl_nlmsg_get_payload_offset(m, head), bytes, attr, max);
}

/* --- links, addresses, neighbours --- */

/* Ends where the attribute does, with a 0 or without. */
static void parse_name(const struct nlattr *a, char name[FIB_IFNAME])
{
	size_t len = mnl_attr_get_payload_len(a);

	len = len < FIB_IFNAME ? len : FIB_IFNAME - 1;
	memcpy(name, mnl_attr_get_payload(a), len);
	name[len] = '\0';
}

static int link_message(struct kernel *k, const struct nlmsghdr *m)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr[IFLA_MTU + 1];
	struct fib_link l = { 0 };
	int rc = message_attrs(m, sizeof(*ifi), attr, IFLA_MTU);

	if (rc || ifi->ifi_family != AF_UNSPEC)
		return rc; /* a bridge's or IPv6's view of a link */
	if (m->nlmsg_type == RTM_DELLINK) {
		fib_link_del(k->fib, (uint32_t)ifi->ifi_index);
		kernel_resync(k);
		return 0;
	}
	l.ifindex = (uint32_t)ifi->ifi_index;
	l.up = ifi->ifi_flags & IFF_UP;
	l.carrier = ifi->ifi_flags & IFF_RUNNING;
	l.mtu = attr[IFLA_MTU] ? parse_u32(attr[IFLA_MTU], 0) : 1500;
	if (attr[IFLA_ADDRESS] && mnl_attr_get_payload_len(attr[IFLA_ADDRESS]) == 6)
		memcpy(l.mac, mnl_attr_get_payload(attr[IFLA_ADDRESS]), 6);
	if (attr[IFLA_IFNAME])
		parse_name(attr[IFLA_IFNAME], l.name);
	/* Routes of an interface that goes down are taken away without a word. */
	if (!k->in_dump && (!l.up || !l.carrier || k->linkdown_matters))
		kernel_resync(k);
	return fib_link_set(k->fib, &l);
}

static int neigh_message(struct kernel *k, const struct nlmsghdr *m)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct fib_neigh n = { 0 };
	int rc = message_attrs(m, sizeof(*ndm), attr, NDA_LLADDR);

	if (rc)
		return rc;
	n.family = (uint8_t)family_of(ndm->ndm_family);
	if (!n.family || ndm->ndm_flags & NTF_PROXY)
		return 0;
	if (!parse_addr(attr[NDA_DST], n.family, &n.addr))
		return -EBADMSG;
	n.ifindex = (uint32_t)ndm->ndm_ifindex;
	n.state = ndm->ndm_state;
	if (m->nlmsg_type == RTM_DELNEIGH) {
		fib_neigh_del(k->fib, n.ifindex, n.family, n.addr);
		return 0;
	}
	if (attr[NDA_LLADDR] && mnl_attr_get_payload_len(attr[NDA_LLADDR]) == 6)
		memcpy(n.mac, mnl_attr_get_payload(attr[NDA_LLADDR]), 6);
	else
		n.state &= (uint16_t)~(NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY);
	return fib_neigh_set(k->fib, &n);
}

/* --- nexthop objects --- */

static int object_group(const struct nlattr *a, struct fib_member *member, struct fib_object *o)
{
	const struct nexthop_grp *g = mnl_attr_get_payload(a);
	unsigned int i, n = mnl_attr_get_payload_len(a) / sizeof(*g);

	if (!n || n > PARSE_MAX_MEMBERS)
		return -EBADMSG;
	for (i = 0; i < n; i++)
		member[i] = (struct fib_member){ .id = g[i].id, .weight = (uint16_t)(g[i].weight + 1) };
	o->n = n;
	o->member = member;
	return 0;
}

static int object_message(struct kernel *k, const struct nlmsghdr *m)
{
	struct fib_member member[PARSE_MAX_MEMBERS];
	const struct nhmsg *nh = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr[NHA_FDB + 1];
	struct fib_object o = { 0 };
	int rc = message_attrs(m, sizeof(*nh), attr, NHA_FDB);

	if (rc)
		return rc;
	if (!attr[NHA_ID])
		return -EBADMSG;
	o.id = parse_u32(attr[NHA_ID], 0);
	if (m->nlmsg_type == RTM_DELNEXTHOP) {
		fib_object_del(k->fib, o.id);
		kernel_resync(k);
		return 0;
	}
	o.blackhole = attr[NHA_BLACKHOLE];
	o.alien = attr[NHA_FDB];
	o.hop.ifindex = parse_u32(attr[NHA_OIF], 0);
	o.hop.weight = 1;
	o.hop.flags = (nh->nh_flags & RTNH_F_DEAD ? FIB_HOP_DEAD : 0) | (attr[NHA_ENCAP] ? FIB_HOP_ENCAP : 0);
	o.hop.family = attr[NHA_GATEWAY] ? (uint8_t)family_of(nh->nh_family) : 0;
	if (o.hop.family && !parse_addr(attr[NHA_GATEWAY], o.hop.family, &o.hop.gateway))
		return -EBADMSG;
	if (attr[NHA_GROUP])
		rc = object_group(attr[NHA_GROUP], member, &o);
	return rc ? rc : fib_object_set(k->fib, &o);
}

/* --- routes --- */

/* Gateway, of the route's family or another. */
static int hop_gateway(const struct nlattr *gateway, const struct nlattr *via, unsigned int family, struct fib_hop *hop)
{
	const struct rtvia *v;

	if (gateway) {
		hop->family = (uint8_t)family;
		return parse_addr(gateway, family, &hop->gateway) ? 0 : -EBADMSG;
	}
	if (!via)
		return 0;
	v = mnl_attr_get_payload(via);
	if (mnl_attr_get_payload_len(via) < sizeof(*v))
		return -EBADMSG;
	hop->family = (uint8_t)family_of((uint8_t)v->rtvia_family);
	if (!hop->family || mnl_attr_get_payload_len(via) - sizeof(*v) < (hop->family == 4 ? 4 : 16))
		return -EBADMSG;
	hop->gateway = router_addr_load(hop->family, v->rtvia_addr);
	return 0;
}

static uint8_t hop_flags(unsigned int rtnh_flags, const struct nlattr *encap)
{
	return (uint8_t)((rtnh_flags & RTNH_F_DEAD ? FIB_HOP_DEAD : 0) | (encap ? FIB_HOP_ENCAP : 0));
}

/* The kernel takes no list that ends in something else, and no attribute that does not fit; neither is one read here. */
static int route_multipath(const struct nlattr *a, unsigned int family, struct fib_hop *hop, unsigned int *n)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(a);
	const struct nlattr *attr[RTA_ENCAP + 1];
	size_t left = mnl_attr_get_payload_len(a);
	int rc;

	for (; left >= sizeof(*nh) && nh->rtnh_len >= sizeof(*nh) && nh->rtnh_len <= left; (*n)++) {
		if (*n == PARSE_MAX_HOPS)
			return 0;
		rc = parse_attrs((const struct nlattr *)RTNH_DATA(nh), nh->rtnh_len - sizeof(*nh), attr, RTA_ENCAP);
		if (rc)
			return rc;
		hop[*n] = (struct fib_hop){
			.ifindex = (uint32_t)nh->rtnh_ifindex, .weight = (uint16_t)(nh->rtnh_hops + 1),
			.flags = hop_flags(nh->rtnh_flags, attr[RTA_ENCAP]),
		};
		rc = hop_gateway(attr[RTA_GATEWAY], attr[RTA_VIA], family, &hop[*n]);
		if (rc)
			return rc;
		left -= (size_t)RTNH_ALIGN(nh->rtnh_len) < left ? (size_t)RTNH_ALIGN(nh->rtnh_len) : left;
		nh = RTNH_NEXT(nh);
	}
	return left ? -EBADMSG : 0;
}

static int route_mtu(const struct nlattr *metrics, uint32_t *mtu)
{
	const struct nlattr *attr[RTAX_MTU + 1];
	int rc;

	*mtu = 0;
	if (!metrics)
		return 0;
	rc = parse_attrs(mnl_attr_get_payload(metrics), mnl_attr_get_payload_len(metrics), attr, RTAX_MTU);
	if (!rc)
		*mtu = parse_u32(attr[RTAX_MTU], 0);
	return rc;
}

/* IPv4 keeps routes apart that differ only in what we have no use for. */
static uint32_t route_tag(const struct rtmsg *rtm, const struct nlattr *src, const struct nlattr *metrics)
{
	const uint8_t *bytes = metrics ? mnl_attr_get_payload(metrics) : NULL;
	uint64_t h = hash_mix(rtm->rtm_scope, parse_u32(src, 0));
	size_t i, n = metrics ? mnl_attr_get_payload_len(metrics) : 0;

	for (i = 0; i < n; i++)
		h = hash_mix(h, bytes[i]);
	return (uint32_t)h;
}

static int route_parse(const struct nlmsghdr *m, struct fib_route *r, struct fib_hop *hop)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr[RTA_NH_ID + 1];
	unsigned int family;
	int rc = message_attrs(m, sizeof(*rtm), attr, RTA_NH_ID);

	if (rc)
		return rc;
	family = family_of(rtm->rtm_family);
	if (rtm->rtm_dst_len > router_family_bits(family))
		return -EBADMSG;
	*r = (struct fib_route){
		.prefix = { .family = (uint8_t)family, .len = rtm->rtm_dst_len },
		.table = parse_u32(attr[RTA_TABLE], rtm->rtm_table), .metric = parse_u32(attr[RTA_PRIORITY], 0),
		.object = parse_u32(attr[RTA_NH_ID], 0), .type = rtm->rtm_type,
		.protocol = rtm->rtm_protocol, .tos = rtm->rtm_tos, .odd = rtm->rtm_src_len, .hop = hop,
	};
	if (family == 4)
		r->tag = route_tag(rtm, attr[RTA_PREFSRC], attr[RTA_METRICS]);
	if (attr[RTA_DST] ? !parse_addr(attr[RTA_DST], family, &r->prefix.addr) : rtm->rtm_dst_len)
		return -EBADMSG;
	rc = route_mtu(attr[RTA_METRICS], &r->mtu);
	if (rc)
		return rc;
	r->prefix.addr = router_addr_mask(r->prefix.addr, r->prefix.len);
	if (attr[RTA_MULTIPATH])
		return route_multipath(attr[RTA_MULTIPATH], family, hop, &r->n);
	r->n = 1;
	hop[0] = (struct fib_hop){
		.ifindex = parse_u32(attr[RTA_OIF], 0), .weight = 1, .flags = hop_flags(rtm->rtm_flags, attr[RTA_ENCAP]),
	};
	return hop_gateway(attr[RTA_GATEWAY], attr[RTA_VIA], family, &hop[0]);
}

static int route_message(struct kernel *k, const struct nlmsghdr *m)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(m);
	struct fib_hop hop[PARSE_MAX_HOPS];
	struct fib_route r;
	enum fib_how how = FIB_FIRST;
	bool known;
	int rc;

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*rtm))
		return -EBADMSG;
	if (!family_of(rtm->rtm_family) || rtm->rtm_flags & RTM_F_CLONED)
		return 0;
	rc = route_parse(m, &r, hop);
	if (rc)
		return rc;
	if (m->nlmsg_type == RTM_DELROUTE) {
		rc = fib_route_del(k->fib, &r, &known);
		if (!known)
			kernel_resync(k);
		return rc;
	}
	if (k->in_dump || r.prefix.family == 6 || m->nlmsg_flags & NLM_F_APPEND)
		how = FIB_LAST;
	if (!k->in_dump && m->nlmsg_flags & NLM_F_REPLACE)
		how = FIB_REPLACE;
	return fib_route_add(k->fib, &r, how);
}

/* --- what else may change which route is taken --- */

/* Rules that everybody has: all packets, by the tables that we follow. */
static int rule_message(struct kernel *k, const struct nlmsghdr *m)
{
	const struct fib_rule_hdr *h = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr[FRA_TABLE + 1];
	uint32_t pref, table;
	int rc = message_attrs(m, sizeof(*h), attr, FRA_TABLE);

	if (rc)
		return rc;
	if (!k->in_dump) {
		kernel_resync(k);
		return 0;
	}
	pref = parse_u32(attr[FRA_PRIORITY], 0);
	table = parse_u32(attr[FRA_TABLE], h->table);
	if (h->action == FR_ACT_TO_TBL && !h->src_len && !h->dst_len && !h->tos && !attr[FRA_IFNAME] && !attr[FRA_FWMARK] &&
	    ((pref == 0 && table == RT_TABLE_LOCAL) || (pref == 32766 && table == RT_TABLE_MAIN) ||
	     (pref == 32767 && table == RT_TABLE_DEFAULT)))
		return 0;
	k->rules++;
	return 0;
}

static int netconf_message(struct kernel *k, const struct nlmsghdr *m)
{
	const struct nlattr *attr[NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN + 1];
	int rc = message_attrs(m, sizeof(struct netconfmsg), attr, NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN);
	bool set;

	if (rc || !attr[NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN])
		return rc;
	set = parse_u32(attr[NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN], 0);
	if (!k->in_dump && (set || k->linkdown_matters))
		kernel_resync(k);
	k->linkdown_matters = k->linkdown_matters || set;
	return 0;
}

int kernel_message(struct kernel *k, const struct nlmsghdr *m)
{
	switch (m->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_message(k, m);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		return neigh_message(k, m);
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_message(k, m);
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		return object_message(k, m);
	case RTM_DELADDR:
		/* Routes with it as their source go without a word. */
		kernel_resync(k);
		return 0;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return rule_message(k, m);
	case RTM_NEWNETCONF:
		return netconf_message(k, m);
	default:
		return 0;
	}
}
