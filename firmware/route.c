/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP routing: a burst of a port's frames goes through one loop after the other.
 *
 *   judge     the Ethernet and IP header, on a private copy: the cable's far end can still write to the frame
 *   look up   destinations, and sources where the reverse path is looked at
 *   hop       what the hop index leads to: send, give to the host, drop
 *   rewrite   MAC addresses, TTL, checksum: from the private copy back into the receive buffer, before the one
 *             movement of the frame and its checksum
 *   sort      frames of one egress ring follow each other and go as in the pair path (fw_prod_burst())
 *
 * Sources: RFC 1812 (5.2, 5.3), RFC 8200 (3, 4, 4.3), RFC 4291 (2.5, 2.7), RFC 1624 (3), RFC 3704; table: <p2pnic/route.h>.
 */
#include "nic.h"

#ifndef FW_NO_ROUTING

#define ETH_GROUP 1u
#define ETH_IP4 0x0800u
#define ETH_IP6 0x86ddu
#define ETH_BYTES 14u
#define ETH_MIN 60u
#define IP4_BYTES 20u
#define IP6_BYTES 40u
#define NO_HOP P2P_PS_NO_HOP
#define LOOKS_ALL 3u  /* at a burst's routes while words change */
#define LOOKS_ONE 64u /* at a frame's */
#define RPF_BUCKETS 256u /* of a group are looked at at most, evenly spread */

/* What is to become of a frame. */
enum fate { FATE_SEND, FATE_PUNT, FATE_DROP };

/* A frame of the burst. */
struct rframe {
	uint8_t h[64]; /* the frame's beginning, as it was when it was judged */
	uint32_t len;  /* of the whole frame */
	uint32_t ip_len;
	uint16_t at, nsegs; /* in the stash */
	uint8_t fate, why;  /* enum fate; enum p2p_punt or p2p_drop */
	uint8_t family;
	bool link_local;
	uint16_t to;
	bool rpf_bad;
	uint32_t hop;      /* found, then resolved */
	uint32_t back;     /* of the source */
	const struct p2p_hop_entry *e; /* resolved, NULL: no route */
};

static inline uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t be32(const uint8_t *p)
{
	return be16(p) << 16 | be16(p + 2);
}

/* Of a frame's beginning, in one load: what is put together from 4 and 2 bytes waits for both stores. */
static inline uint64_t mac48(const uint8_t *p)
{
	le64 v;

	memcpy(&v, p, sizeof(v));
	return from_le64(v) & 0xffffffffffffull;
}

static inline void set_drop(struct rframe *f, enum p2p_drop why)
{
	f->fate = FATE_DROP;
	f->why = (uint8_t)why;
}

static inline void set_punt(struct rframe *f, enum p2p_punt why)
{
	f->fate = FATE_PUNT;
	f->why = (uint8_t)why;
}

/* ---- the area ---- */

static bool part_ok(uint64_t at, uint64_t bytes, uint64_t all)
{
	return at >= sizeof(struct p2p_route_head) && !(at & 63) && at <= all && bytes <= all - at;
}

/* Everything that later stays unasked: that the parts lie in the area.  Copies what is used; tables are fw_lpm_open()'s. */
static int area_take(struct fw_route *r, struct p2p_route_head *h, uint64_t bytes, unsigned int context)
{
	/* The host can still write to the head: what was judged is what is used. */
	const volatile struct p2p_route_head *v = h;
	const uint64_t hops_at = from_le32(v->hops_at), buckets_at = from_le32(v->buckets_at), entries_at = from_le32(v->entries_at);
	const uint64_t counts = from_le32(v->counts_at), step = from_le32(v->counts_step);
	const uint32_t contexts = from_le32(v->contexts);
	uint8_t *base = (uint8_t *)h;

	if (le32_load_acquire(&h->magic) != P2P_ROUTE_MAGIC || fw_lpm_open(&r->lpm, h, bytes))
		return -FW_EINVAL;
	r->hops = from_le32(v->hops);
	r->buckets = from_le32(v->buckets);
	r->entries = from_le32(v->entries);
	if (from_le64(v->bytes) > bytes || context >= contexts || contexts > P2P_ROUTE_MAX_CONTEXTS || r->hops < P2P_HOP_FREE ||
	    r->hops > P2P_MAX_HOPS || !r->entries)
		return -FW_EINVAL;
	if (!part_ok(hops_at, 4ull * r->hops, bytes) || !part_ok(buckets_at, 4ull * r->buckets, bytes) ||
	    !part_ok(entries_at, 64ull * r->entries, bytes) || step & 63 || step < 16ull * r->hops ||
	    !part_ok(counts, (context + 1) * step, bytes))
		return -FW_EINVAL;
	r->hop_words = (const le32 *)(base + hops_at);
	r->bucket_words = (const le32 *)(base + buckets_at);
	r->entry = (const struct p2p_hop_entry *)(base + entries_at);
	r->count = (struct p2p_hop_count *)(base + counts + context * step);
	r->head = h;
	r->line = &h->ctx[context];
	return 0;
}

int fw_route_table(struct fw_nic *n, bool use)
{
	struct fw_route *r = &n->route, found = *r;
	int err;

	if (r->table)
		le32_store_release(&r->line->seen, 0);
	r->table = false;
	if (!use)
		return 0;
	if (!n->configured || !n->shape.route_bytes)
		return -FW_EINVAL;
	err = area_take(&found, board_segment(n->board, p2p_seg_count(&n->shape)), n->shape.route_bytes, n->strap.queue);
	if (err)
		return err;
	*r = found;
	r->table = true;
	if (r->on)
		fw_route_resume(n);
	return 0;
}

void fw_route_resume(struct fw_nic *n)
{
	struct fw_route *r = &n->route;

	if (!r->table)
		return;
	r->seen = le32_load_acquire(&r->head->epoch);
	le32_store_release(&r->line->seen, r->seen);
	board_barrier();
}

void fw_route_idle(struct fw_nic *n)
{
	struct fw_route *r = &n->route;

	if (r->table)
		le32_store_release(&r->line->seen, r->seen = 0);
}

void fw_route_pass(struct fw_nic *n)
{
	struct fw_route *r = &n->route;
	uint32_t epoch;

	if (!r->table)
		return;
	epoch = le32_load_acquire(&r->head->epoch);
	if (p2p_likely(epoch == r->seen))
		return;
	if (!r->seen)
		fw_route_resume(n);
	else
		le32_store_release(&r->line->seen, r->seen = epoch);
}

void fw_route_start(struct fw_nic *n)
{
	n->route.on = true;
	fw_route_resume(n);
}

void fw_route_stop(struct fw_nic *n)
{
	fw_route_idle(n);
	n->route.on = false;
}

/* ---- judging ---- */

static uint32_t sum16(const uint8_t *p, uint32_t bytes)
{
	uint32_t sum = 0, k;

	for (k = 0; k < bytes; k += 2)
		sum += be16(p + k);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Addresses in host order. */
static inline bool ip4_never(uint32_t a)
{
	return a >> 24 == 0 || a >> 24 == 127 || a >= 0xe0000000u;
}

static inline bool ip4_link_local(uint32_t a)
{
	return a >> 16 == 0xa9fe;
}

/* Of a header without options; the sum's bytes stand in memory's order, which 0xffff is in either. */
static inline uint32_t sum16_plain(const uint8_t *ip)
{
	uint64_t a, b, sum;
	uint32_t c;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	memcpy(&c, ip + 16, 4);
	sum = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + c;
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

static void judge_ip4(struct rframe *f, const struct p2p_seg *seg)
{
	const uint8_t *ip = f->h + ETH_BYTES;
	uint32_t bytes, total, src, dst;
	uint8_t options[60];

	if (p2p_unlikely(f->len < ETH_BYTES + IP4_BYTES || seg->len < ETH_BYTES + IP4_BYTES)) {
		set_drop(f, P2P_DROP_ip_header);
		return;
	}
	if (p2p_unlikely(ip[0] != 0x45)) {
		bytes = (ip[0] & 15) * 4u;
		if (ip[0] >> 4 != 4) {
			set_drop(f, P2P_DROP_ip_version);
			return;
		}
		if (bytes < IP4_BYTES || ETH_BYTES + bytes > f->len || ETH_BYTES + bytes > seg->len) {
			set_drop(f, P2P_DROP_ip_header);
			return;
		}
		memcpy(options, seg->data + ETH_BYTES, bytes);
		memcpy(options, ip, IP4_BYTES);
		ip = options;
	} else {
		bytes = IP4_BYTES;
	}
	total = be16(ip + 2);
	src = be32(ip + 12);
	dst = be32(ip + 16);
	f->ip_len = total;
	f->link_local = ip4_link_local(src) || ip4_link_local(dst);
	if (p2p_unlikely(total < bytes || ETH_BYTES + total > f->len))
		set_drop(f, P2P_DROP_ip_length);
	else if (p2p_unlikely((bytes == IP4_BYTES ? sum16_plain(ip) : sum16(ip, bytes)) != 0xffff))
		set_drop(f, P2P_DROP_ip_checksum);
	else if (p2p_unlikely(ip4_never(src)))
		set_drop(f, P2P_DROP_ip_source);
	else if (p2p_unlikely(ip4_never(dst)))
		set_drop(f, P2P_DROP_ip_dest);
	else if (p2p_unlikely(bytes > IP4_BYTES))
		set_punt(f, P2P_PUNT_options);
}

/* ::, ::1 */
static inline bool ip6_never(const uint8_t *a)
{
	uint64_t high, low;

	memcpy(&high, a, 8);
	memcpy(&low, a + 8, 8);
	return !high && (!low || (be32(a + 8) == 0 && be32(a + 12) == 1));
}

static inline bool ip6_link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static void judge_ip6(struct rframe *f, const struct p2p_seg *seg)
{
	const uint8_t *ip = f->h + ETH_BYTES, *src = ip + 8, *dst = ip + 24;

	if (p2p_unlikely(f->len < ETH_BYTES + IP6_BYTES || seg->len < ETH_BYTES + IP6_BYTES)) {
		set_drop(f, P2P_DROP_ip_header);
		return;
	}
	f->ip_len = IP6_BYTES + be16(ip + 4);
	f->link_local = ip6_link_local(src) || ip6_link_local(dst);
	if (p2p_unlikely(ip[0] >> 4 != 6))
		set_drop(f, P2P_DROP_ip_version);
	else if (p2p_unlikely(ETH_BYTES + f->ip_len > f->len))
		set_drop(f, P2P_DROP_ip_length);
	else if (p2p_unlikely(src[0] == 0xff || ip6_never(src)))
		set_drop(f, P2P_DROP_ip_source);
	else if (p2p_unlikely(dst[0] == 0xff || ip6_never(dst)))
		set_drop(f, P2P_DROP_ip_dest);
	else if (p2p_unlikely(ip[6] == 0))
		set_punt(f, P2P_PUNT_options);
	else if (p2p_unlikely(ip6_link_local(dst)))
		set_punt(f, P2P_PUNT_local);
}

static void judge(struct rframe *f, const struct p2p_seg *seg, uint64_t mac)
{
	uint32_t type;

	f->fate = FATE_SEND;
	f->hop = f->back = NO_HOP;
	f->link_local = false;
	if (p2p_unlikely(f->len < ETH_BYTES || seg->len < ETH_BYTES)) {
		set_drop(f, P2P_DROP_runt);
		return;
	}
	if (p2p_unlikely(f->h[0] & ETH_GROUP)) {
		set_punt(f, P2P_PUNT_group);
		return;
	}
	if (p2p_unlikely(mac48(f->h) != mac)) {
		set_drop(f, P2P_DROP_other_mac);
		return;
	}
	if (p2p_unlikely(f->h[6] & ETH_GROUP)) {
		set_drop(f, P2P_DROP_bad_source);
		return;
	}
	type = be16(f->h + 12);
	f->family = type == ETH_IP6 ? P2P_IP6 : P2P_IP4;
	if (p2p_likely(type == ETH_IP4))
		judge_ip4(f, seg);
	else if (type == ETH_IP6)
		judge_ip6(f, seg);
	else
		set_punt(f, P2P_PUNT_not_ip);
}

/* ---- hops ---- */

static uint32_t flow_hash(const struct rframe *f)
{
	const uint8_t *ip = f->h + ETH_BYTES, *ports = NULL;
	uint32_t h = 0, k, proto, from = f->family == P2P_IP4 ? 12 : 8, to = f->family == P2P_IP4 ? 20 : 40;

	for (k = from; k < to; k += 4)
		h = p2p_mix(h ^ be32(ip + k));
	proto = f->family == P2P_IP4 ? ip[9] : ip[6];
	/* Fragments other than the first have no ports: all of a packet goes one way without them. */
	if ((proto == 6 || proto == 17 || proto == 132) && (f->family == P2P_IP6 || !(be16(ip + 6) & 0x3fff)) &&
	    f->ip_len >= to + 4)
		ports = ip + to;
	h = p2p_mix(h ^ proto);
	return ports ? p2p_mix(h ^ be32(ports)) : h;
}

/* Published words; what they lead to depends on them. */
static inline uint32_t word(const le32 *p)
{
	return P2P_SWAP32(__atomic_load_n(&p->raw, __ATOMIC_RELAXED));
}

static inline uint32_t hop_word(const struct fw_route *r, uint32_t hop)
{
	return word(&r->hop_words[hop < r->hops ? hop : P2P_HOP_NO_ROUTE]);
}

/* The entry that a hop's word names, or NULL; groups by the flow. */
static const struct p2p_hop_entry *hop_entry(const struct fw_route *r, uint32_t *hop, const struct rframe *f, bool member)
{
	uint32_t w = hop_word(r, *hop), bucket;

	if (P2P_HOP_FORM(w) == P2P_HOP_ALIAS && !member) {
		*hop = P2P_HOP_NUMBER(w);
		w = hop_word(r, *hop);
	}
	if (P2P_HOP_FORM(w) == P2P_HOP_GROUP && !member) {
		bucket = P2P_HOP_NUMBER(w) + (flow_hash(f) & ((1u << P2P_HOP_LOG2(w)) - 1));
		if (bucket >= r->buckets)
			return NULL;
		*hop = word(&r->bucket_words[bucket]);
		w = hop_word(r, *hop);
	}
	if (P2P_HOP_FORM(w) != P2P_HOP_ENTRY || P2P_HOP_NUMBER(w) >= r->entries || *hop >= r->hops)
		return NULL;
	return &r->entry[P2P_HOP_NUMBER(w)];
}

/* What is looked at of an entry, each word read once: the host can still write to it. */
struct hop {
	uint64_t macs[2]; /* 12 bytes, as they stand there */
	uint16_t mtu;
	uint8_t kind, nic, port;
};

/* By value: put together in memory, it would be loaded before its words have got there. */
static inline __attribute__((always_inline)) struct hop entry_read(const struct p2p_hop_entry *from)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;
	uint64_t v0 = __atomic_load_n(&word[0], __ATOMIC_RELAXED), v1 = __atomic_load_n(&word[1], __ATOMIC_RELAXED);
	uint64_t v2 = P2P_SWAP64(__atomic_load_n(&word[2], __ATOMIC_RELAXED)), mid = P2P_SWAP64(v1);

	return (struct hop){ .macs = { v0, v1 }, .mtu = (uint16_t)(mid >> 32), .kind = (uint8_t)(mid >> 48), .nic = (uint8_t)v2,
			     .port = (uint8_t)(v2 >> 8) };
}

static bool rpf_entry_ok(const struct fw_nic *n, const struct p2p_hop_entry *from, unsigned int x, bool strict)
{
	struct hop e;

	if (!from)
		return false;
	e = entry_read(from);
	if (e.kind == P2P_HOP_KIND_FORWARD || e.kind == P2P_HOP_KIND_GLEAN)
		return !strict || (e.nic == n->self && e.port == x);
	return !strict && e.kind == P2P_HOP_KIND_PUNT;
}

static bool rpf_ok(const struct fw_nic *n, uint32_t hop, unsigned int x, bool strict)
{
	const struct fw_route *r = &n->route;
	uint32_t w = hop_word(r, hop), k, count, step, member = hop;

	if (P2P_HOP_FORM(w) == P2P_HOP_ALIAS) {
		member = P2P_HOP_NUMBER(w);
		w = hop_word(r, member);
	}
	if (P2P_HOP_FORM(w) != P2P_HOP_GROUP)
		return rpf_entry_ok(n, hop_entry(r, &member, NULL, true), x, strict);
	count = 1u << P2P_HOP_LOG2(w);
	step = count > RPF_BUCKETS ? count / RPF_BUCKETS : 1;
	for (k = 0; k < count && P2P_HOP_NUMBER(w) + k < r->buckets; k += step) {
		member = word(&r->bucket_words[P2P_HOP_NUMBER(w) + k]);
		if (rpf_entry_ok(n, hop_entry(r, &member, NULL, true), x, strict))
			return true;
	}
	return false;
}

static inline void count_word(le64 *c, uint64_t k)
{
	uint64_t v = P2P_SWAP64(__atomic_load_n(&c->raw, __ATOMIC_RELAXED)) + k;

	__atomic_store_n(&c->raw, P2P_SWAP64(v), __ATOMIC_RELAXED);
}

static inline void count_hop(struct fw_route *r, uint32_t hop, uint32_t bytes)
{
	count_word(&r->count[hop].packets, 1);
	count_word(&r->count[hop].bytes, bytes);
}

/* RFC 1624: TTL less by one adds 0x0100 to the checksum, with the carry around. */
static inline void new_header(struct rframe *f, const struct hop *e)
{
	uint8_t *ip = f->h + ETH_BYTES;
	uint32_t sum;

	memcpy(f->h, &e->macs[0], 8);
	memcpy(f->h + 8, &e->macs[1], 4);
	if (f->family == P2P_IP6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	sum = be16(ip + 10) + 0x100;
	sum += sum >= 0xffff;
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

static inline void hop_forward(struct fw_nic *n, struct rframe *f, const struct hop *e)
{
	uint32_t mtu = e->mtu, ttl = f->h[ETH_BYTES + (f->family == P2P_IP4 ? 8 : 7)];

	if (p2p_unlikely(f->link_local)) {
		set_drop(f, P2P_DROP_link_local);
	} else if (p2p_unlikely(ttl <= 1)) {
		set_punt(f, P2P_PUNT_ttl);
	} else if (p2p_unlikely(f->ip_len > (mtu ? mtu : 65535))) {
		set_punt(f, P2P_PUNT_mtu);
	} else if (p2p_unlikely(e->nic >= n->nics || e->port >= P2P_MAX_PORTS ||
				(n->peer[e->nic].intro && e->port >= n->peer[e->nic].ports))) {
		set_drop(f, P2P_DROP_bad_hop);
	} else {
		f->to = FW_TO(e->nic, e->port);
		count_hop(&n->route, f->hop, f->len);
		new_header(f, e);
	}
}

/* What the hop index leads to: all that is read of words and buckets. */
static inline void hop_find(const struct fw_nic *n, struct rframe *f, unsigned int x)
{
	uint32_t rpf = (uint32_t)n->port_reg[x][FW_R_PORT_RPF];

	f->e = hop_entry(&n->route, &f->hop, f, false);
	f->rpf_bad = p2p_unlikely(rpf) && !rpf_ok(n, f->back, x, rpf == P2P_RPF_STRICT) && !f->link_local;
}

static void hop_apply(struct fw_nic *n, struct rframe *f)
{
	static const uint8_t punt[P2P_NUM_HOP_KINDS] = {
		[P2P_HOP_KIND_NO_ROUTE] = P2P_PUNT_no_route, [P2P_HOP_KIND_GLEAN] = P2P_PUNT_glean,
		[P2P_HOP_KIND_LOCAL] = P2P_PUNT_local, [P2P_HOP_KIND_PUNT] = P2P_PUNT_kernel,
		[P2P_HOP_KIND_UNREACHABLE] = P2P_PUNT_unreachable, [P2P_HOP_KIND_PROHIBIT] = P2P_PUNT_prohibit,
	};
	struct hop e;

	if (p2p_unlikely(f->rpf_bad)) {
		set_drop(f, P2P_DROP_rpf);
		return;
	}
	if (p2p_unlikely(!f->e)) {
		f->hop = P2P_HOP_NO_ROUTE;
		set_punt(f, P2P_PUNT_no_route);
		return;
	}
	e = entry_read(f->e);
	if (p2p_likely(e.kind == P2P_HOP_KIND_FORWARD)) {
		hop_forward(n, f, &e);
	} else if (e.kind >= P2P_NUM_HOP_KINDS) {
		set_drop(f, P2P_DROP_bad_hop);
	} else if (f->link_local && e.kind != P2P_HOP_KIND_LOCAL) {
		set_drop(f, P2P_DROP_link_local);
	} else if (e.kind == P2P_HOP_KIND_BLACKHOLE) {
		count_hop(&n->route, f->hop, f->len);
		set_drop(f, P2P_DROP_blackhole);
	} else {
		count_hop(&n->route, f->hop, f->len);
		set_punt(f, (enum p2p_punt)punt[e.kind]);
	}
}

/* ---- the burst ---- */

/* Addresses of one family to be looked up, and where the hop indexes go. */
struct keys {
	uint32_t n;
	uint32_t *to[2 * FW_RX_BURST];
};

/* Destinations, and sources where the reverse path is looked at. */
static void look_up4(const struct fw_route *r, struct rframe *f, uint32_t count, bool back)
{
	uint32_t addr[2 * FW_RX_BURST], hop[2 * FW_RX_BURST], k;
	struct keys keys;

	keys.n = 0;
	for (k = 0; k < count; k++) {
		if (f[k].fate != FATE_SEND || f[k].family != P2P_IP4)
			continue;
		addr[keys.n] = be32(f[k].h + ETH_BYTES + 16);
		keys.to[keys.n++] = &f[k].hop;
		if (!back)
			continue;
		addr[keys.n] = be32(f[k].h + ETH_BYTES + 12);
		keys.to[keys.n++] = &f[k].back;
	}
	if (!keys.n)
		return;
	fw_lpm_find4(&r->lpm, addr, keys.n, hop);
	for (k = 0; k < keys.n; k++)
		*keys.to[k] = hop[k];
}

static inline void words6(uint32_t *w, const uint8_t *a)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		w[i] = be32(a + 4 * i);
}

static void look_up6(const struct fw_route *r, struct rframe *f, uint32_t count, bool back)
{
	uint32_t addr[2 * FW_RX_BURST][4], hop[2 * FW_RX_BURST], k;
	struct keys keys;

	keys.n = 0;
	for (k = 0; k < count; k++) {
		if (f[k].fate != FATE_SEND || f[k].family != P2P_IP6)
			continue;
		words6(addr[keys.n], f[k].h + ETH_BYTES + 24);
		keys.to[keys.n++] = &f[k].hop;
		if (!back)
			continue;
		words6(addr[keys.n], f[k].h + ETH_BYTES + 8);
		keys.to[keys.n++] = &f[k].back;
	}
	if (!keys.n)
		return;
	fw_lpm_find6(&r->lpm, (const uint32_t (*)[4])addr, keys.n, hop);
	for (k = 0; k < keys.n; k++)
		*keys.to[k] = hop[k];
}

static void look_up(struct fw_nic *n, struct rframe *f, uint32_t count, bool back)
{
	uint32_t k, live = 0;

	for (k = 0; k < count; k++)
		live += f[k].fate == FATE_SEND;
	board_charge(n->board, BOARD_STEP_ROUTE, live * (1u + back));
	if (!n->route.table || !live)
		return;
	look_up4(&n->route, f, count, back);
	look_up6(&n->route, f, count, back);
}

/* Routes of a burst.  False: words have changed meanwhile (<p2pnic/route.h>, VALIDITY OF A RESULT). */
static bool find_once(struct fw_nic *n, struct rframe *f, uint32_t count, unsigned int x)
{
	const le32 *changed = n->route.head->changed;
	uint32_t was = le32_load_acquire(&changed[P2P_ROUTE_CHANGE_DEFAULT]), k;
	uint32_t was_hop = le32_load_acquire(&changed[P2P_ROUTE_CHANGE_HOP]);

	look_up(n, f, count, n->port_reg[x][FW_R_PORT_RPF]);
	for (k = 0; k < count; k++)
		if (f[k].fate == FATE_SEND)
			hop_find(n, &f[k], x);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return p2p_likely(word(&changed[P2P_ROUTE_CHANGE_DEFAULT]) == was && word(&changed[P2P_ROUTE_CHANGE_HOP]) == was_hop);
}

static void find(struct fw_nic *n, struct rframe *f, uint32_t count, unsigned int x)
{
	uint32_t looks, k;

	for (looks = 0; looks < LOOKS_ALL; looks++)
		if (p2p_likely(find_once(n, f, count, x)))
			return;
	for (k = 0; k < count; k++) {
		for (looks = 0; looks < LOOKS_ONE && !find_once(n, &f[k], 1, x); looks++)
			;
		if (looks == LOOKS_ONE && f[k].fate == FATE_SEND)
			set_punt(&f[k], P2P_PUNT_kernel);
	}
}

/* The frames of the stash, and their beginnings. */
static uint32_t gather(const struct fw_port *port, struct rframe *f)
{
	uint32_t at, k = 0;

	for (at = port->stash_at; at < port->stash_n; at++)
		board_prefetch_read(port->stash[at].data);
	for (at = port->stash_at; at < port->stash_n; at += f[k++].nsegs) {
		const struct p2p_seg *seg = &port->stash[at];

		f[k].at = (uint16_t)at;
		f[k].nsegs = 1;
		f[k].len = seg->len;
		/* A receive buffer has room for whole units of 64 bytes. */
		memcpy(f[k].h, seg->data, sizeof(f[k].h));
		while ((seg->flags & P2P_SEG_MORE) && at + f[k].nsegs < port->stash_n && f[k].nsegs < P2P_MAX_SEGS) {
			seg++;
			f[k].nsegs++;
			f[k].len += seg->len;
		}
	}
	return k;
}

static void release_segs(struct fw_nic *n, unsigned int x, const struct p2p_seg *segs, uint32_t count)
{
	uint32_t k;

	for (k = 0; k < count; k++)
		fw_release(n, FW_REF_RX(x, segs[k].cookie));
}

/* What lies behind the packet is no part of it (but Ethernet's shortest frame is kept). */
static void trim(struct fw_nic *n, unsigned int x, struct rframe *f, struct p2p_seg *segs)
{
	uint32_t want = ETH_BYTES + f->ip_len, len = 0, k;

	if (want < ETH_MIN)
		want = ETH_MIN;
	if (p2p_likely(f->len <= want))
		return;
	f->len = want;
	for (k = 0; len + segs[k].len < want; k++)
		len += segs[k].len;
	segs[k].len = want - len;
	segs[k].flags &= (uint16_t)~P2P_SEG_MORE;
	release_segs(n, x, segs + k + 1, f->nsegs - k - 1);
	f->nsegs = (uint16_t)(k + 1);
}

/* All are sent the same way, a segment each: the stash is as it shall be. */
static bool one_way(const struct fw_port *port, const struct rframe *f, uint32_t count)
{
	uint32_t k, odd = port->stash_n ^ count;

	for (k = 0; k < count; k++)
		odd |= (f[k].fate ^ FATE_SEND) | (f[k].to ^ f[0].to) | (f[k].nsegs ^ 1u) | (f[k].at ^ k);
	return !odd;
}

/* The stash anew: what is sent or punted, frames with the same destination behind each other, in order. */
static void arrange(struct fw_nic *n, unsigned int x, struct rframe *f, uint32_t count)
{
	struct fw_port *port = &n->port[x];
	struct p2p_seg segs[FW_RX_BURST];
	uint32_t k, j, i, at = 0;

	for (k = 0; k < count; k++) {
		if (f[k].fate == FATE_DROP) {
			fw_drop(n, (enum p2p_drop)f[k].why, 1);
			release_segs(n, x, &port->stash[f[k].at], f[k].nsegs);
			f[k].nsegs = 0;
		} else if (f[k].fate == FATE_PUNT) {
			f[k].to = FW_TO_PUNT;
		} else {
			trim(n, x, &f[k], &port->stash[f[k].at]);
			/* Of constant lengths: a few moves each. */
			memcpy(port->stash[f[k].at].data, f[k].h, ETH_BYTES + IP4_BYTES);
			if (f[k].family == P2P_IP6)
				memcpy(port->stash[f[k].at].data + ETH_BYTES + IP4_BYTES, f[k].h + ETH_BYTES + IP4_BYTES,
				       IP6_BYTES - IP4_BYTES);
		}
	}
	if (p2p_likely(one_way(port, f, count))) {
		for (k = 0; k < count; k++) {
			port->to[k] = f[k].to;
			port->hop[k] = f[k].hop;
		}
		return;
	}
	for (k = 0; k < count; k++) {
		for (j = f[k].nsegs ? k : count; j < count; j++) {
			if (!f[j].nsegs || f[j].to != f[k].to)
				continue;
			port->to[at] = f[j].to;
			port->why[at] = f[j].why;
			port->hop[at] = f[j].hop;
			for (i = 0; i < f[j].nsegs; i++)
				segs[at++] = port->stash[f[j].at + i];
			f[j].nsegs = 0;
		}
	}
	for (i = 0; i < at; i++)
		port->stash[i] = segs[i];
	port->stash_at = 0;
	port->stash_n = at;
}

static unsigned int decide(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint64_t mac = n->port_reg[x][FW_R_PORT_ROUTER_MAC];
	struct rframe f[FW_RX_BURST];
	uint32_t count, k;

	for (k = port->stash_at; k < port->stash_n; k++)
		port->refs[port->stash[k].cookie] = 1;
	count = gather(port, f);
	if (!mac)
		mac = n->port_reg[x][FW_R_PORT_MAC];
	for (k = 0; k < count; k++)
		judge(&f[k], &port->stash[f[k].at], mac);
	if (n->route.table)
		find(n, f, count, x);
	else
		look_up(n, f, count, n->port_reg[x][FW_R_PORT_RPF]);
	for (k = 0; k < count; k++) {
		if (f[k].fate != FATE_SEND)
			continue;
		if (n->route.table)
			hop_apply(n, &f[k]);
		else
			set_punt(&f[k], P2P_PUNT_no_route);
	}
	arrange(n, x, f, count);
	port->routed = true;
	return count;
}

/* The frame at the stash's head: alone, or with those behind it that go the same way.  False: later. */
static bool dispatch(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	const uint32_t at = port->stash_at, to = port->to[at], nic = to >> 8, out = to & 0xff;
	struct p2p_seg *segs = &port->stash[at];
	uint32_t refs[P2P_MAX_SEGS], run = 1, k;
	enum p2p_drop why;
	int err;

	if (to != FW_TO_PUNT && !(segs->flags & P2P_SEG_MORE)) {
		while (at + run < port->stash_n && port->to[at + run] == to && !(segs[run].flags & P2P_SEG_MORE))
			run++;
		k = fw_prod_burst(n, &n->peer[nic].prod[out], x, segs, run, P2P_D0(0, 0, x, out, 0));
		fw_event(n, P2P_EV_routed, k);
		port->stash_at += k;
		if (k)
			return true;
	}
	for (k = 0; k == 0 || (segs[k - 1].flags & P2P_SEG_MORE); k++)
		refs[k] = FW_REF_RX(x, segs[k].cookie);
	if (to == FW_TO_PUNT) {
		err = fw_punt_frame(n, segs, refs, k, x, (enum p2p_punt)port->why[at], port->hop[at]);
	} else {
		err = fw_prod_send(n, &n->peer[nic].prod[out], segs, refs, k, P2P_D0(0, 0, x, out, 0), &why);
		fw_event(n, P2P_EV_routed, !err);
		if (err && err != -FW_EAGAIN)
			fw_drop(n, why, 1);
	}
	if (err == -FW_EAGAIN)
		return false;
	release_segs(n, x, segs, k);
	port->stash_at += k;
	return true;
}

unsigned int fw_route_burst(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	unsigned int moved = 0;

	if (!port->routed)
		moved = decide(n, x);
	while (port->stash_at != port->stash_n && dispatch(n, x))
		moved++;
	if (port->stash_at == port->stash_n)
		port->routed = false;
	return moved;
}

#endif
