/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the fused copy and checksum costs beside memcpy, ns per frame:
 *   warm   source and destination in the first-level cache
 *   cold   both areas larger than the last-level cache, walked in order
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fake_fw.h"

#define COLD_BYTES (64u << 20)
#define FRAMES 2000000u

static uint8_t *cold_src;
static volatile uint32_t sink;

static double run(struct board_ctx *b, struct board_win *w, uint32_t len, bool fused, bool cold)
{
	uint32_t step = P2P_ALIGN_UP(len, 64u), span = cold ? COLD_BYTES - 16384 : step, at = 0, sum = 0;
	uint32_t frames = cold ? FRAMES / 4 : FRAMES;
	uint64_t t = soft_now_ns();

	for (uint32_t i = 0; i < frames; i++) {
		if (fused) {
			board_write_sum(b, w, at, cold_src + at, len, p2p_mix(i), 64, &sum);
			sink += sum;
		} else {
			memcpy(soft_win_ptr(b, w, at, len, true), cold_src + at, len);
			__asm__ volatile("" : : : "memory");
		}
		at += step;
		if (at >= span)
			at = 0;
	}
	return (double)(soft_now_ns() - t) / frames;
}

int main(void)
{
	static const uint32_t sizes[] = { 60, 64, 128, 256, 512, 1514, 1518, 9018 };
	struct soft_nic_opts opts = { .name = "bench", .mem_bytes = 128 << 20, .ports = 1 };
	struct fake_port port;
	struct soft_nic *nic;
	char err[SOFT_ERR_MAX];
	struct board_win w;

	fake_port_init(&port);
	opts.port[0] = &port.port;
	if (soft_nic_create(&nic, &opts, err) != 0)
		return 1;
	fake_nic_command(nic, 6);
	fake_nic_configure(nic, 1, 16384, 16384);
	cold_src = aligned_alloc(4096, COLD_BYTES + 16384);
	memset(cold_src, 1, COLD_BYTES + 16384);
	board_win_open(&nic->context[0].ctx, &w, P2P_BUS_LOCAL | 4u << 20, COLD_BYTES + 16384);
	printf("%-8s %6s %12s %12s %12s %12s\n", "path", "bytes", "memcpy warm", "fused warm", "memcpy cold", "fused cold");
	for (int path = 0; path < SOFT_NUM_COPY_PATHS; path++) {
		if (soft_copy_select(path) != 0)
			continue;
		for (size_t i = 0; i < P2P_ARRAY_SIZE(sizes); i++) {
			run(&nic->context[0].ctx, &w, sizes[i], true, true);
			printf("%-8s %6u %12.1f %12.1f %12.1f %12.1f\n", soft_copy_path_name(path), sizes[i],
			       run(&nic->context[0].ctx, &w, sizes[i], false, false), run(&nic->context[0].ctx, &w, sizes[i], true, false),
			       run(&nic->context[0].ctx, &w, sizes[i], false, true), run(&nic->context[0].ctx, &w, sizes[i], true, true));
		}
	}
	soft_nic_destroy(nic);
	fake_port_fini(&port);
	free(cold_src);
	return 0;
}
