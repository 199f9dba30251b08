/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memif, protocol version 2: what two processes of one host share.
 *
 * Source: the definition in VPP, src/plugins/memif/memif.h and its
 * documentation; names follow the newer words client and server (there: slave
 * and master), S2C and C2S for the directions (there: M2S and S2M).
 *
 * BYTE ORDER  Both ends run on one host and the protocol says host order: the
 * fields are plain integers, not leN.  Sizes and offsets are asserted.
 *
 * CONTROL CHANNEL  A SOCK_SEQPACKET UNIX socket; every message is 128 bytes,
 * descriptors travel beside it:
 *
 *   server  HELLO                          -> what it can take
 *   client  INIT                           -> id, secret           ACK
 *   client  ADD_REGION (+ memory fd)  each -> index, size          ACK
 *   client  ADD_RING   (+ eventfd)    each -> place, size          ACK
 *   client  CONNECT                        -> CONNECTED: link up
 *   either  DISCONNECT, or closes          -> link down
 *
 * RINGS  The client owns all memory.  Indexes are free-running 16-bit.
 *
 *              C2S                                S2C
 *   head       client: next it will fill          client: next buffer it will post
 *   tail       server: next it will take          server: next buffer it will fill
 *   desc       client writes all                  client writes all; server then length and flags
 *   flags      server (the receiver)              client (the receiver)
 *
 * OWNERSHIP  [tail, head) belongs to the server, the rest to the client.
 * ORDERING   Whoever moves an index stores it with release after what it
 *            covers, whoever follows it loads it with acquire first.  A
 *            receiver that goes to sleep clears MASK_INT, issues a full
 *            barrier and looks at the ring again; the sender stores its index,
 *            issues a full barrier and, if MASK_INT is clear, writes 1 to the
 *            ring's eventfd.
 * TRUST      None.  Each side copies an index or a descriptor once and checks
 *            the copy: indexes against the ring's size, region, offset and
 *            length against the region (server) or against what it posted
 *            (client).
 */
#ifndef PORTS_MEMIF_PROTO_H
#define PORTS_MEMIF_PROTO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MEMIF_COOKIE 0x3E31F20u
#define MEMIF_VERSION ((2u << 8) | 0u)
#define MEMIF_NAME_LEN 32
#define MEMIF_SECRET_LEN 24
#define MEMIF_REASON_LEN 96
#define MEMIF_MAX_LOG2_RING 14

enum memif_msg_type {
	MEMIF_MSG_NONE,
	MEMIF_MSG_ACK,
	MEMIF_MSG_HELLO,
	MEMIF_MSG_INIT,
	MEMIF_MSG_ADD_REGION,
	MEMIF_MSG_ADD_RING,
	MEMIF_MSG_CONNECT,
	MEMIF_MSG_CONNECTED,
	MEMIF_MSG_DISCONNECT,
};

#define MEMIF_MODE_ETHERNET 0
#define MEMIF_ADD_RING_C2S 1u /* ADD_RING.flags: the ring carries client to server */
#define MEMIF_DESC_NEXT 1u    /* desc.flags: the frame goes on in the next descriptor */
#define MEMIF_RING_MASK_INT 1u /* ring.flags: the receiver polls, no eventfd please */

#define MEMIF_PACKED __attribute__((packed))

struct memif_hello {
	uint8_t name[MEMIF_NAME_LEN];
	uint16_t min_version;
	uint16_t max_version;
	uint16_t max_region;   /* highest index */
	uint16_t max_s2c_ring; /* highest index */
	uint16_t max_c2s_ring; /* highest index */
	uint8_t max_log2_ring;
} MEMIF_PACKED;

struct memif_init {
	uint16_t version;
	uint32_t id;
	uint8_t mode;
	uint8_t secret[MEMIF_SECRET_LEN]; /* NUL-padded, full length allowed */
	uint8_t name[MEMIF_NAME_LEN];
} MEMIF_PACKED;

struct memif_add_region {
	uint16_t index;
	uint64_t size; /* bytes */
} MEMIF_PACKED;

struct memif_add_ring {
	uint16_t flags;
	uint16_t index;
	uint16_t region;
	uint32_t offset; /* bytes from the region's start to the ring */
	uint8_t log2_size;
	uint16_t private_hdr_size; /* unused here */
} MEMIF_PACKED;

struct memif_connect {
	uint8_t if_name[MEMIF_NAME_LEN];
} MEMIF_PACKED;

struct memif_disconnect {
	uint32_t code;
	uint8_t reason[MEMIF_REASON_LEN];
} MEMIF_PACKED;

struct memif_msg {
	uint16_t type;
	union {
		struct memif_hello hello;
		struct memif_init init;
		struct memif_add_region add_region;
		struct memif_add_ring add_ring;
		struct memif_connect connect; /* CONNECT and CONNECTED */
		struct memif_disconnect disconnect;
		uint8_t room[126];
	} MEMIF_PACKED;
} MEMIF_PACKED;

static_assert(sizeof(struct memif_msg) == 128, "memif message");
static_assert(sizeof(struct memif_hello) == 43, "memif HELLO");
static_assert(offsetof(struct memif_hello, max_region) == 36, "memif HELLO.max_region");
static_assert(offsetof(struct memif_hello, max_log2_ring) == 42, "memif HELLO.max_log2_ring");
static_assert(sizeof(struct memif_init) == 63, "memif INIT");
static_assert(offsetof(struct memif_init, id) == 2, "memif INIT.id");
static_assert(offsetof(struct memif_init, mode) == 6, "memif INIT.mode");
static_assert(offsetof(struct memif_init, secret) == 7, "memif INIT.secret");
static_assert(offsetof(struct memif_init, name) == 31, "memif INIT.name");
static_assert(sizeof(struct memif_add_region) == 10, "memif ADD_REGION");
static_assert(sizeof(struct memif_add_ring) == 13, "memif ADD_RING");
static_assert(offsetof(struct memif_add_ring, offset) == 6, "memif ADD_RING.offset");
static_assert(offsetof(struct memif_add_ring, private_hdr_size) == 11, "memif ADD_RING.private_hdr_size");
static_assert(sizeof(struct memif_disconnect) == 100, "memif DISCONNECT");
static_assert(offsetof(struct memif_msg, hello) == 2, "memif message body");

struct memif_desc {
	union {
		struct {
			uint16_t flags;
			uint16_t region;
			uint32_t length; /* posted: room; filled: bytes */
			uint32_t offset; /* from the region's start */
			uint32_t metadata;
		};
		uint64_t word[2];
	};
};

struct memif_ring {
	uint32_t cookie;
	uint16_t flags;
	uint16_t head;
	uint8_t pad0[56];
	uint16_t tail;
	uint8_t pad1[62];
	struct memif_desc desc[];
};

static_assert(sizeof(struct memif_desc) == 16, "memif descriptor");
static_assert(offsetof(struct memif_desc, region) == 2, "memif descriptor.region");
static_assert(offsetof(struct memif_desc, length) == 4, "memif descriptor.length");
static_assert(offsetof(struct memif_desc, offset) == 8, "memif descriptor.offset");
static_assert(offsetof(struct memif_ring, flags) == 4, "memif ring.flags");
static_assert(offsetof(struct memif_ring, head) == 6, "memif ring.head");
static_assert(offsetof(struct memif_ring, tail) == 64, "memif ring.tail");
static_assert(offsetof(struct memif_ring, desc) == 128, "memif ring.desc");

static inline size_t memif_ring_bytes(unsigned int log2_size)
{
	return sizeof(struct memif_ring) + (sizeof(struct memif_desc) << log2_size);
}

/* The one copy of a descriptor that is then checked and used. */
static inline struct memif_desc memif_desc_load(const struct memif_desc *d)
{
	struct memif_desc c;

	c.word[0] = __atomic_load_n(&d->word[0], __ATOMIC_RELAXED);
	c.word[1] = __atomic_load_n(&d->word[1], __ATOMIC_RELAXED);
	return c;
}

/*
 * A descriptor's word in its halves, as they lie in memory.  Of word[0] the
 * first is the key, flags and region in one; the second is the length.
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MEMIF_FIRST(w) ((uint32_t)(w))
#define MEMIF_SECOND(w) ((uint32_t)((w) >> 32))
#define MEMIF_WORD(first, second) ((uint64_t)(second) << 32 | (uint32_t)(first))
#define MEMIF_REGION_KEY(n) ((uint32_t)(n) << 16)
#else
#define MEMIF_FIRST(w) ((uint32_t)((w) >> 32))
#define MEMIF_SECOND(w) ((uint32_t)(w))
#define MEMIF_WORD(first, second) ((uint64_t)(first) << 32 | (uint32_t)(second))
#define MEMIF_REGION_KEY(n) ((uint32_t)(n))
#endif

static inline void memif_desc_store(struct memif_desc *d, struct memif_desc c)
{
	__atomic_store_n(&d->word[0], c.word[0], __ATOMIC_RELAXED);
	__atomic_store_n(&d->word[1], c.word[1], __ATOMIC_RELAXED);
}

static inline uint16_t memif_index_load(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void memif_index_store(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

#endif
