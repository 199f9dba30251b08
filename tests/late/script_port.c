/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "script_port.h"

#define POSTED_MAX 65536u
#define SENDING_MAX 4096u

struct rx_frame {
	struct rx_frame *next;
	uint64_t at_ns;
	uint32_t len;
	uint8_t data[];
};

struct tx_seg {
	struct p2p_seg seg;
	uint64_t done_ns;
	uint64_t hash;
	bool lost;
};

struct script_port {
	struct script_port_cfg cfg;
	struct rng rng;
	struct port_stats stats;
	struct rx_frame *rx_head, **rx_tail;
	uint32_t rx_pending;
	struct p2p_seg posted[POSTED_MAX];
	uint32_t posted_prod, posted_cons, rx_room;
	struct tx_seg tx[SENDING_MAX];
	uint32_t tx_prod, tx_sent, tx_cons; /* taken; left the wire; handed back */
	uint64_t tx_last_ns;
	bool link, stand, link_event;
	char violation[160];
	void (*each)(void *arg);
	void *each_arg;
	uint32_t restless; /* region and 1; 0: none */
};

static void complain(struct script_port *sp, const char *what, uint64_t v)
{
	sp->stats.peer_errors++;
	if (!sp->violation[0])
		snprintf(sp->violation, sizeof(sp->violation), "%s (%llu)", what, (unsigned long long)v);
}

static uint64_t hash_bytes(const uint8_t *p, uint32_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ len;
	uint64_t w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

struct script_port *script_port_create(const struct script_port_cfg *cfg)
{
	struct script_port *sp = calloc(1, sizeof(*sp));

	if (!sp)
		abort();
	sp->cfg = *cfg;
	if (!sp->cfg.tx_room)
		sp->cfg.tx_room = 256;
	rng_seed(&sp->rng, cfg->seed);
	sp->rx_room = cfg->late ? 64 + rng_below(&sp->rng, 1024) : POSTED_MAX;
	sp->rx_tail = &sp->rx_head;
	sp->link = true;
	return sp;
}

void script_port_destroy(struct script_port *sp)
{
	if (!sp)
		return;
	script_port_forget_pending(sp);
	free(sp);
}

void script_port_check(struct script_port *sp, bool (*seg_ok)(void *, const struct p2p_seg *, bool), void *check_arg)
{
	sp->cfg.seg_ok = seg_ok;
	sp->cfg.check_arg = check_arg;
}

void script_port_each(struct script_port *sp, void (*fn)(void *arg), void *arg)
{
	sp->each = fn;
	sp->each_arg = arg;
}

void script_port_restless(struct script_port *sp, uint16_t region)
{
	sp->restless = region + 1u;
}

static inline void called(struct script_port *sp)
{
	if (sp->each)
		sp->each(sp->each_arg);
}

void script_port_receive(struct script_port *sp, const uint8_t *data, uint32_t len, uint64_t at_ns)
{
	struct rx_frame *f;

	if (!sp->link)
		return; /* a cable without link carries nothing */
	f = malloc(sizeof(*f) + len);
	if (!f)
		abort();
	f->next = NULL;
	f->at_ns = at_ns;
	f->len = len;
	memcpy(f->data, data, len);
	*sp->rx_tail = f;
	sp->rx_tail = &f->next;
	sp->rx_pending++;
}

void script_port_forget_pending(struct script_port *sp)
{
	struct rx_frame *f;

	while ((f = sp->rx_head)) {
		sp->rx_head = f->next;
		free(f);
	}
	sp->rx_tail = &sp->rx_head;
	sp->rx_pending = 0;
}

/* Not inline: AddressSanitizer clears room for the frame whenever the caller is called. */
static __attribute__((noinline)) void leave_wire(struct script_port *sp, uint32_t first, uint32_t end)
{
	uint8_t frame[P2P_MAX_SEGS * 16384];
	uint32_t len = 0, i;

	for (i = first; i != end; i++) {
		struct tx_seg *t = &sp->tx[i % SENDING_MAX];

		if (t->seg.region + 1u != sp->restless && hash_bytes(t->seg.data, t->seg.len) != t->hash)
			complain(sp, "a segment changed while it was being sent", i - first);
		memcpy(frame + len, t->seg.data, t->seg.len);
		len += t->seg.len;
	}
	p2p_count(&sp->stats.tx_frames, 1);
	p2p_count(&sp->stats.tx_bytes, len);
	if (sp->cfg.out)
		sp->cfg.out(sp->cfg.arg, frame, len);
}

/* Whole frames whose time has come leave the wire. */
static void progress(struct script_port *sp)
{
	uint32_t end;

	while (sp->tx_sent != sp->tx_prod) {
		for (end = sp->tx_sent; sp->tx[end % SENDING_MAX].seg.flags & P2P_SEG_MORE; end++)
			;
		end++;
		if (!sp->tx[sp->tx_sent % SENDING_MAX].lost) {
			if (sp->stand || sp->tx[(end - 1) % SENDING_MAX].done_ns > *sp->cfg.now_ns)
				return;
			leave_wire(sp, sp->tx_sent, end);
		}
		sp->tx_sent = end;
	}
}

static uint32_t lose_sending(struct script_port *sp)
{
	uint32_t i, frames = 0;

	progress(sp);
	for (i = sp->tx_sent; i != sp->tx_prod; i++) {
		sp->tx[i % SENDING_MAX].lost = true;
		frames += !(sp->tx[i % SENDING_MAX].seg.flags & P2P_SEG_MORE);
	}
	p2p_count(&sp->stats.tx_lost, frames);
	return frames;
}

void script_port_link(struct script_port *sp, bool up)
{
	if (up == sp->link)
		return;
	sp->link = up;
	sp->link_event = true;
	p2p_count(&sp->stats.link_changes, 1);
	if (!up) {
		script_port_forget_pending(sp);
		lose_sending(sp);
	}
}

void script_port_stand(struct script_port *sp, bool stand)
{
	uint32_t i;

	if (sp->stand && !stand)
		for (i = sp->tx_sent; i != sp->tx_prod; i++)
			sp->tx[i % SENDING_MAX].done_ns = sp->tx_last_ns = *sp->cfg.now_ns;
	sp->stand = stand;
}

void script_port_pace(struct script_port *sp, uint64_t tx_frame_ns)
{
	sp->cfg.tx_frame_ns = tx_frame_ns;
}

void script_port_swap(struct script_port *sp)
{
	struct p2p_seg *a = &sp->posted[sp->posted_cons % POSTED_MAX], *b = &sp->posted[(sp->posted_cons + 1) % POSTED_MAX];
	struct p2p_seg old = *a;

	*a = *b;
	*b = old;
}

uint32_t script_port_pending(const struct script_port *sp)
{
	return sp->rx_pending;
}

uint32_t script_port_posted(const struct script_port *sp)
{
	return sp->posted_prod - sp->posted_cons;
}

uint32_t script_port_sending(const struct script_port *sp)
{
	return sp->tx_prod - sp->tx_cons;
}

uint64_t script_port_next(const struct script_port *sp)
{
	uint64_t t = UINT64_MAX;

	if (sp->rx_head && sp->link && sp->posted_prod != sp->posted_cons)
		t = sp->rx_head->at_ns;
	if (sp->tx_sent != sp->tx_prod && !sp->stand) {
		uint32_t end = sp->tx_sent;

		while (sp->tx[end % SENDING_MAX].seg.flags & P2P_SEG_MORE)
			end++;
		if (sp->tx[end % SENDING_MAX].done_ns < t)
			t = sp->tx[end % SENDING_MAX].done_ns;
	}
	return t;
}

bool script_port_event(struct script_port *sp)
{
	progress(sp);
	return sp->link_event || sp->tx_cons != sp->tx_sent ||
	       (sp->rx_head && sp->link && sp->rx_head->at_ns <= *sp->cfg.now_ns && sp->posted_prod != sp->posted_cons);
}

const struct port_stats *script_port_stats(const struct script_port *sp)
{
	return &sp->stats;
}

const char *script_port_violation(const struct script_port *sp)
{
	return sp->violation[0] ? sp->violation : NULL;
}

uint32_t script_port_stop(struct script_port *sp)
{
	uint32_t frames = lose_sending(sp);

	sp->tx_sent = sp->tx_cons = sp->tx_prod;
	sp->posted_cons = sp->posted_prod;
	return frames;
}

uint32_t script_port_rx_burst(struct script_port *sp, struct p2p_seg *segs, uint32_t n)
{
	struct rx_frame *f;
	uint32_t done = 0, k, off, need, room;

	called(sp);
	if (!sp->link || (sp->cfg.late && n > 1 && rng_below(&sp->rng, 8) == 0))
		return 0;
	while ((f = sp->rx_head) && f->at_ns <= *sp->cfg.now_ns && sp->posted_prod != sp->posted_cons) {
		room = sp->posted[sp->posted_cons % POSTED_MAX].len;
		need = f->len ? (f->len + room - 1) / room : 1;
		if (need > P2P_MAX_SEGS) {
			p2p_count(&sp->stats.rx_refused, 1);
		} else {
			if (need > n - done || need > sp->posted_prod - sp->posted_cons)
				break;
			for (k = off = 0; k < need; k++) {
				struct p2p_seg *s = &segs[done++];

				*s = sp->posted[sp->posted_cons++ % POSTED_MAX];
				s->len = f->len - off < room ? f->len - off : room;
				memcpy(s->data, f->data + off, s->len);
				off += s->len;
				s->flags = k + 1 < need ? P2P_SEG_MORE : 0;
			}
			p2p_count(&sp->stats.rx_frames, 1);
			p2p_count(&sp->stats.rx_bytes, f->len);
		}
		sp->rx_head = f->next;
		if (!sp->rx_head)
			sp->rx_tail = &sp->rx_head;
		sp->rx_pending--;
		free(f);
	}
	return done;
}

uint32_t script_port_rx_post(struct script_port *sp, const struct p2p_seg *segs, uint32_t n)
{
	uint32_t i;

	called(sp);
	for (i = 0; i < n && sp->posted_prod - sp->posted_cons < sp->rx_room; i++) {
		if (sp->cfg.seg_ok && !sp->cfg.seg_ok(sp->cfg.check_arg, &segs[i], true))
			complain(sp, "a posted buffer lies outside the receive buffers", i);
		sp->posted[sp->posted_prod++ % POSTED_MAX] = segs[i];
	}
	return i;
}

static uint64_t wire_time(struct script_port *sp)
{
	uint64_t now = *sp->cfg.now_ns, start = sp->tx_last_ns > now ? sp->tx_last_ns : now;

	if (sp->cfg.tx_frame_ns)
		return start + sp->cfg.tx_frame_ns;
	if (!sp->cfg.late)
		return now;
	return start + rng_below(&sp->rng, rng_below(&sp->rng, 16) ? 300 : 20000);
}

uint32_t script_port_tx_burst(struct script_port *sp, const struct p2p_seg *segs, uint32_t n)
{
	uint32_t i, k, taken = 0, room;

	called(sp);
	progress(sp);
	sp->link_event = false;
	if (n && (segs[n - 1].flags & P2P_SEG_MORE))
		complain(sp, "a burst ends in the middle of a frame", n);
	if (!sp->link)
		return 0;
	room = sp->cfg.tx_room - (sp->tx_prod - sp->tx_cons);
	if (sp->cfg.late && room > 1 && rng_below(&sp->rng, 4) == 0)
		room = rng_below(&sp->rng, room);
	while (taken < n) {
		for (k = 1; taken + k < n && (segs[taken + k - 1].flags & P2P_SEG_MORE); k++)
			;
		if (k > P2P_MAX_SEGS)
			complain(sp, "a frame of too many segments", k);
		if (k > room)
			break;
		room -= k;
		sp->tx_last_ns = wire_time(sp);
		for (i = taken; i < taken + k; i++) {
			struct tx_seg *t = &sp->tx[sp->tx_prod++ % SENDING_MAX];

			if (!segs[i].len || (sp->cfg.seg_ok && !sp->cfg.seg_ok(sp->cfg.check_arg, &segs[i], false)))
				complain(sp, "a segment to send is empty or outside the packet buffers", segs[i].len);
			t->seg = segs[i];
			t->lost = false;
			t->done_ns = sp->tx_last_ns;
			t->hash = hash_bytes(segs[i].data, segs[i].len);
		}
		taken += k;
	}
	return taken;
}

uint32_t script_port_tx_done(struct script_port *sp)
{
	uint32_t n;

	called(sp);
	progress(sp);
	sp->link_event = false;
	n = sp->tx_sent - sp->tx_cons;
	if (sp->cfg.late && n > 1 && rng_below(&sp->rng, 4) == 0)
		n = rng_below(&sp->rng, n);
	sp->tx_cons += n;
	return n;
}

bool script_port_link_up(const struct script_port *sp)
{
	return sp->link;
}
