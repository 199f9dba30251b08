/* SPDX-License-Identifier: BSD-3-Clause */
/* What RFC 1812, RFC 8200, RFC 4291 and RFC 3704 want done with a frame, byte by byte and slowly. */
#include <arpa/inet.h>
#include <string.h>

#include "route_rig.h"

#define BIT(k) (1ull << (k))

static unsigned int word(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static unsigned int ones_sum(const uint8_t *p, unsigned int bytes)
{
	unsigned int sum = 0, k;

	for (k = 0; k + 1 < bytes; k += 2) {
		sum += word(p + k);
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

void rig_fix_sum(uint8_t *f)
{
	unsigned int sum;

	f[24] = f[25] = 0;
	sum = 0xffff - ones_sum(f + 14, (f[14] & 15) * 4u);
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
}

uint32_t rig_frame(uint8_t *f, unsigned int nic, unsigned int port, const char *from, const char *to, uint32_t len,
		   uint16_t sport)
{
	bool six = strchr(to, ':');
	uint32_t k, udp = six ? 54 : 34;

	memset(f, 0, len < 128 ? 128 : len);
	for (k = udp + 8; k < len; k++)
		f[k] = (uint8_t)(k * 7 + sport);
	rig_port_mac(f, nic, port);
	memcpy(f + 6, (uint8_t[6]){ 2, 0xaa, 0, 0, 0, 1 }, 6);
	memcpy(f + 12, six ? (uint8_t[2]){ 0x86, 0xdd } : (uint8_t[2]){ 0x08, 0 }, 2);
	if (six) {
		f[14] = 0x60;
		f[18] = (uint8_t)((len - 54) >> 8);
		f[19] = (uint8_t)(len - 54);
		f[20] = 17;
		f[21] = 64;
		inet_pton(AF_INET6, from, f + 22);
		inet_pton(AF_INET6, to, f + 38);
	} else {
		f[14] = 0x45;
		f[16] = (uint8_t)((len - 14) >> 8);
		f[17] = (uint8_t)(len - 14);
		f[18] = (uint8_t)(sport >> 8); /* so that checksums take all values */
		f[19] = (uint8_t)sport;
		f[22] = 64;
		f[23] = 17;
		inet_pton(AF_INET, from, f + 26);
		inet_pton(AF_INET, to, f + 30);
		rig_fix_sum(f);
	}
	f[udp] = (uint8_t)(sport >> 8);
	f[udp + 1] = (uint8_t)sport;
	f[udp + 3] = 53;
	return len;
}

static bool covers(const struct rig_route *r, const uint8_t *addr)
{
	unsigned int bit;

	for (bit = 0; bit < r->len; bit++)
		if ((r->addr[bit / 8] ^ addr[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static uint32_t longest(const struct rig *g, enum p2p_family family, const uint8_t *addr)
{
	const struct rig_route *best = NULL;
	unsigned int k;

	for (k = 0; k < g->routes; k++)
		if (g->route[k].family == family && covers(&g->route[k], addr) && (!best || g->route[k].len > best->len))
			best = &g->route[k];
	return best ? best->hop : P2P_HOP_DEFAULT(family);
}

static const struct rig_hop *hop_of(const struct rig *g, uint32_t *hop)
{
	if (g->hop[*hop].alias)
		*hop = g->hop[*hop].alias;
	return &g->hop[*hop];
}

static bool ip4_forbidden(const uint8_t *a)
{
	return a[0] == 0 || a[0] == 127 || a[0] >= 224;
}

static bool ip6_forbidden(const uint8_t *a)
{
	static const uint8_t none[16];

	return a[0] == 0xff || !memcmp(a, none, 16) || (!memcmp(a, none, 15) && a[15] == 1);
}

struct packet {
	enum p2p_family family;
	const uint8_t *src, *dst;
	unsigned int bytes, ttl; /* of the packet */
	bool link_local, mine;   /* mine: to a link-local address */
};

static bool ip4(const uint8_t *f, uint32_t len, struct packet *p, struct rig_fate *fate)
{
	unsigned int header;

	if (len < 34) {
		fate->drops |= BIT(P2P_DROP_ip_header) | BIT(P2P_DROP_ip_version);
		return false;
	}
	header = (f[14] & 15) * 4;
	p->bytes = word(f + 16);
	p->ttl = f[22];
	p->src = f + 26;
	p->dst = f + 30;
	p->link_local = (p->src[0] == 169 && p->src[1] == 254) || (p->dst[0] == 169 && p->dst[1] == 254);
	p->mine = false;
	if (f[14] >> 4 != 4)
		fate->drops |= BIT(P2P_DROP_ip_version);
	if (header < 20 || 14 + header > len) {
		fate->drops |= BIT(P2P_DROP_ip_header);
		return false;
	}
	if (p->bytes < header || 14 + p->bytes > len)
		fate->drops |= BIT(P2P_DROP_ip_length);
	if (ones_sum(f + 14, header) != 0xffff)
		fate->drops |= BIT(P2P_DROP_ip_checksum);
	if (ip4_forbidden(p->src))
		fate->drops |= BIT(P2P_DROP_ip_source);
	if (ip4_forbidden(p->dst))
		fate->drops |= BIT(P2P_DROP_ip_dest);
	if (header > 20)
		fate->punts |= 1u << P2P_PUNT_options;
	return true;
}

static bool ip6(const uint8_t *f, uint32_t len, struct packet *p, struct rig_fate *fate)
{
	if (len < 54) {
		fate->drops |= BIT(P2P_DROP_ip_header) | BIT(P2P_DROP_ip_version);
		return false;
	}
	p->bytes = 40 + word(f + 18);
	p->ttl = f[21];
	p->src = f + 22;
	p->dst = f + 38;
	p->mine = p->dst[0] == 0xfe && (p->dst[1] & 0xc0) == 0x80;
	p->link_local = p->mine || (p->src[0] == 0xfe && (p->src[1] & 0xc0) == 0x80);
	if (f[14] >> 4 != 6)
		fate->drops |= BIT(P2P_DROP_ip_version);
	if (14 + p->bytes > len)
		fate->drops |= BIT(P2P_DROP_ip_length);
	if (ip6_forbidden(p->src))
		fate->drops |= BIT(P2P_DROP_ip_source);
	if (ip6_forbidden(p->dst))
		fate->drops |= BIT(P2P_DROP_ip_dest);
	if (f[20] == 0)
		fate->punts |= 1u << P2P_PUNT_options;
	if (p->mine)
		fate->punts |= 1u << P2P_PUNT_local;
	return true;
}

static void reverse(const struct rig *g, unsigned int nic, unsigned int port, const struct packet *p, struct rig_fate *fate)
{
	uint32_t hop = longest(g, p->family, p->src);
	const struct rig_hop *h = hop_of(g, &hop);
	bool there = h->kind == P2P_HOP_KIND_FORWARD || h->kind == P2P_HOP_KIND_GLEAN;

	if (!g->rpf[nic][port] || p->link_local)
		return;
	if (g->rpf[nic][port] == P2P_RPF_STRICT)
		there = there && h->nic == nic && h->port == port;
	else
		there = there || h->kind == P2P_HOP_KIND_PUNT;
	if (!there)
		fate->drops |= BIT(P2P_DROP_rpf);
}

/* Where the route leads, and what speaks against going there. */
static void route(const struct rig *g, unsigned int nic, unsigned int port, const struct packet *p, struct rig_fate *fate)
{
	uint32_t hop = longest(g, p->family, p->dst);
	const struct rig_hop *h = hop_of(g, &hop);
	static const int punt[] = {
		[P2P_HOP_KIND_NO_ROUTE] = P2P_PUNT_no_route, [P2P_HOP_KIND_FORWARD] = -1, [P2P_HOP_KIND_GLEAN] = P2P_PUNT_glean,
		[P2P_HOP_KIND_LOCAL] = P2P_PUNT_local, [P2P_HOP_KIND_PUNT] = P2P_PUNT_kernel, [P2P_HOP_KIND_BLACKHOLE] = -1,
		[P2P_HOP_KIND_UNREACHABLE] = P2P_PUNT_unreachable, [P2P_HOP_KIND_PROHIBIT] = P2P_PUNT_prohibit,
	};

	fate->hop = hop;
	fate->nic = h->nic;
	fate->port = h->port;
	reverse(g, nic, port, p, fate);
	if (p->link_local && h->kind != P2P_HOP_KIND_LOCAL)
		fate->drops |= BIT(P2P_DROP_link_local);
	else if (h->kind == P2P_HOP_KIND_BLACKHOLE)
		fate->drops |= BIT(P2P_DROP_blackhole);
	else if (punt[h->kind] >= 0)
		fate->punts |= 1u << punt[h->kind];
	if (h->kind != P2P_HOP_KIND_FORWARD)
		return;
	if (p->ttl < 2)
		fate->punts |= 1u << P2P_PUNT_ttl;
	if (h->mtu && p->bytes > h->mtu)
		fate->punts |= 1u << P2P_PUNT_mtu;
}

void rig_decide(const struct rig *g, unsigned int nic, unsigned int port, const uint8_t *f, uint32_t len, struct rig_fate *fate)
{
	struct packet p = { .family = P2P_IP4 };
	uint8_t mine[6];

	fate->drops = fate->punts = 0;
	fate->hop = P2P_PS_NO_HOP;
	if (len < 14) {
		fate->drops |= BIT(P2P_DROP_runt);
		return;
	}
	if (f[0] & 1) {
		fate->punts |= 1u << P2P_PUNT_group;
		return;
	}
	rig_port_mac(mine, nic, port);
	if (memcmp(f, mine, 6))
		fate->drops |= BIT(P2P_DROP_other_mac);
	if (f[6] & 1)
		fate->drops |= BIT(P2P_DROP_bad_source);
	if (word(f + 12) == 0x86dd)
		p.family = P2P_IP6;
	else if (word(f + 12) != 0x0800) {
		fate->punts |= 1u << P2P_PUNT_not_ip;
		return;
	}
	if (!(p.family == P2P_IP6 ? ip6(f, len, &p, fate) : ip4(f, len, &p, fate)))
		return;
	if (!fate->drops && !fate->punts)
		route(g, nic, port, &p, fate);
	if (fate->drops || fate->punts)
		return;
	/* It is sent: without what lies behind the packet, but not shorter than Ethernet's shortest frame. */
	fate->len = len <= 60 || 14 + p.bytes >= len ? len : 14 + p.bytes < 60 ? 60 : 14 + p.bytes;
	memcpy(fate->out, f, fate->len);
	rig_hop_mac(fate->out, fate->hop);
	rig_port_mac(fate->out + 6, fate->nic, fate->port);
	if (p.family == P2P_IP6) {
		fate->out[21]--;
	} else {
		fate->out[22]--;
		rig_fix_sum(fate->out);
	}
}
