/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The far ends of any number of memif cables in one process: numbered frames into each, and what comes out looked at
 * to the byte.
 *
 *   far --cable NAME=SPEC ... --flow NAME:FROM:TO:RATE[,KEY=VALUE]... ... [--seed N] [--every MS] [--bufs N] [--run]
 *
 * SPEC is a port spec (memif:PATH[,role=server]...).  A flow sends RATE frames a second into cable FROM, as long as that
 * is up; they shall come out at cable TO, or anywhere if TO is `any`.  Keys of a flow:
 *   size=N | size=MIN-MAX   length without FCS; default a mix of 60 to 1518
 *   jumbo=N                 one frame of sixteen is longer, up to N (9728)
 *   ip=SRC>DST[/BITS]       UDP over IPv4 or IPv6; with BITS the rest of the destination differs from frame to frame
 *   to=MAC                  Ethernet destination: for IP the router's.  from=MAC: source.
 *   at=MAC                  IP: what the router must have made of the destination
 *
 * It starts paused, without --run.  Commands on stdin, a line each; every one is answered by one line of JSON:
 *   resume         send                        pause        send no more, go on receiving
 *   drain QUIET MAX   pause, wait until all that was sent has been taken and nothing has come for QUIET ms, MAX at most
 *   report         how things stand            mark         begin anew with the longest gaps, report
 *   rate FLOW N    another rate (0: none)       cut CABLE    the far end goes      join CABLE    and is there again
 *   quit           the end of stdin, SIGTERM and SIGINT as well: a last report
 * With --every a report each MS milliseconds as well ("what": "every").
 *
 * The answer: {"what": COMMAND, "settled": drain only, "ms": since the start, "running", "late_ms": the longest time for which
 * this process did not run, "cables": {NAME: {"up", "sent", "received", "corrupted", "foreign", "unknown", and of the port
 * "tx_frames", "tx_lost", "rx_refused", "peer_errors", "link_changes"}}, "flows": {NAME: {"sent", "received": each number once,
 * "missing": sent - received, "holes": of those, numbers below one received, "duplicated", "reordered", "old": too old to tell
 * which of the two, "corrupted", "misrouted": at another cable than TO, "gap_ms": longest time without a frame while running
 * at a rate above 0, without what is in late_ms, "silent_ms": the one now}}}.
 * sent: frames taken by the cable.  foreign: a kernel's ARP and the like on a cable of IP flows; anything else that no flow can
 * have sent is unknown, and counted as corrupted, too.  Numbers are never used twice, whatever happens to cables and NICs.
 *
 * Exit status 0; 1: a port; 2: usage.
 */
#include "frame.h"
#include "tests/unit/memif/env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FAR_MAX 64
#define FAR_STRIDE 2048
#define FAR_WINDOW (1u << 20) /* numbers below the highest of which each is known: received or not */
#define FAR_BURST 32
#define FAR_NAP_NS 200000
#define FAR_LATE_NS 50000000u
#define MS(ns) ((ns) / 1000000u)

struct flow {
	char name[32];
	struct frame_flow f;
	unsigned int from;
	int to; /* -1: any */
	uint64_t rate, due_ns, budget; /* budget: frames times 1e9 */
	uint64_t sent, received, duplicated, reordered, old, corrupted, misrouted;
	uint64_t top; /* one more than the highest number received */
	uint64_t last_ns, gap_ns;
	uint64_t *seen;
};

struct cable {
	char name[32];
	const char *spec;
	struct env e;
	bool joined, routed;
	uint64_t sent, received, corrupted, foreign, unknown;
	struct port_stats past; /* of the port before it was cut */
	uint8_t frame[P2P_MAX_SEGS * 16384];
	uint32_t len;
};

static struct flow flow[FAR_MAX];
static struct cable cable[FAR_MAX];
static unsigned int flows, cables, bufs = 1024;
static uint32_t seed = 1;
static bool running;
static uint64_t start_ns, last_turn_ns, late_ns, heard_ns;
static volatile sig_atomic_t ended;

static _Noreturn void far_usage(const char *what, const char *why)
{
	fprintf(stderr, "far: %s: %s\n", what, why);
	exit(2);
}

/* --- what comes --- */

static void far_gap(struct flow *f, uint64_t now)
{
	uint64_t gap = now - f->last_ns;

	f->gap_ns = running && f->rate && gap > f->gap_ns ? gap : f->gap_ns;
	f->last_ns = now;
}

static void far_number(struct flow *f, uint64_t n, uint64_t now)
{
	far_gap(f, now);
	if (n < f->top && f->top - n > FAR_WINDOW) {
		f->old++;
		return;
	}
	if (n >= f->top) {
		for (uint64_t k = n - f->top >= FAR_WINDOW ? n - FAR_WINDOW + 1 : f->top; k <= n; k++)
			f->seen[k % FAR_WINDOW / 64] &= ~(1ull << k % 64);
		f->top = n + 1;
	} else if (f->seen[n % FAR_WINDOW / 64] >> n % 64 & 1) {
		f->duplicated++;
		return;
	} else {
		f->reordered++;
	}
	f->seen[n % FAR_WINDOW / 64] |= 1ull << n % 64;
	f->received++;
}

static void far_frame(struct cable *c, const uint8_t *data, uint32_t len, uint64_t now)
{
	uint32_t id = 0;
	uint64_t n = 0;
	enum frame_is is = frame_read(data, len, seed, &id, &n);
	struct flow *f;

	heard_ns = now;
	if (is == FRAME_FOREIGN && c->routed) {
		c->foreign++;
		return;
	}
	c->received++;
	f = &flow[id < flows ? id : 0];
	if (is != FRAME_OURS || id >= flows || n >= f->sent) {
		c->unknown++;
		c->corrupted++;
	} else if (!frame_right(&f->f, seed, n, data, len)) {
		c->corrupted++;
		f->corrupted++;
	} else {
		f->misrouted += f->to >= 0 && &cable[f->to] != c;
		far_number(f, n, now);
	}
}

static unsigned int far_receive(struct cable *c, uint64_t now)
{
	struct p2p_seg s[FAR_BURST];
	unsigned int n = c->e.port->ops->rx_burst(c->e.port, s, FAR_BURST);

	for (unsigned int i = 0; i < n; i++) {
		bool more = s[i].flags & P2P_SEG_MORE;

		if (c->len || more) {
			memcpy(c->frame + c->len, s[i].data, s[i].len);
			c->len += s[i].len;
		}
		if (!more) {
			far_frame(c, c->len ? c->frame : s[i].data, c->len ? c->len : s[i].len, now);
			c->len = 0;
		}
		s[i].len = FAR_STRIDE;
		s[i].flags = 0;
	}
	if (n && c->e.port->ops->rx_post(c->e.port, s, n) != n) {
		fprintf(stderr, "far: %s: buffers refused\n", c->name);
		exit(1);
	}
	return n;
}

/* --- what goes --- */

/* One frame into the cable's next free buffers; false if it did not take it. */
static bool far_send(struct cable *c, struct flow *f)
{
	struct p2p_seg s[P2P_MAX_SEGS];
	static uint8_t data[FRAME_MAX];
	struct env *e = &c->e;
	uint32_t len, at = 0, k = 0;

	if (e->bufs - (e->tx_head - e->tx_tail) < FRAME_MAX / FAR_STRIDE + 1)
		return false;
	len = frame_make(&f->f, seed, f->sent, data);
	for (; at < len; k++) {
		uint32_t part = len - at < FAR_STRIDE ? len - at : FAR_STRIDE;

		s[k] = (struct p2p_seg){ .region = 1, .len = part };
		s[k].data = e->mem.region[1].base + (size_t)((e->tx_head + k) % e->bufs) * FAR_STRIDE;
		memcpy(s[k].data, data + at, part);
		at += part;
		s[k].flags = at < len ? P2P_SEG_MORE : 0;
	}
	if (!e->port->ops->tx_burst(e->port, s, k))
		return false;
	e->tx_head += k;
	f->sent++;
	c->sent++;
	return true;
}

static void far_pace(struct flow *f, uint64_t now)
{
	struct cable *c = &cable[f->from];
	uint64_t most = FAR_BURST * 1000000000ull;

	f->budget += (now - f->due_ns) * f->rate;
	f->due_ns = now;
	if (f->budget > most)
		f->budget = most;
	if (!running || !c->joined || !c->e.port->ops->link_up(c->e.port)) {
		f->budget = 0;
		return;
	}
	while (f->budget >= 1000000000u && far_send(c, f))
		f->budget -= 1000000000u;
}

/* --- reports --- */

static uint64_t far_stat(const struct cable *c, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)&c->past + offset, sizeof(v));
	return v + (c->joined ? p2p_count_read((uint64_t *)(void *)((char *)&c->e.port->stats + offset)) : 0);
}
#define STAT(c, name) far_stat(c, offsetof(struct port_stats, name))

static void far_report(const char *what, int settled)
{
	uint64_t now = env_now_ns();

	printf("{\"what\": \"%s\", ", what);
	if (settled >= 0)
		printf("\"settled\": %s, ", settled ? "true" : "false");
	printf("\"ms\": %" PRIu64 ", \"running\": %s, \"late_ms\": %" PRIu64 ", \"cables\": {", MS(now - start_ns),
	       running ? "true" : "false", MS(late_ns));
	for (unsigned int i = 0; i < cables; i++) {
		struct cable *c = &cable[i];

		printf("%s\"%s\": {\"up\": %d, \"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"corrupted\": %" PRIu64
		       ", \"foreign\": %" PRIu64 ", \"unknown\": %" PRIu64, i ? ", " : "", c->name,
		       c->joined && c->e.port->ops->link_up(c->e.port), c->sent, c->received, c->corrupted, c->foreign, c->unknown);
		printf(", \"tx_frames\": %" PRIu64 ", \"tx_lost\": %" PRIu64 ", \"rx_refused\": %" PRIu64 ", \"peer_errors\": %" PRIu64
		       ", \"link_changes\": %" PRIu64 "}", STAT(c, tx_frames), STAT(c, tx_lost), STAT(c, rx_refused),
		       STAT(c, peer_errors), STAT(c, link_changes));
	}
	printf("}, \"flows\": {");
	for (unsigned int i = 0; i < flows; i++) {
		struct flow *f = &flow[i];
		uint64_t silent = running && f->rate ? now - f->last_ns : 0;

		printf("%s\"%s\": {\"sent\": %" PRIu64 ", \"received\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"holes\": %" PRIu64
		       ", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64 ", \"old\": %" PRIu64, i ? ", " : "", f->name,
		       f->sent, f->received, f->sent - f->received, f->top - f->received, f->duplicated, f->reordered, f->old);
		printf(", \"corrupted\": %" PRIu64 ", \"misrouted\": %" PRIu64 ", \"gap_ms\": %" PRIu64 ", \"silent_ms\": %" PRIu64 "}",
		       f->corrupted, f->misrouted, MS(silent > f->gap_ns ? silent : f->gap_ns), MS(silent));
	}
	printf("}}\n");
	fflush(stdout);
}

static void far_mark(void)
{
	uint64_t now = env_now_ns();

	late_ns = 0;
	for (unsigned int i = 0; i < flows; i++) {
		flow[i].gap_ns = 0;
		flow[i].last_ns = now;
	}
}

static void far_resume(void)
{
	uint64_t now = env_now_ns();

	for (unsigned int i = 0; i < flows; i++) {
		flow[i].last_ns = flow[i].due_ns = now;
		flow[i].budget = 0;
	}
	running = true;
}

static void far_pause(void)
{
	uint64_t now = env_now_ns();

	for (unsigned int i = 0; running && i < flows; i++)
		far_gap(&flow[i], now);
	running = false;
}

/* --- turns --- */

static bool far_turn(void)
{
	uint64_t now = env_now_ns(), away = now - last_turn_ns;
	unsigned int n = 0;

	/* What passed while nobody looked is no gap of a flow's. */
	if (away > FAR_LATE_NS) {
		late_ns = away > late_ns ? away : late_ns;
		for (unsigned int i = 0; i < flows; i++)
			flow[i].last_ns += away;
	}
	last_turn_ns = now;
	for (unsigned int i = 0; i < cables; i++) {
		struct cable *c = &cable[i];

		if (!c->joined)
			continue;
		env_control(&c->e);
		n += far_receive(c, now);
		env_reap(&c->e);
	}
	for (unsigned int i = 0; i < flows; i++)
		far_pace(&flow[i], now);
	return n;
}

static void far_nap(void)
{
	struct timespec ts = { .tv_nsec = FAR_NAP_NS };

	nanosleep(&ts, NULL);
}

/* Nothing of what was sent is still in a ring of a cable that is up. */
static bool far_taken(void)
{
	for (unsigned int i = 0; i < cables; i++) {
		struct cable *c = &cable[i];

		if (c->joined && c->e.port->ops->link_up(c->e.port) && c->e.tx_head != c->e.tx_tail)
			return false;
	}
	return true;
}

static void far_rate(struct flow *f, uint64_t rate)
{
	uint64_t now = env_now_ns();

	far_gap(f, now);
	f->due_ns = now;
	f->rate = rate;
}

static void far_drain(uint64_t quiet_ms, uint64_t max_ms)
{
	uint64_t begun = env_now_ns(), now = begun;
	bool settled = false;

	far_pause();
	heard_ns = begun;
	while (!settled && !ended && now - begun < max_ms * 1000000u) {
		if (!far_turn())
			far_nap();
		now = env_now_ns();
		settled = far_taken() && now >= heard_ns + quiet_ms * 1000000u;
	}
	far_report("drain", settled);
}

static void far_join(struct cable *c)
{
	if (c->joined)
		return;
	env_open(&c->e, c->spec, bufs, FAR_STRIDE);
	c->joined = true;
	c->len = 0;
}

static void far_cut(struct cable *c)
{
	struct port_stats *past = &c->past;

	if (!c->joined)
		return;
#define X(name, desc) past->name += p2p_count_read(&c->e.port->stats.name);
	/* What stop() counts is wanted, too: it runs first. */
	c->e.port->ops->stop(c->e.port);
	PORT_COUNTERS(X)
#undef X
	env_close(&c->e);
	c->joined = false;
}

/* --- commands and words --- */

static int far_cable(const char *name, size_t len)
{
	for (unsigned int i = 0; i < cables; i++) {
		if (strlen(cable[i].name) == len && !memcmp(cable[i].name, name, len))
			return (int)i;
	}
	return -1;
}

static void far_command(char *line)
{
	char *save, *what = strtok_r(line, " ", &save), *a = strtok_r(NULL, " ", &save), *b = strtok_r(NULL, " ", &save);
	int at = a ? far_cable(a, strlen(a)) : -1;

	if (!what)
		return;
	if (!strcmp(what, "drain") && b) {
		far_drain(strtoull(a, NULL, 10), strtoull(b, NULL, 10));
		return;
	}
	if (!strcmp(what, "rate") && b) {
		for (unsigned int i = 0; i < flows; i++) {
			if (!strcmp(flow[i].name, a))
				far_rate(&flow[i], strtoull(b, NULL, 10));
		}
	} else if (!strcmp(what, "resume")) {
		far_resume();
	} else if (!strcmp(what, "pause")) {
		far_pause();
	} else if (!strcmp(what, "mark")) {
		far_mark();
	} else if (!strcmp(what, "cut") && at >= 0) {
		far_cut(&cable[at]);
	} else if (!strcmp(what, "join") && at >= 0) {
		far_join(&cable[at]);
	} else if (!strcmp(what, "quit")) {
		ended = 1;
		return;
	} else if (strcmp(what, "report")) {
		printf("{\"what\": \"error\", \"why\": \"no command of that name, or words missing\"}\n");
		fflush(stdout);
		return;
	}
	far_report(what, -1);
}

static void far_listen(void)
{
	static char line[256];
	static size_t have;
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char c;

	while (!ended && poll(&p, 1, 0) > 0) {
		if (read(0, &c, 1) != 1) {
			ended = 1;
		} else if (c == '\n') {
			line[have] = 0;
			have = 0;
			far_command(line);
		} else if (have < sizeof(line) - 1) {
			line[have++] = c;
		}
	}
}

static void far_add_cable(const char *text)
{
	const char *is = strchr(text, '=');

	if (cables == FAR_MAX || !is || is == text || (size_t)(is - text) >= sizeof(cable->name))
		far_usage(text, "give NAME=SPEC, 64 at most");
	memcpy(cable[cables].name, text, (size_t)(is - text));
	cable[cables++].spec = is + 1;
}

static void far_mac(const char *text, uint8_t *mac)
{
	if (port_mac_parse(text, strlen(text), mac))
		far_usage(text, "no MAC address");
}

static void far_ip(struct frame_flow *f, char *text)
{
	char *dst = strchr(text, '>'), *bits;
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (!dst)
		far_usage(text, "give SRC>DST[/BITS]");
	*dst++ = 0;
	bits = strchr(dst, '/');
	if (bits)
		*bits++ = 0;
	f->kind = family == AF_INET ? FRAME_IP4 : FRAME_IP6;
	f->dst_bits = bits ? (uint8_t)strtoul(bits, NULL, 10) : 128;
	if (inet_pton(family, text, f->src) != 1 || inet_pton(family, dst, f->dst) != 1)
		far_usage(dst, "no address, or one of another family");
}

static void far_key(struct flow *f, char *key)
{
	char *v = strchr(key, '='), *to;

	if (!v)
		far_usage(key, "no key with a value");
	*v++ = 0;
	if (!strcmp(key, "size")) {
		f->f.min = f->f.max = (uint32_t)strtoul(v, &to, 10);
		if (*to == '-')
			f->f.max = (uint32_t)strtoul(to + 1, NULL, 10);
		if (f->f.min < 60 || f->f.max < f->f.min || f->f.max > FRAME_MAX)
			far_usage(v, "no sizes from 60 to 9728");
	} else if (!strcmp(key, "jumbo")) {
		f->f.jumbo = (uint32_t)strtoul(v, NULL, 10);
		if (f->f.jumbo <= 1518 || f->f.jumbo > FRAME_MAX)
			far_usage(v, "no size from 1519 to 9728");
	} else if (!strcmp(key, "ip")) {
		far_ip(&f->f, v);
	} else if (!strcmp(key, "to")) {
		far_mac(v, f->f.to);
	} else if (!strcmp(key, "from")) {
		far_mac(v, f->f.from);
	} else if (!strcmp(key, "at")) {
		far_mac(v, f->f.at);
		f->f.check_at = true;
	} else {
		far_usage(key, "no such key");
	}
}

static void far_add_flow(char *text)
{
	struct flow *f = &flow[flows];
	char *name = strsep(&text, ":"), *from = strsep(&text, ":"), *to = strsep(&text, ":"), *rate, *key;
	int a = from ? far_cable(from, strlen(from)) : -1;

	if (flows == FAR_MAX || !text || strlen(name) >= sizeof(f->name))
		far_usage(name, "give NAME:FROM:TO:RATE, 64 at most");
	f->to = far_cable(to, strlen(to));
	if (a < 0 || (f->to < 0 && strcmp(to, "any")))
		far_usage(a < 0 ? from : to, "no cable of that name before it");
	strcpy(f->name, name);
	f->from = (unsigned int)a;
	f->f.id = flows++;
	memcpy(f->f.from, (uint8_t[]){ 2, 0x50, (uint8_t)f->f.id, 0, 0, 1 }, 6);
	memcpy(f->f.to, (uint8_t[]){ 2, 0x50, (uint8_t)f->f.id, 0, 0, 2 }, 6);
	rate = strsep(&text, ",");
	f->rate = strtoull(rate, NULL, 10);
	while ((key = strsep(&text, ",")))
		far_key(f, key);
	f->seen = malloc(FAR_WINDOW / 8);
	if (!f->seen)
		far_usage(name, strerror(ENOMEM));
	/* Bits are cleared when numbers come into the window; touched now, it does not grow later. */
	memset(f->seen, 0xff, FAR_WINDOW / 8);
	for (unsigned int i = 0; f->f.kind != FRAME_L2 && i < cables; i++)
		cable[i].routed |= f->to < 0 || (unsigned int)f->to == i || (unsigned int)a == i;
}

static void far_end(int sig)
{
	(void)sig;
	ended = 1;
}

int main(int argc, char **argv)
{
	uint64_t every = 0, next;

	prctl(PR_SET_TIMERSLACK, 1000);
	for (int i = 1; i < argc; i++) {
		const char *v = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--run")) {
			running = true;
			continue;
		}
		if (!v)
			far_usage(argv[i], "no such option, or no value");
		i++;
		if (!strcmp(argv[i - 1], "--cable"))
			far_add_cable(v);
		else if (!strcmp(argv[i - 1], "--flow"))
			far_add_flow(argv[i]);
		else if (!strcmp(argv[i - 1], "--seed"))
			seed = (uint32_t)strtoul(v, NULL, 10);
		else if (!strcmp(argv[i - 1], "--every"))
			every = strtoull(v, NULL, 10) * 1000000u;
		else if (!strcmp(argv[i - 1], "--bufs"))
			bufs = (uint32_t)strtoul(v, NULL, 10);
		else
			far_usage(argv[i - 1], "no such option");
	}
	if (!cables || !flows || bufs < 64)
		far_usage("far", "give --cable and --flow, --bufs of 64 or more");
	signal(SIGTERM, far_end);
	signal(SIGINT, far_end);
	for (unsigned int i = 0; i < cables; i++)
		far_join(&cable[i]);
	start_ns = last_turn_ns = env_now_ns();
	next = start_ns + every;
	far_mark();
	if (running)
		far_resume();
	while (!ended) {
		bool busy = far_turn();

		far_listen();
		if (every && env_now_ns() >= next) {
			next += every;
			far_report("every", -1);
		}
		if (!busy)
			far_nap();
	}
	far_report("quit", -1);
	for (unsigned int i = 0; i < cables; i++)
		far_cut(&cable[i]);
	return 0;
}
