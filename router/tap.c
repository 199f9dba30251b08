/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/tap.h"

static int tap_attach(struct router_tap *t, char err[TAP_ERR_MAX])
{
	struct ifreq ifr = { 0 };
	int rc;

	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0) {
		rc = -errno;
		snprintf(err, TAP_ERR_MAX, "cannot open /dev/net/tun: %s; run modprobe tun", strerror(-rc));
		return rc;
	}
	memcpy(ifr.ifr_name, t->name, TAP_NAME_MAX);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI;
	if (ioctl(t->fd, TUNSETIFF, &ifr)) {
		rc = -errno;
		snprintf(err, TAP_ERR_MAX, "cannot make the device '%s': %s%s", t->name, strerror(-rc),
			 rc == -EPERM ? "; run as root" : rc == -EBUSY ? "; is another router running?" :
			 rc == -EINVAL ? "; a device that is no TAP has this name, choose another with --tap" : "");
		return rc;
	}
	return 0;
}

/* A new device gets the port's address, an old one keeps its own; both are set up. */
static int tap_dress(struct router_tap *t, int ctl, const uint8_t mac[6])
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, t->name, TAP_NAME_MAX);
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	if (ioctl(ctl, t->taken_over ? SIOCGIFHWADDR : SIOCSIFHWADDR, &ifr))
		return -errno;
	memcpy(t->mac, ifr.ifr_hwaddr.sa_data, 6);
	if (ioctl(ctl, SIOCGIFFLAGS, &ifr))
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!t->taken_over && ioctl(ctl, SIOCSIFFLAGS, &ifr))
		return -errno;
	t->ifindex = if_nametoindex(t->name);
	return t->ifindex ? 0 : -errno;
}

int router_tap_open(struct router_tap *t, const char *name, const uint8_t mac[6], char err[TAP_ERR_MAX])
{
	int ctl, rc;

	*t = (struct router_tap){ .fd = -1 };
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->taken_over = if_nametoindex(name);
	rc = tap_attach(t, err);
	if (rc)
		goto close;
	ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = ctl < 0 ? -errno : 0;
	t->carrier = true; /* as a device is when somebody attaches to it */
	if (!rc)
		rc = router_tap_carrier(t, false);
	if (!rc)
		rc = tap_dress(t, ctl, mac);
	if (!rc && ioctl(t->fd, TUNSETPERSIST, 1))
		rc = -errno;
	if (ctl >= 0)
		close(ctl);
	if (!rc)
		return 0;
	snprintf(err, TAP_ERR_MAX, "cannot set up the device '%s': %s", name, strerror(-rc));
close:
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	return rc;
}

void router_tap_close(struct router_tap *t, bool remove)
{
	if (t->fd < 0)
		return;
	if (remove)
		ioctl(t->fd, TUNSETPERSIST, 0);
	close(t->fd);
	t->fd = -1;
}

int router_tap_carrier(struct router_tap *t, bool up)
{
	int on = up;

	if (up == t->carrier)
		return 0;
	if (ioctl(t->fd, TUNSETCARRIER, &on))
		return -errno;
	t->carrier = up;
	return 0;
}

ssize_t router_tap_read(const struct router_tap *t, void *buf, size_t size)
{
	ssize_t n = read(t->fd, buf, size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n < 0 ? -errno : n;
}

int router_tap_write(const struct router_tap *t, const void *frame, size_t len)
{
	ssize_t n;

	do
		n = write(t->fd, frame, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
