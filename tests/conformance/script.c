/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "script.h"

#define MAX_WORDS 32
#define DELTAS 32

struct run {
	const struct mesh_ops *ops;
	struct mesh_cfg cfg;
	struct mesh *m;
	bool up, faults_ignored;
	char *word[MAX_WORDS];
	unsigned int words;
	struct { char name[48]; uint64_t v; } delta[DELTAS];
	unsigned int deltas;
	struct { unsigned int nic, port, to_nic, to_port; } pair[P2P_MAX_NICS * P2P_MAX_PORTS];
	unsigned int pairs;
	char error[384];
};

static int bad(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error, sizeof(r->error), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* "key=value" among the words: the value; "key" alone: "". */
static const char *option(struct run *r, const char *key)
{
	size_t n = strlen(key);
	unsigned int i;

	for (i = 1; i < r->words; i++) {
		if (strncmp(r->word[i], key, n))
			continue;
		if (!r->word[i][n])
			return "";
		if (r->word[i][n] == '=')
			return r->word[i] + n + 1;
	}
	return NULL;
}

static uint64_t number(struct run *r, const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 0);

	if (!strcmp(end, "us"))
		v *= 1000;
	else if (!strcmp(end, "ms"))
		v *= 1000000;
	else if (!strcmp(end, "s"))
		v *= 1000000000;
	else if (*end && strcmp(end, "ns"))
		bad(r, "'%s' is no number", s);
	return v;
}

static uint64_t option_number(struct run *r, const char *key, uint64_t def)
{
	const char *v = option(r, key);

	return v && *v ? number(r, v) : def;
}

static const char *arg(struct run *r, unsigned int i)
{
	if (i < r->words)
		return r->word[i];
	bad(r, "%s: argument %u is missing", r->word[0], i);
	return "";
}

static unsigned int nic_arg(struct run *r, unsigned int i)
{
	const char *s = arg(r, i);
	unsigned int n = (unsigned int)(s[0] - 'a');

	if (n >= r->cfg.nics)
		bad(r, "'%s' is no NIC", s);
	return n < r->cfg.nics ? n : 0;
}

static struct mesh_port *port_arg(struct run *r, unsigned int i)
{
	const char *s = arg(r, i);
	unsigned int n = (unsigned int)(s[0] - 'a'), p = 0;

	if (n >= r->cfg.nics || s[1] != '.' || (p = (unsigned int)(s[2] - '0')) >= r->cfg.ports || s[3]) {
		bad(r, "'%s' is no port", s);
		n = p = 0;
	}
	return r->m ? &r->m->port[n][p] : NULL;
}

static bool compare(struct run *r, uint64_t a, const char *op, uint64_t b)
{
	if (!strcmp(op, "="))
		return a == b;
	if (!strcmp(op, "<"))
		return a < b;
	if (!strcmp(op, ">"))
		return a > b;
	if (!strcmp(op, "<="))
		return a <= b;
	if (!strcmp(op, ">="))
		return a >= b;
	bad(r, "'%s' is no comparison", op);
	return false;
}

static int do_mesh(struct run *r)
{
	struct mesh_cfg *c = &r->cfg;
	struct mesh_cfg keep = *c;
	const char *v = option(r, "stride");

	mesh_cfg_default(c, (unsigned int)option_number(r, "nics", 2), (unsigned int)option_number(r, "ports", 1));
	c->mode = keep.mode;
	c->seed = keep.seed;
	c->slots = (uint32_t)option_number(r, "slots", c->slots);
	c->buf_size = (uint32_t)option_number(r, "buf", c->buf_size);
	c->batch = (uint32_t)option_number(r, "batch", c->batch);
	c->stride = v ? (uint32_t)number(r, v) : c->stride;
	c->rx_bufs = (uint32_t)option_number(r, "rxbufs", c->rx_bufs);
	c->age_s = (uint32_t)option_number(r, "age", c->age_s);
	c->flood_pps = (uint32_t)option_number(r, "flood", c->flood_pps);
	c->tx_room = (uint32_t)option_number(r, "txroom", c->tx_room);
	c->tx_frame_ns = option_number(r, "txframe", c->tx_frame_ns);
	c->flags |= option(r, "bridge") ? P2P_FLAG_BRIDGE : 0;
	c->flags |= option(r, "backpressure") ? P2P_FLAG_BACKPRESSURE : 0;
	c->flags &= option(r, "noscrub") ? ~P2P_FLAG_SCRUB : ~0u;
	c->in_order = option(r, "order") != NULL;
	c->sleep = option(r, "sleep") != NULL;
	c->stall = option(r, "stall") != NULL && r->ops->late;
	r->m = mesh_create(r->ops, c);
	return mesh_configure(r->m);
}

static int do_nothing(struct run *r)
{
	return 0;
}

static int do_pair(struct run *r)
{
	struct mesh_port *a = port_arg(r, 1), *b = port_arg(r, 2);

	if (!a || !b || r->pairs == P2P_ARRAY_SIZE(r->pair))
		return bad(r, "pair before mesh");
	mesh_pair(r->m, a->nic, a->port, b->nic, b->port);
	r->pair[r->pairs].nic = a->nic;
	r->pair[r->pairs].port = a->port;
	r->pair[r->pairs].to_nic = b->nic;
	r->pair[r->pairs++].to_port = b->port;
	return 0;
}

/* stray a.0 5: a pair with a NIC that the mesh may not have. */
static int do_stray(struct run *r)
{
	struct mesh_port *a = port_arg(r, 1);

	mesh_pair(r->m, a->nic, a->port, (unsigned int)number(r, arg(r, 2)), 0);
	return 0;
}

/* far a b 0xffffffc0: the slots of the rings from a to b go on from there. */
static int do_far(struct run *r)
{
	unsigned int from = nic_arg(r, 1), to = nic_arg(r, 2);

	if (!r->ops->far || !r->ops->far(r->m->mb, from, to, (uint32_t)number(r, arg(r, 3))))
		return bad(r, "far: this board can't, or something is under way");
	return 0;
}

/* A restart of the NIC brings it back. */
static int do_unpair(struct run *r)
{
	struct mesh_port *a = port_arg(r, 1);

	r->ops->reg_write(r->m->mb, a->nic, P2P_PORT_BLOCK + a->port * P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR, 4, 0);
	return 0;
}

static int do_up(struct run *r)
{
	r->up = true;
	return mesh_up(r->m);
}

static void mac_option(struct run *r, const char *key, uint8_t mac[6], unsigned int def)
{
	const char *v = option(r, key);
	unsigned int b[6], i;

	mesh_station(mac, def);
	if (v && sscanf(v, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) == 6)
		for (i = 0; i < 6; i++)
			mac[i] = (uint8_t)b[i];
	else if (v)
		mesh_station(mac, (unsigned int)number(r, v));
}

static int do_frame(struct run *r)
{
	struct mesh_port *p = port_arg(r, 1);
	uint64_t n = option_number(r, "n", 1), every = option_number(r, "every", 0), i;
	uint32_t len = (uint32_t)number(r, arg(r, 2));
	uint8_t dst[6], src[6];

	mac_option(r, "to", dst, 1000);
	mac_option(r, "from", src, 2000 + p->nic * P2P_MAX_PORTS + p->port);
	for (i = 0; i < n; i++)
		mesh_send_at(r->m, p->nic, p->port, dst, src, len, *r->m->now + i * every);
	return 0;
}

static int do_link(struct run *r)
{
	script_port_link(port_arg(r, 1)->sp, !strcmp(arg(r, 2), "up"));
	return 0;
}

static int do_stand(struct run *r)
{
	script_port_stand(port_arg(r, 1)->sp, !strcmp(arg(r, 2), "on"));
	return 0;
}

static int do_pace(struct run *r)
{
	script_port_pace(port_arg(r, 1)->sp, number(r, arg(r, 2)));
	return 0;
}

static bool is_host(struct run *r)
{
	return r->cfg.mode == P2P_MODE_BN && !strcmp(arg(r, 1), "host");
}

static int do_stall(struct run *r)
{
	mesh_stall(r->m, is_host(r) ? r->cfg.nics : nic_arg(r, 1), number(r, arg(r, 2)));
	return 0;
}

static int do_kill(struct run *r)
{
	if (is_host(r)) {
		mesh_host_kill(r->m);
		return 0;
	}
	mesh_kill(r->m, nic_arg(r, 1));
	return 0;
}

static int do_restart(struct run *r)
{
	unsigned int n, i;
	int err;

	if (is_host(r)) {
		mesh_host_start(r->m);
		return mesh_wait_up(r->m, 2000000000ull);
	}
	n = nic_arg(r, 1);
	err = mesh_restart(r->m, n);
	if (err)
		return err;
	for (i = 0; i < r->pairs; i++)
		if (r->pair[i].nic == n)
			mesh_pair(r->m, n, r->pair[i].port, r->pair[i].to_nic, r->pair[i].to_port);
	mesh_enable(r->m, n, true);
	return mesh_wait_up(r->m, 2000000000ull);
}

static int do_enable(struct run *r)
{
	mesh_enable(r->m, nic_arg(r, 1), true);
	return 0;
}

static int do_disable(struct run *r)
{
	mesh_enable(r->m, nic_arg(r, 1), false);
	return 0;
}

static int do_fault(struct run *r)
{
	if (!r->ops->fault_rules)
		return bad(r, "fault: this board injects none");
	if (!strcmp(arg(r, 1), "none"))
		mesh_fault_none(r->m);
	else
		mesh_fault(r->m, "%s", arg(r, 1));
	return 0;
}

static int do_run(struct run *r)
{
	mesh_run(r->m, number(r, arg(r, 1)));
	return 0;
}

static int do_settle(struct run *r)
{
	if (!mesh_settle(r->m, r->words > 1 ? number(r, arg(r, 1)) : 4000000, 20000000000ull))
		return bad(r, "does not settle");
	return 0;
}

static int do_drain(struct run *r)
{
	if (!mesh_drain(r->m, number(r, arg(r, 1))))
		return bad(r, "%llu frames are still held", (unsigned long long)mesh_held(r->m));
	return 0;
}

static int do_out(struct run *r)
{
	struct mesh_port *p = port_arg(r, 1);
	uint32_t n = (uint32_t)number(r, arg(r, 2)), got = mesh_untaken(r->m, p->nic, p->port);
	uint64_t len = option_number(r, "len", 0);

	if (got != n)
		return bad(r, "%u frames left %s, not %u", got, r->word[1], n);
	for (; p->taken < p->outs; p->taken++)
		if (len && p->out[p->taken].len != len)
			return bad(r, "a frame of %u bytes left %s", p->out[p->taken].len, r->word[1]);
	return 0;
}

static int do_fair(struct run *r)
{
	struct mesh_port *p = port_arg(r, 1), *a = port_arg(r, 2), *b = port_arg(r, 3);
	uint64_t na = 0, nb = 0, percent = number(r, arg(r, 4));

	for (; p->taken < p->outs; p->taken++) {
		const struct mesh_out *o = &p->out[p->taken];

		na += o->in_nic == a->nic && o->in_port == a->port;
		nb += o->in_nic == b->nic && o->in_port == b->port;
	}
	if (!na || !nb || (na > nb ? na - nb : nb - na) * 100 > percent * (na + nb) / 2)
		return bad(r, "shares of %s and %s: %llu and %llu", r->word[2], r->word[3], (unsigned long long)na,
			   (unsigned long long)nb);
	return 0;
}

static int do_silent(struct run *r)
{
	unsigned int i, p;

	for (i = 0; i < r->cfg.nics; i++)
		for (p = 0; p < r->cfg.ports; p++)
			if (mesh_untaken(r->m, i, p))
				return bad(r, "%u frames left %c.%u", mesh_untaken(r->m, i, p), 'a' + i, p);
	return 0;
}

static int do_pending(struct run *r)
{
	uint32_t got = script_port_pending(port_arg(r, 1)->sp);

	if (got != number(r, arg(r, 2)))
		return bad(r, "%u frames wait on %s", got, r->word[1]);
	return 0;
}

/* What stands behind a word's beginning, NULL: it begins otherwise. */
static const char *behind(const char *name, const char *begin)
{
	size_t n = strlen(begin);

	return strncmp(name, begin, n) ? NULL : name + n;
}

static int counter(struct run *r, const char *name, int nic, uint64_t *v)
{
#define PORT(n, desc) { #n, offsetof(struct port_stats, n) },
	static const struct { const char *name; size_t off; } port[] = { PORT_COUNTERS(PORT) };
#undef PORT
#define NAME(n, desc) #n,
	static const char *const drop[] = { P2P_DROPS(NAME) };
	static const char *const event[] = { P2P_EVENTS(NAME) };
#undef NAME
	const char *dropped = behind(name, "drop."), *happened = behind(name, "event.");
	unsigned int k;

	for (k = 0; dropped && k < P2P_NUM_DROPS; k++)
		if (!strcmp(dropped, drop[k]))
			return *v = mesh_drops(r->m, nic, k), 0;
	for (k = 0; happened && k < P2P_NUM_EVENTS; k++)
		if (!strcmp(happened, event[k]))
			return *v = mesh_event(r->m, nic, k), 0;
	for (k = 0; k < P2P_ARRAY_SIZE(port); k++)
		if (!strcmp(name, port[k].name))
			return *v = mesh_port_sum(r->m, port[k].off), 0;
	if (!strcmp(name, "wakes"))
		return *v = mesh_wakes(r->m, nic), 0;
	return bad(r, "'%s' is no counter", name);
}

static int do_count(struct run *r)
{
	const char *nic = option(r, "nic");
	uint64_t v;
	int err = counter(r, arg(r, 1), nic ? nic[0] - 'a' : -1, &v);

	if (err)
		return err;
	if (!compare(r, v, arg(r, 2), number(r, arg(r, 3))))
		return bad(r, "%s is %llu, not %s %s", r->word[1], (unsigned long long)v, r->word[2], r->word[3]);
	return 0;
}

static int do_delta(struct run *r)
{
	uint64_t v, from;
	unsigned int k;
	int err = counter(r, arg(r, 1), -1, &v);

	if (err)
		return err;
	for (k = 0; k < r->deltas && strcmp(r->delta[k].name, r->word[1]); k++)
		;
	if (k == r->deltas) {
		if (k == DELTAS)
			return bad(r, "too many deltas");
		snprintf(r->delta[r->deltas++].name, sizeof(r->delta[0].name), "%s", r->word[1]);
	}
	from = r->delta[k].v;
	r->delta[k].v = v;
	if (r->words > 2 && !compare(r, v - from, arg(r, 2), number(r, arg(r, 3))))
		return bad(r, "%s went up by %llu, not %s %s", r->word[1], (unsigned long long)(v - from), r->word[2],
			   r->word[3]);
	return 0;
}

static int do_peer(struct run *r)
{
	static const char *const states[] = { "absent", "waiting", "up", "down" };
	unsigned int a = nic_arg(r, 1), b = nic_arg(r, 2);
	uint64_t s = r->ops->reg_read(r->m->mb, a, P2P_PEER_BLOCK + b * P2P_PEER_BLOCK_BYTES + P2P_PEER_STATE, 4);

	if (s >= P2P_ARRAY_SIZE(states) || strcmp(states[s], arg(r, 3)))
		return bad(r, "peer %s of %s is %s", r->word[2], r->word[1], s < 4 ? states[s] : "?");
	return 0;
}

static int do_reg(struct run *r)
{
	uint64_t v = r->ops->reg_read(r->m->mb, nic_arg(r, 1), (uint32_t)number(r, arg(r, 2)), 4);

	if (v != number(r, arg(r, 4)))
		return bad(r, "register %s is %llx", r->word[2], (unsigned long long)v);
	return 0;
}

static int do_books(struct run *r)
{
	if (mesh_books(r->m) || mesh_held(r->m))
		return bad(r, "books are off by %lld, %llu held", (long long)mesh_books(r->m),
			   (unsigned long long)mesh_held(r->m));
	return 0;
}

static int do_faults(struct run *r)
{
	if (!strcmp(arg(r, 1), "ignore"))
		r->faults_ignored = true;
	else
		mesh_check_faults(r->m);
	return 0;
}

static const struct {
	const char *name;
	unsigned int when; /* 1: before the mesh, 2: with it, 4: after up */
	int (*fn)(struct run *r);
} commands[] = {
	{ "mesh", 1, do_mesh }, { "modes", 1, do_nothing }, { "boards", 1, do_nothing }, { "seeds", 1, do_nothing },
	{ "untraced", 1, do_nothing }, { "nocut", 1, do_nothing }, { "pair", 6, do_pair },
	{ "unpair", 6, do_unpair }, { "stray", 6, do_stray }, { "far", 4, do_far }, { "up", 2, do_up }, { "frame", 6, do_frame },
	{ "link", 6, do_link }, { "stand", 6, do_stand }, { "pace", 6, do_pace }, { "stall", 6, do_stall },
	{ "kill", 4, do_kill }, { "restart", 4, do_restart }, { "enable", 6, do_enable }, { "disable", 6, do_disable },
	{ "fault", 6, do_fault }, { "run", 6, do_run }, { "settle", 6, do_settle }, { "drain", 4, do_drain },
	{ "out", 4, do_out }, { "fair", 4, do_fair }, { "silent", 4, do_silent }, { "pending", 6, do_pending },
	{ "count", 6, do_count }, { "delta", 6, do_delta }, { "peer", 6, do_peer }, { "reg", 6, do_reg },
	{ "books", 4, do_books }, { "faults", 6, do_faults },
};

static unsigned int split(char *line, char *word[MAX_WORDS])
{
	unsigned int n = 0;
	char *w;

	line[strcspn(line, "#\n")] = 0;
	for (w = strtok(line, " \t"); w && n < MAX_WORDS; w = strtok(NULL, " \t"))
		word[n++] = w;
	return n;
}

static int run_line(struct run *r)
{
	unsigned int k, now = r->up ? 4 : r->m ? 2 : 1;
	int err;

	for (k = 0; k < P2P_ARRAY_SIZE(commands); k++) {
		if (strcmp(commands[k].name, r->word[0]))
			continue;
		if (!(commands[k].when & now))
			return bad(r, "%s comes too early or too late", r->word[0]);
		err = commands[k].fn(r);
		if (r->m && mesh_failure(r->m))
			return bad(r, "%s", mesh_failure(r->m));
		return err ? err : r->error[0] ? -EINVAL : 0;
	}
	return bad(r, "'%s' is no command", r->word[0]);
}

/* "p2p:" and "bn:" before a command. */
static bool for_mode(struct run *r)
{
	bool p2p = !strcmp(r->word[0], "p2p:");

	if (!p2p && strcmp(r->word[0], "bn:"))
		return true;
	memmove(r->word, r->word + 1, --r->words * sizeof(r->word[0]));
	return r->words && p2p == (r->cfg.mode != P2P_MODE_BN);
}

int script_head(const char *path, struct script_head *head)
{
	char line[512], *word[MAX_WORDS];
	unsigned int n, i;
	FILE *f = fopen(path, "r");

	if (!f)
		return -errno;
	*head = (struct script_head){ .modes = (1u << P2P_NUM_MODES) - 1, .seeds = 4 };
	while (fgets(line, sizeof(line), f)) {
		n = split(line, word);
		if (!n)
			continue;
		if (!strcmp(word[0], "modes"))
			for (head->modes = 0, i = 1; i < n; i++)
				head->modes |= !strcmp(word[i], "wr") ? 1 : !strcmp(word[i], "rd") ? 2 : 4;
		else if (!strcmp(word[0], "seeds") && n > 1)
			head->seeds = (unsigned int)strtoul(word[1], NULL, 0);
		else if (!strcmp(word[0], "untraced"))
			head->untraced = true;
		else if (!strcmp(word[0], "nocut"))
			head->nocut = true;
		else if (!strcmp(word[0], "boards") && n > 1)
			snprintf(head->boards, sizeof(head->boards), "%s %s", word[1], n > 2 ? word[2] : "");
	}
	fclose(f);
	return 0;
}

static void trace_port(FILE *f, struct mesh *m, struct mesh_port *p)
{
	unsigned int i, x;
	uint32_t k;

	for (i = 0; i < m->cfg.nics; i++)
		for (x = 0; x < m->cfg.ports; x++)
			for (k = 0; k < p->outs; k++)
				if (p->out[k].in_nic == i && p->out[k].in_port == x)
					fprintf(f, "out %c.%u from %c.%u #%u %u %016llx\n", 'a' + p->nic, p->port,
						'a' + i, x, p->out[k].seq, p->out[k].len,
						(unsigned long long)p->out[k].hash);
}

static char *make_trace(struct run *r)
{
	static const enum p2p_event steady[] = { P2P_EV_forwarded, P2P_EV_flood_copies, P2P_EV_learned, P2P_EV_aged,
		P2P_EV_flushed, P2P_EV_announce, P2P_EV_peer_up, P2P_EV_peer_down };
#define NAME(n, desc) #n,
	static const char *const drop[] = { P2P_DROPS(NAME) };
	static const char *const event[] = { P2P_EVENTS(NAME) };
#undef NAME
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	unsigned int i, p, k;

	if (!f)
		abort();
	for (i = 0; i < r->cfg.nics; i++)
		for (p = 0; p < r->cfg.ports; p++)
			trace_port(f, r->m, &r->m->port[i][p]);
	for (k = 0; k < P2P_NUM_DROPS; k++)
		fprintf(f, "drop %s %llu\n", drop[k], (unsigned long long)mesh_drops(r->m, -1, k));
	for (k = 0; k < P2P_ARRAY_SIZE(steady); k++)
		fprintf(f, "event %s %llu\n", event[steady[k]], (unsigned long long)mesh_event(r->m, -1, steady[k]));
	fclose(f);
	return text;
}

static void full_nic(FILE *f, struct mesh *m, unsigned int i)
{
#define NAME(n, desc) #n,
	static const char *const drop[] = { P2P_DROPS(NAME) };
	static const char *const event[] = { P2P_EVENTS(NAME) };
#undef NAME
	struct fw_peer_info info;
	unsigned int k, p;

	for (k = 0; k < P2P_NUM_DROPS; k++)
		fprintf(f, "nic %c drop %s %llu\n", 'a' + i, drop[k], (unsigned long long)m->ops->drops(m->mb, i)[k]);
	for (k = 0; k < P2P_NUM_EVENTS; k++)
		fprintf(f, "nic %c event %s %llu\n", 'a' + i, event[k], (unsigned long long)m->ops->events(m->mb, i)[k]);
	fprintf(f, "nic %c held %llu faults %llu\n", 'a' + i, (unsigned long long)m->ops->held(m->mb, i),
		(unsigned long long)m->ops->faults(m->mb, i));
	for (k = 0; k < m->cfg.nics; k++)
		if (!m->ops->peer(m->mb, i, k, &info))
			fprintf(f, "nic %c peer %c state %d inc %x %x since %llu sent %llu received %llu\n", 'a' + i, 'a' + k,
				(int)info.state, info.inc, info.peer_inc, (unsigned long long)info.since_ns,
				(unsigned long long)info.sent_frames, (unsigned long long)info.recv_frames);
	for (p = 0; p < m->cfg.ports; p++) {
		const struct port_stats *s = script_port_stats(m->port[i][p].sp);

#define X(n, desc) fprintf(f, "port %c.%u " #n " %llu\n", 'a' + i, p, (unsigned long long)s->n);
		PORT_COUNTERS(X)
#undef X
	}
}

/* Everything that can be seen from outside: the same on boards that carry out at once. */
static char *make_full_trace(struct run *r)
{
	struct bn_host_stats host = mesh_host_stats(r->m);
	const uint64_t *h = (const uint64_t *)&host;
	struct mesh *m = r->m;
	char *text = NULL;
	unsigned int i, p, k;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	for (i = 0; i < m->cfg.nics; i++) {
		for (p = 0; p < m->cfg.ports; p++) {
			const struct mesh_port *mp = &m->port[i][p];

			for (k = 0; k < mp->outs; k++)
				fprintf(f, "out %c.%u at %llu from %c.%u #%u %u %016llx\n", 'a' + i, p,
					(unsigned long long)mp->out[k].at_ns, 'a' + mp->out[k].in_nic, mp->out[k].in_port,
					mp->out[k].seq, mp->out[k].len, (unsigned long long)mp->out[k].hash);
		}
		full_nic(f, m, i);
	}
	for (k = 0; k < sizeof(host) / sizeof(*h); k++)
		fprintf(f, "host counter %u %llu\n", k, (unsigned long long)h[k]);
	for (k = 0; k < P2P_NUM_EVENTS; k++)
		fprintf(f, "former lives event %u %llu\n", k, (unsigned long long)m->past_events[k]);
	for (k = 0; k < P2P_NUM_DROPS; k++)
		fprintf(f, "former lives drop %u %llu\n", k, (unsigned long long)m->past_drops[k]);
	fprintf(f, "ended at %llu\n", (unsigned long long)*m->now);
	fclose(f);
	return text;
}

void script_run(const char *path, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed,
		struct script_result *result)
{
	struct run r = { .ops = ops, .cfg = { .mode = mode, .seed = seed } };
	char line[512];
	unsigned int at = 0;
	FILE *f = fopen(path, "r");
	int err = 0;

	*result = (struct script_result){ 0 };
	if (!f) {
		snprintf(result->error, sizeof(result->error), "%s: %s", path, strerror(errno));
		return;
	}
	while (!err && fgets(line, sizeof(line), f)) {
		at++;
		r.words = split(line, r.word);
		if (r.words && for_mode(&r))
			err = run_line(&r);
	}
	fclose(f);
	if (!err && r.m && !r.faults_ignored) {
		mesh_check_faults(r.m);
		if (mesh_failure(r.m))
			err = bad(&r, "%s", mesh_failure(r.m));
	}
	if (err)
		snprintf(result->error, sizeof(result->error), "%s:%u: %s", path, at,
			 r.error[0] ? r.error : r.m && mesh_failure(r.m) ? mesh_failure(r.m) : strerror(-err));
	if (err && r.m && getenv("MESH_VERBOSE"))
		mesh_print_counters(r.m);
	if (!err && r.m) {
		result->trace = make_trace(&r);
		result->full = make_full_trace(&r);
	}
	if (r.m)
		mesh_destroy(r.m);
}
