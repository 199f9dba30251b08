/* SPDX-License-Identifier: BSD-3-Clause */
/* xdp: a cable that is a network interface, frames taken from under its driver by AF_XDP. */
#include "ports/xdp_int.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "ports/netns.h"
#include "ports/schemes.h"

#define XDP_LOOK_NS 1000000000u  /* how often the interface is looked at even if the kernel says nothing */
#define XDP_RETRY_NS 100000000u  /* between attempts to come up again */
#define XDP_STATS_NS 100000000u
#define XDP_TX_POLL_MIN_NS 100000u /* sleeping with segments under way: first look, doubling */
#define XDP_TX_POLL_MAX_NS 10000000u
#define XDP_BUSY_TRIES 50 /* 10 ms apart: the kernel lets go of a dead process's queue a little later */

/* ---- the interface ---- */

static void xdp_ifr(const struct xdp_port *x, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, x->ifname, IFNAMSIZ);
}

static void xdp_look(struct xdp_port *x)
{
	struct ifreq ifr;

	x->there = x->up = x->running = false;
	xdp_ifr(x, &ifr);
	if (ioctl(x->ctl_fd, SIOCGIFINDEX, &ifr) || (x->ifindex && ifr.ifr_ifindex != x->ifindex))
		return;
	x->there = true;
	xdp_ifr(x, &ifr);
	if (ioctl(x->ctl_fd, SIOCGIFFLAGS, &ifr) == 0) {
		x->up = ifr.ifr_flags & IFF_UP;
		x->running = x->up && (ifr.ifr_flags & IFF_RUNNING);
	}
	xdp_ifr(x, &ifr);
	if (ioctl(x->ctl_fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu > 0)
		x->mtu = (uint32_t)ifr.ifr_mtu;
}

static void xdp_link_set(struct xdp_port *x)
{
	bool link = x->bound && x->running;

	if (link == x->link)
		return;
	x->link = link;
	p2p_count(&x->port.stats.link_changes, 1);
}

static int xdp_watch(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int rc;

	x->ctl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (x->ctl_fd >= 0 && bind(x->ctl_fd, (struct sockaddr *)&links, sizeof(links)) == 0)
		return 0;
	rc = -errno;
	snprintf(err, PORT_ERR_MAX, "xdp: cannot watch '%s' by netlink: %s", x->ifname, strerror(-rc));
	return rc;
}

/* Runs fn in the port's namespace. */
static int xdp_there(struct xdp_port *x, int (*fn)(struct xdp_port *x, char err[PORT_ERR_MAX]), char err[PORT_ERR_MAX])
{
	int home, back, rc = port_netns_enter(x->ns_fd, &home);

	if (rc) {
		snprintf(err, PORT_ERR_MAX, "xdp: cannot enter the namespace of '%s': %s", x->ifname, strerror(-rc));
		return rc;
	}
	rc = fn(x, err);
	back = port_netns_leave(home);
	if (back && !rc) {
		rc = back;
		snprintf(err, PORT_ERR_MAX, "xdp: cannot return from the namespace of '%s': %s", x->ifname, strerror(-rc));
	}
	return rc;
}

/* ---- opening ---- */

static int xdp_choice(const struct port_spec *spec, const char *key, const char *const names[3], unsigned int *v,
		      char err[PORT_ERR_MAX])
{
	const char *s = port_spec_get(spec, key);

	for (*v = 0; s && *v < 3 && strcmp(s, names[*v]) != 0;)
		++*v;
	if (*v < 3)
		return 0;
	snprintf(err, PORT_ERR_MAX, "xdp: %s=%.40s: give %s, %s or %s", key, s, names[0], names[1], names[2]);
	return -EINVAL;
}

static int xdp_options(struct xdp_port *x, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	static const char *const modes[] = { "auto", "native", "skb" }, *const copies[] = { "auto", "on", "off" };
	uint64_t queue = 0, queues = 1, ring = XDP_RING_DEFAULT, busy = 0;
	unsigned int mode, zerocopy;

	if (port_spec_get_u64(spec, "queue", 0, 4095, &queue, err) ||
	    port_spec_get_u64(spec, "queues", 1, XDP_MAX_QUEUES, &queues, err) ||
	    port_spec_get_u64(spec, "ring", XDP_RING_MIN, XDP_RING_MAX, &ring, err) ||
	    port_spec_get_u64(spec, "busy-poll", 0, 1024, &busy, err) || xdp_choice(spec, "mode", modes, &mode, err) ||
	    xdp_choice(spec, "zerocopy", copies, &zerocopy, err))
		return -EINVAL;
	if (ring & (ring - 1)) {
		snprintf(err, PORT_ERR_MAX, "xdp: ring=%u: give a power of two, %u to %u", (unsigned int)ring, XDP_RING_MIN,
			 XDP_RING_MAX);
		return -EINVAL;
	}
	if (mode == XDP_HOOK_SKB && zerocopy == XDP_YES) {
		snprintf(err, PORT_ERR_MAX, "xdp: zerocopy=on needs the driver: not with mode=skb");
		return -EINVAL;
	}
	if (!*spec->target || strlen(spec->target) >= IFNAMSIZ) {
		snprintf(err, PORT_ERR_MAX, "xdp: '%.40s' is no interface name: 1 to %d characters", spec->target, IFNAMSIZ - 1);
		return -EINVAL;
	}
	memcpy(x->ifname, spec->target, strlen(spec->target) + 1);
	x->first_queue = (uint32_t)queue;
	x->all_queues = (uint32_t)queues;
	x->ring = (uint32_t)ring;
	x->busy_poll = (int)busy;
	x->mode = mode;
	x->zerocopy = zerocopy;
	return 0;
}

static int xdp_setup(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	int rc = xdp_watch(x, err);

	if (rc)
		return rc;
	xdp_look(x);
	rc = xdp_prog_attach(x, err);
	if (rc || x->native || x->zerocopy != XDP_YES)
		return rc;
	snprintf(err, PORT_ERR_MAX, "xdp: the driver of '%s' takes no XDP program: zerocopy=on is not possible", x->ifname);
	return -EOPNOTSUPP;
}

static struct xdp_port *xdp_make(void)
{
	struct xdp_port *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->port.ops = &port_xdp_ops;
	x->first = x;
	x->ns_fd = x->ctl_fd = x->map_fd = x->prog_fd = x->link_fd = -1;
	x->mtu = 1500;
	pthread_mutex_init(&x->lock, NULL);
	return x;
}

static void xdp_free(struct xdp_port *x)
{
	if (x->ctl_fd >= 0)
		close(x->ctl_fd);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

static void xdp_close(struct port *port)
{
	struct xdp_port *x = xdp_of(port);
	unsigned int q;

	for (q = 1; q < XDP_MAX_QUEUES; q++)
		if (x->lane[q])
			xdp_free(x->lane[q]);
	xdp_prog_detach(x);
	if (x->ns_fd >= 0)
		close(x->ns_fd);
	xdp_free(x);
}

/* What the libraries would print is in our own line. */
static int xdp_quiet_bpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int xdp_quiet(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int xdp_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *netns = port_spec_get(spec, "netns");
	struct xdp_port *x = xdp_make();
	int rc;

	if (!x) {
		snprintf(err, PORT_ERR_MAX, "xdp: out of memory");
		return -ENOMEM;
	}
	libbpf_set_print(xdp_quiet_bpf);
	libxdp_set_print(xdp_quiet);
	rc = xdp_options(x, spec, err);
	if (!rc && netns)
		rc = port_netns_open("xdp", netns, &x->ns_fd, err);
	if (!rc)
		rc = xdp_there(x, xdp_setup, err);
	if (rc) {
		xdp_close(&x->port);
		return rc;
	}
	*out = &x->port;
	return 0;
}

/* Lane q: the options and the namespace are the first's, the eyes its own. */
static struct port *xdp_lane(struct port *port, unsigned int q)
{
	struct xdp_port *first = xdp_of(port), *x;
	char err[PORT_ERR_MAX];

	if (q == 0 || q >= first->all_queues)
		return q ? NULL : port;
	if (first->lane[q])
		return &first->lane[q]->port;
	x = xdp_make();
	if (!x)
		return NULL;
	memcpy(x->port.name, port->name, sizeof(x->port.name));
	memcpy(x->ifname, first->ifname, sizeof(x->ifname));
	x->first = first;
	x->lane_no = q;
	x->mode = first->mode;
	x->zerocopy = first->zerocopy;
	x->first_queue = first->first_queue;
	x->all_queues = first->all_queues;
	x->ring = first->ring;
	x->busy_poll = first->busy_poll;
	x->ns_fd = first->ns_fd;
	if (xdp_there(x, xdp_watch, err)) {
		xdp_free(x);
		return NULL;
	}
	first->lane[q] = x;
	return &x->port;
}

/* ---- starting ---- */

static int xdp_books(struct xdp_port *x)
{
	uint32_t n = x->mem.rx_bufs, size = x->ring;

	x->num_bufs = n;
	x->pool = calloc(n, sizeof(*x->pool));
	x->cookie = calloc(n, sizeof(*x->cookie));
	x->with_kernel = calloc(n, sizeof(*x->with_kernel));
	x->sent = calloc(size, sizeof(*x->sent));
	x->sent_mask = size - 1;
	x->pool_n = x->sent_head = x->sent_tail = x->done = x->turn = 0;
	x->chunk_shift = x->mem.buf_size & (x->mem.buf_size - 1) ? 0 : (unsigned int)__builtin_ctz(x->mem.buf_size);
	return x->pool && x->cookie && x->with_kernel && x->sent ? 0 : -ENOMEM;
}

/* Longest frame that a started port can receive. */
static uint32_t xdp_room(const struct xdp_port *x)
{
	return (x->mem.buf_size - XDP_HEADROOM) * (x->sg ? P2P_MAX_SEGS : 1);
}

static int xdp_first_open(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	unsigned int tries;
	int rc = 0;

	for (tries = 0; tries < XDP_BUSY_TRIES; tries++) {
		rc = xdp_there(x, xdp_sockets_open, err);
		if (rc != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (rc || x->mtu + XDP_HEADER_BYTES <= xdp_room(x))
		return rc;
	snprintf(err, PORT_ERR_MAX, "xdp: '%s' has MTU %u, this kernel's AF_XDP takes %u with --buf-size %u: %s", x->ifname,
		 x->mtu, xdp_room(x) - XDP_HEADER_BYTES, x->mem.buf_size,
		 x->mem.buf_size < XDP_CHUNK_MAX ? "use --buf-size 4096 or lower the MTU" : "lower the MTU");
	return -EMSGSIZE;
}

static void xdp_stop(struct port *port)
{
	struct xdp_port *x = xdp_of(port);

	xdp_sockets_close(x);
	x->started = x->link = false;
	xdp_umem_unmap(&x->range);
	free(x->pool);
	free(x->cookie);
	free(x->with_kernel);
	free(x->sent);
	x->pool = x->cookie = NULL;
	x->with_kernel = NULL;
	x->sent = NULL;
	x->done = 0;
}

static int xdp_start(struct port *port, const struct port_memory *mem)
{
	struct xdp_port *x = xdp_of(port);
	struct xsk_umem_config cfg;
	char *why = port->start_err;
	int rc;

	x->mem = *mem;
	x->lanes = mem->queues ? mem->queues : 1;
	x->queues = (x->all_queues - x->lane_no + x->lanes - 1) / x->lanes;
	rc = xdp_umem_config(mem->buf_size, x->ring, &cfg);
	if (rc) {
		snprintf(why, PORT_ERR_MAX, "xdp: AF_XDP takes no buffers of %u bytes: use --buf-size 2048, 2112 or 4096",
			 mem->buf_size);
		return rc;
	}
	rc = xdp_books(x);
	if (!rc)
		rc = xdp_umem_map(&x->range, mem);
	if (!rc) {
		x->ifindex = x->first->ifindex;
		xdp_look(x);
		x->started = true;
		if (x->up)
			rc = xdp_first_open(x, why);
	}
	/* An interface that goes away in the meantime is one that is down. */
	if (rc == -ENETDOWN || rc == -ENODEV || rc == -ENXIO)
		rc = 0;
	if (rc) {
		xdp_stop(port);
		return rc;
	}
	x->look_ns = x->try_ns = x->stats_ns = 0;
	xdp_link_set(x);
	return 0;
}

/* ---- running ---- */

/* Whether the kernel has told of a change to any device; what it was is looked up. */
static bool xdp_news(struct xdp_port *x)
{
	bool news = false;
	unsigned int i;
	char byte;

	/* What does not fit is cut off; ENOBUFS means that news were lost, which is news. */
	for (i = 0; i < 64 && (recv(x->ctl_fd, &byte, 1, 0) >= 0 || errno == ENOBUFS); i++)
		news = true;
	return news;
}

/* Brings program and sockets to where the interface is; under the first lane's lock. */
static void xdp_follow(struct xdp_port *x, uint64_t now_ns)
{
	struct xdp_port *first = x->first;
	char err[PORT_ERR_MAX];
	int rc = 0;

	if (x->bound && (!x->up || x->bound_gen != first->prog_gen))
		xdp_sockets_close(x);
	if (x->ifindex && !x->there) {
		if (x == first)
			xdp_prog_detach(x);
		x->ifindex = 0;
		xdp_look(x);
	}
	if (x->bound || !x->up || now_ns < x->try_ns)
		return;
	x->try_ns = now_ns + XDP_RETRY_NS;
	if (x == first && !x->ifindex)
		rc = xdp_there(x, xdp_prog_attach, err);
	if (rc || !first->ifindex)
		return;
	x->ifindex = first->ifindex;
	xdp_there(x, xdp_sockets_open, err);
}

static void xdp_control(struct port *port, uint64_t now_ns)
{
	struct xdp_port *x = xdp_of(port);

	if (!x->started)
		return;
	if (x->bound && now_ns >= x->stats_ns) {
		x->stats_ns = now_ns + XDP_STATS_NS;
		xdp_stats_read(x);
	}
	if (xdp_news(x) || now_ns >= x->look_ns) {
		x->look_ns = now_ns + XDP_LOOK_NS;
		xdp_look(x);
	}
	if (x->bound && x->up && x->there && x->bound_gen == __atomic_load_n(&x->first->prog_gen, __ATOMIC_RELAXED)) {
		xdp_link_set(x);
		return;
	}
	pthread_mutex_lock(&x->first->lock);
	xdp_follow(x, now_ns);
	pthread_mutex_unlock(&x->first->lock);
	xdp_link_set(x);
}

/* A queue with frames that nobody takes (backpressure) would keep a sleeping worker awake. */
static unsigned int xdp_fds(struct port *port, int *fds, unsigned int max, uint32_t *gen)
{
	struct xdp_port *x = xdp_of(port);
	unsigned int i, n = 0;
	uint32_t mask = 0;

	if (max)
		fds[n++] = x->ctl_fd;
	for (i = 0; x->bound && i < x->queues && n < max; i++) {
		if (xsk_cons_nb_avail(&x->q[i].rx, 1))
			continue;
		fds[n++] = x->q[i].fd;
		mask |= 1u << i;
	}
	if (mask != x->fds_mask)
		x->fds_gen++;
	x->fds_mask = mask;
	*gen = x->fds_gen;
	return n;
}

static void xdp_arm(struct port *port, bool sleeping)
{
	struct xdp_port *x = xdp_of(port);

	x->tx_wait_ns = XDP_TX_POLL_MIN_NS;
	if (sleeping && x->bound && x->kick)
		xdp_kick(x);
}

/* No descriptor tells of completions. */
static uint64_t xdp_next_event(struct port *port, uint64_t now_ns)
{
	struct xdp_port *x = xdp_of(port);
	uint64_t at;

	if (!x->bound || x->sent_head == x->sent_tail)
		return UINT64_MAX;
	at = now_ns + x->tx_wait_ns;
	if (x->tx_wait_ns < XDP_TX_POLL_MAX_NS)
		x->tx_wait_ns *= 2;
	return at;
}

static bool xdp_link_up(struct port *port)
{
	return xdp_of(port)->link;
}

const struct port_ops port_xdp_ops = {
	.scheme = "xdp",
	.help = "xdp:IFNAME[,queue=N][,queues=N][,mode=auto|native|skb][,zerocopy=auto|on|off][,ring=N][,busy-poll=N]"
		"[,netns=NAME|PATH]: a network interface, by AF_XDP",
	.open = xdp_open,
	.start = xdp_start,
	.stop = xdp_stop,
	.close = xdp_close,
	.rx_burst = xdp_rx_burst,
	.rx_post = xdp_rx_post,
	.tx_burst = xdp_tx_burst,
	.tx_done = xdp_tx_done,
	.control = xdp_control,
	.fds = xdp_fds,
	.arm = xdp_arm,
	.next_event = xdp_next_event,
	.link_up = xdp_link_up,
	.queue = xdp_lane,
};
