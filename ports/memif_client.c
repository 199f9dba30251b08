/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's side.  Region 0 is a memfd of our own that holds the rings, new
 * for each connection; region 1 + r is the board's region r.
 *
 *   rx queue (S2C)  [tail, head): buffers placed; slot[] says which
 *   tx queue (C2S)  [tail, head): segments under way; sum[] says how many bytes and frames
 */
#include "ports/memif_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* ---- handshake ---- */

static void client_fail(struct memif_port *m, const char *what, int err, uint64_t now_ns)
{
	memif_down(m, "out of resources", now_ns);
	snprintf(m->reason, sizeof(m->reason), "%s: %.60s", what, strerror(err));
}

void memif_client_connect(struct memif_port *m, uint64_t now_ns)
{
	int ret;

	m->retry_at = now_ns + MEMIF_RETRY_NS;
	ret = sock_connect(&m->name, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, &m->ctl);
	if (!ret) {
		ret = memif_watch(m, m->ctl, MEMIF_EV_CTL);
		if (ret)
			close(m->ctl);
	}
	if (ret) {
		snprintf(m->reason, sizeof(m->reason), "connect: %.60s", strerror(-ret));
		m->ctl = -1;
		return;
	}
	m->deadline = now_ns + MEMIF_HANDSHAKE_NS;
	memif_state_set(m, MEMIF_HELLO);
}

/* m: the lane that the queue belongs to. */
static int client_queue_setup(struct memif_port *m, struct memif_queue *q, unsigned int log2, uint32_t offset, bool rx)
{
	q->log2 = (uint8_t)log2;
	q->size = (uint16_t)(1u << log2);
	q->mask = (uint16_t)(q->size - 1);
	q->offset = offset;
	q->ring = (struct memif_ring *)(m->first->region[0].base + offset);
	q->ring->cookie = MEMIF_COOKIE;
	q->ring->flags = MEMIF_RING_MASK_INT;
	q->evfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->evfd < 0)
		return -errno;
	if (rx) {
		uint32_t share = m->mem.rx_bufs / m->share_rx;

		q->fill_max = share >= q->size ? q->size : (uint16_t)(share ? share : 1);
		q->slot = calloc(q->size, sizeof(*q->slot));
		if (!q->slot)
			return -ENOMEM;
		/* Other lanes see to their own. */
		return m == m->first ? memif_watch(m, q->evfd, MEMIF_EV_QUEUE + (uint64_t)(q - m->rx)) : 0;
	}
	q->sum = calloc(q->size, sizeof(*q->sum));
	return q->sum ? 0 : -ENOMEM;
}

static int client_ring_memory(struct memif_port *m, size_t size)
{
	m->ring_fd = memfd_create("p2pnic-memif-rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->ring_fd < 0)
		return -errno;
	if (ftruncate(m->ring_fd, (off_t)size) < 0 ||
	    fcntl(m->ring_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	m->region[0].base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, m->ring_fd, 0);
	if (m->region[0].base == MAP_FAILED) {
		m->region[0].base = NULL;
		return -errno;
	}
	m->region[0].size = size;
	return 0;
}

/* Which queue each segment under way is in, where a lane has several. */
static int client_order_setup(struct memif_port *l, unsigned int log2)
{
	uint32_t order = 1;

	if (l->share_tx == 1)
		return 0;
	while (order < l->share_tx << log2)
		order *= 2;
	l->order = malloc(order);
	l->order_mask = order - 1;
	l->order_head = l->order_tail = 0;
	return l->order ? 0 : -ENOMEM;
}

/* Length, flags and region of a segment, as a descriptor's first word and back. */
static inline uint64_t client_half_turn(uint64_t w)
{
	return w << 32 | w >> 32;
}

static inline uint64_t client_seg_region(unsigned int n)
{
	return client_half_turn(MEMIF_WORD(MEMIF_REGION_KEY(n), 0));
}

static int client_rings_setup(struct memif_port *m, unsigned int log2)
{
	size_t ring = P2P_ALIGN_UP(memif_ring_bytes(log2), 64), page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned int region = 1;
	int ret = client_ring_memory(m, P2P_ALIGN_UP(ring * (m->total_rx + m->total_tx), page));

	memif_lanes_deal(m);
	for (unsigned int i = 0; i < m->total_tx && !ret; i++)
		ret = client_queue_setup(memif_lane_of(m, i), memif_lane_queue(m, false, i), log2, (uint32_t)(i * ring), false);
	for (unsigned int i = 0; i < m->total_rx && !ret; i++)
		ret = client_queue_setup(memif_lane_of(m, i), memif_lane_queue(m, true, i), log2,
					 (uint32_t)((m->total_tx + i) * ring), true);
	for (unsigned int k = 0; k < m->lanes && !ret; k++) {
		m->lane[k]->region0 = region;
		for (unsigned int r = 0; r < m->lane[k]->mem.n; r++)
			m->lane[k]->base[r].word = 0 - client_seg_region(region);
		region += m->lane[k]->mem.n;
		ret = client_order_setup(m->lane[k], log2);
	}
	return ret;
}

static unsigned int client_regions(const struct memif_port *m)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < m->lanes; k++)
		n += m->lane[k]->mem.n;
	return n;
}

static void client_send(struct memif_port *m, const struct memif_msg *msg, int fd)
{
	if (memif_msg_send(m->ctl, msg, fd))
		memif_violation(m, "the far end does not read its control messages");
}

static void client_hello(struct memif_port *m, const struct memif_hello *h, uint64_t now_ns)
{
	struct memif_msg msg = { .type = MEMIF_MSG_INIT };
	unsigned int log2 = h->max_log2_ring < m->log2_ring ? h->max_log2_ring : m->log2_ring;
	int ret;

	if (h->min_version > MEMIF_VERSION || h->max_version < MEMIF_VERSION) {
		memif_violation(m, "incompatible memif version, 2.0 is spoken here");
		return;
	}
	if (h->max_region < client_regions(m) || !log2) {
		memif_violation(m, "the far end takes too few regions or ring slots");
		return;
	}
	memif_text(m->remote_name, h->name, MEMIF_NAME_LEN);
	m->total_rx = h->max_s2c_ring + 1u < m->cap_rx ? h->max_s2c_ring + 1u : m->cap_rx;
	m->total_tx = h->max_c2s_ring + 1u < m->cap_tx ? h->max_c2s_ring + 1u : m->cap_tx;
	if (m->total_rx < m->lanes || m->total_tx < m->lanes) {
		m->total_rx = m->total_tx = 0;
		m->cap_rx = m->cap_tx = m->queues;
		memif_violation(m, "the far end has fewer queues than this NIC (--queues); give it as many");
		return;
	}
	ret = client_rings_setup(m, log2);
	if (ret) {
		client_fail(m, "memif rings", -ret, now_ns);
		return;
	}
	msg.init.version = MEMIF_VERSION;
	msg.init.id = m->id;
	msg.init.mode = MEMIF_MODE_ETHERNET;
	memcpy(msg.init.secret, m->secret, MEMIF_SECRET_LEN);
	snprintf((char *)msg.init.name, sizeof(msg.init.name), "p2pnic %s", P2PNIC_VERSION);
	memif_state_set(m, MEMIF_INIT);
	client_send(m, &msg, -1);
}

static void client_add_region(struct memif_port *m, unsigned int index)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_REGION };

	const struct port_region *r = NULL;

	for (unsigned int k = 0; k < m->lanes && !r && index; k++)
		if (index - m->lane[k]->region0 < m->lane[k]->mem.n)
			r = &m->lane[k]->mem.region[index - m->lane[k]->region0];
	msg.add_region.index = (uint16_t)index;
	msg.add_region.size = r ? r->size : m->region[0].size;
	client_send(m, &msg, r ? r->fd : m->ring_fd);
}

static void client_add_ring(struct memif_port *m, unsigned int index)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ADD_RING };
	bool c2s = index < m->total_tx;
	const struct memif_queue *q = memif_lane_queue(m, !c2s, c2s ? index : index - m->total_tx);

	msg.add_ring.flags = c2s ? MEMIF_ADD_RING_C2S : 0;
	msg.add_ring.index = (uint16_t)(c2s ? index : index - m->total_tx);
	msg.add_ring.offset = q->offset;
	msg.add_ring.log2_size = q->log2;
	client_send(m, &msg, q->evfd);
}

/* An ACK: the next of regions, rings, CONNECT. */
static void client_step(struct memif_port *m)
{
	struct memif_msg msg = { .type = MEMIF_MSG_CONNECT };

	if (m->state == MEMIF_INIT) {
		m->step = 0;
		memif_state_set(m, MEMIF_REGION);
	} else {
		m->step++;
	}
	if (m->state == MEMIF_REGION && m->step > client_regions(m)) {
		m->step = 0;
		memif_state_set(m, MEMIF_RING);
	}
	if (m->state == MEMIF_REGION) {
		client_add_region(m, m->step);
	} else if (m->step < m->total_tx + m->total_rx) {
		client_add_ring(m, m->step);
	} else {
		snprintf((char *)msg.connect.if_name, sizeof(msg.connect.if_name), "p2pnic/%u", m->id);
		memif_state_set(m, MEMIF_CONNECT);
		client_send(m, &msg, -1);
	}
}

void memif_client_msg(struct memif_port *m, const struct memif_msg *msg, uint64_t now_ns)
{
	if (msg->type == MEMIF_MSG_HELLO && m->state == MEMIF_HELLO) {
		client_hello(m, &msg->hello, now_ns);
	} else if (msg->type == MEMIF_MSG_ACK && m->state >= MEMIF_INIT && m->state <= MEMIF_RING) {
		client_step(m);
	} else if (msg->type == MEMIF_MSG_CONNECTED && m->state == MEMIF_CONNECT) {
		close(m->ring_fd);
		m->ring_fd = -1;
		m->cap_rx = m->cap_tx = m->queues;
		memif_up(m);
	} else if (msg->type == MEMIF_MSG_DISCONNECT) {
		/* Some servers only say so when a ring has a higher index than they have queues. */
		if (m->state == MEMIF_RING && m->step > 0 && m->step < m->total_tx)
			m->cap_tx = m->step;
		else if (m->state == MEMIF_RING && m->step > m->total_tx)
			m->cap_rx = m->step - m->total_tx;
	} else {
		memif_violation(m, "unexpected control message");
	}
}

static inline uint16_t client_key_region(uint32_t key)
{
	return ((struct memif_desc){ .word = { MEMIF_WORD(key, 0), 0 } }).region;
}

/* The buffer in slot t as it was posted. */
static struct p2p_seg client_slot(const struct memif_port *m, const struct memif_queue *q, uint16_t t)
{
	const struct memif_slot *s = &q->slot[t & q->mask];
	const uint16_t region = (uint16_t)(client_key_region(s->key) - m->region0);

	return (struct p2p_seg){ .data = m->mem.region[region].base + s->offset, .len = s->length, .region = region,
				 .cookie = s->cookie };
}

void memif_client_release(struct memif_port *m)
{
	uint64_t lost = 0;

	for (unsigned int i = 0; i < m->nrx; i++) {
		struct memif_queue *q = &m->rx[i];

		/* Older than what is in the pool: before it, the newest first. */
		while (q->slot && q->tail != q->head) {
			struct p2p_seg s = client_slot(m, q, --q->head);

			memif_pool_unget(m, &s);
		}
	}
	if (m->ntx > 1 && m->order)
		m->done += m->order_head - m->order_tail;
	for (unsigned int i = 0; i < m->ntx; i++) {
		struct memif_queue *q = &m->tx[i];
		uint32_t got = m->broken || !q->sum ? 0 : memif_client_reap(m, q);
		uint32_t left = (uint16_t)(q->head - q->tail);

		if (m->ntx == 1)
			m->done += got + left;
		lost += left - (uint32_t)((q->sent - q->taken) >> 32);
		q->tail = q->head;
		q->taken = q->sent;
	}
	p2p_count(&m->port.stats.tx_lost, lost);
	free(m->order);
	m->order = NULL;
	m->order_head = m->order_tail = 0;
}

void memif_client_unmap(struct memif_port *m)
{
	if (m->region[0].base)
		munmap(m->region[0].base, m->region[0].size);
	memset(&m->region[0], 0, sizeof(m->region[0]));
	if (m->ring_fd >= 0)
		close(m->ring_fd);
	m->ring_fd = -1;
}

/* ---- packet path ---- */

static_assert(offsetof(struct p2p_seg, flags) == offsetof(struct p2p_seg, len) + 4 &&
	      offsetof(struct p2p_seg, region) == offsetof(struct p2p_seg, len) + 6, "the words of segment and descriptor");
static_assert(offsetof(struct p2p_seg, len) == 8 && offsetof(struct p2p_seg, cookie) == 16, "a segment's words");
static_assert(P2P_SEG_MORE == MEMIF_DESC_NEXT, "flags of segment and descriptor");

static inline uint64_t client_seg_word(const struct p2p_seg *s)
{
	uint64_t w;

	memcpy(&w, &s->len, sizeof(w));
	return w;
}

/* What a segment adds to memif_queue.sent. */
static inline uint64_t client_seg_sum(uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return w & ((uint64_t)P2P_SEG_MORE << 32 | UINT32_MAX);
#else
	return w >> 32 | (w & P2P_SEG_MORE << 16) << 16;
#endif
}

static inline void client_prefetch_own(const void *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)p));
#else
	__builtin_prefetch(p, 1, 3);
#endif
}

static inline unsigned int client_least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Groups of four: the descriptors of one line, and a loop's own cost a fourth. */
#define CLIENT_GROUP 4
#define CLIENT_INLINE static inline __attribute__((always_inline))

/* Segments as descriptors, base[] being that of their region: whole ones where the processor can. */
#if defined(__SSE2__)
/* Two words as they were stored (p2p_seg_set()): one load of both would wait for the stores. */
CLIENT_INLINE __m128i client_two(const void *low, const void *high)
{
	return _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd(low), high));
}

CLIENT_INLINE __m128i client_desc(const struct p2p_seg *s, const struct memif_base *base)
{
	const __m128i v = _mm_sub_epi64(client_two(&s->data, &s->len), *(const __m128i *)&base[s->region]);

	return _mm_shuffle_epi32(v, _MM_SHUFFLE(1, 0, 2, 3));
}

CLIENT_INLINE void client_fill(const struct p2p_seg *s, const struct memif_base *base, struct memif_desc *desc)
{
	_mm_store_si128((__m128i *)desc, client_desc(s, base));
}

CLIENT_INLINE void client_place_one(const struct p2p_seg *s, const struct memif_base *base, struct memif_desc *desc,
				    struct memif_slot *slot)
{
	const __m128i d = client_desc(s, base), from_len = client_two(&s->len, &s->cookie);
	const __m128 both = _mm_shuffle_ps(_mm_castsi128_ps(from_len), _mm_castsi128_ps(d), _MM_SHUFFLE(2, 0, 0, 2));

	_mm_store_si128((__m128i *)desc, d);
	_mm_store_si128((__m128i *)slot, _mm_castps_si128(both));
}
#else
CLIENT_INLINE struct memif_desc client_desc(const struct p2p_seg *s, const struct memif_base *base)
{
	const struct memif_base *b = &base[s->region];

	return (struct memif_desc){ .word = { client_half_turn(client_seg_word(s) - b->word),
					      MEMIF_WORD((uintptr_t)s->data - b->address, 0) } };
}

CLIENT_INLINE void client_fill(const struct p2p_seg *s, const struct memif_base *base, struct memif_desc *desc)
{
	memif_desc_store(desc, client_desc(s, base));
}

CLIENT_INLINE void client_place_one(const struct p2p_seg *s, const struct memif_base *base, struct memif_desc *desc,
				    struct memif_slot *slot)
{
	const struct memif_desc d = client_desc(s, base);

	memif_desc_store(desc, d);
	*slot = (struct memif_slot){ .cookie = s->cookie, .length = s->len, .key = MEMIF_FIRST(d.word[0]), .offset = d.offset };
}
#endif

/* Places k buffers from segs on, which q has room for. */
static void client_place(const struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs, unsigned int k)
{
	const struct memif_base *base = m->base;
	uint16_t head = q->head;

	while (k) {
		const unsigned int at = head & q->mask, run = client_least(k, q->size - at);
		struct memif_desc *desc = &q->ring->desc[at];
		struct memif_slot *slot = &q->slot[at];
		const struct p2p_seg *end = segs + run;

		for (; end - segs >= CLIENT_GROUP; segs += CLIENT_GROUP, desc += CLIENT_GROUP, slot += CLIENT_GROUP) {
			client_place_one(&segs[0], base, &desc[0], &slot[0]);
			client_place_one(&segs[1], base, &desc[1], &slot[1]);
			client_place_one(&segs[2], base, &desc[2], &slot[2]);
			client_place_one(&segs[3], base, &desc[3], &slot[3]);
		}
		for (; segs != end; segs++, desc++, slot++)
			client_place_one(segs, base, desc, slot);
		head = (uint16_t)(head + run);
		k -= run;
	}
	q->head = head;
}

unsigned int memif_client_post(struct memif_port *m, const struct p2p_seg *segs, unsigned int n)
{
	struct memif_queue *q = &m->rx[0];
	unsigned int k = client_least(n, q->fill_max - (uint16_t)(q->head - q->tail));

	client_place(m, q, segs, k);
	memif_index_store(&q->ring->head, q->head);
	return k;
}

void memif_client_refill(struct memif_port *m)
{
	for (unsigned int i = 0; i < m->nrx && memif_pool_count(m); i++) {
		struct memif_queue *q = &m->rx[i];
		unsigned int share = client_least(memif_pool_count(m), q->fill_max - (uint16_t)(q->head - q->tail));

		if (!share)
			continue;
		while (share--)
			client_place(m, q, &m->pool[m->pool_tail++ & m->pool_mask], 1);
		memif_index_store(&q->ring->head, q->head);
	}
}

/* The frame at q->tail is not to be delivered: its buffers go back.  False if its end has not come yet. */
static bool client_skip(struct memif_port *m, struct memif_queue *q, uint16_t tail)
{
	uint16_t t = q->tail;

	while (t != tail) {
		if (memif_desc_load(&q->ring->desc[t++ & q->mask]).flags & MEMIF_DESC_NEXT)
			continue;
		if (m->mem.place)
			q->back = (uint16_t)(t - q->tail);
		while (!m->mem.place && q->tail != t) {
			struct p2p_seg s = client_slot(m, q, q->tail++);

			memif_pool_push(m, &s);
		}
		p2p_count(&m->port.stats.rx_refused, 1);
		return true;
	}
	return false;
}

/* Buffers of refused frames: those of mem.place in their turn, others to the pool. */
static __attribute__((noinline)) unsigned int client_back(struct memif_port *m, struct memif_queue *q,
							  struct p2p_seg *segs, unsigned int n)
{
	unsigned int k = 0;

	for (; k < n && q->back; q->back--) {
		struct p2p_seg s = client_slot(m, q, q->tail++);

		if (s.region != m->mem.place) {
			memif_pool_push(m, &s);
			continue;
		}
		s.flags = P2P_SEG_BACK;
		segs[k++] = s;
	}
	return k;
}

/*
 * The frame at q->tail, which is odd, into segs, and q->tail past it.
 * Returns its segments; 0 if it was refused or is a violation, or -1 if its
 * end has not come or n is too small.
 */
static __attribute__((noinline)) int client_rx_odd(struct memif_port *m, struct memif_queue *q, uint16_t tail,
						   struct p2p_seg *segs, unsigned int n, uint64_t *bytes)
{
	const uint16_t left = (uint16_t)(tail - q->tail);
	bool empty = false;
	struct memif_desc d = { .flags = 0 };
	unsigned int k = 0;
	uint64_t sum = 0;

	do {
		const uint16_t t = (uint16_t)(q->tail + k);
		const struct memif_slot *s = &q->slot[t & q->mask];

		if (k == left || k == P2P_MAX_SEGS)
			break;
		if (k == n)
			return -1;
		d = memif_desc_load(&q->ring->desc[t & q->mask]);
		if (d.region != client_key_region(s->key) || d.offset != s->offset || d.length > s->length) {
			memif_violation(m, "S2C descriptor changed beyond length and flags");
			return 0;
		}
		segs[k] = client_slot(m, q, t);
		segs[k].len = d.length;
		segs[k].flags = d.flags & MEMIF_DESC_NEXT ? P2P_SEG_MORE : 0;
		empty |= !d.length;
		sum += d.length;
		k++;
	} while (d.flags & MEMIF_DESC_NEXT);
	if (!(d.flags & MEMIF_DESC_NEXT) && !empty) {
		q->tail = (uint16_t)(q->tail + k);
		*bytes += sum;
		return (int)k;
	}
	if (client_skip(m, q, tail))
		return 0;
	if (tail == q->head && left >= q->fill_max)
		memif_violation(m, "S2C ring holds no end of a frame");
	return -1;
}

/* What the frames of a run have in common. */
struct client_run {
	uint8_t *base;    /* of the region that the buffers lie in */
	uint64_t seg_key; /* a segment's flags and region, beside its length */
	uint32_t key;     /* the descriptors' */
	bool touched;     /* not cut-through, where nobody here looks at the frames */
};

/* A frame of one descriptor, in a buffer as it was placed: its length.  0: anything else. */
CLIENT_INLINE uint32_t client_rx_one(const struct client_run *r, const struct memif_desc *desc, const struct memif_slot *slot,
				     struct p2p_seg *seg)
{
	const uint64_t w = __atomic_load_n(&desc->word[0], __ATOMIC_RELAXED);
	const uint32_t offset = __atomic_load_n(&desc->offset, __ATOMIC_RELAXED), len = MEMIF_SECOND(w);
	uint64_t seg_word;

	if (p2p_unlikely(MEMIF_FIRST(w) != r->key || slot->key != r->key ||
			 offset != slot->offset || len - 1 >= slot->length))
		return 0;
	if (r->touched)
		__builtin_prefetch(r->base + offset);
	seg->data = r->base + offset;
	seg_word = r->seg_key + client_half_turn(MEMIF_WORD(0, len));
	memcpy(&seg->len, &seg_word, sizeof(seg_word));
	seg->cookie = slot->cookie;
	return len;
}

/*
 * Up to n frames as client_rx_one() takes them, from slot `at` on, where the
 * ring does not wrap.  Returns how many; what follows is something else, or
 * there is no more.
 */
CLIENT_INLINE unsigned int client_rx_run(const struct client_run *r, const struct memif_desc *desc, const struct memif_slot *slot,
					 struct p2p_seg *segs, unsigned int n, uint64_t *bytes)
{
	const struct p2p_seg *first = segs, *end = segs + n;
	uint64_t sum = 0;
	uint32_t a, b, c, d;

	for (; end - segs >= CLIENT_GROUP; segs += CLIENT_GROUP, desc += CLIENT_GROUP, slot += CLIENT_GROUP) {
		if (p2p_unlikely(!(a = client_rx_one(r, &desc[0], &slot[0], &segs[0])) ||
				 !(b = client_rx_one(r, &desc[1], &slot[1], &segs[1])) ||
				 !(c = client_rx_one(r, &desc[2], &slot[2], &segs[2])) ||
				 !(d = client_rx_one(r, &desc[3], &slot[3], &segs[3]))))
			break;
		sum += (uint64_t)a + b + c + d;
	}
	for (; segs != end; segs++, desc++, slot++) {
		a = client_rx_one(r, desc, slot, segs);
		if (p2p_unlikely(!a))
			break;
		sum += a;
	}
	*bytes += sum;
	return (unsigned int)(segs - first);
}

static __attribute__((noinline)) unsigned int client_rx_plain(const struct memif_port *m, const struct memif_queue *q,
							      unsigned int at, struct p2p_seg *segs, unsigned int n,
							      uint64_t *bytes)
{
	const struct memif_desc *desc = &q->ring->desc[at];
	const struct memif_slot *slot = &q->slot[at];
	const uint16_t region = (uint16_t)(client_key_region(slot->key) - m->region0);
	struct client_run r = { .key = slot->key, .base = m->mem.region[region].base,
				.seg_key = client_half_turn(MEMIF_WORD(MEMIF_REGION_KEY(region), 0)) };

	if (p2p_unlikely(m->mem.place))
		return client_rx_run(&r, desc, slot, segs, n, bytes);
	r.touched = true;
	return client_rx_run(&r, desc, slot, segs, n, bytes);
}

/* A look at the far end's index where what it said last does not do.  False: nothing there. */
static inline bool client_rx_look(struct memif_port *m, struct memif_queue *q, unsigned int n)
{
	uint16_t tail;

	if ((uint16_t)(q->seen - q->tail) >= n)
		return true;
	tail = memif_index_load(&q->ring->tail);
	if (tail == q->seen)
		return tail != q->tail;
	/* What is in hand may have been taken in part (client_back()): no way back behind it. */
	if (p2p_unlikely((uint16_t)(tail - q->seen) > (uint16_t)(q->head - q->seen))) {
		memif_violation(m, "S2C tail beyond head, or moved back");
		return false;
	}
	q->seen = tail;
	return true;
}

/* The lines of n descriptors from slot t on, or up to the ring's end, to be written soon. */
static inline void client_own(const struct memif_queue *q, uint16_t t, unsigned int n)
{
	const unsigned int at = t & q->mask;
	const struct memif_desc *d = &q->ring->desc[at], *end = d + client_least(n, q->size - at);

	for (; d < end; d += CLIENT_GROUP)
		client_prefetch_own(d);
}

unsigned int memif_client_rx(struct memif_port *m, struct memif_queue *q, struct p2p_seg *segs, unsigned int n)
{
	uint64_t frames = 0, bytes = 0;
	unsigned int out = 0;
	uint16_t t;

	if (!client_rx_look(m, q, n))
		return 0;
	if (p2p_unlikely(q->back))
		out = client_back(m, q, segs, n);
	client_own(q, q->tail, client_least((uint16_t)(q->seen - q->tail), 2 * n));
	for (t = q->tail; t != q->seen && out < n; t = q->tail) {
		const unsigned int at = t & q->mask, most = client_least((uint16_t)(q->seen - t), n - out);
		const unsigned int run = client_least(most, q->size - at);
		const unsigned int plain = client_rx_plain(m, q, at, segs + out, run, &bytes);
		int k;

		out += plain;
		frames += plain;
		q->tail = (uint16_t)(t + plain);
		if (p2p_likely(plain == run))
			continue;
		k = client_rx_odd(m, q, q->seen, segs + out, n - out, &bytes);
		if (p2p_unlikely(k < 0))
			q->seen = q->tail; /* look for its end next time */
		if (k < 0 || m->broken)
			break;
		out += (unsigned int)k;
		frames += k > 0;
		if (p2p_unlikely(q->back))
			out += client_back(m, q, segs + out, n - out);
	}
	p2p_count(&m->port.stats.rx_frames, frames);
	p2p_count(&m->port.stats.rx_bytes, bytes);
	return out;
}

uint32_t memif_client_reap(struct memif_port *m, struct memif_queue *q)
{
	uint64_t sum;
	uint16_t tail;
	uint32_t n;

	/* With nothing under way the server's line is left alone. */
	if (q->head == q->tail)
		return 0;
	tail = memif_index_load(&q->ring->tail);
	n = (uint16_t)(tail - q->tail);
	if (!n)
		return 0;
	if (p2p_unlikely(n > (uint16_t)(q->head - q->tail))) {
		memif_violation(m, "C2S tail beyond head");
		return 0;
	}
	sum = q->sum[(uint16_t)(tail - 1) & q->mask] - q->taken;
	q->taken += sum;
	q->tail = tail;
	p2p_count(&m->port.stats.tx_frames, n - (uint32_t)(sum >> 32));
	p2p_count(&m->port.stats.tx_bytes, (uint32_t)sum);
	return n;
}

/* Room for n segments, or as many as there is room for. */
static unsigned int client_tx_room(struct memif_port *m, struct memif_queue *q, unsigned int n)
{
	unsigned int room = q->size - (uint16_t)(q->head - q->tail);
	uint32_t got;

	if (p2p_likely(room >= n))
		return n;
	got = memif_client_reap(m, q);
	if (m->ntx == 1)
		m->done += got;
	else
		q->finished += got;
	return client_least(n, q->size - (uint16_t)(q->head - q->tail));
}

CLIENT_INLINE uint64_t client_tx_one(const struct p2p_seg *s, const struct memif_base *base, struct memif_desc *desc,
				     uint64_t *sum, uint64_t sent)
{
	client_fill(s, base, desc);
	sent += client_seg_sum(client_seg_word(s));
	*sum = sent;
	return sent;
}

static void client_send_all(const struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs, unsigned int n)
{
	const struct memif_base *base = m->base;
	uint64_t sent = q->sent;
	uint16_t head = q->head;

	while (n) {
		const unsigned int at = head & q->mask, run = client_least(n, q->size - at);
		struct memif_desc *desc = &q->ring->desc[at];
		uint64_t *sum = &q->sum[at];
		const struct p2p_seg *end = segs + run;

		for (; end - segs >= CLIENT_GROUP; segs += CLIENT_GROUP, desc += CLIENT_GROUP, sum += CLIENT_GROUP) {
			sent = client_tx_one(&segs[0], base, &desc[0], &sum[0], sent);
			sent = client_tx_one(&segs[1], base, &desc[1], &sum[1], sent);
			sent = client_tx_one(&segs[2], base, &desc[2], &sum[2], sent);
			sent = client_tx_one(&segs[3], base, &desc[3], &sum[3], sent);
		}
		for (; segs != end; segs++, desc++, sum++)
			sent = client_tx_one(segs, base, desc, sum, sent);
		head = (uint16_t)(head + run);
		n -= run;
	}
	q->sent = sent;
	q->head = head;
}

unsigned int memif_client_tx(struct memif_port *m, struct memif_queue *q, const struct p2p_seg *segs,
			     unsigned int n)
{
	n = client_tx_room(m, q, n);
	while (n && (segs[n - 1].flags & P2P_SEG_MORE))
		n--;
	if (!n || !m->tx_on)
		return 0;
	client_send_all(m, q, segs, n);
	memif_index_store(&q->ring->head, q->head);
	client_own(q, q->head, client_least(n, q->size - (uint16_t)(q->head - q->tail)));
	return n;
}
