/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLPs as a pcap file that Wireshark dissects: Ethernet, IPv4, UDP, the NetTLP
 * header (sequence number, time stamp), then the TLP as on the link.
 *
 * Source: NetTLP's encapsulation (ports from 0x3000, one per tag); PCI Express
 * Base Specification, TLP header formats.
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
uint64_t fab_trace_count(const struct fab_trace_file *t);
/* 0 or -errno: the first write error. */
int fab_trace_close(struct fab_trace_file *t);

#endif
