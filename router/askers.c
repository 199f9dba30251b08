/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks at a router's socket, one question a connection: a line, answered by answer.c, after which the connection is closed.
 *
 * All of it is the thread's that follows the kernel, and nobody holds that up: nothing is waited for but in its poll(), answers that
 * are whole tables take at most a quarter of its time, and there are at most ROUTER_ASKERS of them, ASK_TABLES with a table.
 * The question stays in the socket until its answer has left: who is cut off finds ECONNRESET behind what came, and not an end.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/kernel_int.h"
#include "router/router_int.h"

#define ROUTER_BACKLOG 16

#define ASK_TABLES 8                      /* of ROUTER_ASKERS */
#define ASK_BYTES (512u << 20)            /* answers hold so much: no other table until there is less */
#define ASK_SILENT_NS 2000000000ull       /* a question comes at once */
#define ASK_STALL_NS 10000000000ull       /* who takes nothing for so long is cut off */
#define ASK_WHOLE_NS 30000000000ull       /* and who has not taken all in this time, and ... */
#define ASK_NS_PER_BYTE 1000u             /* ... so much more for each byte */
#define ASK_REST 3u                       /* after a table, so many times what it took without another */
#define ASK_PAUSE_NS 100000000ull         /* no descriptor for a connection: the next try */
#define ASK_TURN (1u << 20)               /* bytes to one of them before it is the next one's turn */
#define ASK_LINE 128

static void asker_end(struct router *r, unsigned int i)
{
	close(r->asker[i].fd);
	free(r->asker[i].text);
	r->asker[i] = r->asker[--r->askers];
}

/* False: he has got all of it, or is gone. */
static bool asker_send(struct asker *k, uint64_t now)
{
	size_t end = k->len - k->done > ASK_TURN ? k->done + ASK_TURN : k->len;
	char line[ASK_LINE];
	ssize_t n;

	while (k->done < end) {
		n = send(k->fd, k->text + k->done, end - k->done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		k->done += (size_t)n;
		k->since_ns = now;
	}
	if (k->done < k->len)
		return true;
	(void)!recv(k->fd, line, sizeof(line), MSG_DONTWAIT); /* the question: what follows is an end */
	return false;
}

static bool tables_full(const struct router *r, const struct asker *me)
{
	unsigned int i, n = 0;
	size_t bytes = 0;

	for (i = 0; i < r->askers; i++) {
		n += &r->asker[i] != me && (r->asker[i].text || r->asker[i].asked);
		bytes += r->asker[i].len;
	}
	return n >= ASK_TABLES || bytes > ASK_BYTES;
}

static int busy(char **text, size_t *len)
{
	static const char line[] = "{\"error\":\"too many others are being answered; ask again later\"}\n";

	*text = strdup(line);
	*len = sizeof(line) - 1;
	return *text ? 0 : -ENOMEM;
}

/* False: without an answer. */
static bool asker_answer(struct router *r, struct asker *k, uint64_t now)
{
	const uint64_t began = kernel_now_ns();
	uint64_t took;
	char line[ASK_LINE];
	ssize_t n;
	bool table;
	int rc;

	n = recv(k->fd, line, sizeof(line) - 1, MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	table = router_answer_is_table(line);
	if (table && tables_full(r, k)) {
		rc = busy(&k->text, &k->len);
	} else {
		k->asked = table && now < r->tables_ns;
		if (k->asked)
			return true;
		rc = router_answer(r, line, &k->text, &k->len);
		took = kernel_now_ns() - began;
		now += took;
		if (table)
			r->tables_ns = now + ASK_REST * took;
	}
	if (rc)
		return false;
	k->since_ns = now;
	k->until_ns = now + ASK_WHOLE_NS + (uint64_t)k->len * ASK_NS_PER_BYTE;
	return asker_send(k, now);
}

static bool asker_late(const struct asker *k, uint64_t now)
{
	if (!k->text)
		return !k->asked && now >= k->since_ns + ASK_SILENT_NS;
	return now >= k->until_ns || now >= k->since_ns + ASK_STALL_NS;
}

/* All places are taken: one that says nothing goes, the oldest. */
static bool askers_drop(struct router *r)
{
	unsigned int i, oldest = ROUTER_ASKERS;
	struct pollfd p = { .events = POLLIN };

	for (i = 0; i < r->askers; i++) {
		p.fd = r->asker[i].fd;
		if (!r->asker[i].text && !r->asker[i].asked && !poll(&p, 1, 0) &&
		    (oldest == ROUTER_ASKERS || r->asker[i].since_ns < r->asker[oldest].since_ns))
			oldest = i;
	}
	if (oldest == ROUTER_ASKERS)
		return false;
	asker_end(r, oldest);
	return true;
}

void router_accept(struct router *r, uint64_t now)
{
	char *text = NULL;
	size_t len = 0;
	int fd, rc = sock_accept(r->opts.listener, 0, &fd);

	if (sock_starved(rc))
		r->accept_ns = now + ASK_PAUSE_NS;
	if (rc)
		return;
	if (r->askers < ROUTER_ASKERS || askers_drop(r)) {
		r->asker[r->askers++] = (struct asker){ .fd = fd, .since_ns = now };
		return;
	}
	if (!busy(&text, &len))
		(void)!send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(text);
	close(fd);
}

uint64_t router_askers_due(const struct router *r)
{
	unsigned int i;

	for (i = 0; i < r->askers; i++)
		if (r->asker[i].asked && !r->asker[i].text)
			return r->tables_ns;
	return UINT64_MAX;
}

unsigned int router_askers_poll(const struct router *r, struct pollfd *p)
{
	const struct asker *k;
	unsigned int i;

	for (i = 0; i < r->askers; i++) {
		k = &r->asker[i];
		p[i] = (struct pollfd){ .fd = k->fd, .events = k->text ? POLLOUT : k->asked ? 0 : POLLIN };
	}
	return r->askers;
}

void router_askers_serve(struct router *r, const struct pollfd *p, uint64_t now)
{
	struct asker *k;
	unsigned int i;
	bool keep;

	/* Backwards: where one goes the last takes its place, which has been served. */
	for (i = r->askers; i-- > 0;) {
		k = &r->asker[i];
		keep = !(p[i].revents & (POLLHUP | POLLERR | POLLNVAL)); /* nobody who would read */
		if (keep && k->text && p[i].revents)
			keep = asker_send(k, now);
		else if (keep && !k->text && (p[i].revents || (k->asked && now >= r->tables_ns)))
			keep = asker_answer(r, k, now);
		if (!keep || asker_late(k, now))
			asker_end(r, i);
	}
}

void router_askers_end(struct router *r)
{
	while (r->askers)
		asker_end(r, r->askers - 1);
}

/* --- listening --- */

int router_listen(struct sock_listener *l, const char *path, const struct sock_trust *trust, char err[ROUTER_ERR_MAX])
{
	char why[SOCK_ERROR_MAX];
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
		snprintf(err, ROUTER_ERR_MAX, "cannot listen at %s: %s", path, sock_error(path, rc, why));
	return rc;
}
