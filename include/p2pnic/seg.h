/* SPDX-License-Identifier: BSD-3-Clause */
/* A piece of a frame, or an empty buffer, as firmware and ports hand it to each other. */
#ifndef P2PNIC_SEG_H
#define P2PNIC_SEG_H

#include "types.h"

#define P2P_MAX_SEGS 16  /* segments of one frame */
#define P2P_SEG_MORE 1u  /* the frame goes on in the next segment */
#define P2P_SEG_BACK 2u  /* receive: not a frame; an empty buffer given back in its turn */

struct p2p_seg {
	uint8_t *data;
	uint32_t len;    /* an empty buffer: room at data; else bytes of the frame in this segment */
	uint16_t flags;  /* P2P_SEG_* */
	uint16_t region; /* of the port's memory, where data lies: 0 receive buffers, 1 + i peer i's, then place (ports/port.h) */
	uint32_t cookie; /* receive: travels with the buffer, its owner's own */
	uint32_t pad;
};

/*
 * All but the cookie; and, of an empty receive buffer, all.  In whole words, as those who take segments read them: a load
 * of what was just stored in parts waits until all parts have left the store buffer.
 */
static inline void p2p_seg_set(struct p2p_seg *s, uint8_t *data, uint32_t len, uint16_t flags, uint16_t region)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const uint64_t word = len | (uint64_t)flags << 32 | (uint64_t)region << 48;
#else
	const uint64_t word = (uint64_t)len << 32 | (uint32_t)flags << 16 | region;
#endif

	s->data = data;
	__builtin_memcpy(&s->len, &word, sizeof(word));
}

static inline void p2p_seg_set_empty(struct p2p_seg *s, uint8_t *data, uint32_t room, uint16_t region, uint32_t cookie)
{
	const uint32_t words[2] = { cookie, 0 };

	p2p_seg_set(s, data, room, 0, region);
	__builtin_memcpy(&s->cookie, words, sizeof(words));
}

#endif
