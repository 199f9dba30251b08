/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions between two NICs (design "Life and death of peers", "Waking").
 *
 * Each side has an incarnation towards the other and tells it, with the
 * incarnation of the other that it has acknowledged, in its peer line:
 *
 *   - another incarnation in the peer's line than the one acknowledged: what we
 *     had with it is over.  Had the session been up, we take a new incarnation
 *     ourselves.  Zero what the peer writes here, open our side of the rings,
 *     acknowledge.
 *   - it acknowledges ours and we its: up.  Our producers open when its
 *     completion lines, which answer our incarnation, come.
 *   - silence: down.  New incarnation, nothing acknowledged; nothing happens
 *     before its heartbeat moves again.
 *
 * A NIC is its own peer too and never declares itself down.
 */
#include "nic.h"

static bool peer_is_self(const struct fw_nic *n, unsigned int i)
{
	return i == n->self;
}

static uint32_t peer_new_inc(struct fw_nic *n, uint32_t old)
{
	uint32_t inc;

	do
		inc = board_random(n->board);
	while (!inc || inc == old);
	return inc;
}

void fw_peer_line(struct fw_nic *n, struct fw_peer *peer)
{
	uint32_t line[4];

	line[P2P_PL_BEAT] = peer->beat;
	line[P2P_PL_ASLEEP] = n->asleep ? 1u | (n->blocked ? 2u : 0) : 0;
	line[P2P_PL_ACK] = peer->seen;
	line[P2P_PL_INC] = peer->inc;
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	board_write_line(n->board, &peer->win_ring, 0, line, BOARD_KIND_BEAT);
	fw_event(n, P2P_EV_control_bytes, 16);
}

static void peer_state(struct fw_nic *n, unsigned int i, enum p2p_peer_state state)
{
	n->peer[i].state = state;
	n->peer[i].since_ns = n->now_ns;
}

static unsigned int peer_prods(const struct fw_nic *n, const struct fw_peer *peer, unsigned int i)
{
	return i == FW_PEER_HOST ? n->ports : peer->ports + 1;
}

/* Ends a session, if any, and counts what was outstanding. */
static void peer_end(struct fw_nic *n, unsigned int i, enum p2p_drop why, bool may_read)
{
	struct fw_peer *peer = &n->peer[i];
	uint64_t lost = 0;
	unsigned int r;

	for (r = 0; r < peer_prods(n, peer, i); r++) {
		lost += fw_prod_close(n, &peer->prod[r]);
		if (!may_read)
			fw_prod_free(n, &peer->prod[r]);
	}
	for (r = 0; r <= n->ports; r++)
		fw_cons_close(n, &peer->cons[r]);
	if (lost)
		fw_drop(n, why, lost);
	if (peer->state == P2P_PEER_UP)
		peer->inc = peer_new_inc(n, peer->inc);
	peer->seen = 0;
}

static void peer_down(struct fw_nic *n, unsigned int i)
{
	bool up = n->peer[i].state == P2P_PEER_UP;

	peer_end(n, i, P2P_DROP_peer_lost, n->mode == P2P_MODE_RD);
	peer_state(n, i, P2P_PEER_DOWN);
	n->peer[i].intro_ns = n->now_ns - FW_MEETING_NS - 1; /* nobody waits for it again */
	if (!up)
		return;
	fw_event(n, P2P_EV_peer_down, 1);
	fw_bridge_flush(n, i, -1);
}

void fw_peer_start(struct fw_nic *n, unsigned int i)
{
	struct fw_peer *peer = &n->peer[i];

	peer->inc = peer_new_inc(n, peer->inc);
	peer->seen = 0;
	peer->beat = board_random(n->board); /* not where a former life's ended: that would not be heard */
	peer->last_beat = from_le32(peer->head->peer.w[P2P_PL_BEAT]);
	peer->heard_ns = n->now_ns;
	peer->next_beat_ns = n->now_ns;
	peer->intro = true;
	peer->ready = false;
	peer->intro_ns = n->now_ns;
	n->intro |= FW_BIT(i);
	peer_state(n, i, P2P_PEER_WAITING);
	n->next_tick_ns = 0;
}

void fw_peer_stop(struct fw_nic *n, unsigned int i, enum p2p_drop why)
{
	struct fw_peer *peer = &n->peer[i];

	if (!peer->intro)
		return;
	if (peer->state == P2P_PEER_UP)
		fw_bridge_flush(n, i, -1);
	fw_cut_leave(n, i);
	peer_end(n, i, why, false);
	peer->intro = false;
	peer_state(n, i, P2P_PEER_ABSENT);
	n->intro &= ~FW_BIT(i);
}

/* Zero what the peer writes here, but for its line, and open our side. */
static void peer_accept(struct fw_nic *n, unsigned int i, uint32_t inc)
{
	struct fw_peer *peer = &n->peer[i];
	unsigned int r;

	if (i == FW_PEER_HOST) {
		for (r = 0; r < n->ports; r++)
			n->port[r].refill_cons = n->port[r].refill_prod = 0;
	} else {
		memset(peer->head->comp, 0, sizeof(peer->head->comp));
		memset(peer->head->ctrl, 0, sizeof(peer->head->ctrl));
		memset(peer->head + 1, 0, 16ul * n->shape.slots * (n->ports + 1));
	}
	peer->seen = inc;
	for (r = 0; r <= n->ports; r++) {
		/* Accepted before, and not up since: what is open has another beginning, of which nothing may be told. */
		fw_cons_close(n, &peer->cons[r]);
		fw_cons_open(n, peer, &peer->cons[r]);
	}
	peer_state(n, i, P2P_PEER_WAITING);
	fw_peer_line(n, peer);
}

static void peer_watch(struct fw_nic *n, unsigned int i)
{
	struct fw_peer *peer = &n->peer[i];
	const struct p2p_line *line = &peer->head->peer;
	uint32_t inc = le32_load_acquire(&line->w[P2P_PL_INC]);
	uint32_t ack = le32_load_acquire(&line->w[P2P_PL_ACK]);
	uint32_t beat = le32_load_acquire(&line->w[P2P_PL_BEAT]);
	unsigned int r;

	if (beat != peer->last_beat) {
		peer->last_beat = beat;
		peer->heard_ns = n->now_ns;
		if (peer->state == P2P_PEER_DOWN)
			peer_state(n, i, P2P_PEER_WAITING);
	}
	if ((int64_t)(n->now_ns - peer->heard_ns) >= (int64_t)n->silence_ns && !peer_is_self(n, i) &&
	    (peer->state == P2P_PEER_UP || peer->seen)) {
		peer_down(n, i);
		fw_peer_line(n, peer);
		return;
	}
	if (!inc || peer->state == P2P_PEER_DOWN)
		return;
	if (inc != peer->seen) {
		if (peer->state == P2P_PEER_UP)
			peer_down(n, i);
		peer_accept(n, i, inc);
	} else if (peer->state == P2P_PEER_WAITING && ack == peer->inc) {
		peer_state(n, i, P2P_PEER_UP);
		fw_event(n, P2P_EV_peer_up, 1);
		for (r = 0; r < peer_prods(n, peer, i); r++)
			fw_prod_open(n, peer, r);
		/* Not earlier: until now the peer may have been zeroing what we would have written. */
		for (r = 0; r <= n->ports; r++)
			if (peer->cons[r].open)
				fw_cons_tell(n, peer, &peer->cons[r]);
	}
}

/* Ready once every ring of ours has opened; what opens later, in a session after the first, is its own matter. */
static void peer_ready(struct fw_nic *n, struct fw_peer *peer, unsigned int i)
{
	unsigned int r;

	for (r = 0; r < peer_prods(n, peer, i); r++)
		if (!peer->prod[r].open)
			return;
	peer->ready = true;
}

/*
 * A sleeper's beats go together, up to a tick early: one wake-up for all its peers, and all NICs that sleep with it.
 * Two in step would share a lossy fabric's every second loss so that one hears nothing: there each goes when it is due.
 */
static bool peer_beat_due(const struct fw_nic *n, const struct fw_peer *peer)
{
	return n->now_ns + (n->asleep && !n->scrub ? FW_TICK_NS : 0) >= peer->next_beat_ns;
}

void fw_peer_tick(struct fw_nic *n, unsigned int i)
{
	struct fw_peer *peer = &n->peer[i];
	uint64_t at;
	unsigned int r;

	peer_watch(n, i);
	if (peer->state == P2P_PEER_UP && !peer->ready)
		peer_ready(n, peer, i);
	if (peer_beat_due(n, peer)) {
		peer->beat++;
		peer->next_beat_ns = n->now_ns + P2P_BEAT_NS - board_random(n->board) % FW_TICK_NS;
		fw_peer_line(n, peer);
	}
	at = peer->state == P2P_PEER_WAITING || !peer->ready ? n->now_ns + FW_TICK_NS : peer->next_beat_ns;
	for (r = 0; r <= n->ports; r++)
		fw_cons_tick(n, peer, &peer->cons[r]);
	for (r = 0; peer->state == P2P_PEER_UP && r < peer_prods(n, peer, i); r++) {
		uint64_t again = fw_prod_tick(n, peer, &peer->prod[r]);

		if (again < at)
			at = again;
	}
	if (at < n->next_tick_ns)
		n->next_tick_ns = at;
}

void fw_peer_wake(struct fw_nic *n)
{
	uint64_t left = n->telling & n->intro;
	struct fw_peer *peer;
	uint32_t asleep;
	unsigned int i;
	bool any = false;

	n->waking = false;
	for (; left; left &= left - 1) {
		i = fw_next_bit(left, 0);
		peer = &n->peer[i];
		/* Whoever looks before what we wrote has arrived, and sleeps, will be asleep by its line then. */
		if (!board_done(n->board, BOARD_Q_WRITE, peer->wake_tok)) {
			n->waking = true;
			continue;
		}
		if (!any)
			board_barrier();
		any = true;
		asleep = i == n->self ? 0 : le32_load_acquire(&peer->head->peer.w[P2P_PL_ASLEEP]);
		if ((peer->flushed && (asleep & 1)) || (peer->completed && (asleep & 2))) {
			/* The bell of our own index is the host's (bn). */
			board_bell(n->board, i == FW_PEER_HOST ? n->self : i);
			fw_event(n, P2P_EV_doorbells, 1);
		}
		if (board_done(n->board, BOARD_Q_WRITE, peer->wake_last)) {
			peer->flushed = peer->completed = false;
			n->telling &= ~FW_BIT(i);
		} else {
			peer->wake_tok = peer->wake_last;
			n->waking = true;
		}
	}
}

void fw_sleep(struct fw_nic *n, bool asleep)
{
	uint64_t left = n->intro & ~FW_BIT(n->self);

	if (!n->running || n->asleep == asleep)
		return;
	n->asleep = asleep;
	for (; left; left &= left - 1)
		fw_peer_line(n, &n->peer[fw_next_bit(left, 0)]);
	if (FW_ROUTING && n->route.on)
		fw_punt_line(n);
	if (FW_ROUTING && n->route.on && !asleep)
		fw_route_resume(n);
	if (asleep)
		board_barrier();
}

int fw_peer_info(const struct fw_nic *n, unsigned int i, struct fw_peer_info *info)
{
	const struct fw_peer *peer;

	if (i >= P2P_MAX_NICS)
		return -FW_EINVAL;
	peer = &n->peer[n->mode == P2P_MODE_BN && n->peer[FW_PEER_HOST].intro ? FW_PEER_HOST : i];
	info->state = n->peer[i].intro || peer->intro ? peer->state : P2P_PEER_ABSENT;
	if (info->state == P2P_PEER_UP && !peer->ready)
		info->state = P2P_PEER_WAITING;
	info->inc = peer->inc;
	info->peer_inc = peer->seen;
	info->since_ns = peer->since_ns;
	info->sent_frames = peer->sent_frames;
	info->recv_frames = peer->recv_frames;
	return 0;
}
