/* SPDX-License-Identifier: BSD-3-Clause */
/* trace_make FILE SEED: TLPs of all kinds into FILE, and what they were to standard output, one JSON object a line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabric/trace.h"

static struct fab_trace_file *file;
static uint64_t state, now_ps;
static uint8_t bytes[4096];

static uint32_t rnd(uint32_t below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((state >> 33) % below);
}

static void trace(struct fab_tlp_view v, bool data)
{
	static const char *const types[] = { "MWr", "MRd", "CplD", "Cpl" };
	bool carries = v.type == FAB_MWR || v.type == FAB_CPLD;
	uint32_t i;

	now_ps += rnd(4) ? rnd(20000) : rnd(3000000) * 1000000ull;
	v.at_ps = now_ps;
	v.data = data && carries ? bytes : NULL;
	for (i = 0; i < v.len; i++)
		bytes[i] = (uint8_t)rnd(256);
	fab_trace_write(file, &v);
	printf("{\"at_ps\": %" PRIu64 ", \"type\": \"%s\", \"requester\": %u, \"completer\": %u, \"tag\": %u, \"addr\": %" PRIu64
	       ", \"len\": %u, \"remaining\": %u, \"link\": %u, \"up\": %d, \"data\": \"",
	       v.at_ps, types[v.type], v.requester, v.completer, v.tag, v.addr, v.len, v.remaining, v.link_id, v.up);
	for (i = 0; i < v.len && carries; i++)
		printf("%02x", v.data ? v.data[i] : 0);
	puts("\"}");
}

/* A read of len bytes, answered by completions that end at multiples of rcb. */
static void trace_read(struct fab_tlp_view v, uint32_t rcb)
{
	uint64_t end = v.addr + v.len;

	v.type = FAB_MRD;
	v.up = true;
	trace(v, false);
	v.up = false;
	if (rnd(8) == 0) {
		v.type = FAB_CPL;
		v.remaining = v.len;
		trace(v, false);
		return;
	}
	v.type = FAB_CPLD;
	for (; v.addr < end; v.addr += v.len) {
		uint64_t to = (v.addr + rcb) / rcb * rcb;

		v.len = (uint32_t)((to < end ? to : end) - v.addr);
		v.remaining = (uint32_t)(end - v.addr);
		trace(v, rnd(6));
	}
}

static void trace_one(uint64_t addr, uint32_t len)
{
	struct fab_tlp_view v = { .requester = (uint16_t)(rnd(600) << 3),
				  .completer = (uint16_t)(rnd(600) << 3),
				  .link_id = (uint16_t)(rnd(600) << 3),
				  .tag = (uint16_t)(rnd(2) ? rnd(32) : rnd(1024)),
				  .addr = addr,
				  .len = len };

	if (rnd(2)) {
		trace_read(v, 64u << rnd(2));
		return;
	}
	v.type = FAB_MWR;
	v.up = rnd(2);
	trace(v, rnd(6));
}

int main(int argc, char **argv)
{
	char err[FAB_ERR_MAX];
	uint32_t k, at, len;
	int rc;

	if (argc != 3)
		return 2;
	state = strtoull(argv[2], NULL, 0);
	rc = fab_trace_open(&file, argv[1], err);
	if (rc) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	/* every start and end within two double words, then anything that keeps within 4 KiB */
	for (at = 0; at < 4; at++)
		for (len = 1; len <= 9; len++)
			trace_one((rnd(2) ? 0x90000000ull : 0x380000000000ull) + 64 * rnd(64) + at, len);
	trace_one(0xffffe000, 4096);
	trace_one(0x100000000, 4096);
	trace_one(0xfffffffc, 4);
	for (k = 0; k < 300; k++) {
		len = 1 + (rnd(3) ? rnd(300) : rnd(4096));
		at = rnd(4097 - len);
		trace_one((rnd(2) ? 0x100000000ull * rnd(5000) : 0) + 4096 * rnd(1000000) + at, len);
	}
	return fab_trace_close(file) ? 1 : 0;
}
