/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: one thread, many observers, none of which can hold up
 * another.  An observer's next request is read only when its last answer has
 * left; one that does not read for OBSERVER_SLOW_MS is closed, and so is the one that was idle longest when all places are taken.
 */
#include "internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16
#define MAX_OBSERVERS 64
#define MAX_NICS 64
#define MAX_WORKERS 128
#define LINE_BYTES 4096
#define OBSERVER_SLOW_MS 10000
#define ACCEPT_PAUSE_MS 100 /* no descriptor for a connection: the next try */

struct observer {
	int fd; /* -1: free */
	char in[LINE_BYTES];
	size_t in_len;
	char *out;
	size_t out_len, out_at;
	uint64_t out_since_ns;
	uint64_t since_ns; /* it came, or last sent or took something */
};

struct soft_ctl {
	struct sock_listener listener;
	int stop_fd;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* of all from here to more */
	struct soft_nic *nic[MAX_NICS];
	unsigned int nics;
	const struct soft_worker *worker[MAX_WORKERS];
	unsigned int workers;
	const struct soft_nic *more_of;
	struct soft_ctl_more more;
	struct observer ob[MAX_OBSERVERS];
	uint64_t accept_after_ns;
};

static const char *const mode_names[P2P_NUM_MODES] = { "wr", "rd", "bn" };
static const char *const peer_states[] = { "absent", "waiting", "up", "down" };

static void put_u64(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static void put_text(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

/* --- answers --- */

static struct json_object *port_json(const struct soft_port_stats *p)
{
	static const struct { const char *name, *why; } placement[P2P_NUM_PLACEMENTS] = {
#define X(name, text, desc) { text, desc },
		P2P_PLACEMENTS(X)
#undef X
	};
	struct json_object *o = json_object_new_object();

	put_text(o, "name", p->name);
	json_object_object_add(o, "link", json_object_new_boolean(p->link_up));
	put_text(o, "placement", placement[p->placement].name);
	put_text(o, "placement_why", placement[p->placement].why);
#define X(field, desc) put_u64(o, #field, p->s.field);
	PORT_COUNTERS(X)
#undef X
	return o;
}

static struct json_object *counters_json(const uint64_t *v, const char *const *names, unsigned int n)
{
	struct json_object *o = json_object_new_object();

	for (unsigned int i = 0; i < n; i++)
		put_u64(o, names[i], v[i]);
	return o;
}

static struct json_object *nic_json(const struct soft_nic_stats *s)
{
#define X(name, desc) #name,
	static const char *const drops[] = { P2P_DROPS(X) };
	static const char *const events[] = { P2P_EVENTS(X) };
#undef X
#define X(name, pps, desc) #name,
	static const char *const punts[] = { P2P_PUNTS(X) };
#undef X
	struct json_object *o = json_object_new_object(), *ports = json_object_new_array(),
			   *peers = json_object_new_array(), *cores = json_object_new_array();

	put_text(o, "name", s->name);
	put_text(o, "state", s->state);
	put_text(o, "mode", s->mode < P2P_NUM_MODES ? mode_names[s->mode] : "?");
	put_u64(o, "index", s->index);
	put_u64(o, "nics", s->nics);
	put_u64(o, "slots", s->slots);
	put_u64(o, "buf_size", s->buf_size);
	put_u64(o, "queues", s->queues);
	for (unsigned int q = 0; q < s->queues; q++)
		json_object_array_add(cores, json_object_new_int(s->core[q]));
	json_object_object_add(o, "cores", cores);
	/* Of one NIC alone it may be below zero: what it took out of rings that others filled. */
	json_object_object_add(o, "held", json_object_new_int64((int64_t)s->held));
	put_u64(o, "p2p_bytes", s->events[P2P_EV_p2p_bytes]);
	put_u64(o, "host_bytes", s->events[P2P_EV_host_bytes]);
	put_u64(o, "dma_faults", s->events[P2P_EV_dma_faults]);
	put_u64(o, "fault_hits", s->fault_hits);
	json_object_object_add(o, "drops", counters_json(s->drops, drops, P2P_NUM_DROPS));
	json_object_object_add(o, "punts", counters_json(s->punts, punts, P2P_NUM_PUNTS));
	json_object_object_add(o, "events", counters_json(s->events, events, P2P_NUM_EVENTS));
	for (unsigned int p = 0; p < s->ports; p++)
		json_object_array_add(ports, port_json(&s->port[p]));
	json_object_object_add(o, "ports", ports);
	for (unsigned int i = 0; i < s->nics && i < P2P_MAX_NICS; i++) {
		const struct soft_peer_stats *peer = &s->peer[i];
		struct json_object *j = json_object_new_object();

		put_u64(j, "index", i);
		put_text(j, "state", peer->state <= P2P_PEER_DOWN ? peer_states[peer->state] : "?");
		put_u64(j, "sent_frames", peer->sent_frames);
		put_u64(j, "recv_frames", peer->recv_frames);
		json_object_array_add(peers, j);
	}
	json_object_object_add(o, "peers", peers);
	return o;
}

static struct json_object *workers_json(struct soft_ctl *c)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < c->workers; i++) {
		struct json_object *o = json_object_new_object();
		struct soft_worker_stats s;

		soft_worker_stats(c->worker[i], &s);
		json_object_object_add(o, "core", json_object_new_int(s.core));
		put_u64(o, "loops", s.loops);
		put_u64(o, "busy_loops", s.busy_loops);
		put_u64(o, "busy_cycles", s.busy_ticks);
		put_u64(o, "tsc_hz", s.tick_hz);
		put_text(o, "cycle_unit", s.tick);
		json_object_array_add(list, o);
	}
	return list;
}

static struct json_object *stats_json(struct soft_ctl *c)
{
	struct json_object *o = json_object_new_object(), *nics = json_object_new_array();
	struct soft_nic_stats *s = malloc(sizeof(*s));
	uint64_t v[SOFT_CTL_MORE_MAX];

	for (unsigned int i = 0; s && i < c->nics; i++) {
		struct json_object *nic;

		soft_nic_stats(c->nic[i], s);
		nic = nic_json(s);
		if (c->nic[i] == c->more_of) {
			c->more.read(c->more.arg, v);
			json_object_object_add(nic, c->more.key, counters_json(v, c->more.names, c->more.n));
		}
		json_object_array_add(nics, nic);
	}
	free(s);
	json_object_object_add(o, "nics", nics);
	json_object_object_add(o, "workers", workers_json(c));
	return o;
}

static struct json_object *info_json(struct soft_ctl *c)
{
	struct json_object *o = json_object_new_object(), *nics = json_object_new_array();

	put_u64(o, "pid", getpid());
	put_text(o, "version", P2PNIC_VERSION);
	for (unsigned int i = 0; i < c->nics; i++)
		json_object_array_add(nics, json_object_new_string(soft_nic_name(c->nic[i])));
	json_object_object_add(o, "nics", nics);
	if (c->nics) {
		uint32_t mode = __atomic_load_n(&c->nic[0]->context[0].pub.mode, __ATOMIC_RELAXED);

		put_text(o, "mode", mode < P2P_NUM_MODES ? mode_names[mode] : "?");
	}
	return o;
}

struct reg_name {
	const char *name;
	uint32_t off, bytes;
};

static void reg_add(struct soft_nic *nic, struct json_object *list, const struct reg_name *r, uint32_t base,
		    const char *block, unsigned int index)
{
	struct json_object *o = json_object_new_object();
	char name[64];

	if (block)
		snprintf(name, sizeof(name), "%s[%u]", r->name, index);
	else
		snprintf(name, sizeof(name), "%s", r->name);
	put_text(o, "name", name);
	put_u64(o, "offset", base + r->off);
	put_u64(o, "bytes", r->bytes);
	put_u64(o, "value", fw_reg_read_all(nic->fw, nic->queues, base + r->off, r->bytes));
	json_object_array_add(list, o);
}

static int regs_call(struct soft_nic *nic, void *arg)
{
#define X(name, off, bytes, access, reset, desc) { #name, off, bytes },
	static const struct reg_name regs[] = { P2P_REGS(X) };
	static const struct reg_name port_regs[] = { P2P_PORT_REGS(X) };
	static const struct reg_name peer_regs[] = { P2P_PEER_REGS(X) };
#undef X
	struct json_object *list = arg;
	unsigned int nics = fw_reg_read(nic->fw[0], P2P_NUM_NICS, 4);

	for (unsigned int i = 0; i < P2P_ARRAY_SIZE(regs); i++)
		reg_add(nic, list, &regs[i], 0, NULL, 0);
	for (unsigned int p = 0; p < nic->ports; p++)
		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(port_regs); i++)
			reg_add(nic, list, &port_regs[i], P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES, "port", p);
	for (unsigned int n = 0; n < nics && n < P2P_MAX_NICS; n++)
		for (unsigned int i = 0; i < P2P_ARRAY_SIZE(peer_regs); i++)
			reg_add(nic, list, &peer_regs[i], P2P_PEER_BLOCK + n * P2P_PEER_BLOCK_BYTES, "peer", n);
	return 0;
}

static struct json_object *error_json(const char *text)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "error", text);
	return o;
}

static struct json_object *regs_json(struct soft_ctl *c, struct json_object *req)
{
	struct json_object *name, *o, *list;

	if (!json_object_object_get_ex(req, "nic", &name) || !json_object_is_type(name, json_type_string))
		return error_json("\"regs\" wants the NIC's name: {\"get\":\"regs\",\"nic\":NAME}");
	for (unsigned int i = 0; i < c->nics; i++) {
		if (strcmp(soft_nic_name(c->nic[i]), json_object_get_string(name)) != 0)
			continue;
		o = json_object_new_object();
		list = json_object_new_array();
		put_text(o, "nic", soft_nic_name(c->nic[i]));
		soft_nic_call(c->nic[i], regs_call, list);
		json_object_object_add(o, "regs", list);
		return o;
	}
	return error_json("no NIC of that name here; {\"get\":\"info\"} lists them");
}

static struct json_object *answer(struct soft_ctl *c, const char *line, size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(8);
	struct json_object *req = NULL, *get, *o;
	const char *what = NULL;

	if (tok && len) {
		json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
		req = json_tokener_parse_ex(tok, line, len);
		if (json_tokener_get_error(tok) != json_tokener_success || json_tokener_get_parse_end(tok) != len) {
			json_object_put(req);
			req = NULL;
		}
	}
	if (json_object_is_type(req, json_type_object) && json_object_object_get_ex(req, "get", &get) &&
	    json_object_is_type(get, json_type_string))
		what = json_object_get_string(get);
	pthread_mutex_lock(&c->lock);
	if (what && strcmp(what, "stats") == 0)
		o = stats_json(c);
	else if (what && strcmp(what, "info") == 0)
		o = info_json(c);
	else if (what && strcmp(what, "regs") == 0)
		o = regs_json(c, req);
	else
		o = error_json("one JSON object per line: {\"get\":\"stats\"}, {\"get\":\"info\"} or {\"get\":\"regs\",\"nic\":NAME}");
	pthread_mutex_unlock(&c->lock);
	json_object_put(req);
	json_tokener_free(tok);
	return o;
}

/* --- observers --- */

static void observer_close(struct observer *ob)
{
	close(ob->fd);
	free(ob->out);
	ob->fd = -1;
	ob->out = NULL;
	ob->in_len = ob->out_len = ob->out_at = 0;
}

/* False: closed. */
static bool observer_send(struct observer *ob)
{
	while (ob->out) {
		ssize_t n = send(ob->fd, ob->out + ob->out_at, ob->out_len - ob->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0) {
			observer_close(ob);
			return false;
		}
		ob->out_at += n;
		ob->since_ns = soft_now_ns();
		if (ob->out_at < ob->out_len)
			continue;
		free(ob->out);
		ob->out = NULL;
	}
	return true;
}

static bool observer_answer(struct soft_ctl *c, struct observer *ob, const char *line, size_t len)
{
	struct json_object *o = answer(c, line, len);
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	size_t n = text ? strlen(text) : 0;

	ob->out = malloc(n + 1);
	if (ob->out) {
		memcpy(ob->out, text, n);
		ob->out[n] = '\n';
	}
	json_object_put(o);
	if (!ob->out) {
		observer_close(ob);
		return false;
	}
	ob->out_len = n + 1;
	ob->out_at = 0;
	ob->out_since_ns = soft_now_ns();
	return observer_send(ob);
}

/* Whole lines in hand, one at a time while answers leave at once. */
static void observer_lines(struct soft_ctl *c, struct observer *ob)
{
	while (!ob->out) {
		char *end = memchr(ob->in, '\n', ob->in_len);
		char line[LINE_BYTES];
		size_t len;

		if (!end && ob->in_len < sizeof(ob->in))
			return;
		if (!end) {
			static const char text[] = "{\"error\":\"line longer than 4096 bytes\"}\n";

			(void)!send(ob->fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
			observer_close(ob);
			return;
		}
		len = end - ob->in;
		memcpy(line, ob->in, len);
		ob->in_len -= len + 1;
		memmove(ob->in, end + 1, ob->in_len);
		if (!observer_answer(c, ob, line, len))
			return;
	}
}

static void observer_input(struct soft_ctl *c, struct observer *ob)
{
	ssize_t n = recv(ob->fd, ob->in + ob->in_len, sizeof(ob->in) - ob->in_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		observer_close(ob);
		return;
	}
	ob->in_len += n;
	ob->since_ns = soft_now_ns();
	observer_lines(c, ob);
}

/* When all places are taken: that of who has been idle longest. */
static struct observer *observer_place(struct soft_ctl *c)
{
	struct observer *oldest = &c->ob[0];

	for (unsigned int i = 0; i < MAX_OBSERVERS; i++) {
		if (c->ob[i].fd < 0)
			return &c->ob[i];
		if (c->ob[i].since_ns < oldest->since_ns)
			oldest = &c->ob[i];
	}
	observer_close(oldest);
	return oldest;
}

static void observer_accept(struct soft_ctl *c)
{
	struct observer *ob;
	int fd, err = sock_accept(&c->listener, SOCK_NONBLOCK, &fd);

	if (sock_starved(err))
		c->accept_after_ns = soft_now_ns() + ACCEPT_PAUSE_MS * 1000000ull;
	if (err)
		return;
	ob = observer_place(c);
	ob->fd = fd;
	ob->since_ns = soft_now_ns();
}

static void *ctl_main(void *arg)
{
	struct soft_ctl *c = arg;

	pthread_setname_np(pthread_self(), "p2p-ctl");
	for (;;) {
		struct pollfd pfd[2 + MAX_OBSERVERS];
		unsigned int who[MAX_OBSERVERS], n = 2;
		bool waiting = false, pausing = soft_now_ns() < c->accept_after_ns;

		pfd[0] = (struct pollfd){ .fd = c->stop_fd, .events = POLLIN };
		pfd[1] = (struct pollfd){ .fd = pausing ? -1 : c->listener.fd, .events = POLLIN };
		for (unsigned int i = 0; i < MAX_OBSERVERS; i++) {
			struct observer *ob = &c->ob[i];

			if (ob->fd < 0)
				continue;
			waiting |= ob->out != NULL;
			who[n - 2] = i;
			pfd[n++] = (struct pollfd){ .fd = ob->fd, .events = ob->out ? POLLOUT : POLLIN };
		}
		if (poll(pfd, n, pausing ? ACCEPT_PAUSE_MS : waiting ? OBSERVER_SLOW_MS / 4 : -1) < 0 && errno != EINTR)
			return NULL;
		if (pfd[0].revents)
			return NULL;
		for (unsigned int i = 2; i < n; i++) {
			struct observer *ob = &c->ob[who[i - 2]];

			if (ob->out && soft_now_ns() - ob->out_since_ns > OBSERVER_SLOW_MS * 1000000ull)
				observer_close(ob);
			else if (pfd[i].revents && !ob->out)
				observer_input(c, ob);
			else if (pfd[i].revents && observer_send(ob))
				observer_lines(c, ob);
		}
		if (pfd[1].revents)
			observer_accept(c);
	}
}

/* --- life --- */

static void error_text(char err[SOFT_ERR_MAX], const char *path, int e)
{
	char why[SOCK_ERROR_MAX];

	if (e == -EADDRINUSE || e == -EPROTOTYPE)
		snprintf(err, SOFT_ERR_MAX, "control socket %s: another process serves it; give another path", path);
	else if (e == -EEXIST)
		snprintf(err, SOFT_ERR_MAX, "control socket %s: the path exists and is no socket; give another", path);
	else if (e == -ENAMETOOLONG || e == -EINVAL)
		snprintf(err, SOFT_ERR_MAX, "control socket: a path has 1 to %zu characters", SOCK_PATH_MAX);
	else
		snprintf(err, SOFT_ERR_MAX, "control socket %s: %s", path, sock_error(path, e, why));
}

void soft_ctl_more(struct soft_ctl *c, const struct soft_nic *nic, const struct soft_ctl_more *more)
{
	pthread_mutex_lock(&c->lock);
	c->more_of = more ? nic : NULL;
	if (more)
		c->more = *more;
	pthread_mutex_unlock(&c->lock);
}

int soft_ctl_start(struct soft_ctl *c)
{
	sigset_t all, old;
	int err;

	if (c->started)
		return 0;
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&c->thread, NULL, ctl_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->started = !err;
	return err;
}

int soft_ctl_create(struct soft_ctl **out, const char *path, const struct sock_trust *trust, char err[SOFT_ERR_MAX])
{
	struct sock_name name;
	struct soft_ctl *c;
	int e;

	e = sock_name(&name, path, false);
	c = e ? NULL : calloc(1, sizeof(*c));
	if (!c) {
		e = e ? e : -ENOMEM;
		error_text(err, path, e);
		return e;
	}
	for (unsigned int i = 0; i < MAX_OBSERVERS; i++)
		c->ob[i].fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->stop_fd < 0) {
		e = -errno;
		goto free_ctl;
	}
	e = sock_listen(&c->listener, &name, SOCK_STREAM, BACKLOG, trust);
	if (e)
		goto close_stop;
	*out = c;
	return 0;
close_stop:
	close(c->stop_fd);
free_ctl:
	error_text(err, path, e);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return e;
}

int soft_ctl_add(struct soft_ctl *c, struct soft_nic *nic)
{
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (c->nics == MAX_NICS)
		err = -ENOSPC;
	else
		c->nic[c->nics++] = nic;
	pthread_mutex_unlock(&c->lock);
	return err;
}

int soft_ctl_add_worker(struct soft_ctl *c, const struct soft_worker *w)
{
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (c->workers == MAX_WORKERS)
		err = -ENOSPC;
	else
		c->worker[c->workers++] = w;
	pthread_mutex_unlock(&c->lock);
	return err;
}

void soft_ctl_remove_worker(struct soft_ctl *c, const struct soft_worker *w)
{
	pthread_mutex_lock(&c->lock);
	for (unsigned int i = 0; i < c->workers; i++) {
		if (c->worker[i] != w)
			continue;
		memmove(&c->worker[i], &c->worker[i + 1], (c->workers - i - 1) * sizeof(c->worker[0]));
		c->workers--;
		break;
	}
	pthread_mutex_unlock(&c->lock);
}

void soft_ctl_destroy(struct soft_ctl *c)
{
	if (!c)
		return;
	soft_event_signal(c->stop_fd);
	if (c->started)
		pthread_join(c->thread, NULL);
	for (unsigned int i = 0; i < MAX_OBSERVERS; i++)
		if (c->ob[i].fd >= 0)
			observer_close(&c->ob[i]);
	sock_close(&c->listener);
	close(c->stop_fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
