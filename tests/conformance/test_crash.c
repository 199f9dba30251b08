/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NICs, and bn's host loop, die at random moments under load: one, two at once, one that nobody has missed yet, one in the
 * midst of its meeting, one whose peer is just being introduced; or they are let go in order.  Whoever is gone comes back.
 *
 * Beside the mesh a model keeps what should be: who lives, who was told of whom.  Once all is quiet with some of them gone, and
 * once more when all are back, the mesh is held to it:
 *
 *   - every peer's state, as every NIC says;
 *   - sessions between NICs that lived on are the ones that they had;
 *   - frames put into ports of NICs that lived on, for ports of such, have all come out;
 *   - a handful of frames into every living port: all come out where the model says, or all are counted `no_peer`;
 *   - no frame leaves twice, damaged, or out of order (mesh.c looks at each);
 *   - lost_in_kill: frames in, minus frames out, minus drops that have a cause (neither peer_lost, of which some may have been sent,
 *     nor `stopped`, which is the same of a NIC that is let go) lies between 0 and what the dead NICs' rings, buffers and cables hold.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define NICS 4
#define PORTS 2
#define PROBES 3
#define QUIET_NS 20000000
#define LONG_NS 20000000000ull
#define FIRST_NS 1000000000 /* a NIC keeps frames for one that it has never met so long (FW_MEETING_NS) */
#define MEETING_NS 3000000 /* a meeting takes about as long */

enum crash_event { ONE, TWO, UNNOTICED, MEETING, MEETING_PEER, AGAIN, PEER_TOLD, LEAVE, HOST, HOST_AND_ONE, EVENTS };

static const char *const event_name[EVENTS] = { "one dies", "two die at once", "one dies and is back before anybody noticed",
	"one dies while another meets it", "two die that meet", "one dies twice", "one dies while a peer is being introduced",
	"one is let go", "the host dies", "the host and one die" };

/* What should be. */
struct model {
	bool lives[NICS], told[NICS][NICS], host;
	bool met[NICS][NICS]; /* for certain: whom one has never heard of it goes on awaiting */
	bool lived_on[NICS], host_lived_on; /* since the round began */
};

struct crash {
	struct mesh *m;
	struct model w;
	struct rng r;
	enum crash_event event;
	unsigned int deaths, leaves, host_deaths;
	struct fw_peer_info session[NICS][NICS];
	uint32_t sent[NICS][PORTS], outs[NICS][PORTS];
	uint64_t cable_lost[NICS][PORTS];
	int64_t lost, most;
};

static bool is_bn(const struct crash *c)
{
	return c->m->cfg.mode == P2P_MODE_BN;
}

/* Port 0 goes to the next NIC, port 1 to the one after it. */
static unsigned int peer_of(unsigned int nic, unsigned int port)
{
	return (nic + 1 + port) % NICS;
}

static void load(struct crash *c, unsigned int rounds)
{
	uint8_t dst[6] = { 2 }, src[6] = { 2 };
	unsigned int k, i, n;

	for (k = 0; k < rounds && !c->m->failure[0]; k++) {
		for (i = 0; i < NICS; i++)
			for (n = rng_below(&c->r, 9); n && c->w.lives[i]; n--)
				mesh_send(c->m, i, n % PORTS, dst, src, rng_below(&c->r, 8) ? 60 + rng_below(&c->r, 1459) : 5000);
		mesh_run(c->m, 1000 + rng_below(&c->r, 9000));
	}
}

/* Up to `most`, every order of magnitude alike: what happens at once and what happens late. */
static void a_while(struct crash *c, uint64_t most)
{
	mesh_run(c->m, rng_below(&c->r, most >> 4 * rng_below(&c->r, 5)));
}

/* ---- what happens, to the mesh and to the model ---- */

static void dies(struct crash *c, unsigned int v)
{
	mesh_kill(c->m, v);
	c->w.lives[v] = c->w.lived_on[v] = false;
	memset(c->w.told[v], 0, sizeof(c->w.told[v]));
	c->deaths++;
}

/* In order: it stops, the others forget it, it is taken away. */
static void leaves(struct crash *c, unsigned int v)
{
	unsigned int i;

	mesh_enable(c->m, v, false);
	a_while(c, 1000000);
	for (i = 0; i < NICS; i++) {
		if (i == v || !c->w.lives[i])
			continue;
		c->m->ops->reg_write(c->m->mb, i, P2P_PEER_BLOCK + v * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 4, 0);
		c->w.told[i][v] = false;
		if (rng_below(&c->r, 2))
			load(c, 1);
	}
	dies(c, v);
	c->deaths--;
	c->leaves++;
}

static void told(struct crash *c, unsigned int v)
{
	unsigned int i, p;

	if (mesh_restart(c->m, v))
		return;
	c->w.lives[v] = true;
	for (i = 0; i < NICS; i++) {
		c->w.met[v][i] = c->w.met[i][v] = false;
		if (c->w.lives[i])
			c->w.told[v][i] = c->w.told[i][v] = true;
	}
	for (p = 0; p < PORTS; p++)
		mesh_pair(c->m, v, p, peer_of(v, p), p);
}

static void back(struct crash *c, unsigned int v)
{
	told(c, v);
	mesh_enable(c->m, v, true);
}

static void host_dies(struct crash *c)
{
	mesh_host_kill(c->m);
	c->w.host = c->w.host_lived_on = false;
	c->host_deaths++;
}

static void host_back(struct crash *c)
{
	mesh_host_start(c->m);
	c->w.host = true;
}

static void happens(struct crash *c, unsigned int v, unsigned int u)
{
	switch (c->event) {
	case ONE:
	case EVENTS:
		dies(c, v);
		return;
	case TWO:
		dies(c, v);
		dies(c, u);
		return;
	case UNNOTICED:
		dies(c, v);
		a_while(c, 20000000);
		back(c, v);
		return;
	case MEETING:
	case MEETING_PEER:
		dies(c, v);
		a_while(c, 200000000);
		back(c, v);
		a_while(c, MEETING_NS);
		if (c->event == MEETING_PEER)
			dies(c, v);
		dies(c, u);
		return;
	case AGAIN:
		dies(c, v);
		a_while(c, 200000000);
		back(c, v);
		a_while(c, MEETING_NS);
		dies(c, v);
		return;
	case PEER_TOLD:
		dies(c, v);
		a_while(c, 200000000);
		told(c, v);
		dies(c, u);
		mesh_enable(c->m, v, true);
		return;
	case LEAVE:
		leaves(c, v);
		return;
	case HOST_AND_ONE:
		dies(c, v);
		/* fall through */
	case HOST:
		host_dies(c);
		return;
	}
}

/* ---- what should be ---- */

static uint32_t should_be(const struct crash *c, unsigned int i, unsigned int j)
{
	if (is_bn(c))
		return c->w.host ? P2P_PEER_UP : P2P_PEER_DOWN;
	if (i == j)
		return P2P_PEER_UP;
	if (!c->w.told[i][j])
		return P2P_PEER_ABSENT;
	return c->w.lives[j] && c->w.told[j][i] ? P2P_PEER_UP : P2P_PEER_DOWN;
}

static void check_states(struct crash *c, const char *when)
{
	static const char *const name[] = { "absent", "waiting", "up", "down" };
	unsigned int i, j;
	uint32_t is;

	for (i = 0; i < NICS; i++)
		for (j = 0; j < NICS && c->w.lives[i]; j++) {
			is = (uint32_t)c->m->ops->reg_read(c->m->mb, i, P2P_PEER_BLOCK + j * P2P_PEER_BLOCK_BYTES + P2P_PEER_STATE, 4);
			if (is == P2P_PEER_WAITING && !c->w.met[i][j] && should_be(c, i, j) == P2P_PEER_DOWN)
				continue;
			if (is != should_be(c, i, j))
				mesh_fail(c->m, "%s, %s: %c says that %c is %s; it should be %s", event_name[c->event], when, 'a' + i,
					  'a' + j, is < 4 ? name[is] : "?", name[should_be(c, i, j)]);
		}
}

/* all: or only those of which none has been sent. */
static uint64_t all_drops(struct mesh *m, bool all)
{
	uint64_t sum = mesh_port_sum(m, offsetof(struct port_stats, tx_lost));
	unsigned int d;

	for (d = 0; d < P2P_NUM_DROPS; d++)
		sum += all || (d != P2P_DROP_peer_lost && d != P2P_DROP_stopped) ? mesh_drops(m, -1, d) : 0;
	return sum;
}

/* cut: a port that takes its buffers back from the cable begins anew, and what the cable had yet to send is lost and counted. */
static uint64_t cable_lost(const struct crash *c, unsigned int nic, unsigned int port)
{
	return c->m->ops->cut ? script_port_stats(c->m->port[nic][port].sp)->tx_lost : 0;
}

static void note_sessions(struct crash *c)
{
	unsigned int i, j, p;

	for (i = 0; i < NICS; i++) {
		c->w.lived_on[i] = true;
		for (j = 0; j < NICS; j++) {
			c->w.met[i][j] = true;
			c->m->ops->peer(c->m->mb, i, j, &c->session[i][j]);
		}
		for (p = 0; p < PORTS; p++) {
			c->sent[i][p] = c->m->port[i][p].seq;
			c->outs[i][p] = c->m->port[i][p].outs;
			c->cable_lost[i][p] = cable_lost(c, i, p);
		}
	}
	c->w.host_lived_on = true;
}

/* Whoever lived on has the sessions that it had, and what was sent among those has come out. */
static void check_sessions(struct crash *c)
{
	struct fw_peer_info now;
	unsigned int i, j, p;
	uint32_t sent, came;

	for (i = 0; i < NICS; i++)
		for (j = 0; j < NICS && c->w.lived_on[i] && c->w.host_lived_on; j++) {
			if (!c->w.lived_on[j] && !is_bn(c))
				continue;
			c->m->ops->peer(c->m->mb, i, j, &now);
			if (now.inc != c->session[i][j].inc || now.peer_inc != c->session[i][j].peer_inc)
				mesh_fail(c->m, "%s: %c and %c have another session, though both lived on", event_name[c->event],
					  'a' + i, 'a' + j);
		}
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS && c->w.host_lived_on; p++) {
			j = peer_of(i, p);
			sent = c->m->port[i][p].seq - c->sent[i][p];
			came = c->m->port[j][p].outs - c->outs[j][p];
			if (c->w.lived_on[i] && c->w.lived_on[j] && came + cable_lost(c, j, p) - c->cable_lost[j][p] != sent)
				mesh_fail(c->m, "%s: %u of %u frames of %c.%u left %c.%u, though both lived on", event_name[c->event],
					  came, sent, 'a' + i, p, 'a' + j, p);
		}
}

/* A handful of frames into every living port. */
static void probe(struct crash *c, const char *when)
{
	uint64_t in, out, drops, no_peer = mesh_drops(c->m, -1, P2P_DROP_no_peer);
	uint8_t dst[6] = { 2 }, src[6] = { 2 };
	uint32_t before[NICS][PORTS];
	unsigned int i, j, p, k, astray = 0;

	in = mesh_port_sum(c->m, offsetof(struct port_stats, rx_frames));
	out = mesh_port_sum(c->m, offsetof(struct port_stats, tx_frames));
	drops = all_drops(c->m, true);
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			before[i][p] = c->m->port[i][p].outs;
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS && c->w.lives[i]; p++)
			for (k = 0; k < PROBES; k++)
				mesh_send(c->m, i, p, dst, src, 60 + 900 * k);
	mesh_settle(c->m, 5000000, LONG_NS);
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS && c->w.lives[i]; p++) {
			j = peer_of(i, p);
			k = c->w.lives[j] && (!is_bn(c) || c->w.host) ? PROBES : 0;
			astray += PROBES - k;
			if (c->m->port[j][p].outs - before[j][p] != k)
				mesh_fail(c->m, "%s, %s: %u of %u frames of %c.%u left %c.%u; %u should", event_name[c->event], when,
					  c->m->port[j][p].outs - before[j][p], PROBES, 'a' + i, p, 'a' + j, p, k);
		}
	in = mesh_port_sum(c->m, offsetof(struct port_stats, rx_frames)) - in;
	out = mesh_port_sum(c->m, offsetof(struct port_stats, tx_frames)) - out;
	drops = all_drops(c->m, true) - drops;
	no_peer = mesh_drops(c->m, -1, P2P_DROP_no_peer) - no_peer;
	if (in != out + drops || drops != no_peer || no_peer != astray)
		mesh_fail(c->m, "%s, %s: of %llu frames %llu out, %llu dropped, %llu of them no_peer, which %u should be",
			  event_name[c->event], when, (unsigned long long)in, (unsigned long long)out, (unsigned long long)drops,
			  (unsigned long long)no_peer, astray);
}

static int64_t lost_so_far(struct mesh *m)
{
	return (int64_t)(mesh_port_sum(m, offsetof(struct port_stats, rx_frames)) -
			 mesh_port_sum(m, offsetof(struct port_stats, tx_frames)) - all_drops(m, false));
}

/* What one that is gone can swallow: its ports' buffers and cables, and every ring into and out of it. */
static int64_t capacity(const struct mesh *m)
{
	return PORTS * (m->cfg.rx_bufs + 256) + 2ll * NICS * (PORTS + 1) * m->cfg.slots;
}

static void check_lost(struct crash *c, unsigned int gone)
{
	int64_t lost = lost_so_far(c->m) - c->lost;

	if (lost < 0 || lost > capacity(c->m) * gone)
		mesh_fail(c->m, "%s: lost_in_kill is %lld, not within 0 and %lld", event_name[c->event], (long long)lost,
			  (long long)(capacity(c->m) * gone));
	if (lost > c->most)
		c->most = lost;
	c->lost += lost;
}

/* ---- rounds ---- */

static bool quiet(struct crash *c)
{
	unsigned int i, j;
	bool unmet = false;

	/* Silence has to be noticed first, and whoever is met for the first time is waited for. */
	for (i = 0; i < NICS; i++)
		for (j = 0; j < NICS; j++)
			unmet |= c->w.lives[i] && c->w.told[i][j] && !c->w.lives[j] && !c->w.met[i][j];
	mesh_run(c->m, 130000000 + (unmet ? FIRST_NS : 0));
	if (!mesh_settle(c->m, QUIET_NS, LONG_NS))
		mesh_fail(c->m, "%s: no rest", event_name[c->event]);
	return !c->m->failure[0];
}

static void round_of(struct crash *c)
{
	unsigned int v = rng_below(&c->r, NICS), u = (v + 1 + rng_below(&c->r, NICS - 1)) % NICS, k, i;
	unsigned int gone = c->deaths + c->leaves + c->host_deaths;

	do
		c->event = (enum crash_event)rng_below(&c->r, EVENTS);
	while (is_bn(c) ? c->event == LEAVE : c->event == HOST || c->event == HOST_AND_ONE);
	note_sessions(c);
	load(c, 12);
	a_while(c, 20000);
	happens(c, v, u);
	load(c, 8);
	if (rng_below(&c->r, 3)) { /* with some of them gone; else they come back at once */
		if (!quiet(c))
			return;
		check_states(c, "while gone");
		probe(c, "while gone");
		load(c, 4);
	}
	if (is_bn(c) && !c->w.host)
		host_back(c);
	for (k = 0, i = v; k < NICS && !c->m->failure[0]; k++, i = (i + 1) % NICS) {
		if (c->w.lives[i])
			continue;
		back(c, i);
		load(c, rng_below(&c->r, 3));
	}
	if (c->m->failure[0] || mesh_wait_up(c->m, 3000000000ull))
		return;
	load(c, 6);
	if (c->m->failure[0] || !quiet(c))
		return;
	check_states(c, "all back");
	check_sessions(c);
	check_lost(c, c->deaths + c->leaves + c->host_deaths - gone);
	probe(c, "all back");
}

static void crash_one(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int rounds)
{
	struct crash c = { .w.host = true };
	struct mesh_cfg cfg;
	unsigned int i, p, k;

	rng_seed(&c.r, seed << 16 ^ (uint64_t)ops->name[0] << 8 ^ mode);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.rx_bufs = 512;
	cfg.in_order = true;
	cfg.sleep = rng_below(&c.r, 2) && ops != &mesh_free; /* which steps by itself */
	cfg.tx_frame_ns = rng_below(&c.r, 2) * 3000; /* cables faster, or slower, than what comes in: rings empty, or full */
	cfg.flags |= P2P_FLAG_BACKPRESSURE;
	c.m = mesh_create(ops, &cfg);
	if (!mesh_configure(c.m)) {
		for (i = 0; i < NICS; i++) {
			c.w.lives[i] = true;
			for (k = 0; k < NICS; k++)
				c.w.told[i][k] = true;
			for (p = 0; p < PORTS; p++)
				mesh_pair(c.m, i, p, peer_of(i, p), p);
		}
		mesh_up(c.m);
	}
	for (k = 0; k < rounds && !mesh_failure(c.m); k++)
		round_of(&c);
	mesh_check_faults(c.m);
	b->deaths += c.deaths + c.host_deaths;
	b->leaves += c.leaves;
	if (!mesh_failure(c.m))
		printf("%s %s seed %llu: %u NICs killed, %u let go, %u hosts killed; lost_in_kill %lld,"
		       " at most %lld in one of %u rounds (bound for one death %lld)\n", ops->name, bench_mode(mode), (unsigned long long)seed, c.deaths, c.leaves,
		       c.host_deaths, (long long)c.lost, (long long)c.most, rounds, (long long)capacity(c.m));
	bench_end(b, "crash", c.m);
}

static bool knows(const struct mesh *m, unsigned int i, unsigned int j)
{
	struct fw_peer_info mine, its;

	m->ops->peer(m->mb, i, j, &mine);
	m->ops->peer(m->mb, j, i, &its);
	return mine.peer_inc && mine.peer_inc == its.inc;
}

/*
 * b stops and begins anew where it is just after it has met a, which stands still meanwhile and has not been up: it keeps its
 * incarnation, and what b's completion lines say to that is of the session before.  Only zeroing rids a of them.
 */
static void in_place(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	unsigned int k;

	mesh_cfg_default(&cfg, 2, 1);
	cfg.mode = mode;
	cfg.seed = seed;
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		mesh_pair(m, 0, 0, 1, 0);
		mesh_enable(m, 0, true);
		mesh_enable(m, 1, true);
		for (k = 0; k < 100000 && !knows(m, 0, 1); k++)
			mesh_run(m, 100);
		mesh_stall(m, 0, 20000000);
		mesh_run(m, 10000000);
		if (!knows(m, 1, 0))
			mesh_fail(m, "b has not met a");
		mesh_enable(m, 1, false);
		mesh_run(m, 1000000);
		mesh_enable(m, 1, true);
		mesh_run(m, 3000000); /* it takes up what a had said, and stands still before it says where its rings begin */
		mesh_stall(m, 1, 30000000);
	}
	if (!mesh_failure(m) && !mesh_wait_up(m, 3000000000ull)) {
		mesh_send_few(m, 0, 0);
		mesh_settle(m, 5000000, LONG_NS);
		if (m->port[1][0].outs != MESH_FEW || mesh_event(m, -1, P2P_EV_bad_line))
			mesh_fail(m, "%u of %u frames left, %llu completion lines out of range", m->port[1][0].outs, MESH_FEW,
				  (unsigned long long)mesh_event(m, -1, P2P_EV_bad_line));
	}
	bench_end(b, "in-place", m);
}

int main(int argc, char **argv)
{
	unsigned int k, mode;
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++)
		for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
			for (seed = bench_first_seed(&b); seed <= bench_last_seed(&b, b.deep ? 18 : 1); seed++) {
				if (bench_wants_mode(&b, mesh_boards[k], mode) && bench_wants(&b, "crash"))
					crash_one(&b, mesh_boards[k], mode, seed, b.deep ? 20 : bench_share(9));
			}
	for (k = 0; mesh_boards[k] && bench_wants(&b, "in-place"); k++)
		for (mode = P2P_MODE_WR; mode < P2P_MODE_BN; mode++)
			if (bench_wants_mode(&b, mesh_boards[k], mode))
				in_place(&b, mesh_boards[k], mode, b.seed ? b.seed : 1);
	printf("%u deaths, %u let go\n", b.deaths, b.leaves);
	return bench_exit(&b);
}
