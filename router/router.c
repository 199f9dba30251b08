/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the router together, and follows the kernel and the links. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "router/kernel_int.h"
#include "router/router_int.h"

#define ROUTER_LINKS_NS 100000000ull
#define ROUTER_RETRY_NS 1000000000ull
#define ROUTER_GATEWAYS_NS 3000000000ull /* how long a former router's table waits for gateways */

static void __attribute__((format(printf, 2, 3))) router_note(struct router *r, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!r->opts.note)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	r->opts.note(line);
}

bool router_tap_default(char name[TAP_NAME_MAX], const char *nic, unsigned int port)
{
	char *c;
	int n = snprintf(name, TAP_NAME_MAX, "%sp%u", nic, port);

	for (c = strchr(name, ':'); c; c = strchr(c, ':'))
		*c = '_';
	return n < TAP_NAME_MAX;
}

/* --- ports --- */

static bool port_paired(const struct drv *d, unsigned int at, unsigned int port)
{
	const struct drv_pair *p = d->opts.pairs;
	unsigned int i;

	for (i = 0; i < d->opts.num_pairs; i++)
		if ((p[i].a == at && p[i].a_port == port) || (p[i].b == at && p[i].b_port == port))
			return true;
	return false;
}

static int port_open(struct router *r, unsigned int at, unsigned int port, char err[ROUTER_ERR_MAX])
{
	struct router_port *p = &r->port[r->ports];
	unsigned int nic = r->drv->nic[at].index;
	char name[TAP_NAME_MAX], why[TAP_ERR_MAX];
	uint8_t mac[6];
	int rc;

	snprintf(name, sizeof(name), "%s", r->opts.tap_name[at][port]);
	if (!*name && !router_tap_default(name, r->opts.nic_name[at], port)) {
		snprintf(err, ROUTER_ERR_MAX, "'%.80sp%u' is too long for a device; name it with --tap %.80s.%u=IFNAME",
			 r->opts.nic_name[at], port, r->opts.nic_name[at], port);
		return -EINVAL;
	}
	p->nic = nic;
	p->port = port;
	p->tap.fd = -1;
	rc = drv_route_port_mac(r->route, nic, port, mac);
	if (rc) {
		snprintf(err, ROUTER_ERR_MAX, "%s", drv_error(r->drv));
		return rc;
	}
	p->frame = malloc(P2P_MAX_FRAME);
	if (!p->frame) {
		snprintf(err, ROUTER_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	rc = router_tap_open(&p->tap, name, mac, why);
	if (rc) {
		snprintf(err, ROUTER_ERR_MAX, "%s", why);
		free(p->frame);
		return rc;
	}
	r->by_port[nic][port] = (int)r->ports++;
	if (!memcmp(mac, p->tap.mac, 6))
		return 0;
	rc = drv_route_set_port_mac(r->route, nic, port, p->tap.mac);
	if (rc)
		snprintf(err, ROUTER_ERR_MAX, "%s", drv_error(r->drv));
	return rc;
}

static int router_ports(struct router *r, char err[ROUTER_ERR_MAX])
{
	unsigned int i, p;
	int rc = 0;

	r->port = calloc((size_t)r->drv->n * P2P_MAX_PORTS, sizeof(*r->port));
	if (!r->port) {
		snprintf(err, ROUTER_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	memset(r->by_port, 0xff, sizeof(r->by_port));
	for (i = 0; i < r->drv->n; i++)
		for (p = 0; !rc && p < r->drv->nic[i].ports; p++)
			rc = port_paired(r->drv, i, p) ? 0 : port_open(r, i, p, err);
	return rc;
}

/* A TAP's carrier follows its port's link, the port's MAC address its TAP's. */
static void router_links(struct router *r)
{
	struct router_port *p;
	unsigned int i;
	bool up;

	r->links_ns = kernel_now_ns() + ROUTER_LINKS_NS;
	for (i = 0; i < r->ports; i++) {
		p = &r->port[i];
		router_drv_take(r);
		if (drv_route_link(r->route, p->nic, p->port, &up))
			up = false;
		router_drv_give(r);
		router_tap_carrier(&p->tap, up);
	}
}

static void router_abandon(struct router *r, unsigned int i, int rc, const char *why)
{
	area_abandon(r->area, i, rc);
	r->lost[i] = true;
	r->retry_ns = 0; /* what was refused for its sake */
	router_note(r, "%.60s is lost (%.300s): its table stays as it is and leaves everything to the kernel, the others go on; start this"
		    " router anew when the NIC is there again", r->opts.nic_name[i], why);
}

/* One that is lost must not hold up the others: neither their routes nor their next hops would ever come free. */
static void router_lost(struct router *r)
{
	char why[DRV_ERR_MAX];
	unsigned int i;
	bool lost;

	for (i = 0; i < r->drv->n; i++) {
		if (r->lost[i])
			continue;
		router_drv_take(r);
		lost = drv_route_lost(r->route, r->drv->nic[i].index);
		snprintf(why, sizeof(why), "%s", drv_error(r->drv));
		router_drv_give(r);
		if (lost)
			router_abandon(r, i, -ENOTCONN, why);
		else if (area_hangs(r->area, i, kernel_now_ns()))
			router_abandon(r, i, -ETIMEDOUT, "it answers, but looks packets up no more, and its table is full");
	}
}

static void router_macs(struct router *r)
{
	struct router_port *p;
	uint8_t mac[6];
	unsigned int i;

	for (i = 0; i < r->ports; i++) {
		p = &r->port[i];
		if (!fib_link_mac(r->fib, p->tap.ifindex, mac) || !memcmp(mac, p->tap.mac, 6))
			continue;
		memcpy(p->tap.mac, mac, 6);
		router_drv_take(r);
		drv_route_set_port_mac(r->route, p->nic, p->port, mac);
		router_drv_give(r);
	}
}

/* --- the kernel --- */

static int fib_make(struct router *r, const struct fib_sink *sink, void *ctx)
{
	unsigned int i;
	int rc;

	rc = fib_create(&r->fib, sink, ctx);
	for (i = 0; !rc && i < r->ports; i++)
		rc = fib_port(r->fib, r->port[i].tap.ifindex, (int)r->port[i].nic, r->port[i].port);
	return rc;
}

static int follow_open(struct router *r, const struct fib_sink *sink, void *ctx, char err[ROUTER_ERR_MAX])
{
	const struct kernel_opts ko = { 0 };
	char why[KERNEL_ERR_MAX];
	int rc;

	rc = fib_make(r, sink, ctx);
	snprintf(why, sizeof(why), "out of memory");
	if (!rc)
		rc = kernel_open(&r->kernel, r->fib, &ko, why);
	if (!rc)
		rc = kernel_sync(r->kernel, why);
	if (rc)
		snprintf(err, ROUTER_ERR_MAX, "%s", why);
	return rc;
}

/* Nothing of it reaches the NICs any more. */
static void follow_close(struct router *r)
{
	kernel_close(r->kernel);
	fib_destroy(r->fib);
	r->kernel = NULL;
	r->fib = NULL;
}

static int dry_hop_set(void *ctx, uint32_t hop, const struct fib_out *out)
{
	return 0;
}

static void dry_hop_del(void *ctx, uint32_t hop) {}

static int dry_route_set(void *ctx, const struct router_prefix *p, uint32_t hop)
{
	return 0;
}

static int dry_route_del(void *ctx, const struct router_prefix *p)
{
	return 0;
}

static void count_gleaned(void *ctx, uint32_t hop, const struct fib_out *out, size_t prefixes)
{
	*(unsigned int *)ctx += out->kind == FIB_GLEAN && out->way[0].family;
}

/*
 * With a former router's table in force: TAPs without a reader have no carrier, for which the kernel forgets neighbours.
 * Gateways are asked for before the table is replaced by one that lacks them.
 */
static int router_gateways(struct router *r, char err[ROUTER_ERR_MAX])
{
	static const struct fib_sink dry = { dry_hop_set, dry_hop_del, dry_route_set, dry_route_del, NULL };
	const uint64_t end = kernel_now_ns() + ROUTER_GATEWAYS_NS;
	char why[KERNEL_ERR_MAX];
	unsigned int missing;
	struct pollfd p;
	int rc;

	rc = follow_open(r, &dry, NULL, err);
	for (missing = 1; !rc && missing && kernel_now_ns() < end;) {
		router_links(r);
		while (kernel_read(r->kernel))
			;
		kernel_tick(r->kernel, why);
		missing = 0;
		fib_each_hop(r->fib, count_gleaned, &missing);
		p = (struct pollfd){ .fd = kernel_fd(r->kernel), .events = POLLIN };
		if (missing)
			poll(&p, 1, 20);
	}
	follow_close(r);
	return rc;
}

/* Says that the kernel has rules that are not followed, and that it has more of them. */
static void router_rules(struct router *r)
{
	struct kernel_counts c;

	kernel_counts(r->kernel, &c);
	if (c.policy > r->policy)
		router_note(r, "%u rule%s of `ip rule` beyond the usual three %s not followed, nor VRF tables: NICs route by destination,"
			    " tables local, main and default alone; remove %s, or keep such traffic off these NICs", c.policy,
			    c.policy == 1 ? "" : "s", c.policy == 1 ? "is" : "are", c.policy == 1 ? "it" : "them");
	r->policy = c.policy;
}

/* Says once that something does not fit, and tries it again while that helps, or once a second. */
static void router_room(struct router *r)
{
	struct fib_counts c;
	size_t before;

	fib_counts(r->fib, &c);
	if (c.unplaced && !r->refused)
		router_note(r, "the NICs' tables are full (%s): prefixes that do not fit are not routed as the kernel has it; give"
			    " NICs more with --mem or --route-mem", strerror(-c.unplaced_rc));
	before = r->refused;
	r->refused = c.unplaced;
	if (!c.unplaced || (c.unplaced >= before && kernel_now_ns() < r->retry_ns))
		return;
	r->retry_ns = kernel_now_ns() + ROUTER_RETRY_NS;
	area_begin(r->area);
	fib_retry(r->fib);
	area_commit(r->area);
	fib_counts(r->fib, &c);
	r->refused = c.unplaced;
}

static void router_follow(struct router *r, bool events)
{
	char why[KERNEL_ERR_MAX];
	bool more = events;

	area_begin(r->area);
	if (events)
		more = kernel_read(r->kernel);
	if (!more && kernel_tick(r->kernel, why))
		router_note(r, "%s", why);
	area_commit(r->area);
	router_room(r);
	router_rules(r);
	router_macs(r);
}

static void *router_main(void *arg)
{
	struct router *r = arg;
	struct pollfd p[3 + ROUTER_ASKERS] = {
		{ .fd = r->stop_fd, .events = POLLIN }, { .fd = kernel_fd(r->kernel), .events = POLLIN }, { .events = POLLIN },
	};
	uint64_t now, due;
	unsigned int n;

	while (!__atomic_load_n(&r->stopping, __ATOMIC_ACQUIRE)) {
		now = kernel_now_ns();
		due = kernel_due_ns(r->kernel) < r->links_ns ? kernel_due_ns(r->kernel) : r->links_ns;
		due = router_askers_due(r) < due ? router_askers_due(r) : due;
		p[2].fd = r->opts.listener && now >= r->accept_ns ? r->opts.listener->fd : -1;
		n = router_askers_poll(r, p + 3);
		if (poll(p, 3 + n, due > now ? (int)((due - now) / 1000000) + 1 : 0) < 0)
			continue;
		if (p[1].revents || kernel_now_ns() >= kernel_due_ns(r->kernel))
			router_follow(r, p[1].revents);
		if (kernel_now_ns() >= r->links_ns) {
			router_links(r);
			router_lost(r);
			area_poll(r->area);
			router_room(r);
		}
		router_askers_serve(r, p + 3, kernel_now_ns());
		if (p[2].revents)
			router_accept(r, kernel_now_ns());
	}
	return NULL;
}

/* --- making and ending --- */

static int router_areas(struct router *r, char err[ROUTER_ERR_MAX])
{
	char why[AREA_ERR_MAX];
	unsigned int i, nic;
	uint64_t bytes;
	bool adopted;
	void *base;
	int rc;

	rc = area_create(&r->area);
	if (rc) {
		snprintf(err, ROUTER_ERR_MAX, "out of memory");
		return rc;
	}
	area_adopt(r->area);
	for (i = 0; !rc && i < r->drv->n; i++) {
		nic = r->drv->nic[i].index;
		base = drv_route_area(r->route, nic, &bytes);
		rc = area_add(r->area, base, bytes, drv_route_contexts(r->route), &adopted, why);
		if (rc)
			snprintf(err, ROUTER_ERR_MAX, "%.60s: %s", r->opts.nic_name[i], why);
		r->adopted += adopted;
	}
	return rc;
}

static int router_use(struct router *r, char err[ROUTER_ERR_MAX])
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < r->drv->n; i++) {
		if (drv_route_used(r->route, r->drv->nic[i].index) != 1)
			rc = drv_route_use(r->route, r->drv->nic[i].index, true);
		rc = rc == -ENOTCONN ? 0 : rc; /* router_lost() */
	}
	if (rc)
		snprintf(err, ROUTER_ERR_MAX, "%s", drv_error(r->drv));
	return rc;
}

static void router_forwarding(struct router *r)
{
	static const char *const files[] = { "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding" };
	char c = '1';
	unsigned int i;
	FILE *f;

	for (i = 0; i < 2; i++) {
		f = fopen(files[i], "re");
		if (f && fread(&c, 1, 1, f) == 1 && c == '0')
			router_note(r, "%s is 0: the kernel forwards nothing of what the NICs leave to it; write 1 there", files[i]);
		if (f)
			fclose(f);
	}
}

static int router_threads(struct router *r, char err[ROUTER_ERR_MAX])
{
	r->following = !pthread_create(&r->follower, NULL, router_main, r);
	if (r->following)
		return 0;
	snprintf(err, ROUTER_ERR_MAX, "cannot start a thread");
	return -EAGAIN;
}

static int router_begin(struct router *r, char err[ROUTER_ERR_MAX])
{
	int rc;

	rc = drv_route_open(r->drv, &r->route);
	if (rc) {
		snprintf(err, ROUTER_ERR_MAX, "%s", drv_error(r->drv));
		return rc;
	}
	rc = router_ports(r, err);
	if (rc)
		return rc;
	router_links(r);
	r->carrying = !pthread_create(&r->carrier, NULL, router_carry, r);
	if (!r->carrying) {
		snprintf(err, ROUTER_ERR_MAX, "cannot start a thread");
		return -EAGAIN;
	}
	return 0;
}

/* The batch that adopts what is there and loads the kernel's routes is one. */
static int router_load(struct router *r, char err[ROUTER_ERR_MAX])
{
	unsigned int i, used = 0;
	int rc = 0;

	router_drv_take(r);
	for (i = 0; i < r->drv->n; i++)
		used += drv_route_used(r->route, r->drv->nic[i].index) == 1;
	router_drv_give(r);
	if (used)
		rc = router_gateways(r, err);
	if (!rc)
		rc = router_areas(r, err);
	if (rc)
		return rc;
	router_lost(r);
	area_begin(r->area);
	rc = follow_open(r, &area_sink, r->area, err);
	if (rc)
		return rc;
	area_commit(r->area);
	router_room(r);
	router_rules(r);
	router_drv_take(r);
	rc = router_use(r, err);
	router_drv_give(r);
	return rc;
}

int router_create(struct router **out, struct drv *d, const struct router_opts *o, char err[ROUTER_ERR_MAX])
{
	struct router *r = calloc(1, sizeof(*r));
	unsigned int i;
	int rc;

	if (!r) {
		snprintf(err, ROUTER_ERR_MAX, "out of memory");
		return -ENOMEM;
	}
	r->drv = d;
	r->opts = *o;
	for (i = 0; i < d->n; i++)
		r->name[d->nic[i].index] = o->nic_name[i];
	pthread_mutex_init(&r->drv_lock, NULL);
	pthread_mutex_init(&r->drv_turn, NULL);
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = router_begin(r, err);
	if (!rc)
		rc = router_load(r, err);
	if (!rc)
		rc = router_threads(r, err);
	if (rc) {
		router_destroy(r);
		return rc;
	}
	router_forwarding(r);
	if (r->adopted)
		router_note(r, "took over the tables of %u NIC%s", r->adopted, r->adopted == 1 ? "" : "s");
	*out = r;
	return 0;
}

void router_keep(struct router *r)
{
	r->opts.keep = true;
}

void router_destroy(struct router *r)
{
	uint64_t one = 1;
	unsigned int i;

	if (!r)
		return;
	__atomic_store_n(&r->stopping, true, __ATOMIC_RELEASE);
	if (write(r->stop_fd, &one, sizeof(one)) < 0)
		r->stopping = true; /* they look within 100 ms anyway */
	if (r->following)
		pthread_join(r->follower, NULL);
	if (r->carrying)
		pthread_join(r->carrier, NULL);
	router_askers_end(r);
	follow_close(r);
	area_destroy(r->area);
	for (i = 0; i < r->ports; i++) {
		router_tap_close(&r->port[i].tap, !r->opts.keep);
		free(r->port[i].frame);
	}
	free(r->port);
	if (r->route)
		drv_route_close(r->route);
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	pthread_mutex_destroy(&r->drv_turn);
	pthread_mutex_destroy(&r->drv_lock);
	free(r);
}
