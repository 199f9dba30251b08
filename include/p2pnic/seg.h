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

#endif
