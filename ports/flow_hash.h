/* SPDX-License-Identifier: BSD-3-Clause */
/* Which queue a frame belongs to, as receive-side scaling has it: the same for all frames of a flow, so that they stay in order. */
#ifndef PORTS_FLOW_HASH_H
#define PORTS_FLOW_HASH_H

#include <p2pnic/types.h>

static inline uint32_t port_hash_words(uint32_t h, const uint8_t *p, unsigned int len)
{
	for (; len >= 2; len -= 2, p += 2)
		h = (h ^ ((uint32_t)p[0] << 8 | p[1])) * 0x9e3779b1u, h ^= h >> 15;
	return h;
}

/*
 * Of a frame's first len bytes.  Equal for all frames of a flow: MAC and IP
 * addresses, and TCP and UDP ports where no fragment may lack them.
 */
static inline uint32_t port_flow_hash(const uint8_t *d, uint32_t len)
{
	unsigned int l3 = 14;
	uint32_t h;

	if (len < 14)
		return 0;
	h = port_hash_words(1, d, 12);
	if (d[12] == 0x81 && d[13] == 0 && len >= 18)
		l3 = 18;
	if (d[l3 - 2] == 0x08 && d[l3 - 1] == 0 && len >= l3 + 20) {
		const uint8_t *ip = d + l3;
		unsigned int l4 = l3 + (ip[0] & 15u) * 4;

		h = port_hash_words(h, ip + 12, 8);
		if (!((ip[6] & 0x3f) | ip[7]) && (ip[9] == 6 || ip[9] == 17) && l4 >= l3 + 20 && len >= l4 + 4)
			h = port_hash_words(h, d + l4, 4);
	} else if (d[l3 - 2] == 0x86 && d[l3 - 1] == 0xdd && len >= l3 + 40) {
		const uint8_t *ip = d + l3;

		h = port_hash_words(h, ip + 8, 32);
		if ((ip[6] == 6 || ip[6] == 17) && len >= l3 + 44)
			h = port_hash_words(h, ip + 40, 4);
	}
	return h ^ h >> 16;
}

#endif
