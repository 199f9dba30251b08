/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program is assembled here rather than compiled: five instructions need no
 * compiler for BPF where the package is built and no file where it runs.  It is
 * put on by a BPF link, which lives as long as its descriptor: a process that is
 * killed leaves nothing behind.  A link neither replaces nor is replaced by
 * anybody's program.  Source: linux/Documentation/networking/af_xdp.rst, bpf-helpers(7).
 */
#include "ports/xdp_int.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef BPF_F_XDP_HAS_FRAGS
#define BPF_F_XDP_HAS_FRAGS (1u << 5)
#endif

#define PROG_RIGHTS "needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF: run as root"

uint32_t xdp_prog_queues(const struct xdp_port *x)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq ifr = { .ifr_data = (char *)&ch };

	memcpy(ifr.ifr_name, x->ifname, IFNAMSIZ);
	if (ioctl(x->ctl_fd, SIOCETHTOOL, &ifr))
		return 0;
	return ch.rx_count + ch.combined_count;
}

/* bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS): what no socket takes is the kernel's. */
static int prog_load(int map_fd, uint32_t flags)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		{ .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map_fd },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = flags);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "p2pnic", "BSD", insns, P2P_ARRAY_SIZE(insns), &opts);

	return fd < 0 ? -errno : fd;
}

static int prog_link(struct xdp_port *x, uint32_t load_flags, uint32_t link_flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = link_flags);
	int fd = prog_load(x->map_fd, load_flags);

	if (fd < 0)
		return fd;
	x->prog_fd = fd;
	fd = bpf_link_create(x->prog_fd, x->ifindex, BPF_XDP, &opts);
	if (fd >= 0) {
		x->link_fd = fd;
		x->native = link_flags == XDP_FLAGS_DRV_MODE;
		return 0;
	}
	fd = -errno;
	close(x->prog_fd);
	x->prog_fd = -1;
	return fd;
}

/* In the driver if it can, for frames in several pieces if it only takes such programs, else behind it. */
static int prog_link_any(struct xdp_port *x)
{
	int rc = -EOPNOTSUPP;

	if (x->mode != XDP_HOOK_SKB) {
		rc = prog_link(x, 0, XDP_FLAGS_DRV_MODE);
		if (rc && rc != -EBUSY && rc != -EEXIST && rc != -EPERM)
			rc = prog_link(x, BPF_F_XDP_HAS_FRAGS, XDP_FLAGS_DRV_MODE);
	}
	if (!rc || rc == -EBUSY || rc == -EEXIST || rc == -EPERM || x->mode == XDP_HOOK_NATIVE)
		return rc;
	return prog_link(x, 0, XDP_FLAGS_SKB_MODE);
}

static int prog_map(struct xdp_port *x, uint32_t queues, char err[PORT_ERR_MAX])
{
	int rc;

	x->map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "p2pnic", 4, 4, queues, NULL);
	if (x->map_fd >= 0)
		return 0;
	rc = -errno;
	snprintf(err, PORT_ERR_MAX, "xdp: '%s': no BPF map for sockets: %s: %s", x->ifname, strerror(-rc),
		 rc == -EPERM ? PROG_RIGHTS : "the kernel needs CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS");
	return rc;
}

static void prog_explain(const struct xdp_port *x, int rc, char err[PORT_ERR_MAX])
{
	uint32_t id = 0;

	if (rc == -EBUSY || rc == -EEXIST) {
		bpf_xdp_query_id(x->ifindex, 0, &id);
		snprintf(err, PORT_ERR_MAX,
			 "xdp: '%s' has an XDP program already (id %u): it stays; end its owner or run: ip link set %s xdp off",
			 x->ifname, id, x->ifname);
	} else if (rc == -EPERM) {
		snprintf(err, PORT_ERR_MAX, "xdp: no right to put an XDP program on '%s': " PROG_RIGHTS, x->ifname);
	} else if (x->mode == XDP_HOOK_NATIVE) {
		snprintf(err, PORT_ERR_MAX,
			 "xdp: the driver of '%s' takes no XDP program at MTU %u: %s: lower the MTU or use mode=skb", x->ifname,
			 x->mtu, strerror(-rc));
	} else {
		snprintf(err, PORT_ERR_MAX, "xdp: cannot put an XDP program on '%s': %s", x->ifname, strerror(-rc));
	}
}

int xdp_prog_attach(struct xdp_port *x, char err[PORT_ERR_MAX])
{
	uint32_t queues = xdp_prog_queues(x);
	int rc;

	x->ifindex = (int)if_nametoindex(x->ifname);
	if (!x->ifindex) {
		snprintf(err, PORT_ERR_MAX, "xdp: no interface '%s'%s: see `ip link`", x->ifname,
			 x->ns_fd >= 0 ? " in that namespace" : "");
		return -ENODEV;
	}
	if (queues && x->first_queue + x->all_queues > queues) {
		snprintf(err, PORT_ERR_MAX, "xdp: '%s' has %u receive queue%s, 0 to %u, no queue %u: see `ethtool -l %s`",
			 x->ifname, queues, queues == 1 ? "" : "s", queues - 1, x->first_queue + x->all_queues - 1, x->ifname);
		rc = -EINVAL;
		goto forget_interface;
	}
	rc = prog_map(x, x->first_queue + x->all_queues, err);
	if (rc)
		goto forget_interface;
	rc = prog_link_any(x);
	if (!rc)
		__atomic_store_n(&x->prog_gen, x->prog_gen + 1, __ATOMIC_RELAXED);
	if (!rc)
		return 0;
	prog_explain(x, rc, err);
	close(x->map_fd);
	x->map_fd = -1;
forget_interface:
	x->ifindex = 0;
	return rc;
}

void xdp_prog_detach(struct xdp_port *x)
{
	if (x->link_fd >= 0)
		close(x->link_fd);
	if (x->prog_fd >= 0)
		close(x->prog_fd);
	if (x->map_fd >= 0)
		close(x->map_fd);
	x->link_fd = x->prog_fd = x->map_fd = -1;
	x->ifindex = 0;
	__atomic_store_n(&x->prog_gen, x->prog_gen + 1, __ATOMIC_RELAXED);
}

int xdp_prog_redirect(struct xdp_port *x, const struct xdp_queue *q)
{
	return bpf_map_update_elem(x->first->map_fd, &q->id, &q->fd, BPF_ANY) ? -errno : 0;
}
