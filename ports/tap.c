/* SPDX-License-Identifier: BSD-3-Clause */
/* tap: a cable whose far end is a network device of the kernel. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ports/buffers.h"
#include "ports/netns.h"
#include "ports/schemes.h"

#define TAP_RX_BURST 32u
#define TAP_LOOK_NS 1000000000u /* how often the device is looked at even if the kernel says nothing */
#define TAP_HEADER_BYTES 22u   /* Ethernet and two VLAN tags */
#define TAP_MTU_MAX 65521u

struct tap_port {
	struct port port;
	char ifname[IFNAMSIZ];
	int fd;
	int ctl_fd; /* a netlink socket in the device's namespace: tells of changes, and serves ioctls */
	uint32_t mtu;
	uint64_t look_ns; /* when to look at the device next */
	bool up, started, gone;

	struct port_buffers bufs;
	uint32_t done;
	bool waiting;     /* fds() last said: wait for frames */
	uint32_t fds_gen;
};

static inline struct tap_port *tap_of(struct port *p)
{
	return (struct tap_port *)p;
}

/* Opening */

static bool tap_name_good(const char *s)
{
	size_t n = strlen(s);
	const char *c;

	if (n == 0 || n >= IFNAMSIZ || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return false;
	for (c = s; *c; c++) {
		if (*c <= ' ' || *c == '/' || *c == ':' || *c == '%' || *c == 0x7f)
			return false;
	}
	return true;
}

static void tap_ifr(const struct tap_port *t, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	memcpy(ifr->ifr_name, t->ifname, IFNAMSIZ);
}

static int tap_attach(struct tap_port *t, char err[PORT_ERR_MAX])
{
	struct ifreq ifr;
	int rc;

	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "tap: cannot open /dev/net/tun: %s%s", strerror(-rc),
			 rc == -ENOENT || rc == -ENXIO ? ": run modprobe tun" : "");
		return rc;
	}
	tap_ifr(t, &ifr);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(t->fd, TUNSETIFF, &ifr) == 0)
		return 0;
	rc = -errno;
	if (rc == -EPERM || rc == -EACCES)
		snprintf(err, PORT_ERR_MAX,
			 "tap: no right to use '%s': needs CAP_NET_ADMIN: run as root, or have root run: ip tuntap add %s mode tap user %s",
			 t->ifname, t->ifname, getenv("USER") ? getenv("USER") : "YOU");
	else if (rc == -EBUSY)
		snprintf(err, PORT_ERR_MAX, "tap: '%s' is in use by another program: stop that or take another name",
			 t->ifname);
	else if (rc == -EINVAL)
		snprintf(err, PORT_ERR_MAX, "tap: '%s' exists and is not a single-queue tap device: take another name",
			 t->ifname);
	else
		snprintf(err, PORT_ERR_MAX, "tap: cannot attach to '%s': %s", t->ifname, strerror(-rc));
	return rc;
}

/* Looks at flags and MTU; the cable is up while the device is there and set up. */
static void tap_look(struct tap_port *t)
{
	struct ifreq ifr;
	bool up = false;

	if (!t->gone) {
		tap_ifr(t, &ifr);
		if (ioctl(t->ctl_fd, SIOCGIFFLAGS, &ifr) == 0)
			up = ifr.ifr_flags & IFF_UP;
		tap_ifr(t, &ifr);
		if (ioctl(t->ctl_fd, SIOCGIFMTU, &ifr) == 0 && ifr.ifr_mtu > 0)
			t->mtu = (uint32_t)ifr.ifr_mtu;
	}
	if (up != t->up) {
		t->up = up;
		p2p_count(&t->port.stats.link_changes, 1);
	}
}

/* The kernel refuses for good: the device was deleted under us. */
static void tap_lost(struct tap_port *t)
{
	t->gone = true;
	tap_look(t);
}

static int tap_configure(struct tap_port *t, uint64_t mtu, char err[PORT_ERR_MAX])
{
	struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct ifreq ifr;
	int rc;

	t->ctl_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (t->ctl_fd < 0 || bind(t->ctl_fd, (struct sockaddr *)&links, sizeof(links))) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "tap: cannot watch '%s' by netlink: %s", t->ifname, strerror(-rc));
		return rc;
	}
	tap_ifr(t, &ifr);
	ifr.ifr_mtu = (int)mtu;
	if (mtu && ioctl(t->ctl_fd, SIOCSIFMTU, &ifr)) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "tap: cannot set the MTU of '%s' to %u: %s", t->ifname, (unsigned int)mtu,
			 strerror(-rc));
		return rc;
	}
	tap_ifr(t, &ifr);
	if (ioctl(t->ctl_fd, SIOCGIFFLAGS, &ifr)) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "tap: cannot read the flags of '%s': %s", t->ifname, strerror(-rc));
		return rc;
	}
	if (ifr.ifr_flags & IFF_UP)
		return 0;
	ifr.ifr_flags |= IFF_UP;
	/* The owner of a tap who is not root may use it but not set it up: the link then waits for root. */
	if (ioctl(t->ctl_fd, SIOCSIFFLAGS, &ifr) && errno != EPERM) {
		rc = -errno;
		snprintf(err, PORT_ERR_MAX, "tap: cannot set '%s' up: %s", t->ifname, strerror(-rc));
		return rc;
	}
	return 0;
}

static int tap_setup(struct tap_port *t, const char *netns, uint64_t mtu, char err[PORT_ERR_MAX])
{
	int fd = -1, home, rc = 0, back;

	if (netns)
		rc = port_netns_open("tap", netns, &fd, err);
	if (rc)
		return rc;
	rc = port_netns_enter(fd, &home);
	if (rc) {
		snprintf(err, PORT_ERR_MAX, "tap: cannot enter namespace '%.100s': %s", netns, strerror(-rc));
		goto close_ns;
	}
	rc = tap_attach(t, err);
	if (!rc)
		rc = tap_configure(t, mtu, err);
	back = port_netns_leave(home);
	if (back && !rc) {
		rc = back;
		snprintf(err, PORT_ERR_MAX, "tap: cannot return from namespace '%.100s': %s", netns, strerror(-rc));
	}
close_ns:
	if (fd >= 0)
		close(fd);
	return rc;
}

static void tap_close(struct port *port)
{
	struct tap_port *t = tap_of(port);

	if (t->fd >= 0)
		close(t->fd);
	if (t->ctl_fd >= 0)
		close(t->ctl_fd);
	port_buffers_free(&t->bufs);
	free(t);
}

static int tap_open(struct port **out, const struct port_spec *spec, char err[PORT_ERR_MAX])
{
	const char *netns = port_spec_get(spec, "netns"), *up = port_spec_get(spec, "up");
	struct tap_port *t;
	uint64_t mtu = 0;
	int rc;

	rc = port_spec_get_u64(spec, "mtu", 68, TAP_MTU_MAX, &mtu, err);
	if (rc)
		return rc;
	if (!tap_name_good(spec->target)) {
		snprintf(err, PORT_ERR_MAX, "tap: '%.40s' is no device name: 1 to %d characters, no blanks, '/', ':' or '%%'",
			 spec->target, IFNAMSIZ - 1);
		return -EINVAL;
	}
	if (up && *up) {
		snprintf(err, PORT_ERR_MAX, "tap: up=%.40s: 'up' takes no value", up);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		snprintf(err, PORT_ERR_MAX, "tap: out of memory");
		return -ENOMEM;
	}
	t->port.ops = &port_tap_ops;
	t->fd = t->ctl_fd = -1;
	t->mtu = 1500;
	memcpy(t->ifname, spec->target, strlen(spec->target) + 1);
	rc = tap_setup(t, netns, mtu, err);
	if (rc) {
		tap_close(&t->port);
		return rc;
	}
	*out = &t->port;
	return 0;
}

static int tap_start(struct port *port, const struct port_memory *mem)
{
	struct tap_port *t = tap_of(port);
	uint32_t most = mem->rx_bufs < P2P_MAX_SEGS ? mem->rx_bufs : P2P_MAX_SEGS;
	int rc;

	tap_look(t);
	if ((uint64_t)mem->buf_size * most <= t->mtu + TAP_HEADER_BYTES)
		return -EMSGSIZE;
	rc = port_buffers_init(&t->bufs, mem->rx_bufs);
	if (rc)
		return rc;
	t->done = 0;
	t->look_ns = 0;
	t->started = true;
	return 0;
}

static void tap_stop(struct port *port)
{
	struct tap_port *t = tap_of(port);

	t->started = false;
	port_buffers_free(&t->bufs);
}

/* Receiving */

/*
 * Room for one frame in the oldest buffers, one byte more than the longest
 * frame at least: the kernel cuts what does not fit without a word, and a read
 * that fills all the room can't be told from one that was cut.
 */
static unsigned int tap_room(struct tap_port *t, struct iovec *iov, unsigned int max, size_t *room)
{
	uint32_t have = port_buffers_count(&t->bufs), want = t->mtu + TAP_HEADER_BYTES + 1;
	unsigned int i;

	*room = 0;
	if (max > P2P_MAX_SEGS)
		max = P2P_MAX_SEGS;
	for (i = 0; i < max && i < have && *room < want; i++) {
		struct p2p_seg *s = port_buffers_at(&t->bufs, i);

		iov[i] = (struct iovec){ .iov_base = s->data, .iov_len = s->len };
		*room += s->len;
	}
	return *room >= want || i == P2P_MAX_SEGS ? i : 0;
}

static unsigned int tap_rx_burst(struct port *port, struct p2p_seg *segs, unsigned int n)
{
	struct tap_port *t = tap_of(port);
	struct iovec iov[P2P_MAX_SEGS];
	uint64_t frames = 0, bytes = 0;
	unsigned int used = 0, k, tries;
	size_t room;
	ssize_t len;

	if (!t->started || t->gone)
		return 0;
	for (tries = 0; tries < TAP_RX_BURST; tries++) {
		k = tap_room(t, iov, n - used, &room);
		if (!k)
			break;
		len = k == 1 ? read(t->fd, iov[0].iov_base, iov[0].iov_len) : readv(t->fd, iov, (int)k);
		if (len < 0) {
			if (errno == EBADFD || errno == ENODEV)
				tap_lost(t);
			break;
		}
		if (len == 0 || (size_t)len == room) {
			p2p_count(&port->stats.rx_refused, 1);
			continue;
		}
		used += port_buffers_take(&t->bufs, segs + used, (uint32_t)len);
		frames++;
		bytes += (uint64_t)len;
	}
	p2p_count(&port->stats.rx_frames, frames);
	p2p_count(&port->stats.rx_bytes, bytes);
	p2p_count(&port->stats.copies, frames);
	return used;
}

static unsigned int tap_rx_post(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	return port_buffers_post(&tap_of(port)->bufs, segs, n);
}

/* Sending: the kernel takes a frame or refuses it, it never lets us wait. */

static bool tap_send(struct tap_port *t, const struct p2p_seg *segs, unsigned int n, size_t len)
{
	struct iovec iov[P2P_MAX_SEGS];
	unsigned int i;
	ssize_t rc;

	if (t->gone || n > P2P_MAX_SEGS)
		return false;
	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){ .iov_base = segs[i].data, .iov_len = segs[i].len };
	do {
		rc = n == 1 ? write(t->fd, iov[0].iov_base, iov[0].iov_len) : writev(t->fd, iov, (int)n);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0 && (errno == EBADFD || errno == ENODEV))
		tap_lost(t);
	else if (rc < 0 && errno == EIO)
		tap_look(t);
	return rc == (ssize_t)len;
}

static unsigned int tap_tx_burst(struct port *port, const struct p2p_seg *segs, unsigned int n)
{
	struct tap_port *t = tap_of(port);
	uint64_t frames = 0, bytes = 0, errors = 0, lost = 0;
	unsigned int i, first = 0;
	uint32_t len = 0;

	if (!t->started || !t->up)
		return 0;
	for (i = 0; i < n; i++) {
		len += segs[i].len;
		if (segs[i].flags & P2P_SEG_MORE)
			continue;
		if (tap_send(t, segs + first, i + 1 - first, len)) {
			frames++;
			bytes += len;
		} else if (t->gone) {
			lost++;
		} else {
			errors++;
		}
		first = i + 1;
		len = 0;
	}
	p2p_count(&port->stats.tx_frames, frames);
	p2p_count(&port->stats.tx_bytes, bytes);
	p2p_count(&port->stats.copies, frames);
	p2p_count(&port->stats.tx_error, errors);
	p2p_count(&port->stats.tx_lost, lost);
	t->done += first;
	return first;
}

static unsigned int tap_tx_done(struct port *port)
{
	struct tap_port *t = tap_of(port);
	unsigned int n = t->done;

	t->done = 0;
	return n;
}

/* Whether the kernel has told of a change to any device; what it was is looked up. */
static bool tap_news(struct tap_port *t)
{
	bool news = false;
	unsigned int i;
	char byte;

	/* What does not fit is cut off; ENOBUFS means that news were lost, which is news. */
	for (i = 0; i < 64 && (recv(t->ctl_fd, &byte, 1, 0) >= 0 || errno == ENOBUFS); i++)
		news = true;
	return news;
}

static void tap_control(struct port *port, uint64_t now_ns)
{
	struct tap_port *t = tap_of(port);

	if (!tap_news(t) && now_ns < t->look_ns)
		return;
	t->look_ns = now_ns + TAP_LOOK_NS;
	tap_look(t);
}

/* A device with frames but no buffer to put them in would keep a sleeping worker awake. */
static unsigned int tap_fds(struct port *port, int *fds, unsigned int max, uint32_t *gen)
{
	struct tap_port *t = tap_of(port);
	struct iovec iov[P2P_MAX_SEGS];
	size_t room;
	bool wait = t->started && !t->gone && tap_room(t, iov, P2P_MAX_SEGS, &room);

	if (wait != t->waiting) {
		t->waiting = wait;
		t->fds_gen++;
	}
	*gen = t->fds_gen;
	if (max > 0)
		fds[0] = t->ctl_fd;
	if (max > 1 && wait)
		fds[1] = t->fd;
	return max > 1 && wait ? 2 : max > 0;
}

static bool tap_link_up(struct port *port)
{
	struct tap_port *t = tap_of(port);

	return t->started && t->up;
}

const struct port_ops port_tap_ops = {
	.scheme = "tap",
	.help = "tap:NAME[,netns=NAME|PATH][,mtu=N][,up]: a network device of the kernel, made if it is not there",
	.open = tap_open,
	.start = tap_start,
	.stop = tap_stop,
	.close = tap_close,
	.rx_burst = tap_rx_burst,
	.rx_post = tap_rx_post,
	.tx_burst = tap_tx_burst,
	.tx_done = tap_tx_done,
	.control = tap_control,
	.fds = tap_fds,
	.link_up = tap_link_up,
	.in_order = port_buffers_in_order,
};
