/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLPs as a pcap file: Ethernet, IPv4, UDP, the NetTLP header, then the TLP from
 * its first header byte to its last data byte (no sequence number, no LCRC).
 * scripts/nettlp.lua shows the last two in Wireshark.  (NetTLP's own nettlp.lua has the address of requests wrong in
 * Wireshark 4: a quarter of it, or a Lua error.)
 *
 *   time       nanosecond pcap: virtual time, fractions of a nanosecond cut off
 *   addresses  10.X.Y.1 is the lower end of a link, 10.X.Y.2 its upper end, X.Y the number of the node below the link;
 *              Ethernet addresses are 02:00:0a:X:Y:1 and :2
 *   ports      0x3000 + the low four bits of the tag, both
 *   NetTLP     16 bits that count the TLPs of the file, 32 bits of nanoseconds
 *   requests   three double words of header below 4 GiB, four from there on (the model charges four for all)
 *   data       zeros where the TLP carries none (fab_tlp_view.data NULL) and in bytes that are not enabled
 *   CPL        a completion without data says Unsupported Request
 *
 * Source: NetTLP's libtlp and wireshark-nettlp (encapsulation); PCI Express Base Specification, 2.2 (TLP formats, byte
 * enables, 10-bit tags, byte count and lower address of completions).
 */
#ifndef FABRIC_TRACE_H
#define FABRIC_TRACE_H

#include "fabric.h"

struct fab_trace_file;

/* 0 or -errno with one line in err. */
int fab_trace_open(struct fab_trace_file **out, const char *path, char err[FAB_ERR_MAX]);
/* A fab_trace_fn; arg is the file.  limit: TLPs written at most, 0: all. */
void fab_trace_write(void *arg, const struct fab_tlp_view *tlp);
void fab_trace_limit(struct fab_trace_file *t, uint64_t limit);
uint64_t fab_trace_count(const struct fab_trace_file *t); /* written so far */
/* 0 or -errno: the first write error, after which nothing was written. */
int fab_trace_close(struct fab_trace_file *t);

#endif
