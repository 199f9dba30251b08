/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Byte-order types and a few words that every room shares.
 *
 * Whatever lies in device memory or in a register is little-endian.  It is
 * declared le16/le32/le64, a struct that a plain integer can't be assigned to,
 * so that every access names its conversion.
 */
#ifndef P2PNIC_TYPES_H
#define P2PNIC_TYPES_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

typedef struct { uint16_t raw; } le16;
typedef struct { uint32_t raw; } le32;
typedef struct { uint64_t raw; } le64;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define P2P_SWAP16(x) (x)
#define P2P_SWAP32(x) (x)
#define P2P_SWAP64(x) (x)
#else
#define P2P_SWAP16(x) __builtin_bswap16(x)
#define P2P_SWAP32(x) __builtin_bswap32(x)
#define P2P_SWAP64(x) __builtin_bswap64(x)
#endif

static inline le16 to_le16(uint16_t v) { return (le16){ P2P_SWAP16(v) }; }
static inline le32 to_le32(uint32_t v) { return (le32){ P2P_SWAP32(v) }; }
static inline le64 to_le64(uint64_t v) { return (le64){ P2P_SWAP64(v) }; }
static inline uint16_t from_le16(le16 v) { return P2P_SWAP16(v.raw); }
static inline uint32_t from_le32(le32 v) { return P2P_SWAP32(v.raw); }
static inline uint64_t from_le64(le64 v) { return P2P_SWAP64(v.raw); }

/*
 * Words that two parties share.  A load pairs with the release store by which
 * the writer published the word (see the ORDERING notes in ring.h).
 */
static inline uint32_t le32_load_acquire(const le32 *p)
{
	return P2P_SWAP32(__atomic_load_n(&p->raw, __ATOMIC_ACQUIRE));
}

static inline void le32_store_release(le32 *p, uint32_t v)
{
	__atomic_store_n(&p->raw, P2P_SWAP32(v), __ATOMIC_RELEASE);
}

/* Statistics: one writer, any number of readers in other threads. */
static inline void p2p_count(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, __atomic_load_n(c, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline uint64_t p2p_count_read(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

/* A seeded generator (splitmix64; Steele, Lea, Flood 2014): same seed, same numbers.  Not for what peers must not guess. */
static inline uint64_t p2p_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* What threads write of their own lies so far apart: a cache line, and the one that is fetched along with it. */
#define P2P_APART_BYTES 128u

#define P2P_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* ThreadSanitizer sees a race in what the CPU does whole but C knows nothing of. */
#if defined(__SANITIZE_THREAD__)
#define P2P_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define P2P_TSAN 1
#endif
#endif
#ifndef P2P_TSAN
#define P2P_TSAN 0
#endif

#define P2P_ALIGN_UP(x, a) (((x) + ((a) - 1)) & ~((a) - 1))
#define p2p_likely(x) __builtin_expect(!!(x), 1)
#define p2p_unlikely(x) __builtin_expect(!!(x), 0)

#endif
