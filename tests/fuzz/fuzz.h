/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the harnesses share.  A harness is one function; two programs are made of it:
 *
 *   fuzz-TARGET   of a build with -Dfuzz=true: libFuzzer makes the inputs
 *   replay-TARGET of every other build: the inputs are files (replay.c), those of corpus/TARGET in `./test`
 *
 * An input is a function of nothing but its bytes: no clock, no random numbers, no state left by the one before, but
 * where the harness says so.  What must not be ends the program: by a sanitizer, or by fuzz_fail().
 *
 * Bytes are taken from the front, as numbers, little-endian; an input that has run out gives zeros, so that every prefix
 * of an input means something.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line on stderr, then abort(). */
void fuzz_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A file of the process's own with these bytes, named until the process ends; the same name at each call. */
const char *fuzz_file(const void *data, size_t size);
/* An empty directory of the process's own, removed at its end. */
const char *fuzz_dir(void);

/* A descriptor of a kind, new, or -1; FUZZ_FD_BYTES of memory where it is memory.  The caller's to close. */
enum fuzz_fd {
	FUZZ_FD_NONE, FUZZ_FD_SEALED, FUZZ_FD_MEMORY, FUZZ_FD_EVENT, FUZZ_FD_PIPE, FUZZ_FD_SOCKET, FUZZ_FD_READ_ONLY, FUZZ_FD_KINDS
};
#define FUZZ_FD_BYTES 65536u
int fuzz_fd(enum fuzz_fd kind);
/* A message with descriptors, as much of it as the socket takes now.  False: the far end is gone, or takes nothing. */
bool fuzz_send(int sock, const void *data, size_t size, const int *fds, unsigned int nfds);
/* Takes what has come, closes the descriptors that came along.  False: the far end is gone. */
bool fuzz_drain(int sock);
/* Is something there to be read (an end of the stream, too)? */
bool fuzz_readable(int fd);

/*
 * Another's write between two reads: when so many loads from the watched memory have gone by, and before the next, the word
 * at `at` changes.  Loads are counted where the compiler does so (-Dfuzz=true); elsewhere nothing ever comes of it.
 * watch: from here on; forgets what was to come.  bytes 0: no more.
 */
void fuzz_race_watch(const void *base, size_t bytes);
void fuzz_race(uint32_t loads, void *at, uint32_t value);

struct fuzz_in {
	const uint8_t *at, *end;
};

static inline struct fuzz_in fuzz_in(const uint8_t *data, size_t size)
{
	return (struct fuzz_in){ data, data + size };
}

static inline size_t fuzz_left(const struct fuzz_in *in)
{
	return (size_t)(in->end - in->at);
}

/* Up to n bytes as they lie in the input; *n says how many there are. */
static inline const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t *n)
{
	const uint8_t *at = in->at;

	*n = *n < fuzz_left(in) ? *n : fuzz_left(in);
	if (*n)
		in->at += *n;
	return at;
}

/* Into an object, the rest zero. */
static inline void fuzz_fill(struct fuzz_in *in, void *to, size_t size)
{
	size_t n = size;
	const uint8_t *from = fuzz_bytes(in, &n);

	memset(to, 0, size);
	if (n)
		memcpy(to, from, n);
}

static inline uint64_t fuzz_number(struct fuzz_in *in, unsigned int bytes)
{
	uint64_t v = 0;
	unsigned int k;

	for (k = 0; k < bytes && in->at != in->end; k++)
		v |= (uint64_t)*in->at++ << 8 * k;
	return v;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	return (uint8_t)fuzz_number(in, 1);
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	return (uint16_t)fuzz_number(in, 2);
}

static inline uint32_t fuzz_u32(struct fuzz_in *in)
{
	return (uint32_t)fuzz_number(in, 4);
}

#endif
