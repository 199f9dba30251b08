/* SPDX-License-Identifier: BSD-3-Clause */
/* What the driver's files share. */
#ifndef DRIVER_DRV_INTERNAL_H
#define DRIVER_DRV_INTERNAL_H

#include "driver/drv.h"

#define DRV_REGION_BAR0 0
#define DRV_REGION_CONFIG 7
#define DRV_PCI_COMMAND 4
#define DRV_PCI_COMMAND_MEMORY 0x2u
#define DRV_PCI_COMMAND_MASTER 0x4u

/* Registers.  On failure the error names the NIC and the register's offset. */
int drv_reg_read(struct drv *d, struct drv_nic *nic, uint32_t off, uint32_t bytes, uint64_t *v);
int drv_reg_write(struct drv *d, struct drv_nic *nic, uint32_t off, uint32_t bytes, uint64_t v);

/*
 * Until the register's bits read as wanted.  A software NIC whose DMA goes by message takes what is written while it waits for
 * one only after that.  -ETIMEDOUT: they don't, after two seconds; v: as last read.
 */
int drv_reg_await(struct drv *d, struct drv_nic *nic, uint32_t off, uint64_t mask, uint64_t want, uint64_t *v);

static inline uint32_t drv_peer_reg(unsigned int peer, uint32_t off)
{
	return P2P_PEER_BLOCK + peer * P2P_PEER_BLOCK_BYTES + off;
}

static inline uint32_t drv_port_reg(unsigned int port, uint32_t off)
{
	return P2P_PORT_BLOCK + port * P2P_PORT_BLOCK_BYTES + off;
}

/* Its QUEUES registers are there; a NIC without them has one queue. */
static inline bool drv_has_queues(const struct drv_nic *nic)
{
	return nic->minor >= 1;
}

/* Its routing registers are there. */
static inline bool drv_has_route(const struct drv_nic *nic)
{
	return nic->minor >= 2;
}

/* Why nic's transport failed with rc. */
const char *drv_why(const struct drv_nic *nic, int rc);
/* Writes d->error and returns rc. */
int drv_fail(struct drv *d, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds to d->note. */
void drv_note(struct drv *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* bringup.c: the steps, each for one NIC. */
int drv_step_reset(struct drv *d, struct drv_nic *nic);
int drv_step_decode(struct drv *d, struct drv_nic *nic);
int drv_step_master(struct drv *d, struct drv_nic *nic);
int drv_step_configure(struct drv *d, struct drv_nic *nic);
int drv_step_enable(struct drv *d, struct drv_nic *nic);
/* Back to reset, without maps, wake-ups and persist bit.  Never fails: a NIC that is gone needs nothing. */
void drv_nic_undo(struct drv *d, struct drv_nic *nic);
uint32_t drv_flags(const struct drv_opts *o);
/* What a NIC's routing area will be. */
uint64_t drv_route_bytes(const struct drv_opts *o, const struct drv_nic *nic);
struct drv_nic *drv_by_index(struct drv *d, unsigned int index);
uint64_t drv_now_ns(void);

/* peers.c */
/* Fills d->bus, by NICs' index and told; notes whom peers reach by another address than its own. */
int drv_bus_place(struct drv *d);
/* Into nic's address space what it may reach of peer's segments. */
int drv_peer_map(struct drv *d, struct drv_nic *nic, struct drv_nic *peer);
/* Out again; ranges that are not mapped are no error. */
int drv_peer_unmap(struct drv *d, struct drv_nic *nic, struct drv_nic *peer);
/* nic stops using peer, and what its table says is mapped of it goes. */
int drv_peer_forget(struct drv *d, struct drv_nic *nic, unsigned int peer);
/* nic's table entry for peer, which may be itself, but for its being used. */
int drv_peer_describe(struct drv *d, struct drv_nic *nic, struct drv_nic *peer);
/* The same, and nic uses peer. */
int drv_peer_introduce(struct drv *d, struct drv_nic *nic, struct drv_nic *peer);
/* A fresh eventfd for every queue of every NIC, to it and to the same queue's bells of all others. */
int drv_wake_all(struct drv *d);
/* nic rings the one with number peer no more. */
int drv_wake_forget(struct drv *d, struct drv_nic *nic, unsigned int peer);
/* The same among those in who (a bit by place in d->nic) after drv_wake_all() failed; one that is dead keeps no other from it. */
void drv_wake_again(struct drv *d, uint32_t who);
void drv_wake_close(struct drv *d);
int drv_pairs_check(struct drv *d, const struct drv_opts *o);
/* Writes only what differs: a pair that stays does not lose a frame. */
int drv_pairs_write(struct drv *d);

/* host.c (bn) */
/* A sealed object of `bytes` zero bytes, mapped; munmap() and close() them. */
int drv_host_memory(struct drv *d, const char *name, uint64_t bytes, int *fd, uint8_t **map);
int drv_host_create(struct drv *d);
int drv_host_map(struct drv *d, struct drv_nic *nic);
int drv_host_doorbell(struct drv *d, struct drv_nic *nic);
void drv_host_destroy(struct drv *d);

/* adopt.c */
bool drv_any_running(const struct drv *d);
int drv_adopt(struct drv *d);

#endif
