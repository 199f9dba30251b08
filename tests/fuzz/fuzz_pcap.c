/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files, as a pcap: port receives them.  Input: the file. */
#include <stdio.h>
#include <stdlib.h>

#include <ports/port.h>
#include "fuzz.h"

#define BUFS 32u
#define BUF_SIZE 2048u
#define BURST 16u
#define BURSTS_MAX 2000

static void receive(struct port *p)
{
	struct port_memory mem = { .n = 1, .buf_size = BUF_SIZE, .rx_bufs = BUFS };
	struct p2p_seg segs[BURST];
	char err[PORT_ERR_MAX] = "";
	unsigned int n, k, bursts;

	mem.region[0] = (struct port_region){ .base = malloc(BUFS * BUF_SIZE), .size = BUFS * BUF_SIZE, .fd = -1 };
	if (mem.region[0].base && !p->ops->start(p, &mem)) {
		for (k = 0; k < BUFS; k++) {
			struct p2p_seg s = { .data = mem.region[0].base + k * BUF_SIZE, .len = BUF_SIZE, .cookie = k };

			p->ops->rx_post(p, &s, 1);
		}
		for (bursts = 0; bursts < BURSTS_MAX && (n = p->ops->rx_burst(p, segs, BURST)); bursts++) {
			for (k = 0; k < n; k++) {
				if (segs[k].cookie >= BUFS || segs[k].data != mem.region[0].base + segs[k].cookie * BUF_SIZE ||
				    !segs[k].len || segs[k].len > BUF_SIZE)
					fuzz_fail("a segment that is no buffer");
				segs[k].len = BUF_SIZE;
				segs[k].flags = 0;
			}
			if (p->ops->rx_post(p, segs, n) != n)
				fuzz_fail("buffers are not taken back");
		}
		if (p->ops->finish(p, err) && !*err)
			fuzz_fail("finish() fails without a word");
		p->ops->stop(p);
	}
	free(mem.region[0].base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char spec[128], err[PORT_ERR_MAX] = "";
	struct port *p;

	snprintf(spec, sizeof(spec), "pcap:%s,loop=2", fuzz_file(data, size));
	if (port_open(&p, spec, err)) {
		if (!*err)
			fuzz_fail("refused without a word");
		return 0;
	}
	receive(p);
	p->ops->close(p);
	return 0;
}
