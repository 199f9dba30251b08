/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the representative checksum (<p2pnic/csum.h>) sees: damaged and stale payloads by stride, frame size, pattern, with
 * and without scrub; and what it costs.  Prints Markdown for docs/reliability.md.
 *
 * usage: detect [--trials N] [--seed N]     detection rates
 *        detect --cost                      cycles, as ratios to a plain copy
 *
 * A trial: a slot holds what the former frame of the ring left there (of the same pattern), scrubbed for the next
 * sequence number or not; the next frame is written into it and something goes wrong; the consumer sums what lies there.
 * Trials in which the frame's bytes are right all the same are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include <boards/soft/copy.h>
#include <p2pnic/csum.h>

#define SLOT 2048u
#define LAP 64u /* slots of the ring: so much later comes the slot's next sequence number */
#define UNIT 64u

enum pattern { RANDOM, ZEROS, CONSTANT, COUNTER, IP, PATTERNS };
static const char *const pattern_name[] = { "random", "zeros", "constant", "counter", "IP-like" };

enum damage { FLIP, UNIT_LOST, CUT, CUT_WORD, DAMAGES };
static const char *const damage_name[] = { "one bit flipped", "one unit of 64 B lost (of a stride, where that is more)",
					   "cut off after a whole unit", "cut off after any 4-byte word" };

static const uint32_t strides[] = { 4, 16, 64, 256 };
static const uint32_t sizes[] = { 60, 508, 1514 };

static uint64_t random_state = 1;

static uint32_t below(uint32_t n)
{
	return (uint32_t)((p2p_random(&random_state) >> 32) * n >> 32);
}

/* Frame number k of its flow. */
static void fill(enum pattern p, uint8_t *buf, uint32_t len, uint32_t k)
{
	uint32_t at, v;

	memset(buf, 0, SLOT);
	for (at = 0; at < len; at += 4) {
		v = p == RANDOM ? (uint32_t)p2p_random(&random_state) : p == CONSTANT ? 0x5a5a5a5a : p == COUNTER ? k + at / 4 : 0;
		memcpy(buf + at, &v, len - at < 4 ? len - at : 4);
	}
	if (p != IP)
		return;
	/* Addresses, type, IPv4 header with identification and checksum, UDP, and a sequence number; then zeros. */
	memcpy(buf, "\x02\0\0\0\0\1\x02\0\0\0\0\2\x08\0\x45\0", 16);
	buf[18] = (uint8_t)(k >> 8), buf[19] = (uint8_t)k;
	memcpy(buf + 20, "\x40\0\x40\x11", 4);
	buf[24] = (uint8_t)(~k >> 8), buf[25] = (uint8_t)~k;
	memcpy(buf + 26, "\x0a\0\0\1\x0a\0\0\2\x12\x34\x56\x78", 12);
	memcpy(buf + 42, &k, 4);
}

static uint32_t sum(const uint8_t *buf, uint32_t len, uint32_t seq, uint32_t stride)
{
	return p2p_csum_words(buf, len, p2p_mix(seq), stride);
}

static void scrub(uint8_t *buf, uint32_t seq, uint32_t stride, uint32_t key)
{
	uint32_t h = p2p_mix(seq), unit, word;

	for (unit = 0; unit < SLOT / stride; unit++) {
		word = p2p_scrub_word(key, seq, unit);
		memcpy(buf + unit * stride + p2p_sample_offset(h, unit, stride), &word, 4);
	}
}

/* 1 seen, 0 not, -1 no harm done. */
static int trial(enum pattern p, enum damage d, uint32_t len, uint32_t stride, bool scrubbed)
{
	uint32_t seq = (uint32_t)p2p_random(&random_state), key = (uint32_t)p2p_random(&random_state), k = below(1u << 30);
	uint32_t unit = stride > UNIT ? stride : UNIT, moved = P2P_ALIGN_UP(len, unit), from, to, bit;
	static uint8_t sent[SLOT], slot[SLOT];

	fill(p, slot, len, k);
	fill(p, sent, len, k + LAP);
	if (scrubbed)
		scrub(slot, seq, stride, key);
	from = to = moved;
	if (d == UNIT_LOST) {
		from = below(moved / unit) * unit;
		to = from + unit;
	} else if (d == CUT) {
		from = below(moved / unit) * unit;
	} else if (d == CUT_WORD) {
		from = below(len / 4) * 4;
	}
	memcpy(slot, sent, from);
	memcpy(slot + to, sent + to, moved - to);
	if (d == FLIP) {
		bit = below(8 * len);
		slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	if (!memcmp(slot, sent, len))
		return -1;
	return sum(slot, len, seq, stride) != sum(sent, len, seq, stride);
}

static void cell(enum pattern p, enum damage d, uint32_t len, uint32_t stride, bool scrubbed, uint32_t trials)
{
	uint32_t k, harm = 0, seen = 0;

	for (k = 0; k < trials; k++) {
		int r = trial(p, d, len, stride, scrubbed);

		harm += r >= 0;
		seen += r > 0;
	}
	if (!harm)
		printf(" | -");
	else if (seen == harm)
		printf(" | all");
	else
		printf(" | %.1f", 100.0 * seen / harm);
}

static void rates(uint32_t trials)
{
	unsigned int d, p, l, s, scrubbed;

	for (d = 0; d < DAMAGES; d++) {
		printf("\n### %s\n\n| pattern | bytes", damage_name[d]);
		for (scrubbed = d != FLIP; scrubbed + 1; scrubbed--)
			for (s = 0; s < P2P_ARRAY_SIZE(strides); s++)
				printf(" | %u%s", strides[s], d == FLIP ? "" : scrubbed ? " scrub" : " none");
		printf(" |\n|---|---");
		for (s = 0; s < P2P_ARRAY_SIZE(strides) * (d == FLIP ? 1 : 2); s++)
			printf("|---");
		printf("|\n");
		for (p = 0; p < PATTERNS; p++) {
			for (l = 0; l < P2P_ARRAY_SIZE(sizes); l++) {
				printf("| %s | %u", pattern_name[p], sizes[l] + 4);
				for (scrubbed = d != FLIP; scrubbed + 1; scrubbed--)
					for (s = 0; s < P2P_ARRAY_SIZE(strides); s++)
						cell(p, d, sizes[l], strides[s], scrubbed, trials);
				printf(" |\n");
			}
		}
	}
}

#ifdef __x86_64__
enum work { COPY, COPY_SUM, CHECK, SCRUB, WORKS };
static const char *const work_name[] = { "copy alone", "copy and sum", "check", "scrub of a slot" };

/* The fewest cycles per frame of many rounds, from and to memory that is in the caches. */
static double cycles(enum work w, uint32_t len, uint32_t stride)
{
	static uint8_t src[SLOT + 256] __attribute__((aligned(64))), dst[SLOT + 256] __attribute__((aligned(64)));
	static volatile uint32_t sink;
	uint64_t best = UINT64_MAX, t;
	unsigned int round, k;

	for (round = 0; round < 2000; round++) {
		t = __rdtsc();
		for (k = 0; k < 32; k++) {
			uint32_t h = p2p_mix(k);

			if (w == COPY)
				soft_copy_ops.copy(dst, src, P2P_ALIGN_UP(len, 64u));
			else if (w == COPY_SUM)
				sink = soft_copy_ops.copy_sum(dst, src, len, soft_copy_round(len, stride), h, stride);
			else if (w == CHECK)
				sink = soft_copy_ops.sum(dst, len, h, stride);
			else
				scrub(dst, k, stride, 12345);
			__asm__ volatile("" : : : "memory");
		}
		t = __rdtsc() - t;
		(void)sink;
		best = t < best ? t : best;
	}
	return (double)best / 32;
}

static void costs(void)
{
	double base[P2P_ARRAY_SIZE(sizes)];
	unsigned int w, s, l;

	printf("| work | stride | 64 B | 512 B | 1518 B |\n|---|---|---|---|---|\n");
	for (l = 0; l < P2P_ARRAY_SIZE(sizes); l++)
		base[l] = cycles(COPY, sizes[l], 64);
	for (w = 0; w < WORKS; w++) {
		for (s = 0; s < (w == COPY ? 1 : P2P_ARRAY_SIZE(strides)); s++) {
			printf("| %s | ", work_name[w]);
			if (w == COPY)
				printf("-");
			else
				printf("%u", strides[s]);
			for (l = 0; l < P2P_ARRAY_SIZE(sizes); l++)
				printf(" | %.2f", cycles(w, sizes[l], strides[s]) / base[l]);
			printf(" |\n");
		}
	}
}
#else
static void costs(void)
{
	printf("no cycle counter is read on this CPU\n");
}
#endif

int main(int argc, char **argv)
{
	uint32_t trials = 20000;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--cost") && argc == 2) {
			costs();
			return 0;
		} else if (!strcmp(argv[i], "--trials") && i + 1 < argc) {
			trials = (uint32_t)strtoul(argv[++i], NULL, 10);
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			random_state = strtoull(argv[++i], NULL, 10);
		} else {
			fprintf(stderr, "usage: detect [--trials N] [--seed N] | --cost\n");
			return 2;
		}
	}
	rates(trials);
	return 0;
}
