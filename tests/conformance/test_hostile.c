/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hostile NIC tries, by name (hostile.h), on every board, in every mode: NIC b is up, its firmware is replaced by one
 * attack, while the honest NIC c and a exchange frames.  Each of those must arrive, once, in order and whole; when b has
 * fallen silent nothing is held for it; the attack moves the counter of a that its row names; no descriptor is left open.
 *
 * docs/trust.md has the rows of the table below, and a test compares them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <p2pnic/csum.h>
#include "bench.h"
#include "hostile.h"
#include "tests/open_fds.h"

#define A HONEST_A
#define B HONEST_B
#define C HONEST_C
#define RING 1u /* of a, that most attacks use: its frames leave at a.1 */
#define FLOOD_RING HONEST_PORTS
#define MS 1000000ull
#define BUS_OF_B (2ull << 40) /* where mesh.c maps b for the others */

/* ALL: wr and rd.  MEMORY: boards whose DMA goes to memory of files. */
enum only { ALL, RD = 1, CUT = 2, COPY = 4, WR = 8, MEMORY = 16, BN = 32 };

/* b lives on, the honest go on. */
static void pump(struct hostile *w, unsigned int ms)
{
	for (; ms; ms--) {
		hostile_beat(w);
		honest_send(&w->honest, 4, 64 + ms * 331 % 2400);
		mesh_run(w->m, MS);
	}
}

/* Frames into a.1, for b. */
static void feed(struct hostile *w, unsigned int n)
{
	uint8_t f[64];

	memset(f, 0x11, sizeof(f));
	f[0] = 2;
	while (n--)
		mesh_send_raw(w->m, A, 1, f, sizeof(f));
}

static uint8_t *payload(struct hostile *w, unsigned int r, const struct hostile_desc *d)
{
	uint32_t place;
	uint8_t *at = hostile_payload(w, r, d->seq, d->flags, &place);

	memset(at, 0x11, P2P_ALIGN_UP(d->len, 64));
	return at;
}

static void publish_one(struct hostile *w, unsigned int r, const struct hostile_desc *d)
{
	hostile_publish(w, r, d);
	pump(w, 3);
}

/* A good frame of 200 bytes. */
static struct hostile_desc good(struct hostile *w, unsigned int r, uint32_t flags)
{
	struct hostile_desc d = hostile_next(w, r, 200, flags);

	payload(w, r, &d);
	return d;
}

/* A new session of b's. */
static void begin_anew(struct hostile *w, uint32_t inc)
{
	le32 *line = w->ring->peer.w;

	honest_put(&line[P2P_PL_ACK], le32_load_acquire(&w->back->peer.w[P2P_PL_INC]));
	honest_put(&line[P2P_PL_INC], inc);
	pump(w, 1);
	/* a's incarnation may be another now. */
	honest_put(&line[P2P_PL_ACK], le32_load_acquire(&w->back->peer.w[P2P_PL_INC]));
	pump(w, 1);
}

/* ---- descriptors ---- */

static void length_over_buffer(struct hostile *w)
{
	static const uint8_t zeros[16384];
	struct hostile_desc d = good(w, RING, 0);

	d.len = 0x3fff;
	d.payload = zeros;
	publish_one(w, RING, &d);
}

static void length_zero(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.len = 0;
	publish_one(w, RING, &d);
}

static void wrong_port(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.out_port = 0;
	publish_one(w, RING, &d);
}

static void no_such_port(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.out_port = 15;
	publish_one(w, RING, &d);
}

static void flood_in_port_ring(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, P2P_DF_FLOOD);

	d.out_port = P2P_PORT_FLOOD;
	publish_one(w, RING, &d);
}

static void void_in_port_ring(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, P2P_DF_VOID);

	d.frame = (uint8_t)(d.frame + 5);
	publish_one(w, RING, &d);
}

/* Is the flood ring of a new session open?  Whatever is left of the former one keeps it shut. */
static void void_that_goes_on(struct hostile *w)
{
	const le32 *told = w->back->comp[FLOOD_RING].w;
	struct hostile_desc d = hostile_next(w, FLOOD_RING, 0, P2P_DF_VOID | P2P_DF_FLOOD | P2P_DF_MORE);
	uint32_t inc;

	d.frame = (uint8_t)(d.frame + 5);
	publish_one(w, FLOOD_RING, &d);
	begin_anew(w, 0x1234567);
	inc = le32_load_acquire(&w->ring->peer.w[P2P_PL_INC]);
	pump(w, 20);
	if (le32_load_acquire(&told[P2P_CL_INC]) != inc)
		mesh_fail(w->m, "the flood ring of the next session does not open");
}

static void placed_unasked(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, P2P_DF_PLACED);

	publish_one(w, RING, &d);
}

static void placed_in_flood_ring(struct hostile *w)
{
	struct hostile_desc d = good(w, FLOOD_RING, P2P_DF_PLACED);

	publish_one(w, FLOOD_RING, &d);
}

static void checksum_wrong(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);
	struct p2p_desc *at = hostile_publish(w, RING, &d);

	honest_put(&at->csum, ~from_le32(at->csum));
	pump(w, 3);
}

static void payload_altered(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);
	uint32_t place;

	hostile_publish(w, RING, &d);
	memset(hostile_payload(w, RING, d.seq, 0, &place), 0x22, d.len);
	pump(w, 3);
}

static void endless_frame(struct hostile *w)
{
	unsigned int k;

	for (k = 0; k < P2P_MAX_SEGS + 4; k++) {
		struct hostile_desc d = good(w, RING, P2P_DF_MORE | (k ? P2P_DF_CONT : 0));

		hostile_publish(w, RING, &d);
	}
	pump(w, 3);
}

static void half_a_frame(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, P2P_DF_MORE);

	publish_one(w, RING, &d);
	d = good(w, RING, 0);
	publish_one(w, RING, &d);
}

static void end_without_begin(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, P2P_DF_CONT);

	d.frame = (uint8_t)(d.frame + 3);
	publish_one(w, RING, &d);
}

static void frame_number_jump(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.frame = (uint8_t)(d.frame + 100);
	publish_one(w, RING, &d);
}

static void sequence_jump(struct hostile *w)
{
	struct hostile_desc d;

	w->prod[RING] += 9;
	d = good(w, RING, 0);
	publish_one(w, RING, &d);
}

static void holes(struct hostile *w)
{
	struct hostile_desc d;
	unsigned int k;

	for (k = 0; k < 30; k++) {
		w->prod[RING]++;
		d = good(w, RING, 0);
		hostile_publish(w, RING, &d);
		pump(w, 1);
	}
}

/* A descriptor changes between a's looks at it: of 64, one at least in the wrong moment. */
static void rewritten_while_read(struct hostile *w)
{
	unsigned int k;

	for (k = 0; k < 64; k++) {
		struct hostile_desc d = good(w, RING, 0);
		struct p2p_desc *at = hostile_publish(w, RING, &d);

		honest_put_later(&w->honest, k % 8, &at->w0, P2P_D0(0x3fff, 0, 7, 15, 31));
		pump(w, 1);
	}
}

static void window_escape(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.place = 0xffffff;
	publish_one(w, RING, &d);
}

static void window_edge(struct hostile *w)
{
	struct hostile_desc d = good(w, RING, 0);

	d.place = (uint32_t)(HONEST_PORTS * p2p_seg_bytes(&w->m->shape, P2P_SEG_RX) / P2P_DW_UNIT) - 1;
	publish_one(w, RING, &d);
}

/* ---- lines ---- */

/* a has sent four frames that b answers with `ahead` of what it has consumed. */
static void complete(struct hostile *w, uint32_t ahead)
{
	le32 *line = w->ring->comp[0].w;

	feed(w, 4);
	pump(w, 2);
	honest_put(&line[P2P_CL_CONS], le32_load_acquire(&line[P2P_CL_CONS]) + ahead);
	honest_put(&line[P2P_CL_INC], le32_load_acquire(&w->back->peer.w[P2P_PL_INC]));
	pump(w, 3);
}

static void completes_unsent(struct hostile *w)
{
	complete(w, 5);
}

static void completes_backwards(struct hostile *w)
{
	complete(w, (uint32_t)-1);
}

static void completes_half_the_numbers(struct hostile *w)
{
	complete(w, 0x80000000u);
}

static void completes_at_random(struct hostile *w)
{
	unsigned int k;

	for (k = 0; k < 20; k++)
		complete(w, p2p_mix(k) | 1u << 20);
}

static void never_completes(struct hostile *w)
{
	feed(w, 8);
	pump(w, 20);
}

static void full_ring(struct hostile *w)
{
	feed(w, 3 * w->m->cfg.slots);
	pump(w, 20);
}

static void asks_without_end(struct hostile *w)
{
	le32 *line = w->ring->ctrl[RING].w;
	uint32_t k;

	honest_put(&line[P2P_RL_INC], le32_load_acquire(&w->ring->peer.w[P2P_PL_INC]));
	for (k = 0; k < 30; k++) {
		honest_put(&line[P2P_RL_POKE], p2p_mix(k));
		pump(w, 1);
	}
}

static void says_it_sleeps(struct hostile *w)
{
	honest_put(&w->ring->peer.w[P2P_PL_ASLEEP], 3);
	feed(w, 8);
	pump(w, 3);
}

/* ---- sessions ---- */

static void incarnation_storm(struct hostile *w)
{
	unsigned int k;

	for (k = 0; k < 20; k++)
		begin_anew(w, p2p_mix(k) | 1);
}

static void acknowledges_another(struct hostile *w)
{
	le32 *line = w->ring->peer.w;

	honest_put(&line[P2P_PL_INC], 0x1234567);
	honest_put(&line[P2P_PL_ACK], 0x7654321);
	pump(w, 50);
}

static void stale_session(struct hostile *w)
{
	static uint8_t old[1 << 20];
	size_t bytes = p2p_seg_bytes(&w->m->shape, P2P_SEG_RING), k;
	uint64_t before;

	/* Undelivered frames of the old session, from a slot that a waits for to the end of what it looks at. */
	for (k = 0; k < 8; k++) {
		struct hostile_desc d = good(w, RING, 0);

		hostile_publish(w, RING, &d);
	}
	if (bytes > sizeof(old))
		mesh_fail(w->m, "a ring segment of %zu bytes", bytes);
	else
		memcpy(old, w->ring, bytes);
	pump(w, 3);
	before = script_port_stats(w->m->port[A][1].sp)->tx_frames;
	begin_anew(w, 0x1234567);
	memcpy(w->ring, old, bytes);
	pump(w, 10);
	if (script_port_stats(w->m->port[A][1].sp)->tx_frames != before)
		mesh_fail(w->m, "frames of the old session were sent again");
}

static void falls_silent(struct hostile *w)
{
	unsigned int k;

	feed(w, 4);
	for (k = 0; k < 100; k++) {
		honest_send(&w->honest, 2, 500);
		mesh_run(w->m, MS);
	}
}

/* Lives on, but never acknowledges: down, heard again, never up. */
static void half_open(struct hostile *w)
{
	honest_put(&w->ring->peer.w[P2P_PL_ACK], 0);
	falls_silent(w);
	pump(w, 50);
}

/* ---- the bridge ---- */

static void learn(struct hostile *w, unsigned int n)
{
	unsigned int k;

	for (k = 0; k < n; k++) {
		struct hostile_desc d = hostile_next(w, FLOOD_RING, 14, P2P_DF_VOID | P2P_DF_FLOOD);
		uint8_t *f = payload(w, FLOOD_RING, &d);

		memcpy(f, (uint8_t[14]){ 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, (uint8_t)(k >> 8), (uint8_t)k, 8, 0 }, 14);
		hostile_publish(w, FLOOD_RING, &d);
		if (k % 16 == 15)
			pump(w, 1);
	}
	pump(w, 2);
}

static void learns_thousands(struct hostile *w)
{
	learn(w, 1024);
}

static void forgets_all(struct hostile *w)
{
	struct hostile_desc d;

	learn(w, 16);
	d = hostile_next(w, FLOOD_RING, 0, P2P_DF_VOID | P2P_DF_FLOOD);
	publish_one(w, FLOOD_RING, &d);
}

/* ---- bn: the host moves the descriptors ---- */

static void bn_one(struct hostile *w, uint32_t flags, uint32_t nic, uint32_t port, uint8_t frame)
{
	hostile_recv(w, flags, nic, port, frame);
	pump(w, 3);
}

static void bn_no_such_nic(struct hostile *w)
{
	bn_one(w, 0, 31, 0, 0);
}

static void bn_no_such_port(struct hostile *w)
{
	bn_one(w, 0, A, 7, 0);
}

static void bn_buffer_of_another(struct hostile *w)
{
	struct p2p_desc *at = hostile_recv(w, 0, A, 1, 0);

	honest_put(&at->where, from_le32(at->where) + w->m->cfg.buf_size / P2P_DW_UNIT);
	pump(w, 3);
}

static void bn_payload_unchecked(struct hostile *w)
{
	bn_one(w, 0, A, 1, 0);
}

static void bn_sequence_jump(struct hostile *w)
{
	w->next += 3;
	bn_one(w, 0, A, 1, 3);
}

static void bn_end_without_begin(struct hostile *w)
{
	bn_one(w, P2P_DF_CONT, A, 1, 5);
}

static void bn_endless_frame(struct hostile *w)
{
	unsigned int k;

	for (k = 0; k < P2P_MAX_SEGS + 4; k++)
		hostile_recv(w, P2P_DF_MORE | (k ? P2P_DF_CONT : 0), A, 1, 0);
	pump(w, 3);
}

static void bn_frame_number_jump(struct hostile *w)
{
	bn_one(w, 0, A, 1, 100);
}

static void bn_completes_unsent(struct hostile *w)
{
	le32 *line = w->area->send_comp[0].w;

	feed(w, 4);
	pump(w, 3);
	honest_put(&line[P2P_CL_CONS], le32_load_acquire(&line[P2P_CL_CONS]) + 9);
	honest_put(&line[P2P_CL_INC], le32_load_acquire(&w->door->peer.w[P2P_PL_INC]));
	pump(w, 3);
}

/* The host's word for a's send ring goes back behind what a has read, while a.1 holds it. */
static void bn_host_steps_back(struct hostile *w)
{
	struct p2p_doorbell *door = honest_segment(&w->honest, A, P2P_SEG_DOORBELL);
	le32 *prod = &door->send[RING].w[P2P_RL_PROD];
	uint32_t said;
	uint8_t f[64];
	unsigned int k;

	memset(f, 0x11, sizeof(f));
	f[0] = 2;
	mesh_pair(w->m, C, 1, A, 1);
	script_port_stand(w->m->port[A][1].sp, true);
	for (k = 0; k < 12; k++)
		mesh_send_raw(w->m, C, 1, f, sizeof(f));
	pump(w, 3);
	said = le32_load_acquire(prod);
	honest_put(prod, said - 4);
	pump(w, 3);
	honest_put(prod, said);
	script_port_stand(w->m->port[A][1].sp, false);
	pump(w, 3);
	if (script_port_stats(w->m->port[A][1].sp)->tx_frames != 12)
		mesh_fail(w->m, "%llu frames left a.1, not 12",
			  (unsigned long long)script_port_stats(w->m->port[A][1].sp)->tx_frames);
}

static void bn_falls_silent(struct hostile *w)
{
	unsigned int k;

	feed(w, 4);
	for (k = 0; k < 200; k++) {
		honest_send(&w->honest, 2, 500);
		mesh_run(w->m, MS);
	}
}

/* ---- memory ---- */

/* What a maps as ring(a) of b, made from a file of b's own. */
static void lend(struct hostile *w, int *fd)
{
	uint64_t bytes = p2p_seg_bytes(&w->m->shape, P2P_SEG_RING), bus = BUS_OF_B;

	bus += p2p_seg_offset(&w->m->shape, p2p_seg_ring(&w->m->shape, A));
	w->m->ops->unmap(w->m->mb, A, bus, bytes);
	if (!fd)
		return;
	*fd = memfd_create("hostile", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, (off_t)bytes) ||
	    w->m->ops->map_host(w->m->mb, A, bus, bytes, NULL, *fd, 0))
		mesh_fail(w->m, "b's own memory could not be mapped");
}

static void memory_cut_short(struct hostile *w)
{
	int fd = -1;

	lend(w, &fd);
	pump(w, 20);
	if (ftruncate(fd, 0))
		mesh_fail(w->m, "can't be cut");
	pump(w, 60);
	close(fd);
}

static void memory_withdrawn(struct hostile *w)
{
	lend(w, NULL);
	feed(w, 4);
	pump(w, 60);
}

/* name, what it does, the counter of a (bn: or of the host) that must move, where, how */
static const struct attack {
	const char *name, *what, *counter;
	unsigned int only;
	void (*run)(struct hostile *w);
} attacks[] = {
	{ "length-over-buffer", "a descriptor longer than its buffer", "csum_mismatch", ALL, length_over_buffer },
	{ "length-zero", "a frame of nothing", "bad_desc", ALL, length_zero },
	{ "wrong-port", "a descriptor for another port than its ring's", "bad_desc", ALL, wrong_port },
	{ "no-such-port", "a descriptor for a port that there is not", "bad_desc", ALL, no_such_port },
	{ "flood-in-port-ring", "a frame for all ports in the ring of one", "bad_desc", ALL, flood_in_port_ring },
	{ "void-in-port-ring", "a message in a ring that takes frames alone, with a number that skips five", "desc_lost", ALL,
	  void_in_port_ring },
	{ "void-that-goes-on", "a message of more pieces in the flood ring, with a number that skips five; then a new session", "desc_lost",
	  ALL, void_that_goes_on },
	{ "placed-unasked", "a payload that wants no check, to a NIC without cut-through", "csum_mismatch", COPY, placed_unasked },
	{ "placed-in-flood-ring", "the same in the flood ring of a NIC with it", "bad_desc", CUT, placed_in_flood_ring },
	{ "checksum-wrong", "a descriptor with a wrong checksum", "csum_mismatch", ALL, checksum_wrong },
	{ "payload-altered", "a payload altered after its descriptor was written", "csum_mismatch", ALL, payload_altered },
	{ "endless-frame", "a frame of more pieces than a frame may have", "bad_desc", ALL, endless_frame },
	{ "half-a-frame", "a frame that begins and does not end", "desc_lost", ALL, half_a_frame },
	{ "end-without-begin", "the end of a frame that has not begun", "desc_lost", ALL, end_without_begin },
	{ "frame-number-jump", "a hundred frames that never were", "desc_lost", ALL, frame_number_jump },
	{ "sequence-jump", "a descriptor nine slots ahead of the one due", "holes", ALL, sequence_jump },
	{ "holes", "every second slot left out", "holes", ALL, holes },
	{ "rewritten-while-read", "descriptors rewritten between two looks at them", "csum_mismatch", ALL, rewritten_while_read },
	{ "window-escape", "a payload far beyond what b lends", "csum_mismatch", RD, window_escape },
	{ "window-edge", "a payload that begins in what b lends and ends outside", "csum_mismatch", RD, window_edge },
	{ "completes-unsent", "a completion of more than was sent", "bad_line", ALL, completes_unsent },
	{ "completes-backwards", "a completion that goes back", "bad_line", ALL, completes_backwards },
	{ "completes-half", "a completion half of all numbers ahead", "bad_line", ALL, completes_half_the_numbers },
	{ "completes-at-random", "one senseless completion after the other", "bad_line", ALL, completes_at_random },
	{ "never-completes", "frames taken and never given back", "pokes", ALL, never_completes },
	{ "full-ring", "the same, until its ring is full", "ring_full", COPY | WR, full_ring },
	{ "asks-without-end", "an answer asked for at every look", "poke_answers", ALL, asks_without_end },
	{ "says-it-sleeps", "a peer that wants its bell rung for everything", "doorbells", ALL, says_it_sleeps },
	{ "incarnation-storm", "a new session every other millisecond", "peer_down", ALL, incarnation_storm },
	{ "acknowledges-another", "an acknowledgement of a session that never was", "peer_down", ALL, acknowledges_another },
	{ "stale-session", "the memory of an earlier session put back, frames and all", "peer_down", ALL, stale_session },
	{ "falls-silent", "no heartbeat, with frames under way", "peer_down", ALL, falls_silent },
	{ "half-open", "silence, then a heartbeat that never acknowledges", "peer_down", ALL, half_open },
	{ "learns-thousands", "a thousand stations claimed", "learned", ALL, learns_thousands },
	{ "forgets-all", "stations claimed and withdrawn", "flushed", ALL, forgets_all },
	{ "bn-no-such-nic", "through main memory, to a NIC that there is not", "bad_desc", BN, bn_no_such_nic },
	{ "bn-no-such-port", "to a port that there is not", "bad_desc", BN, bn_no_such_port },
	{ "bn-buffer-of-another", "from a buffer that was not handed over for it", "bad_desc", BN, bn_buffer_of_another },
	{ "bn-payload-unchecked", "a payload that the host hands on and a must not believe", "csum_mismatch", BN, bn_payload_unchecked },
	{ "bn-sequence-jump", "three slots left out", "holes", BN, bn_sequence_jump },
	{ "bn-end-without-begin", "the end of a frame that has not begun", "desc_lost", BN, bn_end_without_begin },
	{ "bn-endless-frame", "a frame of more pieces than a frame may have", "desc_lost", BN, bn_endless_frame },
	{ "bn-frame-number-jump", "a hundred frames that never were", "desc_lost", BN, bn_frame_number_jump },
	{ "bn-completes-unsent", "a completion of more than was sent", "bad_line", BN, bn_completes_unsent },
	{ "bn-host-steps-back", "a word of the host's that goes back behind what was read", "bad_line", BN, bn_host_steps_back },
	{ "bn-never-completes", "frames taken and never given back", "pokes", BN, never_completes },
	{ "bn-falls-silent", "no heartbeat, with frames under way", "peer_lost", BN, bn_falls_silent },
	{ "memory-cut-short", "its memory shrunk under a's DMA", "dma_faults", MEMORY, memory_cut_short },
	{ "memory-withdrawn", "its memory taken out of a's address map", "dma_faults", MEMORY, memory_withdrawn },
};

static uint64_t counter(struct mesh *m, const char *name)
{
	static const char *const drops[] = {
#define X(what, desc) #what,
		P2P_DROPS(X)
	};
	static const char *const events[] = { P2P_EVENTS(X) };
#undef X
	const struct bn_host_stats host = mesh_host_stats(m);
	unsigned int k;

	if (!strcmp(name, "dma_faults"))
		return m->ops->faults(m->mb, A);
	for (k = 0; k < P2P_ARRAY_SIZE(drops); k++)
		if (!strcmp(name, drops[k]))
			return mesh_drops(m, A, k) + host.drops[k];
	for (k = 0; k < P2P_ARRAY_SIZE(events); k++)
		if (!strcmp(name, events[k]))
			return mesh_event(m, A, k) + (k == P2P_EV_holes ? host.holes : k == P2P_EV_pokes ? host.pokes :
						      k == P2P_EV_bad_line ? host.bad_line : 0);
	mesh_fail(m, "there is no counter %s", name);
	return 0;
}

static bool applies(const struct attack *a, const struct mesh_ops *ops, enum p2p_mode mode)
{
	bool memory = ops == &mesh_soft || ops == &mesh_cut;

	/* NICs of the free board run by themselves: none of them can be replaced. */
	if (ops == &mesh_free || (mode == P2P_MODE_BN) != !!(a->only & BN))
		return false;
	return !((a->only & RD && mode != P2P_MODE_RD) || (a->only & WR && mode != P2P_MODE_WR) ||
		 (a->only & CUT && !ops->cut) || (a->only & COPY && ops->cut) || (a->only & MEMORY && !memory));
}

/* As a producer whose completions are overdue: it says how far it is.  Nobody gives up a wrong slot before, or a right one behind it. */
static void overdue(struct hostile *w)
{
	unsigned int r;

	for (r = 0; r <= HONEST_PORTS; r++) {
		le32 *line = w->ring->ctrl[r].w;

		honest_put(&line[P2P_RL_PROD], w->prod[r]);
		honest_put(&line[P2P_RL_POKE], le32_load_acquire(&line[P2P_RL_POKE]) + 1);
		honest_put(&line[P2P_RL_INC], le32_load_acquire(&w->ring->peer.w[P2P_PL_INC]));
	}
	pump(w, 15);
}

static void attack(struct bench *b, const struct attack *a, const struct mesh_ops *ops, enum p2p_mode mode)
{
	struct mesh_cfg cfg;
	struct hostile w;
	uint64_t before = 0;

	mesh_cfg_default(&cfg, HONEST_NICS, HONEST_PORTS);
	cfg.mode = mode;
	cfg.flags = P2P_FLAG_SCRUB | P2P_FLAG_BRIDGE;
	cfg.rx_bufs = 512;
	cfg.silence_ms = P2P_SILENCE_MS_MIN;
	hostile_open(&w, ops, &cfg, true);
	if (!mesh_failure(w.m)) {
		pump(&w, 2);
		before = counter(w.m, a->counter);
		a->run(&w);
		if (mode != P2P_MODE_BN && counter(w.m, a->counter) == before)
			overdue(&w);
		if (counter(w.m, a->counter) == before)
			mesh_fail(w.m, "%s did not move", a->counter);
		hostile_finish(&w);
	}
	if (!mesh_failure(w.m))
		printf("%-22s %s %s: %s %llu, honest frames %u\n", a->name, ops->name, bench_mode(mode), a->counter,
		       (unsigned long long)(counter(w.m, a->counter) - before), w.honest.arrived[0] + w.honest.arrived[1]);
	bench_end(b, a->name, w.m);
}

int main(int argc, char **argv)
{
	unsigned int k, i, mode, fds = open_fds();
	struct bench b;

	if (bench_init(&b, argc, argv))
		return 2;
	for (i = 0; i < P2P_ARRAY_SIZE(attacks); i++)
		for (k = 0; mesh_boards[k]; k++)
			for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
				if (bench_wants(&b, attacks[i].name) && bench_wants_mode(&b, mesh_boards[k], mode) &&
				    applies(&attacks[i], mesh_boards[k], mode))
					attack(&b, &attacks[i], mesh_boards[k], mode);
	if (open_fds() != fds) {
		fprintf(stderr, "FAILED: %u descriptors open, %u before\n", open_fds(), fds);
		b.fails++;
	}
	return bench_exit(&b);
}
