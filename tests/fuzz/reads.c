/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a field that is read twice is found by what fuzz.h says of fuzz_race(): a length is checked and then used, by a
 * reader that loads it once, or again for the use (READS).  Made into fuzz-reads-1, which must come through, and
 * fuzz-reads-2, which must not (run.py --reads).
 *
 *   input   what the length is, and what another writes in its place before which load
 *   FUZZ_BYTES, of the environment, is how wide the field is: 1, 2, 4 or 8
 */
#include <stdlib.h>

#include "fuzz.h"

#define ROOM 100u

static _Alignas(16) uint32_t shared[8];
static unsigned int bytes = 4;

static __attribute__((noinline)) uint64_t load(const void *at)
{
	switch (bytes) {
	case 1:
		return __atomic_load_n((const uint8_t *)at, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED);
	default:
		return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
	}
}

/* The length that is used, 0 if it is refused. */
static uint64_t take(const void *at)
{
	uint64_t len = load(at);

	if (len > ROOM)
		return 0;
	return READS > 1 ? load(at) : len;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *text = getenv("FUZZ_BYTES");

	bytes = text ? (unsigned int)atoi(text) : bytes;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	uint64_t used;

	memset(shared, 0, sizeof(shared));
	shared[0] = fuzz_u8(&in);
	fuzz_race_watch(shared, sizeof(shared));
	fuzz_race(fuzz_u8(&in) & 7, &shared[0], fuzz_u32(&in));
	used = take(shared);
	fuzz_race_watch(NULL, 0);
	if (used > ROOM)
		fuzz_fail("%llu bytes of %u", (unsigned long long)used, ROOM);
	return 0;
}
