/* SPDX-License-Identifier: BSD-3-Clause */
#include "subject.h"

#include <stdio.h>
#include <string.h>

#define AGAINST(n) n " / the same of --against"
#define P2PNIC(n, m, c, h) \
	{ .name = n, .help = h, .mode = m, .against = AGAINST(n), .p2pnic = true, .cut = c, .available = fwd_p2pnic_available, \
	  .start = fwd_p2pnic_start, .counts = fwd_p2pnic_counts }
#define TESTPMD(n, m, r, h) \
	{ .name = n, .help = h, .mode = m, .dpdk = true, .lends = true, .routed = r, .available = fwd_dpdk_available, \
	  .start = fwd_testpmd_start, .counts = fwd_testpmd_counts }

const struct fwd_subject fwd_subjects[] = {
	P2PNIC("p2pnic-wr", "wr", false, "the ingress NIC writes"),
	P2PNIC("p2pnic-rd", "rd", false, "the egress NIC reads"),
	P2PNIC("p2pnic-bn", "bn", false, "through main memory and a host thread"),
	P2PNIC("p2pnic-cut", "wr", true, "received where it is sent from"),
	{ .name = "p2pnic-route", .help = "the ingress NIC routes, and writes", .mode = "wr", .against = AGAINST("p2pnic-route"),
	  .p2pnic = true, .route = true, .spreads = true, .routed = true, .available = fwd_p2pnic_available, .start = fwd_p2pnic_start,
	  .counts = fwd_p2pnic_counts },
	{ .name = "p2pnic-route-full", .help = "the same with the full table", .mode = "wr",
	  .against = AGAINST("p2pnic-route-full"), .p2pnic = true, .route = true, .full = true, .spreads = true, .routed = true,
	  .available = fwd_p2pnic_available, .start = fwd_p2pnic_start, .counts = fwd_p2pnic_counts },
	TESTPMD("testpmd-io", "io", false, "DPDK's, frames as they are"),
	TESTPMD("testpmd-mac", "mac", true, "DPDK's, MAC addresses changed"),
	{ .name = "l3fwd", .help = "DPDK's example router", .dpdk = true, .lends = true, .spreads = true,
	  .routed = true, .available = fwd_dpdk_available, .start = fwd_l3fwd_start },
	{ .name = "raw-copy", .help = "one core copies what another has just written" },
	{ 0 },
};

int fwd_subject_find(const char *name)
{
	int k;

	for (k = 0; fwd_subjects[k].name; k++)
		if (!strcmp(fwd_subjects[k].name, name))
			return k;
	return -1;
}

void fwd_subject_names(char *text, size_t size)
{
	size_t used = 0;
	int k;

	for (k = 0; fwd_subjects[k].name && used < size; k++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", k ? ", " : "", fwd_subjects[k].name);
}

unsigned int fwd_setups(const struct fwd_env *e, const struct fwd_subject *s, struct fwd_setup setup[FWD_MAX_SETUPS])
{
	static const unsigned int rings[] = { 1024, 2048 }, bufs[] = { 2048, 2112 };
	unsigned int r, b, n = 0;

	for (r = 0; r < 2; r++) {
		unsigned int ring = e->req->ring ? e->req->ring : rings[r];

		for (b = 0; b < (s->p2pnic ? 2 : 1); b++)
			setup[n++] = (struct fwd_setup){ ring, s->p2pnic ? bufs[b] : 0 };
		if (e->req->ring)
			break;
	}
	return n;
}

void fwd_forwarder_stop(struct fwd_forwarder *f)
{
	fwd_proc_stop(&f->proc, 2000);
}
