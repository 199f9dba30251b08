/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The xdp port's own parts; nothing outside ports/xdp*.c and its tests includes this.
 *
 *   xdp.c       the port_ops table, spec, control(), what becomes of the interface
 *   xdp_prog.c  the XDP program on the interface, and what the interface is
 *   xdp_umem.c  device memory as one UMEM; the sockets of the queues
 *   xdp_path.c  frames between the queues' rings and the board
 *
 * QUEUES  Each of the interface's is an AF_XDP socket with its own four rings over
 *   the one UMEM of its port.  Frames are received from all of them in turn and sent
 *   by the first, which keeps flows in order.  A NIC with several queues has a port
 *   for each, a lane, which deals the interface's out: lane k of n has every n-th from the k-th on.
 *   Program and map are the first lane's; the others use them under its lock, which
 *   only control() takes.
 *
 * MEMORY  The port maps its regions once more, side by side, and registers that
 *   range as the UMEM: an address in a descriptor is where the region begins in
 *   it plus the offset in the region.  The kernel puts a received frame
 *   XDP_HEADROOM bytes behind the beginning of its buffer.
 *
 * LIFE  The program is on the interface from open() to close(), and passes to
 *   the kernel what no socket of ours takes.  The sockets are there while the
 *   port is started and the interface is up; what they held comes back when they go.
 */
#ifndef PORTS_XDP_INT_H
#define PORTS_XDP_INT_H

#include <net/if.h>
#include <pthread.h>
#include <xdp/xsk.h>

#include "ports/port.h"

#define XDP_MAX_QUEUES 16u
#define XDP_HEADROOM 256u      /* the kernel's XDP_PACKET_HEADROOM */
#define XDP_HEADER_BYTES 22u   /* Ethernet and two VLAN tags */
#define XDP_CHUNK_MAX 4096u    /* a UMEM chunk is one page at most */
#define XDP_RING_DEFAULT 2048u
#define XDP_RING_MIN 64u
#define XDP_RING_MAX 16384u

/* Of later kernels than Debian 12's headers; refused by a kernel that doesn't know it. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

enum xdp_want { XDP_AUTO, XDP_YES, XDP_NO };
enum xdp_hook { XDP_HOOK_ANY, XDP_HOOK_NATIVE, XDP_HOOK_SKB };

/* One segment under way, oldest first. */
struct xdp_sent {
	uint64_t addr; /* XDP_ADDR_NONE: completed */
	uint32_t len;
	uint32_t more;
};
#define XDP_ADDR_NONE UINT64_MAX

struct xdp_queue {
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	struct xsk_ring_prod tx;   /* queue 0 */
	struct xsk_ring_cons comp;
	struct xsk_socket *xsk;
	int fd;
	uint32_t id;       /* the interface's queue */
	uint32_t fill_max; /* most buffers that the kernel may hold of us */
	uint32_t held;     /* those that it holds */
	uint64_t refused;  /* of the kernel's statistics, what has been counted */
};

/* The range that is registered: built by xdp_umem_map(). */
struct xdp_range {
	uint8_t *map; /* the reservation, map_bytes of it */
	size_t map_bytes;
	uint8_t *base; /* size bytes of regions */
	uint64_t size;
	uint64_t at[PORT_MAX_REGIONS]; /* where each region begins */
};

struct xdp_port {
	struct port port;
	char ifname[IFNAMSIZ];
	enum xdp_hook mode;
	enum xdp_want zerocopy;
	uint32_t first_queue, all_queues, ring; /* of the interface's queues: from which on, how many */
	int busy_poll; /* frames per busy poll of the driver; 0: it is left to its interrupts */

	struct xdp_port *first; /* lane 0, which may be this one */
	struct xdp_port *lane[XDP_MAX_QUEUES]; /* lane 0: those that were asked for */
	unsigned int lane_no, lanes; /* lanes: that are started along with this one */
	uint32_t queues; /* of the interface's, how many this lane has; while started */

	/* The interface and the program on it; of lane 0, under its lock. */
	pthread_mutex_t lock;
	uint32_t prog_gen; /* changes whenever the program goes or comes */
	uint32_t bound_gen; /* each lane's own: when its sockets were made */
	int ns_fd, ctl_fd;
	int ifindex; /* that the program is on; 0: none */
	int map_fd, prog_fd, link_fd;
	bool native;
	uint32_t mtu;
	bool there, up, running, link; /* there: it is the interface that the program is on */
	uint64_t look_ns, try_ns, stats_ns;

	/* While started. */
	bool started, bound, copying, sg;
	struct port_memory mem;
	struct xdp_range range;
	unsigned int chunk_shift; /* 0: buffers are no power of two */
	struct xsk_umem *umem;
	struct xdp_queue q[XDP_MAX_QUEUES];
	unsigned int turn; /* which queue is looked at first */

	/* Receive buffers that the kernel does not hold. */
	uint32_t *pool, pool_n;
	uint32_t *cookie;    /* of each receive buffer */
	bool *with_kernel;   /* which of them it holds */
	uint32_t num_bufs;

	/* Segments sent, indexes run free. */
	struct xdp_sent *sent;
	uint32_t sent_mask, sent_head, sent_tail;
	uint32_t done;
	bool kick; /* the kernel has not taken all of the tx ring */
	bool fed;  /* something was put there in this step */
	uint32_t unkicked; /* segments put there since the kernel was called */

	/* Sleeping. */
	uint64_t tx_wait_ns;
	uint32_t fds_gen, fds_mask;
};

static inline struct xdp_port *xdp_of(struct port *p)
{
	return (struct xdp_port *)p;
}

/* ---- xdp_prog.c; in the port's namespace, which the caller has entered ---- */

/*
 * Loads the program and puts it on the interface, by a link that the kernel
 * takes away with the process.  Returns 0 or -errno and one line in err; -EBUSY: there is
 * a program of somebody else's.
 */
int xdp_prog_attach(struct xdp_port *x, char err[PORT_ERR_MAX]);
/* Takes the program off.  No effect if there is none. */
void xdp_prog_detach(struct xdp_port *x);
/* Frames of queue i go to its socket.  0 or -errno. */
int xdp_prog_redirect(struct xdp_port *x, const struct xdp_queue *q);
/* Queues that the interface has now; 0: the driver doesn't say. */
uint32_t xdp_prog_queues(const struct xdp_port *x);

/* ---- xdp_umem.c ---- */

/*
 * Maps the regions side by side.  *range is for xdp_umem_unmap().
 * Returns 0; -EINVAL: a region is not backed by a descriptor; -errno.
 */
int xdp_umem_map(struct xdp_range *range, const struct port_memory *mem);
void xdp_umem_unmap(struct xdp_range *range);
/* How a UMEM of such buffers is registered.  0 or -EMSGSIZE: the kernel takes none of that size. */
int xdp_umem_config(uint32_t buf_size, uint32_t ring, struct xsk_umem_config *cfg);
/* UMEM and sockets.  0, or -errno with one line in err and nothing left behind. */
int xdp_sockets_open(struct xdp_port *x, char err[PORT_ERR_MAX]);
/* Everything that the kernel held is the port's again; what was being sent is lost. */
void xdp_sockets_close(struct xdp_port *x);

/* ---- xdp_path.c ---- */

unsigned int xdp_rx_burst(struct port *port, struct p2p_seg *segs, unsigned int n);
unsigned int xdp_rx_post(struct port *port, const struct p2p_seg *segs, unsigned int n);
unsigned int xdp_tx_burst(struct port *port, const struct p2p_seg *segs, unsigned int n);
unsigned int xdp_tx_done(struct port *port);
/* Buffers of the pool to the queues that have room. */
void xdp_refill(struct xdp_port *x);
/* What the kernel refused since the last call, from its statistics. */
void xdp_stats_read(struct xdp_port *x);
/* Wakes the kernel for what it was handed, where it says that it wants to be woken. */
void xdp_kick(struct xdp_port *x);
/* A segment goes to the kernel, or in an order with those that do is done with at once (XDP_ADDR_NONE). */
void xdp_sent_add(struct xdp_port *x, uint64_t addr, const struct p2p_seg *s);
/* An address comes back by a completion ring, in whatever order. */
void xdp_sent_complete(struct xdp_port *x, uint64_t addr);
/* A descriptor of the rx ring, as a segment. */
struct p2p_seg xdp_received(struct xdp_port *x, uint64_t addr, uint32_t len, bool more);

/* Where in the UMEM a segment lies. */
static inline uint64_t xdp_addr(const struct xdp_port *x, unsigned int region, const uint8_t *data)
{
	return x->range.at[region] + (uint64_t)(data - x->mem.region[region].base);
}

#endif
