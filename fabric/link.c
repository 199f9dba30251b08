/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a link carries: encoding, DLLPs, framing.
 *
 * Source: PCI Express Base Specification 5.0, sections 2.6.1 (UpdateFC guidance),
 * 3.6.3.1 (Ack latency limit), 4.2 (encoding, framing, SKP ordered sets); 6.0 for FLIT mode.
 */
#include "internal.h"

#define SKP_SHARE (4.0 / 1538.0)
#define FLIT_SHARE (236.0 / 256.0) /* the rest: 6 bytes of DLLP, 8 of CRC, 6 of FEC */

static const double gt_per_s[] = { 0, 2.5e9, 5e9, 8e9, 16e9, 32e9, 64e9 };

void fab_link_cfg_init(struct fab_link_cfg *cfg, unsigned int gen, unsigned int width)
{
	struct fab_credits credits;

	for (int c = 0; c < FAB_NUM_CLASSES; c++) {
		credits.hdr[c] = 64;
		credits.data_bytes[c] = 16384;
	}
	*cfg = (struct fab_link_cfg){ .gen = (uint8_t)gen,
				      .width = (uint8_t)width,
				      .mps = 256,
				      .dllp = FAB_DLLP_SPEC,
				      .down = credits,
				      .up = credits };
}

double fab_link_byte_bits(unsigned int gen)
{
	return gen <= 2 ? 10 : gen <= 5 ? 8 * 130.0 / 128 : 8 / FLIT_SHARE;
}

double fab_link_raw(const struct fab_link_cfg *cfg)
{
	double bytes_per_s = gt_per_s[cfg->gen] * cfg->width / 8;

	if (cfg->gen <= 2)
		return bytes_per_s * 8 / 10;
	if (cfg->gen <= 5)
		return bytes_per_s * 128 / 130;
	return bytes_per_s * FLIT_SHARE;
}

/*
 * The latency limits of an ACK and of an UpdateFC, in symbol times: (MPS + the TLP's
 * overhead of 28) times a factor / width, and a delay inside the component.
 */
static double dllp_interval(unsigned int gen, unsigned int width, uint32_t mps)
{
	static const double factor[3][3] = { { 1.4, 1.4, 1.0 }, { 2.5, 2.5, 1.0 }, { 3.0, 3.0, 2.0 } };
	static const double inside[] = { 0, 19, 70, 115 };
	const double *row = factor[width <= 4 ? 0 : width == 8 ? 1 : 2];
	double limit = (mps + 28.0) * row[mps <= 128 ? 0 : mps <= 256 ? 1 : 2] / width + inside[gen < 3 ? gen : 3];

	return (double)(uint32_t)limit;
}

uint64_t fab_link_ack_ps(const struct fab_link_cfg *cfg)
{
	double symbol_ps = (cfg->gen <= 2 ? 10 : 8) * 1e12 / gt_per_s[cfg->gen];

	return (uint64_t)(dllp_interval(cfg->gen, cfg->width, cfg->mps) * symbol_ps);
}

double fab_link_dllp_share(const struct fab_link_cfg *cfg)
{
	if (cfg->gen == 0)
		return 0;
	if (cfg->dllp == FAB_DLLP_SHARE)
		return cfg->dllp_share;
	if (cfg->gen >= 6)
		return 0;
	/* pcie-bench relates the bytes of a DLLP to the limit, whatever the width: see docs/fabric.md. */
	return 2.0 * FAB_DLLP_BYTES / dllp_interval(cfg->gen, cfg->width, cfg->mps) + SKP_SHARE;
}

double fab_link_rate(const struct fab_link_cfg *cfg)
{
	return fab_link_raw(cfg) * (1 - fab_link_dllp_share(cfg));
}

/* Header, and up to Gen5 framing, sequence number and LCRC: 8 bytes in either encoding.  FLIT mode has none of those.
 */
uint32_t fab_tlp_overhead(unsigned int gen, enum fab_type type)
{
	uint32_t hdr = type == FAB_MWR || type == FAB_MRD ? 16 : 12;

	return gen >= 6 ? hdr : hdr + 8;
}

uint32_t fab_tlp_bytes(unsigned int gen, enum fab_type type, uint32_t len)
{
	bool data = type == FAB_MWR || type == FAB_CPLD;

	return fab_tlp_overhead(gen, type) + (data ? fab_dw_bytes(0, len) : 0);
}

uint64_t fab_rate_fp(double bytes_per_s)
{
	if (bytes_per_s <= 0)
		return 0;
	return (uint64_t)((double)FAB_PS_PER_S * (1 << FAB_FRAC_BITS) / bytes_per_s + 0.5);
}
