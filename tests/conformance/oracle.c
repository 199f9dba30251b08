/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "oracle.h"

void oracle_init(struct oracle *o, unsigned int ports)
{
	unsigned int p;

	memset(o, 0, sizeof(*o));
	o->ports = ports;
	for (p = 0; p < ports; p++)
		o->link[p] = true;
}

void oracle_link(struct oracle *o, unsigned int port, bool up)
{
	unsigned int s;

	o->link[port] = up;
	if (up)
		return;
	for (s = 0; s < 65536; s++)
		if (o->station[s].port == port)
			o->station[s].known = false;
}

static unsigned int station(const uint8_t mac[6])
{
	return (unsigned int)mac[4] << 8 | mac[5];
}

unsigned int oracle_frame(struct oracle *o, unsigned int port, const uint8_t dst[6], const uint8_t src[6], bool *to)
{
	static const uint8_t reserved[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };
	unsigned int p, n = 0;

	memset(to, 0, o->ports * sizeof(*to));
	if (!o->link[port] || (src[0] & 1))
		return 0;
	if (!memcmp(dst, reserved, 5) && dst[5] < 16)
		return 0; /* between neighbours; nothing is learned from it either */
	o->station[station(src)].known = true;
	o->station[station(src)].port = port;
	if (!(dst[0] & 1) && o->station[station(dst)].known) {
		p = o->station[station(dst)].port;
		to[p] = p != port && o->link[p];
		return to[p];
	}
	for (p = 0; p < o->ports; p++) {
		to[p] = p != port && o->link[p];
		n += to[p];
	}
	return n;
}
