/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BAR0: 64 KiB of registers.
 *
 * X(NAME, offset, bytes, access, reset value, what it is).  The enum below, the
 * table in docs/registers.md, `p2pnic show regs` and the reset-value test are
 * made from these lists.
 *
 * access: RO read-only; RW; WO command, reads 0; ST read-only, strapped by the
 * board (the reset value here is not checked).
 *
 * A NIC with several queues has one register file.  A write reaches every queue's
 * context.  A read gives: counters, the sum; STATUS, CONTROL and PORT_LINK, what holds for all; ERROR, the
 * first; PEER_STATE, the worst of down, absent, waiting, up; EPOCH, the least;
 * anything else is the same in all.
 *
 * VERSION  The major number rises when what there was changes, the minor one when something is added.  A driver takes
 * its own major number alone, and of it every minor one: what an older device has not got is neither read nor written.
 *   1.1  QUEUES_MAX, QUEUES, PEER_QUEUE_STEP (older: one queue); PORT_PLACEMENT, P2P_FEAT_CUT, P2P_FLAG_CUT (older:
 *        frames are copied); the counters cut_frames and cut_diverted
 *   1.2  ROUTE_*, PUNT_*, INJECT_*, PORT_ROUTER_MAC, PORT_RPF, P2P_FEAT_ROUTE, P2P_FLAG_ROUTE (older: no routing); the
 *        counters from other_mac and routed on, and those of punts
 *
 * A register is accessed with its own width at its own alignment; anything else
 * reads all ones and writes nothing.
 */
#ifndef P2PNIC_REGS_H
#define P2PNIC_REGS_H

#include "ring.h"
#include "counters.h"

#define P2P_BAR0_BYTES 0x10000u
#define P2P_REG_MAGIC_VALUE 0x4e503250u /* "P2PN" */
#define P2P_REG_VERSION_VALUE 0x00010002u

#define P2P_REGS(X) \
	X(MAGIC, 0x000, 4, RO, P2P_REG_MAGIC_VALUE, "\"P2PN\"") \
	X(VERSION, 0x004, 4, RO, P2P_REG_VERSION_VALUE, "interface version, major << 16 | minor") \
	X(FEATURES, 0x008, 4, ST, P2P_FEAT_ALL, "P2P_FEAT_* bits") \
	X(NUM_PORTS, 0x00c, 4, ST, 1, "Ethernet ports, 1-8") \
	X(CONTROL, 0x010, 4, RW, 0, "P2P_CTL_* bits; the command bits read 0") \
	X(STATUS, 0x014, 4, RO, 0, "P2P_ST_* bits") \
	X(ERROR, 0x018, 4, RO, 0, "errno of the last command that failed, 0: none") \
	X(INCARNATION, 0x01c, 4, RO, 0, "changes at every enable") \
	X(MEM_SIZE, 0x020, 8, ST, 0, "bytes of device memory (BAR2)") \
	X(MEM_NEEDED, 0x028, 8, RO, 0, "bytes that the configuration written needs") \
	X(MODE, 0x030, 4, RW, 0, "0 wr, 1 rd, 2 bn") \
	X(BATCH, 0x034, 4, RW, 8, "descriptors and completions per DMA, 1-64") \
	X(STRIDE, 0x038, 4, RW, 64, "checksum stride in bytes, a power of two 4-256 that divides BUF_SIZE") \
	X(BUF_SIZE, 0x03c, 4, ST, 2048, "bytes of a packet buffer: 2048, 2112, 4096 or 9728") \
	X(NIC_INDEX, 0x040, 4, RW, 0, "this NIC's number among its peers") \
	X(NUM_NICS, 0x044, 4, RW, 1, "NICs that the mesh has room for, this one included, 1-32") \
	X(SLOTS, 0x048, 4, RW, 0, "slots per ring, a power of two 64-16384") \
	X(RX_BUFS, 0x04c, 4, RW, 0, "receive buffers per port and queue") \
	X(FLAGS, 0x050, 4, RW, 0, "P2P_FLAG_* bits") \
	X(AGE_S, 0x054, 4, RW, 300, "seconds after which a station not heard from is forgotten") \
	X(FLOOD_PPS, 0x058, 4, RW, 1000000, "flooded frames accepted per second; 0: no limit") \
	X(EPOCH, 0x05c, 4, RO, 0, "advances whenever every context has passed a quiescent point") \
	X(HOST_AREA, 0x060, 8, RW, 0, "bn: bus address of this NIC's area in host memory") \
	X(HOST_POOL, 0x068, 8, RW, 0, "bn: bus address of the host's buffer pool") \
	X(HOST_POOL_BYTES, 0x070, 8, RW, 0, "bn: its size, at most 1 GiB") \
	X(SILENCE_MS, 0x078, 4, RW, 100, "a peer not heard from for so long is down, 30-60000") \
	X(SEG_COUNT, 0x080, 4, RO, 0, "segments in device memory, of all planes; 0 until configured") \
	X(SEG_SELECT, 0x084, 4, RW, 0, "the segment that SEG_KIND, SEG_OFFSET and SEG_BYTES tell of") \
	X(SEG_KIND, 0x088, 4, RO, 0, "0 private, 1 doorbell, 2 rx, 3 ring, 4 buf") \
	X(SEG_OFFSET, 0x090, 8, RO, 0, "its offset in BAR2") \
	X(SEG_BYTES, 0x098, 8, RO, 0, "its size") \
	X(QUEUES_MAX, 0x0a0, 4, ST, 1, "queues (contexts) that the NIC can have, 1-8") \
	X(QUEUES, 0x0a4, 4, RW, 1, "queues: planes of device memory, each with rings, buffers and sessions of its own") \
	X(ROUTE_BYTES, 0x0a8, 8, RW, 0, "bytes of the routing area, a multiple of 4096; laid out where P2P_FLAG_ROUTE is set") \
	X(ROUTE_OFFSET, 0x0b0, 8, RO, 0, "its offset in BAR2 (route.h); 0: none") \
	X(INJECT_OFFSET, 0x0b8, 8, RO, 0, "offset of the inject segment (punt.h); 0: none") \
	X(ROUTE_TABLE, 0x0c0, 4, RW, 0, "1: look the routing area's head over and route by it; reads 0 if it is not in use (ERROR says why)") \
	X(PUNT_SESSION, 0x0c4, 4, RW, 0, "the host's session of punt and inject rings, which begin anew; 0: there is no host") \
	X(PUNT_RING, 0x0c8, 8, RW, 0, "bus address of the punt rings in host memory, queue q's at + q * 0x281000 (punt.h)") \
	X(INJECT_BELL, 0x0d0, 4, WO, 0, "any value: look at the inject ring, whether asleep or not")

/* One block per port at P2P_PORT_BLOCK + port * P2P_PORT_BLOCK_BYTES. */
#define P2P_PORT_BLOCK 0x1000
#define P2P_PORT_BLOCK_BYTES 0x40
#define P2P_PORT_REGS(X) \
	X(PORT_MAC, 0x00, 8, ST, 0, "MAC address, first byte lowest") \
	X(PORT_LINK, 0x08, 4, RO, 0, "1: the cable is up") \
	X(PORT_PAIR, 0x0c, 4, RW, 0, "static egress: bit 31 valid, [15:8] NIC, [7:0] port") \
	X(PORT_PLACEMENT, 0x10, 4, RO, 0, "0 frames are copied, 1 cut-through; above: why cut-through was asked for and is not done") \
	X(PORT_ROUTER_MAC, 0x18, 8, RW, 0, "the address whose frames are routed, first byte lowest; 0: PORT_MAC") \
	X(PORT_RPF, 0x20, 4, RW, 0, "unicast reverse path of what comes in here: 0 not looked at, 1 strict, 2 loose")

/* One block per peer at P2P_PEER_BLOCK + peer * P2P_PEER_BLOCK_BYTES; the NIC's own block as well. */
#define P2P_PEER_BLOCK 0x2000
#define P2P_PEER_BLOCK_BYTES 0x80
#define P2P_PEER_REGS(X) \
	X(PEER_CTRL, 0x00, 4, RW, 0, "1: introduced; 0 makes this NIC stop using the peer before the write returns") \
	X(PEER_STATE, 0x04, 4, RO, 0, "0 absent, 1 waiting for it, 2 up, 3 down") \
	X(PEER_BAR2, 0x08, 8, RW, 0, "bus address of its BAR2") \
	X(PEER_RING, 0x10, 8, RW, 0, "offset in its BAR2 of ring(this NIC)") \
	X(PEER_BUF, 0x18, 8, RW, 0, "offset of buf(0, this NIC)") \
	X(PEER_BUF_STEP, 0x20, 8, RW, 0, "distance from buf(p, this NIC) to buf(p + 1, this NIC)") \
	X(PEER_RX, 0x28, 8, RW, 0, "offset of its receive buffers, rx(0) (rd)") \
	X(PEER_RX_BYTES, 0x30, 8, RW, 0, "bytes of all its receive buffers (rd)") \
	X(PEER_PORTS, 0x38, 4, RW, 0, "its ports; 0: nothing of it is mapped") \
	X(PEER_SLOTS, 0x3c, 4, RW, 0, "slots of its rings") \
	X(PEER_BUF_SIZE, 0x40, 4, RW, 0, "bytes of its packet buffers") \
	X(PEER_QUEUE_STEP, 0x48, 8, RW, 0, "distance of planes in its BAR2: what the offsets above tell of queue 0 lies so far on for the next")

/* Counters, read-only, 8 bytes each, in the order of counters.h. */
#define P2P_EVENT_BLOCK 0x4000
#define P2P_DROP_BLOCK 0x4400
#define P2P_PUNT_BLOCK 0x4800 /* by reason */

/* Frames a second that may be punted for each reason, 4 bytes each in the order of P2P_PUNTS, RW; 0: no limit. */
#define P2P_PUNT_RATE_BLOCK 0x3000

enum p2p_reg {
#define X(name, off, bytes, access, reset, desc) P2P_##name = off,
	P2P_REGS(X)
	P2P_PORT_REGS(X)
	P2P_PEER_REGS(X)
#undef X
};

#define P2P_FEAT_WR 0x01u
#define P2P_FEAT_RD 0x02u
#define P2P_FEAT_BN 0x04u
#define P2P_FEAT_BRIDGE 0x08u
#define P2P_FEAT_SCRUB 0x10u
#define P2P_FEAT_CUT 0x20u /* only where ports receive into memory that they are shown */
#define P2P_FEAT_ROUTE 0x40u /* unless it was built without */
#define P2P_FEAT_ALL (P2P_FEAT_WR | P2P_FEAT_RD | P2P_FEAT_BN | P2P_FEAT_BRIDGE | P2P_FEAT_SCRUB) /* of every board */

#define P2P_CTL_RESET 0x1u     /* command: stop, forget everything, back to reset values (but PERSIST) */
#define P2P_CTL_CONFIGURE 0x2u /* command: lay device memory out; -> STATUS.CONFIGURED or ERROR */
#define P2P_CTL_ENABLE 0x4u    /* 1: forward; needs CONFIGURED.  0: stop, completing what is in hand as `stopped` drops */
#define P2P_CTL_PERSIST 0x8u   /* keep running when the client disconnects */

#define P2P_ST_CONFIGURED 0x1u
#define P2P_ST_RUNNING 0x2u

#define P2P_FLAG_BRIDGE 0x1u       /* learning bridge for ports without a static pair */
#define P2P_FLAG_SCRUB 0x2u        /* the fabric may lose writes */
#define P2P_FLAG_BACKPRESSURE 0x4u /* static pairs: a full ring stops receiving instead of dropping */
#define P2P_FLAG_CUT 0x8u          /* wr: ports with a static pair receive into the egress NIC's memory; needs P2P_FEAT_CUT */
#define P2P_FLAG_ROUTE 0x10u       /* wr, rd: ports without a static pair route; not with BRIDGE or CUT; needs P2P_FEAT_ROUTE */

/* PORT_RPF, as Linux's rp_filter. */
enum p2p_rpf { P2P_RPF_OFF, P2P_RPF_STRICT, P2P_RPF_LOOSE };

#define P2P_PAIR_VALID 0x80000000u
#define P2P_PAIR(nic, port) (P2P_PAIR_VALID | (uint32_t)(nic) << 8 | (uint32_t)(port))

/* X(name, text for `p2pnic show ports`, why).  PORT_PLACEMENT holds the number. */
#define P2P_PLACEMENTS(X) \
	X(COPY, "copy", "cut-through was not asked for") \
	X(CUT, "cut", "frames are received into the egress NIC's memory") \
	X(NO_PAIR, "copy", "the port has no static pair") \
	X(LOCAL, "copy", "its pair is a port of the same NIC") \
	X(BRIDGE, "copy", "the bridge is on, which sends into the same rings") \
	X(QUEUES, "copy", "the NIC has several queues") \
	X(SHARED, "copy", "another port has the same egress") \
	X(NO_PEER, "copy", "the egress NIC is not introduced or has no such port") \
	X(BUFFERS, "copy", "the egress NIC's buffers are smaller than this NIC's") \
	X(CABLE, "copy", "this cable does not give buffers back in order") \
	X(NO_MEMORY, "copy", "the egress NIC's memory was mapped without a sealed descriptor that the cable may be given") \
	X(CHANGED, "copy", "the pair was changed after the port had started")

enum p2p_peer_state { P2P_PEER_ABSENT, P2P_PEER_WAITING, P2P_PEER_UP, P2P_PEER_DOWN };

#define X(name, text, desc) P2P_PLACE_##name,
enum p2p_placement { P2P_PLACEMENTS(X) P2P_NUM_PLACEMENTS };
#undef X
#define X(name, desc) P2P_DROP_##name,
enum p2p_drop { P2P_DROPS(X) P2P_NUM_DROPS };
#undef X
#define X(name, desc) P2P_EV_##name,
enum p2p_event { P2P_EVENTS(X) P2P_NUM_EVENTS };
#undef X
#define X(name, pps, desc) P2P_PUNT_##name,
enum p2p_punt { P2P_PUNTS(X) P2P_NUM_PUNTS };
#undef X

#endif
