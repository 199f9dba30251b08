/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a simulated machine is made of: every parameter, once.
 *
 * X(name, unit, min, max, "what it is").  The structs below, the reader of the
 * profile files, the sensitivity study and docs/profiles.md are made from these
 * lists.  Every parameter is a double; times are nanoseconds, rates Gb/s, GB/s or
 * per second as the unit says.
 */
#ifndef BOARDS_SIM_PROFILE_H
#define BOARDS_SIM_PROFILE_H

/* Cycles that a worker of the NIC spends on each of firmware's steps (firmware/board.h, BOARD_STEPS). */
#define SIM_NIC_STEPS(X) \
	X(step_rx, "cycles", 0, 1e5, "take a frame from a port") \
	X(step_lookup, "cycles", 0, 1e5, "choose the egress") \
	X(step_learn, "cycles", 0, 1e5, "learn a source address") \
	X(step_reserve, "cycles", 0, 1e5, "reserve a ring slot and fill its descriptor") \
	X(step_csum_word, "cycles", 0, 1e5, "one word of a checksum") \
	X(step_dma_issue, "cycles", 0, 1e5, "submit a DMA request") \
	X(step_poll_ring, "cycles", 0, 1e5, "look at a ring for a descriptor") \
	X(step_check, "cycles", 0, 1e5, "check a descriptor") \
	X(step_scrub_word, "cycles", 0, 1e5, "overwrite one word of a completed slot") \
	X(step_complete, "cycles", 0, 1e5, "complete a slot") \
	X(step_poll_comp, "cycles", 0, 1e5, "look at a completion line") \
	X(step_tx, "cycles", 0, 1e5, "give a frame to a port")

#define SIM_NIC_PARAMS(X) \
	SIM_NIC_STEPS(X) \
	X(clock_mhz, "MHz", 0, 1e5, "a worker's clock; 0: work takes no time") \
	X(workers, "count", 1, 4096, "workers that share the packets: cycles of a step are divided by so many") \
	X(work_latency, "ns", 0, 1e6, "what a frame waits in its own worker beyond its share of the cycles: memory accesses, thread switches") \
	X(poll, "ns", 0, 1e6, "an idle NIC looks again so often") \
	X(route_cycles, "cycles", 0, 1e5, "one route lookup") \
	X(dma_write_gap, "ns", 0, 1e6, "the DMA engine begins two writes at least so far apart") \
	X(dma_read_gap, "ns", 0, 1e6, "and two reads") \
	X(dma_overhead, "ns", 0, 1e6, "a request keeps the engine's data path so long, beside its bytes: a write before the next begins, a read when its data have come") \
	X(dma_byte, "ns/B", 0, 10, "and so long for each byte") \
	X(dma_write_latency, "ns", 0, 1e6, "submission of a write to its first TLP") \
	X(dma_read_latency, "ns", 0, 1e6, "submission of a read to its request, and last completion to done, together") \
	X(dma_writes, "count", 1, 4096, "writes in flight: submitted and not finished") \
	X(dma_reads, "count", 1, 4096, "reads in flight") \
	X(dma_read_bytes, "B", 64, 1e9, "bytes of reads in flight") \
	X(mem_write_gap, "ns", 0, 1e6, "device memory takes two inbound writes at least so far apart") \
	X(mem_read_gap, "ns", 0, 1e6, "and serves two inbound reads") \
	X(mem_read_latency, "ns", 0, 1e6, "an inbound read's time in device memory to its first data") \
	X(mem_rate, "GB/s", 0, 1e6, "device memory's rate for inbound DMA, each direction; 0: no limit") \
	X(local_rate, "GB/s", 0, 1e6, "moves within device memory; 0: no limit") \
	X(mac_gbps, "Gb/s", 0, 1600, "an Ethernet port's rate; 0: no limit") \
	X(mac_rx, "ns", 0, 1e6, "last bit in to frame in its buffer") \
	X(mac_tx, "ns", 0, 1e6, "frame handed over to first bit out") \
	X(mac_fifo, "B", 0, 1e9, "received bytes held while no buffer is posted") \
	X(pcie_gen, "gen", 0, 6, "its link; 0: without limits") \
	X(pcie_width, "lanes", 0, 16, "its link") \
	X(mps, "B", 128, 4096, "maximum payload") \
	X(mrrs, "B", 128, 4096, "maximum read request") \
	X(tags, "count", 1, 1024, "read TLPs outstanding") \
	X(pcie_latency, "ns", 0, 1e6, "its PCIe core, each direction") \
	X(dllp_share, "share", -1, 0.5, "of the link taken by DLLPs; -1: as the specification's timers ask") \
	X(bit_error_rate, "rate", 0, 1e-4, "of its link: TLPs with a wrong bit are sent again; Gen6: what error correction leaves") \
	X(slots, "count", 64, 16384, "slots per ring") \
	X(rx_bufs, "count", 64, 1048576, "receive buffers per port")

#define SIM_SWITCH_PARAMS(X) \
	X(pcie_gen, "gen", 0, 6, "of its ports") \
	X(lanes, "count", 0, 1024, "lane budget; 0: none") \
	X(latency, "ns", 0, 1e6, "cut-through") \
	X(mps, "B", 128, 4096, "maximum payload") \
	X(hdr_credits, "count", 0, 65535, "per port and class; 0: no limit") \
	X(data_credits, "B", 0, 1e9, "per port and class; 0: no limit") \
	X(dllp_share, "share", -1, 0.5, "of a link taken by DLLPs; -1: as the specification's timers ask") \
	X(bit_error_rate, "rate", 0, 1e-4, "of its uplink: TLPs with a wrong bit are sent again; Gen6: what error correction leaves")

/* A CPU, its memory and its root complex; and what CPU-driven forwarding costs on it. */
#define SIM_HOST_PARAMS(X) \
	X(core_mhz, "MHz", 0, 1e5, "a core's clock; 0: work takes no time") \
	X(cores, "count", 1, 1024, "cores that forward") \
	X(pcie_gen, "gen", 0, 6, "of its root ports") \
	X(lanes, "count", 0, 1024, "root-port lanes; 0: no budget") \
	X(rc_latency, "ns", 0, 1e6, "root port to memory controller, and back") \
	X(rc_p2p_latency, "ns", 0, 1e6, "root port to root port") \
	X(rc_p2p_rate, "GB/s", 0, 1e6, "all peer-to-peer traffic through it; 0: no limit") \
	X(rcb, "B", 64, 128, "read completion boundary") \
	X(channels, "count", 1, 64, "memory channels") \
	X(channel_rate, "GB/s", 0, 1e5, "of one; 0: no limit") \
	X(mem_latency, "ns", 0, 1e6, "a DRAM access") \
	X(ddio, "bool", 0, 1, "devices reach the last-level cache") \
	X(llc_latency, "ns", 0, 1e6, "an access served by the last-level cache") \
	X(ddio_evict, "share", 0, 1, "of device-written bytes that go on to DRAM") \
	X(iotlb_entries, "count", 0, 65536, "0: no IOMMU") \
	X(iotlb_miss, "ns", 0, 1e6, "a page walk") \
	X(mmio_write, "cycles", 0, 1e5, "a doorbell: one write to a device") \
	X(poll_cycles, "cycles", 0, 1e5, "a look at an empty ring") \
	X(batch_cycles, "cycles", 0, 1e5, "once per batch: both drivers' fixed part") \
	X(bn_cycles, "cycles", 0, 1e5, "bn's host loop, per descriptor moved, completion and buffer included") \
	X(testpmd_cycles, "cycles", 0, 1e5, "testpmd io, per packet, both drivers included") \
	X(l3fwd_cycles, "cycles", 0, 1e5, "l3fwd, per packet, drivers and lookup included") \
	X(byte_cycles, "cycles/B", 0, 100, "per byte of a packet that a core touches") \
	X(batch, "count", 1, 64, "packets a core takes at a time") \
	X(queues, "count", 1, 64, "receive queues per port") \
	X(ring, "count", 64, 16384, "descriptors per receive and transmit ring")

#define SIM_FIELD(name, unit, min, max, desc) double name;
struct sim_nic_profile {
	SIM_NIC_PARAMS(SIM_FIELD)
};
struct sim_switch_profile {
	SIM_SWITCH_PARAMS(SIM_FIELD)
};
struct sim_host_profile {
	SIM_HOST_PARAMS(SIM_FIELD)
};
#undef SIM_FIELD

/* Everything takes no time: for conformance.  slots and rx_bufs stay the caller's. */
void sim_nic_profile_zero(struct sim_nic_profile *p);

#endif
