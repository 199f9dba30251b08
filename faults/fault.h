/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fault injection: what goes wrong on purpose, by rule and seed.  One language for all boards, tests and the command:
 *
 *   FAULT:TARGET:RATE[,OPTION...]         drop:desc:1e-3,seed=7
 *
 *   FAULT      TARGET                     what happens
 *   drop       a kind of DMA, bell        it never arrives
 *   delay      a kind of DMA, bell        it and all that its queue carries after it arrive later
 *   dup        a kind of DMA              it is carried out twice, the second time before anything later of its queue
 *   truncate   a kind of DMA              only its first bytes arrive
 *   flip       a kind of DMA              one bit of it arrives wrong
 *   stall      nic                        a NIC stands still: a stuck peer, a worker in a debugger
 *   clock      nic                        a NIC's clock jumps ahead
 *   link       port                       a cable's link is down for a while
 *   slow       port                       a cable takes nothing for a while
 *   fail       memory                     there is no memory for the NIC's layout or state
 *
 * Kinds of DMA: payload, desc, completion, control, beat (a line of every peer's), by what they carry; read, write, by
 * direction; dma: all of them.  RATE: the share of the requests (steps of a NIC, milliseconds of a port, attempts to get memory)
 * that are hit: a number from 0 to 1, by chance, or 1/N, every N-th exactly.
 *
 *   seed=N     of the rule's own random numbers; 1
 *   ns=N       how long: k, m and g may follow (10m are 10 ms); 100 us, of a duplicate 0
 *   part       drop, truncate: by whole units of what the fabric loses, of a drop one; a request of one unit is lost whole
 *   bytes=N    the same with units of N bytes, 4 to 4096, a power of two
 *   bit=N      flip: always this bit, 0 is the first byte's lowest; of a request that is shorter none
 *   count=N    so many hits, then none
 *   local      DMA within a NIC's own memory as well
 *
 * THREADS  A set belongs to whoever asks it; NICs that run beside each other have a copy each (fault_set_seed()).
 */
#ifndef FAULTS_FAULT_H
#define FAULTS_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_RULES_MAX 16
#define FAULT_ERR_MAX 160

#define FAULT_WHATS(X) X(DROP, "drop") X(DELAY, "delay") X(DUP, "dup") X(TRUNCATE, "truncate") X(FLIP, "flip") \
	X(STALL, "stall") X(CLOCK, "clock") X(LINK, "link") X(SLOW, "slow") X(FAIL, "fail")
enum fault_what {
#define X(name, text) FAULT_##name,
	FAULT_WHATS(X)
#undef X
	FAULT_NUM_WHATS
};

/* The first five as firmware/board.h has them. */
enum fault_on {
	FAULT_ON_PAYLOAD, FAULT_ON_DESC, FAULT_ON_COMPLETION, FAULT_ON_CONTROL, FAULT_ON_BEAT,
	FAULT_ON_BELL, FAULT_ON_NIC, FAULT_ON_PORT, FAULT_ON_MEMORY, FAULT_NUM_ON
};
#define FAULT_NUM_KINDS (FAULT_ON_BEAT + 1)

struct fault_rule {
	enum fault_what what;
	uint32_t on;             /* a bit for each enum fault_on */
	bool reads, writes;      /* of the kinds of DMA */
	bool local;
	uint32_t every;          /* 0: by chance */
	uint64_t chance;         /* of 2^32 */
	uint64_t ns, count;      /* count 0: no end */
	uint32_t bytes;          /* of a unit; 0: all of it, 1: as the board says */
	uint32_t bit;            /* 1 + the one to flip; 0: any */
	uint64_t random;
	uint64_t seen, hits;
};

struct fault_set {
	struct fault_rule rule[FAULT_RULES_MAX];
	unsigned int n;
};

/* Adds a rule.  0; -EINVAL or -E2BIG and one line in err. */
int fault_add(struct fault_set *s, const char *rule, char err[FAULT_ERR_MAX]);
/* The same rules with random numbers of another's own; counts begin anew. */
void fault_set_seed(struct fault_set *s, uint64_t who);
/* How often its rules have struck; for anyone at any time. */
uint64_t fault_hits(const struct fault_set *s);
bool fault_has(const struct fault_set *s, enum fault_what what);
/* Some rule is for DMA within a NIC's own memory. */
bool fault_has_local(const struct fault_set *s);

/* A request. */
struct fault_dma {
	enum fault_on kind;
	bool read, local;
	uint64_t addr;
	uint32_t len;
	uint32_t unit; /* the smallest piece of it that a fabric loses; 0: it goes as one */
};

/* What becomes of it; all zero: what should. */
struct fault_hit {
	uint32_t hole, hole_len; /* bytes that don't arrive */
	uint32_t flip;           /* 1 + the bit that arrives wrong */
	bool dup;
	uint64_t delay_ns, dup_ns;
};

/* False: nothing.  A rule sees every request that is its, in the order of the calls. */
bool fault_dma(struct fault_set *s, const struct fault_dma *d, struct fault_hit *hit);
/* Of what is no DMA: for how many ns; 0: nothing happens. */
uint64_t fault_now(struct fault_set *s, enum fault_what what, enum fault_on on);
/* Bytes [from, to) of a request of which `hit` has become something. */
void fault_move(const struct fault_hit *hit, uint8_t *dst, const uint8_t *src, uint32_t from, uint32_t to);

#endif
