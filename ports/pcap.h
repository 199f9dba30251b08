/* SPDX-License-Identifier: BSD-3-Clause */
/* What a runner may ask of pcap ports beside port.h. */
#ifndef PORTS_PCAP_H
#define PORTS_PCAP_H

#include "ports/port.h"

/*
 * False while a pcap port has taken frames that are neither in its file nor
 * counted as tx_error; true for every other port.  Any thread, before close.
 */
bool port_pcap_quiet(const struct port *p);

#endif
