/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every counter and every reason for a drop, by name, once.
 *
 * X(name, what it counts).  Code makes its structs and enums from these lists,
 * `p2pnic show stats|drops` its rows, docs/counters.md its tables.
 *
 * The books must balance: over an interval in which nothing died,
 *   sum of rx_frames + flood_copies + injected = sum of tx_frames + punted + sum of all drops.
 * Every drop counts whole frames.
 */
#ifndef P2PNIC_COUNTERS_H
#define P2PNIC_COUNTERS_H

/* Per port, counted by the port. */
#define PORT_COUNTERS(X) \
	X(rx_frames, "frames accepted from the cable") \
	X(rx_bytes, "their bytes, without FCS") \
	X(tx_frames, "frames given to the cable") \
	X(tx_bytes, "their bytes, without FCS") \
	X(tx_lost, "frames taken for sending and lost because the cable went down") \
	X(tx_error, "frames taken for sending that the cable refused for good") \
	X(rx_refused, "frames on the cable not accepted: too long, malformed, no buffer; the far end's loss, not in the books") \
	X(copies, "copies of a frame beside the p2p transfer: far end owns the buffers, or the cable is a file or a kernel device") \
	X(link_changes, "times the link came up or went down") \
	X(peer_errors, "protocol violations by the cable's far end") \
	X(peer_refused, "connections to or by the cable's socket that never became a link: silent, unknown id, one too many, another user's")

/* Drops inside a NIC: why an accepted frame was not sent. */
#define P2P_DROPS(X) \
	X(ring_full, "no free slot in the egress ring") \
	X(no_peer, "the egress NIC is down or was never introduced") \
	X(no_egress, "the ingress port has no egress: no pair set and no bridge") \
	X(peer_lost, "outstanding at a peer when it was declared down; some may have been sent") \
	X(csum_mismatch, "checksum after the DMA differs: payload lost or damaged on the way") \
	X(desc_lost, "descriptor never arrived: a hole in the ring") \
	X(bad_desc, "descriptor whose fields make no sense") \
	X(runt, "shorter than an Ethernet header") \
	X(too_long, "more segments than a frame may have, or longer than the ring") \
	X(same_port, "destination was learned on the port the frame came from") \
	X(reserved_mac, "destination 01:80:c2:00:00:0x is never bridged") \
	X(bad_source, "source address is a group address") \
	X(flood_limited, "over the flood rate limit") \
	X(rd_share, "the egress port holds its share of receive buffers") \
	X(tx_link_down, "the egress port's cable is down") \
	X(host_full, "bn: no free host buffer or send-ring slot") \
	X(stopped, "held in the NIC when it was stopped or reset") \
	X(other_mac, "routed port: the Ethernet destination is neither the port's address nor a group") \
	X(ip_version, "the IP version is not what the EtherType says") \
	X(ip_header, "IP header cut short, or its length impossible") \
	X(ip_length, "IP length larger than the frame or smaller than the header") \
	X(ip_checksum, "IPv4 header checksum wrong") \
	X(ip_source, "source address that no packet may come from: multicast, loopback, 0/8, 240/4, the unspecified one") \
	X(ip_dest, "destination that is never forwarded to: loopback, 0/8, 240/4, multicast to a station's address") \
	X(link_local, "link-local source or destination, and not for this router") \
	X(rpf, "reverse path: no route back to the source, or not by this port (strict)") \
	X(blackhole, "the route says: drop") \
	X(bad_hop, "the next hop's entry makes no sense") \
	X(punt_limited, "for the kernel, over the rate of its reason") \
	X(punt_full, "for the kernel, and the punt ring is full: nobody takes from it, or too slowly") \
	X(punt_nobody, "for the kernel, and nobody has opened a punt ring") \
	X(inject_bad, "from the host: length or port that can't be")

/* Events and bytes per NIC.  Their registers (regs.h) follow from the order: what is new goes to the end. */
#define P2P_EVENTS(X) \
	X(p2p_bytes, "payload bytes written to or read from peers") \
	X(host_bytes, "payload bytes written to or read from main memory") \
	X(local_bytes, "payload bytes moved within the NIC's own memory") \
	X(p2p_desc_bytes, "descriptor bytes to peers") \
	X(host_desc_bytes, "descriptor bytes to or from main memory") \
	X(completion_bytes, "completion-line bytes, to peers and to main memory") \
	X(control_bytes, "heartbeat and control-line bytes") \
	X(doorbells, "doorbells rung (wake-ups of sleeping peers)") \
	X(forwarded, "frames handed to a ring, each copy of a flooded frame counted") \
	X(flood_copies, "extra copies made by flooding (each needs a delivery of its own)") \
	X(flushes, "descriptor batches written") \
	X(pokes, "control lines written because completions were overdue") \
	X(poke_answers, "control lines answered") \
	X(holes, "ring slots given up as lost") \
	X(retries, "DMA reads repeated because nothing arrived") \
	X(scrubs, "slots scrubbed before reuse") \
	X(peer_up, "peers that came up") \
	X(peer_down, "peers declared down") \
	X(learned, "stations learned or moved") \
	X(aged, "stations forgotten by age") \
	X(flushed, "stations forgotten because a link or peer went down") \
	X(announce, "learning announcements sent to peers") \
	X(announce_limited, "learning announcements withheld by the rate limit") \
	X(backpressure, "times receiving paused because a ring was full") \
	X(stalls, "times this NIC was not run for 20 ms or more: its worker was starved or stopped") \
	X(dma_faults, "DMA outside the address map or without bus mastering") \
	X(bad_line, "completion lines, or words of the host's, out of range, ignored") \
	X(cut_frames, "frames received in place, in the egress NIC's memory") \
	X(cut_diverted, "frames received in place and read back because they had to go elsewhere") \
	X(routed, "frames forwarded by the routing table") \
	X(punted, "frames given to the host, whatever the reason") \
	X(injected, "frames taken from the host to be sent")

/*
 * Why a frame is the kernel's: X(name, frames a second of a NIC, what).  Counted by reason whether the host got it or not:
 * over these, punted + punt_limited + punt_full + punt_nobody.
 */
#define P2P_PUNTS(X) \
	X(group, 20000, "broadcast or multicast Ethernet destination: ARP, neighbour discovery, routing protocols") \
	X(not_ip, 1000, "to the port's address, neither IPv4 nor IPv6: ARP answers") \
	X(local, 100000, "to an address of the router itself, or link-local") \
	X(options, 1000, "IPv4 options, or IPv6 hop-by-hop options") \
	X(ttl, 1000, "TTL or hop limit used up") \
	X(mtu, 10000, "longer than the next hop's MTU") \
	X(glean, 1000, "the neighbour's MAC address is not known") \
	X(no_route, 1000, "no route to the destination") \
	X(unreachable, 1000, "the route says: unreachable") \
	X(prohibit, 1000, "the route says: prohibited") \
	X(kernel, 100000, "the route leads where the fast path can't go")

#endif
