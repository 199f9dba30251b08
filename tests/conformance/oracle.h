/* SPDX-License-Identifier: BSD-3-Clause */
/* What one learning bridge over all ports of the mesh would do. */
#ifndef TESTS_CONFORMANCE_ORACLE_H
#define TESTS_CONFORMANCE_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#define ORACLE_PORTS 256

struct oracle {
	unsigned int ports;
	bool link[ORACLE_PORTS];
	struct { bool known; unsigned int port; } station[65536]; /* by the last two bytes of the address */
};

void oracle_init(struct oracle *o, unsigned int ports);
void oracle_link(struct oracle *o, unsigned int port, bool up);
/* A frame comes in at `port`: to[p] says whether it goes out at p.  Returns how many. */
unsigned int oracle_frame(struct oracle *o, unsigned int port, const uint8_t dst[6], const uint8_t src[6], bool *to);

#endif
