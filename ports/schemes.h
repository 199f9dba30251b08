/* SPDX-License-Identifier: BSD-3-Clause */
/* The ports that exist, for the table in port.c. */
#ifndef PORTS_SCHEMES_H
#define PORTS_SCHEMES_H

#include "ports/port.h"

extern const struct port_ops port_gen_ops;
extern const struct port_ops port_null_ops;
extern const struct port_ops port_pcap_ops;
extern const struct port_ops port_tap_ops;
extern const struct port_ops port_memif_ops;
extern const struct port_ops port_xdp_ops;

#endif
