/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver: introduces NICs to each other and steps aside.
 *
 *   drv_create -> drv_add ... -> drv_bring_up -> drv_wait_ready -> drv_destroy
 *                             -> drv_down | drv_reset          -> drv_destroy
 *
 * ORDER of a bring-up (design section 4)
 *   identity of every NIC; reset; memory decode, then bus mastering; shape;
 *   configuration; each NIC's segments into every other's address space; peer
 *   tables; wake-up descriptors; static pairs; enable.  Each step is done for
 *   all NICs before the next begins.  A step that fails undoes all of them: every
 *   NIC that this call has reset is left reset, without maps, unpersistent.
 *
 * ADOPTION  If a NIC is found running, drv_bring_up() adopts: NICs that run are
 *   neither reset nor disabled and lose no frame; those given that do not run
 *   (restarted, new in their place, or more than before) are introduced alone,
 *   and NICs of the mesh that are not given, and gone, are forgotten (adopt.c).
 *
 * SIZE  A NIC's device memory is laid out for max_nics NICs when it is configured,
 *   and n of them, fewer or as many, are there.  NIC_INDEX is below max_nics.
 *
 * BUS ADDRESSES  In every NIC, BAR2 of NIC j lies at drv_peer_base(): over kernel VFIO at the BAR's own bus address where the IOMMU
 *   takes it, so that a switch can forward without the root, else in a piece of the space, as bus.h has it.  Pieces have 1 TiB, or
 *   less where an IOMMU has fewer bits (drv.bus_shift).  Only the segments that this NIC may reach are mapped
 *   there, or, over kernel VFIO, whose NICs share one address space, that some NIC may.  The host's areas and pool (bn) and
 *   punt rings (routing) have pieces too.
 *
 * THREADS  one caller at a time.
 * ERRORS  0 or -errno with one line in drv_error(): what was wrong, what to do.
 */
#ifndef DRIVER_DRV_H
#define DRIVER_DRV_H

#include <p2pnic/layout.h>
#include <p2pnic/regs.h>

#include "driver/transport.h"

#define DRV_NAME_MAX 128
#define DRV_SLOTS_DEFAULT 1024
#define DRV_BUS_SHIFT 40
#define DRV_BUS_PIECES_BITS 6 /* 64 pieces hold P2P_MAX_NICS and the host's three */

/* What has a place: NICs by NIC_INDEX, then what the host lends. */
enum { DRV_BUS_AREA = P2P_MAX_NICS, DRV_BUS_POOL, DRV_BUS_PUNT, DRV_BUS_ITEMS };

/* "This NIC's own BAR2": P2P_BUS_LOCAL of firmware/board.h, which the driver does not include. */
#define DRV_BUS_LOCAL (1ull << 63)


/* Static egress: frames from NIC a, port a_port leave through NIC b, port b_port, and the other way round. */
struct drv_pair {
	unsigned int a, a_port, b, b_port; /* NICs in the order of drv_add() */
};

/* What the caller asks for; drv_opts_init() sets the defaults. */
struct drv_opts {
	enum p2p_mode mode;
	uint32_t slots;   /* at most; the largest power of two that fits is taken */
	uint32_t rx_bufs; /* per port; 0: from slots */
	uint32_t queues;  /* of every NIC; 0: as many as all of them can have, 1 in bn and with cut */
	uint32_t batch, stride;
	uint32_t age_s, flood_pps, silence_ms;
	uint32_t max_nics; /* that the mesh may grow to; 0: as many as are given, or as those that run have room for */
	bool bridge, scrub, backpressure;
	bool cut;     /* wr: static pairs receive into the egress NIC's memory where they can */
	bool route;   /* wr, rd: ports in no pair route; driver/route.h */
	uint64_t route_bytes; /* of each NIC's routing area, a multiple of 4096; 0: half of its memory */
	bool persist; /* NICs run on when the driver goes */
	/* Adoption checks against the running NICs only what was asked for by name: DRV_SET_* bits. */
	uint32_t set;
	uint32_t set_flags; /* P2P_FLAG_* bits whose value was asked for by name, likewise */
	const struct drv_pair *pairs;
	unsigned int num_pairs;
};

#define DRV_SET_MODE 0x01u
#define DRV_SET_SLOTS 0x02u
#define DRV_SET_BATCH 0x04u
#define DRV_SET_STRIDE 0x08u
#define DRV_SET_PAIRS 0x10u

void drv_opts_init(struct drv_opts *o);

struct drv_nic {
	struct transport *t;
	char name[DRV_NAME_MAX];
	unsigned int index; /* NIC_INDEX in the mesh */
	uint32_t minor; /* of its interface version: regs.h, VERSION */
	uint32_t ports, buf_size, max_queues;
	uint64_t mem_bytes;
	uint64_t mac[P2P_MAX_PORTS];
	uint16_t command; /* PCI command register as found */
	uint32_t status;  /* STATUS as found */
	uint64_t told;    /* adoption: where those that run were told that it lies; 0: nowhere */
	enum bus_why why; /* why it lies where it lies */
	struct p2p_shape shape;
	bool decode_on; /* this call turned memory decode on */
	bool ours;      /* this call has reset it and may reset it again */
	bool dropped;   /* re-introduction: others have forgotten it */
};

/* bn: what the host loop needs.  Pointers live until drv_destroy(). */
struct drv_bn_nic {
	struct p2p_doorbell *doorbell;  /* the NIC's doorbell segment; the host writes */
	struct p2p_host_area *area;     /* the NIC's area in host memory */
	uint8_t *pool;                  /* the part of the pool that its ingress ports own: host_bufs per port */
	uint64_t pool_offset;           /* the same, from the pool's start (descriptors count from there) */
	struct p2p_shape shape;
	int wake_fd;                    /* eventfd: write to wake the NIC */
	uint64_t doorbell_bytes;
};
struct drv_bn {
	unsigned int nics;
	struct drv_bn_nic nic[P2P_MAX_NICS]; /* by NIC_INDEX */
	uint8_t *areas, *pool;
	uint64_t area_bytes, pool_bytes;     /* of all NICs */
	uint32_t batch, stride;
	int host_fd;                         /* eventfd: NICs write it to wake the host (their bell of their own index) */
};

struct drv {
	unsigned int n;
	struct drv_nic nic[P2P_MAX_NICS];
	struct drv_opts opts;
	uint32_t slots, queues, max_nics;
	unsigned int bus_shift;
	uint64_t bus[DRV_BUS_ITEMS]; /* of the last bring-up */
	struct vfio_container *vfio; /* NULL: no vfio: NIC yet */
	unsigned int adopted, introduced; /* by the last bring-up */
	int wake_fd[P2P_MAX_QUEUES][P2P_MAX_NICS]; /* of each queue by NIC_INDEX, -1: none */
	struct drv_bn bn;
	int host_area_fd, host_pool_fd;
	char error[DRV_ERR_MAX];
	char note[DRV_ERR_MAX]; /* what a person should know of a bring-up that went well: "" if nothing */
};

static inline uint64_t drv_peer_base(const struct drv *d, unsigned int nic)
{
	return d->bus[nic];
}

static inline uint64_t drv_host_area_base(const struct drv *d)
{
	return d->bus[DRV_BUS_AREA];
}

static inline uint64_t drv_host_pool_base(const struct drv *d)
{
	return d->bus[DRV_BUS_POOL];
}

/* Of NIC `nic`, 64 MiB at most. */
static inline uint64_t drv_punt_base(const struct drv *d, unsigned int nic)
{
	return d->bus[DRV_BUS_PUNT] + ((uint64_t)nic << 26);
}

int drv_create(struct drv **out);
/* The container of d's vfio: NICs, made when first asked for, d's own; NULL: out of memory. */
struct vfio_container *drv_vfio(struct drv *d);
/* Some NIC runs only while its descriptors are held (TRANSPORT_HELD). */
bool drv_held(const struct drv *d);
/*
 * Takes t over, also on failure.  Checks identity and version, turning memory
 * decode on if it must.  -EEXIST: a NIC with this address is there already.
 */
int drv_add(struct drv *d, struct transport *t, const char *name);
/* Closes the transports: NICs without the persist bit stop. */
void drv_destroy(struct drv *d);
const char *drv_error(const struct drv *d);

int drv_bring_up(struct drv *d, const struct drv_opts *o);
/* Waits until every NIC sees every other.  -ETIMEDOUT names the pair that does not. */
int drv_wait_ready(struct drv *d, uint64_t timeout_ns);
/* The pair that drv_wait_ready() would name; true: all are up. */
bool drv_ready(struct drv *d, unsigned int *a, unsigned int *b, uint32_t *state, int *rc);
/* What NIC a sees of every other, by the order of drv_add(): enum p2p_peer_state, UINT32_MAX where it can't be asked. */
struct drv_peers {
	uint32_t state[P2P_MAX_NICS];
};
void drv_peers(struct drv *d, unsigned int a, struct drv_peers *out);
/* Stops forwarding everywhere, then resets each; goes on after an error and returns the first. */
int drv_down(struct drv *d);
int drv_reset(struct drv *d);
/*
 * NIC i (by the order of drv_add()) leaves: the others forget it, its transport is closed, the numbers above it move down.
 * Goes on after an error and returns the first.
 */
int drv_let_go(struct drv *d, unsigned int i);
/* bn after a successful bring-up, else NULL. */
const struct drv_bn *drv_bn(const struct drv *d);

/*
 * The largest N <= o->slots, a power of two and 64 at least, such that every
 * NIC has room; fills slots and rx_bufs of each shape (nics, ports, buf_size,
 * queues, route_bytes are the caller's).  -ENOSPC with one line that names the size needed.
 */
int drv_shape_choose(struct p2p_shape *shapes, const uint64_t *mem_bytes, unsigned int n, const struct drv_opts *o,
		     unsigned int *short_nic, char err[DRV_ERR_MAX]);

#endif
