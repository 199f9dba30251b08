/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions to a router over its socket, one a connection: a line, answered by
 * JSON, after which the connection is closed.
 *   counts                        one object
 *   routes | nexthops | neighbours   an object a line
 *   get ADDRESS                   one object
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/neighbour.h>

#include "router/router_int.h"

#define ROUTER_BACKLOG 16

#define ANSWER_ASK_MS 200     /* a question comes at once */
#define ANSWER_SEND_S 10      /* a reader that takes nothing for so long is cut off */

struct answer {
	struct router *r;
	FILE *f;
};

static void put_mac(FILE *f, const uint8_t mac[6])
{
	fprintf(f, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static const char *tap_of(const struct router *r, unsigned int nic, unsigned int port)
{
	return nic < P2P_MAX_NICS && port < P2P_MAX_PORTS && r->by_port[nic][port] >= 0 ? r->port[r->by_port[nic][port]].tap.name : "";
}

/* "kind":...,"ways":[...] */
static void put_out(struct answer *a, const struct fib_out *out)
{
	char text[ROUTER_ADDR_TEXT];
	const struct fib_way *w;
	unsigned int i;

	fprintf(a->f, "\"kind\":\"%s\",\"ways\":[", fib_kind_text(out->kind));
	for (i = 0; i < out->n; i++) {
		w = &out->way[i];
		fprintf(a->f, "%s{", i ? "," : "");
		if (w->family)
			fprintf(a->f, "\"via\":\"%s\",", router_addr_text(w->gateway, w->family, text));
		if (w->punt) {
			fprintf(a->f, "\"weight\":%u,\"kernel\":true}", w->weight);
			continue;
		}
		fprintf(a->f, "\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"mtu\":%" PRIu32 ",\"weight\":%u", tap_of(a->r, w->nic, w->port),
			a->r->name[w->nic] ? a->r->name[w->nic] : "", w->port, w->mtu, w->weight);
		if (out->kind == FIB_FORWARD) {
			fprintf(a->f, ",\"mac\":");
			put_mac(a->f, w->dst_mac);
		}
		fputc('}', a->f);
	}
	fputc(']', a->f);
}

static void put_prefix(void *ctx, const struct router_prefix *p, uint32_t hop, const struct fib_out *out, uint8_t protocol,
		       uint32_t metric)
{
	struct answer *a = ctx;
	char text[ROUTER_PREFIX_TEXT];

	fprintf(a->f, "{\"prefix\":\"%s\",\"hop\":%" PRIu32 ",\"protocol\":%u,\"metric\":%" PRIu32 ",", router_prefix_text(p, text),
		area_hop_index(a->r->area, hop), protocol, metric);
	put_out(a, out);
	fputs("}\n", a->f);
}

static void put_hop(void *ctx, uint32_t hop, const struct fib_out *out, size_t prefixes)
{
	uint64_t packets, bytes;
	struct answer *a = ctx;

	area_hop_packets(a->r->area, hop, &packets, &bytes);
	fprintf(a->f, "{\"hop\":%" PRIu32 ",\"prefixes\":%zu,\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",",
		area_hop_index(a->r->area, hop), prefixes, packets, bytes);
	put_out(a, out);
	fputs("}\n", a->f);
}

static const char *nud_text(uint16_t state)
{
	static const struct { uint16_t bit; const char *text; } states[] = {
		{ NUD_PERMANENT, "permanent" }, { NUD_NOARP, "noarp" }, { NUD_REACHABLE, "reachable" }, { NUD_STALE, "stale" },
		{ NUD_DELAY, "delay" }, { NUD_PROBE, "probe" }, { NUD_INCOMPLETE, "incomplete" }, { NUD_FAILED, "failed" },
	};
	unsigned int i;

	for (i = 0; i < P2P_ARRAY_SIZE(states); i++)
		if (state & states[i].bit)
			return states[i].text;
	return "none";
}

static void put_neigh(void *ctx, const struct fib_neigh *n, const char *ifname, int nic, unsigned int port)
{
	struct answer *a = ctx;
	char text[ROUTER_ADDR_TEXT];

	fprintf(a->f, "{\"address\":\"%s\",\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"state\":\"%s\",\"mac\":",
		router_addr_text(n->addr, n->family, text), ifname, a->r->name[nic] ? a->r->name[nic] : "", port, nud_text(n->state));
	put_mac(a->f, n->mac);
	fputs("}\n", a->f);
}

static void put_frames(struct answer *a)
{
	const struct router *r = a->r;
	const struct router_port *p;
	unsigned int i;

	fputs(",\"ports\":[", a->f);
	for (i = 0; i < r->ports; i++) {
		p = &r->port[i];
		fprintf(a->f, "%s{\"dev\":\"%s\",\"nic\":\"%s\",\"port\":%u,\"carrier\":%s,\"to_kernel\":%" PRIu64 ",\"to_nic\":%" PRIu64
			",\"refused\":%" PRIu64 "}", i ? "," : "", p->tap.name, r->name[p->nic] ? r->name[p->nic] : "", p->port,
			p->tap.carrier ? "true" : "false", p2p_count_read(&p->to_kernel), p2p_count_read(&p->to_nic),
			p2p_count_read(&p->refused));
	}
	fputc(']', a->f);
}

static void put_counts(struct answer *a)
{
	struct kernel_counts k;
	struct area_counts ac;
	struct fib_counts c;

	fib_counts(a->r->fib, &c);
	kernel_counts(a->r->kernel, &k);
	area_counts(a->r->area, &ac);
	fprintf(a->f, "{\"routes\":{\"ipv4\":%zu,\"ipv6\":%zu},\"prefixes\":{\"ipv4\":%zu,\"ipv6\":%zu},\"unplaced\":%zu,\"nexthops\":%zu"
		",\"neighbours\":%zu,\"objects\":%zu", c.routes[0], c.routes[1], c.prefixes[0], c.prefixes[1], c.unplaced, c.hops,
		c.neighbours, c.objects);
	fprintf(a->f, ",\"hop_indexes\":%" PRIu32 ",\"hop_indexes_max\":%" PRIu32 ",\"table_bytes\":%" PRIu64 ",\"room_bytes\":%" PRIu64
		",\"retired\":%" PRIu64 ",\"error\":%d"
		",\"nics_lost\":%u", ac.hops, ac.hops_max, ac.table_bytes, ac.room_bytes, ac.retired, ac.error, ac.abandoned);
	fprintf(a->f, ",\"events\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"syncs\":%" PRIu64 ",\"sync_due\":%s,\"not_understood\":%" PRIu64
		",\"policy_rules\":%u,\"adopted\":%u", k.events, k.overruns, k.syncs, k.due ? "true" : "false", k.refused, k.policy,
		a->r->adopted);
	put_frames(a);
	fputs("}\n", a->f);
}

static void put_get(struct answer *a, const char *text)
{
	char prefix[ROUTER_PREFIX_TEXT];
	struct router_prefix p;
	struct router_addr addr;
	unsigned int family, i;
	uint32_t hop, index;
	struct fib_out out;

	if (!router_addr_parse(text, &family, &addr)) {
		fprintf(a->f, "{\"error\":\"that is no address\"}\n");
		return;
	}
	if (!fib_get(a->r->fib, family, addr, &p, &hop, &out)) {
		fprintf(a->f, "{\"kind\":\"no-route\",\"ways\":[]");
	} else {
		fprintf(a->f, "{\"prefix\":\"%s\",\"hop\":%" PRIu32 ",", router_prefix_text(&p, prefix), area_hop_index(a->r->area, hop));
		put_out(a, &out);
	}
	fputs(",\"nics\":[", a->f);
	for (i = 0; i < a->r->drv->n; i++)
		if (!area_lookup(a->r->area, i, family, addr, &index))
			fprintf(a->f, "%s{\"nic\":\"%s\",\"hop\":%" PRIu32 "}", i ? "," : "", a->r->opts.nic_name[i], index);
	fputs("]}\n", a->f);
}

/* Sent by a thread of its own: a slow reader holds nobody up. */
struct parcel {
	int fd;
	char *text;
	size_t len;
};

static void *parcel_send(void *arg)
{
	struct timeval patience = { .tv_sec = ANSWER_SEND_S };
	struct parcel *p = arg;
	size_t done = 0;
	ssize_t n = 1;

	setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (done < p->len && n > 0) {
		n = send(p->fd, p->text + done, p->len - done, MSG_NOSIGNAL);
		done += n > 0 ? (size_t)n : 0;
	}
	close(p->fd);
	free(p->text);
	free(p);
	return NULL;
}

static void answer_question(struct answer *a, char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	if (!strcmp(line, "counts"))
		put_counts(a);
	else if (!strcmp(line, "routes"))
		fib_each_prefix(a->r->fib, put_prefix, a);
	else if (!strcmp(line, "nexthops"))
		fib_each_hop(a->r->fib, put_hop, a);
	else if (!strcmp(line, "neighbours"))
		fib_each_neigh(a->r->fib, put_neigh, a);
	else if (!strncmp(line, "get ", 4))
		put_get(a, line + 4);
	else
		fputs("{\"error\":\"no such question\"}\n", a->f);
}

void router_answer(struct router *r, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct parcel *p = calloc(1, sizeof(*p));
	struct answer a = { .r = r };
	pthread_attr_t detached;
	pthread_t thread;
	char line[128];
	ssize_t n = 0;

	if (poll(&pfd, 1, ANSWER_ASK_MS) > 0)
		n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	if (n <= 0 || !p)
		goto drop;
	line[n] = '\0';
	p->fd = fd;
	a.f = open_memstream(&p->text, &p->len);
	if (!a.f)
		goto drop;
	answer_question(&a, line);
	if (fclose(a.f))
		goto free_text;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	n = pthread_create(&thread, &detached, parcel_send, p);
	pthread_attr_destroy(&detached);
	if (!n)
		return;
free_text:
	free(p->text);
drop:
	free(p);
	close(fd);
}

/* --- listening --- */

int router_listen(struct sock_listener *l, const char *path, const struct sock_trust *trust, char err[ROUTER_ERR_MAX])
{
	struct sock_name name;
	int rc;

	l->fd = -1;
	rc = sock_name(&name, path, false);
	if (!rc)
		rc = sock_listen(l, &name, SOCK_STREAM, ROUTER_BACKLOG, trust);
	if (rc == -ENAMETOOLONG || rc == -EINVAL)
		snprintf(err, ROUTER_ERR_MAX, "%.200s is too long for a socket's path, or empty", path);
	else if (rc == -EEXIST)
		snprintf(err, ROUTER_ERR_MAX, "%s is there already and is no socket; remove it, or give another path", path);
	else if (rc == -EADDRINUSE)
		snprintf(err, ROUTER_ERR_MAX, "another router answers at %s; end it first", path);
	else if (rc == -EPROTOTYPE)
		snprintf(err, ROUTER_ERR_MAX, "%s is another program's socket; give another path", path);
	else if (rc)
		snprintf(err, ROUTER_ERR_MAX, "cannot listen at %s: %s", path, strerror(-rc));
	return rc;
}

int router_accept(struct router *r)
{
	int fd;

	return sock_accept(r->opts.listener, 0, &fd) ? -1 : fd;
}
